"""What a message says, and what recording it did, as plain values.

They hold nothing of the message's text but codes, and marks that match it with a mail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MessageKind(StrEnum):
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
class MailReferences:
    """The marks that may match a message with a mail of ours; none is believed unsigned.

    - `return_paths` and `message_ids`: the likeliest first.
    """

    return_paths: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ParsedMessage:
    """What a message says by itself, before anything is looked up.

    - `status`: like "5.1.1", "" if none was given.
    - `failed`: the addresses that a bounce could not reach, as it writes them.

    Of a reply:

    - `proposed`: the answer that it plainly gives in the commonest languages, "yes", "no" or "".
    - `asks_to_stop`: whether its words ask to be mailed no more, however they say so.
    - `line`: all that it says, if that is one short line.
    - `sender`: the address in From.
    - `arrived`: when the mailbox's server received it, aware UTC; None if it does not say.
    - `digest`: names the message, so that it counts once.
    """

    kind: MessageKind
    status: str = ""
    traces: MailReferences = MailReferences()
    failed: tuple[str, ...] = ()
    proposed: str = ""
    asks_to_stop: bool = False
    line: str = field(default="", repr=False)
    sender: str = ""
    arrived: datetime | None = None
    digest: str = ""


class BounceVerdict(NamedTuple):
    """What a bounce says: its kind, its status, and whom it could not reach, if it says."""

    kind: MessageKind
    status: str = ""
    failed: tuple[str, ...] = ()


NOTHING = ParsedMessage(kind=MessageKind.NOTHING)
"""Any message that cannot be read, or is no bounce and no reply."""


class Effect(StrEnum):
    """What recording a message did.

    - `none`: it is about no mail of ours, or is a mail program's answer, which changes nothing.
    - `known`: it was recorded before, or says nothing new.
    - `noted`: it was recorded on its mail.
    - `removed`: its contact was removed.
    - `waiting`: it is a reply that the admin decides on.
    """

    NONE = "none"
    KNOWN = "known"
    NOTED = "noted"
    REMOVED = "removed"
    WAITING = "waiting"


@dataclass(frozen=True, kw_only=True)
class BounceResult:
    """What a message was and did.

    - `list`: the slug of its mail's list, "" if it is about no mail of ours.
    - `paused`: whether it made the campaign pause.
    - `is_about_others`: whether it is about an address that our reader's mail is forwarded to; it
      is then noted as soft.
    """

    kind: MessageKind
    effect: Effect = Effect.NONE
    status: str = ""
    list: str = ""
    paused: bool = False
    is_about_others: bool = False
