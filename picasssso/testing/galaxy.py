"""A small galaxy for tests: smooth, with a color gradient, noise and a rotated WCS.

It is meant to exercise code, not to be realistic: the example galaxy of
`picasssso.data` and `picasssso.mocks` are for that.
"""

from __future__ import annotations

from collections.abc import Sequence

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, StdDevUncertainty
from astropy.wcs import WCS

from picasssso.bands import BandImages, GalacticExtinction

#: The bands that checks use unless told otherwise.
SDSS_BANDS = tuple(f"sdss2010-{band}" for band in "ugriz")

#: Colors relative to r (mag) of a young outside and an old inside, by band letter;
#: other bands get zero color, since only their presence matters to the contract.
_OUTER = {"u": 1.4, "g": 0.45, "r": 0.0, "i": -0.2, "z": -0.3, "y": -0.35}
_INNER = {"u": 2.5, "g": 0.80, "r": 0.0, "i": -0.4, "z": -0.65, "y": -0.75}


def make_wcs(shape: tuple[int, int], *, pixel_scale: float = 0.396, angle: float = 20.0) -> WCS:
    """Make a tangential WCS, rotated against north, centered on the image.

    ``shape``: shape ``(y, x)`` of the image; ``pixel_scale``: in arcsec; ``angle``: rotation in
    degrees.
    """
    wcs = WCS(naxis=2)
    cosine, sine = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    scale = pixel_scale / 3600
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.cunit = ["deg", "deg"]
    wcs.wcs.crval = [150.1, 2.2]
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cd = scale * np.array([[-cosine, sine], [sine, cosine]])
    wcs.wcs.set()
    return wcs


def make_galaxy(
    shape: tuple[int, int] = (40, 44),
    *,
    bands: Sequence[str] = SDSS_BANDS,
    redshift: float = 0.05,
    central_signal_to_noise: float = 60.0,
    seed: int = 1,
) -> BandImages:
    """Make images of a small galaxy.

    Parameters
    ----------
    shape : tuple of int, optional
        Shape ``(y, x)``.
    bands : sequence of str, optional
        Band names.
    redshift : float, optional
        Redshift.
    central_signal_to_noise : float, optional
        Signal-to-noise of the central pixel in every band.
    seed : int, optional
        Seed of the noise.

    Returns
    -------
    BandImages
        Images in nmgy with standard deviations and a common PSF, corrected for Galactic
        extinction.

    Examples
    --------
    >>> from picasssso.testing import make_galaxy
    >>> make_galaxy((10, 12), bands=("sdss2010-g", "sdss2010-r")).shape
    (10, 12)
    """
    rng = np.random.default_rng(seed)
    wcs = make_wcs(shape)
    y, x = np.indices(shape)
    radius = np.hypot(y - 0.52 * shape[0], 1.4 * (x - 0.47 * shape[1])) / (0.12 * max(shape))
    inner = np.exp(-radius)
    images = {}
    for band in bands:
        letter = band.rpartition("-")[2][:1].lower()
        outer_color, inner_color = _OUTER.get(letter, 0.0), _INNER.get(letter, 0.0)
        color = outer_color + (inner_color - outer_color) * inner
        model = 5.0 * np.exp(-radius) * 10 ** (-0.4 * color)
        sigma = model.max() / central_signal_to_noise * np.sqrt(0.25 + 0.75 * model / model.max())
        data = (model + sigma * rng.standard_normal(shape)).astype(np.float32)
        images[band] = CCDData(
            data, unit=u.nmgy, wcs=wcs, uncertainty=StdDevUncertainty(sigma.astype(np.float32))
        )
    return BandImages(
        images,
        redshift=redshift,
        psf=1.3 * u.arcsec,
        galactic_extinction=GalacticExtinction(ebv=0.0, scale="SF11", applied=True),
    )
