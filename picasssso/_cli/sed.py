"""``picasssso sed``: the SED of a pixel or an aperture, and its fit beside that of its pixels."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from picasssso._cli.estimate import PREPARING, ImagesWanted
from picasssso._cli.estimators import ESTIMATOR, make_estimator
from picasssso._cli.image_options import add_options, check_outputs, reading_options
from picasssso._cli.parsing import wrong_use
from picasssso._cli.region_options import REGION, check_region, find_region
from picasssso._cli.shared_options import common_options

if TYPE_CHECKING:
    from astropy.table import Row, Table

    from picasssso.estimators.sed_fit import SEDFit

# The sign \b keeps click from filling the lines that follow.
EXAMPLES = """
\b
Examples:
  picasssso sed images.fits --aperture '3 arcsec' -o sed.png
  picasssso sed frame-*.fits.bz2 -z 0.03 --pixel '1020 741' -o sed.png --table sed.ecsv
"""


@click.command(epilog=EXAMPLES)
@reading_options
@click.option(
    "-o", "--output", required=True, metavar="OUT.png", help="Figure of the SED to write."
)
@click.option("--table", metavar="OUT.ecsv", help="Also write observed and model fluxes.")
@click.option(
    "--pixel", metavar="'X Y'", help="A pixel of the images, counted from 0, instead of a region."
)
@partial(add_options, options=REGION)
@partial(add_options, options=ESTIMATOR[1:])
@click.option("--overwrite", is_flag=True, help="Replace output files that exist.")
@partial(add_options, options=PREPARING)
@common_options
def sed(**arguments: Any) -> None:
    """Fit the SED of a pixel, or of the summed light of an aperture.

    Without --pixel, --aperture or --region, the pixels of the target are summed, or of the whole
    image if it has no labels. The images are read and prepared as by `picasssso estimate`; the
    estimator is sed_fit.
    """
    import matplotlib as mpl

    from picasssso._core.safe_files import atomic_write
    from picasssso._plotting import check_picture_name

    wanted = ImagesWanted(arguments)
    estimator = make_estimator({"estimator_name": "sed_fit", **arguments})
    check_region(arguments)
    place = _parse_pixel(arguments)
    output, table = arguments["output"], arguments["table"]
    outputs = [path for path in (output, table) if path]
    check_outputs(wanted.files, outputs, arguments["overwrite"])
    with wrong_use("--output"):
        check_picture_name(output)
    if table and not table.endswith(".ecsv"):
        raise click.BadParameter(
            f"{table}: expected a name that ends in .ecsv.", param_hint="--table"
        )
    images = wanted.read()
    region, what = find_region(arguments, images, wanted.position)
    found = estimator.fit_sed(images, place or region)  # type: ignore[attr-defined]
    compared = None if place else found.compare()
    with mpl.rc_context({"figure.max_open_warning": 0}):
        figure = found.plot()
    with atomic_write(output, arguments["overwrite"]) as temporary:
        figure.savefig(temporary, dpi=130)
    if table:
        with atomic_write(table, arguments["overwrite"]) as temporary:
            found.fluxes.write(temporary, format="ascii.ecsv", overwrite=True)
    if not arguments["quiet"]:
        _report(found, what, compared)
        for path in outputs:
            click.echo(f"Written: {path}")


def _parse_pixel(given: dict[str, Any]) -> tuple[float, float] | None:
    text = given["pixel"]
    if text is None:
        return None
    if given["aperture_text"] is not None or given["region_file"] is not None:
        raise click.UsageError("Give one of --pixel, --aperture and --region.")
    try:
        x, y = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise click.BadParameter(
            f"{text!r}: expected two numbers, such as '64 64'.", param_hint="--pixel"
        ) from None
    return x, y


def _report(found: SEDFit, what: str, compared: Table | None) -> None:
    """Print fluxes, what comes of them, and the comparison with the pixels."""
    head, errors, *answers = str(found).splitlines()
    click.echo(head)
    click.echo(errors)
    if what:
        click.echo(f"  {what}")
    width = max(map(len, found.bands))
    click.echo(f"  {'band':{width}}       flux (nmgy)        models, 68 %  residual")
    for row in found.fluxes:
        flux = _with_error(row["flux"].value, row["error"].value)
        ends = f"{row['model_p16'].value:.4g} - {row['model_p84'].value:.4g}"
        click.echo(f"  {row['band']:{width}} {flux:>17} {ends:>19} {row['residual']:+9.2f}")
    for line in answers:
        click.echo(line)
    if compared is not None:
        click.echo(
            "Means, with errors that count zero points, sky and the disagreement of models too:\n"
            "of the summed light, and the sum or average of its pixels (light less pixels)"
        )
        for row in compared:
            click.echo(_compared(found, row))


def _compared(found: SEDFit, row: Row) -> str:
    label = found.maps.definition(row["property"]).label
    light, pixels = (_with_error(row[name], row[f"{name}_error"]) for name in ("light", "pixels"))
    line = f"  {label:20} {light}, {pixels} {row['unit']}".rstrip()
    return f"{line} ({row['difference']:+.2f} {row['difference_unit']})"


def _with_error(value: float, error: float) -> str:
    import astropy.units as u

    from picasssso.maps.totals import Total

    if not np.isfinite(value):
        return "no data"
    return str(Total(float(value) * u.one, float(error) * u.one, 0.0, {})).replace("+/-", "±")
