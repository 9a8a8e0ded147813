"""Write the figures of the code, before it was made plain and now, into docs/develop/figures.md.

`python -m tests.figures` measures this tree and, by `git archive`, that of the commit before.
"""

from __future__ import annotations

import ast
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/develop/figures.md"
BEFORE = "857b5f4"

_TABLES = "<!-- python -m tests.figures writes what follows. -->\n"


@dataclass(frozen=True)
class Figures:
    """The figures of one tree; `packages` and `tests` have the modules and lines of each folder."""

    rows: dict[str, int | str]
    packages: dict[str, tuple[int, int]]
    tests: dict[str, tuple[int, int]]


def measure(root: Path) -> Figures:
    """Return the figures of a tree that holds `repermit/` and `tests/`."""
    package = root / "repermit"
    sources = {path: path.read_text("utf-8") for path in sorted(package.rglob("*.py"))}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    packages = count_by_folder(package, sources)
    tests = count_by_folder(
        root / "tests",
        {path: path.read_text("utf-8") for path in sorted((root / "tests").rglob("*.py"))},
    )
    names = Counter(path.name for path in sources if path.name != "__init__.py")
    shared = [count for count in names.values() if count > 1]
    functions = [lines for tree in trees.values() for lines in measure_functions(tree)]
    all_lines = sum(map(count_lines, sources.values()))
    prose = sum(count_prose(source, trees[path]) for path, source in sources.items())
    rows: dict[str, int | str] = {
        "lines of Python": all_lines,
        "of them blank": sum(
            not line.strip() for source in sources.values() for line in source.splitlines()
        ),
        "modules": len(sources),
        "modules of under 60 lines": sum(
            count_lines(source) < 60
            for path, source in sources.items()
            if path.name != "__init__.py"
        ),
        "functions": len(functions),
        "lines of a function, median": int(statistics.median(functions)),
        "lines of a function, 90th percentile": int(statistics.quantiles(functions, n=10)[-1]),
        "dataclasses": sum(source.count("\n@dataclass") for source in sources.values()),
        "names handed on by `__init__` files": sum(
            len(node.names)
            for path, tree in trees.items()
            if path.name == "__init__.py"
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        ),
        "file names that several modules share": len(shared),
        "modules with such a name": sum(shared),
        "modules named by one word in -ing": sum(
            path.stem.endswith("ing") and "_" not in path.stem for path in sources
        ),
        "share of docstrings and comments": f"{prose / all_lines:.0%}",
        "lines of tests": sum(lines for _, lines in tests.values()),
    }
    return Figures(rows, packages, tests)


def count_by_folder(top: Path, sources: dict[Path, str]) -> dict[str, tuple[int, int]]:
    """Return the modules and lines of each folder in `top`, and of those beside them."""
    counted: dict[str, tuple[int, int]] = {}
    for path, source in sources.items():
        name = path.relative_to(top).parts[0] if path.parent != top else "(top)"
        modules, lines = counted.get(name, (0, 0))
        counted[name] = (modules + 1, lines + count_lines(source))
    return counted


def count_lines(source: str) -> int:
    """Return how many lines a source has."""
    return len(source.splitlines())


def measure_functions(tree: ast.Module) -> list[int]:
    """Return how many lines each function has, from `def` to its end, without its docstring."""
    return [
        (node.end_lineno or node.lineno) - node.lineno + 1 - _count_docstring(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    ]


def count_prose(source: str, tree: ast.Module) -> int:
    """Return how many lines of a source are docstrings, or comments alone."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = sum(
        _count_docstring(node) for node in ast.walk(tree) if isinstance(node, documented)
    )
    return docstrings + sum(line.lstrip().startswith("#") for line in source.splitlines())


def _count_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> int:
    if ast.get_docstring(node, clean=False) is None:
        return 0
    statement = node.body[0]
    return (statement.end_lineno or statement.lineno) - statement.lineno + 1


def measure_commit(commit: str) -> Figures:
    """Return the figures of a commit of this repository."""
    archive = subprocess.run(
        ["git", "archive", commit, "repermit", "tests"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        return measure(Path(folder))


def write_tables(before: Figures, now: Figures) -> str:
    """Return both trees' figures as tables."""
    lines = [f"| | {BEFORE} | now |", "|---|--:|--:|"]
    lines += [
        f"| {name} | {_format(before.rows[name])} | {_format(value)} |"
        for name, value in now.rows.items()
    ]
    for name in ("packages", "tests"):
        folders = (sorted(getattr(figures, name).items()) for figures in (before, now))
        lines += [
            "",
            f"| {name}, {BEFORE} | modules | lines | {name}, now | modules | lines |",
            "|---|--:|--:|---|--:|--:|",
            *(
                f"| {_format_folder(old)} | {_format_folder(new)} |"
                for old, new in zip_longest(*folders)
            ),
        ]
    return "\n".join(lines) + "\n"


def _format(value: int | str) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _format_folder(folder: tuple[str, tuple[int, int]] | None) -> str:
    if folder is None:
        return "| |"
    name, (modules, lines) = folder
    return f"`{name}` | {modules} | {lines:,}"


def main() -> int:
    """Write the page."""
    head, _, _ = PAGE.read_text("utf-8").partition(_TABLES)
    tables = write_tables(measure_commit(BEFORE), measure(ROOT))
    PAGE.write_text(f"{head}{_TABLES}\n{tables}", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
