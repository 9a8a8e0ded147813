"""Invariant 7: whoever changes the record by plain SQL is found out, and by the right name."""

# ruff: noqa: S608  whoever tampers writes SQL; nothing comes from outside

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from peewee import fn

from repermit.db import migrations
from repermit.db.connection import (
    Database,
    is_postgresql,
    open_database,
    proxy,
    read_snapshot,
    run_sql,
)
from repermit.db.models.campaigns import CampaignWording
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode, EvidencePart
from repermit.evidence import chain, entries, stored_tree
from repermit.evidence.entries import Checkpoint, Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.diagnosis import Fault, How
from tests.support.builders import NOW, make_campaign, make_contact, make_list
from tests.support.chain_faults import iter_chain_faults
from tests.support.grown_tree import grow_tree
from tests.support.told_databases import tell_once

JAN, PIET, ANNA = ("a" * 32, "b" * 32, "c" * 32)
LAST = 75
ASK, PAGE, LATER, NEVER = ("Mogen wij?", "Ja, dat mag.", "Mogen wij nog?", "Nooit genoemd.")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def sql(database: Database, *statements: str) -> None:
    with database.atomic():
        for statement in statements:
            run_sql(database, statement)


def tell_story(database: Database, _: Path) -> None:
    """Make a record that has 75 entries, more than one subtree that is kept.

    Entry 1 launches; then Jan and Piet take turns; Anna's 10 was erased by 11, and 70 to 75 erase
    nothing.
    """
    campaign = make_campaign(database, make_list(database))
    with database.atomic():
        for text in (ASK, PAGE, LATER, NEVER):
            chain.store_wording(text)
        for language, text in (("nl", ASK), ("de", LATER)):
            CampaignWording.create(
                campaign=campaign, kind="ask", language=language, wording=digest(text)
            )
        chain.append(
            entry("launched", consent={"wordings": {"nl": digest(ASK)}, "asked": 0}),
            *(turn(seq) for seq in range(2, 10)),
            entry("confirmed", subject=ANNA, person={"name": "Anna"}, trace={"browser": "x"}),
        )
    erase(database, ANNA)
    for subject in (JAN, PIET, ANNA):
        person = make_contact(database, campaign.list, status="confirmed", basis="answer")
        person.subject = subject
        if subject == ANNA:
            person.address, person.address_key, person.erased_at = None, person.uid, NOW
        person.save()
    with database.atomic():
        chain.append(*(turn(seq) for seq in range(12, LAST + 1)))
    assert stored_tree.checkpoint().seq == LAST
    assert list(iter_chain_faults()) == []


ready_sqlite, ready_postgresql = tell_once(tell_story)


@pytest.fixture
def record(database: Database) -> Database:
    """Return a database that has that record."""
    return database


def entry(event: str, **values: Any) -> Entry:
    return Entry(event=event, at=NOW, actor="person", list="news", campaign=1, **values)


def turn(seq: int) -> Entry:
    return entry(
        "confirmed",
        subject=PIET if seq % 2 else JAN,
        consent={"n": seq, "basis": "answer", "page_wording": digest(PAGE)},
        person={"name": f"{seq}"},
        trace={"browser": f"{seq}"},
    )


def erase(database: Database, subject: str, *, by: str = "") -> None:
    with database.atomic():
        seqs = chain.erase_parts(subject, ("person", "trace"))
        said = {"seqs": seqs, "parts": ("person", "trace")}
        chain.append(entry("erased", subject=by or subject, consent=said))


def found(known: Checkpoint | None = None) -> list[tuple[int, How]]:
    """Return what does not hold, once `repermit verify` is seen to say the first of it too."""
    faults = list(iter_chain_faults(known))
    if faults:
        assert verify_chain.verify_chain(proxy.obj, known=known).fault == faults[0]
    return [(fault.seq, fault.how) for fault in faults]


# --- What plain SQL can do. ----------------------------------------------------------------------


def shift(first: int, by: int) -> tuple[str, ...]:
    """Return what gives the entries from one on other numbers, with their parts."""
    return tuple(
        statement
        for table in ("evidence", "evidence_part")
        for statement in (
            f"UPDATE {table} SET seq = -(seq + {by}) WHERE seq >= {first}",
            f"UPDATE {table} SET seq = -seq WHERE seq < 0",
        )
    )


def move(seq: int, to: int) -> tuple[str, ...]:
    return tuple(
        f"UPDATE {table} SET seq = {to} WHERE seq = {seq}"
        for table in ("evidence", "evidence_part")
    )


def swap(one: int, other: int) -> tuple[str, ...]:
    return (*move(one, 999), *move(other, one), *move(999, other))


def delete(*seqs: int) -> tuple[str, ...]:
    return tuple(
        f"DELETE FROM {table} WHERE seq = {seq}"
        for seq in seqs
        for table in ("evidence", "evidence_part")
    )


def insert(seq: int, like: int) -> str:
    columns = "at, event, list, campaign, subject, actor, consent, person, trace, hash"
    return (
        f"INSERT INTO evidence (seq, {columns}) "
        f"SELECT {seq}, {columns} FROM evidence WHERE seq = {like}"
    )


def edit(column: str, value: str) -> str:
    return f"UPDATE evidence SET {column} = {value} WHERE seq = 20"


def swap_parts(one: int, other: int, part: str) -> tuple[str, ...]:
    return tuple(
        f"UPDATE evidence_part SET seq = {to} WHERE seq = {seq} AND part = '{part}'"
        for seq, to in ((one, 999), (other, one), (999, other))
    )


def insert_part(seq: int, part: str) -> str:
    columns = "id, seq, part, salt, json"
    return f"INSERT INTO evidence_part ({columns}) VALUES (9999, {seq}, '{part}', '', '{{}}')"


def copy_part(column: str, seq: int, to: int) -> str:
    source = f"SELECT {column} FROM evidence_part WHERE seq = {seq} AND part = 'person'"
    where = f"WHERE seq = {to} AND part = 'person'"
    return f"UPDATE evidence_part SET {column} = ({source}) {where}"


SECOND = "substr(frontier, 65, 64)"
HASH = "'" + "f" * 64 + "'"

TAMPERED: dict[str, tuple[tuple[str, ...], int, How]] = {
    # Each field of an entry.
    "moment": ((edit("at", "'2026-03-02T09:00:00.000001+00:00'"),), 20, How.EDITED),
    "event": ((edit("event", "'removed'"),), 20, How.EDITED),
    "list": ((edit("list", "'other'"),), 20, How.EDITED),
    "campaign": ((edit("campaign", "2"),), 20, How.EDITED),
    "subject": ((edit("subject", f"'{PIET}'"),), 20, How.EDITED),
    "actor": ((edit("actor", "'job'"),), 20, How.EDITED),
    "digest of consent": ((edit("consent", HASH),), 20, How.EDITED),
    "digest of person": ((edit("person", "''"),), 20, How.EDITED),
    "digest of trace": ((edit("trace", HASH),), 20, How.EDITED),
    "hash": ((edit("hash", HASH),), 20, How.EDITED),
    "no hash at all": ((edit("hash", "'?'"),), 20, How.EDITED),
    "number": ((move(20, 900)[0],), 20, How.REORDERED),
    "field of the first": (("UPDATE evidence SET actor = 'x' WHERE seq = 1",), 1, How.EDITED),
    "field of the last": (("UPDATE evidence SET actor = 'x' WHERE seq = 75",), 75, How.EDITED),
    "hash of the last": ((f"UPDATE evidence SET hash = {HASH} WHERE seq = 75",), 75, How.EDITED),
    "field of all": (("UPDATE evidence SET actor = 'x'",), 1, How.EDITED),
    "fields of two in a row": (
        ("UPDATE evidence SET actor = 'x' WHERE seq IN (20, 21)",),
        20,
        How.EDITED,
    ),
    # Deleted.
    "one deleted": (delete(20), 20, How.MISSING),
    "the first deleted": (delete(1), 1, How.MISSING),
    "some deleted": (delete(20, 21, 22), 20, How.MISSING),
    "the last deleted": (delete(75), 75, How.MISSING),
    "all deleted": (("DELETE FROM evidence",), 1, How.MISSING),
    "one deleted, the others moved up": ((*delete(20), *shift(21, -1)), 20, How.MISSING),
    "three deleted, the others moved up": ((*delete(20, 21, 22), *shift(23, -3)), 20, How.MISSING),
    "the last but one deleted, the last moved up": ((*delete(74), *shift(75, -1)), 74, How.MISSING),
    # Inserted.
    "a copy inserted": ((*shift(20, 1), insert(20, 5)), 20, How.INSERTED),
    "a copy of the next inserted": ((*shift(20, 1), insert(20, 22)), 20, How.INSERTED),
    "two inserted": ((*shift(20, 2), insert(20, 5), insert(21, 6)), 20, How.INSERTED),
    "one inserted, and the head counted on": (
        (*shift(20, 1), insert(20, 5), "UPDATE evidence_head SET seq = 76"),
        20,
        How.INSERTED,
    ),
    "one inserted before the first": ((insert(0, 5),), 0, How.INSERTED),
    "one inserted before the last": ((*shift(75, 1), insert(75, 5)), 75, How.INSERTED),
    "one inserted behind the last": ((insert(76, 75),), 76, How.INSERTED),
    "one inserted far behind the last": ((insert(9_000_000_000, 75),), 9_000_000_000, How.INSERTED),
    # Reordered.
    "neighbours swapped": (swap(20, 21), 20, How.REORDERED),
    "two far apart swapped": (swap(20, 40), 20, How.REORDERED),
    "the last two swapped": (swap(74, 75), 74, How.REORDERED),
    "one swapped with the last": (swap(20, 75), 20, How.REORDERED),
    "one moved to the front": (
        (*move(40, 999), *(s for n in range(39, 19, -1) for s in move(n, n + 1)), *move(999, 20)),
        20,
        How.REORDERED,
    ),
    "one moved to the back": (
        (*move(20, 999), *(s for n in range(21, 41) for s in move(n, n - 1)), *move(999, 40)),
        20,
        How.REORDERED,
    ),
    "three shuffled": (
        (*move(20, 999), *move(30, 20), *move(40, 30), *move(999, 40)),
        20,
        How.REORDERED,
    ),
    # Parts.
    "a part altered": (
        ("""UPDATE evidence_part SET json = '{"n":9}' WHERE seq = 20 AND part = 'consent'""",),
        20,
        How.PART_ALTERED,
    ),
    "a part that is no JSON": (
        ("""UPDATE evidence_part SET json = '{"told":{' WHERE seq = 20 AND part = 'consent'""",),
        20,
        How.PART_ALTERED,
    ),
    "a salt altered": (
        ("UPDATE evidence_part SET salt = 'x' WHERE seq = 20 AND part = 'trace'",),
        20,
        How.PART_ALTERED,
    ),
    "a salt in capitals": (
        ("UPDATE evidence_part SET salt = upper(salt) WHERE seq = 20 AND part = 'trace'",),
        20,
        How.PART_ALTERED,
    ),
    "a part copied from somebody else": (
        (
            copy_part("salt", 21, 20),
            copy_part("json", 21, 20),
        ),
        20,
        How.PART_ALTERED,
    ),
    "a part deleted": (
        ("DELETE FROM evidence_part WHERE seq = 20 AND part = 'consent'",),
        20,
        How.PART_MISSING,
    ),
    "a part inserted": (
        (insert_part(1, "person"),),
        1,
        How.PART_INSERTED,
    ),
    "a part of another name inserted": (
        (insert_part(20, "x"),),
        20,
        How.PART_INSERTED,
    ),
    "a part of nobody inserted": (
        (insert_part(76, "x"),),
        76,
        How.PART_INSERTED,
    ),
    # Wordings.
    "a wording altered": (
        (f"UPDATE wording SET content = 'Ja' WHERE digest = '{digest(PAGE)}'",),
        2,
        How.WORDING_ALTERED,
    ),
    "a wording that is named further down altered": (
        (f"UPDATE wording SET content = 'Ja' WHERE digest = '{digest(ASK)}'",),
        1,
        How.WORDING_ALTERED,
    ),
    "a wording of a campaign alone altered": (
        (f"UPDATE wording SET content = 'Ja' WHERE digest = '{digest(LATER)}'",),
        0,
        How.WORDING_ALTERED,
    ),
    "a wording of nobody altered": (
        (f"UPDATE wording SET content = 'Ja' WHERE digest = '{digest(NEVER)}'",),
        0,
        How.WORDING_ALTERED,
    ),
    "a wording deleted": (
        (f"DELETE FROM wording WHERE digest = '{digest(PAGE)}'",),
        2,
        How.WORDING_MISSING,
    ),
    "a wording of a campaign alone deleted": (
        (f"DELETE FROM wording WHERE digest = '{digest(LATER)}'",),
        0,
        How.WORDING_MISSING,
    ),
    # The head, and the tree.
    "the head counts less": (("UPDATE evidence_head SET seq = 74",), 75, How.HEAD),
    "the head counts more": (("UPDATE evidence_head SET seq = 76",), 75, How.HEAD),
    "the head counts below nothing": (("UPDATE evidence_head SET seq = -5",), 75, How.HEAD),
    "the head's hash": ((f"UPDATE evidence_head SET hash = {HASH}",), 75, How.HEAD),
    "the head's root": ((f"UPDATE evidence_head SET root = {HASH}",), 75, How.HEAD),
    "the head set to the beginning": (
        (f"UPDATE evidence_head SET seq = 0, hash = '{'0' * 64}'",),
        75,
        How.HEAD,
    ),
    "a second head": (
        (
            (
                "INSERT INTO evidence_head (id, seq, hash, root, frontier)"
                " SELECT 99, seq, hash, root, frontier FROM evidence_head"
            ),
        ),
        75,
        How.HEAD,
    ),
    "the head deleted": (("DELETE FROM evidence_head",), 75, How.HEAD),
    "the frontier": (
        (f"UPDATE evidence_head SET frontier = replace(frontier, {SECOND}, {HASH})",),
        65,
        How.TREE,
    ),
    "the frontier emptied": (("UPDATE evidence_head SET frontier = ''",), 1, How.TREE),
    "the frontier and the root": (
        (f"UPDATE evidence_head SET frontier = {HASH}, root = {HASH}",),
        1,
        How.TREE,
    ),
    "a subtree": ((f"UPDATE evidence_node SET hash = {HASH}",), 1, How.TREE),
    "a subtree deleted": (("DELETE FROM evidence_node",), 1, How.TREE),
    "a subtree too much": (
        (f"INSERT INTO evidence_node (level, place, hash) VALUES (6, 1, {HASH})",),
        65,
        How.TREE,
    ),
}


@pytest.mark.parametrize("way", TAMPERED)
def test_invariant_7_what_was_tampered_with_is_found_and_rightly_named(
    record: Database, way: str
) -> None:
    statements, seq, how = TAMPERED[way]
    without_guards(record)
    sql(record, *statements)
    assert found()[:1] == [(seq, how)]


_GUARDS = {
    True: "ALTER TABLE campaign_wording DROP CONSTRAINT campaign_wording_wording_id_fkey",
    False: "PRAGMA foreign_keys = 0",
}


def without_guards(database: Database) -> None:
    """Take away what keeps rows together, as whoever tampers can."""
    run_sql(database, _GUARDS[is_postgresql(database)])


# --- Erasures that excuse nothing. ---------------------------------------------------------------


def delete_part(database: Database, seq: int, part: str) -> None:
    sql(database, f"DELETE FROM evidence_part WHERE seq = {seq} AND part = '{part}'")


def test_two_peoples_parts_that_were_swapped_are_named(record: Database) -> None:
    sql(record, *swap_parts(20, 21, "person"))
    fault, other = iter_chain_faults()
    assert fault == Fault(20, How.PARTS_SWAPPED, "person, with that of entry 21")
    assert other == Fault(21, How.PARTS_SWAPPED, "person, with that of entry 20")


def test_an_erasure_excuses_what_came_before_it_of_the_same_person_alone(record: Database) -> None:
    assert verify_chain.verify_chain(record).erased == 2
    erase(record, JAN)
    assert found() == []
    delete_part(record, 20, "consent")
    delete_part(record, 21, "person")
    said = {"seqs": [20, 21], "parts": ["consent", "person"]}
    with record.atomic():
        # One of Jan, for Piet's entry too.
        chain.append(entry("erased", subject=JAN, consent=said))
    assert found() == [(21, How.PART_MISSING)]


@pytest.mark.parametrize(
    ("actor", "part", "is_found"),
    [
        ("job", "trace", False),
        ("job", "consent", False),
        ("job", "person", True),
        ("x", "trace", True),
    ],
)
def test_the_job_ends_by_time_what_is_not_who_it_was(
    record: Database, actor: str, part: str, *, is_found: bool
) -> None:
    said = {"seqs": [20, 21], "parts": [part]}
    with record.atomic():
        chain.append(Entry(event="erased", at=NOW, actor=actor, consent=said))
    delete_part(record, 20, part)
    delete_part(record, 21, part)
    assert found() == [(20, How.PART_MISSING), (21, How.PART_MISSING)] * is_found


def test_an_erasure_excuses_nothing_that_came_after_it(record: Database) -> None:
    with record.atomic():
        said = {"seqs": [77], "parts": ["person"]}
        chain.append(entry("erased", subject=JAN, consent=said))
        chain.append(entry("confirmed", subject=JAN, person={"name": "Jan"}))
    delete_part(record, 77, "person")
    assert found() == [(77, How.PART_MISSING)]


@pytest.mark.parametrize(
    "forged",
    [
        """{"parts":["consent","person","trace"],"seqs":[10,9]}""",
        """{"parts":["consent"]}""",
        """[]""",
        """no JSON""",
    ],
)
def test_a_forged_erasure_excuses_nothing(record: Database, forged: str) -> None:
    delete_part(record, 9, "consent")
    sql(record, f"UPDATE evidence_part SET json = '{forged}' WHERE seq = 11")
    assert found()[0] == (9, How.PART_MISSING)
    assert (11, How.PART_ALTERED) in found()


def test_an_erasure_of_which_nothing_is_left_excuses_nothing(record: Database) -> None:
    delete_part(record, 11, "consent")
    person, trace, own = found()
    assert person == trace == (10, How.PART_MISSING)
    assert own == (11, How.PART_MISSING)


def test_what_an_erasure_says_is_never_erased_itself(record: Database) -> None:
    with record.atomic():
        parts = ("consent", "person", "trace")
        said = {"seqs": chain.erase_parts(ANNA, parts), "parts": parts}
        chain.append(entry("erased", subject=ANNA, consent=said))
    assert EvidencePart.select().where(EvidencePart.seq == 11).exists()
    assert found() == []


# --- Tails, with all their hashes made anew. -----------------------------------------------------


def make_hashes_anew(database: Database, first: int) -> None:
    """Make the chain fit again from an entry on, and the head with it; not the Merkle tree."""
    previous = Evidence.get(Evidence.seq == first - 1).hash
    rows: Any = Evidence.select().where(Evidence.seq >= first).order_by(Evidence.seq).dicts()
    with database.atomic():
        for row in list(rows):
            both = bytes.fromhex(previous) + bytes.fromhex(entries.compute_leaf(row))
            previous = hashlib.sha256(both).hexdigest()
            Evidence.update(hash=previous).where(Evidence.seq == row["seq"]).execute()
        last = Evidence.select(fn.MAX(Evidence.seq)).scalar()
        EvidenceHead.update(seq=last, hash=previous).execute()


def make_tree_anew(database: Database) -> None:
    with database.atomic():
        EvidenceNode.delete().execute()
        grow_tree()


@pytest.mark.parametrize(("edited", "named"), [(20, 1), (70, 65), (75, 75)])
def test_a_rewritten_tail_is_found_by_the_tree_or_else_by_a_checkpoint(
    record: Database, edited: int, named: int
) -> None:
    known = stored_tree.checkpoint()
    sql(record, f"UPDATE evidence SET actor = 'job' WHERE seq = {edited}")
    make_hashes_anew(record, edited)
    assert found() == [(named, How.REWRITTEN)]
    make_tree_anew(record)
    assert found() == []
    assert found(known) == [(LAST, How.REWRITTEN)]


def test_a_rewritten_tail_is_found_though_the_chain_went_on(record: Database) -> None:
    known = stored_tree.checkpoint()
    sql(record, "UPDATE evidence SET actor = 'job' WHERE seq = 70")
    make_hashes_anew(record, 70)
    make_tree_anew(record)
    with record.atomic():
        chain.append(*(turn(seq) for seq in range(76, 200)))
    assert found() == []
    assert found(known) == [(LAST, How.REWRITTEN)]
    assert found(stored_tree.checkpoint()) == []


def test_a_rewritten_tail_whose_head_was_forgotten_is_found(record: Database) -> None:
    hash_before = EvidenceHead.get().hash
    sql(record, "UPDATE evidence SET actor = 'job' WHERE seq = 70")
    make_hashes_anew(record, 70)
    sql(record, f"UPDATE evidence_head SET hash = '{hash_before}'")
    assert found() == [(65, How.REWRITTEN)]


def test_a_cut_tail_is_found_by_the_tree_or_else_by_a_checkpoint(record: Database) -> None:
    known = stored_tree.checkpoint()
    sql(record, *delete(71, 72, 73, 74, 75))
    assert found() == found(known) == [(71, How.MISSING)]
    make_hashes_anew(record, 70)
    assert found() == [(65, How.REWRITTEN)]
    assert found(known) == [(71, How.CUT)]
    sql(record, *delete(65, 66, 67, 68, 69, 70))
    make_hashes_anew(record, 64)
    assert found() == [(65, How.REWRITTEN)]
    assert found(known) == [(65, How.CUT)]
    make_tree_anew(record)
    assert found() == []
    assert found(known) == [(65, How.CUT)]


def test_a_cut_tail_is_found_though_it_has_grown_again(record: Database) -> None:
    known = stored_tree.checkpoint()
    sql(record, *delete(71, 72, 73, 74, 75))
    make_hashes_anew(record, 70)
    make_tree_anew(record)
    with record.atomic():
        chain.append(*(turn(seq) for seq in range(71, 80)))
    assert found() == []
    assert found(known) == [(LAST, How.REWRITTEN)]


@pytest.mark.usefixtures("record")
def test_a_chain_that_is_another_one_from_the_start_is_found() -> None:
    assert found(Checkpoint(0, "f" * 64, "f" * 64)) == [(0, How.REWRITTEN)]


@pytest.mark.parametrize("counted", [False, True])
def test_an_entry_that_was_put_behind_the_last_is_found(record: Database, *, counted: bool) -> None:
    head = EvidenceHead.get()
    sql(record, insert(76, 75))
    make_hashes_anew(record, 76)
    if not counted:
        sql(record, f"UPDATE evidence_head SET seq = {head.seq}, hash = '{head.hash}'")
    assert found() == [(76, How.INSERTED)]


def test_an_altered_subtree_beside_others_is_told_from_rewritten_entries(record: Database) -> None:
    with record.atomic():
        chain.append(*(turn(seq) for seq in range(76, 140)))
    sql(record, f"UPDATE evidence_node SET hash = {HASH} WHERE level = 6 AND place = 1")
    assert found() == [(65, How.TREE)]
    sql(record, "UPDATE evidence_node SET hash = 'x' WHERE level = 6 AND place = 1")
    assert found() == [(65, How.TREE)]
    make_tree_anew(record)
    sql(record, f"UPDATE evidence_node SET hash = {HASH} WHERE level = 7")
    assert found() == [(1, How.TREE)]
    make_tree_anew(record)
    sql(record, "UPDATE evidence SET actor = 'job' WHERE seq = 70")
    make_hashes_anew(record, 70)
    assert found() == [(65, How.REWRITTEN)]


def test_an_entry_is_looked_for_to_the_end_before_it_is_called_missing(record: Database) -> None:
    with record.atomic():
        chain.append(*(turn(seq) for seq in range(76, 300)))
    sql(record, *move(20, 900))
    assert next(iter_chain_faults()) == Fault(20, How.REORDERED, "it stands as entry 900 now")
    sql(record, *delete(900))
    assert found() == [(20, How.MISSING)]


# --- What cannot be read is a fault, not a failure. ----------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE evidence SET at = 'yesterday' WHERE seq = 20",
        "UPDATE evidence SET actor = x'00ff' WHERE seq = 20",
        "UPDATE evidence SET hash = x'00ff' WHERE seq = 20",
        "UPDATE evidence SET campaign = 'one' WHERE seq = 20",
    ],
)
def test_what_no_entry_can_hold_is_found_on_sqlite(sqlite_url: str, statement: str) -> None:
    with open_database(sqlite_url) as database:
        with database.atomic():
            chain.append(*(turn(seq) for seq in range(1, 41)), entry("x"))
            chain.store_wording(PAGE)
        sql(database, statement)
        assert found()[:1] == [(20, How.EDITED)]
        with database.atomic():
            grow_tree()


# --- What is told. -------------------------------------------------------------------------------


def test_a_fault_is_a_sentence(record: Database) -> None:
    sql(record, f"UPDATE wording SET content = 'Ja' WHERE digest = '{digest(PAGE)}'")
    assert (
        str(next(iter_chain_faults()))
        == f"entry 2: the text of a mail or page was altered ({digest(PAGE)})"
    )
    sql(record, *swap(20, 40))
    *_, last = iter_chain_faults()
    assert str(last) == (
        "entry 20 is not the one that stood there: entries were reordered "
        "(it stands as entry 40 now)"
    )
    assert str(Fault(3, How.MISSING)) == "entry 3 is missing"


def test_every_way_to_fail_has_its_sentence() -> None:
    assert all(str(Fault(7, how)) for how in How)


def test_what_was_checked_is_told(record: Database) -> None:
    # What no entry tells of beside the chain has tests of its own.
    CampaignWording.delete().where(CampaignWording.language == "de").execute()
    checked = verify_chain.verify_chain(record, known=stored_tree.checkpoint())
    assert checked.to_json() == {
        "holds": True,
        "entries": LAST,
        "parts": 1 + 72 * 3 + 1,
        "erased": 2,
        "wordings": 4,
        "checkpoint": stored_tree.checkpoint().to_json(),
        "consistency": {
            "earlier": {"seq": LAST, "root": stored_tree.checkpoint().root},
            "path": [],
        },
        "timestamps": [],
        "fault": None,
    }
    sql(record, *delete(20))
    told = verify_chain.verify_chain(record).to_json()
    assert (told["holds"], told["entries"], told["checkpoint"]) == (False, 19, None)
    assert told["fault"] == {"seq": 20, "how": "missing", "what": ""}


def test_what_is_written_meanwhile_disturbs_nothing(record: Database) -> None:
    """The look is at one moment, and whoever writes does not wait for it."""

    def write() -> None:
        with record.connection_context():
            erase(record, JAN)

    with read_snapshot(record), ThreadPoolExecutor(1) as pool:
        before = stored_tree.checkpoint()
        faults = iter_chain_faults()
        pool.submit(write).result(20)
        assert list(faults) == []
        assert stored_tree.checkpoint() == before
    assert stored_tree.checkpoint().seq == LAST + 1
    assert found(before) == []
    with record.atomic():
        assert verify_chain.verify_chain(record).entries == LAST + 1


def test_a_record_of_nothing_holds(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        migrations.upgrade_database(database)
        assert verify_chain.verify_chain(database).entries == 0
        assert found(Checkpoint(3, HASH, HASH)) == [(1, How.CUT)]
