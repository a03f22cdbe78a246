"""Options that say what images are read and what they are, the same for every command."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from picasssso._cli.filters import filter_option
from picasssso._cli.parsing import (
    MagnitudeType,
    PSFType,
    QuantityType,
    RedshiftType,
    UnitType,
    parse_bands,
    parse_per_band,
    wrong_use,
)

if TYPE_CHECKING:
    from picasssso.bands import BandImages

Function = TypeVar("Function", bound=Callable[..., Any])
#: Names of an option, its metavar, its help, and what else click is told.
Options = Sequence[tuple[tuple[str, ...], str | None, str, dict[str, Any]]]

_HDU = "HDU|BAND=FILE[HDU]"
#: What the survey's median seeing is called.
MEDIAN = "median"
_FILES: Options = (
    (("-b", "--band", "bands"), "BAND=FILE[HDU]",
     "A band: the name of a filter, and a file. With the name or number of an extension, only "
     "that image is read, without its noise and mask. Repeat for each band. `picasssso info "
     "FILE` suggests this option.", {"multiple": True}),
    (("-z", "--redshift"), "Z",
     "Observed redshift. Required, except for files of BandImages.",
     {"type": RedshiftType()}),
    (("--luminosity-distance",), "'D Mpc'",
     "Overrides the distance computed from the redshift (Planck18); needed for totals below "
     "redshift 0.003.", {"type": QuantityType("length")}),
)  # fmt: skip
_ABOUT: Options = (
    (("--format", "format_name"), "NAME", "Format of the files. By default it is recognized.", {}),
    (("--zero-point", "zero_points"), "[BAND=]MAG",
     "AB magnitude of one count, for images in counts whose header does not give it.",
     {"multiple": True}),
    (("--unit", "units"), "[BAND=]UNIT",
     "Unit of the images, where BUNIT is missing or wrong, such as nmgy or Jy.",
     {"multiple": True}),
    (("--weight", "weights"), _HDU,
     "Inverse variance, in the units of the images; with --uncertainty, it only marks where "
     "there are data.",
     {"multiple": True}),
    (("--uncertainty", "uncertainties"), _HDU, "Standard deviation, in the units of the images.",
     {"multiple": True}),
    (("--variance", "variances"), _HDU, "Variance, in the squared units of the images.",
     {"multiple": True}),
    (("--mask", "masks"), _HDU, "Mask: pixels to exclude are nonzero.", {"multiple": True}),
    (("--mask-bits",), "BITS", "Bits of the mask that mark bad pixels; by default all.",
     {"type": int}),
    (("--psf", "psfs"), "[BAND=]PSF",
     "PSF: a FWHM such as '1.2 arcsec', an image FILE[HDU], or 'median', the median seeing of "
     "the survey in that band.", {"multiple": True}),
    (("--pixel-scale",), "'P arcsec'", "Pixel scale, for images without WCS.",
     {"type": QuantityType("angle")}),
    (("--galactic-extinction-removed", "ebv_removed"), "E(B-V)",
     "States that the images are already corrected for this Galactic extinction (on the scale "
     "of Schlafly & Finkbeiner 2011; 0 if there is none).", {"type": float}),
    (("--ebv",), "E(B-V)",
     "Galactic E(B-V) to correct for, or 'dustmaps' to look it up in installed maps.", {}),
    (("--ebv-scale",), None,
     "Scale of E(B-V): Schlegel et al. 1998, or Schlafly & Finkbeiner 2011.",
     {"type": click.Choice(["SFD98", "SF11"])}),
    (("--law",), "LAW", "Galactic extinction law.", {"default": "F99", "show_default": True}),
)  # fmt: skip


#: How the sky is subtracted where images are prepared.
SKY: tuple[tuple[str, ...], str | None, str, dict[str, Any]] = (
    ("--sky",), None, "Method of sky subtraction.",
    {"type": click.Choice(["background2d", "median", "none"]), "default": "background2d",
     "show_default": True},
)  # fmt: skip


def add_options(function: Function, options: Options) -> Function:
    """Add options to a command, in this order."""
    for names, metavar, text, more in reversed(options):
        function = click.option(*names, metavar=metavar, help=text, **more)(function)
    return function


def about_options(function: Function) -> Function:
    """Add what can be said of images to a command, and ``--filter``."""
    return add_options(filter_option(function), _ABOUT)


def reading_options(function: Function) -> Function:
    """Add files, bands and what can be said of them to a command."""
    function = add_options(about_options(function), _FILES)
    return click.argument("files", nargs=-1, metavar="[FILE]...")(function)


def read_arguments(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the files, and the arguments of `BandImages.read` that the options amount to."""
    bands, files = parse_bands(given["bands"]), given["files"]
    if bool(files) == bool(bands):
        raise click.UsageError(
            "Give the images either as FILE..., or each with its band as --band BAND=FILE, "
            + ("not both." if bands else "for each band.")
        )
    if given["redshift"] is None and (bands or len(files) > 1):
        raise click.UsageError(
            "Missing option '-z' / '--redshift': the redshift is required, but for a file of "
            "BandImages, and never guessed."
        )
    own = {key: given[key] for key in ("redshift", "luminosity_distance")}
    own = {key: value for key, value in own.items() if value is not None}
    return bands or list(files), {**own, **about_arguments(given, bands)}


def about_arguments(given: dict[str, Any], bands: Iterable[str]) -> dict[str, Any]:
    """Return what the options say of images, as arguments of `BandImages.read`.

    ``bands``: those of the command line; of others the names in the options are taken.
    """

    def per_band(name: str, convert: click.ParamType | None, option: str) -> Any:
        texts = given[name]
        # Bands that headers name are not known yet.
        known = list(bands) or [text.partition("=")[0] for text in texts if "=" in text]
        return parse_per_band(texts, known, convert, option)

    arguments = {
        "format": given["format_name"],
        "zero_point": per_band("zero_points", MagnitudeType(), "--zero-point"),
        "unit": per_band("units", UnitType(), "--unit"),
        "weight": per_band("weights", None, "--weight"),
        "uncertainty": per_band("uncertainties", None, "--uncertainty"),
        "variance": per_band("variances", None, "--variance"),
        "mask": per_band("masks", None, "--mask"),
        "mask_bits": given["mask_bits"],
        "psf": per_band("psfs", PSFType(), "--psf"),
        "pixel_scale": given["pixel_scale"],
        "galactic_extinction": _removed(given["ebv_removed"]),
    }
    return {key: value for key, value in arguments.items() if value is not None}


def _removed(ebv: float | None) -> Any:
    from picasssso.bands import GalacticExtinction

    if ebv is None:
        return None
    with wrong_use("--galactic-extinction-removed"):
        return GalacticExtinction(ebv=ebv, scale="SF11", applied=True)


def dust_arguments(given: dict[str, Any], *, of_catalog: bool = False) -> dict[str, Any]:
    """Return the Galactic extinction to remove, as arguments of `prepare`; empty if none.

    ``of_catalog``: whether a scale without --ebv is that of the catalog's E(B-V).
    """
    text, scale = given["ebv"], given["ebv_scale"]
    if text is None:
        if of_catalog and scale is not None:
            return {"law": given["law"]}
        source = click.get_current_context().get_parameter_source("law")
        if scale is not None or source is ParameterSource.COMMANDLINE:
            name = "--law" if scale is None else "--ebv-scale"
            raise click.UsageError(f"{name} is of use only with --ebv: give both or none.")
        return {}
    if given["ebv_removed"] is not None:
        raise click.UsageError(
            "--ebv removes Galactic extinction, and --galactic-extinction-removed states that it "
            "has been removed: give one of them."
        )
    ebv: float | str = text
    if text != "dustmaps":
        try:
            ebv = float(text)
        except ValueError:
            raise click.BadParameter(
                f"{text!r}: expected a number or 'dustmaps'.", param_hint="--ebv"
            ) from None
        from picasssso.bands import GalacticExtinction

        with wrong_use("--ebv"):
            GalacticExtinction(ebv=ebv, scale=scale or "SF11", applied=False)
    return {"ebv": ebv, "ebv_scale": scale, "law": given["law"]}


def read_files(files: Any, reading: dict[str, Any]) -> list[BandImages]:
    """Read images in groups of bands that share a pixel grid."""
    from picasssso.io.reading import read_parts

    psf = reading.get("psf")
    by_band = psf if isinstance(psf, dict) else {}
    known: Any = {band: value for band, value in by_band.items() if not _is_median(value)}
    if not by_band:
        known = None if _is_median(psf) else psf
    parts = read_parts(files, **{**reading, "psf": known})
    wanted = [band for band, value in by_band.items() if _is_median(value)]
    if not (wanted or _is_median(psf)):
        return parts
    found = []
    for part in parts:
        bands = wanted or part.bands
        seeing = {band: median_seeing(band) for band in part.bands if band in bands}
        found.append(part.replace(psf={**part.psf, **seeing}))
    return found


def _is_median(value: Any) -> bool:
    return isinstance(value, str) and value == MEDIAN


def median_seeing(band: str) -> Any:
    """Return the median full width at half maximum of a band's survey (an angle)."""
    import astropy.units as u

    from picasssso.mocks.observing.surveys import SURVEYS, get_survey

    for survey in map(get_survey, SURVEYS):
        if band in survey.bands and survey.electrons:  # as it observes, not a mock's own field
            return survey.psf_fwhm[survey.bands.index(band)] * u.arcsec
    raise click.BadParameter(
        f"the median seeing of {band!r} is not known: give a width, {band}='1.2 arcsec'.",
        param_hint="--psf",
    )


def read_position(text: str | None) -> Any:
    """Return a position on the sky from ``'RA DEC'``."""
    if text is None:
        return None
    from astropy.coordinates import SkyCoord

    try:
        parts = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        parts = []
    if len(parts) == 2:
        if not (abs(parts[0]) <= 360.0 and abs(parts[1]) <= 90.0):
            raise click.BadParameter(
                f"{text!r} is no place on the sky: expected a right ascension up to 360 and a "
                "declination from -90 to 90 degrees.",
                param_hint="--position",
            )
        return SkyCoord(*parts, unit="deg")
    try:
        return SkyCoord(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not a position: expected 'RA DEC' in degrees, or such as "
            "'09h30m00s +02d10m00s'.",
            param_hint="--position",
        ) from error


def is_own_file(files: Any) -> bool:
    """Return whether the files are one that `BandImages.write` wrote."""
    from picasssso.io import recognize

    return (
        isinstance(files, list) and len(files) == 1 and (recognize(files[0]).format == "picasssso")
    )


def check_outputs(files: Any, outputs: Iterable[str], overwrite: bool) -> None:
    """Refuse to write over an input, one output over the other, or what exists."""
    from picasssso._core.fits_files import split_specification
    from picasssso._core.safe_files import check_output

    inputs = files.values() if isinstance(files, dict) else files
    taken = {Path(split_specification(name)[0]).expanduser().resolve() for name in inputs}
    for name in outputs:
        path = Path(name).expanduser().resolve()
        if path in taken:
            raise click.UsageError(f"{name} is already the name of an input or output.")
        taken.add(path)
    for name in outputs:
        check_output(name, overwrite)
