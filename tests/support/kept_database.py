"""Databases of earlier versions, with a few rows of each kind, as these versions wrote them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg

_SCHEMAS = Path(__file__).parents[1] / "data/schemas"
JOURNAL = _SCHEMAS / "24-sqlite.journal"
"""The journal of suppressions of the kept SQLite database, a backup, and of a No after it."""


def load_kept_database(url: str) -> None:
    """Fill an empty database with the one that version 24 (commit 857b5f4) wrote."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as opened:
            opened.executescript((_SCHEMAS / "24-sqlite.sql").read_text("utf-8"))
    else:
        with psycopg.connect(url, autocommit=True) as session:
            session.execute((_SCHEMAS / "24-postgresql.sql").read_bytes())
