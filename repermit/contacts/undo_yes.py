"""Putting people back where they stood before a Yes that was no person's.

Every function here must be called inside the caller's transaction, with the contact locked; the
last one as its last step, for it appends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from repermit.contacts.lookup import fingerprint_of
from repermit.contacts.status_changes import Act, entry_of
from repermit.db.models.base import stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.mails import Mail
from repermit.evidence import chain
from repermit.rules import consent
from repermit.rules.consent import CampaignState, Dropped, MailKind, MailState, Status
from repermit.suppression.suppressions import Suppressed, suppress

_STOOD = ("status", "status_at", "basis", "basis_at", "reason")
_MOMENTS = frozenset({"status_at", "basis_at"})
_CALLED = ("address", "name", "language")
_BEFORE = "before_"
_SUPPRESSED = "suppressed_before"


def standing_before(contact: Contact, fingerprint_key: bytes) -> dict[str, Any]:
    """Return how a contact stands before a sign-up's Yes, for the part `consent` of its entry.

    The names are others than those by which an entry says how somebody stands after it.
    """
    told: dict[str, Any] = {_BEFORE + name: _told(getattr(contact, name)) for name in _STOOD}
    found: Suppression | None = Suppression.get_or_none(
        Suppression.list == contact.list_id,
        Suppression.fingerprint == fingerprint_of(contact, fingerprint_key),
    )
    if found is not None:
        told[_SUPPRESSED] = {
            "for": found.reason,
            "since": found.at.isoformat(),
            "whose": found.subject,
            "file": found.imported_by_id or 0,
        }
    return told


def called_before(contact: Contact) -> dict[str, Any]:
    """Return what a contact is called before a sign-up's form, for the part `person`."""
    return {_BEFORE + name: getattr(contact, name) for name in _CALLED}


def put_back(contact: Contact, *, act: Act, fingerprint_key: bytes) -> bool:
    """Let a contact stand as before the Yes of a sign-up, by which it stands now.

    Say whether it did before: of somebody new nothing is done. What the Yes changed is as it was:
    status and basis, with their moments, name and language, the suppression, and the mails owed.
    """
    consented, person = _said(contact, "consent"), _said(contact, "person")
    stood = {name: consented[_BEFORE + name] for name in _STOOD if _BEFORE + name in consented}
    if not stood:
        return False
    yes_at = stored(contact.status_at)
    for name, value in stood.items():
        setattr(contact, name, _moment(value) if name in _MOMENTS else value)
    for name in _CALLED:
        setattr(contact, name, person[_BEFORE + name])
    contact.save()
    if _SUPPRESSED in consented:
        _suppress_again(contact, consented[_SUPPRESSED], fingerprint_key)
    if consent.is_undecided(Status(contact.status), contact.basis, include_thin=True):
        _owe_again(contact)
    told = {**stood, "confirmed_at": yes_at}
    chain.append(entry_of("sign_up_undone", contact, contact.list.slug, act, told))
    return True


def _said(contact: Contact, part: str) -> Mapping[str, Any]:
    """Return a part of the entry by which a contact is confirmed."""
    found: EvidencePart = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == contact.subject,
            Evidence.list == contact.list.slug,
            Evidence.event == "confirmed",
            Evidence.at == contact.status_at,
            EvidencePart.part == part,
        )
        .get()
    )
    said: dict[str, Any] = json.loads(found.json)
    return said


def _suppress_again(contact: Contact, was: Mapping[str, Any], fingerprint_key: bytes) -> None:
    fingerprint = fingerprint_of(contact, fingerprint_key)
    at = datetime.fromisoformat(was["since"])
    again = Suppressed(
        fingerprint=fingerprint,
        subject=was["whose"],
        reason=was["for"],
        at=at,
        imported_by=was["file"] or None,
    )
    suppress(contact.list, [again])


def _owe_again(contact: Contact) -> None:
    """Owe the asks that the Yes dropped, where the campaign is still sending.

    To whom a question is open nothing else can have dropped them as answered.
    """
    owed: Any = (
        Mail.select(Mail.id)
        .join(Campaign)
        .where(
            Mail.contact == contact,
            Mail.kind == MailKind.ASK,
            Mail.state == MailState.DROPPED,
            Mail.reason == Dropped.ANSWERED,
            Campaign.state.in_((CampaignState.SCHEDULED, CampaignState.SENDING)),
        )
        .tuples()
    )
    Mail.update(state=MailState.QUEUED, reason="", worker="", lease_until=None).where(
        Mail.id.in_([number for (number,) in owed])
    ).execute()


def _told(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value or "")


def _moment(value: str) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
