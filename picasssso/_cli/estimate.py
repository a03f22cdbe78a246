"""``picasssso estimate``: images in, maps out."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.estimators import ESTIMATOR, make_estimator
from picasssso._cli.image_options import (
    Options,
    add_options,
    check_outputs,
    dust_arguments,
    is_own_file,
    read_arguments,
    read_files,
    read_position,
    reading_options,
)
from picasssso._cli.parsing import PositiveType, wrong_use
from picasssso._cli.region_options import REGION, check_region, find_region
from picasssso._cli.shared_options import common_options, progress_wanted
from picasssso.exceptions import InvalidInputError, PicassssoWarning

if TYPE_CHECKING:
    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps

# The sign \b keeps click from filling the lines that follow.
EXAMPLES = """
\b
Examples:
  picasssso estimate -e mass_to_light -z 0.03 -o maps.fits --plot maps.png \\
    -b 'sdss2010-g=frame-g.fits[0]' -b 'sdss2010-i=frame-i.fits[0]' --estimate-noise
  picasssso estimate -e mass_to_light -z 0.02 -o maps.fits --zero-point 30 \\
    -b 'decam2014-g=DES_g.fits[SCI]' -b 'decam2014-i=DES_i.fits[SCI]' --weight WGT \\
    --sky background2d
  picasssso estimate images.fits -e mass_to_light -o maps.fits
  picasssso estimate frame-*.fits.bz2 -e mass_to_light -z 0.03 -o maps.fits
"""

_SUSPECT = 10.0  # sigma by which the faintest pixels of an image lie above zero
#: Faintest pixels that are as far above zero are of the sky if they are as alike as its noise:
#: differences of percentiles (2 to 16, 16 to 40), which are 1.06 and 0.74 for a flat sky.
_FLAT, _ALIKE = 0.5, (1.6, 1.1)
_SUSPECT_SIDE = 1024  # pixels of the middle of the image that are looked at

#: What is done to images before they are estimated.
PREPARING: Options = (
    (("--position",), "'RA DEC'",
     "Position of the target, in degrees or as '09h30m00s +02d10m00s'. By default the center of "
     "the image.", {}),
    (("--sky", "--subtract-sky", "subtract_sky"), None,
     "Method of sky subtraction; the images must show sky around the galaxy. By default that of "
     "`picasssso prepare` for images that are prepared, and none for others.",
     {"type": click.Choice(["background2d", "median", "none"])}),
    (("--estimate-noise",), None,
     "Measure the noise of bands without uncertainties from the images.", {"is_flag": True}),
    (("--gain",), "G",
     "Electrons per unit of the images, for the photon noise of the galaxy with "
     "--estimate-noise.", {"type": PositiveType()}),
    (("--prepare/--no-prepare", "prepared"), None,
     "Whether to prepare the images like `picasssso prepare` with its defaults. By default, "
     "survey files are prepared, and images of --band or BandImages are not.",
     {"default": None}),
)  # fmt: skip


_OPTIONS: Options = (
    (("-o", "--output"), "OUT.fits", "File of maps to write.", {"required": True}),
    *ESTIMATOR,
    (("--plot", "picture"), "OUT.png", "Also plot the galaxy and its maps.", {}),
    (("--overwrite",), None, "Replace output files that exist.", {"is_flag": True}),
    *PREPARING,
    (("--samples", "n_samples"), "N",
     "Number of joint posterior samples to store, if the estimator can draw them.",
     {"type": click.IntRange(min=0), "default": 0}),
    (("--seed",), "S", "Seed of the samples.", {"type": click.IntRange(min=0)}),
    *REGION,
)  # fmt: skip


@click.command(epilog=EXAMPLES)
@reading_options
@partial(add_options, options=_OPTIONS)
@common_options
def estimate(**arguments: Any) -> None:
    """Estimate maps from images in several bands.

    The images are survey files, which are recognized and prepared (see `picasssso prepare`), a
    file of BandImages, or any FITS images, each given with --band. Information that the files
    do not contain is given with the same options in all cases.
    """
    _Job(**arguments).run()


class ImagesWanted:
    """The options that say what images are wanted, checked, and the images."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.files, self.reading = read_arguments(given)
        self.dust = dust_arguments(given)
        if given["gain"] is not None and not given["estimate_noise"]:
            raise click.UsageError("--gain is of use only with --estimate-noise: give both.")
        self.position = read_position(given["position"])
        #: Whether they are prepared here.
        self.prepared = False

    def read(self) -> BandImages:
        """Read the images, and do to them what was asked for."""
        from picasssso.bands import BandImages
        from picasssso.preparation.background import mask_padding

        asked, wanted = self.given["subtract_sky"], self.given["prepared"]
        sky = None if asked == "none" else asked
        if wanted is None:
            wanted = isinstance(self.files, list) and not is_own_file(self.files)
        parts = read_files(self.files, self.reading)
        self.prepared = bool(wanted)
        if wanted:
            from picasssso.preparation import prepare

            how: dict[str, Any] = {**({} if asked is None else {"sky": sky}), **self.dust}
            images = prepare(parts, position=self.position, **how)
        else:
            # Of bands on different grids the error that says how they are aligned.
            one = len(parts) == 1
            images = (
                parts[0] if one else BandImages.read(self.files, **self.reading | {"psf": None})
            )
            if not is_own_file(self.files):
                images = mask_padding(images)
            images = self._clean(images, sky)
        if self.given["estimate_noise"] and images.missing_uncertainty:
            images = self._with_noise(images)
        if asked is None:
            warn_of_sky(images)
        return images

    def _with_noise(self, images: BandImages) -> BandImages:
        """Measure the noise of the sky, and add that of the photons if the gain is given."""
        import astropy.units as u

        lacking, gain = images.missing_uncertainty, self.given["gain"]
        if gain is None:
            warnings.warn(
                f"The noise of {', '.join(lacking)} is that of the sky, without photon noise, so "
                "that errors of bright pixels are too small. Give --gain, electrons per unit of "
                "the images.",
                PicassssoWarning,
                stacklevel=2,
            )
            return images.with_estimated_noise()
        gains = {band: gain * u.electron / images[band].unit for band in lacking}
        return images.with_estimated_noise(gain=gains)

    def _clean(self, images: BandImages, sky: str | None) -> BandImages:
        """Subtract the sky and Galactic extinction of images that are not prepared."""
        from picasssso.preparation import correct_extinction, subtract_background
        from picasssso.preparation.extinction import look_up_ebv

        if sky:
            images = subtract_background(images, sky)
        if not self.dust:
            return images
        ebv, scale = self.dust["ebv"], self.dust["ebv_scale"]
        if ebv == "dustmaps":
            place = self.position
            if place is None and images.wcs is not None:
                place = images.wcs.pixel_to_world(*[(n - 1) / 2 for n in reversed(images.shape)])
            if place is None:
                raise InvalidInputError(
                    "ebv=: found images without WCS, expected a position to look E(B-V) up."
                )
            ebv, scale = look_up_ebv(place), "SFD98"
        return correct_extinction(images, ebv, scale=scale, law=self.dust["law"])


def warn_of_sky(images: BandImages) -> None:
    """Warn if even the faintest pixels of every band are far above zero, or flat above it."""
    import numpy as np

    middle = tuple(
        slice(max(0, (side - _SUSPECT_SIDE) // 2), (side + _SUSPECT_SIDE) // 2)
        for side in images.shape
    )
    flux, inverse_variance = images.to_arrays((middle[0], middle[1]))
    levels, flat = [], True
    for plane, precision in zip(flux, inverse_variance, strict=True):
        valid = precision > 0  # never true without an uncertainty
        if not valid.any():
            return
        low, middle, high = np.percentile(plane[valid] * np.sqrt(precision[valid]), (2, 16, 40))
        levels.append(float(low))
        flat &= bool(low > _FLAT and middle - low < _ALIKE[0] and high - middle < _ALIKE[1])
    if min(levels) > _SUSPECT or flat:
        warnings.warn(
            f"Even the faintest pixels lie {min(levels):.2g} times the noise above zero in every "
            "band: is the sky still in the images? It would be counted as stars. Subtract it "
            "with --sky median, unless the galaxy fills the image.",
            PicassssoWarning,
            stacklevel=2,
        )


class _Job:
    """One run of ``picasssso estimate``: its options, checked, and its steps."""

    def __init__(self, **arguments: Any) -> None:
        self.given = arguments
        self.quiet: bool = arguments["quiet"]
        self.wanted = ImagesWanted(arguments)
        self.outputs = [path for path in (arguments["output"], arguments["picture"]) if path]
        self.estimator = make_estimator(arguments)
        check_region(arguments)

    def run(self) -> None:
        """Read, estimate, write, and say what came out."""
        from picasssso._plotting import check_picture_name
        from picasssso.maps.pictures import save_picture

        output, picture = self.given["output"], self.given["picture"]
        overwrite = self.given["overwrite"]
        # Before the work, not after it.
        check_outputs(self.wanted.files, self.outputs, overwrite)
        if picture:
            with wrong_use("--plot"):
                check_picture_name(picture)
        images = self.wanted.read()
        where, what = find_region(self.given, images, self.wanted.position)
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
            if self.wanted.prepared:
                _report_steps(images)
            _report(maps, self.outputs, where, what)


def _report_steps(images: BandImages) -> None:
    """Say what was done to the noise, and how much of the target is masked."""
    from picasssso.preparation.steps import describe_steps

    for step, words in describe_steps(images.meta.get("preparation", ())):
        if step in ("no data", "noise", "mask"):
            click.echo(f"  {step:16} {words}")


def _report(maps: PropertyMaps, paths: list[str], region: Any, what: str) -> None:
    from picasssso._cli.totals_text import describe_totals
    from picasssso.maps.notices import psf_notice

    for line in describe_totals(maps, region=region, what=what):
        click.echo(line)
    if told := psf_notice(maps):
        click.echo(f"  {told} See --psf of `picasssso prepare`.")
    for path in paths:
        click.echo(f"Written: {path}")
