"""Signatures of our own (DKIM), checked by a library that others check them with."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from repermit.emails.compose_mail import compose_mail
from repermit.emails.dkim_signature import Signer, make_signer
from repermit.emails.mail_types import OwnWording
from repermit.emails.mime_encoding import EncodedMail, encode_mail, unstuff_dots
from repermit.errors import ConfigError
from repermit.settings.definitions import MailServer
from tests.support.dkim_keys import is_signed, make_key
from tests.support.dns_server import NameServer
from tests.support.mail_builders import make_ask, make_ask_values
from tests.unit.emails.test_snapshots import KINDS, make_mail
from tests.unit.emails.test_wording_validation import GOOD_TEXT

SIGNER = Signer(make_key(), selector="mail2026")
# What changes what a reader sees, whom they answer, or where a press goes (RFC 6376 §8.15).
OVERSIGNED = [
    "from", "to", "cc", "subject", "date", "message-id", "reply-to", "list-unsubscribe",
    "list-unsubscribe-post", "mime-version", "content-type", "content-transfer-encoding",
]  # fmt: skip


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        running.text("mail2026._domainkey.example.org", SIGNER.dns_record)
        yield running


def signed(case: str = "ask-nl-sensitive") -> EncodedMail:
    return SIGNER.sign(encode_mail(make_mail(case)))


def as_read(letter: EncodedMail) -> bytes:
    """Return a letter as its reader's server has it, without the doubled dots."""
    return unstuff_dots(letter.wire)


def test_every_kind_of_mail_bears_a_signature_that_holds(server: NameServer) -> None:
    for kind in KINDS:
        for case in (f"{kind}-fr", f"{kind}-de-sensitive"):
            letter = signed(case)
            assert is_signed(as_read(letter), server), case
            assert letter.size == len(as_read(letter))


def test_the_signature_comes_first_and_names_every_header(server: NameServer) -> None:
    mail = as_read(signed())
    first, between, others = mail.partition(b"\r\nDate: ")
    assert between[2:] + others == as_read(encode_mail(make_mail("ask-nl-sensitive")))
    assert max(map(len, first.split(b"\r\n"))) <= 78
    tags = dict(re.findall(r"(\w+)=([^;]+)", re.sub(r"\s", "", first.decode())))
    assert first.startswith(b"DKIM-Signature: v=1;")
    assert (tags["a"], tags["c"]) == ("rsa-sha256", "relaxed/relaxed")
    assert (tags["d"], tags["s"]) == ("example.org", "mail2026")
    names = re.findall(r"^([\w-]+): ", head_of(between + others).decode().lower(), re.MULTILINE)
    oversigned = tags["h"].split(":")
    assert oversigned[: len(names)] == names
    assert oversigned[len(names) :] == OVERSIGNED
    assert {"list-unsubscribe", "list-unsubscribe-post", "feedback-id"} <= {*names}
    # It names no time, so that a second attempt at a mail is the same mail.
    assert "t" not in tags
    assert signed() == signed()
    assert is_signed(mail, server)


def head_of(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: ", b"Subject: Re: "),
        (b"\r\nTo: ", b"\r\nTo: x"),
        (b"List-Unsubscribe: <https://ask", b"List-Unsubscribe: <https://evil"),
        (b"List-Unsubscribe=One-Click", b"List-Unsubscribe=One-Click2"),
        (b"Message-ID: <", b"Message-ID: <x"),
        (b"multipart/alternative", b"multipart/mixed"),
        (b"Lindelaan", b"Lindeweg"),
    ],
)
def test_what_is_changed_on_the_way_breaks_it(
    before: bytes, after: bytes, server: NameServer
) -> None:
    mail = as_read(signed())
    assert before in mail
    assert not is_signed(mail.replace(before, after, 1), server)


@pytest.mark.parametrize("name", OVERSIGNED)
def test_a_header_that_is_added_on_the_way_breaks_it(name: str, server: NameServer) -> None:
    """Which of two is shown, or taken, nobody knows."""
    # A sign-up's receipt has no List-Unsubscribe that another could stand beside.
    for mail in (as_read(signed()), as_read(signed("join_confirmation-nl"))):
        line = f"{name.title()}: <https://evil.example/>\r\n".encode()
        assert not is_signed(line + mail, server)
        head, _, body = mail.partition(b"\r\n\r\n")
        assert not is_signed(head + b"\r\n" + line + b"\r\n" + body, server)


def test_what_relays_do_leaves_it_whole(server: NameServer) -> None:
    mail = as_read(signed())
    above = b"Received: from a by b; Tue, 01 Dec 2026 08:30:00 +0000\r\n"
    assert is_signed(above + mail + b"\r\n\r\n", server)
    folded = mail.replace(
        b"\r\nX-Auto-Response-Suppress: OOF,", b"\r\nX-Auto-Response-Suppress:  OOF,\r\n\t"
    )
    assert folded != mail
    assert is_signed(folded, server)


def test_dots_and_blanks_are_signed_as_they_are_read(server: NameServer) -> None:
    own = OwnWording(text=f"{GOOD_TEXT}\n.one\n..two\n   three    \t four \n.\n\n\n")
    letter = SIGNER.sign(encode_mail(compose_mail(make_ask(own=own), make_ask_values())))
    assert b"\r\n..." in letter.wire
    assert letter.size < len(letter.wire)
    assert is_signed(as_read(letter), server)


def test_an_address_outside_ascii_is_signed(server: NameServer) -> None:
    values = make_ask_values(address="zoë@example.com", name="Zoë")
    letter = SIGNER.sign(encode_mail(compose_mail(make_ask(), values)))
    assert "zoë@".encode() in letter.wire
    assert is_signed(as_read(letter), server)


def test_another_domain_may_sign(server: NameServer) -> None:
    signer = Signer(make_key(), selector="a.b", domain="mail.example.net")
    letter = signer.sign(encode_mail(make_mail("yes_receipt-en")))
    assert not is_signed(as_read(letter), server)
    server.text("a.b._domainkey.mail.example.net", signer.dns_record)
    assert is_signed(as_read(letter), server)
    assert signer.find_domain("example.org") == "mail.example.net"
    assert SIGNER.find_domain("example.org") == "example.org"


def test_without_a_key_nothing_signs() -> None:
    assert make_signer(MailServer(dkim_selector="mail2026")) is None
    server = MailServer(dkim_selector="mail2026", dkim_key=make_key(), dkim_domain="a.example")
    signer = make_signer(server)
    assert signer is not None
    assert (signer.selector, signer.find_domain("b.example")) == ("mail2026", "a.example")
    assert make_key() not in repr(server)


def unusable_keys() -> Iterator[str]:
    key = load_pem_private_key(make_key().encode(), None)
    secret = BestAvailableEncryption(b"mellon")
    yield key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret).decode()
    other = ed25519.Ed25519PrivateKey.generate()
    yield other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    yield make_key().replace("A", "B", 1)
    yield make_key(2047)
    yield make_key(1024)
    yield "-----BEGIN RSA PRIVATE KEY-----"
    yield "ä"


def test_a_key_that_cannot_sign_is_refused() -> None:
    for key in unusable_keys():
        with pytest.raises(ConfigError, match="no RSA key of 2048 bits or more") as refused:
            Signer(key, selector="mail2026")
        assert refused.value.key == "mail.dkim_key"
