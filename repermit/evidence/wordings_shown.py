"""Whether the wordings that entries and campaigns name are there, and are what they were."""

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

# In what an entry says, a digest under one of these names, or further down, is a wording's.
_NAMES = r"[^\"]*wordings?|told|attest|own_subject|own_text|own_html"
_DIGEST = re.compile(r'":"([0-9a-f]{64})"')
_FURTHER_DOWN = re.compile(rf'"(?:{_NAMES})":\{{')
_IS_NAME = re.compile(_NAMES)


class Wordings:
    """The wordings, each looked at once; `checked` counts them."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._wrong: dict[str, How] = {}
        self.checked = 0

    @property
    def is_any_wrong(self) -> bool:
        """Say whether something is wrong with one that was looked up and has not been told."""
        return bool(self._wrong)

    def look_up(self, parts: Iterable[EntryPart]) -> None:
        """Look at the wordings that these parts name, all at once."""
        # A million parts name a handful, so that hardly any has to be read more closely.
        fresh = (part for part in parts if not self._seen.issuperset(_digests_in(part)))
        self._check({digest for part in fresh for digest in named_by(part)})

    def faults(self, part: EntryPart) -> Iterator[Fault]:
        """Yield what is wrong with the wordings that a part names, each once."""
        for digest in sorted(named_by(part)):
            if how := self._wrong.pop(digest, None):
                yield Fault(part.seq, how, digest)

    def of_campaigns(self) -> Iterator[Fault]:
        """Yield what is wrong with those that campaigns use."""
        used: Any = CampaignWording.select(CampaignWording.campaign, CampaignWording.wording)
        campaigns = {digest: number for number, digest in used.tuples()}
        self._check(campaigns.keys())
        for digest, how in self._wrong.items():
            yield Fault(0, how, f"{digest}, of campaign {campaigns[digest]}")
        self._wrong.clear()

    def of_nobody(self) -> Iterator[Fault]:
        """Yield what is wrong with those that neither an entry nor a campaign names."""
        last = ""
        while some := list(
            Wording.select().where(Wording.digest > last).order_by(Wording.digest).limit(_CHUNK)
        ):
            for row in some:
                if row.digest not in self._seen and not _holds(row):
                    yield Fault(0, How.WORDING_ALTERED, row.digest)
                self.checked += row.digest not in self._seen
            last = some[-1].digest

    def _check(self, digests: Iterable[str]) -> None:
        fresh = sorted(set(digests) - self._seen)
        self._seen.update(fresh)
        for some in chunks(fresh, _CHUNK):
            self._wrong |= _wrong(some)
            self.checked += len(some)


def _digests_in(part: EntryPart) -> list[str]:
    """Return what may be digests of wordings in a part, quickly."""
    return _DIGEST.findall(str(part.json)) if part.part == "consent" else []


def named_by(part: EntryPart) -> set[str]:
    """Return the digests of the wordings that a part names."""
    if part.part != "consent":
        return set()
    text = str(part.json)
    # Within a string quotes are escaped, so that what looks like a name and a value is one.
    found = {one[1] for one in _DIGEST.finditer(text) if _is_name(text, one.start())}
    if '":{' in text and _FURTHER_DOWN.search(text):
        with suppress(ValueError):
            found.update(wordings_in(json.loads(text)))
    return found


def _is_name(text: str, end: int) -> bool:
    """Say whether what ends there, from the last quote on, is one of the names."""
    return _IS_NAME.fullmatch(text, text.rfind('"', 0, end) + 1, end) is not None


def wordings_in(value: Any, *, is_named: bool = False) -> Iterator[str]:
    """Yield the digests of wordings that a content names, at whatever depth."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from wordings_in(one, is_named=is_named or _IS_NAME.fullmatch(name) is not None)
    elif is_named and is_hash(value):
        yield value


def _wrong(digests: Sequence[str]) -> dict[str, How]:
    found = {row.digest: row for row in Wording.select().where(Wording.digest.in_(digests))}
    missing = {digest: How.WORDING_MISSING for digest in digests if digest not in found}
    altered = {row.digest: How.WORDING_ALTERED for row in found.values() if not _holds(row)}
    return missing | altered


def _holds(row: Wording) -> bool:
    return hashlib.sha256(str(row.content).encode()).hexdigest() == row.digest
