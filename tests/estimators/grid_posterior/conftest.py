"""A small library, and pixels drawn from the same prior but not from its models."""

import numpy as np
import pytest

from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.sps import ModelLibrary, SEDPrior

BANDS = [f"sdss2010-{band}" for band in "ugriz"]
#: Noise relative to that of r.
NOISE = np.array([4.0, 1.2, 1.0, 1.1, 2.0])


class SmallLibrary:
    """A library in double precision, and how to fit with it."""

    def __init__(self, n_models):
        library = ModelLibrary.build(BANDS, 0.05, n_models=n_models, prior=SEDPrior.flat())
        properties = {k: v.astype(float) for k, v in library.properties.items()}
        self.flux = library.fluxes.astype(float)
        self.scaled = {"mass": properties["surviving_fraction"], "sfr": properties["ssfr100"]}
        self.intensive = {
            name: properties[name]
            for name in ("stellar_age", "stellar_metallicity", "attenuation_v")
        }
        self.edge = properties["attenuation_v"] > 1.5
        self.values = {**self.scaled, **self.intensive}

    def posterior(self, error_floor=0.0):
        return GridPosterior(
            self.flux,
            amplitude_scaled=self.scaled,
            intensive=self.intensive,
            edge=self.edge,
            error_floor=error_floor,
            device="cpu",
        )


@pytest.fixture(scope="session")
def library():
    return SmallLibrary(3000)


@pytest.fixture(scope="session")
def posterior(library):
    return library.posterior()


@pytest.fixture(scope="session")
def fresh():
    """Fluxes of models from the prior that are not in the library."""
    library = ModelLibrary.build(BANDS, 0.05, n_models=256, seed=7, prior=SEDPrior.flat())
    return 1e8 * library.fluxes.astype(float)


@pytest.fixture(scope="session")
def observe(fresh):
    """Give fresh fluxes noise; return fluxes and inverse variances."""

    def observe(n, signal_to_noise, seed=3):
        ratio = np.broadcast_to(signal_to_noise, n)[:, None]
        flux = fresh[np.arange(n) % len(fresh)]
        sigma = flux * NOISE / ratio
        noise = np.random.default_rng(seed).standard_normal(flux.shape)
        return flux + sigma * noise, sigma**-2

    return observe
