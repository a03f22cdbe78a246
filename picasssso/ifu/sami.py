"""Cubes of the SAMI Galaxy Survey (DR3): a blue and a red file, of any binning.

Fluxes of (wavelength, y, x) in 1e-16 erg/s/cm2/AA per spaxel of 0.5 arcsec, in air, not corrected
for the Galaxy's dust: the HDU DUST has the factor that would, by the law of Cardelli et al. (1989)
with R_V = 3.1 and E(B-V) of Planck (Croom et al. 2021, MNRAS 505, 991). Binned cubes hold the mean
spectrum of its bin in each spaxel, with the variance of that mean, covariance included; BIN_MASK
is 0 outside. Others have COVAR, the covariance of a spaxel with its neighbors up to two spaxels
off relative to its variance (Sharp et al. 2015, MNRAS 446, 1551). The PSF is that of a star
observed alongside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.nddata import VarianceUncertainty

from picasssso._core.quiet import silence
from picasssso.bands import GalacticExtinction, NoiseScaling
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.ifu.cube import Cube
from picasssso.ifu.cube_formats import (
    CubeReader,
    check_linear_wavelengths,
    cube_array,
    flux_unit,
    known_redshift,
    need_hdu,
    noise_factor,
)
from picasssso.io import ImageFile

#: Green et al. (2018, MNRAS 475, 716): g - r against SDSS, and absolute, to 4-5 %.
_CALIBRATION = 0.05
#: By grating, in the order of wavelength.
_ARMS = {"580V": "blue", "1000R": "red"}


class SAMIReader(CubeReader):
    """Reads the two arms of a SAMI cube."""

    title = "SAMI cubes, blue and red"

    def recognize(self, file: ImageFile) -> bool:
        """Recognize by INSTRUME."""
        return "SAMI" in file.text("INSTRUME").upper()

    def read(self, files: Sequence[ImageFile], redshift: float | None) -> Cube:
        """Read both arms with specutils' loader; see `CubeReader.read`."""
        arms = {_arm_of(file): file for file in files}
        missing = [name for name in _ARMS.values() if name not in arms]
        if missing or len(files) != len(_ARMS):
            raise InvalidInputError(
                f"Found the arm {' and '.join(arms)} of a SAMI cube in {len(files)} files, "
                "expected one file of each: the blue and the red, read_cube([blue, red])."
            )
        ordered = [arms[name] for name in _ARMS.values()]
        names = {file.text("NAME") for file in ordered}
        if len(names) > 1:
            raise InvalidInputError(
                f"The arms are of different galaxies, {' and '.join(sorted(names))}: expected "
                "those of one."
            )
        spectra = [_read_arm(file) for file in ordered]
        bins = [_bins(file) for file in ordered]
        if len({None if one is None else one.tobytes() for one in bins}) > 1:
            raise InvalidInputError("The arms are binned differently: expected the same BIN_MASK.")
        blue = ordered[0]
        widths = {
            float(arm.spectral_axis.mean().to_value("AA")): file.number("PSFFWHM")
            for arm, file in zip(spectra, ordered, strict=True)
            if file.get("PSFFWHM") is not None
        }
        return Cube(
            spectra,
            wavelength_frame="air",
            redshift=known_redshift(redshift, blue, "Z_SPEC"),
            survey="SAMI",
            noise_scaling=None if bins[0] is not None else _scaling(ordered),
            psf_fwhm=widths,
            galactic_extinction=_dust(blue),
            calibration_error=_CALIBRATION,
            bins=bins[0],
            meta={"name": names.pop(), "files": [file.name for file in ordered]},
        )


def _arm_of(file: ImageFile) -> str:
    grating = file.text("GRATID")
    if grating not in _ARMS:
        raise FileFormatError(
            f"{file}: found GRATID = {grating!r}, expected one of {', '.join(_ARMS)}."
        )
    return _ARMS[grating]


def _read_arm(file: ImageFile) -> Any:
    """Return an arm as specutils reads it, after a look at what it takes for granted."""
    from specutils import SpectrumList

    shape = cube_array(file, 0, "fluxes").shape
    check_linear_wavelengths(file, 0)
    unit = flux_unit(file, 0, "10**(-16) erg /s /cm**2 /angstrom /pixel")
    variances = need_hdu(file, "variances", "VARIANCE")
    cube_array(file, variances, "variances", shape)
    factor = noise_factor(file, variances, unit, 0, 2)
    try:
        with silence():  # of the unit's spelling
            arm = SpectrumList.read(file.path, format="SAMI-cube")[0]
    except NotImplementedError as error:
        raise FileFormatError(
            f"{file}: found an HDU that SAMI cubes do not have ({error}), expected those of DR3."
        ) from error
    if factor != 1:
        arm.uncertainty = VarianceUncertainty(np.float64(factor) * arm.uncertainty.array)
    return arm


def _bins(file: ImageFile) -> npt.NDArray[np.integer] | None:
    hdu = file.find("BIN_MASK")
    if hdu is None:
        return None
    mask = file.array(hdu, "bins")
    return np.where(mask > 0, mask, -1).astype(np.int32)


def _dust(file: ImageFile) -> GalacticExtinction | None:
    if file.get("EBVPLNCK") is None:
        return None
    # A true E(B-V), as on the scale of Schlafly & Finkbeiner.
    return GalacticExtinction(file.number("EBVPLNCK"), "SF11", law="CCM89", applied=False)


def _scaling(files: Sequence[ImageFile]) -> NoiseScaling | None:
    """Return how noise grows with the number of spaxels, from the covariances."""
    tables = []
    for file in files:
        hdu = file.find("COVAR")
        if hdu is None:
            return None
        # (slice, dy, dx, y, x): the offsets' axes are those of length 5.
        covar = np.asarray(file.array(hdu, "covariances", cube=True), float)
        near = [k for k, n in enumerate(covar.shape) if n == 5]
        if covar.ndim != 5 or len(near) != 2:
            raise FileFormatError(
                f"{file}: found COVAR of shape {covar.shape}, expected covariances with 5 x 5 "
                "neighbors."
            )
        covar = np.moveaxis(covar, near, (0, 1)).reshape(5, 5, -1)
        known = np.isfinite(covar).all(axis=(0, 1)) & (covar[2, 2] > 0)
        if not known.any():
            return None
        tables.append(np.median(covar[..., known] / covar[2, 2, known], axis=-1))
    table = np.mean(tables, axis=0)
    offsets = np.abs(np.arange(-2, 3))
    sides = np.array([1, 2, 3, 4, 6, 8, 12, 16, 32])
    inflation = []
    for side in sides:
        # Pairs of spaxels so far apart, of a square of this side.
        overlap = np.maximum(1 - offsets / side, 0)
        inflation.append(float(np.einsum("ij,i,j->", table, overlap, overlap)))
    return NoiseScaling((sides**2).tolist(), inflation)
