"""Undoing the last import."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from peewee import fn

from repermit.contacts import counts
from repermit.contacts.lookup import make_undecided_condition
from repermit.db import background_tasks
from repermit.db.background_tasks import (
    TaskKind,
    background_lock,
    find_task_of_list,
    foreground_lock,
    list_targets,
    lock_import_task,
    run_each,
    select_targets,
)
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign, find_live_campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList, lock_list
from repermit.db.models.mails import IS_ASK_OR_REMINDER, Mail
from repermit.db.staged_rows import sweep_staged
from repermit.db.work_steps import MAX_ROWS_PER_STEP
from repermit.errors import Refused
from repermit.imports.import_report import UndoResult
from repermit.imports.import_task import ImportProgress, undo_unfinished_import
from repermit.imports.undo_steps import Progress, begin_undo, continue_undo
from repermit.rules.consent import CampaignState, Fate, MailKind, MailState
from repermit.settings.definitions import Settings

# --- The imports of a list, and those under way. --------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PastImport:
    """A finished import; `fates` has every fate, and their sum is `rows`."""

    file: str
    at: datetime
    undone_at: datetime | None
    rows: int
    fates: dict[Fate, int]


def past_imports(mailing_list: MailingList) -> tuple[PastImport, ...]:
    """Return the finished imports into a list, the newest first."""
    is_finished = Import.id.not_in(select_targets(TaskKind.IMPORT))
    records = Import.select().where(Import.list == mailing_list, is_finished)
    return tuple(map(_make_past_import, records.order_by(Import.id.desc())))


@dataclass(frozen=True, kw_only=True)
class FileProgress:
    """The progress of an import in addresses, or of its undo in rows."""

    file: str
    done: int
    total: int


def find_unfinished_import(mailing_list: MailingList) -> FileProgress | None:
    """Return the progress of the running import into a list; None if none is running."""
    task = find_task_of_list(TaskKind.IMPORT, mailing_list)
    if task is None:
        return None
    progress = ImportProgress(**task.state)
    file = Import.get_by_id(task.target).file
    return FileProgress(file=file, done=progress.done, total=progress.addresses)


def undo_progress(mailing_list: MailingList) -> FileProgress | None:
    """Return the progress of the running undo of a list's last import; None if none is running."""
    task = find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list)
    if task is None:
        return None
    file = Import.select(Import.file).where(Import.id == task.target).get().file
    progress = Progress(**task.state)
    done = progress.contacts + progress.looked_at + progress.suppressions
    # A contact that the import removed counts twice, as its suppression counts, too.
    return FileProgress(file=file, done=min(done, progress.rows), total=progress.rows)


def _make_past_import(record: Import) -> PastImport:
    counts = json.loads(record.counts)
    return PastImport(
        file=record.file,
        at=record.at,
        undone_at=record.undone_at,
        rows=counts["rows"],
        fates={fate: counts["fates"].get(fate, 0) for fate in Fate},
    )


# --- Undoing the last import. ---------------------------------------------------------------------


_UNSENT = (MailState.QUEUED, MailState.DROPPED)


def undo_import(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,  # noqa: ARG001  as all use cases do
    now: datetime,
    actor: str,
    max_rows: int | None = None,
) -> UndoResult:
    """Undo the last import of a list that is not undone yet.

    1. Look whether its contacts were mailed, without a lock, as that may take long.
    2. Store the task, under the list's lock. Look again if a mail was sent, or a campaign closed,
       meanwhile. Raise Refused while a campaign is live, if one of its contacts was mailed or has
       answered, and if a contact that it changed was asked in a campaign that has closed since.
       From then on launches and imports are refused.
    3. In steps, between which others can write: delete its contacts and suppressions, and restore
       the contacts that it changed, except those with later changes.
    4. In the last step append the entry; only then the import is undone.

    An interrupted undo continues. A running import is stopped, and its merged rows are undone.

    - `max_rows`: an import of more rows is only begun to be undone; `finish_undos` continues.
    """
    number = None
    while number is None:
        checked = _read_mailings(mailing_list)
        is_mailed = has_been_mailed(mailing_list, checked.record) or any(
            reopens_closed_question(checked.record, campaign) for campaign in checked.closed
        )
        with database.atomic():
            number = _begin(
                database, mailing_list, checked, is_mailed=is_mailed, now=now, actor=actor
            )
    sweep_staged(database)
    record: Import = Import.get_by_id(number)
    if max_rows is None or json.loads(record.counts)["rows"] <= max_rows:
        with foreground_lock(database, TaskKind.UNDO_IMPORT):
            continue_undo(database, number)
        record = Import.get_by_id(number)
    return _make_result(record)


def finish_undos(
    database: Database,
    *,
    should_stop: Callable[[], bool] = bool,
    step: int = MAX_ROWS_PER_STEP,
) -> int:
    """Continue undos, also after a kill; return the number of imports concerned.

    - `step`: the maximum number of rows in one transaction.
    """
    under_way = list_targets(TaskKind.UNDO_IMPORT)
    with background_lock(database, TaskKind.UNDO_IMPORT, should_stop) as must_stop:
        run_each(partial(continue_undo, database, should_stop=must_stop, step=step), under_way)
    return len(under_way)


def _make_result(record: Import) -> UndoResult:
    undone = json.loads(record.counts).get("undone", {})
    return UndoResult(
        file=record.file,
        contacts_taken_back=undone.get("contacts", 0),
        restored=undone.get("restored", 0),
        suppressions_taken_back=undone.get("suppressions", 0),
        is_whole=record.undone_at is not None,
    )


@dataclass(frozen=True)
class _Mailings:
    """A list's last import, its sent mails, and its campaigns that have closed since."""

    record: Import
    sent: Counter[counts.MailGroup]
    closed: list[Campaign]


def _read_mailings(mailing_list: MailingList) -> _Mailings:
    """Return what decides whether people of the last import were mailed; may raise Refused."""
    # Counted first, so that a mail that is sent meanwhile makes a difference later.
    sent = _count_sent(mailing_list)
    record = _find_last_import(mailing_list)
    return _Mailings(record, sent, _list_closed_since(record))


def _begin(
    database: Database,
    mailing_list: MailingList,
    checked: _Mailings,
    *,
    is_mailed: bool,
    now: datetime,
    actor: str,
) -> int | None:
    """Store the task that undoes the last import, unless there is one; return the import's id.

    Returns None if a mail of the list was sent or a campaign closed since the check, or if another
    import is the last.
    """
    # Locked before the list, as a step of an import does.
    unfinished = lock_import_task(mailing_list.id)
    # A launch and an import lock the list, too.
    lock_list(mailing_list)
    under_way = find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list)
    if under_way is not None:
        return under_way.target
    # Checked first: while a campaign's mails are being sent, each check would be outdated.
    if find_live_campaign(mailing_list):
        raise Refused("an import cannot be taken back while a campaign is live")
    if unfinished is not None:
        undo_unfinished_import(database, unfinished, now=now, actor=actor)
        return int(unfinished.target)
    background_tasks.require_no_running_import(mailing_list)
    present = _read_mailings(mailing_list)
    if present != checked:
        return None
    _require_untouched(present.record, is_mailed=is_mailed)
    begin_undo(present.record, now=now, actor=actor)
    return int(present.record.id)


def _find_last_import(mailing_list: MailingList) -> Import:
    """Return the list's last import that is not undone; raises Refused if there is none."""
    query = Import.select().where(Import.list == mailing_list, Import.undone_at.is_null())
    record: Import | None = query.order_by(Import.id.desc()).first()
    if record is None:
        raise Refused("there is no file that could be taken back")
    return record


def _require_untouched(record: Import, *, is_mailed: bool) -> None:
    if is_mailed:
        raise Refused(
            "%(file)s cannot be taken back: people from it have been mailed", file=record.file
        )
    if any(query.exists() for query in make_changed_queries(record)):
        raise Refused(
            "%(file)s cannot be taken back: people from it have answered or were taken off",
            file=record.file,
        )


def make_changed_queries(record: Import) -> Iterator[Any]:
    """Yield two queries for an import's contacts that have changed since.

    Each reads one end of an index, so that unchanged contacts are not read.
    """
    own: Any = Contact.select(Contact.id).where(Contact.imported_by == record)
    yield own.where(Contact.status_at < record.at)
    yield own.where(Contact.status_at > record.at)


def has_been_mailed(mailing_list: MailingList, record: Import) -> bool:
    """Say whether a mail to one of an import's contacts was sent, or may have been.

    Reads only the mails to contacts of this import, whose ids are close together, and only if any
    mail of the list was sent.
    """
    if not _count_sent(mailing_list):
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
            # `+ 0` makes SQLite begin with the mails instead of the import's contacts, a million of
            # which may have none.
            Contact.imported_by + 0 == record.id,
        )
    )
    return bool(mailed.exists())


def reopens_closed_question(record: Import, campaign: Campaign) -> bool:
    """Say whether an undo would put back as undecided a contact that a closed campaign has asked.

    Nobody would decide on such a contact any more: the deadline has passed, and nobody is asked
    twice. Only the contacts that the import changed are read, each by its id.
    """
    # Subqueries: with joins, SQLite might begin with the mails, of which there may be a million.
    contact: Any = Contact.select().where(
        Contact.id == ImportChange.contact,
        Contact.status_at == record.at,
        Contact.erased_at.is_null(),
    )
    accepted_ask: Any = Mail.select().where(
        Mail.campaign == campaign,
        Mail.contact == ImportChange.contact,
        IS_ASK_OR_REMINDER,
        Mail.kind == MailKind.ASK,
        Mail.state == MailState.SENT,
    )
    changes: Any = ImportChange.select(ImportChange.id).where(
        ImportChange.record == record,
        make_undecided_condition(campaign, ImportChange),
        fn.EXISTS(contact),
        fn.EXISTS(accepted_ask),
    )
    return bool(changes.exists())


def _list_closed_since(record: Import) -> list[Campaign]:
    """Return the campaigns of an import's list that have closed since, in order."""
    closed = Campaign.select().where(
        Campaign.list == record.list_id,
        Campaign.state == CampaignState.CLOSED,
        Campaign.closed_at >= record.at,
    )
    return list(closed.order_by(Campaign.id))


def _count_sent(mailing_list: MailingList) -> Counter[counts.MailGroup]:
    """Count the mails to contacts of a list that were sent, or may have been."""
    mails = counts.count_mails(mailing_list).items()
    return Counter(
        {
            group: count
            for group, count in mails
            if group.kind is not MailKind.NOTICE and group.state not in _UNSENT
        }
    )
