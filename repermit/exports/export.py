"""Writing an export to a file, and recording it in the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, BinaryIO

from repermit.contacts import counts as contacts_counts
from repermit.db import background_tasks
from repermit.db.connection import Database, RowCounter, read_snapshot
from repermit.db.models.lists import MailingList
from repermit.errors import Refused
from repermit.evidence import chain, signed_checkpoint
from repermit.evidence.entries import Checkpoint, Entry
from repermit.exports import evidence_export, export_rows
from repermit.exports.export_rows import TOOL_FORMATS, ExportKind, FileFormat, Record, Tool
from repermit.exports.file_writers import (
    WriteTable,
    escape_formula,
    write_csv,
    write_json,
    write_xlsx,
)
from repermit.i18n.lazy_text import LazyJoin
from repermit.settings.definitions import Settings
from repermit.signed_links import Links
from repermit.temporary_files import make_temporary_files


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of a table that people open in a spreadsheet, not in a newsletter tool.

    - `headings`: the title of each column, by field name.
    - `words`: by field name, the texts that replace its codes.
    - `delimiter`: of a CSV, which also begins with a byte order mark, as Excel needs it.
    """

    headings: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    delimiter: str


@dataclass(frozen=True)
class ExportResult:
    """The result of an export.

    - `erased`: further removed people, whose address is erased.
    - `by_hand`: addresses that a tool's file cannot contain (see write_export); enter them there.
    - `twice`: addresses that have a second row, with the other form of their domain.
    - `checkpoint`: that of an export of the evidence, which is in its JSON file.
    """

    list: str
    what: ExportKind
    format: FileFormat
    tool: Tool | None
    rows: int
    erased: int
    by_hand: tuple[str, ...]
    twice: int
    checkpoint: Checkpoint | None = None


_COLUMNS = {
    ExportKind.KEEP: export_rows.KEEP_COLUMNS,
    ExportKind.REMOVED: export_rows.REMOVED_COLUMNS,
    ExportKind.UNASKED: export_rows.UNASKED_COLUMNS,
    ExportKind.EVIDENCE: evidence_export.COLUMNS,
}
_ROWS = {
    ExportKind.KEEP: export_rows.iter_keep_rows,
    ExportKind.REMOVED: export_rows.iter_removed_rows,
    ExportKind.UNASKED: export_rows.iter_unasked_rows,
    ExportKind.EVIDENCE: evidence_export.iter_rows,
}


def write_export(
    mailing_list: MailingList,
    kind: str,
    *,
    database: Database,
    settings: Settings,
    now: datetime,
    actor: str,
    out: BinaryIO,
    format: str = FileFormat.CSV,  # noqa: A002  the word of the command line
    tool: str | None = None,
    with_links: bool = False,
    layout: Layout | None = None,
) -> ExportResult:
    """Write an export to `out`, and record in the evidence that it was made.

    1. Write the rows as they are read, from one snapshot of the database; nothing is locked.
    2. Append the entry `exported` in a separate transaction. If writing fails after the first row,
       the entry has `whole` false and the number of rows written.

    A CSV has an apostrophe before text that a spreadsheet could take for a formula, also before an
    address such as =a@example.org. JSON and XLSX have the text unchanged. The evidence as JSON is
    one object, which is checked offline (see evidence_export).

    A newsletter tool would read that apostrophe as part of the address, and so mail or remove
    somebody else. A tool's CSV leaves such addresses out; the result has them in `by_hand`.

    Addresses are written in Unicode, such as bücher.example. Some tools store only the A-label
    (xn--bcher-kva.example), and would not find and remove the address. So a tool's file of removals
    has a row for each form.

    - `layout`: for people; not used for tools, JSON and the evidence.

    Raises Refused for an invalid combination or while an import is running, before anything is
    written, and for a row that a spreadsheet cannot hold.
    """
    kind, file_format, used_tool = (
        ExportKind(kind),
        FileFormat(format),
        Tool(tool) if tool else None,
    )
    require_combination(kind, file_format, used_tool, with_links=with_links)
    records = _ROWS[kind](mailing_list)
    if with_links:
        records = _add_links(records, settings)
    by_hand: list[str] = []
    twice: list[str] = []
    if used_tool and kind is ExportKind.REMOVED:
        records = _add_a_labels(records, twice)
    if used_tool:
        records = _add_tool_fields(records, mailing_list, settings)
        if file_format is FileFormat.CSV:
            records = _skip_formulas(records, by_hand)
    columns = _make_columns(kind, used_tool, with_links=with_links)
    layout = (
        None
        if used_tool or file_format is FileFormat.JSON or kind is ExportKind.EVIDENCE
        else layout
    )
    if layout:
        columns = {field: layout.headings[title] for field, title in columns.items()}
        records = export_rows.translate_rows(records, columns, layout.words, settings.zone)
    row_counter, erased, is_whole = RowCounter(), 0, False
    checkpoint = None
    try:
        # In the snapshot: an import may start while the rows go to a slow reader.
        with read_snapshot(database):
            background_tasks.require_no_running_import(mailing_list)
            write_options = (mailing_list, kind, file_format, used_tool, layout)
            with _open_writer(*write_options, created=now, settings=settings) as write:
                write(row_counter.count(records), columns, out)
            erased = contacts_counts.count_erased(mailing_list) if kind is ExportKind.REMOVED else 0
            if kind is ExportKind.EVIDENCE:
                checkpoint = signed_checkpoint.make_signed_checkpoint(settings)
        is_whole = True
    finally:
        if is_whole or row_counter.rows:
            content = _make_facts(
                kind, file_format, used_tool, row_counter.rows, with_links=with_links
            )
            entry_content = content if is_whole else {**content, "whole": False}
            with database.atomic():
                chain.append(_make_entry(mailing_list, entry_content, now=now, actor=actor))
    return ExportResult(
        mailing_list.slug,
        kind,
        file_format,
        used_tool,
        row_counter.rows,
        erased,
        tuple(by_hand),
        len(twice),
        checkpoint,
    )


def record_refused_rows(mailing_list: MailingList, rows: int, *, now: datetime, actor: str) -> None:
    """Append an entry that the refused rows of an import were downloaded.

    In the caller's transaction.
    """
    content = _make_facts("refused", FileFormat.CSV, None, rows, with_links=False)
    chain.append(_make_entry(mailing_list, content, now=now, actor=actor))


def require_combination(
    kind: ExportKind, file_format: FileFormat, tool: Tool | None, *, with_links: bool
) -> None:
    """Raise Refused for an invalid combination, such as a tool and a format it does not read."""
    if with_links and kind is not ExportKind.KEEP:
        raise Refused("links to unsubscribe are for those who may be mailed", cli=": export keep")
    if tool is None:
        return
    if kind not in {ExportKind.KEEP, ExportKind.REMOVED}:
        raise Refused(
            "this file is not for a tool: take it without one",
            cli="; a tool is given keep and removed",
        )
    if file_format not in TOOL_FORMATS[tool].formats:
        raise Refused(
            "%(tool)s does not take %(form)s; it takes %(forms)s",
            tool=str(tool),
            form=str(file_format),
            forms=LazyJoin(tuple(TOOL_FORMATS[tool].formats), by=" or "),
        )


def _make_columns(kind: ExportKind, tool: Tool | None, *, with_links: bool) -> Mapping[str, str]:
    """Return the titles of the written fields by name, in order."""
    if tool is None:
        names = (*_COLUMNS[kind], "unsubscribe_url") if with_links else _COLUMNS[kind]
        return {name: name for name in names}
    titles = TOOL_FORMATS[tool].keep if kind is ExportKind.KEEP else TOOL_FORMATS[tool].removed
    return {
        field: title for field, title in titles.items() if with_links or field != "unsubscribe_url"
    }


@contextmanager
def _open_writer(
    mailing_list: MailingList,
    kind: ExportKind,
    file_format: FileFormat,
    tool: Tool | None,
    layout: Layout | None,
    *,
    created: datetime,
    settings: Settings,
) -> Iterator[WriteTable]:
    if file_format is FileFormat.JSON and kind is ExportKind.EVIDENCE:
        yield partial(evidence_export.write_evidence, slug=mailing_list.slug, settings=settings)
    elif file_format is FileFormat.JSON:
        yield write_json
    elif file_format is FileFormat.XLSX:
        with make_temporary_files(settings).folder_for("export") as folder:
            yield partial(write_xlsx, created=created, folder=folder)
    elif layout is not None:
        yield partial(write_csv, delimiter=layout.delimiter, bom=True)
    elif tool is None:
        yield write_csv
    else:
        yield partial(write_csv, delimiter=TOOL_FORMATS[tool].delimiter, bom=TOOL_FORMATS[tool].bom)


def _add_links(records: Iterable[Record], settings: Settings) -> Iterator[Record]:
    links = Links(settings.public_url, settings.secret_keys)
    for row in records:
        yield {**row, "unsubscribe_url": links.url("no", row["uid"])}


def _add_tool_fields(
    records: Iterable[Record], mailing_list: MailingList, settings: Settings
) -> Iterator[Record]:
    """Add the fields that only tools have, with days in the organisation's time zone.

    A tool's `since` has a title about consent. So it is filled only for people who agreed, and only
    if the time is known; otherwise it would claim a consent that was not given then (GDPR art.
    7(1)).
    """
    # Outlook splits its categories at commas or semicolons, by country. It shows them to everybody
    # who shares the address book, so a sensitive list gives none.
    list_name = "" if mailing_list.sensitive else mailing_list.name
    safe_name = " ".join(list_name.replace(",", " ").replace(";", " ").split())
    for row in records:
        tool_fields = {"list": safe_name, "mark": "ja"}
        if "since" in row:
            tool_fields["since"] = _format_day(row["agreed_at"], settings.zone)
        yield {**row, **tool_fields}


def _add_a_labels(records: Iterable[Record], twice: list[str]) -> Iterator[Record]:
    """Yield each row, and a second one for an A-label; add that address to `twice`."""
    for row in records:
        yield row
        if row["a_label"] != row["address"]:
            twice.append(row["address"])
            yield {**row, "address": row["a_label"]}


def _format_day(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).date().isoformat() if moment else ""


def _skip_formulas(records: Iterable[Record], by_hand: list[str]) -> Iterator[Record]:
    """Yield the rows whose address is no formula to a spreadsheet; add the others to `by_hand`."""
    for row in records:
        if escape_formula(row["address"]) == row["address"]:
            yield row
        else:
            by_hand.append(row["address"])


def _make_facts(
    kind: str, file_format: FileFormat, tool: Tool | None, rows: int, *, with_links: bool
) -> dict[str, Any]:
    return {
        "what": kind,
        "format": file_format,
        "tool": tool or "",
        "rows": rows,
        "with_links": with_links,
    }


def _make_entry(
    mailing_list: MailingList, content: Mapping[str, Any], *, now: datetime, actor: str
) -> Entry:
    return Entry(event="exported", at=now, actor=actor, list=mailing_list.slug, consent=content)
