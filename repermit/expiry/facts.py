"""What the sweep gives back, as a plain value.

May import nothing of repermit.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Expired:
    """What a sweep did, or would do.

    `removed` were asked in time and did not answer; `unasked` could not be asked in time and
    stay unconfirmed; `waiting` has a sentence for each campaign that waits for the admin.
    """

    removed: int = 0
    unasked: int = 0
    waiting: tuple[str, ...] = ()

    def to_json(self) -> dict[str, int]:
        """Return what `expire --json` prints."""
        return {"removed": self.removed, "unasked": self.unasked}
