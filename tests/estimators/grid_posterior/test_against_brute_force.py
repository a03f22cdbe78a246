"""The streamed posterior against the slow and obvious one in double precision."""

import numpy as np
import pytest
from brute_force_posterior import PROBABILITIES, BruteForce

from picasssso.estimators._grid_posterior import GridPosterior
from picasssso.sps import ModelLibrary, SEDPrior

#: Largest difference of the median of mass, dex: the bar of the SED fit.
MASS_DEX = 2.5e-3


def _compare(library, summary, flux, inverse_variance, error_floor=0.0, tolerance=MASS_DEX):
    """Compare pixel by pixel, and return the brute force of each."""
    found = []
    for k in range(len(flux)):
        exact = BruteForce(library.flux, flux[k], inverse_variance[k], error_floor)
        found.append(exact)
        # Percentiles of a few discrete values are nothing finer than those values.
        step = exact.weight.max()
        known_of = {}
        for name, values in library.values.items():
            scaled = name in library.scaled
            expected = known_of[name] = exact.percentiles(values, scaled)
            result = summary.percentiles[name][:, k].double().numpy()
            width = (expected[3] - expected[1]) / 2
            for q, x, known in zip(PROBABILITIES, result, expected, strict=True):
                off = abs(exact.cumulative(values, scaled, x) - q)
                close = abs(x - known) <= 4e-3 * abs(known) + 0.02 * width
                assert off < 2e-3 + step or close, f"{name}, pixel {k}, q = {q}: {x} != {known}"
            mean = exact.mean(values, scaled)
            # Models that together hold less than 1e-4 of the posterior may be left out.
            largest = np.abs(values * exact.amplitude if scaled else values).max()
            allowed = 0.01 * width + 2e-3 * abs(mean) + 1e-5 * largest
            assert abs(float(summary.mean[name][k]) - mean) < allowed, f"mean of {name}, pixel {k}"
        dex = np.log10(summary.percentiles["mass"][:, k].double().numpy() / known_of["mass"])
        assert abs(dex[2]) < tolerance
        assert np.abs(dex).max() < 6 * tolerance
        edge = float(exact.weight @ library.edge)
        assert float(summary.edge_probability[k]) == pytest.approx(edge, abs=5e-3)
    return found


@pytest.mark.parametrize(
    "error_floor",
    [0.0, 0.05, np.array([0.06, 0.04, 0.03, 0.03, 0.05])],
    ids=["no floor", "one floor", "a floor by band"],
)
@pytest.mark.parametrize("signal_to_noise", [0.5, 2.0, 5.0, 15.0, 40.0, 150.0, 1000.0])
def test_fresh_models(signal_to_noise, error_floor, library, observe):
    flux, weight = observe(6, signal_to_noise)
    summary = library.posterior(error_floor).evaluate(flux, weight)
    exact = _compare(library, summary, flux, weight, error_floor)
    chi2 = np.array([one.chi2 for one in exact])
    np.testing.assert_allclose(summary.chi2.numpy(), chi2, rtol=1e-3, atol=0.3)
    np.testing.assert_allclose(summary.reduced_chi2.numpy(), summary.chi2.numpy() / 4, rtol=1e-5)
    n_effective = np.array([one.n_effective for one in exact])
    np.testing.assert_allclose(summary.n_effective.numpy(), n_effective, rtol=0.03)


@pytest.mark.parametrize("missing", [(0,), (1, 3), (0, 2, 4)])
def test_missing_bands(missing, library, posterior, observe):
    flux, weight = observe(8, np.repeat([3.0, 30.0], 4))
    weight[:, missing] = 0
    flux[:, missing] = np.nan
    summary = posterior.evaluate(flux, weight)
    assert summary.n_bands.tolist() == [5 - len(missing)] * 8
    _compare(library, summary, np.nan_to_num(flux), weight)


def test_a_single_band(library, posterior, observe):
    flux, weight = observe(4, 20.0)
    weight[:, [0, 1, 3, 4]] = 0
    _compare(library, posterior.evaluate(flux, weight), flux, weight)


def test_empty_sky_has_means_of_either_sign(library, posterior, fresh):
    sigma = np.full((12, 5), fresh.mean())
    flux = sigma * np.random.default_rng(5).standard_normal(sigma.shape)
    summary = posterior.evaluate(flux, sigma**-2)
    _compare(library, summary, flux, sigma**-2, tolerance=2 * MASS_DEX)
    means = summary.mean["mass"].numpy()
    assert (means < 0).any()
    assert (means > 0).any()
    assert all(bool((p > 0).all()) for name, p in summary.percentiles.items() if name == "mass")


def test_significantly_negative_fluxes(library, posterior, fresh):
    sigma = fresh[:6] / 10
    flux = np.concatenate([-fresh[:3], fresh[3:6] * [1, -1, 1, -1, 1]])
    summary = posterior.evaluate(flux, sigma**-2)
    for name in library.values:
        assert summary.percentiles[name].isfinite().all()
        assert (summary.percentiles[name] >= 0).all()
    exact = [BruteForce(library.flux, f, 1 / s**2) for f, s in zip(flux, sigma, strict=True)]
    np.testing.assert_allclose(summary.chi2.numpy(), [one.chi2 for one in exact], rtol=1e-3)
    masses = [one.mean(library.scaled["mass"], True) for one in exact]
    np.testing.assert_allclose(summary.mean["mass"].numpy(), masses, rtol=1e-3)
    assert (summary.mean["mass"][:3] < 0).all()
    medians = [one.percentiles(library.scaled["mass"], True)[2] for one in exact]
    # What the cut at zero leaves of an amplitude is taken for normal, which it is not.
    np.testing.assert_allclose(summary.percentiles["mass"][2].numpy(), medians, rtol=0.6)


def test_fluxes_that_no_model_has(library, posterior, fresh):
    flux = fresh[:4] * [30, 1, 1, 1, 1]
    weight = (fresh[:4] / 20) ** -2
    summary = posterior.evaluate(flux, weight)
    assert (summary.reduced_chi2 > 100).all()
    medians = [
        BruteForce(library.flux, f, w).percentiles(library.scaled["mass"], True)[2]
        for f, w in zip(flux, weight, strict=True)
    ]
    np.testing.assert_allclose(summary.percentiles["mass"][2].numpy(), medians, rtol=0.01)


def test_percentiles_of_a_few_models_do_not_cross():
    """With the ultraviolet off, hardly a model fits; one pixel in thousands used to cross."""
    bands = ["galex-fuv", "galex-nuv", *(f"sdss2010-{band}" for band in "ugriz")]
    library = ModelLibrary.build(bands, 0.02, n_models=3000, prior=SEDPrior.flat("steps"))
    posterior = GridPosterior(
        library.fluxes,
        amplitude_scaled={"mass": library.properties["surviving_fraction"]},
        intensive={},
        device="cpu",
    )
    others = ModelLibrary.build(bands, 0.02, n_models=4000, prior=SEDPrior.flat(), seed=5)
    flux = 1e8 * others.fluxes.astype(float)
    flux *= 10 ** (0.05 * np.random.default_rng(0).standard_normal(flux.shape))
    percentiles = posterior.evaluate(flux, (0.06 * flux) ** -2).percentiles["mass"].numpy()
    assert np.all(np.diff(percentiles, axis=0) >= 0)
