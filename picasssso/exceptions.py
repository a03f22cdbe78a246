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


class PicassssoError(Exception):
    """Base class of every error that picasssso raises on purpose."""


class InvalidInputError(PicassssoError, ValueError):
    """A value, unit, shape or combination of inputs that cannot be used."""


class InvalidTypeError(PicassssoError, TypeError):
    """An input of a type that cannot be used."""


class MissingBandError(InvalidInputError):
    """The images lack a band that the estimator needs."""


class FileFormatError(PicassssoError, OSError):
    """A file that is not what it was taken for, is damaged, or is too new."""


class MissingDependencyError(PicassssoError, ImportError):
    """An optional package that a feature needs is not installed."""


class PicassssoWarning(AstropyUserWarning):
    """Something was done that the user should know of."""


class OutsideTrainingWarning(PicassssoWarning):
    """The images are unlike anything that the estimator was trained on."""
