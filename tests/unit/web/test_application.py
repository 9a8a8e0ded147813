"""What holds for all pages: headers, addresses, mistakes, the log, and the server in front."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from flask import abort

from repermit import package_files
from repermit.clock import ManualClock
from repermit.db.connection import Database, open_database
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import EvidencePart
from repermit.db.models.lists import MailingList
from repermit.i18n import catalogues
from repermit.rules.consent import MailKind, MailState, Status
from repermit.settings.definitions import Organisation, Web
from repermit.signed_links import Kind
from repermit.web import application
from repermit.web.client_address import mask_network
from repermit.web.health_and_metrics import CACHE_TIME
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
    make_settings,
)
from tests.support.public_pages import Pages, heading_of, words_of
from tests.support.setting_choices import choose


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_pages_know_what_is_chosen_without_being_started_again(
    database: Database, mailing_list: MailingList
) -> None:
    settings = make_settings(organisation=Organisation(email="us@example.org"))
    pages = Pages(database, settings)
    contact = make_asked(database, mailing_list, make_campaign(database, mailing_list))
    for name in ("De Linde", "De Eik"):
        assert name not in words_of(pages.get("me", contact.uid))
        choose(database, settings, organisation__name=name)
        assert name in words_of(pages.get("me", contact.uid))
    assert pages.client.get("/healthz").status_code == 200


@pytest.fixture
def asked(database: Database, mailing_list: MailingList) -> Contact:
    campaign = make_campaign(database, mailing_list)
    return make_asked(database, mailing_list, campaign, "anna@example.org")


def pages_at(database: Database, public_url: str = "https://ask.example.org", **more: Any) -> Pages:
    return Pages(database, make_settings(public_url=public_url, **more))


# --- Headers. ------------------------------------------------------------------------------------


def test_every_response_says_that_nothing_may_load_frame_or_keep_it(
    database: Database, asked: Contact
) -> None:
    pages = pages_at(database)
    paths = [pages.path("yes", asked.uid), "/join/news", "/healthz", "/metrics", "/elsewhere"]
    for path in paths:
        response = pages.client.get(path)
        headers = response.headers
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Robots-Tag"] == "noindex, nofollow"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
        assert "Set-Cookie" not in headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        for part in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
            assert part in policy
        assert "script" not in policy


def test_the_style_in_the_page_is_the_one_that_the_policy_allows(
    database: Database, asked: Contact
) -> None:
    pages = pages_at(database)
    counts: tuple[tuple[Kind, int], ...] = (("yes", 1), ("me", 2))
    for kind, count in counts:
        response = pages.get(kind, asked.uid)
        styles = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
        assert len(styles) == count
        policy = response.headers["Content-Security-Policy"].partition("style-src")[2]
        for style in styles:
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy.partition(";")[0]
        assert " style=" not in response.text


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [("gzip, br", True), ("*", True), ("br", False), ("gzip;q=0", False), ("", False)],
)
def test_an_answer_page_is_packed_for_who_takes_that(
    database: Database, asked: Contact, accepted: str, *, is_packed: bool
) -> None:
    pages = pages_at(database)
    headers = {"Accept-Encoding": accepted}
    plain = pages.get("yes", asked.uid)
    response = pages.get("yes", asked.uid, headers=headers)
    assert response.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert response.headers.get("Content-Encoding") == ("gzip" if is_packed else None)
    read = gzip.decompress(response.data) if is_packed else response.data
    assert read == plain.data
    assert int(response.headers["Content-Length"]) == len(response.data)
    # Beside what is typed stands a secret there, whose length must not tell it.
    for other in (pages.get("me", asked.uid, headers=headers), pages.client.get("/healthz")):
        assert "Content-Encoding" not in other.headers


def test_what_is_below_the_host_of_a_website_is_left_to_the_website(database: Database) -> None:
    response = pages_at(database, "https://www.example.org/ask").client.get("/healthz")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_plain_http_is_not_told_to_be_https_for_ever(database: Database) -> None:
    response = pages_at(database, "http://127.0.0.1:8000").client.get("/healthz")
    assert "Strict-Transport-Security" not in response.headers


# --- Addresses. ----------------------------------------------------------------------------------


def test_no_address_comes_from_the_host_header(database: Database, asked: Contact) -> None:
    pages = pages_at(database)
    answers = [
        pages.get("yes", asked.uid, headers={"Host": "evil.example.net"}),
        pages.post(
            "no",
            asked.uid,
            headers={"Host": "evil.example.net", "X-Forwarded-Host": "evil.example.net"},
        ),
    ]
    for response in answers:
        assert response.status_code == 200
        assert "evil.example.net" not in response.text + str(response.headers)
        assert "https://ask.example.org/" in response.text


@pytest.mark.parametrize("prefix", ["", "/vraag"], ids=["stripped", "not stripped"])
def test_the_pages_work_below_a_path_whether_the_proxy_strips_it_or_not(
    database: Database, asked: Contact, prefix: str
) -> None:
    pages = pages_at(database, "https://www.example.org/vraag")
    response = pages.client.get(prefix + pages.path("yes", asked.uid))
    assert response.status_code == 200
    assert f'action="{pages.links.url("yes", asked.uid)}"' in response.text
    assert pages.links.url("yes", asked.uid).startswith("https://www.example.org/vraag/yes/")
    shown = pages.wording_shown("yes", asked.uid)
    data = {"number": f"{pages.number(asked.uid)}{shown}"}
    assert pages.client.post(prefix + pages.path("yes", asked.uid), data=data).status_code == 200
    assert Contact.get().status == Status.CONFIRMED
    assert pages.client.get(f"{prefix}/healthz").status_code == 200
    assert pages.client.get("/vraagje/healthz").status_code == 404


@pytest.mark.parametrize("prefix", ["", "/no"], ids=["stripped", "not stripped"])
def test_the_path_may_be_called_like_a_page(
    database: Database, asked: Contact, prefix: str
) -> None:
    pages = pages_at(database, "https://www.example.org/no")
    for kind in ("yes", "no"):
        path = prefix + pages.path(kind, asked.uid)
        assert pages.client.get(path).status_code == 200


# --- The trace. ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.77", "198.51.100.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:198.51.100.77", "198.51.100.0/24"),
        ("", ""),
        ("unknown", ""),
    ],
)
def test_a_network_is_kept_in_part(address: str, network: str) -> None:
    assert mask_network(address) == network


@pytest.mark.parametrize(
    ("trusted", "network"), [(0, "127.0.0.0/24"), (1, "203.0.113.0/24"), (2, "198.51.100.0/24")]
)
def test_so_many_proxies_are_believed_as_the_settings_say(
    database: Database, asked: Contact, trusted: int, network: str
) -> None:
    pages = pages_at(database, web=Web(trusted_proxies=trusted))
    pages.post(
        "yes",
        asked.uid,
        headers={"X-Forwarded-For": "198.51.100.7, 203.0.113.9", "User-Agent": "x" * 1000},
    )
    trace = EvidencePart.get(EvidencePart.part == "trace").json
    assert f'"network":"{network}"' in trace
    assert f'"{"x" * 300}"' in trace


# --- Mistakes and the log. -----------------------------------------------------------------------


def test_a_method_that_a_page_does_not_have_is_refused_with_what_it_has(
    database: Database,
) -> None:
    response = pages_at(database).client.get("/held/show")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert "This cannot be done here" in words_of(response)


@pytest.mark.parametrize(
    ("wanted", "first"),
    [
        ("", "nl"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr-BE,en;q=0.5", "fr"),
        ("en;q=0.5,fr;q=0.9", "fr"),
        ("ru,uk;q=0.9,en;q=0.1", "en"),
        ("ru", "nl"),
        ("pt-PT", "pt"),
        ("*", "nl"),
        ("en;q=0", "nl"),
        ('"<script>', "nl"),
    ],
)
def test_a_mistake_is_told_first_in_what_the_browser_would_rather_read(
    database: Database, wanted: str, first: str
) -> None:
    headers = {"Accept-Language": wanted} if wanted else {}
    response = pages_at(database).client.get("/elsewhere", headers=headers)
    languages = re.findall(r'<div lang="(..)">', response.text)
    assert languages == [first, *(one for one in package_files.LANGUAGES if one != first)]
    assert languages[:5] == ["nl", "en", "de", "fr", "bg"] or first != "nl"
    assert f'<html lang="{first}"' in response.text
    does_not_exist = catalogues.load_translations(first).gettext("This page does not exist")
    assert heading_of(response) == does_not_exist
    assert response.text.count("<h1>") == 1
    assert response.headers["Vary"] == "Accept-Language"


def test_a_mistake_is_told_first_in_the_language_that_all_lists_have(database: Database) -> None:
    make_list(database, language="fr")
    pages = pages_at(database)
    assert '<html lang="fr"' in pages.client.get("/elsewhere").text
    english = {"Accept-Language": "en"}
    assert '<html lang="en"' in pages.client.get("/elsewhere", headers=english).text
    make_list(database, slug="other", language="de")
    assert '<html lang="nl"' in pages.client.get("/elsewhere").text


def test_too_much_is_refused(database: Database, asked: Contact) -> None:
    response = pages_at(database).post("no", asked.uid, data={"more": "x" * 20_000})
    assert response.status_code == 413
    assert "That was too much" in words_of(response)
    assert Contact.get().status == Status.UNCONFIRMED


def test_a_request_that_makes_no_sense_is_refused(database: Database, asked: Contact) -> None:
    pages = pages_at(database)
    pages.app.add_url_rule("/picky", view_func=lambda: abort(400))
    many = {f"field{number}": "x" for number in range(50)}
    response = pages.post("no", asked.uid, data=many, content_type="multipart/form-data")
    assert response.status_code == 413
    response = pages.client.get("/picky")
    assert response.status_code == 400
    assert "This request was not understood" in words_of(response)


def test_a_failure_shows_and_logs_no_more_than_that_it_happened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    # A database without a single table.
    with open_database(f"sqlite:///{tmp_path / 'empty.db'}") as empty:
        pages = pages_at(empty)
        path = pages.path("yes", "0" * 32)
        response = pages.client.get(path)
        assert response.status_code == 500
        assert heading_of(response) == "Er ging bij ons iets mis"
        assert "Something went wrong on our side" in words_of(response)
        assert "Traceback" not in response.text
        assert pages.client.get("/elsewhere").status_code == 500
        health = pages.client.get("/healthz")
    assert (health.status_code, health.json) == (503, {"status": "failing"})
    assert "a page failed: answer.show_question (OperationalError)" in caplog.text
    assert "the database cannot be read: OperationalError" in caplog.text
    assert path not in caplog.text
    assert "no such table" not in caplog.text


def test_no_token_and_no_address_stands_in_the_log(
    database: Database, asked: Contact, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pages = pages_at(database)
    for kind in ("yes", "no", "me"):
        pages.get(kind, asked.uid)
    pages.post("yes", asked.uid)
    pages.post("no", asked.uid, data={"List-Unsubscribe": "One-Click"})
    pages.client.post("/join/news", data={"address": "new@example.org"})
    pages.post("confirm", SignUp.get().uid, data={"choice": "yes"})
    pages.client.get(pages.path("yes", asked.uid)[:-1])
    assert Contact.select().count() == 2
    assert "example.org" not in caplog.text
    assert pages.links.token("yes", asked.uid)[:22] not in caplog.text


# --- Monitoring. ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("database")
def test_health_is_told_also_when_no_connection_is_open(sqlite_url: str) -> None:
    app = application.create_app(make_settings(database=sqlite_url), clock=ManualClock(NOW))
    response = app.test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_metrics_count_and_name_nobody(
    database: Database, mailing_list: MailingList, asked: Contact
) -> None:
    make_contact(database, mailing_list, status=Status.CONFIRMED)
    pages = pages_at(database)
    response = pages.client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = response.text.splitlines()
    assert 'repermit_contacts{status="unconfirmed"} 1' in lines
    assert 'repermit_contacts{status="removed"} 0' in lines
    assert 'repermit_mails{kind="ask",state="sent"} 1' in lines
    assert len([line for line in lines if line.startswith("repermit_mails{")]) == (
        len(MailKind) * len(MailState)
    )
    assert "news" not in response.text
    assert (asked.address or "") not in response.text


def test_metrics_are_counted_anew_only_after_a_while(
    database: Database, mailing_list: MailingList
) -> None:
    pages = pages_at(database)
    first = pages.client.get("/metrics").text
    make_contact(database, mailing_list)
    assert pages.client.get("/metrics").text == first
    pages.clock.advance(CACHE_TIME)
    assert pages.client.get("/metrics").text != first


def test_search_engines_are_asked_to_stay_away(database: Database) -> None:
    assert pages_at(database).client.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"


def test_every_page_links_the_privacy_statement(database: Database, asked: Contact) -> None:
    pages = pages_at(database)
    paths = [pages.path(kind, asked.uid) for kind in ("yes", "no", "me")]
    for path in [*paths, "/join/news", "/elsewhere"]:
        assert 'href="https://www.example.org/privacy"' in pages.client.get(path).text


def test_a_mistake_links_no_privacy_statement_of_a_sensitive_list(database: Database) -> None:
    url = "https://www.example.org/hiv/privacy"
    make_list(database, slug="hiv-group", name="HIV group", privacy_url=url, sensitive=True)
    assert "hiv" not in pages_at(database).client.get("/elsewhere").text.lower()


def test_a_mistake_links_no_privacy_statement_if_lists_have_several(
    database: Database, mailing_list: MailingList
) -> None:
    make_list(database, slug="other", privacy_url="https://www.example.org/other")
    assert mailing_list.privacy_url not in pages_at(database).client.get("/elsewhere").text


def test_what_an_organisation_does_not_have_leaves_no_gap(
    database: Database, asked: Contact
) -> None:
    bare = make_organisation(telephone="", email="", website="", officer="", authority_url="")
    text = pages_at(database, organisation=bare).get("yes", asked.uid).text
    assert "Telefoon" not in text
    assert "Schrijf naar" not in text
    assert "Autoriteit Persoonsgegevens." in text
    none = make_organisation(authority="")
    text = pages_at(database, organisation=none).get("yes", asked.uid).text
    assert "toezichthouder" not in text
