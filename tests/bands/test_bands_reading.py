"""Reading survey files by explicit specification, cubes, and the package's own files."""

import gzip
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, NDData, StdDevUncertainty, VarianceUncertainty
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from picasssso._core.fits_files import split_specification
from picasssso.bands import BandImages
from picasssso.bands.flux_units import parse_unit
from picasssso.exceptions import PicassssoError, PicassssoWarning

G, R = "sdss2010-g", "sdss2010-r"
SHAPE = (6, 8)
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def values():
    rng = np.random.default_rng(0)
    return {
        "SCI": rng.normal(5, 1, SHAPE).astype("f4"),
        "WGT": rng.uniform(1, 2, SHAPE).astype("f4"),
        "ERR": rng.uniform(1, 2, SHAPE).astype("f4"),
        "MSK": rng.integers(0, 8, SHAPE).astype("i4"),
    }


@pytest.fixture(scope="module")
def survey_file(values, make_wcs, tmp_path_factory):
    """Return a function that writes a file with image, weight, error and mask."""
    folder = tmp_path_factory.mktemp("survey")

    def make(name, **cards):
        path = folder / name
        if not path.exists():
            header = make_wcs(SHAPE).to_header()
            header.update(cards)
            hdus = [fits.ImageHDU(values["SCI"], header, name="SCI")]
            hdus += [fits.ImageHDU(values[key], name=key) for key in ("WGT", "ERR", "MSK")]
            fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
        return path

    return make


def read(path, **arguments):
    return BandImages.read({R: path}, redshift=0.1, **arguments)


@pytest.mark.parametrize(
    ("bunit", "unit", "warns"),
    [
        ("adu", "nmgy", True),
        ("nanomaggy", "Jy", True),
        ("nanomaggy", "nmgy", False),
        ("electron", "adu", False),
        ("", "nmgy", False),
        ("furlong", "nmgy", False),  # what cannot be right contradicts nothing
        ("erg/s/cm^2/A", "erg / (s cm2 AA)", False),
    ],
)
def test_unit_against_bunit(survey_file, bunit, unit, warns):
    path = survey_file(f"bunit_{len(bunit)}.fits", BUNIT=bunit)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PicassssoWarning)
        images = read(
            f"{path}[SCI]", unit=unit, **({"zero_point": 25 * u.ABmag} if unit == "adu" else {})
        )
    assert images[R].unit == u.Unit(unit)
    messages = [str(w.message) for w in caught if issubclass(w.category, PicassssoWarning)]
    assert bool(messages) == warns
    for message in messages:
        assert f"found BUNIT='{bunit}'" in message
        assert f"unit='{u.Unit(unit)}'" in message


# ---- specifications -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("g.fits", ("g.fits", None)),
        ("g.fits[0]", ("g.fits", 0)),
        ("a b/g.fits[ SCI ]", ("a b/g.fits", "SCI")),
        ("g.fits[SCI, 2]", ("g.fits", ("SCI", 2))),
        (Path("x") / "g.fits", (str(Path("x") / "g.fits"), None)),
    ],
)
def test_specification(text, expected):
    assert split_specification(text) == expected


def test_file_with_brackets_in_its_name(survey_file, tmp_path):
    path = tmp_path / "image[1]"
    shutil.copy(survey_file("bunit.fits", BUNIT="nmgy"), path)
    assert split_specification(path) == (str(path), None)
    assert read(f"{path}[SCI]").bands == (R,)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("nanomaggy", "nmgy"),
        ("nanomaggies", "nmgy"),
        ("nmgy/arcsec^2", "nmgy / arcsec2"),
        ("electrons", "electron"),
        ("ELECTRONS/S", "electron / s"),
        ("counts/sec", "ct / s"),
        ("ADU", "adu"),
        ("Counts", "ct"),
        ("erg/s/cm^2/Hz", "erg / (s cm2 Hz)"),
        (" MJy/sr ", "MJy / sr"),
        ("DN", "DN"),
    ],
)
def test_units_as_headers_write_them(text, unit):
    assert parse_unit(text, R, "BUNIT") == u.Unit(unit)


# ---- survey files -------------------------------------------------------------------------


def test_unit_from_the_header_or_given(survey_file, values):
    path = survey_file("nanomaggy.fits", BUNIT="nanomaggy")
    images = read(f"{path}[SCI]")
    assert images[R].unit == u.nmgy
    good = values["MSK"] == 0
    flux, precision = (plane[0] for plane in images.to_arrays())
    assert np.array_equal(flux, np.where(good, values["SCI"], 0))
    # ERR and MSK of the same EXTVER belong to it.
    np.testing.assert_allclose(precision[good], values["ERR"][good] ** -2.0, rtol=1e-6)
    assert images[R].meta["BUNIT"] == "nanomaggy"
    for unit in ("uJy", u.uJy, {R: "uJy"}):
        with pytest.warns(PicassssoWarning, match="BUNIT='nanomaggy'"):
            assert read(f"{path}[SCI]", unit=unit)[R].unit == u.uJy
    assert images.meta["source"][R] == {
        "file": "nanomaggy.fits", "hdu": "SCI", "format": "generic",
    }  # fmt: skip
    with_notes = read(f"{path}[SCI]", meta={"a": 1})
    assert set(with_notes.meta) == {"source", "a"}


@pytest.mark.parametrize(
    ("argument", "hdu", "kind", "power"),
    [
        ("weight", "WGT", InverseVariance, -2),
        ("uncertainty", "ERR", StdDevUncertainty, 1),
        ("variance", "ERR", VarianceUncertainty, 2),
    ],
)
def test_noise(survey_file, values, argument, hdu, kind, power):
    path = survey_file("bunit.fits", BUNIT="nmgy")
    number = {"WGT": 2, "ERR": 3}[hdu]
    for form in (hdu, number, f"{path}[{hdu}]", {R: hdu}, {R: f"{path}[{number}]"}):
        images = read(f"{path}[SCI]", **{argument: form})
        assert isinstance(images[R].uncertainty, kind)
        expected = np.where(values["MSK"] == 0, values[hdu].astype(float) ** (-2 / power), 0)
        np.testing.assert_allclose(images.to_arrays()[1][0], expected, rtol=1e-6)
    assert read(f"{path}[SCI]", **{argument: {G: hdu}} | {"mask": None}, survey=None) is not None


def test_mask(survey_file, values):
    path = survey_file("bunit.fits", BUNIT="nmgy")
    for bits, bad in ((None, values["MSK"] != 0), (5, (values["MSK"] & 5) != 0)):
        images = read(f"{path}[SCI]", mask="MSK", mask_bits=bits)
        assert images[R].mask.dtype == bool
        assert np.array_equal(images[R].mask, bad)
        assert np.array_equal(images.to_arrays()[1][0] > 0, ~bad)
    with pytest.raises(PicassssoError, match="expected bits: integers"):
        read(f"{path}[SCI]", mask="WGT", mask_bits=1)


@pytest.mark.parametrize(
    ("band", "cards", "zero_point"),
    [
        ("decam2014-r", {"MAGZERO": 30.0}, 30.0),
        ("hsc2017-r", {"FLUXMAG0": 63095734448.0194}, 27.0),
        (R, {"ZP_AB": 25}, 25.0),
        (R, {"MAGZP_AB": 24.5}, 24.5),
    ],
)
def test_zero_points_that_keywords_define(survey_file, band, cards, zero_point):
    path = survey_file(f"{'_'.join(cards)}.fits", BUNIT="ADU", **cards)
    images = BandImages.read({band: f"{path}[SCI]"}, redshift=0.1)
    assert images.zero_point[band].value == pytest.approx(zero_point, abs=1e-9)
    assert images.zero_point[band].unit == u.ABmag
    assert images.meta["source"][band]["zero_point_source"] in cards
    given = BandImages.read({band: f"{path}[SCI]"}, redshift=0.1, zero_point=20 * u.ABmag)
    assert given.zero_point[band] == 20 * u.ABmag


def test_keyword_of_another_survey_is_not_taken(survey_file):
    """MAGZERO is AB where DECam wrote it; elsewhere nobody says so."""
    path = survey_file("MAGZERO.fits", BUNIT="ADU", MAGZERO=30.0)
    with pytest.raises(ValueError, match=r"MAGZERO = 30\.0, but not in which magnitude system"):
        read(f"{path}[SCI]")


def test_zero_point_for_a_flux_is_refused_from_files_too(survey_file):
    path = survey_file("bunit.fits", BUNIT="nmgy")
    with pytest.raises(ValueError, match="Leave one of them out"):
        read(f"{path}[SCI]", zero_point={R: 30 * u.ABmag})


def test_asinh_magnitudes_from_a_file(survey_file):
    path = survey_file("mag.fits", BUNIT="mag")
    assert read(f"{path}[SCI]", asinh_softening=1e-10, uncertainty="ERR").bands == (R,)
    with pytest.raises(ValueError, match="expected uncertainty= in mag"):
        read(f"{path}[SCI]", asinh_softening=1e-10, weight="WGT")


def test_scaled_integers_and_compressed_files(values, make_wcs, tmp_path):
    """What cannot be mapped is read."""
    header = make_wcs(SHAPE).to_header()
    header["BUNIT"] = "nmgy"
    scaled = fits.PrimaryHDU(values["SCI"].copy(), header)
    scaled.scale("int16", bscale=0.001, bzero=5)
    scaled.writeto(tmp_path / "scaled.fits")
    fits.PrimaryHDU(values["SCI"], header).writeto(tmp_path / "plain.fits")
    with gzip.open(tmp_path / "plain.fits.gz", "wb") as file:
        file.write((tmp_path / "plain.fits").read_bytes())
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(values["SCI"], header)]).writeto(
        tmp_path / "tiled.fits"
    )
    for name, tolerance in (("scaled.fits", 1e-3), ("plain.fits.gz", 0), ("tiled.fits", 0.1)):
        flux, _ = read(tmp_path / name).to_arrays()
        np.testing.assert_allclose(flux[0], values["SCI"], atol=tolerance, err_msg=name)


def test_several_files(survey_file):
    one, two = survey_file("bunit.fits", BUNIT="nmgy"), survey_file("jansky.fits", BUNIT="uJy")
    images = BandImages.read(
        {"g": f"{one}[1]", "r": f"{two}[SCI]"},
        survey="sdss",
        redshift=0.1,
        weight={"g": "WGT"},
        uncertainty={"r": "ERR"},
        psf={"r": 1.1 * u.arcsec},
    )
    assert [images[band].unit for band in images] == [u.nmgy, u.uJy]
    kinds = [type(images[band].uncertainty) for band in images]
    assert kinds == [InverseVariance, StdDevUncertainty]
    assert list(images.psf) == [R]


def test_home_folder(survey_file, monkeypatch):
    path = survey_file("bunit.fits", BUNIT="nmgy")
    monkeypatch.setenv("HOME", str(path.parent))
    assert read(f"~/{path.name}[SCI]").bands == (R,)


# ---- cubes --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["array", "quantity", "nddata", "with 3-D WCS"])
def test_cube(values, make_wcs, form):
    cube = np.stack([values["SCI"], values["WGT"]])
    sigma = np.full(cube.shape, 0.5)
    mask = np.zeros(cube.shape, bool)
    mask[1, 0, 0] = True
    wcs = make_wcs(SHAPE)
    extra = {"uncertainty": sigma, "mask": mask}
    if form == "array":
        images = BandImages.from_cube(cube, [G, R], "nmgy", wcs=wcs, redshift=0.1, **extra)
    elif form == "quantity":
        images = BandImages.from_cube(cube << u.nmgy, (G, R), wcs=wcs, redshift=0.1, **extra)
    else:
        if form == "with 3-D WCS":
            header = wcs.to_header()
            header.update(WCSAXES=3, CTYPE3="WAVE", CRPIX3=1.0, CRVAL3=1.0, CDELT3=1.0)
            wcs = WCS(header)
        noise = VarianceUncertainty(sigma**2)
        image = NDData(cube, unit="nmgy", uncertainty=noise, mask=mask, wcs=None)
        images = BandImages.from_cube(image, [G, R], wcs=wcs, redshift=0.1)
    flux, inverse_variance = images.to_arrays()
    assert np.shares_memory(images[R].data, cube)
    assert images.bands == (G, R)
    assert inverse_variance[1, 0, 0] == flux[1, 0, 0] == 0
    mask[1, 0, 0] = False
    np.testing.assert_allclose(inverse_variance[0], 4)
    assert np.array_equal(flux[0], values["SCI"])
    assert images.wcs.wcs.crval[0] == 150


def test_one_mask_for_all_planes(values):
    mask = values["MSK"] > 3
    cube = np.stack([values["SCI"]] * 2)
    images = BandImages.from_cube(
        cube, [G, R], "nmgy", mask=mask, redshift=0.1, pixel_scale=1 * u.arcsec
    )
    assert all(np.array_equal(images[band].mask, mask) for band in images)


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ({"mask": np.zeros((2, 2), bool)}, r"mask of shape \(2, 2\)"),
        ({"uncertainty": np.zeros((2, 2))}, r"uncertainty of shape \(2, 2\)"),
    ],
)
def test_companions_of_a_cube_have_its_shape(values, argument, match):
    cube = np.stack([values["SCI"]] * 2)
    with pytest.raises(ValueError, match=match):
        BandImages.from_cube(cube, [G, R], "nmgy", redshift=0.1, **argument)


# ---- own files ----------------------------------------------------------------------------


def test_layout_of_own_files(full_images, tmp_path):
    """What other programs rely on: names, units and a WCS in every image."""
    path = tmp_path / "images.fits"
    full_images.write(path)
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        assert names[0] == "PRIMARY"
        assert hdus[0].header["BANDSFMT"] == 1
        assert hdus[0].header["REDSHIFT"] == full_images.redshift
        assert hdus[0].data is None
        bands = [band.upper() for band in full_images]
        assert [n for n in names if n in bands] == bands
        assert {"SDSS2010-U_UNCERT", "SDSS2010-G_MASK", "SDSS2010-R_PSF", "BINS"} <= set(names)
        assert {"LABELS", "META"} <= set(names)
        assert "SDSS2010-Z_UNCERT" not in names
        for hdu in hdus[1:]:
            if hdu.is_image and not hdu.name.endswith("_PSF"):
                wcs = WCS(hdu.header)
                y, x = np.indices(full_images.shape)
                here, there = (w.all_pix2world(x, y, 0) for w in (wcs, full_images.wcs))
                np.testing.assert_allclose(here, there, rtol=0, atol=1e-9)
                assert wcs.sip is not None
        assert hdus["SDSS2010-U"].header["BUNIT"] == "nmgy"
        assert u.Unit(hdus["SDSS2010-G"].header["BUNIT"]) == u.Unit("uJy / arcsec2")
        assert hdus["SDSS2010-G"].data.dtype == np.dtype(">f4")


def test_images_without_wcs_come_back_without(make_ccd, tmp_path):
    images = BandImages({R: make_ccd(wcs=None)}, redshift=0.1, pixel_scale=0.123456789 * u.arcsec)
    images.write(tmp_path / "i.fits")
    back = BandImages.read(tmp_path / "i.fits")
    assert back.wcs is None
    assert back.pixel_scale == images.pixel_scale
    assert np.array_equal(back.to_arrays(), images.to_arrays())


@pytest.mark.parametrize("dtype", ["f2", "f8", "u1", "u2", "i4", "u4", "longdouble"])
def test_every_type_of_number_can_be_written(make_wcs, tmp_path, dtype):
    data = (np.arange(48).reshape(SHAPE) + 1).astype(dtype)
    ccd = CCDData(data, unit="nmgy", wcs=make_wcs(SHAPE))
    images = BandImages({R: ccd}, redshift=0.1)
    images.write(tmp_path / "i.fits")
    back = BandImages.read(tmp_path / "i.fits")
    assert np.array_equal(back[R].data, data)


def test_own_file_is_refused_where_it_is_not_one(tmp_path, full_images):
    full_images.write(tmp_path / "i.fits")
    whole = (tmp_path / "i.fits").read_bytes()
    for name, content in {
        "cut.fits": whole[: len(whole) // 2],
        "tail.fits": whole[:-2880],
        "format.fits": whole.replace(
            b"BANDSFMT=                    1", b"BANDSFMT=                    0"
        ),
        "meta.fits": whole.replace(b"psf_fwhm_arcsec", b"psf_fwhm_XXXsec"),
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(OSError, match=name):
            BandImages.read(tmp_path / name)


def test_file_of_format_1_always_reads():
    """Written by the version that introduced the format; it must never change."""
    images = BandImages.read(DATA / "images_format_1.fits")
    assert images.bands == (G, R)
    assert images.shape == (3, 4)
    assert images.redshift == 0.0123
    assert images.survey == "sdss"
    assert images.luminosity_distance == 55.5 * u.Mpc
    assert images[G].unit == u.nmgy
    assert images[R].unit == u.adu
    assert images.zero_point[R] == 26.5 * u.ABmag
    np.testing.assert_array_equal(images[G].data, np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(images[R].mask, np.arange(12).reshape(3, 4) % 5 == 4)
    assert isinstance(images[G].uncertainty, InverseVariance)
    assert images.psf[G] == 1.25 * u.arcsec
    assert images.psf[R].shape == (3, 3)
    assert images.noise_scaling[G](100) == 2
    assert images.sky_error[R] == 0.5 * u.adu
    assert images.zero_point_error[G] == 0.02 * u.mag
    assert asdict(images.galactic_extinction) == {
        "ebv": 0.04, "scale": "SFD98", "law": "F99", "r_v": 3.1, "applied": False,
    }  # fmt: skip
    np.testing.assert_array_equal(images.bins, np.arange(12).reshape(3, 4) // 4 - 1)
    np.testing.assert_array_equal(images.labels, np.arange(12).reshape(3, 4) % 2)
    assert images.meta == {"note": "format 1"}
    np.testing.assert_allclose(images.wcs.wcs.crval, (10.5, -20.25))
    flux, inverse_variance = images.to_arrays()
    np.testing.assert_allclose(flux[1, 0, 1], 10 ** (-0.4 * (26.5 - 22.5)), rtol=1e-6)
    np.testing.assert_allclose(inverse_variance[0, 1], 4.0)


@given(
    dtype=st.sampled_from(["<f4", ">f8", "i2", "u1"]),
    unit=st.sampled_from(["nmgy", "MJy / sr", "adu", "electron / s"]),
    kind=st.sampled_from([None, StdDevUncertainty, VarianceUncertainty, InverseVariance]),
    masked=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25)
def test_round_trip_is_exact(make_wcs, tmp_path_factory, dtype, unit, kind, masked, seed):
    rng = np.random.default_rng(seed)
    ccd = CCDData(
        (100 * rng.uniform(size=SHAPE)).astype(dtype),
        unit=unit,
        uncertainty=None if kind is None else kind(rng.exponential(size=SHAPE)),
        mask=rng.uniform(size=SHAPE) < 0.5 if masked else None,
        wcs=make_wcs(SHAPE, scale=rng.uniform(0.1, 1), rotation=rng.uniform(0, 360)),
    )
    counts = unit[0] in "ae"
    images = BandImages(
        {R: ccd},
        redshift=rng.uniform(0, 2),
        zero_point=rng.uniform(20, 30) * u.ABmag if counts else None,
    )
    path = tmp_path_factory.mktemp("trip") / "i.fits"
    images.write(path)
    back = BandImages.read(path)
    assert back[R].data.dtype == np.dtype(dtype).newbyteorder(">")
    assert np.array_equal(back[R].data, ccd.data)
    for one, two in zip(images.to_arrays(), back.to_arrays(), strict=True):
        assert np.array_equal(one, two, equal_nan=True)
    assert back.redshift == images.redshift
    assert back.pixel_solid_angle == images.pixel_solid_angle
    y, x = np.indices(SHAPE)
    here, there = (w.all_pix2world(x, y, 0) for w in (back.wcs, images.wcs))
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-12)


def test_unusual_units_and_notes_that_are_no_header(make_wcs, tmp_path):
    ccd = CCDData(
        np.ones(SHAPE), unit="1e-17 erg / (s cm2 AA)", wcs=make_wcs(SHAPE), meta={"k": [1, "a"]}
    )
    images = BandImages({R: ccd}, redshift=0.1)
    images.write(tmp_path / "i.fits")
    back = BandImages.read(tmp_path / "i.fits")
    assert back[R].unit == ccd.unit
    assert dict(back[R].meta) == {"k": [1, "a"]}


# ---- real files ---------------------------------------------------------------------------


def test_real_des_files(shared_data):
    folder = shared_data / "real" / "j0151_des"
    images = BandImages.read(
        {f"decam2014-{b}": f"{folder / f'DES_{b}.fits'}[SCI]" for b in "griz"},
        redshift=0.02,
        weight="WGT",
    )
    assert images.shape == (241, 241)
    assert all(images.zero_point[band] == 30 * u.ABmag for band in images)
    assert images.pixel_scale.to_value(u.arcsec) == pytest.approx(0.263, abs=1e-4)
    assert not images.missing_uncertainty
    # The weights are the inverse variance of the empty sky, up to its correlation.
    estimated = images.with_estimated_noise(images.bands)
    for band in images:
        ratio = estimated[band].uncertainty.array * np.sqrt(images[band].uncertainty.array)
        assert 0.8 < np.median(ratio) < 1.2


def test_real_binned_map(shared_data):
    """An erg/s/cm2/A cube without WCS: its header's A is the Angstrom."""
    with fits.open(shared_data / "real/pixbin_sdss2mass/pixbin_fluxmap_SDSS2MASS.fits") as hdus:
        bins, cube, noise = (hdu.data for hdu in hdus)
        header = hdus[0].header
    bands = [f"sdss2010-{b}" for b in "ugriz"] + ["twomass-J", "twomass-H", "twomass-Ks"]
    arguments = {
        "redshift": header["Z"],
        "pixel_scale": header["PIXSIZE"] * u.arcsec,
        "psf": header["PSFFWHM"] * u.arcsec,
        "bins": bins.astype(int) - 1,
        "uncertainty": noise,
        "mask": bins == 0,
    }
    images = BandImages.from_cube(cube, bands, "1e-17 erg/s/cm2/A", **arguments)
    assert images["sdss2010-g"].unit == u.Unit("1e-17 erg / (s cm2 AA)")
    flux, inverse_variance = images.to_arrays()
    assert len(images) == 8
    assert images.bins.max() == header["NBINS"] - 1
    valid = inverse_variance[2] > 0
    # One value per bin, and a red galaxy: each band is brighter than the one before it.
    for k in range(header["NBINS"]):
        assert np.ptp(flux[2][valid & (images.bins == k)]) == 0
    totals = flux.sum(axis=(1, 2))
    assert np.all(np.diff(totals[:5]) > 0)


def test_real_gama_files(shared_data):
    """No unit and no zero point in the files: both are asked for, then used."""
    folder = shared_data / "real" / "gama_t10"
    files = {f"sdss2010-{b}": folder / f"{b}.fits" for b in "ugriz"}
    with pytest.raises(ValueError, match="no BUNIT"):
        BandImages.read(files, redshift=0.02)
    with pytest.raises(ValueError, match="zero_point=30"):
        BandImages.read(files, redshift=0.02, unit="adu")
    kernels = {band: fits.getdata(folder / f"psf_{band[-1]}.fits") for band in files}
    images = BandImages.read(
        files, redshift=0.02, unit="adu", zero_point=30 * u.ABmag, psf=kernels
    )
    assert images.shape == (73, 65)
    widths = {b[-1]: float(images.psf_fwhm(b) / images.pixel_scale) for b in images}
    # The data's own notes, to the difference between ways of measuring a width.
    expected = {"u": 4.65, "g": 3.6, "r": 3.4, "i": 3.4}
    for band, width in expected.items():
        assert widths[band] == pytest.approx(width, rel=0.1)


# ---- damaged files ------------------------------------------------------------------------


def damage(content, kind, rng):
    """Return a file's bytes with something wrong."""
    damaged = bytearray(content)
    block = 2880 * int(rng.integers(0, len(damaged) // 2880))
    if kind == "cut":
        return bytes(damaged[: int(rng.integers(0, len(damaged)))])
    if kind == "block lost":
        return bytes(damaged[:block] + damaged[block + 2880 :])
    # Cards of the headers, where damage is worst: the first blocks of this small file.
    place = 80 * int(rng.integers(0, 3 * 36))
    length = 80 if kind == "card" else 8
    damaged[place : place + length] = bytes(rng.integers(32, 127, length).astype("u1"))
    return bytes(damaged)


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["cut", "block lost", "card", "keyword"])
def test_damaged_files_give_the_packages_errors(survey_file, make_wcs, tmp_path, kind):
    """Whatever is wrong with a file, it is read or refused: no other exception ever."""
    own = tmp_path / "own.fits"
    image = CCDData(np.ones(SHAPE), unit="nmgy", wcs=make_wcs(SHAPE))
    BandImages({G: image, R: image}, redshift=0.1).write(own)
    survey = survey_file("damaged.fits", BUNIT="nmgy")
    path = tmp_path / "damaged.fits"
    rng = np.random.default_rng(1)
    outcomes = []
    for content, reader in (
        (own.read_bytes(), BandImages.read),
        (survey.read_bytes(), lambda p: read(f"{p}[SCI]", weight="WGT")),
    ):
        for _ in range(40):
            path.write_bytes(damage(content, kind, rng))
            try:
                reader(path).to_arrays()
            except PicassssoError as error:
                outcomes.append(str(error))
    assert len(outcomes) >= 5
    assert all(len(message) > 30 for message in outcomes)
