"""What makes a campaign pause by itself, and how the admin learns of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from repermit.campaigns import lifecycle
from repermit.contacts import circuit_breaker
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.mails import Mail
from repermit.rules.consent import BounceKind, CampaignState, MailKind, MailState, PauseReason
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

INSTANT = timedelta(microseconds=1)
RUNNING = [CampaignState.SENDING, CampaignState.OPEN]


def make_sending(database: Database, **overrides: Any) -> Campaign:
    values = {"state": CampaignState.SENDING, **overrides}
    return make_campaign(database, make_list(database), **values)


def make_mails(database: Database, campaign: Campaign, count: int, **overrides: Any) -> None:
    for _ in range(count):
        make_mail(database, campaign, make_contact(database, campaign.list), **overrides)


def pause(database: Database, campaign: Campaign, reason: PauseReason) -> bool:
    with database.atomic():
        return circuit_breaker.pause_automatically(campaign.id, reason, now=NOW)


def brake(
    database: Database, campaign: Campaign, percent: int = 2, **overrides: Any
) -> PauseReason | None:
    values = {"now": NOW, "percent": percent, **overrides}
    with database.atomic():
        return circuit_breaker.trip_circuit_breaker(campaign.id, **values)


def standing() -> tuple[str, str, str]:
    campaign = Campaign.get()
    return campaign.state, campaign.paused_from, campaign.pause_reason


def notices() -> list[str]:
    return [mail.topic for mail in Mail.select().where(Mail.kind == MailKind.NOTICE)]


def reasons_kept() -> list[Any]:
    assert list(iter_chain_faults()) == []
    return [json.loads(part.json) for part in EvidencePart.select().order_by(EvidencePart.seq)]


# --- Pausing by itself. -------------------------------------------------------------------------


@pytest.mark.parametrize("state", RUNNING)
@pytest.mark.parametrize("reason", PauseReason)
def test_a_campaign_that_pauses_by_itself_says_why_and_tells_the_admin(
    database: Database, state: CampaignState, reason: PauseReason
) -> None:
    campaign = make_sending(database, state=state)
    assert pause(database, campaign, reason)
    assert standing() == (CampaignState.PAUSED, state, reason)
    notice = Mail.get()
    assert (notice.kind, notice.state, notice.topic) == ("notice", "queued", f"paused_{reason}")
    assert (notice.list_id, notice.campaign_id) == (campaign.list_id, campaign.id)
    assert (notice.contact_id, notice.due_at) == (None, NOW)
    entry = Evidence.get()
    assert (entry.event, entry.actor, entry.at) == ("paused", "job", NOW)
    assert (entry.list, entry.campaign) == ("news", campaign.id)
    assert reasons_kept() == [{"reason": reason}]


@pytest.mark.parametrize("reason", PauseReason)
def test_pausing_twice_for_a_reason_is_pausing_once(
    database: Database, reason: PauseReason
) -> None:
    campaign = make_sending(database)
    assert pause(database, campaign, reason)
    assert not pause(database, campaign, reason)
    assert len(notices()) == Evidence.select().count() == 1


@pytest.mark.parametrize("before", ["", PauseReason.PILOT])
def test_a_brake_takes_the_place_of_another_reason(database: Database, before: str) -> None:
    campaign = make_sending(
        database,
        state=CampaignState.PAUSED,
        paused_from=CampaignState.SENDING,
        pause_reason=before,
    )
    assert pause(database, campaign, PauseReason.COMPLAINT)
    assert standing() == (CampaignState.PAUSED, CampaignState.SENDING, PauseReason.COMPLAINT)
    assert notices() == ["paused_complaint"]


@pytest.mark.parametrize("before", ["", PauseReason.BOUNCES])
def test_the_end_of_a_pilot_takes_no_other_reasons_place(database: Database, before: str) -> None:
    campaign = make_sending(
        database,
        state=CampaignState.PAUSED,
        paused_from=CampaignState.SENDING,
        pause_reason=before,
    )
    assert not pause(database, campaign, PauseReason.PILOT)
    assert standing() == (CampaignState.PAUSED, CampaignState.SENDING, before)


@pytest.mark.parametrize(
    "state", [CampaignState.SCHEDULED, CampaignState.CLOSED, CampaignState.CANCELLED]
)
def test_what_is_not_under_way_is_not_paused(database: Database, state: CampaignState) -> None:
    campaign = make_sending(database, state=state)
    assert not pause(database, campaign, PauseReason.BOUNCES)
    assert standing() == (state, "", "")
    assert not notices()
    assert not Evidence.select().exists()


# --- The brake. ---------------------------------------------------------------------------------


def test_too_many_refusals_and_bounces_stop_a_campaign(database: Database) -> None:
    campaign = make_sending(database)
    make_mails(database, campaign, 98)
    make_mails(database, campaign, 1, state=MailState.FAILED, reason="recipient")
    assert brake(database, campaign) is None
    make_mails(database, campaign, 1, state=MailState.FAILED, reason="message")
    assert brake(database, campaign) is PauseReason.BOUNCES
    assert standing() == ("paused", "sending", "bounces")
    assert reasons_kept() == [{"reason": "bounces", "sent": 100, "bounced": 2, "complaints": 0}]
    assert brake(database, campaign) is None
    assert len(notices()) == 1


def test_what_came_back_later_counts_like_a_refusal(database: Database) -> None:
    campaign = make_sending(database)
    make_mails(database, campaign, 97)
    make_mails(database, campaign, 1, bounce=BounceKind.HARD)
    make_mails(database, campaign, 1, bounce=BounceKind.HARD, kind=MailKind.REMINDER)
    make_mails(database, campaign, 1, bounce=BounceKind.SOFT)
    assert circuit_breaker.count_mail_outcomes(campaign) == circuit_breaker.MailOutcomes(
        sent=100, bounced=2, complaints=0
    )
    assert brake(database, campaign) is PauseReason.BOUNCES


def test_what_is_no_bounce_does_not_count(database: Database) -> None:
    campaign = make_sending(database)
    other = make_campaign(database, make_list(database, slug="other"))
    make_mails(database, other, 1, bounce=BounceKind.COMPLAINT)
    make_mails(database, campaign, 1, state=MailState.FAILED, reason="not_made")
    make_mails(database, campaign, 1, state=MailState.FAILED, reason="in_doubt")
    make_mails(database, campaign, 1, state=MailState.IN_DOUBT)
    make_mails(database, campaign, 1, state=MailState.QUEUED)
    make_mails(database, campaign, 1, kind=MailKind.CONFIRM, bounce=BounceKind.HARD)
    assert circuit_breaker.count_mail_outcomes(campaign) == circuit_breaker.MailOutcomes(
        sent=0, bounced=0, complaints=0
    )


@pytest.mark.parametrize("state", RUNNING)
def test_one_complaint_stops_a_campaign_of_any_size(
    database: Database, state: CampaignState
) -> None:
    campaign = make_sending(database, state=state)
    make_mails(database, campaign, 1, bounce=BounceKind.COMPLAINT)
    assert brake(database, campaign, percent=0) is PauseReason.COMPLAINT
    assert standing() == ("paused", state, "complaint")


@pytest.mark.parametrize(
    ("beyond", "stops"), [(-INSTANT, True), (timedelta(), False), (INSTANT, False)]
)
def test_after_the_deadline_nothing_is_left_to_stop(
    database: Database, beyond: timedelta, stops: bool
) -> None:
    campaign = make_sending(database, state=CampaignState.OPEN)
    make_mails(database, campaign, 1, bounce=BounceKind.COMPLAINT)
    why = brake(database, campaign, now=DEADLINE + beyond)
    assert why is (PauseReason.COMPLAINT if stops else None)


def test_what_the_admin_knew_of_does_not_stop_a_campaign_again(database: Database) -> None:
    campaign = make_sending(database, brake_sent=100, brake_bounced=3, brake_complaints=1)
    make_mails(database, campaign, 97 + 118)
    # In all 5 of 221 would be too many; since then it is 2 of 121.
    make_mails(database, campaign, 5, state=MailState.FAILED, reason="recipient")
    make_mails(database, campaign, 1, bounce=BounceKind.COMPLAINT)
    assert brake(database, campaign) is None
    make_mails(database, campaign, 1, state=MailState.FAILED, reason="recipient")
    assert brake(database, campaign) is PauseReason.BOUNCES


# --- The end of a pilot. ------------------------------------------------------------------------


def test_a_pilot_ends_when_its_asks_are_settled(database: Database) -> None:
    campaign = make_sending(database, pilot=2)
    make_mails(database, campaign, 1)
    make_mails(database, campaign, 1, state=MailState.FAILED)
    make_mails(database, campaign, 3, state=MailState.QUEUED, due_at=AFTER_PILOT)
    assert circuit_breaker.finish_pilots(database, now=NOW) == 1
    assert standing() == ("paused", "sending", "pilot")
    assert notices() == ["paused_pilot"]
    assert circuit_breaker.finish_pilots(database, now=NOW) == 0


def test_a_pilot_that_another_worker_ended_is_not_paused_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_sending(database, pilot=2)
    make_mails(database, campaign, 1)

    def resume_meanwhile(_: Campaign) -> bool:
        monkeypatch.undo()
        assert circuit_breaker.finish_pilots(database, now=NOW) == 1
        lifecycle.resume_campaign(
            database, campaign.list, settings=make_settings(), now=NOW, actor="cli:els"
        )
        return False

    monkeypatch.setattr(circuit_breaker, "_is_pilot_under_way", resume_meanwhile)
    assert circuit_breaker.finish_pilots(database, now=NOW) == 0
    assert standing() == ("sending", "", "")
    assert notices() == ["paused_pilot"]


@pytest.mark.parametrize("state", [MailState.QUEUED, MailState.CLAIMED, MailState.STARTED])
def test_a_pilot_goes_on_until_its_last_ask_is_settled(
    database: Database, state: MailState
) -> None:
    campaign = make_sending(database, pilot=2)
    make_mails(database, campaign, 1)
    make_mails(database, campaign, 1, state=state, due_at=NOW + timedelta(hours=1))
    make_mails(database, campaign, 3, state=MailState.QUEUED, due_at=AFTER_PILOT)
    assert circuit_breaker.finish_pilots(database, now=NOW) == 0
    assert standing() == ("sending", "", "")


@pytest.mark.parametrize(
    ("pilot", "state"), [(0, CampaignState.SENDING), (2, CampaignState.SCHEDULED)]
)
def test_what_has_no_pilot_under_way_is_left_alone(
    database: Database, pilot: int, state: CampaignState
) -> None:
    make_sending(database, pilot=pilot, state=state)
    assert circuit_breaker.finish_pilots(database, now=NOW) == 0
    assert standing() == (state, "", "")
