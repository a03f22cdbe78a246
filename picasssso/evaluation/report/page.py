"""The HTML report: text, tables and figures."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from picasssso._core.safe_files import atomic_write, check_output, packaged_text
from picasssso._core.version import __version__ as version
from picasssso._core.words import NOTHING, number_text
from picasssso.evaluation.agreement import compare_estimates, disagreements, total_of
from picasssso.evaluation.apertures import common_ellipse
from picasssso.evaluation.evaluation import Evaluation, check_comparable
from picasssso.evaluation.measures import Settings
from picasssso.evaluation.summary import Bins
from picasssso.exceptions import InvalidInputError
from picasssso.maps import pictures
from picasssso.maps.notices import like_prior, missing_notice, outside_notice, psf_notice
from picasssso.quality import QualityFlag

if TYPE_CHECKING:
    from astropy.table import QTable
    from matplotlib.figure import Figure

    from picasssso.bands import BandImages
    from picasssso.maps import PropertyMaps
    from picasssso.maps.totals import Total

_NOTICES = (outside_notice, psf_notice, missing_notice)


def write_report(
    maps: PropertyMaps,
    path: str | os.PathLike[str],
    *,
    truth: PropertyMaps | None = None,
    other: PropertyMaps | None = None,
    images: BandImages | None = None,
    title: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write an HTML report about maps: one self-contained file.

    It shows the galaxy in color (if the images are given), every map with its uncertainty, radial
    profiles, totals, quality flags, and how the maps were made. If a truth is given, it is shown
    for comparison, with residuals and coverage.

    Parameters
    ----------
    maps : PropertyMaps
        The maps.
    path : str or path-like
        The file to write.
    truth : PropertyMaps, optional
        True maps on the same pixels. A different resolution is allowed, and noted in the report.
    other : PropertyMaps, optional
        Maps of the same galaxy by another estimator, on the same pixels; significant differences
        are listed.
    images : BandImages, optional
        The images that the maps were made from.
    title : str, optional
        Heading of the report.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    FileFormatError
        If the file exists or cannot be written.
    InvalidInputError
        If truth, other maps or images do not match the maps.

    Examples
    --------
    >>> from picasssso import MassToLightEstimator
    >>> from picasssso.data import load_example
    >>> from picasssso.evaluation.report import write_report
    >>> images, truth = load_example()
    >>> maps = MassToLightEstimator().estimate(images)
    >>> write_report(maps, getfixture("tmp_path") / "report.html", truth=truth, images=images)
    """
    check_output(path, overwrite)
    if truth is not None:
        check_comparable(truth, maps, any_resolution=True)
    if other is not None:
        check_comparable(other, maps, any_resolution=True)
    if images is not None and images.shape != maps.shape:
        raise InvalidInputError(
            f"The images have shape {images.shape}, the maps {maps.shape}: expected the images "
            "that the maps were made from."
        )
    heading = title or f"Property maps by {maps.meta.get('estimator', 'picasssso')}"
    sections = [
        _summary(maps, truth),
        _galaxy(images),
        _totals(maps, truth),
        _other(maps, other),
        _all_maps(maps, truth),
        _profiles(maps, truth),
        _agreement(maps, truth),
        _quality(maps),
        _how(maps),
    ]
    body = "\n".join(section for section in sections if section)
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(heading)}</title>\n"
        f"<style>{packaged_text('page/report.css')}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(heading)}</h1>\n{body}\n</body>\n</html>\n"
    )
    with atomic_write(path, overwrite) as temporary:
        Path(temporary).write_text(page, encoding="utf-8")


# ---- pieces of HTML ---------------------------------------------------------------------


def _picture(figure: Figure, words: str, caption: str = "") -> str:
    """Return a figure as HTML; ``words`` is its text alternative."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure><img alt="{html.escape(words, quote=True)}" '
        f'src="data:image/png;base64,{data}">{below}</figure>'
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 1) -> str:
    """Return a table; columns from ``numbers`` on hold numbers."""
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    lines = []
    for row in rows:
        cells = [
            f"<td{' class=number' if k >= numbers else ''}>{html.escape(cell)}</td>"
            for k, cell in enumerate(row)
        ]
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


# ---- sections ---------------------------------------------------------------------------


def _summary(maps: PropertyMaps, truth: PropertyMaps | None) -> str:
    meta = maps.meta
    pixel = np.sqrt(maps.pixel_solid_angle.to_value(u.arcsec**2))
    facts = [f"{maps.shape[1]} × {maps.shape[0]} pixels of {pixel:.3g}″"]
    if maps.redshift is not None:
        facts.append(f"redshift {maps.redshift:g}")
    if maps.luminosity_distance is not None:
        facts.append(f"luminosity distance {maps.luminosity_distance.to_value(u.Mpc):.4g} Mpc")
    if meta.get("bands"):
        facts.append(f"bands {', '.join(map(str, meta['bands']))}")
    resolution = meta.get("resolution_fwhm_arcsec")
    if resolution:
        facts.append(f"resolution {float(resolution):.3g}″ (FWHM)")
    text = f"<p>{html.escape('; '.join(facts))}.</p>"
    for notice in filter(None, (find(maps) for find in _NOTICES)):
        text += f'<p class="bad">{html.escape(notice[0].upper() + notice[1:])}</p>'
    for name, words in like_prior(maps).items():
        label = maps.definition(name).label
        text += f"<p>{html.escape(f'{label[0].upper()}{label[1:]} is {words}.')}</p>"
    # Nothing has an age where no light is detected.
    densities = [name for name in maps if maps.definition(name).is_surface_density] or list(maps)
    masked = {name: float(maps.masks[name].mean()) for name in densities}
    if max(masked.values()) > 0.5:
        text += (
            f'<p class="bad">{100 * max(masked.values()):.0f} % of the pixels have no estimate: '
            "see the quality flags below.</p>"
        )
    if truth is not None:
        theirs = truth.meta.get("resolution_fwhm_arcsec")
        if theirs and resolution and abs(theirs - resolution) > 0.1 * max(theirs, resolution):
            text += _note(
                f"The truth holds at a resolution of {float(theirs):.3g}″, the maps at "
                f"{float(resolution):.3g}″: differences on small scales are expected."
            )
    return text


def _galaxy(images: BandImages | None) -> str:
    if images is None:
        return ""
    from picasssso.bands.plotting import choose_bands

    shown = ", ".join(choose_bands(images))
    return "<h2>The galaxy</h2>" + _picture(
        pictures.draw_galaxy(images), "The galaxy in color", f"Red to blue: {shown}."
    )


def _totals(maps: PropertyMaps, truth: PropertyMaps | None) -> str:
    header = ["property", "", "value", "masked"]
    if truth is not None:
        header += ["truth", "difference"]
    rows, notes = [], []
    for name in maps:
        definition = maps.definition(name)
        try:
            total = total_of(maps, name)
        except InvalidInputError as error:
            notes.append(f"{definition.label}: {error}")
            continue
        kind = "total" if definition.is_surface_density else "average"
        row = [definition.label, kind, _with_error(total), f"{100 * total.masked_fraction:.1f} %"]
        if truth is not None:
            row += _against_truth(maps, truth, name, total)
        rows.append(row)
    if not rows:
        return "<h2>Totals</h2>" + "".join(map(_note, notes))
    where = "the whole image" if maps.target is None else "the target's label"
    words = (
        f"Sums of the mean maps over {where}, and weighted averages of intensive properties. "
        "Errors are from joint samples, or assume independent noise of pixels in addition to the "
        "error that the estimator declares to be common to all pixels. If it declares none, "
        "errors of pixels are assumed to be fully correlated."
    )
    if truth is not None:
        words += " The truth is summed over the same pixels."
    return (
        "<h2>Totals</h2>"
        + _table(header, rows, numbers=2)
        + _note(words)
        + "".join(map(_note, notes))
    )


def _against_truth(
    maps: PropertyMaps, truth: PropertyMaps, name: str, total: Total
) -> tuple[str, str]:
    if name not in truth:
        return NOTHING, NOTHING
    try:
        region = ~maps.masks[name]
        if maps.target is not None:
            region = region & maps.target
        known = total_of(truth, name, region).value
    except InvalidInputError:
        return NOTHING, NOTHING
    parts = []
    ratio = float(total.value / known) if known.value != 0 else float("nan")
    if str(maps.definition(name).unit) != "mag" and ratio > 0:
        parts.append(f"{np.log10(ratio):+.3f} dex")
    else:
        parts.append(f"{float((total.value - known).value):+.3g}")
    if total.uncertainty.value > 0:
        parts.append(f"{float((total.value - known) / total.uncertainty):+.1f} σ")
    return f"{known.value:.4g}", ", ".join(parts)


def _with_error(total: Total) -> str:
    if not np.isfinite(total.value.value):
        return NOTHING
    return str(total).replace("+/-", "±").replace("solMass", "M☉")


def _other(maps: PropertyMaps, other: PropertyMaps | None) -> str:
    if other is None:
        return ""
    names = [str(one.meta.get("estimator", "maps")) for one in (maps, other)]
    if names[0] == names[1]:
        names[1] += " (other)"
    found = compare_estimates(maps, other)
    rows = [
        [
            one.label,
            _with_error(one.first),
            _with_error(one.second),
            f"{one.deviation:+.1f} σ",
            _percent(one.pixels_beyond),
        ]
        for one in found
    ]
    text = f"<h2>Against {html.escape(names[1])}</h2>"
    lines = disagreements(dict(zip(names, (maps, other), strict=True)))
    text += "".join(f'<p class="bad">{html.escape(line)}</p>' for line in lines)
    if not rows:
        return text + _note("The two have no comparable property in common.")
    header = ["property", *names, "difference", "pixels beyond 3 σ"]
    words = (
        "Totals and averages over the common pixels, with the difference in units of the combined "
        "error."
    )
    return text + _table(header, rows) + _note(words)


def _all_maps(maps: PropertyMaps, truth: PropertyMaps | None) -> str:
    text = ["<h2>Maps</h2>"]
    for name in maps:
        definition = maps.definition(name)
        unit = str(definition.unit) or "dimensionless"
        words = f"Map of {definition.label} with its uncertainty"
        text.append(f"<h3>{html.escape(definition.label.capitalize())}</h3>")
        text.append(
            _picture(
                pictures.draw_property(maps, name, truth),
                words + (", the truth and the difference" if truth is not None else ""),
                f"{definition.definition} ({unit}). Gray: no estimate, or not positive.",
            )
        )
    return "\n".join(text)


def _profiles(maps: PropertyMaps, truth: PropertyMaps | None) -> str:
    text = "<h2>Radial profiles</h2>"
    try:
        shape = common_ellipse(maps if truth is None else truth)
    except InvalidInputError as error:
        return text + _note(str(error))
    tables: dict[str, QTable] = {}
    true_tables: dict[str, QTable] = {}
    notes: list[str] = []
    for name in maps:
        try:
            tables[name] = maps.profile(name, correlation="independent", **shape)
            if truth is not None and name in truth:
                true_tables[name] = truth.profile(name, correlation="independent", **shape)
        except InvalidInputError as error:
            notes.append(f"{maps.definition(name).label}: {error}")
    if tables:
        measured = "maps" if truth is None else "truth"
        words = (
            f"Averages in elliptical annuli; axis ratio {shape['axis_ratio']:.2f}, major axis at "
            f"{shape['position_angle'].value:.0f}° from north through east, measured on the "
            f"{measured}. Bands: errors. Surface densities are as projected on the sky."
        )
        figure = pictures.draw_profiles(maps, tables, true_tables, "truth")
        text += _picture(figure, "Radial profiles of all properties", words)
    return text + "".join(map(_note, notes))


def _agreement(maps: PropertyMaps, truth: PropertyMaps | None) -> str:
    if truth is None:
        return ""
    evaluation = Evaluation(Settings(pixels_per_galaxy=maps.quality.size, structure=False))
    try:
        evaluation.add_maps(truth, maps, any_resolution=True)
    except InvalidInputError as error:
        return "<h2>Agreement with the truth</h2>" + _note(str(error))
    figures = evaluation.summary(Bins(n_bootstrap=2))["properties"]
    rows = []
    for name, entry in figures.items():
        pixel, known = entry["pixel"], entry["pixel"].get("calibration")
        rows.append(
            [
                _label(maps, name),
                number_text(entry["aperture"]["mean"], "+.3f"),
                number_text(pixel["median"], "+.3f"),
                number_text(pixel["nmad"], ".3f"),
                NOTHING if known is None else _percent(known["coverage_68"]),
                NOTHING if known is None else _percent(known["coverage_95"]),
                str(pixel["n"]),
            ]
        )
    header = ["property", "sum inside 2 half-mass radii", "pixels, median", "pixels, scatter",
              "inside 16–84 %", "inside 2.5–97.5 %", "pixels compared"]  # fmt: skip
    return (
        "<h2>Agreement with the truth</h2>"
        + _table(header, rows)
        + _note(
            "log10 (estimate / truth) in dex, positive where the estimate is too high "
            "(differences in mag for attenuation); scatter: normalized median absolute "
            "deviation, for pixels within 3 half-mass radii. The expected coverage is 68 % and "
            "95 %; the pixels of one galaxy are not independent."
        )
    )


def _label(maps: PropertyMaps, name: str) -> str:
    from picasssso.evaluation.stacks import DERIVED

    return DERIVED[name].label if name in DERIVED else maps.definition(name).label


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f} %"


def _quality(maps: PropertyMaps) -> str:
    quality, names = maps.quality, maps.flags
    text = "<h2>Quality</h2>"
    if not names:
        return text + "<p>No pixel is flagged.</p>"
    rows = []
    for name in names:
        flag = getattr(QualityFlag, name)
        number = int(((quality & int(flag)) != 0).sum())
        share = 100 * number / quality.size
        rows.append([name, str(getattr(flag, "__doc__", "")), str(number), f"{share:.1f} %"])
    clean = 100 * float((quality == 0).mean())
    return (
        text
        + f"<p>{clean:.1f} % of the pixels have no flag.</p>"
        + _table(["flag", "meaning", "pixels", "share"], rows, numbers=2)
        + _picture(
            pictures.draw_quality(maps),
            "Map of quality flags",
            "Where a pixel has several flags, the rarest is shown.",
        )
    )


def _how(maps: PropertyMaps) -> str:
    rows = [[name, value] for name, value in _flattened(maps.meta)]
    rows += [
        [f"shared error of {maps.definition(name).label}", f"{dex:.3g} dex"]
        for name, dex in maps.shared_error.items()
        if dex
    ]
    if maps.systematics:
        rows.append(["systematics", ", ".join(maps.systematics)])
    rows.append(["this page", f"picasssso {version}"])
    return "<h2>How it was made</h2>" + _table(["", ""], rows, numbers=9)


def _flattened(record: Mapping[str, Any], before: str = "") -> Iterable[tuple[str, str]]:
    for name, value in record.items():
        label = f"{before}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            if value:
                yield from _flattened(value, f"{label}: ")
        elif name == "preparation" and isinstance(value, list):
            from picasssso.preparation.steps import describe_steps

            yield from ((f"{label}: {step}", words) for step, words in describe_steps(value))
        elif isinstance(value, list | tuple):
            yield label, ", ".join(map(str, value))
        elif value is not None:
            yield label, str(value)
