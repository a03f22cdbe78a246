"""Check that the documentation can be read: length of pages and of sentences, no raw results.

A page, with the tables that it includes, has at most 2,500 words; sentences have 25 words on
the mean and none more than 60. Sentences are those of paragraphs and lists; code, tables and
directives do not count.

Run from the root of the repository: ``python tools/check_prose.py``.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: Words of a page, of a sentence on the mean of a page, and of the longest sentence.
LONGEST_PAGE, MEAN_SENTENCE, LONGEST_SENTENCE = 2500, 25, 60

_INCLUDE = re.compile(r"^\.\. include:: (_tables/\S+)$|^   :file: (_tables/\S+)$", re.MULTILINE)
_WORD = re.compile(r"[^\s|,]*[A-Za-z0-9][^\s|,]*")
_MARKUP = re.compile(r":[a-z:]+:`([^`<]*?)(?:\s*<[^`]*>)?`|``([^`]*)``|`([^`<]*?)\s*<[^`]*>`__?")


def read_page(path: Path) -> str:
    """Return a page with the tables that it includes."""
    text = path.read_text(encoding="utf-8")
    names = [first or second for first, second in _INCLUDE.findall(text)]
    tables = [(path.parent / name).read_text(encoding="utf-8") for name in names]
    return "\n".join([text, *tables])


def count_words(text: str) -> int:
    """Return the number of words that a reader sees, about."""
    lines = (line for line in text.splitlines() if not re.match(r"\s*(\.\. |:\w+:|_)", line))
    return sum(len(_WORD.findall(line)) for line in lines)


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of prose: no code, tables, directives or titles."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        lines = block.strip("\n").splitlines()
        first = lines[0].lstrip() if lines else ""
        indented = bool(lines) and lines[0].startswith("    ")
        if not first or first.startswith((".. ", ">>>", "$", ":", "=", "+-", "* -")) or indented:
            continue
        if any(re.fullmatch(r"\s*([=\-^~\"]{3,}\s*)+", line) for line in lines):
            continue
        # Terms of a definition list end where their text begins; items of a list are sentences.
        plain = re.sub(r"^\S.*\n(?= {3,}\S)", "- ", "\n".join(lines), flags=re.MULTILINE)
        lines = plain.splitlines()
        for item in re.split(r"\n(?=\s*(?:[-*#]|\d+\.) )", "\n".join(lines)):
            found.append(" ".join(re.sub(r"^\s*(?:[-*#]|\d+\.) ", "", item).split()))
    return found


def sentences(text: str) -> list[str]:
    """Return the sentences of the prose."""
    found = []
    for paragraph in paragraphs(text):
        plain = _MARKUP.sub(lambda m: (m[1] or m[2] or m[3] or "").replace(".", "·"), paragraph)
        plain = re.sub(r"\b(et al|e\.g|i\.e|vs|cf|Fig|Eq)\.", r"\1", plain)
        found += [one for one in re.split(r"(?<=[.!?:;])[*)\"]*\s+(?=[-A-Z*(\"])", plain) if one]
    return found


def main() -> int:
    """Print what is too long; return the exit code."""
    failures = []
    pages = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]
    for path in pages:
        text = read_page(path)
        name = path.relative_to(ROOT)
        if (n_words := count_words(text)) > LONGEST_PAGE:
            failures.append(f"{name}: {n_words} words, at most {LONGEST_PAGE}")
        if re.search(r"literalinclude:: \S+\.json", text):
            failures.append(f"{name}: shows raw JSON, where a table belongs")
        lengths = [len(_WORD.findall(one)) for one in sentences(path.read_text(encoding="utf-8"))]
        if lengths and sum(lengths) / len(lengths) > MEAN_SENTENCE:
            failures.append(f"{name}: {sum(lengths) / len(lengths):.0f} words a sentence")
        for one in sentences(path.read_text(encoding="utf-8")):
            if (length := len(_WORD.findall(one))) > LONGEST_SENTENCE:
                failures.append(f"{name}: a sentence of {length} words: {one[:80]} ...")
    print("\n".join(failures))
    print(f"{len(pages)} pages read, {len(failures)} problem(s)")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
