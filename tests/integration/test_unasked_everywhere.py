"""Who could not be asked is the same number on page, report, mail, export and command."""

from __future__ import annotations

import csv
import re
from typing import Any

import pytest

from repermit.campaigns import progress
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.emails import mail_types
from repermit.exports import export_rows
from repermit.reports import daily_and_closing_mail, make_report, statistics
from repermit.reports.make_report import ReportKind
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
from tests.support.admin_pages import ENGLISH, admin_client, csrf_token
from tests.support.builders import DEADLINE, NOW, make_contact, make_settings
from tests.support.public_pages import Pages, words_of
from tests.support.report_campaign import DAY, Rich, make_rich, read_document
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

LATER = NOW + 29 * DAY


def make_nasty(database: Database, state: CampaignState) -> Rich:
    """Save a campaign with whoever one count or the other has left out, or counted twice."""
    rich = make_rich(database, state=state)
    Campaign.update(include_thin=True).where(Campaign.id == rich.campaign.id).execute()
    rich.campaign = Campaign.get_by_id(rich.campaign.id)
    # Answered by phone, though no mail of theirs ever arrived.
    say_yes(database, rich.asked(state=MailState.FAILED), rich.campaign.id)
    take_off(database, rich.asked(state=MailState.IN_DOUBT), rich.campaign.id, Reason.NO)
    say_yes(database, rich.asked(bounce=BounceKind.SOFT), rich.campaign.id)
    # No such mailbox: taken off, and so not unasked; of another the bounce changed nothing.
    take_off(database, rich.asked(bounce=BounceKind.HARD), rich.campaign.id, Reason.BOUNCE)
    rich.asked(bounce=BounceKind.SOFT)
    rich.asked(bounce=BounceKind.COMPLAINT)
    for why in Dropped:
        rich.asked(state=MailState.DROPPED, reason=why, sent_at=None)
    rich.asked(sent_at=DEADLINE - DAY)
    # Of a file, not to be asked: never in the campaign.
    make_contact(database, rich.mailing_list, status=Status.REMOVED, reason=Reason.REQUEST)
    # Whose proof is thin keeps it.
    for more in ({"state": MailState.FAILED}, {"bounce": BounceKind.SOFT}, {}):
        make_thin(rich, **more)
    return rich


def make_thin(rich: Rich, **more: Any) -> Contact:
    contact = rich.asked(**more)
    with rich.database.atomic():
        contact.status, contact.basis, contact.basis_at = Status.CONFIRMED, Basis.THIN, NOW
        contact.save()
    return contact


def on_the_button(database: Database, settings: Settings) -> int:
    page = admin_client(Pages(database, settings)).get(
        "/admin/lists/news/handover/", headers=ENGLISH
    )
    (section,) = re.findall('id="file-unasked".*?</section>', page.text, re.DOTALL)
    return int(re.findall(r"Download \((\d+)\)", section)[0])


def in_the_file(database: Database, settings: Settings) -> int:
    """Count the rows of the file that the page gives."""
    client = admin_client(Pages(database, settings))
    fields = {"what": "unasked", "format": "csv", "csrf_token": csrf_token(client)}
    file = client.post("/admin/lists/news/handover/export", data=fields).text
    return len(list(csv.reader(file.splitlines()))) - 1


def on_the_page(database: Database, settings: Settings, path: str) -> int:
    said = words_of(admin_client(Pages(database, settings)).get(path))
    return int(re.findall(r"could not be asked:? (\d+)", said)[0])


@pytest.mark.parametrize(
    "state", [CampaignState.OPEN, CampaignState.CLOSED, CampaignState.CANCELLED]
)
def test_all_say_the_same_number(
    database: Database, settings: Settings, state: CampaignState
) -> None:
    rich = make_nasty(database, state)
    news = rich.mailing_list
    expected = lookup.select_unasked(news).count()
    assert expected > 5
    made = make_report.make_report(
        news, ReportKind.REPORT, settings=settings, now=LATER, language="en"
    )
    people: dict[str, Any] = read_document(made)["people"]
    live = statistics.read_figures(news, zone=settings.zone, now=LATER)
    assert live
    found = {
        "report": sum(people["unasked"].values()),
        "page": on_the_page(database, settings, "/admin/lists/news/"),
        "figures": live.unasked,
        "export": len(list(export_rows.iter_unasked_rows(news))),
        "button": on_the_button(database, settings),
        "file": in_the_file(database, settings),
        "status": progress.read_status(news, settings=settings, now=LATER).unasked,
    }
    if state is CampaignState.OPEN:
        found["lists"] = on_the_page(database, settings, "/admin/")
    if state is CampaignState.CLOSED:
        assert daily_and_closing_mail.enqueue_closing_mails(database, now=LATER) == 1
        mail = mail_types.parse_closing_summary(Mail.get(Mail.kind == "notice").topic)
        assert mail
        found["mail"] = mail.unasked
    assert found == dict.fromkeys(found, expected)
    asked = Mail.select().where(Mail.kind == "ask").count()
    parts = (live.yes, live.no, live.silent, live.waiting, live.unasked, live.otherwise)
    assert sum(parts) == live.asked == people["asked"] == asked


def test_the_reasons_of_report_and_export_are_the_same(
    database: Database, settings: Settings
) -> None:
    news = make_nasty(database, CampaignState.CLOSED).mailing_list
    made = make_report.make_report(
        news, ReportKind.REPORT, settings=settings, now=LATER, language="en"
    )
    people: dict[str, Any] = read_document(made)["people"]
    said = [row["reason"] for row in export_rows.iter_unasked_rows(news)]
    assert {why: n for why, n in people["unasked"].items() if n} == {
        why: said.count(why) for why in said
    }


def test_who_was_taken_off_since_there_is_no_mailbox_is_gone_and_not_unasked(
    database: Database,
) -> None:
    rich = make_rich(database)
    before = statistics.read_figures(rich.mailing_list, zone=make_settings().zone, now=LATER)
    take_off(database, rich.asked(bounce=BounceKind.HARD), rich.campaign.id, Reason.BOUNCE)
    after = statistics.read_figures(rich.mailing_list, zone=make_settings().zone, now=LATER)
    assert before
    assert after
    assert (after.no, after.unasked) == (before.no + 1, before.unasked)
