"""Stored counts of contacts, mails and other rows by kind, updated by the database's triggers.

Counting a million rows for a page would take a second.

Triggers update the counts in the transaction that changes a row, so that they are always exact. On
SQLite, which has one writer at a time, they change the one row of a kind. On PostgreSQL workers
would wait for each other there, so each statement adds a row with its changes. A count is the sum
of its rows, which `fold_counts` merges from time to time.

SQLite's triggers fire for each row, which would take a fifth of the time of an import. So
`count_imported_contacts` counts imported contacts once a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from peewee import AutoField, BigAutoField, BigIntegerField, CharField, IntegerField

from repermit.db.connection import Database, is_postgresql, read_snapshot, run_sql
from repermit.db.models.base import Table

# The number of rows of one count from which they are merged.
_MAX_ROWS_OF_KIND = 100
# The maximum number of rows that are merged at once.
_MAX_ROWS_FOLDED = 100_000


class ContactCount(Table):
    """The number of contacts with these values; on PostgreSQL the sum of several rows."""

    id = BigAutoField()
    # Not foreign keys: deleting a row would have to delete its count, too.
    list_id = IntegerField()
    status = CharField()
    reason = CharField()
    basis = CharField()
    language = CharField()
    # The import that added them, 0 for none. Contacts of an unfinished import are left out.
    import_id = IntegerField()
    count = BigIntegerField()


class MailCount(Table):
    """The number of mails with these values; `campaign_id` is 0 without a campaign."""

    id = BigAutoField()
    list_id = IntegerField()
    campaign_id = IntegerField()
    kind = CharField()
    state = CharField()
    reason = CharField()
    bounce = CharField()
    count = BigIntegerField()


class HeldCount(Table):
    """The number of contacts by stored data; a column is 1 if address, name or source is stored."""

    id = BigAutoField()
    list_id = IntegerField()
    addressed = IntegerField()
    named = IntegerField()
    sourced = IntegerField()
    import_id = IntegerField()
    count = BigIntegerField()


class SuppressionCount(Table):
    """The number of suppressions; `list_id` is 0 for all lists, `imported` 1 if from an import."""

    id = BigAutoField()
    list_id = IntegerField()
    reason = CharField()
    imported = IntegerField()
    count = BigIntegerField()


class PartCount(Table):
    """The number of the evidence's parts; `list` is the slug, `personal` is 1 with a subject."""

    id = BigAutoField()
    list = CharField()
    part = CharField()
    personal = IntegerField()
    count = BigIntegerField()


COUNTS: tuple[type[Table], ...] = (ContactCount, MailCount, HeldCount, SuppressionCount, PartCount)
"""All tables of counts."""


@dataclass(frozen=True)
class _CountTable:
    """The definition of a table of counts.

    - `name`: the prefix of its triggers.
    - `counts`, `counted`: the table of counts, and the table whose rows it counts.
    - `columns`: SQL for the value of each column, for a `row` of the counted table.
    - `sources`: the counted table's columns whose change changes a count.
    - `by_file`: whether SQLite's trigger leaves imported rows to `count_imported_contacts`.
    """

    name: str
    counts: str
    counted: str
    columns: dict[str, str]
    sources: tuple[str, ...]
    by_file: bool = False

    @property
    def names(self) -> str:
        """The columns that identify a kind, separated by commas."""
        return ", ".join(self.columns)

    def make_values(self, row: str) -> str:
        """Return SQL for the values of these columns in a row."""
        return ", ".join(column.format(row=row) for column in self.columns.values())

    def make_named_values(self, row: str) -> str:
        """Return SQL for the values of these columns in a row, with their names."""
        return ", ".join(
            f"{column.format(row=row)} AS {name}" for name, column in self.columns.items()
        )


def _make_columns(*names: str) -> dict[str, str]:
    return {name: f"{{row}}.{name}" for name in names}


def _make_flag(condition: str) -> str:
    """Return SQL that is 1 where a condition holds, and 0 elsewhere, on every database."""
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


_IMPORT = {"import_id": "COALESCE({row}.imported_by_id, 0)"}

_COUNT_TABLES = (
    _CountTable(
        "contact",
        "contact_count",
        "contact",
        _make_columns("list_id", "status", "reason", "basis", "language") | _IMPORT,
        ("list_id", "status", "reason", "basis", "language", "imported_by_id"),
        by_file=True,
    ),
    _CountTable(
        "mail",
        "mail_count",
        "mail",
        {
            "list_id": "{row}.list_id",
            "campaign_id": "COALESCE({row}.campaign_id, 0)",
            **_make_columns("kind", "state", "reason", "bounce"),
        },
        ("list_id", "campaign_id", "kind", "state", "reason", "bounce"),
    ),
    _CountTable(
        "held",
        "held_count",
        "contact",
        {
            "list_id": "{row}.list_id",
            "addressed": _make_flag("{row}.address IS NOT NULL"),
            "named": _make_flag("{row}.name <> ''"),
            "sourced": _make_flag("{row}.source <> ''"),
            **_IMPORT,
        },
        ("list_id", "address", "name", "source", "imported_by_id"),
        by_file=True,
    ),
    _CountTable(
        "suppression",
        "suppression_count",
        "suppression",
        {
            "list_id": "COALESCE({row}.list_id, 0)",
            "reason": "{row}.reason",
            "imported": _make_flag("{row}.imported_by_id IS NOT NULL"),
        },
        ("list_id", "reason", "imported_by_id"),
    ),
    _CountTable(
        "part",
        "part_count",
        "evidence_part",
        {
            # An entry is appended before its parts, never changes, and is never deleted. If it was
            # tampered with, its parts must still be erasable; `verify` finds the rest.
            "list": "COALESCE((SELECT list FROM evidence WHERE evidence.seq = {row}.seq), '')",
            "part": "{row}.part",
            "personal": "COALESCE((SELECT "
            + _make_flag("subject <> ''")
            + " FROM evidence WHERE evidence.seq = {row}.seq), 0)",
        },
        ("seq", "part"),
    ),
)


def create_triggers(database: Database) -> None:
    """Create the triggers, and count the existing rows."""
    for table in _COUNT_TABLES:
        if not is_postgresql(database):
            # Triggers of an older version have other columns.
            for verb in _VERBS:
                run_sql(database, f"DROP TRIGGER IF EXISTS {table.name}_{verb}")
        statements = (
            _iter_postgresql_statements(table)
            if is_postgresql(database)
            else _iter_sqlite_statements(table)
        )
        for statement in statements:
            run_sql(database, statement)
    recount(database)


def list_former_triggers() -> list[str]:
    """Return the statements that created SQLite's triggers before version 36, for old backups."""
    row_tables = [replace(table, by_file=False) for table in _COUNT_TABLES if table.by_file]
    # Before version 31.
    tables_without_file = [
        replace(
            table,
            columns={name: sql for name, sql in table.columns.items() if name not in _IMPORT},
            sources=table.sources[:-1],
        )
        for table in row_tables
    ]
    return [
        statement
        for table in row_tables + tables_without_file
        for statement in _iter_sqlite_statements(table)
        if "TRIGGER" in statement
    ]


def read_last_contact_id(database: Database) -> int:
    """Return the highest id of a contact; 0 without contacts."""
    (last,) = run_sql(database, "SELECT MAX(id) FROM contact").fetchone()
    return int(last or 0)


def count_imported_contacts(database: Database, *, after: int) -> None:
    """Add the imported contacts behind the id `after` to the counts, in the caller's transaction.

    On PostgreSQL triggers have done so.
    """
    if is_postgresql(database):
        return
    tables = [table for table in _COUNT_TABLES if table.by_file]
    columns = {name: column for table in tables for name, column in table.columns.items()}
    # Grouping by columns that are equal for all rows of an import would take a third longer.
    differing = ", ".join(name for name in columns if name not in {"list_id", *_IMPORT})
    select = _select_actual(replace(tables[0], columns=columns), "WHERE id > ?", differing)
    for *kind, count in run_sql(database, select, after).fetchall():
        values = dict(zip(columns, kind, strict=True))
        for table in tables:
            kind_of_table = (values[name] for name in table.columns)
            run_sql(database, _add_to_count(table, database), *kind_of_table, count)


def recount(database: Database) -> None:
    """Count all rows again, in the caller's transaction, which blocks other writers."""
    if is_postgresql(database):
        counted_tables = ", ".join(dict.fromkeys(table.counted for table in _COUNT_TABLES))
        run_sql(database, f"LOCK TABLE {counted_tables} IN SHARE ROW EXCLUSIVE MODE")
    for table in _COUNT_TABLES:
        run_sql(database, f"DELETE FROM {table.counts}")
        run_sql(
            database, f"INSERT INTO {table.counts} ({table.names}, count) {_select_actual(table)}"
        )


def correct_counts(database: Database) -> None:
    """Correct all counts while others may write; must be called outside a transaction.

    Triggers add every later change, so the error of a count stays the same. It is computed in a
    snapshot, which may take long, and subtracted in a short transaction.
    """
    with read_snapshot(database):
        drifts = [
            (table, run_sql(database, _select_drift(table)).fetchall()) for table in _COUNT_TABLES
        ]
    with database.atomic():
        for table, drift in drifts:
            for *kind, change in drift:
                run_sql(database, _add_to_count(table, database), *kind, -int(change))


def find_drift(database: Database) -> int:
    """Return the number of wrong counts; reads all rows."""
    return sum(len(run_sql(database, _select_drift(table)).fetchall()) for table in _COUNT_TABLES)


def find_changed_counts(
    database: Database, parts: Mapping[tuple[str, str, bool], int]
) -> list[str]:
    """Return the tables of counts that have a wrong count.

    - `parts`: the numbers of the evidence's parts, by list, part, and whether the entry has a
      subject; the caller has just read them all.
    """
    changed_tables = [
        table.counts
        for table in _COUNT_TABLES
        if table.name != "part" and run_sql(database, f"{_select_drift(table)} LIMIT 1").fetchone()
    ]
    part_counts: dict[tuple[str, str, bool], int] = {}
    for row in list(PartCount.select()):
        key = (row.list, row.part, bool(row.personal))
        part_counts[key] = part_counts.get(key, 0) + row.count
    is_right = {key: count for key, count in part_counts.items() if count} == dict(parts)
    return changed_tables if is_right else [*changed_tables, _COUNT_TABLES[-1].counts]


def fold_counts(database: Database) -> None:
    """Merge the rows of counts that have many, on PostgreSQL.

    Any number of processes may do so at once, as each locks rows that no other has locked.
    """
    if not is_postgresql(database):
        return
    for table in _COUNT_TABLES:
        if run_sql(database, _select_long(table)).fetchone() is not None:
            with database.atomic():
                run_sql(database, _fold_rows(table))


_VERBS = ("comes", "goes", "turns")


# --- SQL, built from constants only. --------------------------------------------------------------

# ruff: noqa: S608


def _select_actual(table: _CountTable, condition: str = "", group_by: str = "") -> str:
    return (
        f"SELECT {table.names}, COUNT(*) FROM (SELECT {table.make_named_values(table.counted)} "
        f"FROM {table.counted} {condition}) AS counted GROUP BY {group_by or table.names}"
    )


def _select_drift(table: _CountTable) -> str:
    """Return SQL for every kind whose count differs from its number of rows, and by how much."""
    return (
        f"SELECT {table.names}, SUM(change) FROM ("
        f"SELECT {table.names}, count AS change FROM {table.counts} UNION ALL "
        f"SELECT {table.make_named_values(table.counted)}, -1 FROM {table.counted}"
        f") AS changes GROUP BY {table.names} HAVING SUM(change) <> 0"
    )


def _add_to_count(table: _CountTable, database: Database) -> str:
    """Return SQL that adds to the count of a kind; on PostgreSQL it adds a row."""
    placeholder = "%s" if is_postgresql(database) else "?"
    placeholders = ", ".join([placeholder] * (len(table.columns) + 1))
    statement = f"INSERT INTO {table.counts} ({table.names}, count) VALUES ({placeholders})"
    if is_postgresql(database):
        return statement
    return f"{statement} ON CONFLICT ({table.names}) DO UPDATE SET count = count + excluded.count"


def _iter_sqlite_statements(table: _CountTable) -> Iterator[str]:
    counts, on = table.counts, f"ON {table.counted}"
    yield f"CREATE UNIQUE INDEX IF NOT EXISTS {counts}_kind ON {counts} ({table.names})"
    increase, decrease = _upsert_change(table, "NEW", 1), _upsert_change(table, "OLD", -1)
    new = f"CREATE TRIGGER IF NOT EXISTS {table.name}"
    when = " WHEN NEW.imported_by_id IS NULL" if table.by_file else ""
    yield f"{new}_comes AFTER INSERT {on}{when} BEGIN {increase} END"
    yield f"{new}_goes AFTER DELETE {on} BEGIN {decrease} END"
    differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in table.sources)
    sources = ", ".join(table.sources)
    yield (
        f"{new}_turns AFTER UPDATE OF {sources} {on} WHEN {differs} BEGIN {decrease} {increase} END"
    )


def _upsert_change(table: _CountTable, row: str, change: int) -> str:
    return (
        f"INSERT INTO {table.counts} ({table.names}, count) "
        f"VALUES ({table.make_values(row)}, {change}) "
        f"ON CONFLICT ({table.names}) DO UPDATE SET count = count + {change};"
    )


def _iter_postgresql_statements(table: _CountTable) -> Iterator[str]:
    """Yield the statements of triggers that fire once per statement, with all changed rows."""
    name, counted = table.name, table.counted
    came, went = _select_changes(table, "came", 1), _select_changes(table, "went", -1)
    yield (
        f"CREATE OR REPLACE FUNCTION count_{name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN IF TG_OP = 'INSERT' THEN {_insert_changes(table, came)}; "
        f"ELSIF TG_OP = 'DELETE' THEN {_insert_changes(table, went)}; "
        f"ELSE {_insert_changes(table, came, went)}; "
        f"END IF; RETURN NULL; END $$"
    )
    for event, verb, tables in (
        ("INSERT", "comes", "NEW TABLE AS came"),
        ("DELETE", "goes", "OLD TABLE AS went"),
        ("UPDATE", "turns", "OLD TABLE AS went NEW TABLE AS came"),
    ):
        yield f"DROP TRIGGER IF EXISTS {name}_{verb} ON {counted}"
        yield (
            f"CREATE TRIGGER {name}_{verb} AFTER {event} ON {counted} REFERENCING {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION count_{name}()"
        )


def _select_changes(table: _CountTable, rows: str, change: int) -> str:
    return f"SELECT {table.make_named_values(rows)}, {change} AS change FROM {rows}"


def _insert_changes(table: _CountTable, *changes: str) -> str:
    return (
        f"INSERT INTO {table.counts} ({table.names}, count) SELECT {table.names}, SUM(change) "
        f"FROM ({' UNION ALL '.join(changes)}) AS changes "
        f"GROUP BY {table.names} HAVING SUM(change) <> 0"
    )


def _select_long(table: _CountTable) -> str:
    return (
        f"SELECT 1 FROM {table.counts} GROUP BY {table.names} "
        f"HAVING COUNT(*) > {_MAX_ROWS_OF_KIND} LIMIT 1"
    )


def _fold_rows(table: _CountTable) -> str:
    return (
        f"WITH taken AS (SELECT id FROM {table.counts} "
        f"LIMIT {_MAX_ROWS_FOLDED} FOR UPDATE SKIP LOCKED), "
        f"gone AS (DELETE FROM {table.counts} USING taken WHERE {table.counts}.id = taken.id "
        f"RETURNING {table.counts}.*) "
        f"INSERT INTO {table.counts} ({table.names}, count) "
        f"SELECT {table.names}, SUM(count) FROM gone GROUP BY {table.names} HAVING SUM(count) <> 0"
    )


# --- Tallies of entries, so that no page counts a million entries. --------------------------------


class Tally(Table):
    """The number of people of a list and campaign with an outcome, by day.

    - `list`: the slug.
    - `campaign`: 0 without one.
    - `day`: the day of the outcome, as an ISO date in the organisation's zone; "" in the row with
      the number of people whose current outcome it is.
    - `what`: a reports.Outcome.
    """

    id = AutoField()
    list = CharField()
    campaign = IntegerField(default=0)
    day = CharField(max_length=10, default="")
    what = CharField()
    count = IntegerField(default=0)

    class Meta:
        """One row for each thing that is counted."""

        indexes = ((("list", "campaign", "day", "what"), True),)
