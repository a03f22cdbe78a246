"""Experiments: estimators applied to many galaxies, from one configuration.

`load_configuration` reads the configuration, `run_experiments` runs what has not been run yet, and
`write_results` writes the JSON, the tables and the pictures. The command is ``picasssso
evaluate``.
"""

from picasssso.evaluation.experiments.configuration import load_configuration
from picasssso.evaluation.experiments.experiment_runs import run_experiments

__all__ = ["load_configuration", "run_experiments"]
