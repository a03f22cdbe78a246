"""One large image in blocks over a cluster, into one memory-mapped file of maps.

The blocks are those of `PropertyMapEstimator.estimate`, with what is measured once on the whole
image. The file is the one that `PropertyMaps.write` would write: its headers come from the maps
of a corner, its planes are laid out empty, and each worker fills in its blocks.
"""

from __future__ import annotations

import io
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy.io import fits

from picasssso._core.arguments import check_workers
from picasssso._core.blocks import Block
from picasssso.estimators._assembly import MapAssembler
from picasssso.exceptions import InvalidInputError, PicassssoError
from picasssso.maps.map_files import _assemble, hdus_of
from picasssso.surveys.measuring import measure_region
from picasssso.surveys.running import (
    Summary,
    collect,
    describe_estimator,
    finish,
    told_where_it_ends,
)
from picasssso.surveys.store import RESULTS, Store

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.estimators.context import EstimationContext
    from picasssso.maps import PropertyMaps

#: Side of the corner that headers are made from, pixels.
_CORNER = 64
_FITS_BLOCK = 2880
_MAPS = "maps.fits"

#: By extension: where its values start in the file, their type and shape.
Layout = Mapping[str, tuple[int, str, tuple[int, ...]]]


def run_mosaic(
    images: str | os.PathLike[str],
    estimator: PropertyMapEstimator,
    folder: str | os.PathLike[str],
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    resources: Mapping[str, float] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    progress: bool | None = None,
) -> Summary:
    """Estimate maps of one large image, in blocks on a Dask cluster.

    The maps are those of ``estimator.estimate(images)``, in ``folder/maps.fits``, which
    `~picasssso.maps.PropertyMaps` reads; no process holds more than a block of them in memory.
    If the images have labels, ``folder/results.fits`` contains the totals of each target.

    Parameters
    ----------
    images : path
        An uncompressed file written by `~picasssso.bands.BandImages.write` that all workers can
        read, for example from `picasssso.preparation.prepare`.
    estimator : PropertyMapEstimator
        The estimator. Its ``memory_budget`` determines the size of blocks.
    folder : path
        Folder for the results, writable by all workers.
    scheduler, workers, resources, resume, retry_failed, progress : object, optional
        As for `run`, for blocks instead of galaxies.

    Returns
    -------
    Summary
        ``done``, ``failed`` and ``asked``, numbers of blocks. If a block failed, there are no
        maps; its error is in the log and in ``read_results(folder / "blocks")``.

    Raises
    ------
    InvalidInputError
        If the images cannot be used, another run is active in the folder, or it contains a run
        and ``resume`` is not set.

    Examples
    --------
    >>> from picasssso import SEDFitEstimator
    >>> from picasssso.surveys import run_mosaic
    >>> run_mosaic("field.fits", SEDFitEstimator(), "field")  # doctest: +SKIP
    Summary(done=40, failed=0, asked=40)
    """
    from picasssso.surveys.engine import connect, iterate_results

    if workers is not None:
        check_workers(workers, 1)

    where = Path(folder).expanduser().resolve()
    if (where / _MAPS).exists() and not (where / "blocks" / RESULTS).exists():
        raise InvalidInputError(
            f"{where / _MAPS} was not written by a run in this folder: choose another folder."
        )
    work = _make_work(Path(images).expanduser().resolve(), estimator, where)
    settings = {**describe_estimator(estimator), "images": str(work.path)}
    how = {"resume": resume, "retry_failed": retry_failed}
    blocks = list(estimator._blocks(work.images, 0)[0])
    names = {_name(block) for block in blocks}
    with (
        Store(where / "blocks", settings, **how) as store,
        Store(where, settings, **how) as labels,
        told_where_it_ends(lambda: Summary(*store.count(names), len(blocks))),
        connect(scheduler, workers, resources) as client,
    ):
        partial = where / f"{_MAPS}.partial"
        if not (where / _MAPS).exists():
            done = store.done()
            if not done or not partial.exists():
                store.clear()
                done = set()
                _lay_out(partial, work)
            work.layout.update(_read_layout(partial))
            todo = [[_Piece(k, b)] for k, b in enumerate(blocks) if _name(b) not in done]
            results = iterate_results(client, work, todo, resources)
            collect(store, results, len(todo), progress, "block")
            if store.count(names) == (len(blocks), 0):
                partial.replace(where / _MAPS)
        number, failed = store.count(names)
        if (where / _MAPS).exists() and work.images.labels is not None:
            measuring = _LabelWork(where / _MAPS, work.path)
            seen = labels.done()
            pieces = [p for p in measuring.pieces() if p.galaxy.id not in seen]
            results = iterate_results(client, measuring, ([p] for p in pieces), resources)
            collect(labels, results, len(pieces), progress, "label")
            finish(where)
    return Summary(number, failed, len(blocks))


def _name(block: Block) -> str:
    return f"{block.core[0].start}:{block.core[1].start}"


class _Piece:
    """A block or a label's window, as `collect` takes it."""

    def __init__(self, number: int, block: Any, name: str | None = None) -> None:
        self.block = block
        self.galaxy = _Identity(number, _name(block) if name is None else name)


@dataclass(frozen=True)
class _Identity:
    number: int
    id: str
    redshift: float | None = None
    position: None = None


# ---- blocks -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _BlockWork:
    """Estimates blocks and writes them into the file; the images stay open on a worker."""

    path: Path
    estimator: PropertyMapEstimator
    context: EstimationContext
    output: Path
    layout: dict[str, tuple[int, str, tuple[int, ...]]]

    @cached_property
    def images(self) -> BandImages:
        """The images, memory-mapped (BandImages)."""
        from picasssso.bands import BandImages

        return BandImages.read(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "images"}

    def estimate(self, block: Block) -> PropertyMaps:
        """Return the maps of a block, as it would be in those of the whole."""
        # Labels are measured afterwards, across blocks.
        part = self.images.select(self.context.bands)[block.padded].replace(labels=None)
        flux, inverse_variance = part.to_arrays()
        whole = (slice(0, part.shape[0]), slice(0, part.shape[1]))
        assembler = MapAssembler(self.estimator, part, self.context)
        origin = (block.padded[0].start, block.padded[1].start)
        assembler.add(
            Block(whole, whole, whole),
            flux,
            inverse_variance,
            replace(self.context, origin=origin),
        )
        return assembler.finish()[block.inner]

    def __call__(self, batch: Sequence[_Piece]) -> list[dict[str, Any]]:
        """Estimate blocks, and write them to the file."""
        rows = []
        for piece in batch:
            started = time.perf_counter()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                maps = self.estimate(piece.block)
            for hdu in hdus_of(maps):
                if hdu.name in self.layout:
                    offset, kind, shape = self.layout[hdu.name]
                    plane = np.memmap(self.output, kind, "r+", offset, shape)
                    plane[(..., *piece.block.core)] = hdu.data
                    plane.flush()
            seconds = time.perf_counter() - started
            rows.append({"id": piece.galaxy.id, "seconds": seconds})
        return rows


def _make_work(path: Path, estimator: PropertyMapEstimator, folder: Path) -> _BlockWork:
    from picasssso.bands import BandImages

    images = BandImages.read(path)
    if estimator.receptive_field is None:
        raise InvalidInputError(
            f"{type(estimator).__name__} looks at the whole image at once (receptive_field is "
            "None): it cannot work on a mosaic in blocks."
        )
    images = images.select(estimator._checked_bands(images))
    estimator._check_usable(images)
    context = estimator._make_context(images, 0, 0)
    return _BlockWork(path, estimator, context, folder / f"{_MAPS}.partial", {})


def _lay_out(path: Path, work: _BlockWork) -> None:
    """Write a file of maps with all headers and empty planes."""
    height, width = work.images.shape
    stride = work.estimator.stride
    side = -(-_CORNER // stride) * stride
    corner = (slice(0, min(side, height)), slice(0, min(side, width)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maps = work.estimate(Block(corner, corner, corner))
    with open(path, "wb") as file:
        for hdu in hdus_of(maps):
            if not isinstance(hdu, fits.ImageHDU):
                buffer = io.BytesIO()
                hdus = [hdu] if isinstance(hdu, fits.PrimaryHDU) else [fits.PrimaryHDU(), hdu]
                fits.HDUList(hdus).writeto(buffer)
                skip = 0 if len(hdus) == 1 else _FITS_BLOCK  # of the empty primary
                file.write(buffer.getvalue()[skip:])
                continue
            header = hdu.header.copy()
            header["NAXIS1"], header["NAXIS2"] = width, height
            file.write(header.tostring().encode("ascii"))
            size = hdu.data.itemsize * int(np.prod(hdu.data.shape[:-2])) * height * width
            # A hole in the file: it takes no room until it is filled.
            file.seek(-(-size // _FITS_BLOCK) * _FITS_BLOCK, os.SEEK_CUR)


def _read_layout(path: Path) -> Layout:
    with fits.open(path, memmap=True) as hdus:
        return {
            hdu.name: (
                hdu.fileinfo()["datLoc"],
                np.dtype(fits.hdu.image.BITPIX2DTYPE[hdu.header["BITPIX"]]).newbyteorder(">").str,
                hdu.shape,
            )
            for hdu in hdus
            if isinstance(hdu, fits.ImageHDU)
        }


# ---- labels -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _LabelWork:
    """Measures labels on maps of which only their surroundings are read."""

    maps: Path
    path: Path

    @cached_property
    def labels(self) -> npt.NDArray[np.integer]:
        """Labels of the images, shape (y, x)."""
        from picasssso.bands import BandImages

        labels = BandImages.read(self.path).labels
        assert labels is not None
        return labels

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "labels"}

    def pieces(self) -> Iterator[_Piece]:
        """Yield every label with the window that holds it."""
        from scipy.ndimage import find_objects

        for label, window in enumerate(find_objects(np.asarray(self.labels)), start=1):
            if window is not None:
                yield _Piece(label, window, str(label))

    def __call__(self, batch: Sequence[_Piece]) -> list[dict[str, Any]]:
        """Return a row for each label."""
        rows = []
        for piece in batch:
            inside = np.asarray(self.labels[piece.block]) == piece.galaxy.number
            row = measure_region(read_window(self.maps, piece.block), inside)
            rows.append({"id": piece.galaxy.id, "pixels": int(inside.sum()), **row})
        return rows


def read_window(path: Path, window: tuple[slice, slice]) -> PropertyMaps:
    """Read a part of a file of maps, and nothing else of it."""
    from picasssso.maps import PropertyMaps

    rows, columns = window
    parts: list[Any] = []
    with fits.open(path, memmap=True) as hdus:
        for hdu in hdus:
            if not isinstance(hdu, fits.ImageHDU):
                parts.append(hdu.copy())
                continue
            header = hdu.header.copy()
            for axis, start in ((1, columns.start), (2, rows.start)):
                if f"CRPIX{axis}" in header:
                    header[f"CRPIX{axis}"] -= start
            parts.append(fits.ImageHDU(np.array(hdu.section[..., rows, columns]), header))
        try:
            return _assemble(fits.HDUList(parts), PropertyMaps)
        except PicassssoError as error:
            raise InvalidInputError(f"{path}: {error}") from error
