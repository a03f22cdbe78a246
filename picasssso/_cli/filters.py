"""``picasssso filters``, and the option ``--filter`` of the commands that read images."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any, TypeVar

import click

from picasssso._cli.parsing import wrong_use
from picasssso._cli.shared_options import common_options

Function = TypeVar("Function", bound=Callable[..., Any])


@click.command()
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@common_options
def filters(patterns: tuple[str, ...], quiet: bool) -> None:
    """List the filters whose names can be given as bands.

    With a PATTERN such as 'jwst_*' or '*f814w', only those that match. With --quiet, only names.
    Other filters are defined by their response curves: see the option --filter of
    `picasssso estimate`, `prepare` and `survey`.
    """
    from picasssso.filters import list_filters

    group = None
    table = list_filters()
    wanted = [not patterns or any(_fits(name, p) for p in patterns) for name in table["name"]]
    if not any(wanted):
        raise click.BadParameter(
            f"no filter matches {' or '.join(map(repr, patterns))}: without a pattern all "
            "are listed.",
            param_hint="PATTERN",
        )
    for name, pivot, width, source in table[wanted].iterrows():
        if quiet:
            click.echo(name)
            continue
        if name.partition("-")[0] != group:
            group = name.partition("-")[0]
            click.secho(group, bold=True)
        pivot, width = pivot.to_value("um"), width.to_value("um")
        click.echo(f"  {name:22} pivot {pivot:9.4f} um  width {width:8.4f} um  {source}")


def _fits(name: str, pattern: str) -> bool:
    return fnmatch(name.lower(), pattern.lower())


def filter_option(function: Function) -> Function:
    """Add ``--filter`` to a command: it defines filters before anything else is done."""
    return click.option(
        "--filter",
        multiple=True,
        expose_value=False,
        is_eager=True,
        callback=_define,
        metavar="NAME=FILE[,UNIT][,photon|energy]",
        help="Define a filter by its response curve: a table of wavelength and response (text, "
        "ECSV, VOTable, FITS), with the wavelength unit and whether the response is per photon "
        "or energy, unless the file states them. May be repeated. `picasssso filters` lists "
        "known filters.",
    )(function)


def _define(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> None:
    """Define the filters of the option."""
    for text in values:
        name, equals, rest = text.partition("=")
        file, *stated = rest.split(",")
        if not (name and equals and file) or len(stated) > 2:
            raise click.BadParameter(
                f"{text!r}: expected NAME=FILE or NAME=FILE,UNIT,photon, such as "
                "my_camera-F150W=curve.txt,nm,photon.",
                param_hint="--filter",
            )
        from picasssso.filters import read_filter

        kinds = [word for word in stated if word in ("photon", "energy")]
        units = [word for word in stated if word not in kinds]
        if len(kinds) > 1 or len(units) > 1:
            raise click.BadParameter(
                f"{text!r}: unit or kind of response given twice.", param_hint="--filter"
            )
        with wrong_use("--filter"):
            read_filter(file, name, unit=next(iter(units), None), response=next(iter(kinds), None))
