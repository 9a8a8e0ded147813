"""Finding the status (RFC 3463) in a mail server's words, and the one that decides.

Imports nothing of repermit.
"""

from __future__ import annotations

import re

# RFC 3463 §3.2, RFC 7505, and Exchange's 5.1.10 (no such recipient) and 5.1.351 (another server
# says so).
NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.1.351"})
"""The statuses of a mailbox or domain that is not there."""

# Not an address of the network (5.1.1.4), and not a program's version (4.94.2).
_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")

# These say no more than that it failed, and Postfix gives 5.4.4 for a domain that does not exist.
_VAGUE = re.compile(r"5\.[013456]\.0|5\.4\.4")


def find_status(text: str) -> str:
    """Return the first status in a text, "" if there is none."""
    found = _STATUS.search(text)
    return found[1] if found else ""


def is_vague(status: str) -> bool:
    """Say whether a status says no more than that it failed."""
    return bool(_VAGUE.fullmatch(status))


def deciding_status(words: str) -> str:
    """Return the status that decides in a server's words, "" if there is none.

    Where one server quotes another's, what is not "no such mailbox" counts.
    """
    found = [one for one in _STATUS.findall(words) if not is_vague(one)]
    others = [one for one in found if one not in NO_SUCH_MAILBOX]
    return next(iter(others or found), "") or find_status(words)


def quoted_reply(words: str) -> str:
    """Return the reply of another server that a server quotes behind a sentence of its own.

    So do IronPort and Amazon SES, and so does Exchange Online, whose sentence is kept where the
    other gave no status.
    """
    found = _BEHIND_SENTENCE.search(words)
    if found:
        return found[1]
    _, arrow, reply = words.partition("-> ")
    return reply if arrow and find_status(reply) else words


_BEHIND_SENTENCE = re.compile(r"[245]\.\d{1,3}\.\d{1,3} - [A-Za-z ]{3,60}?[(' ]{1,4}([45]\d\d\b.*)")
