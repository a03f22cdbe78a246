"""How the noise of a sum of pixels grows with their number.

In resampled and survey images neighboring pixels share noise, so that the sum of n
pixels is noisier than sqrt(n) times one pixel (e.g. Casertano et al. 2000, AJ 120, 2747,
appendix A; Quadri et al. 2007, AJ 134, 1103, equation 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError


@dataclass(frozen=True)
class NoiseScaling:
    """Variance inflation of a sum over pixels, as a function of their number.

    The variance of the sum over n neighboring pixels of noise ``sigma`` is
    ``n * sigma**2 * inflation(n)``. White noise has an inflation of 1; fully correlated
    noise one of n. The table is interpolated linearly in the logarithms and held constant
    beyond its ends.

    Parameters
    ----------
    n_pixels : sequence of float
        Numbers of pixels, increasing, at least 1.
    variance_inflation : sequence of float
        Inflation of the variance at these numbers, positive.

    Raises
    ------
    InvalidInputError
        If the two differ in length, are empty, not finite, not increasing or not positive.

    Examples
    --------
    >>> from picasssso.bands import NoiseScaling
    >>> scaling = NoiseScaling([1, 100], [1.0, 4.0])
    >>> float(scaling(10))
    2.0
    >>> float(scaling(1e6))
    4.0
    """

    n_pixels: Sequence[float]
    variance_inflation: Sequence[float]

    def __post_init__(self) -> None:
        try:
            n_pixels = np.atleast_1d(np.asarray(self.n_pixels, dtype=float))
            inflation = np.atleast_1d(np.asarray(self.variance_inflation, dtype=float))
        except (TypeError, ValueError):
            raise InvalidInputError(
                f"Noise scaling: found n_pixels={self.n_pixels!r} and variance_inflation="
                f"{self.variance_inflation!r}, expected two sequences of plain numbers."
            ) from None
        if n_pixels.ndim != 1 or n_pixels.shape != inflation.shape or n_pixels.size == 0:
            raise InvalidInputError(
                f"Noise scaling: found n_pixels of shape {n_pixels.shape} and variance_inflation "
                f"of shape {inflation.shape}, expected two sequences of the same length."
            )
        # Written so that NaN fails too.
        increasing = np.all(np.diff(n_pixels) > 0) and n_pixels[0] >= 1
        usable = np.all(inflation > 0) and np.all(np.isfinite(inflation * n_pixels))
        if not (increasing and usable):
            raise InvalidInputError(
                f"Noise scaling: found n_pixels={n_pixels.tolist()} and variance_inflation="
                f"{inflation.tolist()}, expected finite numbers of pixels that increase from at "
                "least 1, and positive inflations."
            )
        object.__setattr__(self, "n_pixels", tuple(n_pixels.tolist()))
        object.__setattr__(self, "variance_inflation", tuple(inflation.tolist()))

    def __call__(self, n_pixels: npt.ArrayLike) -> npt.NDArray[np.floating]:
        """Return the variance inflation of sums over so many pixels; fractions are fine."""
        # Less than one pixel has the noise of one: the table starts there.
        log_n = np.log(np.maximum(np.asarray(n_pixels, dtype=float), 1.0))
        return np.exp(np.interp(log_n, np.log(self.n_pixels), np.log(self.variance_inflation)))

    @classmethod
    def white(cls) -> NoiseScaling:
        """Return the scaling of independent pixels: no inflation.

        Returns
        -------
        NoiseScaling
            The scaling.
        """
        return cls((1.0,), (1.0,))

    @classmethod
    def power_law(cls, exponent: float, *, largest: float = 1e4) -> NoiseScaling:
        """Return an inflation of ``n**exponent``, as surveys often quote it.

        An error of an aperture that grows as ``n**beta`` instead of ``n**0.5`` has the
        exponent ``2 * beta - 1``.

        Parameters
        ----------
        exponent : float
            Between 0 (white) and 1 (fully correlated).
        largest : float, optional
            Number of pixels beyond which the inflation grows no further.

        Returns
        -------
        NoiseScaling
            The scaling.

        Examples
        --------
        >>> from picasssso import NoiseScaling
        >>> float(NoiseScaling.power_law(0.5)(100))
        10.0
        """
        if not (0 <= exponent <= 1 and largest > 1):
            raise InvalidInputError(
                f"Noise scaling: found exponent={exponent!r} and largest={largest!r}, expected an "
                "exponent from 0 (white) to 1 (fully correlated) and largest above 1."
            )
        return cls((1.0, largest), (1.0, largest**exponent))

    @property
    def is_white(self) -> bool:
        """Whether pixels are independent (bool)."""
        return all(value == 1 for value in self.variance_inflation)

    def _combine(self, other: NoiseScaling, pixel_ratio: float = 1.0) -> NoiseScaling:
        """Return the scaling of noise correlated twice over: the product of both.

        ``other``: such as that of the image before resampling; ``pixel_ratio``: its pixels in
        the area of one pixel of this one. Where that is more than one, what ``other`` adds to a
        single one of the new pixels is left out, since it belongs into their variance.
        """
        if other.is_white:
            return self
        nodes = np.union1d(self.n_pixels, np.asarray(other.n_pixels) / pixel_ratio)
        nodes = np.union1d(nodes[nodes > 1], [1.0])
        single = other(max(pixel_ratio, 1.0)) / other(1.0)
        inflation = self(nodes) * other(nodes * pixel_ratio) / single
        return NoiseScaling(nodes.tolist(), inflation.tolist())
