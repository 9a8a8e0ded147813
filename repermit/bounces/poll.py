"""Polling the mailbox of the settings, and saving how far it has been read.

Two may poll at once: a message may be recorded twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from repermit.bounces.imap import ImapPosition, read_imap, try_imap
from repermit.bounces.interpret_message import MessageReader
from repermit.bounces.pop3 import read_pop3, try_pop3
from repermit.bounces.record_bounce import record_message
from repermit.db.models.base import Meta
from repermit.smtp.oauth import token_source

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import BounceResult, MessageKind
    from repermit.clock import Clock
    from repermit.db.connection import Database
    from repermit.settings.definitions import Bounces, Settings

# --- A trial login. -------------------------------------------------------------------------------


def log_in(account: Bounces, *, now: datetime, seconds: float) -> None:
    """Log in to a mailbox and leave it as it is; each answer may take so many seconds.

    Raises TransportError in words of ours, and ConfigError.
    """

    def token(refused: str) -> str:
        return token_source(account).token(now, refused=refused)

    attempt = try_imap if account.protocol == "imap" else try_pop3
    attempt(account, token=token, seconds=seconds)


# --- Polling. -------------------------------------------------------------------------------------


_FIRST_LOOK = timedelta(days=90)


def poll(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> Mapping[MessageKind, int]:
    """Record what has come into the mailbox since the last poll, some hundred messages at most.

    Returns how many were about our mails, by kind. Raises TransportError for a fault of the
    server, and ConfigError. How far it has read is noted also of a look that was cut off; one that
    died begins anew, and `record_message` does nothing twice.
    """
    ours: Counter[MessageKind] = Counter()
    account = settings.bounces

    def take_one(raw: bytes) -> BounceResult:
        taken = record_message(database, reader.read(raw), settings=settings, now=clock.now())
        ours.update([taken.kind] if taken.list else [])
        return taken

    def token(refused: str) -> str:
        return token_source(account).token(clock.now(), refused=refused)

    key = _key(account)
    memory = json.loads(Meta.read(key) or "[]")
    with _save_at_end(database, key) as kept, MessageReader() as reader:
        if account.protocol == "imap":
            read_imap(
                account,
                position=ImapPosition(*memory),
                since=(clock.now() - _FIRST_LOOK).date(),
                token=token,
                record_message=take_one,
                save=lambda position: kept.append(list(astuple(position))),
                should_stop=should_stop,
            )
        if account.protocol == "pop3":
            read_pop3(
                account,
                known=set(memory),
                token=token,
                record_message=take_one,
                save=lambda known: kept.append(sorted(known)),
                should_stop=should_stop,
            )
    return ours


@contextmanager
def _save_at_end(database: Database, key: str) -> Iterator[deque[list[Any]]]:
    """Save the last value that is appended, whatever the block ends with."""
    kept: deque[list[Any]] = deque(maxlen=1)
    try:
        yield kept
    finally:
        if kept:
            with database.atomic():
                Meta.write(key, json.dumps(kept[0]))


def _key(account: Bounces) -> str:
    """Return the key in Meta of a mailbox, without its user's name."""
    named = f"{account.protocol}\0{account.server}\0{account.username}\0{account.mailbox}"
    return f"mailbox:{hashlib.sha256(named.encode()).hexdigest()[:16]}"
