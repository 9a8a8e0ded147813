"""The admin's pages are tried on SQLite; the use cases behind them are, on both databases."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url
