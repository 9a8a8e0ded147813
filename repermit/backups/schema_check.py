"""Refusing a backup whose database has objects that repermit does not create.

A trigger, a view or a default would run its SQL at the next write, with the rights of the user who
restores: https://sqlite.org/security.html. So the backup is compared with a reference database: by
names and SQL before anything is written into it, and completely after its upgrade.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from repermit.db import migrations
from repermit.db.connection import Database, is_postgresql, open_database, run_sql
from repermit.db.migrations import ALL_TABLES
from repermit.db.row_counts import list_former_triggers
from repermit.errors import Refused
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files

if TYPE_CHECKING:
    Query = Callable[[str], Iterable[tuple[object, ...]]]

_MAX_NAMED = 10

# Objects of earlier versions that an upgrade removes.
_FORMER_INDEXES = frozenset(("undoing_list_id",))
# Of versions up to 28.
_FORMER_TABLES = (
    """\
CREATE TABLE "launching" ("campaign_id" INTEGER NOT NULL PRIMARY KEY,
"actor" VARCHAR(255) NOT NULL, "facts" TEXT NOT NULL, "reached" INTEGER NOT NULL,
"newest" INTEGER NOT NULL, "owed" INTEGER NOT NULL, "suppressed" INTEGER NOT NULL,
FOREIGN KEY ("campaign_id") REFERENCES "campaign" ("id"))""",
    """\
CREATE TABLE "undoing" ("record_id" INTEGER NOT NULL PRIMARY KEY, "list_id" INTEGER NOT NULL,
"actor" VARCHAR(255) NOT NULL, "at" TEXT NOT NULL, "rows" INTEGER NOT NULL,
"reached" INTEGER NOT NULL, "looked_at" INTEGER NOT NULL, "contacts" INTEGER NOT NULL,
"restored" INTEGER NOT NULL, "suppressions" INTEGER NOT NULL,
FOREIGN KEY ("record_id") REFERENCES "import" ("id"),
FOREIGN KEY ("list_id") REFERENCES "mailing_list" ("id"))""",
)
_FORMER_COLUMNS = frozenset(("before",))
# SQLite's own tables: counters, and the statistics of ANALYZE.
_TABLES_OF_SQLITE = frozenset(("sqlite_sequence", "sqlite_stat1", "sqlite_stat4"))
_WORDS_OF_TABLES = frozenset(
    """\
    create table if not exists primary key foreign references on delete cascade null default
    false integer smallint bigint boolean varchar text""".split()
)
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|\w+|\S""")
_HARMLESS = re.compile(r"[(),]|\d{1,9}|''")


class _SchemaObject(NamedTuple):
    kind: str
    name: str
    sql: str


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The schema of a database.

    - `objects`: tables, indexes, triggers and views, each with its normalised SQL.
    - `columns`: by table, the name, nullability and key of each column.
    - `references`: by table, its foreign keys with their actions.
    """

    objects: frozenset[_SchemaObject]
    columns: dict[str, frozenset[tuple[object, ...]]]
    references: dict[str, frozenset[tuple[object, ...]]]

    def get_sql_by_name(self, *kinds: str) -> dict[str, str]:
        """Return the SQL of the objects of these kinds, by name."""
        return {item.name: item.sql for item in self.objects if item.kind in kinds}


def build_reference_schema(settings: Settings) -> Schema:
    """Return the schema of this version, read from a temporary database.

    The database in use before is no longer; open it again.
    """
    with (
        make_temporary_files(settings).folder_for("schema") as folder,
        open_database(f"sqlite:///{folder / 'fresh.db'}", journal=None) as database,
    ):
        migrations.upgrade_database(database)
        return _read_schema(lambda statement: run_sql(database, statement).fetchall())


def require_known_objects(connection: sqlite3.Connection, reference: Schema) -> None:
    """Refuse a backup of an unsupported version, or with objects that no version creates.

    No SQL of the backup is run before.
    """
    actual = _read_schema(lambda statement: connection.execute(statement).fetchall())
    # Reading a table with the SQL of ours runs nothing else.
    own_meta = reference.get_sql_by_name("table")["meta"]
    if actual.get_sql_by_name("table").get("meta") == own_meta:
        version = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema_version'"
        for (number,) in connection.execute(version):
            migrations.require_supported(number)
    _require_none(_find_unknown_objects(actual, reference))


def require_reference_schema(database: Database, reference: Schema) -> None:
    """Refuse an upgraded database whose schema differs from that of a new one."""
    actual = _read_schema(lambda statement: run_sql(database, statement).fetchall())
    unknown = _find_unknown_objects(actual, reference)
    _require_none((*unknown, *_find_differences(actual, reference)))


def require_known_on_postgresql(database: Database) -> None:
    """Refuse a PostgreSQL database with tables, views, triggers or rules that are not ours.

    On SQLite it does nothing.
    """
    if not is_postgresql(database):
        return
    tables = {table._meta.table_name for table in ALL_TABLES}  # noqa: SLF001  peewee's own way
    tables |= {"launching", "undoing"}
    objects = run_sql(database, _POSTGRESQL).fetchall()
    unknown = (
        f"the {kind} {name}"
        for kind, name, table in objects
        if not (kind == "table" and (name in tables or _STAGED.fullmatch(name)))
        and not (kind == "trigger" and (name, table) in _OUR_TRIGGERS)
    )
    _require_none(unknown)


# The staged rows of a running import.
_STAGED = re.compile(r"staged_[0-9a-f]{32}")
_OUR_TRIGGERS = frozenset(
    (f"{name}_{verb}", table)
    for name, table in (
        ("contact", "contact"),
        ("mail", "mail"),
        ("held", "contact"),
        ("suppression", "suppression"),
        ("part", "evidence_part"),
    )
    for verb in ("comes", "goes", "turns")
)
_POSTGRESQL = """\
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'f' THEN 'foreign table'
    ELSE 'table' END, c.relname, c.relname
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'trigger', t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT 'rule', r.rulename, c.relname FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE r.rulename <> '_RETURN' AND c.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT 'event trigger', e.evtname, '' FROM pg_event_trigger e
ORDER BY 1, 2"""


def _read_schema(query: Query) -> Schema:
    objects = frozenset(
        _SchemaObject(str(kind), str(name), _normalize_sql(str(sql or "")))
        for kind, name, sql in query("SELECT type, name, sql FROM sqlite_master")
    )
    tables = [item.name for item in objects if item.kind == "table"]
    return Schema(
        objects=objects,
        columns={
            table: frozenset(
                (name, bool(notnull or key), key, hidden)
                for _, name, _, notnull, _, key, hidden in query(
                    f"PRAGMA table_xinfo({_quote(table)})"
                )
            )
            for table in tables
        },
        references={
            table: frozenset(
                tuple(row[2:]) for row in query(f"PRAGMA foreign_key_list({_quote(table)})")
            )
            for table in tables
        },
    )


def _find_unknown_objects(actual: Schema, reference: Schema) -> Iterator[str]:
    """Yield descriptions of objects, columns and SQL that no version creates."""
    tables = reference.get_sql_by_name("table")
    indexes = {*reference.get_sql_by_name("index"), *_FORMER_INDEXES}
    triggers = reference.get_sql_by_name("trigger")
    former = {_normalize_sql(statement) for statement in _FORMER_TABLES}
    names = {
        *tables,
        *_FORMER_COLUMNS,
        *(str(column[0]) for columns in reference.columns.values() for column in columns),
    }
    for kind, name, sql in sorted(actual.objects):
        is_of_sqlite = kind == "index" and name.startswith("sqlite_autoindex_") and not sql
        is_known = {
            "table": name in tables or name in _TABLES_OF_SQLITE or sql in former,
            "index": name in indexes or is_of_sqlite,
            "trigger": name in triggers,
        }
        if not is_known.get(kind, False):
            yield f"the {kind} {name}"
        elif kind == "trigger" and sql not in {triggers[name], *_iter_former_triggers()}:
            yield f"the trigger {name}, which is not as repermit makes it"
        elif kind == "table" and name in tables:
            table = _SchemaObject(kind, name, sql)
            yield from _find_unknown_in_table(table, actual, reference, names)


def _iter_former_triggers() -> Iterator[str]:
    for statement in list_former_triggers():
        yield _normalize_sql(statement.replace(" IF NOT EXISTS", ""))


def _find_unknown_in_table(
    table: _SchemaObject, actual: Schema, reference: Schema, names: set[str]
) -> Iterator[str]:
    known = {*_FORMER_COLUMNS, *(str(column[0]) for column in reference.columns[table.name])}
    for name, _, _, hidden in sorted(actual.columns[table.name], key=str):
        if name not in known or hidden:
            yield f"the column {name} of {table.name}"
    # No checks, no computed defaults, no conflict clauses.
    unknown_tokens = {
        token
        for token in _TOKEN.findall(table.sql)
        if token not in _WORDS_OF_TABLES and token not in names and not _HARMLESS.fullmatch(token)
    }
    if unknown_tokens:
        yield f"the table {table.name}, which is not as repermit makes it ({min(unknown_tokens)})"


def _find_differences(actual: Schema, reference: Schema) -> Iterator[str]:
    """Yield the differences of an upgraded database from a new one."""
    for kind in ("table", "index", "trigger"):
        own, expected = actual.get_sql_by_name(kind), reference.get_sql_by_name(kind)
        for name in sorted(expected):
            if name not in own:
                yield f"no {kind} {name}"
            elif kind == "index" and own[name] != expected[name]:
                yield f"the index {name}, which is not as repermit makes it"
    for name in sorted(set(actual.get_sql_by_name("index")) & _FORMER_INDEXES):
        yield f"the index {name}"
    for table in sorted(reference.columns):
        is_same = (
            actual.columns.get(table) == reference.columns[table]
            and actual.references.get(table) == reference.references[table]
        )
        if table in actual.columns and not is_same:
            yield f"the table {table}, which is not as repermit makes it"


def _require_none(unknown: Iterable[str]) -> None:
    names = list(dict.fromkeys(unknown))
    if names:
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        raise Refused(
            "this is no backup as repermit makes it, and nothing was changed. In it there is "
            f"{'; '.join(names[:_MAX_NAMED])}{more}"
        )


def _normalize_sql(sql: str) -> str:
    """Return SQL in lower case with single spaces, and without quotes around names."""
    return " ".join(
        token if token.startswith("'") else token.strip('"`[]').lower()
        for token in _TOKEN.findall(sql)
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
