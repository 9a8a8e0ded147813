"""Whether campaigns, their wordings, files and ticked steps are the rows that entries say.

Reports and exports are made from these tables, so whoever edits one of them must be found as
whoever edits an entry is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from repermit.db.background_tasks import TaskKind, select_targets
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import Campaign, CampaignWording, HandedOver
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.evidence.chain_reader import fetch_rows
from repermit.evidence.erasable_parts import TERMS_TOLD_SINCE
from repermit.evidence.verify.contacts import newest_seq
from repermit.evidence.verify.diagnosis import Fault, mismatch
from repermit.evidence.verify.replay import (
    CAMPAIGN_ENDS,
    TAKEN_BACK,
    UNDONE,
    Expected,
    ExpectedRow,
    Replay,
    WordingKey,
    moment_text,
)

_Key = TypeVar("_Key")

_TIMES = ("launched_at", "deadline", "starts_at", "reminder_at", "closed_at")


class _FoundRow(NamedTuple):
    """A row of a table; `name` is what faults call it.

    `needs_entry` is false for what a work under way has made, of which an entry comes later.
    """

    key: Any
    name: str
    columns: Mapping[str, Any]
    needs_entry: bool = True


def check_tables(replay: Replay) -> Iterator[Fault]:
    """Yield what says something else than the entries, or what none of them accounts for."""
    launching = _targets(TaskKind.LAUNCH)
    launched = {number: row for number, row in replay.campaigns.items() if row.seq}
    # One that was cancelled while its launch was under way was never launched.
    ended = {number for number, row in replay.campaigns.items() if row.columns["state"].seq}
    yield from _wrongly_opened()
    yield from _wrong_lists(replay)
    yield from _diff_rows(launched, _campaigns(launching | ended), lambda key: f"campaign {key}")
    worded = {key.campaign for key in replay.wordings}
    yield from _diff_rows(replay.wordings, _wordings(worded - launching), _wording_name)
    yield from _diff_rows(
        replay.imports,
        _imports(_targets(TaskKind.IMPORT), _uncounted_undoings(replay)),
        lambda key: f"a file, taken into {key[0]},",
    )
    yield from _diff_rows(replay.steps, _steps(), lambda key: _step_name(*key))


def _diff_rows(
    expected: Mapping[_Key, ExpectedRow],
    found: Iterable[_FoundRow],
    describe: Callable[[_Key], str],
) -> Iterator[Fault]:
    """Yield a fault for each column, row or missing row that is not as expected.

    - `describe`: how faults call a row that is missing, by its key.
    """
    missing = dict(expected)
    for row in found:
        expected_row = missing.pop(row.key, None)
        if expected_row is not None:
            yield from _diff_columns(row, expected_row.columns)
        elif row.needs_entry:
            yield mismatch(0, row.name)
    for key, expected_row in missing.items():
        yield mismatch(expected_row.seq, f"{describe(key)} is gone")


def _diff_columns(row: _FoundRow, expected: Mapping[str, Expected]) -> Iterator[Fault]:
    for column, (seq, value) in expected.items():
        if not _agree(value, row.columns[column]):
            yield mismatch(seq, f"{row.name}: {column}" if column else row.name)


def _agree(expected: Any, found: Any) -> bool:
    """Say whether two values agree; an entry may tell more names of an object than a row keeps."""
    if isinstance(expected, dict) and isinstance(found, dict):
        names = {*found, *_COUNTS}
        return {name: value for name, value in expected.items() if name in names} == found
    return bool(expected == found)


_COUNTS = ("rows", "addresses", "fates", "merged", "improved")
"""What a file's row counts as its entry does."""


def _wrongly_opened() -> Iterator[Fault]:
    """Yield the campaigns whose asks or reminders were all sent before they began, or after all."""
    for name in ("opened_at", "reminded_at"):
        at = getattr(Campaign, name)
        is_wrong = (at < Campaign.launched_at) | (at > Campaign.closed_at)
        for (number,) in fetch_rows(Campaign.select(Campaign.id).where(is_wrong)):
            seq = newest_seq(Evidence.campaign == number, Evidence.event.in_(_MARKS))
            yield mismatch(seq, f"campaign {number}: {name}")


def _wrong_lists(replay: Replay) -> Iterator[Fault]:
    """Yield the lists that the record says were deleted, and those that no entry names."""
    for (slug,) in fetch_rows(MailingList.select(MailingList.slug).order_by(MailingList.id)):
        if slug in replay.deleted_lists:
            yield mismatch(replay.deleted_lists[slug], f"the list {slug} is there")
        elif slug not in replay.lists:
            yield mismatch(0, f"the list {slug}")


_MARKS = ("launched", *CAMPAIGN_ENDS)


# --- The rows that the tables have. ---------------------------------------------------------------


def _campaigns(without_entry: set[int]) -> Iterator[_FoundRow]:
    names = ("state", "minimum_days", "include_thin", *_TIMES)
    columns = [getattr(Campaign, name) for name in names]
    query = Campaign.select(Campaign.id, MailingList.slug, *columns).join(MailingList)
    for number, slug, *values in fetch_rows(query.order_by(Campaign.id)):
        found = {"list": slug, **dict(zip(names, values, strict=True))}
        found |= {name: moment_text(found[name]) for name in _TIMES}
        if found["state"] not in CAMPAIGN_ENDS:
            found["state"] = ""
        yield _FoundRow(number, f"campaign {number}", found, number not in without_entry)


def _wordings(launched: set[int]) -> Iterator[_FoundRow]:
    """Yield the wordings; `launched` are the campaigns whose entry names all of theirs."""
    columns = [getattr(CampaignWording, name) for name in WordingKey._fields]
    query = CampaignWording.select(*columns, CampaignWording.wording)
    for *values, digest in fetch_rows(query.order_by(CampaignWording.id)):
        key = WordingKey(*values)
        yield _FoundRow(key, _wording_name(key), {"": digest}, key.campaign in launched)


def _uncounted_undoings(replay: Replay) -> Mapping[Any, Any]:
    """Return what the undoings of files did of which an earlier version counted nothing.

    Until November 2026 the entry alone told it. Only those from before an upgrade are among them.
    """
    upgraded = Meta.read_number(TERMS_TOLD_SINCE) or 0
    told = {key: file.columns[UNDONE] for key, file in replay.imports.items()}
    return {key: done.value for key, done in told.items() if done.seq <= upgraded}


def _imports(without_entry: set[int], uncounted: Mapping[Any, Any]) -> Iterator[_FoundRow]:
    query = Import.select(
        Import.id,
        MailingList.slug,
        Import.at,
        Import.file,
        Import.digest,
        Import.counts,
        Import.undone_at,
    ).join(MailingList)
    for number, slug, at, name, digest, counts, undone_at in fetch_rows(query.order_by(Import.id)):
        told = _read_counts(counts)
        key = slug, moment_text(at)
        undone = (told.pop("undone"),) if "undone" in told else uncounted.get(key)
        yield _FoundRow(
            key,
            f"the file {name}, taken into {slug}",
            {
                "": {"name": name, "file": digest, **told},
                TAKEN_BACK: moment_text(undone_at),
                UNDONE: undone,
            },
            number not in without_entry,
        )


def _steps() -> Iterator[_FoundRow]:
    query = HandedOver.select(
        HandedOver.campaign, HandedOver.tool, HandedOver.step, HandedOver.by, HandedOver.at
    )
    for *key, by, at in fetch_rows(query.order_by(HandedOver.id)):
        yield _FoundRow(tuple(key), _step_name(*key), {"": (by, moment_text(at))})


def _targets(kind: TaskKind) -> set[int]:
    """Return the campaigns or imports that tasks of a kind are at work on."""
    return {number for (number,) in fetch_rows(select_targets(kind))}


def _wording_name(key: WordingKey) -> str:
    revision = f"revision {key.revision} of the {key.kind} in {key.language}"
    return f"campaign {key.campaign}: the wording that is {revision}"


def _step_name(campaign: int, tool: str, step: str) -> str:
    return f"campaign {campaign}: the step {step} for {tool}"


def _read_counts(text: str) -> dict[str, Any]:
    """Return what is counted of a file; what is no object by itself."""
    try:
        counts = json.loads(text)
    except ValueError:
        counts = None
    return counts if isinstance(counts, dict) else {"": text}
