"""Rules on the layout of the code that no tool checks by itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import repermit
from tests import architecture

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "repermit"
MODULES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

# What tells the time of day, by the names under which Python has it.
CLOCK_CALLS = {"now", "utcnow", "today", "time", "time_ns", "localtime", "gmtime"}

# Which outside library is for which packages alone; all others get its results as values.
RESERVED = {
    "flask": {"web", "demo", "smtp"},
    "flask_babel": {"web"},
    "flask_mail": {"smtp"},
    "msal": {"smtp"},
    "apscheduler": {"jobs"},
    "click": {"cli", "demo"},
    "email_validator": {"email_address"},
    "flufl": {"bounces"},
    "dns": {"checks"},
}
# The packages below the tables are pure: they know no database.
DATABASES = {"peewee", "playhouse", "psycopg", "sqlite3"}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def package_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def nodes_of(source: str) -> list[ast.AST]:
    return list(ast.walk(parse(source)))


def clock_reads(source: str) -> list[str]:
    """Return what in a module reads the time of day, as it is written."""
    calls = [node.func for node in nodes_of(source) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call, ast.Attribute) and call.attr in CLOCK_CALLS]
    return [
        ast.unparse(call)
        for call in named
        if ast.unparse(call.value).rpartition(".")[2] in {"datetime", "date", "time"}
    ]


def imported_by(source: str) -> set[str]:
    """Return the top-level packages that a module imports, also inside its functions."""
    names: set[str] = set()
    for node in nodes_of(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def lazy_loops(source: str) -> list[str]:
    """Return over which queries a module loops whose rows it has not read before."""
    loops = [node.iter for node in nodes_of(source) if isinstance(node, ast.For)]
    return [ast.unparse(rows) for rows in loops if is_query(rows)]


def is_query(node: ast.expr) -> bool:
    """Say whether an expression is a query, but for one that is read on purpose as it goes."""
    calls = set()
    while isinstance(node, ast.Call | ast.Attribute):
        if isinstance(node, ast.Attribute):
            calls.add(node.attr)
            node = node.value
        else:
            node = node.func
    of_a_table = isinstance(node, ast.Name) and node.id != "self"
    return of_a_table and "select" in calls and "iterator" not in calls


def docstring_of(source: str) -> str:
    return ast.get_docstring(parse(source)) or ""


def layers_of_the_contract() -> list[set[str]]:
    """Return the layers as the contract has them, highest first, each a set of packages."""
    (contract,) = PROJECT["tool"]["importlinter"]["contracts"]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def drawn_layers(text: str) -> list[set[str]]:
    """Return the layers that a page draws in a fenced block, in the form of the contract."""
    block = re.search(r"^```\w*\n(cli\b.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = block[1].splitlines() if block else []
    # What stands beside a layer, behind two spaces, explains it.
    return [set(re.findall(r"\w+", line.split("  ")[0])) for line in lines]


# Each of these goes over all modules by itself, and says at the end which are not as they should:
# to begin a test takes longer than to look at a module.


def test_the_clock_is_read_in_clock_alone() -> None:
    reads = {name_of(path): clock_reads(path.read_text("utf-8")) for path in MODULES}
    assert {name: found for name, found in reads.items() if found} == {
        "repermit.clock": ["datetime.now"]
    }


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("datetime.datetime.now(UTC)", ["datetime.datetime.now"]),
        ("def f():\n  return date.today()", ["date.today"]),
        ("time.time()", ["time.time"]),
        ("clock.now()", []),
        ("time.monotonic()", []),
        ("datetime.time(12)", ["datetime.time"]),
    ],
)
def test_a_reading_of_the_clock_is_noticed(source: str, found: list[str]) -> None:
    assert clock_reads(source) == found


def test_a_library_is_used_where_it_belongs_alone() -> None:
    assert [
        (name_of(path), library)
        for path in MODULES
        for library in imported_by(path.read_text("utf-8")) & RESERVED.keys()
        if package_of(path) not in RESERVED[library]
    ] == []


def test_a_package_below_the_tables_knows_no_database() -> None:
    layers = layers_of_the_contract()
    tables = next(number for number, packages in enumerate(layers) if "db" in packages)
    may_know = set.union(*layers[: tables + 1])
    assert [
        name_of(path)
        for path in MODULES
        if package_of(path) not in may_know and imported_by(path.read_text("utf-8")) & DATABASES
    ] == []


def test_the_readers_of_list_files_know_no_database() -> None:
    """A file is read in a process of its own, which has none."""
    readers = sorted((PACKAGE / "imports" / "readers").glob("*.py"))
    assert len(readers) > 5
    knows = {path.stem: re.findall(r"repermit\.db\b", path.read_text("utf-8")) for path in readers}
    assert {name: found for name, found in knows.items() if found} == {}


def test_an_import_is_noticed_wherever_it_stands() -> None:
    source = "import a.b\ndef f():\n    from c.d import e\n    import g as h\n"
    assert imported_by(source) == {"a", "c", "g"}


def test_whoever_loops_over_a_query_has_read_its_rows_before() -> None:
    """SQLite refuses a write at once that begins while an older view of the database is open."""
    loops = {name_of(path): lazy_loops(path.read_text("utf-8")) for path in MODULES}
    assert {name: found for name, found in loops.items() if found} == {}


@pytest.mark.parametrize(
    ("rows", "is_found"),
    [
        ("Mail.select()", True),
        ("Mail.select(Mail.id).where(Mail.id > 1).order_by(Mail.id)", True),
        ("list(Mail.select())", False),
        ("Mail.select().tuples().iterator()", False),
        ("self._selector.select(1)", False),
        ("rows", False),
    ],
)
def test_a_loop_over_a_query_is_noticed(rows: str, is_found: bool) -> None:
    assert bool(lazy_loops(f"for row in {rows}:\n    pass")) is is_found


def test_who_wishes_it_is_erased_in_one_place_which_sees_to_half_taken_in_files_too() -> None:
    """Sweeps erase many at once, by `erase_contacts`."""
    assert [
        name_of(path)
        for path in MODULES
        for node in nodes_of(path.read_text("utf-8"))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "contacts_erasure.erase_contact"
    ] == ["repermit.privacy.forget"]


def names_of(statement: ast.stmt) -> list[str]:
    """Return what a statement of a module gives a name to, for good."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        # One with a decorator may be registered, or overloaded, under the name of another.
        return [] if statement.decorator_list else [statement.name]
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    stored = [node for target in targets for node in ast.walk(target)]
    return [node.id for node in stored if isinstance(node, ast.Name)]


def twice_named(source: str) -> list[str]:
    """Return the names that a module gives twice, of which only the last one holds."""
    given = [name for statement in parse(source).body for name in names_of(statement)]
    return [name for name, count in Counter(given).items() if count > 1]


def test_no_module_gives_a_name_twice() -> None:
    found = {name_of(path): twice_named(path.read_text("utf-8")) for path in MODULES}
    assert {module: names for module, names in found.items() if names} == {}


def test_a_name_that_is_given_twice_is_noticed() -> None:
    source = "_FILE, _MEMORY = 1, 2\n\ndef f(): ...\n\n_MEMORY: int = 1 << 30\ndef f(): ...\n"
    assert twice_named(source) == ["_MEMORY", "f"]


def test_every_module_says_what_lives_there() -> None:
    docstrings = {name_of(path): docstring_of(path.read_text("utf-8")) for path in MODULES}
    assert [name for name, text in docstrings.items() if not text] == []


def test_every_package_stands_in_a_layer() -> None:
    packages = {package_of(path) for path in MODULES} - {"__init__", "__main__"}
    assert packages <= set.union(*layers_of_the_contract())


def test_the_architecture_draws_the_layers_of_the_contract() -> None:
    packages = {package_of(path) for path in MODULES}
    standing = [layer & packages for layer in layers_of_the_contract() if layer & packages]
    assert drawn_layers(architecture.PAGE.read_text("utf-8")) == standing


def test_the_architecture_lists_every_module_and_names_no_other() -> None:
    page = architecture.PAGE.read_text("utf-8")
    assert page == architecture.written(page), "python -m tests.architecture"
    named = set(re.findall(r"`(?!tests/)([\w/]+\.(?:py|toml))(?:: \w+)?`", page))
    named.remove("pyproject.toml")
    assert len(named) > 50
    assert [name for name in sorted(named) if not (PACKAGE / name).exists()] == []


def test_the_architecture_names_a_test_of_each_invariant() -> None:
    page = architecture.PAGE.read_text("utf-8").partition("\n## Invariants\n")[2]
    invariants = re.findall(r"(?m)^([0-9]+)\. ", page.partition("\n## ")[0])
    named = re.findall(r"(?m)^- ([0-9]+): `(tests/[\w/]+\.py)`, `(\w+)`$", page)
    assert [number for number, *_ in named] == invariants
    missing = [
        name
        for _, path, name in named
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_each_function_that_the_architecture_names_is_in_its_file() -> None:
    named = re.findall(r"`([\w/]+\.py): (\w+)`", architecture.PAGE.read_text("utf-8"))
    assert len(named) > 20
    assert [
        (name, function)
        for name, function in named
        if f"def {function}(" not in (PACKAGE / name).read_text("utf-8")
    ] == []


def test_a_flow_is_walked_in_few_files() -> None:
    page = architecture.PAGE.read_text("utf-8")
    flows = page.partition("## Four flows\n")[2].partition("\n## ")[0].split("\n**")[1:]
    counts = [len(set(re.findall(r"`([\w/]+\.py)", flow))) for flow in flows]
    assert len(counts) == 4
    assert all(count <= most for count, most in zip(counts, (44, 18, 21, 10), strict=True)), counts


def test_a_package_says_what_it_is_for_and_hands_nothing_on() -> None:
    """Callers import the module that they mean."""
    assert [
        name_of(path)
        for path in MODULES
        if path.name == "__init__.py"
        and path.parent not in {PACKAGE, PACKAGE / "cli"}
        and len(parse(path.read_text("utf-8")).body) > 1
    ] == []


def test_a_drawn_layer_is_read_with_its_neighbours() -> None:
    page = "text\n```\ncli\nimporting | expiry   use cases\nerrors\n```\n"
    assert drawn_layers(page) == [{"cli"}, {"importing", "expiry"}, {"errors"}]
    assert drawn_layers("no picture") == []


def test_the_wheel_holds_what_the_package_reads(tmp_path: Path) -> None:
    build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run([sys.executable, *build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    folders = ("repermit", "templates", "static")
    read = {path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT) for path in read if "__pycache__" not in path.parts}
    expected = {str(path if path.parts[0] == "repermit" else "repermit" / path) for path in wanted}
    assert expected | {"repermit/config.example.toml"} <= packed
    assert not [name for name in packed if name.endswith((".webp", ".png"))]
    assert wheel.name.startswith(f"repermit-{repermit.__version__}-")
