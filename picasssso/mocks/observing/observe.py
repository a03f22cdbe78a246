"""From noiseless light to images as a survey would deliver them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from picasssso._core.random import Stream
from picasssso.exceptions import InvalidInputError
from picasssso.mocks.galaxy_maps import Galaxies
from picasssso.mocks.light import Light
from picasssso.mocks.observing.contaminants import field_sources, uneven_background
from picasssso.mocks.observing.observed import ObservedGalaxies
from picasssso.mocks.observing.surveys import Survey, get_survey
from picasssso.mocks.observing.transfer_functions import (
    convolve,
    gaussian_transfer,
    moffat_transfer,
)
from picasssso.pairs.truth import LEADERS, TrueSums

if TYPE_CHECKING:
    pass

#: Seeing is drawn from this many values of a normal distribution's quantiles, so that the
#: transfer functions of a survey are computed once.
_N_SEEING = 15

#: Where every galaxy has pixels of its own, widths of PSFs in pixels are powers of this, for
#: the same reason, in this range.
_WIDTH_STEP = 1.02
_WIDTHS = (0.8, 20.0)


def _bands_numbers(stream: Stream, name: str, n_band: int) -> np.ndarray:
    """Return normal numbers, (n, n_band), of which half of the variance is common."""
    common = stream.normal(name)[:, None]
    return np.sqrt(0.5) * (common + stream.normal(f"{name} of bands", n_band))


def _transfers(
    survey: Survey, galaxies: Galaxies, stream: Stream, shape: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return FWHM in arcsec, (n, n_band), and transfer functions."""
    device, n_band = galaxies.device, len(survey.bands)
    if survey.psf_unit == "kpc":
        make = moffat_transfer if survey.psf_profile == "moffat" else gaussian_transfer
        base = torch.tensor(survey.psf_fwhm, dtype=torch.float32, device=device)
        fwhm = base / galaxies.pixel_scale_kpc[:, None].float()
        return fwhm * galaxies.pixel_scale[:, None].float(), make(fwhm, shape)
    numbers = torch.from_numpy(_bands_numbers(stream, "seeing", n_band))
    level = (torch.special.ndtr(numbers).numpy() * _N_SEEING).astype(np.int64)
    middles = torch.from_numpy((np.arange(_N_SEEING) + 0.5) / _N_SEEING)
    factors = np.exp(survey.seeing_scatter * torch.special.ndtri(middles).numpy())
    fwhm = np.array(survey.psf_fwhm) * factors[level]
    if survey.pixel_scale is not None and survey.pixel_scale_range is None:
        widths = factors[:, None] * np.array(survey.psf_fwhm) / survey.pixel_scale
        row = level * n_band + np.arange(n_band)
    else:
        steps = np.log(_WIDTHS) / np.log(_WIDTH_STEP)
        widths = _WIDTH_STEP ** np.arange(np.floor(steps[0]), steps[1])
        scale = galaxies.pixel_scale.double().cpu().numpy()[:, None]
        row = np.round(np.log(fwhm / scale / widths[0]) / np.log(_WIDTH_STEP)).astype(np.int64)
        row = np.clip(row, 0, len(widths) - 1)
        fwhm = widths[row] * scale
    table = _transfer_table(tuple(widths.ravel().tolist()), survey.psf_profile, shape, str(device))
    return (
        torch.as_tensor(fwhm, dtype=torch.float32, device=device),
        table[torch.as_tensor(row, device=device)],
    )


@lru_cache(maxsize=8)
def _transfer_table(
    fwhm: tuple[float, ...], profile: str, shape: tuple[int, int], device: str
) -> torch.Tensor:
    """Return transfer functions of widths in pixels, which are used again and again."""
    make = moffat_transfer if profile == "moffat" else gaussian_transfer
    return make(torch.tensor(fwhm, dtype=torch.float32, device=device), shape)


def _exposures(
    survey: Survey, galaxies: Galaxies, stream: Stream
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the sky's noise in nmgy and electrons per nmgy, (n, n_band) each."""
    n_band = len(survey.bands)
    # As if exposures were longer or shorter: of the sky's photons, and of all others.
    factor = np.exp(survey.depth_scatter * _bands_numbers(stream, "depth", n_band))
    noise = np.array(survey.sky_noise) * factor
    if survey.pixel_scale_range is not None:
        scale = galaxies.pixel_scale.double().cpu().numpy()
        noise = noise * (scale / float(survey.pixel_scale or 1.0))[:, None]

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=galaxies.device)

    gain = tensor(np.array(survey.electrons) / factor**2) if survey.electrons else None
    return tensor(noise), gain


def _noise_of_ratio(survey: Survey, galaxies: Galaxies, signal: torch.Tensor) -> torch.Tensor:
    """Return the noise that gives a mean signal-to-noise ratio, in nmgy, (n, n_band)."""
    radius = galaxies.parameters.get("half_mass_radius")
    if radius is None:
        inside = torch.ones_like(signal[:, :1])
    else:
        radius = torch.as_tensor(np.asarray(radius), dtype=torch.float32, device=signal.device)
        radius = radius / galaxies.pixel_scale_kpc.float()
        height, width = signal.shape[-2:]
        y = torch.arange(height, device=signal.device) - 0.5 * (height - 1)
        x = torch.arange(width, device=signal.device) - 0.5 * (width - 1)
        distance = torch.hypot(y[:, None], x[None, :])
        inside = (distance < 2.0 * radius[:, None, None]).float()[:, None]
    assert survey.mean_snr is not None
    return (signal * inside).sum(dim=(-2, -1)) / inside.sum(dim=(-2, -1)) / survey.mean_snr


def _check_pixels(survey: Survey, galaxies: Galaxies) -> None:
    if survey.pixel_scale is None:
        return
    low, high = survey.pixel_scale_range or (survey.pixel_scale, survey.pixel_scale)
    scale = galaxies.pixel_scale
    if bool(((scale < low * 0.999) | (scale > high * 1.001)).any()):
        expected = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        raise InvalidInputError(
            f"Galaxies on pixels of {float(scale[0]):.4g} arcsec cannot be observed as "
            f"{survey.name!r}, whose pixels are {expected} arcsec: make them for that survey."
        )


def observe(
    galaxies: Galaxies,
    light: Light,
    bands: tuple[str, ...],
    survey: str | Survey = "sdss",
    *,
    seed: int = 0,
    margin: int = 0,
    contaminants: float = 1.0,
    background: float = 0.1,
    bad_pixels: float = 0.002,
    transfer: torch.Tensor | None = None,
    truth_at_psf: bool = True,
    resolution_band: int | None = None,
) -> ObservedGalaxies:
    """Observe galaxies.

    Parameters
    ----------
    galaxies : Galaxies
        The galaxies.
    light : Light
        Their light in ``bands``.
    bands : tuple of str
        Filter names; all must be bands of the survey.
    survey : str or Survey, optional
        How they are observed.
    seed : int, optional
        Seed of noise and everything else that is random; with a galaxy's number it fixes
        its image.
    margin : int, optional
        Pixels to cut off at each side after convolution.
    contaminants : float, optional
        Density of foreground stars and background galaxies relative to the real sky; 0
        for none.
    background : float, optional
        Size of the residual background relative to the sky noise of a pixel.
    bad_pixels : float, optional
        Fraction of pixels without data: single ones, columns and disks.
    transfer : Tensor, optional
        Transfer functions to use instead of the survey's PSF, of shape (n or 1, n_band, y,
        x // 2 + 1) (``picasssso.mocks.observing.transfer_functions.image_transfer``).
    truth_at_psf : bool, optional
        Whether to convolve the truth.
    resolution_band : int, optional
        The band whose PSF that is; the one with the widest PSF if not given.

    Returns
    -------
    ObservedGalaxies
        Images and truth.

    Raises
    ------
    InvalidInputError
        If the survey lacks a band, or the galaxies are on other pixels than the survey's.

    Examples
    --------
    >>> from picasssso.mocks import ProceduralGalaxies, observe
    >>> from picasssso.mocks.light import LightTable
    >>> galaxies = ProceduralGalaxies(seed=1, n_pixels=32, redshift=0.05).draw(range(2))
    >>> table = LightTable.build(["sdss2010-g", "sdss2010-r"], 0.05)
    >>> observed = observe(galaxies, table.light(galaxies), table.bands, "sdss")
    >>> observed.flux.shape
    torch.Size([2, 2, 32, 32])
    """
    chosen = get_survey(survey).select(tuple(bands))
    _check_pixels(chosen, galaxies)
    device = galaxies.device
    assert galaxies.index is not None
    stream = Stream(seed, galaxies.index.cpu(), device)
    shape = galaxies.shape
    area = (galaxies.pixel_scale.float() ** 2)[:, None, None, None]
    scene = light.surface_brightness * area
    if contaminants > 0:
        scene = scene + field_sources(
            stream,
            shape,
            galaxies.pixel_scale,
            _wavelengths(chosen.bands),
            density=contaminants,
            faintest=_faintest(chosen),
        )
    fwhm, default = _transfers(chosen, galaxies, stream, shape)
    transfer = default if transfer is None else transfer.to(device)
    signal = convolve(scene, transfer)
    if margin:
        signal = signal[..., margin:-margin, margin:-margin]

    gain = None
    if chosen.mean_snr is None:
        sky_noise, gain = _exposures(chosen, galaxies, stream)
    else:
        sky_noise = _noise_of_ratio(chosen, galaxies, signal)
    sky_noise = sky_noise[:, :, None, None]
    inner = (signal.shape[-2], signal.shape[-1])
    noise = stream.normal_field("noise", (len(bands), *inner))
    variance = sky_noise**2
    stated = variance.expand_as(signal)
    if gain is not None:
        gain = gain[:, :, None, None]
        true_variance = variance + signal.clamp(min=0.0) / gain
        flux = signal + noise * true_variance.sqrt_()
        # The variance that a pipeline states knows the noisy image only: the exact one
        # would tell a network the noiseless flux. A mean over 3 x 3 pixels is what it uses.
        seen = _smoothed(flux)
        stated = variance + seen.clamp(min=0.0) / gain
    else:
        flux = signal + noise * sky_noise
    if background > 0:
        flux = flux + background * sky_noise * uneven_background(stream, len(bands), inner)
    if chosen.zero_point_error > 0:
        shift = chosen.zero_point_error * stream.normal("zero point", len(bands))
        factor = torch.as_tensor(10.0 ** (-0.4 * shift), dtype=torch.float32, device=device)
        flux = flux * factor[:, :, None, None]
    weight = 1.0 / stated
    if bad_pixels > 0:
        good = _good_pixels(stream, inner, bad_pixels)[:, None].to(weight.dtype)
        flux, weight = flux * good, weight * good
    at_psf = None
    if truth_at_psf:
        if resolution_band is not None:
            one = transfer[:, resolution_band, None]
        elif len(transfer) == 1:
            one = transfer[:, int(fwhm.sum(0).argmax()), None]
        else:
            rows = torch.arange(len(transfer), device=device)
            one = transfer[rows, fwhm.argmax(dim=1)][:, None]
        at_psf = TrueSums(_convolved_sums(light.truth.sums, one)).crop(margin)
    return ObservedGalaxies(
        bands=chosen.bands,
        flux=flux,
        inverse_variance=weight.contiguous(),
        truth=light.truth.crop(margin),
        truth_at_psf=at_psf,
        psf_fwhm=fwhm,
        psf_profile=chosen.psf_profile,
        redshift=galaxies.redshift,
        pixel_scale=galaxies.pixel_scale,
        pixel_scale_kpc=galaxies.pixel_scale_kpc,
        index=galaxies.index,
        parameters=dict(galaxies.parameters),
    )


def _convolved_sums(sums: torch.Tensor, transfer: torch.Tensor) -> torch.Tensor:
    """Convolve what true maps are made of.

    Fourier transforms in single precision leave errors of about 1e-7 of the brightest pixel
    everywhere. Where there is less than 1e-5 of it, ratios would suffer, and the native
    sums, which differ by less than anyone could measure, are kept.
    """
    convolved = convolve(sums, transfer)
    lead = convolved[:, LEADERS]
    trusted = lead > 1e-5 * lead.amax(dim=(-2, -1), keepdim=True)
    return torch.where(trusted, convolved, sums).clamp_(min=0.0)


def _smoothed(images: torch.Tensor) -> torch.Tensor:
    """Return means over 3 x 3 pixels, edges repeated (quicker than a pooling)."""
    for axis in (-1, -2):
        first, last = images.narrow(axis, 0, 1), images.narrow(axis, -1, 1)
        wide = torch.cat([first, images, last], dim=axis)
        n = images.shape[axis]
        images = (wide.narrow(axis, 0, n) + images).add_(wide.narrow(axis, 2, n)).div_(3.0)
    return images


def _faintest(survey: Survey) -> float:
    """Return the magnitude of sources that no longer matter."""
    if not survey.sky_noise or survey.pixel_scale is None:
        return 22.5
    return float(np.median(survey.point_source_depth())) + 0.5


def _wavelengths(bands: tuple[str, ...]) -> np.ndarray:
    """Return effective wavelengths in AA, rough: they only tint contaminants."""
    rough = {"u": 3600, "g": 4800, "r": 6200, "i": 7600, "z": 9000, "y": 9700}
    return np.array([rough.get(b.rpartition("-")[2][:1].lower(), 6200) for b in bands], float)


def _good_pixels(stream: Stream, shape: tuple[int, int], fraction: float) -> torch.Tensor:
    """Return where pixels are good, (n, y, x): single bad ones, a column, a disk."""
    single = stream.uniform_field("bad pixels", shape) > 0.3 * fraction
    height, width = shape
    device = stream.device

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, dtype=torch.float32, device=device)[:, None, None]

    x = torch.arange(width, device=device, dtype=torch.float32)[None, None, :]
    y = torch.arange(height, device=device, dtype=torch.float32)[None, :, None]
    numbers = stream.uniform("bad regions", 6)
    # A column is 1 / width of an image, a disk about 0.008 of one of 64 pixels.
    has_column = numbers[:, 0] < 0.2 * fraction * width
    column = tensor(np.where(has_column, np.floor(numbers[:, 1] * width), -10.0))
    has_disk = numbers[:, 3] < 0.5 * fraction * height * width / (np.pi * 7.0)
    radius = tensor(np.where(has_disk, 1.0 + 3.0 * numbers[:, 2], -1.0))
    dx, dy = x - tensor(numbers[:, 4] * width), y - tensor(numbers[:, 5] * height)
    disk = (dx * dx + dy * dy < radius * radius) & (radius > 0)
    return single & (x != column) & ~disk
