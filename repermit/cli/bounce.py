"""What came back: the command `bounce`, and the replies that `status` shows."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from repermit.cli.command import command
from repermit.cli.context import CommandContext, pass_house
from repermit.cli.output import say, warn
from repermit.errors import RepermitError

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import Taken
    from repermit.contacts.human_replies import WaitingReply

_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h, which Postfix and Sieve know
_MOST_SHOWN = 20


@command(examples=("repermit bounce returned.eml",))
@click.argument("file", default="-", metavar="[FILE]")
@pass_house
def bounce(house: CommandContext, file: str) -> int:
    """Take one message that came back: a bounce, a complaint, a reply.

    From stdin if there is no FILE, for a pipe of Postfix or Sieve. What is none of ours is left
    alone. The exit code is 75 if the message should be given again later, as when the database
    cannot be reached.
    """
    from repermit.bounces import mailbox, parse, record_bounce

    with click.open_file(file, "rb") as stream:
        raw = stream.read(parse.LONGEST)
        # A mail server that cannot write all of it may take that for a failure.
        while stream.read(parse.LONGEST):
            pass
    try:
        with house.database() as database, mailbox.MessageReader() as reader:
            taken = record_bounce.take(
                database, raw, settings=house.settings, now=house.now, read=reader.read
            )
    except (RepermitError, OSError) as error:
        # Anything else than this code would make a mail server give up.
        warn(f"repermit: {error}")
        return _TRY_AGAIN
    _say_taken(taken)
    return 0


def _say_taken(taken: Taken) -> None:
    status = f" ({taken.status})" if taken.status else ""
    about = _OF_A_COPY if taken.is_about_others else _WHAT[taken.kind]
    what = f"{about}{status}"
    if not taken.list:
        say(f"{what}, about no mail of ours.")
        return
    see = f"; see `repermit status {taken.list}`" if taken.effect == "waiting" else ""
    say(f"{taken.list}: {what}. {_DONE[taken.effect]}{see}.")
    if taken.paused:
        say(f"The campaign has paused; see `repermit status {taken.list}`.")


_WHAT = {
    "hard": "A bounce: there is no such mailbox",
    "soft": "A bounce or a delay",
    "complaint": "A complaint",
    "auto_reply": "An automatic answer",
    "reply": "A reply by a person",
    "nothing": "Neither a bounce nor a reply",
}
_OF_A_COPY = "A bounce of a copy that went on to another address"
_DONE = {
    "none": "Nothing was to be done",
    "known": "It says nothing new",
    "noted": "It was noted",
    "removed": "The contact was taken off",
    "waiting": "It waits for your decision",
}


def say_replies(house: CommandContext, slug: str, replies: Sequence[WaitingReply]) -> None:
    """Print the replies that wait for the admin, and what to type for each."""
    if not replies:
        return
    say("", f"Replies by mail that wait for you: {len(replies):,}. Read them in the mailbox first.")
    for reply in replies[:_MOST_SHOWN]:
        day = house.in_words(reply.at).rpartition(",")[0]
        note = shlex.quote(f"reply by mail of {day}")
        typed = f"repermit answer {slug} {shlex.quote(reply.address)}"
        if reply.proposed:
            say(f"  {typed} {reply.proposed} --note {note}")
        else:
            say(f"  {typed} … --note {note}    # no plain Yes or No, or from another address")
    if len(replies) > _MOST_SHOWN:
        say(f"  … and {len(replies) - _MOST_SHOWN:,} more")


COMMANDS = (bounce,)
