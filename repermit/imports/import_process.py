"""Looking at a file that was handed in, and taking it in: mostly in a process of its own.

A million rows take longer than anybody waits for a page, and other pages would wait for the process
that serves them; so that process is given a Job on its standard input, and whoever asks meanwhile
is told that it works. Only a short list in plain text is read where the pages are served: what a
ZIP or a workbook comes to, its size does not tell.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import IO, Any, cast

from repermit.db.connection import Database, open_database
from repermit.db.models.lists import MailingList, find_list
from repermit.db.suppression_journal import journal_of
from repermit.db.write_lock import present
from repermit.errors import ListFileError, RepermitError
from repermit.i18n.lazy_text import packed
from repermit.imports.import_file import import_file
from repermit.imports.import_report import ImportResult
from repermit.imports.readers import container, open_file
from repermit.imports.readers.rows import Column, FilePreview
from repermit.imports.uploads import Choices, Kept, delete, find_upload
from repermit.rules.consent import Fate
from repermit.settings.definitions import Settings

LARGE = 50_000
"""Bytes of plain text from which on its work is done by a process of its own.

A thousand rows are fewer; of the slowest, one letter and no address, they are some seconds' work.
"""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done with the file of a list: to take it in, or only to look at it."""

    settings: Settings
    slug: str
    takes_in: bool
    now: datetime
    actor: str


def look_at(
    database: Database,
    mailing_list: MailingList,
    *,
    choices: Choices,
    settings: Settings,
    now: datetime,
    actor: str,
) -> bool:
    """Find out what would become of the rows of the file; see Kept.outcome for what came of it.

    Of most files that is still under way when this returns. False: it is being worked with
    already, or there is none.
    """
    job = Job(settings=settings, slug=mailing_list.slug, takes_in=False, now=now, actor=actor)
    return _begin(database, mailing_list, job, choices)


def take_in(
    database: Database,
    mailing_list: MailingList,
    *,
    choices: Choices,
    settings: Settings,
    now: datetime,
    actor: str,
) -> bool:
    """Take the file in, and delete it once it is staged; as `look_at` otherwise."""
    job = Job(settings=settings, slug=mailing_list.slug, takes_in=True, now=now, actor=actor)
    return _begin(database, mailing_list, job, choices)


def _begin(database: Database, mailing_list: MailingList, job: Job, choices: Choices) -> bool:
    kept = find_upload(mailing_list, settings=job.settings)
    lock = None if kept is None else kept.lock()
    if kept is None or lock is None:
        return False
    with closing(lock):
        kept.forget_outcome()
        with database.atomic():
            kept.choose(choices)
        if kept.path.stat().st_size < LARGE and not container.is_packed(kept.path):
            _do(database, mailing_list, job, kept)
        else:
            _start_apart(job, lock)
    return True


def _do(database: Database, mailing_list: MailingList, job: Job, kept: Kept) -> None:
    with database.atomic():
        kept.begin_count()
    try:
        result = import_file(
            database,
            mailing_list,
            kept.path,
            settings=job.settings,
            now=job.now,
            actor=job.actor,
            dry_run=not job.takes_in,
            rows_to=None if job.takes_in else kept.rows,
            staged=lambda: delete(database, kept),
            **vars(kept.choices),
        )
    except RepermitError as error:
        if not kept.path.exists():
            # It was taken back while it was taken in; that is told where the files are.
            return
        with database.atomic():
            kept.count(rows=None, people=None)
        kept.note({**_refusal(error), "glimpses": _glimpses(kept)})
    else:
        if job.takes_in:
            return
        # A row whose address is none may name somebody all the same.
        people = result.strangers + result.fates[Fate.INVALID]
        with database.atomic():
            kept.end_count(rows=result.rows, people=people)
        kept.note({**_summary(result, kept.choices), "glimpses": _glimpses(kept)})


def _glimpses(kept: Kept) -> list[dict[str, Any]]:
    """Return how the file begins, since opening a large one anew for each page takes long."""
    try:
        found = open_file.preview_file(kept.path, mapping=kept.choices.mapping)
    except ListFileError:
        return []
    return [asdict(one) for one in found]


def _refusal(error: RepermitError) -> dict[str, Any]:
    if isinstance(error, ListFileError):
        place = {"line": error.line, "column": error.column, "expected": packed(error.expected)}
        return {"refused": packed(error.reason), **place}
    return {"refused": packed(error.said), "line": 0, "column": 0, "expected": ""}


def _summary(result: ImportResult, choices: Choices) -> dict[str, Any]:
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


_SERVE = f"import sys; from {__name__} import serve; serve(sys.stdin.buffer)"


def _start_apart(job: Job, lock: IO[bytes]) -> None:
    # The lock belongs to the open file, which the other process has too: it is held until that
    # ends, however it ends.
    process = subprocess.Popen(  # noqa: S603  our own
        [sys.executable, "-P", "-c", _SERVE], stdin=subprocess.PIPE, pass_fds=(lock.fileno(),)
    )
    threading.Thread(target=process.communicate, args=(pickle.dumps(job),), daemon=True).start()


def serve(source: IO[bytes]) -> None:
    """Do the one job that comes from `source`."""
    job: Job = pickle.load(source)  # noqa: S301  written by the process that started us
    journal = journal_of(job.settings)
    with (
        present(job.settings.sqlite_path),
        open_database(job.settings.database, journal=journal) as database,
    ):
        mailing_list = find_list(job.slug)
        kept = cast("Kept", find_upload(mailing_list, settings=job.settings))
        try:
            _do(database, mailing_list, job, kept)
        except Exception as error:  # noqa: BLE001  whatever it was, it is told without its text
            _tell(error)


def _tell(error: Exception) -> None:
    """Write where it went wrong to stderr, without the message, which may quote an address."""
    lines = traceback.format_tb(error.__traceback__)
    sys.stderr.write(f"{''.join(lines)}{type(error).__name__}\n")


def previews_of(outcome: Mapping[str, Any]) -> tuple[FilePreview, ...]:
    """Return how a file begins, from its outcome."""
    return tuple(
        FilePreview(
            name=one["name"],
            columns=tuple(Column(**column) for column in one["columns"]),
            rows=tuple(map(tuple, one["rows"])),
        )
        for one in outcome["glimpses"]
    )


def choices_of(outcome: Mapping[str, Any]) -> Choices:
    """Return the choices with which a file was looked at, from its outcome."""
    return Choices(**outcome["choices"])
