"""Estimators that workers of a Dask cluster can import, for tests of survey runs."""

import os
import signal
import time
from pathlib import Path

from picasssso.estimators import EstimatorTags, PropertyMapEstimator
from picasssso.maps import PropertyArrays

#: What a worker does not give back.
KEPT = []


class Quick(PropertyMapEstimator):
    """Mass is flux. Notes galaxies seen; fails, dies, hangs or eats where told to."""

    tags = EstimatorTags(properties=("stellar_mass",))

    def __init__(
        self, *, seen=None, deadly=(), wrong=(), hungry=(), hanging=(), leak=0, seconds=0.0
    ):
        self.seen, self.deadly, self.wrong, self.seconds = seen, deadly, wrong, seconds
        self.hungry, self.hanging, self.leak = hungry, hanging, leak

    def _select_bands(self, available):
        return tuple(available)[:1]

    def _estimate(self, flux, inverse_variance, context):
        redshift = round(context.redshift, 6)
        if self.seen is not None:
            with (Path(self.seen) / f"{redshift}").open("a") as file:
                file.write("x")
        if redshift in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        while redshift in self.hungry:
            KEPT.append(bytearray(b"x") * 50_000_000)
            time.sleep(0.02)
        while redshift in self.hanging:
            time.sleep(0.1)
        while len(KEPT) < self.leak:
            KEPT.append(bytearray(b"x") * 50_000_000)
        if redshift in self.wrong:
            raise RuntimeError("an estimator's\nown mistake")
        time.sleep(self.seconds)
        sigma = (inverse_variance[0] + 1e-30) ** -0.5
        return {"stellar_mass": PropertyArrays.from_normal(1e6 * flux[0], 1e6 * sigma)}
