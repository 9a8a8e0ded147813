"""Checking that the wordings named by entries and campaigns exist and were not altered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from repermit.db.connection import chunks
from repermit.db.models.campaigns import CampaignWording, Wording
from repermit.evidence.chain_reader import EntryPart
from repermit.evidence.entries import is_hash
from repermit.evidence.verify.diagnosis import Fault, How

_CHUNK = 500

# In an entry's content, a digest under one of these names, at any depth, is a wording's.
_NAMES = r"[^\"]*wordings?|told|attest|own_subject|own_text|own_html"
_IS_NAME = re.compile(_NAMES)
# Within a string quotes are escaped, so this only matches a name and its value.
_NAMED = re.compile(rf'"(?:{_NAMES})":(?:"([0-9a-f]{{64}})"|\{{)')


class Wordings:
    """The wordings, each checked once; `checked` counts them."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._wrong: dict[str, How] = {}
        self.checked = 0

    @property
    def is_any_wrong(self) -> bool:
        """Whether a wording has a fault that `find_faults` has not yielded yet."""
        return bool(self._wrong)

    def look_up(self, parts: Iterable[EntryPart]) -> None:
        """Check the wordings that these parts name, in one query."""
        self._check({digest for part in parts for digest in list_named_wordings(part)})

    def find_faults(self, part: EntryPart) -> Iterator[Fault]:
        """Yield the faults of the wordings that a part names, each once."""
        for digest in sorted(list_named_wordings(part)):
            if how := self._wrong.pop(digest, None):
                yield Fault(part.seq, how, digest)

    def check_campaign_wordings(self) -> Iterator[Fault]:
        """Yield the faults of the wordings that campaigns use."""
        used: Any = CampaignWording.select(CampaignWording.campaign, CampaignWording.wording)
        campaigns = {digest: number for number, digest in used.tuples()}
        self._check(campaigns.keys())
        for digest, how in self._wrong.items():
            yield Fault(0, how, f"{digest}, of campaign {campaigns[digest]}")
        self._wrong.clear()

    def check_orphaned_wordings(self) -> Iterator[Fault]:
        """Yield the faults of the wordings that neither an entry nor a campaign names."""
        last = ""
        while batch := list(
            Wording.select().where(Wording.digest > last).order_by(Wording.digest).limit(_CHUNK)
        ):
            for row in batch:
                if row.digest not in self._seen and not _has_own_digest(row):
                    yield Fault(0, How.WORDING_ALTERED, row.digest)
                self.checked += row.digest not in self._seen
            last = batch[-1].digest

    def _check(self, digests: Iterable[str]) -> None:
        unchecked = sorted(set(digests) - self._seen)
        self._seen.update(unchecked)
        for batch in chunks(unchecked, _CHUNK):
            self._wrong |= _find_faults(batch)
            self.checked += len(batch)


def list_named_wordings(part: EntryPart) -> set[str]:
    """Return the digests of the wordings that a part names."""
    if part.part != "consent":
        return set()
    text = str(part.json)
    # Not parsed, as a million parts name a handful of wordings; only objects of them are.
    digests = set(_NAMED.findall(text))
    if "" in digests:
        digests.remove("")
        with suppress(ValueError):
            digests.update(iter_wordings_in(json.loads(text)))
    return digests


def iter_wordings_in(value: Any, *, is_named: bool = False) -> Iterator[str]:
    """Yield the digests of the wordings that a content names, at any depth."""
    if isinstance(value, dict):
        for name, member in value.items():
            is_under_name = is_named or _IS_NAME.fullmatch(name) is not None
            yield from iter_wordings_in(member, is_named=is_under_name)
    elif is_named and is_hash(value):
        yield value


def _find_faults(digests: Sequence[str]) -> dict[str, How]:
    stored = {row.digest: row for row in Wording.select().where(Wording.digest.in_(digests))}
    missing = {digest: How.WORDING_MISSING for digest in digests if digest not in stored}
    altered = {
        row.digest: How.WORDING_ALTERED for row in stored.values() if not _has_own_digest(row)
    }
    return missing | altered


def _has_own_digest(row: Wording) -> bool:
    return hashlib.sha256(str(row.content).encode()).hexdigest() == row.digest
