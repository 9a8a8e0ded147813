"""Whether each campaign has as many asks as its launch froze.

May import models and this room's faults. Who has not answered is in no entry: the audience is
counted in the entry of the launch, and nobody leaves it but with a file that is taken back.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peewee import fn

from repermit.evidence.faults import Fault, How
from repermit.models import (
    BackgroundTask,
    Contact,
    Import,
    Mail,
    TaskKind,
    read_moment,
    stored,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from repermit.evidence.reading import Part


@dataclass(frozen=True, kw_only=True)
class _Launch:
    """The entry `seq` of a launch on a list, which asked so many."""

    seq: int
    list: str
    at: str
    asked: int


@dataclass(frozen=True, kw_only=True)
class _TakenBack:
    """A file of which so many contacts were deleted, as the entry `seq` says, None if not yet."""

    seq: int | None
    list: str
    imported_at: str
    contacts: int

    def reduces(self, launch: _Launch) -> bool:
        """Say whether there may be people among them whom a launch had asked."""
        is_later = self.seq is None or self.seq > launch.seq
        return is_later and self.list == launch.list and self.imported_at < launch.at


class Audiences:
    """How many the launches that are walked have asked."""

    def __init__(self) -> None:
        self._launches: dict[int, _Launch] = {}
        self._taken_back: list[_TakenBack] = []

    def take(self, row: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
        """Take in an entry with its parts, by their names."""
        if row["event"] not in ("launched", "import_undone") or "consent" not in parts:
            return
        # What is no JSON is altered, and that is a fault of its own.
        with suppress(ValueError):
            said = json.loads(parts["consent"].json)
            if row["event"] == "import_undone":
                self._take_back(row, said)
            elif "asked" in said:
                self._launches[row["campaign"]] = _Launch(
                    seq=row["seq"],
                    list=row["list"],
                    at=stored(read_moment(row["at"])),
                    asked=said["asked"],
                )

    def faults(self) -> Iterator[Fault]:
        """Yield the launches of which there are fewer asks or more, once all entries are walked."""
        there = dict(_asks().tuples())
        gone = [*self._taken_back, *_under_way()]
        for campaign, launch in self._launches.items():
            count = there.get(campaign, 0)
            fewest = launch.asked - sum(one.contacts for one in gone if one.reduces(launch))
            if not fewest <= count <= launch.asked:
                what = f"campaign {campaign}: {launch.asked:,} were asked, and {count:,} are there"
                yield Fault(launch.seq, How.CONTRADICTED, what)

    def _take_back(self, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        if not row["subject"]:
            self._taken_back.append(
                _TakenBack(
                    seq=row["seq"],
                    list=row["list"],
                    imported_at=said.get("imported_at", ""),
                    contacts=said.get("contacts", 0),
                )
            )


def _asks() -> Any:
    """Return how many asks each campaign has to people who are there."""
    return (
        Mail.select(Mail.campaign, fn.COUNT(Mail.id))
        .join(Contact, on=(Contact.id == Mail.contact))
        .where(Mail.kind == "ask", Mail.campaign.is_null(is_null=False))
        .group_by(Mail.campaign)
    )


def _under_way() -> Iterable[_TakenBack]:
    """Return the files that are being taken back."""
    tasks = BackgroundTask.select().where(BackgroundTask.kind == TaskKind.UNDO_IMPORT)
    for task in list(tasks):
        record = Import.select(Import.at).where(Import.id == task.target).get()
        yield _TakenBack(
            seq=None,
            list=task.list.slug,
            imported_at=stored(record.at),
            contacts=task.state["contacts"],
        )
