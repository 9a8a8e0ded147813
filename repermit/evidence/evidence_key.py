"""The entries of the record that say which key signs checkpoints since when."""

from __future__ import annotations

from datetime import datetime

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence, EvidenceHead
from repermit.evidence import chain, chain_reader
from repermit.evidence.entries import Entry
from repermit.evidence.signed_checkpoint import get_public_key
from repermit.evidence.signed_note import PublicKey
from repermit.settings.definitions import Settings

EVENT = "evidence_key"
"""The event of these entries, and the key of `meta` for the public key recorded last."""


def note_key(database: Database, settings: Settings, *, now: datetime, actor: str) -> None:
    """Append an entry if checkpoints are signed with another key from now on, or with none."""
    key = str(get_public_key(settings) or "")
    if (Meta.read(EVENT) or "") == key:
        return
    with database.atomic():
        # Another process may have been quicker.
        lock_rows(EvidenceHead.select()).get()
        before = Meta.read(EVENT) or ""
        if before == key:
            return
        Meta.write(EVENT, key)
        consent = {"key": key, "before": before}
        chain.append(Entry(event=EVENT, at=now, actor=actor, consent=consent))


def read_recorded_keys() -> list[PublicKey | None]:
    """Return the keys that the record names, the oldest first; None where signing ended."""
    # Saves reading the whole record if it names no key.
    if Meta.read(EVENT) is None:
        return []
    # The index on subjects leads to the entries without a person, which are few.
    rows = Evidence.select(Evidence.seq).where(Evidence.subject == "", Evidence.event == EVENT)
    return [_read_key(seq) for seq in sorted(row.seq for row in rows)]


def _read_key(seq: int) -> PublicKey | None:
    text = chain_reader.read_entry(seq)["parts"].get("consent", {}).get("content", {}).get("key")
    try:
        return PublicKey.read(str(text)) if text else None
    except ValueError:
        return None


def list_known_keys(settings: Settings) -> list[PublicKey]:
    """Return the key in the settings, then the other keys that the record names, newest first.

    The latter are only as trustworthy as the record.
    """
    keys = [get_public_key(settings), *reversed(read_recorded_keys())]
    return list(dict.fromkeys(key for key in keys if key))
