"""Matching a message with the mail that it is about, by references with our signature."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from email.message import Message
from typing import TYPE_CHECKING

from repermit.bounces.bounce_results import MailReferences
from repermit.bounces.delivery_reports import find_feedback_senders
from repermit.bounces.message_parts import (
    RETURNED_HEADERS,
    RETURNED_MAIL,
    decode_text,
    iter_own_parts,
    list_subparts,
    parse_field_blocks,
    read_addresses,
    read_header,
    read_texts,
)
from repermit.bounces.nonstandard_bounces import read_sns_notification
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.mails import Mail
from repermit.emails import message_id
from repermit.emails.message_id import MailReference
from repermit.errors import LinkError

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import MailReferences


def find_mail(references: MailReferences, keys: Sequence[bytes]) -> Mail | None:
    """Return the mail of the first valid reference; None if there is none.

    - `keys`: all secret keys.
    - References with an invalid signature, or of a deleted mail, are skipped.
    - The recipient named in a report is not used: anybody can write it, and a forwarded mail fails
      at another address.
    """
    for reference in _read_references(references):
        mail: Mail | None = Mail.get_or_none(Mail.id == reference.mail_id)
        if mail is not None and message_id.is_reference_to(
            reference, owner=_find_owner(mail), message_id=mail.message_id, keys=keys
        ):
            return mail
    return None


def _find_owner(mail: Mail) -> str:
    """Return the uid of a mail's contact or sign-up, "" for a mail to the organisation."""
    query = (
        Contact.select(Contact.uid).where(Contact.id == mail.contact_id)
        if mail.sign_up_id is None
        else SignUp.select(SignUp.uid).where(SignUp.id == mail.sign_up_id)
    )
    return str(query.scalar() or "")


def _read_references(references: MailReferences) -> Iterator[MailReference]:
    for texts, read in (
        (references.return_paths, message_id.read_return_path),
        (references.message_ids, message_id.read_message_id),
    ):
        for text in texts:
            with suppress(LinkError):
                yield read(text)


# --- Finding the references in a message. ---------------------------------------------------------


# Enough for every format, and few enough for checking the signature of each.
_MAX_REFERENCES = 50

# A bounce is delivered to the return path of the mail that it is about.
_ENVELOPE = (
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Delivered-To",
    "To",
)
_ANSWERED = ("In-Reply-To", "References")


def find_bounce_references(message: Message) -> MailReferences:
    """Return the references of a report: its own recipients, then the returned mail's headers."""
    copies = list(_iter_returned_headers(message))
    paths = [address for name in _ENVELOPE for address in read_addresses(message, name)]
    paths += find_feedback_senders(message)
    notification = read_sns_notification(message)
    if notification:
        paths.append(notification.source)
    paths += [copy["return-path"].strip("<> ") for copy in copies if "return-path" in copy]
    ids = [reference for copy in copies for reference in _find_ids(copy.get("message-id", ""))]
    ids += _find_ids(notification.message_id) if notification else []
    return MailReferences(
        return_paths=tuple(paths[:_MAX_REFERENCES]),
        message_ids=tuple([*ids, *_list_answered_ids(message)][:_MAX_REFERENCES]),
    )


def find_reply_references(message: Message) -> MailReferences:
    """Return the Message-IDs that a reply refers to, the nearest first."""
    return MailReferences(message_ids=tuple(_list_answered_ids(message)[:_MAX_REFERENCES]))


def _list_answered_ids(message: Message) -> list[str]:
    return [
        reference
        for name in _ANSWERED
        for reference in reversed(_find_ids(read_header(message, name)))
    ]


def _find_ids(text: str) -> list[str]:
    return re.findall(r"<[^<>\s]+>", text)


def _iter_returned_headers(message: Message) -> Iterator[dict[str, str]]:
    """Yield the header fields of each mail that a report returns, by lower-case name."""
    for part in iter_own_parts(message):
        kind = part.get_content_type()
        if kind in RETURNED_MAIL | RETURNED_HEADERS:
            for child in list_subparts(part):
                yield {name.lower(): str(value) for name, value in child.items()}
        if kind in RETURNED_HEADERS:
            yield from parse_field_blocks(decode_text(part))
    # Old servers append the returned mail to their own text.
    for text in read_texts(message):
        yield from ({name.lower(): value} for name, value in _WRITTEN.findall(text))


_WRITTEN = re.compile(
    r"^[> ]{0,4}(Message-ID|Return-Path): *(\S{1,500})", re.IGNORECASE | re.MULTILINE
)
