"""The settings: what is read, what is refused with which words, and the example that explains."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from repermit import package_files
from repermit.errors import ConfigError
from repermit.settings import config_file
from repermit.settings.definitions import Organisation
from tests.support.config_documents import FOLDER, KEY, make_document, parse

EXAMPLE = package_files.find_asset("config.example.toml").read_text("utf-8")
OTHER_KEY = "fedcba9876543210"


# --- What is read.


def test_what_is_left_out_has_a_default() -> None:
    settings = parse()
    assert settings.public_url == "https://ask.example.org"
    assert settings.database == "sqlite:////srv/repermit/repermit.db"
    assert settings.zone == ZoneInfo("Europe/Amsterdam")
    assert settings.secret_keys == (KEY.encode(),)
    assert settings.fingerprint_key == KEY.encode()
    assert settings.campaign.minimum_days == 14
    assert settings.campaign.pause_at_bounce_percent == 2
    assert (settings.mail.connections, settings.mail.reply_timeout) == (4, 600)
    assert (settings.bounces.protocol, settings.bounces.every_minutes) == ("none", 5)


def test_the_journal_is_beside_the_fingerprint_key_or_where_it_is_said_to_be(
    tmp_path: Path,
) -> None:
    assert parse().journal == Path("/srv/repermit/suppressions.journal")
    assert parse(journal="kept/left.log").journal == Path("/srv/repermit/kept/left.log")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "fingerprint.txt").write_text(KEY, "utf-8")
    given = make_document(fingerprint_key_file="keys/fingerprint.txt")
    del given["fingerprint_key"]
    journal = config_file.parse_config(given, folder=tmp_path).journal
    assert journal == tmp_path / "keys" / "suppressions.journal"
    for wrong in ("", 1):
        with pytest.raises(ConfigError) as refused:
            parse(journal=wrong)
        assert refused.value.key == "journal"


def test_what_is_given_holds() -> None:
    settings = parse(
        timezone="Europe/Lisbon",
        organisation={"name": "De Praktijk"},
        mail={"port": 465, "tls": "tls"},
        campaign={"minimum_days": 0},
        web={"webhooks_to_private": True},
    )
    assert settings.zone == ZoneInfo("Europe/Lisbon")
    assert settings.organisation == Organisation(name="De Praktijk")
    assert (settings.mail.port, settings.mail.tls) == (465, "tls")
    assert settings.campaign.minimum_days == 0
    assert settings.web.webhooks_to_private is True


def test_an_address_of_several_lines_is_given_line_by_line() -> None:
    organisation = Organisation(address="\nStreet 1 \n\n 1234 AB Town\n")
    assert organisation.postal_lines == ("Street 1", "1234 AB Town")


def test_an_authority_of_ones_own_stands_in_a_file_beside_the_settings(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("…")
    given = make_document(mail={"ca_file": "ca.pem"})
    assert config_file.parse_config(given, folder=tmp_path).mail.ca_file == str(tmp_path / "ca.pem")
    assert parse(mail={"ca_file": ""}).mail.ca_file == ""


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("sqlite:///lists.db", Path("/srv/repermit/lists.db")),
        ("sqlite:////var/lib/lists.db", Path("/var/lib/lists.db")),
        ("postgresql://host/lists", None),
        ("postgres://host/lists", None),
        ("postgresql:///lists", None),
        ("postgresql://repermit@/lists?host=/run/postgresql&application_name=a@b", None),
        ("postgresql://repermit:a%40b%2Fc%20d%25@[::1]:5432,db:5433/lists?sslmode=require", None),
        ("postgresql://repermit:a:b?c#d&e@%2Frun%2Fpostgresql/lists", None),
    ],
)
def test_a_database_is_a_file_of_that_folder_or_a_server(given: str, path: Path | None) -> None:
    assert parse(database=given).sqlite_path == path


@pytest.mark.parametrize(
    "password",
    [
        "a@b",
        "a/b",
        "12/b",
        "a%b",
        "a b",
        "a?b@c",
        "a?b/c",
        "1?b/c",
        "a@b/c",
        "%4",
        "a%00b",
        "1/x?b=c",
        "/x?b=c",
    ],
)
def test_a_password_that_no_url_can_hold_is_refused_unquoted(password: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse(database=f"postgresql://repermit:{password}@localhost/repermit")
    assert refused.value.key == "database"
    assert str(refused.value) == (
        "database must be a URL of PostgreSQL, with the signs in its password percent-encoded "
        "(%40 for @)"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://example.org/", "https://example.org"),
        ("https://example.org/vraag/", "https://example.org/vraag"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
    ],
)
def test_the_public_url_may_have_a_path_and_ends_without_a_slash(given: str, kept: str) -> None:
    assert parse(public_url=given).public_url == kept


def test_witnesses_are_a_list() -> None:
    assert parse().evidence.witnesses == ()
    named = ["officer@example.org", "books@example.com"]
    assert parse(evidence={"witnesses": named}).evidence.witnesses == tuple(named)


def test_no_secret_is_shown_by_printing_the_settings() -> None:
    secrets = {
        "password": "mellon",
        "oauth_client_secret": "sesame",
        "oauth_refresh_token": "simsalabim",
    }
    shown = repr(parse(secret_keys=[KEY, OTHER_KEY], mail=secrets, bounces=secrets))
    assert not any(secret in shown for secret in (KEY, OTHER_KEY, *secrets.values()))


def test_secrets_may_stand_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n{OTHER_KEY}\n")
    (tmp_path / "fingerprint").write_text(f"{OTHER_KEY}\n")
    (tmp_path / "password").write_text("two words\n")
    document = make_document(
        secret_keys=None,
        secret_keys_file="keys",
        fingerprint_key=None,
        fingerprint_key_file=str(tmp_path / "fingerprint"),
        mail={"password_file": "password"},
    )
    settings = config_file.parse_config(document, folder=tmp_path)
    assert settings.secret_keys == (KEY.encode(), OTHER_KEY.encode())
    assert settings.fingerprint_key == OTHER_KEY.encode()
    assert settings.mail.password == "two words"
    assert document["mail"] == {"password_file": "password"}, "what was given is left as it was"


# --- What is refused.


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ({"public_url": None}, "public_url", "public_url is missing"),
        ({"public_url": 1}, "public_url", "public_url must be text in quotes"),
        ({"public_url": "ask.example.org"}, "public_url", "must look like https://"),
        ({"public_url": "ftp://example.org"}, "public_url", "must look like https://"),
        ({"public_url": "https://"}, "public_url", "must look like https://"),
        ({"public_url": "https://example.org?a"}, "public_url", "must look like https://"),
        ({"public_url": "https://example.org#a"}, "public_url", "must look like https://"),
        ({"public_url": "https://["}, "public_url", "must look like https://"),
        pytest.param(
            {"public_url": "https://a" + "\u0300\u0316" * 200_000 + ".org/"},
            "public_url",
            "must look like https://",
            id="long",
        ),
        ({"public_url": "https://example.org:99999"}, "public_url", "must look like https://"),
        ({"public_url": "https://exam ple.org"}, "public_url", "must look like https://"),
        ({"public_url": "javascript:alert(1)"}, "public_url", "must look like https://"),
        ({"public_url": "https://a.example\\@b.example"}, "public_url", "must look like https://"),
        ({"public_url": "https://me:you@example.org"}, "public_url", "must look like https://"),
        ({"public_url": "https://café.example.org"}, "public_url", "plain ASCII: xn--"),
        ({"database": "mysql://host/db"}, "database", "must look like sqlite:///"),
        ({"database": "sqlite:///"}, "database", "must look like sqlite:///"),
        ({"database": ["x"]}, "database", "database must be text in quotes"),
        ({"timezone": "Amsterdam"}, "timezone", "no timezone 'Amsterdam'"),
        ({"timezone": "../Amsterdam"}, "timezone", "no timezone '../Amsterdam'"),
        ({"timezone": ""}, "timezone", "no timezone ''"),
        ({"timezone": "Europe"}, "timezone", "no timezone 'Europe'"),
        ({"secret_keys": None}, "secret_keys", "must be a list"),
        ({"secret_keys": []}, "secret_keys", "must be a list"),
        ({"secret_keys": KEY}, "secret_keys", "must be a list"),
        ({"secret_keys": [KEY, KEY[1:]]}, "secret_keys", "16 characters or more"),
        ({"secret_keys": [16]}, "secret_keys", "16 characters or more"),
        ({"fingerprint_key": None}, "fingerprint_key", "16 characters or more"),
        ({"fingerprint_key": KEY[1:]}, "fingerprint_key", "16 characters or more"),
        ({"mail": "localhost"}, "mail", r"\[mail\] must be a table"),
        ({"mail": {"port": "25"}}, "mail.port", "mail.port must be a whole number"),
        ({"mail": {"port": True}}, "mail.port", "mail.port must be a whole number"),
        ({"mail": {"port": -1}}, "mail.port", "mail.port may not be less than 0"),
        ({"mail": {"server": 1}}, "mail.server", "mail.server must be text in quotes"),
        ({"mail": {"ca_file": 1}}, "mail.ca_file", "mail.ca_file must be text in quotes"),
        ({"mail": {"ca_file": "no.pem"}}, "mail.ca_file", "there is no /srv/repermit/no.pem"),
        ({"mail": {"reply_timeout": 0}}, "mail.reply_timeout", "must be from 1 to 86400"),
        ({"mail": {"connections": 0}}, "mail.connections", "must be from 1 to 64"),
        ({"mail": {"connections": 65}}, "mail.connections", "must be from 1 to 64"),
        ({"web": {"threads": 0}}, "web.threads", "must be from 1 to 1000"),
        ({"web": {"port": 65_536}}, "web.port", "must be from 0 to 65535"),
        ({"bounces": {"protocol": "imaps"}}, "bounces.protocol", "must be one of none, imap, pop3"),
        ({"bounces": {"protocol": []}}, "bounces.protocol", "must be text in quotes"),
        ({"bounces": {"every_minutes": 0}}, "bounces.every_minutes", "must be from 1 to 1440"),
        ({"bounces": {"ca_file": "no.pem"}}, "bounces.ca_file", "there is no /srv/repermit/no.pem"),
        (
            {"campaign": {"pause_at_bounce_percent": 101}},
            "campaign.pause_at_bounce_percent",
            "must be from 0 to 100",
        ),
        *(
            ({"organisation": {name: url}}, f"organisation.{name}", "must be a web address")
            for name in ("website", "authority_url")
            for url in ("javascript:alert(1)", "www.example.org", "https://me@example.org")
        ),
        *(
            ({"evidence": {"witnesses": value}}, "evidence.witnesses", "must be a list such as")
            for value in ("officer@example.org", ["officer"], [1], [["a@example.org"]], 1)
        ),
        *(
            (
                {"evidence": {"witness_url": "https://w.example", **more}},
                "evidence.witness_key",
                said,
            )
            for more, said in (
                ({}, "witness_key is missing"),
                ({"witness_key": "w.example"}, "no verifier key of a witness"),
                ({"witness_key": f"w+00000000+BA{'A' * 42}"}, "no verifier key of a witness"),
            )
        ),
        ({"mail": {"tls": "ssl"}}, "mail.tls", "must be one of starttls, tls, none"),
        (
            {"web": {"webhooks_to_private": 1}},
            "web.webhooks_to_private",
            "web.webhooks_to_private must be true or false",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(
    overrides: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        parse(**overrides)
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"public_ulr": ""}, "unknown setting public_ulr; did you mean public_url?"),
        ({"organization": {}}, "unknown setting organization; did you mean organisation?"),
        ({"mail": {"user_name": ""}}, "unknown setting mail.user_name; did you mean mail.username"),
        ({"xyzzy": 1}, "unknown setting xyzzy$"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest(
    overrides: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        parse(**overrides)


@pytest.mark.parametrize(
    ("overrides", "key", "words"),
    [
        ({"secret_keys_file": "keys"}, "secret_keys", "give secret_keys or secret_keys_file"),
        (
            {"mail": {"password": "", "password_file": "p"}},
            "mail.password",
            "give mail.password or mail.password_file, not both",
        ),
        (
            {"secret_keys": None, "secret_keys_file": "nowhere"},
            "secret_keys_file",
            "secret_keys_file cannot be read",
        ),
        ({"mail": {"password_file": 1}}, "mail.password_file", "must be text"),
    ],
)
def test_a_secret_comes_from_one_place_that_can_be_read(
    overrides: dict[str, Any], key: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        parse(**overrides)
    assert refused.value.key == key


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no .*config\.toml; `repermit init` makes one"):
        config_file.load_config(tmp_path / "config.toml")


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"\xff", "cannot be read"), (b"public_url =\n", "is not valid TOML: .*line 1")],
)
def test_a_file_that_is_no_toml_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        config_file.load_config(tmp_path / "config.toml")


# --- The example.

ASSIGNED = re.compile(r"^(?:# )?(?:\[(?P<table>\w+)\]|(?P<key>\w+) = )", re.MULTILINE)


def shown_keys() -> list[str]:
    """Return every key of the example, set or shown behind a #, dotted, in order."""
    table, keys = "", []
    for found in ASSIGNED.finditer(EXAMPLE):
        table = f"{found['table']}." if found["table"] else table
        keys += [table + found["key"]] if found["key"] else []
    return keys


def test_the_example_shows_every_setting_and_no_other() -> None:
    assert tuple(shown_keys()) == config_file.list_known_keys()


def test_each_default_that_the_example_shows_is_the_one_that_holds() -> None:
    as_it_is = package_files.make_fresh_config(EXAMPLE)
    spelled_out = re.sub(r"^# (?=\w+ = )(?!\w+_file = )", "", as_it_is, flags=re.MULTILINE)
    for table in ("mail", "bounces"):
        assert len(tomllib.loads(spelled_out)[table]) > len(tomllib.loads(as_it_is)[table])
    expected = config_file.parse_config(tomllib.loads(as_it_is), folder=FOLDER)
    assert config_file.parse_config(tomllib.loads(spelled_out), folder=FOLDER) == expected


def test_the_example_alone_does_for_a_start_but_only_with_keys_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE, "utf-8")
    with pytest.raises(ConfigError, match="16 characters or more"):
        config_file.load_config(path)
    path.write_text(package_files.make_fresh_config(EXAMPLE), "utf-8")
    settings = config_file.load_config(path)
    assert settings.sqlite_path == tmp_path / "repermit.db"
    keys = {*settings.secret_keys, settings.fingerprint_key}
    assert len(keys) == 2
    path.write_text(package_files.make_fresh_config(EXAMPLE), "utf-8")
    assert config_file.load_config(path).fingerprint_key not in keys


@pytest.mark.parametrize("name", ["config.example.toml", "templates", "static"])
def test_what_the_package_reads_is_where_it_looks(name: str) -> None:
    assert package_files.find_asset(name).exists()
