"""After PSF matching, stars that the PSFs were not measured on look alike in all bands."""

import warnings

import numpy as np
import pytest
import survey_layouts as layouts
from astropy.nddata import CCDData, StdDevUncertainty

from picasssso import BandImages
from picasssso.exceptions import PicassssoWarning
from picasssso.preparation import match_psf
from picasssso.preparation.psf import measure_psf

SCALE, SIGMA, SIDE, REACH = 0.4, 0.02, 400, 20
FINE = (np.arange(5) - 2) / 5
#: FWHM (pixels), Moffat index and axis ratio of each band.
SHARP = {"g": (4.2, 3.0, 0.95), "r": (3.4, 3.5, 1.0), "i": (3.0, 2.8, 0.97)}
#: The same of pixels that are too large for the seeing.
COARSE = {"g": (1.4, 3.0, 0.95), "r": (1.25, 3.5, 1.0), "i": (1.2, 2.8, 0.97)}


def stamp(dx, dy, fwhm, index, ratio):
    """A star of light 1 between pixels, averaged over them."""
    core = fwhm / 2 / np.sqrt(2 ** (1 / index) - 1)
    x = (np.arange(-REACH, REACH + 1)[:, None] + FINE - dx).ravel()
    y = (np.arange(-REACH, REACH + 1)[:, None] + FINE - dy).ravel()
    radius2 = (x[None] ** 2 + (y[:, None] / ratio) ** 2) / core**2 * ratio
    light = (1 + radius2) ** -index
    n = 2 * REACH + 1
    return light.reshape(n, 5, n, 5).mean(axis=(1, 3)) * (index - 1) / (np.pi * core**2)


def field(shapes, seed=4):
    """Images of stars alone, and where they are, (star, 2) as x, y."""
    rng = np.random.default_rng(seed)
    grid = np.arange(30, SIDE - 30, 55)
    places = np.array([(x, y) for y in grid for x in grid]) + rng.uniform(
        -3, 3, (len(grid) ** 2, 2)
    )
    light = np.exp(rng.uniform(*np.log((8.0, 60.0)), len(places)))
    wcs, images = layouts.tangent_wcs((SIDE, SIDE), SCALE), {}
    for band, shape in shapes.items():
        plane = rng.normal(0, SIGMA, (SIDE, SIDE))
        for (x, y), flux in zip(places, light, strict=True):
            x0, y0 = round(x), round(y)
            box = np.s_[y0 - REACH : y0 + REACH + 1, x0 - REACH : x0 + REACH + 1]
            plane[box] += flux * stamp(x - x0, y - y0, *shape)
        images[f"sdss2010-{band}"] = CCDData(
            plane, unit="nmgy", wcs=wcs,
            uncertainty=StdDevUncertainty(np.full((SIDE, SIDE), SIGMA, np.float32)),
        )  # fmt: skip
    return BandImages(images, redshift=0.03), places, light


def profiles(images, places, light, width):
    """Mean of the stars in rings of a pixel over their light, weighted by it; by band."""
    reach = int(np.ceil(3 * width))
    found = {}
    for band, plane in zip(images, images.to_arrays()[0], strict=True):
        sums, counts = np.zeros(reach), np.zeros(reach)
        for (x, y), flux in zip(places, light, strict=True):
            x0, y0 = round(x), round(y)
            box = plane[y0 - REACH : y0 + REACH + 1, x0 - REACH : x0 + REACH + 1].astype(float)
            dy, dx = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
            ring = np.hypot(dx - (x - x0), dy - (y - y0)).astype(int)
            inside = ring < reach
            sums += np.bincount(ring[inside], box[inside], reach) * flux
            counts += np.bincount(ring[inside], minlength=reach) * flux**2
        found[band] = sums / counts
    return found


def differences(images, places, light, width):
    """Largest difference of bands in any ring, over the peak: in the core, and beyond it."""
    found = np.array(list(profiles(images, places, light, width).values()))
    off = np.ptp(found, axis=0) / found[0, 0]
    half = int(np.ceil(width / 2))
    return float(off[:half].max()), float(off[half:].max())


def matched(images, places):
    """Match PSFs that are measured on some stars."""
    psf = {band: measure_psf(images, band, stars=places).kernel for band in images}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PicassssoWarning)
        return match_psf(images.replace(psf=psf))


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize(
    ("shapes", "limits"),
    [(SHARP, (0.012, 0.004)), (COARSE, (0.03, 0.005))],
    ids=["4 px", "1.4 px"],
)
def test_stars_that_made_no_psf_look_alike(shapes, limits, fold):
    """Largest difference in the core and in rings beyond half a FWHM, in parts of the peak."""
    images, places, light = field(shapes)
    ready = matched(images, places[fold::2])
    others = places[1 - fold :: 2], light[1 - fold :: 2]
    width = shapes["g"][0]
    core, rings = differences(images, *others, width)
    assert core > 0.15
    assert rings > 0.02
    core, rings = differences(ready, *others, width)
    assert core < limits[0]
    assert rings < limits[1]


@pytest.mark.parametrize("told", [False, True])
def test_measured_psfs_of_too_few_pixels_are_told(told):
    images, _, _ = field(COARSE if told else SHARP)
    bands = images.select(["sdss2010-g", "sdss2010-r"])
    # Stars are widened when they are put on one another: the true PSFs.
    shapes = COARSE if told else SHARP
    bands = bands.replace(psf={b: stamp(0, 0, *shapes[b[-1]]) for b in bands})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        match_psf(bands)
    found = [str(w.message) for w in caught if "pixels wide" in str(w.message)]
    assert len(found) == told
    assert not found or "target=1 * u.arcsec" in found[0]
