"""Whether a document whose checkpoint holds agrees with one that was kept elsewhere. Pure.

May import this room's facts.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from repermit.evidence.facts import Checkpoint


class Agreement(StrEnum):
    """How a document stands to a checkpoint; `untold` where the document does not show it."""

    SAME = "same"
    GOES_ON = "goes_on"
    UNTOLD = "untold"
    DIFFERS = "differs"


def agreement(document: Mapping[str, Any], known: Checkpoint) -> Agreement:
    """Return how a document agrees with a checkpoint that was kept elsewhere.

    The document's own checkpoint, and how that goes on from an earlier one, hold by themselves.
    """
    found, earlier = document["checkpoint"], (document.get("consistency") or {}).get("earlier", {})
    if known.seq not in {found["seq"], earlier.get("seq")}:
        return Agreement.UNTOLD
    if known.to_json() == found:
        return Agreement.SAME
    goes_on = {"seq": known.seq, "root": known.root} == earlier
    return Agreement.GOES_ON if goes_on else Agreement.DIFFERS


def shown_to_go_on(octets: bytes) -> Mapping[str, Any] | None:
    """Return what `verify --checkpoint FILE --json` printed, None if this is something else."""
    try:
        found = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    is_it = isinstance(found, dict) and "format" not in found and "consistency" in found
    return found if is_it else None
