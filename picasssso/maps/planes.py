"""What maps hold: planes on one pixel grid, checked once and never changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self, overload

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from picasssso._core.html import html_table
from picasssso._core.metadata import check_record
from picasssso._core.quiet import copy_wcs
from picasssso._core.solid_angles import SolidAngles
from picasssso.bands.pixels import central_solid_angle, check_slices, slice_wcs
from picasssso.exceptions import InvalidInputError
from picasssso.maps import map_checks as checks
from picasssso.maps.arrays import PERCENTILES, PropertyArrays
from picasssso.properties import Property
from picasssso.quality import describe_quality

_HTML_HEADER = ("property", "unit", "medians, 16 to 84 % of pixels", "masked")
_LOW, _MEDIAN, _HIGH = (PERCENTILES.index(q) for q in (16.0, 50.0, 84.0))


class UnknownPropertyError(InvalidInputError, KeyError):
    """There is no map of that name; also a `KeyError`, as `Mapping` demands."""

    # KeyError would show the repr of the message.
    __str__ = Exception.__str__


class MapPlanes(Mapping[str, CCDData]):
    """The planes of maps, their pixels on the sky and their records; see `PropertyMaps`."""

    def __init__(
        self,
        arrays: Mapping[str, PropertyArrays],
        *,
        quality: npt.ArrayLike | None,
        wcs: WCS | None = None,
        pixel_solid_angle: u.Quantity | None = None,
        definitions: Mapping[str, Property] | None = None,
        redshift: float | None = None,
        luminosity_distance: u.Quantity | None = None,
        shared_error: Mapping[str, float] | None = None,
        systematics: Mapping[str, Mapping[str, npt.ArrayLike]] | None = None,
        noise_scaling: Callable[[float], float] | None = None,
        bins: npt.ArrayLike | None = None,
        target: npt.ArrayLike | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self._quality = checks.check_quality(quality, arrays)
        self._definitions = checks.check_definitions(arrays, definitions)
        checks.check_extension_names(tuple(arrays))
        self._arrays = checks.check_arrays(arrays, self._definitions, self._quality)
        self._wcs = checks.check_wcs(wcs)
        central = None if self._wcs is None else central_solid_angle(self._wcs, self.shape)
        self._pixel_solid_angle = checks.check_solid_angle(
            pixel_solid_angle, None if central is None else central * u.arcsec**2
        )
        self._redshift, self._luminosity_distance = checks.check_distance(
            redshift, luminosity_distance
        )
        self._shared_error = checks.check_shared_error(shared_error, self._arrays)
        self._systematics = checks.check_systematics(systematics, self._arrays, self.shape)
        self._noise_scaling = checks.check_noise_scaling(noise_scaling)
        self._bins = checks.check_bins(bins, self.shape)
        self._target = checks.check_target(target, self.shape)
        self._meta = check_record(dict(meta or {}), "meta")

    # ---- the mapping ----------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> CCDData: ...

    @overload
    def __getitem__(self, key: tuple[slice, slice]) -> Self: ...

    def __getitem__(self, key: str | tuple[slice, slice]) -> CCDData | Self:
        if isinstance(key, str):
            return self._as_ccd(key)
        return self._slice(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __contains__(self, key: object) -> bool:
        return key in self._arrays

    # Maps are compared by what is asked of them; equality of arrays with NaN means little.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        names = ", ".join(f"{name} ({self._unit_text(name)})" for name in self)
        wcs = "no WCS" if self._wcs is None else "/".join(self._wcs.wcs.ctype)
        redshift = "" if self._redshift is None else f", z = {self._redshift:g}"
        return f"<PropertyMaps {self.shape[0]} x {self.shape[1]} pixels, {wcs}{redshift}: {names}>"

    def _repr_html_(self) -> str:
        rows = []
        for name, planes in self._arrays.items():
            middle = planes.percentiles[_MEDIAN]
            values = middle[np.isfinite(middle)]
            low, high = np.percentile(values, (16, 84)) if values.size else (np.nan, np.nan)
            masked = f"{100 * self.masks[name].mean():.1f} %"
            rows.append((name, self._unit_text(name), f"{low:.3g} to {high:.3g}", masked))
        return html_table(repr(self).partition(": ")[0].lstrip("<"), _HTML_HEADER, rows)

    def _unit_text(self, name: str) -> str:
        return str(self._definitions[name].unit) or "dimensionless"

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def _planes(self, name: str) -> PropertyArrays:
        try:
            return self._arrays[name]
        except KeyError:
            raise UnknownPropertyError(
                f"There is no map of {name!r}: the maps are {', '.join(self)}."
            ) from None

    def _as_ccd(self, name: str) -> CCDData:
        percentiles = self._planes(name).percentiles
        width = (percentiles[_HIGH] - percentiles[_LOW]) / 2
        return CCDData(
            percentiles[_MEDIAN],
            uncertainty=StdDevUncertainty(checks.read_only(width), copy=False),
            mask=self.masks[name],
            unit=self._definitions[name].unit,
            wcs=self.wcs,
            meta={"BTYPE": name},
        )

    def _slice(self, key: Any) -> Self:
        rows, columns = check_slices(key, self.shape, "maps", f"one of {', '.join(self)}")
        window = (..., rows, columns)

        def cut(array: Any) -> Any:
            return None if array is None else array[window]

        options = self._arguments()
        options |= {
            "quality": self._quality[window],
            "wcs": None if self._wcs is None else slice_wcs(self._wcs, (rows, columns)),
            "systematics": {
                mode: {name: plane[window] for name, plane in planes.items()}
                for mode, planes in self._systematics.items()
            },
            "bins": cut(self._bins),
            "target": cut(self._target),
        }
        arrays = {name: planes._mapped(cut) for name, planes in self._arrays.items()}
        return type(self)(arrays, **options)

    # ---- planes ---------------------------------------------------------------------

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties mapped (tuple of str)."""
        return tuple(self._arrays)

    def definition(self, name: str) -> Property:
        """Return the definition of a property mapped.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        Property
            Unit, kind, weight, label and meaning.
        """
        self._planes(name)
        return self._definitions[name]

    def percentile(self, name: str, q: float) -> u.Quantity:
        """Return a percentile of the posterior of every pixel.

        Parameters
        ----------
        name : str
            Name of the property.
        q : float
            2.5, 16, 50, 84 or 97.5: those are stored.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            Read-only; NaN where masked.

        Raises
        ------
        InvalidInputError
            If there is no map of the property, or the percentile is not stored.
        """
        planes = self._planes(name)
        if np.ndim(q) or q not in PERCENTILES:
            stored = ", ".join(f"{stored:g}" for stored in PERCENTILES)
            raise InvalidInputError(
                f"The {q!r} percentile is not stored: expected one of {stored} (per cent)."
            )
        return self._quantity(name, planes.percentiles[PERCENTILES.index(q)])

    def mean(self, name: str) -> u.Quantity:
        """Return the plane whose sum over pixels is unbiased.

        It may be negative where noise is: that is what makes sums right.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            Read-only; NaN where masked.

        Raises
        ------
        InvalidInputError
            If the property is intensive and came without a mean.
        """
        planes = self._planes(name)
        if planes.mean is None:
            raise InvalidInputError(
                f"{name!r} has no mean: it is intensive, so its values are averaged, not summed; "
                f"take maps[{name!r}], the median, or maps.total({name!r}), the average."
            )
        return self._quantity(name, planes.mean)

    def samples(self, name: str) -> u.Quantity:
        """Return joint posterior samples.

        Parameters
        ----------
        name : str
            Name of the property.

        Returns
        -------
        `~astropy.units.Quantity`, shape (n, y, x)
            Read-only. The k-th samples of all properties and pixels belong together.

        Raises
        ------
        InvalidInputError
            If there is no map of the property, or no samples were asked for.
        """
        planes = self._planes(name)
        if planes.samples is None:
            raise InvalidInputError(
                f"{name!r} has no samples: estimate them with estimator.estimate(images, "
                "n_samples=...), if the estimator can draw them."
            )
        return self._quantity(name, planes.samples)

    def _quantity(self, name: str, array: npt.NDArray[np.floating]) -> u.Quantity:
        return u.Quantity(array, self._definitions[name].unit, copy=False, dtype=array.dtype)

    @property
    def masks(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Boolean masks by property name, True where there is no estimate; read-only."""
        return MappingProxyType(self._masks)

    @cached_property
    def _masks(self) -> dict[str, npt.NDArray[np.bool_]]:
        return {
            name: checks.read_only(np.isnan(planes.percentiles[_MEDIAN]))
            for name, planes in self._arrays.items()
        }

    @property
    def quality(self) -> npt.NDArray[np.int32]:
        """Bits of `picasssso.QualityFlag` (ndarray of int32, shape (y, x), read-only)."""
        return self._quality

    @property
    def flags(self) -> list[str]:
        """Names of `picasssso.QualityFlag` that are set in any pixel (list of str)."""
        return describe_quality(self._quality)

    @property
    def bins(self) -> npt.NDArray[np.int32] | None:
        """Bin that each pixel belongs to, negative for none (ndarray of int32) or None."""
        return self._bins

    @property
    def target(self) -> npt.NDArray[np.bool_] | None:
        """Pixels of the target (ndarray of bool, shape (y, x), read-only) or None."""
        return self._target

    # ---- geometry and records -------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of the maps."""
        return self._quality.shape[0], self._quality.shape[1]

    @property
    def wcs(self) -> WCS | None:
        """A copy of the WCS of the maps (`~astropy.wcs.WCS`) or None."""
        return None if self._wcs is None else copy_wcs(self._wcs)

    @property
    def redshift(self) -> float | None:
        """Observed redshift (float) or None."""
        return self._redshift

    @property
    def luminosity_distance(self) -> u.Quantity | None:
        """Luminosity distance (`~astropy.units.Quantity`, Mpc) or None."""
        return self._luminosity_distance

    @property
    def angular_diameter_distance(self) -> u.Quantity | None:
        """Angular diameter distance D_L / (1 + z)^2 (Quantity, Mpc) or None."""
        if self._luminosity_distance is None or self._redshift is None:
            return None
        return self._luminosity_distance / (1 + self._redshift) ** 2

    @property
    def pixel_solid_angle(self) -> u.Quantity:
        """Solid angle of the central pixel (`~astropy.units.Quantity`, arcsec2)."""
        return self._pixel_solid_angle

    def pixel_solid_angle_map(self) -> u.Quantity:
        """Return the solid angle of every pixel.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            In arcsec2, read-only. From the WCS with all its distortions; the same
            everywhere where there is no WCS.
        """
        areas = self._solid_angles((slice(0, self.shape[0]), slice(0, self.shape[1])))
        return u.Quantity(checks.read_only(areas), u.arcsec**2, copy=False)

    def _solid_angles(self, window: tuple[slice, slice]) -> npt.NDArray[np.float64]:
        """Return solid angles of the pixels of a window, arcsec2."""
        if self._areas is not None:
            return self._areas.part(window)
        assert self._pixel_solid_angle is not None
        shape = tuple(part.stop - part.start for part in window)
        return np.broadcast_to(self._pixel_solid_angle.to_value(u.arcsec**2), shape)

    @cached_property
    def _areas(self) -> SolidAngles | None:
        return None if self._wcs is None else SolidAngles(self._wcs, self.shape)

    @property
    def shared_error(self) -> Mapping[str, float]:
        """Part of the percentiles' width that all pixels share, dex, by property."""
        return MappingProxyType(self._shared_error)

    @property
    def systematics(self) -> Mapping[str, Mapping[str, npt.NDArray[np.floating]]]:
        """Change per standard deviation of a shared error, by mode and property."""
        return MappingProxyType(
            {mode: MappingProxyType(planes) for mode, planes in self._systematics.items()}
        )

    @property
    def noise_scaling(self) -> Callable[[float], float] | None:
        """Variance inflation of sums over n pixels (callable) or None."""
        return self._noise_scaling

    @property
    def meta(self) -> Mapping[str, Any]:
        """How the maps were made; a copy, so that changing it changes nothing."""
        return MappingProxyType(copy.deepcopy(self._meta))

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's keyword arguments."""
        names = (
            "quality", "wcs", "definitions", "redshift", "luminosity_distance", "shared_error",
            "systematics", "noise_scaling", "bins", "target", "meta",
        )  # fmt: skip
        solid_angle = self._pixel_solid_angle if self._wcs is None else None
        return {
            **{name: getattr(self, f"_{name}") for name in names},
            "pixel_solid_angle": solid_angle,
        }
