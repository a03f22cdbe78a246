"""Training pairs from the user's own images and maps, such as those of an IFU survey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from picasssso.exceptions import InvalidInputError, InvalidTypeError
from picasssso.pairs.source import Batch, PairSource
from picasssso.pairs.truth import MADE_OF, SUMS
from picasssso.properties import PROPERTIES, get_property

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

FloatArray = npt.NDArray[np.float32]


def known_sums(maps: PropertyMaps) -> FloatArray:
    """Return the additive quantities of true maps, (9, y, x); NaN if not defined by the maps."""
    sums = np.full((len(SUMS), *maps.shape), np.nan, np.float32)
    place = {name: k for k, name in enumerate(SUMS)}
    names = [name for name in PROPERTIES if name in maps]
    if not names:
        raise InvalidInputError(
            f"The maps hold {', '.join(maps)}: expected at least one of {', '.join(PROPERTIES)}."
        )
    for name, (amount, weight) in MADE_OF.items():
        if name in names:
            values = _values(maps, name)
            sums[place[amount]] = values if weight is None else values * sums[place[weight]]
    if "attenuation_v" in names:
        sums[place["v_light"]] = 1.0
        sums[place["v_light_attenuated"]] = 10.0 ** (-0.4 * _values(maps, "attenuation_v"))
    return sums


def _values(maps: PropertyMaps, name: str) -> FloatArray:
    definition = get_property(name)
    value = maps.mean(name) if definition.is_surface_density else maps.percentile(name, 50)
    plane = np.array(value.to_value(definition.unit), np.float32)
    plane[maps.masks[name]] = np.nan
    return plane


class _Observed(Protocol):
    """Quantities of a whole image, of an `~picasssso.estimators.EstimationContext`."""

    @property
    def redshift(self) -> float: ...

    @property
    def pixel_scale_arcsec(self) -> float: ...

    @property
    def pixel_scale_kpc(self) -> float | None: ...

    @property
    def psf_fwhm_arcsec(self) -> tuple[float, ...]: ...


class PairsFromMaps(PairSource):
    """Squares of equal size in pixels, cut from maps and from images in the same bands."""

    def __init__(
        self, pairs: Sequence[tuple[BandImages, _Observed, PropertyMaps]], *, size: int = 64
    ) -> None:
        self.size = size
        self.bands = pairs[0][0].bands
        self._pairs = list(pairs)
        self._sums: list[FloatArray] = []
        self._places: list[tuple[int, slice, slice]] = []
        for number, (images, _, maps) in enumerate(self._pairs):
            _check_pair(number, images, maps)
            if images.bands != self.bands:
                raise InvalidInputError(
                    f"Pair {number} has the bands {images.bands}: expected {self.bands}."
                )
            sums = known_sums(maps)
            self._sums.append(sums)
            known = np.any(np.isfinite(sums), axis=0)
            for y in _starts(images.shape[0], size):
                for x in _starts(images.shape[1], size):
                    window = slice(y, y + size), slice(x, x + size)
                    if known[window].any():
                        self._places.append((number, *window))
        if not self._places:
            raise InvalidInputError(
                "The maps are completely masked: there are no values to train on."
            )

    def __len__(self) -> int:
        return len(self._places)

    def describe(self) -> dict[str, Any]:
        """Return how the pairs were made."""
        return {
            "images": len(self._pairs),
            "squares": len(self),
            "size": self.size,
            "bands": list(self.bands),
        }

    def batch(self, numbers: Sequence[int] | npt.NDArray[Any] | range) -> Batch:
        """Return pairs: names of `FIELDS` to tensors (n, ...)."""
        rows = [self._one(*self._places[int(number)]) for number in numbers]
        found = {
            name: torch.from_numpy(np.stack([row[name] for row in rows]).astype(np.float32))
            for name in rows[0]
        }
        # Squares of one image are of one galaxy, and stay in one split.
        galaxy = torch.tensor([self._places[int(number)][0] for number in numbers])
        return found | {
            "number": torch.tensor([int(number) for number in numbers]),
            "galaxy": galaxy,
            "view": torch.zeros_like(galaxy),
        }

    def _one(self, number: int, y: slice, x: slice) -> dict[str, Any]:
        images, context, _ = self._pairs[number]
        y, x = (
            slice(part.start, min(part.stop, n))
            for part, n in zip((y, x), images.shape, strict=True)
        )
        flux, inverse_variance = images.to_arrays((y, x))
        return {
            "flux": self._framed(flux, 0.0),
            "inverse_variance": self._framed(inverse_variance, 0.0),
            "truth": self._framed(self._sums[number][:, y, x], np.nan),
            "psf_fwhm": np.array(context.psf_fwhm_arcsec),
            "redshift": context.redshift,
            "pixel_scale": context.pixel_scale_arcsec,
            "pixel_scale_kpc": context.pixel_scale_kpc,
        }

    def _framed(self, planes: FloatArray, empty: float) -> FloatArray:
        out = np.full((len(planes), self.size, self.size), empty, np.float32)
        out[:, : planes.shape[1], : planes.shape[2]] = planes
        return out


@dataclass(frozen=True)
class _Seen:
    """Quantities of a whole image; see `_Observed`."""

    redshift: float
    pixel_scale_arcsec: float
    pixel_scale_kpc: float | None
    psf_fwhm_arcsec: tuple[float, ...]


def numbered(pairs: Iterable[Any]) -> Iterator[tuple[int, BandImages, PropertyMaps]]:
    """Yield number, images and maps of each pair."""
    for number, pair in enumerate(pairs):
        try:
            images, maps = pair
        except (TypeError, ValueError):
            raise InvalidInputError(
                f"Pair {number}: found {type(pair).__name__}, expected (BandImages, PropertyMaps)."
            ) from None
        yield number, images, maps


def pairs_from_maps(
    pairs: Sequence[tuple[BandImages, PropertyMaps]], *, size: int = 64
) -> PairsFromMaps:
    """Return training pairs from images and maps on the same pixels.

    ``pairs`` are (BandImages, PropertyMaps) tuples in the same bands. Images need noise and must
    be corrected for Galactic extinction; maps must have the resolution of the image with the
    widest PSF. Each pair is cut into squares of ``size`` pixels.
    """
    found = []
    for number, images, maps in numbered(pairs):
        _check_pair(number, images, maps)
        found.append((images, _seen(number, images), maps))
    if not found:
        raise InvalidInputError("There are no pairs: expected at least one.")
    return PairsFromMaps(found, size=size)


def _seen(number: int, images: BandImages) -> _Seen:
    """Return the quantities of whole images; an error if one is unknown."""
    dust = images.galactic_extinction
    widths = [images.psf_fwhm(band) for band in images.bands]
    lacking = [
        f"noise in {', '.join(images.missing_uncertainty)}" if images.missing_uncertainty else "",
        "the PSF of each band (replace(psf=...))" if None in widths else "",
        ""
        if dust is None or dust.applied
        else "a correction for the dust of the Galaxy (picasssso.preparation.correct_extinction)",
    ]
    if any(lacking):
        raise InvalidInputError(
            f"Pair {number}: expected {'; '.join(filter(None, lacking))} of the images."
        )
    return _Seen(
        images.redshift,
        images.pixel_scale.value,
        float(images.pixel_area.value) ** 0.5,
        tuple(float(width.value) for width in widths if width is not None),
    )


def _starts(length: int, size: int) -> list[int]:
    """Return the first pixels of squares that cover an axis and, if possible, lie inside it."""
    last = max(length - size, 0)
    return sorted({*range(0, last, size), last})


def _check_pair(number: int, images: Any, maps: Any) -> None:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

    for value, kind in ((images, BandImages), (maps, PropertyMaps)):
        if not isinstance(value, kind):
            raise InvalidTypeError(
                f"Pair {number}: found {type(value).__name__}, expected (BandImages, "
                "PropertyMaps)."
            )
    if images.shape != maps.shape:
        raise InvalidInputError(
            f"Pair {number}: the images have shape {images.shape}, the maps {maps.shape}: bring "
            "the images to the maps' grid, images.reproject_to(maps.wcs, shape=maps.shape)."
        )
