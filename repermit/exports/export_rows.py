"""What an export holds, in which format and for which tool, read page by page.

Nothing is locked: a row is as it was when its page was read. People come in the order of their
addresses, and memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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

# --- What can be exported, in which format, for which tool. ---------------------------------------


class ExportKind(StrEnum):
    """What an export holds.

    `keep` may be mailed; `removed` was taken off; `unasked` could not be asked and so is neither;
    `evidence` is the record, for the regulator.
    """

    KEEP = "keep"
    REMOVED = "removed"
    UNASKED = "unasked"
    EVIDENCE = "evidence"


class FileFormat(StrEnum):
    """How a file is written."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"


class Tool(StrEnum):
    """The tools in whose own form a file can be had."""

    MAILCHIMP = "mailchimp"
    LAPOSTA = "laposta"
    BREVO = "brevo"
    MAILERLITE = "mailerlite"
    OUTLOOK = "outlook"


# --- The forms in which newsletter tools take a file. ---------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ToolFormat:
    """A tool's form: `keep` and `removed` give the title of each column that it gets.

    The fields are those of the plain export, and `list` (the list's name) and `mark` ("ja");
    `since` is a day here, and empty for whoever gave no consent, as customers.
    For a removal a tool gets the address and what it needs to find it there, no name and no
    reason: it has no need to know them (GDPR art. 5(1)(c)).
    """

    keep: Mapping[str, str]
    removed: Mapping[str, str]
    formats: tuple[FileFormat, ...] = (FileFormat.CSV,)
    delimiter: str = ","
    bom: bool = False


# No newsletter tool gets a name under its title for first names: an import overwrites what stands
# there, and where a first name ends cannot be known ("Anne Marie van der Berg"). Dates are
# YYYY-MM-DD, as Mailchimp asks for, and which nobody can take for another day.
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


def list_formats(what: ExportKind, tool: Tool | None) -> tuple[FileFormat, ...]:
    """Return the formats in which an export can be had, the usual one first; () for none."""
    if tool is None:
        return tuple(FileFormat)
    return TOOL_FORMATS[tool].formats if what in {ExportKind.KEEP, ExportKind.REMOVED} else ()


# --- The rows of an export. -----------------------------------------------------------------------


_PAGE = 1000

KEEP_COLUMNS = ("address", "name", "language", "basis", "since")
REMOVED_COLUMNS = ("address", "name", "reason", "removed_at")
UNASKED_COLUMNS = ("address", "name", "reason")


class StoredJson(str):
    """A part of the evidence exactly as it is stored, so that its digest can be checked."""

    __slots__ = ()


Record = dict[str, Any]
"""One row, by column: text, numbers, moments (aware UTC), StoredJson; None for what is gone."""


def format_rfc3339(moment: datetime) -> str:
    """Return a moment as RFC 3339 writes it, in UTC."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iter_keep_rows(mailing_list: MailingList) -> Iterator[Record]:
    """Yield who may be mailed, with the columns KEEP, `uid`, the folded `key` and `agreed_at`.

    `language` is the list's for whoever has none of their own. `agreed_at` is when the person
    agreed; None for customers, who were not asked to, and where that moment is not known.
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
    """Yield who was taken off and is not erased, with the columns REMOVED and `a_label`.

    `a_label` is the address with its domain in the form in which mail is sent to it.
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
    """Yield who could not be asked, and why, with the columns UNASKED."""
    # In one go, since the whole would be sorted anew for every page; they are few.
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


# --- Addresses that a spreadsheet would read as a formula. ----------------------------------------


# With what such an address begins; the guard's other signs cannot stand first in an address.
_SIGNS = "+-="
_MAX_ADDRESSES = 100
_STATUSES = {
    ExportKind.KEEP: (Status.CONFIRMED, Status.CUSTOMER),
    ExportKind.REMOVED: (Status.REMOVED,),
}


def list_formula_addresses(mailing_list: MailingList, what: ExportKind) -> tuple[str, ...]:
    """Return the addresses of an export that must be entered in the tool by hand, 100 at most."""
    contacts = filter(
        lambda contact: contact.status in _STATUSES[what], _iter_formula_contacts(mailing_list)
    )
    return tuple(
        to_unicode_address(contact.address or "") for contact in islice(contacts, _MAX_ADDRESSES)
    )


def _iter_formula_contacts(mailing_list: MailingList) -> Iterator[Contact]:
    """Yield whose address begins so, sign by sign, in the order of the addresses.

    Their status is no condition: SQLite would go through everybody who has it.
    """
    key: Any = Contact.address_key
    for sign in _SIGNS:
        rows = Contact.select(Contact.address, Contact.status).where(
            Contact.list == mailing_list,
            key >= sign,
            key < chr(ord(sign) + 1),
            Contact.address.is_null(is_null=False),
        )
        yield from rows.order_by(key).iterator()
