"""Measure what ``import picasssso`` adds to importing Astropy.

Fresh interpreters run with and without picasssso in turn, so that a slow moment of the
machine hits both; the difference of the medians is given, of the time on the clock and of
that on the CPU, which other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

import astropy
from records import record

#: Most that the import may add, seconds.
BAR = 0.2

STATEMENTS = {
    "astropy": "import astropy.nddata, astropy.wcs",
    "picasssso": "import astropy.nddata, astropy.wcs, picasssso",
    "names": "from picasssso import BandImages, PropertyMaps, MassToLightEstimator",
}


def time_statement(statement: str) -> tuple[float, float]:
    """Return the seconds that a statement takes in a fresh interpreter: clock and CPU."""
    code = (
        "from time import perf_counter, process_time\n"
        f"start = perf_counter(), process_time()\n{statement}\n"
        "print(perf_counter() - start[0], process_time() - start[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    clock, cpu = map(float, result.stdout.split())
    return clock, cpu


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=15)
    repetitions = parser.parse_args().repetitions

    for statement in STATEMENTS.values():  # fill the caches of the disk and of bytecode
        time_statement(statement)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in STATEMENTS}
    for _ in range(repetitions):
        for name, statement in STATEMENTS.items():
            seconds[name].append(time_statement(statement))
    median, cpu = (
        {name: statistics.median(value[k] for value in values) for name, values in seconds.items()}
        for k in (0, 1)
    )

    result = {
        "import_astropy_s": median["astropy"],
        "import_picasssso_adds_s": median["picasssso"] - median["astropy"],
        "public_names_add_s": median["names"] - median["astropy"],
        "import_astropy_cpu_s": cpu["astropy"],
        "import_picasssso_adds_cpu_s": cpu["picasssso"] - cpu["astropy"],
        "public_names_add_cpu_s": cpu["names"] - cpu["astropy"],
        "load_average": os.getloadavg()[0],
        "bar_s": BAR,
        "repetitions": repetitions,
        "astropy": astropy.__version__,
    }
    record("import_time.json", result)


if __name__ == "__main__":
    main()
