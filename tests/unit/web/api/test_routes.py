"""The API as a newsletter tool asks it: tokens, scopes, what is told, what is logged."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import api_tokens
from repermit.campaigns import progress
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database, open_database
from repermit.db.models.accounts import Access, ApiToken
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Basis, Reason, Status
from repermit.web.api.authentication import BURST, PER_MINUTE, RateLimits
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.public_pages import Pages, everything_in

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

KEY = make_settings().fingerprint_key
LISTS, STATUS = "/api/v1/lists", "/api/v1/lists/news/status"
CONTACT, ANSWERS = "/api/v1/lists/news/contact", "/api/v1/answers"


class Tool:
    """A newsletter tool: a client with a token of these scopes, of all if none are named."""

    def __init__(self, database: Database, *scopes: str, public_url: str = "") -> None:
        made = api_tokens.make_token(
            database, "tool", scopes=scopes or api_tokens.SCOPES, now=NOW, actor="me"
        )
        self.token = made.id
        self.bearer = made.bearer
        self.database = database
        url = {"public_url": public_url} if public_url else {}
        self.pages = Pages(database, make_settings(**url))
        self.headers = {"Authorization": f"Bearer {self.bearer}"}

    def get(self, path: str, **query: Any) -> TestResponse:
        return self.pages.client.get(path, headers=self.headers, query_string=query or None)

    def find(self, address: str, path: str = CONTACT) -> TestResponse:
        return self.pages.client.post(path, headers=self.headers, json={"address": address})


@pytest.fixture
def tool(database: Database) -> Tool:
    return Tool(database)


def is_problem(response: TestResponse, status: int) -> bool:
    """Say whether a response is a problem of this status in the form of RFC 9457."""
    told = response.json
    return (
        response.status_code == status
        and response.content_type == "application/problem+json"
        and set(told or {}) == {"type", "title", "status", "detail"}
        and told is not None
        and told["status"] == status
    )


# --- What is told.


def test_lists_are_told(tool: Tool, mailing_list: MailingList) -> None:
    make_list(tool.database, slug="a-group", name="Group", sensitive=True, frequency="monthly")
    response = tool.get(LISTS)
    assert response.status_code == 200
    assert response.json
    first, second = response.json["lists"]
    assert (first["slug"], first["sensitive"], first["frequency"]) == ("a-group", True, "monthly")
    assert second == {
        "slug": "news",
        "name": mailing_list.name,
        "purpose": mailing_list.purpose,
        "frequency": "",
        "privacy_url": mailing_list.privacy_url,
        "language": "nl",
        "sender": mailing_list.sender,
        "sensitive": False,
    }


@pytest.mark.parametrize("with_campaign", [True, False])
def test_the_status_is_the_one_of_the_command(
    tool: Tool, mailing_list: MailingList, with_campaign: bool
) -> None:
    make_contact(tool.database, mailing_list)
    if with_campaign:
        make_campaign(tool.database, mailing_list)
    response = tool.get(STATUS)
    expected = progress.read_status(mailing_list, settings=make_settings(), now=NOW).to_json()
    assert response.json == expected
    assert (response.json["campaign"] is not None) == with_campaign


def test_a_contact_is_told_by_its_address(tool: Tool, mailing_list: MailingList) -> None:
    make_contact(
        tool.database, mailing_list, "anna@example.org", status=Status.CONFIRMED, basis="answer"
    )
    assert tool.find("Anna@example.org").json == {
        "list": "news",
        "address": "Anna@example.org",
        "status": "confirmed",
        "reason": None,
        "basis": "answer",
        "since": "2026-03-02T09:00:00.000000+00:00",
        "suppressed": False,
        "may_be_mailed": True,
    }
    make_removed(tool.database, mailing_list, Reason.COMPLAINT, "jan@example.org")
    told = tool.find("jan@example.org").json
    assert told
    assert (told["status"], told["reason"], told["basis"]) == ("removed", "complaint", None)
    assert (told["suppressed"], told["may_be_mailed"]) == (True, False)


@pytest.mark.parametrize(
    "address", ["who@example.org", "no address", "a\x00b@example.org", "\ud800"]
)
def test_who_is_not_on_the_list_is_told_so(
    tool: Tool, mailing_list: MailingList, address: str
) -> None:
    response = tool.find(address)
    assert response.status_code == 200
    assert response.json == {
        "list": mailing_list.slug,
        "address": address,
        "status": None,
        "reason": None,
        "basis": None,
        "since": None,
        "suppressed": False,
        "may_be_mailed": False,
    }


def test_answers_and_removals_come_by_cursor(tool: Tool, mailing_list: MailingList) -> None:
    contact = make_contact(tool.database, mailing_list, "anna@example.org")
    with tool.database.atomic():
        status_changes.confirm_contact(
            contact,
            basis=Basis.ANSWER,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=KEY,
        )
    make_removed(tool.database, mailing_list, Reason.NO)
    make_removed(tool.database, mailing_list, Reason.BOUNCE)
    first = tool.get(ANSWERS, limit=2).json
    assert first
    assert [entry["type"] for entry in first["entries"]] == ["answer.yes", "answer.no"]
    assert first["entries"][0] == {
        "type": "answer.yes",
        "timestamp": "2026-03-02T09:00:00.000000+00:00",
        "data": {
            "list": "news",
            "address": "anna@example.org",
            "status": "confirmed",
            "reason": None,
            "given_by": "self",
            "seq": 2,
        },
    }
    assert (first["next"], first["more"]) == (3, True)
    second = tool.get(ANSWERS, since=first["next"], limit=2).json
    assert second
    assert [entry["data"]["reason"] for entry in second["entries"]] == ["bounce"]
    assert (second["next"], second["more"]) == (4, False)
    assert tool.get(ANSWERS, since=4).json == {"entries": [], "next": 4, "more": False}


def test_answers_may_be_those_of_one_list(tool: Tool, mailing_list: MailingList) -> None:
    make_removed(tool.database, mailing_list, Reason.NO)
    make_removed(tool.database, make_list(tool.database, slug="other"), Reason.NO)
    told = tool.get(ANSWERS, list="other").json
    assert told
    assert [entry["data"]["list"] for entry in told["entries"]] == ["other"]


def test_of_the_erased_no_address_is_told(tool: Tool, mailing_list: MailingList) -> None:
    contact = make_removed(tool.database, mailing_list, Reason.NO, "anna@example.org")
    with tool.database.atomic():
        erasure.erase_contact(
            contact, act=status_changes.Act(at=NOW, actor="me"), fingerprint_key=KEY
        )
    response = tool.get(ANSWERS)
    assert response.json
    assert [entry["data"]["address"] for entry in response.json["entries"]] == [None]
    assert "anna" not in response.text


@pytest.mark.parametrize("prefix", ["", "/vraag"], ids=["stripped", "not stripped"])
def test_the_api_works_below_a_path(
    database: Database, mailing_list: MailingList, prefix: str
) -> None:
    tool = Tool(database, public_url="https://www.example.org/vraag")
    assert tool.get(prefix + LISTS).status_code == 200
    assert is_problem(tool.get(prefix + "/api/v1/nothing"), 404)
    document = tool.get(prefix + "/api/v1/openapi.json").json
    assert document
    assert document["servers"] == [{"url": "https://www.example.org/vraag/api/v1"}]
    assert mailing_list.slug == "news"


# --- Tokens and scopes.

ASKING = {
    "read:status": [("GET", LISTS), ("GET", STATUS)],
    "read:contacts": [("POST", CONTACT)],
    "read:answers": [("GET", ANSWERS)],
}
ASKED = [(scope, *asked) for scope, every in ASKING.items() for asked in every]


@pytest.mark.parametrize(("scope", "method", "path"), ASKED)
@pytest.mark.usefixtures("mailing_list")
def test_a_scope_opens_what_it_is_for_and_nothing_else(
    database: Database, scope: str, method: str, path: str
) -> None:
    body = {"address": "anna@example.org"} if method == "POST" else None
    tool = Tool(database, scope)
    response = tool.pages.client.open(path, method=method, headers=tool.headers, json=body)
    assert response.status_code == 200
    api_tokens.revoke_token(database, tool.token, now=NOW, actor="me")
    others = [one for one in api_tokens.SCOPES if one != scope]
    tool = Tool(database, *others)
    response = tool.pages.client.open(path, method=method, headers=tool.headers, json=body)
    assert is_problem(response, 403)
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer realm="repermit", error="insufficient_scope", scope="{scope}"'
    )
    assert Access.select().where(Access.actor != "api:tool").count() == 0


def test_a_scope_is_tested_for_every_address_of_the_document(tool: Tool) -> None:
    document = tool.get("/api/v1/openapi.json").json
    assert document
    scopes = {
        operation["description"].removeprefix("Scope: ")
        for item in document["paths"].values()
        for name, operation in item.items()
        if name in {"get", "post"} and operation.get("security") != []
    }
    assert scopes == set(ASKING) == set(api_tokens.SCOPES)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("header", [None, "", "Basic bWU6eW91", "Token abc"])
@pytest.mark.parametrize(("scope", "method", "path"), ASKED)
def test_without_a_token_nothing_is_told(
    tool: Tool, header: str | None, scope: str, method: str, path: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = tool.pages.client.open(path, method=method, headers=headers)
    assert is_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="repermit"'
    assert scope in api_tokens.SCOPES


@pytest.mark.parametrize("bearer", ["", "rp_wrong", "é", "x" * 3000])
def test_a_wrong_token_opens_nothing(tool: Tool, bearer: str) -> None:
    response = tool.pages.client.get(LISTS, headers={"Authorization": f"Bearer {bearer}"})
    assert is_problem(response, 401)
    expected = 'Bearer realm="repermit", error="invalid_token"'
    assert response.headers["WWW-Authenticate"] == expected


def test_a_revoked_token_opens_nothing_more(tool: Tool) -> None:
    assert tool.get(LISTS).status_code == 200
    api_tokens.revoke_token(tool.database, tool.token, now=NOW, actor="me")
    assert is_problem(tool.get(LISTS), 401)


def test_a_token_counts_in_the_header_alone(tool: Tool) -> None:
    client = tool.pages.client
    assert is_problem(client.get(LISTS, query_string={"access_token": tool.bearer}), 401)
    form = client.post(CONTACT, data={"access_token": tool.bearer})
    assert is_problem(form, 401)
    client.set_cookie("token", tool.bearer)
    assert is_problem(client.get(LISTS), 401)


def test_the_scheme_may_be_written_in_any_case(tool: Tool) -> None:
    headers = {"Authorization": f"bearer  {tool.bearer} "}
    assert tool.pages.client.get(LISTS, headers=headers).status_code == 200


# --- What is logged.


def test_every_look_at_personal_data_is_noted(tool: Tool, mailing_list: MailingList) -> None:
    contact = make_contact(tool.database, mailing_list, "anna@example.org")
    tool.get(LISTS)
    tool.get(STATUS)
    assert Access.select().count() == 0
    tool.find("anna@example.org")
    tool.find("who@example.org")
    tool.get(ANSWERS)
    tool.get(ANSWERS, list="news")
    looks = [
        (one.at, one.actor, one.act, one.list, one.subject)
        for one in Access.select().order_by(Access.id)
    ]
    assert looks == [
        (NOW, "api:tool", "contact", "news", contact.subject),
        (NOW, "api:tool", "contact", "news", ""),
        (NOW, "api:tool", "answers", "", ""),
        (NOW, "api:tool", "answers", "news", ""),
    ]


def test_the_use_of_a_token_is_noted(tool: Tool) -> None:
    assert ApiToken.get().used_at is None
    tool.get(LISTS)
    assert ApiToken.get().used_at == NOW
    tool.pages.clock.advance(timedelta(minutes=59))
    tool.get(LISTS)
    assert ApiToken.get().used_at == NOW
    tool.pages.clock.advance(timedelta(minutes=1))
    tool.get(LISTS)
    assert ApiToken.get().used_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_changes_nothing_but_the_log_of_looks(
    tool: Tool, mailing_list: MailingList, method: str
) -> None:
    make_removed(tool.database, mailing_list, Reason.NO)
    tool.get(ANSWERS)
    Access.delete().execute()
    before = everything_in(tool.database)
    for path in (LISTS, STATUS, ANSWERS, "/api/v1/openapi.json"):
        response = tool.pages.client.open(path, method=method, headers=tool.headers)
        assert response.status_code == 200
    assert Access.select().count() == 1
    Access.delete().execute()
    assert everything_in(tool.database) == before


def test_no_token_and_no_address_stands_in_the_log(
    tool: Tool, mailing_list: MailingList, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    make_removed(tool.database, mailing_list, Reason.NO, "anna@example.org")
    tool.find("anna@example.org")
    tool.get(ANSWERS)
    tool.pages.client.get(LISTS, headers={"Authorization": "Bearer rp_wrong"})
    assert "example.org" not in caplog.text
    assert tool.bearer not in caplog.text
    assert "rp_wrong" not in caplog.text


# --- What cannot be answered.


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "query",
    [
        {"since": "-1"},
        {"since": ""},
        {"since": "soon"},
        {"since": "1.0"},
        {"since": "٣"},
        {"since": " 1"},
        {"since": "1_0"},
        {"since": str(2**53)},
        {"since": "9" * 5_000},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "x"},
    ],
)
def test_a_number_that_is_none_is_refused(tool: Tool, query: dict[str, str]) -> None:
    response = tool.get(ANSWERS, **query)
    assert is_problem(response, 400)
    assert response.json
    assert response.json["detail"].startswith(next(iter(query)))


def test_the_largest_numbers_are_taken(tool: Tool) -> None:
    assert tool.get(ANSWERS, since=2**53 - 1, limit=1000).status_code == 200


@pytest.mark.parametrize("slug", ["none", "NEWS", "a%00b", "%F0%9F%98%80", "a" * 300])
def test_a_list_that_there_is_not_is_not_found(tool: Tool, slug: str) -> None:
    assert is_problem(tool.get(f"/api/v1/lists/{slug}/status"), 404)
    assert is_problem(tool.find("a@example.org", f"/api/v1/lists/{slug}/contact"), 404)
    assert is_problem(tool.get(f"{ANSWERS}?list={slug}"), 404)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"json": {}}, 400),
        ({"json": {"address": 1}}, 400),
        ({"json": {"address": ""}}, 400),
        ({"json": {"address": None}}, 400),
        ({"json": {"address": "a" * 321}}, 400),
        ({"json": {"address": "a@example.org", "more": 1}}, 400),
        ({"json": ["a@example.org"]}, 400),
        ({"json": "a@example.org"}, 400),
        ({"data": b"{", "content_type": "application/json"}, 400),
        ({"data": b"\xff", "content_type": "application/json"}, 400),
        ({"data": b"[" * 10_000, "content_type": "application/json"}, 400),
        ({"data": {"address": "a@example.org"}}, 415),
        ({"data": b'{"address": "a@example.org"}', "content_type": "text/plain"}, 415),
        ({"data": b" " * 20_000, "content_type": "application/json"}, 413),
    ],
)
@pytest.mark.usefixtures("mailing_list")
def test_a_question_that_is_none_is_refused(tool: Tool, sent: dict[str, Any], status: int) -> None:
    response = tool.pages.client.post(CONTACT, headers=tool.headers, **sent)
    assert is_problem(response, status)


def test_the_longest_address_is_looked_for(tool: Tool, mailing_list: MailingList) -> None:
    assert tool.find("a" * 320).status_code == 200
    assert mailing_list.slug == "news"


def test_what_there_is_not_is_told_in_the_form_for_programs(tool: Tool) -> None:
    for path in ("/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/lists/"):
        assert is_problem(tool.get(path), 404)
    response = tool.pages.client.delete(LISTS, headers=tool.headers)
    assert is_problem(response, 405)
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert tool.get("/api/v2/lists").content_type.startswith("text/html")


def test_a_failure_is_told_in_the_form_for_programs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # A database without a single table.
    with open_database(f"sqlite:///{tmp_path / 'empty.db'}") as empty:
        pages = Pages(empty, make_settings())
        headers = {"Authorization": "Bearer rp_secret"}
        response = pages.client.get(LISTS, headers=headers)
    assert is_problem(response, 500)
    assert "rp_secret" not in caplog.text


# --- How often, and for whom.


def test_a_token_may_ask_so_often(tool: Tool) -> None:
    for _ in range(BURST):
        assert tool.get(LISTS).status_code == 200
    refused = tool.get(LISTS)
    assert is_problem(refused, 429)
    assert refused.headers["Retry-After"] == "1"
    # Others go on.
    assert tool.pages.client.get("/api/v1/openapi.json").status_code == 200
    tool.pages.clock.advance(timedelta(seconds=1))
    for _ in range(PER_MINUTE // 60):
        assert tool.get(LISTS).status_code == 200
    assert tool.get(LISTS).status_code == 429


def test_who_shows_no_token_may_ask_no_more_often(tool: Tool) -> None:
    wrong = {"Authorization": "Bearer rp_wrong"}
    for _ in range(BURST // 2):
        assert tool.pages.client.get(LISTS).status_code == 401
        assert tool.pages.client.get(LISTS, headers=wrong).status_code == 401
    for headers in ({}, wrong):
        assert is_problem(tool.pages.client.get(LISTS, headers=headers), 429)
    assert tool.get(LISTS).status_code == 200


def test_who_has_not_asked_for_a_while_is_forgotten() -> None:
    allowances = RateLimits()
    for _ in range(BURST - 1):
        allowances.take_request("network 0", now=NOW)
    for number in range(10_000):
        assert allowances.take_request(f"network {number}", now=NOW) == 0
    # Full, with one that is remembered since it has asked a lot.
    later = NOW + timedelta(seconds=1)
    assert allowances.take_request("new", now=later) == 0
    assert len(allowances._full_at) == 2
    assert allowances.take_request("network 0", now=later) == 0
    assert allowances.take_request("network 0", now=later) == 0
    assert allowances.take_request("network 0", now=later) == 1


def test_not_every_request_goes_through_all_clients_where_very_many_are_active() -> None:
    allowances = RateLimits()
    for number in range(10_001):
        allowances.take_request(f"network {number}", now=NOW)
    clients = allowances._full_at
    for number in range(9_000):
        allowances.take_request(f"other network {number}", now=NOW)
    assert allowances._full_at is clients


def test_no_cookie_is_set_and_no_other_website_may_read(
    tool: Tool, mailing_list: MailingList
) -> None:
    origin = {"Origin": "https://evil.example.net"}
    responses = [
        tool.pages.client.get(LISTS, headers={**tool.headers, **origin}),
        tool.pages.client.options(
            LISTS, headers={**origin, "Access-Control-Request-Method": "GET"}
        ),
        tool.pages.client.post(
            CONTACT, headers={**tool.headers, **origin}, json={"address": "a@example.org"}
        ),
        tool.pages.client.get("/api/v1/openapi.json", headers=origin),
    ]
    for response in responses:
        assert response.status_code == 200
        assert "Set-Cookie" not in response.headers
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert response.headers["Cache-Control"] == "no-store"
    assert mailing_list.slug == "news"
