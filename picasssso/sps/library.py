"""Libraries of model populations with their fluxes: what a fit compares pixels with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.safe_files import short
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.sps.dust import AttenuationLaw, get_law, law_from_dict
from picasssso.sps.grid import SSPGrid
from picasssso.sps.histories import AgeBins
from picasssso.sps.model_files import Content, read_content, write_content
from picasssso.sps.photometry import SOLAR_SURFACE_BRIGHTNESS, SPEED_OF_LIGHT, GridPhotometry
from picasssso.sps.populations import age_of_universe, draw_populations
from picasssso.sps.priors import SEDPrior

if TYPE_CHECKING:
    import specutils
    from astropy.cosmology import FLRW


@dataclass(frozen=True, eq=False)
class ModelLibrary:
    """Model populations drawn from a prior, with fluxes and properties.

    Created with `ModelLibrary.build`. All quantities are per unit of stellar mass formed: divide
    by ``surviving_fraction`` for the mass in living stars and remnants.

    Parameters
    ----------
    bands : tuple of str
        Names of the filters (speclite).
    redshift : float
        The redshift.
    fluxes : ndarray
        Surface brightness of 1 Msun/kpc2 formed, in nmgy/arcsec2, of shape (n, n_band),
        float32. It does not depend on the distance (``picasssso.sps.photometry``).
    properties : mapping
        Names to arrays of shape (n,), float32: ``surviving_fraction`` (living stars and
        remnants per mass formed), ``stellar_metallicity`` (mass fraction) and
        ``stellar_age`` (Gyr) weighted by surviving mass, the same with ``_formed``
        weighted by the mass formed, ``ssfr100`` (mean star formation rate of the last
        100 Myr per mass formed, 1/yr), ``attenuation_v`` (mag).
    parameters : mapping
        The prior's parameters: names to arrays of shape (n,), float32.
    meta : mapping
        How the library was made: prior, seed, grid and its hash, law, cosmology.
    numbers : ndarray, optional
        Numbers of the models in the sequence of the prior, of shape (n,); models with the same
        number are identical at neighboring redshifts. None if read from a file.

    Examples
    --------
    >>> from picasssso.sps import ModelLibrary
    >>> library = ModelLibrary.build(["sdss2010-g", "sdss2010-i"], 0.05, n_models=100)
    >>> library.fluxes.shape, sorted(library.properties)[:2]
    ((100, 2), ['attenuation_v', 'ssfr100'])
    """

    bands: tuple[str, ...]
    redshift: float
    fluxes: np.ndarray
    properties: Mapping[str, np.ndarray]
    parameters: Mapping[str, np.ndarray]
    meta: Mapping[str, Any] = field(default_factory=dict)
    numbers: np.ndarray | None = None

    @property
    def n_models(self) -> int:
        """Number of models (int)."""
        return len(self.fluxes)

    def __reduce__(self) -> tuple[Any, ...]:
        # Read-only mappings cannot be pickled.
        return _make_library, (
            self.bands,
            self.redshift,
            self.fluxes,
            dict(self.properties),
            dict(self.parameters),
            dict(self.meta),
        )

    def __len__(self) -> int:
        return self.n_models

    def __repr__(self) -> str:
        return (
            f"<ModelLibrary of {self.n_models} models in {', '.join(self.bands)} at redshift "
            f"{self.redshift:g}, {self.meta.get('grid', 'unknown grid')}>"
        )

    @cached_property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that tell this library's numbers from others (str)."""
        digest = hashlib.sha256(f"{self.bands} {self.redshift!r}".encode())
        for name, array in (
            ("fluxes", self.fluxes),
            *sorted(self.properties.items()),
            *sorted(self.parameters.items()),
        ):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        return digest.hexdigest()[:16]

    @classmethod
    def build(
        cls,
        bands: Sequence[str],
        redshift: float,
        *,
        n_models: int = 50_000,
        prior: SEDPrior | None = None,
        grid: SSPGrid | None = None,
        attenuation_law: str | AttenuationLaw = "calzetti",
        nebular: bool = True,
        seed: int = 0,
        cosmology: FLRW | None = None,
    ) -> ModelLibrary:
        """Draw models from a prior and compute their fluxes.

        Parameters
        ----------
        bands : sequence of str
            Filter names of speclite.
        redshift : float
            Redshift of the stars.
        n_models : int, optional
            Number of models. Model k of a seed does not depend on their number; models older
            than the universe are replaced by later ones of the sequence.
        prior : SEDPrior, optional
            The prior; the default one if not given.
        grid : SSPGrid, optional
            Stellar grid; ``SSPGrid.default()`` if not given.
        attenuation_law : str or AttenuationLaw, optional
            ``"calzetti"``, ``"two_component"``, or a law.
        nebular : bool, optional
            Whether to include nebular emission: the continuum of the grid, and lines.
        seed : int, optional
            Seed of the draws.
        cosmology : `~astropy.cosmology.FLRW`, optional
            For the age of the universe, which limits the age of stars; Planck18 if not
            given.

        Returns
        -------
        ModelLibrary
            The library.

        Raises
        ------
        InvalidInputError
            If a band is unknown or not covered by the grid, or the prior extends beyond the grid
            or the age of the universe.
        """
        from astropy.cosmology import Planck18

        grid = SSPGrid.default() if grid is None else grid
        prior = SEDPrior() if prior is None else prior
        law = get_law(attenuation_law)
        photometry = GridPhotometry.build(grid, bands, redshift, nebular=nebular)
        cosmology = Planck18 if cosmology is None else cosmology
        age_limit = age_of_universe(redshift, grid, cosmology)
        populations = draw_populations(grid, prior, n_models, seed, age_limit, law)
        fluxes = populations.fluxes(photometry, law)
        return cls(
            bands=photometry.bands,
            redshift=photometry.redshift,
            fluxes=_as_single(fluxes),
            properties=_singles(populations.properties),
            parameters=_singles(populations.parameters),
            meta=MappingProxyType(
                {
                    "prior": prior.to_dict(),
                    "seed": int(seed),
                    "grid": grid.name,
                    "grid_hash": grid.hash,
                    "grid_provenance": dict(grid.provenance),
                    "attenuation_law": law.to_dict(),
                    "nebular": bool(nebular),
                    "cosmology": str(getattr(cosmology, "name", None)),
                    "age_limit": age_limit,
                }
            ),
            numbers=populations.numbers,
        )

    def spectrum(self, model: int, *, grid: SSPGrid | None = None) -> specutils.Spectrum:
        """Return the observed spectrum of one model, normalized like its fluxes.

        Parameters
        ----------
        model : int
            Which model.
        grid : SSPGrid, optional
            The grid that the library was built from; ``SSPGrid.default()`` if not given.

        Returns
        -------
        `~specutils.Spectrum`
            Surface brightness per frequency of 1 Msun/kpc2 formed, in nmgy/arcsec2, against
            observed wavelength.

        Raises
        ------
        InvalidInputError
            If the model does not exist, or the grid is a different one.

        Examples
        --------
        >>> from picasssso.sps import ModelLibrary
        >>> library = ModelLibrary.build(["sdss2010-g"], 0.05, n_models=10)
        >>> library.spectrum(3).flux.unit
        Unit("nmgy / arcsec2")
        """
        import astropy.units as u
        from specutils import Spectrum

        from picasssso.sps.spectra import population_spectrum

        grid = SSPGrid.default() if grid is None else grid
        if grid.hash != self.meta.get("grid_hash"):
            raise InvalidInputError(
                f"The library was built from the grid {self.meta.get('grid')} with the hash "
                f"{self.meta.get('grid_hash')}, not from {grid.name} with {grid.hash}: give that "
                "grid."
            )
        if not 0 <= model < self.n_models:
            raise InvalidInputError(f"There is no model {model}: expected 0-{self.n_models - 1}.")
        prior = SEDPrior.from_dict(self.meta["prior"])
        law = law_from_dict(self.meta["attenuation_law"])
        one = {
            name: np.asarray(values[model : model + 1], dtype=np.float64)
            for name, values in self.parameters.items()
        }
        history = prior._histories(one, self.meta["age_limit"])
        diffuse = float(one["attenuation"][0])
        light = population_spectrum(
            grid,
            history.age_weights(AgeBins(grid.ages))[0],
            grid._metallicity_weights(one["metallicity"])[0],
            law=law,
            diffuse=diffuse,
            birth_clouds=diffuse * float(one["birth_cloud_ratio"][0]),
            escape_fraction=float(one["escape_fraction"][0]),
            nebular=self.meta["nebular"],
        )
        # L_nu = L_lambda lambda^2 / c at rest; the rest as in picasssso.sps.photometry.
        flux = light * grid.wavelength**2 / SPEED_OF_LIGHT
        flux *= SOLAR_SURFACE_BRIGHTNESS / (1.0 + self.redshift) ** 3
        return Spectrum(
            flux=flux * u.Unit("nmgy / arcsec2"),
            spectral_axis=grid.wavelength * (1.0 + self.redshift) * u.AA,
        )

    def write(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the library as FITS.

        The layout stands in :ref:`formats`.

        Parameters
        ----------
        path : path-like
            The file.
        overwrite : bool, optional
            Whether to replace an existing file.

        Raises
        ------
        FileFormatError
            If the file exists or cannot be written.
        """
        cards = {"REDSHIFT": self.redshift, "LIBHASH": (self.hash, "of its numbers")}
        content = Content(
            cards,
            {"FLUXES": self.fluxes},
            {"PROPERTIES": self.properties, "PARAMETERS": self.parameters},
            {"bands": list(self.bands), "meta": dict(self.meta)},
        )
        write_content(path, "model library", content, overwrite=overwrite)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModelLibrary:
        """Read a library that `write` wrote.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        ModelLibrary
            The library.

        Raises
        ------
        FileFormatError
            If the file cannot be read, is not a library, is too new or damaged.
        """
        content = read_content(path, "model library")
        try:
            library = _make_library(
                tuple(content.record["bands"]),
                float(content.cards["REDSHIFT"]),
                content.images["FLUXES"],
                content.tables["PROPERTIES"],
                content.tables["PARAMETERS"],
                content.record["meta"],
            )
            expected = content.cards["LIBHASH"]
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise FileFormatError(
                f"{path} cannot be read as a model library: {short(error)}."
            ) from error
        if library.hash != expected:
            raise FileFormatError(
                f"{path} is damaged: its numbers have the hash {library.hash}, not {expected}."
            )
        return library


def _make_library(
    bands: tuple[str, ...],
    redshift: float,
    fluxes: np.ndarray | None,
    properties: Mapping[str, np.ndarray],
    parameters: Mapping[str, np.ndarray],
    meta: Mapping[str, Any],
) -> ModelLibrary:
    return ModelLibrary(
        bands,
        redshift,
        _as_single(fluxes),
        _singles(properties),
        _singles(parameters),
        MappingProxyType(meta),
    )


def _as_single(array: Any) -> np.ndarray:
    """Return an array as contiguous float32 that cannot be written to."""
    array = np.ascontiguousarray(array, dtype=np.float32)
    array.flags.writeable = False
    return array


def _singles(arrays: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    return MappingProxyType({name: _as_single(array) for name, array in arrays.items()})
