"""Asking the DNS: what there is, what there is not, and when nobody answers."""

from __future__ import annotations

import time

import dns.resolver
import pytest

from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver, is_private, is_this_machine
from repermit.errors import Refused
from tests.support.dns_server import FAILURE, SILENCE, NameServer


def test_the_pieces_of_a_text_are_put_together(server: NameServer, names: DnsResolver) -> None:
    server.text("example.org", "x" * 450)
    assert names.look_up_texts("example.org") == ("x" * 450,)


def test_addresses_of_both_versions_are_found(server: NameServer, names: DnsResolver) -> None:
    server.records |= {"a.example A": ["192.0.2.1"], "a.example AAAA": ["2001:db8::1"]}
    assert names.look_up_addresses("a.example") == ("192.0.2.1", "2001:db8::1")


def test_an_address_is_its_own_and_asks_nobody(server: NameServer, names: DnsResolver) -> None:
    assert names.look_up_addresses("192.0.2.7") == ("192.0.2.7",)
    assert not server.asked


def test_mail_servers_come_in_their_order(server: NameServer, names: DnsResolver) -> None:
    server.records["example.org MX"] = ["20 b.example.", "10 a.example."]
    assert names.look_up_mail_servers("example.org") == ("a.example", "b.example")


@pytest.mark.parametrize("name", ["nowhere.example", "", "a..b", f"{'a' * 64}.org", "a b.org"])
def test_what_there_is_not_is_empty(names: DnsResolver, name: str) -> None:
    assert names.look_up_texts(name) == ()


def test_a_name_without_the_record_is_empty(server: NameServer, names: DnsResolver) -> None:
    server.records["example.org MX"] = ["10 a.example."]
    assert names.look_up_texts("example.org") == ()


def test_a_server_that_fails_is_no_answer(server: NameServer, names: DnsResolver) -> None:
    server.records["example.org TXT"] = [FAILURE]
    with pytest.raises(DnsNoAnswer) as raised:
        names.look_up_texts("example.org")
    assert raised.value.name == "example.org"


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_told(server: NameServer) -> None:
    server.records["example.org TXT"] = [SILENCE]
    began = time.monotonic()
    with pytest.raises(DnsNoAnswer):
        DnsResolver(server.address, seconds=0.3).look_up_texts("example.org")
    assert time.monotonic() - began < 3


def test_a_name_is_asked_for_once(server: NameServer, names: DnsResolver) -> None:
    for _ in range(2):
        names.look_up_mail_servers("example.org")
    assert server.asked == ["example.org MX"]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("2620:fe::fe", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]:54", ("2620:fe::fe", 54)),
    ],
)
def test_a_nameserver_may_have_a_port(given: str, asked: tuple[str, int]) -> None:
    resolver = DnsResolver(given)._resolver
    assert (resolver.nameservers[0], resolver.port) == asked


@pytest.mark.parametrize("given", ["dns.example.org", "127.0.0.1:port", "9.9.9.9:99999", "["])
def test_a_nameserver_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(Refused, match=r"is no DNS server; one looks like 9\.9\.9\.9"):
        DnsResolver(given)


def test_without_one_the_machines_own_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(resolver: dns.resolver.Resolver, *_: object) -> None:
        resolver.nameservers = ["192.0.2.53"]

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", read)
    assert DnsResolver()._resolver.nameservers == ["192.0.2.53"]


def test_a_machine_without_any_gets_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", none)
    with pytest.raises(DnsNoAnswer):
        DnsResolver().look_up_texts("example.org")


@pytest.mark.parametrize(
    ("host", "is_here"),
    [("localhost", True), ("127.0.0.9", True), ("::1", True), ("192.0.2.1", False), ("a.b", False)],
)
def test_this_machine_is_known(host: str, is_here: bool) -> None:
    assert is_this_machine(host) is is_here


@pytest.mark.parametrize(
    ("host", "private"),
    [
        *((one, True) for one in ("localhost", "127.0.0.1", "127.8.9.1", "::1", "10.0.0.7")),
        *(
            (one, True)
            for one in ("192.168.1.20", "172.16.3.4", "169.254.1.1", "fe80::1", "fd00::1")
        ),
        *((one, True) for one in ("server", "nas.local", "ask.internal", "pc.lan", "a.home.arpa")),
        *((one, True) for one in ("ask.corp", "ask.localhost", "ask.test", "ASK.LOCAL.")),
        *((one, False) for one in ("ask.example.org", "9.9.9.9", "2620:fe::fe", "local.example")),
        *(
            (one, False)
            for one in ("mylocal.org", "ask.homes", "bücher.example", "lan.example.org")
        ),
    ],
)
def test_a_private_name_is_known_by_itself(host: str, private: bool) -> None:
    assert is_private(host) is private
