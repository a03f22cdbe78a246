"""Options that say what images are read, the same for every command that reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from picasssso._cli.filters import filter_option
from picasssso._cli.parsing import (
    QuantityType,
    RedshiftType,
    UnitType,
    parse_bands,
    parse_per_band,
)

Function = TypeVar("Function", bound=Callable[..., Any])

_HDU = "HDU|BAND=FILE[HDU]"
#: Names of an option, its metavar, its help, and what else click is told.
_OPTIONS: tuple[tuple[tuple[str, ...], str, str, dict[str, Any]], ...] = (
    (("-b", "--band", "bands"), "BAND=FILE[HDU]",
     "One band: the name of a filter and the file; with the name or number of an extension only "
     "that image is read, without its noise and mask. Once for each band. `picasssso info FILE` "
     "suggests this line.", {"multiple": True}),
    (("-z", "--redshift"), "Z",
     "Observed redshift. Required, but for a file of BandImages: it is never guessed.",
     {"type": RedshiftType()}),
    (("--format", "format_name"), "NAME", "Format of the files, instead of recognizing it.", {}),
    (("--luminosity-distance",), "'D Mpc'",
     "Instead of the one that follows from the redshift (Planck18); needed for totals below "
     "redshift 0.003.", {"type": QuantityType("length")}),
    (("--zero-point", "zero_points"), "[BAND=]MAG",
     "AB magnitude of one count, for images in counts that do not say it.", {"multiple": True}),
    (("--unit", "units"), "[BAND=]UNIT",
     "Unit of the images, where BUNIT is missing or wrong, such as nmgy or Jy.",
     {"multiple": True}),
    (("--weight", "weights"), _HDU,
     "Inverse variance, in the images' units; beside --uncertainty, where there are data.",
     {"multiple": True}),
    (("--uncertainty", "uncertainties"), _HDU, "Standard deviation, in the images' units.",
     {"multiple": True}),
    (("--variance", "variances"), _HDU, "Variance, in the images' units squared.",
     {"multiple": True}),
    (("--mask", "masks"), _HDU, "Pixels not to use: where it is not zero.", {"multiple": True}),
    (("--mask-bits",), "BITS", "Only these bits of the mask mean that a pixel is bad.",
     {"type": int}),
    (("--psf", "psfs"), "[BAND=]'FWHM arcsec'", "Full width at half maximum of the PSF.",
     {"multiple": True}),
    (("--pixel-scale",), "'P arcsec'", "Of a pixel, for images without WCS.",
     {"type": QuantityType("angle")}),
)  # fmt: skip


def reading_options(function: Function) -> Function:
    """Add files, bands and what can be said of them to a command."""
    function = filter_option(function)
    for names, metavar, text, options in reversed(_OPTIONS):
        function = click.option(*names, metavar=metavar, help=text, **options)(function)
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

    def per_band(name: str, convert: click.ParamType | None, option: str) -> Any:
        texts = given[name]
        # Bands that headers name are not known yet.
        known = list(bands) or [text.partition("=")[0] for text in texts if "=" in text]
        return parse_per_band(texts, known, convert, option)

    arguments = {
        "redshift": given["redshift"],
        "format": given["format_name"],
        "luminosity_distance": given["luminosity_distance"],
        "zero_point": _ab(per_band("zero_points", click.FLOAT, "--zero-point")),
        "unit": per_band("units", UnitType(), "--unit"),
        "weight": per_band("weights", None, "--weight"),
        "uncertainty": per_band("uncertainties", None, "--uncertainty"),
        "variance": per_band("variances", None, "--variance"),
        "mask": per_band("masks", None, "--mask"),
        "mask_bits": given["mask_bits"],
        "psf": per_band("psfs", QuantityType("angle"), "--psf"),
        "pixel_scale": given["pixel_scale"],
    }
    return bands or list(files), {k: v for k, v in arguments.items() if v is not None}


def _ab(value: Any) -> Any:
    import astropy.units as u

    if isinstance(value, dict):
        return {band: magnitude * u.ABmag for band, magnitude in value.items()}
    return None if value is None else value * u.ABmag


def is_own_file(files: Any) -> bool:
    """Return whether the files are one that `BandImages.write` wrote."""
    from picasssso.io import recognize

    return (
        isinstance(files, list) and len(files) == 1 and (recognize(files[0]).format == "picasssso")
    )


def check_outputs(files: Any, outputs: Iterable[str], overwrite: bool) -> None:
    """Refuse to write over an input, one output over the other, or what exists."""
    from picasssso._core.files import check_output
    from picasssso._core.fits_files import split_specification

    inputs = files.values() if isinstance(files, dict) else files
    taken = {Path(split_specification(name)[0]).expanduser().resolve() for name in inputs}
    for name in outputs:
        path = Path(name).expanduser().resolve()
        if path in taken:
            raise click.UsageError(f"{name} is already the name of an input or output.")
        taken.add(path)
    for name in outputs:
        check_output(name, overwrite)
