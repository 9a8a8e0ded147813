"""What the replies of an SMTP server mean. Their words are read here and nowhere kept.

May import errors and saying only. Codes are those of RFC 5321 §4.2 and RFC 3463.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from repermit.errors import TransportError
from repermit.saying import Said

ENDED = Said("the mail server has ended the connection")
SILENT = Said("the mail server has not answered in time")
GARBLED = Said("the mail server gave an answer that cannot be understood")
PERHAPS = Said("the mail server has not said whether it has accepted a mail")

_REFUSES = Said("the mail server refuses mails")

Stage = Literal["server", "recipient", "message"]
"""What was being said: all that goes before a recipient, RCPT, or the mail itself."""


class Reply(NamedTuple):
    """A reply in numbers: `code` of three digits, `status` like "2.0.0", or "" if not given."""

    code: int
    status: str


def read_reply(code: int, words: bytes) -> Reply:
    """Return a reply without its words, which quote addresses."""
    found = _STATUS.match(words)
    status = found[1].decode() if found else ""
    # A status of another class than the code's contradicts it; then the code alone holds.
    return Reply(code, status if status[:1] == str(code)[:1] else "")


_STATUS = re.compile(rb"#?([245]\.\d{1,3}\.\d{1,3})\b")


def refusal(code: int, words: bytes, *, stage: Stage) -> TransportError:
    """Return what a reply that accepts nothing means.

    Only "no such mailbox or domain" is the recipient's, for good. A limit, a login or a sender
    that is refused is a fault of this side, whether the code says "for now" or "for ever"; a
    policy is one too, or the recipient's.
    """
    reply = read_reply(code, words)
    # An address may hold any word: limits@example.org says nothing of a limit.
    said = _ADDRESS.sub("", words.decode("latin-1").lower())
    scope, permanent = _judge(reply, said, stage)
    reason = _REFUSES if scope in {"server", "policy"} else Said()
    return TransportError(reply.code, reply.status, scope=scope, permanent=permanent, reason=reason)


def _judge(reply: Reply, words: str, stage: Stage) -> tuple[str, bool]:
    """Return whose fault it is, and whether trying again cannot help."""
    if stage == "server" or reply.code in _OF_THE_SERVER or not _is_refusal(reply.code):
        return "server", False
    if reply.code < _PERMANENT:
        return ("server" if _is_ours_for_now(reply, words) else stage), False
    if reply.status in _NO_SUCH_MAILBOX:
        return _judge_words(words) if _ABOUT_US.search(words) else ("recipient", True)
    if _OUR_LIMIT.search(words):
        return "server", False
    if reply.status in _VAGUE:
        return _judge_words(words)
    if reply.status.startswith("5.7."):
        return "policy", False
    if reply.status in _FAULTS_OF_OURS:
        return "server", False
    return "message", True


def _is_ours_for_now(reply: Reply, words: str) -> bool:
    """Say whether a refusal for now is about this side: its limits, its sender, a busy server.

    Greylisting is about one recipient, and so is what the status says of an address or a mailbox.
    """
    if _OF_A_MAILBOX_FOR_NOW.search(words):
        return False
    if _OUR_LIMIT.search(words) or _OURS_FOR_NOW.fullmatch(reply.status):
        return True
    if reply.status.startswith(("4.1.", "4.2.")) or _FULL.search(words):
        return False
    return bool(_FAULT_OF_OURS.search(words) or _BUSY.search(words))


def _judge_words(words: str) -> tuple[str, bool]:
    """Judge a permanent refusal by its words, where no number says what it means.

    A limit comes first: "too many unknown recipients" is about us and not about this one.
    """
    if _FULL.search(words):
        return "message", True
    if _FAULT_OF_OURS.search(words):
        return "server", False
    if _POLICY.search(words):
        return "policy", False
    if _NOBODY.search(words):
        return "recipient", True
    return "message", True


def _is_refusal(code: int) -> bool:
    return 400 <= code < 600  # noqa: PLR2004  RFC 5321 §4.2.1


_PERMANENT = 500

_ADDRESS = re.compile(r"<?[^\s<>]+@[^\s<>]+>?")

# Closing down; login wanted, too weak or failed for now or for ever (RFC 4954 §6; Exchange has 432
# for too many connections of a sender); takes no mail at all (RFC 7504).
_OF_THE_SERVER = frozenset({421, 432, 454, 521, 530, 534, 535, 538})

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

# A status for a mailbox that is not there stands beside these too, and then they count.
_ABOUT_US = re.compile(
    rf"{_OUR_LIMIT.pattern}|too (many|much|fast)|throttl|may not send|authenti|"
    r"(limit|quota|rate) ((was|is|has been) )?(exceeded|reached)|"
    r"\bsender('s)? (e-?mail )?(address|domain|mailbox|host|verif|reject|refus|denied|unknown|"
    r"block|not\b|is not|does)|"
    r"(unknown|invalid|bad|illegal|no such|unauthori[sz]ed) (sender|return.path|from address)|"
    r"(return.path|mail from|from address)\b.{0,40}(reject|refus|denied|invalid|unknown|\bnot\b)|"
    r"\brelay(ing)? ((access|is|was) )?(denied|refused|prohibited|not (permitted|allowed))|"
    r"(not|cannot|unable to|refuse to|no) relay"
)

# Postfix, Exchange Online and Gmail: a rate that somebody gets mail at is not ours.
_OF_A_MAILBOX_FOR_NOW = re.compile(r"gr[ae]y-?list|receiving mail")

# Bad sender (4.1.7, 4.1.8), the mail system itself (4.3.1, 4.3.2, 4.3.5), congestion (4.4.5), too
# many recipients (4.5.3), our name in the DNS (4.7.25), and Exchange Online for who sends too much
# (4.7.500 and above).
_OURS_FOR_NOW = re.compile(r"4\.(1\.[78]|3\.[125]|4\.5|5\.3|7\.(25|[56]\d\d))")

_BUSY = re.compile(
    r"\bbusy|overload|system (storage|resources)|client host|reputation|black ?list|block ?list|"
    r"\brbl\b|dnsbl|\brelay"
)

_FULL = re.compile(r"(mailbox|inbox|account|user)\b.{0,40}(\bfull|over ?quota|exceeded)")

_FAULT_OF_OURS = re.compile(
    r"limit|quota|too (many|much|fast)|exceed|throttl|\brate\b|authenti|log ?in|"
    r"suspend|sender|return.path|mail from|from address|may not send"
)

_POLICY = re.compile(
    r"polic|spam|unsolicited|bulk|black ?list|block|reputation|\brbl\b|dnsbl|\brelay(?! recipient)|"
    r"not (permitted|allowed)"
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
    if _UNSAFE.search("".join(addresses)):
        raise TransportError(0, _BAD_MAILBOX_SYNTAX, scope="message", permanent=True)


_UNSAFE = re.compile(r"[\s<>\x00-\x1f\x7f]")
_BAD_MAILBOX_SYNTAX = "5.1.7"
