"""The forms in which newsletter tools take a file: titles of columns, separators, formats.

Where a form was looked up stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# --- What can be exported, in which format, for which tool. ---------------------------------------


class What(StrEnum):
    """What an export holds.

    `keep` may be mailed; `removed` was taken off; `unasked` could not be asked and so is neither;
    `evidence` is the record, for the regulator.
    """

    KEEP = "keep"
    REMOVED = "removed"
    UNASKED = "unasked"
    EVIDENCE = "evidence"


class Format(StrEnum):
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
class Form:
    """A tool's form: `keep` and `removed` give the title of each column that it gets.

    The fields are those of the plain export, and `list` (the list's name) and `mark` ("ja");
    `since` is a day here, and empty for whoever gave no consent, as customers.
    For a removal a tool gets the address and what it needs to find it there, no name and no
    reason: it has no need to know them (GDPR art. 5(1)(c)).
    """

    keep: Mapping[str, str]
    removed: Mapping[str, str]
    formats: tuple[Format, ...] = (Format.CSV,)
    delimiter: str = ","
    bom: bool = False


# No newsletter tool gets a name under its title for first names: an import overwrites what stands
# there, and where a first name ends cannot be known ("Anne Marie van der Berg"). Dates are
# YYYY-MM-DD, as Mailchimp asks for, and which nobody can take for another day.
FORMS: Mapping[Tool, Form] = {
    # mailchimp.com/help/format-guidelines-for-your-import-file: "Email Address" alone is needed;
    # dates YYYY-MM-DD; UTF-8; languages and web addresses are text fields.
    Tool.MAILCHIMP: Form(
        keep={
            "address": "Email Address",
            "name": "Full Name",
            "language": "Language",
            "basis": "Basis",
            "since": "Opt-in Date",
            "unsubscribe_url": "Unsubscribe URL",
        },
        removed={"address": "Email Address"},
    ),
    # docs.laposta.nl/article/172: .xls, .xlsx or .csv; columns are matched in the third step.
    Tool.LAPOSTA: Form(
        keep={
            "address": "email",
            "name": "volledige naam",
            "language": "taal",
            "basis": "grondslag",
            "since": "toestemming sinds",
            "unsubscribe_url": "afmeldlink",
        },
        removed={"address": "email", "mark": "afmelden"},
        formats=(Format.CSV, Format.XLSX),
    ),
    # help.sendinblue.com (now Brevo) 208729849: the address's column is EMAIL, no title has a
    # space or a special sign, and values are divided by semicolons.
    Tool.BREVO: Form(
        keep={
            "address": "EMAIL",
            "name": "FULLNAME",
            "language": "LANGUAGE",
            "basis": "BASIS",
            "since": "OPTIN_DATE",
            "unsubscribe_url": "UNSUBSCRIBE_URL",
        },
        removed={"address": "EMAIL"},
        delimiter=";",
    ),
    # mailerlite.com/help/how-to-import-subscribers: CSV, TXT or Excel; one sheet; UTF-8; no
    # spaces around a value.
    Tool.MAILERLITE: Form(
        keep={
            "address": "Email",
            "name": "Full name",
            "language": "Language",
            "basis": "Basis",
            "since": "Opt-in date",
            "unsubscribe_url": "Unsubscribe URL",
        },
        removed={"address": "Email"},
        formats=(Format.CSV, Format.XLSX),
    ),
    # The titles of Outlook's own export in English; "User 1" and "User 2" are its free fields.
    # The mark tells it that this is UTF-8. What is imported makes contacts of its own, in whose
    # first name a whole name does no harm. The titles were not to be found in Microsoft's help.
    Tool.OUTLOOK: Form(
        keep={
            "name": "First Name",
            "address": "E-mail Address",
            "list": "Categories",
            "language": "Language",
            "basis": "User 1",
            "since": "User 2",
            "unsubscribe_url": "Web Page",
        },
        removed={"name": "First Name", "address": "E-mail Address"},
        bom=True,
    ),
}


def formats_for(what: What, tool: Tool | None) -> tuple[Format, ...]:
    """Return the formats in which an export can be had, the usual one first; () for none."""
    if tool is None:
        return tuple(Format)
    return FORMS[tool].formats if what in {What.KEEP, What.REMOVED} else ()
