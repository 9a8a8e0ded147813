"""What the database knows of its journal: how long it was, and a sealed digest of all its lines.

May import the tables of this room and the journal. The digest is made with a key that is kept
outside the database, so that whoever can write to the database alone cannot make it anew. Lines
that are appended later are no matter; one that is changed, cut out or cut off is.
"""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from repermit.models.database import lock_rows
from repermit.models.tables import Meta

if TYPE_CHECKING:
    from pathlib import Path

    from repermit.models.journal import Journal

_KEY = "journal:"
_DIGEST_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Seal:
    """How a journal was: `size` in octets, its `lines`, and the `digest` over them, in hex.

    `place` is the machine and file where it stood.
    """

    place: str
    size: int = 0
    lines: int = 0
    digest: str = ""


def seal_journal(journal: Journal, size: int) -> None:
    """Keep how the journal is up to so many octets, in the caller's transaction.

    A journal that is shorter than it was keeps its seal, by which `verify` finds it out.
    """
    name = _name_of(journal)
    if not name:
        return
    fresh = json.dumps(asdict(Seal(place=place_of_journal(journal.path))))
    Meta.insert(key=_KEY + name, value=fresh).on_conflict_ignore().execute()
    row = lock_rows(Meta.select().where(Meta.key == _KEY + name)).get()
    before = Seal(**json.loads(row.value))
    if size <= before.size:
        return
    sealed = _go_on(journal, before, size)
    text = json.dumps(asdict(sealed) | {"place": place_of_journal(journal.path)})
    Meta.update(value=text).where(Meta.key == _KEY + name).execute()


def forget_seals() -> None:
    """Forget how journals were, as after restoring: what is there now counts from then on."""
    Meta.delete().where(Meta.key.startswith(_KEY)).execute()


def what_is_cut(journal: Journal) -> str:
    """Return what is missing or changed in a journal since it was sealed last, "" for nothing."""
    name, place = _name_of(journal), place_of_journal(journal.path)
    for row in list(Meta.select().where(Meta.key.startswith(_KEY))):
        sealed = Seal(**json.loads(row.value))
        if row.key == _KEY + name:
            if what := _differing(journal, sealed):
                return what
        elif sealed.place == place:
            return f"it had {sealed.lines:,} lines, and does not begin as it did, or is gone"
    return ""


def place_of_journal(path: Path) -> str:
    """Return machine and file: what stands there now may have been put in its place."""
    return f"{socket.gethostname()}:{path.absolute()}"


def _differing(journal: Journal, sealed: Seal) -> str:
    found = _go_on(journal, Seal(place=sealed.place), sealed.size)
    if found.size < sealed.size:
        return f"it is shorter than when it had {sealed.lines:,} lines"
    is_same = (found.size, found.digest) == (sealed.size, sealed.digest)
    return "" if is_same else f"one of its first {sealed.lines:,} lines was changed or taken out"


def _go_on(journal: Journal, sealed: Seal, size: int) -> Seal:
    """Return what a seal becomes by the lines behind it, up to so many octets."""
    digest, lines, at = sealed.digest, sealed.lines, sealed.size
    with journal.path.open("rb") as file:
        file.seek(at)
        while at < size and (line := file.readline()):
            made = hashlib.blake2b(
                digest.encode() + line, key=journal.seal, digest_size=_DIGEST_BYTES
            )
            digest, lines, at = made.hexdigest(), lines + 1, at + len(line)
    return Seal(place=sealed.place, size=at, lines=lines, digest=digest)


def _name_of(journal: Journal) -> str:
    """Return by what a journal is known wherever it stands: how it begins.

    Returns "" for one that is not there, or has nothing behind the line that names the key.
    """
    try:
        with journal.path.open("rb") as file:
            first, second = file.readline(), file.readline()
    except OSError:
        return ""
    return hashlib.sha256(first + second).hexdigest()[:32] if second else ""
