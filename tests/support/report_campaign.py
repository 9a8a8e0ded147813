"""A list in the middle of a rich campaign, and what a report says, for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

from repermit.contacts import status_changes
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.reports.make_report import Report, render_article, render_json
from repermit.rules.consent import (
    Basis,
    BounceKind,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
)
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)
from tests.unit.reports.test_outcomes_per_day import say_yes, take_off

SECRET = "somebody.secret"
DAY = timedelta(days=1)

# How many people the campaign below has of each kind: all kinds that there are.
REMOVED: Mapping[str, int] = {
    Reason.NO: 3,
    Reason.NO_RESPONSE: 4,
    Reason.BOUNCE: 1,
    Reason.COMPLAINT: 1,
    Reason.REQUEST: 2,
    Reason.WITHDRAWN: 1,
}
UNASKED: Mapping[str, dict[str, Any]] = {
    "failed": {"state": MailState.FAILED},
    "in_doubt": {"state": MailState.IN_DOUBT, "started_at": NOW},
    "too_late": {"state": MailState.DROPPED, "reason": Dropped.TOO_LATE},
    "came_back": {"bounce": BounceKind.SOFT, "bounced_at": NOW},
}
YES, OTHERWISE, SILENT, WAITING = 5, 2, 6, 2
ASKED = YES + OTHERWISE + SILENT + WAITING + sum(REMOVED.values()) + len(UNASKED)


@dataclass
class Rich:
    """The list and its campaign; `number` counts who has been made."""

    database: Database
    mailing_list: MailingList
    campaign: Campaign
    number: int = 0

    def asked(self, **overrides: Any) -> Contact:
        """Save somebody who was asked, with a name and an address that no paper may hold."""
        self.number += 1
        address = f"{SECRET}{self.number}@private.example"
        contact = make_contact(
            self.database, self.mailing_list, address, name=f"{SECRET} {self.number}"
        )
        make_mail(self.database, self.campaign, contact, **overrides)
        return contact


def make_rich(
    database: Database, *, state: CampaignState = CampaignState.OPEN, **overrides: Any
) -> Rich:
    """Save a list with a campaign that has people of every kind; some changed their mind."""
    news = make_list(database, **overrides)
    ended = NOW + 28 * DAY if state is CampaignState.CLOSED else None
    campaign = make_campaign(database, news, state=state, closed_at=ended, downtime=3900)
    rich = Rich(database, news, campaign)
    _launch(rich)
    for number in range(YES):
        say_yes(database, rich.asked(), campaign.id, at=NOW + number * DAY)
    for _ in range(OTHERWISE):
        _confirm_otherwise(rich)
    for reason, count in REMOVED.items():
        for _ in range(count):
            _remove(rich, Reason(reason))
    silent = [rich.asked() for _ in range(SILENT)]
    make_mail(database, campaign, silent[0], kind=MailKind.REMINDER, message_id="<r@example.org>")
    for _ in range(WAITING):
        rich.asked(state=MailState.QUEUED, sent_at=None)
    for overriding in UNASKED.values():
        rich.asked(**overriding)
    return rich


def _launch(rich: Rich) -> None:
    told = chain.store_wording("What regulators hold.")
    consent = {
        "attest": "Decided by the board.",
        "told": told,
        "pilot": 10,
        "excluded": {"confirmed": 7},
        "left_out": {"opted_out": 1, "invalid": 2},
    }
    with rich.database.atomic():
        chain.append(
            Entry(
                event="launched",
                at=NOW,
                actor="user:1",
                list="news",
                campaign=rich.campaign.id,
                consent=consent,
            )
        )


def _remove(rich: Rich, reason: Reason) -> None:
    contact = rich.asked()
    if reason is Reason.WITHDRAWN:
        say_yes(rich.database, contact, rich.campaign.id)
    take_off(rich.database, contact, rich.campaign.id, reason, at=NOW + 2 * DAY)


def _confirm_otherwise(rich: Rich) -> None:
    contact = rich.asked()
    act = status_changes.Act(at=NOW, actor="user:1")
    key = make_settings().fingerprint_key
    with rich.database.atomic():
        status_changes.confirm_contact(contact, basis=Basis.IMPORTED, act=act, fingerprint_key=key)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a report as a reader sees it; `total` is empty where there is none."""

    titles: list[str]
    rows: list[list[str]]
    total: list[str]


def read_document(report: Report) -> dict[str, Any]:
    """Return what a report tells programs."""
    document: dict[str, Any] = json.loads(render_json(report))
    return document


def read_article(report: Report) -> ET.Element:
    """Return a report as it stands on a page."""
    return ET.fromstring(render_article(report).replace("<br>", "<br/>"))  # noqa: S314  our own page


def read_tables(report: Report) -> list[Table]:
    """Return the tables of a report."""
    return [
        Table(
            titles=_cells(table, "thead/tr/th"),
            rows=[_cells(row, "*") for row in table.iterfind("tbody/tr")],
            total=_cells(table, "tfoot/tr/*"),
        )
        for table in read_article(report).iter("table")
    ]


def _cells(element: ET.Element, path: str) -> list[str]:
    return ["".join(cell.itertext()) for cell in element.iterfind(path)]
