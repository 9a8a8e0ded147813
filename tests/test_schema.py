"""Versions of the database: new, the same, older, newer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from repermit import schema
from repermit.errors import SchemaTooNew
from repermit.models import ALL_TABLES, EvidenceHead, Meta, open_database

if TYPE_CHECKING:
    from repermit.models import Database

LATEST = len(schema.UPGRADES)


def test_an_empty_database_gets_all_tables(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        assert schema.version(database) == 0
        assert schema.upgrade(database) == 0
        assert schema.version(database) == LATEST
        assert set(database.get_tables()) == {table._meta.table_name for table in ALL_TABLES}
        head = EvidenceHead.get()
        assert (head.seq, head.hash) == (0, "0" * 64)


def test_a_database_of_this_version_is_left_alone(database: Database) -> None:
    assert schema.upgrade(database) == LATEST
    assert EvidenceHead.select().count() == 1


def test_a_database_without_a_version_is_the_oldest(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:
        Meta.create_table()
        assert schema.upgrade(database) == 0
        assert schema.version(database) == LATEST


def test_a_newer_database_is_refused_and_left_alone(database: Database) -> None:
    with database.atomic():
        Meta.update(value=str(LATEST + 1)).where(Meta.key == "schema_version").execute()
    with pytest.raises(SchemaTooNew, match="install the newer repermit that wrote it"):
        schema.upgrade(database)
    assert schema.version(database) == LATEST + 1


def test_several_may_upgrade_at_once(empty_database_url: str) -> None:
    with open_database(empty_database_url) as database:

        def upgrade() -> None:
            with database.connection_context():
                schema.upgrade(database)

        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(upgrade) for _ in range(4)]:
                done.result(60)
        assert EvidenceHead.select().count() == 1
        assert schema.version(database) == LATEST
