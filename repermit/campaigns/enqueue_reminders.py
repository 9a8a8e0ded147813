"""Enqueuing reminders: one, for contacts who were asked and have not answered.

Each step is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from repermit.campaigns.audience import find_suppressed
from repermit.campaigns.enqueue_asks import make_mail_columns
from repermit.contacts import human_replies, lookup
from repermit.contacts.last_ask import select_undecided
from repermit.db.connection import Database, lock_rows
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.db.work_steps import MAX_ROWS_PER_STEP, StepSize, run_steps
from repermit.rules.consent import (
    CampaignState,
    MailKind,
    MailState,
)
from repermit.rules.deadlines_and_reminders import (
    REST_BEFORE_REMINDER,
)
from repermit.settings.definitions import Settings

_RUNNING_STATES = (CampaignState.SENDING, CampaignState.OPEN)


def enqueue_reminders(
    database: Database,
    *,
    settings: Settings,
    now: datetime,
    max_rows_per_step: int = MAX_ROWS_PER_STEP,
    should_stop: Callable[[], bool] = bool,
) -> int:
    """Enqueue the due reminders of all campaigns that are sending or open; return how many.

    A contact gets one if its ask was accepted at least a day ago and did not bounce, and it has not
    answered, is not suppressed, and no reply of it waits for a decision. Each step is a separate
    transaction. Several processes may run it at once: nobody gets two reminders in a campaign.
    """
    return sum(
        _remind_campaign(
            database,
            campaign,
            max_rows_per_step,
            settings=settings,
            now=now,
            should_stop=should_stop,
        )
        for campaign in _list_due(now)
        if not should_stop()
    )


def _list_due(now: datetime) -> list[Campaign]:
    query = Campaign.select().where(
        Campaign.state.in_(_RUNNING_STATES),
        Campaign.reminder_at <= now,
        Campaign.deadline > now,
        Campaign.reminded_at.is_null(),
    )
    return list(query.order_by(Campaign.id))


def _remind_campaign(
    database: Database,
    campaign: Campaign,
    max_rows_per_step: int,
    *,
    settings: Settings,
    now: datetime,
    should_stop: Callable[[], bool],
) -> int:
    enqueued, silent = 0, list(_iter_silent(campaign, now))

    def step(limit: int) -> bool:
        nonlocal enqueued
        batch, silent[:limit] = silent[:limit], []
        locked = _lock_campaign(campaign.id, now)
        if locked is None:
            silent.clear()
        else:
            enqueued += _enqueue_step(
                locked, _drop_suppressed(locked, batch, settings.fingerprint_key), now
            )
        return bool(silent)

    if not silent or run_steps(
        database, step, should_stop=should_stop, size=StepSize(max_rows=max_rows_per_step)
    ):
        _mark_reminded(database, campaign, now)
    return enqueued


def _iter_silent(campaign: Campaign, now: datetime) -> Iterator[int]:
    """Yield the ids of the contacts that may be reminded now, suppressed or not.

    In one query: page by page, the database would sort the whole audience for every page.
    """
    rows = select_undecided(campaign).where(
        Mail.state == MailState.SENT,
        Mail.sent_at <= now - REST_BEFORE_REMINDER,
        Mail.bounce == "",
        Contact.id.not_in(_select_reminded(campaign)),
        Contact.id.not_in(human_replies.select_repliers(campaign.list_id)),
    )
    for (contact_id,) in rows.iterator():
        yield contact_id


def _select_reminded(campaign: Campaign) -> Any:
    return Mail.select(Mail.contact).where(
        Mail.campaign == campaign, Mail.kind == MailKind.REMINDER
    )


def _lock_campaign(campaign_id: int, now: datetime) -> Campaign | None:
    """Return the campaign, locked, if nobody paused, extended or ended it meanwhile."""
    campaign: Campaign | None = lock_rows(
        Campaign.select().where(
            Campaign.id == campaign_id,
            Campaign.state.in_(_RUNNING_STATES),
            Campaign.reminder_at <= now,
            Campaign.deadline > now,
        )
    ).first()
    return campaign


def _drop_suppressed(campaign: Campaign, ids: Sequence[int], key: bytes) -> list[int]:
    """Return the contacts that are not suppressed."""
    rows: Any = Contact.select(Contact.address_key, Contact.id).where(Contact.id.in_(ids)).tuples()
    ids_by_key: dict[str, int] = dict(rows)
    suppressed = find_suppressed(campaign.list, list(ids_by_key), fingerprint_key=key)
    return [contact_id for address, contact_id in ids_by_key.items() if address not in suppressed]


def _enqueue_step(campaign: Campaign, ids: Sequence[int], now: datetime) -> int:
    values = make_mail_columns(campaign, MailKind.REMINDER, now)
    silent = Contact.select(*values.values()).where(
        Contact.id.in_(ids),
        Contact.id.not_in(human_replies.select_repliers(campaign.list_id)),
        lookup.make_undecided_condition(campaign),
    )
    # Another process may have enqueued some meanwhile.
    insert = Mail.insert_from(silent, fields=list(values)).on_conflict_ignore().as_rowcount()
    count: int = insert.execute()
    return count


def _mark_reminded(database: Database, campaign: Campaign, now: datetime) -> None:
    """Mark that nobody is left to remind, once the last ask was sent at least a day ago.

    The search for a more recent ask takes long, so it runs before the transaction. No ask was sent
    since then if the campaign is still open, since the same time.
    """
    snapshot = Campaign.get_by_id(campaign.id)
    asks = Mail.select().where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    recent_asks = asks.where(
        Mail.state == MailState.SENT, Mail.sent_at > now - REST_BEFORE_REMINDER
    )
    if snapshot.state != CampaignState.OPEN or recent_asks.exists():
        return
    with database.atomic():
        Campaign.update(reminded_at=now).where(
            Campaign.id == campaign.id,
            Campaign.state == CampaignState.OPEN,
            Campaign.opened_at == snapshot.opened_at,
            Campaign.reminder_at <= now,
        ).execute()
