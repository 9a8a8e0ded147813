"""What would become of each row of a file, in an SQLite file of its own to be paged through.

Imports of a million rows are looked at a page at a time, which neither a database that others wait
for nor memory should hold.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from peewee import JOIN, fn

from repermit import email_address
from repermit.db.connection import iter_pages
from repermit.db.temporary_files import TemporaryFiles
from repermit.imports.readers.rows import Part
from repermit.imports.staging import Picked, Staged
from repermit.rules.consent import Fate

_CHUNK = 5_000
_TABLE = """\
CREATE TABLE sight (
    number INTEGER PRIMARY KEY, part TEXT, line INTEGER, address TEXT, name TEXT, fate TEXT,
    mark TEXT, said TEXT, other TEXT, merged INTEGER
)"""
_PUT = "INSERT INTO sight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET = "SELECT * FROM sight WHERE number > ?"
# Not off, although something in them may mean that the person wants no mail.
_DOUBTFUL = "said <> '' AND mark = '' AND fate NOT IN ('invalid', 'suppressed', 'opted_out')"
_DECIDED = "IIF(part = '', '', part || ':') || line IN (SELECT value FROM json_each(?))"


class Sight(NamedTuple):
    """A row of a file and its fate.

    `number` counts from 1 through the whole file, `line` within the part, whose name is "" if it
    is the only one. `mark` is why a row opted out ("unsubscribed", "cleaned", "complained"); `said`
    is why it is invalid, of others the words in the file that speak against mailing. `other` is
    the line of the stronger row of the same address ("12", or "Sheet1:12" in another part), "" if
    there is none; `merged` says that its rows have different names.
    """

    number: int
    part: str
    line: int
    address: str
    name: str
    fate: str
    mark: str
    said: str
    other: str
    merged: bool

    @property
    def place(self) -> str:
        """Return its line as decisions name it: "12", or "Sheet1:12"."""
        return f"{self.part}:{self.line}" if self.part else str(self.line)


def write(path: Path, parts: Sequence[Part], *, files: TemporaryFiles) -> None:
    """Write the rows that are staged, whose fates are decided, to a file that only we can read.

    It is there whole or not at all: whoever is erased is looked up in it.
    """
    path.unlink(missing_ok=True)
    with files.file_for(path) as part:
        _write(part, parts)


def _write(path: Path, parts: Sequence[Part]) -> None:
    names = [part.name if len(parts) > 1 else "" for part in parts]
    with closing(sqlite3.connect(path)) as file:
        # If it is cut off, it is made anew.
        file.execute("PRAGMA journal_mode = off")
        file.execute("PRAGMA synchronous = off")
        file.execute(_TABLE)
        for some in _staged(names):
            file.executemany(_PUT, some)
        file.execute("CREATE INDEX by_fate ON sight (fate, number)")
        file.commit()


def read(path: Path, *, fate: Fate | None = None, after: int = 0, limit: int = 50) -> list[Sight]:
    """Return the rows behind number `after` in the file's order, of one fate or of all."""
    with closing(_open(path)) as file:
        return [_sight(row) for row in file.execute(*_query(fate, after, limit))]


def read_doubtful(
    path: Path, *, decided: Sequence[str] = (), after: int = 0, limit: int = 50
) -> list[Sight]:
    """Return the rows that an admin has to look at, and those in the lines that were decided on."""
    query = f"{_GET} AND ({_DOUBTFUL} OR {_DECIDED}) ORDER BY number LIMIT ?"
    with closing(_open(path)) as file:
        return [_sight(row) for row in file.execute(query, (after, json.dumps(decided), limit))]


def count_doubtful(path: Path) -> int:
    """Count the rows that an admin has to look at and that are not off."""
    with closing(_open(path)) as file:
        query = f"SELECT COUNT(*) FROM sight WHERE {_DOUBTFUL}"  # noqa: S608  a constant
        return int(file.execute(query).fetchone()[0])


def read_all(path: Path, fates: Sequence[Fate]) -> Iterator[Sight]:
    """Yield all rows of some fates, one fate after the other, without holding them in memory."""
    with closing(_open(path)) as file:
        for fate in fates:
            yield from map(_sight, file.execute(*_query(fate, 0, -1)))


def count(path: Path, fates: Sequence[Fate]) -> int:
    """Count all rows of some fates."""
    marks = ", ".join("?" * len(fates))
    query = f"SELECT COUNT(*) FROM sight WHERE fate IN ({marks})"  # noqa: S608  marks alone
    with closing(_open(path)) as file:
        return int(file.execute(query, [str(fate) for fate in fates]).fetchone()[0])


def holds(path: Path, address_key: str) -> bool:
    """Say whether a row has an address, or what is no address might be meant as it."""
    local = address_key.rpartition("@")[0]
    query = (
        "SELECT EXISTS (SELECT 1 FROM sight WHERE folded(address) = ?"
        " OR fate = ? AND instr(folded(address), ?))"
    )
    with closing(_open(path)) as file:
        file.create_function("folded", 1, email_address.folded, deterministic=True)
        found = file.execute(query, (address_key, str(Fate.INVALID), local))
        return bool(found.fetchone()[0])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _query(fate: Fate | None, after: int, limit: int) -> tuple[str, list[Any]]:
    if fate is None:
        return f"{_GET} ORDER BY number LIMIT ?", [after, limit]
    return f"{_GET} AND fate = ? ORDER BY number LIMIT ?", [after, str(fate), limit]


def _sight(row: Sequence[Any]) -> Sight:
    found = Sight(*row)
    # An earlier version kept the line as a number, 0 for none.
    return found._replace(other=str(found.other or ""), merged=bool(found.merged))


def _staged(names: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield what is staged in the file's order, some thousands at a time."""
    query = _query_of_staged().tuples()
    for page in iter_pages(query, Staged.number, size=_CHUNK, read_key=itemgetter(0)):
        yield [_values(_Found(*row), names) for row in page]


def _query_of_staged() -> Any:
    return Staged.select(
        Staged.number,
        Staged.part,
        Staged.line,
        fn.COALESCE(Staged.sending, Staged.key),
        Staged.name,
        Staged.said,
        Staged.mark,
        Staged.reason,
        Picked.number,
        Picked.part,
        Picked.line,
        Picked.fate,
        Picked.merged,
    ).join(Picked, JOIN.LEFT_OUTER, on=(Picked.ids == Staged.ids))


class _Found(NamedTuple):
    """A row that is staged, and the strongest one of its address."""

    number: int
    part: int
    line: int
    address: str | None
    name: str
    said: str
    mark: str | None
    reason: str | None
    strongest: int | None
    strongest_part: int | None
    strongest_line: int | None
    fate: str | None
    merged: bool | None


def _values(found: _Found, names: Sequence[str]) -> tuple[Any, ...]:
    is_again = found.strongest not in (None, found.number)
    return (
        found.number,
        names[found.part],
        found.line,
        found.address or "",
        found.name,
        Fate.DUPLICATE if is_again else found.fate or found.said,
        found.mark or "",
        found.reason or "",
        _place_of_strongest(found, names) if is_again else "",
        bool(found.merged),
    )


def _place_of_strongest(found: _Found, names: Sequence[str]) -> str:
    """Return the line of the strongest row, with its part where that is another."""
    if found.strongest_part is None or found.strongest_part == found.part:
        return str(found.strongest_line)
    return f"{names[found.strongest_part]}:{found.strongest_line}"
