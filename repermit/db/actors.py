"""Who gives commands, as records name them.

By the number of their login on this machine, as users of the pages are by theirs: a proof goes to
whom it is about, and holds no other person's name (GDPR art. 15(4); CJEU C-579/21 §83).
"""

from __future__ import annotations

import pwd

_KIND = "cli:"


def actor_of_login(uid: int) -> str:
    """Return how records name whoever has this login."""
    return f"{_KIND}{uid}"


def login_name(actor: str) -> str:
    """Return what this machine calls whoever acted: the number where it knows no name for it.

    In some containers it knows none; records of another machine, or older ones, may have a name.
    """
    number = actor.removeprefix(_KIND)
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (ValueError, KeyError, OverflowError):
        return number
