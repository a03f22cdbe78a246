"""``picasssso compare``: whether estimates of one galaxy agree."""

from __future__ import annotations

import itertools
from pathlib import Path

import click

from picasssso._cli.running import common_options


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="MAPS.fits OTHER.fits...")
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    metavar="SIGMA",
    help="Standard deviations, of both errors together, beyond which totals disagree.",
)
@common_options
def compare(files: tuple[str, ...], threshold: float, quiet: bool) -> None:
    """Compare maps of one galaxy by two or more estimators.

    For every property that two files have: both totals (averages of ages, metallicities and
    attenuation) over the pixels that both have, by how much they differ, and in how many
    pixels. Where totals differ by more than both errors allow, a warning says so; with --quiet
    only that.
    """
    from picasssso.evaluation import compare_estimates
    from picasssso.evaluation.agreement import disagreements
    from picasssso.maps import PropertyMaps

    if len(files) < 2:
        raise click.UsageError("Give at least two files of maps to compare.")
    estimates: dict[str, PropertyMaps] = {}
    for number, path in enumerate(files):
        maps = PropertyMaps.read(path)
        name = str(maps.meta.get("estimator", Path(path).name))
        estimates[name if name not in estimates else f"{name} ({number + 1})"] = maps
    if not quiet:
        for (one, first), (other, second) in itertools.combinations(estimates.items(), 2):
            click.echo(f"{one} against {other}:")
            for found in compare_estimates(first, second, threshold=threshold):
                click.echo(
                    f"  {found.label:28} {found.first} against {found.second}: "
                    f"{found.offset}, {found.deviation:+.1f} sigma; "
                    f"{100 * found.pixels_beyond:.0f} % of pixels beyond {threshold:g}"
                )
    for line in disagreements(estimates, threshold=threshold):
        click.echo(f"Warning: {line}", err=True)
