"""The mail server, the pages and what comes back: each wrong in its own way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from aiosmtpd.smtp import AuthResult

from repermit.bounces import poll
from repermit.checks import answer_pages, privacy_statements, run
from repermit.checks.answer_pages import check_pages
from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver
from repermit.checks.findings import Finding
from repermit.checks.http_fetch import FetchTimeout, fetch
from repermit.checks.privacy_statements import check_privacy_statement, read_privacy_statement
from repermit.checks.smtp import (
    check_bounce_reader,
    check_mail_login,
    check_mailbox_login,
    check_mx,
    check_reply_mailbox,
    check_return_domain,
)
from repermit.clock import SystemClock
from repermit.db.connection import Database
from repermit.errors import TransportError
from repermit.settings.definitions import Bounces, MailServer, Settings, Web
from repermit.signed_links import NOBODY, Links
from tests.support.builders import NOW, make_organisation, make_settings
from tests.support.certificates import server_context
from tests.support.dns_server import FAILURE, NameServer
from tests.support.inbox import HANG_UP, Inbox
from tests.support.loopback import LoopbackOnly
from tests.support.mail_servers import free_port
from tests.support.mailboxes import ImapMailbox, Mailbox, Pop3Mailbox
from tests.support.public_pages import Pages, everything_in, served
from tests.support.reverse_proxy import relaying
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.token_server import TokenEndpoint, refused
from tests.support.web_server import WebSite

if TYPE_CHECKING:
    import trustme


def codes(findings: list[Finding]) -> list[str]:
    return [one.code for one in findings]


# --- The mail server.


def smtp(names: DnsResolver, port: int = 1, **overrides: Any) -> list[Finding]:
    values = {"server": "localhost", "port": port, "tls": "none"}
    return list(check_mail_login(names, MailServer(**{**values, **overrides})))


class Authenticator:
    """Takes one login."""

    def __call__(
        self, _server: object, _session: object, _envelope: object, _method: str, data: Any
    ) -> AuthResult:
        is_right = (data.login, data.password) == (b"jan", b"mellon")
        return AuthResult(success=is_right, handled=False)


@pytest.fixture
def closed_inbox(authority: trustme.CA) -> Iterator[Inbox]:
    """Run an inbox that wants a login, over TLS."""
    context = server_context(authority, "localhost")
    options = {"auth_required": True, "authenticator": Authenticator()}
    with Inbox(tls_context=context, require_starttls=True, **options) as inbox:
        yield inbox


def test_a_login_over_checked_tls_is_given_and_nothing_is_sent(
    names: DnsResolver, closed_inbox: Inbox, ca_file: str
) -> None:
    login = {"username": "jan", "password": "mellon"}
    (one,) = smtp(names, closed_inbox.port, tls="starttls", ca_file=ca_file, **login)
    assert (one.code, one.remedy) == ("smtp_ok", "")
    assert not closed_inbox.mails


def test_a_login_without_tls_is_not_called_one_over_tls(names: DnsResolver) -> None:
    plain = {"auth_require_tls": False, "authenticator": Authenticator()}
    with Inbox(**plain) as inbox:
        (one,) = smtp(names, inbox.port, username="jan", password="mellon")
    assert (one.code, one.verdict) == ("smtp_ok_plain", "ok")
    assert "without TLS" in one.found


def test_the_server_is_taken_leave_of() -> None:
    with ScriptedServer() as scripted, NameServer() as server:
        assert codes(smtp(DnsResolver(server.address), scripted.port)) == ["smtp_open"]
        assert scripted.said[-1] == "quit"
        assert not [line for line in scripted.said if line.startswith("mail")]


def test_a_server_that_goes_without_farewell_is_no_trouble(names: DnsResolver) -> None:
    with ScriptedServer(QUIT=HANG_UP) as scripted:
        assert codes(smtp(names, scripted.port)) == ["smtp_open"]


def test_a_login_that_is_not_taken_is_told(
    names: DnsResolver, closed_inbox: Inbox, ca_file: str
) -> None:
    login = {"username": "jan", "password": "friend"}
    (one,) = smtp(names, closed_inbox.port, tls="starttls", ca_file=ca_file, **login)
    assert (one.code, one.verdict) == ("smtp_login", "problem")
    assert "does not take the login (535" in one.found
    assert "friend" not in one.found
    assert "app password" in one.remedy


def test_a_server_that_offers_no_login_is_told(names: DnsResolver) -> None:
    with ScriptedServer() as scripted:
        (one,) = smtp(names, scripted.port, username="jan", password="mellon")
    assert (one.code, one.verdict) == ("smtp_login", "problem")
    assert "offers no login with a password" in one.found


def test_a_certificate_of_an_unknown_authority_is_told(
    names: DnsResolver, closed_inbox: Inbox
) -> None:
    (one,) = smtp(names, closed_inbox.port, tls="starttls")
    assert (one.code, one.verdict) == ("smtp_certificate", "problem")


def test_a_certificate_of_another_name_is_told(
    names: DnsResolver, ca_file: str, authority: Any
) -> None:
    context = server_context(authority, "mail.example.org")
    with Inbox(tls_context=context, require_starttls=True) as inbox:
        (one,) = smtp(names, inbox.port, tls="starttls", ca_file=ca_file)
    assert one.code == "smtp_certificate"
    assert "not valid for 'localhost'" in one.found


def test_a_server_without_starttls_is_told(names: DnsResolver) -> None:
    with ScriptedServer() as scripted:
        (one,) = smtp(names, scripted.port, tls="starttls")
    assert (one.code, one.verdict) == ("smtp_no_starttls", "problem")


def test_a_server_that_is_not_there_is_told(names: DnsResolver) -> None:
    (one,) = smtp(names, free_port())
    assert (one.code, one.verdict) == ("smtp_unreachable", "problem")
    assert "Many hosts close 25, 465 and 587" in one.remedy


def test_a_server_that_slams_the_door_is_told(names: DnsResolver) -> None:
    with ScriptedServer(greeting="554 5.7.1 no") as scripted:
        assert codes(smtp(names, scripted.port)) == ["smtp_unreachable"]


def test_a_sign_in_service_that_refuses_is_told(names: DnsResolver) -> None:
    offers = {"EHLO": "250-mail.example.org\r\n250 AUTH XOAUTH2"}
    with TokenEndpoint(refused("invalid_client")) as service, ScriptedServer(**offers) as scripted:
        account = {
            "auth": "xoauth2",
            "username": "jan",
            "oauth_client_id": "application",
            "oauth_refresh_token": "refresh",
            "oauth_authority": service.url,
        }
        (one,) = smtp(names, scripted.port, **account)
    assert (one.code, one.verdict) == ("smtp_sign_in", "problem")


@pytest.mark.parametrize("half", [{"username": "jan"}, {"password": "mellon"}])
def test_half_a_login_is_none(names: DnsResolver, half: dict[str, Any]) -> None:
    assert codes(smtp(names, **half)) == ["smtp_half_a_login"]


@pytest.mark.parametrize(
    ("preset", "name"), [("office365", "Microsoft 365"), ("directadmin", "DirectAdmin")]
)
def test_a_provider_wants_a_login(names: DnsResolver, preset: str, name: str) -> None:
    (one,) = smtp(names, preset=preset)
    assert (one.code, one.verdict) == ("smtp_no_login", "problem")
    assert one.found.startswith(f"{name} takes mail from nobody without a login")


def test_googles_relay_may_know_who_comes(names: DnsResolver) -> None:
    with ScriptedServer() as scripted:
        assert codes(smtp(names, scripted.port, preset="google-relay")) == ["smtp_open"]


def test_settings_that_cannot_be_used_are_told(names: DnsResolver) -> None:
    (one,) = smtp(names, username="jan", password="mellön")
    assert one.code == "smtp_settings"
    assert "letters outside ASCII" in one.found


@pytest.mark.parametrize(
    ("record", "code"), [("192.0.2.25", "smtp_unreachable"), ("", "smtp_no_server")]
)
def test_a_server_of_no_name_is_told_from_one_that_is_away(
    server: NameServer, names: DnsResolver, loopback_only: LoopbackOnly, record: str, code: str
) -> None:
    server.records |= {"smtp.example.net A": [record]} if record else {}
    (one,) = smtp(names, server="smtp.example.net", tls="starttls")
    assert (one.code, one.verdict) == (code, "problem")
    # The guard stands for a network in which that name leads nowhere.
    assert set(loopback_only.tried) == {"smtp.example.net"}
    loopback_only.tried.clear()


def test_a_server_that_is_away_with_the_dns_is_no_verdict(
    server: NameServer, names: DnsResolver, loopback_only: LoopbackOnly
) -> None:
    server.records["smtp.example.net A"] = [FAILURE]
    with pytest.raises(DnsNoAnswer):
        smtp(names, server="smtp.example.net", tls="starttls")
    loopback_only.tried.clear()


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_closed_port_of_a_known_server_is_told_without_the_dns(
    server: NameServer, names: DnsResolver, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    # Such as a name in /etc/hosts.
    look_up = socket.getaddrinfo

    def look_up_here(_host: str, *arguments: Any, **options: Any) -> Any:
        return look_up("127.0.0.1", *arguments, **options)

    server.records["smtp.example.net A"] = [FAILURE]
    monkeypatch.setattr(socket, "getaddrinfo", look_up_here)
    (one,) = smtp(names, free_port(), server="smtp.example.net", tls=tls)
    assert (one.code, one.verdict) == ("smtp_unreachable", "problem")


def test_mail_that_travels_unprotected_is_told(names: DnsResolver) -> None:
    # Half a login keeps it from going there.
    found = smtp(names, server="192.0.2.25", username="jan")
    assert codes(found) == ["smtp_half_a_login", "smtp_plain"]
    assert found[1].verdict == "warning"


# --- The pages.


LOOKING_INSIDE = Web(checks_to_private=True)


def pages(server: NameServer, url: str, *, now: datetime = NOW, **overrides: Any) -> list[Finding]:
    settings = make_settings(**{"public_url": url, "web": LOOKING_INSIDE, **overrides})
    return list(check_pages(DnsResolver(server.address), settings, now=now))


def verdicts(findings: list[Finding]) -> dict[str, str]:
    return {one.code: str(one.verdict) for one in findings}


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
    """Let this process trust the test's authority, as OpenSSL is told it."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)


@pytest.mark.parametrize("path", ["", "/vraag"])
def test_the_pages_of_this_installation_are_known(
    server: NameServer, settings: Settings, database: Database, path: str
) -> None:
    def make(url: str) -> Pages:
        return Pages(database, replace(settings, public_url=url + path))

    with served(make) as running:
        url = running.settings.public_url
        before = everything_in(database)
        found = pages(server, url)
        after = everything_in(database)
    assert verdicts(found) == {"pages_here_alone": "problem", "pages_ok": "ok"}
    assert found[1].remedy == ""
    # Invariant 12 has one exception: of the link of nobody nothing is noted.
    assert after == before


@pytest.mark.parametrize(
    ("in_front", "trusted", "told"),
    [
        (0, 0, None),
        (1, 0, {"seen": "1", "trusted": "0"}),
        (1, 1, None),
        (2, 1, {"seen": "2", "trusted": "1"}),
        (2, 2, None),
        # The world may come by one more than this machine, which is next to the pages.
        (1, 2, None),
    ],
)
def test_web_servers_in_front_that_nobody_believes_are_told(
    server: NameServer,
    settings: Settings,
    database: Database,
    *,
    in_front: int,
    trusted: int,
    told: dict[str, str] | None,
) -> None:
    web = replace(settings.web, trusted_proxies=trusted)
    with ExitStack() as stack:
        running = stack.enter_context(
            served(lambda url: Pages(database, replace(settings, public_url=url, web=web)))
        )
        port = int(running.settings.public_url.rpartition(":")[2])
        for _ in range(in_front):
            port = stack.enter_context(relaying(port))
        found = pages(server, f"http://127.0.0.1:{port}")
    assert found[1].code == "pages_ok"
    warned = [one.values for one in found if one.code == "pages_proxies"]
    assert warned == ([told] if told else [])


def test_of_web_servers_that_say_nothing_nothing_is_guessed(
    server: NameServer, settings: Settings, database: Database
) -> None:
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as running:
        behind = int(running.settings.public_url.rpartition(":")[2])
        with relaying(behind, says_for_whom=False) as port:
            found = pages(server, f"http://127.0.0.1:{port}")
    assert codes(found) == ["pages_here_alone", "pages_ok"]


def test_other_keys_are_another_installation(
    server: NameServer, settings: Settings, database: Database
) -> None:
    with served(lambda url: Pages(database, replace(settings, public_url=url))) as running:
        found = pages(server, running.settings.public_url, secret_keys=(b"some other key",))
    assert codes(found) == ["pages_here_alone", "pages_not_ours"]
    assert "secret_keys" in found[1].remedy


def test_what_is_asked_is_what_a_mail_program_would(server: NameServer) -> None:
    server.records["ask.example.org A"] = ["127.0.0.1"]
    with WebSite(200, b"Unsubscribed.\n") as site:
        url = f"http://ask.example.org:{site.port}/vraag"
        found = pages(server, url)
        token = Links(url, make_settings().secret_keys).token("no", NOBODY)
    assert site.asked == [("POST", f"/vraag/no/{token}", b"List-Unsubscribe=One-Click")]
    assert codes(found) == ["pages_plain", "pages_here_alone", "pages_ok"]
    assert found[0].verdict == "problem"
    assert "https:// in public_url" in found[0].remedy


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b"<h1>Welcome</h1>", "pages_not_ours"),
        (204, b"", "pages_not_ours"),
        (301, b"", "pages_redirect"),
        (308, b"", "pages_redirect"),
        (404, b"", "pages_not_ours"),
        (403, b"", "pages_refused"),
        (405, b"", "pages_refused"),
        (500, b"", "pages_out_of_order"),
        (502, b"", "pages_out_of_order"),
    ],
)
def test_a_one_click_that_is_not_answered_is_told(
    server: NameServer, status: int, body: bytes, code: str
) -> None:
    with WebSite(status, body) as site:
        found = pages(server, f"http://localhost:{site.port}")
    assert codes(found) == ["pages_here_alone", code]
    assert found[1].verdict == "problem"
    assert found[1].remedy


def test_a_large_page_is_not_read_to_its_end(server: NameServer) -> None:
    with WebSite(200, b"x" * 3_000_000) as site:
        found = pages(server, f"http://127.0.0.1:{site.port}")
    assert codes(found) == ["pages_here_alone", "pages_not_ours"]


def test_a_name_that_nobody_knows_is_told(server: NameServer) -> None:
    found = pages(server, "https://ask.example.org")
    assert verdicts(found) == {"pages_no_name": "problem"}
    assert "A record" in found[0].remedy


def test_a_dns_that_is_silent_is_no_verdict(server: NameServer) -> None:
    server.records["ask.example.org A"] = [FAILURE]
    with pytest.raises(DnsNoAnswer):
        pages(server, "https://ask.example.org")


def test_pages_where_nothing_answers_are_told(server: NameServer) -> None:
    port = free_port()
    found = pages(server, f"http://127.0.0.1:{port}")
    assert verdicts(found)["pages_unreachable"] == "problem"
    assert f"port {port}" in found[-1].remedy


@pytest.mark.usefixtures("trusted")
def test_a_certificate_that_holds_is_taken_as_such(server: NameServer, authority: Any) -> None:
    server.records["ask.example.org A"] = ["127.0.0.1"]
    with WebSite(
        200, b"Unsubscribed.\n", context=server_context(authority, "ask.example.org")
    ) as at:
        url = f"https://ask.example.org:{at.port}"
        found = pages(server, url, now=SystemClock().now())
    assert verdicts(found) == {"pages_here_alone": "problem", "pages_ok": "ok"}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("left", "says"), [(15, ""), (13, "in 13 days"), (-2, "in 0 days")])
def test_a_certificate_that_ends_soon_is_told(
    server: NameServer, authority: Any, left: int, says: str
) -> None:
    server.records["ask.example.org A"] = ["127.0.0.1"]
    real = SystemClock().now()
    context = server_context(authority, "ask.example.org", not_after=real + timedelta(days=30))
    with WebSite(200, b"Unsubscribed.\n", context=context) as site:
        now = real + timedelta(days=30 - left, minutes=-1)
        found = pages(server, f"https://ask.example.org:{site.port}", now=now)
    said = "".join(one.found for one in found if one.code == "pages_certificate_ends")
    assert says in said
    assert bool(said) is bool(says)


def test_a_certificate_of_an_unknown_authority_is_a_problem(
    server: NameServer, authority: Any
) -> None:
    server.records["ask.example.org A"] = ["127.0.0.1"]
    with WebSite(context=server_context(authority, "ask.example.org")) as site:
        found = pages(server, f"https://ask.example.org:{site.port}")
    assert codes(found) == ["pages_here_alone", "pages_certificate"]
    assert "Browsers would warn of ask.example.org" in found[1].found


@pytest.mark.usefixtures("trusted")
def test_a_certificate_of_another_name_is_a_problem(server: NameServer, authority: Any) -> None:
    server.records["ask.example.org A"] = ["127.0.0.1"]
    with WebSite(context=server_context(authority, "www.example.org")) as site:
        found = pages(server, f"https://ask.example.org:{site.port}")
    assert "not valid for 'ask.example.org'" in found[1].found


def test_a_server_without_tls_where_there_should_be_is_told(server: NameServer) -> None:
    with WebSite() as site:
        found = pages(server, f"https://127.0.0.1:{site.port}")
    assert codes(found) == ["pages_here_alone", "pages_garbled"]


def test_a_server_that_speaks_no_http_is_told(server: NameServer) -> None:
    with ScriptedServer() as scripted:
        found = pages(server, f"http://127.0.0.1:{scripted.port}")
    assert codes(found) == ["pages_here_alone", "pages_garbled"]


def test_the_next_address_is_tried(server: NameServer) -> None:
    server.records["ask.example.org A"] = ["127.0.0.2", "127.0.0.1"]
    with WebSite(200, b"Unsubscribed.\n") as site:
        found = pages(server, f"http://ask.example.org:{site.port}")
    assert found[-1].code == "pages_ok"


def test_an_address_that_everybody_can_reach_is_no_warning(
    server: NameServer, loopback_only: LoopbackOnly
) -> None:
    server.records |= {"ask.example.org A": ["10.0.0.1"], "ask.example.org AAAA": ["2606:4700::1"]}
    for web, tried in ((LOOKING_INSIDE, ["10.0.0.1", "2606:4700::1"]), (Web(), ["2606:4700::1"])):
        assert codes(pages(server, "https://ask.example.org", web=web)) == ["pages_unreachable"]
        # The guard stands for a network from which there is no way out.
        assert loopback_only.tried == tried
        loopback_only.tried.clear()


INSIDE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"]  # noqa: S104
INSIDE_TOO = ["::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]


@pytest.mark.parametrize("address", [*INSIDE, *INSIDE_TOO])
def test_pages_on_this_machine_or_a_private_network_are_not_fetched(
    server: NameServer, loopback_only: LoopbackOnly, address: str
) -> None:
    kind = "AAAA" if ":" in address else "A"
    server.records[f"ask.example.org {kind}"] = [address]
    with WebSite(200, b"Unsubscribed.\n") as site:
        host = f"[{address}]" if kind == "AAAA" else address
        for name in ("ask.example.org", host):
            found = pages(server, f"http://{name}:{site.port}", web=Web())
            assert verdicts(found)["pages_not_visited"] == "unknown"
            assert "pages_ok" not in codes(found)
    assert not site.asked
    assert not loopback_only.tried


def test_pages_at_localhost_are_not_fetched(server: NameServer) -> None:
    with WebSite(200, b"Unsubscribed.\n") as site:
        found = pages(server, f"http://localhost:{site.port}", web=Web())
    assert codes(found) == ["pages_here_alone", "pages_not_visited"]
    assert "localhost is this machine or a private network" in found[1].found
    assert site.asked == []


def test_a_redirect_into_the_private_network_is_not_followed(server: NameServer) -> None:
    with WebSite() as inside, WebSite(302, b"") as site:
        site.headers = {"Location": f"http://127.0.0.1:{inside.port}/"}
        found = pages(server, f"http://127.0.0.1:{site.port}")
    assert found[-1].code == "pages_redirect"
    assert inside.asked == []


@contextmanager
def dripping(beginning: bytes) -> Iterator[int]:
    """Answer on a port, which is given, a byte at a time, until whoever asks goes away."""

    def drip(listening: socket.socket) -> None:
        with suppress(OSError), listening.accept()[0] as asking:
            asking.sendall(beginning)
            while not stop.wait(0.02):
                asking.sendall(b"x")

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=(listening,))
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            stop.set()
            thread.join()


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_a_server_that_drips_is_left_after_seconds_in_all(beginning: bytes) -> None:
    # It would go on for ever: that the visit ends at all is what is tried.
    with dripping(beginning) as port, pytest.raises(FetchTimeout):
        fetch(f"http://localhost:{port}/", ["127.0.0.1"], allow_private=True, seconds=0.3)


def test_a_server_that_says_nothing_is_left_in_the_middle_of_tls_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(FetchTimeout):
            fetch(f"https://localhost:{port}/", ["127.0.0.1"], allow_private=True, seconds=0.3)


def test_pages_and_statements_that_drip_could_not_be_checked(
    server: NameServer, names: DnsResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (answer_pages, privacy_statements):
        monkeypatch.setattr(module, "fetch", partial(fetch, seconds=0.3))
    beginning = b"HTTP/1.1 200 OK\r\nX-Long: "
    with dripping(beginning) as port:
        assert codes(pages(server, f"http://localhost:{port}"))[-1] == "pages_too_slow"
    with dripping(beginning) as port:
        assert statement(names, f"http://localhost:{port}/privacy") == ["lists_too_slow"]


# --- A list's privacy statement.


def statement(names: DnsResolver, url: str, *, allow_private: bool = True) -> list[str]:
    return codes(list(check_privacy_statement(names, "news", url, allow_private=allow_private)))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, []), (301, []), (403, []), (404, ["list_privacy_gone"]), (410, ["list_privacy_gone"])],
)
def test_a_privacy_statement_is_there_or_not(
    names: DnsResolver, status: int, expected: list[str]
) -> None:
    with WebSite(status) as site:
        assert statement(names, f"http://localhost:{site.port}/privacyverklaring-é?a=b") == expected
    assert site.asked == [("GET", "/privacyverklaring-%C3%A9?a=b", b"")]


def test_a_page_without_a_path_is_its_first(names: DnsResolver) -> None:
    with WebSite() as site:
        assert statement(names, f"http://localhost:{site.port}") == []
    assert site.asked == [("GET", "/", b"")]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "www.example.org"])
def test_a_privacy_statement_on_a_private_network_is_not_fetched(
    server: NameServer, names: DnsResolver, host: str
) -> None:
    server.records["www.example.org A"] = ["127.0.0.1"]
    with WebSite() as site:
        url = f"http://{host}:{site.port}/privacy"
        assert statement(names, url, allow_private=False) == ["list_privacy_gone"]
    assert site.asked == []


@pytest.mark.parametrize(
    "url", ["https://nowhere.example/privacy", "http://127.0.0.1:1/", "http://127.0.0.1:99999/"]
)
def test_a_privacy_statement_that_cannot_be_reached_is_gone(names: DnsResolver, url: str) -> None:
    assert statement(names, url) == ["list_privacy_gone"]


# --- What a privacy statement says, for the evidence of a launch.

SAYS = (
    b"<title>Privacy</title><style>p{}</style><script>var a = '<p>no';</script>"
    b"<h1>Your data</h1><p>We keep your address &amp; no more.</p>"
)
TEXT = "Privacy\n\nYour data\nWe keep your address & no more."


def said_at(names: DnsResolver, url: str, *, allow_private: bool = True) -> str:
    return read_privacy_statement(names, url, allow_private=allow_private)


def test_what_a_statement_says_is_read_as_text(names: DnsResolver) -> None:
    with WebSite(200, SAYS) as site:
        site.headers = {"Content-Type": "text/html"}
        assert said_at(names, f"http://localhost:{site.port}/privacy") == TEXT


def test_a_statement_is_read_in_its_own_encoding(names: DnsResolver) -> None:
    with WebSite(200, "één\0 adres".encode("latin-1")) as site:
        site.headers = {"Content-Type": "text/plain; charset=iso-8859-1"}
        assert said_at(names, f"http://localhost:{site.port}/") == "één adres"


def test_a_statement_that_has_moved_is_read_where_it_is(names: DnsResolver) -> None:
    with WebSite(200, SAYS) as there, WebSite(301, b"") as site:
        there.headers = {"Content-Type": "text/html; charset=utf-8"}
        site.headers = {"Location": f"http://localhost:{there.port}/privacy"}
        assert said_at(names, f"http://localhost:{site.port}/") == TEXT


@pytest.mark.parametrize("location", ["/", "file:///etc/passwd", "", "http://[", "ftp://a.example"])
def test_a_statement_that_leads_nowhere_cannot_be_read(names: DnsResolver, location: str) -> None:
    with WebSite(302, b"") as site:
        site.headers = {"Location": location, "Content-Type": "text/html"}
        assert not said_at(names, f"http://localhost:{site.port}/")


def test_a_statement_on_a_private_network_is_not_read(names: DnsResolver) -> None:
    with WebSite(200, SAYS) as inside:
        assert not said_at(names, f"http://127.0.0.1:{inside.port}/", allow_private=False)
    assert inside.asked == []


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (404, {"Content-Type": "text/html"}, SAYS),
        (200, {"Content-Type": "application/pdf"}, b"%PDF-1.7"),
        (200, {}, SAYS),
        (200, {"Content-Type": "text/html; charset=klingon"}, SAYS),
        (200, {"Content-Type": "text/html"}, b"<script>all of it</script>"),
        (200, {"Content-Type": "text/plain"}, b"a" * 1_000_000),
    ],
)
def test_what_is_no_statement_in_text_cannot_be_read(
    names: DnsResolver, status: int, headers: dict[str, str], body: bytes
) -> None:
    with WebSite(status, body) as site:
        site.headers = headers
        assert not said_at(names, f"http://localhost:{site.port}/")


def test_a_statement_where_nothing_answers_cannot_be_read(names: DnsResolver) -> None:
    assert not said_at(names, "https://nowhere.example/privacy")
    assert not said_at(names, "http://127.0.0.1:1/")


# --- What comes back.


@pytest.mark.parametrize(
    ("records", "code", "verdict"),
    [
        ({"example.org MX": ["10 mail.example.org."]}, "mx_ok", "ok"),
        ({}, "mx_none", "problem"),
        ({"example.org MX": ["0 ."], "example.org A": ["192.0.2.1"]}, "mx_none", "problem"),
        ({"example.org A": ["192.0.2.1"]}, "mx_address_alone", "warning"),
        ({"example.org TXT": ['"hello"']}, "mx_none", "problem"),
    ],
)
def test_whether_a_domain_takes_mail(
    server: NameServer, names: DnsResolver, records: dict[str, list[str]], code: str, verdict: str
) -> None:
    server.records |= records
    (one,) = check_mx(names, "example.org")
    assert (one.code, one.verdict) == (code, verdict)


def test_a_domain_for_bounces_takes_mail_or_not(server: NameServer, names: DnsResolver) -> None:
    server.records["in.example.org MX"] = ["10 mail.example.org."]
    assert list(check_return_domain(names, "in.example.org")) == []
    (one,) = check_return_domain(names, "out.example.org")
    assert (one.code, one.verdict) == ("bounces_nowhere", "problem")
    assert 'return_path = "fixed"' in one.remedy


@pytest.mark.parametrize(
    ("protocol", "username", "email", "codes"),
    [
        ("imap", "nieuws@example.org", "info@example.org", ["bounces_replies_elsewhere"]),
        ("pop3", "nieuws@example.org", "info@example.org", ["bounces_replies_elsewhere"]),
        ("imap", "Info@Example.org", "info@example.org", []),
        # Whose mailbox a bare user name opens is not known.
        ("imap", "nieuws", "info@example.org", []),
        # Without an address of the organisation replies go to the sender.
        ("imap", "nieuws@example.org", "", []),
        ("none", "nieuws@example.org", "info@example.org", []),
    ],
)
def test_where_replies_go_is_compared_with_the_mailbox_that_is_read(
    protocol: str, username: str, email: str, codes: list[str]
) -> None:
    settings = make_settings(
        bounces=Bounces(protocol=protocol, username=username),
        organisation=make_organisation(email=email),
    )
    found = list(check_reply_mailbox(settings))
    assert [one.code for one in found] == codes
    for one in found:
        assert (one.verdict, one.area) == ("warning", "bounces")
        assert "nieuws@example.org" in one.found


@pytest.mark.parametrize(
    ("has_returned", "code", "verdict"),
    [(False, "bounces_none", "warning"), (True, "bounces_came", "ok")],
)
def test_what_comes_back_is_read_by_somebody(
    has_returned: bool,
    code: str,
    verdict: str,
) -> None:
    (one,) = check_bounce_reader(make_settings(), has_returned=has_returned)
    assert (one.code, one.verdict) == (code, verdict)
    assert not list(check_bounce_reader(with_mailbox(Bounces(protocol="imap")), has_returned=True))


# --- The mailbox.


def with_mailbox(account: Bounces) -> Settings:
    return make_settings(bounces=account)


def mailbox_account(mailbox: Mailbox, **overrides: Any) -> Bounces:
    usual = Bounces(
        protocol=mailbox.protocol,
        server="localhost",
        port=mailbox.port,
        tls=mailbox.tls,
        username="me",
        password="secret",
    )
    return replace(usual, **overrides)


def tried(account: Bounces) -> list[tuple[str, str]]:
    report = run.check_mailbox(
        with_mailbox(account), has_returned=False, log_in=poll.log_in, now=NOW
    )
    return [(one.code, one.verdict) for one in report.findings]


@pytest.mark.parametrize("kind", [ImapMailbox, Pop3Mailbox])
def test_a_mailbox_is_logged_in_to_and_left_as_it_is(kind: type[Mailbox]) -> None:
    with kind(b"Subject: a\n\nb") as mailbox:
        assert tried(mailbox_account(mailbox)) == [("bounces_mailbox", "ok")]
        assert mailbox.numbers == [1]
        assert not mailbox.seen
        assert not {"UID", "RETR", "DELE"} & set(mailbox.said)
        wrong = mailbox_account(mailbox, password="wrong")
        assert tried(wrong) == [("bounces_login", "problem")]


def test_each_fault_of_a_mailbox_has_its_code(authority: trustme.CA, ca_file: str) -> None:
    context = server_context(authority)
    with ImapMailbox(tls="tls", context=context) as mailbox:
        good = mailbox_account(mailbox, ca_file=ca_file)
        assert tried(good) == [("bounces_mailbox", "ok")]
        assert tried(replace(good, ca_file="")) == [("bounces_certificate", "problem")]
        assert tried(replace(good, ca_file="/nowhere.pem")) == [("bounces_settings", "problem")]
        assert tried(replace(good, mailbox="Other")) == [("bounces_no_folder", "problem")]
    assert tried(good) == [("bounces_unreachable", "problem")]
    with ImapMailbox(lines={"STARTTLS": "NO no"}) as mailbox:
        starting = mailbox_account(mailbox, tls="starttls")
        assert tried(starting) == [("bounces_no_starttls", "problem")]
    with TokenEndpoint(refused("invalid_client")) as service, ImapMailbox() as mailbox:
        signing = mailbox_account(
            mailbox,
            auth="xoauth2",
            oauth_client_id="a",
            oauth_refresh_token="b",
            oauth_authority=service.url,
        )
        assert tried(signing) == [("bounces_sign_in", "problem")]
    assert tried(Bounces()) == [("bounces_none", "warning")]


def test_a_mailbox_server_that_nobody_knows_is_told_from_one_that_is_away(
    server: NameServer, names: DnsResolver, loopback_only: LoopbackOnly
) -> None:
    def away(_account: Bounces, *, seconds: float) -> None:
        assert seconds == 5
        raise TransportError(0, reason="the mailbox server cannot be reached")

    def check_one(host: str) -> list[str]:
        account = Bounces(protocol="imap", server=host, tls="none")
        return [one.code for one in check_mailbox_login(names, account, away)]

    server.records["imap.example.org A"] = ["192.0.2.1"]
    assert check_one("imap.example.org") == ["bounces_unreachable", "bounces_plain"]
    assert check_one("nowhere.example.org") == ["bounces_no_server", "bounces_plain"]
    assert check_one("192.0.2.1") == ["bounces_unreachable", "bounces_plain"]
    # The guard stands for a machine that knows neither name.
    assert loopback_only.tried == ["imap.example.org", "nowhere.example.org"]
    loopback_only.tried.clear()


@pytest.mark.parametrize("host", ["nas.local", "server", "ask.internal", "pc.lan"])
def test_a_private_name_is_wrong_whether_or_not_the_dns_here_knows_it(
    server: NameServer, host: str
) -> None:
    (one,) = pages(server, f"https://{host}")
    assert (one.code, one.verdict, one.values["host"]) == ("pages_here_alone", "problem", host)
    server.records[f"{host} A"] = ["127.0.0.1"]
    assert codes(pages(server, f"https://{host}:9"))[0] == "pages_here_alone"
