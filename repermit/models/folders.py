"""Folders beside the database for what is not of the database, ours alone to open.

May import config and errors.
"""

from __future__ import annotations

import hmac
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from repermit.errors import Refused

if TYPE_CHECKING:
    from repermit.config import Settings


def place_of(settings: Settings, kind: str) -> Path:
    """Return where the folder of a kind is, or would be: on this machine."""
    sqlite = settings.sqlite_path
    if sqlite is not None:
        return sqlite.with_name(f"{sqlite.name}.{kind}")
    # Two installations on one machine have two; the database's address holds a password, so
    # that it stands here under a key.
    name = hmac.digest(settings.fingerprint_key, settings.database.encode(), "sha256").hex()
    return Path(tempfile.gettempdir()) / f"repermit-{name[:16]}.{kind}"


def private_folder(settings: Settings, kind: str) -> Path:
    """Return the folder of a kind, made if need be; raises Refused if others may open it."""
    folder = place_of(settings, kind)
    make_private(folder)
    return folder


def make_private(folder: Path, *, for_root_too: bool = False) -> None:
    """Make a folder if need be; raises Refused if others may open it.

    `for_root_too`: a command given by root may use the one of the server's user, and makes one that
    this user can use later. Only where nobody else could have made it before.
    """
    is_root = for_root_too and os.geteuid() == 0
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if is_root:
            above = folder.parent.stat()
            os.chown(folder, above.st_uid, above.st_gid)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and (is_root or found.st_uid == os.geteuid())
    if not is_ours or found.st_mode & 0o077:
        raise Refused(
            "%(folder)s must be a folder that only this server's user may open", folder=str(folder)
        )
