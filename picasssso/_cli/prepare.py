"""``picasssso prepare``: survey files in, images that estimators can use out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.image_options import (
    SKY,
    Options,
    add_options,
    check_outputs,
    dust_arguments,
    read_arguments,
    read_files,
    read_position,
    reading_options,
)
from picasssso._cli.parsing import PositiveType, QuantityType
from picasssso._cli.region_options import REGION, check_region, find_region, keep_only
from picasssso._cli.shared_options import common_options

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


_OPTIONS: Options = (
    (("-o", "--output"), "OUT.fits", "File to write.", {"required": True}),
    (("--overwrite",), None, "Replace output files that exist.", {"is_flag": True}),
    (("--position",), "'RA DEC'",
     "Position of the target, in degrees or as '09h30m00s +02d10m00s'. By default the center of"
     " the image.", {}),
    (("--onto",), "BAND", "Band to whose pixel grid all bands are resampled.", {}),
    (("--register",), None, "Correct shifts between bands above 0.3 pixel.", {"is_flag": True}),
    SKY,
    (("--keep-noise",), None, "Do not calibrate the noise with empty sky.", {"is_flag": True}),
    (("--match",), "TARGET",
     "PSF that all bands are matched to: 'broadest', a band, a FWHM such as '1.4 arcsec', or "
     "'none'.", {"default": "broadest", "show_default": True}),
    (("--no-mask",), None, "Do not mask stars and neighbors.", {"is_flag": True}),
    (("--cutout",), "N",
     "Cut out the target to N half-light radii.",
     {"type": PositiveType()}),
    (("--snr",), "S/N",
     "Bin the target to this minimum signal-to-noise ratio.",
     {"type": PositiveType()}),
    (("--folder",), "FOLDER",
     "Folder for intermediate images of a large field, which are then not kept in memory.",
     {"type": click.Path(exists=True, file_okay=False)}),
    *REGION,
)  # fmt: skip


@click.command(epilog=EXAMPLES)
@reading_options
@partial(add_options, options=_OPTIONS)
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
    if text[:1].isdigit() or text[:1] in "+-.":
        try:
            return QuantityType("angle").convert(text, None, click.get_current_context())
        except click.BadParameter as error:
            raise click.BadParameter(error.message, param_hint="--match") from error
    return text
