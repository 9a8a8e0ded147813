"""Making a proof of what one person said: a file that stands without us."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit import email_address
from repermit.contacts import admin_requests, lookup
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.errors import NotFound, Refused
from repermit.evidence import chain, chain_reader, consent_receipt, proof_file, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.evidence.stored_tree import Paths
from repermit.settings.definitions import Settings

_SALT_BYTES = 16
_NOBODY_NAMED = {"salt": "", "digest": ""}


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof, and the subject that it is about."""

    document: Mapping[str, Any]
    subject: str

    @property
    def text(self) -> str:
        """Return it as its file has it."""
        return proof_file.as_text(self.document)


def prove(
    database: Database,
    mailing_list: MailingList,
    address: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    known: Checkpoint | None = None,
) -> Proof:
    """Return the proof of all that is recorded of an address on a list.

    Whoever was erased is found by the fingerprint of the address, to which the suppression keeps
    the subject; nothing of the address is kept. `known` is a checkpoint that somebody holds, who is
    to see that the record goes on from it. Raises AddressError, NotFound where nothing is recorded,
    and Refused where the record does not go on from that checkpoint.
    """
    key = email_address.parse(address).key
    with database.atomic():
        subject = _subject_of(mailing_list, key, settings)
        named = proof_file.name_address(key, secrets.token_hex(_SALT_BYTES))
        return _prove(
            mailing_list, subject, key, named, settings, now=now, actor=actor, known=known
        )


def prove_contact(
    database: Database,
    mailing_list: MailingList,
    number: int,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    known: Checkpoint | None = None,
) -> Proof:
    """Return the proof of the contact of this number, as `prove` does; raises NotFound."""
    with database.atomic():
        contact = admin_requests.find_contact(mailing_list, number)
        named = name_contact(contact)
        key = contact.address_key if contact.address else None
        return _prove(
            mailing_list, contact.subject, key, named, settings, now=now, actor=actor, known=known
        )


def _subject_of(mailing_list: MailingList, address_key: str, settings: Settings) -> str:
    found: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.address_key == address_key
    )
    if found is not None:
        return found.subject
    fingerprint = email_address.fingerprint(settings.fingerprint_key, address_key)
    known: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if known and lookup.find_held(mailing_list.id, known.subject):
        raise Refused(
            "this was the earlier address of somebody whom the list holds under another; whoever "
            "has it now may be somebody else. Prove the address that they have now"
        )
    # Nobody's, so that whoever was never here is told the same as whoever said nothing here.
    return known.subject if known else ""


def _prove(
    mailing_list: MailingList,
    subject: str,
    key: str | None,
    named: Mapping[str, str],
    settings: Settings,
    *,
    now: datetime,
    actor: str,
    known: Checkpoint | None = None,
) -> Proof:
    """Put the proof together in the caller's transaction; `key` is the address, None if erased.

    1. What is claimed: the entries, the wordings, the record made from them.
    2. An entry of its own that holds the digest of all that; it is the last before the checkpoint.
    3. The paths from all these entries to the checkpoint's root.
    """
    slug = mailing_list.slug
    entries = chain_reader.entries_about(subject, slug) if subject else []
    if not is_recorded(entries, slug):
        raise NotFound(
            "nothing is recorded of this address on the list %(list)s: nobody of it has answered, "
            "signed up or been taken off there, as far as this system and its fingerprint key can "
            "tell",
            list=slug,
        )
    if key is not None:
        require_own(entries, key, settings)
    wordings = chain_reader.wordings_of(entries)
    statement = statement_for(slug, subject, named, settings, entries=entries, wordings=wordings)
    own = chain.append(seal_of(statement, now=now, actor=actor))
    checkpoint = stored_tree.checkpoint()
    document = document_of(
        statement,
        chain_reader.entry_at(own),
        checkpoint=checkpoint,
        paths=stored_tree.Paths(checkpoint),
        previous=chain_reader.hash_before(own),
    )
    if known is not None:
        document["consistency"] = stored_tree.consistency(known, checkpoint)
    return Proof(document=document, subject=subject)


def require_own(entries: Sequence[Mapping[str, Any]], address_key: str, settings: Settings) -> None:
    """Return if entries are of whoever has an address, as far as they tell; else raise Refused.

    Which entries are whose stands in a row beside the chain, of the contact or the suppression. The
    newest entry that names an address, or after an erasure its fingerprint, shows whether that is
    so, or somebody has pointed the row to the record of another.
    """
    names = (_names_address(one, address_key, settings.fingerprint_key) for one in entries[::-1])
    if next((one for one in names if one is not None), True):
        return
    raise Refused(
        "the record that the database has for this address is of another one: its person left this "
        "address for another before they were erased, or somebody changed the database; see "
        "`repermit verify`"
    )


def _names_address(one: Mapping[str, Any], address_key: str, key: bytes) -> bool | None:
    """Say whether an entry names this address, None if it names none."""
    person, told = (one["parts"].get(name, {}).get("content", {}) for name in ("person", "consent"))
    if person.get("address"):
        return email_address.parse(person["address"]).key == address_key
    if told.get("whose"):
        return bool(told["whose"] == email_address.fingerprint(key, address_key))
    return None


def is_recorded(entries: Sequence[Mapping[str, Any]], slug: str) -> bool:
    """Say whether there is anything of this list to prove."""
    return any(one["entry"]["list"] == slug for one in entries)


def statement_for(
    slug: str,
    subject: str,
    named: Mapping[str, str],
    settings: Settings,
    *,
    entries: Sequence[Mapping[str, Any]],
    wordings: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a proof claims of a person, from their entries and the wordings they name."""
    return proof_file.statement_of(
        slug=slug,
        subject=subject,
        named=named,
        controller=consent_receipt.controller_of(settings.organisation),
        retention=consent_receipt.retention_of(settings.retention),
        entries=entries,
        wordings=wordings,
    )


def seal_of(statement: Mapping[str, Any], *, now: datetime, actor: str) -> Entry:
    """Return the entry that holds the digest of what a proof claims."""
    return Entry(
        event="proved",
        at=now,
        actor=actor,
        list=statement["list"],
        subject=statement["subject"],
        consent={"statement": proof_file.digest_of(statement)},
    )


def document_of(
    statement: Mapping[str, Any],
    seal: Mapping[str, Any],
    *,
    checkpoint: Checkpoint,
    paths: Paths,
    previous: str,
    last: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the proof: a statement, its seal, and how they lead to a checkpoint by its `paths`.

    `last` is the entry before the checkpoint where that is not the seal; `previous` is the chain's
    hash before it.
    """
    further = () if last is None else (last,)
    seqs = [one["entry"]["seq"] for one in (*statement["entries"], seal, *further)]
    return {
        "format": proof_file.FORMAT,
        "statement": statement,
        "seal": seal,
        **({} if last is None else {"last": last}),
        "paths": {str(seq): list(paths.path(seq)) for seq in seqs},
        "previous": previous,
        "checkpoint": checkpoint.to_json(),
    }


def name_contact(contact: Contact) -> Mapping[str, str]:
    """Return by what whoever knows the address of a contact can tell whose a proof is."""
    if contact.address is None:
        return _NOBODY_NAMED
    return proof_file.name_address(contact.address_key, secrets.token_hex(_SALT_BYTES))
