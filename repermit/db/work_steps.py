"""Work in steps: each a short transaction, sized by the time that the last one took.

No transaction may hold the write lock for more than 50 ms, whatever its work and the size of the
database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repermit.db.connection import (
    Database,
    FairSqliteDatabase,
    analyze_grown_tables,
    has_lock_waiters,
    is_used_by_others,
    read_data_version,
)

_MAX_SECONDS = 0.025
"""Of a step; no transaction may hold the write lock for more than 0.05 s, on a busy machine too."""

_MAX_SECONDS_ALONE = 0.04
"""Of a step while nobody else uses the database: fewer steps write fewer pages."""

FIRST_STEP = 100
"""Rows of the first step."""

LARGEST_STEP = 20_000
"""Rows of a step at most."""

SMALLEST_STEP = 10
"""Rows of a step; fewer take hardly less time, most of which is the commit's."""

_REST_FACTOR = 3
"""How many times as long as a step the rest after it is, in which others have the machine."""

_MAX_REST = 0.15
"""Seconds between two steps at most."""

_INTERVAL = 0.005
"""Seconds between two looks whether anybody waits."""

# A step that found little to do says little of the next, which stays below 0.05 s by this.
_MAX_GROWTH = 1.5
_MAX_SHRINKING = 0.1


def run_counted_steps(
    database: Database,
    step: Callable[[int], tuple[bool, int]],
    *,
    should_stop: Callable[[], bool],
    size: StepSize,
) -> int:
    """Run steps as `run_steps` does, and return the sum of what they did.

    - `step` returns whether there is more, and how much it did.
    """
    total = 0

    def run(limit: int) -> bool:
        nonlocal total
        is_more, count = step(limit)
        total += count
        return is_more

    run_steps(database, run, should_stop=should_stop, size=size)
    return total


def run_steps(
    database: Database,
    step: Callable[[int], bool],
    *,
    should_stop: Callable[[], bool] = bool,
    between: Callable[[], None] = lambda: None,
    most: int | None = None,
    size: StepSize | None = None,
) -> bool:
    """Take the steps of a work of which the database itself says what is left, as `run_task`.

    - `step` takes the next one, of about so many rows, and says whether there is more.
    """
    size = size or StepSize()
    if most is not None:
        size.allow(most)
    rows = 0
    analyze_at = started_at = time.monotonic()
    while not should_stop() and (most is None or rows < most):
        rows += size.rows
        with size.step(database) as limit:
            is_more = step(limit)
        between()
        if not is_more:
            return True
        if time.monotonic() > analyze_at:
            analyze_grown_tables(database)
            # When the work has taken twice as long, the tables are as much larger at most.
            analyze_at = 2 * time.monotonic() - started_at
    return False


class StepSize:
    """How many rows the next step of a work may take, by the time that the last one took.

    Where others have used the database meanwhile, it rests after a step for longer than that took:
    the machine is theirs as much as the work's.

    - `first`: rows of the first step; `most`: rows of each at most.
    - `least`: so few rows take less time than all else in a step, however slow the machine is.
    """

    def __init__(
        self, *, first: int = FIRST_STEP, least: int = SMALLEST_STEP, most: int = LARGEST_STEP
    ) -> None:
        self.rows = min(first, most)
        self._first = first
        self._least = min(least, most)
        self._most = most
        self._seconds = 0.0
        self._seen: int | None = None

    def allow(self, most: int) -> None:
        """Make no step larger than so many rows."""
        self._most = max(1, min(most, self._most))
        self.rows = min(self.rows, self._most)
        self._least = min(self._least, self._most)

    def restart(self) -> int:
        """Begin anew with small steps; return how many rows the first one may take."""
        self.rows = min(self._first, self._most)
        return self.rows

    @contextmanager
    def transaction(self, database: Database) -> Iterator[int]:
        """Begin a transaction for so many rows; its time sizes the next one."""
        with self._timed(database):
            yield self.rows
        self.adapt(self._seconds)

    @contextmanager
    def step(self, database: Database) -> Iterator[int]:
        """Begin the same for a step of a large work, which lets others have the machine."""
        with self._timed(database):
            yield self.rows
        is_shared = self._is_shared(database)
        self.adapt(self._seconds, most=_MAX_SECONDS if is_shared else _MAX_SECONDS_ALONE)
        if is_shared:
            time.sleep(min(_REST_FACTOR * self._seconds, _MAX_REST))
            self._let_others_first(database)

    def _let_others_first(self, database: Database) -> None:
        """On PostgreSQL, begin no step while somebody waits for a lock; of SQLite its lock does."""
        until = time.monotonic() + _MAX_REST
        while has_lock_waiters(database) and time.monotonic() < until:
            time.sleep(_INTERVAL)

    @contextmanager
    def _timed(self, database: Database) -> Iterator[None]:
        with database.atomic():
            began = time.monotonic()
            yield
        # Not what follows the commit, when others have the database already.
        self._seconds = database.committed_at - began

    def _is_shared(self, database: Database) -> bool:
        """Say whether others have used the database since the last step began.

        Of SQLite only those can be seen who have written into its file since the last step.
        """
        if not isinstance(database, FairSqliteDatabase):
            return is_used_by_others(database, self._seconds)
        before, self._seen = self._seen, read_data_version(database)
        return before is not None and self._seen != before

    def adapt(self, seconds: float, *, most: float = _MAX_SECONDS) -> None:
        """Size the next step after one that took so long, its waiting not counted.

        - `most`: seconds that the next one may take.
        """
        factor = most / max(seconds, 1e-6)
        factor = min(max(factor, _MAX_SHRINKING), _MAX_GROWTH)
        self.rows = min(max(int(self.rows * factor), self._least), self._most)
