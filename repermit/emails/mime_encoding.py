"""Encoding a mail for SMTP: folded headers, encoded bodies, CRLF line ends, doubled dots."""

from __future__ import annotations

import base64
import binascii
import re
from email.charset import Charset
from email.header import Header
from functools import reduce
from typing import Literal, NamedTuple

from repermit.emails.mail_types import Mail

# --- Header lines, written byte by byte. ----------------------------------------------------------


_MAX_LINE_LENGTH = 76
# Longer words are encoded, since encoded text can be folded anywhere (RFC 5322 §2.1.1).
_MAX_PLAIN_WORD_LENGTH = 60
_CONTROL = re.compile("[\x00-\x1f\x7f]")


def fold_header(name: str, *words: str) -> str:
    """Return one header with its CRLF, folded between words only, never inside one.

    The first word stays on the first line, however long it is: some programs read an empty first
    line as an empty header. Raises ValueError if a word has a control character.
    """
    if any(_CONTROL.search(word) for word in words):
        message = f"a control character in {name}"
        raise ValueError(message)
    return f"{start_header(name, words)}\r\n"


def start_header(name: str, words: tuple[str, ...]) -> str:
    """Return a header of checked words, without its CRLF."""
    header = f"{name}: {words[0]}"
    return reduce(append_word, words[1:], header) if len(words) > 1 else header


def append_word(header: str, word: str) -> str:
    """Return an unfinished header with one more word, folded before it if the line is full."""
    length = len(header) - header.rfind("\n") - 1
    fold = "" if length + 1 + len(word) <= _MAX_LINE_LENGTH else "\r\n"
    return f"{header}{fold} {word}"


def split_text(text: str) -> tuple[str, ...]:
    """Return a line of text as words for `fold_header`, encoded where it must be (RFC 2047)."""
    words = text.split(" ")
    is_plain = (
        text.isascii() and "=?" not in text and max(map(len, words)) <= _MAX_PLAIN_WORD_LENGTH
    )
    return tuple(words) if is_plain else _encode_words(text)


def split_mailbox(display_name: str, address: str) -> tuple[str, ...]:
    """Return "Name <address>" as words; the address alone if there is no name (RFC 5322 §3.4)."""
    return (*split_phrase(display_name), f"<{address}>") if display_name else (address,)


def split_phrase(phrase: str) -> tuple[str, ...]:
    """Return a display name as a quoted string, or encoded where that cannot carry it."""
    quoted = '"' + phrase.replace("\\", "\\\\").replace('"', '\\"') + '"'
    is_plain = phrase.isascii() and "=?" not in phrase and len(quoted) <= _MAX_PLAIN_WORD_LENGTH
    return (quoted,) if is_plain else _encode_words(phrase)


def _encode_words(text: str) -> tuple[str, ...]:
    word = _UTF8.header_encode(text)
    # For a text that fits on the first line, Header has the same result, one character at a time.
    if len(word) <= _FIRST_LINE and text.splitlines() == [text]:
        return (word,)
    header = Header(
        text, "utf-8", maxlinelen=_MAX_LINE_LENGTH - 2, header_name=_LONGEST_HEADER_NAME
    )
    return tuple(header.encode().split())


_UTF8 = Charset("utf-8")
# The longest name of the headers that carry text.
_LONGEST_HEADER_NAME = "Reply-To"
_FIRST_LINE = _MAX_LINE_LENGTH - 2 - len(f"{_LONGEST_HEADER_NAME}: ")


# --- The encoded mail. ----------------------------------------------------------------------------


class EncodedMail(NamedTuple):
    """A mail encoded for SMTP.

    - `wire`: the bytes after DATA, without the final dot. Lines end in CRLF, and a dot that begins
      a line is doubled (RFC 5321 §4.5.2).
    - `size`: octets before that doubling (RFC 1870 §3).
    """

    envelope_from: str
    envelope_to: str
    wire: bytes
    size: int
    message_id: str
    needs_smtputf8: bool


def encode_mail(mail: Mail) -> EncodedMail:
    """Encode a single composed mail for SMTP."""
    lines = to_crlf(mail.raw)
    return EncodedMail(
        envelope_from=mail.envelope_from,
        envelope_to=mail.envelope_to,
        wire=stuff_dots(lines),
        size=len(lines),
        message_id=mail.message_id,
        needs_smtputf8=mail.needs_smtputf8,
    )


def to_crlf(raw: bytes) -> bytes:
    """Convert all line ends to CRLF, and end the last line with one.

    A bare CR or LF before a dot could end the mail early for some servers ("SMTP smuggling").
    """
    return _LINE_ENDS.sub(b"\r\n", raw.rstrip(b"\r\n") + b"\r\n")


def stuff_dots(lines: bytes) -> bytes:
    """Double each dot that begins a line."""
    return _LEADING_DOT.sub(b"..", lines) if b"." in lines else lines


def unstuff_dots(lines: bytes) -> bytes:
    """Undo `stuff_dots` for lines that end in CRLF."""
    # Takes a sixth of the time of the pattern below.
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n")[2:]


_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


Encoding = Literal["quoted-printable", "base64"]


def choose_encoding(body: str) -> Encoding:
    """Return the encoding of a text: base64 if it is mostly in another script than Latin.

    Quoted-printable takes six octets for such a character, but leaves Latin text readable.
    """
    octet_count = len(body.encode())
    non_ascii_count = octet_count - len(body.encode("ascii", "ignore"))
    return "base64" if 3 * non_ascii_count > octet_count else "quoted-printable"


def encode_body(body: str, encoding: Encoding) -> bytes:
    """Return a body with LF in an encoding, with CRLF (RFC 2045 §6.7 and §6.8)."""
    if encoding == "base64":
        return base64.encodebytes(to_octets(body)).replace(b"\n", b"\r\n")
    return quote_printable(body)


def quote_printable(lines: str) -> bytes:
    """Return lines of a body with LF as quoted-printable with CRLF (RFC 2045 §6.7).

    Each line is encoded by itself, so a body may be encoded in parts that start at a line.
    """
    return quote_octets(to_octets(f"\n{lines}"))


def to_octets(text: str) -> bytes:
    """Return a part of a body in octets, with CRLF for LF.

    A CR is removed: some mail programs would take it for a line end.
    """
    return text.replace("\r", "").replace("\n", "\r\n").encode()


def quote_octets(octets: bytes) -> bytes:
    """Encode octets behind a first CRLF as quoted-printable.

    Python takes the line end of its soft breaks from the first line end that it finds.
    """
    return binascii.b2a_qp(octets, istext=True)[2:]
