"""Signatures of mails that were received (DKIM), made by others than what signs here."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from repermit.checks.verify_dkim_signature import (
    Outcome,
    parse_tags,
    read_public_key,
    read_signature,
    split_mail,
    verify_signature,
)
from repermit.emails.dkim_signature import Signer
from repermit.emails.mime_encoding import EncodedMail, encode_mail, unstuff_dots
from tests.support.dkim_keys import make_key
from tests.unit.emails.test_snapshots import make_mail

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
RECORD = Signer(make_key(), selector="mail2026").dns_record

# RFC 8463, appendix A: the same mail, signed with a key of either kind.
EXAMPLE = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
"""
_RSA = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J1"
    "6JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2"
    "EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
EXAMPLE_RECORDS = (
    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    f"v=DKIM1; k=rsa; p={_RSA}",
)

PLAIN = b"""\
Received: from a by b; Tue, 01 Dec 2026 08:30:00 +0000
From:  Praktijk   <nieuws@example.org>
To: jan@example.com
Subject: Would you like\r
\tto stay?
Date: Tue, 01 Dec 2026 08:30:00 +0000

Good  morning,\t
\x20
we ask  you once.


""".replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def outcome(raw: bytes, record: str = RECORD, *, number: int = 0) -> Outcome:
    mail = split_mail(raw)
    field = mail.find_fields(b"dkim-signature")[number]
    return verify_signature(read_signature(mail, field), parse_tags(record), now=NOW)


def signed(
    raw: bytes = PLAIN, *, form: str = "relaxed/relaxed", **given: bytes | bool | list[bytes]
) -> bytes:
    """Return a mail with a signature that dkimpy has made."""
    head, _, body = form.partition("/")
    options = {"canonicalize": (head.encode(), body.encode()), **given}
    line: bytes = dkim.sign(raw, b"mail2026", b"example.org", make_key().encode(), **options)
    return line + raw


def resigned(raw: bytes, before: bytes, after: bytes) -> bytes:
    """Return a mail whose signature says something else, signed anew in the relaxed form."""
    field, _, rest = raw.partition(b"\r\nReceived: ")
    head, _, _ = field.replace(before, after, 1).rpartition(b" b=")
    names = parse_tags(head.decode().partition(":")[2])["h"].split(":")
    lines = {
        name.lower(): b" ".join(value.split())
        for name, value in re.findall(rb"(?m)^([\w-]+):((?:.*\r\n(?:[ \t].*\r\n)*))", PLAIN)
    }
    present = [name.encode() for name in dict.fromkeys(names) if name.encode() in lines]
    hashed = b"".join(b"%b:%b\r\n" % (name, lines[name]) for name in present)
    hashed += b"dkim-signature:" + b" ".join((head + b" b=").partition(b":")[2].split())
    key = load_pem_private_key(make_key().encode(), None)
    assert isinstance(key, RSAPrivateKey)
    value = base64.b64encode(key.sign(hashed, PKCS1v15(), SHA256()))
    return head + b" b=" + value + b"\r\nReceived: " + rest


def test_a_second_sender_that_is_not_signed_breaks_a_signature() -> None:
    """RFC 6376 §8.15: a reader may be shown that one; dkimpy refuses such a mail too."""
    once = signed(include_headers=[b"from", b"to"])
    assert outcome(once) is Outcome.HOLDS
    for raw in (b"From: evil@example.net\r\n" + once, once.replace(b"To:", b"FROM: e@e.nl\r\nTo:")):
        assert outcome(raw) is Outcome.FAILS
        assert not dkim.verify(raw, dnsfunc=lambda *_, **__: RECORD.encode())


@pytest.mark.parametrize("number", [0, 1])
def test_the_example_of_the_standard_holds(number: int) -> None:
    record = EXAMPLE_RECORDS[number]
    assert outcome(EXAMPLE, record, number=number) is Outcome.HOLDS
    assert outcome(EXAMPLE, EXAMPLE_RECORDS[1 - number], number=number) is Outcome.FAILS
    other = EXAMPLE.replace(b"Is dinner", b"Was dinner")
    assert outcome(other, record, number=number) is Outcome.FAILS
    assert outcome(EXAMPLE + b"P. S.\n", record, number=number) is Outcome.CHANGED


@pytest.mark.parametrize("body", ["simple", "relaxed"])
@pytest.mark.parametrize("head", ["simple", "relaxed"])
def test_what_another_program_signs_holds(head: str, body: str) -> None:
    for raw in (PLAIN, PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", make_mail("ask-nl").raw):
        lines = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        assert outcome(signed(lines, form=f"{head}/{body}")) is Outcome.HOLDS
    blanks = signed(form=f"{head}/{body}").replace(b"To: jan", b"To:  jan")
    assert outcome(blanks) is (Outcome.HOLDS if head == "relaxed" else Outcome.FAILS)
    blanks = signed(form=f"{head}/{body}").replace(b"you once", b"you  once")
    assert outcome(blanks) is (Outcome.HOLDS if body == "relaxed" else Outcome.CHANGED)


def test_what_is_signed_here_holds() -> None:
    signer = Signer(make_key(), selector="mail2026")
    raw = unstuff_dots(signer.sign(encode_mail(make_mail("ask-nl"))).wire)
    assert outcome(raw) is Outcome.HOLDS
    assert outcome(raw.replace(b"Subject: ", b"Subject: Re: ")) is Outcome.FAILS


def test_how_a_mail_was_saved_does_not_matter() -> None:
    raw = signed()
    for saved in (
        raw.replace(b"\r\n", b"\n"),
        b"\xef\xbb\xbf" + raw,
        b"From nieuws@example.org Tue Dec  1 08:30:00 2026\n" + raw.replace(b"\r\n", b"\n"),
        b"Delivered-To: jan@example.com\r\n" + raw + b"\r\n\r\n",
    ):
        assert outcome(saved) is Outcome.HOLDS


def test_of_two_fields_of_one_name_the_lower_one_was_signed() -> None:
    raw = signed()
    # dkimpy names From and Subject twice, so that no second one passes; To it names once.
    assert outcome(b"To: someone@example.net\r\n" + raw) is Outcome.HOLDS
    assert outcome(b"From: evil@example.net\r\n" + raw) is Outcome.FAILS


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"", b"", Outcome.HOLDS),
        (b" i=@example.org;", b" i=@news.example.org;", Outcome.HOLDS),
        (b" i=@example.org;", b" i=x@other.org;", Outcome.FAILS),
        (b"v=1;", b"v=2;", Outcome.FAILS),
        (b"rsa-sha256", b"rsa-sha1", Outcome.FAILS),
        (b"rsa-sha256", b"ed25519-sha256", Outcome.FAILS),
        (b" : from", b"", Outcome.HOLDS),
        (b" q=dns/txt;", b" x=1796115599;", Outcome.EXPIRED),
        (b" q=dns/txt;", b" x=1796115601;", Outcome.HOLDS),
        (b" q=dns/txt;", b" x=soon;", Outcome.FAILS),
        (b" q=dns/txt;", b" l=many;", Outcome.FAILS),
        (b" q=dns/txt;", b" l=3;", Outcome.CHANGED),
        (b" bh=", b" bh=A; was=", Outcome.FAILS),
        (b" bh=", b" bi=", Outcome.FAILS),
    ],
)
def test_the_tags_of_a_signature_count(before: bytes, after: bytes, expected: Outcome) -> None:
    raw = signed(identity=b"@example.org")
    assert before in raw
    assert outcome(resigned(raw, before, after)) is expected


def test_a_signature_that_leaves_the_sender_out_is_none() -> None:
    raw = signed(identity=b"@example.org")
    names = re.search(rb" h=([^;]*);", raw)
    assert names is not None
    assert outcome(resigned(raw, names[1], b"from : to")) is Outcome.HOLDS
    assert outcome(resigned(raw, names[1], b"to : date")) is Outcome.FAILS


def test_a_signature_over_the_beginning_of_the_body_bears_an_addition() -> None:
    raw = signed(length=True)
    assert outcome(raw.rstrip(b"\r\n") + b"\r\nAn advertisement.\r\n") is Outcome.HOLDS
    assert outcome(raw.replace(b"morning", b"evening")) is Outcome.CHANGED


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (f"{RECORD}; h=sha256:sha1; s=email; t=y", Outcome.HOLDS),
        (f"{RECORD}; s=*:other", Outcome.HOLDS),
        (f"{RECORD}; h=sha1", Outcome.FAILS),
        (f"{RECORD}; s=tlsrpt", Outcome.FAILS),
        (Signer(make_key(2049), selector="other").dns_record, Outcome.FAILS),
        ("v=DKIM1; p=", Outcome.FAILS),
    ],
)
def test_the_tags_of_a_record_count(record: str, expected: Outcome) -> None:
    assert outcome(signed(), record) is expected


def test_a_record_may_bind_a_signature_to_its_domain_alone() -> None:
    raw = signed(identity=b"@news.example.org")
    assert outcome(raw) is Outcome.HOLDS
    assert outcome(raw, f"{RECORD}; t=s") is Outcome.FAILS


def test_a_key_is_read_with_and_without_its_frame() -> None:
    framed = read_public_key(parse_tags(RECORD))
    assert framed is not None
    bare = framed.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert read_public_key({"p": base64.b64encode(bare).decode()}) == framed
    other = Ed25519PrivateKey.generate().public_key()
    raw = base64.b64encode(other.public_bytes_raw()).decode()
    assert read_public_key({"k": "ed25519", "p": raw}) == other
    wrapped = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert read_public_key({"p": base64.b64encode(wrapped).decode()}) is None
    for nothing in ({}, {"p": "“"}, {"p": "AAAA"}, {"k": "ed25519", "p": "AAAA"}):
        assert read_public_key(nothing) is None


def test_a_mail_made_to_take_long_is_read_in_one_go() -> None:
    """Each of a million blanks begins a run of blanks: a pattern must try none of them twice."""
    long = PLAIN + b" " * 1_000_000 + b"x\r\n" + b"\r\n" * 200_000 + b"y\r\n"
    signer = Signer(make_key(), selector="mail2026")
    raw = signer.sign(EncodedMail("", "", long, len(long), "", needs_smtputf8=False)).wire
    assert outcome(raw) is Outcome.HOLDS
    assert outcome(raw + b"z") is Outcome.CHANGED
