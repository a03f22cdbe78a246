"""How much slower estimates get beside each other and on a busy machine, with default threads.

The same estimate of 64 x 64 pixels in processes of their own: alone, two at once, and beside two
and six processes that never wait. On two cores, six of them leave a quarter of the machine, so
that anything takes at least four times as long. Run it on a machine that is otherwise idle::

    python benchmarks/busy_machine.py [--estimators sed_fit cnn]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from records import in_fresh_process, options_of, record

#: A small estimate first, as tables and weights are read once.
CODE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
from picasssso.data import load_example
from picasssso.estimators import get_estimator
images = load_example()[0][:64, :64]
estimator = get_estimator(sys.argv[1])()
estimator.estimate(images[:16, :16])
started = time.perf_counter()
estimator.estimate(images)
print(json.dumps(time.perf_counter() - started))
"""


def main() -> None:
    """Measure and write the result."""
    result: dict[str, Any] = {"load_before": os.getloadavg()[0]}
    for name in options_of(__doc__, estimators=["sed_fit", "cnn"]).estimators:
        alone = seconds(name)
        result[name] = {
            "alone_s": alone,
            "two_at_once": seconds(name, at_once=2) / alone,
            "beside_two_busy": seconds(name, busy=2) / alone,
            "beside_six_busy": seconds(name, busy=6) / alone,
        }
    record("busy_machine.json", result)


def seconds(name: str, at_once: int = 1, busy: int = 0) -> float:
    """Return the median of three times of an estimate; of several at once, of the slowest."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        with ThreadPoolExecutor(at_once) as pool:
            rounds = [
                max(pool.map(lambda _: in_fresh_process(CODE, name), range(at_once)))
                for _ in range(3)
            ]
    finally:
        for one in others:
            one.kill()
            one.wait()
    return statistics.median(rounds)


if __name__ == "__main__":
    main()
