"""Published maps come out by this package's definitions, or are refused."""

import astropy.units as u
import ifu_layouts as layouts
import numpy as np
import pytest
from astropy.cosmology import Planck18
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

from picasssso.evaluation import compare_estimates
from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    PicassssoError,
    PicassssoWarning,
)
from picasssso.ifu import (
    PublishedMap,
    convert_maps,
    read_maps,
)
from picasssso.ifu.map_formats import list_map_formats

ONE = np.ones((4, 5))
PIXEL = {"pixel_solid_angle": 1 * u.arcsec**2}


def convert(name, unit, value=1.0, error=None, frame=None, **meaning):
    error = None if error is None else error * ONE
    plane = PublishedMap(value * ONE, unit, error, **meaning)
    return convert_maps({name: plane}, **PIXEL, **(frame or {}))


def value_of(maps, name=None):
    return maps[name or maps.properties[0]].data[1, 2]


@pytest.mark.parametrize(
    ("name", "unit", "value", "meaning", "expected"),
    [
        ("stellar_mass", "Msun / pc2", 2.0, {"imf": "chabrier"}, 2e6),
        ("stellar_mass", u.dex(u.Msun / u.pc**2), 2.0, {"imf": "salpeter"}, 61e6),
        ("stellar_mass", "Msun / kpc2", 1e8, {"imf": "kroupa"}, 1e8 * 0.61 / 0.66),
        ("stellar_age", u.dex(u.yr), 9.5, {"weighting": "mass", "average": "linear"}, 10**0.5),
        ("stellar_metallicity", u.dex, -0.3,
         {"weighting": "mass", "average": "linear", "solar_metallicity": 0.02},
         0.02 * 10**-0.3),
        ("sfr", "Msun / (Gyr pc2)", 5.0,
         {"imf": "salpeter", "averaging_time": 0.1 * u.Gyr}, 5e-3 * 0.63),
        ("attenuation_v", u.mag, 0.2, {"r_v": 4.05}, 0.81),
        ("gas_mass", "Msun / pc2", 10.0, {}, 1e7),
    ],
)  # fmt: skip
def test_units_and_mass_functions(name, unit, value, meaning, expected):
    maps = convert(name, unit, value, **meaning)
    assert maps.properties == (name,)
    assert value_of(maps) == pytest.approx(expected)


def test_per_spaxel_by_its_area():
    frame = {"redshift": 0.02}
    maps = convert("stellar_mass", u.dex(u.Msun / u.pix), 7.0, imf="chabrier", frame=frame)
    side = (1 * u.arcsec).to_value(u.rad) * Planck18.angular_diameter_distance(0.02)
    assert value_of(maps) == pytest.approx(1e7 / side.to_value(u.kpc) ** 2, rel=1e-6)
    # As Pipe3D's tables spell it.
    again = convert("stellar_mass", "Msun / pix2", 1e7, imf="chabrier", frame=frame)
    assert value_of(again) == pytest.approx(value_of(maps))
    nearer = frame | {"luminosity_distance": Planck18.luminosity_distance(0.02) / 2}
    maps = convert("stellar_mass", "Msun / pix", 1e7, imf="chabrier", frame=nearer)
    assert value_of(maps) == pytest.approx(4 * value_of(again))
    with pytest.raises(InvalidInputError, match="is per spaxel: expected redshift="):
        convert("stellar_mass", "Msun / pix", imf="chabrier")


def test_inclination():
    with pytest.raises(InvalidInputError, match="deprojected: expected inclination="):
        convert("gas_mass", "Msun / pc2", deprojected=True)
    frame = {"inclination": 60 * u.deg}
    assert value_of(convert("gas_mass", "Msun / pc2", deprojected=True, frame=frame)) == (
        pytest.approx(2e6)
    )


def test_other_averages_have_names_of_their_own():
    age = {"name": "stellar_age", "unit": u.Gyr, "value": 5.0}
    assert convert(**age, weighting="light", average="linear").properties == ("stellar_age_light",)
    maps = convert(**age, weighting="mass", average="log")
    assert maps.properties == ("stellar_age_log",)
    assert maps.definition("stellar_age_log").weight == "stellar_mass"
    frame = {"approximate": ["stellar_age"]}
    taken = convert(**age, weighting="mass", average="log", frame=frame)
    assert taken.properties == ("stellar_age",)
    assert "mean of logarithms weighted by mass" in taken.meta["approximations"][0]
    assert convert("sfr", "Msun/yr/kpc2", imf="chabrier", averaging_time=5 * u.Myr).properties == (
        "sfr_5myr",
    )
    # What is another average is not compared by mistake.
    with pytest.raises(InvalidInputError, match="Nothing can be compared"):
        compare_estimates(maps, taken)


@pytest.mark.parametrize(
    ("name", "unit", "meaning", "message"),
    [
        ("stellar_mass", "Msun / pc2", {}, "imf=None, expected one of chabrier"),
        ("stellar_mass", "Msun / pc2", {"imf": "scalo"}, "imf='scalo'"),
        ("stellar_mass", "Msun", {"imf": "kroupa"}, "found the unit Msun, expected one that"),
        ("stellar_age", "Gyr", {"average": "log"}, "weighting=None"),
        ("stellar_age", "Gyr", {"weighting": "mass"}, "average=None"),
        ("stellar_age", "km / s", {"weighting": "mass", "average": "log"}, "km / s"),
        ("stellar_metallicity", u.dex, {"weighting": "mass", "average": "log"}, "solar_met"),
        ("sfr", "Msun/yr/kpc2", {"imf": "kroupa"}, "averaging_time=None"),
        ("gas_mass", "sunmass", {}, "unit='sunmass'"),
        ("dark_matter", "Msun / pc2", {}, "Unknown property 'dark_matter'"),
    ],
)
def test_what_is_not_stated_is_refused(name, unit, meaning, message):
    with pytest.raises(PicassssoError, match=message) as caught:
        convert(name, unit, **meaning)
    assert len(str(caught.value)) < 600


def test_errors_are_normal_or_log_normal():
    maps = convert("gas_mass", "Msun / pc2", 2.0, 0.5)
    assert maps.percentile("gas_mass", 84)[0, 0].value == pytest.approx(2.497e6, rel=1e-3)
    maps = convert("gas_mass", u.dex(u.Msun / u.pc**2), 2.0, 0.1)
    assert maps.percentile("gas_mass", 16)[0, 0].value == pytest.approx(10**7.9006, rel=1e-3)
    maps = convert("gas_mass", "Msun / pc2")
    assert maps["gas_mass"].uncertainty.array[0, 0] == 0
    assert any("no errors stated" in note for note in maps.meta["conversions"])
    with pytest.raises(InvalidInputError, match="errors of shape"):
        convert_maps({"gas_mass": PublishedMap(ONE, "Msun/pc2", np.ones(3))}, **PIXEL)
    with pytest.raises(InvalidInputError, match="There are no maps"):
        convert_maps({}, **PIXEL)
    with pytest.raises(InvalidInputError, match="approximate has gas_mass"):
        convert_maps({"gas_mass": PublishedMap(ONE, "Msun/pc2")}, **PIXEL, approximate="gas_mass")


# ---- files ---------------------------------------------------------------------------------


@pytest.fixture
def pipe3d(tmp_path):
    empty = np.ones((6, 7))
    empty[0] = 0
    path = tmp_path / "pipe3d.fits"
    layouts.write_pipe3d(path, {1: 5, 6: 9.7 * empty, 7: 0.1, 9: -0.2, 10: 0.05, 11: 0.3,
                                12: 0.02, 18: 7.0, 19: 7.1})  # fmt: skip
    return path


def test_pipe3d(pipe3d):
    maps = read_maps(pipe3d, redshift=0.02)
    assert maps.properties == (
        "stellar_mass", "stellar_age_log", "stellar_metallicity_log", "attenuation_v",
    )  # fmt: skip
    side = (1 * u.arcsec).to_value(u.rad) * Planck18.angular_diameter_distance(0.02)
    assert value_of(maps, "stellar_mass") == pytest.approx(
        10**7.1 * 0.61 / side.to_value(u.kpc) ** 2, rel=1e-5
    )
    assert value_of(maps, "stellar_age_log") == pytest.approx(10**0.7)
    assert value_of(maps, "stellar_metallicity_log") == pytest.approx(0.019 * 10**-0.2)
    assert maps.masks["stellar_mass"][0].all()
    assert maps.masks["stellar_mass"].sum() == 7
    assert maps.meta["estimator"] == "Pipe3D"
    other = read_maps(pipe3d, redshift=0.02, stated={"stellar_mass": {"imf": "chabrier"}})
    assert value_of(other, "stellar_mass") == pytest.approx(value_of(maps) / 0.61)
    both = read_maps(pipe3d, redshift=0.02, approximate=["stellar_age"])
    assert "stellar_age" in both
    # Only MaNGA's files have the error of the mass, plane 20, in dex.
    assert maps["stellar_mass"].uncertainty.array[1, 2] == 0
    layouts.write_pipe3d(pipe3d, {6: 9.7, 19: 7.1, 20: 0.1})
    high = read_maps(pipe3d, redshift=0.02).percentile("stellar_mass", 84)[1, 2].value
    assert np.log10(high / value_of(maps)) == pytest.approx(0.0994, abs=1e-3)
    layouts.write_pipe3d(pipe3d, {6: 9.7, 19: 7.1}, n_planes=20)
    assert value_of(read_maps(pipe3d, redshift=0.02)) == pytest.approx(value_of(maps))


def test_manga_dap(tmp_path):
    path = tmp_path / "maps.fits"
    beta = np.full((6, 7), 1.0)
    layouts.write_dap(path, 2.86 * beta, beta)
    maps = read_maps(path)
    assert maps.properties == ("sfr_10myr",)
    z = 6000 / 299792.458
    area = 0.25 * (u.arcsec**2).to(u.sr)
    # Luminosity over area, with the distance that drops out.
    luminosity = 4 * np.pi * Planck18.luminosity_distance(z).to_value(u.cm) ** 2 * 2.86e-17
    kpc2 = area * Planck18.angular_diameter_distance(z).to_value(u.kpc) ** 2
    expected = 10**-41.27 * luminosity / kpc2 * 0.63 / 0.67
    assert value_of(maps) == pytest.approx(expected, rel=1e-3)
    # NOCOV and DONOTUSE are left out; NEARBOUND is no matter of fluxes.
    np.testing.assert_array_equal(maps.masks["sfr_10myr"][0, :4], [True, False, True, False])
    assert maps.masks["sfr_10myr"].sum() == 2
    # Twice the decrement: dust. (2)^(2.53 / 1.08 + 1)
    layouts.write_dap(path, 5.72 * beta, beta)
    assert value_of(read_maps(path)) == pytest.approx(expected * 2 ** (2.53 / 1.08 + 1), rel=1e-3)
    layouts.write_dap(path, 2.86 * beta, beta, error=0.5)
    assert read_maps(path).masks["sfr_10myr"].all()


def test_firefly(tmp_path):
    path = tmp_path / "firefly.fits"
    bins = np.array([[-1, 0, 0, 1], [2, 2, 1, 1]])
    layouts.write_firefly(
        path, bins,
        {"MW_AGE_VORONOI": [0.5, 0.6, 0.7], "MW_Z_VORONOI": [0.1, 0.0, -0.1],
         "SURFACE_MASS_DENSITY_VORONOI": [9.0, 8.0, 7.0], "E(B_V)_VORONOI": [0.1, 0.2, 0.3]},
    )  # fmt: skip
    wcs = WCS(layouts.image_header(bins.shape, 0.5))
    maps = read_maps(path, galaxy="8135-1902", wcs=wcs)
    kroupa = 0.61 / 0.66
    np.testing.assert_allclose(
        maps["stellar_mass"].data,
        np.array([[np.nan, 1e9, 1e9, 1e8], [1e7, 1e7, 1e8, 1e8]]) * kroupa, rtol=1e-5,
    )  # fmt: skip
    assert value_of(maps, "stellar_age") == pytest.approx(10**0.6, rel=1e-5)
    assert value_of(maps, "stellar_metallicity") == pytest.approx(0.02, rel=1e-5)
    assert value_of(maps, "attenuation_v") == pytest.approx(0.81, rel=1e-5)
    assert maps.redshift == pytest.approx(0.03)
    np.testing.assert_array_equal(maps.bins, bins)
    # As the catalog has it: as large as the largest cube, from the first pixel on.
    layouts.write_firefly(
        path, np.pad(bins, ((0, 3), (0, 2)), constant_values=-1),
        {"MW_AGE_VORONOI": [0.5, 0.6, 0.7], "MW_Z_VORONOI": [0.1, 0.0, -0.1],
         "SURFACE_MASS_DENSITY_VORONOI": [9.0, 8.0, 7.0], "E(B_V)_VORONOI": [0.1, 0.2, 0.3]},
    )  # fmt: skip
    padded = read_maps(path, galaxy="8135-1902", wcs=wcs)
    assert padded.masks["stellar_mass"].shape == (5, 6)
    (found,) = [
        one for one in compare_estimates(padded, maps) if one.name == "stellar_metallicity"
    ]
    assert (found.n_pixels, found.bias, found.scatter) == (7, 0, 0)
    with pytest.raises(InvalidInputError, match="expected a PLATE-IFU of the 2"):
        read_maps(path, wcs=wcs)


def test_phangs(tmp_path):
    path = tmp_path / "NGC0001_MAPS.fits"
    layouts.write_phangs(
        path,
        {"STELLAR_MASS_DENSITY": (50.0, 5.0, "Msun / pc2"), "AGE_MW": (9.8, 0.1, "log(Age/yr)"),
         "EBV_STARS": (0.1, 0.01, "mag")},
    )  # fmt: skip
    maps = read_maps(path, redshift=0.004)
    assert maps.properties == ("stellar_mass", "stellar_age_log", "attenuation_v")
    assert value_of(maps) == pytest.approx(5e7)
    assert value_of(maps, "stellar_age_log") == pytest.approx(10**0.8)


@pytest.mark.parametrize(
    ("bunit", "value", "gyr"),
    [("log yr", 9.5, 10**0.5), ("log10(Gyr)", 0.5, 10**0.5), ("Gyr", 5.0, 5.0), ("yr", 5e9, 5.0)],
)
def test_units_of_phangs_ages(bunit, value, gyr, tmp_path):
    path = tmp_path / "NGC0001_MAPS.fits"
    layouts.write_phangs(path, {"STELLAR_MASS_DENSITY": (50.0, 5.0, "Msol/pc^2"),
                                "AGE_MW": (value, 0.1, bunit)})  # fmt: skip
    maps = read_maps(path, redshift=0.004)
    assert value_of(maps) == pytest.approx(5e7)
    assert value_of(maps, "stellar_age_log") == pytest.approx(gyr)


def test_phangs_without_units(tmp_path):
    path = tmp_path / "NGC0001_MAPS.fits"
    layouts.write_phangs(path, {"STELLAR_MASS_DENSITY": (50.0, 5.0, "Msun / pc2"),
                                "AGE_MW": (9.8, 0.1, "")})  # fmt: skip
    with pytest.warns(PicassssoWarning, match=r"no unit .BUNIT. of stellar_age.*left out"):
        assert read_maps(path, redshift=0.004).properties == ("stellar_mass",)
    stated = {"stellar_age": {"unit": u.dex(u.yr)}}
    maps = read_maps(path, redshift=0.004, stated=stated)
    assert value_of(maps, "stellar_age_log") == pytest.approx(10**0.8)
    # A logarithm that is none, and none that is one.
    for unit in (u.dex(u.Gyr), u.yr):
        with pytest.raises(InvalidInputError, match=r"median of .*Is it a logarithm"):
            read_maps(path, redshift=0.004, stated={"stellar_age": {"unit": unit}})
    for unit, message in (
        ("1", "expected one that converts"), ("sunmass", "'sunmass'.*stated="), ("", "BUNIT"),
    ):  # fmt: skip
        layouts.write_phangs(path, {"STELLAR_MASS_DENSITY": (50.0, 5.0, unit)})
        with pytest.raises(PicassssoError, match=message):
            read_maps(path)
        known = read_maps(path, stated={"stellar_mass": {"unit": "Msun / pc2"}})
        assert value_of(known) == pytest.approx(5e7)


def test_sami(tmp_path):
    path = tmp_path / "sfr.fits"
    rate = np.full((6, 7), 0.02)
    rate[0] = np.nan
    layouts.write_sami_sfr(path, rate)
    maps = read_maps(path, approximate=["sfr"], **PIXEL)
    assert maps.properties == ("sfr",)
    assert value_of(maps) == pytest.approx(0.02)
    assert maps.masks["sfr"].sum() == 7
    # Releases before the third used Salpeter's mass function.
    layouts.write_sami_sfr(path, rate, version="V0.9.1")
    with pytest.raises(InvalidInputError, match="found imf=None"):
        read_maps(path, **PIXEL)
    salpeter = read_maps(path, **PIXEL, stated={"sfr": {"imf": "salpeter"}})
    assert value_of(salpeter) == pytest.approx(0.63 * 0.02)
    layouts.write_sami_sfr(path, rate)
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["DESCRIPT"] = "SFR in Msun/yr"
    with pytest.raises(FileFormatError, match="expected a surface density"):
        read_maps(path, **PIXEL)


def test_wrong_files(tmp_path, pipe3d):
    with fits.open(pipe3d, mode="update") as hdus:
        hdus["SSP"].header["DESC_6"] = "luminosity weighted age"
    with pytest.raises(FileFormatError, match="DESC_6 = 'luminosity weighted age'"):
        read_maps(pipe3d, redshift=0.02)
    with fits.open(pipe3d, mode="update") as hdus:
        hdus["SSP"].data = hdus["SSP"].data[:10]
    with pytest.raises(FileFormatError, match=r"SSP of shape .10, 6, 7"):
        read_maps(pipe3d, redshift=0.02)
    dap = tmp_path / "dap.fits"
    layouts.write_dap(dap, ONE, ONE)
    before = read_maps(dap)["sfr_10myr"]
    for flux, ivar, factor in (
        ("1E-17 erg/s/cm^2/spaxel", "(1E-17 erg/s/cm^2/spaxel)^{-2}", 1),
        ("1E-16 erg/s/cm^2/spaxel", "(1E-16 erg/s/cm^2/spaxel)^{-2}", 10),
        ("1E-16 erg/s/cm^2/spaxel", None, 10),
    ):
        with fits.open(dap, mode="update") as hdus:
            hdus["EMLINE_GFLUX"].header["BUNIT"] = flux
            hdus["EMLINE_GFLUX_IVAR"].header["BUNIT"] = ivar
        found = read_maps(dap)["sfr_10myr"]
        np.testing.assert_allclose(found.data, factor * before.data, rtol=1e-5)
        np.testing.assert_allclose(
            found.uncertainty.array, factor * before.uncertainty.array, rtol=1e-5
        )
    for flux, ivar, words in (
        ("1E-17 erg/s/cm^2/spaxel", "(1E-17 erg/s/cm^2/spaxel)^2", "with the noise.*_IVAR"),
        ("counts", None, "BUNIT = 'counts', expected a flux of lines"),
    ):
        with fits.open(dap, mode="update") as hdus:
            hdus["EMLINE_GFLUX"].header["BUNIT"] = flux
            hdus["EMLINE_GFLUX_IVAR"].header["BUNIT"] = ivar
        with pytest.raises(FileFormatError, match=words):
            read_maps(dap)
    layouts.write_dap(dap, ONE, ONE)
    with fits.open(dap, mode="update") as hdus:
        hdus["EMLINE_GFLUX"].header["C03"] = "NII-6585"
    with pytest.raises(FileFormatError, match="found no line Ha"):
        read_maps(dap)
    other = tmp_path / "other.fits"
    fits.PrimaryHDU(ONE).writeto(other)
    with pytest.raises(FileFormatError, match=r"no maps that are known.*Pipe3D"):
        read_maps(other)
    for name in list_map_formats():
        with pytest.raises(PicassssoError) as caught:
            read_maps(other, format=name)
        assert len(str(caught.value)) < 600
    layouts.write_phangs(dap, {"STELLAR_MASS_DENSITY": (50.0, 5.0, "Msun / pc2")})
    with pytest.raises(InvalidInputError, match="stated has 'sfr'"):
        read_maps(dap, stated={"sfr": {"imf": "kroupa"}})


# ---- tables --------------------------------------------------------------------------------


def test_tables_with_a_fitted_wcs():
    wcs = WCS(layouts.image_header((12, 9), 1.0))
    rows, columns = (k.ravel() for k in np.indices((12, 9)))
    sky = wcs.pixel_to_world(columns, rows)
    table = Table({"ix": columns, "iy": rows, "ra": sky.ra.deg, "dec": sky.dec.deg,
                   "mass": 100.0 + rows, "e_mass": np.full(108, 3.0)})  # fmt: skip
    table["mass"].unit = "Msun / pc2"
    planes = {"stellar_mass": PublishedMap("mass", None, "e_mass", imf="chabrier")}
    maps = convert_maps(planes, table=table[5:], sky=("ra", "dec"), redshift=0.02)
    assert maps.masks["stellar_mass"].sum() == 5
    np.testing.assert_allclose(maps["stellar_mass"].data[3:, 4] / 1e6, 100 + np.arange(3, 12))
    there = maps.wcs.pixel_to_world(4, 6).separation(wcs.pixel_to_world(4, 6))
    assert there < 0.01 * u.arcsec
    with pytest.raises(InvalidInputError, match="no column sigma: the table has ix, iy"):
        convert_maps({"stellar_mass": PublishedMap("sigma", "Msun/pc2")}, table=table)
    with pytest.raises(InvalidInputError, match="two rows of one pixel"):
        convert_maps(planes, table=table[[0, 0, 1]], **PIXEL)
    with pytest.raises(InvalidInputError, match="column 'e_mass' has no unit"):
        convert_maps({"gas_mass": PublishedMap("e_mass", None)}, table=table, **PIXEL)


def test_converted_maps_agree_with_those_that_need_no_conversion():
    rows, columns = np.indices((20, 20)) - 9.5
    mass = 1e9 * np.exp(-np.hypot(rows, columns) / 4)
    age = PublishedMap(8.0 + 0 * mass, u.Gyr, 0.5 + 0 * mass, weighting="mass", average="log")
    chabrier = PublishedMap(mass, "Msun / kpc2", 0.1 * mass, imf="chabrier")
    salpeter = PublishedMap(np.log10(mass / 0.61 / 1e6), u.dex(u.Msun / u.pc**2),
                            0.04 + 0 * mass, imf="salpeter")  # fmt: skip
    one, other = (
        convert_maps({"stellar_mass": plane, "stellar_age": age}, redshift=0.02, **PIXEL)
        for plane in (chabrier, salpeter)
    )
    found = {one.name: one for one in compare_estimates(one, other)}
    assert set(found) == {"stellar_mass", "stellar_age_log"}
    for agreement in found.values():
        assert agreement.bias == pytest.approx(0, abs=1e-9)
        assert agreement.coverage_95 == 1
    # Read as it stands, the mass function would have been missed.
    wrong = convert_maps(
        {"stellar_mass": PublishedMap(mass / 0.61, "Msun / kpc2", imf="chabrier")},
        redshift=0.02, **PIXEL,
    )  # fmt: skip
    (mass_found,) = compare_estimates(wrong, one)
    assert mass_found.bias == pytest.approx(-np.log10(0.61), abs=1e-6)


def test_masked_values_and_quantities_count_as_such():
    values = np.ma.masked_array(100 * ONE, np.eye(4, 5) > 0)
    maps = convert_maps({"gas_mass": PublishedMap(values, "Msun / pc2")}, **PIXEL)
    np.testing.assert_array_equal(maps.masks["gas_mass"], values.mask)
    quantity = 100 * ONE * u.Msun / u.pc**2
    maps = convert_maps({"gas_mass": PublishedMap(quantity, "Msun / kpc2")}, **PIXEL)
    assert value_of(maps) == pytest.approx(1e8)


GAS = PublishedMap(ONE, "Msun / pc2", deprojected=True)


@pytest.mark.parametrize(
    ("planes", "arguments", "message"),
    [
        ([GAS], {}, "planes: expected a mapping"),
        ({"gas_mass": ONE}, {}, "planes: expected a mapping"),
        ({"gas_mass": PublishedMap("x", "Msun / pc2")}, {}, "found 'x', expected an array"),
        ({"gas_mass": PublishedMap(ONE * u.s, "Msun / pc2")}, {}, "array of numbers in"),
        ({"gas_mass": GAS}, {"inclination": 60}, "inclination: found 60 without a unit"),
        ({"gas_mass": GAS}, {"inclination": 3 * u.kpc}, "expected an angle"),
        ({"gas_mass": GAS}, {"inclination": 90 * u.deg}, "below 90 deg"),
        ({"gas_mass": GAS}, {"redshift": "0.02"}, "redshift: found '0.02'"),
        ({"gas_mass": GAS}, {"redshift": -1}, "redshift: found -1"),
        ({"gas_mass": GAS}, {"resolution_fwhm": 2.5}, "resolution_fwhm: found 2.5 without"),
        ({"sfr": PublishedMap(ONE, "Msun/yr/kpc2", imf="kroupa", averaging_time=10)}, {},
         "averaging_time: found 10 without a unit"),
        ({"stellar_mass": PublishedMap(8 * ONE, u.dex(u.Msun / u.pc**2), imf="kroupa")}, {},
         "median of 9.24e.13 .*per another area"),
    ],
)  # fmt: skip
def test_wrong_arguments_of_convert_maps(planes, arguments, message):
    with pytest.raises(PicassssoError, match=message):
        convert_maps(planes, **PIXEL, **arguments)


def test_wrong_arguments_of_read_maps(pipe3d):
    for stated in ({"stellar_mass": {"imff": "kroupa"}}, {"stellar_mass": "kroupa"}):
        with pytest.raises(InvalidInputError, match="expected arguments of PublishedMap"):
            read_maps(pipe3d, redshift=0.02, stated=stated)
    with pytest.raises(TypeError, match="expected that of a file"):
        read_maps(None)


@pytest.mark.parametrize(
    ("columns", "planes", "message"),
    [
        ({"ix": [0.5, 1]}, None, "whole and below"),
        ({"ix": [np.nan, 1]}, None, "whole and below"),
        ({"ix": [0, 10**9]}, None, "whole and below"),
        ({"mass": ["a", "b"]}, None, "Column 'mass' is of <U1: expected numbers"),
        ({"ix": [], "iy": [], "mass": []}, None, "Found no rows"),
        ({}, {"gas_mass": GAS}, "expected names of columns"),
    ],
)
def test_wrong_tables(columns, planes, message):
    table = Table({"ix": [0, 1], "iy": [0, 0], "mass": [1e8, 2e8]} | columns)
    planes = planes or {"gas_mass": PublishedMap("mass", "Msun / kpc2")}
    with pytest.raises(PicassssoError, match=message):
        convert_maps(planes, table=table, **PIXEL)
    with pytest.raises(TypeError, match="expected an astropy Table"):
        convert_maps(planes, table=dict(columns), **PIXEL)
