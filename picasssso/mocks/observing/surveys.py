"""What images of a survey are like: pixels, seeing, sky and photons.

The numbers are those that the package surveycodex keeps, written by
``tools/make_mocks_surveys.py`` into the package's data with their references. Only what
it does not keep stands here: the shape of the PSF, and for SDSS the published depth,
which also knows of read-out noise and real weather.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

from picasssso._core.safe_files import packaged_text
from picasssso.exceptions import InvalidInputError

#: Depth of SDSS imaging: AB magnitude of a point source at 5 sigma, as published on the
#: survey's page on its scope (https://www.sdss4.org/dr17/scope/).
_SDSS_DEPTH = {"u": 22.15, "g": 23.13, "r": 22.70, "i": 22.20, "z": 20.71}

#: Index of the Moffat profile of seeing (Trujillo et al. 2001, MNRAS 328, 977: 2.5-5).
_MOFFAT_INDEX = 3.0

#: Seeing and depth vary over a survey by this, as a natural logarithm.
_SEEING_SCATTER = 0.10
_DEPTH_SCATTER = 0.08

#: Flux of 0 mag AB in nmgy.
_ZERO_MAG = 10.0 ** (0.4 * 22.5)

#: The presets after Buck & Wolf (2021).
_PAPER_REDSHIFT = 0.05


@dataclass(frozen=True, eq=False)
class Survey:
    """Observing conditions of a survey.

    Parameters
    ----------
    name : str
        Its name.
    bands : tuple of str
        Filter names (speclite).
    psf_fwhm : tuple of float
        Seeing per band: FWHM in the unit of ``psf_unit``.
    pixel_scale : float or None
        In arcsec; None where pixels are given in kpc or follow the galaxy.
    sky_noise : tuple of float
        Standard deviation per pixel without any source, in nmgy; empty if ``mean_snr``.
    electrons : tuple of float
        Electrons per nmgy, for photon noise; empty for none.
    framing : {"angular", "radii", "kpc"}
        Definition of the pixel scale: a fixed angle, a field of ``frame`` half-mass radii, or
        pixels of ``frame`` kpc.
    frame : float
        See there; for "angular" unused.
    redshift : float or None
        The redshift of all galaxies, or None if it is drawn such that galaxies fill the field as
        in a survey.
    psf_unit : {"arcsec", "kpc"}
        Unit of ``psf_fwhm``.
    psf_profile : {"moffat", "gaussian"}
        Shape of the PSF.
    mean_snr : float or None
        If given, white noise such that the mean of flux over noise inside 2 half-mass radii
        is this in each band.
    seeing_scatter, depth_scatter : float
        Natural-logarithmic scatter of seeing and noise from image to image; half of the
        variance is common to all bands.
    zero_point_error : float
        Scatter of the zero points in mag.
    source : str
        Origin of the parameters.
    pixel_scale_range : tuple of float or None
        If given, each galaxy has pixels of its own, between these in arcsec.

    Examples
    --------
    >>> from picasssso.mocks import Survey
    >>> survey = Survey.preset("sdss")
    >>> survey.pixel_scale, survey.bands[1]
    (0.396, 'sdss2010-g')
    """

    name: str
    bands: tuple[str, ...]
    psf_fwhm: tuple[float, ...]
    pixel_scale: float | None = None
    sky_noise: tuple[float, ...] = ()
    electrons: tuple[float, ...] = ()
    framing: str = "angular"
    frame: float = 0.0
    redshift: float | None = None
    psf_unit: str = "arcsec"
    psf_profile: str = "moffat"
    mean_snr: float | None = None
    seeing_scatter: float = 0.0
    depth_scatter: float = 0.0
    zero_point_error: float = 0.0
    source: str = ""
    pixel_scale_range: tuple[float, float] | None = None

    @classmethod
    def preset(cls, name: str) -> Survey:
        """Return a survey by its name.

        Parameters
        ----------
        name : {"sdss", "des", "ps1", "hsc", "lsst", "paper_field", "paper_scale"}
            Name of the survey.

        Returns
        -------
        Survey
            Its median seeing and depth, and their scatter.

        Raises
        ------
        InvalidInputError
            If there is none of this name; the message lists those there are.

        Examples
        --------
        >>> from picasssso.mocks import Survey
        >>> Survey.preset("paper_field").mean_snr
        25.0
        """
        return get_survey(name)

    def varied(
        self,
        *,
        seeing: float | None = None,
        depth: float | None = None,
        pixel_scale: tuple[float, float] | None = None,
    ) -> Survey:
        """Return the survey with more variable conditions, for training.

        The conditions are drawn for each galaxy, and recorded in the PSF widths, inverse
        variances and pixel scales of the images.

        Parameters
        ----------
        seeing : float, optional
            Natural-logarithmic scatter of the PSF's width.
        depth : float, optional
            Natural-logarithmic scatter of the sky's noise, as if exposures were longer or
            shorter: photon noise changes with it.
        pixel_scale : tuple of float, optional
            Range of pixel scales in arcsec, drawn evenly in the logarithm. The sky noise per
            pixel scales with the pixel size.

        Returns
        -------
        Survey
            The same survey otherwise.

        Raises
        ------
        InvalidInputError
            If a number is invalid, or the pixel scale of the survey is not a fixed angle.

        Examples
        --------
        >>> from picasssso.mocks import Survey
        >>> Survey.preset("sdss").varied(seeing=0.3, pixel_scale=(0.2, 0.6)).seeing_scatter
        0.3
        """
        changes: dict[str, Any] = {}
        for name, value in (("seeing", seeing), ("depth", depth)):
            if value is None:
                continue
            if not 0.0 <= value <= 1.0:
                raise InvalidInputError(
                    f"{name}={value!r} cannot be used: expected a scatter of the natural "
                    "logarithm between 0 and 1."
                )
            changes[f"{name}_scatter"] = float(value)
        if pixel_scale is not None:
            if self.pixel_scale is None:
                raise InvalidInputError(
                    f"pixel_scale cannot be varied for {self.name!r}, whose pixels follow the "
                    "galaxy: take a survey with pixels of a fixed angle, such as 'sdss'."
                )
            low, high = (float(value) for value in pixel_scale)
            if not 0.02 <= low <= high <= 10.0:
                raise InvalidInputError(
                    f"pixel_scale={pixel_scale!r} cannot be used: expected (low, high) in arcsec "
                    "between 0.02 and 10."
                )
            changes["pixel_scale_range"] = (low, high)
        return replace(self, **changes)

    def select(self, bands: tuple[str, ...]) -> Survey:
        """Return the survey in some of its bands.

        Parameters
        ----------
        bands : tuple of str
            Filter names.

        Returns
        -------
        Survey
            In those bands, in that order.

        Raises
        ------
        InvalidInputError
            If the survey has no such band.
        """
        missing = [band for band in bands if band not in self.bands]
        if missing:
            raise InvalidInputError(
                f"The survey {self.name!r} has no band {', '.join(map(repr, missing))}: its "
                f"bands are {', '.join(self.bands)}."
            )
        order = [self.bands.index(band) for band in bands]
        values: dict[str, Any] = {
            name: tuple(value[k] for k in order)
            for name in ("psf_fwhm", "sky_noise", "electrons")
            if (value := getattr(self, name))
        }
        return replace(self, bands=tuple(bands), **values)

    def point_source_depth(self) -> np.ndarray:
        """Return the 5-sigma point-source magnitude, without photon noise of the source.

        Returns
        -------
        ndarray
            AB magnitudes per band.
        """
        noise = np.array(self.sky_noise)
        return 22.5 - 2.5 * np.log10(5.0 * noise * np.sqrt(self._noise_pixels()))

    def _noise_pixels(self) -> np.ndarray:
        """Return 1 / sum(P^2): over how many pixels' noise a point source is measured."""
        width = np.array(self.psf_fwhm) / float(self.pixel_scale or 1.0)
        index = _MOFFAT_INDEX
        alpha = width / (2.0 * np.sqrt(2.0 ** (1.0 / index) - 1.0))
        # Of the Moffat profile (index - 1) / (pi alpha^2) (1 + r^2 / alpha^2)^-index.
        return np.pi * alpha**2 * (2.0 * index - 1.0) / (index - 1.0) ** 2


def _survey_preset(name: str, kept: Mapping[str, Any], source: str) -> Survey:
    pixel = float(kept["pixel_scale"])
    values = list(kept["bands"].values())
    time = np.array([band["full_exposure_time"] for band in values])
    per_nmgy = time * 10.0 ** (0.4 * np.array([band["zeropoint"] for band in values])) / _ZERO_MAG
    sky = np.array([band["sky_brightness"] for band in values])
    sky_flux = _ZERO_MAG * 10.0 ** (-0.4 * sky) * pixel**2
    survey = Survey(
        name=name,
        bands=tuple(kept["bands"]),
        psf_fwhm=tuple(float(band["psf_fwhm"]) for band in values),
        pixel_scale=pixel,
        sky_noise=tuple(np.sqrt(sky_flux / per_nmgy).tolist()),
        electrons=tuple(per_nmgy.tolist()),
        seeing_scatter=_SEEING_SCATTER,
        depth_scatter=_DEPTH_SCATTER,
        zero_point_error=0.01,
        source=source,
    )
    if name != "sdss":
        return survey
    depth = np.array([_SDSS_DEPTH[band[-1]] for band in survey.bands])
    deeper = 10.0 ** (0.4 * (survey.point_source_depth() - depth))
    noise = np.array(survey.sky_noise) * deeper
    return replace(survey, sky_noise=tuple(noise.tolist()))


@lru_cache(maxsize=1)
def _presets() -> Mapping[str, Survey]:
    content = json.loads(packaged_text("surveys.json"))
    presets = {
        name: _survey_preset(name, kept, content["source"])
        for name, kept in content["surveys"].items()
    }
    paper = Survey(
        name="paper_field",
        bands=presets["sdss"].bands,
        psf_fwhm=(1.0,) * 5,
        psf_unit="kpc",
        psf_profile="gaussian",
        framing="radii",
        frame=10.0,
        redshift=_PAPER_REDSHIFT,
        mean_snr=25.0,
        source="Buck & Wolf 2021, arXiv:2111.01154",
    )
    presets["paper_field"] = paper
    presets["paper_scale"] = replace(paper, name="paper_scale", framing="kpc", frame=0.24)
    return MappingProxyType(presets)


#: Names of the presets.
SURVEYS = ("sdss", "des", "ps1", "hsc", "lsst", "paper_field", "paper_scale")


def get_survey(survey: str | Survey) -> Survey:
    """Return a preset survey by its name; a survey is returned unchanged."""
    if isinstance(survey, Survey):
        return survey
    try:
        return _presets()[survey]
    except KeyError:
        raise InvalidInputError(
            f"Unknown survey {survey!r}: the presets are {', '.join(SURVEYS)}; or give a "
            "picasssso.mocks.Survey."
        ) from None
