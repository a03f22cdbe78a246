"""Noise, masks and units as files define them, through the one way in."""

import resource
import warnings
from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from picasssso import BandImages
from picasssso.data import load_example
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    PicassssoError,
    PicassssoWarning,
)
from picasssso.io import recognize

R = "sdss2010-r"
SHAPE = (9, 11)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an image with other planes, each (name, array, cards)."""

    def _write(*planes, data=None, name="r.fits", wcs=True, **cards):
        data = np.full(SHAPE, 10, "f4") if data is None else data
        header = layouts.tangent_wcs(data.shape[-2:], 0.4).to_header() if wcs else fits.Header()
        header.update({"BUNIT": "nmgy", **cards})
        hdus = [fits.PrimaryHDU(data, header)]
        for plane, array, *more in planes:
            array = array if isinstance(array, np.ndarray) else np.full(data.shape, array, "f4")
            hdus.append(fits.ImageHDU(array, fits.Header(*more), name=plane))
        fits.HDUList(hdus).writeto(tmp_path / name, overwrite=True)
        return tmp_path / name

    return _write


def sigma(images, band=R):
    return float(images.to_arrays(bands=[band])[1][0, 4, 4]) ** -0.5


@pytest.mark.parametrize(
    ("kind", "value"),
    [(StdDevUncertainty, 0.5), (VarianceUncertainty, 0.25), (InverseVariance, 4.0)],
)
def test_files_of_ccddata(tmp_path, kind, value):
    wcs, psf = layouts.tangent_wcs(SHAPE, 0.4), np.outer([1, 2, 1], [1, 2, 1]) / 16
    mask = np.zeros(SHAPE, bool)
    mask[0, 0] = True
    noise = kind(np.full(SHAPE, value))
    ccd = CCDData(
        np.full(SHAPE, 10.0), unit="nmgy", wcs=wcs, uncertainty=noise, mask=mask, psf=psf
    )
    ccd.write(tmp_path / "r.fits")
    images = BandImages.read({R: tmp_path / "r.fits"}, redshift=0.1)
    assert sigma(images) == pytest.approx(0.5)
    assert images[R].mask.sum() == 1
    np.testing.assert_allclose(images.psf[R], psf)
    named = BandImages.read({R: f"{tmp_path / 'r.fits'}[0]"}, uncertainty="UNCERT", redshift=0.1)
    assert sigma(named) == pytest.approx(0.5)
    # UTYPE says it, whatever the name.
    for name in ("WHT", "MINE"):
        ccd.write(tmp_path / f"{name}.fits", hdu_uncertainty=name)
        assert sigma(BandImages.read({R: tmp_path / f"{name}.fits"}, redshift=0.1)) == (
            pytest.approx(0.5)
        )


@pytest.mark.parametrize(
    ("name", "bunit", "value"),
    [
        ("ERR", "nmgy", 0.5),
        ("ERR", "uJy", 0.5 * 3.6307805),
        ("ERR", "mJy", 0.5 * 3.6307805e-3),
        ("VAR", "nmgy", 0.25),  # the image's BUNIT, copied
        ("VAR", "uJy2", 0.25 * 3.6307805**2),
        ("IVAR", "1 / uJy2", 4 / 3.6307805**2),
        ("IVAR", "1/(uJy)^2", 4 / 3.6307805**2),
    ],
)
def test_noise_in_a_unit_of_its_own(write, name, bunit, value):
    path = write((name, value, {"BUNIT": bunit}))
    assert sigma(BandImages.read({R: path}, redshift=0.1)) == pytest.approx(0.5, rel=1e-6)
    argument = {"ERR": "uncertainty", "VAR": "variance", "IVAR": "weight"}[name]
    named = BandImages.read({R: f"{path}[0]"}, redshift=0.1, **{argument: name})
    assert sigma(named) == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [("STDEV", 0.5), ("STD_DEV", 0.5), ("SCI_ERR", 0.5), ("RMS MAP", 0.5), ("UNCERTAINTIES", 0.5),
     ("INV_VAR", 4.0), ("INVERSE VARIANCE", 4.0), ("VAR_MAP", 0.25)],
)  # fmt: skip
def test_planes_as_files_call_them(write, tmp_path, name, value):
    assert sigma(BandImages.read({R: write((name, value))}, redshift=0.1)) == pytest.approx(0.5)
    with fits.open(write((name, value))) as hdus:
        hdus[0].name = "SCI"
        hdus.writeto(tmp_path / "sci.fits")
    images = BandImages.read({R: tmp_path / "sci.fits"}, redshift=0.1)
    assert sigma(images) == pytest.approx(0.5)


def test_exposure_times_by_their_unit_are_no_noise(write):
    data = np.random.default_rng(1).normal(0, 0.2, (80, 90)).astype("f4")
    path = write(("WHT", 25.0, {"BUNIT": "s"}), data=data)  # by chance like inverse variances
    with pytest.warns(PicassssoWarning, match="exposure times"):
        assert BandImages.read({R: path}, redshift=0.1).missing_uncertainty


def test_noise_per_area_for_an_image_per_pixel_is_refused(write):
    with pytest.raises(InvalidInputError, match="both per pixel or both per solid angle"):
        BandImages.read({R: write(("ERR", 0.5, {"BUNIT": "MJy/sr"}))}, redshift=0.1)


def test_the_plane_that_is_defined_wins(write):
    path = write(("WHT", 100.0), ("VAR_POISSON", 9.0), ("ERR", 0.5), ("CON", 3.0))
    assert sigma(BandImages.read({R: path}, redshift=0.1)) == pytest.approx(0.5)


def test_planes_of_one_extver_belong_together(tmp_path):
    header = layouts.tangent_wcs(SHAPE, 0.4).to_header()
    header["BUNIT"] = "nmgy"
    hdus = [fits.PrimaryHDU()]
    for version, noise in ((1, 0.5), (2, 0.25)):
        hdus.append(fits.ImageHDU(np.ones(SHAPE, "f4"), header, name="SCI", ver=version))
        hdus.append(fits.ImageHDU(np.full(SHAPE, noise, "f4"), name="ERR", ver=version))
    fits.HDUList(hdus).writeto(tmp_path / "two.fits")
    with pytest.raises(FileFormatError, match=r"2 2-D images.*\[HDU\]"):
        BandImages.read({R: tmp_path / "two.fits"}, redshift=0.1)
    place = f"{tmp_path / 'two.fits'}"
    images = BandImages.read({R: f"{place}[SCI,2]"}, uncertainty=f"{place}[ERR,2]", redshift=0.1)
    assert sigma(images) == pytest.approx(0.25)


@pytest.mark.parametrize(("factor", "taken"), [(1.0, True), (1.3, True), (30.0, False)])
def test_weights_are_inverse_variances_only_if_the_scatter_says_so(write, factor, taken):
    data = np.random.default_rng(1).normal(0, 0.2, (80, 90)).astype("f4")
    weight = np.full(data.shape, 25 * factor**2, "f4")
    weight[:3] = -1
    path = write(("WHT", weight), data=data)
    if taken:
        images = BandImages.read({R: path}, redshift=0.1)
    else:
        with pytest.warns(PicassssoWarning, match=r"exposure times.*(2[89]|3\d)\.\d times"):
            images = BandImages.read({R: path}, redshift=0.1)
    assert (images.missing_uncertainty == ()) == taken
    assert not images.to_arrays()[1][0, :3].any()  # negative weights: no data


def test_confidence_is_no_noise(write):
    """A weight of 100 on average, of which the scatter may be right by chance."""
    data = np.random.default_rng(1).normal(0, 0.1, (80, 90)).astype("f4")
    confidence = np.full(data.shape, 100, "i2")
    confidence[:3] = 0
    images = BandImages.read({R: write(("CONF", confidence), data=data)}, redshift=0.1)
    assert images.missing_uncertainty == (R,)
    assert np.count_nonzero(images[R].mask) == 3 * 90


@pytest.mark.parametrize("name", ["ERR", "VAR", "IVAR"])
def test_weights_beside_defined_noise_say_where_there_are_data(write, name):
    weight = np.full(SHAPE, 700, "f4")
    weight[0], weight[1, 0], weight[1, 1] = 0, -3, np.nan
    images = BandImages.read({R: write((name, 0.25), ("WHT", weight))}, redshift=0.1)
    assert sigma(images) == pytest.approx({"ERR": 0.25, "VAR": 0.5, "IVAR": 2.0}[name])
    expected = ~(weight > 0)
    np.testing.assert_array_equal(images.to_arrays()[1][0] == 0, expected)
    empty = write((name, 0.25), ("WHT", 0.0), name="empty.fits")  # never filled
    assert BandImages.read({R: empty}, redshift=0.1).to_arrays()[1].all()


@pytest.mark.parametrize("value", [0.0, np.nan, -1.0])
def test_noise_planes_that_were_never_filled_are_not_used(write, value):
    path = write(("ERR", value), ("IVAR", 16.0))
    with pytest.warns(PicassssoWarning, match=r"no positive value in ERR \(HDU 1\)"):
        images = BandImages.read({R: path}, redshift=0.1)
    assert sigma(images) == pytest.approx(0.25)
    alone = write(("ERR", value), name="alone.fits")
    if value < 0:  # what is meant by it is not known
        with pytest.raises(PicassssoError, match="no pixel"):
            BandImages.read({R: alone}, redshift=0.1)
        return
    with pytest.warns(PicassssoWarning, match="not used"):
        images = BandImages.read({R: alone}, redshift=0.1)
    assert images.missing_uncertainty == (R,)


def test_noise_that_most_pixels_lack_is_told(write):
    data = np.random.default_rng(2).normal(0, 0.2, SHAPE).astype("f4")
    with pytest.warns(PicassssoWarning, match=r"no positive noise of [45]\d %"):
        BandImages.read({R: write(("ERR", data[::-1]), data=data)}, redshift=0.1)


@pytest.mark.parametrize("factor", [0.3, 3.0, 2e3])
def test_noise_that_the_pixels_contradict_warns_with_both_figures(write, factor):
    data = np.random.default_rng(2).normal(0, 0.2, (80, 90)).astype("f4")
    good = write(("ERR", 0.2), data=data)
    assert sigma(BandImages.read({R: good}, redshift=0.1)) == pytest.approx(0.2)
    bad = write(("ERR", 0.2 * factor), data=data, name="bad.fits")
    with pytest.warns(PicassssoWarning, match=rf"stated noise of {0.2 * factor:.3g} .*0\.(19|20)"):
        BandImages.read({R: bad}, redshift=0.1)


def test_models_without_noise_have_none_to_doubt(write):
    y, x = np.indices((80, 90))
    model = 5 * np.exp(-np.hypot(x - 45, y - 40) / 3)
    for data in (model, model + 1e3):
        BandImages.read({R: write(("ERR", 2.0), data=data.astype("f4"))}, redshift=0.1)


def test_a_galaxy_all_over_a_small_image_is_no_noise(write):
    y, x = np.indices((40, 40))
    data = 7 * np.exp(-np.hypot(x - 20, y - 20) / 6)
    data += np.random.default_rng(2).normal(0, 0.02, data.shape)
    BandImages.read({R: write(("ERR", 0.02), data=data.astype("f4"))}, redshift=0.1)


def test_one_image_for_two_bands_warns(write):
    path = write(("ERR", 0.2))
    with pytest.warns(PicassssoWarning, match="also given as band 'sdss2010-r'"):
        BandImages.read({R: path, "sdss2010-g": path}, redshift=0.1)


@pytest.mark.parametrize(
    ("dtype", "bits", "masked"),
    [("int16", 65535, 2), ("uint16", ~4, 1), ("uint8", 0xFFFF, 2), ("int64", 1 << 70, 0),
     ("uint32", 8, 1), (">i4", 12, 2), ("bool", 1, 2)],
)  # fmt: skip
def test_bits_of_any_integer_type(write, dtype, bits, masked):
    mask = np.zeros(SHAPE, dtype)
    mask[1, 1], mask[2, 2] = 4, 8
    path = write(("DQ", mask.astype("u1") if dtype == "bool" else mask))
    images = BandImages.read({R: f"{path}[0]"}, mask="DQ", mask_bits=bits, redshift=0.1)
    assert images[R].mask.sum() == masked


def test_detected_pixels_are_not_masked(write):
    bits = np.full(SHAPE, 1 << 5, np.int32)  # DETECTED everywhere
    bits[0, 0] |= 1 << 1
    named = {"HIERARCH MP_DETECTED": 5, "MP_SAT": 1, "MP_BAD": 0}
    path = write(("MASK", bits, named))
    for images in (
        BandImages.read({R: path}, redshift=0.1),
        BandImages.read({R: f"{path}[0]"}, mask="MASK", redshift=0.1),
    ):
        assert images[R].mask.sum() == 1


@pytest.mark.parametrize("dtype", ["i4", "u2", "u1"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_bits_without_names_never_hide_the_galaxy(write, dtype, everywhere):
    """As of pipelines whose cut-outs have lost the names: bit 5 means detected."""
    y, x = np.indices((80, 90))
    data = 30 * np.exp(-np.hypot(x - 45, y - 40) / 8)
    bits = np.where(everywhere | (data > 0.5), 32, 0).astype(dtype)
    bits[0, :5] |= 2
    data += np.random.default_rng(1).normal(0, 0.2, data.shape)
    path = write(("MASK", bits), data=data.astype("f4"))
    with pytest.warns(PicassssoWarning, match="of which 32 is set on nearly all pixels"):
        images = BandImages.read({R: path}, redshift=0.1)
    assert np.count_nonzero(images[R].mask) == 5
    if not everywhere:
        stated = BandImages.read({R: path}, redshift=0.1, mask_bits=32)
        assert np.count_nonzero(stated[R].mask) == np.count_nonzero(bits & 32)


@pytest.mark.parametrize("axes", [(1,), (1, 1)])
def test_axes_of_length_one(write, axes):
    data = np.arange(99, dtype="f4").reshape(*axes, *SHAPE)
    images = BandImages.read({R: write(data=data)}, redshift=0.1)
    np.testing.assert_array_equal(images.to_arrays()[0][0], data.reshape(SHAPE))


def test_jwst_image(tmp_path):
    header = layouts.tangent_wcs(SHAPE, 0.03).to_header()
    header["BUNIT"] = "MJy/sr"
    flags = np.zeros(SHAPE, np.uint32)
    flags[0, 0], flags[0, 1] = 1, 4  # do not use; a jump that was corrected
    planes = {"SCI": 1.0, "ERR": 0.5, "WHT": 9.0, "VAR_POISSON": 4.0}
    camera = {"TELESCOP": "JWST", "INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"}
    hdus = [fits.PrimaryHDU(header=fits.Header(camera))]
    hdus += [fits.ImageHDU(np.full(SHAPE, v, "f4"), header, name=k) for k, v in planes.items()]
    hdus.append(fits.ImageHDU(flags, name="DQ"))
    fits.HDUList(hdus).writeto(tmp_path / "a_i2d.fits")
    images = BandImages.read(tmp_path / "a_i2d.fits", redshift=1.0)
    (band,) = images.bands
    assert band == "jwst_nircam-f200w"
    assert images[band].mask[0, :2].tolist() == [True, False]
    flux, weight = images.to_arrays()
    area = images.pixel_solid_angle.to_value(u.sr)
    assert flux[0, 4, 4] == pytest.approx(1e6 * area / 3.6307805e-6, rel=1e-6)
    assert weight[0, 4, 4] ** -0.5 / flux[0, 4, 4] == pytest.approx(0.5, rel=1e-6)


@pytest.mark.parametrize(("bunit", "shift"), [("ELECTRONS/S", 0.0), ("ELECTRONS", 7.5)])
def test_hst_zero_point(write, bunit, shift):
    """The zero point of ACS F814W in STScI's tables: 25.94 AB."""
    cards = {"TELESCOP": "HST", "INSTRUME": "ACS", "DETECTOR": "WFC", "FILTER1": "CLEAR1L"}
    cards |= {"FILTER2": "F814W", "PHOTFLAM": 7.05e-20, "PHOTPLAM": 8045.0, "EXPTIME": 1000.0}
    images = BandImages.read(write(BUNIT=bunit, **cards), redshift=0.1)
    (band,) = images.bands
    assert band == "hst_acs_wfc-f814w"
    assert images.zero_point[band].value == pytest.approx(25.94 + shift, abs=0.02)


def test_other_layers_of_the_viewer_are_not_legacy_files(tmp_path):
    path = tmp_path / "unwise.fits"
    header = fits.Header({"BANDS": "12", "BAND0": 1, "BAND1": 2})
    fits.PrimaryHDU(np.ones((2, *SHAPE), "f4"), header).writeto(path)
    with pytest.raises(FileFormatError, match="from_cube"):
        recognize(path)


def test_what_is_stated_holds_for_every_format(tmp_path):
    """The same options for a survey's file, an image with its band, and a named HDU."""
    wcs = layouts.tangent_wcs(SHAPE, 0.4)
    path = layouts.des_coadd(tmp_path / "r.fits", "r", np.ones(SHAPE), wcs, sigma=0.1)
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.full(SHAPE, 0.25, "f4"), name="MINE"))
    for files in (path, [path], {"decam2014-r": path}, {"decam2014-r": f"{path}[SCI]"}):
        images = BandImages.read(
            files, redshift=0.1, zero_point=22.5 * u.ABmag, uncertainty="MINE", psf=1 * u.arcsec
        )
        assert images.bands == ("decam2014-r",)
        assert sigma(images, "decam2014-r") == pytest.approx(0.25)
        assert images.to_arrays()[0][0, 0, 0] == pytest.approx(1000.0)
        assert images.psf["decam2014-r"] == 1 * u.arcsec


def test_a_unit_beside_the_zero_point_of_counts_is_told(write):
    path = write(("ERR", 0.5), ZP_AB=27.5)
    fits.delval(path, "BUNIT")
    with pytest.raises(InvalidInputError, match=r"unit='adu', of which ZP_AB = 27.5 is the zero"):
        BandImages.read({R: path}, redshift=0.1)
    with pytest.warns(PicassssoWarning, match=r"ZP_AB = 27.5 .*beside the given unit 'nmgy'"):
        images = BandImages.read({R: path}, redshift=0.1, unit="nmgy")
    counts = BandImages.read({R: path}, redshift=0.1, unit="adu")
    assert images.to_arrays()[0][0, 0, 0] == pytest.approx(10)
    assert counts.to_arrays()[0][0, 0, 0] == pytest.approx(10 * 10 ** (0.4 * (22.5 - 27.5)))


def test_many_small_images_keep_no_file_open(write):
    path, limit = write(("ERR", 0.5)), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, limit[1]))
    try:
        kept = [BandImages.read({R: path}, redshift=0.1) for _ in range(60)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert len(kept) == 60


def test_warnings_after_reading_in_threads(write):
    path = write(("ERR", 0.5))
    before = (list(warnings.filters), warnings.showwarning)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: BandImages.read({R: path}, redshift=0.1), range(60)))
    assert (list(warnings.filters), warnings.showwarning) == before
    with pytest.warns(UserWarning, match="later"):
        warnings.warn("later", UserWarning, stacklevel=1)


def test_own_files_give_the_band_that_is_asked_for(tmp_path):
    path = tmp_path / "own.fits"
    load_example()[0].write(path)
    assert BandImages.read({"sdss2010-r": path}).bands == ("sdss2010-r",)
    with pytest.raises(InvalidInputError, match="expected the band among them"):
        BandImages.read({"decam2014-r": path})
    with pytest.raises(InvalidInputError, match="read as a whole; expected its name alone"):
        BandImages.read({"sdss2010-r": f"{path}[1]"})
