"""Invariant 7: what `repermit verify` finds of each way to tamper, and what nothing finds.

docs/explanation/what-no-checkpoint-shows.md lists both, and is held against what happens here.
"""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from peewee import (
    AutoField,
    BooleanField,
    CharField,
    Field,
    ForeignKeyField,
    IntegerField,
    TextField,
)

from repermit import email_address
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.base import Table, UTCDateTimeField
from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import
from tests.support import tampered_records
from tests.support.desk import Desk

PAGE = Path("docs/explanation/what-no-checkpoint-shows.md")
ROW = re.compile(r"\| (.+?) \| (.+?) \| (.+?) \|")
NOTHING, BY_CHECKPOINT = "nothing", "a checkpoint"
NOBODY = SimpleNamespace(host="127.0.0.1", port=9)


@dataclass(frozen=True)
class Story:
    """A folder with a desk at which all was told, and a checkpoint that was kept."""

    desk: Desk
    kept: Path
    ways: dict[str, tampered_records.Way]

    def copy(self, folder: Path) -> Desk:
        """Return a desk with the same files in a folder of its own."""
        desk = _desk(folder)
        for name in ("repermit.db", "suppressions.journal"):
            shutil.copy(self.desk.folder / name, folder / name)
        return desk


def _desk(folder: Path) -> Desk:
    url = f"sqlite:///{folder}/repermit.db"
    desk = Desk(folder, database_url=url, inbox=cast("Any", NOBODY))
    desk.clock.move_to(tampered_records.END)
    return desk


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    desk = _desk(tmp_path_factory.mktemp("story"))
    key = desk.settings.fingerprint_key
    with desk.database() as database:
        tampered_records.tell_story(database, desk.folder, desk.settings)
        subjects = {row.address_key.split("@")[0]: row.subject for row in Contact.select()}
        first_file = Import.get_by_id(1).digest
    prints = {
        name: email_address.fingerprint(key, f"{name}@example.org")
        for name in ("nee", "klant", "nooit")
    }
    kept = desk.folder / "kept.json"
    kept.write_text(desk.do("verify", "--json"))
    return Story(desk, kept, tampered_records.make_ways(prints, subjects, first_file))


def how(desk: Desk, *arguments: str) -> str:
    """Return how the record fails by `repermit verify`, "" where all holds."""
    ran = desk.run("verify", "--json", *arguments)
    fault = ran.document["fault"]
    assert (ran.code == 0) is (fault is None)
    return fault["how"] if fault else ""


def find(story: Story, way: str, folder: Path) -> str:
    """Return what finds a way: how `verify` says it, a checkpoint, or nothing."""
    desk = story.copy(folder)
    database = folder / "repermit.db"
    tampered_records.do_it(
        story.ways[way], path=database, database=desk.database, settings=desk.settings
    )
    if found := how(desk):
        return f"`{found}`"
    return BY_CHECKPOINT if how(desk, "--checkpoint", str(story.kept)) else NOTHING


def read_rows(heading: str) -> list[tuple[str, str, str]]:
    """Return the rows of the table under a heading of the page."""
    _, _, below = PAGE.read_text("utf-8").partition(f"## {heading}\n")
    found = map(ROW.fullmatch, below.partition("\n## ")[0].splitlines())
    _titles, *rows = [(row[1], row[2], row[3]) for row in found if row]
    return rows


def documented_ways() -> dict[str, str]:
    return {way: found for way, found, _ in read_rows("Acts")}


def test_the_story_holds_also_sealed_anew(story: Story, tmp_path: Path) -> None:
    desk = story.copy(tmp_path)
    assert how(desk, "--checkpoint", str(story.kept)) == ""
    with desk.database() as database:
        tampered_records.seal_anew(database, desk.settings)
    assert how(desk, "--checkpoint", str(story.kept)) == ""


def test_each_way_stands_in_the_documentation(story: Story) -> None:
    assert list(documented_ways()) == list(story.ways)


@pytest.mark.parametrize(
    "way",
    [
        "a No vanishes, with its suppression and its line of the journal",
        "the journal is cut, and sealed anew",
        "a tally is changed",
        "a proof is erased before its time",
        "an entry in the middle is dated 2019",
        "an entry is dated 2031",
    ],
)
def test_what_finds_a_way_is_what_the_documentation_says(
    story: Story, way: str, tmp_path: Path
) -> None:
    assert find(story, way, tmp_path) == documented_ways()[way]


@pytest.mark.exhaustive
def test_what_finds_each_way_is_what_the_documentation_says(story: Story, tmp_path: Path) -> None:
    found = {}
    for number, way in enumerate(story.ways):
        folder = tmp_path / str(number)
        folder.mkdir()
        found[way] = find(story, way, folder)
    assert found == documented_ways()


# --- Each column of each table. -------------------------------------------------------------------

NEE = "(SELECT id FROM contact WHERE address_key = 'nee@example.org')"
ITS_SUBJECT = "(SELECT subject FROM contact WHERE address_key = 'nee@example.org')"
ITS_ENTRY = f"(SELECT seq FROM evidence WHERE event = 'removed' AND subject = {ITS_SUBJECT})"
TELLING = {
    "contact": "address_key = 'nee@example.org'",
    "mail": f"contact_id = {NEE} AND kind = 'ask'",
    "suppression": f"subject = {ITS_SUBJECT}",
    "evidence": f"seq = {ITS_ENTRY}",
    "evidence_part": f"seq = {ITS_ENTRY} AND part = 'consent'",
    "opening": f"contact_id = {NEE}",
    "meta": "key = 'tallied_upto'",
}
"""The row of a table that is changed, where it is not just any."""

LIKE = {"mail": "kind IN ('ask', 'reminder')"}
"""The rows with one of which a column is exchanged, where it is not just any."""

BESIDE = {
    *("user", "recovery_code", "invitation", "session", "throttle", "security_event"),
    *("api_token", "access", "webhook", "delivery", "draft", "upload", "chosen", "correction"),
    *("pace", "reply", "fresh_link", "register_notes", "background_task", "sign_up", "opening"),
    *("list_text", "import_change", "evidence_timestamp", "seen_message"),
}
"""Tables that the record tells nothing of, or in words only."""


UNIQUE = {
    "mailing_list": ("slug",),
    "import": ("at",),
    "contact": ("uid", "address_key"),
    "campaign_wording": ("revision",),
    "evidence_part": ("seq",),
    "tally": ("day",),
    "mail": ("contact_id",),
    "suppression": ("fingerprint",),
    "handed_over": ("step",),
}
"""What is another value in a copy of a row, since there may not be two with the same."""

Statement = tuple[Any, ...]
"""SQL and its values."""


def change(field: Field, old: Any) -> Any:
    """Return another value for a column."""
    if isinstance(field, UTCDateTimeField):
        return "2026-03-01T00:00:00.000000+00:00"
    if isinstance(field, BooleanField):
        return 0 if old else 1
    if isinstance(field, IntegerField | ForeignKeyField) and not isinstance(old, str):
        return (old or 0) + 1000
    assert isinstance(field, CharField | TextField | ForeignKeyField), field
    is_hex = isinstance(old, str) and re.fullmatch(r"[0-9a-f]{32,64}", old)
    return ("1" if old[0] == "0" else "0") + old[1:] if is_hex else f"{old or ''}x"


def empty(field: Field, old: Any) -> Any:
    """Return what empties a column, the old value where nothing does."""
    if field.null or isinstance(field, UTCDateTimeField):
        return None if field.null else old
    return 0 if isinstance(old, int) else ""


def column_changes(
    table: str, field: Field, row: sqlite3.Row, others: Iterable[sqlite3.Row]
) -> Iterator[tuple[Statement, ...]]:
    """Yield how a column of a row is changed, emptied and exchanged with that of another row."""
    column, number = field.column_name, row["its_row"]
    update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
    for value in (change(field, row[column]), empty(field, row[column])):
        if value != row[column]:
            yield ((update, value, number),)
    other = next((one for one in others if one[column] != row[column]), None)
    if other is not None:
        # No two may be the same meanwhile.
        yield (
            (update, -1, number),
            (update, row[column], other["its_row"]),
            (update, other[column], number),
        )


def copy_row(table: type[Table], row: sqlite3.Row) -> Statement:
    """Return how a copy of a row is put in, with other values where there may not be two."""
    name = table._meta.table_name
    fields = {
        field.column_name: field
        for field in table._meta.sorted_fields
        if not isinstance(field, AutoField)
    }
    keys = {field.column_name for field in fields.values() if field.primary_key}
    other = keys or UNIQUE.get(name, ())
    values = [
        change(field, row[column]) if column in other else row[column]
        for column, field in fields.items()
    ]
    columns, signs = ", ".join(fields), ", ".join("?" * len(fields))
    return (f"INSERT INTO {name} ({columns}) VALUES ({signs})", *values)


def column_faults(story: Story, folder: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield table and column, and whether each change of it is found; also of whole rows."""
    for table in ALL_TABLES:
        name = table._meta.table_name
        if name in BESIDE or name.endswith("_count"):
            continue
        where = TELLING.get(name, "1 = 1")
        with closing(sqlite3.connect(story.desk.folder / "repermit.db")) as raw:
            raw.row_factory = sqlite3.Row
            query = f"SELECT rowid AS its_row, * FROM {name} WHERE"
            row = raw.execute(f"{query} {where} LIMIT 1").fetchone()
            others = raw.execute(f"{query} {LIKE.get(name, '1 = 1')} ORDER BY rowid").fetchall()
        if row is None:
            assert name == "evidence_node"  # Of 64 entries and more: test_verify_tampering.
            continue
        deleting = (f"DELETE FROM {name} WHERE rowid = ?", row["its_row"])
        yield name, "a row deleted", is_found(story, folder, deleting)
        yield name, "a row put in", is_found(story, folder, copy_row(table, row))
        for field in table._meta.sorted_fields:
            if field.primary_key and name not in {"evidence", "evidence_head", "meta", "wording"}:
                continue
            changes = column_changes(name, field, row, others)
            found = all(is_found(story, folder, *statements) for statements in changes)
            yield name, field.column_name, found


def is_found(story: Story, folder: Path, *statements: Statement) -> bool:
    own = folder / str(len(list(folder.iterdir())))
    own.mkdir()
    desk = story.copy(own)
    with closing(sqlite3.connect(own / "repermit.db", isolation_level=None)) as raw:
        raw.execute("PRAGMA foreign_keys = 0")
        try:
            for statement, *values in statements:
                raw.execute(statement, values)
        except sqlite3.IntegrityError:
            # What the database refuses needs nobody to find it.
            return True
    return how(desk) != ""


@pytest.mark.exhaustive
def test_each_column_that_may_be_changed_unnoticed_is_named_with_the_reason(
    story: Story, tmp_path: Path
) -> None:
    unseen = {
        (table, column) for table, column, found in column_faults(story, tmp_path) if not found
    }
    documented = {
        (table.strip("`"), column.strip("`"))
        for table, columns, _ in read_rows("Columns")
        for column in columns.split(", ")
        if table.strip("`") not in BESIDE
    }
    assert documented == unseen


def test_tables_beside_the_record_stand_in_the_documentation() -> None:
    documented = {table.strip("`") for table, _, _ in read_rows("Columns")}
    assert documented >= BESIDE
