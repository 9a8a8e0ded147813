"""What the database knows of its journal: how long it was, and a sealed digest of all its lines.

The digest is made with a key that is kept outside the database, so that whoever can write to the
database alone cannot make it anew. Lines that are appended later are no matter; one that is
changed, cut out or cut off is.
"""

from __future__ import annotations

import hashlib
import json
import socket
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from repermit.db.connection import lock_rows
from repermit.db.models.base import Meta
from repermit.db.suppression_journal import Journal

JOURNAL_SEALED_SINCE = "journal_sealed_since"
"""The fact under which an upgraded database keeps after which entry all journals are sealed."""

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


def seal_journal(journal: Journal, size: int, *, most: int | None = None) -> bool:
    """Keep how the journal is up to so many octets, in the caller's transaction.

    A journal that is shorter than it was keeps its seal, by which `verify` finds it out.

    - `most`: lines that are read at most; returns whether there may be more.
    """
    name = _name_of(journal)
    if not name:
        return False
    own = Meta.select().where(Meta.key == _KEY + name)
    row = lock_rows(own).first()
    if row is None:
        fresh = json.dumps(asdict(Seal(place=place_of_journal(journal.path))))
        Meta.insert(key=_KEY + name, value=fresh).on_conflict_ignore().execute()
        row = lock_rows(own).get()
    before = Seal(**json.loads(row.value))
    if size <= before.size:
        return False
    sealed = _go_on(journal, before, size, most=most)
    text = json.dumps(asdict(sealed) | {"place": place_of_journal(journal.path)})
    Meta.update(value=text).where(Meta.key == _KEY + name).execute()
    return sealed.lines - before.lines == most


def forget_seals() -> None:
    """Forget how journals were, as after restoring: what is there now counts from then on."""
    Meta.delete().where(Meta.key.startswith(_KEY)).execute()


def is_the_only_one(journal: Journal) -> bool:
    """Say whether the database has sealed this journal, and no other."""
    sealed = [row.key for row in Meta.select(Meta.key).where(Meta.key.startswith(_KEY))]
    return sealed == [_KEY + _name_of(journal)]


def what_is_cut(journal: Journal, *, noted: int) -> str:
    """Return what is missing or changed in a journal since it was sealed last, "" for nothing.

    `noted` is how many suppressions and launches all journals of the database have at the least.
    """
    name, place = _name_of(journal), place_of_journal(journal.path)
    lines = 0
    for row in list(Meta.select().where(Meta.key.startswith(_KEY))):
        try:
            sealed = Seal(**json.loads(row.value))
        except (TypeError, ValueError):
            return "what the database keeps of it was changed"
        if row.key == _KEY + name:
            if what := _differing(journal, sealed):
                return what
            lines += _count_noted(journal, sealed.size)
        elif sealed.place == place:
            return f"it had {sealed.lines:,} lines, and does not begin as it did, or is gone"
        else:
            lines += sealed.lines
    if lines < noted:
        return f"{noted:,} suppressions and launches were noted, and {lines:,} are known"
    return ""


def _count_noted(journal: Journal, size: int) -> int:
    """Count the suppressions and launches in a journal up to so many octets."""
    found = at = 0
    with journal.path.open("rb") as file:
        while at < size and (line := file.readline()):
            found += line.startswith(_NOTED)
            at += len(line)
    return found


_NOTED = (b'{"do":"suppress"', b'{"do":"launch"')


def place_of_journal(path: Path) -> str:
    """Return machine and file: what stands there now may have been put in its place."""
    return f"{socket.gethostname()}:{path.absolute()}"


def _differing(journal: Journal, sealed: Seal) -> str:
    found = _go_on(journal, Seal(place=sealed.place), sealed.size)
    if found.size < sealed.size:
        return f"it is shorter than when it had {sealed.lines:,} lines"
    is_same = (found.size, found.digest) == (sealed.size, sealed.digest)
    return "" if is_same else f"one of its first {sealed.lines:,} lines was changed or taken out"


def _go_on(journal: Journal, sealed: Seal, size: int, *, most: int | None = None) -> Seal:
    """Return what a seal becomes by the lines behind it, up to so many octets and lines."""
    digest, lines, at = sealed.digest, sealed.lines, sealed.size
    with journal.path.open("rb") as file:
        file.seek(at)
        for line in islice(file, most):
            if at >= size:
                break
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
