"""The temporary tables of an import: in which order addresses are picked, and where they are."""

from __future__ import annotations

from pathlib import Path

from repermit.db.connection import Database, open_database, run_sql
from repermit.imports import staging
from repermit.imports.row_batches import batches
from tests.support.builders import make_list
from tests.support.import_helpers import plain
from tests.unit.imports.test_reader_process import make_request

IN_MEMORY = 2
"""https://sqlite.org/pragma.html#pragma_temp_store"""


def test_where_a_contact_stands_tells_nothing_of_its_address(
    database: Database, tmp_path: Path
) -> None:
    # Which is erased while that stays; and the first of them are a sample of all, as a pilot is.
    make_list(database)
    rows = [(f"p{n:05}@example.org", "") for n in range(20_000)]
    request = make_request(plain(tmp_path, *rows))
    with staging.staging_area(database):
        staging.stage(database, batches(request, request.open()))
        staging.pick(database)
        first = staging.Picked.select().order_by(staging.Picked.id).limit(1000)
        places = [int(row.key[1:6]) for row in first]
    for fifth in range(5):
        assert 120 < sum(fifth * 4000 <= place < (fifth + 1) * 4000 for place in places) < 280


def test_a_step_keeps_in_memory_what_it_would_need_to_take_itself_back(
    sqlite_url: str,
) -> None:
    # Into a file, each page would be written once more before it is changed.
    with open_database(sqlite_url) as database, staging.merging_area(database):
        (kept_in,) = run_sql(database, "PRAGMA temp_store").fetchone()
    assert kept_in == IN_MEMORY
