"""Which planes belong to the image that was named, which bits of its mask are bad, and units."""

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso import BandImages
from picasssso.exceptions import PicassssoError, PicassssoWarning

R = "sdss2010-r"
SHAPE = (9, 11)


def write(path, *planes, **primary):
    """An MEF of (name, value, cards); a mask of bits where the value is None."""
    header = layouts.tangent_wcs(SHAPE, 0.4).to_header()
    hdus = [fits.PrimaryHDU(header=fits.Header(primary))]
    bits = np.zeros(SHAPE, np.int16)
    bits[0, 0], bits[0, 1] = 4, 8
    for name, value, *more in planes:
        array = bits if value is None else np.full(SHAPE, value, "f4")
        hdus.append(fits.ImageHDU(array, header, name=name))
        hdus[-1].header.update({"BUNIT": "nmgy"} if value is not None else {})
        hdus[-1].header.update(*more)
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return path


def read(path, hdu="", **more):
    return BandImages.read({R: f"{path}{hdu}"}, redshift=0.1, **more)


def sigma(images):
    if images.missing_uncertainty:
        return None
    return float(images.to_arrays()[1][0, 4, 4]) ** -0.5


def masked(images):
    (band,) = images.bands
    return [] if images[band].mask is None else np.argwhere(images[band].mask)[:, 1].tolist()


@pytest.mark.parametrize("hdu", ["", "[SCI]", "[1]", "[SCI,1]"])
def test_a_named_image_keeps_its_planes(tmp_path, hdu):
    images = read(write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5), ("DQ", None)), hdu)
    assert sigma(images) == pytest.approx(0.5)
    assert masked(images) == [0, 1]


@pytest.mark.parametrize("text", [False, True])
def test_planes_of_the_named_extver(tmp_path, text):
    planes = [
        (name, value * number, {"EXTVER": str(number) if text else number})
        for number in (1, 2)
        for name, value in (("SCI", 1), ("ERR", 0.25))
    ]
    path = write(tmp_path / "a.fits", *planes)
    for number in (1, 2):
        assert sigma(read(path, f"[{2 * number - 1}]")) == pytest.approx(0.25 * number)


@pytest.mark.parametrize(("noise", "image"), [("ERR_G", "SCI_G"), ("G_ERR", "G"), ("ERR-G", "G")])
def test_planes_that_are_called_like_the_named_image(tmp_path, noise, image):
    path = write(tmp_path / "a.fits", ("ERR_I", 9.0), ("SCI_I", 1), (image, 1), (noise, 0.5))
    assert sigma(read(path, f"[{image}]")) == pytest.approx(0.5)
    assert sigma(read(path, "[SCI_I]")) == pytest.approx(9.0)


def test_planes_with_the_number_of_the_named_image(tmp_path):
    planes = [(f"{name}{k}", v) for k in (1, 2) for name, v in (("SCI", 1), ("ERR", 0.25 * k))]
    path = write(tmp_path / "a.fits", *planes)
    assert [sigma(read(path, f"[SCI{k}]")) for k in (1, 2)] == pytest.approx([0.25, 0.5])
    # Where no image has a number, that of the noise says nothing.
    assert sigma(read(write(tmp_path / "b.fits", ("SCI", 1), ("ERR1", 0.5)))) == pytest.approx(0.5)


def test_a_psf_beside_a_named_image(tmp_path):
    psf = np.outer([1, 2, 1], [1, 2, 1]) / 16
    noise = StdDevUncertainty(np.full(SHAPE, 0.5))
    image = CCDData(
        np.ones(SHAPE),
        unit="nmgy",
        wcs=layouts.tangent_wcs(SHAPE, 0.4),
        uncertainty=noise,
        psf=psf,
    )
    image.write(tmp_path / "a.fits")
    images = read(tmp_path / "a.fits", "[0]")
    assert sigma(images) == pytest.approx(0.5)
    np.testing.assert_allclose(images.psf[R], psf)


@pytest.mark.parametrize("version", [2, "A"])
@pytest.mark.parametrize("hdu", ["", "[SCI]"])
def test_planes_of_an_extver_without_image_are_told(tmp_path, version, hdu):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5, {"EXTVER": version}))
    with pytest.warns(PicassssoWarning, match=rf"ERR .HDU 2, EXTVER {version}.*SCI, EXTVER 1.*=2"):
        assert sigma(read(path, hdu)) is None
    assert sigma(read(path, hdu, uncertainty=2)) == pytest.approx(0.5)


def test_a_plane_without_extver_beside_the_second_image_is_told(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("SCI", 1, {"EXTVER": 2}), ("ERR", 0.5))
    with pytest.warns(PicassssoWarning, match=r"ERR .HDU 3, EXTVER 1.*SCI, EXTVER 2"):
        assert sigma(read(path, "[SCI,2]")) is None
    assert sigma(read(path, "[SCI,1]")) == pytest.approx(0.5)


def test_a_plane_beside_two_images_is_told(tmp_path):
    path = write(tmp_path / "a.fits", ("A", 1), ("B", 1), ("ERR", 0.5))
    with pytest.warns(PicassssoWarning, match=r"neither EXTVER nor its name.*uncertainty=3"):
        assert sigma(read(path, "[B]")) is None


def test_a_second_plane_of_the_same_kind_is_told(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5), ("ERR", 0.25))
    with pytest.warns(
        PicassssoWarning, match=r"second plane .*HDU 3.*HDU 2.* used.*uncertainty=3"
    ):
        assert sigma(read(path)) == pytest.approx(0.5)
    assert sigma(read(path, uncertainty=3)) == pytest.approx(0.25)


# ---- bits -----------------------------------------------------------------------------------


def test_bits_are_those_of_the_files_own_mask(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5), ("DQ", None))
    assert masked(read(path, mask_bits=8)) == [1]
    assert masked(read(path, mask_bits=np.int32(4))) == [0]
    assert masked(read(path, mask_bits={R: 12})) == [0, 1]


def test_bits_of_surveys_masks(tmp_path):
    wcs, bits = layouts.tangent_wcs(SHAPE, 0.1), np.zeros(SHAPE, int)
    bits[0, 0], bits[0, 1] = 1, 4
    paths = layouts.euclid_mosaic(tmp_path, "VIS", np.ones(SHAPE), wcs, sigma=0.1, flags=bits)
    assert masked(BandImages.read(paths, redshift=0.1)) == [0]
    assert masked(BandImages.read(paths, redshift=0.1, mask_bits=4)) == [1]


def test_bits_of_masks_of_some_bands(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5))
    other = write(tmp_path / "b.fits", ("SCI", 2), ("ERR", 0.5))
    mask = write(tmp_path / "m.fits", ("DQ", None))
    images = BandImages.read(
        {R: path, "sdss2010-g": other}, mask={R: f"{mask}[DQ]"}, mask_bits=8, redshift=0.1
    )
    assert images[R].mask.sum() == 1


@pytest.mark.parametrize(
    ("planes", "bits", "words"),
    [
        ([], 4, "mask_bits=4, but no bit mask"),
        ([("DQ", None)], "4", "mask_bits='4', expected a whole number"),
        ([("DQ", None)], 4.0, "mask_bits=4.0, expected a whole number"),
        ([("DQ", None)], True, "mask_bits=True, expected a whole number"),
        ([("DQ", 0.5)], 4, "fractions, expected bits: integers"),
    ],
)
def test_bits_that_cannot_be_used(tmp_path, planes, bits, words):
    path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5), *planes)
    with pytest.raises(PicassssoError, match=words) as caught:
        read(path, mask_bits=bits)
    assert len(str(caught.value)) < 600


# ---- planes in files of surveys -------------------------------------------------------------

CAMERAS = {
    "euclid": {"TELESCOP": "Euclid", "FILTER": "VIS", "MAGZEROP": 22.5},
    "wise": {"TELESCOP": "WISE", "BAND": "W1", "MAGZP": 22.5 - 2.699},
    "spitzer": {"TELESCOP": "Spitzer", "INSTRUME": "IRAC", "CHNLNUM": 1.0},
    "eso": {"PRODCATG": "SCIENCE.IMAGE", "PHOTZP": 22.5, "PHOTSYS": "AB", "FILTER": "r_SDSS"},
}


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("noise", ["ERR", "RMS", "UNC"])
def test_planes_in_the_survey_s_file(tmp_path, camera, noise):
    unit = "MJY/SR" if camera == "spitzer" else "adu"
    path = write(
        tmp_path / "a.fits",
        ("SCI", 1.0, {"BUNIT": unit}),
        (noise, 0.5, {"BUNIT": unit}),
        ("MASK", None),
        **CAMERAS[camera],
    )
    images = BandImages.read(path, redshift=0.1)
    flux, weight = images.to_arrays()
    assert weight[0, 4, 4] ** -0.5 == pytest.approx(0.5 * flux[0, 4, 4])
    # Of Euclid's flags only bit 0 is bad.
    assert masked(images) == ([] if camera == "euclid" else [0, 1])


def test_files_beside_that_are_not_used_are_told(tmp_path):
    wcs, flux = layouts.tangent_wcs(SHAPE, 0.4), np.ones(SHAPE)
    paths = layouts.unwise_coadd(tmp_path, 1, flux, wcs, vega=2.699, sigma=0.1)
    number = np.ones(SHAPE, "i2")
    number[1, 2] = 0
    for kind, array in (("std", flux), ("n", number)):
        paths.append(tmp_path / paths[0].name.replace("-img-", f"-{kind}-"))
        header = wcs.to_header()
        header.update(MAGZP=22.5, UNW_VER=1, BAND=1)
        fits.PrimaryHDU(array, header).writeto(paths[-1])
    with pytest.warns(PicassssoWarning, match=r"std-m.fits: found a file .std.*not used"):
        images = BandImages.read(paths, redshift=0.1)
    assert sigma(images) == pytest.approx(0.1, rel=1e-4)
    assert masked(images) == [2]  # no exposure there


def test_a_file_of_spitzers_mask_is_told(tmp_path):
    wcs, flux = layouts.tangent_wcs(SHAPE, 0.4), np.ones(SHAPE)
    paths = layouts.spitzer_mosaic(tmp_path, 1, flux, wcs, sigma=0.1)
    with fits.open(paths[1]) as hdus:
        paths.append(tmp_path / paths[1].name.replace("munc", "mmsk"))
        hdus.writeto(paths[-1])
    with pytest.warns(PicassssoWarning, match=r"mmsk.fits: .*not used"):
        assert sigma(BandImages.read(paths, redshift=0.1)) == pytest.approx(0.1, rel=1e-4)


# ---- zero points and units that stand for none ----------------------------------------------


@pytest.mark.parametrize("value", [-99.0, 99.0, -999, 999.9, True, "22.5", 0])
@pytest.mark.parametrize("keyword", ["ZP_AB", "ABZP", "MAGZP_AB"])
def test_zero_points_that_stand_for_none(tmp_path, keyword, value):
    path = write(tmp_path / "a.fits", ("SCI", 1, {"BUNIT": "adu", keyword: value}))
    with pytest.raises(PicassssoError, match=f"{keyword} = .*zero_point=") as caught:
        read(path)
    assert len(str(caught.value)) < 600


def test_maggies_have_a_zero_point_of_zero(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1e-9, {"BUNIT": "", "ZP_AB": 0.0}))
    assert read(path).to_arrays()[0][0, 4, 4] == pytest.approx(1)


def test_what_hst_and_jwst_files_lack(tmp_path):
    jwst = {"TELESCOP": "JWST", "INSTRUME": "NIRCAM", "FILTER": "F200W", "PUPIL": "CLEAR"}
    hst = {"TELESCOP": "HST", "INSTRUME": "ACS", "DETECTOR": "WFC", "FILTER2": "F814W",
           "PHOTFLAM": 7e-20, "PHOTPLAM": 8045.0, "EXPTIME": 0.0}  # fmt: skip
    for cards, bunit, words in (
        (jwst, "DN/s", "JWST image in DN/s.*rate files.*cal and i2d"),
        (jwst, None, "no BUNIT with the image.*unit='MJy/sr'"),
        (hst, None, "no BUNIT with the image.*unit='electron/s'"),
        (hst, "ELECTRONS", "EXPTIME = 0 .*zero_point="),
    ):
        # The unit of another plane is not the image's.
        path = write(tmp_path / "a.fits", ("SCI", 1), ("ERR", 0.5, {"BUNIT": "MJy/sr"}), **cards)
        with fits.open(path, mode="update") as hdus:
            hdus["SCI"].header.remove("BUNIT")
            hdus["SCI"].header.update({} if bunit is None else {"BUNIT": bunit})
        with pytest.raises(PicassssoError, match=words) as caught:
            BandImages.read(path, redshift=0.1)
        assert len(str(caught.value)) < 600


def test_an_lsst_image_without_unit_is_in_counts(tmp_path):
    wcs = layouts.tangent_wcs(SHAPE, 0.4)
    path = layouts.lsst_image(tmp_path / "c.fits", "i", np.ones(SHAPE), wcs, sigma=0.1)
    with fits.open(path, mode="update") as hdus:
        for hdu in hdus:
            hdu.header.remove("BUNIT", ignore_missing=True)
        hdus["VARIANCE"].header["BUNIT"] = "nJy2"
        hdus[0].header["FLUXMAG0"] = 10 ** (0.4 * 22.5)
    with pytest.warns(PicassssoWarning, match="cannot be converted"):
        images = BandImages.read(path, redshift=0.1)
    assert images.zero_point["hsc2017-i"].value == pytest.approx(22.5)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["FLUXMAG0"] = -99.0
    with pytest.raises(PicassssoError, match=r"FLUXMAG0 = -99.0.*zero_point="):
        BandImages.read(path, redshift=0.1)


def test_messages_name_the_band(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1, {"BUNIT": "MJy/sr"}), ("ERR", 1, {"BUNIT": "Jy"}),
                 TELESCOP="JWST", INSTRUME="NIRCAM", FILTER="F200W")  # fmt: skip
    with pytest.raises(PicassssoError, match=r"^Band 'jwst_nircam-f200w'.*solid angle"):
        BandImages.read(path, redshift=0.1)


def test_stated_zero_points_go_before_those_that_stand_for_none(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1, {"BUNIT": "adu", "ZP_AB": -99.0}))
    assert read(path, zero_point=22.5 * u.ABmag).to_arrays()[0][0, 4, 4] == pytest.approx(1)


def test_unit_and_zero_point_of_an_empty_first_hdu_count_for_all(tmp_path):
    """As in files of many detectors, and in cut-outs of HSC; the image's own go before."""
    path = write(tmp_path / "a.fits", ("SCI", 1.0), BUNIT="adu", ZP_AB=25.0)
    with fits.open(path, mode="update") as hdus:
        del hdus["SCI"].header["BUNIT"]
    assert read(path).to_arrays()[0][0, 4, 4] == pytest.approx(0.1)
    with fits.open(path, mode="update") as hdus:
        hdus["SCI"].header["ZP_AB"] = 22.5
    assert read(path).to_arrays()[0][0, 4, 4] == pytest.approx(1.0)


def test_zero_points_that_contradict_each_other_are_told(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1.0, {"BUNIT": "adu", "ZP_AB": 25.0, "ABZP": 22.5}))
    with pytest.warns(PicassssoWarning, match=r"ZP_AB = 25.0 .* and ABZP = 22.5 .* the first is"):
        assert read(path).to_arrays()[0][0, 4, 4] == pytest.approx(0.1)


def test_a_zero_point_in_the_vega_system_is_not_taken_for_ab(tmp_path):
    path = write(tmp_path / "a.fits", ("SCI", 1.0), BUNIT="adu", MAGZERO=22.5, MAGSYS="Vega")
    with fits.open(path, mode="update") as hdus:
        del hdus["SCI"].header["BUNIT"]
    with pytest.raises(PicassssoError, match="Vega system"):
        BandImages.read({"decam2014-r": path}, redshift=0.1)


def test_a_zero_point_of_a_known_system_may_still_be_of_something_else(tmp_path):
    """As ZTF's, of one count, and others', of one count per second."""
    path = write(tmp_path / "a.fits", ("SCI", 1.0, {"BUNIT": "DN", "MAGZP": 26.2, "MAGSYS": "AB"}))
    with pytest.raises(PicassssoError, match=r"MAGZP = 26.2, but not \(MAGSYS = 'AB'\) whether"):
        read(path)
