"""Which queued mails are not sent any more: too late, answered, suppressed or cancelled."""

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
