"""The results of reading and recording a message from the bounce mailbox.

They hold codes and references that match a message with a mail, but none of its text except a
reply's short line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class MessageKind(StrEnum):
    """The kind of a message.

    - `hard`: only "no such mailbox or domain"; all other failures and delays are `soft`.
    - `reply`: written by a person; `auto_reply`: sent by a mail program.
    """

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto_reply"
    REPLY = "reply"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class MailReferences:
    """The references that may match a message with one of our mails, if their signature holds.

    - `return_paths` and `message_ids`: the likeliest first.
    """

    return_paths: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ParsedMessage:
    """The content of a message, before anything is looked up in the database.

    - `status`: like "5.1.1", "" if none was given.
    - `failed`: the addresses that a bounce could not reach, as it writes them.

    Of a reply:

    - `proposed`: the plain answer in Dutch, English, German or French: "yes", "no" or "".
    - `asks_to_stop`: whether any of its lines asks to get no more mail.
    - `line`: the whole text, if that is one short line.
    - `sender`: the address in From.
    - `arrived`: when the mailbox's server received it, aware UTC; None if it does not say.
    - `digest`: identifies the message, so that it counts once.
    """

    kind: MessageKind
    status: str = ""
    references: MailReferences = MailReferences()
    failed: tuple[str, ...] = ()
    proposed: str = ""
    asks_to_stop: bool = False
    line: str = field(default="", repr=False)
    sender: str = ""
    arrived: datetime | None = None
    digest: str = ""


class BounceVerdict(NamedTuple):
    """The content of a bounce: its kind, its status, and the failed addresses if it names any."""

    kind: MessageKind
    status: str = ""
    failed: tuple[str, ...] = ()


NOTHING = ParsedMessage(kind=MessageKind.NOTHING)
"""A message that cannot be read, or is neither a bounce nor a reply."""


class Effect(StrEnum):
    """The effect of recording a message.

    - `none`: it is about none of our mails, or is an automatic reply, which changes nothing.
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
    """The kind of a recorded message and its effect.

    - `list`: the slug of its mail's list, "" if it is about none of our mails.
    - `paused`: whether it made the campaign pause.
    - `is_about_others`: whether it is about an address to which the contact's mail is forwarded;
      it is then recorded as soft.
    """

    kind: MessageKind
    effect: Effect = Effect.NONE
    status: str = ""
    list: str = ""
    paused: bool = False
    is_about_others: bool = False
