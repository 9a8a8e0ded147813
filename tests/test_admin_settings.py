"""The settings as the admin sees them, the mail server tried, and what `check` finds."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit import config
from repermit.config import MailServer, Organisation, Origin
from repermit.models import Evidence
from repermit.preflight import WORDS, Finding, Report
from repermit.web.admin.setting_words import TABLES
from repermit.web.admin.settings import show_report
from tests.admin_pages import ENGLISH, client_of, csrf_token, make_admin, post, viewer_client
from tests.building import make_list, make_settings
from tests.configuring import KEY, make_document, parse
from tests.inbox import HANG_UP, Inbox
from tests.pages import Pages, everything_in, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask.testing import FlaskClient

    from repermit.config import Settings
    from repermit.models import Database

URL = "/admin/settings/"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    with Inbox() as running:
        yield running


@pytest.fixture
def at_home(settings: Settings, inbox: Inbox) -> Settings:
    """Return settings with which nothing but this machine is asked for anything."""
    return replace(
        settings,
        public_url="http://127.0.0.1:9",
        organisation=Organisation(name="Praktijk De Linde"),
        mail=MailServer(server="127.0.0.1", port=inbox.port, tls="none"),
    )


def client_with(database: Database, settings: Settings) -> FlaskClient:
    """Return a client of an admin in an installation with these settings."""
    pages = Pages(database, settings)
    return client_of(pages, make_admin(database, email="admin@example.org"))


def look(client: FlaskClient) -> str:
    response = client.get(URL, headers=ENGLISH)
    assert response.status_code == 200
    return words_of(response)


def press(client: FlaskClient, what: str, **fields: Any) -> str:
    """Press a button; return what is said then."""
    response = client.post(
        URL + what, data={**fields, "csrf_token": csrf_token(client)}, headers=ENGLISH
    )
    if response.status_code == 303:
        assert response.location == URL
        return look(client)
    assert response.status_code == 200
    return words_of(response)


# --- Where a value comes from.


def test_the_settings_know_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a secret\n")
    document = make_document(
        mail={"preset": "office365", "port": 26, "password_file": "password"},
        bounces={"protocol": "imap", "server": "mail.example.org", "username": "news"},
    )
    origins = config.parse(document, folder=tmp_path).origins
    assert origins["public_url"] is Origin.CONFIG
    assert origins["mail.port"] is Origin.CONFIG
    assert origins["mail.password"] is Origin.FILE
    assert origins["mail.server"] is Origin.USUAL
    assert origins["bounces.port"] is Origin.USUAL
    assert "mail.connect_timeout" not in origins
    assert "timezone" not in origins


def test_the_settings_know_their_file_and_are_the_same_without(tmp_path: Path) -> None:
    text = f'public_url = "https://ask.example.org"\nsecret_keys = ["{KEY}"]\n'
    path = tmp_path / "config.toml"
    path.write_text(f'{text}fingerprint_key = "{KEY}"\ndatabase = "sqlite:////srv/a.db"\n')
    loaded = config.load(path)
    assert loaded.path == path
    assert parse().path is None
    assert loaded == parse(database="sqlite:////srv/a.db")


# --- What is shown.


def test_each_value_is_shown_with_its_key_and_source(database: Database, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a secret\n")
    document = make_document(
        organisation={"name": "Praktijk De Linde", "address": "Lindelaan 1\n1234 AB Utrecht"},
        mail={"preset": "office365", "password_file": "password", "username": "news@example.org"},
        retention={"trace_days": 30},
        web={"webhooks_to_private": True},
    )
    settings = replace(config.parse(document, folder=tmp_path), path=Path("/srv/config.toml"))
    said = look(client_with(database, settings))
    assert "The settings stand in /srv/config.toml , on the server. They are changed" in said
    for row in (
        "Name organisation.name Praktijk De Linde config.toml",
        "Website organisation.website not given default",
        "Server mail.server smtp.office365.com usual for office365",
        "Password mail.password set; not shown its own file, see mail.password_file",
        "Days that network and browser of an answer are kept retention.trace_days 30 config.toml",
        "retention.evidence_years 5 default",
        "webhooks_to_private yes config.toml",
        "All are at their default",
        "Time zone timezone Europe/Amsterdam default",
    ):
        assert row in said
    assert "a secret" not in said


def test_what_goes_with_a_protocol_is_called_usual(database: Database) -> None:
    mailbox = {"protocol": "imap", "server": "mail.example.org", "username": "news"}
    said = look(client_with(database, parse(bounces=mailbox)))
    assert "Port bounces.port 993 usual Encryption bounces.tls" not in said
    assert "Port bounces.port 993 usual" in said


def test_no_key_and_no_password_is_shown(database: Database) -> None:
    secrets: dict[str, Any] = {
        "password": "pass-1",
        "oauth_client_secret": "client-2",
        "oauth_refresh_token": "refresh-3",
    }
    settings = make_settings(
        database="postgresql://keeper:hidden-4@db.example.org/news?password=hidden-5",
        secret_keys=(b"links-6",),
        fingerprint_key=b"fingers-7",
        mail=MailServer(**secrets),
        bounces=config.Bounces(**secrets),
    )
    response = client_with(database, settings).get(URL, headers=ENGLISH)
    hidden = [*secrets.values(), "hidden-4", "hidden-5", "links-6", "fingers-7"]
    assert not [one for one in hidden if one in response.text]
    said = words_of(response)
    assert "Database database postgresql://db.example.org/news default" in said
    assert "What links are signed with secret_keys set; not shown" in said
    assert "The settings stand in config.toml, on the server." in said


def test_every_setting_is_shown(database: Database, settings: Settings) -> None:
    said = look(client_with(database, settings)).split()
    kept_in_files = {f"{key}_file" for key in config.secret_names()}
    assert [key for key in config.known_keys() if key not in {*said, *kept_in_files}] == []
    assert {key.rpartition(".")[0] for key in config.known_keys()} == set(TABLES)


def test_a_viewer_sees_no_settings(database: Database, settings: Settings) -> None:
    assert viewer_client(Pages(database, settings)).get(URL).status_code == 403


# --- The mail server.


def test_the_mail_server_is_tried_without_a_mail(
    database: Database, at_home: Settings, inbox: Inbox
) -> None:
    client = client_with(database, at_home)
    before = everything_in(database)
    said = press(client, "mail-server")
    assert "Nothing stands in the way. Mail server" in said
    assert everything_in(database) == before
    assert not inbox.mails


def test_a_mail_server_that_is_not_there_is_said_with_what_to_do(
    database: Database, at_home: Settings
) -> None:
    nowhere = replace(at_home, mail=MailServer(server="127.0.0.1", port=9, tls="none"))
    said = press(client_with(database, nowhere), "mail-server")
    assert "A campaign would not work yet. One thing has to be mended first." in said
    assert "Mail server Wrong" in said


def test_a_test_mail_goes_to_whoever_asks_for_it(
    database: Database, at_home: Settings, inbox: Inbox
) -> None:
    complete = replace(at_home, organisation=make_settings().organisation)
    make_list(database)
    said = press(client_with(database, complete), "test-mail", list="news")
    assert "Sent to admin@example.org. Its links belong to nobody." in said
    (mail,) = inbox.mails
    assert mail.rcpt_tos == ("admin@example.org",)
    entry = Evidence.get()
    assert (entry.event, entry.list) == ("test_mail_sent", "news")
    assert entry.actor.startswith("user:")


def test_a_test_mail_that_the_server_refuses_is_not_said_to_be_sent(
    database: Database, at_home: Settings, inbox: Inbox
) -> None:
    make_list(database)
    inbox.reply_to_rcpt = lambda _: "550 5.7.1 not you"
    assert "It was not sent:" in press(client_with(database, at_home), "test-mail", list="news")
    assert not Evidence.select().exists()


def test_a_test_mail_that_may_have_gone_is_said_to(
    database: Database, at_home: Settings, inbox: Inbox
) -> None:
    make_list(database)
    inbox.reply_to_data = lambda _: HANG_UP
    said = press(client_with(database, at_home), "test-mail", list="news")
    assert "It may have gone, or not:" in said


def test_a_test_mail_needs_a_list(database: Database, at_home: Settings) -> None:
    client = client_with(database, at_home)
    assert "A test mail can be sent once there is a list." in look(client)
    assert "Choose a list first." in press(client, "test-mail")
    assert "Choose a list first." in press(client, "test-mail", list="other")


# --- The check.


def test_check_says_what_it_found_by_area_with_remedies(
    database: Database, at_home: Settings
) -> None:
    client = client_with(database, at_home)
    before = everything_in(database)
    response = post(client, f"{URL}check")
    assert response.status_code == 200
    said = words_of(response)
    assert "A campaign would not work yet." in said
    assert "things have to be mended first" in said
    assert said.index("Settings Wrong") < said.index("Mail server Good")
    assert everything_in(database) == before


def test_a_mail_as_it_was_received_is_looked_at_too(database: Database, at_home: Settings) -> None:
    client = client_with(database, at_home)
    file = (io.BytesIO(b"no mail at all"), "test.eml")
    assert "Signature of the mails (DKIM)" in press(client, "check", mail=file)
    nothing = (io.BytesIO(b""), "")
    assert "Signature of the mails (DKIM)" not in press(client, "check", mail=nothing)


def test_where_nothing_is_wrong_it_says_so(database: Database, at_home: Settings) -> None:
    pages = Pages(database, at_home)
    good = Report(
        findings=(Finding(code="smtp_ok", words=WORDS["smtp_ok"], values={"server": "a"}),)
    )
    with pages.app.test_request_context(URL):
        pages.app.preprocess_request()
        assert "A campaign would work" in show_report(good, is_whole=True).get_data(as_text=True)
