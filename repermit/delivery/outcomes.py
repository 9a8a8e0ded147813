"""Writing down what became of a mail, in one transaction for each.

May import contacts and what lies below. Of a reply only its codes are kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit import contacts
from repermit.consent import CampaignState, Dropped, MailKind, MailState, Reason
from repermit.contacts import Act
from repermit.delivery.queue import ask_of, last_moment, may_be_asked
from repermit.models import Campaign, Mail

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.errors import TransportError
    from repermit.mailer import Reply
    from repermit.models import Contact, Database

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=4)
_GROWTH = 4


def wait_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 1, 4, 16, 64 minutes, then 4 hours."""
    # The power is cut off too: nobody waits longer for a number without end.
    grown: timedelta = FIRST_WAIT * _GROWTH ** min(attempts - 1, _GROWTH)
    return min(grown, LONGEST_WAIT)


def accepted(database: Database, mail: Mail, reply: Reply, *, worker: str, now: datetime) -> bool:
    """Mark a mail as sent; False if it is not this worker's to mark any more."""
    with database.atomic():
        return _settle(
            mail,
            worker,
            state=MailState.SENT,
            sent_at=now,
            reply_code=reply.code,
            reply_status=reply.status,
        )


def left_in_doubt(database: Database, mail: Mail, *, worker: str) -> bool:
    """Mark a mail of which nobody knows whether the server has it."""
    with database.atomic():
        return _settle(mail, worker, state=MailState.IN_DOUBT)


def not_made(database: Database, mail: Mail, *, worker: str) -> bool:
    """Mark a mail that could not even be written."""
    with database.atomic():
        return _settle(mail, worker, state=MailState.FAILED, reason=NOT_MADE)


NOT_MADE = "not_made"
"""Reason of a mail that could not be written, for instance because its wording is missing."""


def held_up(
    database: Database, mail: Mail, *, worker: str, was_started: bool, now: datetime
) -> bool:
    """Put a mail back behind all others for a fault of the server, without using an attempt.

    Behind the others, since a mail that the server takes offence at would hold all of them up.
    """
    with database.atomic():
        return _settle(
            mail,
            worker,
            **_back(now),
            attempts=Mail.attempts - 1 if was_started else Mail.attempts,
        )


def refused(
    database: Database,
    mail: Mail,
    error: TransportError,
    *,
    worker: str,
    was_started: bool,
    fingerprint_key: bytes,
    now: datetime,
) -> MailState | None:
    """Write down a refusal; return the mail's new state, None if it is not this worker's any more.

    For now: again after a wait, as long as there is time. For good: failed; and if there is no such
    mailbox, the contact is removed for `bounce`, with its evidence and suppression.
    """
    values = _after_refusal(mail, error, now)
    values["attempts"] = Mail.attempts if was_started else Mail.attempts + 1
    is_bounce = error.permanent and error.scope == "recipient" and mail.kind == MailKind.ASK
    with database.atomic():
        # The contact before its mail, as everybody locks them.
        contact = contacts.lock(ask_of(mail)[1].id) if is_bounce else None
        if not _settle(mail, worker, **values):
            return None
        if contact is not None:
            _remove_for_bounce(contact, mail, error, fingerprint_key=fingerprint_key, now=now)
    return MailState(values["state"])


def open_campaigns(database: Database, *, now: datetime) -> int:
    """Let campaigns that have nothing more to send be `open`; return how many there were."""
    if not Campaign.select().where(*_has_asked_all()).exists():
        return 0
    with database.atomic():
        opened = (
            Campaign.update(state=CampaignState.OPEN, opened_at=now)
            .where(*_has_asked_all())
            .execute()
        )
    return int(opened)


def _settle(mail: Mail, owner: str, **values: Any) -> bool:
    """Change a mail that is this worker's, or whose doubt is about this worker's own attempt."""
    settled = (
        Mail.update(lease_until=None, **values)
        .where(Mail.id == mail.id, Mail.worker == owner, Mail.state.in_(_OURS))
        .execute()
    )
    return bool(settled)


_OURS = (MailState.CLAIMED, MailState.STARTED, MailState.IN_DOUBT)


def _back(due_at: datetime) -> dict[str, Any]:
    # Nobody has got it, so its next attempt may bear the date of that day.
    return {"state": MailState.QUEUED, "worker": "", "started_at": None, "due_at": due_at}


def _after_refusal(mail: Mail, error: TransportError, now: datetime) -> dict[str, Any]:
    values: dict[str, Any]
    wait = wait_after(mail.attempts + 1)
    if error.permanent:
        values = {"state": MailState.FAILED, "reason": error.scope}
    elif now + wait > last_moment(mail):
        values = {"state": MailState.DROPPED, "reason": Dropped.TOO_LATE}
    else:
        values = _back(now + wait)
    return {**values, "reply_code": error.code, "reply_status": error.status}


def _remove_for_bounce(
    contact: Contact,
    mail: Mail,
    error: TransportError,
    *,
    fingerprint_key: bytes,
    now: datetime,
) -> None:
    """Take a contact off whose mailbox is not there, unless it has answered meanwhile."""
    campaign, _ = ask_of(mail)
    if not may_be_asked(contact, campaign):
        return
    codes = {"reply_code": error.code, "reply_status": error.status}
    act = Act(at=now, actor="job", campaign=campaign.id, consent=codes)
    contacts.remove([contact], reason=Reason.BOUNCE, act=act, fingerprint_key=fingerprint_key)


def _has_asked_all() -> tuple[Any, ...]:
    unsettled = Mail.select(Mail.id).where(
        Mail.campaign == Campaign.id, Mail.kind == MailKind.ASK, Mail.state.in_(_TO_SEND)
    )
    return (Campaign.state == CampaignState.SENDING, ~fn.EXISTS(unsettled))


_TO_SEND = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
