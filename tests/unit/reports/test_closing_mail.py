"""The mail about a campaign that has closed: owed once, with counts and the checkpoint."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.emails import mail_types
from repermit.emails.mail_types import ClosingSummary
from repermit.evidence import stored_tree
from repermit.reports import daily_and_closing_mail
from repermit.rules.consent import CampaignState
from tests.support.builders import NOW, make_asked, make_campaign, make_list
from tests.support.report_campaign import ASKED, DAY, OTHERWISE, REMOVED, SECRET, YES, make_rich

INSTANT = timedelta(microseconds=1)


def owe(database: Database, now: object = NOW + 28 * DAY) -> int:
    return daily_and_closing_mail.enqueue_closing_mails(database, now=now)  # type: ignore[arg-type]


def told() -> list[ClosingSummary | None]:
    rows = Mail.select().where(Mail.kind == "notice").order_by(Mail.id)
    return [mail_types.parse_closing_summary(mail.topic) for mail in rows]


def test_it_tells_counts_that_add_up_and_the_checkpoint(database: Database) -> None:
    make_rich(database, state=CampaignState.CLOSED)
    point = stored_tree.checkpoint()
    assert owe(database) == 1
    (news,) = told()
    assert news
    assert (news.asked, news.yes, news.no) == (ASKED, YES, REMOVED["no"] + REMOVED["withdrawn"])
    assert news.others == OTHERWISE + sum(
        REMOVED[one] for one in ("bounce", "complaint", "request")
    )
    parts = (news.yes, news.no, news.no_response, news.others, news.unasked)
    assert sum(parts) == news.asked
    assert (news.seq, news.hash, news.root) == (point.seq, point.hash, point.root)
    assert SECRET not in Mail.get(Mail.kind == "notice").topic


def test_it_is_owed_once_however_many_processes_do_it(database: Database) -> None:
    news = make_list(database)
    make_campaign(database, news, state=CampaignState.CLOSED, closed_at=NOW)

    def do(_: int) -> int:
        with database.connection_context():
            return owe(database, NOW)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(do, range(4))) == 1
    assert owe(database, NOW) == 0
    assert len(told()) == 1


@pytest.mark.parametrize("state", CampaignState)
def test_only_what_has_closed_is_told(database: Database, state: CampaignState) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news, state=state, closed_at=NOW)
    make_asked(database, news, campaign)
    assert owe(database, NOW) == (state is CampaignState.CLOSED)


@pytest.mark.parametrize(
    ("late", "owed"), [(-INSTANT, 1), (timedelta(0), 0)], ids=["within a week", "after it"]
)
def test_what_closed_long_ago_is_no_news(database: Database, late: timedelta, owed: int) -> None:
    make_campaign(database, make_list(database), state=CampaignState.CLOSED, closed_at=NOW)
    assert owe(database, NOW + 7 * DAY + late) == owed
    assert Campaign.select().count() == 1
