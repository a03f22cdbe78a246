"""What readers of survey files share: a file's headers and arrays, and what they return."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.nddata import CCDData, InverseVariance, NDUncertainty, VarianceUncertainty
from astropy.wcs import WCS

from picasssso.bands.reading import list_hdus, open_fits, read_array, read_wcs
from picasssso.exceptions import FileFormatError, InvalidInputError

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class SurveyImage:
    """One band as a survey's files define it.

    Parameters
    ----------
    band : str
        Full name of the band, such as ``"sdss2010-g"``.
    image : `~astropy.nddata.CCDData`
        Values with unit, WCS, uncertainty and mask.
    record : dict
        Where it came from and what was done to it, for ``meta``.
    zero_point : `~astropy.units.Quantity` or None
        AB magnitude of one count, of images in counts.
    psf : `~astropy.units.Quantity` or None
        FWHM of the PSF, where the header states it.
    """

    band: str
    image: CCDData
    record: dict[str, Any] = field(default_factory=dict)
    zero_point: u.Quantity | None = None
    psf: u.Quantity | None = None


@dataclass(frozen=True, eq=False)
class SurveyFile:
    """A FITS file: its headers, read at once, and its arrays, read on demand.

    Parameters
    ----------
    path : str
        Name of the file.
    """

    path: str

    @cached_property
    def _content(self) -> tuple[list[fits.Header], list[int], str]:
        with open_fits(self.path, "Survey file") as hdus:
            axes = [len(hdu.shape or ()) if hdu.is_image else 0 for hdu in hdus]
            return [hdu.header.copy() for hdu in hdus], axes, list_hdus(hdus)

    @property
    def headers(self) -> list[fits.Header]:
        """Headers of all HDUs (list of `~astropy.io.fits.Header`)."""
        return self._content[0]

    @property
    def contents(self) -> str:
        """A short list of what the file holds, for messages (str)."""
        return self._content[2]

    @property
    def axes(self) -> list[int]:
        """Number of axes of the image in each HDU; 0 where there is none (list of int)."""
        return self._content[1]

    @property
    def name(self) -> str:
        """The file's name without its folder (str)."""
        return Path(self.path).name

    @cached_property
    def images(self) -> list[int]:
        """Numbers of the HDUs that hold an image (list of int)."""
        return [k for k, axes in enumerate(self.axes) if axes > 0]

    def find(self, *names: str) -> int | None:
        """Return the number of the first HDU of one of these names.

        Parameters
        ----------
        *names : str
            Values of EXTNAME, in any case.

        Returns
        -------
        int or None
            Its number; None if there is none.
        """
        for k, header in enumerate(self.headers):
            if str(header.get("EXTNAME", "")).strip().upper() in names:
                return k
        return None

    def get(self, keyword: str, default: Any = None) -> Any:
        """Return the value of a keyword in the first header that has it.

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
        for header in self.headers:
            if keyword in header:
                return header[keyword]
        return default

    def number(self, keyword: str, hdu: int | None = None) -> float:
        """Return the value of a keyword that has to be a number.

        Parameters
        ----------
        keyword : str
            The keyword.
        hdu : int, optional
            In which HDU; default: the first that has it.

        Returns
        -------
        float
            Its value.

        Raises
        ------
        FileFormatError
            If it is missing or no finite number.
        """
        value = self.get(keyword) if hdu is None else self.headers[hdu].get(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise FileFormatError(
                f"{self.path}: found {keyword} = {value!r}, expected a number. Download the file "
                "again; if it is meant to be so, correct the header."
            )
        return float(value)

    def array(self, hdu: int, what: str = "image", ndim: int | None = 2) -> npt.NDArray[Any]:
        """Return the array of an HDU, memory-mapped where its format allows.

        Parameters
        ----------
        hdu : int
            Number of the HDU.
        what : str, optional
            What it is, for messages.
        ndim : int, optional
            Number of axes that it has to have.

        Returns
        -------
        ndarray
            The array.

        Raises
        ------
        FileFormatError
            If it is damaged, or has another number of axes.
        """
        found = self.axes[hdu]
        if ndim is not None and found != ndim:
            raise FileFormatError(
                f"{self.path}: found {found} axes in HDU {hdu} ({what}), expected {ndim}. The "
                f"file holds {self.contents}."
            )
        if found == 2:
            return read_array(self.path, hdu, f"{self.path}: {what}")[0]
        try:
            with open_fits(self.path, what, memmap=True) as hdus:
                return np.asanyarray(hdus[hdu].data)
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"{self.path}: found HDU {hdu} ({what}) damaged ({error}). Download it again."
            ) from error

    def wcs(self, hdu: int) -> WCS:
        """Return the celestial WCS of an HDU.

        Parameters
        ----------
        hdu : int
            Number of the HDU.

        Returns
        -------
        `~astropy.wcs.WCS`
            Two-dimensional.

        Raises
        ------
        FileFormatError
            If there is none.
        """
        wcs = read_wcs(self.headers[hdu], self.path)
        if wcs is None:
            raise FileFormatError(
                f"{self.path}: found no celestial WCS in HDU {hdu}, expected one in every survey "
                "image. Download it again, or read it with BandImages.read(pixel_scale=...)."
            )
        return wcs

    def ccd(
        self,
        hdu: int,
        data: npt.NDArray[Any],
        unit: Any,
        *,
        uncertainty: NDUncertainty | None = None,
        mask: npt.NDArray[np.bool_] | None = None,
    ) -> CCDData:
        """Return an image with the WCS and header of an HDU.

        Parameters
        ----------
        hdu : int
            Number of the HDU.
        data : ndarray, shape (y, x)
            Values.
        unit : `~astropy.units.UnitBase`
            Their unit.
        uncertainty : `~astropy.nddata.NDUncertainty`, optional
            Their uncertainty.
        mask : ndarray of bool, optional
            True where bad.

        Returns
        -------
        `~astropy.nddata.CCDData`
            The image; arrays are not copied.
        """
        return CCDData(
            data,
            unit=unit,
            wcs=self.wcs(hdu),
            uncertainty=uncertainty,
            mask=mask,
            meta=self.headers[hdu].copy(),
        )

    def record(self, survey: str, **more: Any) -> dict[str, Any]:
        """Return the record of an image's origin.

        Parameters
        ----------
        survey : str
            Name of the layout.
        **more : object
            What else is to be kept.

        Returns
        -------
        dict
            The record.
        """
        return {"file": self.name, "survey": survey, **more}


def same_shape(file: SurveyFile, what: str, array: npt.NDArray[Any], shape: Any) -> None:
    """Make sure that a companion has the image's shape.

    ``shape``: the image's shape.
    """
    if array.shape != tuple(shape):
        raise FileFormatError(
            f"{file.path}: found a {what} of shape {array.shape} for an image of shape "
            f"{tuple(shape)}, expected the same. Files of different cutouts may be mixed up."
        )


def bits_set(
    file: SurveyFile, array: npt.NDArray[Any], bits: int, what: str = "mask"
) -> npt.NDArray[np.bool_]:
    """Return where any of some bits is set."""
    if array.dtype.kind == "f":
        # Masks written as floats by cutout services still hold whole numbers.
        whole = np.nan_to_num(np.asarray(array, dtype=np.float64), nan=-1.0)
        if not np.array_equal(whole, np.rint(whole)):
            raise FileFormatError(
                f"{file.path}: found a {what} with fractions, expected bits: whole numbers. It "
                "was resampled like an image; download it again."
            )
        return (whole < 0) | ((np.maximum(whole, 0).astype(np.int64) & bits) != 0)
    return (np.asarray(array).astype(np.int64) & bits) != 0


def weight_noise(array: npt.NDArray[Any], unit: u.UnitBase) -> InverseVariance:
    """Return inverse variances, of which 0 means no data."""
    return InverseVariance(array, unit=unit**-2, copy=False)


def variance_noise(array: npt.NDArray[Any], unit: u.UnitBase) -> VarianceUncertainty:
    """Return variances."""
    return VarianceUncertainty(array, unit=unit**2, copy=False)


def check_filter(file: SurveyFile, value: Any, filters: Mapping[str, str]) -> str:
    """Return the band of a filter's name."""
    name = str(value).strip()
    if name not in filters:
        raise InvalidInputError(
            f"{file.path}: found the filter {name!r}, expected one of {', '.join(filters)}. Say "
            "which band it is: read_survey({'panstarrs-g': path}, ...)."
        )
    return filters[name]
