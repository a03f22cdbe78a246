"""`BandImages`: one target, one redshift, one pixel grid, several bands."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS

from picasssso._core.html import html_table
from picasssso._core.plugins import load
from picasssso.bands import checks, slots
from picasssso.bands.band_names import resolve_band
from picasssso.bands.extinction import GalacticExtinction
from picasssso.bands.flux_units import FluxScale, flux_scale, is_count_like, is_magnitude
from picasssso.bands.noise import NoiseScaling
from picasssso.bands.pixels import (
    central_solid_angle,
    cutout_slices,
    grid_offset,
    has_equal_pixels,
    slice_wcs,
    solid_angles,
)
from picasssso.bands.psf import kernel_fwhm
from picasssso.bands.records import BandRecord, read_only
from picasssso.exceptions import InvalidInputError, InvalidTypeError, MissingBandError
from picasssso.filters.library import pivot_wavelength
from picasssso.filters.own import adopt_curves, own_curves

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord
    from astropy.cosmology import FLRW
    from matplotlib.axes import Axes

Slices = tuple[slice, slice]

#: Below this redshift peculiar velocities make a distance from the redshift meaningless.
MIN_COSMOLOGICAL_REDSHIFT = 0.003
#: Grids closer than this, in pixels, are the same.
_SAME_GRID = 1e-6


class UnknownBandError(MissingBandError, KeyError):
    """A band that these images do not have; a `KeyError` too, as mappings raise."""

    __str__ = Exception.__str__


class BandImages(Mapping[str, CCDData]):
    """Images of one target in several bands, on one pixel grid, at one redshift.

    An immutable mapping from band name to `~astropy.nddata.CCDData`. Everything is checked
    when it is made; the arrays are held as read-only views and never copied, so that a
    memory-mapped image stays mapped. What is known about the images beside the pixels (PSF,
    correlation of the noise, shared errors, Galactic extinction, bins, labels) travels with
    them through slicing, cut-outs, resampling and files.

    Parameters
    ----------
    images : mapping or iterable of pairs
        `~astropy.nddata.CCDData` by band name. Names are those of speclite's filters, such as
        ``"sdss2010-g"``; bare names such as ``"g"`` need ``survey``. Units are those of flux
        density per pixel or per solid angle (nmgy, Jy, erg/s/cm2/Hz, erg/s/cm2/AA ...), or
        counts with ``zero_point``. A pixel is invalid if its value is not finite, its mask not
        zero, or its uncertainty not positive and finite (an inverse variance of 0: no data).
    redshift : float
        Observed redshift, above -0.005. Required.
    survey : str, optional
        Survey of bare band names: sdss, des, panstarrs, hsc, lsst, 2mass ..., or a filter
        group of speclite.
    luminosity_distance : `~astropy.units.Quantity`, optional
        Overrides the cosmology. The angular diameter distance is D_L / (1 + z)^2.
    cosmology : `~astropy.cosmology.FLRW`, optional
        Default: Planck18.
    pixel_scale : `~astropy.units.Quantity`, optional
        Angle per pixel of images without WCS, only for these.
    zero_point : `~astropy.units.Quantity` or mapping, optional
        Magnitude of one count such as ``30 * u.ABmag``, for all bands or by band.
    asinh_softening : float or mapping, optional
        Softening b of asinh magnitude images (Lupton et al. 1999, AJ 118, 1406).
    psf : `~astropy.units.Quantity`, array-like or mapping, optional
        FWHM as an angle, or a kernel on the image's pixels (it is normalised to a sum of 1);
        default: ``CCDData.psf``.
    noise_scaling : NoiseScaling or mapping, optional
        How the noise of a sum grows with the number of pixels; default: white.
    sky_error : `~astropy.units.Quantity` or mapping, optional
        One-sigma error of the sky level, per pixel or per solid angle, shared by all pixels.
    zero_point_error : `~astropy.units.Quantity` or mapping, optional
        One-sigma error of the calibration, in mag or as a fraction, shared by all pixels.
    galactic_extinction : GalacticExtinction, optional
        The dust of the Galaxy, and whether it is corrected for.
    bins : array of int, shape (y, x), optional
        Bins measured as one; negative: no bin. The images hold in each pixel of a bin the
        bin's mean flux per pixel and that mean's standard error.
    labels : array of int, shape (y, x), optional
        Targets in a field; 0: none.
    meta : mapping, optional
        Notes, of what JSON can hold.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        The first of these that fails, in this order: type, shape, unit, mask, all-NaN or
        empty, WCS (bands off by more than 0.1 pixel), band name, redshift, PSF, uncertainty.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astropy.nddata import CCDData, NDData
    >>> from picasssso.bands import BandImages
    >>> g, r = (CCDData(np.full((4, 5), flux), unit="nmgy") for flux in (1.0, 2.0))
    >>> images = BandImages({"g": g, "r": r}, survey="sdss", redshift=0.02,
    ...                     pixel_scale=0.4 * u.arcsec)
    >>> images
    <BandImages: sdss2010-g, sdss2010-r; 4 x 5 pixels of 0.4 arcsec; z = 0.02>
    >>> flux, inverse_variance = images[1:3, 1:3].to_arrays()
    >>> flux.shape
    (2, 2, 2)
    """

    _records: dict[str, BandRecord]
    _slots: dict[str, dict[str, Any]]

    # Two sets of images are equal only if they are the same: comparing pixels is the
    # user's choice of tolerance. `Mapping` would compare arrays as truth values.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __init__(
        self,
        images: Mapping[str, CCDData] | Iterable[tuple[str, CCDData]],
        *,
        redshift: float | None = None,
        survey: str | None = None,
        luminosity_distance: u.Quantity | None = None,
        cosmology: FLRW | None = None,
        pixel_scale: u.Quantity | None = None,
        zero_point: Any = None,
        asinh_softening: Any = None,
        psf: Any = None,
        noise_scaling: Any = None,
        sky_error: Any = None,
        zero_point_error: Any = None,
        galactic_extinction: GalacticExtinction | None = None,
        bins: npt.ArrayLike | None = None,
        labels: npt.ArrayLike | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "images")}
        self._open(images, given)

    def _open(self, images: Any, given: dict[str, Any], *, allow_empty: bool = False) -> None:
        """Check everything in the order promised, and keep it."""
        if isinstance(images, BandImages):
            raise InvalidTypeError(
                "images: found BandImages, whose PSF, errors and notes would be lost. Use "
                "images.replace(...) to change some of them."
            )
        survey = given["survey"]
        records, names, originals, zero_points = checks.check_images(
            images,
            survey=survey,
            zero_point=given["zero_point"],
            asinh_softening=given["asinh_softening"],
            allow_empty=allow_empty,
        )
        self._wcs, self._given_pixel_scale, self._solid_angle = checks.check_grid(
            names, originals, given["pixel_scale"]
        )
        self._equal_pixels = self._wcs is None or has_equal_pixels(
            self._wcs, originals[0].data.shape, self._solid_angle
        )
        self._records = checks.check_names(records, names, survey, zero_points)
        self._shape = originals[0].data.shape
        self._survey = survey
        self._redshift = slots.check_redshift(given["redshift"])
        self._given_distance = slots.check_distance(given["luminosity_distance"])
        self._cosmology = slots.check_cosmology(given["cosmology"])
        self._set_slots(originals, zero_points, given)
        self._extinction = slots.check_extinction(given["galactic_extinction"])
        self._bins = slots.check_labels(given["bins"], self._shape, "bins")
        self._labels = slots.check_labels(given["labels"], self._shape, "labels")
        self._meta = slots.check_meta(given["meta"])
        self._records = checks.check_uncertainties(
            self._records, originals, zero_points, allow_empty
        )

    def _set_slots(
        self, originals: Sequence[Any], zero_points: dict[str, u.Quantity], given: dict[str, Any]
    ) -> None:
        """Check and keep what comes per band."""
        bands = self.bands

        def spread(name: str) -> dict[str, Any]:
            return slots.per_band(given[name], bands, survey=self._survey, name=name)

        psf = spread("psf")
        for band, image in zip(bands, originals, strict=True):
            if band not in psf and getattr(image, "psf", None) is not None:
                psf[band] = image.psf
        scaling = {b: slots.check_noise_scaling(v, b) for b, v in spread("noise_scaling").items()}
        self._slots = {
            "zero_point": zero_points,
            "asinh_softening": {
                band: record.scale.softening
                for band, record in self._records.items()
                if record.scale.softening is not None
            },
            "psf": {band: slots.check_psf(psf[band], band) for band in bands if band in psf},
            "noise_scaling": {band: scaling.get(band, NoiseScaling.white()) for band in bands},
            "sky_error": {
                band: slots.check_sky_error(
                    value,
                    band,
                    self._records[band],
                    zero_points.get(band),
                    partial(pivot_wavelength, band),
                )
                for band, value in spread("sky_error").items()
            },
            "zero_point_error": {
                band: slots.check_zero_point_error(value, band)
                for band, value in spread("zero_point_error").items()
            },
        }

    # The mapping ------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> CCDData: ...

    @overload
    def __getitem__(self, key: Slices) -> BandImages: ...

    def __getitem__(self, key: str | Slices) -> CCDData | BandImages:
        """Return one band, or a part of all of them."""
        if isinstance(key, str):
            return self._records[self._find(key)].to_ccd(self._wcs)
        return self._cut(self._check_region(key))

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, key: object) -> bool:
        # `Mapping` would take two slices for a band, and refuse what is no text.
        return isinstance(key, str) and resolve_band(key, self._survey) in self._records

    def __getstate__(self) -> dict[str, Any]:
        # Another process may not have the curves that were defined in this one.
        return {**self.__dict__, "filters": own_curves(self._records)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        adopt_curves(state.pop("filters", {}), "what was pickled")
        # Pickle and deepcopy forget that arrays are read-only.
        self.__dict__.update(state)
        self._records = {band: record.protected() for band, record in self._records.items()}
        psf = {
            band: value if isinstance(value, u.Quantity) else read_only(value)
            for band, value in self._slots["psf"].items()
        }
        self._slots = {**self._slots, "psf": psf}
        self._bins = None if self._bins is None else read_only(self._bins)
        self._labels = None if self._labels is None else read_only(self._labels)

    def __repr__(self) -> str:
        scale = self.pixel_scale.value
        return (
            f"<BandImages: {', '.join(self.bands)}; {self._shape[0]} x {self._shape[1]} pixels of "
            f"{scale:.4g} arcsec; z = {self._redshift:g}>"
        )

    def _repr_html_(self) -> str:
        rows = []
        for band, record in self._records.items():
            fwhm = self.psf_fwhm(band)
            width = "unknown" if fwhm is None else f"{fwhm.value:.3g} arcsec"
            noise = "none" if record.uncertainty is None else "known"
            rows.append((band, str(record.unit), width, noise))
        header = ("band", "unit", "PSF (FWHM)", "uncertainty")
        return html_table(repr(self).strip("<>"), header, rows)

    def _find(self, band: Any) -> str:
        """Return the full name of a band that these images have."""
        name = resolve_band(band, self._survey)
        if name not in self._records:
            raise UnknownBandError(
                f"Band {band!r}: found none of that name, the images have {', '.join(self)}."
            )
        return name

    def _find_all(self, bands: str | Iterable[str]) -> list[str]:
        """Return the full names of several bands; one name stands for itself."""
        return [self._find(band) for band in ([bands] if isinstance(bands, str) else bands)]

    def _check_region(self, region: Any) -> Slices:
        """Return slices with plain starts and stops, of at least one pixel."""
        if (
            not isinstance(region, tuple)
            or len(region) != 2
            or not all(isinstance(part, slice) for part in region)
        ):
            raise InvalidTypeError(
                f"Part of images: found {region!r}, expected a band name or two slices, as in "
                "images[y0:y1, x0:x1]."
            )
        plain = []
        for part, side in zip(region, self._shape, strict=True):
            if part.step not in (None, 1):
                raise InvalidInputError(
                    f"Part of images: found a step of {part.step}, expected none: skipping pixels "
                    "loses flux. Use reproject_to() for larger pixels."
                )
            start, stop, _ = part.indices(side)
            if stop <= start:
                raise InvalidInputError(
                    f"Part of images: found {part}, which holds no pixel of the {side} along that "
                    "axis, expected at least one."
                )
            plain.append(slice(start, stop))
        return plain[0], plain[1]

    def _derive(self, **changes: Any) -> BandImages:
        """Return a copy with some private attributes changed, unchecked."""
        new = object.__new__(type(self))
        new.__dict__.update(self.__dict__)
        new.__dict__.update({f"_{name}": value for name, value in changes.items()})
        return new

    def _cut(self, slices: Slices) -> BandImages:
        wcs, area = self._wcs, self._solid_angle
        shape = tuple(part.stop - part.start for part in slices)
        if wcs is not None:
            wcs = slice_wcs(wcs, slices)
            # Where pixels count as equal a part keeps the number of the whole, so that
            # estimates of a part are those of the whole to the last bit.
            if not self._equal_pixels:
                area = central_solid_angle(wcs, shape)
        return self._derive(
            records={band: record.cut(slices) for band, record in self._records.items()},
            wcs=wcs,
            shape=shape,
            solid_angle=area,
            bins=None if self._bins is None else self._bins[slices],
            labels=None if self._labels is None else self._labels[slices],
        )

    # Attributes -------------------------------------------------------------------------

    @property
    def bands(self) -> tuple[str, ...]:
        """Full names of the bands (tuple of str)."""
        return tuple(self._records)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape ``(y, x)`` of every image."""
        return self._shape

    @property
    def wcs(self) -> WCS | None:
        """A copy of the WCS of all bands; None for images with only a pixel scale."""
        return None if self._wcs is None else self._wcs.deepcopy()

    @property
    def survey(self) -> str | None:
        """Survey of bare band names (str or None)."""
        return self._survey

    @property
    def redshift(self) -> float:
        """Observed redshift (float)."""
        return self._redshift

    @property
    def cosmology(self) -> FLRW:
        """The cosmology (`~astropy.cosmology.FLRW`), Planck18 unless another was given."""
        if self._cosmology is None:
            from astropy.cosmology import Planck18

            return Planck18
        return self._cosmology

    @property
    def luminosity_distance(self) -> u.Quantity | None:
        """Luminosity distance in Mpc, as given or from the cosmology.

        None if it was not given and the redshift is below 0.003, where peculiar velocities
        make it meaningless.
        """
        if self._given_distance is not None:
            return self._given_distance
        if self._redshift < MIN_COSMOLOGICAL_REDSHIFT:
            return None
        return self.cosmology.luminosity_distance(self._redshift).to(u.Mpc)

    @property
    def angular_diameter_distance(self) -> u.Quantity | None:
        """Angular diameter distance in Mpc, D_L / (1 + z)^2; None where that is None."""
        distance = self.luminosity_distance
        return None if distance is None else distance / (1 + self._redshift) ** 2

    @property
    def pixel_solid_angle(self) -> u.Quantity:
        """Solid angle of a pixel at the image's centre, arcsec2.

        Parts of an image keep the value of the whole, unless its pixels differ from one
        another by more than a part in ten thousand.
        """
        return u.Quantity(self._solid_angle, u.arcsec**2)

    @property
    def pixel_scale(self) -> u.Quantity:
        """Square root of the pixel's solid angle, arcsec."""
        return u.Quantity(float(np.sqrt(self._solid_angle)), u.arcsec)

    @property
    def pixel_area(self) -> u.Quantity:
        """Area of a pixel at the target, kpc2.

        Raises
        ------
        InvalidInputError
            If there is no distance: below z = 0.003 it has to be given.
        """
        distance = self.angular_diameter_distance
        if distance is None:
            raise InvalidInputError(
                f"pixel_area: found z = {self._redshift:g} without a distance, expected one: "
                f"below z = {MIN_COSMOLOGICAL_REDSHIFT} the redshift is no measure of it. Use "
                "images.replace(luminosity_distance=... * u.Mpc)."
            )
        angle = self.pixel_solid_angle.to_value(u.rad**2)
        return (distance**2 * angle).to(u.kpc**2)

    def pixel_solid_angle_map(self) -> u.Quantity:
        """Return the solid angle of every pixel.

        Returns
        -------
        `~astropy.units.Quantity`, shape (y, x)
            In arcsec2, read-only; constant where no pixel differs from the central one by
            more than a part in ten thousand.
        """
        if self._wcs is None or self._equal_pixels:
            plane = np.broadcast_to(np.float64(self._solid_angle), self._shape)
        else:
            from picasssso._core.solid_angles import pixel_solid_angles

            plane = read_only(pixel_solid_angles(self._wcs, self._shape))
        return u.Quantity(plane, u.arcsec**2, copy=False)

    @property
    def zero_point(self) -> Mapping[str, u.Quantity]:
        """Magnitude of one count, of the bands in counts."""
        return MappingProxyType(self._slots["zero_point"])

    @property
    def asinh_softening(self) -> Mapping[str, float]:
        """Softening of the bands in asinh magnitudes."""
        return MappingProxyType(self._slots["asinh_softening"])

    @property
    def psf(self) -> Mapping[str, u.Quantity | npt.NDArray[np.float64]]:
        """PSF of the bands where it is known: FWHM in arcsec, or kernel with a sum of 1."""
        return MappingProxyType(self._slots["psf"])

    def psf_fwhm(self, band: str) -> u.Quantity | None:
        """Return the full width at half maximum of a band's PSF.

        Parameters
        ----------
        band : str
            Name of the band.

        Returns
        -------
        `~astropy.units.Quantity` or None
            In arcsec; of a kernel, the diameter of the circle with the area over which it
            exceeds half its maximum; None where the PSF is unknown.
        """
        psf = self._slots["psf"].get(self._find(band))
        if psf is None or isinstance(psf, u.Quantity):
            return psf
        return kernel_fwhm(psf) * self.pixel_scale

    @property
    def noise_scaling(self) -> Mapping[str, NoiseScaling]:
        """Correlation of the noise, of every band."""
        return MappingProxyType(self._slots["noise_scaling"])

    @property
    def sky_error(self) -> Mapping[str, u.Quantity]:
        """Error of the sky level, of the bands where it is known."""
        return MappingProxyType(self._slots["sky_error"])

    @property
    def zero_point_error(self) -> Mapping[str, u.Quantity]:
        """Error of the calibration in mag, of the bands where it is known."""
        return MappingProxyType(self._slots["zero_point_error"])

    @property
    def galactic_extinction(self) -> GalacticExtinction | None:
        """The dust of the Galaxy, if known."""
        return self._extinction

    @property
    def bins(self) -> npt.NDArray[np.integer] | None:
        """Bins measured as one; negative: no bin. Read-only."""
        return self._bins

    @property
    def labels(self) -> npt.NDArray[np.integer] | None:
        """Targets in the field; 0: none. Read-only."""
        return self._labels

    @property
    def meta(self) -> Mapping[str, Any]:
        """Notes given by the user; a read-only copy."""
        return MappingProxyType(deepcopy(self._meta))

    @property
    def missing_uncertainty(self) -> tuple[str, ...]:
        """Bands without uncertainty (tuple of str); see `with_estimated_noise`."""
        return tuple(b for b, record in self._records.items() if record.uncertainty is None)

    def unit_factor(self, band: str) -> float:
        """Return the flux of one image unit in a pixel at the image's centre.

        Parameters
        ----------
        band : str
            Name of the band.

        Returns
        -------
        float
            In nmgy per pixel.

        Raises
        ------
        InvalidInputError
            If the band is in asinh magnitudes, which have no factor.
        """
        scale = self._records[self._find(band)].scale
        if scale.softening is not None:
            raise InvalidInputError(
                f"Band {band!r}: found asinh magnitudes, which are no multiple of a flux. Use "
                "to_arrays()."
            )
        return scale.factor * (self._solid_angle if scale.per_area else 1.0)

    def sky_error_nmgy(self, band: str) -> float:
        """Return the error of the sky level in a pixel.

        Parameters
        ----------
        band : str
            Name of the band.

        Returns
        -------
        float
            In nmgy per pixel at the image's centre; 0 where none is known.
        """
        error = self._slots["sky_error"].get(self._find(band))
        if error is None:
            return 0.0
        scale = self._sky_scale(band)
        return float(error.value) * scale.factor * (self._solid_angle if scale.per_area else 1.0)

    def _sky_scale(self, band: str) -> FluxScale:
        """Return the conversion of a band's sky error."""
        name = self._find(band)
        return flux_scale(
            self._slots["sky_error"][name].unit,
            band=name,
            zero_point=self._slots["zero_point"].get(name),
            pivot=partial(pivot_wavelength, name),
            what="sky_error unit",
        )

    # Arrays and parts -------------------------------------------------------------------

    def to_arrays(
        self, region: Slices | None = None, bands: Sequence[str] | None = None
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Convert a region to flux and inverse variance; nothing else is read.

        Parameters
        ----------
        region : tuple of slice, optional
            The part ``(y, x)``; default: everything.
        bands : sequence of str, optional
            Names of bands; default: all.

        Returns
        -------
        flux : ndarray of float32, shape (bands, y, x)
            In nmgy per pixel; 0 where invalid.
        inverse_variance : ndarray of float32, shape (bands, y, x)
            In nmgy-2; 0 where invalid, NaN in valid pixels of bands without uncertainty.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from astropy.nddata import CCDData, StdDevUncertainty
        >>> from picasssso.bands import BandImages
        >>> image = CCDData([[1.0, np.nan]], unit="nmgy",
        ...                 uncertainty=StdDevUncertainty([[0.5, 0.5]]))
        >>> images = BandImages({"sdss2010-r": image}, redshift=0.1,
        ...                     pixel_scale=0.4 * u.arcsec)
        >>> flux, inverse_variance = images.to_arrays()
        >>> flux[0].tolist(), inverse_variance[0].tolist()
        ([[1.0, 0.0]], [[4.0, 0.0]])
        """
        slices = self._check_region((slice(None), slice(None)) if region is None else region)
        names = self.bands if bands is None else self._find_all(bands)
        shape = (len(names), *(part.stop - part.start for part in slices))
        flux = np.empty(shape, dtype=np.float32)
        inverse_variance = np.empty(shape, dtype=np.float32)
        area: Any = self._solid_angle
        per_area = any(self._records[name].scale.per_area for name in names)
        if per_area and self._wcs is not None and not self._equal_pixels:
            y, x = np.ogrid[slices]
            area = solid_angles(self._wcs, x, y)
        for k, name in enumerate(names):
            flux[k], inverse_variance[k] = self._records[name].to_flux(slices, area)
        return flux, inverse_variance

    def select(self, bands: Sequence[str]) -> BandImages:
        """Return some of the bands, in the order given.

        Parameters
        ----------
        bands : sequence of str
            Names of bands.

        Returns
        -------
        BandImages
            The bands with everything that belongs to them.

        Raises
        ------
        UnknownBandError
            If a band is missing.
        InvalidInputError
            If there are none, or one is named twice.
        """
        names = self._find_all(bands)
        if not names or len(set(names)) != len(names):
            raise InvalidInputError(
                f"select: found {list(bands)}, expected at least one band, each once."
            )
        return self._derive(
            records={name: self._records[name] for name in names},
            slots={
                slot: {name: values[name] for name in names if name in values}
                for slot, values in self._slots.items()
            },
        )

    def replace(self, **changes: Any) -> BandImages:
        """Return images with some of the constructor's arguments changed.

        Parameters
        ----------
        **changes : object
            Arguments of `BandImages`, such as ``redshift=0.03`` or ``psf=...``. With new
            ``images``, values kept for bands which are no longer there are dropped.

        Returns
        -------
        BandImages
            Checked like any other.

        Raises
        ------
        InvalidTypeError
            If there is no such argument.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from astropy.nddata import CCDData, NDData
        >>> from picasssso.bands import BandImages
        >>> images = BandImages({"sdss2010-r": CCDData(np.ones((2, 2)), unit="nmgy")},
        ...                     redshift=0.02, pixel_scale=0.4 * u.arcsec)
        >>> images.replace(redshift=0.03, psf=1.3 * u.arcsec)
        <BandImages: sdss2010-r; 2 x 2 pixels of 0.4 arcsec; z = 0.03>
        """
        arguments = self._arguments()
        self._check_changes("replace", set(changes) - {"images"})
        survey = changes.get("survey", self._survey)
        images: Any = changes.get("images")
        if images is None:
            images = {band: record.to_nddata(self._wcs) for band, record in self._records.items()}
        else:
            images = checks.list_images(images)
            kept = {resolve_band(band, survey) for band, _ in images}
            for slot in slots.PER_BAND_SLOTS:
                arguments[slot] = {b: v for b, v in arguments[slot].items() if b in kept}
        arguments.update({key: value for key, value in changes.items() if key != "images"})
        if "images" in changes:
            return type(self)(images, **arguments)
        new = self._restore(images, arguments)
        return new if "pixel_scale" in changes else self._keep_areas(new)

    def with_planes(self, planes: Mapping[str, NDData], **changes: Any) -> BandImages:
        """Return the same images with new pixels; what is known about them stays.

        What changes pixels uses it, so that nothing is lost on the way: PSF, noise scaling,
        errors of sky and zero point, extinction, bins, labels, notes and distance are kept.
        A zero point, and the softening of asinh magnitudes, goes with a band's old unit where
        the new one has no use for it; an error of the sky in counts becomes nmgy then.

        Parameters
        ----------
        planes : mapping
            `~astropy.nddata.NDData` (or `~astropy.nddata.CCDData`), shape (y, x), by band,
            with unit, uncertainty and mask. Without WCS or header, the band's own are taken.
            Bands that are not named stay as they are. For another pixel grid give all bands,
            each with the new WCS; `bins` and `labels` have to be given anew then.
        **changes : object
            Other arguments of `BandImages` that change with the pixels, such as ``psf``.

        Returns
        -------
        BandImages
            The images; a band may be masked all over.

        Raises
        ------
        UnknownBandError
            If a band is not among the images.
        InvalidInputError, InvalidTypeError
            If a plane or an argument is wrong, as for `BandImages`.

        Examples
        --------
        >>> from astropy import units as u
        >>> from astropy.nddata import NDData
        >>> from picasssso.data import load_example_images
        >>> images = load_example_images()
        >>> r = images["sdss2010-r"]
        >>> twice = NDData(2 * r.data, unit=r.unit, uncertainty=r.uncertainty, mask=r.mask)
        >>> brighter = images.with_planes({"sdss2010-r": twice})
        >>> bool(brighter.psf_fwhm("sdss2010-r") == images.psf_fwhm("sdss2010-r"))
        True
        """
        found = {band: record.to_nddata(self._wcs) for band, record in self._records.items()}
        arguments = self._arguments()
        self._check_changes("with_planes", changes)
        for given, plane in checks.list_images(planes):
            band = self._find(given)
            record = self._records[band]
            if isinstance(plane, NDData):
                found[band] = NDData(
                    plane.data,
                    unit=plane.unit,
                    uncertainty=plane.uncertainty,
                    mask=plane.mask,
                    wcs=self._wcs if plane.wcs is None else plane.wcs,
                    meta=plane.meta or record.meta,
                )
            else:
                found[band] = plane  # refused at the door, with the right message
            unit = getattr(plane, "unit", None)
            if unit is None or unit == record.unit:
                continue
            if not is_magnitude(unit):
                arguments["asinh_softening"].pop(band, None)
            if not is_count_like(unit) and arguments["zero_point"].pop(band, None) is not None:
                error = self._slots["sky_error"].get(band)
                if error is not None and is_count_like(error.unit):
                    arguments["sky_error"][band] = self.sky_error_nmgy(band) * u.nmgy
        return self._keep_areas(self._restore(found, arguments | changes))

    def _keep_areas(self, new: BandImages) -> BandImages:
        """Let images on the same grid keep what is known of its pixels' areas."""
        if new._shape == self._shape and (
            (new._wcs is None and self._wcs is None)
            or (
                new._wcs is not None
                and self._wcs is not None
                and grid_offset(new._wcs, self._wcs, self._shape)[0] < _SAME_GRID
            )
        ):
            new._solid_angle, new._equal_pixels = self._solid_angle, self._equal_pixels
        return new

    def _check_changes(self, what: str, changes: Iterable[str]) -> None:
        expected = self._arguments()
        unknown = sorted(set(changes) - set(expected))
        if unknown:
            raise InvalidTypeError(
                f"{what}: found {', '.join(unknown)}, expected some of images, "
                f"{', '.join(expected)}."
            )

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's keyword arguments."""
        return {
            "redshift": self._redshift,
            "survey": self._survey,
            "luminosity_distance": self._given_distance,
            "cosmology": self._cosmology,
            "pixel_scale": self._given_pixel_scale,
            **{slot: dict(self._slots[slot]) for slot in slots.PER_BAND_SLOTS},
            "galactic_extinction": self._extinction,
            "bins": self._bins,
            "labels": self._labels,
            "meta": self._meta,
        }

    def cutout(
        self,
        position: SkyCoord | tuple[float, float],
        size: u.Quantity | float | tuple[Any, Any],
    ) -> BandImages:
        """Return a rectangle around a position, cut at the image's edge.

        Parameters
        ----------
        position : `~astropy.coordinates.SkyCoord` or tuple of float
            Position on the sky, or pixel ``(x, y)``.
        size : `~astropy.units.Quantity`, float or tuple
            Side of the square, or sides ``(y, x)``, as angles or in pixels.

        Returns
        -------
        BandImages
            The part that lies on the image.

        Raises
        ------
        InvalidInputError
            If none of it does.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from astropy.nddata import CCDData, NDData
        >>> from picasssso.bands import BandImages
        >>> images = BandImages({"sdss2010-r": CCDData(np.ones((20, 20)), unit="nmgy")},
        ...                     redshift=0.02, pixel_scale=0.4 * u.arcsec)
        >>> images.cutout((10, 12), 2 * u.arcsec).shape
        (5, 5)
        """
        return self[cutout_slices(self._wcs, self._shape, self.pixel_scale, position, size)]

    def split_labels(
        self, redshifts: Mapping[int, float], *, margin: int = 0
    ) -> Iterator[tuple[int, BandImages]]:
        """Cut a field into its labelled targets.

        Parameters
        ----------
        redshifts : mapping
            Redshift by label; other labels are not cut out.
        margin : int, optional
            Pixels to add around each target.

        Yields
        ------
        label : int
            The target's label.
        images : BandImages
            Its surroundings, with the pixels of other labels masked in every band and its
            own redshift. A luminosity distance given for the field is not passed on, since
            it is that of one target: use `replace` to give one.

        Raises
        ------
        InvalidInputError
            If there are no labels, or one is not in the image.
        """
        if self._labels is None:
            raise InvalidInputError(
                "split_labels: found no labels, expected BandImages(..., labels=array) with a "
                "positive integer for each target."
            )
        if not isinstance(redshifts, Mapping):
            raise InvalidTypeError(
                f"split_labels: found redshifts={redshifts!r}, expected {{label: redshift}}."
            )
        for label, redshift in redshifts.items():
            rows, columns = (np.flatnonzero((self._labels == label).any(axis=a)) for a in (1, 0))
            if label == 0 or not rows.size:
                raise InvalidInputError(
                    f"split_labels: found no pixel with label {label!r}, expected some of "
                    f"{np.unique(self._labels[self._labels != 0])[:20].tolist()}."
                )
            part = self._cut(
                self._check_region(
                    tuple(
                        slice(max(int(found[0]) - margin, 0), int(found[-1]) + 1 + margin)
                        for found in (rows, columns)
                    )
                )
            )
            others = np.logical_and(part._labels != 0, part._labels != label)
            yield (
                label,
                part._derive(
                    records={b: r.add_mask(others) for b, r in part._records.items()},
                    redshift=slots.check_redshift(redshift),
                    given_distance=None,
                ),
            )

    def reproject_to(
        self,
        wcs: WCS | fits.Header,
        shape: tuple[int, int] | None = None,
        *,
        method: str = "exact",
        progress: bool | None = None,
    ) -> BandImages:
        """Resample to another pixel grid with the reproject package.

        Fluxes are conserved: a flux per pixel is averaged as surface brightness and
        multiplied by the new pixel's solid angle. Masked pixels do not count; a new pixel of
        which less than half lies on valid pixels is masked, in others the valid part stands
        for the whole. Variances are propagated with squared weights, for independent input
        pixels (and multiplied by what `noise_scaling` says of the input pixels that make one
        output pixel). The noise that neighbouring output pixels share is recorded in
        `noise_scaling`: it is computed from the weights at the centre of the new image and
        multiplied with what was known before. A PSF given as FWHM is broadened in quadrature
        by the second moment of the weights; a kernel is resampled like an image. Bins and
        labels take the nearest pixel, and so do the fluxes of binned images.

        Parameters
        ----------
        wcs : `~astropy.wcs.WCS` or `~astropy.io.fits.Header`
            The new grid.
        shape : tuple of int, optional
            Its shape ``(y, x)``; needed if ``wcs.array_shape`` does not say it.
        method : {"exact", "adaptive", "interp"}, optional
            ``"exact"``: overlap of pixels on the sphere; slow, and flux is conserved exactly.
            ``"adaptive"``: Gaussian kernel that adapts to the pixels (DeForest 2004, Solar
            Physics 219, 3); smooth, blurs a little. ``"interp"``: bilinear; fast, but skips
            pixels where the new ones are much larger.
        progress : bool, optional
            Whether to show a progress bar; None: if the work is long and there is a terminal.

        Returns
        -------
        BandImages
            On the new grid, bands in their own units (asinh magnitudes become nmgy) with
            standard deviations, as float32.

        Raises
        ------
        InvalidInputError
            If the images have no WCS, or do not overlap with the grid.

        See Also
        --------
        picasssso.preparation.align_bands : The same block by block, for large fields.
        """
        from picasssso.bands.resampling import reproject_images

        return reproject_images(self, wcs, shape, method, progress)

    def with_estimated_noise(
        self,
        bands: Sequence[str] | None = None,
        *,
        box_size: int = 64,
        gain: Any = None,
        source_mask: npt.NDArray[np.bool_] | None = None,
    ) -> BandImages:
        """Return images with standard deviations estimated from their background.

        Sources are detected in the smoothed image (or taken from ``source_mask``) and left
        out. In boxes of the rest the scatter is measured as the sigma-clipped median absolute
        deviation times 1.4826, and interpolated between boxes (photutils ``Background2D``).
        The photon noise of the sources themselves is added if ``gain`` is given, as
        (value - background) / gain where that is positive. The correlation of the noise is
        not estimated: see `noise_scaling`.

        Parameters
        ----------
        bands : sequence of str, optional
            Bands to treat, replacing what uncertainty they have; default: those without.
        box_size : int, optional
            Side of the boxes, pixels.
        gain : `~astropy.units.Quantity` or mapping, optional
            Electrons per image unit, such as ``4.5 * u.electron / u.adu``, for all bands or
            by band.
        source_mask : ndarray of bool, shape (y, x), optional
            True on sources.

        Returns
        -------
        BandImages
            The bands in their own units (asinh magnitudes become nmgy).

        Raises
        ------
        InvalidInputError
            If too few pixels are free of sources, or the background has no scatter.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from astropy.nddata import CCDData, NDData
        >>> from picasssso.bands import BandImages
        >>> sky = np.random.default_rng(1).normal(10, 0.5, (80, 80))
        >>> images = BandImages({"sdss2010-r": CCDData(sky, unit="nmgy")}, redshift=0.02,
        ...                     pixel_scale=0.4 * u.arcsec)
        >>> images.missing_uncertainty
        ('sdss2010-r',)
        >>> noise = images.with_estimated_noise()["sdss2010-r"].uncertainty.array
        >>> round(float(np.median(noise)), 1)
        0.5
        """
        from picasssso.bands.background import estimate_noise

        return estimate_noise(self, bands, box_size=box_size, gain=gain, source_mask=source_mask)

    def plot(
        self,
        ax: Axes | None = None,
        bands: Sequence[str] | None = None,
        *,
        brightest: float = 99.7,
        softening: float = 3.0,
    ) -> Axes:
        """Show three bands as a colour picture (Lupton et al. 2004, PASP 116, 133).

        Parameters
        ----------
        ax : `~matplotlib.axes.Axes`, optional
            Where to draw; default: new axes with the images' WCS.
        bands : sequence of str, optional
            One, two or three bands, from red to blue; default: those nearest to 760, 620
            and 480 nm. With two, green is their mean; one gives a grey picture.
        brightest : float, optional
            Percentile of the brightness that becomes white.
        softening : float, optional
            Brightness, in units of the noise, up to which the stretch is linear: smaller
            shows more of the faint parts.

        Returns
        -------
        `~matplotlib.axes.Axes`
            The axes.
        """
        from picasssso.bands.plotting import plot_images

        return plot_images(self, ax, bands, brightest, softening)

    # Files ------------------------------------------------------------------------------

    def write(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Write everything to a FITS file (format 1), from which `read` restores it.

        Parameters
        ----------
        path : str or path-like
            Name of the file.
        overwrite : bool, optional
            Whether an existing file may be replaced.

        Raises
        ------
        FileFormatError
            If the file exists or cannot be written; nothing is left behind then.
        """
        from picasssso.bands.files import write_images

        write_images(self, path, overwrite)

    @classmethod
    def read(
        cls,
        files: Any,
        *,
        redshift: float | None = None,
        survey: str | None = None,
        format: str | None = None,
        zero_point: Any = None,
        unit: Any = None,
        weight: Any = None,
        uncertainty: Any = None,
        variance: Any = None,
        mask: Any = None,
        mask_bits: int | None = None,
        onto: Any = None,
        **arguments: Any,
    ) -> BandImages:
        """Read images from files of any format, and what `write` wrote.

        The format of each file is recognized from its headers (`picasssso.io.recognize`), and
        unit, zero point, noise and mask are those that it defines; what was found is kept in
        ``meta["source"]``. Nothing is guessed: what a file does not say is asked for.
        Large images are memory-mapped where the format allows.

        Parameters
        ----------
        files : path, sequence of paths, or mapping from band to path or paths
            Images, and the weight and mask files that go with them; or one file written by
            `write`. Bands come from the headers unless they are given. In a mapping
            ``"file.fits[HDU]"`` names the HDU of the image by name, number, or name and
            EXTVER (``[SCI,2]``); of noise and mask only what is named is read then.
        redshift : float
            Observed redshift. Required, but for files written by `write`, whose it replaces.
        survey : str, optional
            Survey of bare band names.
        format : str, optional
            Format of all files, instead of recognizing it; one of `picasssso.io.list_formats`.
        zero_point : `~astropy.units.Quantity` or mapping, optional
            Magnitude of one count, for images in counts. Default: what the format defines; in
            other files the first of MAGZERO (DECam bands), FLUXMAG0 (HSC bands), MAGZEROP
            (Euclid bands), ZP_AB, ABZP, MAGZP_AB.
        unit : str, `~astropy.units.UnitBase` or mapping, optional
            Unit of the images; default: what the format defines, or BUNIT. One that
            contradicts BUNIT is taken, with a warning.
        weight, uncertainty, variance : str, int, path or mapping, optional
            HDU (of the same file), or ``"file.fits[HDU]"``, of inverse variances, standard
            deviations or variances, in their own BUNIT or the image's unit; instead of those
            that the format defines. A weight beside an uncertainty says where there are data.
        mask : str, int, path or mapping, optional
            The same of a mask, non-zero where bad.
        mask_bits : int, optional
            Bits of ``mask`` that mean bad; default: those that its header names so, else all.
        onto : str, `~astropy.wcs.WCS` or `~astropy.io.fits.Header`, optional
            Grid for bands on different ones, as of `picasssso.bands.align`; default: they must
            be on the same.
        **arguments : object
            Other arguments of `BandImages`, such as ``psf``.

        Returns
        -------
        BandImages
            The images.

        Raises
        ------
        FileFormatError
            If a file is missing, no FITS, damaged, not what its header says, or of a format
            that needs a newer version.
        InvalidInputError
            If an HDU is missing, something that the file does not say is not given, or bands
            are on different grids.

        Warns
        -----
        PicassssoWarning
            If the noise that a file states is off by more than a factor of 2 from what its
            pixels show, or a unit that is given contradicts BUNIT.

        Examples
        --------
        >>> import os, tempfile
        >>> from astropy import units as u
        >>> from astropy.io import fits
        >>> from astropy.wcs import WCS
        >>> from picasssso.bands import BandImages
        >>> wcs = WCS(naxis=2)
        >>> wcs.wcs.ctype, wcs.wcs.cdelt = ("RA---TAN", "DEC--TAN"), (-1e-4, 1e-4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "r.fits")
        ...     fits.PrimaryHDU([[1.0, 2.0], [3.0, 4.0]], wcs.to_header()).writeto(path)
        ...     images = BandImages.read({"sdss2010-r": path}, redshift=0.1,
        ...                              zero_point=30 * u.ABmag)
        >>> images
        <BandImages: sdss2010-r; 2 x 2 pixels of 0.36 arcsec; z = 0.1>
        """
        # Files are the business of `picasssso.io`, a room above this one. As plugins are, it is
        # found by name when it is needed, so that no import points up.
        return load("picasssso.io.reading:read")(
            files,
            redshift=redshift,
            survey=survey,
            format=format,
            zero_point=zero_point,
            unit=unit,
            weight=weight,
            uncertainty=uncertainty,
            variance=variance,
            mask=mask,
            mask_bits=mask_bits,
            onto=onto,
            **arguments,
        )

    @classmethod
    def _restore(cls, images: Any, arguments: dict[str, Any]) -> BandImages:
        """Make images that were whole once, whose bands may be masked all over."""
        new = object.__new__(cls)
        # What is kept of the pixels' areas, so that parts keep the values of the whole.
        areas = {"solid_angle": "pixel_solid_angle_arcsec2", "equal_pixels": "equal_pixels"}
        known = {name: arguments.pop(key) for name, key in areas.items() if key in arguments}
        new._open(images, arguments, allow_empty=True)
        return new._derive(**known)

    @classmethod
    def from_cube(
        cls,
        cube: Any,
        bands: Sequence[str],
        unit: Any = None,
        *,
        wcs: WCS | None = None,
        uncertainty: Any = None,
        mask: Any = None,
        **arguments: Any,
    ) -> BandImages:
        """Make images of a cube with one plane per band.

        Parameters
        ----------
        cube : array, `~astropy.units.Quantity` or `~astropy.nddata.NDData`
            Of shape (bands, y, x); its planes are not copied.
        bands : sequence of str
            Name of each plane.
        unit : str or `~astropy.units.UnitBase`, optional
            Unit of all planes, unless the cube has one.
        wcs : `~astropy.wcs.WCS`, optional
            Celestial WCS, unless the cube has one.
        uncertainty : `~astropy.nddata.NDUncertainty` or array, optional
            Of the cube's shape; a bare array holds standard deviations in the cube's unit.
        mask : array, optional
            Of the cube's shape or of one plane's; non-zero where bad.
        **arguments : object
            Other arguments of `BandImages`; ``redshift`` is required.

        Returns
        -------
        BandImages
            The images.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy import units as u
        >>> from picasssso.bands import BandImages
        >>> BandImages.from_cube(np.ones((3, 8, 9)), ["g", "r", "z"], "nmgy", survey="decals",
        ...                      redshift=0.02, pixel_scale=0.262 * u.arcsec)
        <BandImages: decam2014-g, decam2014-r, decam2014-z; 8 x 9 pixels of 0.262 arcsec; z = 0.02>
        """
        from picasssso.bands.cubes import list_cube

        planes = list_cube(cube, bands, unit, wcs=wcs, uncertainty=uncertainty, mask=mask)
        return cls(planes, **arguments)
