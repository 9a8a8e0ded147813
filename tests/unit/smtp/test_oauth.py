"""Logging in with tokens: kept, renewed in time, renewed once when refused, and never told."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from repermit.clock import ManualClock
from repermit.emails.mail_types import Mail
from repermit.errors import TransportError
from repermit.settings.definitions import MailServer
from repermit.smtp import mail_server
from repermit.smtp.mail_server import Mailer
from repermit.smtp.oauth import TokenSource, get_token_source, make_xoauth2_response
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.token_server import TokenEndpoint, granted, refused

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
USER = "nieuws@example.org"

# What Google says before it refuses:
# https://developers.google.com/workspace/gmail/imap/xoauth2-protocol
CHALLENGE = "334 " + base64.b64encode(json.dumps({"status": "400"}).encode()).decode()
REFUSAL = "535 5.7.3 Authentication unsuccessful"
WELCOME = "235 2.7.0 welcome"
EHLO = "250-mail.example.org\r\n250-AUTH LOGIN XOAUTH2\r\n250 SIZE 1000000"


def make_server(endpoint: TokenEndpoint, **overrides: Any) -> MailServer:
    values = {
        "server": "localhost",
        "tls": "none",
        "auth": "xoauth2",
        "username": USER,
        "oauth_client_id": "1f0c",
        "oauth_client_secret": "sesame",
        "oauth_refresh_token": "simsalabim",
        "oauth_authority": endpoint.url,
        "reply_timeout": 60,
    }
    return MailServer(**{**values, **overrides})


MAIL = Mail(
    envelope_from=USER,
    envelope_to="jan@example.org",
    raw=b"Subject: hello\r\n\r\nhello\r\n",
    message_id="<1@example.org>",
    subject="hello",
    text="hello",
    html="hello",
    needs_smtputf8=False,
)


def hand_over(through: Mailer) -> None:
    """Send a mail over a line of its own."""
    with closing(through.open_connection()) as connection:
        mail_server.hand_over(connection, MAIL, timeout=5)


def tokens_shown(server: ScriptedServer) -> list[str]:
    """Return the tokens with which somebody has tried to log in, in their order."""
    logins = [line.split()[2] for line in server.said if line.startswith("AUTH XOAUTH2 ")]
    plain = [base64.b64decode(login, validate=True).decode() for login in logins]
    start, end = f"user={USER}\x01auth=Bearer ", "\x01\x01"
    assert all(login.startswith(start) and login.endswith(end) for login in plain)
    return [login.removeprefix(start).removesuffix(end) for login in plain]


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    """Run a service that gives token-1, token-2 and so on, each for an hour."""
    with TokenEndpoint() as endpoint:
        yield endpoint


# --- What XOAUTH2 is.


def test_a_login_is_what_google_and_microsoft_show() -> None:
    # The example of Microsoft's page on IMAP, POP and SMTP with OAuth.
    login = make_xoauth2_response(
        "test@contoso.onmicrosoft.com", "EwBAAl3BAAUFFpUAo7J3Ve0bjLBWZWCclRC3EoAA"
    )
    assert base64.b64encode(login.encode()).decode() == (
        "dXNlcj10ZXN0QGNvbnRvc28ub25taWNyb3NvZnQuY29tAWF1dGg9QmVhcmVy"
        "IEV3QkFBbDNCQUFVRkZwVUFvN0ozVmUwYmpMQldaV0NjbFJDM0VvQUEBAQ=="
    )


# --- Keeping tokens.


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [(3600, timedelta(minutes=55)), (600, timedelta(minutes=5)), (60, timedelta(seconds=30))],
)
def test_a_token_is_kept_until_shortly_before_its_end(seconds: int, kept: timedelta) -> None:
    with TokenEndpoint(granted("first", seconds), granted("second", seconds)) as endpoint:
        tokens = TokenSource(make_server(endpoint))
        assert tokens.get_token(NOW) == "first"
        assert tokens.get_token(NOW + kept - INSTANT) == "first"
        assert tokens.get_token(NOW + kept) == "second"


def test_a_refused_token_is_renewed_and_a_renewed_one_is_not(endpoint: TokenEndpoint) -> None:
    tokens = TokenSource(make_server(endpoint))
    assert tokens.get_token(NOW) == "token-1"
    assert tokens.get_token(NOW, refused="token-1") == "token-2"
    assert tokens.get_token(NOW, refused="token-1") == "token-2", "somebody else has renewed it"
    assert tokens.get_token(NOW) == "token-2"


def test_a_service_that_is_away_for_a_moment_is_not_missed() -> None:
    answers = (granted("first"), (503, b""), (503, b""), (503, b""))
    with TokenEndpoint(*answers) as endpoint:
        tokens = TokenSource(make_server(endpoint))
        assert tokens.get_token(NOW) == "first"
        assert tokens.get_token(NOW + HOUR - INSTANT) == "first"
        with pytest.raises(TransportError, match="out of order"):
            tokens.get_token(NOW + HOUR)


def test_a_refused_token_is_not_used_for_want_of_another() -> None:
    with TokenEndpoint(granted("first"), (503, b"")) as endpoint:
        tokens = TokenSource(make_server(endpoint))
        tokens.get_token(NOW)
        with pytest.raises(TransportError, match="out of order"):
            tokens.get_token(NOW, refused="first")


def test_a_refresh_token_is_followed_by_the_next() -> None:
    answers = (granted("a", refresh_token="abracadabra"), granted("b"), granted("c"))
    with TokenEndpoint(*answers) as endpoint:
        tokens = TokenSource(make_server(endpoint))
        for hour in range(3):
            tokens.get_token(NOW + hour * HOUR)
        used = [form["refresh_token"] for form in endpoint.asked]
    assert used == ["simsalabim", "abracadabra", "abracadabra"]


def test_many_at_once_ask_once(endpoint: TokenEndpoint) -> None:
    tokens = TokenSource(make_server(endpoint))
    together = threading.Barrier(8)

    def get(_: int) -> str:
        together.wait(10)
        return tokens.get_token(NOW)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(get, range(8))) == {"token-1"}
    assert len(endpoint.asked) == 1


def test_one_run_uses_the_tokens_of_another(endpoint: TokenEndpoint) -> None:
    assert get_token_source(make_server(endpoint)) is get_token_source(make_server(endpoint))
    other = make_server(endpoint, username="info@example.org")
    assert get_token_source(other) is not get_token_source(make_server(endpoint))


def test_nothing_of_a_source_is_shown_by_printing_it(endpoint: TokenEndpoint) -> None:
    tokens = TokenSource(make_server(endpoint))
    tokens.get_token(NOW)
    assert not any(secret in repr(tokens) for secret in ("token-1", "sesame", "simsalabim"))


# --- Logging in.


def test_a_login_with_a_token_is_one_line(endpoint: TokenEndpoint) -> None:
    with ScriptedServer(EHLO=EHLO, AUTH=WELCOME) as server:
        settings = make_server(endpoint, port=server.port)
        hand_over(Mailer(settings))
        assert len(server.mails) == 1
    assert tokens_shown(server) == ["token-1"]


def test_a_token_that_ends_in_mid_campaign_is_renewed(endpoint: TokenEndpoint) -> None:
    clock = ManualClock(NOW)
    with ScriptedServer(EHLO=EHLO, AUTH=WELCOME) as server:
        through = Mailer(make_server(endpoint, port=server.port), clock=clock)
        with closing(through.open_connection()) as connection:
            mail_server.hand_over(connection, MAIL, timeout=5)
            clock.advance(HOUR)
            # As long as the connection lasts, nobody asks for a token.
            mail_server.hand_over(connection, MAIL, timeout=5)
        assert tokens_shown(server) == ["token-1"]
        hand_over(through)
        assert (server.connections, len(server.mails)) == (2, 3)
    assert tokens_shown(server) == ["token-1", "token-2"]
    assert len(endpoint.asked) == 2


def test_a_new_connection_uses_a_token_that_still_lasts(endpoint: TokenEndpoint) -> None:
    clock = ManualClock(NOW)
    with ScriptedServer(EHLO=EHLO, AUTH=WELCOME) as server:
        settings = make_server(endpoint, port=server.port)
        for _ in range(2):
            hand_over(Mailer(settings, clock=clock))
            clock.advance(HOUR / 2)
    assert tokens_shown(server) == ["token-1", "token-1"]


@pytest.mark.parametrize(
    "lines",
    [
        {"AUTH": [REFUSAL, WELCOME]},
        {"AUTH": [CHALLENGE, WELCOME], "": REFUSAL},
    ],
    ids=["Microsoft", "Google"],
)
def test_a_refused_token_is_tried_anew_once(endpoint: TokenEndpoint, lines: dict[str, Any]) -> None:
    with ScriptedServer(EHLO=EHLO, **lines) as server:
        settings = make_server(endpoint, port=server.port)
        hand_over(Mailer(settings))
        assert (server.connections, len(server.mails)) == (1, 1)
    assert tokens_shown(server) == ["token-1", "token-2"]


@pytest.mark.parametrize(
    ("lines", "code", "shown"),
    [
        ({"AUTH": REFUSAL}, 535, ["token-1", "token-2"]),
        ({"AUTH": CHALLENGE, "": REFUSAL}, 535, ["token-1", "token-2"]),
        # None of these gets better with another token.
        ({"AUTH": "454 4.7.0 not now"}, 454, ["token-1"]),
        ({"AUTH": "504 5.7.4 what?"}, 504, ["token-1"]),
        ({"AUTH": "334 VXNlcm5hbWU6", "": "334 UGFzc3dvcmQ6"}, 334, ["token-1"]),
        ({"AUTH": "334 nonsense", "": "501 5.5.2 no"}, 501, ["token-1"]),
    ],
)
def test_a_login_that_is_refused_is_the_servers_fault(
    endpoint: TokenEndpoint, lines: dict[str, Any], code: int, shown: list[str]
) -> None:
    with ScriptedServer(EHLO=EHLO, **lines) as server:
        settings = make_server(endpoint, port=server.port)
        with pytest.raises(TransportError, match="does not take the login") as lost:
            hand_over(Mailer(settings))
        assert (lost.value.code, lost.value.scope, lost.value.permanent) == (code, "server", False)
        assert not server.mails
    assert tokens_shown(server) == shown


@pytest.mark.parametrize(
    "offered", ["250 mail", "250-mail\r\n250 AUTH LOGIN PLAIN", "250 AUTH XOAUTH"]
)
def test_a_server_that_has_not_asked_for_a_token_sees_none(
    endpoint: TokenEndpoint, offered: str
) -> None:
    with ScriptedServer(EHLO=offered) as server:
        settings = make_server(endpoint, port=server.port)
        with pytest.raises(TransportError, match='offers no login with auth = "xoauth2"'):
            hand_over(Mailer(settings))
    assert tokens_shown(server) == []
    assert endpoint.asked == []


def test_a_server_without_its_token_waits_like_one_that_is_down() -> None:
    with (
        TokenEndpoint(refused("invalid_grant"), granted("fresh")) as endpoint,
        ScriptedServer(EHLO=EHLO, AUTH=WELCOME) as server,
    ):
        through = Mailer(make_server(endpoint, port=server.port))
        with pytest.raises(TransportError, match="oauth_refresh_token any more") as lost:
            hand_over(through)
        assert (lost.value.scope, lost.value.permanent) == ("server", False)
        assert tokens_shown(server) == []
        hand_over(through)
        assert (server.connections, len(server.mails)) == (2, 1)
    assert tokens_shown(server) == ["fresh"]


def test_no_token_or_secret_is_logged_or_told(
    endpoint: TokenEndpoint, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(EHLO=EHLO, AUTH=REFUSAL) as server:
        settings = make_server(endpoint, port=server.port)
        with pytest.raises(TransportError) as lost:
            hand_over(Mailer(settings))
    logged = "".join(record.getMessage() for record in caplog.records)
    shown = "".join([*capfd.readouterr(), logged, str(lost.value), repr(lost.value)])
    assert not any(secret in shown for secret in ("token-", "sesame", "simsalabim", USER))
