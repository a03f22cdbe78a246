"""Writers of small files in the layouts of surveys, from fluxes in AB nanomaggies.

They know nothing of the readers: each follows the survey's own description of its files.
"""

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS


def tangent_wcs(shape, scale, center=(150.0, 2.0), rotation=0.0):
    """Return a WCS with pixels of some arcsec, centred on the image."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = "RA---TAN", "DEC--TAN"
    wcs.wcs.crval, wcs.wcs.crpix = center, [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    angle = np.deg2rad(rotation)
    wcs.wcs.cd = (scale / 3600) * np.array(
        [[-np.cos(angle), np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    return wcs


def _header(wcs, **cards):
    header = wcs.to_header()
    for key, value in cards.items():
        header[key.replace("__", ".")] = value
    return header


def sdss_frame(path, band, flux, wcs, *, camcol=3, run=3000, per_count=0.005, sky=120.0, **cards):
    """Write an SDSS frame; u and z are written on the survey's own zero points."""
    own = flux * 10 ** (0.4 * {"u": -0.04, "z": 0.02}.get(band, 0.0))
    height, width = flux.shape
    header = _header(wcs, BUNIT="nanomaggy", FILTER=band, CAMCOL=camcol, RUN=run, NMGY=per_count)
    header.update(cards)
    grid = np.full((6, 8), sky, np.float32)
    table = Table(
        {
            "ALLSKY": grid[None],
            "XINTERP": np.linspace(0, 7, width, dtype=np.float32)[None],
            "YINTERP": np.linspace(0, 5, height, dtype=np.float32)[None],
        }
    )
    fits.HDUList(
        [
            fits.PrimaryHDU(own.astype(np.float32), header),
            fits.ImageHDU(np.full(width, per_count, np.float32)),
            fits.BinTableHDU(table),
        ]
    ).writeto(path)
    return path


def legacy_cutout(path, bands, flux, wcs, *, inverse_variance=None, maskbits=None, **cards):
    """Write a cube of the Legacy Surveys' viewer."""
    header = _header(wcs, SURVEY="LegacySurvey", VERSION="DR9", BANDS="".join(bands))
    for k, band in enumerate(bands):
        header[f"BAND{k}"] = band
    header.update(cards)
    hdus = []
    for kind, array in (("IMAGE", flux), ("INVVAR", inverse_variance), ("MASKBITS", maskbits)):
        if array is not None:
            header["IMAGETYP"] = kind
            make = fits.ImageHDU if hdus else fits.PrimaryHDU
            dtype = np.int32 if kind == "MASKBITS" else np.float32
            hdus.append(make(np.asarray(array, dtype), header.copy()))
    fits.HDUList(hdus).writeto(path)
    return path


def des_coadd(path, band, flux, wcs, *, sigma=None, mask=None, **cards):
    """Write a DES coadd: counts with a zero point of 30."""
    per_nmgy = 10 ** (0.4 * (30 - 22.5))
    header = _header(
        wcs,
        BUNIT="electrons",
        MAGZERO=30.0,
        FILTER=f"{band} DECam SDSS c0001 4720.0 1520.0",
        BAND=band,
        TILENAME="DES0151+0001",
    )
    header.update(cards)
    hdus = [fits.PrimaryHDU(np.asarray(flux * per_nmgy, np.float32), header)]
    hdus[0].name = "SCI"
    if mask is not None:
        hdus.append(fits.ImageHDU(np.asarray(mask, np.int16), header, name="MSK"))
    if sigma is not None:
        weight = np.broadcast_to(1 / (np.asarray(sigma) * per_nmgy) ** 2, flux.shape)
        hdus.append(fits.ImageHDU(np.asarray(weight, np.float32), header, name="WGT"))
    fits.HDUList(hdus).writeto(path)
    return path


def _luptitude(counts, softening, offset):
    return 2.5 / np.log(10) * np.arcsinh((counts - offset) / (2 * softening))


def ps1_stack(folder, band, flux, wcs, *, sigma, mask=None, time=700.0, asinh=True, **cards):
    """Write a Pan-STARRS1 stack with its variance and mask; return the three paths."""
    per_nmgy = 10 ** (0.4 * (25 + 2.5 * np.log10(time) - 22.5))
    header = _header(wcs, EXPTIME=time)
    header["HIERARCH FPA.FILTERID"] = f"{band}.00000"
    header["HIERARCH FPA.TELESCOPE"] = "PS1"
    header["HIERARCH FPA.INSTRUMENT"] = "GPC1"
    header.update(cards)
    names = "DETECTOR FLAT DARK BLANK CTE SAT LOW SUSPECT CR SPIKE".split()
    values = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        header[f"MSKNAM{k:02d}"], header[f"MSKVAL{k:02d}"] = name, value
    counts = flux * per_nmgy
    variance = np.broadcast_to((np.asarray(sigma) * per_nmgy) ** 2, flux.shape)
    stem = folder / f"rings.v3.skycell.1725.051.stk.{band}.unconv"
    images = {"fits": counts, "wt.fits": variance}
    for ending, array in images.items():
        own = header.copy()
        if asinh:
            own["BSOFTEN"], own["BOFFSET"] = 50.0, 10.0
            array = _luptitude(array, 50.0, 10.0)
        fits.PrimaryHDU(np.asarray(array, np.float32), own).writeto(f"{stem}.{ending}")
    bits = np.zeros(flux.shape) if mask is None else mask
    fits.PrimaryHDU(np.asarray(bits, np.int16), header).writeto(f"{stem}.mask.fits")
    return [f"{stem}.{ending}" for ending in ("fits", "wt.fits", "mask.fits")]


def lsst_image(path, band, flux, wcs, *, sigma, bits=None, camera="HSC", **cards):
    """Write an image of the LSST pipelines: HSC in counts, LSST in nJy."""
    per_nmgy = 10 ** (0.4 * (27 - 22.5)) if camera == "HSC" else 3630.780547701014
    planes = "BAD SAT INTRP CR EDGE DETECTED DETECTED_NEGATIVE SUSPECT NO_DATA".split()
    primary = fits.PrimaryHDU()
    image = _header(wcs)
    if camera == "HSC":
        primary.header["FLUXMAG0"] = 10 ** (0.4 * 27)
        primary.header["FILTER"], primary.header["INSTRUME"] = f"HSC-{band.upper()}", "HSC"
    else:
        image["BUNIT"] = "nJy"
        primary.header["FILTER"], primary.header["INSTRUME"] = f"{band}_03", "LSSTComCam"
    primary.header.update(cards)
    mask = _header(wcs)
    for bit, name in enumerate(planes):
        mask[f"HIERARCH MP_{name}"] = bit
    variance = np.broadcast_to((np.asarray(sigma) * per_nmgy) ** 2, flux.shape)
    bits = np.zeros(flux.shape) if bits is None else bits
    fits.HDUList(
        [
            primary,
            fits.ImageHDU(np.asarray(flux * per_nmgy, np.float32), image, name="IMAGE"),
            fits.ImageHDU(np.asarray(bits, np.int32), mask, name="MASK"),
            fits.ImageHDU(np.asarray(variance, np.float32), _header(wcs), name="VARIANCE"),
        ]
    ).writeto(path)
    return path


def eso_image(path, band, flux, wcs, *, zero_point=0.0, **cards):
    """Write an image to ESO's standard; KiDS has a zero point of 0."""
    header = _header(
        wcs, PRODCATG="SCIENCE.IMAGE", PHOTZP=zero_point, PHOTSYS="AB", FILTER=f"{band}_SDSS",
        PSF_FWHM=0.7,
    )  # fmt: skip
    header.update(cards)
    fits.PrimaryHDU(
        np.asarray(flux * 10 ** (0.4 * (zero_point - 22.5)), np.float32), header
    ).writeto(path)
    return path


def gama_image(path, flux, wcs, *, zero_point=30.0, **cards):
    """Write an image like GAMA's: counts, and nothing that says so."""
    header = _header(wcs)
    header.update(cards)
    fits.PrimaryHDU(
        np.asarray(flux * 10 ** (0.4 * (zero_point - 22.5)), np.float32), header
    ).writeto(path)
    return path
