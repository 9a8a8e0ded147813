"""The short names of lists, in which addresses of pages and commands name them.

May import models and normalization.
"""

from __future__ import annotations

import itertools
import re

from repermit.models import MailingList
from repermit.normalization import normalize

_LONGEST = 63
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_OF_NOTHING = "list"

# Greek as ISO 843 has it and Cyrillic as Bulgarian law does (2009), as near as one letter by itself
# allows; and what of Latin is no letter of ASCII with a sign.
_PLAIN = {
    **dict(zip("αβγδεζηικλμνξοπρστυφω", "avgdeziiklmnxoprstyfo", strict=True)),
    "θ": "th",
    "χ": "ch",
    "ψ": "ps",
    "ς": "s",
    **dict(zip("абвгдезийклмнопрстуфхыэъь", "abvgdeziyklmnoprstufhyeay", strict=True)),
    "ж": "zh",
    "ц": "ts",
    "ч": "ch",
    "ш": "sh",
    "щ": "sht",
    "ю": "yu",
    "я": "ya",
    "ё": "yo",
    "ß": "ss",
    "æ": "ae",
    "ø": "o",
    "œ": "oe",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "ħ": "h",
    "ı": "i",
    "ŋ": "n",
}


def is_slug(text: str) -> bool:
    """Say whether a text can name a list where programs read it."""
    return _SLUG.fullmatch(text) is not None


def suggest_slug(name: str) -> str:
    """Return a slug for a list of that name, in Latin letters whatever the name is written in."""
    composed = "".join(map(_plain, normalize("NFC", name.lower())))
    plain = composed.encode("ascii", "ignore").decode()
    return "-".join(re.findall("[a-z0-9]+", plain))[:_LONGEST].strip("-") or _OF_NOTHING


def free_slug(name: str) -> str:
    """Return a slug for a list of that name that no list has yet: numbered from the second on."""
    wanted = suggest_slug(name)
    ends = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    slugs = (wanted[: _LONGEST - len(end)].rstrip("-") + end for end in ends)
    return next(one for one in slugs if not _is_taken(one))


def _is_taken(slug: str) -> bool:
    return MailingList.get_or_none(MailingList.slug == slug) is not None


def _plain(letter: str) -> str:
    """Return one letter in ASCII, itself if that is not known."""
    if letter in _PLAIN:
        return _PLAIN[letter]
    # Its signs are taken off; what is left may be Greek.
    decomposed = normalize("NFKD", letter)
    return "".join(_PLAIN.get(one, one) for one in decomposed)
