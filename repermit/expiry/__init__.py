"""The end of a campaign: who did not answer by the deadline is taken off, in short steps.

May import contacts and what lies below.
"""

from repermit.expiry.facts import Expired
from repermit.expiry.prospects import Silent, Upcoming, silent, upcoming
from repermit.expiry.sweeping import count_silence, expire_due, would_expire
from repermit.expiry.uptime import beat, downtime, skip

__all__ = [
    "Expired",
    "Silent",
    "Upcoming",
    "beat",
    "count_silence",
    "downtime",
    "expire_due",
    "silent",
    "skip",
    "upcoming",
    "would_expire",
]
