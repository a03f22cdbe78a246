"""Estimators on real galaxies: painting, comparing, and the command, on made-up catalogs."""

import json

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS
from click.testing import CliRunner
from photutils.aperture import EllipticalAperture

from picasssso.cli import cli
from picasssso.evaluation.real.catalog_galaxies import (
    estimate_galaxies,
    galaxy_figures,
    paint_catalog_galaxy,
    total_light,
)
from picasssso.evaluation.real.colors import color_figures, estimate_colors
from picasssso.evaluation.real.comparison import compare_truths, compare_values
from picasssso.evaluation.real.estimates import RealEstimator, describe_region
from picasssso.evaluation.real.fields import Field, move_to_redshift
from picasssso.evaluation.real.gas_scaling import compare_gas
from picasssso.evaluation.real.painting import (
    GalaxyProfile,
    major_axis_factor,
    observe_profile,
    paint_profile,
)
from picasssso.evaluation.real.published_tables import GALAXY_BANDS, GalaxyCatalog
from picasssso.evaluation.real.rings import (
    compare_rates,
    estimate_rings,
    read_rings,
    ring_figures,
)
from picasssso.evaluation.real.runs import collect_real, run_real
from picasssso.evaluation.real.samples import is_real, load_real_configuration
from picasssso.exceptions import FileFormatError, InvalidInputError

BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
RADIUS = np.array([0.22, 0.67, 1.02, 1.74, 2.97, 4.58, 7.36, 11.3, 18.0, 27.9, 43.8, 68.3])
#: Colors of an old galaxy: flux relative to r.
COLORS = np.array([0.005, 0.02, 0.17, 0.49, 1.0, 1.36, 1.64])


def exponential(scale=3.0, brightness=4.0):
    """Mean r-band brightness of an exponential disk in annuli, nmgy per arcsec2."""
    x = RADIUS / scale
    inside = 2 * np.pi * scale**2 * brightness * (1 - (1 + x) * np.exp(-x))
    return np.diff(inside, prepend=0) / (np.pi * np.diff(RADIUS**2, prepend=0))


def write_catalog(path, n=6, seed=3):
    """A catalog of n exponential galaxies in the layout of the documentation."""
    rng = np.random.default_rng(seed)
    profile = exponential(brightness=40.0)[None, :, None] * COLORS
    profile = profile * 10 ** rng.uniform(-0.3, 0.3, (n, 1, 1))
    flux = (profile * (np.pi * np.diff(RADIUS**2, prepend=0))[None, :, None]).sum(axis=1)
    dust = np.full((n, 7), 0.1)
    known = np.arange(n) % 2 == 0
    table = Table(
        {
            "nsa_id": np.arange(100, 100 + n),
            "redshift": rng.uniform(0.02, 0.04, n),
            "flux": flux * 10**0.04,
            "flux_ivar": 1e6 / flux**2,
            "galactic_extinction": dust,
            "profile_flux": profile * 0.396**2,
            "profile_radius": np.tile(RADIUS, (n, 1)),
            "sersic_r50": np.full(n, 5.0),
            "axis_ratio": rng.uniform(0.4, 1.0, n),
            "position_angle": rng.uniform(0, 180, n),
            "log_mass": MaskedColumn(np.full(n, 10.0), mask=~known),
            "log_sfr": MaskedColumn(np.where(np.arange(n) < 3, -2.0, 0.0), mask=~known),
            "attenuation_v": MaskedColumn(np.full(n, 0.2), mask=~known),
            "firefly_lw_age_1re": MaskedColumn(np.full(n, 0.5), mask=known),
            "firefly_mw_age_1re": MaskedColumn(np.full(n, 0.8), mask=known),
            "log_hi_mass": MaskedColumn(np.full(n, 9.3), mask=np.arange(n) != 2),
        }
    )
    table.write(path)
    return table


@pytest.fixture
def catalog(tmp_path):
    write_catalog(tmp_path / "galaxies.fits")
    return GalaxyCatalog.read(tmp_path / "galaxies.fits")


# ---- painting ---------------------------------------------------------------------------


@pytest.mark.parametrize(("axis_ratio", "angle"), [(1.0, 0.0), (0.5, 30.0), (0.3, 120.0)])
def test_painted_annuli_have_the_flux_of_the_profile(axis_ratio, angle):
    profile = GalaxyProfile(BANDS, RADIUS[:9], exponential()[None, :9] * COLORS[2:, None],
                            axis_ratio, angle)  # fmt: skip
    side = 8 * int(np.ceil(2.2 * RADIUS[8] * major_axis_factor(axis_ratio) / 0.4 / 8))
    image = paint_profile(profile, (side, side), 0.4)
    np.testing.assert_allclose(image.sum(axis=(1, 2)), profile.fluxes.sum(axis=1), rtol=2e-3)
    inside = 0.0
    for k, radius in enumerate(RADIUS[:9]):
        semi = radius * major_axis_factor(axis_ratio) / 0.4
        if semi * axis_ratio < 4:  # an ellipse of a few pixels cuts through bright pixels
            continue
        aperture = EllipticalAperture(((side - 1) / 2,) * 2, semi, semi * axis_ratio,
                                      theta=np.deg2rad(angle + 90))  # fmt: skip
        inside = aperture.do_photometry(image[2], method="subpixel", subpixels=10)[0][0]
        expected = profile.fluxes[2, : k + 1].sum()
        assert inside == pytest.approx(expected, rel=0.01)
    assert inside > 0


def test_circular_apertures_hold_half_of_an_inclined_disk_where_the_profile_says_so():
    axis_ratio = 0.4
    profile = GalaxyProfile(BANDS[2:3], RADIUS[:10], exponential()[None, :10], axis_ratio)
    image = paint_profile(profile, (256, 256), 0.4)[0]
    y, x = np.indices(image.shape)
    distance = 0.4 * np.hypot(x - 127.5, y - 127.5)
    half = 1.678 * 3.0
    assert image[distance < half].sum() / image.sum() == pytest.approx(0.5, abs=0.02)


def test_major_axis_lies_at_its_position_angle():
    profile = GalaxyProfile(BANDS[2:3], RADIUS[:9], exponential()[None, :9], 0.3, 90.0)
    image = paint_profile(profile, (64, 64), 0.8)[0]
    y, x = np.indices(image.shape) - 31.5
    # East is left and west right: along x.
    assert (image * x**2).sum() > 5 * (image * y**2).sum()
    assert abs((image * x).sum()) < 1e-6 * image.sum() * 64


def test_painted_disk_is_as_bright_as_the_disk_that_the_profile_is_of():
    scale = 6.0
    profile = GalaxyProfile(BANDS[2:3], RADIUS[:10], exponential(scale)[None, :10])
    image = paint_profile(profile, (128, 128), 0.4)[0]
    y, x = np.indices(image.shape)
    radius = 0.4 * np.hypot(x - 63.5, y - 63.5)
    expected = 4.0 * np.exp(-radius / scale) * 0.4**2
    inside = radius < 18
    np.testing.assert_allclose(image[inside], expected[inside], rtol=0.12)


def test_profiles_are_checked():
    with pytest.raises(InvalidInputError, match="brightness has the shape"):
        GalaxyProfile(BANDS, RADIUS, np.ones((2, 3)))
    with pytest.raises(InvalidInputError, match="increase"):
        GalaxyProfile(BANDS[:1], RADIUS[::-1], np.ones((1, len(RADIUS))))
    with pytest.raises(InvalidInputError, match="axis_ratio"):
        GalaxyProfile(BANDS[:1], RADIUS, np.ones((1, len(RADIUS))), 0.0)
    faint = GalaxyProfile(BANDS, RADIUS, np.full((5, len(RADIUS)), 1e-6))
    with pytest.raises(InvalidInputError, match="nothing to paint"):
        observe_profile(faint, redshift=0.03)


def test_signal_ends_at_the_first_annulus_without():
    rows = np.ones((5, len(RADIUS)))
    rows[1, 7] = -1.0
    assert GalaxyProfile(BANDS, RADIUS, rows).n_detected() == 7
    rows[2, 4] = 1e-4
    assert GalaxyProfile(BANDS, RADIUS, rows).n_detected() == 4


def test_observed_galaxy_has_the_stated_noise_and_is_the_same_each_time():
    profile = GalaxyProfile(BANDS, RADIUS, exponential()[None] * COLORS[2:, None])
    first, again, other = (observe_profile(profile, redshift=0.03, seed=s) for s in (1, 1, 2))
    flux, weight = first.images.to_arrays()
    np.testing.assert_array_equal(flux, again.images.to_arrays()[0])
    residual = (flux - other.images.to_arrays()[0]) * np.sqrt(weight / 2)
    assert residual.std() == pytest.approx(1, abs=0.02)
    assert first.images.shape[0] % 8 == 0
    assert 64 <= first.images.shape[0] <= 128


def test_extinction_is_corrected_for():
    profile = GalaxyProfile(BANDS, RADIUS, exponential()[None] * COLORS[2:, None])
    plain = observe_profile(profile, redshift=0.03)
    lifted = observe_profile(profile, redshift=0.03, extinction=np.full(5, 0.25))
    ratio = lifted.images.to_arrays()[0] / plain.images.to_arrays()[0]
    np.testing.assert_allclose(ratio, 10**0.1, rtol=1e-4)
    np.testing.assert_allclose(lifted.flux, plain.flux * 10**0.1)


def test_large_galaxies_get_coarser_pixels_with_a_sampled_psf():
    profile = GalaxyProfile(BANDS, RADIUS, exponential(12.0)[None] * COLORS[2:, None])
    images = observe_profile(profile, redshift=0.02).images
    scale = images.pixel_scale.to_value(u.arcsec)
    assert images.shape == (128, 128)
    assert scale > 0.65
    assert images.psf[BANDS[2]].to_value(u.arcsec) >= 2 * scale * (1 - 1e-9)


# ---- comparing --------------------------------------------------------------------------


def test_planted_offset_scatter_and_coverage_are_found():
    rng = np.random.default_rng(4)
    published = rng.uniform(9, 11, 20000)
    estimate = published + 0.12 + rng.normal(0, 0.08, 20000)
    found = compare_values(estimate, published, estimate - 0.2, estimate + 0.2)
    assert found["mean"] == pytest.approx(0.12, abs=0.003)
    assert found["nmad"] == pytest.approx(0.08, rel=0.03)
    assert found["own_error"] == pytest.approx(0.2)
    # Within 0.2 of a normal of mean 0.12 and sigma 0.08.
    assert found["in_68"] == pytest.approx(0.8413, abs=0.01)


def test_comparison_leaves_out_what_is_not_finite():
    found = compare_values([1.0, np.nan, 3.0], [1.0, 2.0, np.inf])
    assert (found["n"], found["mean"], found["in_68"]) == (1, 0.0, None)
    assert compare_values([], [])["mean"] is None
    with pytest.raises(InvalidInputError, match="one for each"):
        compare_values([1.0], [1.0, 2.0])


def test_no_lower_limit_reaches_down():
    found = compare_values([0.0], [-3.0], [np.nan], [0.1])
    assert found["in_68"] == 1.0


def test_truths_are_compared(tmp_path):
    mass = np.array([9.0, 10.0, 11.0, np.nan])
    Table(
        {
            "log_mass_taylor": mass - 0.1, "log_mass_mcgaugh": mass + 0.2, "log_mass_gswlc": mass,
            "log_sfr_22": mass - 10, "log_sfr_nuvir": mass - 10, "log_sfr_gswlc": mass - 10.5,
        }
    ).write(tmp_path / "alfalfa.fits")  # fmt: skip
    found = {one["what"]: one for one in compare_truths({"alfalfa": "alfalfa.fits"}, tmp_path)}
    taylor = found["stellar mass: Taylor et al. (2011) less GSWLC-2"]
    assert (taylor["n"], round(taylor["mean"], 6)) == (3, -0.1)
    assert found["star formation rate: 22 micron less GSWLC-2"]["median"] == pytest.approx(0.5)


# ---- catalog --------------------------------------------------------------------------


def test_catalog_lacking_a_column_says_so(tmp_path):
    table = write_catalog(tmp_path / "a.fits")
    table.remove_column("axis_ratio")
    table.write(tmp_path / "b.fits")
    with pytest.raises(FileFormatError, match="lacks the columns axis_ratio"):
        GalaxyCatalog.read(tmp_path / "b.fits")
    with pytest.raises(FileFormatError, match="There is no catalog"):
        GalaxyCatalog.read(tmp_path / "none.fits")


def test_choice_grows_and_holds_each_once(catalog):
    few, more = (catalog.choose({"gswlc": k, "hi": 5}, seed=1) for k in (2, 3))
    assert set(few) <= set(more)
    assert sorted(more) == [0, 2, 4]
    with pytest.raises(InvalidInputError, match="expected some of gswlc"):
        catalog.choose({"moon": 1})


def test_mass_of_painted_galaxy_is_that_of_its_light(catalog):
    estimator = RealEstimator({"name": "mass_to_light"})
    painted = [paint_catalog_galaxy(catalog, k, seed=1) for k in range(3)]
    maps = estimator.estimate([one.images for one in painted])
    sums = [describe_region(m, p.aperture)["stellar_mass"][0]
            for m, p in zip(maps, painted, strict=True)]  # fmt: skip
    for of in ("total", "annuli"):
        whole = RealEstimator({"name": "mass_to_light", "images": of})
        light = [total_light(catalog, k, of=of) for k in range(3)]
        one_pixel = [describe_region(m)["stellar_mass"][0] for m in whole.estimate(light)]
        np.testing.assert_allclose(np.log10(sums), np.log10(one_pixel), atol=0.03)


def test_bands_without_a_measurement_are_left_out(catalog):
    band = BANDS[0]
    catalog.table["flux_ivar"][1, GALAXY_BANDS.index(band)] = 0.0
    assert tuple(total_light(catalog, 0)) == BANDS
    assert tuple(total_light(catalog, 1)) == BANDS[1:]


def test_rounding_redshifts_keeps_luminosities(catalog):
    exact, rounded = (
        RealEstimator({"name": "mass_to_light", "images": "total", "redshift_step": step})
        for step in (0.0, 1e-2)
    )
    light = [total_light(catalog, k) for k in range(4)]
    mass = [[describe_region(m)["stellar_mass"][0] for m in one.estimate(light)]
            for one in (exact, rounded)]  # fmt: skip
    np.testing.assert_allclose(np.log10(mass[0]), np.log10(mass[1]), atol=0.02)


def test_figures_of_galaxies_with_known_answers(catalog):
    def total(value, low, high):
        return [value, low, low, value, high, high]

    records = [
        {
            "number": k,
            "properties": {
                "stellar_mass": total(10**10.1, 10**9.9, 10**10.3),
                "sfr": total(10**-1.5 if k < 3 else 1.0, 0.0, 2.0),
                "attenuation_v": total(0.5, 0.4, 0.6),
                "gas_mass": total(10**9.6 if k == 0 else 1e8, 1e7, 1e10),
            },
            "ring": {"stellar_age": total(10**0.9, 6.0, 9.0)},
            "outside_training": 0.25,
        }
        for k in range(6)
    ]
    found = galaxy_figures(catalog, records)
    assert found["mass"]["n"] == 3
    assert found["mass"]["median"] == pytest.approx(0.1)
    assert found["mass"]["in_68"] == 1.0
    assert found["mass_quiescent"]["n"] == 2  # rows 0 and 2; row 4 forms stars
    assert found["attenuation"]["mean"] == pytest.approx(0.3)
    assert found["attenuation"]["in_68"] == 0.0
    assert found["sfr_star_forming"]["mean"] == pytest.approx(0.0)
    assert found["age_mass_weighted"]["n"] == 3
    assert found["age_mass_weighted"]["mean"] == pytest.approx(0.1)
    assert found["quiescent_recognized"] == {"n": 2, "share": 1.0}
    # Row 2 has detected HI.
    assert found["quiescent_without_gas"] == {"n": 1, "share": 0.0}
    assert found["outside_training"] == 0.25


def test_ages_at_the_effective_radius(catalog):
    record = estimate_galaxies(
        catalog, [1], RealEstimator({"name": "sed_fit", "images": "annuli",
                                       "parameters": {"n_models": 500, "device": "cpu"}})
    )[0]  # fmt: skip
    assert record["ring"]["stellar_age"] == record["properties"]["stellar_age"]
    assert len(record["properties"]["attenuation_v"]) == 6


# ---- rings ------------------------------------------------------------------------------


def write_disk(folder, sky=0.3):
    """Images of a round exponential disk of constant color around a known place, and rings."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [100.5, 100.5]
    wcs.wcs.cdelt = [-1.5 / 3600, 1.5 / 3600]
    y, x = np.indices((200, 200)) - 99.5
    light = 100.0 * np.exp(-1.5 * np.hypot(x, y) / 30.0)
    for band, color in zip("gri", (0.49, 1.0, 1.36), strict=True):
        fits.writeto(folder / f"{band}.fits", color * light + sky, wcs.to_header())
    radius = np.arange(0.2, 4.0, 0.4)
    Table(
        {
            "galaxy": ["N1"] * len(radius), "radius_kpc": radius,
            "sigma_hi": np.full(len(radius), 5.0),
            "sigma_h2": np.where(radius < 1, 8.0, np.nan),
            "sigma_star": 100 * np.exp(-radius), "sigma_sfr": np.full(len(radius), 20.0),
        }
    ).write(folder / "rings.ecsv")  # fmt: skip
    return {
        "files": {f"sdss2010-{band}": f"{band}.fits" for band in "gri"},
        "sky_beyond": 140.0, "distance": 10.0, "redshift": 0.03, "block": 4,
        "center": [150.0, 2.0], "inclination": 0.0, "position_angle": 0.0,
        "rings": {"file": "rings.ecsv", "galaxy": "N1", "distance": 5.0, "within": 5.0},
    }  # fmt: skip


def test_rings_are_read_at_another_distance(tmp_path):
    write_disk(tmp_path)
    found = read_rings(tmp_path / "rings.ecsv", "N1", distance_ratio=2.0, imf=0.5)
    assert found["radius"][1] == pytest.approx(1.2)
    assert found["gas_mass"][0] == pytest.approx(13e6)
    assert found["gas_mass"][-1] == pytest.approx(5e6)
    assert found["stellar_mass"][0] == pytest.approx(50e6 * np.exp(-0.2))
    assert found["sfr"][0] == pytest.approx(1e-3)
    with pytest.raises(InvalidInputError, match="its galaxies are N1"):
        read_rings(tmp_path / "rings.ecsv", "M 31")


def test_rate_of_a_galaxy_is_compared_with_forming_galaxies_of_its_color(tmp_path):
    description = write_disk(tmp_path)
    table = write_catalog(tmp_path / "nsa.fits", n=8)
    table["flux"][:, 3] = 0.49 * table["flux"][:, 4]
    # Specific rates are 1e-12, 1e-12, 1e-10 and 1e-10 / yr, and one galaxy is redder.
    table["flux"][6, 3] *= 0.9
    found = compare_rates(description, GalaxyCatalog(table), tmp_path)
    radius = np.arange(0.2, 2.5, 0.4)
    rate = 20e-4 * radius.sum() / (1e8 * radius * np.exp(-radius)).sum()
    assert found["n"] == 1
    assert found["mean"] == pytest.approx(np.log10(rate) + 10, abs=1e-6)
    assert found["what"] == "N1: SFR per mass less GSWLC-X2's of galaxies of its g-r, 0.77"


def test_moving_a_galaxy_keeps_its_luminosity_and_sky_is_gone(tmp_path):
    from astropy.cosmology import Planck18

    description = write_disk(tmp_path)
    field = Field.read(description, tmp_path)
    images, kpc = move_to_redshift(field, distance=10 * u.Mpc, redshift=0.03, block=4)
    assert kpc == pytest.approx(6.0 / 206265 * 1e4, rel=1e-4)
    scale = images.pixel_scale.to(u.rad).value
    assert scale * Planck18.angular_diameter_distance(0.03).to_value(u.kpc) == pytest.approx(kpc)
    ratio = images.to_arrays()[0].sum(axis=(1, 2)) / field.flux.sum(axis=(1, 2))
    expected = 1.03 * (10 / Planck18.luminosity_distance(0.03).value) ** 2
    np.testing.assert_allclose(ratio, expected, rtol=0.03)


def test_rings_of_a_disk_fall_as_its_light(tmp_path):
    description = write_disk(tmp_path)
    record = estimate_rings(description, tmp_path, RealEstimator({"name": "mass_to_light"}))
    entry = record["properties"]["stellar_mass"]
    estimate = np.array(entry["estimate"])
    radius = np.array(record["radius"])
    # 30 arcsec at 10 Mpc are 1.454 kpc.
    middle = (radius > 0.8) & (radius < 4)
    slope = np.polyfit(radius[middle], np.log(estimate[middle]), 1)[0]
    assert slope == pytest.approx(-1 / 1.454, rel=0.03)
    figures = ring_figures(record)
    assert figures["stars"]["n"] == len(radius)
    assert "gas" not in figures
    with pytest.raises(InvalidInputError, match="need maps"):
        estimate_rings(
            description, tmp_path, RealEstimator({"name": "mass_to_light", "images": "total"})
        )


# ---- the command ------------------------------------------------------------------------

CONFIGURATION = """
kind = "real"
seed = 1
cosmology = {H0 = 70.4, Om0 = 0.272}

[estimators.maps]
label = "color M/L of each pixel"
name = "mass_to_light"

[estimators.total]
label = "color M/L of the total light"
name = "mass_to_light"
images = "total"

[galaxies]
catalog = "galaxies.fits"
counts = {gswlc = 3}

[[rings]]
id = "disk"
files = {sdss2010-g = "g.fits", sdss2010-r = "r.fits", sdss2010-i = "i.fits"}
sky_beyond = 140.0
distance = 10.0
redshift = 0.03
block = 4
center = [150.0, 2.0]
inclination = 0.0
position_angle = 0.0
rings = {file = "rings.ecsv", galaxy = "N1", distance = 5.0, within = 5.0}

[[fields]]
id = "field"
files = {sdss2010-g = "g.fits", sdss2010-r = "r.fits", sdss2010-i = "i.fits"}
sky_beyond = 140.0
redshift = 0.02
side = 64
galaxies = [{name = "N1", ra = 150.0, dec = 2.0, radius = 45.0, log_mass = [9.0, 9.2]}]

[small]
counts = {gswlc = 1}

[[requirements]]
what = "stellar mass: offset"
figure = "galaxies.maps.mass.median"
between = [-5.0, 5.0]
unit = "dex"

[[requirements]]
what = "a tiny difference"
figure = "field.total.N1.difference"
between = [-1e-9, 1e-9]

[[requirements]]
what = "not measured"
figure = "galaxies.none.mass.median"
between = [0.0, 1.0]
"""


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    write_catalog(folder / "galaxies.fits")
    write_disk(folder)
    (tmp_path / "real.toml").write_text(CONFIGURATION)
    return folder


def run(tmp_path, data, *more):
    arguments = ["evaluate", str(tmp_path / "real.toml"), "-o", str(tmp_path / "kept")]
    arguments += [] if data is None else ["--data", str(data)]
    return CliRunner().invoke(cli, [*arguments, *more])


def test_command_measures_and_says_what_is_met(tmp_path, data):
    result = run(tmp_path, data)
    assert result.exit_code == 0, result.output
    assert "met    stellar mass: offset" in result.output
    assert "MISSED a tiny difference" in result.output
    assert "not measured" not in result.output
    written = tmp_path / "kept" / "results"
    content = json.loads((written / "real.json").read_text())
    assert content["parts"]["galaxies"]["estimators"]["maps"]["mass"]["n"] == 3
    assert "total" not in content["parts"]["disk"]["estimators"]
    masses = [
        content["parts"]["field"]["estimators"][k]["N1"]["log_mass"] for k in ("maps", "total")
    ]
    assert masses[0] == pytest.approx(masses[1], abs=0.03)
    assert [one["met"] for one in content["requirements"]] == [True, False, None]
    for name in ("real_requirements.inc", "real_galaxies.inc", "real_disk.inc", "real_field.inc",
                 "real_galaxies_mass.png", "real_disk.png"):  # fmt: skip
        assert (written / name).stat().st_size > 100, name
    assert "list-table" in (written / "real_disk.inc").read_text()
    requirements = (written / "real_requirements.inc").read_text()
    assert "within ± 5 dex" in requirements
    assert requirements.count("**missed**") == 1


def test_kept_measurements_are_not_repeated_and_more_are_added(tmp_path, data, monkeypatch):
    assert run(tmp_path, data, "--small", "-x", "galaxies", "-e", "maps").exit_code == 0
    configuration = load_real_configuration(tmp_path / "real.toml").select(
        ("galaxies",), ("maps",)
    )
    import picasssso.evaluation.real.runs as running

    asked = []
    original = running.estimate_galaxies

    def watch(catalog, numbers, *rest, **more):
        asked.extend(numbers)
        return original(catalog, numbers, *rest, **more)

    monkeypatch.setattr(running, "estimate_galaxies", watch)
    run_real(configuration, tmp_path / "kept", data, progress=False)
    assert len(asked) == 2
    run_real(configuration, tmp_path / "kept", data, progress=False)
    assert len(asked) == 2
    figures = collect_real(configuration, tmp_path / "kept", data)
    assert figures["parts"]["galaxies"]["estimators"]["maps"]["n_galaxies"] == 3


def test_command_needs_data_and_known_names(tmp_path, data):
    assert "--data FOLDER" in run(tmp_path, None).output
    assert "There is no experiment 'moon'" in run(tmp_path, data, "-x", "moon").output
    (data / "galaxies.fits").unlink()
    assert "There is no catalog" in run(tmp_path, data).output
    assert "no data folder" in run(tmp_path, tmp_path / "none", "-e", "maps").output


def test_damaged_file_is_named(tmp_path, data):
    assert run(tmp_path, data, "-x", "field", "-e", "maps").exit_code == 0
    kept = next((tmp_path / "kept").glob("field-*.json"))
    kept.write_text("{")
    result = run(tmp_path, data, "-x", "field", "-e", "maps")
    assert "is damaged" in result.output


def test_configurations_are_checked(tmp_path):
    path = tmp_path / "c.toml"
    for text, words in (
        ("kind = 'real'\nmoon = 1", "moon"),
        ("kind = 'real'\n[estimators.a]\nlabel = 'a'", "lacks name"),
        ("kind = 'real'\n[estimators.a]\nname = 'cnn'\nmoon = 1", "moon"),
        ("kind = 'real'\n[[rings]]\ntitle = 'a'", "lacks id"),
        ("kind = 'real'", "names nothing to run"),
    ):
        path.write_text(text)
        assert is_real(path)
        with pytest.raises(InvalidInputError, match=words):
            load_real_configuration(path)
    path.write_text("[common]")
    assert not is_real(path)
    assert not is_real(tmp_path / "none.toml")
    path.write_text("not toml")
    with pytest.raises(FileFormatError, match="is not valid TOML"):
        load_real_configuration(path)


def test_bands_of_the_catalog_are_bands():
    from picasssso.bands.band_names import resolve_band

    assert [resolve_band(band) for band in GALAXY_BANDS[2:]] == list(BANDS)


# ---- colors and gas ---------------------------------------------------------------------


def write_alfalfa(path, n=30):
    """Galaxies whose masses follow Taylor et al. (2011) exactly, seen through their own dust."""
    rng = np.random.default_rng(5)
    bright, color = rng.uniform(-22, -18, n), rng.uniform(0.3, 1.2, n)
    dust_g, dust_i = rng.uniform(0, 0.5, n), rng.uniform(0, 0.3, n)
    mass = 1.15 + 0.70 * color - 0.4 * bright
    table = Table(
        {
            "abs_mag_i": bright - dust_i,
            "g_minus_i": color - dust_g + dust_i,
            "internal_extinction_g": dust_g,
            "internal_extinction_i": dust_i,
            "log_mass_gswlc": MaskedColumn(mass, mask=np.arange(n) % 3 == 0),
            "log_mass_taylor": mass - 0.1,
        }
    )
    table.write(path, overwrite=True)


def test_masses_from_cataloged_colors_are_those_of_the_relation(tmp_path):
    write_alfalfa(tmp_path / "alfalfa.fits")
    estimator = RealEstimator({"name": "mass_to_light", "images": "total"})
    record = estimate_colors({"catalog": "alfalfa.fits", "count": 15}, tmp_path, estimator)
    figures = color_figures(record)
    assert figures["mass_gswlc"]["n"] == 15
    assert figures["mass_gswlc"]["median"] == pytest.approx(0, abs=0.02)
    assert figures["mass_gswlc"]["nmad"] < 0.02
    assert figures["mass_taylor"]["median"] == pytest.approx(0.1, abs=0.02)


def write_xgass(path, gas=-0.7, limit=-1.8, n=40):
    """Star-forming galaxies with one ratio of HI to stars, quiescent ones with limits."""
    mass = np.linspace(9.6, 9.9, 2 * n)
    forming = np.arange(2 * n) < n
    table = Table(
        {
            "log_mass": mass,
            "log_sfr": mass + np.where(forming, -10.0, -12.0),
            "log_hi_mass": mass + np.where(forming, gas, limit),
            "hi_flag": np.where(forming, 1, 99),
            "log_h2_mass": np.where(forming, mass + gas - 0.5, 0.0),
            "log_h2_limit": mass + limit,
        }
    )
    table.write(path, overwrite=True)


def test_gas_is_compared_at_fixed_mass_and_type_with_limits_counted(tmp_path):
    write_catalog(tmp_path / "galaxies.fits", n=40)
    write_xgass(tmp_path / "xgass.fits")
    table = Table.read(tmp_path / "galaxies.fits")
    table["log_mass"], table["log_sfr"] = 9.7, np.where(np.arange(40) < 20, -0.3, -2.5)
    catalog = GalaxyCatalog(table)
    hi = 10.0 ** np.where(np.arange(40) < 20, 9.2, 6.0)  # quiescent ones far below the limit
    hi[39] = -1e8
    records = [
        {"number": k, "properties": {"hi_mass": [one], "gas_mass": [1.36 * one + 10**8.5]}}
        for k, one in enumerate(hi)
    ]
    found = {
        (b["of"], b["kind"]): b for b in compare_gas(catalog, records, tmp_path / "xgass.fits")
    }
    forming, quiet = found["HI", "star-forming"], found["HI", "quiescent"]
    assert forming["edges"] == [9.5, 10.0]
    assert (forming["median"], forming["published"]) == pytest.approx((-0.5, -0.7))
    assert (quiet["detected"], quiet["n"]) == (0.0, 20)
    assert quiet["median"] == pytest.approx(quiet["published"])
    assert found["H2", "star-forming"]["median"] == pytest.approx(8.5 - 9.7)
    without = [{"number": 0, "properties": {"stellar_mass": [1.0]}}]
    assert compare_gas(catalog, without, tmp_path / "xgass.fits") == []
