"""Band images as a color picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from picasssso.exceptions import InvalidInputError
from picasssso.filters.curves import pivot_wavelength

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from picasssso.bands.stack import BandStack

#: Wavelengths in Angstrom nearest to which bands become red, green and blue.
_COLORS = (7600.0, 6200.0, 4800.0)
#: Percentile of a band that becomes black: sky, where there is any.
_BLACK = 10.0
#: Brightness in units of the noise that becomes white at least, or all would be noise.
_MIN_WHITE = 25.0


def choose_bands(images: BandStack) -> list[str]:
    """Return up to three bands, from red to blue."""
    wavelengths = {band: pivot_wavelength(band).value for band in images}
    chosen: list[str] = []
    for wavelength in _COLORS[: len(images)]:
        left = [band for band in wavelengths if band not in chosen]
        chosen.append(min(left, key=lambda band: abs(np.log(wavelengths[band] / wavelength))))
    return sorted(chosen, key=lambda band: -wavelengths[band])


def color_picture(
    images: BandStack, bands: Sequence[str] | None, brightest: float, softening: float
) -> npt.NDArray[np.uint8]:
    """Return the color picture."""
    from astropy.visualization import make_lupton_rgb

    names = choose_bands(images) if bands is None else images._find_all(bands)
    if not 1 <= len(names) <= 3:
        raise InvalidInputError(
            f"plot: found {len(names)} bands, expected one to three, from red to blue."
        )
    flux, inverse_variance = images.to_arrays(bands=names)
    channels, noise = [], []
    for name, plane, precision in zip(names, flux, inverse_variance, strict=True):
        # Galaxies are red in f_nu; halfway to f_lambda they look as one knows them.
        channel = plane.astype(float) / pivot_wavelength(name).value
        valid = precision != 0
        black = np.percentile(channel[valid], _BLACK) if valid.any() else 0.0
        channels.append(np.where(valid, channel - black, 0.0))
        noise.append(_pixel_noise(channels[-1]))
    if len(channels) == 2:
        channels.insert(1, 0.5 * (channels[0] + channels[1]))
    red, green, blue = channels * 3 if len(channels) == 1 else channels
    scatter = float(np.mean(noise))
    white = max(
        float(np.percentile((red + green + blue) / 3, brightest)), _MIN_WHITE * scatter, 1e-300
    )
    linear = max(softening * scatter, white / 300)
    # Astropy's Q and stretch for asinh(brightness / linear) that is 1 at white.
    q = 10 * np.sinh(0.1 * np.arcsinh(white / linear))
    with np.errstate(divide="ignore", invalid="ignore"):  # astropy divides where all is black
        return make_lupton_rgb(red, green, blue, minimum=0.0, stretch=q * linear, Q=q)


def _pixel_noise(plane: npt.NDArray[np.floating]) -> float:
    """Return the scatter between neighbors, to which smooth light adds little."""
    if min(plane.shape) < 2:
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(plane, axis=1))) / np.sqrt(2))


def plot_images(
    images: BandStack,
    ax: Axes | None,
    bands: Sequence[str] | None,
    brightest: float,
    softening: float,
) -> Axes:
    """Show the color picture; see `BandImages.plot`."""
    picture = color_picture(images, bands, brightest, softening)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure().add_subplot(projection=images.wcs)
        ax.set_xlabel("x (pixels)" if images.wcs is None else "RA")
        ax.set_ylabel("y (pixels)" if images.wcs is None else "Dec")
    ax.imshow(picture, origin="lower", interpolation="nearest")
    return ax
