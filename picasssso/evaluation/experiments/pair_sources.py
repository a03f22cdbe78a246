"""Where the galaxies of an experiment come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from picasssso._core.arguments import check_choice
from picasssso.exceptions import FileFormatError, InvalidInputError

if TYPE_CHECKING:
    from picasssso.pairs import PairSource

#: ``mocks``: `picasssso.mocks.GeneratedPairs`, whose arguments are the other entries.
#: ``stored``: ``folder`` and ``split`` of `picasssso.pairs.StoredPairs`.
#: ``illustris``: maps in the files of Buck & Wolf (2021) in ``folder``, painted and observed.
#: ``paper``: images and maps in those files, `PaperPairs`, as they are.
#: ``particles``: galaxies in the files of simulations, ``files``, painted and observed.
KINDS = ("mocks", "stored", "illustris", "paper", "particles")

_DIRECTIONS = ("face-on", "edge-on", "x", "y", "z")


def make_source(description: Mapping[str, Any]) -> PairSource:
    """Make a set of pairs."""
    return _make(json.dumps(dict(description), sort_keys=True))


@lru_cache(maxsize=3)
def _make(text: str) -> PairSource:
    from picasssso.mocks import GeneratedPairs
    from picasssso.pairs import StoredPairs

    arguments = json.loads(text)
    kind = arguments.pop("kind", "mocks")
    check_choice("source: kind", kind, KINDS)
    try:
        if kind == "mocks":
            arguments.setdefault("device", "cpu")
            return GeneratedPairs(**arguments)
        if kind == "stored":
            return StoredPairs(**arguments)
        if kind == "paper":
            from picasssso.evaluation.experiments.paper_files import PaperPairs

            return PaperPairs(**arguments)
        if kind == "particles":
            return _observed_particles(**arguments)
        return _painted_illustris(**arguments)
    except TypeError as error:
        raise InvalidInputError(f"source of kind {kind!r} cannot be made: {error}.") from error


def _painted_illustris(
    folder: str, survey: str = "sdss", redshift: float = 0.05, n_pixels: int = 128, seed: int = 0
) -> PairSource:
    """Paint the maps in a folder with light, observe them, and cut out their middles.

    Where the survey has pixels of its own, each galaxy is seen from as far as its maps'
    pixels are the survey's, so that nothing is resampled; else at the redshift given.
    """
    from picasssso.mocks import observe
    from picasssso.mocks.illustris import read_illustris_maps
    from picasssso.mocks.light import LightTable
    from picasssso.mocks.observing.observed import join_observed
    from picasssso.mocks.observing.surveys import get_survey

    paths = sorted(
        path
        for path in Path(folder).expanduser().glob("halo_*_camera_*.h5")
        if "synthetic_image" not in path.name
    )
    if not paths:
        raise FileFormatError(
            f"There are no files halo_*_camera_*.h5 in {folder}: expected those of Buck & Wolf "
            "(2021), see picasssso.mocks.illustris."
        )
    chosen = get_survey(survey)
    maps = [read_illustris_maps(path) for path in paths]
    seen_at = [
        redshift
        if chosen.pixel_scale is None
        else _redshift_of_pixel(one.pixel_scale_kpc, chosen.pixel_scale)
        for one in maps
    ]
    table = LightTable.build(chosen.bands, (min(seen_at), max(seen_at)))
    observed = []
    for number, (one, z) in enumerate(zip(maps, seen_at, strict=True)):
        galaxies = one.to_galaxies(redshift=z, index=number)
        margin = (min(galaxies.shape) - n_pixels) // 2
        if margin < 0:
            raise InvalidInputError(
                f"n_pixels={n_pixels} is more than the {min(galaxies.shape)} pixels of the maps."
            )
        light = table.light(galaxies)
        observed.append(observe(galaxies, light, chosen.bands, chosen, seed=seed, margin=margin))
    return join_observed(observed).to_pairs(
        galaxy=np.array([k if one.halo is None else one.halo for k, one in enumerate(maps)]),
        view=np.array([one.camera or 0 for one in maps]),
        description={"painted": "illustris", "files": [path.name for path in paths]},
    )


def _observed_particles(
    files: list[str | dict[str, Any]],
    survey: str = "sdss",
    redshift: float = 0.05,
    n_pixels: int = 64,
    views: int = 5,
    seed: int = 0,
) -> PairSource:
    """Observe simulated galaxies from several directions; a file is a name, or its arguments."""
    import astropy.units as u
    import torch

    from picasssso.mocks import observe
    from picasssso.mocks.galaxy_maps import join_galaxies
    from picasssso.mocks.light import LightTable
    from picasssso.mocks.observing.surveys import get_survey
    from picasssso.mocks.particles.snapshots import read_particles

    chosen = get_survey(survey)
    if chosen.pixel_scale is None:
        raise InvalidInputError(
            f"survey={survey!r} has no pixels of its own: choose one that has, such as 'sdss'."
        )
    margin = 4
    parts, galaxy, view = [], [], []
    for number, one in enumerate(files):
        stars = read_particles(**({"path": one} if isinstance(one, str) else one))
        for direction in range(views):
            parts.append(
                stars.to_galaxies(
                    n_pixels=n_pixels + 2 * margin,
                    pixel_scale=chosen.pixel_scale * u.arcsec,
                    redshift=redshift,
                    line_of_sight=_DIRECTIONS[direction % len(_DIRECTIONS)],
                    position_angle=37.0 * (direction // len(_DIRECTIONS)),
                )
            )
            galaxy.append(number)
            view.append(direction)
    galaxies = join_galaxies(parts)
    names = (one if isinstance(one, str) else str(one.get("path", "")) for one in files)
    galaxies = replace(galaxies, index=torch.arange(len(galaxies)))
    light = LightTable.build(chosen.bands, redshift).light(galaxies)
    observed = observe(galaxies, light, chosen.bands, chosen, seed=seed, margin=margin)
    return observed.to_pairs(
        galaxy=np.array(galaxy),
        view=np.array(view),
        description={"particles": [Path(name).name for name in names]},
    )


def _redshift_of_pixel(kpc: float, arcsec: float) -> float:
    """Return the redshift at which a length has an angle."""
    from picasssso.mocks.distances import pixel_sizes

    low, high = 0.003, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if pixel_sizes(None, middle, kpc)[0] > arcsec else (low, middle)
    return low
