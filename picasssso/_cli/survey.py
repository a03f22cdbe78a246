"""``picasssso survey``: a catalog of galaxies in, maps and a table out, over a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from picasssso._cli.advice import with_options
from picasssso._cli.estimators import ESTIMATOR, make_estimator
from picasssso._cli.image_options import (
    SKY,
    Options,
    about_arguments,
    about_options,
    add_options,
    dust_arguments,
    median_seeing,
)
from picasssso._cli.parsing import QuantityType, parse_bands
from picasssso._cli.region_options import parse_radius
from picasssso._cli.shared_options import common_options, progress_wanted
from picasssso._core.words import keep_messages_as

#: Failures that are shown at the end, and where all stand.
_SHOWN, LOG = 5, "run.log"
#: What is of use with --mosaic.
_OF_MOSAICS = {
    "catalog", "output", "mosaic", "estimator_name", "options", "parameters_file", "scheduler",
    "workers", "resources", "resume", "retry_failed", "quiet", "debug",
}  # fmt: skip
EXAMPLES = """
\b
Examples:
  picasssso survey galaxies.ecsv -e mass_to_light -o run --survey sdss \\
    --images 'cutouts/{id}_{band}.fits' -b g -b r -b i --ebv-scale SFD98
  picasssso survey sample.fits -e sed_fit -o run --tiles 'decam2014-g=tiles/*_g.fits' \\
    --tiles 'decam2014-r=tiles/*_r.fits' --size '40 arcsec' --column redshift=Z_SPEC
  picasssso survey galaxies.ecsv -e sed_fit -o run --images 'cutouts/{id}.fits' \\
    --scheduler tcp://head:8786 --resume
  picasssso survey field.fits --mosaic -e sed_fit -o field
"""


_CATALOG_OPTIONS: Options = (
    *ESTIMATOR,
    (("-o", "--output"), "FOLDER",
     "Folder for the results; created if it does not exist.",
     {"required": True, "type": click.Path(path_type=Path)}),
    (("--mosaic",), None,
     "CATALOG is one large image, written by `picasssso prepare`, to be processed in blocks.",
     {"is_flag": True}),
    (("--images",), "PATTERN",
     "Pattern of image files with {id}, {band} or any column name in braces: "
     "'cutouts/{id}_{band}.fits'. Without {band}, files contain all bands.", {}),
    (("-b", "--band", "bands"), "BAND[=PATTERN]",
     "Name of a band, which replaces {band}, or a band with its own pattern, such as "
     "'sdss2010-g={file_g}'. Repeat for each band.", {"multiple": True}),
    (("--tiles",), "BAND=FILES",
     "Large images from which galaxies are cut out, such as 'sdss2010-g=tiles/*_g.fits'. Repeat"
     " for each band.", {"multiple": True}),
    (("--size",), "'S arcsec'",
     "Side of cutouts from tiles; by default from the catalog.",
     {"type": QuantityType("angle")}),
    (("--column", "columns"), "WHAT=NAME",
     "Name of the column with the id, ra, dec, redshift, distance, ebv or size, if it is not a "
     "common one; 'distance=dist [Mpc]' also gives the unit.", {"multiple": True}),
    (("--survey", "band_survey"), "NAME", "Survey of bare band names.", {}),
)  # fmt: skip
_RUN_OPTIONS: Options = (
    SKY,
    (("--no-prepare",), None,
     "Use the images without preparation: no sky subtraction, PSF matching or masking.",
     {"is_flag": True}),
    (("--extinction-removed",), None,
     "The images are already corrected for the E(B-V) of the catalog.", {"is_flag": True}),
    (("--aperture",), "'R kpc'",
     "Radius of the fixed aperture, in kpc or arcsec.",
     {"default": "10 kpc", "show_default": True}),
    (("--region",), "FILE.reg",
     "DS9 region file instead of the aperture (needs the package regions), with {id} if each "
     "galaxy has its own.", {}),
    (("--no-maps",), None, "Write only the table.", {"is_flag": True}),
    (("--reports",), None, "Write an HTML report for each galaxy.", {"is_flag": True}),
    (("--page", "on_page"), "N",
     "Number of galaxies on the page of the run, the first of the catalog; 0 for no page.",
     {"type": click.IntRange(min=0), "default": 1000, "show_default": True}),
    (("--samples", "n_samples"), "N",
     "Number of joint posterior samples for the errors of totals, if the estimator can draw "
     "them.", {"type": click.IntRange(min=0), "default": 0}),
    (("--seed",), "S", "Seed of the samples.", {"type": click.IntRange(min=0), "default": 0}),
    (("--batch", "batch_size"), "N",
     "Number of galaxies that a network processes together, for GPUs; by default one.",
     {"type": click.IntRange(min=1)}),
    (("--time-limit",), "'T min'",
     "Longest time for a galaxy, after which its worker is ended; by default there is none.",
     {"type": QuantityType("time")}),
    (("--scheduler",), "ADDRESS",
     "Address of a Dask scheduler, such as tcp://head:8786; by default a local cluster.", {}),
    (("--workers",), "N",
     "Number of local processes; by default one for each core.",
     {"type": click.IntRange(min=1)}),
    (("--resource", "resources"), "NAME=AMOUNT",
     "Dask resource needed by each task, such as GPU=1.", {"multiple": True}),
    (("--resume",), None, "Continue the run in the folder.", {"is_flag": True}),
    (("--retry-failed",), None, "With --resume: repeat failed galaxies.", {"is_flag": True}),
)  # fmt: skip


@click.command(epilog=EXAMPLES)
@click.argument("catalog", type=click.Path(path_type=Path), metavar="CATALOG")
@partial(add_options, options=_CATALOG_OPTIONS)
@about_options
@partial(add_options, options=_RUN_OPTIONS)
@common_options
def survey(**given: Any) -> None:
    """Estimate maps of all galaxies of CATALOG, and write a table of their properties.

    CATALOG is a table that astropy can read, with columns identified by common names. A galaxy
    that fails has a row with the reason; the exit status is then 1. An interrupted run is
    continued with --resume.
    """
    command = click.get_current_context().command
    # The reasons of failures are in options, also in the table and the log.
    with keep_messages_as(lambda message: with_options(message, command)), _resumable():
        _survey(given)


def _survey(given: dict[str, Any]) -> None:
    from picasssso.surveys import run, run_mosaic
    from picasssso.surveys.run_page import write_page
    from picasssso.surveys.running import told_where_it_ends

    cluster: dict[str, Any] = {
        "scheduler": given["scheduler"],
        "workers": given["workers"],
        "resources": _resources(given["resources"]),
        "resume": given["resume"] or given["retry_failed"],
        "retry_failed": given["retry_failed"],
        "progress": progress_wanted(given["quiet"]),
    }
    if given["mosaic"]:
        _refuse_unused()
        summary = run_mosaic(given["catalog"], make_estimator(given), given["output"], **cluster)
        _show_failures(given["output"] / "blocks", summary)
        if not given["quiet"]:
            click.echo(f"{given['output']}: blocks: {summary}.")
        click.get_current_context().exit(1 if summary.failed else 0)
    context = click.get_current_context()
    stated = context.get_parameter_source("aperture") is not ParameterSource.DEFAULT
    if given["region"] and stated:
        raise click.UsageError("Give either --aperture or --region, not both.")
    summary = run(
        given["catalog"],
        make_estimator(given),
        given["output"],
        **_images(given),
        size=given["size"],
        columns=_assignments(given["columns"], "--column") or None,
        prepare=not given["no_prepare"],
        options=_options(given),
        ebv_scale=given["ebv_scale"] if given["ebv"] is None else None,
        extinction_removed=given["extinction_removed"],
        aperture=given["region"] or parse_radius(given["aperture"]),
        keep_maps=not given["no_maps"],
        reports=given["reports"],
        pictures=given["on_page"],
        n_samples=given["n_samples"],
        seed=given["seed"],
        batch_size=given["batch_size"],
        time_limit=given["time_limit"],
        **cluster,
    )
    with told_where_it_ends(lambda: summary):
        _show_failures(given["output"], summary)
        if given["on_page"]:
            write_page(given["output"], limit=given["on_page"], overwrite=True)
    if not given["quiet"]:
        click.echo(f"Written: {given['output'] / 'results.fits'}")
        click.echo(f"{given['output']}: {summary}.")
    if summary.failed:
        click.get_current_context().exit(1)


def _refuse_unused() -> None:
    """Refuse options that do nothing for a mosaic."""
    context = click.get_current_context()
    unused = [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name not in _OF_MOSAICS
        and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    ]
    if unused:
        raise click.UsageError(
            f"--mosaic estimates maps of images as they are, without a catalog: omit "
            f"{', '.join(unused)}."
        )


@contextmanager
def _resumable() -> Iterator[None]:
    """Say how to go on where work is ended from outside, if nothing else does."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as error:
        if not hasattr(error, "__notes__"):
            error.add_note("What is done is kept: the same command with --resume goes on.")
        raise


def _show_failures(folder: Path, summary: Any) -> None:
    """Show why the first of those that failed did, and how they are done again."""
    from picasssso.surveys.store import read_failures

    if not summary.failed:
        return
    for name, reason in read_failures(folder, _SHOWN):
        click.echo(f"{name} failed: {reason}", err=True)
    more = f"and {summary.failed - _SHOWN} more; " if summary.failed > _SHOWN else ""
    click.echo(
        f"({more}all in {folder / LOG}. The same command with --resume --retry-failed does them "
        "again.)",
        err=True,
    )


def _images(given: dict[str, Any]) -> dict[str, Any]:
    if given["tiles"]:
        if given["images"] or given["bands"]:
            raise click.UsageError("--tiles name their bands: leave out --images and --band.")
        return {"tiles": parse_bands(given["tiles"], "--tiles")}
    with_pattern = ["=" in text for text in given["bands"]]
    if any(with_pattern):
        if given["images"] or not all(with_pattern):
            raise click.UsageError(
                "Give either --images with --band BAND for each band, or --band BAND=PATTERN for "
                "each, not both."
            )
        return {"images": parse_bands(given["bands"])}
    if not given["images"]:
        raise click.UsageError("Give the images: --images, --band or --tiles.")
    return {"images": given["images"], "bands": list(given["bands"]) or None}


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return what holds for all galaxies, as arguments of `prepare`."""
    bands = [text.partition("=")[0] for text in (*given["bands"], *given["tiles"])]
    found = about_arguments(given, bands)
    if "mask" in found:
        found["file_mask"] = found.pop("mask")
    if "psf" in found:
        found["psf"] = _psf(found["psf"], bands, given["band_survey"])
    if given["band_survey"] is not None:
        found["survey"] = given["band_survey"]
    if not given["no_prepare"]:
        found["sky"] = None if given["sky"] == "none" else given["sky"]
    return found | dust_arguments(given, of_catalog=True)


def _psf(psf: Any, bands: list[str], survey: str | None) -> Any:
    """Return PSFs with the median seeing, where it was asked for, as a width."""
    from picasssso.bands.band_names import resolve_band

    if isinstance(psf, str):
        if not bands:
            raise click.BadParameter(
                "'median' needs the bands: give them with --band.", param_hint="--psf"
            )
        psf = dict.fromkeys(bands, psf)
    if not isinstance(psf, dict):
        return psf
    return {
        band: median_seeing(resolve_band(band, survey)) if isinstance(value, str) else value
        for band, value in psf.items()
    }


def _resources(texts: tuple[str, ...]) -> dict[str, float] | None:
    try:
        return {k: float(v) for k, v in _assignments(texts, "--resource").items()} or None
    except ValueError:
        raise click.BadParameter(
            f"{', '.join(texts)}: expected NAME=AMOUNT, such as GPU=1.", param_hint="--resource"
        ) from None


def _assignments(texts: tuple[str, ...], option: str) -> dict[str, str]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text!r}: expected NAME=VALUE.", param_hint=option)
        found[name] = value
    return found
