"""What people wrote back by mail, and waits for the admin's decision.

May import models and what lies below. Nothing of their text is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit.models import Contact, MailingList, Reply, latest_campaign

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.consent import Answer


@dataclass(frozen=True, kw_only=True)
class WaitingReply:
    """A reply that the admin has still to decide on.

    `proposed` is "yes", "no" or "" if it is no plain answer, or not from the asked address.
    """

    address: str
    proposed: str
    at: datetime


def keep_reply(
    contact: Contact, *, digest: str, proposed: str, at: datetime, decided_at: datetime | None
) -> bool:
    """Note that a person wrote back; False if this very message was noted before.

    `digest` names the message, `at` is when it arrived; `decided_at` is set for one that says
    what is known.
    """
    before = Reply.select().where(Reply.message_digest == digest).exists()
    Reply.insert(
        list=contact.list_id,
        contact=contact,
        message_digest=digest,
        proposed=proposed,
        at=at,
        decided_at=decided_at,
    ).on_conflict_ignore().execute()
    return not before


def waiting_replies(mailing_list: MailingList) -> tuple[WaitingReply, ...]:
    """Return the replies to the list's latest campaign that wait, in the order of their coming."""
    campaign = latest_campaign(mailing_list)
    if campaign is None:
        return ()
    rows: Any = (
        Reply.select(Contact.address, Reply.proposed, Reply.at)
        .join(Contact)
        .where(
            Reply.list == mailing_list,
            Reply.decided_at.is_null(),
            Reply.at >= campaign.launched_at,
        )
        .order_by(Reply.at, Reply.id)
        .tuples()
    )
    return tuple(WaitingReply(address=who, proposed=what, at=at) for who, what, at in rows)


def replied_at(contact: Contact, answer: Answer) -> datetime | None:
    """Return when a reply arrived that may be this answer and that nobody has decided on."""
    found: Reply | None = (
        _waiting(contact).where(Reply.proposed.in_(("", answer))).order_by(Reply.at).first()
    )
    return found.at if found else None


def settle_replies(contact: Contact, *, at: datetime) -> None:
    """Mark a contact's replies as decided on."""
    Reply.update(decided_at=at).where(
        Reply.contact == contact, Reply.decided_at.is_null()
    ).execute()


def forget_replies(contact: Contact) -> None:
    """Delete that a contact ever wrote back."""
    Reply.delete().where(Reply.contact == contact).execute()


def _waiting(contact: Contact) -> Any:
    return Reply.select().where(Reply.contact == contact, Reply.decided_at.is_null())
