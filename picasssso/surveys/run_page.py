"""The page of a run: one HTML file with a row for each galaxy, to sort and to search.

The table is a plain one, which shows without scripts; DataTables (MIT license), which is
part of the file, sorts, searches and pages it.
"""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from picasssso._core.safe_files import atomic_write, packaged_text
from picasssso.exceptions import InvalidInputError
from picasssso.properties import PROPERTIES
from picasssso.surveys.store import read_rows

#: Columns of numbers beside the properties: heading, format.
_NUMBERS = {
    "redshift": ("redshift", "{:.4f}"),
    "half_mass_radius": ("R½ [″]", "{:.2f}"),
    "half_mass_radius_kpc": ("R½ [kpc]", "{:.2f}"),
    "reduced_chi2": ("reduced χ²", "{:.2f}"),
    "flagged": ("flagged", "{:.0%}"),
    "seconds": ("seconds", "{:.2f}"),
}
_SCRIPT = """
new DataTable("#galaxies", {
  pageLength: 25, order: [], autoWidth: false,
  columnDefs: [{targets: "picture", orderable: false, searchable: false}],
});
"""


def write_page(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    *,
    title: str | None = None,
    limit: int = 1000,
    overwrite: bool = False,
) -> Path:
    """Write a page about a survey run: one HTML file that needs nothing else.

    It has a row for each galaxy, with its picture and mass map, totals and their errors, flags
    and notes, or why it failed, and links to its maps and its report. Columns sort at a click,
    and the search looks at all words. The run may be finished or not; the first ``limit``
    galaxies of the catalog are shown, since browsers do not like much larger pages.
    """
    if limit < 1:
        raise InvalidInputError(f"limit={limit!r}: expected at least 1.")
    place = Path(folder).expanduser().resolve()
    target = place / "index.html" if path is None else Path(path).expanduser().resolve()
    rows = list(read_rows(place, limit=limit + 1))
    more, rows = len(rows) > limit, rows[:limit]
    failed = sum("failed" in row for row in rows)
    words = f"{len(rows)} galaxies{', the first of the catalog' if more else ''}; {failed} failed."
    heading = html.escape(title or f"Survey run: {place.name}")
    table = _Table(rows, place, target.parent)
    with (
        atomic_write(target, overwrite) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        file.write(
            f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<title>{heading}</title><style>{packaged_text('page/run.css')}</style></head>"
            f"<body><h1>{heading}</h1>"
            f"<p>{words} Totals, and averages of intensive properties, are those inside 2 "
            f'half-mass radii.</p><div class=wide><table id="galaxies"><thead>{table.head()}'
            "</thead><tbody>\n"
        )
        # Pictures are most of it: one row at a time.
        for row in read_rows(place, pictures=True, limit=limit):
            file.write(table.row(row))
        file.write(
            f"</tbody></table></div><script>{_library()}</script><script>{_SCRIPT}</script>"
            "</body></html>\n"
        )
    return target


def _library() -> str:
    return packaged_text("page/dataTables.min.js").replace("</script", "<\\/script")


class _Table:
    """The table of the page: its columns are those that some row has."""

    def __init__(self, rows: list[dict[str, Any]], folder: Path, page: Path) -> None:
        names = dict.fromkeys(name for row in rows for name in row)
        self.properties = [n for n in names if f"{n}_error" in names and n not in _NUMBERS]
        self.numbers = [name for name in _NUMBERS if name in names]
        pictured = read_rows(folder, pictures=True, limit=len(rows))
        self.drawn = any("pictures" in row for row in pictured)
        self.folder, self.page = folder, page

    def head(self) -> str:
        """Return the headings."""
        pictures = '<th class="picture">galaxy</th><th class="picture">mass</th>'
        numbers = (_NUMBERS[name][0] for name in self.numbers)
        headings = ["name", "files", *numbers, *map(_label, self.properties)]
        cells = "".join(f"<th>{html.escape(text)}</th>" for text in headings)
        return f"<tr>{pictures if self.drawn else ''}{cells}<th>flags and notes</th></tr>"

    def row(self, row: Mapping[str, Any]) -> str:
        """Return the row of a galaxy."""
        cells = []
        if self.drawn:
            words = (f"{row['id']} in color", f"stellar mass of {row['id']}")
            cells += [
                _picture(data, label)
                for data, label in zip(row.get("pictures", (None, None)), words, strict=True)
            ]
        cells.append(f"<td>{html.escape(row['id'])}</td>")
        # Beside the name, where they are seen however many columns follow.
        links = [
            f'<a href="{_address(self.folder / row[kind], self.page)}">{kind}</a>'
            for kind in ("maps", "report")
            if row.get(kind)
        ]
        cells.append(f"<td>{' '.join(links)}</td>")
        for name in self.numbers:
            value = row.get(name, np.nan)
            cells.append(_number(value, _NUMBERS[name][1].format(value)))
        for name in self.properties:
            value, error = row.get(name, np.nan), row.get(f"{name}_error", np.nan)
            cells.append(_number(value, f"{value:.3g} ± {error:.2g}"))
        notes = [
            row.get("failed", ""), row.get("flags", "").replace(",", ", "), row.get("notes", "")
        ]  # fmt: skip
        text = html.escape("; ".join(filter(None, notes)))
        cells.append(f'<td class="words">{text}</td>')
        return f"<tr{' class=failed' if 'failed' in row else ''}>{''.join(cells)}</tr>\n"


def _address(file: Path, page: Path) -> str:
    """Return a link to a file: its name may hold what addresses write otherwise, such as %."""
    return html.escape(quote(Path(os.path.relpath(file, page)).as_posix()))


def _label(name: str) -> str:
    known = PROPERTIES.get(name.removesuffix("_aperture"))
    if known is None:
        return name.replace("_", " ")
    unit = known.total_unit if known.is_surface_density else known.unit
    text = unit.to_string("unicode").replace("M⊙", "M☉")
    label = f"{known.label} [{text}]" if text else known.label
    return f"{label}, fixed aperture" if name.endswith("_aperture") else label


def _number(value: float, text: str) -> str:
    if not np.isfinite(value):
        # Sorted below everything there is.
        return '<td class="number" data-order="-1e300">–</td>'
    return f'<td class="number" data-order="{value:.8g}">{html.escape(text)}</td>'


def _picture(data: bytes | None, words: str) -> str:
    if data is None:
        return "<td></td>"
    source = base64.b64encode(data).decode("ascii")
    return (
        f'<td><img loading="lazy" alt="{html.escape(words, quote=True)}" '
        f'src="data:image/png;base64,{source}"></td>'
    )
