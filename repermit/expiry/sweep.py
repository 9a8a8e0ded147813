"""Expiry: removing silent contacts after a campaign's deadline, in steps between which answers fit.

Which contacts may be removed is a rule: `expiry` in rules/deadlines_and_reminders.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, cast

from peewee import fn

from repermit.clock import Clock, format_timestamp
from repermit.contacts import last_ask, status_changes
from repermit.contacts.last_ask import (
    EvidenceFields,
    count_verdicts,
    decide_verdicts,
    index_asks,
    list_undecided,
)
from repermit.contacts.lookup import lock_contacts
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import StepSize, run_steps
from repermit.errors import Refused
from repermit.evidence import chain, stored_tree
from repermit.evidence.chain_reader import read_consents
from repermit.evidence.entries import Entry
from repermit.expiry.downtime import forgive_downtime, measure_downtime, must_delay_expiry
from repermit.rules.consent import (
    UNSETTLED,
    CampaignState,
    Dropped,
    MailKind,
    Reason,
    require_campaign,
)
from repermit.rules.deadlines_and_reminders import TIME_TO_DECIDE_REPLIES, Verdict
from repermit.settings.definitions import Settings

_RUNNING = (CampaignState.SENDING, CampaignState.OPEN)


@dataclass(frozen=True, kw_only=True)
class ExpiryResult:
    """The result of a sweep, or of its preview.

    - `removed`: contacts asked in time that did not answer.
    - `unasked`: contacts that could not be asked in time; they stay unconfirmed.
    - `undecided`: contacts who wrote back in time, and wait for a decision on their reply.
    - `waiting`: a sentence for each campaign that waits for the admin.
    """

    removed: int = 0
    unasked: int = 0
    undecided: int = 0
    waiting: tuple[str, ...] = ()

    def to_json(self) -> dict[str, int]:
        """Return the output of `expire --json`."""
        return {"removed": self.removed, "unasked": self.unasked}


@dataclass(frozen=True, kw_only=True)
class _Sweep:
    """The parameters of a sweep.

    - `key`: the fingerprint key.
    - `chunk`: the maximum number of contacts in one step.
    - `should_stop`: once True, it stays True.
    """

    database: Database
    clock: Clock
    key: bytes
    chunk: int
    despite_downtime: bool
    actor: str
    should_stop: Callable[[], bool]


_MAX_CONTACTS_PER_STEP = 400
"""Contacts in one step: within 50 ms, even after quick steps in which nobody expired."""


def expire_due(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    mailing_list: MailingList | None = None,
    chunk: int = _MAX_CONTACTS_PER_STEP,
    despite_downtime: bool = False,
    actor: str = "job",
    should_stop: Callable[[], bool] = bool,
) -> ExpiryResult:
    """Remove contacts that were asked in time and did not answer by the deadline.

    For each campaign that is sending or open and whose deadline has passed, on one list or on all:

    1. Drop the asks that were never sent.
    2. Decide on at most `chunk` contacts at a time, each chunk locked in its own transaction, so
       that answers get in between, and an earlier answer counts.
    3. Close the campaign when nobody is left to decide on. Who wrote back in time stays undecided
       until the admin has decided on the reply, TIME_TO_DECIDE_REPLIES at most.

    - Safe to run twice at once.
    - If the answer pages were down too long, the campaign is skipped and reported in `waiting`.
      `despite_downtime` overrides this, which is recorded as evidence.
    - `should_stop` stops it between two chunks; the next sweep continues.
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
    due = _list_due(clock.now(), mailing_list)
    return _add_up(
        _expire_campaign(sweep, campaign.id)
        for campaign in takewhile(lambda _: not should_stop(), due)
    )


def override_downtime(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Let a list's expiry proceed, at the next sweep, although the answer pages were down too long.

    The downtime so far is recorded as evidence and reset. Raises Refused if no campaign of the list
    waits for this decision, for instance because its deadline has not passed.
    """
    with database.atomic():
        due = [due_campaign.id for due_campaign in _list_due(now, mailing_list)]
        campaign = _lock_due(due[0], now) if due else None
        if campaign is None or not must_delay_expiry(campaign, now):
            raise Refused("there is nothing to decide: nobody waits to be taken off for silence")
        _forgive_downtime(campaign, now, actor)


def _forgive_downtime(campaign: Campaign, now: datetime, actor: str) -> None:
    content = {"downtime": int(forgive_downtime(campaign, now).total_seconds())}
    _append_entry(campaign, now, "expired_despite_downtime", content, actor=actor)


def preview_expiry(
    database: Database,  # noqa: ARG001  the same call as that of expire_due
    *,
    settings: Settings,  # noqa: ARG001
    clock: Clock,
    mailing_list: MailingList | None = None,
    chunk: int = 500,
    despite_downtime: bool = False,
) -> ExpiryResult:
    """Return the result that `expire_due` would have now, without changing anything."""
    now = clock.now()
    return _add_up(
        _preview_campaign(campaign, chunk, now, despite_downtime=despite_downtime)
        for campaign in _list_due(now, mailing_list)
    )


def _preview_campaign(
    campaign: Campaign, chunk: int, now: datetime, *, despite_downtime: bool
) -> ExpiryResult:
    reason = _explain_wait(campaign, now)
    if reason and not despite_downtime:
        return ExpiryResult(waiting=(reason,))
    verdicts = count_verdicts(campaign, now, chunk)
    return _explain_replies(
        campaign,
        ExpiryResult(
            removed=verdicts[Verdict.EXPIRE],
            unasked=verdicts[Verdict.UNASKED],
            undecided=verdicts[Verdict.WAIT],
        ),
    )


def _add_up(results: Iterable[ExpiryResult]) -> ExpiryResult:
    all_results = list(results)
    return ExpiryResult(
        removed=sum(result.removed for result in all_results),
        unasked=sum(result.unasked for result in all_results),
        undecided=sum(result.undecided for result in all_results),
        waiting=tuple(reason for result in all_results for reason in result.waiting),
    )


def _list_due(now: datetime, mailing_list: MailingList | None) -> list[Campaign]:
    query = Campaign.select().where(Campaign.state.in_(_RUNNING), Campaign.deadline <= now)
    if mailing_list is not None:
        query = query.where(Campaign.list == mailing_list)
    return list(query.order_by(Campaign.id))


def _explain_wait(campaign: Campaign, now: datetime) -> str:
    """Return why a campaign waits for the admin, "" if it does not."""
    if not must_delay_expiry(campaign, now):
        return ""
    downtime = measure_downtime(campaign, now)
    return (
        f"{campaign.list.slug}: the answer pages were down for {_format_span(downtime)} in all "
        "since the asking began, so some may have been unable to answer. Nobody is taken off. Give "
        "them more time (`repermit extend`), or decide that silence counts all the same "
        "(`repermit expire --despite-downtime`)"
    )


def _explain_replies(campaign: Campaign, result: ExpiryResult) -> ExpiryResult:
    """Return the result with a sentence about replies that keep the campaign from closing."""
    if not result.undecided:
        return result
    slug = campaign.list.slug
    waiting = (
        f"{slug}: people who wrote back in time, and wait for your decision on their replies: "
        f"{result.undecided:,}. They are not taken off before, for "
        f"{TIME_TO_DECIDE_REPLIES.days} days after the deadline at most (`repermit status {slug}`)"
    )
    return replace(result, waiting=(*result.waiting, waiting))


def _format_span(span: timedelta) -> str:
    days, hours = span.days, span.seconds // 3600
    return f"{days} day{'s' if days > 1 else ''} and {hours} hour{'s' if hours != 1 else ''}"


def _expire_campaign(sweep: _Sweep, campaign_id: int) -> ExpiryResult:
    """Decide on all contacts of one campaign, then close it."""
    campaign, reason = _begin_campaign(sweep, campaign_id)
    if campaign is None:
        return ExpiryResult(waiting=(reason,) if reason else ())
    contact_ids, results, position = list_undecided(campaign), [], 0
    pages = _read_link_pages(campaign)

    def expire_next(limit: int) -> bool:
        nonlocal position
        results.append(
            _expire_step(sweep, campaign_id, contact_ids[position : position + limit], pages)
        )
        position += limit
        return position < len(contact_ids)

    if contact_ids:
        _run_in_steps(sweep, expire_next)
    result = _add_up(results)
    if not result.undecided and not sweep.should_stop():
        _close_campaign(sweep, campaign_id)
    return _explain_replies(campaign, result)


def _begin_campaign(sweep: _Sweep, campaign_id: int) -> tuple[Campaign | None, str]:
    """Drop the asks that were never sent; return the campaign, or None with the reason to wait.

    None with "" if the campaign is no longer due.
    """
    with sweep.database.atomic():
        now = sweep.clock.now()
        campaign = _lock_due(campaign_id, now)
        reason = _explain_wait(campaign, now) if campaign else ""
        if campaign is None or (reason and not sweep.despite_downtime):
            return None, reason
        if reason:
            # From now on any sweep goes on, also if this one is killed.
            _forgive_downtime(campaign, now, sweep.actor)
    _run_in_steps(sweep, lambda limit: _drop_unsent(sweep, campaign_id, limit) > 0)
    return campaign, ""


def _run_in_steps(sweep: _Sweep, step: Callable[[int], bool]) -> None:
    run_steps(
        sweep.database, step, should_stop=sweep.should_stop, size=StepSize(max_rows=sweep.chunk)
    )


def _drop_unsent(sweep: _Sweep, campaign_id: int, limit: int) -> int:
    """Drop some asks that were never sent, if the campaign is still due; return how many."""
    campaign = _lock_due(campaign_id, sweep.clock.now())
    return status_changes.drop_queued(campaign, Dropped.TOO_LATE, max_rows=limit) if campaign else 0


def _expire_step(
    sweep: _Sweep, campaign_id: int, contact_ids: Sequence[int], pages: Mapping[int | None, str]
) -> ExpiryResult:
    """Decide on some contacts in the caller's transaction, if the campaign is still due."""
    now = sweep.clock.now()
    campaign = _lock_due(campaign_id, now)
    if campaign is None:
        return ExpiryResult()
    # Locked before they are read: an answer that came first has changed the status.
    contacts, mailing_list = lock_contacts(contact_ids), campaign.list
    for contact in contacts:
        # Set here, as peewee would query it for each contact.
        contact.list = mailing_list
    mails = last_ask.list_campaign_mails(contact_ids)
    asks = index_asks(campaign, mails)
    verdicts = decide_verdicts(campaign, contacts, asks, now)
    silent = [contact for contact in contacts if verdicts[contact.id] is Verdict.EXPIRE]
    if silent:
        wording_ids = {asks[contact.id].wording_id for contact in silent}
        proofs = {number: _make_proof(campaign, pages.get(number)) for number in wording_ids}
        status_changes.remove_contacts(
            silent,
            reason=Reason.NO_RESPONSE,
            act=Act(at=now, actor=sweep.actor, campaign=campaign.id),
            fingerprint_key=sweep.key,
            evidence_by_id={
                contact.id: EvidenceFields(
                    proofs[asks[contact.id].wording_id],
                    # Nobody expires who was not sent an ask, so the moment is there.
                    {"asked_at": format_timestamp(cast("datetime", asks[contact.id].sent_at))},
                )
                for contact in silent
            },
            mails=[mail for mail in mails if verdicts.get(mail.contact_id) is Verdict.EXPIRE],
        )
    counts = Counter(verdicts.values())
    return ExpiryResult(
        removed=len(silent), unasked=counts[Verdict.UNASKED], undecided=counts[Verdict.WAIT]
    )


def _lock_due(campaign_id: int, now: datetime) -> Campaign | None:
    """Lock and return the campaign if it is still due; None if paused, extended or closed."""
    campaign: Campaign | None = _DUE_CAMPAIGN.first(campaign_id, now)
    return campaign


_DUE_CAMPAIGN = PreparedQuery(
    lambda campaign_id, now: lock_rows(
        Campaign.select().where(
            Campaign.id == campaign_id, Campaign.state.in_(_RUNNING), Campaign.deadline <= now
        )
    ),
    2,
)


def _make_proof(campaign: Campaign, page: str | None) -> dict[str, Any]:
    """Return the evidence that the contacts asked with one wording could have answered.

    GDPR art. 5(2). The ask's own wording is recorded elsewhere. `page`: the digest of the page
    behind its links; None for a campaign of an earlier version.
    """
    proof = {"deadline": format_timestamp(campaign.deadline), "minimum_days": campaign.minimum_days}
    return {**proof, "link_page_wording": page} if page else proof


def _read_link_pages(campaign: Campaign) -> dict[int | None, str]:
    """Return the digests of the pages behind the links, by the id of the ask's wording.

    The key None is for an ask without a wording.
    """
    # Entries without a subject, which the index by subject finds among a million answers.
    entries: Any = Evidence.select(Evidence.seq).where(
        Evidence.subject == "",
        Evidence.campaign == campaign.id,
        Evidence.event.in_(("launched", "extended")),
    )
    consents = read_consents(seq for (seq,) in entries.tuples())
    # By language, the latest ones.
    pages: dict[str, str] = {}
    for seq in sorted(consents):
        pages |= consents[seq].get("page_wordings", {})
    rows: Any = CampaignWording.select(CampaignWording.id, CampaignWording.language).where(
        CampaignWording.campaign == campaign
    )
    languages = dict([*rows.tuples(), (None, campaign.list.language)])
    return {number: pages[language] for number, language in languages.items() if language in pages}


def _close_campaign(sweep: _Sweep, campaign_id: int) -> None:
    """Close a campaign that has decided on everybody, unless an ask is still being sent.

    The outcomes are counted before the lock, since that takes long for many. If an answer was
    recorded meanwhile, the next sweep counts again, so that the counts match the entries before
    that of the closing.
    """
    snapshot = Campaign.get_by_id(campaign_id)
    if _has_unsent_asks(snapshot):
        return
    counted_upto = stored_tree.checkpoint().seq
    outcome_counts = _count_outcomes(snapshot)
    with sweep.database.atomic():
        now = sweep.clock.now()
        campaign = _lock_due(campaign_id, now)
        # The lock waits for entries that are appended but not yet committed.
        chain.lock_head()
        if (
            campaign is None
            or _has_unsent_asks(campaign)
            or _has_entry_since(campaign, counted_upto)
        ):
            return
        if campaign.state == CampaignState.SENDING:
            campaign.state = CampaignState.OPEN
            campaign.opened_at = now
        require_campaign(CampaignState(campaign.state), "close")
        campaign.state = CampaignState.CLOSED
        campaign.closed_at = now
        campaign.save()
        content = {"deadline": format_timestamp(campaign.deadline), "counts": outcome_counts}
        _append_entry(campaign, now, "closed", content, actor=sweep.actor)


def _has_entry_since(campaign: Campaign, seq: int) -> bool:
    """Return whether the evidence has a later entry about a person on the campaign's list."""
    later = Evidence.select().where(
        Evidence.seq > seq, Evidence.list == campaign.list.slug, Evidence.subject != ""
    )
    return bool(later.exists())


def _has_unsent_asks(campaign: Campaign) -> bool:
    """Return whether an ask is still queued or being sent."""
    query = Mail.select().where(
        Mail.campaign == campaign, Mail.kind == MailKind.ASK, Mail.state.in_(UNSETTLED)
    )
    return bool(query.exists())


def _count_outcomes(campaign: Campaign) -> dict[str, int]:
    """Count the asked contacts by status, and removed ones by reason."""
    rows: Any = (
        Contact.select(Contact.status, Contact.reason, fn.COUNT(Contact.id))
        .join(Mail)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(Contact.status, Contact.reason)
        .tuples()
    )
    return {reason or status: count for status, reason, count in rows}


def _append_entry(
    campaign: Campaign, now: datetime, event: str, content: Mapping[str, Any], *, actor: str
) -> None:
    chain.append(
        Entry(
            event=event,
            at=now,
            actor=actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent=content,
        )
    )
