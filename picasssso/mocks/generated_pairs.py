"""Pairs made on the spot, or held in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picasssso.exceptions import InvalidInputError
from picasssso.mocks.generator import MockGenerator
from picasssso.mocks.light import write_light_table
from picasssso.mocks.observing.observe import ObservedGalaxies
from picasssso.mocks.observing.surveys import Survey
from picasssso.mocks.worlds import Worlds
from picasssso.pairs.schema import TABLE
from picasssso.pairs.source import Batch, PairSource


def _batch(
    observed: ObservedGalaxies, chosen: slice | torch.Tensor, ids: dict[str, torch.Tensor]
) -> Batch:
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


class GeneratedPairs(PairSource):
    """Any number of simulated galaxies, generated on demand; nothing is stored on disk.

    Pair k of a seed does not depend on batch, worker or order.

    Parameters
    ----------
    seed : int, optional
        The seed.
    **settings
        Arguments of `picasssso.mocks.MockGenerator`: ``survey``, ``bands``, ``n_pixels``,
        ``table``, ``device`` and so on.

    Examples
    --------
    >>> from picasssso.mocks import GeneratedPairs
    >>> pairs = GeneratedPairs(seed=1, survey="paper_field", n_pixels=32)
    >>> pair = pairs[7]
    >>> pair["flux"].shape, pair["truth"].shape
    (torch.Size([5, 32, 32]), torch.Size([9, 32, 32]))
    """

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.seed = seed
        self.settings = {
            name: value for name, value in settings.items() if name not in ("table", "device")
        }
        self.generator = MockGenerator(seed, **settings)
        self.bands = self.generator.bands

    @property
    def device(self) -> torch.device:
        """Where galaxies are made (torch.device)."""
        device = self.generator.galaxies.device
        if device is None:
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(device)

    def _write_tables(self, folder: Path) -> None:
        """Write the table of light into the folder of a stored set, unless it is there."""
        if not (folder / TABLE).exists():
            write_light_table(folder / TABLE, self.generator.table)

    def batch(self, numbers: Sequence[int] | np.ndarray | range) -> Batch:
        """Return pairs of some numbers, names of `FIELDS` to tensors, on its device."""
        observed = self.generator.draw(numbers)
        index = observed.index
        ids = {"number": index, "galaxy": index, "view": torch.zeros_like(index)}
        return _batch(observed, slice(None), ids)

    def describe(self) -> dict[str, Any]:
        """Return what makes the pairs: seed, settings, bands and the stellar grid's hash."""
        settings = {
            name: asdict(value) if isinstance(value, Survey | Worlds) else value
            for name, value in sorted(self.settings.items())
        }
        settings["bands"] = list(self.bands)
        return {
            "kind": "GeneratedPairs",
            "seed": self.seed,
            "settings": settings,
            "grid_hash": self.generator.table.grid_hash,
        }


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
        return _batch(self.observed, chosen, {n: v[chosen] for n, v in self._ids.items()})

    def describe(self) -> dict[str, Any]:
        """Return the origin of the pairs: the given description."""
        return {"kind": "ObservedPairs", **self.description, "bands": list(self.bands)}
