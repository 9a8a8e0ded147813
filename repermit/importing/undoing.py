"""Take the last import back.

May import contacts, evidence, models, consent and this room's results.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from repermit import evidence
from repermit.consent import CampaignState, MailState, Status
from repermit.errors import Refused
from repermit.evidence import Entry
from repermit.importing.results import UndoResult
from repermit.models import (
    Contact,
    Import,
    Mail,
    Suppression,
    chunks,
    latest_campaign,
    lock_rows,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_CHUNK = 500
_ERASED_PARTS = ("person", "trace")
_UNSENT = (MailState.QUEUED, MailState.DROPPED)


def undo_import(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,  # noqa: ARG001  as all use cases do
    now: datetime,
    actor: str,
) -> UndoResult:
    """Take back the last import of a list that is not taken back yet, in one transaction.

    Its contacts and its suppressions go, and contacts that it changed become what they were,
    unless something happened to them since. Raises Refused while a campaign is live, and when
    one of its contacts was mailed or has answered.
    """
    with database.atomic():
        record = _last(mailing_list)
        own: Any = Contact.select().where(Contact.imported_by == record)
        _require_untouched(mailing_list, record, own)
        proven = [
            subject
            for (subject,) in own.select(Contact.subject).where(Contact.basis != "").tuples()
        ]
        taken_back = Contact.delete().where(Contact.imported_by == record).execute()
        restored = list(_restore(record))
        lifted = _lift_suppressions(mailing_list, record)
        Import.update(undone_at=now).where(Import.id == record.id).execute()
        facts = {"file": record.digest, "name": record.file, "imported_at": stored(record.at)}
        undoing = _Undoing(at=now, actor=actor, slug=mailing_list.slug, facts=facts)
        for some in chunks(proven, _CHUNK):
            evidence.append(*map(undoing.erased, some))
        for images in chunks(restored, _CHUNK):
            evidence.append(*(undoing.restored(image) for image in images))
        counts = {"contacts": taken_back, "restored": len(restored), "suppressions": lifted}
        evidence.append(undoing.entry("import_undone", consent=counts))
    return UndoResult(
        file=record.file,
        contacts_taken_back=taken_back,
        restored=len(restored),
        suppressions_taken_back=lifted,
    )


class _Restored(NamedTuple):
    """A contact that is again what it was."""

    subject: str
    status: str
    basis: str


@dataclass(frozen=True, kw_only=True)
class _Undoing:
    """Makes the entries of one undoing; each says which import it takes back."""

    at: datetime
    actor: str
    slug: str
    facts: Mapping[str, str]

    def entry(self, event: str, *, consent: Mapping[str, Any], subject: str = "") -> Entry:
        """Return an entry."""
        return Entry(
            event=event,
            at=self.at,
            actor=self.actor,
            list=self.slug,
            subject=subject,
            consent={**consent, **self.facts},
        )

    def erased(self, subject: str) -> Entry:
        """Delete the name and address from the entries of a contact that is gone, and say so."""
        seqs = evidence.erase_parts(subject, _ERASED_PARTS)
        return self.entry("erased", consent={"seqs": seqs, "parts": _ERASED_PARTS}, subject=subject)

    def restored(self, contact: _Restored) -> Entry:
        """Return the entry that says what a contact is again."""
        was = {"status": contact.status, "basis": contact.basis}
        return self.entry("import_undone", consent=was, subject=contact.subject)


def _last(mailing_list: MailingList) -> Import:
    """Return the list's last import that stands, locked; raises Refused."""
    query = Import.select().where(Import.list == mailing_list, Import.undone_at.is_null())
    found: Import | None = lock_rows(query.order_by(Import.id.desc()).limit(1)).first()
    if found is None:
        message = f"nothing was imported into {mailing_list.slug} that could be taken back"
        raise Refused(message)
    return found


def _require_untouched(mailing_list: MailingList, record: Import, own: Any) -> None:
    campaign = latest_campaign(mailing_list)
    if campaign is not None and CampaignState(campaign.state).is_live:
        raise Refused("an import cannot be taken back while a campaign is live")
    # Locked, so that nobody answers in between.
    for _ in lock_rows(own.select(Contact.id).order_by(Contact.id)).tuples().iterator():
        pass
    mailed = own.join(Mail, on=(Mail.contact == Contact.id)).where(Mail.state.not_in(_UNSENT))
    if mailed.exists():
        message = f"{record.file} cannot be taken back: people from it have been mailed"
        raise Refused(message)
    if own.where(Contact.status_at != record.at).exists():
        message = (
            f"{record.file} cannot be taken back: people from it have answered or were taken off"
        )
        raise Refused(message)


def _restore(record: Import) -> Iterator[_Restored]:
    """Make the contacts that the import changed what they were, if they are as it left them."""
    for images in chunks(json.loads(record.before), _CHUNK):
        untouched = Contact.select().where(
            Contact.id.in_([image[0] for image in images]),
            Contact.status_at == record.at,
            Contact.erased_at.is_null(),
        )
        found = {contact.id: contact for contact in lock_rows(untouched.order_by(Contact.id))}
        for number, status, status_at, basis, basis_at in images:
            contact = found.get(number)
            if contact is None:
                continue
            Contact.update(
                status=status,
                status_at=datetime.fromisoformat(status_at),
                reason="",
                basis=basis,
                basis_at=datetime.fromisoformat(basis_at) if basis_at else None,
            ).where(Contact.id == number).execute()
            yield _Restored(contact.subject, status, basis)


def _lift_suppressions(mailing_list: MailingList, record: Import) -> int:
    """Delete the suppressions of an import, but for those of who has been taken off for good."""
    removed = Contact.select(Contact.subject).where(
        Contact.list == mailing_list, Contact.status == Status.REMOVED
    )
    query = Suppression.delete().where(
        Suppression.imported_by == record, Suppression.subject.not_in(removed)
    )
    return int(query.execute())
