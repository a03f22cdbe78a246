"""Measure what ``import picasssso`` adds to importing Astropy, in CPU seconds.

Fresh interpreters run with and without picasssso in turn; the difference of the medians is
given. Other work on the machine changes CPU time less than the time on the clock.
"""

from __future__ import annotations

import os
import statistics

from records import in_fresh_process, record

#: Most that the import may add, seconds.
BAR = 0.2
REPETITIONS = 15
STATEMENTS = {
    "astropy": "import astropy.nddata, astropy.wcs",
    "picasssso": "import astropy.nddata, astropy.wcs, picasssso",
    "names": "from picasssso import BandImages, PropertyMaps, MassToLightEstimator",
}
CODE = """
from time import process_time
start = process_time()
{}
print(process_time() - start)
"""


def main() -> None:
    """Measure, print and write the result."""
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(REPETITIONS + 1):
        for name, statement in STATEMENTS.items():
            seconds[name].append(in_fresh_process(CODE.format(statement)))
    # The first round fills the caches of the disk and of bytecode.
    cpu = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    result = {
        "import_astropy_cpu_s": cpu["astropy"],
        "import_picasssso_adds_cpu_s": cpu["picasssso"] - cpu["astropy"],
        "public_names_add_cpu_s": cpu["names"] - cpu["astropy"],
        "load_average": os.getloadavg()[0],
        "bar_s": BAR,
        "repetitions": REPETITIONS,
    }
    record("import_time.json", result)


if __name__ == "__main__":
    main()
