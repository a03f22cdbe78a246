"""HSC and LSST: images, masks and variances of the LSST Science Pipelines.

HDUs IMAGE, MASK and VARIANCE (or, in cut-outs, the second to the fourth, or IMAGE alone). The
header of the mask defines its bits: ``MP_SAT = 1`` is the bit of value 2. Images are in nanojansky
where ``BUNIT`` says so, else in counts with ``FLUXMAG0``, the counts of AB magnitude 0 (Bosch et
al. 2018, PASJ 70, S5). HSC coadds have a zero point of 27, which is not assumed. Rubin's data
previews (deep_coadd, visit_image) have no FILTER; their band is in ``LSST BUTLER DATAID BAND``.
"""

from __future__ import annotations

import re

import astropy.units as u

from picasssso.bands.flux_units import is_count_like, parse_unit
from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.band_planes import BandPlane
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import BAD_PLANES, check_zero_flux

_HSC = {band: f"hsc2017-{band}" for band in ("g", "r", "r2", "i", "i2", "z", "y")}
#: Keywords in which files of newer pipelines say their band, and from which camera they are.
_BAND = "LSST BUTLER DATAID BAND"
_ORIGIN = ("LSST BUTLER DATAID INSTRUMENT", "LSST BUTLER DATAID SKYMAP", "LSST BUTLER RUN")
_LSST = {band: f"lsst2023-{band}" for band in "ugrizy"}


class LSSTReader(ImageReader):
    """Reads images of the LSST Science Pipelines."""

    title = "HSC or LSST image"
    sky_subtracted = True

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by named bits in the header of the mask, or without one by FLUXMAG0."""
        layers = _layers(file)
        both = {"IMAGE", "MASK"} <= layers.keys()
        if both and any(key.startswith("MP_") for key in file.headers[layers["MASK"]]):
            return Recognition("HDUs IMAGE and MASK, with names of bits such as MP_BAD")
        if "IMAGE" in layers and "MASK" not in layers and file.get("FLUXMAG0") is not None:
            return Recognition("HDU IMAGE and FLUXMAG0")
        return None

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read an image with mask and variance."""
        layers = _layers(file)
        if "IMAGE" not in layers:
            raise FileFormatError(
                f"{file}: found {file.contents}, expected HDUs IMAGE, MASK and VARIANCE."
            )
        band, band_source = _band(file)
        unit, zero_point, source = _calibration(file, layers["IMAGE"], band)
        header = file.headers[layers["MASK"]] if "MASK" in layers else None
        planes = [name for name in BAD_PLANES if f"MP_{name}" in (header or ())]
        if header is not None and not planes:
            raise FileFormatError(
                f"{file}: found no keyword MP_BAD, MP_SAT or MP_NO_DATA with the mask, "
                "expected them to define the bits. Download it again."
            )
        return [
            file.plane(
                layers["IMAGE"],
                band,
                unit,
                noise=("var", layers.get("VARIANCE")),
                mask=layers.get("MASK"),
                zero_point=zero_point,
                band_source=band_source,
                zero_point_source=source,
                mask_planes=planes or None,
            )
        ]


def _layers(file: ImageFile) -> dict[str, int]:
    """Return the HDUs of image, mask and variance, those that there are."""
    # Old cut-outs have no EXTNAME, but EXTTYPE.
    kinds = [str(header.get("EXTTYPE", "")).strip().upper() for header in file.headers]
    found = {}
    for name in ("IMAGE", "MASK", "VARIANCE"):
        hdu = file.find(name)
        if hdu is not None or name in kinds:
            found[name] = kinds.index(name) if hdu is None else hdu
    return found


def _calibration(
    file: ImageFile, hdu: int, band: str
) -> tuple[u.UnitBase, u.Quantity | None, str]:
    """Return the unit, the zero point and its source."""
    text = file.bunit(hdu)
    unit = parse_unit(text, band, "BUNIT") if text else u.adu
    if not is_count_like(unit):
        return unit, None, "BUNIT"

    def stated() -> float:
        if file.get("FLUXMAG0") is None:
            raise InvalidInputError(
                f"{file}: found an image in counts and no FLUXMAG0, expected its "
                "calibration. Give the AB magnitude of one count, zero_point=27 * u.ABmag for "
                "HSC coadds."
            )
        return check_zero_flux(file.get("FLUXMAG0"), "FLUXMAG0", str(file))

    return unit, *file.zero_point(band, stated, "FLUXMAG0")


def _band(file: ImageFile) -> tuple[str, str]:
    """Return the band and its source."""
    if file.band is not None:
        return file.band, "given"
    camera = file.text("INSTRUME", "TELESCOP", "DETECTOR", *_ORIGIN)
    texts = [file.text(key) for key in ("FILTER", "FILTER01", "BAND", "FILTNAM", _BAND)]
    source, name = "header", next(filter(None, texts), "")
    if not name:
        # The archive names cut-outs by band; their headers may not.
        named = re.search(r"HSC-([GRIZY]2?)|(?:^|[-_])(?:lsst)?_?([ugrizy])(?=[-_.])", file.name)
        if named is None:
            raise InvalidInputError(
                f"{file}: found no keyword FILTER and no band in the file's name. Give the "
                "band: BandImages.read({'hsc2017-i': path}, ...)."
            )
        name, source = (f"HSC-{named[1]}" if named[1] else named[2]), "file name"
        camera += file.name
    hsc = re.fullmatch(r"HSC-([GRIZY]2?)", name, re.IGNORECASE)
    if hsc or re.search("HSC|Hyper|Subaru", camera, re.IGNORECASE):
        return file.band_of(hsc[1].lower() if hsc else name, _HSC), source
    # LSSTComCam writes "r_03", LSSTCam "r_57".
    letter = re.fullmatch(r"(?:lsst[-_ ])?([ugrizy])(?:_\d+)?", name, re.IGNORECASE)
    if re.search("LSST|Rubin|Simonyi", camera + name, re.IGNORECASE):
        return file.band_of(letter[1] if letter else name, _LSST), source
    raise InvalidInputError(
        f"{file}: found the filter {name!r} and no camera, which may be HSC or LSST. Give "
        "the band: BandImages.read({'hsc2017-i': path}, ...)."
    )
