"""What a person decides about the mails in doubt; they are never sent again by themselves.

May import contacts, evidence and what lies below.
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """Decide on all of a list's mails in doubt; return how many there were.

    With `resend` they are queued again, under the same Message-ID; otherwise they have failed, and
    their contacts count as unasked. `shown` is how many were shown to whoever decides, None if
    none were. Raises Refused where resending would come after the campaign, and if there are not as
    many as were shown; then nothing is changed, unless the campaign ends in the middle.

    In steps, each with its evidence: a restored list has its whole launch in doubt. What a kill has
    left in doubt is decided on by deciding again. What comes into doubt meanwhile stays so.
    """
    resolution = _Resolution(mailing_list, resend=resend, shown=shown, now=now, actor=actor)
    run_steps(database, resolution.step)
    return resolution.decided


@dataclass
class _Resolution:
    """How far a decision is carried out: up to the mail `reached`, with so many `remaining`."""

    mailing_list: MailingList
    resend: bool
    shown: int | None
    now: datetime
    actor: str
    reached: int = 0
    remaining: int | None = None
    decided: int = 0

    def step(self, limit: int) -> bool:
        """Decide on the next mails, in the caller's transaction; False if none are left."""
        campaign = _locked_campaign(self.mailing_list)
        mails = contacts.count_mails(self.mailing_list)
        if self.resend and contacts.total(mails, _is_ask_in_doubt):
            _send_on(campaign)
        if self.remaining is None:
            self.remaining = contacts.total(mails, _is_in_doubt)
            if self.shown not in (None, self.remaining):
                raise Refused("other mails are in doubt than were shown; look again")
        found = self._next(min(limit, self.remaining))
        if not found:
            return False
        decided: int = (
            Mail.update(worker="", **_decision(resend=self.resend, now=self.now))
            .where(Mail.id.in_(literal(found)), _IS_IN_DOUBT)
            .execute()
        )
        self.reached = found[-1]
        self.remaining -= len(found)
        self.decided += decided
        if decided:
            how = {"resend": self.resend, "mails": decided}
            number = campaign.id if campaign else 0
            evidence.append(_entry(self.mailing_list, number, how, self.now, self.actor))
        return self.remaining > 0

    def _next(self, limit: int) -> list[int]:
        mails: Any = Mail.select(Mail.id).where(
            Mail.list == self.mailing_list, _IS_IN_DOUBT, Mail.id > self.reached
        )
        return [number for (number,) in mails.order_by(Mail.id).limit(limit).tuples()]


def _locked_campaign(mailing_list: MailingList) -> Campaign | None:
    latest = latest_campaign(mailing_list)
    if latest is None:
        return None
    locked: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    return locked


def _is_in_doubt(mails: contacts.Mails) -> bool:
    return mails.state is MailState.IN_DOUBT


def _is_ask_in_doubt(mails: contacts.Mails) -> bool:
    return _is_in_doubt(mails) and mails.kind is MailKind.ASK


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
