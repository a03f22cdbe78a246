"""The training loop in plain torch: steps, checkpoints, progress."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from picasssso.training.batches import PairPool
from picasssso.training.state import TrainingState


def run_training(
    state: TrainingState,
    pool: PairPool,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 120.0,
    time_limit: float | None = None,
    progress: bool = True,
    report: Callable[[int, float], None] | None = None,
    report_every: int = 100,
) -> TrainingState:
    """Train until the configuration's number of steps is done.

    Parameters
    ----------
    state : TrainingState
        New, or from a checkpoint: it goes on where it stopped.
    pool : PairPool
        Where the batches come from.
    checkpoint : str or path-like, optional
        File to save the state in, every so often and at the end.
    checkpoint_every : float, optional
        Seconds between two checkpoints.
    time_limit : float, optional
        Seconds after which to stop early; the checkpoint allows going on.
    progress : bool, optional
        Whether to show a progress bar on stderr.
    report : callable, optional
        Called with the step and the mean loss since the last call.
    report_every : int, optional
        Steps between two calls.

    Returns
    -------
    TrainingState
        The same, further on.
    """
    from tqdm import tqdm

    start = saved = time.monotonic()
    losses = []
    remaining = range(state.step, state.config.steps)
    batches = pool.batches(state.step)
    with tqdm(total=len(remaining), disable=not progress, unit="step") as bar:
        try:
            for _ in remaining:
                losses.append(state.train_step(next(batches)))
                bar.update()
                if len(losses) == report_every:
                    # Only now is the device waited for.
                    mean = float(sum(losses)) / len(losses)
                    losses.clear()
                    bar.set_postfix(loss=f"{mean:.4f}")
                    if report is not None:
                        report(state.step, mean)
                now = time.monotonic()
                if checkpoint is not None and now - saved > checkpoint_every:
                    state.save(Path(checkpoint))
                    saved = now
                if time_limit is not None and now - start > time_limit:
                    break
        finally:
            # Also when interrupted, unless in the midst of moving weights.
            if checkpoint is not None and state.is_whole:
                state.save(Path(checkpoint))
    return state
