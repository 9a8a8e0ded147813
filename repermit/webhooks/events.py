"""What in the evidence is news for other programs: answers and removals.

Nothing is written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import JOIN

from repermit.db.connection import Database
from repermit.db.models.base import stored
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.i18n.lazy_text import Said
from repermit.rules.consent import Basis, Reason, Status

EVENTS = ("answer.yes", "answer.no", "removed")
"""What is told: a person's Yes or sign-up, a person's No, and every other removal."""

SELF = "self"
"""Who gave an answer, unless the entry names a representative."""

_YES = frozenset({Basis.ANSWER, Basis.SIGN_UP})
_NO = frozenset({Reason.NO, Reason.WITHDRAWN})
# An import of a million is gone through in steps, each of which is short.
_WINDOW = 5_000


def news_since(cursor: int, *, limit: int, slug: str = "") -> NewsPage:
    """Return the news of a list, or of all, that came after the entry `cursor`; `limit` at most."""
    head: int = EvidenceHead.get().seq
    upto = max(cursor, min(head, cursor + _WINDOW))
    rows = _rows(Evidence.seq > cursor, Evidence.seq <= upto, *_of_list(slug), limit=limit)
    if len(rows) == limit:
        upto = rows[-1]["seq"]
    return NewsPage(news=tuple(filter(None, map(_news, rows))), next=upto, more=upto < head)


def news_of(seq: int) -> News | None:
    """Return the news of one entry as it can be told now, None if there is none any more."""
    return next(map(_news, _rows(Evidence.seq == seq, limit=1)), None)


def is_overtaken(news: News) -> bool:
    """Say whether the same person has answered or been removed again since."""
    later = (Evidence.seq > news.seq, Evidence.event.in_(_TELLING), *_of_list(news.list))
    return bool(Evidence.select().where(Evidence.subject == news.subject, *later).exists())


_UNDONE = "sign_up_undone"
_TELLING = ("confirmed", "removed", _UNDONE)


def _of_list(slug: str) -> tuple[Any, ...]:
    return (Evidence.list == slug,) if slug else ()


def _rows(*conditions: Any, limit: int) -> list[dict[str, Any]]:
    consent, person = EvidencePart.alias(), EvidencePart.alias()
    rows: Any = (
        Evidence.select(Evidence, consent.json.alias("told"), person.json.alias("who"))
        .join(consent, JOIN.LEFT_OUTER, on=_is_part(consent, "consent"))
        .switch(Evidence)
        .join(person, JOIN.LEFT_OUTER, on=_is_part(person, "person"))
        .where(Evidence.event.in_(_TELLING), *conditions)
        .order_by(Evidence.seq)
        .limit(limit)
    )
    return list(rows.dicts())


def _is_part(part: Any, name: str) -> Any:
    return (part.seq == Evidence.seq) & (part.part == name)


def _news(row: dict[str, Any]) -> News | None:
    """Return what an entry tells; None for a status that an import brought along."""
    told = json.loads(row["told"] or "{}")
    who = json.loads(row["who"] or "{}")
    reason = told.get("reason", "")
    if row["event"] == _UNDONE and told.get("status") == Status.REMOVED:
        # As they were before, by nothing that they did now.
        event, status = "removed", Status.REMOVED
    elif row["event"] == "removed":
        event, status = "answer.no" if reason in _NO else "removed", Status.REMOVED
    elif told.get("basis") in _YES:
        event, status = "answer.yes", Status.CONFIRMED
    else:
        return None
    return News(
        seq=row["seq"],
        event=event,
        at=row["at"],
        list=row["list"],
        address=who.get("address"),
        status=status,
        reason=reason,
        given_by="" if event == "removed" else told.get("given_by", SELF),
        subject=row["subject"],
    )


# --- Which webhook is still to be told what. ------------------------------------------------------


_BATCH = 500


def owe(database: Database, *, now: datetime) -> int:
    """Make the deliveries that are not made yet, due at once; return how many there were.

    Safe to run in several processes at once: whoever moves a webhook's cursor makes its deliveries.
    """
    # Read to its end: on SQLite, nothing can be written from within a reading that others outran.
    there = list(Webhook.select().where(_is_there()))
    return sum(_owe(database, webhook, now) for webhook in there)


def slug_of(webhook: Webhook) -> str:
    """Return the list that a webhook hears of, "" for all."""
    if webhook.list_id is None:
        return ""
    slug: str = MailingList.get_by_id(webhook.list_id).slug
    return slug


def _is_there() -> Any:
    return Webhook.removed_at.is_null()


def _owe(database: Database, webhook: Webhook, now: datetime) -> int:
    made, slug, is_ours, more = 0, slug_of(webhook), True, True
    while is_ours and more:
        page = news_since(webhook.cursor, limit=_BATCH, slug=slug)
        # Nothing is written where there is nothing new, every few seconds for years.
        is_ours = page.next != webhook.cursor and _move(database, webhook, page, now)
        made += len(page.news) if is_ours else 0
        more = page.more
    return made


def _move(database: Database, webhook: Webhook, page: NewsPage, now: datetime) -> bool:
    """Move the cursor and owe what it passes, together; False if another process was first."""
    with database.atomic():
        moved = (
            Webhook.update(cursor=page.next)
            .where(Webhook.id == webhook.id, Webhook.cursor == webhook.cursor, _is_there())
            .execute()
        )
        if moved and page.news:
            rows = [{"webhook": webhook.id, "seq": news.seq, "due_at": now} for news in page.news]
            Delivery.insert_many(rows).execute()
    webhook.cursor = page.next
    return bool(moved)


# --- What the use cases of webhooks return, as plain values. --------------------------------------


@dataclass(frozen=True, kw_only=True)
class News:
    """An answer or a removal, as other programs are told of it.

    `address` is None after erasure; `status` is what the contact became; `reason` is "" for a Yes,
    and for a removal whose reason is no longer kept. `given_by` is "self" or "representative" (of
    somebody under 16 or under guardianship, GDPR art. 8(1)), "" for what nobody answered. `subject`
    is not told.
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
        """Return the news as one JSON object, in the form of the Standard Webhooks scheme."""
        return {
            "type": self.event,
            "timestamp": stored(self.at),
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
class NewsPage:
    """Some news in the order of their coming; `next` is the cursor to go on from.

    `more` is true if the evidence goes on behind that, even if there were no news on the way.
    """

    news: tuple[News, ...]
    next: int
    more: bool


@dataclass(frozen=True, kw_only=True)
class Added:
    """A webhook that was added; its secret ("whsec_…") is shown now and never again."""

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


def problem_of(code: int) -> Said:
    """Return what is wrong with an HTTP status, "" for nothing."""
    if 200 <= code < 300:  # noqa: PLR2004
        return Said()
    if 300 <= code < 400:  # noqa: PLR2004
        return Said("a redirect, which is not followed")
    return Said("it answered %(status)s", status=str(code))
