"""Every bad input is refused with a message that says what to do."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from photutils.aperture import CircularAperture, SkyCircularAperture

from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    PicassssoError,
)
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import PROPERTIES, Property

SHAPE = (20, 24)
PLANE = np.ones((5, *SHAPE))
GOOD = PropertyArrays(PLANE, PLANE[0])
DUST = Property("dust_mass", u.Msun / u.pc**2, "surface_density", None, "dust", "of dust")


def build(arrays=None, **options):
    defaults = {"quality": None, "pixel_solid_angle": 1 * u.arcsec**2}
    return PropertyMaps({"sfr": GOOD} if arrays is None else arrays, **(defaults | options))


def spectral_wcs():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    return wcs


def crossing():
    planes = np.arange(5.0)[:, None, None] * PLANE
    planes[1, 3, 4] = 9.0
    return PropertyArrays(planes, planes[2])


@pytest.mark.parametrize(
    ("error", "make", "message"),
    [
        (InvalidInputError, lambda: build({}), "no arrays: expected at least one property"),
        (InvalidTypeError, lambda: build([GOOD]), "type list: expected a mapping"),
        (InvalidTypeError, lambda: build({"sfr": PLANE}), "'sfr' is of type ndarray: expected"),
        (
            InvalidInputError,
            lambda: build({"nonsense": GOOD}),
            "Unknown property 'nonsense': the built-in properties are stellar_mass",
        ),
        (
            InvalidInputError,
            lambda: build({"sfr": PropertyArrays(PLANE)}),
            "'sfr' is a surface density without a mean",
        ),
        (
            InvalidInputError,
            lambda: build({"sfr": GOOD, "gas_mass": PropertyArrays(PLANE[:, 1:], PLANE[0, 1:])}),
            r"'gas_mass' has shape \(19, 24\) and 'sfr' has \(20, 24\)",
        ),
        (
            InvalidInputError,
            lambda: build({"sfr": PropertyArrays(PLANE[:, :0], PLANE[0, :0])}),
            "at least one pixel",
        ),
        (
            InvalidInputError,
            lambda: build({"sfr": crossing()}),
            r"'sfr' cross in 1 pixels: at \(y, x\) = \(3, 4\) the 16 % point is 9 and the 50 %",
        ),
        (
            InvalidTypeError,
            lambda: build({"sfr": PropertyArrays(PLANE + 1j, PLANE[0])}),
            "complex128: expected real numbers",
        ),
        (
            InvalidInputError,
            lambda: build(
                {
                    "sfr": PropertyArrays(PLANE, PLANE[0], PLANE[:3]),
                    "gas_mass": PropertyArrays(PLANE, PLANE[0], PLANE[:2]),
                }
            ),
            "numbers of samples: {'sfr': 3, 'gas_mass': 2}",
        ),
        (
            InvalidInputError,
            lambda: build(quality=np.zeros((3, 3), int)),
            r"quality has shape \(3, 3\): expected \(20, 24\)",
        ),
        (
            InvalidTypeError,
            lambda: build(quality=np.zeros(SHAPE)),
            "quality has the type float64: expected whole numbers",
        ),
        (
            InvalidInputError,
            lambda: build(quality=np.full(SHAPE, 2**40)),
            "do not fit 32 bits",
        ),
        (
            InvalidInputError,
            lambda: build(bins=np.zeros((3, 3), int)),
            r"bins has shape \(3, 3\)",
        ),
        (InvalidTypeError, lambda: build(bins=np.zeros(SHAPE)), "bins has the type float64"),
        (
            InvalidInputError,
            lambda: build(pixel_solid_angle=None),
            "neither wcs= nor pixel_solid_angle=",
        ),
        (
            InvalidInputError,
            lambda: build(pixel_solid_angle=0.4 * u.arcsec),
            r"expected a Quantity such as 0.157 \* u.arcsec",
        ),
        (InvalidInputError, lambda: build(pixel_solid_angle=0.16), "expected a Quantity"),
        (
            InvalidInputError,
            lambda: build(pixel_solid_angle=-1 * u.arcsec**2),
            "one positive, finite value",
        ),
        (InvalidTypeError, lambda: build(wcs="TAN"), "wcs is of type str"),
        (InvalidInputError, lambda: build(wcs=spectral_wcs()), "wcs has 3 axes.*celestial"),
        (InvalidInputError, lambda: build(wcs=WCS(naxis=2)), "expected two celestial axes"),
        (InvalidInputError, lambda: build(redshift="near"), "redshift='near': expected a number"),
        (InvalidInputError, lambda: build(redshift=np.nan), "expected a finite value above -1"),
        (
            InvalidInputError,
            lambda: build(luminosity_distance=90 * u.Mpc),
            "luminosity_distance= without redshift=",
        ),
        (
            InvalidInputError,
            lambda: build(redshift=0.02, luminosity_distance=90),
            r"expected a Quantity such as 40 \* u.Mpc",
        ),
        (
            InvalidInputError,
            lambda: build(redshift=0.02, luminosity_distance=0 * u.Mpc),
            "one positive, finite value",
        ),
        (
            InvalidInputError,
            lambda: build(shared_error={"gas_mass": 0.1}),
            "shared_error has 'gas_mass', of which there is no map: the maps are sfr",
        ),
        (
            InvalidInputError,
            lambda: build(shared_error={"sfr": -0.1}),
            r"shared_error\['sfr'\] is -0.1: expected a finite number of dex",
        ),
        (
            InvalidInputError,
            lambda: build(systematics={"sky:g": {"gas_mass": PLANE[0]}}),
            r"systematics\['sky:g'\] has 'gas_mass', of which there is no map",
        ),
        (
            InvalidInputError,
            lambda: build(systematics={"sky:g": {"sfr": PLANE[0, 1:]}}),
            r"has shape \(19, 24\): expected \(20, 24\)",
        ),
        (
            InvalidTypeError,
            lambda: build(noise_scaling=2.0),
            "noise_scaling is of type float: expected a NoiseScaling",
        ),
        (InvalidTypeError, lambda: build(meta={"wcs": WCS()}), r"meta\['wcs'\] is of type WCS"),
        (
            InvalidTypeError,
            lambda: build(definitions={"sfr": "rate"}),
            r"definitions\['sfr'\] is of type str: expected a",
        ),
        (
            InvalidInputError,
            lambda: build(definitions={"sfr": PROPERTIES["gas_mass"]}),
            "defines 'gas_mass': expected the same name",
        ),
        (
            InvalidInputError,
            lambda: build(definitions={"dust_mass": DUST}),
            "definitions hold dust_mass, of which there is no map",
        ),
        (
            InvalidInputError,
            lambda: build(
                {"sfr": GOOD, "sfr_mean": GOOD},
                definitions={
                    "sfr_mean": Property("sfr_mean", u.K, "surface_density", None, "", "")
                },
            ),
            "'sfr_mean' needs the plane SFR_MEAN, which is that of 'sfr'",
        ),
        (
            InvalidInputError,
            lambda: build(
                {"quality": GOOD},
                definitions={"quality": Property("quality", u.K, "surface_density", None, "", "")},
            ),
            "needs the plane QUALITY, which is that of the quality plane",
        ),
    ],
)
def test_what_maps_are_not_made_of(error, make, message):
    with pytest.raises(error, match=message) as raised:
        make()
    assert isinstance(raised.value, PicassssoError)


def test_solid_angle_that_contradicts_the_wcs(make_wcs):
    with pytest.raises(InvalidInputError, match=r"contradicts the WCS, whose central pixel has"):
        build(wcs=make_wcs(scale=0.4), pixel_solid_angle=0.4 * u.arcsec**2)
    maps = build(wcs=make_wcs(scale=0.4), pixel_solid_angle=0.161 * u.arcsec**2)
    assert maps.pixel_solid_angle.value == pytest.approx(0.16, rel=1e-4)


CENTER = SkyCoord(202.47 * u.deg, 47.195 * u.deg)


def profile(maps, name="sfr", **options):
    return maps.profile(name, **({"correlation": "full"} | options))


@pytest.mark.parametrize(
    ("error", "act", "message"),
    [
        (InvalidInputError, lambda m: m["nonsense"], "no map of 'nonsense': the maps are"),
        (InvalidInputError, lambda m: m.mean("nonsense"), "no map of 'nonsense'"),
        (InvalidInputError, lambda m: m.definition("gas_mass"), "no map of 'gas_mass'"),
        (InvalidInputError, lambda m: m.percentile("gas_mass", 50), "no map of 'gas_mass'"),
        (InvalidInputError, lambda m: m.total("gas_mass"), "no map of 'gas_mass'"),
        (
            InvalidInputError,
            lambda m: m.total("sfr", CircularAperture((1, 1), np.nan), correlation="full"),
            "a position and a size that are finite",
        ),
        (InvalidInputError, lambda m: m.profile("gas_mass"), "no map of 'gas_mass'"),
        (InvalidInputError, lambda m: m.plot(["gas_mass"]), "no map of 'gas_mass'"),
        (
            InvalidInputError,
            lambda m: m.percentile("sfr", 25),
            "25 percentile is not stored: expected one of 2.5, 16, 50, 84, 97.5",
        ),
        (InvalidInputError, lambda m: m.percentile("sfr", 0.5), "is not stored"),
        (InvalidInputError, lambda m: m.percentile("sfr", [16, 84]), r"\[16, 84\] percentile"),
        (InvalidInputError, lambda m: m.percentile("sfr", "median"), "'median' percentile is not"),
        (InvalidInputError, lambda m: m.mean("stellar_age"), "has no mean: it is intensive"),
        (InvalidInputError, lambda m: m.samples("sfr"), "has no samples.*n_samples="),
        (InvalidTypeError, lambda m: m[3], "Part of maps: found 3, .*two slices"),
        (InvalidTypeError, lambda m: m[3, 4], "two slices"),
        (InvalidTypeError, lambda m: m[2:5], "two slices"),
        (InvalidTypeError, lambda m: m[np.ones(SHAPE, bool)], "two slices"),
        (InvalidInputError, lambda m: m[::2, :], "a step of 2"),
        (InvalidInputError, lambda m: m[5:5, :], "holds no pixel"),
        (InvalidInputError, lambda m: m[:, 30:40], "holds no pixel"),
        (
            InvalidInputError,
            lambda m: m.total("sfr"),
            "'sfr' has no joint samples.*correlation=\"independent\".*n_samples=100",
        ),
        (InvalidInputError, lambda m: m.profile("sfr"), "has no joint samples"),
        (
            InvalidInputError,
            lambda m: m.total("sfr", correlation="none"),
            r"correlation='none': expected one of \('independent', 'full'\)",
        ),
        (
            InvalidInputError,
            lambda m: m.total("sfr", np.ones((3, 3), bool), "full"),
            r"region has shape \(3, 3\): expected \(20, 24\)",
        ),
        (
            InvalidTypeError,
            lambda m: m.total("sfr", np.ones(SHAPE, int), "full"),
            r"region is of type ndarray \(int64\): expected a boolean array",
        ),
        (InvalidTypeError, lambda m: m.total("sfr", "bulge", "full"), "expected a boolean array"),
        (
            InvalidInputError,
            lambda m: m.total("sfr", np.zeros(SHAPE, bool), "full"),
            "The region holds no pixel",
        ),
        (
            InvalidInputError,
            lambda m: m.total("sfr", CircularAperture((-30, 5), 4), "full"),
            r"aperture at pixel \(-30.0, 5.0\) \(x, y\) does not touch the image",
        ),
        (
            InvalidInputError,
            lambda m: m.total("sfr", CircularAperture([(3, 5), (4, 4)], 4), "full"),
            "aperture has 2 positions: expected one",
        ),
        (
            InvalidInputError,
            lambda m: profile(m, position_angle=35),
            r"position_angle=35: expected an angle such as 35 \* u.deg",
        ),
        (
            InvalidInputError,
            lambda m: profile(m, position_angle=[3, 5] * u.deg),
            "expected an angle",
        ),
        (InvalidInputError, lambda m: profile(m, axis_ratio=1.2), "axis_ratio=1.2: expected"),
        (InvalidInputError, lambda m: profile(m, axis_ratio=0.0), "axis_ratio=0.0: expected"),
        (InvalidInputError, lambda m: profile(m, inclination=90 * u.deg), "seen edge on"),
        (InvalidInputError, lambda m: profile(m, inclination=0.5), "inclination=0.5: expected"),
        (InvalidInputError, lambda m: profile(m, center="middle"), "center='middle': expected"),
        (InvalidInputError, lambda m: profile(m, center=(3, np.nan)), "expected one SkyCoord"),
        (InvalidInputError, lambda m: profile(m, edges=[0, 3, 2] * u.arcsec), "that increase"),
        (InvalidInputError, lambda m: profile(m, edges=[-1, 3] * u.arcsec), "first 0 or more"),
        (InvalidInputError, lambda m: profile(m, edges=3 * u.arcsec), "at least two radii"),
        (InvalidInputError, lambda m: profile(m, edges=np.arange(5000) * u.mas), "at most 1000"),
        (InvalidInputError, lambda m: profile(m, edges=[0, 3]), "expected angles or lengths"),
        (InvalidInputError, lambda m: m.plot([]), "properties is empty"),
        (
            InvalidInputError,
            lambda m: m.plot(truth=m[:5, :5]),
            r"truth has shape \(5, 5\): expected \(20, 24\)",
        ),
        (InvalidTypeError, lambda m: m.plot(truth={}), "truth is of type dict"),
    ],
)
def test_what_maps_do_not_do(maps, error, act, message):
    with pytest.raises(error, match=message) as raised:
        act(maps)
    assert isinstance(raised.value, PicassssoError)


def test_quadratic_radii_are_refused_as_units(maps):
    with pytest.raises(InvalidInputError, match=r"edges=.*: expected angles or lengths"):
        profile(maps, edges=[0, 3] * u.Msun)


def test_no_distance(make_maps):
    maps = make_maps(luminosity_distance=None)
    with pytest.raises(InvalidInputError, match=r"needs a distance.*luminosity_distance="):
        maps.total("stellar_mass", correlation="full")
    with pytest.raises(InvalidInputError, match=r"edges are in kpc.*luminosity_distance="):
        profile(maps, edges=[0, 3] * u.kpc)
    assert maps.total("stellar_age", correlation="full").value > 0 * u.Gyr


def test_no_weight(normal_arrays):
    maps = build({"stellar_age": normal_arrays(PLANE[0], 0.1, with_mean=False)})
    with pytest.raises(
        InvalidInputError, match="by 'stellar_mass', of which there is no map: est"
    ):
        maps.total("stellar_age", correlation="full")
    with pytest.raises(InvalidInputError, match="estimate 'stellar_mass' as well"):
        maps.profile("stellar_age", correlation="full")


def test_weight_that_is_not_a_surface_density(normal_arrays):
    arrays = {
        name: normal_arrays(PLANE[0], 0.1, with_mean=False) for name in ("stellar_age", "dust_age")
    }
    dust_age = Property("dust_age", u.Gyr, "intensive", "stellar_age", "dust age", "age of dust")
    with pytest.raises(InvalidInputError, match="'stellar_age', which has no mean"):
        build(arrays, definitions={"dust_age": dust_age}).total("dust_age", correlation="full")


def test_one_sample_is_no_scatter():
    maps = build({"sfr": PropertyArrays(PLANE, PLANE[0], PLANE[:1])})
    with pytest.raises(InvalidInputError, match="no joint samples"):
        maps.total("sfr")


def test_sky_where_there_is_none(make_maps):
    maps = make_maps(pixel_solid_angle=1 * u.arcsec**2)
    aperture = SkyCircularAperture(CENTER, 3 * u.arcsec)
    with pytest.raises(InvalidInputError, match=r"SkyCircularAperture on the sky.*no WCS"):
        maps.total("sfr", aperture, "full")
    with pytest.raises(InvalidInputError, match=r"center= is on the sky.*no WCS"):
        profile(maps, center=CENTER)


def test_no_galaxy_to_measure(normal_arrays):
    noise = np.random.default_rng(0).normal(size=SHAPE)
    maps = build({"sfr": normal_arrays(noise, 1.0)})
    with pytest.raises(InvalidInputError, match=r"shows no galaxy to measure.*give center="):
        profile(maps)
    table = profile(maps, center=(10, 10), axis_ratio=1, edges=[0, 5] * u.arcsec)
    assert abs(table["sfr"][0]) < 4 * table["sfr_error"][0]


def test_nothing_at_all_to_measure(normal_arrays):
    maps = build({"sfr": normal_arrays(0 * PLANE[0], 1.0)})
    with pytest.raises(InvalidInputError, match="shows no galaxy to measure"):
        profile(maps)


def test_center_off_the_sky():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---AIT", "DEC--AIT"
    wcs.wcs.cdelt = -15.0, 15.0
    wcs.wcs.crpix = 12.5, 10.5
    options = {"axis_ratio": 1, "edges": [0, 5] * u.deg}
    with pytest.raises(InvalidInputError, match=r"pixel \(0.0, 0.0\) .* not lie on the sky"):
        profile(build(wcs=wcs, pixel_solid_angle=None), center=(0, 0), **options)


def test_a_mask_that_is_no_aperture(maps):
    mask = CircularAperture((9, 9), 3)
    stranger = type("Stranger", (), {"to_mask": mask.to_mask})()
    with pytest.raises(
        InvalidTypeError, match="type Stranger: expected a boolean array or a phot"
    ):
        maps.total("sfr", stranger, "full")


def test_no_surface_density_to_measure(normal_arrays):
    maps = build({"attenuation_v": normal_arrays(PLANE[0], 0.1, with_mean=False)})
    with pytest.raises(InvalidInputError, match="no surface density to find the galaxy in"):
        profile(maps, "attenuation_v")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("exists.fits", "the file exists; .*overwrite=True"),
        ("missing/maps.fits", "there is no folder .*missing"),
        (".", "it is a folder; give the name of a file"),
    ],
)
def test_where_maps_cannot_be_written(maps, tmp_path, path, message):
    (tmp_path / "exists.fits").write_text("keep")
    with pytest.raises(FileFormatError, match=f"Cannot write .*{message}"):
        maps.write(tmp_path / path)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["keep"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("missing.fits", "found no file"), (".", "found a folder")],
)
def test_where_maps_cannot_be_read(tmp_path, path, message):
    with pytest.raises(FileFormatError, match=f"Maps: {message}"):
        PropertyMaps.read(tmp_path / path)
