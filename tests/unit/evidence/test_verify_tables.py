"""Invariant 7, beside the chain: who edits what papers and exports are made from is found out."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.campaigns import mailing_lists
from repermit.campaigns.launch import launch
from repermit.campaigns.lifecycle import (
    cancel_campaign,
    extend_campaign,
    pause_campaign,
    resume_campaign,
)
from repermit.clock import format_timestamp
from repermit.contacts import admin_requests, erasure, status_changes
from repermit.contacts.admin_requests import NewContact
from repermit.contacts.last_ask import EvidenceFields
from repermit.db.connection import Database, open_database, run_sql
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify import diagnosis
from repermit.evidence.verify.diagnosis import How
from repermit.exports.handover_steps import set_tick
from repermit.privacy import forget
from repermit.rules.consent import Answer, Basis, Reason
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_settings,
    note_list,
)
from tests.support.desk import ATTEST
from tests.support.import_helpers import OPTED_IN, mailchimp, plain, take_back, take_in
from tests.support.public_pages import answer_on_page
from tests.support.tampered_records import contact_at
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.privacy.test_rectification import move

KEY = make_settings().fingerprint_key
LATER = NOW + timedelta(hours=1)
WHO: dict[str, Any] = {"settings": make_settings(), "actor": "cli:els"}


def say(database: Database, name: str, answer: Answer) -> None:
    answer_on_page(database, contact_at(name).uid, answer, at=LATER)


@pytest.fixture
def story(database: Database, tmp_path: Path) -> Database:
    """Take files in and back, ask, answer, move the deadline, hand over, erase."""
    news = make_list(database)
    mailing_lists.add_list(database, "other", name="Other", now=NOW, **WHO)
    proven = ("zelf", "terug")
    rows = [
        {"email": f"{name}@example.org", **(OPTED_IN if name in proven else {})}
        for name in ("ja", "nee", "stil", "weg", *proven)
    ]
    take_in(database, news, mailchimp(tmp_path, *rows))
    make_contact(database, news, "klant@example.org")
    second = plain(tmp_path, ("ja@example.org", "Ja"), ("los@example.org", "Los"))
    take_in(database, news, second, now=NOW + timedelta(minutes=1))
    better = mailchimp(tmp_path, {"email": "stil@example.org", **OPTED_IN}, name="better.csv")
    take_in(database, news, better, now=NOW + timedelta(minutes=2))
    take_back(database, news, now=NOW + timedelta(minutes=3))
    launch(
        database,
        news,
        deadline=DEADLINE,
        now=LATER,
        attest=ATTEST,
        include_thin=True,
        reminder=7,
        **WHO,
    )
    say(database, "ja", Answer.YES)
    say(database, "nee", Answer.NO)
    say(database, "terug", Answer.NO)
    admin_requests.remove_at_request(
        database, news, contact_at("weg").id, note="by phone", now=LATER, **WHO
    )
    pause_campaign(database, news, now=LATER, actor="cli:els")
    resume_campaign(database, news, now=LATER, **WHO)
    extend_campaign(database, news, deadline=DEADLINE + timedelta(days=7), now=LATER, **WHO)
    for is_done in (True, False, True):
        set_tick(
            database,
            Campaign.get(),
            tool="mailchimp",
            step="removed",
            is_done=is_done,
            now=LATER,
            actor="user:1",
        )
    with database.atomic():
        erasure.erase_contact(
            contact_at("weg"), act=status_changes.Act(at=LATER, actor="job"), fingerprint_key=KEY
        )
    forget.erase_address(
        database, "nooit@example.org", mailing_list=news, suppress=True, now=LATER, **WHO
    )
    return database


def contact(values: str, name: str) -> str:
    return f"UPDATE contact SET {values} WHERE address_key = '{name}@example.org'"


def of_contact(name: str) -> str:
    return (
        "subject = (SELECT one.subject FROM contact one"
        f" WHERE one.address_key = '{name}@example.org')"
    )


def suppression(values: str, name: str) -> str:
    return f"UPDATE suppression SET {values} WHERE {of_contact(name)}"


OF_A_CONTACT = "subject IN (SELECT one.subject FROM contact one)"
PRINT_OF_NEE, PRINT_OF_TERUG = (
    email_address.fingerprint(KEY, f"{name}@example.org") for name in ("nee", "terug")
)


def campaign(values: str) -> str:
    return f"UPDATE campaign SET {values}"


MOMENT = "'2026-03-02T09:00:00.000001+00:00'"
OTHER = (
    "(SELECT min(other.wording_id) FROM campaign_wording other"
    " WHERE other.wording_id <> campaign_wording.wording_id)"
)
COPIED = "campaign_id, kind, language, wording_id"

# What was done, and the event of the entry that is contradicted, or "" if none accounts for it.
TAMPERED: dict[str, tuple[tuple[str, ...], str]] = {
    "a wording replaced by another": (
        (f"UPDATE campaign_wording SET wording_id = {OTHER} WHERE revision = 1",),
        "launched",
    ),
    "a wording with the later deadline replaced": (
        (f"UPDATE campaign_wording SET wording_id = {OTHER} WHERE revision = 2",),
        "extended",
    ),
    "a wording told to be of another language": (
        ("UPDATE campaign_wording SET language = 'de' WHERE kind = 'reminder'",),
        "",
    ),
    "a wording taken away": (("DELETE FROM campaign_wording WHERE revision = 2",), "extended"),
    "a wording put in": (
        (
            (
                f"INSERT INTO campaign_wording ({COPIED}, revision)"
                f" SELECT {COPIED}, 3 FROM campaign_wording WHERE revision = 2 AND kind = 'ask'"
            ),
        ),
        "",
    ),
    "an earlier deadline": ((campaign(f"deadline = {MOMENT}"),), "extended"),
    "another reminder": ((campaign("reminder_at = NULL"),), "extended"),
    "another launch": ((campaign(f"launched_at = {MOMENT}"),), "launched"),
    "fewer days to answer": ((campaign("minimum_days = 0"),), "launched"),
    "others asked": ((campaign("include_thin = (1 = 0)"),), "launched"),
    "another list": (
        (campaign("list_id = (SELECT id FROM mailing_list WHERE slug = 'other')"),),
        "launched",
    ),
    "an end that nobody noted": ((campaign("state = 'closed'"),), ""),
    "a moment of closing": ((campaign(f"closed_at = {MOMENT}"),), ""),
    "a campaign taken away": (
        (
            "DELETE FROM handed_over",
            "DELETE FROM mail",
            "DELETE FROM campaign_wording",
            "DELETE FROM campaign",
        ),
        "launched",
    ),
    "other counts of a file": (
        ("UPDATE import SET counts = replace(counts, '\"rows\": 2', '\"rows\": 3')",),
        "imported",
    ),
    "counts that are none": (("UPDATE import SET counts = 'x' WHERE id = 1",), "imported"),
    "counts that are empty": (("UPDATE import SET counts = '{}' WHERE id = 1",), "imported"),
    "counts that are a list": (("UPDATE import SET counts = '[]' WHERE id = 1",), "imported"),
    "another name of a file": (("UPDATE import SET file = 'x' WHERE id = 1",), "imported"),
    "another file": (("UPDATE import SET digest = 'x' WHERE id = 1",), "imported"),
    "a file that was not taken back": (("UPDATE import SET undone_at = NULL",), "import_undone"),
    "a file taken back": ((f"UPDATE import SET undone_at = {MOMENT} WHERE id = 1",), ""),
    "a file taken away": (
        (
            "UPDATE contact SET imported_by_id = NULL",
            "UPDATE suppression SET imported_by_id = NULL",
            "DELETE FROM import WHERE id = 2",
        ),
        "imported",
    ),
    "a file put in": (
        (
            (
                "INSERT INTO import (list_id, file, digest, counts, at)"
                f" SELECT list_id, file, digest, counts, {MOMENT} FROM import WHERE id = 1"
            ),
        ),
        "",
    ),
    "a step ticked by another": (("UPDATE handed_over SET by = 'user:2'",), "handed_over"),
    "a step that is not ticked": (("DELETE FROM handed_over",), "handed_over"),
    "a step ticked": (
        (
            (
                "INSERT INTO handed_over (campaign_id, tool, step, by, at)"
                " SELECT campaign_id, tool, 'keep', by, at FROM handed_over"
            ),
        ),
        "",
    ),
    "a No made a Yes": (
        (contact("status = 'confirmed', reason = '', basis = 'answer'", "nee"),),
        "removed",
    ),
    "a Yes made a No": (
        (contact("status = 'removed', reason = 'no', basis = ''", "ja"),),
        "confirmed",
    ),
    "a Yes of nobody": ((contact("status = 'confirmed', basis = 'answer'", "klant"),), ""),
    "another reason": ((contact("reason = 'no_response'", "nee"),), "removed"),
    "a better ground": ((contact("basis = 'imported'", "zelf"),), "confirmed"),
    "one put back on the list": (
        (contact("status = 'unconfirmed', reason = ''", "terug"),),
        "removed",
    ),
    "an undoing that was none": (
        (contact("status = 'confirmed', basis = 'thin'", "stil"),),
        "import_undone",
    ),
    "somebody else's record": (
        (
            contact(
                "subject = (SELECT nee.subject FROM contact nee"
                " WHERE nee.address_key = 'nee@example.org')",
                "ja",
            ),
        ),
        "removed",
    ),
    "a No under the record of a Yes": (
        (
            contact(
                "subject = (SELECT ja.subject FROM contact ja"
                " WHERE ja.address_key = 'ja@example.org'),"
                " status = 'confirmed', reason = '', basis = 'answer'",
                "nee",
            ),
        ),
        "confirmed",
    ),
    "two addresses swapped": (
        (
            contact("address_key = 'x'", "ja"),
            contact("address = 'ja@example.org', address_key = 'ja@example.org'", "zelf"),
            (
                "UPDATE contact SET address = 'zelf@example.org', address_key = 'zelf@example.org'"
                " WHERE address_key = 'x'"
            ),
        ),
        "confirmed",
    ),
    "one pointed to another list": (
        (contact("list_id = (SELECT id FROM mailing_list WHERE slug = 'other')", "ja"),),
        "confirmed",
    ),
    "another address": ((contact("address = 'evil@example.org'", "ja"),), "confirmed"),
    "an address that is none": ((contact("address = 'evil'", "ja"),), "confirmed"),
    "an address to be found by": (
        (contact("address_key = 'evil@example.org'", "ja"),),
        "confirmed",
    ),
    "an earlier Yes": ((contact(f"basis_at = {MOMENT}", "ja"),), "confirmed"),
    "an earlier sign-up": ((contact(f"basis_at = {MOMENT}", "zelf"),), "confirmed"),
    "nobody suppressed": (("DELETE FROM suppression",), "removed"),
    "a No that may be asked again": (
        (
            (
                "DELETE FROM suppression WHERE subject = (SELECT nee.subject FROM contact nee"
                " WHERE nee.address_key = 'nee@example.org')"
            ),
        ),
        "removed",
    ),
    "an erased one that may be asked again": (
        ("DELETE FROM suppression WHERE reason = 'request'",),
        "removed",
    ),
    "an erased one whose fingerprint fits no address": (
        (
            (
                f"UPDATE suppression SET fingerprint = '{'f' * 64}'"
                f" WHERE reason = 'request' AND {OF_A_CONTACT}"
            ),
        ),
        "removed",
    ),
    "a suppression of somebody else": (
        (f"UPDATE suppression SET subject = '{'f' * 32}' WHERE reason = 'no'",),
        "removed",
    ),
    "an earlier No": ((contact(f"status_at = {MOMENT}", "nee"),), "removed"),
    "a fingerprint that fits no address": (
        (suppression(f"fingerprint = '{'f' * 64}'", "nee"),),
        "removed",
    ),
    "the fingerprints of two swapped": (
        (
            suppression(f"fingerprint = '{'f' * 64}'", "nee"),
            f"UPDATE suppression SET fingerprint = '{PRINT_OF_NEE}' WHERE {of_contact('terug')}",
            (
                f"UPDATE suppression SET fingerprint = '{PRINT_OF_TERUG}'"
                f" WHERE fingerprint = '{'f' * 64}'"
            ),
        ),
        "removed",
    ),
    "kept for another reason": ((suppression("reason = 'bounce'", "nee"),), "removed"),
    "an erased one kept for another reason": (
        (f"UPDATE suppression SET reason = 'no' WHERE {OF_A_CONTACT} AND reason = 'request'",),
        "removed",
    ),
    "one that was never here kept for another reason": (
        (f"UPDATE suppression SET reason = 'no' WHERE NOT {OF_A_CONTACT}",),
        "suppressed",
    ),
    "one who is there said to be erased": ((contact(f"erased_at = {MOMENT}", "ja"),), "confirmed"),
    "one of whom nothing is told said to be erased": (
        (contact(f"erased_at = {MOMENT}, address = NULL, address_key = uid", "klant"),),
        "",
    ),
    "an erased one said to be there": (
        ("UPDATE contact SET erased_at = NULL WHERE erased_at IS NOT NULL",),
        "erased",
    ),
    "erased at another moment": (
        (f"UPDATE contact SET erased_at = {MOMENT} WHERE erased_at IS NOT NULL",),
        "erased",
    ),
    "the numbers in the links of two swapped": (
        (
            *(
                f"INSERT INTO meta (key, value) SELECT '{name}', uid FROM contact"
                f" WHERE address_key = '{name}@example.org'"
                for name in ("terug", "nee")
            ),
            contact(f"uid = '{'f' * 32}'", "terug"),
            contact("uid = (SELECT value FROM meta WHERE key = 'terug')", "nee"),
            contact("uid = (SELECT value FROM meta WHERE key = 'nee')", "terug"),
        ),
        "removed",
    ),
    "the number in the links of one who came with a file": (
        (contact(f"uid = '{'f' * 32}'", "zelf"),),
        "confirmed",
    ),
    "the number of an erased one in its links": (
        (f"UPDATE contact SET uid = '{'f' * 32}' WHERE erased_at IS NOT NULL",),
        "erased",
    ),
}


def test_invariant_7_what_stands_beside_the_chain_is_held_against_it(story: Database) -> None:
    assert verify_chain.verify_chain(story).fault is None
    told = {}
    for way, (statements, _) in TAMPERED.items():
        with story.atomic() as transaction:
            for statement in statements:
                run_sql(story, statement)
            fault = verify_chain.verify_chain(story, fingerprint_key=KEY).fault
            told[way] = "all well" if fault is None else named(fault)
            transaction.rollback()
    assert told == {way: event for way, (_, event) in TAMPERED.items()}
    assert verify_chain.verify_chain(story).fault is None


@pytest.mark.counted_on_both
def test_a_fingerprint_that_was_changed_is_found_by_who_has_the_key(story: Database) -> None:
    run_sql(story, suppression(f"fingerprint = '{'f' * 64}'", "nee"))
    assert verify_chain.verify_chain(story).fault is None
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY).fault
    assert fault
    number = contact_at("nee").id
    assert fault.what == f"contact {number}: the fingerprint by which it is not asked again"


@pytest.mark.parametrize(
    ("values", "name", "what"),
    [
        ("reason = 'bounce'", "nee", "why it is not to be asked again"),
        ("subject = 'x'", "nee", "that it is not to be asked again"),
    ],
)
def test_what_is_wrong_with_a_suppression_is_named(
    story: Database, values: str, name: str, what: str
) -> None:
    run_sql(story, suppression(values, name))
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY).fault
    assert fault
    assert fault.what == f"contact {contact_at(name).id}: {what}"


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ("status = ''", "no status"),
        (f"erased_at = {MOMENT}", "that it is erased"),
        (f"uid = '{'f' * 32}'", "the number in its links"),
        ("list_id = (SELECT id FROM mailing_list WHERE slug = 'other')", "its list"),
    ],
)
def test_what_is_wrong_with_a_contact_is_named(story: Database, values: str, what: str) -> None:
    run_sql(story, contact(values, "ja"))
    fault = verify_chain.verify_chain(story).fault
    assert fault
    assert fault.what == f"contact {contact_at('ja').id}: {what}"


def test_of_whom_entries_name_no_number_in_the_links_nothing_is_said(database: Database) -> None:
    """As those that were made before entries named it."""
    person = make_contact(database, make_list(database), status="confirmed", basis="answer")
    named = {"address": person.address, "name": ""}
    with database.atomic():
        chain.append(
            Entry(
                event="confirmed",
                at=person.status_at,
                actor="person",
                list="news",
                subject=person.subject,
                consent={"basis": "answer"},
                person=named,
            )
        )
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None


def test_who_moved_came_back_or_was_put_in_by_hand_stands_as_the_record_says(
    database: Database,
) -> None:
    news = make_list(database)
    added: dict[str, Any] = {"source": "a form", "proof": "folder 7", "basis": Basis.THIN}
    for name, basis_at in (("An", None), ("O'Brien", NOW.replace(year=2024))):
        person = NewContact(address=f"{name}@bücher.example.org", basis_at=basis_at, **added)
        admin_requests.add_contact(database, news, person, now=NOW, **WHO)
    moved = Contact.select().order_by(Contact.id).first()
    assert move(database, moved, "Ans@example.org")
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
    act = status_changes.Act(at=LATER, actor="job")
    for _ in range(2):
        confirmed(database, signed_up(database, news))
        assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
        with database.atomic():
            left = {contact_at("anna").id: LATER - timedelta(days=3)}
            facts = {
                number: EvidenceFields({"left_at": format_timestamp(moment)})
                for number, moment in left.items()
            }
            status_changes.remove_contacts(
                [contact_at("anna")],
                reason=Reason.WITHDRAWN,
                act=act,
                fingerprint_key=KEY,
                removed_at_by_id=left,
                evidence_by_id=facts,
            )
        assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
        with database.atomic():
            erasure.erase_contact(contact_at("anna"), act=act, fingerprint_key=KEY)
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None


@pytest.mark.parametrize("ways_out", [False, True])
def test_a_launch_under_way_is_no_fault_and_one_that_is_given_up_neither(
    sqlite_url: str, *, ways_out: bool
) -> None:
    with open_database(sqlite_url) as database:
        news = make_list(database)
        note_list(database)
        make_contact(database, news)
        launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, max_rows=0, **WHO)
        if ways_out:
            cancel_campaign(database, news, now=NOW, actor="cli:els")
        assert CampaignWording.select().exists()
        assert verify_chain.verify_chain(database).fault is None


def test_a_campaign_of_which_no_entry_tells_is_found(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        make_campaign(database, make_list(database))
        note_list(database)
        fault = verify_chain.verify_chain(database).fault
        assert str(fault) == (
            "the database holds something that no entry of the record accounts for (campaign 1)"
        )


def test_a_moment_that_is_none_is_found_on_sqlite(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        news = make_list(database)
        make_contact(database, news)
        launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO)
        run_sql(database, "UPDATE campaign SET deadline = 'tomorrow'")
        fault = verify_chain.verify_chain(database).fault
        assert fault
        assert (named(fault), fault.what) == ("launched", "campaign 1: deadline")


def test_somebody_else_in_the_place_of_who_was_asked_is_found(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        news = make_list(database)
        for _ in range(2):
            make_contact(database, news)
        launch(database, news, deadline=DEADLINE, now=NOW, attest=ATTEST, **WHO)
        assert verify_chain.verify_chain(database).fault is None
        run_sql(database, f"UPDATE contact SET subject = '{'7' * 32}' WHERE id = 1")
        fault = verify_chain.verify_chain(database).fault
        assert fault
        assert (named(fault), fault.what) == ("launched", "campaign 1: who was asked")


def test_a_day_that_is_none_is_found_on_sqlite(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        person = NewContact(address="jan@example.org", source="a form")
        admin_requests.add_contact(database, make_list(database), person, now=NOW, **WHO)
        run_sql(database, "UPDATE contact SET status_at = 'tomorrow'")
        fault = verify_chain.verify_chain(database).fault
        assert fault
        assert (named(fault), fault.what) == ("added", "contact 1: since when")


def named(fault: diagnosis.Fault) -> str:
    """Return the event of the entry that is contradicted, "" where none accounts for it."""
    entry: Evidence | None = Evidence.get_or_none(Evidence.seq == fault.seq)
    assert fault.how is (How.CONTRADICTED if entry else How.UNVOUCHED)
    return entry.event if entry else ""


def test_whoever_signs_up_with_an_address_that_was_suppressed_before_contradicts_nothing(
    database: Database,
) -> None:
    news = make_list(database)
    address = "nooit@example.org"
    forget.erase_address(database, address, mailing_list=news, suppress=True, now=NOW, **WHO)
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
    confirmed(database, signed_up(database, news, address))
    say(database, "nooit", Answer.NO)
    assert verify_chain.verify_chain(database, fingerprint_key=KEY).fault is None
