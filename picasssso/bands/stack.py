"""What images hold: bands on one pixel grid, checked once and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, overload

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import CCDData, NDData
from astropy.wcs import WCS

from picasssso._core.quiet import copy_wcs
from picasssso.bands import checks, slots
from picasssso.bands.band_names import resolve_band
from picasssso.bands.band_record import BandRecord, read_only
from picasssso.bands.flux_units import FluxScale, flux_scale, is_count_like, is_magnitude
from picasssso.bands.pixels import (
    SAME_GRID,
    central_solid_angle,
    check_slices,
    grid_offset,
    has_equal_pixels,
    slice_wcs,
)
from picasssso.bands.plausibility import check_stated
from picasssso.bands.psf_width import kernel_fwhm
from picasssso.exceptions import InvalidInputError, InvalidTypeError, MissingBandError
from picasssso.filters.curves import pivot_wavelength
from picasssso.filters.user_curves import adopt_curves, own_curves

if TYPE_CHECKING:
    from astropy.cosmology import FLRW

    from picasssso.bands.galactic_extinction import GalacticExtinction
    from picasssso.bands.noise_scaling import NoiseScaling

Slices = tuple[slice, slice]

#: Below this redshift peculiar velocities make a distance from the redshift meaningless.
MIN_COSMOLOGICAL_REDSHIFT = 0.003


class UnknownBandError(MissingBandError, KeyError):
    """A band that these images do not have; a `KeyError` too, as mappings raise."""

    __str__ = Exception.__str__


class BandStack(Mapping[str, CCDData]):
    """The bands, their pixels on the sky and what is known of them; see `BandImages`."""

    _records: dict[str, BandRecord]
    _slots: dict[str, dict[str, Any]]  # what comes per band
    _facts: dict[str, Any]  # what holds for all

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
        check_stated(self.psf, float(self.pixel_scale.value), self.shape, self._facts)

    def _open(self, images: Any, given: dict[str, Any], *, allow_empty: bool = False) -> None:
        """Check everything in the order promised, and keep it."""
        if isinstance(images, BandStack):
            raise InvalidTypeError(
                "images: found BandImages, whose PSF, errors and notes would be lost. Use "
                "images.replace(...) to change some of them."
            )
        how = {name: given[name] for name in ("survey", "zero_point", "asinh_softening")}
        found = checks.check_images(images, allow_empty=allow_empty, **how)
        records, names, originals, zero_points = found
        self._shape = originals[0].data.shape
        self._wcs, scale, self._solid_angle = checks.check_grid(
            names, originals, given["pixel_scale"]
        )
        self._equal_pixels = self._wcs is None or has_equal_pixels(
            self._wcs, self._shape, self._solid_angle
        )
        records = checks.check_names(records, names, given["survey"], zero_points)
        self._facts = slots.check_facts(given, self._shape) | {"pixel_scale": scale}
        self._slots = slots.check_slots(records, originals, zero_points, given)
        self._records = checks.check_uncertainties(records, originals, zero_points, allow_empty)

    @classmethod
    def _restore(cls, images: Any, arguments: dict[str, Any]) -> Self:
        """Make images that were whole once, whose bands may be masked all over."""
        new = object.__new__(cls)
        # What is kept of the pixels' areas, so that parts keep the values of the whole.
        areas = {"solid_angle": "pixel_solid_angle_arcsec2", "equal_pixels": "equal_pixels"}
        known = {name: arguments.pop(key) for name, key in areas.items() if key in arguments}
        new._open(images, arguments, allow_empty=True)
        return new._derive(**known)

    def _derive(self, **changes: Any) -> Self:
        """Return a copy with some facts or private attributes changed, unchecked."""
        new = object.__new__(type(self))
        facts = {key: changes.pop(key) for key in list(changes) if key in self._facts}
        new.__dict__.update(self.__dict__)
        new.__dict__.update({f"_{name}": value for name, value in changes.items()})
        new._facts = {**new._facts, **facts}
        return new

    def _arguments(self) -> dict[str, Any]:
        """Return the constructor's keyword arguments."""
        return {**self._facts, **{slot: dict(values) for slot, values in self._slots.items()}}

    # ---- the mapping ------------------------------------------------------------------------

    @overload
    def __getitem__(self, key: str) -> CCDData: ...

    @overload
    def __getitem__(self, key: Slices) -> Self: ...

    def __getitem__(self, key: str | Slices) -> CCDData | Self:
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
        return isinstance(key, str) and resolve_band(key, self.survey) in self._records

    def __getstate__(self) -> dict[str, Any]:
        # Another process may not have the curves that were defined in this one.
        return {**self.__dict__, "filters": own_curves(self._records)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        adopt_curves(state.pop("filters", {}), "what was pickled")
        self.__dict__.update(state)

        def protected(values: dict[str, Any]) -> dict[str, Any]:
            # Pickle and deepcopy forget that arrays are read-only; a Quantity is no matter.
            return {k: read_only(v) if type(v) is np.ndarray else v for k, v in values.items()}

        whole = slice(None), slice(None)
        self._records = {band: record.cut(whole) for band, record in self._records.items()}
        self._slots = {**self._slots, "psf": protected(self._slots["psf"])}
        self._facts = protected(self._facts)

    def _find(self, band: Any) -> str:
        """Return the full name of a band that these images have."""
        name = resolve_band(band, self.survey)
        if name not in self._records:
            near = [one for one in self._records if one.endswith(f"-{band}")]
            meant = f" Is {near[0]!r} meant?" if len(near) == 1 else ""
            raise UnknownBandError(
                f"Band {band!r}: found none of that name, the images have {', '.join(self)}."
                + meant
            )
        return name

    def _find_all(self, bands: str | Iterable[str]) -> list[str]:
        """Return the full names of several bands; one name stands for itself."""
        return [self._find(band) for band in ([bands] if isinstance(bands, str) else bands)]

    def _check_region(self, region: Any) -> Slices:
        return check_slices(region, self._shape, "images", "a band name")

    def _cut(self, slices: Slices) -> Self:
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
            bins=None if self.bins is None else self.bins[slices],
            labels=None if self.labels is None else self.labels[slices],
        )

    # ---- what holds for all bands -----------------------------------------------------------

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
        return None if self._wcs is None else copy_wcs(self._wcs)

    @property
    def survey(self) -> str | None:
        """Survey of bare band names (str or None)."""
        return self._facts["survey"]

    @property
    def redshift(self) -> float:
        """Observed redshift (float)."""
        return self._facts["redshift"]

    @property
    def cosmology(self) -> FLRW:
        """The cosmology (`~astropy.cosmology.FLRW`), Planck18 unless another was given."""
        if self._facts["cosmology"] is None:
            from astropy.cosmology import Planck18

            return Planck18
        return self._facts["cosmology"]

    @property
    def luminosity_distance(self) -> u.Quantity | None:
        """Luminosity distance in Mpc, as given or from the cosmology.

        None if it was not given and the redshift is below 0.003, where peculiar velocities
        make it meaningless.
        """
        given = self._facts["luminosity_distance"]
        if given is not None or self.redshift < MIN_COSMOLOGICAL_REDSHIFT:
            return given
        return self.cosmology.luminosity_distance(self.redshift).to(u.Mpc)

    @property
    def angular_diameter_distance(self) -> u.Quantity | None:
        """Angular diameter distance in Mpc, D_L / (1 + z)^2; None where that is None."""
        distance = self.luminosity_distance
        return None if distance is None else distance / (1 + self.redshift) ** 2

    @property
    def pixel_solid_angle(self) -> u.Quantity:
        """Solid angle of a pixel at the image's center, arcsec2, which cutouts keep."""
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
                f"pixel_area: found z = {self.redshift:g} without a distance, expected one: "
                f"below z = {MIN_COSMOLOGICAL_REDSHIFT} the redshift does not determine it. Use "
                "images.replace(luminosity_distance=... * u.Mpc)."
            )
        return (distance**2 * self.pixel_solid_angle.to_value(u.rad**2)).to(u.kpc**2)

    @property
    def galactic_extinction(self) -> GalacticExtinction | None:
        """The dust of the Galaxy, if known."""
        return self._facts["galactic_extinction"]

    @property
    def bins(self) -> npt.NDArray[np.integer] | None:
        """Bins measured as one; negative: no bin. Read-only."""
        return self._facts["bins"]

    @property
    def labels(self) -> npt.NDArray[np.integer] | None:
        """Targets in the field; 0: none. Read-only."""
        return self._facts["labels"]

    @property
    def meta(self) -> Mapping[str, Any]:
        """Notes given by the user; a read-only copy."""
        return MappingProxyType(deepcopy(self._facts["meta"]))

    # ---- what comes per band ----------------------------------------------------------------

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
    def missing_uncertainty(self) -> tuple[str, ...]:
        """Bands without uncertainty (tuple of str); see `BandImages.with_estimated_noise`."""
        return tuple(b for b, record in self._records.items() if record.uncertainty is None)

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

    def sky_error_nmgy(self, band: str) -> float:
        """Return the error of the sky level in a pixel.

        Parameters
        ----------
        band : str
            Name of the band.

        Returns
        -------
        float
            In nmgy per pixel at the image's center; 0 where none is known.
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

    # ---- the same with other bands, facts or pixels -----------------------------------------

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
        >>> from picasssso.data import load_example
        >>> flux, inverse_variance = load_example()[0].to_arrays(bands=["sdss2010-r"])
        >>> flux.shape, flux.dtype
        ((1, 128, 128), dtype('float32'))
        """
        slices = self._check_region((slice(None), slice(None)) if region is None else region)
        names = self.bands if bands is None else self._find_all(bands)
        shape = (len(names), *(part.stop - part.start for part in slices))
        flux = np.empty(shape, dtype=np.float32)
        inverse_variance = np.empty(shape, dtype=np.float32)
        area: Any = self._solid_angle
        per_area = any(self._records[name].scale.per_area for name in names)
        if per_area and self._wcs is not None and not self._equal_pixels:
            from picasssso._core.solid_angles import solid_angles

            y, x = np.ogrid[slices]
            area = solid_angles(self._wcs, x, y)
        for k, name in enumerate(names):
            flux[k], inverse_variance[k] = self._records[name].to_flux(slices, area)
        return flux, inverse_variance

    def select(self, bands: Sequence[str]) -> Self:
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
        InvalidInputError
            If a band is missing, there are none, or one is named twice.
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

    def replace(self, **changes: Any) -> Self:
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
        >>> from picasssso.data import load_example
        >>> load_example()[0].replace(redshift=0.05).redshift
        0.05
        """
        arguments = self._arguments()
        self._check_changes("replace", set(changes) - {"images"})
        if "images" not in changes:
            new = self._restore(self._as_given(), arguments | changes)
            new = new if "pixel_scale" in changes else self._keep_areas(new)
        else:
            images = checks.list_images(changes.pop("images"))
            kept = {resolve_band(band, changes.get("survey", self.survey)) for band, _ in images}
            for slot in slots.PER_BAND_SLOTS:
                arguments[slot] = {b: v for b, v in arguments[slot].items() if b in kept}
            (new := object.__new__(type(self)))._open(images, arguments | changes)
        check_stated(new.psf, float(new.pixel_scale.value), new.shape, new._facts, changes)
        return new

    def with_planes(self, planes: Mapping[str, NDData], **changes: Any) -> Self:
        """Return the same images with new pixels; what is known about them stays.

        What changes pixels uses it, so that nothing is lost on the way: PSF, noise scaling,
        errors of sky and zero point, extinction, bins, labels, notes and distance are kept.
        A zero point or softening for which a band's new unit has no use is dropped.

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
        InvalidInputError, InvalidTypeError
            If a band is unknown, or a plane or an argument wrong, as for `BandImages`.

        Examples
        --------
        >>> from astropy.nddata import NDData
        >>> from picasssso.data import load_example
        >>> images, truth = load_example()
        >>> r = images["sdss2010-r"]
        >>> twice = NDData(2 * r.data, unit=r.unit, uncertainty=r.uncertainty, mask=r.mask)
        >>> images.with_planes({"sdss2010-r": twice}).redshift
        0.03
        """
        found = self._as_given()
        arguments = self._arguments()
        self._check_changes("with_planes", changes)
        for given, plane in checks.list_images(planes):
            band = self._find(given)
            record = self._records[band]
            found[band] = plane  # what is no NDData is refused at the door
            if isinstance(plane, NDData):
                found[band] = NDData(
                    plane.data,
                    unit=plane.unit,
                    uncertainty=plane.uncertainty,
                    mask=plane.mask,
                    wcs=self._wcs if plane.wcs is None else plane.wcs,
                    meta=plane.meta or record.meta,
                )
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

    def _as_given(self) -> dict[str, NDData]:
        return {band: record.to_nddata(self._wcs) for band, record in self._records.items()}

    def _keep_areas(self, new: Self) -> Self:
        """Let images on the same grid keep what is known of its pixels' areas."""
        same = new._shape == self._shape and (new._wcs is None) == (self._wcs is None)
        if same and new._wcs is not None and self._wcs is not None:
            same = grid_offset(new._wcs, self._wcs, self._shape)[0] < SAME_GRID
        if same:
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
