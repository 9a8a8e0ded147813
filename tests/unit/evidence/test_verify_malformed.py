"""Invariant 7: `verify` names an entry of another form; it does not break off at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from peewee import IntegrityError

from repermit.db.connection import Database, run_sql
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.evidence import Evidence, EvidencePart, EvidenceTimestamp
from repermit.evidence.entries import EVENTS, encode_canonical_json
from repermit.evidence.verify.chain import verify_chain
from repermit.evidence.verify.diagnosis import Fault, How
from tests.support import tampered_records
from tests.support.builders import NOW, make_settings
from tests.support.told_databases import tell_once

SETTINGS = make_settings()
LARGE = 1 << 70


def tell_story(database: Database, folder: Path) -> None:
    tampered_records.tell_story(database, folder, SETTINGS)


ready_sqlite, ready_postgresql = tell_once(tell_story)


def exchange(seq: int, part: str, content: Any) -> None:
    """Let a part of an entry have another content, and the record be sealed anew."""
    EvidencePart.update(json=encode_canonical_json(content)).where(
        EvidencePart.seq == seq, EvidencePart.part == part
    ).execute()
    tampered_records.seal_entries()


def find_fault(database: Database) -> Fault | None:
    key = SETTINGS.fingerprint_key
    return verify_chain(database, fingerprint_key=key, now=tampered_records.END).fault


def read_parts(event: str) -> Iterator[tuple[int, str, Any]]:
    """Yield the parts of the entries with an event, as (entry, part, content)."""
    parts: Any = EvidencePart.select(EvidencePart.seq, EvidencePart.part, EvidencePart.json)
    rows = parts.join(Evidence, on=(Evidence.seq == EvidencePart.seq)).order_by(Evidence.seq)
    for seq, part, text in list(rows.where(Evidence.event == event).tuples()):
        yield seq, part, json.loads(text)


@pytest.mark.parametrize(
    ("event", "member", "value", "how"),
    [
        ("launched", "wordings", 7, How.MALFORMED),
        ("launched", "asked", "x", How.MALFORMED),
        ("launched", "starts_at", 7, How.MALFORMED),
        ("extended", "wordings", {"ask": 7}, How.MALFORMED),
        ("removed", "deadline", 7, How.CONTRADICTED),
        ("removed", "deadline", ["x"], How.MALFORMED),
        ("removed", "reason", ["x"], How.MALFORMED),
        ("removed", "minimum_days", "x", How.MALFORMED),
        ("removed", "minimum_days", LARGE, How.MALFORMED),
        ("handed_over", "step", ["x"], How.MALFORMED),
        ("import_undone", "contacts", "x", How.MALFORMED),
    ],
)
def test_what_stands_where_another_kind_of_value_should_is_named(
    database: Database, event: str, member: str, value: Any, how: How
) -> None:
    told = next(one for one in read_parts(event) if member in one[2])
    with database.atomic():
        exchange(told[0], told[1], {**told[2], member: value})
    fault = find_fault(database)
    assert fault is not None
    assert (fault.seq, fault.how) == (told[0], how)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "x"),
        ("at", ""),
        ("at", "2026-13-45T09:00:00.000000+00:00"),
        ("at", "2026-03-02T09:00:00"),
        ("campaign", -1),
    ],
)
def test_an_entry_whose_own_values_have_another_form_is_named(
    database: Database, column: str, value: object
) -> None:
    seq = 2
    with database.atomic():
        run_sql(database, f"UPDATE evidence SET {column} = ? WHERE seq = ?", value, seq)  # noqa: S608
        tampered_records.seal_entries()
    fault = find_fault(database)
    assert fault is not None
    assert (fault.seq, fault.how) == (seq, How.MALFORMED)


def list_columns() -> list[str]:
    """Return all columns that SQLite has, each with its table."""
    return [
        f"{table._meta.table_name}.{field.column_name}"
        for table in ALL_TABLES
        for field in table._meta.sorted_fields
    ]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE contact SET status = CAST(x'ff' AS TEXT)",
        "UPDATE evidence SET at = CAST(x'ff' AS TEXT) WHERE seq = 2",
        "UPDATE contact_count SET count = -9223372036854775808",
        "INSERT INTO meta (key, value) VALUES ('cosigning', 'x')",
        "INSERT INTO meta (key, value) VALUES ('cosigned a', x'ff')",
    ],
)
def test_a_text_that_is_none_and_a_number_that_is_too_large_are_faults(
    database: Database, change: str
) -> None:
    with database.atomic():
        run_sql(database, change)
    fault = find_fault(database)
    assert fault is not None
    assert (fault.seq, fault.how) == (0, How.MALFORMED)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("column", "reply"), [("stamped_at", "x"), ("due_at", ""), ("seq", "x")])
def test_a_timestamp_of_another_form_is_a_fault(
    database: Database, column: str, reply: str
) -> None:
    values = {"occasion": "launch 1", "due_at": NOW, "next_at": NOW, "seq": 1, "note": "x"}
    with database.atomic():
        EvidenceTimestamp.create(**values, reply=reply)
        run_sql(database, f"UPDATE evidence_timestamp SET {column} = 'x'")  # noqa: S608
    assert find_fault(database)


def test_what_is_nested_too_deeply_is_a_fault(database: Database) -> None:
    seq, *_ = next(read_parts("removed"))
    text = "[" * 100_000
    with database.atomic():
        EvidencePart.update(json=text).where(
            EvidencePart.seq == seq, EvidencePart.part == "consent"
        ).execute()
        tampered_records.seal_entries()
    fault = find_fault(database)
    assert fault is not None
    assert (fault.seq, fault.how) == (seq, How.MALFORMED)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("columns", "value"),
    [
        (["contact.address"], b"\xff"),
        (["mail.due_at"], "x"),
        (["mail.reply_code"], "x"),
        (["sign_up.at"], "x"),
        (["tally.count"], "x"),
        (["part_count.count"], "x"),
        (["wording.content"], b"\xff"),
        (["evidence_part.salt"], b"\xff"),
        (["evidence_head.seq"], "x"),
        pytest.param(list_columns(), "x", marks=pytest.mark.exhaustive),
        pytest.param(list_columns(), "", marks=pytest.mark.exhaustive),
        pytest.param(list_columns(), b"\xff", marks=pytest.mark.exhaustive),
    ],
)
def test_a_value_of_another_form_in_any_row_is_a_fault(
    database: Database, columns: list[str], value: object
) -> None:
    for table, column in (name.split(".") for name in columns):
        with database.atomic() as transaction, suppress(IntegrityError):
            # In all rows, as the order of some is random.
            run_sql(database, f"UPDATE {table} SET {column} = ?", value)  # noqa: S608
            assert find_fault(database) or len(columns) > 1, column
            transaction.rollback()


@pytest.mark.exhaustive
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("other", [None, 7, LARGE, "x", ["x"], {"x": [1]}], ids=repr)
def test_whatever_stands_in_an_entry_verify_comes_to_its_end(
    database: Database, other: object
) -> None:
    told = {
        (event, part, member): (seq, content)
        for event in sorted(EVENTS)
        for seq, part, content in read_parts(event)
        for member in content
    }
    assert len(told) > 100
    for (_, part, member), (seq, content) in told.items():
        with database.atomic():
            exchange(seq, part, {**content, member: other})
        find_fault(database)
        EvidencePart.update(json=encode_canonical_json(content)).where(
            EvidencePart.seq == seq, EvidencePart.part == part
        ).execute()
