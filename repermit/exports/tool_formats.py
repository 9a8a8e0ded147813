"""The forms in which newsletter tools take a file, as `data/newsletter_tools` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from repermit import package_files

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
def _read(tool: Tool) -> Form:
    known = package_files.newsletter_tool(tool)["export"]
    return Form(
        keep=known["keep"],
        removed=known["removed"],
        formats=tuple(map(Format, known["formats"])),
        delimiter=known.get("delimiter", ","),
        bom=known.get("bom", False),
    )


FORMS: Mapping[Tool, Form] = {tool: _read(tool) for tool in Tool}


def formats_for(what: What, tool: Tool | None) -> tuple[Format, ...]:
    """Return the formats in which an export can be had, the usual one first; () for none."""
    if tool is None:
        return tuple(Format)
    return FORMS[tool].formats if what in {What.KEEP, What.REMOVED} else ()
