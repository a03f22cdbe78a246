"""``picasssso train``: networks from a recipe, interrupted and resumed at will."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from picasssso._cli.image_options import Options, add_options
from picasssso._cli.shared_options import common_options, progress_wanted

_OPTIONS: Options = (
    (("-o", "--output"), "NAME",
     "Name of the weights: NAME.safetensors and NAME.json are written at the end, "
     "NAME.checkpoint during training.", {"type": click.Path(path_type=Path), "required": True}),
    (("--resume",), None, "Continue from NAME.checkpoint.", {"is_flag": True}),
    (("--device",), "DEVICE", "cpu, cuda, cuda:1 ...; by default CUDA if available.", {}),
    (("--time-limit",), "SECONDS",
     "Stop after this time; --resume continues.", {"type": click.FloatRange(min=0)}),
    (("--tables",), "FOLDER",
     "Folder for cached light tables, which take minutes to make; NAME.tables by default.",
     {"type": click.Path(path_type=Path)}),
    (("--calibrate", "galaxies"), "N",
     "Number of galaxies, not used in training, that calibrate the uncertainties.",
     {"type": click.IntRange(min=0), "default": 4000, "show_default": True}),
    (("--checkpoint-every",), "SECONDS",
     "Interval between checkpoints.",
     {"type": click.FloatRange(min=0), "default": 120.0, "show_default": True}),
    (("--devices",), "N",
     "Number of devices that share every batch; several need pytorch-lightning (extra 'train').",
     {"type": click.IntRange(min=1), "default": 1, "show_default": True}),
    (("--overwrite",), None, "Replace existing weights and checkpoint.", {"is_flag": True}),
)  # fmt: skip


@click.command()
@click.argument("recipe", type=click.Path(path_type=Path))
@partial(add_options, options=_OPTIONS)
@common_options
def train(
    recipe: Path,
    output: Path,
    resume: bool,
    device: str | None,
    time_limit: float | None,
    tables: Path | None,
    galaxies: int,
    checkpoint_every: float,
    devices: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Train networks for the estimator cnn according to RECIPE, a JSON file.

    An interrupted training can be continued exactly with --resume. Then the weights are used by:
    picasssso estimate -e cnn --option weights=NAME.
    """
    from picasssso._core.devices import resolve_device
    from picasssso._core.safe_files import check_output, read_text
    from picasssso.exceptions import FileFormatError, InvalidInputError
    from picasssso.networks.weights import write_weights
    from picasssso.training.batches import PairPool
    from picasssso.training.loop import check_lightning, is_first_process, run_training
    from picasssso.training.recipe import Recipe, make_sources, prepare_tables
    from picasssso.training.state import TrainingState
    from picasssso.training.trained_model import check_band_sets, finish_training

    if devices > 1:
        check_lightning()
    if output.suffix in (".safetensors", ".json"):
        output = output.with_suffix("")
    checkpoint = output.with_name(output.name + ".checkpoint")
    if output.with_name(output.name + ".json").resolve() == recipe.resolve():
        raise click.UsageError(f"{recipe} would be overwritten: choose another --output.")
    for suffix in (".safetensors", ".json"):
        check_output(output.with_name(output.name + suffix), overwrite)
    if not resume and not overwrite and checkpoint.exists():
        raise FileFormatError(
            f"{checkpoint} is there: go on from it with --resume, or start again with --overwrite."
        )
    try:
        plan = Recipe.from_json(read_text(recipe))
    except OSError as error:
        raise FileFormatError(f"Cannot read the recipe {recipe}: {error.strerror}.") from error
    if galaxies > plan.first_pair:
        raise InvalidInputError(
            f"--calibrate {galaxies}: the recipe trains on pairs from {plan.first_pair} on, and "
            "those that calibrate must come before."
        )
    if galaxies:
        # Now, not after hours of training.
        check_band_sets(plan.training, [one.letters() for one in plan.calibration or plan.pairs])
    where = resolve_device(device)
    if resume:
        state = TrainingState.load(checkpoint, where)
        if state.config != plan.training:
            raise InvalidInputError(
                f"{checkpoint} belongs to another training than {recipe}: their settings differ. "
                "Give the recipe it was begun with, or start again with --overwrite."
            )
    else:
        state = TrainingState(plan.training, where)
    progress = progress_wanted(quiet)
    tables = tables or output.with_name(output.name + ".tables")
    prepare_tables(plan, tables, progress=progress)
    sources = make_sources(plan, tables, device=where)
    pool = PairPool(sources, plan.training, first=plan.first_pair, device=where)
    run_training(
        state,
        pool,
        checkpoint=checkpoint,
        checkpoint_every=checkpoint_every,
        time_limit=time_limit,
        progress=progress,
        devices=devices,
    )
    if not is_first_process():
        # One of several that train together: the first finishes.
        return
    if state.step < plan.training.steps:
        if not quiet:
            click.echo(
                f"Stopped after step {state.step} of {plan.training.steps}; --resume goes on."
            )
        return
    card = {
        "command": f"picasssso train {recipe.name}",
        "recipe": plan.to_dict(),
        "pairs_seen": state.step * plan.training.batch_size,
    }
    calibrating = make_sources(plan, tables, device=where, calibration=True)
    model = finish_training(
        state, calibrating, known=sources, galaxies=galaxies, card=card, progress=progress
    )
    written = write_weights(output, model, overwrite=overwrite)
    if not quiet:
        click.echo(f"Written: {output}.safetensors and .json ({written['sha256'][:12]})")
