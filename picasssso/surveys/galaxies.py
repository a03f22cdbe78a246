"""What a worker does with a galaxy: prepare, estimate, keep the maps, measure a row."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import time
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import astropy.units as u
import numpy as np

from picasssso.exceptions import (
    FileFormatError,
    InvalidInputError,
    PicassssoError,
    PicassssoWarning,
)
from picasssso.surveys.image_sources import Located, read_source
from picasssso.surveys.measuring import measure_galaxy
from picasssso.surveys.store import RESULTS

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.maps import PropertyMaps

#: Arguments of `prepare` that leave out every step.
READ_ONLY = {"sky": None, "noise": False, "match": False, "mask": False}
#: Arguments that say how files are read.
READING = (
    "survey", "format", "zero_point", "unit", "weight", "uncertainty", "variance", "mask_bits",
    "pixel_scale", "galactic_extinction",
)  # fmt: skip
#: Tiles that a worker keeps open for the galaxies that follow.
_OPEN_TILES = 16
#: Longest text of an error, and of notes.
_LONGEST, _NOTES = 600, 300
#: Longest name of a galaxy in that of a file: file systems end at 255 bytes.
_LONGEST_NAME = 180
#: What tells a sentence that names arguments or functions of Python.
_PYTHON = re.compile(r"\b[a-z_]+=(?!=)|\w\(|\bu\.[a-z]")
#: Side of the pictures on the page, pixels at most.
_PICTURE = 128
#: What the picture of a surface density spans, dex.
_DEX = 3.0


def _reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of the options says how files are read; masks of files are `file_mask`."""
    found = {key: value for key, value in options.items() if key in READING}
    masks = options.get("file_mask")
    return found if masks is None else {**found, "mask": masks}


def file_of(folder: Path, kind: str, name: str, ending: str) -> Path:
    """Return where a galaxy's file stands: among 4096 folders, so that none grows too full."""
    shard = f"{zlib.crc32(name.encode()) % 4096:03x}"
    text = quote(name, safe="+")
    if text.startswith("."):
        text = f"%2E{text[1:]}"  # no hidden files
    if len(text) > _LONGEST_NAME:
        text = f"{text[:_LONGEST_NAME]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return folder / kind / shard / f"{text}{ending}"


@dataclass(frozen=True, eq=False)
class GalaxyWork:
    """The work of a run, the same for all galaxies; it travels to each worker once.

    What an estimator keeps from one galaxy to the next (model libraries by redshift, networks)
    lives as long as the worker. ``together``: whether galaxies of a batch are estimated at once.
    """

    estimator: PropertyMapEstimator
    folder: Path
    options: Mapping[str, Any]
    aperture: u.Quantity | str
    keep_maps: bool = True
    reports: bool = False
    n_samples: int = 0
    seed: int = 0
    extinction_removed: str | None = None
    pictures: int = 0
    together: bool = False

    @cached_property
    def _open_tile(self) -> Any:
        from picasssso.bands import BandImages

        reading = _reading(self.options)

        def open_tile(band: str, path: str) -> BandImages:
            # A tile is of no galaxy: each part of it gets the redshift of its own.
            return BandImages.read({band: path}, redshift=0.0, **reading)

        return lru_cache(_OPEN_TILES)(open_tile)

    @property
    def _extinction_by_galaxy(self) -> bool:
        scale = self.extinction_removed or self.options.get("ebv_scale")
        return scale is not None and "ebv" not in self.options

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_open_tile"}

    def check_worker(self) -> None:
        """Refuse a worker that does not see the folder of the run."""
        if not (self.folder / RESULTS).is_file():
            raise FileFormatError(
                f"The worker on {socket.gethostname()} does not see the folder of the run, "
                f"{self.folder}: name one that all workers can write to."
            )

    def __call__(self, batch: Sequence[Located]) -> list[dict[str, Any]]:
        """Return a row for each galaxy; of several, one that fails gets the error as its row.

        Of a single galaxy the error is raised, so that whoever called may try again.
        """
        if len(batch) == 1:
            return [self._row(batch[0])]
        rows = self._rows_together(batch) if self.together else None
        return rows or [self._row_or_failure(located) for located in batch]

    def _row(self, located: Located) -> dict[str, Any]:
        started = time.perf_counter()
        images, notes = self._prepare(located)
        how: dict[str, Any] = {"progress": False}
        if self.n_samples:
            how |= {"n_samples": self.n_samples, "seed": self.seed + located.galaxy.number}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # flags say the same of every galaxy
            maps = self.estimator.estimate(images, **how)
        row = self._finish(located, images, notes, maps)
        return {**row, "seconds": time.perf_counter() - started}

    def _row_or_failure(self, located: Located) -> dict[str, Any]:
        started = time.perf_counter()
        try:
            return self._row(located)
        except Exception as error:
            failed = {"id": located.galaxy.id, "failed": describe_failure(error)}
            return {**failed, "seconds": time.perf_counter() - started}

    def _rows_together(self, batch: Sequence[Located]) -> list[dict[str, Any]] | None:
        """Return rows of galaxies estimated at once; None where one fails, or it cannot be."""
        if self.n_samples or not hasattr(self.estimator, "estimate_many"):
            return None
        started = time.perf_counter()
        try:
            ready = [self._prepare(located) for located in batch]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                maps = self.estimator.estimate_many([one for one, _ in ready], progress=False)
            rows = [
                self._finish(located, *of, found)
                for located, of, found in zip(batch, ready, maps, strict=True)
            ]
        except Exception:
            return None  # which of them it was comes out one by one
        seconds = (time.perf_counter() - started) / len(batch)
        return [{**row, "seconds": seconds} for row in rows]

    def _prepare(self, located: Located) -> tuple[BandImages, list[str]]:
        galaxy = located.galaxy
        if located.error:
            raise InvalidInputError(located.error)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", PicassssoWarning)
            images = self._read_and_prepare(located)
        notes = list(located.notes) + [_note(w.message) for w in caught]
        if "distance" in galaxy.missing:
            notes.append("no distance in the catalog: that of the redshift")
        if images.galactic_extinction is None:
            notes.append("Galactic extinction unknown: images taken to be corrected")
        # What comes last may be cut off.
        notes.sort(key=lambda note: not note.startswith("luminosity_distance"))
        return images, list(dict.fromkeys(notes))

    def _read_and_prepare(self, located: Located) -> BandImages:
        from picasssso.bands import BandImages, GalacticExtinction
        from picasssso.preparation import prepare

        galaxy, options = located.galaxy, dict(self.options)
        source = read_source(located, self._open_tile)
        distance = None if galaxy.distance is None else galaxy.distance * u.Mpc
        own: dict[str, Any] = {"redshift": galaxy.redshift, "luminosity_distance": distance}
        if galaxy.ebv is not None and self.extinction_removed is not None:
            own["galactic_extinction"] = GalacticExtinction(
                ebv=galaxy.ebv, scale=self.extinction_removed, applied=True
            )
        elif galaxy.ebv is not None:
            options["ebv"] = galaxy.ebv
        elif self._extinction_by_galaxy:
            raise InvalidInputError("the catalog has no E(B-V) of it")
        own = {key: value for key, value in own.items() if value is not None}
        masks = options.pop("file_mask", None)
        if isinstance(source, BandImages):
            source, own = source.replace(**own), {}
        elif isinstance(source, list):
            source, own = [part.replace(**own) for part in source], {}
            options = {key: value for key, value in options.items() if key not in READING}
        elif masks is not None:
            from picasssso.io.reading import read_parts

            source, own = read_parts(source, **_reading(self.options), **own), {}
            options = {key: value for key, value in options.items() if key not in READING}
        # Images without WCS, whose pixel scale is stated, have no positions.
        if galaxy.position is not None and "pixel_scale" not in self.options:
            from astropy.coordinates import SkyCoord

            options.setdefault("position", SkyCoord(*galaxy.position, unit="deg"))
        return prepare(source, **options, **own)

    def _finish(
        self, located: Located, images: BandImages, notes: Sequence[str], maps: PropertyMaps
    ) -> dict[str, Any]:
        galaxy = located.galaxy
        aperture = self.aperture
        if maps.angular_diameter_distance is None:
            notes = [*notes, "no totals: the redshift gives no distance, and none is given"]
        if isinstance(aperture, str):
            aperture = aperture.replace("{id}", galaxy.id)
        row = {"id": galaxy.id, **measure_galaxy(maps, aperture)}
        notes = [*row.pop("notes"), *notes]
        if self.keep_maps:
            path = file_of(self.folder, "maps", galaxy.id, ".fits")
            path.parent.mkdir(parents=True, exist_ok=True)
            maps.write(path, overwrite=True)
            row["maps"] = path.relative_to(self.folder).as_posix()
        if self.reports:
            from picasssso.evaluation.report import write_report

            path = file_of(self.folder, "reports", galaxy.id, ".html")
            path.parent.mkdir(parents=True, exist_ok=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write_report(maps, path, images=images, title=galaxy.id, overwrite=True)
            row["report"] = path.relative_to(self.folder).as_posix()
        if galaxy.number < self.pictures:
            row["pictures"] = (_color_png(images), _mass_png(maps))
        return row | {"notes": "; ".join(notes)[:_NOTES]}


def describe_failure(error: BaseException) -> str:
    """Return an error in one line."""
    text = _one_line(error)
    if isinstance(error, PicassssoError) and text:
        return text
    return f"{type(error).__name__}: {text}"[:_LONGEST]


def _note(message: Any) -> str:
    """Return what a warning found, without the sentences that say how Python is told."""
    sentences = re.split(r"(?<=[.!?]) (?=[A-Z])", _one_line(message))
    found = [text for text in sentences if not _PYTHON.search(text)]
    return " ".join(found or sentences)[:_NOTES]


def _one_line(message: Any, longest: int = _LONGEST) -> str:
    return " ".join(str(message).split())[:longest]


def _color_png(images: BandImages) -> bytes:
    from picasssso.bands.plotting import color_picture

    # Without the lowest bits, which are noise, it takes half the room.
    return _png(color_picture(images, None, 99.7, 3.0) & 0xF8)


def _mass_png(maps: PropertyMaps) -> bytes:
    import matplotlib

    name = "stellar_mass" if "stellar_mass" in maps else next(iter(maps))
    definition = maps.definition(name)
    values = np.where(maps.masks[name], np.nan, maps[name].data).astype(float)
    if definition.is_surface_density:
        values = np.log10(np.where(values > 0, values, np.nan))
    usable = values[np.isfinite(values)]
    low, high = np.percentile(usable, (5, 99.5)) if usable.size else (0.0, 1.0)
    if definition.is_surface_density:
        low = max(low, high - _DEX)
    place = np.ma.masked_invalid((values - low) / (high - low or 1.0))
    colors = matplotlib.colormaps[definition.color_map].with_extremes(bad="0.85")
    return _png(colors(place, bytes=True))


def _png(picture: Any) -> bytes:
    from matplotlib.image import imsave

    step = -(-max(picture.shape[:2]) // _PICTURE)
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(picture[::-step, ::step]), format="png")
    return buffer.getvalue()
