#!/usr/bin/env python
"""Draw what the mock galaxies look like, and how they compare with real ones.

Writes ``docs/_static/mocks_*``, and every number that ``docs/mocks.rst`` quotes of them into
``benchmarks/results/mocks_realism.json``::

    python tools/make_mocks_pictures.py
"""

from __future__ import annotations

import argparse
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
REST = ("sdss2010-g", "sdss2010-r", "sdss2010-i")
SEED = 2026

#: Every number printed, for the file of results.
SAID: list[str] = []


def say(*words: object) -> None:
    """Print, and keep for the file of results."""
    SAID.append(" ".join(map(str, words)))
    print(SAID[-1])


def contact_sheet(table: LightTable, name: str, n_pixels: int, **keywords: object) -> None:
    """Draw 100 random galaxies in color."""
    generator = MockGenerator(SEED, table=table, n_pixels=n_pixels, **keywords)  # type: ignore
    mocks = generator.draw(range(100))
    figure = Figure(figsize=(16, 16))
    axes = figure.subplots(10, 10)
    figure.subplots_adjust(0, 0, 1, 1, 0.01, 0.01)
    for k, axis in enumerate(axes.flat):
        mocks.to_band_images(k).plot(ax=axis)
        label = f"{mocks.parameters['log_mass'][k]:.1f}"
        axis.text(1, 1, label, color="white", fontsize=7)
        axis.set_axis_off()
    figure.savefig(OUTPUT / f"mocks_{name}.jpg", dpi=75, pil_kwargs={"quality": 85})


def describe(n: int, redshift: float, bands: tuple[str, ...], **keywords: object) -> dict:
    """Return sums and half-light radii of mock galaxies seen at a redshift.

    Frames hold 10 half-mass radii; light is without errors of the stellar model.
    """
    source = ProceduralGalaxies(SEED, survey="paper_field", n_pixels=48, **keywords)  # type: ignore
    table = LightTable.build(bands, redshift)
    result: dict[str, list] = {}
    for start in range(0, n, 200):
        galaxies = source.draw(range(start, start + 200))
        moved = replace(galaxies, redshift=torch.full_like(galaxies.redshift, redshift))
        light = table.light(moved)
        area = galaxies.pixel_scale_kpc[:, None] ** 2
        rows = {
            "sums": light.truth.sums.sum((2, 3)) * area,
            "half_light": half_light_radius(
                light.surface_brightness[:, 1] * 1.0, galaxies.pixel_scale_kpc
            ),
        }
        for name, value in {**rows, **galaxies.parameters}.items():
            result.setdefault(name, []).append(np.asarray(value))
    return {name: np.concatenate(value) for name, value in result.items()}


def half_light_radius(images: torch.Tensor, pixel: torch.Tensor) -> torch.Tensor:
    """Return radii of circles around the brightest part that hold half of the light."""
    n, height, width = images.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    weight = images**2
    centre_y = (weight * y).sum((1, 2)) / weight.sum((1, 2))
    centre_x = (weight * x).sum((1, 2)) / weight.sum((1, 2))
    radius = torch.hypot(y - centre_y[:, None, None], x - centre_x[:, None, None]).reshape(n, -1)
    order = radius.argsort(dim=1)
    grown = images.reshape(n, -1).gather(1, order).cumsum(1)
    where = (grown < 0.5 * grown[:, -1:]).sum(1)
    return radius.gather(1, order).gather(1, where[:, None])[:, 0] * pixel


def sizes() -> None:
    """Compare sizes with published relations."""
    figure = Figure(figsize=(5.5, 4.6), layout="constrained")
    axis = figure.subplots()
    mocks = describe(2000, 0.1, REST)
    log_mass, quenched = np.log10(mocks["sums"][:, 0]), mocks["quenched"] > 0
    for late, label, color in ((True, "late", "0.65"), (False, "early", "0.15")):
        chosen = quenched != late
        axis.scatter(log_mass[chosen], np.log10(mocks["half_light"][chosen]), s=4, c=color, lw=0.6,
                     marker="o" if late else "x", label=f"mocks, {label} types")  # fmt: skip
        mass = np.linspace(8.6, 11.6, 50)
        size = relations.late_type_size(mass) if late else relations.early_type_size(mass)
        axis.plot(mass, np.log10(size), "k-" if late else "k--", lw=2,
                  label=f"{label} types, Shen et al. (2003)")  # fmt: skip
        expected = relations.late_type_size if late else relations.early_type_size
        offset = np.log10(mocks["half_light"] / expected(log_mass))[chosen]
        say(f"size of {label} types against Shen+2003: {np.median(offset):+.3f} dex, "
              f"scatter {0.5 * np.diff(np.percentile(offset, [16, 84]))[0]:.3f}")  # fmt: skip
    axis.set(xlabel="log stellar mass (Msun)", ylabel="log half-light radius in r (kpc)")
    axis.legend(fontsize=8)
    figure.savefig(OUTPUT / "mocks_sizes.png", dpi=90)


def main() -> None:
    """Draw everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="draw only this picture")
    only = parser.parse_args().only
    if only in (None, "sheet"):
        table = LightTable.build(BANDS, (0.01, 0.15), progress=False)
        contact_sheet(table, "contact_sheet", 96)
    if only in (None, "sizes"):
        sizes()
    if only is None:
        RESULT.write_text(json.dumps(SAID, indent=1) + "\n")


if __name__ == "__main__":
    main()
