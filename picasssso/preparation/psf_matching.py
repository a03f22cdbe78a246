"""Bringing all bands to one PSF, so that colors compare the same light.

The matching kernel is the regularized quotient of the two PSFs' Fourier transforms,
K = (T S* + mu |L|^2 G) / (|S|^2 + mu |L|^2). L is the Laplacian, as in Boucaud et al. (2016, A&A
596, A63): it grows where the PSFs hold no information. There they let K fall to zero, which
rings if the two PSFs hardly differ; here it becomes G, the Gaussian whose width is the
difference of the two in quadrature, which never rings. What is left of the residual is given to
the same filter again, within the kernel's own frame, until rings around a star are below half of
0.1 % of its peak or the kernel would swing. The sum of K is 1, so flux is kept. How well it
matches is computed and recorded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.bands.band_names import resolve_band
from picasssso.bands.noise_scaling import NoiseScaling
from picasssso.bands.psf_width import BROADEST, kernel_fwhm
from picasssso.exceptions import InvalidInputError, PicassssoWarning
from picasssso.preparation.psf import model_psf
from picasssso.preparation.steps import with_step
from picasssso.preparation.storage import transform, variance_of
from picasssso.preparation.surroundings import fill_with_surroundings

if TYPE_CHECKING:
    from picasssso.bands import BandImages

#: Weight of the Laplacian.
REGULARIZATION = 1e-4
#: Amplitude of rings around a star, over its peak, beyond which a warning is given.
RING = 1e-3
#: Sum of a kernel's negative values up to which it is improved, and how often.
_NEGATIVE = 0.5
_ITERATIONS = 150
#: Error of an aperture of one FWHM, in mag, beyond which a warning is given.
TOLERANCE = 0.02
#: FWHM in pixels below which PSFs that are images are too coarse to be matched well: stars that
#: did not make them stay unlike each other by some per cent of their peaks.
_SAMPLED = 2.0
#: PSFs whose widths agree so well are the same.
_SAME = 0.005
#: Part of a pixel's kernel that may lie on invalid pixels.
_MAX_INVALID = 0.3

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class MatchQuality:
    """How well a convolved PSF is the one that was wanted.

    ``residual``: sum of the absolute differences, of PSFs with a sum of 1;
    ``aperture_error_mag``: of the flux of a point source in an aperture of one FWHM diameter
    (``_2``: of two); ``ringing``: sum of the kernel's negative values; ``ring``: largest
    difference of the profiles of a star, means in rings of a pixel beyond half a FWHM, over the
    star's peak.
    """

    residual: float
    aperture_error_mag: float
    aperture_error_mag_2: float
    ringing: float
    ring: float


def _centered(psf: Array, side: int) -> npt.NDArray[np.float64]:
    """Return a PSF with a sum of 1, its centroid in the middle of a square of an odd side."""
    from scipy.ndimage import shift

    psf = np.asarray(psf, dtype=np.float64)
    psf = psf / psf.sum()
    framed = np.zeros((side, side))
    y0, x0 = ((side - length) // 2 for length in psf.shape)
    framed[y0 : y0 + psf.shape[0], x0 : x0 + psf.shape[1]] = psf
    # Where it is brightest counts: asymmetric wings belong to the PSF, an offset does not.
    core = np.where(framed > 0.2 * framed.max(), framed, 0.0)
    y, x = np.indices(framed.shape)
    dy, dx = (float((axis * core).sum() / core.sum()) - side // 2 for axis in (y, x))
    if max(abs(dy), abs(dx)) > 1e-3:
        framed = shift(framed, (-dy, -dx), order=3)
    return framed / framed.sum()


def matching_kernel(
    source: npt.ArrayLike, target: npt.ArrayLike, *, regularization: float = REGULARIZATION
) -> npt.NDArray[np.float64]:
    """Return the kernel that turns one PSF into another on the same pixels."""
    source, target = np.asarray(source, dtype=float), np.asarray(target, dtype=float)
    side = max(*source.shape, *target.shape) // 2 * 2 + 1
    # Twice as large, so that what wraps around the edge is cut off.
    wide = 2 * side + 1
    wanted = _centered(target, wide)
    s, t = (np.fft.rfft2(np.fft.ifftshift(psf)) for psf in (_centered(source, wide), wanted))
    fy, fx = np.fft.fftfreq(wide)[:, None], np.fft.rfftfreq(wide)[None, :]
    laplacian = 4 * (np.sin(np.pi * fy) ** 2 + np.sin(np.pi * fx) ** 2)
    widths = [kernel_fwhm(psf) for psf in (source, target)]
    sigma2 = max(widths[1] ** 2 - widths[0] ** 2, 0.0) / (8 * np.log(2))
    gaussian = np.exp(-2 * np.pi**2 * sigma2 * (fy**2 + fx**2))
    penalty = regularization * laplacian**2
    inner = slice((wide - side) // 2, (wide - side) // 2 + side)

    def image(spectrum: Array) -> Array:
        return np.fft.fftshift(np.fft.irfft2(spectrum, s=(wide, wide)))

    def improved(old: Array, spectrum: Array) -> Array:
        new = np.zeros((wide, wide))
        new[inner, inner] = (old + image(spectrum))[inner, inner]
        return new / new.sum()

    weight = np.abs(s) ** 2 + penalty
    kernel = improved(np.zeros((wide, wide)), (t * np.conj(s) + penalty * gaussian) / weight)
    allowed = max(_NEGATIVE, float(-np.minimum(kernel, 0.0).sum()))
    best, smallest = kernel, np.inf
    for _ in range(_ITERATIONS):
        left = t - s * np.fft.rfft2(np.fft.ifftshift(kernel))
        ring = _ring(image(left), widths[1]) / wanted.max()
        if ring < smallest:
            best, smallest = kernel, ring
        kernel = improved(kernel, np.conj(s) * left / weight)
        # A kernel that swings makes rings of the noise, and of the PSFs' own errors.
        if smallest < 0.5 * RING or -np.minimum(kernel, 0.0).sum() > allowed:
            break
    return best[inner, inner]


def _ring(residual: Array, fwhm: float) -> float:
    """Return the largest mean of a residual in rings of a pixel beyond half a FWHM."""
    radius = np.rint(np.hypot(*(np.indices(residual.shape) - residual.shape[0] // 2))).astype(int)
    profile = np.bincount(radius.ravel(), residual.ravel()) / np.bincount(radius.ravel())
    return float(np.abs(profile[int(np.ceil(fwhm / 2)) : residual.shape[0] // 2]).max(initial=0.0))


def match_quality(
    source: npt.ArrayLike, target: npt.ArrayLike, kernel: npt.ArrayLike
) -> MatchQuality:
    """Return how well a kernel turns one PSF into another."""
    from scipy.signal import fftconvolve

    source, target, kernel = (np.asarray(a, dtype=float) for a in (source, target, kernel))
    side = (max(*source.shape, *target.shape) + kernel.shape[0]) // 2 * 2 + 1
    got = fftconvolve(_centered(source, side), kernel, mode="same")
    wanted = _centered(target, side)
    width = kernel_fwhm(target)
    errors = [
        -2.5 * np.log10(_enclosed(got, n * width / 2) / _enclosed(wanted, n * width / 2))
        for n in (1, 2)
    ]
    return MatchQuality(
        residual=float(np.abs(got - wanted).sum()),
        aperture_error_mag=float(errors[0]),
        aperture_error_mag_2=float(errors[1]),
        ringing=float(-np.minimum(kernel, 0.0).sum()),
        ring=_ring(got - wanted, width) / float(wanted.max()),
    )


def _enclosed(psf: Array, radius: float) -> float:
    from photutils.aperture import CircularAperture

    middle = (psf.shape[0] - 1) / 2
    return float(CircularAperture((middle, middle), radius).do_photometry(psf)[0][0])


def _kernels(images: BandImages, profile: str) -> dict[str, npt.NDArray[np.float64]]:
    """Return the PSF of every band as an array."""
    missing = [band for band in images if band not in images.psf]
    if missing:
        raise InvalidInputError(
            f"match_psf: found no PSF of {', '.join(missing)}, expected one of every band. Give "
            "it, psf={band: 1.2 * u.arcsec}, or measure it with with_measured_psf(images)."
        )
    scale = images.pixel_scale.to_value(u.arcsec)
    models = {
        band: psf.to_value(u.arcsec) / scale
        for band, psf in images.psf.items()
        if isinstance(psf, u.Quantity)
    }
    for band, fwhm in models.items():
        _check_width(fwhm, images, f"a PSF of {band}")
    # In one frame, so that their wings end at the same place.
    side = len(model_psf(max(models.values()), profile=profile)) if models else None
    return {
        band: model_psf(models[band], side, profile=profile)
        if band in models
        else np.asarray(psf, dtype=float)
        for band, psf in images.psf.items()
    }


def match_psf(
    images: BandImages,
    target: str | u.Quantity | npt.ArrayLike | None = None,
    *,
    profile: str = "moffat",
    regularization: float = REGULARIZATION,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return images with the same PSF in all bands.

    Flux is conserved, including that of neighbors: nothing is masked before the convolution, and
    only pixels without a value are filled, with the mean of their surroundings. They remain
    masked, and so do pixels for which more than three tenths of the kernel lie on such pixels.
    Variances are propagated with the squared kernel, and the resulting noise correlation is
    added to ``noise_scaling``.

    Parameters
    ----------
    images : BandImages
        Images with a PSF in every band.
    target : str, `~astropy.units.Quantity` or array-like, optional
        The target PSF: that of a band, a FWHM, or a kernel; default: the broadest of all bands.
    profile : {"moffat", "gaussian"}, optional
        Profile of PSFs given only by their FWHM.
    regularization : float, optional
        Weight of the Laplacian in the matching kernel.
    folder : path, optional
        Folder for the output of a large field; default: in memory.

    Returns
    -------
    BandImages
        In nmgy, with the target as ``psf`` of every band. ``meta["preparation"]`` records the
        quality of the match of each band.

    Raises
    ------
    InvalidInputError
        If a band has no PSF, or one broader than the target by more than 5 %.

    Warns
    -----
    PicassssoWarning
        If aperture fluxes of a band at one FWHM are off by more than 0.02 mag, or ringing around
        stars exceeds 0.1 % of their peak; or if the target is narrower than 2 pixels and PSFs are
        images, as those measured on stars are.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> from picasssso.preparation import match_psf
    >>> images = load_example()[0][40:88, 40:88].select(["sdss2010-g", "sdss2010-r"])
    >>> matched = match_psf(images)
    >>> bool(matched.psf_fwhm("sdss2010-r") > images.psf_fwhm("sdss2010-r"))
    True
    """
    if images.bins is not None:
        raise InvalidInputError(
            "match_psf: found bins, which hold one value over many pixels, expected none. Match "
            "the PSF before binning."
        )
    sources = _kernels(images, profile)
    widths = {band: kernel_fwhm(psf) for band, psf in sources.items()}
    goal, name = _goal(images, target, sources, widths, profile)
    width = kernel_fwhm(goal)
    broad = [band for band in sources if widths[band] > 1.05 * width]
    if broad:
        raise InvalidInputError(
            f"match_psf: found the PSF of {', '.join(broad)} broader than the target "
            f"({widths[broad[0]]:.3g} against {width:.3g} pixels), expected narrower ones: a "
            "convolution cannot sharpen. Leave out target= to use the broadest."
        )
    kernels: dict[str, npt.NDArray[np.float64] | None] = {}
    record: dict[str, Any] = {
        "target": name,
        "target_fwhm_arcsec": round(width * images.pixel_scale.to_value(u.arcsec), 4),
        "bands": {},
    }
    poor, ringed = [], []
    for band, source in sources.items():
        same = band == name or (
            abs(widths[band] / width - 1) < _SAME and source.shape == goal.shape
            and np.abs(source - goal).sum() < 0.01
        )  # fmt: skip
        kernel = None if same else matching_kernel(source, goal, regularization=regularization)
        kernels[band] = kernel
        quality = match_quality(source, goal, np.ones((1, 1)) if kernel is None else kernel)
        figures = {name: round(value, 5) for name, value in vars(quality).items()}
        record["bands"][band] = {"convolved": kernel is not None, **figures}
        if abs(quality.aperture_error_mag) > TOLERANCE:
            rings = f", rings of {100 * quality.ring:.2f} %" * (quality.ring > RING)
            poor.append(f"{band} ({quality.aperture_error_mag:+.3f} mag{rings})")
        elif quality.ring > RING:
            ringed.append(f"{band} ({100 * quality.ring:.2f} %)")
    advice = (
        "Use a broader target, such as "
        f"target={1.15 * width * images.pixel_scale.to_value(u.arcsec):.2g} * u.arcsec."
    )
    if poor:
        warnings.warn(
            f"PSF matching leaves aperture fluxes of one FWHM off in {', '.join(poor)}: the "
            f"target is narrower than their PSF in some direction. {advice}",
            PicassssoWarning,
            stacklevel=2,
        )
    if ringed:
        warnings.warn(
            f"PSF matching leaves rings around stars in {', '.join(ringed)} of their peak, more "
            f"than {100 * RING:g} %: colors of faint light around bright cores are off by as much "
            f"of the core. {advice}",
            PicassssoWarning,
            stacklevel=2,
        )
    measured = [b for b, k in kernels.items() if k is not None and np.ndim(images.psf[b]) == 2]
    if measured and width < _SAMPLED:
        warnings.warn(
            f"The target PSF is {width:.2g} pixels wide (FWHM), and PSFs of {', '.join(measured)} "
            f"are images: narrower than {_SAMPLED:g} pixels they are known to some per cent, and "
            "so are colors of stars and nuclei. For equal profiles give a target of 2.5 pixels or "
            f"more, such as target={2.5 * images.pixel_scale.to_value(u.arcsec):.2g} * u.arcsec.",
            PicassssoWarning,
            stacklevel=2,
        )
    reach = max((k.shape[0] // 2 for k in kernels.values() if k is not None), default=0)

    scalings, inflate = dict(images.noise_scaling), {}
    for band, kernel in kernels.items():
        if kernel is not None:
            scalings[band], inflate[band] = _convolved_noise(scalings[band], kernel)

    def convolve(band: str, flux: Array, precision: Array, block: Block) -> Any:
        kernel = kernels[band]
        if kernel is None:
            return flux, variance_of(precision), precision != 0
        smooth, variance, good = _convolve(flux, precision, kernel)
        return smooth, variance * inflate[band], good

    matched = transform(
        images,
        convolve,
        halo=reach,
        bytes_per_pixel=140,
        folder=folder,
        changes={
            "psf": dict.fromkeys(images.bands, goal),
            "noise_scaling": scalings,
        },
    )
    return with_step(matched, "psf matching", **record)


def _check_width(fwhm: float, images: BandImages, what: str) -> None:
    """Refuse a full width at half maximum, in pixels, beyond the images."""
    height, width = images.shape
    if fwhm > max(height, width, BROADEST):
        raise InvalidInputError(
            f"match_psf: found {what} {fwhm:.3g} pixels wide (FWHM) for images of {width} x "
            f"{height}, expected a narrower one. Check its unit."
        )


def _goal(
    images: BandImages,
    target: Any,
    sources: Mapping[str, npt.NDArray[np.float64]],
    widths: Mapping[str, float],
    profile: str,
) -> tuple[npt.NDArray[np.float64], str]:
    if target is None:
        name = max(widths, key=lambda band: widths[band])
        return sources[name], name
    if isinstance(target, str):
        name = resolve_band(target, images.survey)
        if name not in sources:
            raise InvalidInputError(
                f"match_psf: found target={target!r}, expected a band of {', '.join(sources)}."
            )
        return sources[name], name
    if isinstance(target, u.Quantity):
        if not target.unit.is_equivalent(u.arcsec):
            raise InvalidInputError(
                f"match_psf: found target={target!r}, expected an angle such as 1.4 * u.arcsec."
            )
        fwhm = float(target.to_value(u.arcsec) / images.pixel_scale.value)
        _check_width(fwhm, images, "a target")
        return model_psf(fwhm, profile=profile), "given FWHM"
    kernel = np.asarray(target, dtype=float)
    if kernel.ndim != 2 or not np.isfinite(kernel).all() or kernel.sum() <= 0:
        raise InvalidInputError(
            f"match_psf: found a target of shape {kernel.shape}, expected a band, a FWHM or a "
            "kernel (y, x) with a positive sum."
        )
    return kernel / kernel.sum(), "given kernel"


def _convolve(
    flux: Array, precision: Array, kernel: npt.NDArray[np.float64]
) -> tuple[Array, Array, Array]:
    """Convolve one block; its outermost pixels see mirrored ones."""
    from scipy.signal import oaconvolve

    valid = precision != 0
    reach = kernel.shape[0] // 2
    filled = fill_with_surroundings(flux.astype(np.float64), valid, 2 * kernel.shape[0])
    variance = variance_of(precision).astype(np.float64)
    if not valid.all():
        typical = np.median(variance[valid]) if valid.any() else 0.0
        variance = np.where(valid, variance, typical)

    def through(plane: Array, weights: Array) -> Array:
        padded = np.pad(plane, reach, mode="symmetric" if min(plane.shape) > reach else "edge")
        return oaconvolve(padded, weights, mode="valid")

    smooth = through(filled, kernel)
    spread = through(variance, kernel**2)
    good = valid
    if not valid.all():
        good = valid & (through((~valid).astype(float), np.abs(kernel)) < _MAX_INVALID)
    return smooth, np.maximum(spread, 0.0), good


def _convolved_noise(
    before: NoiseScaling, kernel: npt.NDArray[np.float64]
) -> tuple[NoiseScaling, float]:
    """Return the noise scaling after a convolution, and what to multiply variances with.

    For white noise the variance of a sum over a square is the sum of squares of the kernel
    summed over it. Noise that was correlated before counts over the pixels of the kernel.
    """
    from scipy.signal import fftconvolve

    squared = float((kernel**2).sum())
    counts, inflation = [1.0], [1.0]
    for side in (2, 3, 4, 6, 8, 12, 16, 24, 32):
        summed = fftconvolve(kernel, np.ones((side, side)), mode="full")
        counts.append(float(side**2))
        inflation.append(float((summed**2).sum() / (side**2 * squared)))
    # A sum over very many pixels: all of the kernel's weight lies within.
    counts.append(1e6)
    inflation.append(float(kernel.sum() ** 2 / squared))
    inflation = np.maximum.accumulate(np.maximum(inflation, 1e-6)).tolist()
    own = NoiseScaling(counts, inflation)
    if before.is_white:
        return own, 1.0
    # The kernel averages over so many pixels, whose noise was inflated by so much.
    area = 1.0 / squared
    single = float(before(area) / before(1.0))
    nodes = np.union1d(counts, before.n_pixels)
    both = own(nodes) * before(nodes + area - 1) / before(area)
    return NoiseScaling(nodes.tolist(), np.maximum(both, 1e-6).tolist()), single
