"""Experiments: estimators over many galaxies, from one configuration.

`load_configuration` reads what is to be done, `run_experiments` does what is not done yet,
and `write_results` makes the JSON, the tables and the pictures. The command is
``picasssso evaluate``.
"""

from picasssso.evaluation.experiments.batches import BatchEstimate, estimate_with
from picasssso.evaluation.experiments.configuration import (
    Configuration,
    Run,
    load_configuration,
)
from picasssso.evaluation.experiments.results import write_results
from picasssso.evaluation.experiments.running import collect_figures, run_experiments

__all__ = [
    "BatchEstimate",
    "Configuration",
    "Run",
    "collect_figures",
    "estimate_with",
    "load_configuration",
    "run_experiments",
    "write_results",
]
