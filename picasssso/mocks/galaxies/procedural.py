"""Procedural galaxies: the population, framed and described."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from picasssso._core.arguments import check_integer
from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError
from picasssso.mocks.distances import (
    ARCSEC_PER_RAD,
    angular_diameter_distance,
    redshift_of_distance,
)
from picasssso.mocks.galaxies.population import draw_parameters
from picasssso.mocks.galaxies.render import Frame, merge_parts, render_parts
from picasssso.mocks.galaxy_maps import Galaxies, join_galaxies
from picasssso.mocks.observing.surveys import Survey, get_survey
from picasssso.mocks.worlds import Worlds

#: Redshifts that surveys' galaxies are drawn from.
REDSHIFT_RANGE = (0.01, 0.15)

#: Galaxies rendered at once on a CPU hold about this many pixels.
_CHUNK_PIXELS = 60_000
#: Galaxies rendered at once elsewhere.
_CHUNK_CUDA = 2048


class ProceduralGalaxies:
    """Any number of simulated galaxies.

    Galaxy k depends only on ``seed``, k and these parameters, not on batch size, device or
    order.

    Parameters
    ----------
    seed : int, optional
        The seed.
    n_pixels : int, optional
        Pixels along each side of the frame.
    survey : str or Survey, optional
        Sets the pixel scale: one of those `Survey.preset` knows.
    margin : int, optional
        Pixels added at each side, for light scattered by the PSF; removed by
        `picasssso.mocks.observe`.
    redshift : float or tuple of float, optional
        One redshift for all, or a range in which they are drawn such that half-mass radii are in
        ``apparent_radius``. By default that of the survey, or the range 0.01-0.15.
    apparent_radius : tuple of float, optional
        Range of half-mass radii in pixels of a frame of 64 (in proportion in others), where
        redshifts are drawn; galaxies for which the redshifts do not allow it are smaller or
        larger.
    mass_range : tuple of float, optional
        Range of log10 of the stellar mass in Msun.
    mass_weight : float, optional
        Exponent of the mass by which galaxies are weighted: 0 for a volume-limited sample, 1 for
        about a flux-limited one.
    widen : float, optional
        Factor on the scatter of all relations, for a broader training set.
    link_structure : bool, optional
        Whether populations are correlated with structure (young arms, dusty gas, old bulges,
        gradients). Otherwise they are drawn independently.
    dust : float, optional
        Factor on the optical depth of dust; 0 for galaxies without.
    worlds : mapping or bool, optional
        Variation of the zero points of relations from galaxy to galaxy, by the names in the
        documentation of mocks (section Worlds); False for fixed zero points as published.
    device : str or torch.device, optional
        Device for computing; by default CUDA if available.

    Raises
    ------
    InvalidInputError
        If a parameter is invalid.

    Examples
    --------
    >>> from picasssso.mocks import ProceduralGalaxies
    >>> galaxies = ProceduralGalaxies(seed=1, n_pixels=48).draw(range(3))
    >>> galaxies.mass_formed.shape
    torch.Size([3, 9, 48, 48])
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        n_pixels: int = 64,
        survey: str | Survey = "sdss",
        margin: int = 0,
        redshift: float | tuple[float, float] | None = None,
        apparent_radius: tuple[float, float] = (3.0, 13.0),
        mass_range: tuple[float, float] = (8.5, 11.6),
        mass_weight: float = 0.5,
        widen: float = 1.0,
        link_structure: bool = True,
        dust: float = 1.0,
        worlds: Worlds | Mapping[str, float] | bool | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        for name, value, least in (("n_pixels", n_pixels, 8), ("margin", margin, 0)):
            check_integer(name, value, least, 8192)
        if not 6.0 <= mass_range[0] < mass_range[1] <= 13.0:
            raise InvalidInputError(
                f"mass_range={mass_range!r} cannot be used: expected (low, high), log10 of masses "
                "in Msun between 6 and 13."
            )
        if not 0.0 <= widen <= 5.0:
            raise InvalidInputError(f"widen={widen!r} cannot be used: expected 0 to 5.")
        if not 0.0 <= dust <= 5.0:
            raise InvalidInputError(f"dust={dust!r} cannot be used: expected 0 to 5.")
        if redshift is not None:
            low, high = redshift if isinstance(redshift, tuple) else (redshift, redshift)
            if not 0.003 <= low <= high <= (2.0 if low == high else 1.5):
                raise InvalidInputError(
                    f"redshift={redshift!r} cannot be used: expected 0.003 to 2, or (low, high) "
                    "from 0.003 to 1.5; nearer galaxies have no distance without one being given."
                )
        if not 0.5 <= apparent_radius[0] <= apparent_radius[1] <= 64.0:
            raise InvalidInputError(
                f"apparent_radius={apparent_radius!r} cannot be used: expected (low, high) in "
                "pixels of a frame of 64, between 0.5 and 64."
            )
        self.seed = seed
        self.n_pixels = n_pixels
        self.survey = get_survey(survey)
        self.margin = margin
        self.redshift = redshift
        self.apparent_radius = apparent_radius
        self.mass_range = mass_range
        self.mass_weight = mass_weight
        self.widen = widen
        self.link_structure = link_structure
        self.dust = dust
        self.worlds = Worlds.from_value(worlds)
        self.device = device

    def _resolved_device(self) -> torch.device:
        """Return where galaxies are made: the device given, or CUDA if there is one."""
        if self.device is not None:
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    @property
    def redshift_range(self) -> tuple[float, float]:
        """Lowest and highest possible redshift, for a table of light."""
        asked = self.redshift if self.redshift is not None else self.survey.redshift
        if asked is None:
            return REDSHIFT_RANGE
        return asked if isinstance(asked, tuple) else (asked, asked)

    def _indices(self, index: Sequence[int] | np.ndarray | range) -> np.ndarray:
        indices = np.atleast_1d(np.asarray(index))
        if indices.ndim != 1 or indices.size == 0 or indices.dtype.kind not in "iu":
            raise InvalidInputError(
                f"index={index!r} cannot be used: expected integers, such as range(64)."
            )
        if indices.min() < 0:
            raise InvalidInputError(f"index={int(indices.min())} is negative: expected 0, 1, ...")
        return indices.astype(np.int64)

    def parameters(self, index: Sequence[int] | np.ndarray | range) -> dict[str, np.ndarray]:
        """Return the parameters of galaxies, with redshifts and pixel scales.

        Parameters
        ----------
        index : sequence of int
            Numbers of the galaxies.

        Returns
        -------
        dict
            Names to arrays of shape (n,); see `population.draw_parameters`.
        """
        stream = Stream(self.seed, self._indices(index))
        parameters = draw_parameters(
            stream,
            mass_range=self.mass_range,
            mass_weight=self.mass_weight,
            widen=self.widen,
            link_structure=self.link_structure,
            worlds=self.worlds,
        )
        return {**parameters, **self._framing(stream, parameters)}

    def _framing(self, stream: Stream, parameters: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        survey, radius = self.survey, parameters["half_mass_radius"]
        pixel_scale = self._survey_pixels(stream, radius.shape)
        low, high = self.redshift_range
        if low == high:
            redshift = np.full(radius.shape, float(low))
        elif pixel_scale is None:
            redshift = low + (high - low) * stream.uniform("redshift")
        else:
            # Even in the logarithm of the apparent size, as far as the redshifts allow.
            per_pixel = radius / (pixel_scale / ARCSEC_PER_RAD) / 1e3  # Mpc times pixels
            smallest, largest = (r * self.n_pixels / 64 for r in self.apparent_radius)
            far, near = (per_pixel / angular_diameter_distance(np.array(z)) for z in (high, low))
            bottom = np.log(np.clip(smallest, far, near))
            top = np.log(np.clip(largest, far, near))
            pixels = np.exp(bottom + (top - bottom) * stream.uniform("apparent size"))
            redshift = redshift_of_distance(per_pixel / pixels, (low, high))
        arcsec_per_kpc = ARCSEC_PER_RAD / (1e3 * angular_diameter_distance(redshift))
        if pixel_scale is None:
            kpc = survey.frame * (radius / self.n_pixels if survey.framing == "radii" else 1.0)
            pixel_scale = kpc * arcsec_per_kpc
        return {
            "redshift": redshift,
            "pixel_scale": pixel_scale,
            "pixel_scale_kpc": pixel_scale / arcsec_per_kpc,
        }

    def _survey_pixels(self, stream: Stream, shape: tuple[int, ...]) -> np.ndarray | None:
        """Return pixel scales in arcsec, or None where they follow the galaxies."""
        if self.survey.pixel_scale is None:
            return None
        if self.survey.pixel_scale_range is None:
            return np.full(shape, self.survey.pixel_scale)
        low, high = np.log(self.survey.pixel_scale_range)
        return np.exp(low + (high - low) * stream.uniform("pixel scale"))

    def draw(self, index: Sequence[int] | np.ndarray | range) -> Galaxies:
        """Return galaxies.

        Parameters
        ----------
        index : sequence of int
            Their numbers.

        Returns
        -------
        Galaxies
            Described on ``n_pixels + 2 margin`` pixels a side.

        Raises
        ------
        InvalidInputError
            If a number is not an integer of at least 0.
        """
        return self._render(self._indices(index), self.parameters(index))

    def _render(self, index: np.ndarray, parameters: dict[str, np.ndarray]) -> Galaxies:
        """Describe galaxies of numbers, which key their random fields, and `parameters`."""
        pixels = (self.n_pixels + 2 * self.margin) ** 2
        on_cpu = self._resolved_device().type == "cpu"
        size = max(1, _CHUNK_PIXELS // pixels) if on_cpu else _CHUNK_CUDA
        chunks = list(self._render_chunks(index, parameters, size))
        return chunks[0] if len(chunks) == 1 else join_galaxies(chunks)

    def _render_chunks(
        self, index: np.ndarray, parameters: dict[str, np.ndarray], size: int
    ) -> Iterator[Galaxies]:
        """Yield the galaxies of `_render`, ``size`` at a time."""
        guests, host = self._companions(index, parameters)
        for start in range(0, len(index), size):
            part = slice(start, start + size)
            some = {name: value[part] for name, value in parameters.items()}
            near = (host >= start) & (host < start + size)
            with_them = {name: value[near] for name, value in guests.items()}
            yield self._render_chunk(index[part], some, with_them, host[near] - start)

    def _companions(
        self, index: np.ndarray, parameters: dict[str, np.ndarray]
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Return the parameters of all companions, and which galaxy each belongs to."""
        rows = np.flatnonzero(parameters["companion"] > 0)
        if rows.size == 0:
            return {}, rows
        host = {name: value[rows] for name, value in parameters.items()}
        guest = draw_parameters(
            Stream(self.seed, index[rows]),
            widen=self.widen,
            link_structure=self.link_structure,
            log_mass=host["log_mass"] + host["companion_log_ratio"],
            prefix="companion ",
            worlds=self.worlds,
        )
        guest["n_satellites"] = np.zeros(rows.size)
        guest["position_angle"] = guest["position_angle"] + host["position_angle"]
        distance, angle = host["companion_distance"], host["companion_angle"]
        guest["at_x"] = host["offset_x"] * host["pixel_scale_kpc"] + distance * np.cos(angle)
        guest["at_y"] = host["offset_y"] * host["pixel_scale_kpc"] + distance * np.sin(angle)
        return guest, rows

    def _render_chunk(
        self,
        index: np.ndarray,
        parameters: dict[str, np.ndarray],
        guests: dict[str, np.ndarray],
        host: np.ndarray,
    ) -> Galaxies:
        device = self._resolved_device()
        n_pixels = self.n_pixels + 2 * self.margin
        scale = parameters["pixel_scale_kpc"]
        parts = render_parts(parameters, Frame(n_pixels, scale), Stream(self.seed, index, device))
        if host.size:
            companions = render_parts(
                guests,
                Frame(n_pixels, scale[host]),
                Stream(self.seed, index[host], device),
                offset=(guests["at_x"], guests["at_y"]),
                rotation=parameters["position_angle"][host],
                prefix="companion ",
            )
            parts = merge_parts(parts, companions, torch.as_tensor(host, device=device))

        def tensor(name: str) -> torch.Tensor:
            return torch.as_tensor(parameters[name], dtype=torch.float32, device=device)

        return Galaxies(
            mass_formed=parts.mass_formed,
            log_metallicity=parts.log_metallicity,
            attenuation=parts.attenuation * self.dust,
            attenuation_slope=parts.slope,
            hi_mass=parts.hi_mass,
            h2_mass=parts.h2_mass,
            gas_metallicity=torch.exp(parts.log_gas_metallicity * np.log(10.0)),
            redshift=tensor("redshift"),
            pixel_scale=tensor("pixel_scale"),
            pixel_scale_kpc=tensor("pixel_scale_kpc"),
            index=torch.as_tensor(index, device=device),
            parameters=parameters,
        )
