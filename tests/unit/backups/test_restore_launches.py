"""A campaign that a restored database knows nothing of asks nobody a second time (issue 5)."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.backups import restore
from repermit.backups.restore import RestoreResult
from repermit.campaigns import enqueue_asks, launch_refusals, lifecycle, progress
from repermit.campaigns.launch_refusals import LOST_LAUNCH_NOTE
from repermit.clock import ManualClock, format_timestamp
from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.suppression_journal import Journal
from repermit.expiry import sweep
from repermit.privacy import data_links
from repermit.rules.consent import CampaignState, MailState, PauseReason
from repermit.sending import in_doubt, send_due
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
from tests.support.desk import ATTEST, Desk
from tests.support.inbox import Inbox
from tests.support.one_time_links import asked_for, opened_for
from tests.unit.backups.test_restore import add_list, asks_to
from tests.unit.campaigns.test_launch import start
from tests.unit.db.test_suppression_journal import CHECK, lines_of

LATER = NOW + timedelta(hours=3)
LAUNCHED = NOW + timedelta(hours=1)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return the journal beside the key."""
    return Journal(tmp_path / "suppressions.journal", key_check=CHECK)


def noted(journal: Journal, *slugs: str) -> list[Path]:
    """Have the journal know that a campaign was launched on each list; return what is read."""
    journal.ensure_exists()
    journal.add_lines(
        *({"do": "launch", "list": slug, "at": format_timestamp(LAUNCHED)} for slug in slugs)
    )
    journal.before_commit()
    return [journal.path]


def bring_up_to_date(database: Database, journals: list[Path]) -> RestoreResult:
    said: dict[str, Any] = {"now": LATER, "actor": "command line"}
    return restore.bring_up_to_date(database, settings=make_settings(), journals=journals, **said)


def lost_on(news: MailingList) -> object:
    return MailingList.get_by_id(news.id).lost_launch_at


def test_a_launch_stands_in_the_journal_before_it_is_committed(
    database: Database, journal: Journal
) -> None:
    news = make_list(database)
    make_contact(database, news)
    database.journal = journal
    start(database, news, max_rows=0)
    assert lines_of(journal.path) == [{"do": "launch", "list": "news", "at": format_timestamp(NOW)}]


def test_after_a_launch_that_is_lost_no_mail_leaves_until_somebody_has_decided(
    database: Database, journal: Journal
) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    make_contact(database, news, "jan@example.org")
    make_contact(database, other, "anna@example.org")
    taken = bring_up_to_date(database, noted(journal, "news"))
    assert taken.held.launched == ("news",)
    assert (lost_on(news), lost_on(other)) == (LAUNCHED, None)
    # Whoever is brought in later may have been asked all the same.
    make_contact(database, news, "piet@example.org")
    launched = start(database, news, now=LATER, pilot=1)
    assert (launched.is_in_doubt, launched.pilot, launched.plan.asked) == (True, 0, 2)
    assert LOST_LAUNCH_NOTE in launched.plan.notes
    assert {(mail.state, mail.reason, mail.started_at) for mail in Mail.select()} == {
        (MailState.IN_DOUBT, PauseReason.RESTORED, LAUNCHED)
    }
    clock, settings = ManualClock(LATER), make_settings()
    assert send_due.send_due(database, settings=settings, clock=clock).sent == 0
    assert all(one.is_restored for one in progress.list_doubts(news))
    # The next campaign is like any other, and asks nobody whose mail is in doubt.
    assert lost_on(news) is None
    assert LOST_LAUNCH_NOTE not in start(database, other, now=LATER).plan.notes
    lifecycle.cancel_campaign(database, news, now=LATER, actor="anna")
    planned = launch_refusals.plan_launch(news, settings=settings, now=LATER, deadline=DEADLINE)
    assert planned.asked == 0
    assert list(iter_chain_faults()) == []


@pytest.mark.parametrize("resend", [True, False])
def test_a_person_decides_whether_they_were_asked(
    database: Database, journal: Journal, *, resend: bool
) -> None:
    news = make_list(database)
    make_contact(database, news)
    bring_up_to_date(database, noted(journal, "news"))
    start(database, news, now=LATER)
    said: dict[str, Any] = {"now": LATER, "actor": "anna"}
    assert in_doubt.resolve_in_doubt(database, news, resend=resend, **said) == 1
    assert Mail.get().state == (MailState.QUEUED if resend else MailState.FAILED)
    after = DEADLINE + timedelta(hours=1)
    done = sweep.expire_due(
        database, settings=make_settings(), clock=ManualClock(after), despite_downtime=True
    )
    # Nobody is taken off for a silence of which nothing is known.
    assert done.removed == 0


def test_a_launch_that_the_backup_knows_is_not_lost(database: Database, journal: Journal) -> None:
    news = make_list(database)
    make_campaign(database, news, launched_at=LAUNCHED, state="closed")
    # A journal without the mark of the backup counts whole, as on PostgreSQL.
    taken = bring_up_to_date(database, noted(journal, "news"))
    assert (taken.held.launched, lost_on(news)) == ((), None)


def test_without_a_journal_any_list_may_have_been_asked_since(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    assert bring_up_to_date(database, []).held.launched == ("news", "other")
    assert lost_on(news) == lost_on(other) == LATER


def test_a_list_that_the_backup_does_not_know_is_there_again_with_who_has_left_it(
    database: Database, journal: Journal
) -> None:
    key = {"list": "later", "fingerprint": "f" * 64}
    left = {"at": format_timestamp(LAUNCHED), "subject": "s" * 32, "reason": "no"}
    journal.add_lines(
        {"do": "suppress", **key, **left}, {"do": "erase", "list": "gone", **_erased()}
    )
    taken = bring_up_to_date(database, noted(journal, "later", "asked"))
    assert taken.replayed.remade == ("asked", "gone", "later")
    assert taken.replayed.suppressed == 1
    assert taken.held.launched == ("asked", "later")
    later = MailingList.get(MailingList.slug == "later")
    planned = launch_refusals.plan_launch(
        later, settings=make_settings(), now=LATER, deadline=DEADLINE
    )
    # Nobody is asked on it by accident: it has to be described anew.
    assert any("does not say what people will get" in reason for reason in planned.refusals)
    assert lost_on(later) == LAUNCHED
    assert list(iter_chain_faults()) == []
    assert bring_up_to_date(database, [journal.path]).replayed.remade == ()


def _erased() -> dict[str, str]:
    return {"fingerprint": "e" * 64, "subject": "e" * 32}


def test_a_launch_that_was_under_way_is_made_ready_in_doubt_and_stays_paused(
    database: Database, journal: Journal
) -> None:
    news = make_list(database)
    make_contact(database, news, "first@example.org", id=1)
    make_contact(database, news, "second@example.org", id=2)
    start(database, news, max_rows=1)
    assert (BackgroundTask.select().count(), Mail.select().count()) == (1, 1)
    taken = bring_up_to_date(database, noted(journal))
    assert (taken.held.launched, taken.held.paused) == (("news",), ("news",))
    enqueue_asks.finish_launches(database, settings=make_settings(), now=LATER)
    assert [mail.state for mail in Mail.select()] == [MailState.IN_DOUBT] * 2
    campaign = Campaign.get()
    assert (campaign.state, campaign.paused_from) == (CampaignState.PAUSED, CampaignState.SENDING)
    assert lost_on(news) is None


@pytest.mark.parametrize("resend", [True, False])
def test_what_was_being_decided_about_mails_in_doubt_is_for_a_person_to_decide_again(
    database: Database, journal: Journal, resend: bool
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    for _ in range(2):
        doubtful = make_contact(database, news)
        make_mail(database, campaign, doubtful, state=MailState.IN_DOUBT, started_at=NOW)
    in_doubt.resolve_in_doubt(database, news, resend=resend, now=NOW, actor="admin", max_mails=0)
    assert in_doubt.find_resolution(news) is not None
    bring_up_to_date(database, noted(journal))
    # Since the backup they may have been sent again.
    assert in_doubt.find_resolution(news) is None
    in_doubt.finish_resolutions(database)
    assert [mail.state for mail in Mail.select()] == [MailState.IN_DOUBT] * 2


def test_a_link_for_one_use_that_may_have_been_used_opens_nothing_more(
    database: Database, journal: Journal
) -> None:
    contact = make_contact(database, make_list(database))
    opened = opened_for(database, contact, now=LATER)
    unused = asked_for(database, contact, now=LATER)
    bring_up_to_date(database, noted(journal))
    assert data_links.find_access(opened.authority, now=LATER) is None
    assert data_links.open_link(database, uid=unused.uid, now=LATER) is None


def test_who_was_asked_after_the_backup_is_not_asked_twice(desk: Desk, inbox: Inbox) -> None:
    add_list(desk, "news", ("jan", "anna"))
    desk.do("backup", str(desk.folder / "backup.db"))
    desk.clock.advance(timedelta(hours=1))
    launch = ("launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--wait")
    desk.do(*launch)
    assert len(asks_to(inbox, "jan")) == len(asks_to(inbox, "anna")) == 1
    desk.clock.advance(timedelta(hours=1))
    said = desk.do("restore", str(desk.folder / "backup.db"), "--replace")
    assert "launched since, or may have been, on: news." in said
    assert "A campaign was launched on this list" in desk.do("status", "news")
    said = desk.do(*launch)
    assert "Mind: A campaign was launched on this list" in said
    assert "Launched, but none of the 2 mails leaves yet; answers count until" in said
    assert "`repermit resolve news --leave` if they were asked" in said
    desk.do("send")
    desk.do("resolve", "news", "--leave")
    desk.do("send")
    assert len(asks_to(inbox, "jan")) == len(asks_to(inbox, "anna")) == 1
    assert "A campaign was launched on this list" not in desk.do("status", "news")
    with desk.database():
        assert {one.status for one in Contact.select()} == {"unconfirmed"}
    document = desk.run("status", "news", "--json").document
    assert document["mails"]["ask"]["failed"] == 2
    assert json.dumps(document)
    desk.clock.advance(timedelta(days=60))
    desk.do("expire", "news", "--despite-downtime")
    again = desk.refused(*launch[:2], "--deadline", "2026-09-30", *launch[4:])
    assert "nobody to ask" in again
    assert len(asks_to(inbox, "jan")) == len(asks_to(inbox, "anna")) == 1
