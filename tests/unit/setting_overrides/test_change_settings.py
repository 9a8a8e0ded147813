"""What admins choose: kept whole or not at all, under a seal, seen by every process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from repermit.db.connection import Database, open_database
from repermit.db.models.accounts import User
from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.settings import Chosen
from repermit.db.models.webhooks import Webhook
from repermit.errors import ChangedMeanwhile, ChoiceRefused, ConfigError
from repermit.setting_overrides import change_settings, current_settings
from repermit.setting_overrides.change_settings import SettingsInput
from repermit.setting_overrides.current_settings import (
    SETTINGS_VERSION_KEY,
    ChangeWatch,
    CurrentSettings,
    read_versions,
)
from repermit.settings import definitions
from repermit.settings.sealed_secrets import SecretCipher
from tests.support.admin_pages import SECRET, make_user
from tests.support.builders import NOW
from tests.support.config_documents import KEY, parse
from tests.support.public_pages import everything_in
from tests.support.setting_choices import choose

OTHER_KEY = "another-key-of-sixteen"
PASSWORD = "a-secret-of-the-mail-server"


def facts_of_last_entry() -> Any:
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.event, entry.actor) == ("settings_changed", "user:1")
    return json.loads(EvidencePart.get(EvidencePart.seq == entry.seq).json)


def rows() -> dict[str, str]:
    return {row.key: row.value for row in Chosen.select()}


# --- Keeping.


def test_what_is_chosen_holds_and_is_told_to_the_evidence(database: Database) -> None:
    settings = parse(organisation={"name": "De Linde"})
    kept = choose(
        database,
        settings,
        {"mail.password": PASSWORD},
        organisation__name="Somebody else",
        organisation__website="https://www.example.org",
        organisation__email="anna@example.org",
        mail__preset="transip",
        mail__server="smtp.transip.email",
        mail__rate_per_hour=40,
        mail__username="anna",
    )
    assert kept.settings == current_settings.read_current_settings(settings, database)
    assert kept.settings.organisation.name == "De Linde"
    assert kept.settings.mail.password == PASSWORD
    # What is usual with the preset is not kept, so that it follows the preset.
    assert (
        set(rows())
        == set(kept.changed)
        == {
            "organisation.email",
            "organisation.website",
            "mail.preset",
            "mail.rate_per_hour",
            "mail.username",
            "mail.password",
        }
    )
    facts = facts_of_last_entry()
    assert facts["keys"] == list(kept.changed)
    assert facts["values"] == {
        "organisation.website": ["", "https://www.example.org"],
        "mail.preset": ["", "transip"],
        "mail.rate_per_hour": [0, 40],
    }
    assert PASSWORD not in str(rows()) + repr(kept) + repr(facts)


def test_what_becomes_usual_again_is_forgotten(database: Database) -> None:
    settings = parse()
    choose(database, settings, {"mail.password": PASSWORD}, retention__trace_days=30)
    kept = choose(database, settings, removed=("mail.password",), retention__trace_days=90)
    assert (rows(), kept.settings) == ({}, settings)
    assert facts_of_last_entry()["values"] == {"retention.trace_days": [30, 90]}
    version, entries = read_versions()[SETTINGS_VERSION_KEY], Evidence.select().count()
    assert choose(database, settings, retention__trace_days=90).changed == ()
    assert (read_versions()[SETTINGS_VERSION_KEY], Evidence.select().count()) == (
        version,
        entries,
    )


def test_a_choice_that_the_file_settles_meanwhile_waits_for_its_return(database: Database) -> None:
    choose(database, parse(), retention__trace_days=30)
    settled = parse(retention={"trace_days": 60})
    kept = choose(database, settled, retention__trace_days=1, retention__access_days=10)
    assert kept.changed == ("retention.access_days",)
    assert kept.settings.retention == definitions.Retention(trace_days=60, access_days=10)
    assert current_settings.read_current_settings(parse(), database).retention.trace_days == 30


def test_nothing_is_kept_unless_all_holds(database: Database) -> None:
    before = everything_in(database)
    with pytest.raises(ChoiceRefused) as refused:
        choose(database, parse(), mail__port=0, mail__tls="ssl", organisation__name="De Linde")
    assert [error.key for error in refused.value.errors] == ["mail.port", "mail.tls"]
    with pytest.raises(ChoiceRefused) as refused:
        choose(database, parse(), organisation__name="De Linde", bounces__protocol="imap")
    assert [error.key for error in refused.value.errors] == ["bounces.server"]
    assert everything_in(database) == before


@pytest.mark.parametrize("email", ["not-a-mail", "<info@example.org>", "a@b.example, c@d.example"])
def test_what_is_no_email_address_is_refused_where_it_is_chosen(
    database: Database, email: str
) -> None:
    with pytest.raises(ChoiceRefused) as refused:
        choose(database, parse(), organisation__email=email)
    assert [error.key for error in refused.value.errors] == ["organisation.email"]
    choose(database, parse(), organisation__email="info@example.org")
    # An earlier version took anything: the service goes on with it.
    with database.atomic():
        Chosen.update(value=json.dumps(email)).execute()
    held = current_settings.read_current_settings(parse(), database)
    assert held.organisation.email == email
    choose(database, parse(), organisation__email="")


def test_a_form_that_was_overtaken_changes_nothing(database: Database) -> None:
    settings, since = parse(), read_versions()[SETTINGS_VERSION_KEY]
    choose(database, settings, retention__trace_days=30)
    before = everything_in(database)
    typed = SettingsInput(values={"retention.trace_days": 40})
    with pytest.raises(ChangedMeanwhile):
        change_settings.save_settings(
            database, settings, typed, since=since, now=NOW, actor="user:2"
        )
    assert everything_in(database) == before


def test_of_two_at_once_one_is_overtaken(database: Database) -> None:
    settings, since, together = (
        parse(),
        read_versions()[SETTINGS_VERSION_KEY],
        threading.Barrier(2),
    )

    def choose(days: int) -> bool:
        with database.connection_context():
            typed = SettingsInput(values={"retention.trace_days": days})
            together.wait(10)
            try:
                change_settings.save_settings(
                    database, settings, typed, since=since, now=NOW, actor="user:1"
                )
            except ChangedMeanwhile:
                return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(choose, (30, 40))) == [False, True]
    assert Evidence.select().count() == 1


def test_a_kept_password_is_shown_to_no_other_server(database: Database) -> None:
    settings = parse()
    choose(database, settings, {"mail.password": PASSWORD}, mail__server="mail.example.org")
    with pytest.raises(ChoiceRefused, match=r"give mail\.password again") as refused:
        choose(database, settings, mail__server="evil.example.org")
    assert [one.key for one in refused.value.errors] == ["mail.password"]
    choose(database, settings, mail__username="anna")
    choose(database, settings, {"mail.password": "other"}, mail__server="new.example.org")
    kept = choose(database, settings, removed=("mail.password",), mail__server="last.example.org")
    assert (kept.settings.mail.server, kept.settings.mail.password) == ("last.example.org", "")


# --- The seal.


def test_a_copy_of_the_database_tells_no_password(database: Database) -> None:
    choose(database, parse(), {"mail.password": PASSWORD, "bounces.password": PASSWORD})
    assert PASSWORD not in "".join(rows().values())
    assert len(set(rows().values())) == 2
    stolen = parse(secret_keys=[OTHER_KEY])
    assert current_settings.read_current_settings(stolen, database).mail.password == ""
    # The link keys themselves do not open it either.
    moved = SecretCipher([KEY.encode()])
    assert moved.decrypt("bounces.password", rows()["mail.password"]) is None
    assert moved.decrypt("mail.password", rows()["mail.password"]) == PASSWORD


def test_old_keys_open_and_the_newest_seals(database: Database) -> None:
    choose(database, parse(), {"mail.password": PASSWORD})
    rotated = parse(secret_keys=[KEY, OTHER_KEY])
    assert current_settings.read_current_settings(rotated, database).mail.password == PASSWORD
    assert change_settings.reseal_secrets(database, rotated.secret_keys) == 1
    assert change_settings.reseal_secrets(database, rotated.secret_keys) == 0
    newest = parse(secret_keys=[OTHER_KEY])
    assert current_settings.read_current_settings(newest, database).mail.password == PASSWORD
    assert current_settings.read_current_settings(parse(), database).mail.password == ""


def test_secrets_that_stood_there_unsealed_are_sealed_and_those_of_old_keys_anew(
    database: Database,
) -> None:
    user = make_user(database)
    with database.atomic():
        hook = Webhook.create(url="x", secret="whsec_x", created_by="user:1", created_at=NOW)

    def opened(*keys: bytes) -> tuple[str | None, str | None]:
        seal = SecretCipher(keys)
        return (
            seal.decrypt(f"totp:{user.id}", User.get_by_id(user.id).totp_secret),
            seal.decrypt(f"webhook:{hook.id}", Webhook.get_by_id(hook.id).secret),
        )

    make_user(database, totp_secret="")
    assert change_settings.reseal_secrets(database, [KEY.encode()]) == 2
    assert opened(KEY.encode()) == (SECRET, "whsec_x")
    assert change_settings.reseal_secrets(database, [KEY.encode(), OTHER_KEY.encode()]) == 2
    assert opened(OTHER_KEY.encode()) == (SECRET, "whsec_x")
    assert change_settings.reseal_secrets(database, [KEY.encode(), OTHER_KEY.encode()]) == 0
    assert User.select().where(User.totp_secret == "").count() == 1


def test_a_password_whose_key_is_gone_stays_until_it_is_replaced_or_removed(
    database: Database,
) -> None:
    choose(database, parse(), {"mail.password": PASSWORD})
    lost = parse(secret_keys=[OTHER_KEY])
    assert change_settings.reseal_secrets(database, lost.secret_keys) == 0
    assert change_settings.list_secrets(lost) == {"mail.password": (NOW, "user:1", False)}
    choose(database, lost, mail__server="new.example.org")
    assert current_settings.read_current_settings(parse(), database).mail.password == PASSWORD
    assert change_settings.list_secrets(parse()) == {"mail.password": (NOW, "user:1", True)}
    choose(database, lost, removed=("mail.password",))
    assert change_settings.list_secrets(lost) == {}


# --- Seeing it.


@pytest.mark.usefixtures("database")
def test_a_process_sees_what_another_one_chooses(database_url: str) -> None:
    settings = parse(database=database_url)
    here = CurrentSettings(settings)
    watch, slow = ChangeWatch(seconds=0), ChangeWatch(seconds=60)
    assert here.settings() is here.settings() is settings
    assert not watch.is_past()
    done = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, database_url, KEY],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "30\n"
    assert here.settings().retention.trace_days == 30
    assert here.settings() is here.settings()
    assert watch.is_past()
    assert not slow.is_past()


_ELSEWHERE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from repermit.setting_overrides import change_settings
from repermit.settings import config_file
from repermit.db.connection import open_database
url, key = sys.argv[1:]
document = {"public_url": "https://a.example.org", "secret_keys": [key], "fingerprint_key": key}
settings = config_file.parse_config({**document, "database": url}, folder=Path("/"))
with open_database(url) as database:
    typed = change_settings.SettingsInput(values={"retention.trace_days": 30})
    kept = change_settings.save_settings(
        database, settings, typed, since="", now=datetime.now(UTC), actor="user:1"
    )
print(kept.settings.retention.trace_days)
"""


def test_what_does_not_go_with_the_file_any_more_leaves_what_held(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    choose(database, parse(), bounces__protocol="imap", bounces__server="a", bounces__username="b")
    other = parse(bounces={"auth": "xoauth2"})
    here = CurrentSettings(other)
    assert here.settings() is here.settings() is other
    assert "cannot be used: bounces.oauth_client_id" in caplog.text
    assert len(caplog.records) == 1
    with pytest.raises(ConfigError, match=r"chosen on the admin's pages") as refused:
        current_settings.read_current_settings(other, database)
    assert refused.value.key == "bounces.oauth_client_id"
    # It is mended on the pages.
    kept = choose(database, other, bounces__protocol="none")
    assert here.settings() == kept.settings


def test_where_nothing_was_chosen_the_settings_are_those_of_the_file(database: Database) -> None:
    settings = parse()
    assert current_settings.read_current_settings(settings, database) is settings


def test_a_database_of_an_earlier_version_has_no_choices(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path / 'old.db'}") as old:
        old.create_tables([Meta])
        settings = parse()
        assert current_settings.read_current_settings(settings, old) is settings
