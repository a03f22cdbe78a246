#!/usr/bin/env python
"""Draw what the mock galaxies look like, and how they compare with real ones.

Writes ``docs/_static/mocks_*``, and every number that ``docs/mocks.rst`` quotes of them into
``benchmarks/results/mocks_realism.json``::

    python tools/make_mocks_pictures.py
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from picasssso.mocks import MockGenerator, ProceduralGalaxies
from picasssso.mocks.galaxies import scaling_relations as relations
from picasssso.mocks.light import LightTable

OUTPUT = Path("docs/_static")
RESULT = Path("benchmarks/results/mocks_realism.json")
BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
REST, REDSHIFT = ("sdss2010-g", "sdss2010-r", "sdss2010-i"), 0.1
SEED = 2026


def contact_sheet() -> None:
    """Draw 100 random galaxies in color."""
    table = LightTable.build(BANDS, (0.01, 0.15), progress=False)
    mocks = MockGenerator(SEED, table=table, n_pixels=96).draw(range(100))
    figure = Figure(figsize=(16, 16))
    axes = figure.subplots(10, 10)
    figure.subplots_adjust(0, 0, 1, 1, 0.01, 0.01)
    for k, axis in enumerate(axes.flat):
        mocks.to_band_images(k).plot(ax=axis)
        label = f"{mocks.parameters['log_mass'][k]:.1f}"
        axis.text(1, 1, label, color="white", fontsize=7)
        axis.set_axis_off()
    figure.savefig(OUTPUT / "mocks_contact_sheet.jpg", dpi=75, pil_kwargs={"quality": 85})


def describe(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return log10 of stellar masses, half-light radii in kpc and which mocks are quenched.

    Frames hold 10 half-mass radii; light is without errors of the stellar model.
    """
    source = ProceduralGalaxies(SEED, survey="paper_field", n_pixels=48)
    table = LightTable.build(REST, REDSHIFT)
    rows = []
    for start in range(0, n, 200):
        galaxies = source.draw(range(start, start + 200))
        moved = replace(galaxies, redshift=torch.full_like(galaxies.redshift, REDSHIFT))
        light = table.light(moved)
        mass = light.truth.sums[:, 0].sum((1, 2)) * galaxies.pixel_scale_kpc**2
        size = half_light_radius(light.surface_brightness[:, 1] * 1.0, galaxies.pixel_scale_kpc)
        rows.append((np.log10(mass), size, np.asarray(galaxies.parameters["quenched"]) > 0))
    mass, size, quenched = (np.concatenate(part) for part in zip(*rows, strict=True))
    return mass, size, quenched


def half_light_radius(images: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
    """Return radii of circles around the brightest part that hold half of the light."""
    n, height, width = images.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    weight = images**2
    center_y = (weight * y).sum((1, 2)) / weight.sum((1, 2))
    center_x = (weight * x).sum((1, 2)) / weight.sum((1, 2))
    radius = torch.hypot(y - center_y[:, None, None], x - center_x[:, None, None]).reshape(n, -1)
    order = radius.argsort(dim=1)
    grown = images.reshape(n, -1).gather(1, order).cumsum(1)
    where = (grown < 0.5 * grown[:, -1:]).sum(1)
    return radius.gather(1, order).gather(1, where[:, None])[:, 0] * pixel


def sizes() -> None:
    """Compare sizes with published relations."""
    figure = Figure(figsize=(5.5, 4.6), layout="constrained")
    axis = figure.subplots()
    log_mass, half_light, quenched = describe(2000)
    said = []
    for late, label, color in ((True, "late", "0.65"), (False, "early", "0.15")):
        chosen = quenched != late
        axis.scatter(log_mass[chosen], np.log10(half_light[chosen]), s=4, c=color, lw=0.6,
                     marker="o" if late else "x", label=f"mocks, {label} types")  # fmt: skip
        mass = np.linspace(8.6, 11.6, 50)
        expected = relations.late_type_size if late else relations.early_type_size
        axis.plot(mass, np.log10(expected(mass)), "k-" if late else "k--", lw=2,
                  label=f"{label} types, Shen et al. (2003)")  # fmt: skip
        offset = np.log10(half_light / expected(log_mass))[chosen]
        scatter = 0.5 * np.diff(np.percentile(offset, [16, 84]))[0]
        said.append(f"size of {label} types against Shen+2003: {np.median(offset):+.3f} dex, "
                    f"scatter {scatter:.3f}")  # fmt: skip
    print(*said, sep="\n")
    axis.set(xlabel="log stellar mass (Msun)", ylabel="log half-light radius in r (kpc)")
    axis.legend(fontsize=8)
    figure.savefig(OUTPUT / "mocks_sizes.png", dpi=90)
    RESULT.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    contact_sheet()
    sizes()
