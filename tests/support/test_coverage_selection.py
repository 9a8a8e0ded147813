"""Whose lines are counted, and whose are not once more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.coverage_selection import Counting

ROOT = Path(__file__).parents[2]
TOLD = "COVERAGE_PROCESS_CONFIG"


class Coverages:
    """Two that stand for coverage.py's: whichever was started last counts."""

    def __init__(self) -> None:
        self.environment = {TOLD: "all of it", "HOME": "/home"}
        self.started: list[Any] = []
        for name in ("of the process", "of the worker"):
            self.start(name)

    def start(self, name: str) -> None:
        one = SimpleNamespace(name=name, start=lambda: self.start(name), stop=self.started.pop)
        self.environment[TOLD] = "all of it"
        self.started.append(one)

    def running(self) -> Any:
        return self.started[-1] if self.started else None

    def counted(self) -> tuple[str, ...]:
        """Return who counts, each one below the next; and who tells new processes to."""
        return (*(one.name for one in self.started), *(("told",) * (TOLD in self.environment)))


EVERYBODY = ("of the process", "of the worker", "told")


@pytest.fixture
def coverages() -> Coverages:
    return Coverages()


@pytest.fixture
def counting(coverages: Coverages) -> Counting:
    return Counting(coverages.running, coverages.environment)


def go(hook: Iterator[None], *, result: object = None) -> object:
    """Go on with a hook behind what it wraps; return what it makes of that."""
    with pytest.raises(StopIteration) as ended:
        cast("Any", hook).send(result)
    return ended.value.value


def run(counting: Counting, coverages: Coverages, name: str, *markers: str) -> bool:
    """Run a test; tell whether it was counted."""
    item: Any = SimpleNamespace(
        nodeid=f"tests/test_x.py::{name}", get_closest_marker=lambda one: one in markers
    )
    seen = set()
    for hook in (counting.pytest_runtest_setup(item), counting.pytest_runtest_call(item)):
        next(hook)
        seen.add(coverages.counted())
        assert go(hook, result="found") == "found"
        assert coverages.counted() == EVERYBODY
    assert seen in ({EVERYBODY}, {()})
    return seen == {EVERYBODY}


def test_what_ran_on_sqlite_is_not_counted_again_on_postgresql(
    counting: Counting, coverages: Coverages
) -> None:
    assert run(counting, coverages, "test_it[sqlite-late]")
    assert not run(counting, coverages, "test_it[postgresql-late]")
    # Another example may go another way, and this one came here alone.
    assert run(counting, coverages, "test_it[postgresql-early]")


def test_what_goes_other_ways_on_postgresql_is_counted_on_both(
    counting: Counting, coverages: Coverages
) -> None:
    assert run(counting, coverages, "test_it[sqlite]", "counted_on_both")
    assert run(counting, coverages, "test_it[postgresql]", "counted_on_both")


def test_of_what_goes_the_same_way_with_each_example_the_first_is_counted(
    counting: Counting, coverages: Coverages
) -> None:
    assert run(counting, coverages, "test_it[postgresql-one]", "counted_first")
    assert not run(counting, coverages, "test_it[sqlite-two]", "counted_first")


def test_what_goes_where_others_go_is_not_counted(counting: Counting, coverages: Coverages) -> None:
    assert not run(counting, coverages, "test_it", "uncounted")


def test_the_processes_of_a_test_go_uncounted_while_it_is_counted_itself(
    counting: Counting, coverages: Coverages
) -> None:
    marked: Any = SimpleNamespace(
        nodeid="tests/test_x.py::test_it",
        get_closest_marker=lambda name: name == "processes_uncounted",
    )
    for hook_of in (counting.pytest_runtest_setup, counting.pytest_runtest_call):
        hook = hook_of(marked)
        next(hook)
        assert coverages.counted() == ("of the process", "of the worker")
        go(hook)
        assert coverages.counted() == EVERYBODY


_WORK = """\
import coverage

counted = coverage.Coverage(data_file=None, config_file="settings.toml")
counted.start()
import work

work.go()
counted.stop()
data = counted.get_data()
print(sorted(line for file in data.measured_files() for line in data.lines(file)))
"""
_FILES = {
    "settings.toml": '[tool.coverage.run]\nplugins = ["tests.support.uncounted"]\nsource = ["."]\n',
    "work.py": "import sys\n\n\ndef go():\n    import further\n\n    return further\n",
    "further.py": "HERE = 1\n",
}


def test_what_a_process_does_is_counted_but_not_what_it_imports(tmp_path: Path) -> None:
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _WORK],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[5, 7]\n"


def test_what_is_made_ready_for_several_tests_is_counted_whoever_comes_first(
    counting: Counting, coverages: Coverages
) -> None:
    def seen(scope: str) -> tuple[str, ...]:
        before = coverages.counted()
        fixture: Any = SimpleNamespace(scope=scope)
        hook = counting.pytest_fixture_setup(fixture)
        next(hook)
        found = coverages.counted()
        assert go(hook, result="made") == "made"
        assert coverages.counted() == before
        return found

    run(counting, coverages, "test_it[sqlite]")
    assert seen("session") == EVERYBODY
    item: Any = SimpleNamespace(
        nodeid="tests/test_x.py::test_it[postgresql]", get_closest_marker=lambda _name: None
    )
    hook = counting.pytest_runtest_setup(item)
    next(hook)
    assert seen("session") == seen("module") == EVERYBODY
    assert seen("function") == ()
    go(hook)


def test_a_module_is_counted_while_it_is_imported_not_while_its_tests_are_gathered(
    counting: Counting, coverages: Coverages, request: pytest.FixtureRequest
) -> None:
    imported = []

    class Gathered(pytest.Module):
        @property  # type: ignore[misc]
        def obj(self) -> None:
            imported.append(coverages.counted())
            raise ImportError

    module: Any = Gathered.from_parent(request.session, path=request.path)
    for collector in (module, request.session):
        hook: Any = counting.pytest_make_collect_report(collector)
        next(hook)
        assert coverages.counted() == ()
        assert go(hook, result="report") == "report"
        assert coverages.counted() == EVERYBODY
    assert imported == [EVERYBODY]
