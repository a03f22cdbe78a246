"""``picasssso estimate``: images in, maps out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.parsing import check_estimator, parse_parameters, wrong_use
from picasssso._cli.reading import (
    check_outputs,
    is_own_file,
    read_arguments,
    reading_options,
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
@reading_options
@click.option("-o", "--output", required=True, metavar="OUT.fits", help="File of maps to write.")
@click.option(
    "-e",
    "--estimator",
    "estimator_name",
    required=True,
    metavar="NAME",
    help="See `picasssso list`.",
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
    "--prepare/--no-prepare",
    "prepared",
    default=None,
    help="Whether the images go through what `picasssso prepare` does without options. By "
    "default FILE... do, if they are not of BandImages; those of --band do not.",
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
@common_options
def estimate(**arguments: Any) -> None:
    """Estimate maps from images in several bands.

    The images are the files that a survey hands out, which are recognized and prepared (see
    `picasssso prepare`), one file of BandImages, or any FITS images, each with --band. What the
    files do not say is said with the same options for all of them.
    """
    _Job(**arguments).run()


class _Job:
    """One run of ``picasssso estimate``: its options, checked, and its steps."""

    def __init__(self, **arguments: Any) -> None:
        self.given = arguments
        self.quiet: bool = arguments["quiet"]
        self.files, self.reading = read_arguments(arguments)
        self.outputs = [path for path in (arguments["output"], arguments["picture"]) if path]
        self.estimator = self._make_estimator()
        if (extinction := self._make_extinction()) is not None:
            self.reading["galactic_extinction"] = extinction

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
        from picasssso._plotting import check_picture_name
        from picasssso.maps.pictures import save_picture

        output, picture = self.given["output"], self.given["picture"]
        overwrite = self.given["overwrite"]
        # Before the work, not after it.
        check_outputs(self.files, self.outputs, overwrite)
        if picture:
            with wrong_use("--plot"):
                check_picture_name(picture)
        images = self._read()
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
            _report(maps, self.outputs)

    def _read(self) -> BandImages:
        """Read the images, and do to them what was asked for."""
        from picasssso.bands import BandImages

        sky, wanted = self.given["subtract_sky"], self.given["prepared"]
        if wanted is None:
            wanted = isinstance(self.files, list) and not is_own_file(self.files)
        if wanted:
            from picasssso.io.reading import read_parts
            from picasssso.preparation import prepare

            parts = read_parts(self.files, **self.reading)
            images = prepare(parts, sky=sky or "background2d")
        else:
            images = BandImages.read(self.files, **self.reading)
        if sky and not wanted:
            from picasssso.preparation import subtract_background

            images = subtract_background(images, sky)
        if self.given["estimate_noise"] and images.missing_uncertainty:
            images = images.with_estimated_noise()
        if not sky:
            from picasssso._cli.sky import warn_of_sky

            warn_of_sky(images)
        return images


def _report(maps: PropertyMaps, paths: list[str]) -> None:
    from picasssso._cli.totals import describe_totals

    for line in describe_totals(maps):
        click.echo(line)
    for path in paths:
        click.echo(f"Written: {path}")
