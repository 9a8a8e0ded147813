"""The preview of what would become of each row, in an SQLite file of its own, shown in pages.

An import may have a million rows, too many for memory or for the shared database.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

from peewee import JOIN, fn

from repermit import email_address
from repermit.db.connection import iter_pages
from repermit.imports.address_fate import NEW
from repermit.imports.readers.rows import FilePart
from repermit.imports.row_opt_outs import REMARK
from repermit.imports.staging import Picked, Staged
from repermit.rules.consent import Fate
from repermit.temporary_files import TemporaryFiles

ROWS_PER_PAGE = 50
"""How many rows a page of the preview shows."""

MOST_DOUBTFUL = 200
"""How many doubtful rows it shows above them, equal ones as one."""

_CHUNK = 5_000
_TABLE = """\
CREATE TABLE sight (
    number INTEGER PRIMARY KEY, part TEXT, line INTEGER, address TEXT, name TEXT, fate TEXT,
    mark TEXT, said TEXT, other TEXT, merged INTEGER, hint TEXT
)"""
_PUT = "INSERT INTO sight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET = "SELECT * FROM sight WHERE number > ?"
# Not off, although something in them may mean that the person wants no mail, or that the address
# is another one.
_WANTING = "(said <> '' AND mark = '' AND fate NOT IN ('invalid', 'suppressed', 'opted_out'))"
_DOUBTFUL = f"({_WANTING} OR hint <> '')"
_PLACE = "IIF(part = '', '', part || ':') || line"
_DECIDED = f"{_PLACE} IN (SELECT value FROM json_each(?))"  # noqa: S608  constants
_REMARKED = "(said IN (SELECT value FROM json_each(?)) AND fate NOT IN ('invalid', 'suppressed'))"
# Why a row is to be looked at, "" for others; a row has one kind, so that they add up.
_KIND = (
    f"CASE WHEN {_WANTING} AND NOT {_REMARKED} THEN 'doubtful' WHEN hint <> '' THEN 'mistyped'"
    " WHEN fate = 'role' THEN 'role' ELSE '' END"
)
_OFF_BY_REMARK = f"(mark = '{REMARK}' AND fate = 'opted_out')"


class PreviewRow(NamedTuple):
    """A row of a file and its fate.

    `number` counts from 1 through the whole file, `line` within the part, whose name is "" if it
    is the only one. `mark` is why a row opted out, one of `MARKS` of row_opt_outs; `said` is why
    it is invalid, of others the words in the file that speak against mailing. `other` is the line
    of the stronger row of the same address ("12", or "Sheet1:12" in another part), "" if there is
    none; `merged` says that its rows have different names. `hint` is the address that is probably
    meant, "" where nothing looks like a slip.
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
    hint: str

    @property
    def place(self) -> str:
        """Return its line as decisions name it: "12", or "Sheet1:12"."""
        return f"{self.part}:{self.line}" if self.part else str(self.line)


def write(path: Path, parts: Sequence[FilePart], *, files: TemporaryFiles) -> None:
    """Write the rows that are staged, whose fates are decided, to a file that only we can read.

    It is there whole or not at all: whoever is erased is looked up in it.
    """
    path.unlink(missing_ok=True)
    with files.file_for(path) as part:
        _write(part, parts)


def _write(path: Path, parts: Sequence[FilePart]) -> None:
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


@dataclass(frozen=True, kw_only=True)
class RowsToLookAt:
    """The rows that an admin has to look at: all but those that are decided on.

    - `decided`, `remarks`: the lines, and the words of equal rows, that are decided on.
    """

    decided: Sequence[str] = ()
    remarks: Sequence[str] = ()

    @property
    def kind(self) -> tuple[str, list[Any]]:
        """Return the SQL for the kind of a row: doubtful, mistyped, role, or "" for no such row."""
        decided, remarks = json.dumps(list(self.decided)), json.dumps(list(self.remarks))
        return f"CASE WHEN {_DECIDED} THEN '' ELSE {_KIND} END", [decided, remarks]


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """Which rows are wanted: of a fate or to be looked at, with a reason, with a text in them.

    `reason` is one that `count_reasons` returned, `said` the words of equal rows; None and "" are
    no condition.
    """

    fate: Fate | None = None
    reason: str | None = None
    to_look_at: RowsToLookAt | None = None
    said: str = ""
    text: str = ""

    def conditions(self) -> tuple[str, list[Any]]:
        """Return what follows a WHERE clause, and its values."""
        like = "%" + re.sub(r"([\\%_])", r"\\\1", self.text) + "%"
        reason, reason_values = self.reason_of_row
        found: list[tuple[str, list[Any]]] = [
            (" AND fate = ?", [str(self.fate)]) if self.fate else ("", []),
            (f" AND {reason} <> ''", reason_values) if self.to_look_at else ("", []),
            (f" AND {reason} = ?", [*reason_values, self.reason])
            if self.reason is not None
            else ("", []),
            (" AND said = ?", [self.said]) if self.said else ("", []),
            (r" AND (address LIKE ? ESCAPE '\' OR name LIKE ? ESCAPE '\')", [like, like])
            if self.text
            else ("", []),
        ]
        return "".join(sql for sql, _ in found), [one for _, values in found for one in values]

    @property
    def reason_of_row(self) -> tuple[str, list[Any]]:
        """Return the SQL for the reason of a row, by which those that are shown differ."""
        return self.to_look_at.kind if self.to_look_at else (_REASON, [])


# By what the rows of one fate differ: the mark of who is off, why an address cannot be used, and
# whether a duplicate stands twice in the file ("1") or on the list already ("0").
_REASON = (
    "CASE fate WHEN 'opted_out' THEN mark WHEN 'invalid' THEN said"
    " WHEN 'duplicate' THEN CAST(other <> '' AS TEXT) ELSE '' END"
)
_EVERY = RowFilter()


def read(
    path: Path, wanted: RowFilter = _EVERY, *, after: int = 0, limit: int = ROWS_PER_PAGE
) -> list[PreviewRow]:
    """Return the rows behind number `after` in the file's order, those that are wanted."""
    sql, values = wanted.conditions()
    query = f"{_GET}{sql} ORDER BY number LIMIT ?"
    with closing(_open(path)) as file:
        return [_sight(row) for row in file.execute(query, (after, *values, limit))]


def count_reasons(path: Path, wanted: RowFilter, *, limit: int = 12) -> dict[str, int]:
    """Count the rows that are wanted by their reason, the most frequent first; `limit` at most."""
    reason, reason_values = wanted.reason_of_row
    sql, values = wanted.conditions()
    query = (
        f"SELECT {reason}, COUNT(*) FROM sight WHERE 1{sql}"  # noqa: S608  values are parameters
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
    )
    with closing(_open(path)) as file:
        return dict(file.execute(query, (*reason_values, *values, limit)).fetchall())


def read_doubtful(
    path: Path,
    *,
    decided: Sequence[str] = (),
    remarks: Sequence[str] = (),
    after: int = 0,
    limit: int = MOST_DOUBTFUL,
) -> list[tuple[PreviewRow, int]]:
    """Return the rows that an admin has to look at, and those that were decided on.

    - `decided`, `remarks`: the lines, and the words of equal rows, that were decided on.

    Rows with the same words are one, the first of them, with how many they are; not those whose
    line was decided on, or whose address looks mistyped.
    """
    wanted = f"({_DOUBTFUL} OR {_DECIDED} OR {_REMARKED}) AND NOT {_OFF_BY_REMARK}"
    return _read_equal(path, wanted, (decided, remarks), decided, after=after, limit=limit)


def read_opted_out_by_remark(
    path: Path, *, decided: Sequence[str] = (), after: int = 0, limit: int = MOST_DOUBTFUL
) -> list[tuple[PreviewRow, int]]:
    """Return the rows that a remark alone opts out, those with the same words as one."""
    return _read_equal(path, _OFF_BY_REMARK, (), decided, after=after, limit=limit)


def _read_equal(
    path: Path,
    wanted: str,
    values: Sequence[Sequence[str]],
    alone: Sequence[str],
    *,
    after: int,
    limit: int,
) -> list[tuple[PreviewRow, int]]:
    group = (
        f"SELECT MIN(number) AS first, COUNT(*) AS rows_alike FROM sight WHERE {wanted}"  # noqa: S608
        f" GROUP BY IIF(hint <> '' OR said = '' OR {_DECIDED}, number, said)"
    )
    query = (
        f"SELECT sight.*, rows_alike FROM ({group}) JOIN sight ON number = first"  # noqa: S608
        " WHERE first > ? ORDER BY first LIMIT ?"
    )
    lists = [json.dumps(one) for one in (*values, alone)]
    with closing(_open(path)) as file:
        rows = file.execute(query, (*lists, after, limit))
        return [(_sight(row), count) for *row, count in rows]


def count_opted_out_by_remark(path: Path) -> int:
    """Count the rows that a remark alone opts out."""
    query = f"SELECT COUNT(*) FROM sight WHERE {_OFF_BY_REMARK}"  # noqa: S608  a constant
    with closing(_open(path)) as file:
        return int(file.execute(query).fetchone()[0])


def read_all(path: Path, fates: Sequence[Fate]) -> Iterator[PreviewRow]:
    """Yield all rows of some fates, one fate after the other, without holding them in memory."""
    with closing(_open(path)) as file:
        for fate in fates:
            query = f"{_GET} AND fate = ? ORDER BY number"
            yield from map(_sight, file.execute(query, (0, str(fate))))


def count(path: Path, fates: Sequence[Fate]) -> int:
    """Count all rows of some fates."""
    marks = ", ".join("?" * len(fates))
    query = f"SELECT COUNT(*) FROM sight WHERE fate IN ({marks})"  # noqa: S608  marks alone
    with closing(_open(path)) as file:
        return int(file.execute(query, [str(fate) for fate in fates]).fetchone()[0])


def has_address(path: Path, address_key: str) -> bool:
    """Say whether a row has an address, or what is no address might be meant as it."""
    local = address_key.rpartition("@")[0]
    query = (
        "SELECT EXISTS (SELECT 1 FROM sight WHERE folded(address) = ?"
        " OR fate = ? AND instr(folded(address), ?))"
    )
    with closing(_open(path)) as file:
        file.create_function("folded", 1, email_address.fold_case, deterministic=True)
        found = file.execute(query, (address_key, str(Fate.INVALID), local))
        return bool(found.fetchone()[0])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _sight(row: Sequence[Any]) -> PreviewRow:
    found = PreviewRow(*row)
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
        Staged.hint,
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
    hint: str | None
    strongest: int | None
    strongest_part: int | None
    strongest_line: int | None
    fate: str | None
    merged: bool | None


def _values(found: _Found, names: Sequence[str]) -> tuple[Any, ...]:
    is_again = found.strongest not in (None, found.number)
    fate = Fate.DUPLICATE if is_again else found.fate or found.said
    return (
        found.number,
        names[found.part],
        found.line,
        found.address or "",
        found.name,
        fate,
        found.mark or "",
        found.reason or "",
        _place_of_strongest(found, names) if is_again else "",
        bool(found.merged),
        found.hint or "" if fate in NEW else "",
    )


def _place_of_strongest(found: _Found, names: Sequence[str]) -> str:
    """Return the line of the strongest row, with its part where that is another."""
    if found.strongest_part is None or found.strongest_part == found.part:
        return str(found.strongest_line)
    return f"{names[found.strongest_part]}:{found.strongest_line}"
