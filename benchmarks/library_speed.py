"""Measure how long a model library takes to build.

The default library (50,000 models, five SDSS bands) is built in a fresh process three times
over: first of all (reading the grid, importing SciPy and speclite), again with another seed
(nothing cached but the grid), and at near redshifts (the photometry alone). Then the SED fit is
made ready at near redshifts, and the ratio of seconds of a core taken, which hardly depends on
what else the machine does: a new redshift to all that is made for the first one.
"""

from __future__ import annotations

import json
import os
import statistics

from records import in_fresh_process, options_of, record

#: Longest that a library may take on two cores, seconds ("a few seconds").
BAR = 5.0

BANDS = [f"sdss2010-{band}" for band in "ugriz"]

CODE = """
import json, sys
from time import perf_counter, process_time

n_models, bands = json.loads(sys.argv[1])
seconds = {}


def measure(name, **arguments):
    start, busy = perf_counter(), process_time()
    from picasssso.sps import ModelLibrary

    library = ModelLibrary.build(bands, n_models=n_models, **arguments)
    assert library.n_models == n_models
    seconds[name] = (perf_counter() - start, process_time() - busy)


measure("first", redshift=0.05)
measure("new_draw", redshift=0.05, seed=1)
for k in range(3):
    measure(f"new_redshift_{k}", redshift=0.0505 + 1e-4 * k, seed=1)
measure("two_component", redshift=0.0505, seed=1, attenuation_law="two_component")


def measure_fit(name, redshift):
    from picasssso import SEDFitEstimator
    from picasssso.testing import make_galaxy

    images = make_galaxy((2, 2), bands=bands).replace(redshift=redshift)
    start, busy = perf_counter(), process_time()
    estimator = SEDFitEstimator(n_models=n_models, seed=2, device="cpu")
    estimator.estimate(images)
    seconds[name] = (perf_counter() - start, process_time() - busy)


measure_fit("fit_first", 0.05)
for k in range(3):
    measure_fit(f"fit_new_redshift_{k}", 0.0502 + 1e-4 * k)
measure_fit("fit_again", 0.0502)
print(json.dumps(seconds))
"""


def main() -> None:
    """Measure, print and write the result."""
    options = options_of(__doc__, n_models=50_000, repetitions=5)
    arguments = json.dumps([options.n_models, BANDS])
    runs = [in_fresh_process(CODE, arguments) for _ in range(options.repetitions)]

    def median(name: str, which: int) -> float:
        return statistics.median(run[name][which] for run in runs)

    result = {
        "n_models": options.n_models,
        "bands": BANDS,
        "wall_s": {name: median(name, 0) for name in runs[0]},
        # Other work on the machine lengthens the wall clock, never shortens it.
        "wall_best_s": {name: min(run[name][0] for run in runs) for name in runs[0]},
        "cpu_s": {name: median(name, 1) for name in runs[0]},
        "bar_s": BAR,
        "new_redshift_over_first": round(
            (median("fit_new_redshift_1", 1) - median("fit_again", 1)) / median("fit_first", 1), 3
        ),
        "new_redshift_bar_cpu_s": 0.05,
        "repetitions": options.repetitions,
        "load_before_1min": os.getloadavg()[0],
    }
    record("library_speed.json", result)


if __name__ == "__main__":
    main()
