"""Running the parts of a configuration of real galaxies that have not been run yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.cosmology import FlatLambdaCDM

from picasssso._core.safe_files import atomic_write
from picasssso._core.version import __version__ as version
from picasssso.evaluation.real.catalog_galaxies import estimate_galaxies, galaxy_figures
from picasssso.evaluation.real.colors import color_figures, estimate_colors
from picasssso.evaluation.real.comparison import compare_truths
from picasssso.evaluation.real.estimates import RealEstimator
from picasssso.evaluation.real.fields import estimate_named, named_figures
from picasssso.evaluation.real.gas_scaling import compare_gas
from picasssso.evaluation.real.published_tables import GalaxyCatalog
from picasssso.evaluation.real.rings import compare_rates, estimate_rings, ring_figures
from picasssso.evaluation.real.samples import RealConfiguration
from picasssso.exceptions import FileFormatError

#: Galaxies at once; what is kept grows by as many.
_BATCH = 12
#: Under which a field is kept.
_WHOLE = "all"
#: What is done for each kind of part, apart from galaxies one by one.
_ESTIMATES: dict[str, Callable[..., dict[str, Any]]] = {
    "rings": estimate_rings, "fields": estimate_named, "colors": estimate_colors,
}  # fmt: skip
_FIGURES: dict[str, Callable[..., dict[str, Any]]] = {
    "rings": ring_figures, "fields": named_figures, "colors": color_figures,
}  # fmt: skip


def run_real(
    configuration: RealConfiguration,
    folder: Path | str,
    data: Path | str,
    *,
    progress: bool | None = None,
) -> None:
    """Measure everything that is not measured yet."""
    from tqdm import tqdm

    measurements = _Measurements(configuration, folder, data)
    measurements.folder.mkdir(parents=True, exist_ok=True)
    if not measurements.data.is_dir():
        raise FileFormatError(f"There is no data folder {data}: give it with --data.")
    todo: dict[tuple[str, str], list[str]] = {}
    for run in configuration.runs():
        kept = measurements.kept(*run)
        todo[run] = [name for name in measurements.names(*run) if name not in kept]
    disable = None if progress is None else not progress
    made: dict[str, RealEstimator] = {}
    with tqdm(total=sum(map(len, todo.values())), disable=disable, unit="object") as bar:
        for (part, key), names in todo.items():
            if key not in made and names:
                made = {key: RealEstimator(configuration.estimators[key])}
            for k in range(0, len(names), _BATCH):
                batch = names[k : k + _BATCH]
                content = measurements.kept(part, key)
                content |= measurements.measure(part, made[key], batch)
                with atomic_write(measurements.path(part, key), True) as temporary:
                    temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
                bar.update(len(batch))


def collect_real(
    configuration: RealConfiguration, folder: Path | str, data: Path | str
) -> dict[str, Any]:
    """Return the figures of all that was measured."""
    measurements = _Measurements(configuration, folder, data)
    parts: dict[str, Any] = {
        name: {"title": table["title"], "kind": table["kind"], "estimators": {}}
        for name, table in configuration.parts.items()
    }
    for part, key in configuration.runs():
        kept = measurements.kept(part, key)
        records = [kept[name] for name in measurements.names(part, key) if name in kept]
        if not records:
            continue
        kind = configuration.parts[part]["kind"]
        if kind == "galaxies":
            figures = galaxy_figures(measurements.catalog, records)
            if "xgass" in configuration.truths:
                survey = measurements.data / configuration.truths["xgass"]
                figures["gas"] = compare_gas(
                    measurements.catalog, records, survey, configuration.seed
                )
        else:
            figures = _FIGURES[kind](records[0])
        label = configuration.estimators[key].get("label", key)
        parts[part]["estimators"][key] = {"label": label, **figures}
    found = {"version": version, "small": configuration.small, "parts": parts}
    truths = compare_truths(configuration.truths, measurements.data)
    if configuration.truths and "galaxies" in configuration.parts:
        truths += [
            compare_rates(table, measurements.catalog, measurements.data)
            for table in configuration.parts.values()
            if table["kind"] == "rings" and {"g", "r"} <= {band[-1] for band in table["files"]}
        ]
    found["truths"] = truths
    found["requirements"] = [_judge(one, parts) for one in configuration.requirements]
    return found


def _judge(requirement: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """Look up a result by its path, and compare it with its requirement."""
    part, estimator, *rest = requirement["figure"].split(".")
    value: Any = parts.get(part, {}).get("estimators", {}).get(estimator, {})
    for name in rest:
        value = value.get(name) if isinstance(value, Mapping) else None
    low, high = (float(x) for x in requirement["between"])
    met = None if value is None else bool(low <= value <= high)
    return {**requirement, "value": value, "met": met}


class _Measurements:
    """What a configuration measures of the data in a folder, and what is kept of it."""

    def __init__(
        self, configuration: RealConfiguration, folder: Path | str, data: Path | str
    ) -> None:
        self.configuration = configuration
        self.folder, self.data = Path(folder), Path(data)

    @cached_property
    def catalog(self) -> GalaxyCatalog:
        """The catalog of the galaxies that are measured one by one."""
        return GalaxyCatalog.read(self.data / self.configuration.parts["galaxies"]["catalog"])

    def names(self, part: str, key: str) -> list[str]:
        """Return what is measured: rows of the catalog in the order of redshift, or the field."""
        table, how = self.configuration.parts[part], self.configuration.estimators[key]
        if table["kind"] != "galaxies":
            return [_WHOLE]
        counts = how.get("counts", table.get("counts", {"gswlc": 1000}))
        numbers = self.catalog.choose(counts, self.configuration.seed)
        # What estimators keep from one galaxy to the next serves those at the same redshift.
        order = np.argsort(self.catalog.values("redshift", numbers), kind="stable")
        return [str(numbers[k]) for k in order]

    def path(self, part: str, key: str) -> Path:
        """Return the file of what is kept of a run."""
        return self.folder / f"{self.configuration.key(part, key)}.json"

    def kept(self, part: str, key: str) -> dict[str, Any]:
        """Return what is kept of a run, by name."""
        path = self.path(part, key)
        try:
            return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
        except ValueError as error:
            raise FileFormatError(
                f"{path} is damaged ({error}): remove it to measure again."
            ) from error

    def measure(self, part: str, estimator: RealEstimator, names: list[str]) -> dict[str, Any]:
        """Return what an estimator makes of some galaxies, or of a field."""
        table, seed = self.configuration.parts[part], self.configuration.seed
        if table["kind"] != "galaxies":
            return {_WHOLE: _ESTIMATES[table["kind"]](table, self.data, estimator, seed)}
        given = self.configuration.cosmology
        cosmology = None if given is None else FlatLambdaCDM(H0=given["H0"], Om0=given["Om0"])
        numbers = [int(name) for name in names]
        records = estimate_galaxies(
            self.catalog, numbers, estimator, seed=seed, cosmology=cosmology
        )
        return dict(zip(names, records, strict=True))
