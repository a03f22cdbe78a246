"""Totals of the target, errors that all pixels share, and notices."""

import astropy.units as u
import numpy as np
import pytest

from picasssso import MassToLightEstimator, PropertyMaps
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.maps.arrays import PropertyArrays
from picasssso.maps.notices import like_prior, missing_notice, outside_notice
from picasssso.quality import QualityFlag
from picasssso.testing import make_galaxy

STEPS = 1 + 0.1 * np.array([-1.959964, -0.994458, 0, 0.994458, 1.959964])[:, None, None]


def make(mass, *, shared=None, **options):
    arrays = PropertyArrays(STEPS * mass, mean=mass, shared=shared)
    return PropertyMaps(
        {"stellar_mass": arrays},
        quality=options.pop("quality", None),
        pixel_solid_angle=1 * u.arcsec**2,
        redshift=0.02,
        luminosity_distance=90 * u.Mpc,
        **options,
    )


def test_totals_are_those_of_the_target():
    target = np.zeros((20, 30), bool)
    target[5:15, 5:15] = True
    maps = make(np.full(target.shape, 1e8), target=target)
    whole, own = (
        maps.total("stellar_mass", "frame", "full"),
        maps.total("stellar_mass", None, "full"),
    )
    assert float(whole.value / own.value) == pytest.approx(6)
    assert (whole.assumptions["region"], own.assumptions["region"]) == ("frame", "target")
    given = maps.total("stellar_mass", target, "full")
    assert given.value == own.value
    assert given.assumptions["region"] == "given"
    part = maps[:15, :15]
    assert part.total("stellar_mass", correlation="full").value == own.value
    with pytest.raises(InvalidInputError, match='region="frame"'):
        maps[16:, 16:].total("stellar_mass", correlation="full")


def test_targets_that_cannot_be():
    with pytest.raises(InvalidTypeError, match="booleans"):
        make(np.ones((4, 5)), target=np.ones((4, 5)))
    with pytest.raises(InvalidInputError, match=r"target has shape \(3, 5\)"):
        make(np.ones((4, 5)), target=np.ones((3, 5), bool))


def test_the_label_in_the_middle_is_the_target():
    images = make_galaxy((40, 44))
    labels = np.zeros(images.shape, int)
    labels[:8, :8], labels[12:30, 14:32] = 1, 7
    maps = MassToLightEstimator().estimate(images.replace(labels=labels))
    assert np.array_equal(maps.target, labels == 7)
    assert maps.meta["target_label"] == 7
    assert MassToLightEstimator().estimate(images).target is None
    nobody = MassToLightEstimator().estimate(images.replace(labels=np.zeros_like(labels)))
    assert nobody.target is None


def test_errors_that_pixels_share_stay_in_totals():
    """Pixels scatter by 6 % on their own and by 8 % together."""
    mass = np.full((30, 30), 1e8)
    maps = make(mass, shared=0.08 * mass)
    for correlation in (None, "independent"):
        total = maps.total("stellar_mass", correlation=correlation)
        assert float(total.components["shared"] / total.value) == pytest.approx(0.08)
        assert float(total.components["pixels"] / total.value) == pytest.approx(
            0.06 / 30, rel=0.01
        )
    assert maps.total("stellar_mass").assumptions["correlation"] == "joint"
    full = maps.total("stellar_mass", correlation="full")
    assert float(full.uncertainty / full.value) == pytest.approx(0.1, rel=0.01)
    with pytest.raises(InvalidInputError, match="no joint samples"):
        make(mass).total("stellar_mass")


def test_shared_errors_of_opposite_sign_cancel():
    mass = np.full((10, 10), 1e8)
    sign = np.where(np.arange(10) < 5, 1.0, -1.0)
    total = make(mass, shared=0.05 * mass * sign).total("stellar_mass")
    assert total.components["shared"] < 1e-6 * total.value


def test_files_and_slices_keep_target_and_shared_errors(tmp_path):
    target = np.eye(6, dtype=bool)
    mass = np.arange(1.0, 37.0).reshape(6, 6)
    maps = make(mass, shared=0.3 * mass, target=target)
    maps.write(tmp_path / "maps.fits")
    again = PropertyMaps.read(tmp_path / "maps.fits")
    assert np.array_equal(again.target, target)
    np.testing.assert_array_equal(again._planes("stellar_mass").shared, 0.3 * mass)
    assert again.total("stellar_mass").uncertainty == maps.total("stellar_mass").uncertainty
    part = maps[1:3, 2:5]
    assert np.array_equal(part.target, target[1:3, 2:5])
    np.testing.assert_array_equal(part._planes("stellar_mass").shared, 0.3 * mass[1:3, 2:5])


def test_notices():
    mass, outside = np.ones((10, 10)), int(QualityFlag.OUTSIDE_TRAINING)
    assert outside_notice(make(mass)) is None
    strange = outside_notice(make(mass, meta={"outside_training": ["redshift"]}))
    assert strange.startswith("redshift of the image is unlike")
    why = {"outside_training": ["redshift"], "outside_training_reasons": ["redshift 3"]}
    assert "errors. Outside: redshift 3. Compare" in outside_notice(make(mass, meta=why))
    quality = np.zeros((10, 10), int)
    quality[:2] = outside
    assert outside_notice(make(mass, quality=quality)) is None
    # Of pixels with light, half.
    quality[4:] = int(QualityFlag.NOT_DETECTED)
    assert outside_notice(make(mass, quality=quality)).startswith("50 % of the pixels")
    none = {"outside_training": [], "outside_training_reasons": []}
    assert "members of the ensemble disagree" in outside_notice(
        make(mass, quality=quality, meta=none)
    )


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("labeled", [True, False])
def test_light_in_holes_is_told_of_images_that_were_not_prepared(center, labeled):
    images = make_galaxy((60, 64), central_signal_to_noise=200)
    whole = MassToLightEstimator().estimate(images)
    assert missing_notice(whole) is None
    y, x = np.indices(images.shape)
    peak = np.unravel_index(np.argmax(whole.mean("stellar_mass").value), images.shape)
    hole = np.hypot(y - peak[0], x - peak[1] - (0 if center else 7)) < 4
    labels = (np.hypot(y - peak[0], x - peak[1]) < 25).astype(int) if labeled else None
    masked = {}
    for band, image in images.items():
        image = image.copy()
        image.mask = hole
        masked[band] = image
    holed = images.with_planes(masked, labels=labels) if labeled else images.with_planes(masked)
    mass = whole.mean("stellar_mass").value
    inside = mass[labels == 1] if labeled else mass
    lost = 100 * mass[hole].sum() / inside.sum()
    with pytest.warns(PicassssoWarning, match="% of the target's .* not filled in") as caught:
        maps = MassToLightEstimator().estimate(holed)
    told = str(next(w.message for w in caught if "not filled in" in str(w.message)))
    assert ("its center among it" in told) == center
    assert float(told.split()[1]) == pytest.approx(lost, abs=8)
    assert missing_notice(maps)[1:] == told[1:]
    # What prepare() has said is not said again.
    step = {"step": "mask", "part_of_target_light_masked": 0.2}
    MassToLightEstimator().estimate(holed.replace(meta={"preparation": [step]}))


def test_with_two_bands_the_mass_leans_on_the_prior():
    prior = {"stellar_age": [1.0, 3.0, 8.0]}
    mass = np.ones((4, 4))
    two, three = (
        like_prior(make(mass, meta={"prior": prior, "bands": list(bands)}))
        for bands in ("gi", "gri")
    )
    assert "fewer than three bands" in two["stellar_mass"]
    assert three == {}
    assert like_prior(make(mass, meta={"bands": ["g", "i"]})) == {}
