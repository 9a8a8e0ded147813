"""The browser is tried with pages on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture(scope="session")
def kept_page(browser: Browser) -> Iterator[Page]:
    """Keep a window for documents that are put into it: a new one takes longer than to show ten."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def document_page(kept_page: Page) -> Page:
    """Return that window as a new one is; none of its documents keeps anything."""
    kept_page.set_viewport_size({"width": 1280, "height": 720})
    kept_page.emulate_media(color_scheme="light", forced_colors="none")
    return kept_page
