"""How a chain may fail, and the sentence for each.

May import nothing of repermit.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class How(StrEnum):
    """What was done to the first entry that does not hold, as far as it can be told."""

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
    IN_THE_FUTURE = "in_the_future"
    OUT_OF_ORDER = "out_of_order"
    ERASED_WRONGLY = "erased_wrongly"
    PERSON_DELETED = "person_deleted"
    ASKED_AFTER_REMOVAL = "asked_after_removal"
    MISCOUNTED = "miscounted"
    JOURNAL_CUT = "journal_cut"
    SUPPRESSION_DELETED = "suppression_deleted"


_SENTENCES = {
    How.EDITED: "entry {seq} was edited",
    How.MISSING: "entry {seq} is missing",
    How.INSERTED: "entry {seq} was inserted",
    How.REORDERED: "entry {seq} is not the one that stood there: entries were reordered",
    How.PART_ALTERED: "entry {seq}: a part was altered",
    How.PART_MISSING: "entry {seq}: a part is missing, and no erasure accounts for it",
    How.PART_INSERTED: "entry {seq}: a part was inserted",
    How.PARTS_SWAPPED: "entry {seq}: a part was swapped with another entry's",
    How.WORDING_ALTERED: "a wording was altered",
    How.WORDING_MISSING: "a wording is missing",
    How.HEAD: "the head of the chain does not match its last entry, {seq}",
    How.TREE: "the Merkle tree was altered from entry {seq} on; the entries hold",
    How.CONTRADICTED: "what the database holds beside entry {seq} is not what the entry says",
    How.UNVOUCHED: "the database holds something that no entry of the record accounts for",
    How.REWRITTEN: "entries were rewritten, with all hashes since",
    How.CUT: "the chain was cut off: entry {seq} and those after it are gone",
    How.UNKNOWN_EVENT: "entry {seq} tells of an event that repermit does not have",
    How.IN_THE_FUTURE: "entry {seq} has a time that has not come yet",
    How.OUT_OF_ORDER: "entry {seq} has an earlier time than an entry before it",
    How.ERASED_WRONGLY: "entry {seq} erased a proof that nobody may erase, or not yet",
    How.PERSON_DELETED: "the person of whom entry {seq} tells was deleted from the database",
    How.ASKED_AFTER_REMOVAL: "somebody was asked after entry {seq} had taken them off",
    How.MISCOUNTED: "a kept count is not what there is",
    How.JOURNAL_CUT: "the journal of suppressions lacks lines that it had",
    How.SUPPRESSION_DELETED: (
        "somebody whom the journal of suppressions names may be asked again: that is deleted"
    ),
}


@dataclass(frozen=True)
class Fault:
    """The entry that does not hold, and how it fails; `what` says more, "" if there is no more.

    `seq` is 0 where no entry is concerned, as with a wording that only a campaign names.
    """

    seq: int
    how: How
    what: str = ""

    def __str__(self) -> str:
        sentence = _SENTENCES[self.how].format(seq=self.seq)
        if self.seq and self.how in (How.WORDING_ALTERED, How.WORDING_MISSING):
            sentence = f"entry {self.seq}: {sentence}"
        return f"{sentence} ({self.what})" if self.what else sentence

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return {"seq": self.seq, "how": str(self.how), "what": self.what}
