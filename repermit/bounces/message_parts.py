"""Parsing a message, its headers and texts from bytes, however malformed they are.

The email package's older policy is used on purpose: it reads messages on which the newer one raises
errors.
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
from typing import cast

from repermit.unicode_limits import replace_surrogates

MAX_SIZE = 1_000_000
"""How many octets of a message are read; bounces and replies are far smaller."""

_MAX_PARTS = 100

# The package's time to decode a header grows with the square of its length.
_MAX_HEADER_LENGTH = 8000


def parse(raw: bytes) -> Message:
    """Parse a message, cut off after MAX_SIZE octets."""
    return email.message_from_bytes(raw[:MAX_SIZE])


def read_header(message: Message, name: str) -> str:
    """Return a header's text on one line, decoded (RFC 2047); "" if there is none."""
    return next(iter(read_headers(message, name)), "")


def read_headers(message: Message, name: str) -> list[str]:
    """Return the decoded texts of all headers of this name, from the top."""
    return [_decode_header(value) for value in _list_values(message, name)]


def _list_values(message: Message, name: str) -> list[str]:
    """Return all headers of this name, from the top, with encoded words as they are.

    Bytes without an encoding are UTF-8 (RFC 6532 §3.2), or Latin-1 if they are not valid UTF-8. The
    package itself replaces them.
    """
    values = (str(value) for key, value in message.raw_items() if key.lower() == name.lower())
    return [_decode_raw_bytes(value[:_MAX_HEADER_LENGTH]) for value in values]


def _decode_raw_bytes(text: str) -> str:
    # The package stores non-ASCII bytes as surrogates.
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _decode_header(text: str) -> str:
    with contextlib.suppress(HeaderParseError, LookupError, ValueError):
        text = _ENCODED_WORDS.sub(lambda words: str(make_header(decode_header(words[0]))), text)
    # Some charsets, such as UTF-7, decode to lone surrogates.
    return " ".join(replace_surrogates(text).split())


# Beside raw bytes, the package decodes no encoded words.
_WORD = r"=\?[^?]*\?[qb]\?.*?\?="
_ENCODED_WORDS = re.compile(rf"{_WORD}(?:\s*{_WORD})*", re.IGNORECASE)


def read_addresses(message: Message, name: str) -> list[str]:
    """Return the bare addresses in all headers of this name."""
    values = "\n".join(_list_values(message, name))[:_MAX_HEADER_LENGTH].split("\n")
    return [address for _, address in getaddresses(values) if address]


def parse_date(text: str) -> datetime | None:
    """Parse a date of RFC 5322 §3.3; None if it is invalid or has no time zone."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return date if date.tzinfo else None


def iter_own_parts(message: Message) -> Iterator[Message]:
    """Yield the parts of a message, without those of messages attached to it."""
    waiting = [message]
    for _ in range(_MAX_PARTS):
        if not waiting:
            return
        part = waiting.pop()
        yield part
        if part.get_content_maintype() == "multipart":
            waiting.extend(reversed(list_subparts(part)))


def list_subparts(part: Message) -> list[Message]:
    """Return the parts of a multipart, or the message in a message/…; [] for a text."""
    return cast("list[Message]", part.get_payload()) if part.is_multipart() else []


RETURNED_MAIL = frozenset({"message/rfc822", "message/global"})
RETURNED_HEADERS = frozenset(
    {"text/rfc822-headers", "message/rfc822-headers", "message/global-headers"}
)
"""The content types of a mail that is attached to a message, whole or by its headers."""


def returns_mail(message: Message) -> bool:
    """Return whether another mail, or its headers, is attached to a message."""
    return any(
        part.get_content_type() in RETURNED_MAIL | RETURNED_HEADERS
        for part in iter_own_parts(message)
    )


def decode_text(part: Message) -> str:
    """Return the decoded text of a part, with LF line ends; "" if it has no body."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    return _normalize_line_ends(_decode_charset(payload, part.get_content_charset() or "utf-8"))


def _decode_charset(payload: bytes, charset: str) -> str:
    try:
        return replace_surrogates(payload.decode(charset, "replace"))
    except (LookupError, ValueError):
        return payload.decode("latin-1")


def _normalize_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_texts(message: Message, subtype: str = "plain") -> list[str]:
    """Return the message's own texts of this subtype, without attachments."""
    return [
        decode_text(part)
        for part in iter_own_parts(message)
        if part.get_content_type() == f"text/{subtype}"
        and part.get_content_disposition() != "attachment"
    ]


def read_unsplit_text(message: Message) -> str:
    """Return the bodies of multiparts that could not be split into parts, "" if there are none."""
    bodies = (
        part.get_payload()
        for part in iter_own_parts(message)
        if part.get_content_maintype() == "multipart"
    )
    texts = (_normalize_line_ends(body) for body in bodies if isinstance(body, str))
    return replace_surrogates("\n\n".join(texts))


def read_report_fields(part: Message) -> list[dict[str, str]]:
    """Return the blocks of a message/delivery-status or …/feedback-report, by lower-case name.

    They are separated by empty lines (RFC 3464 §2.1). The email package does so only for
    message/delivery-status, and parses message/global-delivery-status (RFC 6533) as a message.
    """
    inner = "\n\n".join(_get_source(child) for child in list_subparts(part))
    return parse_field_blocks(
        _decode_transfer_encoding(inner, read_header(part, "Content-Transfer-Encoding").lower())
    )


def parse_field_blocks(text: str) -> list[dict[str, str]]:
    """Return the blocks of header fields in a text, by lower-case name."""
    blocks = (
        _parse_block(block_text)
        for block_text in re.split(r"\n[ \t]*(?:\n[ \t]*)+", _normalize_line_ends(text))
    )
    return [block for block in blocks if block]


def _get_source(message: Message) -> str:
    """Return a message's original text with its headers.

    The package's own serialisation loses UTF-8 in headers and in texts of unknown type.
    """
    raw = message.get_payload(decode=True)
    body = (
        raw.decode("ascii", "surrogateescape")
        if isinstance(raw, bytes)
        else "\n\n".join(map(_get_source, list_subparts(message)))
    )
    return "\n".join((*(f"{name}: {value}" for name, value in message.raw_items()), "", body))


def _decode_transfer_encoding(text: str, encoding: str) -> str:
    """Undo a transfer encoding that the package left, since it parsed the report as a message."""
    # The package stores non-ASCII bytes as surrogates.
    raw = text.encode("utf-8", "surrogateescape")
    try:
        if encoding == "base64":
            raw = binascii.a2b_base64(raw)
        elif encoding == "quoted-printable":
            raw = quopri.decodestring(raw)
    except binascii.Error:
        pass
    return _normalize_line_ends(raw.decode("utf-8", "replace"))


def _parse_block(text: str) -> dict[str, str]:
    """Return the fields of one block, unfolded; the first field of a name counts."""
    fields: dict[str, str] = {}
    for line in re.sub(r"\n[ \t]+", " ", text).split("\n"):
        name, colon, value = line.partition(":")
        if colon and re.fullmatch(r"[!-9;-~]+", name.strip()):
            fields.setdefault(name.strip().lower(), value.strip())
    return fields
