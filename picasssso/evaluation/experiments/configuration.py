"""Configuration of a set of experiments: one TOML file.

A file looks like this (``benchmarks/experiments/*.toml`` are those of the documentation)::

    [common]                 # of all experiments; each may say otherwise
    count = 1000             # galaxies
    batch = 25               # galaxies at once, and per file of what is kept
    truth = "psf"            # at the resolution of the images, or "native"
    source = {kind = "mocks", seed = 2711, survey = "sdss", n_pixels = 64}

    [small]                  # what --small changes
    count = 8

    [settings]               # picasssso.evaluation.Settings
    [bins]                   # picasssso.evaluation.Bins

    [estimators.mass_to_light]
    label = "color M/L"
    name = "mass_to_light"   # one of `picasssso list` ...
    parameters = {relation = "taylor2011"}

    samples = 100            # joint samples, for the percentiles of sums; none by default
    sums = false             # no percentiles of sums at all; true by default
    redshift_step = 0.004    # redshifts are told rounded to this; exactly by default
    prepare = [{step = "match_psf"}, {step = "bin_images", snr = 10}]     # none by default

    [estimators.network]
    label = "network"
    batch_function = "package.module:function"   # ... or a function of batches
    optional = true          # left out, with the reason, where it cannot be made

    [[experiments]]
    id = "b"
    title = "The same images"
    estimators = ["mass_to_light", "network"]
    reference = "mass_to_light"                  # whose scatter others are compared with
    paper = "ugriz"                              # the run of the paper to stand beside

    [[experiments.settings]] # none: one setting, that of [common]
    label = "gr"
    x = 2                    # place on the axis of the curve
    bands = ["g", "r"]
    source = {survey = "des"}                    # merged into that of [common]
    parameters = {network = {weights = "gr.safetensors"}}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from picasssso._core.arguments import check_choice, check_integer
from picasssso.estimators._cnn.weight_files import weights_path
from picasssso.evaluation.measures import Settings
from picasssso.evaluation.summary import Bins
from picasssso.evaluation.toml import check_known, check_name, check_table, own_errors, read_toml
from picasssso.exceptions import InvalidInputError

_COMMON = {"count", "batch", "truth", "source", "bands"}
_ESTIMATOR = {
    "label", "name", "batch_function", "parameters", "optional", "samples", "sums",
    "redshift_step", "prepare",
}  # fmt: skip
_EXPERIMENT = {"id", "title", "estimators", "settings", "axis", "paper", "reference"} | _COMMON
_SETTING = {"label", "x", "parameters", "estimators", "paper"} | _COMMON
_TRUTHS = ("psf", "native")
_COMMON_DEFAULTS: dict[str, Any] = {
    "count": 1000,
    "batch": 25,
    "truth": "psf",
    "bands": None,
    "source": {"kind": "mocks", "seed": 2711, "survey": "sdss", "n_pixels": 64},
}


@dataclass(frozen=True, eq=False)
class Run:
    """One estimator over one set of galaxies."""

    experiment: str
    setting: str
    x: float | None
    estimator: str
    label: str
    specification: Mapping[str, Any]
    source: Mapping[str, Any]
    count: int
    batch: int
    truth: str
    bands: tuple[str, ...] | None
    paper: str | None = None

    @property
    def optional(self) -> bool:
        """Whether the run is skipped if the estimator cannot be created (bool)."""
        return bool(self.specification.get("optional", False))

    def key(self, settings: Settings) -> str:
        """Return the name of the folder of the results.

        Identical runs of different experiments share it, and a run with more galaxies is continued
        in it.
        """
        content = self.description(settings)
        text = json.dumps(content, sort_keys=True, default=str)
        return f"{self.estimator}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def description(self, settings: Settings) -> dict[str, Any]:
        """Return all settings that affect the results."""
        how = {k: v for k, v in self.specification.items() if k not in ("label", "optional")}
        fingerprints = _fingerprints(self.specification)
        return {
            "estimator": how if not fingerprints else {**how, "sha256": fingerprints},
            "source": dict(self.source),
            "batch": self.batch,
            "truth": self.truth,
            "bands": None if self.bands is None else list(self.bands),
            "settings": {f.name: getattr(settings, f.name) for f in fields(settings)},
        }


@dataclass(frozen=True, eq=False)
class Configuration:
    """The experiments of a configuration file."""

    runs: tuple[Run, ...]
    experiments: Mapping[str, Mapping[str, Any]]
    settings: Settings
    bins: Bins
    small: bool = False

    def select(self, experiments: tuple[str, ...], estimators: tuple[str, ...]) -> Configuration:
        """Return only some of the experiments and estimators."""
        check_known("experiment", experiments, self.experiments)
        check_known("estimator", estimators, {run.estimator for run in self.runs})
        runs = tuple(
            run
            for run in self.runs
            if (not experiments or run.experiment in experiments)
            and (not estimators or run.estimator in estimators)
        )
        left = {run.experiment for run in runs}
        kept = {name: value for name, value in self.experiments.items() if name in left}
        return Configuration(runs, kept, self.settings, self.bins, self.small)


def load_configuration(path: str | os.PathLike[str], *, small: bool = False) -> Configuration:
    """Read a configuration in TOML; the module's documentation says what it may hold.

    Relative paths in it are relative to where the command is run. ``small`` applies its table
    ``[small]``, for tests.
    """
    return parse_configuration(read_toml(path), small=small)


@own_errors
def parse_configuration(content: Mapping[str, Any], *, small: bool = False) -> Configuration:
    """Make a configuration from the contents of a file."""
    known = {"common", "small", "settings", "bins", "estimators", "experiments"}
    check_table("The configuration", content, known)
    check_table("[common]", content.get("common", {}), _COMMON)
    check_table("[small]", content.get("small", {}), _COMMON | {"settings", "bins"})
    changes = dict(content.get("small", {})) if small else {}
    common = {**_COMMON_DEFAULTS, **content.get("common", {})}
    common["source"] = _merge_sources([_COMMON_DEFAULTS["source"], common["source"]])
    estimators = content.get("estimators", {})
    for key, specification in estimators.items():
        check_name("The estimator's key", key)
        check_table(f"[estimators.{key}]", specification, _ESTIMATOR)
        if ("name" in specification) == ("batch_function" in specification):
            raise InvalidInputError(
                f"[estimators.{key}] needs either name or batch_function, and not both."
            )
    settings = _make(Settings, {**content.get("settings", {}), **changes.pop("settings", {})})
    bins = _make(Bins, {**content.get("bins", {}), **changes.pop("bins", {})})
    runs: list[Run] = []
    experiments: dict[str, dict[str, Any]] = {}
    for experiment in content.get("experiments", []):
        check_table("[experiments]", experiment, _EXPERIMENT, ("id", "title"))
        identifier = check_name("The experiment's id", experiment["id"])
        if identifier in experiments:
            raise InvalidInputError(f"There are two experiments with the id {identifier!r}.")
        experiments[identifier] = {k: experiment.get(k) for k in ("title", "axis", "reference")}
        for setting in experiment.get("settings") or [{}]:
            check_table(f"[experiments {identifier!r}, settings]", setting, _SETTING)
            runs += _make_runs(experiment, setting, common, changes, estimators)
    if not runs:
        raise InvalidInputError("The configuration names no experiment with an estimator.")
    return Configuration(tuple(runs), experiments, settings, bins, small)


def _make_runs(
    experiment: Mapping[str, Any],
    setting: Mapping[str, Any],
    common: Mapping[str, Any],
    changes: Mapping[str, Any],
    estimators: Mapping[str, Mapping[str, Any]],
) -> list[Run]:
    # What is small is small everywhere.
    layers = (common, experiment, setting, changes)
    merged = {
        name: next(layer[name] for layer in reversed(layers) if name in layer) for name in _COMMON
    }
    merged["source"] = _merge_sources(layer.get("source", {}) for layer in layers)
    check_choice("truth", merged["truth"], _TRUTHS)
    for name in ("count", "batch"):
        check_integer(name, merged[name], 1)
    runs = []
    for key in setting.get("estimators", experiment.get("estimators", ())):
        if key not in estimators:
            raise InvalidInputError(
                f"Experiment {experiment['id']!r} names the estimator {key!r}: the configuration "
                f"has {', '.join(estimators) or 'none'}."
            )
        specification = dict(estimators[key])
        more = setting.get("parameters", {}).get(key)
        if more:
            specification["parameters"] = {**specification.get("parameters", {}), **more}
        bands = merged["bands"]
        runs.append(
            Run(
                experiment=experiment["id"],
                setting=str(setting.get("label", "")),
                x=setting.get("x"),
                estimator=key,
                label=specification.get("label", key),
                specification=specification,
                source=merged["source"],
                count=merged["count"],
                batch=merged["batch"],
                truth=merged["truth"],
                bands=None if bands is None else tuple(bands),
                paper=setting.get("paper", experiment.get("paper")),
            )
        )
    return runs


def _merge_sources(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge two descriptions; one of another kind replaces the first."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if layer.get("kind", merged.get("kind")) != merged.get("kind"):
            merged = {}
        merged |= layer
    return merged


def _fingerprints(specification: Mapping[str, Any]) -> dict[str, str]:
    """Return hashes of the files that parameters name, so that new weights are a new run."""
    parameters = dict(specification.get("parameters", {}))
    if specification.get("name") == "cnn":
        parameters.setdefault("weights", "default")
    found = {}
    for name, value in parameters.items():
        if not isinstance(value, str):
            continue
        candidates = [Path(value), Path(f"{value}.safetensors")]
        if specification.get("name") == "cnn" and name == "weights":
            # A name such as "default" stands for other weights after a release.
            candidates.append(Path(f"{weights_path(value)}.safetensors"))
        for path in candidates:
            if path.is_file():
                found[name] = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return found


def _make(kind: Any, table: Mapping[str, Any]) -> Any:
    names = {f.name for f in fields(kind)}
    check_table(f"[{kind.__name__.lower()}]", table, names)
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in table.items()})
