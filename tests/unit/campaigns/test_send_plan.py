"""When a campaign's mails leave, and whether that leaves people enough time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from repermit.campaigns.audience import Audience
from repermit.campaigns.launch_refusals import plan_launch
from repermit.campaigns.result_types import Plan
from repermit.campaigns.send_plan import compute_reminder_time, compute_send_duration
from repermit.clock import parse_when
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Basis, CampaignState, MailKind, MailState, Status
from repermit.settings.definitions import CampaignRules, MailServer
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)

INSTANT = timedelta(microseconds=1)
AMSTERDAM = ZoneInfo("Europe/Amsterdam")


def make_plan(database: Database, *places: str, rates: dict[str, Any], **overrides: Any) -> Plan:
    """Plan a campaign to a contact at each of these domains, with these rates."""
    mailing_list = make_list(database)
    for number, place in enumerate(places):
        make_contact(database, mailing_list, f"p{number}@{place}")
    days = overrides.pop("minimum_days", 14)
    settings = make_settings(mail=MailServer(**rates), campaign=CampaignRules(minimum_days=days))
    values: dict[str, Any] = {"settings": settings, "now": NOW, "deadline": DEADLINE}
    return plan_launch(mailing_list, **{**values, **overrides})


# --- The last ask. ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rates", "after"),
    [
        ({}, timedelta()),
        ({"rate_per_minute": 2}, timedelta(minutes=1)),
        ({"rate_per_hour": 2}, timedelta(hours=1)),
        ({"rate_per_day": 2, "rate_per_hour": 2}, timedelta(days=1)),
        ({"domain_rate_per_minute": 2}, timedelta(seconds=30)),
        ({"domain_rate_per_minute": 1, "rate_per_minute": 60}, timedelta(minutes=1)),
        ({"domain_rate_per_minute": 60, "rate_per_minute": 1}, timedelta(minutes=2)),
    ],
)
@pytest.mark.parametrize("starts_in", [timedelta(), timedelta(days=2)])
def test_the_rates_say_when_the_last_ask_leaves(
    database: Database, rates: dict[str, Any], after: timedelta, starts_in: timedelta
) -> None:
    places = ("example.org", "example.com", "example.org")
    planned = make_plan(database, *places, rates=rates, starts_at=NOW + starts_in)
    assert planned.last_ask_at == NOW + starts_in + after


def test_rates_that_would_take_ages_are_counted_with_all_the_same(database: Database) -> None:
    news, many = (
        make_list(database),
        Audience(languages={"nl": 10**7}, untranslated={}, excluded={}),
    )
    settings = make_settings(mail=MailServer(rate_per_day=1))
    needed = compute_send_duration(news, many, settings=settings, include_thin=False)
    assert NOW + needed > NOW + timedelta(days=300_000)


@pytest.mark.parametrize("rates", [{"rate_per_day": 1}, {"domain_rate_per_minute": 1}])
def test_nobody_and_one_person_are_asked_at_once(database: Database, rates: dict[str, Any]) -> None:
    mailing_list = make_list(database)
    settings = make_settings(mail=MailServer(**rates))
    for _ in range(2):
        planned = plan_launch(mailing_list, settings=settings, now=NOW, deadline=DEADLINE)
        assert planned.last_ask_at == NOW
        make_contact(database, mailing_list)


def test_only_who_is_asked_counts_at_a_domain(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list)
    for _ in range(3):
        make_contact(database, mailing_list, status=Status.CONFIRMED, basis=Basis.THIN)
    settings = make_settings(mail=MailServer(domain_rate_per_minute=1))
    options: dict[str, Any] = {"settings": settings, "now": NOW, "deadline": DEADLINE}
    assert plan_launch(mailing_list, **options).last_ask_at == NOW
    thin = plan_launch(mailing_list, **options, include_thin=True)
    assert thin.last_ask_at == NOW + timedelta(minutes=3)


@pytest.mark.parametrize(
    ("beyond", "accepted"), [(-INSTANT, False), (timedelta(), True), (INSTANT, True)]
)
def test_the_last_ask_leaves_people_the_minimum_of_days(
    database: Database, beyond: timedelta, accepted: bool
) -> None:
    deadline = NOW + timedelta(days=14 + 1) + beyond
    planned = make_plan(database, "a.org", "b.org", rates={"rate_per_day": 1}, deadline=deadline)
    assert (planned.refusals == ()) is accepted
    if not accepted:
        (reason,) = planned.refusals
        assert "the last one leaves on 2026-03-03 10:00, and people need 14 days" in reason
        assert "it must be later than 2026-03-17 10:00" in reason


def test_a_deadline_that_is_too_near_is_not_blamed_on_the_rates(database: Database) -> None:
    planned = make_plan(
        database, "a.org", "b.org", rates={"rate_per_day": 1}, deadline=NOW + timedelta(days=14)
    )
    (reason,) = planned.refusals
    assert reason.startswith("the deadline is too near")


# --- What other campaigns owe. ------------------------------------------------------------------


def owe(database: Database, slug: str, *places: str, **overrides: Any) -> None:
    """Have another campaign owe a mail to a contact at each of these domains."""
    other = make_list(database, slug=slug)
    kind, state = overrides.pop("kind", MailKind.ASK), overrides.pop("mail_state", "queued")
    campaign = make_campaign(database, other, **{"state": CampaignState.SENDING, **overrides})
    for number, place in enumerate(places):
        contact = make_contact(database, other, f"{slug}{number}@{place}")
        make_mail(database, campaign, contact, state=state, sent_at=None, kind=kind)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"state": CampaignState.SCHEDULED},
        {"state": CampaignState.PAUSED},
        {"state": CampaignState.OPEN, "kind": MailKind.REMINDER},
        {"mail_state": MailState.CLAIMED},
    ],
)
@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ({}, timedelta()),
        # Two of ours and, in turns, two of the other's three.
        ({"rate_per_minute": 1}, timedelta(minutes=3)),
        # One of ours and one of theirs at a.org.
        ({"domain_rate_per_minute": 1}, timedelta(minutes=1)),
        ({"rate_per_minute": 60, "domain_rate_per_minute": 1}, timedelta(minutes=1)),
    ],
)
def test_what_other_campaigns_owe_takes_its_turns_under_the_same_rates(
    database: Database, rates: dict[str, Any], expected: timedelta, overrides: dict[str, Any]
) -> None:
    owe(database, "other", "a.org", "a.org", "c.org", **overrides)
    planned = make_plan(database, "a.org", "b.org", rates=rates)
    assert planned.last_ask_at == NOW + expected


def test_several_others_count_each_by_itself(database: Database) -> None:
    owe(database, "one", "a.org", "b.org", "c.org")
    owe(database, "two", "a.org")
    planned = make_plan(database, "a.org", "a.org", rates={"rate_per_minute": 1})
    assert planned.last_ask_at == NOW + timedelta(minutes=2 + 2 + 1 - 1)
    places = make_settings(mail=MailServer(domain_rate_per_minute=1))
    mailing_list = MailingList.get(slug="news")
    again = plan_launch(mailing_list, settings=places, now=NOW, deadline=DEADLINE)
    assert again.last_ask_at == NOW + timedelta(minutes=2 + 1 + 1 - 1)


@pytest.mark.parametrize(
    "overrides",
    [
        {"state": CampaignState.CANCELLED},
        {"state": CampaignState.CLOSED},
        {"mail_state": MailState.SENT},
        {"mail_state": MailState.DROPPED},
        {"kind": MailKind.NOTICE},
    ],
)
def test_what_leaves_no_more_takes_no_time(database: Database, overrides: dict[str, Any]) -> None:
    owe(database, "other", "a.org", "a.org", **overrides)
    rates = {"rate_per_minute": 1, "domain_rate_per_minute": 1}
    assert make_plan(database, "a.org", rates=rates).last_ask_at == NOW


def test_who_would_be_too_late_beside_another_campaign_is_refused(database: Database) -> None:
    owe(database, "other", "a.org")
    deadline = NOW + timedelta(days=15)
    rates = {"rate_per_day": 1}
    (reason,) = make_plan(database, "a.org", "b.org", rates=rates, deadline=deadline).refusals
    assert "the rates under [mail], which all campaigns share" in reason
    assert "the last one leaves on 2026-03-04 10:00" in reason


# --- The reminder. ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deadline", "days", "expected"),
    [
        # To the end of a day: in the morning.
        ("2026-12-22", 7, "2026-12-15T09:00"),
        ("2026-12-22", 1, "2026-12-21T09:00"),
        ("2026-12-23T00:00", 7, "2026-12-15T09:00"),
        ("2026-12-22T23:59", 7, "2026-12-15T09:00"),
        # Otherwise at the same time of day.
        ("2026-12-22T23:58", 7, "2026-12-15T23:58"),
        ("2026-12-23T00:01", 7, "2026-12-16T00:01"),
        ("2026-12-22T17:00", 7, "2026-12-15T17:00"),
        # Also where the clocks change in between.
        ("2026-03-30T17:00", 7, "2026-03-23T17:00"),
        ("2026-10-26", 7, "2026-10-19T09:00"),
    ],
)
def test_people_are_reminded_days_before_by_the_calendar(
    deadline: str, days: int, expected: str
) -> None:
    moment = compute_reminder_time(parse_when(deadline, AMSTERDAM), days, AMSTERDAM)
    assert moment == parse_when(expected, AMSTERDAM)
    assert moment.tzinfo is UTC


def test_the_zone_is_the_organisations() -> None:
    deadline = datetime(2026, 12, 22, 15, 0, tzinfo=UTC)
    moment = compute_reminder_time(deadline, 1, ZoneInfo("Asia/Tokyo"))
    assert moment == datetime(2026, 12, 21, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("beyond", "accepted"), [(-INSTANT, True), (timedelta(), True), (INSTANT, False)]
)
def test_a_reminder_comes_a_day_after_the_last_ask_at_the_earliest(
    database: Database, beyond: timedelta, accepted: bool
) -> None:
    deadline = NOW + timedelta(days=9)
    planned = make_plan(
        database,
        "a.org",
        "b.org",
        rates={"rate_per_day": 1},
        minimum_days=2,
        deadline=deadline,
        reminder=7,
        now=NOW + beyond,
    )
    assert planned.reminder_at == NOW + timedelta(days=2)
    assert (planned.refusals == ()) is accepted
    if not accepted:
        (reason,) = planned.refusals
        assert "the reminder would leave on 2026-03-04 10:00, and the last mail on" in reason
        assert "remind them fewer days before the deadline" in reason


@pytest.mark.parametrize(("people", "accepted"), [(2, True), (3, False), (4, False)])
def test_reminders_leave_before_the_deadline_at_the_rates(
    database: Database, people: int, accepted: bool
) -> None:
    planned = make_plan(
        database,
        *["a.org"] * people,
        rates={"rate_per_day": 1},
        minimum_days=0,
        deadline=NOW + timedelta(days=20),
        reminder=2,
    )
    assert (planned.refusals == ()) is accepted
    if not accepted:
        (reason,) = planned.refusals
        assert reason == (
            "the reminders leave too slowly: the last one would leave on "
            f"2026-03-{18 + people + 1} 10:00, too late before the deadline, 2026-03-22 10:00; "
            "remind people more days before it, or nobody (the rates stand under [mail])"
        )


def test_a_reminder_before_the_beginning_is_refused(database: Database) -> None:
    (reason,) = make_plan(database, "a.org", rates={}, reminder=365).refusals
    assert reason.startswith("the reminder would leave on 2025-03-30 11:00")
