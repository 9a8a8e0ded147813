"""Parsing bytes to a message, its headers and texts, whatever they contain.

The email package's older policy is used on purpose: it reads what the newer one raises errors
about.
"""

from __future__ import annotations

import binascii
import contextlib
import email
import quopri
import re
from collections.abc import Iterator
from datetime import datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, cast

MAX_SIZE = 1_000_000
"""How much of a message is read, in octets; what bounces, replies and we write is far smaller."""

_MOST_PARTS = 100

# What the package decodes takes a time that grows with the square of the length.
_LONGEST_HEADER = 8000


def parse(raw: bytes) -> Message:
    """Return a message, cut off after LONGEST."""
    return email.message_from_bytes(raw[:MAX_SIZE])


def read_header(message: Message, name: str) -> str:
    """Return a header's text on one line, decoded (RFC 2047); "" if there is none."""
    return _decoded(message.get(name, ""))


def read_headers(message: Message, name: str) -> list[str]:
    """Return the texts of all headers of this name, from the top."""
    return [_decoded(value) for value in message.get_all(name, [])]


def _decoded(value: Any) -> str:
    text = str(value)[:_LONGEST_HEADER]
    with contextlib.suppress(HeaderParseError, LookupError, ValueError):
        text = str(make_header(decode_header(text)))
    return " ".join(text.split())


def read_addresses(message: Message, name: str) -> list[str]:
    """Return the bare addresses in all headers of this name."""
    values = "\n".join(map(str, message.get_all(name, [])))[:_LONGEST_HEADER].split("\n")
    return [address for _, address in getaddresses(values) if address]


def parse_date(text: str) -> datetime | None:
    """Return a date of RFC 5322 §3.3; None if it is none, or does not say its zone."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else None


def iter_own_parts(message: Message) -> Iterator[Message]:
    """Yield the parts of a message itself, and none of a message that is attached to it."""
    waiting = [message]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        yield part
        if part.get_content_maintype() == "multipart":
            waiting.extend(reversed(list_subparts(part)))


def list_subparts(part: Message) -> list[Message]:
    """Return the parts of a multipart, or the message in a message/…; [] for a text."""
    return cast("list[Message]", part.get_payload()) if part.is_multipart() else []


def decode_text(part: Message) -> str:
    """Return the text of a part that has one, its lines ended by a line feed each."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return _lines(_in_charset(payload, part.get_content_charset() or "utf-8"))


def _in_charset(payload: bytes, charset: str) -> str:
    try:
        return payload.decode(charset, "replace")
    except (LookupError, ValueError):
        return payload.decode("latin-1")


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_texts(message: Message, subtype: str = "plain") -> list[str]:
    """Return the texts of this subtype that are the message's own, attached files left out."""
    return [
        decode_text(part)
        for part in iter_own_parts(message)
        if part.get_content_type() == f"text/{subtype}"
        and part.get_content_disposition() != "attachment"
    ]


def text_without_parts(message: Message) -> str:
    """Return the bodies of multiparts whose parts cannot be told from each other, "" otherwise."""
    bodies = (
        part.get_payload()
        for part in iter_own_parts(message)
        if part.get_content_maintype() == "multipart"
    )
    return "\n\n".join(_lines(body) for body in bodies if isinstance(body, str))


def read_report_fields(part: Message) -> list[dict[str, str]]:
    """Return the blocks of a message/delivery-status or …/feedback-report, by lower-case name.

    RFC 3464 §2.1 divides them by empty lines. The package knows that of message/delivery-status
    alone, and takes message/global-delivery-status (RFC 6533) for a message.
    """
    inner = "\n\n".join(_source(child) for child in list_subparts(part))
    return parse_field_blocks(
        _transfer_decoded(inner, read_header(part, "Content-Transfer-Encoding").lower())
    )


def parse_field_blocks(text: str) -> list[dict[str, str]]:
    """Return the blocks of header fields in a text, by lower-case name."""
    blocks = (_block(one) for one in re.split(r"\n[ \t]*(?:\n[ \t]*)+", _lines(text)))
    return [block for block in blocks if block]


def _source(message: Message) -> str:
    """Return a message's text as it came, its headers included.

    What the package otherwise makes of UTF-8 in a header or a text of unknown kind loses it.
    """
    raw = message.get_payload(decode=True)
    body = (
        raw.decode("ascii", "surrogateescape")
        if isinstance(raw, bytes)
        else "\n\n".join(map(_source, list_subparts(message)))
    )
    return "\n".join((*(f"{name}: {value}" for name, value in message.raw_items()), "", body))


def _transfer_decoded(text: str, encoding: str) -> str:
    """Undo an encoding that the package left, since it took an encoded report for a message."""
    # The package keeps what is not ASCII in this way.
    raw = text.encode("utf-8", "surrogateescape")
    try:
        if encoding == "base64":
            raw = binascii.a2b_base64(raw)
        elif encoding == "quoted-printable":
            raw = quopri.decodestring(raw)
    except binascii.Error:
        return text
    return _lines(raw.decode("utf-8", "replace"))


def _block(text: str) -> dict[str, str]:
    """Return the fields of one block, unfolded; the first of a name counts."""
    found: dict[str, str] = {}
    for line in re.sub(r"\n[ \t]+", " ", text).split("\n"):
        name, colon, value = line.partition(":")
        if colon and re.fullmatch(r"[!-9;-~]+", name.strip()):
            found.setdefault(name.strip().lower(), value.strip())
    return found
