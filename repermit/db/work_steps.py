"""Work in steps: each is a short transaction, sized by the time that the last one took.

No transaction may hold the write lock for more than 50 ms, whatever it does and however large the
database is.
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
"""The target time of a step. None may hold the lock for 0.05 s, on a busy machine too."""

_MAX_SECONDS_ALONE = 0.04
"""The target time of a step while nobody else uses the database; fewer steps write fewer pages."""

FIRST_STEP_ROWS = 100
"""The rows of the first step."""

MAX_ROWS_PER_STEP = 20_000
"""The maximum rows of a step."""

MIN_ROWS_PER_STEP = 10
"""The minimum rows of a step; fewer take hardly less time, as the commit takes most of it."""

_PAUSE_FACTOR = 3
"""The length of the pause after a step as a multiple of the step; it leaves time to others."""

_MAX_PAUSE = 0.15
"""The maximum pause between two steps, in seconds."""

_INTERVAL = 0.005
"""Seconds between two checks whether anybody waits for a lock."""

# A step that found little to do predicts the next one badly; these keep that below 0.05 s.
_MAX_GROWTH = 1.5
_MAX_SHRINKING = 0.1


def run_counted_steps(
    database: Database,
    step: Callable[[int], tuple[bool, int]],
    *,
    should_stop: Callable[[], bool],
    size: StepSize,
) -> int:
    """Run steps as `run_steps` does, and return the sum of their counts.

    - `step`: returns whether there is more to do, and the count of the step.
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
    max_rows: int | None = None,
    size: StepSize | None = None,
) -> bool:
    """Run steps until there is no more to do; return False if it was stopped before.

    The database itself must say what is left; see `run_task` for work that needs a state.

    - `step`: does about so many rows in the transaction, and returns whether there is more to do.
    - `between`, `max_rows`: as for `run_task`.
    """
    size = size or StepSize()
    if max_rows is not None:
        size.limit_rows(max_rows)
    rows = 0
    analyze_at = started_at = time.monotonic()
    while not should_stop() and (max_rows is None or rows < max_rows):
        rows += size.rows
        with size.step(database) as limit:
            is_more = step(limit)
        between()
        if not is_more:
            return True
        if time.monotonic() > analyze_at:
            analyze_grown_tables(database)
            # By doubling the interval; tables grow at most in proportion to the time.
            analyze_at = 2 * time.monotonic() - started_at
    return False


class StepSize:
    """The number of rows of the next step, adapted to the time that the last one took.

    If others have used the database meanwhile, it pauses after the step, for longer than the step
    took.

    - `first_rows`: rows of the first step; `max_rows`: rows of each step at most.
    - `min_rows`: rows of each step at least, however slow the machine is.
    """

    def __init__(
        self,
        *,
        first_rows: int = FIRST_STEP_ROWS,
        min_rows: int = MIN_ROWS_PER_STEP,
        max_rows: int = MAX_ROWS_PER_STEP,
    ) -> None:
        self.rows = min(first_rows, max_rows)
        self._first_rows = first_rows
        self._min_rows = min(min_rows, max_rows)
        self._max_rows = max_rows
        self._seconds = 0.0
        self._data_version: int | None = None

    def limit_rows(self, max_rows: int) -> None:
        """Make no step larger than so many rows."""
        self._max_rows = max(1, min(max_rows, self._max_rows))
        self.rows = min(self.rows, self._max_rows)
        self._min_rows = min(self._min_rows, self._max_rows)

    def restart(self) -> int:
        """Start again with small steps; return the rows of the first one."""
        self.rows = min(self._first_rows, self._max_rows)
        return self.rows

    @contextmanager
    def transaction(self, database: Database) -> Iterator[int]:
        """Run the block in a transaction; yield its number of rows, and adapt the next one."""
        with self._time_transaction(database):
            yield self.rows
        self.adapt(self._seconds)

    @contextmanager
    def step(self, database: Database) -> Iterator[int]:
        """Do the same as `transaction`, then pause if others use the database."""
        with self._time_transaction(database):
            yield self.rows
        is_shared = self._is_shared(database)
        self.adapt(self._seconds, max_seconds=_MAX_SECONDS if is_shared else _MAX_SECONDS_ALONE)
        if is_shared:
            time.sleep(min(_PAUSE_FACTOR * self._seconds, _MAX_PAUSE))
            self._let_others_first(database)

    def _let_others_first(self, database: Database) -> None:
        """On PostgreSQL, wait while others wait for a lock; on SQLite the write lock is fair."""
        until = time.monotonic() + _MAX_PAUSE
        while has_lock_waiters(database) and time.monotonic() < until:
            time.sleep(_INTERVAL)

    @contextmanager
    def _time_transaction(self, database: Database) -> Iterator[None]:
        with database.atomic():
            began = time.monotonic()
            yield
        # Without what follows the commit, when the lock is released already.
        self._seconds = database.committed_at - began

    def _is_shared(self, database: Database) -> bool:
        """Say whether others have used the database since the last step began.

        On SQLite only other writers are seen.
        """
        if not isinstance(database, FairSqliteDatabase):
            return is_used_by_others(database, self._seconds)
        previous, self._data_version = self._data_version, read_data_version(database)
        return previous is not None and self._data_version != previous

    def adapt(self, seconds: float, *, max_seconds: float = _MAX_SECONDS) -> None:
        """Size the next step after one that took so long, without its waiting for locks.

        - `max_seconds`: how long the next one may take.
        """
        factor = max_seconds / max(seconds, 1e-6)
        factor = min(max(factor, _MAX_SHRINKING), _MAX_GROWTH)
        self.rows = min(max(int(self.rows * factor), self._min_rows), self._max_rows)
