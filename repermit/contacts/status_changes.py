"""Changes of a contact's status, always together with evidence, suppression and unsent mails.

Call every function here inside the caller's transaction, as its last step: evidence is appended
last.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from repermit.clock import format_timestamp
from repermit.contacts.click_log import release_held_yes
from repermit.contacts.last_ask import (
    CampaignMail,
    EvidenceFields,
    LastAsk,
    describe_last_asks,
    find_last_asks,
    list_campaign_mails,
)
from repermit.contacts.lookup import is_off_by_file, make_fingerprint
from repermit.db.connection import chunks, make_id_list
from repermit.db.models.base import ID_LIST, PreparedQuery
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.email_address import fingerprints
from repermit.evidence import chain
from repermit.evidence.entries import Entry, PartForm
from repermit.rules import consent
from repermit.rules.consent import (
    ANSWERED_NO,
    ASKING_KINDS,
    NOT_STARTED,
    REFUSALS,
    Basis,
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
    require_removal,
)
from repermit.suppression.suppressions import (
    NewSuppression,
    add_suppressions,
    delete_suppression,
    keep_suppressions_of_subjects,
)

_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Act:
    """An act on a contact: its actor and time, and the content of its evidence.

    - `actor`: "person", "reader", "job", or the admin's address or name.
    - `consent`, `person`, `trace`: content of the evidence parts of these names. The contact's
      address, name and `uid` are added to `person`. An admin's note on one person belongs into
      `person` too, as it may name them.
    """

    at: datetime
    actor: str
    campaign: int = 0
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)


def confirm_contact(
    contact: Contact,
    *,
    basis: Basis,
    act: Act,
    fingerprint_key: bytes,
    given_at: datetime | None = None,
) -> None:
    """Register an opt-in: set the status, append evidence, and lift the list's suppression.

    - `given_at`: when the Yes was given, if before it is registered; the act's `consent` names it.

    A suppression for all lists stays, since a Yes for one list says nothing about other lists. It
    has no effect on this list: only unconfirmed contacts are asked, and an import leaves a
    confirmed contact on the list.
    """
    contact.status = Status.CONFIRMED
    contact.status_at, contact.basis_at = act.at, given_at or act.at
    contact.basis = basis
    contact.reason = ""
    contact.form_version += 1
    contact.write_changes()
    delete_suppression(contact.list_id, make_fingerprint(contact, fingerprint_key))
    drop_unsent([contact], Dropped.ANSWERED)
    release_held_yes([contact.id])
    chain.append(make_entry("confirmed", contact, contact.list.slug, act, {"basis": str(basis)}))


def remove_contacts(
    contacts: Sequence[Contact],
    *,
    reason: Reason,
    act: Act,
    fingerprint_key: bytes,
    evidence_by_id: Mapping[int, EvidenceFields] | None = None,
    removed_at_by_id: Mapping[int, datetime] | None = None,
    moved: Collection[int] = (),
    file: Import | None = None,
    mails: Sequence[CampaignMail] | None = None,
) -> int:
    """Remove contacts of one list, with evidence and suppressions; return how many.

    Their unsent asks and reminders are dropped.

    - `contacts`: locked; they get the new status too.
    - `evidence_by_id`: further evidence fields, by contact id.
    - `removed_at_by_id`: removal times, where not `act.at`.
    - `moved`: ids of contacts that left one address for another.
    - `file`: the import that removes them, if no person did; undoing it undoes the removal.
    - `mails`: from `list_campaign_mails`, if read since the contacts were locked.

    Without `act.campaign` an entry names the campaign that mailed the contact last. Unless the act
    is an answer, the entry describes the list as that campaign's ask did. A contact that a file
    alone had removed stays removed when that file's import is undone.

    Raises TransitionRefused, before any change, where a status does not allow the reason.
    """
    removal_times = removed_at_by_id or {}
    ids_off_by_file = {contact.id for contact in contacts if is_off_by_file(contact)}
    previous_states = {
        (contact.status, contact.basis, contact.id in ids_off_by_file) for contact in contacts
    }
    for status, basis, is_by_file in previous_states:
        require_removal(Status(status), reason, basis=basis, by_file=is_by_file)
    if ids_off_by_file:
        # This includes suppressions of an address that the contact has corrected since.
        subjects = [contact.subject for contact in contacts if contact.id in ids_off_by_file]
        keep_suppressions_of_subjects(contacts[0].list, subjects)
    values = {"status": Status.REMOVED, "reason": reason, "basis": "", "basis_at": None}
    is_refusal = reason in REFUSALS and not file
    update_status = _TAKE_OFF_REFUSING if is_refusal else _TAKE_OFF
    for chunk in chunks(contacts, _CHUNK):
        for at, ids in _group_by_time(chunk, removal_times, act.at).items():
            update_status.execute(str(reason), format_timestamp(at), ids=ids)
        chunk_fingerprints = fingerprints(
            fingerprint_key, [contact.address_key for contact in chunk]
        )
        add_suppressions(
            contacts[0].list,
            [
                NewSuppression(
                    fingerprint=fingerprint,
                    subject=contact.subject,
                    reason=reason,
                    at=removal_times.get(contact.id, act.at),
                    has_moved=contact.id in moved,
                    imported_by=file.id if file else None,
                )
                for contact, fingerprint in zip(chunk, chunk_fingerprints, strict=True)
            ],
        )
        release_held_yes([contact.id for contact in chunk])
    mails = list_campaign_mails([contact.id for contact in contacts]) if mails is None else mails
    _drop_mails(
        [mail.id for mail in mails if mail.kind in ASKING_KINDS and mail.state in NOT_STARTED],
        Dropped.ANSWERED if reason in ANSWERED_NO else Dropped.SUPPRESSED,
    )
    slug = contacts[0].list.slug if contacts else ""
    evidence, last_asks = evidence_by_id or {}, find_last_asks(mails)
    campaigns = {0, *(last_ask.campaign for last_ask in last_asks.values())}
    acts = {
        campaign_id: replace(act, campaign=act.campaign or campaign_id) for campaign_id in campaigns
    }
    # The consent record of an answer has these fields already.
    last_descriptions = {} if "purpose" in act.consent else describe_last_asks(contacts, last_asks)
    forms: dict[tuple[Any, ...], PartForm] = {}

    def write_consent(last_ask_fields: EvidenceFields, further_fields: EvidenceFields) -> str:
        # Cached: a hundred thousand contacts who were asked in the same words need few forms.
        individual = {**last_ask_fields.individual, **further_fields.individual}
        key = (id(last_ask_fields.shared), id(further_fields.shared), *individual)
        if key not in forms:
            shared = {**further_fields.shared, **act.consent}
            consent_values = {"reason": str(reason), **last_ask_fields.shared, **shared}
            forms[key] = PartForm(consent_values, individual.keys() - shared.keys())
        return forms[key].fill(individual)

    for contact in contacts:
        contact.__data__ |= values | {"status_at": removal_times.get(contact.id, act.at)}
        if is_refusal:
            contact.__data__ |= {"has_refused": True, "form_version": contact.form_version + 1}
    chain.append(
        *(
            make_entry(
                "removed",
                contact,
                slug,
                acts[_get_campaign(last_asks.get(contact.id))],
                {},
                consent_text=write_consent(
                    last_descriptions.get(contact.id, _NO_FIELDS),
                    evidence.get(contact.id, _NO_FIELDS),
                ),
            )
            for contact in contacts
        )
    )
    return len(contacts)


_NO_FIELDS = EvidenceFields()


def _prepare_removal(**more_columns: Any) -> PreparedQuery:
    values = {"status": Status.REMOVED, "basis": "", "basis_at": None, **more_columns}
    return PreparedQuery(
        lambda reason, at: Contact.update(reason=reason, status_at=at, **values).where(
            Contact.id.in_(ID_LIST)
        ),
        2,
    )


_TAKE_OFF = _prepare_removal()
# Silence and bounces are no answers: the form of a page that was open before still counts.
_TAKE_OFF_REFUSING = _prepare_removal(has_refused=True, form_version=Contact.form_version + 1)


def invalidate_open_forms(contact: Contact, *, has_refused: bool = False) -> None:
    """Make every form that the contact has open stale; the contact is locked.

    - `has_refused`: a No was pressed, even if it changed nothing.
    """
    contact.form_version += 1
    contact.has_refused = contact.has_refused or has_refused
    contact.write_changes()


def mark_contact_refused(contact: Contact) -> None:
    """Set `has_refused` for a No that changes nothing else, such as one after a bounce.

    The contact is locked.
    """
    if not contact.has_refused:
        invalidate_open_forms(contact, has_refused=True)


def _get_campaign(last_ask: LastAsk | None) -> int:
    return last_ask.campaign if last_ask else 0


def _group_by_time(
    contacts: Sequence[Contact], removed_at_by_id: Mapping[int, datetime], default: datetime
) -> dict[datetime, list[int]]:
    ids_by_time: dict[datetime, list[int]] = {}
    for contact in contacts:
        ids_by_time.setdefault(removed_at_by_id.get(contact.id, default), []).append(contact.id)
    return ids_by_time


def drop_unsent(
    contacts: Iterable[Contact], reason: Dropped, *, kinds: Collection[MailKind] = ASKING_KINDS
) -> int:
    """Drop the mails of these kinds to contacts that have not started; return how many."""
    ids = [contact.id for contact in contacts]
    if not ids:
        return 0
    mails = _MAILS_OF_ONE.rows(*ids) if len(ids) == 1 else _MAILS_OF_MANY.rows(ids=ids)
    return _drop_mails(
        [number for number, kind, state in mails if kind in kinds and state in NOT_STARTED],
        reason,
    )


def _select_mails(contact_condition: Any) -> Any:
    # By contact alone: without statistics SQLite would scan all queued mails.
    return Mail.select(Mail.id, Mail.kind, Mail.state).where(contact_condition).tuples()


_MAILS_OF_ONE = PreparedQuery(lambda contact: _select_mails(Mail.contact == contact), 1)
_MAILS_OF_MANY = PreparedQuery(lambda: _select_mails(Mail.contact.in_(ID_LIST)))


def _drop_mails(mail_ids: Sequence[int], reason: Dropped) -> int:
    """Drop these mails unless they have started meanwhile; return how many."""
    if not mail_ids:
        return 0
    dropped = (
        Mail.update(state=MailState.DROPPED, reason=reason)
        .where(
            # Without a range PostgreSQL would read the whole table for many adjacent ids.
            Mail.id.between(min(mail_ids), max(mail_ids)),
            Mail.id.in_(make_id_list(mail_ids)),
            Mail.state.in_(NOT_STARTED),
        )
        .execute()
    )
    return int(dropped)


def drop_queued(campaign: Campaign, reason: Dropped, *, max_rows: int) -> int:
    """Drop at most `max_rows` unstarted asks and reminders of a campaign; return how many.

    Its mails to the admin and to witnesses stay, as they report on the campaign.
    """
    mails: Any = Mail.select(Mail.id).where(
        # The kinds are named, so that all columns of the index are used.
        Mail.campaign == campaign,
        Mail.kind.in_(ASKING_KINDS),
        Mail.state.in_(NOT_STARTED),
    )
    mail_ids = [number for (number,) in mails.limit(max_rows).tuples()]
    return _drop_mails(mail_ids, reason)


def make_entry(
    event: str,
    contact: Contact,
    slug: str,
    act: Act,
    consent_values: Mapping[str, Any],
    *,
    consent_text: str = "",
) -> Entry:
    """Return the evidence entry of an act on a contact.

    - `consent_values`: the outcome, for the part `consent`.
    - `consent_text`: the whole text of that part, if it is made already.
    """
    return Entry(
        event=event,
        at=act.at,
        actor=act.actor,
        list=slug,
        campaign=act.campaign,
        subject=contact.subject,
        consent={**consent_values, **act.consent},
        person={**_make_person_part(contact), **act.person},
        trace=act.trace,
        texts={"consent": consent_text} if consent_text else {},
    )


def _make_person_part(contact: Contact) -> dict[str, str | None]:
    """Return the part `person`: the contact's identity and its values in mails and pages."""
    part = {"address": contact.address, "name": contact.name, "link": contact.uid}
    if contact.source:
        part["source"] = contact.source
    if contact.since:
        part["since"] = contact.since.isoformat()
    return part


# --- Undoing a sign-up whose Yes came from a program. ---------------------------------------------


_STATUS_FIELDS = ("status", "status_at", "basis", "basis_at", "reason")
_TIME_FIELDS = frozenset({"status_at", "basis_at"})
_NAME_FIELDS = ("address", "name", "language")
_FORMER_PREFIX = "before_"
_FORMER_SUPPRESSION = "suppressed_before"


def describe_previous_status(contact: Contact, fingerprint_key: bytes) -> dict[str, Any]:
    """Return the status of a contact before a sign-up's Yes, for the part `consent` of its entry.

    The field names differ from those of the status after it.
    """
    previous_status: dict[str, Any] = {
        _FORMER_PREFIX + name: _format_value(getattr(contact, name)) for name in _STATUS_FIELDS
    }
    suppression: Suppression | None = Suppression.get_or_none(
        Suppression.list == contact.list_id,
        Suppression.fingerprint == make_fingerprint(contact, fingerprint_key),
    )
    if suppression is not None:
        previous_status[_FORMER_SUPPRESSION] = {
            "for": suppression.reason,
            "since": suppression.at.isoformat(),
            "whose": suppression.subject,
            "file": suppression.imported_by_id or 0,
        }
    return previous_status


def describe_previous_name(contact: Contact) -> dict[str, Any]:
    """Return address, name and language of a contact before a sign-up, for the part `person`."""
    return {_FORMER_PREFIX + name: getattr(contact, name) for name in _NAME_FIELDS}


def undo_sign_up(contact: Contact, *, act: Act, fingerprint_key: bytes) -> bool:
    """Undo the Yes of a sign-up that confirmed a contact; False for a contact that was new then.

    It restores status and basis with their times, address, name and language, the suppression, and
    the unsent asks. Nothing is changed for a new contact.
    """
    consent_part, person_part = (
        _read_confirmation(contact, "consent"),
        _read_confirmation(contact, "person"),
    )
    previous_status = {
        name: consent_part[_FORMER_PREFIX + name]
        for name in _STATUS_FIELDS
        if _FORMER_PREFIX + name in consent_part
    }
    if not previous_status:
        return False
    yes_at = format_timestamp(contact.status_at)
    for name, value in previous_status.items():
        setattr(contact, name, _parse_time(value) if name in _TIME_FIELDS else value)
    for name in _NAME_FIELDS:
        setattr(contact, name, person_part[_FORMER_PREFIX + name])
    contact.save()
    if _FORMER_SUPPRESSION in consent_part:
        _restore_suppression(contact, consent_part[_FORMER_SUPPRESSION], fingerprint_key)
    if consent.is_undecided(Status(contact.status), contact.basis, include_thin=True):
        _requeue_asks(contact)
    consent_values = {**previous_status, "confirmed_at": yes_at}
    chain.append(make_entry("sign_up_undone", contact, contact.list.slug, act, consent_values))
    return True


def _read_confirmation(contact: Contact, part: str) -> Mapping[str, Any]:
    """Return a part of the entry by which a contact is confirmed."""
    row: EvidencePart = (
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
    content: dict[str, Any] = json.loads(row.json)
    return content


def _restore_suppression(
    contact: Contact, former_suppression: Mapping[str, Any], fingerprint_key: bytes
) -> None:
    fingerprint = make_fingerprint(contact, fingerprint_key)
    at = datetime.fromisoformat(former_suppression["since"])
    suppression = NewSuppression(
        fingerprint=fingerprint,
        subject=former_suppression["whose"],
        reason=former_suppression["for"],
        at=at,
        imported_by=former_suppression["file"] or None,
    )
    add_suppressions(contact.list, [suppression])


def _requeue_asks(contact: Contact) -> None:
    """Queue again the asks that the Yes dropped, while their campaign is scheduled or sending.

    For a contact whose question is open, nothing but that Yes can have dropped them as answered.
    """
    dropped_asks: Any = (
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
        Mail.id.in_([number for (number,) in dropped_asks])
    ).execute()


def _format_value(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value or "")


def _parse_time(value: str) -> datetime | None:
    return datetime.fromisoformat(value) if value else None
