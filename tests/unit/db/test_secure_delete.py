"""What SQLite leaves of deleted rows within its pages is overwritten."""

from __future__ import annotations

import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest

from repermit.db.connection import open_database, run_sql
from repermit.db.models.contacts import Contact
from repermit.db.secure_delete import scrub_page, scrub_pages
from tests.support.builders import make_contact, make_list, sqlite_path

LEFT = b"somebody"


def page_of(kind: int, cells: int, content: int) -> bytes:
    """Return a page on which something was left everywhere behind its header."""
    header = struct.pack(">BHHHB", kind, 0, cells, content, 0)
    return header + (LEFT * 64)[: 512 - len(header)]


@pytest.mark.parametrize(
    ("kind", "begin"), [(2, 12), (5, 12), (10, 8), (13, 8)], ids=["index", "table", "i", "t"]
)
def test_what_lies_between_the_pointers_and_the_rows_is_overwritten(kind: int, begin: int) -> None:
    page = page_of(kind, cells=3, content=400)
    clean = scrub_page(page)
    assert clean[: begin + 6] == page[: begin + 6]
    assert clean[begin + 6 : 400] == bytes(400 - begin - 6)
    assert clean[400:] == page[400:]


def test_a_page_without_rows_is_overwritten_to_its_end() -> None:
    # The largest page has 65,536 octets, which its two octets tell as 0.
    assert scrub_page(page_of(13, cells=0, content=0))[8:] == bytes(504)


def test_a_page_of_another_kind_stays_as_it_is() -> None:
    overflow = page_of(0, cells=3, content=400)
    assert scrub_page(overflow) == overflow


def leave_something(path: Path) -> None:
    """Write onto a page of the file what SQLite would leave there by chance."""
    data = bytearray(path.read_bytes())
    with sqlite3.connect(path) as opened:
        (number,) = opened.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'contact_list_id_address_key'"
        ).fetchone()
    begin = (number - 1) * 4096 + 200
    assert data[begin : begin + 8] == bytes(8)
    data[begin : begin + 8] = LEFT
    path.write_bytes(data)


@pytest.mark.parametrize("has_pages", [True, False])
def test_the_file_holds_it_no_longer_and_all_else_as_before(
    sqlite_url: str, *, has_pages: bool
) -> None:
    path = _filled(sqlite_url)
    leave_something(path)
    assert LEFT in path.read_bytes()
    with open_database(sqlite_url) as database:
        if not has_pages:
            connection: Any = database.connection()  # type: ignore[no-untyped-call]
            connection.set_authorizer(_hide_modules)
        scrub_pages(database)
        run_sql(database, "PRAGMA wal_checkpoint(TRUNCATE)")
        assert run_sql(database, "PRAGMA integrity_check").fetchall() == [("ok",)]
        assert Contact.select().count() == 20
    assert LEFT not in path.read_bytes()


def _filled(sqlite_url: str) -> Path:
    with open_database(sqlite_url) as database:
        news = make_list(database)
        for _ in range(20):
            make_contact(database, news)
        run_sql(database, "PRAGMA wal_checkpoint(TRUNCATE)")
        return sqlite_path(database)


def _hide_modules(act: int, what: str | None, *_: object) -> int:
    is_hidden = act == sqlite3.SQLITE_READ and what == "pragma_module_list"
    return sqlite3.SQLITE_IGNORE if is_hidden else sqlite3.SQLITE_OK
