"""``picasssso compare``: whether sets of maps of one galaxy agree."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from picasssso._cli.image_options import Options, add_options, check_outputs
from picasssso._cli.parsing import PositiveType
from picasssso._cli.shared_options import common_options

if TYPE_CHECKING:
    from picasssso.evaluation.agreement import Agreement, Comparison
    from picasssso.maps import PropertyMaps


#: Why the two lines of a property may differ.
_TWO_OFFSETS = (
    "(First line: totals or averages, sums of posterior means, in which bright pixels count most."
    "\nSecond line: median over pixels of the difference of posterior medians, all pixels alike.)"
)
_OPTIONS: Options = (
    (("--threshold",), "SIGMA",
     "Difference of totals, in units of the combined error, above which a warning is given.",
     {"type": PositiveType(), "default": 3.0, "show_default": True}),
    (("--pixels",), None,
     "Pixels for medians, scatter and coverage: those in which both maps detect the galaxy, or "
     "all, with the sky.",
     {"type": click.Choice(["detected", "all"]), "default": "detected", "show_default": True}),
    (("-o", "--output"), "FILE.fits",
     "Write residual maps and radial profiles of two files to this file.",
     {"type": click.Path(path_type=Path)}),
    (("--plot",), "FILE",
     "Plot two files, their residuals and profiles, to a file such as compare.png.",
     {"type": click.Path(path_type=Path)}),
    (("--overwrite",), None, "Replace existing files.", {"is_flag": True}),
    (("-z", "--redshift"), "Z",
     "Redshift of published maps that do not state it; by default that of the others.",
     {"type": float}),
    (("--approximate",), "PROPERTY",
     "Compare a property although its published definition differs, for example as a mean of "
     "logarithms: stellar_age, stellar_metallicity or sfr. May be repeated.",
     {"multiple": True}),
    (("--galaxy",), "NAME", "Galaxy to read from a catalog: PLATE-IFU of MaNGA.", {}),
)  # fmt: skip


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="MAPS.fits OTHER.fits...")
@partial(add_options, options=_OPTIONS)
@common_options
def compare(
    files: tuple[str, ...],
    threshold: float,
    pixels: str,
    output: Path | None,
    plot: Path | None,
    overwrite: bool,
    redshift: float | None,
    approximate: tuple[str, ...],
    galaxy: str | None,
    quiet: bool,
) -> None:
    """Compare maps of one galaxy from any sources.

    Besides files of this package, published maps are read: those of Pipe3D, MaNGA's DAP and
    Firefly, PHANGS-MUSE and SAMI.

    Maps with different pixels, resolution or units are converted to the coarser pixels, the
    coarser resolution and the units of the first. For every common property, the output gives both
    totals (averages for ages, metallicities and attenuation) over the common pixels and their
    difference; and, over pixels, the median and scatter of the difference and the fraction within
    the combined 68 % and 95 % errors. Totals are sums of posterior means and are dominated by
    bright pixels, while the median offset is that of posterior medians and weights all pixels
    equally: the two can differ. A warning is given where totals differ significantly; with
    --quiet, only the warnings.
    """
    from picasssso._core.safe_files import atomic_write
    from picasssso._plotting import check_picture_name
    from picasssso.evaluation import compare_estimates
    from picasssso.evaluation.agreement import disagreements

    if len(files) < 2:
        raise click.UsageError("Give at least two files of maps to compare.")
    if len(files) > 2 and (output or plot):
        raise click.UsageError("--output and --plot are for two files of maps.")
    check_outputs(files, [str(path) for path in (output, plot) if path], overwrite)
    if plot:
        check_picture_name(plot)
    estimates: dict[str, PropertyMaps] = {}
    found_in = _read(files, redshift=redshift, approximate=approximate, galaxy=galaxy)
    for number, (name, maps) in enumerate(zip(files, found_in, strict=True)):
        label = str(maps.meta.get("estimator", Path(name).name))
        estimates[label if label not in estimates else f"{label} ({number + 1})"] = maps
    explained = False
    for (one, first), (other, second) in itertools.combinations(estimates.items(), 2):
        found = compare_estimates(first, second, threshold=threshold, pixels=pixels)
        if not quiet:
            _report(one, other, found)
            explained = explained or bool(found)
        if output:
            found.write(output, overwrite)
        if plot:
            from picasssso.maps.pictures import draw_residuals

            figure = draw_residuals(found, (one, other))
            with atomic_write(plot, overwrite) as temporary:
                figure.savefig(temporary, dpi=130)
    if explained:
        click.echo(_TWO_OFFSETS)
    for line in disagreements(estimates, threshold=threshold):
        click.echo(f"Warning: {line}", err=True)


def _read(files: Sequence[str], **options: Any) -> list[PropertyMaps]:
    """Read maps of any kind; published ones lie where the package's own do, if they do not say."""
    from picasssso.ifu import read_maps
    from picasssso.ifu.map_formats import is_published
    from picasssso.maps import PropertyMaps

    published = [name for name in files if Path(name).is_file() and is_published(name)]
    found = {name: PropertyMaps.read(name) for name in files if name not in published}
    like = next(iter(found.values()), None)
    given = {key: value for key, value in options.items() if value is not None}
    for name in published:
        found[name] = read_maps(name, like=like, **given)
    return [found[name] for name in files]


def _where(found: Agreement) -> str:
    """Return which pixels statistics are over."""
    return "detected in both" if found.pixels == "detected" else "all above their errors"


def _report(one: str, other: str, comparison: Comparison) -> None:
    """Print what was done and what was found."""
    from picasssso.maps.notices import like_prior

    click.echo(f"{one} against {other}:")
    for name, maps in ((one, comparison.first), (other, comparison.second)):
        notes = [*maps.meta.get("conversions", ()), *maps.meta.get("approximations", ())]
        notes += [f"{key}: {words}" for key, words in like_prior(maps).items()]
        for note in notes:
            click.echo(f"  ({name}, {note})")
    for note in comparison.notes:
        click.echo(f"  ({note})")
    for name, maps, others in (
        (one, comparison.first, comparison.second), (other, comparison.second, comparison.first),
    ):  # fmt: skip
        alone = [key for key in maps if key not in others]
        averages = [key for key in alone if key.endswith(("_log", "_light", "myr"))]
        if alone:
            click.echo(f"  (only in {name}: {', '.join(alone)})")
        if averages:
            click.echo(f"  ({', '.join(averages)}: other averages; --approximate takes them)")
    for found in comparison:
        click.echo(
            f"  {found.label:28} {found.first} against {found.second}: {found.offset}, "
            f"{found.deviation:+.1f} sigma"
        )
        click.echo(
            f"  {'':28} {found.n_pixels} pixels ({_where(found)}): "
            f"bias {found.bias:+.3f} {found.unit}, scatter {found.scatter:.3f}; "
            f"{100 * found.coverage_68:.0f} % / {100 * found.coverage_95:.0f} % within errors "
            f"(68 / 95 %), {100 * found.pixels_beyond:.0f} % beyond {found.threshold:g} sigma"
        )
