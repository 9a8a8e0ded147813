"""What a comparison with another tool's export shows, as values and as lines to read.

Imports nothing of repermit.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One address of a comparison: where it stands (1-based; 0 if not in the file), and why.

    `part` is the table of the file, where it has several ("" otherwise).
    """

    line: int
    address: str
    reason: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """How a file from elsewhere differs from what may be mailed. Each address counts once.

    All but `missing` add up to `rows`.

    - `agree`: how many are there and may be;
    - `should_not_be_there`: removed or suppressed, also if erased since; unsubscribe them there;
    - `not_yet`: asked or still to be asked: no newsletter for them until their Yes;
    - `unknown`: not on this list at all;
    - `opted_out_there`: may be mailed as far as is known here, but opted out there: a No;
    - `missing`: may be mailed, and does not stand in the file;
    - `invalid`: rows that cannot be read;
    - `already_off`: how many are opted out there and may not be mailed from here either;
    - `duplicates`: how many further rows have an address that stands in the file before.
    """

    list: str
    file: str
    rows: int
    agree: int
    should_not_be_there: tuple[Finding, ...]
    not_yet: tuple[Finding, ...]
    unknown: tuple[Finding, ...]
    opted_out_there: tuple[Finding, ...]
    missing: tuple[Finding, ...]
    invalid: tuple[Finding, ...]
    already_off: int
    duplicates: int


_SAYS = {
    "should_not_be_there": "should not be there",
    "not_yet": "has not said Yes",
    "unknown": "is not on this list",
    "opted_out_there": "has opted out there",
    "missing": "is missing there",
    "invalid": "cannot be read",
}


def as_document(result: Reconciled) -> dict[str, Any]:
    """Return the comparison as JSON can hold it."""
    return asdict(result)


def counts(result: Reconciled) -> dict[str, int]:
    """Return how many there are of each kind, zeros included."""
    found = {kind: len(getattr(result, kind)) for kind in _SAYS}
    off = {"already_off": result.already_off, "duplicates": result.duplicates}
    return {"rows": result.rows, "agree": result.agree, **found, **off}


def lines(result: Reconciled) -> tuple[str, ...]:
    """Return a line for each finding, the gravest first."""
    return tuple(
        _line(finding, says) for kind, says in _SAYS.items() for finding in getattr(result, kind)
    )


_STEPS = {
    "should_not_be_there": (
        "Unsubscribe there whoever should not be there, and delete nobody: an address that is "
        "deleted comes back with the next import. `repermit export {list} removed --for "
        "mailchimp` prints the steps there, and those of other tools likewise; its file lacks "
        "whoever is erased or was never on this list, so go by the lines above."
    ),
    "not_yet": (
        "Send nothing there to those who have not said Yes, until they do: leave them out of what "
        "your newsletter goes to."
    ),
    "unknown": (
        "Send nothing there to those who are not on this list either. To ask them, bring them in "
        "(`repermit import {list} FILE`) and launch a campaign once none is under way."
    ),
    "opted_out_there": (
        "Who has opted out there said No: leave them off there, and record it here with "
        '`repermit answer {list} ADDRESS no --note "opted out in the newsletter tool"`.'
    ),
    "missing": (
        "Add there whoever is missing: import the file of `repermit export {list} keep --for "
        "mailchimp`, or that of your tool."
    ),
    "invalid": "Look at the lines that cannot be read: whether the tool mails them is not known.",
}


def next_steps(result: Reconciled) -> tuple[str, ...]:
    """Return what to do about the findings, the gravest first, in the admin's words."""
    found = tuple(
        text.replace("{list}", result.list)
        for kind, text in _STEPS.items()
        if getattr(result, kind)
    )
    return found or ("Nothing is left to do: there stands who may be mailed, and nobody else.",)


def _line(finding: Finding, says: str) -> str:
    part = f"{finding.part}, " if finding.part else ""
    place = f"{part}line {finding.line}: " if finding.line else ""
    return f"{place}{finding.address} {says} ({finding.reason.replace('_', ' ')})"
