"""SDSS frames: ``frame-r-001234-5-0678.fits.bz2``, as they are since data release 8.

HDU 0 holds the image in nanomaggies without its sky, HDU 1 the nanomaggies per count of each
column, HDU 2 the sky in counts on a coarse grid. From these, and the CCD's gain and dark
variance, the survey defines the noise (its data model of ``frame`` files, which has the two
tables): a pixel of n counts with its sky has a variance of n / gain + dark variance.

SDSS magnitudes are not quite AB in two bands: u_AB = u - 0.04, z_AB = z + 0.02 (the survey's
page on flux calibration). The fluxes are brought to AB here, and the record says so.
"""

from __future__ import annotations

import warnings
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import StdDevUncertainty

from picasssso.exceptions import FileFormatError, PicassssoWarning
from picasssso.io.survey_files import SurveyFile, SurveyImage, check_filter

TITLE = "SDSS frame"
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


def ccd_properties(camcol: int, band: str, run: int) -> tuple[float, float]:
    """Return gain and dark variance of a CCD.

    Examples
    --------
    >>> from picasssso.io.sdss import ccd_properties
    >>> ccd_properties(4, "z", 1000), ccd_properties(4, "z", 3000)
    ((4.775, 9.61), (4.775, 12.6025))
    """
    column = "ugriz".index(band)
    gain, dark = _GAIN[camcol][column], _DARK_VARIANCE[camcol][column]
    for changes, value in ((_LATER_GAIN, "gain"), (_LATER_DARK, "dark")):
        last, new = changes.get((camcol, band), (run, 0.0))
        if run > last:
            gain, dark = (new, dark) if value == "gain" else (gain, new)
    return gain, dark


def matches(file: SurveyFile) -> bool:
    """Return whether a file is an SDSS frame."""
    header = file.headers[0]
    return {"CAMCOL", "RUN", "FILTER"} <= set(header) and (
        "nanomagg" in str(header.get("BUNIT", "")).lower() or "NMGY" in header
    )


def read(file: SurveyFile, options: Any) -> list[SurveyImage]:
    """Read an SDSS frame."""
    band = check_filter(file, file.headers[0]["FILTER"], _BANDS)
    letter = band[-1]
    data = file.array(0)
    offset = AB_OFFSETS[letter]
    to_ab = 10 ** (-0.4 * offset)
    camcol, run = (int(file.number(key)) for key in ("CAMCOL", "RUN"))
    if camcol not in _GAIN:
        raise FileFormatError(
            f"{file.path}: found CAMCOL = {camcol}, expected 1 to 6. The header is damaged."
        )
    gain, dark = ccd_properties(camcol, letter, run)
    uncertainty = None
    if len(file.headers) < 3:
        # Cut-outs often keep the image alone.
        warnings.warn(
            f"{file.path}: found {file.contents}, without the calibration vector and the sky that "
            "define the noise. It is left unknown: prepare() and with_estimated_noise() measure "
            "it; whole frames have it.",
            PicassssoWarning,
            stacklevel=4,
        )
    else:
        calibration = _calibration(file, data.shape)
        counts = data / calibration + _sky(file, data.shape)
        noise = np.sqrt(np.maximum(counts, 0.0) / gain + dark) * calibration * to_ab
        uncertainty = StdDevUncertainty(noise.astype(np.float32), copy=False)
    record = file.record(
        "sdss",
        ab_offset_mag=offset,
        gain_electrons_per_count=gain,
        dark_variance_counts2=dark,
    )
    return [
        SurveyImage(
            band,
            file.ccd(
                0,
                data if offset == 0 else np.asarray(data * to_ab, dtype=np.float32),
                u.nmgy,
                uncertainty=uncertainty,
            ),
            record,
        )
    ]


def _calibration(file: SurveyFile, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return nanomaggies per count of each column."""
    vector = np.asarray(file.array(1, "calibration vector", ndim=1), dtype=np.float64)
    if vector.shape != shape[1:]:
        raise FileFormatError(
            f"{file.path}: found a calibration vector of {vector.size} columns for an image of "
            f"{shape[1]}, expected the same. A cut-out needs that part of the vector."
        )
    if not (vector > 0).all():
        raise FileFormatError(
            f"{file.path}: found calibrations that are not positive. Download the file again."
        )
    return vector


def _sky(file: SurveyFile, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the sky in counts: bilinear between the points of a coarse grid."""
    from astropy.table import Table
    from scipy.ndimage import map_coordinates

    from picasssso.bands.reading import open_fits

    with open_fits(file.path, "sky") as hdus:
        try:
            row = Table(hdus[2].data)[0]
            grid = np.atleast_2d(np.squeeze(np.asarray(row["ALLSKY"], dtype=np.float64)))
            x, y = (np.ravel(np.asarray(row[key], dtype=np.float64)) for key in
                    ("XINTERP", "YINTERP"))  # fmt: skip
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"{file.path}: found no sky (ALLSKY, XINTERP, YINTERP) in HDU 2 ({error}). "
                "Download the file again."
            ) from error
    if (y.size, x.size) != tuple(shape):
        raise FileFormatError(
            f"{file.path}: found a sky for {y.size} x {x.size} pixels and an image of "
            f"{shape[0]} x {shape[1]}, expected the same."
        )
    rows, columns = np.meshgrid(y, x, indexing="ij")
    return map_coordinates(grid, [rows, columns], order=1, mode="nearest")
