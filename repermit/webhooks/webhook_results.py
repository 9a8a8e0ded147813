"""What the use cases of webhooks return, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from repermit.db.models.base import stored
from repermit.i18n.lazy_text import Said


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
