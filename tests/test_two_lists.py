"""One person on two lists has a record on each, and what is done to one leaves the other.

Earlier versions took the subject over with a file of suppressions: in their databases one record
may tell of both lists, by entries of each.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit import answers, contacts, evidence
from repermit.consent import Answer, Reason, Status
from repermit.models import (
    Contact,
    MailingList,
    Suppression,
    run_sql,
)
from tests.building import make_contact, make_list, make_settings
from tests.test_answers_signing_up import confirmed, signed_up
from tests.test_evidence_beside import KEY, LATER

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database

ANNA = "anna@example.org"
DAY = timedelta(days=1)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def agenda(database: Database) -> MailingList:
    return make_list(database, slug="agenda", name="Agenda")


@pytest.fixture
def shared(database: Database, news: MailingList, agenda: MailingList) -> Database:
    """Return a database of an earlier version: a No on news and a Yes on agenda in one record."""
    anna = make_contact(database, news, ANNA, name="Anna")
    say_no(database, anna)
    share(database, agenda, anna.subject)
    confirmed(database, signed_up(database, agenda, ANNA), arrived=LATER + DAY)
    return database


def share(database: Database, mailing_list: MailingList, subject: str) -> None:
    """Put Anna on a list with a record that she has on another."""
    contact = make_contact(database, mailing_list, ANNA)
    with database.atomic():
        Contact.update(subject=subject).where(Contact.id == contact.id).execute()


def say_no(database: Database, contact: Contact, arrived: datetime = LATER) -> None:
    answers.record_answer(
        database,
        uid=contact.uid,
        answer=Answer.NO,
        arrived=arrived,
        settings=make_settings(),
        method="page",
        trace=answers.Trace(network="192.0.2.0/24", browser=""),
        page_wording="De vraag",
    )


def on(mailing_list: MailingList) -> Contact:
    """Return the newest contact of a list."""
    newest = Contact.select().where(Contact.list == mailing_list).order_by(Contact.id.desc())
    found: Contact = newest.get()
    return found


def fault(database: Database) -> str:
    found = evidence.verify_chain(database, fingerprint_key=KEY).fault
    return found.what if found else ""


# --- Where one record tells of two lists.


def test_one_record_of_two_lists_is_no_fault_and_each_is_held_against_its_own_entries(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    assert on(news).subject == on(agenda).subject
    assert not fault(shared)
    number = on(news).id
    for values, what in (
        ("reason = 'bounce'", "removed"),
        ("status = 'confirmed', basis = 'answer', reason = ''", "confirmed"),
        ("address = 'evil@example.org'", "its address"),
    ):
        with shared.atomic() as transaction:
            run_sql(shared, f"UPDATE contact SET {values} WHERE id = {number}")  # noqa: S608
            assert fault(shared) == f"contact {number}: {what}"
            transaction.rollback()
    # Newer entries of the other list do not hide it either.
    say_no(shared, on(agenda), LATER + 2 * DAY)
    assert not fault(shared)


def test_who_was_erased_on_one_list_has_not_come_back_by_the_other(
    database: Database, news: MailingList, agenda: MailingList
) -> None:
    anna = make_contact(database, news, ANNA)
    with database.atomic():
        act = contacts.Act(at=LATER, actor="job")
        contacts.remove([anna], reason=Reason.REQUEST, act=act, fingerprint_key=KEY)
        contacts.erase(Contact.get_by_id(anna.id), act=act, fingerprint_key=KEY)
    share(database, agenda, anna.subject)
    confirmed(database, signed_up(database, agenda, ANNA))
    assert (on(news).status, fault(database)) == (Status.REMOVED, "")
    with database.atomic():
        Suppression.delete().where(Suppression.list == news).execute()
    assert fault(database) == f"contact {anna.id}: that it is not to be asked again"
