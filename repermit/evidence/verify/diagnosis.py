"""Diagnosing where the chain breaks: an entry was edited, removed, inserted or moved.

An entry fits a place if its hash is that of its leaf, with that place's number, chained to the
previous hash. Another entry only fits if all entries after it are rewritten, so the places where
entries fit show what was moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from repermit.db.models.evidence import EvidenceHead
from repermit.evidence.chain_reader import iter_rows, try_compute_leaf
from repermit.evidence.entries import compute_chain_hash, is_hash
from repermit.i18n.lazy_text import LazyText

if TYPE_CHECKING:
    Row = Mapping[str, Any]

# --- The kinds of faults, and the sentence for each. ----------------------------------------------


class How(StrEnum):
    """The kinds of faults: what was done to the record, as far as can be known."""

    EDITED = "edited"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    PART_ALTERED = "part_altered"
    PART_MISSING = "part_missing"
    PART_INSERTED = "part_inserted"
    PARTS_SWAPPED = "parts_swapped"
    WORDING_ALTERED = "wording_altered"
    WORDING_MISSING = "wording_missing"
    HEAD = "head"
    TREE = "tree"
    CONTRADICTED = "contradicted"
    UNVOUCHED = "unvouched"
    REWRITTEN = "rewritten"
    CUT = "cut"
    UNKNOWN_EVENT = "unknown_event"
    MALFORMED = "malformed"
    IN_THE_FUTURE = "in_the_future"
    OUT_OF_ORDER = "out_of_order"
    ERASED_WRONGLY = "erased_wrongly"
    PERSON_DELETED = "person_deleted"
    ASKED_AFTER_REMOVAL = "asked_after_removal"
    MISCOUNTED = "miscounted"
    JOURNAL_CUT = "journal_cut"
    SUPPRESSION_DELETED = "suppression_deleted"


_SENTENCES = {
    How.EDITED: LazyText("entry %(seq)s was edited"),
    How.MISSING: LazyText("entry %(seq)s is missing"),
    How.INSERTED: LazyText("entry %(seq)s was inserted"),
    How.REORDERED: LazyText(
        "entry %(seq)s is not the one that stood there: entries were reordered"
    ),
    How.PART_ALTERED: LazyText("a part of entry %(seq)s was altered"),
    How.PART_MISSING: LazyText(
        "a part of entry %(seq)s is missing, and no erasure accounts for it"
    ),
    How.PART_INSERTED: LazyText("a part was inserted at entry %(seq)s"),
    How.PARTS_SWAPPED: LazyText("a part of entry %(seq)s was swapped with another entry’s"),
    How.WORDING_ALTERED: LazyText("the text of a mail or page was altered"),
    How.WORDING_MISSING: LazyText("the text of a mail or page is missing"),
    How.HEAD: LazyText("the end of the record does not match its last entry, %(seq)s"),
    How.TREE: LazyText(
        "the tree over the record was altered from entry %(seq)s on; the entries hold"
    ),
    How.CONTRADICTED: LazyText("what the database holds beside entry %(seq)s is not what it says"),
    How.UNVOUCHED: LazyText(
        "the database holds something that no entry of the record accounts for"
    ),
    How.REWRITTEN: LazyText(
        "entries were rewritten: an earlier checkpoint, at entry %(seq)s, says otherwise"
    ),
    How.CUT: LazyText("the record was cut off: entry %(seq)s and those after it are gone"),
    How.UNKNOWN_EVENT: LazyText("entry %(seq)s tells of an event that repermit does not have"),
    How.MALFORMED: LazyText("entry %(seq)s tells something in a form that repermit does not write"),
    How.IN_THE_FUTURE: LazyText(
        "entry %(seq)s has a time that has not come yet, as when the server’s clock was wrong"
    ),
    How.OUT_OF_ORDER: LazyText(
        "entry %(seq)s has an earlier time than an entry before it, as when the server’s clock was "
        "wrong"
    ),
    How.ERASED_WRONGLY: LazyText("entry %(seq)s erased a proof that nobody may erase, or not yet"),
    How.PERSON_DELETED: LazyText(
        "the person that entry %(seq)s is about was deleted from the database"
    ),
    How.ASKED_AFTER_REMOVAL: LazyText("somebody was asked after entry %(seq)s had taken them off"),
    How.MISCOUNTED: LazyText(
        "a count that pages show is not what there is; `repermit check --recount` counts all "
        "anew except answers and removals by day"
    ),
    How.JOURNAL_CUT: LazyText("the journal of suppressions lacks lines that it had"),
    How.SUPPRESSION_DELETED: LazyText(
        "somebody in the journal of suppressions may be asked again: their suppression was "
        "deleted, and is put back when repermit starts"
    ),
}


_SENTENCES_OF_ROWS = {
    How.MALFORMED: LazyText("the database has a value of a form that repermit does not write"),
    How.IN_THE_FUTURE: LazyText(
        "the database tells of something that has not happened yet, as when the server’s clock was "
        "wrong"
    ),
}
"""Instead of those above, for a fault of no entry."""


@dataclass(frozen=True)
class Fault:
    """A fault of the record.

    - `seq`: the entry concerned; 0 without one, as for a wording that only a campaign uses.
    - `what`: details in words, "" without any.
    """

    seq: int
    how: How
    what: str = ""

    @property
    def sentence(self) -> LazyText:
        """Return what was found, without the details, to be translated for a page."""
        if not self.seq and self.how in _SENTENCES_OF_ROWS:
            return _SENTENCES_OF_ROWS[self.how]
        return _SENTENCES[self.how].fill(seq=str(self.seq))

    def __str__(self) -> str:
        text = str(self.sentence)
        if self.seq and self.how in (How.WORDING_ALTERED, How.WORDING_MISSING):
            text = f"entry {self.seq}: {text}"
        return f"{text} ({self.what})" if self.what else text

    def to_json(self) -> dict[str, Any]:
        """Return the fault as a JSON document."""
        return {"seq": self.seq, "how": str(self.how), "what": self.what}


def make_mismatch(seq: int, what: str) -> Fault:
    """Return the fault of data that entry `seq` contradicts; 0 if no entry accounts for it."""
    return Fault(seq, How.CONTRADICTED if seq else How.UNVOUCHED, what)


# --- Diagnosing a break of the chain. -------------------------------------------------------------


_MAX_MISSING = 100
"""The number of removed entries up to which a renumbering of the others is recognised."""


def diagnose(row: Row, *, place: int, before: str, head: EvidenceHead) -> Fault:
    """Return the fault at a place of the chain where the row, or the next one, does not fit.

    - `before`: the hash of the entry before that place, up to which the chain is intact.
    """
    if row["seq"] < 1:
        return Fault(row["seq"], How.INSERTED, "numbers count from 1")
    if (head.seq, head.hash) == (place - 1, before):
        return Fault(row["seq"], How.INSERTED, "the head knows nothing of it")
    if row["seq"] > place:
        return _diagnose_gap(row, place, before)
    return (
        _diagnose_edit(row, place, before, head)
        or _diagnose_move(row, place, before, head)
        or _diagnose_renumbering(row, place, head)
        or Fault(place, How.EDITED)
    )


def fits(row: Row, place: int, before: str) -> bool:
    """Say whether a row is the original entry of a place, chained to the hash `before`."""
    leaf = try_compute_leaf({**row, "seq": place})
    return leaf is not None and is_hash(before) and compute_chain_hash(before, leaf) == row["hash"]


def _diagnose_gap(row: Row, place: int, before: str) -> Fault:
    """Return the fault of an empty place: its entry is missing, or was moved."""
    for other in iter_rows(after=row["seq"] - 1):
        if fits(other, place, before):
            return Fault(place, How.REORDERED, f"it stands as entry {other['seq']} now")
    return Fault(place, How.MISSING)


def _diagnose_edit(row: Row, place: int, before: str, head: EvidenceHead) -> Fault | None:
    """Return that an entry was edited, if the next entry still follows it."""
    following = next(iter_rows(after=place), None)
    leaf = try_compute_leaf(row)
    true_hash = compute_chain_hash(before, leaf) if leaf else ""
    for entry_hash, detail in ((row["hash"], ""), (true_hash, "its hash")):
        if following is None:
            follows = (head.seq, head.hash) == (place, entry_hash)
        else:
            follows = following["seq"] == place + 1 and fits(following, place + 1, entry_hash)
        if follows:
            return Fault(place, How.EDITED, detail)
    return None


def _diagnose_move(row: Row, place: int, before: str, head: EvidenceHead) -> Fault | None:
    """Return that entries were inserted before the entry of a place, or that it was moved."""
    pair = _find_fitting_entry(place, before)
    if pair is None:
        return None
    neighbour, entry = pair
    shift = entry["seq"] - place
    last = _find_last_shifted(entry, shift)
    # The row at this place may belong after those entries, or where this place's entry is now.
    if fits(row, last["seq"] - shift + 1, last["hash"]) or fits(
        row, entry["seq"], neighbour["hash"]
    ):
        return Fault(place, How.REORDERED, f"it stands as entry {entry['seq']} now")
    if last is not entry or last["hash"] == head.hash:
        return Fault(place, How.INSERTED)
    return Fault(place, How.REORDERED, f"it stands as entry {entry['seq']} now")


def _find_fitting_entry(place: int, before: str) -> tuple[Row, Row] | None:
    """Return the row before the one that fits a place, and that row."""
    for neighbour, entry in pairwise(iter_rows(after=place - 1)):
        if fits(entry, place, before):
            return neighbour, entry
    return None


def _find_last_shifted(entry: Row, shift: int) -> Row:
    """Return the last of the entries after `entry` that are shifted by as many places."""
    last = entry
    for following in iter_rows(after=entry["seq"]):
        if not fits(following, following["seq"] - shift, last["hash"]):
            break
        last = following
    return last


def _diagnose_renumbering(row: Row, place: int, head: EvidenceHead) -> Fault | None:
    """Return that an entry is missing, if the entries after it had higher numbers."""
    following = next(iter_rows(after=place), None)
    for missing in range(1, _MAX_MISSING + 1):
        if following is None:
            follows = (head.seq, head.hash) == (place + missing, row["hash"])
        else:
            follows = fits(following, following["seq"] + missing, row["hash"])
        if follows:
            return Fault(place, How.MISSING, "those after it were given other numbers")
    return None
