"""Write the sample file of the current format of property maps.

The file stays in ``tests/data`` for ever: a released format must always read. Run from
the root of the repository when the format changes, never to overwrite an old sample:
``python tools/make_format_sample.py tests/data/maps_format_1.fits``.
"""

from __future__ import annotations

import sys

import astropy.units as u
import numpy as np
from astropy.wcs import WCS, Sip

from picasssso.bands import NoiseScaling
from picasssso.maps import PropertyMaps
from picasssso.maps.arrays import PropertyArrays
from picasssso.properties import Property
from picasssso.quality import QualityFlag

SHAPE = (5, 6)

DUST_TEMPERATURE = Property(
    name="dust_temperature",
    unit=u.K,
    kind="intensive",
    weight="stellar_mass",
    label="dust temperature",
    definition="temperature of the dust; a property of a plugin that is not installed",
    color_map="plasma",
)


def make_wcs() -> WCS:
    """Return a rotated tangent plane with a SIP distortion."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN-SIP", "DEC--TAN-SIP"
    wcs.wcs.crval = 202.4695750, 47.1952583
    wcs.wcs.crpix = 3.25, 2.5
    wcs.wcs.cd = np.array([[-9.1e-5, 6.3e-5], [6.3e-5, 9.1e-5]])
    a, b = np.zeros((3, 3)), np.zeros((3, 3))
    a[2, 0], b[1, 1] = 2.5e-5, -1.5e-5
    wcs.sip = Sip(a, b, None, None, wcs.wcs.crpix)
    wcs.wcs.set()
    return wcs


def make_maps() -> PropertyMaps:
    """Return maps whose every number can be worked out by hand."""
    number = np.arange(30, dtype=np.float32).reshape(SHAPE)
    ladder = np.array([-2, -1, 0, 1, 2], dtype=np.float32)[:, None, None]
    mass = 1e6 * (number + 1)
    quality = np.zeros(SHAPE, dtype=np.int32)
    quality[0, 0] = int(QualityFlag.NO_DATA) | int(QualityFlag.MISSING_BAND)
    quality[4, 5] = int(QualityFlag.LOW_SIGNAL)
    temperature = 20 + number.astype(np.float64)[None] + ladder
    temperature[:, 1, 1] = np.nan
    return PropertyMaps(
        {
            "stellar_mass": PropertyArrays(
                mass + 1e5 * ladder,
                mean=mass + np.float32(5e4),
                samples=np.stack([mass - np.float32(1e5), mass + np.float32(1e5)]),
            ),
            "dust_temperature": PropertyArrays(temperature),
        },
        quality=quality,
        wcs=make_wcs(),
        definitions={"dust_temperature": DUST_TEMPERATURE},
        redshift=0.00155,
        luminosity_distance=8.58 * u.Mpc,
        shared_error={"stellar_mass": 0.1},
        systematics={"zero_point:sdss2010-g": {"stellar_mass": 0.01 * mass}},
        noise_scaling=NoiseScaling([1, 100], [1.0, 2.0]),
        bins=np.arange(30).reshape(SHAPE) // 2 - 1,
        meta={"estimator": "None", "bands": ["sdss2010-g"], "parameters": {"limit": np.inf}},
    )


if __name__ == "__main__":
    make_maps().write(sys.argv[1])
