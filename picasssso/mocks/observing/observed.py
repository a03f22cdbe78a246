"""Galaxies as a survey observed them, with the truth: images, and pairs to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError
from picasssso.pairs.source import Batch, PairSource
from picasssso.pairs.truth import TrueSums, plain_number

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from picasssso.bands import BandImages


@dataclass(frozen=True, eq=False)
class ObservedGalaxies:
    """Images of galaxies with their noise, and the truth.

    ``flux``: in nmgy per pixel, of shape (n, n_band, y, x); 0 at bad pixels;
    ``inverse_variance``: in 1/nmgy2, of the same shape; 0 at bad pixels; ``psf_fwhm``: in
    arcsec, of shape (n, n_band); ``redshift, pixel_scale, pixel_scale_kpc``: redshift, and size
    of a pixel in arcsec and kpc, of shape (n,).
    """

    bands: tuple[str, ...]
    flux: torch.Tensor
    inverse_variance: torch.Tensor
    truth: TrueSums
    truth_at_psf: TrueSums | None
    psf_fwhm: torch.Tensor
    psf_profile: str
    redshift: torch.Tensor
    pixel_scale: torch.Tensor
    pixel_scale_kpc: torch.Tensor
    index: torch.Tensor
    parameters: dict[str, Any]

    def __len__(self) -> int:
        return len(self.flux)

    def to_band_images(
        self, galaxy: int, *, wcs: WCS | None = None, **keywords: Any
    ) -> BandImages:
        """Return a galaxy as BandImages in nmgy with errors and mask; ``wcs`` of its scale."""
        import astropy.units as u

        if wcs is None:
            keywords.setdefault("pixel_scale", plain_number(self.pixel_scale[galaxy]) * u.arcsec)
        return survey_images(
            self.bands,
            self.flux[galaxy],
            self.inverse_variance[galaxy],
            [plain_number(width) for width in self.psf_fwhm[galaxy]],
            redshift=plain_number(self.redshift[galaxy]),
            wcs=wcs,
            **keywords,
        )

    def to_property_maps(self, galaxy: int, *, at_psf: bool = False, **keywords: Any) -> Any:
        """Return one galaxy's truth as `~picasssso.maps.PropertyMaps`."""
        sums = self.truth_at_psf if at_psf else self.truth
        if sums is None:
            raise InvalidInputError(
                "The truth at the images' resolution was not made: call observe() with "
                "truth_at_psf=True."
            )
        return sums.to_property_maps(galaxy, self, **keywords)

    def to_pairs(
        self,
        *,
        galaxy: Sequence[int] | np.ndarray | None = None,
        view: Sequence[int] | np.ndarray | None = None,
        description: dict[str, Any] | None = None,
    ) -> ObservedPairs:
        """Return the galaxies as pairs of images and truth, such as `write_pairs` takes.

        ``galaxy`` and ``view``: numbers of the galaxy (by default 0, 1, ...) and of the viewing
        direction of each. Views of one galaxy must have the same number, by which sets are split.
        """
        return ObservedPairs(self, galaxy=galaxy, view=view, description=description)


def survey_images(
    bands: Sequence[str],
    flux: torch.Tensor,
    inverse_variance: torch.Tensor,
    psf_fwhm: Sequence[float],
    **keywords: Any,
) -> BandImages:
    """Return tensors (band, y, x) in nmgy as BandImages without extinction; PSFs in arcsec."""
    import astropy.units as u

    from picasssso.bands import BandImages, GalacticExtinction

    weight = inverse_variance.cpu().numpy()
    bad = weight <= 0
    sigma = np.where(bad, np.nan, 1.0 / np.sqrt(np.where(bad, 1.0, weight)))
    none = GalacticExtinction(ebv=0.0, scale="SF11", applied=True)
    psf = {band: width * u.arcsec for band, width in zip(bands, psf_fwhm, strict=True)}
    return BandImages.from_cube(
        flux.cpu().numpy(), bands, u.nmgy, uncertainty=sigma, mask=bad, psf=psf,
        **{"galactic_extinction": none, **keywords},
    )  # fmt: skip


def join_observed(chunks: Sequence[ObservedGalaxies]) -> ObservedGalaxies:
    """Return several batches, in the same bands on as many pixels, as one."""
    if len(chunks) == 1:
        return chunks[0]
    first = chunks[0]
    tensors = ("flux", "inverse_variance", "psf_fwhm", "redshift", "pixel_scale",
               "pixel_scale_kpc", "index")  # fmt: skip
    at_psf = [chunk.truth_at_psf.sums for chunk in chunks if chunk.truth_at_psf is not None]
    joined: dict[str, Any] = {
        name: torch.cat([getattr(chunk, name) for chunk in chunks]) for name in tensors
    }
    return replace(
        first,
        **joined,
        truth=TrueSums(torch.cat([chunk.truth.sums for chunk in chunks])),
        truth_at_psf=TrueSums(torch.cat(at_psf)) if at_psf else None,
        parameters={
            name: np.concatenate([chunk.parameters[name] for chunk in chunks])
            for name in first.parameters
        },
    )


def pair_batch(
    observed: ObservedGalaxies, chosen: slice | torch.Tensor, ids: dict[str, torch.Tensor]
) -> Batch:
    """Return observed galaxies as a batch of pairs, with ``ids`` by name."""
    device = observed.flux.device
    batch: Batch = {
        "flux": observed.flux[chosen],
        "inverse_variance": observed.inverse_variance[chosen],
        "truth": observed.truth.sums[chosen],
    }
    if observed.truth_at_psf is not None:
        batch["truth_at_psf"] = observed.truth_at_psf.sums[chosen]
    for name in ("psf_fwhm", "redshift", "pixel_scale", "pixel_scale_kpc"):
        batch[name] = getattr(observed, name)[chosen].to(torch.float32)
    for name in ("half_mass_radius", "log_mass"):
        values = observed.parameters.get(name)
        values = np.full(len(observed), np.nan) if values is None else np.asarray(values)
        batch[name] = torch.as_tensor(values, dtype=torch.float32, device=device)[chosen]
    for name, tensor in ids.items():
        batch[name] = tensor.to(device=device, dtype=torch.int64)
    return batch


class ObservedPairs(PairSource):
    """Observed galaxies in memory (`ObservedGalaxies.to_pairs`)."""

    def __init__(
        self,
        observed: ObservedGalaxies,
        *,
        galaxy: Sequence[int] | np.ndarray | None = None,
        view: Sequence[int] | np.ndarray | None = None,
        description: dict[str, Any] | None = None,
    ) -> None:
        count = len(observed)
        self.observed, self.bands = observed, observed.bands
        self.description = dict(description or {})
        self._ids = {"number": torch.arange(count)}
        for name, values, default in (
            ("galaxy", galaxy, np.arange(count)), ("view", view, np.zeros(count, int)),
        ):  # fmt: skip
            numbers = np.asarray(default if values is None else values)
            if numbers.shape != (count,) or numbers.dtype.kind not in "iu":
                raise InvalidInputError(
                    f"{name} has shape {numbers.shape} and type {numbers.dtype}: expected an "
                    f"integer for each of the {count} pairs."
                )
            self._ids[name] = torch.as_tensor(numbers.astype(np.int64))

    def __len__(self) -> int:
        return len(self.observed)

    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs of some numbers: names of `FIELDS` to tensors."""
        chosen = torch.as_tensor(np.asarray(numbers, dtype=np.int64))
        if len(chosen) and not 0 <= int(chosen.min()) <= int(chosen.max()) < len(self):
            raise IndexError(f"There is no such pair: the set has {len(self)}.")
        return pair_batch(self.observed, chosen, {n: v[chosen] for n, v in self._ids.items()})

    def describe(self) -> dict[str, Any]:
        """Return the origin of the pairs: the given description."""
        return {"kind": "ObservedPairs", **self.description, "bands": list(self.bands)}
