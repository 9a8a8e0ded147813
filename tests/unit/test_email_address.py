"""Addresses: which can be used, how they are written, how they are compared."""

from __future__ import annotations

import hashlib
import hmac
import string

import email_validator
import idna
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from repermit import email_address, package_files
from repermit.email_address import (
    Address,
    fingerprint,
    is_role_address,
    mask_address,
    parse,
    to_unicode_domain,
)
from repermit.errors import AddressError

COMMA = "a comma or semicolon before the @: whose address is meant cannot be known"


def labels(count: int, length: int) -> str:
    return ".".join(["a" * length] * count)


# --- What is used, and how it is written and compared.


@pytest.mark.parametrize(
    ("text", "sending", "key"),
    [
        ("Jan.Jansen@Example.ORG", "Jan.Jansen@example.org", "jan.jansen@example.org"),
        (" jan@example.org\n", "jan@example.org", "jan@example.org"),
        ("o'brien+news@example.org", "o'brien+news@example.org", "o'brien+news@example.org"),
        ("jan@bücher.example.nl", "jan@xn--bcher-kva.example.nl", "jan@xn--bcher-kva.example.nl"),
        ("jan@XN--BCHER-KVA.nl", "jan@xn--bcher-kva.nl", "jan@xn--bcher-kva.nl"),
        ("jan@exa--mple.org", "jan@exa--mple.org", "jan@exa--mple.org"),
        ("jan@faß.de", "jan@xn--fa-hia.de", "jan@xn--fa-hia.de"),
        ("Anné@example.org", "Anné@example.org", "anné@example.org"),
        ("anne\u0301@example.org", "ann\u00e9@example.org", "ann\u00e9@example.org"),
        ("STRASSE@example.org", "STRASSE@example.org", "strasse@example.org"),
        ("Straße@example.org", "Straße@example.org", "straße@example.org"),
        (f"{'a' * 64}@example.org", f"{'a' * 64}@example.org", f"{'a' * 64}@example.org"),
    ],
)
def test_an_address_is_kept_for_sending_and_folded_for_comparing(
    text: str, sending: str, key: str
) -> None:
    assert parse(text) == Address(sending, key)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no address"),
        ("  \n", "no address"),
        ("jan", "no @ in the address"),
        ("jan@piet@example.org", "more than one @ in the address"),
        ("@example.org", "nothing before the @"),
        ("jan@", "the domain is not complete"),
        ("jan@example", "the domain is not complete"),
        ("jan@localhost", "the domain is not complete"),
        ("jan@printer.local", "a domain that no mail can reach"),
        ("jan@praktijk.test", "a domain that no mail can reach"),
        ("jan@3.2.1.in-addr.arpa", "a domain that no mail can reach"),
        ("jan jansen@example.org", "a space in the address"),
        ("a.smits @ example.org", "a space in the address"),
        ("jan@example .org", "a space in the address"),
        ("jan\u00a0@example.org", "a space in the address"),
        ("jan@example,org", "a comma where a dot should be"),
        ("jan@mail.example,org", "a comma where a dot should be"),
        ("jan,jansen@example.org", COMMA),
        ("tel 0612345678; jansen@example.org", COMMA),
        (",jan@example.org", COMMA),
        ("jan..jansen@example.org", "a wrong character before the @"),
        (".jan@example.org", "a wrong character before the @"),
        ("jan.@example.org", "a wrong character before the @"),
        ('"jan jansen"@example.org', "a space in the address"),
        ('"jan.jansen"@example.org', "a wrong character before the @"),
        ("Jan <jan@example.org>", "a space in the address"),
        ("<jan@example.org>", "the domain is not valid"),
        ("jan@exam_ple.org", "the domain is not valid"),
        ("jan@example..org", "the domain is not valid"),
        ("jan@-example.org", "the domain is not valid"),
        ("jan@example.org.", "the domain is not valid"),
        ("jan@[192.0.2.1]", "the domain is not valid"),
        ("jan@192.0.2.1", "the domain is not valid"),
        ("jan@xn--a.org", "the domain is not valid"),
        (f"jan@{'a' * 64}.org", "the domain is not valid"),
        ("jan@ex--ample.org", "the domain is not valid"),
        (f"{'a' * 65}@example.org", "too long before the @"),
        (f"j@{'é.' * 70}nl", "the address is too long"),
        (f"{'a' * 300}@example.org", "the address is too long"),
        (f"{'é' * 130}@example.org", "too long before the @"),
        ("jan\x00@example.org", "a control character in the address"),
        ("jan\r\nBcc:x@example.org", "a control character in the address"),
        ("jan@exam\tple.org", "a control character in the address"),
        ("jan\ud800@example.org", "a control character in the address"),
    ],
)
def test_what_cannot_be_used_says_why_in_the_admins_words(text: str, reason: str) -> None:
    with pytest.raises(AddressError) as refused:
        parse(text)
    assert refused.value.reason == reason


# --- The quick path: the same verdicts and the same results as the library's.

_LOCAL_SIGNS = string.ascii_letters + string.digits + "_+&'/=?^{|}~!#$%*`-"
_TOP = sorted({"nl", "ORG", "museum", "x1", "1x", "xn--p1ai", "a"})
_SPECIAL = sorted(email_validator.SPECIAL_USE_DOMAIN_NAMES)

local_parts = st.one_of(
    st.text(_LOCAL_SIGNS + ".", min_size=1, max_size=12),
    st.text(_LOCAL_SIGNS + '. "(),:;<>@[\\]éßΰǰİſ\u0301\u0345', max_size=8),
    st.integers(63, 65).map(lambda size: "a" * size),
)
domain_labels = st.one_of(
    st.text(string.ascii_letters + string.digits + "-", min_size=1, max_size=6),
    st.text(string.ascii_letters + string.digits + "-_é.", max_size=4),
    st.integers(62, 64).map(lambda size: "a" * size),
    st.sampled_from(["xn--bcher-kva", "XN--bcher-KVA", "xn--a", "xn--", "a--b", "ab--c", "mail"]),
)
domains = st.builds(
    lambda before, top: ".".join([*before, top]),
    st.lists(domain_labels, min_size=0, max_size=4),
    st.one_of(domain_labels, st.sampled_from(_TOP), st.sampled_from(_SPECIAL)),
)
plain_domains = st.builds(
    lambda before, top: f"{before}.{top}",
    st.text(string.ascii_letters + string.digits, min_size=1, max_size=8),
    st.sampled_from(["nl", "Com", "ORG", "amsterdam", *_SPECIAL]),
)


@st.composite
def long_addresses(draw: st.DrawFn) -> str:
    """Draw an address whose whole, or whose domain, is about as long as it may be."""
    size = draw(st.sampled_from([188, 189, 190, 191, 252, 253, 254]))
    domain = (labels(4, 62) + ".nl" if size > 250 else labels(3, 62))[-size:]
    domain = "a" * (size - len(domain) - 1) + "." + domain if size > len(domain) + 1 else domain
    return "a" * draw(st.integers(1, 65)) + "@" + domain.strip(".")


def verdict(text: str) -> Address | str:
    """Return what the library's way makes of an address: itself, or the reason against it."""
    try:
        return email_address._parse_any(text)
    except AddressError as error:
        return error.reason


@given(
    st.one_of(
        st.builds("{}@{}".format, local_parts, domains),
        st.builds("{}@{}".format, local_parts, plain_domains),
        long_addresses(),
    )
)
@example(f"a@{labels(3, 62)}.{'a' * 60}.nl")
@example(f"{'a' * 64}@{labels(3, 61)}.nl")
@example(f"{'a' * 65}@{labels(3, 61)}.nl")
@example("jan@test.nl")
@example("jan@sub.TEST")
@example("jan@a.b-.nl")
@example("jan@a--b.nl")
def test_the_quick_path_gives_the_same_as_the_library(text: str) -> None:
    quick = email_address._parse_plain(text)
    assert quick is None or quick == verdict(text)


def test_the_quick_path_takes_ordinary_addresses() -> None:
    assert email_address._parse_plain("Jan.Jansen+news@Mail.Example-1.org") == Address(
        "Jan.Jansen+news@mail.example-1.org", "jan.jansen+news@mail.example-1.org"
    )


@given(st.builds("{}@{}".format, local_parts, st.one_of(domains, plain_domains)))
def test_to_read_what_was_read_changes_nothing(text: str) -> None:
    assume(isinstance(verdict(text), Address))
    once = parse(text)
    assert parse(once.sending) == once
    assert parse(once.key).key == once.key
    assert once.sending.rpartition("@")[2].isascii()


# --- Fingerprints, and what of an address is shown.


def test_a_fingerprint_is_the_hmac_of_the_folded_address() -> None:
    expected = hmac.new(b"key", "anné@example.org".encode(), hashlib.sha256).hexdigest()
    assert fingerprint(b"key", "anné@example.org") == expected
    assert fingerprint(b"other", "anné@example.org") != expected


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("jan.jansen@example.org", "j…n@example.org"),
        ("jan@example.org", "j…n@example.org"),
        ("jo@example.org", "…@example.org"),
        ("j@example.org", "…@example.org"),
        ("jan@xn--bcher-kva.nl", "j…n@bücher.nl"),
    ],
)
def test_an_address_is_shown_in_part(address: str, shown: str) -> None:
    assert mask_address(address) == shown


@pytest.mark.parametrize(
    ("domain", "readable"),
    [("xn--bcher-kva.nl", "bücher.nl"), ("example.org", "example.org"), ("xn--a.nl", "xn--a.nl")],
)
def test_a_domain_is_shown_as_people_read_it(domain: str, readable: str) -> None:
    assert to_unicode_domain(domain) == readable


@given(st.text("xn-abc09.Aü_", max_size=20) | st.just(labels(5, 63)))
@example("xn--bcher-kva.nl")
@example("www.xn--bcher-kva.nl")
@example("exa--mple.org")
@example("example..org")
@example("example.org.")
def test_a_domain_is_shown_as_idna_decodes_it(domain: str) -> None:
    try:
        decoded = idna.decode(domain)
    except idna.IDNAError:
        decoded = domain
    assert to_unicode_domain(domain) == decoded


@pytest.mark.parametrize(
    ("key", "role"),
    [
        ("info@example.org", True),
        ("info+news@example.org", True),
        ("no-reply@example.org", True),
        ("infos@example.org", False),
        ("jan.info@example.org", False),
    ],
)
def test_a_mailbox_of_a_function_is_told_from_a_persons(key: str, role: bool) -> None:
    assert is_role_address(key) is role


@given(st.lists(st.text()))
def test_many_fingerprints_are_those_of_each(address_keys: list[str]) -> None:
    each = [email_address.fingerprint(b"key", address_key) for address_key in address_keys]
    assert email_address.fingerprints(b"key", address_keys) == each


@pytest.mark.parametrize(
    "text",
    [
        "a" + "\u0300\u0316" * 200_000 + "@example.org",
        f"{'a' * 400_000}@example.org",
        f"jan@{'é' * 400_000}.org",
        f"jan@{'a.' * 200_000}org",
        "jan" * 200_000,
        "@" * 400_000,
        f"{'jan, ' * 100_000}@example.org",
    ],
    ids=["marks", "letters", "domain", "labels", "none", "signs", "commas"],
)
def test_what_is_far_too_long_is_refused_before_it_is_read(text: str) -> None:
    with pytest.raises(AddressError, match="the address is too long"):
        parse(text)


def test_a_name_is_masked_however_long_its_words_are() -> None:
    assert email_address.mask_addresses_in_name("a" * 400_000) == "a" * 400_000
    assert (
        email_address.mask_addresses_in_name("a" * 400_000 + "@example.org.csv")
        == "…@example.org.csv"
    )


def test_every_name_of_a_function_is_told() -> None:
    names = package_files.load_data("role_addresses.toml")["names"].split()
    assert sorted(set(names)) == sorted(names)
    assert [name for name in names if not is_role_address(f"{name}@example.org")] == []
    assert not is_role_address("jan@example.org")
