"""The SED fit of pixels: totals, shared errors, definitions of mass, bands, flags."""

import gc
import pickle
import weakref
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso import BandImages, GalacticExtinction, SEDFitEstimator
from picasssso.estimators._sed_fit import fitters
from picasssso.exceptions import InvalidInputError, InvalidTypeError, MissingBandError
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.quality import QualityFlag
from picasssso.sps import ModelLibrary, SEDPrior, SSPGrid, TemplateError
from picasssso.testing import make_galaxy
from picasssso.testing.galaxy import SDSS_BANDS, make_wcs

REDSHIFT = 0.05
NO_EXTINCTION = GalacticExtinction(ebv=0.0, scale="SF11", applied=True)
PARAMETERS = {"n_models": 4000, "device": "cpu"}
#: A star-forming galaxy without extremes, in the middle of the prior.
PLAIN = SEDPrior(
    oldest_age=(9.0, 9.0),
    timescale=(4.0, 4.0),
    truncation_probability=0.0,
    burst_probability=0.0,
    metallicity=(0.012, 0.012),
    attenuation=(0.6, 0.6),
)


def _images(flux, sigma, bands=SDSS_BANDS, redshift=REDSHIFT, wcs=None, **options):
    """Images from fluxes in nmgy per pixel, (band, y, x)."""
    wcs = make_wcs(flux.shape[1:]) if wcs is None else wcs
    ccds = {
        band: CCDData(f, unit=u.nmgy, wcs=wcs, uncertainty=StdDevUncertainty(s))
        for band, f, s in zip(bands, flux, np.broadcast_to(sigma, flux.shape), strict=True)
    }
    options = {"galactic_extinction": NO_EXTINCTION, "psf": 1.3 * u.arcsec, **options}
    return BandImages(ccds, redshift=redshift, **options)


@pytest.fixture(scope="module")
def plain_model():
    return ModelLibrary.build(SDSS_BANDS, REDSHIFT, n_models=1, prior=PLAIN)


@pytest.fixture(scope="module")
def estimator():
    return SEDFitEstimator(**PARAMETERS)


@pytest.fixture(scope="module")
def galaxy():
    return make_galaxy((12, 14))


@pytest.fixture(scope="module")
def maps(estimator, galaxy):
    return estimator.estimate(galaxy)


def _model_pixels(model, mass, pixel=0.396**2):
    """Fluxes, nmgy per pixel, of surface densities of mass formed, Msun/kpc2."""
    return pixel * model.fluxes[0].astype(float)[:, None, None] * mass


# ---- what the numbers mean --------------------------------------------------------------


def test_a_bright_pixel_of_a_known_population(plain_model):
    formed = np.full((1, 2), 1e8)
    flux = _model_pixels(plain_model, formed)
    images = _images(flux, flux / 50)
    properties = plain_model.properties
    for definition in ("surviving", "formed"):
        estimator = SEDFitEstimator(**PARAMETERS, mass_definition=definition)
        maps = estimator.estimate(images)
        fraction = 1 if definition == "formed" else properties["surviving_fraction"][0]
        suffix = "_formed" if definition == "formed" else ""
        truth = {
            "stellar_mass": 1e8 * fraction,
            "sfr": 1e8 * properties["ssfr100"][0],
            "stellar_age": properties[f"stellar_age{suffix}"][0],
            "stellar_metallicity": properties[f"stellar_metallicity{suffix}"][0],
            "attenuation_v": properties["attenuation_v"][0],
        }
        for name, value in truth.items():
            low, high = (maps.percentile(name, q).value[0, 0] for q in (2.5, 97.5))
            assert low < value < high, name
        assert maps.meta["mass_definition"].startswith(
            "all stars ever" if definition == "formed" else "living stars"
        )
    assert maps["stellar_mass"].unit == u.Msun / u.kpc**2


def test_formed_mass_is_the_larger(galaxy, maps):
    formed = SEDFitEstimator(**PARAMETERS, mass_definition="formed").estimate(galaxy)
    ratio = maps["stellar_mass"].data / formed["stellar_mass"].data
    bright = (maps.quality & int(QualityFlag.UPPER_LIMIT)) == 0
    assert np.all((ratio[bright] > 0.45) & (ratio[bright] < 0.95))
    # What is formed is the same whichever mass is asked for.
    np.testing.assert_allclose(maps["sfr"].data, formed["sfr"].data, rtol=1e-4)


def test_surface_density_does_not_depend_on_the_pixel_scale(estimator, galaxy):
    coarse = make_wcs(galaxy.shape, pixel_scale=0.792)
    flux, weight = galaxy.to_arrays()
    fine = _images(flux, weight**-0.5, wcs=galaxy.wcs)
    wide = _images(4 * flux, 4 * weight**-0.5, wcs=coarse)
    first, second = estimator.estimate(fine), estimator.estimate(wide)
    np.testing.assert_allclose(first["stellar_mass"].data, second["stellar_mass"].data, rtol=2e-4)


def test_no_distance_is_needed(estimator, galaxy):
    near = galaxy.replace(redshift=0.001)
    maps = estimator.estimate(near)
    assert np.isfinite(maps["stellar_mass"].data).all()
    with pytest.raises(InvalidInputError, match="distance"):
        maps.total("stellar_mass", correlation="independent")


# ---- totals -----------------------------------------------------------------------------


@pytest.mark.parametrize("signal_to_noise", [10.0, 50.0])
def test_total_of_an_exponential_disk(signal_to_noise, estimator):
    # Every pixel has a population of its own from the prior; none is in the library.
    shape = (80, 100)
    models = ModelLibrary.build(SDSS_BANDS, REDSHIFT, n_models=shape[0] * shape[1], seed=5)
    light = models.fluxes.astype(float).T.reshape(-1, *shape)
    y, x = np.indices(shape)
    profile = np.exp(-np.hypot(y - 39.5, x - 49.5) / 11)
    # The sky's noise, the same all over; the signal in all bands together falls off.
    sigma = np.array([0.04, 0.012, 0.01, 0.011, 0.02])[:, None, None]
    formed = signal_to_noise * profile / np.sqrt(((light / sigma) ** 2).sum(axis=0))
    noise = sigma * np.random.default_rng(11).standard_normal(light.shape)
    maps = estimator.estimate(_images(formed * light + noise, sigma))
    surviving = models.properties["surviving_fraction"].reshape(shape)
    truth = float(np.sum(formed * surviving) / 0.396**2)
    found = float(np.sum(maps.mean("stellar_mass").value, dtype=float))
    assert found == pytest.approx(truth, rel=0.03)


def test_shared_errors_do_not_average_away(estimator, plain_model):
    totals = {}
    for side in (6, 24):
        flux = _model_pixels(plain_model, np.full((side, side), 1e8))
        sigma = flux / 10
        noisy = flux + sigma * np.random.default_rng(side).standard_normal(flux.shape)
        maps = estimator.estimate(_images(noisy, sigma), n_samples=60, seed=1)
        for correlation in ("independent", None):
            total = maps.total("stellar_mass", correlation=correlation)
            relative = float(total.uncertainty / total.value)
            totals[side, correlation] = relative, total.components
    shared = np.log(10) * maps.shared_error["stellar_mass"]
    assert 0.1 < shared < 0.6
    for correlation in ("independent", None):
        # 16 times the pixels, but nearly the same relative error, about the shared one.
        assert totals[24, correlation][0] > 0.8 * totals[6, correlation][0]
        assert totals[24, correlation][0] > 0.7 * shared
    pixels = [totals[side, "independent"][1]["pixels"] for side in (6, 24)]
    assert float(pixels[1] / pixels[0]) == pytest.approx(4, rel=0.4)


def test_zero_point_errors_are_counted(estimator, galaxy):
    plain = estimator.estimate(galaxy).total("stellar_mass", correlation="independent")
    errors = dict.fromkeys(galaxy.bands, 0.1 * u.mag)
    total = estimator.estimate(galaxy.replace(zero_point_error=errors)).total(
        "stellar_mass", correlation="independent"
    )
    assert total.value.value == pytest.approx(plain.value.value)
    assert total.uncertainty > plain.uncertainty
    assert "zero_point:sdss2010-r" in total.components


class Refitted(SEDFitEstimator):
    """Changes what is estimated, so that it is fitted once more for every error."""

    def _estimate(self, flux, inverse_variance, context):
        return super()._estimate(flux, inverse_variance, context)


def test_systematics_are_those_of_refits(estimator, galaxy):
    one, other = galaxy.bands[1:3]
    images = galaxy.replace(
        zero_point_error={one: 0.02 * u.mag, other: 0.04 * u.mag},
        sky_error={one: 0.002 * u.nmgy, other: 0.002 * u.nmgy},
    )
    maps, refitted = (e.estimate(images) for e in (estimator, Refitted(**PARAMETERS)))
    total, expected = (
        m.total("stellar_mass", correlation="independent") for m in (maps, refitted)
    )
    assert set(maps.systematics) == set(refitted.systematics) - {"models"} | {"models"}
    assert len(maps.systematics) == 5
    for mode in set(maps.systematics) - {"models"}:
        assert set(maps.systematics[mode]) == set(maps) - {"reduced_chi2"}
        assert float(total.components[mode] / expected.components[mode]) == pytest.approx(
            1, abs=0.15
        )
    # Each error counts once more in the error of the total.
    plain = estimator.estimate(galaxy).total("stellar_mass", correlation="independent")
    assert total.value == plain.value
    parts = [total.components[m] for m in maps.systematics if m != "models"]
    np.testing.assert_allclose(
        (total.uncertainty**2 - plain.uncertainty**2).value,
        sum(part.value**2 for part in parts),
        rtol=1e-3,
    )


def test_pixels_of_a_bin_are_one_measurement(estimator, galaxy):
    bins = np.add.outer(np.arange(12) // 3, 10 * (np.arange(14) // 7)).astype(np.int32)
    flux, weight = (table.copy() for table in galaxy.to_arrays())
    for label in np.unique(bins):
        inside = bins == label
        flux[:, inside] = flux[:, inside].mean(axis=1, keepdims=True)
        weight[:, inside] = weight[:, inside].mean(axis=1, keepdims=True)
    images = _images(flux, weight**-0.5, bins=bins)
    maps = estimator.estimate(images, n_samples=30, seed=2)
    whole = maps.samples("stellar_mass").value
    for label in np.unique(bins):
        inside = whole[:, bins == label]
        assert np.array_equal(inside, np.broadcast_to(inside[:, :1], inside.shape))
    unbinned = estimator.estimate(_images(flux, weight**-0.5))
    np.testing.assert_allclose(maps["stellar_mass"].data, unbinned["stellar_mass"].data, rtol=2e-4)


# ---- samples ----------------------------------------------------------------------------


def test_samples_are_the_posteriors_own_in_another_order(estimator, galaxy, maps):
    n = 300
    sampled = estimator.estimate(galaxy, n_samples=n, seed=4)
    for name in ("stellar_mass", "stellar_age", "attenuation_v"):
        below = (sampled.samples(name).value < maps[name].data).mean(axis=0)
        bright = (maps.quality & int(QualityFlag.UPPER_LIMIT)) == 0
        assert np.mean(below[bright]) == pytest.approx(0.5, abs=0.02)
        np.testing.assert_array_equal(sampled[name].data, maps[name].data)


def test_samples_do_not_depend_on_the_block(estimator, galaxy):
    whole = estimator.estimate(galaxy, n_samples=5, seed=4)
    small = pickle.loads(pickle.dumps(estimator))
    small.memory_budget = int(estimator.bytes_per_pixel(5, 5) * 40)
    blocks = estimator.__class__.estimate(small, galaxy, n_samples=5, seed=4, progress=False)
    for name in ("stellar_mass", "sfr", "stellar_metallicity"):
        a, b = whole.samples(name).value, blocks.samples(name).value
        assert np.mean(~np.isclose(a, b, rtol=1e-3)) < 0.005


# ---- bands and pixels -------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["ug", "gr", "iz", "uz", "gri", "griz"])
def test_any_bands(letters, estimator, galaxy):
    maps = estimator.estimate(galaxy.select([f"sdss2010-{x}" for x in letters]))
    for name in estimator.properties:
        assert np.isfinite(maps[name].data).all()


def test_more_bands_say_more(estimator, galaxy, maps):
    few = estimator.estimate(galaxy.select(["sdss2010-g", "sdss2010-r"]))
    bright = maps.quality == 0
    width, wider = (
        np.log10(m.percentile("stellar_mass", 84).value / m.percentile("stellar_mass", 16).value)[
            bright
        ]
        for m in (maps, few)
    )
    assert np.median(wider) > 1.1 * np.median(width)


def test_bands_of_several_surveys(estimator, plain_model):
    bands = ("galex-nuv", "decam2014-g", "sdss2010-i", "twomass-Ks")
    bands = tuple(band for band in bands if not band.startswith("galex"))
    model = ModelLibrary.build(bands, REDSHIFT, n_models=1, prior=PLAIN)
    flux = _model_pixels(model, np.full((2, 2), 1e8))
    maps = estimator.estimate(_images(flux, flux / 30, bands))
    truth = 1e8 * model.properties["surviving_fraction"][0]
    low, high = (maps.percentile("stellar_mass", q).value[0, 0] for q in (2.5, 97.5))
    assert low < truth < high


def test_one_band_is_not_enough(estimator, galaxy):
    with pytest.raises(MissingBandError, match=r"at least 2 bands.*sdss2010-r"):
        estimator.estimate(galaxy.select(["sdss2010-r"]))


def test_pixels_with_one_valid_band_are_masked(estimator, galaxy):
    flux, weight = (table.copy() for table in galaxy.to_arrays())
    sigma = weight**-0.5
    flux[1:, 3, 4] = np.nan
    flux[2:, 5, 6] = np.nan
    maps = estimator.estimate(_images(flux, sigma))
    assert maps["stellar_mass"].mask[3, 4]
    assert maps.quality[3, 4] & int(QualityFlag.NO_DATA)
    assert not maps["stellar_mass"].mask[5, 6]
    assert maps.quality[5, 6] & int(QualityFlag.MISSING_BAND)


def test_negative_fluxes_count_as_they_are(estimator, galaxy):
    flux, weight = (table.copy() for table in galaxy.to_arrays())
    noise = weight**-0.5
    flux[:] = noise * np.random.default_rng(3).standard_normal(flux.shape)
    maps = estimator.estimate(_images(flux, noise))
    mean = maps.mean("stellar_mass").value
    assert (mean < 0).any()
    # Nothing is there, so the sum is nothing within its noise.
    assert abs(mean.sum()) < 5 * mean.std() * np.sqrt(mean.size)
    assert (maps["stellar_mass"].data > 0).all()
    assert (maps.quality & int(QualityFlag.UPPER_LIMIT) != 0).mean() > 0.3


# ---- flags ------------------------------------------------------------------------------


def test_what_no_model_describes_is_flagged(estimator, plain_model):
    flux = _model_pixels(plain_model, np.full((1, 3), 1e8))
    flux[1, 0, 1] *= 3
    maps = estimator.estimate(_images(flux, flux / 30))
    bad = (maps.quality & int(QualityFlag.BAD_FIT)) != 0
    assert bad.tolist() == [[False, True, False]]
    chi2 = maps["reduced_chi2"].data[0]
    assert chi2[1] > 10 > 1 > chi2[0]


def test_the_edge_of_the_prior_is_flagged(plain_model):
    flux = _model_pixels(plain_model, np.full((1, 2), 1e8))
    images = _images(flux, flux / 100)
    # Everything is known but the dust, of which not enough is allowed.
    prior = replace(PLAIN, attenuation=(0.0, 0.1))
    sharp = PARAMETERS | {"error_floor": 0.01, "template_error": False}
    narrow = SEDFitEstimator(**sharp, prior=prior).estimate(images)
    wide = SEDFitEstimator(**sharp).estimate(images)
    assert (narrow.quality & int(QualityFlag.PRIOR_EDGE)).all()
    assert not (wide.quality & int(QualityFlag.PRIOR_EDGE)).any()


def test_too_few_models_are_flagged(plain_model):
    flux = _model_pixels(plain_model, np.full((1, 2), 1e8))
    images = _images(flux, flux / 300)
    few = SEDFitEstimator(
        n_models=300, error_floor=0.0, template_error=False, device="cpu"
    ).estimate(images)
    many = SEDFitEstimator(**PARAMETERS).estimate(images)
    assert (few.quality & int(QualityFlag.FEW_MODELS)).all()
    assert not (many.quality & int(QualityFlag.FEW_MODELS)).any()


# ---- parameters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"n_models": 10**12}, InvalidInputError, "would take 1e.06 GB, more than the"),
        ({"n_models": 0}, InvalidInputError, "n_models=0: expected an integer of at least 1"),
        ({"n_models": 10.5}, InvalidInputError, "n_models=10.5"),
        ({"seed": -1}, InvalidInputError, "seed=-1"),
        ({"prior": {"metallicity": (0.01, 0.02)}}, InvalidTypeError, "SEDPrior"),
        ({"grid": "popstar"}, InvalidTypeError, "SSPGrid"),
        ({"attenuation_law": "gray"}, InvalidInputError, "attenuation law 'gray'.*calzetti"),
        ({"nebular": "yes"}, InvalidTypeError, "nebular='yes': expected True or False"),
        ({"error_floor": -0.1}, InvalidInputError, "error_floor=-0.1"),
        ({"error_floor": "5 %"}, InvalidInputError, "fraction of the flux"),
        ({"template_error": "yes"}, InvalidTypeError, "TemplateError"),
        ({"mass_definition": "alive"}, InvalidInputError, "'surviving', 'formed'"),
        ({"device": "gpu"}, InvalidInputError, "'cpu', 'cuda'"),
    ],
)
def test_bad_parameters(parameters, error, match):
    with pytest.raises(error, match=match):
        SEDFitEstimator(**parameters)


def test_a_device_that_is_not_there(galaxy):
    torch = pytest.importorskip("torch")
    number = torch.cuda.device_count()
    with pytest.raises(InvalidInputError, match=f"torch finds {number} CUDA devices"):
        SEDFitEstimator(n_models=50, device=f"cuda:{number}").estimate(galaxy)


def test_a_prior_that_leaves_the_grid_is_refused(galaxy):
    prior = SEDPrior(metallicity=(1e-6, 0.05))
    with pytest.raises(InvalidInputError, match="metallicity"):
        SEDFitEstimator(n_models=50, prior=prior).estimate(galaxy)


def test_seeds_draw_other_models(galaxy, maps):
    other = SEDFitEstimator(**PARAMETERS, seed=1).estimate(galaxy)
    bright = maps.quality == 0
    a, b = (m["stellar_mass"].data[bright] for m in (maps, other))
    assert not np.array_equal(a, b)
    np.testing.assert_allclose(a, b, rtol=0.2)


def test_parameters_reach_the_models(galaxy, maps):
    bright = maps.quality == 0
    for parameters in (
        {"attenuation_law": "two_component"},
        {"nebular": False},
        {"error_floor": 0.2},
        {"template_error": False},
        {"prior": SEDPrior(history="steps")},
    ):
        other = SEDFitEstimator(**PARAMETERS, **parameters).estimate(galaxy)
        a, b = (m["stellar_mass"].data[bright] for m in (maps, other))
        assert not np.allclose(a, b, rtol=1e-3), parameters
        np.testing.assert_allclose(a, b, rtol=0.8)


def test_a_template_error_alike_in_all_bands_is_an_error_floor(galaxy):
    curve = TemplateError(
        grid="any",
        name="test",
        wavelength=(3000.0, 10000.0),
        correction=(0.0, 0.0),
        error=(0.05, 0.05),
    )
    # 0.05 mag are 0.4 ln(10) times that of the flux.
    floor = float(np.hypot(0.03, 0.05 * 0.4 * np.log(10)))
    ours = SEDFitEstimator(**PARAMETERS, template_error=curve).estimate(galaxy)
    other = SEDFitEstimator(**PARAMETERS, template_error=False, error_floor=floor)
    for name, found in other.estimate(galaxy).items():
        np.testing.assert_allclose(ours[name].data, found.data, rtol=1e-5)


def test_a_band_of_a_large_template_error_hardly_counts(plain_model):
    flux = _model_pixels(plain_model, np.full((1, 2), 1e8))
    flux[0] *= [[1.0, 2.0]]  # u of the second pixel is wrong
    images = _images(flux, flux / 100)
    distrusted = TemplateError(
        grid="any",
        name="test",
        wavelength=(3500.0, 4200.0),
        correction=(0.0, 0.0),
        error=(0.99, 0.01),
    )
    trusted = replace(distrusted, error=(0.01, 0.01))
    ages = {}
    for curve in (distrusted, trusted):
        maps = SEDFitEstimator(**PARAMETERS, template_error=curve).estimate(images)
        ages[curve.error[0]] = maps["stellar_age"].data[0]
    shift = {error: abs(np.log10(right / wrong)) for error, (right, wrong) in ages.items()}
    assert shift[0.99] < 0.1 < 0.4 * shift[0.01]


def test_maps_say_what_they_were_made_with(maps):
    library = maps.meta["library"]
    assert library["grid_hash"] == SSPGrid.default().hash
    assert SEDPrior.from_dict(library["prior"]) == SEDPrior()
    assert len(library["hash"]) == 16
    assert maps.meta["parameters"]["error_floor"] == 0.03
    assert maps.meta["sfr_averaging_time_yr"] == 1e8


# ---- libraries are kept -----------------------------------------------------------------


def test_what_the_bands_leave_to_the_prior_is_told(maps):
    from picasssso._cli.totals_text import describe_totals
    from picasssso.maps.notices import like_prior

    low, middle, high = maps.meta["prior"]["stellar_metallicity"]
    assert 0.005 < low < middle < high < 0.05

    def made(name, values, prior):
        return PropertyMaps(
            {name: PropertyArrays.from_normal(np.full((4, 5), values[0]), values[1])},
            quality=None, pixel_solid_angle=1 * u.arcsec**2, meta={"prior": {name: prior}},
        )  # fmt: skip

    prior = [0.2, 0.5, 0.8]
    assert like_prior(made("attenuation_v", (0.5, 0.3), prior)) == {
        "attenuation_v": "hardly more than the prior, 0.2 to 0.8"
    }
    # Narrower, or elsewhere, is more.
    assert like_prior(made("attenuation_v", (0.5, 0.2), prior)) == {}
    assert like_prior(made("attenuation_v", (0.7, 0.3), prior)) == {}
    assert like_prior(made("attenuation_v", (0.7, 0.3), [0.6, 0.6, 0.6])) == {
        "attenuation_v": "fixed by the prior, 0.6"
    }
    lines = list(describe_totals(made("attenuation_v", (0.5, 0.3), prior)))
    assert lines[0].endswith("(hardly more than the prior, 0.2 to 0.8)")


def test_libraries_are_kept_and_bounded(galaxy, monkeypatch):
    built = []
    original = fitters.Fitter.__init__

    def counting(self, options, landmark):
        built.append(options.redshift)
        original(self, options, landmark)

    monkeypatch.setattr(fitters.Fitter, "__init__", counting)
    monkeypatch.setattr(fitters, "_FITTERS", type(fitters._FITTERS)())
    monkeypatch.setattr(fitters, "MAXIMUM_FITTERS", 2)
    small = galaxy[:2, :2]
    for redshift in (0.01, 0.02, 0.01, 0.02, 0.03, 0.02):
        SEDFitEstimator(n_models=50, device="cpu").estimate(small.replace(redshift=redshift))
    assert built == [0.01, 0.02, 0.03]
    assert len(fitters._FITTERS) == 2


def test_pickles_are_small(estimator, maps):
    assert maps is not None  # it has fitted, and so has its library
    assert len(pickle.dumps(estimator)) < 2000


def test_libraries_that_are_no_longer_kept_are_freed_at_once():
    """Python looks for cycles too rarely for tables of tens of MB."""
    images = make_galaxy((6, 6), seed=3, redshift=0.0731)
    SEDFitEstimator(n_models=400, device="cpu").estimate(images, progress=False)
    key = next(reversed(fitters._FITTERS))
    tables = weakref.ref(fitters._FITTERS[key].posterior._single)
    assert tables() is not None
    gc.disable()
    try:
        del fitters._FITTERS[key]
        assert tables() is None
    finally:
        gc.enable()
