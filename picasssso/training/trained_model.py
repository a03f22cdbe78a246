"""From trained networks to usable weights: calibration, training range, model card."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from picasssso.exceptions import InvalidInputError
from picasssso.networks.buck_wolf import BASELINE_PROPERTIES, predict_maps
from picasssso.networks.config import TrainingConfig
from picasssso.networks.conformal import ConformalCalibration, local_signal
from picasssso.networks.ensemble import Ensemble
from picasssso.networks.heads import QUANTILES
from picasssso.networks.morphology import measure_structure, whole_light
from picasssso.networks.training_range import TrainingRange, measure
from picasssso.networks.weights import TrainedModel, filter_hashes
from picasssso.training.batches import SlottedBatch, TrainingSource, degrade
from picasssso.training.calibration_fit import fit_calibration
from picasssso.training.held_out import BAND_SETS, Collected, collect, join, known_batches
from picasssso.training.state import TrainingState

Sources = Sequence[TrainingSource]

#: Part of the galaxies that calibrate fewer bands than all.
_PART_OF_FEWER = 0.375

#: Galaxies to whose sums the correlation of errors is fitted, at most.
_GALAXIES_OF_SUMS = 1500

#: Residuals count where the signal-to-noise ratio of all bands together is at least this.
_LEAST_SIGNAL = 1.0

#: Residuals in dex are counted in this many bins between plus and minus this many dex.
_N_BINS, _LARGEST = 4000, 10.0


def check_band_sets(config: TrainingConfig, letters: Iterable[str]) -> list[int]:
    """Return which sets of bands can be calibrated with sources of some bands."""
    found = [
        number
        for number, some in sorted(BAND_SETS.items())
        if any(set(some) <= set(those) for those in letters)
    ]
    if not found and config.architecture != "buck_wolf_2021":
        raise InvalidInputError(
            "There is nothing to calibrate on: expected galaxies in one of the sets of bands "
            f"{', '.join(BAND_SETS.values())}."
        )
    return found


def calibrate(
    ensemble: Ensemble,
    sources: Sources,
    config: TrainingConfig,
    *,
    known: Sources | None = None,
    galaxies: int = 4000,
    device: torch.device | str = "cpu",
    progress: bool = False,
) -> tuple[ConformalCalibration, dict[str, int]]:
    """Calibrate trained networks on the first galaxies of some sources."""
    collections: dict[int, Collected] = {}
    counts: dict[str, int] = {}
    usable = check_band_sets(config, [source.letters for source in sources])

    def maps(letters: str, count: int) -> Iterator[Collected]:
        for batch in known_batches(sources, letters, count, device=device, size=_size(device)):
            yield collect(ensemble, [batch], keep_on=device)

    with tqdm(total=len(usable) + 1, disable=not progress, desc="calibration") as bar:
        for number in usable:
            letters = BAND_SETS[number]
            part = 1.0 if number == usable[-1] else _PART_OF_FEWER
            pixels, counts[letters] = [], 0
            for some in maps(letters, max(round(galaxies * part), 1)):
                counts[letters] += len(some.signal)
                # Maps of thousands of galaxies would fill the memory.
                pixels.append(some.pixels())
            collections[number] = join(pixels)
            bar.update()
        # Without images in all bands, those in the most that there are stand in.
        collections.setdefault(max(BAND_SETS), collections[usable[-1]])
        training = measure_training_range(
            known or sources, config, galaxies=galaxies, device=device
        )
        bar.update()
    most = BAND_SETS[usable[-1]]
    count = min(galaxies, _GALAXIES_OF_SUMS)
    calibration = fit_calibration(
        collections, lambda: maps(most, count), aperture_galaxies=count, ranges=training.ranges()
    )
    return with_training_range(calibration, training), counts


def with_training_range(
    calibration: ConformalCalibration, training: TrainingRange
) -> ConformalCalibration:
    """Return a calibration with the properties of the images of the training set."""
    colors, limits = training.colors()
    whole, whole_limits = training.whole_colors()
    return replace(
        calibration,
        ranges=training.ranges(),
        structure=training.structure(),
        colors=colors,
        color_limits=limits,
        whole_colors=whole,
        whole_color_limits=whole_limits,
    )


def measure_training_range(
    sources: Sources,
    config: TrainingConfig,
    *,
    galaxies: int = 2000,
    device: torch.device | str = "cpu",
) -> TrainingRange:
    """Measure the properties of the galaxies of some sources, without a network."""
    training = TrainingRange()
    batches = known_batches(sources, "", galaxies, device=device, size=_size(device))
    for number, batch in enumerate(batches):
        for seen in (batch, degrade(batch, config, number)):
            training.add(
                measure(seen.flux, seen.inverse_variance, seen.conditions, seen.has_band()),
                measure_structure(seen.flux, seen.inverse_variance),
                whole_light(seen.flux, seen.inverse_variance),
            )
    return training


def _size(device: torch.device | str) -> int:
    return 64 if torch.device(device).type == "cpu" else 256


def measure_residuals(
    networks: Sequence[nn.Module], batches: Iterable[SlottedBatch]
) -> dict[str, list[float]]:
    """Measure the residuals of predicted maps.

    Returns for each property, log10 of truth over prediction at the five quantiles of
    ``picasssso.networks.heads.QUANTILES``, over pixels with a signal and a truth.
    """
    counts = torch.zeros(len(BASELINE_PROPERTIES), _N_BINS, dtype=torch.float64)
    for batch in batches:
        maps = predict_maps(networks, batch.flux, batch.inverse_variance, batch.conditions)
        truth = batch.truth.properties()
        bright = local_signal(batch.flux, batch.inverse_variance) >= _LEAST_SIGNAL
        for k, name in enumerate(BASELINE_PROPERTIES):
            used = bright & (truth[name] > 0) & torch.isfinite(truth[name])
            residual = torch.log10(truth[name][used] / maps[name][used])
            bins = ((residual / _LARGEST + 1.0) * (0.5 * _N_BINS)).clamp(0, _N_BINS - 1).long()
            counts[k] += torch.bincount(bins, minlength=_N_BINS).cpu()
    part = counts.cumsum(1) / counts.sum(1, keepdim=True)
    table: dict[str, list[float]] = {}
    for k, name in enumerate(BASELINE_PROPERTIES):
        places = torch.tensor([int((part[k] < level).sum()) for level in QUANTILES])
        values = ((places + 0.5) / _N_BINS * 2.0 - 1.0) * _LARGEST
        table[name] = [round(float(value), 4) for value in values]
    return table


def finish_training(
    state: TrainingState,
    sources: Sources,
    *,
    known: Sources | None = None,
    galaxies: int = 4000,
    card: dict[str, Any] | None = None,
    progress: bool = False,
) -> TrainedModel:
    """Turn the state of a training into a model that can be used and written.

    ``sources`` calibrate; ``known``, if others, are what it was trained on. Returns the averaged
    networks on the CPU, with calibration (or, for networks without uncertainty, their measured
    residuals) and card.
    """
    from picasssso._core.version import __version__

    is_cuda = state.device.type == "cuda"
    filled: dict[str, Any] = {
        "package_version": __version__,
        "date": datetime.date.today().isoformat(),
        "hardware": torch.cuda.get_device_name() if is_cuda else platform.machine(),
        "torch": torch.__version__,
        "filters": filter_hashes(
            band for source in (known or sources) for band in source.pairs.bands
        ),
        "steps_done": state.step,
        **(card or {}),
    }
    ensemble = Ensemble(state.averages)
    calibration = None
    if galaxies and state.config.architecture == "buck_wolf_2021":
        letters = max((source.letters for source in sources), key=len)
        batches = known_batches(sources, letters, galaxies, device=state.device)
        filled["residual_quantiles"] = measure_residuals(ensemble.networks, batches)
        filled["calibrated_on"] = {letters: galaxies}
    elif galaxies:
        calibration, filled["calibrated_on"] = calibrate(
            ensemble,
            sources,
            state.config,
            known=known,
            galaxies=galaxies,
            device=state.device,
            progress=progress,
        )
    networks = [network.to("cpu") for network in ensemble.networks]
    if calibration is not None:
        calibration = ConformalCalibration(
            **{k: v.cpu() for k, v in calibration.to_tensors().items()}
        )
    return TrainedModel(Ensemble(networks), state.config, calibration, filled)
