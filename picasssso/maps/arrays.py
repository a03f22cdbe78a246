"""What maps are made of: percentiles of each pixel's posterior, as plain arrays.

Estimators fill `PropertyArrays`; `picasssso.PropertyMaps` holds them. Units stand with the
property's definition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

#: The percentiles that every map stores, in this order.
PERCENTILES = (2.5, 16.0, 50.0, 84.0, 97.5)

#: Where these lie on the standard normal distribution.
NORMAL_SCORES = tuple(NormalDist().inv_cdf(q / 100) for q in PERCENTILES)


@dataclass(frozen=True)
class PropertyArrays:
    """Estimates of one property on a pixel grid, in the property's unit.

    Parameters
    ----------
    percentiles : ndarray, shape (5, y, x)
        The 2.5, 16, 50, 84 and 97.5 % points of the posterior; NaN where not estimated.
    mean : ndarray, shape (y, x), optional
        An estimate whose sum over pixels is unbiased. Required for surface densities.
    samples : ndarray, shape (n, y, x), optional
        Joint posterior samples: sample k of every property and pixel belong together.
    quality : ndarray of int32, shape (y, x), optional
        Bits of `picasssso.quality.QualityFlag`.
    shared : ndarray, shape (y, x), optional
        Change of each pixel for one standard deviation of the error that all pixels have in
        common. The percentiles and samples include it.

    Raises
    ------
    InvalidInputError
        If the shapes are inconsistent.

    See Also
    --------
    PropertyArrays.from_normal, PropertyArrays.from_samples : Compute them from a posterior.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.maps import PropertyArrays
    >>> arrays = PropertyArrays.from_normal(np.full((4, 5), 2e8), 1e7)
    >>> arrays.percentiles.shape
    (5, 4, 5)
    """

    percentiles: npt.NDArray[np.floating]
    mean: npt.NDArray[np.floating] | None = None
    samples: npt.NDArray[np.floating] | None = None
    quality: npt.NDArray[np.integer] | None = None
    shared: npt.NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        shape = np.shape(self.percentiles)
        if len(shape) != 3 or shape[0] != len(PERCENTILES):
            raise InvalidInputError(
                f"Percentiles have shape {shape}: expected ({len(PERCENTILES)}, y, x), one plane "
                f"for each of {PERCENTILES}."
            )
        for name in ("mean", "samples", "quality", "shared"):
            array = getattr(self, name)
            if array is None:
                continue
            expected = 3 if name == "samples" else 2
            if array.ndim != expected or array.shape[-2:] != shape[1:]:
                raise InvalidInputError(
                    f"{name} has shape {array.shape}: expected "
                    f"{'(n, y, x)' if expected == 3 else '(y, x)'} with (y, x) = {shape[1:]}."
                )

    def _mapped(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> PropertyArrays:
        """Return the arrays with all that are there changed."""
        held = {name: array for name, array in vars(self).items() if array is not None}
        return PropertyArrays(**{name: change(array) for name, array in held.items()})

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of the pixel grid."""
        return self.percentiles.shape[1], self.percentiles.shape[2]

    @classmethod
    def from_normal(
        cls,
        mean: npt.ArrayLike,
        standard_deviation: npt.ArrayLike,
        *,
        samples: npt.NDArray[np.floating] | None = None,
        quality: npt.NDArray[np.integer] | None = None,
        shared: npt.NDArray[np.floating] | None = None,
    ) -> PropertyArrays:
        """Return the arrays of normal posteriors.

        Parameters
        ----------
        mean : array-like, shape (y, x)
            Means, which are also the medians.
        standard_deviation : array-like, shape (y, x) or ()
            Standard deviations, in the same unit. Pixels where it or the mean is not finite are
            not estimated, and NaN in all planes.
        samples, quality, shared : ndarray, optional
            As for `PropertyArrays`.

        Returns
        -------
        PropertyArrays
            Percentiles and mean, float32 if both arguments are, else float64.

        Raises
        ------
        InvalidInputError
            If the mean is no plane, the shapes differ, or a standard deviation is negative.

        Examples
        --------
        >>> import numpy as np
        >>> from picasssso.maps import PropertyArrays
        >>> arrays = PropertyArrays.from_normal(np.array([[2e8, 1e8]]), np.array([[2e7, np.inf]]))
        >>> print(arrays.percentiles[[1, 2, 3], 0] / 1e8)
        [[1.8011   nan]
         [2.       nan]
         [2.1989   nan]]
        """
        center, width = np.asarray(mean), np.asarray(standard_deviation)
        if center.ndim != 2 or width.shape not in ((), center.shape):
            raise InvalidInputError(
                f"Found a mean of shape {center.shape} and a standard deviation of shape "
                f"{width.shape}: expected a mean of shape (y, x), and one number or a plane of "
                "the same shape for its standard deviation."
            )
        if (width < 0).any():
            raise InvalidInputError(
                f"Found a standard deviation of {np.nanmin(width):g}: expected none below 0."
            )
        single = {center.dtype, width.dtype} == {np.dtype(np.float32)} or (
            center.dtype == np.float32 and not width.ndim
        )
        known = np.isfinite(center) & np.isfinite(width)
        center = np.where(known, center, np.nan).astype(np.float32 if single else np.float64)
        width = np.where(known, width, np.nan).astype(center.dtype)
        scores = np.array(NORMAL_SCORES, center.dtype)[:, None, None]
        return cls(center + scores * width, center, samples, quality, shared)

    @classmethod
    def from_samples(
        cls,
        samples: npt.ArrayLike,
        *,
        mean: npt.NDArray[np.floating] | None = None,
        keep_samples: bool = False,
        quality: npt.NDArray[np.integer] | None = None,
        shared: npt.NDArray[np.floating] | None = None,
    ) -> PropertyArrays:
        """Return the arrays of posteriors given by samples.

        Parameters
        ----------
        samples : array-like, shape (n, y, x)
            Draws from the posterior of each pixel; a pixel with any NaN is not estimated.
        mean : ndarray, shape (y, x), optional
            An estimate whose sum over pixels is unbiased; that of the samples by default.
        keep_samples : bool, optional
            Whether the samples are kept as joint samples of all properties: only if sample k of
            every property and pixel belong together.
        quality, shared : ndarray, optional
            As for `PropertyArrays`.

        Returns
        -------
        PropertyArrays
            Percentiles, linear between samples, and mean, in the precision of the samples.

        Raises
        ------
        InvalidInputError
            If there are no samples, or not of shape (n, y, x).

        Examples
        --------
        >>> import numpy as np
        >>> from picasssso.maps import PropertyArrays
        >>> draws = np.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None, None]
        >>> arrays = PropertyArrays.from_samples(draws, keep_samples=True)
        >>> print(arrays.percentiles[:, 0, 0], arrays.samples.shape)
        [1.1  1.64 3.   4.36 4.9 ] (5, 1, 1)
        """
        draws = np.asarray(samples)
        if draws.ndim != 3 or not len(draws):
            raise InvalidInputError(
                f"Samples have shape {draws.shape}: expected (n, y, x) with at least one of them."
            )
        dtype = np.float32 if draws.dtype == np.float32 else np.float64
        draws = draws.astype(dtype, copy=False)
        percentiles = np.percentile(draws, PERCENTILES, axis=0).astype(dtype)
        if mean is None:
            mean = draws.mean(axis=0, dtype=np.float64).astype(dtype)
        return cls(percentiles, mean, draws if keep_samples else None, quality, shared)
