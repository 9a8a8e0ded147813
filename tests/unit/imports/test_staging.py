"""The temporary tables of an import: in which order addresses are picked, and where they stand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from repermit.db.connection import Database, open_database, run_sql
from repermit.imports import staging
from repermit.imports.staging import batches
from tests.support.builders import make_list
from tests.support.import_helpers import plain
from tests.unit.imports.test_reader_process import make_request

IN_MEMORY = 2
"""https://sqlite.org/pragma.html#pragma_temp_store"""


def pick_from(
    database: Database, tmp_path: Path, rows: list[tuple[str, str]]
) -> list[tuple[str, int, int]]:
    """Return what is picked, in its order: address, the row's number, the range of addresses."""
    request = make_request(plain(tmp_path, *rows))
    with staging.staging_area(database):
        staging.stage(database, batches(request, request.open()))
        assert staging.pick(database) == staging.Picked.select().count()
        picked = staging.Picked.select().order_by(staging.Picked.id)
        return [(row.key, row.number, row.key_range) for row in picked]


def test_a_large_file_is_picked_by_ranges_of_addresses(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_list(database)
    rows = [(f"p{n % 90:02}@Example.org", "") for n in range(180)]
    rows += [("p07@example.org", "x"), ("no address", "")]
    at_once = pick_from(database, tmp_path, rows)
    assert {key_range for _, _, key_range in at_once} == {0}
    monkeypatch.setattr(staging, "_ROWS_OF_A_STEP", 7)
    picked = pick_from(database, tmp_path, rows)
    # The same rows of the same addresses, each once.
    assert sorted(row[:2] for row in picked) == sorted(row[:2] for row in at_once)
    assert len(picked) == 90
    ranges = [key_range for _, _, key_range in picked]
    assert ranges == sorted(ranges)
    assert 4 <= len(set(ranges)) <= 6
    # All of a range stand before all of the next one, in the order of the database's own index.
    ends = [[key for key, _, found in picked if found == one] for one in sorted(set(ranges))]
    assert all(max(one) < min(next_one) for one, next_one in pairwise(ends))
    # By their random ids within: not in the order of their addresses.
    assert any(one != sorted(one) for one in ends)


def test_a_step_keeps_in_memory_what_it_would_need_to_take_itself_back(
    sqlite_url: str,
) -> None:
    # Into a file, each page would be written once more before it is changed.
    with open_database(sqlite_url) as database, staging.merging_area(database):
        (kept_in,) = run_sql(database, "PRAGMA temp_store").fetchone()
    assert kept_in == IN_MEMORY
