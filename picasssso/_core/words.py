"""English in messages whose words come from elsewhere."""

from __future__ import annotations

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
