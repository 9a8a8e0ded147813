"""Whom a file of suppressions means, gathered on the disk: a million of them do not fill memory.

May import models, addresses, listfile, this room's `sharing` and what lies below. Fingerprints and
hashes stand in a file of SQLite's own that has no name and is gone afterwards, never an address.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from repermit import addresses, listfile
from repermit.consent import Reason
from repermit.contacts import Suppressed
from repermit.errors import AddressError, Refused
from repermit.models import Contact, chunks, new_id, stored
from repermit.rights.sharing import opened, read_shared

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from repermit.config import Settings
    from repermit.models import MailingList

_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = {32: "md5", 40: "sha1", 64: "sha256"}
_PAGE = 2000
_CHUNK = 500
_TABLES = """\
CREATE TABLE meant (
    number INTEGER PRIMARY KEY, fingerprint TEXT UNIQUE, reason TEXT, at TEXT, subject TEXT,
    contact INTEGER
);
CREATE TABLE hash (hash TEXT PRIMARY KEY, is_placed INTEGER DEFAULT 0) WITHOUT ROWID;
BEGIN"""


@dataclass(frozen=True, kw_only=True)
class One:
    """One of whom a file means; `contact` is the number of who is on the list, None if nobody."""

    number: int
    suppressed: Suppressed
    contact: int | None


class Meant:
    """All of whom one file means for a list, once it has been read.

    `kind` is "fingerprints", "addresses" or "hashes", and `digest` the file's SHA-256. `rows` are
    all of it, `invalid` are no address, and `duplicates` stood there before. Raises ListFileError
    for a file that cannot be read, and Refused for fingerprints of another key, or broken ones.
    """

    def __init__(
        self,
        mailing_list: MailingList,
        path: Path,
        *,
        mapping: Mapping[str, str],
        settings: Settings,
        now: datetime,
    ) -> None:
        self.digest = _digest(path)
        self.rows = self.invalid = self.duplicates = 0
        self._list_id = mailing_list.id
        self._key = settings.fingerprint_key
        self._now = now
        self._looked_up = 0
        self._kept = sqlite3.connect("", isolation_level=None)
        try:
            self._kept.executescript(_TABLES)
            self.kind = self._read(path, mapping, settings)
            self._schemes = self._schemes_used()
            self.look_up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Throw away what was gathered."""
        self._kept.close()

    @property
    def not_placed(self) -> int:
        """Return how many hashes fit nobody on the list."""
        (count,) = self._kept.execute("SELECT COUNT(*) FROM hash WHERE NOT is_placed").fetchone()
        return int(count)

    def look_up(self) -> None:
        """Find who of them is on the list, among those who have come since the last time."""
        while page := self._next_contacts():
            self._looked_up = page[-1][0]
            held = [(number, key) for number, list_id, key in page if list_id == self._list_id]
            prints = addresses.fingerprints(self._key, [key for _, key in held])
            found = list(zip(held, prints, strict=True))
            if self.kind == "hashes":
                self._place(found)
            else:
                self._kept.executemany(
                    "UPDATE meant SET contact = ? WHERE fingerprint = ?",
                    ((number, fingerprint) for (number, _), fingerprint in found),
                )

    def behind(self, number: int, most: int) -> list[One]:
        """Return so many at most of those behind a number."""
        found = self._kept.execute(
            "SELECT number, fingerprint, reason, at, subject, contact FROM meant WHERE number > ? "
            "ORDER BY number LIMIT ?",
            (number, most),
        )
        return [
            One(
                number=place,
                suppressed=Suppressed(
                    fingerprint=fingerprint,
                    subject=subject,
                    reason=reason,
                    at=datetime.fromisoformat(at),
                ),
                contact=contact,
            )
            for place, fingerprint, reason, at, subject, contact in found
        ]

    def _next_contacts(self) -> list[tuple[int, int, str]]:
        # By number alone, which leads to who is new at once; by their list it would be all of it.
        query: Any = (
            Contact.select(Contact.id, Contact.list, Contact.address_key)
            .where(Contact.id > self._looked_up, Contact.address.is_null(is_null=False))
            .order_by(Contact.id)
            .limit(_PAGE)
            .tuples()
        )
        return list(query)

    # --- Reading.

    def _read(self, path: Path, mapping: Mapping[str, str], settings: Settings) -> str:
        shared = read_shared(path, settings=settings)
        if shared is not None:
            self._add(
                Suppressed(
                    fingerprint=row.fingerprint,
                    subject=row.subject,
                    reason=row.reason,
                    at=datetime.fromisoformat(row.at),
                )
                for row in shared
            )
            return "fingerprints"
        if _holds_hashes(path):
            self._kept.executemany(
                "INSERT OR IGNORE INTO hash (hash) VALUES (?)", self._hashes(path)
            )
            (distinct,) = self._kept.execute("SELECT COUNT(*) FROM hash").fetchone()
            self.duplicates = self.rows - distinct
            return "hashes"
        self._add(self._addresses(path, mapping, settings))
        return "addresses"

    def _add(self, these: Iterable[Suppressed]) -> None:
        before = self._kept.total_changes
        self._kept.executemany(
            "INSERT OR IGNORE INTO meant (fingerprint, reason, at, subject) VALUES (?, ?, ?, ?)",
            self._counted(these),
        )
        self.duplicates = self.rows - self.invalid - (self._kept.total_changes - before)

    def _counted(self, these: Iterable[Suppressed]) -> Iterator[tuple[str, str, str, str]]:
        for one in these:
            self.rows += 1
            yield one.fingerprint, str(one.reason), stored(one.at), one.subject

    def _hashes(self, path: Path) -> Iterator[tuple[str]]:
        for line in _lines(path):
            if _HASH.fullmatch(line):
                self.rows += 1
                yield (line,)

    def _addresses(
        self, path: Path, mapping: Mapping[str, str], settings: Settings
    ) -> Iterator[Suppressed]:
        file = listfile.open_list(path, mapping=mapping, zone=settings.zone)
        for row in file.rows():
            try:
                key = addresses.parse(row.address).key
            except AddressError:
                self.rows += 1
                self.invalid += 1
                continue
            yield self._plain(addresses.fingerprint(self._key, key))

    def _plain(self, fingerprint: str) -> Suppressed:
        """Return the suppression of an address of which no more is known than that it opted out."""
        return Suppressed(
            fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=self._now
        )

    # --- Placing hashes.

    def _schemes_used(self) -> list[str]:
        lengths = self._kept.execute("SELECT DISTINCT length(hash) FROM hash").fetchall()
        return sorted(_SCHEMES[length] for (length,) in lengths)

    def _place(self, found: Sequence[tuple[tuple[int, str], str]]) -> None:
        """Find whom the hashes mean among some contacts."""
        told: dict[str, tuple[int, str]] = {}
        for (number, key), fingerprint in found:
            local, _, domain = key.rpartition("@")
            # Tools hold one form of the domain or the other.
            for text in {key, f"{local}@{addresses.readable_domain(domain)}"}:
                for scheme in self._schemes:
                    told[hashlib.new(scheme, text.encode()).hexdigest()] = (number, fingerprint)
        for some in chunks(list(told), _CHUNK):
            marks = ", ".join("?" * len(some))
            placed = self._kept.execute(
                f"UPDATE hash SET is_placed = 1 WHERE hash IN ({marks}) RETURNING hash",  # noqa: S608
                some,
            ).fetchall()
            self._mean(told[one] for (one,) in placed)

    def _mean(self, these: Iterable[tuple[int, str]]) -> None:
        plain = ((self._plain(fingerprint), number) for number, fingerprint in these)
        self._kept.executemany(
            "INSERT OR IGNORE INTO meant (fingerprint, reason, at, subject, contact)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                (one.fingerprint, str(one.reason), stored(one.at), one.subject, number)
                for one, number in plain
            ),
        )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refused(
            "%(path)s cannot be read: %(reason)s", path=str(path), reason=str(error.strerror)
        ) from None


def _lines(path: Path) -> Iterator[str]:
    """Yield what stands in the lines of a file, bare of quotes and delimiters."""
    with opened(path) as file:
        for line in file:
            if found := line.strip(' \t\r\n",;').lower():
                yield found


def _holds_hashes(path: Path) -> bool:
    """Say whether a text consists of hashes, one a line, below a title or none."""
    has_any = False
    for number, line in enumerate(_lines(path)):
        is_one = _HASH.fullmatch(line) is not None
        if number and not is_one:
            return False
        has_any |= is_one
    return has_any
