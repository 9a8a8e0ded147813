"""The admin's pages are tried on SQLite; the use cases behind them are, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from repermit.db.models.accounts import User
from tests.support.admin_pages import client_of, make_admin
from tests.support.public_pages import Pages

if TYPE_CHECKING:
    from flask.testing import FlaskClient


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def admin(pages: Pages) -> User:
    return make_admin(pages.database, email="admin@example.org")


@pytest.fixture
def client(pages: Pages, admin: User) -> FlaskClient:
    """Return a client in which `admin` has logged in, with both steps."""
    return client_of(pages, admin)
