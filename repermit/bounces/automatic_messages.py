"""Detecting messages sent by a program: a mail server's bounce, or an automatic reply.

The words are data: `repermit/data/automatic_messages.toml`.
"""

from __future__ import annotations

import re
from email.message import Message

from repermit.bounces.hard_or_soft_bounce import is_returned_envelope
from repermit.bounces.message_parts import (
    read_addresses,
    read_header,
    read_headers,
    read_texts,
    read_unsplit_text,
    returns_mail,
)
from repermit.bounces.reply_text import detect_plain_answer
from repermit.expressions import Expressions

_EXPRESSIONS = Expressions("automatic_messages.toml", "senders", "subjects")


def is_from_mail_server(message: Message) -> bool:
    """Return whether a mail server itself sent this message.

    The From address is a server's name, and the envelope sender, if known, is empty (RFC 5321
    §4.5.5). A person may write as postmaster, and vacation programs use an empty envelope sender
    too (RFC 3834 §3.3): then the subject or the text must be a bounce's as well. Behind another
    envelope sender, a server's name counts if the subject is a bounce's or a mail is attached.
    """
    paths = read_headers(message, "Return-Path")[:1]
    names = [_local_part(address) for address in read_addresses(message, "From")]
    is_returned = has_bounce_subject(message)
    is_null = any(map(_is_null_sender, paths))
    is_postmaster = any(_is_address_of("postmaster", _local_part(path)) for path in paths)
    if any(_is_address_of("server", name) for name in names):
        is_servers = any(_is_address_of("server", _local_part(path)) for path in paths)
        # A forwarding mailbox may put its own address into the envelope.
        return (
            is_null
            or is_servers
            or is_postmaster
            or not paths
            or is_returned
            or returns_mail(message)
        )
    if not names or any(_is_address_of("postmaster", name) for name in names):
        is_plausible = is_postmaster or not paths
        return is_null or (is_plausible and (is_returned or _returns_an_envelope(message)))
    return is_null and is_returned


def _returns_an_envelope(message: Message) -> bool:
    text = "\n".join(read_texts(message)) or read_unsplit_text(message)
    return is_returned_envelope(text, to=read_addresses(message, "To"))


def _is_null_sender(path: str) -> bool:
    """Return whether a return path is empty (RFC 5321 §4.5.5).

    Postfix and others write MAILER-DAEMON for "<>" when they pipe a mail to a program.
    """
    return _is_address_of("nobody", _local_part(path))


def _local_part(address: str) -> str:
    bare_address = address.strip("<> ").lower()
    return bare_address.rpartition("@")[0] if "@" in bare_address else bare_address


def _is_address_of(sender: str, local_part: str) -> bool:
    return bool(_EXPRESSIONS.compile(sender).fullmatch(local_part))


def has_bounce_subject(message: Message) -> bool:
    """Return whether a message's subject begins as that of a bounce."""
    return _begins_as("undelivered", read_header(message, "Subject"))


def _begins_as(kind: str, subject: str) -> bool:
    return bool(_EXPRESSIONS.compile(kind, re.IGNORECASE).match(subject))


def is_automatic(message: Message) -> bool:
    """Return whether a message is an automatic reply (RFC 3834 §5, and older conventions)."""
    submitted = read_header(message, "Auto-Submitted").lower()
    if submitted and not submitted.startswith("no"):
        return True
    headers = _EXPRESSIONS.data["headers"]
    if any(name in message for name in headers["names"]):
        return True
    if read_header(message, "Precedence").lower() in headers["precedence"]:
        return True
    if any(map(_is_null_sender, read_headers(message, "Return-Path")[:1])):
        return True
    subject = read_header(message, "Subject")
    if _begins_as("automatic", subject):
        return True
    # A message with only Yes or No is no program's, whatever its subject.
    return _begins_as("away", subject) and not detect_plain_answer(message)
