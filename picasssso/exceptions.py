"""Errors and warnings of picasssso.

Every error that a user can cause is a `PicassssoError`, and at the same time the
built-in exception that fits (`ValueError`, `TypeError`, `OSError`), so both
``except ValueError`` and ``except PicassssoError`` work. The message always says what
was found, what was expected and what to do.
"""

try:
    from astropy.utils.exceptions import AstropyUserWarning
except ImportError:  # Mocks are generated and networks trained with torch and numpy alone.

    class AstropyUserWarning(UserWarning):  # type: ignore[no-redef]
        """Stands in where astropy is not installed."""


__all__ = [
    "FileFormatError",
    "InvalidInputError",
    "InvalidTypeError",
    "MissingBandError",
    "MissingDependencyError",
    "OutsideTrainingWarning",
    "PicassssoError",
    "PicassssoWarning",
]

#: Characters of a message, at most.
_LONGEST = 600


class PicassssoError(Exception):
    """Base class of every error that picasssso raises on purpose.

    Messages longer than 600 characters, as those that quote a damaged file may become, lose
    their middle.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*map(_shortened, args))


def _shortened(text: object) -> object:
    if not isinstance(text, str) or len(text) <= _LONGEST:
        return text
    return f"{text[:390]} [...] {text[-200:]}"


class InvalidInputError(PicassssoError, ValueError):
    """A value, unit, shape or combination of inputs that cannot be used."""


class InvalidTypeError(PicassssoError, TypeError):
    """An input of a type that cannot be used."""


class MissingBandError(InvalidInputError):
    """The images lack a band that the estimator needs."""


class FileFormatError(PicassssoError, OSError):
    """A file that is not of the expected format, is damaged, or is too new."""


class MissingDependencyError(PicassssoError, ImportError):
    """An optional package that a feature needs is not installed."""


class PicassssoWarning(AstropyUserWarning):
    """Warning about something that the user should know."""


class OutsideTrainingWarning(PicassssoWarning):
    """The images are unlike the training set of the estimator."""
