"""Simulation particles: readers, ages, hydrogen, deposit, and the galaxies they make."""

import astropy.units as u
import h5py
import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM

from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    InvalidTypeError,
    PicassssoWarning,
)
from picasssso.mocks.galaxy_maps import join_galaxies
from picasssso.mocks.particles.gridding import share_between_ages
from picasssso.mocks.particles.header import SimulationCosmology
from picasssso.mocks.particles.hydrogen import (
    molecular_fraction,
    neutral_fraction,
    star_formation_pressure,
)
from picasssso.mocks.particles.smoothing import deposit, neighbor_distance
from picasssso.mocks.particles.snapshots import _shrinking_sphere, read_particles

H, SCALE, MATTER = 0.7, 0.8, 0.3
KPC, MSUN, YEAR = 3.0856775814913673e21, 1.988409870698051e33, 3.15576e7


@pytest.fixture(scope="module")
def table(paper_table):
    return paper_table


def known_galaxy(n_stars=200, n_gas=60):
    """A flattened galaxy in kpc, Msun and Gyr, as every layout here is to give back."""
    rng = np.random.default_rng(5)
    stars = rng.normal(size=(n_stars, 3)) * [3.0, 2.5, 0.5]
    gas = rng.normal(size=(n_gas, 3)) * [5.0, 5.0, 0.3]
    formation = rng.uniform(0.1, 0.79, n_stars)
    return {
        "stars": stars - stars.mean(axis=0),
        "gas": gas - gas.mean(axis=0),
        "initial": rng.uniform(1.0, 2.0, n_stars) * 1e6,
        "mass": rng.uniform(0.5, 1.0, n_stars) * 1e6,
        "formation": formation,
        "metals": rng.uniform(0.001, 0.04, n_stars),
        "gas_mass": rng.uniform(0.5, 2.0, n_gas) * 1e6,
        "gas_metals": rng.uniform(0.001, 0.03, n_gas),
        "rate": np.where(np.arange(n_gas) % 2, rng.uniform(1e-4, 1e-2, n_gas), 0.0),
        # Hydrogen per cm3; dense and cool, or thin and hot.
        "density": np.where(np.arange(n_gas) % 3, 1.0, 1e-4),
        "temperature": np.where(np.arange(n_gas) % 3, 8e3, 1e6),
    }


LAYOUTS = {
    "EAGLE": {
        "attributes": ("CGSConversionFactor", "aexp-scale-exponent", "h-scale-exponent"),
        "length": (1e3 * KPC, 1.0, -1.0),
        "mass": (1e10 * MSUN, 0.0, -1.0),
        "rate": (MSUN / YEAR, 0.0, 0.0),
        "density": (1e10 * MSUN / (1e3 * KPC) ** 3, -3.0, 2.0),
        "names": ("Mass", "InitialMass", "StellarFormationTime", "SmoothedMetallicity",
                  "StarFormationRate", "Density", "Temperature"),
    },
    "Illustris": {
        "attributes": None,
        "length": (3.085678e21, 1.0, -1.0),
        "mass": (1.989e43, 0.0, -1.0),
        "rate": (MSUN / YEAR, 0.0, 0.0),
        "density": (1.989e43 / 3.085678e21**3, -3.0, 2.0),
        "names": ("Masses", "GFM_InitialMass", "GFM_StellarFormationTime", "GFM_Metallicity",
                  "StarFormationRate", "Density", None),
    },
    "SWIFT": {
        "attributes": ("Conversion factor to CGS (not including cosmological corrections)",
                       "a-scale exponent", "h-scale exponent"),
        "length": (1e3 * KPC, 1.0, 0.0),
        "mass": (1e10 * MSUN, 0.0, 0.0),
        "rate": (6.444e23, 0.0, 0.0),
        "density": (1e10 * MSUN / (1e3 * KPC) ** 3, -3.0, 0.0),
        "names": ("Masses", "InitialMasses", "BirthScaleFactors", "MetalMassFractions",
                  "StarFormationRates", "Densities", "Temperatures"),
    },
    "Magneticum": {
        "attributes": ("CGSConversionFactor", "aexp-scale-exponent", "h-scale-exponent"),
        "length": (KPC, 1.0, -1.0),
        "mass": (1e10 * MSUN, 0.0, -1.0),
        "rate": (MSUN / YEAR, 0.0, 0.0),
        "density": (1e10 * MSUN / KPC**3, -3.0, 2.0),
        "names": ("Mass", "InitialMass", "StellarFormationTime", "Metallicity",
                  "StarFormationRate", "Density", "Temperature"),
    },
}  # fmt: skip


def write_snapshot(path, kind, galaxy, shift=(1e4, 2e4, 3e4), box=None):
    """Write a galaxy in a layout; ``shift`` and ``box`` in kpc."""
    layout = LAYOUTS[kind]
    mass, initial, formation, metals, rate, density, temperature = layout["names"]
    hydrogen = 0.76 * (1.0 - galaxy["gas_metals"])
    grams = galaxy["density"] * 1.67262192e-24 / hydrogen

    with h5py.File(path, "w") as file:

        def put(group, name, values, unit=None, cgs=1.0):
            factor = 1.0
            if unit is not None:
                number, a, h = layout[unit]
                factor = number * SCALE**a * H**h / cgs
            data = file.create_dataset(f"{group}/{name}", data=np.asarray(values) / factor)
            if layout["attributes"] and unit is not None:
                for attribute, value in zip(layout["attributes"], layout[unit], strict=True):
                    data.attrs[attribute] = value

        head = file.create_group("Header")
        if kind == "SWIFT":
            head.attrs["Time"] = 0.0119  # in its own unit, not the scale factor
            head.attrs["Redshift"] = [1.0 / SCALE - 1.0]
            cosmology = file.create_group("Cosmology")
            for name, value in (("h", H), ("Omega_m", MATTER), ("Omega_lambda", 1.0 - MATTER)):
                cosmology.attrs[name] = [value]
        else:
            head.attrs["Time"] = SCALE
            head.attrs["HubbleParam"] = H
            head.attrs["Omega0"] = MATTER
            head.attrs["OmegaLambda"] = 1.0 - MATTER
        if box is not None:
            number, a, h = layout["length"]
            head.attrs["BoxSize"] = box / (number * SCALE**a * H**h / KPC)
        for group, key in (("PartType4", "stars"), ("PartType0", "gas")):
            position = galaxy[key] + np.array(shift)
            put(group, "Coordinates", position if box is None else position % box, "length", KPC)
        put("PartType4", mass, galaxy["mass"], "mass", MSUN)
        put("PartType4", initial, galaxy["initial"], "mass", MSUN)
        put("PartType4", formation, galaxy["formation"])
        put("PartType0", mass, galaxy["gas_mass"], "mass", MSUN)
        if kind == "Magneticum":
            for group, z, of in (("PartType4", "metals", "initial"),
                                 ("PartType0", "gas_metals", "gas_mass")):  # fmt: skip
                elements = np.zeros((len(galaxy[z]), 11))
                elements[:, 0] = 0.25 * galaxy[of]
                elements[:, 4] = galaxy[z] * galaxy[of]
                put(group, metals, elements, "mass", MSUN)
        else:
            put("PartType4", metals, galaxy["metals"])
            put("PartType0", metals, galaxy["gas_metals"])
        put("PartType0", rate, galaxy["rate"], "rate", MSUN / YEAR)
        put("PartType0", density, grams, "density", 1.0)
        if temperature is not None:
            put("PartType0", temperature, galaxy["temperature"])
        else:
            weight = 4.0 / (1.0 + 3.0 * hydrogen + 4.0 * hydrogen)
            energy = galaxy["temperature"] * 1.5 * 1.380649e-16 / (weight * 1.67262192e-24)
            put("PartType0", "InternalEnergy", energy / 1e10)
            put("PartType0", "ElectronAbundance", np.ones(len(energy)))
    return path


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_layout_gives_the_known_galaxy(tmp_path, kind):
    galaxy = known_galaxy()
    number, a, h = LAYOUTS[kind]["length"]
    unit = number * SCALE**a * H**h / KPC
    particles = read_particles(
        write_snapshot(tmp_path / "snap.hdf5", kind, galaxy),
        center=np.array([1e4, 2e4, 3e4]) / unit,
    )
    assert particles.layout == kind
    assert particles.redshift == pytest.approx(1.0 / SCALE - 1.0)
    stars, gas = particles.stars, particles.gas
    # The units of some layouts round the mass of the Sun to 4 digits.
    np.testing.assert_allclose(stars.position, galaxy["stars"], atol=0.01)
    np.testing.assert_allclose(gas.position, galaxy["gas"], atol=0.01)
    for found, key in (
        (stars.mass, "mass"),
        (stars.initial_mass, "initial"),
        (stars.metallicity, "metals"),
        (gas.mass, "gas_mass"),
        (gas.metallicity, "gas_metals"),
        (gas.star_formation_rate, "rate"),
    ):
        np.testing.assert_allclose(found, galaxy[key], rtol=1e-3)  # fmt: skip
    cosmology = FlatLambdaCDM(H0=100 * H, Om0=MATTER, Tcmb0=0)
    age = cosmology.age(1 / SCALE - 1) - cosmology.age(1 / galaxy["formation"] - 1)
    np.testing.assert_allclose(stars.age, age.to_value(u.Gyr), rtol=1e-4)
    # Dense gas is neutral, hot gas is not (star-forming gas counts as warm but is thin).
    cold = gas.hi_mass + gas.h2_mass
    hydrogen = galaxy["gas_mass"] * 0.76 * (1 - galaxy["gas_metals"])
    dense = galaxy["density"] > 0.1
    assert (cold[dense] > 0.95 * hydrogen[dense]).all()
    assert (cold[~dense] < 0.02 * hydrogen[~dense]).all()


def test_a_galaxy_across_the_edge_of_the_box_is_whole_and_centered(tmp_path):
    galaxy = known_galaxy()
    path = write_snapshot(tmp_path / "s.hdf5", "EAGLE", galaxy, shift=(0.5, 0, 0), box=5e4)
    particles = read_particles(path)
    assert np.abs(particles.stars.position).max() < 20.0
    assert np.abs(np.median(particles.stars.position, axis=0)).max() < 1.5
    assert len(read_particles(path, radius=3.0).stars.mass) < len(particles.stars.mass)


def test_wind_particles_are_gas_and_left_out(tmp_path):
    galaxy = known_galaxy()
    galaxy["formation"][:7] = -0.3
    path = write_snapshot(tmp_path / "s.hdf5", "Illustris", galaxy)
    particles = read_particles(path)
    assert len(particles.stars.mass) == 193
    assert any("7 wind" in note for note in particles.notes)


def test_swift_species_are_used_as_they_are(tmp_path):
    path = write_snapshot(tmp_path / "s.hdf5", "SWIFT", known_galaxy())
    with h5py.File(path, "a") as file:
        count = len(file["PartType0/Masses"])
        file["PartType0/ElementMassFractions/Hydrogen"] = np.full(count, 0.75)
        file["PartType0/SpeciesFractions/HI"] = np.full(count, 0.5)
        file["PartType0/SpeciesFractions/H2"] = np.full(count, 0.1)
    gas = read_particles(path).gas
    np.testing.assert_allclose(gas.hi_mass, gas.mass * 0.375)
    np.testing.assert_allclose(gas.h2_mass, gas.mass * 0.15)


def test_neutral_abundance_of_the_file_counts_except_for_star_forming_gas(tmp_path):
    path = write_snapshot(tmp_path / "s.hdf5", "Illustris", known_galaxy())
    with h5py.File(path, "a") as file:
        count = len(file["PartType0/Masses"])
        file["PartType0/NeutralHydrogenAbundance"] = np.full(count, 0.25)
    gas = read_particles(path).gas
    hydrogen = gas.mass * 0.76 * (1 - gas.metallicity)
    quiet = gas.star_formation_rate == 0
    cold = gas.hi_mass + gas.h2_mass
    np.testing.assert_allclose(cold[quiet], 0.25 * hydrogen[quiet])
    assert not np.allclose(cold[~quiet], 0.25 * hydrogen[~quiet])


def test_without_density_and_temperature_a_prescription_is_named(tmp_path):
    path = write_snapshot(tmp_path / "s.hdf5", "EAGLE", known_galaxy())
    with h5py.File(path, "a") as file:
        del file["PartType0/Density"], file["PartType0/Temperature"]
    particles = read_particles(path)
    assert np.isfinite(particles.gas.hi_mass).all()
    notes = " ".join(particles.notes)
    assert "16 neighbors" in notes
    assert "Rahmati" in notes
    assert "Blitz" in notes


# --- parts -------------------------------------------------------------------------------


def test_cosmic_time_agrees_with_astropy():
    ours = SimulationCosmology(h=0.6777, omega_matter=0.307, omega_lambda=0.693)
    theirs = FlatLambdaCDM(H0=67.77, Om0=0.307, Tcmb0=0)
    scale = np.array([0.05, 0.2, 0.5, 0.9, 1.0])
    expected = theirs.age(1 / scale - 1).to_value(u.Gyr)
    np.testing.assert_allclose(ours.cosmic_time(scale), expected, rtol=2e-5)


def test_neutral_gas_is_dense_and_cool():
    density = np.logspace(-6, 3, 40)
    cool = neutral_fraction(density, np.full(40, 1e4), 0.0)
    assert (np.diff(cool) > -1e-9).all()
    assert cool[0] < 1e-4
    assert cool[-1] > 0.99
    assert neutral_fraction(np.array([1.0]), np.array([1e6]), 0.0)[0] < 1e-4
    # The stronger background of redshift 2 ionises more.
    assert neutral_fraction(np.array([3e-3]), np.array([1e4]), 2.0) < neutral_fraction(
        np.array([3e-3]), np.array([1e4]), 0.0
    )


def test_molecules_follow_pressure_and_pressure_follows_star_formation():
    assert molecular_fraction(np.array([1e3]))[0] < 0.05
    assert molecular_fraction(np.array([1e7]))[0] > 0.99
    # 10 Msun/pc2 of gas forms 1.515e-4 * 10^1.4 Msun/yr/kpc2.
    mass = 10e6
    pressure = star_formation_pressure(np.array([mass]), np.array([1.515e-4 * 10**1.4]))
    sigma = 10 * MSUN / 3.0857e18**2
    expected = 6.674e-8 * sigma**2 * 0.6 / 1.3807e-16
    np.testing.assert_allclose(pressure, expected, rtol=1e-3)


@pytest.mark.parametrize("size", [0.0, 0.3, 1.0, 2.7, 9.0, 40.0])
def test_deposit_keeps_sums_and_centers(size):
    x, y = np.array([31.3, 27.8]), np.array([30.1, 35.4])
    values = np.array([[1.0, 3.0], [2.0, 0.0]])
    image = deposit(x, y, np.full(2, size), values, (120, 100))
    assert image.shape == (2, 120, 100)
    assert (image >= 0).all()
    reach = size < 20
    np.testing.assert_allclose(image.sum(axis=(1, 2)), [4.0, 2.0], rtol=1e-6 if reach else 0.1)
    if reach:
        middle = (image[0].sum(axis=0) * np.arange(100)).sum() / 4.0
        assert middle == pytest.approx((31.3 + 3 * 27.8) / 4.0, abs=1e-4)


def test_deposit_of_what_is_outside_reaches_in():
    edge = deposit(np.array([-3.0]), np.array([16.0]), np.array([8.0]), np.ones((1, 1)), (33, 33))
    assert 0.0 < edge.sum() < 0.5
    far = deposit(np.array([-30.0]), np.array([16.0]), np.array([8.0]), np.ones((1, 1)), (33, 33))
    assert far.sum() == 0.0


def test_sizes_are_those_of_16_neighbors():
    line = np.zeros((100, 3))
    line[:, 0] = np.arange(100)
    distance = neighbor_distance(line)
    assert distance[50] == 8.0
    assert distance[0] == 16.0
    assert (neighbor_distance(line[:1]) == 0.0).all()
    assert neighbor_distance(line[:3])[0] == 2.0


def test_shares_between_ages_keep_mean_ages_and_star_formation():
    from picasssso.mocks.age_bins import AGE_CENTERS

    age = np.array([0.001, 0.05, 0.25, 0.7, 3.3, 9.0, 11.4])
    share = share_between_ages(age)
    np.testing.assert_allclose(share.sum(axis=0), 1.0)
    np.testing.assert_allclose((AGE_CENTERS @ share / 1e9)[2:], age[2:], rtol=1e-6)
    np.testing.assert_allclose(share[0, :2], [1.0, 0.0])
    np.testing.assert_allclose(share[1, :2], [0.0, 1.0])
    assert (share[:2, 2:] == 0).all()
    assert share_between_ages(np.array([13.5]))[-1, 0] == 1.0


# --- galaxies ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def particles(tmp_path_factory):
    path = tmp_path_factory.mktemp("particles") / "s.hdf5"
    return read_particles(write_snapshot(path, "EAGLE", known_galaxy()))


WIDE = {"n_pixels": 56, "pixel_scale": 1.0 * u.kpc, "redshift": 0.05}


def totals(galaxies, table):
    sums = table.light(galaxies).truth.sums[0].sum(dim=(1, 2)).double().numpy()
    return sums * float(galaxies.pixel_scale_kpc[0]) ** 2


def test_totals_are_the_particles_sums(particles, table):
    stars, gas = particles.stars, particles.gas
    galaxies = particles.to_galaxies(**WIDE)
    mass, metals, mass_age, _, cold, cold_metals, hi, *_ = totals(galaxies, table)
    assert mass == pytest.approx(stars.mass.sum(), rel=1e-3)
    assert metals == pytest.approx((stars.mass * stars.metallicity).sum(), rel=1e-3)
    assert mass_age == pytest.approx((stars.mass * stars.age).sum(), rel=2e-3)
    assert hi == pytest.approx(gas.hi_mass.sum(), rel=1e-3)
    neutral = gas.hi_mass + gas.h2_mass
    assert cold == pytest.approx(1.36 * neutral.sum(), rel=1e-3)
    assert cold_metals == pytest.approx(1.36 * (neutral * gas.metallicity).sum(), rel=1e-3)
    all_gas = particles.to_galaxies(**WIDE, phase="all")
    assert totals(all_gas, table)[4] == pytest.approx(gas.mass.sum(), rel=1e-3)
    formed = particles.to_galaxies(**WIDE, stellar_mass="formed").mass_formed
    assert float(formed.sum()) == pytest.approx(stars.initial_mass.sum(), rel=1e-3)


@pytest.mark.parametrize("view", ["x", "y", "edge-on", (1.0, 2.0, -0.5)])
def test_totals_do_not_depend_on_the_line_of_sight(particles, table, view):
    face = totals(particles.to_galaxies(**WIDE), table)
    seen = totals(particles.to_galaxies(**WIDE, line_of_sight=view), table)
    np.testing.assert_allclose(seen[:7], face[:7], rtol=1e-3)


def test_edge_on_is_flatter_than_face_on(particles):
    def flattening(view):
        galaxy = particles.to_galaxies(**WIDE, line_of_sight=view).mass_formed[0].sum(0).numpy()
        y, x = np.indices(galaxy.shape) - 27.5
        return np.sqrt((galaxy * y**2).sum() / (galaxy * x**2).sum())

    # Without velocities the shortest axis counts, which is z here.
    assert flattening("edge-on") < 0.6
    assert flattening("face-on") > 0.8


def test_turning_the_sky_by_90_degrees_turns_the_maps(particles):
    galaxies = particles.to_galaxies(**WIDE, dust=1.0)
    turned = particles.to_galaxies(**WIDE, position_angle=90.0, dust=1.0)
    for name in ("mass_formed", "hi_mass", "attenuation"):
        expected = getattr(galaxies.rotate(1), name).numpy()
        np.testing.assert_allclose(
            getattr(turned, name).numpy(), expected, rtol=1e-4, atol=1e-5 * expected.max()
        )


def test_dust_dims_and_reddens(particles, table):
    dusty = table.light(particles.to_galaxies(**WIDE, line_of_sight="x", dust=10.0))
    clear = table.light(particles.to_galaxies(**WIDE, line_of_sight="x", dust=0.0))
    ratio = dusty.surface_brightness.sum((0, 2, 3)) / clear.surface_brightness.sum((0, 2, 3))
    assert ratio[0] < ratio[1] < ratio[2] < 1.0
    np.testing.assert_allclose(dusty.truth.sums[:, :7].numpy(), clear.truth.sums[:, :7].numpy())


def test_star_formation_of_the_gas_replaces_young_particles(particles, table):
    sfr = totals(particles.to_galaxies(**WIDE, young_stars="gas"), table)[3]
    assert sfr == pytest.approx(particles.gas.star_formation_rate.sum(), rel=1e-3)


def test_any_grid(particles):
    galaxies = particles.to_galaxies(
        n_pixels=(30, 50), pixel_scale=0.396 * u.arcsec, redshift=0.03
    )
    assert galaxies.shape == (30, 50)
    assert float(galaxies.pixel_scale) == pytest.approx(0.396)
    default = particles.to_galaxies()
    assert float(default.redshift) == pytest.approx(0.25)
    field = 64 * float(default.pixel_scale_kpc)
    assert field == pytest.approx(10 * particles.half_mass_radius(), rel=1e-5)
    joined = join_galaxies([default, particles.to_galaxies(line_of_sight="x", index=1)])
    assert len(joined) == 2
    assert joined.index.tolist() == [0, 1]
    with pytest.raises(InvalidInputError, match="one shape"):
        join_galaxies([default, galaxies])
    with pytest.raises(InvalidInputError, match="No galaxies"):
        join_galaxies([])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"phase": "hot"}, InvalidInputError, "'cold', 'all'"),
        ({"line_of_sight": "up"}, InvalidInputError, "face-on"),
        ({"line_of_sight": (0, 0, 0)}, InvalidInputError, "not a direction"),
        ({"pixel_scale": 0.4}, InvalidTypeError, "no unit"),
        ({"pixel_scale": 0.4 * u.Msun}, InvalidInputError, "neither an angle"),
        ({"pixel_scale": -1 * u.kpc}, InvalidInputError, "above 0"),
        ({"redshift": 0.0}, InvalidInputError, "redshift 0, which was given"),
        ({"n_pixels": 0}, InvalidInputError, "n_pixels=0"),
        ({"dust": -1.0}, InvalidInputError, "dust"),
        ({"stellar_mass": "all"}, InvalidInputError, "'current', 'formed'"),
    ],
)
def test_impossible_arguments_are_refused(particles, arguments, error, message):
    with pytest.raises(error, match=message):
        particles.to_galaxies(**arguments)


# --- bad files ---------------------------------------------------------------------------


def _delete(*names):
    def change(file):
        for name in names:
            del file[name]

    return change


def _set(name, values):
    def change(file):
        file[name][...] = values

    return change


def _set_attribute(group, name, value):
    def change(file):
        file[group].attrs[name] = value

    return change


def _shorten(name):
    def change(file):
        values = file[name][:-3]
        attributes = dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_delete("PartType4"), "no group PartType4"),
        (_delete("Header"), "no group Header"),
        (_delete("PartType4/InitialMass", "PartType4/Mass"), "lacks Mass, which a file of EAGLE"),
        (_delete("PartType4/SmoothedMetallicity"), "SmoothedMetallicity or Metallicity"),
        (_delete("PartType4/StellarFormationTime"), "layout of PartType4 is not known"),
        (_delete("PartType0/StarFormationRate"), "PartType0 lacks StarFormationRate"),
        (lambda f: f["Header"].attrs.__delitem__("HubbleParam"), "lacks the Hubble constant"),
        (lambda f: [f["Header"].attrs.__delitem__(n) for n in ("Time", "Omega0")],
         "scale factor .*; the density of matter"),
        (_set_attribute("Header", "Time", 3.5), "scale factor 3.5"),
        (lambda f: f["PartType4/Mass"].attrs.__delitem__("h-scale-exponent"),
         "unit of /PartType4/Mass is not known"),
        (_set_attribute("PartType4/Mass", "CGSConversionFactor", 0.0), "unit of 0"),
        (_set("PartType4/Coordinates", np.nan), "not finite"),
        (_set("PartType4/Mass", -1.0), "negative"),
        (_set("PartType4/StellarFormationTime", 0.95), "form after the snapshot"),
        (_set("PartType4/StellarFormationTime", -1.0), "holds no stars"),
        (_set("PartType4/SmoothedMetallicity", 7.0), "mass fractions between 0 and 1"),
        (_shorten("PartType4/Mass"), "differ in length"),
        (_shorten("PartType0/Mass"), "differ in length"),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong(tmp_path, change, message):
    path = write_snapshot(tmp_path / "bad.hdf5", "EAGLE", known_galaxy(30, 20))
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FileFormatError, match=message):
        read_particles(path)


def test_files_that_are_not_hdf5(tmp_path):
    with pytest.raises(FileFormatError, match="no file"):
        read_particles(tmp_path / "none.hdf5")
    text = tmp_path / "text.hdf5"
    text.write_text("not a snapshot")
    with pytest.raises(FileFormatError, match="another kind of file"):
        read_particles(text)
    whole = write_snapshot(tmp_path / "whole.hdf5", "EAGLE", known_galaxy())
    cut = tmp_path / "cut.hdf5"
    cut.write_bytes(whole.read_bytes()[:-4000])
    with pytest.raises(FileFormatError, match=r"cut short|damaged"):
        read_particles(cut)


def test_arguments_of_reading(tmp_path):
    path = write_snapshot(tmp_path / "s.hdf5", "EAGLE", known_galaxy(30, 20))
    for arguments, message in (
        ({"layout": "Gasoline"}, "expected one of 'EAGLE'"),
        ({"center": (1, 2)}, "three finite numbers"),
        ({"radius": -2}, "above 0"),
        ({"center": (0, 0, 0), "radius": 1.0}, "no stars within 1 kpc"),
        ({"subhalo": 2}, "belong together"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_particles(path, **arguments)
    with h5py.File(path, "a") as file:
        file["Header"].attrs["NumFilesPerSnapshot"] = 16
    with pytest.warns(PicassssoWarning, match="one of 16 files"):
        read_particles(path)


def test_a_galaxy_without_gas_is_a_galaxy(tmp_path, table):
    path = write_snapshot(tmp_path / "s.hdf5", "EAGLE", known_galaxy(30, 20))
    with h5py.File(path, "a") as file:
        del file["PartType0"]
    particles = read_particles(path)
    assert "no gas in the file" in particles.notes
    light = table.light(particles.to_galaxies(redshift=0.05))
    assert light.surface_brightness.sum() > 0
    assert (light.truth.sums[:, 4] == 0).all()


# --- real files --------------------------------------------------------------------------

REAL = {
    "SimSpin_EAGLE.hdf5": ("EAGLE", 2.98e9),
    "SimSpin_Colibre.hdf5": ("SWIFT", 1.13e10),
    "SimSpin_Magneticum.hdf5": ("Magneticum", 4.03e9),
    "camels_snap.hdf5": ("Illustris", 4.76e10),
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_from_end_to_end(shared_data, table, name):
    layout, mass = REAL[name]
    path = shared_data / "particles" / name
    arguments = {}
    if name == "camels_snap.hdf5":
        catalog = shared_data / "particles" / "camels_subhalo.hdf5"
        everything = read_particles(path)
        assert everything.stars.mass.sum() == pytest.approx(mass, rel=0.01)
        arguments = {"catalog": catalog, "subhalo": 0}
        with pytest.raises(InvalidInputError, match="0 to 9"):
            read_particles(path, catalog=catalog, subhalo=10)
    particles = read_particles(path, **arguments)
    assert particles.layout == layout
    stars, gas = particles.stars, particles.gas
    if not arguments:
        assert stars.mass.sum() == pytest.approx(mass, rel=0.01)
    assert 0.5 < particles.half_mass_radius() < 20.0
    assert 1.0 < np.average(stars.age, weights=stars.mass) < 13.0
    # Gas is used up by star formation in 1e8 to 1e13 yr.
    assert 1e8 < gas.mass.sum() / gas.star_formation_rate.sum() < 1e13
    reach = max(np.abs(stars.position).max(), np.abs(gas.position).max())
    galaxies = particles.to_galaxies(
        n_pixels=48, redshift=0.05, pixel_scale=4.0 * reach / 48 * u.kpc
    )
    light = table.light(galaxies)
    assert np.isfinite(light.surface_brightness.numpy()).all()
    sums = totals(galaxies, table)
    assert sums[0] == pytest.approx(stars.mass.sum(), rel=1e-3)
    assert sums[1] == pytest.approx((stars.mass * stars.metallicity).sum(), rel=1e-3)
    assert sums[4] == pytest.approx(1.36 * (gas.hi_mass + gas.h2_mass).sum(), rel=1e-3)
    flux = light.surface_brightness.sum((0, 2, 3)).numpy()
    assert 0.3 < -2.5 * float(np.log10(flux[1] / flux[2])) < 1.2


@pytest.mark.parametrize("far", [0.0, 1.0, np.inf])
def test_particles_in_one_place_have_a_center(far):
    """Of whose sphere no radius is small enough, as of positions that a damaged file makes 0."""
    position = np.full((40, 3), 2.0)
    position[0] += far
    np.testing.assert_allclose(_shrinking_sphere(position, np.ones(40)), 2.0)
