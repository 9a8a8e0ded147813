"""What people wrote back by mail, and waits for the admin's decision.

Nothing of their text is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.db.connection import Database, make_id_list
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import latest_campaign
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
"""The answer that each proposal comes to, if the admin agrees."""


@dataclass(frozen=True, kw_only=True)
class WaitingReply:
    """A reply that the admin has still to decide on, and the number of its contact.

    `proposed` is "yes", "no", "stop" if it asks to be mailed no more without a plain No, or "" if
    it is unclear, or not from the asked address. `digest` names the message in the mailbox.
    """

    address: str
    proposed: str
    at: datetime
    number: int
    contact: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class DecidedReply:
    """A reply that an admin has decided on: "yes", "no" or "none", and may still take back.

    A Yes or No stays in the record; it is taken back by its opposite, also an entry.
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
    """Note that a person wrote back; False if this very message was noted before.

    `digest` names the message, `at` is when it arrived; `decided_at` is set for one that says
    what is known.
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


def list_waiting_replies(mailing_list: MailingList) -> tuple[WaitingReply, ...]:
    """Return the replies to the list's latest campaign that wait, in the order of their coming."""
    columns = (Contact.address, Reply.proposed, Reply.at, Reply.id, Contact.id)
    rows = _select_waiting(mailing_list, *columns, Reply.message_digest)
    return tuple(
        WaitingReply(
            address=address or "",
            proposed=proposed,
            at=at,
            number=number,
            contact=contact,
            digest=digest,
        )
        for address, proposed, at, number, contact, digest in rows.order_by(
            Reply.at, Reply.id
        ).tuples()
    )


def count_waiting_replies(mailing_list: MailingList) -> int:
    """Return how many replies to the list's latest campaign wait."""
    return int(_select_waiting(mailing_list, Reply.id).count())


def _select_waiting(mailing_list: MailingList, *columns: Any) -> Any:
    campaign = latest_campaign(mailing_list)
    return (
        Reply.select(*columns)
        .join(Contact)
        .where(
            Reply.list == mailing_list,
            Reply.decided_at.is_null(),
            Reply.at >= campaign.launched_at if campaign else Reply.id.is_null(),
        )
    )


_DECISIONS = {"confirmed": "yes", "removed": "no", "reply_set_aside": "none"}


def list_decided_replies(mailing_list: MailingList, *, most: int) -> tuple[DecidedReply, ...]:
    """Return the replies to the latest campaign that an admin decided on last, the newest first.

    Only those whose contact stands as that decision left it: a press of the person's own since
    then is theirs.
    """
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return ()
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
            Reply.at >= campaign.launched_at,
            Evidence.event.in_(list(_DECISIONS)),
            Evidence.actor.startswith("user:") | Evidence.actor.startswith("cli:"),
            Contact.erased_at.is_null(),
        )
        .order_by(Reply.decided_at.desc(), Reply.id.desc())
        .limit(most)
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
    """Let a reply wait again that was set aside, which is an entry of its own. Raises NotFound."""
    with database.atomic():
        contact = mark_reply_undecided(mailing_list, number)
        _append_entry("reply_reopened", mailing_list, contact, now=now, actor=actor)


def mark_reply_undecided(mailing_list: MailingList, number: int) -> Contact:
    """Let a decided reply wait, in the caller's transaction; return its contact.

    Raises NotFound, also where it waits already.
    """
    found: Reply | None = Reply.get_or_none(
        Reply.list == mailing_list, Reply.id == number, Reply.decided_at.is_null(is_null=False)
    )
    if found is None:
        raise NotFound("there is no such reply to %(list)s", list=mailing_list.slug)
    Reply.update(decided_at=None).where(Reply.id == number).execute()
    contact: Contact = found.contact
    return contact


def set_reply_aside(
    database: Database, mailing_list: MailingList, number: int, *, now: datetime, actor: str
) -> None:
    """Decide that a reply is no answer: a question, or thanks. Raises NotFound.

    If somebody has decided on it already, that stands.
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
    """Return when a reply arrived that may be this answer and that nobody has decided on."""
    proposals = ["", *(proposal for proposal, its in PROPOSALS.items() if its is answer)]
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
    """Delete that contacts ever wrote back; return how many replies there were."""
    return int(Reply.delete().where(Reply.contact.in_(make_id_list(contact_ids))).execute())
