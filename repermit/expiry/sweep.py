"""The sweep over campaigns whose deadline has passed, in steps that let answers in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from repermit.clock import Clock
from repermit.contacts import last_ask, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database, literal, lock_rows
from repermit.db.models.base import stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import LARGEST_STEP, StepSize, run_steps
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.expiry.decision import (
    Expired,
    asks_of,
    counts,
    foreseen,
    is_sending,
    proofs,
    undecided,
    verdict,
)
from repermit.expiry.downtime import downtime, note
from repermit.rules.consent import (
    CampaignState,
    Dropped,
    Reason,
    Verdict,
    expiry_waits,
    require_campaign,
)
from repermit.settings.definitions import Settings

_RUNNING = (CampaignState.SENDING, CampaignState.OPEN)


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    """What a sweep takes along; `key` is the fingerprint key.

    Once `should_stop` says so it goes on saying so.
    """

    database: Database
    clock: Clock
    key: bytes
    chunk: int
    despite_downtime: bool
    actor: str
    should_stop: Callable[[], bool]


def expire_due(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    mailing_list: MailingList | None = None,
    chunk: int = LARGEST_STEP,
    despite_downtime: bool = False,
    actor: str = "job",
    should_stop: Callable[[], bool] = bool,
) -> Expired:
    """Remove who was asked in time and did not answer, where the deadline has passed.

    For each campaign that is sending or open, on one list or on all:

    1. Drop the asks that never left.
    2. Look at `chunk` contacts at a time at most, each chunk locked in a transaction of its own, so
       that an answer gets in between, and one that came first counts.
    3. Close the campaign when nobody is left to decide.

    Safe to run twice at once. If the answer pages were down too long the campaign is left as it
    is and `waiting` says so, unless `despite_downtime`, which the evidence then tells. Told to stop
    by `should_stop` it does so between two chunks; the next sweep goes on.
    """
    sweep = _Sweep(
        database=database,
        clock=clock,
        key=settings.fingerprint_key,
        chunk=chunk,
        despite_downtime=despite_downtime,
        actor=actor,
        should_stop=should_stop,
    )
    due = _due(clock.now(), mailing_list)
    return _total(_expire(sweep, one.id) for one in takewhile(lambda _: not should_stop(), due))


def count_silence(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Decide that silence counts although the answer pages were down; the next sweep acts on it.

    Only once the deadline has passed; raises Refused if nothing waits for that. What the pages were
    down until then is told by the evidence, and counts no more.
    """
    with database.atomic():
        due = [one.id for one in _due(now, mailing_list)]
        campaign = _lock_due(due[0], now) if due else None
        if campaign is None or not expiry_waits(downtime(campaign, now)):
            raise Refused("there is nothing to decide: nobody waits to be taken off for silence")
        facts = {"downtime": int(downtime(campaign, now).total_seconds())}
        campaign.downtime = 0
        campaign.save()
        note(now)
        _append(campaign, now, "expired_despite_downtime", facts, actor=actor)


def would_expire(
    database: Database,  # noqa: ARG001  the same call as that of expire_due
    *,
    settings: Settings,  # noqa: ARG001
    clock: Clock,
    mailing_list: MailingList | None = None,
    chunk: int = 500,
    despite_downtime: bool = False,
) -> Expired:
    """Return what `expire_due` would return now, and change nothing."""
    now = clock.now()
    return _total(
        _foresee(campaign, chunk, now, despite_downtime=despite_downtime)
        for campaign in _due(now, mailing_list)
    )


def _foresee(campaign: Campaign, chunk: int, now: datetime, *, despite_downtime: bool) -> Expired:
    reason = _why_it_waits(campaign, now)
    if reason and not despite_downtime:
        return Expired(waiting=(reason,))
    verdicts = list(foreseen(campaign, chunk, now))
    return Expired(removed=verdicts.count(Verdict.EXPIRE), unasked=verdicts.count(Verdict.UNASKED))


def _total(parts: Iterable[Expired]) -> Expired:
    each = list(parts)
    return Expired(
        removed=sum(one.removed for one in each),
        unasked=sum(one.unasked for one in each),
        waiting=tuple(reason for one in each for reason in one.waiting),
    )


def _due(now: datetime, mailing_list: MailingList | None) -> list[Campaign]:
    query = Campaign.select().where(Campaign.state.in_(_RUNNING), Campaign.deadline <= now)
    if mailing_list is not None:
        query = query.where(Campaign.list == mailing_list)
    return list(query.order_by(Campaign.id))


def _why_it_waits(campaign: Campaign, now: datetime) -> str:
    """Return why a campaign waits for the admin, or ""."""
    down = downtime(campaign, now)
    if not expiry_waits(down):
        return ""
    return (
        f"{campaign.list.slug}: the answer pages were down for {_in_words(down)} in all since the "
        "asking began, so some may have been unable to answer. Nobody is taken off. Give them more "
        "time (`repermit extend`), or decide that silence counts all the same "
        "(`repermit expire --despite-downtime`)"
    )


def _in_words(span: timedelta) -> str:
    days, hours = span.days, span.seconds // 3600
    return f"{days} day{'s' if days > 1 else ''} and {hours} hour{'s' if hours != 1 else ''}"


def _expire(sweep: _Sweep, campaign_id: int) -> Expired:
    """Decide on all of one campaign's contacts, then close it."""
    campaign, reason = _begin(sweep, campaign_id)
    if campaign is None:
        return Expired(waiting=(reason,) if reason else ())
    ids, swept, reached = undecided(campaign), [], 0

    def take(limit: int) -> bool:
        nonlocal reached
        swept.append(_take_step(sweep, campaign_id, ids[reached : reached + limit]))
        reached += limit
        return reached < len(ids)

    if ids:
        _in_steps(sweep, take)
    if not sweep.should_stop():
        _close(sweep, campaign_id)
    return _total(swept)


def _begin(sweep: _Sweep, campaign_id: int) -> tuple[Campaign | None, str]:
    """Drop what can no longer be asked in time, and return the campaign.

    It is None if the campaign must wait, and why, or if it is due no longer.
    """
    with sweep.database.atomic():
        now = sweep.clock.now()
        campaign = _lock_due(campaign_id, now)
        reason = _why_it_waits(campaign, now) if campaign else ""
        if campaign is None or (reason and not sweep.despite_downtime):
            return None, reason
        if reason:
            facts = {"downtime": int(downtime(campaign, now).total_seconds())}
            _append(campaign, now, "expired_despite_downtime", facts, actor=sweep.actor)
    _in_steps(sweep, lambda limit: _drop_step(sweep, campaign_id, limit) > 0)
    return campaign, ""


def _in_steps(sweep: _Sweep, step: Callable[[int], bool]) -> None:
    run_steps(sweep.database, step, should_stop=sweep.should_stop, size=StepSize(most=sweep.chunk))


def _drop_step(sweep: _Sweep, campaign_id: int, limit: int) -> int:
    """Drop some asks that never left, unless somebody has intervened; return how many."""
    campaign = _lock_due(campaign_id, sweep.clock.now())
    return status_changes.drop_queued(campaign, Dropped.TOO_LATE, most=limit) if campaign else 0


def _take_step(sweep: _Sweep, campaign_id: int, ids: Sequence[int]) -> Expired:
    """Decide on some contacts, in the caller's transaction, unless somebody has intervened."""
    now = sweep.clock.now()
    campaign = _lock_due(campaign_id, now)
    return _decide(sweep, campaign, ids, now) if campaign else Expired()


def _lock_due(campaign_id: int, now: datetime) -> Campaign | None:
    """Return the campaign, locked, if nobody paused, extended or closed it meanwhile."""
    found: Campaign | None = lock_rows(
        Campaign.select().where(
            Campaign.id == campaign_id, Campaign.state.in_(_RUNNING), Campaign.deadline <= now
        )
    ).first()
    return found


def _decide(sweep: _Sweep, campaign: Campaign, ids: Sequence[int], now: datetime) -> Expired:
    # Locked first and looked at afterwards: an answer that was quicker has changed the status.
    found = Contact.select().where(Contact.id.in_(literal(ids))).order_by(Contact.id)
    locked = list(lock_rows(found))
    for one in locked:
        # Known already: it would be read anew.
        one.list = campaign.list
    mails = last_ask.campaign_mails(ids)
    asks = asks_of(campaign, mails)
    verdicts = {one.id: verdict(one, asks[one.id], campaign, now) for one in locked}
    silent = [one for one in locked if verdicts[one.id] is Verdict.EXPIRE]
    if silent:
        status_changes.remove(
            silent,
            reason=Reason.NO_RESPONSE,
            act=Act(at=now, actor=sweep.actor, campaign=campaign.id),
            fingerprint_key=sweep.key,
            facts=proofs(campaign, silent, asks),
            mails=[mail for mail in mails if verdicts.get(mail.contact_id) is Verdict.EXPIRE],
        )
    unasked = list(verdicts.values()).count(Verdict.UNASKED)
    return Expired(removed=len(silent), unasked=unasked)


def _close(sweep: _Sweep, campaign_id: int) -> None:
    """Close a campaign of which nobody is left to decide; a mail on its way is waited for.

    What became of the asked is counted before it is locked, which takes long for many.
    """
    before = Campaign.get_by_id(campaign_id)
    if is_sending(before):
        return
    came_to = counts(before)
    with sweep.database.atomic():
        now = sweep.clock.now()
        campaign = _lock_due(campaign_id, now)
        if campaign is None or is_sending(campaign):
            return
        if campaign.state == CampaignState.SENDING:
            campaign.state = CampaignState.OPEN
            campaign.opened_at = now
        require_campaign(CampaignState(campaign.state), "close")
        campaign.state = CampaignState.CLOSED
        campaign.closed_at = now
        campaign.save()
        facts = {"deadline": stored(campaign.deadline), "counts": came_to}
        _append(campaign, now, "closed", facts, actor=sweep.actor)


def _append(
    campaign: Campaign, now: datetime, event: str, facts: Mapping[str, Any], *, actor: str
) -> None:
    chain.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent=facts,
        )
    )
