"""``picasssso evaluate``: experiments from a configuration, resumable."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from picasssso._cli.image_options import Options, add_options
from picasssso._cli.shared_options import common_options, progress_wanted

_OPTIONS: Options = (
    (("-o", "--output"), "FOLDER",
     "Folder for intermediate and final results.",
     {"type": click.Path(path_type=Path), "required": True}),
    (("-x", "--experiment", "experiments"), "ID",
     "Run only this experiment; may be repeated.", {"multiple": True}),
    (("-e", "--estimator", "estimators"), "KEY",
     "Run only this estimator of the configuration; may be repeated.", {"multiple": True}),
    (("--data",), "FOLDER",
     "Catalogs and images, for a configuration of real galaxies.",
     {"type": click.Path(path_type=Path)}),
    (("--small",), None,
     "Use the small setting of the configuration, for a test.", {"is_flag": True}),
    (("--only-results",), None, "Only write the results of previous runs.", {"is_flag": True}),
)  # fmt: skip


@click.command()
@click.argument("configuration", type=click.Path(path_type=Path), metavar="CONFIG.toml")
@partial(add_options, options=_OPTIONS)
@common_options
def evaluate(
    configuration: Path,
    output: Path,
    experiments: tuple[str, ...],
    estimators: tuple[str, ...],
    data: Path | None,
    small: bool,
    only_results: bool,
    quiet: bool,
) -> None:
    """Measure the accuracy of estimators on mocks or real galaxies.

    CONFIG.toml lists estimators and galaxies; see benchmarks/experiments/ in the repository.
    Results are stored for each batch: an interrupted run, or one with more galaxies, is
    continued by calling the command again. At the
    end FOLDER/results holds evaluation.json, tables in reStructuredText and pictures.
    """
    from picasssso.evaluation.real.samples import is_real

    if is_real(configuration):
        _evaluate_real(
            configuration, output, data, experiments, estimators, small, only_results, quiet
        )
        return
    from picasssso.evaluation.experiments import load_configuration, run_experiments
    from picasssso.evaluation.experiments.experiment_runs import collect_figures
    from picasssso.evaluation.experiments.results import write_results

    chosen = load_configuration(configuration, small=small).select(experiments, estimators)
    if not only_results:
        left_out = run_experiments(chosen, output, progress=progress_wanted(quiet))
        for key, reason in left_out.items():
            click.echo(f"Left out {key}: {reason}", err=True)
    paths = write_results(collect_figures(chosen, output), output / "results")
    if not quiet:
        click.echo(f"Written: {len(paths)} files in {output / 'results'}")


def _evaluate_real(
    configuration: Path,
    output: Path,
    data: Path | None,
    parts: tuple[str, ...],
    estimators: tuple[str, ...],
    small: bool,
    only_results: bool,
    quiet: bool,
) -> None:
    """Measure estimators on real galaxies."""
    from picasssso.evaluation.real.figures import write_real
    from picasssso.evaluation.real.runs import collect_real, run_real
    from picasssso.evaluation.real.samples import load_real_configuration

    if data is None:
        raise click.UsageError(
            f"{configuration} is a configuration of real galaxies: give the folder of its "
            "catalogs and images with --data FOLDER."
        )
    chosen = load_real_configuration(configuration, small=small).select(parts, estimators)
    if not only_results:
        run_real(chosen, output, data, progress=progress_wanted(quiet))
    figures = collect_real(chosen, output, data)
    paths = write_real(figures, output / "results")
    if not quiet:
        for line in figures["requirements"]:
            if line["value"] is not None:
                low, high = line["between"]
                verdict = "met" if line["met"] else "MISSED"
                measured = f"{line['value']:.3f} ({low:g} to {high:g})"
                click.echo(f"{verdict:6} {line['what']}: {measured}")
        click.echo(f"Written: {len(paths)} files in {output / 'results'}")
