"""Reading again who wrote a reply, and its first line: in the mailbox, for the admin to decide.

Nothing of it is kept: a mailbox can be erased from by its owner alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from repermit.bounces.imap import fetch_messages
from repermit.bounces.interpret_message import MEMORY, SECONDS, make_digest
from repermit.bounces.parse import MAX_SIZE, parse, read_addresses
from repermit.bounces.reply_text import read_first_line
from repermit.limited_process import LimitedProcess, ProcessDied
from repermit.smtp.oauth import token_source

if TYPE_CHECKING:
    from repermit.settings.definitions import Bounces

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
