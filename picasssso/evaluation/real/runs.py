"""Running the parts of a configuration of real galaxies that have not been run yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.files import atomic_write
from picasssso._core.version import __version__ as version
from picasssso.evaluation.real.catalogues import GalaxyCatalogue
from picasssso.evaluation.real.colors import color_figures, estimate_colors
from picasssso.evaluation.real.comparison import compare_truths
from picasssso.evaluation.real.estimates import RealEstimator
from picasssso.evaluation.real.fields import estimate_named, named_figures
from picasssso.evaluation.real.galaxies import estimate_galaxies, galaxy_figures
from picasssso.evaluation.real.gas_scaling import compare_gas
from picasssso.evaluation.real.rings import estimate_rings, ring_figures
from picasssso.evaluation.real.samples import RealConfiguration
from picasssso.exceptions import FileFormatError

if TYPE_CHECKING:
    from astropy.cosmology import FLRW

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

    folder, data = Path(folder), Path(data)
    folder.mkdir(parents=True, exist_ok=True)
    if not data.is_dir():
        raise FileFormatError(f"There is no data folder {data}: give it with --data.")
    catalogue = _catalogue(configuration, data)
    runs = configuration.runs()
    todo = {run: _missing(configuration, folder, *run, catalogue) for run in runs}
    disable = None if progress is None else not progress
    made: dict[str, RealEstimator] = {}
    with tqdm(total=sum(map(len, todo.values())), disable=disable, unit="object") as bar:
        for (part, key), names in todo.items():
            if key not in made and names:
                made = {key: RealEstimator(configuration.estimators[key])}
            for k in range(0, len(names), _BATCH):
                batch = names[k : k + _BATCH]
                found = _measure(configuration, part, made[key], batch, catalogue, data)
                _keep(configuration, folder, part, key, found)
                bar.update(len(batch))


def collect_real(
    configuration: RealConfiguration, folder: Path | str, data: Path | str
) -> dict[str, Any]:
    """Return the figures of all that was measured."""
    folder, data = Path(folder), Path(data)
    catalogue = _catalogue(configuration, data)
    parts: dict[str, Any] = {
        name: {"title": table["title"], "kind": table["kind"], "estimators": {}}
        for name, table in configuration.parts.items()
    }
    for part, key in configuration.runs():
        kept = _kept(configuration, folder, part, key)
        wanted = _names(configuration, part, key, catalogue)
        records = [kept[name] for name in wanted if name in kept]
        if not records:
            continue
        kind = configuration.parts[part]["kind"]
        if kind == "galaxies":
            assert catalogue is not None
            figures = galaxy_figures(catalogue, records)
            if "xgass" in configuration.truths:
                survey = data / configuration.truths["xgass"]
                figures["gas"] = compare_gas(catalogue, records, survey, configuration.seed)
        else:
            figures = _FIGURES[kind](records[0])
        label = configuration.estimators[key].get("label", key)
        parts[part]["estimators"][key] = {"label": label, **figures}
    found = {"version": version, "small": configuration.small, "parts": parts}
    found["truths"] = compare_truths(configuration.truths, data)
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


def _catalogue(configuration: RealConfiguration, data: Path) -> GalaxyCatalogue | None:
    table = configuration.parts.get("galaxies")
    return None if table is None else GalaxyCatalogue.read(data / table["catalogue"])


def _names(
    configuration: RealConfiguration, part: str, key: str, catalogue: GalaxyCatalogue | None
) -> list[str]:
    """Return what is measured: rows of the catalog in the order of redshift, or the field."""
    table = configuration.parts[part]
    if table["kind"] != "galaxies" or catalogue is None:
        return [_WHOLE]
    counts = configuration.estimators[key].get("counts", table.get("counts", {"gswlc": 1000}))
    numbers = catalogue.choose(counts, configuration.seed)
    # What estimators keep from one galaxy to the next serves those at the same redshift.
    order = np.argsort(catalogue.values("redshift", numbers), kind="stable")
    return [str(numbers[k]) for k in order]


def _missing(
    configuration: RealConfiguration,
    folder: Path,
    part: str,
    key: str,
    catalogue: GalaxyCatalogue | None,
) -> list[str]:
    kept = _kept(configuration, folder, part, key)
    return [name for name in _names(configuration, part, key, catalogue) if name not in kept]


def _kept(configuration: RealConfiguration, folder: Path, part: str, key: str) -> dict[str, Any]:
    path = folder / f"{configuration.key(part, key)}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
    except ValueError as error:
        raise FileFormatError(
            f"{path} is damaged ({error}): remove it to measure again."
        ) from error


def _keep(
    configuration: RealConfiguration, folder: Path, part: str, key: str, found: dict[str, Any]
) -> None:
    content = {**_kept(configuration, folder, part, key), **found}
    with atomic_write(folder / f"{configuration.key(part, key)}.json", True) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _measure(
    configuration: RealConfiguration,
    part: str,
    estimator: RealEstimator,
    names: list[str],
    catalogue: GalaxyCatalogue | None,
    data: Path,
) -> dict[str, Any]:
    table, seed = configuration.parts[part], configuration.seed
    if table["kind"] == "galaxies":
        assert catalogue is not None
        cosmology = _cosmology(configuration)
        numbers = [int(name) for name in names]
        records = estimate_galaxies(catalogue, numbers, estimator, seed=seed, cosmology=cosmology)
        return dict(zip(names, records, strict=True))
    return {_WHOLE: _ESTIMATES[table["kind"]](table, data, estimator, seed)}


def _cosmology(configuration: RealConfiguration) -> FLRW | None:
    from astropy.cosmology import FlatLambdaCDM

    given = configuration.cosmology
    return None if given is None else FlatLambdaCDM(H0=given["H0"], Om0=given["Om0"])
