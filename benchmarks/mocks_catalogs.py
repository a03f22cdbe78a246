#!/usr/bin/env python
"""Mock galaxies against catalogs of real ones: colors, M/L, ages, metals, rates, dust and gas.

Mocks are integrated over frames of 10 half-mass radii at redshift 0.03, without companions,
in one world, in which all zero points have their central values, and in worlds that differ.
Catalogs (in a folder given; the documentation of mocks says where they come from):

- ``nsa_galaxies.fits``: ugriz of the NASA-Sloan Atlas with masses, rates and attenuations of
  GSWLC-X2. The galaxies are in and around groups, where those that form stars do so at lower
  rates than in the field: for each, the mocks of about its mass and specific rate are taken.
  Rates of quiescent galaxies (specific rates below 10^-11.5 / yr) mean little: those are
  matched in mass only;
- ``manga_firefly.fits``: ages and metallicities at one effective radius, and gradients. MaNGA is
  flat in mass: compared in bins of it, all types together;
- ``xgass.fits``: HI, H2 and rates of a sample representative in mass. What was not detected
  has an upper limit. Each mock is given the limit of an xGASS galaxy of about its mass, and
  medians are taken of values or limits, whichever are higher, on both sides;
- ``nsa_galaxies.fits`` again: how much redder in g-i galaxies are inside half of the r band's
  half-light radius than between it and twice that radius, in circles (half-light radii above
  4 arcsec: the PSF's FWHM is 1.3), and attenuations of star-forming galaxies by axis ratio.

What differences are: mocks minus catalog, of medians; where mocks are matched, the median over
galaxies of what the mocks nearest to each have as their median, minus its own. M/L_i is at fixed
g-i. Nothing here is fitted; what is, and to what, stands in the recipe
(``picasssso/mocks/galaxies/scaling_relations.py``).

Run from the root of the repository (``--tables``: only tables and figure, of stored results)::

    python benchmarks/mocks_catalogs.py [--folder FOLDER]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise, product, starmap
from pathlib import Path
from typing import Any

import numpy as np
from astropy.cosmology import Planck18
from astropy.table import Row, Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from records import ROOT, SHARED, TABLES, list_table, load, options_of, record
from scipy.interpolate import PchipInterpolator

from picasssso.evaluation.real.published_tables import column
from picasssso.mocks import ProceduralGalaxies
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.mocks.light import LightTable
from picasssso.mocks.model_error import ModelErrors
from picasssso.sps import SSPGrid

BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
REDSHIFT = 0.03
SEED = 11

#: Absolute AB magnitude of the Sun in SDSS i.
SUN_I = 4.58

#: Hydrogen to all gas, for helium, which xCOLD GASS counts with H2.
HELIUM = 1.36

#: Metallicity that Firefly's [Z/H] is relative to (MaStar models: Maraston et al. 2020, MNRAS
#: 496, 2962).
FIREFLY_SUN = 0.019

#: Log10 of specific rates in 1/yr: quiescent below the first, forming stars above the second.
QUIESCENT, STAR_FORMING = -11.5, -11.0

#: Edges of the bins: of log10 stellar mass for the NSA and for the others, of g-i.
NSA_EDGES = (8.8, 9.5, 10.0, 10.5, 11.5)
MASS_EDGES = (9.0, 9.5, 10.0, 10.5, 11.0, 11.5)
COLOR_EDGES = (0.4, 0.6, 0.8, 1.0, 1.3)
RATE_EDGES = (-11.0, -10.4, -10.1, -9.9, -9.0)
RATIO_EDGES = (0.0, 0.35, 0.65, 1.0)

COLORS = ("u-r", "g-r", "r-i", "i-z")
GRADIENT = "g-i gradient"
#: Of MaNGA, all types together; of xGASS.
SPECTRA = ("log_age", "metallicity", "age_gradient", "metallicity_gradient")
GAS = ("log_ssfr", "log_hi", "log_h2")

TYPES = QUIET, FORMING = ("quiescent", "star-forming")

#: How far medians of mocks may lie below and above those of catalogs.
BARS = {
    "u-r": (-0.06, 0.06),
    "g-r": (-0.03, 0.03),
    "i-z": (-0.03, 0.03),
    "log_ml": (0.0, 0.15),
    "log_age": (-0.07, 0.07),
    "log_hi": (-0.15, 0.15),
    "log_h2": (-0.15, 0.15),
}

LIKE = {"log_mass": 0.25, "log_ssfr": 0.15}
#: Types, what their bins are of, and in which quantities, measured in which lengths, mocks are the
#: nearest to a galaxy; the last also for M/L.
MATCHED: tuple[tuple[str, str, tuple[float, ...], dict[str, float]], ...] = (
    (QUIET, "log_mass", NSA_EDGES, {"log_mass": 0.25}),
    (FORMING, "log_mass", NSA_EDGES, LIKE),
    (FORMING, "log_ssfr", RATE_EDGES, LIKE),
    (FORMING, "axis_ratio", RATIO_EDGES, {**LIKE, "axis_ratio": 0.05}),
)
NEAR_IN_COLOR = {"g-i": 0.03, "log_mass": 0.5}
NEIGHBORS = 15

#: Bins with fewer galaxies are left out.
LEAST = 5

#: Half-light over half-mass radii of the mocks, as in their recipe.
LIGHT_RADIUS = 1.0 / 0.85

#: Color gradients: of this part of the mocks, in frames of so many pixels; radii over half-light
#: radii; smallest half-light radius of galaxies of the NSA in arcsec.
GRADIENT_PART, GRADIENT_PIXELS = 0.06, 80
INNER, OUTER = 0.5, 2.0
LEAST_RADIUS = 4.0

#: Pixel of the NSA in arcsec.
PIXEL = 0.396

Sample = dict[str, np.ndarray]


def with_colors(values: Sample, magnitude: np.ndarray) -> Sample:
    """Add colors and M/L_i; magnitudes are absolute, of shape (n, 5)."""
    u, g, r, i, z = magnitude.T
    colors = {"u-r": u - r, "g-r": g - r, "r-i": r - i, "i-z": i - z, "g-i": g - i}
    return {**values, **colors, "log_ml": values["log_mass"] + 0.4 * (i - SUN_I)}


def color_gradient(growth: np.ndarray, radius: np.ndarray) -> float:
    """Return g-i inside half the half-light radius less that from there to twice the radius.

    ``growth``: flux in g, r and i inside circles of increasing ``radius``; from nothing at 0.
    """
    half = np.interp(0.5, np.maximum.accumulate(growth[1]) / growth[1].max(), radius)
    inner, outer = (
        np.array([np.interp(factor * half, radius, growth[k]) for k in (0, 2)])
        for factor in (INNER, OUTER)
    )
    g, i = (outer - inner) / inner
    return float(2.5 * np.log10(g / i)) if min(g, i) > 0 else np.nan


def axis_ratios(p: Sample) -> np.ndarray:
    """Return axis ratios of spheroids or of inclined disks."""
    tilt = p["cos_inclination"] ** 2
    disk = np.sqrt(tilt + (1 - tilt) * p["thickness"] ** 2)
    return np.where(p["spheroid"] > 0, p["bulge_axis_ratio"], disk)


def elliptical_radius(p: Sample, n_pixels: int) -> np.ndarray:
    """Return radii on galaxies' ellipses over half-light radii, of shape (n, y, x)."""
    pixel = p["pixel_scale_kpc"][:, None, None]
    steps = np.arange(n_pixels) - 0.5 * (n_pixels - 1)
    cosine, sine = (f(p["position_angle"])[:, None, None] for f in (np.cos, np.sin))
    x, y = steps[None, None, :] * pixel, steps[None, :, None] * pixel
    along = x * cosine + y * sine - p["offset_x"][:, None, None] * pixel
    across = y * cosine - x * sine - p["offset_y"][:, None, None] * pixel
    radius = np.hypot(along, across / axis_ratios(p)[:, None, None])
    return radius / (p["half_mass_radius"] * LIGHT_RADIUS)[:, None, None]


def at_one_radius(value: np.ndarray, mass: np.ndarray, radius: np.ndarray) -> list[np.ndarray]:
    """Return log10 of a mean weighted by mass at one half-light radius, and its slope to 1.5."""
    rings = []
    for low, high in ((0.75, 1.25), (0.0, 0.5), (0.5, 1.0), (1.0, 1.5)):
        inside = mass * ((radius >= low) & (radius < high))
        rings.append(np.log10((value * inside).sum((1, 2)) / inside.sum((1, 2))))
    return [rings[0], (rings[3] - rings[1]) / 1.0]


def painted(
    n: int, worlds: bool, n_pixels: int
) -> Iterator[tuple[Galaxies, Sample, np.ndarray, np.ndarray]]:
    """Yield mocks, their parameters, surface brightness and sums, of shape (n, ..., y, x)."""
    source = ProceduralGalaxies(
        SEED, survey="paper_field", n_pixels=n_pixels, redshift=REDSHIFT, mass_weight=0.35,
        worlds=worlds, device="cpu",
    )  # fmt: skip
    table = LightTable.build(BANDS, REDSHIFT)
    index = np.arange(n)
    parameters = source.parameters(index)
    parameters["companion"][:] = 0
    for galaxies in source._render_chunks(index, parameters, 100):
        p = galaxies.parameters
        errors = ModelErrors.draw(SEED, galaxies.index.numpy(), color=0.0, level=0.0)
        errors = errors.in_worlds(p["world_mass_to_light"], p["world_young_light"])
        light = table.light(galaxies, errors)
        maps = (light.surface_brightness, light.truth.sums)
        yield galaxies, p, *(plane.double().numpy() for plane in maps)


def mass_and_rate(sums: np.ndarray, pixel_scale_kpc: np.ndarray) -> Sample:
    """Return logarithms of masses and specific rates, of maps' totals of shape (n, ...)."""
    mass = sums[:, 0] * pixel_scale_kpc**2
    specific = np.maximum(sums[:, 3] / sums[:, 0], 1e-15)
    return {"log_mass": np.log10(mass), "log_ssfr": np.log10(specific)}


def joined(chunks: list[Sample]) -> Sample:
    """Return chunks of mocks as one."""
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def mock_gradients(n: int, worlds: bool) -> Sample:
    """Return masses, specific rates and color gradients of mock galaxies."""
    chunks = []
    steps = np.arange(GRADIENT_PIXELS) - 0.5 * (GRADIENT_PIXELS - 1)
    # Pixels fill circles one after the other.
    radius = np.sqrt(np.arange(GRADIENT_PIXELS**2 + 1) / np.pi)
    for galaxies, p, brightness, maps in painted(n, worlds, GRADIENT_PIXELS):
        gradients = []
        for x, y, planes in zip(p["offset_x"], p["offset_y"], brightness, strict=True):
            order = np.argsort(np.hypot(steps - x, steps[:, None] - y).ravel())
            growth = np.cumsum(planes[1:4].reshape(3, -1)[:, order], axis=1)
            gradients.append(color_gradient(np.insert(growth, 0, 0.0, axis=1), radius))
        values = mass_and_rate(maps.sum((2, 3)), galaxies.pixel_scale_kpc.numpy())
        chunks.append({**values, GRADIENT: np.array(gradients)})
    return joined(chunks)


def mocks(n: int, worlds: bool, n_pixels: int = 32) -> Sample:
    """Return integrated properties of mock galaxies; rates and masses of gas as log10."""
    chunks = []
    for galaxies, p, brightness, maps in painted(n, worlds, n_pixels):
        flux = brightness.sum((2, 3)) * (galaxies.pixel_scale.numpy() ** 2)[:, None]
        sums, scale = maps.sum((2, 3)), galaxies.pixel_scale_kpc.numpy()
        radius = elliptical_radius(p, n_pixels)
        mass = maps[:, 0]
        with np.errstate(invalid="ignore", divide="ignore"):
            age, age_gradient = at_one_radius(maps[:, 2] / mass, mass, radius)
            metals, metals_gradient = at_one_radius(maps[:, 1] / mass, mass, radius)
        values = mass_and_rate(sums, scale)
        h2 = (sums[:, 4] - HELIUM * sums[:, 6]) * scale**2
        values |= {
            "attenuation": 2.5 * np.log10(sums[:, 7] / sums[:, 8]),
            "axis_ratio": axis_ratios(p),
            "log_age": age,
            "age_gradient": age_gradient,
            "metallicity": metals - np.log10(FIREFLY_SUN),
            "metallicity_gradient": metals_gradient,
            "log_hi": np.log10(np.maximum(p["hi_mass"], 1e5)) - values["log_mass"],
            "log_h2": np.log10(np.maximum(h2, 1e5)) - values["log_mass"],
        }
        distance = Planck18.distmod(REDSHIFT).value
        chunks.append(with_colors(values, 22.5 - 2.5 * np.log10(flux) - distance))
    return joined(chunks)


def nsa(folder: Path) -> Sample:
    """Return the galaxies of the NSA with values of GSWLC-X2."""
    table = Table.read(folder / "nsa_galaxies.fits")
    names = "log_mass log_sfr attenuation_v redshift_distance axis_ratio sersic_r50"
    mass, sfr, dust, redshift, ratio, half = (column(table, name) for name in names.split())
    flux = np.clip(np.asarray(table["flux"], dtype=float)[:, 2:], 1e-9, None)
    keep = np.isfinite(mass)
    distance = Planck18.distmod(redshift[keep]).value
    values = {
        "log_mass": mass[keep], "log_ssfr": (sfr - mass)[keep], "attenuation": dust[keep],
        "axis_ratio": ratio[keep],
        GRADIENT: np.array([
            profile_gradient(row) if large else np.nan
            for row, large in zip(table[keep], half[keep] > LEAST_RADIUS, strict=True)
        ]),
    }  # fmt: skip
    return with_colors(values, 22.5 - 2.5 * np.log10(flux[keep]) - distance[:, None])


def profile_gradient(row: Row) -> float:
    """Return the color gradient of a galaxy of the NSA, of annuli with signal in g, r and i."""
    edges = np.asarray(row["profile_radius"], dtype=float)
    flux = np.ma.filled(np.ma.asarray(row["profile_flux"]).astype(float), 0.0)[:, 3:6]
    good = (flux > 0).all(axis=1) & (flux[:, 1] > 10 ** (0.4 * (22.5 - 25.5)) * PIXEL**2)
    n = len(good) if good.all() else int(np.argmin(good))
    if n < 4:
        return np.nan
    edges, flux = edges[:n], flux[:n] * np.diff(edges[:n] ** 2, prepend=0.0)[:, None]
    extinction = np.asarray(row["galactic_extinction"], dtype=float)[3:6]
    growth = np.cumsum(flux, axis=0) * 10.0 ** (0.4 * extinction)
    # Circles grow with area, and light about with the radius.
    radius = np.insert(edges, 0, 0.0)
    fine = np.linspace(0.0, radius[-1], 400)
    growth = PchipInterpolator(radius, np.insert(growth, 0, 0.0, axis=0))(fine)
    return color_gradient(growth.T, fine)


def firefly(folder: Path) -> Sample:
    """Return MaNGA's galaxies with mass-weighted values of Firefly."""
    table = Table.read(folder / "manga_firefly.fits")
    names = {
        "log_mass": "log_mass", "log_age": "mw_age_1re", "age_gradient": "mw_age_gradient",
        "metallicity": "mw_z_1re", "metallicity_gradient": "mw_z_gradient",
    }  # fmt: skip
    return {ours: column(table, theirs) for ours, theirs in names.items()}


def xgass(folder: Path) -> Sample:
    """Return xGASS with masses of gas over stellar mass; limits where there is no detection."""
    table = Table.read(folder / "xgass.fits")
    names = "log_mass log_sfr log_hi_mass log_h2_mass log_h2_limit"
    mass, sfr, hi, h2, limit = (column(table, name) for name in names.split())
    seen = h2 > 0
    return {
        "log_mass": mass,
        "log_ssfr": sfr - mass,
        "log_hi": hi - mass,
        "seen_hi": np.asarray(table["hi_flag"]) != 99,
        "log_h2": np.where(seen, h2, np.where(limit > 0, limit, np.nan)) - mass,
        "seen_h2": seen,
    }


def of_type(values: Sample, kind: str) -> np.ndarray:
    """Return which galaxies are of a type; rates do not matter for all types together."""
    rate = values.get("log_ssfr", values["log_mass"])
    of_kind = {QUIET: rate < QUIESCENT, FORMING: rate > STAR_FORMING}
    return of_kind.get(kind, np.isfinite(rate))


def inside(values: Sample, name: str, edges: tuple[float, float]) -> np.ndarray:
    """Return which galaxies are in a bin."""
    return (values[name] >= edges[0]) & (values[name] < edges[1])


def select(values: Sample, which: np.ndarray) -> Sample:
    """Return some galaxies."""
    return {name: value[which] for name, value in values.items()}


def nearest(sample: Sample, real: Sample, lengths: dict[str, float]) -> np.ndarray:
    """Return the numbers of the mocks nearest to each real galaxy, of shape (n, NEIGHBORS)."""
    distance = np.zeros((len(real["log_mass"]), len(sample["log_mass"])))
    for name, length in lengths.items():
        distance += ((real[name][:, None] - sample[name]) / length) ** 2
    return np.argsort(distance, axis=1)[:, :NEIGHBORS]


def percentiles(values: np.ndarray) -> list[float]:
    """Return the 16th, 50th and 84th percentile."""
    return list(np.nanpercentile(values, [16, 50, 84]))


def difference(ours: np.ndarray, theirs: np.ndarray) -> dict[str, Any]:
    """Return the difference of medians, and the percentiles of ours."""
    found = percentiles(ours)
    return {"difference": found[1] - percentiles(theirs)[1], "percentiles": found}


def row(
    quantity: str, kind: str, edges: tuple[float, float], theirs: np.ndarray,
    along: str = "log_mass",
) -> dict:  # fmt: skip
    """Return what a catalog says in one bin."""
    theirs = theirs[np.isfinite(theirs)]
    low, middle, high = percentiles(theirs)
    return {
        "quantity": quantity, "type": kind, "along": along, "bin": list(edges),
        "galaxies": len(theirs),
        "catalog": [low, middle, high],
        "error": 1.2533 * 0.5 * (high - low) / len(theirs) ** 0.5,
        "bar": BARS.get(quantity),
    }  # fmt: skip


def colors(samples: dict[str, Sample], real: Sample) -> Iterator[dict]:
    """Compare colors and attenuations with mocks of about the same mass, rate and shape."""
    for kind, along, edges_along, lengths in MATCHED:
        theirs = select(real, of_type(real, kind))
        ours = {world: select(one, of_type(one, kind)) for world, one in samples.items()}
        near = {world: nearest(one, theirs, lengths) for world, one in ours.items()}
        for edges in pairwise(edges_along):
            b = inside(theirs, along, edges)
            if b.sum() < LEAST:
                continue
            for name in ("attenuation",) if along == "axis_ratio" else (*COLORS, "attenuation"):
                values = theirs[name][b]
                found = row(name, kind, edges, values, along)
                for world, one in ours.items():
                    some = one[name][near[world][b]]
                    found[world] = difference(some, values)
                    if along != "axis_ratio":
                        all_of_bin = difference(one[name][inside(one, along, edges)], values)
                        found[world] |= {
                            "difference": np.median(np.median(some, axis=1) - values),
                            "not_matched": all_of_bin["difference"],
                        }
                yield found


def mass_to_light(samples: dict[str, Sample], real: Sample) -> Iterator[dict]:
    """Compare log M/L_i at fixed g-i: of all mocks, or of those of about the same mass too."""
    near = {world: nearest(one, real, NEAR_IN_COLOR) for world, one in samples.items()}
    for edges in pairwise(COLOR_EDGES):
        b = inside(real, "g-i", edges)
        found = row("log_ml", "all", edges, real["log_ml"][b], "g-i")
        for world, one in samples.items():
            some = np.median(one["log_ml"][near[world][b]], axis=1)
            found[world] = {
                **at_fixed_color(one, real, edges),
                "same_mass": np.median(some - real["log_ml"][b]),
            }
        yield found


def at_fixed_color(sample: Sample, real: Sample, edges: tuple[float, float]) -> dict[str, Any]:
    """Return differences of M/L in steps of 0.1 of g-i within a bin, and their mean."""
    fine = np.arange(edges[0], edges[1] - 0.05, 0.1)
    steps = []
    for low in fine:
        a, b = (v["log_ml"][inside(v, "g-i", (low, low + 0.1))] for v in (sample, real))
        if len(b) >= 5:
            steps.append(np.median(a) - np.median(b))
    ours = sample["log_ml"][inside(sample, "g-i", edges)]
    return {"difference": np.mean(steps), "steps": steps, "percentiles": percentiles(ours)}


def binned(
    samples: dict[str, Sample], real: Sample, names: Iterable[str], kinds: Iterable[str],
    edges_of_mass: Iterable[float],
) -> Iterator[dict]:  # fmt: skip
    """Compare quantities by mass and type, counting limits, if there are some, on both sides."""
    for name, kind, edges in product(names, kinds, pairwise(edges_of_mass)):
        in_bin = inside(real, "log_mass", edges) & np.isfinite(real[name])
        theirs = in_bin & of_type(real, kind)
        if theirs.sum() < LEAST:
            continue
        found = row(name, kind, edges, real[name][theirs])
        seen = real.get(f"seen_{name.removeprefix('log_')}")
        if seen is not None:
            found["detected"] = seen[theirs].mean()
            # Limits are of the survey's depth at a mass, whatever the type.
            limits = real[name][in_bin & ~seen]
        for world, one in samples.items():
            ours = one[name][of_type(one, kind) & inside(one, "log_mass", edges)]
            limit = np.full(len(ours), -np.inf)
            if seen is not None and len(limits):
                limit = np.random.default_rng(SEED).choice(limits, len(ours))
            found[world] = difference(np.maximum(ours, limit), real[name][theirs])
            if seen is not None:
                found[world]["detected"] = (ours > limit).mean()
        yield found


def compare(folder: Path, samples: dict[str, Sample]) -> list[dict]:
    """Return comparisons of sets of mocks, by name, with the catalogs in a folder."""
    real = nsa(folder)
    return [
        *colors(samples, real),
        *mass_to_light(samples, real),
        *binned(samples, firefly(folder), SPECTRA, ("all",), MASS_EDGES),
        *binned(samples, xgass(folder), GAS, ("all", *TYPES), MASS_EDGES),
    ]


# ---- tables and figure ----------------------------------------------------------------------

#: What the tables call the quantities.
NAMES = {
    "attenuation": "A\\ :sub:`V`",
    "g-i gradient": "g-i inside half of r\\ :sub:`50` less outside",
    "log_ml": "log M/L\\ :sub:`i`, at g-i of",
    "log_age": "log age",
    "metallicity": "[Z/H]",
    "age_gradient": "gradient of log age",
    "metallicity_gradient": "gradient of [Z/H]",
    "log_ssfr": "log SFR/M\\ :sub:`*`",
    "log_hi": "log HI/M\\ :sub:`*`",
    "log_h2": "log H\\ :sub:`2`/M\\ :sub:`*`",
}

#: What is drawn, and what the axes are called.
LABELS = {
    "u-r": "u - r (mag)",
    "g-r": "g - r (mag)",
    "i-z": "i - z (mag)",
    "attenuation": "A$_V$ (mag)",
    "log_ml": "log M/L$_i$ (M$_\\odot$/L$_\\odot$)",
    "log_age": "log age (Gyr), mass-weighted",
    "log_hi": "log HI / M$_*$, limits counted",
    "log_h2": "log H$_2$ / M$_*$, limits counted",
}

#: Color, marker and hatch by type: distinct in gray too.
STYLES: dict[str, dict[str, Any]] = {
    FORMING: {"color": "#7fb2e5", "line": "#2b6cb0", "marker": "o", "fill": "white"},
    QUIET: {"color": "#c46a5a", "line": "#7a1f12", "marker": "s", "fill": "black"},
    "all": {"color": "#b5b5b5", "line": "#555555", "marker": "D", "fill": "black"},
}


def cell(row: dict | None) -> str:
    """Return the differences of both sets of mocks, bold where outside of the bar."""
    if row is None:
        return ""
    words = []
    for world in ("one_world", "worlds"):
        found = row[world].get("steps", [row[world]["difference"]])
        difference = row[world]["difference"]
        bar = row["bar"]
        missed = bar is not None and any(not bar[0] <= value <= bar[1] for value in found)
        text = f"{difference:+.{3 if row['quantity'] in COLORS else 2}f}"
        words.append(f"**{text}**" if missed else text)
    return " / ".join(words)


def wanted(bar: tuple[float, float] | None) -> str:
    """Return a bar in words."""
    if bar is None:
        return ""
    return f"± {bar[1]:g}" if bar[0] == -bar[1] else f"{bar[0]:g} to {bar[1]:g}"


def table_lines(
    rows: list[dict], asked: Iterable[tuple[str, str]], edges: tuple[float, ...]
) -> list[str]:
    """Return a list-table of some quantities and types in bins."""
    lines = [["quantity", "galaxies", "bar", *starmap("{:g}-{:g}".format, pairwise(edges))]]
    for quantity, kind in asked:
        of_color = quantity == "log_ml"
        by_bin = {tuple(row["bin"]): row for row in of(rows, quantity, kind)}
        bins = list(pairwise(COLOR_EDGES if of_color else edges))
        found = [by_bin.get(one) for one in bins]
        name, cells = NAMES.get(quantity, quantity), [cell(row) for row in found]
        if of_color:
            cells = [f"{b[0]:g}-{b[1]:g}: {text}" for b, text in zip(bins, cells, strict=True)]
        else:
            name = f"{name}, {kind}"
        counts = ", ".join("-" if row is None else str(row["galaxies"]) for row in found)
        lines.append([name, counts, wanted(BARS.get(quantity)), *cells])
    return list_table(lines)


def of(rows: list[dict], quantity: str, kind: str) -> list[dict]:
    """Return the rows of a quantity and a type."""
    return [row for row in rows if (row["quantity"], row["type"]) == (quantity, kind)]


def write_tables(rows: list[dict]) -> None:
    """Write all tables."""
    by_shape = [row for row in rows if row["along"] == "axis_ratio"]
    rows = [row for row in rows if row["along"] in ("log_mass", "g-i")]
    first = [*product((*COLORS, "attenuation", GRADIENT), TYPES), ("log_ml", "all")]
    second = [(name, "all") for name in (*SPECTRA, "log_ssfr")] + [("log_ssfr", FORMING)]
    second += product(("log_hi", "log_h2"), ("all", *TYPES))
    lines = [
        *table_lines(rows, first, NSA_EDGES), "", *table_lines(rows, second, MASS_EDGES), "",
        "By axis ratio:", "", *table_lines(by_shape, [("attenuation", FORMING)], RATIO_EDGES),
    ]  # fmt: skip
    (TABLES / "mocks_catalogs.inc").write_text("\n".join(lines) + "\n", encoding="utf-8")


def panel(axis: Axes, rows: list[dict], quantity: str, kinds: tuple[str, ...]) -> None:
    """Draw a quantity in bins: catalogs as points, mocks of one world as a band."""
    for kind in kinds:
        some = of(rows, quantity, kind)
        style = STYLES[kind]
        middle = np.array([np.mean(row["bin"]) for row in some])
        low, center, high = np.array([row["one_world"]["percentiles"] for row in some]).T
        others = [row["worlds"]["percentiles"][1] for row in some]
        axis.fill_between(middle, low, high, color=style["color"], alpha=0.45, lw=0)
        axis.plot(middle, center, color=style["line"], lw=1.8)
        axis.plot(middle, others, color=style["line"], lw=1.2, ls="--")
        low, center, high = np.array([row["catalog"] for row in some]).T
        shift = {QUIET: 0.03, FORMING: -0.03}.get(kind, 0.0)
        axis.errorbar(
            middle + shift, center, [center - low, high - center], fmt=style["marker"], ms=5,
            color="black", mfc=style["fill"], lw=1, capsize=2,
        )  # fmt: skip
    axis.set_ylabel(LABELS[quantity])
    axis.set_xlabel("g - i (mag)" if quantity == "log_ml" else "log M$_*$ (M$_\\odot$)")


def draw(rows: list[dict]) -> None:
    """Draw the figure."""
    figure = Figure(figsize=(13, 6.4), layout="constrained")
    axes = figure.subplots(2, 4)
    for axis, quantity in zip(axes.flat, LABELS, strict=True):
        all_types = quantity in ("log_ml", "log_age")
        panel(axis, rows, quantity, ("all",) if all_types else (FORMING, QUIET))
    line, fill = axes[0, 0].plot, axes[0, 0].fill_between
    handles = [
        *(
            line([], [], color="black", marker=style["marker"], mfc=style["fill"], ls="",
                 label=f"catalog, {kind} (median, 16-84 %)")[0]
            for kind, style in STYLES.items()
        ),
        fill([], [], [], color="0.7", label="mocks, fixed zero points (16-84 %)"),
        *line([], [], color="0.3", lw=1.8, label="median, fixed zero points"),
        *line([], [], color="0.3", lw=1.2, ls="--", label="median, different worlds"),
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncol=3, fontsize=9, frameon=False)
    figure.savefig(ROOT / "docs" / "_static" / "mocks_catalogs.png", dpi=90)


def write_documentation() -> None:
    """Write the tables and draw the figure."""
    rows = load("mocks_catalogs.json")["comparisons"]
    write_tables(rows)
    draw([row for row in rows if row["along"] in ("log_mass", "g-i")])


def main() -> None:
    """Compare, print and write."""
    options = options_of(__doc__, folder=SHARED / "data" / "truth", mocks=10_000, tables=False)
    if options.tables:
        write_documentation()
        return
    few = round(GRADIENT_PART * options.mocks)
    kinds = {"one_world": False, "worlds": True}
    samples = {name: mocks(options.mocks, worlds) for name, worlds in kinds.items()}
    resolved = {name: mock_gradients(few, worlds) for name, worlds in kinds.items()}
    rows = compare(options.folder, samples)
    rows += binned(resolved, nsa(options.folder), (GRADIENT,), TYPES, NSA_EDGES)
    result = {
        "mocks": options.mocks,
        "seed": SEED,
        "redshift": REDSHIFT,
        "stellar_grid": SSPGrid.default().name,
        "comparisons": rows,
    }
    record("mocks_catalogs.json", result)
    write_documentation()


if __name__ == "__main__":
    main()
