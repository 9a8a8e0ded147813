"""One person on two lists has a record on each, and what is done to one leaves the other.

Earlier versions took the subject over with a file of suppressions: in their databases one record
may tell of both lists, by entries of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database, run_sql
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.evidence import chain, entries
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify import proof as verify_proof
from repermit.imports import suppression_import
from repermit.privacy import erase_removed_contacts, evidence_retention, make_proof
from repermit.privacy import forget as privacy_forget
from repermit.privacy.make_proof import Proof
from repermit.reports.held_data import count_held_data
from repermit.rules.consent import Answer, Reason, Status
from repermit.suppression import fingerprint_files, suppressions
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.chain_faults import iter_chain_faults
from tests.support.import_helpers import OPTED_IN, mailchimp, take_back, take_in
from tests.support.public_pages import answer_on_page
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.evidence.test_verify_tables import KEY, LATER, WHO

ANNA = "anna@example.org"
DAY = timedelta(days=1)
PARTS = ("consent", "person", "trace")


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
    answer_on_page(database, contact.uid, Answer.NO, at=arrived)


def on(mailing_list: MailingList) -> Contact:
    """Return the newest contact of a list."""
    newest = Contact.select().where(Contact.list == mailing_list).order_by(Contact.id.desc())
    found: Contact = newest.get()
    return found


def hand_over(database: Database, folder: Path, *lists: MailingList) -> None:
    """Take the suppressions of the first list over to the others."""
    first, *others = lists
    path = folder / "off.csv"
    with path.open("wb") as out:
        fingerprint_files.write_suppressions(database, first, out=out, form="csv", now=LATER, **WHO)
    for other in others:
        suppression_import.import_suppressions(database, other, path, now=LATER, **WHO)


def parts_on(mailing_list: MailingList, event: str) -> Sequence[str]:
    """Return which parts of the entries of one event on a list are still held."""
    query = (
        EvidencePart.select(EvidencePart.part)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.list == mailing_list.slug, Evidence.event == event)
        .order_by(EvidencePart.part)
    )
    return tuple(one.part for one in query)


def fault(database: Database) -> str:
    found = verify_chain.verify_chain(database, fingerprint_key=KEY).fault
    return found.what if found else ""


def forget(database: Database, mailing_list: MailingList | None, *, days: int = 2) -> None:
    privacy_forget.erase_address(
        database, ANNA, mailing_list=mailing_list, now=LATER + days * DAY, **WHO
    )


def prove(database: Database, mailing_list: MailingList, *, days: int = 3) -> Proof:
    made = make_proof.prove_address(database, mailing_list, ANNA, now=LATER + days * DAY, **WHO)
    assert verify_proof.check_proof(made.text.encode()).faults == ()
    return made


def events_of(proof: Proof) -> Sequence[str]:
    return [one["entry"]["event"] for one in proof.document["statement"]["entries"]]


def named_in(proof: Proof) -> Sequence[str]:
    parts = (one["parts"] for one in proof.document["statement"]["entries"])
    return [part["person"]["content"]["address"] for part in parts if "person" in part]


# --- A record for each person and list.


def test_who_is_taken_over_to_another_list_has_a_record_of_their_own_there(
    database: Database, news: MailingList, agenda: MailingList, tmp_path: Path
) -> None:
    anna = make_contact(database, news, ANNA, name="Anna")
    say_no(database, anna)
    hand_over(database, tmp_path, news, agenda)
    confirmed(database, signed_up(database, agenda, ANNA))
    assert on(agenda).subject != anna.subject
    assert not Suppression.select().where(Suppression.list == agenda).exists()
    assert not fault(database)
    erase_removed_contacts.erase_due(database, settings=make_settings(), now=NOW + 40 * DAY)
    assert on(news).erased_at
    assert parts_on(agenda, "confirmed") == PARTS
    proof = prove(database, agenda, days=40)
    assert (events_of(proof), named_in(proof)) == (["confirmed"], [ANNA])
    assert events_of(prove(database, news, days=40)) == ["removed", "erased"]
    assert not fault(database)


def test_after_an_erasure_on_each_list_the_address_leads_to_the_record_of_that_list(
    database: Database, news: MailingList, agenda: MailingList, tmp_path: Path
) -> None:
    say_no(database, make_contact(database, news, ANNA))
    hand_over(database, tmp_path, news, agenda)
    confirmed(database, signed_up(database, agenda, ANNA))
    own = on(agenda).subject
    forget(database, None)
    assert events_of(prove(database, news)) == ["removed", "erased"]
    assert events_of(prove(database, agenda)) == ["confirmed", "removed", "erased"]
    confirmed(database, signed_up(database, agenda, ANNA), arrived=LATER + 3 * DAY)
    assert on(agenda).subject == own
    assert not fault(database)


def test_a_suppression_that_is_put_back_on_its_list_leads_to_the_record_there(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    anna = make_contact(database, news, ANNA)
    say_no(database, anna)
    with database.atomic():
        erasure.erase_contact(
            on(news), act=status_changes.Act(at=LATER, actor="job"), fingerprint_key=KEY
        )
    path = tmp_path / "off.csv"
    with path.open("wb") as out:
        fingerprint_files.write_suppressions(database, news, out=out, form="csv", now=LATER, **WHO)
    with database.atomic():
        suppressions.delete_suppressions(Suppression.list == news)
    suppression_import.import_suppressions(database, news, path, now=LATER, **WHO)
    assert Suppression.get().subject == anna.subject
    confirmed(database, signed_up(database, news, ANNA))
    assert on(news).subject == anna.subject


@pytest.mark.parametrize("for_all", [False, True])
def test_who_signs_up_on_two_lists_that_know_one_suppression_has_two_records(
    database: Database, news: MailingList, agenda: MailingList, tmp_path: Path, *, for_all: bool
) -> None:
    elsewhere = make_list(database, slug="elsewhere")
    privacy_forget.erase_address(
        database, ANNA, mailing_list=elsewhere, suppress=True, now=NOW, **WHO
    )
    with database.atomic():
        # As the file of another system has it, of which this record knows nothing.
        Suppression.update(subject="e" * 32).execute()
    hand_over(database, tmp_path, elsewhere, news, agenda)
    with database.atomic():
        Suppression.delete().where(Suppression.list == elsewhere).execute()
        if for_all:
            Suppression.delete().where(Suppression.list == agenda).execute()
            Suppression.update(list=None).execute()
    for one in (news, agenda):
        confirmed(database, signed_up(database, one, ANNA))
    assert on(news).subject == "e" * 32
    assert on(agenda).subject not in {"", "e" * 32}
    forget(database, news)
    assert parts_on(agenda, "confirmed") == PARTS
    assert events_of(prove(database, news)) == ["confirmed", "removed", "erased"]
    assert events_of(prove(database, agenda)) == ["confirmed"]


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
    forget(shared, news)
    assert not fault(shared)
    run_sql(shared, f"UPDATE contact SET status = 'confirmed' WHERE id = {number}")  # noqa: S608
    assert fault(shared) == f"contact {number}: confirmed"


def test_what_is_erased_on_one_list_stays_on_the_other_with_one_record_too(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    forget(shared, news)
    assert parts_on(news, "removed") == ("consent",)
    assert parts_on(agenda, "confirmed") == PARTS
    assert events_of(prove(shared, agenda)) == ["confirmed"]
    assert named_in(prove(shared, agenda)) == [ANNA]
    assert events_of(prove(shared, news)) == ["removed", "erased"]
    assert not fault(shared)
    forget(shared, agenda, days=4)
    assert parts_on(agenda, "confirmed") == ("consent",)
    assert events_of(prove(shared, agenda, days=5))[-3:] == ["proved", "removed", "erased"]
    assert not fault(shared)


def test_who_comes_back_to_either_list_goes_on_with_its_record(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    subject = on(news).subject
    forget(shared, None)
    for one in (agenda, news):
        confirmed(shared, signed_up(shared, one, ANNA), arrived=LATER + 3 * DAY)
        assert on(one).subject == subject
        assert not fault(shared)


def test_of_what_an_earlier_version_erased_on_both_lists_the_proof_says_why_it_is_gone(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    seqs = [one.seq for one in Evidence.select().order_by(Evidence.seq)]
    erased = {"seqs": seqs, "parts": ["person", "trace"]}
    with shared.atomic():
        EvidencePart.delete().where(EvidencePart.part.in_(erased["parts"])).execute()
        told: dict[str, Any] = {"event": "erased", "at": LATER + 2 * DAY, "actor": "job"}
        chain.append(entries.Entry(**told, list="news", subject=on(news).subject, consent=erased))
    assert events_of(prove(shared, agenda)) == ["confirmed", "erased"]
    assert list(iter_chain_faults()) == []


def test_since_when_somebody_is_held_on_a_list_its_own_entries_tell(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    with shared.atomic():
        SignUp.delete().execute()
    assert (count_held_data(news).since, count_held_data(agenda).since) == (LATER, LATER + DAY)
    found = privacy_forget.erase_address(
        shared, ANNA, mailing_list=agenda, now=LATER + 2 * DAY, **WHO
    )
    assert found.lists[0].beyond.since == LATER + DAY


def test_the_proof_of_a_yes_that_is_in_use_outlives_a_withdrawal_on_the_other_list(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    confirmed(shared, signed_up(shared, news, ANNA), arrived=LATER + 2 * DAY)
    left = LATER + 3 * DAY
    say_no(shared, on(news), left)
    ended = evidence_retention.delete_expired_parts(
        shared, settings=make_settings(), now=left.replace(year=left.year + 5)
    )
    assert ended.proofs == 3
    assert parts_on(news, "removed") == ("person", "person")
    assert parts_on(agenda, "confirmed") == ("consent", "person")
    assert not fault(shared)


def test_a_removal_counts_for_the_term_of_its_own_list(
    shared: Database, news: MailingList, agenda: MailingList
) -> None:
    """The newer Yes on the other list keeps nothing of it."""
    ended = evidence_retention.delete_expired_parts(
        shared, settings=make_settings(), now=LATER.replace(year=LATER.year + 5)
    )
    assert ended.proofs == 1
    assert parts_on(news, "removed") == ("person",)
    assert parts_on(agenda, "confirmed") == ("consent", "person")


def test_a_file_that_is_taken_back_ends_nothing_on_the_other_list(
    database: Database, news: MailingList, agenda: MailingList, tmp_path: Path
) -> None:
    take_in(database, news, mailchimp(tmp_path, {"email": ANNA, **OPTED_IN}))
    share(database, agenda, on(news).subject)
    confirmed(database, signed_up(database, agenda, ANNA), arrived=NOW + timedelta(minutes=1))
    take_back(database, news, now=LATER)
    assert not Contact.select().where(Contact.list == news).exists()
    assert parts_on(news, "confirmed") == ("consent",)
    assert parts_on(agenda, "confirmed") == PARTS
    evidence_retention.delete_expired_parts(
        database, settings=make_settings(), now=LATER.replace(year=LATER.year + 5)
    )
    assert parts_on(news, "confirmed") == ()
    assert parts_on(agenda, "confirmed") == ("consent", "person")
    assert not fault(database)


def test_who_was_erased_on_one_list_has_not_come_back_by_the_other(
    database: Database, news: MailingList, agenda: MailingList
) -> None:
    anna = make_contact(database, news, ANNA)
    with database.atomic():
        act = status_changes.Act(at=LATER, actor="job")
        status_changes.remove_contacts([anna], reason=Reason.REQUEST, act=act, fingerprint_key=KEY)
        erasure.erase_contact(Contact.get_by_id(anna.id), act=act, fingerprint_key=KEY)
    share(database, agenda, anna.subject)
    confirmed(database, signed_up(database, agenda, ANNA))
    assert (on(news).status, fault(database)) == (Status.REMOVED, "")
    with database.atomic():
        Suppression.delete().where(Suppression.list == news).execute()
    assert fault(database) == f"contact {anna.id}: that it is not to be asked again"
