"""The input of readers: a FITS file with the arguments that the user gave for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import NDData, NDUncertainty
from astropy.wcs import WCS

from picasssso._core.fits_files import (
    HDUKey,
    celestial_wcs,
    find_image,
    image_shape,
    list_hdus,
    open_fits,
    read_array,
    read_cube,
)
from picasssso._core.words import with_article
from picasssso.bands.flux_units import is_count_like, parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.io.asdf_files import is_asdf, open_asdf
from picasssso.io.band_planes import BandPlane, BitMask, Mask, Noise
from picasssso.io.keywords import bad_bits, bits_set, check_filter, contradicts, make_uncertainty
from picasssso.io.stated import Stated


@dataclass(frozen=True, eq=False)
class ImageFile:
    """A FITS file with the user's arguments: headers, and arrays that are read on demand.

    Parameters
    ----------
    path : str
        Name of the file.
    band : str, optional
        Full name of the band, if given by the user.
    hdu : str, int or (str, int), optional
        HDU of the image, if given by the user (``"file.fits[SCI,2]"``).
    stated : Stated, optional
        Other arguments given by the user, such as `zero_point`.
    companions : dict, optional
        Files that belong to this one, by role (see `Recognition`).
    layer : int, optional
        Which image is meant of an HDU with three axes.

    Examples
    --------
    >>> from picasssso.io import ImageFile
    >>> print(ImageFile("frame-r-003903-3-0123.fits", band="sdss2010-r"))
    Band 'sdss2010-r': frame-r-003903-3-0123.fits
    """

    path: str
    band: str | None = None
    hdu: HDUKey | None = None
    stated: Stated = field(default_factory=Stated)
    companions: Mapping[str, ImageFile] = field(default_factory=dict)
    layer: int | None = None

    def __str__(self) -> str:
        return self.path if self.band is None else f"Band {self.band!r}: {self.path}"

    def _open(self) -> AbstractContextManager[fits.HDUList]:
        what = "File" if self.band is None else f"Band {self.band!r}"
        return (open_asdf if is_asdf(self.path) else open_fits)(self.path, what)

    @cached_property
    def _content(self) -> tuple[list[fits.Header], list[int], str]:
        with self._open() as hdus:
            axes = [len(image_shape(hdu) or ()) for hdu in hdus]
            return [hdu.header.copy() for hdu in hdus], axes, list_hdus(hdus)

    @cached_property
    def named(self) -> int | None:
        """Number of the HDU given by the user (int or None)."""
        if self.hdu is None:
            return None
        what = "File" if self.band is None else f"Band {self.band!r}"
        with self._open() as hdus:
            cube = self.layer is not None
            found = find_image(hdus, self.hdu, what, self.path, cube=cube)
            return next(k for k, hdu in enumerate(hdus) if hdu is found)

    @property
    def headers(self) -> list[fits.Header]:
        """Headers of all HDUs (list of `~astropy.io.fits.Header`)."""
        return self._content[0]

    @property
    def contents(self) -> str:
        """A short list of the HDUs, for messages (str)."""
        return self._content[2]

    @property
    def axes(self) -> list[int]:
        """Number of axes of the image in each HDU, without those of length 1; 0: no image."""
        return self._content[1]

    @property
    def name(self) -> str:
        """Name of the file without its folder (str)."""
        return Path(self.path).name

    @property
    def images(self) -> list[int]:
        """Numbers of the HDUs that contain an image (list of int)."""
        return [k for k, axes in enumerate(self.axes) if axes > 0]

    @property
    def first_image(self) -> int:
        """Number of the first HDU that contains an image (int)."""
        if not self.images:
            raise FileFormatError(f"{self}: found no image among {self.contents}, expected one.")
        return self.images[0]

    def label(self, hdu: int) -> str:
        """Return the name of an HDU, in capitals.

        Parameters
        ----------
        hdu : int
            Number of the HDU.

        Returns
        -------
        str
            EXTNAME, or an empty string.
        """
        return str(self.headers[hdu].get("EXTNAME", "")).strip().upper()

    def find(self, *names: str) -> int | None:
        """Return the number of the first HDU with one of these names.

        Parameters
        ----------
        *names : str
            Values of EXTNAME, in capitals.

        Returns
        -------
        int or None
            Number of the HDU; None if there is none.
        """
        return next((k for k in range(len(self.headers)) if self.label(k) in names), None)

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return a keyword's value in the given HDU, or in the first header that contains it.

        Parameters
        ----------
        keyword : str
            The keyword.
        default : object, optional
            What to return if there is none.

        Returns
        -------
        object
            Its value.
        """
        first = [] if self.named is None else [self.headers[self.named]]
        found = (header[keyword] for header in [*first, *self.headers] if keyword in header)
        try:
            return next(found, default)
        except fits.VerifyError as error:
            raise FileFormatError(
                f"{self}: found a header that cannot be read ({error}) Correct it, or download "
                "the file again."
            ) from error

    def text(self, *keywords: str) -> str:
        """Return the values of keywords as one string.

        Parameters
        ----------
        *keywords : str
            Keywords; missing ones are omitted.

        Returns
        -------
        str
            Values, separated by spaces.
        """
        values = [self.get(key, "") for key in keywords]
        # Numbers of channels and bands are whole, in whatever way they are written.
        whole = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values]
        return " ".join(str(value).strip() for value in whole).strip()

    def header(self, hdu: int) -> fits.Header:
        """Return the header of an HDU, with what a first HDU without image says for all.

        Parameters
        ----------
        hdu : int
            Number of the HDU.

        Returns
        -------
        `~astropy.io.fits.Header`
            A copy, in which the HDU's own keywords go before those of the first.
        """
        found = self.headers[hdu].copy()
        if self.axes[0] == 0 and hdu > 0:
            found.extend(self.headers[0], unique=True)
        return found

    def bunit(self, hdu: int) -> str:
        """Return the unit of an HDU as a string.

        Parameters
        ----------
        hdu : int
            Number of the HDU.

        Returns
        -------
        str
            BUNIT of the HDU, or of a first HDU without image; empty if there is none.
        """
        return str(self.header(hdu).get("BUNIT", "")).strip()

    def number(self, keyword: str, hdu: int | None = None) -> float:
        """Return the value of a keyword as a number.

        Parameters
        ----------
        keyword : str
            The keyword.
        hdu : int, optional
            Number of the HDU; default: the first that contains the keyword.

        Returns
        -------
        float
            Its value.

        Raises
        ------
        FileFormatError
            If it is missing or not a finite number.
        """
        value = self.get(keyword) if hdu is None else self.headers[hdu].get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise FileFormatError(
                f"{self}: found {keyword} = {value!r}, expected a number. Download the file "
                "again; if it is meant to be so, correct the header."
            )
        return float(value)

    def array(
        self,
        hdu: int,
        what: str = "image",
        *,
        like: Sequence[int] | None = None,
        cube: bool = False,
    ) -> npt.NDArray[Any]:
        """Return the array of an HDU; large ones are memory-mapped if the format allows it.

        Parameters
        ----------
        hdu : int
            Number of the HDU.
        what : str, optional
            Description of the array, for messages.
        like : sequence of int, optional
            Required shape.
        cube : bool, optional
            Whether any number of axes is allowed; default: two.

        Returns
        -------
        ndarray, shape (y, x)
            The array, without further axes of length 1.

        Raises
        ------
        FileFormatError
            If the array is damaged, or has a different shape or number of axes.
        """
        if is_asdf(self.path):
            with self._open() as hdus:
                array = hdus[hdu].data
        elif cube:
            array = read_cube(self.path, hdu, f"{self}: {what}")
        elif self.axes[hdu] == 3 and self.layer is not None:
            layers = read_cube(self.path, hdu, f"{self}: {what}")
            if self.layer >= len(layers):
                raise FileFormatError(
                    f"{self}: found {len(layers)} planes in HDU {hdu} ({what}), expected one for "
                    f"each band, {self.layer + 1} or more."
                )
            array = layers[self.layer]
        elif self.axes[hdu] != 2:
            raise FileFormatError(
                f"{self}: found {self.axes[hdu]} axes in HDU {hdu} ({what}), expected 2. The "
                f"file holds {self.contents}."
            )
        else:
            array = read_array(self.path, hdu, f"{self}: {what}")[0]
        if like is not None and array.shape != tuple(like):
            raise FileFormatError(
                f"{self}: found {with_article(what)} of shape {array.shape} for an image of shape "
                f"{tuple(like)}, expected the same. Files of different cutouts may be mixed up."
            )
        return array

    def wcs(self, hdu: int) -> WCS | None:
        """Return the celestial WCS of an HDU.

        Parameters
        ----------
        hdu : int
            Number of the HDU.

        Returns
        -------
        `~astropy.wcs.WCS` or None
            Two-dimensional WCS; None if the header contains none.

        Raises
        ------
        FileFormatError
            If the WCS cannot be read.
        """
        return celestial_wcs(self.headers[hdu], str(self))

    def band_of(self, name: str, filters: Mapping[str, str]) -> str:
        """Return the band of a filter, or the one given by the user.

        Parameters
        ----------
        name : str
            Name of the filter in the header.
        filters : mapping
            Full names of bands, by the names used in headers.

        Returns
        -------
        str
            Full name of the band.

        Raises
        ------
        InvalidInputError
            If the filter is unknown and the user gave no band.
        """
        if self.band is not None:
            check_filter(self.band, filters.get(name), str(self))
            return self.band
        if name not in filters:
            raise InvalidInputError(
                f"{self}: found the filter {name!r}, expected one of "
                f"{', '.join(filters) or 'those of a camera that is known'}. Give the band: "
                f"BandImages.read({{{next(iter(filters.values()), 'sdss2010-r')!r}: path}}, ...)."
            )
        return filters[name]

    def zero_point(
        self, band: str, define: Callable[[], float], source: str
    ) -> tuple[u.Quantity, str]:
        """Return the zero point given by the user for a band, or else that of the file.

        Parameters
        ----------
        band : str
            The band.
        define : callable
            Returns the AB magnitude of one count, as defined by the file.
        source : str
            The keyword or formula that defines it, for the record.

        Returns
        -------
        zero_point : `~astropy.units.Quantity`
            AB magnitude of one count.
        source : str
            ``"given"``, or ``source``.
        """
        given = self.stated.zero_point(band)
        return (define() * u.ABmag, source) if given is None else (given, "given")

    def noise(
        self, kind: str, hdu: int, unit: u.UnitBase, shape: Sequence[int], band: str | None = None
    ) -> NDUncertainty | None:
        """Return the noise in an HDU, in its own unit if it has one.

        Parameters
        ----------
        kind : {"std", "var", "ivar"}
            Standard deviations, variances or inverse variances; overridden by UTYPE in the header,
            as written by `~astropy.nddata.CCDData`.
        hdu : int
            Number of the HDU.
        unit : `~astropy.units.UnitBase`
            Unit of the image.
        shape : tuple of int
            Shape of the image.
        band : str, optional
            The band, where its wavelength is needed to convert the unit.

        Returns
        -------
        `~astropy.nddata.NDUncertainty` or None
            The noise; pixels where it is not positive and finite have no data. None, with a
            warning, if it is relative to the flux.
        """
        what = {"std": "uncertainty", "var": "variance", "ivar": "weight"}[kind]
        array = self.array(hdu, what, like=shape)
        header = self.headers[hdu]
        bunit = header.get("BUNIT")
        image = self.first_image if self.named is None else self.named
        # What only repeats the image's BUNIT says nothing of its own.
        repeats = hdu != image and bunit == self.headers[image].get("BUNIT")
        own = None if repeats and "UTYPE" not in header else bunit
        return make_uncertainty(
            kind, array, header.get("UTYPE"), own, unit, band or self.band or ""
        )

    def bad_pixels(
        self, hdu: int, shape: Sequence[int], bits: int | None = None
    ) -> npt.NDArray[Any]:
        """Return the bad pixels of a mask.

        Parameters
        ----------
        hdu : int
            Number of the HDU of the mask.
        shape : tuple of int
            Shape of the image.
        bits : int, optional
            Bits that mark bad pixels; default: those named in the header, or else all.

        Returns
        -------
        ndarray of bool or int, shape (y, x)
            True, or nonzero, for bad pixels.
        """
        array = self.array(hdu, "mask", like=shape)
        if bits is None and array.dtype.kind in "biu" and bad_bits(self.headers[hdu]) == ~0:
            return array  # as it is in the file, memory-mapped if it is large
        return bits_set(array, bad_bits(self.headers[hdu]) if bits is None else bits, str(self))

    def noise_beside(self, role: str, kind: str, band: str | None = None) -> Noise | None:
        """Return a function that reads the noise from a companion.

        Parameters
        ----------
        role : str
            Role of the companion (see `Recognition`).
        kind : {"std", "var", "ivar"}
            Kind of noise in it.
        band : str, optional
            The band, where its wavelength is needed to convert the unit.

        Returns
        -------
        callable or None
            An argument of `plane`; None if there is no such companion.
        """
        beside = self.companions.get(role)
        if beside is None:
            return None
        band = band or self.band
        return lambda shape, unit: beside.noise(kind, beside.first_image, unit, shape, band)

    def no_data_beside(self, role: str, *names: str) -> Mask | None:
        """Return a function that reads where a weight or coverage map is not positive.

        Parameters
        ----------
        role : str
            Role of the companion.
        *names : str
            Values of EXTNAME, in capitals, of such a map in the same file.

        Returns
        -------
        callable or None
            An argument of `plane`; None if there is no such map.
        """
        beside = self.companions.get(role)
        if beside is not None:
            return lambda shape: ~(beside.array(beside.first_image, role, like=shape) > 0)
        inside = self.find(*names)
        return (
            None if inside is None else lambda shape: ~(self.array(inside, role, like=shape) > 0)
        )

    def plane(
        self,
        hdu: int,
        band: str,
        unit: Any,
        *,
        data: npt.NDArray[Any] | None = None,
        noise: tuple[str, int | None] | Noise | None = None,
        mask: int | Mask | None = None,
        zero_point: u.Quantity | None = None,
        psf: Any = None,
        **record: Any,
    ) -> BandPlane:
        """Return one band of this file, with the WCS and header of an HDU.

        A unit given by the user overrides ``unit``, with a warning if the header contains a
        different one. Without it, a different unit in the header is an error. If the user gave
        noise or a mask, ``noise`` or ``mask`` are not used.

        Parameters
        ----------
        hdu : int
            Number of the HDU.
        band : str
            The band.
        unit : str or `~astropy.units.UnitBase`
            Unit of the values.
        data : ndarray, shape (y, x), optional
            Values; default: those of the HDU.
        noise : (str, int) or callable, optional
            Kind and HDU of the noise, as for `noise`, such as ``("ivar", file.find("WGT"))``; or a
            function of shape and unit that returns the uncertainty. HDU None: no noise.
        mask : int or callable, optional
            HDU of a mask, as for `bad_pixels`; or a function of the shape that returns where the
            image is bad; for a bit mask, a ``BitMask``.
        zero_point : `~astropy.units.Quantity`, optional
            AB magnitude of one count.
        psf : `~astropy.units.Quantity`, optional
            FWHM of the PSF.
        **record : object
            Entries of ``meta["source"]``; those that are None are omitted.

        Returns
        -------
        BandPlane
            The band.
        """
        data = self.array(hdu) if data is None else data
        stated, bunit = self.stated.of("unit", band), self.headers[hdu].get("BUNIT")
        unit = parse_unit(unit if stated is None else stated, band, "unit")
        if stated is not None and contradicts(bunit, unit):
            warnings.warn(
                f"Band {band!r}: found BUNIT={str(bunit)!r} in {self.path}, but unit="
                f"{str(unit)!r} was given and is used. Omit it if the header is correct.",
                PicassssoWarning,
                stacklevel=6,
            )
        elif stated is None and contradicts(bunit, unit):
            raise InvalidInputError(
                f"Band {band!r}: found BUNIT={str(bunit)!r} in {self.path}, but files of this "
                f"kind are in {str(unit)!r}: the image has been converted, or is of another kind. "
                f"Give the correct one: unit={str(bunit)!r} or unit={str(unit)!r}."
            )
        image = NDData(data, unit=unit, wcs=self.wcs(hdu), meta=self.headers[hdu].copy())
        shape = data.shape
        if not self.stated.noise(band):
            if isinstance(noise, tuple):
                kind, number = noise
                if number is not None:
                    image.uncertainty = self.noise(kind, number, unit, shape, band)
            elif noise is not None:
                image.uncertainty = noise(shape, unit)
        if self.stated.of("mask", band) is None:
            image.mask = self._mask(mask, shape, band)
        if zero_point is not None and not is_count_like(unit):
            zero_point = None
        where = {"file": self.name, "hdu": self.label(hdu) or str(hdu)}
        record = {key: value for key, value in record.items() if value is not None}
        return BandPlane(band, image, {**where, **record}, zero_point, psf, hdu)

    def _mask(
        self, mask: int | Mask | None, shape: Sequence[int], band: str
    ) -> npt.NDArray[Any] | None:
        """Return where an image is bad, by the bits given by the user."""
        bits = self.stated.bits(band)
        if isinstance(mask, int):
            return self.bad_pixels(mask, shape, bits)
        if isinstance(mask, BitMask):
            return mask(shape, bits)
        if bits is not None:
            raise InvalidInputError(
                f"Band {band!r}: found mask_bits={bits}, but no bit mask in {self.path} "
                f"({self.contents}), expected one. Give mask='file.fits[HDU]', or omit "
                "mask_bits; for only some of the bands give a mapping by band."
            )
        return None if mask is None else mask(shape)
