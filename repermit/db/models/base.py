"""The base of all tables: timestamp fields, fast reads and inserts, and prepared queries."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Self

import peewee
from peewee import (
    OP,
    BooleanField,
    CharField,
    Expression,
    Field,
    ForeignKeyField,
    IntegerField,
    Model,
    ModelObjectCursorWrapper,
    ModelSelect,
    Node,
    TextField,
)

from repermit.clock import format_timestamp
from repermit.db.connection import chunks, is_postgresql, lock_rows, make_id_list, proxy, run_sql

_ID_BYTES = 16


def new_id() -> str:
    """Return 128 random bits as 32 hex digits."""
    return secrets.token_hex(_ID_BYTES)


class UTCDateTimeField(Field):
    """A timestamp, aware UTC, to the microsecond.

    On SQLite it is a text of fixed width, so that text order is time order; on PostgreSQL it is a
    timestamptz.
    """

    field_type = "UTCDATETIME"

    def db_value(self, value: datetime | None) -> str | None:
        """Return a timestamp as text; raises for a naive one."""
        return None if value is None else format_timestamp(value)

    def python_value(self, value: str | datetime | None) -> datetime | None:
        """Return a stored timestamp as an aware datetime."""
        return None if value is None else parse_timestamp(value)


def parse_timestamp(value: str | datetime) -> datetime:
    """Return a timestamp, as the database gives it, in UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(UTC)


def timestamp_field(*, index: bool = False) -> Field[datetime]:
    """Return a column for a timestamp."""
    return UTCDateTimeField(index=index)


def optional_timestamp_field() -> Field[datetime | None]:
    """Return a nullable column for a timestamp."""
    return UTCDateTimeField(null=True)


class _WholeRows(ModelSelect):
    """A query for whole rows; it names all columns at once, as building them one by one is slow."""

    _returning: Any
    _joins: Any

    def __sql_selection__(self, ctx: Any, is_subquery: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Add the columns to the statement that is being built."""
        meta = self.model._meta  # noqa: SLF001  peewee's own way
        if is_subquery or not self._is_whole():
            return super().__sql_selection__(ctx, is_subquery)
        alias = ctx.alias_manager[meta.table]
        columns = (f'"{alias}"."{field.column_name}"' for field in meta.sorted_fields)
        return ctx.literal(", ".join(columns))

    def _is_whole(self) -> bool:
        return tuple(self._returning) == tuple(self.model._meta.sorted_fields)  # noqa: SLF001

    def _get_model_cursor_wrapper(self, cursor: Any) -> Any:
        if self._joins or not self._is_whole():
            return super()._get_model_cursor_wrapper(cursor)  # type: ignore[misc]
        return _WholeRowsCursor(cursor, self.model, self._returning, self.model)


class _WholeRowsCursor(ModelObjectCursorWrapper):
    """Creates a query's rows without setting their fields one by one."""

    def initialize(self) -> None:
        """Look up the columns."""
        self._columns = _list_columns(self.model)

    def process_row(self, row: Sequence[Any]) -> Any:
        """Return a row."""
        instance = self.model.__new__(self.model)
        instance.__data__ = {
            name: value if value is None or type(value) is kind else convert(value)
            for (name, kind, convert), value in zip(self._columns, row, strict=True)
        }
        instance.__rel__, instance._dirty = {}, set()  # noqa: SLF001
        return instance


@cache
def _list_columns(table: type[Table]) -> list[tuple[str, type[Any] | None, Callable[[Any], Any]]]:
    """Return each column as (field, type whose values need no conversion, conversion function)."""
    fields = table._meta.sorted_fields  # noqa: SLF001  peewee's own way
    return [(field.name, _find_native_type(field), field.python_value) for field in fields]


def _find_native_type(field: Field[Any]) -> type[Any] | None:
    """Return the type whose values a field takes from the database without conversion."""
    kinds = ((CharField, str), (TextField, str), (BooleanField, bool), (IntegerField, int))
    return next((kind for field_type, kind in kinds if isinstance(field, field_type)), None)


class Table(Model):
    """The base class of all tables."""

    if TYPE_CHECKING:
        DoesNotExist: ClassVar[type[Exception]]
        _dirty: set[str]

    class Meta:
        """Bind to the database in use."""

        database = proxy
        legacy_table_names = False
        only_save_dirty = True

    @classmethod
    def select(cls, *fields: Any) -> Any:
        """Return a query for whole rows, or for these fields."""
        if fields:
            return super().select(*fields)
        return _WholeRows(cls, cls._meta.sorted_fields, is_default=True)

    @classmethod
    def get(cls, *query: Any, **filters: Any) -> Self:
        """Return the row that meets these conditions; raises DoesNotExist if there is none."""
        if filters or not query or not all(map(_is_equality, query)):
            return super().get(*query, **filters)
        find = _prepare_find(cls, *(condition.lhs.name for condition in query))
        row: Self | None = find.first(*(condition.rhs for condition in query))
        if row is None:
            raise cls.DoesNotExist
        return row

    def write_changes(self) -> None:
        """Update the changed fields of this stored row; faster than `save`."""
        meta = self._meta
        changed = [field for field in meta.sorted_fields if field.name in self._dirty]
        if not changed:
            return
        param, key = proxy.obj.param, meta.primary_key
        set_ = ", ".join(f"{_quote_name(field)} = {param}" for field in changed)
        statement = f'UPDATE "{meta.table_name}" SET {set_} WHERE {_quote_name(key)} = {param}'  # noqa: S608
        values = [field.db_value(self.__data__[field.name]) for field in (*changed, key)]
        run_sql(proxy.obj, statement, *values)
        self._dirty.clear()

    @classmethod
    def insert_rows(
        cls,
        fields: Sequence[Any],
        rows: Iterable[Collection[Any]],
        *,
        unique: Sequence[Any] = (),
        replace: Sequence[Any] = (),
    ) -> None:
        """Insert rows of these fields; faster than `insert_many`, which makes a node per value.

        PostgreSQL gets a batch of rows as one JSON value, as it would parse thousands one by one.

        - `rows`: the values, as they are stored.
        - `unique`: the fields of a unique index; an existing row gets the new values of `replace`.
        """
        table, names = f'"{cls._meta.table_name}"', _join_names(fields)
        placeholders = f"({', '.join([proxy.obj.param] * len(fields))})"
        columns = [field.column_name for field in fields]
        changes = ", ".join(f"{name} = excluded.{name}" for name in map(_quote_name, replace))
        upsert = f" ON CONFLICT ({_join_names(unique)}) DO UPDATE SET {changes}" if unique else ""
        for batch in chunks(list(rows), _MAX_ROWS):
            if is_postgresql(proxy.obj):
                source = f"SELECT {names} FROM json_populate_recordset(NULL::{table}, %s)"  # noqa: S608
                values: Iterable[Any] = [
                    json.dumps([dict(zip(columns, row, strict=True)) for row in batch])
                ]
            else:
                source = f"VALUES {', '.join([placeholders] * len(batch))}"
                values = chain.from_iterable(batch)
            run_sql(proxy.obj, f"INSERT INTO {table} ({names}) {source}{upsert}", *values)


def _is_equality(condition: Any) -> bool:
    """Say whether a condition compares a column with a value, not null, for equality."""
    if not isinstance(condition, Expression) or condition.op != OP.EQ:
        return False
    field, value = condition.lhs, condition.rhs
    if isinstance(value, Model):
        return isinstance(field, ForeignKeyField)
    return isinstance(field, Field) and not isinstance(value, Node)


@cache
def _prepare_find(table: type[Table], *names: str) -> PreparedQuery:
    """Return the prepared query for one row of a table by the values of these fields."""
    fields = [getattr(table, name) for name in names]

    def compose(*values: Any) -> Any:
        equal = (field == value for field, value in zip(fields, values, strict=True))
        return table.select().where(*equal).limit(1)

    return PreparedQuery(compose, len(names))


_MAX_ROWS = 500
"""The maximum rows of a statement, as databases limit the number of values."""


def _join_names(fields: Iterable[Any]) -> str:
    return ", ".join(map(_quote_name, fields))


def _quote_name(field: Any) -> str:
    return f'"{field.column_name}"'


class Meta(Table):
    """A key and value about the database itself, such as its version."""

    key = CharField(primary_key=True)
    value = TextField()

    @classmethod
    def read(cls, key: str) -> str | None:
        """Return the value of a key; None without one."""
        row = cls.get_or_none(cls.key == key)
        return None if row is None else row.value

    @classmethod
    def read_number(cls, key: str) -> int | None:
        """Return the number of a key; None without a value, 0 for a value that is not a number."""
        value = cls.read(key)
        try:
            return None if value is None else int(value)
        except ValueError:
            return 0

    @classmethod
    def write(cls, key: str, value: str) -> None:
        """Set the value of a key, or replace it."""
        cls.insert(key=key, value=value).on_conflict(
            conflict_target=[cls.key], preserve=[cls.value]
        ).execute()

    @classmethod
    def lock(cls, key: str, default: str) -> str:
        """Lock a key until the transaction ends; return its value, set to `default` if missing."""
        cls.insert(key=key, value=default).on_conflict_ignore().execute()
        row: Meta = lock_rows(cls.select().where(cls.key == key)).get()
        return row.value


# --- Queries that peewee builds once, and that run many times with other values. ------------------


ID_LIST = peewee.SQL("(:ids)")
"""The placeholder of a list of ids in a query."""


class PreparedQuery:
    """A query that is built when it first runs, as building takes longer than running it.

    - `compose`: returns the query, given a placeholder for each of its `size` values. Values that
      are compared with fields are converted; values that are written must be in stored form.
      ID_LIST in the query stands for the `ids` of a run.
    """

    def __init__(self, compose: Callable[..., Any], size: int = 0) -> None:
        self._compose, self._size = compose, size
        self._composed: dict[type, tuple[Any, str, Sequence[Any]]] = {}

    def rows(self, *values: Any, ids: Iterable[int] = ()) -> list[Any]:
        """Return the rows of the query with these values."""
        query, cursor = self._execute(values, ids)
        wrapper = query._get_cursor_wrapper(cursor)  # noqa: SLF001  it makes rows of a cursor
        raw_rows = cursor.fetchall()
        if raw_rows:
            wrapper.initialize()
        return list(map(wrapper.process_row, raw_rows))

    def raw_rows(self, *values: Any, ids: Iterable[int] = ()) -> list[Any]:
        """Return the rows as tuples of their stored values."""
        _, cursor = self._execute(values, ids)
        return list(cursor.fetchall())

    def first(self, *values: Any) -> Any:
        """Return the first row; None without any."""
        return next(iter(self.rows(*values)), None)

    def execute(self, *values: Any, ids: Iterable[int] = ()) -> int:
        """Run a writing query with these values; return the number of rows written."""
        _, cursor = self._execute(values, ids)
        return int(cursor.rowcount)

    def _execute(self, values: Sequence[Any], ids: Iterable[int] = ()) -> tuple[Any, Any]:
        database = proxy.obj
        if type(database) not in self._composed:
            query = self._compose(*map(_Placeholder, range(self._size)))
            self._composed[type(database)] = (query, *query.sql())
        query, statement, parameters = self._composed[type(database)]
        bound = [
            parameter.bind(values) if isinstance(parameter, _Parameter) else parameter
            for parameter in parameters
        ]
        if ID_LIST.sql in statement:
            statement = statement.replace(ID_LIST.sql, make_id_list(ids).sql)
        return query, database.execute_sql(statement, bound)


class _Placeholder(peewee.Node):
    """The placeholder of one value in a query."""

    def __init__(self, place: int) -> None:
        self._place = place

    def __sql__(self, ctx: Any) -> Any:
        return ctx.value(_Parameter(self._place, ctx.state.converter), converter=False)


class _Parameter:
    """The place of a value among a statement's parameters, and its conversion."""

    def __init__(self, place: int, convert: Callable[[Any], Any] | None) -> None:
        self._place, self._convert = place, convert

    def bind(self, values: Sequence[Any]) -> Any:
        """Return the value of this place in stored form."""
        value = values[self._place]
        return self._convert(value) if self._convert else value
