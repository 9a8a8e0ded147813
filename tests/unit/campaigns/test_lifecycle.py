"""Pausing, resuming, cancelling, and the start of what was scheduled."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from repermit.campaigns.lifecycle import (
    ExtendResult,
    ResumeResult,
    cancel_campaign,
    extend_campaign,
    pause_campaign,
    resume_campaign,
    start_scheduled,
)
from repermit.contacts import circuit_breaker, status_changes
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.background_tasks import JobKind
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail, enqueue_notice
from repermit.errors import NotFound, Refused, TransitionRefused
from repermit.rules.consent import (
    BounceKind,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    PauseReason,
)
from repermit.sending import send_due
from repermit.settings.definitions import MailServer
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.query_plans import statements_in_transactions
from tests.unit.db.test_background_tasks import asking_at_each_commit

ANNA = "anna@example.org"
INSTANT = timedelta(microseconds=1)
LATER = DEADLINE + timedelta(days=7)
SOON = NOW + timedelta(days=1)


def move(
    database: Database,
    mailing_list: MailingList,
    deadline: datetime = LATER,
    now: datetime = NOW,
) -> ExtendResult:
    return extend_campaign(
        database, mailing_list, deadline=deadline, settings=make_settings(), now=now, actor=ANNA
    )


def go_on(
    database: Database, mailing_list: MailingList, now: datetime, **rates: Any
) -> ResumeResult:
    """Resume, at these rates."""
    settings = make_settings(mail=MailServer(**rates))
    return resume_campaign(database, mailing_list, settings=settings, now=now, actor=ANNA)


def newest() -> tuple[str, object]:
    """Return the newest entry's event and what it keeps."""
    entry = Evidence.select().order_by(Evidence.seq.desc()).get()
    assert (entry.actor, entry.list, entry.campaign) == (ANNA, "news", Campaign.get().id)
    assert list(iter_chain_faults()) == []
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
    pause_campaign(database, mailing_list, now=NOW, actor=ANNA)
    paused = Campaign.get()
    assert (paused.state, paused.paused_from) == (CampaignState.PAUSED, state)
    assert newest() == ("paused", None)
    go_on(database, mailing_list, NOW)
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
            go_on(database, mailing_list, now)
        move(database, mailing_list, now=now)
    go_on(database, mailing_list, now)
    assert Campaign.get().state == CampaignState.OPEN


# --- What paused by itself. ---------------------------------------------------------------------


def make_stopped(database: Database, mailing_list: MailingList, **overrides: Any) -> Campaign:
    """Save and return a campaign that a pilot has stopped, with one ask that waits for it."""
    values = {
        "state": CampaignState.PAUSED,
        "paused_from": CampaignState.SENDING,
        "pause_reason": PauseReason.PILOT,
        "pilot": 1,
        **overrides,
    }
    campaign = make_campaign(database, mailing_list, **values)
    make_mail(database, campaign, make_contact(database, mailing_list))
    waiting = make_contact(database, mailing_list)
    make_mail(database, campaign, waiting, state=MailState.QUEUED, due_at=AFTER_PILOT)
    return campaign


def test_resume_after_a_pilot_lets_the_others_go(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_stopped(database, mailing_list)
    for state in (MailState.DROPPED, MailState.FAILED):
        other = make_contact(database, mailing_list)
        make_mail(database, campaign, other, state=state, due_at=AFTER_PILOT)
    resumed = go_on(database, mailing_list, SOON)
    assert resumed == ResumeResult(
        state=CampaignState.SENDING, let_go=1, last_ask_at=SOON, deadline=DEADLINE
    )
    found = Campaign.get()
    assert (found.state, found.paused_from, found.pause_reason) == ("sending", "", "")
    assert found.pilot == 0
    assert [mail.state for mail in Mail.select().where(Mail.due_at == SOON)] == ["queued"]
    assert newest() == ("resumed", {"after": "pilot", "let_go": 1})


@pytest.mark.parametrize(
    ("beyond", "refused"), [(-INSTANT, False), (timedelta(), False), (INSTANT, True)]
)
def test_the_others_are_not_let_go_too_late_to_answer(
    database: Database, beyond: timedelta, refused: bool
) -> None:
    mailing_list = make_list(database)
    make_stopped(database, mailing_list)
    now = DEADLINE - timedelta(days=14) + beyond
    if refused:
        with pytest.raises(Refused, match=r"less than 14 days to answer.*`repermit extend news"):
            go_on(database, mailing_list, now)
        assert (Campaign.get().state, Campaign.get().pilot) == ("paused", 1)
        assert Mail.select().where(Mail.due_at == AFTER_PILOT).count() == 1
    else:
        assert go_on(database, mailing_list, now).let_go == 1


@pytest.mark.parametrize(
    "rates", [{"rate_per_day": 1}, {"rate_per_minute": 60, "domain_rate_per_minute": 1}]
)
@pytest.mark.parametrize(
    ("beyond", "refused"), [(-INSTANT, False), (timedelta(), False), (INSTANT, True)]
)
def test_the_others_are_not_let_go_when_the_rates_leave_the_last_too_little_time(
    database: Database, rates: dict[str, int], beyond: timedelta, refused: bool
) -> None:
    mailing_list = make_list(database)
    campaign = make_stopped(database, mailing_list)
    other = make_contact(database, mailing_list)
    make_mail(database, campaign, other, state=MailState.QUEUED, due_at=AFTER_PILOT)
    takes = timedelta(days=1) if "rate_per_day" in rates else timedelta(minutes=1)
    now = DEADLINE - timedelta(days=14) - takes + beyond
    if refused:
        words = r"leave too slowly: .* asked on 2026-03-16 .*less than 14 days.*extend news"
        with pytest.raises(Refused, match=words):
            go_on(database, mailing_list, now, **rates)
        assert (Campaign.get().state, Campaign.get().pilot) == ("paused", 1)
    else:
        resumed = go_on(database, mailing_list, now, **rates)
        assert (resumed.let_go, resumed.last_ask_at) == (2, now + takes)


def test_the_unsent_are_counted_by_domain_before_anybody_has_to_wait(database: Database) -> None:
    mailing_list = make_list(database)
    make_stopped(database, mailing_list)
    within = statements_in_transactions(
        database, lambda: go_on(database, mailing_list, SOON, domain_rate_per_minute=1)
    )
    assert within
    assert not [sql for sql in within if "place" in sql]
    assert newest() == ("resumed", {"after": "pilot", "let_go": 1})


def test_who_waits_for_a_pilot_is_let_go_in_steps_that_the_sweep_takes_too(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_stopped(database, mailing_list)
    put_off = make_contact(database, mailing_list)
    make_mail(database, campaign, put_off, state=MailState.QUEUED, due_at=LATER)
    for _ in range(2):
        other = make_contact(database, mailing_list)
        make_mail(database, campaign, other, state=MailState.QUEUED, due_at=AFTER_PILOT)
    resumed = resume_campaign(
        database, mailing_list, settings=make_settings(), now=SOON, actor=ANNA, max_rows=0
    )
    # The act itself, which holds everybody's lock, changes none of them.
    waiting = Mail.select().where(Mail.due_at == AFTER_PILOT)
    assert (resumed.let_go, waiting.count()) == (3, 3)
    assert newest() == ("resumed", {"after": "pilot", "let_go": 3})
    with database.atomic():
        assert circuit_breaker.release_pilot_asks(campaign, now=SOON, max_rows=1) == 1
    send_due.run_maintenance(database, now=SOON)
    due = [mail.due_at for mail in Mail.select().where(Mail.state == MailState.QUEUED)]
    assert sorted(due) == [SOON, SOON, SOON, LATER]


def test_nobody_is_let_go_whose_pilot_is_not_over(database: Database) -> None:
    make_stopped(database, make_list(database))
    send_due.run_maintenance(database, now=SOON)
    assert Mail.select().where(Mail.due_at == AFTER_PILOT).count() == 1


def test_a_pilot_that_is_under_way_goes_on_after_a_pause(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_stopped(database, mailing_list, pause_reason="")
    make_mail(database, campaign, make_contact(database, mailing_list), state=MailState.QUEUED)
    assert go_on(database, mailing_list, SOON).let_go == 0
    assert Campaign.get().pilot == 1
    assert Mail.select().where(Mail.due_at == AFTER_PILOT).count() == 1


@pytest.mark.parametrize("reason", ["", PauseReason.COMPLAINT])
def test_a_pilot_that_is_through_ends_with_any_resume(database: Database, reason: str) -> None:
    mailing_list = make_list(database)
    make_stopped(database, mailing_list, pause_reason=reason)
    assert go_on(database, mailing_list, SOON).let_go == 1


_STOPS = {BounceKind.HARD: "bounces", BounceKind.COMPLAINT: "complaint"}


@pytest.mark.parametrize("bounce", _STOPS)
def test_what_stopped_a_campaign_does_not_stop_it_again(
    database: Database, bounce: BounceKind
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    for _ in range(100):
        make_mail(database, campaign, make_contact(database, mailing_list), bounce=bounce)

    def brake() -> PauseReason | None:
        with database.atomic():
            return circuit_breaker.trip_circuit_breaker(campaign.id, percent=2, now=NOW)

    assert brake() is not None
    go_on(database, mailing_list, NOW)
    event, facts = newest()
    assert isinstance(facts, dict)
    assert (event, facts["sent"], facts["after"]) == ("resumed", 100, _STOPS[bounce])
    assert brake() is None
    assert Campaign.get().state == CampaignState.SENDING
    make_mail(database, campaign, make_contact(database, mailing_list), bounce=BounceKind.COMPLAINT)
    assert brake() is PauseReason.COMPLAINT


def test_what_did_not_stop_a_campaign_still_counts_after_a_pause(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    make_mail(database, campaign, make_contact(database, mailing_list), bounce=BounceKind.HARD)
    pause_campaign(database, mailing_list, now=NOW, actor=ANNA)
    go_on(database, mailing_list, NOW)
    assert Campaign.get().brake_bounced == 0


def test_cancel_drops_what_is_unsent_and_removes_nobody(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    for state in MailState:
        make_mail(database, campaign, make_contact(database, mailing_list), state=state)
    cancel_campaign(database, mailing_list, now=NOW, actor=ANNA)
    found = Campaign.get()
    assert (found.state, found.closed_at) == (CampaignState.CANCELLED, NOW)
    cancelled = Mail.select().where(Mail.reason == Dropped.CANCELLED)
    assert [mail.state for mail in cancelled] == [MailState.DROPPED] * 2
    assert not Mail.select().where(Mail.state.in_(["queued", "claimed"])).exists()
    assert Mail.select().where(Mail.state == MailState.STARTED).count() == 1
    assert {contact.status for contact in Contact.select()} == {"unconfirmed"}
    assert newest() == ("cancelled", {"dropped": 2})


def test_no_worker_drops_what_a_cancel_is_dropping(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    make_mail(database, campaign, make_contact(database, mailing_list), state=MailState.QUEUED)
    with asking_at_each_commit(database, JobKind.DROP_MAILS) as left_alone:
        cancel_campaign(database, mailing_list, now=NOW, actor=ANNA)
    # Of the act itself, which is no large work, and of the steps that follow it.
    assert (left_alone[0], left_alone[-1]) == (False, True)


def test_no_worker_lets_go_whom_a_resume_is_letting_go(database: Database) -> None:
    mailing_list = make_list(database)
    make_stopped(database, mailing_list)
    with asking_at_each_commit(database, JobKind.END_PILOT) as left_alone:
        go_on(database, mailing_list, SOON)
    assert (left_alone[0], left_alone[-1]) == (False, True)


def test_what_a_state_does_not_allow_is_refused_and_leaves_no_trace(database: Database) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    for act in (pause_campaign, cancel_campaign):
        with pytest.raises(TransitionRefused, match="the campaign is closed"):
            act(database, mailing_list, now=NOW, actor=ANNA)
    with pytest.raises(TransitionRefused, match="the campaign is closed"):
        go_on(database, mailing_list, NOW)
    with pytest.raises(TransitionRefused, match="the campaign is closed"):
        move(database, mailing_list)
    assert not Evidence.select().exists()


def test_a_list_without_a_campaign_has_nothing_to_pause(database: Database) -> None:
    mailing_list = make_list(database)
    with pytest.raises(NotFound, match="there is no campaign on news"):
        pause_campaign(database, mailing_list, now=NOW, actor=ANNA)


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


def test_what_a_cancel_leaves_in_the_queue_is_dropped_by_the_next_sweep(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    for _ in range(3):
        queued = {"state": MailState.QUEUED, "sent_at": None}
        make_mail(database, campaign, make_contact(database, mailing_list), **queued)
    cancel_campaign(database, mailing_list, now=NOW, actor=ANNA, max_rows=0)
    assert newest() == ("cancelled", {"dropped": 3})
    assert Mail.select().where(Mail.state == MailState.QUEUED).count() == 3
    with database.atomic():
        assert status_changes.drop_queued(campaign, Dropped.CANCELLED, max_rows=1) == 1
    send_due.run_maintenance(database, now=NOW)
    assert {(mail.state, mail.reason) for mail in Mail.select()} == {("dropped", "cancelled")}


def test_a_mail_to_the_admin_is_still_sent_when_its_campaign_is_cancelled(
    database: Database,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.SENDING)
    with database.atomic():
        enqueue_notice("daily", list_id=campaign.list_id, due_at=NOW, campaign=campaign)
    ask = make_mail(
        database,
        campaign,
        make_contact(database, mailing_list),
        state=MailState.QUEUED,
        sent_at=None,
    )
    cancel_campaign(database, mailing_list, now=NOW, actor=ANNA)
    assert newest() == ("cancelled", {"dropped": 1})
    assert Mail.get_by_id(ask.id).state == MailState.DROPPED
    assert Mail.get(Mail.kind == MailKind.NOTICE).state == MailState.QUEUED
