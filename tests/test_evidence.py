"""The record: what is appended, and that nothing can be changed unseen."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit import evidence
from repermit.evidence import Entry, Fault
from repermit.models import Evidence, EvidenceHead, EvidencePart, Wording
from tests.building import NOW

if TYPE_CHECKING:
    from collections.abc import Callable

    from repermit.models import Database

JAN = "a" * 32


def entry(**overrides: Any) -> Entry:
    values: dict[str, Any] = {"event": "confirmed", "at": NOW, "actor": "person"}
    return Entry(**{**values, **overrides})


def append(database: Database, *entries: Entry) -> int:
    with database.atomic():
        return evidence.append(*entries)


def faults() -> list[Fault]:
    return list(evidence.verify())


def test_an_entry_holds_digests_of_its_parts_and_nothing_personal(database: Database) -> None:
    seq = append(
        database,
        entry(
            list="news",
            campaign=7,
            subject=JAN,
            consent={"answer": "yes"},
            person={"address": "jan@example.org", "name": "Jan é"},
        ),
    )
    row = Evidence.get_by_id(seq)
    assert (row.seq, row.at, row.event, row.list, row.campaign, row.subject, row.actor) == (
        1,
        NOW,
        "confirmed",
        "news",
        7,
        JAN,
        "person",
    )
    assert row.trace == ""
    parts = {part.part: part for part in EvidencePart.select()}
    assert set(parts) == {"consent", "person"}
    assert parts["person"].json == '{"address":"jan@example.org","name":"Jan é"}'
    salted = bytes.fromhex(parts["person"].salt) + parts["person"].json.encode()
    assert row.person == hashlib.sha256(salted).hexdigest()
    assert faults() == []


def test_the_hash_covers_the_previous_hash_and_the_leaf(database: Database) -> None:
    append(database, entry(), entry(event="removed"))
    first, second = Evidence.select().order_by(Evidence.seq)
    leaf = json.dumps(
        {
            "actor": "person",
            "at": "2026-03-02T09:00:00.000000+00:00",
            "campaign": 0,
            "consent": "",
            "event": "removed",
            "list": "",
            "person": "",
            "seq": 2,
            "subject": "",
            "trace": "",
        },
        separators=(",", ":"),
    )
    its_leaf = hashlib.sha256(leaf.encode()).digest()
    expected = hashlib.sha256(bytes.fromhex(first.hash) + its_leaf).hexdigest()
    assert second.hash == expected
    head = EvidenceHead.get()
    assert (head.seq, head.hash) == (2, expected)


def test_the_same_content_twice_has_two_digests(database: Database) -> None:
    append(database, *[entry(person={"name": "Jan"})] * 2)
    assert len({row.person for row in Evidence.select()}) == 2


def test_a_moment_counts_wherever_it_was_written(database: Database) -> None:
    append(database, entry(at=NOW.astimezone(timezone(timedelta(hours=2)))))
    assert Evidence.get().at == NOW
    assert faults() == []


def test_nothing_to_append_changes_nothing(database: Database) -> None:
    append(database, entry())
    assert append(database) == 1
    assert faults() == []


def test_more_entries_than_fit_in_one_statement_are_appended(database: Database) -> None:
    assert append(database, *[entry(consent={"n": 1})] * 1001) == 1001
    assert Evidence.select().count() == EvidencePart.select().count() == 1001
    assert faults() == []


def test_several_may_append_at_once(database: Database) -> None:
    def several() -> None:
        with database.connection_context():
            for _ in range(10):
                append(database, entry(consent={"n": 1}))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(several) for _ in range(4)]:
            done.result(60)
    assert Evidence.select().count() == 40
    assert faults() == []


def test_a_wording_is_kept_once_under_its_digest(database: Database) -> None:
    with database.atomic():
        digests = {evidence.keep_wording("Mogen wij … é") for _ in range(2)}
    assert digests == {hashlib.sha256("Mogen wij … é".encode()).hexdigest()}
    assert [row.content for row in Wording.select()] == ["Mogen wij … é"]


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_one_value_has_one_text(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert evidence.canonical(value) == evidence.canonical(backwards)
    assert json.loads(evidence.canonical(value)) == value


# --- Invariant 7: any change is found. -----------------------------------------------------------


def fill(database: Database) -> None:
    append(
        database,
        *(
            entry(subject=JAN, consent={"n": n}, person={"name": "Jan"}, trace={"browser": "x"})
            for n in range(1, 5)
        ),
    )


def edit_entry() -> None:
    Evidence.update(actor="somebody").where(Evidence.seq == 2).execute()


def edit_moment() -> None:
    later = NOW + timedelta(microseconds=1)
    Evidence.update(at=later).where(Evidence.seq == 2).execute()


def delete_entry() -> None:
    Evidence.delete().where(Evidence.seq == 2).execute()
    EvidencePart.delete().where(EvidencePart.seq == 2).execute()


def swap_entries() -> None:
    for old, new in ((2, 99), (3, 2), (99, 3)):
        Evidence.update(seq=new).where(Evidence.seq == old).execute()
        EvidencePart.update(seq=new).where(EvidencePart.seq == old).execute()


def insert_entry() -> None:
    row = Evidence.get_by_id(4)
    Evidence.insert({**row.__data__, "seq": 5}).execute()
    for part in EvidencePart.select().where(EvidencePart.seq == 4):
        EvidencePart.create(seq=5, part=part.part, salt=part.salt, json=part.json)


def cut_the_tail() -> None:
    Evidence.delete().where(Evidence.seq == 4).execute()
    EvidencePart.delete().where(EvidencePart.seq == 4).execute()


def edit_part() -> None:
    EvidencePart.update(json='{"n":9}').where(
        EvidencePart.seq == 2, EvidencePart.part == "consent"
    ).execute()


def delete_part() -> None:
    EvidencePart.delete().where(EvidencePart.seq == 2, EvidencePart.part == "trace").execute()


def move_the_head() -> None:
    EvidenceHead.update(hash="f" * 64).execute()


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (edit_entry, [Fault(2, "edited")]),
        (edit_moment, [Fault(2, "edited")]),
        (delete_entry, [Fault(2, "missing"), Fault(3, "edited")]),
        (swap_entries, [Fault(2, "edited"), Fault(3, "edited"), Fault(4, "edited")]),
        (
            insert_entry,
            [Fault(5, "edited"), Fault(4, "the head does not match the last entry")],
        ),
        (cut_the_tail, [Fault(4, "the head does not match the last entry")]),
        (edit_part, [Fault(2, "part consent altered")]),
        (delete_part, [Fault(2, "part trace missing")]),
        (move_the_head, [Fault(4, "the head does not match the last entry")]),
    ],
)
def test_invariant_7_what_was_tampered_with_is_found(
    database: Database, tamper: Callable[[], None], found: list[Fault]
) -> None:
    fill(database)
    assert faults() == []
    with database.atomic():
        tamper()
    assert faults() == found


def test_invariant_7_the_chain_holds_after_an_erasure(database: Database) -> None:
    fill(database)
    append(database, entry(subject="b" * 32, person={"name": "Piet"}))
    with database.atomic():
        seqs = evidence.erase_parts(JAN, ("person", "trace"))
        consent = {"seqs": seqs, "parts": ("person", "trace")}
        evidence.append(entry(event="erased", consent=consent))
    assert seqs == [1, 2, 3, 4]
    kept = [(part.seq, part.part) for part in EvidencePart.select().order_by(EvidencePart.id)]
    assert kept == [*((n, "consent") for n in seqs), (5, "person"), (6, "consent")]
    assert faults() == []


def test_an_erasure_excuses_only_what_it_names(database: Database) -> None:
    fill(database)
    append(database, entry(event="erased", consent={"seqs": [2], "parts": ["person"]}))
    with database.atomic():
        EvidencePart.delete().where(EvidencePart.part == "person", EvidencePart.seq < 4).execute()
        delete_part()
    assert faults() == [
        Fault(1, "part person missing"),
        Fault(2, "part trace missing"),
        Fault(3, "part person missing"),
    ]


def test_an_erasure_excuses_nothing_that_came_after_it(database: Database) -> None:
    append(database, entry(event="erased", consent={"seqs": [1, 2], "parts": ["person"]}))
    append(database, entry(person={"name": "Jan"}))
    with database.atomic():
        EvidencePart.delete().where(EvidencePart.part == "person").execute()
    assert faults() == [Fault(2, "part person missing")]
