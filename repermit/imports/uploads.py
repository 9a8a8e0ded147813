"""Files that were handed in and wait to be taken in: privately, beside the database, for a day."""

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
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files, open_private_folder

LARGEST = 100_000_000
"""How many bytes a file may have."""

LIFETIME = timedelta(days=1)
"""How long a file stays if nobody takes it in."""

_PIECE = 1 << 20
_LONGEST_NAME = 200  # bytes; file systems allow 255


_DECISIONS = ("opted_out", "asked", "corrected")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a file is to be read and taken in; as the options of `import_file`.

    `opted_out` are the lines that the admin has decided not to ask, `asked` those to ask all the
    same, `corrected` those to ask at the address that is probably meant; `remarks` says "no" or
    "ask" of all rows with the same remark.
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
        """Take the lines as they come from a document, in which they are a list."""
        for name in _DECISIONS:
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def decided(self) -> tuple[str, ...]:
        """Return the lines that the admin has decided on."""
        return (*self.opted_out, *self.asked, *self.corrected)

    def leaves_out(self, place: str, said: str) -> bool:
        """Say whether the admin has decided not to ask a row, by its line or by its remark."""
        is_left_out = self.remarks.get(said) == "no" and place not in self.asked
        return place in self.opted_out or is_left_out

    def reads_as(self, other: Choices) -> bool:
        """Say whether what was shown under the other choices is enough to take the file in.

        A row that is decided on since needs no second look, one that no longer is does.
        """
        is_read_alike = (self.mapping, self.customers) == (other.mapping, other.customers)
        is_decided = set(other.decided) <= set(self.decided)
        return is_read_alike and is_decided and other.remarks.keys() <= self.remarks.keys()


@dataclass(frozen=True, kw_only=True)
class StoredUpload:
    """A file that is kept: its row, the folder in which all that belongs to it stands, its task.

    Whoever works with the file holds the task's lock; its result is what came of the last look.
    """

    upload: Upload
    folder: Path
    task: DetachedTask

    @property
    def path(self) -> Path:
        """Return where the file is; its name is the one it came with, which tells what it holds."""
        return self.folder / "file" / self.upload.name

    @property
    def rows(self) -> Path:
        """Return where what would become of each row stands, see `row_preview`."""
        return self.folder / "rows.db"

    @property
    def choices(self) -> Choices:
        """Return how the file is to be read."""
        return Choices(**json.loads(self.upload.choices))

    def choose(self, choices: Choices) -> None:
        """Keep how the file is to be read."""
        self.upload.choices = json.dumps(asdict(choices))
        self.upload.save(only=[Upload.choices])

    def count(self, *, rows: int | None, people: int | None) -> None:
        """Keep how much stands in the file, inside the caller's transaction; None: not known."""
        Upload.update(rows=rows, people=people).where(Upload.id == self.upload.id).execute()

    def begin_count(self) -> None:
        """Note that it is being counted, inside the caller's transaction."""
        # Whoever comes onto the list meanwhile has this forgotten, by which it is noticed.
        self.count(rows=None, people=0)

    def end_count(self, *, rows: int, people: int) -> None:
        """Keep what was counted since `begin_count`, inside the caller's transaction.

        Of how many people it is, only if nobody has come onto the list since.
        """
        Upload.update(
            rows=rows, people=Case(None, ((Upload.people.is_null(), None),), people)
        ).where(Upload.id == self.upload.id).execute()


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
    """Keep a file that is handed in, in place of the list's earlier one.

    Its row comes first, so that a folder without one belongs to nobody. Raises ListFileError for
    one that is empty or too large, Refused if an earlier one is being taken in.
    """
    for earlier in _kept_of(mailing_list, settings):
        discard_upload(database, earlier)
    with database.atomic():
        upload = Upload.create(
            list=mailing_list, user=user_id, token=new_id(), name=plain_name(name), at=now
        )
    kept = _kept(upload, settings)
    try:
        kept.folder.mkdir(mode=0o700)
        # Whoever erases somebody meanwhile learns that it is being worked with.
        with closing(kept.task.open_lock()) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Only now, since a folder without a file and without a lock is taken for broken.
            kept.path.parent.mkdir(mode=0o700)
            with make_temporary_files(settings).file_for(kept.path) as part:
                _copy(stream, part)
    except BaseException:
        delete(database, kept)
        raise
    return kept


def note_upload(
    database: Database, mailing_list: MailingList, event: str, *, now: datetime, actor: str
) -> None:
    """Append that a file for a list was `handed_in` or `given_up`; what it is called stays out."""
    entry = Entry(event=event, at=now, actor=actor, list=mailing_list.slug)
    with database.atomic():
        chain.append(entry)


def find_upload(mailing_list: MailingList, *, settings: Settings) -> StoredUpload | None:
    """Return the file that waits to be taken in, or None if there is none on this machine."""
    found = [kept for kept in _kept_of(mailing_list, settings) if kept.path.exists()]
    return found[-1] if found else None


def drop_broken_uploads(
    database: Database, mailing_list: MailingList, *, settings: Settings
) -> None:
    """Forget the files of a list that never came whole: the process that took them was killed."""
    for kept in _kept_of(mailing_list, settings):
        if kept.path.exists() or not kept.path.parent.exists():
            continue
        # FileNotFoundError: somebody else has just deleted it.
        with suppress(FileNotFoundError):
            lock = kept.task.lock()
            if lock is not None:
                with lock:
                    # It may have come whole before its writer let go of the lock.
                    if not kept.path.exists():
                        delete(database, kept)


def discard_upload(database: Database, kept: StoredUpload) -> None:
    """Delete a file and all that belongs to it; raises Refused while it is being worked with."""
    lock = kept.task.lock() if kept.folder.exists() else nullcontext()
    if lock is None:
        raise Refused("this file is being worked with; try again in a minute")
    with lock:
        delete(database, kept)


def sweep_uploads(database: Database, *, settings: Settings, now: datetime) -> int:
    """Delete the files that are a day old, and what belongs to none; return how many rows went."""
    folder = get_folder(settings)
    gone = 0
    for upload in list(Upload.select().where(Upload.at <= now - LIFETIME)):
        # FileNotFoundError: another sweep has just deleted it.
        with suppress(Refused, FileNotFoundError):
            discard_upload(database, _kept(upload, settings))
            gone += 1
    tokens = {path.name for path in folder.iterdir()}
    for token in tokens - {upload.token for upload in Upload.select()}:
        shutil.rmtree(folder / token, ignore_errors=True)
    return gone


def plain_name(name: str) -> str:
    """Return the last part of a file's name, without what could lead out of its folder."""
    last = name.replace("\\", "/").rpartition("/")[2]
    shown = "".join(sign for sign in last if sign.isprintable()).strip(" .")
    stem, dot, ending = shown.rpartition(".")
    if dot and len(ending) <= 8:  # noqa: PLR2004  endings are short, and tell what a file is
        return f"{_cut(stem)}.{ending}"
    return _cut(shown) or "list"


def _kept_of(mailing_list: MailingList, settings: Settings) -> Iterator[StoredUpload]:
    uploads = list(Upload.select().where(Upload.list == mailing_list).order_by(Upload.id))
    for upload in uploads:
        yield _kept(upload, settings)


def _kept(upload: Upload, settings: Settings) -> StoredUpload:
    folder = get_folder(settings) / upload.token
    task = DetachedTask(folder=folder, result_name="outcome-2.json", settings=settings)
    return StoredUpload(upload=upload, folder=folder, task=task)


def delete(database: Database, kept: StoredUpload) -> None:
    """Delete a file and all that belongs to it, whoever works with it."""
    shutil.rmtree(kept.folder, ignore_errors=True)
    with database.atomic():
        Upload.delete().where(Upload.id == kept.upload.id).execute()


def get_folder(settings: Settings) -> Path:
    """Return the folder of all files: ours alone to open. Raises Refused if it is not."""
    return open_private_folder(settings, "uploads")


def _cut(text: str) -> str:
    return text.encode(errors="ignore")[:_LONGEST_NAME].decode(errors="ignore")


def _copy(stream: IO[bytes], path: Path) -> None:
    size = 0
    with path.open("wb") as file:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if size > LARGEST:
                raise ListFileError(
                    "the file is too large",
                    expected=LazyText("at most %(most)s MB", most=LARGEST // 1_000_000),
                )
            file.write(piece)
    if not size:
        raise ListFileError("the file is empty", expected="a list with one address on a line")


# --- Erasing an address from a file that was handed in and waits to be taken in. ------------------


class UploadErasure(StrEnum):
    """What became of a file that waited for a list, as an address was erased there.

    `nothing`: there is none, or the address is not in it; `deleted`; `left`: somebody works with
    it in this moment, or it is on another machine, so that it goes within a day.
    """

    NOTHING = "nothing"
    DELETED = "deleted"
    LEFT = "left"


def forget_in_upload(
    mailing_list: MailingList, address_key: str, *, settings: Settings
) -> UploadErasure:
    """Delete the file that waits for a list if an address that was erased is in it.

    Of a file whose rows nobody has looked at yet this cannot be known, so that it goes too.
    """
    drop_broken_uploads(proxy.obj, mailing_list, settings=settings)
    kept = find_upload(mailing_list, settings=settings)
    if kept is None:
        is_elsewhere = Upload.select().where(Upload.list == mailing_list).exists()
        return UploadErasure.LEFT if is_elsewhere else UploadErasure.NOTHING
    lock = kept.task.lock()
    if lock is None:
        return UploadErasure.LEFT
    with closing(lock):
        if kept.rows.exists() and not row_preview.has_address(kept.rows, address_key):
            return UploadErasure.NOTHING
        _empty(kept)
    return UploadErasure.DELETED


def _empty(kept: StoredUpload) -> None:
    """Leave nothing of a file but why; killed in between, it is one that was not looked at."""
    kept.task.forget_result()
    kept.rows.unlink(missing_ok=True)
    kept.path.write_bytes(b"")
    with proxy.obj.atomic():
        kept.count(rows=0, people=0)
    kept.task.save_result({**_REFUSAL, "glimpses": []})


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
