"""Files made to each survey's layout, with known magnitudes; real ones where they are."""

import shutil

import astropy.units as u
import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io import read_survey, recognize
from picasssso.io.reading import read_parts
from picasssso.io.sdss import ccd_properties

SHAPE = (40, 52)
MAGNITUDES = {"u": 19.1, "g": 17.6, "r": 17.0, "i": 16.7, "z": 16.4, "y": 16.3, "Y": 16.3}


def star(band, shape=SHAPE, fwhm=3.0):
    """Return an image of one source of known magnitude, nmgy."""
    y, x = np.indices(shape)
    profile = np.exp(
        -4 * np.log(2) * ((x - shape[1] / 2) ** 2 + (y - shape[0] / 2) ** 2) / fwhm**2
    )
    return 10 ** (0.4 * (22.5 - MAGNITUDES[band])) * profile / profile.sum()


def magnitude(images, band):
    flux, _ = images.to_arrays(bands=[band])
    return 22.5 - 2.5 * np.log10(flux.sum(dtype=float))


def sigma_of(images, band):
    """Standard deviations in nmgy."""
    with np.errstate(divide="ignore"):
        return 1 / np.sqrt(images.to_arrays(bands=[band])[1][0])


def check(images, expected):
    """Magnitudes to 0.005, as the bar has it."""
    assert images.bands == tuple(expected)
    for band, letter in expected.items():
        assert magnitude(images, band) == pytest.approx(MAGNITUDES[letter], abs=0.005)


@pytest.fixture
def wcs():
    return layouts.tangent_wcs(SHAPE, 0.4)


def test_sdss_frames_in_ab_with_the_surveys_noise(tmp_path, wcs):
    paths = [
        layouts.sdss_frame(tmp_path / f"frame-{b}.fits", b, star(b), wcs, sky=130.0)
        for b in "ugriz"
    ]
    assert recognize(paths[0]).format == "sdss"
    images = read_survey(paths, redshift=0.05)
    check(images, {f"sdss2010-{b}": b for b in "ugriz"})
    source = images.meta["source"]
    assert source["sdss2010-u"]["ab_offset_mag"] == -0.04
    assert source["sdss2010-z"]["ab_offset_mag"] == 0.02
    # A pixel without source: the sky's counts, their gain, and the dark variance.
    gain, dark = ccd_properties(3, "r", 3000)
    expected = np.sqrt(130.0 / gain + dark) * 0.005
    assert sigma_of(images, "sdss2010-r")[0, 0] == pytest.approx(expected, rel=1e-5)
    bright = star("r").max()
    expected = np.sqrt((130.0 + bright / 0.005) / gain + dark) * 0.005
    assert sigma_of(images, "sdss2010-r").max() == pytest.approx(expected, rel=1e-5)


def test_sdss_compressed_as_the_survey_does(tmp_path, wcs):
    import bz2

    path = layouts.sdss_frame(tmp_path / "frame-r.fits", "r", star("r"), wcs)
    packed = tmp_path / "frame-r.fits.bz2"
    packed.write_bytes(bz2.compress(path.read_bytes()))
    check(read_survey(packed, redshift=0.05), {"sdss2010-r": "r"})


def test_sdss_cutout_of_the_image_alone(tmp_path, wcs):
    path = _drop(layouts.sdss_frame(tmp_path / "SDSS_z.fits", "z", star("z"), wcs), 1, 2)
    with pytest.warns(PicassssoWarning, match="define the noise"):
        images = read_survey(path, redshift=0.05)
    check(images, {"sdss2010-z": "z"})
    assert images.missing_uncertainty == ("sdss2010-z",)


@pytest.mark.parametrize("place", ["CRPIX", "nowhere", "binned"])
def test_sdss_cutout_that_kept_the_frames_vectors(tmp_path, place):
    """The part of calibration and sky that CRPIX says; no noise and a warning without it."""
    shape, (x, y) = (40, 52), (900, 400)
    wcs = layouts.tangent_wcs(shape, 0.8 if place == "binned" else 0.4)
    wcs.wcs.crpix = (1025.0 - x, 745.0 - y)
    path = layouts.sdss_frame(tmp_path / "frame-r.fits", "r", star("r"), wcs)
    per_count = (0.004 + 1e-6 * np.arange(2048)).astype("f4")
    sky = np.zeros(1, dtype=[("ALLSKY", "f4", (2, 2)), ("XINTERP", "f4", 2048),
                             ("YINTERP", "f4", 1489)])  # fmt: skip
    sky["ALLSKY"], sky["YINTERP"] = [[100, 100], [200, 200]], np.linspace(0, 1, 1489)
    with fits.open(path) as hdus:
        image = fits.PrimaryHDU(hdus[0].data, hdus[0].header)
    if place == "nowhere":
        image.header["CRPIX1"] = 7.25
    hdus = [image, fits.ImageHDU(per_count), fits.BinTableHDU(sky)]
    fits.HDUList(hdus).writeto(path, overwrite=True)
    if place != "CRPIX":
        with pytest.warns(PicassssoWarning, match="no place in the frame"):
            images = read_survey(path, redshift=0.05)
        assert images.missing_uncertainty == ("sdss2010-r",)
        return
    images = read_survey(path, redshift=0.05)
    gain, dark = ccd_properties(3, "r", 3000)
    counts = 100 + 100 * y / 1488
    expected = np.sqrt(counts / gain + dark) * per_count[x]
    assert sigma_of(images, "sdss2010-r")[0, 0] == pytest.approx(expected, rel=1e-5)


def test_sdss_ccds_that_changed():
    assert ccd_properties(2, "u", 1000)[0] == 1.595
    assert ccd_properties(2, "u", 1200)[0] == 1.825
    assert ccd_properties(5, "z", 2000) == (3.48, 2.1025)
    assert ccd_properties(1, "g", 9999) == (3.32, 15.6025)


def test_legacy_cube_with_inverse_variance_and_mask_bits(tmp_path):
    wcs = layouts.tangent_wcs(SHAPE, 0.262)
    flux = np.stack([star(b) for b in "grz"])
    maskbits = np.zeros(SHAPE, int)
    maskbits[0, 0], maskbits[0, 1], maskbits[0, 2] = 0x8, 0x2, 0x20
    path = layouts.legacy_cutout(
        tmp_path / "cutout.fits", "grz", flux, wcs,
        inverse_variance=np.full(flux.shape, 400.0), maskbits=maskbits,
    )  # fmt: skip
    assert recognize(path).format == "legacy"
    images = read_survey(path, redshift=0.05)
    expected = {f"decam2014-{b}": b for b in "grz"}
    assert images.bands == tuple(expected)
    # Saturated in r, in a star's surroundings, bad in all exposures in g.
    masks = [images[band].mask[0, :3].tolist() for band in expected]
    assert masks == [[False, False, True], [True, False, False], [False, False, False]]
    check(images, expected)
    assert sigma_of(images, "decam2014-z")[5, 5] == pytest.approx(0.05)


@pytest.mark.parametrize("kind", [None, "image"])
def test_legacy_hdu_is_what_its_name_says(tmp_path, kind):
    """A cut-out whose noise is told by EXTNAME, with no IMAGETYP or a copied one."""
    wcs = layouts.tangent_wcs(SHAPE, 0.262)
    flux, precision = np.stack([star(b) for b in "grz"]), np.array([4.0, 25.0, 100.0])
    path = layouts.legacy_cutout(tmp_path / "cutout.fits", "grz", flux, wcs)
    with fits.open(path) as hdus:
        header = hdus[0].header.copy()
        header.pop("IMAGETYP")
        if kind:
            header["IMAGETYP"] = kind
        cube = np.broadcast_to(precision[:, None, None], flux.shape).astype("f4")
        noise = fits.ImageHDU(cube, header, name="INVVAR")
        fits.HDUList([fits.PrimaryHDU(hdus[0].data, header), noise]).writeto(tmp_path / "n.fits")
    bands = [f"decam2014-{b}" for b in "grz"]
    for about in ({}, {"weight": "INVVAR"}, {"weight": str(tmp_path / "n.fits[INVVAR]")}):
        images = read_survey(tmp_path / "n.fits", redshift=0.05, **about)
        assert images.bands == tuple(bands)
        found = [sigma_of(images, band)[5, 5] for band in bands]
        np.testing.assert_allclose(found, precision**-0.5, rtol=1e-6)
    with pytest.raises(InvalidInputError, match="no 2-D image in HDU 'INVVAR'"):
        read_survey({"decam2014-g": tmp_path / "n.fits[INVVAR]"}, redshift=0.05)


def test_legacy_files_apart_and_north(tmp_path):
    wcs = layouts.tangent_wcs(SHAPE, 0.262, center=(210.0, 54.0))
    flux = np.stack([star(b) for b in "grz"])
    image = layouts.legacy_cutout(tmp_path / "c.fits", "grz", flux, wcs)
    noise = layouts.legacy_cutout(
        tmp_path / "iv.fits", "grz", None, wcs, inverse_variance=np.full(flux.shape, 4.0)
    )
    bits = np.zeros(SHAPE)
    bits[3, 4] = 0x10
    mask = layouts.legacy_cutout(tmp_path / "m.fits", "grz", None, wcs, maskbits=bits)
    assert recognize(noise).role == "invvar"
    images = read_survey([noise, mask, image], redshift=0.05)
    check(images, {"BASS-g": "g", "BASS-r": "r", "MzLS-z": "z"})
    assert sigma_of(images, "BASS-g")[0, 0] == pytest.approx(0.5)
    assert images["MzLS-z"].mask[3, 4]
    assert not images["BASS-g"].mask[3, 4]


@pytest.mark.parametrize("kind", ["model", "RESID", "chi2"])
def test_legacy_models_and_residuals_are_no_images(tmp_path, kind):
    """As the viewer's layers ls-dr10-model and ls-dr10-resid, and files of a brick, say it."""
    wcs = layouts.tangent_wcs(SHAPE, 0.262)
    image = layouts.legacy_cutout(tmp_path / "image.fits", "r", star("r"), wcs)
    name = "legacysurvey-1500p020-chi2-r.fits" if kind == "chi2" else "layer.fits"
    other = layouts.legacy_cutout(tmp_path / name, "r", 2 * star("r"), wcs)
    with fits.open(other, mode="update") as hdus:
        hdus[0].header["IMAGETYP"] = kind if kind != "chi2" else ""
    with pytest.raises(InvalidInputError, match="no image of its band"):
        read_survey(other, redshift=0.05)
    with pytest.warns(PicassssoWarning, match="is not used"):
        check(read_survey([image, other], redshift=0.05), {"decam2014-r": "r"})


def test_legacy_resampled_pixels_warn(tmp_path):
    path = layouts.legacy_cutout(
        tmp_path / "c.fits", "gr", np.stack([star("g"), star("r")]),
        layouts.tangent_wcs(SHAPE, 0.5),
    )  # fmt: skip
    with pytest.warns(PicassssoWarning, match="pixscale=0.262"):
        read_survey(path, redshift=0.05)


def test_des_coadd(tmp_path, wcs):
    mask = np.zeros(SHAPE, int)
    mask[2, 3] = 4
    paths = [
        layouts.des_coadd(tmp_path / f"{b}.fits", b, star(b), wcs, sigma=0.02, mask=mask)
        for b in "grizY"
    ]
    assert recognize(paths[0]).format == "des"
    images = read_survey(paths, redshift=0.05)
    check(images, {f"decam2014-{b}": b for b in "grizY"})
    assert sigma_of(images, "decam2014-i")[0, 0] == pytest.approx(0.02, rel=1e-4)
    assert images["decam2014-i"].mask.sum() == 1
    assert images.meta["source"]["decam2014-g"]["zero_point_source"] == "MAGZERO"


def test_compressed_des_coadd(tmp_path, wcs):
    path = layouts.des_coadd(tmp_path / "r.fits", "r", star("r"), wcs, sigma=0.02)
    with fits.open(path) as hdus:
        packed = [fits.PrimaryHDU()]
        packed += [
            fits.CompImageHDU(h.data, h.header, name=h.name, quantize_level=0,
                              compression_type="GZIP_1")
            for h in hdus
        ]  # fmt: skip
        fits.HDUList(packed).writeto(tmp_path / "r.fits.fz")
    check(read_survey(tmp_path / "r.fits.fz", redshift=0.05), {"decam2014-r": "r"})


@pytest.mark.parametrize("asinh", [True, False])
def test_ps1_stack_weight_and_mask(tmp_path, wcs, asinh):
    mask = np.zeros(SHAPE, int)
    mask[0, 0], mask[0, 1] = 32, 128  # saturated, suspect
    paths = [
        path
        for b in "grizy"
        for path in layouts.ps1_stack(
            tmp_path, b, star(b), wcs, sigma=0.03, mask=mask, asinh=asinh, time=400 + ord(b)
        )
    ]
    assert recognize(paths[0]).format == "panstarrs"
    assert [recognize(path).role for path in paths[:3]] == [None, "weight", "mask"]
    images = read_survey(paths, redshift=0.05)
    check(images, {f"panstarrs-{b}": b for b in "grizy"})
    assert sigma_of(images, "panstarrs-g")[4, 4] == pytest.approx(0.03, rel=1e-4)
    assert images["panstarrs-g"].mask[0, :2].tolist() == [True, False]
    assert images.meta["source"]["panstarrs-g"]["asinh_scaled"] is asinh
    warp = tmp_path / "rings.v3.skycell.1804.079.wrp.g.56217_40214.fits"
    shutil.copy(paths[0], warp)
    with pytest.raises(InvalidInputError, match="one exposure"):
        read_survey(warp, redshift=0.05)
    if not asinh:
        with fits.open(paths[0], mode="update") as hdus:
            hdus[-1].header.update(BSOFTEN=100.0, BOFFSET=10.0)  # kept by what made it linear
            hdus[-1].data *= 1000
        with pytest.raises(FileFormatError, match="was made linear"):
            read_survey(paths[0], redshift=0.05)


@pytest.mark.parametrize("camera", ["HSC", "LSST"])
def test_lsst_pipelines(tmp_path, wcs, camera):
    bits = np.zeros(SHAPE, int)
    bits[1, 1], bits[1, 2], bits[1, 3] = 1 << 1, 1 << 5, 1 << 8  # SAT, DETECTED, NO_DATA
    paths = [
        layouts.lsst_image(
            tmp_path / f"calexp-{b}.fits", b, star(b), wcs, sigma=0.01, bits=bits, camera=camera
        )
        for b in "griz"
    ]
    assert recognize(paths[0]).format == "lsst"
    images = read_survey(paths, redshift=0.05)
    group = "hsc2017" if camera == "HSC" else "lsst2023"
    check(images, {f"{group}-{b}": b for b in "griz"})
    assert images[f"{group}-g"].mask[1, 1:4].tolist() == [True, False, True]
    assert sigma_of(images, f"{group}-g")[0, 0] == pytest.approx(0.01, rel=1e-4)


def test_hsc_cutout_whose_name_alone_tells_the_band(tmp_path, wcs):
    path = layouts.lsst_image(tmp_path / "2-cutout-HSC-I-9813.fits", "i", star("i"), wcs, sigma=1)
    with fits.open(path, mode="update") as hdus:
        del hdus[0].header["FILTER"], hdus[0].header["INSTRUME"]
    images = read_survey(path, redshift=0.05)
    check(images, {"hsc2017-i": "i"})
    assert images.meta["source"]["hsc2017-i"]["band_source"] == "file name"
    with fits.open(path, mode="update") as hdus:
        del hdus[2:]  # asked for without mask and variance
    images = read_survey(path, redshift=0.05)
    check(images, {"hsc2017-i": "i"})
    assert images.missing_uncertainty == images.bands


def test_eso_standard(tmp_path, wcs):
    paths = [layouts.eso_image(tmp_path / f"{b}.fits", b, star(b), wcs) for b in "ugri"]
    assert recognize(paths[0]).format == "eso"
    images = read_survey(paths, redshift=0.05)
    check(images, {f"sdss2010-{b}": b for b in "ugri"})
    assert images.psf["sdss2010-r"] == 0.7 * u.arcsec
    assert images.missing_uncertainty == images.bands
    weight = np.ones(SHAPE)
    weight[0] = 0
    layouts.eso_image(
        tmp_path / "w.fits", "r", weight, wcs, zero_point=22.5,
        PRODCATG="ANCILLARY.WEIGHTMAP",
    )  # fmt: skip
    images = read_survey([paths[2], tmp_path / "w.fits"], redshift=0.05)
    assert images["sdss2010-r"].mask[0].all()
    assert not images["sdss2010-r"].mask[1:].any()


def test_gama_and_generic(tmp_path, wcs):
    files = {b: layouts.gama_image(tmp_path / f"{b}.fits", star(b), wcs) for b in "gri"}
    assert recognize(files["g"]).format == "generic"
    images = read_survey(files, survey="sdss", zero_point=30 * u.ABmag, redshift=0.05)
    check(images, {f"sdss2010-{b}": b for b in "gri"})
    zero_points = {"g": 29 * u.ABmag, "r": 30 * u.ABmag, "i": 31 * u.ABmag}
    images = read_survey(files, survey="sdss", zero_point=zero_points, redshift=0.05)
    assert magnitude(images, "sdss2010-i") == pytest.approx(MAGNITUDES["i"] + 1, abs=0.005)


def test_generic_with_a_unit_and_extensions(tmp_path, wcs):
    header = wcs.to_header()
    header["BUNIT"] = "uJy"
    fits.HDUList(
        [
            fits.PrimaryHDU(star("r") * 3.6307805, header),
            fits.ImageHDU(np.full(SHAPE, 0.25), name="VAR"),
            fits.ImageHDU(np.eye(*SHAPE, dtype=np.uint8), name="MASK"),
        ]
    ).writeto(tmp_path / "r.fits")
    images = read_survey({"sdss2010-r": tmp_path / "r.fits"}, redshift=0.05)
    assert sigma_of(images, "sdss2010-r")[0, 5] == pytest.approx(0.5 / 3.6307805)
    assert images["sdss2010-r"].mask.sum() == min(SHAPE)


def test_bands_on_different_grids_are_aligned_on_request(tmp_path, wcs):
    first = layouts.des_coadd(tmp_path / "g.fits", "g", star("g"), wcs, sigma=0.02)
    other = layouts.tangent_wcs((36, 40), 0.5)
    second = layouts.des_coadd(tmp_path / "r.fits", "r", star("r", (36, 40)), other, sigma=0.02)
    with pytest.raises(InvalidInputError, match="align"):
        read_survey([first, second], redshift=0.05)
    images = read_survey([first, second], redshift=0.05, onto="decam2014-g")
    assert images.shape == SHAPE
    assert set(images.meta["source"]) == {"decam2014-g", "decam2014-r"}
    parts = read_parts([first, second], redshift=0.05)
    assert [part.shape for part in parts] == [SHAPE, (36, 40)]


def test_a_given_band_overrules_the_header(tmp_path, wcs):
    path = layouts.des_coadd(tmp_path / "r.fits", "r", star("r"), wcs)
    images = read_survey({"decamDR1-r": path}, redshift=0.05)
    assert images.bands == ("decamDR1-r",)
    with pytest.warns(PicassssoWarning, match="filter of decam2014-r in the header"):
        images = read_survey({"decam2014-g": path}, redshift=0.05)
    assert images.bands == ("decam2014-g",)


# ---- malformed files ------------------------------------------------------------------------


def _edit(path, hdu=0, **cards):
    with fits.open(path, mode="update") as hdus:
        for key, value in cards.items():
            if value is None:
                del hdus[hdu].header[key]
            else:
                hdus[hdu].header[key] = value
    return path


def _drop(path, *names):
    with fits.open(path) as hdus:
        kept = [h.copy() for k, h in enumerate(hdus) if k not in names and h.name not in names]
    fits.HDUList(kept).writeto(path, overwrite=True)
    return path


class Malformed:
    """Each method makes one file that cannot be used, and says what the error must name."""

    def __init__(self, folder):
        self.folder = folder
        self.wcs = layouts.tangent_wcs(SHAPE, 0.4)
        self.options = {}

    def path(self, name):
        return self.folder / name

    def sdss(self):
        return layouts.sdss_frame(self.path("frame-r.fits"), "r", star("r"), self.wcs)

    def des(self, **keywords):
        return layouts.des_coadd(
            self.path("des.fits"), "r", star("r"), self.wcs, sigma=0.1, **keywords
        )

    def ps1(self, **keywords):
        return layouts.ps1_stack(self.folder, "r", star("r"), self.wcs, sigma=0.1, **keywords)

    def hsc(self):
        return layouts.lsst_image(self.path("hsc.fits"), "r", star("r"), self.wcs, sigma=0.1)

    def legacy(self, bands="gr", **keywords):
        flux = np.stack([star("g"), star("r")])
        return layouts.legacy_cutout(
            self.path("cut.fits"), bands, flux, layouts.tangent_wcs(SHAPE, 0.262), **keywords
        )

    def missing_file(self):
        return self.path("nowhere.fits"), "found no file"

    def a_folder(self):
        return self.folder, "folder"

    def text(self):
        self.path("page.fits").write_text("<html>404 not found</html>")
        return self.path("page.fits"), "FITS"

    def cut_short(self):
        path = self.des()
        path.write_bytes(path.read_bytes()[:6000])
        return path, "cut short|damaged|cannot be read"

    def table_alone(self):
        fits.HDUList(
            [fits.PrimaryHDU(), fits.BinTableHDU(np.rec.array([(1, 2.0)], names=("a", "b")))]
        ).writeto(self.path("table.fits"))
        return self.path("table.fits"), "no image"

    def sdss_unknown_filter(self):
        return _edit(self.sdss(), FILTER="x"), "filter 'x'"

    def sdss_column_nine(self):
        return _edit(self.sdss(), CAMCOL=9), "CAMCOL = 9"

    def sdss_calibration_zero(self):
        path = self.sdss()
        with fits.open(path, mode="update") as hdus:
            hdus[1].data[3] = 0
        return path, "not positive"

    def sdss_sky_not_a_table(self):
        path = _drop(self.sdss(), 2)
        with fits.open(path, mode="append") as hdus:
            hdus.append(fits.ImageHDU(np.ones((3, 3))))
        return path, "no sky"

    def legacy_more_bands_than_planes(self):
        return self.legacy("grz"), "bands gr"

    def legacy_fewer_bands_than_planes(self):
        return self.legacy("g"), "one plane"

    def legacy_mask_of_another_cutout(self):
        return self.legacy(maskbits=np.zeros((9, 9))), "mask of shape"

    def legacy_unknown_band(self):
        return self.legacy("qr"), "filter 'q'"

    def des_without_zero_point(self):
        return _edit(self.des(), MAGZERO=None), "MAGZERO"

    def des_zero_point_in_words(self):
        return _edit(self.des(), MAGZERO="thirty"), "'thirty'"

    def des_negative_weights(self):
        path = self.des()
        with fits.open(path, mode="update") as hdus:
            hdus["WGT"].data *= -1
        return path, "no pixel with a usable InverseVariance"

    def des_weight_of_another_size(self):
        path = self.des()
        with fits.open(path, mode="update") as hdus:
            hdus["WGT"].data = np.ones((5, 5), np.float32)
        return path, "weight of shape"

    def des_without_wcs(self):
        path = self.des()
        return _edit(path, CTYPE1=None, CTYPE2=None), "WCS"

    def ps1_without_exposure_time(self):
        return _edit(self.ps1()[0], EXPTIME=None), "EXPTIME"

    def ps1_exposure_time_zero(self):
        return _edit(self.ps1()[0], EXPTIME=0.0), "EXPTIME = 0"

    def ps1_softening_without_offset(self):
        return _edit(self.ps1()[0], BOFFSET=None), "BSOFTEN alone"

    def ps1_weight_alone(self):
        return self.ps1()[1], "no image of its band"

    def ps1_mask_with_fractions(self):
        paths = self.ps1()
        fits.writeto(paths[2], np.full(SHAPE, 0.5), fits.getheader(paths[2]), overwrite=True)
        return paths, "fractions"

    def hsc_without_calibration(self):
        return _edit(self.hsc(), FLUXMAG0=None), "FLUXMAG0"

    def hsc_without_names_of_bits(self):
        path = self.hsc()
        planes = dict.fromkeys(["MP_BAD", "MP_SAT", "MP_NO_DATA", "MP_SUSPECT"])
        return _edit(path, 2, **planes), "define the bits"

    def hsc_of_no_camera(self):
        return _edit(self.hsc(), FILTER="r", INSTRUME=None), "no camera"

    def eso_in_vega(self):
        path = layouts.eso_image(self.path("e.fits"), "r", star("r"), self.wcs, PHOTSYS="VEGA")
        return path, "Vega system"

    def generic_without_band(self):
        return layouts.gama_image(self.path("g.fits"), star("r"), self.wcs), "Give the band"

    def generic_without_zero_point(self):
        path = layouts.gama_image(self.path("g.fits"), star("r"), self.wcs)
        return {"sdss2010-r": path}, "zero_point="

    def the_same_band_twice(self):
        other = layouts.des_coadd(self.path("again.fits"), "r", star("r"), self.wcs)
        return [self.des(), other], "twice"

    def our_own_file(self):
        path = self.path("bands.fits")
        read_survey(self.des(), redshift=0.1).write(path)
        return [path, self.folder / "des.fits"], "BandImages.read"


CASES = [name for name in vars(Malformed) if name.count("_") and not name.startswith("__")]


@pytest.mark.parametrize("case", ["text", *CASES])
def test_malformed_files(case, tmp_path):
    files, words = getattr(Malformed(tmp_path), case)()
    with pytest.raises((FileFormatError, InvalidInputError), match=words) as caught:
        read_survey(files, redshift=0.05)
    assert "found" in str(caught.value)


def test_zero_point_without_unit(tmp_path, wcs):
    path = layouts.gama_image(tmp_path / "r.fits", star("r"), wcs)
    with pytest.raises(TypeError, match=r"30 \* u.ABmag"):
        read_survey({"sdss2010-r": path}, redshift=0.05, zero_point=30)


# ---- real files -----------------------------------------------------------------------------


def test_real_des(shared_data):
    paths = sorted((shared_data / "real/j0151_des").glob("DES_*.fits"))
    assert {recognize(path).format for path in paths} == {"des"}
    images = read_survey(paths, redshift=0.02)
    assert set(images.bands) == {f"decam2014-{b}" for b in "griz"}
    assert images.missing_uncertainty == ()
    assert {float(z.value) for z in images.zero_point.values()} == {30.0}


def test_real_gama(shared_data):
    files = {b: shared_data / f"real/gama_t10/{b}.fits" for b in "ugriz"}
    images = read_survey(files, survey="sdss", zero_point=30 * u.ABmag, redshift=0.1)
    assert images.shape == (73, 65)
