"""Interpretation of FITS headers: zero points, filters, names of planes, mask bits.

Nothing is guessed. Zero points are read only from keywords with a known definition; a guessed
filter is shown by `picasssso info` for the user to check, and not used.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import astropy.units as u
import numpy as np
import numpy.typing as npt
from astropy.nddata import NDUncertainty

from picasssso.bands.band_record import UNCERTAINTY_POWERS, UNCERTAINTY_TYPES
from picasssso.bands.flux_units import (
    NO_MAGNITUDE,
    flux_scale,
    is_count_like,
    is_magnitude,
    parse_unit,
)
from picasssso.exceptions import FileFormatError, InvalidInputError, PicassssoWarning
from picasssso.filters.curves import bands_of, pivot_wavelength


def check_magnitude(value: Any, keyword: str, what: str, *, zero: bool = False) -> float:
    """Return a magnitude in a header; an error if it is missing or a placeholder.

    ``zero``: whether 0 means something.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not abs(value) < NO_MAGNITUDE or (value == 0 and not zero):
        zero_too = "" if zero else " other than 0"
        raise FileFormatError(
            f"{what}: found {keyword} = {value!r}, expected a number{zero_too}, a magnitude "
            f"within {NO_MAGNITUDE:g} of 0: -99, 99, 999 and the like mark missing values. "
            "Correct the header, or give the AB magnitude of one count: zero_point=30 * u.ABmag."
        )
    return float(value)


def check_zero_flux(value: Any, keyword: str, what: str, *, zero: bool = False) -> float:
    """Return the AB magnitude of one count from the counts of magnitude 0 in a header."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < np.inf:
        raise FileFormatError(
            f"{what}: found {keyword} = {value!r}, expected a positive number, the counts of AB "
            "magnitude 0. Correct the header, or give the AB magnitude of one count: "
            "zero_point=27 * u.ABmag."
        )
    return float(2.5 * np.log10(value))


#: Keywords that say the AB magnitude of one count: (start of the bands for which the keyword is
#: defined so, or None for any; what makes a magnitude of its value).
ZERO_POINT_KEYWORDS: dict[str, tuple[str | None, Callable[..., float]]] = {
    # DES coadds and DECam pipelines (Morganson et al. 2018, PASP 130, 074501).
    "MAGZERO": ("decam", check_magnitude),
    # HSC and LSST pipelines: counts of a source of AB magnitude 0 (Bosch et al. 2018).
    "FLUXMAG0": ("hsc", check_zero_flux),
    # Euclid's MER mosaics (Euclid Collaboration: Romelli et al. 2025).
    "MAGZEROP": ("Euclid", check_magnitude),
    # These name the magnitude system themselves.
    "ZP_AB": (None, check_magnitude),
    "ABZP": (None, check_magnitude),
    "MAGZP_AB": (None, check_magnitude),
}
#: Keywords that hold a zero point in a system that they do not state.
VAGUE_KEYWORDS = (
    "MAGZERO", "MAGZPT", "MAGZP", "PHOTZP", "ZEROPT", "ZEROPNT", "ZPT", "MAGZEROP", "ZP",
    "ZPAPPROX", "FLUXMAG0",
)  # fmt: skip
#: Zero points in a header may differ by so much, mag.
_SAME_ZERO_POINT = 0.05
#: Keywords that name the system of magnitudes.
SYSTEM_KEYWORDS = ("PHOTSYS", "MAGSYS", "ZPSYS", "MAGTYPE")
#: AB minus Vega magnitudes of bands whose surveys state zero points in the Vega system.
VEGA_TO_AB = {
    # Hewett et al. 2006, MNRAS 367, 454.
    "ukidss-Z": 0.528, "ukidss-Y": 0.634, "ukidss-J": 0.938, "ukidss-H": 1.379, "ukidss-K": 1.900,
    # Gonzalez-Fernandez et al. 2018, MNRAS 474, 5459.
    "vista-Z": 0.502, "vista-Y": 0.600, "vista-J": 0.916, "vista-H": 1.366, "vista-Ks": 1.827,
    # WISE All-Sky Explanatory Supplement, IV.4.h; Jarrett et al. 2011, ApJ 735, 112.
    "wise2010-W1": 2.699, "wise2010-W2": 3.339, "wise2010-W3": 5.174, "wise2010-W4": 6.620,
}  # fmt: skip
#: What else in a header may tell of the flux scale.
SCALE_KEYWORDS = ("PHOTFNU", "PHOTFLAM", "NMGY", "EXPTIME")

#: Keywords in which files name their filter, and their camera.
FILTER_KEYWORDS = ("FILTER", "FILTER1", "FILTNAM", "FILTERS", "BAND")
#: All keywords by which any reader tells the filter.
ALL_FILTER_KEYWORDS = (
    *FILTER_KEYWORDS, "FILTER2", "FILTERX", "PUPIL", "FPA.FILTERID", "FPA.FILTER", "BANDS",
    *(f"BAND{k}" for k in range(6)), "ESO INS FILT1 NAME", "CHNLNUM",
)  # fmt: skip
_CAMERA_KEYWORDS = ("INSTRUME", "TELESCOP", "CAMERA", "SURVEY", "DETECTOR", "ORIGIN")
# Camera or survey, as headers write it, and speclite's name for its filters. The first
# that fits wins: DECam calls its filters "g DECam SDSS".
_CAMERAS = (
    ("decam", "decam2014"),
    ("hyper suprime|hsc", "hsc2017"),
    ("gpc1|pan-?starrs|ps1", "panstarrs"),
    ("lsst|comcam", "lsst2023"),
    ("megacam|megaprime|cfht", "cfht_megacam"),
    ("2mass", "twomass"),
    ("galex", "galex"),
    ("wise", "wise2010"),
    ("euclid", "Euclid"),
    ("sdss", "sdss2010"),
)
_LETTER = re.compile(r"^\s*(?:sdss|hsc|cfht|ps1|lsst)?[-_. ]*([ugrizyYJHK])(?![A-Za-z])")

#: What extensions that go with an image are called, the first that fits; what holds neither
#: image, noise nor mask is "other".
_PLANES = (
    (
        r"(err|errors?|sigma|std|std?_?dev|std_?deviation|unc|uncert|uncertainty|uncertainties"
        r"|noise|rms)(_?(map|image|array))?\d*",
        "std",
    ),
    (r"(var|variance|stat)(_?(map|image|array))?\d*", "var"),
    (r"(ivar|inv_?var|inv(erse)?_?variance)(_?(map|image|array))?\d*", "ivar"),
    (r"((wgt|wht|wt|weight)s?|conf|confidence)(_?(map|image|array))?\d*", "weight"),
    (r"(msk|mask|dq|flags?|flg|bpm|bad_?pix(els?)?)(_?(map|mask|image|array))?\d*", "mask"),
    # Labels of bins or sources: no band, and read in Python only.
    (r"(bin_?map|bins?|bin_?id|segm.*|labels?)", "labels"),
    (r"psfimage", "psf"),
    (
        r"(var_.*|con|ctx|area|exp(osure|time)?(map)?|cov(erage)?|samp|time|nimg|wcsdvarr|d2imarr"
        r"|wcscorr|psf.*|sky|bkg|background|hdrlet|moffset.*|chi2?|depth|nexp)\d*",
        "other",
    ),
)
#: Mask planes of the LSST pipelines that make a pixel unusable. Interpolated and cosmic-ray
#: pixels of a coadd have values from other exposures, and detected ones are what one looks for.
BAD_PLANES = ("BAD", "SAT", "NO_DATA", "UNMASKEDNAN", "SUSPECT")
#: Names of bits of Pan-STARRS1 masks that do not make a pixel unusable (Waters et al. 2020).
_GOOD_PS1_NAMES = ("SUSPECT", "BURNTOOL", "CONV.POOR", "MARK.VALUE", "MASK.VALUE")


def plane_kind(name: str) -> str | None:
    """Return the content of an extension that belongs to an image, by its name; None: an image."""
    plain = re.sub(r"[-. _]+", "_", name.strip().lower())
    return next((kind for words, kind in _PLANES if re.fullmatch(words, plain)), None)


def guess_band(header: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Guess the group and the name or letter of a filter from a header."""
    texts = [str(header.get(key, "")) for key in (*FILTER_KEYWORDS, *_CAMERA_KEYWORDS)]
    everything = " ".join(texts)
    group = next((g for words, g in _CAMERAS if re.search(words, everything, re.I)), None)
    letters = [_LETTER.match(text) for text in texts[: len(FILTER_KEYWORDS)]]
    names = [match.group(1) for match in letters if match]
    if group is None:
        return None, names[0] if names else None
    # MegaCam's first u filter has a curve of its own.
    names = ["ustar"] if group == "cfht_megacam" and "MP9301" in everything else names
    # Then names that are no letter, such as FUV, those in another case, and K of Ks.
    names += [text.strip() for text in texts[: len(FILTER_KEYWORDS)] if text.strip()]
    own = bands_of(group)
    known = {name.lower(): name for name in own}
    lower = (known.get(end) for text in names for end in (text.lower(), f"{text}s".lower()))
    return group, next((name for name in (*names, *lower) if name in own), None)


def check_filter(given: str, own: str | None, what: str) -> None:
    """Warn if a header names another band, ``own``, of the group of the ``given`` one."""
    if own is not None and own != given and given.startswith(own.partition("-")[0] + "-"):
        warnings.warn(
            f"{what}: found the filter of {own} in the header, and {given} was given and is used. "
            "Check the names of the files.",
            PicassssoWarning,
            stacklevel=7,
        )


def find_zero_point(header: Any, band: str, unit: u.UnitBase) -> tuple[u.Quantity, str]:
    """Return the zero point in a well-defined keyword of a header, and the keyword."""
    # Images in maggies, numbers without a unit, have a zero point of 0.
    zero = unit == u.dimensionless_unscaled
    known = {
        keyword: define(header[keyword], keyword, f"Band {band!r}", zero=zero)
        for keyword, (group, define) in ZERO_POINT_KEYWORDS.items()
        if keyword in header and (group is None or band.startswith(group))
    }
    if known and max(known.values()) - min(known.values()) > _SAME_ZERO_POINT:
        found = " and ".join(f"{key} = {header[key]} ({m:.3f} AB)" for key, m in known.items())
        warnings.warn(
            f"Band {band!r}: found {found} in the header, expected one zero point; the first is "
            "used. If it is wrong, give the AB magnitude of one count: zero_point=30 * u.ABmag.",
            PicassssoWarning,
            stacklevel=7,
        )
    for keyword, value in known.items():
        if any("VEGA" in str(header.get(key, "")).upper() for key in SYSTEM_KEYWORDS):
            return from_vega(band, value) * u.ABmag, f"{keyword}, Vega to AB"
        return value * u.ABmag, keyword
    vague = [f"{key} = {header[key]}" for key in VAGUE_KEYWORDS if key in header]
    system = [f"{key} = {header[key]!r}" for key in SYSTEM_KEYWORDS if key in header]
    lacks = "in which magnitude system"
    if system:  # such as that of one count per second, and of counts
        lacks = f"({', '.join(system)}) whether of one count in these images"
    hint = f" The header has {', '.join(vague)}, but not {lacks}." if vague else ""
    raise InvalidInputError(
        f"Band {band!r}: found an image in {str(unit) or 'pure numbers'!r} and no keyword that "
        f"defines its zero point ({', '.join(ZERO_POINT_KEYWORDS)}).{hint} Give the AB magnitude "
        "of one count: zero_point=30 * u.ABmag."
    )


def from_vega(band: str, magnitude: float) -> float:
    """Convert a Vega magnitude to an AB magnitude.

    Examples
    --------
    >>> from picasssso.io.keywords import from_vega
    >>> from_vega("vista-J", 20.0)
    20.916
    """
    if band not in VEGA_TO_AB:
        raise InvalidInputError(
            f"Band {band!r}: found a zero point in the Vega system, expected a band of UKIDSS, "
            "VISTA or WISE, whose offsets to AB are known. Give the AB magnitude of one count: "
            "zero_point=30 * u.ABmag."
        )
    return magnitude + VEGA_TO_AB[band]


def contradicts(bunit: Any, unit: u.UnitBase) -> bool:
    """Return whether the header contains a flux unit that differs from the given one."""
    if not str(bunit or "").strip():
        return False
    try:
        found = parse_unit(bunit, "", "BUNIT")
        if is_count_like(found):
            return not is_count_like(unit)
        flux_scale(found, band="", pivot=lambda: 5000 * u.AA)  # or it is no flux
    except InvalidInputError:
        return False
    return found != unit


def make_uncertainty(
    kind: str, array: npt.NDArray[Any], utype: Any, bunit: Any, unit: u.UnitBase, band: str
) -> NDUncertainty | None:
    """Return noise as defined by its header; None if it is relative, in percent or magnitudes.

    UTYPE in the header overrides ``kind``, and BUNIT the unit of the image. ``kind``: "std",
    "var" or "ivar"; ``unit``: that of the image.
    """
    stated = str(utype or "").strip()
    kinds = {cls.__name__: key for key, cls in UNCERTAINTY_TYPES.items()}
    kind = kinds.get(stated, kind)
    if is_magnitude(unit):
        if kind != "std":
            raise InvalidInputError(
                f"Band {band!r}: found inverse variances or variances for an image in {unit}, "
                "expected uncertainty= in mag."
            )
        return UNCERTAINTY_TYPES[kind](array, unit=unit, copy=False)
    if _is_relative(bunit):
        _warn_of_unit(band, bunit, unit, "it is relative to the flux, and not used")
        return None
    if not stated:
        kind = _kind_of_unit(kind, bunit, unit)
    power = UNCERTAINTY_POWERS[kind]
    array, own = _converted(array, bunit, unit, power, band)
    return UNCERTAINTY_TYPES[kind](array, unit=own, copy=False)


def _is_relative(bunit: Any) -> bool:
    try:
        unit = parse_unit(bunit, "", "BUNIT")
    except InvalidInputError:
        return False
    return unit == u.percent or is_magnitude(unit)


def _kind_of_unit(kind: str, bunit: Any, unit: u.UnitBase) -> str:
    """Return the kind of noise according to its unit, which is squared for variances."""
    try:
        own = parse_unit(bunit, "", "BUNIT") if str(bunit or "").strip() else unit
    except InvalidInputError:
        return kind
    shown = [
        name for name in ("var", "ivar") if own.is_equivalent(unit ** UNCERTAINTY_POWERS[name])
    ]
    return shown[0] if len(shown) == 1 and not own.is_equivalent(unit) else kind


def _converted(
    array: npt.NDArray[Any], bunit: Any, unit: u.UnitBase, power: int, band: str
) -> tuple[npt.NDArray[Any], u.UnitBase]:
    """Return noise in its own unit if that has the dimension of the image, or converted."""
    try:
        stated = parse_unit(bunit, band, "BUNIT") if str(bunit or "").strip() else unit
    except InvalidInputError:
        _warn_of_unit(band, bunit, unit)
        return array, unit**power
    # Many pipelines copy the image's BUNIT to planes of variances and weights.
    for own in (stated, stated**power):
        if own.is_equivalent(unit**power):
            return array, own
    for own in (stated, stated**power):
        try:
            found, wanted = (
                flux_scale(one, band=band, pivot=lambda: pivot_wavelength(band))
                for one in (own ** (1 / power), unit)
            )
        except InvalidInputError:
            continue  # counts, or no flux at all: the image's unit
        if found.per_area == wanted.per_area:
            return array * (found.factor / wanted.factor) ** power, unit**power
        raise InvalidInputError(
            f"Band {band!r}: found an uncertainty in {own} for an image in {unit}, expected both "
            "per pixel or both per solid angle. Correct one BUNIT."
        )
    counts = [one for one in (stated, stated ** (1 / power)) if is_count_like(one)]
    if not (is_count_like(unit) and any(_alike(one, unit) for one in counts)):
        _warn_of_unit(band, stated, unit)
    return array, unit**power


def _alike(one: u.UnitBase, other: u.UnitBase) -> bool:
    """Return whether units of counts differ neither by the time nor, as electrons, by the gain."""
    own, others = (set(unit.decompose().bases) for unit in (one, other))
    gain = {u.electron, u.photon}, {u.adu, u.DN}
    mixed = any(own & a and others & b for a, b in (gain, gain[::-1]))
    return (u.s in own) == (u.s in others) and not mixed


def _warn_of_unit(
    band: str,
    stated: Any,
    unit: u.UnitBase,
    done: str = "its numbers are taken to be in the image's unit",
) -> None:
    warnings.warn(
        f"Band {band!r}: found an uncertainty in {str(stated)!r} for an image in "
        f"{str(unit)!r}, which cannot be converted: {done}. Correct BUNIT, or leave the "
        "uncertainty out.",
        PicassssoWarning,
        stacklevel=8,
    )


def bad_bits(header: Mapping[str, Any]) -> int:
    """Return the mask bits that mark unusable pixels, by their names in the header.

    All bits if they have no names. Bits that mark detected sources are never included.
    """
    if any(key.startswith("MP_") for key in header):
        return sum(1 << int(header[f"MP_{name}"]) for name in BAD_PLANES if f"MP_{name}" in header)
    found, k = 0, 0
    while f"MSKNAM{k:02d}" in header and f"MSKVAL{k:02d}" in header:
        if str(header[f"MSKNAM{k:02d}"]).strip().upper() not in _GOOD_PS1_NAMES:
            found |= int(header[f"MSKVAL{k:02d}"])
        k += 1
    return found or ~0


def bits_set(array: npt.NDArray[Any], bits: int, what: str) -> npt.NDArray[np.bool_]:
    """Return where any of the given bits is set, for any numerical type of the mask."""
    array = np.asarray(array)
    if array.dtype.kind == "f":
        # Masks written as floats by cutout services still hold whole numbers.
        whole = np.nan_to_num(np.asarray(array, dtype=np.float64), nan=-1.0)
        if not np.array_equal(whole, np.rint(whole)):
            raise FileFormatError(
                f"{what}: found a mask with fractions, expected bits: integers. It is no mask, or "
                "was resampled like an image; check which HDU it is, or download it again."
            )
        none = (whole < 0) | (whole >= 2.0**63)
        return none | bits_set(np.where(none, 0, whole).astype(np.int64), bits, what)
    if array.dtype.kind == "b":
        return array & bool(bits & 1)
    # As many of the bits as the type has, in that type.
    all_bits = (1 << 8 * array.dtype.itemsize) - 1
    unsigned = np.dtype(f"u{array.dtype.itemsize}")
    return (array & np.array(bits & all_bits, dtype=unsigned).astype(array.dtype)) != 0
