"""What the replies of an SMTP server mean. Their words are read here and nowhere kept.

May import errors only. Codes are those of RFC 5321 §4.2 and RFC 3463.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from repermit.errors import TransportError

ENDED = "the mail server has ended the connection"
PERHAPS = "the mail server has not said whether it has accepted a mail"

Stage = Literal["server", "recipient", "message"]
"""What was being said: all that goes before a recipient, RCPT, or the mail itself."""


@dataclass(frozen=True)
class Reply:
    """A reply in numbers: `code` of three digits, `status` like "2.0.0", or "" if not given."""

    code: int
    status: str


def read_reply(code: int, words: bytes) -> Reply:
    """Return a reply without its words, which quote addresses."""
    found = _STATUS.match(words)
    # A status of another class than the code's contradicts it; then the code alone holds.
    status = found[1].decode() if found and found[1][:1] == str(code).encode()[:1] else ""
    return Reply(code, status)


_STATUS = re.compile(rb"#?([245]\.\d{1,3}\.\d{1,3})\b")


def refusal(code: int, words: bytes, *, stage: Stage) -> TransportError:
    """Return what a reply that accepts nothing means.

    Only "no such mailbox or domain" is the recipient's, for good. A limit, a policy, a login or a
    sender that is refused is a fault of this side, also where the code says "for ever".
    """
    reply = read_reply(code, words)
    scope, permanent = _judge(reply, words.decode("latin-1").lower(), stage)
    reason = "" if scope != "server" else "the mail server refuses mails"
    return TransportError(reply.code, reply.status, scope=scope, permanent=permanent, reason=reason)


def _judge(reply: Reply, words: str, stage: Stage) -> tuple[str, bool]:
    """Return whose fault it is, and whether trying again cannot help."""
    if stage == "server" or reply.code in _OF_THE_SERVER or not _is_refusal(reply.code):
        return "server", False
    if reply.code < _PERMANENT:
        return stage, False
    if reply.status in _NO_SUCH_MAILBOX:
        return "recipient", True
    if _OUR_LIMIT.search(words):
        return "server", False
    if reply.status in _VAGUE:
        return _judge_words(words)
    if reply.status.startswith("5.7.") or reply.status in _FAULTS_OF_OURS:
        return "server", False
    return "message", True


def _judge_words(words: str) -> tuple[str, bool]:
    """Judge a permanent refusal by its words, where no number says what it means.

    A limit comes first: "too many unknown recipients" is about us and not about this one.
    """
    if _FULL.search(words):
        return "message", True
    if _FAULT_OF_OURS.search(words):
        return "server", False
    if _NOBODY.search(words):
        return "recipient", True
    return "message", True


def _is_refusal(code: int) -> bool:
    return 400 <= code < 600  # noqa: PLR2004  RFC 5321 §4.2.1


_PERMANENT = 500

# Closing down; login wanted, too weak or failed (RFC 4954 §6); takes no mail at all (RFC 7504).
_OF_THE_SERVER = frozenset({421, 521, 530, 534, 535, 538})

# RFC 3463 §3.2, RFC 7505, and Exchange's 5.1.10 (no such recipient).
_NO_SUCH_MAILBOX = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})

# These say no more than the code does.
_VAGUE = frozenset({"", "5.0.0", "5.1.0", "5.3.0", "5.4.0", "5.5.0", "5.6.0"})

# Bad sender (5.1.7, 5.1.8), Exchange's limits for a day (5.1.90, 5.2.0) and for those who go on
# after a refusal (5.2.251 to 5.2.255), the mail system itself (5.3.x, but 5.3.4 is the mail's
# size), congestion and Gmail's limit for a day (5.4.5), too many recipients (5.5.3).
_FAULTS_OF_OURS = frozenset(
    "5.1.7 5.1.8 5.1.90 5.2.0 5.2.251 5.2.252 5.2.253 5.2.254 5.2.255 "
    "5.3.1 5.3.2 5.3.3 5.3.5 5.4.5 5.5.3".split()
)

# How many mails an account may send, which some say beside a status for something else.
_OUR_LIMIT = re.compile(
    r"\bsend(ing|er)? (\w+ )?(limit|quota|rate|throttl)|\b(mail|message) rate\b|"
    r"\b(daily|hourly|24-hour) (\w+ )?(limit|quota)|max(imum)? (e-?)?mails|"
    r"(limit|exceeded)\b.{0,60}\bper (hour|day)"
)

_FULL = re.compile(r"(mailbox|inbox|account|user)\b.{0,40}(\bfull|over ?quota|exceeded)")

_FAULT_OF_OURS = re.compile(
    r"limit|quota|too (many|much|fast)|exceed|throttl|\brate\b|polic|spam|unsolicited|bulk|"
    r"black ?list|block|reputation|\brbl\b|dnsbl|\brelay|authenti|log ?in|not (permitted|allowed)|"
    r"suspend|sender|return.path|mail from|from address"
)

_NOBODY = re.compile(
    r"(no such|unknown|invalid|non-?existent) (local )?"
    r"(user|recipient|mailbox|address|account|person|domain)|"
    r"\b(user|recipient|mailbox|account|address|domain)\b[^.;]{0,80}"
    r"\b(unknown|not found|not known|not exist|doesn'?t exist)|"
    r"(doesn'?t|does not) have an? \S+ account|no mailbox (here )?(by|with) that name|"
    r"not a valid (user|mailbox|recipient)|unrouteable address"
)


def check_envelope(*addresses: str) -> None:
    """Refuse what would say more to the server than an address; none such is on any list."""
    if any(_UNSAFE.search(address) for address in addresses):
        raise TransportError(0, _BAD_MAILBOX_SYNTAX, scope="message", permanent=True)


_UNSAFE = re.compile(r"[\s<>\x00-\x1f\x7f]")
_BAD_MAILBOX_SYNTAX = "5.1.7"
