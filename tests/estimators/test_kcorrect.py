"""kcorrect behind the base class: the same fits, masses as surface densities."""

import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.cosmology import Planck18

from picasssso.estimators.kcorrect import KCorrectEstimator, _fitter, _masses, _steps
from picasssso.exceptions import InvalidInputError, MissingBandError, MissingDependencyError
from picasssso.quality import QualityFlag
from picasssso.testing import make_galaxy, parametrize_with_checks
from picasssso.testing.galaxy import SDSS_BANDS

kcorrect = pytest.importorskip("kcorrect.kcorrect", reason="needs the extra kcorrect")


@parametrize_with_checks([KCorrectEstimator(n_monte_carlo=2)])
def test_contract(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def noisy_maggies():
    rng = np.random.default_rng(3)
    fitter = _fitter(SDSS_BANDS, 0.05)
    maggies = 1e-8 * rng.exponential(size=(40, fitter.design.shape[1])) @ fitter.design.T
    sigma = 0.05 * maggies
    return maggies + sigma * rng.standard_normal(maggies.shape), sigma**-2


def test_fits_are_those_of_kcorrect(noisy_maggies, recwarn):
    maggies, weights = noisy_maggies
    fitter = _fitter(SDSS_BANDS, 0.05)
    reference = kcorrect.Kcorrect(
        responses=list(SDSS_BANDS), redshift_range=[0.0, 0.1], nredshift=201
    )
    coefficients = reference.fit_coeffs(
        redshift=np.full(len(maggies), 0.05), maggies=maggies, ivar=weights
    )
    expected = reference.derived(redshift=np.full(len(maggies), 0.05), coeffs=coefficients)
    at_10_pc = 10 ** (0.4 * Planck18.distmod(0.05).value)
    found = _masses(fitter, maggies, weights)
    # kcorrect works in single precision, which a nearly degenerate fit magnifies.
    ratio = found.mass * at_10_pc / expected["mremain"]
    np.testing.assert_allclose(ratio, 1, atol=0.03)
    assert np.median(np.abs(ratio - 1)) < 2e-3
    assert np.median(np.abs(found.metallicity / expected["metallicity"] - 1)) < 2e-3
    recwarn.clear()  # kcorrect leaves files open


def test_total_mass_is_that_of_the_summed_light():
    images = make_galaxy((6, 6), central_signal_to_noise=1e5)
    maps = KCorrectEstimator(n_monte_carlo=2).estimate(images)
    y, x = 3, 3
    flux, inverse_variance = images.to_arrays()
    one = _masses(
        _fitter(SDSS_BANDS, 0.05),
        1e-9 * flux[:, y, x][None].astype(float),
        1e18 * inverse_variance[:, y, x][None].astype(float),
    )
    distance = images.luminosity_distance / (10 * u.pc)
    expected = one.mass[0] * distance.to_value(u.one) ** 2
    found = maps["stellar_mass"].data[y, x] * images.pixel_area.to_value(u.kpc**2)
    assert found == pytest.approx(expected, rel=1e-4)


def test_empty_sky_has_no_mass_on_average():
    galaxy = make_galaxy((60, 60), bands=SDSS_BANDS[1:4])
    rng = np.random.default_rng(8)
    flux = rng.standard_normal((3, 60, 60)).astype(np.float32)
    estimator = KCorrectEstimator(n_monte_carlo=2)
    context = estimator._make_context(galaxy, 0, 0)
    arrays = estimator._estimate(flux, np.ones_like(flux), context)["stellar_mass"]
    error = arrays.mean.std() / 60
    assert abs(arrays.mean.mean()) < 3 * error
    # What the subtraction is for: the plain fits are far from zero on average.
    assert arrays.percentiles[2].mean() > 10 * error


def test_error_follows_the_noise():
    images = make_galaxy((8, 8), central_signal_to_noise=20)
    noisier = make_galaxy((8, 8), central_signal_to_noise=2)
    estimator = KCorrectEstimator(n_monte_carlo=16)
    widths = [
        np.median(m["stellar_mass"].uncertainty.array)
        for m in (estimator.estimate(images), estimator.estimate(noisier))
    ]
    assert widths[1] > 2 * widths[0]


def test_the_total_knows_of_the_error_of_the_models():
    maps = KCorrectEstimator(n_monte_carlo=2).estimate(make_galaxy(central_signal_to_noise=1e3))
    total = maps.total("stellar_mass", correlation="independent")
    assert 0.22 < total.uncertainty / total.value < 0.26
    mass = maps["stellar_mass"]
    assert (mass.uncertainty.array >= 0.22 * np.abs(mass.data)).all()


def test_impossible_colors_are_flagged():
    images = make_galaxy((8, 8), central_signal_to_noise=500)
    swapped = type(images)(
        {a: images[b] for a, b in zip(images.bands, images.bands[::-1], strict=True)},
        redshift=0.05,
        galactic_extinction=images.galactic_extinction,
    )
    quality = KCorrectEstimator(n_monte_carlo=2).estimate(swapped).quality
    assert (quality[3:5, 3:5] & QualityFlag.BAD_FIT).all()


def test_steps_are_standard_normal():
    steps = _steps(64, 5)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=0.1)


@pytest.mark.parametrize("n_monte_carlo", [1, 2.5, "many"])
def test_bad_parameters(n_monte_carlo):
    with pytest.raises(InvalidInputError, match="n_monte_carlo"):
        KCorrectEstimator(n_monte_carlo=n_monte_carlo)


def test_one_band_is_not_enough():
    with pytest.raises(MissingBandError, match="at least 2 bands"):
        KCorrectEstimator().estimate(make_galaxy((4, 4), bands=("sdss2010-r",)))


def test_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "kcorrect", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"picasssso\[kcorrect\]"):
        KCorrectEstimator()
