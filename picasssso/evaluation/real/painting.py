"""Images of galaxies painted from their radial profiles.

Catalogs such as the NASA-Sloan Atlas give the mean surface brightness of a galaxy in
annuli, not its image. Painted as a smooth galaxy with elliptical isophotes and observed with
the noise of a survey, a profile becomes an image that every estimator can take. The profile
was measured on the survey's images, so it has their PSF already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from photutils.aperture import EllipticalAperture
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from picasssso.bands import BandImages, GalacticExtinction
from picasssso.exceptions import InvalidInputError
from picasssso.mocks.observing.surveys import get_survey

if TYPE_CHECKING:
    from picasssso.mocks.observing.surveys import Survey

FloatArray = npt.NDArray[np.floating]

#: Annuli count as far as the r band is brighter than this, in mag per arcsec2.
_FAINTEST = 26.0
#: Sides of images in pixels.
_SIDES = (64, 128)
#: The frame is wider than the galaxy by this.
_MARGIN = 1.15
#: Fewest pixels per FWHM of the PSF; coarser images are smoothed to it.
_SAMPLING = 2.0
#: Subpixels along a side.
_OVERSAMPLING = 5


@dataclass(frozen=True, eq=False)
class GalaxyProfile:
    """Mean surface brightness of a galaxy in circular annuli.

    ``radius``: outer radii of the annuli in arcsec, increasing; ``brightness``: surface
    brightness in nmgy per arcsec2; may be negative where there is only noise;
    ``position_angle``: of the major axis, from north through east, in degrees.
    """

    bands: tuple[str, ...]
    radius: FloatArray
    brightness: FloatArray
    axis_ratio: float = 1.0
    position_angle: float = 0.0

    def __post_init__(self) -> None:
        if self.brightness.shape != (len(self.bands), len(self.radius)):
            raise InvalidInputError(
                f"brightness has the shape {self.brightness.shape}: expected (bands, annuli) = "
                f"{(len(self.bands), len(self.radius))}."
            )
        if not (np.diff(self.radius, prepend=0.0) > 0).all():
            raise InvalidInputError(
                "radius must be positive and increase from annulus to annulus."
            )
        if not 0 < self.axis_ratio <= 1:
            raise InvalidInputError(
                f"axis_ratio={self.axis_ratio!r}: expected minor over major axis, in (0, 1]."
            )

    @property
    def fluxes(self) -> FloatArray:
        """Flux of each annulus in nmgy (ndarray, shape (n_bands, n))."""
        return self.brightness * np.pi * np.diff(self.radius**2, prepend=0.0)

    def cut(self, n: int) -> GalaxyProfile:
        """Return the innermost annuli."""
        return replace(self, radius=self.radius[:n], brightness=self.brightness[:, :n])

    def n_detected(self, faintest: float = _FAINTEST) -> int:
        """Return in how many annuli r is brighter than ``faintest``, AB mag per arcsec2."""
        rows = {band[-1]: row for band, row in zip(self.bands, self.brightness, strict=True)}
        good = rows["r"] > 10.0 ** (0.4 * (22.5 - faintest))
        for letter in "gri":
            if letter in rows:
                good &= rows[letter] > 0
        return len(good) if good.all() else int(np.argmin(good))

    def with_total_colors(self, flux: FloatArray) -> GalaxyProfile:
        """Return the profile less a uniform residual of the sky in each band but r.

        Over large annuli what is left of the sky adds up: in u, summed annuli of quiescent
        galaxies are 0.1 mag brighter than their fitted totals, in r 0.1 mag fainter. The
        residual is what makes the colors of the annuli with signal those of total fluxes.

        ``flux``: total fluxes in nmgy, as observed; bands without a positive one are left alone.
        """
        reference = [k for k, band in enumerate(self.bands) if band.endswith("-r")]
        n = self.n_detected()
        if not reference or n == 0 or not flux[reference[0]] > 0:
            return self
        summed = self.fluxes[:, :n].sum(axis=1)
        wanted = flux * summed[reference[0]] / flux[reference[0]]
        residual = np.where(flux > 0, summed - wanted, 0.0) / (np.pi * self.radius[n - 1] ** 2)
        return replace(self, brightness=self.brightness - residual[:, None])


def corrected_images(
    bands: Sequence[str], flux: FloatArray, error: FloatArray, **known: Any
) -> BandImages:
    """Return planes (band, y, x) in nmgy with their errors, corrected for Galactic extinction."""
    none = GalacticExtinction(0.0, scale="SF11", applied=True)
    return BandImages.from_cube(
        flux, bands, u.nmgy, uncertainty=error, galactic_extinction=none, **known
    )


@dataclass(frozen=True, eq=False)
class PaintedGalaxy:
    """A painted galaxy as a survey sees it; flux of the annuli in nmgy, without extinction."""

    images: BandImages
    aperture: EllipticalAperture
    flux: FloatArray


@lru_cache(maxsize=256)
def _factor(axis_ratio: float) -> float:
    """Solve for the ratio of half-light radii, on a grid of radii in scale lengths."""
    radius = np.linspace(0.0, 15.0, 1501)[1:]
    light = np.exp(-radius) * radius
    light /= light.sum()
    # Share of the ellipse of semi-major axis a, uniform in eccentric anomaly, within R.
    squared = (radius[:, None] / radius[None, :]) ** 2
    cosine2 = np.clip((squared - axis_ratio**2) / (1.0 - axis_ratio**2), 0.0, 1.0)
    share = 1.0 - 2.0 / np.pi * np.arccos(np.sqrt(cosine2))
    circular, elliptical = share @ light, np.cumsum(light)
    return float(np.interp(0.5, elliptical, radius) / np.interp(0.5, circular, radius))


def major_axis_factor(axis_ratio: float) -> float:
    """Return what turns radii of circular annuli into semi-major axes of elliptical ones."""
    return 1.0 if axis_ratio > 0.99 else _factor(round(axis_ratio, 2))


def paint_profile(
    profile: GalaxyProfile, shape: tuple[int, int], pixel_scale: float
) -> FloatArray:
    """Paint a smooth galaxy with elliptical isophotes.

    The cumulative flux is interpolated in ln(1 + area / area of the first annulus) with
    monotone cubics (Fritsch & Carlson 1980, SIAM J. Numer. Anal. 17, 238), so that each
    elliptical annulus has the flux of the circular annulus that it stands for, and no
    surface brightness is negative unless the profile is.

    ``shape``: ``(y, x)`` in pixels; ``pixel_scale``: in arcsec; returns flux in nmgy per pixel.
    """
    stretch = major_axis_factor(profile.axis_ratio)
    fine = _OVERSAMPLING
    y, x = ((np.arange(n * fine) + 0.5) / fine - n / 2 for n in shape)
    angle = np.deg2rad(profile.position_angle + 90.0)
    along = x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)
    across = y[:, None] * np.cos(angle) - x[None, :] * np.sin(angle)
    # Area over pi of the circle that this ellipse stands for, in arcsec2.
    area = (along**2 + (across / profile.axis_ratio) ** 2) * (pixel_scale / stretch) ** 2
    first, last = profile.radius[0] ** 2, profile.radius[-1] ** 2
    knots = np.log1p(np.concatenate([[0.0], profile.radius**2]) / first)
    place = np.log1p(area / first)
    cumulative = np.cumsum(profile.fluxes, axis=1)
    lookup = np.linspace(0.0, knots[-1], 4096)
    painted = []
    for row in cumulative:
        slope = PchipInterpolator(knots, np.concatenate([[0.0], row])).derivative()(lookup)
        values = np.interp(place, lookup, slope) / (first + area)
        painted.append(np.where(area <= last, values, 0.0))
    # An ellipse has a smaller area than the circle of its semi-major axis.
    brightness = np.array(painted) / (np.pi * stretch**2 * profile.axis_ratio)
    blocks = brightness.reshape(len(brightness), shape[0], fine, shape[1], fine)
    return blocks.mean(axis=(2, 4)) * pixel_scale**2


def observe_profile(
    profile: GalaxyProfile,
    *,
    redshift: float,
    luminosity_distance: u.Quantity | None = None,
    extinction: FloatArray | None = None,
    survey: str | Survey = "sdss",
    psf_fwhm: float = 1.3,
    seed: int | tuple[int, ...] = 0,
) -> PaintedGalaxy:
    """Paint a galaxy from its profile and observe it with the noise of a survey.

    The frame holds all annuli with signal in 64 to 128 pixels: of the survey, or coarser for
    a large galaxy. Coarser images than two pixels per FWHM of the PSF are smoothed to that.

    ``extinction``: galactic extinction in mag, which is corrected for; none by default;
    ``survey``: whose pixels and noise (sky and photons) the images have; ``psf_fwhm``: FWHM of
    the PSF that the profile has, in arcsec; returns images without WCS, in nmgy.
    """
    chosen = get_survey(survey).select(profile.bands)
    scale = float(chosen.pixel_scale or 0.396)
    n = profile.n_detected()
    if not n:
        raise InvalidInputError(
            f"No annulus of the profile is brighter than {_FAINTEST} mag per arcsec2 in r: "
            "there is nothing to paint."
        )
    profile = profile.cut(n)
    reach = float(profile.radius[-1]) * major_axis_factor(profile.axis_ratio)
    pixel = max(scale, 2.0 * _MARGIN * reach / _SIDES[1])
    # A multiple of 8: a network's grid.
    side = int(np.clip(8 * np.ceil(2.0 * _MARGIN * reach / pixel / 8 - 1e-9), *_SIDES))
    flux = paint_profile(profile, (side, side), pixel)
    seeing = max(psf_fwhm, _SAMPLING * pixel)
    if seeing > psf_fwhm:
        sigma = np.sqrt(seeing**2 - psf_fwhm**2) / pixel / np.sqrt(8.0 * np.log(2.0))
        flux = np.array([gaussian_filter(image, sigma, mode="constant") for image in flux])
    variance = (np.array(chosen.sky_noise) * pixel / scale)[:, None, None] ** 2
    electrons = np.array(chosen.electrons)[:, None, None]
    noise = np.sqrt(variance + np.maximum(flux, 0.0) / electrons)
    rng = np.random.default_rng(seed)
    observed = flux + noise * rng.standard_normal(flux.shape)
    dust = np.zeros(len(profile.bands)) if extinction is None else np.asarray(extinction, float)
    lift = 10.0 ** (0.4 * dust)
    images = corrected_images(
        profile.bands,
        observed * lift[:, None, None],
        noise * lift[:, None, None],
        redshift=redshift,
        luminosity_distance=luminosity_distance,
        pixel_scale=pixel * u.arcsec,
        psf=seeing * u.arcsec,
    )
    aperture = EllipticalAperture(
        ((side - 1) / 2, (side - 1) / 2),
        reach / pixel,
        reach * profile.axis_ratio / pixel,
        theta=np.deg2rad(profile.position_angle + 90.0),
    )
    return PaintedGalaxy(images, aperture, profile.fluxes.sum(axis=1) * lift)
