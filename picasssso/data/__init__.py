"""The example galaxy that comes with the package.

A made-up spiral of `picasssso.mocks`, observed as SDSS would see it, and the truth that was
put in. ``tools/make_example_galaxy.py`` in the repository makes both files and says how.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

__all__ = ["load_example"]


def load_example_images() -> BandImages:
    """Return the images of the example galaxy, as `load_example` describes them."""
    from picasssso.bands import BandImages

    with as_file(files(__package__) / "example_galaxy.fits.gz") as path:
        return BandImages.read(path)


def load_example_truth() -> PropertyMaps:
    """Return all properties as put in, at the resolution of u; all percentiles are the truth."""
    from picasssso.maps import PropertyMaps

    with as_file(files(__package__) / "example_truth.fits.gz") as path:
        return PropertyMaps.read(path)


def load_example() -> tuple[BandImages, PropertyMaps]:
    """Return images and truth of the example galaxy.

    Returns
    -------
    images : BandImages
        SDSS u, g, r, i and z, 128 x 128 pixels of 0.396 arcsec, in nmgy with standard
        deviations, at redshift 0.03. North is neither up nor along the galaxy's axes.
    truth : PropertyMaps
        All properties as simulated, at the resolution of the image with the broadest PSF (u),
        without noise. All percentiles are the true values.

    Examples
    --------
    >>> from picasssso.data import load_example
    >>> images, truth = load_example()
    >>> images.shape == truth.shape
    True
    """
    return load_example_images(), load_example_truth()
