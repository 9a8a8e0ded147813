"""Reading a cell of any column: text on one line, and addresses."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from repermit.unicode_limits import normalize

# Matches nearly all addresses, which need no repair; they are validated later.
is_plain_address = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+-]*@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
).fullmatch

_IS_LIKE_ADDRESS = re.compile(r"[^\s@,;]+@[^\s@,;]+\.[^\s@.,;]{2,}").fullmatch

# ="jan@example.org" keeps a spreadsheet from converting a value; or =HYPERLINK("mailto:…";"…").
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

# Names in Persian and several scripts of India need these.
_JOINERS = frozenset("\u200c\u200d")
# By Unicode category; None keeps the character.
_REPLACEMENTS = {"Cf": "", "Co": None, "Cn": None}


def fold_title(text: str) -> str:
    """Return a title or keyword for comparing: "E-Mail 2: Adresse" becomes "email2adresse"."""
    plain = normalize("NFKD", text.casefold())
    return "".join(char for char in plain if char.isalnum())


def normalize_cell(text: str) -> str:
    """Return text on one line: control characters become spaces, runs of spaces become one.

    Invisible characters are deleted; those that change the writing direction would let a name forge
    the text that follows it in a mail.
    """
    if text.isprintable():
        # The only printable white space is the space.
        text = text.strip()
        return " ".join(text.split()) if "  " in text else text
    return " ".join("".join(map(_replace_invisible, text)).split())


def _replace_invisible(char: str) -> str:
    if char.isprintable() or char in _JOINERS:
        return char
    replacement = _REPLACEMENTS.get(unicodedata.category(char), " ")
    return char if replacement is None else replacement


def is_like_address(cell: str) -> bool:
    """Say whether a cell has nothing except addresses and their names."""
    if is_plain_address(cell):
        return _IS_LIKE_ADDRESS(cell) is not None
    if "@" not in cell or not all(_IS_LIKE_ADDRESS(address) for address, _ in find_addresses(cell)):
        return False
    return "<" in cell or all("@" in piece[0] for piece in _split(_normalize_separators(cell)))


def find_addresses(cell: str) -> list[tuple[str, str]]:
    """Return the bare addresses in a cell, each with the name beside it.

    Understands "Jan <jan@example.org>", "mailto:jan@example.org", and several addresses, separated
    by commas, semicolons, spaces or Google's " ::: ". Other text is returned unchanged.

    Nothing is guessed: a part of "john smith@example.org" or "jan,jansen@example.org" might be
    somebody else's address. A separator after an address is harmless; one at the very start may be
    the rest of a first half, so such text is returned unchanged.
    """
    if is_plain_address(cell):
        return [(cell, "")]
    text = _normalize_separators(cell)
    names_by_address: dict[str, str] = {}
    start = 0 if text.startswith((",", ";")) else -1
    for piece in _split(text):
        if "@" in piece[0]:
            before = text[start : piece.start()] if start >= 0 else ""
            names_by_address |= _parse_piece(piece[0], before)
            start = -1
        elif start < 0:
            start = piece.start()
    return list(names_by_address.items()) or ([(text, "")] if text else [])


def _normalize_separators(cell: str) -> str:
    return _unwrap(normalize_cell(cell)).replace(":::", ";")


def _split(text: str) -> list[re.Match[str]]:
    """Return the texts between the separators that are not empty."""
    return [piece for piece in _PIECE.finditer(text) if piece[0].strip()]


def _unwrap(text: str) -> str:
    formula = _FORMULA.fullmatch(text)
    if formula:
        return formula[1].strip()
    if text.startswith('"') and text.endswith('"') and text.count('"') == 2:  # noqa: PLR2004
        return text[1:-1].strip()
    return text


def _parse_piece(piece: str, before: str) -> dict[str, str]:
    """Return the names in a piece by address; `before` is the text without addresses before it."""
    before_angle, address = _find_in_brackets(piece)
    if address:
        name = _SEPARATOR.sub(", ", before) + before_angle
        return {_strip_address(address): normalize_cell(name.replace('"', " ")).strip(" ',")}
    if before:
        return {(before + piece).strip(): ""}
    words = [word for word in piece.split() if word not in _BETWEEN]
    if all("@" in word for word in words):
        return {_strip_address(word): "" for word in words}
    return {_strip_address(piece): ""}


def _find_in_brackets(piece: str) -> tuple[str, str]:
    """Return the text before the first address in angle brackets, and that; "" and "" if none."""
    parts = piece.split("<")
    for before, after in pairwise(parts):
        inside = _ANGLED(after)
        if inside and "@" in inside[1]:
            return before, inside[1]
    return "", ""


def _strip_address(text: str) -> str:
    text = text.lstrip(_BEFORE)
    if text[:7].lower() == "mailto:":
        text = text[7:].partition("?")[0]
    return text.lstrip(_BEFORE).rstrip(_AFTER)
