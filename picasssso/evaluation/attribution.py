"""Attribution of predictions to color and morphology, and the receptive field of a network.

Color and morphology are removed one by one from the same images:

- *without morphology*, pixels of similar brightness are exchanged, all bands together, so that
  each keeps its fluxes but not its surroundings;
- *without color*, only one band is used;
- *without both*, the pixels of that one band are exchanged: only brightness remains.

The effective receptive field is measured by masking everything beyond a distance from a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

if TYPE_CHECKING:
    from astropy.table import QTable

    from picasssso.bands import BandImages
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.estimators.cnn import CNNEstimator
    from picasssso.maps import PropertyMaps

__all__ = ["attribute"]

FloatArray = npt.NDArray[np.floating]

#: What is left of the images.
VARIANTS = ("color and morphology", "color", "morphology", "neither")

#: Pixels in a row of brightness that change places with each other.
_GROUP = 50


@dataclass(frozen=True)
class Attribution:
    """Maps with and without color and morphology, on their original pixels.

    ``medians``: arrays of shape (y, x) by variant (`VARIANTS`) and property, in the unit of the
    property; ``scatter``: scatter in dex, by variant and property, relative to the truth, or to
    the maps from unchanged images if no truth is given.
    """

    medians: dict[str, dict[str, FloatArray]]
    scatter: dict[str, dict[str, float]]
    bias: dict[str, dict[str, float]]
    band: str
    compared: npt.NDArray[np.bool_]

    def to_table(self) -> QTable:
        """Return the scatter in dex: a row for each property, a column for each variant."""
        import astropy.units as u
        from astropy.table import QTable

        names = list(self.scatter[VARIANTS[0]])
        columns: dict[str, Any] = {"property": names}
        for variant in VARIANTS:
            columns[variant] = [self.scatter[variant][name] for name in names] * u.dex
        return QTable(columns)


def attribute(
    estimator: PropertyMapEstimator,
    images: BandImages,
    *,
    truth: PropertyMaps | None = None,
    band: str | None = None,
    signal_to_noise: float = 3.0,
    seed: int = 0,
) -> Attribution:
    """Measure how much of a prediction is due to color and how much to morphology.

    Parameters
    ----------
    estimator : PropertyMapEstimator
        An estimator that works with a single band, such as `picasssso.CNNEstimator`.
    images : BandImages
        The images.
    truth : PropertyMaps, optional
        Truth to compare with; default: the maps from unchanged images.
    band : str, optional
        The band used for the variants without color; default: r, or the middle one.
    signal_to_noise : float, optional
        Minimum signal-to-noise ratio, of all bands combined, of pixels that are compared.
    seed : int, optional
        Seed for exchanging pixels.

    Returns
    -------
    Attribution
        The maps of each variant, and their scatter.

    Raises
    ------
    InvalidInputError
        If no pixel reaches ``signal_to_noise``.

    Examples
    --------
    Pixels each for themselves do not care where they are:

    >>> import numpy as np
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.evaluation.attribution import shuffle_pixels
    >>> from picasssso.testing import make_galaxy
    >>> images = make_galaxy((20, 20))
    >>> shuffled, order = shuffle_pixels(images, seed=1)
    >>> estimator = MassToLightEstimator(color_mode="pixel")
    >>> before = estimator.estimate(images)["stellar_mass"].data
    >>> after = estimator.estimate(shuffled)["stellar_mass"].data
    >>> np.allclose(after.flat[order].reshape(before.shape), before, rtol=1e-4, equal_nan=True)
    True
    """
    if band is None:
        letters = [name.rpartition("-")[2][:1] for name in images.bands]
        band = images.bands[letters.index("r") if "r" in letters else len(letters) // 2]
    single = images.select([band])
    shuffled, order = shuffle_pixels(images, seed=seed)
    variants = {
        VARIANTS[0]: (images, None),
        VARIANTS[1]: (shuffled, order),
        VARIANTS[2]: (single, None),
        VARIANTS[3]: (shuffled.select([band]), order),
    }
    medians: dict[str, dict[str, FloatArray]] = {}
    for variant, (seen, moved) in variants.items():
        maps = estimator.estimate(seen, progress=False)
        medians[variant] = {name: _unmoved(maps[name].data, moved) for name in maps}
    compared = _signal(images) >= signal_to_noise
    if not compared.any():
        raise InvalidInputError(
            f"No pixel reaches the signal-to-noise ratio {signal_to_noise:g}: lower "
            "signal_to_noise=."
        )
    known = medians[VARIANTS[0]]
    if truth is not None:
        known = {name: truth[name].data for name in known if name in truth}
    scatter: dict[str, dict[str, float]] = {}
    bias: dict[str, dict[str, float]] = {}
    for variant, found in medians.items():
        scatter[variant], bias[variant] = {}, {}
        for name, right in known.items():
            middle, half = _log_residual(found[name], right, compared)
            bias[variant][name], scatter[variant][name] = middle, half
    return Attribution(medians, scatter, bias, band, compared)


def _unmoved(values: FloatArray, order: npt.NDArray[np.int64] | None) -> FloatArray:
    values = np.asarray(values)
    return values if order is None else values.flat[order].reshape(values.shape)


def _log_residual(
    found: FloatArray, known: FloatArray, where: npt.NDArray[np.bool_]
) -> tuple[float, float]:
    """Return median and half the 16-84 range of log10 found over known; NaN without pixels."""
    used = where & (found > 0) & (known > 0) & np.isfinite(found) & np.isfinite(known)
    if not used.any():
        return float("nan"), float("nan")
    residual = np.log10(found[used].astype(float) / known[used].astype(float))
    low, middle, high = np.percentile(residual, (16, 50, 84))
    return float(middle), float(high - low) / 2


def _signal(images: BandImages) -> FloatArray:
    """Return the signal-to-noise ratio of all bands together."""
    flux, weight = images.to_arrays()
    total = weight.sum(0)
    return (flux * weight).sum(0) / np.sqrt(np.where(total > 0, total, np.inf))


def shuffle_pixels(
    images: BandImages, *, seed: int = 0
) -> tuple[BandImages, npt.NDArray[np.int64]]:
    """Exchange pixels of similar brightness; ``values.flat[order]`` restores their order."""
    flux, weight = images.to_arrays()
    shape = images.shape
    signal = _signal(images).ravel()
    movable = np.flatnonzero((weight > 0).all(0).ravel())
    ranked = movable[np.argsort(signal[movable], kind="stable")]
    rng = np.random.default_rng(seed)
    source = np.arange(signal.size)
    for start in range(0, ranked.size, _GROUP):
        group = ranked[start : start + _GROUP]
        source[group] = rng.permutation(group)
    moved = _rebuilt(
        images,
        flux.reshape(len(flux), -1)[:, source].reshape(-1, *shape),
        weight.reshape(len(weight), -1)[:, source].reshape(-1, *shape),
    )
    order = np.empty_like(source)
    order[source] = np.arange(source.size)
    return moved, order


def _rebuilt(images: BandImages, flux: FloatArray, weight: FloatArray) -> BandImages:
    """Return images with changed pixels and otherwise unchanged."""
    import astropy.units as u
    from astropy.nddata import NDData, StdDevUncertainty

    planes = {}
    for k, band in enumerate(images.bands):
        bad = weight[k] <= 0
        sigma = 1.0 / np.sqrt(np.where(bad, 1.0, weight[k]))
        planes[band] = NDData(flux[k], unit=u.nmgy, mask=bad, uncertainty=StdDevUncertainty(sigma))
    return images.with_planes(planes)


@dataclass(frozen=True)
class Sight:
    """Change of predictions when everything beyond a distance is masked.

    ``radii``: distances in pixels, along an axis; ``change``: for each property, rms change of
    log10 of the median at each distance, dex; ``n_pixels``: how many pixels were looked at.
    """

    radii: tuple[int, ...]
    change: dict[str, list[float]]
    n_pixels: int


def measure_sight(
    estimator: CNNEstimator,
    images: BandImages,
    *,
    radii: Sequence[int] = (0, 1, 2, 4, 8, 16, 32),
    n_pixels: int = 24,
    signal_to_noise: float = 3.0,
    seed: int = 0,
) -> Sight:
    """Measure the effective receptive field of a network.

    Since the network was not trained on pixels with masked surroundings, the changes are upper
    limits to the influence of what lies beyond a distance.

    ``radii``: distances in pixels beyond which everything is masked; ``n_pixels``: number of
    pixels, drawn at random from those that are bright enough.
    """
    reach, stride = estimator.receptive_field, estimator.stride
    if reach is None:
        raise InvalidInputError(
            "Every output pixel of this network depends on the whole image: its receptive field "
            "is unbounded."
        )
    bright = np.argwhere(_signal(images) >= signal_to_noise)
    if not len(bright):
        raise InvalidInputError(
            f"No pixel reaches the signal-to-noise ratio {signal_to_noise:g}: lower "
            "signal_to_noise=."
        )
    rng = np.random.default_rng(seed)
    chosen = bright[rng.permutation(len(bright))[:n_pixels]]
    cutouts, places = [], []
    for y, x in chosen:
        # On the network's grid, so that the pixel is seen as in the whole image.
        top, left = (max(int(k) - reach, 0) // stride * stride for k in (y, x))
        part = images[top : int(y) + reach + 1, left : int(x) + reach + 1]
        place = (int(y) - top, int(x) - left)
        flux, weight = part.to_arrays()
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        distance = np.maximum(np.abs(rows - place[0]), np.abs(columns - place[1]))
        cutouts.append(part)
        for radius in radii:
            near = distance <= radius
            cutouts.append(_rebuilt(part, flux * near, weight * near))
        places += [place] * (1 + len(radii))
    answers = estimator.estimate_many(cutouts, progress=False)
    change = {}
    for name in answers[0]:
        values = np.array([m[name].data[at] for m, at in zip(answers, places, strict=True)])
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log10(values).reshape(len(chosen), -1)
            moved = logs[:, 1:] - logs[:, :1]
        there = np.isfinite(moved)
        square = np.where(there, moved, 0.0) ** 2
        count = np.maximum(there.sum(0), 1)
        change[name] = np.sqrt(square.sum(0) / count).tolist()
    return Sight(tuple(int(radius) for radius in radii), change, len(chosen))
