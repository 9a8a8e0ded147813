"""Seals of the journal: its length and a keyed digest of its lines, stored in the database.

The key is outside the database, so a person who can write only to the database cannot forge a seal.
Lines may be appended later; a line that is changed, removed or cut off is detected.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from repermit.db.connection import lock_rows
from repermit.db.models.base import Meta
from repermit.db.suppression_journal import Journal
from repermit.errors import Refused

JOURNAL_SEALED_SINCE = "journal_sealed_since"
"""The key in `meta` with the entry after which all journals of an upgraded database are sealed."""

_KEY_PREFIX = "journal:"
_DIGEST_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Seal:
    """The state of a journal when it was sealed.

    - `place`: its machine and file.
    - `size`: in octets; `lines`: how many; `digest`: of all of them, in hex.
    """

    place: str
    size: int = 0
    lines: int = 0
    digest: str = ""


def seal_journal(journal: Journal, size: int, *, max_lines: int | None = None) -> bool:
    """Seal the journal up to `size` octets, in the caller's transaction.

    A journal that has become shorter keeps its seal, so that `verify` detects it.

    - `max_lines`: how many new lines to read.
    - Returns whether there may be more new lines.
    """
    name = _identify_journal(journal)
    if not name:
        return False
    meta_rows = Meta.select().where(Meta.key == _KEY_PREFIX + name)
    row = lock_rows(meta_rows).first()
    if row is None:
        empty_seal = json.dumps(asdict(Seal(place=describe_place(journal.path))))
        Meta.insert(key=_KEY_PREFIX + name, value=empty_seal).on_conflict_ignore().execute()
        row = lock_rows(meta_rows).get()
    old_seal = Seal(**json.loads(row.value))
    if size <= old_seal.size:
        return False
    new_seal = _extend_seal(journal, old_seal, size, max_lines=max_lines)
    text = json.dumps(asdict(new_seal) | {"place": describe_place(journal.path)})
    Meta.update(value=text).where(Meta.key == _KEY_PREFIX + name).execute()
    return new_seal.lines - old_seal.lines == max_lines


def delete_seals() -> None:
    """Delete all seals, as after a restore: the next commit seals the journal as it is then."""
    Meta.delete().where(Meta.key.startswith(_KEY_PREFIX)).execute()


def is_only_sealed_journal(journal: Journal) -> bool:
    """Say whether this journal is the only one that the database has sealed."""
    sealed = [row.key for row in Meta.select(Meta.key).where(Meta.key.startswith(_KEY_PREFIX))]
    return sealed == [_KEY_PREFIX + _identify_journal(journal)]


def find_journal_damage(journal: Journal, *, noted: int) -> str:
    """Return what is missing or changed in a journal since its last seal, "" for nothing.

    - `noted`: how many suppressions and launches all journals of the database must have.
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


def is_journal_cut(journal: Journal) -> bool:
    """Say whether a journal is gone, shorter than when it was sealed, or another one.

    Reads only its first lines, so that it takes no time; `find_journal_damage` reads all. Of a file
    that this user may not read nothing is said.
    """
    if journal.path.exists() and not os.access(journal.path, os.R_OK):
        return False
    name, place = _identify_journal(journal), describe_place(journal.path)
    for row in list(Meta.select().where(Meta.key.startswith(_KEY_PREFIX))):
        try:
            seal = Seal(**json.loads(row.value))
        except (TypeError, ValueError):
            return True
        if journal.size() < seal.size if row.key == _KEY_PREFIX + name else seal.place == place:
            return True
    return False


def _count_noted_lines(journal: Journal, size: int) -> int:
    """Count the suppressions and launches in the first `size` octets of a journal."""
    count = offset = 0
    with journal.path.open("rb") as file:
        while offset < size and (line := file.readline()):
            count += line.startswith(_NOTED_LINES)
            offset += len(line)
    return count


_NOTED_LINES = (b'{"do":"suppress"', b'{"do":"launch"')


def require_nothing_noted(journal: Journal | None) -> None:
    """Refuse to begin with an empty database beside a journal that notes who left or was asked.

    Such a database was lost, or its disk is not mounted: people would be asked again.
    """
    if journal is None or not is_anything_noted(journal):
        return
    raise Refused(
        "there is no database, or an empty one, but %(journal)s tells of people who left or were "
        "asked: is its disk mounted, and `database` in config.toml right?",
        cli=" Put a backup back (`repermit restore FILE`). If there is none, or the database is "
        "new on purpose, give `repermit restore --already-there`: so the new one knows who left "
        "and which lists were asked. After a mere trial, delete the journal.",
        journal=str(journal.path),
    )


def is_anything_noted(journal: Journal) -> bool:
    """Say whether a journal tells of people who left or of lists that were asked."""
    if not journal.path.exists():
        return False
    with journal.path.open("rb") as file:
        return any(line.startswith(_NOTED_LINES) for line in file)


def describe_place(path: Path) -> str:
    """Return the machine and file of a journal; another journal may have replaced it there."""
    return f"{socket.gethostname()}:{path.absolute()}"


def _compare_with_seal(journal: Journal, seal: Seal) -> str:
    actual = _extend_seal(journal, Seal(place=seal.place), seal.size)
    if actual.size < seal.size:
        return f"it is shorter than when it had {seal.lines:,} lines"
    is_same = (actual.size, actual.digest) == (seal.size, seal.digest)
    return "" if is_same else f"one of its first {seal.lines:,} lines was changed or taken out"


def _extend_seal(journal: Journal, seal: Seal, size: int, *, max_lines: int | None = None) -> Seal:
    """Return a seal extended by the lines after it, up to `size` octets or `max_lines` lines."""
    digest, lines, offset = seal.digest, seal.lines, seal.size
    with journal.path.open("rb") as file:
        file.seek(offset)
        for line in islice(file, max_lines):
            if offset >= size:
                break
            line_digest = hashlib.blake2b(
                digest.encode() + line, key=journal.seal, digest_size=_DIGEST_BYTES
            )
            digest, lines, offset = line_digest.hexdigest(), lines + 1, offset + len(line)
    return Seal(place=seal.place, size=offset, lines=lines, digest=digest)


def _identify_journal(journal: Journal) -> str:
    """Return the identity of a journal, a digest of its first two lines.

    Returns "" if the file is missing, or has no line after the one that names the key.
    """
    try:
        with journal.path.open("rb") as file:
            first, second = file.readline(), file.readline()
    except OSError:
        return ""
    return hashlib.sha256(first + second).hexdigest()[:32] if second else ""
