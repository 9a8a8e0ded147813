"""Whether words and numbers say that there is no such mailbox or domain.

May import mailer, whose judgement of a server's replies this is.
"""

from __future__ import annotations

import re

from repermit.bounces.facts import Kind
from repermit.mailer.replies import refusal

# Not an address of the network (5.1.1.4), and not a program's version (4.94.2).
_STATUS = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")
_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ \-:#]|$)")

# These say no more than that it failed, and Postfix gives 5.4.4 for a domain that does not exist.
_VAGUE = re.compile(r"5\.[013456]\.0|5\.4\.4")

_FAILED = 550
_LONGEST = 4000


def find_status(text: str) -> str:
    """Return the first status code in a text (RFC 3463), "" if there is none."""
    found = _STATUS.search(text)
    return found[1] if found else ""


def has_code(text: str) -> bool:
    """Say whether a server's refusal stands in a text, as a status or as a code of three digits."""
    return bool(re.search(r"[45]", find_status(text)[:1]) or _CODE.search(text))


def judge(words: str, *, status: str = "") -> tuple[Kind, str]:
    """Return hard or soft for a failure, and the status that decided.

    `words` are the server's and `status` is what the reporter made of them. What the server gave
    itself comes first: a relay often puts a 5.1.1 or a 5.0.0 over whatever it was told.
    """
    words = " ".join(words.split())[:_LONGEST]
    own = find_status(words)
    given = [one for one in (own, status) if one]
    telling = next((one for one in given if not _VAGUE.fullmatch(one)), "")
    shown = telling or next(iter(given), "")
    if shown[:1] in {"2", "4"}:
        return Kind.SOFT, shown
    code = _CODE.search(words)
    meant = refusal(
        int(code[1]) if code else _FAILED,
        f"{telling} {words}".encode("utf-8", "replace"),
        stage="recipient",
    )
    is_hard = meant.permanent and meant.scope == "recipient"
    return (Kind.HARD if is_hard else Kind.SOFT), shown
