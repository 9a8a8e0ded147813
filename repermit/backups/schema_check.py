"""Refusing a backup whose database holds anything that repermit does not make.

A trigger, a view or a default runs whatever it says at the next write, with the rights of whoever
gave the command: https://sqlite.org/security.html. So a backup is compared with a database that is
made for the purpose: by name and wording before anything is written into it, and once more, whole,
when it has been brought to this version.
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
from repermit.db.row_counts import COUNTS, create_triggers, list_former_triggers
from repermit.errors import Refused
from repermit.settings.definitions import Settings
from repermit.temporary_files import make_temporary_files

if TYPE_CHECKING:
    Query = Callable[[str], Iterable[tuple[object, ...]]]

_MOST_NAMED = 10

# What earlier versions made, and an upgrade takes away.
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
# SQLite's own: counters, and what ANALYZE finds.
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
    """What a database is made of.

    `objects` are tables, indexes, triggers and views, each with its wording. `columns` say of each
    table's columns whether they may be null and are of its key; `references` where they lead, and
    what a deletion there does.
    """

    objects: frozenset[_SchemaObject]
    columns: dict[str, frozenset[tuple[object, ...]]]
    references: dict[str, frozenset[tuple[object, ...]]]

    def named(self, *kinds: str) -> dict[str, str]:
        """Return the wording of what is of these kinds, by name."""
        return {one.name: one.sql for one in self.objects if one.kind in kinds}


def build_reference_schema(settings: Settings) -> Schema:
    """Return what this version makes, from a database that is made for it and thrown away.

    Another database is then no longer the one in use.
    """
    with (
        make_temporary_files(settings).folder_for("schema") as folder,
        open_database(f"sqlite:///{folder / 'fresh.db'}", journal=None) as database,
    ):
        migrations.upgrade_database(database)
        return _read(lambda statement: run_sql(database, statement).fetchall())


def require_known_objects(opened: sqlite3.Connection, fresh: Schema) -> None:
    """Refuse a backup of a version that is not upgraded, or with something that no version makes.

    Nothing of it has been run by then.
    """
    found = _read(lambda statement: opened.execute(statement).fetchall())
    # Reading a table that is made as ours runs nothing.
    if found.named("table").get("meta") == fresh.named("table")["meta"]:
        version = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'schema_version'"
        for (number,) in opened.execute(version):
            migrations.require_supported(number)
    _require_none(_find_unknown_objects(found, fresh))


def require_reference_schema(database: Database, fresh: Schema) -> None:
    """Refuse a database of this version that is not made as a new one is."""
    found = _read(lambda statement: run_sql(database, statement).fetchall())
    _require_none((*_find_unknown_objects(found, fresh), *_find_differences(found, fresh)))


def require_known_on_postgresql(database: Database) -> None:
    """Refuse a PostgreSQL database with tables, views, triggers or rules that are not ours.

    The functions of our triggers are made anew, whatever they said. Nothing is done on SQLite.
    """
    if not is_postgresql(database):
        return
    tables = {table._meta.table_name for table in ALL_TABLES}  # noqa: SLF001  peewee's own way
    tables |= {"launching", "undoing"}
    found = run_sql(database, _POSTGRESQL).fetchall()
    unknown = (
        f"the {kind} {name}"
        for kind, name, table in found
        if not (kind == "table" and (name in tables or _STAGED.fullmatch(name)))
        and not (kind == "trigger" and (name, table) in _OUR_TRIGGERS)
    )
    _require_none(unknown)
    # An older database gets these tables, and with them the functions, by its upgrade.
    if all(database.table_exists(table) for table in COUNTS):
        with database.atomic():
            create_triggers(database)


# The rows of a file that was being taken in.
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


def _read(query: Query) -> Schema:
    found = frozenset(
        _SchemaObject(str(kind), str(name), _normalize_sql(str(sql or "")))
        for kind, name, sql in query("SELECT type, name, sql FROM sqlite_master")
    )
    tables = [one.name for one in found if one.kind == "table"]
    return Schema(
        objects=found,
        columns={
            table: frozenset(
                (name, bool(notnull or key), key, hidden)
                for _, name, _, notnull, _, key, hidden in query(
                    f"PRAGMA table_xinfo({_quoted(table)})"
                )
            )
            for table in tables
        },
        references={
            table: frozenset(
                tuple(row[2:]) for row in query(f"PRAGMA foreign_key_list({_quoted(table)})")
            )
            for table in tables
        },
    )


def _find_unknown_objects(found: Schema, fresh: Schema) -> Iterator[str]:
    """Yield what no version makes, in words."""
    tables = fresh.named("table")
    indexes = {*fresh.named("index"), *_FORMER_INDEXES}
    triggers = fresh.named("trigger")
    former = {_normalize_sql(statement) for statement in _FORMER_TABLES}
    names = {
        *tables,
        *_FORMER_COLUMNS,
        *(str(one[0]) for row in fresh.columns.values() for one in row),
    }
    for one in sorted(found.objects):
        of_sqlite = one.kind == "index" and one.name.startswith("sqlite_autoindex_") and not one.sql
        is_known = {
            "table": one.name in tables or one.name in _TABLES_OF_SQLITE or one.sql in former,
            "index": one.name in indexes or of_sqlite,
            "trigger": one.name in triggers,
        }
        if not is_known.get(one.kind, False):
            yield f"the {one.kind} {one.name}"
        elif one.kind == "trigger" and one.sql not in {triggers[one.name], *_former_triggers()}:
            yield f"the trigger {one.name}, which is not as repermit makes it"
        elif one.kind == "table" and one.name in tables:
            yield from _find_unknown_in_table(one, found, fresh, names)


def _former_triggers() -> Iterator[str]:
    for statement in list_former_triggers():
        yield _normalize_sql(statement.replace(" IF NOT EXISTS", ""))


def _find_unknown_in_table(
    table: _SchemaObject, found: Schema, fresh: Schema, names: set[str]
) -> Iterator[str]:
    known = {*_FORMER_COLUMNS, *(str(one[0]) for one in fresh.columns[table.name])}
    for name, _, _, hidden in sorted(found.columns[table.name], key=str):
        if name not in known or hidden:
            yield f"the column {name} of {table.name}"
    # No check, no default that is reckoned, no rule for conflicts.
    strange = {
        token
        for token in _TOKEN.findall(table.sql)
        if token not in _WORDS_OF_TABLES and token not in names and not _HARMLESS.fullmatch(token)
    }
    if strange:
        yield f"the table {table.name}, which is not as repermit makes it ({min(strange)})"


def _find_differences(found: Schema, fresh: Schema) -> Iterator[str]:
    """Yield in what a database of this version differs from a new one, in words."""
    for kind in ("table", "index", "trigger"):
        there, made = found.named(kind), fresh.named(kind)
        for name in sorted(made):
            if name not in there:
                yield f"no {kind} {name}"
            elif kind == "index" and there[name] != made[name]:
                yield f"the index {name}, which is not as repermit makes it"
    for name in sorted(set(found.named("index")) & _FORMER_INDEXES):
        yield f"the index {name}"
    for table in sorted(fresh.columns):
        same = (
            found.columns.get(table) == fresh.columns[table]
            and found.references.get(table) == fresh.references[table]
        )
        if table in found.columns and not same:
            yield f"the table {table}, which is not as repermit makes it"


def _require_none(unknown: Iterable[str]) -> None:
    found = list(dict.fromkeys(unknown))
    if found:
        more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise Refused(
            "this is no backup as repermit makes it, and nothing was changed. In it there is "
            f"{'; '.join(found[:_MOST_NAMED])}{more}"
        )


def _normalize_sql(sql: str) -> str:
    """Return a wording without what does not matter: blanks, quotes of names, capitals."""
    return " ".join(
        token if token.startswith("'") else token.strip('"`[]').lower()
        for token in _TOKEN.findall(sql)
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
