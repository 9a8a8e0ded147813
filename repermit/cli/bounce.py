"""The command `bounce`, and the lines of `status` about replies by mail."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command
from repermit.cli.context import CommandContext, pass_command_context
from repermit.cli.output import echo, warn
from repermit.errors import RepermitError

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import BounceResult
    from repermit.contacts.human_replies import WaitingReply

_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h, which Postfix and Sieve know
_MAX_SHOWN = 20


@command(examples=("repermit bounce returned.eml",))
@click.argument("file", default="-", metavar="[FILE]")
@pass_command_context
def bounce(context: CommandContext, file: str) -> int:
    """Take one message that came back: a bounce, a complaint, a reply.

    From stdin if there is no FILE, for a pipe of Postfix or Sieve. What is none of ours is left
    alone. The exit code is 75 if the message should be given again later, as when the database
    cannot be reached.
    """
    from repermit.bounces import message_kind, message_parts, record_bounce

    with click.open_file(file, "rb") as stream:
        raw = stream.read(message_parts.MAX_SIZE)
        # A mail server may take it for a failure if it cannot write the whole message.
        while stream.read(message_parts.MAX_SIZE):
            pass
    try:
        with context.database() as database, message_kind.MessageReader() as reader:
            result = record_bounce.record_message(
                database, reader.read(raw), settings=context.settings, now=context.now
            )
    except (RepermitError, OSError) as error:
        # With any other exit code the mail server would return the message for good.
        warn(f"repermit: {error}")
        return _TRY_AGAIN
    _print_bounce_result(result)
    return 0


def _print_bounce_result(result: BounceResult) -> None:
    status = f" ({result.status})" if result.status else ""
    text = _COPY_TEXTS if result.is_about_others else _KIND_TEXTS[result.kind]
    summary = f"{text}{status}"
    if not result.list:
        echo(f"{summary}, about no mail of ours.")
        return
    see = f"; see `repermit status {result.list}`" if result.effect == "waiting" else ""
    echo(f"{result.list}: {summary}. {_RESULT_TEXTS[result.effect]}{see}.")
    if result.paused:
        echo(f"The campaign has paused; see `repermit status {result.list}`.")


_KIND_TEXTS = {
    "hard": "A bounce: there is no such mailbox",
    "soft": "A bounce or a delay",
    "complaint": "A complaint",
    "auto_reply": "An automatic answer",
    "reply": "A reply by a person",
    "nothing": "Neither a bounce nor a reply",
}
_COPY_TEXTS = "A bounce of a copy that went on to another address"
_RESULT_TEXTS = {
    "none": "Nothing was to be done",
    "known": "It says nothing new",
    "noted": "It was noted",
    "removed": "The contact was taken off",
    "waiting": "It waits for your decision",
}


def print_replies(context: CommandContext, slug: str, replies: Sequence[WaitingReply]) -> None:
    """Print the replies that wait for the admin, with the command for each."""
    from repermit.contacts.human_replies import PROPOSALS, STOP

    if not replies:
        return
    echo(
        "", f"Replies by mail that wait for you: {len(replies):,}. Read them in the mailbox first."
    )
    for reply in replies[:_MAX_SHOWN]:
        day = context.format_time(reply.at).rpartition(",")[0]
        note = shlex.quote(f"reply by mail of {day}")
        typed = f"repermit answer {slug} {shlex.quote(reply.address)}"
        if answer := PROPOSALS.get(reply.proposed):
            asked = "    # asks to be mailed no more" if reply.proposed == STOP else ""
            echo(f"  {typed} {answer} --note {note}{asked}")
        else:
            echo(f"  {typed} … --note {note}    # no plain Yes or No, or from another address")
    if len(replies) > _MAX_SHOWN:
        echo(f"  … and {len(replies) - _MAX_SHOWN:,} more")


COMMANDS = (bounce,)
