"""Making the asks of a campaign that is launched, a step at a time beside everything else.

May import evidence, consent, contacts, models and what lies below. A million asks in one
transaction would hold up everybody's answers for as long as it takes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peewee import Value, fn

from repermit import contacts, evidence
from repermit.campaigns.audience import has_suppressions, may_be_asked, suppressed_of
from repermit.consent import CampaignState, Exclusion, MailKind, MailState, PauseReason
from repermit.contacts.braking import AFTER_PILOT
from repermit.evidence import Entry
from repermit.models import (
    Campaign,
    Contact,
    Launching,
    Mail,
    MailingList,
    lock_rows,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from repermit.config import Settings
    from repermit.models import Database

# Numbers of contacts that a step looks at; its transaction takes some tens of milliseconds.
_STEP = 5000


def begin(campaign: Campaign, facts: Mapping[str, Any], *, actor: str) -> None:
    """Note that a campaign's asks are to be made; in the transaction that launches it.

    Its audience is frozen by that: nobody who comes later is asked.
    """
    oldest, newest = _span(campaign.list)
    Launching.create(
        campaign=campaign,
        actor=actor,
        facts=json.dumps(facts, ensure_ascii=False),
        reached=oldest - 1,
        newest=newest,
    )


def make_asks(
    database: Database, campaign_id: int, *, settings: Settings, now: datetime, most: int | None
) -> bool:
    """Make the asks of a campaign, looking at about `most` contacts if given; False if some remain.

    Each step is one transaction. The last one appends the entry of the launch and lets the
    campaign begin, so that either everybody has their ask or nothing has been launched. Who was
    taken off or answered since, or is suppressed, gets none.
    """
    seen = 0
    while most is None or seen < most:
        with database.atomic():
            if not _step(campaign_id, settings.fingerprint_key, now):
                return True
        seen += _STEP
    return False


def finish_launches(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Go on with the launches that are under way, also after a kill; return how many there were."""
    under_way = [row.campaign_id for row in Launching.select()]
    for number in under_way:
        while not should_stop() and not make_asks(
            database, number, settings=settings, now=now, most=_STEP
        ):
            pass
    return len(under_way)


@dataclass(frozen=True, kw_only=True)
class Making:
    """How many asks of a campaign have been made, of how many that were to be."""

    made: int
    asked: int


def making_of(campaign: Campaign) -> Making | None:
    """Return how far a campaign's asks have been made, None if all are."""
    row = _row(campaign)
    return None if row is None else Making(made=row.owed, asked=json.loads(row.facts)["asked"])


def _row(campaign: Campaign) -> Launching | None:
    found: Launching | None = Launching.get_or_none(Launching.campaign == campaign)
    return found


def _span(mailing_list: MailingList) -> tuple[int, int]:
    """Return the lowest and the highest number of a list's contacts; (1, 0) if it has none.

    An index finds both among those of each status and reason.
    """
    ends: list[int] = []
    for status, reason in {one[:2] for one in contacts.count_people(mailing_list)}:
        own = (Contact.list == mailing_list, Contact.status == status, Contact.reason == reason)
        ends += (
            int(Contact.select(end(Contact.id)).where(*own).scalar() or 0)
            for end in (fn.MIN, fn.MAX)
        )
    return (min(ends), max(ends)) if ends else (1, 0)


def _step(campaign_id: int, key: bytes, now: datetime) -> bool:
    """Make the next asks, in the caller's transaction; False if none are left to be made."""
    # Its campaign is locked first, as by every other act.
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == campaign_id)).get()
    row = _row(campaign)
    if row is None:
        return False
    upto = min(row.reached + _STEP, row.newest)
    lacking = _suppressed(campaign, row.reached, upto, key)
    row.owed += _owe(campaign, row.reached, upto, lacking)
    row.suppressed += len(lacking)
    row.reached = upto
    row.save()
    if upto < row.newest:
        return True
    _end(campaign, row, now)
    return False


def _askable(campaign: Campaign, after: int, upto: int) -> Any:
    return Contact.id.between(after + 1, upto) & may_be_asked(campaign.list, campaign.include_thin)


def _suppressed(campaign: Campaign, after: int, upto: int, key: bytes) -> list[str]:
    """Return the folded addresses of who may be asked but for their suppression."""
    if not has_suppressions(campaign.list):
        return []
    rows: Any = Contact.select(Contact.address_key).where(_askable(campaign, after, upto))
    keys = [address_key for (address_key,) in rows.tuples()]
    return sorted(suppressed_of(campaign.list, keys, fingerprint_key=key))


def _owe(campaign: Campaign, after: int, upto: int, lacking: list[str]) -> int:
    """Owe an ask to each from the campaign's start; return how many.

    Where there is a pilot the others' asks are owed too, but not due. Where a restored database
    does not know whom a campaign has asked meanwhile, all are in doubt.
    """
    lost_at = campaign.list.lost_launch_at
    values: dict[Any, Any] = {
        Mail.list: Contact.list,
        Mail.campaign: Value(campaign.id),
        Mail.contact: Contact.id,
        Mail.kind: Value(MailKind.ASK),
        Mail.state: Value(MailState.IN_DOUBT if lost_at else MailState.QUEUED),
        Mail.reason: Value(PauseReason.RESTORED if lost_at else ""),
        Mail.due_at: Value(stored(AFTER_PILOT if campaign.pilot else campaign.starts_at)),
        Mail.attempts: Value(0),
        Mail.worker: Value(""),
        Mail.reply_code: Value(0),
        Mail.reply_status: Value(""),
        Mail.message_id: Value(""),
        Mail.bounce: Value(""),
        Mail.bounce_status: Value(""),
        Mail.topic: Value(""),
        Mail.started_at: Value(stored(lost_at) if lost_at else None),
    }
    asked = Contact.select(*values.values()).where(_askable(campaign, after, upto))
    if lacking:
        asked = asked.where(Contact.address_key.not_in(lacking))
    insert = Mail.insert_from(asked.order_by(Contact.id), fields=list(values))
    return int(insert.as_rowcount().execute())


def _end(campaign: Campaign, row: Launching, now: datetime) -> None:
    """Let a campaign begin whose asks have all been made, and append its entry."""
    if campaign.pilot:
        _let_the_pilot_go(campaign)
    if campaign.starts_at <= now:
        _let_it_go(campaign)
    MailingList.update(lost_launch_at=None).where(MailingList.id == campaign.list_id).execute()
    row.delete_instance()
    facts = json.loads(row.facts)
    facts["asked"] = row.owed
    facts["excluded"][Exclusion.SUPPRESSED] = row.suppressed
    evidence.append(
        Entry(
            event="launched",
            at=campaign.launched_at,
            actor=row.actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent=facts,
        )
    )


def _let_it_go(campaign: Campaign) -> None:
    """Let it send, or do so once it goes on, where it was restored halfway and stands."""
    if campaign.state == CampaignState.PAUSED:
        campaign.paused_from = CampaignState.SENDING
    else:
        campaign.state = CampaignState.SENDING
    campaign.save()


def _let_the_pilot_go(campaign: Campaign) -> None:
    """Make the first asks due; an import has put the contacts in a random order already."""
    first = (
        Mail.select(Mail.id)
        .where(Mail.campaign == campaign)
        .order_by(Mail.id)
        .limit(campaign.pilot)
    )
    Mail.update(due_at=campaign.starts_at).where(Mail.id.in_(first)).execute()
