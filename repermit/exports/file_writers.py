"""Writing a table as CSV, JSON or a spreadsheet, row by row."""

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

# --- Text that a spreadsheet must not take for a formula. -----------------------------------------


# The last four are the full-width forms, which spreadsheets in Japanese and Chinese take alike.
_SIGNS = r"=+\-@＝＋－＠"  # noqa: RUF001  these look like the ASCII ones, which is the point

_BLANK = r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]"
_STARTS_LIKE_FORMULA = re.compile(rf"[\t\r\n\x00]|{_BLANK}*[{_SIGNS}]")

# Excel divides a file by its own country's separator, whatever the file's is: in the Netherlands
# "Jan;=1+1" becomes two cells, though it is quoted and the file is divided by commas.
_AFTER_SEPARATOR = re.compile(rf'([,;\t\r\n](?:{_BLANK}|")*)(?=[{_SIGNS}])')

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_IN_JSON_STRING = re.compile(rf'(^"|[,;]\s*)([{_SIGNS}])')


def escape_formula(text: str) -> str:
    """Return text with an apostrophe before whatever a spreadsheet could take for a formula.

    Text that is safe already comes back as it is.
    """
    text = _AFTER_SEPARATOR.sub(r"\1'", text)
    return f"'{text}" if _STARTS_LIKE_FORMULA.match(text) else text


def escape_formulas_in_json(text: str) -> str:
    """Return JSON that says the same, with such signs written as escapes.

    An apostrophe would change what was said, and its digest with it.
    """
    return _JSON_STRING.sub(_escape_string, text)


def _escape_string(string: re.Match[str]) -> str:
    return _IN_JSON_STRING.sub(lambda match: f"{match[1]}\\u{ord(match[2]):04x}", string[0])


# --- Writing a table as CSV, JSON or a spreadsheet, row by row. -----------------------------------


class WriteTable(Protocol):
    """What writes a table."""

    def __call__(self, rows: Iterable[Record], columns: Mapping[str, str], out: BinaryIO, /) -> int:
        """Write to `out` the fields that `columns` names, with its titles; return the rows."""


def write_csv(
    rows: Iterable[Record],
    columns: Mapping[str, str],
    out: BinaryIO,
    /,
    *,
    delimiter: str = ",",
    bom: bool = False,
) -> int:
    """Write UTF-8 with CRLF (RFC 4180), in which nothing can be taken for a formula.

    The byte order mark is left out unless asked for: programs would read it as a part of the
    first title. For a spreadsheet there is write_xlsx.
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
    """Write UTF-8: a list of objects, one a line, every value exactly as it is."""
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
    """Write a workbook of one sheet whose every cell is text: no formulas, no links made of it.

    Rows go to a file in `folder` as they come. Raises Refused for what a sheet cannot hold.
    """
    # The file holds addresses; leaving the block deletes it, also after a refusal.
    with xlsxwriter.Workbook(out, {"constant_memory": True, "tmpdir": str(folder)}) as book:
        # Otherwise the library reads the clock.
        book.set_properties({"created": created.replace(tzinfo=None)})
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, _COLUMN_WIDTH)
        _write_row(sheet, 0, columns.values(), book.add_format({"bold": True}))
        # What stands in a text cell becomes a formula once it is edited, unless marked as text.
        as_text = book.add_format({"quote_prefix": True})
        count = 0
        for count, row in enumerate(rows, start=1):
            _write_row(sheet, count, (_format_cell(row[field]) for field in columns), as_text)
    return count


_COLUMN_WIDTH = 28


def _write_row(sheet: Any, number: int, cells: Iterable[str], style: Any) -> None:
    for column, text in enumerate(cells):
        # The library cuts off what is too long, and leaves out what is too far down.
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
