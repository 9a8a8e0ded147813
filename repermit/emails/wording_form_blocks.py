"""A text template as blocks: headings and words to be changed, and the lines that stay as they are.

Within the words a field stands in brackets, as [last day], and not as a template has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from repermit.emails.allowed_html import FIELD


class BlockKind(StrEnum):
    """What a block is: a title, a heading, words, or lines of fields alone, which are fixed."""

    TITLE = "title"
    HEADING = "heading"
    WORDS = "words"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a text template, without the marks of headings; `gap` line ends follow it."""

    kind: BlockKind
    text: str
    gap: int

    @property
    def fields(self) -> list[str]:
        """Return the names of the fields in it, in their order."""
        return FIELD.findall(self.text)


FIXED_FIELDS = frozenset(
    {
        "explicit_consent", "greeting", "me_url", "no_label", "no_url", "objection",
        "organisation", "privacy_url", "reason", "silence", "stop", "yes_label", "yes_url",
    }
)  # fmt: skip
"""The fields that, alone in a line, make a fixed block."""

_MARKS = {BlockKind.TITLE: "# ", BlockKind.HEADING: "## "}
_FIXED_LINE = re.compile(r"(?:- )?\{\{ (\w+) \}\}")
_RULE = re.compile(r"-{3,}")
_ANSWERS = frozenset({"yes_label", "yes_url", "no_label", "no_url"})
_BRACKETS = re.compile(r"\[([^\[\]\n]*)\]")


def split_wording(text: str) -> list[Block] | None:
    """Return the blocks of a text template; None if they would not give the same text again.

    Between two fixed blocks is one of words, empty, to be filled in.
    """
    blocks = list(_make_blocks(text.split("\n")))
    return blocks if join_blocks(blocks) == text else None


def join_blocks(blocks: Iterable[Block]) -> str:
    """Return the text template of these blocks, without those that are empty."""
    text, gap = "", 0
    for block in blocks:
        words = block.text.strip("\n")
        if not words.strip():
            gap = max(gap, block.gap)
            continue
        mark = _MARKS.get(block.kind, "")
        if text:
            # Words that somebody put between two blocks are a paragraph.
            text += "\n" * (gap or 2)
        text, gap = f"{text}{mark}{words}", block.gap
    return text + "\n" * gap


def _make_blocks(lines: Sequence[str]) -> Iterator[Block]:
    found = list(_group_lines(lines))
    for block, after in pairwise([*found, None]):
        assert block is not None  # noqa: S101  only the last is followed by none
        yield block
        if after and block.kind == after.kind == BlockKind.FIXED:
            yield Block(kind=BlockKind.WORDS, text="", gap=0)


def _group_lines(lines: Sequence[str]) -> Iterator[Block]:
    """Yield blocks of neighbouring lines of one kind, and of the two answers."""
    place = 0
    keys = _find_kinds(lines)
    for (kind, _), group in groupby(keys):
        length = len(list(group))
        part = lines[place : place + length]
        place += length
        body = "\n".join(part).rstrip("\n")
        # The last line ends the text, and not a line.
        gap = len("\n".join(part)) - len(body) + (place < len(lines))
        yield Block(kind=kind, text=body.removeprefix(_MARKS.get(kind, "")), gap=gap)


def _find_kinds(lines: Sequence[str]) -> Iterator[tuple[BlockKind, int]]:
    """Yield the kind of each line, and a number that changes where another block begins.

    Empty lines belong to the block before them.
    """
    kind, number, answers = BlockKind.WORDS, 0, False
    for line in lines:
        if line:
            match = _FIXED_LINE.fullmatch(line)
            before, were_answers = kind, answers
            kind = _find_kind(line)
            answers = bool(match and match[1] in _ANSWERS)
            is_same = kind == before == BlockKind.WORDS or (answers and were_answers)
            number += not is_same
        yield kind, number


def _find_kind(line: str) -> BlockKind:
    for kind, mark in _MARKS.items():
        if line.startswith(mark):
            return kind
    match = _FIXED_LINE.fullmatch(line)
    is_fixed = _RULE.fullmatch(line) or (match and match[1] in FIXED_FIELDS)
    return BlockKind.FIXED if is_fixed else BlockKind.WORDS


# --- Fields in brackets. --------------------------------------------------------------------------


def write_labels(template: str, labels: Mapping[str, str]) -> str | None:
    """Return a template with its fields as labels in brackets.

    None if it has a field without a label, or one that is written otherwise than {{ name }}.
    """
    written = re.sub(
        r"\{\{ (\w+) \}\}",
        lambda match: f"[{labels[match[1]]}]" if match[1] in labels else match[0],
        template,
    )
    return None if "{{" in written else written


def read_labels(text: str, labels: Iterable[Mapping[str, str]]) -> str:
    """Return a text with the labels in brackets, of any of these languages, as fields."""
    names = {_fold(label): name for language in labels for name, label in language.items()}
    return _BRACKETS.sub(
        lambda match: (
            f"{{{{ {names[_fold(match[1])]} }}}}" if _fold(match[1]) in names else match[0]
        ),
        text,
    )


def find_brackets(text: str) -> list[str]:
    """Return what stands in brackets of a text."""
    return _BRACKETS.findall(text)


def _fold(label: str) -> str:
    return " ".join(label.casefold().split())
