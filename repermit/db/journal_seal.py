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

_KEY_PREFIX = "journal:"
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
    name = _identify_journal(journal)
    if not name:
        return False
    meta_rows = Meta.select().where(Meta.key == _KEY_PREFIX + name)
    row = lock_rows(meta_rows).first()
    if row is None:
        fresh = json.dumps(asdict(Seal(place=describe_place(journal.path))))
        Meta.insert(key=_KEY_PREFIX + name, value=fresh).on_conflict_ignore().execute()
        row = lock_rows(meta_rows).get()
    old_seal = Seal(**json.loads(row.value))
    if size <= old_seal.size:
        return False
    new_seal = _extend_seal(journal, old_seal, size, most=most)
    text = json.dumps(asdict(new_seal) | {"place": describe_place(journal.path)})
    Meta.update(value=text).where(Meta.key == _KEY_PREFIX + name).execute()
    return new_seal.lines - old_seal.lines == most


def delete_seals() -> None:
    """Forget how journals were, as after restoring: what is there now counts from then on."""
    Meta.delete().where(Meta.key.startswith(_KEY_PREFIX)).execute()


def is_only_sealed_journal(journal: Journal) -> bool:
    """Say whether the database has sealed this journal, and no other."""
    sealed = [row.key for row in Meta.select(Meta.key).where(Meta.key.startswith(_KEY_PREFIX))]
    return sealed == [_KEY_PREFIX + _identify_journal(journal)]


def find_journal_damage(journal: Journal, *, noted: int) -> str:
    """Return what is missing or changed in a journal since it was sealed last, "" for nothing.

    `noted` is how many suppressions and launches all journals of the database have at the least.
    """
    name, place = _identify_journal(journal), describe_place(journal.path)
    lines = 0
    for row in list(Meta.select().where(Meta.key.startswith(_KEY_PREFIX))):
        try:
            seal = Seal(**json.loads(row.value))
        except (TypeError, ValueError):
            return "what the database keeps of it was changed"
        if row.key == _KEY_PREFIX + name:
            if damage := _compare_with_seal(journal, seal):
                return damage
            lines += _count_noted_lines(journal, seal.size)
        elif seal.place == place:
            return f"it had {seal.lines:,} lines, and does not begin as it did, or is gone"
        else:
            lines += seal.lines
    if lines < noted:
        return f"{noted:,} suppressions and launches were noted, and {lines:,} are known"
    return ""


def _count_noted_lines(journal: Journal, size: int) -> int:
    """Count the suppressions and launches in a journal up to so many octets."""
    count = offset = 0
    with journal.path.open("rb") as file:
        while offset < size and (line := file.readline()):
            count += line.startswith(_NOTED_LINES)
            offset += len(line)
    return count


_NOTED_LINES = (b'{"do":"suppress"', b'{"do":"launch"')


def describe_place(path: Path) -> str:
    """Return machine and file: what stands there now may have been put in its place."""
    return f"{socket.gethostname()}:{path.absolute()}"


def _compare_with_seal(journal: Journal, seal: Seal) -> str:
    actual = _extend_seal(journal, Seal(place=seal.place), seal.size)
    if actual.size < seal.size:
        return f"it is shorter than when it had {seal.lines:,} lines"
    is_same = (actual.size, actual.digest) == (seal.size, seal.digest)
    return "" if is_same else f"one of its first {seal.lines:,} lines was changed or taken out"


def _extend_seal(journal: Journal, seal: Seal, size: int, *, most: int | None = None) -> Seal:
    """Return what a seal becomes by the lines behind it, up to so many octets and lines."""
    digest, lines, offset = seal.digest, seal.lines, seal.size
    with journal.path.open("rb") as file:
        file.seek(offset)
        for line in islice(file, most):
            if offset >= size:
                break
            line_digest = hashlib.blake2b(
                digest.encode() + line, key=journal.seal, digest_size=_DIGEST_BYTES
            )
            digest, lines, offset = line_digest.hexdigest(), lines + 1, offset + len(line)
    return Seal(place=seal.place, size=offset, lines=lines, digest=digest)


def _identify_journal(journal: Journal) -> str:
    """Return by what a journal is known wherever it stands: how it begins.

    Returns "" for one that is not there, or has nothing behind the line that names the key.
    """
    try:
        with journal.path.open("rb") as file:
            first, second = file.readline(), file.readline()
    except OSError:
        return ""
    return hashlib.sha256(first + second).hexdigest()[:32] if second else ""
