"""Format 1: what is written, that it reads back exactly, that damage is noticed."""

import tempfile
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS, DistortionLookupTable
from hypothesis import given, settings
from hypothesis import strategies as st

import picasssso
from picasssso._core.headers import read_wcs, wcs_header
from picasssso.bands import NoiseScaling
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.maps import PropertyMaps, map_files
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import Property
from picasssso.quality import QualityFlag

SAMPLE = Path(__file__).parents[1] / "data" / "maps_format_1.fits"


def assert_same_maps(found, expected):
    """Equal to the last bit, types included."""

    def same(one, two):
        assert one.dtype == two.dtype
        assert one.dtype.isnative
        assert not one.flags.writeable
        np.testing.assert_array_equal(one, two, strict=True)

    assert found.properties == expected.properties
    for name in expected:
        assert found.definition(name) == expected.definition(name)
        assert found.definition(name).color_map == expected.definition(name).color_map
        assert found[name].unit == expected[name].unit
        same(found[name].mask, expected[name].mask)
        one, two = found._planes(name), expected._planes(name)
        same(one.percentiles, two.percentiles)
        for plane in ("mean", "samples"):
            assert (getattr(one, plane) is None) == (getattr(two, plane) is None)
            if getattr(one, plane) is not None:
                same(getattr(one, plane), getattr(two, plane))
    same(found.quality, expected.quality)
    assert (found.bins is None) == (expected.bins is None)
    if expected.bins is not None:
        same(found.bins, expected.bins)
    assert found.systematics.keys() == expected.systematics.keys()
    for mode, planes in expected.systematics.items():
        assert found.systematics[mode].keys() == planes.keys()
        for name, plane in planes.items():
            same(found.systematics[mode][name], plane)
    for attribute in ("redshift", "luminosity_distance", "shared_error", "noise_scaling", "meta"):
        assert getattr(found, attribute) == getattr(expected, attribute), attribute
    assert (found.wcs is None) == (expected.wcs is None)
    if expected.wcs is None:
        assert found.pixel_solid_angle == expected.pixel_solid_angle


@pytest.fixture
def full_maps(make_maps, make_wcs, normal_arrays):
    """Maps with everything that maps can have."""
    shape = (20, 24)
    rng = np.random.default_rng(1)
    maps = make_maps(
        wcs=make_wcs(angle=25, sip=True),
        bins=np.arange(480).reshape(shape) // 3,
        shared_error={"stellar_mass": 0.1},
        systematics={
            "sky:sdss2010-g": {"stellar_mass": rng.normal(size=shape).astype(np.float32)},
            "zero_point:sdss2010-g": {
                "stellar_mass": rng.normal(size=shape),
                "sfr": rng.normal(size=shape).astype(np.float32),
            },
        },
        noise_scaling=NoiseScaling([1, 30, 1000], [1.0, 2.5, 3.0]),
        meta={"estimator": "none", "parameters": {"a": [1, None, "β"], "d": 3.5 * u.Mpc}},
    )
    dust = Property("dust_mass", u.Msun / u.pc**2, "surface_density", None, "dust", "dust only")
    mass = rng.uniform(1, 2, shape).astype(np.float32)
    samples = rng.uniform(1, 2, (4, *shape)).astype(np.float32)
    arrays = {name: maps._planes(name) for name in maps}
    arrays["dust_mass"] = normal_arrays(mass, 0.1, dtype=np.float32, samples=samples)
    options = maps._arguments()
    options["definitions"] = {**options["definitions"], "dust_mass": dust}
    return PropertyMaps(arrays, **options)


# ---- round trips ----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["fits", "fits.gz"])
def test_round_trip_of_everything(full_maps, tmp_path, ending):
    full_maps.write(tmp_path / f"maps.{ending}")
    again = PropertyMaps.read(str(tmp_path / f"maps.{ending}"))
    assert_same_maps(again, full_maps)
    # A second time from what was read: nothing drifts.
    again.write(tmp_path / f"maps.{ending}", overwrite=True)
    assert_same_maps(PropertyMaps.read(tmp_path / f"maps.{ending}"), full_maps)
    assert [path.name for path in tmp_path.iterdir()] == [f"maps.{ending}"]


def test_totals_survive(full_maps, tmp_path):
    full_maps.write(tmp_path / "maps.fits")
    again = PropertyMaps.read(tmp_path / "maps.fits")
    for maps in (full_maps, again):
        assert maps.total("stellar_mass", correlation="independent").uncertainty > 0
    one, two = (m.total("stellar_mass", correlation="independent") for m in (full_maps, again))
    assert one.value.value == pytest.approx(two.value.value, rel=1e-9)
    assert one.uncertainty.value == pytest.approx(two.uncertainty.value, rel=1e-9)


def test_without_wcs(make_maps, tmp_path):
    maps = make_maps(
        pixel_solid_angle=0.157 * u.arcsec**2, redshift=None, luminosity_distance=None
    )
    maps.write(tmp_path / "maps.fits")
    again = PropertyMaps.read(tmp_path / "maps.fits")
    assert_same_maps(again, maps)
    assert again.wcs is None


units = st.sampled_from(
    ["Msun / kpc2", "mag", "", "K", "erg / (s cm2 arcsec2)", "1e10 Msun", "Lsun / pc2", "km / s"]
)


@settings(max_examples=25)
@given(
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=st.integers(0, 2**16),
    holes=st.sampled_from([0.0, 0.3, 1.0]),
    unit=units,
    dtype=st.sampled_from(["f4", "f8", ">f4", ">f8"]),
    density=st.booleans(),
    n_samples=st.sampled_from([0, 1, 3]),
    with_bins=st.booleans(),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_round_trip_of_anything(
    shape, seed, holes, unit, dtype, density, n_samples, with_bins, scale
):
    rng = np.random.default_rng(seed)
    unit = u.Unit(unit)
    kind = "surface_density" if density else "intensive"
    definition = Property("thing", unit, kind, None, "a thing", "some thing")
    percentiles = scale * np.sort(rng.normal(size=(5, *shape)), axis=0)
    percentiles[:, rng.random(shape) < holes] = np.nan
    samples = scale * rng.normal(size=(n_samples, *shape)) if n_samples else None
    maps = PropertyMaps(
        {
            "thing": PropertyArrays(
                percentiles.astype(dtype),
                percentiles[2].astype(dtype) if density else None,
                samples.astype(dtype) if n_samples else None,
            )
        },
        quality=rng.integers(0, 2**31, shape),
        bins=rng.integers(-1, 2**31, shape) if with_bins else None,
        pixel_solid_angle=rng.uniform(0.01, 9) * u.arcsec**2,
        definitions={"thing": definition},
    )
    with tempfile.TemporaryDirectory() as folder:
        maps.write(Path(folder, "maps.fits"))
        assert_same_maps(PropertyMaps.read(Path(folder, "maps.fits")), maps)


# ---- what stands in the file ----------------------------------------------------------------


def test_layout(full_maps, tmp_path):
    full_maps.write(tmp_path / "maps.fits")
    with fits.open(tmp_path / "maps.fits") as hdus:
        hdus.verify("exception")
        primary = hdus[0].header
        assert hdus[0].data is None
        assert primary["MAPSFMT"] == 1
        assert primary["ORIGIN"] == "picasssso"
        assert primary["CREATOR"] == f"picasssso {picasssso.__version__}"
        assert primary["REDSHIFT"] == 0.02
        names = [hdu.name for hdu in hdus]
        quantiles = ["", "_P025", "_P160", "_P840", "_P975"]
        assert names[1:8] == [f"STELLAR_MASS{q}" for q in [*quantiles, "_MEAN", "_MASK"]]
        assert "STELLAR_AGE_MEAN" not in names
        assert names[-3:] == ["QUALITY", "BINS", "META"]
        assert hdus["DUST_MASS_SAMPLES"].data.shape == (4, 20, 24)
        for hdu in hdus[1:-1]:
            assert "BUNIT" in hdu.header, hdu.name
        np.testing.assert_array_equal(
            hdus["STELLAR_MASS"].data, full_maps.percentile("stellar_mass", 50).value
        )
        np.testing.assert_array_equal(
            hdus["STELLAR_MASS_P975"].data, full_maps.percentile("stellar_mass", 97.5).value
        )
        assert hdus["STELLAR_MASS_P975"].header["PERCENT"] == 97.5
        assert u.Unit(hdus["STELLAR_MASS"].header["BUNIT"]) == u.Msun / u.kpc**2
        assert hdus["STELLAR_MASS_MASK"].header["BITPIX"] == 8
        np.testing.assert_array_equal(
            hdus["STELLAR_AGE_MASK"].data.astype(bool), full_maps["stellar_age"].mask
        )
        assert set(hdus["META"].data["KEY"]) >= {"properties", "meta", "redshift"}


def test_same_maps_same_bytes(full_maps, tmp_path):
    for name in "ab":
        full_maps.write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def make_tpv():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TPV", "DEC--TPV"
    wcs.wcs.crval = 28.123456789012, -1.35
    wcs.wcs.crpix = 10.123456789012345, -300.0
    wcs.wcs.cd = np.array([[-7.2e-5, 1e-7], [1.1e-7, 7.3e-5]])
    pv = [(1, 0, 1e-3), (1, 1, 1.01), (1, 2, 2e-3), (1, 4, -1.23456789012345e-2)]
    wcs.wcs.set_pv([*pv, (2, 0, -2e-3), (2, 1, 0.99), (2, 2, 1e-3), (2, 5, 2.1e-2)])
    wcs.wcs.set()
    return wcs


def make_galactic():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "GLAT-CAR", "GLON-CAR"
    wcs.wcs.crval = 0.0, 359.999
    wcs.wcs.crpix = 4.0, 5.0
    wcs.wcs.cdelt = 1 / 3600 / 3, -1 / 3600 / 3
    wcs.wcs.dateobs = "2005-04-03T12:00:00"
    wcs.wcs.set()
    return wcs


@pytest.mark.parametrize("kind", ["tan", "sip", "tpv", "galactic"])
def test_wcs_of_every_plane(make_maps, make_wcs, tmp_path, kind):
    """To 1e-9 degrees, distortions included, also after slicing."""
    wcs = {
        "tan": lambda: make_wcs(angle=33, scale=0.123456789, crval=(359.99999123456, -89.2)),
        "sip": lambda: make_wcs(angle=33, sip=True, crval=(123.456789012345, 1.0)),
        "tpv": make_tpv,
        "galactic": make_galactic,
    }[kind]()
    bins = np.zeros((20, 24), int)
    maps = make_maps(
        wcs=wcs,
        bins=bins,
        systematics={"sky:g": {"sfr": np.zeros((20, 24))}},
    )[2:, 3:]
    maps.write(tmp_path / "maps.fits")
    pixels = np.stack(np.meshgrid(np.linspace(-1, 30, 5), np.linspace(-1, 30, 5)), -1).reshape(
        -1, 2
    )
    expected = wcs.all_pix2world(pixels + np.array([3, 2]), 0)
    with fits.open(tmp_path / "maps.fits") as hdus:
        planes = hdus[1:-1]
        assert len(planes) == 3 * 6 + 2 + 3
        for hdu in planes:
            found = WCS(hdu.header).all_pix2world(pixels, 0)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    again = PropertyMaps.read(tmp_path / "maps.fits")
    np.testing.assert_allclose(again.wcs.all_pix2world(pixels, 0), expected, rtol=0, atol=1e-9)
    if kind == "sip":
        assert again.wcs.sip is not None


def test_wcs_of_samples(full_maps, tmp_path):
    full_maps.write(tmp_path / "maps.fits")
    wcs = read_wcs(fits.getheader(tmp_path / "maps.fits", "DUST_MASS_SAMPLES"))
    np.testing.assert_allclose(
        wcs.all_pix2world([[3, 4]], 0), full_maps.wcs.all_pix2world([[3, 4]], 0), atol=1e-9
    )


@pytest.mark.parametrize("attribute", ["cpdis1", "det2im2"])
def test_look_up_tables_are_refused(make_maps, make_wcs, tmp_path, attribute):
    wcs = make_wcs()
    table = DistortionLookupTable(np.ones((3, 3), np.float32), (1, 1), (1, 1), (10, 10))
    setattr(wcs, attribute, table)
    maps = make_maps(wcs=wcs)
    with pytest.raises(
        InvalidInputError, match=rf"look-up tables \({attribute[:-1]}\).*reproject"
    ):
        maps.write(tmp_path / "maps.fits")
    assert not list(tmp_path.iterdir())


def test_tabular_coordinates_are_refused():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAB", "DEC--TAB"
    with pytest.raises(InvalidInputError, match=r"look-up tables \(-TAB\)"):
        wcs_header(wcs, (3, 3))


def test_a_wcs_that_headers_cannot_hold_is_refused(make_maps, make_wcs, tmp_path, monkeypatch):
    wcs = make_wcs()
    header = make_wcs(crval=(202.47 + 1e-7, 47.195)).to_header(relax=True)
    monkeypatch.setattr(WCS, "to_header", lambda self, **options: header.copy())
    monkeypatch.setattr("picasssso._core.headers._write_in_full", lambda header, wcs: None)
    with pytest.raises(InvalidInputError, match="off by up to 1e-07 degrees"):
        make_maps(wcs=wcs).write(tmp_path / "maps.fits")


# ---- the promise ----------------------------------------------------------------------------


def test_format_1_always_reads():
    """The file was written once, by tests/data/write_samples.py, and is never written again."""
    maps = PropertyMaps.read(SAMPLE)
    number = np.arange(30).reshape(5, 6)
    assert maps.properties == ("stellar_mass", "dust_temperature")
    assert maps["stellar_mass"].unit == u.Msun / u.kpc**2
    assert maps["stellar_mass"].data.dtype == np.float32
    valid = number > 0
    np.testing.assert_array_equal(maps["stellar_mass"].mask, ~valid)
    for k, q in enumerate(PERCENTILES):
        plane = maps.percentile("stellar_mass", q).value
        np.testing.assert_array_equal(plane[valid], (1e6 * (number + 1) + 1e5 * (k - 2))[valid])
        assert np.isnan(plane[0, 0])
    np.testing.assert_array_equal(
        maps.mean("stellar_mass").value[valid], (1e6 * (number + 1) + 5e4)[valid]
    )
    for sample, shift in zip(maps.samples("stellar_mass").value, (-1e5, 1e5), strict=True):
        np.testing.assert_array_equal(sample[valid], (1e6 * (number + 1) + shift)[valid])
    temperature = maps["dust_temperature"]
    assert temperature.unit == u.K
    assert temperature.data.dtype == np.float64
    np.testing.assert_array_equal(np.argwhere(temperature.mask), [[0, 0], [1, 1]])
    assert temperature.data[3, 2] == 40
    assert temperature.uncertainty.array[3, 2] == 1
    # The property of a plugin that is not installed.
    definition = maps.definition("dust_temperature")
    assert (definition.kind, definition.weight) == ("intensive", "stellar_mass")
    assert (definition.label, definition.color_map) == ("dust temperature", "plasma")
    assert maps.quality[0, 0] == int(QualityFlag.NO_DATA) | int(QualityFlag.MISSING_BAND)
    assert maps.quality[4, 5] == int(QualityFlag.LOW_SIGNAL)
    np.testing.assert_array_equal(maps.bins, number // 2 - 1)
    assert maps.redshift == 0.00155
    assert maps.luminosity_distance == 8.58 * u.Mpc
    assert maps.shared_error == {"stellar_mass": 0.1}
    moved = maps.systematics["zero_point:sdss2010-g"]["stellar_mass"]
    np.testing.assert_allclose(moved, 1e4 * (number + 1), rtol=1e-6)
    assert maps.noise_scaling(100) == pytest.approx(2)
    assert maps.meta["parameters"] == {"limit": np.inf}
    assert maps.meta["bands"] == ["sdss2010-g"]
    # The sky, by hand at the reference pixel, and by the definition of SIP elsewhere.
    np.testing.assert_allclose(
        maps.wcs.all_pix2world(2.25, 1.5, 0), (202.4695750, 47.1952583), atol=1e-9
    )
    x, y = 3.0, 2.0
    distorted = x + 2.25 + 2.5e-5 * x**2, y + 1.5 - 1.5e-5 * x * y
    np.testing.assert_allclose(
        maps.wcs.all_pix2world(x + 2.25, y + 1.5, 0),
        maps.wcs.wcs_pix2world(*distorted, 0),
        atol=1e-12,
    )
    assert maps.total("dust_temperature", correlation="independent").value > 20 * u.K


# ---- damage ---------------------------------------------------------------------------------


@pytest.fixture
def written(maps, tmp_path):
    path = tmp_path / "maps.fits"
    maps.write(path)
    return path


@pytest.mark.parametrize(
    "fraction", [0.0, 0.001, 0.01, 0.06, 0.3, 0.5, 0.7, 0.9, 0.97, 0.985, 0.99999]
)
def test_truncated_files(written, fraction):
    content = written.read_bytes()
    written.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(FileFormatError, match=r"maps\.fits"):
        PropertyMaps.read(written)


@pytest.mark.parametrize("n_blocks", [1, 2, 5, 7, 20])
def test_files_cut_between_blocks(written, n_blocks):
    written.write_bytes(written.read_bytes()[: 2880 * n_blocks])
    with pytest.raises(FileFormatError, match=r"maps\.fits"):
        PropertyMaps.read(written)


def test_truncated_gzip(maps, tmp_path):
    path = tmp_path / "maps.fits.gz"
    maps.write(path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(FileFormatError, match=r"maps\.fits\.gz"):
        PropertyMaps.read(path)


def test_not_fits_at_all(tmp_path):
    (tmp_path / "notes.fits").write_text("Dear diary, " * 500)
    with pytest.raises(
        FileFormatError, match=r"Maps: found that .*notes.fits cannot be read as FITS"
    ):
        PropertyMaps.read(tmp_path / "notes.fits")


def test_fits_of_something_else(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(FileFormatError, match=r"not one of property maps.*BandImages.read"):
        PropertyMaps.read(tmp_path / "image.fits")


def edit(path, change):
    with fits.open(path) as hdus:
        hdus = fits.HDUList([hdu.copy() for hdu in hdus])
    change(hdus)
    hdus.writeto(path, overwrite=True)


def set_format(number, needed="9.7"):
    def change(hdus):
        hdus[0].header["MAPSFMT"], hdus[0].header["MAPSNEED"] = number, needed

    return change


def drop(name):
    return lambda hdus: hdus.__delitem__(name)


def damage_meta(hdus):
    hdus["META"].data["JSON"][0] = "[{"


def other_shape(hdus):
    hdus["SFR"].data = np.zeros((3, 3), np.float32)


def no_values(hdus):
    hdus["QUALITY"].data = None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_format(2), "format 2, which needs picasssso 9.7 or newer.*formats up to 1"),
        (set_format(0), "MAPSFMT = 0: expected a whole number"),
        (set_format("new"), "MAPSFMT = 'new': expected a whole number"),
        (set_format(True), "MAPSFMT = True"),
        (drop("META"), "damaged: it has no extension META"),
        (drop("SFR_P840"), "damaged: it has no extension SFR_P840"),
        (drop("SFR_MEAN"), "'sfr' is a surface density without a mean"),
        (drop("QUALITY"), "no extension QUALITY"),
        (damage_meta, "Cannot read .* as maps"),
        (other_shape, "Cannot read .* as maps"),
        (no_values, "QUALITY holds no values"),
    ],
)
def test_files_that_do_not_hold_together(written, change, message):
    edit(written, change)
    with pytest.raises(FileFormatError, match=message):
        PropertyMaps.read(written)


# ---- writing that fails ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError("No space left on device"), FileFormatError),
        (KeyboardInterrupt("stop"), KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("existing", [None, b"what stood here"])
def test_a_failure_in_the_middle_leaves_nothing(
    maps, tmp_path, monkeypatch, error, expected, existing
):
    def die(self, file):
        file.write(bytes(5000))
        raise error

    monkeypatch.setattr(map_files._Plane, "write", die)
    if existing:
        (tmp_path / "maps.fits").write_bytes(existing)
    with pytest.raises(expected, match=str(error)):
        maps.write(tmp_path / "maps.fits", overwrite=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([existing] if existing else [])


def test_the_file_is_the_one_that_astropy_writes(maps, tmp_path):
    maps.write(tmp_path / "own.fits")
    fits.HDUList(list(map_files.hdus_of(maps))).writeto(tmp_path / "theirs.fits")
    own, theirs = ((tmp_path / f"{name}.fits").read_bytes() for name in ("own", "theirs"))
    assert own == theirs


def test_existing_files_are_kept_unless_told(maps, make_maps, written):
    before = written.read_bytes()
    with pytest.raises(FileFormatError, match="overwrite=True"):
        maps.write(written)
    assert written.read_bytes() == before
    make_maps((6, 7)).write(written, overwrite=True)
    assert PropertyMaps.read(written).shape == (6, 7)


def test_what_a_file_cannot_hold(make_maps, normal_arrays, tmp_path):
    odd = Property("oddity", u.imperial.furlong, "intensive", None, "odd", "odd")
    maps = PropertyMaps(
        {"oddity": normal_arrays(np.ones((2, 2)), 0.1, with_mean=False)},
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
        definitions={"oddity": odd},
    )
    with pytest.raises(InvalidInputError, match="unit of 'oddity', fur, cannot be written"):
        maps.write(tmp_path / "maps.fits")
    with pytest.raises(InvalidInputError, match=r"noise_scaling is a function.*NoiseScaling"):
        make_maps(noise_scaling=lambda n: 1.0).write(tmp_path / "maps.fits")
    assert not list(tmp_path.iterdir())
