"""Replies by mail that wait for the admin's decision.

Their text is not stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.connection import Database, make_id_list
from repermit.db.models.base import ID_LIST, PreparedQuery, parse_timestamp
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Reply
from repermit.errors import NotFound
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules.consent import Answer, Status

STOP = "stop"
PROPOSALS = {"yes": Answer.YES, "no": Answer.NO, STOP: Answer.NO}
"""The answer that is recorded for each proposal if the admin agrees."""


@dataclass(frozen=True, kw_only=True)
class WaitingReply:
    """A reply that waits for the admin's decision.

    - `proposed`: "yes", "no", "stop" (a request for no more mail that is not a plain No), or "" if
      it is unclear or not from the asked address.
    - `number`, `contact`: the ids of the reply and of its contact.
    - `digest`: identifies the message in the mailbox.
    """

    address: str
    proposed: str
    at: datetime
    number: int
    contact: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class DecidedReply:
    """A reply that an admin has decided on and can still change.

    - `decision`: "yes", "no" or "none". A Yes or No stays in the evidence and is changed by the
      opposite answer, which is another entry.
    """

    address: str
    at: datetime
    number: int
    contact: int
    decision: str
    decided_at: datetime


def save_reply(
    contact: Contact, *, digest: str, proposed: str, at: datetime, decided_at: datetime | None
) -> bool:
    """Save a reply by mail; return False if the same message was saved before.

    - `digest`: identifies the message.
    - `at`: when it arrived.
    - `decided_at`: set for a reply that changes nothing, which does not wait.
    """
    is_known = Reply.select().where(Reply.message_digest == digest).exists()
    Reply.insert(
        list=contact.list_id,
        contact=contact,
        message_digest=digest,
        proposed=proposed,
        at=at,
        decided_at=decided_at,
    ).on_conflict_ignore().execute()
    return not is_known


def list_waiting_replies(
    mailing_list: MailingList, *, limit: int | None = None
) -> tuple[WaitingReply, ...]:
    """Return the waiting replies of a list, the oldest first; also those to earlier campaigns."""
    rows = (
        _select_waiting(mailing_list.id, *_COLUMNS)
        .join(Contact)
        .order_by(Reply.at, Reply.id)
        .limit(limit)
    )
    return tuple(map(_make_waiting, rows.dicts()))


def find_waiting_reply(mailing_list: MailingList, number: int) -> WaitingReply | None:
    """Return a waiting reply of a list by its number; None if it does not wait."""
    rows = _select_waiting(mailing_list.id, *_COLUMNS).join(Contact).where(Reply.id == number)
    row = rows.dicts().first()
    return _make_waiting(row) if row else None


_COLUMNS = (
    Contact.address,
    Reply.proposed,
    Reply.at,
    Reply.id.alias("number"),
    Contact.id.alias("contact"),
    Reply.message_digest.alias("digest"),
)


def _make_waiting(row: dict[str, Any]) -> WaitingReply:
    return WaitingReply(**{**row, "address": row["address"] or ""})


def select_repliers(list_id: int) -> Any:
    """Return the query for the ids of a list's contacts with a waiting reply."""
    return _select_waiting(list_id, Reply.contact)


def index_waiting_replies(contact_ids: Sequence[int]) -> dict[int, datetime]:
    """Return when the oldest waiting reply of each of these contacts arrived, by contact id."""
    rows = _WAITING_TIMES.raw_rows(ids=contact_ids)
    return {contact_id: parse_timestamp(at) for contact_id, at in rows}


# The oldest last, as it is what a dictionary keeps.
_WAITING_TIMES = PreparedQuery(
    lambda: (
        Reply.select(Reply.contact, Reply.at)
        .where(Reply.contact.in_(ID_LIST), Reply.decided_at.is_null())
        .order_by(Reply.at.desc())
        .tuples()
    )
)


def count_waiting_replies(mailing_list: MailingList) -> int:
    """Return the number of waiting replies of a list."""
    return int(_select_waiting(mailing_list.id, Reply.id).count())


def _select_waiting(list_id: int, *columns: Any) -> Any:
    return Reply.select(*columns).where(Reply.list == list_id, Reply.decided_at.is_null())


_DECISIONS = {"confirmed": "yes", "removed": "no", "reply_set_aside": "none"}


def list_decided_replies(mailing_list: MailingList, *, limit: int) -> tuple[DecidedReply, ...]:
    """Return the replies of a list that an admin decided on, the latest decision first.

    Replies are left out whose contact has changed since, for example by its own press.
    """
    rows: Any = (
        Reply.select(
            Contact.address,
            Reply.at,
            Reply.id.alias("number"),
            Contact.id.alias("contact"),
            Contact.status,
            Contact.status_at,
            Reply.decided_at,
            Evidence.event,
        )
        .join(Contact)
        .join(
            Evidence,
            on=(Evidence.subject == Contact.subject) & (Evidence.at == Reply.decided_at),
        )
        .where(
            Reply.list == mailing_list,
            Evidence.event.in_(list(_DECISIONS)),
            Evidence.actor.startswith("user:") | Evidence.actor.startswith("cli:"),
            Contact.erased_at.is_null(),
        )
        .order_by(Reply.decided_at.desc(), Reply.id.desc())
        .limit(limit)
        .dicts()
    )
    return tuple(
        DecidedReply(
            address=row["address"] or "",
            at=row["at"],
            number=row["number"],
            contact=row["contact"],
            decision=_DECISIONS[row["event"]],
            decided_at=row["decided_at"],
        )
        for row in rows
        if row["status_at"] == row["decided_at"]
        or (row["event"] == "reply_set_aside" and row["status"] == Status.UNCONFIRMED)
    )


def reopen_reply(
    database: Database, mailing_list: MailingList, number: int, *, now: datetime, actor: str
) -> None:
    """Make a reply wait again that was set aside, and append an entry. Raises NotFound."""
    with database.atomic():
        contact = mark_reply_undecided(mailing_list, number)
        _append_entry("reply_reopened", mailing_list, contact, now=now, actor=actor)


def mark_reply_undecided(mailing_list: MailingList, number: int) -> Contact:
    """Make a decided reply wait again, in the caller's transaction; return its contact.

    Raises NotFound, also if it waits already.
    """
    reply: Reply | None = Reply.get_or_none(
        Reply.list == mailing_list, Reply.id == number, Reply.decided_at.is_null(is_null=False)
    )
    if reply is None:
        raise NotFound("there is no such reply to %(list)s", list=mailing_list.slug)
    Reply.update(decided_at=None).where(Reply.id == number).execute()
    contact: Contact = reply.contact
    return contact


def set_reply_aside(
    database: Database, mailing_list: MailingList, number: int, *, now: datetime, actor: str
) -> None:
    """Decide that a reply is no answer, such as a question or thanks. Raises NotFound.

    An earlier decision on it stays.
    """
    with database.atomic():
        reply: Reply | None = Reply.get_or_none(Reply.list == mailing_list, Reply.id == number)
        if reply is None:
            raise NotFound("there is no such reply to %(list)s", list=mailing_list.slug)
        updated_count = (
            Reply.update(decided_at=now)
            .where(Reply.id == number, Reply.decided_at.is_null())
            .execute()
        )
        if updated_count:
            _append_entry("reply_set_aside", mailing_list, reply.contact, now=now, actor=actor)


def _append_entry(
    event: str, mailing_list: MailingList, contact: Contact, *, now: datetime, actor: str
) -> None:
    chain.append(
        Entry(event=event, at=now, actor=actor, list=mailing_list.slug, subject=contact.subject)
    )


def find_reply_time(contact: Contact, answer: Answer) -> datetime | None:
    """Return when the first undecided reply arrived that may be this answer, None without one."""
    proposals = ["", *(proposal for proposal, meaning in PROPOSALS.items() if meaning is answer)]
    reply: Reply | None = (
        Reply.select()
        .where(Reply.contact == contact, Reply.decided_at.is_null(), Reply.proposed.in_(proposals))
        .order_by(Reply.at)
        .first()
    )
    return reply.at if reply else None


def settle_replies(contact: Contact, *, at: datetime) -> None:
    """Mark a contact's replies as decided on."""
    _SETTLE.execute(format_timestamp(at), contact)


_SETTLE = PreparedQuery(
    lambda at, contact: Reply.update(decided_at=at).where(
        Reply.contact == contact, Reply.decided_at.is_null()
    ),
    2,
)


def delete_replies(contact_ids: Sequence[int]) -> int:
    """Delete the stored replies of contacts; return how many."""
    return int(Reply.delete().where(Reply.contact.in_(make_id_list(contact_ids))).execute())
