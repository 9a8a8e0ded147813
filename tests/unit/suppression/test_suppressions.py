"""One module writes suppressions, and the journal learns of each before anybody else does."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.suppression_journal import Journal
from repermit.errors import ConfigError, JournalRefused
from repermit.rules.consent import Basis, Reason, Status
from repermit.suppression import suppressions
from tests.codebase.test_layout import MODULES, PACKAGE, nodes_of
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.desk import Desk
from tests.unit.db.test_suppression_journal import CHECK, lines_of

KEY = make_settings().fingerprint_key
ACT = Act(at=NOW, actor="person")


@pytest.fixture
def journal(database: Database, tmp_path: Path) -> Path:
    """Return where the open database journals its suppressions."""
    path = tmp_path / "kept" / "suppressions.journal"
    path.parent.mkdir()
    database.journal = Journal(path, key_check=CHECK)
    return path


def about(contact: Contact) -> dict[str, str]:
    return {
        "list": contact.list.slug,
        "fingerprint": email_address.fingerprint(KEY, contact.address_key),
        "subject": contact.subject,
    }


def remove(database: Database, *these: Contact, at: Any = NOW) -> None:
    with database.atomic():
        act = Act(at=at, actor="person")
        status_changes.remove_contacts(these, reason=Reason.NO, act=act, fingerprint_key=KEY)


def suppressed(contact: Contact) -> dict[str, str]:
    return {"do": "suppress", "at": format_timestamp(NOW), **about(contact), "reason": "no"}


def test_a_removal_a_yes_and_an_erasure_are_journalled_without_an_address(
    database: Database, journal: Path
) -> None:
    news = make_list(database)
    jan, anna = (make_contact(database, news, f"{name}@example.org") for name in ("jan", "anna"))
    remove(database, jan, anna)
    assert lines_of(journal) == [suppressed(jan), suppressed(anna)]
    with database.atomic():
        found = lookup.lock_contact(jan.id)
        status_changes.confirm_contact(found, basis=Basis.ANSWER, act=ACT, fingerprint_key=KEY)
    lifted = {**about(jan), "do": "lift", "until": format_timestamp(NOW)}
    del lifted["subject"]
    assert lines_of(journal)[2:] == [lifted]
    with database.atomic():
        erasure.erase_contact(lookup.lock_contact(anna.id), act=ACT, fingerprint_key=KEY)
    assert lines_of(journal)[3:] == [{"do": "erase", "at": format_timestamp(NOW), **about(anna)}]
    assert "@" not in journal.read_text("utf-8")


def test_a_yes_of_somebody_who_was_not_suppressed_lifts_nothing(
    database: Database, journal: Path
) -> None:
    jan = make_contact(database, make_list(database))
    with database.atomic():
        status_changes.confirm_contact(jan, basis=Basis.ANSWER, act=ACT, fingerprint_key=KEY)
    assert not journal.exists()


def test_what_was_rolled_back_is_not_journalled(database: Database, journal: Path) -> None:
    jan = make_contact(database, make_list(database))
    with database.atomic() as transaction:
        status_changes.remove_contacts([jan], reason=Reason.NO, act=ACT, fingerprint_key=KEY)
        transaction.rollback()
    assert not journal.exists()
    remove(database, jan)
    assert lines_of(journal) == [suppressed(jan)]


def test_invariant_5_nobody_is_removed_of_whom_the_journal_cannot_learn(
    database: Database, journal: Path
) -> None:
    jan = make_contact(database, make_list(database))
    journal.mkdir()
    with pytest.raises(JournalRefused):
        remove(database, jan)
    assert Contact.get_by_id(jan.id).status == Status.UNCONFIRMED
    assert not Suppression.select().exists()
    journal.rmdir()
    remove(database, jan)
    assert lines_of(journal) == [suppressed(jan)]


def test_a_lifting_that_was_taken_back_alone_is_not_journalled(
    database: Database, journal: Path
) -> None:
    jan = make_contact(database, make_list(database))
    remove(database, jan)
    with database.atomic():
        with database.atomic() as savepoint:
            assert suppressions.delete_suppressions(Suppression.subject == jan.subject) == 1
            savepoint.rollback()
        with database.atomic():
            assert suppressions.delete_suppressions(Suppression.subject == "nobody") == 0
    assert Suppression.select().count() == 1
    assert lines_of(journal) == [suppressed(jan)]


def test_a_database_without_a_journal_may_take_back_too(database: Database) -> None:
    with database.atomic():
        with database.atomic() as savepoint:
            Meta.insert(key="trial", value="").execute()
            savepoint.rollback()
        assert not Meta.select().where(Meta.key == "trial").exists()


def test_a_file_that_is_taken_in_and_back_is_journalled_both_times(desk: Desk) -> None:
    desk.add_news()
    file = desk.file("email,status", "jan@example.org,unsubscribed", "anna@example.org,")
    desk.do("import", "news", file)
    journal = desk.folder / "suppressions.journal"
    (line,) = lines_of(journal)
    print_of_jan = email_address.fingerprint(KEY, "jan@example.org")
    assert (line["do"], line["fingerprint"], line["list"]) == ("suppress", print_of_jan, "news")
    assert (line["reason"], line["at"]) == ("unsubscribed", format_timestamp(NOW))
    with desk.database():
        assert [one.subject for one in Suppression.select()] == [line["subject"]]
    desk.do("import", "news", "--undo")
    lifted = {
        "do": "lift",
        "list": "news",
        "fingerprint": print_of_jan,
        "until": format_timestamp(NOW),
    }
    assert lines_of(journal) == [line, lifted]


# --- One module writes them.

_FIELDS = {field.name for field in Suppression._meta.sorted_fields}
_MAY_READ = {"select", "get_or_none", "alias", "add_index", "id", *_FIELDS}
_WRITER = PACKAGE / "suppression" / "suppressions.py"


def test_nothing_else_writes_suppressions() -> None:
    used = {
        (module, node.attr)
        for module in MODULES
        for node in nodes_of(module.read_text("utf-8"))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "Suppression"
    }
    others = {attribute for module, attribute in used if module != _WRITER}
    assert others <= _MAY_READ
    assert {attribute for module, attribute in used if module == _WRITER} > {
        "delete",
        "insert_rows",
    }


def test_every_database_that_is_opened_has_its_journal() -> None:
    calls = [
        node
        for module in MODULES
        if module.parent != PACKAGE / "db"
        for node in nodes_of(module.read_text("utf-8"))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"open_database", "connect"}
    ]
    assert len(calls) >= 5
    assert all([word.arg for word in call.keywords] == ["journal"] for call in calls)


# --- The key that fingerprints are made with.


def test_a_database_recognises_its_key_and_never_holds_it(database: Database) -> None:
    settings, other = make_settings(), make_settings(fingerprint_key=b"quite another key")
    suppressions.require_known_key(database, other)
    suppressions.require_known_key(database, settings)
    assert not suppressions.is_other_key(other.fingerprint_key)
    remove(database, make_contact(database, make_list(database)))
    suppressions.require_known_key(database, settings)
    with pytest.raises(ConfigError, match="put the former key back") as refused:
        suppressions.require_known_key(database, other)
    assert refused.value.key == "fingerprint_key"
    kept = [row.value for row in Meta.select()]
    assert email_address.compute_key_check(KEY) in kept
    assert not any(KEY.decode() in value or KEY.hex() in value for value in kept)


def test_every_command_notices_another_key(desk: Desk) -> None:
    desk.add_news()
    desk.do("import", "news", desk.file("email,status", "jan@example.org,unsubscribed"))
    text = desk.config.read_text("utf-8")
    desk.config.write_text(text.replace(KEY.decode(), "another-key-for-tests"), "utf-8")
    for command in (("status", "news"), ("serve", "--port", "0"), ("worker",)):
        assert "fingerprint_key is not the one" in desk.refused(*command)
    desk.config.write_text(text, "utf-8")
    desk.do("status", "news")
