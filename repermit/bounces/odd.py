"""Bounces that follow no standard: whom they name, through flufl.bounce, and what is said of them.

May import mailer through `judging`. Only for what a mail server itself has sent.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from flufl.bounce import all_failures

from repermit.bounces.facts import Kind, Verdict
from repermit.bounces.judging import has_code, judge
from repermit.bounces.parsing import header, parse, text_of, texts

if TYPE_CHECKING:
    from collections.abc import Collection
    from email.message import Message

# It writes what it stumbles over into the log, addresses among it.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


# What stands below is the copy; and flufl.bounce goes through it once for each of its patterns,
# some of which take a time that grows with the square of a line's length.
_SCANNED = 32_000
_LONGEST_LINE = 2000


def read_odd(message: Message, raw: bytes) -> Verdict:
    """Return what a mail server's own words say; soft where it only says that it failed."""
    said = without_copy("\n\n".join(texts(message)))
    temporary, permanent = _named(parse(raw[:_SCANNED]))
    if permanent and not temporary:
        names = tuple(sorted(one.decode("utf-8", "replace") for one in permanent))
        found = [judge(_about(name, said)) for name in names]
        return Verdict(*next((one for one in found if one[0] is Kind.SOFT), found[0]), names)
    if has_code(said):
        return Verdict(Kind.SOFT) if temporary else Verdict(*judge(said))
    has_failed = temporary or UNDELIVERED.search(header(message, "Subject"))
    return Verdict(Kind.SOFT if has_failed else Kind.NOTHING)


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


def without_copy(text: str) -> str:
    """Return a bounce's text up to the copy of the mail that it is about."""
    return _COPY.split(text, maxsplit=1)[0]


_COPY = re.compile(
    r"^(?:-+ ?(?:this is a copy|below (?:this|the next) line|the header of the original|"
    r"(?:start of )?(?:original|returned) message|forwarded message|transcript ends)"
    r"|.*original message (?:follows|headers?)|message headers? follow|"
    r"return-path: |received: (?:from|by) )",
    re.IGNORECASE | re.MULTILINE,
)


def _about(address: str, text: str) -> str:
    """Return what is said about an address: the last paragraph that names it and the one below.

    Around them mail servers write about "your message" and "the sender", which says nothing.
    """
    paragraphs = re.split(r"\n[ \t]*\n", text)
    named = [n for n, one in enumerate(paragraphs) if address.lower() in one.lower()]
    return "\n".join(paragraphs[named[-1] : named[-1] + 2]) if named else ""
