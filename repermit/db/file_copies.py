"""Sealed copies of the files that were taken in, where the admin wants them: beside the database.

Each is encrypted under a key of its own, which stands in the database alone, and goes in the
transaction of any erasure on its list: the file may hold the address. What is then left on the disk
nobody can read, and the next sweep deletes it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.fernet import Fernet, InvalidToken

from repermit.clock import years_before
from repermit.db.connection import Database, is_postgresql, run_sql
from repermit.db.models.base import new_id
from repermit.db.models.imports import FileCopy, Import
from repermit.db.models.lists import MailingList
from repermit.db.secure_delete import request_wiping
from repermit.db.temporary_files import find_folder, make_private_folder, make_temporary_files
from repermit.errors import NotFound, Refused
from repermit.settings.definitions import Settings
from repermit.settings.sealed_secrets import Seal, make_file_copy_name

_KIND = "files"
_PIECE = 1_000_000
_LONGEST_LINE = 2 * _PIECE


@contextmanager
def seal_file(path: Path, digest: str, *, settings: Settings) -> Iterator[dict[str, str]]:
    """Write the sealed copy of a file, and yield what its row has, but for the import.

    The copy gets its name as the block ends. Raises Refused if the file is not of this SHA-256.
    """
    token, key, found = new_id(), Fernet.generate_key(), hashlib.sha256()
    folder = find_folder(settings, _KIND)
    make_private_folder(folder, for_root_too=bool(settings.sqlite_path or settings.journal))
    with make_temporary_files(settings).file_for(folder / token) as part:
        with path.open("rb") as file, part.open("wb") as sealed:
            while piece := file.read(_PIECE):
                found.update(piece)
                sealed.write(Fernet(key).encrypt(piece) + b"\n")
            sealed.flush()
            os.fsync(sealed.fileno())
        if found.hexdigest() != digest:
            raise Refused("the file was changed while it was read; nothing was taken in: try again")
        seal = Seal(settings.secret_keys)
        yield {"token": token, "key": seal.close(make_file_copy_name(token), key.decode())}


def write_file_copy(
    mailing_list: MailingList, digest: str, out: BinaryIO, *, settings: Settings
) -> Import:
    """Write a file that was taken into a list, by its SHA-256; return the newest such import.

    Raises NotFound for a file that was never taken in, and Refused where its copy is gone, is not
    on this machine, cannot be opened, or was altered; some of it may have been written then.
    """
    own = (Import.list == mailing_list, Import.digest == digest)
    if not Import.select().where(*own).exists():
        raise NotFound("no file of this SHA-256 was taken into %(list)s", list=mailing_list.slug)
    newest = FileCopy.select().join(Import).where(*own).order_by(Import.id.desc())
    copy: FileCopy | None = newest.first()
    if copy is None:
        raise Refused(
            "no sealed copy of this file is kept: one is made only with `keep_files`, and not if "
            "somebody in the file is not to be asked; it goes once anybody is erased on %(list)s, "
            "the file is taken back, `keep_files` is turned off, or `evidence_years` are over",
            list=mailing_list.slug,
        )
    key = Seal(settings.secret_keys).open(make_file_copy_name(copy.token), copy.key)
    if key is None:
        raise Refused(
            "the sealed copy of this file cannot be opened: its key in `secret_keys` is gone"
        )
    try:
        sealed = (find_folder(settings, _KIND) / copy.token).open("rb")
    except OSError as error:
        raise Refused(
            "the sealed copy of this file cannot be read here (%(why)s): it is on the machine that "
            "took the file in, and no backup of the database has it",
            why=str(error.strerror),
        ) from None
    found = hashlib.sha256()
    with sealed, suppress(InvalidToken):
        for line in iter(partial(sealed.readline, _LONGEST_LINE), b""):
            piece = Fernet(key).decrypt(line)
            found.update(piece)
            out.write(piece)
    if found.hexdigest() != digest:
        raise Refused("the sealed copy was altered: it is not the file of this SHA-256")
    record: Import = copy.record
    return record


def delete_file_copies(*conditions: Any) -> None:
    """Delete the copies of these imports, in the caller's transaction, so that none can be read."""
    imports = Import.select(Import.id).where(*conditions)
    if FileCopy.delete().where(FileCopy.record.in_(imports)).execute():
        request_wiping()


def sweep_file_copies(database: Database, *, settings: Settings, now: datetime) -> None:
    """Delete the copies whose time is over, and the files on this machine that no row names.

    The time of all is over once none are wanted.
    """
    years = settings.retention.evidence_years
    is_due = Import.at <= (years_before(now, years) if settings.evidence.keep_files else now)
    if FileCopy.select().join(Import).where(is_due).exists():
        with database.atomic():
            delete_file_copies(is_due)
    # A file that came later is not looked at, since its row may not be committed yet.
    paths = {path.name: path for path in find_folder(settings, _KIND).glob("[!.]*")}
    if not paths.keys() - _list_tokens():
        return
    with database.atomic():
        if is_postgresql(database):
            # Waits for those who have given a file its name: they hold its list till they commit.
            run_sql(database, "SELECT id FROM mailing_list FOR KEY SHARE").fetchall()
        for token in paths.keys() - _list_tokens():
            paths[token].unlink(missing_ok=True)


def _list_tokens() -> set[str]:
    rows: Any = FileCopy.select(FileCopy.token).tuples()
    return {token for (token,) in rows}
