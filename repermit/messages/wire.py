"""A mail as it leaves: quoted-printable bodies, CRLF line ends, doubled dots.

May import nothing of repermit but its neighbour `values`.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from repermit.messages.values import Mail


class Letter(NamedTuple):
    """A mail ready for the server.

    `wire` is what follows DATA, without the final dot: lines end in CRLF, and a dot that begins a
    line is doubled (RFC 5321 §4.5.2). `size` is in octets before that doubling (RFC 1870 §3).
    """

    envelope_from: str
    envelope_to: str
    wire: bytes
    size: int
    message_id: str
    needs_smtputf8: bool


def letter_of(mail: Mail) -> Letter:
    """Return a mail that was composed by itself as it leaves."""
    lines = with_crlf(mail.raw)
    return Letter(
        envelope_from=mail.envelope_from,
        envelope_to=mail.envelope_to,
        wire=stuffed(lines),
        size=len(lines),
        message_id=mail.message_id,
        needs_smtputf8=mail.needs_smtputf8,
    )


def with_crlf(raw: bytes) -> bytes:
    """Return a mail whose every line, the last too, ends in CRLF, however it ended before.

    A bare CR or LF before a dot could end the mail early for some servers ("SMTP smuggling").
    """
    return _LINE_ENDS.sub(b"\r\n", raw.rstrip(b"\r\n") + b"\r\n")


def stuffed(lines: bytes) -> bytes:
    """Return lines with the dots doubled that begin one."""
    return _LEADING_DOT.sub(b"..", lines) if b"." in lines else lines


def unstuffed(lines: bytes) -> bytes:
    """Return lines that end in CRLF as they were before `stuffed`."""
    # A sixth of what the pattern above takes.
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n")[2:]


_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)


def quoted(lines: str) -> bytes:
    """Return lines of a body with LF as quoted-printable with CRLF (RFC 2045 §6.7).

    Lines are encoded each for itself, so a body may be given in parts that begin with a line.
    """
    return quoted_octets(octets_of(f"\n{lines}"))


def octets_of(text: str) -> bytes:
    """Return a part of a body in octets, with CRLF for LF.

    A CR would be no line end here and one to some readers; it is left out.
    """
    return text.replace("\r", "").replace("\n", "\r\n").encode()


def quoted_octets(octets: bytes) -> bytes:
    """Return what follows a first CRLF as quoted-printable.

    Python takes the line end of its soft breaks from the first line end that it meets.
    """
    return binascii.b2a_qp(octets, istext=True)[2:]
