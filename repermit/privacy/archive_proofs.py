"""Making the proofs of everybody on a list who has decided, under one checkpoint."""

from __future__ import annotations

import json
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO

from peewee import fn

from repermit.db.background_tasks import run_steps
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.evidence import chain, chain_reader, proof_file, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.privacy.make_proof import (
    Proof,
    document_of,
    is_recorded,
    name_contact,
    require_own,
    seal_of,
    statement_for,
)
from repermit.rules.consent import Status
from repermit.settings.definitions import Settings

_LENGTH_BYTES = 8
_DECIDED = (Status.CONFIRMED, Status.CUSTOMER, Status.REMOVED)


class Proofs:
    """Proofs that are sealed and wait to be closed: `count` of them.

    `unproved` is of how many the record says nothing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.count = 0
        self.unproved = 0

    def add(self, statement: Mapping[str, Any], seal: Mapping[str, Any], address: str) -> None:
        """Put aside what one proof claims, and its seal."""
        record = {"statement": statement, "seal": seal, "address": address}
        # The wordings are the same in most, and long.
        packed = zlib.compress(json.dumps(record).encode(), level=1)
        self._file.write(len(packed).to_bytes(_LENGTH_BYTES))
        self._file.write(packed)
        self.count += 1

    def closed_by(self, seq: int, checkpoint: Checkpoint) -> Iterator[tuple[str, Proof]]:
        """Yield each as (address, proof), up to a checkpoint whose last entry is that of `seq`.

        The address of whom it is held no longer is "".
        It must have been appended after all that is here.
        """
        # What that entry says is nothing of a person's, and not for them to show.
        last = {"entry": chain_reader.entry_at(seq)["entry"], "parts": {}}
        previous = chain_reader.hash_before(seq)
        paths = stored_tree.Paths(checkpoint)
        self._file.seek(0)
        while length := self._file.read(_LENGTH_BYTES):
            packed = self._file.read(int.from_bytes(length))
            record = json.loads(zlib.decompress(packed))
            document = document_of(
                record["statement"],
                record["seal"],
                checkpoint=checkpoint,
                paths=paths,
                previous=previous,
                last=last,
            )
            subject = record["statement"]["subject"]
            yield record["address"], Proof(document=document, subject=subject)


@contextmanager
def proving_all(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
) -> Iterator[Proofs]:
    """Seal the proofs of all who may be mailed or were removed; they are there while entered.

    1. In steps, each a transaction: what is claimed of some people, and a seal for each of them.
    2. The caller appends an entry behind all, takes the checkpoint, and has them closed by it.

    What is claimed waits in a temporary file that has no name, so that memory stays flat and
    nothing that is recorded meanwhile can come between a statement and its seal.
    """
    with tempfile.TemporaryFile() as file:
        sealed = Proofs(file)
        decided, after = _all_decided(mailing_list), 0

        def step(limit: int) -> bool:
            nonlocal after
            some = list(decided.where(Contact.id > after).limit(limit))
            if some:
                _seal(sealed, mailing_list, some, settings=settings, now=now, actor=actor)
                after = some[-1].id
            return bool(some)

        run_steps(database, step)
        yield sealed


def _all_decided(mailing_list: MailingList) -> Any:
    """Return the query for who may be mailed or was removed, by number, each person once.

    Whoever was erased and has come back goes on with the record from before, in a later row.
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
    query = Contact.select().where(
        # From contact to contact by number: `+ 0` keeps an index of the list from being used, whose
        # rows would be sorted anew for each step.
        Contact.list + 0 == mailing_list.id,
        Contact.status.in_(_DECIDED),
        Contact.erased_at.is_null() | ~has_come_back,
    )
    return query.order_by(Contact.id)


def _seal(
    sealed: Proofs,
    mailing_list: MailingList,
    some: Sequence[Contact],
    *,
    settings: Settings,
    now: datetime,
    actor: str,
) -> None:
    """Seal the proofs of some contacts in the caller's transaction."""
    slug = mailing_list.slug
    told = chain_reader.entries_about_each([one.subject for one in some], slug)
    proved = [one for one in some if is_recorded(told[one.subject], slug)]
    sealed.unproved += len(some) - len(proved)
    for one in proved:
        if one.address is not None:
            require_own(told[one.subject], one.address_key, settings)
    wordings = chain_reader.wordings_of(entry for one in proved for entry in told[one.subject])
    statements = [
        statement_for(
            slug,
            one.subject,
            name_contact(one),
            settings,
            entries=told[one.subject],
            wordings=_named(told[one.subject], wordings),
        )
        for one in proved
    ]
    seals = [seal_of(one, now=now, actor=actor) for one in statements]
    for one, statement, seal in zip(proved, statements, _appended(seals), strict=True):
        sealed.add(statement, seal, one.address or "")


def _named(entries: Sequence[Mapping[str, Any]], wordings: Mapping[str, str]) -> dict[str, str]:
    """Return those of some wordings that these entries name."""
    named = proof_file.digests_named(entries)
    return {digest: text for digest, text in wordings.items() if digest in named}


def _appended(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Append entries and return them as a proof has them."""
    last = chain.append(*entries)
    return chain_reader.entries_between(last - len(entries) + 1, last)
