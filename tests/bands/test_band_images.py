"""The mapping itself: attributes, views, parts, and that nothing can be changed."""

import copy
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.cosmology import Planck15, Planck18
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso._core.solid_angles import pixel_solid_angles
from picasssso.bands import BandImages, align
from picasssso.data import load_example
from picasssso.exceptions import (
    InvalidInputError,
    MissingBandError,
    PicassssoError,
    PicassssoWarning,
)

G, R = "sdss2010-g", "sdss2010-r"


@pytest.fixture(scope="module")
def images(make_ccd):
    return BandImages({"g": make_ccd(1), "r": make_ccd(2)}, survey="sdss", redshift=0.02)


def is_mapped(array):
    """Whether an array's memory is that of a file."""
    while array is not None:
        if type(array).__module__ == "mmap" or isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
        if isinstance(array, memoryview):
            array = array.obj
    return False


def test_one_pixel_may_be_a_whole_galaxy():
    light = CCDData([[5.0]], unit="nmgy", uncertainty=StdDevUncertainty([[0.1]]))
    images = BandImages({"sdss2010-r": light}, redshift=0.02, pixel_scale=5 * u.arcmin)
    assert images.pixel_scale.to_value(u.arcsec) == pytest.approx(300)


def test_mapping(images):
    assert images.bands == tuple(images) == (G, R)
    assert len(images) == 2
    assert "r" in images
    assert R in images
    assert "z" not in images
    assert images.get("z") is None
    assert isinstance(images["g"], CCDData)
    assert images["g"].unit == u.nmgy
    assert images.survey == "sdss"
    with pytest.raises(KeyError, match="'z'"):
        images["z"]
    with pytest.raises(MissingBandError):
        images["z"]
    assert images == images
    assert images != images.replace()
    assert len({images, images}) == 1


def test_repr_is_short(images):
    assert repr(images) == f"<BandImages: {G}, {R}; 24 x 30 pixels of 0.4 arcsec; z = 0.02>"


def test_pairs_are_as_good_as_a_mapping(make_ccd):
    pairs = ((band, make_ccd()) for band in (R, G))
    assert BandImages(pairs, redshift=0.1).bands == (R, G)


def test_distances(images):
    assert images.cosmology is Planck18
    distance = Planck18.luminosity_distance(0.02)
    assert u.isclose(images.luminosity_distance, distance)
    assert u.isclose(images.angular_diameter_distance, Planck18.angular_diameter_distance(0.02))
    other = images.replace(cosmology=Planck15)
    assert u.isclose(other.luminosity_distance, Planck15.luminosity_distance(0.02))
    # The distance given is right whatever the cosmology; D_A = D_L / (1 + z)^2.
    nearby = images.replace(redshift=0.0013, luminosity_distance=16.5e3 * u.kpc)
    assert nearby.luminosity_distance == 16.5 * u.Mpc
    assert nearby.luminosity_distance.unit == u.Mpc
    assert u.isclose(nearby.angular_diameter_distance, 16.5 * u.Mpc / 1.0013**2)
    expected = (0.4 * u.arcsec).to_value(u.rad) ** 2 * (16.5e3 / 1.0013**2 * u.kpc) ** 2
    assert u.isclose(nearby.pixel_area, expected, rtol=1e-7)


@pytest.mark.parametrize("redshift", [-0.0049, 0.0, 0.00299])
def test_near_redshifts_have_no_distance(images, redshift):
    near = images.replace(redshift=redshift)
    assert near.luminosity_distance is None
    assert near.angular_diameter_distance is None
    assert images.replace(redshift=0.003).luminosity_distance is not None


@pytest.mark.parametrize(
    "redshift", [0.02, np.float32(0.02), np.array(0.02), [0.02], 0.02 * u.one, 2 * u.percent]
)
def test_forms_of_a_redshift(images, redshift):
    found = images.replace(redshift=redshift).redshift
    assert type(found) is float
    assert found == pytest.approx(0.02, rel=1e-7)


def test_pixel_scale(images, make_ccd):
    assert images.pixel_scale.to_value(u.arcsec) == pytest.approx(0.4, rel=1e-7)
    assert images.pixel_solid_angle.to_value(u.arcsec**2) == pytest.approx(0.16, rel=1e-7)
    bare = BandImages({R: make_ccd(wcs=None)}, redshift=0.1, pixel_scale=0.4 * u.arcsec / u.pix)
    assert bare.wcs is None
    assert bare.pixel_scale == 0.4 * u.arcsec
    part = bare[2:5, 3:9]
    assert part.wcs is None
    assert part.pixel_scale == bare.pixel_scale


def test_solid_angle_far_from_the_tangent_point(make_wcs):
    """A tangent plane's pixels shrink as cos^3 of the distance (Calabretta & Greisen 2002)."""
    wcs = make_wcs()
    wcs.wcs.crpix = wcs.wcs.crpix[0] + 2.4 * 3600 / 0.4, wcs.wcs.crpix[1]
    image = CCDData(np.ones((24, 30)), unit="nmgy", wcs=wcs)
    found = BandImages({R: image}, redshift=0.1).pixel_solid_angle.to_value(u.arcsec**2)
    angle = np.arctan(np.deg2rad(2.4))
    assert found == pytest.approx(0.16 * np.cos(angle) ** 3, rel=1e-6)
    assert found != pytest.approx(0.16, rel=1e-3)


def test_solid_angles_follow_the_distortion(make_wcs):
    shape = (200, 300)
    image = CCDData(np.ones(shape), unit="nmgy", wcs=make_wcs(shape, sip=True))
    images = BandImages({R: image}, redshift=0.1)
    areas = pixel_solid_angles(images.wcs, shape)
    assert np.ptp(areas) > 0.004
    # The distances between neighbors say the same.
    sky = images.wcs.pixel_to_world(*np.meshgrid(np.arange(300), np.arange(200)))
    step_x = sky[:-1, :-1].separation(sky[:-1, 1:]).arcsec
    step_y = sky[:-1, :-1].separation(sky[1:, :-1]).arcsec
    assert np.median(np.abs(areas[:-1, :-1] / (step_x * step_y) - 1)) < 2e-2
    # Distant parts of a distorted image have their own, near ones that of the whole.
    assert images[:20, :20].pixel_solid_angle != images.pixel_solid_angle
    central = images[90:110, 140:160].pixel_solid_angle
    assert u.isclose(central, images.pixel_solid_angle, rtol=1e-12)


def test_arrays_are_views_that_cannot_be_written(make_ccd):
    ccd = make_ccd(3, mask=np.zeros((24, 30), bool))
    images = BandImages({R: ccd}, redshift=0.1)
    for found, original in (
        (images[R].data, ccd.data),
        (images[R].mask, ccd.mask),
        (images[R].uncertainty.array, ccd.uncertainty.array),
        (images[3:9, 4:8][R].data, ccd.data),
        (images.select([R]).replace(redshift=0.3)[R].data, ccd.data),
    ):
        assert np.shares_memory(found, original)
        assert original.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            found[0, 0] = 1


def test_nothing_can_be_changed(images, make_ccd):
    before = images.to_arrays()
    ccd = images[R]
    ccd.mask = np.ones(images.shape, bool)
    ccd.uncertainty = None
    ccd.meta["A"] = 1
    ccd.wcs.wcs.crpix = 0, 0
    images.wcs.wcs.crval = 3, 4
    with pytest.raises(AttributeError):
        images.redshift = 3
    with pytest.raises(TypeError):
        images.meta["a"] = 1
    with pytest.raises(TypeError):
        images.psf[R] = 1
    with pytest.raises(TypeError):
        images[R] = ccd
    for a, b in zip(before, images.to_arrays(), strict=True):
        assert np.array_equal(a, b)
    assert "A" not in images[R].meta
    assert tuple(images.wcs.wcs.crval) == (150, 2)
    assert tuple(images[R].wcs.wcs.crpix) == (15.5, 12.5)
    # Nor through what was put in.
    own = make_ccd()
    notes = {"list": [1]}
    kept = BandImages({R: own}, redshift=0.1, meta=notes)
    own.wcs.wcs.crval = 3, 4
    notes["list"].append(2)
    assert tuple(kept.wcs.wcs.crval) == (150, 2)
    assert kept.meta == {"list": [1]}


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", ">i2", "u1", "f2"])
def test_types_and_byte_orders(make_wcs, dtype):
    data = np.arange(720).reshape(24, 30) % 200
    image = CCDData(data.astype(dtype), unit="nmgy", wcs=make_wcs())
    images = BandImages({R: image}, redshift=0.1)
    assert images[R].data.dtype == np.dtype(dtype)
    flux, inverse_variance = images.to_arrays()
    assert flux.dtype == inverse_variance.dtype == np.dtype("=f4")
    assert np.array_equal(flux[0], data)


@pytest.fixture
def mapped_file(tmp_path, make_wcs):
    path = tmp_path / "large.fits"
    shape = (1100, 1000)  # small arrays are read
    header = make_wcs(shape).to_header()
    header["BUNIT"] = "nmgy"
    rng = np.random.default_rng(5)
    hdus = [
        fits.PrimaryHDU(rng.normal(size=shape).astype("f4"), header),
        fits.ImageHDU(rng.uniform(1, 2, shape).astype("f4"), name="WGT"),
        fits.ImageHDU((rng.uniform(size=shape) < 0.1).astype("u1"), name="MSK"),
    ]
    fits.HDUList(hdus).writeto(path)
    return path


def test_memory_maps_stay_memory_maps(mapped_file, tmp_path):
    images = BandImages.read({R: f"{mapped_file}[0]"}, redshift=0.1, weight="WGT", mask="MSK")
    images.write(tmp_path / "own.fits")
    with fits.open(mapped_file) as hdus:
        ccd = CCDData(hdus[0].data, unit="nmgy", wcs=images.wcs)
    everything = {
        "survey file": images,
        "part": images[3:9, 2:20],
        "replaced": images.replace(psf=1 * u.arcsec),
        "own file": BandImages.read(tmp_path / "own.fits"),
        "opened by the user": BandImages({R: ccd}, redshift=0.1),
    }
    for name, found in everything.items():
        assert is_mapped(found[R].data), name
        if found[R].uncertainty is not None:
            assert is_mapped(found[R].uncertainty.array), name
            assert is_mapped(found._records[R].mask), name
    assert np.array_equal(everything["own file"].to_arrays(), images.to_arrays())
    assert not is_mapped(np.ones(3))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="counts maps in /proc")
def test_a_file_is_mapped_once_whatever_it_holds(mapped_file, tmp_path):
    images = BandImages.read({R: f"{mapped_file}[0]"}, redshift=0.1, weight="WGT", mask="MSK")
    images.write(tmp_path / "own.fits")
    own = BandImages.read(tmp_path / "own.fits")
    for plane in (own[R].data, own[R].uncertainty.array, own._records[R].mask):
        assert np.sum(plane) > 0
    assert Path("/proc/self/maps").read_text().count("own.fits") == 1


def test_only_the_region_is_converted(make_ccd, monkeypatch):
    images = BandImages({R: make_ccd(), G: make_ccd()}, redshift=0.1)
    touched = []
    for record in images._records.values():
        original = type(record.scale).to_flux

    def spy(self, values):
        touched.append(values.shape)
        return original(self, values)

    monkeypatch.setattr(type(record.scale), "to_flux", spy)
    images.to_arrays((slice(2, 5), slice(10, 17)), bands=["sdss2010-g"])
    assert touched == [(3, 7)]


def test_door_reads_little_of_a_large_image(make_wcs):
    """Finding one valid pixel is enough: a mapped mosaic is not read from end to end."""

    class Counting(np.ndarray):
        seen = 0

        def __getitem__(self, key):
            part = super().__getitem__(key)
            Counting.seen += np.size(part)
            return part

    shape = (4096, 512)
    data = np.ones(shape, np.float32).view(Counting)
    BandImages({R: CCDData(data, unit="nmgy", wcs=make_wcs(shape))}, redshift=0.1)
    assert 0 < Counting.seen < data.size / 2


def test_to_arrays_by_band_and_order(images):
    flux, inverse_variance = images.to_arrays(bands=["r", G])
    assert np.array_equal(flux[::-1], images.to_arrays()[0])
    sigma = images["r"].uncertainty.array
    np.testing.assert_allclose(inverse_variance[0], sigma**-2, rtol=1e-6)
    # One name is one band, not as many as it has letters.
    assert np.array_equal(images.to_arrays(bands=R)[0][0], flux[0])


def test_membership_is_never_an_error(images):
    assert R in images
    assert "r" in images
    for other in ("sdss2010-z", "nonsense", 5, None, (slice(0, 2), slice(0, 2))):
        assert other not in images


def test_invalid_pixels(make_wcs):
    data = np.array([[1.0, np.nan, np.inf, 4.0, 5.0, 6.0, 7.0, 8.0]])
    mask = np.array([[0, 0, 0, 1, 0, 0, 0, 0]], bool)
    sigma = np.array([[2.0, 1.0, 1.0, 1.0, 0.0, -1.0, np.nan, np.inf]])
    with_noise = CCDData(
        data, unit="nmgy", mask=mask, uncertainty=StdDevUncertainty(sigma), wcs=make_wcs((1, 8))
    )
    without = CCDData(data, unit="nmgy", mask=mask, wcs=make_wcs((1, 8)))
    images = BandImages({G: with_noise, R: without}, redshift=0.1)
    assert images.missing_uncertainty == (R,)
    flux, inverse_variance = images.to_arrays()
    assert flux[0].tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]
    assert inverse_variance[0].tolist() == [[0.25, 0, 0, 0, 0, 0, 0, 0]]
    assert flux[1].tolist() == [[1, 0, 0, 0, 5, 6, 7, 8]]
    assert np.array_equal(
        inverse_variance[1], [[np.nan, 0, 0, 0, np.nan, np.nan, np.nan, np.nan]], equal_nan=True
    )


def test_extreme_values_stay_finite(make_wcs):
    """What float32 cannot hold is invalid as a flux, and the largest number as a precision."""
    data = np.array([[1.0, 1e39, 1.0]])
    sigma = np.array([[1e-30, 1.0, 1.0]])
    ccd = CCDData(data, unit="nmgy", uncertainty=StdDevUncertainty(sigma), wcs=make_wcs((1, 3)))
    flux, inverse_variance = BandImages({R: ccd}, redshift=0.1).to_arrays()
    assert flux[0].tolist() == [[1, 0, 1]]
    assert inverse_variance[0].tolist() == [[np.finfo(np.float32).max, 0, 1]]


starts_and_stops = st.tuples(st.integers(-35, 35), st.integers(-35, 35))


@given(y=starts_and_stops, x=starts_and_stops)
@settings(max_examples=60)
def test_slicing_commutes_with_conversion(full_images, y, x):
    part = slice(*y), slice(*x)
    shape = np.empty(full_images.shape)[part].shape
    if 0 in shape:
        with pytest.raises(ValueError, match="holds no pixel"):
            full_images[part]
        return
    found = full_images[part]
    assert found.shape == shape
    for whole, direct, cut in zip(
        full_images.to_arrays(), full_images.to_arrays(part), found.to_arrays(), strict=True
    ):
        assert np.array_equal(whole[:, part[0], part[1]], direct, equal_nan=True)
        # Solid angles of distorted pixels depend on the origin in their last bits.
        np.testing.assert_array_max_ulp(direct, cut, maxulp=1)
    # A pixel of the part lies where it lay, SIP and all.
    y0, x0 = (s.indices(n)[0] for s, n in zip(part, full_images.shape, strict=True))
    here = found.wcs.all_pix2world(1.5, 2.5, 0)
    there = full_images.wcs.all_pix2world(x0 + 1.5, y0 + 2.5, 0)
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-12)


def test_slices_of_slices(full_images):
    once = full_images[3:20, 5:25][2:9, 1:11]
    twice = full_images[5:12, 6:16]
    assert np.array_equal(once.to_arrays(), twice.to_arrays(), equal_nan=True)
    assert once.wcs.to_header(True) == twice.wcs.to_header(True)
    assert once.wcs.array_shape == (7, 10)


def test_fully_masked_part_is_no_error(make_ccd, tmp_path):
    """A block without data is cut, written and read; only whole images must hold something."""
    mask = np.zeros((24, 30), bool)
    mask[:, :10] = True
    part = BandImages({R: make_ccd(mask=mask)}, redshift=0.1)[:, :10]
    assert not part.to_arrays()[1].any()
    part.write(tmp_path / "part.fits")
    assert not BandImages.read(tmp_path / "part.fits").to_arrays()[1].any()


def test_cutout(images):
    center = images.wcs.pixel_to_world(10, 12)
    expected = images[10:15, 8:13]
    for found in (
        images.cutout(center, 5),
        images.cutout(center, 2 * u.arcsec),
        images.cutout(center.galactic, (2 * u.arcsec, 5 * u.pix)),
        images.cutout((10, 12), (5, 5)),
    ):
        assert np.array_equal(found.to_arrays(), expected.to_arrays())
        assert found.wcs.to_header() == expected.wcs.to_header()
    edge = images.cutout((0, 0), 9)
    assert edge.shape == (5, 5)
    assert isinstance(center, SkyCoord)


def test_split_labels(make_ccd):
    labels = np.zeros((24, 30), np.int32)
    labels[2:6, 3:9] = 7
    labels[5:10, 8:12] = 9
    field = BandImages({R: make_ccd(), G: make_ccd(1)}, redshift=0.1, labels=labels)
    (label, target), (other, _) = field.split_labels({7: 0.05, 9: 0.2}, margin=2)
    assert (label, other) == (7, 9)
    assert target.redshift == 0.05
    assert target.shape == (8, 10)
    inverse_variance = target.to_arrays()[1]
    assert np.array_equal(inverse_variance[0] == 0, labels[0:8, 1:11] == 9)
    assert np.array_equal(inverse_variance[0] == 0, inverse_variance[1] == 0)
    with pytest.raises(ValueError, match=re.escape("label 3, expected some of [7, 9]")):
        list(field.split_labels({3: 0.1}))


def test_bands_within_a_tenth_of_a_pixel_are_one_grid(make_ccd, make_wcs):
    near = make_wcs(center=(150, 2 + 0.09 * 0.4 / 3600))
    images = BandImages({G: make_ccd(), R: make_ccd(wcs=near)}, redshift=0.1)
    assert images[R].wcs.to_header() == images.wcs.to_header() == make_wcs().to_header()


def test_offset_of_a_distortion_is_seen(make_ccd, make_wcs):
    """The same linear WCS, but distorted at the corners."""
    shape = (60, 60)
    straight, distorted = (
        make_ccd(shape=shape, wcs=make_wcs(shape, sip=s)) for s in (False, True)
    )
    with pytest.raises(ValueError, match=r"corner from that of band 'sdss2010-g'"):
        BandImages({G: straight, R: distorted}, redshift=0.1)


def test_the_call_that_an_error_names_aligns(make_ccd, make_wcs):
    bands = {G: make_ccd(), R: make_ccd(wcs=make_wcs(center=(150, 2.0004)))}
    with pytest.raises(ValueError, match="align") as caught:
        BandImages(bands, redshift=0.02)
    call = re.search(r"picasssso\.bands\.(align\(.*\))", str(caught.value))[1]
    found = eval(call.replace("...", "0.02"), {"align": align, "images": bands})
    assert found.bands == (G, R)
    assert found[R].mask.any()


def test_psf_from_the_image_itself(make_ccd):
    """CCDData loses its PSF when it is sliced; here it lives on."""
    ccd = make_ccd()
    kernel = np.ones((3, 3))
    ccd.psf = kernel
    images = BandImages({R: ccd, G: make_ccd()}, redshift=0.1)
    np.testing.assert_allclose(images[2:9, 3:9].psf[R], kernel / 9)
    assert images.psf_fwhm(G) is None
    given = BandImages({R: ccd}, redshift=0.1, psf=0.11 * u.arcmin)
    assert given.psf_fwhm(R) == 6.6 * u.arcsec


@pytest.mark.parametrize("fwhm", [1.8, 2.5, 4.0, 7.0])
@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_width_of_a_kernel(make_ccd, fwhm, offset):
    y, x = np.indices((31, 31)) - 15.0
    kernel = np.exp(-4 * np.log(2) * ((x - offset) ** 2 + y**2) / fwhm**2)
    images = BandImages({R: make_ccd()}, redshift=0.1, psf=17 * kernel)
    # Splines through fewer than two pixels per width are not quite a Gaussian.
    tolerance = 0.02 if fwhm >= 2.5 else 0.06
    assert images.psf_fwhm(R).to_value(u.arcsec) == pytest.approx(0.4 * fwhm, rel=tolerance)
    assert images.psf[R].sum() == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize(
    "copier", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))]
)
def test_copies(full_images, copier):
    other = copier(full_images)
    assert np.array_equal(other.to_arrays(), full_images.to_arrays(), equal_nan=True)
    assert other.meta == full_images.meta
    assert other.redshift == full_images.redshift


@pytest.mark.parametrize(
    "copier",
    [
        copy.deepcopy,
        *(lambda i, p=p: pickle.loads(pickle.dumps(i, protocol=p)) for p in (2, 4, 5)),
    ],
)
def test_copies_cannot_be_written_to_either(full_images, copier):
    other = copier(full_images)
    arrays = [other.bins, other.labels]
    arrays += [value for value in other.psf.values() if not isinstance(value, u.Quantity)]
    for ccd in other.values():
        arrays += [ccd.data, ccd.mask, getattr(ccd.uncertainty, "array", None)]
    arrays = [array for array in arrays if array is not None]
    assert len(arrays) > len(other)
    for array in arrays:
        assert not array.flags.writeable


def test_import_is_light():
    heavy = "torch matplotlib photutils reproject speclite astropy.cosmology scipy specutils"
    code = (
        "import sys, astropy.nddata, astropy.wcs; before = set(sys.modules);"
        "import picasssso.bands;"
        f"print([m for m in {heavy.split()} if m in sys.modules and m not in before])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_what_is_near_is_named():
    images = load_example()[0]
    with pytest.raises(PicassssoError, match=r"Is 'sdss2010-i' meant\?"):
        images.select(["i"])
    with pytest.raises(InvalidInputError, match=r"position 190 -?\d+ in degrees, which is not on"):
        images.cutout(SkyCoord(190.0, -80.0, unit="deg"), 10 * u.arcsec)


@pytest.mark.parametrize(
    ("redshift", "distance", "told"),
    [(0.03, 0.13, True), (0.03, 130, False), (0.03, 13000, True), (0.004, 16.5, False),
     (-0.001, 0.78, False), (-0.001, 780, True), (1.0, 3400, True), (0.0, 100, False)],
)  # fmt: skip
def test_distances_of_no_galaxy_of_the_redshift_are_told(make_ccd, redshift, distance, told):
    def read():
        return BandImages(
            {"sdss2010-r": make_ccd()}, redshift=redshift, luminosity_distance=distance * u.Mpc
        )

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PicassssoWarning)
        images = read()
        assert len(caught) == told  # once at the door, and not again by what uses them
        images.replace(meta={})[1:, :].replace(luminosity_distance=None)
        assert len(caught) == told
