"""Interpreting a column's values: yes, no, opted out, a language, a form or an IP address.

Remarks in somebody's own words are in imports/remark_phrases.py.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network

from repermit.expressions import Expressions
from repermit.imports.readers.cells import fold_title

_EXPRESSIONS = Expressions("column_values.toml", "bounces", "sources", "names")
_DATA = _EXPRESSIONS.data


def _read_words(table: str, key: str) -> frozenset[str]:
    return frozenset(_DATA[table][key].split())


MONTH_NAMES: list[str] = _DATA["months"]["in_order"]
"""How the names of each month begin, separated by blanks."""

YES = _read_words("yes", "further")
"""A plain yes in twenty further languages."""

NO = _read_words("no", "further")
"""A plain no; no word is both."""

STILL_ON = _read_words("still_on", "further")

_YES = _read_words("yes", "main") | YES
_ON_SWITCH, _OFF_SWITCH = _read_words("switch", "on"), _read_words("switch", "off")
_NO = _read_words("no", "main") | NO | _OFF_SWITCH
# In a column of statuses, a "0" or an "n" may be a code with another meaning.
_PLAIN_NO = _read_words("no", "plain") | NO | _OFF_SWITCH
# A mark such as "unsubscribed" may also hold the name of the opposite.
_STILL_ON = _read_words("still_on", "main") | STILL_ON

_STATUS = {name: tuple(words) for name, words in _DATA["status"].items()}
_ON, _NEGATED = _STATUS["on"], _STATUS["negated"]
_COMPLAINED, _CLEANED, _PENDING = _STATUS["complained"], _STATUS["cleaned"], _STATUS["pending"]
_UNASKED = _STATUS["unasked"]
_UNSUBSCRIBED = _STATUS["unsubscribed"] + _STATUS["further_unsubscribed"]

_NOTHING = _read_words("nothing", "main")
_SOFT = _EXPRESSIONS.compile("soft", re.IGNORECASE)
_WEB_FORM = _EXPRESSIONS.compile("web_form", re.IGNORECASE)
_NOT_A_FORM = _EXPRESSIONS.compile("no_web_form", re.IGNORECASE)
# Begins with one set of characters, which is searched much faster than several words.
_REMARK_IN_NAME = _EXPRESSIONS.compile("remark_in_name")

# Matches nearly all public addresses quickly: IPv4 outside 0, 120 to 129 and 220 to 255.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_PLAIN_IP = re.compile(rf"(?:[1-9][0-9]?|1[013-9][0-9]|2[01][0-9])(?:\.{_OCTET}){{3}}").fullmatch

_LANGUAGES: dict[str, str] = _DATA["languages"]
_BY_WORD = {word: code for code, words in _LANGUAGES.items() for word in words.split()}
_CODES = frozenset(_LANGUAGES) | _read_words("further_languages", "codes")


@lru_cache(maxsize=1024)
def says_yes(text: str) -> bool:
    """Say whether the text is a plain yes; anything else, also a customer's number, is not."""
    return (fold_title(text) or text.strip()) in _YES


@lru_cache(maxsize=1024)
def says_no(text: str) -> bool:
    """Say whether the text is a plain no, or means an opt-out; an empty text does not."""
    return is_bare_no(text) or find_opt_out(text) == "unsubscribed"


def is_bare_no(text: str) -> bool:
    """Say whether the text is a plain no and nothing else."""
    return fold_title(text) in _NO


def is_switched_off(text: str) -> bool:
    """Say whether the text is exactly the value of a switch that is off."""
    return fold_title(text) in _OFF_SWITCH


def is_answer(text: str) -> bool:
    """Say whether the text is a yes, a no or a switch, in words: 1 and 0 may be counts."""
    return (
        says_yes(text) or says_no(text) or fold_title(text) in _ON_SWITCH
    ) and not text.isdigit()


@lru_cache(maxsize=1024)
def is_mark(text: str) -> bool:
    """Say whether a cell of a column such as "unsubscribed" is ticked: a yes, a date, a reason."""
    if text.lstrip().startswith(("http:", "https:")):
        # The link to unsubscribe with.
        return False
    folded = fold_title(text)
    is_zero = folded.isdigit() and not folded.strip("0")
    return bool(folded or text.strip() in _YES) and not (
        is_zero or folded in _NO or folded in _STILL_ON or folded in _NOTHING
    )


@lru_cache(maxsize=1024)
def is_bounce(text: str) -> bool:
    """Say whether a cell of a column such as "bounced" is ticked; "not bounced" is not."""
    is_negated = text.strip().casefold().startswith(_NEGATED) and any(
        word in fold_title(text) for word in _CLEANED
    )
    return is_mark(text) and not is_negated


def is_soft_bounce(text: str) -> bool:
    """Say whether a text tells of a bounce that may not happen again."""
    return bool(_SOFT.search(text.strip()))


@lru_cache(maxsize=1024)
def find_opt_out(status: str) -> str:
    """Return the opt-out that a status means: "unsubscribed", "cleaned", "complained" or "".

    A soft bounce is none. "Not subscribed" is none, as Mailchimp uses it for customers who never
    answered the question. "Not active" is one.
    """
    folded = fold_title(status)
    if status.strip().casefold().startswith(_NEGATED):
        return "unsubscribed" if folded.endswith(_ON) else ""
    if folded in _PLAIN_NO or folded == "stop":
        return "unsubscribed"
    if any(word in folded for word in _UNSUBSCRIBED):
        return "unsubscribed"
    if any(word in folded for word in _COMPLAINED):
        return "complained"
    is_hard = any(word in folded for word in _CLEANED) and not is_soft_bounce(status)
    return "cleaned" if is_hard else ""


@lru_cache(maxsize=1024)
def is_doubtful_status(text: str) -> bool:
    """Say whether a status may mean an opt-out: a zero, a U, "not registered"."""
    folded = fold_title(text)
    # The newsletter plugin of WordPress writes U for unsubscribed and B for bounced.
    is_code = folded in {"u", "b", "n"} or (folded.isdigit() and not folded.strip("0"))
    is_off = text.strip().casefold().startswith(_NEGATED) and folded.endswith(tuple(_STILL_ON))
    return is_code or (is_off and not is_pending(text))


@lru_cache(maxsize=1024)
def is_pending(status: str) -> bool:
    """Say whether a status means that a sign-up was never completed."""
    folded = fold_title(status)
    return any(word in folded for word in _PENDING)


def is_unasked(answer: str) -> bool:
    """Say whether a no tells only that somebody was not asked or has not answered."""
    folded = fold_title(answer)
    return any(word in folded for word in _UNASKED)


@lru_cache(maxsize=1024)
def is_known_status(text: str) -> bool:
    """Say whether a cell can hardly be anything but a subscription's status."""
    folded = fold_title(text)
    # A column with only No may answer any question.
    is_off = bool(find_opt_out(text)) and folded not in _PLAIN_NO
    return folded in _STILL_ON or is_off or is_pending(text)


@lru_cache(maxsize=1024)
def parse_language(text: str) -> str:
    """Return the ISO 639-1 code of "nl", "nl-NL", "en_GB", "Dutch", "Nederlands" …, or ""."""
    word = fold_title(text)
    if word in _BY_WORD:
        return _BY_WORD[word]
    code = fold_title(re.split(r"[-_;,\s]", text.strip(), maxsplit=1)[0])
    return code if code in _CODES else _BY_WORD.get(code, "")


# Codes in lower or upper case only, as "De" and "An" begin names.
_IS_CODE = re.compile(r"(?:[a-z]{2}|[A-Z]{2})(?:[-_][A-Za-z]{2,4})?").fullmatch


@lru_cache(maxsize=1024)
def is_language(text: str) -> bool:
    """Say whether a cell can hardly be anything but a language: its code or its name."""
    return bool(parse_language(text)) and bool(
        _IS_CODE(text.strip()) or fold_title(text) in _BY_WORD
    )


@lru_cache(maxsize=1024)
def is_web_form(source: str) -> bool:
    """Say whether a source names a form or page on the web, where a person signs up."""
    return bool(_WEB_FORM.search(source)) and not _NOT_A_FORM.search(source)


def find_remark_in_name(name: str) -> int:
    """Return where something begins that no name has, such as "(overl. 2021)"; or its length."""
    match = _REMARK_IN_NAME.search(name)
    return match.start() if match else len(name)


def is_somebodys_ip(text: str) -> bool:
    """Say whether the text is an IP address that a person may have used."""
    if _PLAIN_IP(text) and not _INSIDE_IP(text):
        return True
    try:
        ip = ip_address(text)
    except ValueError:
        return False
    # Programs without an address write 0.0.0.0 or their own 127.0.0.1. A server behind a proxy
    # writes an address of its own network (RFC 1918, 3927, 4193, 4291).
    is_inside = any(ip in network for network in _INSIDE)
    return not (ip.is_unspecified or ip.is_loopback or is_inside)


_INSIDE = [ip_network(text) for text in "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16".split()]
_INSIDE += [ip_network(text) for text in "169.254.0.0/16 fc00::/7 fe80::/10".split()]
_INSIDE_IP = re.compile(r"(?:10|172|192\.168|169\.254)\.").match
