"""A redshift uses the order of models that was made for one nearby: nobody can tell."""

from dataclasses import replace

import numpy as np
import pytest

from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.estimators._sed_fit import fitters
from picasssso.sps import SEDPrior, SSPGrid, TemplateError
from picasssso.sps.dust import Calzetti

BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
#: Half way between two landmarks, where a redshift is farthest from either.
BORDER = float(np.expm1(1.5 * fitters.LANDMARK_STEP))


def options(redshift, history="delayed"):
    grid = SSPGrid.default()
    return fitters.FitterOptions(
        bands=BANDS,
        redshift=redshift,
        n_models=4000,
        seed=0,
        prior=SEDPrior(history=history),
        grid=grid,
        attenuation_law=Calzetti(),
        nebular=True,
        error_floor=0.03,
        template_error=TemplateError.for_grid(grid.name),
        mass_definition="surviving",
        device="cpu",
    )


def pixels(n=60):
    """Fluxes of other models, from faint to bright, and their inverse variances."""
    library = replace(options(BORDER), seed=9, n_models=n).library()
    flux = 1e8 * library.fluxes.astype(float)
    sigma = flux / np.resize([1.0, 3.0, 8.0, 20.0, 90.0], n)[:, None]
    return flux + sigma * np.random.default_rng(4).standard_normal(flux.shape), sigma**-2


def differences(one, other):
    """Differences of the medians in units of the posterior's half width."""
    result = {}
    for name, percentiles in other.percentiles.items():
        low, median, high = percentiles[1:4].numpy()
        difference = np.abs(one.percentiles[name][2].numpy() - median)
        result[name] = difference / np.maximum(0.5 * (high - low), 1e-30)
    return result


@pytest.mark.parametrize("history", ["delayed", "steps"])
@pytest.mark.parametrize("redshift", [BORDER - 1e-9, BORDER + 1e-9])
def test_a_fit_is_as_with_a_library_of_its_own(history, redshift):
    chosen = options(redshift, history)
    library = chosen.library()
    own = GridPosterior(
        library.fluxes,
        **chosen.values(library.properties),
        edge=fitters.models_at_edge(chosen.prior, library.parameters),
        error_floor=chosen.band_errors,
        device="cpu",
    )
    flux, weight = pixels()
    found = fitters.get_fitter(chosen).posterior.evaluate(flux, weight)
    expected = own.evaluate(flux, weight)
    for name, difference in differences(found, expected).items():
        assert np.median(difference) < 0.005, name
        assert np.quantile(difference, 0.9) < 0.03, name
    np.testing.assert_allclose(found.chi2.numpy(), expected.chi2.numpy(), rtol=0.1, atol=0.05)
    np.testing.assert_allclose(found.n_effective.numpy(), expected.n_effective.numpy(), rtol=0.02)


def test_nothing_jumps_between_landmarks():
    flux, weight = pixels()
    below, above = (
        fitters.get_fitter(options(BORDER + step)).posterior.evaluate(flux, weight)
        for step in (-1e-9, 1e-9)
    )
    for name, difference in differences(above, below).items():
        assert np.median(difference) < 0.03, name


def test_models_that_do_not_count_change_nothing():
    rng = np.random.default_rng(2)
    flux = rng.lognormal(0, 0.4, (400, 3))
    arguments = {
        "amplitude_scaled": {"mass": rng.lognormal(0, 0.5, 400)},
        "intensive": {"age": rng.uniform(1, 13, 400)},
    }
    used = rng.uniform(size=400) < 0.7
    some = {
        kind: {name: values[used] for name, values in named.items()}
        for kind, named in arguments.items()
    }
    all_models = GridPosterior(flux, **arguments, device="cpu")
    moved = all_models.moved(flux, **arguments, used=used, error_floor=0.0)
    masked = GridPosterior(flux, **arguments, used=used, device="cpu")
    alone = GridPosterior(flux[used], **some, device="cpu")
    pixel = 5 * flux[:30] * (1 + 0.1 * rng.standard_normal((30, 3)))
    for ratio in (2.0, 10.0, 100.0):
        weight = (ratio / pixel) ** 2
        expected = alone.evaluate(pixel, weight)
        for posterior in (moved, masked):
            found = posterior.evaluate(pixel, weight)
            for name in ("mass", "age"):
                np.testing.assert_allclose(found.mean[name], expected.mean[name], rtol=0.02)
            np.testing.assert_allclose(found.n_effective, expected.n_effective, rtol=0.05)
