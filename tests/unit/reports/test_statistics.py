"""What became of the people of a large campaign: counted by the job, and read by the page."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact
from repermit.reports import statistics
from repermit.reports.closing_report import ClosingReport
from repermit.reports.make_report import ReportKind, make_report, render_text
from repermit.reports.statistics import count_people, read_people
from repermit.rules.consent import Basis, Status
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_settings,
)
from tests.support.query_plans import plans_of
from tests.support.report_campaign import make_rich
from tests.unit.reports.test_outcomes_per_day import say_yes

SETTINGS = make_settings()
INSTANT = timedelta(microseconds=1)
REST_OF_ONE = timedelta(microseconds=300)
HOUR = timedelta(hours=1)


def keep(database: Database, *, after: timedelta = timedelta(), few: int = 0) -> int:
    return statistics.store_people_counts(database, now=NOW + after, max_counted_at_once=few)


def test_few_are_counted_while_somebody_waits(database: Database) -> None:
    campaign = make_rich(database).campaign
    assert statistics.store_people_counts(database, now=NOW) == 0
    found = read_people(campaign, now=NOW)
    assert (found.people, found.at) == (count_people(campaign), NOW)
    assert not Meta.select().where(Meta.key.startswith("people_")).exists()


def test_many_are_read_as_they_were_counted(database: Database) -> None:
    campaign = make_rich(database).campaign
    # Before the first time they are counted at once.
    assert read_people(campaign, now=NOW, max_counted_at_once=0).people == count_people(campaign)
    assert (
        statistics.store_people_counts(
            database, now=NOW, should_stop=lambda: True, max_counted_at_once=0
        )
        == 0
    )
    assert keep(database) == 1
    assert keep(database, after=HOUR) == 0
    # As long as nothing changes, that is how it stands.
    found = read_people(campaign, now=NOW + 2 * HOUR, max_counted_at_once=0)
    assert (found.people, found.at) == (count_people(campaign), NOW + 2 * HOUR)


def test_some_are_counted_after_the_others_each_of_them_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = make_rich(database).campaign
    monkeypatch.setattr(statistics, "_PEOPLE_AT_ONCE", 3)
    assert keep(database) == 1
    found = read_people(campaign, now=NOW, max_counted_at_once=0)
    assert (found.people, found.at) == (count_people(campaign), NOW)


def test_whoever_says_yes_while_people_are_counted_is_none_who_was_not_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    people = [make_asked(database, news, campaign) for _ in range(3)]

    def answer(_: float) -> None:
        if people:
            say_yes(database, people.pop(0), campaign.id)

    monkeypatch.setattr(statistics, "_PEOPLE_AT_ONCE", 1)
    monkeypatch.setattr(time, "sleep", answer)
    assert keep(database) == 1
    assert read_people(campaign, now=NOW, max_counted_at_once=0).mailed_unasked == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_each_step_of_counting_reads_the_next_people_alone(database: Database) -> None:
    make_rich(database)
    plans = plans_of(database, partial(keep, database), having='"contact_id" > ?')
    index = "USING INDEX mail_asked_once (campaign_id=? AND contact_id>?"
    assert plans
    assert all(index in plan.replace("COVERING ", "") for plan in plans), plans


def test_what_has_changed_is_counted_again_after_a_rest_that_grows_with_its_people(
    database: Database,
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    one = make_asked(database, news, campaign)
    assert keep(database) == 1
    before = count_people(campaign)
    say_yes(database, one, campaign.id)
    assert count_people(campaign) != before
    assert keep(database, after=REST_OF_ONE - INSTANT) == 0
    shown = read_people(campaign, now=NOW + HOUR - INSTANT, max_counted_at_once=0)
    assert (shown.people, shown.at) == (before, NOW)
    # Where no job counts any more it is counted while somebody waits.
    late = read_people(campaign, now=NOW + HOUR, max_counted_at_once=0)
    assert (late.people, late.at) == (count_people(campaign), NOW + HOUR)
    assert keep(database, after=REST_OF_ONE) == 1
    assert read_people(
        campaign, now=NOW + REST_OF_ONE, max_counted_at_once=0
    ).people == count_people(campaign)


def test_who_may_be_mailed_unasked_is_counted_with_the_people(database: Database) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    one = make_asked(database, news, campaign)
    make_contact(database, news, status=Status.CUSTOMER, basis=Basis.CUSTOMER)
    assert keep(database) == 1

    def look(after: timedelta) -> tuple[int, int]:
        found = read_people(campaign, now=NOW + after, max_counted_at_once=0)
        return found.may_be_mailed, found.mailed_unasked

    assert look(INSTANT) == (1, 1)
    say_yes(database, one, campaign.id)
    assert look(INSTANT) == (1, 1)
    assert look(HOUR) == (2, 1)


def test_what_an_earlier_version_has_counted_is_counted_anew(database: Database) -> None:
    campaign = make_rich(database).campaign
    assert keep(database) == 1
    row = Meta.get(Meta.key == f"people_{campaign.id}")
    kept = json.loads(row.value)
    del kept["may_be_mailed"], kept["mailed_unasked"]
    with database.atomic():
        Meta.write(row.key, json.dumps(kept))
    assert read_people(campaign, now=NOW + INSTANT, max_counted_at_once=0).at == NOW + INSTANT
    assert keep(database) == 1
    assert Meta.read(row.key) == row.value


def test_only_a_lists_latest_campaign_is_counted(database: Database) -> None:
    news = make_list(database)
    earlier, latest = (make_campaign(database, news, state="closed") for _ in range(2))
    for campaign in (earlier, latest):
        make_asked(database, news, campaign)
    assert Contact.select().count() == 2
    assert keep(database) == 1
    assert Meta.select().where(Meta.key == f"people_{latest.id}").exists()


def test_the_paper_says_when_its_people_were_counted_if_that_was_before(
    database: Database,
) -> None:
    news, now = make_rich(database).mailing_list, NOW + HOUR
    made = make_report(news, ReportKind.REPORT, settings=SETTINGS, now=now, language="en")
    assert isinstance(made.facts, ClosingReport)
    assert made.facts.counted_at == made.facts.made_at
    assert "Counted at" not in render_text(made)
    earlier = replace(made, facts=replace(made.facts, counted_at=NOW))
    said = " ".join(render_text(earlier).split())
    assert "; who came to stand elsewhere since is not told here." in said


def test_figures_that_are_behind_what_has_changed_say_so(database: Database) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    one = make_asked(database, news, campaign)
    assert keep(database) == 1
    later = NOW + INSTANT

    def look(few: int) -> tuple[int, bool]:
        zone = make_settings().zone
        found = statistics.read_figures(news, zone=zone, now=later, max_counted_at_once=few)
        assert found
        return found.yes, found.counted_at == later

    assert look(few=0) == (0, True)
    say_yes(database, one, campaign.id)
    assert look(few=0) == (0, False)
    # Of few people all are counted while somebody waits.
    assert look(few=1) == (1, True)
