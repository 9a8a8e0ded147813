"""The record of processing activities of a list (GDPR art. 30(1)): the facts.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.consent import Status
from repermit.contacts import lookup
from repermit.db.tables import MailingList, latest_campaign
from repermit.emails.mail_values import ListWords
from repermit.reports.papers.admin_acts import done
from repermit.reports.papers.data_recipients import Recipient, recipients
from repermit.reports.papers.held_data import Held, held
from repermit.reports.papers.register_notes import Notes, read_notes
from repermit.reports.papers.security_measures import Measure, measures
from repermit.settings.definitions import Settings


@dataclass(frozen=True, kw_only=True)
class Term:
    """How long something is kept: `number` of `unit` ("years", "days"), or else by an event."""

    key: str
    number: int
    unit: str


@dataclass(frozen=True, kw_only=True)
class Register:
    """The record; `texts` is what a reader of each language is told, none if there is but one."""

    list: str
    name: str
    purpose: str
    frequency: str
    privacy_url: str
    language: str
    texts: tuple[ListWords, ...]
    sensitive: bool
    made_at: datetime
    controller: Mapping[str, str]
    joint_controllers: str
    representative: str
    held: Held
    legal_bases: tuple[str, ...]
    attest: str
    recipients: tuple[Recipient, ...]
    trace_days: int
    retention: tuple[Term, ...]
    measures: tuple[Measure, ...]
    other_measures: str


def register_of(mailing_list: MailingList, *, settings: Settings, now: datetime) -> Register:
    """Return the record of a list's processing, as it is now."""
    notes: Notes = read_notes(mailing_list)
    kept = held(mailing_list)
    return Register(
        list=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        frequency=mailing_list.frequency,
        privacy_url=mailing_list.privacy_url,
        language=mailing_list.language,
        texts=lookup.list_facts(mailing_list).texts,
        sensitive=mailing_list.sensitive,
        made_at=now,
        controller=dict(vars(settings.organisation)),
        joint_controllers=notes.texts.get("joint-controllers", ""),
        representative=notes.texts.get("representative", ""),
        held=kept,
        legal_bases=_legal_bases(mailing_list, kept),
        attest=_attest(mailing_list),
        recipients=recipients(mailing_list, settings=settings, notes=notes),
        trace_days=settings.retention.trace_days,
        retention=_retention(settings),
        measures=measures(mailing_list, settings),
        other_measures=notes.texts.get("measures", ""),
    )


def _legal_bases(mailing_list: MailingList, kept: Held) -> tuple[str, ...]:
    """Return on what grounds data are processed, as far as there is something to process."""
    consent = "explicit_consent" if mailing_list.sensitive else "consent"
    customers = ("customers",) if kept.statuses[Status.CUSTOMER] else ()
    return (consent, *customers, "asking", "proof", "suppression")


def _attest(mailing_list: MailingList) -> str:
    """Return what was attested when people were last asked, "" if nobody was."""
    campaign = latest_campaign(mailing_list)
    launched = done(mailing_list.slug, ("launched",)) if campaign else ()
    said: Mapping[str, Any] = launched[-1].said if launched else {}
    return str(said.get("attest", ""))


def _retention(settings: Settings) -> tuple[Term, ...]:
    """Return the terms, those of the settings with their numbers."""
    numbers = vars(settings.retention)
    return (
        Term(key="unconfirmed", number=0, unit=""),
        Term(key="confirmed", number=0, unit=""),
        *(
            Term(key=name, number=number, unit=name.rpartition("_")[2])
            for name, number in numbers.items()
        ),
        Term(key="fingerprints", number=0, unit=""),
    )
