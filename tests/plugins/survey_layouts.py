"""Writers of small files in the layouts of surveys, from fluxes in AB nanomaggies.

They know nothing of the readers: each follows the survey's own description of its files.
"""

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS


def tangent_wcs(shape, scale, center=(150.0, 2.0), rotation=0.0):
    """Return a WCS with pixels of some arcsec, centered on the image."""
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


# ---- infrared and space telescopes: one image in a file, others beside it ----------------------


def _plane(path, array, wcs, dtype=np.float32, **cards):
    fits.PrimaryHDU(np.asarray(array, dtype), _header(wcs, **cards)).writeto(path)
    return path


def euclid_mosaic(folder, band, flux, wcs, *, sigma=None, flags=None, zero_point=24.6, **cards):
    """Write a mosaic of Euclid's MER pipeline, with its RMS and flags; return the paths."""
    per_nmgy = 10 ** (0.4 * (zero_point - 22.5))
    known = {"TELESCOP": "Euclid", "FILTER": band, "MAGZEROP": zero_point, **cards}
    known = {key: value for key, value in known.items() if value is not None}
    name = "EUC_MER_{}_TILE102018211-ACBD03_20241018T142710.276838Z_00.00.fits"
    paths = [_plane(folder / name.format(f"BGSUB-MOSAIC-{band}"), flux * per_nmgy, wcs, **known)]
    if sigma is not None:
        rms = np.broadcast_to(np.asarray(sigma) * per_nmgy, flux.shape)
        paths.append(_plane(folder / name.format(f"MOSAIC-{band}-RMS"), rms, wcs, **known))
    if flags is not None:
        path = folder / name.format(f"MOSAIC-{band}-FLAG")
        paths.append(_plane(path, flags, wcs, np.int32, **known))
    return paths


def casu_image(path, band, flux, wcs, *, camera="WFCAM", vega=0.938, percorr=None, **cards):
    """Write one detector of the pipelines of WFCAM and VIRCAM, calibrated in the Vega system."""
    zero_point, extinction, airmass, time = 22.9, 0.05, 1.4, 10.0
    ab = zero_point + 2.5 * np.log10(time) - extinction * (airmass - 1) + vega + (percorr or 0.0)
    primary = fits.PrimaryHDU()
    known = {"INSTRUME": camera, "FILTER": band}
    if camera == "WFCAM":
        known |= {"TELESCOP": "UKIRT", "EXP_TIME": time, "AMSTART": 1.35, "AMEND": 1.45}
    else:
        known |= {"EXPTIME": time, "HIERARCH ESO TEL AIRM START": 1.35,
                  "HIERARCH ESO TEL AIRM END": 1.45}  # fmt: skip
    primary.header.update(known)
    primary.header.update({key: value for key, value in cards.items() if value is not None})
    for key in [key for key, value in cards.items() if value is None]:
        primary.header.remove(key, ignore_missing=True)
    header = _header(wcs, MAGZPT=zero_point, EXTINCT=extinction, APCOR3=0.25)
    if percorr is not None:
        header["PERCORR"] = percorr
    for key in [key for key, value in cards.items() if value is None]:
        header.remove(key, ignore_missing=True)
    counts = np.asarray(flux * 10 ** (0.4 * (ab - 22.5)), np.float32)
    fits.HDUList([primary, fits.ImageHDU(counts, header)]).writeto(path)
    return path


def spitzer_mosaic(folder, channel, flux, wcs, *, sigma=None, coverage=None, **cards):
    """Write a mosaic of IRAC in MJy/sr, with its uncertainties and coverage; return the paths."""
    area = np.abs(np.linalg.det(wcs.pixel_scale_matrix)) * (np.pi / 180) ** 2
    per_nmgy = 3.630780547701014e-12 / area  # MJy/sr
    known = {"TELESCOP": "Spitzer", "INSTRUME": "IRAC", "CHNLNUM": channel, "BUNIT": "MJy/sr"}
    known = {key: value for key, value in {**known, **cards}.items() if value is not None}
    stem = f"SPITZER_I{channel}_9876540_0000_1_"
    paths = [_plane(folder / f"{stem}E012345_maic.fits", flux * per_nmgy, wcs, **known)]
    if sigma is not None:
        noise = np.broadcast_to(np.asarray(sigma) * per_nmgy, flux.shape)
        paths.append(_plane(folder / f"{stem}A012345_munc.fits", noise, wcs, **known))
    if coverage is not None:
        paths.append(_plane(folder / f"{stem}A012345_mcov.fits", coverage, wcs, **known))
    return paths


def wise_atlas(folder, band, flux, wcs, *, vega, sigma=None, coverage=None, **cards):
    """Write an Atlas image of AllWISE, with its uncertainties and coverage; return the paths."""
    zero_point = {1: 20.5, 2: 19.5, 3: 18.0, 4: 13.0}[band]
    per_nmgy = 10 ** (0.4 * (zero_point + vega - 22.5))
    known = {"TELESCOP": "WISE", "BAND": band, "MAGZP": zero_point, "BUNIT": "DN", **cards}
    known = {key: value for key, value in known.items() if value is not None}
    planes = {"int": flux * per_nmgy}
    if sigma is not None:
        planes["unc"] = np.broadcast_to(np.asarray(sigma) * per_nmgy, flux.shape)
    if coverage is not None:
        planes["cov"] = coverage
    kinds = {"int": "intensity image", "unc": "1-sigma uncertainty image",
             "cov": "depth-of-coverage image"}  # fmt: skip
    return [
        _plane(folder / f"1497p015_ac51-w{band}-{kind}-3.fits", array, wcs, FILETYPE=kinds[kind],
               **known)
        for kind, array in planes.items()
    ]  # fmt: skip


def unwise_coadd(folder, band, flux, wcs, *, vega, sigma, **cards):
    """Write an unWISE coadd with its inverse variances; return the paths."""
    per_nmgy = 10 ** (-0.4 * -vega)
    known = {"MAGZP": 22.5, "UNW_VER": 25444, "BAND": band, **cards}
    stem = f"unwise-1497p015-w{band}"
    weight = np.broadcast_to((np.asarray(sigma) * per_nmgy) ** -2.0, flux.shape)
    return [
        _plane(folder / f"{stem}-img-m.fits", flux * per_nmgy, wcs, **known),
        _plane(folder / f"{stem}-invvar-m.fits", weight, wcs, **known),
    ]


def space_image(path, flux, wcs, *, sigma, flags=None, unit="MJy/sr", **cards):
    """Write SCI, ERR and DQ as JWST's pipeline does, and Roman's in FITS files."""
    area = np.abs(np.linalg.det(wcs.pixel_scale_matrix)) * (np.pi / 180) ** 2
    per_nmgy = 3.630780547701014e-12 / area
    primary = fits.PrimaryHDU()
    primary.header.update(cards)
    header = _header(wcs, BUNIT=unit)
    noise = np.broadcast_to(np.asarray(sigma) * per_nmgy, flux.shape)
    bits = np.zeros(flux.shape) if flags is None else flags
    fits.HDUList(
        [
            primary,
            fits.ImageHDU(np.asarray(flux * per_nmgy, np.float32), header, name="SCI"),
            fits.ImageHDU(np.asarray(noise, np.float32), header, name="ERR"),
            fits.ImageHDU(np.asarray(bits, np.uint32), _header(wcs), name="DQ"),
        ]
    ).writeto(path)
    return path
