"""What is wrong with the stellar model, the dust law and the zero points.

Stellar grids differ from each other by 0.1-0.2 mag, smoothly in age and wavelength (BC03
and PopStar in *ugriz*: 0.1 typically, 0.5 mag at most, at 0.3-1 Gyr). A network trained
with one grid would learn it by heart. So each mock galaxy may be painted with spectra
changed by a smooth random function of log age and log wavelength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from picasssso._core.random import Stream
from picasssso.mocks.age_bins import AGE_CENTERS

#: Nodes of the smooth random change: log10 age in yr, and wavelength in AA.
_LOG_AGES = np.array([6.5, 7.5, 8.25, 8.75, 9.25, 9.75, 10.25])
_LOG_WAVELENGTHS = np.log10([2500.0, 3700.0, 5000.0, 7000.0, 10000.0, 16000.0])

#: A tilt with wavelength, with a mean square of 1, and how much of the variance it makes up.
_TILT = _LOG_WAVELENGTHS - _LOG_WAVELENGTHS.mean()
_TILT = _TILT / np.sqrt(np.mean(_TILT**2))
_TILTED = 0.7


def _place(values: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes before values, and how far values are on their way to the next."""
    place = np.interp(values, nodes, np.arange(len(nodes)))
    before = np.minimum(place.astype(int), len(nodes) - 2)
    return before, place - before


@dataclass(frozen=True, eq=False)
class ModelErrors:
    """Errors of stellar spectra: ``nodes`` (n, 7, 6) in mag, by age and wavelength."""

    nodes: np.ndarray

    @classmethod
    def draw(
        cls, seed: int, index: np.ndarray, *, color: float = 0.1, level: float = 0.05
    ) -> ModelErrors:
        """Draw errors: ``color`` mag at each node, ``level`` mag at all wavelengths of an age."""
        stream = Stream(seed, index)
        shape = (len(_LOG_AGES), len(_LOG_WAVELENGTHS))
        # Mostly tilts: what is unlike at neighboring wavelengths would turn galaxies green.
        apart = stream.normal("model error", shape[0] * shape[1]).reshape(-1, *shape)
        tilt = stream.normal("model tilt", shape[0])[:, :, None] * _TILT
        nodes = color * (np.sqrt(_TILTED) * tilt + np.sqrt(1.0 - _TILTED) * apart)
        levels = stream.normal("model level", shape[0]) * level
        return cls(nodes=nodes + levels[:, :, None])

    def in_worlds(self, mass_to_light: np.ndarray, young_light: np.ndarray) -> ModelErrors:
        """Return the errors in worlds of other masses at the same light, changes (n,) in dex.

        ``young_light`` is that of stars below 100 Myr; half of it at 180 Myr, none above 600
        Myr.
        """
        young = np.interp(_LOG_AGES, [7.5, 8.75], [1.0, 0.0])
        change = mass_to_light[:, None] - young_light[:, None] * young
        return ModelErrors(self.nodes + 2.5 * change[:, :, None])

    def stars(self, wavelength: torch.Tensor) -> torch.Tensor:
        """Return factors (n, n_age, 1, k) of light at rest wavelengths (n, k) in AA."""

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.as_tensor(array, dtype=wavelength.dtype, device=wavelength.device)

        # Interpolated one by one: sums over an axis would round differently in another batch.
        before, on_the_way = _place(np.log10(AGE_CENTERS), _LOG_AGES)
        nodes = tensor(self.nodes)
        by_age = torch.lerp(nodes[:, before], nodes[:, before + 1], tensor(on_the_way)[:, None])
        grid = tensor(_LOG_WAVELENGTHS)
        place = torch.log10(wavelength).clamp(grid[0], grid[-1])
        above = torch.searchsorted(grid, place.contiguous()).clamp(1, len(grid) - 1)
        part = ((place - grid[above - 1]) / (grid[above] - grid[above - 1]))[:, None]
        above = above[:, None].expand(-1, by_age.shape[1], -1)
        change = torch.lerp(by_age.gather(2, above - 1), by_age.gather(2, above), part)
        return torch.exp(change[:, :, None] * (-0.4 * np.log(10.0)))
