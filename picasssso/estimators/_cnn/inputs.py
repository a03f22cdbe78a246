"""From blocks of images to the slots that the networks take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch

from picasssso.estimators.context import EstimationContext
from picasssso.exceptions import InvalidInputError, MissingBandError
from picasssso.networks.detection import NEIGHBOURS
from picasssso.networks.inputs import SLOTS, Conditions
from picasssso.networks.training.batches import slot_of

__all__ = ["NetworkInput", "make_input", "select_slots", "wavelength"]

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class NetworkInput:
    """Images of one shape in slots.

    Parameters
    ----------
    flux, inverse_variance : Tensor, shape (n, 5, y, x)
        Images, nmgy per pixel; 0 where there are none.
    conditions : Conditions
        What holds for whole images.
    has_band : Tensor of bool, shape (n, 5)
        Which slots hold an image.
    noise : Tensor, shape (n, 5)
        Median noise of the whole images, nmgy per pixel; NaN where there are none.
    inflation : Tensor, shape (n,)
        Factor on the variance of the light of a neighbourhood, where noise is correlated.
    """

    flux: torch.Tensor
    inverse_variance: torch.Tensor
    conditions: Conditions
    has_band: torch.Tensor
    noise: torch.Tensor
    inflation: torch.Tensor


def select_slots(available: Sequence[str]) -> tuple[str, ...]:
    """Return the bands that have a slot.

    Parameters
    ----------
    available : sequence of str
        Names of bands.

    Returns
    -------
    tuple of str
        Those of u, g, r, i and z, in this order.

    Raises
    ------
    MissingBandError
        If there is none.
    InvalidInputError
        If two share a slot.
    """
    found: dict[int, str] = {}
    for band in available:
        slot = slot_of(band)
        if slot is None:
            continue
        if slot in found:
            raise InvalidInputError(
                f"CNNEstimator takes one image each of u, g, r, i and z, but {found[slot]} and "
                f"{band} are both {SLOTS[slot]!r}: choose one, images.select([...])."
            )
        found[slot] = band
    if not found:
        raise MissingBandError(
            "CNNEstimator needs at least one band of 'u', 'g', 'r', 'i', 'z', of any survey; the "
            f"images have {', '.join(available) or 'none'}."
        )
    return tuple(found[slot] for slot in sorted(found))


@lru_cache(maxsize=256)
def wavelength(band: str) -> float:
    """Return the pivot wavelength of a filter.

    Parameters
    ----------
    band : str
        Its name.

    Returns
    -------
    float
        In AA.
    """
    from picasssso.bands.band_names import pivot_wavelength

    return float(pivot_wavelength(band).to_value("AA"))


def make_input(
    flux: Sequence[FloatArray],
    inverse_variance: Sequence[FloatArray],
    contexts: Sequence[EstimationContext],
    *,
    sharp: bool,
    device: str = "cpu",
) -> NetworkInput:
    """Put blocks of one shape into slots.

    Parameters
    ----------
    flux, inverse_variance : sequence of ndarray, shape (bands, y, x)
        The blocks.
    contexts : sequence of EstimationContext
        Theirs; each may have its own bands.
    sharp : bool
        Whether maps are wanted at native resolution.
    device : str, optional
        Where to put them.

    Returns
    -------
    NetworkInput
        The blocks.
    """
    n, shape = len(flux), flux[0].shape[1:]
    planes = np.zeros((2, n, len(SLOTS), *shape), np.float32)
    widths, wavelengths = np.ones((2, n, len(SLOTS)), np.float32)
    noise = np.full((n, len(SLOTS)), np.nan, np.float32)
    for k, context in enumerate(contexts):
        slots = [slot for band in context.bands if (slot := slot_of(band)) is not None]
        planes[0, k, slots], planes[1, k, slots] = flux[k], inverse_variance[k]
        widths[k, slots] = context.psf_fwhm_arcsec
        wavelengths[k, slots] = [wavelength(band) for band in context.bands]
        # A band that is bad in the whole image counts as missing, as it did in training. Its
        # noise level tells so, of the whole image also where this is only a block of it.
        noise[k, slots] = context.noise_level

    def column(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=device)

    # Checked at the door: without a distance one does not come this far.
    kpc = [c.pixel_scale_kpc for c in contexts if c.pixel_scale_kpc is not None]
    conditions = Conditions(
        redshift=column([context.redshift for context in contexts]),
        pixel_scale=column([context.pixel_scale_arcsec for context in contexts]),
        pixel_scale_kpc=column(kpc),
        psf_fwhm=torch.from_numpy(widths).to(device),
        wavelength=torch.from_numpy(wavelengths).to(device),
        sharp=column([float(sharp)] * n),
    )
    scalings = [context.noise_scaling for context in contexts]
    inflation = [1.0 if scaling is None else float(scaling(NEIGHBOURS)) for scaling in scalings]
    both = torch.from_numpy(planes).to(device)
    has_band = torch.from_numpy(np.isfinite(noise)).to(device)
    return NetworkInput(
        both[0],
        both[1],
        conditions,
        has_band,
        torch.from_numpy(noise).to(device),
        column(inflation),
    )
