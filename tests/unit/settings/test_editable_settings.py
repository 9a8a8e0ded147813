"""Settings that may be chosen on the pages: what wins, what is usual, and what may not be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repermit.errors import ConfigError
from repermit.settings import config_file
from repermit.settings.definitions import SETTINGS, MailServer, Origin
from repermit.settings.editable_settings import (
    EDITABLE,
    apply_overrides,
    find_effective_defaults,
    find_locked_keys,
    find_misdirected_secret,
)
from repermit.settings.validation import check_value
from tests.support.builders import make_settings
from tests.support.config_documents import make_document, parse
from tests.support.dkim_keys import make_key


def test_the_file_wins_over_a_choice_and_a_choice_over_what_is_usual() -> None:
    settings = parse(mail={"preset": "office365", "port": 26}, retention={"trace_days": 30})
    chosen = {
        "mail.port": 27,
        "mail.connections": 1,
        "retention.trace_days": 1,
        "retention.access_days": 30,
        "timezone": "Europe/Berlin",
    }
    composed = apply_overrides(settings, chosen)
    assert (composed.mail.port, composed.mail.connections) == (26, 1)
    assert composed.mail.server == "smtp.office365.com"
    assert (composed.retention.trace_days, composed.retention.access_days) == (30, 30)
    assert composed.timezone == "Europe/Berlin"
    assert {key: composed.origins[key] for key in (*chosen, "mail.server", "mail.username")} == {
        "mail.port": Origin.CONFIG,
        "mail.connections": Origin.CHOSEN,
        "retention.trace_days": Origin.CONFIG,
        "retention.access_days": Origin.CHOSEN,
        "timezone": Origin.CHOSEN,
        "mail.server": Origin.PRESET,
        "mail.username": Origin.DEFAULT,
    }
    # What was taken back leaves nothing behind.
    assert apply_overrides(composed, {}) == settings


def test_a_chosen_preset_fills_in_what_nobody_says() -> None:
    chosen = {"mail.preset": "transip", "mail.rate_per_hour": 50}
    mail = apply_overrides(parse(mail={"port": 2525}), chosen).mail
    assert (mail.server, mail.port, mail.tls) == ("smtp.transip.email", 2525, "tls")
    assert mail.rate_per_hour == 50
    usual = find_effective_defaults(parse(mail={"port": 2525}), chosen)
    assert (usual["mail.port"], usual["mail.rate_per_hour"], usual["mail.tls"]) == (465, 80, "tls")
    assert usual["mail.preset"] == ""


def test_the_usual_port_of_a_mailbox_follows_its_protocol() -> None:
    assert find_effective_defaults(parse(), {"bounces.protocol": "pop3"})["bounces.port"] == 995
    chosen = {"bounces.protocol": "imap", "bounces.tls": "starttls"}
    assert find_effective_defaults(parse(), chosen)["bounces.port"] == 143
    whole = {**chosen, "bounces.server": "mail.example.org", "bounces.username": "news"}
    assert apply_overrides(parse(), whole).bounces.port == 143


def test_a_secret_of_the_files_goes_only_where_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a secret\n")
    document = make_document(mail={"password_file": "password"})
    settings = config_file.parse_config(document, folder=tmp_path)
    evil = {"mail.server": "evil.example.org", "mail.tls": "none", "mail.username": "news"}
    composed = apply_overrides(settings, evil)
    assert composed.mail == MailServer(username="news", password="a secret")
    assert {"mail.server", "mail.preset", "mail.oauth_authority"} <= find_locked_keys(settings)
    assert "bounces.server" not in find_locked_keys(settings)


def test_the_name_of_a_key_that_signs_is_said_where_the_key_is(tmp_path: Path) -> None:
    (tmp_path / "dkim.pem").write_text(make_key())
    document = make_document(mail={"dkim_key_file": "dkim.pem", "dkim_selector": "mail2026"})
    settings = config_file.parse_config(document, folder=tmp_path)
    assert settings.mail.dkim_key == make_key().strip()
    assert "mail.dkim_selector" in find_locked_keys(settings)
    assert "mail.dkim_selector" not in find_locked_keys(parse())
    chosen: dict[str, Any] = {"mail.dkim_selector": "other", "mail.dkim_domain": "evil.example"}
    composed = apply_overrides(settings, chosen).mail
    assert (composed.dkim_selector, composed.dkim_domain) == ("mail2026", "")
    assert apply_overrides(parse(), chosen).mail.dkim_selector == "other"


def test_what_was_made_without_a_file_counts_as_given() -> None:
    settings = make_settings(mail=MailServer(server="mail.example.org"), timezone="Europe/Paris")
    composed = apply_overrides(settings, {"mail.server": "other.example.org", "mail.port": 26})
    assert composed.mail == MailServer(server="mail.example.org", port=26)
    assert composed.timezone == "Europe/Paris"
    assert composed.origins["mail.server"] is Origin.CONFIG
    assert {"timezone", "mail.server", "organisation.name"} <= find_locked_keys(settings)


def test_keys_addresses_and_paths_are_not_to_be_chosen() -> None:
    keys = set(EDITABLE)
    others = {key for key in config_file.list_known_keys() if key.removesuffix("_file") not in keys}
    assert {key for key in others if not key.startswith("web.")} == {
        "public_url",
        "database",
        "secret_keys",
        "secret_keys_file",
        "fingerprint_key",
        "fingerprint_key_file",
        "evidence_key",
        "evidence_key_file",
        "evidence.timestamp_url",
        "evidence.timestamp_ca_file",
        "evidence.witnesses",
        "evidence.witness_url",
        "evidence.witness_key",
        "journal",
        "mail.ca_file",
        "bounces.ca_file",
        "mail.dkim_key",
        "mail.dkim_key_file",
        "mail.dkim_domain",
    }
    settings = parse()
    chosen: dict[str, Any] = {"public_url": "https://evil.example.org", "web.port": 1}
    assert apply_overrides(settings, {**chosen, "mail.ca_file": "/etc/passwd"}) == settings


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("mail.port", "587", "must be a whole number"),
        ("mail.port", 0, "from 1 to 65535"),
        ("mail.port", 65_536, "from 1 to 65535"),
        ("campaign.minimum_days", -1, "may not be less than 0"),
        ("campaign.minimum_days", 366, "from 0 to 365"),
        ("retention.removed_days", 3661, "from 0 to 3660"),
        ("retention.trace_days", 3661, "from 0 to 3660"),
        ("retention.evidence_years", 101, "from 0 to 100"),
        ("mail.tls", "ssl", "must be one of starttls"),
        ("mail.username", "a\r\nb", "plain text on one line"),
        ("organisation.website", "javascript:alert(1)", "must be a web address"),
        ("organisation.authority_url", "https://a:b@example.org", "must be a web address"),
        ("organisation.address", "Lindelaan 1\n1234 AB\x00", "plain text on one line"),
        ("timezone", "Europe/Nowhere", "no timezone"),
    ],
)
def test_a_single_value_that_makes_no_sense_is_refused_as_in_the_file(
    key: str, value: object, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        check_value(SETTINGS[key], value)
    assert refused.value.key == key
    with pytest.raises(ConfigError, match=key):
        apply_overrides(parse(), {key: value})


def test_values_at_the_ends_are_taken() -> None:
    for key, *values in (
        ("mail.port", 1, 65_535),
        ("campaign.minimum_days", 0, 365),
        ("retention.removed_days", 0, 3660),
        ("retention.trace_days", 0, 3660),
        ("retention.evidence_years", 0, 100),
    ):
        for value in values:
            check_value(SETTINGS[str(key)], value)
    check_value(SETTINGS["organisation.address"], "Lindelaan 1\r\n1234 AB Utrecht")


@pytest.mark.parametrize(
    ("chosen", "key", "said"),
    [
        ({"mail.preset": "cpanel"}, "mail.server", "your host tells you"),
        (
            {"mail.preset": "office365", "mail.return_path": "verp"},
            "mail.return_path",
            "refuses an address for each mail",
        ),
        ({"bounces.protocol": "imap"}, "bounces.server", "needed to read the mailbox"),
        ({"mail.auth": "xoauth2"}, "mail.username", "needed for a login"),
        (
            {"mail.auth": "xoauth2", "mail.username": "a", "mail.oauth_client_id": "b"},
            "mail.oauth_refresh_token",
            "or else a refresh token",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    chosen: dict[str, Any], key: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        apply_overrides(parse(), chosen)
    assert refused.value.key == key


def test_where_a_secret_would_go_counts_as_elsewhere() -> None:
    one = make_settings(mail=MailServer(server="a.example.org", username="b"))

    def elsewhere(*kept: str, **other: Any) -> str | None:
        changed = replace(one, mail=replace(one.mail, **other))
        return find_misdirected_secret(one, changed, kept or ("mail.password",))

    assert not elsewhere(username="c", rate_per_hour=1, preset="gmail", auth="xoauth2")
    for name in ("server", "port", "tls", "oauth_tenant"):
        assert elsewhere(**{name: "c"}) == "mail.password"
    assert not elsewhere("bounces.password", "mail.username", server="c")
    kept = ("mail.oauth_refresh_token", "mail.oauth_client_secret")
    assert elsewhere(*kept, server="c") == "mail.oauth_client_secret"
