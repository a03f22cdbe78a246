"""`Cube`: the spectra of one galaxy on one grid of spaxels, with the metadata of the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.wcs import WCS

from picasssso.bands import GalacticExtinction, NoiseScaling
from picasssso.bands.pixels import grid_offset
from picasssso.bands.slots import check_redshift
from picasssso.exceptions import InvalidInputError, InvalidTypeError

if TYPE_CHECKING:
    from specutils import Spectrum

FloatArray = npt.NDArray[np.floating]

F_LAMBDA = u.erg / u.s / u.cm**2 / u.AA
#: Spaxels of two arms that lie closer than this, in pixels, are the same.
_SAME_GRID = 0.1
#: Part of the spaxels that must have a wavelength for it to count as covered.
_MOST = 0.5
#: Wavelength pixels that may be missing in between.
_SMALL_GAP = 10
#: Wavelengths that some spectrograph sees, AA: 10 nm to 1 mm.
_SEEN = 1e2, 1e7


@dataclass(frozen=True, eq=False)
class Cube:
    """Spectra of one galaxy on one grid of spaxels, in one or more arms.

    A thin wrapper of `~specutils.Spectrum` objects, which contain fluxes, variances, masks and
    WCS, with the metadata of the survey.

    Parameters
    ----------
    arms : sequence of `~specutils.Spectrum`
        Fluxes per spaxel, of shape (wavelength, y, x), with uncertainty and a three-dimensional
        WCS; masks are nonzero for bad pixels. All have the same spaxels, from blue to red,
        without overlap.
    wavelength_frame : {"air", "vacuum"}
        Reference medium of the wavelengths.
    redshift : float
        Observed redshift.
    survey : str, optional
        Name of the survey.
    noise_scaling : NoiseScaling, optional
        Noise correlation of neighboring spaxels; None: unknown.
    psf_fwhm : mapping of float to float, optional
        Width of the PSF in arcsec by wavelength in AA; one entry holds for all.
    galactic_extinction : GalacticExtinction, optional
        Galactic extinction, and whether fluxes are corrected for it.
    calibration_error : float, optional
        Relative error of the flux calibration, shared by all spaxels of a band.
    bins : array of int, shape (y, x), optional
        Bins whose spaxels repeat one spectrum; negative: no bin.
    meta : mapping, optional
        Additional notes that JSON can represent.

    Raises
    ------
    InvalidInputError, InvalidTypeError
        If the arms have no variances or WCS, are inconsistent, are not in a flux density per
        wavelength, or the wavelength frame is invalid.

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astropy.nddata import VarianceUncertainty
    >>> from astropy.wcs import WCS
    >>> from specutils import Spectrum
    >>> from picasssso.ifu import Cube
    >>> wcs = WCS(naxis=3)
    >>> wcs.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    >>> wcs.wcs.cunit = "deg", "deg", "Angstrom"
    >>> wcs.wcs.cdelt = -0.5 / 3600, 0.5 / 3600, 2.0
    >>> wcs.wcs.crval, wcs.wcs.crpix = (150.0, 2.0, 3600.0), (3, 2, 1)
    >>> arm = Spectrum(flux=np.ones((2000, 4, 6)) * u.Unit("1e-17 erg / (s cm2 AA)"), wcs=wcs,
    ...                uncertainty=VarianceUncertainty(np.full((2000, 4, 6), 0.01)))
    >>> Cube([arm], wavelength_frame="vacuum", redshift=0.02)
    <Cube: 4 x 6 spaxels, 3600-7598 AA (vacuum), z = 0.02>
    """

    arms: Sequence[Spectrum]
    wavelength_frame: str
    redshift: float
    survey: str = ""
    noise_scaling: NoiseScaling | None = None
    psf_fwhm: Mapping[float, float] = field(default_factory=dict)
    galactic_extinction: GalacticExtinction | None = None
    calibration_error: float | None = None
    bins: npt.NDArray[np.integer] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", tuple(self.arms))
        object.__setattr__(self, "redshift", check_redshift(self.redshift))
        if not self.arms:
            raise InvalidInputError("A cube has no arm: expected at least one specutils.Spectrum.")
        if self.wavelength_frame not in ("air", "vacuum"):
            raise InvalidInputError(
                f"wavelength_frame={self.wavelength_frame!r}: expected 'air' or 'vacuum', which "
                "differ by a pixel of most cubes."
            )
        for number, arm in enumerate(self.arms):
            _check_arm(number, arm)
        shapes = {arm.shape[1:] for arm in self.arms}
        if len(shapes) > 1:
            raise InvalidInputError(
                f"The arms have spaxels of shapes {sorted(shapes)}: expected the same. Are they "
                "of one galaxy, and binned alike?"
            )
        offset = max(grid_offset(arm.wcs.celestial, self.wcs, self.shape)[0] for arm in self.arms)
        if offset > _SAME_GRID:
            raise InvalidInputError(
                f"Spaxels of the arms lie up to {offset:.2g} pixels apart on the sky: expected "
                "the same. Are they of one galaxy?"
            )
        ends = [arm.spectral_axis.to_value(u.AA)[[0, -1]] for arm in self.arms]
        for blue, red in pairwise(ends):
            if red[0] < blue[1]:
                raise InvalidInputError(
                    f"The arms cover {blue[0]:.0f}-{blue[1]:.0f} and {red[0]:.0f}-{red[1]:.0f} "
                    "AA: expected arms from blue to red that do not overlap."
                )
        if self.bins is not None and self.bins.shape != self.shape:
            raise InvalidInputError(
                f"bins has shape {self.bins.shape}: expected that of the spaxels, {self.shape}."
            )

    def __repr__(self) -> str:
        ranges = ", ".join(f"{low:.0f}-{high:.0f}" for low, high in self.ranges)
        survey = f" of {self.survey}" if self.survey else ""
        return (
            f"<Cube{survey}: {self.shape[0]} x {self.shape[1]} spaxels, {ranges} AA "
            f"({self.wavelength_frame}), z = {self.redshift:g}>"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of spaxels ``(y, x)``."""
        return self.arms[0].shape[1], self.arms[0].shape[2]

    @cached_property
    def wcs(self) -> WCS:
        """Celestial WCS of the spaxels."""
        return self.arms[0].wcs.celestial

    @cached_property
    def covered(self) -> tuple[npt.NDArray[np.bool_], ...]:
        """Wavelength pixels of each arm that are covered by most of the spaxels with data.

        Gaps of a few pixels, such as at sky lines, count as covered; only about two thousand
        spaxels are checked.
        """
        from scipy.ndimage import binary_closing

        step = max(1, int(np.sqrt(np.prod(self.shape)) / 45))
        found = []
        for arm in self.arms:
            good = np.isfinite(arm.data[:, ::step, ::step])
            if arm.mask is not None:
                good &= ~np.asarray(arm.mask[:, ::step, ::step], bool)
            with_data = good.any(axis=0)
            share = good[:, with_data].mean(axis=1) if with_data.any() else np.zeros(len(good))
            padded = np.pad(share >= _MOST, _SMALL_GAP)
            closed = binary_closing(padded, np.ones(_SMALL_GAP + 1, bool))
            found.append(closed[_SMALL_GAP:-_SMALL_GAP])
        return tuple(found)

    @cached_property
    def ranges(self) -> tuple[tuple[float, float], ...]:
        """First and last wavelength with data of each arm, in AA, in the frame of the cube."""
        found = []
        for arm, covered in zip(self.arms, self.covered, strict=True):
            axis = arm.spectral_axis.to_value(u.AA)
            axis = axis[covered] if covered.any() else axis[:1]
            found.append((float(axis[0]), float(axis[-1])))
        return tuple(found)

    def _edges(self, arm: int) -> FloatArray:
        """Return the edges of the wavelength pixels of an arm, (n + 1,), in AA in vacuum."""
        centers = self.arms[arm].spectral_axis.to_value(u.AA)
        middles = (centers[1:] + centers[:-1]) / 2
        ends = 2 * centers[0] - middles[0], 2 * centers[-1] - middles[-1]
        edges = np.concatenate([ends[:1], middles, ends[1:]])
        if self.wavelength_frame == "vacuum":
            return edges
        from specutils.utils.wcs_utils import air_to_vac

        return air_to_vac(edges * u.AA).to_value(u.AA)

    def resolution(self, wavelength: float) -> float | None:
        """Return the FWHM of the PSF at a wavelength.

        Parameters
        ----------
        wavelength : float
            Wavelength in AA.

        Returns
        -------
        float or None
            FWHM in arcsec, interpolated linearly; None if unknown.
        """
        if not self.psf_fwhm:
            return None
        known = sorted(self.psf_fwhm.items())
        return float(np.interp(wavelength, *np.array(known).T))


def _check_arm(number: int, arm: Any) -> None:
    """Check that an arm can be used."""
    from specutils import Spectrum

    if not isinstance(arm, Spectrum):
        raise InvalidTypeError(
            f"Arm {number} is of type {type(arm).__name__}: expected a specutils.Spectrum."
        )
    if arm.flux.ndim != 3 or arm.spectral_axis_index != 0:
        raise InvalidInputError(
            f"Arm {number} has shape {arm.shape} with wavelength along axis "
            f"{arm.spectral_axis_index}: expected (wavelength, y, x). Pass "
            "move_spectral_axis='first' to specutils."
        )
    if not getattr(arm.wcs, "has_celestial", False):
        raise InvalidInputError(
            f"Arm {number} has no celestial WCS: expected one, to place spaxels on the sky."
        )
    if arm.uncertainty is None:
        raise InvalidInputError(
            f"Arm {number} has no uncertainty: expected variances, without which images have no "
            "noise."
        )
    try:
        arm.spectral_axis.to(u.AA)
        (arm.flux.unit * _per_spaxel(arm.flux.unit)).to(F_LAMBDA)
    except u.UnitConversionError:
        raise InvalidInputError(
            f"Arm {number} is in {arm.flux.unit} by {arm.spectral_axis.unit}: expected a flux "
            "density per wavelength and spaxel, such as 1e-17 erg/s/cm2/AA, by wavelength."
        ) from None
    low, high = arm.spectral_axis.to_value(u.AA)[[0, -1]]
    if not low < high:
        raise InvalidInputError(f"Wavelengths of arm {number} descend: expected them to ascend.")
    if not (low > _SEEN[0] and high < _SEEN[1]):
        raise InvalidInputError(
            f"Arm {number} goes from {low:.4g} to {high:.4g} AA: expected wavelengths between 10 "
            "nm and 1 mm. Is CUNIT3 missing, or not that of CRVAL3? Without it FITS means m."
        )


def _per_spaxel(unit: u.UnitBase) -> u.UnitBase:
    """Return the factor that converts a unit per spaxel to one without spaxel."""
    found = u.one
    for base, power in zip(unit.bases, unit.powers, strict=True):
        if base == u.pix or base.name == "spaxel":
            found = found * base**-power
    return found


def flux_factor(arm: Spectrum) -> float:
    """Return the value in erg/s/cm2/AA per spaxel of one unit of an arm's fluxes."""
    unit = arm.flux.unit
    return float((unit * _per_spaxel(unit)).to(F_LAMBDA))
