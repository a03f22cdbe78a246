"""The ``picasssso`` command.

Exit codes: 0 for success, 2 for wrong use (what can be told from the command line alone),
1 for every other failure, 130 when interrupted, 143 when ended by SIGTERM (128 and the signal's
number). Results go to stdout, everything else to stderr. Heavy packages are imported by the
commands that need them, so that ``--help`` is quick.
"""

from __future__ import annotations

import errno
import signal
from typing import Any

import click

from picasssso._cli.advice import with_options
from picasssso._cli.shared_options import debug_wanted, describe_error, short_warnings
from picasssso._cli.signals import Ended, end_by_signals, ending_of, signal_behind
from picasssso._core.version import __version__

#: Where each command lives; imported only when it is asked for.
COMMANDS = {
    "compare": "picasssso._cli.compare:compare",
    "cube": "picasssso._cli.cube:cube",
    "demo": "picasssso._cli.demo:demo",
    "estimate": "picasssso._cli.estimate:estimate",
    "evaluate": "picasssso._cli.evaluate:evaluate",
    "filters": "picasssso._cli.filters:filters",
    "info": "picasssso._cli.info:info",
    "list": "picasssso._cli.listing:list_command",
    "prepare": "picasssso._cli.prepare:prepare",
    "report": "picasssso._cli.report:report",
    "sed": "picasssso._cli.sed:sed",
    "simulate": "picasssso._cli.simulate:simulate",
    "survey": "picasssso._cli.survey:survey",
    "train": "picasssso._cli.train:train",
}


class _Group(click.Group):
    """Finds commands lazily, and turns exceptions into short messages and exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        import importlib

        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with short_warnings():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (KeyboardInterrupt, Ended) as error:
            self._end(ctx, error)
        except Exception as error:  # the last line of defense: no traceback for users
            if (ended := signal_behind(error)) is not None:
                self._end(ctx, ended)
            # click knows what to do when whoever reads the output has gone.
            if debug_wanted(ctx) or getattr(error, "errno", None) == errno.EPIPE:
                raise
            raise click.ClickException(describe_error(error, self._invoked(ctx))) from error

    def _end(self, ctx: click.Context, error: KeyboardInterrupt | Ended) -> None:
        number = error.number if isinstance(error, Ended) else signal.SIGINT
        click.echo(f"{ending_of(number)}; nothing was half-written.", err=True)
        for note in getattr(error, "__notes__", ()):
            click.echo(with_options(note, self._invoked(ctx)), err=True)
        ctx.exit(128 + number)

    def _invoked(self, ctx: click.Context) -> click.Command | None:
        name = ctx.invoked_subcommand
        return None if name is None else self.get_command(ctx, name)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 99},
    epilog="Start with: picasssso demo. Then: picasssso info FILE, picasssso estimate --help.",
)
@click.version_option(__version__, prog_name="picasssso")
def cli() -> None:
    """Turn multi-band images of a galaxy into maps of its physical properties."""


def main() -> None:
    """Run the command; the entry point of the console script."""
    end_by_signals()
    cli(prog_name="picasssso")


if __name__ == "__main__":
    main()
