"""CNNEstimator beyond the contract, with small networks of random weights."""

import pickle
import warnings
from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
import torch
from astropy.nddata import CCDData
from click.testing import CliRunner
from small_weights import make_calibration, make_model, write_small

import picasssso
from picasssso import CNNEstimator
from picasssso.bands import BandImages
from picasssso.cli import cli
from picasssso.data import load_example
from picasssso.estimators._cnn.draws import correlated_scores, presence_score
from picasssso.estimators._cnn.weight_files import ALIASES
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    MissingBandError,
    OutsideTrainingWarning,
)
from picasssso.networks.weights import write_weights
from picasssso.quality import QualityFlag
from picasssso.testing import make_galaxy

PERCENTILES = (2.5, 16, 50, 84, 97.5)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_small(tmp_path_factory.mktemp("weights") / "small")


@pytest.fixture(scope="module")
def estimator(path):
    return CNNEstimator(weights=path, device="cpu")


@pytest.fixture(scope="module")
def images():
    return make_galaxy((40, 48))


def planes(maps, name):
    return np.stack([maps.percentile(name, q).value for q in PERCENTILES])


def assert_equal(first, second, rtol=2e-4):
    assert np.array_equal(first.quality, second.quality)
    for name in first:
        a, b = planes(first, name), planes(second, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-6 * np.nanmax(a))


# ---- bands ---------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["ugriz", "griz", "gri", "gr", "r", "uz"])
def test_any_bands_will_do(letters, estimator, images):
    bands = [f"sdss2010-{letter}" for letter in letters]
    maps = estimator.estimate(images.select(bands))
    assert tuple(maps.meta["bands"]) == tuple(bands)
    nothing = (maps.quality & QualityFlag.NOT_DETECTED) > 0
    for name, mask in maps.masks.items():
        # Nothing has an age where no light is detected.
        averaged = not maps.definition(name).is_surface_density
        assert np.array_equal(mask, nothing & averaged), name
    if letters != "ugriz":
        whole = estimator.estimate(images)
        assert not np.allclose(maps["stellar_mass"].data, whole["stellar_mass"].data, rtol=0.01)


def test_bands_of_any_survey_and_order(estimator):
    images = make_galaxy((16, 16), bands=("hsc2017-i", "twomass-J", "decam2014-g", "panstarrs-y"))
    assert estimator.estimate(images).meta["bands"] == ["decam2014-g", "hsc2017-i"]


def test_wavelengths_matter(estimator):
    sdss = make_galaxy((16, 16), bands=("sdss2010-g", "sdss2010-r"))
    other = BandImages(
        {"bessell-R": sdss["sdss2010-r"], "sdss2010-g": sdss["sdss2010-g"]},
        redshift=sdss.redshift,
        psf=1.3 * u.arcsec,
        galactic_extinction=sdss.galactic_extinction,
    )
    first, second = (estimator.estimate(one)["stellar_mass"].data for one in (sdss, other))
    assert not np.allclose(first, second, rtol=1e-5)


def test_no_band_at_all(estimator):
    with pytest.raises(MissingBandError, match=r"'u', 'g', 'r', 'i', 'z'.*twomass-J"):
        estimator.estimate(make_galaxy((8, 8), bands=("twomass-J",)))


def test_two_bands_of_one_kind(estimator):
    images = make_galaxy((8, 8), bands=("sdss2010-r", "decam2014-r"))
    with pytest.raises(InvalidInputError, match=r"sdss2010-r and decam2014-r .*select"):
        estimator.estimate(images)


def test_a_band_that_is_masked_everywhere_counts_as_missing(estimator, images):
    hidden = "sdss2010-u"
    ccd = images[hidden]
    mask = np.ones(images.shape, bool)
    mask[0, 0] = False
    ccds = {band: images[band] for band in images}
    ccds[hidden] = CCDData(ccd.data, unit=ccd.unit, wcs=ccd.wcs, uncertainty=ccd.uncertainty,
                           mask=mask)  # fmt: skip
    part = images.replace(images=ccds)[4:, 4:]
    rest = images.select([band for band in images if band != hidden])[4:, 4:]
    seen, unseen = estimator.estimate(part), estimator.estimate(rest)
    for name in seen:
        np.testing.assert_allclose(planes(seen, name), planes(unseen, name), rtol=1e-5)
    assert (seen.quality & QualityFlag.MISSING_BAND == QualityFlag.MISSING_BAND).all()


# ---- what is needed --------------------------------------------------------------------


def test_unknown_psf(estimator, images):
    with pytest.raises(InvalidInputError, match=r"images\.replace\(psf=1\.3 \* u\.arcsec\)"):
        estimator.estimate(images.replace(psf=None))
    partly = images.replace(psf=dict.fromkeys(images.bands[1:], 1 * u.arcsec))
    with pytest.raises(InvalidInputError, match="sdss2010-u is unknown"):
        estimator.estimate(partly)


def test_no_distance(estimator, images):
    near = images.replace(redshift=0.001)
    with pytest.raises(InvalidInputError, match="luminosity_distance=20"):
        estimator.estimate(near)
    maps = estimator.estimate(near.replace(luminosity_distance=20 * u.Mpc))
    assert np.isfinite(maps["stellar_mass"].data).all()


def test_parameters_that_make_no_sense(path):
    for parameters, error, words in (
        ({"resolution": "sharp"}, InvalidInputError, "'psf', 'native'"),
        ({"orientations": 4}, InvalidInputError, "1 or 8"),
        ({"mixed_precision": 1}, InvalidTypeError, "True or False"),
        ({"device": "gpu"}, InvalidInputError, "cuda"),
        ({"weights": 3}, InvalidTypeError, "expected the name"),
        ({"weights": "nowhere/weights"}, FileFormatError, r"no file nowhere.weights\.safeten"),
    ):
        with pytest.raises(error, match=words):
            CNNEstimator(**{"weights": path, **parameters})


def test_missing_packaged_weights(monkeypatch, tmp_path):
    monkeypatch.setattr("picasssso.estimators._cnn.weight_files._folder", lambda: tmp_path)
    assert CNNEstimator.list_pretrained() == []
    with pytest.raises(FileFormatError, match="lacks the packaged weights " + ALIASES["default"]):
        CNNEstimator()
    write_small(tmp_path / ALIASES["default"], members=1)
    write_small(tmp_path / "other", members=2)
    assert CNNEstimator.list_pretrained() == sorted([ALIASES["default"], "other"])
    assert CNNEstimator.from_pretrained().model_card["members"] == 1
    assert CNNEstimator.from_pretrained("other").model_card["members"] == 2


def test_card_cannot_be_changed(estimator):
    estimator.model_card["members"] = 7
    assert estimator.model_card["members"] == 2


def test_importing_and_making_one_needs_no_torch(path):
    import subprocess
    import sys

    code = (
        "import sys; from picasssso import CNNEstimator; "
        f"print(CNNEstimator(weights={str(path)!r}).properties, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip().endswith("False")


# ---- answers ---------------------------------------------------------------------------


def test_hydrogen_never_exceeds_gas(estimator, images):
    maps = estimator.estimate(images, n_samples=5, seed=1)
    for found in (
        lambda name: planes(maps, name),
        lambda name: maps.mean(name).value,
        lambda name: maps.samples(name).value,
    ):
        gas, hydrogen = found("gas_mass"), found("hi_mass")
        assert (hydrogen <= gas / 1.36 * (1 + 1e-6)).all()
        assert (hydrogen > 0).any()


def test_absence_is_flagged_and_zero(images, tmp_path):
    found = []
    for members in (1, 2, 3):
        path = write_small(tmp_path / f"members_{members}", members=members)
        maps = CNNEstimator(weights=path, device="cpu").estimate(images)
        flagged = (maps.quality & QualityFlag.UPPER_LIMIT) > 0
        absent = [maps[name].data == 0 for name in ("sfr", "gas_mass", "hi_mass")]
        zero = np.any(absent, axis=0)
        assert flagged[zero].all()
        # Hydrogen may also be zero only by being held below gas.
        assert (flagged == zero).mean() > 0.95
        assert (maps["stellar_mass"].data > 0).all()
        found.extend(absent)
    assert np.any(found)
    assert not np.all(found)


def test_resolution(path, estimator, images):
    sharp = CNNEstimator(weights=path, resolution="native", device="cpu")
    blunt, native = estimator.estimate(images), sharp.estimate(images)
    assert not np.allclose(native["stellar_mass"].data, blunt["stellar_mass"].data, rtol=1e-5)
    assert blunt.meta["resolution_fwhm_arcsec"] == pytest.approx(1.3)
    assert native.meta["resolution_fwhm_arcsec"] == pytest.approx(0.396, rel=1e-3)


def test_orientations(path, images):
    eight = CNNEstimator(weights=path, orientations=8, device="cpu")
    maps = eight.estimate(images)
    one = CNNEstimator(weights=path, device="cpu").estimate(images)
    assert not np.allclose(maps["stellar_mass"].data, one["stellar_mass"].data, rtol=1e-3)


def test_blocks_equal_the_whole_with_samples(path, images):
    whole = CNNEstimator(weights=path, device="cpu")
    frugal = CNNEstimator(weights=path, device="cpu")
    frugal.memory_budget = int(whole.bytes_per_pixel(5, 3) * 40 * 48 / 4)
    assert frugal._blocks(images, 3)[1] > 1
    first, second = (one.estimate(images, n_samples=3, seed=2) for one in (whole, frugal))
    assert_equal(first, second)
    for name in first:
        a, b = first.samples(name).value, second.samples(name).value
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * np.nanmax(a))


def test_outside_the_training_set(tmp_path, images):
    model = make_model()
    model.calibration = make_calibration(anything=False)
    write_weights(tmp_path / "narrow", model)
    with pytest.warns(OutsideTrainingWarning, match="redshift.*of the image are unlike"):
        maps = CNNEstimator(weights=tmp_path / "narrow", device="cpu").estimate(images)
    outside = (maps.quality & QualityFlag.OUTSIDE_TRAINING) > 0
    assert outside.all()
    assert "redshift" in maps.meta["outside_training"]
    assert "wavelength of u" in maps.meta["outside_training"]
    # A disagreement of the members in one place.
    tight = make_calibration()
    limit = torch.full_like(tight.disagreement, torch.inf)
    limit[0] = 13.0
    model.calibration = replace(tight, disagreement=limit)
    write_weights(tmp_path / "narrow", model, overwrite=True)
    with warnings.catch_warnings():
        # Whether many pixels or few are outside does not matter here.
        warnings.simplefilter("ignore", OutsideTrainingWarning)
        maps = CNNEstimator(weights=tmp_path / "narrow", device="cpu").estimate(images)
    outside = (maps.quality & QualityFlag.OUTSIDE_TRAINING) > 0
    assert outside.any()
    assert not outside.all()
    assert maps.meta["outside_training"] == []


def test_inside_the_training_set(estimator, images):
    maps = estimator.estimate(images)
    assert not (maps.quality & QualityFlag.OUTSIDE_TRAINING).any()
    assert maps.meta["calibrated"]
    assert maps.meta["weights"]["sha256"] == estimator.model_card["sha256"]


def test_binned_images_are_outside(estimator, images):
    bins = np.arange(images.shape[0] * images.shape[1]).reshape(images.shape) // 4
    maps = estimator.estimate(images.replace(bins=bins))
    assert (maps.quality & QualityFlag.OUTSIDE_TRAINING).all()


def test_pickling_keeps_what_was_learned(images):
    fitted = CNNEstimator(weights=None, device="cpu")
    fitted.model_ = make_model()
    twin = pickle.loads(pickle.dumps(fitted))
    assert_equal(fitted.estimate(images), twin.estimate(images), rtol=0)


# ---- samples ---------------------------------------------------------------------------


def test_scores_are_normal_and_correlated_as_told(estimator, images):
    calibration = make_calibration(shared=0.2, smooth=0.5)
    context = estimator._prepare(0, images, 1, 3)[1]
    draws = np.stack(
        [correlated_scores(calibration, context, images.shape, draw) for draw in range(150)]
    )
    assert np.mean(draws) == pytest.approx(0, abs=0.1)
    assert np.std(draws) == pytest.approx(1, abs=0.05)
    # What a galaxy shares stays in the mean over its pixels, with a little of the smooth part.
    means = draws.mean((2, 3))
    assert means.var(0).mean() == pytest.approx(0.2, rel=0.25)
    flat = draws.transpose(1, 0, 2, 3).reshape(8, -1)
    np.testing.assert_allclose(np.corrcoef(flat)[~np.eye(8, dtype=bool)], 0.3, atol=0.08)
    # Neighbors: all but the white part, times the Gaussian's own correlation.
    sigma = 1.3 / images.pixel_scale.value / 2.3548
    expected = 0.2 + 0.5 * np.exp(-1 / (4 * sigma**2))
    found = np.mean(draws[..., 1:] * draws[..., :-1])
    assert found == pytest.approx(expected, abs=0.05)


def test_presence_is_one_normal_number_of_the_image(estimator, images):
    context = estimator._prepare(0, images, 1, 3)[1]
    numbers = np.array([presence_score(context, draw) for draw in range(1000)])
    assert numbers.mean() == pytest.approx(0, abs=0.1)
    assert numbers.std() == pytest.approx(1, abs=0.1)
    block = replace(context, origin=(17, 5))
    assert presence_score(block, 3) == numbers[3]
    assert presence_score(replace(context, seed=4), 3) != numbers[3]
    # How much there is does not follow from whether there is any.
    shared = [correlated_scores(make_calibration(shared=0.9, smooth=0.05), context, (2, 2), draw)
              for draw in range(200)]  # fmt: skip
    amounts = np.mean(shared, axis=(2, 3))
    assert np.abs(np.corrcoef(amounts.T, numbers[:200])[-1, :-1]).max() < 0.25


def test_samples_follow_the_percentiles(estimator, images):
    maps = estimator.estimate(images, n_samples=60, seed=4)
    # Hydrogen is held below gas draw by draw, which is more than holding its percentiles.
    for name in set(maps) - {"hi_mass"}:
        draws, limits = maps.samples(name).value, planes(maps, name)
        for q, limit in zip((0.16, 0.5, 0.84), limits[1:4], strict=True):
            # Ties at zero count half.
            part = (draws < limit).mean() + 0.5 * (draws == limit).mean()
            low, high = (limit == 0).mean() * 0.5, (limit == 0).mean() * 0.5
            assert q - 0.06 - low < part < q + 0.06 + high, (name, q)


def test_samples_of_another_seed_differ(estimator, images):
    first, second, again = (
        estimator.estimate(images, n_samples=2, seed=seed).samples("sfr").value
        for seed in (1, 2, 1)
    )
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


def test_totals_from_samples(estimator, images):
    maps = estimator.estimate(images, n_samples=20, seed=1)
    total = maps.total("stellar_mass")
    assert total.value > 0 * u.Msun
    assert total.uncertainty > 0 * u.Msun


# ---- many images -----------------------------------------------------------------------


def test_many_equal_one_by_one(estimator):
    galaxies = [
        make_galaxy((24, 24), seed=1),
        make_galaxy((24, 24), seed=2, redshift=0.08),
        make_galaxy((16, 24), seed=3),
        make_galaxy((24, 24), seed=4).select(["sdss2010-r", "sdss2010-g"]),
    ]
    many = estimator.estimate_many(galaxies, batch_size=2, n_samples=2, seed=7, progress=False)
    for k, (maps, one) in enumerate(zip(many, galaxies, strict=True)):
        alone = estimator.estimate(one, n_samples=2, seed=7 + k)
        assert_equal(maps, alone)
        a, b = maps.samples("sfr").value, alone.samples("sfr").value
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * b.max())
        assert maps.meta == alone.meta
    assert estimator.estimate_many([]) == []


def test_many_with_errors_that_pixels_share(estimator, images):
    images = images.replace(zero_point_error=0.02 * u.mag)
    (maps,) = estimator.estimate_many([images], progress=False)
    alone = estimator.estimate(images)
    assert set(maps.systematics) == set(alone.systematics) != set()


def test_many_say_which_is_wrong(estimator, images):
    with pytest.raises(InvalidInputError, match=r"Image 1: .*PSF"):
        estimator.estimate_many([images, images.replace(psf=None)])
    with pytest.raises(InvalidInputError, match="batch_size"):
        estimator.estimate_many([images], batch_size=0)


# ---- the paper's network ---------------------------------------------------------------


def test_papers_network_is_honest_about_uncertainty(tmp_path, images):
    network = {"first_features": 8}
    path = write_small(
        tmp_path / "paper", architecture="buck_wolf_2021", network=network, members=1
    )
    paper = CNNEstimator(weights=path, device="cpu")
    assert paper.receptive_field is None
    assert "attenuation_v" not in paper.properties
    maps = paper.estimate(images)
    ratio = planes(maps, "stellar_mass") / maps["stellar_mass"].data
    # As measured elsewhere, relative to the median there, alike in all pixels.
    for plane, dex in zip(ratio, (-0.55, -0.25, 0.0, 0.2, 0.55), strict=True):
        np.testing.assert_allclose(plane, 10**dex, rtol=1e-4)
    np.testing.assert_array_equal(maps.mean("stellar_mass").value, maps["stellar_mass"].data)
    with pytest.raises(InvalidInputError, match="no joint samples"):
        paper.estimate(images, n_samples=2)
    model = make_model(architecture="buck_wolf_2021", network=network, members=1)
    del model.card["residual_quantiles"]
    write_weights(tmp_path / "bare", model)
    with pytest.raises(FileFormatError, match="measure_residuals"):
        CNNEstimator(weights=tmp_path / "bare", device="cpu").estimate(images)


# ---- the command -----------------------------------------------------------------------


def test_command_estimates_with_weights(path, images, tmp_path):
    images.write(tmp_path / "images.fits")
    result = CliRunner().invoke(
        cli,
        ["estimate", str(tmp_path / "images.fits"), "-e", "cnn", "-o", str(tmp_path / "maps.fits"),
         "--option", f"weights={str(path)!r}"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    maps = picasssso.PropertyMaps.read(tmp_path / "maps.fits")
    assert len(maps) == 8
    assert maps.meta["weights"]["sha256"]


def test_uncertainty_is_needed(estimator, images):
    bare = images.replace(
        images={b: CCDData(images[b].data, unit="nmgy", wcs=images.wcs) for b in images}
    )
    with pytest.raises(InvalidInputError, match="with_estimated_noise"):
        estimator.estimate(bare)


def test_one_member_tells_how_far_errors_of_the_sky_and_calibration_move_the_maps(monkeypatch):
    """Its response stands for that of the ensemble, which would cost as much as all members."""
    images = load_example()[0][32:96, 32:96]
    images = images.replace(
        zero_point_error={"sdss2010-r": 0.02 * u.mag}, sky_error={"sdss2010-g": 0.002 * u.nmgy}
    )
    estimator = CNNEstimator(device="cpu")
    maps = estimator.estimate(images, progress=False)
    monkeypatch.setattr(CNNEstimator, "_cheaper", lambda self: self)
    whole = estimator.estimate(images, progress=False)
    np.testing.assert_array_equal(maps.mean("stellar_mass"), whole.mean("stellar_mass"))
    for mode in ("zero_point:sdss2010-r", "sky:sdss2010-g"):
        one, all_members = (m.total("stellar_mass").components[mode].value for m in (maps, whole))
        assert one != all_members
        assert one == pytest.approx(all_members, rel=0.25)
