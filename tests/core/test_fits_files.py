"""FITS files: how many stay open, and how long a file of very many parts takes."""

import bz2
import gc
import gzip
import mmap
import time
import weakref

import numpy as np
import pytest
from astropy.io import fits

from picasssso import BandImages
from picasssso._core import before_opening, fits_files
from picasssso._core.fits_files import open_fits, read_array
from picasssso.exceptions import FileFormatError, PicassssoError


def is_mapped(array):
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(array, mmap.mmap)


def test_mapped_images_take_at_most_half_the_file_handles(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8, 8))
    monkeypatch.setattr(fits_files, "_MAPS", weakref.WeakSet())
    values = np.arange(600 * 600, dtype="f4").reshape(600, 600)
    fits.PrimaryHDU(values).writeto(tmp_path / "a.fits")

    def read(number):
        return [read_array(tmp_path / "a.fits", 0, "File")[0] for _ in range(number)]

    kept = read(7)
    assert [is_mapped(array) for array in kept] == 4 * [True] + 3 * [False]
    for array in kept:
        np.testing.assert_array_equal(array, values)
    del kept, array
    gc.collect()
    assert all(map(is_mapped, read(1)))


def test_a_packed_file_that_needs_another_package_is_refused(tmp_path):
    (tmp_path / "a.fits.Z").write_bytes(b"\x1f\x9d\x90" + bytes(100))
    with (
        pytest.raises(FileFormatError, match=r"packed .*unpack the file|cannot be read as FITS"),
        open_fits(tmp_path / "a.fits.Z", "File"),
    ):
        pass


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
def test_a_packed_file_is_unpacked_once(tmp_path, monkeypatch, ending):
    """Whatever the order in which its planes are read; messages still give its name."""
    opener = {".gz": gzip.open, ".bz2": bz2.open}[ending]
    values = [np.full((30, 31), k, "f4") for k in range(4)]
    fits.HDUList([fits.PrimaryHDU(), *map(fits.ImageHDU, values)]).writeto(tmp_path / "a.fits")
    path = tmp_path / f"a.fits{ending}"
    with opener(path, "wb") as packed:
        packed.write((tmp_path / "a.fits").read_bytes())
    reads = []
    monkeypatch.setattr(
        before_opening, "_PACKED",
        {key: lambda *how: reads.append(how) or opener(*how) for key in before_opening._PACKED},
    )  # fmt: skip
    with open_fits(path, "File") as hdus:
        assert hdus.filename() == str(path)
        for k in (3, 0, 2, 1):
            found = read_array(path, k + 1, "File", hdus)[0]
            np.testing.assert_array_equal(found, values[k])
    assert len(reads) == 2  # the first header, all of it
    # One that would fill the memory is left to astropy.
    with monkeypatch.context() as patch:
        patch.setattr(before_opening, "_UNPACKED_SIZE", 1000)
        assert before_opening.unpacked(path) is None
        np.testing.assert_array_equal(read_array(path, 2, "File")[0], values[1])
    # Of one that is damaged at its end it would read the first headers again and again.
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole[:-6] + bytes(6)):
        path.write_bytes(damaged)
        with pytest.raises(FileFormatError, match="cannot be read as FITS"):
            read_array(path, 2, "File")


def test_a_file_of_a_thousand_images_is_soon_refused(tmp_path):
    path = tmp_path / "many.fits"
    fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((8, 9), "f4"), name="CCD0000")]
    ).writeto(path)
    primary, plane = path.read_bytes()[:2880], path.read_bytes()[2880:]
    planes = [plane.replace(b"CCD0000", b"CCD%04d" % k) for k in range(1000)]
    path.write_bytes(primary + b"".join(planes))
    for files in ({"sdss2010-r": path}, path):
        start = time.process_time()
        with pytest.raises(FileFormatError, match="expected") as caught:
            BandImages.read(files, redshift=0.1)
        assert time.process_time() - start < 5
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ({"CRVAL1": "abc"}, "CRVAL1 = 'abc' is no number"),
        ({"RADESYS": "XYZ", "CTYPE1": "XLON-TAN", "CTYPE2": "XLAT-TAN"}, "WCS that cannot be"),
    ],
)
def test_a_wcs_that_is_not_of_the_sky_is_refused(tmp_path, cards, words):
    header = fits.Header({"BUNIT": "nmgy", "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN"})
    header.update({"CRVAL1": 150.0, "CRVAL2": 2.0, "CDELT1": -1e-4, "CDELT2": 1e-4, **cards})
    for band in "gr":
        fits.PrimaryHDU(np.eye(9), header).writeto(tmp_path / f"{band}.fits")
    files = {f"sdss2010-{band}": tmp_path / f"{band}.fits" for band in "gr"}
    with pytest.raises(PicassssoError, match=words):
        BandImages.read(files, redshift=0.1)
