"""Staging a file of suppressions completely before anything is changed, in little memory.

Fingerprints and hashes are staged, never addresses: on SQLite in the task's file, on PostgreSQL in
its table, and for a dry run in an unnamed file.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from repermit import email_address
from repermit.clock import format_timestamp
from repermit.db.connection import Database, FairSqliteDatabase, chunks, run_sql
from repermit.db.models.base import PreparedQuery, new_id
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.staged_rows import make_staged_path, name_staged_table
from repermit.errors import AddressError, Refused
from repermit.imports.readers import open_file
from repermit.rules.consent import Reason
from repermit.settings.definitions import Settings
from repermit.suppression.fingerprint_files import opened, read_shared
from repermit.suppression.suppressions import NewSuppression

_HASH = re.compile(r"[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}")
_SCHEMES = {32: "md5", 40: "sha1", 64: "sha256"}
_PAGE = 2000
_CHUNK = 500
# The table is named as in an import's file of rows. A row has a fingerprint, or a hash that matches
# no contact yet, or neither, as a further hash of a matched contact. Contacts come first. The rows
# of a step are neighbours by contact or by fingerprint, so that a step changes few pages.
_SQLITE_TABLE = """\
PRAGMA journal_mode = off;
PRAGMA synchronous = off;
CREATE TEMP TABLE read_row (
    fingerprint TEXT UNIQUE, hash TEXT, reason TEXT, at TEXT, subject TEXT, contact INTEGER
);
CREATE TABLE picked (
    id INTEGER PRIMARY KEY, fingerprint TEXT, hash TEXT, reason TEXT, at TEXT, subject TEXT,
    contact INTEGER
);
BEGIN"""
_SORTED = """\
INSERT INTO picked (fingerprint, hash, reason, at, subject, contact)
SELECT fingerprint, hash, reason, at, subject, contact FROM read_row
ORDER BY contact IS NULL, contact, fingerprint"""
_POSTGRESQL_TABLE = (
    "(id BIGINT PRIMARY KEY, fingerprint TEXT, hash TEXT, reason TEXT, at TEXT, subject TEXT, "
    "contact BIGINT)"
)
_NEWCOMERS = """\
CREATE TABLE newcomer (contact INTEGER PRIMARY KEY, fingerprint TEXT, hashes INTEGER);
CREATE INDEX newcomer_fingerprint ON newcomer (fingerprint)"""


class StagedSuppression(NamedTuple):
    """One suppression of a file.

    - `number`: its place among the staged rows; 0 if it comes from a newcomer's hash.
    - `contact`: the id of the contact on the list; None without one.
    """

    number: int
    suppressed: NewSuppression
    contact: int | None


@dataclass(frozen=True, kw_only=True)
class StagedFacts:
    """The counts of a staged file.

    - `kind`: "fingerprints", "addresses" or "hashes".
    - `schemes`: the algorithms of the hashes.
    - `rows`: the number of all rows.
    - `invalid`: the number of rows without a valid address.
    - `duplicates`: the number of rows that repeat an earlier row.
    - `not_placed`: the number of hashes that match no contact of the list.
    - `looked_up`: the id of the last contact that was compared with the file.
    """

    kind: str
    schemes: tuple[str, ...]
    rows: int
    invalid: int
    duplicates: int
    not_placed: int
    looked_up: int


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file; raises Refused if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Refused(
            "%(path)s cannot be read: %(reason)s", path=str(path), reason=str(error.strerror)
        ) from None


class SuppressionRows:
    """The staged rows of a file; `execute` runs a statement with its values."""

    def __init__(self, execute: Callable[..., Any], table: str) -> None:
        self._execute = execute
        self._table = table

    def after(self, number: int, limit: int) -> list[StagedSuppression]:
        """Return the suppressions behind a number, at most `limit`."""
        cursor = self._execute(
            "SELECT id, fingerprint, reason, at, subject, contact "  # noqa: S608  our own words
            f"FROM {self._table} WHERE id > ? AND fingerprint IS NOT NULL ORDER BY id LIMIT ?",
            (number, limit),
        )
        return [
            StagedSuppression(
                number=place,
                suppressed=NewSuppression(
                    fingerprint=fingerprint,
                    subject=subject,
                    reason=reason,
                    at=datetime.fromisoformat(at),
                ),
                contact=contact,
            )
            for place, fingerprint, reason, at, subject, contact in cursor.fetchall()
        ]

    def find_known_hashes(self, hashes: Sequence[str]) -> list[str]:
        """Return those of these hashes that the file has and that no contact matches yet."""
        known: list[str] = []
        for batch in chunks(hashes, _CHUNK):
            placeholders = ", ".join("?" * len(batch))
            query = f"SELECT hash FROM {self._table} WHERE hash IN ({placeholders})"  # noqa: S608
            known += [digest for (digest,) in self._execute(query, tuple(batch)).fetchall()]
        return known


@contextmanager
def open_rows(database: Database, token: str) -> Iterator[SuppressionRows]:
    """Open the staged rows of a task for reading."""
    if isinstance(database, FairSqliteDatabase):
        with closing(sqlite3.connect(make_staged_path(database, token))) as connection:
            yield SuppressionRows(connection.execute, "picked")
        return

    def execute(statement: str, values: Sequence[Any]) -> Any:
        return run_sql(database, statement.replace("?", "%s"), *values)

    yield SuppressionRows(execute, name_staged_table(database, token))


class Staging:
    """A context manager that stages a file of suppressions.

    - `kept_in`: an empty file for the rows; None for an unnamed one.

    Raises ListFileError for a file that cannot be read, and Refused for fingerprints of another
    key, or malformed ones.
    """

    def __init__(
        self,
        mailing_list: MailingList,
        path: Path,
        *,
        kept_in: Path | None,
        mapping: Mapping[str, str],
        settings: Settings,
        now: datetime,
    ) -> None:
        self._list_id = mailing_list.id
        self._key = settings.fingerprint_key
        self._now = now
        self._rows = self._invalid = self._duplicates = 0
        self._connection = sqlite3.connect(kept_in or "", isolation_level=None)
        try:
            self._connection.executescript(_SQLITE_TABLE)
            kind = self._read(path, mapping, settings)
            schemes = self._list_used_schemes()
            looked_up = self._look_up(schemes)
            self._connection.execute(_SORTED)
            if kind == "hashes":
                self._connection.execute("CREATE INDEX picked_hash ON picked (hash)")
            self.facts = StagedFacts(
                kind=kind,
                schemes=schemes,
                rows=self._rows,
                invalid=self._invalid,
                duplicates=self._duplicates,
                not_placed=self._count_hashes(),
                looked_up=looked_up,
            )
            self._connection.execute("COMMIT")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def rows(self) -> SuppressionRows:
        """The staged rows."""
        return SuppressionRows(self._connection.execute, "picked")

    def close(self) -> None:
        """Close the file of the rows; an unnamed one is deleted."""
        self._connection.close()

    def copy_to_table(self, database: Database, table: str) -> None:
        """Copy the rows into a table of PostgreSQL, in the caller's transaction."""
        run_sql(database, f"CREATE TABLE {table} {_POSTGRESQL_TABLE}")
        rows = self._connection.execute("SELECT * FROM picked ORDER BY id")
        connection: Any = database.connection()  # type: ignore[no-untyped-call]
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        if self.facts.kind == "hashes":
            run_sql(database, f"CREATE INDEX ON {table} (hash)")

    # --- Reading.

    def _read(self, path: Path, mapping: Mapping[str, str], settings: Settings) -> str:
        shared = read_shared(path, settings=settings)
        if shared is not None:
            self._add(
                NewSuppression(
                    fingerprint=row.fingerprint,
                    subject=row.subject,
                    reason=row.reason,
                    at=datetime.fromisoformat(row.at),
                )
                for row in shared
            )
            return "fingerprints"
        if _holds_hashes(path):
            self._connection.execute("CREATE UNIQUE INDEX read_hash ON read_row (hash)")
            self._insert(
                "INSERT OR IGNORE INTO read_row (hash) VALUES (?)", self._iter_hashes(path)
            )
            return "hashes"
        self._add(self._iter_addresses(path, mapping, settings))
        return "addresses"

    def _add(self, suppressions: Iterable[NewSuppression]) -> None:
        self._insert(
            "INSERT OR IGNORE INTO read_row (fingerprint, reason, at, subject) VALUES (?, ?, ?, ?)",
            self._iter_counted(suppressions),
        )

    def _insert(self, statement: str, rows: Iterable[tuple[str, ...]]) -> None:
        """Insert rows without duplicates, and count them."""
        before = self._connection.total_changes
        self._connection.executemany(statement, rows)
        added = self._connection.total_changes - before
        self._duplicates = self._rows - self._invalid - added

    def _iter_counted(
        self, suppressions: Iterable[NewSuppression]
    ) -> Iterator[tuple[str, str, str, str]]:
        for row in suppressions:
            self._rows += 1
            yield row.fingerprint, str(row.reason), format_timestamp(row.at), row.subject

    def _iter_hashes(self, path: Path) -> Iterator[tuple[str]]:
        for line in _iter_lines(path):
            if _HASH.fullmatch(line):
                self._rows += 1
                yield (line,)

    def _iter_addresses(
        self, path: Path, mapping: Mapping[str, str], settings: Settings
    ) -> Iterator[NewSuppression]:
        file = open_file.open_list(path, mapping=mapping, zone=settings.zone)
        for row in file.rows():
            try:
                key = email_address.parse(row.address).key
            except AddressError:
                self._rows += 1
                self._invalid += 1
                continue
            yield opted_out(email_address.fingerprint(self._key, key), self._now)

    # --- Looking up contacts.

    def _look_up(self, schemes: Sequence[str]) -> int:
        """Find the list's contacts in the file; return the id of the last contact that was read."""
        looked_up = 0
        for looked_up, page in _iter_contacts_after(0, self._list_id):  # noqa: B007  returned
            fingerprints = email_address.fingerprints(self._key, [key for _, key in page])
            if schemes:
                self._place(page, fingerprints, schemes)
            else:
                self._connection.executemany(
                    "UPDATE read_row SET contact = ? WHERE fingerprint = ?",
                    (
                        (number, fingerprint)
                        for (number, _), fingerprint in zip(page, fingerprints, strict=True)
                    ),
                )
        return looked_up

    def _place(
        self, page: Sequence[tuple[int, str]], fingerprints: Sequence[str], schemes: Sequence[str]
    ) -> None:
        """Replace the hashes of contacts by their fingerprints."""
        owners = {
            digest: (number, fingerprint)
            for (number, key), fingerprint in zip(page, fingerprints, strict=True)
            for digest in _compute_hashes(key, schemes)
        }
        read = SuppressionRows(self._connection.execute, "read_row")
        for digest in read.find_known_hashes(list(owners)):
            number, fingerprint = owners[digest]
            suppression = opted_out(fingerprint, self._now)
            self._connection.execute(
                "UPDATE OR IGNORE read_row SET fingerprint = ?, reason = ?, at = ?, subject = ? "
                "WHERE hash = ?",
                (
                    fingerprint,
                    str(suppression.reason),
                    format_timestamp(suppression.at),
                    suppression.subject,
                    digest,
                ),
            )
            # Also for a further hash of a contact, whose fingerprint another row already has.
            self._connection.execute(
                "UPDATE read_row SET hash = NULL, contact = ? WHERE hash = ?", (number, digest)
            )

    def _list_used_schemes(self) -> tuple[str, ...]:
        lengths = self._connection.execute(
            "SELECT DISTINCT length(hash) FROM read_row WHERE hash IS NOT NULL"
        )
        return tuple(sorted(_SCHEMES[length] for (length,) in lengths))

    def _count_hashes(self) -> int:
        (count,) = self._connection.execute("SELECT COUNT(hash) FROM picked").fetchone()
        return int(count)


class Newcomers:
    """A context manager for the contacts that came onto a list after a file was staged.

    They are stored in an unnamed SQLite file, as a list import meanwhile may add a million of them.
    For a file of hashes, only contacts that match a hash are stored.
    """

    def __init__(
        self, list_id: int, rows: SuppressionRows, *, facts: StagedFacts, key: bytes
    ) -> None:
        self._list_id = list_id
        self._rows = rows
        self._facts = facts
        self._key = key
        self._looked_up = facts.looked_up
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.executescript(_NEWCOMERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def look_up(self) -> None:
        """Store the contacts that came since the last call."""
        for looked_up, page in _iter_contacts_after(self._looked_up, self._list_id):
            self._looked_up = looked_up
            fingerprints = email_address.fingerprints(self._key, [key for _, key in page])
            hashes = self._count_hashes(page)
            self._connection.executemany(
                "INSERT INTO newcomer VALUES (?, ?, ?)",
                (
                    (number, fingerprint, hashes[number])
                    for (number, _), fingerprint in zip(page, fingerprints, strict=True)
                    if hashes[number] or self._facts.kind != "hashes"
                ),
            )

    def _count_hashes(self, page: Sequence[tuple[int, str]]) -> Counter[int]:
        """Count the hashes of the file that match each of these contacts."""
        owners = {
            digest: number
            for number, key in page
            for digest in _compute_hashes(key, self._facts.schemes)
        }
        return Counter(owners[digest] for digest in self._rows.find_known_hashes(list(owners)))

    def find_newcomers(self, fingerprints: Sequence[str]) -> dict[str, int]:
        """Return the ids of the newcomers with these fingerprints, by fingerprint."""
        contacts: dict[str, int] = {}
        for batch in chunks(fingerprints, _CHUNK):
            placeholders = ", ".join("?" * len(batch))
            query = (
                "SELECT fingerprint, contact FROM newcomer "  # noqa: S608  no values
                f"WHERE fingerprint IN ({placeholders})"
            )
            contacts |= dict(self._connection.execute(query, list(batch)).fetchall())
        return contacts

    def list_placed_newcomers(self, contact: int, limit: int) -> list[tuple[int, str, int]]:
        """Return (id, fingerprint, number of hashes) of newcomers that match a hash."""
        query = "SELECT * FROM newcomer WHERE contact > ? AND hashes ORDER BY contact LIMIT ?"
        return self._connection.execute(query, (contact, limit)).fetchall()


def opted_out(fingerprint: str, at: datetime) -> NewSuppression:
    """Return the suppression of an address that opted out for an unknown reason."""
    return NewSuppression(fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=at)


def _iter_contacts_after(number: int, list_id: int) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Yield pages of contacts after an id: (last id read, (id, address key) of the list's)."""
    # By id alone, which finds new contacts at once; by list it would read the whole list.
    while page := _CONTACTS.raw_rows(number):
        number = page[-1][0]
        yield (
            number,
            [
                (contact, key)
                for contact, contact_list, key, is_erased in page
                if contact_list == list_id and not is_erased
            ],
        )


_CONTACTS = PreparedQuery(
    lambda number: (
        Contact.select(Contact.id, Contact.list, Contact.address_key, Contact.address.is_null())
        .where(Contact.id > number)
        .order_by(Contact.id)
        .limit(_PAGE)
    ),
    1,
)


def _compute_hashes(key: str, schemes: Sequence[str]) -> list[str]:
    """Return the hashes that tools may make of an address."""
    if not schemes:
        return []
    local, _, domain = key.rpartition("@")
    # Tools store the ASCII or the Unicode form of a domain.
    texts = {key, f"{local}@{email_address.to_unicode_domain(domain)}"}
    return [hashlib.new(scheme, text.encode()).hexdigest() for text in texts for scheme in schemes]


def _iter_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file that are not empty, without quotes and delimiters."""
    with opened(path) as file:
        for line in file:
            if text := line.strip(' \t\r\n",;').lower():
                yield text


def _holds_hashes(path: Path) -> bool:
    """Say whether a file consists of hashes, one a line, with or without a title line."""
    has_any = False
    for number, line in enumerate(_iter_lines(path)):
        is_hash = _HASH.fullmatch(line) is not None
        if number and not is_hash:
            return False
        has_any |= is_hash
    return has_any
