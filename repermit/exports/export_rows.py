"""The kinds, formats and tools of exports, and their rows, read page by page.

Nothing is locked: a row has the state at the time its page was read. People are ordered by address,
and memory use does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from itertools import islice
from operator import itemgetter
from typing import Any

from repermit import email_address, package_files
from repermit.contacts import lookup
from repermit.db.connection import iter_pages
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.email_address import to_unicode_address
from repermit.rules.consent import Status

# --- Kinds, formats and tools. --------------------------------------------------------------------


class ExportKind(StrEnum):
    """The kind of an export.

    - `keep`: people who may be mailed.
    - `removed`: people who were removed.
    - `unasked`: people who could not be asked, and so are neither.
    - `evidence`: the record, for the supervisory authority.
    """

    KEEP = "keep"
    REMOVED = "removed"
    UNASKED = "unasked"
    EVIDENCE = "evidence"


class FileFormat(StrEnum):
    """The format of an exported file."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


class Tool(StrEnum):
    """The newsletter tools whose own import format can be written."""

    MAILCHIMP = "mailchimp"
    LAPOSTA = "laposta"
    BREVO = "brevo"
    MAILERLITE = "mailerlite"
    OUTLOOK = "outlook"


# --- The import formats of newsletter tools. ------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ToolFormat:
    """A tool's import format: `keep` and `removed` have the title of each column, by field.

    The fields are those of the plain export, `list` (the list's name) and `mark` ("ja"). `since` is
    a day here, and empty without consent, as for customers.

    For a removal the tool gets the address and what it needs to find it. It does not need the name
    and the reason (GDPR art. 5(1)(c)).
    """

    keep: Mapping[str, str]
    removed: Mapping[str, str]
    formats: tuple[FileFormat, ...] = (FileFormat.CSV,)
    delimiter: str = ","
    bom: bool = False


# No tool gets a name in its column of first names: an import overwrites the stored first name, and
# where a first name ends is unknown ("Anne Marie van der Berg"). Dates are YYYY-MM-DD, as Mailchimp
# asks for, which cannot be read as another day.
def _read_tool_format(tool: Tool) -> ToolFormat:
    tool_data = package_files.load_newsletter_tool(tool)["export"]
    return ToolFormat(
        keep=tool_data["keep"],
        removed=tool_data["removed"],
        formats=tuple(map(FileFormat, tool_data["formats"])),
        delimiter=tool_data.get("delimiter", ","),
        bom=tool_data.get("bom", False),
    )


TOOL_FORMATS: Mapping[Tool, ToolFormat] = {tool: _read_tool_format(tool) for tool in Tool}


def list_formats(kind: ExportKind, tool: Tool | None) -> tuple[FileFormat, ...]:
    """Return the formats of an export, the default first; () if the tool does not take it."""
    if tool is None:
        return tuple(FileFormat)
    return TOOL_FORMATS[tool].formats if kind in {ExportKind.KEEP, ExportKind.REMOVED} else ()


# --- The rows of an export. -----------------------------------------------------------------------


_PAGE = 1000

KEEP_COLUMNS = ("address", "name", "language", "basis", "since")
REMOVED_COLUMNS = ("address", "name", "reason", "removed_at")
UNASKED_COLUMNS = ("address", "name", "reason")


class StoredJson(str):
    """A part of the evidence exactly as it is stored, so that its digest can be checked."""

    __slots__ = ()


Record = dict[str, Any]
"""One row, by column: text, numbers, aware UTC datetimes, StoredJson; None for an erased part."""


def format_rfc3339(moment: datetime) -> str:
    """Format a timestamp as RFC 3339, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iter_keep_rows(mailing_list: MailingList) -> Iterator[Record]:
    """Yield a row for each contact that may be mailed.

    The columns are KEEP_COLUMNS and these:

    - `uid`: of the contact's links.
    - `key`: the folded address.
    - `agreed_at`: when the person agreed; None for customers, and if unknown.

    `language` is the list's for a contact without a language.
    """
    rows = _select_contacts(mailing_list).where(
        Contact.status.in_((Status.CONFIRMED, Status.CUSTOMER))
    )
    for row in _iter_rows(rows):
        yield {
            "uid": row["uid"],
            "key": row["address_key"],
            "address": email_address.to_unicode_address(row["address"]),
            "name": row["name"],
            "language": row["language"] or mailing_list.language,
            "basis": row["basis"],
            "since": row["basis_at"] or row["status_at"],
            "agreed_at": None if row["status"] == Status.CUSTOMER else row["basis_at"],
        }


def iter_removed_rows(mailing_list: MailingList) -> Iterator[Record]:
    """Yield a row for each removed contact that is not erased.

    The columns are REMOVED_COLUMNS and `a_label`, the address with its domain in ASCII form, to
    which mail is sent.
    """
    rows = _select_contacts(mailing_list).where(
        Contact.status == Status.REMOVED, Contact.address.is_null(is_null=False)
    )
    for row in _iter_rows(rows):
        yield {
            "address": email_address.to_unicode_address(row["address"]),
            "a_label": row["address"],
            "name": row["name"],
            "reason": row["reason"],
            "removed_at": row["status_at"],
        }


def iter_unasked_rows(mailing_list: MailingList) -> Iterator[Record]:
    """Yield a row for each contact that could not be asked, with the columns UNASKED_COLUMNS."""
    # In one query, since each page would sort all rows again; there are few.
    rows = lookup.select_unasked(mailing_list).order_by(Contact.address_key)
    for row in rows.dicts().iterator():
        yield {
            "address": email_address.to_unicode_address(row["address"]),
            "name": row["name"],
            "reason": lookup.explain_unasked(
                row["mail_state"], row["mail_reason"], row["mail_bounce"]
            ),
        }


def _select_contacts(mailing_list: MailingList) -> Any:
    return Contact.select().where(Contact.list == mailing_list).dicts()


def _iter_rows(query: Any) -> Iterator[Mapping[str, Any]]:
    key, read_key = Contact.address_key, itemgetter("address_key")
    for page in iter_pages(query, key, size=_PAGE, read_key=read_key, after=""):
        yield from page


def translate_rows(
    records: Iterable[Record],
    columns: Iterable[str],
    value_labels: Mapping[str, Mapping[str, str]],
    zone: tzinfo,
) -> Iterator[Record]:
    """Yield the rows for people: labels for codes, and local times to the minute."""
    for row in records:
        yield {
            name: _translate_value(row[name], value_labels.get(name, {}), zone) for name in columns
        }


def _translate_value(value: Any, labels: Mapping[str, str], zone: tzinfo) -> Any:
    if isinstance(value, datetime):
        return f"{value.astimezone(zone):%Y-%m-%d %H:%M}"
    return labels.get(value, value)


# --- Addresses that a spreadsheet would read as a formula. ----------------------------------------


# How such an address begins; the other characters of `escape_formula` cannot begin an address.
_FORMULA_PREFIXES = "+-="
_MAX_ADDRESSES = 100
_STATUSES = {
    ExportKind.KEEP: (Status.CONFIRMED, Status.CUSTOMER),
    ExportKind.REMOVED: (Status.REMOVED,),
}


def list_formula_addresses(mailing_list: MailingList, kind: ExportKind) -> tuple[str, ...]:
    """Return the addresses of an export that must be entered in the tool by hand, 100 at most."""
    contacts = filter(
        lambda contact: contact.status in _STATUSES[kind], _iter_formula_contacts(mailing_list)
    )
    return tuple(
        to_unicode_address(contact.address or "") for contact in islice(contacts, _MAX_ADDRESSES)
    )


def _iter_formula_contacts(mailing_list: MailingList) -> Iterator[Contact]:
    """Yield the contacts whose address begins like a formula, by prefix and address.

    The status is no condition of the query: SQLite would then read all contacts with that status.
    """
    key: Any = Contact.address_key
    for prefix in _FORMULA_PREFIXES:
        rows = Contact.select(Contact.address, Contact.status).where(
            Contact.list == mailing_list,
            key >= prefix,
            key < chr(ord(prefix) + 1),
            Contact.address.is_null(is_null=False),
        )
        yield from rows.order_by(key).iterator()
