"""Deleting a list that was never launched: its imports are undone, then the list is deleted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from repermit.contacts.counts import count_mails, count_suppressions
from repermit.db import background_tasks
from repermit.db.background_tasks import (
    BackgroundTask,
    TaskKind,
    background_lock,
    find_task,
    foreground_lock,
    invalidate_upload_counts,
    list_targets,
    run_each,
    run_task,
    start_task,
)
from repermit.db.connection import Database, lock_rows, skip_reference_checks
from repermit.db.models.campaigns import Campaign, Draft
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, ImportChange, Upload
from repermit.db.models.lists import ListText, MailingList, RegisterNotes, lock_list
from repermit.db.models.webhooks import Webhook
from repermit.db.secure_delete import request_wiping
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports import undo, uploads
from repermit.settings.definitions import Settings

_ERASED_PARTS = ("person", "trace")


def explain_kept(mailing_list: MailingList) -> str:
    """Return why a list stays, "" if nothing is known of that without undoing its imports."""
    try:
        _require_deletable(mailing_list)
    except Refused as refusal:
        return refusal.said
    return ""


def delete_list(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    max_rows: int | None = None,
) -> None:
    """Delete a list that was never launched, with all that its imports added.

    1. Delete the waiting upload, and undo the imports, the last one first, with evidence of each.
       The undo of an import with more than `max_rows` rows is only started.
    2. Once nobody is on the list, store the task of deleting it, which a worker resumes after a
       kill.
    3. Erase, in steps, the names and addresses of those people in the evidence.
    4. In the last step delete the list, and append an entry.

    Raises Refused if a campaign was launched, somebody was mailed, or people would remain.
    """
    _require_deletable(mailing_list)
    upload = uploads.find_upload(mailing_list, settings=settings)
    if upload is not None:
        uploads.discard_upload(database, upload)
    while Import.select().where(Import.list == mailing_list, Import.undone_at.is_null()).exists():
        result = undo.undo_import(
            database, mailing_list, settings=settings, now=now, actor=actor, max_rows=max_rows
        )
        if not result.is_whole:
            raise Refused(
                "%(file)s is being taken back, which takes a moment; then delete the list again",
                file=result.file,
            )
    while _begin_deletion(database, mailing_list, now=now, actor=actor):
        with foreground_lock(database, TaskKind.DELETE_LIST):
            _run_deletion(database, mailing_list)


def finish_deletions(database: Database, *, should_stop: Callable[[], bool] = bool) -> None:
    """Continue unfinished deletions of lists, for instance after a kill."""
    list_ids = list_targets(TaskKind.DELETE_LIST)
    with background_lock(database, TaskKind.DELETE_LIST, should_stop) as must_stop:
        mailing_lists: Any = MailingList.select().where(MailingList.id.in_(list_ids))
        run_each(partial(_run_deletion, database, should_stop=must_stop), list(mailing_lists))


def _begin_deletion(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> bool:
    """Store the task of deleting a list; False if it is gone. Raises Refused if it must stay."""
    with database.atomic():
        if lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).first() is None:
            return False
        _require_empty(mailing_list)
        if find_task(TaskKind.DELETE_LIST, mailing_list.id) is None:
            start_task(
                TaskKind.DELETE_LIST,
                mailing_list.id,
                mailing_list=mailing_list,
                actor=actor,
                at=now,
                state={},
            )
        return True


def _run_deletion(
    database: Database, mailing_list: MailingList, *, should_stop: Callable[[], bool] = bool
) -> None:
    """Run the steps of a deletion until it is done; several processes may do so at once.

    It ends without deleting the list if somebody was added to it meanwhile.
    """
    subjects = _list_people(mailing_list.slug)

    def erase_people(task: BackgroundTask, limit: int) -> bool:
        batch, subjects[:limit] = subjects[:limit], []
        if not batch or not _is_empty(mailing_list):
            return False
        _erase_people(batch, task)
        return True

    def delete_changes(_: BackgroundTask, limit: int) -> bool:
        undone_imports = Import.select(Import.id).where(
            Import.list == mailing_list, Import.undone_at.is_null(is_null=False)
        )
        changes = ImportChange.select(ImportChange.id).where(
            ImportChange.record.in_(undone_imports)
        )
        return bool(
            ImportChange.delete().where(ImportChange.id.in_(changes.limit(limit))).execute()
        )

    def delete_row(task: BackgroundTask, _: int) -> bool:
        # Locks the uploads before the list, as whoever adds a contact does.
        invalidate_upload_counts(mailing_list.id)
        if _is_empty(mailing_list):
            _delete_row(mailing_list, task)
        return False

    with skip_reference_checks(database):
        run_task(
            database,
            TaskKind.DELETE_LIST,
            mailing_list.id,
            erase_people,
            delete_changes,
            delete_row,
            should_stop=should_stop,
        )


def _is_empty(mailing_list: MailingList) -> bool:
    """Lock a list; return whether it may be deleted, which holds for the transaction."""
    # Inserting a row that refers to the list locks the list too.
    lock_list(mailing_list)
    try:
        _require_empty(mailing_list)
    except Refused:
        return False
    return True


def _delete_row(mailing_list: MailingList, task: BackgroundTask) -> None:
    """Delete a list with the rows that refer to it, and append an entry."""
    for table in _DELETED_TABLES:
        table.delete().where(table.list == mailing_list).execute()
    MailingList.delete().where(MailingList.id == mailing_list.id).execute()
    request_wiping()
    chain.append(
        Entry(
            event="list_deleted",
            at=task.at,
            actor=task.actor,
            list=mailing_list.slug,
            consent={"name": mailing_list.name},
        )
    )


_DELETED_TABLES = (Import, ListText, BackgroundTask, Upload, RegisterNotes, Draft)
"""The tables whose rows are deleted with their list."""


def _list_people(slug: str) -> list[str]:
    """Return the subjects whose personal parts are still in the evidence."""
    rows: Any = (
        Evidence.select(Evidence.subject)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(Evidence.list == slug, Evidence.subject != "", EvidencePart.part.in_(_ERASED_PARTS))
        .distinct()
        .order_by(Evidence.subject)
        .tuples()
    )
    return [subject for (subject,) in rows]


def _erase_people(subjects: Sequence[str], task: BackgroundTask) -> None:
    """Erase the personal parts of imported people from the evidence, with an entry for each."""
    slug = task.list.slug
    erased = chain.erase_parts_by_subject(subjects, _ERASED_PARTS, slug=slug)
    entries = [
        Entry(
            event="erased",
            at=task.at,
            actor=task.actor,
            list=slug,
            subject=subject,
            consent={"seqs": seqs, "parts": _ERASED_PARTS},
        )
        for subject, seqs in erased.items()
        if seqs
    ]
    if entries:
        chain.append(*entries)


def _require_empty(mailing_list: MailingList) -> None:
    """Raise Refused if the list must stay, or people are still on it."""
    _require_deletable(mailing_list)
    background_tasks.require_no_running_import(mailing_list)
    if _has_any(Contact, mailing_list) or any(count_suppressions(mailing_list).values()):
        raise Refused(
            "%(list)s still has people who were added by hand, were taken off or are not to be "
            "asked, so the list stays",
            list=mailing_list.slug,
        )


def _require_deletable(mailing_list: MailingList) -> None:
    slug = mailing_list.slug
    if _has_any(Campaign, mailing_list):
        raise Refused(
            "a campaign of %(list)s was launched, so the list stays: the record tells of it",
            list=slug,
        )
    # From the stored counts, since no index finds a list's mails among a million.
    if any(count_mails(mailing_list).values()):
        raise Refused(
            "people were mailed about %(list)s, so the list stays: links in their mails name it",
            list=slug,
        )
    if _has_any(SignUp, mailing_list):
        raise Refused("people have signed up to %(list)s, so the list stays", list=slug)
    if _has_any(Webhook, mailing_list):
        raise Refused("a webhook tells of %(list)s: remove it first", list=slug)


def _has_any(table: type[Any], mailing_list: MailingList) -> bool:
    return bool(table.select().where(table.list == mailing_list).exists())
