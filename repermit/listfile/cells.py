"""What stands in a cell: text on one line, and addresses as people and programs write them.

Imports nothing of repermit.
"""

from __future__ import annotations

import re
import unicodedata

# The great majority of addresses, which need no repair. Whether they are valid is decided later.
is_plain_address = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
).fullmatch

_IS_LIKE_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@.]{2,}").fullmatch

# ="jan@example.org" keeps a spreadsheet from reading a value; =HYPERLINK("mailto:…";"…") shows it.
_FORMULA = re.compile(r'=\s*(?:HYPERLINK\(\s*)?"([^"]*)".*', re.IGNORECASE)
_PIECE = re.compile(r'(?:"[^"]*"|<[^<>]*>|[^,;])+')
# A comma typed for a dot, which must not be taken for the end of an address.
_COMMA_FOR_DOT = re.compile(r"[^\s@,;<>\"]+@[\w-]+,[\w-]+(?:\.[\w-]+)*").fullmatch
_ANGLED = re.compile(r"([^<]*)<\s*([^<>\s]*@[^<>\s]*)\s*>")
_BEFORE = " \"'<([{`‘“,;:"
_AFTER = " \"'>)]}`’”,;:."
_BETWEEN = frozenset("/|&")

# Without these, names in Persian and several scripts of India are written wrongly.
_JOINERS = frozenset("\u200c\u200d")
_INSTEAD = {"Cf": "", "Co": None, "Cn": None}


def fold(text: str) -> str:
    """Return a title or keyword for comparing: "E-Mail 2: Adresse" becomes "email2adresse"."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum())


def clean(text: str) -> str:
    """Return text on one line: control characters become spaces, runs of spaces become one.

    Invisible marks are dropped; those that turn the writing direction would let a name forge
    what stands after it in a mail.
    """
    if text.isprintable():
        return " ".join(text.split()) if " " in text else text
    return " ".join("".join(map(_visible, text)).split())


def _visible(sign: str) -> str:
    if sign.isprintable() or sign in _JOINERS:
        return sign
    instead = _INSTEAD.get(unicodedata.category(sign), " ")
    return sign if instead is None else instead


def is_like_address(cell: str) -> bool:
    """Say whether a cell holds an address, or several, and nothing else but their names."""
    if "@" not in cell or not all(_IS_LIKE_ADDRESS(address) for address, _ in addresses_in(cell)):
        return False
    return "<" in cell or all("@" in piece for piece in _pieces(clean(cell)))


def addresses_in(cell: str) -> list[tuple[str, str]]:
    """Return the bare addresses in a cell, each with the name that stands beside it there.

    Understands "Jan <jan@example.org>", "mailto:jan@example.org", and several at once, divided
    by commas, semicolons, spaces or Google's " ::: ". What is not understood comes back as it is.
    Nothing is guessed: "john smith@example.org" might be somebody else's address if cut.
    """
    if is_plain_address(cell):
        return [(cell, "")]
    text = _unwrapped(clean(cell))
    if _COMMA_FOR_DOT(text):
        return [(text, "")]
    found: dict[str, str] = {}
    before = ""
    for piece in _pieces(text):
        if "@" in piece:
            found |= _addresses_of(piece, before)
            before = ""
        else:
            before += f"{piece}, "
    return list(found.items()) or ([(text, "")] if text else [])


def _pieces(text: str) -> list[str]:
    pieces: list[str] = _PIECE.findall(text.replace(":::", ";"))
    return [piece for piece in pieces if piece.strip()]


def _unwrapped(text: str) -> str:
    formula = _FORMULA.fullmatch(text)
    if formula:
        return formula[1].strip()
    if text.startswith('"') and text.endswith('"') and text.count('"') == 2:  # noqa: PLR2004
        return text[1:-1].strip()
    return text


def _addresses_of(piece: str, before: str) -> dict[str, str]:
    angled = _ANGLED.search(piece)
    if angled:
        return {_bare(angled[2]): clean((before + angled[1]).replace('"', " ")).strip(" '")}
    words = [word for word in piece.split() if word not in _BETWEEN]
    if all("@" in word for word in words):
        return {_bare(word): "" for word in words}
    return {_bare(piece): ""}


def _bare(text: str) -> str:
    text = text.lstrip(_BEFORE)
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    return text.lstrip(_BEFORE).rstrip(_AFTER)
