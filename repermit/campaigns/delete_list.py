"""Deleting a list that was never launched: its files are taken back, and then it goes itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from repermit.db import background_tasks
from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import Database, chunks, lock_rows
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail
from repermit.db.models.webhooks import Webhook
from repermit.db.secure_delete import request_wiping
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.imports import undo, uploads
from repermit.settings.definitions import Settings

_CHUNK = 500
_ERASED_PARTS = ("person", "trace")


def can_be_deleted(mailing_list: MailingList) -> bool:
    """Say whether nothing that stays forbids to delete a list; its files may forbid it yet."""
    try:
        _require_deletable(mailing_list)
    except Refused:
        return False
    return True


def delete_list(
    database: Database,
    mailing_list: MailingList,
    *,
    settings: Settings,
    now: datetime,
    actor: str,
    most: int | None = None,
) -> None:
    """Delete a list that was never launched, with all that its files have brought.

    1. Delete the file that waits, and take back those that were taken in, the last one first: each
       is evidence of its own. A file of more than `most` rows is only begun to be taken back.
    2. Erase the names and addresses that the evidence still has of those people.
    3. In one transaction, with nobody left on the list: delete it, and keep that as evidence.

    Raises Refused where a campaign was launched, somebody was mailed, or people would be left.
    """
    _require_deletable(mailing_list)
    waiting = uploads.find_upload(mailing_list, settings=settings)
    if waiting is not None:
        uploads.give_up(database, waiting)
    while Import.select().where(Import.list == mailing_list, Import.undone_at.is_null()).exists():
        undone = undo.undo_import(
            database, mailing_list, settings=settings, now=now, actor=actor, most=most
        )
        if not undone.is_whole:
            raise Refused(
                "%(file)s is being taken back, which takes a moment; then delete the list again",
                file=undone.file,
            )
    if not _has_any(Contact, mailing_list):
        _erase_people(database, mailing_list, now=now, actor=actor)
    with database.atomic():
        lock_rows(MailingList.select().where(MailingList.id == mailing_list.id)).get()
        _require_deletable(mailing_list)
        background_tasks.require_no_unfinished_file(mailing_list)
        if _has_any(Contact, mailing_list) or _has_any(Suppression, mailing_list):
            raise Refused(
                "%(list)s still has people who were added by hand, were taken off or are not to be "
                "asked, so the list stays",
                list=mailing_list.slug,
            )
        files = Import.select(Import.id).where(Import.list == mailing_list)
        ImportChange.delete().where(ImportChange.record.in_(files)).execute()
        for table in (Import, ListText, BackgroundTask):
            table.delete().where(table.list == mailing_list).execute()
        MailingList.delete().where(MailingList.id == mailing_list.id).execute()
        request_wiping()
        chain.append(
            Entry(
                event="list_deleted",
                at=now,
                actor=actor,
                list=mailing_list.slug,
                consent={"name": mailing_list.name},
            )
        )


def _erase_people(
    database: Database, mailing_list: MailingList, *, now: datetime, actor: str
) -> None:
    """Erase what the record has of people whom files had brought, and say so of each."""
    slug = mailing_list.slug
    rows: Any = (
        Evidence.select(Evidence.subject)
        .join(EvidencePart, on=(EvidencePart.seq == Evidence.seq))
        .where(Evidence.list == slug, Evidence.subject != "", EvidencePart.part.in_(_ERASED_PARTS))
        .distinct()
        .order_by(Evidence.subject)
        .tuples()
    )
    for subjects in chunks([subject for (subject,) in rows], _CHUNK):
        with database.atomic():
            erased = chain.erase_parts_of(subjects, _ERASED_PARTS, slug=slug)
            chain.append(
                *(
                    Entry(
                        event="erased",
                        at=now,
                        actor=actor,
                        list=slug,
                        subject=subject,
                        consent={"seqs": seqs, "parts": _ERASED_PARTS},
                    )
                    for subject, seqs in erased.items()
                )
            )


def _require_deletable(mailing_list: MailingList) -> None:
    slug = mailing_list.slug
    if _has_any(Campaign, mailing_list):
        raise Refused(
            "a campaign of %(list)s was launched, so the list stays: the record tells of it",
            list=slug,
        )
    if _has_any(Mail, mailing_list):
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
