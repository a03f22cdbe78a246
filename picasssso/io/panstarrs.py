"""Pan-STARRS1 stacks: full sky cells, and cut-outs of them.

Counts with an AB zero point of 25 + 2.5 log10(EXPTIME). Sky cells are scaled as asinh magnitudes,
with ``BSOFTEN`` and ``BOFFSET`` in the header; cut-outs are linear: flux = BOFFSET + BSOFTEN
(exp(x) - exp(-x)) with x = value ln(10) / 2.5 (the archive's page on stack images; Waters et al.
2020, ApJS 251, 4). The ``.wt.fits`` file beside an image holds variances, the ``.mask.fits`` file
bits that its header names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import VarianceUncertainty

from picasssso.exceptions import FileFormatError, InvalidInputError
from picasssso.io.band_planes import BandPlane, BitMask
from picasssso.io.formats import ImageReader, Recognition
from picasssso.io.image_files import ImageFile
from picasssso.io.keywords import bad_bits

_BANDS = {band: f"panstarrs-{band}" for band in "grizyw"}
#: All that Waters et al. (2020) call bad; suspect, burn-tool and poor convolution are not.
_BAD_BITS = 0x217F | 0x0200 | 0x0400 | 0x0800 | 0x1000
_ROLES = {"wt": "weight", "weight": "weight", "mask": "mask", "exp": "exp", "num": "num",
          "expwt": "exp"}  # fmt: skip
#: Asinh magnitudes of the brightest stars are around 10.
_LARGEST = 40
_PS1 = re.compile(r"\bPS1\b|GPC1|Pan-?STARRS", re.IGNORECASE)
_CAMERA = ("FPA.TELESCOPE", "FPA.INSTRUMENT", "PSCAMERA", "TELESCOP", "INSTRUME")


class PanSTARRSReader(ImageReader):
    """Reads stacks, with the files of weights and masks beside them."""

    title = "Pan-STARRS1 stack"
    sky_subtracted = True

    def recognize(self, file: ImageFile) -> Recognition | None:
        """Recognize by the camera, and the role of the file by its name."""
        why = [key for key in _CAMERA if _PS1.search(file.text(key))]
        why += [] if file.get("FPA.FILTERID") is None else ["FPA.FILTERID"]
        if not why:
            return None
        stem = re.sub(r"\.(fits|fz|gz|fit)", "", file.name.lower())
        role = _ROLES.get(re.split(r"[._-]", stem)[-1])
        return Recognition(f"{why[0]} = {file.text(why[0])}", role=role, group=_filter(file))

    def read(self, file: ImageFile) -> list[BandPlane]:
        """Read a stack."""
        name = _filter(file)
        if not name and file.band is None:
            raise InvalidInputError(
                f"{file}: found neither FPA.FILTERID nor FILTER. Give the band: "
                "BandImages.read({'panstarrs-g': path}, ...)."
            )
        band = file.band_of(name, _BANDS)
        data, hdu, scaled = _counts(file, "stack")

        def stated() -> float:
            if re.search(r"\.(wrp|warp|diff?)\.", file.name.lower()):
                raise InvalidInputError(
                    f"{file}: found an image of one exposure (warp), whose zero point is not that "
                    "of stacks, expected a stack. Give the AB magnitude of one count, "
                    "zero_point=28.6 * u.ABmag."
                )
            time = file.number("EXPTIME")
            if time <= 0:
                raise FileFormatError(
                    f"{file}: found EXPTIME = {time:g}, expected a positive number: the zero "
                    "point is 25 + 2.5 log10(EXPTIME). Give zero_point= if it is known otherwise."
                )
            return 25 + 2.5 * np.log10(time)

        zero_point, source = file.zero_point(band, stated, "25 + 2.5 log10(EXPTIME)")
        weight, bad = file.companions.get("weight"), file.companions.get("mask")

        def noise(shape: Sequence[int], unit: u.UnitBase) -> Any:
            if weight is None:
                return None
            array = _counts(weight, "variance", shape)[0]
            return VarianceUncertainty(array, unit=unit**2, copy=False)

        def mask(shape: Sequence[int], bits: int | None) -> Any:
            assert bad is not None
            if not bad.images:
                raise FileFormatError(f"{bad.path}: found no mask among {bad.contents}.")
            named = bad_bits(bad.headers[bad.images[0]])
            named = _BAD_BITS if named == ~0 else named
            return bad.bad_pixels(bad.images[0], shape, named if bits is None else bits)

        return [
            file.plane(
                hdu,
                band,
                u.ct,
                data=data,
                noise=noise,
                mask=None if bad is None else BitMask(mask),
                zero_point=zero_point,
                zero_point_source=source,
                asinh_scaled=scaled,
            )
        ]


def _filter(file: ImageFile) -> str:
    name = file.get("FPA.FILTERID", file.get("FPA.FILTER", file.get("FILTER", "")))
    return str(name).strip().partition(".")[0]  # "g.00000" in stacks


def linear_flux(values: npt.NDArray[Any], softening: float, offset: float) -> npt.NDArray[Any]:
    """Return counts from asinh-scaled values.

    Examples
    --------
    >>> import numpy as np
    >>> from picasssso.io.panstarrs import linear_flux
    >>> linear_flux(np.array([0.0, 2.5]), 1.0, 5.0).round(2).tolist()
    [5.0, 14.9]
    """
    x = np.asarray(values, dtype=np.float64) * (np.log(10) / 2.5)
    with np.errstate(over="ignore", invalid="ignore"):
        return (offset + 2 * softening * np.sinh(x)).astype(np.float32)


def _counts(
    file: ImageFile, what: str, like: Sequence[int] | None = None
) -> tuple[npt.NDArray[Any], int, bool]:
    """Return linear values, their HDU, and whether they were asinh-scaled."""
    if not file.images:
        raise FileFormatError(f"{file}: found no image among {file.contents}.")
    hdu = file.images[0]
    values = file.array(hdu, what, like=like)
    given = [key for key in ("BSOFTEN", "BOFFSET") if key in file.headers[hdu]]
    if not given:
        return values, hdu, False
    if len(given) == 1:
        raise FileFormatError(
            f"{file}: found {given[0]} alone, expected BSOFTEN and BOFFSET together, or "
            "none of them. The header is damaged."
        )
    softening = file.number("BSOFTEN")
    if softening <= 0:
        raise FileFormatError(
            f"{file}: found BSOFTEN = {softening:g}, expected a positive number."
        )
    with np.errstate(invalid="ignore"):
        if np.mean(np.abs(values) > _LARGEST) > 1e-4:
            raise FileFormatError(
                f"{file}: found BSOFTEN, and values beyond {_LARGEST}, expected asinh magnitudes: "
                "the image was made linear and kept the keyword. Remove BSOFTEN and BOFFSET from "
                "its header."
            )
    return linear_flux(values, softening, file.number("BOFFSET")), hdu, True
