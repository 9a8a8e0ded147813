"""Matching a message with the mail it is about, by marks that only we can have made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from typing import TYPE_CHECKING

from repermit.bounces.bounce_results import MailReferences
from repermit.bounces.delivery_reports import find_feedback_senders
from repermit.bounces.message_parts import (
    decode_text,
    iter_own_parts,
    list_subparts,
    parse_field_blocks,
    read_addresses,
    read_header,
    read_texts,
)
from repermit.bounces.nonstandard_bounces import read_sns_notification
from repermit.db.models.mails import Mail
from repermit.emails import message_id
from repermit.errors import LinkError

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import MailReferences


def find_mail(traces: MailReferences, keys: Sequence[bytes]) -> Mail | None:
    """Return the mail that the first good mark names, or None.

    `keys` are all secret keys. A mark whose signature does not hold is passed over, and so is one
    of a mail that is gone. Whom a report calls its recipient is not looked at: anybody can write
    that, and a forwarded mail fails elsewhere than we sent it.
    """
    for number in _find_mail_ids(traces, keys):
        found: Mail | None = Mail.get_or_none(Mail.id == number)
        if found is not None:
            return found
    return None


def _find_mail_ids(traces: MailReferences, keys: Sequence[bytes]) -> Iterator[int]:
    yield from _read_signed(traces.return_paths, message_id.read_return_path, keys)
    yield from _read_signed(traces.message_ids, message_id.read_message_id, keys)


def _read_signed(
    marks: Sequence[str], read: Callable[[str, Sequence[bytes]], int], keys: Sequence[bytes]
) -> Iterator[int]:
    for mark in marks:
        try:
            yield read(mark, keys)
        except LinkError:
            continue


# --- The marks in a message by which it is matched with a mail of ours. ---------------------------


# Enough for every format, and few enough for checking the signature of each.
_MOST = 50

# Who a server delivers to is the return path of the mail that came back.
_ENVELOPE = (
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Delivered-To",
    "To",
)
_ANSWERED = ("In-Reply-To", "References")
_COPIES = ("text/rfc822-headers", "message/rfc822-headers", "message/global-headers")


def find_bounce_references(message: Message) -> MailReferences:
    """Return the marks of a report: whom it was sent to, then what it says came back."""
    copies = list(_copies(message))
    paths = [address for name in _ENVELOPE for address in read_addresses(message, name)]
    paths += find_feedback_senders(message)
    notification = read_sns_notification(message)
    if notification:
        paths.append(notification.source)
    paths += [copy["return-path"].strip("<> ") for copy in copies if "return-path" in copy]
    ids = [one for copy in copies for one in _ids(copy.get("message-id", ""))]
    ids += _ids(notification.message_id) if notification else []
    return MailReferences(
        return_paths=tuple(paths[:_MOST]), message_ids=tuple([*ids, *_answered(message)][:_MOST])
    )


def find_reply_references(message: Message) -> MailReferences:
    """Return the marks of an answer: what it says that it answers, the nearest first."""
    return MailReferences(message_ids=tuple(_answered(message)[:_MOST]))


def _answered(message: Message) -> list[str]:
    return [one for name in _ANSWERED for one in reversed(_ids(read_header(message, name)))]


def _ids(text: str) -> list[str]:
    return re.findall(r"<[^<>\s]+>", text)


def _copies(message: Message) -> Iterator[dict[str, str]]:
    """Yield the header fields of each mail that a report returns, by lower-case name."""
    for part in iter_own_parts(message):
        kind = part.get_content_type()
        if kind in {"message/rfc822", "message/global", *_COPIES}:
            for child in list_subparts(part):
                yield {name.lower(): str(value) for name, value in child.items()}
        if kind in _COPIES:
            yield from parse_field_blocks(decode_text(part))
    # Servers of the old kind write the copy below their own words.
    for text in read_texts(message):
        yield from ({name.lower(): value} for name, value in _WRITTEN.findall(text))


_WRITTEN = re.compile(
    r"^[> ]{0,4}(Message-ID|Return-Path): *(\S{1,500})", re.IGNORECASE | re.MULTILINE
)
