"""Inputs of the networks: images scaled by their noise, in physical units.

Four planes for each of five slots (u, g, r, i, z). With flux f and its error s in one pixel:

- log10 of the luminosity surface density, softened by its own noise, log s + asinh(f / 2s) /
  ln 10: for bright pixels the logarithm of the flux, for empty ones that of the noise;
- asinh(f / 2s), the signal-to-noise ratio;
- log s, so the depth;
- 1 where the pixel is valid, else 0, as are the other planes then.

Surface brightness is converted to luminosity surface density, with the factor 4 pi (1 + z)^3 for
the package's definition of flux, so that the networks need not learn its dependence on redshift
and distance.

Quantities of the whole image (redshift, size of a pixel, PSF, wavelengths) are passed as a vector
of conditions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch

#: Slots of bands, by the letter that filters of all surveys share.
SLOTS = ("u", "g", "r", "i", "z")

#: About where these lie, in AA; an image's own pivot wavelengths are given relative to it.
SLOT_WAVELENGTHS = (3560.0, 4720.0, 6180.0, 7500.0, 8960.0)

N_PLANES = 4 * len(SLOTS)
N_CONDITIONS = 4 + 3 * len(SLOTS)

#: Luminosity surface density in Lsun/kpc2 of 1 nmgy/arcsec2 at redshift 0, the sun being
#: 4.58 mag AB as in i. Only its order of magnitude matters.
_LUMINOSITY = 1e-9 * (180 * 3600 / math.pi) ** 2 * 1e4 * 10 ** (0.4 * 4.58)


@dataclass(frozen=True)
class Conditions:
    """Quantities of whole images.

    ``pixel_scale``: size of a pixel in arcsec; ``pixel_scale_kpc``: the same in kpc;
    ``psf_fwhm``: width of the PSF per slot in arcsec; anything where a slot is empty;
    ``wavelength``: pivot wavelength per slot in AA; anything where a slot is empty.
    """

    redshift: torch.Tensor
    pixel_scale: torch.Tensor
    pixel_scale_kpc: torch.Tensor
    psf_fwhm: torch.Tensor
    wavelength: torch.Tensor
    sharp: torch.Tensor

    def select(self, which: torch.Tensor | slice) -> Conditions:
        """Return the conditions of some images."""
        return Conditions(*(getattr(self, f.name)[which] for f in fields(self)))

    def vector(self, has_band: torch.Tensor) -> torch.Tensor:
        """Return the vector of conditions, (n, 19), of order unity; 0: empty slots."""
        there = has_band.to(torch.float32)
        widths = self.psf_fwhm / self.pixel_scale[:, None]
        widths = torch.where(has_band, widths, torch.ones_like(widths)).clamp(0.3, 30.0)
        center = torch.tensor(SLOT_WAVELENGTHS, device=there.device)
        shifts = torch.where(has_band, self.wavelength, center) / center - 1.0
        widest = torch.where(has_band, self.psf_fwhm, 0.0).amax(1)
        widest_kpc = widest / self.pixel_scale * self.pixel_scale_kpc
        scalars = torch.stack(
            [
                10.0 * self.redshift - 0.5,
                torch.log10(self.pixel_scale_kpc.clamp(1e-3, 1e2)) * 2.0 + 1.0,
                torch.log10(widest_kpc.clamp(1e-3, 1e2)) * 2.0,
                self.sharp,
            ],
            1,
        )
        bands = [there, (torch.log2(widths) - 1.5) * there, 10.0 * shifts * there]
        return torch.cat([scalars, *bands], 1).to(torch.float32)


def slot_of(band: str) -> int | None:
    """Return the slot of a filter, by its last letter-like part."""
    letter = band.rpartition("-")[2][:1].lower()
    return SLOTS.index(letter) if letter in SLOTS else None


def slot_letters(bands: Iterable[str]) -> str:
    """Return the letters of the slots that bands fill."""
    return "".join(SLOTS[slot] for band in bands if (slot := slot_of(band)) is not None)


def luminosity_per_flux(conditions: Conditions) -> torch.Tensor:
    """Return the luminosity surface density of 1 nmgy per pixel, (n,), Lsun/kpc2."""
    return _LUMINOSITY * (1.0 + conditions.redshift) ** 3 / conditions.pixel_scale**2


def input_planes(
    flux: torch.Tensor, inverse_variance: torch.Tensor, conditions: Conditions
) -> torch.Tensor:
    """Return the input planes of a network; computed pixel by pixel, independent of blocks.

    ``flux``: flux per pixel in nmgy, a plane for each slot; ``inverse_variance``: in nmgy^-2; 0
    where there are no data; ``conditions``: redshift and pixel size; returns of shape (n, 20, y,
    x), of about unit size.
    """
    valid = (inverse_variance > 0) & torch.isfinite(inverse_variance) & torch.isfinite(flux)
    weight = torch.where(valid, inverse_variance, 1.0)
    ratio = torch.asinh(torch.where(valid, flux, 0.0) * torch.sqrt(weight) * 0.5)
    luminosity = luminosity_per_flux(conditions)
    noise = torch.log10(luminosity)[:, None, None, None] - 0.5 * torch.log10(weight)
    there = valid.to(ratio.dtype)
    brightness = (noise + ratio / math.log(10.0) - 7.0) * there
    return torch.cat([brightness, 0.5 * ratio * there, (noise - 6.0) * there, there], 1)
