"""The key that signs checkpoints, in the record: first seen, changed, lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence
from repermit.evidence import chain, chain_reader, evidence_key, signed_checkpoint
from repermit.evidence.entries import Entry
from repermit.settings.definitions import Settings
from tests.support.builders import NOW, make_settings
from tests.support.query_plans import plans_of

FIRST, SECOND = (make_settings(evidence_key=bytes([one]) * 32) for one in (1, 2))
UNSIGNED = make_settings()


def note(database: Database, settings: Settings) -> None:
    evidence_key.note_key(database, settings, now=NOW, actor="cli:1000")


def told() -> list[dict[str, Any]]:
    rows = Evidence.select(Evidence.seq).where(Evidence.event == "evidence_key")
    found = [chain_reader.read_entry(row.seq)["parts"] for row in rows.order_by(Evidence.seq)]
    return [parts["consent"]["content"] for parts in found]


def key(settings: Settings) -> str:
    return str(signed_checkpoint.get_public_key(settings) or "")


def test_a_key_that_is_first_seen_changed_or_lost_is_an_entry(database: Database) -> None:
    for settings in (UNSIGNED, FIRST, FIRST, SECOND, UNSIGNED, UNSIGNED, FIRST):
        note(database, settings)
    assert told() == [
        {"key": key(FIRST), "before": ""},
        {"key": key(SECOND), "before": key(FIRST)},
        {"key": "", "before": key(SECOND)},
        {"key": key(FIRST), "before": ""},
    ]


def test_it_is_noted_once_however_many_processes_do_it(database: Database) -> None:
    def do(_: int) -> None:
        with database.connection_context():
            note(database, FIRST)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(do, range(4)))
    assert len(told()) == 1


def test_to_find_the_keys_no_entry_of_a_person_is_read(database: Database) -> None:
    note(database, FIRST)
    (plan,) = plans_of(database, evidence_key.read_recorded_keys, having='"event" = ')
    assert "evidence_subject" in plan


def test_the_present_key_and_those_before_it_are_known(database: Database) -> None:
    assert evidence_key.list_known_keys(UNSIGNED) == []
    for settings in (FIRST, SECOND):
        note(database, settings)
    first, second = map(signed_checkpoint.get_public_key, (FIRST, SECOND))
    assert evidence_key.list_known_keys(SECOND) == [second, first]
    # Whoever has lost the key knows by which it was.
    assert evidence_key.list_known_keys(UNSIGNED) == [second, first]


def test_what_no_key_can_be_is_left_out(database: Database) -> None:
    note(database, FIRST)
    with database.atomic():
        chain.append(
            Entry(event="evidence_key", at=NOW, actor="job", consent={"key": "x", "before": ""})
        )
    assert evidence_key.read_recorded_keys() == [
        signed_checkpoint.get_public_key(FIRST),
        None,
    ]
