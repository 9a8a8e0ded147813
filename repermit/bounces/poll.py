"""Polling the mailbox of the settings, and saving how far it has been read.

Two may poll at once: a message may be recorded twice. For the admin to decide on a reply, who wrote
it and its first line are read again: its mailbox can be erased from by its owner alone.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from repermit.bounces.imap import ImapPosition, fetch_messages, read_imap, try_imap
from repermit.bounces.message_kind import MEMORY, SECONDS, MessageReader, make_digest
from repermit.bounces.message_parts import MAX_SIZE, parse, read_addresses
from repermit.bounces.pop3 import read_pop3, try_pop3
from repermit.bounces.record_bounce import record_message
from repermit.bounces.reply_text import read_first_line
from repermit.db.connection import make_value_list
from repermit.db.models.base import Meta
from repermit.db.models.mails import SeenMessage
from repermit.db.work_steps import run_steps
from repermit.limited_process import LimitedProcess, ProcessDied
from repermit.smtp.oauth import token_source

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import BounceResult, MessageKind
    from repermit.clock import Clock
    from repermit.db.connection import Database
    from repermit.settings.definitions import Bounces, Settings


REST_AFTER_FAILURE = timedelta(minutes=30)
"""How long a mailbox is left alone at least once it could not be read."""


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
    with MessageReader() as reader:
        if account.protocol == "imap":
            with _save_at_end(database, key) as kept:
                read_imap(
                    account,
                    position=ImapPosition(*json.loads(Meta.read(key) or "[]")),
                    now=clock.now(),
                    token=token,
                    record_message=take_one,
                    save=lambda position: kept.append(list(astuple(position))),
                    should_stop=should_stop,
                )
        if account.protocol == "pop3":
            known = _read_known(key)
            read_pop3(
                account,
                known=known,
                token=token,
                record_message=take_one,
                save=partial(_save_known, database, key, known),
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


def _read_known(mailbox: str) -> set[str]:
    """Return which messages of a mailbox by POP3 are known."""
    names: Any = SeenMessage.select(SeenMessage.name).where(SeenMessage.mailbox == mailbox)
    return {name for (name,) in names.tuples()}


def _save_known(
    database: Database, mailbox: str, before: Collection[str], now: Collection[str]
) -> None:
    """Save which messages are known `now`, in steps: what was not so `before` alone."""
    added, gone = list({*now} - {*before}), list({*before} - {*now})

    def step(limit: int) -> bool:
        SeenMessage.insert_names(mailbox, added[:limit])
        SeenMessage.delete().where(
            SeenMessage.mailbox == mailbox, SeenMessage.name.in_(make_value_list(gone[:limit]))
        ).execute()
        del added[:limit], gone[:limit]
        return bool(added or gone)

    if added or gone:
        run_steps(database, step)


def _key(account: Bounces) -> str:
    """Return what a mailbox is known by, without its user's name."""
    named = f"{account.protocol}\0{account.server}\0{account.username}\0{account.mailbox}"
    return f"mailbox:{hashlib.sha256(named.encode()).hexdigest()[:16]}"


# --- Reading again who wrote a reply, and its first line; nothing of it is kept. ------------------


# Where servers count days from is theirs: midnight at most a day from ours.
_A_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class ReplyExcerpt:
    """Who wrote a reply, "" if it names several or nobody, and the first line of their own."""

    sender: str
    line: str = field(repr=False)


def can_read(account: Bounces) -> bool:
    """Say whether single messages can be found in this mailbox: POP3 has no search."""
    return account.protocol == "imap"


def read_excerpts(
    account: Bounces, wanted: Mapping[str, datetime], *, now: datetime, seconds: float
) -> Mapping[str, ReplyExcerpt]:
    """Return excerpts of the replies of these digests, which arrived then, as far as found.

    Each answer of the server may take so many seconds. Nothing is marked as read. Raises
    TransportError in words of ours, and ConfigError.
    """
    if not wanted:
        return {}
    found = fetch_messages(
        account,
        since=(min(wanted.values()) - _A_DAY).date(),
        is_wanted=lambda head: make_digest(parse(head), head) in wanted,
        token=lambda refused: token_source(account).token(now, refused=refused),
        seconds=seconds,
    )
    excerpts = {}
    with LimitedProcess(yield_excerpt, memory=MEMORY, seconds=SECONDS) as process:
        for raw in found:
            try:
                ((digest, excerpt),) = process.ask(raw[:MAX_SIZE])
            except ProcessDied:
                continue
            excerpts[digest] = excerpt
    return excerpts


def yield_excerpt(raw: bytes) -> Iterator[tuple[str, ReplyExcerpt]]:
    """Yield the digest and the excerpt of one message; for a process under limits."""
    message = parse(raw)
    senders = read_addresses(message, "From")
    sender = senders[0] if len(senders) == 1 else ""
    yield make_digest(message, raw), ReplyExcerpt(sender=sender, line=read_first_line(message))
