"""Queries that peewee composes once, and that run many times with other values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import peewee

from repermit.db.connection import proxy


class PreparedQuery:
    """A query that is composed when it first runs: peewee takes longer for that than a database.

    - `compose`: returns the query, given a stand-in for each of its `size` values. Values that
      fields are compared with are converted; those that are written are given as the database
      keeps them.
    """

    def __init__(self, compose: Callable[..., Any], size: int = 0) -> None:
        self._compose, self._size = compose, size
        self._composed: dict[type, tuple[Any, str, Sequence[Any]]] = {}

    def rows(self, *values: Any) -> list[Any]:
        """Return the rows that the query finds with these values."""
        query, cursor = self._execute(values)
        found = query._get_cursor_wrapper(cursor)  # noqa: SLF001  it makes rows of a cursor
        found.fill_cache()
        return list(found.row_cache)

    def raw_rows(self, *values: Any) -> list[Any]:
        """Return the columns of the rows that it finds, as the database keeps them."""
        _, cursor = self._execute(values)
        return list(cursor.fetchall())

    def first(self, *values: Any) -> Any:
        """Return the first of the rows, None if there are none."""
        return next(iter(self.rows(*values)), None)

    def execute(self, *values: Any) -> int:
        """Write with these values, and return how many rows are written."""
        _, cursor = self._execute(values)
        return int(cursor.rowcount)

    def _execute(self, values: Sequence[Any]) -> tuple[Any, Any]:
        query, statement, parameters = self._composed_for(proxy.obj)
        bound = [one.bind(values) if isinstance(one, _Place) else one for one in parameters]
        return query, proxy.obj.execute_sql(statement, bound)

    def _composed_for(self, database: Any) -> tuple[Any, str, Sequence[Any]]:
        known = self._composed.get(type(database))
        if known is None:
            query = self._compose(*map(_StandIn, range(self._size)))
            known = self._composed[type(database)] = (query, *query.sql())
        return known


class _StandIn(peewee.Node):
    """Stands in a query for the value of one place."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(_Place(self._place, ctx.state.converter), converter=False)


class _Place:
    """Where a value belongs among the parameters of a statement, and how it is converted."""

    def __init__(self, place: int, convert: Callable[[Any], Any] | None) -> None:
        self._place, self._convert = place, convert

    def bind(self, values: Sequence[Any]) -> Any:
        """Return the value that belongs there, as the database keeps it."""
        value = values[self._place]
        return self._convert(value) if self._convert else value
