"""How a database answers queries: by which index, or by looking through a table.

For tests that a page stays quick among a million rows, which no stopwatch of a test could tell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any

from repermit.db.connection import Database, is_postgresql, run_sql

_STEPS_PER_CALL = 100


def plan_of(database: Database, query: Any) -> str:
    """Return the plan of a query of peewee's, as the database words it."""
    return _plan(database, *query.sql())


def plans_of(
    database: Database, act: Callable[[], object], *, having: str = " ORDER BY "
) -> list[str]:
    """Return the plans of the queries that something makes which have these words in them."""
    found = [(sql, values) for sql, values, _ in _seen(database, act) if having in sql]
    return [_plan(database, sql, values) for sql, values in found]


def statements_in_transactions(database: Database, act: Callable[[], object]) -> list[str]:
    """Return the SQL that something runs within transactions, where others wait for it."""
    return [sql for sql, _, is_within in _seen(database, act) if is_within]


def count_steps(database: Database, act: Callable[[], object]) -> int:
    """Return how many steps SQLite takes for something; it takes several for each row."""
    calls = count()
    connection = database.connection()  # type: ignore[no-untyped-call]
    # SQLite goes on as long as it is answered 0.
    connection.set_progress_handler(lambda: 0 * next(calls), _STEPS_PER_CALL)
    try:
        act()
    finally:
        connection.set_progress_handler(None, 0)
    return next(calls) * _STEPS_PER_CALL


def count_values(database: Database, act: Callable[[], object]) -> int:
    """Return how many values the statement has that has most of them; SQLite takes 32,766."""
    return max(len(values or ()) for _, values, _ in _seen(database, act))


def _seen(database: Database, act: Callable[[], object]) -> list[tuple[str, Any, bool]]:
    """Return each statement of peewee's, its values, and whether it is within a transaction."""
    seen = _Seen(database)
    log = logging.getLogger("peewee")
    level = log.level
    log.addHandler(seen)
    log.setLevel(logging.DEBUG)
    try:
        act()
    finally:
        log.setLevel(level)
        log.removeHandler(seen)
    return seen.statements


class _Seen(logging.Handler):
    """Keeps the statements that peewee logs, each with its values."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self.statements: list[tuple[str, Any, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        statement: Any = record.msg
        self.statements.append((*statement, self._database.in_transaction()))


def _plan(database: Database, sql: str, values: Any) -> str:
    if not is_postgresql(database):
        rows = run_sql(database, f"EXPLAIN QUERY PLAN {sql}", *values).fetchall()
        return "\n".join(row[-1] for row in rows)
    with database.atomic():
        # It looks through a small table whatever indexes it has, unless it is told not to.
        for way in ("seqscan", "bitmapscan", "sort"):
            run_sql(database, f"SET LOCAL enable_{way} = off")
        rows = run_sql(database, f"EXPLAIN {sql}", *values).fetchall()
    return "\n".join(row[0] for row in rows)
