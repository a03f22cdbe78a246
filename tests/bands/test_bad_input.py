"""Wrong input gives an error that names the band, what was found and what to do."""

import re

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.table import Table
from astropy.wcs import WCS, DistortionLookupTable

from picasssso.bands import BandImages, GalacticExtinction, NoiseScaling, align
from picasssso.bands.flux_units import parse_unit
from picasssso.exceptions import PicassssoError

G = "sdss2010-g"
R = "sdss2010-r"
SHAPE = (6, 8)


def default_wcs():
    """Return a WCS of a header with CTYPE and CRVAL alone: its pixels are 1 degree."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ("RA---TAN", "DEC--TAN"), (150, 2)
    return wcs


class Kit:
    """What the cases below are made of."""

    def __init__(self, make_wcs, folder):
        self.make_wcs, self.folder = make_wcs, folder
        self.wcs = make_wcs(SHAPE)

    def ccd(self, data=None, *, unit="nmgy", wcs="own", **extra):
        data = np.ones(SHAPE) if data is None else data
        return CCDData(data, unit=unit, wcs=self.wcs if isinstance(wcs, str) else wcs, **extra)

    def one(self, image=None, *, band=R, redshift=0.02, **arguments):
        image = self.ccd() if image is None else image
        return BandImages({band: image}, redshift=redshift, **arguments)

    def two(self, image, **arguments):
        return BandImages({G: self.ccd(), R: image}, redshift=0.02, **arguments)

    def file(self, name="r.fits", data=None, **cards):
        header = self.wcs.to_header()
        header.update(cards)
        hdus = [
            fits.PrimaryHDU(),
            fits.ImageHDU(np.ones(SHAPE) if data is None else data, header, name="SCI"),
        ]
        path = self.folder / name
        fits.HDUList(hdus).writeto(path)
        return path

    def read(self, path, band=R, **arguments):
        return BandImages.read({band: path}, redshift=0.02, **arguments)


@pytest.fixture
def kit(make_wcs, tmp_path):
    return Kit(make_wcs, tmp_path)


def high_level_wcs(kit):
    cube = WCS(naxis=3)
    cube.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    cube.wcs.cdelt = -1e-4, 1e-4, 1.0
    ccd = kit.ccd(wcs=None)
    return NDData(ccd.data, unit="nmgy", wcs=cube[0])


def three_axes(kit):
    cube = WCS(naxis=3)
    cube.wcs.ctype = "RA---TAN", "DEC--TAN", "WAVE"
    return NDData(np.ones(SHAPE), unit="nmgy", wcs=cube)


def with_table(kit):
    wcs = kit.wcs.deepcopy()
    table = np.zeros((2, 2), np.float32)
    wcs.cpdis1 = DistortionLookupTable(table, (1, 1), (1, 1), (1, 1))
    return wcs


def broken_wcs(kit):
    wcs = kit.wcs.deepcopy()
    wcs.wcs.cd = np.array([[0.0, 0.0], [0.0, 1e-4]])
    return kit.ccd(wcs=wcs)


def truncated(kit, keep):
    path = kit.file(BUNIT="nmgy", data=np.ones((60, 60)))
    path.write_bytes(path.read_bytes()[:-keep])
    return path


def not_fits(kit, content):
    path = kit.folder / "notes.fits"
    path.write_bytes(content)
    return path


def table_file(kit):
    path = kit.folder / "table.fits"
    Table({"a": [1, 2]}).write(path)
    return path


def newer_format(kit):
    path = kit.folder / "new.fits"
    kit.one().write(path)
    fits.setval(path, "BANDSFMT", value=99)
    fits.setval(path, "BANDSNED", value="7.0")
    return path


def without_plane(kit):
    path = kit.folder / "part.fits"
    kit.one().write(path)
    with fits.open(path) as hdus:
        hdus[:1].writeto(kit.folder / "cut.fits")
    return kit.folder / "cut.fits"


def masked(value):
    return np.full(SHAPE, value)


def noise(array):
    return StdDevUncertainty(array)


# name: (what is done, fragments of the message: the band or thing, what was found, the advice)
CASES = {
    # type
    "bare array": (lambda k: k.one(np.ones(SHAPE)), [R, "ndarray", "CCDData("]),
    "quantity": (lambda k: k.one(np.ones(SHAPE) * u.nmgy), [R, "Quantity", "CCDData("]),
    "path": (lambda k: BandImages("g.fits", redshift=0.1), ["g.fits", "BandImages.read"]),
    "one image": (lambda k: BandImages(k.ccd(), redshift=0.1), ["CCDData", "{band: CCDData}"]),
    "no image": (lambda k: BandImages({}, redshift=0.1), ["no band", "{band: CCDData}"]),
    "number": (lambda k: BandImages(5, redshift=0.1), ["int", "{band: CCDData}"]),
    "BandImages": (lambda k: BandImages(k.one(), redshift=0.1), ["lost", "replace("]),
    "complex values": (
        lambda k: k.one(k.ccd(np.ones(SHAPE, complex))),
        [R, "complex128", "real numbers"],
    ),
    "band name not text": (lambda k: k.one(band=3), ["3", "int", "'sdss2010-g'"]),
    # shape
    "zero size": (lambda k: k.one(k.ccd(np.ones((0, 8)))), [R, "(0, 8)", "how it was cut"]),
    "cube as band": (
        lambda k: k.one(CCDData(np.ones((2, 6, 8)), unit="nmgy")),
        [R, "(2, 6, 8)", "from_cube"],
    ),
    "one axis": (lambda k: k.one(CCDData(np.ones(6), unit="nmgy")), [R, "(6,)", "(y, x)"]),
    "shapes that differ": (
        lambda k: k.two(k.ccd(np.ones((6, 9)))),
        [R, "(6, 9)", "(6, 8)", "bands.align(", f"onto={G!r}"],
    ),
    # unit
    "no unit": (lambda k: k.one(NDData(np.ones(SHAPE), wcs=k.wcs)), [R, "no unit", "'nmgy'"]),
    "unit of something else": (lambda k: k.one(k.ccd(unit="km/s")), [R, "km / s", "nmgy"]),
    "ampere for Angstrom": (
        lambda k: k.one(k.ccd(unit="erg / (s cm2 A)")),
        [R, "erg / (A s cm2)", "ampere", "AA"],
    ),
    "counts without zero point": (
        lambda k: k.one(k.ccd(unit="adu")),
        [R, "'adu'", "zero_point=30 * u.ABmag"],
    ),
    "pure numbers": (lambda k: k.one(k.ccd(unit="")), [R, "dimensionless", "zero_point="]),
    "zero point without system": (
        lambda k: k.one(k.ccd(unit="adu"), zero_point=30.0),
        [R, "30.0", "not stated", "u.ABmag"],
    ),
    "zero point in mag": (
        lambda k: k.one(k.ccd(unit="adu"), zero_point=30 * u.mag),
        [R, "30. mag", "not stated", "u.ABmag"],
    ),
    "zero point for a flux": (
        lambda k: k.one(zero_point=30 * u.ABmag),
        [R, "nmgy", "Leave one of them out"],
    ),
    "zero point that is NaN": (
        lambda k: k.one(k.ccd(unit="adu"), zero_point=np.nan * u.ABmag),
        [R, "nan", "finite", "u.ABmag"],
    ),
    "zero point of another band": (
        lambda k: k.one(k.ccd(unit="adu"), zero_point={G: 30 * u.ABmag}),
        ["zero_point=", G, R],
    ),
    "softening that is text": (
        lambda k: k.one(k.ccd(unit="mag"), asinh_softening="small"),
        [R, "'small'", "1e-10"],
    ),
    "magnitudes": (lambda k: k.one(k.ccd(unit="mag")), [R, "mag", "asinh_softening="]),
    "AB magnitudes": (lambda k: k.one(k.ccd(unit=u.ABmag)), [R, "mag(AB)", "asinh_softening="]),
    "softening that is not": (
        lambda k: k.one(k.ccd(unit="mag"), asinh_softening=25.0),
        [R, "25.0", "1e-10"],
    ),
    "softening for a flux": (
        lambda k: k.one(asinh_softening=1e-10),
        [R, "1e-10", "nmgy", "Leave it out"],
    ),
    # mask
    "mask of wrong shape": (
        lambda k: k.one(
            NDData(np.ones(SHAPE), unit="nmgy", wcs=k.wcs, mask=np.zeros((2, 2), bool))
        ),
        [R, "(2, 2)", "(6, 8)"],
    ),
    "mask of floats": (
        lambda k: k.one(NDData(np.ones(SHAPE), unit="nmgy", wcs=k.wcs, mask=masked(0.5))),
        [R, "float64", "True where bad"],
    ),
    # nothing there
    "all zero": (lambda k: k.two(k.ccd(np.zeros((6, 8)))), [R, "only zeros", "Leave the band"]),
    "all NaN": (lambda k: k.two(k.ccd(masked(np.nan))), [R, "no finite pixel", "Leave the band"]),
    "all masked": (
        lambda k: k.two(k.ccd(mask=masked(True))),
        [R, "every finite pixel masked", "check the mask"],
    ),
    # WCS
    "pixels of 1440 arcsec": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=0.4 * u.deg),
        ["pixel_scale", "1440 arcsec", "0.001 to 60", "unit"],
    ),
    "no CDELT": (lambda k: k.one(k.ccd(wcs=default_wcs())), [R, "3573 arcsec", "CDELT or CD"]),
    "no WCS": (lambda k: k.one(k.ccd(wcs=None)), [R, "no WCS", "pixel_scale=0.263 * u.arcsec"]),
    "WCS in some bands": (lambda k: k.two(k.ccd(wcs=None)), [R, "no WCS", "wcs=wcs"]),
    "WCS and pixel scale": (
        lambda k: k.one(pixel_scale=1 * u.arcsec),
        ["1.0 arcsec", "Leave it out"],
    ),
    "WCS that is not celestial": (
        lambda k: k.one(k.ccd(wcs=WCS(naxis=2))),
        [R, "linear", "RA---TAN", "pixel_scale="],
    ),
    "WCS with three axes": (lambda k: k.one(three_axes(k)), [R, "WAVE", "wcs.celestial"]),
    "WCS cut from a cube": (lambda k: k.one(high_level_wcs(k)), [R, "wcs.celestial"]),
    "WCS without area": (lambda k: k.one(broken_wcs(k)), [R, "WCS", "Correct the header"]),
    "WCS of another field": (
        lambda k: k.two(k.ccd(wcs=k.make_wcs(SHAPE, center=(30, -40)))),
        [R, G, "more than the whole image", "bands.align("],
    ),
    "WCS off by 0.3 pixel": (
        lambda k: k.two(k.ccd(wcs=k.make_wcs(SHAPE, center=(150, 2 + 0.3 * 0.4 / 3600)))),
        [R, "0.30 pixels", "at most 0.1", "bands.align("],
    ),
    "WCS of another scale": (
        lambda k: k.two(k.ccd(wcs=k.make_wcs(SHAPE, scale=0.5))),
        [R, "1.25 pixels", "corner", "bands.align("],
    ),
    "pixel scale without unit": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=0.4),
        ["pixel_scale", "0.4", "u.arcsec"],
    ),
    "pixel scale in meters": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=0.4 * u.m),
        ["pixel_scale", "0.4 m", "u.arcsec"],
    ),
    "WCS with tables": (lambda k: k.one(k.ccd(wcs=with_table(k))), [R, "look-up-table", "SIP"]),
    "pixel scale that is many": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=[0.4, 0.5] * u.arcsec),
        ["pixel_scale", "one finite number"],
    ),
    # band name
    "band that is a file": (lambda k: k.one(band="sdss2010-g.ecsv"), ["sdss2010-g.ecsv"]),
    "unknown band": (lambda k: k.one(band="sdss2010-q"), ["sdss2010-q", "sdss2010-u"]),
    "unknown filter group": (lambda k: k.one(band="sdss2020-g"), ["sdss2020-g", "sdss2010"]),
    "band without survey": (lambda k: k.one(band="g"), ["'g'", "survey='sdss'"]),
    "unknown survey": (lambda k: k.one(band="g", survey="sloan"), ["sloan", "sdss"]),
    "survey not text": (lambda k: k.one(survey=7), ["survey", "7", "'sdss'"]),
    "duplicate band": (
        lambda k: BandImages([(R, k.ccd()), (R, k.ccd())], redshift=0.1),
        [R, "twice", "Leave one out"],
    ),
    "duplicate by two names": (
        lambda k: BandImages({"r": k.ccd(), R: k.ccd()}, survey="sdss", redshift=0.1),
        ["'r'", R, "twice", "Leave one out"],
    ),
    # redshift
    "no redshift": (lambda k: k.one(redshift=None), ["redshift", "none", "redshift=0.02"]),
    "redshift too negative": (lambda k: k.one(redshift=-0.005), ["-0.005", "redshift=0.02"]),
    "redshift as text": (lambda k: k.one(redshift="0.02"), ["'0.02'", "number"]),
    "redshift NaN": (lambda k: k.one(redshift=np.nan), ["nan", "redshift=0.02"]),
    "redshift as velocity": (lambda k: k.one(redshift=6000), ["6000", "km/s"]),
    "redshift in km/s": (lambda k: k.one(redshift=6e3 * u.km / u.s), ["km / s", "pure number"]),
    "several redshifts": (lambda k: k.one(redshift=[0.1, 0.2]), ["2 values", "split_labels"]),
    "redshift as a word": (lambda k: k.one(redshift=object()), ["redshift", "number"]),
    "distance without unit": (
        lambda k: k.one(luminosity_distance=16.5),
        ["luminosity_distance", "16.5", "u.Mpc"],
    ),
    "negative distance": (
        lambda k: k.one(luminosity_distance=-3 * u.Mpc),
        ["luminosity_distance", "-3", "u.Mpc"],
    ),
    "cosmology by name": (lambda k: k.one(cosmology="Planck18"), ["'Planck18'", "astropy"]),
    # what travels along
    "PSF without unit": (lambda k: k.one(psf=1.2), [R, "1.2", "u.arcsec"]),
    "PSF in pixels": (lambda k: k.one(psf=3 * u.pix), [R, "pix", "Multiply pixels"]),
    "PSF in nmgy": (lambda k: k.one(psf=3 * u.nmgy), [R, "nmgy", "u.arcsec"]),
    "PSF of zero width": (lambda k: k.one(psf=0 * u.arcsec), [R, "0", "more than 0"]),
    "PSF broader than the image": (
        lambda k: k.one(psf=1e5 * u.arcsec),
        [R, "100000 arcsec", "at most 64 pixels", "unit"],
    ),
    "PSF put wrong later": (
        lambda k: k.one().replace(psf=2 * u.deg),
        [R, "7200 arcsec", "at most 64 pixels", "unit"],
    ),
    "PSF kernel without sum": (lambda k: k.one(psf=np.zeros((3, 3))), [R, "sum", "(3, 3)"]),
    "PSF as text": (lambda k: k.one(psf="wide"), [R, "'wide'", "u.arcsec"]),
    "PSF twice": (
        lambda k: k.one(survey="sdss", psf={"r": 1 * u.arcsec, R: 2 * u.arcsec}),
        ["psf=", R, "twice"],
    ),
    "PSF of unknown band": (lambda k: k.one(psf={"sdss2010-i": 1 * u.arcsec}), ["psf=", R]),
    "noise scaling that is not": (lambda k: k.one(noise_scaling=2.0), [R, "2.0", "NoiseScaling"]),
    "noise scaling that falls": (
        lambda k: NoiseScaling([10, 1], [1, 2]),
        ["[10.0, 1.0]", "increase"],
    ),
    "sky error without unit": (lambda k: k.one(sky_error=0.1), [R, "0.1", "Quantity"]),
    "sky error in mag": (lambda k: k.one(sky_error=0.1 * u.mag), [R, "sky_error", "mag"]),
    "sky error negative": (lambda k: k.one(sky_error=-1 * u.nmgy), [R, "-1", "at least 0"]),
    "zero-point error in Jy": (
        lambda k: k.one(zero_point_error=1 * u.Jy),
        [R, "1. Jy", "0.02 * u.mag"],
    ),
    "extinction as number": (
        lambda k: k.one(galactic_extinction=0.03),
        ["0.03", "GalacticExtinction("],
    ),
    "extinction of unknown scale": (
        lambda k: GalacticExtinction(0.03, scale="S98", applied=True),
        ["'S98'", "SFD98"],
    ),
    "extinction, applied or not": (lambda k: GalacticExtinction(0.03, scale="SF11"), ["applied"]),
    "bins of floats": (lambda k: k.one(bins=np.zeros(SHAPE)), ["bins", "float64", "astype"]),
    "labels of wrong shape": (
        lambda k: k.one(labels=np.zeros((3, 3), int)),
        ["labels", "(3, 3)", "(6, 8)"],
    ),
    "meta that is no mapping": (lambda k: k.one(meta=[1]), ["meta", "list", "mapping"]),
    "meta that no file can hold": (lambda k: k.one(meta={"f": print}), ["meta", "'f'"]),
    # uncertainty
    "uncertainty all zero": (
        lambda k: k.one(k.ccd(uncertainty=InverseVariance(np.zeros(SHAPE)))),
        [R, "InverseVariance", "with_estimated_noise()"],
    ),
    "uncertainty all negative": (
        lambda k: k.one(k.ccd(uncertainty=noise(masked(-1.0)))),
        [R, "StdDevUncertainty", "positive"],
    ),
    "uncertainty of wrong shape": (
        lambda k: k.one(k.ccd(uncertainty=noise(np.ones((2, 2))))),
        [R, "(2, 2)", "(6, 8)"],
    ),
    "uncertainty of no kind": (
        lambda k: k.one(
            NDData(
                np.ones(SHAPE), unit="nmgy", wcs=k.wcs, uncertainty=UnknownUncertainty(masked(1.0))
            )
        ),
        [R, "UnknownUncertainty", "StdDevUncertainty"],
    ),
    "uncertainty of complex numbers": (
        lambda k: k.one(k.ccd(uncertainty=noise(masked(1j)))),
        [R, "complex128", "real numbers"],
    ),
    "inverse variance of magnitudes": (
        lambda k: k.one(
            k.ccd(unit="mag", uncertainty=VarianceUncertainty(masked(1.0))), asinh_softening=1e-10
        ),
        [R, "VarianceUncertainty", "StdDevUncertainty in mag"],
    ),
    # files
    "WCS that makes no sense": (
        lambda k: k.read(k.file(BUNIT="nmgy", CTYPE2="DEC--SIN")),
        [R, "WCS", "Correct its keywords"],
    ),
    "file that is no name": (lambda k: k.read(7), [R, "7", "'file.fits[HDU]'"]),
    "weight that is no name": (
        lambda k: k.read(k.file(BUNIT="nmgy"), weight=1.5),
        [R, "1.5", "'file.fits[HDU]'"],
    ),
    "missing file": (lambda k: k.read("nowhere.fits"), [R, "no file nowhere.fits", "Check"]),
    "folder": (lambda k: k.read(k.folder), [R, "a folder", "FITS file"]),
    "not FITS": (lambda k: k.read(not_fits(k, b"hello" * 2000)), [R, "notes.fits", "FITS"]),
    "empty file": (lambda k: k.read(not_fits(k, b"")), [R, "notes.fits", "FITS"]),
    "truncated by half": (lambda k: k.read(truncated(k, 20000)), [R, "cut short", "again"]),
    "truncated by a little": (lambda k: k.read(truncated(k, 2880)), [R, "cut short", "again"]),
    "wrong HDU name": (
        lambda k: k.read(f"{k.file(BUNIT='nmgy')}[WGT]"),
        [R, "'WGT'", "1 SCI (6 x 8)"],
    ),
    "wrong HDU number": (
        lambda k: k.read(f"{k.file(BUNIT='nmgy')}[7]"),
        [R, "7", "1 SCI (6 x 8)"],
    ),
    "empty HDU": (lambda k: k.read(f"{k.file(BUNIT='nmgy')}[0]"), [R, "0", "PRIMARY (empty)"]),
    "table": (lambda k: k.read(f"{table_file(k)}[1]"), [R, "table", "Name another HDU"]),
    "cube in a file": (
        lambda k: k.read(f"{k.file(data=np.ones((2, 6, 8)))}[1]"),
        [R, "2 x 6 x 8", "from_cube"],
    ),
    "several images and no name": (
        lambda k: k.read(_two_images(k)),
        [R, "2 2-D images", "[HDU]"],
    ),
    "file without unit": (lambda k: k.read(k.file()), [R, "no BUNIT", "unit='nmgy'"]),
    "file with unknown unit": (
        lambda k: k.read(k.file(BUNIT="furlong")),
        [R, "'furlong'", "unit='nmgy'"],
    ),
    "counts in a file": (
        lambda k: k.read(k.file(BUNIT="adu", MAGZPT=25.0)),
        [R, "adu", "MAGZPT = 25.0", "zero_point=30 * u.ABmag"],
    ),
    "file without WCS": (
        lambda k: k.read(_plain_file(k), unit="nmgy"),
        [R, "no WCS", "pixel_scale="],
    ),
    "weight that is not there": (
        lambda k: k.read(k.file(BUNIT="nmgy"), weight="WGT"),
        [R, "weight", "'WGT'", "1 SCI (6 x 8)"],
    ),
    "variance and uncertainty": (
        lambda k: k.read(k.file(BUNIT="nmgy"), variance="SCI", uncertainty="SCI"),
        [R, "uncertainty= and variance=", "only one"],
    ),
    "survey file as own": (
        lambda k: BandImages.read(k.file(BUNIT="nmgy")),
        ["r.fits", "{'sdss2010-r': path}"],
    ),
    "own file with more": (
        lambda k: BandImages.read(own_file(k), redshift=0.1, unit="Jy", mask="DQ"),
        ["unit=, mask=", "own.fits", "replace("],
    ),
    "newer format": (
        lambda k: BandImages.read(newer_format(k)),
        ["format 99", "picasssso 7.0", "Upgrade"],
    ),
    "own file without its planes": (
        lambda k: BandImages.read(without_plane(k)),
        ["cut.fits", "damaged", "again"],
    ),
    "read without a mapping": (lambda k: BandImages.read(7), ["7", "{band: 'file.fits[HDU]'}"]),
    # cubes
    "cube without bands": (
        lambda k: BandImages.from_cube(np.ones((2, 6, 8)), None, "nmgy", redshift=0.1),
        ["bands=None", "BAND0"],
    ),
    "cube with too few bands": (
        lambda k: BandImages.from_cube(np.ones((3, 6, 8)), [G, R], "nmgy", redshift=0.1),
        ["(3, 6, 8)", "(2, y, x)"],
    ),
    "cube with bands last": (
        lambda k: BandImages.from_cube(np.ones((6, 8, 2)), [G, R], "nmgy", redshift=0.1),
        ["(6, 8, 2)", "np.moveaxis"],
    ),
    "cube in two units": (
        lambda k: BandImages.from_cube(np.ones((2, 6, 8)) * u.uJy, [G, R], "nmgy", redshift=0.1),
        ["uJy", "unit='nmgy'", "expected one unit"],
    ),
    "cube without unit": (
        lambda k: BandImages.from_cube(np.ones((2, 6, 8)), [G, R], redshift=0.1),
        ["no unit", "unit='nmgy'"],
    ),
    # parts and grids
    "empty part": (lambda k: k.one()[3:3, 0:2], ["slice(3, 3", "at least one"]),
    "part with a step": (lambda k: k.one()[::2, :], ["step of 2", "reproject_to"]),
    "part by number": (lambda k: k.one()[3, 4], ["(3, 4)", "images[y0:y1, x0:x1]"]),
    "band that is not there": (lambda k: k.one()["sdss2010-z"], ["sdss2010-z", R]),
    "cutout outside": (lambda k: k.one().cutout((100, 100), 3), ["100.0", "6 x 8"]),
    "cutout of negative size": (
        lambda k: k.one().cutout((3, 3), -5),
        ["size=-5", "positive", "20 * u.arcsec"],
    ),
    "cutout of no size": (lambda k: k.one().cutout((3, 3), "big"), ["'big'", "20 * u.arcsec"]),
    "cutout of a mass": (lambda k: k.one().cutout((3, 3), 5 * u.kg), ["5. kg", "20 * u.arcsec"]),
    "cutout of three sides": (
        lambda k: k.one().cutout((3, 3), (2, 3, 4)),
        ["(2, 3, 4)", "(y, x)"],
    ),
    "labels that are not there": (
        lambda k: next(k.one().split_labels({1: 0.1})),
        ["no labels", "labels=array"],
    ),
    "no band selected": (lambda k: k.one().select([]), ["select", "at least one band"]),
    "cutout by words": (lambda k: k.one().cutout("center", 3), ["'center'", "SkyCoord"]),
    "cutout on the sky without WCS": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=1 * u.arcsec).cutout(SkyCoord("0d 0d"), 3),
        ["without WCS", "pixel (x, y)"],
    ),
    "targets without a mapping": (
        lambda k: next(k.one(labels=np.ones(SHAPE, int)).split_labels([0.1])),
        ["[0.1]", "{label: redshift}"],
    ),
    "replace what is not": (lambda k: k.one().replace(redshfit=1), ["redshfit", "redshift"]),
    "area without distance": (
        lambda k: k.one(redshift=0.001).pixel_area,
        ["z = 0.001", "luminosity_distance="],
    ),
    "reproject without WCS": (
        lambda k: k.one(k.ccd(wcs=None), pixel_scale=1 * u.arcsec).reproject_to(k.wcs, SHAPE),
        ["without WCS"],
    ),
    "reproject elsewhere": (
        lambda k: k.one().reproject_to(k.make_wcs(SHAPE, center=(151, 2)), SHAPE),
        ["no overlap", "Check the WCS"],
    ),
    "reproject without shape": (
        lambda k: k.one().reproject_to(k.make_wcs(SHAPE, scale=1.0)),
        ["shape=(y, x)"],
    ),
    "reproject to no grid": (lambda k: k.one().reproject_to(7, SHAPE), ["7", "astropy.wcs.WCS"]),
    "reproject to a strange shape": (
        lambda k: k.one().reproject_to(k.make_wcs(SHAPE, scale=1.0), (0, "a")),
        ["(0, 'a')", "(y, x)"],
    ),
    "reproject to half a pixel": (
        lambda k: k.one().reproject_to(k.make_wcs(SHAPE, scale=1.0), (10.5, 3)),
        ["(10.5, 3)", "(y, x)"],
    ),
    "reproject to the other side": (
        lambda k: k.one().reproject_to(k.make_wcs(SHAPE, center=(330, -2)), SHAPE),
        ["nowhere", "Check the WCS"],
    ),
    "reproject by unknown method": (
        lambda k: k.one().reproject_to(k.wcs, SHAPE, method="drizzle"),
        ["'drizzle'", "exact, adaptive, interp"],
    ),
    "align onto a band that is not there": (
        lambda k: align({R: k.ccd()}, onto=G, redshift=0.1),
        [G, R],
    ),
    "noise of a model": (
        lambda k: k.one(k.ccd(np.ones((40, 40)), wcs=k.make_wcs((40, 40)))).with_estimated_noise(),
        [R, "without any scatter", "uncertainty"],
    ),
    "noise of too small an image": (
        lambda k: k.one().with_estimated_noise(),
        [R, "fewer than 100 pixels", "larger image"],
    ),
}


def own_file(kit):
    kit.one().write(kit.folder / "own.fits")
    return kit.folder / "own.fits"


def _two_images(kit):
    path = kit.folder / "two.fits"
    images = [fits.ImageHDU(np.ones(SHAPE), name=name) for name in ("G", "R")]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    return path


def _plain_file(kit):
    path = kit.folder / "plain.fits"
    fits.PrimaryHDU(np.ones(SHAPE)).writeto(path)
    return path


@pytest.mark.parametrize("case", CASES)
def test_bad_input(kit, case):
    action, fragments = CASES[case]
    with pytest.raises(PicassssoError) as caught:
        action(kit)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message, message
    # One paragraph in plain sentences; nothing of Python's own.
    assert re.search(r"[.)?]$", message), message
    assert "\n" not in message, message
    assert len(message) < 700, message
    # Also the built-in exception that fits, for those who do not know ours.
    assert isinstance(caught.value, ValueError | TypeError | OSError)


def test_there_are_enough_cases():
    assert len(CASES) >= 25


@pytest.mark.parametrize(
    ("faults", "first"),
    [
        # Each image has the fault and all that come after it at the door.
        ("shape unit mask empty wcs name redshift psf noise", "two dimensions"),
        ("unit mask empty wcs name redshift psf noise", "no unit"),
        ("mask empty wcs name redshift psf noise", "a mask of"),
        ("empty wcs name redshift psf noise", "no finite pixel"),
        ("wcs name redshift psf noise", "no WCS"),
        ("name redshift psf noise", "no such filter"),
        ("redshift psf noise", "redshift: found none"),
        ("psf noise", "PSF"),
        ("noise", "no pixel with a usable"),
    ],
)
def test_checks_come_in_the_order_promised(kit, faults, first):
    shape = (2, 6, 8) if "shape" in faults else SHAPE
    image = NDData(
        np.full(shape, np.nan if "empty" in faults else 1.0),
        unit=None if "unit" in faults else u.nmgy,
        mask=np.zeros(shape, float if "mask" in faults else bool),
        wcs=None if "wcs" in faults else kit.wcs,
        uncertainty=StdDevUncertainty(np.zeros(shape)) if "noise" in faults else None,
    )
    with pytest.raises(PicassssoError, match=re.escape(first)):
        BandImages(
            {"sdss2010-q" if "name" in faults else R: image},
            redshift=None if "redshift" in faults else 0.02,
            psf=1.2 if "psf" in faults else None,
        )


@pytest.mark.parametrize("fault", ["existing", "folder", "no folder", "unit"])
def test_failed_write_leaves_nothing_behind(kit, fault):
    images = kit.one()
    path = kit.folder / "out.fits"
    if fault == "existing":
        path.write_text("precious")
    elif fault == "folder":
        path.mkdir()
    elif fault == "no folder":
        path = kit.folder / "nowhere" / "out.fits"
    else:
        furlong = u.def_unit("furlong_nmgy", 3 * u.nmgy)
        images = kit.one(kit.ccd(unit=furlong))
    before = sorted(kit.folder.rglob("*"))
    with pytest.raises(PicassssoError, match=r"out\.fits|furlong_nmgy"):
        images.write(path)
    assert sorted(kit.folder.rglob("*")) == before
    if fault == "existing":
        assert path.read_text() == "precious"
        images.write(path, overwrite=True)
        assert BandImages.read(path).bands == (R,)


def test_other_warnings_of_a_file_reach_the_user(kit):
    """Errors are not found by swallowing what astropy has to say."""
    path = kit.file(BUNIT="nmgy", EXPTIME=3.0)
    path.write_bytes(
        path.read_bytes().replace(
            b"EXPTIME =                  3.0", b"EXPTIME =                  3,0"
        )
    )
    with pytest.warns(VerifyWarning) as caught:
        kit.read(path)
    assert any("Verification reported errors" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("value", [1.6e38, -1.6e38, 3.4e38, 1e37])
def test_numbers_that_stand_for_none_are_no_data(value):
    data = np.full((4, 4), 2.0, np.float32)
    data[1, 2] = value
    noise = StdDevUncertainty(np.full((4, 4), 0.1))

    def read(values):
        image = CCDData(values, unit="nmgy", uncertainty=noise)
        return BandImages({R: image}, redshift=0.03, pixel_scale=0.4 * u.arcsec)

    flux, inverse_variance = read(data).to_arrays()
    assert flux[0, 1, 2] == 0
    assert inverse_variance[0, 1, 2] == 0
    assert (inverse_variance > 0).sum() == 15
    with pytest.raises(PicassssoError, match="no finite pixel"):
        read(np.full((4, 4), value, np.float32))


def test_a_psf_that_holds_no_value_is_refused():
    kernel = np.ones((5, 5))
    kernel[2, 3] = 1.6e38
    with pytest.raises(PicassssoError, match="PSF: found a kernel"):
        BandImages(
            {R: CCDData(np.ones((4, 4)), unit="nmgy")}, redshift=0.03, pixel_scale=0.4 * u.arcsec,
            psf=kernel,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value", "valid"),
    [
        ("nmgy", 1.6e38, False),
        ("nmgy", 3.4028235e38, False),
        ("nmgy", np.inf, False),
        ("nmgy", 1e37, False),
        ("Jy", 2e38, False),
        ("W / (m2 Hz)", 1e72, True),  # of 0.03 nmgy
        ("W / (m2 Hz)", 1.6e38, False),
        ("erg / (s cm2 AA)", 2e38, True),  # of 0.01 nmgy
    ],
)
def test_inverse_variances_that_stand_for_none_are_no_data(unit, value, valid):
    weights = np.ones((4, 4))
    weights[1, 2] = value
    image = CCDData(np.full((4, 4), 2.0), unit=unit, uncertainty=InverseVariance(weights))
    images = BandImages({R: image}, redshift=0.03, pixel_scale=0.4 * u.arcsec)
    assert (images.to_arrays()[1][0, 1, 2] > 0) == valid


@pytest.mark.parametrize("value", [99, -99, 999, np.nan])
def test_a_zero_point_that_stands_for_none_is_refused(value):
    image = CCDData(np.ones((4, 4)), unit="adu")
    with pytest.raises(PicassssoError, match="one finite magnitude"):
        BandImages({R: image}, redshift=0.1, pixel_scale=1 * u.arcsec, zero_point=value * u.ABmag)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MJY/SR", "MJy / sr"), ("MJY SR-1", "MJy / sr"), ("UJY", "uJy"), ("JY/PIXEL", "Jy / pix"),
        ("e-/s", "electron / s"), ("E-/S", "electron / s"), ("e-", "electron"), ("cps", "ct / s"),
        ("CPS/pix", "ct / (s pix)"), ("ERG/S/CM**2/HZ", "erg / (s cm2 Hz)"),
        ("1e-20 erg/s/cm2/AA", "1e-20 erg / (s cm2 AA)"), ("cts/sec", "ct / s"),
        ("1.E-17 ERG/CM2/S/A", "1e-17 erg / (s cm2 AA)"), ("flam", "erg / (s cm2 AA)"),
        ("microJy", "uJy"), ("JANSKY", "Jy"), ("Mjy/sr", "MJy / sr"), ("nMgy/px", "nmgy / pix"),
        ("(10**(-20)*erg/s/cm**2/Angstrom)**2", "1e-40 erg2 / (s2 cm4 AA2)"),
    ],
)  # fmt: skip
def test_units_as_surveys_spell_them(text, expected):
    assert parse_unit(text, R, "BUNIT") == u.Unit(expected)


def test_a_unit_in_capitals_that_may_be_two_is_refused():
    with pytest.raises(PicassssoError, match="mJy or MJy"):
        parse_unit("MJY", R, "BUNIT")
