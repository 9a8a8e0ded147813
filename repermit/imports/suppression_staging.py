"""The suppressions of a file, staged whole before anything is changed, in little memory.

Fingerprints and hashes are staged, never an address: on SQLite in the file of a task, with
PostgreSQL in its table, and for a dry run in a file that has no name.
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
# As in an import's file of rows: `picked`, by `id`. A row has a fingerprint, or a hash that fits
# nobody on the list so far, or, as a further hash of somebody, neither. Who is on the list comes
# first; neighbours, by contact or else by fingerprint, share the pages that a step changes.
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

    - `number`: its place among the staged, or 0 if a newcomer's hash stands for it.
    - `contact`: the number of who is on the list, None if nobody.
    """

    number: int
    suppressed: NewSuppression
    contact: int | None


@dataclass(frozen=True, kw_only=True)
class StagedFacts:
    """What a staged file comes to.

    - `kind`: "fingerprints", "addresses" or "hashes"; `schemes`: how the hashes are made.
    - `rows` are all of it, `invalid` are no address, and `duplicates` stood there before.
    - `not_placed`: hashes that fit nobody on the list.
    - `looked_up`: the number of the contact up to whom all were held against the file.
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
    """The staged rows of a file, by `execute`, which takes a statement and its values."""

    def __init__(self, execute: Callable[..., Any], table: str) -> None:
        self._execute = execute
        self._table = table

    def after(self, number: int, limit: int) -> list[StagedSuppression]:
        """Return so many suppressions at most of those after a number."""
        found = self._execute(
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
            for place, fingerprint, reason, at, subject, contact in found.fetchall()
        ]

    def known_hashes(self, hashes: Sequence[str]) -> list[str]:
        """Return which of these hashes fit nobody on the list when the file was staged."""
        known: list[str] = []
        for some in chunks(hashes, _CHUNK):
            marks = ", ".join("?" * len(some))
            query = f"SELECT hash FROM {self._table} WHERE hash IN ({marks})"  # noqa: S608
            known += [one for (one,) in self._execute(query, tuple(some)).fetchall()]
        return known


@contextmanager
def open_rows(database: Database, token: str) -> Iterator[SuppressionRows]:
    """Open the staged rows of a task, to be read."""
    if isinstance(database, FairSqliteDatabase):
        with closing(sqlite3.connect(make_staged_path(database, token))) as connection:
            yield SuppressionRows(connection.execute, "picked")
        return

    def execute(statement: str, values: Sequence[Any]) -> Any:
        return run_sql(database, statement.replace("?", "%s"), *values)

    yield SuppressionRows(execute, name_staged_table(database, token))


class Staging:
    """A file of suppressions that is read whole, from `with` to its end.

    - `kept_in`: an empty file for the rows; None for one without a name.

    Raises ListFileError for a file that cannot be read, and Refused for fingerprints of another
    key, or broken ones.
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
            schemes = self._schemes_used()
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
        """Return the rows, to be read."""
        return SuppressionRows(self._connection.execute, "picked")

    def close(self) -> None:
        """Close the file of the rows, which is gone then if it has no name."""
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
            self._insert("INSERT OR IGNORE INTO read_row (hash) VALUES (?)", self._hashes(path))
            return "hashes"
        self._add(self._addresses(path, mapping, settings))
        return "addresses"

    def _add(self, these: Iterable[NewSuppression]) -> None:
        self._insert(
            "INSERT OR IGNORE INTO read_row (fingerprint, reason, at, subject) VALUES (?, ?, ?, ?)",
            self._counted(these),
        )

    def _insert(self, statement: str, rows: Iterable[tuple[str, ...]]) -> None:
        """Add rows, which are counted while they are read, except those that stood there before."""
        before = self._connection.total_changes
        self._connection.executemany(statement, rows)
        added = self._connection.total_changes - before
        self._duplicates = self._rows - self._invalid - added

    def _counted(self, these: Iterable[NewSuppression]) -> Iterator[tuple[str, str, str, str]]:
        for one in these:
            self._rows += 1
            yield one.fingerprint, str(one.reason), format_timestamp(one.at), one.subject

    def _hashes(self, path: Path) -> Iterator[tuple[str]]:
        for line in _lines(path):
            if _HASH.fullmatch(line):
                self._rows += 1
                yield (line,)

    def _addresses(
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

    # --- Looking up who is on the list.

    def _look_up(self, schemes: Sequence[str]) -> int:
        """Find who of the file is on the list; return the number of the last contact seen."""
        looked_up = 0
        for looked_up, page in _contacts_after(0, self._list_id):  # noqa: B007  returned
            prints = email_address.fingerprints(self._key, [key for _, key in page])
            if schemes:
                self._place(page, prints, schemes)
            else:
                self._connection.executemany(
                    "UPDATE read_row SET contact = ? WHERE fingerprint = ?",
                    ((number, print_) for (number, _), print_ in zip(page, prints, strict=True)),
                )
        return looked_up

    def _place(
        self, page: Sequence[tuple[int, str]], prints: Sequence[str], schemes: Sequence[str]
    ) -> None:
        """Put the fingerprints of contacts in place of their hashes."""
        owners = {
            one: (number, print_)
            for (number, key), print_ in zip(page, prints, strict=True)
            for one in _hashes_of(key, schemes)
        }
        read = SuppressionRows(self._connection.execute, "read_row")
        for one in read.known_hashes(list(owners)):
            number, print_ = owners[one]
            about = opted_out(print_, self._now)
            self._connection.execute(
                "UPDATE OR IGNORE read_row SET fingerprint = ?, reason = ?, at = ?, subject = ? "
                "WHERE hash = ?",
                (print_, str(about.reason), format_timestamp(about.at), about.subject, one),
            )
            # Also of a further hash of somebody, which another row's fingerprint stands for.
            self._connection.execute(
                "UPDATE read_row SET hash = NULL, contact = ? WHERE hash = ?", (number, one)
            )

    def _schemes_used(self) -> tuple[str, ...]:
        lengths = self._connection.execute(
            "SELECT DISTINCT length(hash) FROM read_row WHERE hash IS NOT NULL"
        )
        return tuple(sorted(_SCHEMES[length] for (length,) in lengths))

    def _count_hashes(self) -> int:
        (count,) = self._connection.execute("SELECT COUNT(hash) FROM picked").fetchone()
        return int(count)


class Newcomers:
    """Who has come onto a list since its contacts were held against a file, from `with` to its end.

    They stand in a file of SQLite's own that has no name: a list that is being taken in meanwhile
    may bring a million of them. Of a file of hashes, only those are kept whom a hash fits.
    """

    def __init__(
        self, list_id: int, rows: SuppressionRows, *, facts: StagedFacts, key: bytes
    ) -> None:
        self._list_id = list_id
        self._rows = rows
        self._facts = facts
        self._key = key
        self._looked_up = facts.looked_up
        self._kept = sqlite3.connect("", isolation_level=None)
        self._kept.executescript(_NEWCOMERS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.close()

    def look_up(self) -> None:
        """Look at those who have come since the last time."""
        for looked_up, page in _contacts_after(self._looked_up, self._list_id):
            self._looked_up = looked_up
            prints = email_address.fingerprints(self._key, [key for _, key in page])
            hashes = self._count_hashes(page)
            self._kept.executemany(
                "INSERT INTO newcomer VALUES (?, ?, ?)",
                (
                    (number, print_, hashes[number])
                    for (number, _), print_ in zip(page, prints, strict=True)
                    if hashes[number] or self._facts.kind != "hashes"
                ),
            )

    def _count_hashes(self, page: Sequence[tuple[int, str]]) -> Counter[int]:
        """Count the hashes of the file that fit each of these contacts."""
        owners = {
            one: number for number, key in page for one in _hashes_of(key, self._facts.schemes)
        }
        return Counter(owners[one] for one in self._rows.known_hashes(list(owners)))

    def contacts_of(self, fingerprints: Sequence[str]) -> dict[str, int]:
        """Return the numbers of those newcomers who have these fingerprints."""
        found: dict[str, int] = {}
        for some in chunks(fingerprints, _CHUNK):
            marks = ", ".join("?" * len(some))
            query = f"SELECT fingerprint, contact FROM newcomer WHERE fingerprint IN ({marks})"  # noqa: S608
            found |= dict(self._kept.execute(query, list(some)).fetchall())
        return found

    def placed_after(self, contact: int, limit: int) -> list[tuple[int, str, int]]:
        """Return number, fingerprint and count of hashes of those whom a hash fits."""
        query = "SELECT * FROM newcomer WHERE contact > ? AND hashes ORDER BY contact LIMIT ?"
        return self._kept.execute(query, (contact, limit)).fetchall()


def opted_out(fingerprint: str, at: datetime) -> NewSuppression:
    """Return the suppression of an address of which no more is known than that it opted out."""
    return NewSuppression(fingerprint=fingerprint, subject=new_id(), reason=Reason.REQUEST, at=at)


def _contacts_after(number: int, list_id: int) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Yield pages of contacts after a number: the last number seen, and who is on the list."""
    # By number alone, which leads to who is new at once; by their list it would be all of it.
    while page := _CONTACTS.raw_rows(number):
        number = page[-1][0]
        yield (
            number,
            [
                (one, key)
                for one, its_list, key, is_erased in page
                if its_list == list_id and not is_erased
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


def _hashes_of(key: str, schemes: Sequence[str]) -> list[str]:
    """Return the hashes that tools may make of an address."""
    if not schemes:
        return []
    local, _, domain = key.rpartition("@")
    # Tools hold one form of the domain or the other.
    texts = {key, f"{local}@{email_address.to_unicode_domain(domain)}"}
    return [hashlib.new(one, text.encode()).hexdigest() for text in texts for one in schemes]


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
