"""Reading journals: who has left, by all that is known, since a backup was made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from repermit.db.models.base import read_moment
from repermit.errors import Refused


class Whose(NamedTuple):
    """An address on a list, as a journal names it."""

    list: str
    fingerprint: str


class Mover(NamedTuple):
    """A person on a list, as a journal names them."""

    list: str
    subject: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """Somebody who was suppressed, when and why; `subject` is as in the evidence of then.

    `is_later` says that this came after the backup for certain, by the line that it left in the
    journal. `has_moved` says that they have left this address alone, for one of which the journal
    says nothing.
    """

    at: datetime
    subject: str
    reason: str
    is_later: bool
    has_moved: bool = False


@dataclass
class Heard:
    """What journals say: who has left and not come back, and whose data were erased, by subject.

    `moves` are by which address somebody moved last, whatever became of it: it may be another's
    since. And which sign-ups were deleted at somebody's request, and when campaigns were launched,
    by their list. `is_of_backup` says that one of them was there when the backup was made, as far
    as can be told: it has the backup's mark or, of a backup without one, anything to say at all.
    """

    left: dict[Whose, Left] = field(default_factory=dict)
    moves: dict[Mover, tuple[str, Left]] = field(default_factory=dict)
    erased: dict[Whose, str] = field(default_factory=dict)
    lifted: dict[Whose, datetime] = field(default_factory=dict)
    sign_ups: set[str] = field(default_factory=set)
    launched: dict[str, set[datetime]] = field(default_factory=dict)
    unreadable: int = 0
    is_of_backup: bool = False

    def add(self, other: Heard) -> None:
        """Take in what another machine's journal says."""
        for whose, one in other.left.items():
            self.note_left(whose, one)
        for mover, (fingerprint, one) in other.moves.items():
            self.note_move(Whose(mover.list, fingerprint), one)
        for whose, until in other.lifted.items():
            self.note_lifted(whose, until)
        for slug, moments in other.launched.items():
            self.launched.setdefault(slug, set()).update(moments)
        self.erased |= other.erased
        self.sign_ups |= other.sign_ups
        self.unreadable += other.unreadable
        self.is_of_backup |= other.is_of_backup

    def note_left(self, whose: Whose, one: Left) -> None:
        """Note a suppression; the latest one counts."""
        before = self.left.get(whose)
        if before is None or before.at <= one.at:
            self.left[whose] = one

    def note_move(self, whose: Whose, one: Left) -> None:
        """Note that somebody moved away from an address; their latest move counts."""
        mover = Mover(whose.list, one.subject)
        if mover not in self.moves or self.moves[mover][1].at <= one.at:
            self.moves[mover] = (whose.fingerprint, one)

    def note_lifted(self, whose: Whose, until: datetime) -> None:
        """Note that the suppression of that moment was lifted, and what was before it."""
        self.lifted[whose] = max(until, self.lifted.get(whose, until))

    def settle(self) -> Heard:
        """Leave out whose last suppression was lifted.

        By the moment at which that very suppression was made, not by the order of the lines: a No
        that came while a Yes was being written may stand before it, or in another machine's file.
        """
        kept = {
            whose: one
            for whose, one in self.left.items()
            if whose not in self.lifted or self.lifted[whose] < one.at
        }
        return replace(self, left=kept, lifted={})

    @property
    def lists(self) -> set[str]:
        """Return which lists there is anything to say of."""
        return {whose.list for whose in (*self.left, *self.erased)} | set(self.launched)


def hear(paths: Sequence[Path], *, mark: str, key_check: str) -> Heard:
    """Read journals; `mark` is what the backup left in the one of the machine it was made on.

    Behind that line stands what the backup does not know, and only that counts. A journal without
    it, of another machine, counts whole. Raises Refused for what is no journal, and for one whose
    fingerprints were made with another key.
    """
    heard = Heard()
    for path in paths:
        heard.add(_hear(path, mark, key_check))
    return heard.settle()


def _hear(path: Path, mark: str, key_check: str) -> Heard:
    heard, is_later = Heard(), False
    for line in _lines(path, key_check):
        if line is None:
            heard.unreadable += 1
        elif line["do"] == "backup":
            if mark and line["mark"] == mark:
                heard, is_later = Heard(is_of_backup=True), True
        elif line["do"] == "launch":
            heard.launched.setdefault(line["list"], set()).add(read_moment(line["at"]))
        elif line["do"] == "forget":
            heard.sign_ups.add(line["sign_up"])
        elif line["do"] not in {"key", "kept"}:
            _note(heard, line, is_later=is_later)
        if not mark and line and line["do"] != "key":
            heard.is_of_backup = True
    return heard


def _note(heard: Heard, line: dict[str, Any], *, is_later: bool) -> None:
    whose = Whose(line["list"], line["fingerprint"])
    if line["do"] == "lift":
        heard.note_lifted(whose, read_moment(line["until"]))
    elif line["do"] == "erase":
        heard.erased[whose] = line["subject"]
    else:
        left = Left(
            at=read_moment(line["at"]),
            subject=line["subject"],
            reason=line["reason"],
            is_later=is_later,
            has_moved=line.get("by") == "move",
        )
        heard.note_left(whose, left)
        if left.has_moved:
            heard.note_move(whose, left)


def _lines(path: Path, key_check: str) -> Iterator[dict[str, Any] | None]:
    """Yield each line, None for one that was cut off when its writer was killed.

    Whatever that was about had not been committed, since it is written before.
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


_NEEDED = {
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
    """Return a line if it is whole."""
    try:
        line = json.loads(text)
        needed = _NEEDED[line["do"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return line if all(isinstance(line.get(name), str) for name in needed) else None
