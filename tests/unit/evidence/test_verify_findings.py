"""Invariant 7: what `verify` finds of times, events, erasures, people, asks and counts."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from peewee import fn

from repermit.campaigns.launch import launch
from repermit.campaigns.lifecycle import cancel_campaign
from repermit.clock import ManualClock, format_timestamp
from repermit.contacts import admin_requests, erasure, status_changes
from repermit.contacts.last_ask import EvidenceFields
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.mails import Mail
from repermit.db.row_counts import Tally
from repermit.evidence import chain, entries
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.diagnosis import How
from repermit.evidence.verify.times import AHEAD, BEHIND, BEHIND_OF_PEOPLE
from repermit.expiry.sweep import expire_due
from repermit.imports.undo import finish_undos
from repermit.privacy import evidence_retention
from repermit.reports import outcomes_per_day
from repermit.rules.consent import Answer, Reason
from repermit.web.admin.audit_log import ACTS
from tests.support import tampered_records
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_mail, make_settings
from tests.support.desk import ATTEST
from tests.support.import_helpers import OPTED_IN, mailchimp, plain, take_back, take_in
from tests.support.tampered_records import contact_at
from tests.support.told_databases import tell_once
from tests.unit.answers.test_join import confirmed, signed_up
from tests.unit.evidence.test_verify_tampering import sql

SETTINGS = make_settings()
KEY = SETTINGS.fingerprint_key
WHO: dict[str, Any] = {"settings": SETTINGS, "actor": "cli:els"}
LAUNCHED = NOW + timedelta(hours=1)
SENT = NOW + timedelta(hours=2)
ANSWERED = NOW + timedelta(days=1)
END = NOW + timedelta(days=2)
SECOND = timedelta(seconds=1)
say = partial(tampered_records.say, settings=SETTINGS)


def tell_story(database: Database, folder: Path) -> None:
    """Take a file in, ask all, let some answer, remove and erase others, tally."""
    news = make_list(database)
    names = ("ja", "nee", "stil", "weg", "om", "thuis")
    take_in(database, news, plain(folder, *((f"{one}@example.org", one) for one in names)))
    proven = mailchimp(folder, {"email": "zelf@example.org", **OPTED_IN})
    take_in(database, news, proven, now=NOW + timedelta(minutes=1))
    confirmed(database, signed_up(database, news, "nieuw@example.org"))
    launch(database, news, deadline=DEADLINE, now=LAUNCHED, attest=ATTEST, include_thin=True, **WHO)
    with database.atomic():
        Mail.update(state="sent", started_at=SENT, sent_at=SENT + SECOND).execute()
    for name, answer in (("ja", Answer.YES), ("nee", Answer.NO), ("om", Answer.NO)):
        say(database, name, answer)
    say(database, "om", Answer.YES, ANSWERED + timedelta(hours=3))
    gone = contact_at("weg").id
    moment = ANSWERED + timedelta(hours=4)
    admin_requests.remove_at_request(database, news, gone, note="by phone", now=moment, **WHO)
    with database.atomic():
        act = status_changes.Act(at=moment, actor="job")
        erasure.erase_contact(contact_at("weg"), act=act, fingerprint_key=KEY)
    tally(database)
    assert found(database) is None


ready_sqlite, ready_postgresql = tell_once(tell_story)


@pytest.fixture
def story(database: Database) -> Database:
    """Return a database in which all that has happened."""
    return database


def found(database: Database, now: datetime = END) -> tuple[How, str] | None:
    """Return how the record fails first, and the event of the entry that is named."""
    fault = verify_chain.verify_chain(database, fingerprint_key=KEY, now=now).fault
    if fault is None:
        return None
    entry: Evidence | None = Evidence.get_or_none(Evidence.seq == fault.seq)
    return fault.how, entry.event if entry else ""


def tally(database: Database, zone: str = SETTINGS.timezone, **more: Any) -> int:
    settings = make_settings(timezone=zone)
    return outcomes_per_day.update_tallies(database, **{"settings": settings, "now": END, **more})


def append(database: Database, **values: Any) -> None:
    told: dict[str, Any] = {"event": "exported", "at": END, "actor": "cli:els", "list": "news"}
    with database.atomic():
        chain.append(Entry(**{**told, **values}))


# --- Events and times. ---------------------------------------------------------------------------


def test_every_event_has_words_in_the_log_and_the_other_way_round() -> None:
    assert ACTS.keys() == entries.EVENTS


@pytest.mark.parametrize("event", ["granted", "Confirmed", ""])
def test_an_event_that_does_not_exist_is_found(story: Database, event: str) -> None:
    append(story, event=event)
    assert found(story) == (How.UNKNOWN_EVENT, event)


@pytest.mark.parametrize("ahead", [AHEAD + SECOND, timedelta(days=1), timedelta(days=4000)])
def test_an_entry_in_the_future_is_found(story: Database, ahead: timedelta) -> None:
    append(story, at=END + ahead)
    assert found(story) == (How.IN_THE_FUTURE, "exported")
    assert found(story, now=END + ahead) is None


@pytest.mark.parametrize("ahead", [timedelta(), AHEAD])
def test_clocks_may_differ_a_little(story: Database, ahead: timedelta) -> None:
    append(story, at=END + ahead)
    assert found(story) is None


@pytest.mark.parametrize(
    ("actor", "behind"),
    [
        ("person", BEHIND_OF_PEOPLE + SECOND),
        ("reader", timedelta(minutes=59)),
        ("job", BEHIND + SECOND),
        ("cli:els", timedelta(days=1)),
        ("user:1", timedelta(days=400)),
    ],
)
def test_an_entry_that_is_earlier_than_one_before_it_is_found(
    story: Database, actor: str, behind: timedelta
) -> None:
    append(story)
    append(story, at=END - behind, actor=actor, event="proved")
    append(story)
    assert found(story) == (How.OUT_OF_ORDER, "proved")


@pytest.mark.parametrize(("actor", "behind"), [("person", BEHIND_OF_PEOPLE), ("job", BEHIND)])
def test_an_entry_may_have_waited_for_its_turn(
    story: Database, actor: str, behind: timedelta
) -> None:
    append(story)
    append(story, at=END - behind, actor=actor)
    assert found(story) is None


def test_a_large_file_has_the_time_at_which_its_reading_began(
    story: Database, tmp_path: Path
) -> None:
    news = contact_at("ja").list
    cancel_campaign(story, news, now=END, actor="cli:els")
    began = END - timedelta(hours=5)
    file = mailchimp(tmp_path, {"email": "lang@example.org", **OPTED_IN}, name="large.csv")
    take_in(story, news, file, now=began)
    take_back(story, news, now=began + timedelta(minutes=1))
    assert found(story) is None


def test_a_decision_on_mails_in_doubt_that_went_on_after_hours_is_no_finding(
    story: Database,
) -> None:
    append(story)
    told = {"resend": False, "mails": 1}
    append(story, event="resolved", at=END - timedelta(hours=5), consent=told)
    assert found(story) is None


@pytest.mark.parametrize("event", ["evidence_key", "timestamp_authority", "settings_changed"])
def test_what_is_no_part_of_a_long_act_cannot_have_its_time(story: Database, event: str) -> None:
    append(story)
    for one in ("archived", event):
        append(story, event=one, list="", at=END - timedelta(hours=5))
    assert found(story) == (How.OUT_OF_ORDER, event)


# --- Erased proofs. ------------------------------------------------------------------------------


def erase_proof(database: Database, name: str, *, actor: str = "job", **more: Any) -> None:
    """Delete somebody's proofs, and append an entry that would excuse it."""
    subject = contact_at(name).subject
    with database.atomic():
        seqs = chain.erase_parts(subject, ("consent",))
        told = {"seqs": seqs, "parts": ["consent"], "why": "retention", **more}
        moment = more.pop("at", END)
        told.pop("at", None)
        chain.append(
            Entry(
                event="erased",
                at=moment,
                actor=actor,
                list="news",
                subject=subject,
                consent=told,
            )
        )


@pytest.mark.parametrize(
    ("name", "actor", "more"),
    [
        ("nee", "cli:els", {"years": 0}),
        ("nee", "person", {"years": 0}),
        ("nee", "user:1", {}),
        ("nee", "job", {}),
        ("nee", "job", {"years": "none"}),
        ("nee", "job", {"years": 5}),
        ("nee", "job", {"years": 1}),
        # Who is still on the list keeps theirs, whatever the term.
        ("ja", "job", {"years": 0}),
        ("om", "job", {"years": 0}),
        ("zelf", "job", {"years": 0}),
    ],
)
def test_a_proof_that_was_erased_by_others_or_too_early_is_found(
    story: Database, name: str, actor: str, more: dict[str, Any]
) -> None:
    erase_proof(story, name, actor=actor, **more)
    assert found(story) == (How.ERASED_WRONGLY, "erased")


def test_a_proof_named_by_an_erasure_of_nobody_is_held_against_its_person(story: Database) -> None:
    """As versions before wrote it: one entry for many."""
    seqs = [
        row.seq for row in Evidence.select().where(Evidence.subject == contact_at("ja").subject)
    ]
    with story.atomic():
        EvidencePart.delete().where(
            EvidencePart.seq.in_(seqs), EvidencePart.part == "consent"
        ).execute()
    append(story, event="erased", actor="job", consent={"seqs": seqs, "parts": ["consent"]})
    assert found(story) == (How.ERASED_WRONGLY, "erased")


def test_proofs_that_the_job_ends_in_their_time_are_no_finding(
    story: Database, tmp_path: Path
) -> None:
    news = contact_at("ja").list
    cancel_campaign(story, news, now=END, actor="cli:els")
    first = mailchimp(tmp_path, {"email": "terug@example.org", **OPTED_IN}, name="first.csv")
    take_in(story, news, first, now=END)
    take_back(story, news, now=END)
    left = {contact_at("stil").id: END - timedelta(days=200)}
    act = status_changes.Act(at=END, actor="cli:els", consent={"by": "restored"})
    with story.atomic():
        # As restoring a backup does of whom the journal alone knew.
        left_at = format_timestamp(left[contact_at("stil").id])
        facts = {contact_at("stil").id: EvidenceFields({"left_at": left_at})}
        status_changes.remove_contacts(
            [contact_at("stil")],
            reason=Reason.REQUEST,
            act=act,
            fingerprint_key=KEY,
            removed_at_by_id=left,
            evidence_by_id=facts,
        )
        chain.append(Entry(event="restored", at=END, actor="cli:els"))
    for days in (1826 - 150, 1827):
        later = END + timedelta(days=days)
        ended = evidence_retention.delete_expired_parts(story, settings=SETTINGS, now=later)
        assert ended.proofs
        assert found(story, now=later) is None


# --- People. -------------------------------------------------------------------------------------


def delete(name: str) -> tuple[str, ...]:
    who = f"(SELECT id FROM contact WHERE address_key = '{name}@example.org')"
    return (
        f"DELETE FROM suppression WHERE subject = '{contact_at(name).subject}'",
        *(f"DELETE FROM {table} WHERE contact_id IN {who}" for table in ("opening", "mail")),
        f"DELETE FROM contact WHERE address_key = '{name}@example.org'",
    )


@pytest.mark.parametrize(
    ("name", "event"), [("nee", "removed"), ("ja", "confirmed"), ("zelf", "confirmed")]
)
def test_somebody_who_was_deleted_with_their_suppression_is_found(
    story: Database, name: str, event: str
) -> None:
    sql(story, *delete(name))
    assert found(story) == (How.PERSON_DELETED, event)


@pytest.mark.parametrize(
    "deleted",
    [
        ("DELETE FROM mail WHERE contact_id IN {who}",),
        ("DELETE FROM mail WHERE contact_id IN {who}", "DELETE FROM contact WHERE id IN {who}"),
        # A mail that would belong to nobody, and one that is of another kind or campaign.
        ("UPDATE mail SET contact_id = NULL WHERE contact_id IN {who}",),
        ("UPDATE mail SET kind = 'receipt' WHERE contact_id IN {who}",),
        ("UPDATE mail SET campaign_id = NULL WHERE contact_id IN {who}",),
    ],
)
def test_somebody_who_has_not_answered_and_was_deleted_with_their_ask_is_found(
    story: Database, deleted: tuple[str, ...]
) -> None:
    who = "(SELECT id FROM contact WHERE address_key = 'stil@example.org')"
    sql(story, *(statement.format(who=who) for statement in deleted))
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY, now=END).fault
    assert fault
    assert (fault.how, fault.what) == (
        How.CONTRADICTED,
        "campaign 1: 7 were asked, and 6 are there",
    )
    assert Evidence.get_by_id(fault.seq).event == "launched"


def test_an_ask_that_was_put_in_is_found(story: Database) -> None:
    somebody = make_contact(story, contact_at("ja").list, "later@example.org")
    make_mail(story, Campaign.get(), somebody)
    assert found(story) == (How.CONTRADICTED, "launched")


def test_people_of_a_campaign_who_go_with_their_file_are_no_finding(
    story: Database, tmp_path: Path
) -> None:
    """Nobody has been mailed of the campaign, which was cancelled."""
    news, moment = contact_at("ja").list, END + SECOND
    cancel_campaign(story, news, now=END, actor="cli:els")
    people = (("kort@example.org", ""), ("krap@example.org", ""))
    take_in(story, news, plain(tmp_path, *people, name="short.csv"), now=END)
    launch(story, news, deadline=DEADLINE, now=moment, attest=ATTEST, include_thin=True, **WHO)
    cancel_campaign(story, news, now=moment, actor="cli:els")
    asks = Mail.select().where(Mail.campaign == Campaign.select(fn.MAX(Campaign.id)))
    asked = asks.count()
    take_back(story, news, now=moment, max_rows=0)
    for gone in (1, 2):
        finish_undos(story, should_stop=iter((False, True)).__next__, step=1)
        assert asks.count() == asked - gone
        assert found(story, now=moment) is None
    finish_undos(story)
    assert found(story, now=moment) is None
    # The file says nothing of the campaign before it was taken in.
    sql(story, f"DELETE FROM mail WHERE campaign_id = 1 AND contact_id = {contact_at('stil').id}")
    assert found(story, now=moment) == (How.CONTRADICTED, "launched")


def test_an_erased_person_who_was_deleted_is_found(story: Database) -> None:
    with story.atomic():
        Contact.update(address_key="weg@example.org").where(Contact.address.is_null()).execute()
    sql(story, *delete("weg"))
    assert found(story) == (How.PERSON_DELETED, "removed")


def test_whom_taking_a_file_back_deletes_is_no_finding(story: Database, tmp_path: Path) -> None:
    news = contact_at("ja").list
    cancel_campaign(story, news, now=END, actor="cli:els")
    file = mailchimp(tmp_path, {"email": "kort@example.org", **OPTED_IN}, name="short.csv")
    take_in(story, news, file, now=END)
    take_back(story, news, now=END)
    assert not Contact.select().where(Contact.address_key == "kort@example.org").exists()
    assert found(story) is None


# --- Asks. ---------------------------------------------------------------------------------------


def asked(name: str, moment: str) -> str:
    who = f"(SELECT id FROM contact WHERE address_key = '{name}@example.org')"
    return f"UPDATE mail SET {moment} WHERE contact_id = {who}"


AFTER = f"'{format_timestamp(END + timedelta(hours=2))}'"
LATE = f"'{format_timestamp(ANSWERED + timedelta(hours=2))}'"


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("nee", f"started_at = {LATE}, sent_at = {LATE}"),
        ("nee", f"started_at = NULL, sent_at = {LATE}"),
        ("nee", f"kind = 'reminder', state = 'in_doubt', sent_at = NULL, started_at = {LATE}"),
        ("nee", f"sent_at = {LATE}"),
        # Before their own Yes that came later.
        ("om", f"started_at = {LATE}, sent_at = {LATE}"),
    ],
)
def test_an_ask_after_its_persons_removal_is_found(
    story: Database, name: str, changed: str
) -> None:
    sql(story, asked(name, changed))
    assert found(story) == (How.ASKED_AFTER_REMOVAL, "removed")


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        # An answer waits for its turn, and the mail had begun meanwhile.
        ("nee", ANSWERED + BEHIND_OF_PEOPLE),
        ("stil", END),
        ("om", ANSWERED + timedelta(hours=3, seconds=1)),
    ],
)
def test_an_ask_that_may_have_left_is_no_finding(
    story: Database, name: str, moment: datetime
) -> None:
    """A reminder, of which their answer says nothing since it had not left by then."""
    moments = dict.fromkeys(("due_at", "started_at", "sent_at"), moment)
    make_mail(story, Campaign.get(), contact_at(name), kind="reminder", **moments)
    assert found(story) is None


def test_who_was_put_back_may_be_asked(story: Database, tmp_path: Path) -> None:
    news = contact_at("stil").list
    cancel_campaign(story, news, now=END, actor="cli:els")
    row = {"email": "stil@example.org"}
    take_in(story, news, mailchimp(tmp_path, row, name="unsubscribed_segment.csv"), now=END)
    assert contact_at("stil").status == "removed"
    sql(story, asked("stil", f"started_at = {AFTER}, sent_at = {AFTER}"))
    assert found(story) == (How.ASKED_AFTER_REMOVAL, "removed")
    take_back(story, news, now=END + timedelta(hours=2))
    assert found(story, now=END + timedelta(hours=2)) is None


def mailed(name: str, changed: str) -> str:
    who = f"(SELECT id FROM contact WHERE address_key = '{name}@example.org')"
    return f"UPDATE mail SET {changed} WHERE contact_id = {who}"


EARLY = f"'{format_timestamp(LAUNCHED - timedelta(minutes=6))}'"
BEFORE_SENT = f"'{format_timestamp(SENT - timedelta(minutes=6))}'"


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        # Backdated before it began, before it was due, and before the asking began.
        (f"sent_at = {BEFORE_SENT}", "when it was sent"),
        (f"sent_at = {EARLY}, started_at = {EARLY}", "when it was sent"),
        (f"sent_at = {EARLY}, started_at = {EARLY}, due_at = {EARLY}", "when it was sent"),
        (f"sent_at = {BEFORE_SENT}, started_at = NULL, due_at = {AFTER}", "when it was sent"),
        # A failed one made a sent one, and the other way.
        ("reason = 'recipient'", "whether it was sent"),
        ("reply_code = 550", "whether it was sent"),
        ("sent_at = NULL", "whether it was sent"),
        ("state = 'failed'", "whether it was sent"),
        ("state = 'in_doubt'", "whether it was sent"),
    ],
)
def test_a_mail_that_was_not_sent_as_its_row_says_is_found(
    story: Database, changed: str, what: str
) -> None:
    sql(story, mailed("stil", changed))
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY, now=END).fault
    assert fault
    number = Mail.get(Mail.contact == contact_at("stil"), Mail.kind == "ask").id
    assert (fault.how, fault.what) == (How.UNVOUCHED, f"mail {number}: {what}")


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("nee", f"sent_at = '{format_timestamp(SENT + timedelta(hours=1))}'"),
        ("ja", f"started_at = NULL, sent_at = '{format_timestamp(SENT)}'"),
        ("ja", "state = 'failed', sent_at = NULL"),
    ],
)
def test_a_mail_that_was_sent_at_another_time_than_entries_say_is_found(
    story: Database, name: str, changed: str
) -> None:
    sql(story, mailed(name, changed))
    event = "confirmed" if name == "ja" else "removed"
    assert found(story) == (How.CONTRADICTED, event)


@pytest.fixture
def silent(story: Database) -> datetime:
    """Let the deadline pass, after which who was silent is off the list; return when."""
    after = DEADLINE + timedelta(hours=1)
    expire_due(story, settings=SETTINGS, clock=ManualClock(after), despite_downtime=True)
    assert contact_at("stil").reason == Reason.NO_RESPONSE
    assert found(story, now=after) is None
    return after


def test_a_silence_whose_ask_was_backdated_afterwards_is_found(
    story: Database, silent: datetime
) -> None:
    moment = f"'{format_timestamp(SENT - SECOND)}'"
    sql(story, mailed("stil", f"sent_at = {moment}, started_at = {moment}"))
    assert found(story, now=silent) == (How.CONTRADICTED, "removed")


@pytest.mark.parametrize(
    ("changed", "is_found"),
    [
        ({}, False),
        ({"asked_at": format_timestamp(LAUNCHED - timedelta(minutes=6))}, True),
        ({"asked_at": format_timestamp(DEADLINE - timedelta(days=14) + SECOND)}, True),
        ({"asked_at": format_timestamp(DEADLINE - timedelta(days=14))}, False),
        ({"deadline": format_timestamp(DEADLINE + timedelta(hours=2))}, True),
        ({"minimum_days": 600}, True),
    ],
)
def test_a_silence_of_somebody_who_had_no_time_to_answer_is_found(
    story: Database, changed: dict[str, Any], *, is_found: bool
) -> None:
    """Whoever backdated the ask before the deadline let the removal itself tell it."""
    after = DEADLINE + timedelta(hours=1)
    said = {
        "asked_at": format_timestamp(SENT),
        "deadline": format_timestamp(DEADLINE),
        "minimum_days": 14,
        "reason": "no_response",
        **changed,
    }
    moment = f"'{said['asked_at']}'"
    sql(story, mailed("thuis", f"sent_at = {moment}, started_at = {moment}, due_at = {moment}"))
    act = status_changes.Act(at=after, actor="job", campaign=Campaign.get().id, consent=said)
    with story.atomic():
        status_changes.remove_contacts(
            [contact_at("thuis")], reason=Reason.NO_RESPONSE, act=act, fingerprint_key=KEY
        )
    assert (found(story, now=after) is not None) is is_found


# --- Counts. -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ("UPDATE contact_count SET count = count + 1 WHERE status = 'confirmed'", "contact_count"),
        ("DELETE FROM contact_count WHERE reason = 'no'", "contact_count"),
        ("UPDATE mail_count SET count = count + 1 WHERE state = 'sent'", "mail_count"),
        ("UPDATE held_count SET count = count + 1", "held_count"),
        ("UPDATE suppression_count SET count = count - 1", "suppression_count"),
        ("UPDATE part_count SET count = count - 1", "part_count"),
        ("DELETE FROM part_count", "part_count"),
        (
            "UPDATE tally SET count = 100 WHERE day <> '' AND what = 'yes'",
            "tally by day: news, yes",
        ),
        ("UPDATE tally SET what = 'bounce' WHERE day <> '' AND what = 'no'", ""),
        ("DELETE FROM tally WHERE day = ''", "tally: news, no"),
        ("UPDATE tally SET count = count + 1 WHERE day = '' AND what = 'yes'", "tally: news, yes"),
        # Whoever counts anew from there counts all of it twice.
        ("DELETE FROM meta WHERE key = 'tallied_upto'", "tally by day: news, yes"),
        ("UPDATE meta SET value = '1' WHERE key = 'tallied_upto'", "tally by day: news, yes"),
    ],
)
@pytest.mark.counted_on_both
def test_a_count_that_was_changed_is_found(story: Database, changed: str, what: str) -> None:
    sql(story, changed)
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY, now=END).fault
    assert fault
    assert fault.how is How.MISCOUNTED
    assert what in fault.what


def test_tallies_of_what_was_undone_or_has_ended_are_no_finding(
    story: Database, tmp_path: Path
) -> None:
    news = contact_at("stil").list
    cancel_campaign(story, news, now=END, actor="cli:els")
    row = {"email": "stil@example.org"}
    take_in(story, news, mailchimp(tmp_path, row, name="unsubscribed_segment.csv"), now=END)
    tally(story)
    assert found(story) is None
    take_back(story, news, now=END)
    assert found(story) is None
    tally(story)
    assert found(story) is None
    later = END + timedelta(days=1830)
    assert evidence_retention.delete_expired_parts(story, settings=SETTINGS, now=later).proofs
    assert found(story, now=later) is None


def days(kind: str = "what = 'no'") -> str:
    return f"UPDATE tally SET day = '{{}}' WHERE day <> '' AND {kind}"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("changed", "what"),
    [
        # The day before and after, another year, and what is no day.
        (days().format("2026-03-02"), "tally by day: news, no, 2026-03-02"),
        (days().format("2026-03-04"), "tally by day: news, no, 2026-03-03"),
        (days().format("2019-01-01"), "tally by day: news, no, 2019-01-01"),
        (days().format("tomorrow"), "tally by day: news, no, 2026-03-03"),
        (days("what = 'yes'").format("2026-03-07"), "tally by day: news, yes, 2026-03-02"),
        ("UPDATE meta SET value = '{}' WHERE key = 'tallied_in'", "time zone"),
        ("UPDATE meta SET value = 'x' WHERE key = 'tallied_in'", "time zone"),
        (
            """UPDATE meta SET value = '{"after":0,"zone":"Mars"}' WHERE key = 'tallied_in'""",
            "time zone",
        ),
        (
            """UPDATE meta SET value = replace(value, 'Europe/Amsterdam', 'Pacific/Auckland')""",
            "tally by day: news, request, 2026-03-03",
        ),
        ("DELETE FROM meta WHERE key = 'tallied_in'", "time zone"),
    ],
)
@pytest.mark.counted_on_both
def test_a_count_that_was_moved_to_another_day_is_found(
    story: Database, changed: str, what: str
) -> None:
    sql(story, changed)
    fault = verify_chain.verify_chain(story, fingerprint_key=KEY, now=END).fault
    assert fault
    assert fault.how is How.MISCOUNTED
    assert what in fault.what


def test_one_of_several_that_was_moved_to_another_day_is_found(story: Database) -> None:
    columns = "list, campaign, day, what, count"
    sql(
        story,
        "UPDATE tally SET count = count - 1 WHERE day <> '' AND what = 'no'",
        f"INSERT INTO tally ({columns}) VALUES ('news', 1, '2026-03-04', 'no', 1)",
    )
    assert found(story) == (How.MISCOUNTED, "")


def test_days_of_another_time_zone_since_are_no_finding(story: Database) -> None:
    at_night = datetime(2026, 3, 6, 23, 30, tzinfo=UTC)
    later = at_night + timedelta(minutes=5)
    # A day here, and the next one in the zone of before.
    say(story, "nee", Answer.YES, at_night)
    assert tally(story, "America/New_York", now=later)
    assert found(story, now=later) is None
    assert Tally.select().where(Tally.day == "2026-03-06", Tally.what == "yes").exists()
    # The entry that says so is counted, and no other one comes of it.
    count = Evidence.select().count()
    tally(story, "America/New_York", now=later)
    tally(story, now=later)
    assert Evidence.select().count() == count
    told = json.loads(EvidencePart.get(EvidencePart.seq == count).json)
    assert told["values"] == {"timezone": [SETTINGS.timezone, "America/New_York"]}
    say(story, "nee", Answer.NO, later)
    tally(story, now=later)
    assert found(story, now=later) is None
    sql(story, days("what = 'yes' AND day = '2026-03-06'").format("2026-03-07"))
    assert found(story, now=later) == (How.MISCOUNTED, "")


def test_of_days_that_an_earlier_version_counted_only_the_time_zone_is_unknown(
    story: Database,
) -> None:
    upto = Evidence.select().count()
    unknown = f'{{"after":{upto},"zone":""}}'
    sql(story, f"UPDATE meta SET value = '{unknown}' WHERE key = 'tallied_in'")
    assert found(story) is None
    say(story, "nee", Answer.YES, END)
    tally(story)
    assert found(story) is None
    for day, is_right in (("2026-03-02", True), ("2026-03-01", False), ("2026-03-05", False)):
        sql(story, days().format(day))
        assert (found(story) is None) is is_right, day


@pytest.mark.parametrize("changed", ["DELETE FROM meta", "UPDATE meta SET value = 'x'"])
def test_a_time_zone_that_was_taken_away_is_not_made_up_by_counting_on(
    story: Database, changed: str
) -> None:
    sql(story, f"{changed} WHERE key = 'tallied_in'")
    say(story, "nee", Answer.YES, END)
    assert tally(story)
    assert found(story) == (How.MISCOUNTED, "")


def forget_time_zone(database: Database) -> None:
    """Leave the counts as an earlier version left them."""
    fact = json.dumps({"after": Evidence.select().count(), "zone": ""})
    sql(database, f"UPDATE meta SET value = '{fact}' WHERE key = 'tallied_in'")


@pytest.mark.parametrize("is_old", [False, True])
def test_what_is_taken_back_in_another_time_zone_is_no_finding(
    story: Database, tmp_path: Path, *, is_old: bool
) -> None:
    news = contact_at("stil").list
    at_night = datetime(2026, 3, 6, 23, 30, tzinfo=UTC)
    cancel_campaign(story, news, now=at_night, actor="cli:els")
    row = {"email": "stil@example.org"}
    segment = mailchimp(tmp_path, row, name="unsubscribed_segment.csv")
    take_in(story, news, segment, now=at_night)
    tally(story, now=at_night)
    if is_old:
        forget_time_zone(story)
    assert found(story, now=at_night) is None
    take_back(story, news, now=at_night)
    tally(story, "America/New_York", now=at_night)
    kept = Tally.select().where(Tally.day > "2026-03-05").order_by(Tally.day)
    assert [(one.day, one.count) for one in kept] == [("2026-03-06", -1), ("2026-03-07", 1)]
    assert found(story, now=at_night) is None
    forget_time_zone(story)
    assert found(story, now=at_night) is None
