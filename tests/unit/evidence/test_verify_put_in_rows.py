"""Invariant 7: rows that were exchanged, put in or deleted by SQL contradict the record."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns import mailing_lists
from repermit.clock import format_timestamp
from repermit.db.connection import Database, run_sql
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.diagnosis import Fault, How
from tests.support import tampered_records
from tests.support.builders import make_contact, make_list, make_mail, make_settings
from tests.support.tampered_records import ANSWERED, END, SENT, contact_at
from tests.support.told_databases import tell_once

SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
HOUR = timedelta(hours=1)


def tell_story(database: Database, folder: Path) -> None:
    """Tell of a campaign from its file to its end."""
    tampered_records.tell_story(database, folder, SETTINGS)
    assert find_fault(database) is None


ready_sqlite, ready_postgresql = tell_once(tell_story)


@pytest.fixture
def story(database: Database) -> Database:
    """Return a database in which all that has happened."""
    return database


def find_fault(database: Database) -> Fault | None:
    return verify_chain.verify_chain(database, fingerprint_key=KEY, now=END).fault


def change(database: Database, *statements: str) -> tuple[How, str] | None:
    """Change rows by SQL; return how the record fails then, and what is told of it."""
    with database.atomic():
        for statement in statements:
            run_sql(database, statement)
    fault = find_fault(database)
    return (fault.how, fault.what) if fault else None


def mail_of(name: str, kind: str = "ask") -> str:
    return f"kind = '{kind}' AND contact_id = {contact_at(name).id}"


# --- Mails. --------------------------------------------------------------------------------------


def give_each_other(kind: str, one: str, other: str) -> tuple[str, ...]:
    """Return how the mails of two people are given to each other, in spite of their index."""
    first, second = contact_at(one).id, contact_at(other).id
    return (
        f"UPDATE mail SET kind = 'x' WHERE kind = '{kind}' AND contact_id = {first}",
        f"UPDATE mail SET contact_id = {first} WHERE kind = '{kind}' AND contact_id = {second}",
        f"UPDATE mail SET contact_id = {second}, kind = '{kind}' WHERE kind = 'x'",
    )


@pytest.mark.parametrize(
    ("kind", "one", "other", "what"),
    [
        ("ask", "ja", "nee", "the ask's Message-ID, or the reply"),
        ("ask", "stil", "thuis", "the ask's Message-ID, or the reply"),
        ("ask", "stil", "vol", "when this person was sent the ask"),
        ("reminder", "stil", "thuis", "when this person was sent the reminder"),
    ],
)
def test_mails_that_were_given_to_each_other_are_found(
    story: Database, kind: str, one: str, other: str, what: str
) -> None:
    assert change(story, *give_each_other(kind, one, other)) == (How.CONTRADICTED, what)


@pytest.mark.parametrize("kind", ["ask", "reminder"])
def test_a_mail_that_was_given_to_somebody_without_one_is_found(story: Database, kind: str) -> None:
    """As many asks are there as before."""
    given = f"UPDATE mail SET contact_id = {contact_at('klant').id} WHERE {mail_of('stil', kind)}"
    # Who was asked is fixed at the launch.
    what = (
        "campaign 1: who was asked" if kind == "ask" else "when this person was sent the reminder"
    )
    assert change(story, given) == (How.CONTRADICTED, what)


@pytest.mark.parametrize(
    "changed",
    ["DELETE FROM mail", "UPDATE mail SET campaign_id = NULL", "UPDATE mail SET kind = ''"],
)
def test_a_reminder_that_is_gone_is_found(story: Database, changed: str) -> None:
    told = change(story, f"{changed} WHERE {mail_of('stil', 'reminder')}")
    assert told == (How.CONTRADICTED, "when this person was sent the reminder")


@pytest.mark.parametrize(
    ("sent_at", "is_found"),
    [
        (SENT + HOUR, True),
        # It may have been noted only then.
        (ANSWERED - HOUR, False),
        (ANSWERED - HOUR - timedelta(seconds=1), True),
    ],
)
@pytest.mark.parametrize("name", ["ja", "nee"])
def test_a_reminder_that_was_put_in_before_an_answer_is_found(
    story: Database, name: str, sent_at: Any, *, is_found: bool
) -> None:
    person = contact_at(name)
    campaign = Campaign.get()
    moments = dict.fromkeys(("due_at", "started_at", "sent_at"), sent_at)
    make_mail(story, campaign, person, kind="reminder", **moments)
    fault = find_fault(story)
    told = (fault.how, fault.what) if fault else None
    expected = (How.CONTRADICTED, "that this person was not sent the reminder")
    assert told == (expected if is_found else None)


@pytest.mark.parametrize(
    "changed", ["reply_status = ''", "reply_status = '2.1.5'", "reply_code = 251"]
)
def test_another_reply_to_an_ask_is_found(story: Database, changed: str) -> None:
    told = change(story, f"UPDATE mail SET {changed} WHERE {mail_of('nee')}")
    assert told == (How.CONTRADICTED, "the ask's Message-ID, or the reply")


@pytest.mark.parametrize(
    ("kind", "what"), [("ask", "campaign 1: 11 were asked, and 10 are there"), ("reminder", "")]
)
def test_a_mail_of_another_list_is_found(story: Database, kind: str, what: str) -> None:
    other = mailing_lists.add_list(
        story, "other", name="Other", settings=SETTINGS, now=END, actor="cli:els"
    )
    mail = Mail.get(Mail.kind == kind, Mail.contact == contact_at("stil"))
    told = change(story, f"UPDATE mail SET list_id = {other.id} WHERE id = {mail.id}")
    expected = (How.CONTRADICTED, what) if what else (How.UNVOUCHED, f"mail {mail.id}: its list")
    assert told == expected


# --- Suppressions. -------------------------------------------------------------------------------


def suppress(name: str, *, subject: str, list_id: str = "") -> str:
    fingerprint = email_address.fingerprint(KEY, f"{name}@example.org")
    return (
        "INSERT INTO suppression (list_id, fingerprint, subject, reason, at) VALUES"
        f" ({list_id or contact_at(name).list_id}, '{fingerprint}', '{subject}', 'no',"
        f" '{format_timestamp(ANSWERED)}')"
    )


@pytest.mark.parametrize("whose", ["nobody", "nee", "weg", "own"])
@pytest.mark.parametrize("name", ["ja", "klant", "nieuw", "vol"])
def test_who_is_on_the_list_and_suppressed_is_found_whatever_its_subject(
    story: Database, name: str, whose: str
) -> None:
    subjects = {"nobody": "f" * 32, "own": contact_at(name).subject}
    if whose == "weg":
        erased = Contact.get(Contact.erased_at.is_null(is_null=False))
        subjects["weg"] = erased.subject
    elif whose == "nee":
        subjects["nee"] = contact_at("nee").subject
    told = change(story, suppress(name, subject=subjects[whose]))
    assert told is not None
    assert told[1] == f"contact {contact_at(name).id}: that it was not taken off"


@pytest.mark.parametrize("name", ["klant", "vol"])
def test_who_has_not_said_yes_and_is_suppressed_for_all_lists_is_found(
    story: Database, name: str
) -> None:
    told = change(story, suppress(name, subject=contact_at(name).subject, list_id="NULL"))
    assert told is not None
    assert told[1] == f"contact {contact_at(name).id}: that it was not taken off"


def test_an_own_yes_holds_beside_a_suppression_for_all_lists(story: Database) -> None:
    assert change(story, suppress("ja", subject="f" * 32, list_id="NULL")) is None


# --- Lists and files. ----------------------------------------------------------------------------


def test_a_list_that_was_put_in_is_named(story: Database) -> None:
    made = make_list(story, slug="other")
    make_contact(story, made, "somebody@example.org")
    fault = find_fault(story)
    assert fault == Fault(0, How.UNVOUCHED, "the list other")


@pytest.mark.parametrize(
    "changed",
    [
        """replace(counts, '"contacts": 1', '"contacts": 2')""",
        """replace(counts, '"undone"', '"x"')""",
        """replace(counts, '"restored": 0', '"restored": 7')""",
        """replace(counts, '"restored": 0', '"suppressions": 0')""",
        """replace(counts, '"improved"', '"x"')""",
        """replace(counts, '"improved": 0', '"rows": 1')""",
    ],
)
def test_other_counts_of_what_a_file_did_are_found(story: Database, changed: str) -> None:
    statement = f"UPDATE import SET counts = {changed} WHERE undone_at IS NOT NULL"
    told = change(story, statement)
    assert told is not None
    assert told[0] is How.CONTRADICTED


def test_an_undoing_that_was_none_is_found(story: Database) -> None:
    counted = """replace(counts, '"rows"', '"undone": {"contacts": 1}, "rows"')"""
    told = change(story, f"UPDATE import SET counts = {counted} WHERE undone_at IS NULL")
    assert told is not None
    assert told[0] is How.UNVOUCHED
    assert told[1].endswith("what was taken back")


# --- What an admin did by hand. ------------------------------------------------------------------

FILE = "a" * 64


def act(event: str, *, subject: str = "", **consent: str) -> Entry:
    """Return an admin's entry of a time at which a file may have been taken in."""
    return Entry(
        event=event,
        at=END - 5 * HOUR,
        actor="cli:els",
        list="news",
        subject=subject,
        consent={"n": "1", **consent},
    )


@pytest.mark.parametrize(
    ("entries", "late"),
    [
        # Of the file, before its own entry.
        ((act("customer", subject="x", file=FILE), act("suppressions_imported", file=FILE)), ""),
        # By hand, and of another file.
        ((act("customer", subject="x"), act("suppressions_imported", file=FILE)), "customer"),
        ((act("removed", subject="x"), act("archived")), "removed"),
        (
            (act("removed", subject="x", file="b"), act("suppressions_imported", file=FILE)),
            "removed",
        ),
        # After all of the file was done.
        (
            (act("suppressions_imported", file=FILE), act("customer", subject="x", file=FILE)),
            "customer",
        ),
    ],
)
def test_only_the_entries_of_a_long_act_may_have_its_time(
    story: Database, entries: tuple[Entry, ...], late: str
) -> None:
    with story.atomic():
        chain.append(Entry(event="exported", at=END, actor="cli:els", list="news"), *entries)
    fault = find_fault(story)
    assert fault is not None
    found = Evidence.get(Evidence.seq == fault.seq).event if fault.seq else ""
    assert (fault.how is How.OUT_OF_ORDER) is bool(late)
    assert found == late or not late


def test_an_act_of_somebody_else_lends_nobody_its_time(story: Database) -> None:
    own = act("customer", subject="x", file=FILE)
    other = Entry(**{**vars(act("suppressions_imported", file=FILE)), "actor": "user:1"})
    with story.atomic():
        chain.append(Entry(event="exported", at=END, actor="cli:els", list="news"), own, other)
    fault = find_fault(story)
    assert fault is not None
    assert fault.how is How.OUT_OF_ORDER
