"""PropertyMaps as a container: values, masks, types, slicing, what cannot be changed."""

import pickle

import astropy.units as u
import numpy as np
import pytest
from astropy.nddata import CCDData, StdDevUncertainty
from hypothesis import given
from hypothesis import strategies as st

from picasssso.exceptions import InvalidInputError
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import PROPERTIES, Property
from picasssso.quality import QualityFlag


def test_value_is_median_with_half_range_mask_unit_and_wcs(maps):
    ccd = maps["stellar_mass"]
    assert isinstance(ccd, CCDData)
    assert isinstance(ccd.uncertainty, StdDevUncertainty)
    np.testing.assert_array_equal(ccd.data, maps.percentile("stellar_mass", 50).value)
    width = maps.percentile("stellar_mass", 84) - maps.percentile("stellar_mass", 16)
    np.testing.assert_array_equal(ccd.uncertainty.array, width.value / 2)
    assert ccd.unit == u.Msun / u.kpc**2
    assert ccd.wcs.wcs.compare(maps.wcs.wcs)
    assert ccd.mask.dtype == bool


def test_mapping(maps):
    assert tuple(maps) == maps.properties == ("stellar_mass", "sfr", "stellar_age")
    assert len(maps) == 3
    assert "sfr" in maps
    assert "gas_mass" not in maps
    assert maps.get("gas_mass") is None
    assert maps._ipython_key_completions_() == list(maps)
    with pytest.raises(KeyError, match="no map of 'gas_mass': the maps are stellar_mass, sfr"):
        maps["gas_mass"]


def test_repr(maps, make_maps):
    assert repr(maps) == (
        "<PropertyMaps 20 x 24 pixels, RA---TAN/DEC--TAN, z = 0.02: "
        "stellar_mass (solMass / kpc2), sfr (solMass / (yr kpc2)), stellar_age (Gyr)>"
    )
    bare = make_maps(pixel_solid_angle=1 * u.arcsec**2, redshift=None, luminosity_distance=None)
    assert "no WCS: stellar_mass" in repr(bare)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precision_is_kept(make_maps, dtype):
    maps = make_maps(dtype=dtype)
    assert maps["sfr"].data.dtype == dtype
    assert maps["sfr"].uncertainty.array.dtype == dtype
    assert maps.mean("sfr").dtype == dtype
    assert maps.percentile("sfr", 2.5).dtype == dtype


def test_half_precision_and_whole_numbers_are_widened(normal_arrays):
    arrays = {
        "sfr": normal_arrays([[1.0]], 0.25, dtype=np.float16),
        "stellar_age": PropertyArrays(np.arange(5).reshape(5, 1, 1)),
    }
    maps = PropertyMaps(arrays, quality=None, pixel_solid_angle=1 * u.arcsec**2)
    assert maps["sfr"].data.dtype == np.float32
    assert maps["stellar_age"].data.dtype == np.float64
    assert maps["stellar_age"].data[0, 0] == 2


def test_foreign_byte_order_becomes_native(normal_arrays):
    arrays = normal_arrays([[1.0, 2.0]], 0.25, dtype=">f4")
    assert arrays.percentiles.dtype == np.dtype(">f4")
    maps = PropertyMaps({"sfr": arrays}, quality=None, pixel_solid_angle=1 * u.arcsec**2)
    assert maps.mean("sfr").dtype == np.dtype("f4")
    assert maps.mean("sfr").dtype.isnative
    np.testing.assert_array_equal(maps.mean("sfr").value, [[1, 2]])


def test_nothing_is_copied_without_need(normal_arrays):
    arrays = normal_arrays(np.ones((3, 4)), 0.1, dtype=np.float32)
    maps = PropertyMaps({"sfr": arrays}, quality=None, pixel_solid_angle=1 * u.arcsec**2)
    assert np.shares_memory(maps["sfr"].data, arrays.percentiles)
    assert np.shares_memory(maps.mean("sfr"), arrays.mean)
    assert np.shares_memory(maps[:2, :2].mean("sfr"), arrays.mean)
    assert arrays.mean.flags.writeable, "the caller's own array was locked"


def test_arrays_cannot_be_written_to(make_maps):
    shape = (20, 24)
    maps = make_maps(
        bins=np.zeros(shape, int), systematics={"sky:g": {"sfr": np.ones(shape, np.float32)}}
    )
    ccd = maps["sfr"]
    for array in (
        ccd.data,
        ccd.mask,
        ccd.uncertainty.array,
        maps.mean("sfr"),
        maps.percentile("sfr", 16),
        maps.quality,
        maps.bins,
        maps.masks["sfr"],
        maps.systematics["sky:g"]["sfr"],
        maps.pixel_solid_angle_map(),
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = array[0, 1]
    for mapping in (maps.masks, maps.shared_error, maps.systematics, maps.meta):
        with pytest.raises(TypeError):
            mapping["x"] = 1
    with pytest.raises(TypeError):
        maps["sfr"] = ccd


def test_changing_what_was_handed_out_changes_nothing(make_maps):
    maps = make_maps(meta={"parameters": {"bands": ["g"]}})
    maps.meta["parameters"]["bands"].append("r")
    assert maps.meta["parameters"]["bands"] == ["g"]
    ccd = maps["sfr"]
    ccd.data = np.zeros(maps.shape)
    ccd.mask = None
    assert maps["sfr"].mask is not None
    assert maps["sfr"].data.any()
    before = maps.wcs.wcs.crval.copy()
    maps.wcs.wcs.crval = before + 1
    ccd.wcs.wcs.crval = before + 2
    np.testing.assert_array_equal(maps.wcs.wcs.crval, before)


def test_changing_the_wcs_that_was_given_changes_nothing(normal_arrays, make_wcs):
    arrays = normal_arrays(np.ones((4, 5)), 0.1)
    wcs = make_wcs()
    maps = PropertyMaps({"sfr": arrays}, quality=None, wcs=wcs)
    before = wcs.wcs.crval.copy()
    wcs.wcs.crval = before + 1
    np.testing.assert_array_equal(maps.wcs.wcs.crval, before)


def test_masked_exactly_where_nan_or_without_data(normal_arrays):
    mean = np.ones((3, 4), dtype=np.float32)
    arrays = {
        "sfr": normal_arrays(mean, 0.1, dtype=np.float32, samples=np.ones((2, 3, 4), np.float32)),
        "stellar_mass": normal_arrays(mean, 0.1, dtype=np.float32),
    }
    arrays["sfr"].percentiles[4, 0, 1] = np.nan  # one percentile is enough
    arrays["sfr"].percentiles[0, 1, 1] = -np.inf
    quality = np.zeros((3, 4), dtype=int)
    quality[2, 2] = int(QualityFlag.NO_DATA) | int(QualityFlag.MISSING_BAND)
    quality[2, 3] = int(QualityFlag.MISSING_BAND)
    maps = PropertyMaps(arrays, quality=quality, pixel_solid_angle=1 * u.arcsec**2)
    masked = {"sfr": [(0, 1), (1, 1), (2, 2)], "stellar_mass": [(2, 2)]}
    for name, pixels in masked.items():
        expected = np.zeros((3, 4), dtype=bool)
        expected[tuple(np.transpose(pixels))] = True
        np.testing.assert_array_equal(maps[name].mask, expected)
        np.testing.assert_array_equal(np.isnan(maps[name].data), expected)
        np.testing.assert_array_equal(np.isnan(maps[name].uncertainty.array), expected)
        np.testing.assert_array_equal(np.isnan(maps.mean(name)), expected)
        for q in PERCENTILES:
            np.testing.assert_array_equal(np.isnan(maps.percentile(name, q)), expected)
    np.testing.assert_array_equal(np.isnan(maps.samples("sfr")).all(axis=0), maps["sfr"].mask)
    # The caller's arrays were not touched.
    assert np.isfinite(arrays["stellar_mass"].percentiles).all()


def test_a_mean_that_is_not_finite_masks_too(normal_arrays):
    arrays = normal_arrays(np.ones((1, 3)), 0.1)
    arrays.mean[0, 1] = np.inf
    maps = PropertyMaps({"sfr": arrays}, quality=None, pixel_solid_angle=1 * u.arcsec**2)
    np.testing.assert_array_equal(maps["sfr"].mask, [[False, True, False]])


def test_quality_of_the_arrays_is_combined(normal_arrays):
    one = normal_arrays(np.ones((1, 3)), 0.1, quality=np.array([[0, 4, 8]]))
    two = normal_arrays(np.ones((1, 3)), 0.1, quality=np.array([[16, 16, 0]]))
    maps = PropertyMaps(
        {"sfr": one, "stellar_mass": two}, quality=None, pixel_solid_angle=1 * u.arcsec**2
    )
    np.testing.assert_array_equal(maps.quality, [[16, 20, 8]])
    assert maps.quality.dtype == np.int32


def test_percentiles(maps):
    for q in PERCENTILES:
        plane = maps.percentile("sfr", q)
        assert plane.unit == PROPERTIES["sfr"].unit
        np.testing.assert_array_equal(maps.percentile("sfr", np.float64(q)), plane)
    assert (maps.percentile("sfr", 97.5) - maps.percentile("sfr", 2.5) > 0)[
        ~maps["sfr"].mask
    ].all()


def test_definitions_of_a_plugin():
    metal = Property("dust_mass", u.Msun / u.pc**2, "surface_density", None, "dust", "of dust")
    plane = np.ones((5, 2, 2))
    maps = PropertyMaps(
        {"dust_mass": PropertyArrays(plane, plane[0])},
        quality=None,
        pixel_solid_angle=1 * u.arcsec**2,
        definitions={"dust_mass": metal},
    )
    assert maps.definition("dust_mass") == metal
    assert maps["dust_mass"].unit == u.Msun / u.pc**2


def test_distances(maps):
    assert maps.luminosity_distance == 90 * u.Mpc
    np.testing.assert_allclose(maps.angular_diameter_distance.value, 90 / 1.02**2, rtol=1e-14)


def test_solid_angle_without_wcs(make_maps):
    maps = make_maps(pixel_solid_angle=0.2 * u.arcsec**2)
    assert maps.pixel_solid_angle == 0.2 * u.arcsec**2
    assert (maps.pixel_solid_angle_map() == 0.2 * u.arcsec**2).all()
    assert maps.pixel_solid_angle_map().shape == maps.shape


def test_pickle(make_maps):
    maps = make_maps(
        meta={"bands": ["g"]},
        bins=np.arange(480).reshape(20, 24),
        systematics={"sky:g": {"sfr": np.ones((20, 24))}},
        shared_error={"stellar_mass": 0.1},
    )
    again = pickle.loads(pickle.dumps(maps))
    np.testing.assert_array_equal(again["sfr"].data, maps["sfr"].data)
    np.testing.assert_array_equal(again.quality, maps.quality)
    np.testing.assert_array_equal(again.bins, maps.bins)
    assert again.meta == maps.meta
    assert again.shared_error == maps.shared_error
    assert not again.mean("sfr").flags.writeable
    assert again.wcs.wcs.compare(maps.wcs.wcs, tolerance=1e-9)


def test_one_can_iterate_over_items(maps):
    assert [ccd.unit for ccd in maps.values()] == [maps.definition(n).unit for n in maps]


# ---- slicing --------------------------------------------------------------------------------


def test_slicing_keeps_everything(make_maps):
    shape = (20, 24)
    maps = make_maps(
        bins=np.arange(480).reshape(shape),
        systematics={"sky:g": {"sfr": np.arange(480.0).reshape(shape)}},
        shared_error={"stellar_mass": 0.1},
        noise_scaling=lambda n: 2.0,
        meta={"estimator": "none"},
    )
    cut = maps[3:11, 5:-2]
    window = np.s_[3:11, 5:22]
    assert cut.shape == (8, 17)
    for name in maps:
        np.testing.assert_array_equal(cut[name].data, maps[name].data[window])
        np.testing.assert_array_equal(cut[name].mask, maps[name].mask[window])
    np.testing.assert_array_equal(cut.quality, maps.quality[window])
    np.testing.assert_array_equal(cut.bins, maps.bins[window])
    np.testing.assert_array_equal(
        cut.systematics["sky:g"]["sfr"], maps.systematics["sky:g"]["sfr"][window]
    )
    assert cut.shared_error == maps.shared_error
    assert cut.noise_scaling is maps.noise_scaling
    assert cut.meta == maps.meta
    assert cut.redshift == maps.redshift
    assert cut.luminosity_distance == maps.luminosity_distance


@pytest.mark.parametrize("sip", [False, True])
def test_slicing_keeps_the_sky(make_maps, make_wcs, sip):
    maps = make_maps(wcs=make_wcs(angle=20, sip=sip))
    cut = maps[4:15, 7:20]
    here = maps.wcs.all_pix2world([[7, 4], [12, 9]], 0)
    np.testing.assert_allclose(cut.wcs.all_pix2world([[0, 0], [5, 5]], 0), here, atol=1e-11)
    np.testing.assert_allclose(
        cut.pixel_solid_angle_map().value,
        maps.pixel_solid_angle_map()[4:15, 7:20].value,
        rtol=1e-6,
    )


bounds = st.tuples(st.integers(0, 7), st.integers(1, 8)).filter(lambda ab: ab[0] < ab[1])


@given(rows=bounds, columns=bounds, seed=st.integers(0, 2**16), holes=st.floats(0, 0.6))
def test_slicing_commutes_with_everything_pixelwise(rows, columns, seed, holes):
    rng = np.random.default_rng(seed)
    percentiles = np.sort(rng.normal(size=(5, 8, 8)).astype(np.float32), axis=0)
    percentiles[:, rng.random((8, 8)) < holes] = np.nan
    mean = rng.normal(size=(8, 8)).astype(np.float32)
    samples = rng.normal(size=(3, 8, 8)).astype(np.float32)
    quality = rng.integers(0, 255, (8, 8))

    def make(window):
        cut = (..., *window)
        return PropertyMaps(
            {"sfr": PropertyArrays(percentiles[cut], mean[cut], samples[cut])},
            quality=quality[window],
            pixel_solid_angle=1 * u.arcsec**2,
        )

    window = slice(*rows), slice(*columns)
    sliced, direct = make(np.s_[:, :])[window], make(window)
    for q in PERCENTILES:
        np.testing.assert_array_equal(sliced.percentile("sfr", q), direct.percentile("sfr", q))
    np.testing.assert_array_equal(sliced.mean("sfr"), direct.mean("sfr"))
    np.testing.assert_array_equal(sliced.samples("sfr"), direct.samples("sfr"))
    np.testing.assert_array_equal(sliced["sfr"].mask, direct["sfr"].mask)
    np.testing.assert_array_equal(sliced["sfr"].uncertainty.array, direct["sfr"].uncertainty.array)
    np.testing.assert_array_equal(sliced.quality, direct.quality)


def test_slicing_twice_is_slicing_once(maps):
    once, twice = maps[5:12, 6:20], maps[3:18, 2:21][2:9, 4:18]
    np.testing.assert_array_equal(once["sfr"].data, twice["sfr"].data)
    np.testing.assert_allclose(once.wcs.wcs.crpix, twice.wcs.wcs.crpix)


def test_unknown_property_is_both_errors(maps):
    with pytest.raises(InvalidInputError):
        maps.mean("nonsense")
    with pytest.raises(KeyError):
        maps.mean("nonsense")
