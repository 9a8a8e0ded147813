"""Reading the suppression journals for what happened since a backup."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from repermit.db.models.base import parse_timestamp
from repermit.errors import Refused


class ListAddress(NamedTuple):
    """An address on a list, as a journal names it."""

    list: str
    fingerprint: str


class ListPerson(NamedTuple):
    """A person on a list, as a journal names them."""

    list: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A suppression in a journal: when, why, and the subject of the evidence.

    - `is_later`: it certainly came after the backup, as it stands behind the backup's line.
    - `has_moved`: the person left this address only, for one that the journal does not name.
    """

    at: datetime
    subject: str
    reason: str
    is_later: bool
    has_moved: bool = False


@dataclass
class JournalContents:
    """What the journals say of the time since the backup.

    - `departures`: who was suppressed last, when and why.
    - `moves`: the address that each person moved away from last, which may be another's since.
    - `erased`: the subjects whose data were erased.
    - `lifted`: until when suppressions were lifted.
    - `sign_ups`: the sign-ups that were deleted at somebody's request.
    - `launched`: when campaigns were launched, by list.
    - `unreadable`: how many lines were cut off.
    - `is_of_backup`: whether one of the journals has the backup's mark, or for a backup without
      one, any line at all.
    """

    departures: dict[ListAddress, Departure] = field(default_factory=dict)
    moves: dict[ListPerson, tuple[str, Departure]] = field(default_factory=dict)
    erased: dict[ListAddress, str] = field(default_factory=dict)
    lifted: dict[ListAddress, datetime] = field(default_factory=dict)
    sign_ups: set[str] = field(default_factory=set)
    launched: dict[str, set[datetime]] = field(default_factory=dict)
    unreadable: int = 0
    is_of_backup: bool = False

    def add(self, other: JournalContents) -> None:
        """Merge what another machine's journal says."""
        for address, departure in other.departures.items():
            self.add_departure(address, departure)
        for person, (fingerprint, departure) in other.moves.items():
            self.add_move(ListAddress(person.list, fingerprint), departure)
        for address, until in other.lifted.items():
            self.add_lifted(address, until)
        for slug, moments in other.launched.items():
            self.launched.setdefault(slug, set()).update(moments)
        self.erased |= other.erased
        self.sign_ups |= other.sign_ups
        self.unreadable += other.unreadable
        self.is_of_backup |= other.is_of_backup

    def add_departure(self, address: ListAddress, departure: Departure) -> None:
        """Add a suppression; the latest one counts."""
        previous = self.departures.get(address)
        if previous is None or previous.at <= departure.at:
            self.departures[address] = departure

    def add_move(self, address: ListAddress, departure: Departure) -> None:
        """Add a move away from an address; the person's latest move counts."""
        person = ListPerson(address.list, departure.subject)
        if person not in self.moves or self.moves[person][1].at <= departure.at:
            self.moves[person] = (address.fingerprint, departure)

    def add_lifted(self, address: ListAddress, until: datetime) -> None:
        """Add that the suppressions up to that moment were lifted."""
        self.lifted[address] = max(until, self.lifted.get(address, until))

    def drop_lifted(self) -> JournalContents:
        """Return the contents without departures that were lifted later.

        By the times of the suppressions, not by the order of the lines: a No that came while a Yes
        was being written may stand before it, or in another machine's file.
        """
        departures = {
            address: departure
            for address, departure in self.departures.items()
            if address not in self.lifted or self.lifted[address] < departure.at
        }
        return replace(self, departures=departures, lifted={})

    @property
    def lists(self) -> set[str]:
        """Return the lists that the journals name."""
        return {address.list for address in (*self.departures, *self.erased)} | set(self.launched)


def read_journals(paths: Sequence[Path], *, mark: str, key_check: str) -> JournalContents:
    """Read journals from the backup on.

    - `mark`: the id of the backup, which stands in the journal of its machine. Only the lines after
      it count there; the journal of another machine counts whole.
    - Raises Refused for a file that is no journal, or one with another fingerprint key.
    """
    journal = JournalContents()
    for path in paths:
        journal.add(_read_journal(path, mark, key_check))
    return journal.drop_lifted()


def _read_journal(path: Path, mark: str, key_check: str) -> JournalContents:
    journal, is_later = JournalContents(), False
    for line in _iter_lines(path, key_check):
        if line is None:
            journal.unreadable += 1
        elif line["do"] == "backup":
            if mark and line["mark"] == mark:
                journal, is_later = JournalContents(is_of_backup=True), True
        elif line["do"] == "launch":
            journal.launched.setdefault(line["list"], set()).add(parse_timestamp(line["at"]))
        elif line["do"] == "forget":
            journal.sign_ups.add(line["sign_up"])
        elif line["do"] not in {"key", "kept"}:
            _add_line(journal, line, is_later=is_later)
        if not mark and line and line["do"] != "key":
            journal.is_of_backup = True
    return journal


def _add_line(journal: JournalContents, line: dict[str, Any], *, is_later: bool) -> None:
    address = ListAddress(line["list"], line["fingerprint"])
    if line["do"] == "lift":
        journal.add_lifted(address, parse_timestamp(line["until"]))
    elif line["do"] == "erase":
        journal.erased[address] = line["subject"]
    else:
        departure = Departure(
            at=parse_timestamp(line["at"]),
            subject=line["subject"],
            reason=line["reason"],
            is_later=is_later,
            has_moved=line.get("by") == "move",
        )
        journal.add_departure(address, departure)
        if departure.has_moved:
            journal.add_move(address, departure)


def _iter_lines(path: Path, key_check: str) -> Iterator[dict[str, Any] | None]:
    """Yield each line, None for one that was cut off when its writer was killed.

    Its transaction was not committed, since lines are written before that.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            _require_key(path, _read(file.readline()), key_check)
            for line in file:
                yield _read(line)
    except OSError as error:
        raise Refused(f"the journal {path} cannot be read: {error.strerror}") from None


def _require_key(path: Path, first: dict[str, Any] | None, key_check: str) -> None:
    if first is None or first["do"] != "key":
        raise Refused(f"{path} is no journal of suppressions")
    if first["check"] != key_check:
        raise Refused(
            f"the journal {path} was written under another fingerprint_key, so that nobody in it "
            "could be recognised: put the former key back"
        )


_REQUIRED_FIELDS = {
    "key": ("check",),
    "backup": ("mark",),
    "suppress": ("list", "fingerprint", "subject", "reason", "at"),
    "lift": ("list", "fingerprint", "until"),
    "erase": ("list", "fingerprint", "subject"),
    "forget": ("sign_up",),
    "launch": ("list", "at"),
    "kept": (),
}


def _read(text: str) -> dict[str, Any] | None:
    """Return a line, None if it is incomplete."""
    try:
        line = json.loads(text)
        required = _REQUIRED_FIELDS[line["do"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if all(isinstance(line.get(name), str) for name in required) else None
