"""The events for webhooks and the API: answers and removals, read from the evidence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import JOIN

from repermit.clock import format_timestamp
from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.db.work_steps import StepSize
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import ANSWERED_NO, OWN_YES, Status

EVENTS = ("answer.yes", "answer.no", "removed")
"""A person's Yes or sign-up, a person's No, and every other removal."""

GIVEN_BY_PERSON = "self"
"""The default of `given_by`, unless the entry names a representative."""

# The entries of an import of a million are read in short steps.
_WINDOW = 5_000


def read_events(cursor: int, *, limit: int, slug: str = "") -> EventPage:
    """Return at most `limit` events after the entry `cursor`, of one list or of all."""
    head: int = EvidenceHead.get().seq
    upto = max(cursor, min(head, cursor + _WINDOW))
    rows = _read_rows(Evidence.seq > cursor, Evidence.seq <= upto, *_filter_list(slug), limit=limit)
    if len(rows) == limit:
        upto = rows[-1]["seq"]
    return EventPage(
        events=tuple(filter(None, map(_read_event, rows))), next=upto, more=upto < head
    )


def find_event(seq: int) -> Event | None:
    """Return the event of one entry, with the data that is left; None if there is no event."""
    return next(map(_read_event, _read_rows(Evidence.seq == seq, limit=1)), None)


def is_overtaken(event: Event) -> bool:
    """Return whether the same person has a later answer or removal."""
    later_events = (
        Evidence.seq > event.seq,
        Evidence.event.in_(_EVENT_ENTRIES),
        *_filter_list(event.list),
    )
    return bool(Evidence.select().where(Evidence.subject == event.subject, *later_events).exists())


_UNDONE = "sign_up_undone"
_EVENT_ENTRIES = ("confirmed", "removed", _UNDONE)


def _filter_list(slug: str) -> tuple[Any, ...]:
    return (Evidence.list == slug,) if slug else ()


def _read_rows(*conditions: Any, limit: int) -> list[dict[str, Any]]:
    consent, person = EvidencePart.alias(), EvidencePart.alias()
    rows: Any = (
        Evidence.select(
            Evidence, consent.json.alias("consent_json"), person.json.alias("person_json")
        )
        .join(consent, JOIN.LEFT_OUTER, on=_make_part_condition(consent, "consent"))
        .switch(Evidence)
        .join(person, JOIN.LEFT_OUTER, on=_make_part_condition(person, "person"))
        .where(Evidence.event.in_(_EVENT_ENTRIES), *conditions)
        .order_by(Evidence.seq)
        .limit(limit)
    )
    return list(rows.dicts())


def _make_part_condition(part: Any, name: str) -> Any:
    return (part.seq == Evidence.seq) & (part.part == name)


def _read_event(row: dict[str, Any]) -> Event | None:
    """Return the event of an entry; None for a status that comes from an import."""
    consent = json.loads(row["consent_json"] or "{}")
    person = json.loads(row["person_json"] or "{}")
    reason = consent.get("reason", "")
    if row["event"] == _UNDONE and consent.get("status") == Status.REMOVED:
        # Undoing the sign-up restores the removal; the person did nothing now.
        event, status = "removed", Status.REMOVED
    elif row["event"] == "removed":
        event, status = "answer.no" if reason in ANSWERED_NO else "removed", Status.REMOVED
    elif consent.get("basis") in OWN_YES:
        event, status = "answer.yes", Status.CONFIRMED
    else:
        return None
    return Event(
        seq=row["seq"],
        event=event,
        at=row["at"],
        list=row["list"],
        address=person.get("address"),
        status=status,
        reason=reason,
        given_by="" if event == "removed" else consent.get("given_by", GIVEN_BY_PERSON),
        subject=row["subject"],
    )


# --- Enqueueing the deliveries of new events. -----------------------------------------------------


_PAGE_SIZE = 500
"""How many entries are read at a time."""


def enqueue_deliveries(database: Database, *, now: datetime) -> int:
    """Enqueue the deliveries of new events, due at once; return how many there were.

    Several processes may run this at once: the one that moves a webhook's cursor enqueues.
    """
    # A complete list: on SQLite an open read that is outdated prevents writing.
    webhooks = list(Webhook.select().where(_make_active_condition()))
    return sum(_enqueue_for(database, webhook, now) for webhook in webhooks)


def find_list_slug(webhook: Webhook) -> str:
    """Return the list whose events a webhook gets, "" for all."""
    if webhook.list_id is None:
        return ""
    slug: str = MailingList.get_by_id(webhook.list_id).slug
    return slug


def _make_active_condition() -> Any:
    return Webhook.removed_at.is_null()


def _enqueue_for(database: Database, webhook: Webhook, now: datetime) -> int:
    enqueued_count, slug, size, has_more = (
        0,
        find_list_slug(webhook),
        StepSize(max_rows=_PAGE_SIZE),
        True,
    )
    while has_more:
        page = read_events(webhook.cursor, limit=_PAGE_SIZE, slug=slug)
        has_more, events = page.more, list(page.events)
        # Nothing is written if there is nothing new, as this runs every few seconds for years.
        while webhook.cursor != page.next:
            batch, events = events[: size.rows], events[size.rows :]
            upto = batch[-1].seq if events else page.next
            # The duration of a partial step does not predict that of a full one.
            is_full = len(batch) == size.rows
            with size.step(database) if is_full else database.atomic():
                if not _advance_cursor(webhook, batch, upto, now):
                    return enqueued_count
            enqueued_count += len(batch)
    return enqueued_count


def _advance_cursor(webhook: Webhook, batch: Sequence[Event], upto: int, now: datetime) -> bool:
    """Move the cursor and enqueue the deliveries that it passes, in the caller's transaction.

    Returns False if another process was first.
    """
    moved = (
        Webhook.update(cursor=upto)
        .where(Webhook.id == webhook.id, Webhook.cursor == webhook.cursor, _make_active_condition())
        .execute()
    )
    if moved and batch:
        rows = [{"webhook": webhook.id, "seq": event.seq, "due_at": now} for event in batch]
        Delivery.insert_many(rows).execute()
    webhook.cursor = upto
    return bool(moved)


# --- The results of the use cases. ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """An answer or a removal, for other programs.

    - `address`: None after erasure.
    - `status`: the contact's status after the event.
    - `reason`: "" for a Yes, and for a removal whose reason was deleted.
    - `given_by`: "self" or "representative" (of somebody too young or under guardianship, GDPR
      art. 8(1)); "" if it is no answer.
    - `subject`: internal; not sent.
    """

    seq: int
    event: str
    at: datetime
    list: str
    address: str | None
    status: str
    reason: str
    given_by: str
    subject: str

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON object of the Standard Webhooks scheme."""
        return {
            "type": self.event,
            "timestamp": format_timestamp(self.at),
            "data": {
                "list": self.list,
                "address": self.address,
                "status": self.status,
                "reason": self.reason or None,
                "given_by": self.given_by or None,
                "seq": self.seq,
            },
        }


@dataclass(frozen=True, kw_only=True)
class EventPage:
    """A page of events in the order of their entries.

    - `next`: the cursor of the next page.
    - `more`: whether there are entries after `next`, even if they have no event.
    """

    events: tuple[Event, ...]
    next: int
    more: bool


@dataclass(frozen=True, kw_only=True)
class AddedWebhook:
    """A webhook that was added; its secret ("whsec_…") is shown once and never again."""

    id: int
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class WebhookFacts:
    """The facts about a webhook.

    - `list`: the list's slug, "" for all lists.
    - `waiting`: the number of waiting deliveries, up to a thousand.
    - `last`: the delivery that was tried last; None before the first attempt.
    """

    id: int
    url: str
    list: str
    created_by: str
    created_at: datetime
    waiting: int
    last: DeliveryFacts | None


@dataclass(frozen=True, kw_only=True)
class DeliveryFacts:
    """The state of one delivery, without any address.

    - `state`: `waiting`, `delivered` or `failed`.
    - `due_at`: the time of the next attempt; `at`: the time of the last.
    - `reply_code`: the HTTP status, 0 without a reply.
    - `problem`: a sentence about what went wrong, "" for nothing.
    """

    id: int
    seq: int
    state: str
    attempts: int
    due_at: datetime
    at: datetime | None
    reply_code: int
    problem: str


def describe_status(code: int) -> LazyText:
    """Return the problem of an HTTP status, "" for none."""
    if 200 <= code < 300:  # noqa: PLR2004
        return LazyText()
    if 300 <= code < 400:  # noqa: PLR2004
        return LazyText("a redirect, which is not followed")
    return LazyText("it answered %(status)s", status=str(code))
