"""DKIM and DMARC: who signs, whether the keys are there, and whether it is all of one domain."""

from __future__ import annotations

import base64
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from repermit.checks.dkim import (
    Signature,
    check_dkim,
    find_failing_domains,
    list_signing_domains,
    read_in_subprocess,
    read_received,
    yield_received_mail,
)
from repermit.checks.dmarc import DmarcIdentifiers, check_dmarc
from repermit.checks.dns_lookup import DnsResolver
from repermit.checks.findings import Finding
from repermit.emails.dkim_signature import Signer
from repermit.emails.mime_encoding import encode_mail, unstuff_dots
from tests.support.builders import NOW
from tests.support.dkim_keys import make_key
from tests.support.dns_server import NameServer
from tests.unit.emails.test_snapshots import make_mail


def public_key(bits: int) -> str:
    """Return the public half of an RSA key as a record holds it."""
    # To check it takes longer than to make it.
    key = load_pem_private_key(make_key(bits).encode(), None, unsafe_skip_rsa_key_validation=True)
    octets = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(octets).decode()


LONG, WEAK = public_key(2048), public_key(1024)
# 1023 bits, by a modulus with no more to it: nothing makes such a key any more.
SHORT = base64.b64encode(
    RSAPublicNumbers(65_537, 2**1022 + 1)
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.PKCS1)
).decode()
KEY = f"v=DKIM1; k=rsa; p={LONG}"

PLAIN = b"""\
From: "Praktijk, De Linde" <nieuws@Example.org>
Subject: hello

d=nobody; s=nothing
""".replace(b"\n", b"\r\n")


def signature(selector: str = "mail2026", domain: str = "Example.org") -> bytes:
    """Return the line that dkimpy adds to the mail."""
    line: bytes = dkimpy.sign(PLAIN, selector.encode(), domain.encode(), make_key().encode())
    return line


SIGNED = signature() + PLAIN
UNSIGNED = b"From: nieuws@example.org\n\nhello\n"


def dkim(
    server: NameServer,
    *,
    preset: str = "",
    selector: str = "",
    mail: bytes | None = None,
    domain: str = "example.org",
    signer: Signer | None = None,
) -> list[Finding]:
    received = None if mail is None else read_received(mail, now=NOW)
    signing: dict[str, Any] = {"preset": preset, "selector": selector, "signer": signer}
    return list(check_dkim(DnsResolver(server.address), domain, mail=received, **signing))


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


# --- A mail that was received.


def test_a_mail_says_the_same_in_another_process() -> None:
    mail = read_received(SIGNED, now=NOW)
    assert read_in_subprocess(SIGNED, now=NOW) == mail
    assert list(yield_received_mail((SIGNED, NOW))) == [mail]


def test_who_signed_a_mail_is_read_from_it() -> None:
    mail = read_received(SIGNED, now=NOW)
    assert mail.domain == "example.org"
    assert mail.signatures == (Signature("example.org", "mail2026"),)


def test_a_signature_without_domain_or_selector_is_none() -> None:
    lines = b"DKIM-Signature: v=1; s=a\nDKIM-Signature: d=example.org\n"
    assert read_received(lines + UNSIGNED, now=NOW).signatures == ()


@pytest.mark.parametrize("raw", [b"", b"\x00\xff", b"hello\n", b"From: nobody\n\n"])
def test_what_is_no_mail_is_of_no_domain(raw: bytes) -> None:
    assert read_received(raw, now=NOW).domain == ""


# --- The key.


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([KEY], "dkim_ok"),
        ([f"p={WEAK}"], "dkim_weak"),
        ([f"k=ed25519; p={base64.b64encode(bytes(32)).decode()}"], "dkim_ok"),
        ([f"v=DKIM1; p={LONG[:50]} {LONG[50:]}"], "dkim_ok"),
        ([f"v=DKIM1; t=s; p={LONG}"], "dkim_ok"),
        ([f"v=DKIM1; t=y:s; p={LONG}"], "dkim_testing"),
        ([f"v=DKIM1; p={SHORT}"], "dkim_short"),
        (["v=DKIM1; p="], "dkim_revoked"),
        (["v=DKIM1; p=“quoted”"], "dkim_broken"),
        ([f"v=DKIM1; p={LONG[:-3]}"], "dkim_broken"),
        ([f"v=DKIM1; p={base64.b64encode(bytes(294)).decode()}"], "dkim_broken"),
        (["v=DKIM1"], "dkim_broken"),
        ([KEY, KEY.replace("rsa", "RSA")], "dkim_broken"),
        ([], "dkim_no_key"),
    ],
)
def test_a_key_is_judged(server: NameServer, records: list[str], code: str) -> None:
    if records:
        server.text("mail2026._domainkey.example.org", *records)
    (one,) = dkim(server, selector="mail2026")
    assert one.code == code
    assert "mail2026" in one.found
    assert bool(one.remedy) is (code != "dkim_ok")


def test_the_selector_is_found_on_a_mail(server: NameServer) -> None:
    server.text("mail2026._domainkey.example.org", KEY)
    assert codes(dkim(server, mail=SIGNED, selector="other")) == ["dkim_holds"]


@pytest.mark.parametrize(
    ("change", "record", "code"),
    [
        ((b"", b""), KEY, "dkim_holds"),
        ((b"nothing", b"nothing!"), KEY, "dkim_changed"),
        ((b"Subject: hello", b"Subject: hallo"), KEY, "dkim_fails"),
        ((b"", b""), KEY.replace(LONG, public_key(2049)), "dkim_fails"),
        ((b"c=relaxed", b"x=1; c=relaxed"), KEY, "dkim_expired"),
        ((b"", b""), f"t=y; {KEY}", "dkim_testing"),
        ((b"Subject: hello", b"Subject: hallo"), f"t=y; {KEY}", "dkim_fails"),
        ((b"", b""), "v=DKIM1; p=", "dkim_revoked"),
        ((b"", b""), "", "dkim_no_key"),
    ],
)
def test_a_signature_is_verified(
    server: NameServer, change: tuple[bytes, bytes], record: str, code: str
) -> None:
    if record:
        server.text("mail2026._domainkey.example.org", record)
    assert change[0] in SIGNED
    (one,) = dkim(server, mail=SIGNED.replace(*change, 1))
    assert one.code == code
    assert "mail2026" in one.found
    assert bool(one.remedy) is (code != "dkim_holds")


def test_a_mail_full_of_signatures_is_not_looked_through_for_ever(server: NameServer) -> None:
    many = b"".join(signature(f"s{number}") for number in range(9))
    assert len(dkim(server, mail=many + PLAIN)) == 8


def test_a_mail_that_is_not_signed_is_told(server: NameServer) -> None:
    (one,) = dkim(server, mail=UNSIGNED, selector="mail2026")
    assert (one.code, one.verdict) == ("dkim_unsigned", "problem")
    assert "switch on DKIM for example.org" in one.remedy


def test_a_mail_of_another_sender_says_nothing(server: NameServer) -> None:
    assert codes(dkim(server, mail=SIGNED, domain="other.org")) == ["dkim_unknown"]


def test_without_a_selector_it_is_said_how_to_find_it(server: NameServer) -> None:
    (one,) = dkim(server)
    assert (one.code, one.verdict) == ("dkim_unknown", "unknown")
    assert "`repermit check --mail FILE`" in one.remedy
    assert "dkim_selector" in one.remedy


def test_the_usual_selectors_of_a_provider_are_tried(server: NameServer) -> None:
    server.text("selector2._domainkey.example.org", KEY)
    (one,) = dkim(server, preset="office365")
    assert (one.code, one.values["selector"]) == ("dkim_ok", "selector2")
    assert codes(dkim(server, preset="gmail")) == ["dkim_unknown"]


def test_who_signs_is_known_from_a_mail_a_setting_or_a_key(server: NameServer) -> None:

    def signers(preset: str = "", selector: str = "", mail: bytes | None = None) -> object:
        # A new one each time: it would remember that a key was not there.
        names = DnsResolver(server.address)
        received = read_received(mail, now=NOW) if mail else None
        return list_signing_domains(
            names, "example.org", preset=preset, selector=selector, mail=received
        )

    assert signers() is None
    assert signers(preset="google-relay") is None
    assert signers(selector="x") == ("example.org",)
    assert signers(mail=UNSIGNED) == ()
    assert signers(mail=signature(domain="esp.example") + PLAIN) == ("esp.example",)
    server.text("google._domainkey.example.org", KEY)
    assert signers(preset="google-workspace") == ("example.org",)


# --- Signing here.

OURS = Signer(make_key(), selector="repermit2026")


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([OURS.dns_record], "dkim_own_ok"),
        ([OURS.dns_record.replace("k=rsa; ", "t=s; n=ours; ")], "dkim_own_ok"),
        ([OURS.dns_record.replace("k=rsa", "t=y")], "dkim_testing"),
        ([OURS.dns_record, OURS.dns_record.replace("k=rsa", "k=RSA")], "dkim_broken"),
        ([f"p={public_key(2049)}"], "dkim_own_other"),
        (["v=DKIM1; p="], "dkim_own_other"),
        ([], "dkim_own_missing"),
    ],
)
def test_the_record_of_a_key_that_signs_here_is_held_to_it(
    server: NameServer, records: list[str], code: str
) -> None:
    if records:
        server.text("repermit2026._domainkey.example.org", *records)
    (one,) = dkim(server, selector="repermit2026", signer=OURS)
    assert one.code == code
    if one.verdict == "problem" and code.startswith("dkim_own"):
        assert OURS.dns_record in one.remedy
        assert "repermit2026._domainkey.example.org" in one.remedy


def test_a_mail_that_was_signed_here_is_verified_too(server: NameServer) -> None:
    raw = unstuff_dots(OURS.sign(encode_mail(make_mail("ask-nl"))).wire)

    def found(mail: bytes) -> list[str]:
        return codes(dkim(server, selector="repermit2026", signer=OURS, mail=mail))

    assert found(raw) == ["dkim_own_missing"]
    server.text("repermit2026._domainkey.example.org", OURS.dns_record)
    server.text("mail2026._domainkey.example.org", KEY)
    # A new one each time remembers nothing of what the DNS had.
    assert found(raw) == ["dkim_holds"]
    assert found(signature() + raw) == ["dkim_changed", "dkim_holds"]
    assert found(raw.replace(b"Lindelaan", b"Lindeweg")) == ["dkim_changed"]
    assert found(raw.replace(b"Subject: ", b"Subject: Re: ")) == ["dkim_fails"]
    assert found(UNSIGNED) == ["dkim_own_unsigned"]
    assert found(SIGNED) == ["dkim_own_unsigned", "dkim_holds"]


def test_what_signs_here_in_vain_does_not_count(server: NameServer) -> None:
    server.text("repermit2026._domainkey.example.org", OURS.dns_record)
    raw = unstuff_dots(OURS.sign(encode_mail(make_mail("ask-nl"))).wire)
    own: dict[str, Any] = {"selector": "repermit2026", "signer": OURS}
    assert find_failing_domains(dkim(server, **own)) == set()
    assert find_failing_domains(dkim(server, **own, mail=raw)) == set()
    assert find_failing_domains(dkim(server, **own, mail=raw.replace(b"Linde", b"Lende"))) == {
        "example.org"
    }
    received = read_received(UNSIGNED, now=NOW)
    assert (
        list_signing_domains(
            DnsResolver(server.address), "example.org", **own, preset="", mail=received
        )
        == ()
    )


def test_a_key_of_another_domain_signs_as_that_one(server: NameServer) -> None:
    signer = Signer(make_key(), selector="a", domain="mail.example.org")
    (one,) = dkim(server, selector="a", signer=signer)
    assert (one.code, one.values["domain"]) == ("dkim_own_missing", "mail.example.org")
    signing: dict[str, Any] = {"preset": "", "selector": "a", "mail": None, "signer": signer}
    assert list_signing_domains(DnsResolver(server.address), "example.org", **signing) == (
        "mail.example.org",
    )


# --- DMARC.


def dmarc(
    server: NameServer,
    *,
    domain: str = "example.org",
    returns: str = "example.org",
    signers: tuple[str, ...] | None = None,
    **seen: Any,
) -> Finding:
    aligned = DmarcIdentifiers(return_domain=returns, signers=signers, **seen)
    (one,) = check_dmarc(DnsResolver(server.address), domain, lambda: aligned)
    return one


HERS, THEIRS = "example.org", "esp.example"


@pytest.mark.parametrize(
    ("policy", "returns", "seen", "code"),
    [
        ("reject", HERS, (True, (), ()), "dmarc_ok"),
        ("reject", HERS, (False, (), ()), "dmarc_fails"),
        ("none", HERS, (False, (), ()), "dmarc_fails_yet"),
        ("reject", HERS, (False, (HERS,), ()), "dmarc_ok"),
        ("reject", HERS, (False, (HERS,), (HERS,)), "dmarc_fails"),
        ("reject", HERS, (True, (HERS,), (HERS,)), "dmarc_ok"),
        ("reject", HERS, (False, (THEIRS, HERS), (THEIRS,)), "dmarc_ok"),
        ("reject", HERS, (False, None, ()), "dmarc_hangs_on_dkim_alone"),
        ("reject", HERS, (True, None, ()), "dmarc_ok"),
        ("reject", THEIRS, (True, (HERS,), (HERS,)), "dmarc_fails"),
        ("reject", THEIRS, (True, (THEIRS,), ()), "dmarc_unaligned"),
        ("reject", THEIRS, (False, None, ()), "dmarc_hangs_on_dkim"),
    ],
)
def test_what_does_not_pass_counts_for_nothing(
    server: NameServer,
    policy: str,
    returns: str,
    seen: tuple[bool, tuple[str, ...] | None, tuple[str, ...]],
    code: str,
) -> None:
    server.text("_dmarc.example.org", f"v=DMARC1; p={policy}")
    passes, signers, keyless = seen
    given: dict[str, Any] = {"return_passes": passes, "failing_domains": frozenset(keyless)}
    one = dmarc(server, returns=returns, signers=signers, **given)
    assert one.code == code
    assert bool(one.remedy) is (code != "dmarc_ok")


def test_a_domain_signs_in_vain_if_none_of_its_keys_is_there(server: NameServer) -> None:
    second = signature("new") + SIGNED
    assert find_failing_domains(dkim(server, mail=second)) == {"example.org"}
    server.text("new._domainkey.example.org", KEY)
    assert find_failing_domains(dkim(server, mail=second)) == set()
    assert find_failing_domains(dkim(server)) == set()
    assert find_failing_domains(dkim(server, mail=second.replace(b"hello", b"hallo"))) == {
        "example.org"
    }


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
def test_mails_of_the_domain_itself_are_aligned(server: NameServer, policy: str) -> None:
    server.text("_dmarc.example.org", f"v=DMARC1;p={policy}; rua=mailto:d@example.org")
    one = dmarc(server)
    assert (one.code, one.values["policy"]) == ("dmarc_ok", policy)


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([], "dmarc_none"),
        (["v=DMARC10; p=none", "hello"], "dmarc_none"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "dmarc_several"),
        (["v=DMARC1; p=nothing"], "dmarc_broken"),
        (["v=DMARC1"], "dmarc_broken"),
    ],
)
def test_a_policy_that_does_not_count_is_told(
    server: NameServer, records: list[str], code: str
) -> None:
    if records:
        server.text("_dmarc.example.org", *records)
    one = dmarc(server)
    assert (one.code, one.verdict) == (code, "warning")
    assert "example.org" in one.found
    assert one.remedy


@pytest.mark.parametrize(
    ("record", "policy"),
    [("v=DMARC1; p=reject", "reject"), ("v=DMARC1; p=reject; sp=none", "none")],
)
def test_a_domain_below_has_the_policy_of_the_one_above(
    server: NameServer, record: str, policy: str
) -> None:
    server.text("_dmarc.example.org", record)
    one = dmarc(server, domain="news.example.org", returns="news.example.org")
    assert one.values["policy"] == policy


@pytest.mark.parametrize(
    ("record", "returns", "signers", "code"),
    [
        # The return path.
        ("p=reject", "bounce.example.org", (), "dmarc_ok"),
        ("p=reject; aspf=s", "bounce.example.org", (), "dmarc_unaligned"),
        ("p=reject; aspf=s", "example.org", (), "dmarc_ok"),
        ("p=reject; aspf=r", "bounce.example.org", (), "dmarc_ok"),
        # The signature.
        ("p=reject", "esp.example", ("esp.example", "mail.example.org"), "dmarc_ok"),
        ("p=reject; adkim=s", "esp.example", ("mail.example.org",), "dmarc_unaligned"),
        # Neither.
        ("p=quarantine", "esp.example", ("esp.example",), "dmarc_unaligned"),
        ("p=none", "esp.example", ("esp.example",), "dmarc_unaligned_yet"),
        ("p=reject", "esp.example", None, "dmarc_hangs_on_dkim"),
        ("p=reject", "example.org.evil.example", (), "dmarc_unaligned"),
    ],
)
def test_mails_are_held_to_the_domain(
    server: NameServer, record: str, returns: str, signers: tuple[str, ...] | None, code: str
) -> None:
    server.text("_dmarc.example.org", f"v=DMARC1; {record}")
    one = dmarc(server, returns=returns, signers=signers)
    assert one.code == code
    assert bool(one.remedy) is (code != "dmarc_ok")


def test_an_unsigned_mail_is_told_as_such(server: NameServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=reject")
    one = dmarc(server, returns="esp.example", signers=())
    assert "the return path (esp.example) nor the signature (–)" in one.found


@pytest.mark.parametrize(
    ("psd", "code"),
    [("; psd=y", "dmarc_unaligned"), ("; psd=u", "dmarc_ok"), ("", "dmarc_ok")],
)
def test_two_domains_below_a_public_suffix_are_not_one(
    server: NameServer, psd: str, code: str
) -> None:
    server.text("_dmarc.gov.example", f"v=DMARC1; p=reject{psd}")
    one = dmarc(server, domain="a.gov.example", returns="b.gov.example", signers=())
    assert one.code == code


def test_a_domain_that_says_so_is_an_organisation_of_its_own(server: NameServer) -> None:
    server.text("_dmarc.example.org", "v=DMARC1; p=none")
    server.text("_dmarc.shop.example.org", "v=DMARC1; p=reject; psd=n")
    one = dmarc(server, domain="shop.example.org", returns="example.org", signers=())
    assert one.code == "dmarc_unaligned"


def test_a_public_suffix_is_its_own_organisation(server: NameServer) -> None:
    server.text("_dmarc.gov.example", "v=DMARC1; p=reject; psd=y")
    one = dmarc(server, domain="gov.example", returns="a.gov.example", signers=())
    assert one.code == "dmarc_unaligned"


def test_a_deep_domain_takes_eight_questions_at_most(server: NameServer) -> None:
    deep = ".".join("abcdefghijkl")
    assert dmarc(server, domain=deep, returns=deep).code == "dmarc_none"
    asked = [one for one in server.asked if one.startswith("_dmarc.")]
    assert len(asked) == 8
    assert asked[1] == f"_dmarc.{'.'.join('fghijkl')} TXT"
