"""How good maps are: against a truth, whatever made them.

`compare_maps` takes pairs of `~picasssso.maps.PropertyMaps`; `compare_estimates` two estimates
neither of which is the truth. For thousands of
galaxies there are plain arrays, `MapStack`, and one function for each measure.
"""

from picasssso.evaluation.agreement import Agreement, compare_estimates, disagreements
from picasssso.evaluation.apertures import Apertures, fit_apertures
from picasssso.evaluation.calibration import (
    EXPECTED_RANKS,
    Calibration,
    binned_calibration,
    calibration,
    rank_intervals,
    sample_ranks,
)
from picasssso.evaluation.evaluation import Evaluation, check_comparable, compare_maps
from picasssso.evaluation.gradients import radial_gradients
from picasssso.evaluation.measuring import Settings, join_records, measure
from picasssso.evaluation.residuals import (
    ResidualStatistics,
    binned_statistics,
    residual_statistics,
    residuals,
    scatter_ratio,
)
from picasssso.evaluation.stacks import DERIVED, MapStack
from picasssso.evaluation.structure import PowerSpectra, power_spectra, structural_similarity
from picasssso.evaluation.summary import Bins, summarise
from picasssso.evaluation.sums import (
    RADIAL_EDGES,
    aperture_values,
    normal_percentiles,
    radial_profiles,
)

__all__ = [
    "DERIVED",
    "EXPECTED_RANKS",
    "RADIAL_EDGES",
    "Agreement",
    "Apertures",
    "Bins",
    "Calibration",
    "Evaluation",
    "MapStack",
    "PowerSpectra",
    "ResidualStatistics",
    "Settings",
    "aperture_values",
    "binned_calibration",
    "binned_statistics",
    "calibration",
    "check_comparable",
    "compare_estimates",
    "compare_maps",
    "disagreements",
    "fit_apertures",
    "join_records",
    "measure",
    "normal_percentiles",
    "power_spectra",
    "radial_gradients",
    "radial_profiles",
    "rank_intervals",
    "residual_statistics",
    "residuals",
    "sample_ranks",
    "scatter_ratio",
    "structural_similarity",
    "summarise",
]
