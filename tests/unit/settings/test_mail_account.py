"""Mail accounts: presets, the port that is meant, and what logging in needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repermit.errors import ConfigError
from repermit.settings import config_file
from repermit.settings.definitions import MailServer
from repermit.settings.smtp_presets import PRESETS
from tests.support.config_documents import make_document, parse
from tests.support.dkim_keys import make_key

# --- Presets.


def test_a_preset_says_all_that_is_known_of_an_account() -> None:
    mail = parse(mail={"preset": "office365", "username": "nieuws@example.org"}).mail
    assert (mail.server, mail.port, mail.tls) == ("smtp.office365.com", 587, "starttls")
    assert (mail.connections, mail.return_path) == (2, "fixed")
    assert (mail.rate_per_minute, mail.rate_per_hour, mail.rate_per_day) == (20, 0, 8000)


def test_a_value_beside_the_preset_holds_instead() -> None:
    given = {"preset": "google-relay", "rate_per_day": 0, "port": 2525, "return_path": "verp"}
    mail = parse(mail=given).mail
    assert (mail.rate_per_day, mail.port, mail.return_path) == (0, 2525, "verp")
    assert (mail.tls, mail.connections) == ("starttls", 2)


@pytest.mark.parametrize(
    "given",
    [
        {"preset": "office365"},
        {"server": "smtp.office365.com"},
        {"server": "SMTP.Office365.com"},
    ],
)
def test_exchange_online_takes_no_envelope_sender_but_the_mailbox(given: dict[str, Any]) -> None:
    login = {"username": "nieuws@example.org", "password": "mellon"}
    with pytest.raises(ConfigError, match="refuses an address for each mail") as refused:
        parse(mail={**given, **login, "return_path": "verp"})
    assert refused.value.key == "mail.return_path"
    assert parse(mail={**given, **login, "return_path": "fixed"}).mail.return_path == "fixed"


def test_a_connector_of_exchange_online_takes_other_envelope_senders() -> None:
    own = {"preset": "office365", "server": "example-org.mail.protection.outlook.com"}
    assert parse(mail={**own, "return_path": "verp"}).mail.return_path == "verp"


def test_a_preset_is_kept_below_the_limits_that_are_published() -> None:
    # Messages in a minute and in a day, and connections at a time.
    exchange = PRESETS["office365"]
    assert exchange.rate_per_minute < 30
    assert exchange.rate_per_day < 10_000
    assert exchange.connections < 3
    assert PRESETS["gmail"].rate_per_day < 500
    assert PRESETS["google-workspace"].rate_per_day < 2000
    assert PRESETS["google-relay"].rate_per_day < 10_000
    assert PRESETS["ionos"].rate_per_hour < 500


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_provider_publishes_is_no_key_of_mail(name: str) -> None:
    assert PRESETS[name].values().keys() <= vars(MailServer()).keys()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_goes_through_tls_and_has_a_pace(name: str) -> None:
    mail = parse(mail={"preset": name, "server": "mail.example.org"}).mail
    assert mail.tls in {"tls", "starttls"}
    assert mail.port == {"tls": 465, "starttls": 587}[mail.tls]
    assert mail.interval
    assert mail.return_path == "fixed"


@pytest.mark.parametrize("name", ["cpanel", "plesk", "directadmin"])
def test_where_only_the_customer_knows_the_server_it_is_asked_for(name: str) -> None:
    with pytest.raises(ConfigError, match=r"mail\.server is needed: your host tells") as refused:
        parse(mail={"preset": name})
    assert refused.value.key == "mail.server"


@pytest.mark.parametrize("name", ["outlook", 1, []])
def test_a_preset_that_there_is_not_is_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=r"^mail\.preset must be") as refused:
        parse(mail={"preset": name})
    assert refused.value.key == "mail.preset"


def test_the_presets_are_named() -> None:
    with pytest.raises(ConfigError, match=r"one of office365, gmail, .*directadmin"):
        parse(mail={"preset": "outlook"})


# --- The mailbox of bounces.

MAILBOX = {"protocol": "imap", "server": "mail.example.org", "username": "bounce@example.org"}


@pytest.mark.parametrize(
    ("given", "port"),
    [
        ({}, 993),
        ({"tls": "starttls"}, 143),
        ({"protocol": "pop3"}, 995),
        ({"protocol": "pop3", "tls": "none"}, 110),
        ({"protocol": "pop3", "port": 1995}, 1995),
        ({"protocol": "none"}, 993),
    ],
)
def test_a_mailbox_is_read_at_the_usual_port(given: dict[str, Any], port: int) -> None:
    assert parse(bounces={**MAILBOX, **given}).bounces.port == port


@pytest.mark.parametrize("key", ["server", "username"])
def test_a_mailbox_has_to_be_named(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"bounces\.{key} is needed") as refused:
        parse(bounces={**MAILBOX, key: ""})
    assert refused.value.key == f"bounces.{key}"


# --- XOAUTH2.

APPLICATION = {
    "auth": "xoauth2",
    "username": "nieuws@example.org",
    "oauth_tenant": "example.onmicrosoft.com",
    "oauth_client_id": "1f0c",
    "oauth_client_secret": "sesame",
}
PERSON = {
    "auth": "xoauth2",
    "username": "nieuws@example.org",
    "oauth_client_id": "1f0c",
    "oauth_refresh_token": "simsalabim",
}


@pytest.mark.parametrize("given", [APPLICATION, PERSON])
def test_an_application_shows_a_secret_or_a_persons_token(given: dict[str, Any]) -> None:
    settings = parse(mail=given, bounces={**MAILBOX, **given})
    assert settings.mail.oauth_client_id == settings.bounces.oauth_client_id == "1f0c"


@pytest.mark.parametrize(
    ("given", "missing", "named"),
    [
        (APPLICATION, "username", "username"),
        (APPLICATION, "oauth_client_id", "oauth_client_id"),
        (APPLICATION, "oauth_tenant", "oauth_refresh_token"),
        (APPLICATION, "oauth_client_secret", "oauth_refresh_token"),
        (PERSON, "oauth_client_id", "oauth_client_id"),
        (PERSON, "oauth_refresh_token", "oauth_refresh_token"),
    ],
)
@pytest.mark.parametrize("table", ["mail", "bounces"])
def test_what_is_missing_for_a_token_is_told_before(
    table: str, given: dict[str, Any], missing: str, named: str
) -> None:
    values = {**(MAILBOX if table == "bounces" else {}), **given, missing: ""}
    with pytest.raises(ConfigError) as refused:
        parse(**{table: values})
    assert refused.value.key == f"{table}.{named}"
    assert f"{table}." in str(refused.value)


def test_a_mailbox_that_is_not_read_needs_nothing() -> None:
    assert parse(bounces={"auth": "xoauth2"}).bounces.auth == "xoauth2"


@pytest.mark.parametrize(
    "address",
    [
        "https://login.microsoftonline.us",
        "https://id.example.org:8443/realms/a/token",
        "http://127.0.0.1:8080/token",
        "http://[::1]:8080/token",
        "http://localhost/token",
    ],
)
def test_a_token_may_be_asked_for_by_https_or_on_this_machine(address: str) -> None:
    assert parse(mail={**PERSON, "oauth_authority": address}).mail.oauth_authority == address


@pytest.mark.parametrize(
    "address",
    [
        "http://id.example.org/token",
        "http://127.0.0.1.example.org/token",
        "http://10.0.0.1/token",
        "ftp://127.0.0.1/token",
        "file:///etc/passwd",
        "id.example.org",
        "https://",
        "https://id.exämple.org/token",
    ],
)
def test_a_secret_is_sent_nowhere_else(address: str) -> None:
    with pytest.raises(ConfigError, match="must be an https address") as refused:
        parse(mail={**PERSON, "oauth_authority": address})
    assert refused.value.key == "mail.oauth_authority"


@pytest.mark.parametrize("tenant", ["a/b", "https://example.org", "..", "example.org?", " "])
def test_a_tenant_is_a_name_and_no_part_of_an_address(tenant: str) -> None:
    with pytest.raises(ConfigError, match=r"must look like example\.onmicrosoft\.com") as refused:
        parse(bounces={**MAILBOX, **APPLICATION, "oauth_tenant": tenant})
    assert refused.value.key == "bounces.oauth_tenant"


def test_tokens_and_secrets_may_stand_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("sesame\n")
    (tmp_path / "token").write_text("simsalabim\n")
    given = {
        **APPLICATION,
        "oauth_client_secret_file": "secret",
        "oauth_refresh_token_file": "token",
    }
    del given["oauth_client_secret"]
    document = make_document(mail=given, bounces={**MAILBOX, **given})
    settings = config_file.parse_config(document, folder=tmp_path)
    for account in (settings.mail, settings.bounces):
        assert account.oauth_client_secret == "sesame"
        assert account.oauth_refresh_token == "simsalabim"


# --- A key to sign with.


def test_a_key_to_sign_with_is_taken_with_the_name_of_its_record() -> None:
    given = {"dkim_key": make_key(), "dkim_selector": "s1-a_b.mail", "dkim_domain": "example.org"}
    mail = parse(mail=given).mail
    assert (mail.dkim_key, mail.dkim_selector) == (make_key(), "s1-a_b.mail")


@pytest.mark.parametrize(
    ("given", "key", "words"),
    [
        ({}, "mail.dkim_selector", "mail.dkim_selector is needed: the name of the record"),
        ({"dkim_selector": "a; b=c"}, "mail.dkim_selector", "is written as in the DNS"),
        ({"dkim_selector": ".a"}, "mail.dkim_selector", "is written as in the DNS"),
        ({"dkim_selector": "a", "dkim_domain": "a b"}, "mail.dkim_domain", "as in the DNS"),
        ({"dkim_selector": "a", "dkim_key": "x"}, "mail.dkim_key", "is no RSA key of 2048 bits"),
    ],
)
def test_a_key_that_nobody_could_check_is_refused(
    given: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        parse(mail={"dkim_key": make_key(), **given})
    assert refused.value.key == key


def test_a_selector_without_a_key_is_only_looked_up() -> None:
    assert parse(mail={"dkim_selector": "a b"}).mail.dkim_selector == "a b"
