"""Images of named galaxies: read, calibrated, cut out, or moved to another redshift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS
from photutils.aperture import CircularAperture
from scipy.ndimage import gaussian_filter

from picasssso._core.fits_files import celestial_wcs, read_array
from picasssso.bands import BandImages
from picasssso.evaluation.real.estimates import FIELDS, RealEstimator, describe_region
from picasssso.evaluation.real.painting import corrected_images
from picasssso.evaluation.stacks import log10_positive
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.mocks.observing.surveys import get_survey
from picasssso.preparation.extinction import band_extinction

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Field:
    """A field's images, nmgy per pixel, without sky, corrected for dust; pixel scale in arcsec."""

    bands: tuple[str, ...]
    flux: FloatArray
    wcs: WCS
    pixel_scale: float

    @classmethod
    def read(cls, description: Mapping[str, Any], folder: Path | str = ".") -> Field:
        """Read a field.

        ``description``: ``files``, a file by band; ``factor``, nmgy per pixel of one unit of the
        images; ``ebv`` and ``ebv_scale`` (as `GalacticExtinction`; 0 by default); and
        ``sky_beyond``, the angle in arcsec from the middle beyond which the median of all pixels
        is the sky (by default, of the whole image).
        """
        planes, bands = [], tuple(description["files"])
        wcs = None
        for file in description["files"].values():
            path = Path(folder) / file
            if not path.is_file():
                raise FileFormatError(f"There is no image {path}: check the data folder.")
            plane, header = read_array(path, 0, "Field")
            planes.append(np.array(plane, dtype=float))
            # The first band's: the files are on one grid.
            wcs = celestial_wcs(header, f"Field {path}") if wcs is None else wcs
            if wcs is None:
                raise FileFormatError(f"Field: found no celestial WCS in {path}, expected one.")
        assert wcs is not None
        if len({plane.shape for plane in planes}) > 1:
            raise InvalidInputError(
                f"The images of {', '.join(bands)} have different shapes: expected one grid."
            )
        scale = float(np.sqrt(np.abs(np.linalg.det(wcs.pixel_scale_matrix)))) * 3600.0
        flux = np.array(planes) * float(description.get("factor", 1.0))
        y, x = np.indices(flux.shape[1:])
        radius = scale * np.hypot(x - (x.max() / 2), y - (y.max() / 2))
        sky = radius >= float(description.get("sky_beyond", 0.0))
        if not sky.any():
            raise InvalidInputError(
                f"sky_beyond={description['sky_beyond']}: the images reach only "
                f"{radius.max():.0f} arcsec from their middle."
            )
        flux -= np.nanmedian(flux[:, sky], axis=1)[:, None, None]
        ebv = float(description.get("ebv", 0.0))
        how = description.get("ebv_scale", "SFD98")
        lift = [10.0 ** (0.4 * band_extinction(band, ebv, scale=how)) for band in bands]
        return cls(bands, flux * np.array(lift)[:, None, None], wcs, scale)

    def pixel(self, ra: float, dec: float) -> tuple[float, float]:
        """Return where, ``(x, y)`` in pixels, a place is, ICRS in degrees."""
        x, y = self.wcs.world_to_pixel_values(ra, dec)
        return float(x), float(y)

    def cutout(
        self,
        ra: float,
        dec: float,
        side: int,
        *,
        redshift: float,
        psf_fwhm: float,
        luminosity_distance: u.Quantity | None = None,
    ) -> BandImages:
        """Return images of a galaxy at a place in degrees, nmgy, with the field's noise."""
        x, y = (round(value) for value in self.pixel(ra, dec))
        x0, y0 = x - side // 2, y - side // 2
        height, width = self.flux.shape[1:]
        if x0 < 0 or y0 < 0 or x0 + side > width or y0 + side > height:
            raise InvalidInputError(
                f"A cutout of {side} pixels at RA {ra:g}, Dec {dec:g} is not all on the images of "
                f"{width} x {height} pixels."
            )
        window = (slice(y0, y0 + side), slice(x0, x0 + side))
        noise = np.array([self._noise(plane) for plane in self.flux])[:, None, None]
        return corrected_images(
            self.bands,
            self.flux[:, *window],
            np.broadcast_to(noise, (len(noise), side, side)),
            wcs=self.wcs[window],
            redshift=redshift,
            luminosity_distance=luminosity_distance,
            psf=psf_fwhm * u.arcsec,
        )

    def _noise(self, plane: FloatArray) -> float:
        """Return the standard deviation of the sky from the pixels below its median."""
        below = plane[plane < 0]
        return float(np.sqrt(np.mean(np.minimum(np.abs(below), 5 * np.median(-below)) ** 2)))


def move_to_redshift(
    field: Field,
    *,
    distance: u.Quantity,
    redshift: float,
    block: int = 1,
    psf_fwhm: float = 1.3,
    survey: str = "sdss",
    seed: int = 0,
) -> tuple[BandImages, float]:
    """Show a nearby galaxy as a survey would see it from farther away.

    Blocks of pixels are summed, the image dimmed as (1 + z) / D_L^2, smoothed to the PSF, and
    noise added: of the sky and of photons. Wavelengths are not shifted.

    ``psf_fwhm``: in arcsec; returns in nmgy, without WCS; north and east as before; returns side
    of a pixel in kpc, as it was.
    """
    from astropy.cosmology import Planck18

    n = [length // block for length in field.flux.shape[1:]]
    if min(n) < 1:
        raise InvalidInputError(f"block={block} is larger than the images of {field.flux.shape}.")
    cut = field.flux[:, : n[0] * block, : n[1] * block]
    flux = cut.reshape(len(cut), n[0], block, n[1], block).sum(axis=(2, 4))
    kpc = float(block * field.pixel_scale * distance.to_value(u.kpc)) * np.pi / (180 * 3600)
    farther = Planck18.luminosity_distance(redshift)
    pixel = kpc / float(Planck18.kpc_proper_per_arcmin(redshift).value / 60.0)
    flux = flux * (1 + redshift) * float((distance / farther).to_value("")) ** 2
    sigma = psf_fwhm / pixel / np.sqrt(8 * np.log(2))
    flux = np.array([gaussian_filter(plane, sigma, mode="nearest") for plane in flux])
    chosen = get_survey(survey).select(field.bands)
    scale = pixel / float(chosen.pixel_scale or 0.396)
    sky = (np.array(chosen.sky_noise) * scale)[:, None, None]
    electrons = np.array(chosen.electrons)[:, None, None]
    noise = np.sqrt(sky**2 + np.maximum(flux, 0.0) / electrons)
    flux = flux + noise * np.random.default_rng(seed).standard_normal(flux.shape)
    images = corrected_images(
        field.bands, flux, noise, redshift=redshift, pixel_scale=pixel * u.arcsec,
        psf=psf_fwhm * u.arcsec,
    )  # fmt: skip
    return images, kpc


def estimate_named(
    description: Mapping[str, Any], folder: Path | str, estimator: RealEstimator, seed: int = 0
) -> dict[str, Any]:
    """Estimate totals of galaxies in a field.

    ``description``: what `Field.read` needs, and ``redshift``, ``psf_fwhm`` (arcsec), ``side``
    (of the cutouts, pixels) and ``galaxies``: tables with ``name``, ``ra``, ``dec``, ``radius``
    (of the circle that is summed, arcsec) and ``log_mass``, a list of published ones.
    """
    field = Field.read(description, folder)
    found = []
    for galaxy in description["galaxies"]:
        images = field.cutout(
            float(galaxy["ra"]),
            float(galaxy["dec"]),
            int(description["side"]),
            redshift=float(description["redshift"]),
            psf_fwhm=float(description.get("psf_fwhm", 1.3)),
        )
        assert images.wcs is not None
        x, y = (float(v) for v in images.wcs.world_to_pixel_values(galaxy["ra"], galaxy["dec"]))
        reach = float(galaxy["radius"]) / images.pixel_scale.to_value(u.arcsec)
        aperture = CircularAperture((x, y), reach)
        region: Any = aperture
        if estimator.images != "maps":
            images, region = _one_pixel(images, aperture), None
        maps = estimator.estimate([images], seed)[0]
        found.append(
            {
                "name": galaxy["name"],
                "log_mass_published": float(np.mean(galaxy["log_mass"])),
                "properties": describe_region(maps, region),
            }
        )
    return {"galaxies": found}


def named_figures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Compare the galaxies of one estimator with what is published.

    Returns by name of the galaxy: ``log_mass``, its ``error``, ``published``, and ``difference``
    in dex; ``attenuation`` and ``age`` where the estimator tells them.
    """
    found = {}
    for galaxy in record["galaxies"]:
        properties = galaxy["properties"]
        mass = [np.nan if x is None else x for x in properties["stellar_mass"]]
        value = float(log10_positive(mass[0]))
        low, high = (float(log10_positive(mass[FIELDS.index(q)])) for q in ("p16", "p84"))
        found[galaxy["name"]] = {
            "log_mass": value,
            "error": (high - low) / 2,
            "published": galaxy["log_mass_published"],
            "difference": value - galaxy["log_mass_published"],
            **{
                key: properties[name][0]
                for key, name in (("attenuation", "attenuation_v"), ("age", "stellar_age"))
                if name in properties
            },
        }
    return found


def _one_pixel(images: BandImages, aperture: CircularAperture) -> BandImages:
    """Return the light in an aperture as one pixel of its area."""
    flux, weight = images.to_arrays()
    inside = aperture.to_mask(method="exact").to_image(images.shape)
    summed = (flux * inside).sum(axis=(1, 2))
    error = np.sqrt((inside / weight).sum(axis=(1, 2)))
    return corrected_images(
        images.bands,
        summed[:, None, None],
        error[:, None, None],
        redshift=images.redshift,
        luminosity_distance=images.luminosity_distance,
        pixel_scale=np.sqrt(aperture.area) * images.pixel_scale,
    )
