"""Enqueueing the asks of a campaign at its launch, in steps.

A million asks in one transaction would block all answers for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from peewee import SQL, Value, fn

from repermit.campaigns.audience import find_suppressed, make_askable_condition_between
from repermit.clock import format_timestamp
from repermit.contacts import counts
from repermit.contacts.circuit_breaker import AFTER_PILOT
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    background_lock,
    find_task,
    list_targets,
    run_each,
    run_task,
    start_task,
)
from repermit.db.connection import Database, lock_rows, read_snapshot
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.evidence import chain
from repermit.evidence.asked_subjects import digest_subjects, read_asked_subjects
from repermit.evidence.entries import Entry
from repermit.rules.consent import (
    CampaignState,
    Exclusion,
    MailKind,
    MailState,
    PauseReason,
    Status,
)
from repermit.settings.definitions import Settings


@dataclass
class _Progress:
    """The progress of a launch, stored as JSON.

    - `newest`: the highest id of a contact in the audience.
    - `reached`: the id up to which contacts were handled.
    - `owed`: how many asks were enqueued.
    - `suppressed`: how many contacts were left out only because they are suppressed.
    - `facts`: the content of the launch's evidence entry.
    """

    facts: dict[str, Any]
    reached: int
    newest: int
    owed: int = 0
    suppressed: int = 0

    @property
    def is_complete(self) -> bool:
        """Return whether all asks are enqueued."""
        return self.reached >= self.newest


def start_launch_task(
    campaign: Campaign, audience: tuple[int, int], facts: Mapping[str, Any], *, actor: str
) -> None:
    """Store the task that enqueues a campaign's asks, in the transaction of its launch.

    `audience`: the range of contact ids from `find_audience_range`. Contacts added later are not
    asked.
    """
    oldest, newest = audience
    start_task(
        TaskKind.LAUNCH,
        campaign.id,
        mailing_list=campaign.list,
        actor=actor,
        at=campaign.launched_at,
        state=asdict(_Progress(facts=dict(facts), reached=oldest - 1, newest=newest)),
    )


def enqueue_asks(
    database: Database,
    campaign_id: int,
    *,
    settings: Settings,
    now: datetime,
    max_rows: int | None = None,
    max_rows_per_step: int = MAX_ROWS_PER_STEP,
    should_stop: Callable[[], bool] = bool,
) -> bool:
    """Enqueue the asks of a campaign in steps; return False if some remain.

    - `max_rows`: stop after about so many contacts, if given.
    - `max_rows_per_step`: the most contacts in one transaction.
    - The last step appends the evidence of the launch and starts the campaign, so that it starts
      only with all its asks. The digest of the audience is computed before, without a lock.
    - Contacts that were removed, have answered or are suppressed get no ask.
    """
    digest = _AudienceDigest(database, campaign_id)
    digest.compute()
    return run_task(
        database,
        TaskKind.LAUNCH,
        campaign_id,
        partial(_enqueue_next_asks, digest=digest, key=settings.fingerprint_key, now=now),
        should_stop=should_stop,
        between=digest.compute,
        max_rows=max_rows,
        max_rows_per_step=max_rows_per_step,
    )


def finish_launches(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    max_rows_per_step: int = MAX_ROWS_PER_STEP,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Continue unfinished launches, for instance after a kill; return how many there were.

    It stops while an admin's own launch is running.
    """
    campaign_ids = list_targets(TaskKind.LAUNCH)
    with background_lock(database, TaskKind.LAUNCH, should_stop) as must_stop:
        enqueue = partial(
            enqueue_asks,
            database,
            settings=settings,
            now=now,
            max_rows_per_step=max_rows_per_step,
            should_stop=must_stop,
        )
        run_each(enqueue, campaign_ids)
    return len(campaign_ids)


@dataclass(frozen=True, kw_only=True)
class EnqueueProgress:
    """How many asks of a campaign are enqueued, and how many were planned."""

    made: int
    asked: int


def read_enqueue_progress(campaign: Campaign) -> EnqueueProgress | None:
    """Return how far a campaign's asks are enqueued; None if all are."""
    task = find_task(TaskKind.LAUNCH, campaign.id)
    if task is None:
        return None
    progress = _Progress(**task.state)
    return EnqueueProgress(made=progress.owed, asked=progress.facts["asked"])


def find_audience_range(mailing_list: MailingList) -> tuple[int, int]:
    """Return the lowest and the highest id of a list's contacts; (1, 0) if it has none.

    Queried by status and reason, for which there is an index.
    """
    bounds: list[int] = []
    for status, reason in {people[:2] for people in counts.count_contact_groups(mailing_list)}:
        conditions = (
            Contact.list == mailing_list,
            Contact.status == status,
            Contact.reason == reason,
        )
        bounds += (
            int(Contact.select(aggregate(Contact.id)).where(*conditions).scalar() or 0)
            for aggregate in (fn.MIN, fn.MAX)
        )
    return (min(bounds), max(bounds)) if bounds else (1, 0)


class _AudienceDigest:
    """The digest of a launch's audience, for its last step.

    `value` is "" until all asks are enqueued; from then on the audience does not change.
    """

    def __init__(self, database: Database, campaign_id: int) -> None:
        self._database, self._campaign_id = database, campaign_id
        self.value = ""

    def compute(self) -> None:
        """Compute the digest once all asks are enqueued; must be called outside a transaction."""
        task = None if self.value else find_task(TaskKind.LAUNCH, self._campaign_id)
        if task is not None and _Progress(**task.state).is_complete:
            with read_snapshot(self._database):
                self.value = digest_subjects(read_asked_subjects(self._campaign_id))


def _enqueue_next_asks(
    task: BackgroundTask, limit: int, *, digest: _AudienceDigest, key: bytes, now: datetime
) -> bool:
    """Enqueue the next asks in the caller's transaction; return False once the launch is done."""
    campaign: Campaign = lock_rows(Campaign.select().where(Campaign.id == task.target)).get()
    progress = _Progress(**task.state)
    newest = progress.newest
    if progress.is_complete:
        if digest.value:
            progress.facts["audience"] = digest.value
            _finish_launch(campaign, progress, now, actor=task.actor)
        return not digest.value
    after = (_find_next(campaign, progress.reached, 1) or newest) - 1
    # Many contacts of other lists may have ids in between.
    upto = min(_find_next(campaign, after, limit) or newest, after + MAX_ROWS_PER_STEP, newest)
    suppressed = _find_suppressed(campaign, after, upto, key)
    enqueued = _enqueue_step(campaign, after, upto, suppressed)
    if progress.owed < campaign.pilot:
        _release_pilot(campaign, after, campaign.pilot - progress.owed)
    progress.owed += enqueued
    progress.suppressed += len(suppressed)
    progress.reached = upto
    task.state = asdict(progress)
    return True


def _find_next(campaign: Campaign, after: int, nth: int) -> int | None:
    """Return the lowest id of the nth contacts after an id, one for each status that is asked.

    None if no status has so many. Queried by status, since the index is sorted by id within it.
    """
    statuses = [Status.UNCONFIRMED, *([Status.CONFIRMED] if campaign.include_thin else [])]
    ids = [
        Contact.select(Contact.id)
        .where(
            Contact.list == campaign.list_id,
            Contact.status == status,
            Contact.reason == "",
            Contact.id > after,
        )
        .order_by(Contact.id)
        .offset(nth - 1)
        .limit(1)
        .scalar()
        for status in statuses
    ]
    return min((contact_id for contact_id in ids if contact_id is not None), default=None)


def _make_step_condition(campaign: Campaign, after: int, upto: int) -> Any:
    return make_askable_condition_between(campaign.list, campaign.include_thin, (after + 1, upto))


def _find_suppressed(campaign: Campaign, after: int, upto: int, key: bytes) -> list[str]:
    """Return the folded addresses that are not asked only because they are suppressed."""
    if not counts.has_suppressions(campaign.list_id):
        return []
    rows: Any = Contact.select(Contact.address_key).where(
        _make_step_condition(campaign, after, upto)
    )
    keys = [address_key for (address_key,) in rows.tuples()]
    return sorted(find_suppressed(campaign.list, keys, fingerprint_key=key))


def _enqueue_step(campaign: Campaign, after: int, upto: int, suppressed: list[str]) -> int:
    """Enqueue an ask for each contact, due at the campaign's start; return how many.

    - With a pilot the asks are enqueued too, but are not due until it is over.
    - If a restored database does not know which contacts were asked meanwhile, all are in doubt.
    """
    lost_at = campaign.list.lost_launch_at
    due_at = AFTER_PILOT if campaign.pilot else campaign.starts_at
    values = make_mail_columns(campaign, MailKind.ASK, due_at)
    if lost_at:
        values |= {
            Mail.state: Value(MailState.IN_DOUBT),
            Mail.reason: Value(PauseReason.RESTORED),
            Mail.started_at: Value(format_timestamp(lost_at)),
        }
    askable = Contact.select(*values.values()).where(_make_step_condition(campaign, after, upto))
    if suppressed:
        askable = askable.where(Contact.address_key.not_in(suppressed))
    insert = Mail.insert_from(askable.order_by(Contact.id), fields=list(values))
    return int(insert.as_rowcount().execute())


def make_mail_columns(campaign: Campaign, kind: MailKind, due_at: datetime) -> dict[Any, Any]:
    """Return the columns of a campaign's mails, for an INSERT from a SELECT of contacts."""
    # Such an INSERT does not fill in defaults.
    defaults = Mail._meta.defaults  # noqa: SLF001  peewee's own way
    return {
        **{field: Value(default) for field, default in defaults.items()},
        Mail.list: Contact.list,
        Mail.campaign: Value(campaign.id),
        Mail.contact: Contact.id,
        Mail.kind: Value(kind),
        Mail.due_at: Value(format_timestamp(due_at)),
        Mail.message_id: Value(""),
    }


def _finish_launch(campaign: Campaign, progress: _Progress, now: datetime, *, actor: str) -> None:
    """Start a campaign whose asks are all enqueued, and append the evidence of its launch."""
    if campaign.starts_at <= now:
        _start_sending(campaign)
    MailingList.update(lost_launch_at=None).where(MailingList.id == campaign.list_id).execute()
    facts = progress.facts
    facts["asked"] = progress.owed
    facts["excluded"][Exclusion.SUPPRESSED] = progress.suppressed
    chain.append(
        Entry(
            event="launched",
            at=campaign.launched_at,
            actor=actor,
            list=campaign.list.slug,
            campaign=campaign.id,
            consent=facts,
        )
    )


def _start_sending(campaign: Campaign) -> None:
    """Set a campaign to sending, or, if a restore has paused it, to send once it is resumed."""
    if campaign.state == CampaignState.PAUSED:
        campaign.paused_from = CampaignState.SENDING
    else:
        campaign.state = CampaignState.SENDING
    campaign.save()


def _release_pilot(campaign: Campaign, after: int, max_asks: int) -> None:
    """Make the first asks of a step due, at most `max_asks`, for contacts after an id.

    The contacts are in random order already, by their import.
    """
    pilot_asks = (
        Mail.select(Mail.id)
        # Written as SQL, so that the partial index for these mails is used.
        .where(Mail.campaign == campaign, SQL("kind IN ('ask', 'reminder')"), Mail.contact > after)
        .order_by(Mail.contact)
        .limit(max_asks)
    )
    Mail.update(due_at=campaign.starts_at).where(Mail.id.in_(pilot_asks)).execute()
