"""``picasssso list``: the estimators, and what each needs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from picasssso._cli.shared_options import common_options

if TYPE_CHECKING:
    from picasssso.estimators.base import PropertyMapEstimator


@click.command("list")
@common_options
def list_command(quiet: bool) -> None:
    """List the estimators with their bands, maps and parameters.

    With --quiet, only their names, one per line. Parameters are set with
    `picasssso estimate --option NAME=VALUE`.
    """
    from picasssso.estimators import list_estimators
    from picasssso.estimators.registry import iterate_estimators

    if quiet:
        for name in list_estimators():
            click.echo(name)
        return
    for index, (name, estimator) in enumerate(iterate_estimators()):
        if index:
            click.echo()
        click.secho(name, bold=True)
        for label, text in _facts(estimator):
            click.echo(f"  {label + ':':14} {text}")


def _facts(estimator: type[PropertyMapEstimator]) -> Iterator[tuple[str, str]]:
    summary = inspect.getdoc(estimator)
    yield "what", summary.split("\n\n", 1)[0].replace("\n", " ") if summary else "(undocumented)"
    yield "class", f"{estimator.__module__}.{estimator.__qualname__}"
    try:
        instance = estimator()
    # An estimator may lack an extra package or need a parameter: that is worth showing,
    # and no reason not to show the others.
    except Exception as error:
        yield "not usable", f"{error}"
        yield "parameters", _parameters(estimator)
        return
    yield "gives", ", ".join(instance.properties)
    yield "bands", _bands(instance)
    yield (
        "uncertainty",
        "needed in every band" if instance.tags.needs_uncertainty else "not needed",
    )
    yield "samples", "can be drawn" if instance.tags.supports_samples else "none"
    yield "parameters", _parameters(estimator)


def _bands(estimator: PropertyMapEstimator) -> str:
    """Return which bands it needs, in the words of its own error about their lack."""
    from picasssso.exceptions import PicassssoError

    try:
        estimator._select_bands(())
    except PicassssoError as error:
        # What is needed comes first; that nothing is there comes after.
        return re.split(r"[,;:] (?:but|the images|found|there is)", str(error))[0].rstrip(".")
    return f"any {estimator.tags.minimum_bands} or more"


def _parameters(estimator: type[PropertyMapEstimator]) -> str:
    defaults = estimator._parameter_defaults()
    return (
        ", ".join(
            name if value is inspect.Parameter.empty else f"{name}={value!r}"
            for name, value in defaults.items()
        )
        or "none"
    )
