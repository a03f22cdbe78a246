#!/usr/bin/env python
"""Make docs/_static/sed_*.png: what the estimators make of one galaxy, and the SED of a pixel.

``sed_maps.png``, ``sed_posterior.png`` and ``sed_corner.png`` show the example galaxy that
comes with the package; the figures that docs/compare.rst quotes go to
``benchmarks/results/sed_fit_example.json`` and ``docs/_tables/compare.inc``. ::

    python tools/make_sed_pictures.py
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from matplotlib import colormaps
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from picasssso import BandImages, PropertyMaps, SEDFitEstimator
from picasssso.data import load_example
from picasssso.demo import usable_estimators
from picasssso.filters.library import pivot_wavelength
from picasssso.sps import ModelLibrary, SEDPrior, SSPGrid

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
from records import record, write_table  # noqa: E402

PICTURES = ROOT / "docs" / "_static"
STAR, STAR_RADIUS = SkyCoord(27.9547 * u.deg, 0.2655 * u.deg), 3 * u.arcsec

SHOWN = ("stellar_mass", "sfr", "stellar_age", "stellar_metallicity", "attenuation_v")
#: Compared where the r band has at least this signal-to-noise ratio per pixel.
BRIGHT = 5.0
FRACTIONS = (16, 50, 84)


def estimate_all(images: BandImages) -> dict[str, PropertyMaps]:
    """Return maps of every estimator that can be used, and of the fit with another prior."""
    result = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The demo leaves out")
        for name, estimator in usable_estimators():
            result[name] = estimator.estimate(images, progress=False)
    steps = SEDFitEstimator(prior=SEDPrior(history="steps"))
    result["sed_fit, steps prior"] = steps.estimate(images, progress=False)
    order = ["sed_fit", "sed_fit, steps prior"]
    return {name: result[name] for name in [*order, *(k for k in result if k not in order)]}


def bright_pixels(images: BandImages) -> np.ndarray:
    """Return where the r band is bright enough."""
    flux, inverse_variance = images.to_arrays()
    red = images.bands.index(next(band for band in images.bands if band.endswith("-r")))
    return flux[red] * np.sqrt(inverse_variance[red]) > BRIGHT


def offsets(name: str, found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return found over true in dex, or the difference in mag of attenuation."""
    if name == "attenuation_v":
        return found - true
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(found / true)


def compare(
    maps: Mapping[str, PropertyMaps], truth: PropertyMaps, where: np.ndarray
) -> dict[str, dict]:
    """Return offset, scatter and coverage per property and estimator, and mass totals."""
    result: dict[str, dict] = {}
    for who, estimate in maps.items():
        own = result[who] = {}
        for name in SHOWN:
            if name not in estimate or name not in truth:
                continue
            used = where & ~estimate.masks[name] & ~truth.masks[name]
            true = truth[name].data[used]
            low, median, high = (estimate.percentile(name, q).value[used] for q in FRACTIONS)
            difference = offsets(name, median, true)
            difference = difference[np.isfinite(difference)]
            middle = float(np.median(difference))
            own[name] = {
                "offset": middle,
                "nmad": float(1.4826 * np.median(np.abs(difference - middle))),
                "coverage_68": float(np.mean((true >= low) & (true <= high))),
            }
        if "stellar_mass" in estimate:
            found, true = (
                m.total("stellar_mass", where, correlation="independent").value
                for m in (estimate, truth)
            )
            own["log_total_mass_over_truth"] = float(np.log10(found / true))
    return result


def draw_maps(images: BandImages, maps: Mapping[str, PropertyMaps], truth: PropertyMaps) -> Figure:
    """Draw one row per property: the truth, then every estimator's median."""
    columns = {"truth": truth, **maps}
    figure = Figure(figsize=(2.5 * len(columns) + 1, 2.5 * len(SHOWN)), layout="compressed")
    axes = figure.subplots(len(SHOWN), len(columns))
    where = bright_pixels(images)
    for row, name in zip(axes, SHOWN, strict=True):
        definition = truth.definition(name)
        known = truth[name].data[where]
        low, high = np.nanpercentile(known[known > 0], [2, 99.5])
        if definition.is_surface_density:
            norm: Normalize = LogNorm(max(low, high / 1e3) / 2, high * 1.5)
        else:
            # What the estimators say may lie off the truth.
            ranges = [
                np.nanpercentile(m[name].data[where & ~m.masks[name]], [2, 98])
                for m in columns.values()
                if name in m
            ]
            norm = Normalize(min(r[0] for r in ranges), max(r[1] for r in ranges))
        color_map = colormaps[definition.color_map].with_extremes(bad="0.85")
        for axis, (who, estimate) in zip(row, columns.items(), strict=True):
            axis.set(xticks=[], yticks=[])
            if name == SHOWN[0]:
                axis.set_title(who.replace(", ", ",\n"), fontsize=11)
            if name not in estimate:
                axis.set_frame_on(False)
                continue
            values = np.where(estimate.masks[name] | ~where, np.nan, estimate[name].data)
            shown = axis.imshow(values, origin="lower", norm=norm, cmap=color_map)
        row[0].set_ylabel(definition.label, fontsize=11)
        unit = f"{definition.unit:latex_inline}" if str(definition.unit) else "mass fraction"
        figure.colorbar(shown, ax=list(row), shrink=0.9, pad=0.01, label=unit)
    return figure


def draw_posterior(images: BandImages, pixel: tuple[int, int], n: int = 40) -> Figure:
    """Draw a pixel's fluxes with models drawn from its posterior, and their spectra."""
    estimator = SEDFitEstimator()
    library = ModelLibrary.build(images.bands, images.redshift, n_models=estimator.n_models)
    flux, inverse = (a[:, pixel[0], pixel[1]].astype(float) for a in images.to_arrays())
    solid_angle = images.pixel_solid_angle.to_value(u.arcsec**2)
    flux, inverse = flux / solid_angle, inverse * solid_angle**2
    weight = 1 / (1 / inverse + (estimator.error_floor * np.clip(flux, 0, None)) ** 2)
    models = np.asarray(library.fluxes, float)
    norm = models**2 @ weight
    amplitude = models @ (weight * flux) / norm
    probability = np.exp(0.5 * (amplitude**2 * norm - (amplitude**2 * norm).max()))
    rng = np.random.default_rng(1)
    chosen = rng.choice(len(models), n, p=probability / probability.sum())
    wave = np.array([pivot_wavelength(band).to_value(u.AA) for band in images.bands])
    grid = SSPGrid.default()
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axis = figure.subplots()
    for k, model in enumerate(chosen):
        spectrum = library.spectrum(int(model), grid=grid)
        axis.plot(
            spectrum.spectral_axis.to_value(u.AA),
            spectrum.flux.value * amplitude[model],
            color="C0", alpha=0.13, lw=0.7,
            label=f"{n} models drawn from the posterior" if k == 0 else None,
        )  # fmt: skip
    drawn = models[chosen] * amplitude[chosen, None]
    low, high = np.percentile(drawn, [16, 84], axis=0)
    axis.errorbar(
        wave, 0.5 * (low + high), yerr=0.5 * (high - low), fmt="s", ms=9, mfc="none",
        color="C0", capsize=4, label="their fluxes, 16-84 %",
    )  # fmt: skip
    axis.errorbar(
        wave, flux, yerr=weight**-0.5, fmt="o", color="C3", capsize=2, zorder=5,
        label="measured, with the error floor",
    )  # fmt: skip
    axis.set_xlim(2800, 11500)
    axis.set_ylim(0.25 * flux[flux > 0].min(), 2.5 * flux.max())
    axis.set_yscale("log")
    axis.set_xlabel("observed wavelength (Å)")
    axis.set_ylabel("surface brightness (nmgy arcsec$^{-2}$)")
    axis.set_title(f"pixel (y, x) = {pixel}")
    legend = axis.legend(loc="lower right", framealpha=1)
    legend.legend_handles[0].set_alpha(1)
    return figure


def draw_corner(
    images: BandImages, truth: PropertyMaps, pixel: tuple[int, int], n: int = 4000
) -> Figure:
    """Draw joint samples of one pixel's posterior against each other, and the truth."""
    y, x = pixel
    part = images[y : y + 1, x : x + 1]
    maps = SEDFitEstimator().estimate(part, n_samples=n, seed=1, progress=False)
    names = [name for name in SHOWN if name in maps]
    values, true, labels = [], [], []
    for name in names:
        samples, known = maps.samples(name).value[:, 0, 0], float(truth[name].data[y, x])
        definition = truth.definition(name)
        label, unit = definition.label, str(definition.unit)
        if definition.is_surface_density or name == "stellar_metallicity":
            # Not every sample forms stars; those that do not lie at the lower end.
            floor = max(samples.min(), 1e-3 * np.percentile(samples, 84))
            samples, known = np.log10(np.maximum(samples, floor)), np.log10(max(known, floor))
            label = f"log {label.lower()}"
        values.append(samples)
        true.append(known)
        labels.append(label + (f"\n({definition.unit:latex_inline})" if unit else ""))
    k = len(names)
    figure = Figure(figsize=(2.1 * k, 2.1 * k), layout="constrained")
    axes = figure.subplots(k, k, sharex="col")
    for i in range(k):
        for j in range(k):
            axis = axes[i, j]
            if j > i:
                axis.set_axis_off()
                continue
            axis.axvline(true[j], color="C3", lw=1.2)
            if i == j:
                axis.hist(values[i], 40, color="C0", histtype="stepfilled", alpha=0.6)
                for q in np.percentile(values[i], FRACTIONS):
                    axis.axvline(q, color="0.2", ls=":", lw=1)
                axis.set_yticks([])
            else:
                axis.hexbin(values[j], values[i], gridsize=28, cmap="Blues", mincnt=1)
                axis.axhline(true[i], color="C3", lw=1.2)
            if i == k - 1:
                axis.set_xlabel(labels[j])
            if j == 0 and i > 0:
                axis.set_ylabel(labels[i])
            elif j > 0 and i != j:
                axis.set_yticklabels([])
    figure.suptitle(f"pixel (y, x) = {pixel}: {n} joint samples; dotted 16, 50, 84 %; red: truth")
    return figure


def table_rows(estimators: Mapping[str, Mapping]) -> list[list[str]]:
    """Return the rows of the table of docs/compare.rst."""
    rows = [["estimator", "property", "offset", "NMAD", "in 68 %"]]
    for estimator, found in estimators.items():
        for name, figures in found.items():
            if name == "log_total_mass_over_truth":
                rows.append([estimator, "total stellar mass", f"{figures:+.2f}", "", ""])
                continue
            cells = [f"{figures[key]:.2f}" for key in ("nmad", "coverage_68")]
            rows.append([estimator, f"``{name}``", f"{figures['offset']:+.2f}", *cells])
    return rows


def make_example_pictures(output: Path, only: str | None = None) -> None:
    """Make the pictures of the example galaxy, and print and write the figures."""
    images, truth = load_example()
    where = bright_pixels(images)
    flux = images.to_arrays()[0]
    centre = np.unravel_index(np.argmax(np.where(where, flux[2], 0)), where.shape)
    # Halfway out along the row of the center.
    row = np.flatnonzero(where[centre[0]])
    pixel = (int(centre[0]), int(0.5 * (centre[1] + row[-1])))
    if only != "maps":
        draw_posterior(images, pixel).savefig(output / "sed_posterior.png", dpi=90)
        draw_corner(images, truth, pixel).savefig(output / "sed_corner.png", dpi=80)
    if only != "pixel":
        maps = estimate_all(images)
        result = {
            "pixels": int(where.sum()),
            "least_signal_to_noise_in_r": BRIGHT,
            "estimators": compare(maps, truth, where),
        }
        record("sed_fit_example.json", result)
        write_table("compare", table_rows(result["estimators"]))
        draw_maps(images, maps, truth).savefig(output / "sed_maps.png", dpi=75)


def main() -> None:
    """Make the pictures, and print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=PICTURES)
    parser.add_argument("--only", choices=("maps", "pixel"), help="some of the pictures")
    arguments = parser.parse_args()
    make_example_pictures(arguments.output, arguments.only)


if __name__ == "__main__":
    main()
