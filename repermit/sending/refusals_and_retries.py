"""The consequences of a mail that a server does not accept: a retry, a removal, or doubt.

One transaction for each mail. Only the codes of a reply are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from repermit.contacts import lookup, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.errors import TransportError
from repermit.rules.consent import (
    ASKING_KINDS,
    Dropped,
    MailState,
    Reason,
    Status,
    is_undecided,
)
from repermit.sending.queue import IS_QUEUED

FIRST_WAIT = timedelta(minutes=1)
MAX_WAIT = timedelta(hours=4)
_WAIT_FACTOR = 4


def compute_wait(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: 1, 4, 16, 64 minutes, then 4 hours."""
    # The exponent is limited too: an unbounded power takes long to compute.
    wait: timedelta = FIRST_WAIT * _WAIT_FACTOR ** min(attempts - 1, _WAIT_FACTOR)
    return min(wait, MAX_WAIT)


def mark_in_doubt(database: Database, number: int, *, worker: str) -> MailState | None:
    """Mark a mail as in doubt: the server may or may not have accepted it."""
    with database.atomic():
        is_ours = _settle_mail(number, worker, state=MailState.IN_DOUBT)
    return MailState.IN_DOUBT if is_ours else None


def mark_not_made(database: Database, number: int, *, worker: str) -> MailState | None:
    """Mark a mail as failed because it could not be composed."""
    with database.atomic():
        is_ours = _settle_mail(number, worker, state=MailState.FAILED, reason=NOT_MADE)
    return MailState.FAILED if is_ours else None


NOT_MADE = "not_made"
"""Reason of a mail that could not be composed, for instance because its wording is missing."""


def requeue_mail(
    database: Database, number: int, *, worker: str, was_started: bool, now: datetime
) -> MailState | None:
    """Requeue a mail behind all others after a fault of the server, without using an attempt.

    - Behind the others, since a mail that the server objects to would otherwise block them all.
    - Returns its state; None if it is not this worker's any more.
    """
    with database.atomic():
        is_ours = _settle_mail(
            number,
            worker,
            **_make_requeue_values(now),
            attempts=Mail.attempts - 1 if was_started else Mail.attempts,
        )
    return MailState.QUEUED if is_ours else None


def postpone_mail(
    database: Database,
    number: int,
    error: TransportError,
    *,
    worker: str,
    was_started: bool,
    now: datetime,
) -> tuple[MailState | None, bool]:
    """Postpone a mail that was refused for a policy, without using an attempt.

    Returns its state (None if it is not this worker's any more), and whether it had been postponed
    before.
    """
    with database.atomic():
        was_postponed = Mail.select().where(Mail.id == number, IS_POSTPONED).exists()
        is_ours = _settle_mail(
            number,
            worker,
            **_make_requeue_values(now + MAX_WAIT),
            attempts=Mail.attempts - 1 if was_started else Mail.attempts,
            reply_code=error.code,
            reply_status=error.status,
        )
    return MailState.QUEUED if is_ours else None, was_postponed


def resume_postponed(database: Database, numbers: Sequence[int], *, now: datetime) -> None:
    """Make postponed mails due now: the policy was not about their recipients."""
    with database.atomic():
        Mail.update(due_at=now, reply_code=0, reply_status="").where(
            Mail.id.in_(numbers), IS_QUEUED, IS_POSTPONED
        ).execute()


# Queued mails with a permanent code (RFC 5321 §4.2.1) are the postponed ones; all others have
# failed. Written as SQL, so that the partial index for these mails is used.
IS_POSTPONED: Any = SQL("reply_code >= 500")


def record_refusal(
    database: Database,
    number: int,
    error: TransportError,
    *,
    worker: str,
    was_started: bool,
    latest_start: datetime,
    fingerprint_key: bytes,
    now: datetime,
) -> MailState | None:
    """Record a refusal; return the mail's new state, None if it is not this worker's any more.

    - Temporary: retried after a wait, unless that would be after `latest_start`.
    - Permanent: failed. If there is no such mailbox, the contact is removed for `bounce`, with
      evidence and suppression.
    """
    with database.atomic():
        mail = Mail.get_or_none(Mail.id == number)
        if mail is None:
            return None
        # A mail that was started has its attempt counted already.
        attempts = mail.attempts if was_started else mail.attempts + 1
        values = _make_refusal_values(attempts, error, now, latest_start)
        is_asking = mail.kind in ASKING_KINDS
        is_bounce = error.permanent and error.scope == "recipient" and is_asking
        # The lock order is contact, then mail.
        contact = lookup.lock_contact(mail.contact_id or 0) if is_bounce else None
        if not _settle_mail(number, worker, **values):
            return None
        if contact is not None:
            _remove_for_bounce(contact, mail, error, fingerprint_key, now)
    return MailState(values["state"])


def _settle_mail(number: int, owner: str, **values: Any) -> bool:
    """Change a mail that this worker claimed, started or put in doubt; return whether it did."""
    changed_count = (
        Mail.update(lease_until=None, **values)
        .where(Mail.id == number, Mail.worker == owner, Mail.state.in_(_OWN_STATES))
        .execute()
    )
    return bool(changed_count)


_OWN_STATES = (MailState.CLAIMED, MailState.STARTED, MailState.IN_DOUBT)


def _make_requeue_values(due_at: datetime) -> dict[str, Any]:
    # Nobody has received it, so its next attempt may have a new date.
    return {"state": MailState.QUEUED, "worker": "", "started_at": None, "due_at": due_at}


def _make_refusal_values(
    attempts: int, error: TransportError, now: datetime, latest_start: datetime
) -> dict[str, Any]:
    values: dict[str, Any]
    wait = compute_wait(attempts)
    if error.permanent:
        values = {"state": MailState.FAILED, "reason": error.scope}
    elif now + wait > latest_start:
        values = {"state": MailState.DROPPED, "reason": Dropped.TOO_LATE}
    else:
        values = _make_requeue_values(now + wait)
    codes = {"reply_code": error.code, "reply_status": error.status}
    return {**values, **codes, "attempts": attempts}


def _remove_for_bounce(
    contact: Contact, mail: Mail, error: TransportError, fingerprint_key: bytes, now: datetime
) -> None:
    """Remove a contact whose mailbox does not exist, unless it has answered meanwhile."""
    include_thin = Campaign.get_by_id(mail.campaign_id).include_thin
    if not is_undecided(Status(contact.status), contact.basis, include_thin=include_thin):
        return
    codes = {"reply_code": error.code, "reply_status": error.status}
    act = Act(at=now, actor="job", campaign=mail.campaign_id or 0, consent=codes)
    status_changes.remove_contacts(
        [contact], reason=Reason.BOUNCE, act=act, fingerprint_key=fingerprint_key
    )
