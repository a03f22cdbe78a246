"""The files of Buck & Wolf (2021) as pairs of images and truth."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picasssso.exceptions import FileFormatError
from picasssso.mocks.illustris import read_illustris_maps, read_synthetic_image
from picasssso.pairs.source import Batch, PairSource

_BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")
#: FWHM of the paper's PSF, kpc.
_PSF_KPC = 1.0
_MAPS, _IMAGE = "_physical_data.h5", "_synthetic_image.h5"


class PaperPairs(PairSource):
    """Synthetic images of Illustris galaxies and their true maps, in a folder.

    Files are ``halo_{id}_camera_{c}_synthetic_image.h5`` with
    ``halo_{id}_camera_{c}_physical_data.h5``; their conventions, and what is done about ages,
    are those of `picasssso.mocks.illustris`. The noise of the images, which the files do not
    hold, is measured on them, the same for all pixels. The truth is at its own resolution, as
    in the paper, also where the truth at the images' resolution is asked for. There is no
    dust.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        redshift: float = 0.05,
        unit: str = "uJy / sr",
        correct_ages: bool = True,
    ) -> None:
        self.folder = Path(folder).expanduser()
        self.redshift, self.unit, self.correct_ages = redshift, unit, correct_ages
        self.bands = _BANDS
        names = (path.name.removesuffix(_MAPS) for path in self.folder.glob(f"halo_*{_MAPS}"))
        self.names = sorted(n for n in names if (self.folder / f"{n}{_IMAGE}").exists())
        if not self.names:
            raise FileFormatError(
                f"There are no pairs of files halo_*_camera_*{_MAPS} and ...{_IMAGE} in "
                f"{self.folder}: expected those of Buck & Wolf (2021)."
            )

    def __len__(self) -> int:
        return len(self.names)

    def describe(self) -> dict[str, Any]:
        """Return where the pairs come from."""
        return {
            "kind": "PaperPairs",
            "redshift": self.redshift,
            "unit": self.unit,
            "correct_ages": self.correct_ages,
            "pairs": len(self),
        }

    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs."""
        pairs = [self._pair(int(number)) for number in numbers]
        return {name: torch.stack([pair[name] for pair in pairs]) for name in pairs[0]}

    def _pair(self, number: int) -> Batch:
        import astropy.units as u

        name = self.names[number]
        maps = read_illustris_maps(self.folder / f"{name}{_MAPS}", correct_ages=self.correct_ages)
        images = read_synthetic_image(
            self.folder / f"{name}{_IMAGE}",
            pixel_scale_kpc=maps.pixel_scale_kpc,
            redshift=self.redshift,
            unit=self.unit,
        )
        flux = images.to_arrays()[0]
        noise = np.array([_noise(image) for image in flux])
        good = np.isfinite(flux) & (noise[:, None, None] > 0)
        weight = np.where(good, 1 / np.maximum(noise, 1e-30)[:, None, None] ** 2, 0)
        arcsec = float(images.pixel_scale.to_value(u.arcsec))
        truth = torch.as_tensor(_sums(maps.maps), dtype=torch.float32)

        def number_of(value: float) -> torch.Tensor:
            return torch.tensor(value, dtype=torch.float32)

        return {
            "flux": torch.as_tensor(np.array(flux)),
            "inverse_variance": torch.as_tensor(weight.astype(np.float32)),
            "truth": truth,
            "truth_at_psf": truth,
            "psf_fwhm": torch.full((len(_BANDS),), _PSF_KPC / maps.pixel_scale_kpc * arcsec),
            "redshift": number_of(self.redshift),
            "pixel_scale": number_of(arcsec),
            "pixel_scale_kpc": number_of(maps.pixel_scale_kpc),
            "half_mass_radius": number_of(maps.half_mass_radius()),
            "log_mass": number_of(float(np.log10(maps.total("stellar_mass")))),
            "number": torch.tensor(number),
            "galaxy": torch.tensor(number if maps.halo is None else maps.halo),
            "view": torch.tensor(maps.camera or 0),
        }


def _noise(image: np.ndarray) -> float:
    """Return the noise of a pixel, from differences that a smooth galaxy does not have.

    The mask of Immerkaer (1996, Computer Vision and Image Understanding 64, 300), with a
    median in place of the mean: galaxies fill these images, so there is no empty sky.
    """
    second = image[:, 2:] - 2 * image[:, 1:-1] + image[:, :-2]
    both = second[2:] - 2 * second[1:-1] + second[:-2]
    return float(1.4826 * np.median(np.abs(both)) / 6)


def _sums(maps: Any) -> np.ndarray:
    """Return what adds up over area, in the order of `picasssso.pairs.truth.SUMS`."""
    mass = maps["stellar_mass"]
    nothing = np.zeros_like(mass)
    gas = maps.get("gas_mass", nothing)
    light = np.ones_like(mass)  # as much as after dust: there is none
    return np.stack(
        [
            mass,
            mass * np.nan_to_num(maps["stellar_metallicity"]),
            mass * np.nan_to_num(maps["stellar_age"]),
            maps.get("sfr", nothing),
            gas,
            gas * np.nan_to_num(maps.get("gas_metallicity", nothing)),
            maps.get("hi_mass", nothing),
            light,
            light,
        ]
    )
