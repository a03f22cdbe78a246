"""Where a galaxy's images come from: files of its own, or tiles that it is cut out of."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import Formatter
from typing import Any, Protocol

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord, search_around_sky
from astropy.wcs import WCS

from picasssso._core.fits_files import celestial_wcs, image_shape, open_fits
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.surveys.catalogs import Catalog, Galaxy


@dataclass(frozen=True)
class Located:
    """A galaxy and its files, of all bands or by band; arcsec to cut out, None for all."""

    galaxy: Galaxy
    files: str | Mapping[str, str]
    size: float | None = None
    notes: tuple[str, ...] = ()
    error: str | None = None


class Source(Protocol):
    """Finds the files of galaxies."""

    def locate(self, galaxy: Galaxy) -> Located:
        """Return the files of a galaxy."""
        ...

    def group(self, number: int) -> tuple[int, ...]:
        """Return what galaxies have in common that are best worked on one after the other."""
        ...


class FilePatterns:
    """Names of files with ``{id}``, ``{band}`` or any column of the catalog in braces."""

    def __init__(
        self, images: str | os.PathLike[str] | Mapping[str, Any], bands: Sequence[str] | None
    ) -> None:
        if isinstance(images, Mapping):
            if bands is not None:
                raise InvalidInputError(
                    "bands= was given with images= by band: expected one of them."
                )
            self.patterns: dict[str | None, str] = {b: os.fspath(p) for b, p in images.items()}
            return
        pattern = os.fspath(images)
        if "{band}" not in pattern:
            if bands is not None:
                raise InvalidInputError(
                    f"images={pattern!r} has no {{band}} for bands={list(bands)}: expected one, "
                    "such as 'cutouts/{id}_{band}.fits', or no bands=, of files with all bands."
                )
            self.patterns = {None: pattern}
            return
        if not bands:
            raise InvalidInputError(
                f"images={pattern!r} needs the bands: give bands=, such as "
                "bands=['sdss2010-g', 'sdss2010-r'], or bare letters with the survey."
            )
        self.patterns = dict.fromkeys(bands, pattern)

    def check_own(self) -> None:
        """Refuse patterns that name the same files for all galaxies."""
        if not set(self._names()) - {"band"}:
            pattern = next(iter(self.patterns.values()))
            raise InvalidInputError(
                f"images={pattern!r} names the same file for all galaxies: expected braces around "
                "id or another column, such as 'cutouts/{id}_{band}.fits'. Large images to cut "
                "galaxies out of are given as tiles=."
            )

    def locate(self, galaxy: Galaxy) -> Located:
        """Return the files of a galaxy."""
        # Workers do not need the rest of the catalog.
        known = replace(galaxy, values={})
        lacking = [name for name in self._names() if galaxy.values.get(name, name) in (None, "")]
        if lacking:
            return Located(known, {}, error=f"the catalog has no {' and no '.join(lacking)} of it")
        files = {
            band: self._fill(pattern, band, galaxy) for band, pattern in self.patterns.items()
        }
        if None in files:
            return Located(known, files[None])
        return Located(known, {str(band): file for band, file in files.items()})

    def _names(self) -> list[str]:
        """Return the columns that stand in braces."""
        try:
            parts = [part for text in self.patterns.values() for part in Formatter().parse(text)]
        except ValueError:
            return []  # said where it is filled in
        return list(dict.fromkeys(part[1] for part in parts if part[1]))

    def group(self, number: int) -> tuple[int, ...]:
        """Return the same for all: each has files of its own."""
        return ()

    def _fill(self, pattern: str, band: str | None, galaxy: Galaxy) -> str:
        values = {"id": galaxy.id, **galaxy.values}
        if band is not None:
            values["band"] = band
        try:
            name = pattern.format_map(values)
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            raise InvalidInputError(
                f"images={pattern!r} cannot be filled in for {galaxy.id!r} ({error!r}): expected "
                f"braces around band or a column of the catalog ({', '.join(values)[:200]})."
            ) from error
        # Workers may stand in another folder.
        return os.path.abspath(os.path.expanduser(name))


class Tiles:
    """Large images that each hold many galaxies, by band.

    A galaxy is cut out of the tile that holds most of its square, and of those that hold as
    much, the one where it lies farthest from the edge.
    """

    def __init__(self, tiles: Mapping[str, Any], catalog: Catalog, size: float | None) -> None:
        if not {"ra", "dec"} <= catalog.columns.keys():
            raise InvalidInputError(
                "tiles= needs positions: the catalog has no columns ra and dec. Give their "
                "names: columns={'ra': 'NAME', 'dec': 'NAME'}."
            )
        if size is None and "size" not in catalog.columns:
            raise InvalidInputError(
                "tiles= needs the size of cutouts: give size=1 * u.arcmin, or a column, "
                "columns={'size': 'NAME [arcsec]'}."
            )
        sizes = catalog.numbers.get("size", np.full(len(catalog), np.nan))
        self.sizes = np.where(np.isfinite(sizes), sizes, np.nan if size is None else size)
        self.positions = (catalog.numbers["ra"], catalog.numbers["dec"])
        if not tiles:
            raise InvalidInputError("tiles= is empty: expected files by band.")
        self.files = {band: _list_tiles(band, given) for band, given in tiles.items()}
        self.choices = {band: self._choose(files) for band, files in self.files.items()}

    def _choose(
        self, files: Sequence[str]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the number of the best tile of every galaxy, -1 for none, and what it holds."""
        n = len(self.sizes)
        best = np.full(n, -1)
        held, depth = np.zeros(n), np.full(n, -np.inf)
        known = np.flatnonzero(np.isfinite(self.positions).all(axis=0) & (self.sizes > 0))
        if not len(known):
            return best, held
        sky = SkyCoord(*(p[known] for p in self.positions), unit="deg")
        for number, file in enumerate(files):
            wcs, shape = _grid(file)
            corners = wcs.pixel_to_world(
                [-0.5, shape[1] - 0.5] * 2, [-0.5] * 2 + [shape[0] - 0.5] * 2
            )
            middle = wcs.pixel_to_world((shape[1] - 1) / 2, (shape[0] - 1) / 2)
            reach = corners.separation(middle).max() + self.sizes[known].max() * u.arcsec
            near = known[search_around_sky(middle.reshape(1), sky, reach)[1]]
            if not len(near):
                continue
            x, y = wcs.world_to_pixel(SkyCoord(*(p[near] for p in self.positions), unit="deg"))
            half = self.sizes[near] / 2 / _pixel_arcsec(wcs, shape)
            fraction, margin = np.ones(len(near)), np.full(len(near), np.inf)
            for place, side in ((x, shape[1]), (y, shape[0])):
                inside = np.minimum(place + half, side - 0.5) - np.maximum(place - half, -0.5)
                fraction *= np.clip(inside / (2 * half), 0, 1)
                margin = np.minimum(margin, np.minimum(place + 0.5, side - 0.5 - place))
            # The galaxy itself has to lie on the tile.
            fraction = np.where(margin > 0, np.round(fraction, 6), 0.0)
            better = (fraction > held[near]) | ((fraction == held[near]) & (margin > depth[near]))
            better &= fraction > 0
            best[near[better]] = number
            held[near[better]], depth[near[better]] = fraction[better], margin[better]
        return best, held

    def locate(self, galaxy: Galaxy) -> Located:
        """Return the tiles of a galaxy, and of what they hold only a part."""
        k, files, notes = galaxy.number, {}, []
        galaxy = replace(galaxy, values={})
        if galaxy.position is None:
            return Located(galaxy, {}, error="the catalog has no position of it")
        if not self.sizes[k] > 0:
            error = f"the size of its cutout is {self.sizes[k]:g} arcsec, expected a positive one"
            return Located(galaxy, {}, error=error)
        for band, (best, held) in self.choices.items():
            if best[k] < 0:
                error = f"no tile of {band} holds it"
                return Located(galaxy, {}, error=error)
            files[band] = self.files[band][best[k]]
            if held[k] < 1:
                notes.append(
                    f"{band}: across the edge of {os.path.basename(files[band])}, which holds "
                    f"{100 * held[k]:.0f} %"
                )
        return Located(galaxy, files, float(self.sizes[k]), tuple(notes))

    def group(self, number: int) -> tuple[int, ...]:
        """Return the numbers of the galaxy's tiles."""
        return tuple(int(best[number]) for best, _ in self.choices.values())


def _list_tiles(band: str, given: Any) -> list[str]:
    paths = sorted(glob.glob(os.path.expanduser(given))) if isinstance(given, str) else given
    files = [os.path.abspath(os.path.expanduser(os.fspath(path))) for path in paths]
    if not files:
        raise InvalidInputError(f"tiles={{{band!r}: {given!r}}}: there is no such file.")
    return files


def _grid(path: str) -> tuple[WCS, tuple[int, int]]:
    """Return WCS and shape of the first image of a file that has both."""
    with open_fits(path, "Tile") as hdus:
        for hdu in hdus:
            shape = image_shape(hdu)
            if shape is not None and len(shape) == 2:
                wcs = celestial_wcs(hdu.header, f"Tile {path}")
                if wcs is not None:
                    return wcs, (int(shape[0]), int(shape[1]))
    raise FileFormatError(
        f"Tile: found no image with a celestial WCS in {path}, expected one. Leave the file out."
    )


def _pixel_arcsec(wcs: WCS, shape: tuple[int, int]) -> float:
    x, y = (shape[1] - 1) / 2, (shape[0] - 1) / 2
    here, aside, above = (
        wcs.pixel_to_world(x + dx, y + dy) for dx, dy in ((0, 0), (1, 0), (0, 1))
    )
    return float(np.sqrt(here.separation(aside).arcsec * here.separation(above).arcsec))


# ---- on the worker ------------------------------------------------------------------------


def read_source(located: Located, open_tile: Callable[[str, str], Any]) -> Any:
    """Return what `prepare` takes: files, images, or parts of the tiles that are opened."""
    if located.size is not None:
        position = SkyCoord(*(located.galaxy.position or (np.nan, np.nan)), unit="deg")
        return [
            open_tile(band, path).cutout(position, located.size * u.arcsec)
            for band, path in dict(located.files).items()  # type: ignore[arg-type]
        ]
    if isinstance(located.files, str):
        from picasssso.bands import BandImages
        from picasssso.io.native import is_own

        if is_own(located.files):
            return BandImages.read(located.files)
    return located.files
