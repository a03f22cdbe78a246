"""Everything that belongs to the images travels with them, through every operation.

The slots are looped over, so that a slot that somebody adds and forgets to carry fails here.
"""

import inspect

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from picasssso.bands import BandImages, NoiseScaling

# The constructor's arguments; each has an attribute of its name.
SLOTS = [
    name
    for name in inspect.signature(BandImages).parameters
    if name not in ("images", "pixel_scale")
]
PER_BAND = (
    "zero_point",
    "asinh_softening",
    "psf",
    "noise_scaling",
    "sky_error",
    "zero_point_error",
)
PLANES = ("bins", "labels")
PART = (slice(3, 20), slice(5, 27))


def identical(one, two):
    """Whether two values of a slot are the same, to the last bit."""
    if isinstance(one, u.Quantity):
        return isinstance(two, u.Quantity) and one.unit == two.unit and bool(one == two)
    if isinstance(one, np.ndarray):
        return isinstance(two, np.ndarray) and np.array_equal(one, two)
    if hasattr(one, "items"):
        return list(one) == list(two) and all(identical(one[k], two[k]) for k in one)
    if hasattr(one, "H0"):
        return one == two and one.name == two.name
    return type(one) is type(two) and one == two


def assert_same_bands(one, two):
    assert one.bands == two.bands
    for band in one:
        a, b = one[band], two[band]
        assert np.array_equal(a.data, b.data), band
        assert a.unit == b.unit
        assert (a.uncertainty is None) == (b.uncertainty is None), band
        if a.uncertainty is not None:
            assert type(a.uncertainty) is type(b.uncertainty), band
            assert a.uncertainty.unit == b.uncertainty.unit
            assert np.array_equal(a.uncertainty.array, b.uncertainty.array), band
        assert (a.mask is None) == (b.mask is None), band
        if a.mask is not None:
            assert a.mask.dtype.kind == b.mask.dtype.kind, band
            assert np.array_equal(a.mask, b.mask)
    for a, b in zip(one.to_arrays(), two.to_arrays(), strict=True):
        assert np.array_equal(a, b, equal_nan=True)


@pytest.fixture(scope="module")
def operations(full_images, tmp_path_factory):
    """Operations that change nothing but what part of the images there is."""
    path = tmp_path_factory.mktemp("slots") / "images.fits"
    full_images.write(path)
    return {
        "slice": full_images[PART],
        "cutout": full_images.cutout((16, 11.5), (17, 22)),
        "select": full_images.select(["u", "g", "r", "i", "z"]),
        "replace": full_images.replace(),
        "with_estimated_noise": full_images.with_estimated_noise(),
        "file": BandImages.read(path),
    }


@pytest.fixture(scope="module")
def resampled(full_images, make_wcs):
    return full_images.reproject_to(make_wcs((20, 20), scale=0.6), (20, 20))


@pytest.fixture(scope="module")
def targets(full_images):
    return list(full_images.split_labels({2: 0.05, 1: 0.06}))


def test_every_slot_is_filled_so_that_the_tests_below_see_it(full_images):
    for slot in SLOTS:
        value = getattr(full_images, slot)
        assert value is not None, slot
        if slot in PER_BAND:
            assert value, slot
    assert set(PER_BAND) | set(PLANES) < set(SLOTS)


@pytest.mark.parametrize("slot", SLOTS)
@pytest.mark.parametrize(
    "operation", ["slice", "cutout", "select", "replace", "with_estimated_noise", "file"]
)
def test_slot_travels(full_images, operations, operation, slot):
    before, after = getattr(full_images, slot), getattr(operations[operation], slot)
    if slot in PLANES and operation in ("slice", "cutout"):
        before = before[PART]
    assert identical(before, after)


@pytest.mark.parametrize("operation", ["select", "replace", "with_estimated_noise", "file"])
def test_pixels_travel(full_images, operations, operation):
    if operation == "with_estimated_noise":  # gives the z band what it lacked, and no other
        assert full_images.missing_uncertainty == ("sdss2010-z",)
        assert not operations[operation].missing_uncertainty
        bands = ["u", "g", "r", "i"]
        assert_same_bands(full_images.select(bands), operations[operation].select(bands))
    else:
        assert_same_bands(full_images, operations[operation])
    header, other = full_images.wcs.to_header(True), operations[operation].wcs.to_header(True)
    assert header == other
    assert "A_2_0" in header
    solid_angle = full_images.pixel_solid_angle
    assert operations[operation].pixel_solid_angle == solid_angle


def test_slices_and_cutouts_are_the_same_part(operations):
    assert_same_bands(operations["slice"], operations["cutout"])


def test_slot_of_a_part_survives_a_file_and_a_change(full_images, tmp_path):
    part = full_images[PART].select(["r", "u"])
    part.write(tmp_path / "part.fits")
    for other in (BandImages.read(tmp_path / "part.fits"), part.replace(redshift=part.redshift)):
        assert_same_bands(part, other)
        assert other.pixel_solid_angle == part.pixel_solid_angle
        for slot in SLOTS:
            assert identical(getattr(part, slot), getattr(other, slot)), slot


@pytest.mark.parametrize("slot", PER_BAND)
def test_select_keeps_what_belongs_to_the_bands_kept(full_images, slot):
    bands = ("sdss2010-r", "sdss2010-g")
    found = getattr(full_images.select(["r", "g"]), slot)
    everything = getattr(full_images, slot)
    assert identical(dict(found), {b: everything[b] for b in bands if b in everything})


@pytest.mark.parametrize("slot", SLOTS)
def test_slot_travels_through_reprojection(full_images, resampled, slot):
    """Slots without pixels are kept; those with are converted, not dropped."""
    before, after = getattr(full_images, slot), getattr(resampled, slot)
    if slot in PLANES:
        assert after.shape == (20, 20)
        assert set(np.unique(after)) <= {*np.unique(before), -1 if slot == "bins" else 0}
        assert len(np.unique(after)) > 2
    elif slot == "asinh_softening":
        assert not after  # in nmgy now
        assert resampled["i"].unit == u.nmgy
    elif slot in ("psf", "noise_scaling", "sky_error"):
        assert list(before) == list(after)
    else:
        assert identical(before, after)


@pytest.mark.parametrize("slot", SLOTS)
def test_slot_travels_to_the_targets_of_a_field(full_images, targets, slot):
    (label, target), *rest = targets
    assert label == 2
    assert [k for k, _ in rest] == [1]
    value = getattr(target, slot)
    if slot == "redshift":
        assert value == 0.05
    elif slot == "luminosity_distance":  # the field's would be another target's
        assert value == target.cosmology.luminosity_distance(0.05)
    elif slot in PLANES:
        assert value.shape == target.shape
    else:
        assert identical(getattr(full_images, slot), value)


def test_replacing_images_drops_what_belonged_to_lost_bands(full_images):
    ccds = {band: full_images[band] for band in ("sdss2010-u", "sdss2010-g")}
    smaller = full_images.replace(images=ccds)
    assert smaller.bands == ("sdss2010-u", "sdss2010-g")
    assert list(smaller.psf) == ["sdss2010-u"]
    assert not smaller.zero_point
    assert smaller.noise_scaling["sdss2010-g"] == NoiseScaling([1, 50], [1.0, 3.0])


def test_header_cards_travel_through_files(make_ccd, tmp_path):
    header = fits.Header([("EXPTIME", 450.0, "seconds"), ("NAXIS1", 3), ("CRPIX1", 99.0)])
    header.add_history("flat-fielded")
    ccd = make_ccd()
    ccd.meta = header
    BandImages({"sdss2010-r": ccd}, redshift=0.1).write(tmp_path / "i.fits")
    back = BandImages.read(tmp_path / "i.fits")
    assert back["sdss2010-r"].meta["EXPTIME"] == 450.0
    assert "flat-fielded" in str(back["sdss2010-r"].meta["HISTORY"])
    assert back["sdss2010-r"].meta["CRPIX1"] == 15.5
