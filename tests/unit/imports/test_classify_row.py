"""What one row says by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.imports.classify_row import PLAIN, StagedRow
from repermit.imports.readers.rows import Row, SignUpProof
from repermit.rules.consent import STRENGTH, Fate, choose_fate
from tests.support.builders import NOW
from tests.unit.imports.test_reader_process import make_request

PROOF = SignUpProof("web form", datetime(2021, 1, 1, tzinfo=UTC), "", "81.2.69.142")


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Return a function that reads a row by the rules of an import with these options."""

    def read_row(row: Row, **options: Any) -> StagedRow:
        interpreter = make_request(tmp_path, **options).interpreter
        staged = interpreter._make_row(1, 0, row)
        assert len(staged) in {PLAIN, len(StagedRow._fields)}
        return StagedRow(*staged)

    return read_row


@pytest.mark.parametrize(
    ("opted_out", "proven", "customer", "role"), list(product((False, True), repeat=4))
)
def test_a_rows_fate_is_that_of_the_rule(
    *, read: Any, opted_out: bool, proven: bool, customer: bool, role: bool
) -> None:
    row = Row(
        2,
        "info@example.org" if role else "jan@example.org",
        opted_out="unsubscribed" if opted_out else "",
        proof=PROOF if proven else None,
        customer=customer,
    )
    expected = choose_fate(opted_out=opted_out, proven=proven, customer=customer, role=role)
    assert read(row, attested=True).said == expected


def test_strength_orders_fates_as_the_rule_does(read: Any) -> None:
    rows = [
        Row(2, "nonsense"),
        Row(2, "a@example.org", opted_out="complained"),
        Row(2, "a@example.org", opted_out="unsubscribed"),
        Row(2, "a@example.org", opted_out="cleaned"),
        Row(2, "a@example.org", proof=PROOF),
        Row(2, "a@example.org", customer=True),
        Row(2, "info@example.org"),
        Row(2, "a@example.org"),
    ]
    staged = [read(row, attested=True) for row in rows]
    strengths = [row.strength for row in staged]
    assert strengths == sorted(set(strengths))
    assert [STRENGTH[Fate(row.said)] for row in staged] == sorted(
        STRENGTH[Fate(row.said)] for row in staged
    )


def test_one_address_has_the_same_ids_however_it_is_written(read: Any) -> None:
    first = read(Row(2, "Jan@EXAMPLE.org"))
    assert first.ids == read(Row(9, "jan@example.ORG")).ids
    assert first.ids != read(Row(2, "jan2@example.org")).ids
    assert first.ids != read(Row(2, "jan@example.org"), secret=b"t" * 32).ids


def test_the_way_an_address_is_written_is_kept_only_where_it_differs(read: Any) -> None:
    assert (read(Row(2, "Jan@example.org")).sending, read(Row(2, "jan@example.org")).sending) == (
        "Jan@example.org",
        None,
    )


def test_fingerprints_are_made_where_they_are_needed(read: Any) -> None:
    key = b"another-key-of-16"
    expected = email_address.fingerprint(key, "a@example.org")
    plain = Row(2, "a@example.org")
    marked = Row(2, "a@example.org", opted_out="cleaned")
    options = {"fingerprint_key": key, "fingerprint_all": False}
    assert read(plain, **options).fingerprint is None
    assert read(marked, **options).fingerprint == expected
    assert read(plain, fingerprint_key=key, fingerprint_all=True).fingerprint == expected


@pytest.mark.parametrize(
    ("opted_out", "said"), [("unsubscribed", "Actief: nee"), ("", "Opmerking: niet afgemeld")]
)
def test_the_words_of_the_file_are_the_reason(read: Any, opted_out: str, said: str) -> None:
    row = read(Row(2, "a@example.org", opted_out=opted_out, said=said), fingerprint_all=False)
    expected = Fate.OPTED_OUT if opted_out else Fate.ASK
    assert (row.reason, row.said, row.mark) == (said, expected, opted_out or None)
    assert (row.fingerprint is not None) is bool(opted_out)


def test_proof_without_a_moment_stands_without_one(read: Any) -> None:
    row = read(Row(2, "a@example.org", proof=PROOF._replace(at=None)))
    assert (row.said, row.basis_at) == (Fate.CONFIRMED, None)


@pytest.mark.parametrize(("seconds", "said"), [(-1, "confirmed"), (0, "confirmed"), (1, "ask")])
def test_a_sign_up_that_is_still_to_come_proves_nothing(read: Any, seconds: int, said: str) -> None:
    proof = PROOF._replace(at=NOW + timedelta(seconds=seconds))
    assert read(Row(2, "jan@example.org", proof=proof), now=NOW).said == said
