"""What the base class promises of every estimator."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from toy_estimators import ConstantRatio, Sampling, Smoothed

from picasssso import GalacticExtinction
from picasssso.estimators import EstimatorTags, PropertyMapEstimator
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import PROPERTIES
from picasssso.quality import QualityFlag
from picasssso.testing import make_galaxy


@pytest.fixture
def images():
    return make_galaxy()


def test_known_answer(images):
    maps = ConstantRatio(ratio=3.0).estimate(images)
    area = images.pixel_solid_angle.to_value(u.arcsec**2)
    expected = 3.0 * images["sdss2010-r"].data / area
    np.testing.assert_allclose(maps["stellar_mass"].data, expected, rtol=1e-5)
    np.testing.assert_allclose(maps.mean("stellar_mass").value, expected, rtol=1e-5)


def test_record_says_how_the_maps_were_made(images):
    meta = ConstantRatio(ratio=3.0).estimate(images).meta
    assert meta["estimator"] == "ConstantRatio"
    assert meta["parameters"] == {"ratio": 3.0, "band": "sdss2010-r"}
    assert meta["bands"] == ["sdss2010-r"]
    assert meta["resolution_fwhm_arcsec"] == pytest.approx(1.3)
    assert meta["cosmology"]["Om0"] == pytest.approx(images.cosmology.Om0)
    assert meta["galactic_extinction"]["applied"] is True


def test_a_mapping_needs_a_redshift(images):
    mapping = {band: images[band] for band in images}
    with pytest.raises(InvalidInputError, match="redshift"):
        ConstantRatio().estimate(mapping)
    with pytest.warns(PicassssoWarning, match="Galactic extinction is unknown"):
        maps = ConstantRatio().estimate(mapping, redshift=0.05)
    np.testing.assert_array_equal(
        maps["stellar_mass"].data, ConstantRatio().estimate(images)["stellar_mass"].data
    )


def test_two_redshifts_are_refused(images):
    with pytest.raises(InvalidInputError, match=r"replace\(redshift=0.1\)"):
        ConstantRatio().estimate(images, redshift=0.1)


def test_extinction_known_but_not_removed_is_refused(images):
    dusty = images.replace(
        galactic_extinction=GalacticExtinction(ebv=0.1, scale="SFD98", applied=False)
    )
    with pytest.raises(InvalidInputError, match=r"E\(B-V\) = 0\.1\) but not removed"):
        ConstantRatio().estimate(dusty)


@pytest.mark.parametrize("n_samples", [-1, 1.5, "many", 10**12, 10**400])
def test_bad_number_of_samples(images, n_samples):
    with pytest.raises(InvalidInputError, match="n_samples"):
        Sampling().estimate(images, n_samples=n_samples)


def test_bad_seed(images):
    with pytest.raises(InvalidInputError, match="seed"):
        Sampling().estimate(images, n_samples=1, seed=-3)


def test_unseeded_samples_record_their_seed(images):
    maps = Sampling().estimate(images, n_samples=2)
    again = Sampling().estimate(images, n_samples=2, seed=maps.meta["seed"])
    np.testing.assert_array_equal(
        maps.samples("stellar_mass").value, again.samples("stellar_mass").value
    )


def test_samples_do_not_depend_on_blocks(images):
    frugal = Sampling()
    frugal.memory_budget = 1
    one, many = (
        e.estimate(images, n_samples=2, seed=3, progress=False) for e in (Sampling(), frugal)
    )
    np.testing.assert_array_equal(
        one.samples("stellar_mass").value, many.samples("stellar_mass").value
    )


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(ConstantRatio()) == "ConstantRatio()"
    assert repr(Smoothed(ratio=3)) == "Smoothed(ratio=3)"


def test_shared_errors_of_the_images_become_systematics(images):
    shifted = images.replace(
        zero_point_error={"sdss2010-r": 0.05 * u.mag, "sdss2010-g": 0.05 * u.mag},
        sky_error={"sdss2010-r": 0.01 * u.nmgy},
    )
    maps = ConstantRatio().estimate(shifted)
    mass = maps.mean("stellar_mass").value
    area = images.pixel_solid_angle.to_value(u.arcsec**2)
    assert set(maps.systematics) == {"zero_point:sdss2010-r", "sky:sdss2010-r"}
    np.testing.assert_allclose(
        maps.systematics["zero_point:sdss2010-r"]["stellar_mass"],
        (10**0.02 - 1) * mass,
        rtol=1e-3,
        atol=1e-5 * np.abs(mass).max(),
    )
    np.testing.assert_allclose(
        maps.systematics["sky:sdss2010-r"]["stellar_mass"],
        2.0 * 0.01 / area,
        rtol=1e-3,
        atol=1e-6 * np.abs(mass).max(),
    )


def test_a_shared_error_does_not_average_away(images):
    plain = ConstantRatio().estimate(images).total("stellar_mass", correlation="independent")
    shifted = images.replace(zero_point_error={"sdss2010-r": 0.05 * u.mag})
    shared = ConstantRatio().estimate(shifted).total("stellar_mass", correlation="independent")
    assert shared.value == plain.value
    expected = np.hypot(plain.uncertainty, (10**0.02 - 1) * plain.value)
    assert shared.uncertainty.to_value(u.Msun) == pytest.approx(
        expected.to_value(u.Msun), rel=1e-3
    )


def test_bands_of_different_resolution_are_flagged(images):
    class TwoBands(ConstantRatio):
        def _select_bands(self, available):
            return ("sdss2010-r", "sdss2010-g")

    assert not (TwoBands().estimate(images).quality & QualityFlag.PSF_MISMATCH).any()
    blurred = images.replace(psf={"sdss2010-r": 1.3 * u.arcsec, "sdss2010-g": 1.6 * u.arcsec})
    assert (TwoBands().estimate(blurred).quality & QualityFlag.PSF_MISMATCH).all()


def test_the_noise_level_is_that_of_the_whole_image(images):
    seen = []

    class Curious(ConstantRatio):
        tags = replace(ConstantRatio.tags, needs_noise_level=True)

        def _estimate(self, flux, inverse_variance, context):
            seen.append(context.noise_level)
            return super()._estimate(flux, inverse_variance, context)

    curious = Curious()
    curious.memory_budget = 1
    curious.estimate(images, progress=False)
    expected = np.median(images["sdss2010-r"].uncertainty.array)
    assert len(seen) > 1
    assert len(set(seen)) == 1
    assert seen[0][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({}, "expected one PropertyArrays for each"),
        ({"stellar_mass": PropertyArrays(np.zeros((5, 2, 2)))}, "expected that of the block"),
        ({"stellar_mass": np.zeros((2, 2))}, "as ndarray: expected PropertyArrays"),
        ("no mean", "sums of medians are not totals"),
    ],
)
def test_a_plugin_that_returns_nonsense_is_told(images, returned, message):
    class Nonsense(ConstantRatio):
        def _estimate(self, flux, inverse_variance, context):
            if returned == "no mean":
                return {"stellar_mass": PropertyArrays(np.zeros((5, *flux.shape[1:])))}
            return returned

    with pytest.raises((InvalidInputError, InvalidTypeError), match=message):
        Nonsense().estimate(images)


def test_a_plugin_cannot_change_the_images(images):
    class Writes(ConstantRatio):
        def _estimate(self, flux, inverse_variance, context):
            flux[:] = 0
            return super()._estimate(flux, inverse_variance, context)

    with pytest.raises(ValueError, match="read-only"):
        Writes().estimate(images)


@pytest.mark.parametrize(
    "arrays",
    [
        {"percentiles": np.zeros((4, 3, 3))},
        {"percentiles": np.zeros((5, 3))},
        {"percentiles": np.zeros((5, 3, 3)), "mean": np.zeros((3, 4))},
        {"percentiles": np.zeros((5, 3, 3)), "samples": np.zeros((3, 3))},
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays):
    with pytest.raises(InvalidInputError, match="expected"):
        PropertyArrays(**arrays)


def test_parameters_must_be_rebuildable():
    class Positional(ConstantRatio):
        def __init__(self, ratio):
            super().__init__(ratio=ratio)

    with pytest.raises(InvalidTypeError, match="keyword-only"):
        Positional(2.0).get_params()


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        PropertyMapEstimator()


def test_progress_bar_can_be_forced_and_switched_off(images, capsys):
    frugal = ConstantRatio()
    frugal.memory_budget = 1
    frugal.estimate(images, progress=False)
    assert capsys.readouterr().err == ""
    frugal.estimate(images, progress=True)
    assert "ConstantRatio" in capsys.readouterr().err


def test_what_a_subclass_stated_before_there_were_tags_still_counts(images):
    class Old(ConstantRatio):
        minimum_bands = 2
        needs_uncertainty = False

        def _describe(self, context):
            return {"made_by": "an old plugin"}

        def _shared_error(self, context):
            return {"stellar_mass": 0.2}

    assert Old().tags == replace(ConstantRatio.tags, minimum_bands=2, needs_uncertainty=False)
    maps = Old().estimate(images)
    assert maps.meta["made_by"] == "an old plugin"
    assert maps.shared_error["stellar_mass"] == 0.2
    assert maps["stellar_mass"].mask.all()


def test_what_is_computed_belongs_into_the_tags():
    with pytest.raises(InvalidTypeError, match="states supports_samples by itself: expected"):

        class Computed(ConstantRatio):
            @property
            def supports_samples(self):
                return True


def test_tags_are_checked():
    with pytest.raises(InvalidInputError, match="expected a tuple of names"):
        EstimatorTags(properties="stellar_mass")
    with pytest.raises(InvalidInputError, match="expected the same name"):
        EstimatorTags(definitions={"mass": PROPERTIES["stellar_mass"]})


def test_hooks_of_a_plugin(images):
    class Hooked(ConstantRatio):
        def check_images(self, images):
            if images.redshift > 0.1:
                raise InvalidInputError("Too far away: expected redshifts below 0.1.")

        def measure(self, images, context):
            return (float(images.redshift), float(len(context.bands)))

        def review(self, maps):
            seen.append(maps)

        def _estimate(self, flux, inverse_variance, context):
            assert context.statistics == (0.05, 1.0)
            return super()._estimate(flux, inverse_variance, context)

    seen = []
    maps = Hooked().estimate(images)
    assert seen == [maps]
    with pytest.raises(InvalidInputError, match="Too far away"):
        Hooked().estimate(images.replace(redshift=0.2))
