"""Comparing a newsletter tool's export with the contacts that may be mailed; writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from repermit import email_address
from repermit.db import background_tasks
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.errors import AddressError
from repermit.exports import export_rows
from repermit.imports.readers import open_file, rows
from repermit.imports.row_opt_outs import REMARK
from repermit.rules.consent import Reason, Status
from repermit.settings.definitions import Settings

# --- The result of a comparison, as values and as lines of text. ----------------------------------


@dataclass(frozen=True)
class Finding:
    """One address of a comparison, and the reason why it is listed.

    - `line`: its line in the file, from 1; 0 if it is not in the file.
    - `part`: the table of a file with several, otherwise "".
    """

    line: int
    address: str
    reason: str
    part: str = ""


@dataclass(frozen=True, kw_only=True)
class ReconcileResult:
    """The differences between a tool's file and the list. Each address counts once.

    All but `missing` add up to `rows`.

    - `agree`: addresses in the file that may be mailed.
    - `should_not_be_there`: removed or suppressed, also if erased since; unsubscribe them there.
    - `not_yet`: asked or still to be asked: no newsletter for them until their Yes.
    - `unknown`: not on this list at all.
    - `opted_out_there`: may be mailed according to the list, but opted out in the file: a No.
    - `missing`: may be mailed, but not in the file.
    - `invalid`: rows that cannot be read.
    - `already_off`: opted out in the file, and not to be mailed according to the list either.
    - `duplicates`: further rows with an address that an earlier row has.
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


FORMER_ADDRESS = "former_address"
"""The reason of a finding about an address that its person has corrected since."""

_FINDING_WORDS = {
    "should_not_be_there": "should not be there",
    "not_yet": "has not said Yes",
    "unknown": "is not on this list",
    "opted_out_there": "has opted out there",
    "missing": "is missing there",
    "invalid": "cannot be read",
}


def count_findings(result: ReconcileResult) -> dict[str, int]:
    """Return the number of findings of each kind, zeros included."""
    findings = {kind: len(getattr(result, kind)) for kind in _FINDING_WORDS}
    other_counts = {"already_off": result.already_off, "duplicates": result.duplicates}
    return {"rows": result.rows, "agree": result.agree, **findings, **other_counts}


def format_lines(result: ReconcileResult) -> tuple[str, ...]:
    """Return a line for each finding, the gravest first."""
    return tuple(
        _format_line(finding, description)
        for kind, description in _FINDING_WORDS.items()
        for finding in getattr(result, kind)
    )


_NEXT_STEPS = {
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


def list_next_steps(result: ReconcileResult) -> tuple[str, ...]:
    """Return what to do about the findings, the gravest first, in the admin's words."""
    steps = tuple(
        text.replace("{list}", result.list)
        for kind, text in _NEXT_STEPS.items()
        if getattr(result, kind)
    )
    return steps or ("Nothing is left to do: there stands who may be mailed, and nobody else.",)


def _format_line(finding: Finding, description: str) -> str:
    part = f"{finding.part}, " if finding.part else ""
    location = f"{part}line {finding.line}: " if finding.line else ""
    return f"{location}{finding.address} {description} ({finding.reason.replace('_', ' ')})"


# --- The comparison. ------------------------------------------------------------------------------


_BATCH = 500


class _FileRow(NamedTuple):
    """One row of the file with an address; `key` is the folded address, for comparing."""

    row: rows.Row
    part: str
    key: str

    def finding(self, reason: str) -> Finding:
        return Finding(self.row.line, self.row.address, reason, self.part)


class _ContactStatus(NamedTuple):
    """The status of an address's contact, and the reason of its removal."""

    status: str
    reason: str


@dataclass
class _Comparison:
    """The comparison so far.

    - `seen`: the keys of addresses that are subscribed in the file.
    - `opted_out`: by key, the addresses that are only opted out in the file.
    """

    rows: int = 0
    agree: int = 0
    duplicates: int = 0
    seen: set[str] = field(default_factory=set)
    should_not_be_there: list[Finding] = field(default_factory=list)
    not_yet: list[Finding] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)
    invalid: list[Finding] = field(default_factory=list)
    opted_out: dict[str, Finding] = field(default_factory=dict)


def reconcile(
    mailing_list: MailingList,
    path: Path,
    *,
    settings: Settings,
    mapping: Mapping[str, str] | None = None,
) -> ReconcileResult:
    """Compare a newsletter tool's file with this list.

    1. Look up each subscribed address of the file as a contact, and by its fingerprint, since an
       erased contact has no address.
    2. List each contact that may be mailed and is not subscribed in the file: as missing, or as
       opted out there. An opt-out is a No, which adding the address again would override.

    - `mapping`: as for an import.

    Raises ListFileError, and Refused while an import is running.
    """
    background_tasks.require_no_running_import(mailing_list)
    file = open_file.open_list(path, mapping=mapping, zone=settings.zone)
    comparison = _Comparison()
    for batch in _iter_batches(_iter_subscribed(file, comparison)):
        _compare_batch(batch, comparison, mailing_list, settings.fingerprint_key)
    missing, opted_out = _find_missing(mailing_list, comparison)
    return ReconcileResult(
        list=mailing_list.slug,
        file=path.name,
        rows=comparison.rows,
        agree=comparison.agree,
        should_not_be_there=tuple(comparison.should_not_be_there),
        not_yet=tuple(comparison.not_yet),
        unknown=tuple(comparison.unknown),
        opted_out_there=opted_out,
        missing=missing,
        invalid=tuple(comparison.invalid),
        already_off=len(comparison.opted_out) - len(opted_out),
        duplicates=comparison.duplicates,
    )


def _iter_subscribed(file: open_file.ListFile, comparison: _Comparison) -> Iterator[_FileRow]:
    """Yield each address that is subscribed in the file, once; count the other rows."""
    has_several_parts = len(file.parts) > 1
    for part in file.parts:
        name = part.name if has_several_parts else ""
        for row in file.iter_part_rows(part):
            comparison.rows += 1
            file_row = _parse_row(row, name, comparison)
            if file_row is not None and _add_row(file_row, comparison):
                yield file_row


def _add_row(file_row: _FileRow, comparison: _Comparison) -> bool:
    """Add a row; return whether it is the first subscribed row of its address.

    One subscribed row anywhere in the file is enough for the tool to mail the address.
    """
    key, opt_out = file_row.key, file_row.row.opted_out
    comparison.duplicates += key in comparison.seen or key in comparison.opted_out
    if key in comparison.seen:
        return False
    if opt_out:
        reason = "unsubscribed" if opt_out == REMARK else opt_out
        comparison.opted_out.setdefault(key, file_row.finding(reason))
        return False
    comparison.opted_out.pop(key, None)
    comparison.seen.add(key)
    return True


def _parse_row(row: rows.Row, part: str, comparison: _Comparison) -> _FileRow | None:
    problem = row.problem
    if not problem:
        try:
            return _FileRow(row, part, email_address.parse(row.address).key)
        except AddressError as error:
            problem = error.reason
    comparison.invalid.append(Finding(row.line, row.address, problem, part))
    return None


def _compare_batch(
    batch: Sequence[_FileRow],
    comparison: _Comparison,
    mailing_list: MailingList,
    fingerprint_key: bytes,
) -> None:
    statuses = _read_statuses([file_row.key for file_row in batch], mailing_list)
    doubtful = [
        file_row.key for file_row in batch if not _may_be_mailed(statuses.get(file_row.key))
    ]
    suppressed = _read_suppressions(doubtful, mailing_list, fingerprint_key)
    for file_row in batch:
        contact = statuses.get(file_row.key)
        if _may_be_mailed(contact):
            comparison.agree += 1
        elif contact and contact.status == Status.REMOVED:
            comparison.should_not_be_there.append(file_row.finding(contact.reason))
        elif file_row.key in suppressed:
            comparison.should_not_be_there.append(file_row.finding(suppressed[file_row.key]))
        elif contact:
            comparison.not_yet.append(file_row.finding(contact.status))
        else:
            comparison.unknown.append(file_row.finding("unknown"))


def _may_be_mailed(contact: _ContactStatus | None) -> bool:
    return contact is not None and contact.status in {Status.CONFIRMED, Status.CUSTOMER}


def _read_statuses(keys: Sequence[str], mailing_list: MailingList) -> dict[str, _ContactStatus]:
    contacts = Contact.select(Contact.address_key, Contact.status, Contact.reason).where(
        Contact.list == mailing_list, Contact.address_key.in_(keys)
    )
    return {
        contact.address_key: _ContactStatus(contact.status, contact.reason) for contact in contacts
    }


def _read_suppressions(
    keys: Sequence[str], mailing_list: MailingList, fingerprint_key: bytes
) -> dict[str, str]:
    """Return the reason of each address that is suppressed on this list or on all, by key.

    For an address that its person has corrected since, FORMER_ADDRESS: nobody asked to leave.
    """
    key_by_fingerprint = {email_address.fingerprint(fingerprint_key, key): key for key in keys}
    suppressions = list(
        Suppression.select(Suppression.fingerprint, Suppression.reason, Suppression.subject).where(
            Suppression.fingerprint.in_(list(key_by_fingerprint)),
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
    )
    requested = [one.subject for one in suppressions if one.reason == Reason.REQUEST]
    new_keys = _read_new_keys(mailing_list, requested)
    reasons = {}
    for suppression in suppressions:
        key = key_by_fingerprint[suppression.fingerprint]
        has_moved = new_keys.get(suppression.subject, key) != key
        reasons[key] = FORMER_ADDRESS if has_moved else suppression.reason
    return reasons


def _read_new_keys(mailing_list: MailingList, subjects: Sequence[str]) -> dict[str, str]:
    """Return the present address of each subject that corrected it, and did not ask to leave."""
    moved = Contact.select(Contact.subject, Contact.address_key).where(
        Contact.list == mailing_list,
        Contact.subject.in_(subjects),
        Contact.has_predecessor,
        ~Contact.address.is_null(),
        Contact.reason != Reason.REQUEST,
    )
    return {contact.subject: contact.address_key for contact in moved}


def _find_missing(
    mailing_list: MailingList, comparison: _Comparison
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Return the contacts to keep that are missing in the file, and those opted out in it."""
    missing, opted_out = [], []
    for row in export_rows.iter_keep_rows(mailing_list):
        key = row["key"]
        if key in comparison.seen:
            continue
        if key in comparison.opted_out:
            opted_out.append(comparison.opted_out[key])
        else:
            missing.append(Finding(0, row["address"], row["basis"]))
    return tuple(missing), tuple(opted_out)


def _iter_batches(items: Iterable[_FileRow]) -> Iterator[list[_FileRow]]:
    source = iter(items)
    while batch := list(islice(source, _BATCH)):
        yield batch
