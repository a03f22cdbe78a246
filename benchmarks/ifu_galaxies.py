"""SAMI 41144 and NGC 4047: maps of broad bands beside those of integral-field spectroscopy.

Needs ``../shared/data/ifu`` (SAMI), and the package edge_pydb (NGC 4047), of which only the tables
that it ships are read; what is absent is left out. Writes figures, a table and
benchmarks/results/ifu_galaxies.json::

    python -m pip install --no-deps edge_pydb
    python benchmarks/ifu_galaxies.py [sami] [ngc4047]
"""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

import astropy.units as u
import numpy as np
from matplotlib.figure import Figure
from records import ROOT, SHARED, record, write_table

from picasssso import CNNEstimator, SEDFitEstimator
from picasssso.evaluation import compare_estimates
from picasssso.ifu import (
    PublishedMap,
    box_filter,
    convert_maps,
    read_cube,
    read_maps,
    synthetic_images,
)
from picasssso.maps.notices import like_prior
from picasssso.mocks import MockGenerator
from picasssso.preparation import correct_extinction

SAMI = SHARED / "data" / "ifu" / "sami_41144"
STATIC = ROOT / "docs" / "_static"
BOXES = {"sami-blue1": (3700, 4200), "sami-red1": (6300, 6860), "sami-red2": (6860, 7420)}
#: The survey's single-age fits within the half-light radius: age in Gyr, [Z/H].
THEIRS = {"stellar_age": "1.5-2 Gyr", "stellar_metallicity": "[Z/H] -0.6 to -0.7"}
MOCKS = 8


def sami() -> None:
    """Fit images of the cube and put the survey's star formation beside."""
    cube = read_cube([SAMI / f"41144_A_sectors_{arm}.fits.gz" for arm in ("blue", "red")])
    for name, (low, high) in BOXES.items():
        box_filter(name, low, high)
    images = correct_extinction(synthetic_images(cube, ["sdss2010-g", *BOXES]))
    maps = SEDFitEstimator(n_models=50_000).estimate(images)
    theirs = read_maps(
        SAMI / "41144_A_sfr-dens_sectors_1-comp.fits", wcs=cube.wcs, redshift=cube.redshift,
        bins=cube.bins, approximate=["sfr"], resolution_fwhm=2.085 * u.arcsec,
    )  # fmt: skip
    comparison = compare_estimates(maps, theirs)
    (rate,) = comparison
    y, x = np.indices(images.shape) - 24.5
    inside = np.hypot(y, x) * images.pixel_scale.value < 2
    inner = {
        name: maps.total(name, inside, correlation="full")
        for name in ("stellar_age", "stellar_metallicity", "attenuation_v")
    }
    mass = maps.total("stellar_mass", correlation="full")
    ends = [(mass.value + s * mass.uncertainty).value for s in (0, -1, 1)]
    log = np.log10(np.maximum(ends, 1.0))
    relative = float(np.log10(inner["stellar_metallicity"].value / 0.02))
    prior = like_prior(maps)
    rows = [
        ["", "SED fit of four bands", "SAMI team"],
        ["log stellar mass (Msun), cube", f"{log[0]:.2f} ({log[1]:.2f} to {log[2]:.2f})",
         "10.34 (catalog, all of it)"],
        ["star formation rate (Msun/yr)", str(rate.first), f"{rate.second} (H-alpha)"],
        ["age within 2 arcsec", f"{inner['stellar_age']} (by mass)", THEIRS["stellar_age"]
         + " (one age, by light)"],
        ["metallicity within 2 arcsec", f"{inner['stellar_metallicity']} ([Z/H] {relative:+.2f}; "
         + prior.get("stellar_metallicity", "more than the prior") + ")",
         THEIRS["stellar_metallicity"]],
    ]  # fmt: skip
    write_table("ifu_sami", rows)
    record(
        "ifu_galaxies.json",
        {
            "log_mass": log[0],
            "sfr_bias_dex": rate.bias,
            "sfr_scatter_dex": rate.scatter,
            "sfr_coverage_68_95": [rate.coverage_68, rate.coverage_95],
            "pixels": rate.n_pixels,
            "age_gyr": inner["stellar_age"].value.value,
            "metallicity": inner["stellar_metallicity"].value.value,
            "hardly_more_than_the_prior": sorted(prior),
        },
        part="sami_41144",
    )
    figure = Figure(figsize=(13, 3.4), layout="constrained")
    axes = figure.subplots(1, 4)
    _show(axes[0], maps["stellar_mass"].data, "log stellar mass (Msun/kpc2)", "inferno")
    shared = {"vmin": -3.2, "vmax": -0.9}
    _show(axes[1], maps["sfr"].data, "log SFR (Msun/yr/kpc2), SED fit", "magma", **shared)
    _show(axes[2], theirs["sfr"].data, "log SFR, SAMI (H-alpha)", "magma", **shared)
    profile = comparison.profile("sfr")
    radius = profile["radius"].value
    looks = {"first": ("SED fit", "C0", "-"), "second": ("SAMI (H-alpha)", "black", "--")}
    for key, (label, color, style) in looks.items():
        value, error = profile[key].value, profile[f"{key}_error"].value
        low = np.maximum(value - error, 1e-5)
        axes[3].fill_between(radius, low, value + error, alpha=0.25, color=color, lw=0)
        axes[3].plot(radius, value, style, color=color, label=label)
    axes[3].set(
        yscale="log", ylim=(1e-3, 0.5), xlabel="radius (arcsec)", ylabel="SFR (Msun/yr/kpc2)"
    )
    axes[3].legend()
    figure.savefig(STATIC / "ifu_sami.png", dpi=80)


def _show(axis, values, title, colors, **limits) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):
        image = axis.imshow(np.log10(values)[5:45, 5:45], origin="lower", cmap=colors,
                            extent=(-10, 10, -10, 10), **limits)  # fmt: skip
    axis.set(xlabel="x (arcsec)", ylabel="y (arcsec)", title=title)
    axis.title.set_fontsize(9)
    axis.figure.colorbar(image, ax=axis, shrink=0.85)


def ngc4047() -> None:
    """Put pixels of NGC 4047 beside those of mocks like it, true and as the network sees them."""
    relations = {"NGC 4047 (Pipe3D)": _pixels(read_ngc4047(), "_log")}
    truth, seen = mock_maps()
    relations["mocks, truth"] = _pixels(truth)
    relations["mocks, network"] = _pixels(seen)
    names = {"sfr": "log SFR (Msun/yr/kpc2)", "stellar_age": "log age (Gyr)",
             "stellar_metallicity": "log metallicity (mass fraction)"}  # fmt: skip
    edges = np.arange(7.25, 9.3, 0.25)
    middle = (edges[1:] + edges[:-1]) / 2
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    found: dict[str, dict[str, float]] = {}
    for axis, (name, label) in zip(figure.subplots(1, 3), names.items(), strict=True):
        looks = (("k", "-"), ("C0", "--"), ("C3", ":"))
        for (who, pixels), (color, style) in zip(relations.items(), looks, strict=True):
            low, half, high = _running(pixels["stellar_mass"], pixels[name], edges)
            axis.plot(middle, half, style, color=color, lw=2, label=who)
            axis.fill_between(middle, low, high, color=color, alpha=0.15, lw=0)
            found.setdefault(who, {})[name] = float(np.interp(8.25, middle, half))
        axis.set(xlabel="log stellar mass (Msun/kpc2)", ylabel=label)
    axis.legend(fontsize=8)
    figure.savefig(STATIC / "ifu_ngc4047.png", dpi=80)
    record("ifu_galaxies.json", {"at_log_mass_8.25": found, "mocks": MOCKS}, part="ngc_4047")
    rows = [["at log stellar mass 8.25", *names.values()]]
    rows += [[who, *(f"{found[who][name]:.2f}" for name in names)] for who in found]
    write_table("ifu_ngc4047", rows)


def read_ngc4047():
    """Return NGC 4047 as maps: Salpeter, means of logarithms, distance of the EDGE sample."""
    from astropy.table import Table

    place = importlib.util.find_spec("edge_pydb")
    assert place is not None
    path = Path(str(place.origin)).parent / "img_califa" / "NGC4047_allpix.pipe3d.hdf5"
    table = Table.read(path, path="SSP")
    table["rate"] = Table.read(path, path="ELINES")["sigsfr_adopt"]
    log = {"weighting": "mass", "average": "log"}
    return convert_maps(
        {
            "stellar_mass": PublishedMap("sigstar_Avcor", None, imf="salpeter"),
            "sfr": PublishedMap("rate", None, imf="salpeter", averaging_time=10 * u.Myr),
            "stellar_age": PublishedMap("age_mwt", u.dex(u.yr), **log),
            "stellar_metallicity": PublishedMap("ZH_mwt", u.dex, solar_metallicity=0.019, **log),
        },
        table=table,
        sky=("ra_abs", "dec_abs"), redshift=0.0114, luminosity_distance=49.1 * u.Mpc,
        approximate=["sfr"],
    )  # fmt: skip


def mock_maps():
    """Return true and estimated maps of disks that form stars, of NGC 4047's mass."""
    generator = MockGenerator(4047, survey="sdss", n_pixels=64, mass_range=(10.4, 10.7),
                              redshift=(0.02, 0.04))  # fmt: skip
    numbers = np.arange(6 * MOCKS)
    parameters = generator.galaxies.parameters(numbers)
    like = (np.asarray(parameters["quenched"]) == 0) & (np.asarray(parameters["green"]) == 0)
    like &= (np.asarray(parameters["cos_inclination"]) > 0.5) & (
        np.asarray(parameters["companion"]) == 0
    )
    mocks = generator.draw(numbers[like][:MOCKS])
    truth = (mocks.truth if mocks.truth_at_psf is None else mocks.truth_at_psf).properties()
    estimator = CNNEstimator()
    found = [estimator.estimate(mocks.to_band_images(k)) for k in range(len(mocks))]
    names = ("stellar_mass", "sfr", "stellar_age", "stellar_metallicity")
    seen = {name: np.stack([maps[name].data for maps in found]) for name in names}
    return {name: truth[name].numpy() for name in names}, seen


def _pixels(maps, suffix="") -> dict[str, np.ndarray]:
    """Return logarithms of all pixels."""
    found = {}
    for name in ("stellar_mass", "sfr", "stellar_age", "stellar_metallicity"):
        key = name + suffix if name + suffix in maps else name
        plane = maps[key]
        with np.errstate(divide="ignore", invalid="ignore"):
            found[name] = np.log10(np.ravel(getattr(plane, "data", plane)))
    return found


def _running(x, y, edges):
    """Return 16, 50 and 84 % of y in bins of x, NaN where there are few."""
    good = np.isfinite(x) & np.isfinite(y)
    rows = []
    for low, high in pairwise(edges):
        inside = y[good & (x >= low) & (x < high)]
        rows.append(np.percentile(inside, (16, 50, 84)) if len(inside) > 20 else [np.nan] * 3)
    return np.array(rows).T


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["sami", "ngc4047"]
    if "sami" in wanted and SAMI.is_dir():
        sami()
    if "ngc4047" in wanted and importlib.util.find_spec("edge_pydb") is not None:
        ngc4047()
