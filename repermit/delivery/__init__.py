"""Sending what is owed, one durable step after the other (DESIGN §7).

May import contacts and what lies below. A mail goes queued → claimed → started → sent, failed or
in doubt; every step is a conditional UPDATE, and its row count says whether it was ours to make.
"""

from repermit.delivery.claiming import count_due
from repermit.delivery.doubts import (
    Resolving,
    being_resolved,
    count_in_doubt,
    finish_resolutions,
    resolve,
)
from repermit.delivery.faults import Fault, last_fault
from repermit.delivery.policies import put_off_by_policy
from repermit.delivery.recovery import Recovered, recover
from repermit.delivery.rounds import look_after
from repermit.delivery.sending import Progress, SendResult, send_due
from repermit.delivery.stopping import Stopping
from repermit.delivery.worker import Worker, is_alive

__all__ = [
    "Fault",
    "Progress",
    "Recovered",
    "Resolving",
    "SendResult",
    "Stopping",
    "Worker",
    "being_resolved",
    "count_due",
    "count_in_doubt",
    "finish_resolutions",
    "is_alive",
    "last_fault",
    "look_after",
    "put_off_by_policy",
    "recover",
    "resolve",
    "send_due",
]
