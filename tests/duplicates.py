"""List the pairs of places that share six or more lines of one shape.

`python -m tests.duplicates` compares them with docs/develop/duplicates.md: it prints the pairs that
are not listed there, and those that are listed and no longer found. Its exit status is then 1.

A line's shape is what is left of it without names, strings and numbers. What functions and
templates say is compared, without blank lines, comments, docstrings and lone brackets; what classes
and modules declare is not. A run of three shapes or fewer, such as a list of arguments, does not
count.
"""

from __future__ import annotations

import ast
import io
import keyword
import re
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/develop/duplicates.md"

_RUN_LENGTH = 6
_MIN_SHAPES = 4
# A run that stands in more places is a habit of the language.
_MAX_PLACES = 8
_SKIPPED_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_TEMPLATE_PART = re.compile(r"\"[^\"]*\"|'[^']*'|\w+|\S")
_LISTED_PAIR = re.compile(r"^- `([^`]+)` ~ `([^`]+)`$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """The lines of a file that count: the number of each, and its shape."""

    name: str
    numbers: tuple[int, ...]
    shapes: tuple[str, ...]
    scopes: tuple[tuple[int, int, str], ...]

    def name_place(self, first: int, last: int) -> str:
        """Return the file with the functions and classes that have some of these lines."""
        names = [name for begin, end, name in self.scopes if begin <= last and first <= end]
        return f"{self.name}: {', '.join(names)}" if names else self.name


def read_python(path: Path, name: str) -> Source:
    """Read a module."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    lines = set(_iter_body_lines(tree))
    tokens: dict[int, list[str]] = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _SKIPPED_TOKENS and token.start[0] in lines:
            tokens[token.start[0]].append(_make_shape(token))
    return _make_source(name, tokens, tuple(_iter_scopes(tree)))


def read_template(path: Path, name: str) -> Source:
    """Read a template."""
    tokens = {
        number: [
            part if len(part) == 1 and not part.isalnum() else "name"
            for part in _TEMPLATE_PART.findall(line)
        ]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
    }
    return _make_source(name, tokens, ())


def _make_source(
    name: str, tokens: dict[int, list[str]], scopes: tuple[tuple[int, int, str], ...]
) -> Source:
    shapes = {number: " ".join(parts) for number, parts in sorted(tokens.items())}
    counted = {number: shape for number, shape in shapes.items() if re.search(r"\w", shape)}
    return Source(name, tuple(counted), tuple(counted.values()), scopes)


def _make_shape(token: tokenize.TokenInfo) -> str:
    if token.type == tokenize.NAME:
        return token.string if keyword.iskeyword(token.string) else "name"
    return {tokenize.STRING: "text", tokenize.NUMBER: "number"}.get(token.type, token.string)


def _iter_body_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if body:
                yield from range(body[0].lineno, (node.end_lineno or node.lineno) + 1)


def _iter_scopes(node: ast.AST, prefix: str = "") -> Iterator[tuple[int, int, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _iter_scopes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef):
            yield child.lineno, child.end_lineno or child.lineno, prefix + child.name


def find_pairs(sources: Iterable[Source]) -> set[tuple[str, str]]:
    """Return the pairs of places, each named by its functions or classes."""
    places = defaultdict(list)
    for source in sources:
        for start in range(len(source.shapes) - _RUN_LENGTH + 1):
            run = source.shapes[start : start + _RUN_LENGTH]
            if len(set(run)) >= _MIN_SHAPES:
                places[run].append((source, start))
    starts: dict[tuple[str, str, int], list[tuple[Source, Source, int]]] = defaultdict(list)
    for found in places.values():
        if len(found) <= _MAX_PLACES:
            for (left, first), (right, second) in combinations(found, 2):
                if left is not right or second - first >= _RUN_LENGTH:
                    starts[left.name, right.name, second - first].append((left, right, first))
    return {
        pair for (*_, offset), runs in starts.items() for pair in _iter_named_pairs(runs, offset)
    }


def _iter_named_pairs(
    runs: list[tuple[Source, Source, int]], offset: int
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of names, in which runs that overlap are one."""
    groups: list[list[int]] = []
    for start in sorted(first for *_, first in runs):
        if groups and start <= groups[-1][-1] + 1:
            groups[-1].append(start)
        else:
            groups.append([start])
    left, right, _ = runs[0]
    for group in groups:
        yield _name_run(left, right, group[0], group[-1] + _RUN_LENGTH - 1, offset)


def _name_run(left: Source, right: Source, first: int, last: int, offset: int) -> tuple[str, str]:
    one = left.name_place(left.numbers[first], left.numbers[last])
    other = right.name_place(right.numbers[first + offset], right.numbers[last + offset])
    return (one, other) if one <= other else (other, one)


def read_sources() -> tuple[list[Source], list[Source]]:
    """Return the modules and the templates."""
    package, templates = ROOT / "repermit", ROOT / "templates"
    modules = [
        read_python(path, str(path.relative_to(package))) for path in sorted(package.rglob("*.py"))
    ]
    pages = [
        read_template(path, str(path.relative_to(templates)))
        for path in sorted(templates.rglob("*.*"))
        if path.suffix in {".html", ".jinja", ".txt"}
    ]
    return modules, pages


def read_listed_pairs() -> set[tuple[str, str]]:
    """Return the pairs that the document lists."""
    return set(_LISTED_PAIR.findall(DOCUMENT.read_text("utf-8")))


def main() -> int:
    """Compare what is found with what is listed."""
    modules, pages = read_sources()
    found = find_pairs(modules) | find_pairs(pages)
    listed = read_listed_pairs()
    for one, other in sorted(found - listed):
        sys.stdout.write(f"- `{one}` ~ `{other}`\n")
    for one, other in sorted(listed - found):
        sys.stdout.write(f"listed, and not found: `{one}` ~ `{other}`\n")
    return int(found != listed)


if __name__ == "__main__":
    sys.exit(main())
