"""What the prior of the SED fit does to real galaxies: the NSA's totals against GSWLC-X2.

The fluxes of the NASA-Sloan Atlas are fitted under several priors, in ugriz and with GALEX,
and compared with stellar masses, attenuations and star formation rates of GSWLC-X2
(Salim et al. 2018, ApJ 859, 11), which come from the same ultraviolet and optical bands
and from the energy that dust emits at 22 micron. Each galaxy is one pixel of
`BandImages`; what is compared are the numbers a user gets from `PropertyMaps.total`,
with their errors.

Give the folder of `nsa_galaxies.fits` (``--folder``): rows of the NASA-Sloan Atlas v0 with those
of GSWLC-X2 matched by position. Redshifts are rounded to 0.004, so that galaxies share model
libraries; distances are their own. Results go to `results/sed_prior_real.json`, the table of
the documentation to `docs/_tables/sed_priors.inc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.cosmology import FlatLambdaCDM
from astropy.table import Table
from records import SHARED, number, options_of, record, write_table
from sed_fit_common import NO_EXTINCTION, nmad

from picasssso import BandImages, SEDFitEstimator
from picasssso.sps import SEDPrior

#: Bands of the catalog, in its order.
ALL_BANDS = ("galex-fuv", "galex-nuv", *(f"sdss2010-{band}" for band in "ugriz"))
BAND_SETS = {"ugriz": ALL_BANDS[2:], "FUV-z": ALL_BANDS}
#: Error of the photometry, as a fraction of the flux; the fit adds its own error floor.
PHOTOMETRIC_ERROR = 0.03
REDSHIFT_STEP = 0.004
#: log sSFR in 1/yr of GSWLC: above the first galaxies form stars, below the second they do not.
STAR_FORMING, QUIESCENT = -10.8, -11.5
#: log sSFR below which a fit agrees that a galaxy is quiescent.
CALLED_QUIESCENT = -11.0
#: That of GSWLC's masses (Salim et al. 2016, ApJS 227, 2); Planck18 adds 0.03 dex.
COSMOLOGY = FlatLambdaCDM(H0=70.0, Om0=0.27)
N_MODELS = 20_000

PRIORS = {
    "flat": SEDPrior.flat(),
    "flat, dust of the default": replace(
        SEDPrior.flat(), attenuation=SEDPrior().distribution("attenuation")
    ),
    "default": SEDPrior(),
    "steps, flat": SEDPrior.flat(history="steps"),
    "steps": SEDPrior(history="steps"),
}
#: The bars of a fit in ugriz under the default prior.
BARS = {
    "mass_offset_dex": (-0.08, 0.08),
    "mass_nmad_dex": (0.0, 0.10),
    "mass_within_error": (0.60, 0.85),
    "attenuation_offset_mag": (-0.2, 0.2),
    "attenuation_offset_quiescent_mag": (-0.2, 0.2),
    "sfr_offset_forming_dex": (-0.2, 0.2),
    "quiescent_called_so": (0.9, 1.0),
}
PROPERTIES = ("stellar_mass", "sfr", "attenuation_v", "stellar_age", "stellar_metallicity")


def make_image(galaxy: Any, bands: tuple[str, ...]) -> BandImages:
    """Return a galaxy as one pixel."""
    redshift = round(float(galaxy["redshift"]) / REDSHIFT_STEP) * REDSHIFT_STEP
    known = [k for k, band in enumerate(ALL_BANDS) if band in bands and galaxy["flux_ivar"][k] > 0]
    flux, weight = (np.asarray(galaxy[name], float)[known] for name in ("flux", "flux_ivar"))
    return BandImages.from_cube(
        flux[:, None, None],
        [ALL_BANDS[k] for k in known],
        u.nmgy,
        uncertainty=np.hypot(weight**-0.5, PHOTOMETRIC_ERROR * flux)[:, None, None],
        redshift=redshift,
        luminosity_distance=COSMOLOGY.luminosity_distance(float(galaxy["redshift"])),
        pixel_scale=10 * u.arcsec,
        galactic_extinction=NO_EXTINCTION,
    )


def fit(galaxies: Table, bands: tuple[str, ...], estimator: SEDFitEstimator) -> dict[str, Any]:
    """Return totals, their errors and medians of all galaxies, arrays of shape (n,)."""
    result: dict[str, Any] = {
        f"{name}{kind}": np.full(len(galaxies), np.nan)
        for name in PROPERTIES
        for kind in ("", "_error", "_median")
    }
    for k in np.argsort(galaxies["redshift"]):
        maps = estimator.estimate(make_image(galaxies[k], bands), progress=False)
        for name in PROPERTIES:
            total = maps.total(name, correlation="independent")
            result[name][k] = total.value.value
            result[f"{name}_error"][k] = total.uncertainty.value
            # Percentiles are per area where the total is not.
            area = result[name][k] / maps.mean(name).value[0, 0]
            result[f"{name}_median"][k] = maps.percentile(name, 50).value[0, 0] * area
    return result


def compare(galaxies: Table, fitted: Mapping[str, Any]) -> dict[str, float]:
    """Return how a fit compares with GSWLC; offsets are medians of fit less GSWLC.

    Errors of masses and star formation rates count in dex: the error over the value.
    """
    truth = {
        name: np.asarray(galaxies[name], float)
        for name in ("log_mass", "log_sfr", "attenuation_v")
    }
    ssfr = truth["log_sfr"] - truth["log_mass"]
    forming, quiescent = ssfr > STAR_FORMING, ssfr < QUIESCENT

    def dex(name: str) -> np.ndarray:
        return np.asarray(fitted[f"{name}_error"] / fitted[name] / np.log(10))

    with np.errstate(divide="ignore"):
        mass = np.log10(fitted["stellar_mass"]) - truth["log_mass"]
        sfr = np.log10(fitted["sfr"]) - truth["log_sfr"]
        called = np.log10(fitted["sfr_median"] / fitted["stellar_mass_median"])
    dust = fitted["attenuation_v"] - truth["attenuation_v"]

    return {
        "mass_offset_dex": float(np.median(mass)),
        "mass_nmad_dex": nmad(mass),
        "mass_within_error": float(np.mean(np.abs(mass) <= dex("stellar_mass"))),
        "attenuation_offset_mag": float(np.median(dust)),
        "attenuation_offset_quiescent_mag": float(np.median(dust[quiescent])),
        "sfr_offset_forming_dex": float(np.median(sfr[forming])),
        "quiescent_called_so": float(np.mean(called[quiescent] < CALLED_QUIESCENT)),
        "age_quiescent_gyr": float(np.median(fitted["stellar_age"][quiescent])),
        "metallicity_quiescent": float(np.median(fitted["stellar_metallicity"][quiescent])),
    }


#: Columns of the table in the documentation: title, figure, digits.
COLUMNS = (
    ("mass (dex)", "mass_offset_dex", 2),
    ("NMAD", "mass_nmad_dex", 2),
    ("in 68 % range", "mass_within_error", 2),
    ("A_V (mag)", "attenuation_offset_mag", 2),
    ("quiescent", "attenuation_offset_quiescent_mag", 2),
    ("SFR (dex)", "sfr_offset_forming_dex", 2),
    ("called quiescent", "quiescent_called_so", 2),
    ("age, quiescent (Gyr)", "age_quiescent_gyr", 1),
    ("Z, quiescent", "metallicity_quiescent", 3),
)


def table_rows(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[list[str]]:
    """Return the rows of the table of the documentation."""
    rows = [["bands", "prior", *(title for title, _, _ in COLUMNS)]]
    for bands, fits in results.items():
        for prior, figures in fits.items():
            cells = [number(figures[name], n, "offset" in name) for _, name, n in COLUMNS]
            rows.append([bands, prior, *cells])
    return rows


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(__doc__, folder=SHARED / "data" / "truth", galaxies=10**6)
    path = Path(options.folder) / "nsa_galaxies.fits"
    if not path.exists():
        raise SystemExit(f"There is no {path}: give its folder with --folder.")
    table = Table.read(path)
    # Those with numbers of GSWLC-X2.
    galaxies = table[~np.ma.getmaskarray(table["log_mass"])][: options.galaxies]
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, bands in BAND_SETS.items():
        for prior, distributions in PRIORS.items():
            estimator = SEDFitEstimator(n_models=N_MODELS, prior=distributions, device="cpu")
            fitted = fit(galaxies, bands, estimator)
            results.setdefault(name, {})[prior] = compare(galaxies, fitted)
    measured = results["ugriz"]["default"]
    record(
        "sed_prior_real.json",
        {
            "galaxies": len(galaxies),
            "n_models": N_MODELS,
            "photometric_error": PHOTOMETRIC_ERROR,
            "fits": results,
            "bars": {
                name: {
                    "measured": measured[name],
                    "expected": [low, high],
                    "met": low <= measured[name] <= high,
                }
                for name, (low, high) in BARS.items()
            },
        },
    )
    write_table("sed_priors", table_rows(results))


if __name__ == "__main__":
    main()
