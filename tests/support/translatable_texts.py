"""What modules say to admins, read from their source: what the catalogues have to hold, and cannot.

A text is a `LazyText`, or what an error of ours is raised with; see repermit.i18n.lazy_text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from repermit.errors import RepermitError

ROOT = Path(__file__).parents[2]

# What no page shows: the commands, and what only they use.
_COMMANDS = (
    "cli/",
    "demo/",
    "archives/",
    "backups/",
    "db/migrations.py",
    "settings/config_file.py",
)
# Errors that are not said in words of their own: they hold what was said, or no page shows them.
_OTHERWISE = {
    *("ChoiceRefused", "DatabaseBusy", "LaunchRefused", "LinkError", "MailTooLarge"),
    "WordingError",
}
_SAYING = {"LazyText"}


def said() -> list[str]:
    """Return what has to be translated: what is said, without what the command line adds."""
    found: list[str] = []
    for _, call in _calls():
        texts = [str(node.value) for node in _sayings(call) if isinstance(node, ast.Constant)]
        found += filter(None, texts)
    return found


def unsayable() -> list[str]:
    """Return where something is said that no catalogue can hold, since it is made up there."""
    return [
        f"{path}:{call.lineno}"
        for path, call in _calls()
        for node in _sayings(call)
        if path != "errors.py" and not _is_text(node) and not _is_said(node, path)
    ]


def codes() -> set[str]:
    """Return the codes by which pages show what is said at a field, or link to another page."""
    return {_code(call) for _, call in _calls()} - {""}


def _code(call: ast.Call) -> str:
    given = [word.value for word in call.keywords if word.arg == "code"]
    return "".join(str(node.value) for node in given if isinstance(node, ast.Constant))


@cache
def _calls() -> list[tuple[str, ast.Call]]:
    """Return every call by which something is said, with the file that it stands in."""
    found: list[tuple[str, ast.Call]] = []
    for path, tree in _sources().items():
        names = _names() & _imported(tree)
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        found += [(path, call) for call in calls if _name(call.func) in names]
    return found


@cache
def _sources() -> dict[str, ast.Module]:
    paths = sorted((ROOT / "repermit").rglob("*.py"))
    inside = {path: str(path.relative_to(ROOT / "repermit")) for path in paths}
    return {
        name: ast.parse(path.read_text("utf-8"))
        for path, name in inside.items()
        if not name.startswith(_COMMANDS)
    }


def _imported(tree: ast.Module) -> set[str]:
    """Return what a file has of errors and saying; mailer has a Refused of its own."""
    return {
        one.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module in {"repermit.errors", "repermit.i18n.lazy_text"}
        for one in node.names
    }


@cache
def _names() -> set[str]:
    return {kind.__name__ for kind in _kinds(RepermitError)} - _OTHERWISE | _SAYING


def _kinds(kind: type[RepermitError]) -> Iterator[type[RepermitError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)


def _sayings(call: ast.Call) -> list[ast.expr]:
    """Return what in a call is said."""
    name = _name(call.func)
    words = {word.arg: word.value for word in call.keywords}
    if name in {"TransportError", "OutcomeUnknown"}:
        return [words["reason"]] if "reason" in words else []
    expected = [words["expected"]] if name == "ListFileError" and "expected" in words else []
    return [*call.args[:1], *expected]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_said(node: ast.expr, path: str) -> bool:
    """Say whether it was said before: here, by a function of this file, or under a name."""
    if isinstance(node, ast.Call):
        return _name(node.func) in _SAYING | _given(path)
    return _name(node) in _given(path) | _constants()


@cache
def _given(path: str) -> set[str]:
    """Return the names of what is said in a file, also of functions and what they are given."""
    found: set[str] = set()
    for node in ast.walk(_sources()[path]):
        if isinstance(node, ast.FunctionDef) and node.returns and _name(node.returns) == "LazyText":
            found.add(node.name)
        elif isinstance(node, ast.arg) and node.annotation and _name(node.annotation) == "LazyText":
            found.add(node.arg)
    return found | _assigned(_sources()[path], found)


@cache
def _constants() -> set[str]:
    return {
        name for tree in _sources().values() for name in _assigned(tree, set()) if name.isupper()
    }


def _assigned(tree: ast.Module, functions: set[str]) -> set[str]:
    """Return the names under which something that was said is kept."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Call) and _name(one.func) in _SAYING | functions
            for one in (node.value, getattr(node.value, "orelse", None))
        ):
            found |= set(map(_name, node.targets))
    return found


def _name(node: ast.expr) -> str:
    """Return a name, the last of several with dots, "" for what has none."""
    return getattr(node, "id", getattr(node, "attr", ""))
