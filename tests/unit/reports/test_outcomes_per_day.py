"""What has come of a campaign: counted once, kept, and read at once."""

from __future__ import annotations

import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.contacts import lookup, status_changes
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.row_counts import Tally
from repermit.db.work_steps import FIRST_STEP_ROWS
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.evidence.verify.counts import TALLIED_UPTO
from repermit.reports import outcomes_per_day, statistics
from repermit.reports.outcomes_per_day import Outcome
from repermit.reports.statistics import Day, Figures
from repermit.rules.consent import (
    Basis,
    BounceKind,
    CampaignState,
    Dropped,
    MailState,
    Reason,
    Status,
)
from repermit.settings.definitions import Settings
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.support.import_helpers import take_back, take_in, write
from tests.support.query_plans import plans_of

KEY = make_settings().fingerprint_key


def say_yes(database: Database, contact: Contact, campaign: int, at: datetime = NOW) -> None:
    act = status_changes.Act(at=at, actor="person", campaign=campaign, consent={"answer": "yes"})
    with database.atomic():
        status_changes.confirm_contact(
            lookup.lock_contact(contact.id),
            basis=Basis.ANSWER,
            act=act,
            fingerprint_key=KEY,
        )


def take_off(
    database: Database,
    contact: Contact,
    campaign: int,
    reason: Reason = Reason.NO,
    at: datetime = NOW,
) -> None:
    with database.atomic():
        status_changes.remove_contacts(
            [lookup.lock_contact(contact.id)],
            reason=reason,
            act=status_changes.Act(at=at, actor="person", campaign=campaign),
            fingerprint_key=KEY,
        )


def look(mailing_list: MailingList) -> Figures:
    found = statistics.read_figures(mailing_list, zone=make_settings().zone, now=NOW)
    assert found is not None
    return found


def parts(found: Figures) -> dict[str, int]:
    names = ("yes", "no", "silent", "waiting", "unasked")
    kept = {name: getattr(found, name) for name in names}
    assert sum(kept.values()) == found.asked
    return kept


def tally(database: Database, **more: Any) -> int:
    return outcomes_per_day.update_tallies(database, settings=make_settings(), now=NOW, **more)


def test_a_list_without_a_campaign_has_no_figures(mailing_list: MailingList) -> None:
    assert statistics.read_figures(mailing_list, zone=make_settings().zone, now=NOW) is None


@pytest.mark.parametrize("is_tallied", [False, True])
def test_the_parts_of_a_campaign_add_up(
    database: Database, mailing_list: MailingList, campaign: Campaign, is_tallied: bool
) -> None:
    asked = [make_asked(database, mailing_list, campaign) for _ in range(6)]
    for state, reason in (
        (MailState.QUEUED, ""),
        (MailState.FAILED, "recipient"),
        (MailState.IN_DOUBT, ""),
        (MailState.DROPPED, Dropped.TOO_LATE),
    ):
        contact = make_contact(database, mailing_list)
        make_mail(database, campaign, contact, state=state, reason=reason)
    returned = make_contact(database, mailing_list)
    make_mail(database, campaign, returned, bounce=BounceKind.HARD)
    take_off(database, returned, campaign.id, Reason.BOUNCE)
    say_yes(database, asked[0], campaign.id)
    say_yes(database, asked[1], campaign.id)
    take_off(database, asked[1], campaign.id, Reason.WITHDRAWN)
    take_off(database, asked[2], campaign.id, Reason.REQUEST)
    if is_tallied:
        assert tally(database) == 5
        assert tally(database) == 0
    found = look(mailing_list)
    # Who was taken off since there is no such mailbox is gone, and not unasked.
    assert parts(found) == {"yes": 1, "no": 3, "silent": 3, "waiting": 1, "unasked": 3}
    assert found.bounces == {**dict.fromkeys(BounceKind, 0), BounceKind.HARD: 1}
    assert found.mails[MailState.SENT] == 7
    assert found.is_whole


def test_no_step_of_a_tally_looks_through_the_whole_record(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    say_yes(database, contact, campaign.id)
    assert tally(database) == 1
    say_yes(database, contact, campaign.id)
    plans = plans_of(database, lambda: tally(database), having='"evidence"')
    assert plans
    assert not [plan for plan in plans if re.search(r"(?m)^SCAN|Seq Scan on evidence", plan)]


def test_whom_a_closed_campaign_did_not_take_off_for_silence_was_not_asked_in_time(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    asked = [make_asked(database, mailing_list, campaign) for _ in range(5)]
    say_yes(database, asked[0], campaign.id)
    for contact in asked[1:3]:
        take_off(database, contact, campaign.id, Reason.NO_RESPONSE)
    assert parts(look(mailing_list))["silent"] == 4
    with database.atomic():
        campaign.state = CampaignState.CLOSED
        campaign.save()
    assert parts(look(mailing_list)) == {
        "yes": 1, "no": 0, "silent": 2, "waiting": 0, "unasked": 2,
    }  # fmt: skip


def test_who_answers_twice_stands_where_they_stand_now(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    take_off(database, contact, campaign.id)
    tally(database)
    say_yes(database, contact, campaign.id)
    assert parts(look(mailing_list))["yes"] == 1
    tally(database)
    assert parts(look(mailing_list)) == {
        "yes": 1, "no": 0, "silent": 0, "waiting": 0, "unasked": 0,
    }  # fmt: skip


def test_days_go_from_the_beginning_to_the_deadline_by_the_organisations_calendar(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    # Half past eleven in the evening in London is the next day in Amsterdam.
    late = NOW.replace(hour=23, minute=30)
    for at, answer in ((NOW, say_yes), (late, say_yes), (late, take_off)):
        answer(database, make_asked(database, mailing_list, campaign), campaign.id, at=at)
    tally(database)
    days = look(mailing_list).days
    assert days[:3] == (
        Day(day=date(2026, 3, 2), yes=1, no=0),
        Day(day=date(2026, 3, 3), yes=1, no=1),
        Day(day=date(2026, 3, 4), yes=0, no=0),
    )
    assert (len(days), days[-1].day) == (29, date(2026, 3, 30))


def test_of_a_deadline_far_ahead_no_more_days_are_drawn_than_anybody_looks_at(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    with database.atomic():
        campaign.deadline = datetime(9999, 12, 31, tzinfo=UTC)
        campaign.save()
    days = look(mailing_list).days
    assert (days[0].day, days[-1].day) == (date(2026, 3, 2), date(2027, 4, 6))
    late = NOW + timedelta(days=500)
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id, at=late)
    tally(database)
    days = look(mailing_list).days
    assert (days[-1].day, days[-1].yes) == (date(2027, 7, 15), 1)


def test_a_cancelled_campaign_has_days_until_it_was(
    database: Database, mailing_list: MailingList
) -> None:
    make_campaign(
        database,
        mailing_list,
        state=CampaignState.CANCELLED,
        closed_at=NOW + timedelta(days=2),
    )
    assert len(look(mailing_list).days) == 3


def test_a_deadline_at_midnight_belongs_to_the_day_before(
    database: Database, mailing_list: MailingList
) -> None:
    zone = make_settings().zone
    midnight = NOW.astimezone(zone).replace(hour=0, minute=0) + timedelta(days=2)
    make_campaign(database, mailing_list, deadline=midnight)
    assert [one.day.day for one in look(mailing_list).days] == [2, 3]


def test_other_lists_and_campaigns_count_by_themselves(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    other = make_list(database, slug="other")
    theirs = make_campaign(database, other)
    say_yes(database, make_asked(database, other, theirs), theirs.id)
    say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)
    take_off(database, make_contact(database, mailing_list), 0)
    assert parts(look(mailing_list))["no"] == 0
    tally(database)
    assert parts(look(mailing_list))["yes"] == parts(look(other))["yes"] == 1
    assert Tally.select().where(Tally.campaign == 0).count() == 1


def test_what_answers_nothing_is_no_answer(database: Database, mailing_list: MailingList) -> None:
    imported = Entry(
        event="confirmed", at=NOW, actor="admin", list="news", consent={"basis": "imported"}
    )
    with database.atomic():
        chain.append(imported, Entry(event="removed", at=NOW, actor="job", list="news"))
    assert tally(database) == 2
    assert Tally.select().count() == 0
    assert mailing_list.slug == "news"


def test_many_entries_are_counted_step_by_step(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    entries = [
        Entry(event="other", at=NOW, actor="job", list="news")
        for _ in range(outcomes_per_day._MAX_PER_STEP)
    ]
    with database.atomic():
        chain.append(*entries)
    say_yes(database, contact, campaign.id)
    behind = look(mailing_list)
    # Only the days are behind: where people stand is always counted.
    assert (behind.yes, behind.days[0].yes, behind.is_whole) == (1, 0, False)
    assert tally(database, should_stop=lambda: True) == 0
    assert tally(database) == outcomes_per_day._MAX_PER_STEP + 1
    assert look(mailing_list).days[0].yes == 1
    assert look(mailing_list).is_whole


def test_the_step_after_a_slow_one_counts_fewer_entries(database: Database) -> None:
    entries = [Entry(event="other", at=NOW, actor="job", list="news") for _ in range(151)]
    with database.atomic():
        chain.append(*entries)
    counted = []

    def note_slowly() -> None:
        counted.append(int(Meta.read(TALLIED_UPTO) or 0))
        time.sleep(0.1)

    database.before_commit = note_slowly
    try:
        assert tally(database) == 151
    finally:
        database.before_commit = None
    assert counted[0] == FIRST_STEP_ROWS
    assert FIRST_STEP_ROWS < counted[1] < 151
    assert counted[-1] == 151


def test_two_processes_count_each_entry_once(
    database: Database, mailing_list: MailingList, campaign: Campaign
) -> None:
    for _ in range(20):
        say_yes(database, make_asked(database, mailing_list, campaign), campaign.id)

    def count_them(_: int) -> None:
        with database.connection_context():
            tally(database)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count_them, range(4)))
    assert look(mailing_list).days[0].yes == 20
    counts = Counter({(row.day, row.what): row.count for row in Tally.select()})
    assert counts == {("", Outcome.YES): 20, ("2026-03-02", Outcome.YES): 20}


def test_a_change_of_a_change_leaves_no_trace_in_how_it_stands(
    database: Database, mailing_list: MailingList, campaign: Campaign, settings: Settings
) -> None:
    contact = make_asked(database, mailing_list, campaign)
    say_yes(database, contact, campaign.id)
    take_off(database, contact, campaign.id, Reason.WITHDRAWN)
    say_yes(database, contact, campaign.id, at=DEADLINE - timedelta(days=1))
    tally(database)
    assert settings.timezone
    standing = {row.what: row.count for row in Tally.select().where(Tally.day == "")}
    assert standing[Outcome.YES] == 1
    assert not standing.get(Outcome.WITHDRAWN)
    assert Contact.get_by_id(contact.id).status == Status.CONFIRMED


@pytest.mark.parametrize("counted", ["before", "between", "after"])
def test_who_was_taken_off_by_a_file_that_is_taken_back_counts_as_before(
    database: Database, mailing_list: MailingList, tmp_path: Path, counted: str
) -> None:
    campaign = make_campaign(database, mailing_list, state=CampaignState.CLOSED, closed_at=NOW)
    yes, silent = (
        make_asked(database, mailing_list, campaign, f"{name}@example.org") for name in ("ja", "x")
    )
    say_yes(database, yes, campaign.id)
    lines = "email,unsubscribed\nja@example.org,2026-03-04\nx@example.org,2026-03-04\n"
    later = {"now": NOW + timedelta(days=3)}
    if counted == "before":
        tally(database)
    take_in(database, mailing_list, write(tmp_path, lines), **later)
    if counted == "between":
        tally(database)
    assert parts(look(mailing_list)) == {
        "yes": 0, "no": 2, "silent": 0, "waiting": 0, "unasked": 0,
    }  # fmt: skip
    take_back(database, mailing_list, now=NOW + timedelta(days=4))
    if counted == "after":
        tally(database)
    assert parts(look(mailing_list))["yes"] == 1
    assert parts(look(mailing_list))["no"] == 0
    tally(database)
    counts = {(row.day, row.what): row.count for row in Tally.select() if row.count}
    assert counts == {("", Outcome.YES): 1, ("2026-03-02", Outcome.YES): 1}
    # What comes after it counts from where they stand again.
    take_off(database, silent, campaign.id, at=NOW + timedelta(days=5))
    take_off(database, yes, campaign.id, Reason.WITHDRAWN, at=NOW + timedelta(days=5))
    tally(database)
    now = {row.what: row.count for row in Tally.select().where(Tally.day == "") if row.count}
    assert now == {Outcome.NO: 1, Outcome.WITHDRAWN: 1}


def test_a_removal_by_a_file_of_nobody_asked_is_taken_back_too(
    database: Database, mailing_list: MailingList, tmp_path: Path
) -> None:
    make_contact(database, mailing_list, "x@example.org")
    take_in(database, mailing_list, write(tmp_path, "email,unsubscribed\nx@example.org,yes\n"))
    tally(database)
    assert {row.count for row in Tally.select()} == {1}
    take_back(database, mailing_list, now=NOW + timedelta(days=1))
    tally(database)
    assert {row.count for row in Tally.select()} == {0}
