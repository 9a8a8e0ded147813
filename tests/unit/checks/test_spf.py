"""SPF: what a record says, and whether it allows the servers that mails leave by."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver
from repermit.checks.findings import Finding
from repermit.checks.spf import Policy, check_spf
from repermit.settings.definitions import MailServer
from tests.support.dns_server import FAILURE, NameServer

OFFICE = MailServer(preset="office365", server="smtp.office365.com")
OWN = MailServer(server="smtp.example.net")


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as running:
        running.records |= {
            "smtp.example.net A": ["192.0.2.25"],
            "smtp.example.net AAAA": ["2001:db8::25"],
        }
        running.text("spf.protection.outlook.com", "v=spf1 ip4:198.51.100.0/24 -all")
        running.text("include.example", "v=spf1 ip4:192.0.2.0/24 -all")
        yield running


def policy_of(server: NameServer, record: str) -> Policy:
    return Policy(DnsResolver(server.address), "example.org", record)


def found(server: NameServer, mail: MailServer, *records: str) -> Finding:
    if records:
        server.text("example.org", *records)
    (only,) = check_spf(DnsResolver(server.address), "example.org", mail)
    return only


# --- What a record says.


@pytest.mark.parametrize(
    ("record", "allows"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", True),
        ("v=spf1 ip4:192.0.2.0/27 -all", True),
        ("v=spf1 ip4:192.0.2.24 -all", False),
        ("v=spf1 IP6:2001:db8::/32 ~all", False),
        ("v=spf1 +a:smtp.example.net", True),
        ("v=spf1 a:other.example.net/24", True),
        ("v=spf1 a:other.example.net//64 -all", False),
        ("v=spf1 a -all", False),
        ("v=spf1 mx ?all", True),
        ("v=spf1 -ip4:192.0.2.25 ~all", False),
        ("v=spf1 ~include:include.example -all", False),
        ("v=spf1 include:include.example -all", True),
        ("v=spf1 redirect=include.example", True),
        ("v=spf1 -all redirect=include.example", False),
        ("v=spf1 -all ip4:192.0.2.25", False),
        ("v=spf1 exp=why.example.org ip4:192.0.2.25", True),
        ("v=spf1 all", True),
        ("v=spf1", False),
    ],
)
def test_addresses_that_a_record_allows(server: NameServer, record: str, allows: bool) -> None:
    server.records |= {
        "other.example.net A": ["192.0.2.99"],
        "example.org MX": ["10 smtp.example.net."],
    }
    policy = policy_of(server, record)
    assert (policy.allows("192.0.2.25"), policy.broken) == (allows, "")


def test_version_6_is_known_too(server: NameServer) -> None:
    assert policy_of(server, "v=spf1 ip6:2001:db8::/32").allows("2001:db8::25")
    assert policy_of(server, "v=spf1 a:smtp.example.net//64").allows("2001:db8::1")


@pytest.mark.parametrize(
    "part",
    [
        "ip4:192.0.2",
        "ip4",
        "include",
        "ipv4:192.0.2.1",
        "include:nothing.example",
        "redirect=nothing.example",
        "a:smtp.example.net/99",
        "192.0.2.1",
    ],
)
def test_a_part_that_cannot_be_used_is_named(server: NameServer, part: str) -> None:
    policy = policy_of(server, f"v=spf1 {part} ip4:192.0.2.25")
    expected = "smtp.example.net/99" if part.startswith("a:") else part
    assert policy.broken == expected


def test_an_include_of_several_records_cannot_be_used(server: NameServer) -> None:
    server.text("twice.example", "v=spf1 -all", "v=spf1 ~all")
    assert policy_of(server, "v=spf1 include:twice.example").broken == "include:twice.example"


@pytest.mark.parametrize(("count", "is_too_long"), [(9, False), (10, False), (11, True)])
def test_ten_look_ups_are_the_most(server: NameServer, count: int, is_too_long: bool) -> None:
    record = " ".join(["v=spf1", *["a:smtp.example.net"] * count, "-all"])
    assert policy_of(server, record).is_too_long is is_too_long


def test_look_ups_of_what_is_included_count(server: NameServer) -> None:
    server.text("deep.example", f"v=spf1 {'a:smtp.example.net ' * 6} exists:x.example ptr -all")
    policy = policy_of(server, "v=spf1 mx include:deep.example -all")
    assert (policy.lookups, policy.is_too_long) == (10, False)


def test_a_record_that_includes_itself_ends(server: NameServer) -> None:
    server.text("loop.example", "v=spf1 include:loop.example -all")
    assert policy_of(server, "v=spf1 include:loop.example -all").is_too_long


@pytest.mark.parametrize(
    ("part", "by_macro"),
    [
        ("include:%{ir}.spf.example", True),
        ("exists:%{i}.spf.example", True),
        ("redirect=%{d}.spf.example", True),
        ("a:%{d}", True),
        ("-exists:%{i}.spf.example", False),
        ("a", False),
    ],
)
def test_what_depends_on_the_mail_is_told_apart(
    server: NameServer, part: str, by_macro: bool
) -> None:
    assert policy_of(server, f"v=spf1 {part}").allows_by_macro is by_macro


# --- What it means.


def test_a_domain_without_a_record_needs_one(server: NameServer) -> None:
    server.text("example.org", "v=spf10 what", "google-site-verification=x")
    one = found(server, OFFICE)
    assert (one.code, one.verdict) == ("spf_none", "problem")
    assert one.remedy.endswith(": v=spf1 include:spf.protection.outlook.com ~all")
    assert found(server, OWN).remedy.endswith(": v=spf1 a mx ~all")


@pytest.mark.parametrize(
    ("mail", "records", "code"),
    [
        (OFFICE, ["v=spf1 include:spf.protection.outlook.com -all"], "spf_ok"),
        (OFFICE, ["V=SPF1 INCLUDE:SPF.Protection.Outlook.com. -all"], "spf_ok"),
        (OFFICE, ["v=spf1 redirect=spf.protection.outlook.com"], "spf_ok"),
        (OFFICE, ["v=spf1 include:include.example -all"], "spf_lacks_provider"),
        (OFFICE, ["v=spf1 -include:spf.protection.outlook.com ~all"], "spf_lacks_provider"),
        (OFFICE, ["v=spf1 include:%{i}.spf.example -all"], "spf_macros"),
        (OFFICE, ["v=spf1 a -all", "v=spf1 mx -all"], "spf_several"),
        (OFFICE, ["v=spf1 +all"], "spf_everyone"),
        (OFFICE, ["v=spf1 includes:spf.protection.outlook.com -all"], "spf_broken"),
        (OFFICE, [f"v=spf1 {'a ' * 10} include:spf.protection.outlook.com -all"], "spf_lookups"),
        (OWN, ["v=spf1 ip4:192.0.2.25 -all"], "spf_ok"),
        (OWN, ["v=spf1 ip4:192.0.2.99 -all"], "spf_lacks_server"),
        (OWN, ["v=spf1 exists:%{i}.spf.example -all"], "spf_macros"),
        (MailServer(), ["v=spf1 ip4:192.0.2.25 -all"], "spf_own_server"),
        (MailServer(), ["v=spf1 exists:%{i}.spf.example -all"], "spf_own_server"),
        (MailServer(), ["v=spf1 -all"], "spf_nobody"),
        (OWN, ["v=spf1 -ip4:192.0.2.25 -all"], "spf_nobody"),
    ],
)
def test_what_a_record_means_for_the_mails(
    server: NameServer, mail: MailServer, records: list[str], code: str
) -> None:
    one = found(server, mail, *records)
    assert one.code == code
    assert "example.org" in one.found
    assert bool(one.remedy) is (code != "spf_ok")


def test_the_missing_include_is_named(server: NameServer) -> None:
    one = found(server, OFFICE, "v=spf1 mx -all")
    assert "does not allow the servers of Microsoft 365" in one.found
    assert "add include:spf.protection.outlook.com to its SPF record" in one.remedy


def test_an_include_that_is_silent_is_no_verdict(server: NameServer) -> None:
    server.records["away.example TXT"] = [FAILURE]
    server.text("example.org", "v=spf1 include:away.example -all")
    with pytest.raises(DnsNoAnswer, match=r"away\.example"):
        list(check_spf(DnsResolver(server.address), "example.org", OFFICE))
