"""Sending what is owed, one durable step after the other (DESIGN §7).

May import contacts and what lies below. A mail goes queued → claimed → started → sent, failed or
in doubt; every step is a conditional UPDATE, and its row count says whether it was ours to make.
"""

from repermit.delivery.doubts import resolve
from repermit.delivery.recovery import Recovered, recover
from repermit.delivery.sending import Progress, Sender, SendResult, send_due
from repermit.delivery.worker import Worker, is_alive

__all__ = [
    "Progress",
    "Recovered",
    "SendResult",
    "Sender",
    "Worker",
    "is_alive",
    "recover",
    "resolve",
    "send_due",
]
