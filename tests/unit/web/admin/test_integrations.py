"""The tokens of programs that ask, and the webhooks of those that are told."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from repermit.accounts import api_tokens
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.evidence import Evidence
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.i18n.lazy_text import LazyText
from repermit.package_files import load_data
from repermit.rules.consent import Reason
from repermit.settings.definitions import Settings, Web
from repermit.settings.sealed_secrets import SecretCipher
from repermit.web.admin.result_text import translate_said
from repermit.webhooks import endpoints
from repermit.webhooks import events as webhooks_events
from repermit.webhooks.events import describe_status
from tests.support.admin_pages import (
    ENGLISH,
    csrf_token,
    words_at,
)
from tests.support.builders import NOW, make_list, make_removed
from tests.support.public_pages import Pages, heading_of, words_of
from tests.support.webhook_receiver import Answer, Receiver

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "/admin/connecting/"
TOOL = "https://tool.example.org/hooks/news"


@pytest.fixture
def pages(database: Database, settings: Settings) -> Pages:
    return Pages(database, replace(settings, web=Web(webhooks_to_private=True)))


def look(client: FlaskClient, url: str = URL) -> str:
    return words_at(client, url)


def send(client: FlaskClient, what: str, **fields: Any) -> TestResponse:
    """Send a form, as whoever reads English."""
    given = {**fields, "csrf_token": csrf_token(client)}
    return client.post(URL + what, data=given, headers=ENGLISH)


def press(client: FlaskClient, what: str, **fields: Any) -> str:
    """Send a form that leads to another page; return what that says."""
    response = send(client, what, **fields)
    assert response.status_code == 303
    assert response.location
    return look(client, response.location)


def events() -> list[tuple[str, str]]:
    return [(one.event, one.actor) for one in Evidence.select()]


def add_webhook(pages: Pages, url: str = TOOL) -> int:
    added = endpoints.add(pages.database, url, settings=pages.settings, now=NOW, actor="cli:keeper")
    return added.id


# --- Tokens.


def test_a_token_is_made_and_shown_once(client: FlaskClient, admin: User) -> None:
    scopes = ["read:status", "read:answers"]
    answer = send(client, "tokens", name="The tool", scopes=scopes)
    (bearer,) = re.findall(r"<code>(rp_[\w-]+)</code>", answer.text)
    found = api_tokens.find_token(bearer)
    assert found
    assert (found.name, found.scopes) == ("The tool", ("read:status", "read:answers"))
    assert events() == [("token_made", f"user:{admin.id}")]
    said = look(client)
    assert bearer not in said
    assert "The tool how lists and campaigns stand, in counts read:status answers and" in said
    assert "by admin@example.org. Never used." in said
    assert "https://ask.example.org/api/v1/openapi.json" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scopes": "read:status"}, "Please fill this in."),
        ({"name": "x" * 61, "scopes": "read:status"}, "Take at most 60 signs."),
        ({"name": "Other"}, "Choose one or more."),
        ({"name": "The tool", "scopes": "read:status"}, "there is a token of it already"),
        ({"name": "Other", "scopes": "write:all"}, "This name cannot be used"),
    ],
)
def test_what_is_amiss_with_a_token_is_said(
    client: FlaskClient, pages: Pages, fields: dict[str, str], said: str
) -> None:
    api_tokens.make_token(
        pages.database, "The tool", scopes=["read:status"], now=NOW, actor="cli:keeper"
    )
    answer = send(client, "tokens", **fields)
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert f'value="{fields.get("name", "")}"' in answer.text
    assert len(api_tokens.list_tokens()) == 1


def test_a_used_token_says_when_and_is_revoked(client: FlaskClient, pages: Pages) -> None:
    made = api_tokens.make_token(
        pages.database, "The tool", scopes=["read:status"], now=NOW, actor="cli:keeper"
    )
    token = api_tokens.find_token(made.bearer)
    assert token
    with pages.database.atomic():
        api_tokens.record_token_use(token, now=NOW)
    assert "Last used on Monday 2 March 2026" in look(client)
    said = press(client, f"tokens/{made.id}/revoke")
    assert "Revoked. The program is refused from now on." in said
    assert "There is no token." in said
    assert api_tokens.find_token(made.bearer) is None
    assert send(client, f"tokens/{made.id}/revoke").status_code == 404


# --- Webhooks.


def test_a_webhook_is_added_and_its_secret_shown_once(
    client: FlaskClient, pages: Pages, admin: User
) -> None:
    make_list(pages.database)
    answer = send(client, "webhooks", url=TOOL, list="news")
    assert heading_of(answer) == "The webhook is added"
    hook = Webhook.get()
    secret = SecretCipher(pages.settings.secret_keys).decrypt(f"webhook:{hook.id}", hook.secret)
    assert secret
    assert secret.startswith("whsec_")
    assert secret in answer.text
    assert events() == [("webhook_added", f"user:{admin.id}")]
    said = look(client)
    assert f"{TOOL} Told about the list news. Added on" in said
    assert secret not in client.get(URL).text


def test_a_webhook_may_be_told_about_all_lists(client: FlaskClient) -> None:
    send(client, "webhooks", url=TOOL, list="")
    assert "Told about all lists." in look(client)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "Please fill this in."),
        ("nothing", "looks like https://tool.example.org/hooks/news"),
        (TOOL, "There is a webhook with this URL already."),
    ],
)
def test_what_is_amiss_with_a_webhook_is_said(
    client: FlaskClient, pages: Pages, url: str, said: str
) -> None:
    add_webhook(pages)
    answer = send(client, "webhooks", url=url)
    assert answer.status_code == 422
    assert said in words_of(answer)
    assert f'value="{url}"' in answer.text
    assert Webhook.select().count() == 1


def test_a_webhook_of_a_list_that_is_not_there_is_not_added(client: FlaskClient) -> None:
    assert send(client, "webhooks", url=TOOL, list="other").status_code == 404


def test_a_webhook_is_removed(client: FlaskClient, pages: Pages) -> None:
    number = add_webhook(pages)
    said = press(client, f"webhooks/{number}/remove")
    assert "Removed. It is told nothing more." in said
    assert "There is no webhook." in said
    assert send(client, f"webhooks/{number}/remove").status_code == 404
    assert client.get(f"{URL}webhooks/{number}/").status_code == 404


def test_a_test_says_what_came_of_it(client: FlaskClient, pages: Pages) -> None:
    with Receiver(Answer(status=200), Answer(status=500)) as receiver:
        number = add_webhook(pages, receiver.url())
        said = press(client, f"webhooks/{number}/test")
        assert "The test message has arrived: it was answered with 200." in said
        said = press(client, f"webhooks/{number}/test")
        assert "The test message has not arrived: it answered 500." in said
    assert len(receiver.told) == 2
    assert "It was told nothing yet" in look(client, f"{URL}webhooks/{number}/")


def test_what_a_webhook_was_told_is_listed_and_told_again(
    client: FlaskClient, pages: Pages
) -> None:
    number = add_webhook(pages)
    news = make_list(pages.database)
    for _ in range(3):
        make_removed(pages.database, news, Reason.NO)
    webhooks_events.enqueue_deliveries(pages.database, now=NOW)
    good, bad, _ = Delivery.select().order_by(Delivery.seq)
    with pages.database.atomic():
        for one, facts in (
            (good, {"state": "delivered", "reply_code": 204}),
            (bad, {"state": "failed", "problem": "no answer in time"}),
        ):
            update = Delivery.update(at=NOW, attempts=2, **facts)
            update.where(Delivery.id == one.id).execute()
    said = look(client, f"{URL}webhooks/{number}/")
    assert f"Entry {good.seq} arrived (204) Monday 2 March 2026" in said
    assert (
        f"Entry {bad.seq} failed: no answer in time Monday 2 March 2026, 10:00 (2 attempts)" in said
    )
    assert "waits not tried yet" in said
    assert "Told about all lists. One message waits. The last attempt" in look(client)
    again = f"webhooks/{number}/deliveries/{bad.id}/again"
    assert "It is told again in a moment." in press(client, again)
    assert "This delivery is waiting already" in press(client, again)
    assert send(client, f"webhooks/{number}/deliveries/999/again").status_code == 404


@pytest.mark.parametrize(
    ("problem", "said"),
    [("", "The last message arrived on"), ("it cannot be reached", "failed: it cannot be reached")],
)
def test_how_the_last_message_fared_is_said_at_a_glance(
    client: FlaskClient, pages: Pages, problem: str, said: str
) -> None:
    add_webhook(pages)
    make_removed(pages.database, make_list(pages.database), Reason.NO)
    webhooks_events.enqueue_deliveries(pages.database, now=NOW)
    with pages.database.atomic():
        Delivery.update(at=NOW, attempts=1, problem=problem).execute()
    assert said in look(client)
    assert "again on Monday 2 March 2026" in look(client, f"{URL}webhooks/1/")


def test_the_log_of_a_webhook_goes_back_a_page_at_a_time(client: FlaskClient, pages: Pages) -> None:
    number = add_webhook(pages)
    with pages.database.atomic():
        for seq in range(1, 53):
            Delivery.create(webhook=number, seq=seq, due_at=NOW)
    url = f"{URL}webhooks/{number}/"
    first = client.get(url, headers=ENGLISH).text
    assert f'<a href="{url}?before=3" rel="next"' in first
    second = client.get(f"{url}?before=3", headers=ENGLISH).text
    assert re.findall(r"Entry (\d+)<", second) == ["2", "1"]
    assert f'<a href="{url}" rel="prev"' in second
    assert 'rel="next"' not in second


def test_what_went_wrong_is_told_in_the_page_s_language(pages: Pages, admin: User) -> None:
    with pages.app.test_request_context(URL, headers={"Accept-Language": "nl"}):
        pages.app.preprocess_request()
        assert translate_said(describe_status(500)) == "het antwoord was 500"
        assert translate_said(LazyText("it cannot be reached")) == "het is niet bereikbaar"
    assert admin.email


def test_each_scope_is_described_in_words() -> None:
    assert set(load_data("audit_log.toml")["scopes"]) == set(api_tokens.SCOPES)
