"""The key that signs checkpoints, in the record: which one was used since when."""

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
"""Name of the entries, and of the row of `meta` that holds the key that was noted last."""


def note_key(database: Database, settings: Settings, *, now: datetime, actor: str) -> None:
    """Append that checkpoints are signed with another key from now on, or with none any more.

    Nothing is appended while the key is the one that was noted last.
    """
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


def noted_keys() -> list[PublicKey | None]:
    """Return the keys that the record names, the oldest first; None where none signed any more."""
    # So that a record without any is not read to its end.
    if Meta.read(EVENT) is None:
        return []
    rows = Evidence.select().where(Evidence.event == EVENT).order_by(Evidence.seq)
    return [_key_in(row.seq) for row in list(rows)]


def _key_in(seq: int) -> PublicKey | None:
    told = chain_reader.read_entry(seq)["parts"].get("consent", {}).get("content", {}).get("key")
    try:
        return PublicKey.read(str(told)) if told else None
    except ValueError:
        return None


def known_keys(settings: Settings) -> list[PublicKey]:
    """Return the key that signs here, then those that the record names besides, the newest first.

    What the record names is only as good as the record is.
    """
    found = [get_public_key(settings), *reversed(noted_keys())]
    return list(dict.fromkeys(key for key in found if key))
