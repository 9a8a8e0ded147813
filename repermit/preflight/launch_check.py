"""What of a check stands in the way of launching one list.

May import this room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit.preflight.checking import check
from repermit.preflight.facts import Verdict

if TYPE_CHECKING:
    from repermit.config import Settings
    from repermit.preflight.facts import Finding


def find_problems(settings: Settings, slug: str, **options: Any) -> tuple[Finding, ...]:
    """Run a check, and return what is wrong with it for a launch of the list `slug`.

    `options` are those of `check`. What is wrong with another list stands in nobody's way.
    """
    found = check(settings, **options).findings
    return tuple(
        one
        for one in found
        if one.verdict is Verdict.PROBLEM and one.values.get("list", slug) == slug
    )
