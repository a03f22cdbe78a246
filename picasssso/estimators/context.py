"""What an estimator is told about the images of one block.

Plain numbers only: quantities stop at the doors. Units stand in the names or here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class EstimationContext:
    """Metadata of the images for one block: everything but the arrays.

    Parameters
    ----------
    bands : tuple of str
        Names of the bands, in the order of the arrays' first axis.
    redshift : float
        Observed redshift.
    luminosity_distance : float or None
        In Mpc; None if neither the redshift nor the user defines it.
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
        Position of pixel (0, 0) of this block in the whole image, ``(y, x)``.
    binned : bool
        Whether neighboring pixels repeat the measurement of a bin, and are thus not independent.
    n_samples : int
        Joint posterior samples asked for.
    seed : int
        Seed of the samples. The draws of a pixel must depend on the seed and the pixel's
        place in the whole image only, never on the block.
    noise_scaling : callable or None
        Variance inflation of a sum as a function of the number of pixels, the largest of any
        band; None for white noise.
    statistics : tuple of float
        Quantities that the estimator measured on the whole image before it was cut.

    Examples
    --------
    >>> from picasssso.estimators import EstimationContext
    >>> context = EstimationContext(
    ...     bands=("sdss2010-g",), redshift=0.02, luminosity_distance=90.0,
    ...     pixel_scale_arcsec=0.4, pixel_scale_kpc=0.17, pixel_solid_angle_arcsec2=0.16,
    ...     psf_fwhm_arcsec=(1.3,), noise_level=(0.02,))
    >>> context.origin
    (0, 0)
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
