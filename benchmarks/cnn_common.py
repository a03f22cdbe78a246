"""What the accuracy benchmarks of the networks share: galaxies, predictions, records.

No benchmark of its own. All is at the level of arrays, which costs a tenth of what
`CNNEstimator` on single cutouts does; that both give the same maps is tested.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from picasssso.evaluation import MapStack, Settings, fit_apertures, measure, residuals
from picasssso.evaluation.apertures import Apertures
from picasssso.evaluation.summary import _is_empty
from picasssso.mocks import GeneratedPairs, LightTable
from picasssso.mocks.light_files import read_light_table, write_light_table
from picasssso.networks.calibration import local_signal
from picasssso.networks.heads import Prediction
from picasssso.networks.mixture import hold_hydrogen, linear_means, linear_quantiles
from picasssso.networks.outputs import OUTPUT_NAMES
from picasssso.networks.weights import TrainedModel
from picasssso.pairs.source import Batch, PairSource
from picasssso.pairs.sums import TrueSums
from picasssso.properties import PROPERTIES
from picasssso.training import PairPool, SlottedBatch, TrainingState, to_slots
from picasssso.training.calibrating import keep_bands

RESULTS = Path(__file__).resolve().parent / "results"
SHARED = Path(__file__).resolve().parents[2] / "shared"
UGRIZ = tuple(f"sdss2010-{band}" for band in "ugriz")

#: Settings of trainings on whole images as they are, of a single network.
UNSPOILT: dict[str, Any] = {
    "members": 1,
    "warmup": 30,
    "band_dropout": 0.0,
    "depth_noise": 0.0,
    "masked_pixels": 0.0,
    "sharp": 0.0,
}

#: Used in no training, calibration or choice.
SEED = 555001

SETTINGS = Settings(oracle=False, structure=False)


def make_table(path: Path | None, redshifts: Any = None) -> LightTable:
    """Return the light of stars in *ugriz*, read from a file if it is there, else kept in it."""
    if path is not None and path.exists():
        return read_light_table(path)
    if redshifts is None:
        from picasssso.mocks import ProceduralGalaxies

        redshifts = ProceduralGalaxies(survey="sdss").redshift_range
    table = LightTable.build(UGRIZ, redshifts)
    if path is not None:
        write_light_table(path, table)
    return table


def make_pairs(table: LightTable, seed: int = SEED, **settings: Any) -> GeneratedPairs:
    """Return the default SDSS mocks of 64 x 64 pixels."""
    return GeneratedPairs(
        seed, survey="sdss", n_pixels=64, device="cpu", table=table, bands=UGRIZ, **settings
    )


def wavelengths(bands: Sequence[str]) -> list[float]:
    """Return pivot wavelengths in AA."""
    from picasssso.filters import pivot_wavelength

    return [float(pivot_wavelength(band).to_value("AA")) for band in bands]


def batches(pairs: Any, count: int, size: int = 64, first: int = 0) -> Iterator[Batch]:
    """Yield galaxies a batch at a time."""
    for start in range(first, first + count, size):
        yield pairs.batch(range(start, min(start + size, first + count)))


class Kept(PairSource):
    """The first pairs of a source, made once and kept in memory."""

    def __init__(self, pairs: PairSource, count: int) -> None:
        parts = list(batches(pairs, count))
        self.bands = pairs.bands
        self.content: Batch = {k: torch.cat([part[k] for part in parts]) for k in parts[0]}

    def batch(self, numbers: Any) -> Batch:
        """Return some of them."""
        chosen = torch.as_tensor(np.asarray(numbers, dtype=np.int64))
        return {name: value[chosen] for name, value in self.content.items()}

    def describe(self) -> dict[str, Any]:
        """Return what it is."""
        return {"kind": "Kept"}


def train(
    state: TrainingState, kept: Kept, step: Callable[[SlottedBatch], Any] | None = None
) -> float:
    """Train to the end, by steps of the state's own or others; return their processor time."""
    steps = state.config.steps
    pool = PairPool([(kept, wavelengths(kept.bands), 1.0)], state.config)
    start = time.process_time()
    for batch in pool.batches(state.step):
        (step or state.train_step)(batch)
        if state.step % 50 == 0:
            print(f"  step {state.step} of {steps}", flush=True)
        if state.step == steps:
            break
    return time.process_time() - start


def predict(
    model: TrainedModel, slotted: SlottedBatch, orientations: int = 1
) -> tuple[Prediction, torch.Tensor]:
    """Return calibrated predictions and the signal-to-noise ratio they were calibrated at."""
    has_band = slotted.has_band()
    said = model.ensemble.predict(
        slotted.flux,
        slotted.inverse_variance,
        slotted.conditions,
        has_band,
        orientations=orientations,
    )
    signal = local_signal(slotted.flux, slotted.inverse_variance)
    assert model.calibration is not None
    return model.calibration.apply(said.prediction, signal, has_band.sum(1)), signal


def to_stack(prediction: Prediction) -> MapStack:
    """Return the maps that `CNNEstimator` gives for predictions."""
    planes = hold_hydrogen(linear_quantiles(prediction))
    means = hold_hydrogen(linear_means(prediction))
    values = {
        name: means[:, k] if PROPERTIES[name].is_surface_density else planes[:, k, 2]
        for k, name in enumerate(OUTPUT_NAMES)
    }
    return MapStack(values, {name: planes[:, k] for k, name in enumerate(OUTPUT_NAMES)})


def estimate(
    model: TrainedModel,
    batch: Batch,
    bands: Sequence[str] = UGRIZ,
    letters: str = "ugriz",
    *,
    sharp: bool = False,
    orientations: int = 1,
) -> MapStack:
    """Return the shipped network's maps of a batch of pairs."""
    slotted = keep_bands(to_slots(batch, bands, wavelengths(bands), sharp=sharp), letters)
    with torch.inference_mode():
        prediction, _ = predict(model, slotted, orientations)
        return to_stack(prediction)


def true_stack(batch: Batch, *, native: bool = False) -> MapStack:
    """Return the truth at the image's PSF, or at its own resolution."""
    return MapStack(TrueSums(batch["truth" if native else "truth_at_psf"]).properties())


def apertures_of(truth: MapStack, batch: Batch, method: str = "moments") -> Apertures:
    """Return ellipses about true stellar masses."""
    return fit_apertures(
        truth.values["stellar_mass"],
        half_mass_radius=(batch["half_mass_radius"] / batch["pixel_scale_kpc"]).numpy(),
        method=method,
    )


def signal_in(batch: Batch, bands: Sequence[str], letter: str = "i") -> np.ndarray:
    """Return the signal-to-noise ratio of each pixel in a band, (n, y, x)."""
    k = [band.rpartition("-")[2] for band in bands].index(letter)
    return (batch["flux"][:, k] * batch["inverse_variance"][:, k].sqrt()).numpy()


def in_dex(name: str) -> bool:
    """Return whether a property is compared in dex; attenuation is in mag already."""
    return name != "attenuation_v"


def pixel_residual(kept: dict[str, Any], name: str) -> np.ndarray:
    """Return residuals of pixels' medians; NaN where there is nothing."""
    kind = "median" if f"pixel.median.{name}" in kept else "estimate"
    mine, true = kept[f"pixel.{kind}.{name}"], kept[f"pixel.true.{name}"]
    found = residuals(mine, true, logarithmic=in_dex(name))
    # A median of zero where there is something is counted apart.
    found = np.where(np.isfinite(found), found, np.nan)
    return np.where(_is_empty(kept, name, "pixel"), np.nan, found)


def aperture_residual(kept: dict[str, Any], name: str) -> np.ndarray:
    """Return residuals of aperture sums; NaN where there is nothing."""
    mine, true = kept[f"aperture.estimate.{name}"], kept[f"aperture.true.{name}"]
    found = residuals(mine, true, logarithmic=in_dex(name))
    return np.where(_is_empty(kept, name, "aperture") | ~np.isfinite(found), np.nan, found)


def kept_of(batch: Any, stack: MapStack, truth: MapStack, bands: Any = UGRIZ, **more: Any) -> Any:
    """Return what `measure` keeps of a batch."""
    return measure(
        truth,
        stack,
        more.pop("apertures", None) or apertures_of(true_stack(batch, native=True), batch),
        SETTINGS,
        galaxy=batch["number"],
        signal_to_noise=signal_in(batch, bands),
        **more,
    )


def record(name: str, result: dict[str, Any], part: str | None = None) -> None:
    """Write figures as JSON, into a part of what is there if one is given, and print them."""
    import picasssso

    path = RESULTS / name
    content = json.loads(path.read_text()) if part is not None and path.exists() else {}
    if part is None:
        content = result
    else:
        content[part] = result
    content["made_with"] = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "picasssso": picasssso.__version__,
    }
    text = json.dumps(rounded(content), indent=1) + "\n"
    temporary = path.with_suffix(".part")
    temporary.write_text(text)
    temporary.replace(path)
    print(json.dumps(rounded(result), indent=1), flush=True)


def rounded(value: Any) -> Any:
    """Return nested results with four significant digits."""
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [rounded(item) for item in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value
