"""The preview of each row's fate, in an SQLite file of its own, shown in pages.

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
"""The number of rows on a page of the preview."""

_CHUNK = 5_000
_TABLE = """\
CREATE TABLE sight (
    number INTEGER PRIMARY KEY, part TEXT, line INTEGER, address TEXT, name TEXT, fate TEXT,
    mark TEXT, said TEXT, other TEXT, merged INTEGER, hint TEXT
)"""
_PUT = "INSERT INTO sight VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_GET = "SELECT * FROM sight WHERE number > ?"
# Rows that are not opted out although their words may mean that the person wants no mail, and rows
# whose address looks mistyped.
_DOUBTFUL_WORDS = (
    "(said <> '' AND mark = '' AND fate NOT IN ('invalid', 'suppressed', 'opted_out'))"
)
_DOUBTFUL = f"({_DOUBTFUL_WORDS} OR hint <> '')"
_PLACE = "IIF(part = '', '', part || ':') || line"
_DECIDED = f"{_PLACE} IN (SELECT value FROM json_each(?))"  # noqa: S608  constants
_REMARKED = "(said IN (SELECT value FROM json_each(?)) AND fate NOT IN ('invalid', 'suppressed'))"
# Why a row has to be looked at, "" for others; a row has one kind, so that the counts add up.
_KIND = (
    f"CASE WHEN {_DOUBTFUL_WORDS} AND NOT {_REMARKED} THEN 'doubtful'"
    " WHEN hint <> '' THEN 'mistyped' WHEN fate = 'role' THEN 'role' ELSE '' END"
)
_OFF_BY_REMARK = f"(mark = '{REMARK}' AND fate = 'opted_out')"


class PreviewRow(NamedTuple):
    """A row of a file and its fate.

    - `number`: counts from 1 through the whole file.
    - `part`, `line`: the part's name, "" if it is the only one, and the line in it.
    - `mark`: why a row opted out, one of `row_opt_outs.MARKS`.
    - `said`: why the row is invalid; for others, the words in the file that speak against mailing.
    - `other`: the line of the stronger row of the same address ("12", or "Sheet1:12" in another
      part); "" if there is none.
    - `merged`: whether the rows of the address have different names.
    - `hint`: the address that is probably meant; "" if this one does not look mistyped.
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
        """The line as decisions name it: "12", or "Sheet1:12"."""
        return f"{self.part}:{self.line}" if self.part else str(self.line)


def write(path: Path, parts: Sequence[FilePart], *, files: TemporaryFiles) -> None:
    """Write the staged rows with their fates to a private file.

    The file appears only when it is complete, as erasures search it for addresses.
    """
    path.unlink(missing_ok=True)
    with files.file_for(path) as part:
        _write(part, parts)


def _write(path: Path, parts: Sequence[FilePart]) -> None:
    names = [part.name if len(parts) > 1 else "" for part in parts]
    with closing(sqlite3.connect(path)) as file:
        # After a crash the file is made again, so it needs no journal.
        file.execute("PRAGMA journal_mode = off")
        file.execute("PRAGMA synchronous = off")
        file.execute(_TABLE)
        for batch in _iter_staged(names):
            file.executemany(_PUT, batch)
        file.execute("CREATE INDEX by_fate ON sight (fate, number)")
        file.commit()


@dataclass(frozen=True, kw_only=True)
class RowsToLookAt:
    """The rows that an admin has to look at, without those already decided on.

    - `decided`: the lines that are decided on.
    - `remarks`: the remarks that are decided on, for all rows with them.
    """

    decided: Sequence[str] = ()
    remarks: Sequence[str] = ()

    @property
    def kind(self) -> tuple[str, list[Any]]:
        """SQL and values for the kind of a row: doubtful, mistyped, role, or "" for others."""
        decided, remarks = json.dumps(list(self.decided)), json.dumps(list(self.remarks))
        return f"CASE WHEN {_DECIDED} THEN '' ELSE {_KIND} END", [decided, remarks]


@dataclass(frozen=True, kw_only=True)
class RowFilter:
    """The conditions for rows; None and "" are no condition.

    - `reason`: one that `count_reasons` returned.
    - `to_look_at`: the rows that an admin has to look at.
    - `said`: the words of equal rows.
    - `text`: a part of the address or name.
    """

    fate: Fate | None = None
    reason: str | None = None
    to_look_at: RowsToLookAt | None = None
    said: str = ""
    text: str = ""

    def conditions(self) -> tuple[str, list[Any]]:
        """Return SQL that is appended to a WHERE clause, and its values."""
        like = "%" + re.sub(r"([\\%_])", r"\\\1", self.text) + "%"
        reason, reason_values = self.reason_of_row
        conditions: list[tuple[str, list[Any]]] = [
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
        values = [value for _, own_values in conditions for value in own_values]
        return "".join(sql for sql, _ in conditions), values

    @property
    def reason_of_row(self) -> tuple[str, list[Any]]:
        """SQL and values for the reason of a row, by which filtered rows can be told apart."""
        return self.to_look_at.kind if self.to_look_at else (_REASON, [])


# What distinguishes the rows of one fate: the mark of an opt-out, why an address is invalid, and
# whether a duplicate is twice in the file ("1") or on the list already ("0").
_REASON = (
    "CASE fate WHEN 'opted_out' THEN mark WHEN 'invalid' THEN said"
    " WHEN 'duplicate' THEN CAST(other <> '' AS TEXT) ELSE '' END"
)
_NO_FILTER = RowFilter()


def read(
    path: Path, wanted: RowFilter = _NO_FILTER, *, after: int = 0, limit: int = ROWS_PER_PAGE
) -> list[PreviewRow]:
    """Return the rows behind number `after` that meet a filter, in the file's order."""
    sql, values = wanted.conditions()
    query = f"{_GET}{sql} ORDER BY number LIMIT ?"
    with closing(_open(path)) as file:
        return [_make_row(row) for row in file.execute(query, (after, *values, limit))]


_MAX_REASONS = 12


def count_reasons(path: Path, wanted: RowFilter) -> dict[str, int]:
    """Count the rows that meet a filter by reason, for the most frequent reasons."""
    reason, reason_values = wanted.reason_of_row
    sql, values = wanted.conditions()
    query = (
        f"SELECT {reason}, COUNT(*) FROM sight WHERE 1{sql}"  # noqa: S608  values are parameters
        " GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
    )
    with closing(_open(path)) as file:
        return dict(file.execute(query, (*reason_values, *values, _MAX_REASONS)).fetchall())


def read_doubtful(
    path: Path,
    *,
    decided: Sequence[str],
    remarks: Sequence[str],
    after: int,
    limit: int,
) -> list[tuple[PreviewRow, int]]:
    """Return the rows that an admin has to look at, and those that were decided on.

    - `decided`, `remarks`: as of `RowsToLookAt`.

    Rows with the same words are returned as the first of them, with their number; except rows whose
    line was decided on, or whose address looks mistyped.
    """
    wanted = f"({_DOUBTFUL} OR {_DECIDED} OR {_REMARKED}) AND NOT {_OFF_BY_REMARK}"
    return _read_equal(path, wanted, (decided, remarks), decided, after=after, limit=limit)


def read_opted_out_by_remark(
    path: Path, *, decided: Sequence[str], after: int, limit: int
) -> list[tuple[PreviewRow, int]]:
    """Return the rows that only a remark opts out; those with the same words count as one."""
    return _read_equal(path, _OFF_BY_REMARK, (), decided, after=after, limit=limit)


def _read_equal(
    path: Path,
    condition: str,
    values: Sequence[Sequence[str]],
    decided: Sequence[str],
    *,
    after: int,
    limit: int,
) -> list[tuple[PreviewRow, int]]:
    group = (
        f"SELECT MIN(number) AS first, COUNT(*) AS rows_alike FROM sight WHERE {condition}"  # noqa: S608
        f" GROUP BY IIF(hint <> '' OR said = '' OR {_DECIDED}, number, said)"
    )
    query = (
        f"SELECT sight.*, rows_alike FROM ({group}) JOIN sight ON number = first"  # noqa: S608
        " WHERE first > ? ORDER BY first LIMIT ?"
    )
    lists = [json.dumps(values_of_parameter) for values_of_parameter in (*values, decided)]
    with closing(_open(path)) as file:
        rows = file.execute(query, (*lists, after, limit))
        return [(_make_row(row), count) for *row, count in rows]


def count_opted_out_by_remark(path: Path) -> int:
    """Count the rows that only a remark opts out."""
    query = f"SELECT COUNT(*) FROM sight WHERE {_OFF_BY_REMARK}"  # noqa: S608  a constant
    with closing(_open(path)) as file:
        return int(file.execute(query).fetchone()[0])


def read_all(path: Path, fates: Sequence[Fate]) -> Iterator[PreviewRow]:
    """Yield all rows of some fates, one fate after the other, without holding them in memory."""
    with closing(_open(path)) as file:
        for fate in fates:
            query = f"{_GET} AND fate = ? ORDER BY number"
            yield from map(_make_row, file.execute(query, (0, str(fate))))


def count(path: Path, fates: Sequence[Fate]) -> int:
    """Count all rows of some fates."""
    placeholders = ", ".join("?" * len(fates))
    query = f"SELECT COUNT(*) FROM sight WHERE fate IN ({placeholders})"  # noqa: S608  no values
    with closing(_open(path)) as file:
        return int(file.execute(query, [str(fate) for fate in fates]).fetchone()[0])


def has_address(path: Path, address_key: str) -> bool:
    """Say whether a row has an address, or an invalid row may mean it."""
    local = address_key.rpartition("@")[0]
    query = (
        "SELECT EXISTS (SELECT 1 FROM sight WHERE folded(address) = ?"
        " OR fate = ? AND instr(folded(address), ?))"
    )
    with closing(_open(path)) as file:
        file.create_function("folded", 1, email_address.fold_case, deterministic=True)
        result = file.execute(query, (address_key, str(Fate.INVALID), local))
        return bool(result.fetchone()[0])


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _make_row(values: Sequence[Any]) -> PreviewRow:
    row = PreviewRow(*values)
    # An earlier version stored the line as a number, 0 for none.
    return row._replace(other=str(row.other or ""), merged=bool(row.merged))


def _iter_staged(names: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the staged rows in the file's order, some thousands at a time."""
    query = _select_staged().tuples()
    for page in iter_pages(query, Staged.number, size=_CHUNK, read_key=itemgetter(0)):
        yield [_make_values(_StagedRow(*row), names) for row in page]


def _select_staged() -> Any:
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


class _StagedRow(NamedTuple):
    """A staged row, with the strongest row of its address."""

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


def _make_values(row: _StagedRow, names: Sequence[str]) -> tuple[Any, ...]:
    is_duplicate = row.strongest not in (None, row.number)
    fate = Fate.DUPLICATE if is_duplicate else row.fate or row.said
    return (
        row.number,
        names[row.part],
        row.line,
        row.address or "",
        row.name,
        fate,
        row.mark or "",
        row.reason or "",
        _place_of_strongest(row, names) if is_duplicate else "",
        bool(row.merged),
        row.hint or "" if fate in NEW else "",
    )


def _place_of_strongest(row: _StagedRow, names: Sequence[str]) -> str:
    """Return the line of the strongest row, with its part if that is another."""
    if row.strongest_part is None or row.strongest_part == row.part:
        return str(row.strongest_line)
    return f"{names[row.strongest_part]}:{row.strongest_line}"
