"""Undoing the last import."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from repermit.contacts import counts
from repermit.db import background_tasks
from repermit.db.background_tasks import (
    TaskKind,
    background_lock,
    find_task_of_list,
    foreground_lock,
    list_targets,
    lock_task_of_list,
    select_targets,
)
from repermit.db.connection import Database, lock_rows
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.staged_rows import sweep_staged
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.errors import Refused
from repermit.imports.import_report import UndoResult
from repermit.imports.import_task import ImportProgress, take_back_unfinished
from repermit.imports.undo_steps import Progress, begin_reversal, go_on
from repermit.rules.consent import Fate, MailKind, MailState
from repermit.settings.definitions import Settings

# --- Which files came onto a list. ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PastImport:
    """A file that was taken in; `fates` has every fate and adds up to `rows`."""

    file: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: dict[Fate, int]


def past_imports(mailing_list: MailingList) -> tuple[PastImport, ...]:
    """Return the files that were taken into a list, the last one first."""
    whole = Import.id.not_in(select_targets(TaskKind.IMPORT))
    own = Import.select().where(Import.list == mailing_list, whole).order_by(Import.id.desc())
    return tuple(map(_facts, own))


@dataclass(frozen=True, kw_only=True)
class UndoProgress:
    """A file that is being taken back: so much of it has been, of so much that is to be."""

    file: str
    done: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class UnfinishedImport:
    """A file that is being taken in: so many of its addresses have been looked at, of so many."""

    file: str
    done: int
    addresses: int


def unfinished_import(mailing_list: MailingList) -> UnfinishedImport | None:
    """Return how far the import of a list's file is, None if none is under way."""
    task = find_task_of_list(TaskKind.IMPORT, mailing_list)
    if task is None:
        return None
    progress = ImportProgress(**task.state)
    file = Import.get_by_id(task.target).file
    return UnfinishedImport(file=file, done=progress.done, addresses=progress.addresses)


def undo_progress(mailing_list: MailingList) -> UndoProgress | None:
    """Return how far the taking back of a list's last import is, None if none is under way."""
    task = find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list)
    if task is None:
        return None
    file = Import.select(Import.file).where(Import.id == task.target).get().file
    progress = Progress(**task.state)
    done = progress.contacts + progress.looked_at + progress.suppressions
    # Who was taken off by the file has a suppression as well.
    return UndoProgress(file=file, done=min(done, progress.rows), rows=progress.rows)


def _facts(record: Import) -> PastImport:
    counts = json.loads(record.counts)
    return PastImport(
        file=record.file,
        at=record.at,
        undone_at=record.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )


# --- Take the last import back. -------------------------------------------------------------------


_UNSENT = (MailState.QUEUED, MailState.DROPPED)


def undo_import(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,  # noqa: ARG001  as all use cases do
    now: datetime,
    actor: str,
    most: int | None = None,
) -> UndoResult:
    """Take back the last import of a list that is not taken back yet.

    1. Look who was mailed, with nothing locked, since that takes long among many.
    2. Decide, under the list's lock, unless a mail has left meanwhile: then look anew. Raise
       Refused while a campaign is live, and when one of its contacts was mailed or has answered.
       From then on nothing is launched and no file taken in.
    3. Its contacts and its suppressions go, and contacts that it changed become what they were,
       unless something happened to them since: in steps that let others write in between.
    4. In the last step keep what was done as evidence: only then the import is taken back.

    If one is under way already, by a kill for instance, that one goes on. A file that is only half
    taken in is taken in no further, and what was is taken back. A file of more than
    `most` rows is only begun: `finish_undoings` does the rest.
    """
    number = None
    while number is None:
        seen = _see(mailing_list)
        with database.atomic():
            number = _begin(database, mailing_list, seen, now=now, actor=actor)
    sweep_staged(database)
    record = _import(number)
    if most is None or json.loads(record.counts)["rows"] <= most:
        with foreground_lock(database, TaskKind.UNDO_IMPORT):
            go_on(database, number)
        record = _import(number)
    return _result(record)


def finish_undoings(
    database: Database,
    *,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Go on with what is being taken back, also after a kill; return how many imports that were.

    - `step`: rows that are changed in one transaction at most.
    """
    under_way = list_targets(TaskKind.UNDO_IMPORT)
    with background_lock(database, TaskKind.UNDO_IMPORT, should_stop) as must_stop:
        for number in under_way:
            go_on(database, number, should_stop=must_stop, step=step)
    return len(under_way)


def _import(number: int) -> Import:
    found: Import = Import.get_by_id(number)
    return found


def _result(record: Import) -> UndoResult:
    undone = json.loads(record.counts).get("undone", {})
    return UndoResult(
        file=record.file,
        contacts_taken_back=undone.get("contacts", 0),
        restored=undone.get("restored", 0),
        suppressions_taken_back=undone.get("suppressions", 0),
        is_whole=record.undone_at is not None,
    )


@dataclass(frozen=True)
class _Seen:
    """Whether people of an import had been mailed when so many mails of its list had left."""

    record: int
    left: Counter[counts.MailGroup]
    is_mailed: bool


def _see(mailing_list: MailingList) -> _Seen:
    """Look whether people of a list's last import have been mailed; raises Refused without one."""
    # Counted first, so that one which leaves meanwhile is missing.
    left = _left(mailing_list)
    record = _last(mailing_list)
    return _Seen(record.id, left, has_been_mailed(mailing_list, record))


def _begin(
    database: Database, mailing_list: MailingList, seen: _Seen, *, now: datetime, actor: str
) -> int | None:
    """Decide to take the last import back, if that is not decided yet; return its number.

    None if a mail of the list has left since `seen`, or another file came to be the last.
    """
    # Before the list, as a step of it does.
    unfinished = lock_task_of_list(TaskKind.IMPORT, mailing_list.id)
    # Whoever launches locks it too, and whoever takes a file in.
    lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
    under_way = find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list)
    if under_way is not None:
        return under_way.target
    # First of all: while its mails leave, no look would be the last.
    _require_no_campaign(mailing_list)
    if unfinished is not None:
        take_back_unfinished(database, unfinished, now=now, actor=actor)
        return int(unfinished.target)
    background_tasks.require_no_running_import(mailing_list)
    record = _last(mailing_list)
    if (seen.record, seen.left) != (record.id, _left(mailing_list)):
        return None
    _require_untouched(record, is_mailed=seen.is_mailed)
    begin_reversal(record, now=now, actor=actor)
    return int(record.id)


def _last(mailing_list: MailingList) -> Import:
    """Return the list's last import that stands; raises Refused."""
    query = Import.select().where(Import.list == mailing_list, Import.undone_at.is_null())
    found: Import | None = query.order_by(Import.id.desc()).first()
    if found is None:
        raise Refused(
            "nothing was imported into %(list)s that could be taken back",
            code="no_import",
            list=mailing_list.slug,
        )
    return found


def _require_no_campaign(mailing_list: MailingList) -> None:
    if find_live_campaign(mailing_list):
        raise Refused("an import cannot be taken back while a campaign is live")


def _require_untouched(record: Import, *, is_mailed: bool) -> None:
    if is_mailed:
        raise Refused(
            "%(file)s cannot be taken back: people from it have been mailed", file=record.file
        )
    if any(query.exists() for query in changed_since(record)):
        raise Refused(
            "%(file)s cannot be taken back: people from it have answered or were taken off",
            file=record.file,
        )


def changed_since(record: Import) -> Iterator[Any]:
    """Yield queries for an import's contacts to whom something has happened since.

    Two, for the two ends of an index: nobody in between is looked at.
    """
    own: Any = Contact.select(Contact.id).where(Contact.imported_by == record)
    yield own.where(Contact.status_at < record.at)
    yield own.where(Contact.status_at > record.at)


def has_been_mailed(mailing_list: MailingList, record: Import) -> bool:
    """Say whether a mail to one of an import's contacts has left, or may have.

    Looks only at mails to contacts that came with it, which stand together, and only if any mail
    of the list to somebody has left at all.
    """
    if not _left(mailing_list):
        return False
    own = (Contact.imported_by == record, Contact.status_at == record.at)
    first, last = (Contact.select(end(Contact.id)).where(*own).scalar() for end in (fn.MIN, fn.MAX))
    if first is None:
        return False
    mailed = (
        Mail.select(Mail.id)
        .join(Contact)
        .where(
            Mail.contact.between(first, last),
            Mail.state.not_in(_UNSENT),
            # Worked out, so that SQLite begins with the mails: it would look for those of each
            # contact of the import, a million of whom have none.
            Contact.imported_by + 0 == record.id,
        )
    )
    return bool(mailed.exists())


def _left(mailing_list: MailingList) -> Counter[counts.MailGroup]:
    """Count the mails of a list that have left for somebody on it, or may have."""
    mails = counts.count_mails(mailing_list).items()
    return Counter(
        {
            one: count
            for one, count in mails
            if one.kind not in _TO_ADMINS and one.state not in _UNSENT
        }
    )


_TO_ADMINS = (MailKind.NOTICE,)
