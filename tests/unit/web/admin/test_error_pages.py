"""What the admin's pages say when something cannot be shown or done."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from repermit.db.connection import open_database
from repermit.errors import Refused
from tests.support.admin_pages import admin_client, csrf_token, post, viewer_client
from tests.support.builders import make_settings
from tests.support.public_pages import Pages, heading_of, words_of


def test_a_page_that_there_is_not_leads_back_to_the_lists(pages: Pages) -> None:
    for url in ("/admin/nothing", "/admin/static/nothing.css", "/admin/static/../config.toml"):
        answer = admin_client(pages).get(url)
        assert (answer.status_code, heading_of(answer)) == (404, "This page does not exist")
        assert "To the lists" in words_of(answer)


@pytest.mark.parametrize("path", ["static/", "help/how-to/", "help/"])
@pytest.mark.parametrize("length", [255, 256, 5000])
def test_a_file_with_too_long_a_name_is_no_page(pages: Pages, path: str, length: int) -> None:
    answer = admin_client(pages).get(f"/admin/{path}{'a' * length}")
    assert (answer.status_code, heading_of(answer)) == (404, "This page does not exist")


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "a..b:80"])
@pytest.mark.parametrize("path", ["/admin/", "/admin/nothing", "/admin/static/admin.css"])
def test_an_invalid_host_is_not_understood(pages: Pages, path: str, host: str) -> None:
    for client in (pages.app.test_client(), admin_client(pages)):
        for answer in (
            client.get(path, headers={"Host": host}),
            client.post(path, headers={"Host": host}, data={"more": "x" * 300_000}),
        ):
            assert answer.status_code == 400
            assert "This request was not understood" in words_of(answer)


def test_a_folder_is_no_page(pages: Pages) -> None:
    assert admin_client(pages).get("/admin/static/.").status_code == 404


def test_a_list_that_there_is_not_is_no_page(pages: Pages) -> None:
    answer = admin_client(pages).get("/admin/lists/nothing/describe")
    assert (answer.status_code, heading_of(answer)) == (404, "This page does not exist")


def test_a_viewer_is_told_whom_a_page_is_for(pages: Pages) -> None:
    answer = viewer_client(pages).get("/admin/people/")
    assert (answer.status_code, heading_of(answer)) == (403, "This page is for admins")


def test_a_form_without_a_proof_is_told_how_to_get_one(pages: Pages) -> None:
    answer = admin_client(pages).post("/admin/own/language", data={"language": "nl"})
    assert (answer.status_code, heading_of(answer)) == (400, "This form is too old")


def test_a_form_that_is_too_large_is_refused(pages: Pages) -> None:
    client = admin_client(pages)
    assert post(client, "/admin/own/language", more="x" * 200_000).status_code == 303
    answer = post(client, "/admin/own/language", more="x" * 300_000)
    assert (answer.status_code, heading_of(answer)) == (413, "That was too much")


@pytest.mark.parametrize(
    ("language", "heading", "back"),
    [("en", "Something went wrong", "To the lists"), ("nl", "Er ging iets mis", "Naar de lijsten")],
)
def test_a_failure_is_told_to_admins_without_the_database(
    tmp_path: Path, language: str, heading: str, back: str
) -> None:
    # A database without a single table.
    with open_database(f"sqlite:///{tmp_path / 'empty.db'}") as empty:
        pages = Pages(empty, make_settings(public_url="https://example.org/ask"))
        for path in ("/admin/lists/news/", "/admin/nothing"):
            answer = pages.client.get(f"/ask{path}", headers={"Accept-Language": language})
            assert (answer.status_code, heading_of(answer)) == (500, heading)
            assert f'href="/ask/admin/">{back}</a>' in answer.text
            assert f'<html lang="{language}">' in answer.text
            assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
            assert "reply to the mail" not in words_of(answer)


def test_what_no_database_keeps_is_refused(pages: Pages) -> None:
    client = admin_client(pages)
    file = {"csrf_token": csrf_token(client), "file": (io.BytesIO(b"a"), "list\0.csv")}
    for answer in (
        client.get("/admin/lists/a%00b/"),
        client.get("/admin/people/?from=%00"),
        client.get("/admin/people/?%00=1"),
        post(client, "/admin/people/", email="a\0@example.org", role="viewer"),
        post(client, "/admin/login", email="a\0@example.org", password="x"),
        client.post("/admin/people/", data=file),
    ):
        assert answer.status_code == 400


def test_a_number_that_no_database_holds_is_no_page(pages: Pages) -> None:
    client = admin_client(pages)
    for number in ("9" * 18, str(2**63), "9" * 5000):
        assert client.get(f"/admin/people/{number}/remove").status_code == 404


def test_a_guests_form_is_not_read(pages: Pages) -> None:
    answer = pages.client.post("/admin/lists/news/file/upload", data={"more": "x" * 300_000})
    assert (answer.status_code, answer.location) == (303, "/admin/login")


def test_a_method_that_there_is_not_is_told_with_those_that_there_are(pages: Pages) -> None:
    answer = admin_client(pages).put("/admin/own/password")
    assert (answer.status_code, heading_of(answer)) == (405, "This cannot be done here")
    assert "POST" in answer.headers["Allow"]


@pytest.mark.parametrize(
    ("url", "status", "heading"),
    [
        ("/admin/refuses", 409, "This cannot be done now"),
        ("/refuses", 500, "Something went wrong on our side"),
    ],
)
def test_what_a_rule_forbids_is_told_to_admins_alone(
    pages: Pages, url: str, status: int, heading: str
) -> None:
    def refuse() -> str:
        raise Refused("the moon is full")

    pages.app.add_url_rule(url, "refuses", refuse)
    answer = admin_client(pages).get(url)
    assert answer.status_code == status
    assert heading in answer.text
    assert ("The moon is full." in answer.text) is (status == 409)


def test_a_file_of_the_look_is_kept_for_a_day_and_asked_for_anew_by_its_mark(
    pages: Pages,
) -> None:
    first = pages.client.get("/admin/static/admin.css")
    assert first.content_type.startswith("text/css")
    assert first.cache_control.max_age == 86400
    etag = {"If-None-Match": first.headers["ETag"]}
    assert pages.client.get("/admin/static/admin.css", headers=etag).status_code == 304
