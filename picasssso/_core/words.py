"""English in messages whose words come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: What turns messages that are kept into the words of whoever asked; None leaves them.
_WORDING: ContextVar[Callable[[str], str] | None] = ContextVar("wording", default=None)

#: What stands for a number that there is none of.
NOTHING = "–"

#: How words begin that sound otherwise than their first letter.
_VOWELS = ("hour", "nd")
_CONSONANTS = ("uni", "us", "ut", "eu", "one")


def with_article(word: str) -> str:
    """Return a word with its indefinite article.

    >>> with_article("uncertainty"), with_article("unit"), with_article("mask")
    ('an uncertainty', 'a unit', 'a mask')
    """
    sound = word.lower()
    vowel = sound[:1] in tuple("aeiou") and not sound.startswith(_CONSONANTS)
    return f"{'an' if vowel or sound.startswith(_VOWELS) else 'a'} {word}"


def number_text(value: float | None, form: str) -> str:
    """Return a number in a format, a dash for none."""
    return NOTHING if value is None or value != value else format(value, form)


@contextmanager
def keep_messages_as(wording: Callable[[str], str]) -> Iterator[None]:
    """Keep messages, in tables and logs, in other words, such as those of a command."""
    token = _WORDING.set(wording)
    try:
        yield
    finally:
        _WORDING.reset(token)


def as_kept(message: str) -> str:
    """Return a message in the words in which it is to be kept."""
    wording = _WORDING.get()
    return message if wording is None else wording(message)
