"""Looking into the mailbox of the settings, and remembering how far it has been read.

Two may look at once: a message may be taken twice.
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

from repermit.bounces.imap import Place, read_imap, try_imap
from repermit.bounces.mailbox import MessageReader
from repermit.bounces.pop3 import read_pop3, try_pop3
from repermit.bounces.record_bounce import take
from repermit.db.models.base import Meta
from repermit.smtp.oauth import token_source

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import Kind, Taken
    from repermit.clock import Clock
    from repermit.db.connection import Database
    from repermit.settings.definitions import Bounces, Settings

# --- Whether the mailbox of the settings can be read, tried without reading it. -------------------


def log_in(account: Bounces, *, now: datetime, seconds: float) -> None:
    """Log in to a mailbox and leave it as it is; each answer may take so many seconds.

    Raises TransportError in words of ours, and ConfigError.
    """

    def token(refused: str) -> str:
        return token_source(account).token(now, refused=refused)

    attempt = try_imap if account.protocol == "imap" else try_pop3
    attempt(account, token=token, seconds=seconds)


# --- Looking into the mailbox of the settings, and remembering how far it has been read. ----------


_FIRST_LOOK = timedelta(days=90)


def poll(
    database: Database,
    *,
    settings: Settings,
    clock: Clock,
    should_stop: Callable[[], bool] = lambda: False,
) -> Mapping[Kind, int]:
    """Take what has come into the mailbox since the last look, some hundred messages at most.

    Returns how many were about our mails, by kind. Raises TransportError for a fault of the
    server, and ConfigError. How far it has read is noted also of a look that was cut off; one that
    died begins anew, and `take` does nothing twice.
    """
    ours: Counter[Kind] = Counter()
    account = settings.bounces

    def take_one(raw: bytes) -> Taken:
        taken = take(database, raw, settings=settings, now=clock.now(), read=reader.read)
        ours.update([taken.kind] if taken.list else [])
        return taken

    def token(refused: str) -> str:
        return token_source(account).token(clock.now(), refused=refused)

    key = _key(account)
    memory = json.loads(Meta.read(key) or "[]")
    with _kept(database, key) as kept, MessageReader() as reader:
        if account.protocol == "imap":
            read_imap(
                account,
                place=Place(*memory),
                since=(clock.now() - _FIRST_LOOK).date(),
                token=token,
                take=take_one,
                keep=lambda place: kept.append(list(astuple(place))),
                should_stop=should_stop,
            )
        if account.protocol == "pop3":
            read_pop3(
                account,
                known=set(memory),
                token=token,
                take=take_one,
                keep=lambda known: kept.append(sorted(known)),
                should_stop=should_stop,
            )
    return ours


@contextmanager
def _kept(database: Database, key: str) -> Iterator[deque[list[Any]]]:
    """Remember the last that is put in, whatever the block ends with."""
    kept: deque[list[Any]] = deque(maxlen=1)
    try:
        yield kept
    finally:
        if kept:
            with database.atomic():
                Meta.write(key, json.dumps(kept[0]))


def _key(account: Bounces) -> str:
    """Return what a mailbox is remembered under, without its user's name."""
    named = f"{account.protocol}\0{account.server}\0{account.username}\0{account.mailbox}"
    return f"mailbox:{hashlib.sha256(named.encode()).hexdigest()[:16]}"
