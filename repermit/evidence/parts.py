"""Whether the parts of entries are what their digests say, and that none is gone without excuse."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from repermit.db.models.evidence import Evidence
from repermit.evidence.chain_reader import Part, parts_between
from repermit.evidence.diagnosis import Fault, How
from repermit.evidence.entries import PARTS, part_digest
from repermit.evidence.erased_parts import Erasures

_NAMES = frozenset(PARTS)

_SALT = re.compile(r"[0-9a-f]{32}")


class RunOfParts:
    """The parts of a run of entries, read at once; `erased` counts those that an erasure took."""

    def __init__(
        self, rows: Sequence[Mapping[str, Any]], *, after: int | None, erasures: Erasures
    ) -> None:
        self.parts = parts_between(after, rows[-1]["seq"])
        self._kept: dict[int, dict[str, Part]] = defaultdict(dict)
        for part in self.parts:
            self._kept[part.seq][part.part] = part
        self.erased = 0
        self._excused = erasures.excused(list(self._gone(rows)))

    def _gone(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, str, str]]:
        for row in rows:
            kept = self._kept.get(row["seq"], {})
            for name in PARTS:
                if row[name] and name not in kept:
                    yield row["seq"], name, row["subject"]

    def of(self, seq: int) -> Mapping[str, Part]:
        """Return the parts of an entry, by their names."""
        return self._kept.get(seq, {})

    def is_as_said(self, row: Mapping[str, Any]) -> bool:
        """Say whether an entry has just the parts that it names; nearly all of a million have."""
        kept = self._kept.get(row["seq"], {})
        found = 0
        for name in PARTS:
            if said := row[name]:
                part = kept.get(name)
                if part is None or digest_of(part) != said:
                    return False
                found += 1
        return found == len(kept)

    def faults(self, row: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield what is wrong with an entry's parts."""
        seq = row["seq"]
        kept = self._kept.get(seq, {})
        for name in PARTS:
            part = kept.get(name)
            if part is None:
                if row[name] and (seq, name) not in self._excused:
                    yield Fault(seq, How.PART_MISSING, name)
                self.erased += (seq, name) in self._excused
            elif not row[name]:
                yield Fault(seq, How.PART_INSERTED, name)
            elif digest_of(part) != row[name]:
                yield _wrong(part, row[name])
        for name in kept.keys() - _NAMES:
            yield Fault(seq, How.PART_INSERTED, name)


def digest_of(part: Part) -> str:
    """Return a part's digest, "" if it can have none."""
    # In any other form the digest is the same, and whoever is handed a proof refuses it.
    return part_digest(part.salt, part.json) if _SALT.fullmatch(part.salt) else ""


def parts_of_nobody(after: int) -> Iterator[Fault]:
    """Yield a fault for each part behind the last entry."""
    for part in parts_between(after, None):
        yield Fault(part.seq, How.PART_INSERTED, f"{part.part}, and there is no such entry")


def _wrong(part: Part, expected: str) -> Fault:
    """Say where a part that is not an entry's own comes from."""
    digest = digest_of(part)
    column = getattr(Evidence, part.part)
    owner = Evidence.select(Evidence.seq).where(column == digest).first() if digest else None
    if owner is None:
        return Fault(part.seq, How.PART_ALTERED, part.part)
    there = Part(*next(iter(_stored(owner.seq, part.part)), (0, "", "", "")))
    if digest_of(there) == expected:
        return Fault(part.seq, How.PARTS_SWAPPED, f"{part.part}, with that of entry {owner.seq}")
    what = f"{part.part}: it is that of entry {owner.seq}"
    return Fault(part.seq, How.PART_ALTERED, what)


def _stored(seq: int, name: str) -> list[Part]:
    return [part for part in parts_between(seq - 1, seq) if part.part == name]
