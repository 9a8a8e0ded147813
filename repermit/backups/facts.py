"""What a backup and a restoring come to, as plain values. Imports evidence's facts alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from repermit.consent import Reason
    from repermit.evidence import Checkpoint


@dataclass(frozen=True, kw_only=True)
class BackedUp:
    """A copy that was made and looked at: its size in octets, and the newest entry in it."""

    path: Path
    size: int
    checkpoint: Checkpoint


@dataclass(frozen=True, kw_only=True)
class MovedAway:
    """Who has a new address since the backup, which nothing here tells: the one it has, by list."""

    list: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What the journals brought to a restored database.

    `removed` are those that were on a list and have left since, by the reason that was noted;
    `moved` those that are off it under an address that they have corrected since; `suppressed`
    those of whom nothing but their suppression was lacking; `erased` whose data were deleted again.
    `remade` are the lists that the backup does not know, and `unreadable` counts lines that were
    cut off.
    """

    removed: Mapping[Reason, int]
    moved: tuple[MovedAway, ...]
    suppressed: int
    erased: int
    remade: tuple[str, ...]
    unreadable: int


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a restored database does not do by itself.

    `paused` are the lists whose campaign was live, `in_doubt` the mails of which it does not know
    whether they were sent since, `reminders` the lists whose reminders may have been, `launched`
    those on which a campaign was launched, or may have been, of which it knows nothing.
    """

    paused: tuple[str, ...]
    in_doubt: int
    reminders: tuple[str, ...]
    launched: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A database that was put back.

    `made_at` is when its backup was made, None for a copy that says nothing of it; `checkpoint` the
    newest entry that it came with; `aside` where the database is that stood in its place.
    """

    made_at: datetime | None
    checkpoint: Checkpoint
    replayed: Replayed
    held: Held
    aside: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        replayed, held = self.replayed, self.held
        return {
            "made_at": self.made_at.isoformat() if self.made_at else None,
            "checkpoint": self.checkpoint.to_json(),
            "removed": {str(reason): count for reason, count in replayed.removed.items()},
            "moved": [vars(one) for one in replayed.moved],
            "suppressed": replayed.suppressed,
            "erased": replayed.erased,
            "remade": list(replayed.remade),
            "unreadable": replayed.unreadable,
            "paused": list(held.paused),
            "in_doubt": held.in_doubt,
            "reminders": list(held.reminders),
            "launched": list(held.launched),
            "aside": str(self.aside) if self.aside else None,
        }
