"""What a paper is made of: sections of few kinds of blocks, so that all papers look alike.

A paper holds words in one language; the numbers behind it stand in its document, for programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Which paper it is."""

    REGISTER = "register"
    REPORT = "report"
    BREACH = "breach"


@dataclass(frozen=True)
class Gap:
    """Something that only the organisation knows and has not said yet; `key` is what it sets."""

    key: str
    question: str


Value = str | Gap


@dataclass(frozen=True)
class Text:
    """A paragraph; `look` is "", "lede" or "warning"."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Fields:
    """Names with their values."""

    rows: tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class Grid:
    """A table; `numbers` are the columns that hold numbers, counted from 0; `total` may be ()."""

    titles: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    numbers: frozenset[int] = frozenset()
    total: tuple[str, ...] = ()


@dataclass(frozen=True)
class Points:
    """A list of sentences; with `ticks` each has a box to be ticked with a pen."""

    items: tuple[str, ...]
    ticks: bool = False


@dataclass(frozen=True)
class Letter:
    """A text that stands as it is, such as a draft or a frozen wording, in a language."""

    text: str
    language: str


Block = Text | Fields | Grid | Points | Letter


@dataclass(frozen=True)
class Section:
    """A part of a paper; `source` is what asks for it, as in "GDPR art. 30(1)(a)"."""

    title: str
    blocks: tuple[Block, ...]
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Paper:
    """One paper, in words; `document` is the same for programs, in JSON's own types."""

    kind: Kind
    language: str
    title: str
    subtitle: str
    sections: tuple[Section, ...]
    made_at: datetime
    made_line: str
    foot: str
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return what is still to be filled in, each once, in its order."""
        return tuple(dict.fromkeys(self._gaps()))

    def _gaps(self) -> Iterator[Gap]:
        for section in self.sections:
            for block in section.blocks:
                rows = block.rows if isinstance(block, Fields | Grid) else ()
                for row in rows:
                    yield from (cell for cell in row if isinstance(cell, Gap))
