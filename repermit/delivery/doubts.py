"""What a person decides about the mails in doubt; they are never sent again by themselves.

May import contacts, evidence and what lies below.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from peewee import SQL

from repermit import contacts, evidence
from repermit.consent import CampaignState, MailKind, MailState
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.models import Campaign, Mail, latest_campaign, literal, lock_rows, run_steps

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database, MailingList


def resolve(
    database: Database,
    mailing_list: MailingList,
    *,
    resend: bool,
    shown: int | None = None,
    now: datetime,
    actor: str,
) -> int:
    """Decide on all of a list's mails in doubt; return on how many.

    With `resend` they are queued again, under the same Message-ID; otherwise they have failed, and
    their contacts count as unasked. `shown` is how many were shown to whoever decides, None if
    none were. Raises Refused where resending would come after the campaign, and if there are not as
    many as were shown; then nothing is changed, unless the campaign ends in the middle.

    In steps, each with its evidence: a restored list has its whole launch in doubt. What a kill has
    left in doubt is decided on by deciding again. What comes into doubt meanwhile stays so: only
    what was in doubt before the first step is decided on.
    """
    runs = _runs_in_doubt(mailing_list)
    if shown not in (None, sum(last - first + 1 for first, last in runs)):
        raise Refused("other mails are in doubt than were shown; look again")
    resolution = _Resolution(mailing_list, runs, resend=resend, now=now, actor=actor)
    run_steps(database, resolution.step)
    return resolution.decided


def _runs_in_doubt(mailing_list: MailingList) -> list[list[int]]:
    """Return which mails of a list are in doubt, as first and last of each run of numbers.

    A launch is a few runs, and its million mails would fill the memory.
    """
    runs: list[list[int]] = []
    for (number,) in _select_in_doubt(mailing_list.id).order_by(Mail.id).tuples().iterator():
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs


def _select_in_doubt(list_id: int) -> Any:
    return Mail.select(Mail.id).where(Mail.list == list_id, _IS_IN_DOUBT)


@dataclass
class _Resolution:
    """How far a decision on the mails of these runs is carried out: up to the mail `reached`."""

    mailing_list: MailingList
    runs: list[list[int]]
    resend: bool
    now: datetime
    actor: str
    reached: int = 0
    decided: int = 0

    def step(self, limit: int) -> bool:
        """Decide on the next mails, in the caller's transaction; False if none are left."""
        campaign = _locked_campaign(self.mailing_list)
        mails = contacts.count_mails(self.mailing_list)
        if self.resend and contacts.total(mails, _is_ask_in_doubt):
            _send_on(campaign)
        found = self._next(limit)
        if not found:
            return False
        self.reached = found[-1]
        decided: int = (
            Mail.update(worker="", **_decision(resend=self.resend, now=self.now))
            .where(Mail.id.in_(literal(filter(self._is_meant, found))), _IS_IN_DOUBT)
            .execute()
        )
        self.decided += decided
        if decided:
            how = {"resend": self.resend, "mails": decided}
            number = campaign.id if campaign else 0
            evidence.append(_entry(self.mailing_list, number, how, self.now, self.actor))
        return len(found) == limit

    def _next(self, limit: int) -> list[int]:
        if not self.runs:
            return []
        mails = _select_in_doubt(self.mailing_list.id).where(
            Mail.id > self.reached, Mail.id <= self.runs[-1][1]
        )
        return [number for (number,) in mails.order_by(Mail.id).limit(limit).tuples()]

    def _is_meant(self, number: int) -> bool:
        run = bisect_right(self.runs, number, key=itemgetter(0)) - 1
        return run >= 0 and number <= self.runs[run][1]


def _locked_campaign(mailing_list: MailingList) -> Campaign | None:
    latest = latest_campaign(mailing_list)
    if latest is None:
        return None
    locked: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    return locked


def _is_ask_in_doubt(mails: contacts.Mails) -> bool:
    return mails.state is MailState.IN_DOUBT and mails.kind is MailKind.ASK


# Written out, so that SQLite uses the index for just these.
_IS_IN_DOUBT: Any = Mail.state == SQL("'in_doubt'")


def _send_on(campaign: Campaign | None) -> None:
    """Let a campaign that was open send again; refuse if it is over."""
    if campaign is None or not CampaignState(campaign.state).is_live:
        raise Refused(
            "the campaign is over, so nobody may be asked any more; `repermit resolve --leave` "
            "counts the mails in doubt as failed",
            code="over",
        )
    if campaign.state == CampaignState.OPEN:
        _change(campaign, state=CampaignState.SENDING, opened_at=None)
    elif campaign.paused_from == CampaignState.OPEN:
        _change(campaign, paused_from=CampaignState.SENDING, opened_at=None)


def _change(campaign: Campaign, **values: Any) -> None:
    Campaign.update(**values).where(Campaign.id == campaign.id).execute()


def _decision(*, resend: bool, now: datetime) -> dict[str, Any]:
    if resend:
        return {"state": MailState.QUEUED, "reason": "", "due_at": now}
    return {"state": MailState.FAILED, "reason": MailState.IN_DOUBT}


def _entry(
    mailing_list: MailingList, campaign: int, how: dict[str, Any], now: datetime, actor: str
) -> Entry:
    return Entry(
        event="resolved",
        at=now,
        actor=actor,
        list=mailing_list.slug,
        campaign=campaign,
        consent=how,
    )
