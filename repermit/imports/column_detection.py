"""Finding a table's header and the fields of its columns: by title, content and the admin's map."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repermit.errors import ListFileError
from repermit.i18n.lazy_text import LazyJoin, LazyText
from repermit.imports.newsletter_tools import PART_OF_A_NAME, Tool, detect_tool, is_address_title
from repermit.imports.readers.cells import (
    fold_title,
    is_like_address,
    normalize_cell,
)
from repermit.imports.readers.column_values import (
    is_answer,
    is_known_status,
    is_language,
    says_no,
)
from repermit.imports.readers.rows import FIELDS, REPEATED_FIELDS, Column, Record
from repermit.imports.row_opt_outs import may_refuse

# The title lines of a report ("Ledenlijst 2024", an empty line, its author) are rarely more.
_HEADER_WITHIN = 20
_LETTERS = 26
# The field of a column that has no other meaning.
_DEFAULT_FIELD = "remark"


@dataclass(frozen=True, kw_only=True)
class DetectedColumns:
    """The header and columns of a table.

    - `header_line`: 0 without a header.
    - `first_line`: records before this line are not data.
    - `rest`: the indexes of columns that are read as remarks although no title says so.
    - `unknown`: the indexes of columns that may hold Yes and No to an unknown question, with little
      else in the first records.
    - `columns_with_harmless_no`: the indexes of columns in which a bare No does not opt out.
    """

    header_line: int
    first_line: int
    columns: tuple[Column, ...]
    tool: Tool
    rest: frozenset[int]
    unknown: tuple[int, ...]
    columns_with_harmless_no: frozenset[int]


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Raise ListFileError if the mapping names a field that does not exist."""
    for name in mapping:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            raise ListFileError(
                "there is no field %(name)s%(hint)s",
                name=repr(name),
                hint=LazyText("; did you mean %(near)s?", near=near[0]) if near else "",
                expected=LazyText("one of %(fields)s", fields=LazyJoin(FIELDS)),
            )


def find_columns(
    sample: Sequence[Record], mapping: Mapping[str, str], *, width: int = 0
) -> DetectedColumns:
    """Return the header and columns of a table, from its first records.

    - `mapping`: as for `open_list`.
    - `width`: the minimum number of columns, with a title or without.

    Raises ListFileError if no column has addresses, or a mapped column does not exist.
    """
    header_index = _find_header(sample, mapping)
    header = sample[header_index][1] if header_index is not None else []
    data = [cells for _, cells in sample[_find_data_start(sample, header_index) :]]
    titles = _read_titles(header, data)
    titles += [""] * (width - len(titles))
    folded = [fold_title(title) for title in titles]
    tool = detect_tool(folded)
    fields = _detect_by_title(folded, tool) if header else _detect_by_content(data, len(titles))
    _settle_addresses(fields, data, has_header=bool(header))
    _settle_names(fields, folded)
    # A refusal may be under any title, and below the rows of this sample.
    rest = [index for index, name in enumerate(fields) if name is None]
    fields = [name or _DEFAULT_FIELD for name in fields]
    _apply(mapping, titles, fields)
    if "address" not in fields:
        raise _make_no_address_error(sample, header_index)
    rest = [index for index in rest if fields[index] == _DEFAULT_FIELD]
    about_else = {index for index in rest if tool.knows(folded[index])}
    unknown = [
        index
        for index in rest
        if index not in about_else and _may_answer(_list_values(data, index))
    ]
    return DetectedColumns(
        header_line=sample[header_index][0] if header_index is not None else 0,
        first_line=_find_first_line(sample, header_index),
        columns=tuple(map(Column, range(len(titles)), titles, fields)),
        tool=tool,
        rest=frozenset(rest),
        unknown=tuple(unknown),
        columns_with_harmless_no=frozenset(
            about_else.union(index for index in unknown if _list_values(data, index))
        ),
    )


def _find_header(sample: Sequence[Record], mapping: Mapping[str, str]) -> int | None:
    """Return the index of the header's record; None without a header."""
    named = (title for columns in mapping.values() for title in columns.splitlines())
    mapped = {fold_title(title) for title in named if not _parse_place(title)} - {""}
    top = [cells for _, cells in sample[:_HEADER_WITHIN]]
    for at, cells in enumerate(top):
        folded = {fold_title(cell) for cell in cells}
        is_titled = folded & mapped or any(map(is_address_title, folded))
        if is_titled and not any(map(is_like_address, cells)):
            return at
    first = next((at for at, cells in enumerate(top) if any(map(is_like_address, cells))), 0)
    # A header with unknown titles has one for each column, unlike a report's title line.
    if first and _count_filled(top[first - 1]) >= _count_filled(top[first]):
        return first - 1
    return None


def _count_filled(cells: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _find_data_start(sample: Sequence[Record], at: int | None) -> int:
    if at is not None:
        return at + 1
    return next(
        (index for index, (_, cells) in enumerate(sample) if any(map(is_like_address, cells))), 0
    )


def _find_first_line(sample: Sequence[Record], at: int | None) -> int:
    index = _find_data_start(sample, at)
    return sample[index][0] if index < len(sample) else sample[-1][0] + 1


def _read_titles(header: Sequence[str], data: Sequence[Sequence[str]]) -> list[str]:
    """Return a title for each column, "" without one; safe for a terminal."""
    titles = [normalize_cell(title) for title in header]
    while titles and not titles[-1]:
        titles.pop()
    return titles or [""] * max(map(len, data), default=0)


def _detect_by_title(folded: Sequence[str], tool: Tool) -> list[str | None]:
    known = [tool.find_field(title) for title in folded]
    best: dict[str | None, int] = {}
    for index, (name, rank) in enumerate(known):
        if name not in best or rank < known[best[name]][1]:
            best[name] = index
    return [
        name if name in REPEATED_FIELDS or best[name] == index else None
        for index, (name, _) in enumerate(known)
    ]


def _detect_by_content(data: Sequence[Sequence[str]], width: int) -> list[str | None]:
    """Return the fields of columns without titles, as far as their content is clear."""
    fields: list[str | None] = [None] * width
    texts = []
    for index in range(width):
        values = _list_values(data, index)
        if values and all(map(is_known_status, values)):
            fields[index] = "status"
        elif values and all(map(is_language, values)):
            fields[index] = "language"
        elif values and _may_be_names(values):
            texts.append(index)
    # With several such columns, one may be a town.
    if len(texts) == 1:
        fields[texts[0]] = "name"
    return fields


def _may_be_names(values: Sequence[str]) -> bool:
    is_text = not any(set(value) & set("@0123456789") for value in values)
    return is_text and not _is_yes_or_no(values) and not may_refuse(values)


def _list_values(data: Sequence[Sequence[str]], index: int) -> list[str]:
    return [cells[index] for cells in data if index < len(cells) and cells[index].strip()]


def _settle_addresses(
    fields: list[str | None], data: Sequence[Sequence[str]], *, has_header: bool
) -> None:
    """Map the columns that contain addresses, if titles say nothing or are misleading."""
    titled = {index for index, name in enumerate(fields) if name == "address"}
    misleading = {
        index
        for index in titled
        if (values := _list_values(data, index)) and "@" not in "".join(values)
    }
    shares = [_count_addresses(data, index) for index in range(len(fields))]
    if titled == misleading and any(shares):
        # With unknown titles only one is mapped, as a second column may be another person's.
        fields[shares.index(max(shares))] = "address"
        for index in range(len(fields)) if not has_header else ():
            fields[index] = "address" if shares[index] else fields[index]
        titled = set()
    for index in misleading if any(shares) or titled != misleading else ():
        # "Mail: nee" beside the addresses is an answer to a question for consent.
        fields[index] = "consent" if _is_yes_or_no(_list_values(data, index)) else None


def _count_addresses(data: Sequence[Sequence[str]], index: int) -> int:
    """Return the number of addresses in a column; 0 if fewer than half of its cells are."""
    values = _list_values(data, index)
    count = sum(map(is_like_address, values))
    return count if 2 * count >= len(values) else 0


def _is_yes_or_no(values: Sequence[str]) -> bool:
    return all(map(is_answer, values)) and any(map(says_no, values))


def _may_answer(values: Sequence[str]) -> bool:
    """Say whether a column may have Yes and No, with few other values."""
    return not values or 2 * sum(map(is_answer, values)) > len(values)


def _settle_names(fields: list[str | None], folded: Sequence[str]) -> None:
    """Map "Naam" beside "Voornaam", and "Name" beside "Last name", to the missing part."""
    if "name" not in fields:
        return
    index = fields.index("name")
    if folded[index] in {"name", "naam", "nom"} | PART_OF_A_NAME:
        if "first_name" in fields and "last_name" not in fields:
            fields[index] = "last_name"
        elif "last_name" in fields and "first_name" not in fields:
            fields[index] = "first_name"


def _apply(mapping: Mapping[str, str], titles: Sequence[str], fields: list[str | None]) -> None:
    for name, columns in mapping.items():
        places = _find_indexes(columns, titles)
        # A further column that the admin names is added, so that no opt-out gets lost.
        is_further = "\n" not in columns and name in REPEATED_FIELDS and name != "address"
        if not places or not is_further:
            # A column that loses its field to one other column may still have refusals.
            replacement = _DEFAULT_FIELD if places and "\n" not in columns else None
            fields[:] = [replacement if field == name else field for field in fields]
        for at in places:
            fields[at] = name


def _find_indexes(columns: str, titles: Sequence[str]) -> list[int]:
    """Return the indexes of the named columns; of several, one a line, those that exist here."""
    if "\n" in columns:
        indexes = (_find(column, titles) for column in columns.splitlines() if column.strip())
        named = set(columns.splitlines())
        # A number means a column without a unique title; in another table it may be another column.
        return [
            index
            for index in indexes
            if index is not None
            and (titles[index] in named or titles.count(titles[index]) > 1 or not titles[index])
        ]
    if not columns.strip():
        return []
    index = _find(columns, titles)
    if index is None:
        raise ListFileError(
            "there is no column %(named)s in this file",
            named=repr(columns),
            expected=_list_titles(titles),
        )
    return [index]


def _find(column: str, titles: Sequence[str]) -> int | None:
    folded = [fold_title(title) for title in titles]
    if fold_title(column) and fold_title(column) in folded:
        return folded.index(fold_title(column))
    place = _parse_place(column)
    return place - 1 if 0 < place <= len(titles) else None


def _parse_place(column: str) -> int:
    """Return the 1-based place that "3" or a spreadsheet's "C" means; 0 for another text."""
    column = column.strip()
    if column.isascii() and column.isdigit():
        return int(column)
    if not re.fullmatch(r"[A-Za-z]{1,2}", column):
        return 0
    place = 0
    for letter in column.upper():
        place = place * _LETTERS + ord(letter) - ord("A") + 1
    return place


def _list_titles(titles: Sequence[str]) -> LazyText:
    if any(titles):
        return LazyText("one of: %(titles)s", titles=LazyJoin(tuple(filter(None, titles))))
    return LazyText("a number from 1 to %(last)s", last=len(titles))


def _make_no_address_error(sample: Sequence[Record], at: int | None) -> ListFileError:
    line, cells = sample[at or 0]
    return ListFileError(
        "it is not known which column holds the e-mail addresses",
        cli=" (%(what)s: %(cells)s)",
        line=line,
        what="its first line" if at is None else "its columns",
        cells=LazyJoin(tuple(filter(None, map(normalize_cell, cells)))),
        expected=LazyText(
            "a title such as E-mail above that column",
            cli=", or --map address=COLUMN to say which one it is",
        ),
    )
