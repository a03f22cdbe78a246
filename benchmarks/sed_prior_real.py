"""What the prior of the SED fit does to real galaxies: the NSA's totals against GSWLC-X2.

The fluxes of the NASA-Sloan Atlas are fitted under several priors, in ugriz and with GALEX, and
compared with stellar masses, attenuations and star formation rates of GSWLC-X2 (Salim et al.
2018, ApJ 859, 11), which come from the same ultraviolet and optical bands and from the energy
that dust emits at 22 micron. Galaxies are measured as ``picasssso evaluate`` does with
``experiments/real.toml``, each as one pixel; what that asks for is asked for of the default prior.

Give the folder of `nsa_galaxies.fits` (``--folder``). Results go to `results/sed_prior_real.json`,
the table of the documentation to `docs/_tables/sed_priors.inc`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from astropy.cosmology import FlatLambdaCDM
from records import SHARED, number, options_of, record, write_table

from picasssso.evaluation.real.catalog_galaxies import (
    OPTICAL,
    QUIESCENT,
    estimate_galaxies,
    galaxy_figures,
)
from picasssso.evaluation.real.estimates import RealEstimator, estimated
from picasssso.evaluation.real.published_tables import GALAXY_BANDS, GalaxyCatalog
from picasssso.sps import SEDPrior

BAND_SETS = {"ugriz": OPTICAL, "FUV-z": GALAXY_BANDS}
#: That of GSWLC's masses (Salim et al. 2016, ApJS 227, 2); Planck18 adds 0.03 dex.
COSMOLOGY = FlatLambdaCDM(H0=70.4, Om0=0.272)
#: Redshifts are rounded, so that galaxies share model libraries; distances are their own.
FIT = {"name": "sed_fit", "images": "total", "redshift_step": 0.004}
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
#: Columns of the table in the documentation: title, figure, digits.
COLUMNS = (
    ("mass (dex)", "mass.median", 2),
    ("NMAD", "mass.nmad", 2),
    ("in 68 % range", "mass.in_68", 2),
    ("A_V (mag)", "attenuation.median", 2),
    ("quiescent", "attenuation_quiescent.median", 2),
    ("SFR (dex)", "sfr_star_forming.median", 2),
    ("called quiescent", "quiescent_recognized.share", 2),
    ("age, quiescent (Gyr)", "quiescent.stellar_age", 1),
    ("Z, quiescent", "quiescent.stellar_metallicity", 3),
)


def measure(galaxies: GalaxyCatalog, numbers: list[int], bands: Any, prior: SEDPrior) -> Any:
    """Return how fits of some galaxies compare with GSWLC; offsets are fit less GSWLC."""
    parameters = {"n_models": N_MODELS, "prior": prior, "device": "cpu"}
    fit = RealEstimator({**FIT, "parameters": parameters})
    records = estimate_galaxies(galaxies, numbers, fit, cosmology=COSMOLOGY, bands=bands)
    mass, rate = (galaxies.values(name, numbers) for name in ("log_mass", "log_sfr"))
    found = galaxy_figures(galaxies, records) | {
        "quiescent": {
            name: float(np.median(estimated(records, name, "value")[rate - mass < QUIESCENT]))
            for name in ("stellar_age", "stellar_metallicity")
        }
    }
    parts = (name.split(".") for _, name, _ in COLUMNS)
    return {f"{part}.{figure}": found[part][figure] for part, figure in parts}


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(__doc__, folder=SHARED / "data" / "truth", galaxies=10**6)
    galaxies = GalaxyCatalog.read(options.folder / "nsa_galaxies.fits")
    numbers = galaxies.choose({"gswlc": options.galaxies})
    rows = [["bands", "prior", *(title for title, _, _ in COLUMNS)]]
    fits: dict[str, dict[str, Any]] = {}
    for name, bands in BAND_SETS.items():
        for prior, distributions in PRIORS.items():
            found = measure(galaxies, numbers, bands, distributions)
            fits.setdefault(name, {})[prior] = found
            cells = [number(found[key], n, "median" in key) for _, key, n in COLUMNS]
            rows.append([name, prior, *cells])
    result = {"galaxies": len(numbers), "n_models": N_MODELS, "fits": fits}
    record("sed_prior_real.json", result)
    write_table("sed_priors", rows)


if __name__ == "__main__":
    main()
