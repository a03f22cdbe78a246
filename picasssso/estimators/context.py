"""What goes into and comes out of one block of an estimate.

Plain arrays only: quantities stop at the doors. Units stand in the names or here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError

__all__ = ["PERCENTILES", "EstimationContext", "PropertyArrays"]

#: The percentiles that every map stores, in this order.
PERCENTILES = (2.5, 16.0, 50.0, 84.0, 97.5)


@dataclass(frozen=True)
class EstimationContext:
    """Everything about the images that is not an array, for one block.

    Parameters
    ----------
    bands : tuple of str
        Names of the bands, in the order of the arrays' first axis.
    redshift : float
        Observed redshift.
    luminosity_distance : float or None
        In Mpc; None where neither the redshift nor the user fixes it.
    pixel_scale_arcsec : float
        Square root of a pixel's solid angle, arcsec.
    pixel_scale_kpc : float or None
        The same length at the galaxy, kpc; None without a distance.
    pixel_solid_angle_arcsec2 : float
        Solid angle of a pixel, arcsec2.
    psf_fwhm_arcsec : tuple of float
        Full width at half maximum of the PSF per band; NaN where unknown.
    noise_level : tuple of float
        Median one-sigma noise of the whole image per band, nmgy per pixel; NaN where
        unknown. Computed once before cutting, so that it is the same for every block.
    origin : tuple of int
        Where pixel (0, 0) of this block lies in the whole image, ``(y, x)``.
    binned : bool
        Whether neighbouring pixels repeat the measurement of one bin, so that they must
        not be taken for independent ones.
    n_samples : int
        Joint posterior samples asked for.
    seed : int
        Seed of the samples. The draws of a pixel must depend on the seed and the pixel's
        place in the whole image only, never on the block.
    noise_scaling : callable or None
        Number of pixels to the factor on the variance of a sum over so many, the largest of
        any band; None where noise is white.
    statistics : tuple of float
        What else an estimator measured on the whole image before it was cut.
    """

    bands: tuple[str, ...]
    redshift: float
    luminosity_distance: float | None
    pixel_scale_arcsec: float
    pixel_scale_kpc: float | None
    pixel_solid_angle_arcsec2: float
    psf_fwhm_arcsec: tuple[float, ...]
    noise_level: tuple[float, ...]
    origin: tuple[int, int] = (0, 0)
    binned: bool = False
    n_samples: int = 0
    seed: int = 0
    noise_scaling: Callable[[float], float] | None = None
    statistics: tuple[float, ...] = ()


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
        Joint posterior samples: the k-th of every property and pixel belong together.
    quality : ndarray of int32, shape (y, x), optional
        Bits of `picasssso.quality.QualityFlag`.
    shared : ndarray, shape (y, x), optional
        How each pixel moves when what the errors of all pixels have in common is one
        standard deviation. The percentiles and samples contain it.

    Raises
    ------
    InvalidInputError
        If the shapes do not fit together.
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

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of the pixel grid."""
        return self.percentiles.shape[1], self.percentiles.shape[2]
