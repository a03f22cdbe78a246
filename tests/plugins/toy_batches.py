"""A make-believe network for experiments: a function of batches."""

import numpy as np

from picasssso.evaluation.experiments.batch_estimates import BatchEstimate
from picasssso.evaluation.stacks import MapStack
from picasssso.evaluation.sums import aperture_values, normal_percentiles

#: Names of what the last batch held, and its bands.
SEEN = {}


def make(*, factor=1.0, error=0.1):
    """Return a function that paints ``factor`` times the flux of the last band as mass."""

    def estimate(batch, bands):
        SEEN.update(names=set(batch), bands=bands)
        mass = 1e8 * factor * batch["flux"][:, -1].numpy()
        maps = MapStack({"stellar_mass": mass}, {"stellar_mass": normal_percentiles(
            mass, error * np.abs(mass))})  # fmt: skip

        def sums(apertures, radius, pixel_area):
            total = aperture_values(maps, apertures.weights(radius), pixel_area=pixel_area)
            mass = total["stellar_mass"]
            return {"stellar_mass": normal_percentiles(mass, error * np.abs(mass))}

        return BatchEstimate(maps, sums)

    return estimate


def broken(**parameters):
    """Cannot be made."""
    from picasssso.exceptions import InvalidInputError

    raise InvalidInputError("there are no weights")
