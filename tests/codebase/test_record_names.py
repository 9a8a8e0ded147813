"""Every event of the record, and every name in its parts, is explained in the proof format."""

from __future__ import annotations

import ast
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from repermit.evidence.entries import EVENTS, PARTS
from tests.support.kept_database import load_kept_database

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/proof-format.md").read_text("utf-8")
GOLDEN = ROOT / "tests/golden/master/database/evidence_part.jsonl"
SOURCES = [path.read_text("utf-8") for path in sorted((ROOT / "repermit").rglob("*.py"))]


def rows_below(heading: str) -> dict[str, str]:
    """Return the rows of the table below a heading: each name to what is said of it."""
    text = PAGE.partition(f"### {heading}\n")[2].partition("\n#")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*) \|$", text, re.MULTILINE)
    return {name: said for names, said in rows for name in re.findall(r"`(\w+)`", names)}


EXPLAINED_EVENTS = rows_below("The events")
EXPLAINED = {part: rows_below(f"The names in a part `{part}`") for part in PARTS}


def unexplained(part: str, content: Mapping[str, Any]) -> list[str]:
    """Return the names of a part that the page does not explain, those within values too.

    Where there is one value for each of something, such as a language, these are no names.
    """
    found = []
    for name, value in content.items():
        said = EXPLAINED[part].get(name)
        if said is None:
            found.append(name)
        elif "one for each" not in said:
            within = [f"{name}.{one}" for one in names_within(value) if f"`{one}`" not in said]
            found += within
    return found


def names_within(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        value = value.values()
    elif not isinstance(value, list):
        return
    for one in value:
        yield from names_within(one)


def test_a_name_that_is_not_explained_is_found() -> None:
    assert unexplained("trace", {"network": "", "referrer": ""}) == ["referrer"]
    openings = {"yes": {"first_at": "", "times": 1}}
    assert unexplained("trace", {"openings": openings}) == ["openings.times"]
    assert unexplained("consent", {"fates": {"ask": 1}}) == []


def test_every_event_is_explained() -> None:
    gone = {name for name, said in EXPLAINED_EVENTS.items() if said.startswith("Not written any")}
    assert EXPLAINED_EVENTS.keys() - gone == EVENTS
    assert gone == {"opted_out"}


def parts_of_golden_campaign() -> Iterable[tuple[str, str]]:
    rows = map(json.loads, GOLDEN.read_text("utf-8").splitlines())
    return [(row["part"], row["json"]) for row in rows]


def parts_of_kept_database(folder: Path) -> Iterable[tuple[str, str]]:
    path = folder / "kept.db"
    load_kept_database(f"sqlite:///{path}")
    with sqlite3.connect(path) as opened:
        return opened.execute("SELECT part, json FROM evidence_part").fetchall()


@pytest.mark.parametrize("version", ["of today", "24"])
def test_every_name_of_a_whole_campaign_is_explained(version: str, tmp_path: Path) -> None:
    rows = parts_of_golden_campaign() if version != "24" else parts_of_kept_database(tmp_path)
    found = {(part, name) for part, text in rows for name in unexplained(part, json.loads(text))}
    assert found == set()


def test_every_name_that_the_code_writes_is_explained() -> None:
    """Also those that no campaign has, such as what a restored backup tells."""
    written = {pair for source in SOURCES for pair in written_names(ast.parse(source))}
    assert {part for part, _ in written} == set(PARTS)
    assert ("consent", "continues") in written
    assert [(part, name) for part, name in sorted(written) if name not in EXPLAINED[part]] == []


def written_names(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the part and each name that the calls of a module give an entry."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for call in ast.walk(function):
            if isinstance(call, ast.Call):
                for part, value in parts_given(call):
                    yield from ((part, name) for name in keys_of(value, function, functions))


def parts_given(call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a call gives an entry, with the part that it is for."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    appends = called.endswith("append_entry")
    for one in call.keywords:
        if one.arg in PARTS:
            yield str(one.arg), one.value
        elif appends and one.arg == "facts":
            yield "consent", one.value
    if appends:
        yield from (("consent", one) for one in call.args)


def keys_of(
    value: ast.expr, function: ast.FunctionDef, functions: Sequence[ast.FunctionDef]
) -> Iterator[str]:
    """Yield the names of a dictionary, as far as they stand in the module that makes it."""
    if isinstance(value, ast.Dict):
        yield from (
            one.value
            for one in value.keys
            if isinstance(one, ast.Constant) and isinstance(one.value, str)
        )
    for one, its_function in makers_of(value, function, functions):
        yield from keys_of(one, its_function, functions)
    if isinstance(value, ast.Name):
        yield from re.findall(rf"\b{value.id}\['(\w+)'\] = ", ast.unparse(function))


def makers_of(
    value: ast.expr, function: ast.FunctionDef, functions: Sequence[ast.FunctionDef]
) -> list[tuple[ast.expr, ast.FunctionDef]]:
    """Return the expressions that a dictionary is made of, each with where it stands."""
    match value:
        case ast.Dict():
            pairs = zip(value.keys, value.values, strict=True)
            return [(one, function) for key, one in pairs if key is None]
        case ast.BinOp(left=left, right=right):
            return [(left, function), (right, function)]
        case ast.IfExp(body=left, orelse=right):
            return [(left, function), (right, function)]
        case ast.BoolOp(values=values):
            return [(one, function) for one in values]
        case ast.Name(id=name):
            nodes = ast.walk(function)
            return [(one, function) for node in nodes for one in values_set(node, name)]
        case ast.Call(func=ast.Name(id=name)):
            called = [one for one in functions if one.name == name]
            return [
                (node.value, one)
                for one in called
                for node in ast.walk(one)
                if isinstance(node, ast.Return) and node.value
            ]
    return []


def values_set(node: ast.AST, name: str) -> list[ast.expr]:
    """Return what a statement sets a variable of this name to."""
    match node:
        case ast.Assign(targets=targets, value=value) if name in map(ast.unparse, targets):
            return [value]
        case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value) if target == name:
            return [value]
        case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
            return [value]
    return []


def test_every_name_that_is_explained_stands_in_the_code() -> None:
    words = {word for source in SOURCES for word in re.findall(r"\w+", source)}
    names = {name for explained in EXPLAINED.values() for name in explained}
    assert {name for name in names - words if not name.startswith("before_")} == set()
