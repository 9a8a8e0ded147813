"""Reading CSV in all its dialects: the delimiter, and records with the line where each starts."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain

from repermit.errors import ListFileError
from repermit.imports.readers.cells import is_like_address
from repermit.imports.readers.encoding import Opened, detect_encoding, make_too_long_error
from repermit.imports.readers.rows import (
    MAX_CELL_LENGTH,
    MAX_COLUMNS,
    MAX_RECORD_LENGTH,
    Record,
    Table,
)

_SAMPLE = 1 << 16
_DELIMITERS = (",", ";", "\t", "|")
# Excel writes and reads this line, which names the delimiter.
_SEP = re.compile(r'"?sep=([^\w\s"]|\t)"?;*,*[\r\n]*', re.IGNORECASE)
_END = "\x1aend of the file\x1a"

# The limit can only be set for the whole process, which reads no other CSV.
csv.field_size_limit(MAX_CELL_LENGTH)

Refuse = Callable[[int, list[str]], None]


def read_delimited_table(name: str, opened: Opened) -> Table:
    """Return a text file as a table; it is read to the end once, to know its encoding.

    Raises ListFileError if the file is empty, is not text or cannot be decoded.
    """
    encoding = detect_encoding(opened)
    with opened() as stream, io.TextIOWrapper(stream, encoding, newline="") as beginning:
        sample = beginning.read(_SAMPLE)
    first = io.StringIO(sample, newline="").readline()
    declared = _SEP.fullmatch(first)
    delimiter = declared[1] if declared else _detect_delimiter(sample)

    def records(refuse: Refuse | None) -> Iterator[Record]:
        with opened() as again, io.TextIOWrapper(again, encoding, newline="") as text:
            yield from read_records(text, delimiter, refuse)

    return Table(
        name=name,
        format="csv",
        encoding=encoding.removesuffix("-sig"),
        delimiter=delimiter,
        first_line=2 if declared else 1,
        may_shift=True,
        records=records,
    )


def _detect_delimiter(sample: str) -> str:
    return max(_DELIMITERS, key=lambda delimiter: _rate_delimiter(sample, delimiter))


def _rate_delimiter(sample: str, delimiter: str) -> tuple[int, int, int]:
    """Return how well a delimiter fits.

    (Addresses in one column, lines with the most frequent number of columns, that number.)
    """
    # The last line may be cut off.
    lines = io.StringIO(sample, newline="").readlines()
    complete_lines = lines[:-1] if len(sample) == _SAMPLE else lines
    records: list[list[str]] = []
    # A value that is too long is reported when the file is read.
    with suppress(csv.Error):
        records.extend(csv.reader(complete_lines, delimiter=delimiter, skipinitialspace=True))
    records = list(filter(None, records))
    addresses = Counter(
        index for record in records for index, cell in enumerate(record) if is_like_address(cell)
    )
    widths = Counter(map(len, records))
    width, alike = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    best = max(addresses.values(), default=0)
    return best, alike if width > 1 else 0, width


def read_records(text: Iterable[str], delimiter: str, refuse: Refuse | None) -> Iterator[Record]:
    """Yield each record that is not blank, with the line where it starts.

    - `text`: lines with their original ends.
    - `refuse`: called with each record that spans several lines.

    Raises ListFileError for an unclosed quotation mark and for a record that is too large.
    """
    ended: list[bool] = []
    size = 0

    def counted() -> Iterator[str]:
        nonlocal size
        for part in text:
            size += len(part)
            if size > MAX_RECORD_LENGTH:
                raise make_too_long_error(line)
            yield part

    reader = csv.reader(chain(counted(), _end(ended)), delimiter=delimiter, skipinitialspace=True)
    line = 1
    try:
        for record in reader:
            size = 0
            following = reader.line_num + 1
            if len(record) > MAX_COLUMNS:
                raise make_too_long_error(line)
            if ended:
                _refuse_unclosed(line, record, is_one_line=following - line == 1)
            elif record:
                if refuse is not None and following - line > 1:
                    refuse(line, record)
                yield line, record
            line = following
    except csv.Error:
        raise ListFileError(
            "a value of more than %(most)s characters; a quotation mark that opens here is "
            "probably not closed",
            most=MAX_CELL_LENGTH,
            line=line,
        ) from None


def _end(ended: list[bool]) -> Iterator[str]:
    """Yield one more line; if it becomes part of a record, that record's quotation is unclosed."""
    ended.append(True)
    yield _END


def _refuse_unclosed(line: int, record: Sequence[str], *, is_one_line: bool) -> None:
    if not (is_one_line and record == [_END]):
        raise make_unclosed_error(line + sum(map(_count_line_breaks, record[:-1])))


def _count_line_breaks(cell: str) -> int:
    return len(io.StringIO(cell, newline="").readlines()) - 1 if cell else 0


def make_unclosed_error(line: int) -> ListFileError:
    """Return the error for a quotation mark on a line that is not closed."""
    return ListFileError(
        "a quotation mark opens here and is not closed, which swallows the lines after it",
        line=line,
        expected='a second " at the end of the value',
    )
