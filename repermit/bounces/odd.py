"""Bounces that follow no standard: whom they name, through flufl.bounce, and what is said of them.

May import mailer through `judging`. Only for what a mail server itself has sent.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from flufl.bounce import all_failures

from repermit.bounces.bounce_text import judge_text, mildest, without_copy
from repermit.bounces.facts import Kind, Verdict
from repermit.bounces.judging import Judgement, has_code, judge
from repermit.bounces.parsing import header, parse, text_of, text_without_parts, texts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from email.message import Message

# It writes what it stumbles over into the log, addresses among it.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


# What stands below is the copy; and flufl.bounce goes through it once for each of its patterns,
# some of which take a time that grows with the square of a line's length.
_SCANNED = 32_000
_LONGEST_LINE = 2000


def read_odd(message: Message, raw: bytes) -> Verdict:
    """Return what a mail server's own words say; soft where it only says that it failed."""
    said = without_copy("\n\n".join(texts(message)) or text_without_parts(message))
    temporary, permanent = _named(parse(raw[:_SCANNED]))
    if permanent and not temporary:
        names = _told_of(sorted(one.decode("utf-8", "replace") for one in permanent), said)
        found = mildest(_judge_about(name, said) for name in names)
        return Verdict(found.kind, found.status, names)
    has_failed = UNDELIVERED.search(header(message, "Subject"))
    if has_code(said) or (has_failed and not temporary):
        found = judge_text(said, address="") or Judgement(Kind.SOFT, "")
        return Verdict(Kind.SOFT) if temporary else Verdict(found.kind, found.status)
    return Verdict(Kind.SOFT if temporary or has_failed else Kind.NOTHING)


def _told_of(names: Sequence[str], said: str) -> tuple[str, ...]:
    """Return the names that stand in a server's own text, or all if only a header has them."""
    told = tuple(name for name in names if name.lower() in said.lower())
    return told or tuple(names)


def _judge_about(address: str, said: str) -> Judgement:
    return judge_text(said, address=address) or judge("")


def _named(beginning: Message) -> tuple[Collection[bytes], Collection[bytes]]:
    """Return the addresses that are named as failing for now and for good."""
    try:
        return ((), ()) if _has_long_lines(beginning) else all_failures(beginning)
    except Exception:  # noqa: BLE001  it stumbles over a mail without a sender, for instance
        return (), ()


def _has_long_lines(message: Message) -> bool:
    texts_in_it = (part for part in message.walk() if part.get_content_maintype() == "text")
    lines = (f"{part.get_payload()}\n{text_of(part)}".split("\n") for part in texts_in_it)
    return any(len(line) > _LONGEST_LINE for some in lines for line in some)


UNDELIVERED = re.compile(
    r"^(undeliver|returned mail|mail delivery|delivery (status|fail|delay|incomplete)|"
    r"failure notice|warning: (could not|message)|mail (delivery )?(failed|failure|system error)|"
    r"message (delayed|undeliver|not delivered)|delayed mail|nondeliverable|"
    r"(automatisch )?onbestelbaar|niet bezorgd|unzustellbar|nicht zustellbar|"
    r"zustellung|non remis|non distribu|échec)",
    re.IGNORECASE,
)
"""What stands at the beginning of the subject of a bounce."""
