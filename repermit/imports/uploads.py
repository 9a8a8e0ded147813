"""Uploaded list files that are not imported yet; stored beside the database for a day."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from peewee import Case

from repermit.db.connection import Database, proxy
from repermit.db.detached_process import DetachedTask
from repermit.db.models.base import new_id
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.errors import ListFileError, Refused
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.i18n.lazy_text import LazyText, serialize
from repermit.imports import row_preview
from repermit.imports.classify_row import WHOLE_PART
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files, open_private_folder

MAX_SIZE = 100_000_000
"""The maximum size of a file, in bytes."""

LIFETIME = timedelta(days=1)
"""How long a file is stored if it is not imported."""

_PIECE = 1 << 20
_MAX_NAME_BYTES = 200  # bytes; file systems allow 255


_DECISIONS = ("opted_out", "asked", "corrected")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The admin's choices for importing a file, see the options of `import_file`.

    - `opted_out`: lines not to ask, and parts ("Sheet1:*").
    - `asked`: lines to ask although a remark opts them out.
    - `corrected`: lines to ask at the address that is probably meant.
    - `remarks`: "no" or "ask" for all rows with the same remark.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    source: str = ""
    customers: bool = False
    attest: str = ""
    consent_text: str = ""
    opted_out: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    corrected: tuple[str, ...] = ()
    remarks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Convert lines from JSON, where they are a list, to tuples."""
        for name in _DECISIONS:
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def decided(self) -> tuple[str, ...]:
        """Return the lines that the admin has decided on."""
        return (*self.opted_out, *self.asked, *self.corrected)

    def leaves_out(self, place: str, remark: str) -> bool:
        """Say whether the admin has decided not to ask a row, by its line or by its remark."""
        is_left_out = self.remarks.get(remark) == "no" and place not in self.asked
        part, _, _ = place.rpartition(":")
        return is_left_out or not {place, part + WHOLE_PART}.isdisjoint(self.opted_out)

    def is_covered_by(self, shown: Choices) -> bool:
        """Return whether the preview made under the other choices still allows the import.

        New decisions do; withdrawn ones need a new preview.
        """
        is_read_alike = (self.mapping, self.customers) == (shown.mapping, shown.customers)
        has_all_decisions = set(shown.decided) <= set(self.decided)
        return is_read_alike and has_all_decisions and shown.remarks.keys() <= self.remarks.keys()


@dataclass(frozen=True, kw_only=True)
class StoredUpload:
    """A stored upload: its row, its folder, and its task.

    A process that works with the file holds the task's lock. The task's result is that of the last
    reading.
    """

    upload: Upload
    folder: Path
    task: DetachedTask

    @property
    def path(self) -> Path:
        """Return the path of the file; its original name is kept, as it may say what it holds."""
        return self.folder / "file" / self.upload.name

    @property
    def rows(self) -> Path:
        """Return the path of the preview of its rows, see `row_preview`."""
        return self.folder / "rows.db"

    @property
    def choices(self) -> Choices:
        """Return the stored choices."""
        return Choices(**json.loads(self.upload.choices))

    def save_choices(self, choices: Choices) -> None:
        """Store the choices."""
        self.upload.choices = json.dumps(asdict(choices))
        self._update(choices=self.upload.choices)

    def count(self, *, rows: int | None, people: int | None) -> None:
        """Store the numbers of rows and people, in the caller's transaction; None means unknown."""
        self._update(rows=rows, people=people)

    def begin_count(self) -> None:
        """Mark the file as being counted, in the caller's transaction."""
        # A contact that is added meanwhile sets this to None, by which `end_count` notices it.
        self.count(rows=None, people=0)

    def end_count(self, *, rows: int, people: int) -> None:
        """Store what was counted since `begin_count`, in the caller's transaction.

        The number of people is stored only if no contact was added to the list since.
        """
        self._update(rows=rows, people=Case(None, ((Upload.people.is_null(), None),), people))

    def _update(self, **values: Any) -> None:
        # By the token, see `delete`.
        Upload.update(values).where(Upload.token == self.upload.token).execute()


def keep_upload(
    database: Database,
    mailing_list: MailingList,
    stream: IO[bytes],
    *,
    name: str,
    user_id: int,
    settings: Settings,
    now: datetime,
) -> StoredUpload:
    """Store an uploaded file in place of the list's earlier one.

    Its row is created first, so that a folder without a row is orphaned. Raises ListFileError for a
    file that is empty or too large, Refused while an earlier one is being imported, or if another
    one came at the same time.
    """
    for earlier in _iter_stored(mailing_list, settings):
        discard_upload(database, earlier)
    with database.atomic():
        upload = Upload.create(
            list=mailing_list, user=user_id, token=new_id(), name=plain_name(name), at=now
        )
    stored = _open_stored(upload, settings)
    try:
        stored.folder.mkdir(mode=0o700)
        # An erasure meanwhile finds that the file is in use.
        with closing(stored.task.open_lock()) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Only now, since a folder without a file and without a lock counts as broken.
            stored.path.parent.mkdir(mode=0o700)
            with make_temporary_files(settings).file_for(stored.path) as part:
                _copy(stream, part)
    except FileNotFoundError:
        delete(database, stored)
        # `discard_upload` of another request took it away before it was locked.
        raise Refused(
            "another file for this list came at the same time; "
            "look at that one first, or hand in yours again"
        ) from None
    except BaseException:
        delete(database, stored)
        raise
    return stored


def note_upload(
    database: Database, mailing_list: MailingList, event: str, *, now: datetime, actor: str
) -> None:
    """Append that a file for a list was `handed_in` or `given_up`, without the file's name."""
    entry = Entry(event=event, at=now, actor=actor, list=mailing_list.slug)
    with database.atomic():
        chain.append(entry)


def find_upload(mailing_list: MailingList, *, settings: Settings) -> StoredUpload | None:
    """Return a list's upload; None if there is none on this machine."""
    uploads = [stored for stored in _iter_stored(mailing_list, settings) if stored.path.exists()]
    return uploads[-1] if uploads else None


def drop_broken_uploads(
    database: Database, mailing_list: MailingList, *, settings: Settings
) -> None:
    """Delete a list's incomplete uploads, whose receiving process was killed."""
    for stored in _iter_stored(mailing_list, settings):
        if stored.path.exists() or not stored.path.parent.exists():
            continue
        # FileNotFoundError: another process has just deleted it.
        with suppress(FileNotFoundError):
            lock = stored.task.lock()
            if lock is not None:
                with lock:
                    # It may have been completed before its writer released the lock.
                    if not stored.path.exists():
                        delete(database, stored)


def discard_upload(database: Database, stored: StoredUpload) -> None:
    """Delete an upload and all that belongs to it; raises Refused while it is in use."""
    lock = stored.task.lock() if stored.folder.exists() else nullcontext()
    if lock is None:
        raise Refused("this file is being worked with; try again in a minute")
    with lock:
        delete(database, stored)


def sweep_uploads(database: Database, *, settings: Settings, now: datetime) -> int:
    """Delete uploads that are a day old, and orphaned folders; return how many uploads."""
    folder = get_folder(settings)
    count = 0
    for upload in list(Upload.select().where(Upload.at <= now - LIFETIME)):
        # FileNotFoundError: another sweep has just deleted it.
        with suppress(Refused, FileNotFoundError):
            discard_upload(database, _open_stored(upload, settings))
            count += 1
    tokens = {path.name for path in folder.iterdir()}
    for token in tokens - {upload.token for upload in Upload.select()}:
        shutil.rmtree(folder / token, ignore_errors=True)
    return count


def plain_name(name: str) -> str:
    """Return the last part of a file's name, so that it cannot lead out of its folder."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(character for character in last if character.isprintable()).strip(" .")
    stem, dot, ending = shown.rpartition(".")
    if dot and len(ending) <= 8:  # noqa: PLR2004  endings are short, and tell what a file is
        return f"{_cut(stem)}.{ending}"
    return _cut(shown) or "list"


def _iter_stored(mailing_list: MailingList, settings: Settings) -> Iterator[StoredUpload]:
    uploads = list(Upload.select().where(Upload.list == mailing_list).order_by(Upload.id))
    for upload in uploads:
        yield _open_stored(upload, settings)


def _open_stored(upload: Upload, settings: Settings) -> StoredUpload:
    folder = get_folder(settings) / upload.token
    task = DetachedTask(folder=folder, result_name="outcome-2.json", settings=settings)
    return StoredUpload(upload=upload, folder=folder, task=task)


def delete(database: Database, stored: StoredUpload) -> None:
    """Delete an upload and all that belongs to it, even while it is in use."""
    shutil.rmtree(stored.folder, ignore_errors=True)
    with database.atomic():
        # By the token, as SQLite gives the id of a deleted row to the next one.
        Upload.delete().where(Upload.token == stored.upload.token).execute()


def get_folder(settings: Settings) -> Path:
    """Return the private folder of all uploads; raises Refused if others can open it."""
    return open_private_folder(settings, "uploads")


def _cut(text: str) -> str:
    return text.encode(errors="ignore")[:_MAX_NAME_BYTES].decode(errors="ignore")


def _copy(stream: IO[bytes], path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > MAX_SIZE:
                raise ListFileError(
                    "the file is too large",
                    expected=LazyText("at most %(most)s MB", most=MAX_SIZE // 1_000_000),
                )
            file.write(piece)
    if not size:
        raise ListFileError("the file is empty", expected="a list with one address on a line")


# --- Erasing an address from a stored upload. -----------------------------------------------------


class UploadErasure(StrEnum):
    """What became of a list's upload when an address was erased.

    - `nothing`: there is no upload, or the address is not in it.
    - `deleted`: the upload was emptied.
    - `left`: it is in use, or on another machine, so that it is deleted within a day.
    """

    NOTHING = "nothing"
    DELETED = "deleted"
    LEFT = "left"


def forget_in_upload(
    mailing_list: MailingList, address_key: str, *, settings: Settings
) -> UploadErasure:
    """Empty a list's upload if an erased address is in it.

    An upload without a preview is emptied too, since its addresses are not known.
    """
    drop_broken_uploads(proxy.obj, mailing_list, settings=settings)
    stored = find_upload(mailing_list, settings=settings)
    if stored is None:
        is_elsewhere = Upload.select().where(Upload.list == mailing_list).exists()
        return UploadErasure.LEFT if is_elsewhere else UploadErasure.NOTHING
    lock = stored.task.lock()
    if lock is None:
        return UploadErasure.LEFT
    with closing(lock):
        if stored.rows.exists() and not row_preview.has_address(stored.rows, address_key):
            return UploadErasure.NOTHING
        _empty_upload(stored)
    return UploadErasure.DELETED


def _empty_upload(stored: StoredUpload) -> None:
    """Empty a file and store why; after a kill in between, it counts as not read yet."""
    stored.task.forget_result()
    stored.rows.unlink(missing_ok=True)
    stored.path.write_bytes(b"")
    with proxy.obj.atomic():
        stored.count(rows=0, people=0)
    stored.task.save_result({**_REFUSAL, "glimpses": []})


_REFUSAL: dict[str, Any] = {
    "refused": serialize(
        LazyText(
            "somebody whose address may be in this file was erased, and the file with it: hand "
            "it in again, and their row is left out"
        )
    ),
    "line": 0,
    "column": 0,
    "expected": "",
}
