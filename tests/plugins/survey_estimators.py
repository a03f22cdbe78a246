"""Estimators that workers of a Dask cluster can import, for tests of survey runs."""

import os
import signal
import time
from pathlib import Path

from picasssso.estimators import EstimatorTags, PropertyMapEstimator
from picasssso.maps import PropertyArrays


class Quick(PropertyMapEstimator):
    """Mass is flux. Notes each galaxy it has seen, and fails or dies where it is told to."""

    tags = EstimatorTags(properties=("stellar_mass",))

    def __init__(self, *, seen=None, deadly=(), wrong=(), seconds=0.0):
        self.seen, self.deadly, self.wrong, self.seconds = seen, deadly, wrong, seconds

    def _select_bands(self, available):
        return tuple(available)[:1]

    def _estimate(self, flux, inverse_variance, context):
        redshift = round(context.redshift, 6)
        if self.seen is not None:
            with (Path(self.seen) / f"{redshift}").open("a") as file:
                file.write("x")
        if redshift in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if redshift in self.wrong:
            raise RuntimeError("an estimator's\nown mistake")
        time.sleep(self.seconds)
        sigma = (inverse_variance[0] + 1e-30) ** -0.5
        return {"stellar_mass": PropertyArrays.from_normal(1e6 * flux[0], 1e6 * sigma)}
