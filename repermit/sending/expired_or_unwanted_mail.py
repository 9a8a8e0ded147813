"""Finding queued mails that must not be sent: too late, answered, suppressed or cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from repermit import email_address
from repermit.contacts import enqueue_receipt
from repermit.db.connection import Database, run_sql
from repermit.db.models.base import parse_timestamp
from repermit.rules.consent import (
    ANSWERED_NO,
    Answer,
    CampaignState,
    Dropped,
    MailKind,
    Status,
    is_undecided,
)
from repermit.rules.deadlines_and_reminders import latest_ask, latest_reminder
from repermit.sending.queued_mail import QueuedMail

# The resolution of the database's timestamps.
_MICROSECOND = timedelta(microseconds=1)

CONFIRM_WITHIN = timedelta(days=3)
"""How long after a sign-up its mail is still worth sending; its link works for seven days."""

RECEIPT_WITHIN = timedelta(days=7)
"""How long after a Yes its receipt is still sent; its page can be read at any time."""

LINK_WITHIN = timedelta(minutes=30)
"""How long a one-time link is still sent; it is valid for an hour from the request."""

CHANGE_NOTICE_WITHIN = timedelta(days=1)
"""How long after a change the former address is still notified; then it is deleted."""

NOTICE_WITHIN = timedelta(days=7)
"""How long a notice to the admin is still sent after its cause."""


@dataclass(frozen=True)
class CampaignTerms:
    """A campaign's state and conditions for its mails; `until`: the latest start by kind."""

    state: CampaignState
    include_thin: bool
    language: str
    until: Mapping[str, datetime]


def read_terms(database: Database, mails: Iterable[QueuedMail]) -> dict[int, CampaignTerms]:
    """Return the present terms of the mails' campaigns, by campaign id."""
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
    """The result of checking mails: the terms by campaign id, all else by a mail's number.

    - `fingerprints`: only of mails that their readers have not requested (asks and reminders).
    - `latest_starts`: the latest time at which a mail may start.
    - `obstacles`: why a mail must not be sent any more; a pause is no obstacle.
    """

    terms: Mapping[int, CampaignTerms]
    fingerprints: Mapping[int, str]
    latest_starts: Mapping[int, datetime]
    obstacles: Mapping[int, Dropped]


def check_mails(
    database: Database, mails: Sequence[QueuedMail], *, fingerprint_key: bytes, now: datetime
) -> SendCheck:
    """Return whether the mails may still be sent, and until when."""
    terms = read_terms(database, mails)
    fingerprints = _compute_fingerprints(mails, fingerprint_key)
    suppressed = _find_suppressed(database, mails, fingerprints)
    latest_starts = {mail.id: _compute_latest_start(mail, terms) for mail in mails}
    obstacles = {}
    for mail in mails:
        is_suppressed, until = mail.id in suppressed, latest_starts[mail.id]
        if reason := _find_obstacle(mail, terms, is_suppressed=is_suppressed, until=until, now=now):
            obstacles[mail.id] = reason
    return SendCheck(terms, fingerprints, latest_starts, obstacles)


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
    placeholders = ", ".join([database.param] * len(fingerprints))
    statement = _SELECT_SUPPRESSIONS.format(placeholders=placeholders)
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
SELECT fingerprint, list_id FROM suppression WHERE fingerprint IN ({placeholders})"""


def _compute_latest_start(mail: QueuedMail, terms: Mapping[int, CampaignTerms]) -> datetime:
    if mail.is_asking:
        return terms[mail.campaign_id or 0].until[mail.kind]
    if mail.kind == MailKind.RECEIPT:
        return enqueue_receipt.read_receipt(mail.topic)[1] + RECEIPT_WITHIN
    if mail.kind == MailKind.NOTICE:
        return parse_timestamp(mail.due_at) + NOTICE_WITHIN
    if mail.signed_up_at:
        return mail.signed_up_at + CONFIRM_WITHIN
    # A link's row is deleted with its person, and then the mail need not be sent.
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
            # As in `remove_contacts`: the person's own answer, or a removal by others.
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
    """Return whether a receipt's answer is still the contact's latest, and the address stored."""
    answer, _ = enqueue_receipt.read_receipt(mail.topic)
    status = Status.CONFIRMED if answer is Answer.YES else Status.REMOVED
    return mail.status == status and mail.address is not None
