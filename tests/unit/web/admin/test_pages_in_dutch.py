"""The admin's pages in Dutch: what the catalogue has in Dutch is said in English nowhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from repermit.db.models.accounts import User
from tests.exhaustive.test_browser_admin_looks import furnish, places
from tests.support.admin_pages import client_of
from tests.support.english_left import english_on
from tests.support.public_pages import Pages
from tests.unit.web.admin.test_routes import ADMINS, FOR_VIEWERS

if TYPE_CHECKING:
    from flask.testing import FlaskClient

DUTCH = {"Accept-Language": "nl"}


def said_in_english(client: FlaskClient, path: str, *, status: int = 200) -> list[str]:
    """Return what a page says in English, each with where."""
    answer = client.get(path, headers=DUTCH)
    assert answer.status_code == status, path
    assert '<html lang="nl">' in answer.text
    # What says of itself that it is English is meant to be.
    meant = re.sub(r'<(\w+)[^>]* lang="en"[^>]*>[^<]*</\1>', "", answer.text)
    return [f"{path}: {one}" for one in english_on(meant, "nl")]


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>Er is niets veranderd.</p><script>Nothing was changed.</script>", set()),
        (
            '<a aria-label="Log in"></a><p>Once more: Nothing was changed: why?</p><b>Lists</b>',
            {"Nothing was changed", "Lists", "Log in"},
        ),
        ("<p>anna@example.org may not log in any more.</p>", {"may not log in any more"}),
        ("<p>New lists: none</p>", set()),
    ],
)
def test_what_is_english_is_found(html: str, found: set[str]) -> None:
    assert set(english_on(html, "nl")) == found


def test_no_page_of_an_admins_or_a_viewers_says_a_sentence_in_english(pages: Pages) -> None:
    user = furnish(pages)
    admin, viewer = client_of(pages, user), client_of(pages, User.get(User.role == "viewer"))
    found = [one for _, path in places(pages) for one in said_in_english(admin, path)]
    of_viewers = [
        route.rule.replace("<slug>", slug)
        for route in ADMINS
        for slug in ("news", "old")
        if route.endpoint in FOR_VIEWERS and route.rule.endswith("/") and route.method == "GET"
    ]
    assert len(of_viewers) > 4
    for path in of_viewers:
        found += said_in_english(viewer, path)
    found += said_in_english(viewer, "/admin/people/", status=403)
    found += said_in_english(admin, "/admin/nothing", status=404)
    for path, status in (("login", 200), ("welcome/nobody", 410)):
        found += said_in_english(pages.app.test_client(), f"/admin/{path}", status=status)
    assert not found
