"""Pairs of maps in, figures out; what must not be compared is refused."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.wcs import WCS

from picasssso.evaluation import compare_maps
from picasssso.evaluation.apertures import fit_apertures
from picasssso.evaluation.evaluation import Evaluation, check_comparable
from picasssso.evaluation.measures import Settings, join_records, measure
from picasssso.evaluation.stacks import MapStack
from picasssso.evaluation.summary import Bins, compare_scatter, summarize
from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import Property

LADDER = np.array([-1.959964, -0.994458, 0.0, 0.994458, 1.959964])[:, None, None]


def make_maps(values, *, error=0.1, meta=None, wcs=None, definitions=None, shift=1.0):
    """Maps of some properties with percentiles of so much relative error."""
    arrays = {}
    for name, array in values.items():
        array = np.asarray(array) * shift
        arrays[name] = PropertyArrays(array * (1 + error * LADDER), array)
    return PropertyMaps(
        arrays,
        quality=None,
        wcs=wcs,
        pixel_solid_angle=None if wcs is not None else 0.25 * u.arcsec**2,
        redshift=0.03,
        luminosity_distance=130 * u.Mpc,
        meta=meta,
        definitions=definitions,
    )


@pytest.fixture(scope="module")
def galaxies(disks):
    """True maps of mass, age and star formation of twelve galaxies."""
    return [
        {"stellar_mass": m, "stellar_age": np.full(m.shape, 4.0 + k), "sfr": 1e-10 * m}
        for k, m in enumerate(disks[0])
    ]


def test_figures_of_pairs_of_maps(galaxies):
    pairs = [(make_maps(g), make_maps(g, shift=10**0.1)) for g in galaxies[:4]]
    figures = compare_maps(pairs)
    assert figures["n_galaxies"] == 4
    for name in ("stellar_mass", "stellar_age", "sfr"):
        for part in ("aperture", "pixel"):
            assert figures["properties"][name][part]["mean"] == pytest.approx(0.1, rel=0.01)
            assert figures["properties"][name][part]["sigma"] < 1e-6
        rows = figures["properties"][name]["radial"]
        assert len(rows) == 10
        assert rows[2]["mean"] == pytest.approx(0.1, rel=0.01)
        assert figures["properties"][name]["gradient"]["difference"]["mean"] == pytest.approx(
            0, abs=1e-6
        )
    mass = figures["properties"]["stellar_mass"]
    # 0.1 dex is 26 %: beyond the 16-84 range of 10 % errors, and the 2.5-97.5 range.
    assert mass["pixel"]["calibration"]["coverage_68"] == 0
    assert mass["pixel"]["calibration"]["coverage_95"] == 0
    assert mass["aperture"]["calibration"]["coverage_95"] == 0
    assert mass["structure"]["similarity"]["median"] == pytest.approx(1)
    np.testing.assert_allclose(mass["structure"]["power"], 1)
    # Ages are those of galaxies: figures by age fall into their bins.
    rows = mass["aperture"]["by_age"]
    assert [row["n"] for row in rows] == [0, 0, 2, 2, 0]
    json.dumps(figures, allow_nan=False)


def test_pairs_and_stacks_give_the_same(galaxies):
    pairs = [(make_maps(g), make_maps(g, shift=1.2)) for g in galaxies[:3]]
    by_pair = Evaluation()
    for truth, estimate in pairs:
        by_pair.add_maps(truth, estimate)
    stacked = Evaluation()
    truth, estimate = (MapStack.from_maps(side) for side in zip(*pairs, strict=True))
    stacked.add(truth, estimate, fit_apertures(truth.values["stellar_mass"]))
    assert len(by_pair) == len(stacked) == 3
    names = [n for n in stacked.record() if n.startswith(("radial", "structure", "pixel"))]
    for name in names:
        np.testing.assert_allclose(by_pair.record()[name], stacked.record()[name], rtol=1e-5)


def test_derived_masses_and_the_oracle_mask():
    shape = (1, 8, 8)
    truth = MapStack(
        {
            "stellar_mass": np.full(shape, 1e8),
            "stellar_metallicity": np.full(shape, 0.02),
            "gas_mass": np.where(np.arange(8) < 4, 1e7, 0.0) * np.ones(shape),
            "gas_metallicity": np.where(np.arange(8) < 4, 0.01, np.nan) * np.ones(shape),
            "sfr": np.full(shape, 0.01),
        }
    ).with_derived()
    assert truth.values["stellar_metal_mass"][0, 0, 0] == pytest.approx(2e6)
    np.testing.assert_allclose(truth.values["gas_metal_mass"][0, 0], [1e5] * 4 + [0] * 4)
    assert truth.values["total_metal_mass"][0, 0, 0] == pytest.approx(2.1e6)
    assert truth.values["specific_sfr"][0, 0, 0] == pytest.approx(1e-10)
    estimate = MapStack({"gas_mass": np.full(shape, 2e7), "gas_metallicity": np.full(shape, 0.02)})
    masked = estimate.with_derived().with_oracle_mask(truth)
    np.testing.assert_allclose(masked.values["gas_mass"][0, 0], [2e7] * 4 + [0] * 4)
    np.testing.assert_allclose(masked.values["gas_metal_mass"][0, 0], [4e5] * 4 + [0] * 4)
    assert np.isnan(masked.values["gas_metallicity"][0, 0, 5])


def test_galaxies_without_gas_are_counted_not_compared(disks):
    maps = disks[0][:6]
    gas = 0.1 * maps
    gas[:2] = 0
    truth = MapStack({"stellar_mass": maps, "gas_mass": gas})
    estimate = MapStack({"stellar_mass": maps, "gas_mass": 0.2 * maps})
    apertures = fit_apertures(maps, method="moments")
    figures = summarize(measure(truth, estimate, apertures))["properties"]["gas_mass"]["aperture"]
    assert figures["n"] == 4
    assert figures["mean"] == pytest.approx(np.log10(2))
    assert figures["n_empty"] == 2
    assert figures["claimed_where_empty"] == 1.0
    # The oracle mask forgives what was claimed there.
    assert figures["oracle"]["n"] == 4


def test_sums_of_the_truth_leave_out_what_the_estimate_lacks(disks):
    maps = disks[0][:2]
    holed = maps.copy()
    holed[:, 20:30, 20:30] = np.nan
    apertures = fit_apertures(maps, method="moments")
    record = measure(
        MapStack({"stellar_mass": maps}), MapStack({"stellar_mass": holed}), apertures
    )
    np.testing.assert_allclose(
        record["aperture.true.stellar_mass"], record["aperture.estimate.stellar_mass"]
    )
    assert len(record["pixel.galaxy"]) <= 2 * Settings().pixels_per_galaxy
    assert np.isfinite(record["pixel.estimate.stellar_mass"]).all()


def test_the_same_pixels_are_kept_whatever_the_estimator_and_the_batch(disks):
    maps = disks[0][:4]
    apertures = fit_apertures(maps, method="moments")
    truth = MapStack({"stellar_mass": maps})
    settings = Settings(pixels_per_galaxy=50, structure=False)
    number = np.array([7, 8, 9, 10])
    whole = measure(truth, truth, apertures, settings, galaxy=number)
    other = MapStack({"stellar_mass": 3 * maps})
    parts = [
        measure(truth.select(part), other.select(part), apertures.select(part), settings,
                galaxy=number[part])
        for part in (slice(0, 1), slice(1, 4))
    ]  # fmt: skip
    joined = join_records(parts)
    for name in ("pixel.galaxy", "pixel.radius", "pixel.true.stellar_mass", "galaxy"):
        np.testing.assert_array_equal(joined[name], whole[name])
    assert len(whole["pixel.galaxy"]) == 200


def test_bins_by_signal_to_noise(disks):
    maps = disks[0][:4]
    apertures = fit_apertures(maps, method="moments")
    snr = np.where(np.arange(64) < 32, 5.0, 50.0) * np.ones(maps.shape)
    estimate = MapStack({"stellar_mass": maps * np.where(snr < 10, 2.0, 1.0)})
    record = measure(MapStack({"stellar_mass": maps}), estimate, apertures, signal_to_noise=snr)
    rows = summarize(record, bins=Bins(n_bootstrap=10))["properties"]["stellar_mass"]["pixel"]
    means = [row["mean"] for row in rows["by_snr"]]
    assert means[0] is None
    assert means[1] == pytest.approx(np.log10(2), rel=1e-4)
    assert means[2] is None
    assert means[3] == pytest.approx(0, abs=1e-6)


def test_sums_are_binned_by_the_mean_signal_to_noise_of_their_pixels(disks):
    maps = disks[0][:4]
    apertures = fit_apertures(maps, method="moments")
    level = np.array([1.0, 5.0, 15.0, 50.0])
    # What lies outside of the aperture does not count, nor do bad pixels.
    inside = apertures.weights(2.0) > 0
    snr = np.where(inside, level[:, None, None], 1e3)
    snr[:, 32, ::2] = np.nan
    estimate = MapStack({"stellar_mass": maps * level[:, None, None]})
    record = measure(MapStack({"stellar_mass": maps}), estimate, apertures, signal_to_noise=snr)
    np.testing.assert_allclose(record["aperture.snr"], level, rtol=1e-5)
    figures = summarize(record, bins=Bins(n_bootstrap=10))
    rows = figures["properties"]["stellar_mass"]["aperture"]["by_snr"]
    assert [row["mean"] for row in rows] == pytest.approx(np.log10(level), abs=1e-3)


def test_a_slope_with_density_is_found(disks):
    maps = disks[0]
    estimate = 1e8 * (maps / 1e8) ** 1.25
    # log10(estimate / truth) = 0.2 (log10 estimate - 8)
    apertures = fit_apertures(maps, method="moments")
    record = measure(
        MapStack({"stellar_mass": maps}), MapStack({"stellar_mass": estimate}), apertures
    )
    slope = summarize(record)["properties"]["stellar_mass"]["pixel"]["slope"]
    assert slope["value"] == pytest.approx(0.2, rel=0.01)


def other_sfr(text):
    return {"sfr": Property("sfr", u.Msun / u.yr / u.kpc**2, "surface_density", None, "SFR", text)}


def other_wcs(offset):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = (150.0, 2.0), (10.0 + offset, 10.0)
    wcs.wcs.cdelt = -1e-4, 1e-4
    return wcs


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ({}, {"meta": {"sfr_averaging_time": 10 * u.Myr}}, "over 100 Myr .* over 10 Myr"),
        ({}, {"definitions": other_sfr("in the last 10 Myr")}, "averaged over"),
        ({}, {"meta": {"mass_definition": "formed"}}, "mass formed in the estimate"),
        ({}, {"meta": {"parameters": {"mass_definition": "formed"}}}, "mass formed"),
        (
            {"meta": {"resolution_fwhm_arcsec": 1.0}},
            {"meta": {"resolution_fwhm": 1.4 * u.arcsec}},
            "resolution of 1 arcsec .* 1.4",
        ),
        ({"wcs": other_wcs(0)}, {"wcs": other_wcs(0.5)}, "0.5 pixels apart"),
    ],
)
def test_what_means_something_else_is_refused(galaxies, left, right, words):
    truth, estimate = (make_maps(galaxies[0], **options) for options in (left, right))
    with pytest.raises(InvalidInputError, match=words):
        check_comparable(truth, estimate)


def test_other_things_that_cannot_be_compared(galaxies):
    maps = make_maps(galaxies[0])
    with pytest.raises(InvalidTypeError, match="estimate is of type dict"):
        check_comparable(maps, {})
    with pytest.raises(InvalidInputError, match="on the same pixels"):
        check_comparable(maps, maps[:9, :9])
    with pytest.raises(InvalidInputError, match="Nothing can be compared"):
        check_comparable(make_maps({"sfr": galaxies[0]["sfr"]}),
                         make_maps({"gas_mass": galaxies[0]["sfr"]}))  # fmt: skip
    with pytest.raises(InvalidInputError, match="ellipse_from"):
        Evaluation().add_maps(*[make_maps({"sfr": galaxies[0]["sfr"]})] * 2)
    with pytest.raises(InvalidInputError, match="no measurements to join"):
        Evaluation().record()


def test_resolutions_may_differ_if_asked_for(galaxies):
    sharp = make_maps(galaxies[0], meta={"resolution_fwhm_arcsec": 0.5})
    blurred = make_maps(galaxies[0], meta={"resolution_fwhm_arcsec": 1.4})
    evaluation = Evaluation()
    with pytest.raises(InvalidInputError, match="any_resolution=True"):
        evaluation.add_maps(sharp, blurred)
    evaluation.add_maps(sharp, blurred, any_resolution=True, half_mass_radius=2 * u.kpc)
    assert len(evaluation) == 1


def test_percentiles_of_sums_come_from_joint_samples(disks):
    from photutils.aperture import EllipticalAperture

    from picasssso.evaluation.evaluation import total_percentiles

    mass = disks[0][0]
    rng = np.random.default_rng(3)
    # All pixels err together in mass, and the age with them.
    shift = 10 ** rng.normal(0, 0.1, 4001)[:, None, None]
    arrays = {}
    for name, values in (("stellar_mass", mass), ("stellar_age", np.full(mass.shape, 5.0))):
        percentiles = values * (1 + 0.1 * LADDER)
        arrays[name] = PropertyArrays(percentiles, values, (values * shift).astype(np.float32))
    maps = PropertyMaps(
        arrays, quality=None, pixel_solid_angle=0.25 * u.arcsec**2, redshift=0.03,
        luminosity_distance=130 * u.Mpc,
    )  # fmt: skip
    aperture = EllipticalAperture((31.5, 31.5), a=14, b=8, theta=0.4)
    found = total_percentiles(maps, aperture, 0.5)
    expected = np.percentile(shift, [2.5, 16, 50, 84, 97.5])
    inside = aperture.to_mask(method="exact").multiply(mass).sum() * 0.5
    np.testing.assert_allclose(found["stellar_mass"][0], inside * expected, rtol=1e-5)
    np.testing.assert_allclose(found["stellar_age"][0], 5 * expected, rtol=1e-5)


def test_scatter_is_compared_on_galaxies_that_both_have(disks):
    maps = disks[0]
    apertures = fit_apertures(maps, method="moments")
    rng = np.random.default_rng(4)
    shift = rng.normal(0, 0.1, len(maps))
    shift[8:] *= 5  # galaxies that only the second has
    truth = MapStack({"stellar_mass": maps})
    records = []
    for factor, part in ((0.5, slice(0, 8)), (1.0, slice(0, 12))):
        estimate = MapStack({"stellar_mass": maps * 10 ** (factor * shift)[:, None, None]})
        records.append(
            measure(truth.select(part), estimate.select(part), apertures.select(part),
                    signal_to_noise=np.full((12, 64, 64), 7.0)[part])
        )  # fmt: skip
    found = compare_scatter(*records, "stellar_mass", Bins(n_bootstrap=50))
    assert found["n_galaxies"] == 8
    for where in ("aperture", "pixel"):
        assert found[where]["sigma"] == pytest.approx(0.5, rel=1e-3)
        assert found[where]["rms"] == pytest.approx(0.5, rel=1e-3)
        assert found[where]["sigma_error"] < 0.01  # the same galaxies are drawn for both
        rows = found[where]["by_snr"]
        assert [row["sigma"] is None for row in rows] == [True, False, True, True]
