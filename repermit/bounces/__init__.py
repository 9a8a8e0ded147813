"""Bounces, complaints and replies: reading what comes back, and what follows from it.

May import contacts and what lies below. Reading is pure; `take` and `poll` are the use cases.

Each is imported when it is first used, so that the process that reads messages starts in a fraction
of a second: it needs three modules and no database.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repermit.bounces.facts import Effect, Kind, Reading, Taken, Traces
    from repermit.bounces.message_reader import MessageReader
    from repermit.bounces.parsing import LONGEST
    from repermit.bounces.polling import poll
    from repermit.bounces.reading import read
    from repermit.bounces.taking import take
    from repermit.bounces.trying import log_in

__all__ = [
    "LONGEST",
    "Effect",
    "Kind",
    "MessageReader",
    "Reading",
    "Taken",
    "Traces",
    "log_in",
    "poll",
    "read",
    "take",
]

# PEP 562: by name, the module in which it stands.
_HOMES = {
    "Effect": "facts",
    "Kind": "facts",
    "LONGEST": "parsing",
    "MessageReader": "message_reader",
    "Reading": "facts",
    "Taken": "facts",
    "Traces": "facts",
    "log_in": "trying",
    "poll": "polling",
    "read": "reading",
    "take": "taking",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
