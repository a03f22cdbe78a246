"""``picasssso report``: a page about maps."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from picasssso._cli.image_options import Options, add_options, check_outputs
from picasssso._cli.parsing import MagnitudeType, UnitType, parse_bands, parse_per_band
from picasssso._cli.shared_options import common_options

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps


_OPTIONS: Options = (
    (("-o", "--output"), "OUT.html", "File to write.", {"required": True}),
    (("--truth", "truth_file"), "TRUTH.fits", "True maps.", {}),
    (("--other", "other_file"), "OTHER.fits",
     "Maps of the same galaxy by another estimator, to show where they disagree.", {}),
    (("--images", "images_file"), "IMAGES.fits",
     "File of BandImages, for a color image of the galaxy.", {}),
    (("-b", "--band", "bands"), "BAND=FILE[HDU]",
     "Instead of --images: a band, as for `picasssso estimate`. Repeat for each band.",
     {"multiple": True}),
    (("--zero-point", "zero_points"), "[BAND=]MAG",
     "AB magnitude of one count, for bands in counts.", {"multiple": True}),
    (("--unit", "units"), "[BAND=]UNIT", "Unit of the bands.", {"multiple": True}),
    (("--title",), "TEXT", "Heading of the page.", {}),
    (("--overwrite",), None, "Replace the output if it exists.", {"is_flag": True}),
)  # fmt: skip


@click.command()
@click.argument("maps_file", metavar="MAPS.fits")
@partial(add_options, options=_OPTIONS)
@common_options
def report(
    maps_file: str,
    output: str,
    truth_file: str | None,
    other_file: str | None,
    images_file: str | None,
    bands: tuple[str, ...],
    zero_points: tuple[str, ...],
    units: tuple[str, ...],
    title: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a self-contained HTML report about MAPS.fits.

    It shows the maps with their uncertainties, radial profiles, totals, quality flags and
    how they were made; with --truth also the comparison with the truth.
    """
    from picasssso.evaluation.report import write_report
    from picasssso.maps import PropertyMaps

    if images_file and bands:
        raise click.UsageError("Give the images either with --images or with --band, not both.")
    if (zero_points or units) and not bands:
        raise click.UsageError("--zero-point and --unit go with --band only.")
    pictures = [text.partition("=")[2] for text in bands]
    inputs = [name for name in (maps_file, truth_file, other_file, images_file) if name]
    check_outputs([*inputs, *pictures], [output], overwrite)  # before the work, not after it
    maps = PropertyMaps.read(maps_file)
    truth = PropertyMaps.read(truth_file) if truth_file else None
    other = PropertyMaps.read(other_file) if other_file else None
    images = _read_images(maps, images_file, bands, zero_points, units)
    write_report(
        maps, output, truth=truth, other=other, images=images, title=title, overwrite=overwrite
    )
    if not quiet:
        click.echo(f"Written: {output}")


def _read_images(
    maps: PropertyMaps,
    images_file: str | None,
    bands: tuple[str, ...],
    zero_points: tuple[str, ...],
    units: tuple[str, ...],
) -> BandImages | None:
    from picasssso.bands import BandImages

    if images_file:
        return BandImages.read(images_file)
    if not bands:
        return None
    files = parse_bands(bands)
    return BandImages.read(
        files,
        redshift=0.0 if maps.redshift is None else maps.redshift,
        zero_point=parse_per_band(zero_points, files, MagnitudeType(), "--zero-point"),
        unit=parse_per_band(units, files, UnitType(), "--unit"),
        # Of pixels without WCS only the size matters here, for the bar.
        pixel_scale=None if maps.wcs is not None else maps.pixel_solid_angle**0.5,
    )
