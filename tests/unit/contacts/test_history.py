"""One contact's whole history."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from repermit.contacts import history, human_replies, status_changes
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.contacts.history import HistoryEvent
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.imports import Import
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import Dropped, MailKind, MailState, Reason
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.query_plans import count_values


def at(minutes: int) -> datetime:
    return NOW + timedelta(minutes=minutes)


def test_everything_that_happened_is_told_in_its_order(database: Database) -> None:
    mailing_list = make_list(database)
    with database.atomic():
        file = Import.create(list=mailing_list, file="a.csv", digest="0" * 64, counts="{}", at=NOW)
    contact = make_contact(database, mailing_list, imported_by=file)
    campaign = make_campaign(database, mailing_list)
    make_mail(database, campaign, contact, sent_at=at(1), bounce="soft", bounced_at=at(2))
    queued = {"kind": MailKind.REMINDER, "state": MailState.QUEUED, "due_at": at(9)}
    make_mail(database, campaign, contact, **queued, sent_at=None)
    with database.atomic():
        SignUp.create(
            list=mailing_list,
            uid=new_id(),
            address=contact.address,
            address_key=contact.address_key,
            at=at(3),
        )
        human_replies.save_reply(contact, digest="a" * 64, proposed="no", at=at(4), decided_at=None)
    act = status_changes.Act(
        at=at(5), actor="user:1", campaign=campaign.id, consent={"note": "phone"}
    )
    with database.atomic():
        status_changes.remove_contacts(
            [contact],
            reason=Reason.NO,
            act=act,
            fingerprint_key=make_settings().fingerprint_key,
        )
        # Without a part of its own, and of somebody else's list.
        chain.append(
            Entry(event="erased", at=at(6), actor="job", list="news", subject=contact.subject),
            Entry(event="removed", at=at(6), actor="job", list="other", subject=contact.subject),
        )
    assert history.read_history(contact) == (
        HistoryEvent(at=NOW, what="imported", facts={"file": "a.csv"}),
        HistoryEvent(at=at(1), what="mail_sent", facts={"kind": "ask", "reason": "", "code": ""}),
        HistoryEvent(at=at(2), what="bounced", facts={"kind": "soft", "code": ""}),
        HistoryEvent(at=at(3), what="signed_up"),
        HistoryEvent(at=at(4), what="replied", facts={"proposed": "no"}),
        HistoryEvent(
            at=at(5),
            what="removed",
            seq=1,
            actor="user:1",
            facts={"reason": "no", "note": "phone"},
        ),
        HistoryEvent(
            at=at(5),
            what="mail_dropped",
            facts={"kind": "reminder", "reason": "answered", "code": ""},
        ),
        HistoryEvent(at=at(6), what="erased", seq=2, actor="job"),
    )


def test_what_waits_for_a_pilot_stands_where_the_campaign_was_launched(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    waiting = {"state": MailState.QUEUED, "due_at": AFTER_PILOT, "sent_at": None}
    make_mail(database, campaign, contact, **waiting)
    (moment,) = history.read_history(contact)
    assert (moment.what, moment.at) == ("mail_queued", campaign.launched_at)


@pytest.mark.parametrize("due_at", [at(90), AFTER_PILOT])
@pytest.mark.parametrize(
    ("reason", "dropped_at"),
    [(Dropped.ANSWERED, at(4)), (Dropped.CANCELLED, at(30)), (Dropped.TOO_LATE, at(30))],
)
def test_a_mail_that_was_dropped_before_it_was_due_does_not_stand_where_it_was_due(
    database: Database, reason: Dropped, dropped_at: datetime, due_at: datetime
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list, status_at=at(4))
    campaign = make_campaign(database, mailing_list, closed_at=at(30))
    dropped = {"state": MailState.DROPPED, "reason": reason, "due_at": due_at, "sent_at": None}
    make_mail(database, campaign, contact, **dropped)
    (moment,) = history.read_history(contact)
    assert (moment.what, moment.at) == ("mail_dropped", dropped_at)


def test_a_mail_that_an_answer_dropped_stands_after_that_answer(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    campaign = make_campaign(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.QUEUED, due_at=at(1), sent_at=None)
    act = status_changes.Act(at=at(2), actor="person", campaign=campaign.id)
    with database.atomic():
        status_changes.remove_contacts(
            [contact], reason=Reason.NO, act=act, fingerprint_key=make_settings().fingerprint_key
        )
        # A later answer.
        Contact.update(status_at=at(9)).execute()
    contact = Contact.get_by_id(contact.id)
    told = [(event.at, event.what) for event in history.read_history(contact)]
    assert told[:2] == [(at(2), "removed"), (at(2), "mail_dropped")]


def test_a_mail_that_did_not_leave_stands_where_it_was_tried_with_the_servers_codes(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list)
    make_mail(
        database,
        make_campaign(database, mailing_list),
        contact,
        state=MailState.FAILED,
        reason="recipient",
        started_at=at(7),
        sent_at=None,
        reply_code=550,
        reply_status="5.1.1",
    )
    (moment,) = history.read_history(contact)
    assert moment == HistoryEvent(
        at=at(7),
        what="mail_failed",
        facts={"kind": "ask", "reason": "recipient", "code": "550 5.1.1"},
    )


@pytest.mark.parametrize("part", ["trace", "consent"])
def test_a_part_whose_time_is_over_is_told_as_that_part(database: Database, part: str) -> None:
    contact = make_contact(database, make_list(database))
    ended = Entry(
        event="erased",
        at=at(6),
        actor="job",
        list="news",
        subject=contact.subject,
        consent={"seqs": [1], "parts": [part], "why": "retention"},
    )
    with database.atomic():
        chain.append(ended)
    (moment,) = history.read_history(contact)
    assert moment == HistoryEvent(
        at=at(6), what="erased", seq=1, actor="job", facts={"ended": part}
    )


def test_somebody_may_have_more_entries_than_a_statement_takes_values(database: Database) -> None:
    contact = make_contact(database, make_list(database))
    note = {"note": "by phone"}
    entry = Entry(
        event="confirmed", at=NOW, actor="cli", list="news", subject=contact.subject, consent=note
    )
    with database.atomic():
        chain.append(*[entry] * 30)
    assert count_values(database, lambda: history.read_history(contact)) < 30
    assert [one.facts for one in history.read_history(contact)] == [note] * 30
