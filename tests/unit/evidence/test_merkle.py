"""The Merkle tree over the chain: as RFC 9162 has it, kept while entries are appended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidenceNode
from repermit.errors import Refused
from repermit.evidence import chain, merkle, stored_tree
from repermit.evidence import entries as evidence_entries
from repermit.evidence.entries import Checkpoint, Entry
from tests.support.builders import NOW


def append(database: Database, count: int) -> None:
    with database.atomic():
        chain.append(
            *(Entry(event="noted", at=NOW, actor="job", consent={"n": n}) for n in range(count))
        )


def leaves() -> list[bytes]:
    rows: Any = Evidence.select().order_by(Evidence.seq).dicts()
    return [bytes.fromhex(evidence_entries.compute_leaf(row)) for row in rows]


# --- RFC 9162 §2.1.1 and §2.1.3.1, word for word. ------------------------------------------------


def split(size: int) -> int:
    """Return the largest power of two smaller than `size`."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def mth(entries: Sequence[bytes]) -> bytes:
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


@given(st.integers(0, 300))
def test_the_root_is_that_of_the_rfc(size: int) -> None:
    entries = [bytes([n % 251]) * 32 for n in range(size)]
    assert merkle.compute_root(entries) == mth(entries)


@given(st.data())
def test_a_path_is_that_of_the_rfc_and_leads_to_the_root_from_its_place_alone(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(2, 300))
    place = data.draw(st.integers(0, size - 1))
    entries = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(size)]
    ranges = merkle.list_inclusion_path(place, size)
    made = [merkle.compute_root(entries[slice(*one)]) for one in ranges]
    assert made == path(place, entries)
    root, leaf = mth(entries), entries[place]
    assert merkle.verify_inclusion(root, leaf, place, size, made)
    other = data.draw(st.integers(-1, size + 1).filter(lambda n: n != place))
    assert not merkle.verify_inclusion(root, leaf, other, size, made)
    assert not merkle.verify_inclusion(root, bytes(32), place, size, made)
    assert not merkle.verify_inclusion(root, leaf, place, size, [*made, bytes(32)])
    assert not merkle.verify_inclusion(bytes(32), leaf, place, size, made)
    assert not merkle.verify_inclusion(root, leaf, place, size, made[:-1])
    changed = data.draw(st.integers(0, len(made) - 1))
    wrong = [bytes(32) if n == changed else one for n, one in enumerate(made)]
    assert not merkle.verify_inclusion(root, leaf, place, size, wrong)


def subproof(m: int, entries: Sequence[bytes], *, is_whole: bool) -> list[bytes]:
    """RFC 9162 §2.1.4.1, word for word."""
    if m == len(entries):
        return [] if is_whole else [mth(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], is_whole=is_whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], is_whole=False), mth(entries[:k])]


@given(st.data())
def test_a_way_from_an_older_root_is_that_of_the_rfc_and_leads_to_the_root_from_it_alone(
    data: st.DataObject,
) -> None:
    size = data.draw(st.integers(2, 300))
    first = data.draw(st.integers(1, size - 1))
    entries = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(size)]
    made = [
        merkle.compute_root(entries[slice(*one)])
        for one in merkle.list_consistency_path(first, size)
    ]
    assert made == subproof(first, entries, is_whole=True)
    root, older = mth(entries), mth(entries[:first])

    def leads(way: Sequence[bytes], **other: Any) -> bool:
        known: dict[str, Any] = {"root": root, "size": size, "older": older, "first": first}
        return merkle.verify_consistency(path=way, **known | other)

    assert leads(made)
    assert not leads(made, older=bytes(32))
    assert not leads(made, root=bytes(32))
    assert not leads(made, first=data.draw(st.integers(-1, size + 1).filter(lambda n: n != first)))
    assert not leads([*made, bytes(32)])
    assert not leads(made[:-1])
    changed = data.draw(st.integers(0, len(made) - 1))
    assert not leads([bytes(32) if n == changed else one for n, one in enumerate(made)])


def test_a_tree_goes_on_from_itself_and_from_none_by_nothing() -> None:
    root = mth([bytes(32)] * 3)
    assert merkle.list_consistency_path(3, 3) == []
    assert merkle.verify_consistency(root, 3, [], older=root, first=3)
    assert not merkle.verify_consistency(root, 3, [root], older=root, first=3)
    assert not merkle.verify_consistency(root, 3, [], older=bytes(32), first=3)
    assert not merkle.verify_consistency(root, 3, [], older=root, first=0)
    assert not merkle.verify_consistency(root, 0, [], older=root, first=0)
    assert not merkle.verify_consistency(root, 7, [], older=root, first=3)


def test_a_single_leaf_is_the_whole_tree() -> None:
    assert merkle.list_inclusion_path(0, 1) == []
    assert merkle.verify_inclusion(mth([bytes(32)]), bytes(32), 0, 1, [])


# --- As the database keeps it. -------------------------------------------------------------------


def test_a_record_shows_that_it_goes_on_from_each_of_its_checkpoints(database: Database) -> None:
    checkpoints = []
    for count in (1, 62, 1, 1, 63, 72):
        append(database, count)
        checkpoints.append(stored_tree.checkpoint())
    newest = stored_tree.checkpoint()
    for known in checkpoints:
        shown = stored_tree.make_consistency_proof(known, newest)
        assert stored_tree.verify_consistency_proof(shown, newest)
        assert not stored_tree.verify_consistency_proof(shown, Checkpoint(newest.seq, "", "f" * 64))
        assert not stored_tree.verify_consistency_proof({**shown, "path": ["x"]}, newest)
        way = [bytes.fromhex(one) for one in shown["path"]]
        assert way == subproof(known.seq, leaves(), is_whole=True)
    one = stored_tree.make_consistency_proof(checkpoints[0], newest)
    one["earlier"]["seq"] = True
    assert not stored_tree.verify_consistency_proof(one, newest)
    other = Checkpoint(1, "f" * 64, checkpoints[0].root)
    for unknown in (other, Checkpoint(0, "0" * 64, merkle.EMPTY_ROOT), Checkpoint(999, "", "")):
        with pytest.raises(Refused, match="does not go on from that checkpoint"):
            stored_tree.make_consistency_proof(unknown, newest)


def test_an_empty_chain_has_the_root_of_an_empty_tree(database: Database) -> None:
    assert stored_tree.checkpoint() == Checkpoint(0, "0" * 64, hashlib.sha256().hexdigest())
    append(database, 0)
    assert stored_tree.checkpoint().seq == 0


def test_each_entry_has_a_path_to_every_checkpoint_that_came_after_it(database: Database) -> None:
    """Also to an earlier one than the newest, and across the bounds of what is kept."""
    checkpoints = []
    for count in (1, 1, 61, 1, 1, 66, 127, 42):
        append(database, count)
        checkpoints.append(stored_tree.checkpoint())
    entries = leaves()
    assert len(entries) == 300
    for checkpoint in checkpoints:
        until = entries[: checkpoint.seq]
        assert checkpoint.root == mth(until).hex()
        for seq in {1, 2, 63, 64, 65, 128, 129, 256, 257, 300, checkpoint.seq}:
            if seq > checkpoint.seq:
                with pytest.raises(Refused, match=f"says nothing of entry {seq}"):
                    stored_tree.MerkleProofs(checkpoint).prove_inclusion(seq)
                continue
            proof = stored_tree.MerkleProofs(checkpoint).prove_inclusion(seq)
            assert list(proof) == [one.hex() for one in path(seq - 1, until)]
            leaf = entries[seq - 1].hex()
            assert stored_tree.verify_inclusion_proof(leaf, seq, proof, checkpoint)
    kept = {(node.level, node.place): node.hash for node in EvidenceNode.select()}
    assert kept == {
        (level, place): mth(entries[place << level : place + 1 << level]).hex()
        for level in (6, 7, 8)
        for place in range(300 >> level)
    }


def test_the_proofs_of_many_entries_share_their_hashes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An archive has thousands of proofs, each with the same launch."""
    append(database, 128)
    hashed: list[bytes] = []

    def sha256(content: bytes) -> Any:
        hashed.append(content)
        return hashlib.sha256(content)

    proofs = stored_tree.MerkleProofs(stored_tree.checkpoint())
    monkeypatch.setattr(merkle, "hashlib", SimpleNamespace(sha256=sha256))
    for _ in range(3):
        for seq in range(1, 129):
            proofs.prove_inclusion(seq)
    assert len(hashed) == len(set(hashed)) <= 2 * 128


def test_what_is_no_hash_proves_nothing(database: Database) -> None:
    append(database, 3)
    checkpoint = stored_tree.checkpoint()
    leaf, proof = leaves()[1].hex(), stored_tree.MerkleProofs(checkpoint).prove_inclusion(2)
    assert stored_tree.verify_inclusion_proof(leaf, 2, proof, checkpoint)
    assert not stored_tree.verify_inclusion_proof(leaf.upper(), 2, proof, checkpoint)
    assert not stored_tree.verify_inclusion_proof(leaf[:-2], 2, proof, checkpoint)
    assert not stored_tree.verify_inclusion_proof(leaf, 2, ("", *proof), checkpoint)
    assert not stored_tree.verify_inclusion_proof(leaf, 0, proof, checkpoint)


@pytest.mark.parametrize("gone", [Evidence, EvidenceNode])
def test_a_chain_with_gaps_proves_nothing(database: Database, gone: type[Evidence]) -> None:
    append(database, 130)
    checkpoint = stored_tree.checkpoint()
    with database.atomic():
        gone.delete().execute()
    with pytest.raises(Refused, match="has gaps"):
        stored_tree.MerkleProofs(checkpoint).prove_inclusion(70)
    with pytest.raises(Refused, match="has gaps"):
        stored_tree.compute_checkpoint_at(130)


def test_a_checkpoint_can_be_had_later_as_it_was_right_after_an_entry(database: Database) -> None:
    taken = [stored_tree.checkpoint()]
    for _ in range(70):
        append(database, 2)
        taken.append(stored_tree.checkpoint())
    assert [stored_tree.compute_checkpoint_at(one.seq) for one in taken[1:]] == taken[1:]
    with pytest.raises(Refused, match="has gaps"):
        stored_tree.compute_checkpoint_at(141)


def test_a_damaged_tree_holds_up_no_answer(database: Database) -> None:
    append(database, 63)
    with database.atomic():
        EvidenceHead.update(frontier="x").execute()
        EvidenceNode.create(level=6, place=0, hash="f" * 64)
    append(database, 2)
    assert (stored_tree.checkpoint().seq, EvidenceNode.get().hash != "f" * 64) == (65, True)


def test_the_tree_is_that_of_the_leaves(database: Database) -> None:
    for number in (200, 100):
        append(database, number)
        assert stored_tree.checkpoint().root == mth(leaves()).hex()


# --- A checkpoint kept elsewhere. ----------------------------------------------------------------


def test_a_checkpoint_is_read_from_whatever_document_holds_it() -> None:
    checkpoint = Checkpoint(7, "a" * 64, "b" * 64)
    written = json.loads(json.dumps(checkpoint.to_json()))
    assert written == {"seq": 7, "hash": "a" * 64, "root": "b" * 64}
    assert Checkpoint.from_json(written) == checkpoint
    assert Checkpoint.from_json({"list": "news", "checkpoint": written}) == checkpoint


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"checkpoint": None},
        {"seq": -1, "hash": "a" * 64, "root": "b" * 64},
        {"seq": True, "hash": "a" * 64, "root": "b" * 64},
        {"seq": "7", "hash": "a" * 64, "root": "b" * 64},
        {"seq": 7, "hash": "A" * 64, "root": "b" * 64},
        {"seq": 7, "hash": "a" * 64, "root": "b" * 63},
        {"seq": 7, "hash": "a" * 64},
    ],
)
def test_what_is_no_checkpoint_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        Checkpoint.from_json(document)
