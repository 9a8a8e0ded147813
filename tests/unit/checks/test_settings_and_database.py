"""What stands in settings, database and lists: what is missing, readable, guessable, too fast."""

from __future__ import annotations

import shutil
import sqlite3
import tomllib
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from repermit import package_files
from repermit.campaigns.preview import preview_mail
from repermit.checks.database import check_database, judge_free_space
from repermit.checks.findings import Finding
from repermit.checks.settings import (
    check_first_screen,
    check_keys,
    check_list,
    check_organisation,
    check_rate_limit,
    check_sender,
    list_sender_domains,
)
from repermit.db import migrations
from repermit.db.connection import Database, connect, is_postgresql, open_database
from repermit.db.models.base import Meta
from repermit.db.models.mails import Mail
from repermit.db.row_counts import ContactCount
from repermit.db.suppression_journal import Journal
from repermit.rules.consent import Reason
from repermit.settings import config_file
from repermit.settings.definitions import MailServer, Settings
from repermit.settings.secret_files import is_open_to_others
from repermit.suppression import suppressions
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_list,
    make_organisation,
    make_removed,
    make_settings,
)
from tests.support.public_pages import everything_in
from tests.unit.emails.test_wording_validation import GOOD_TEXT

LONG = "".join(map(chr, range(65, 91))) + "0123456789"


def codes(findings: Iterable[Finding]) -> list[str]:
    return [one.code for one in findings]


def verdicts(findings: Iterable[Finding]) -> dict[str, str]:
    return {one.code: str(one.verdict) for one in findings}


# --- The settings.


def test_settings_with_all_that_a_mail_must_name_are_right() -> None:
    assert codes(check_organisation(make_settings())) == ["config_ok"]


@pytest.mark.parametrize(
    ("lacking", "keys"),
    [
        ({"name": ""}, "name"),
        ({"address": " \n "}, "address"),
        ({"email": "", "telephone": ""}, "email"),
        ({"name": "", "address": "", "email": "", "telephone": ""}, "name, address, email"),
    ],
)
def test_an_organisation_that_cannot_be_named_is_told(lacking: dict[str, str], keys: str) -> None:
    organisation = make_organisation(**lacking)
    (one,) = check_organisation(make_settings(organisation=organisation))
    assert (one.code, one.verdict) == ("config_organisation", "problem")
    assert f"lack {keys} under" in one.found


def test_a_telephone_alone_reaches_somebody() -> None:
    organisation = make_organisation(email="")
    assert codes(check_organisation(make_settings(organisation=organisation))) == ["config_ok"]


# --- The keys.


@pytest.fixture
def tmp_path(open_folder: Path) -> Path:
    return open_folder


def written(folder: Path, text: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'public_url = "https://ask.example.org"\nsecret_keys = ["{LONG}"]\n'
        f'fingerprint_key = "{LONG}"\n{text}',
        "utf-8",
    )
    path.chmod(0o600)
    return path


def about_keys(path: Path) -> list[Finding]:
    return list(check_keys(config_file.load_config(path), path))


def test_keys_that_nobody_else_can_read_or_guess_are_right(tmp_path: Path) -> None:
    assert codes(about_keys(written(tmp_path))) == ["keys_ok"]


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o600, False), (0o640, False), (0o604, True), (0o602, True)]
)
def test_settings_that_everybody_can_read_or_change_are_told(
    tmp_path: Path, mode: int, is_open: bool
) -> None:
    path = written(tmp_path)
    path.chmod(mode)
    (one,) = about_keys(path)
    assert one.code == ("keys_readable" if is_open else "keys_ok")
    assert one.verdict == ("problem" if is_open else "ok")
    assert one.remedy.endswith(f"chmod o= {path}" if is_open else "")


@pytest.mark.parametrize(
    ("mode", "is_open"), [(0o700, False), (0o750, False), (0o754, False), (0o701, True)]
)
def test_a_file_in_a_folder_that_nobody_else_may_pass_is_open_to_nobody(
    tmp_path: Path, mode: int, is_open: bool
) -> None:
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    path = written(folder)
    path.chmod(0o644)
    folder.parent.chmod(mode)
    assert codes(about_keys(path)) == ["keys_readable" if is_open else "keys_ok"]
    # A link from elsewhere opens nothing.
    link = tmp_path / "config.toml"
    link.symlink_to(path)
    assert is_open_to_others(link) is is_open


def test_a_password_that_everybody_can_read_is_told(tmp_path: Path) -> None:
    for name, mode in (("password.txt", 0o644), ("mailbox.txt", 0o600), ("ca.pem", 0o644)):
        (tmp_path / name).write_text("mellon", "utf-8")
        (tmp_path / name).chmod(mode)
    path = written(
        tmp_path,
        '[mail]\npassword_file = "password.txt"\nca_file = "ca.pem"\n'
        '[bounces]\npassword_file = "mailbox.txt"\n',
    )
    (one,) = about_keys(path)
    assert (one.code, one.values["file"]) == ("keys_readable", str(tmp_path / "password.txt"))


def test_a_journal_that_cannot_be_written_or_that_everybody_can_is_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    journal = tmp_path / "suppressions.journal"
    journal.touch(0o600)
    assert codes(about_keys(path)) == ["keys_ok"]
    journal.chmod(0o604)
    assert codes(about_keys(path)) == ["keys_ok", "keys_readable"]
    journal.unlink()
    journal.mkdir()
    found = about_keys(path)
    assert verdicts(found)["keys_journal"] == "problem"
    assert found[1].values == {"file": str(journal)}


@pytest.mark.parametrize(
    ("overrides", "weak"),
    [
        ({}, []),
        ({"secret_keys": (LONG.encode(), LONG[:21].encode())}, ["secret_keys"]),
        ({"secret_keys": (LONG[:22].encode(),)}, []),
        ({"fingerprint_key": b"change-me" * 4}, ["fingerprint_key"]),
        (
            {"secret_keys": (b"x" * 40,), "fingerprint_key": b"short"},
            ["secret_keys", "fingerprint_key"],
        ),
    ],
)
def test_keys_that_could_be_guessed_are_told(overrides: dict[str, Any], weak: list[str]) -> None:
    found = list(check_keys(make_settings(**overrides), None))
    assert [one.values.get("key", "") for one in found] == (weak or [""])
    assert {one.code for one in found} == {"keys_weak" if weak else "keys_ok"}


def test_fresh_keys_are_right() -> None:
    example = package_files.find_asset("config.example.toml").read_text("utf-8")
    fresh = config_file.parse_config(
        tomllib.loads(package_files.make_fresh_config(example)), folder=Path()
    )
    assert codes(check_keys(fresh, None)) == ["keys_ok"]


# --- The pace.


def mail(**values: Any) -> MailServer:
    return config_file.parse_config(
        {
            "public_url": "https://ask.example.org",
            "secret_keys": [LONG],
            "fingerprint_key": LONG,
            "mail": values,
        },
        folder=Path(),
    ).mail


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"preset": "office365"}, {"pace_ok": "ok"}),
        ({"preset": "gmail", "rate_per_day": 100}, {"pace_ok": "ok"}),
        ({"preset": "gmail", "rate_per_day": 401}, {"pace_above_preset": "warning"}),
        ({"preset": "gmail", "rate_per_day": 0}, {"pace_above_preset": "warning"}),
        ({"preset": "gmail", "connections": 2}, {"pace_connections": "warning"}),
        (
            {"preset": "strato", "connections": 9, "rate_per_hour": 81},
            {"pace_above_preset": "warning", "pace_connections": "warning"},
        ),
        ({"server": "smtp.example.org"}, {"pace_none": "warning"}),
        ({"server": "smtp.example.org", "rate_per_hour": 10}, {"pace_ok": "ok"}),
        ({"server": "localhost"}, {"pace_free": "ok"}),
    ],
)
def test_a_pace_is_held_to_what_the_provider_bears(
    values: dict[str, Any], expected: dict[str, str]
) -> None:
    assert verdicts(check_rate_limit(mail(**values))) == expected


def test_a_pace_is_told_by_the_day() -> None:
    (one,) = check_rate_limit(mail(preset="transip"))
    assert one.found == "At most 1,920 mails leave in a day, evenly."
    (one,) = check_rate_limit(mail(preset="office365", rate_per_day=9000))
    assert "let 9,000 mails leave in a day, more than the 8,000" in one.found
    (one,) = check_rate_limit(mail(preset="office365", rate_per_day=0, rate_per_minute=0))
    assert "let ∞ mails leave" in one.found


# --- The database.


@pytest.mark.counted_on_both
def test_a_database_of_this_version_is_right(settings: Settings, database: Database) -> None:
    before = everything_in(database)
    path = settings.sqlite_path
    if path:
        path.chmod(0o600)
    stored = check_database(database, path, now=NOW)
    room = "database_room_elsewhere" if is_postgresql(database) else "database_room"
    assert codes(stored.findings) == ["database_ok", room]
    assert (stored.lists, stored.has_returned) == ((), False)
    assert everything_in(database) == before


def test_fingerprints_of_another_key_are_told(settings: Settings, database: Database) -> None:
    suppressions.require_known_key(database, settings)
    make_removed(database, make_list(database), Reason.NO)
    key = settings.fingerprint_key
    assert "database_other_key" not in verdicts(
        check_database(database, settings.sqlite_path, now=NOW, key=key).findings
    )
    stored = check_database(database, settings.sqlite_path, now=NOW, key=b"another key")
    assert verdicts(stored.findings)["database_other_key"] == "problem"


def test_its_lists_are_found_and_what_came_back(settings: Settings, database: Database) -> None:
    news = make_list(database)
    make_list(database, slug="agenda")
    campaign = make_campaign(database, news)
    make_asked(database, news, campaign)
    stored = check_database(database, settings.sqlite_path, now=NOW)
    assert stored.lists is not None
    assert [one.slug for one in stored.lists] == ["agenda", "news"]
    assert not stored.has_returned
    with database.atomic():
        Mail.update(bounce="soft").execute()
    assert check_database(database, settings.sqlite_path, now=NOW).has_returned


def test_counts_that_are_not_what_is_there_are_told(settings: Settings, database: Database) -> None:
    make_list(database)
    with database.atomic():
        nobody = {"status": "", "reason": "", "basis": "", "language": "", "import_id": 0}
        ContactCount.create(list_id=1, count=2, **nobody)
    stored = check_database(database, settings.sqlite_path, now=NOW)
    assert verdicts(stored.findings)["database_miscounted"] == "warning"


def test_a_clock_behind_the_record_is_told(settings: Settings, database: Database) -> None:
    """What is recorded then has an earlier time than the entry before it, for good."""
    make_removed(database, make_list(database), Reason.NO)
    path = settings.sqlite_path
    for behind, is_told in ((timedelta(minutes=4), False), (timedelta(minutes=6), True)):
        stored = check_database(database, path, now=NOW - behind)
        assert (verdicts(stored.findings).get("database_clock") == "problem") == is_told


@pytest.mark.counted_on_both
def test_a_database_without_tables_is_none_yet(empty_database_url: str) -> None:
    settings = make_settings(database=empty_database_url)
    path = settings.sqlite_path
    if path:
        path.touch()
    stored = check_database(connect(empty_database_url), path, now=NOW)
    assert verdicts(stored.findings) == {"database_missing": "problem"}
    assert stored.lists is None


def test_a_database_that_its_journal_knows_is_lost(empty_database_url: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path / "suppressions.journal", key_check="")
    path = make_settings(database=empty_database_url).sqlite_path
    for line, code in (({"do": "backup"}, "database_missing"), ({"do": "launch"}, "database_lost")):
        journal.add_lines(line)
        journal.before_commit()
        journal.discard_lines()
        stored = check_database(connect(empty_database_url, journal=journal), path, now=NOW)
        assert verdicts(stored.findings) == {code: "problem"}


def test_a_file_that_is_not_there_is_not_made(empty_sqlite_url: str) -> None:
    path = make_settings(database=empty_sqlite_url).sqlite_path
    stored = check_database(connect(empty_sqlite_url), path, now=NOW)
    assert verdicts(stored.findings) == {"database_missing": "problem"}
    assert path is not None
    assert not path.exists()


def set_version(database: Database, version: int) -> None:
    with database.atomic():
        Meta.update(value=str(version)).where(Meta.key == "schema_version").execute()


def test_an_older_database_is_told_and_not_upgraded(settings: Settings, database: Database) -> None:
    set_version(database, migrations.OLDEST_VERSION)
    stored = check_database(database, settings.sqlite_path, now=NOW)
    assert verdicts(stored.findings)["database_old"] == "ok"
    assert stored.lists is None
    assert migrations.read_version(database) == migrations.OLDEST_VERSION


def test_a_version_that_is_no_number_is_told(settings: Settings, database: Database) -> None:
    with database.atomic():
        Meta.update(value="thirty").where(Meta.key == "schema_version").execute()
    (told,) = check_database(database, settings.sqlite_path, now=NOW).findings
    assert (told.code, told.verdict) == ("database_refused", "problem")
    assert "schema_version" in told.found
    set_version(database, migrations.NEWEST_VERSION)


def test_a_database_that_is_too_old_is_told(settings: Settings, database: Database) -> None:
    set_version(database, migrations.OLDEST_VERSION - 1)
    (one,) = check_database(database, settings.sqlite_path, now=NOW).findings
    assert (one.code, one.verdict) == ("database_too_old", "problem")
    assert "version 23" in one.found


def test_a_newer_database_is_told(settings: Settings, database: Database) -> None:
    set_version(database, 99)
    (one,) = check_database(database, settings.sqlite_path, now=NOW).findings
    assert (one.code, one.verdict) == ("database_new", "problem")
    assert f"version 99, not {migrations.NEWEST_VERSION}" in one.found


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "repermit.db"
    path.write_text("no database at all, but long enough to be looked at", "utf-8")
    (one,) = check_database(connect(f"sqlite:///{path}"), path, now=NOW).findings
    assert (one.code, one.verdict) == ("database_refused", "problem")
    assert "file is not a database" in one.found


def test_a_database_that_cannot_be_written_is_told(sqlite_url: str) -> None:
    path = make_settings(database=sqlite_url).sqlite_path
    assert path is not None
    # Also root, whom no permission stops, cannot write where a trigger says no.
    with sqlite3.connect(path) as opened:
        opened.execute(
            "CREATE TRIGGER no BEFORE INSERT ON meta BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    opened.close()
    (one,) = check_database(connect(sqlite_url), path, now=NOW).findings
    assert one.found == "The database cannot be used: disk full."


def test_a_full_disk_is_told_where_sqlite_names_another_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "repermit.db"
    path.write_text("no database at all, but long enough to be looked at", "utf-8")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    found = check_database(connect(f"sqlite:///{path}"), path, now=NOW).findings
    assert codes(found) == ["database_no_room", "database_refused_full"]
    assert "running" not in found[1].remedy


def test_a_server_that_is_away_is_told() -> None:
    database = connect("postgresql://127.0.0.1:1/lists")
    assert codes(check_database(database, None, now=NOW).findings) == ["database_refused"]


def test_a_database_that_everybody_can_read_is_told(sqlite_url: str) -> None:
    path = make_settings(database=sqlite_url).sqlite_path
    assert path is not None
    path.chmod(0o644)
    with open_database(sqlite_url) as opened:
        found = check_database(opened, path, now=NOW).findings
    assert verdicts(found)["database_readable"] == "problem"


@pytest.mark.parametrize(
    ("free", "code", "verdict"),
    [
        (1_000_000_000, "database_room", "ok"),
        (999_999_999, "database_little_room", "warning"),
        (100_000_000, "database_little_room", "warning"),
        (99_999_999, "database_no_room", "problem"),
    ],
)
def test_room_is_judged(free: int, code: str, verdict: str) -> None:
    one = judge_free_space(free)
    assert (one.code, one.verdict) == (code, verdict)


# --- The lists.


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({}, ["list_ok"]),
        ({"purpose": ""}, ["list_no_purpose", "list_no_frequency"]),
        ({"purpose": "News"}, ["list_no_frequency"]),
        ({"purpose": "News", "frequency": "often"}, ["list_ok"]),
        ({"privacy_url": ""}, ["list_no_privacy"]),
        ({"sender": ""}, ["list_no_sender"]),
        ({"sender": "De Linde <nowhere>"}, ["list_no_sender"]),
    ],
)
def test_a_list_lacks_what_its_readers_must_know(
    database: Database, overrides: dict[str, str], expected: list[str]
) -> None:
    news = make_list(database, **overrides)
    found = list(check_list(news, mentions_frequency=lambda text: "vier keer" in text))
    assert codes(found) == expected
    assert all("news" in one.found for one in found)


# Seen whole where nobody is greeted by name.
_NEARLY_LOW = f"{{{{ greeting }}}} {'Wilt u onze post? ' * 14}\n\n{GOOD_TEXT}"
_LOW = "Wij vragen of u onze post wilt blijven ontvangen. " * 20


@pytest.mark.parametrize(
    ("organisation", "overrides", "expected"),
    [
        ("Praktijk De Linde", {}, []),
        ("Praktijk De Linde", {"name": "n" * 39}, []),
        ("Praktijk De Linde", {"name": "n" * 40}, ["list_cut_short"]),
        ("Praktijk De Linde", {"name": "n" * 51, "sensitive": True}, ["list_cut_short"]),
        ("P" * 50, {}, []),
        ("P" * 51, {}, ["list_cut_short"]),
        ("Praktijk De Linde", {"own_text": GOOD_TEXT}, []),
        ("Praktijk De Linde", {"own_text": f"{_LOW}\n\n{GOOD_TEXT}"}, ["list_cut_short"]),
        ("Praktijk De Linde", {"own_text": _NEARLY_LOW}, ["list_cut_short"]),
        # There is no mail yet.
        ("P" * 51, {"sender": ""}, []),
    ],
)
def test_what_a_phone_does_not_show_whole_is_found(
    database: Database, organisation: str, overrides: dict[str, Any], expected: list[str]
) -> None:
    settings = make_settings(organisation=make_organisation(name=organisation))
    news = make_list(database, languages=(), **overrides)
    preview = partial(preview_mail, settings=settings, now=NOW)
    found = check_first_screen(news, organisation=settings.organisation, preview=preview)
    assert codes(found) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"preset": "office365", "username": "Praktijk@example.org"}, []),
        ({"preset": "office365", "username": "other@example.org"}, ["smtp_other_sender"]),
        ({"preset": "office365"}, []),
        ({"preset": "gmail", "username": "other@example.org"}, []),
    ],
)
def test_microsoft_takes_the_mailbox_alone_as_sender(
    database: Database, values: dict[str, Any], expected: list[str]
) -> None:
    settings = make_settings(mail=MailServer(**values))
    assert codes(check_sender(make_list(database), settings)) == expected


def test_the_domains_of_the_senders_are_looked_at(database: Database) -> None:
    lists = [
        make_list(database, slug="a", sender="A <a@bücher.example>"),
        make_list(database, slug="b", sender="b@example.org"),
        make_list(database, slug="c", sender="c@Example.org"),
        make_list(database, slug="d", sender=""),
    ]
    assert list_sender_domains(lists, make_settings()) == ("example.org", "xn--bcher-kva.example")
    assert list_sender_domains([], make_settings()) == ("example.org",)
    assert list_sender_domains([], make_settings(organisation=make_organisation(email=""))) == ()
