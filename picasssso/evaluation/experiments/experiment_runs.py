"""Running the experiments of a configuration that have not been run yet.

Each run has a folder: ``run.json`` describes it, and ``batch_00000.npz``, ... contain the
measurements of its galaxies (`measure`). Existing batches are complete, so that an interrupted run
can be continued, also with more galaxies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from picasssso._core.safe_files import atomic_write, short
from picasssso._core.version import __version__ as version
from picasssso.evaluation.apertures import Apertures, fit_apertures
from picasssso.evaluation.experiments.batch_estimates import (
    BatchFunction,
    estimate_with,
    select_bands,
)
from picasssso.evaluation.experiments.configuration import Configuration, Run
from picasssso.evaluation.experiments.pair_sources import make_source
from picasssso.evaluation.measures import Record, join_records, measure
from picasssso.evaluation.stacks import MapStack
from picasssso.evaluation.summary import compare_scatter, measured_properties, summarize
from picasssso.exceptions import FileFormatError, PicassssoError

if TYPE_CHECKING:
    from picasssso.pairs import PairSource

#: Signal to noise is that of the first of these bands that there is.
_SNR_BANDS = "iIrRzZgG"


def run_experiments(
    configuration: Configuration, folder: Path | str, *, progress: bool | None = None
) -> dict[str, str]:
    """Run all experiments whose results are not yet in a folder.

    Several processes may work in it at the same time, on different estimators. Returns, by
    key, why optional estimators could not be made.
    """
    from tqdm import tqdm

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    left_out: dict[str, str] = {}
    done: set[str] = set()
    todo: list[tuple[Run, str, list[range]]] = []
    for run in configuration.runs:
        key = run.key(configuration.settings)
        missing = [r for r in _ranges(run) if not _batch_path(folder / key, r, run).exists()]
        if key not in done and missing:
            todo.append((run, key, missing))
        done.add(key)
    total = sum(len(numbers) for _, _, ranges in todo for numbers in ranges)
    disable = None if progress is None else not progress
    with tqdm(total=total, disable=disable, unit="galaxy") as bar:
        for run, key, missing in todo:
            bar.set_description(" ".join(filter(None, (run.experiment, run.setting, run.label))))
            try:
                function = estimate_with(run.specification)
            except (PicassssoError, ImportError, OSError) as error:
                if not run.optional:
                    raise
                left_out[run.estimator] = str(error)
                bar.update(sum(map(len, missing)))
                continue
            _write_description(folder / key, run, configuration)
            for numbers in missing:
                record = _one_batch(run, numbers, function, configuration, folder)
                with atomic_write(_batch_path(folder / key, numbers, run), True) as temporary:
                    # A file object: numpy would add an ending to the name.
                    with temporary.open("wb") as file:
                        np.savez_compressed(file, **cast(dict[str, Any], record))
                bar.update(len(numbers))
    return left_out


def collect_figures(configuration: Configuration, folder: Path | str) -> dict[str, Any]:
    """Return the statistics of all runs."""
    folder = Path(folder)
    # Runs that share what is kept may differ in how many galaxies they take of it.
    summaries: dict[tuple[str, int], dict[str, Any]] = {}
    experiments: dict[str, Any] = {
        name: {**content, "rows": []} for name, content in configuration.experiments.items()
    }
    for run in configuration.runs:
        key = run.key(configuration.settings)
        known = (key, run.count)
        if known not in summaries:
            record = load_record(run, configuration, folder)
            if record is None:
                continue
            summaries[known] = summarize(record, configuration.settings, configuration.bins)
        experiments[run.experiment]["rows"].append(
            {
                "setting": run.setting,
                "x": run.x,
                "estimator": run.estimator,
                "label": run.label,
                "paper": run.paper,
                "truth": run.truth,
                "source": dict(run.source),
                "key": key,
                **summaries[known],
            }
        )
    for name, experiment in experiments.items():
        if experiment.pop("reference", None):
            experiment["ratios"] = _ratios(configuration, folder, name)
    return {"version": version, "small": configuration.small, "experiments": experiments}


def _ratios(configuration: Configuration, folder: Path, experiment: str) -> list[dict[str, Any]]:
    """Compare the scatter of each estimator with that of the reference, by setting."""
    reference = configuration.experiments[experiment]["reference"]
    runs = [run for run in configuration.runs if run.experiment == experiment]
    rows = []
    for base in runs:
        other = load_record(base, configuration, folder) if base.estimator == reference else None
        if other is None:
            continue
        for run in runs:
            if run.setting != base.setting or run.estimator == reference:
                continue
            record = load_record(run, configuration, folder)
            if record is None:
                continue
            names = [n for n in measured_properties(other) if n in measured_properties(record)]
            found = {
                name: compare_scatter(record, other, name, configuration.bins) for name in names
            }
            rows.append(
                {
                    "setting": run.setting,
                    "estimator": run.estimator,
                    "label": run.label,
                    "reference": reference,
                    "properties": found,
                }
            )
    return rows


def load_record(run: Run, configuration: Configuration, folder: Path | str) -> Record | None:
    """Return the measurements of a run."""
    place = Path(folder) / run.key(configuration.settings)
    records = []
    for numbers in _ranges(run):
        path = _batch_path(place, numbers, run)
        if path.exists():
            records.append(_load(path))
    return join_records(records) if records else None


def _load(path: Path) -> dict[str, Any]:
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # of ZIP files, of what is packed in them, and of arrays
        raise FileFormatError(
            f"{path} is damaged ({short(error)}): delete it and run again."
        ) from error


def _ranges(run: Run) -> list[range]:
    """Return the numbers of the pairs in each batch; only the last may be short."""
    count = run.count
    if run.source.get("kind") not in (None, "mocks"):
        count = min(count, len(make_source(run.source)))  # type: ignore[arg-type]
    return [range(k, min(k + run.batch, count)) for k in range(0, count, run.batch)]


def _batch_path(place: Path, numbers: range, run: Run) -> Path:
    short = "" if len(numbers) == run.batch else f"_of_{len(numbers)}"
    return place / f"batch_{numbers.start // run.batch:05d}{short}.npz"


def _write_description(place: Path, run: Run, configuration: Configuration) -> None:
    place.mkdir(exist_ok=True)
    path = place / "run.json"
    if not path.exists():
        content = {"version": version, **run.description(configuration.settings)}
        with atomic_write(path, True) as temporary:
            temporary.write_text(json.dumps(content, indent=1, default=str) + "\n")


def _one_batch(
    run: Run, numbers: range, function: BatchFunction, configuration: Configuration, folder: Path
) -> Record:
    from picasssso.pairs.truth import TrueSums

    source = make_source(run.source)
    pairs = source.batch(numbers)
    apertures = _apertures(run, numbers, pairs, folder)
    settings = configuration.settings
    images, bands = select_bands(pairs, source.bands, run.bands)
    estimate = function(images, bands)
    area = pairs["pixel_scale_kpc"].cpu().numpy().astype(np.float64) ** 2
    percentiles: Mapping[str, Any] = {}
    if estimate.sum_percentiles is not None:
        percentiles = estimate.sum_percentiles(apertures, settings.aperture_radius, area)
    sums = pairs["truth_at_psf" if run.truth == "psf" else "truth"]
    return measure(
        MapStack(TrueSums(sums).properties()),
        estimate.maps,
        apertures,
        settings,
        galaxy=pairs["galaxy"],
        signal_to_noise=_signal_to_noise(pairs, source),
        pixel_area=area,
        sum_percentiles=percentiles,
    )


def _signal_to_noise(pairs: dict[str, Any], source: PairSource) -> Any:
    """Return flux over noise per pixel of the i band, or the nearest there is."""
    letters = [band.rpartition("-")[2][:1] for band in source.bands]
    letter = next((x for x in _SNR_BANDS if x in letters), letters[-1])
    k = letters.index(letter)
    return pairs["flux"][:, k] * pairs["inverse_variance"][:, k].sqrt()


def _apertures(run: Run, numbers: range, pairs: dict[str, Any], folder: Path) -> Apertures:
    """Fit ellipses to the true mass at its own resolution; keep them for other runs."""
    text = json.dumps([dict(run.source), numbers.start, len(numbers)], sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    place = folder / "apertures"
    path = place / f"{name}.npz"
    if path.exists():
        content = _load(path)
        shape = tuple(int(length) for length in content.pop("shape"))
        return Apertures(**content, shape=(shape[0], shape[1]))
    radius = pairs["half_mass_radius"] / pairs["pixel_scale_kpc"]
    known = bool(radius.isfinite().all())
    apertures = fit_apertures(pairs["truth"][:, 0], half_mass_radius=radius if known else None)
    place.mkdir(exist_ok=True)
    names = ("x", "y", "axis_ratio", "angle", "half_mass_radius", "fitted", "shape")
    with atomic_write(path, True) as temporary, temporary.open("wb") as file:
        np.savez(file, **{name: getattr(apertures, name) for name in names})
    return apertures
