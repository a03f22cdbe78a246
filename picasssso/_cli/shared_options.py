"""What all commands share: options, warnings and errors in one line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from picasssso._cli.advice import with_options
from picasssso.exceptions import PicassssoError

_DEBUG = "picasssso.debug"

Function = TypeVar("Function", bound=Callable[..., Any])


def _remember_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> bool:
    ctx.meta[_DEBUG] = value
    return value


def common_options(function: Function) -> Function:
    """Add ``--quiet`` and ``--debug`` to a command, which gets only ``quiet``."""
    function = click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember_debug,
        help="Show the full traceback of errors.",
    )(function)
    return click.option(
        "-q", "--quiet", is_flag=True, help="No progress bars and no summary; warnings remain."
    )(function)


def debug_wanted(ctx: click.Context) -> bool:
    """Return whether ``--debug`` was given (the contexts of commands share `meta`)."""
    return bool(ctx.meta.get(_DEBUG, False))


def progress_wanted(quiet: bool) -> bool:
    """Return whether to show progress bars: on a terminal, unless told to be quiet."""
    return not quiet and sys.stderr.isatty()


def describe_error(error: Exception, command: click.Command | None = None) -> str:
    """Return one error of a command as a user should see it."""
    if isinstance(error, PicassssoError):
        return with_options(str(error), command)
    if isinstance(error, MemoryError):
        return "Out of memory: cut the images to the galaxy, or run on a larger machine."
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}"
    message = str(error) or "no message"
    return (
        f"{message} ({type(error).__name__}; this is not an error that picasssso expected: "
        "--debug shows where it happened)"
    )


@contextmanager
def short_warnings() -> Iterator[None]:
    """Show each warning once, in one line on stderr; of what is no FITS in headers, the first."""
    # Astropy sends warnings to its own logger as soon as it is imported; do that first,
    # or it would undo what is set here.
    import astropy.logger  # noqa: F401
    from astropy.io.fits.verify import VerifyWarning
    from astropy.utils.exceptions import AstropyWarning

    shown: set[str] = set()
    more = "More of the headers is not as the FITS standard has it."
    not_standard = 0

    def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        nonlocal not_standard
        if issubclass(category, VerifyWarning):  # of a damaged file, one for each card
            not_standard += 1
            message = message if not_standard == 1 else more
        context = click.get_current_context(silent=True)
        text = with_options(
            " ".join(str(message).split()), None if context is None else context.command
        )
        if text not in shown:
            shown.add(text)
            click.echo(f"Warning: {text}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those meant for developers
        warnings.filterwarnings("default", category=UserWarning)
        warnings.filterwarnings("default", category=AstropyWarning)
        warnings.showwarning = show
        yield
