"""What stands beside the chain, held against it: campaigns, their wordings, files, ticked steps.

Papers and exports are made from these tables, so that whoever edits one of them must be found as
whoever edits an entry is.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from repermit.db.background_tasks import TaskKind, targets_of
from repermit.db.connection import proxy
from repermit.db.models.base import read_moment, stored
from repermit.db.models.campaigns import Campaign, CampaignWording, HandedOver
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.evidence.chain_reader import Part
from repermit.evidence.verify.diagnosis import Fault, How

_ENDS = ("closed", "cancelled")
_STEPS = ("handed_over", "not_handed_over")
_FILES = ("imported", "import_undone")
_MOMENTS = ("launched_at", "deadline", "starts_at", "reminder_at", "closed_at")
_FROZEN = ("deadline", "starts_at", "reminder_at", "minimum_days", "include_thin")


class _Said(NamedTuple):
    """What an entry says, and which."""

    seq: int
    value: Any


class _Worded(NamedTuple):
    """Which wording of a campaign; `revision` counts from 1."""

    campaign: int
    kind: str
    language: str
    revision: int


@dataclass
class _Told:
    """What entries say of one campaign; `is_launched` once one says that it was launched."""

    is_launched: bool = False
    facts: dict[str, _Said] = field(default_factory=dict)


class RelatedTables:
    """What the entries that are walked say of the tables beside them."""

    def __init__(self) -> None:
        self._campaigns: dict[int, _Told] = defaultdict(_Told)
        self._wordings: dict[_Worded, _Said] = {}
        self._files: dict[tuple[str, str], _Said] = {}
        self._undone: dict[tuple[str, str], _Said] = {}
        self._steps: dict[tuple[int, str, str], _Said] = {}

    def take(self, row: Mapping[str, Any], parts: Iterable[Part]) -> None:
        """Take in what an entry says, as far as it is about what stands beside the chain."""
        if row["event"] not in _TOLD:
            return
        # What is no JSON is altered, and that is a fault of its own.
        with suppress(ValueError):
            told = [json.loads(part.json) for part in parts if part.part == "consent"]
            _TOLD[row["event"]](self, row, next(iter(told), {}))

    def faults(self) -> Iterator[Fault]:
        """Yield what says something else than the entries, or what none of them accounts for."""
        under_way = {number for (number,) in _rows(targets_of(TaskKind.LAUNCH))}
        yield from self._of_campaigns(under_way)
        yield from self._of_wordings(under_way)
        yield from self._of_files({number for (number,) in _rows(targets_of(TaskKind.IMPORT))})
        yield from self._of_steps()

    # --- Taking in.

    def launched(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """Note how a campaign was frozen."""
        told = self._campaigns[row["campaign"]]
        told.is_launched = True
        known = {name: said[name] for name in _FROZEN if name in said}
        known |= {"launched_at": _moment(row["at"]), "list": row["list"]}
        told.facts |= {name: _Said(row["seq"], value) for name, value in known.items()}
        asked = {"ask": said.get("wordings", {}), "reminder": said.get("reminder_wordings", {})}
        self._worded(row, asked)

    def extended(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """Note what a campaign says from a later deadline on."""
        moved = {"deadline": "to", "reminder_at": "reminder_at"}
        self._campaigns[row["campaign"]].facts |= {
            name: _Said(row["seq"], said[key]) for name, key in moved.items() if key in said
        }
        self._worded(row, said.get("wordings", {}))

    def ended(self, row: Mapping[str, Any], _: Mapping[str, Any]) -> None:
        """Note that a campaign is over, and since when."""
        facts = self._campaigns[row["campaign"]].facts
        facts["state"] = _Said(row["seq"], row["event"])
        facts["closed_at"] = _Said(row["seq"], _moment(row["at"]))

    def _worded(self, row: Mapping[str, Any], wordings: Mapping[str, Mapping[str, str]]) -> None:
        for kind, by_language in wordings.items():
            for language, digest in by_language.items():
                one = _Worded(row["campaign"], kind, language, 1)
                while one in self._wordings:
                    one = one._replace(revision=one.revision + 1)
                self._wordings[one] = _Said(row["seq"], digest)

    def taken_in(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """Note a file that was taken in, or taken back."""
        if row["event"] == "imported":
            self._files[row["list"], _moment(row["at"])] = _Said(row["seq"], said)
        elif not row["subject"]:
            undone = _Said(row["seq"], _moment(row["at"]))
            self._undone[row["list"], said.get("imported_at", "")] = undone

    def ticked(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        """Note whether a step of handing over is done."""
        step = (row["campaign"], said.get("tool", ""), said.get("step", ""))
        is_done = row["event"] == "handed_over"
        value = (row["actor"], _moment(row["at"])) if is_done else None
        self._steps[step] = _Said(row["seq"], value)

    # --- Comparing.

    def _of_campaigns(self, under_way: set[int]) -> Iterator[Fault]:
        columns = ("state", "minimum_days", "include_thin", *_MOMENTS)
        query = Campaign.select(
            Campaign.id, MailingList.slug, *(getattr(Campaign, name) for name in columns)
        ).join(MailingList)
        for number, slug, *values in _rows(query.order_by(Campaign.id)):
            row = {"list": slug, **dict(zip(columns, values, strict=True))}
            told = self._campaigns.pop(number, _Told())
            if told.is_launched:
                yield from _differing(f"campaign {number}", row, told.facts)
            elif number not in under_way and "state" not in told.facts:
                yield Fault(0, How.UNVOUCHED, f"campaign {number}")
        gone = {
            number: told.facts["list"].seq
            for number, told in self._campaigns.items()
            if told.is_launched
        }
        for number, seq in gone.items():
            yield Fault(seq, How.CONTRADICTED, f"campaign {number} is gone")

    def _of_wordings(self, under_way: set[int]) -> Iterator[Fault]:
        query = CampaignWording.select(
            CampaignWording.campaign,
            CampaignWording.kind,
            CampaignWording.language,
            CampaignWording.revision,
            CampaignWording.wording,
        )
        expected = dict(self._wordings)
        for *whose, digest in _rows(query.order_by(CampaignWording.id)):
            one = _Worded(*whose)
            said = expected.pop(one, None)
            if said is None and one.campaign not in under_way and self._is_whole(one.campaign):
                yield Fault(0, How.UNVOUCHED, _wording(one))
            elif said and said.value != digest:
                yield Fault(said.seq, How.CONTRADICTED, _wording(one))
        for one, said in expected.items():
            yield Fault(said.seq, How.CONTRADICTED, f"{_wording(one)} is gone")

    def _is_whole(self, campaign: int) -> bool:
        """Say whether a campaign came to be launched: its entry names its wordings then."""
        return any(one.campaign == campaign for one in self._wordings)

    def _of_files(self, under_way: set[int]) -> Iterator[Fault]:
        query = Import.select(
            Import.id,
            MailingList.slug,
            Import.at,
            Import.file,
            Import.digest,
            Import.counts,
            Import.undone_at,
        ).join(MailingList)
        files, undone = dict(self._files), dict(self._undone)
        for number, slug, at, name, digest, counts, undone_at in _rows(query.order_by(Import.id)):
            key = slug, _moment(at)
            what = f"the file {name}, taken into {slug}"
            said = files.pop(key, None)
            if said is None and number in under_way:
                continue
            if said is None:
                yield Fault(0, How.UNVOUCHED, what)
            elif said.value | {"name": name, "file": digest, **_counted(counts)} != said.value:
                yield Fault(said.seq, How.CONTRADICTED, what)
            back = undone.pop(key, _Said(0, _moment(None)))
            if back.value != _moment(undone_at):
                how = How.CONTRADICTED if back.seq else How.UNVOUCHED
                yield Fault(back.seq, how, f"{what}: whether it was taken back")
        for (slug, _), said in files.items():
            yield Fault(said.seq, How.CONTRADICTED, f"a file, taken into {slug}, is gone")

    def _of_steps(self) -> Iterator[Fault]:
        query = HandedOver.select(
            HandedOver.campaign, HandedOver.tool, HandedOver.step, HandedOver.by, HandedOver.at
        )
        expected = {step: said for step, said in self._steps.items() if said.value}
        for campaign, tool, step, by, at in _rows(query.order_by(HandedOver.id)):
            said = expected.pop((campaign, tool, step), None)
            what = _step(campaign, tool, step)
            if said is None:
                yield Fault(0, How.UNVOUCHED, what)
            elif said.value != (by, _moment(at)):
                yield Fault(said.seq, How.CONTRADICTED, what)
        for whose, said in expected.items():
            yield Fault(said.seq, How.CONTRADICTED, f"{_step(*whose)} is gone")


def _differing(whose: str, row: Mapping[str, Any], told: Mapping[str, _Said]) -> Iterator[Fault]:
    """Yield the columns of a campaign that say something else than its entries.

    Which of its states it is in comes and goes; that it is over, and since when, an entry says.
    """
    ends = {"closed_at": _Said(0, ""), "state": _Said(0, "")}
    for name, said in {**ends, **told}.items():
        found = _moment(row[name]) if name in _MOMENTS else row[name]
        if name == "state" and found not in _ENDS:
            found = ""
        if found != said.value:
            how = How.CONTRADICTED if said.seq else How.UNVOUCHED
            yield Fault(said.seq, how, f"{whose}: {name}")


def _wording(one: _Worded) -> str:
    kept = f"revision {one.revision} of the {one.kind} in {one.language}"
    return f"campaign {one.campaign}: the wording that is {kept}"


def _step(campaign: int, tool: str, step: str) -> str:
    return f"campaign {campaign}: the step {step} for {tool}"


def _counted(text: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return {"": text}
    # What an undoing took back is told by its own entry, and by no paper.
    return {name: value for name, value in found.items() if name != "undone"}


def _moment(value: Any) -> str:
    """Return a moment as entries write it, "" for none; what is no moment says so."""
    if not value:
        return ""
    try:
        return stored(read_moment(value))
    except (TypeError, ValueError):
        return f"no moment: {value!r}"


def _rows(query: Any) -> list[tuple[Any, ...]]:
    """Return rows as they are stored, whatever somebody has made of them."""
    found: list[tuple[Any, ...]] = proxy.obj.execute(query).fetchall()
    return found


_TOLD: Mapping[str, Callable[[RelatedTables, Mapping[str, Any], Mapping[str, Any]], None]] = {
    "launched": RelatedTables.launched,
    "extended": RelatedTables.extended,
    **dict.fromkeys(_ENDS, RelatedTables.ended),
    **dict.fromkeys(_FILES, RelatedTables.taken_in),
    **dict.fromkeys(_STEPS, RelatedTables.ticked),
}
