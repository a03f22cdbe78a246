"""Files with more than one mask, such as MASK and DQ: what is bad in any of them is bad."""

import numpy as np
import pytest
import survey_layouts as layouts
from astropy.io import fits

from picasssso import BandImages
from picasssso.exceptions import InvalidInputError, PicassssoWarning

R = "sdss2010-r"
SIDE = 48
Y, X = np.indices((SIDE, SIDE)) - SIDE // 2
LIGHT = 9 * np.exp(-np.hypot(Y, X) / 6)
IMAGE = (LIGHT + np.random.default_rng(1).normal(0, 0.1, LIGHT.shape)).astype("f4")
NAMED = {"HIERARCH MP_DETECTED": 5, "MP_SAT": 1, "MP_BAD": 0}


def plane(light=0, **pixels):
    """A mask with bits ``light`` on the galaxy, and others by the column of the first row."""
    bits = np.where(LIGHT > 0.5, light, 0).astype(np.int16)
    for column, value in pixels.items():
        bits[0, int(column[1:])] |= value
    return bits


def write(path, *planes):
    header = layouts.tangent_wcs(LIGHT.shape, 0.4).to_header()
    header["BUNIT"] = "nmgy"
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(IMAGE, header, name="SCI")]
    for name, bits, *cards in planes:
        hdus.append(fits.ImageHDU(bits, name=name))
        hdus[-1].header.update(*cards)
    fits.HDUList(hdus).writeto(path)
    return path


def bad(path, **arguments):
    """The columns of bad pixels of the first row, and how many others there are."""
    mask = BandImages.read({R: path}, redshift=0.1, **arguments)[R].mask != 0
    return np.flatnonzero(mask[0]).tolist(), int(mask[1:].sum())


def test_a_mask_that_may_be_the_wrong_way_round_is_told(tmp_path):
    good = np.ones_like(LIGHT, dtype=np.uint8)
    good[:2] = 0
    with pytest.warns(PicassssoWarning, match="nonzero on 96 % of the pixels with data"):
        bad(write(tmp_path / "a.fits", ("MASK", good)))


@pytest.mark.parametrize("names", [("MASK", "DQ"), ("DQ", "MASK"), ("FLAGS", "BPM")])
def test_a_pixel_is_bad_if_any_mask_says_so(tmp_path, names):
    path = write(tmp_path / "a.fits", *zip(names, (plane(c3=1), plane(c5=16, c6=4)), strict=True))
    assert bad(path) == ([3, 5, 6], 0)


@pytest.mark.parametrize("turn", [1, -1])
def test_named_bits_count_in_their_own_mask_alone(tmp_path, turn):
    """DETECTED of one mask is 32, which is a bad pixel in the other."""
    planes = [("MASK", plane(32, c3=2), NAMED), ("DQ", plane(c5=32))]
    assert bad(write(tmp_path / "a.fits", *planes[::turn])) == ([3, 5], 0)


@pytest.mark.parametrize("bit", [1, 32])
@pytest.mark.parametrize("turn", [1, -1])
def test_a_mask_of_sources_beside_one_of_bad_pixels_hides_nothing(tmp_path, bit, turn):
    planes = [("MASK", plane(bit)), ("DQ", plane(c5=16))]
    path = write(tmp_path / "a.fits", *planes[::turn])
    with pytest.warns(PicassssoWarning, match=f"names in MASK .*, of which {bit} is set on near"):
        assert bad(path) == ([5], 0)
    everything = int(np.count_nonzero(plane(bit)))
    assert bad(path, mask="MASK") == ([], everything)


def test_bits_are_those_of_the_mask_that_has_some(tmp_path):
    path = write(tmp_path / "a.fits", ("MASK", plane(c3=1)), ("DQ", plane(c5=16, c6=4)))
    assert bad(path, mask_bits=4) == ([3, 6], 0)
    assert bad(path, mask="DQ", mask_bits=4) == ([6], 0)
    assert bad(path, mask="MASK") == ([3], 0)


def test_bits_of_two_masks_are_asked_for(tmp_path):
    path = write(tmp_path / "a.fits", ("MASK", plane(c3=8)), ("DQ", plane(c5=16, c6=4)))
    assert bad(path) == ([3, 5, 6], 0)
    with pytest.raises(InvalidInputError, match=r"MASK \(HDU 2\) and DQ \(HDU 3\).*mask=2"):
        bad(path, mask_bits=4)
    assert bad(path, mask=3, mask_bits=4) == ([6], 0)


def test_flags_of_jwst_beside_a_mask(tmp_path):
    """Of DQ only DO_NOT_USE makes a pixel unusable."""
    wcs = layouts.tangent_wcs(LIGHT.shape, 0.03)
    path = layouts.space_image(
        tmp_path / "a.fits", LIGHT, wcs, sigma=0.1, flags=plane(c5=1, c6=4), TELESCOP="JWST",
        INSTRUME="NIRCAM", FILTER="F150W", PUPIL="CLEAR",
    )  # fmt: skip
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(plane(c3=1), name="MASK"))
    images = BandImages.read(path, redshift=0.1)
    (band,) = images
    assert np.flatnonzero(images[band].mask[0]).tolist() == [3, 5]
