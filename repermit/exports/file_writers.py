"""Writing a table as CSV, JSON or XLSX, row by row."""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import xlsxwriter

from repermit.errors import Refused
from repermit.exports.export_rows import Record, StoredJson, format_rfc3339

# --- Escaping text that a spreadsheet could take for a formula. -----------------------------------


# The last four are full-width forms, which Japanese and Chinese spreadsheets treat alike.
_FORMULA_PREFIXES = r"=+\-@＝＋－＠"  # noqa: RUF001  these look like the ASCII ones, which is the point

_BLANK = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]"
_STARTS_LIKE_FORMULA = re.compile(rf"[\t\r\n\x00]|{_BLANK}*[{_FORMULA_PREFIXES}]")

# Excel splits a file at its own country's separator. In the Netherlands "Jan;=1+1" becomes two
# cells, though it is quoted in a file with commas.
#
# A tab or the end of a line is a blank, too: a run of blanks is read from its beginning alone, as
# from each of them it would take its length squared.
_GAP = rf'{_BLANK[:-1]}"]'
_AFTER_SEPARATOR = re.compile(
    rf"((?:[,;]|(?<!{_GAP})(?:(?![\t\r\n]){_GAP})*[\t\r\n]){_GAP}*)(?=[{_FORMULA_PREFIXES}])"
)

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_IN_JSON_STRING = re.compile(rf'(^"|[,;]\s*)([{_FORMULA_PREFIXES}])')


def escape_formula(text: str) -> str:
    """Put an apostrophe before each part that a spreadsheet could take for a formula.

    Safe text is returned unchanged.
    """
    text = _AFTER_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _STARTS_LIKE_FORMULA.match(text) else text


def escape_formulas_in_json(text: str) -> str:
    """Return equivalent JSON in which such characters are escaped.

    An apostrophe would change the content, and so its digest.
    """
    return _JSON_STRING.sub(_escape_string, text)


def _escape_string(string: re.Match[str]) -> str:
    return _IN_JSON_STRING.sub(lambda match: f"{match[1]}\\u{ord(match[2]):04x}", string[0])


# --- The writers. ---------------------------------------------------------------------------------


class WriteTable(Protocol):
    """A function that writes a table."""

    def __call__(self, rows: Iterable[Record], columns: Mapping[str, str], out: BinaryIO, /) -> int:
        """Write the fields of `columns`, under its titles; return the number of rows."""


def write_csv(
    rows: Iterable[Record],
    columns: Mapping[str, str],
    out: BinaryIO,
    /,
    *,
    delimiter: str = ",",
    bom: bool = False,
) -> int:
    """Write CSV in UTF-8 with CRLF (RFC 4180), with formulas escaped.

    - `bom`: write a byte order mark; programs may read it as part of the first title.
    """
    if bom:
        out.write(codecs.BOM_UTF8)
    writer = csv.writer(codecs.getwriter("utf-8")(out), delimiter=delimiter)
    writer.writerow(columns.values())
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the last number is the count
        writer.writerow([_format_safe_cell(row[field]) for field in columns])
    return count


def write_json(rows: Iterable[Record], columns: Mapping[str, str], out: BinaryIO, /) -> int:
    """Write JSON in UTF-8: an array of objects, one a line, with unchanged values."""
    out.write(b"[")
    count = 0
    for count, row in enumerate(rows, start=1):
        document = {title: _format_json_value(row[field]) for field, title in columns.items()}
        out.write(b"\n" if count == 1 else b",\n")
        out.write(json.dumps(document, ensure_ascii=False).encode())
    out.write(b"\n]\n" if count else b"]\n")
    return count


def write_xlsx(
    rows: Iterable[Record],
    columns: Mapping[str, str],
    out: BinaryIO,
    /,
    *,
    created: datetime,
    folder: Path,
) -> int:
    """Write a workbook with one sheet, in which every cell is text: no formulas, no links.

    Rows are buffered in a file in `folder`. Raises Refused for more than a sheet can hold.
    """
    # The file contains addresses; leaving the block deletes it, also after a refusal.
    with xlsxwriter.Workbook(out, {"constant_memory": True, "tmpdir": str(folder)}) as book:
        # Without this the library reads the clock.
        book.set_properties({"created": created.replace(tzinfo=None)})
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, _COLUMN_WIDTH)
        _write_row(sheet, 0, columns.values(), book.add_format({"bold": True}))
        # Text that looks like a formula becomes one when its cell is edited, without this prefix.
        as_text = book.add_format({"quote_prefix": True})
        count = 0
        for count, row in enumerate(rows, start=1):
            _write_row(sheet, count, (_format_cell(row[field]) for field in columns), as_text)
    return count


_COLUMN_WIDTH = 28


def _write_row(sheet: Any, number: int, cells: Iterable[str], style: Any) -> None:
    for column, text in enumerate(cells):
        # The library would truncate a text that is too long, and skip rows beyond the last.
        if sheet.write_string(number, column, text, style):
            raise Refused(
                "a spreadsheet holds 1,048,576 rows and 32,767 characters a cell, and this is "
                "more; export it as csv or json"
            )


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    return format_rfc3339(value) if isinstance(value, datetime) else str(value)


def _format_safe_cell(value: object) -> str:
    return (
        escape_formulas_in_json(value)
        if isinstance(value, StoredJson)
        else escape_formula(_format_cell(value))
    )


def _format_json_value(value: object) -> object:
    if isinstance(value, StoredJson):
        return json.loads(value)
    return format_rfc3339(value) if isinstance(value, datetime) else value
