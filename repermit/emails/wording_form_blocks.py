"""Splitting a text template into blocks for a form: editable headings and words, and fixed lines.

In the words a field is shown as a label in brackets, such as [last day].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from repermit.emails.allowed_html import FIELD


class BlockKind(StrEnum):
    """The kind of a block: a title, a heading, words, or fixed lines, which have fields only."""

    TITLE = "title"
    HEADING = "heading"
    WORDS = "words"
    FIXED = "fixed"


@dataclass(frozen=True, kw_only=True)
class Block:
    """A part of a text template, without the marks of headings.

    - `gap`: how many line ends follow it.
    """

    kind: BlockKind
    text: str
    gap: int

    @property
    def fields(self) -> list[str]:
        """Return the names of its fields, in order."""
        return FIELD.findall(self.text)


FIXED_FIELDS = frozenset(
    {
        "explicit_consent", "greeting", "me_url", "no_label", "no_url", "objection",
        "organisation", "privacy_url", "reason", "silence", "stop", "yes_label", "yes_url",
    }
)  # fmt: skip
"""The fields that make a fixed block if they are alone in a line."""

_MARKS = {BlockKind.TITLE: "# ", BlockKind.HEADING: "## "}
_FIXED_LINE = re.compile(r"(?:- )?\{\{ (\w+) \}\}")
_RULE = re.compile(r"-{3,}")
_ANSWERS = frozenset({"yes_label", "yes_url", "no_label", "no_url"})
_BRACKETS = re.compile(r"\[([^\[\]\n]*)\]")


def split_wording(text: str) -> list[Block] | None:
    """Return the blocks of a text template; None if joining them would not give the same text.

    An empty block of words is inserted between two fixed blocks, to be filled in.
    """
    blocks = list(_make_blocks(text.split("\n")))
    return blocks if join_blocks(blocks) == text else None


def join_blocks(blocks: Iterable[Block]) -> str:
    """Return the text template of these blocks, without empty ones."""
    text, gap = "", 0
    for block in blocks:
        block_text = block.text.strip("\n")
        if not block_text.strip():
            gap = max(gap, block.gap)
            continue
        heading_mark = _MARKS.get(block.kind, "")
        if text:
            # Words that were added between two blocks become a paragraph.
            text += "\n" * (gap or 2)
        text, gap = f"{text}{heading_mark}{block_text}", block.gap
    return text + "\n" * gap


def _make_blocks(lines: Sequence[str]) -> Iterator[Block]:
    blocks = list(_group_lines(lines))
    for block, next_block in pairwise([*blocks, None]):
        assert block is not None  # noqa: S101  only the last is followed by none
        yield block
        if next_block and block.kind == next_block.kind == BlockKind.FIXED:
            yield Block(kind=BlockKind.WORDS, text="", gap=0)


def _group_lines(lines: Sequence[str]) -> Iterator[Block]:
    """Yield a block for each run of lines of one kind; the two answers are one block."""
    start = 0
    keys = _find_kinds(lines)
    for (kind, _), group in groupby(keys):
        length = len(list(group))
        block_lines = lines[start : start + length]
        start += length
        body = "\n".join(block_lines).rstrip("\n")
        # No line end follows the last line.
        gap = len("\n".join(block_lines)) - len(body) + (start < len(lines))
        yield Block(kind=kind, text=body.removeprefix(_MARKS.get(kind, "")), gap=gap)


def _find_kinds(lines: Sequence[str]) -> Iterator[tuple[BlockKind, int]]:
    """Yield the kind of each line, and a number that changes at the start of each block.

    Empty lines belong to the block before them.
    """
    kind, number, answers = BlockKind.WORDS, 0, False
    for line in lines:
        if line:
            match = _FIXED_LINE.fullmatch(line)
            previous_kind, were_answers = kind, answers
            kind = _find_kind(line)
            answers = bool(match and match[1] in _ANSWERS)
            is_same = kind == previous_kind == BlockKind.WORDS or (answers and were_answers)
            number += not is_same
        yield kind, number


def _find_kind(line: str) -> BlockKind:
    for kind, heading_mark in _MARKS.items():
        if line.startswith(heading_mark):
            return kind
    match = _FIXED_LINE.fullmatch(line)
    is_fixed = _RULE.fullmatch(line) or (match and match[1] in FIXED_FIELDS)
    return BlockKind.FIXED if is_fixed else BlockKind.WORDS


# --- Fields in brackets. --------------------------------------------------------------------------


def write_labels(template: str, labels: Mapping[str, str]) -> str | None:
    """Return a template with its fields as labels in brackets.

    Returns None if a field has no label, or is written in another form than {{ name }}.
    """
    written = re.sub(
        r"\{\{ (\w+) \}\}",
        lambda match: f"[{labels[match[1]]}]" if match[1] in labels else match[0],
        template,
    )
    return None if "{{" in written else written


def read_labels(text: str, labels: Iterable[Mapping[str, str]]) -> str:
    """Return a text with fields for the labels in brackets.

    - `labels`: the labels by field, for each language.
    """
    names = {_fold(label): name for language in labels for name, label in language.items()}
    return _BRACKETS.sub(
        lambda match: (
            f"{{{{ {names[_fold(match[1])]} }}}}" if _fold(match[1]) in names else match[0]
        ),
        text,
    )


def find_brackets(text: str) -> list[str]:
    """Return the texts in brackets."""
    return _BRACKETS.findall(text)


def _fold(label: str) -> str:
    return " ".join(label.casefold().split())
