"""The pages on which settings are chosen: saved whole or not at all, tried first, told in words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.settings import Chosen
from repermit.setting_overrides import current_settings
from tests.support.admin_pages import ENGLISH, admin_client, post, words_at
from tests.support.config_documents import KEY, parse
from tests.support.inbox import Inbox
from tests.support.mailboxes import ImapMailbox
from tests.support.public_pages import Pages, everything_in, words_of
from tests.support.setting_choices import choose

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

URL = "/admin/settings/"
PASSWORD = "geheim-van-de-mail"
_FIELD = re.compile(r'<input[^>]* name="([^"]+)"[^>]*?(?: value="([^"]*)")?(?: aria[^>]*)?>')
_LINES = re.compile(r'<textarea[^>]* name="([^"]+)"[^>]*>([^<]*)<')
_CHOICE = re.compile(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', re.DOTALL)


@pytest.fixture
def client(database: Database) -> FlaskClient:
    return admin_client(Pages(database, parse()))


def fields_at(client: FlaskClient, url: str) -> dict[str, str]:
    """Return what a page's form would send if nobody changed anything."""
    html = client.get(url, headers=ENGLISH).text
    form = html[html.index('<form method="post" action="/admin/settings/') :]
    form = form.partition("</form>")[0]
    found = dict([*_FIELD.findall(form), *_LINES.findall(form)])
    for name, options in _CHOICE.findall(form):
        selected = re.search(r'value="([^"]*)" selected', options)
        assert selected
        found[name] = selected[1]
    return {name: value for name, value in found.items() if not name.startswith("remove.")}


def save(client: FlaskClient, group: str, query: str = "", **typed: Any) -> TestResponse:
    """Type into the form of a group, and press its button; `_` `_` in a name stand for a dot."""
    fields = fields_at(client, f"{URL}{group}{query}")
    fields.update({name.replace("__", "."): str(value) for name, value in typed.items()})
    fields.pop("csrf_token")
    response = client.post(
        URL + group,
        data={**fields, "csrf_token": _token(client, group)},
        headers=ENGLISH,
    )
    assert response.status_code in {303, 422}
    return response


def _token(client: FlaskClient, group: str) -> str:
    return fields_at(client, URL + group)["csrf_token"]


def saved(client: FlaskClient, group: str, query: str = "", **typed: Any) -> str:
    response = save(client, group, query, **typed)
    assert (response.status_code, response.location) == (303, URL + group), words_of(response)
    return words_at(client, URL + group)


def refused(client: FlaskClient, group: str, query: str = "", **typed: Any) -> str:
    response = save(client, group, query, **typed)
    assert response.status_code == 422
    return words_of(response)


@pytest.mark.exhaustive
def test_the_organisation_is_chosen_and_stands_on_every_page_at_once(
    client: FlaskClient, database: Database
) -> None:
    said = saved(
        client,
        "organisation",
        organisation__name=" Praktijk De Linde ",
        organisation__address="Lindelaan 1 \r\n1234 AB Utrecht",
        timezone="America/New_York",
    )
    assert said.startswith("Organisation · Settings · repermit To the content Praktijk De Linde")
    assert "Saved. It holds from now on, without a restart." in said
    now = current_settings.read_current_settings(parse(), database)
    assert now.organisation.postal_lines == ("Lindelaan 1", "1234 AB Utrecht")
    assert now.timezone == "America/New_York"
    assert "Nothing was to be changed." in saved(client, "organisation")
    assert Evidence.select().count() == 1
    log = words_at(client, "/admin/log")
    assert "changed the settings" in log


def test_a_preset_fills_in_the_form_and_only_what_differs_is_kept(
    client: FlaskClient, database: Database
) -> None:
    said = words_at(client, f"{URL}mail?preset=transip")
    assert "Server, port, encryption and pace are filled in below, and not saved yet." in said
    assert "An account of only some weeks may take fewer mails than this" in said
    assert not Chosen.select().exists()
    assert fields_at(client, f"{URL}mail?preset=transip")["mail.server"] == "smtp.transip.email"
    said = saved(client, "mail", "?preset=transip", act="save", mail__rate_per_hour="40")
    assert "Usual: 80." in said
    assert {row.key for row in Chosen.select()} == {"mail.preset", "mail.rate_per_hour"}
    # An empty field stands for what is usual, and an unknown preset for none.
    saved(client, "mail", "?preset=nobody", act="save", mail__rate_per_hour="")
    assert current_settings.read_current_settings(parse(), database).mail.rate_per_hour == 80
    assert "your host tells you this name" in refused(client, "mail", "?preset=cpanel", act="save")
    saved(client, "mail", "?preset=", act="save")
    assert not Chosen.select().exists()


def test_a_kind_of_account_that_there_is_not_is_refused_at_its_field(client: FlaskClient) -> None:
    saved(client, "mail", "?preset=transip", act="save")
    page = save(client, "mail", act="save", mail__preset="nobody")
    assert page.status_code == 422
    error = page.text[page.text.index('id="mail-preset-wrong"') :].partition("</p>")[0]
    assert "This must be one of office365" in error
    assert 'href="#mail-preset"' in page.text
    # What is sent next is what was kept.
    assert '<input type="hidden" name="mail.preset" value="transip">' in page.text


def test_a_preset_of_the_files_is_not_to_be_chosen(database: Database) -> None:
    client = admin_client(Pages(database, parse(mail={"preset": "gmail"})))
    said = words_at(client, f"{URL}mail?preset=transip")
    assert "Kind of account Gmail Stands in config.toml as mail.preset" in said
    assert "smtp.transip.email" not in said


def test_what_makes_no_sense_is_told_beside_its_field_and_nothing_is_saved(
    client: FlaskClient, database: Database
) -> None:
    before = everything_in(database)
    response = save(
        client, "mail", act="save", mail__port="70000", mail__username="anna", mail__connections="x"
    )
    said = words_of(response)
    assert "Nothing was saved. Something needs another look:" in said
    assert "Port: This must be from 1 to 65535." in said
    assert "This must be a whole number." in said
    assert 'aria-describedby="mail-port-hint mail-port-wrong" aria-invalid="true"' in response.text
    assert 'value="anna"' in response.text
    assert everything_in(database) == before
    dutch = client.post(
        f"{URL}retention",
        data={"csrf_token": _token(client, "retention"), "retention.access_days": "0"},
        headers={"Accept-Language": "nl"},
    )
    assert "Dit moet van 1 tot en met 36500 zijn." in words_of(dutch)


def test_a_mail_server_is_tried_before_it_is_saved(
    client: FlaskClient, database: Database, inbox: Inbox
) -> None:
    values = {"act": "test", "mail__server": "127.0.0.1", "mail__tls": "none"}
    said = refused(client, "mail", mail__port="9", **values)
    assert "It does not work like this yet, so nothing was saved. Wrong No mail can leave:" in said
    assert "Ask your mail provider for the right server and port." in said
    assert not Chosen.select().exists()
    said = saved(client, "mail", mail__port=str(inbox.port), **values)
    assert "Saved." in said
    assert "The mail server 127.0.0.1 answers; no login is set" in said
    assert current_settings.read_current_settings(parse(), database).mail.port == inbox.port
    # Nothing was to be changed, so the test alone is told.
    again = saved(client, "mail", act="test")
    assert "answers; no login" in again
    assert "Nothing was to be changed." not in again
    assert not inbox.mails


def test_a_password_is_kept_replaced_and_removed_and_never_shown(
    client: FlaskClient, database: Database
) -> None:
    said = saved(client, "mail", act="save", mail__username="anna", mail__password=PASSWORD)
    assert "Replace: Password Set on Monday 2 March 2026 by" in said
    assert "it is not shown" in said
    response = save(client, "mail", act="save", mail__server="evil.example.org")
    assert "it would go to another server" in words_of(response)
    assert "Password: Give this again, or remove it" in words_of(response)
    wrong = save(client, "mail", act="save", mail__port="x", mail__password="typed-now")
    assert PASSWORD not in client.get(f"{URL}mail").text + response.text + wrong.text
    assert "typed-now" not in wrong.text
    saved(client, "mail", act="save", mail__server="new.example.org", mail__password="other")
    assert current_settings.read_current_settings(parse(), database).mail.password == "other"
    saved(client, "mail", act="save", **{"remove.mail.password": "on"})
    assert current_settings.read_current_settings(parse(), database).mail.password == ""
    evidence = "".join(part.json for part in EvidencePart.select())
    assert [one for one in (PASSWORD, "other") if one not in evidence] == [PASSWORD, "other"]
    assert "mail.password" in json.loads(EvidencePart.select().get().json)["keys"]


def test_a_password_whose_key_is_gone_is_asked_for_again(database: Database) -> None:
    choose(database, parse(), {"bounces.password": PASSWORD})
    lost = admin_client(Pages(database, parse(secret_keys=[f"new-{KEY}"])))
    assert "is gone from secret_keys: give it again." in words_at(lost, f"{URL}bounces")


def test_a_mailbox_is_tried_before_it_is_saved(client: FlaskClient, database: Database) -> None:
    with ImapMailbox() as mailbox:
        values: dict[str, Any] = {
            "act": "test",
            "bounces__protocol": "imap",
            "bounces__server": "127.0.0.1",
            "bounces__port": mailbox.port,
            "bounces__tls": "none",
            "bounces__username": "me",
        }
        said = refused(client, "bounces", bounces__password="wrong", **values)
        assert "Check user name and password of the mailbox." in said
        said = saved(client, "bounces", bounces__password="secret", **values)
    assert "The mailbox at 127.0.0.1 takes the login; bounces are read from it." in said
    assert current_settings.read_current_settings(parse(), database).bounces.password == "secret"


def test_a_form_that_was_overtaken_shows_what_the_other_chose(
    client: FlaskClient, database: Database
) -> None:
    fields = fields_at(client, f"{URL}retention")
    choose(database, parse(), retention__access_days=30)
    fields["retention.access_days"] = "40"
    assert post(client, f"{URL}retention", **fields).status_code == 303
    said = words_at(client, f"{URL}retention")
    assert "Somebody else has changed the settings meanwhile, so nothing was saved" in said
    assert current_settings.read_current_settings(parse(), database).retention.access_days == 30


def test_a_choice_that_does_not_go_with_another_page_says_which(database: Database) -> None:
    mailbox = {"protocol": "imap", "server": "imap.example.org", "username": "news"}
    typed: dict[str, Any] = {f"bounces__{name}": value for name, value in mailbox.items()}
    choose(database, parse(), **typed)
    client = admin_client(Pages(database, parse(bounces={"auth": "xoauth2"})))
    said = refused(client, "retention", retention__access_days="30")
    assert "Application (client) ID: This is needed for a login" in said
