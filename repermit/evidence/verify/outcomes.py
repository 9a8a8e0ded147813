"""Whether an export shows what became of everybody whom each campaign asked. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from repermit.evidence.asked_subjects import digest_subjects
from repermit.evidence.proof_file import DEADLINE_NAMES
from repermit.evidence.verify.held_entry import require
from repermit.i18n.lazy_text import LazyText

_OPEN = "unconfirmed"
_SILENCE = "no_response"
_STANDING = {"confirmed": "confirmed", "customer": "customer", "added": _OPEN}
_TOLD = ("removed", "import_undone", "sign_up_undone", "opted_out")


@dataclass
class _Campaign:
    """A launch: its entry, how many it asks, and the digest of whom, None in older entries.

    - `deadline`: what the launch or the last extension set; None where that tells none.
    - `deleted`: how many people at most went since with files that were taken back.
    - `counts`: what `closed` counts, `fates` how everybody stood by then; None while it runs.
    """

    seq: int
    asked: int
    audience: str | None
    deadline: str | None
    deleted: int = 0
    closed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    fates: Mapping[str, str | None] = field(default_factory=dict)


class Outcomes:
    """What an export's entries tell of campaigns, in their order, and of how people stand.

    How somebody stands is a status, or the reason of a removal; None where no part tells it any
    more, for whom the taking back of a file deleted, and for who came back after an erasure: what
    was asked of them stands as it was.
    """

    def __init__(self) -> None:
        self._campaigns: dict[int, _Campaign] = {}
        self._fates: dict[str, str | None] = {}
        self._erased: set[str] = set()
        self._not_until_deadline: list[int] = []

    def add(self, entry: Mapping[str, Any], consent: Mapping[str, Any]) -> None:
        """Hear the next entry, and the content of its part `consent`, {} where that was erased."""
        event, subject = entry["event"], entry["subject"]
        campaign = self._campaigns.get(entry["campaign"])
        if subject:
            self._hear_of(subject, event, consent)
            last = campaign.deadline if campaign else None
            told = _text(consent, "deadline") if _text(consent, "reason") == _SILENCE else None
            if last and told and not last == told <= entry["at"]:
                self._not_until_deadline.append(entry["seq"])
        elif event == "launched" and type(consent.get("asked")) is int:
            self._campaigns[entry["campaign"]] = _Campaign(
                entry["seq"],
                consent["asked"],
                _text(consent, "audience"),
                _text(consent, DEADLINE_NAMES[event]),
            )
        elif event == "extended" and campaign:
            campaign.deadline = _text(consent, DEADLINE_NAMES[event])
        elif event == "import_undone" and type(consent.get("contacts")) is int:
            for one in self._campaigns.values():
                one.deleted += consent["contacts"]
        elif event == "closed" and campaign and _is_count(consent.get("counts")):
            campaign.closed, campaign.counts = entry["seq"], consent["counts"]
            campaign.fates = dict(self._fates)

    def count_closed(self) -> int:
        """Return how many campaigns have counts that `faults` compares."""
        return sum(1 for one in self._campaigns.values() if one.closed and one.audience)

    def _hear_of(self, subject: str, event: str, consent: Mapping[str, Any]) -> None:
        fate = None
        if event in _STANDING:
            fate = _STANDING[event]
        elif event in _TOLD:
            fate = _text(consent, "reason") or _text(consent, "status")
        elif event != "erased":
            return
        elif "imported_at" not in consent:
            self._erased.add(subject)
            return
        self._fates[subject] = None if subject in self._erased else fate

    def faults(self, audiences: Mapping[str, Any]) -> Iterator[LazyText]:
        """Yield what does not add up.

        - `audiences`: whom each campaign asked, as the export says, by the campaign's number.
        """
        for seq in self._not_until_deadline:
            yield LazyText(
                "entry %(seq)s tells a silence that was not until the deadline that was set last",
                seq=str(seq),
            )
        known = {str(number) for number, one in self._campaigns.items() if one.audience}
        require(audiences.keys() <= known)
        for number, campaign in self._campaigns.items():
            asked = audiences.get(str(number))
            if campaign.audience:
                if asked is None:
                    yield LazyText(
                        "it does not say whom the campaign %(number)s asked", number=str(number)
                    )
                    continue
                require(isinstance(asked, list) and all(isinstance(one, str) for one in asked))
                require(all(before < after for before, after in pairwise(asked)))
                gone = campaign.asked - len(asked)
                is_other = gone == 0 and digest_subjects(asked) != campaign.audience
                if is_other or not 0 <= gone <= campaign.deleted:
                    yield LazyText(
                        "entry %(seq)s: these are not the people whom it says were asked",
                        seq=str(campaign.seq),
                    )
                if campaign.closed:
                    yield from _find_wrong_counts(campaign, asked)
            if campaign.closed:
                yield from _find_wrong_sum(campaign)


def _text(consent: Mapping[str, Any], name: str) -> str | None:
    """Return a text that is told and not empty, else None."""
    value = consent.get(name)
    return value if isinstance(value, str) and value else None


def _is_count(counts: Any) -> bool:
    return isinstance(counts, dict) and all(type(count) is int for count in counts.values())


def _find_wrong_counts(campaign: _Campaign, asked: list[str]) -> Iterator[LazyText]:
    """Yield what `closed` counts otherwise than the entries."""
    found = Counter(campaign.fates.get(subject, _OPEN) for subject in asked)
    unknown = found.pop(None, 0) + campaign.asked - len(asked)
    for fate in sorted({*campaign.counts, *filter(None, found)} - {""}):
        told = campaign.counts.get(fate, 0)
        if not found[fate] <= told <= found[fate] + unknown:
            yield LazyText(
                "entry %(seq)s counts %(told)s of those asked as %(fate)s, and the entries here "
                "show %(found)s",
                seq=str(campaign.closed),
                told=told,
                fate=fate,
                found=found[fate],
            )


def _find_wrong_sum(campaign: _Campaign) -> Iterator[LazyText]:
    total = sum(campaign.counts.values())
    if not campaign.asked - campaign.deleted <= total <= campaign.asked:
        yield LazyText(
            "entry %(seq)s counts %(total)s people, and %(asked)s were asked",
            seq=str(campaign.closed),
            total=total,
            asked=campaign.asked,
        )
