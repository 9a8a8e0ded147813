"""How many contacts, mails and more there are of each kind, kept by the database itself.

A page that counted a million rows would take a second.

Triggers keep the counts in the transaction that changes a row, whoever changes it, so that a count
is never behind and never ahead. On SQLite, where one writes at a time, they change the one row of
a kind. On PostgreSQL workers would wait for each other there, so each statement adds a row with
what it changed; a count is the sum of its rows, and `fold_counts` puts them together now and then.

SQLite's triggers fire for each row, which takes a fifth of the time of an import: whom a file
brings is counted by `count_imported_contacts`, once a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from peewee import AutoField, BigAutoField, BigIntegerField, CharField, IntegerField

from repermit.db.connection import Database, is_postgresql, read_snapshot, run_sql
from repermit.db.models.base import Table

# So many rows of one count are summed up in no time.
_MAX_ROWS_OF_KIND = 100
# So many are put together at once.
_MAX_ROWS_FOLDED = 100_000


class ContactCount(Table):
    """How many contacts there are with the same of all this; several rows are to be added up."""

    id = BigAutoField()
    # Not references: a row that goes would have to take its count along.
    list_id = IntegerField()
    status = CharField()
    reason = CharField()
    basis = CharField()
    language = CharField()
    # The import that brought them, 0 for none: one that is not whole yet is not counted.
    import_id = IntegerField()
    count = BigIntegerField()


class MailCount(Table):
    """The same of mails; `campaign_id` is 0 for those of none."""

    id = BigAutoField()
    list_id = IntegerField()
    campaign_id = IntegerField()
    kind = CharField()
    state = CharField()
    reason = CharField()
    bounce = CharField()
    count = BigIntegerField()


class HeldCount(Table):
    """The same of contacts by what is held about them; each column is 1 where there is some."""

    id = BigAutoField()
    list_id = IntegerField()
    addressed = IntegerField()
    named = IntegerField()
    sourced = IntegerField()
    import_id = IntegerField()
    count = BigIntegerField()


class SuppressionCount(Table):
    """The same of suppressions; `list_id` is 0 for all lists, `imported` 1 if a file brought it."""

    id = BigAutoField()
    list_id = IntegerField()
    reason = CharField()
    imported = IntegerField()
    count = BigIntegerField()


class PartCount(Table):
    """The same of the evidence's parts by the list's slug; `personal` is 1 if about somebody."""

    id = BigAutoField()
    list = CharField()
    part = CharField()
    personal = IntegerField()
    count = BigIntegerField()


COUNTS: tuple[type[Table], ...] = (ContactCount, MailCount, HeldCount, SuppressionCount, PartCount)
"""All tables of counts."""


@dataclass(frozen=True)
class _CountTable:
    """One table of counts, the table whose rows it counts, and its columns by how they are read.

    `name` is what its triggers are called after; `sources` are the columns whose change counts.
    Where `by_file` is true, SQLite's trigger leaves imported rows to `count_imported_contacts`.
    """

    name: str
    counts: str
    counted: str
    columns: dict[str, str]
    sources: tuple[str, ...]
    by_file: bool = False

    @property
    def names(self) -> str:
        """Return the columns that rows have in common."""
        return ", ".join(self.columns)

    def of(self, row: str) -> str:
        """Return the SQL for what they are in a row."""
        return ", ".join(column.format(row=row) for column in self.columns.values())

    def named(self, row: str) -> str:
        """Return the same, each under its name."""
        return ", ".join(
            f"{column.format(row=row)} AS {name}" for name, column in self.columns.items()
        )


def _make_columns(*names: str) -> dict[str, str]:
    return {name: f"{{row}}.{name}" for name in names}


def _make_flag(condition: str) -> str:
    """Return the SQL that is 1 where something holds, and else 0, on every database."""
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
            # An entry comes before its parts, never changes, and never goes. If somebody tampered
            # with it, its parts must still be erased; `verify` finds the rest.
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
    """Make the triggers, and count what is there already."""
    for table in _COUNT_TABLES:
        if not is_postgresql(database):
            # Those of an older version counted by other columns.
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
    """Return what made the triggers of SQLite before version 36, as an older backup has them."""
    row_tables = [replace(table, by_file=False) for table in _COUNT_TABLES if table.by_file]
    # Before version 31.
    tables_without_file = [
        replace(
            table,
            columns={name: of for name, of in table.columns.items() if name not in _IMPORT},
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
    """Return the highest number of a contact, 0 if there is none."""
    (last,) = run_sql(database, "SELECT MAX(id) FROM contact").fetchone()
    return int(last or 0)


def count_imported_contacts(database: Database, *, after: int) -> None:
    """Count whom a file has brought since the contact `after`, in the caller's transaction.

    On PostgreSQL triggers have done so.
    """
    if is_postgresql(database):
        return
    tables = [table for table in _COUNT_TABLES if table.by_file]
    columns = {name: column for table in tables for name, column in table.columns.items()}
    # By what they have in common they would be sorted for nothing, which takes a third longer.
    differing = ", ".join(name for name in columns if name not in {"list_id", *_IMPORT})
    select = _select_actual(replace(tables[0], columns=columns), "WHERE id > ?", differing)
    for *kind, count in run_sql(database, select, after).fetchall():
        values = dict(zip(columns, kind, strict=True))
        for table in tables:
            kind_of_table = (values[name] for name in table.columns)
            run_sql(database, _add_to_count(table, database), *kind_of_table, count)


def recount(database: Database) -> None:
    """Count all rows anew, in the caller's transaction; nobody else changes any meanwhile."""
    if is_postgresql(database):
        counted_tables = ", ".join(dict.fromkeys(table.counted for table in _COUNT_TABLES))
        run_sql(database, f"LOCK TABLE {counted_tables} IN SHARE ROW EXCLUSIVE MODE")
    for table in _COUNT_TABLES:
        run_sql(database, f"DELETE FROM {table.counts}")
        run_sql(
            database, f"INSERT INTO {table.counts} ({table.names}, count) {_select_actual(table)}"
        )


def correct_counts(database: Database) -> None:
    """Make each count what the rows say, whatever others write meanwhile; outside a transaction.

    Triggers add every later change, so that what a count is wrong by stays the same: it is found in
    a snapshot, which may take long, and taken off in a short transaction.
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
    """Return how many counts are not what the rows say; looks through all of them."""
    return sum(len(run_sql(database, _select_drift(table)).fetchall()) for table in _COUNT_TABLES)


def find_changed_counts(
    database: Database, parts: Mapping[tuple[str, str, bool], int]
) -> list[str]:
    """Return the tables of counts of which one or more are not what the rows say.

    `parts` are how many parts the evidence has of each kind, by list, part, and whether it is about
    somebody: whoever asks has just read them all.
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
    """Put rows of the same count together where there are many.

    Any number of processes may do so at once: each takes rows that no other has taken.
    """
    if not is_postgresql(database):
        return
    for table in _COUNT_TABLES:
        if run_sql(database, _select_long(table)).fetchone() is not None:
            with database.atomic():
                run_sql(database, _fold_rows(table))


_VERBS = ("comes", "goes", "turns")


# --- SQL, all of whose words are ours. ----------------------------------------------------------

# ruff: noqa: S608


def _select_actual(table: _CountTable, condition: str = "", group_by: str = "") -> str:
    return (
        f"SELECT {table.names}, COUNT(*) FROM (SELECT {table.named(table.counted)} "
        f"FROM {table.counted} {condition}) AS counted GROUP BY {group_by or table.names}"
    )


def _select_drift(table: _CountTable) -> str:
    """Return the SQL for every kind whose count and number of rows differ, and by how much."""
    return (
        f"SELECT {table.names}, SUM(change) FROM ("
        f"SELECT {table.names}, count AS change FROM {table.counts} UNION ALL "
        f"SELECT {table.named(table.counted)}, -1 FROM {table.counted}"
        f") AS changes GROUP BY {table.names} HAVING SUM(change) <> 0"
    )


def _add_to_count(table: _CountTable, database: Database) -> str:
    """Return the SQL that adds to the count of a kind; on PostgreSQL a kind may have many rows."""
    placeholder = "%s" if is_postgresql(database) else "?"
    placeholders = ", ".join([placeholder] * (len(table.columns) + 1))
    statement = f"INSERT INTO {table.counts} ({table.names}, count) VALUES ({placeholders})"
    if is_postgresql(database):
        return statement
    return f"{statement} ON CONFLICT ({table.names}) DO UPDATE SET count = count + excluded.count"


def _iter_sqlite_statements(table: _CountTable) -> Iterator[str]:
    counts, on = table.counts, f"ON {table.counted}"
    yield f"CREATE UNIQUE INDEX IF NOT EXISTS {counts}_kind ON {counts} ({table.names})"
    more, less = _upsert_change(table, "NEW", 1), _upsert_change(table, "OLD", -1)
    new = f"CREATE TRIGGER IF NOT EXISTS {table.name}"
    when = " WHEN NEW.imported_by_id IS NULL" if table.by_file else ""
    yield f"{new}_comes AFTER INSERT {on}{when} BEGIN {more} END"
    yield f"{new}_goes AFTER DELETE {on} BEGIN {less} END"
    differs = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in table.sources)
    sources = ", ".join(table.sources)
    yield f"{new}_turns AFTER UPDATE OF {sources} {on} WHEN {differs} BEGIN {less} {more} END"


def _upsert_change(table: _CountTable, row: str, change: int) -> str:
    return (
        f"INSERT INTO {table.counts} ({table.names}, count) VALUES ({table.of(row)}, {change}) "
        f"ON CONFLICT ({table.names}) DO UPDATE SET count = count + {change};"
    )


def _iter_postgresql_statements(table: _CountTable) -> Iterator[str]:
    """Yield triggers that fire once a statement, with all rows that it changed."""
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
    return f"SELECT {table.named(rows)}, {change} AS change FROM {rows}"


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


# --- What has been counted already, so that no page counts a million entries anew. ----------------


class Tally(Table):
    """How many people of a campaign (0: of none) came to stand somewhere, on a day of a list.

    `list` is the slug and `day` an ISO date in the organisation's zone; a row without a day says
    how many stand there now. `what` is a reports.Outcome.
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
