"""Moving a deadline: only later, and the mails that are still to leave say so."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit.campaigns.launch import launch
from repermit.campaigns.lifecycle import ExtendResult, extend_campaign
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import frozen_draft
from repermit.errors import Refused
from repermit.i18n import dates
from repermit.rules.consent import CampaignState, MailKind, MailState
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.desk import ATTEST

ANNA = "anna@example.org"
INSTANT = timedelta(microseconds=1)
LATER = DEADLINE + timedelta(days=7)
REMINDER = DEADLINE - timedelta(days=7)


def move(
    database: Database,
    mailing_list: MailingList,
    deadline: datetime = LATER,
    now: datetime = NOW,
    note: str = "",
) -> ExtendResult:
    act: dict[str, Any] = {"now": now, "actor": ANNA}
    return extend_campaign(
        database, mailing_list, deadline=deadline, note=note, settings=make_settings(), **act
    )


def newest() -> tuple[str, Any]:
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert entry.actor == ANNA
    return entry.event, json.loads(EvidencePart.get(EvidencePart.seq == entry.seq).json)


@pytest.mark.parametrize(
    ("now", "deadline", "moves"),
    [
        (NOW, DEADLINE - INSTANT, False),
        (NOW, DEADLINE, False),
        (NOW, DEADLINE + INSTANT, True),
        # After the deadline, as long as nobody closed the campaign.
        (LATER, LATER - INSTANT, False),
        (LATER, LATER, False),
        (LATER, LATER + INSTANT, True),
    ],
)
def test_a_deadline_only_moves_later(
    database: Database, now: datetime, deadline: datetime, moves: bool
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    if moves:
        move(database, mailing_list, deadline, now)
    else:
        with pytest.raises(Refused, match="only moves later: it is 2026-03-30 11:00"):
            move(database, mailing_list, deadline, now)
    assert Campaign.get().deadline == (deadline if moves else DEADLINE)


@pytest.mark.parametrize(
    ("now", "earliest"), [(NOW, DEADLINE), (LATER, LATER)], ids=["before", "after"]
)
@pytest.mark.parametrize("beyond", [timedelta(0), INSTANT])
def test_a_deadline_moves_by_a_year_at_most(
    database: Database, now: datetime, earliest: datetime, beyond: timedelta
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    deadline = earliest + timedelta(days=366) + beyond
    if beyond:
        with pytest.raises(Refused, match="by a year at most"):
            move(database, mailing_list, deadline, now)
        deadline = DEADLINE
    else:
        move(database, mailing_list, deadline, now)
    assert Campaign.get().deadline == deadline


def test_an_extension_says_how_many_mails_name_the_earlier_deadline(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    for kind in (MailKind.ASK, MailKind.REMINDER, MailKind.CONFIRM):
        for state in MailState:
            contact = make_contact(database, mailing_list)
            make_mail(database, campaign, contact, state=state, kind=kind)
    moved = move(database, mailing_list)
    # Started, sent and in doubt, of asks and reminders.
    assert (moved.deadline, moved.until, moved.sent) == (LATER, DEADLINE, 6)
    assert newest() == (
        "extended",
        {
            "from": "2026-03-30T09:00:00.000000+00:00",
            "to": "2026-04-06T09:00:00.000000+00:00",
            "sent": 6,
            "reminder_at": "",
            "wordings": {},
        },
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [("The post was late.\n Again. ", {"note": "The post was late. Again."}), (" \n", {})],
)
def test_an_extension_says_why_if_a_reason_is_given(
    database: Database, given: str, kept: dict[str, str]
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    move(database, mailing_list, note=given)
    _, told = newest()
    assert {name: text for name, text in told.items() if name == "note"} == kept


def test_the_reason_of_an_extension_is_of_a_bounded_length(database: Database) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    with pytest.raises(Refused, match="say why in at most 500 characters"):
        move(database, mailing_list, note="x" * 501)
    move(database, mailing_list, note="x" * 500)


def test_mails_that_are_made_from_then_on_name_the_later_deadline(database: Database) -> None:
    mailing_list = make_list(database, own_subject="{{ deadline }}?")
    make_contact(database, mailing_list, language="fr")
    launch(
        database,
        mailing_list,
        settings=make_settings(),
        now=NOW,
        deadline=DEADLINE,
        attest=ATTEST,
        actor=ANNA,
        reminder=7,
    )
    with database.atomic():
        mailing_list.purpose = "Something else altogether"
        mailing_list.save()
    for revision, deadline in ((2, LATER), (3, LATER + timedelta(days=1))):
        move(database, mailing_list, deadline)
        rows = list(CampaignWording.select().where(CampaignWording.revision == revision))
        found = {
            (row.kind, row.language): frozen_draft.read_draft(row.wording.content) for row in rows
        }
        assert set(found) == {(kind, lang) for kind in ("ask", "reminder") for lang in ("fr", "nl")}
        for draft in found.values():
            assert draft.deadline == deadline
            said = dates.format_local_datetime(
                deadline, language=draft.language, zone=make_settings().zone
            )
            assert said in draft.text
            # HTML names a space that does not break, as French has in a time.
            assert said.replace("\N{NO-BREAK SPACE}", "&nbsp;") in draft.html
            assert "vier keer per jaar" in draft.mailing_list.purpose
        _, facts = newest()
        assert facts["wordings"]["ask"]["fr"] == found["ask", "fr"].digest
    assert CampaignWording.select().where(CampaignWording.revision == 1).count() == 4


# --- The reminder moves along. ------------------------------------------------------------------


def test_a_reminder_that_has_not_begun_moves_along(database: Database) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, reminder_at=REMINDER)
    moved = move(database, mailing_list, now=REMINDER + INSTANT)
    assert moved.reminder_at == Campaign.get().reminder_at == REMINDER + timedelta(days=7)


def test_where_there_is_no_reminder_there_is_none_later(database: Database) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list)
    assert move(database, mailing_list).reminder_at is None


@pytest.mark.parametrize("done", [True, False])
def test_a_reminder_that_has_begun_stays_where_it_was(database: Database, done: bool) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(
        database,
        mailing_list,
        state=CampaignState.SENDING,
        reminder_at=REMINDER,
        reminded_at=REMINDER if done else None,
    )
    if not done:
        contact = make_contact(database, mailing_list)
        make_mail(database, campaign, contact, kind=MailKind.REMINDER, state=MailState.QUEUED)
    assert move(database, mailing_list, now=REMINDER + INSTANT).reminder_at == REMINDER
    assert Mail.select().count() == (0 if done else 1)
