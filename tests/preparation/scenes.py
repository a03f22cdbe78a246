"""Made scenes of a galaxy with stars, supernovae, nuclei and companions, of which all is known.

Scene k of a kind is the same whatever else is drawn. Lengths are in arcsec in words, in pixels in
code; fluxes are in units of the galaxy's own light without its nucleus.
"""

import zlib
from dataclasses import dataclass, replace

import numpy as np
import survey_layouts as layouts
from astropy.nddata import CCDData, StdDevUncertainty
from scipy.signal import fftconvolve
from scipy.special import gamma

from picasssso import BandImages
from picasssso.preparation.psf import model_psf

SIGMA = 0.02


@dataclass(frozen=True)
class Light:
    """A point source (``radius`` 0) or a Sersic profile at (x, y) from the galaxy's nucleus."""

    x: float
    y: float
    flux: float
    radius: float = 0.0
    index: float = 1.0
    ratio: float = 1.0
    angle: float = 0.0


@dataclass(frozen=True)
class Scene:
    """A galaxy (its parts), what else there is, and where it is asked for, from its nucleus."""

    kind: str
    own: tuple[Light, ...]
    others: tuple[Light, ...]
    asked: tuple[float, float]
    fwhm: float
    scale: float
    snr: float
    seed: int
    side: int = 0

    @property
    def center(self):
        return self.side // 2, self.side // 2


@dataclass(frozen=True)
class Painted:
    """Images of a scene in one band, and the light in them of each of its parts, (y, x)."""

    images: BandImages
    own: np.ndarray
    others: list[np.ndarray]
    asked: tuple[float, float]


def sersic(shape, light, center):
    """Return a Sersic profile (y, x) averaged over pixels near its center, before the PSF."""
    b = 2 * light.index - 1 / 3 + 0.01 / light.index
    total = (
        2 * np.pi * light.index * np.exp(b) * b ** (-2 * light.index) * gamma(2 * light.index)
    ) * light.radius**2 * light.ratio  # fmt: skip
    y0, x0 = center[0] + light.y, center[1] + light.x
    turn = np.deg2rad(light.angle)

    def profile(y, x):
        along = (x - x0) * np.cos(turn) + (y - y0) * np.sin(turn)
        across = ((y - y0) * np.cos(turn) - (x - x0) * np.sin(turn)) / light.ratio
        radius = np.hypot(along, across) / light.radius
        return np.exp(-b * (radius ** (1 / light.index) - 1)) / total

    values = profile(*np.indices(shape, dtype=float))
    fine, reach = 11, 4
    rows, columns = (
        slice(max(round(c) - reach, 0), min(round(c) + reach + 1, n))
        for c, n in zip((y0, x0), shape, strict=True)
    )
    steps = (np.arange(fine) + 0.5) / fine - 0.5
    if rows.stop > rows.start and columns.stop > columns.start:
        y = (np.arange(rows.start, rows.stop)[:, None] + steps).ravel()
        x = (np.arange(columns.start, columns.stop)[:, None] + steps).ravel()
        part = profile(y[:, None], x)
        n_rows, n_columns = rows.stop - rows.start, columns.stop - columns.start
        values[rows, columns] = part.reshape(n_rows, fine, n_columns, fine).mean(axis=(1, 3))
    return light.flux * values


def points(shape, lights, center, fwhm, index=3.0):
    """Return point sources seen through a Moffat PSF averaged over pixels, wherever they lie."""
    image = np.zeros(shape)
    core = fwhm / 2 / np.sqrt(2 ** (1 / index) - 1)
    steps = (np.arange(3) + 0.5) / 3 - 0.5
    y, x = np.indices(shape, dtype=float)
    for light in lights:
        for dy in steps:
            for dx in steps:
                radius2 = (y + dy - center[0] - light.y) ** 2 + (x + dx - center[1] - light.x) ** 2
                image += light.flux / 9 * (1 + radius2 / core**2) ** -index
    return image * (index - 1) / (np.pi * core**2)


def paint(scene):
    """Return images of a scene: in one band, with a galaxy of the signal-to-noise ratio asked."""
    shape = (scene.side, scene.side)
    kernel = model_psf(scene.fwhm, 2 * round(3 * scene.fwhm) + 1)

    def seen(light):
        if not light.radius:
            return points(shape, [light], scene.center, scene.fwhm)
        return fftconvolve(sersic(shape, light, scene.center), kernel, mode="same")

    own = sum(seen(light) for light in scene.own)
    disk = max((light for light in scene.own if light.radius), key=lambda light: light.flux)
    # Mean signal-to-noise ratio of a pixel inside the disk's effective radius.
    level = disk.flux / 2 / (np.pi * disk.radius**2 * disk.ratio)
    unit = scene.snr * SIGMA / level
    others = [seen(light) * unit for light in scene.others]
    rng = np.random.default_rng([scene.seed, 1])
    data = own * unit + sum(others) + rng.normal(0, SIGMA, shape)
    image = CCDData(
        data,
        unit="nmgy",
        wcs=layouts.tangent_wcs(shape, scene.scale),
        uncertainty=StdDevUncertainty(np.full(shape, SIGMA, np.float32)),
    )
    images = BandImages({"sdss2010-r": image}, redshift=0.03, psf={"sdss2010-r": kernel})
    asked = scene.center[1] + scene.asked[0], scene.center[0] + scene.asked[1]
    return Painted(images, own * unit, others, asked)


@dataclass(frozen=True)
class Outcome:
    """What became of a scene.

    ``nucleus_hidden``: whether the galaxy's nucleus is masked or not of the target; ``astray``:
    whether something else is taken for it;
    ``stars`` and ``companions``: for each that is seen well, whether it is masked; ``lost``: part
    of the galaxy's light that is masked; ``strange``: light of others that is not, over the
    galaxy's.
    """

    nucleus_hidden: bool
    astray: bool
    stars: tuple[bool, ...]
    companions: tuple[bool, ...]
    lost: float
    strange: float


def judge(scene, painted, found, *, aperture=24.0):
    """Compare masks with what is true, inside an aperture of some arcsec around the nucleus."""
    y, x = np.indices(painted.own.shape)
    cy, cx = scene.center
    distance = np.hypot(y - cy, x - cx)
    hidden = bool((found.foreign & (distance < max(0.6 * scene.fwhm, 1.5))).any())
    hidden |= not found.target[cy, cx]
    stars, companions = [], []
    for light, plane in zip(scene.others, painted.others, strict=True):
        at = round(cy + light.y), round(cx + light.x)
        if not (0 <= at[0] < scene.side and 0 <= at[1] < scene.side):
            continue
        under = painted.own[at] + sum(p[at] for p in painted.others if p is not plane)
        apart = np.hypot(light.x, light.y)
        if not light.radius and plane[at] > 3 * max(under, 7 * SIGMA) and apart > 2 * scene.fwhm:
            stars.append(bool(found.foreign[at]))
        elif light.radius and plane[at] > 3 * max(under, 7 * SIGMA) and apart > 3 * scene.fwhm:
            companions.append(bool(found.foreign[at]))
    inside = distance < aperture / scene.scale
    # A pixel is the target's unless it is masked: apertures sum all of them.
    kept = inside & ~found.foreign
    own = painted.own[inside].sum()
    strange = sum(plane[kept].sum() for plane in painted.others) / own
    lost = 1 - painted.own[kept].sum() / own
    astray = np.hypot(found.nucleus[0] - cx, found.nucleus[1] - cy) > max(scene.fwhm, 2)
    return Outcome(
        hidden, bool(astray), tuple(stars), tuple(companions), float(lost), float(strange)
    )


# ---- kinds of scenes ---------------------------------------------------------------------------


def _turned(rng, length):
    angle = rng.uniform(0, 2 * np.pi)
    return float(length * np.cos(angle)), float(length * np.sin(angle))


def _log(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _galaxy(rng, scale, flux=1.0, at=(0.0, 0.0), radius=None):
    """A disk and a bulge; ``radius``: effective, arcsec."""
    radius = (_log(rng, 3.0, 12.0) if radius is None else radius) / scale
    bulge = float(rng.uniform(0.0, 0.5))
    ratio, angle = float(rng.uniform(0.35, 1.0)), float(rng.uniform(0, 180))
    return (
        Light(*at, flux * (1 - bulge), radius, 1.0, ratio, angle),
        Light(*at, flux * bulge, max(0.2 * radius, 0.7), 2.0, float(np.sqrt(ratio)), angle),
    )


def _companion(rng, scale, flux, distance):
    disk, bulge = _galaxy(
        rng, scale, flux, _turned(rng, distance / scale), min(_log(rng, 1.5, 6.0), distance / 3)
    )
    return replace(disk, index=1.5, flux=disk.flux + bulge.flux)


def _knots(rng, own, fwhm):
    """Star-forming regions in the disk that do not outshine it by a factor of two."""
    disk = own[0]
    found = []
    for _ in range(int(rng.integers(0, 7))):
        r, t = disk.radius * rng.uniform(0.6, 1.6), rng.uniform(0, 2 * np.pi)
        a, b = r * np.cos(t), r * disk.ratio * np.sin(t)
        turn = np.deg2rad(disk.angle)
        x, y = a * np.cos(turn) - b * np.sin(turn), a * np.sin(turn) + b * np.cos(turn)
        level = disk.flux * np.exp(-1.678 * r / disk.radius) / (
            1.9 * np.pi / 1.678 * disk.radius**2 * disk.ratio
        )  # fmt: skip
        peak = 0.7 * level * rng.uniform(0.3, 1.0)
        found.append(Light(float(x), float(y), float(peak * fwhm**2 * 1.3)))
    return tuple(found)


KINDS = (
    "plain", "nucleus", "companion", "close companion", "nucleus and companion",
    "nucleus and close companion", "star", "star asked for",
    "nucleus and star", "supernova", "crowded",
)  # fmt: skip


def draw(kind, number):
    """Return scene ``number`` of a kind."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
    scale = _log(rng, 0.2, 0.7)
    fwhm = max(_log(rng, 0.7, 2.2) / scale, 2.0)
    own = _galaxy(rng, scale)
    own += _knots(rng, own, fwhm)
    asked = _turned(rng, rng.uniform(0, 6) / scale)
    others = []
    if "nucleus" in kind or (kind == "crowded" and rng.uniform() < 0.5):
        own += (Light(0.0, 0.0, _log(rng, 0.4 if "close" in kind else 0.05, 6.0)),)
    if "companion" in kind or kind == "crowded":
        others.append(
            _companion(
                rng, scale, _log(rng, 0.05, 3.0), _log(rng, 8.0, 16.0 if "close" in kind else 60.0)
            )
        )
    if kind in ("star", "nucleus and star", "crowded"):
        others.append(Light(*_turned(rng, _log(rng, 2.0, 30.0) / scale), _log(rng, 0.02, 33.0)))
    if kind == "star asked for":
        place = _turned(rng, _log(rng, 1.5, 10.0) / scale)
        others.append(Light(*place, _log(rng, 2.0, 33.0)))
        asked = place
    if kind == "supernova":
        disk = own[0]
        place = _turned(rng, disk.radius * rng.uniform(0.2, 1.5))
        others.append(Light(*place, _log(rng, 0.01, 2.0)))
        asked = place
    reach = max([disk_reach(own), *(np.hypot(o.x, o.y) + 3 * o.radius + 4 for o in others)])
    side = int(np.clip(2 * reach + 8 * fwhm, 100, 400)) // 2 * 2 + 1
    return Scene(kind, own, tuple(others), asked, fwhm, scale, _log(rng, 4.0, 40.0), number, side)


def disk_reach(own):
    return 3.5 * own[0].radius
