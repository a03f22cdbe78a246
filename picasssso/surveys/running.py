"""One call for a whole catalog: `run`, and the table that it leaves."""

from __future__ import annotations

import logging
import os
import sys
import time
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature as parameters
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso._core.arguments import check_integer, check_workers
from picasssso._core.safe_files import atomic_write
from picasssso._core.words import as_kept
from picasssso.bands.plausibility import describe_doubt, distances_of
from picasssso.exceptions import InvalidInputError, InvalidTypeError, PicassssoWarning
from picasssso.maps.region_files import region_reader
from picasssso.surveys.catalogs import Catalog, read_catalog
from picasssso.surveys.galaxies import READ_ONLY, READING, GalaxyWork, describe_failure
from picasssso.surveys.image_sources import FilePatterns, Located, Source, Tiles
from picasssso.surveys.measuring import ELLIPSE, LABEL, column_unit, describe_column
from picasssso.surveys.store import Store, read_rows, record_value

if TYPE_CHECKING:
    from astropy.table import QTable, Table

    from picasssso.estimators.base import PropertyMapEstimator

logger = logging.getLogger("picasssso.surveys")

#: Seconds between commits: a galaxy that is not yet committed is done again.
_COMMIT = 1.0
#: Most galaxies in a task where nothing is said, and fewest tasks for each worker.
_BATCH, _TASKS = 8, 10
#: Failures that are shown beside the progress bar as they come; the log has all.
_SHOWN = 5
#: Columns that every table has, in this order, with their units; then come the properties.
_FIRST = {"id": "", "ra": "deg", "dec": "deg", "redshift": "", "failed": "", "notes": "",
          "half_mass_radius": "arcsec", "half_mass_radius_kpc": "kpc", "axis_ratio": "",
          "flagged": "", "flags": "", "masked": "", "missing": "", "unmeasured": "",
          "flagged_aperture": "", "flags_aperture": "", "masked_aperture": "",
          "missing_aperture": "", "seconds": "s", "maps": "", "report": ""}  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """How many of a run's galaxies are done and how many of those failed."""

    done: int
    failed: int
    asked: int

    def __str__(self) -> str:
        text = f"{self.done - self.failed} of {self.asked} done, {self.failed} failed"
        missing = self.asked - self.done
        return f"{text}, {missing} missing" if missing else text


def run(
    catalog: Table | str | os.PathLike[str],
    estimator: PropertyMapEstimator,
    folder: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | Mapping[str, str] | None = None,
    bands: Sequence[str] | None = None,
    tiles: Mapping[str, str | Sequence[str]] | None = None,
    size: u.Quantity | None = None,
    columns: Mapping[str, str] | None = None,
    prepare: bool = True,
    options: Mapping[str, Any] | None = None,
    ebv_scale: str | None = None,
    extinction_removed: bool = False,
    aperture: u.Quantity | str = 10 * u.kpc,
    keep_maps: bool = True,
    reports: bool = False,
    pictures: int = 1000,
    n_samples: int = 0,
    seed: int = 0,
    batch_size: int | None = None,
    time_limit: u.Quantity | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    resources: Mapping[str, float] | None = None,
    resume: bool = False,
    retry_failed: bool = False,
    progress: bool | None = None,
) -> Summary:
    """Estimate maps of all galaxies of a catalog on a Dask cluster.

    Each galaxy is read, prepared, estimated and measured by a worker; its row is committed to
    ``folder/results.sqlite``, which `read_results` reads at any time. At the end the table is
    written to ``folder/results.fits``. Maps are written to subfolders of ``folder/maps``.

    A galaxy that fails is tried once more; then its row gives the reason. An interrupted run is
    continued with ``resume=True``.

    Parameters
    ----------
    catalog : `~astropy.table.Table` or path
        A table that astropy reads: ECSV, FITS, VOTable, CSV, Parquet. Columns are identified by
        common names: the name and redshift of each galaxy and, if needed, its position (in
        degrees); optionally a luminosity distance, E(B-V), and the size of cutouts.
    estimator : PropertyMapEstimator
        The estimator.
    folder : path
        Folder for the results; created if it does not exist.
    images : str or mapping from band to str, optional
        Patterns of file names with ``{id}``, ``{band}`` or any column name in braces, such as
        ``"cutouts/{id}_{band}.fits"``; or one for each band, ``{"sdss2010-g": "{file_g}"}``.
        Without ``{band}``, files contain all bands. Required unless ``tiles`` is given.
    bands : sequence of str, optional
        Values of ``{band}``.
    tiles : mapping from band to pattern or paths, optional
        Large images from which galaxies are cut out. A galaxy at an edge is taken from the tile
        that covers most of it, which is noted in its row.
    size : `~astropy.units.Quantity`, optional
        Side of the square cutouts from tiles, an angle.
    columns : mapping, optional
        Names of columns, if they are not common ones: ``id``, ``ra``, ``dec``,
        ``redshift``, ``distance``, ``ebv``, ``size``; ``"dist [Mpc]"`` also gives a unit.
    prepare : bool, optional
        Whether to prepare the images with `picasssso.preparation.prepare`; otherwise they are
        used without changes.
    options : mapping, optional
        Arguments of `picasssso.preparation.prepare`, the same for all galaxies.
    ebv_scale : {"SFD98", "SF11"}, optional
        Scale of E(B-V) in the catalog; required if there is such a column.
    extinction_removed : bool, optional
        Whether the images are already corrected for that E(B-V).
    aperture : `~astropy.units.Quantity` or str, optional
        Radius of the fixed circular aperture, a length or an angle; or the name of a DS9 region
        file (needs the package regions), with ``{id}`` if each galaxy has one of its own.
    keep_maps, reports : bool, optional
        Whether to write the maps of each galaxy, and an HTML report about them.
    pictures : int, optional
        Number of galaxies, from the first, with small images for the HTML page.
    n_samples, seed : int, optional
        Number of joint samples for the errors of totals, and their seed: ``seed + k`` for galaxy
        k.
    batch_size : int, optional
        Number of galaxies in a task, which networks process together on a GPU. By default up to
        8, or fewer in a small run, one after the other.
    time_limit : `~astropy.units.Quantity`, optional
        Longest time for a galaxy, after which its worker is ended, as if it had crashed. By
        default there is none.
    scheduler : str, optional
        Address of a Dask scheduler. By default a cluster is started on this machine.
    workers : int, optional
        Processes of that cluster, with a thread each; by default one for each core.
    resources : mapping, optional
        Dask resources needed by a task, such as ``{"GPU": 1}``.
    resume, retry_failed : bool, optional
        Continue the run in the folder; repeat failed galaxies.
    progress : bool, optional
        Whether to show a progress bar; by default only on a terminal.

    Returns
    -------
    Summary
        ``done``, ``failed`` and ``asked``, numbers of galaxies.

    Raises
    ------
    InvalidInputError
        If columns, images or options cannot be used, another run is active in the folder, or it
        contains a run and ``resume`` is not set.
    MissingDependencyError
        If ``dask.distributed`` is not installed.
    PicassssoError
        If the connection to the scheduler is lost; completed results are kept.

    Notes
    -----
    For each property, rows contain its total (average, for intensive ones) and error inside an
    ellipse with semi-major axis of 2 half-mass radii (``stellar_mass``, ``stellar_mass_error``:
    not of the whole galaxy, as the columns' descriptions say too) and inside the fixed aperture
    (``..._aperture``), and its gradient out to 2 half-mass radii, dex per half-mass radius; the
    ellipse is that of the moments of the mass map. ``flagged`` is the fraction of pixels in that
    ellipse with a quality flag.

    Examples
    --------
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.surveys import run
    >>> run("galaxies.ecsv", MassToLightEstimator(), "survey",
    ...     images="cutouts/{id}_{band}.fits", bands=["sdss2010-g", "sdss2010-i"],
    ...     ebv_scale="SFD98")  # doctest: +SKIP
    Summary(done=2000, failed=3, asked=2000)
    """
    from picasssso.surveys.engine import connect, iterate_results

    table = read_catalog(catalog, columns)
    _doubt_distances(table)
    source = _make_source(table, images, bands, tiles, size)
    options = _check_options(table, options, prepare, ebv_scale, extinction_removed)
    _check_bands(images if tiles is None else tiles, bands, options.get("survey"))
    _check_numbers(
        aperture,
        batch_size=1 if batch_size is None else batch_size,
        n_samples=n_samples,
        seed=seed,
    )
    if workers is not None:
        check_workers(workers, 1)
    limit = _check_time(time_limit)
    where = Path(folder).expanduser().resolve()
    work = GalaxyWork(
        _check_estimator(estimator, n_samples),
        where,
        options,
        os.path.abspath(aperture) if isinstance(aperture, str) else aperture,
        keep_maps=keep_maps,
        reports=reports,
        n_samples=n_samples,
        seed=seed,
        extinction_removed=ebv_scale if extinction_removed else None,
        pictures=pictures,
        together=batch_size is not None,
    )
    settings = {
        **describe_estimator(estimator),
        "images": str(images or tiles),
        "bands": ", ".join(bands or ()) or "not given",
        "size": record_value(size),
        "options": {name: record_value(value) for name, value in options.items()},
        "aperture": record_value(aperture),
        "extinction_removed": extinction_removed,
        "n_samples": n_samples,
        "seed": seed,
    }
    with Store(where, settings, resume=resume, retry_failed=retry_failed) as store:
        places = {name: k for k, name in enumerate(table.ids)}
        store.renumber(places)
        if moved := store.forget_moved(lambda name: _asked(table, places.get(name))):
            warnings.warn(
                f"{moved} of the galaxies that were done have another redshift or position in the "
                "catalog now: they are done again.",
                PicassssoWarning,
                stacklevel=2,
            )
        done = store.done()
        todo = [k for name, k in places.items() if name not in done]
        with told_where_it_ends(lambda: Summary(*store.count(places), len(table))):
            if todo:
                with connect(scheduler, workers, resources) as client:
                    dashboard = client.dashboard_link
                    logger.info("%d galaxies to do; dashboard: %s", len(todo), dashboard)
                    # What a task costs beside its work is shared, and workers end together.
                    share = len(todo) // (_TASKS * max(sum(client.nthreads().values()), 1))
                    size = batch_size or min(max(share, 1), _BATCH)
                    batches = _batches(table, source, todo, size)
                    results = iterate_results(client, work, batches, resources, limit)
                    collect(store, results, len(todo), progress, "galaxy")
            finish(where)
        number, failed = store.count(places)
    return Summary(number, failed, len(table))


@contextmanager
def told_where_it_ends(count: Callable[[], Summary]) -> Iterator[None]:
    """Say how much is done, and how the rest is, where work is ended from outside."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        error.add_note(f"{count()}: what is done is kept, and the same with resume=True goes on.")
        raise


def _asked(table: Catalog, place: int | None) -> tuple[float, ...] | None:
    """Return redshift, right ascension and declination of a galaxy of the catalog, NaN if none."""
    if place is None:
        return None
    numbers = (table.numbers.get(role) for role in ("redshift", "ra", "dec"))
    return tuple(np.nan if values is None else float(values[place]) for values in numbers)


def _doubt_distances(table: Catalog) -> None:
    """Warn of distances that contradict the redshifts; each galaxy's row says so too."""
    distances, redshifts = table.numbers.get("distance"), table.numbers["redshift"]
    if distances is None:
        return
    known = distances_of(np.nan_to_num(redshifts))
    given = np.isfinite(distances) & np.isfinite(redshifts)
    doubtful = np.flatnonzero(given & ~((known[0] <= distances) & (distances <= known[2])))
    if doubtful.size:
        k, column = doubtful[0], table.columns["distance"]
        warnings.warn(
            f"{doubtful.size} of {given.sum()} distances of the catalog contradict the redshift; "
            f"the first, of {table.ids[k]!r}: "
            f"{describe_doubt(distances[k], known[:, k], redshifts[k], 'Planck18')} Check what "
            f"the column is, and its unit, columns={{'distance': '{column} [Mpc]'}}; masses go "
            "with its square.",
            PicassssoWarning,
            stacklevel=3,
        )


def describe_estimator(estimator: PropertyMapEstimator) -> dict[str, Any]:
    """Return an estimator's class and parameters as settings of a run."""
    values = {name: record_value(value) for name, value in estimator.get_params().items()}
    return {"estimator": type(estimator).__name__, "parameters": values}


def _make_source(
    catalog: Catalog, images: Any, bands: Any, tiles: Any, size: u.Quantity | None
) -> Source:
    if (images is None) == (tiles is None):
        raise InvalidInputError(
            "Give either images=, files of each galaxy, or tiles=, large images to cut galaxies "
            f"out of; found {'neither' if images is None else 'both'}."
        )
    if tiles is None:
        if size is not None:
            raise InvalidInputError(
                f"size={size!r}: expected it with tiles=, which galaxies are cut out of; files of "
                "each galaxy are used whole."
            )
        source = FilePatterns(images, bands)
        source.locate(catalog[0])  # a pattern that cannot be filled in
        if len(catalog) > 1:
            source.check_own()
        return source
    if not isinstance(tiles, Mapping):
        raise InvalidTypeError(
            f"tiles={tiles!r}: expected a mapping from band to a pattern or files, such as "
            "{'sdss2010-g': 'tiles/*_g.fits'}."
        )
    return Tiles(tiles, catalog, None if size is None else float(size.to_value(u.arcsec)))


def _check_options(
    catalog: Catalog,
    options: Mapping[str, Any] | None,
    prepare: bool,
    ebv_scale: str | None,
    removed: bool,
) -> dict[str, Any]:
    found = {**(READ_ONLY if not prepare else {}), **(options or {})}
    for name in ("redshift", "luminosity_distance", "position"):
        if name in found:
            raise InvalidInputError(f"options= holds {name}, which comes from the catalog.")
    unknown = sorted(set(found) - _known_options())
    if unknown:
        raise InvalidInputError(
            f"options= holds {', '.join(unknown)}: expected arguments of "
            f"picasssso.preparation.prepare, {', '.join(sorted(_known_options()))}."
        )
    has = "ebv" in catalog.columns
    if has and "ebv" in found:
        raise InvalidInputError(
            f"options= holds ebv={found['ebv']!r}, and the catalog has E(B-V), its column "
            f"{catalog.columns['ebv']!r}: expected one of them."
        )
    if has and "galactic_extinction" in found:
        raise InvalidInputError(
            f"options= holds galactic_extinction={found['galactic_extinction'].ebv!r}, and the "
            f"catalog has E(B-V), its column {catalog.columns['ebv']!r}: expected one of them. "
            "For images that are corrected for the catalog's give extinction_removed=True."
        )
    if has and ebv_scale not in ("SFD98", "SF11"):
        raise InvalidInputError(
            f"The catalog has E(B-V), its column {catalog.columns['ebv']!r}, and "
            f"ebv_scale={ebv_scale!r}: expected 'SFD98' (Schlegel et al. 1998) or 'SF11' "
            "(Schlafly & Finkbeiner 2011), and extinction_removed=True if the images are "
            "already corrected for it."
        )
    if not has and (ebv_scale is not None or removed):
        raise InvalidInputError(
            "ebv_scale= and extinction_removed= refer to E(B-V) of the catalog, which has no such "
            "column. Give its name: columns={'ebv': 'NAME'}."
        )
    if has and not removed:
        found["ebv_scale"] = ebv_scale
    return found


def _known_options() -> set[str]:
    from picasssso.bands import BandImages
    from picasssso.preparation import prepare

    of = [parameters(one).parameters for one in (prepare, BandImages.read, BandImages)]
    # Masks of files are given as `file_mask`, beside whether to mask stars.
    return {*READING, "file_mask", *chain(*of)} - {"images", "files", "arguments", "redshift"}


def _check_numbers(aperture: Any, **numbers: Any) -> None:
    if isinstance(aperture, str):
        region_reader()
        if "{id}" not in aperture and not Path(aperture).is_file():
            raise InvalidInputError(
                f"aperture={aperture!r}: found no such file, expected a region file of DS9 or, "
                "with {id}, one for each galaxy."
            )
    elif not (
        isinstance(aperture, u.Quantity)
        and aperture.isscalar
        and aperture.unit.physical_type in ("length", "angle")
        and 0 < aperture.value < np.inf
    ):
        raise InvalidInputError(
            f"aperture={aperture!r}: expected a radius, such as 10 * u.kpc or 3 * u.arcsec, "
            "or the name of a region file."
        )
    most = {"batch_size": 10**6, "n_samples": 10**6}
    for name, value in numbers.items():
        check_integer(name, value, 1 if name == "batch_size" else 0, most.get(name))


def _check_time(limit: u.Quantity | None) -> float | None:
    """Return seconds."""
    if limit is None:
        return None
    if (
        isinstance(limit, u.Quantity)
        and limit.isscalar
        and limit.unit.physical_type == "time"
        and 0 < limit.value < np.inf
    ):
        return float(limit.to_value(u.s))
    raise InvalidInputError(f"time_limit={limit!r}: expected a time, such as 10 * u.min.")


def _check_bands(files: Any, bands: Sequence[str] | None, survey: str | None) -> None:
    from picasssso.bands.band_names import check_band, resolve_band

    for band in [*(files if isinstance(files, Mapping) else ()), *(bands or ())]:
        check_band(resolve_band(band, survey), band, survey)


def _check_estimator(estimator: Any, n_samples: int) -> PropertyMapEstimator:
    from picasssso.estimators import PropertyMapEstimator

    if not isinstance(estimator, PropertyMapEstimator):
        raise InvalidTypeError(
            f"estimator={estimator!r}: expected an estimator, such as MassToLightEstimator()."
        )
    if n_samples and not estimator.tags.supports_samples:
        raise InvalidInputError(
            f"n_samples={n_samples}: {type(estimator).__name__} has no joint samples; leave it "
            "out."
        )
    return estimator


def _batches(
    catalog: Catalog, source: Source, numbers: Sequence[int], size: int
) -> Iterator[list[Located]]:
    # By redshift, so that what an estimator keeps of one serves the next (model libraries);
    # out of tiles tile by tile, since opening one costs more than that.
    redshifts = np.nan_to_num(catalog.numbers["redshift"], nan=np.inf)
    order = sorted(numbers, key=lambda k: (source.group(k), redshifts[k]))
    places = (source.locate(catalog[k]) for k in order)
    while batch := list(islice(places, size)):
        yield batch


def collect(
    store: Store,
    results: Iterable[tuple[Any, Any]],
    number: int,
    progress: bool | None,
    what: str,
) -> None:
    """Put results into the store as they come, with a progress bar."""
    from tqdm.auto import tqdm

    fresh: list[tuple[int, dict[str, Any]]] = []
    committed = time.monotonic()
    failed = 0
    bar = tqdm(total=number, unit=what, disable=None if progress is None else not progress)
    try:
        for located, result in results:
            galaxy = located.galaxy
            row = _row_of_failure(result) if isinstance(result, Exception) else dict(result)
            row["id"] = galaxy.id
            if galaxy.redshift is not None:
                row["redshift"] = galaxy.redshift
            if galaxy.position is not None:
                row["ra"], row["dec"] = galaxy.position
            if "failed" in row:
                row["failed"] = as_kept(row["failed"])
                failed += 1
                logger.warning("%s failed: %s", galaxy.id, row["failed"])
                bar.set_postfix(failed=failed)
                if failed <= _SHOWN and not bar.disable:
                    bar.write(f"{galaxy.id} failed: {row['failed']}", file=sys.stderr)
            fresh.append((galaxy.number, row))
            bar.update()
            if time.monotonic() - committed > _COMMIT:
                store.add(fresh)
                fresh, committed = [], time.monotonic()
    finally:
        bar.close()
        store.add(fresh)


def _row_of_failure(error: Exception) -> dict[str, Any]:
    return {"failed": describe_failure(error)}


def finish(folder: Path) -> None:
    """Write the table of results as one FITS file, instead of what is there."""
    table = _read_table(folder, text=bytes)
    with atomic_write(folder / "results.fits", overwrite=True) as temporary:
        table.write(temporary, format="fits")


def read_results(folder: str | os.PathLike[str]) -> QTable:
    """Read the results of a survey run, finished or not.

    Parameters
    ----------
    folder : path
        Folder of the run.

    Returns
    -------
    `~astropy.table.QTable`
        A row for each finished galaxy, in the order of the catalog, with units and
        descriptions. ``failed`` gives the reason why a galaxy has no results; missing values are
        NaN or empty strings.

    Raises
    ------
    FileFormatError
        If there are no results, or the file is damaged.

    Examples
    --------
    >>> from picasssso.surveys import read_results
    >>> table = read_results("survey")  # doctest: +SKIP
    >>> table["id", "stellar_mass", "stellar_mass_error"]  # doctest: +SKIP
    """
    return _read_table(folder)


def _read_table(folder: str | os.PathLike[str], text: type[str | bytes] = str) -> QTable:
    """Return the table of results; as bytes for FITS, which knows ASCII only."""
    from astropy.table import QTable

    columns: dict[str, Any] = {name: [] for name in ("id", "failed", "notes")}
    n = 0
    # Row by row into columns: a million of dictionaries would not fit.
    for row in read_rows(folder):
        for name, value in row.items():
            number = isinstance(value, int | float)
            if name not in columns:
                columns[name] = array("d", [np.nan] * n) if number else [""] * n
            columns[name].append(value if number else str(value))
        n += 1
        for values in columns.values():
            if len(values) < n:
                values.append(np.nan if isinstance(values, array) else "")
    columns.pop("number", None)
    table = QTable()
    for name in dict.fromkeys([*(name for name in _FIRST if name in columns), *columns]):
        values = columns.pop(name)
        unit = _unit_of(name)
        if isinstance(values, list):
            if text is bytes:  # names stay different from each other
                values = [value.encode("ascii", "backslashreplace") for value in values]
            table[name] = np.array(values, text)
        else:
            plain = np.array(values)
            table[name] = plain if unit == u.dimensionless_unscaled else plain * unit
    inside = ELLIPSE if "half_mass_radius" in table.colnames else LABEL
    for name in table.colnames:
        table[name].info.description = describe_column(name, inside)
    return table


def _unit_of(name: str) -> u.UnitBase:
    if name in _FIRST:
        return u.Unit(_FIRST[name])
    if name.endswith("_gradient"):
        return u.dimensionless_unscaled  # dex per half-mass radius
    for ending in ("_error", "_aperture", "_total"):
        name = name.removesuffix(ending)
    try:
        return column_unit(name)
    except KeyError:  # of an estimator that brings its own
        return u.dimensionless_unscaled
