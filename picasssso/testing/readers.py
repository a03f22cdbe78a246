"""The contract that every reader of images keeps."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

import astropy.units as u
import numpy as np
from astropy.io import fits

from picasssso.bands import BandImages
from picasssso.bands.flux_units import is_count_like
from picasssso.io import ImageFile, ImageReader, Recognition
from picasssso.io.band_planes import BandPlane


class _HeadersOnly(ImageFile):
    """A file whose arrays must not be read."""

    def array(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AssertionError("recognize() reads arrays: only headers may be looked at.")


def check_reader(
    reader: ImageReader, path: str | os.PathLike[str], *, redshift: float = 0.05
) -> BandImages:
    """Test a reader with a file of its format that contains an image and its band.

    Parameters
    ----------
    reader : ImageReader
        The reader.
    path : path
        A file that it can read without further arguments.
    redshift : float, optional
        Redshift for the images.

    Returns
    -------
    BandImages
        The images read from the file.

    Raises
    ------
    AssertionError
        If a test fails; the message gives the reason.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from astropy.io import fits
    >>> from picasssso.io import ImageReader, Recognition
    >>> from picasssso.testing import check_reader
    >>> class MySurvey(ImageReader):
    ...     title = "image of my survey"
    ...     def recognize(self, file):
    ...         found = file.get("SURVEY") == "MINE"
    ...         return Recognition("SURVEY = MINE") if found else None
    ...     def read(self, file):
    ...         band = file.band_of(file.text("FILTER"), {"g": "sdss2010-g"})
    ...         return [file.plane(0, band, "nmgy")]
    >>> header = fits.Header({"SURVEY": "MINE", "FILTER": "g", "CTYPE1": "RA---TAN",
    ...                       "CTYPE2": "DEC--TAN", "CDELT1": -1e-4, "CDELT2": 1e-4})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "g.fits")
    ...     fits.PrimaryHDU([[1.0, 2.0], [3.0, 4.0]], header).writeto(path)
    ...     images = check_reader(MySurvey(), path)
    >>> images.bands
    ('sdss2010-g',)
    """
    before = Path(path).read_bytes()
    assert isinstance(reader, ImageReader), f"{reader!r} is no ImageReader."
    assert type(reader)().title == reader.title != "", "The class takes no arguments, has a title."
    found = reader.recognize(_HeadersOnly(os.fspath(path)))
    assert isinstance(found, Recognition), f"recognize() gives {found!r} for its own file."
    assert 0 < found.certainty <= 1, f"The certainty is {found.certainty}, not from 0 to 1."
    assert found.why, "The recognition gives no reason."
    with tempfile.TemporaryDirectory() as folder:
        plain = os.path.join(folder, "plain.fits")
        fits.PrimaryHDU(np.ones((3, 4), np.float32)).writeto(plain)
        other = reader.recognize(_HeadersOnly(plain))
        assert other is None or other.certainty < 0.2, "An image without keywords is its own too."
        planes = _check_planes(reader, ImageFile(os.fspath(path)))
        images = _to_images(planes, redshift)
        images.write(os.path.join(folder, "own.fits"))
        again = BandImages.read(os.path.join(folder, "own.fits"))
        for one, two in zip(images.to_arrays(), again.to_arrays(), strict=True):
            np.testing.assert_array_equal(one, two, "Written and read it is not the same.")
    if len(planes) == 1:
        _check_what_the_user_says(reader, os.fspath(path), planes[0])
    assert Path(path).read_bytes() == before, "The file was changed."
    return images


def _check_planes(reader: ImageReader, file: ImageFile) -> list[BandPlane]:
    planes = reader.read(file)
    assert isinstance(planes, list), f"read() gives {planes!r}, not a list of bands."
    assert planes, "read() gives no band."
    again = reader.read(file)
    for plane, second in zip(planes, again, strict=True):
        assert isinstance(plane, BandPlane), f"read() gives a {type(plane).__name__}."
        assert plane.image.unit is not None, f"{plane.band}: the image has no unit."
        np.testing.assert_array_equal(
            plane.image.data, second.image.data, "Read twice, it differs."
        )
        counts = is_count_like(plane.image.unit)
        assert not counts or plane.zero_point is not None, f"{plane.band}: no zero point."
        assert plane.record.get("file") == file.name, f"{plane.band}: no record of its file."
    assert len({plane.band for plane in planes}) == len(planes), "A band comes twice."
    return planes


def _to_images(planes: list[BandPlane], redshift: float) -> BandImages:
    return BandImages(
        [(plane.band, plane.image) for plane in planes],
        redshift=redshift,
        zero_point={p.band: p.zero_point for p in planes if p.zero_point is not None} or None,
        pixel_scale=u.Quantity(1, u.arcsec) if planes[0].image.wcs is None else None,
        meta={"source": {plane.band: plane.record for plane in planes}},
    )


def _check_what_the_user_says(reader: ImageReader, path: str, plane: BandPlane) -> None:
    """Check that what the user says of a file goes before what the file says."""
    from picasssso.io.stated import Stated

    named = reader.read(ImageFile(path, band="twomass-Ks"))
    assert named[0].band == "twomass-Ks", "A band that the user names is ignored: use band_of()."
    if plane.zero_point is not None:
        stated = Stated(values={"zero_point": 12.5 * u.ABmag})
        given = reader.read(ImageFile(path, stated=stated))[0].zero_point
        assert given == 12.5 * u.ABmag, "A zero point that the user gives is ignored."
    stated = Stated(values={"uncertainty": "ERR", "mask": "DQ"})
    alone = reader.read(ImageFile(path, stated=stated))[0].image
    assert {alone.uncertainty is None, alone.mask is None} == {True}, (
        "Noise and mask are read although the user names others: pass them to plane()."
    )
