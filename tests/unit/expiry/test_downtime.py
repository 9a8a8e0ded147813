"""How long the answer pages were down, as the evidence of silence needs to know it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from repermit.campaigns.lifecycle import extend_campaign
from repermit.db import migrations
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import EvidencePart
from repermit.expiry.downtime import (
    assume_up_until,
    measure_downtime,
    must_delay_expiry,
    record_heartbeat,
)
from repermit.rules.consent import CampaignState
from tests.support.builders import DEADLINE, NOW, make_campaign, make_list, make_settings

MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)


def launch(database: Database, *, at: datetime = NOW) -> Campaign:
    return make_campaign(database, make_list(database), launched_at=at, starts_at=at)


def down(now: datetime) -> timedelta:
    return measure_downtime(Campaign.get(), now)


@pytest.mark.parametrize(
    ("beyond", "expected"), [(-INSTANT, False), (timedelta(), False), (INSTANT, True)]
)
def test_expiry_waits_when_the_pages_were_down_for_more_than_a_day(
    database: Database, beyond: timedelta, expected: bool
) -> None:
    launch(database)
    assert must_delay_expiry(Campaign.get(), NOW + timedelta(days=1) + beyond) is expected


def test_pages_that_are_noted_every_minute_were_never_down(database: Database) -> None:
    launch(database)
    for minutes in range(10):
        record_heartbeat(database, now=NOW + minutes * MINUTE)
    assert down(NOW + 10 * MINUTE) == timedelta()


@pytest.mark.parametrize(
    ("gap", "counted"),
    [
        (5 * MINUTE - INSTANT, timedelta()),
        (5 * MINUTE, timedelta()),
        (5 * MINUTE + timedelta(seconds=1), timedelta(seconds=301)),
    ],
)
def test_a_gap_counts_if_it_is_longer_than_five_minutes(
    database: Database, gap: timedelta, counted: timedelta
) -> None:
    launch(database)
    record_heartbeat(database, now=NOW)
    # While it lasts, and once it is over.
    assert down(NOW + gap) == counted
    record_heartbeat(database, now=NOW + gap)
    assert down(NOW + gap) == counted
    assert Campaign.get().downtime == counted.total_seconds()


def test_a_note_without_a_gap_writes_of_no_campaign(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would hold the lock for longer the more campaigns there are."""
    launch(database)
    record_heartbeat(database, now=NOW)
    monkeypatch.setattr(Campaign, "select", None)
    monkeypatch.setattr(Campaign, "update", None)
    record_heartbeat(database, now=NOW + MINUTE)


def test_gaps_add_up(database: Database) -> None:
    launch(database)
    for minutes in (0, 10, 11, 31):
        record_heartbeat(database, now=NOW + minutes * MINUTE)
    assert down(NOW + 31 * MINUTE) == 30 * MINUTE
    assert down(NOW + 61 * MINUTE) == 60 * MINUTE


def test_a_gap_counts_from_the_launch_on(database: Database) -> None:
    record_heartbeat(database, now=NOW - timedelta(days=3))
    launch(database)
    assert down(NOW + 7 * MINUTE) == 7 * MINUTE
    record_heartbeat(database, now=NOW + 7 * MINUTE)
    assert down(NOW + 7 * MINUTE) == 7 * MINUTE


def test_pages_that_were_never_noted_were_down_since_the_launch(database: Database) -> None:
    launch(database)
    assert down(NOW + timedelta(days=2)) == timedelta(days=2)
    record_heartbeat(database, now=NOW + timedelta(days=2))
    assert down(NOW + timedelta(days=2)) == timedelta(days=2)


@pytest.mark.parametrize("noted", [True, False])
def test_a_gap_before_the_asking_begins_does_not_count(database: Database, *, noted: bool) -> None:
    begins = NOW + timedelta(days=7)
    make_campaign(database, make_list(database), launched_at=NOW, starts_at=begins)
    if noted:
        record_heartbeat(database, now=NOW)
    assert down(begins - MINUTE) == down(begins) == timedelta()
    assert down(begins + 7 * MINUTE) == 7 * MINUTE
    record_heartbeat(database, now=begins + 7 * MINUTE)
    assert Campaign.get().downtime == 7 * 60


def test_each_campaign_counts_for_itself(database: Database) -> None:
    launch(database)
    later = make_campaign(
        database, make_list(database, slug="other"), starts_at=NOW + timedelta(hours=1)
    )
    record_heartbeat(database, now=NOW + timedelta(hours=3))
    assert down(NOW + timedelta(hours=3)) == timedelta(hours=3)
    assert Campaign.get_by_id(later.id).downtime == timedelta(hours=2).total_seconds()


def test_a_note_touches_no_other_fact_about_the_database(database: Database) -> None:
    record_heartbeat(database, now=NOW)
    assume_up_until(database, moment=NOW + MINUTE)
    assert migrations.read_version(database) == migrations.NEWEST_VERSION


def test_another_process_that_is_up_suffices(database: Database) -> None:
    launch(database)
    record_heartbeat(database, now=NOW)
    record_heartbeat(database, now=NOW + 4 * MINUTE)
    # A clock that is behind, on another machine, takes nothing back.
    record_heartbeat(database, now=NOW + 1 * MINUTE)
    record_heartbeat(database, now=NOW + 4 * MINUTE)
    assert down(NOW + 8 * MINUTE) == timedelta()


@pytest.mark.parametrize("state", CampaignState)
def test_a_gap_counts_for_campaigns_that_are_live(database: Database, state: CampaignState) -> None:
    make_campaign(database, make_list(database), state=state)
    record_heartbeat(database, now=NOW)
    record_heartbeat(database, now=NOW + timedelta(hours=1))
    assert Campaign.get().downtime == (3600 if state.is_live else 0)


def test_a_clock_that_jumps_by_hand_leaves_no_gap(database: Database) -> None:
    launch(database)
    later = NOW + timedelta(days=20)
    for moment in (NOW + MINUTE, later):
        assume_up_until(database, moment=moment)
        assert down(moment) == timedelta()
    # What comes after the jump counts as ever.
    record_heartbeat(database, now=later + timedelta(hours=1))
    assert down(later + timedelta(hours=1)) == timedelta(hours=1)


def test_what_comes_after_the_deadline_keeps_nobody_from_answering(database: Database) -> None:
    launch(database)
    assume_up_until(database, moment=DEADLINE - timedelta(hours=1))
    assert down(DEADLINE + timedelta(days=3)) == timedelta(hours=1)
    record_heartbeat(database, now=DEADLINE + timedelta(days=3))
    assert down(DEADLINE + timedelta(days=9)) == timedelta(hours=1)


def test_a_clock_that_was_ahead_for_a_moment_hides_no_downtime(database: Database) -> None:
    record_heartbeat(database, now=NOW + timedelta(days=365))
    launch(database)
    assert down(NOW + timedelta(days=20)) == timedelta(days=20)
    record_heartbeat(database, now=NOW + MINUTE)
    assert down(NOW + timedelta(days=20)) == timedelta(days=20) - MINUTE


def test_two_servers_whose_clocks_differ_invent_no_downtime(database: Database) -> None:
    launch(database)
    for minutes in range(20):
        record_heartbeat(database, now=NOW + minutes * MINUTE)
        record_heartbeat(database, now=NOW + (minutes + 6) * MINUTE)
    # The first beat of the clock that is ahead.
    assert Campaign.get().downtime <= 6 * 60


@pytest.mark.parametrize(("more", "left"), [(3, 0), (2, 0), (1, 2)])
def test_a_deadline_that_moves_by_the_downtime_or_more_makes_up_for_it(
    database: Database, more: int, left: int
) -> None:
    campaign = launch(database)
    record_heartbeat(database, now=NOW)
    passed = campaign.deadline + timedelta(hours=1)
    record_heartbeat(database, now=passed - timedelta(days=2))
    Campaign.update(downtime=2 * 86_400).execute()
    extend_campaign(
        database,
        campaign.list,
        deadline=passed + timedelta(days=more),
        settings=make_settings(),
        now=passed,
        actor="admin",
    )
    assert Campaign.get().downtime == left * 86_400
    part = json.loads(EvidencePart.get(EvidencePart.part == "consent").json)
    assert part.get("downtime", 0) == (0 if left else 2 * 86_400)
