"""A queued mail with everything that composing and checking it takes, read for many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple

from peewee import JOIN

from repermit import email_address
from repermit.contacts import enqueue_receipt
from repermit.db.connection import Database, make_id_list, run_sql
from repermit.db.models.base import parse_timestamp
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.mails import FreshLink, Mail
from repermit.rules.consent import (
    ANSWERED_NO,
    ASKING_KINDS,
    Answer,
    CampaignState,
    Dropped,
    MailKind,
    Status,
    is_undecided,
    latest_ask,
    latest_reminder,
)

# The least that the database tells apart.
_MICROSECOND = timedelta(microseconds=1)

CONFIRM_WITHIN = timedelta(days=3)
"""How long after a sign-up its mail is still worth sending; its link works for seven days."""

RECEIPT_WITHIN = timedelta(days=7)
"""How long after a Yes its receipt is still sent; it can be read at its link all the while."""

LINK_WITHIN = timedelta(minutes=30)
"""How long a link for one use is still sent; it is good for an hour from when it was asked for."""

CHANGE_NOTICE_WITHIN = timedelta(days=1)
"""How long after a change the address from before is told of it; then it is forgotten."""

NOTICE_WITHIN = timedelta(days=7)
"""How long after it came up a notice to the admin is still news."""


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
        return self.kind in ASKING_KINDS

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


_TIME_FIELDS = tuple(
    map(
        QueuedMail._fields.index,
        ("started_at", "since", "signed_up_at", "confirmed_at", "link_at", "link_used_at"),
    )
)
_get_times = itemgetter(*_TIME_FIELDS)


def read_mails(database: Database, ids: Sequence[int]) -> list[QueuedMail]:
    """Return the mails with these numbers, the oldest first."""
    query = Mail.select().where(Mail.id.in_(make_id_list(ids))).order_by(Mail.due_at, Mail.id)
    statement, values = make_sql(query)
    return run_query(database, statement, *values)


def make_sql(mails: Any) -> tuple[str, Sequence[Any]]:
    """Return the SQL and values for `run_query` of the mails that a query finds, in its order."""
    query = (
        mails.select(*_COLUMNS)
        .join_from(Mail, Contact, JOIN.LEFT_OUTER)
        .join_from(Mail, SignUp, JOIN.LEFT_OUTER)
        .join_from(Mail, FreshLink, JOIN.LEFT_OUTER)
    )
    statement, values = query.sql()
    return statement, values


def run_query(database: Database, statement: str, *values: Any) -> list[QueuedMail]:
    """Return the mails that the SQL of `make_sql` finds."""
    # Past peewee, which would look at every field of every row.
    return [_make_queued_mail(row) for row in run_sql(database, statement, *values)]


def _make_queued_mail(row: tuple[Any, ...]) -> QueuedMail:
    if any(_get_times(row)):
        values = list(row)
        for place in _TIME_FIELDS:
            if values[place] is not None:
                values[place] = parse_timestamp(values[place])
        return QueuedMail._make(values)
    return QueuedMail._make(row)


@dataclass(frozen=True)
class CampaignTerms:
    """What a campaign lays down for its mails: how it stands, and until when each kind may go."""

    state: CampaignState
    include_thin: bool
    language: str
    until: Mapping[str, datetime]


def read_terms(database: Database, mails: Iterable[QueuedMail]) -> dict[int, CampaignTerms]:
    """Return the terms of these mails' campaigns, as they are now."""
    ids = {mail.campaign_id for mail in mails} - {None}
    terms = {}
    for number, state, include_thin, language, deadline_at, minimum_days, reminder_at in run_sql(
        database, _SELECT_TERMS.format(ids=_join_ids(ids))
    ):
        deadline = parse_timestamp(deadline_at)
        due_at = parse_timestamp(reminder_at) if reminder_at else None
        terms[number] = CampaignTerms(
            state=CampaignState(state),
            include_thin=bool(include_thin),
            language=language,
            until={
                MailKind.ASK: min(latest_ask(deadline, minimum_days), deadline - _MICROSECOND),
                MailKind.REMINDER: latest_reminder(deadline, due_at),
            },
        )
    return terms


_SELECT_TERMS = """\
SELECT campaign.id, campaign.state, campaign.include_thin, mailing_list.language,
    campaign.deadline, campaign.minimum_days, campaign.reminder_at
FROM campaign JOIN mailing_list ON mailing_list.id = campaign.list_id
WHERE campaign.id IN ({ids})"""


def _join_ids(ids: Iterable[int | None]) -> str:
    return ", ".join(map(str, ids)) or "NULL"


class SendCheck(NamedTuple):
    """What decides about mails: their campaigns' terms, and by the number of a mail the rest.

    `fingerprints` are those of whom nobody has asked to mail, `obstacles` say why a mail is not to
    be sent any more; a pause is no obstacle.
    """

    terms: Mapping[int, CampaignTerms]
    fingerprints: Mapping[int, str]
    last_moments: Mapping[int, datetime]
    obstacles: Mapping[int, Dropped]


def check_mails(
    database: Database, mails: Sequence[QueuedMail], *, fingerprint_key: bytes, now: datetime
) -> SendCheck:
    """Find out whether mails may still be sent, and until when."""
    terms = read_terms(database, mails)
    fingerprints = _compute_fingerprints(mails, fingerprint_key)
    suppressed = _find_suppressed(database, mails, fingerprints)
    last_moments = {mail.id: _compute_last_moment(mail, terms) for mail in mails}
    obstacles = {}
    for mail in mails:
        is_suppressed, until = mail.id in suppressed, last_moments[mail.id]
        if reason := _find_obstacle(mail, terms, is_suppressed=is_suppressed, until=until, now=now):
            obstacles[mail.id] = reason
    return SendCheck(terms, fingerprints, last_moments, obstacles)


def _compute_fingerprints(mails: Iterable[QueuedMail], key: bytes) -> dict[int, str]:
    asks = [mail for mail in mails if mail.is_asking]
    prints = email_address.fingerprints(key, [mail.address_key or "" for mail in asks])
    return {mail.id: fingerprint for mail, fingerprint in zip(asks, prints, strict=True)}


def _find_suppressed(
    database: Database, mails: Sequence[QueuedMail], fingerprints: Mapping[int, str]
) -> set[int]:
    """Return the numbers of the mails whose address is suppressed, for their list or for all."""
    if not fingerprints or run_sql(database, _SELECT_ANY_SUPPRESSION).fetchone() is None:
        return set()
    signs = ", ".join([database.param] * len(fingerprints))
    statement = _SELECT_SUPPRESSIONS.format(signs=signs)
    suppressed = set(run_sql(database, statement, *fingerprints.values()).fetchall())
    if not suppressed:
        return set()
    return {
        mail.id
        for mail in mails
        if (fingerprint := fingerprints.get(mail.id))
        and not suppressed.isdisjoint({(fingerprint, mail.list_id), (fingerprint, None)})
    }


_SELECT_ANY_SUPPRESSION = "SELECT 1 FROM suppression LIMIT 1"
_SELECT_SUPPRESSIONS = """\
SELECT fingerprint, list_id FROM suppression WHERE fingerprint IN ({signs})"""


def _compute_last_moment(mail: QueuedMail, terms: Mapping[int, CampaignTerms]) -> datetime:
    if mail.is_asking:
        return terms[mail.campaign_id or 0].until[mail.kind]
    if mail.kind == MailKind.RECEIPT:
        return enqueue_receipt.read_receipt(mail.topic)[1] + RECEIPT_WITHIN
    if mail.kind == MailKind.NOTICE:
        return parse_timestamp(mail.due_at) + NOTICE_WITHIN
    if mail.signed_up_at:
        return mail.signed_up_at + CONFIRM_WITHIN
    # What a link stands for is gone with its person, and then so is the reason to send it.
    asked_at = mail.link_at or parse_timestamp(mail.due_at)
    return asked_at + (CHANGE_NOTICE_WITHIN if mail.link_purpose == "changed" else LINK_WITHIN)


def _find_obstacle(
    mail: QueuedMail,
    terms: Mapping[int, CampaignTerms],
    *,
    is_suppressed: bool,
    until: datetime,
    now: datetime,
) -> Dropped | None:
    reason = None
    if mail.is_asking:
        campaign_terms = terms[mail.campaign_id or 0]
        if campaign_terms.state is CampaignState.CANCELLED:
            reason = Dropped.CANCELLED
        elif not is_undecided(
            Status(mail.status or ""), mail.basis or "", include_thin=campaign_terms.include_thin
        ):
            # As `remove_contacts` tells them apart: a person's own word, or somebody else's.
            by_word = mail.status != Status.REMOVED or mail.reason in ANSWERED_NO
            reason = Dropped.ANSWERED if by_word else Dropped.SUPPRESSED
        elif is_suppressed:
            reason = Dropped.SUPPRESSED
    elif (
        mail.confirmed_at
        or (mail.link_used_at and mail.link_purpose != "changed")
        or (mail.kind == MailKind.RECEIPT and not _is_answer_current(mail))
    ):
        reason = Dropped.ANSWERED
    elif mail.kind == MailKind.CONFIRM and not (mail.sign_up_uid or mail.link_uid):
        # Its reader was erased meanwhile.
        reason = Dropped.SUPPRESSED
    return reason or (Dropped.TOO_LATE if now > until else None)


def _is_answer_current(mail: QueuedMail) -> bool:
    """Say whether the answer stands that a receipt tells of, and its person is still held."""
    answer, _ = enqueue_receipt.read_receipt(mail.topic)
    status = Status.CONFIRMED if answer is Answer.YES else Status.REMOVED
    return mail.status == status and mail.address is not None


# --- Which of a campaign's frozen wordings a mail is made from. -----------------------------------


def choose_wordings(
    database: Database, mails: Iterable[QueuedMail], terms: Mapping[int, CampaignTerms]
) -> dict[int, int | None]:
    """Return the wording of each mail that nobody has asked for, by its number; None if it lacks.

    In the contact's language, else the list's, else any, the newest revision. A mail that has been
    tried keeps its own, so that every attempt is the same mail.
    """
    newest = _read_newest_wordings(database, terms)
    chosen: dict[int, int | None] = {}
    for mail in mails:
        if not mail.is_asking:
            continue
        if mail.started_at is not None and mail.wording_id is not None:
            chosen[mail.id] = mail.wording_id
            continue
        group = (mail.campaign_id or 0, mail.kind)
        by_language = newest.get(group, {})
        chosen[mail.id] = by_language.get(mail.language) or _choose_fallback(
            by_language, terms[mail.campaign_id or 0].language
        )
    return chosen


def _choose_fallback(by_language: Mapping[str | None, int], usual: str) -> int | None:
    return by_language.get(usual) or next(iter(by_language.values()), None)


def _read_newest_wordings(
    database: Database, campaigns: Iterable[int]
) -> dict[tuple[int, str], dict[str | None, int]]:
    """Return the newest wordings by campaign and kind, and then by language."""
    wordings: dict[tuple[int, str], dict[str | None, int]] = {}
    for campaign_id, kind, language, number in run_sql(
        database, _SELECT_WORDINGS.format(ids=_join_ids(campaigns))
    ):
        wordings.setdefault((campaign_id, kind), {})[language] = number
    return wordings


_SELECT_WORDINGS = """\
SELECT campaign_id, kind, language, id FROM campaign_wording
WHERE campaign_id IN ({ids}) ORDER BY revision, id"""
