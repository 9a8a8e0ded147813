"""Getting a token: what is asked, what is made of the answer, and what is never told."""

from __future__ import annotations

import json
import logging
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from repermit.errors import TransportError
from repermit.settings.definitions import Bounces, MailServer
from repermit.smtp.oauth import Grant, SignInService, ask_for_token
from tests.support.certificates import server_context
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.token_server import TENANT, TokenEndpoint, granted, refused

if TYPE_CHECKING:
    import trustme

SECRETS = ("sesame", "simsalabim", "the-token", "the-next")
EXCHANGE = "https://outlook.office365.com/.default"


def make_account(endpoint: TokenEndpoint, **overrides: Any) -> MailServer:
    values = {
        "auth": "xoauth2",
        "username": "nieuws@example.org",
        "oauth_client_id": "1f0c",
        "oauth_client_secret": "sesame",
        "oauth_refresh_token": "simsalabim",
        "oauth_authority": endpoint.url,
    }
    return MailServer(**{**values, **overrides})


def ask(endpoint: TokenEndpoint, **overrides: Any) -> Grant:
    account = make_account(endpoint, **overrides)
    return ask_for_token(account, account.oauth_refresh_token)


def assert_refused(refused: TransportError, *words: str) -> None:
    """Assert that it is the server's fault, may get better, and tells no secret."""
    assert (refused.code, refused.scope, refused.permanent) == (0, "server", False)
    said = f"{refused} {refused!r} {refused.__cause__!r}"
    assert all(word in said for word in words), said
    assert not any(secret in said for secret in SECRETS)


# --- As RFC 6749 has it: Google and others.


def test_a_refresh_token_is_traded_for_a_token() -> None:
    with TokenEndpoint(granted("the-token", 3599)) as endpoint:
        assert ask(endpoint) == Grant("the-token", 3599)
    assert endpoint.asked == [
        {
            "grant_type": "refresh_token",
            "refresh_token": "simsalabim",
            "client_id": "1f0c",
            "client_secret": "sesame",
        }
    ]


def test_an_application_without_a_secret_sends_none() -> None:
    with TokenEndpoint(granted("the-token")) as endpoint:
        ask(endpoint, oauth_client_secret="")
    assert "client_secret" not in endpoint.asked[0]


def test_a_mailbox_for_bounces_has_the_same_settings() -> None:
    with TokenEndpoint(granted("the-token")) as endpoint:
        account = Bounces(
            oauth_client_id="1f0c", oauth_refresh_token="simsalabim", oauth_authority=endpoint.url
        )
        assert ask_for_token(account, account.oauth_refresh_token).token == "the-token"


def test_no_proxy_is_asked_for_this_very_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with TokenEndpoint(granted("the-token")) as endpoint:
        assert ask(endpoint).token == "the-token"


@pytest.mark.parametrize(
    ("answer", "grant"),
    [
        (granted("the-token", "3600"), Grant("the-token", 3600)),
        (granted("the-token", 1e9), Grant("the-token", 86_400)),
        ({"access_token": "the-token"}, Grant("the-token", 3600)),
        (
            granted("the-token", refresh_token="the-next"),
            Grant("the-token", 3600, refresh_token="the-next"),
        ),
    ],
)
def test_an_answer_is_read_as_services_give_it(answer: dict[str, Any], grant: Grant) -> None:
    with TokenEndpoint(answer) as endpoint:
        assert ask(endpoint) == grant


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"the-token"),
        (200, b"\xff"),
        (200, b'["the-token"]'),
        (200, b"[" * 100_000),
        (200, b'{"access_token": "the-token"' + b" " * 1_000_000 + b"}"),
        (302, b""),
        (400, b"no"),
        {},
        {"access_token": 1},
        {"access_token": ""},
        granted("the-token\r\nRSET"),
        granted("the-token\x01auth=Bearer"),
        granted("thé-token"),
        granted("the-token", "soon"),
        granted("the-token", None),
        granted("the-token", 0),
        granted("the-token", -1),
        granted("the-token", float("inf")),
        granted("the-token", refresh_token=["the-next"]),
    ],
)
def test_nonsense_is_no_token(answer: Any) -> None:
    with TokenEndpoint(answer) as endpoint, pytest.raises(TransportError) as lost:
        ask(endpoint)
    assert_refused(lost.value, "the sign-in service 127.0.0.1 gives no answer that can be read")
    assert len(endpoint.asked) == 1, "no redirect is followed"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("invalid_client", "does not know oauth_client_id, or does not take oauth_client_secret"),
        ("unauthorized_client", "does not let the application of oauth_client_id"),
        ("invalid_grant", "does not take oauth_refresh_token any more"),
        ("invalid_scope", "does not let the application into a mailbox"),
        ("temporarily_unavailable", "is out of order"),
        ("something_else", "gives no token"),
    ],
)
def test_a_refusal_says_what_to_look_at(error: str, words: str) -> None:
    told = refused(error, error_description="the-token of simsalabim")
    with TokenEndpoint(told) as endpoint, pytest.raises(TransportError) as lost:
        ask(endpoint)
    assert_refused(lost.value, words, "(5.7.8)")
    assert "error_description" not in str(lost.value)


@pytest.mark.parametrize("error", [None, 1, ["invalid_client"]])
def test_a_refusal_of_an_odd_form_is_one(error: object) -> None:
    answer = {**granted("the-token"), "error": error}
    with TokenEndpoint(answer) as endpoint, pytest.raises(TransportError, match="gives no token"):
        ask(endpoint)


def test_a_service_that_is_out_of_order_is_told() -> None:
    with TokenEndpoint((503, b"the-token")) as endpoint, pytest.raises(TransportError) as lost:
        ask(endpoint)
    assert_refused(lost.value, "is out of order (HTTP 503)")


def test_a_service_that_is_down_is_told() -> None:
    with TokenEndpoint() as endpoint:
        pass
    with pytest.raises(TransportError) as lost:
        ask(endpoint)
    assert_refused(lost.value, "the sign-in service 127.0.0.1 cannot be reached (no reply)")


def test_a_service_that_speaks_no_http_is_told() -> None:
    with ScriptedServer() as server:
        address = f"http://127.0.0.1:{server.port}/token"
        with pytest.raises(TransportError, match="cannot be reached"):
            SignInService(address, ca_file="").post(address, {})


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/other", "file:///etc/hostname", "data:,{}"])
def test_secrets_go_by_https_or_to_the_address_of_the_settings_alone(url: str) -> None:
    with TokenEndpoint() as endpoint:
        service = SignInService(endpoint.url, ca_file="")
        with pytest.raises(TransportError, match="gives no answer that can be read"):
            service.post(url, {"client_secret": "sesame"})


def test_nothing_of_a_grant_is_shown_by_printing_it() -> None:
    shown = repr(Grant("the-token", 3600, refresh_token="the-next"))
    assert shown == "Grant(seconds=3600)"


# --- Microsoft, through msal.


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    return server_context(authority)


def ask_microsoft(endpoint: TokenEndpoint, ca_file: str, **overrides: Any) -> Grant:
    values = {"oauth_tenant": TENANT, "oauth_refresh_token": "", "ca_file": ca_file}
    return ask(endpoint, **{**values, **overrides})


def test_an_application_gets_a_token_on_its_own_word(context: ssl.SSLContext, ca_file: str) -> None:
    with TokenEndpoint(granted("the-token"), context=context) as endpoint:
        assert ask_microsoft(endpoint, ca_file) == Grant("the-token", 3600)
    (form,) = endpoint.asked
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == EXCHANGE
    assert (form["client_id"], form["client_secret"]) == ("1f0c", "sesame")


@pytest.mark.parametrize("secret", ["sesame", ""])
def test_a_person_has_let_the_application_into_their_mailbox(
    secret: str, context: ssl.SSLContext, ca_file: str
) -> None:
    answer = granted("the-token", refresh_token="the-next")
    person = {"oauth_refresh_token": "simsalabim", "oauth_client_secret": secret}
    with TokenEndpoint(answer, context=context) as endpoint:
        grant = ask_microsoft(endpoint, ca_file, **person)
    assert grant == Grant("the-token", 3600, refresh_token="the-next")
    (form,) = endpoint.asked
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "simsalabim")
    assert EXCHANGE in form["scope"].split()
    assert form.get("client_secret", "") == secret


def test_every_token_is_a_new_one(context: ssl.SSLContext, ca_file: str) -> None:
    with TokenEndpoint(context=context) as endpoint:
        tokens = [ask_microsoft(endpoint, ca_file).token for _ in range(2)]
    assert tokens == ["token-1", "token-2"]


def test_a_refusal_of_microsofts_has_its_number(context: ssl.SSLContext, ca_file: str) -> None:
    told = refused(
        "invalid_client",
        error_description="AADSTS7000215: Invalid client secret: sesame",
        error_codes=[7000215, "the-token"],
    )
    with (
        TokenEndpoint(told, context=context) as endpoint,
        pytest.raises(TransportError) as lost,
    ):
        ask_microsoft(endpoint, ca_file)
    assert_refused(lost.value, "does not take oauth_client_secret, AADSTS7000215 (5.7.8)")


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        (refused("invalid_tenant"), "does not know oauth_tenant (5.7.8)"),
        ((404, b"{}"), "does not know oauth_tenant (5.7.8)"),
        ((500, b""), "is out of order (HTTP 500)"),
        ((302, b"{}"), "gives no answer that can be read"),
        ((200, b"<html>"), "gives no answer that can be read"),
        ({"issuer": "sesame"}, "gives no answer that can be read"),
        (
            {"authorization_endpoint": "", "token_endpoint": "http://127.0.0.1:1/sesame"},
            "gives no answer that can be read",
        ),
        (
            {"authorization_endpoint": "", "token_endpoint": 1},
            "gives no answer that can be read",
        ),
    ],
)
def test_a_tenant_that_makes_no_sense_is_told(
    tenant: Any, words: str, context: ssl.SSLContext, ca_file: str
) -> None:
    with (
        TokenEndpoint(context=context, tenant=tenant) as endpoint,
        pytest.raises(TransportError) as lost,
    ):
        ask_microsoft(endpoint, ca_file)
    assert_refused(lost.value, words)
    assert not endpoint.asked


@pytest.mark.parametrize("answer", [{}, (200, b"the-token"), granted("the-token", "soon"), []])
def test_nonsense_of_microsofts_is_no_token(
    answer: Any, context: ssl.SSLContext, ca_file: str
) -> None:
    with (
        TokenEndpoint(answer, context=context) as endpoint,
        pytest.raises(TransportError) as lost,
    ):
        ask_microsoft(endpoint, ca_file)
    assert_refused(lost.value, "the sign-in service localhost gives no answer that can be read")


def test_a_service_that_is_not_who_it_says_gets_no_secret(context: ssl.SSLContext) -> None:
    with TokenEndpoint(context=context) as endpoint, pytest.raises(TransportError) as lost:
        ask_microsoft(endpoint, ca_file="")
    assert_refused(lost.value, "cannot be reached")
    assert not endpoint.asked


def test_no_token_secret_or_name_is_logged(
    context: ssl.SSLContext,
    ca_file: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    # An id_token that names a person and has long ended: msal would warn of it, name and all.
    odd = {"id_token": "e30.eyJleHAiOjEsIm5hbWUiOiJKYW4ifQ.", "client_info": "the-token"}
    answers = (granted("the-token", refresh_token="the-next", **odd), (200, b"the-token"))
    person = {"oauth_refresh_token": "simsalabim"}
    with TokenEndpoint(*answers, context=context) as endpoint:
        assert ask_microsoft(endpoint, ca_file, **person).token == "the-token"
        with pytest.raises(TransportError):
            ask_microsoft(endpoint, ca_file, **person)
    logged = json.dumps([record.getMessage() for record in caplog.records])
    shown = "".join([logged, *capfd.readouterr()])
    assert not any(secret in shown for secret in (*SECRETS, "Jan"))
