"""Which tests have their lines counted; a plugin of pytest, which conftest registers.

Python 3.11 is several times slower while lines are counted, in libraries too, so what goes the same
ways through the code is counted once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from os import environ
from typing import Any

import coverage
import pytest

# By it coverage tells the processes that a test starts to count too (its patch "subprocess"); it
# puts it back by itself when it goes on.
_TOLD = "COVERAGE_PROCESS_CONFIG"


class Counting:
    """Counts what runs on both databases on SQLite alone, and of some tests one example.

    A test is left out once its like was counted in this same process: so nothing is lost that is
    done once a process, such as importing a module, and in no order of the tests.

    `running` returns the coverage that counts at the moment; there may be another below it.
    """

    def __init__(
        self,
        running: Callable[[], coverage.Coverage | None] = coverage.Coverage.current,
        environment: MutableMapping[str, str] = environ,
    ) -> None:
        self._running = running
        self._environment = environment
        self._counted: set[str] = set()
        self._resting: list[coverage.Coverage] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        """Leave out what is made ready for a test that is left out."""
        with self._counting_if_due(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Leave out a test whose like was counted, and remember one that was."""
        with self._counting_if_due(item):
            result = yield
        self._counted.add(kind_of(item))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        """Count what is made ready for several tests, whichever of them comes first."""
        if fixturedef.scope == "function" or not self._resting:
            return (yield)
        self._go_on()
        try:
            return (yield)
        finally:
            self._rest()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, object, object]:
        """Count what a module does when it is imported, not how pytest gathers its tests."""
        if isinstance(collector, pytest.Module):
            # It is imported now; if that fails, it is tried and told once more below.
            with suppress(Exception):
                _ = collector.obj
        with self.resting():
            return (yield)

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Count nothing meanwhile."""
        self._rest()
        try:
            yield
        finally:
            self._go_on()

    @contextmanager
    def _counting_if_due(self, item: pytest.Item) -> Iterator[None]:
        if kind_of(item) in self._counted or item.get_closest_marker("uncounted"):
            with self.resting():
                yield
        elif item.get_closest_marker("processes_uncounted"):
            with self._telling_nobody():
                yield
        else:
            yield

    @contextmanager
    def _telling_nobody(self) -> Iterator[None]:
        told = {_TOLD: self._environment.pop(_TOLD)} if _TOLD in self._environment else {}
        try:
            yield
        finally:
            self._environment.update(told)

    def _rest(self) -> None:
        # A worker has two: one from its beginning as a process, and one of its own as a worker.
        while running := self._running():
            running.stop()
            self._resting.append(running)
        self._environment.pop(_TOLD, None)

    def _go_on(self) -> None:
        while self._resting:
            self._resting.pop().start()


def kind_of(item: pytest.Item) -> str:
    """Return what all tests have in common of which one is to be counted."""
    if item.get_closest_marker("counted_on_both"):
        return item.nodeid
    if item.get_closest_marker("counted_first"):
        return item.nodeid.partition("[")[0]
    return item.nodeid.replace("postgresql", "sqlite")
