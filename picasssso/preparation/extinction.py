"""Removing the dust of our own Galaxy, band by band.

The extinction of a band is that of a flat f_nu through its filter: photons are counted with and
without the dust, which for E(B-V) of tenths of a magnitude differs from the law at one
wavelength by more than the calibration's error.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso._core.blocks import Block
from picasssso.bands import GalacticExtinction
from picasssso.exceptions import InvalidInputError, MissingDependencyError, PicassssoWarning
from picasssso.filters.curves import load_filter
from picasssso.preparation.steps import with_step
from picasssso.preparation.storage import transform, variance_of

if TYPE_CHECKING:
    from astropy.coordinates import SkyCoord

    from picasssso.bands import BandImages

#: E(B-V) on the scale of Schlafly & Finkbeiner (2011) over that of Schlegel et al. (1998).
SF11_OVER_SFD98 = 0.86
#: Extinction of a band, mag, beyond which a warning is given.
_MOST = 5.0

Array = npt.NDArray[Any]


def _law(name: str, r_v: float) -> Any:
    """Return a law of dust_extinction."""
    from dust_extinction import averages, parameter_averages

    for module in (parameter_averages, averages):
        found = getattr(module, name, None)
        if isinstance(found, type) and hasattr(found, "evaluate"):
            return found(Rv=r_v) if module is parameter_averages else found()
    known = [
        n
        for module in (parameter_averages, averages)
        for n in getattr(module, "__all__", [])
        if not n.startswith("_")
    ]
    raise InvalidInputError(
        f"Galactic extinction: found law={name!r}, expected a model of dust_extinction, such as "
        f"{', '.join(known)}."
    )


def band_extinction(
    band: str, ebv: float, *, scale: str, law: str = "F99", r_v: float = 3.1
) -> float:
    """Return the extinction of a band for a color excess E(B-V), both in mag."""
    from scipy.integrate import trapezoid

    record = GalacticExtinction(ebv, scale=scale, law=law, r_v=r_v, applied=False)
    true_ebv = record.ebv * (SF11_OVER_SFD98 if scale == "SFD98" else 1.0)
    model = _law(law, record.r_v)
    response = load_filter(band)
    wave = np.asarray(response.wavelength, dtype=float)
    weight = np.asarray(response.response, dtype=float) / wave  # photons of a flat f_nu
    used = weight > 1e-6 * weight.max()
    wave, weight = wave[used], weight[used]
    low, high = (1e4 / edge for edge in reversed(model.x_range))
    if wave[0] < low or wave[-1] > high:
        raise InvalidInputError(
            f"Galactic extinction: found band {band!r} from {wave[0]:.0f} to {wave[-1]:.0f} "
            f"Angstrom, expected one inside {low:.0f} to {high:.0f}, where {law} is defined. Use "
            "law='G23', which reaches from the ultraviolet to the far infrared."
        )
    curve = np.asarray(model(1e4 / wave / u.micron), dtype=float)  # A(lambda) / A(V)
    dimmed = weight * 10 ** (-0.4 * curve * record.r_v * true_ebv)
    return float(-2.5 * np.log10(trapezoid(dimmed, wave) / trapezoid(weight, wave)))


def look_up_ebv(position: SkyCoord) -> float:
    """Return E(B-V) from the maps of `dustmaps`, on the scale SFD98, mag."""
    try:
        from dustmaps.sfd import SFDQuery
    except ImportError as error:
        raise MissingDependencyError(
            "look_up_ebv: found no package dustmaps, expected it with its SFD maps. Install it "
            "and fetch them (dustmaps.sfd.fetch()), or give ebv=."
        ) from error
    try:
        return float(SFDQuery()(position))
    except OSError as error:
        raise MissingDependencyError(
            f"look_up_ebv: found dustmaps without its SFD maps ({error}). Fetch them, "
            "dustmaps.sfd.fetch(), or give ebv=."
        ) from error


def correct_extinction(
    images: BandImages,
    ebv: float | None = None,
    *,
    scale: str | None = None,
    law: str = "F99",
    r_v: float = 3.1,
    folder: str | os.PathLike[str] | None = None,
) -> BandImages:
    """Return images corrected for Galactic extinction.

    Parameters
    ----------
    images : BandImages
        The images.
    ebv : float, optional
        Color excess E(B-V), mag; default: that of ``images.galactic_extinction``.
    scale : {"SFD98", "SF11"}
        Scale of ``ebv``. Required with it.
    law : str, optional
        A model of `dust_extinction`.
    r_v : float, optional
        Total to selective extinction A(V) / E(B-V).
    folder : path, optional
        Folder for the output of a large field; default: in memory.

    Returns
    -------
    BandImages
        In nmgy, with ``galactic_extinction`` set and applied. ``meta["preparation"]`` records
        the extinction in each band, in mag.

    Raises
    ------
    InvalidInputError
        If the images are already corrected, or E(B-V) is neither given nor known.

    Warns
    -----
    PicassssoWarning
        If a band is dimmed by more than 5 mag.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from astropy.nddata import CCDData
    >>> from picasssso import BandImages
    >>> from picasssso.preparation import correct_extinction
    >>> images = BandImages({"sdss2010-r": CCDData(np.ones((2, 2)), unit="nmgy")},
    ...                     redshift=0.1, pixel_scale=0.4 * u.arcsec)
    >>> corrected = correct_extinction(images, 0.1, scale="SFD98")
    >>> round(float(corrected["sdss2010-r"].data[0, 0]), 2), corrected.galactic_extinction.applied
    (1.23, True)
    """
    known = images.galactic_extinction
    if known is not None and known.applied and not (known.ebv == 0 and ebv is not None):
        raise InvalidInputError(
            f"correct_extinction: found images that are corrected already (E(B-V) = {known.ebv:g}"
            "), expected uncorrected ones."
        )
    if ebv is None:
        if known is None:
            raise InvalidInputError(
                "correct_extinction: found no E(B-V), expected ebv= with scale='SFD98' or 'SF11'. "
                "look_up_ebv(position) finds it if dustmaps is installed."
            )
        record = GalacticExtinction(known.ebv, known.scale, known.law, known.r_v, applied=True)
    elif scale is None:
        raise InvalidInputError(
            f"correct_extinction: found ebv={ebv!r} without scale=, expected 'SFD98' or 'SF11': "
            "the two differ by 14 %."
        )
    else:
        record = GalacticExtinction(ebv, scale=scale, law=law, r_v=r_v, applied=True)
    added = {
        band: band_extinction(band, record.ebv, scale=record.scale, law=record.law, r_v=record.r_v)
        for band in images
    }
    most = max(added, key=lambda band: added[band])
    if added[most] > _MOST:
        warnings.warn(
            f"Galactic extinction: found E(B-V) = {record.ebv:g}, {added[most]:.3g} mag in "
            f"{most}, expected at most {_MOST:g} mag: fluxes are multiplied by up to "
            f"{10 ** (0.4 * added[most]):.3g}, and the law's own error with them. Check that it "
            "is E(B-V), in mag.",
            PicassssoWarning,
            stacklevel=2,
        )
    factors = {band: 10 ** (0.4 * value) for band, value in added.items()}

    def brighten(band: str, flux: Array, precision: Array, block: Block) -> Any:
        factor = np.float32(factors[band])
        return flux * factor, variance_of(precision) * factor**2, precision != 0

    corrected = transform(images, brighten, bytes_per_pixel=40, folder=folder)
    corrected = corrected.replace(
        galactic_extinction=record,
        sky_error={b: e * factors[b] for b, e in corrected.sky_error.items()},
    )
    added = {band: round(value, 5) for band, value in added.items()}
    return with_step(corrected, "extinction", **asdict(record), added_mag=added)
