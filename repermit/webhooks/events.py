"""The events that webhooks and the API tell: answers and removals, read from the evidence."""

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
"""Who gave an answer, unless the entry names a representative."""

# An import of a million is gone through in steps, each of which is short.
_WINDOW = 5_000


def read_events(cursor: int, *, limit: int, slug: str = "") -> EventPage:
    """Return the events after the entry `cursor`, of one list or of all; `limit` at most."""
    head: int = EvidenceHead.get().seq
    upto = max(cursor, min(head, cursor + _WINDOW))
    rows = _read_rows(Evidence.seq > cursor, Evidence.seq <= upto, *_filter_list(slug), limit=limit)
    if len(rows) == limit:
        upto = rows[-1]["seq"]
    return EventPage(
        events=tuple(filter(None, map(_read_event, rows))), next=upto, more=upto < head
    )


def find_event(seq: int) -> Event | None:
    """Return the event of one entry as it can be told now, None if there is none any more."""
    return next(map(_read_event, _read_rows(Evidence.seq == seq, limit=1)), None)


def is_overtaken(event: Event) -> bool:
    """Say whether the same person has answered or been removed again since."""
    later = (
        Evidence.seq > event.seq,
        Evidence.event.in_(_EVENT_ENTRIES),
        *_filter_list(event.list),
    )
    return bool(Evidence.select().where(Evidence.subject == event.subject, *later).exists())


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
        .join(consent, JOIN.LEFT_OUTER, on=_is_part(consent, "consent"))
        .switch(Evidence)
        .join(person, JOIN.LEFT_OUTER, on=_is_part(person, "person"))
        .where(Evidence.event.in_(_EVENT_ENTRIES), *conditions)
        .order_by(Evidence.seq)
        .limit(limit)
    )
    return list(rows.dicts())


def _is_part(part: Any, name: str) -> Any:
    return (part.seq == Evidence.seq) & (part.part == name)


def _read_event(row: dict[str, Any]) -> Event | None:
    """Return the event of an entry; None for a status that an import brought along."""
    consent = json.loads(row["consent_json"] or "{}")
    person = json.loads(row["person_json"] or "{}")
    reason = consent.get("reason", "")
    if row["event"] == _UNDONE and consent.get("status") == Status.REMOVED:
        # As they were before, by nothing that they did now.
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


# --- Making the deliveries of new events. ---------------------------------------------------------


_PAGE = 500
"""Entries that are read at a time."""


def enqueue_deliveries(database: Database, *, now: datetime) -> int:
    """Make the deliveries of new events, due at once; return how many there were.

    Safe to run in several processes at once: whoever moves a webhook's cursor makes its deliveries.
    """
    # Read to its end: on SQLite nothing can be written within a read that is behind.
    webhooks = list(Webhook.select().where(_is_active()))
    return sum(_enqueue_for(database, webhook, now) for webhook in webhooks)


def find_list_slug(webhook: Webhook) -> str:
    """Return the list whose events a webhook gets, "" for all."""
    if webhook.list_id is None:
        return ""
    slug: str = MailingList.get_by_id(webhook.list_id).slug
    return slug


def _is_active() -> Any:
    return Webhook.removed_at.is_null()


def _enqueue_for(database: Database, webhook: Webhook, now: datetime) -> int:
    made, slug, size, more = 0, find_list_slug(webhook), StepSize(max_rows=_PAGE), True
    while more:
        page = read_events(webhook.cursor, limit=_PAGE, slug=slug)
        more, events = page.more, list(page.events)
        # Nothing is written where there is nothing new, every few seconds for years.
        while webhook.cursor != page.next:
            some, events = events[: size.rows], events[size.rows :]
            upto = some[-1].seq if events else page.next
            # A step with little to do says nothing of a full one.
            is_full = len(some) == size.rows
            with size.step(database) if is_full else database.atomic():
                if not _advance_cursor(webhook, some, upto, now):
                    return made
            made += len(some)
    return made


def _advance_cursor(webhook: Webhook, some: Sequence[Event], upto: int, now: datetime) -> bool:
    """Move the cursor and make the deliveries that it passes, in the caller's transaction.

    Returns False if another was first.
    """
    moved = (
        Webhook.update(cursor=upto)
        .where(Webhook.id == webhook.id, Webhook.cursor == webhook.cursor, _is_active())
        .execute()
    )
    if moved and some:
        rows = [{"webhook": webhook.id, "seq": event.seq, "due_at": now} for event in some]
        Delivery.insert_many(rows).execute()
    webhook.cursor = upto
    return bool(moved)


# --- What the use cases of webhooks return, as plain values. --------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """An answer or a removal, as other programs get it.

    `address` is None after erasure; `status` is what the contact became; `reason` is "" for a Yes,
    and for a removal whose reason is no longer kept. `given_by` is "self" or "representative" (of
    somebody too young or under guardianship, GDPR art. 8(1)), "" for what nobody answered.
    `subject` is not told.
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
        """Return it as one JSON object, in the form of the Standard Webhooks scheme."""
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
    """Some events in the order of their entries; `next` is the cursor of the next page.

    `more`: whether the evidence goes on behind that, even if it holds no event.
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
    """What is known of a webhook; `list` is the slug, "" for all lists.

    `waiting` counts what is still to be delivered, up to a thousand; `last` is the delivery that
    was tried last, None before the first.
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
    """How one delivery stands: `waiting`, `delivered` or `failed`; no address stands in it.

    `due_at` is when it is tried next, `at` when it was tried last. `reply_code` is the HTTP status,
    0 if there was no reply; `problem` says in a sentence what went wrong, "" for nothing.
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
    """Return what is wrong with an HTTP status, "" for nothing."""
    if 200 <= code < 300:  # noqa: PLR2004
        return LazyText()
    if 300 <= code < 400:  # noqa: PLR2004
        return LazyText("a redirect, which is not followed")
    return LazyText("it answered %(status)s", status=str(code))
