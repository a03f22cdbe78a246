"""``picasssso simulate``: pairs of mock images and their truth, written to a folder."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import click

from picasssso._cli.image_options import Options, add_options
from picasssso._cli.shared_options import common_options, progress_wanted
from picasssso._core.version import __version__ as version

_OPTIONS: Options = (
    (("-n", "--number"), "N", "Total number of pairs.",
     {"type": click.IntRange(min=1, max=10**8)}),
    (("-s", "--survey"), "NAME",
     "Observing conditions: sdss, des, ps1, hsc, lsst, paper_field or paper_scale.",
     {"default": "sdss", "show_default": True}),
    (("-b", "--band", "bands"), "BAND",
     "Only this band; may be repeated. By default all bands of the survey.", {"multiple": True}),
    (("--seed",), None,
     "Seed of the galaxies.", {"type": int, "default": 0, "show_default": True}),
    (("--pixels",), "N",
     "Number of pixels along each side.",
     {"type": click.IntRange(min=8, max=8192), "default": 64, "show_default": True}),
    (("--redshift",), "Z", "Redshift of all galaxies; by default it is drawn.", {"type": float}),
    (("--at-psf/--not-at-psf",), None,
     "Whether to store also the truth at the resolution of the images.",
     {"default": True, "show_default": True}),
    (("--shard-size",), "N",
     "Pairs per file.",
     {"type": click.IntRange(min=1, max=10**6), "default": 256, "show_default": True}),
    (("--workers",), "N",
     "Number of processes; by default one for each core, 0 with --device.",
     {"type": click.IntRange(min=0)}),
    (("--device",), "DEVICE", "Device on which galaxies are made, such as cuda.", {}),
    (("--verify",), None, "Verify the checksums of the files at the end.", {"is_flag": True}),
)  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@partial(add_options, options=_OPTIONS)
@common_options
def simulate(
    folder: Path,
    number: int | None,
    survey: str,
    bands: tuple[str, ...],
    seed: int,
    pixels: int,
    redshift: float | None,
    at_psf: bool,
    shard_size: int,
    workers: int | None,
    device: str | None,
    verify: bool,
    quiet: bool,
) -> None:
    """Write pairs of mock images and true maps to FOLDER.

    Galaxy k of a seed is always the same. An interrupted command is continued when it is called
    again, also with a larger number.
    """
    from picasssso.mocks import GeneratedPairs
    from picasssso.mocks.light import read_light_table
    from picasssso.mocks.observing.surveys import SURVEYS
    from picasssso.pairs import StoredPairs, write_pairs
    from picasssso.pairs.schema import INDEX, TABLE, read_index

    if number is None and not verify:
        raise click.UsageError("Give --number, or --verify to check a set that is there.")
    if survey not in SURVEYS:
        raise click.UsageError(f"Unknown survey {survey!r}; choose from {', '.join(SURVEYS)}.")
    progress = progress_wanted(quiet)
    if number is not None:
        # On a set that is begun, the table of light need not be made again.
        begun = (
            (folder / INDEX).is_file()
            and (folder / TABLE).is_file()
            and read_index(folder)["version"] == version
        )
        pairs = GeneratedPairs(
            seed,
            survey=survey,
            bands=bands or None,
            n_pixels=pixels,
            redshift=redshift,
            truth_at_psf=at_psf,
            table=read_light_table(folder / TABLE) if begun else None,
            device=device or "cpu",
        )
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        default = 0 if device not in (None, "cpu") else max(1, cores)
        write_pairs(
            pairs,
            folder,
            number,
            shard_size=shard_size,
            workers=default if workers is None else workers,
            progress=progress,
        )
    stored = StoredPairs(folder)
    if verify:
        stored.verify(progress)
    if not quiet:
        checked = ", checksums right" if verify else ""
        click.echo(f"{folder}: {len(stored)} pairs in {', '.join(stored.bands)}{checked}.")
