"""What stands in a cell of any column: text on one line, and addresses."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from repermit.unicode_limits import normalize

# The great majority of addresses, which need no repair. Whether they are valid is decided later.
is_plain_address = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
).fullmatch

_IS_LIKE_ADDRESS = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\s@.,;]{2,}").fullmatch

# ="jan@example.org" keeps a spreadsheet from reading a value; =HYPERLINK("mailto:…";"…") shows it.
_FORMULA = re.compile(r'=\s*(?:HYPERLINK\(\s*)?"([^"]*)".*', re.IGNORECASE)
# A comma typed for a dot ("jan@example,org", "jan@example.co,uk") does not end an address.
_DOMAIN_WITH_COMMA = (
    r"@(?:[\w-]+,[\w-]+(?:\.[\w-]+)*|[\w.-]+,[a-z]{2,}(?:\.[a-z]+)*)(?=\s*(?:[,;]|$))"
)
_PIECE = re.compile(rf'(?:"[^"]*"|<[^<>]*>|{_DOMAIN_WITH_COMMA}|[^,;])+')
_SEPARATOR = re.compile(r"\s*[,;]\s*")
_ANGLED = re.compile(r"\s*([^<>\s]+)\s*>").match
_BEFORE = " \"'<([{`‘“:"
_AFTER = " \"'>)]}`’”,;:."
_BETWEEN = frozenset("/|&")

# Without these, names in Persian and several scripts of India are written wrongly.
_JOINERS = frozenset("\u200c\u200d")
_INSTEAD = {"Cf": "", "Co": None, "Cn": None}


def fold_title(text: str) -> str:
    """Return a title or keyword for comparing: "E-Mail 2: Adresse" becomes "email2adresse"."""
    plain = normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum())


def normalize_cell(text: str) -> str:
    """Return text on one line: control characters become spaces, runs of spaces become one.

    Invisible marks are dropped; those that turn the writing direction would let a name forge
    what stands after it in a mail.
    """
    if text.isprintable():
        # The only white space that is printable is the space itself.
        text = text.strip()
        return " ".join(text.split()) if "  " in text else text
    return " ".join("".join(map(_visible, text)).split())


def _visible(sign: str) -> str:
    if sign.isprintable() or sign in _JOINERS:
        return sign
    instead = _INSTEAD.get(unicodedata.category(sign), " ")
    return sign if instead is None else instead


def is_like_address(cell: str) -> bool:
    """Say whether a cell holds an address, or several, and nothing else but their names."""
    if is_plain_address(cell):
        return _IS_LIKE_ADDRESS(cell) is not None
    if "@" not in cell or not all(_IS_LIKE_ADDRESS(address) for address, _ in addresses_in(cell)):
        return False
    return "<" in cell or all("@" in piece[0] for piece in _pieces(_divided(cell)))


def addresses_in(cell: str) -> list[tuple[str, str]]:
    """Return the bare addresses in a cell, each with the name that stands beside it there.

    Understands "Jan <jan@example.org>", "mailto:jan@example.org", and several at once, divided
    by commas, semicolons, spaces or Google's " ::: ". What is not understood comes back as it is.
    Nothing is guessed: "john smith@example.org" might be somebody else's address if cut, and so
    might "jan,jansen@example.org". A separator after an address is harmless, as the address stands
    there whole; one at the very start may be what is left of a first half, so it is not understood.
    """
    if is_plain_address(cell):
        return [(cell, "")]
    text = _divided(cell)
    found: dict[str, str] = {}
    start = 0 if text.startswith((",", ";")) else -1
    for piece in _pieces(text):
        if "@" in piece[0]:
            before = text[start : piece.start()] if start >= 0 else ""
            found |= _addresses_of(piece[0], before)
            start = -1
        elif start < 0:
            start = piece.start()
    return list(found.items()) or ([(text, "")] if text else [])


def _divided(cell: str) -> str:
    return _unwrapped(normalize_cell(cell)).replace(":::", ";")


def _pieces(text: str) -> list[re.Match[str]]:
    """Return what stands between the separators, as far as anything does."""
    return [piece for piece in _PIECE.finditer(text) if piece[0].strip()]


def _unwrapped(text: str) -> str:
    formula = _FORMULA.fullmatch(text)
    if formula:
        return formula[1].strip()
    if text.startswith('"') and text.endswith('"') and text.count('"') == 2:  # noqa: PLR2004
        return text[1:-1].strip()
    return text


def _addresses_of(piece: str, before: str) -> dict[str, str]:
    """Return the addresses of a piece; `before` is text without one that leads up to it."""
    before_angle, address = _angled(piece)
    if address:
        name = _SEPARATOR.sub(", ", before) + before_angle
        return {_bare(address): normalize_cell(name.replace('"', " ")).strip(" ',")}
    if before:
        return {(before + piece).strip(): ""}
    words = [word for word in piece.split() if word not in _BETWEEN]
    if all("@" in word for word in words):
        return {_bare(word): "" for word in words}
    return {_bare(piece): ""}


def _angled(piece: str) -> tuple[str, str]:
    """Return the first address in angle brackets and what stands before it; "" and "" if none."""
    parts = piece.split("<")
    for before, after in pairwise(parts):
        inside = _ANGLED(after)
        if inside and "@" in inside[1]:
            return before, inside[1]
    return "", ""


def _bare(text: str) -> str:
    text = text.lstrip(_BEFORE)
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    return text.lstrip(_BEFORE).rstrip(_AFTER)
