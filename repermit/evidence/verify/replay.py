"""Replaying entries to what the tables should hold: a pure fold over the record.

It holds the tallies and the rows of campaigns, wordings, files and ticked steps, which are few. The
database itself compares contacts with entries, since there may be a million.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from repermit.clock import format_timestamp
from repermit.db.models.base import parse_timestamp
from repermit.evidence.chain_reader import EntryPart, read_consent
from repermit.evidence.verify.held_entry import require
from repermit.evidence.verify.times import AHEAD
from repermit.rules.deadlines_and_reminders import latest_ask

CAMPAIGN_ENDS = ("closed", "cancelled")
TURN_EVENTS = ("confirmed", "removed")
_UNDO_EVENTS = ("import_undone", "sign_up_undone")
TAKEN_BACK = "whether it was taken back"
"""The name in faults for the time at which an import was undone."""

UNDONE = "what was taken back"
"""The name in faults for the counts of what the undo of an import did."""

_UNDONE_COUNTS = ("contacts", "restored", "suppressions")

_FROZEN = ("deadline", "starts_at", "reminder_at", "minimum_days", "include_thin")

_Row = Mapping[str, Any]
_Consent = Mapping[str, Any]


class Expected(NamedTuple):
    """The value that a column should have; `seq` is the entry that says so, 0 if none does."""

    seq: int
    value: Any


@dataclass
class ExpectedRow:
    """A row that entries account for.

    - `seq`: the entry that made it; 0 if none has yet.
    - `columns`: by their names in faults; "" for a column that a fault names by its row alone.
    """

    seq: int = 0
    columns: dict[str, Expected] = field(default_factory=dict)


class WordingKey(NamedTuple):
    """The key of a campaign's wording; `revision` counts from 1."""

    campaign: int
    kind: str
    language: str
    revision: int


class Launch(NamedTuple):
    """A launch of a campaign.

    - `asked`: the number of people it asked.
    - `audience`: the digest of their subjects; "" in entries from before December 2026.
    """

    seq: int
    list: str
    at: str
    asked: int
    audience: str


class UndoneImport(NamedTuple):
    """An import that was undone.

    - `seq`: the entry of the undo; None while it is under way.
    - `contacts`: the number of contacts that it deleted.
    """

    seq: int | None
    list: str
    imported_at: str
    contacts: int


class Replay:
    """The rows that the tables should hold according to the entries that were applied.

    - `parts`: the number of parts by list, name, and whether the entry has a subject.
    - `imports`: by list and time; `import_keys` also has the keys of deleted lists' imports.
    - `steps`: by campaign, tool and step.
    - `lists`: the lists that entries name.
    - `deleted_lists`: the lists that were deleted, with the entry that says so.
    - `deadlines`: all deadlines of each list's campaigns; None if not all are known.
    - `answer_deadlines`: the first answer or removal that names a deadline, by list and deadline.
    - `early_removals`: the removals for silence before the minimum time to answer.
    """

    def __init__(self, *, tallied_upto: int, zones: Iterable[tuple[int, str]]) -> None:
        self.parts: Counter[tuple[str, str, bool]] = Counter()
        self.tallies = ExpectedTallies(tallied_upto, zones)
        self.campaigns: dict[int, ExpectedRow] = defaultdict(_make_campaign_row)
        self.wordings: dict[WordingKey, ExpectedRow] = {}
        self.imports: dict[tuple[str, str], ExpectedRow] = {}
        self.import_keys: set[tuple[str, str]] = set()
        self.steps: dict[tuple[int, str, str], ExpectedRow] = {}
        self.lists: set[str] = set()
        self.deleted_lists: dict[str, int] = {}
        self.launches: dict[int, Launch] = {}
        self.undone_imports: list[UndoneImport] = []
        self.deadlines: dict[str, set[str] | None] = defaultdict(set)
        self.answer_deadlines: dict[tuple[str, str], int] = {}
        self.early_removals: list[int] = []

    def apply_entry(self, row: _Row, parts: Mapping[str, EntryPart]) -> None:
        """Apply the next entry with its parts, by their names."""
        self.lists.add(row["list"])
        for name in parts:
            self.parts[row["list"], name, row["subject"] != ""] += 1
        event = row["event"]
        if event not in _READ_EVENTS:
            self.tallies.apply_entry(row, None)
            return
        # Once, as parsing the JSON of a million entries takes long.
        consent = read_consent(parts)
        self.tallies.apply_entry(row, consent)
        if event in TURN_EVENTS:
            self._apply_turn(row, consent or {})
        if apply := _APPLY.get(event):
            apply(self, row, consent or {})

    def launch_campaign(self, row: _Row, consent: _Consent) -> None:
        """Expect a campaign as it was frozen, with its wordings."""
        campaign, seq, at = (
            self.campaigns[row["campaign"]],
            row["seq"],
            format_entry_time(row["at"]),
        )
        campaign.seq = seq
        if starts_at := consent.get("starts_at"):
            # Here, so that this entry is named if it is no time.
            _parse_cached(starts_at)
        frozen = {name: consent[name] for name in _FROZEN if name in consent}
        frozen |= {"launched_at": at, "list": row["list"]}
        self._add_deadline(row, consent.get("deadline"))
        campaign.columns |= {name: Expected(seq, value) for name, value in frozen.items()}
        wordings = {
            "ask": consent.get("wordings", {}),
            "reminder": consent.get("reminder_wordings", {}),
        }
        self._add_wordings(row, wordings)
        if "asked" in consent:
            asked, audience = consent["asked"], consent.get("audience", "")
            require(type(asked) is int)
            self.launches[row["campaign"]] = Launch(seq, row["list"], at, asked, audience)

    def extend_campaign(self, row: _Row, consent: _Consent) -> None:
        """Expect a campaign's later deadline, with the wordings that state it."""
        names = {"deadline": "to", "reminder_at": "reminder_at"}
        self._add_deadline(row, consent.get("to"))
        self.campaigns[row["campaign"]].columns |= {
            name: Expected(row["seq"], consent[key])
            for name, key in names.items()
            if key in consent
        }
        self._add_wordings(row, consent.get("wordings", {}))

    def add_reminder(self, row: _Row, consent: _Consent) -> None:
        """Expect a campaign's reminder, with its wordings and those of asks not sent yet."""
        if "reminder_at" in consent:
            columns = self.campaigns[row["campaign"]].columns
            columns["reminder_at"] = Expected(row["seq"], consent["reminder_at"])
        self._add_wordings(row, consent.get("wordings", {}))

    def end_campaign(self, row: _Row, _: _Consent) -> None:
        """Expect a campaign to have ended at the entry's time."""
        columns = self.campaigns[row["campaign"]].columns
        columns["state"] = Expected(row["seq"], row["event"])
        columns["closed_at"] = Expected(row["seq"], format_entry_time(row["at"]))

    def add_import(self, row: _Row, consent: _Consent) -> None:
        """Expect a file that was imported."""
        columns = {
            "": Expected(row["seq"], consent),
            TAKEN_BACK: Expected(0, ""),
            UNDONE: Expected(0, None),
        }
        key = row["list"], format_entry_time(row["at"])
        self.imports[key] = ExpectedRow(row["seq"], columns)
        self.import_keys.add(key)

    def undo_import(self, row: _Row, consent: _Consent) -> None:
        """Expect an import to be undone."""
        if row["subject"]:
            return
        key = row["list"], consent.get("imported_at", "")
        if key in self.imports:
            counts = {name: consent[name] for name in _UNDONE_COUNTS if name in consent}
            self.imports[key].columns |= {
                TAKEN_BACK: Expected(row["seq"], format_entry_time(row["at"])),
                UNDONE: Expected(row["seq"], (counts,)),
            }
        contacts = consent.get("contacts", 0)
        require(type(contacts) is int)
        self.undone_imports.append(UndoneImport(row["seq"], *key, contacts))

    def delete_list(self, row: _Row, _: _Consent) -> None:
        """Expect a list and its imports to be deleted."""
        self.deleted_lists[row["list"]] = row["seq"]
        self.imports = {key: file for key, file in self.imports.items() if key[0] != row["list"]}

    def add_list(self, row: _Row, _: _Consent) -> None:
        """Expect a list; it may have the name of a deleted one."""
        self.deleted_lists.pop(row["list"], None)

    def set_step(self, row: _Row, consent: _Consent) -> None:
        """Expect a step of handing over to be ticked or unticked."""
        key = row["campaign"], consent.get("tool", ""), consent.get("step", "")
        self.steps.pop(key, None)
        if row["event"] == "handed_over":
            ticked = Expected(row["seq"], (row["actor"], format_entry_time(row["at"])))
            self.steps[key] = ExpectedRow(row["seq"], {"": ticked})

    def _add_deadline(self, row: _Row, deadline: Any) -> None:
        known = self.deadlines[row["list"]]
        if not isinstance(deadline, str):
            self.deadlines[row["list"]] = None
        elif known is not None:
            known.add(format_entry_time(deadline))

    def _apply_turn(self, row: _Row, consent: _Consent) -> None:
        if deadline := consent.get("deadline"):
            self.answer_deadlines.setdefault((row["list"], deadline), row["seq"])
        is_silence = consent.get("reason") == "no_response" and "minimum_days" in consent
        if is_silence and self._is_too_early(row, consent):
            self.early_removals.append(row["seq"])

    def _is_too_early(self, row: _Row, consent: _Consent) -> bool:
        """Say whether a removal for silence came before the minimum time to answer."""
        if "asked_at" not in consent or "deadline" not in consent:
            return True
        asked_at = _parse_cached(consent["asked_at"])
        deadline = _parse_cached(consent["deadline"])
        starts_at = self.campaigns[row["campaign"]].columns.get("starts_at")
        return (
            asked_at > latest_ask(deadline, consent["minimum_days"])
            or (starts_at is not None and asked_at < _parse_cached(starts_at.value) - AHEAD)
            or _parse_cached(row["at"]) < deadline
        )

    def _add_wordings(self, row: _Row, wordings: Mapping[str, Mapping[str, str]]) -> None:
        for kind, by_language in wordings.items():
            for language, digest in by_language.items():
                key = WordingKey(row["campaign"], kind, language, 1)
                while key in self.wordings:
                    key = key._replace(revision=key.revision + 1)
                self.wordings[key] = ExpectedRow(row["seq"], {"": Expected(row["seq"], digest)})


def _make_campaign_row() -> ExpectedRow:
    # Entries only say that a campaign has ended; its other states change without an entry.
    return ExpectedRow(0, {"closed_at": Expected(0, ""), "state": Expected(0, "")})


def format_entry_time(value: Any) -> str:
    """Return a time as entries write it; "" for none, and a text that says so for another value."""
    if not value:
        return ""
    try:
        return format_timestamp(parse_timestamp(value))
    except (AttributeError, OverflowError, TypeError, ValueError):
        return f"no moment: {value!r}"


@lru_cache(maxsize=1000)
def _parse_cached(at: str | datetime) -> datetime:
    return parse_timestamp(at)


_APPLY: Mapping[str, Callable[[Replay, _Row, _Consent], None]] = {
    "launched": Replay.launch_campaign,
    "extended": Replay.extend_campaign,
    "reminder_added": Replay.add_reminder,
    **dict.fromkeys(CAMPAIGN_ENDS, Replay.end_campaign),
    "imported": Replay.add_import,
    "import_undone": Replay.undo_import,
    "list_added": Replay.add_list,
    "list_deleted": Replay.delete_list,
    "handed_over": Replay.set_step,
    "not_handed_over": Replay.set_step,
}
_READ_EVENTS = frozenset({*_APPLY, *TURN_EVENTS, *_UNDO_EVENTS})
"""The events of which the part `consent` is read."""


# --- The tallies of answers and removals, also by day. --------------------------------------------

# A tally counts the people of a list and campaign by turn: Yes, No, or the reason of a removal.
# Two things may be unknown: the turn of an entry whose part `consent` was deleted at the end of its
# term, and the day if an earlier version did not store the time zone. So tallies have bounds.

_TURNS = ("", "yes", "no", "withdrawn", "no_response", "bounce", "complaint", "request")
_CODES = {turn: code for code, turn in enumerate(_TURNS)}
_WESTMOST, _EASTMOST = timedelta(hours=-12), timedelta(hours=14)
_MINUTE = len("2026-03-02T09:00")


class TallyKey(NamedTuple):
    """The key of a tally; `turn` is the column `what` of Tally."""

    list: str
    campaign: int
    turn: str


class _Days(NamedTuple):
    """The first and the last day that a time may fall on; the same if the zone is known."""

    first: str
    last: str


class ExpectedTallies:
    """The turns of the entries up to `upto`, the last one that is tallied.

    - `zones`: the time zones in which days were counted, as (after entry, zone); "" if not known.
    """

    def __init__(self, upto: int, zones: Iterable[tuple[int, str]]) -> None:
        self.upto = upto
        known = [(after, zone) for after, zone in zones if zone]
        self._afters = [after for after, _ in known]
        self._zones = [zone for _, zone in known]
        # The turn of each entry, one octet each, so that a million take a megabyte.
        self._turns = bytearray()
        self._counted: dict[TallyKey, Counter[_Days]] = defaultdict(Counter)
        self._undone: dict[TallyKey, Counter[_Days]] = defaultdict(Counter)
        self._unknown: dict[tuple[str, int], Counter[_Days]] = defaultdict(Counter)
        # Entry and campaign of each turn that may be undone, by list, subject and time.
        self._undoable: dict[tuple[str, str, str], tuple[int, int]] = {}

    def apply_entry(self, row: _Row, consent: _Consent | None) -> None:
        """Apply the next entry; `consent` is its part of that name, None if it is not there."""
        if row["seq"] > self.upto:
            return
        self._turns.extend(bytes(row["seq"] - len(self._turns) + 1))
        if row["event"] in TURN_EVENTS:
            self._add_turn(row, consent)
        elif row["event"] in _UNDO_EVENTS:
            self._undo_turn(row, consent or {})

    def find_turn(self, seq: int) -> str:
        """Return the turn of an entry that counts, else ""."""
        return _TURNS[self._turns[seq]]

    def count_unknown(self, key: TallyKey) -> int:
        """Count the entries of a list and campaign whose turn is no longer known."""
        return self._unknown[key[:2]].total()

    def find_wrong_days(
        self, tallies: Mapping[TallyKey, Mapping[str, int]]
    ) -> Iterator[tuple[TallyKey, str]]:
        """Yield each key whose tallies by day cannot be right, with the first such day."""
        for key in sorted({*tallies, *self._counted}):
            day = self._find_wrong_day(key, tallies.get(key, {}))
            if day is not None:
                yield key, day

    def _add_turn(self, row: Mapping[str, Any], consent: Mapping[str, Any] | None) -> None:
        days = self._find_days(row["seq"], row["at"])
        if consent is None:
            self._unknown[row["list"], row["campaign"]][days] += 1
            return
        turn = consent.get("reason") or ("yes" if consent.get("answer") == "yes" else "")
        code = _CODES.get(turn, 0)
        if not code:
            return
        self._turns[row["seq"]] = code
        self._counted[TallyKey(row["list"], row["campaign"], turn)][days] += 1
        if "file" in consent or "signed_up_at" in consent:
            at = format_timestamp(parse_timestamp(row["at"]))
            self._undoable[row["list"], row["subject"], at] = row["seq"], row["campaign"]

    def _undo_turn(self, row: Mapping[str, Any], consent: Mapping[str, Any]) -> None:
        at = consent.get("imported_at") or consent.get("confirmed_at", "")
        seq, campaign = self._undoable.pop((row["list"], row["subject"], at), (0, 0))
        if seq:
            key = TallyKey(row["list"], campaign, self.find_turn(seq))
            self._turns[seq] = 0
            self._undone[key][self._find_days(row["seq"], at)] += 1

    def _find_days(self, seq: int, at: Any) -> _Days:
        # Time zones differ by whole minutes, and thousands of entries may share a minute (cache).
        minute = at[:_MINUTE] if isinstance(at, str) else at.replace(second=0, microsecond=0)
        place = bisect_left(self._afters, seq) - 1
        return _find_days_of_minute(minute, self._zones[place] if place >= 0 else "")

    def _find_wrong_day(self, key: TallyKey, tallies: Mapping[str, int]) -> str | None:
        """Return the first day whose tally, or whose sum up to there, is out of its bounds."""
        counted, undone, unknown = self._counted[key], self._undone[key], self._unknown[key[:2]]
        certain, possible, undone_by_day = map(_ByDay, (counted, counted + unknown, undone))
        total = 0
        for day in sorted({*tallies, *chain.from_iterable(chain(counted, undone, unknown))}):
            count = tallies.get(day, 0)
            total += count
            for by_day in (certain, possible, undone_by_day):
                by_day.move_to(day)
            is_in_bounds = (
                certain.on_day - undone_by_day.may_be_on_day
                <= count
                <= possible.may_be_on_day - undone_by_day.on_day
            ) and (
                certain.up_to_day - undone_by_day.may_be_up_to_day
                <= total
                <= possible.may_be_up_to_day - undone_by_day.up_to_day
            )
            if not is_in_bounds:
                return day
        return None


class _ByDay:
    """Counts by day, read day by day.

    It has the certain and the maximum number on the current day, and up to it.
    """

    def __init__(self, counts: Mapping[_Days, int]) -> None:
        self._first: Counter[str] = Counter()
        self._last: Counter[str] = Counter()
        self._only: Counter[str] = Counter()
        for (first, last), count in counts.items():
            self._first[first] += count
            self._last[last] += count
            self._only[first] += count if first == last else 0
        self.on_day = self.may_be_on_day = self.up_to_day = self.may_be_up_to_day = 0

    def move_to(self, day: str) -> None:
        """Make a later day the current one."""
        self.may_be_up_to_day += self._first[day]
        self.may_be_on_day = self.may_be_up_to_day - self.up_to_day
        self.up_to_day += self._last[day]
        self.on_day = self._only[day]


@lru_cache(maxsize=10_000)
def _find_days_of_minute(minute: Any, zone: str) -> _Days:
    at = parse_timestamp(minute if isinstance(minute, datetime) else f"{minute}+00:00")
    if zone:
        day = at.astimezone(ZoneInfo(zone)).date().isoformat()
        return _Days(day, day)
    first, last = ((at + offset).date().isoformat() for offset in (_WESTMOST, _EASTMOST))
    return _Days(first, last)
