"""Small galaxies in files, and a catalog of them."""

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from picasssso.testing import make_galaxy
from picasssso.testing.galaxy import make_wcs

N = 6
SIDE = 20


def write_band(path, data, wcs, sigma=0.01):
    """Write an image in nmgy with its standard deviations."""
    header = wcs.to_header()
    header["BUNIT"] = "nmgy"
    noise = np.full(data.shape, sigma, np.float32)
    fits.HDUList(
        [
            fits.PrimaryHDU(data.astype(np.float32), header),
            fits.ImageHDU(noise, header, name="ERR"),
        ]
    ).writeto(path)


@pytest.fixture(scope="session")
def galaxies(tmp_path_factory):
    """Folder with ``cutouts/{id}_{band}.fits`` and ``galaxies.ecsv``: redshifts 0.05, 0.051 ..."""
    folder = tmp_path_factory.mktemp("galaxies")
    (folder / "cutouts").mkdir()
    names = [f"galaxy {k}" for k in range(N)]
    for k, name in enumerate(names):
        images = make_galaxy((SIDE, SIDE), bands=("sdss2010-g", "sdss2010-i"), seed=k)
        for band in images:
            path = folder / "cutouts" / f"{name}_{band[-1]}.fits"
            write_band(path, (k + 1) * np.asarray(images[band].data), images.wcs)
    table = Table({"id": names, "redshift": 0.05 + 0.001 * np.arange(N), "note": ["x"] * N})
    table.write(folder / "galaxies.ecsv")
    return folder


@pytest.fixture
def how(galaxies):
    """Arguments of `run` for those galaxies, used as they are."""
    return {
        "catalog": galaxies / "galaxies.ecsv",
        "images": str(galaxies / "cutouts" / "{id}_{band}.fits"),
        "bands": ["g", "i"],
        "options": {"survey": "sdss", "psf": 1.3 * u.arcsec},
        "prepare": False,
        "progress": False,
    }


@pytest.fixture(scope="session")
def tiles(tmp_path_factory):
    """Two overlapping tiles of a field, by band, and the position of a source in each part."""
    folder = tmp_path_factory.mktemp("tiles")
    wcs = make_wcs((60, 100), angle=0.0)
    y, x = np.mgrid[:60, :100]
    places = {"left": (20.0, 30.0), "both": (52.0, 30.0), "edge": (3.0, 30.0)}
    for band in "gi":
        field = sum(5 * np.exp(-np.hypot(x - px, y - py) / 2) for px, py in places.values())
        for part, columns in (("a", slice(0, 58)), ("b", slice(40, 100))):
            write_band(folder / f"{part}_{band}.fits", field[:, columns], wcs[:, columns])
    positions = {name: wcs.pixel_to_world(*place) for name, place in places.items()}
    return folder, positions


@pytest.fixture(scope="session")
def scheduler():
    """Address of a cluster of two workers."""
    pytest.importorskip("distributed")
    from picasssso.surveys.engine import connect

    with connect(None, 2, {"GPU": 1}) as client:
        yield client.scheduler.address
