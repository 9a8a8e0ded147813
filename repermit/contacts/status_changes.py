"""What changes about a contact: status, evidence, suppression and unsent mails, always together.

Every function here must be called inside the caller's transaction, as its last step: evidence is
appended last.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from repermit.contacts.click_log import release
from repermit.contacts.last_ask import Asked, CampaignMail, asked_last, campaign_mails, told_last
from repermit.contacts.lookup import fingerprint_of, is_off_by_file
from repermit.db.connection import chunks, literal
from repermit.db.models.base import PreparedQuery, stored
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.mails import Mail
from repermit.email_address import fingerprints
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.rules import consent
from repermit.rules.consent import (
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
    Suppressed,
    keep_suppressions_of_subjects,
    lift_own,
    suppress,
)

_CHUNK = 500
_ASKING = (MailKind.ASK, MailKind.REMINDER)


@dataclass(frozen=True, kw_only=True)
class Act:
    """Who does something to a contact, when, and what of it is kept.

    `actor` is "person", "reader", "job", or the admin's address or name; `consent`, `person` and
    `trace` go into the parts of the evidence, to the second of which the contact's address and name
    are added, and the number in its links.
    What an admin typed about one person, such as a note, belongs into `person`: it may name them.
    """

    at: datetime
    actor: str
    campaign: int = 0
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)


def confirm(contact: Contact, *, basis: Basis, act: Act, fingerprint_key: bytes) -> None:
    """Register an opt-in: the status, its evidence, and the end of its list's suppression.

    A suppression for all lists stays, since a Yes for one list says nothing of the others, nor
    of those to come. On this list it holds no more: only who is unconfirmed is asked, and an
    import takes whoever said Yes here for one who is on the list.
    """
    contact.status = Status.CONFIRMED
    contact.status_at = contact.basis_at = act.at
    contact.basis = basis
    contact.reason = ""
    contact.form_version += 1
    contact.write_changes()
    lift_own(contact.list_id, fingerprint_of(contact, fingerprint_key))
    drop_unsent([contact], Dropped.ANSWERED)
    release([contact.id])
    chain.append(entry_of("confirmed", contact, contact.list.slug, act, {"basis": str(basis)}))


def remove(
    contacts: Sequence[Contact],
    *,
    reason: Reason,
    act: Act,
    fingerprint_key: bytes,
    facts: Mapping[int, Mapping[str, Any]] | None = None,
    moments: Mapping[int, datetime] | None = None,
    moved: Collection[int] = (),
    file: Import | None = None,
    mails: Sequence[CampaignMail] | None = None,
) -> int:
    """Take contacts of one list off; return how many there were.

    Each gets its status, its evidence and its suppression, and none of its asks or reminders
    leaves any more. `facts` is what the evidence says of each beside the act, by id, and `moments`
    when each left, where that was not at the act; `moved` are those that left an address alone. An
    act of no campaign of its own belongs to the one that asked each of them last, whose report
    tells what became of everybody it asked, and each is told of with what the list told them when
    it asked them, as an answer is. `file` is the import that says so, where no person does:
    nothing of it is known of them once it is taken back. Whom a file alone had taken off leaves by
    themselves now: taking that file back does not put them back. `mails` are campaign_mails of
    them, if they were read since the contacts were locked. Raises TransitionRefused, before
    anything is changed, where a status does not allow the reason.
    """
    left_at = moments or {}
    by_file = {contact.id for contact in contacts if is_off_by_file(contact)}
    for contact in contacts:
        is_by_file = contact.id in by_file
        require_removal(Status(contact.status), reason, basis=contact.basis, by_file=is_by_file)
    if by_file:
        # Also at an address that they have corrected since.
        own = [contact.subject for contact in contacts if contact.id in by_file]
        keep_suppressions_of_subjects(contacts[0].list, own)
    for some in chunks(contacts, _CHUNK):
        for at, these in _by_moment(some, left_at, act.at).items():
            Contact.update(
                status=Status.REMOVED,
                status_at=at,
                reason=reason,
                basis="",
                basis_at=None,
                **(_REFUSED if reason in REFUSALS and not file else {}),
            ).where(Contact.id.in_(literal(these))).execute()
        prints = fingerprints(fingerprint_key, [contact.address_key for contact in some])
        suppress(
            contacts[0].list,
            [
                Suppressed(
                    fingerprint=fingerprint,
                    subject=contact.subject,
                    reason=reason,
                    at=left_at.get(contact.id, act.at),
                    has_moved=contact.id in moved,
                    imported_by=file.id if file else None,
                )
                for contact, fingerprint in zip(some, prints, strict=True)
            ],
        )
        release([contact.id for contact in some])
    mails = campaign_mails([contact.id for contact in contacts]) if mails is None else mails
    _drop(
        [mail.id for mail in mails if mail.kind in _ASKING and mail.state in NOT_STARTED],
        Dropped.ANSWERED if reason in _BY_ANSWER else Dropped.SUPPRESSED,
    )
    slug = contacts[0].list.slug if contacts else ""
    each, asked = facts or {}, asked_last(mails)
    # An answer says itself what it was an answer to.
    told = {} if "purpose" in act.consent else told_last(contacts, asked)
    chain.append(
        *(
            entry_of(
                "removed",
                contact,
                slug,
                replace(act, campaign=act.campaign or _campaign_of(asked.get(contact.id))),
                {"reason": str(reason), **told.get(contact.id, {}), **each.get(contact.id, {})},
            )
            for contact in contacts
        )
    )
    return len(contacts)


# Silence and bounces are no answer: a page that was open before the deadline still counts.
_REFUSED: Mapping[str, Any] = {"has_refused": True, "form_version": Contact.form_version + 1}


def note_press(contact: Contact, *, is_no: bool = False) -> None:
    """Let no other form that the person has open count any more; the contact is locked.

    `is_no` says that No was pressed, also where that changed nothing.
    """
    contact.form_version += 1
    contact.has_refused = contact.has_refused or is_no
    contact.write_changes()


def note_refusal(contact: Contact) -> None:
    """Keep that a No came which changed nothing, as of whom a bounce took off; they are locked."""
    if not contact.has_refused:
        note_press(contact, is_no=True)


def _campaign_of(asked: Asked | None) -> int:
    return asked.campaign if asked else 0


_BY_ANSWER = (Reason.NO, Reason.WITHDRAWN)


def _by_moment(
    some: Sequence[Contact], moments: Mapping[int, datetime], otherwise: datetime
) -> dict[datetime, list[int]]:
    found: dict[datetime, list[int]] = {}
    for contact in some:
        found.setdefault(moments.get(contact.id, otherwise), []).append(contact.id)
    return found


def drop_unsent(contacts: Iterable[Contact], reason: Dropped) -> int:
    """Drop the asks and reminders of these contacts that have not started; return how many."""
    ids = [contact.id for contact in contacts]
    if not ids:
        return 0
    owed = _MAILS_OF_ONE.rows(*ids) if len(ids) == 1 else _mails(Mail.contact.in_(literal(ids)))
    return _drop(
        [number for number, kind, state in owed if kind in _ASKING and state in NOT_STARTED],
        reason,
    )


def _mails(of_contacts: Any) -> Any:
    # By contact alone: without statistics SQLite would go through all that is queued.
    return Mail.select(Mail.id, Mail.kind, Mail.state).where(of_contacts).tuples()


_MAILS_OF_ONE = PreparedQuery(lambda contact: _mails(Mail.contact == contact), 1)


def _drop(mail_ids: Sequence[int], reason: Dropped) -> int:
    """Drop these mails unless they have started meanwhile; return how many."""
    if not mail_ids:
        return 0
    dropped = (
        Mail.update(state=MailState.DROPPED, reason=reason)
        .where(Mail.id.in_(literal(mail_ids)), Mail.state.in_(NOT_STARTED))
        .execute()
    )
    return int(dropped)


def drop_queued(
    campaign: Campaign,
    reason: Dropped,
    *,
    most: int,
    kinds: Collection[MailKind] = tuple(MailKind),
) -> int:
    """Drop mails of a campaign that have not started, so many at most; return how many."""
    owed: Any = Mail.select(Mail.id).where(
        # The kinds are named, so that the index that has them second is used to its end.
        Mail.campaign == campaign,
        Mail.kind.in_(list(kinds)),
        Mail.state.in_(NOT_STARTED),
    )
    found = [number for (number,) in owed.limit(most).tuples()]
    return _drop(found, reason)


def entry_of(event: str, contact: Contact, slug: str, act: Act, more: Mapping[str, Any]) -> Entry:
    """Return the entry of an act on a contact, which says in `consent` what became of it."""
    return Entry(
        event=event,
        at=act.at,
        actor=act.actor,
        list=slug,
        campaign=act.campaign,
        subject=contact.subject,
        consent={**more, **act.consent},
        person={**_person(contact), **act.person},
        trace=act.trace,
    )


def _person(contact: Contact) -> dict[str, str | None]:
    """Return who it was, and what filled the wordings that this person alone saw so."""
    known = {
        "source": contact.source,
        "since": contact.since.isoformat() if contact.since else "",
    }
    shown = {name: value for name, value in known.items() if value}
    return {"address": contact.address, "name": contact.name, "link": contact.uid, **shown}


# --- Putting people back where they stood before a Yes that was no person's. ----------------------


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
