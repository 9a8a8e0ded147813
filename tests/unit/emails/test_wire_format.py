"""A mail as it leaves: no line that could end it early, and bodies that read back whole."""

from __future__ import annotations

import binascii
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.emails.compose_mail import compose_mail
from repermit.emails.mime_encoding import (
    encode_mail,
    quote_printable,
    stuff_dots,
    to_crlf,
    unstuff_dots,
)
from tests.support.mail_builders import make_ask, make_ask_values, make_confirm, make_confirm_values

bodies = st.lists(
    st.sampled_from(["a", "b" * 70, " ", "\t", ".", "=", "é", "…", "\n", "\n\n"]) | st.text(),
    max_size=12,
).map(lambda pieces: "".join(pieces).replace("\r", ""))


@pytest.mark.parametrize(
    ("raw", "wire"),
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n"),
        (b"a\nb\rc\r\r\nd", b"a\r\nb\r\nc\r\n\r\nd\r\n"),
        (b"a\r\n\r\n\n", b"a\r\n"),
        (b".\r\n..\r\na.b\r\n", b"..\r\n...\r\na.b\r\n"),
        (b"a\n.\r\nb\r.\nc", b"a\r\n..\r\nb\r\n..\r\nc\r\n"),
        (b"", b"\r\n"),
    ],
)
def test_line_ends_are_crlf_and_leading_dots_are_doubled(raw: bytes, wire: bytes) -> None:
    assert stuff_dots(to_crlf(raw)) == wire


@given(raw=st.binary() | st.lists(st.sampled_from([b".", b"\r", b"\n", b"a"])).map(b"".join))
def test_nothing_in_a_mail_can_end_it(raw: bytes) -> None:
    wire = stuff_dots(to_crlf(raw))
    assert unstuff_dots(wire) == to_crlf(raw)
    assert wire.endswith(b"\r\n")
    lines = wire.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert not any(line.startswith(b".") and not line.startswith(b"..") for line in lines)


def test_a_composed_mail_keeps_its_envelope_and_is_measured_before_its_dots_are_doubled() -> None:
    mail = compose_mail(make_confirm(), make_confirm_values())
    letter = encode_mail(mail)
    assert letter.envelope_from == mail.envelope_from
    assert letter.envelope_to == mail.envelope_to
    assert letter.message_id == mail.message_id
    assert letter.wire == stuff_dots(to_crlf(mail.raw))
    assert letter.size == len(mail.raw)
    assert letter.needs_smtputf8 is False
    foreign = compose_mail(make_ask(), make_ask_values(address="zoë@example.org"))
    assert encode_mail(foreign).needs_smtputf8


@given(body=bodies)
def test_a_body_reads_back_whole(body: str) -> None:
    decoded = quopri.decodestring(quote_printable(body))
    assert decoded == body.replace("\n", "\r\n").encode()


@given(body=bodies)
def test_a_body_is_encoded_as_the_standard_library_does(body: str) -> None:
    # A body of several lines, from the first of which Python takes the line end.
    octets = f"\n{body}".replace("\n", "\r\n").encode()
    assert b"\r\n" + quote_printable(body) == binascii.b2a_qp(octets, istext=True)
    assert all(len(line) <= 76 for line in quote_printable(body).split(b"\r\n"))


@given(lines=st.lists(bodies))
def test_a_body_may_be_encoded_line_by_line(lines: list[str]) -> None:
    parts = [f"{line}\n" for line in lines]
    assert b"".join(map(quote_printable, parts)) == quote_printable("".join(parts))


def test_a_lone_cr_is_left_out() -> None:
    assert quote_printable("a\rb\r\n.\r") == b"ab\r\n=2E"
