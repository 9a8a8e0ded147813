"""Checking that an export shows the outcome of everybody that its campaigns asked. Pure."""

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
_STATUS_BY_EVENT = {"confirmed": "confirmed", "customer": "customer", "added": _OPEN}
_EVENTS_WITH_OUTCOME = ("removed", "import_undone", "sign_up_undone", "opted_out")


@dataclass
class _Campaign:
    """A launched campaign.

    - `seq`: the entry of the launch.
    - `asked`: the number of people it asked.
    - `audience`: the digest of their subjects; None in older entries.
    - `deadline`: as set by the launch or the last extension; None if that entry has none.
    - `deleted`: the maximum number of them deleted since with undone imports.
    - `closed`: the entry of the closing; 0 while the campaign runs.
    - `counts`: the counts in that entry.
    - `outcomes`: everybody's outcome at that time, by subject.
    """

    seq: int
    asked: int
    audience: str | None
    deadline: str | None
    deleted: int = 0
    closed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, str | None] = field(default_factory=dict)


class Outcomes:
    """The campaigns and people's outcomes, folded from an export's entries in their order.

    An outcome is a status, or the reason of a removal. It is None (unknown) if the part that says
    it was erased, if an undone import deleted the contact, and if the person came back after an
    erasure: the campaign's contact keeps the outcome that it had before.
    """

    def __init__(self) -> None:
        self._campaigns: dict[int, _Campaign] = {}
        self._outcomes: dict[str, str | None] = {}
        self._erased: set[str] = set()
        self._wrong_silences: list[int] = []

    def add(self, entry: Mapping[str, Any], consent: Mapping[str, Any]) -> None:
        """Apply the next entry.

        - `consent`: the content of its part `consent`; {} if that was erased.
        """
        event, subject = entry["event"], entry["subject"]
        campaign = self._campaigns.get(entry["campaign"])
        if subject:
            self._apply_event(subject, event, consent)
            expected = campaign.deadline if campaign else None
            is_silence = _read_text(consent, "reason") == _SILENCE
            deadline = _read_text(consent, "deadline") if is_silence else None
            if expected and deadline and not expected == deadline <= entry["at"]:
                self._wrong_silences.append(entry["seq"])
        elif event == "launched" and type(consent.get("asked")) is int:
            self._campaigns[entry["campaign"]] = _Campaign(
                entry["seq"],
                consent["asked"],
                _read_text(consent, "audience"),
                _read_text(consent, DEADLINE_NAMES[event]),
            )
        elif event == "extended" and campaign:
            campaign.deadline = _read_text(consent, DEADLINE_NAMES[event])
        elif event == "import_undone" and type(consent.get("contacts")) is int:
            for earlier in self._campaigns.values():
                earlier.deleted += consent["contacts"]
        elif event == "closed" and campaign and _is_count(consent.get("counts")):
            campaign.closed, campaign.counts = entry["seq"], consent["counts"]
            campaign.outcomes = dict(self._outcomes)

    def count_closed(self) -> int:
        """Return the number of campaigns whose counts `find_faults` compares."""
        campaigns = self._campaigns.values()
        return sum(1 for campaign in campaigns if campaign.closed and campaign.audience)

    def _apply_event(self, subject: str, event: str, consent: Mapping[str, Any]) -> None:
        outcome = None
        if event in _STATUS_BY_EVENT:
            outcome = _STATUS_BY_EVENT[event]
        elif event in _EVENTS_WITH_OUTCOME:
            outcome = _read_text(consent, "reason") or _read_text(consent, "status")
        elif event != "erased":
            return
        elif "imported_at" not in consent:
            self._erased.add(subject)
            return
        self._outcomes[subject] = None if subject in self._erased else outcome

    def find_faults(self, audiences: Mapping[str, Any]) -> Iterator[LazyText]:
        """Yield the faults of audiences, counts and deadlines.

        - `audiences`: the export's subjects that each campaign asked, by the campaign's number.
        """
        for seq in self._wrong_silences:
            yield LazyText(
                "entry %(seq)s tells a silence that was not until the deadline that was set last",
                seq=str(seq),
            )
        with_audience = {
            str(number) for number, launch in self._campaigns.items() if launch.audience
        }
        require(audiences.keys() <= with_audience)
        for number, campaign in self._campaigns.items():
            asked = audiences.get(str(number))
            if campaign.audience:
                if asked is None:
                    yield LazyText(
                        "it does not say who was asked by campaign %(number)s", number=str(number)
                    )
                    continue
                require(isinstance(asked, list))
                require(all(isinstance(subject, str) for subject in asked))
                require(all(before < after for before, after in pairwise(asked)))
                missing = campaign.asked - len(asked)
                is_other = missing == 0 and digest_subjects(asked) != campaign.audience
                if is_other or not 0 <= missing <= campaign.deleted:
                    yield LazyText(
                        "entry %(seq)s: these are not the people who were asked according to it",
                        seq=str(campaign.seq),
                    )
                if campaign.closed:
                    yield from _find_wrong_counts(campaign, asked)
            if campaign.closed:
                yield from _find_wrong_sum(campaign)


def _read_text(consent: Mapping[str, Any], name: str) -> str | None:
    """Return a text that is there and not empty, else None."""
    value = consent.get(name)
    return value if isinstance(value, str) and value else None


def _is_count(counts: Any) -> bool:
    return isinstance(counts, dict) and all(type(count) is int for count in counts.values())


def _find_wrong_counts(campaign: _Campaign, asked: list[str]) -> Iterator[LazyText]:
    """Yield the counts in the entry of a closing that the other entries contradict."""
    counted = Counter(campaign.outcomes.get(subject, _OPEN) for subject in asked)
    unknown = counted.pop(None, 0) + campaign.asked - len(asked)
    for outcome in sorted({*campaign.counts, *filter(None, counted)} - {""}):
        stated = campaign.counts.get(outcome, 0)
        if not counted[outcome] <= stated <= counted[outcome] + unknown:
            yield LazyText(
                "entry %(seq)s counts %(told)s of those asked as %(fate)s, and the entries here "
                "show %(found)s",
                seq=str(campaign.closed),
                told=stated,
                fate=outcome,
                found=counted[outcome],
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
