"""FITS files: how many stay open, and how long a file of very many parts takes."""

import gc
import mmap
import time
import weakref

import numpy as np
import pytest
from astropy.io import fits

from picasssso import BandImages
from picasssso._core import fits_files
from picasssso._core.fits_files import read_array
from picasssso.exceptions import FileFormatError


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


def test_a_file_of_a_thousand_images_is_soon_refused(tmp_path):
    path = tmp_path / "many.fits"
    planes = [fits.ImageHDU(np.zeros((8, 9), "f4"), name=f"CCD{k}") for k in range(1000)]
    fits.HDUList([fits.PrimaryHDU(), *planes]).writeto(path)
    for files in ({"sdss2010-r": path}, path):
        start = time.process_time()
        with pytest.raises(FileFormatError, match="expected") as caught:
            BandImages.read(files, redshift=0.1)
        assert time.process_time() - start < 5
        assert len(str(caught.value)) < 600
