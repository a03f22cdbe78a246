"""``picasssso cube``: images of a cube through any filters."""

from __future__ import annotations

from functools import partial

import click

from picasssso._cli.filters import filter_option
from picasssso._cli.image_options import Options, add_options, check_outputs
from picasssso._cli.shared_options import common_options

EXAMPLES = """
\b
Examples:
  picasssso cube manga-8138-12704-LINCUBE.fits.gz -z 0.03 -b g,r,i --survey sdss -o bands.fits
  picasssso cube 41144_blue.fits 41144_red.fits -b sdss2010-g -b sami-red1 \\
    --box sami-red1=6300,6860 -o bands.fits
"""


_OPTIONS: Options = (
    (("-b", "--bands"), "BAND[,BAND...]",
     "Filters of the images. May be repeated.", {"required": True, "multiple": True}),
    (("-o", "--output"), "OUT.fits", "File to write.", {"required": True}),
    (("--overwrite",), None, "Replace the output if it exists.", {"is_flag": True}),
    (("-z", "--redshift"), "Z", "Redshift, unless the file states it.", {"type": float}),
    (("--survey",), "NAME", "Survey of bare band names: sdss, decals ...", {}),
    (("--partly",), None,
     "How to treat filters of which the cube covers less than 95 %: cut them to the cube, as "
     "new bands, or omit them. By default an error.", {"type": click.Choice(["cut", "leave"])}),
    (("--box",), "NAME=LOW,HIGH",
     "Define a box filter between two wavelengths in Angstrom.", {"multiple": True}),
    (("--keep-dust",), None,
     "Do not correct for Galactic extinction. By default the E(B-V) in the file is used.",
     {"is_flag": True}),
)  # fmt: skip


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, metavar="FILE [RED_FILE]")
@partial(add_options, options=_OPTIONS)
@filter_option
@common_options
def cube(
    files: tuple[str, ...],
    bands: tuple[str, ...],
    output: str,
    overwrite: bool,
    redshift: float | None,
    survey: str | None,
    partly: str | None,
    box: tuple[str, ...],
    keep_dust: bool,
    quiet: bool,
) -> None:
    """Make images of an integral-field cube of MaNGA, CALIFA, SAMI (two files) or MUSE.

    The cube is integrated over each filter. Noise and its correlation, masks, bins and PSF are
    as defined by the survey. The part of each filter that the cube covers is printed.
    """
    from picasssso.ifu import box_filter, read_cube, synthetic_images
    from picasssso.preparation import correct_extinction

    check_outputs(files, [output], overwrite)
    for text in box:
        box_filter(*_parse_box(text))
    chosen = [name.strip() for text in bands for name in text.split(",") if name.strip()]
    found = read_cube(list(files), redshift=redshift)
    images = synthetic_images(found, chosen, survey=survey, partly=partly)
    dust = images.galactic_extinction
    if dust is not None and not dust.applied and not keep_dust:
        images = correct_extinction(images)
    images.write(output, overwrite=overwrite)
    if quiet:
        return
    click.echo(repr(found)[1:-1])
    for band, part in images.meta["ifu"]["covered"].items():
        click.echo(f"  {band:28} {100 * part:.1f} % of the filter covered")
    for note in images.meta["ifu"]["notes"]:
        click.echo(f"  ({note})")
    click.echo(f"Written: {output}")


def _parse_box(text: str) -> tuple[str, float, float]:
    name, _, ends = text.partition("=")
    try:
        low, high = (float(part) for part in ends.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: expected NAME=LOW,HIGH such as sami-red1=6300,6860.", param_hint="--box"
        ) from None
    return name, low, high
