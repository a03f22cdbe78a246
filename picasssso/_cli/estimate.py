"""``picasssso estimate``: images in, maps out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.filters import filter_option
from picasssso._cli.parsing import (
    QuantityType,
    RedshiftType,
    UnitType,
    check_estimator,
    parse_bands,
    parse_parameters,
    parse_per_band,
    wrong_use,
)
from picasssso._cli.running import common_options, progress_wanted

if TYPE_CHECKING:
    from picasssso.bands import BandImages, GalacticExtinction
    from picasssso.estimators.base import PropertyMapEstimator
    from picasssso.maps import PropertyMaps

# The sign \b keeps click from filling the lines that follow.
EXAMPLES = """
\b
Examples:
  picasssso estimate -e mass_to_light -z 0.03 -o maps.fits --plot maps.png \\
    -b 'sdss2010-g=frame-g.fits[0]' -b 'sdss2010-i=frame-i.fits[0]' --estimate-noise
  picasssso estimate -e mass_to_light -z 0.02 -o maps.fits --zero-point 30 \\
    -b 'decam2014-g=DES_g.fits[SCI]' -b 'decam2014-i=DES_i.fits[SCI]' --weight WGT \\
    --subtract-sky background2d
  picasssso estimate images.fits -e mass_to_light -o maps.fits
  picasssso estimate frame-*.fits.bz2 -e mass_to_light -z 0.03 -o maps.fits
"""


@click.command(epilog=EXAMPLES)
@click.argument("images", nargs=-1, metavar="[FILE]...")
@click.option(
    "-b",
    "--band",
    "bands",
    multiple=True,
    metavar="BAND=FILE[HDU]",
    help="One band: the name of a filter, the file, and the name or number of its "
    "extension. Once for each band. `picasssso info FILE` suggests this line.",
)
@click.option("-o", "--output", required=True, metavar="OUT.fits", help="File of maps to write.")
@click.option(
    "-e",
    "--estimator",
    "estimator_name",
    required=True,
    metavar="NAME",
    help="See `picasssso list`.",
)
@click.option(
    "-z",
    "--redshift",
    type=RedshiftType(),
    metavar="Z",
    help="Observed redshift. Required with --band: it is never guessed.",
)
@click.option("--plot", "picture", metavar="OUT.png", help="Also draw the galaxy and its maps.")
@click.option("--overwrite", is_flag=True, help="Replace output files that exist.")
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the estimator, written as in Python. May be repeated.",
)
@click.option(
    "--luminosity-distance",
    type=QuantityType("length"),
    metavar="'D Mpc'",
    help="Instead of the one that follows from the redshift (Planck18); needed for totals "
    "below redshift 0.003.",
)
@click.option(
    "--zero-point",
    "zero_points",
    multiple=True,
    metavar="[BAND=]MAG",
    help="AB magnitude of one count, for images in counts.",
)
@click.option(
    "--unit",
    "units",
    multiple=True,
    metavar="[BAND=]UNIT",
    help="Unit of the images, where BUNIT is missing or wrong, such as nmgy or Jy.",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    metavar="HDU|BAND=FILE[HDU]",
    help="Inverse variance, in the images' units.",
)
@click.option(
    "--uncertainty",
    "uncertainties",
    multiple=True,
    metavar="HDU|BAND=FILE[HDU]",
    help="Standard deviation, in the images' units.",
)
@click.option(
    "--variance",
    "variances",
    multiple=True,
    metavar="HDU|BAND=FILE[HDU]",
    help="Variance, in the images' units squared.",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="HDU|BAND=FILE[HDU]",
    help="Pixels not to use: where it is not zero.",
)
@click.option(
    "--mask-bits",
    type=int,
    metavar="BITS",
    help="Only these bits of the mask mean that a pixel is bad.",
)
@click.option(
    "--psf",
    "psfs",
    multiple=True,
    metavar="[BAND=]'FWHM arcsec'",
    help="Full width at half maximum of the PSF.",
)
@click.option(
    "--pixel-scale",
    type=QuantityType("angle"),
    metavar="'P arcsec'",
    help="Of a pixel, for images without WCS.",
)
@click.option(
    "--galactic-extinction-removed",
    "ebv",
    type=float,
    metavar="E(B-V)",
    help="States that the images are corrected for this Galactic extinction (Schlafly & "
    "Finkbeiner 2011 scale; 0 if there is none). Without it a warning says that this is "
    "taken for granted.",
)
@click.option(
    "--subtract-sky",
    type=click.Choice(["median", "background2d"]),
    help="Measure the sky beside all detected sources, with photutils, and subtract it; "
    "the images must show sky around the galaxy. By default nothing is subtracted.",
)
@click.option(
    "--estimate-noise",
    is_flag=True,
    help="Measure the noise of bands without uncertainty from their own pixels.",
)
@click.option(
    "--no-prepare",
    is_flag=True,
    help="Use a survey's files as they are: no sky subtracted, no PSF matched, nothing masked. "
    "By default they go through what `picasssso prepare` does without options.",
)
@click.option(
    "--samples",
    "n_samples",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Joint posterior samples to keep, if the estimator can draw them.",
)
@click.option("--seed", type=click.IntRange(min=0), metavar="S", help="Seed of the samples.")
@filter_option
@common_options
def estimate(**arguments: Any) -> None:
    """Estimate maps from images in several bands.

    The images are given one by one with --band, as one file of BandImages, or as the files
    that a survey hands out, which are recognised and prepared (see `picasssso prepare`).
    """
    _Job(**arguments).run()


class _Job:
    """One run of ``picasssso estimate``: its options, checked, and its steps."""

    def __init__(self, **arguments: Any) -> None:
        self.given = arguments
        self.quiet: bool = arguments["quiet"]
        self.bands = parse_bands(arguments["bands"])
        self._check_inputs()
        self._check_outputs()
        self.estimator = self._make_estimator()
        self.extinction = self._make_extinction()

    def _check_inputs(self) -> None:
        given = self.given
        if bool(given["images"]) == bool(self.bands):
            raise click.UsageError(
                "Give the images either as one file of BandImages, as a survey's files, or "
                "with --band, " + ("not both." if self.bands else "for each band.")
            )
        if given["redshift"] is None and (self.bands or len(given["images"]) > 1):
            raise click.UsageError(
                "Missing option '-z' / '--redshift': the redshift is required with --band and "
                "with a survey's files, and never guessed."
            )
        only_bands = (
            "zero_points", "units", "weights", "uncertainties", "variances", "masks",
            "mask_bits", "pixel_scale",
        )  # fmt: skip
        if given["images"] and any(given[name] not in ((), None) for name in only_bands):
            raise click.UsageError(
                "A file of BandImages and a survey's files bring their own units, zero points, "
                "weights and masks: those options go with --band only."
            )

    def _check_outputs(self) -> None:
        """Refuse to write over an input, or one output over the other."""
        given = self.given
        inputs = given["images"] or self.bands.values()
        taken = {Path(_file_name(name)).expanduser().resolve() for name in inputs}
        for name in filter(None, (given["output"], given["picture"])):
            path = Path(name).expanduser().resolve()
            if path in taken:
                raise click.UsageError(f"{name} is already the name of an input or output.")
            taken.add(path)

    def _make_estimator(self) -> PropertyMapEstimator:
        from picasssso.estimators import get_estimator

        name = self.given["estimator_name"]
        check_estimator(name)
        estimator = get_estimator(name)
        parameters = parse_parameters(self.given["options"], estimator._parameter_defaults())
        with wrong_use("--option" if parameters else "--estimator"):
            return estimator(**parameters)

    def _make_extinction(self) -> GalacticExtinction | None:
        from picasssso.bands import GalacticExtinction

        if self.given["ebv"] is None:
            return None
        with wrong_use("--galactic-extinction-removed"):
            return GalacticExtinction(ebv=self.given["ebv"], scale="SF11", applied=True)

    def run(self) -> None:
        """Read, estimate, write, and say what came out."""
        from picasssso._core.files import check_output
        from picasssso._plotting import check_picture_name
        from picasssso.maps.pictures import save_picture

        output, picture = self.given["output"], self.given["picture"]
        overwrite = self.given["overwrite"]
        # Before the work, not after it.
        for path in filter(None, (output, picture)):
            check_output(path, overwrite)
        if picture:
            with wrong_use("--plot"):
                check_picture_name(picture)
        images = self._prepare(self._read())
        maps = self.estimator.estimate(
            images,
            n_samples=self.given["n_samples"],
            seed=self.given["seed"],
            progress=progress_wanted(self.quiet) or False,
        )
        maps.write(output, overwrite=overwrite)
        if picture:
            estimates = {self.given["estimator_name"]: maps}
            save_picture(picture, images, estimates, overwrite=overwrite)
        if not self.quiet:
            _report(maps, [path for path in (output, picture) if path])

    def _read(self) -> BandImages:
        import astropy.units as u

        from picasssso.bands import BandImages

        given = self.given
        common = {
            "luminosity_distance": given["luminosity_distance"],
            "psf": self._per_band("psfs", QuantityType("angle"), "--psf"),
        }
        if given["images"]:
            from picasssso._cli.prepare import is_band_images

            if len(given["images"]) > 1 or not is_band_images(given["images"][0]):
                return self._read_survey(common)
            images = BandImages.read(given["images"][0])
            if given["redshift"] is not None:
                common["redshift"] = given["redshift"]
            return images.replace(**{k: v for k, v in common.items() if v is not None})
        zero_point = self._per_band("zero_points", click.FLOAT, "--zero-point")
        if isinstance(zero_point, dict):
            zero_point = {band: value * u.ABmag for band, value in zero_point.items()}
        elif zero_point is not None:
            zero_point = zero_point * u.ABmag
        return BandImages.read(
            self.bands,
            redshift=given["redshift"],
            zero_point=zero_point,
            unit=self._per_band("units", UnitType(), "--unit"),
            weight=self._per_band("weights", None, "--weight"),
            uncertainty=self._per_band("uncertainties", None, "--uncertainty"),
            variance=self._per_band("variances", None, "--variance"),
            mask=self._per_band("masks", None, "--mask"),
            mask_bits=given["mask_bits"],
            pixel_scale=given["pixel_scale"],
            **common,
        )

    def _read_survey(self, common: dict[str, Any]) -> BandImages:
        """Read a survey's files, and prepare them with the defaults unless told not to."""
        from picasssso._cli.prepare import prepare_files
        from picasssso.io import read_survey

        files, redshift = self.given["images"], self.given["redshift"]
        if self.given["no_prepare"]:
            return read_survey(files, redshift=redshift, **common)
        if self.extinction is not None:
            common["galactic_extinction"] = self.extinction
        sky = self.given["subtract_sky"] or "background2d"
        return prepare_files(files, redshift=redshift, sky=sky, **common)

    def _per_band(self, name: str, convert: click.ParamType | None, option: str) -> Any:
        return parse_per_band(self.given[name], self.bands, convert, option)

    def _prepare(self, images: BandImages) -> BandImages:
        if self.extinction is not None:
            images = images.replace(galactic_extinction=self.extinction)
        # A survey's files had it done while they were prepared.
        if self.given["subtract_sky"] and "preparation" not in images.meta:
            from picasssso.preparation import subtract_background

            images = subtract_background(images, self.given["subtract_sky"])
        if self.given["estimate_noise"] and images.missing_uncertainty:
            images = images.with_estimated_noise()
        if not self.given["subtract_sky"]:
            from picasssso._cli.sky import warn_of_sky

            warn_of_sky(images)
        return images


def _file_name(specification: str) -> str:
    from picasssso.bands.reading import split_specification

    return split_specification(specification)[0]


def _report(maps: PropertyMaps, paths: list[str]) -> None:
    from picasssso._cli.totals import describe_totals

    for line in describe_totals(maps):
        click.echo(line)
    for path in paths:
        click.echo(f"Written: {path}")
