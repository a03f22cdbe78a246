"""A table in HTML, as notebooks show objects."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a caption; all texts are escaped."""
    lines = [(header, "th"), *((row, "td") for row in rows)]
    body = "".join(
        "<tr>" + "".join(f"<{cell}>{html.escape(text)}</{cell}>" for text in row) + "</tr>"
        for row, cell in lines
    )
    return f"<table><caption>{html.escape(caption)}</caption>{body}</table>"
