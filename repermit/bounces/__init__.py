"""Bounces, complaints and replies: reading what comes back, and what follows from it.

May import contacts and what lies below. Reading is pure; `take` and `poll` are the use cases.
"""

from repermit.bounces.facts import Effect, Kind, Reading, Taken, Traces
from repermit.bounces.parsing import LONGEST
from repermit.bounces.polling import poll
from repermit.bounces.reading import read
from repermit.bounces.taking import take
from repermit.bounces.trying import log_in

__all__ = [
    "LONGEST",
    "Effect",
    "Kind",
    "Reading",
    "Taken",
    "Traces",
    "log_in",
    "poll",
    "read",
    "take",
]
