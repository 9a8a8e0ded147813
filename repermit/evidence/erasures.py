"""What excuses a part that is gone: a later `erased` entry that names it, and may.

May import models. That of a person accounts for that person's parts alone. That of nobody, by which
the job ends what has had its time, accounts for `trace` and `consent` of anybody, never for who it
was.
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from repermit.models import Evidence, EvidencePart, chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_CHUNK = 500
_BY_TIME = ("consent", "trace")


class Erasures:
    """The `erased` entries, read as far as something is gone."""

    def excused(self, gone: Sequence[tuple[int, str, str]]) -> set[tuple[int, str]]:
        """Return (seq, part) of those that are accounted for, of (seq, part, subject)."""
        own = _of_people({subject for _, _, subject in gone if subject})
        return {
            (seq, name)
            for seq, name, subject in gone
            if seq in own[subject, name] or (name in _BY_TIME and seq in self._by_time[name])
        }

    @cached_property
    def _by_time(self) -> Mapping[str, set[int]]:
        found: dict[str, set[int]] = defaultdict(set)
        for _, seq, text in _said(Evidence.subject == "", Evidence.actor == "job"):
            for name, earlier in _named(text, seq):
                found[name].update(earlier)
        return found


def erased_as(subject: str, slug: str) -> str:
    """Return the fingerprint of what somebody's address was when last erased on a list, else ""."""
    query: Any = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(
            Evidence.subject == subject,
            Evidence.list == slug,
            Evidence.event == "erased",
            EvidencePart.part == "consent",
        )
        .order_by(Evidence.seq.desc())
        .tuples()
    )
    told = (json.loads(text).get("whose", "") for (text,) in query)
    return next(filter(None, told), "")


def _of_people(subjects: Iterable[str]) -> Mapping[tuple[str, str], set[int]]:
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for some in chunks(sorted(subjects), _CHUNK):
        for subject, seq, text in _said(Evidence.subject.in_(some)):
            for name, earlier in _named(text, seq):
                found[subject, name].update(earlier)
    return found


def _said(*whose: Any) -> Iterable[tuple[str, int, str]]:
    """Return what the `erased` entries of some say, with their subject and number."""
    query: Any = (
        EvidencePart.select(Evidence.subject, Evidence.seq, EvidencePart.json)
        .join(Evidence, on=(Evidence.seq == EvidencePart.seq))
        .where(Evidence.event == "erased", EvidencePart.part == "consent", *whose)
    )
    found: Iterable[tuple[str, int, str]] = query.tuples().iterator()
    return found


def _named(text: str, seq: int) -> Iterator[tuple[str, list[int]]]:
    """Yield the kinds of parts that an erasure names, each with the earlier entries it is about."""
    try:
        said = json.loads(text)
        earlier = [one for one in said["seqs"] if one < seq]
        names = [str(name) for name in said["parts"]]
    except (TypeError, ValueError, KeyError):
        return
    for name in names:
        yield name, earlier
