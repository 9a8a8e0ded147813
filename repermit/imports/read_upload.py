"""Previewing and importing an uploaded file, mostly in a process of its own.

A million rows take too long for a page, and would delay other pages of the same process. Only a
short plain text file is read in the web process. The content of a ZIP or a workbook may be much
larger than its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from repermit.db.connection import Database
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import ListFileError, RepermitError
from repermit.i18n.lazy_text import serialize
from repermit.imports.import_file import import_file
from repermit.imports.import_report import ImportResult
from repermit.imports.readers import container, open_file
from repermit.imports.readers.rows import Column, FilePreview
from repermit.imports.uploads import Choices, StoredUpload, delete, find_upload
from repermit.rules.consent import Fate
from repermit.settings.definitions import Settings

LARGE = 50_000
"""The bytes of plain text from which a file is read in a process of its own.

A thousand rows have fewer; the slowest rows, one letter without an address, take some seconds.
"""


def start_reading(
    database: Database,
    mailing_list: MailingList,
    *,
    choices: Choices,
    settings: Settings,
    now: datetime,
    actor: str,
    takes_in: bool = False,
) -> bool:
    """Start the preview of a list's upload, which becomes the result of `StoredUpload.task`.

    Most files are still being read when this returns. Returns False if there is no upload, or it is
    in use.

    - `takes_in`: import the file, and delete it once it is staged.
    """
    upload = find_upload(mailing_list, settings=settings)
    lock = None if upload is None else upload.task.lock()
    if upload is None or lock is None:
        return False
    with closing(lock):
        upload.task.forget_result()
        upload.task.save_progress({"takes_in": takes_in})
        with database.atomic():
            upload.save_choices(choices)
        is_long = upload.path.stat().st_size >= LARGE or container.is_packed(upload.path)
        job = {"slug": mailing_list.slug, "takes_in": takes_in, "now": now, "actor": actor}
        upload.task.start(_read, lock=lock, database=database, is_long=is_long, **job)
    return True


def _read(
    database: Database,
    *,
    settings: Settings,
    slug: str,
    takes_in: bool,
    now: datetime,
    actor: str,
) -> None:
    mailing_list = find_list(slug)
    upload = cast("StoredUpload", find_upload(mailing_list, settings=settings))
    with database.atomic():
        upload.begin_count()
    try:
        result = import_file(
            database,
            mailing_list,
            upload.path,
            settings=settings,
            now=now,
            actor=actor,
            dry_run=not takes_in,
            preview_path=None if takes_in else upload.rows,
            on_staged=lambda: delete(database, upload),
            **vars(upload.choices),
        )
    except RepermitError as error:
        if not upload.path.exists():
            # The import was undone while it was running; the page of imports shows that.
            return
        with database.atomic():
            upload.count(rows=None, people=None)
        upload.task.save_result({**_make_refusal(error), "glimpses": _make_previews(upload)})
    else:
        if takes_in:
            return
        # A row with an invalid address may still be about a person.
        people = result.strangers + result.fates[Fate.INVALID]
        with database.atomic():
            upload.end_count(rows=result.rows, people=people)
        upload.task.save_result(
            {**_make_summary(result, upload.choices), "glimpses": _make_previews(upload)}
        )


def _make_previews(upload: StoredUpload) -> list[dict[str, Any]]:
    """Return the beginning of each part; stored, as opening a large file for each page is slow."""
    try:
        previews = open_file.preview_file(upload.path, mapping=upload.choices.mapping)
    except ListFileError:
        return []
    return [asdict(preview) for preview in previews]


def _make_refusal(error: RepermitError) -> dict[str, Any]:
    if isinstance(error, ListFileError):
        place = {"line": error.line, "column": error.column, "expected": serialize(error.expected)}
        return {"refused": serialize(error.reason), **place}
    return {"refused": serialize(error.said), "line": 0, "column": 0, "expected": ""}


def _make_summary(result: ImportResult, choices: Choices) -> dict[str, Any]:
    notes = [asdict(problem) for problem in result.problems if not problem.line]
    return {
        "rows": result.rows,
        "fates": {str(fate): count for fate, count in result.fates.items()},
        "merged": result.merged,
        "thin": result.thin,
        "improved": result.improved,
        "additional": result.additional,
        "unattested": result.unattested,
        "notes": notes,
        "parts": [asdict(part) for part in result.parts],
        "choices": asdict(choices),
    }


def previews_of(outcome: Mapping[str, Any]) -> tuple[FilePreview, ...]:
    """Return the beginnings of a file's parts, from the stored result."""
    return tuple(
        FilePreview(
            name=preview["name"],
            columns=tuple(Column(**column) for column in preview["columns"]),
            samples=tuple(map(tuple, preview["samples"])),
        )
        for preview in outcome["glimpses"]
    )


def choices_of(outcome: Mapping[str, Any]) -> Choices:
    """Return the choices with which a file was previewed, from the stored result."""
    return Choices(**outcome["choices"])
