"""The record: what is appended, and that nothing can be changed unseen."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from repermit.db.connection import Database
from repermit.db.models.campaigns import Wording
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.evidence import chain
from repermit.evidence import entries as evidence_entries
from repermit.evidence.entries import Entry
from repermit.evidence.verify.diagnosis import Fault
from tests.support.builders import NOW
from tests.support.chain_faults import iter_chain_faults

JAN = "a" * 32


def entry(**overrides: Any) -> Entry:
    values: dict[str, Any] = {"event": "confirmed", "at": NOW, "actor": "person"}
    return Entry(**{**values, **overrides})


def append(database: Database, *entries: Entry) -> int:
    with database.atomic():
        return chain.append(*entries)


def faults() -> list[Fault]:
    return list(iter_chain_faults())


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


_TEXTS = ("event", "list", "subject", "actor", *evidence_entries.PARTS)


@given(
    st.fixed_dictionaries(
        {"seq": st.integers(), "campaign": st.integers(), **dict.fromkeys(_TEXTS, st.text())}
    ),
    st.datetimes(timezones=st.just(UTC)),
)
def test_a_leaf_is_the_digest_of_the_canonical_text(fields: dict[str, Any], at: datetime) -> None:
    written = at.isoformat(timespec="microseconds")
    text = evidence_entries.encode_canonical_json({**fields, "at": written})
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert evidence_entries.compute_leaf({**fields, "at": at}) == expected
    assert evidence_entries.compute_leaf({**fields, "at": written}) == expected


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
        digests = {chain.store_wording("Mogen wij … é") for _ in range(2)}
    assert digests == {hashlib.sha256("Mogen wij … é".encode()).hexdigest()}
    assert [row.content for row in Wording.select()] == ["Mogen wij … é"]


@given(
    st.dictionaries(st.text(), st.integers() | st.text() | st.booleans() | st.lists(st.text())),
    st.dictionaries(st.text(), st.text()),
    st.dictionaries(st.text(), st.text()),
)
def test_a_form_makes_the_text_that_a_part_has(
    common: dict[str, Any], first: dict[str, str], more: dict[str, str]
) -> None:
    form = evidence_entries.PartForm(common, first)
    for texts in (first, {name: more.get(name, "%s") for name in first}):
        assert form.fill(texts) == evidence_entries.encode_canonical_json({**common, **texts})


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_one_value_has_one_text(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert evidence_entries.encode_canonical_json(value) == evidence_entries.encode_canonical_json(
        backwards
    )
    assert json.loads(evidence_entries.encode_canonical_json(value)) == value
