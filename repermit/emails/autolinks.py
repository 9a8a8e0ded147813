"""What mail programs make a link of by themselves, and what is glued to the links of fields.

Texts come as `normalize_text` gives them, with fields as marks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address

from repermit.emails.allowed_html import unmark_fields
from repermit.i18n.lazy_text import LazyText

_ADDRESS = re.compile(r"[^\s@<>()\"',;:]+@[^\s@<>()\"',;:]*[\w⟧]")

_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_LINK = re.compile(
    # With a scheme, and the schemes that do without slashes. "data: name and address" is prose.
    r"\b[a-z][a-z0-9+.-]*://\S+"
    r"|\b(?:javascript|vbscript|mailto|tel|sms|callto|skype|whatsapp|cid|file):(?!⟦reply_to⟧)\S+"
    r"|\bdata:\S*[/,;]\S*"
    r"|\bwww\.\S+"
    # A share in a Windows network, which Outlook links.
    r"|\\\\[\w.$-]+\\\S+"
    # What a style sheet loads.
    r"|\burl\s*\([^)]*\)?|@import\b\s*\S*",
    re.IGNORECASE,
)
# Whether it is one, is asked of the library. Times of day have colons too.
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-f:]*:[0-9a-f:.]*[0-9a-f](?![\w:])", re.IGNORECASE)
# A telephone number of this shape begins with 0.
_IPV4 = re.compile(rf"(?<![\w.]){_BYTE}(?:\.{_BYTE}){{3}}(?!\.?\w)(?:[:/]\S+)?")

# Any word before a dot and any letters behind it. A field may be such a word.
_DOMAIN = re.compile(
    r"(?<![\w⟧])(?P<name>[\w⟦⟧-]+(?:\.[\w⟦⟧-]+)*)\.(?P<ending>xn--[\w-]+|[^\W\d_]{2,})(?!\w)"
    r"(?P<path>[:/?#]\S+)?",
    re.IGNORECASE,
)
# Endings that everybody knows as those of a website: here a missing blank is unlikely.
_KNOWN_ENDINGS = frozenset(
    "app at be biz blog blue ch click cloud club co com de dev eu fr fun info io it link live lu "
    "me media mobi net news nl online org page pro shop site space store tech top uk us web "
    "website work world xyz zone".split()
)
# Abbreviations that are written without a blank; none of them is a website that people know.
_ABBREVIATIONS = frozenset("b.sc dr.ir dr.med i.tr m.sc mr.dr p.ex prof.dr tel.nr z.hd".split())

_LONGEST_WORD = 200

_OPENING, _CLOSING = "(\\[<\"'“”„‘’«‹", ")\\]>\"'“”‘’»›"  # noqa: RUF001 -- quotes in four languages
_SEPARATORS = {
    # A link's token is part of it, so all that may touch it are quotes and brackets.
    **dict.fromkeys(
        ("yes_url", "no_url", "me_url", "privacy_url"),
        rf"[{_OPENING}]*⟦\w+⟧(?:[{_CLOSING}]+[.,;:!?]*)?",
    ),
    # A mail address in a sentence may be followed by its full stop.
    "reply_to": rf"(?:[^\s⟦⟧]*:)?[{_OPENING}–—]*(?:mailto:)?⟦\w+⟧[{_CLOSING}–—.,;:!?…]*",
    # It ends with the mail address.
    "organisation": rf"[^⟦⟧]*⟦\w+⟧[{_CLOSING}–—.,;:!?…]*",
}


def check_word_length(text: str) -> LazyText:
    """Return the reason against a word longer than any that is read, or "".

    Only a text without one may be searched for links and offers: that takes the square of the
    length of its words.
    """
    longest = max(text.split(), key=len, default="")
    if len(longest) <= _LONGEST_WORD:
        return LazyText()
    return LazyText(
        "a word of %(length)s characters: %(quoted)s…",
        length=len(longest),
        quoted=unmark_fields(longest[:40]),
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
    known = ending.lower() in _KNOWN_ENDINGS
    if not match["path"] and (
        f"{name}.{ending}".lower() in _ABBREVIATIONS or (not known and _looks_like_sentence(ending))
    ):
        return
    if (known and len(name) > 1) or match["path"] or "⟦" in name:
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
    """Return whether it is a word with a capital, "ons.Wij", "J.Jansen"; countries have two."""
    return len(ending) > _LETTERS_OF_A_COUNTRY and ending.istitle()


_LETTERS_OF_A_COUNTRY = 2


def find_glued_fields(text: str) -> Iterator[LazyText]:
    """Yield a reason for each link or mail address of a field that something is glued to."""
    for token in text.split():
        for field, apart in _SEPARATORS.items():
            if f"⟦{field}⟧" in token and not re.fullmatch(apart, token):
                yield LazyText(
                    "%(field)s must stand apart, a blank on both sides: %(quoted)s",
                    field=f"{{{{ {field} }}}}",
                    quoted=unmark_fields(token),
                )
