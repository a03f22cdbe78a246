"""Star formation rates from H-alpha, corrected for dust with the Balmer decrement."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import numpy.typing as npt

from picasssso.ifu.published import PublishedMap

FloatArray = npt.NDArray[np.floating]

#: Msun/yr for 1 erg/s of H-alpha on Kroupa's mass function (Kennicutt & Evans 2012, table 1).
RATE = 10**-41.27
#: H-alpha over H-beta, case B at 10,000 K (Osterbrock & Ferland 2006).
INTRINSIC = 2.86
#: A / E(B-V) at both by the law of Cardelli et al. (1989), R_V = 3.1.
_K_ALPHA, _K_BETA = 2.53, 3.61
#: Signal-to-noise ratio that both lines must have.
_DETECTED = 3.0


def halpha_star_formation(
    alpha: FloatArray,
    alpha_error: FloatArray,
    beta: FloatArray,
    beta_error: FloatArray,
    unit: u.Quantity,
    solid_angle: u.Quantity,
    redshift: float,
) -> PublishedMap:
    """Return star formation rates per kpc2 over the last 10 Myr, for a Kroupa mass function.

    Lines are of shape (y, x), in ``unit`` per pixel of ``solid_angle``. NaN where one of the lines
    has a signal-to-noise ratio below 3. All H-alpha emission is assumed to be due to young stars.
    """
    # Luminosity per area at the galaxy: 4 pi (1 + z)^4 times the brightness on the sky.
    brightness = (unit / solid_angle).to_value(u.erg / u.s / u.cm**2 / u.sr)
    scale = 4 * np.pi * (1 + redshift) ** 4 * brightness * u.kpc.to(u.cm) ** 2
    power = _K_ALPHA / (_K_BETA - _K_ALPHA)
    with np.errstate(divide="ignore", invalid="ignore"):
        known = (alpha > _DETECTED * alpha_error) & (beta > _DETECTED * beta_error)
        reddened = alpha / beta > INTRINSIC
        boost = np.where(reddened, (alpha / beta / INTRINSIC) ** power, 1.0)
        own = alpha_error / alpha * np.where(reddened, 1 + power, 1.0)
        relative = np.hypot(own, np.where(reddened, power * beta_error / beta, 0.0))
        rate = np.where(known, RATE * scale * alpha * boost, np.nan)
    return PublishedMap(
        rate, u.Msun / u.yr / u.kpc**2, rate * relative, imf="kroupa", averaging_time=10 * u.Myr
    )
