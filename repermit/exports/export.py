"""One export: what it holds, written as asked, and recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from typing import Any, BinaryIO

from repermit.db import background_tasks
from repermit.db.connection import Database, RowCounter, steady_view
from repermit.db.models.lists import MailingList
from repermit.db.temporary_files import make_temporary_files
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.exports import evidence_export, export_rows
from repermit.exports.export_rows import FORMS, Format, Record, Tool, What
from repermit.exports.file_formats import Write, guard, write_csv, write_json, write_xlsx
from repermit.i18n.lazy_text import Joined
from repermit.settings.definitions import Settings
from repermit.signed_links import Links


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a table looks that people open in a spreadsheet, if it is for no tool.

    `headings` are the titles of its columns, by the names that programs know them by; those that
    are not in it keep their names. A CSV is divided by `delimiter` and begins with a byte order
    mark, without which Excel takes its letters for others.
    """

    headings: Mapping[str, str]
    delimiter: str


@dataclass(frozen=True)
class Exported:
    """What was written.

    `erased` is how many more were removed whose address is held no longer. `by_hand` are
    addresses that could not go into a tool's file (see export) and must be entered there. `twice`
    is how many have a second row, with the other form of their domain.
    """

    list: str
    what: What
    format: Format
    tool: Tool | None
    rows: int
    erased: int
    by_hand: tuple[str, ...]
    twice: int


_COLUMNS = {
    What.KEEP: export_rows.KEEP,
    What.REMOVED: export_rows.REMOVED,
    What.UNASKED: export_rows.UNASKED,
    What.EVIDENCE: evidence_export.COLUMNS,
}
_ROWS = {
    What.KEEP: export_rows.keep,
    What.REMOVED: export_rows.removed,
    What.UNASKED: export_rows.unasked,
    What.EVIDENCE: evidence_export.rows,
}


def export(
    mailing_list: MailingList,
    what: str,
    *,
    database: Database,
    settings: Settings,
    now: datetime,
    actor: str,
    out: BinaryIO,
    format: str = Format.CSV,  # noqa: A002  the word of the command line
    tool: str | None = None,
    with_links: bool = False,
    layout: Layout | None = None,
) -> Exported:
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
    what, form, its_tool = What(what), Format(format), Tool(tool) if tool else None
    require_fitting(what, form, its_tool, with_links=with_links)
    found = _ROWS[what](mailing_list)
    if with_links:
        found = _with_links(found, settings)
    by_hand: list[str] = []
    twice: list[str] = []
    if its_tool and what is What.REMOVED:
        found = _in_both_forms(found, twice)
    if its_tool:
        found = _for_tool(found, mailing_list, settings)
        if form is Format.CSV:
            found = _set_apart(found, by_hand)
    columns = _columns(what, its_tool, with_links=with_links)
    layout = None if its_tool or form is Format.JSON or what is What.EVIDENCE else layout
    if layout:
        columns = {field: layout.headings.get(title, title) for field, title in columns.items()}
    written, erased, is_whole = RowCounter(), 0, False
    try:
        # A file of the list may begin to be taken in while a slow reader takes the rows.
        with steady_view(database):
            background_tasks.require_no_unfinished_file(mailing_list)
            its = (mailing_list, what, form, its_tool, layout)
            with _writer(*its, created=now, settings=settings) as write:
                write(written.count(found), columns, out)
            erased = export_rows.count_erased(mailing_list) if what is What.REMOVED else 0
        is_whole = True
    finally:
        if is_whole or written.rows:
            facts = _facts(what, form, its_tool, written.rows, with_links=with_links)
            told = facts if is_whole else {**facts, "whole": False}
            with database.atomic():
                chain.append(_entry(mailing_list, told, now=now, actor=actor))
    return Exported(
        mailing_list.slug, what, form, its_tool, written.rows, erased, tuple(by_hand), len(twice)
    )


def note_refused(mailing_list: MailingList, rows: int, *, now: datetime, actor: str) -> None:
    """Append that the rows a file was refused for were downloaded, in the caller's transaction."""
    facts = _facts("refused", Format.CSV, None, rows, with_links=False)
    chain.append(_entry(mailing_list, facts, now=now, actor=actor))


def require_fitting(what: What, form: Format, tool: Tool | None, *, with_links: bool) -> None:
    """Refuse what does not go together, such as a tool and a format that it does not take."""
    if with_links and what is not What.KEEP:
        raise Refused(
            "links to unsubscribe are for those who may be mailed: export keep", code="links"
        )
    if tool is None:
        return
    if what not in {What.KEEP, What.REMOVED}:
        raise Refused(
            "%(what)s is not for a tool; a tool is given keep and removed",
            code="no_tool",
            what=str(what),
        )
    if form not in FORMS[tool].formats:
        raise Refused(
            "%(tool)s does not take %(form)s; it takes %(forms)s",
            code="tool_form",
            tool=str(tool),
            form=str(form),
            forms=Joined(tuple(FORMS[tool].formats), by=" or "),
        )


def _columns(what: What, tool: Tool | None, *, with_links: bool) -> Mapping[str, str]:
    """Return the title of each field that is written, in order."""
    if tool is None:
        names = (*_COLUMNS[what], "unsubscribe_url") if with_links else _COLUMNS[what]
        return {name: name for name in names}
    titles = FORMS[tool].keep if what is What.KEEP else FORMS[tool].removed
    return {
        field: title for field, title in titles.items() if with_links or field != "unsubscribe_url"
    }


@contextmanager
def _writer(
    mailing_list: MailingList,
    what: What,
    form: Format,
    tool: Tool | None,
    layout: Layout | None,
    *,
    created: datetime,
    settings: Settings,
) -> Iterator[Write]:
    if form is Format.JSON and what is What.EVIDENCE:
        yield partial(evidence_export.write, slug=mailing_list.slug, settings=settings)
    elif form is Format.JSON:
        yield write_json
    elif form is Format.XLSX:
        with make_temporary_files(settings).folder_for("export") as folder:
            yield partial(write_xlsx, created=created, folder=folder)
    elif layout is not None:
        yield partial(write_csv, delimiter=layout.delimiter, bom=True)
    elif tool is None:
        yield write_csv
    else:
        yield partial(write_csv, delimiter=FORMS[tool].delimiter, bom=FORMS[tool].bom)


def _with_links(found: Iterable[Record], settings: Settings) -> Iterator[Record]:
    links = Links(settings.public_url, settings.secret_keys)
    for row in found:
        yield {**row, "unsubscribe_url": links.url("no", row["uid"])}


def _for_tool(
    found: Iterable[Record], mailing_list: MailingList, settings: Settings
) -> Iterator[Record]:
    """Add what only tools' forms have, and make moments days in the organisation's zone.

    A tool's `since` stands under a title that speaks of consent, so it is given only for those
    who agreed, and only where the moment is known: else it would claim a consent that nobody
    gave, or gave then (GDPR art. 7(1)).
    """
    # Outlook divides its categories at commas or semicolons, by country. It shows them beside
    # each contact, also to whoever shares the address book: a sensitive list gives none.
    known_as = "" if mailing_list.sensitive else mailing_list.name
    name = " ".join(known_as.replace(",", " ").replace(";", " ").split())
    for row in found:
        more = {"list": name, "mark": "ja"}
        if "since" in row:
            more["since"] = _day(row["agreed_at"], settings.zone)
        yield {**row, **more}


def _in_both_forms(found: Iterable[Record], twice: list[str]) -> Iterator[Record]:
    """Yield each row, and once more those whose domain has an A-label; put these in `twice`."""
    for row in found:
        yield row
        if row["a_label"] != row["address"]:
            twice.append(row["address"])
            yield {**row, "address": row["a_label"]}


def _day(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).date().isoformat() if moment else ""


def _set_apart(found: Iterable[Record], by_hand: list[str]) -> Iterator[Record]:
    """Yield the rows whose address a spreadsheet leaves alone, and put the others in `by_hand`."""
    for row in found:
        if guard(row["address"]) == row["address"]:
            yield row
        else:
            by_hand.append(row["address"])


def _facts(
    what: str, form: Format, tool: Tool | None, rows: int, *, with_links: bool
) -> dict[str, Any]:
    return {
        "what": what,
        "format": form,
        "tool": tool or "",
        "rows": rows,
        "with_links": with_links,
    }


def _entry(
    mailing_list: MailingList, facts: Mapping[str, Any], *, now: datetime, actor: str
) -> Entry:
    return Entry(event="exported", at=now, actor=actor, list=mailing_list.slug, consent=facts)
