"""The neighborhood in which a color is measured.

A color taken pixel by pixel explodes where the noise is large, and the mass with it.
Here the fluxes of a pixel are summed with those of its neighbors in a growing square
until their color is as certain as asked for. Sums, not weighted means of colors: a
mean of noisy colors is biased, a ratio of sums far less. The sums are direct ones over
integer squares, so that a result depends, to the last bit, on the pixels inside the
square only: neither on where a block starts nor on what lies beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

#: 2.5 / ln 10: magnitudes in a natural logarithm.
MAG = 2.5 / np.log(10)


@dataclass(frozen=True)
class ColorFluxes:
    """Fluxes to take colors from, one set for each pixel.

    ``radius``: half-width of the square, 0 for the pixel itself; ``includes_own``: whether the
    pixel's own flux is part of the sum; ``empty``: whether there is no valid pixel in the square
    at all.
    """

    flux: FloatArray
    variance: FloatArray
    radius: npt.NDArray[np.integer]
    reached: npt.NDArray[np.bool_]
    includes_own: npt.NDArray[np.bool_]
    empty: npt.NDArray[np.bool_]


def radii(maximum: int) -> tuple[int, ...]:
    """Return the half-widths tried, each about the square root of two of the last."""
    steps: list[int] = []
    while not steps or steps[-1] < maximum:
        last = steps[-1] if steps else 0
        steps.append(min(max(last + 1, round(last * 2**0.5)), maximum))
    return tuple(steps)


def sums_within(planes: FloatArray, radius: int) -> FloatArray:
    """Sum planes over the square around each pixel."""
    from scipy.ndimage import correlate1d

    # Not uniform_filter1d: its running sum carries what it met earlier along the row.
    ones = np.ones(2 * radius + 1)
    along_x = correlate1d(planes, ones, axis=2, mode="constant", cval=0.0)
    return correlate1d(along_x, ones, axis=1, mode="constant", cval=0.0)


def color_error(flux: FloatArray, variance: FloatArray, pair: tuple[int, int]) -> FloatArray:
    """Return the error of a color, infinite where a flux is not positive. Returns in mag."""
    error = np.zeros(flux.shape[1:])
    for index in pair:
        positive = flux[index] > 0
        safe = np.where(positive, flux[index], 1.0)
        error += np.where(positive, variance[index] / safe**2, np.inf)
    return MAG * np.sqrt(error)


def measure_colors(
    flux: FloatArray,
    variance: FloatArray,
    valid: npt.NDArray[np.bool_],
    pair: tuple[int, int],
    maximum_error: float,
    maximum_radius: int,
) -> ColorFluxes:
    """Grow each pixel's neighborhood until its color is certain enough.

    ``flux, variance``: fluxes per pixel and their variances; ``maximum_error``: error of that
    color to reach, mag; ``maximum_radius``: half-width at which to give up; 0 takes every pixel
    for itself; returns where the error is not reached, the fluxes are those of the largest
    square without the pixel itself, whose own noise would otherwise correlate its color with
    its luminosity.
    """
    own = np.concatenate([np.where(valid, flux, 0.0), np.where(valid, variance, 0.0)])
    n_bands = len(flux)
    best = own.copy()
    reached = valid & (color_error(own[:n_bands], own[n_bands:], pair) <= maximum_error)
    radius = np.zeros(valid.shape, np.int32)
    empty, includes_own = ~valid, valid.copy()
    for step in radii(maximum_radius) if maximum_radius else ():
        if reached.all():
            break
        here = ~reached
        best[:, here] = sums_within(own, step)[:, here]
        radius[here] = step
        reached |= color_error(best[:n_bands], best[n_bands:], pair) <= maximum_error
    if not reached.all() and maximum_radius:
        number = sums_within(valid[None].astype(float), maximum_radius)[0]
        empty = number == 0
        given_up = ~reached & valid & (number > 1)
        best[:, given_up] -= own[:, given_up]
        includes_own &= ~given_up
    else:
        empty &= ~reached
    return ColorFluxes(best[:n_bands], best[n_bands:], radius, reached, includes_own, empty)


def resum(flux: FloatArray, valid: npt.NDArray[np.bool_], colors: ColorFluxes) -> FloatArray:
    """Sum other fluxes per pixel over the neighborhoods that were chosen before."""
    own = np.where(valid, flux, 0.0)
    sums = own.copy()
    for step in np.unique(colors.radius):
        if step:
            here = colors.radius == step
            sums[:, here] = sums_within(own, int(step))[:, here]
    without = valid & ~colors.includes_own
    sums[:, without] -= own[:, without]
    return sums
