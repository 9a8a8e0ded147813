"""Making proofs of one person's or everybody's answers, verifiable without a server."""

from __future__ import annotations

import json
import secrets
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

from peewee import fn

from repermit import email_address
from repermit.contacts import admin_requests, lookup
from repermit.db.connection import Database, analyze_grown_tables, iter_pages, read_snapshot
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import FIRST_STEP_ROWS, MAX_ROWS_PER_STEP, StepSize
from repermit.errors import NotFound, Refused
from repermit.evidence import (
    chain,
    chain_reader,
    consent_receipt,
    proof_file,
    signed_checkpoint,
    stored_tree,
)
from repermit.evidence.consent_receipt import NO_REGISTER
from repermit.evidence.cosigned_checkpoints import CosignedCheckpoints
from repermit.evidence.entries import Checkpoint, Entry
from repermit.evidence.stored_tree import MerkleProofs
from repermit.evidence.timestamps import Timestamps
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings

_SALT_BYTES = 16
Register = Mapping[str, Sequence[str]]
"""The places and recipients in the record of processing, see `NO_REGISTER`."""

_NOBODY_NAMED = {"salt": "", "digest": ""}


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A proof document, and its subject."""

    document: Mapping[str, Any]
    subject: str

    @property
    def text(self) -> str:
        """Return the text of the proof's file."""
        return proof_file.as_text(self.document)


def prove_address(
    database: Database,
    mailing_list: MailingList,
    address: str,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    known: Checkpoint | None = None,
    register: Register = NO_REGISTER,
) -> Proof:
    """Return the proof of everything recorded about an address on a list.

    An erased person is found by the address's fingerprint in the suppression, which has the
    subject; the address itself is not stored.

    - `known`: a checkpoint that the recipient holds; the proof shows that the record extends it.
    - `register`: the places and recipients in the record of processing.
    - Raises AddressError, NotFound if nothing is recorded, and Refused if the record does not
      extend that checkpoint.
    """
    key = email_address.parse(address).key

    def find() -> _Person:
        subject = _find_subject(mailing_list, key, settings)
        return _Person(subject, key, proof_file.digest_address(key, secrets.token_hex(_SALT_BYTES)))

    return _make_proof(
        database, mailing_list, find, settings, now=now, actor=actor, known=known, register=register
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
    register: Register = NO_REGISTER,
) -> Proof:
    """Return the proof of a contact, given its id, as `prove_address` does; raises NotFound."""

    def find() -> _Person:
        contact = admin_requests.find_contact(mailing_list, number)
        key = contact.address_key if contact.address else None
        return _Person(contact.subject, key, make_address_digest(contact))

    return _make_proof(
        database, mailing_list, find, settings, now=now, actor=actor, known=known, register=register
    )


def _find_subject(mailing_list: MailingList, address_key: str, settings: Settings) -> str:
    contact: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.address_key == address_key
    )
    if contact is not None:
        return contact.subject
    fingerprint = email_address.fingerprint(settings.fingerprint_key, address_key)
    suppression: Suppression | None = (
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
        .order_by(Suppression.list.is_null())
        .first()
    )
    if suppression and lookup.find_current_contact(mailing_list.id, suppression.subject):
        raise Refused(
            "this was the earlier address of somebody who is on the list with another one; "
            "whoever has it now may be somebody else. Prove the address that they have now"
        )
    # An unknown address gets the same reply as one without entries.
    return suppression.subject if suppression else ""


class _Person(NamedTuple):
    """The person that a proof is about; `key` is the address key, None after an erasure."""

    subject: str
    key: str | None
    named: Mapping[str, str]


def _make_proof(
    database: Database,
    mailing_list: MailingList,
    find: Callable[[], _Person],
    settings: Settings,
    *,
    now: datetime,
    actor: str,
    known: Checkpoint | None = None,
    register: Register = NO_REGISTER,
) -> Proof:
    """Make the proof of the person that `find` returns.

    1. Compose the statement: the entries, the wordings, and the record made from them.
    2. Append a seal, the entry with the statement's digest; it is the last before the checkpoint.
    3. Add the inclusion proofs of all these entries under the checkpoint's root.
    """

    def compose() -> Claims:
        statement = _read_statement(mailing_list.slug, find(), settings, register=register)
        return Claims([statement], [make_seal(statement, now=now, actor=actor)])

    with _append_seals(database, compose, database.atomic) as (claims, own):
        checkpoint = signed_checkpoint.make_signed_checkpoint(settings)
        consistency = stored_tree.make_consistency_proof(known, checkpoint) if known else None
    (statement,) = claims.statements
    paths = stored_tree.MerkleProofs(checkpoint)
    document = assemble_proof(
        statement,
        chain_reader.read_entry(own),
        checkpoint=checkpoint,
        paths=paths,
        timestamps=Timestamps(checkpoint, paths),
        cosigned=CosignedCheckpoints(checkpoint, paths),
        previous=chain_reader.read_previous_hash(own),
        settings=settings,
    )
    if consistency is not None:
        document["consistency"] = consistency
    return Proof(document=document, subject=statement["subject"])


class Claims(NamedTuple):
    """The statements about several people, and their seals.

    - `addresses`: "" for an erased person.
    - `unproved`: the number of further people without entries in the record.
    """

    statements: Sequence[dict[str, Any]]
    seals: Sequence[Entry]
    addresses: Sequence[str] = ()
    unproved: int = 0


_TRIES = 3


@contextmanager
def _append_seals(
    database: Database,
    compose: Callable[[], Claims],
    transaction: Callable[[], AbstractContextManager[object]],
) -> Iterator[tuple[Claims, int]]:
    """Append seals, and yield the sealed claims and the last seal's sequence number.

    The block runs inside the open transaction. Composing takes seconds for a person with thousands
    of entries, so it is done outside of it. If new entries about the same people appear meanwhile,
    it is repeated, at last while nobody else can write.
    """
    for _ in range(_TRIES):
        with read_snapshot(database):
            seq = stored_tree.checkpoint().seq
            claims = compose()
        with transaction():
            chain.lock_head()
            if not chain_reader.has_newer_entries([seal.subject for seal in claims.seals], seq):
                yield claims, chain.append(*claims.seals)
                return
    with transaction():
        chain.lock_head()
        claims = compose()
        yield claims, chain.append(*claims.seals)


def _read_statement(
    slug: str, person: _Person, settings: Settings, *, register: Register
) -> dict[str, Any]:
    """Return the statement about a person; raises NotFound if nothing is recorded."""
    subject, key, named = person
    entries = chain_reader.read_entries_of_subject(subject, slug) if subject else []
    if not has_entries(entries, slug):
        raise NotFound(
            "nothing is recorded of this address on the list %(list)s: nobody of it has answered, "
            "signed up or been taken off there, as far as this system and its fingerprint key can "
            "tell",
            list=slug,
        )
    if key is not None:
        require_same_address(entries, key, settings)
    return make_statement(
        slug,
        subject,
        named,
        settings,
        entries=entries,
        wordings=chain_reader.read_wordings(entries),
        register=register,
        campaign_entries=chain_reader.read_campaign_entries(_list_campaigns(entries), slug),
    )


def _list_campaigns(entries: Iterable[Mapping[str, Any]]) -> set[int]:
    return {item["entry"]["campaign"] for item in entries} - {0}


def require_same_address(
    entries: Sequence[Mapping[str, Any]], address_key: str, settings: Settings
) -> None:
    """Raise Refused if the entries name another address than this.

    The subject of an address is in the row of a contact or a suppression, outside of the chain. The
    newest entry with an address, or after an erasure with its fingerprint, shows whether somebody
    has changed that row to the subject of another person.
    """
    names = (_names_address(item, address_key, settings.fingerprint_key) for item in entries[::-1])
    if next((item for item in names if item is not None), True):
        return
    raise Refused(
        "the record that the database has for this address is of another one: its person left this "
        "address for another before they were erased, or somebody changed the database; see "
        "`repermit verify`"
    )


def _names_address(item: Mapping[str, Any], address_key: str, key: bytes) -> bool | None:
    """Say whether an entry names this address; None if it names no address."""
    person, consent = (
        item["parts"].get(name, {}).get("content", {}) for name in ("person", "consent")
    )
    if person.get("address"):
        return email_address.parse(person["address"]).key == address_key
    if consent.get("whose"):
        return bool(consent["whose"] == email_address.fingerprint(key, address_key))
    return None


def has_entries(entries: Sequence[Mapping[str, Any]], slug: str) -> bool:
    """Say whether any of the entries is on this list."""
    return any(item["entry"]["list"] == slug for item in entries)


def make_statement(
    slug: str,
    subject: str,
    named: Mapping[str, str],
    settings: Settings,
    *,
    entries: Sequence[Mapping[str, Any]],
    wordings: Mapping[str, str],
    register: Register,
    campaign_entries: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the statement about a person, from their entries and the wordings in them.

    - `campaign_entries`: those of the person's own campaigns are selected.
    """
    campaigns = _list_campaigns(entries)
    return proof_file.compose_statement(
        slug=slug,
        subject=subject,
        named=named,
        controller=consent_receipt.describe_controller(settings.organisation),
        retention=consent_receipt.describe_retention(settings.retention),
        entries=entries,
        wordings=wordings,
        register=register,
        campaign_entries=[
            item for item in campaign_entries if item["entry"]["campaign"] in campaigns
        ],
    )


def make_seal(statement: Mapping[str, Any], *, now: datetime, actor: str) -> Entry:
    """Return the seal of a statement: the entry that holds its digest."""
    return Entry(
        event="proved",
        at=now,
        actor=actor,
        list=statement["list"],
        subject=statement["subject"],
        consent={"statement": proof_file.hash_statement(statement)},
    )


def assemble_proof(
    statement: Mapping[str, Any],
    seal: Mapping[str, Any],
    *,
    checkpoint: Checkpoint,
    paths: MerkleProofs,
    timestamps: Timestamps,
    cosigned: CosignedCheckpoints,
    previous: str,
    settings: Settings,
    last: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the proof: a statement, its seal, and their inclusion proofs under a checkpoint.

    - `checkpoint`: must be signed if the settings have a key.
    - `last`: the last entry before the checkpoint; None if that is the seal.
    - `previous`: the hash of the entry before that.
    """
    further = () if last is None else (last,)
    shown = {
        "timestamps": timestamps.list_covering(statement["entries"]),
        "cosigned": cosigned.list_covering(statement["entries"]),
    }
    from_others = {name: documents for name, documents in shown.items() if documents}
    included = (*statement["entries"], *statement.get("campaign_entries", ()), seal, *further)
    seqs = [item["entry"]["seq"] for item in included]
    return {
        **_describe_format(settings, is_vouched=bool(from_others)),
        "statement": statement,
        "seal": seal,
        **({} if last is None else {"last": last}),
        "paths": {str(seq): list(paths.prove_inclusion(seq)) for seq in seqs},
        "previous": previous,
        "checkpoint": checkpoint.to_json(),
        **from_others,
    }


def _describe_format(settings: Settings, *, is_vouched: bool) -> dict[str, str]:
    """Return a proof's format, and the public half of the key that signed its checkpoint."""
    key = signed_checkpoint.get_public_key(settings)
    if key is None:
        return {"format": proof_file.SIGNED_FORMAT if is_vouched else proof_file.FORMAT}
    return {"format": proof_file.SIGNED_FORMAT, "key": str(key)}


def make_address_digest(contact: Contact) -> Mapping[str, str]:
    """Return a salted digest of the contact's address, by which the proof can be recognised."""
    if contact.address is None:
        return _NOBODY_NAMED
    return proof_file.digest_address(contact.address_key, secrets.token_hex(_SALT_BYTES))


# --- The proofs of all people on a list who have decided, under one checkpoint. -------------------


_LENGTH_BYTES = 8
_DECIDED = (Status.CONFIRMED, Status.CUSTOMER, Status.REMOVED)


class SealedProofs:
    """Sealed statements in a temporary file, to be completed with a later checkpoint.

    - `count`: the number of statements.
    - `unproved`: the number of people without entries in the record.
    """

    def __init__(self, file: BinaryIO, settings: Settings) -> None:
        self._file = file
        self._settings = settings
        self.count = 0
        self.unproved = 0

    def add(self, claims: Claims, last: int) -> None:
        """Add the statements of `claims`; `last` is the number of their last seal."""
        seals = chain_reader.read_entries(last - len(claims.seals) + 1, last)
        for statement, seal, address in zip(
            claims.statements, seals, claims.addresses, strict=True
        ):
            record = {"statement": statement, "seal": seal, "address": address}
            # Most statements contain the same long wordings.
            compressed = zlib.compress(json.dumps(record).encode(), level=1)
            self._file.write(len(compressed).to_bytes(_LENGTH_BYTES))
            self._file.write(compressed)
        self.count += len(seals)
        self.unproved += claims.unproved

    def closed_by(self, seq: int, checkpoint: Checkpoint) -> Iterator[tuple[str, Proof]]:
        """Yield (address, proof) for each statement, under a checkpoint whose last entry is `seq`.

        - `seq`: an entry that was appended after all seals.
        - The address of an erased person is "".
        """
        # The content of that entry is not about the person, so it is left out.
        last = {"entry": chain_reader.read_entry(seq)["entry"], "parts": {}}
        previous = chain_reader.read_previous_hash(seq)
        paths = stored_tree.MerkleProofs(checkpoint)
        timestamps = Timestamps(checkpoint, paths)
        cosigned = CosignedCheckpoints(checkpoint, paths)
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            compressed = self._file.read(int.from_bytes(length))
            record = json.loads(zlib.decompress(compressed))
            document = assemble_proof(
                record["statement"],
                record["seal"],
                checkpoint=checkpoint,
                paths=paths,
                timestamps=timestamps,
                cosigned=cosigned,
                previous=previous,
                settings=self._settings,
                last=last,
            )
            subject = record["statement"]["subject"]
            yield record["address"], Proof(document=document, subject=subject)


@contextmanager
def seal_proofs(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    register: Register = NO_REGISTER,
) -> Iterator[SealedProofs]:
    """Seal the proofs of all contacts that may be mailed or were removed; yield them.

    1. In steps, compose statements, then append a seal for each in a transaction.
    2. The caller appends an entry after all seals, takes the checkpoint, and calls `closed_by`.

    The statements are in an unnamed temporary file, so that memory use stays constant.
    """
    with tempfile.TemporaryFile() as file:
        sealed = SealedProofs(file, settings)
        decided = _make_decided_conditions(mailing_list)
        query: Any = Contact.select(Contact.id).where(*decided).tuples()
        pages = iter_pages(query, Contact.id, size=MAX_ROWS_PER_STEP, read_key=itemgetter(0))
        # Outside of a transaction: a million contacts of other lists may have to be read.
        numbers = (number for page in pages for (number,) in page)
        size = StepSize(max_rows=FIRST_STEP_ROWS)
        analyze_grown_tables(database)
        while batch := list(islice(numbers, size.rows)):
            compose = partial(
                _compose_claims,
                mailing_list,
                batch,
                settings=settings,
                now=now,
                actor=actor,
                register=register,
            )
            with _append_seals(database, compose, partial(size.step, database)) as (claims, last):
                pass
            sealed.add(claims, last)
        yield sealed


def _make_decided_conditions(mailing_list: MailingList) -> tuple[Any, ...]:
    """Return the conditions for contacts that may be mailed or were removed, each person once.

    A person who was erased and came back has a later row with the same subject.
    """
    later = Contact.alias("later")
    has_come_back = fn.EXISTS(
        later.select(later.id).where(
            later.list + 0 == Contact.list,
            later.subject == Contact.subject,
            later.has_predecessor,
            later.id > Contact.id,
            later.status.in_(_DECIDED),
        )
    )
    return (
        # Contacts are read by id: `+ 0` keeps the index of the list from being used, as its rows
        # would have to be sorted in each step.
        Contact.list + 0 == mailing_list.id,
        Contact.status.in_(_DECIDED),
        Contact.erased_at.is_null() | ~has_come_back,
    )


def _compose_claims(
    mailing_list: MailingList,
    numbers: Sequence[int],
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    register: Register,
) -> Claims:
    """Return the claims about those of these contacts that have decided."""
    slug, decided = mailing_list.slug, _make_decided_conditions(mailing_list)
    contacts = list(Contact.select().where(Contact.id.in_(numbers), *decided).order_by(Contact.id))
    entries_by_subject = chain_reader.read_entries_by_subject(
        [contact.subject for contact in contacts], slug
    )
    proved_contacts = [
        contact for contact in contacts if has_entries(entries_by_subject[contact.subject], slug)
    ]
    for contact in proved_contacts:
        if contact.address is not None:
            own_entries = entries_by_subject[contact.subject]
            require_same_address(own_entries, contact.address_key, settings)
    entries = [item for contact in proved_contacts for item in entries_by_subject[contact.subject]]
    wordings = chain_reader.read_wordings(entries)
    campaign_entries = chain_reader.read_campaign_entries(_list_campaigns(entries), slug)
    statements = [
        make_statement(
            slug,
            contact.subject,
            make_address_digest(contact),
            settings,
            entries=entries_by_subject[contact.subject],
            wordings=_select_wordings(entries_by_subject[contact.subject], wordings),
            register=register,
            campaign_entries=campaign_entries,
        )
        for contact in proved_contacts
    ]
    return Claims(
        statements,
        [make_seal(statement, now=now, actor=actor) for statement in statements],
        [contact.address or "" for contact in proved_contacts],
        len(contacts) - len(proved_contacts),
    )


def _select_wordings(
    entries: Sequence[Mapping[str, Any]], wordings: Mapping[str, str]
) -> dict[str, str]:
    """Return the wordings that these entries refer to."""
    named = proof_file.list_named_digests(entries)
    return {digest: text for digest, text in wordings.items() if digest in named}
