"""The columns of a file as a page shows them, and the field that the admin chooses for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from repermit.imports.readers import open_file, rows
from repermit.imports.readers.rows import FilePreview
from repermit.package_files import load_data
from repermit.web.admin.rendering import gettext

MAX_COLUMNS = 200
"""The number of columns that are shown, which include all that could be useful."""

_EXAMPLES = 3
_LABELS: Mapping[str, str] = load_data("column_titles.toml")["labels"]


@dataclass(frozen=True)
class ShownColumn:
    """A column of a file.

    - `name`: its name in a mapping.
    - `part`: the table of the file that has it.
    - `title`: "" if it has none.
    - `field`: the field that it is read as, "" for none.
    - `examples`: its first cells that are not empty.
    """

    name: str
    part: str
    title: str
    field: str
    examples: tuple[str, ...]


def list_columns(previews: Sequence[FilePreview]) -> list[ShownColumn]:
    """Return the first columns of the tables of a file, each title once."""
    return _gather_columns(previews)[:MAX_COLUMNS]


def _gather_columns(previews: Sequence[FilePreview]) -> list[ShownColumn]:
    with_addresses = [
        table for table in previews if any(column.field == "address" for column in table.columns)
    ]
    columns: dict[str, ShownColumn] = {}
    for table in with_addresses or previews:
        for column in _iter_columns(table):
            columns.setdefault(column.name, column)
    return list(columns.values())


def _iter_columns(preview_file: FilePreview) -> Iterator[ShownColumn]:
    titles = Counter(column.title for column in preview_file.columns)
    for column in preview_file.columns:
        is_known_by_title = column.title and titles[column.title] == 1
        yield ShownColumn(
            name=column.title if is_known_by_title else str(column.index + 1),
            part=preview_file.name,
            title=column.title,
            field=column.field or "",
            examples=preview_file.samples[column.index][:_EXAMPLES],
        )


def apply_choices(columns: Sequence[ShownColumn], fields: Mapping[str, str]) -> list[ShownColumn]:
    """Return the columns with the chosen fields, by column name; other columns are unchanged."""
    allowed = {"", *rows.FIELDS}
    chosen = [replace(column, field=fields.get(column.name, column.field)) for column in columns]
    return [
        choice if choice.field in allowed else column
        for column, choice in zip(columns, chosen, strict=True)
    ]


def make_mapping(path: Path, chosen: Sequence[ShownColumn]) -> dict[str, str]:
    """Return a mapping of the chosen fields, without those that are detected anyway."""
    detected = {
        column.name: column.field for column in _gather_columns(open_file.preview_file(path))
    }
    chosen_names = {column.name for column in chosen}
    mapping = {}
    for field in rows.FIELDS:
        names = [column.name for column in chosen if column.field == field]
        if names != [column.name for column in chosen if detected.get(column.name, "") == field]:
            if field in rows.REPEATED_FIELDS:
                # Columns that the page does not show are read as before.
                names += [
                    name
                    for name, detected_field in detected.items()
                    if detected_field == field and name not in chosen_names
                ]
            mapping[field] = "".join(f"{name}\n" for name in names)
    return mapping


def find_wrong_choices(chosen: Sequence[ShownColumn]) -> list[str]:
    """Return the errors of the chosen columns, in the page's language."""
    wrong = []
    if not any(column.field == "address" for column in chosen):
        wrong.append(gettext("Say which column holds the e-mail addresses."))
    counts = Counter((column.part, column.field) for column in chosen)
    for (_, field), count in counts.items():
        if count > 1 and field and field not in rows.REPEATED_FIELDS:
            title = gettext(_LABELS[field])
            wrong.append(gettext("“%(field)s” is chosen more than once.", field=title))
    return wrong


def list_field_titles() -> dict[str, str]:
    """Return the titles of the fields that a column may be read as; "" is none."""
    titles = {name: gettext(text) for name, text in _LABELS.items()}
    return {"": gettext("not read"), **titles}
