"""Check the built documentation: links inside it lead somewhere, and tasks are few clicks away.

Run after ``sphinx-build``, from the root of the repository::

    python tools/check_links.py docs/_build/html

Links out of the documentation need the network: ``sphinx-build -b linkcheck docs OUTPUT``.
"""

from __future__ import annotations

import sys
from collections import deque
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

#: Where the answer stands to what a new reader asks, and words of the answer.
TASKS = {
    "mass of an SDSS galaxy, with its error": ("gallery/plot_1_sdss_mass.html", "+/-"),
    "which estimator for a nearby elliptical": ("compare.html#choosing", "elliptical at z = 0.02"),
    "add a filter": ("bands.html#own-filters", "read_filter"),
    "write a plugin": ("plugins.html#plugins", "_select_bands"),
    "how wrong the network is on real galaxies": ("results.html#results", "GSWLC-X2"),
}
CLICKS = 3


class Page(HTMLParser):
    """Links, anchors and text of the article of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.in_article: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self._depth = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect what a tag links to, or can be linked by."""
        known = dict(attrs)
        self._depth += tag == "article"
        if known.get("id"):
            self.anchors.add(str(known["id"]))
        target = known.get("href" if tag == "a" else "src")
        if target and "://" not in target and not target.startswith(("mailto:", "data:")):
            self.links.append(target)
            if self._depth and tag == "a":
                self.in_article.append(target)

    def handle_endtag(self, tag: str) -> None:
        """Notice the end of the article."""
        self._depth -= tag == "article"

    def handle_data(self, data: str) -> None:
        """Collect text of the article."""
        if self._depth:
            self.words.append(data)


def read_pages(folder: Path) -> dict[Path, Page]:
    """Return all pages; what the theme keeps beside its scripts is none."""
    paths = sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)
    return {path.resolve(): Page(path) for path in paths}


def broken_links(pages: dict[Path, Page], folder: Path) -> list[str]:
    """Return links that lead nowhere."""
    found = []
    for path, page in pages.items():
        for link in dict.fromkeys(page.links):
            name, anchor = urldefrag(unquote(link))
            target = (path.parent / name.partition("?")[0]).resolve() if name else path
            where = path.relative_to(folder.resolve())
            if not target.exists():
                found.append(f"{where}: {link} is not there")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                found.append(f"{where}: {link} has no such place")
    return found


def clicks_to(pages: dict[Path, Page], start: Path) -> dict[Path, int]:
    """Return how many links inside articles lead from a page to each other one."""
    clicks, queue = {start: 0}, deque([start])
    while queue:
        path = queue.popleft()
        for link in pages[path].in_article:
            target = (path.parent / urldefrag(unquote(link))[0]).resolve()
            if target in pages and target not in clicks:
                clicks[target] = clicks[path] + 1
                queue.append(target)
    return clicks


def main() -> int:
    """Print what is wrong; return the exit code."""
    folder = Path(sys.argv[1])
    pages = read_pages(folder)
    failures = broken_links(pages, folder)
    clicks = clicks_to(pages, (folder / "index.html").resolve())
    for task, (place, words) in TASKS.items():
        name, anchor = urldefrag(place)
        target = (folder / name).resolve()
        if clicks.get(target, CLICKS + 1) > CLICKS:
            failures.append(f"{task}: {name} is more than {CLICKS} clicks from the index")
        elif (anchor and anchor not in pages[target].anchors) or words not in " ".join(
            "".join(pages[target].words).split()
        ):
            failures.append(f"{task}: {place} does not say {words!r}")
        else:
            print(f"{task}: {clicks[target]} click(s)")
    print("\n".join(failures))
    print(f"{len(pages)} pages, {len(failures)} problem(s)")
    return 1 if failures or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
