"""The command line: calls use cases, and prints their results as lines or JSON.

Packages are imported inside the commands, so that `--help` stays quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from repermit import __version__
from repermit.cli import (
    answer,
    archive,
    backup,
    bounce,
    campaign_actions,
    check,
    expire,
    export,
    forget,
    import_file,
    launch,
    mailing_list,
    proof,
    reports,
    send,
    serve,
    status,
    suppression,
    text,
    user,
    verify,
)
from repermit.cli import help as help_command
from repermit.cli.command import Group
from repermit.cli.context import CommandContext
from repermit.clock import SystemClock
from repermit.errors import LaunchRefused, RepermitError, WordingError

if TYPE_CHECKING:
    from repermit.clock import Clock

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(
    cls=Group,
    context_settings=_SETTINGS,
    examples=("repermit demo", "repermit init", "repermit launch --help"),
)
@click.version_option(__version__, prog_name="repermit")
@click.option(
    "--config",
    envvar="REPERMIT_CONFIG",
    default="config.toml",
    metavar="FILE",
    help="The settings.  [default: $REPERMIT_CONFIG, or config.toml here]",
)
@click.pass_context
def cli(context: click.Context, config: str) -> None:
    """Ask everyone on a mailing list once; keep the proof of every Yes; take off the rest.

    `demo` shows it happen, `init` begins for real.
    """
    context.obj = CommandContext(config=config, clock=context.obj)


for module in (
    serve,
    check,
    mailing_list,
    text,
    import_file,
    launch,
    campaign_actions,
    answer,
    status,
    send,
    expire,
    bounce,
    export,
    reports,
    archive,
    backup,
    proof,
    forget,
    suppression,
    user,
    verify,
    help_command,
):
    for command in module.COMMANDS:
        cli.add_command(command)


def main(arguments: Sequence[str] | None = None, *, clock: Clock | None = None) -> None:
    """Run one command and exit: 0 done, 1 refused with the reason on stderr, 2 wrong usage.

    A closed stdout, as of `head`, ends it with 1 and without a message.
    """
    try:
        result: Any = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name="repermit",
            standalone_mode=False,
            obj=clock or SystemClock(),
        )
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        _print_refusal("stopped")
    except RepermitError as error:
        _print_refusal(_list_reasons(error))
    except OSError as error:
        _print_refusal(f"{error.filename or 'the system refuses'}: {error.strerror or error}")
    sys.exit(result if isinstance(result, int) else 0)


def _print_refusal(reason: str) -> NoReturn:
    click.echo(f"repermit: {reason}", err=True)
    sys.exit(1)


def _list_reasons(error: RepermitError) -> str:
    """Return the reason of a refusal; several reasons on a line each."""
    reasons = error.reasons if isinstance(error, LaunchRefused | WordingError) else ()
    if len(reasons) > 1:
        return "\n".join(("not yet:", *(f"  - {reason}" for reason in reasons)))
    return str(error)
