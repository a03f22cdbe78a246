"""A mock whose populations are known, pixel by pixel, and its spectra."""

from types import SimpleNamespace

import astropy.units as u
import numpy as np
import pytest

from picasssso.sps import ModelLibrary

SHAPE = 6, 7
BANDS = "sdss2010-g", "sdss2010-r", "sdss2010-i", "sdss2010-z"


@pytest.fixture(scope="session")
def mock():
    """Models of a library, one in each spaxel: spectra, and fluxes by the package's photometry."""
    redshift, pixel = 0.03, 0.25 * u.arcsec**2
    library = ModelLibrary.build(BANDS, redshift, n_models=SHAPE[0] * SHAPE[1], seed=4)
    surface = np.geomspace(1e8, 1e9, library.n_models)  # Msun/kpc2 formed
    spectra = [library.spectrum(k) for k in range(library.n_models)]
    wave = spectra[0].spectral_axis.to_value(u.AA)
    f_nu = np.stack([one.flux.to_value("nmgy / arcsec2") for one in spectra], axis=-1)
    f_nu = (f_nu * surface * pixel.value).reshape(len(wave), *SHAPE)
    # Spectra stop short of nothing that a cube has, and begin far below it.
    used = (wave > 2500) & (wave < 12000)
    fluxes = np.asarray(library.fluxes, float) * surface[:, None] * pixel.value
    return SimpleNamespace(
        spectra=(wave[used], f_nu[used]),
        flux={band: fluxes[:, k].reshape(SHAPE) for k, band in enumerate(BANDS)},
        redshift=redshift,
        library=library,
    )
