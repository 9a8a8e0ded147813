"""One export: what it holds, written as asked, and recorded."""

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
from repermit.evidence import chain
from repermit.evidence.entries import Entry
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
    """How a table looks that people open in a spreadsheet, if it is for no tool.

    `headings` are the titles of its columns, by the names that programs know them by. `words` are
    what stands for the codes of a column, by its name. A CSV is divided by `delimiter` and begins
    with a byte order mark, without which Excel takes its letters for others.
    """

    headings: Mapping[str, str]
    words: Mapping[str, Mapping[str, str]]
    delimiter: str


@dataclass(frozen=True)
class ExportResult:
    """What was written.

    `erased` is how many more were removed whose address is held no longer. `by_hand` are
    addresses that could not go into a tool's file (see write_export) and must be entered there.
    `twice` is how many have a second row, with the other form of their domain.
    """

    list: str
    what: ExportKind
    format: FileFormat
    tool: Tool | None
    rows: int
    erased: int
    by_hand: tuple[str, ...]
    twice: int


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
    what: str,
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

    1. The rows are written as they are read, as all were at one moment; nothing is locked.
    2. The entry `exported` is appended, in a transaction of its own; also if the writing ends
       early after the first row, then with `whole` false and the rows that were written.

    A CSV has an apostrophe before what a spreadsheet could take for a formula, also before an
    address such as =a@example.org; JSON and XLSX hold it as it is. The evidence as JSON
    is one object, which is checked offline (see evidence_export). A tool would take that
    apostrophe for a part of the address and so mail, or take off, somebody else: from a tool's
    CSV such addresses are left out and handed back in `by_hand`.

    Addresses are written as people write them, bücher.example. Some tools hold the A-label
    (xn--bcher-kva.example) and find that alone, and whoever is not found is not taken off: a
    tool's file of removals has both, a row each.

    `layout` is how people open it, in place of what programs read; JSON and the record have none.

    Raises Refused for what does not go together, and while a file of the list is under way, before
    anything is written, and for what a spreadsheet cannot hold.
    """
    what, file_format, used_tool = (
        ExportKind(what),
        FileFormat(format),
        Tool(tool) if tool else None,
    )
    require_combination(what, file_format, used_tool, with_links=with_links)
    records = _ROWS[what](mailing_list)
    if with_links:
        records = _add_links(records, settings)
    by_hand: list[str] = []
    twice: list[str] = []
    if used_tool and what is ExportKind.REMOVED:
        records = _add_a_labels(records, twice)
    if used_tool:
        records = _add_tool_fields(records, mailing_list, settings)
        if file_format is FileFormat.CSV:
            records = _skip_formulas(records, by_hand)
    columns = _make_columns(what, used_tool, with_links=with_links)
    layout = (
        None
        if used_tool or file_format is FileFormat.JSON or what is ExportKind.EVIDENCE
        else layout
    )
    if layout:
        columns = {field: layout.headings[title] for field, title in columns.items()}
        records = _translate_rows(records, columns, layout.words, settings.zone)
    row_counter, erased, is_whole = RowCounter(), 0, False
    try:
        # A file of the list may begin to be taken in while a slow reader takes the rows.
        with read_snapshot(database):
            background_tasks.require_no_running_import(mailing_list)
            write_options = (mailing_list, what, file_format, used_tool, layout)
            with _open_writer(*write_options, created=now, settings=settings) as write:
                write(row_counter.count(records), columns, out)
            erased = contacts_counts.count_erased(mailing_list) if what is ExportKind.REMOVED else 0
        is_whole = True
    finally:
        if is_whole or row_counter.rows:
            facts = _make_facts(
                what, file_format, used_tool, row_counter.rows, with_links=with_links
            )
            entry_facts = facts if is_whole else {**facts, "whole": False}
            with database.atomic():
                chain.append(_make_entry(mailing_list, entry_facts, now=now, actor=actor))
    return ExportResult(
        mailing_list.slug,
        what,
        file_format,
        used_tool,
        row_counter.rows,
        erased,
        tuple(by_hand),
        len(twice),
    )


def record_refused_rows(mailing_list: MailingList, rows: int, *, now: datetime, actor: str) -> None:
    """Append that the rows a file was refused for were downloaded, in the caller's transaction."""
    facts = _make_facts("refused", FileFormat.CSV, None, rows, with_links=False)
    chain.append(_make_entry(mailing_list, facts, now=now, actor=actor))


def require_combination(
    what: ExportKind, form: FileFormat, tool: Tool | None, *, with_links: bool
) -> None:
    """Refuse what does not go together, such as a tool and a format that it does not take."""
    if with_links and what is not ExportKind.KEEP:
        raise Refused(
            "links to unsubscribe are for those who may be mailed: export keep", code="links"
        )
    if tool is None:
        return
    if what not in {ExportKind.KEEP, ExportKind.REMOVED}:
        raise Refused(
            "%(what)s is not for a tool; a tool is given keep and removed",
            code="no_tool",
            what=str(what),
        )
    if form not in TOOL_FORMATS[tool].formats:
        raise Refused(
            "%(tool)s does not take %(form)s; it takes %(forms)s",
            code="tool_form",
            tool=str(tool),
            form=str(form),
            forms=LazyJoin(tuple(TOOL_FORMATS[tool].formats), by=" or "),
        )


def _make_columns(what: ExportKind, tool: Tool | None, *, with_links: bool) -> Mapping[str, str]:
    """Return the title of each field that is written, in order."""
    if tool is None:
        names = (*_COLUMNS[what], "unsubscribe_url") if with_links else _COLUMNS[what]
        return {name: name for name in names}
    titles = TOOL_FORMATS[tool].keep if what is ExportKind.KEEP else TOOL_FORMATS[tool].removed
    return {
        field: title for field, title in titles.items() if with_links or field != "unsubscribe_url"
    }


@contextmanager
def _open_writer(
    mailing_list: MailingList,
    what: ExportKind,
    form: FileFormat,
    tool: Tool | None,
    layout: Layout | None,
    *,
    created: datetime,
    settings: Settings,
) -> Iterator[WriteTable]:
    if form is FileFormat.JSON and what is ExportKind.EVIDENCE:
        yield partial(evidence_export.write_evidence, slug=mailing_list.slug, settings=settings)
    elif form is FileFormat.JSON:
        yield write_json
    elif form is FileFormat.XLSX:
        with make_temporary_files(settings).folder_for("export") as folder:
            yield partial(write_xlsx, created=created, folder=folder)
    elif layout is not None:
        yield partial(write_csv, delimiter=layout.delimiter, bom=True)
    elif tool is None:
        yield write_csv
    else:
        yield partial(write_csv, delimiter=TOOL_FORMATS[tool].delimiter, bom=TOOL_FORMATS[tool].bom)


def _translate_rows(
    found: Iterable[Record],
    columns: Iterable[str],
    words: Mapping[str, Mapping[str, str]],
    zone: tzinfo,
) -> Iterator[Record]:
    """Yield the rows as people read them: words for codes, moments of the zone to the minute."""
    for row in found:
        yield {name: _translate_value(row[name], words.get(name, {}), zone) for name in columns}


def _translate_value(value: Any, words: Mapping[str, str], zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    return words.get(value, value)


def _add_links(found: Iterable[Record], settings: Settings) -> Iterator[Record]:
    links = Links(settings.public_url, settings.secret_keys)
    for row in found:
        yield {**row, "unsubscribe_url": links.url("no", row["uid"])}


def _add_tool_fields(
    found: Iterable[Record], mailing_list: MailingList, settings: Settings
) -> Iterator[Record]:
    """Add what only tools' forms have, and make moments days in the organisation's zone.

    A tool's `since` stands under a title that speaks of consent, so it is given only for those
    who agreed, and only where the moment is known: else it would claim a consent that nobody
    gave, or gave then (GDPR art. 7(1)).
    """
    # Outlook divides its categories at commas or semicolons, by country. It shows them beside
    # each contact, also to whoever shares the address book: a sensitive list gives none.
    list_name = "" if mailing_list.sensitive else mailing_list.name
    safe_name = " ".join(list_name.replace(",", " ").replace(";", " ").split())
    for row in found:
        tool_fields = {"list": safe_name, "mark": "ja"}
        if "since" in row:
            tool_fields["since"] = _format_day(row["agreed_at"], settings.zone)
        yield {**row, **tool_fields}


def _add_a_labels(found: Iterable[Record], twice: list[str]) -> Iterator[Record]:
    """Yield each row, and once more those whose domain has an A-label; put these in `twice`."""
    for row in found:
        yield row
        if row["a_label"] != row["address"]:
            twice.append(row["address"])
            yield {**row, "address": row["a_label"]}


def _format_day(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).date().isoformat() if moment else ""


def _skip_formulas(found: Iterable[Record], by_hand: list[str]) -> Iterator[Record]:
    """Yield the rows whose address a spreadsheet leaves alone, and put the others in `by_hand`."""
    for row in found:
        if escape_formula(row["address"]) == row["address"]:
            yield row
        else:
            by_hand.append(row["address"])


def _make_facts(
    what: str, form: FileFormat, tool: Tool | None, rows: int, *, with_links: bool
) -> dict[str, Any]:
    return {
        "what": what,
        "format": form,
        "tool": tool or "",
        "rows": rows,
        "with_links": with_links,
    }


def _make_entry(
    mailing_list: MailingList, facts: Mapping[str, Any], *, now: datetime, actor: str
) -> Entry:
    return Entry(event="exported", at=now, actor=actor, list=mailing_list.slug, consent=facts)
