"""Checking campaigns, their wordings, imports and ticked steps against the entries.

Reports and exports are made from these tables, so an edited row must be found like an edited entry.
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
from repermit.evidence.verify.contacts import find_newest_seq
from repermit.evidence.verify.diagnosis import Fault, make_mismatch
from repermit.evidence.verify.replay import (
    CAMPAIGN_ENDS,
    TAKEN_BACK,
    UNDONE,
    Expected,
    ExpectedRow,
    Replay,
    WordingKey,
    format_entry_time,
)

_Key = TypeVar("_Key")

_TIMES = ("launched_at", "deadline", "starts_at", "reminder_at", "closed_at")


class _FoundRow(NamedTuple):
    """A row of a table.

    - `name`: its name in faults.
    - `needs_entry`: False for a row made by a running task, as its entry comes later.
    """

    key: Any
    name: str
    columns: Mapping[str, Any]
    needs_entry: bool = True


def check_tables(replay: Replay) -> Iterator[Fault]:
    """Yield the rows that differ from the entries, and those that no entry accounts for."""
    launching = _list_targets(TaskKind.LAUNCH)
    launched = {number: row for number, row in replay.campaigns.items() if row.seq}
    # A campaign that was cancelled while its launch was under way was never launched.
    ended = {number for number, row in replay.campaigns.items() if row.columns["state"].seq}
    yield from _check_opened_times()
    yield from _check_lists(replay)
    yield from _diff_rows(
        launched, _iter_campaigns(launching | ended), lambda key: f"campaign {key}"
    )
    worded = {key.campaign for key in replay.wordings}
    yield from _diff_rows(replay.wordings, _iter_wordings(worded - launching), _format_wording_name)
    yield from _diff_rows(
        replay.imports,
        _iter_imports(_list_targets(TaskKind.IMPORT), _find_uncounted_undoings(replay)),
        lambda key: f"a file, taken into {key[0]},",
    )
    yield from _diff_rows(replay.steps, _iter_steps(), lambda key: _format_step_name(*key))


def _diff_rows(
    expected: Mapping[_Key, ExpectedRow],
    rows: Iterable[_FoundRow],
    describe: Callable[[_Key], str],
) -> Iterator[Fault]:
    """Yield a fault for each column, row or missing row that is not as expected.

    - `describe`: returns the name in faults of a missing row, from its key.
    """
    missing = dict(expected)
    for row in rows:
        expected_row = missing.pop(row.key, None)
        if expected_row is not None:
            yield from _diff_columns(row, expected_row.columns)
        elif row.needs_entry:
            yield make_mismatch(0, row.name)
    for key, expected_row in missing.items():
        yield make_mismatch(expected_row.seq, f"{describe(key)} is gone")


def _diff_columns(row: _FoundRow, expected: Mapping[str, Expected]) -> Iterator[Fault]:
    for column, (seq, value) in expected.items():
        if not _agree(value, row.columns[column]):
            yield make_mismatch(seq, f"{row.name}: {column}" if column else row.name)


def _agree(expected: Any, stored: Any) -> bool:
    """Say whether two values agree; an entry's object may have more names than the row's."""
    if isinstance(expected, dict) and isinstance(stored, dict):
        names = {*stored, *_COUNTS}
        return {name: value for name, value in expected.items() if name in names} == stored
    return bool(expected == stored)


_COUNTS = ("rows", "addresses", "fates", "merged", "improved")
"""The names of an import's counts that are the same in its row and its entry."""


def _check_opened_times() -> Iterator[Fault]:
    """Yield the campaigns whose last ask or reminder was sent before the launch or after the end.

    `opened_at` and `reminded_at` are the times of these.
    """
    for name in ("opened_at", "reminded_at"):
        at = getattr(Campaign, name)
        is_wrong = (at < Campaign.launched_at) | (at > Campaign.closed_at)
        for (number,) in fetch_rows(Campaign.select(Campaign.id).where(is_wrong)):
            seq = find_newest_seq(Evidence.campaign == number, Evidence.event.in_(_MARKS))
            yield make_mismatch(seq, f"campaign {number}: {name}")


def _check_lists(replay: Replay) -> Iterator[Fault]:
    """Yield the lists that the record says were deleted, and those that no entry names."""
    for (slug,) in fetch_rows(MailingList.select(MailingList.slug).order_by(MailingList.id)):
        if slug in replay.deleted_lists:
            yield make_mismatch(replay.deleted_lists[slug], f"the list {slug} is there")
        elif slug not in replay.lists:
            yield make_mismatch(0, f"the list {slug}")


_MARKS = ("launched", *CAMPAIGN_ENDS)


# --- The rows that the tables have. ---------------------------------------------------------------


def _iter_campaigns(without_entry: set[int]) -> Iterator[_FoundRow]:
    names = ("state", "minimum_days", "include_thin", *_TIMES)
    columns = [getattr(Campaign, name) for name in names]
    query = Campaign.select(Campaign.id, MailingList.slug, *columns).join(MailingList)
    for number, slug, *values in fetch_rows(query.order_by(Campaign.id)):
        row = {"list": slug, **dict(zip(names, values, strict=True))}
        row |= {name: format_entry_time(row[name]) for name in _TIMES}
        if row["state"] not in CAMPAIGN_ENDS:
            row["state"] = ""
        yield _FoundRow(number, f"campaign {number}", row, number not in without_entry)


def _iter_wordings(launched: set[int]) -> Iterator[_FoundRow]:
    """Yield the rows of wordings.

    - `launched`: the campaigns whose entries name all their wordings.
    """
    columns = [getattr(CampaignWording, name) for name in WordingKey._fields]
    query = CampaignWording.select(*columns, CampaignWording.wording)
    for *values, digest in fetch_rows(query.order_by(CampaignWording.id)):
        key = WordingKey(*values)
        yield _FoundRow(key, _format_wording_name(key), {"": digest}, key.campaign in launched)


def _find_uncounted_undoings(replay: Replay) -> Mapping[Any, Any]:
    """Return the expected counts of undone imports whose row has none, by list and time.

    Until November 2026 only the entry had these counts. So only undos from before an upgrade are
    here.
    """
    upgraded = Meta.read_number(TERMS_TOLD_SINCE) or 0
    undos = {key: row.columns[UNDONE] for key, row in replay.imports.items()}
    return {key: undo.value for key, undo in undos.items() if undo.seq <= upgraded}


def _iter_imports(without_entry: set[int], uncounted: Mapping[Any, Any]) -> Iterator[_FoundRow]:
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
        counts_by_name = _read_counts(counts)
        key = slug, format_entry_time(at)
        undone = (
            (counts_by_name.pop("undone"),) if "undone" in counts_by_name else uncounted.get(key)
        )
        yield _FoundRow(
            key,
            f"the file {name}, taken into {slug}",
            {
                "": {"name": name, "file": digest, **counts_by_name},
                TAKEN_BACK: format_entry_time(undone_at),
                UNDONE: undone,
            },
            number not in without_entry,
        )


def _iter_steps() -> Iterator[_FoundRow]:
    query = HandedOver.select(
        HandedOver.campaign, HandedOver.tool, HandedOver.step, HandedOver.by, HandedOver.at
    )
    for *key, by, at in fetch_rows(query.order_by(HandedOver.id)):
        yield _FoundRow(tuple(key), _format_step_name(*key), {"": (by, format_entry_time(at))})


def _list_targets(kind: TaskKind) -> set[int]:
    """Return the ids of the campaigns or imports that tasks of a kind work on."""
    return {number for (number,) in fetch_rows(select_targets(kind))}


def _format_wording_name(key: WordingKey) -> str:
    revision = f"revision {key.revision} of the {key.kind} in {key.language}"
    return f"campaign {key.campaign}: the wording that is {revision}"


def _format_step_name(campaign: int, tool: str, step: str) -> str:
    return f"campaign {campaign}: the step {step} for {tool}"


def _read_counts(text: str) -> dict[str, Any]:
    """Return an import's counts; a text that is not a JSON object under the name ""."""
    try:
        counts = json.loads(text)
    except ValueError:
        counts = None
    return counts if isinstance(counts, dict) else {"": text}
