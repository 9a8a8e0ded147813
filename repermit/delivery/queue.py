"""Taking mails from the queue: claim, start, give back; and what keeps one from being sent.

May import contacts and what lies below.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from peewee import JOIN, fn

from repermit import contacts
from repermit.consent import (
    Basis,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
    latest_ask,
)
from repermit.models import (
    Campaign,
    Contact,
    Mail,
    MailingList,
    SignUp,
    Suppression,
    is_postgresql,
)

if TYPE_CHECKING:
    from datetime import datetime

    from repermit.models import Database

LEASE = timedelta(minutes=5)
"""How long a claim is left alone; after it the mail is claimed anew, also from a living worker."""

CONFIRM_WITHIN = timedelta(days=3)
"""How long after a sign-up its mail is still worth sending; its link works for seven days."""


def is_due(*, now: datetime, mailing_list: MailingList | None = None) -> bool:
    """Say whether there is a mail to send now."""
    return bool(_due(now, mailing_list).exists())


def waiting(*, mailing_list: MailingList | None = None) -> int:
    """Return how many mails are queued, due or not."""
    queued = Mail.select().where(Mail.state == MailState.QUEUED, *_of(mailing_list))
    return int(queued.count())


def claim(
    database: Database,
    *,
    worker: str,
    fingerprint_key: bytes,
    now: datetime,
    mailing_list: MailingList | None = None,
) -> Mail | None:
    """Take the oldest due mail; None if there is none.

    Returns it with its list, campaign, contact and sign-up, in the state that it has now: claimed
    for `worker`, or dropped for a reason.
    """
    with database.atomic():
        found = _first_unlocked(database, _due(now, mailing_list))
        if found is None:
            return None
        mail = whole(found.id)
        why = obstacle(mail, fingerprint_key=fingerprint_key, now=now)
        if why is None:
            _set(mail, state=MailState.CLAIMED, worker=worker, lease_until=now + LEASE)
        else:
            _set(mail, state=MailState.DROPPED, reason=why)
    return mail


def start(
    database: Database,
    mail: Mail,
    *,
    worker: str,
    fingerprint_key: bytes,
    message_id: str,
    now: datetime,
) -> bool:
    """Go from claimed to started; False if anything that the claim rested on holds no more.

    Only after this has been committed may the mail's final dot leave (DESIGN §7).
    """
    if now > last_moment(mail):
        return False
    conditions = _may_still_be_asked(mail, fingerprint_key) if mail.kind == MailKind.ASK else ()
    with database.atomic():
        started = (
            Mail.update(
                state=MailState.STARTED,
                attempts=Mail.attempts + 1,
                # Kept from an attempt in doubt, so that the second one is the same mail.
                started_at=mail.started_at or now,
                message_id=message_id,
            )
            .where(
                Mail.id == mail.id,
                Mail.state == MailState.CLAIMED,
                Mail.worker == worker,
                *conditions,
            )
            .execute()
        )
    return bool(started)


def give_back(
    database: Database, mail: Mail, *, worker: str, fingerprint_key: bytes, now: datetime
) -> MailState | None:
    """Put a claimed mail that may not start back, or drop it; return the state it has now.

    None if it is gone, as after an erasure.
    """
    with database.atomic():
        if _is_still_claimed(mail, worker):
            fresh = whole(mail.id)
            why = obstacle(fresh, fingerprint_key=fingerprint_key, now=now)
            if why is None:
                _set(fresh, state=MailState.QUEUED, worker="", lease_until=None)
            else:
                _set(fresh, state=MailState.DROPPED, reason=why)
        row = Mail.get_or_none(Mail.id == mail.id)
    return None if row is None else MailState(row.state)


def obstacle(mail: Mail, *, fingerprint_key: bytes, now: datetime) -> Dropped | None:
    """Say why a mail is not to be sent any more, or None if it is; a pause is no obstacle."""
    if mail.kind == MailKind.ASK:
        why = _obstacle_to_asking(mail, fingerprint_key)
    else:
        why = Dropped.ANSWERED if sign_up_of(mail).confirmed_at else None
    if why is None and now > last_moment(mail):
        return Dropped.TOO_LATE
    return why


def last_moment(mail: Mail) -> datetime:
    """Return until when a mail may be sent."""
    if mail.kind == MailKind.ASK:
        campaign, _ = ask_of(mail)
        return latest_ask(campaign.deadline, campaign.minimum_days)
    return sign_up_of(mail).at + CONFIRM_WITHIN


def ask_of(mail: Mail) -> tuple[Campaign, Contact]:
    """Return the campaign and the contact of an ask, which always has both."""
    return cast("Campaign", mail.campaign), cast("Contact", mail.contact)


def sign_up_of(mail: Mail) -> SignUp:
    """Return the sign-up of a `confirm`, which always has one."""
    return cast("SignUp", mail.sign_up)


def may_be_asked(contact: Contact, campaign: Campaign) -> bool:
    """Say whether a contact still has something to be asked, whether suppressed or not."""
    is_thin = contact.status == Status.CONFIRMED and contact.basis == Basis.THIN
    return contact.status == Status.UNCONFIRMED or bool(is_thin and campaign.include_thin)


def whole(mail_id: int) -> Mail:
    """Return a mail with its list, campaign, contact and sign-up, in one query."""
    found: Mail = (
        Mail.select(Mail, MailingList, Campaign, Contact, SignUp)
        .join_from(Mail, MailingList)
        .join_from(Mail, Campaign, JOIN.LEFT_OUTER)
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        .where(Mail.id == mail_id)
        .get()
    )
    return found


def _due(now: datetime, mailing_list: MailingList | None) -> Any:
    """Return a query for what is due, the oldest first."""
    sending = Campaign.select(Campaign.id).where(Campaign.state == CampaignState.SENDING)
    may_go = (Mail.kind == MailKind.CONFIRM) | (
        (Mail.kind == MailKind.ASK) & Mail.campaign.in_(sending)
    )
    return (
        Mail.select(Mail.id)
        .where(Mail.state == MailState.QUEUED, Mail.due_at <= now, may_go, *_of(mailing_list))
        .order_by(Mail.due_at, Mail.id)
    )


def _of(mailing_list: MailingList | None) -> tuple[Any, ...]:
    return () if mailing_list is None else (Mail.list == mailing_list,)


def _first_unlocked(database: Database, query: Any) -> Mail | None:
    """Return the first row that no other worker is claiming right now.

    On SQLite the transaction holds the one write lock already.
    """
    if is_postgresql(database):
        query = query.for_update(of=Mail, skip_locked=True)
    found: Mail | None = query.first()
    return found


def _set(mail: Mail, **values: Any) -> None:
    Mail.update(**values).where(Mail.id == mail.id).execute()
    for name, value in values.items():
        setattr(mail, name, value)


def _is_still_claimed(mail: Mail, worker: str) -> bool:
    """Touch the mail if it is still ours, which locks it until the transaction ends."""
    touched = (
        Mail.update(worker=worker)
        .where(Mail.id == mail.id, Mail.state == MailState.CLAIMED, Mail.worker == worker)
        .execute()
    )
    return bool(touched)


def _obstacle_to_asking(mail: Mail, fingerprint_key: bytes) -> Dropped | None:
    campaign, contact = ask_of(mail)
    if campaign.state == CampaignState.CANCELLED:
        return Dropped.CANCELLED
    if not may_be_asked(contact, campaign):
        # As `contacts.remove` tells them apart: a person's own word, or somebody else's.
        by_word = contact.status != Status.REMOVED or contact.reason in _BY_ANSWER
        return Dropped.ANSWERED if by_word else Dropped.SUPPRESSED
    fingerprint = contacts.fingerprint_of(contact, fingerprint_key)
    return Dropped.SUPPRESSED if contacts.is_suppressed(mail.list_id, fingerprint) else None


_BY_ANSWER = (Reason.NO, Reason.WITHDRAWN)


def _may_still_be_asked(mail: Mail, fingerprint_key: bytes) -> tuple[Any, ...]:
    """Return what must hold in the very statement that starts an ask (invariant 3)."""
    campaign, contact = ask_of(mail)
    sending = Campaign.select(Campaign.id).where(
        Campaign.id == campaign.id, Campaign.state == CampaignState.SENDING
    )
    is_open = Contact.status == Status.UNCONFIRMED
    if campaign.include_thin:
        is_open |= (Contact.status == Status.CONFIRMED) & (Contact.basis == Basis.THIN)
    askable = Contact.select(Contact.id).where(Contact.id == contact.id, is_open)
    suppressed = Suppression.select(Suppression.id).where(
        Suppression.fingerprint == contacts.fingerprint_of(contact, fingerprint_key),
        (Suppression.list == mail.list_id) | Suppression.list.is_null(),
    )
    return (Mail.campaign.in_(sending), Mail.contact.in_(askable), ~fn.EXISTS(suppressed))
