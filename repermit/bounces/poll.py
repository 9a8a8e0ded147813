"""Polling the mailbox of the settings, and saving how far it has been read.

Several processes may poll at once, as a message may be recorded twice. When the admin decides on a
reply, its sender and first line are read again from the mailbox, and not stored here: only the
mailbox's owner can erase from it.
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
from repermit.smtp.oauth import get_token_source

if TYPE_CHECKING:
    from repermit.bounces.bounce_results import BounceResult, MessageKind
    from repermit.clock import Clock
    from repermit.db.connection import Database
    from repermit.settings.definitions import Bounces, Settings


PAUSE_AFTER_FAILURE = timedelta(minutes=30)
"""The minimum wait after a poll that failed."""


# --- A trial login. -------------------------------------------------------------------------------


def log_in(account: Bounces, *, now: datetime, seconds: float) -> None:
    """Try to log in to a mailbox; nothing is read or changed.

    - `seconds`: the time limit for each answer of the server.
    - Raises TransportError, in our words, and ConfigError.
    """

    def token(refused: str) -> str:
        return get_token_source(account).get_token(now, refused=refused)

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
    """Record the messages that arrived since the last poll, at most MAX_MESSAGES.

    - Returns how many were about our mails, by kind.
    - Raises TransportError for a fault of the server, and ConfigError.
    - The position is saved even if the poll breaks off. After a kill the poll starts again, and
      recording a message twice changes nothing.
    """
    counts: Counter[MessageKind] = Counter()
    account = settings.bounces

    def record_one(raw: bytes) -> BounceResult:
        result = record_message(
            database, message_reader.read(raw), settings=settings, now=clock.now()
        )
        counts.update([result.kind] if result.list else [])
        return result

    def token(refused: str) -> str:
        return get_token_source(account).get_token(clock.now(), refused=refused)

    key = _make_key(account)
    with MessageReader() as message_reader:
        if account.protocol == "imap":
            with _save_at_end(database, key) as last_position:
                read_imap(
                    account,
                    position=ImapPosition(*json.loads(Meta.read(key) or "[]")),
                    now=clock.now(),
                    token=token,
                    record_message=record_one,
                    save=lambda position: last_position.append(list(astuple(position))),
                    should_stop=should_stop,
                )
        if account.protocol == "pop3":
            known_messages = _read_known_messages(key)
            read_pop3(
                account,
                known_messages=known_messages,
                token=token,
                record_message=record_one,
                save=partial(_save_known_messages, database, key, known_messages),
                should_stop=should_stop,
            )
    return counts


@contextmanager
def _save_at_end(database: Database, key: str) -> Iterator[deque[list[Any]]]:
    """Save the last value that the block appends, even if the block raises."""
    last_position: deque[list[Any]] = deque(maxlen=1)
    try:
        yield last_position
    finally:
        if last_position:
            with database.atomic():
                Meta.write(key, json.dumps(last_position[0]))


def _read_known_messages(mailbox: str) -> set[str]:
    """Return the names of the known messages of a POP3 mailbox."""
    names: Any = SeenMessage.select(SeenMessage.name).where(SeenMessage.mailbox == mailbox)
    return {name for (name,) in names.tuples()}


def _save_known_messages(
    database: Database, mailbox: str, earlier: Collection[str], current: Collection[str]
) -> None:
    """Save the names of the known messages in steps: only the changes since `earlier`."""
    added, removed = list({*current} - {*earlier}), list({*earlier} - {*current})

    def step(limit: int) -> bool:
        SeenMessage.insert_names(mailbox, added[:limit])
        SeenMessage.delete().where(
            SeenMessage.mailbox == mailbox, SeenMessage.name.in_(make_value_list(removed[:limit]))
        ).execute()
        del added[:limit], removed[:limit]
        return bool(added or removed)

    if added or removed:
        run_steps(database, step)


def _make_key(account: Bounces) -> str:
    """Return the key of a mailbox in `meta`, which does not reveal the user's name."""
    account_name = f"{account.protocol}\0{account.server}\0{account.username}\0{account.mailbox}"
    return f"mailbox:{hashlib.sha256(account_name.encode()).hexdigest()[:16]}"


# --- Reading the sender and the first line of a reply again; they are not stored. -----------------


# A server's days start at its own midnight, at most a day from ours.
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class ReplyExcerpt:
    """The sender of a reply ("" if it names none or several), and its first own line."""

    sender: str
    line: str = field(repr=False)


def can_read(account: Bounces) -> bool:
    """Return whether single messages can be searched in this mailbox; POP3 has no search."""
    return account.protocol == "imap"


def read_excerpts(
    account: Bounces, arrival_by_digest: Mapping[str, datetime], *, now: datetime, seconds: float
) -> Mapping[str, ReplyExcerpt]:
    """Return the excerpts of replies by digest, as far as they are found.

    - `arrival_by_digest`: the wanted replies, with their time of arrival.
    - `seconds`: the time limit for each answer of the server.
    - Nothing is marked as read.
    - Raises TransportError, in our words, and ConfigError.
    """
    if not arrival_by_digest:
        return {}
    messages = fetch_messages(
        account,
        since=(min(arrival_by_digest.values()) - _ONE_DAY).date(),
        is_wanted=lambda head: make_digest(parse(head), head) in arrival_by_digest,
        token=lambda refused: get_token_source(account).get_token(now, refused=refused),
        seconds=seconds,
    )
    excerpts = {}
    with LimitedProcess(yield_excerpt, memory=MEMORY, seconds=SECONDS) as process:
        for raw in messages:
            try:
                ((digest, excerpt),) = process.ask(raw[:MAX_SIZE])
            except ProcessDied:
                continue
            excerpts[digest] = excerpt
    return excerpts


def yield_excerpt(raw: bytes) -> Iterator[tuple[str, ReplyExcerpt]]:
    """Yield the digest and the excerpt of one message; runs in the process with limits."""
    message = parse(raw)
    senders = read_addresses(message, "From")
    sender = senders[0] if len(senders) == 1 else ""
    yield make_digest(message, raw), ReplyExcerpt(sender=sender, line=read_first_line(message))
