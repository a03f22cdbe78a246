"""SDSS frames: ``frame-r-001234-5-0678.fits.bz2``, as they are since data release 8.

HDU 0 holds the image in nanomaggies without its sky, HDU 1 the nanomaggies per count of each
column, HDU 2 the sky in counts on a coarse grid. From these, and the CCD's gain and dark
variance, the survey defines the noise (its data model of ``frame`` files, which has the two
tables): a pixel of n counts with its sky has a variance of n / gain + dark variance.

SDSS magnitudes differ from AB in two bands: u_AB = u - 0.04, z_AB = z + 0.02 (the survey's page on
flux calibration). Fluxes are converted to AB, and this is recorded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import StdDevUncertainty

from picasssso._core.fits_files import open_fits
from picasssso.exceptions import FileFormatError, PicassssoWarning
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile

#: What is added to the survey's magnitudes to make them AB.
AB_OFFSETS = {"u": -0.04, "g": 0.0, "r": 0.0, "i": 0.0, "z": 0.02}

_BANDS = {band: f"sdss2010-{band}" for band in "ugriz"}
#: Electrons per count by camera column.
_GAIN = {
    1: (1.62, 3.32, 4.71, 5.165, 4.745),
    2: (1.595, 3.855, 4.6, 6.565, 5.155),
    3: (1.59, 3.845, 4.72, 4.86, 4.885),
    4: (1.6, 3.995, 4.76, 4.885, 4.775),
    5: (1.47, 4.05, 4.725, 4.64, 3.48),
    6: (2.17, 4.035, 4.895, 4.76, 4.69),
}
#: Variance of read-out and dark current, in counts squared.
_DARK_VARIANCE = {
    1: (9.61, 15.6025, 1.8225, 7.84, 0.81),
    2: (12.6025, 1.44, 1.0, 5.76, 1.0),
    3: (8.7025, 1.3225, 1.3225, 4.6225, 1.0),
    4: (12.6025, 1.96, 1.3225, 6.25, 9.61),
    5: (9.3025, 1.1025, 0.81, 7.84, 1.8225),
    6: (7.0225, 1.8225, 0.9025, 5.0625, 1.21),
}
#: What changed during the survey: (last run of the old value, new value).
_LATER_GAIN = {(2, "u"): (1100, 1.825)}
_LATER_DARK = {
    (2, "i"): (1500, 6.25),
    (4, "i"): (1500, 7.5625),
    (4, "z"): (1500, 12.6025),
    (5, "z"): (1500, 2.1025),
}
#: Where frames have the reference pixel of their WCS (FITS numbering); cut-outs shift it.
_REFERENCE_PIXEL = (1025.0, 745.0)
_PIXEL = 0.396  # arcsec


class SDSSReader(ImageReader):
    """Reads frames, and cut-outs of them."""

    title = "SDSS frame"
    sky_subtracted = True

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the CCD and the unit."""
        header = file.headers[0]
        stated = "nanomagg" in str(header.get("BUNIT", "")).lower()
        if (stated or "NMGY" in header) and {"CAMCOL", "RUN", "FILTER"} <= set(header):
            unit = "BUNIT" if stated else "NMGY"
            return Recognition(f"{unit}, with CAMCOL, RUN and FILTER")
        return None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a frame."""
        letter = str(file.headers[0].get("FILTER")).strip()
        band = file.band_of(letter, _BANDS)
        # Another band's name does not change the CCD.
        letter = letter if letter in _BANDS else band[-1]
        data = file.array(0)
        offset = AB_OFFSETS.get(letter, 0.0)
        to_ab = 10 ** (-0.4 * offset)
        camcol, run = (int(file.number(key)) for key in ("CAMCOL", "RUN"))
        if camcol not in _GAIN or letter not in _BANDS:
            raise FileFormatError(
                f"{file}: found CAMCOL = {camcol} and FILTER = {letter!r}, expected 1 to 6 "
                "and one of u, g, r, i, z. The header is damaged."
            )
        gain, dark = ccd_properties(camcol, letter, run)

        def noise(shape: Sequence[int], unit: u.UnitBase) -> StdDevUncertainty | None:
            found = _calibration_and_sky(file, shape)
            if found is None:
                return None
            per_count, sky = found
            counts = data / per_count + sky
            sigma = np.sqrt(np.maximum(counts, 0.0) / gain + dark) * per_count * to_ab
            return StdDevUncertainty(sigma.astype(np.float32), copy=False)

        return [
            file.plane(
                0,
                band,
                u.nmgy,
                data=data if offset == 0 else np.asarray(data * to_ab, dtype=np.float32),
                noise=noise,
                ab_offset_mag=offset,
                gain_electrons_per_count=gain,
                dark_variance_counts2=dark,
            )
        ]


def ccd_properties(camcol: int, band: str, run: int) -> tuple[float, float]:
    """Return gain and dark variance of a CCD."""
    column = "ugriz".index(band)
    gain, dark = _GAIN[camcol][column], _DARK_VARIANCE[camcol][column]
    for changes, value in ((_LATER_GAIN, "gain"), (_LATER_DARK, "dark")):
        last, new = changes.get((camcol, band), (run, 0.0))
        if run > last:
            gain, dark = (new, dark) if value == "gain" else (gain, new)
    return gain, dark


def _calibration_and_sky(
    file: ImageFile, shape: Sequence[int]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Return nanomaggies per count of each column, and the sky in counts; None if unknown.

    For cut-outs with the vectors of the whole frame, CRPIX defines the part that is used.
    """
    from astropy.wcs.utils import proj_plane_pixel_scales

    reason = f"found {file.contents}, without the calibration vector and the sky"
    if len(file.headers) >= 3:
        vector = _calibration(file)
        sky, rows, columns = _sky(file)
        if (rows.size, columns.size) == (shape[0], vector.size) and vector.size == shape[1]:
            return vector, _interpolate(sky, rows, columns)
        corner = [
            _REFERENCE_PIXEL[k] - float(file.headers[0].get(f"CRPIX{k + 1}", np.nan))
            for k in (0, 1)
        ]
        wcs = file.wcs(0)
        scales = [0.0] if wcs is None else proj_plane_pixel_scales(wcs) * 3600
        own = np.allclose(scales, _PIXEL, rtol=0.05)  # not binned
        whole = own and np.all(np.abs(np.rint(corner) - corner) < 1e-3)
        x, y = (int(v) for v in np.rint(corner)) if whole else (-1, -1)
        inside = x >= 0 and y >= 0 and y + shape[0] <= rows.size
        if inside and x + shape[1] <= min(vector.size, columns.size):
            part = _interpolate(sky, rows[y : y + shape[0]], columns[x : x + shape[1]])
            return vector[x : x + shape[1]], part
        reason = (
            f"found a calibration vector of {vector.size} columns for an image of {shape[1]}, and "
            "no place in the frame (CRPIX) that would say which part belongs to it,"
        )
    # Cut-outs often keep the image alone.
    warnings.warn(
        f"{file.path}: {reason} that define the noise. It is left unknown: prepare() and "
        "with_estimated_noise() measure it; whole frames have it.",
        PicassssoWarning,
        stacklevel=7,
    )
    return None


def _calibration(file: ImageFile) -> npt.NDArray[np.float64]:
    """Return nanomaggies per count of each of the frame's columns."""
    vector = np.ravel(file.array(1, "calibration vector", cube=True)).astype(np.float64)
    if not (vector > 0).all():
        raise FileFormatError(
            f"{file}: found calibrations that are not positive. Download the file again."
        )
    return vector


def _sky(file: ImageFile) -> tuple[npt.NDArray[np.float64], ...]:
    """Return the sky in counts on a coarse grid, and where on it rows and columns lie."""
    from astropy.table import Table

    with open_fits(file.path, "sky") as hdus:
        try:
            row = Table(hdus[2].data)[0]
            grid = np.atleast_2d(np.squeeze(np.asarray(row["ALLSKY"], dtype=np.float64)))
            x, y = (np.ravel(np.asarray(row[key], dtype=np.float64)) for key in
                    ("XINTERP", "YINTERP"))  # fmt: skip
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"{file}: found no sky (ALLSKY, XINTERP, YINTERP) in HDU 2 ({error}). "
                "Download the file again."
            ) from error
    return grid, y, x


def _interpolate(
    grid: npt.NDArray[np.float64], y: npt.NDArray[np.float64], x: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Interpolate a grid bilinearly."""
    from scipy.ndimage import map_coordinates

    rows, columns = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(grid, [rows, columns], order=1, mode="nearest")
