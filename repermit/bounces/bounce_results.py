"""What a message says, and what came of taking it, as plain values.

Neither holds a word of the message beyond its codes and the marks by which it is matched.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a message is.

    `hard` is "no such mailbox or domain" alone; every other failure and every delay is `soft`.
    `reply` is written by a person, `auto_reply` by their mail program.
    """

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    REPLY = "reply"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Traces:
    """The marks by which a message may be matched with a mail of ours; none is believed unsigned.

    `return_paths` are addresses and `message_ids` Message-IDs, the likeliest first.
    """

    return_paths: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a message says by itself, before anything is looked up.

    `status` is like "5.1.1", or "" if none was given. `failed` are the addresses that a bounce says
    it could not reach, as they stand there; none if it does not say. Of a reply: `proposed` is the
    answer that it plainly gives to whoever knows nothing of its writer, "yes", "no" or "" for
    neither, `line` all that it says if that is one short line, `sender` the address in From, and
    `arrived` when the server that keeps the mailbox took it (aware UTC; None if it does not say).
    `digest` names the message, so that it counts once.
    """

    kind: Kind
    status: str = ""
    traces: Traces = Traces()
    failed: tuple[str, ...] = ()
    proposed: str = ""
    line: str = field(default="", repr=False)
    sender: str = ""
    arrived: datetime | None = None
    digest: str = ""


class Verdict(NamedTuple):
    """What a bounce says: its kind, its status, and whom it could not reach, if it says."""

    kind: Kind
    status: str = ""
    failed: tuple[str, ...] = ()


NONE = Reading(kind=Kind.NOTHING)
"""What is said by a message that cannot be read, or has nothing to do with bounces and replies."""


class Effect(StrEnum):
    """What taking a message did.

    `known` was taken before or tells nothing new, `noted` stands with the mail, `removed` took the
    contact off, `waiting` is a reply that the admin decides on. `none` is about no mail of ours,
    or is a mail program's answer, which changes nothing.
    """

    NONE = "none"
    KNOWN = "known"
    NOTED = "noted"
    REMOVED = "removed"
    WAITING = "waiting"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a message was and did; `list` is the slug of the mail's list, "" if it is none of ours.

    `paused` says that it made the campaign pause. `is_about_others` says that there is no such
    mailbox elsewhere, where our reader's mail was forwarded to; then it is noted as soft.
    """

    kind: Kind
    effect: Effect = Effect.NONE
    status: str = ""
    list: str = ""
    paused: bool = False
    is_about_others: bool = False
