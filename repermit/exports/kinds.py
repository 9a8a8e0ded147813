"""What can be exported, in which format, for which tool.

Imports nothing of repermit.
"""

from __future__ import annotations

from enum import StrEnum


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
