"""The demo: maps of the packaged example galaxy, by every estimator, beside the truth."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from picasssso._core.safe_files import check_output
from picasssso.exceptions import FileFormatError, PicassssoError, PicassssoWarning

if TYPE_CHECKING:
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.maps import PropertyMaps

__all__ = ["run_demo"]


@dataclass(frozen=True)
class DemoResult:
    """What a demo made."""

    maps: Mapping[str, PropertyMaps]
    truth: PropertyMaps
    files: Mapping[str, Path]
    picture: Path


def run_demo(
    folder: str | PathLike[str] = ".",
    estimators: Iterable[str] | None = None,
    *,
    progress: bool | None = None,
) -> DemoResult:
    """Estimate maps of the example galaxy with every estimator there is.

    Writes ``picasssso_demo_NAME.fits`` for the estimator ``NAME`` and
    ``picasssso_demo.png``; files of an earlier demo are replaced.

    ``folder`` is made if it does not exist; ``estimators`` are names, by default of every one that
    can be used. An estimator whose extra package is not installed is left out with a warning.
    """
    from picasssso.data import load_example
    from picasssso.maps.pictures import save_picture

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileFormatError(
            f"Folder: cannot make {folder} ({error.strerror}). Give one that can be written to."
        ) from error
    picture = folder / "picasssso_demo.png"
    check_output(picture, overwrite=True)
    images, truth = load_example()
    maps, files = {}, {}
    for name, estimator in usable_estimators(estimators):
        path = folder / f"picasssso_demo_{name}.fits"
        maps[name] = estimator.estimate(images, progress=progress)
        maps[name].write(path, overwrite=True)
        files[name] = path
    save_picture(picture, images, maps, truth, overwrite=True)
    return DemoResult(maps, truth, files, picture)


def usable_estimators(
    names: Iterable[str] | None = None,
) -> Iterator[tuple[str, PropertyMapEstimator]]:
    """Iterate over estimators with their default parameters."""
    from picasssso.estimators import get_estimator
    from picasssso.estimators.registry import iterate_estimators

    if names is not None:
        for name in names:
            yield name, get_estimator(name)()
        return
    for name, estimator in iterate_estimators():
        try:
            instance = estimator()
        except (PicassssoError, TypeError) as error:
            warnings.warn(
                f"The demo leaves out the estimator {name!r}: {error}",
                PicassssoWarning,
                stacklevel=3,
            )
        else:
            yield name, instance
