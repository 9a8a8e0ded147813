"""Marks that stand in a frozen wording for what differs from contact to contact.

May import nothing of repermit. A mark reads ⟦yes_url⟧: plain to a person who reads the record.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MARK = re.compile("⟦([a-z_]+)⟧")
_BRACKETS = str.maketrans("⟦⟧", "[]")
# Control characters (CR and LF among them), line and paragraph separators, and the marks that
# turn the direction of writing around, with which a name can rearrange the sentence it is in.
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_SURROGATE = re.compile("[\ud800-\udfff]")


def mark(field: str) -> str:
    """Return the mark of a field."""
    return f"⟦{field}⟧"


def unmarked(text: str) -> str:
    """Return `text` so that nothing in it can be taken for a mark."""
    return text.translate(_BRACKETS)


def one_line(text: str) -> str:
    """Return `text` on one line: no control characters, no runs of white space, no marks."""
    printed = _SURROGATE.sub("\ufffd", _UNPRINTED.sub(" ", text))
    return unmarked(" ".join(printed.split()))


def fields_in(template: str) -> list[str]:
    """Return the fields that have a mark in `template`, in order; a field may come again."""
    return _MARK.findall(template)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Return `template` with every mark replaced by its value.

    Values are not looked at again, so a mark inside a value stays text. Raises KeyError if a
    value is missing.
    """
    pieces = list(_pieces(template))
    pieces[1::2] = [values[field] for field in pieces[1::2]]
    return "".join(pieces)


@lru_cache(maxsize=128)
def _pieces(template: str) -> tuple[str, ...]:
    """Return literal, field, literal, field, …, literal."""
    return tuple(_MARK.split(template))
