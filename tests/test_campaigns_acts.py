"""Pausing, resuming, cancelling, extending, and the start of what was scheduled."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from repermit import evidence
from repermit.campaigns import cancel, extend, pause, resume, start_scheduled
from repermit.consent import CampaignState, Dropped, MailState
from repermit.errors import NotFound, Refused, TransitionRefused
from repermit.models import Campaign, Contact, Evidence, EvidencePart, Mail
from tests.building import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.campaigns import Extended
    from repermit.models import Database, MailingList

ANNA = "anna@example.org"
INSTANT = timedelta(microseconds=1)
LATER = DEADLINE + timedelta(days=7)


def move(
    database: Database,
    mailing_list: MailingList,
    deadline: datetime = LATER,
    now: datetime = NOW,
) -> Extended:
    return extend(
        database, mailing_list, deadline=deadline, settings=make_settings(), now=now, actor=ANNA
    )


def newest() -> tuple[str, object]:
    """Return the newest entry's event and what it keeps."""
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.actor, entry.list, entry.campaign) == (ANNA, "news", Campaign.get().id)
    assert list(evidence.verify()) == []
    part = EvidencePart.get_or_none(EvidencePart.seq == entry.seq)
    return entry.event, json.loads(part.json) if part else None


@pytest.mark.parametrize(
    "state", [CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.OPEN]
)
def test_resume_goes_back_to_where_pause_came_from(
    database: Database, state: CampaignState
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, state=state)
    pause(database, mailing_list, now=NOW, actor=ANNA)
    paused = Campaign.get()
    assert (paused.state, paused.paused_from) == (CampaignState.PAUSED, state)
    assert newest() == ("paused", None)
    resume(database, mailing_list, now=NOW, actor=ANNA)
    resumed = Campaign.get()
    assert (resumed.state, resumed.paused_from) == (state, "")
    assert newest() == ("resumed", None)


@pytest.mark.parametrize(
    ("beyond", "refused"), [(-INSTANT, False), (timedelta(), True), (INSTANT, True)]
)
def test_resume_after_the_deadline_wants_extend_first(
    database: Database, beyond: timedelta, refused: bool
) -> None:
    mailing_list = make_list(database)
    make_campaign(
        database, mailing_list, state=CampaignState.PAUSED, paused_from=CampaignState.OPEN
    )
    now = DEADLINE + beyond
    if refused:
        with pytest.raises(Refused, match="repermit extend news"):
            resume(database, mailing_list, now=now, actor=ANNA)
        move(database, mailing_list, now=now)
    resume(database, mailing_list, now=now, actor=ANNA)
    assert Campaign.get().state == CampaignState.OPEN


def test_cancel_drops_what_is_unsent_and_removes_nobody(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    for state in MailState:
        make_mail(database, campaign, make_contact(database, mailing_list), state=state)
    cancel(database, mailing_list, now=NOW, actor=ANNA)
    found = Campaign.get()
    assert (found.state, found.closed_at) == (CampaignState.CANCELLED, NOW)
    cancelled = Mail.select().where(Mail.reason == Dropped.CANCELLED)
    assert [mail.state for mail in cancelled] == [MailState.DROPPED] * 2
    assert not Mail.select().where(Mail.state.in_(["queued", "claimed"])).exists()
    assert Mail.select().where(Mail.state == MailState.STARTED).count() == 1
    assert {contact.status for contact in Contact.select()} == {"unconfirmed"}
    assert newest() == ("cancelled", {"dropped": 2})


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


def test_an_extension_says_how_many_mails_will_name_the_earlier_deadline(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    for state in MailState:
        make_mail(database, campaign, make_contact(database, mailing_list), state=state)
    moved = move(database, mailing_list)
    assert (moved.deadline, moved.until, moved.unsent) == (LATER, DEADLINE, 2)
    assert newest() == (
        "extended",
        {
            "from": "2026-03-30T09:00:00.000000+00:00",
            "to": "2026-04-06T09:00:00.000000+00:00",
            "unsent": 2,
        },
    )


def test_what_a_state_does_not_allow_is_refused_and_leaves_no_trace(database: Database) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    for act in (pause, resume, cancel):
        with pytest.raises(TransitionRefused, match=f"that is closed cannot {act.__name__}"):
            act(database, mailing_list, now=NOW, actor=ANNA)
    with pytest.raises(TransitionRefused, match="that is closed cannot extend"):
        move(database, mailing_list)
    assert not Evidence.select().exists()


def test_a_list_without_a_campaign_has_nothing_to_pause(database: Database) -> None:
    mailing_list = make_list(database)
    with pytest.raises(NotFound, match="there is no campaign on news"):
        pause(database, mailing_list, now=NOW, actor=ANNA)


@pytest.mark.parametrize(("beyond", "started"), [(-INSTANT, 0), (timedelta(), 1), (INSTANT, 1)])
def test_a_scheduled_campaign_begins_at_its_time(
    database: Database, beyond: timedelta, started: int
) -> None:
    starts_at = NOW + timedelta(days=1)
    make_campaign(database, make_list(database), state=CampaignState.SCHEDULED, starts_at=starts_at)
    assert start_scheduled(database, now=starts_at + beyond) == started
    expected = CampaignState.SENDING if started else CampaignState.SCHEDULED
    assert Campaign.get().state == expected


def test_a_campaign_that_is_paused_does_not_begin(database: Database) -> None:
    make_campaign(database, make_list(database), state=CampaignState.PAUSED)
    assert start_scheduled(database, now=NOW) == 0
