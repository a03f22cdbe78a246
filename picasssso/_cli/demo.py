"""``picasssso demo``: maps of the example galaxy, beside the truth."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from picasssso._cli.image_options import Options, add_options
from picasssso._cli.parsing import check_estimator
from picasssso._cli.shared_options import common_options, progress_wanted

_OPTIONS: Options = (
    (("-o", "--output"), "FOLDER",
     "Output folder, created if it does not exist; by default the current one.",
     {"type": click.Path(path_type=Path), "default": Path()}),
    (("-e", "--estimator", "estimators"), "NAME",
     "Use only this estimator; may be repeated. By default all available ones.",
     {"multiple": True}),
)  # fmt: skip


@click.command()
@partial(add_options, options=_OPTIONS)
@common_options
def demo(output: Path, estimators: tuple[str, ...], quiet: bool) -> None:
    """Estimate maps of the packaged example galaxy with every estimator.

    Writes picasssso_demo_ESTIMATOR.fits (maps) for every estimator and picasssso_demo.png (color
    image, true and estimated maps). Files of an earlier demo are replaced.
    """
    from picasssso._cli.totals_text import describe_totals
    from picasssso.demo import run_demo
    from picasssso.evaluation.agreement import disagreements

    for name in estimators:
        check_estimator(name)
    if not quiet:
        names = ", ".join(estimators) or "all estimators"
        click.echo(f"Estimating maps of the example galaxy with {names}.")
    result = run_demo(output, estimators or None, progress=progress_wanted(quiet))
    if quiet:
        return
    for name, maps in result.maps.items():
        click.echo(f"{name}:")
        for line in describe_totals(maps, result.truth):
            click.echo(line)
    for line in disagreements(result.maps):
        click.echo(f"Note: {line}")
    click.echo(
        "The uncertainties include the error that an estimator declares to be common to all "
        "pixels. If it declares none, errors of pixels are assumed to be fully correlated."
    )
    for path in (*result.files.values(), result.picture):
        click.echo(f"Written: {path}")
