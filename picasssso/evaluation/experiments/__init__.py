"""Experiments: estimators over many galaxies, from one configuration.

`load_configuration` reads what is to be done, `run_experiments` does what is not done yet,
and `write_results` makes the JSON, the tables and the pictures. The command is
``picasssso evaluate``.
"""

from picasssso.evaluation.experiments.configuration import load_configuration
from picasssso.evaluation.experiments.running import run_experiments

__all__ = ["load_configuration", "run_experiments"]
