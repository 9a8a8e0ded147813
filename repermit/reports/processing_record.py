"""The record of processing activities of a list (GDPR art. 30(1))."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from repermit.contacts import lookup
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList
from repermit.emails.mail_types import ListWords
from repermit.evidence.signed_checkpoint import get_public_key
from repermit.reports.data_recipients import Recipient, list_recipients
from repermit.reports.held_data import HeldDataCounts, count_held_data
from repermit.reports.outcomes_per_day import read_acts
from repermit.reports.register_notes import Notes, read_notes
from repermit.reports.security_measures import Measure, list_measures
from repermit.rules.consent import Status
from repermit.rules.sign_up_deadline import SIGN_UPS_KEPT
from repermit.settings.definitions import Settings


@dataclass(frozen=True, kw_only=True)
class Term:
    """A retention period: `number` of `unit` ("years", "days"); 0 if an event ends it."""

    key: str
    number: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class ProcessingRecord:
    """The record of processing activities of a list.

    - `texts`: the list's texts in each language; empty if it has one language.
    - `evidence_key`: the public key of the key that signs checkpoints (C2SP), "" without one.
    - `dpia`: the note on the impact assessment (art. 35), "" without one.
    - `missing`: the keys of what the organisation has not filled in yet.
    """

    list: str
    name: str
    purpose: str
    frequency: str
    privacy_url: str
    language: str
    texts: tuple[ListWords, ...]
    sensitive: bool
    dpia: str
    made_at: datetime
    controller: Mapping[str, str]
    joint_controllers: str
    representative: str
    held: HeldDataCounts
    legal_bases: tuple[str, ...]
    attest: str
    asking_ground: str
    special_ground: str
    recipients: tuple[Recipient, ...]
    trace_days: int
    retention: tuple[Term, ...]
    measures: tuple[Measure, ...]
    other_measures: str
    evidence_key: str
    missing: tuple[str, ...] = ()


def gather_processing_record(
    mailing_list: MailingList, *, settings: Settings, now: datetime
) -> ProcessingRecord:
    """Return the present record of a list's processing activities."""
    notes: Notes = read_notes(mailing_list)
    held_counts = count_held_data(mailing_list)
    attested = _read_attested(mailing_list)
    record = ProcessingRecord(
        list=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        frequency=mailing_list.frequency,
        privacy_url=mailing_list.privacy_url,
        language=mailing_list.language,
        texts=lookup.read_list_facts(mailing_list).texts,
        sensitive=mailing_list.sensitive,
        dpia=notes.texts.get("dpia", ""),
        made_at=now,
        controller=dict(vars(settings.organisation)),
        joint_controllers=notes.texts.get("joint-controllers", ""),
        representative=notes.texts.get("representative", ""),
        held=held_counts,
        legal_bases=_list_legal_bases(mailing_list, held_counts),
        attest=str(attested.get("attest", "")),
        asking_ground=str(attested.get("asking_ground", "")),
        special_ground=str(attested.get("special_ground", "")),
        recipients=list_recipients(mailing_list.slug, settings),
        trace_days=settings.retention.trace_days,
        retention=_list_terms(settings),
        measures=list_measures(mailing_list, settings),
        other_measures=notes.texts.get("measures", ""),
        evidence_key=str(get_public_key(settings) or ""),
    )
    return replace(record, missing=tuple(dict.fromkeys(_iter_missing_keys(record))))


def _iter_missing_keys(record: ProcessingRecord) -> Iterator[str]:
    """Yield the keys of what is missing, in the order of the record's sections."""
    controller = record.controller
    for key, value in (
        ("organisation.name", controller["name"]),
        ("organisation.address", controller["address"]),
        ("organisation.authority", controller["authority"] or controller["authority_url"]),
        ("joint-controllers", record.joint_controllers),
        ("list.purpose", record.purpose),
        ("list.privacy_url", record.privacy_url),
        ("dpia", record.dpia or not record.sensitive),
    ):
        if not value:
            yield key
    for recipient in record.recipients:
        if not recipient.is_own:
            for name in ("name", "agreement", "country"):
                if not getattr(recipient, name):
                    yield f"{recipient.key}.{name}"
    for recipient in record.recipients:
        if recipient.needs_safeguard and not recipient.safeguard:
            yield f"{recipient.key}.safeguard"
    if not record.other_measures:
        yield "measures"


def _list_legal_bases(mailing_list: MailingList, held_counts: HeldDataCounts) -> tuple[str, ...]:
    """Return the legal bases of a list's processing; `customers` only if there are any."""
    consent = "explicit_consent" if mailing_list.sensitive else "consent"
    customers = ("customers",) if held_counts.statuses[Status.CUSTOMER] else ()
    return (consent, *customers, "asking", "proof", "suppression")


def _read_attested(mailing_list: MailingList) -> Mapping[str, Any]:
    """Return the content of the latest launch's entry; empty without a campaign."""
    campaign = latest_campaign(mailing_list)
    launched = read_acts(mailing_list.slug, ("launched",)) if campaign else ()
    return launched[-1].content if launched else {}


def _list_terms(settings: Settings) -> tuple[Term, ...]:
    """Return the retention periods, with the numbers of the settings."""
    numbers = vars(settings.retention)
    return (
        Term(key="unconfirmed", number=0, unit=""),
        Term(key="confirmed", number=0, unit=""),
        *(
            Term(key=name, number=number, unit=name.rpartition("_")[2])
            for name, number in numbers.items()
        ),
        Term(key="sign_ups", number=SIGN_UPS_KEPT.days, unit="days"),
        Term(key="mails", number=0, unit=""),
        Term(key="fingerprints", number=0, unit=""),
    )
