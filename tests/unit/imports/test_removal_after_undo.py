"""Who leaves by themselves after a file had taken them off stays off when it is taken back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.answers import link_target, record_answer
from repermit.backups import restore
from repermit.bounces import record_bounce
from repermit.bounces.bounce_results import Effect
from repermit.bounces.message_kind import read
from repermit.clock import format_timestamp
from repermit.contacts import admin_requests
from repermit.contacts import lookup as contacts_lookup
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, Reply
from repermit.db.suppression_journal import Journal
from repermit.errors import TransitionRefused
from repermit.evidence.verify import chain
from repermit.imports import suppression_import, undo
from repermit.privacy import forget as privacy_forget
from repermit.privacy import not_the_person
from repermit.rules.consent import Answer, Basis, CampaignState, Fate, Outcome, Reason, Status
from repermit.suppression import suppressions
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.desk import Desk
from tests.support.import_helpers import fates_of, mailchimp, on_list, take_back, take_in
from tests.support.one_time_links import TRACE
from tests.support.query_plans import plans_of
from tests.support.returned_mails import reply_to, returned_for
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.campaigns.test_launch import start
from tests.unit.db.test_suppression_journal import CHECK
from tests.unit.evidence.test_verify_tables import WHO
from tests.unit.privacy.test_rectification import move

SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
SOON = NOW + timedelta(minutes=5)
LATER = NOW + timedelta(minutes=30)
ANNA, BERT, NOBODY = "anna@example.org", "bert@example.org", "nobody@example.org"
ON_LIST = [
    (Status.UNCONFIRMED, ""),
    (Status.CONFIRMED, Basis.THIN),
    (Status.CUSTOMER, Basis.CUSTOMER),
]


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def wrong(folder: Path) -> Path:
    """Write a file that says of Anna, Bert and somebody unknown that they have left elsewhere."""
    rows = [{"email": address} for address in (ANNA, BERT, NOBODY)]
    return mailchimp(folder, *rows, name="unsubscribed_x.csv")


@pytest.fixture
def anna(database: Database, news: MailingList, tmp_path: Path) -> Contact:
    """Return a customer whom a wrong file has taken off, and Bert with her."""
    return taken_off(database, news, tmp_path, Status.CUSTOMER, Basis.CUSTOMER)


def taken_off(
    database: Database, news: MailingList, folder: Path, status: Status, basis: str
) -> Contact:
    for address in (ANNA, BERT):
        make_contact(database, news, address, status=status, basis=basis)
    take_in(database, news, wrong(folder))
    found: Contact = Contact.get(Contact.address == ANNA)
    assert (found.status, found.reason) == (Status.REMOVED, Reason.REQUEST)
    return found


def say_no(
    database: Database, contact: Contact, answer: Answer = Answer.NO, **more: Any
) -> link_target.RecordedAnswer:
    page = link_target.PageShown(wording="De vraag")
    given: dict[str, Any] = {"method": "page", "page": lambda _: page, "arrived_at": SOON}
    recorded = record_answer.record_answer(
        database,
        uid=contact.uid,
        answer=answer,
        settings=SETTINGS,
        trace={"network": "", "browser": ""},
        **{**given, **more},
    )
    assert recorded is not None
    return recorded


def told(event: str = "removed") -> dict[str, Any]:
    """Return who did the newest act of this name, and what is kept of it."""
    entry = Evidence.select().where(Evidence.event == event).order_by(Evidence.seq.desc()).get()
    part = EvidencePart.get(EvidencePart.seq == entry.seq, EvidencePart.part == "consent")
    return {"actor": entry.actor, "subject": entry.subject, **json.loads(part.json)}


def suppressed(address: str) -> Suppression | None:
    found: Suppression | None = Suppression.get_or_none(
        Suppression.fingerprint == email_address.fingerprint(KEY, address)
    )
    return found


def stays_off(
    database: Database, news: MailingList, folder: Path, anna: Contact, reason: Reason
) -> None:
    """Take the file back, and see that Anna alone stays where she put herself."""
    before = Contact.get_by_id(anna.id)
    assert (before.status, before.reason, before.status_at) == (Status.REMOVED, reason, SOON)
    assert (told()["subject"], told()["reason"]) == (anna.subject, reason)
    undone = take_back(database, news, now=LATER)
    assert (undone.restored, undone.suppressions_taken_back) == (1, 2)
    after = on_list(news)
    assert after[ANNA] == (Status.REMOVED, reason, "")
    assert after[BERT][0] != Status.REMOVED
    (kept,) = Suppression.select()
    assert (kept.subject, kept.reason, kept.imported_by_id) == (anna.subject, reason, None)
    fault = chain.verify_chain(database, fingerprint_key=KEY).fault
    # A campaign that a test has made is nowhere on record.
    assert fault is None or fault.what == "campaign 1"
    assert fates_of(take_in(database, news, wrong(folder)))[Fate.SUPPRESSED] == 1


@pytest.mark.parametrize("method", ["page", "one_click"])
@pytest.mark.parametrize("stood", ON_LIST)
def test_a_no_holds_although_a_file_had_taken_them_off_before(
    database: Database, news: MailingList, tmp_path: Path, stood: tuple[Status, str], method: str
) -> None:
    anna = taken_off(database, news, tmp_path, *stood)
    recorded = say_no(database, anna, method=method)
    assert (recorded.outcome, recorded.reason) == (Outcome.REMOVE, Reason.NO)
    assert (told()["actor"], told()["answer"]) == ("person", "no")
    stays_off(database, news, tmp_path, anna, Reason.NO)


def test_a_no_that_was_said_is_not_said_again(database: Database, anna: Contact) -> None:
    say_no(database, anna)
    entries = Evidence.select().count()
    assert say_no(database, anna, arrived_at=LATER).outcome is Outcome.NOTHING
    assert Evidence.select().count() == entries
    assert Contact.get_by_id(anna.id).status_at == SOON


def test_a_no_by_phone_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    about: dict[str, Any] = {"note": "By phone", "now": SOON, **WHO}
    recorded = record_answer.record_reported_answer(database, news, ANNA, Answer.NO, **about)
    assert recorded.outcome is Outcome.REMOVE
    stays_off(database, news, tmp_path, anna, Reason.NO)


def test_that_they_asked_for_it_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    about: dict[str, Any] = {"note": "By letter", "now": SOON, **WHO}
    admin_requests.remove_at_request(database, news, anna.id, **about)
    assert told()["actor"] == WHO["actor"]
    with pytest.raises(TransitionRefused):
        admin_requests.remove_at_request(database, news, anna.id, **about)
    stays_off(database, news, tmp_path, anna, Reason.REQUEST)


def test_that_they_are_not_the_person_meant_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    for _ in range(2):
        assert not_the_person.say_not_the_person(
            database, uid=anna.uid, settings=SETTINGS, now=SOON, trace=TRACE
        )
    assert (told()["actor"], told()["method"]) == ("reader", "not_the_person")
    events = [one.event for one in Evidence.select().where(Evidence.subject == anna.subject)]
    assert events == ["removed", "removed", "not_the_person"]
    assert Mail.select().count() == 1
    stays_off(database, news, tmp_path, anna, Reason.REQUEST)


def test_a_complaint_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    campaign = make_campaign(database, news, state=CampaignState.CLOSED)
    complaint = returned_for("arf_abuse", make_mail(database, campaign, anna))
    taken = [
        record_bounce.record_message(database, read(complaint), settings=SETTINGS, now=SOON)
        for _ in range(2)
    ]
    assert [one.effect for one in taken] == [Effect.REMOVED, Effect.KNOWN]
    assert told()["was_removed_for"] == Reason.REQUEST
    stays_off(database, news, tmp_path, anna, Reason.COMPLAINT)


def test_a_no_by_mail_waits_for_the_admin(
    database: Database, news: MailingList, anna: Contact
) -> None:
    ask = make_mail(database, make_campaign(database, news, state=CampaignState.CLOSED), anna)
    taken = record_bounce.record_message(
        database, read(reply_to(ask, "Nee", sender=ANNA)), settings=SETTINGS, now=SOON
    )
    assert taken.effect is Effect.WAITING
    say_no(database, anna, arrived_at=LATER)
    assert Reply.get().decided_at == LATER


def take_over(
    database: Database, news: MailingList, folder: Path, **more: Any
) -> suppression_import.SuppressionImportResult:
    path = folder / "off.csv"
    path.write_text(f"email\n{ANNA}\n{NOBODY}\n", "utf-8")
    about: dict[str, Any] = {"now": SOON, **WHO, **more}
    return suppression_import.import_suppressions(database, news, path, **about)


def test_a_suppression_that_is_taken_over_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    looked = take_over(database, news, tmp_path, dry_run=True)
    assert Suppression.select().where(Suppression.imported_by.is_null()).count() == 0
    taken = take_over(database, news, tmp_path)
    assert (taken.known, taken.added, taken.removed) == (2, 0, 0)
    assert taken == looked
    assert (told()["by"], told()["subject"]) == ("suppressions", anna.subject)
    entries = Evidence.select().count()
    assert take_over(database, news, tmp_path) == taken
    # That it was given again.
    assert Evidence.select().count() == entries + 1
    take_back(database, news, now=LATER)
    assert on_list(news)[ANNA] == (Status.REMOVED, Reason.REQUEST, "")
    assert on_list(news)[BERT][0] == Status.CUSTOMER
    assert [bool(suppressed(one)) for one in (ANNA, BERT, NOBODY)] == [True, False, True]
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_a_suppression_that_was_asked_for_holds(
    database: Database, news: MailingList, anna: Contact
) -> None:
    forget: Callable[..., Any] = privacy_forget.erase_address
    about: dict[str, Any] = {"mailing_list": news, "now": SOON, **WHO}
    forget(database, NOBODY, suppress=True, **about)
    # Who was held is erased, and her suppression stays as it is.
    for _ in range(2):
        forget(database, ANNA, suppress=True, **about)
    take_back(database, news, now=LATER)
    assert [bool(suppressed(one)) for one in (ANNA, BERT, NOBODY)] == [True, False, True]
    assert Contact.get_by_id(anna.id).status == Status.REMOVED
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_no_between_two_steps_of_the_undoing_holds(
    database: Database, news: MailingList, anna: Contact, steps: int
) -> None:
    assert not take_back(database, news, now=NOW, max_rows=0).is_whole
    left = iter(range(steps))
    undo.finish_undos(database, should_stop=lambda: next(left, None) is None, step=1)
    say_no(database, anna)
    undo.finish_undos(database)
    assert Contact.get_by_id(anna.id).status == Status.REMOVED
    assert [one.subject for one in Suppression.select()] == [anna.subject]
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_a_no_at_the_very_moment_of_the_file_holds(
    database: Database, news: MailingList, anna: Contact
) -> None:
    say_no(database, anna, arrived_at=NOW)
    take_back(database, news, now=LATER)
    assert on_list(news)[ANNA] == (Status.REMOVED, Reason.NO, "")


def test_who_came_back_and_leaves_again_is_off_by_themselves(
    database: Database, news: MailingList, anna: Contact
) -> None:
    assert contacts_lookup.is_off_by_file(anna)
    confirmed(database, signed_up(database, news, ANNA))
    assert not contacts_lookup.is_off_by_file(Contact.get_by_id(anna.id))
    say_no(database, anna, arrived_at=LATER)
    assert not contacts_lookup.is_off_by_file(Contact.get_by_id(anna.id))
    assert Contact.get_by_id(anna.id).reason == Reason.WITHDRAWN


def test_a_no_holds_at_both_addresses_of_who_has_moved(
    database: Database, news: MailingList, anna: Contact
) -> None:
    assert move(database, anna, "new@example.org") == "moved"
    say_no(database, anna)
    take_back(database, news, now=LATER)
    assert on_list(news)["new@example.org"] == (Status.REMOVED, Reason.NO, "")
    assert [bool(suppressed(one)) for one in (ANNA, "new@example.org")] == [True, True]
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_who_has_moved_stands_again_under_the_new_address_and_can_be_asked(
    database: Database, news: MailingList, tmp_path: Path
) -> None:
    anna = taken_off(database, news, tmp_path, Status.UNCONFIRMED, "")
    for address in ("between@example.org", "new@example.org"):
        assert move(database, Contact.get_by_id(anna.id), address) == "moved"
    assert contacts_lookup.is_off_by_file(Contact.get_by_id(anna.id))
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None
    take_back(database, news, now=LATER)
    assert on_list(news)["new@example.org"] == (Status.UNCONFIRMED, "", "")
    # To the addresses that they have left by their own word nothing goes.
    left = [suppressed(one) for one in (ANNA, "between@example.org")]
    assert [(one.reason, one.imported_by_id) for one in left if one] == [("request", None)] * 2
    assert suppressed("new@example.org") is None
    assert start(database, news).plan.asked == 2
    assert chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_who_has_moved_back_stands_again_under_the_old_address(
    database: Database, news: MailingList, anna: Contact
) -> None:
    for address in ("new@example.org", ANNA):
        assert move(database, Contact.get_by_id(anna.id), address) == "moved"
    take_back(database, news, now=LATER)
    assert on_list(news)[ANNA][0] == Status.CUSTOMER
    assert [bool(suppressed(one)) for one in (ANNA, "new@example.org")] == [False, True]


@pytest.mark.counted_on_both
def test_whom_a_file_took_off_is_found_by_an_index(database: Database, anna: Contact) -> None:
    (plan,) = plans_of(
        database, lambda: contacts_lookup.is_off_by_file(anna), having='FROM "suppression"'
    )
    assert re.search(r"suppression_(imported|subject)", plan), plan


@pytest.mark.counted_on_both
def test_whom_files_took_off_are_found_by_their_subjects_among_those_of_all_lists(
    database: Database, news: MailingList
) -> None:
    many = [f"{number:032x}" for number in range(500)]
    (plan,) = plans_of(
        database,
        lambda: suppressions.keep_suppressions_of_subjects(news, many),
        having='UPDATE "suppression"',
    )
    assert "SCAN" not in plan.replace("SCAN t1", "")
    assert re.search(r"imported_by_id=\? AND subject=\?|suppression_imported", plan), plan


def restored(
    database: Database, folder: Path, contact: Contact, reason: str, at: datetime
) -> restore.RestoreResult:
    """Take up what a journal notes of a contact that has left."""
    journal = Journal(folder / "suppressions.journal", key_check=CHECK)
    line = {
        "do": "suppress",
        "at": format_timestamp(at),
        "list": contact.list.slug,
        "fingerprint": email_address.fingerprint(KEY, contact.address_key),
        "subject": contact.subject,
        "reason": reason,
    }
    journal.add_lines({"do": "backup", "mark": "another"}, line)
    journal.before_commit()
    return restore.bring_up_to_date(database, journals=[journal.path], now=LATER, **WHO)


@pytest.mark.parametrize("noted", ["no", "withdrawn", "request"])
def test_a_no_that_the_backup_does_not_know_holds(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path, noted: str
) -> None:
    reason = Reason.REQUEST if noted == "request" else Reason.NO
    assert restored(database, tmp_path, anna, noted, SOON).replayed.removed[reason] == 1
    assert told()["by"] == "restored"
    stays_off(database, news, tmp_path, anna, reason)


def test_what_the_file_itself_has_noted_is_no_no(
    database: Database, news: MailingList, anna: Contact, tmp_path: Path
) -> None:
    replayed = restored(database, tmp_path, anna, "request", NOW).replayed
    assert sum(replayed.removed.values()) == 0
    take_back(database, news, now=LATER)
    assert on_list(news)[ANNA][0] == Status.CUSTOMER


def test_one_click_by_a_link_that_was_handed_on_outlives_the_undoing(
    desk: Desk,
) -> None:
    desk.add_news()
    customers = desk.file(
        "email,name,customer", f"{ANNA},Anna,yes", f"{BERT},Bert,yes", name="klanten.csv"
    )
    sold = "Each of them bought from us, and could say no then"
    desk.do("import", "news", customers, "--customers", "--attest", sold)
    kept = desk.run("export", "news", "keep", "--with-links", "--format", "json").document
    (url,) = (one["unsubscribe_url"] for one in kept if one["address"] == ANNA)
    path = url.removeprefix("https://ask.example.org")
    desk.clock.advance(timedelta(minutes=1))
    desk.do("import", "news", desk.file("email", ANNA, BERT, name="unsubscribed.csv"))
    desk.clock.advance(timedelta(minutes=1))
    with desk.pages() as client:
        # A page that shows the question: the file's word was not hers.
        assert "<form" in client.get(path).text
        pressed = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert (pressed.status_code, pressed.text) == (200, "Unsubscribed.\n")
    desk.clock.advance(timedelta(minutes=1))
    desk.do("import", "news", "--undo")
    kept = desk.run("export", "news", "keep", "--format", "json").document
    assert [one["address"] for one in kept] == [BERT]
    with desk.database():
        assert Import.select().count() == 2
        removed = Contact.get(Contact.address == ANNA)
        assert (removed.status, removed.reason) == (Status.REMOVED, Reason.NO)
    desk.do("verify")
