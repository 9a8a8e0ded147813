"""The key that signs checkpoints, in the record: which one was used since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from repermit.db.connection import Database, lock_rows
from repermit.db.models.base import Meta
from repermit.db.models.evidence import Evidence, EvidenceHead
from repermit.evidence import chain, chain_reader
from repermit.evidence.entries import Entry
from repermit.evidence.signed_checkpoint import own_key
from repermit.evidence.signed_note import PublicKey
from repermit.settings.definitions import Settings

EVENT = "evidence_key"
"""Name of the entries, and of the row of `meta` that holds the key that was noted last."""


@dataclass(frozen=True)
class NotedKey:
    """A key that the record names: in which entry, and since when it signed; None: none does."""

    seq: int
    at: datetime
    key: PublicKey | None


def note_key(database: Database, settings: Settings, *, now: datetime, actor: str) -> None:
    """Append that checkpoints are signed with another key from now on, or with none any more.

    Nothing is appended while the key is the one that was noted last.
    """
    key = own_key(settings)
    told = str(key) if key else ""
    if _last_told() == told:
        return
    with database.atomic():
        # Another process may have been quicker.
        lock_rows(EvidenceHead.select()).get()
        before = _last_told()
        if before == told:
            return
        Meta.insert(key=EVENT, value=told).on_conflict(
            conflict_target=[Meta.key], preserve=[Meta.value]
        ).execute()
        said = {"key": told, "before": before}
        chain.append(Entry(event=EVENT, at=now, actor=actor, consent=said))


def _last_told() -> str:
    row: Meta | None = Meta.get_or_none(Meta.key == EVENT)
    return row.value if row else ""


def noted_keys() -> list[NotedKey]:
    """Return the keys that the record names, the oldest first."""
    if not _was_ever_noted():
        return []
    rows = Evidence.select().where(Evidence.event == EVENT).order_by(Evidence.seq)
    return [NotedKey(row.seq, row.at, _key_in(row.seq)) for row in list(rows)]


def _was_ever_noted() -> bool:
    # So that a record without any is not read to its end.
    return bool(Meta.select().where(Meta.key == EVENT).exists())


def _key_in(seq: int) -> PublicKey | None:
    told = chain_reader.entry_at(seq)["parts"].get("consent", {}).get("content", {}).get("key")
    try:
        return PublicKey.read(str(told)) if told else None
    except ValueError:
        return None


def known_keys(settings: Settings) -> list[PublicKey]:
    """Return the key that signs here, then those that the record names besides, the newest first.

    What the record names is only as good as the record is.
    """
    found = [own_key(settings), *(one.key for one in reversed(noted_keys()))]
    return list(dict.fromkeys(key for key in found if key))
