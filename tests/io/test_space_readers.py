"""Infrared surveys and space telescopes: files made to each layout, with known magnitudes."""

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy import coordinates
from astropy.io import fits

from picasssso import BandImages
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io import formats, recognize
from picasssso.io.keywords import VEGA_TO_AB
from picasssso.testing import check_reader

SHAPE = (40, 52)
MAGNITUDE = 17.3


@pytest.fixture
def wcs():
    return layouts.tangent_wcs(SHAPE, 0.4)


@pytest.fixture
def star():
    """An image of one source of known magnitude, nmgy."""
    y, x = np.indices(SHAPE)
    profile = np.exp(-((x - 26) ** 2 + (y - 20) ** 2) / 8)
    return 10 ** (0.4 * (22.5 - MAGNITUDE)) * profile / profile.sum()


def check(images, *bands, sigma=None, bad=None):
    """Assert the magnitude to 0.005, the noise in nmgy and the bad pixels."""
    assert images.bands == bands
    for band in bands:
        flux, weight = (plane[0] for plane in images.to_arrays(bands=[band]))
        magnitude = 22.5 - 2.5 * np.log10(flux.sum(dtype=float))
        assert magnitude == pytest.approx(MAGNITUDE, abs=0.005)
        if sigma is None:
            assert band in images.missing_uncertainty
        else:
            assert weight[5, 5] ** -0.5 == pytest.approx(sigma, rel=1e-4)
        if bad is not None:
            assert weight[bad] == 0
            assert (weight == 0).sum() == 1


# ---- Euclid ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "band", "zero_point"),
    [
        ("VIS", "Euclid-VIS", 24.6),
        ("NIR_Y", "Euclid-Y", 29.8),
        ("NIR_J", "Euclid-J", 30.0),
        ("NIR_H", "Euclid-H", 29.9),
        ("DECAM_g", "decam2014-g", 30.0),
        ("MEGACAM_u", "cfht_megacam-u", 30.0),
    ],
)
def test_euclid_mosaic_with_rms_and_flags(tmp_path, wcs, star, name, band, zero_point):
    flags = np.zeros(SHAPE, int)
    flags[1, 2], flags[3, 4] = 1, 1 << 24  # INVALID; OBJECTS, which is what one looks for
    paths = layouts.euclid_mosaic(
        tmp_path, name, star, wcs, sigma=0.02, flags=flags, zero_point=zero_point
    )
    assert [recognize(path).format for path in paths] == ["euclid"] * 3
    assert [recognize(path).role for path in paths] == [None, "rms", "flag"]
    images = BandImages.read(paths, redshift=0.05)
    check(images, band, sigma=0.02, bad=(1, 2))
    assert images.meta["source"][band]["zero_point_source"] == "MAGZEROP"
    check(BandImages.read(paths[0], redshift=0.05), band)


def test_euclid_bands_find_their_own_noise(tmp_path, wcs, star):
    paths = [
        path
        for name, sigma in (("VIS", 0.01), ("NIR_H", 0.03))
        for path in layouts.euclid_mosaic(tmp_path, name, star, wcs, sigma=sigma)
    ]
    images = BandImages.read(sorted(paths), redshift=0.05)
    weights = images.to_arrays(bands=["Euclid-VIS", "Euclid-H"])[1][:, 5, 5]
    np.testing.assert_allclose(weights**-0.5, [0.01, 0.03], rtol=1e-4)


def test_euclid_pixels_without_data(tmp_path, wcs, star):
    sigma = np.full(SHAPE, 0.02)
    sigma[1, 2] = 0
    images = BandImages.read(
        layouts.euclid_mosaic(tmp_path, "VIS", star, wcs, sigma=sigma), redshift=0.05
    )
    check(images, "Euclid-VIS", sigma=0.02, bad=(1, 2))


# ---- WFCAM, VIRCAM --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "name", "band"),
    [("WFCAM", "J", "ukidss-J"), ("WFCAM", "K", "ukidss-K"), ("VIRCAM", "Z", "vista-Z"),
     ("VIRCAM", "Ks", "vista-Ks")],
)  # fmt: skip
@pytest.mark.parametrize("percorr", [None, 0.02])
def test_casu_zero_points(tmp_path, wcs, star, camera, name, band, percorr):
    """MAGZPT, the exposure time, extinction at the mean airmass, Vega; not APCOR3."""
    path = layouts.casu_image(
        tmp_path / "w20070401_00123_sf_st.fits", name, star, wcs, camera=camera,
        vega=VEGA_TO_AB[band], percorr=percorr,
    )  # fmt: skip
    assert recognize(path).format == "casu"
    images = BandImages.read(path, redshift=0.05)
    check(images, band)
    assert images.zero_point[band].unit == u.ABmag


def test_casu_filter_as_eso_names_it(tmp_path, wcs, star):
    name = {"FILTER": None, "HIERARCH ESO INS FILT1 NAME": "H"}
    path = layouts.casu_image(
        tmp_path / "tile.fits", "H", star, wcs, camera="VIRCAM", vega=1.366, **name
    )
    check(BandImages.read(path, redshift=0.05), "vista-H")


def test_casu_confidence_map(tmp_path, wcs, star):
    path = layouts.casu_image(tmp_path / "a_st.fits", "J", star, wcs)
    confidence = np.full(SHAPE, 100, np.int16)
    confidence[1, 2] = 0
    primary = fits.PrimaryHDU(header=fits.Header({"INSTRUME": "WFCAM", "FILTER": "J"}))
    fits.HDUList([primary, fits.ImageHDU(confidence)]).writeto(tmp_path / "a_st_conf.fits")
    images = BandImages.read([tmp_path / "a_st_conf.fits", path], redshift=0.05)
    assert images["ukidss-J"].mask.sum() == 1
    assert images["ukidss-J"].mask[1, 2]


def test_casu_detectors_are_named(tmp_path, wcs, star):
    path = layouts.casu_image(tmp_path / "a_st.fits", "J", star, wcs)
    with fits.open(path) as hdus:
        other = hdus[1].copy()
        other.header["MAGZPT"] += 0.5
        fits.HDUList([hdus[0], hdus[1], other]).writeto(tmp_path / "b_st.fits")
    with pytest.raises(FileFormatError, match=r"2 2-D images.*\[HDU\]"):
        BandImages.read(tmp_path / "b_st.fits", redshift=0.05)
    for hdu, shift in ((1, 0.0), (2, 0.5)):
        images = BandImages.read(f"{tmp_path / 'b_st.fits'}[{hdu}]", redshift=0.05)
        total = images.to_arrays()[0].sum(dtype=float)
        assert 22.5 - 2.5 * np.log10(total) == pytest.approx(MAGNITUDE + shift, abs=0.005)


def test_a_band_without_curve_says_how_to_give_one(tmp_path, wcs, star):
    path = layouts.casu_image(tmp_path / "y_st.fits", "Y", star, wcs, vega=0.634)
    with pytest.raises(InvalidInputError, match=r"bands of 'ukidss' are.*read_filter"):
        BandImages.read(path, redshift=0.05)


@pytest.mark.parametrize("name", ["Y", "Ks"])
def test_vista_to_esos_standard(tmp_path, wcs, star, name):
    vega = VEGA_TO_AB[f"vista-{name}"]
    path = layouts.eso_image(
        tmp_path / "v.fits", "r", star, wcs, zero_point=23.1 + vega, PHOTSYS="VEGA", FILTER=name,
        PHOTZP=23.1, INSTRUME="VIRCAM", MAGZPT=22.0,
    )  # fmt: skip
    assert recognize(path).format == "eso"
    check(BandImages.read(path, redshift=0.05), f"vista-{name}")
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["INSTRUME"] = "SOFI"  # whose filter of this name is another one
    for files in (path, {"twomass-Ks": path}):
        with pytest.raises(InvalidInputError, match=r"camera that is known|Vega system"):
            BandImages.read(files, redshift=0.05)


# ---- Spitzer, WISE --------------------------------------------------------------------------


@pytest.mark.parametrize("channel", [1, 4])
def test_spitzer_mosaic(tmp_path, wcs, star, channel):
    coverage = np.full(SHAPE, 5.0)
    coverage[1, 2] = 0
    paths = layouts.spitzer_mosaic(tmp_path, channel, star, wcs, sigma=0.05, coverage=coverage)
    assert [recognize(path).role for path in paths] == [None, "unc", "cov"]
    images = BandImages.read(paths, redshift=0.05)
    check(images, f"spitzer-irac{channel}", sigma=0.05, bad=(1, 2))
    # S4G's and SINGS' weights say no more than the coverage does.
    weight = paths[2].rename(tmp_path / f"NGC0628.phot.{channel}_wt.fits")
    check(BandImages.read([paths[0], weight], redshift=0.05), f"spitzer-irac{channel}", bad=(1, 2))


@pytest.mark.parametrize("band", [1, 2, 3, 4])
def test_allwise_atlas_image(tmp_path, wcs, star, band):
    coverage = np.full(SHAPE, 12.0)
    coverage[1, 2] = 0
    vega = VEGA_TO_AB[f"wise2010-W{band}"]
    paths = layouts.wise_atlas(tmp_path, band, star, wcs, vega=vega, sigma=0.05, coverage=coverage)
    images = BandImages.read(paths, redshift=0.05)
    check(images, f"wise2010-W{band}", sigma=0.05, bad=(1, 2))


def test_a_unit_that_files_of_the_kind_do_not_have_is_refused(tmp_path, wcs, star):
    paths = layouts.wise_atlas(
        tmp_path, 1, star, wcs, vega=VEGA_TO_AB["wise2010-W1"], sigma=0.05,
        coverage=np.ones(SHAPE),
    )  # fmt: skip
    with fits.open(paths[0], mode="update") as file:
        file[0].header["BUNIT"] = "MJy/sr"
    with pytest.raises(InvalidInputError, match=r"found BUNIT='MJy/sr' .*unit='MJy/sr' or unit="):
        BandImages.read(paths[0], redshift=0.05)
    images = BandImages.read(paths[0], unit="MJy/sr", redshift=0.05)
    assert images.bands == ("wise2010-W1",)


def test_unwise_coadds(tmp_path, wcs, star):
    paths = [
        path
        for band in (1, 2)
        for path in layouts.unwise_coadd(
            tmp_path, band, star, wcs, vega=VEGA_TO_AB[f"wise2010-W{band}"], sigma=0.1 * band
        )
    ]
    images = BandImages.read(paths, redshift=0.05)
    check(images.select(["wise2010-W1"]), "wise2010-W1", sigma=0.1)
    check(images.select(["wise2010-W2"]), "wise2010-W2", sigma=0.2)


# ---- Roman, Rubin ---------------------------------------------------------------------------


HUBBLE = {"TELESCOP": "HST", "INSTRUME": "ACS", "DETECTOR": "WFC", "FILTER1": "CLEAR1L",
          "FILTER2": "F814W", "PHOTFLAM": 7.05e-20, "PHOTPLAM": 8045.0,
          "BUNIT": "ELECTRONS/S"}  # fmt: skip


@pytest.mark.parametrize("noise", ["rms", "wht", "exposures", "both"])
def test_mosaics_with_files_beside_them(tmp_path, wcs, star, noise):
    """As those of HLSPs and of grizli: one image in a file, its noise and flags in others."""
    rng = np.random.default_rng(4)
    data = rng.normal(0, 0.02, (80, 90)) + 0.001
    wcs = layouts.tangent_wcs(data.shape, 0.03)
    weight = np.full(data.shape, 60.0 if noise == "exposures" else 0.02**-2)
    weight[0] = 0
    planes = {"drz": data, "wht": weight, "rms": np.full(data.shape, 0.02)}
    wanted = {"rms": ["drz", "rms"], "both": ["drz", "rms", "wht"]}.get(noise, ["drz", "wht"])
    header = wcs.to_header()
    header.update(HUBBLE)
    paths = [tmp_path / f"hlsp_survey_hst_acs_f814w_v1_{name}.fits" for name in wanted]
    for name, path in zip(wanted, paths, strict=True):
        fits.PrimaryHDU(planes[name].astype("f4"), header).writeto(path)
    flags = np.zeros(data.shape, "i2")
    flags[5, 5] = 4
    paths.append(tmp_path / "hlsp_survey_hst_acs_f814w_v1_dq.fits")
    fits.PrimaryHDU(flags, header).writeto(paths[-1])
    if noise == "exposures":
        with pytest.warns(PicassssoWarning, match=r"weights in .*_wht.fits.* give weight='.*_wht"):
            images = BandImages.read(paths, redshift=0.1)
        assert images.missing_uncertainty
    else:
        images = BandImages.read(paths, redshift=0.1)
        flux, precision = (plane[0] for plane in images.to_arrays())
        scale = flux[9, 9] / data[9, 9]
        assert precision[9, 9] ** -0.5 == pytest.approx(0.02 * scale, rel=1e-4)
        assert precision[5, 5] == 0
        assert (precision[0] == 0).all() == (noise != "rms")
    assert images.bands == ("hst_acs_wfc-f814w",)


@pytest.mark.parametrize("name", ["F158", "H158", "F062", "W146"])
def test_roman_in_fits(tmp_path, wcs, star, name):
    flags = np.zeros(SHAPE, int)
    flags[1, 2], flags[3, 4] = 1, 4  # DO_NOT_USE; a jump that was mended
    path = layouts.space_image(
        tmp_path / "roman.fits", star, wcs, sigma=0.01, flags=flags, TELESCOP="ROMAN",
        INSTRUME="WFI", DETECTOR="WFI07", FILTER=name,
    )  # fmt: skip
    assert recognize(path).title == "HST, JWST or Roman image"
    images = BandImages.read(path, redshift=0.5)
    check(images, f"roman-f{name[1:]}", sigma=0.01, bad=(1, 2))


@pytest.fixture
def roman_asdf(tmp_path, wcs, star):
    """Write an image as romancal does, in ASDF; return its path."""
    asdf, gwcs = pytest.importorskip("asdf"), pytest.importorskip("gwcs")
    from astropy.modeling import models

    def write(level, **changes):
        frames = gwcs.coordinate_frames
        (a, b), (c, d) = wcs.wcs.cd
        shift = models.Shift(1 - wcs.wcs.crpix[0]) & models.Shift(1 - wcs.wcs.crpix[1])
        to_sky = (
            shift
            | models.AffineTransformation2D([[a, b], [c, d]])
            | models.Pix2Sky_TAN()
            | models.RotateNative2Celestial(*wcs.wcs.crval, 180)
        )
        sky = frames.CelestialFrame(reference_frame=coordinates.ICRS(), unit=(u.deg, u.deg))
        image = gwcs.WCS([(frames.Frame2D(name="detector"), to_sky), (sky, None)])
        area = np.abs(np.linalg.det(wcs.pixel_scale_matrix)) * (np.pi / 180) ** 2
        per_nmgy = 3.630780547701014e-12 / area / (1 if level == 3 else 0.25)
        meta = {"instrument": {"name": "WFI", "optical_element": "F129", "detector": "WFI03"},
                "cal_step": {}, "photometry": {"conversion_megajanskys": 0.25},
                "wcs": image, **changes}  # fmt: skip
        roman = {"meta": meta, "data": np.float32(star * per_nmgy),
                 "err": np.full(SHAPE, 0.01 * per_nmgy, np.float32)}  # fmt: skip
        flags = np.zeros(SHAPE, np.uint32)
        flags[1, 2], flags[3, 4] = 1, 4
        roman |= {"context": np.ones(SHAPE, np.uint32)} if level == 3 else {"dq": flags}
        path = tmp_path / f"r{level}.asdf"
        asdf.AsdfFile({"roman": roman}).write_to(path)
        return path

    return write


@pytest.mark.parametrize("level", [2, 3])
def test_roman_in_asdf(roman_asdf, wcs, level):
    """DN/s by conversion_megajanskys, or a mosaic in MJy/sr; the WCS to a hundredth of a pixel."""
    path = roman_asdf(level)
    assert recognize(path).format == "hst_jwst"
    images = BandImages.read(path, redshift=0.5)
    check(images, "roman-f129", sigma=0.01, bad=(1, 2) if level == 2 else None)
    there = wcs.pixel_to_world(7, 11)
    np.testing.assert_allclose(images.wcs.world_to_pixel(there), (7, 11), atol=0.01)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"photometry": {"conversion_megajanskys": None}}, "conversion_megajanskys = None"),
        ({"wcs": {"steps": []}}, "a WCS in .* that FITS cannot express"),
        ({"instrument": {"name": "WFI"}}, "'optical_element' is missing"),
        (
            {"instrument": {"name": "WFI", "optical_element": "GRISM"}},
            "no known camera and filter",
        ),
    ],
)
def test_roman_asdf_that_lacks_what_is_needed(roman_asdf, changes, words):
    with pytest.raises((FileFormatError, InvalidInputError), match=words):
        BandImages.read(roman_asdf(2, **changes), redshift=0.5)


def test_asdf_whose_index_is_wrong_makes_no_room(roman_asdf):
    path = roman_asdf(2)
    whole = path.read_bytes()
    place = whole.rindex(b"...")
    path.write_bytes(whole[: place - 2] + b"1\n" + whole[place:])  # of the last block
    with pytest.raises(FileFormatError, match="index says that one begins"):
        BandImages.read(path, redshift=0.5)


def test_asdf_that_is_none_of_romans(tmp_path):
    (tmp_path / "cut.asdf").write_bytes(b"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n--- !core")
    with pytest.raises(FileFormatError, match="found"):
        BandImages.read(tmp_path / "cut.asdf", redshift=0.5)


def test_rubin_coadd_without_filter_keyword(tmp_path, wcs, star):
    path = layouts.lsst_image(tmp_path / "c.fits", "i", star, wcs, sigma=0.01, camera="LSST")
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["FILTER"], hdus[0].header["INSTRUME"]
        hdus[0].header["HIERARCH LSST BUTLER DATAID BAND"] = "i"
        hdus[0].header["HIERARCH LSST BUTLER DATAID SKYMAP"] = "lsst_cells_v1"
        hdus[0].header["HIERARCH LSST BUTLER DATASETTYPE"] = "deep_coadd"
        hdus["VARIANCE"].header["BUNIT"] = "nJy2"
    check(BandImages.read(path, redshift=0.05), "lsst2023-i", sigma=0.01)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["HIERARCH LSST BUTLER DATAID SKYMAP"] = "hsc_rings_v1"
    check(BandImages.read(path, redshift=0.05), "hsc2017-i", sigma=0.01)


# ---- what cannot be read --------------------------------------------------------------------


def euclid(folder, wcs, star, **cards):
    return layouts.euclid_mosaic(folder, "VIS", star, wcs, **cards)


def casu(folder, wcs, star, **cards):
    return layouts.casu_image(folder / "j_st.fits", "J", star, wcs, **cards)


def spitzer(folder, wcs, star, **cards):
    return layouts.spitzer_mosaic(folder, 1, star, wcs, **cards)


def wise(folder, wcs, star, **cards):
    return layouts.wise_atlas(folder, 1, star, wcs, vega=2.699, **cards)


def roman(folder, wcs, star, **cards):
    known = {"TELESCOP": "ROMAN", "INSTRUME": "WFI", "FILTER": "F158", **cards}
    return layouts.space_image(folder / "r.fits", star, wcs, sigma=0.1, **known)


@pytest.mark.parametrize(
    ("write", "cards", "words"),
    [
        (euclid, {"MAGZEROP": None}, "MAGZEROP = None, expected a number"),
        (euclid, {"MAGZEROP": "thirty"}, "MAGZEROP = 'thirty'"),
        (euclid, {"MAGZEROP": -99.0}, "MAGZEROP = -99.0, expected.*zero_point="),
        (euclid, {"MAGZEROP": 0.0}, "MAGZEROP = 0.0, expected a number other than 0"),
        (euclid, {"MAGZEROP": True}, "MAGZEROP = True"),
        (euclid, {"FILTER": "NIR_K"}, "filter 'NIR_K', expected one of VIS"),
        (casu, {"EXP_TIME": None}, "EXP_TIME or EXPTIME = None.*exposure time"),
        (casu, {"EXP_TIME": 0.0}, "exposure time of 0 s"),
        (casu, {"AMSTART": 0.0, "AMEND": 0.0}, "AMSTART = 0.0, expected the airmass, from 1"),
        (casu, {"AMEND": None}, "AMEND = None.*airmass"),
        (casu, {"EXTINCT": None}, "EXTINCT = None.*zero point needs"),
        (casu, {"FILTER": "1-0S1"}, "filter '1-0S1'"),
        (spitzer, {"BUNIT": None}, "BUNIT = None, expected MJy/sr"),
        (spitzer, {"BUNIT": "DN/s"}, "BUNIT = 'DN/s', expected MJy/sr"),
        (spitzer, {"CHNLNUM": 7}, "filter 'IRAC 7'"),
        (wise, {"MAGZP": None}, "MAGZP = None, expected a number"),
        (wise, {"MAGZP": 999.0}, "MAGZP = 999.0, expected"),
        (wise, {"MAGZP": 0}, "MAGZP = 0, expected"),
        (wise, {"BAND": 5}, "filter '5'"),
        (roman, {"unit": "DN/s"}, "Roman image in DN/s.*zero_point="),
        (roman, {"FILTER": "PRISM"}, "no known camera and filter"),
    ],
)  # fmt: skip
def test_headers_that_lack_what_is_needed(tmp_path, wcs, star, write, cards, words):
    paths = write(tmp_path, wcs, star, **cards)
    with pytest.raises((FileFormatError, InvalidInputError), match=words) as caught:
        BandImages.read(paths, redshift=0.05)
    assert len(str(caught.value)) < 600


def test_companions_alone(tmp_path, wcs, star):
    for paths in (
        layouts.euclid_mosaic(tmp_path, "VIS", star, wcs, sigma=0.1),
        layouts.spitzer_mosaic(tmp_path, 1, star, wcs, sigma=0.1),
        layouts.wise_atlas(tmp_path, 1, star, wcs, vega=2.699, sigma=0.1),
    ):
        with pytest.raises(InvalidInputError, match="no image of its band"):
            BandImages.read(paths[1], redshift=0.05)


def test_another_name_of_a_band_keeps_its_calibration(tmp_path, wcs, star):
    path = layouts.casu_image(tmp_path / "j_st.fits", "J", star, wcs)
    check(BandImages.read({"vista-J": path}, redshift=0.05), "vista-J")


@pytest.mark.parametrize("survey", ["euclid", "casu", "spitzer", "wise"])
def test_readers_keep_the_contract(survey, tmp_path, wcs, star):
    path = globals()[survey](tmp_path, wcs, star)
    check_reader(formats.get_reader(survey), path[0] if isinstance(path, list) else path)


@pytest.mark.parametrize("band", ["W1", "w1", 1.0, "1"])
def test_wise_bands_as_they_are_written(tmp_path, wcs, star, band):
    check(BandImages.read(wise(tmp_path, wcs, star, BAND=band), redshift=0.05), "wise2010-W1")


@pytest.mark.parametrize("cards", [{"CHNLNUM": 1.0}, {"CHNLNUM": "1"}, {"BUNIT": "MJY/SR"}])
def test_spitzer_as_it_is_written(tmp_path, wcs, star, cards):
    check(BandImages.read(spitzer(tmp_path, wcs, star, **cards), redshift=0.05), "spitzer-irac1")


@pytest.mark.parametrize(("keyword", "value"), [("MAGZPT", -99.0), ("EXTINCT", -99.0)])
def test_casu_numbers_that_stand_for_none(tmp_path, wcs, star, keyword, value):
    path = casu(tmp_path, wcs, star)
    fits.setval(path, keyword, value=value, ext=1)
    with pytest.raises(FileFormatError, match=rf"{keyword} = -99.0, expected.*zero_point="):
        BandImages.read(path, redshift=0.05)
