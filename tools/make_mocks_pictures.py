#!/usr/bin/env python
"""Draw what the mock galaxies look like, and how they compare with real ones.

Writes ``docs/_static/mocks_*.png``, and every number that ``docs/mocks.rst`` quotes of them into
``benchmarks/results/mocks_realism.json``.
The comparison with NGC 4047 needs the package edge_pydb (BSD 3-clause) and h5py::

    python tools/make_mocks_pictures.py
"""

from __future__ import annotations

import argparse
import importlib.util
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from picasssso.mocks import Galaxies, MockGenerator, ProceduralGalaxies
from picasssso.mocks.age_bins import AGE_CENTRES
from picasssso.mocks.galaxies import scaling_relations as relations
from picasssso.mocks.light import LightTable

OUTPUT = Path("docs/_static")
RESULT = Path("benchmarks/results/mocks_realism.json")
BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
REST = ("sdss2010-g", "sdss2010-r", "sdss2010-i")
SEED = 2026

#: NGC 4047: distance of the CALIFA/EDGE sample (Mpc), Pipe3D's Salpeter to Chabrier in mass
#: and in rate (Madau & Dickinson 2014, ARA&A 52, 415: 0.61 and 0.63).
NGC4047_DISTANCE = 49.1
SALPETER_TO_CHABRIER = {"mass": 0.61, "rate": 0.63}


#: Every number printed, for the file of results.
SAID: list[str] = []


def say(*words: object) -> None:
    """Print, and keep for the file of results."""
    SAID.append(" ".join(map(str, words)))
    print(SAID[-1])


def colour_picture(flux: np.ndarray, sky: np.ndarray) -> np.ndarray:
    """Return an RGB picture of (g, r, i) fluxes (Lupton et al. 2004, PASP 116, 133)."""
    blue, green, red = flux * np.array([1.35, 1.0, 0.78])[:, None, None]
    mean = (red + green + blue) / 3.0
    scale, softening = np.median(sky) * 2.5, 8.0
    stretched = np.arcsinh(np.clip(mean, 0, None) * softening / (scale * softening)) / softening
    factor = np.where(mean > 0, stretched * 1.9 / np.maximum(mean, 1e-9), 0.0)
    rgb = np.stack([red, green, blue], axis=-1) * factor[..., None]
    return np.clip(rgb / np.maximum(rgb.max(axis=-1, keepdims=True), 1.0) + 0.02, 0, 1)


def contact_sheet(table: LightTable, name: str, n_pixels: int, **keywords: object) -> None:
    """Draw 100 random galaxies in color."""
    generator = MockGenerator(SEED, table=table, n_pixels=n_pixels, **keywords)  # type: ignore
    mocks = generator.draw(range(100))
    figure = Figure(figsize=(16, 16))
    axes = figure.subplots(10, 10)
    figure.subplots_adjust(0, 0, 1, 1, 0.01, 0.01)
    flux = mocks.flux[:, 1:4].numpy()
    weight = mocks.inverse_variance[:, 1:4].numpy()
    for k, axis in enumerate(axes.flat):
        sky = 1.0 / np.sqrt(np.median(weight[k], axis=(1, 2)))
        axis.imshow(colour_picture(flux[k], sky), origin="lower", interpolation="nearest")
        p = mocks.parameters
        axis.text(1, 1, f"{p['log_mass'][k]:.1f}", color="white", fontsize=7)
        axis.set_axis_off()
    figure.savefig(OUTPUT / f"mocks_{name}.png", dpi=60)


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


def medians(x: np.ndarray, y: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return 16, 50 and 84 percentiles of y in bins of x."""
    rows = []
    for low, high in pairwise(edges):
        inside = (x >= low) & (x < high) & np.isfinite(y)
        enough = inside.sum() > 8
        rows.append(np.percentile(y[inside], [16, 50, 84]) if enough else [np.nan] * 3)
    return np.array(rows)


def sizes() -> None:
    """Compare sizes with published relations."""
    figure = Figure(figsize=(5.5, 4.6), layout="constrained")
    axis = figure.subplots()
    mocks = describe(2000, 0.1, REST)
    log_mass, quenched = np.log10(mocks["sums"][:, 0]), mocks["quenched"] > 0
    for late, label, color in ((True, "late", "0.65"), (False, "early", "0.15")):
        chosen = quenched != late
        axis.scatter(log_mass[chosen], np.log10(mocks["half_light"][chosen]), s=3, c=color)
        mass = np.linspace(8.6, 11.6, 50)
        size = relations.late_type_size(mass) if late else relations.early_type_size(mass)
        axis.plot(mass, np.log10(size), "k-" if late else "k--", label=f"{label}, Shen+2003")
        expected = relations.late_type_size if late else relations.early_type_size
        offset = np.log10(mocks["half_light"] / expected(log_mass))[chosen]
        say(f"size of {label} types against Shen+2003: {np.median(offset):+.3f} dex, "
              f"scatter {0.5 * np.diff(np.percentile(offset, [16, 84]))[0]:.3f}")  # fmt: skip
    axis.set(xlabel="log stellar mass (Msun)", ylabel="log half-light radius in r (kpc)")
    axis.legend(fontsize=8)
    figure.savefig(OUTPUT / "mocks_sizes.png", dpi=90)


def ngc4047() -> dict[str, np.ndarray]:
    """Return NGC 4047 on Chabrier, deprojected by nothing: as seen, like the mocks."""
    import h5py

    folder = Path(importlib.util.find_spec("edge_pydb").origin).parent  # type: ignore
    with h5py.File(folder / "img_califa" / "NGC4047_allpix.pipe3d.hdf5") as file:
        stars, lines = file["SSP"][:], file["ELINES"][:]
    mass = stars["sigstar_Avcor"] * 1e6 * SALPETER_TO_CHABRIER["mass"]
    # Msun / (Gyr pc2) is 1e-3 Msun / (yr kpc2).
    rate = lines["sigsfr_adopt"] * 1e-3 * SALPETER_TO_CHABRIER["rate"]
    return {
        "mass": mass,
        "sfr": rate,
        "log_age": stars["age_mwt"] - 9.0,
        "log_z": stars["ZH_mwt"] + np.log10(0.019),
        "radius": stars["rad_arc"] * NGC4047_DISTANCE * 1e3 / 206265.0,
    }


def local_relations() -> None:
    """Compare surface densities with those of NGC 4047."""
    real = ngc4047()
    source = ProceduralGalaxies(SEED, survey="paper_field", n_pixels=48, mass_range=(10.5, 11.0))
    table = LightTable.build(REST, 0.05)
    pixels: dict[str, list] = {name: [] for name in ("mass", "sfr", "log_age", "log_z")}
    for start in range(0, 300, 100):
        galaxies = source.draw(range(start, start + 100))
        p = galaxies.parameters
        # Like NGC 4047: forming stars, a disk not far from face-on, log M = 10.6.
        keep = (p["quenched"] == 0) & (p["green"] == 0) & (p["cos_inclination"] > 0.5)
        galaxies = galaxies.select(np.flatnonzero(keep & (p["companion"] == 0)))
        alive = alive_mass(table, galaxies)
        total = alive.sum(1)
        # Pipe3D averages logarithms, weighted by mass.
        ages = np.log10(AGE_CENTRES / 1e9)
        pixels["mass"].append(total.ravel())
        pixels["sfr"].append((galaxies.mass_formed[:, :2].sum(1) * 1e-8).numpy().ravel())
        pixels["log_age"].append((np.einsum("naij,a->nij", alive, ages) / total).ravel())
        z = galaxies.log_metallicity.numpy()
        pixels["log_z"].append(((alive * z).sum(1) / total).ravel())
    mocks = {name: np.concatenate(value) for name, value in pixels.items()}
    figure = Figure(figsize=(15, 4.8), layout="constrained")
    axes = figure.subplots(1, 3)
    edges = np.arange(7.0, 9.3, 0.25)
    middle = 0.5 * (edges[1:] + edges[:-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        real["log_sfr"], mocks["log_sfr"] = np.log10(real["sfr"]), np.log10(mocks["sfr"])
        for data in (real, mocks):
            data["log_mass"] = np.log10(data["mass"])
    labels = {
        "log_sfr": "log SFR density (Msun/yr/kpc2)",
        "log_age": "mean log age (Gyr), by mass",
        "log_z": "mean log metallicity, by mass",
    }
    for axis, (name, label) in zip(axes, labels.items(), strict=True):
        ours = medians(mocks["log_mass"], mocks[name], edges)
        theirs = medians(real["log_mass"], real[name], edges)
        axis.scatter(real["log_mass"], real[name], s=2, c="0.7", label="NGC 4047, spaxels")
        axis.plot(middle, theirs[:, 1], "k-", label="its median")
        axis.fill_between(middle, ours[:, 0], ours[:, 2], color="tab:blue", alpha=0.3)
        axis.plot(middle, ours[:, 1], "tab:blue", label="mocks, 16-50-84 %")
        axis.set(xlabel="log stellar mass density (Msun/kpc2)", ylabel=label, xlim=(6.8, 9.4))
        axis.legend(fontsize=8)
        difference = ours[:, 1] - theirs[:, 1]
        say(f"{name}: mocks - NGC 4047 at log density {middle[0]:.2f}-{middle[-1]:.2f}: "
              f"{difference.round(2)}, median {np.nanmedian(difference):+.2f}; half width of ours "
              f"{np.nanmedian(0.5 * (ours[:, 2] - ours[:, 0])):.2f}, of NGC 4047 "
              f"{np.nanmedian(0.5 * (theirs[:, 2] - theirs[:, 0])):.2f}")  # fmt: skip
    axes[0].set_ylim(-5, 0.5)
    axes[1].set_ylim(-0.6, 1.2)
    axes[2].set_ylim(-2.6, -1.3)
    figure.savefig(OUTPUT / "mocks_ngc4047.png", dpi=90)


def alive_mass(table: LightTable, galaxies: Galaxies) -> np.ndarray:
    """Return the mass in living stars and remnants by age bin."""
    z, formed = galaxies.log_metallicity.numpy(), galaxies.mass_formed.numpy()
    fractions = [
        np.interp(z[:, a], table.log_metallicities, table.surviving[a]) for a in range(z.shape[1])
    ]
    return formed * np.stack(fractions, axis=1)


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
    if only in (None, "ngc4047"):
        local_relations()
    if only is None:
        RESULT.write_text(json.dumps(SAID, indent=1) + "\n")


if __name__ == "__main__":
    main()
