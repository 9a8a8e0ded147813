"""Finding text that mail programs turn into a link, and text that touches the link of a field.

All texts are as `normalize_text` returns them, with marks for fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address

from repermit import package_files
from repermit.emails.allowed_html import unmark_fields
from repermit.i18n.lazy_text import LazyText

_ADDRESS = re.compile(r"[^\s@<>()\"',;:]+@[^\s@<>()\"',;:]*[\w⟧]")

_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LINK = re.compile(
    # Any scheme with slashes, and those without. "data: name and address" is prose.
    r"\b[a-z][a-z0-9+.-]*://\S+"
    r"|\b(?:javascript|vbscript|mailto|tel|sms|callto|skype|whatsapp|cid|file):(?!⟦reply_to⟧)\S+"
    r"|\bdata:\S*[/,;]\S*"
    r"|\bwww\.\S+"
    # A Windows network share, which Outlook turns into a link.
    r"|\\\\[\w.$-]+\\\S+"
    # URLs that a style sheet loads.
    r"|\burl\s*\([^)]*\)?|@import\b\s*\S*",
    re.IGNORECASE,
)
# Candidates, which `ipaddress` checks: times of day have colons too.
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-f:]*:[0-9a-f:.]*[0-9a-f](?![\w:])", re.IGNORECASE)
# A telephone number of this form has a leading 0 ("06"), which `_BYTE` does not match.
_IPV4 = re.compile(rf"(?<![\w.]){_BYTE}(?:\.{_BYTE}){{3}}(?!\.?\w)(?:[:/]\S+)?")

# Any word before a dot, and any letters after it. A mark counts as a word.
_DOMAIN = re.compile(
    r"(?<![\w⟧])(?P<name>[\w⟦⟧-]+(?:\.[\w⟦⟧-]+)*)\.(?P<ending>xn--[\w-]+|[^\W\d_]{2,})(?!\w)"
    r"(?P<path>[:/?#]\S+)?",
    re.IGNORECASE,
)
_DOTTED = package_files.load_data("dotted_words.toml")
_KNOWN_ENDINGS = frozenset(_DOTTED["known_endings"].split())
_ABBREVIATIONS = frozenset(_DOTTED["abbreviations"].split())

_MAX_WORD_LENGTH = 200

_OPENING, _CLOSING = "(\\[<\"'“”„‘’«‹", ")\\]>\"'“”‘’»›"  # noqa: RUF001 -- quotes in four languages
_STANDALONE_PATTERNS = {
    # A URL ends in its token, so only quotes and brackets may touch it.
    **dict.fromkeys(
        ("yes_url", "no_url", "me_url", "privacy_url"),
        rf"[{_OPENING}]*⟦\w+⟧(?:[{_CLOSING}]+[.,;:!?]*)?",
    ),
    # A mail address in a sentence may be followed by its full stop.
    "reply_to": rf"(?:[^\s⟦⟧]*:)?[{_OPENING}–—]*(?:mailto:)?⟦\w+⟧[{_CLOSING}–—.,;:!?…]*",
    # Its last line ends with the mail address.
    "organisation": rf"[^⟦⟧]*⟦\w+⟧[{_CLOSING}–—.,;:!?…]*",
}


def check_word_length(text: str) -> LazyText:
    """Return the reason against a text with a word that is too long; "" if there is none.

    Only a text without such a word may be searched for links and offers, since the search takes
    time quadratic in the length of a word.
    """
    longest_word = max(text.split(), key=len, default="")
    if len(longest_word) <= _MAX_WORD_LENGTH:
        return LazyText()
    return LazyText(
        "a word of %(length)s characters: %(quoted)s…",
        length=len(longest_word),
        quoted=unmark_fields(longest_word[:40]),
    )


def find_other_links(text: str, *, reply_to: str) -> Iterator[LazyText]:
    """Yield a reason for each link or mail address in a text other than `reply_to`."""
    for address in _ADDRESS.findall(text):
        if address.lower() != reply_to.lower():
            yield LazyText(
                "another mail address than the one for replies: %(quoted)s",
                quoted=unmark_fields(address),
            )
    text = _ADDRESS.sub(" ", text)
    links = _LINK.findall(text)
    text = _LINK.sub(" ", text)
    links += filter(_is_ipv6, _IPV6.findall(text))
    text = _IPV6.sub(lambda match: " " if _is_ipv6(match[0]) else match[0], text)
    links += _IPV4.findall(text)
    for link in links:
        yield _describe_link(link)
    for match in _DOMAIN.finditer(text):
        yield from _check_domain(match)


def _is_ipv6(candidate: str) -> bool:
    try:
        IPv6Address(candidate)
    except ValueError:
        return False
    return True


def _check_domain(match: re.Match[str]) -> Iterator[LazyText]:
    name, ending = match["name"], match["ending"]
    is_known_ending = ending.lower() in _KNOWN_ENDINGS
    if not match["path"] and (
        f"{name}.{ending}".lower() in _ABBREVIATIONS
        or (not is_known_ending and _looks_like_sentence(ending))
    ):
        return
    if (is_known_ending and len(name) > 1) or match["path"] or "⟦" in name:
        yield _describe_link(match[0])
    else:
        yield LazyText(
            "what mail programs make a link of: %(quoted)s (if it is none, put a blank after the "
            "full stop)",
            quoted=match[0],
        )


def _describe_link(written: str) -> LazyText:
    return LazyText(
        "a link that is not one of the fields: %(quoted)s", quoted=unmark_fields(written)
    )


def _looks_like_sentence(ending: str) -> bool:
    """Return whether an ending is a capitalised word ("ons.Wij") and no country code."""
    return len(ending) > _COUNTRY_CODE_LENGTH and ending.istitle()


_COUNTRY_CODE_LENGTH = 2


def find_glued_fields(text: str) -> Iterator[LazyText]:
    """Yield a reason for each field with a link or mail address that touches other text."""
    for token in text.split():
        for field, pattern in _STANDALONE_PATTERNS.items():
            if f"⟦{field}⟧" in token and not re.fullmatch(pattern, token):
                yield LazyText(
                    "%(field)s must stand apart, a blank on both sides: %(quoted)s",
                    field=f"{{{{ {field} }}}}",
                    quoted=unmark_fields(token),
                )
