"""Files that are not what was asked for: each gets one clear error."""

import gzip

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from ifu_layouts import write_califa, write_manga, write_muse, write_sami

from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoError
from picasssso.ifu import Cube, box_filter, read_cube, synthetic_images
from picasssso.ifu.coverage import coverage
from picasssso.ifu.cube_formats import list_cube_formats
from picasssso.ifu.example_cube import flat_cube


@pytest.fixture
def files(mock, tmp_path):
    """One file of each layout, by survey."""
    wave, f_nu = mock.spectra
    spectra = wave[::4], f_nu[::4]
    found = {name: tmp_path / f"{name}.fits" for name in ("manga", "califa", "muse")}
    write_manga(found["manga"], spectra)
    write_califa(found["califa"], spectra)
    write_muse(found["muse"], spectra)
    found["blue"], found["red"] = write_sami(tmp_path, spectra)
    return found


def edited(path, change):
    """Change an open file, and return its name."""
    with fits.open(path, mode="update") as hdus:
        change(hdus)
    return path


def delete(name):
    return lambda hdus: hdus.__delitem__(name)


def card(hdu, keyword, value):
    return lambda hdus: hdus[hdu].header.__setitem__(keyword, value)


def squash(hdus):
    hdus["DATA"].data = hdus["DATA"].data[:100]


def no_wavelengths(hdus):
    for keyword in ("CRVAL3", "CDELT3", "CRPIX3"):
        del hdus[0].header[keyword]


def fractions(hdus):
    hdus["MASK"].data = hdus["MASK"].data + np.float32(0.5)


def rows(hdus):
    for name in ("FLUX", "IVAR", "MASK"):
        hdus[name].data = hdus[name].data.reshape(len(hdus[name].data), -1)


WRONG = {
    "one arm missing": (["blue"], None, "the arm blue of a SAMI cube.*expected one file of each"),
    "the same arm twice": (["blue", "blue"], None, "in 2 files, expected one file of each"),
    "arms of two galaxies": (
        ["blue", "red"], card(0, "NAME", "42"), "different galaxies, 41 and 42",
    ),
    "two surveys": (["blue", "manga"], None, "different surveys, manga and sami"),
    "two cubes of MaNGA": (["manga", "manga"], None, "2 files: expected one MaNGA LINCUBE"),
    "no variance, MaNGA": (["manga"], delete("IVAR"), "no HDU IVAR .inverse variances"),
    "no variance, SAMI": (["blue", "red"], delete("VARIANCE"), "no HDU VARIANCE"),
    "no variance, MUSE": (["muse"], delete("STAT"), "no HDU STAT"),
    "no errors, CALIFA": (["califa"], delete("ERROR"), "no HDU ERROR"),
    "no mask, CALIFA": (["califa"], delete("BADPIX"), "no HDU BADPIX"),
    "logarithmic wavelengths": (
        ["manga"], card("FLUX", "CTYPE3", "WAVE-LOG"), "WAVE-LOG.*take the LINCUBE",
    ),
    "velocities": (["muse"], card("DATA", "CTYPE3", "VOPT"), "VOPT.*expected linear wavelengths"),
    "no wavelengths": (["califa"], no_wavelengths, "no linear wavelengths in HDU 0"),
    "Jansky": (["muse"], card("DATA", "BUNIT", "Jy/beam"), "BUNIT = 'Jy/beam'.*expected a flux"),
    "no unit": (["muse"], lambda h: h["DATA"].header.__delitem__("BUNIT"), "no BUNIT"),
    "wavelengths in m by mistake": (
        ["muse"], lambda h: h["DATA"].header.__delitem__("CUNIT3"), "Is CUNIT3 missing",
    ),
    "descending": (["muse"], card("DATA", "CD3_3", -2.5), "descend"),
    "E(B-V) in words": (["manga"], card(0, "EBVGAL", "none"), "EBVGAL = 'none'.*a number"),
    "E(B-V) of -9999": (["manga"], card(0, "EBVGAL", -9999.0), r"E.B-V. = -9999"),
    "quality in words": (["manga"], card(0, "DRP3QUAL", "good"), "DRP3QUAL = 'good'"),
    "mask of fractions": (["manga"], fractions, "mask of float64 with fractions"),
    "spectra in rows": (["manga"], rows, r"fluxes of shape .3367, 42., expected .wavelength"),
    "variances per area": (
        ["muse"], card("STAT", "BUNIT", "(MJy/sr)**2"), "'.MJy/sr...2' with the noise.*STAT",
    ),
    "variances of a unit that is not squared": (
        ["muse"], card("STAT", "BUNIT", "10**(-16)*erg/s/cm**2/Angstrom"), "with the noise",
    ),
    "inverse variances that are variances": (
        ["manga"], card("IVAR", "BUNIT", "(1E-17 erg/s/cm^2/Ang/spaxel)^2"), "with the noise.*IVAR"
    ),
    "inverse variances in counts": (["manga"], card("IVAR", "BUNIT", "electron-2"), "with the n"),
    "variances of an arm that are errors": (
        ["blue", "red"], card("VARIANCE", "BUNIT", "10**(-15) erg/s/cm**2/angstrom"), "VARIANCE",
    ),
    "errors in counts": (["califa"], card("ERROR", "BUNIT", "electron"), "with the noise.*ERROR"),
    "other scale": (
        ["manga"], card("FLUX", "BUNIT", "1E-16 erg/s/cm^2/Ang/spaxel"), "expected 1e-17 erg",
    ),
    "critical": (["manga"], card(0, "DRP3QUAL", 2**30), "CRITICAL in DRP3QUAL"),
    "other shape": (["muse"], squash, "variances of shape"),
    "unknown grating": (["blue", "red"], card(0, "GRATID", "385R"), "GRATID = '385R'"),
    "unknown HDU": (
        ["blue", "red"], lambda h: h.append(fits.ImageHDU(np.ones(3), name="MORE")), "DR3",
    ),
    "no sky coordinates": (["califa"], card(0, "CTYPE1", "LINEAR"), "CTYPE1 = 'LINEAR'"),
    "no cube of theirs": (
        ["muse"], card(0, "INSTRUME", "KCWI"), "no cube of a survey that is known.*MaNGA LINCUBE",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_files_say_what_is_wrong(fault, files):
    names, change, message = WRONG[fault]
    paths = [files[name] for name in names]
    if change is not None:
        edited(paths[-1], change)
    with pytest.raises(PicassssoError, match=message) as caught:
        read_cube(paths, redshift=0.03)
    assert len(str(caught.value)) < 600


def test_redshift_is_never_guessed(files):
    for name in ("manga", "muse"):
        with pytest.raises(InvalidInputError, match="no redshift stated"):
            read_cube(files[name])
    assert read_cube(files["califa"]).redshift == pytest.approx(6000 / 299792.458)
    assert read_cube([files["red"], files["blue"]]).redshift == 0.03
    assert read_cube(files["califa"], redshift=0.01).redshift == 0.01


@pytest.mark.parametrize(
    ("redshift", "message"),
    [("0.03", "found '0.03', expected a number"), (True, "found True"), (np.nan, "found nan"),
     (9000.0, "a velocity"), (9000 * u.km / u.s, "a velocity"), ([0.1, 0.2], "found 2 values")],
)  # fmt: skip
def test_what_is_no_redshift(redshift, message, files):
    with pytest.raises(PicassssoError, match=message):
        read_cube(files["manga"], redshift=redshift)
    for name, keyword, text in (("califa", "MED_VEL", "unknown"), ("blue", "Z_SPEC", "?")):
        edited(files[name], card(0, keyword, text))
        paths = [files["blue"], files["red"]] if name == "blue" else files[name]
        with pytest.raises(FileFormatError, match=f"{keyword} = .*, expected a number"):
            read_cube(paths)


def test_califa_without_bunit(files):
    whole = read_cube(files["califa"]).arms[0]
    edited(files["califa"], lambda h: h[0].header.__delitem__("BUNIT"))
    cube = read_cube(files["califa"])
    np.testing.assert_array_equal(cube.arms[0].flux, whole.flux)
    images = synthetic_images(cube, "sdss2010-r")
    assert images.meta["ifu"]["notes"] == [
        "no BUNIT, taken for 1e-16 erg/s/cm^2/Angstrom as the survey defines"
    ]
    edited(files["califa"], card(0, "HIERARCH PIPE UNITS", "1e-17 erg/s/cm^2/Angstrom"))
    again = read_cube(files["califa"])
    assert "notes" not in again.meta or not again.meta["notes"]
    assert again.arms[0].flux[5, 2, 2].cgs.value == pytest.approx(
        0.1 * whole.flux[5, 2, 2].cgs.value
    )


def test_gratings_of_califa(files):
    # V500 begins at 3745 AA, V1200 covers 3650-4840 AA.
    for low, step, count, covered in (
        (3745.0, 2.0, 1877, (1.0, 1.0)),
        (3650.0, 0.7, 1701, (0.6, 0)),
    ):

        def cut(hdus, low=low, step=step, count=count):
            hdus[0].header["CRVAL3"], hdus[0].header["CDELT3"] = low, step
            for name in (0, "ERROR", "BADPIX"):
                hdus[name].data = hdus[name].data[:count]

        cube = read_cube(edited(files["califa"], cut))
        for band, part in zip("gr", covered, strict=True):
            assert coverage(cube, f"sdss2010-{band}") == pytest.approx(part, abs=0.02)


def test_manga_as_downloaded(files, tmp_path):
    path = tmp_path / "manga-1-2-LINCUBE.fits.gz"
    path.write_bytes(gzip.compress(files["manga"].read_bytes(), 1))
    packed, plain = (read_cube(name, redshift=0.03) for name in (path, files["manga"]))
    np.testing.assert_array_equal(packed.arms[0].flux, plain.arms[0].flux)
    # Bits as floats, as some tools write them, and NaN where there is nothing.
    edited(files["manga"], as_floats)
    mask = read_cube(files["manga"], redshift=0.03).arms[0].mask
    assert mask[101:, 0, :2].all()
    assert mask[101:].sum() == 2 * len(mask[101:])


def as_floats(hdus):
    hdus["MASK"].data = hdus["MASK"].data.astype("f4")
    hdus["MASK"].data[:, 0, 1] = np.nan


def test_spectra_without_data(files):
    edited(files["manga"], lambda h: h["FLUX"].data.__setitem__((slice(None), slice(3)), np.nan))
    image = synthetic_images(read_cube(files["manga"], redshift=0.03), "sdss2010-g")["sdss2010-g"]
    np.testing.assert_array_equal(image.mask.all(axis=1), np.arange(6) < 3)
    for change in (
        lambda h: h["MASK"].data.fill(2**10), lambda h: h["FLUX"].data.fill(np.nan),
    ):  # fmt: skip
        edited(files["manga"], change)
        with pytest.raises(InvalidInputError, match="Are all pixels masked, or not"):
            synthetic_images(read_cube(files["manga"], redshift=0.03), "sdss2010-g")


def test_a_cube_of_another_survey(files):
    with pytest.raises(FileFormatError, match="no HDU FLUX"):
        read_cube(files["muse"], redshift=0.03, format="manga")
    with pytest.raises(InvalidInputError, match="Unknown cube reader 'kcwi'"):
        read_cube(files["muse"], redshift=0.03, format="kcwi")


def test_files_that_are_none(tmp_path):
    with pytest.raises(InvalidInputError, match="No file was given"):
        read_cube([])
    for what in (None, 3, [None]):
        with pytest.raises(TypeError, match="expected a path, or a list of paths"):
            read_cube(what)
    with pytest.raises(FileFormatError, match="found no file"):
        read_cube(tmp_path / "nothing.fits", redshift=0.1)
    fits.PrimaryHDU(np.ones((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(FileFormatError, match="no cube of a survey that is known"):
        read_cube(tmp_path / "image.fits", redshift=0.1)


def test_air_and_vacuum(files):
    frames = {name: read_cube(files[name], redshift=0.03).wavelength_frame
              for name in ("manga", "califa", "muse")}  # fmt: skip
    assert frames == {"manga": "vacuum", "califa": "air", "muse": "air"}
    cube = read_cube(files["muse"], redshift=0.03)
    # 5000 AA in air are 5001.39 AA in vacuum.
    middle = cube._edges(0)[:-1] + np.diff(cube._edges(0)) / 2
    shift = middle - cube.arms[0].spectral_axis.to_value("AA")
    np.testing.assert_allclose(np.interp(5001.39, middle, shift), 1.39, atol=0.01)
    edited(files["muse"], card("DATA", "CTYPE3", "WAVE"))
    assert read_cube(files["muse"], redshift=0.03).wavelength_frame == "vacuum"


def test_cubes_made_by_hand_are_checked():
    arm = flat_cube(3600, 5000).arms[0]
    good = {"wavelength_frame": "vacuum", "redshift": 0.02}
    with pytest.raises(InvalidInputError, match="expected 'air' or 'vacuum'"):
        Cube([arm], wavelength_frame="helium", redshift=0.02)
    with pytest.raises(InvalidInputError, match="do not overlap"):
        Cube([arm, flat_cube(4900, 6000).arms[0]], **good)
    with pytest.raises(InvalidInputError, match="bins has shape"):
        Cube([arm], **good, bins=np.zeros((3, 3), int))
    with pytest.raises(TypeError, match="expected a specutils"):
        Cube([arm.data], **good)
    with pytest.raises(InvalidInputError, match="no arm"):
        Cube([], **good)
    arm.uncertainty = None
    with pytest.raises(InvalidInputError, match="no uncertainty"):
        Cube([arm], **good)


def test_formats_are_listed():
    assert list(list_cube_formats()) == ["califa", "manga", "muse", "sami"]


def test_noise_in_a_unit_of_its_own(files):
    def sigma(name):
        return read_cube(files[name], redshift=0.03).arms[0].uncertainty.quantity[5, 2, 2]

    unit, before = "erg/s/cm**2/Angstrom", sigma("muse")
    for bunit, factor in ((f"(10**(-20)*{unit})**2", 1.0), (f"(10**(-18)*{unit})**2", 1e4)):
        edited(files["muse"], card("STAT", "BUNIT", bunit))
        assert (sigma("muse") / before).to_value("") == pytest.approx(factor)
    before = sigma("califa")
    edited(files["califa"], card("ERROR", "BUNIT", f"10^-15 {unit}"))
    assert (sigma("califa") / before).to_value("") == pytest.approx(10)


def test_inverse_variances_in_a_unit_of_their_own(files):
    def noise(names):
        return read_cube(names, redshift=0.03).arms[-1].uncertainty.quantity[5, 2, 2]

    arms = [files["blue"], files["red"]]
    before = noise(files["manga"])
    for bunit, factor in (
        ("(1E-17 erg/s/cm^2/Ang/spaxel)^{-2}", 1.0),  # as the survey's pipeline writes it
        ("1E-17 erg/s/cm^2/Ang/spaxel", 1.0),  # that of the fluxes, copied
        ("(1E-18 erg/s/cm^2/Ang/spaxel)^-2", 100.0),
        ("1E36 s^2 cm^4 Ang^2 / erg^2", 100.0),
    ):
        edited(files["manga"], card("IVAR", "BUNIT", bunit))
        assert (noise(files["manga"]) / before).to_value("") == pytest.approx(factor)
    before = noise(arms)
    for bunit, factor in (
        ("10**(-32) erg2 /s2 /cm**4 /angstrom2 /pixel2", 1.0),
        ("1e-30 erg**2/s**2/cm**4/Angstrom**2/pixel**2", 100.0),
    ):
        edited(files["red"], card("VARIANCE", "BUNIT", bunit))
        assert (noise(arms) / before).to_value("") == pytest.approx(factor)


def test_wrong_filters():
    cube = flat_cube(3600, 7600)
    with pytest.raises(InvalidInputError, match="bands: found none"):
        synthetic_images(cube, [])
    for name, ends, message in (
        ("red", (6000, 6500), "GROUP-BAND"), ("a-b", ("1", "2"), "0 < low"),
        ("a-b", (7000, 6000), "0 < low < high"), ("sdss2010-g", (4000, 5000), "of the library"),
    ):  # fmt: skip
        with pytest.raises(InvalidInputError, match=message):
            box_filter(name, *ends)
