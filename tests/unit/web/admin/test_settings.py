"""The settings as the admin sees them, the mail server tried, and what `check` finds."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.checks.findings import Finding, Report
from repermit.db.connection import Database
from repermit.db.models.accounts import User
from repermit.db.models.evidence import Evidence
from repermit.rules.consent import BounceKind
from repermit.settings import config_file, definitions
from repermit.settings.definitions import (
    PAGES,
    SECRETS,
    MailServer,
    Organisation,
    Origin,
    Settings,
)
from repermit.settings.editable_settings import EDITABLE
from repermit.web.admin.check_findings import group_findings
from repermit.web.admin.settings import show_report
from tests.support.admin_pages import (
    ENGLISH,
    client_of,
    csrf_token,
    make_admin,
    post,
    words_at,
)
from tests.support.builders import make_campaign, make_contact, make_list, make_mail, make_settings
from tests.support.config_documents import KEY, make_document, parse
from tests.support.inbox import HANG_UP, Inbox
from tests.support.public_pages import Pages, everything_in, words_of

if TYPE_CHECKING:
    from flask.testing import FlaskClient

URL = "/admin/settings/"
PLACES = (*PAGES, "installation")


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
    """Return a client of the admin in an installation with these settings."""
    email = "admin@example.org"
    admin = User.get_or_none(User.email == email) or make_admin(database, email=email)
    return client_of(Pages(database, settings), admin)


def look(client: FlaskClient) -> str:
    response = client.get(URL, headers=ENGLISH)
    assert response.status_code == 200
    return words_of(response)


def page(client: FlaskClient, name: str) -> str:
    return words_at(client, URL + name)


def press(client: FlaskClient, what: str, **fields: Any) -> str:
    """Press a button; return what is said then."""
    response = client.post(
        URL + what, data={**fields, "csrf_token": csrf_token(client)}, headers=ENGLISH
    )
    if response.status_code == 303:
        assert response.location == f"{URL}mail"
        return page(client, "mail")
    assert response.status_code == 200
    return words_of(response)


# --- Where a value comes from.


def test_the_settings_know_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a secret\n")
    document = make_document(
        mail={"preset": "office365", "port": 26, "password_file": "password"},
        bounces={"protocol": "imap", "server": "mail.example.org", "username": "news"},
    )
    origins = config_file.parse_config(document, folder=tmp_path).origins
    assert origins["public_url"] is Origin.CONFIG
    assert origins["mail.port"] is Origin.CONFIG
    assert origins["mail.password"] is Origin.FILE
    assert origins["mail.server"] is Origin.PRESET
    assert origins["bounces.port"] is Origin.PRESET
    assert "mail.connect_timeout" not in origins
    assert "timezone" not in origins


def test_the_settings_know_their_file_and_are_the_same_without(tmp_path: Path) -> None:
    text = f'public_url = "https://ask.example.org"\nsecret_keys = ["{KEY}"]\n'
    path = tmp_path / "config.toml"
    path.write_text(f'{text}fingerprint_key = "{KEY}"\ndatabase = "sqlite:////srv/a.db"\n')
    loaded = config_file.load_config(path)
    assert loaded.path == path
    assert parse().path is None
    assert loaded == parse(database="sqlite:////srv/a.db", journal=str(loaded.journal))


# --- What is shown.


def test_each_group_is_told_in_a_line_and_leads_to_its_page(database: Database) -> None:
    settings = parse(
        organisation={"name": "De Linde", "address": "Lindelaan 1\n1234 AB Utrecht"},
        mail={"preset": "office365", "username": "news@example.org"},
        bounces={"protocol": "imap", "server": "imap.example.org", "username": "news"},
        campaign={"pause_at_bounce_percent": 0},
    )
    client = client_with(database, settings)
    said = look(client)
    for line in (
        "Name, postal address and e-mail address are needed before a campaign.",
        "De Linde, Lindelaan 1, 1234 AB Utrecht",
        "Microsoft 365 smtp.office365.com, port 587 news@example.org",
        "IMAP: imap.example.org news",
        "14 days to answer at least. What is kept A proof for 5 years",
    ):
        assert line in said
    bare = look(client_with(database, parse()))
    assert "Nobody is known to read what comes back." in bare
    news = make_list(database)
    campaign, contact = make_campaign(database, news), make_contact(database, news)
    make_mail(database, campaign, contact, bounce=BounceKind.HARD)
    assert "come in before, by a pipe." in look(client_with(database, parse()))
    assert "localhost, port 587 without a login" in bare
    assert "Pauses when 2% of the mails come back." in bare
    whole = look(client_with(database, make_settings()))
    assert "are needed before a campaign" not in whole
    assert "praktijk@example.org, +31 30 123 45 67" in whole


def test_what_stands_in_the_file_is_shown_with_its_source(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("a secret\n")
    document = make_document(
        organisation={"name": "Praktijk De Linde"},
        mail={"password_file": "password", "username": "news@example.org"},
        web={"webhooks_to_private": True},
    )
    settings = replace(
        config_file.parse_config(document, folder=tmp_path), path=Path("/srv/config.toml")
    )
    client = client_with(database, settings)
    said = page(client, "organisation") + page(client, "mail") + page(client, "installation")
    for words in (
        "Name Praktijk De Linde Stands in config.toml as organisation.name, and is changed there.",
        "Password set; not shown Stands in a file of its own, which mail.password_file names.",
        "Server localhost Is chosen in config.toml alone, as mail.server, since the account’s",
        "User name news@example.org Stands in config.toml",
        "These settings stand in /srv/config.toml on the server alone",
        "Webhooks may go to private networks web.webhooks_to_private yes config.toml",
        "Authority of its certificate (Mail server) mail.ca_file not given default",
    ):
        assert words in said
    assert "a secret" not in said
    nothing = client_with(database, replace(make_settings(), given={}))
    assert "stand in config.toml on the server alone" in page(nothing, "installation")


def test_a_page_of_which_all_stands_in_the_file_changes_nothing(database: Database) -> None:
    days = {"removed_days": 30, "trace_days": 90, "access_days": 365}
    retention = {"evidence_years": 5, **days}
    client = client_with(database, parse(retention=retention))
    said = page(client, "retention")
    assert "All of this stands in config.toml, and is changed there." in said
    assert "Save" not in said


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
        bounces=definitions.Bounces(**secrets),
    )
    client = client_with(database, settings)
    shown = "".join(client.get(URL + one, headers=ENGLISH).text for one in ("", *PLACES))
    hidden = [*secrets.values(), "hidden-4", "hidden-5", "links-6", "fingers-7"]
    assert not [one for one in hidden if one in shown]
    said = page(client, "installation")
    assert "Database database postgresql://db.example.org/news default" in said
    for url in ("sqlite:////srv/a.db", "sqlite:///a.db", "postgresql:///news"):
        other = client_with(database, make_settings(database=f"{url}?password=hidden-5"))
        assert f"Database database {url} default" in page(other, "installation")
    assert "What links are signed with secret_keys set; not shown" in said
    assert "Stands in config.toml as mail.password" in page(client, "mail")


def test_every_setting_is_on_one_page(database: Database) -> None:
    client = client_with(database, parse())
    shown = "".join(client.get(URL + one, headers=ENGLISH).text for one in PLACES)
    kept_in_files = {f"{key}_file" for key in SECRETS}
    keys = [key for key in config_file.list_known_keys() if key not in kept_in_files]
    chosen = {key: shown.count(f'name="{key}"') for key in EDITABLE}
    assert set(chosen.values()) == {1}
    assert not [key for key in keys if key not in chosen and f">{key}</code>" not in shown]


def test_what_is_done_on_the_server_alone_is_named(database: Database, settings: Settings) -> None:
    shown = page(client_with(database, settings), "installation")
    named = ("init", "serve", "worker", "send", "expire", "demo", "bounce", "backup", "restore")
    for command in (*named, "check --recount", "check --nameserver"):
        assert f"{command} " in shown.partition("What is done on the server")[2].replace(
            ",", " "
        ).replace(":", " ")


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
    assert "A test mail can be sent once there is a list." in page(client, "mail")
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


@pytest.mark.parametrize(
    ("code", "values", "place"),
    [
        ("list_no_purpose", {"list": "news"}, "/admin/lists/news/describe"),
        ("config_organisation", {"keys": "name"}, "/admin/settings/organisation"),
        ("pace_none", {"server": "a"}, "/admin/settings/mail"),
        ("bounces_none", {}, "/admin/settings/bounces"),
        ("lists_none", {}, "/admin/new-list"),
        ("smtp_other_sender", {"list": "news"}, "/admin/lists/news/describe"),
        ("bounces_nowhere", {"domain": "a.example"}, "/admin/settings/mail"),
        ("list_ok", {"list": "news"}, ""),
    ],
)
def test_a_finding_leads_to_where_it_is_mended(
    database: Database, at_home: Settings, code: str, values: dict[str, str], place: str
) -> None:
    pages = Pages(database, at_home)
    report = Report(findings=(Finding(code=code, values=values),))
    with pages.app.test_request_context(URL):
        pages.app.preprocess_request()
        ((_, (found,)),) = group_findings(report)
        assert found.place == place
        html = show_report(report, is_whole=True).get_data(as_text=True)
    assert (f'<a href="{place}">Mend this' in html) == bool(place)
    assert "`" not in html


def test_what_the_organisation_lacks_is_named_as_its_page_names_it(
    database: Database, at_home: Settings
) -> None:
    pages = Pages(database, at_home)
    values = {"keys": "name, address"}
    one = Finding(code="config_organisation", values=values)
    with pages.app.test_request_context(URL):
        pages.app.preprocess_request()
        ((_, (found,)),) = group_findings(Report(findings=(one,)))
    assert found.found == "Of the organisation something is missing: Name, Postal address."


def test_where_nothing_is_wrong_it_says_so(database: Database, at_home: Settings) -> None:
    pages = Pages(database, at_home)
    good = Report(findings=(Finding(code="smtp_ok", values={"server": "a"}),))
    with pages.app.test_request_context(URL):
        pages.app.preprocess_request()
        assert "A campaign would work" in show_report(good, is_whole=True).get_data(as_text=True)
