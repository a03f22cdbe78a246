"""Estimators on real galaxies whose properties others have measured.

`load_real_configuration` reads what is to be measured, `run_real` measures what is not
measured yet, and `collect_real` compares it with the published values. The command is
``picasssso evaluate CONFIG.toml --data FOLDER``.
"""

from picasssso.evaluation.real.catalogues import GalaxyCatalogue
from picasssso.evaluation.real.comparison import compare_values, log10_positive
from picasssso.evaluation.real.configuration import (
    RealConfiguration,
    is_real,
    load_real_configuration,
)
from picasssso.evaluation.real.estimating import RealEstimator, describe_region
from picasssso.evaluation.real.fields import Field, move_to_redshift
from picasssso.evaluation.real.galaxies import (
    estimate_galaxies,
    galaxy_figures,
    paint_catalogue_galaxy,
    total_light,
)
from picasssso.evaluation.real.named import estimate_named, named_figures
from picasssso.evaluation.real.painting import (
    GalaxyProfile,
    PaintedGalaxy,
    major_axis_factor,
    observe_profile,
    paint_profile,
)
from picasssso.evaluation.real.results import write_real
from picasssso.evaluation.real.rings import estimate_rings, read_rings, ring_figures
from picasssso.evaluation.real.running import collect_real, run_real
from picasssso.evaluation.real.truths import compare_truths

__all__ = [
    "Field",
    "GalaxyCatalogue",
    "GalaxyProfile",
    "PaintedGalaxy",
    "RealConfiguration",
    "RealEstimator",
    "collect_real",
    "compare_truths",
    "compare_values",
    "describe_region",
    "estimate_galaxies",
    "estimate_named",
    "estimate_rings",
    "galaxy_figures",
    "is_real",
    "load_real_configuration",
    "log10_positive",
    "major_axis_factor",
    "move_to_redshift",
    "named_figures",
    "observe_profile",
    "paint_catalogue_galaxy",
    "paint_profile",
    "read_rings",
    "ring_figures",
    "run_real",
    "total_light",
    "write_real",
]
