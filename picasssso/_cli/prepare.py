"""``picasssso prepare``: survey files in, images that estimators can use out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.parsing import QuantityType
from picasssso._cli.reading import (
    add_options,
    check_outputs,
    dust_arguments,
    read_arguments,
    read_files,
    read_position,
    reading_options,
)
from picasssso._cli.regions import REGION, check_region, find_region, keep_only
from picasssso._cli.running import common_options

if TYPE_CHECKING:
    from picasssso.bands import BandImages

EXAMPLES = """
\b
Examples:
  picasssso prepare frame-*.fits.bz2 -z 0.03 -o bands.fits --ebv 0.03 --ebv-scale SFD98
  picasssso prepare DES_*.fits -z 0.02 -o bands.fits --psf '1.1 arcsec' --cutout 5
  picasssso prepare -b sdss2010-g=g.fits -b sdss2010-r=r.fits --zero-point 30 -z 0.1 \\
    -o bands.fits
"""


@click.command(epilog=EXAMPLES)
@reading_options
@click.option("-o", "--output", required=True, metavar="OUT.fits", help="File to write.")
@click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")
@click.option(
    "--position",
    metavar="'RA DEC'",
    help="Position of the target, in degrees or as '09h30m00s +02d10m00s'. By default the "
    "center of the image.",
)
@click.option("--onto", metavar="BAND", help="Band to whose pixel grid all bands are resampled.")
@click.option("--register", is_flag=True, help="Correct shifts between bands above 0.3 pixel.")
@click.option(
    "--sky",
    type=click.Choice(["background2d", "median", "none"]),
    default="background2d",
    show_default=True,
    help="Method of sky subtraction.",
)
@click.option("--keep-noise", is_flag=True, help="Do not calibrate the noise with empty sky.")
@click.option(
    "--match",
    default="broadest",
    show_default=True,
    metavar="TARGET",
    help="PSF that all bands are matched to: 'broadest', a band, a FWHM such as "
    "'1.4 arcsec', or 'none'.",
)
@click.option("--no-mask", is_flag=True, help="Do not mask stars and neighbors.")
@click.option(
    "--cutout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Cut out the target to N half-light radii.",
)
@click.option(
    "--snr",
    type=click.FloatRange(min=0, min_open=True),
    metavar="S/N",
    help="Bin the target to this minimum signal-to-noise ratio.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False),
    metavar="FOLDER",
    help="Folder for intermediate images of a large field, which are then not kept in memory.",
)
@partial(add_options, options=REGION)
@common_options
def prepare(**arguments: Any) -> None:
    """Turn survey files into images that estimators can use.

    Formats are recognized from the headers. The steps are: read, subtract the sky, calibrate
    the noise, align, measure and match the PSFs, correct for Galactic extinction, mask stars
    and neighbors, cut out, bin. With --aperture or --region, everything outside is finally
    masked.
    """
    from picasssso.preparation import prepare as prepare_images

    files, reading = read_arguments(arguments)
    check_region(arguments)
    position = read_position(arguments["position"])
    check_outputs(files, [arguments["output"]], arguments["overwrite"])
    options: dict[str, Any] = {
        "position": position,
        "onto": arguments["onto"],
        "register": arguments["register"],
        "sky": None if arguments["sky"] == "none" else arguments["sky"],
        "noise": not arguments["keep_noise"],
        "match": _match(arguments["match"]),
        **dust_arguments(arguments),
        "mask": not arguments["no_mask"],
        "cutout": arguments["cutout"],
        "snr": arguments["snr"],
        "folder": arguments["folder"],
    }
    images = prepare_images(read_files(files, reading), **options)
    region, _ = find_region(arguments, images, position)
    if region is not None:
        images = keep_only(images, region)
    images.write(arguments["output"], overwrite=arguments["overwrite"])
    if not arguments["quiet"]:
        for line in describe_steps(images):
            click.echo(line)
        click.echo(f"Written: {arguments['output']}")


def describe_steps(images: BandImages) -> list[str]:
    """Return what was done, one line for each step."""
    from picasssso.preparation.steps import describe_steps as describe

    return [
        *(f"  {name:16} {words}" for name, words in describe(images.meta.get("preparation", []))),
        f"{len(images)} bands, {images.shape[1]} x {images.shape[0]} pixels of "
        f"{images.pixel_scale.value:.3g} arcsec",
    ]


def _match(text: str) -> Any:
    if text in ("broadest", "none"):
        return text == "broadest"
    if text[:1].isdigit():
        return QuantityType("angle").convert(text, None, click.get_current_context(silent=True))
    return text
