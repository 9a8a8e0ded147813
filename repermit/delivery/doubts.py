"""What a person decides about the mails in doubt; they are never sent again by themselves.

May import evidence and what lies below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peewee import SQL

from repermit import evidence
from repermit.consent import CampaignState, MailKind, MailState
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.models import Campaign, Mail, latest_campaign, lock_rows

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
    many as were shown; then nothing is changed.
    """
    with database.atomic():
        campaign = _locked_campaign(mailing_list)
        asks = _in_doubt(mailing_list).where(Mail.kind == MailKind.ASK).count()
        if resend and asks:
            _send_on(campaign)
        decided: int = (
            Mail.update(worker="", **_decision(resend=resend, now=now))
            .where(Mail.list == mailing_list, _IS_IN_DOUBT)
            .execute()
        )
        if shown not in (None, decided):
            raise Refused("other mails are in doubt than were shown; look again")
        if decided:
            how = {"resend": resend, "mails": decided}
            number = campaign.id if campaign else 0
            evidence.append(_entry(mailing_list, number, how, now, actor))
    return decided


def _locked_campaign(mailing_list: MailingList) -> Campaign | None:
    latest = latest_campaign(mailing_list)
    if latest is None:
        return None
    locked: Campaign = lock_rows(Campaign.select().where(Campaign.id == latest.id)).get()
    return locked


def _in_doubt(mailing_list: MailingList) -> Any:
    return Mail.select().where(Mail.list == mailing_list, _IS_IN_DOUBT)


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
