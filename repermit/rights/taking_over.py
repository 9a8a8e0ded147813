"""Taking in who is not to be asked: from a system with the same key, or from another tool.

May import contacts, evidence, models, listfile, addresses and what lies below.

Three kinds of files: an export of `sharing`; addresses, in any form that a list has; and hashes of
addresses as Mailchimp (MD5), Brevo, Meta and Google (SHA-256) write them: of the lower-cased
address, without salt. A hash cannot become a fingerprint, for that needs the address. It is held
against the addresses that are on the list now; one that fits none could not be recognised later
either, and is counted as not placed.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from repermit import addresses, contacts, evidence, listfile
from repermit.consent import Basis, Reason, Status
from repermit.contacts import Act, Suppressed
from repermit.errors import AddressError, Refused
from repermit.evidence import Entry
from repermit.models import Contact, Suppression, chunks, lock_rows, new_id
from repermit.rights.sharing import of_shared, read_shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from repermit.config import Settings
    from repermit.models import Database, MailingList

_CHUNK = 500
_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = {32: "md5", 40: "sha1", 64: "sha256"}
_OWN_YES = (Basis.ANSWER, Basis.SIGN_UP)


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """What came of a file; `kind` is "fingerprints", "addresses" or "hashes".

    `rows` are all of it: `added` are suppressed now, `known` were before, `kept` said Yes here
    themselves, which holds, `invalid` are no address, `duplicates` stood there before, `not_placed`
    are hashes that fit nobody on the list. `removed` of the added were on the list, and are off it.
    """

    kind: str
    rows: int
    added: int
    known: int
    kept: int
    invalid: int
    duplicates: int
    not_placed: int
    removed: int


@dataclass
class _Reading:
    """What a file says: who is meant, by fingerprint, and what cannot be used."""

    kind: str
    digest: str
    rows: int = 0
    invalid: int = 0
    duplicates: int = 0
    not_placed: int = 0
    meant: dict[str, Suppressed] = field(default_factory=dict)

    def add(self, one: Suppressed) -> None:
        self.duplicates += one.fingerprint in self.meant
        self.meant.setdefault(one.fingerprint, one)


def import_suppressions(
    database: Database,
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    dry_run: bool = False,
    settings: Settings,
    now: datetime,
    actor: str,
) -> TakenOver:
    """Suppress for a list whom a file names, in one transaction, or only say who that would be.

    Whoever is on the list is taken off for `request`, unless they said Yes here themselves: after
    an opt-out whose moment the file tells, or at any time where it tells none. Raises ListFileError
    for a file that cannot be read, and Refused for fingerprints of another key.
    """
    reading = _read(mailing_list, path, mapping=mapping, settings=settings, now=now)
    on_list = _on_list(mailing_list, settings.fingerprint_key, reading.meant)
    with database.atomic():
        held = _held(mailing_list, on_list)
        kept = {one for one in held if _holds(held[one], reading, reading.meant[one])}
        known = _known(mailing_list, [one for one in reading.meant if one not in kept])
        added = [
            # Who is held keeps the subject under which their evidence stands.
            replace(one, subject=held[print_].subject) if print_ in held else one
            for print_, one in reading.meant.items()
            if print_ not in kept | known
        ]
        there = [held[one.fingerprint] for one in added if one.fingerprint in held]
        leaving = [contact for contact in there if contact.status != Status.REMOVED]
        result = TakenOver(
            kind=reading.kind,
            rows=reading.rows,
            added=len(added),
            known=len(known),
            kept=len(kept),
            invalid=reading.invalid,
            duplicates=reading.duplicates,
            not_placed=reading.not_placed,
            removed=len(leaving),
        )
        if not dry_run:
            source = {"file": reading.digest, "by": "suppressions"}
            act = Act(at=now, actor=actor, consent=source)
            _write(mailing_list, added, leaving, act, settings)
            told = {**vars(result), "file": reading.digest, "name": path.name}
            evidence.append(
                Entry(
                    event="suppressions_imported",
                    at=now,
                    actor=actor,
                    list=mailing_list.slug,
                    consent=told,
                )
            )
    return result


def _write(
    mailing_list: MailingList,
    added: Sequence[Suppressed],
    leaving: Sequence[Contact],
    act: Act,
    settings: Settings,
) -> None:
    contacts.suppress(mailing_list, added)
    contacts.remove(
        leaving, reason=Reason.REQUEST, act=act, fingerprint_key=settings.fingerprint_key
    )


# --- Reading.


def _read(
    mailing_list: MailingList,
    path: Path,
    *,
    mapping: Mapping[str, str] | None,
    settings: Settings,
    now: datetime,
) -> _Reading:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Refused(
            "%(path)s cannot be read: %(reason)s", path=str(path), reason=str(error.strerror)
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    text = data.decode("utf-8-sig", errors="ignore")
    shared = read_shared(text, settings=settings)
    if shared is not None:
        reading = _Reading("fingerprints", digest, rows=len(shared))
        for print_, reason, at, subject in of_shared(shared):
            reading.add(Suppressed(fingerprint=print_, subject=subject, reason=reason, at=at))
        return reading
    hashes = _hashes_in(text)
    if hashes:
        return _place(mailing_list, hashes, digest, settings, now)
    return _read_addresses(path, digest, mapping, settings, now)


def _hashes_in(text: str) -> list[str]:
    """Return the hashes that a text consists of, one a line below a title; [] for other texts."""
    lines = [line.strip(' \t\r",;').lower() for line in text.splitlines() if line.strip()]
    found = [line for line in lines if _HASH.fullmatch(line)]
    return found if found and found in (lines, lines[1:]) else []


def _place(
    mailing_list: MailingList, hashes: Sequence[str], digest: str, settings: Settings, now: datetime
) -> _Reading:
    """Find whom the hashes mean among the addresses that are on the list."""
    reading = _Reading("hashes", digest, rows=len(hashes))
    wanted = set(hashes)
    schemes = sorted({_SCHEMES[len(one)] for one in wanted})
    placed: set[str] = set()
    for key in _keys(mailing_list):
        local, _, domain = key.rpartition("@")
        # Tools hold one form of the domain or the other.
        for text in {key, f"{local}@{addresses.readable_domain(domain)}"}:
            mine = {hashlib.new(scheme, text.encode()).hexdigest() for scheme in schemes}
            if mine & wanted:
                placed |= mine & wanted
                print_ = addresses.fingerprint(settings.fingerprint_key, key)
                reading.meant.setdefault(print_, _plain(print_, now))
    reading.not_placed = len(wanted - placed)
    reading.duplicates = len(hashes) - len(wanted)
    return reading


def _keys(mailing_list: MailingList) -> Iterator[str]:
    query: Any = Contact.select(Contact.address_key).where(
        Contact.list == mailing_list, Contact.address.is_null(is_null=False)
    )
    for (key,) in query.tuples().iterator():
        yield key


def _read_addresses(
    path: Path, digest: str, mapping: Mapping[str, str] | None, settings: Settings, now: datetime
) -> _Reading:
    file = listfile.open_list(path, mapping=mapping, zone=settings.zone)
    reading = _Reading("addresses", digest)
    for part in file.parts:
        for row in file.rows_of(part):
            reading.rows += 1
            try:
                key = addresses.parse(row.address).key
            except AddressError:
                reading.invalid += 1
                continue
            reading.add(_plain(addresses.fingerprint(settings.fingerprint_key, key), now))
    return reading


def _plain(fingerprint: str, now: datetime) -> Suppressed:
    """Return the suppression of an address of which no more is known than that it opted out."""
    return Suppressed(fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=now)


# --- Deciding.


def _on_list(
    mailing_list: MailingList, key: bytes, meant: Mapping[str, Suppressed]
) -> dict[str, str]:
    """Return the addresses of the list that are meant, by fingerprint."""
    keys = list(_keys(mailing_list))
    prints = zip(addresses.fingerprints(key, keys), keys, strict=True)
    return {print_: its for print_, its in prints if print_ in meant}


def _held(mailing_list: MailingList, on_list: Mapping[str, str]) -> dict[str, Contact]:
    """Return the contacts with these addresses, by fingerprint, locked."""
    prints = {its: print_ for print_, its in on_list.items()}
    found: dict[str, Contact] = {}
    for some in chunks(list(prints), _CHUNK):
        query = Contact.select().where(Contact.list == mailing_list, Contact.address_key.in_(some))
        for contact in lock_rows(query.order_by(Contact.id)):
            found[prints[contact.address_key]] = contact
    return found


def _holds(contact: Contact, reading: _Reading, one: Suppressed) -> bool:
    """Say whether the contact's own Yes holds; an opt-out without a date counts as earlier."""
    if contact.status != Status.CONFIRMED or contact.basis not in _OWN_YES:
        return False
    is_later: bool = contact.status_at > one.at
    return reading.kind != "fingerprints" or is_later


def _known(mailing_list: MailingList, fingerprints: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(fingerprints, _CHUNK):
        query = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(some),
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
        found |= {one.fingerprint for one in query}
    return found
