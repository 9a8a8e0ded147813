"""What is owed: a mail with all that making it and judging it takes, read at once for many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from peewee import JOIN

from repermit import email_address
from repermit.contacts import enqueue_receipt
from repermit.db.connection import Database, literal, run_sql
from repermit.db.models.base import read_moment
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import FreshLink, Mail
from repermit.rules.consent import (
    Answer,
    CampaignState,
    Dropped,
    MailKind,
    Reason,
    Status,
    is_undecided,
    latest_ask,
)

# The least that the database tells apart.
_A_MOMENT = timedelta(microseconds=1)

CONFIRM_WITHIN = timedelta(days=3)
"""How long after a sign-up its mail is still worth sending; its link works for seven days."""

RECEIPT_WITHIN = timedelta(days=7)
"""How long after a Yes its receipt is still sent; it can be read at its link all the while."""

LINK_WITHIN = timedelta(hours=1)
"""How long a link for one use is good, counted from when it was asked for."""

TOLD_WITHIN = timedelta(days=1)
"""How long after a change the address from before is told of it; then it is forgotten."""

NOTICE_WITHIN = timedelta(days=7)
"""How long after it came up a notice to the admin is still news."""

ASKING = (MailKind.ASK, MailKind.REMINDER)
"""Kinds that nobody has asked for, to whom invariant 3 applies."""


class QueuedMail(NamedTuple):
    """One mail as it stands; fields of contact, sign-up or fresh link are None where it has none.

    Moments are aware UTC, but for `due_at`, which is as the database gives it.
    """

    id: int
    kind: str
    list_id: int
    campaign_id: int | None
    contact_id: int | None
    attempts: int
    due_at: str | datetime
    started_at: datetime | None
    message_id: str
    wording_id: int | None
    topic: str
    uid: str | None
    address: str | None
    address_key: str | None
    name: str | None
    language: str | None
    source: str | None
    since: datetime | None
    status: str | None
    basis: str | None
    reason: str | None
    sign_up_uid: str | None
    sign_up_address: str | None
    sign_up_language: str | None
    signed_up_at: datetime | None
    confirmed_at: datetime | None
    link_uid: str | None
    link_purpose: str | None
    link_address: str | None
    link_language: str | None
    link_at: datetime | None
    link_used_at: datetime | None

    @property
    def is_asking(self) -> bool:
        """Say whether its reader has not asked for it."""
        return self.kind in ASKING

    @property
    def recipient(self) -> str:
        """Return where it goes, "" for a notice to the admin."""
        return self.link_address or self.sign_up_address or self.address or ""


_COLUMNS = (
    Mail.id,
    Mail.kind,
    Mail.list,
    Mail.campaign,
    Mail.contact,
    Mail.attempts,
    Mail.due_at,
    Mail.started_at,
    Mail.message_id,
    Mail.wording,
    Mail.topic,
    Contact.uid,
    Contact.address,
    Contact.address_key,
    Contact.name,
    Contact.language,
    Contact.source,
    Contact.since,
    Contact.status,
    Contact.basis,
    Contact.reason,
    SignUp.uid,
    SignUp.address,
    SignUp.language,
    SignUp.at,
    SignUp.confirmed_at,
    FreshLink.uid,
    FreshLink.purpose,
    FreshLink.address,
    FreshLink.language,
    FreshLink.at,
    FreshLink.used_at,
)


_MOMENTS = tuple(
    map(
        QueuedMail._fields.index,
        ("started_at", "since", "signed_up_at", "confirmed_at", "link_at", "link_used_at"),
    )
)
_read_moments = itemgetter(*_MOMENTS)


def read(database: Database, ids: Sequence[int]) -> list[QueuedMail]:
    """Return the mails with these numbers, the oldest first."""
    found = Mail.select().where(Mail.id.in_(literal(ids))).order_by(Mail.due_at, Mail.id)
    return read_whole(database, found)


def read_whole(database: Database, mails: Any) -> list[QueuedMail]:
    """Return the mails that a query finds, in its order."""
    query = (
        mails.select(*_COLUMNS)
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        .join_from(Mail, FreshLink, JOIN.LEFT_OUTER)
    )
    statement, values = query.sql()
    # Past peewee, which would look at every field of every row.
    return [_owed(row) for row in run_sql(database, statement, *values)]


def _owed(row: tuple[Any, ...]) -> QueuedMail:
    if any(_read_moments(row)):
        values = list(row)
        for place in _MOMENTS:
            if values[place] is not None:
                values[place] = read_moment(values[place])
        return QueuedMail._make(values)
    return QueuedMail._make(row)


@dataclass(frozen=True)
class Terms:
    """What a campaign lays down for its mails: how it stands, and until when each kind may go."""

    state: CampaignState
    include_thin: bool
    language: str
    until: Mapping[str, datetime]


def terms_of(owed: Iterable[QueuedMail]) -> dict[int, Terms]:
    """Return the terms of these mails' campaigns, as they are now."""
    ids = {one.campaign_id for one in owed} - {None}
    query = Campaign.select(Campaign, MailingList).join(MailingList).where(Campaign.id.in_(ids))
    return {
        campaign.id: Terms(
            state=CampaignState(campaign.state),
            include_thin=campaign.include_thin,
            language=campaign.list.language,
            until={
                MailKind.ASK: latest_ask(campaign.deadline, campaign.minimum_days),
                MailKind.REMINDER: campaign.deadline - _A_MOMENT,
            },
        )
        for campaign in query
    }


def fingerprints_of(owed: Iterable[QueuedMail], key: bytes) -> dict[int, str]:
    """Return the fingerprint of the address of each mail that nobody has asked for, by number."""
    asks = [one for one in owed if one.is_asking]
    prints = email_address.fingerprints(key, [one.address_key or "" for one in asks])
    return {one.id: fingerprint for one, fingerprint in zip(asks, prints, strict=True)}


def suppressed_among(owed: Sequence[QueuedMail], fingerprints: Mapping[int, str]) -> set[int]:
    """Return the numbers of the mails whose address is suppressed, for their list or for all."""
    if not fingerprints:
        return set()
    if not Suppression.select().exists():
        return set()
    query: Any = (
        Suppression.select(Suppression.fingerprint, Suppression.list)
        .where(Suppression.fingerprint.in_(list(fingerprints.values())))
        .tuples()
    )
    found = set(query)
    if not found:
        return set()
    return {
        one.id
        for one in owed
        if (fingerprint := fingerprints.get(one.id))
        and not found.isdisjoint({(fingerprint, one.list_id), (fingerprint, None)})
    }


def last_moment(owed: QueuedMail, terms: Mapping[int, Terms]) -> datetime:
    """Return until when a mail may be sent."""
    if owed.is_asking:
        return terms[owed.campaign_id or 0].until[owed.kind]
    if owed.kind == MailKind.RECEIPT:
        return enqueue_receipt.read_receipt(owed.topic)[1] + RECEIPT_WITHIN
    if owed.kind == MailKind.NOTICE:
        return read_moment(owed.due_at) + NOTICE_WITHIN
    if owed.signed_up_at:
        return owed.signed_up_at + CONFIRM_WITHIN
    # What a link stands for is gone with its person, and then so is the reason to send it.
    asked_at = owed.link_at or read_moment(owed.due_at)
    return asked_at + (TOLD_WITHIN if owed.link_purpose == "changed" else LINK_WITHIN)


def obstacle(
    owed: QueuedMail,
    terms: Mapping[int, Terms],
    *,
    is_suppressed: bool,
    until: datetime,
    now: datetime,
) -> Dropped | None:
    """Say why a mail is not to be sent any more, or None if it is; a pause is no obstacle.

    `until` is its `last_moment`.
    """
    why = None
    if owed.is_asking:
        asking = terms[owed.campaign_id or 0]
        if asking.state is CampaignState.CANCELLED:
            why = Dropped.CANCELLED
        elif not is_undecided(
            Status(owed.status or ""), owed.basis or "", include_thin=asking.include_thin
        ):
            # As `contacts.remove` tells them apart: a person's own word, or somebody else's.
            by_word = owed.status != Status.REMOVED or owed.reason in _BY_ANSWER
            why = Dropped.ANSWERED if by_word else Dropped.SUPPRESSED
        elif is_suppressed:
            why = Dropped.SUPPRESSED
    elif (
        owed.confirmed_at
        or (owed.link_used_at and owed.link_purpose != "changed")
        or (owed.kind == MailKind.RECEIPT and not _still_stands(owed))
    ):
        why = Dropped.ANSWERED
    elif owed.kind == MailKind.CONFIRM and not (owed.sign_up_uid or owed.link_uid):
        # Its reader was erased meanwhile.
        why = Dropped.SUPPRESSED
    return why or (Dropped.TOO_LATE if now > until else None)


def _still_stands(owed: QueuedMail) -> bool:
    """Say whether the answer stands that a receipt tells of, and its person is still held."""
    answer, _ = enqueue_receipt.read_receipt(owed.topic)
    stands = Status.CONFIRMED if answer is Answer.YES else Status.REMOVED
    return owed.status == stands and owed.address is not None


_BY_ANSWER = (Reason.NO, Reason.WITHDRAWN)


# --- Which of a campaign's frozen wordings a mail is made from. -----------------------------------


def wordings_of(owed: Iterable[QueuedMail], terms: Mapping[int, Terms]) -> dict[int, int | None]:
    """Return the wording of each mail that nobody has asked for, by its number; None if it lacks.

    In the contact's language, else the list's, else any, the newest revision. A mail that has been
    tried keeps its own, so that every attempt is the same mail.
    """
    newest = _newest(terms)
    chosen: dict[int, int | None] = {}
    for one in owed:
        if not one.is_asking:
            continue
        if one.started_at is not None and one.wording_id is not None:
            chosen[one.id] = one.wording_id
            continue
        group = (one.campaign_id or 0, one.kind)
        by_language = newest.get(group, {})
        chosen[one.id] = by_language.get(one.language) or _otherwise(
            by_language, terms[one.campaign_id or 0].language
        )
    return chosen


def _otherwise(by_language: Mapping[str | None, int], usual: str) -> int | None:
    return by_language.get(usual) or next(iter(by_language.values()), None)


def _newest(campaigns: Iterable[int]) -> dict[tuple[int, str], dict[str | None, int]]:
    """Return the newest wordings by campaign and kind, and then by language."""
    found: dict[tuple[int, str], dict[str | None, int]] = {}
    query = (
        CampaignWording.select()
        .where(CampaignWording.campaign.in_(list(campaigns)))
        .order_by(CampaignWording.revision, CampaignWording.id)
    )
    for row in query:
        found.setdefault((row.campaign_id, row.kind), {})[row.language] = row.id
    return found
