"""The record of processing activities: what is known stands there, what is not is asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.accounts import audit_log
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.accounts import ApiToken
from repermit.db.models.campaigns import Campaign, HandedOver
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import Import
from repermit.db.models.lists import ListText, MailingList, RegisterNotes
from repermit.db.models.mails import Reply
from repermit.db.models.webhooks import Webhook
from repermit.errors import Refused
from repermit.evidence import chain
from repermit.evidence import entries as evidence_entries
from repermit.reports import make_report, register_notes, report_formatting
from repermit.reports.data_recipients import ADEQUATE, EEA, ROLES
from repermit.reports.held_data import count_held_data
from repermit.reports.make_report import Report, ReportKind
from repermit.reports.report_formatting import ReportWording
from repermit.rules.consent import Reason, Status
from repermit.settings.definitions import Bounces, MailServer, Retention, Settings
from tests.support.admin_pages import make_user
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_organisation,
    make_removed,
    make_settings,
)
from tests.support.report_campaign import ASKED, make_rich, read_article, read_document, read_tables

MAIL = MailServer(preset="office365", server="smtp.office365.com")
SETTINGS = make_settings(mail=MAIL)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def record(news: MailingList, settings: Settings = SETTINGS, language: str = "en") -> Report:
    return make_report.make_report(
        news, ReportKind.REGISTER, settings=settings, now=NOW, language=language
    )


def fill_in(database: Database, news: MailingList, **given: str) -> None:
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in given.items()}
    register_notes.set_notes(database, news, named, now=NOW, actor="user:1")


def keys(made: Report) -> list[str]:
    return list(made.gaps)


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


def test_it_asks_for_what_it_cannot_know_and_for_nothing_else(news: MailingList) -> None:
    made = record(news)
    assert keys(made) == [
        "joint-controllers",
        "hosting.name",
        "hosting.agreement",
        "hosting.country",
        "mail.agreement",
        "mail.country",
        "measures",
    ]
    assert read_document(made)["missing"] == keys(made)
    assert "To be filled in" in make_report.render_page(made)
    assert "7 things are still to be filled in." in make_report.render_page(made)


def test_in_dutch_the_papers_cite_the_law_as_dutch_does(database: Database) -> None:
    news = make_rich(database).mailing_list
    for kind in ReportKind:
        made = make_report.make_report(news, kind, settings=SETTINGS, now=NOW, language="nl")
        text = make_report.render_text(made)
        assert not re.search(r"\d\(\w+\)", text), text
    assert "Wie verantwoordelijk is (art. 30 lid 1 onder a AVG)" in (
        make_report.render_text(record(news, language="nl"))
    )


def test_what_was_filled_in_is_missing_no_more(database: Database, news: MailingList) -> None:
    fill_in(database, news, hosting__name=" A  Host ", hosting__country="nl", measures="none")
    fill_in(database, news, hosting__agreement="2025-05-02", mail__country="US")
    fill_in(database, news, mail__agreement="2024-11-01", joint_controllers="none")
    made = record(news)
    # Microsoft is in the United States, where no decision covers everybody.
    assert keys(made) == ["mail.safeguard"]
    text = make_report.render_text(made)
    for said in ("A Host", "2025-05-02", "Netherlands", "Microsoft 365", "United States"):
        assert said in text
    fill_in(database, news, mail__safeguard="Data Privacy Framework", representative="R")
    assert keys(record(news)) == []
    assert "Representative in the Union" in make_report.render_text(record(news))
    fill_in(database, news, mail__safeguard="")
    assert keys(record(news)) == ["mail.safeguard"]


@pytest.mark.parametrize("country", ["CH", "BR"])
def test_a_country_that_a_decision_covers_needs_no_safeguard(
    database: Database, news: MailingList, country: str
) -> None:
    fill_in(database, news, mail__country=country, hosting__agreement="own")
    made = record(news)
    assert "mail.safeguard" not in keys(made)
    assert "an adequacy decision" in make_report.render_text(made)
    # What the organisation does itself has neither agreement nor another country.
    assert not [key for key in keys(made) if key.startswith("hosting")]


def test_within_the_economic_area_there_is_no_transfer(
    database: Database, news: MailingList
) -> None:
    fill_in(database, news, mail__country="IE", hosting__agreement="own", hosting__country="NL")
    assert "in the European Economic Area" in make_report.render_text(record(news))


def test_each_change_is_an_entry_with_its_actor(database: Database, news: MailingList) -> None:
    fill_in(database, news, measures="locks")
    fill_in(database, news, measures="locks")
    entries = list(Evidence.select().where(Evidence.event == "register_changed"))
    assert [(one.actor, one.list) for one in entries] == [("user:1", "news")]
    assert RegisterNotes.select().count() == 1


def test_a_recipient_that_is_added_can_be_dropped(database: Database, news: MailingList) -> None:
    fill_in(database, news, printer__name="A Printer")
    assert "printer.country" in keys(record(news))
    fill_in(database, news, printer="")
    assert "printer.country" not in keys(record(news))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hosting.country", "Holland"),
        ("hosting.country", "EU"),
        ("hosting.agreement", "yesterday"),
        ("hosting.colour", "red"),
        ("printer", "A Printer"),
        (".name", "x"),
        ("Hosting.name", "x"),
        ("measures", "x" * 2001),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_kept(
    database: Database, news: MailingList, name: str, value: str
) -> None:
    given = {"measures": "locks", name: value} if name != "measures" else {name: value}
    with pytest.raises(Refused, match=r"measures|hosting|printer|known"):
        register_notes.set_notes(database, news, given, now=NOW, actor="user:1")
    assert not RegisterNotes.select().exists()


def test_countries_are_countries() -> None:
    known = register_notes.list_countries()
    assert set(known) >= EEA | ADEQUATE
    assert not EEA & ADEQUATE
    assert not {"EU", "ZZ", "XA", "001"} & set(known)
    words = {
        language: ReportWording(language, SETTINGS.zone) for language in report_formatting.LANGUAGES
    }
    assert [words[one].country("DE") for one in report_formatting.LANGUAGES] == [
        "Germany",
        "Duitsland",
    ]


def test_everybody_who_gets_data_is_a_recipient(database: Database, news: MailingList) -> None:
    campaign = make_campaign(database, news)
    with database.atomic():
        said = {"what": "keep", "format": "csv", "tool": "mailchimp", "rows": 1}
        chain.append(
            evidence_entries.Entry(event="exported", at=NOW, actor="x", list="news", consent=said)
        )
        row: dict[str, Any] = {"step": "keep-1", "by": "x", "at": NOW}
        HandedOver.create(campaign=campaign, tool="laposta", **row)
        for url, removed in (("https://tool.example.net/x", None), ("https://gone.example", NOW)):
            Webhook.create(url=url, secret="s", created_by="x", created_at=NOW, removed_at=removed)
        for name, scopes in (("Our tool", "read:status read:answers"), ("Monitor", "read:status")):
            ApiToken.create(name=name, digest=name, scopes=scopes, created_by="x", created_at=NOW)
    settings = make_settings(
        mail=MailServer(server="mail.host.example"),
        bounces=Bounces(protocol="imap", server="imap.elsewhere.example", username="u"),
        database="postgresql://u:secret@db.cloud.example/x",
    )
    found: list[Mapping[str, Any]] = read_document(record(news, settings))["recipients"]
    assert [(one["role"], one["name"]) for one in found] == [
        ("hosting", ""),
        ("mail", "host.example"),
        ("mailbox", "elsewhere.example"),
        ("database", "cloud.example"),
        ("tool", "Laposta"),
        ("tool", "Mailchimp"),
        ("webhook", "example.net"),
        ("api", "Our tool"),
    ]
    assert "secret" not in make_report.render_json(record(news, settings))
    assert {one["role"] for one in found} < set(ROLES)
    wording = ReportWording("en", SETTINGS.zone)
    assert len({wording.role_name(role) for role in ROLES}) == len(ROLES)


def test_a_server_of_this_machine_is_no_recipient(news: MailingList) -> None:
    settings = make_settings(mail=MailServer(server="localhost"))
    assert [one["key"] for one in read_document(record(news, settings))["recipients"]] == [
        "hosting"
    ]


def test_it_counts_whose_data_and_which_are_really_held(
    database: Database, news: MailingList
) -> None:
    make_contact(database, news, name="Anna", source="a book", language="nl")
    make_contact(database, news, status=Status.CONFIRMED, basis="answer")
    make_contact(database, news, status=Status.CUSTOMER, basis="customer")
    gone = make_removed(database, news, Reason.NO)
    erased = make_removed(database, news, Reason.NO)
    with database.atomic():
        erasure.erase_contact(
            erased,
            act=status_changes.Act(at=NOW, actor="user:1"),
            fingerprint_key=SETTINGS.fingerprint_key,
        )
        SignUp.create(list=news, uid="u", address="a@b.example", address_key="a@b.example", at=NOW)
        Reply.create(list=news, contact=gone, message_digest="d" * 64, at=NOW)
    made = record(news)
    kept = read_document(made)["held"]
    assert kept["statuses"] == {"unconfirmed": 1, "confirmed": 1, "customer": 1, "removed": 2}
    assert (kept["addresses"], kept["names"], kept["sources"]) == (5, 1, 1)
    assert (kept["erased"], kept["sign_ups"], kept["replies"]) == (1, 1, 1)
    assert "customers" in read_document(made)["legal_bases"]
    text = make_report.render_text(made)
    assert "that they wrote back" in text
    assert "also the IP address of that sign-up" in " ".join(text.split())


def test_customers_are_mailed_on_the_rule_for_customers_alone(
    database: Database, news: MailingList
) -> None:
    # CJEU C-654/23 (Inteligo Media): where Directive 2002/58/EC art. 13(2) is met, the conditions
    # of GDPR art. 6(1) do not apply beside it.
    make_contact(database, news, "shop@b.example", status=Status.CUSTOMER, basis="customer")
    text = " ".join(make_report.render_text(record(news)).split())
    assert "Directive 2002/58/EC art. 13(2) (in the Netherlands Telecommunicatiewet" in text
    assert "legitimate interest" not in text
    assert "6(1)(f)" not in text


def test_a_sensitive_list_has_to_say_how_its_impact_was_assessed(database: Database) -> None:
    mailing_list = make_list(database, slug="health", sensitive=True)
    made = record(mailing_list)
    assert "dpia" in keys(made)
    assert "art. 35" in make_report.render_text(made)
    fill_in(database, mailing_list, dpia="Made on 2 May 2026, kept by the officer")
    made = record(mailing_list)
    assert "dpia" not in keys(made)
    assert read_document(made)["dpia"] == "Made on 2 May 2026, kept by the officer"
    assert "Made on 2 May 2026, kept by the officer" in make_report.render_text(made)


def test_another_list_may_say_how_its_impact_was_assessed_and_need_not(
    database: Database, news: MailingList
) -> None:
    assert "dpia" not in keys(record(news))
    assert "Impact assessment" not in make_report.render_text(record(news))
    fill_in(database, news, dpia="Not needed: nothing sensitive")
    assert "Not needed: nothing sensitive" in make_report.render_text(record(news))


def test_a_sensitive_list_says_so(database: Database) -> None:
    news = make_list(database, sensitive=True, frequency="monthly")
    made = record(news)
    assert read_document(made)["legal_bases"][0] == "explicit_consent"
    text = make_report.render_text(made)
    assert "special categories" in text
    assert "How often" in text


def test_a_list_in_several_languages_names_each_with_its_privacy_statement(
    database: Database,
) -> None:
    mailing_list = make_list(database, slug="news", languages=(), frequency="vier keer per jaar")
    assert read_document(record(mailing_list))["texts"] == []
    german = {
        "purpose": "Neues aus unserer Praxis",
        "frequency": "viermal im Jahr",
        "privacy_url": "https://www.example.org/datenschutz",
    }
    with database.atomic():
        ListText.create(list=mailing_list, language="de", **german)
        # Nobody is mailed in a language in which something is still to be said.
        ListText.create(list=mailing_list, language="fr", purpose="Des nouvelles du cabinet")
    made = record(mailing_list)
    (table,) = [one for one in read_tables(made) if one.titles[0] == "Language"]
    assert table.titles == [
        "Language",
        "Purpose, as people read it",
        "How often",
        "Privacy statement",
    ]
    own = (mailing_list.purpose, "vier keer per jaar", mailing_list.privacy_url)
    assert table.rows == [["Dutch", *own], ["German", *german.values()]]
    first, second = read_document(made)["texts"]
    assert (first["language"], second["privacy_url"]) == ("nl", german["privacy_url"])


def test_every_term_of_the_settings_stands_there_with_its_number(news: MailingList) -> None:
    retention = Retention(evidence_years=7, trace_days=1, access_days=30)
    made = record(news, make_settings(retention=retention))
    terms = {one["key"]: (one["number"], one["unit"]) for one in read_document(made)["retention"]}
    assert set(vars(retention)) < set(terms)
    assert terms["evidence_years"] == (7, "years")
    assert terms["trace_days"] == (1, "days")
    text = make_report.render_text(made)
    assert "7 years" in text
    assert "30 days" in text


def test_sign_ups_mails_and_who_was_not_asked_have_their_terms(news: MailingList) -> None:
    made = record(news)
    terms = {one["key"]: (one["number"], one["unit"]) for one in read_document(made)["retention"]}
    assert (terms["sign_ups"], terms["mails"]) == ((30, "days"), (0, ""))
    (table,) = [one for one in read_tables(made) if one.titles[1] == "How long"]
    texts = {what: until for what, until, _ in table.rows}
    assert texts["a sign-up that nobody has confirmed"] == "30 days"
    assert texts["which mails were sent when, and what came back"] == "as long as the list exists"
    assert "unless the campaign was cancelled" in texts["who is not confirmed"]


def test_mails_to_people_are_data_that_is_held(database: Database) -> None:
    made = record(make_rich(database).mailing_list)
    document = read_document(made)["held"]
    assert document["mails"] == ASKED + 1
    text = make_report.render_text(made)
    assert "what came back (mails)" in " ".join(text.split())


def test_the_attestation_of_the_last_launch_stands_there(
    database: Database, news: MailingList
) -> None:
    assert read_document(record(news))["attest"] == ""
    campaign: Campaign = make_campaign(database, news)
    with database.atomic():
        chain.append(
            evidence_entries.Entry(
                event="launched",
                at=NOW,
                actor="x",
                list="news",
                campaign=campaign.id,
                consent={"attest": "By the board."},
            )
        )
    assert "By the board." in make_report.render_text(record(news))


def measures(news: MailingList, settings: Settings) -> dict[str, bool]:
    return {
        one["key"]: one["in_force"] for one in read_document(record(news, settings))["measures"]
    }


def check_sentences(made: Report) -> None:
    """See that each ground and each measure is told of in a sentence."""
    found = read_document(made)
    sentences = read_article(made).findall(".//ul/li")
    assert len(sentences) == len(found["legal_bases"]) + len(found["measures"])
    assert all(sentence.text for sentence in sentences)


@pytest.mark.parametrize(("mode", "is_private"), [(0o600, True), (0o640, True), (0o602, False)])
def test_whether_a_file_is_private_is_judged_as_the_check_judges(
    news: MailingList, open_folder: Path, mode: int, is_private: bool
) -> None:
    file, key, kept = (open_folder / name for name in ("config.toml", "key.txt", "repermit.db"))
    file.write_text('secret_keys_file = "key.txt"\n', "utf-8")
    for one in (file, key, kept):
        one.touch(0o600)
    settings = make_settings(path=file, database=f"sqlite:///{kept}")
    for changed, measure in (
        (file, "private_settings"),
        (key, "private_settings"),
        (kept, "private_database"),
    ):
        changed.chmod(mode)
        assert measures(news, settings)[measure] is is_private
        open_folder.chmod(0o750)
        assert measures(news, settings)[measure]
        open_folder.chmod(0o755)
        changed.chmod(0o600)
    file.write_text("half a line =", "utf-8")
    assert measures(news, settings)["private_settings"]


def test_a_measure_stands_there_only_if_it_is_in_force(
    database: Database, news: MailingList, open_folder: Path
) -> None:
    file = open_folder / "config.toml"
    file.write_text("", "utf-8")
    file.chmod(0o600)
    good = make_settings(
        path=file,
        mail=MailServer(server="smtp.example.org"),
        bounces=Bounces(protocol="imap", server="imap.example.org", username="u"),
        database=f"sqlite:///{open_folder}/absent.db",
    )
    check_sentences(record(news, good))
    # Where nobody has a password yet, nothing is said of passwords.
    assert "passwords" not in measures(news, good)
    make_user(database)
    assert set(measures(news, good).values()) == {True}
    check_sentences(record(news, good))
    file.chmod(0o644)
    database_file = open_folder / "present.db"
    database_file.write_text("", "utf-8")
    os.chmod(database_file, 0o644)  # noqa: PTH101  beside the one above
    make_user(database, password="scrypt:x", totp_secret="")
    bad = make_settings(
        path=file,
        public_url="http://ask.example.org",
        mail=MailServer(server="smtp.example.org", tls="none"),
        bounces=Bounces(protocol="imap", server="imap.example.org", tls="none", username="u"),
        database=f"sqlite:///{database_file}",
    )
    lacking = {key for key, holds in measures(news, bad).items() if not holds}
    assert lacking == {
        "passwords",
        "second_step",
        "tls_pages",
        "tls_mail",
        "tls_mailbox",
        "private_settings",
        "private_database",
    }
    check_sentences(record(news, bad))
    text = make_report.render_text(record(news, bad))
    assert "Not in force" in text
    assert "Only 1 of 2 users" in text


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "Mail is handed to a mail server on this machine."),
        ("nl", "Mail wordt aan een mailserver op deze machine gegeven."),
    ],
)
def test_a_mail_server_on_this_machine_is_not_said_to_be_reached_over_tls(
    news: MailingList, language: str, sentence: str
) -> None:
    local = make_settings(mail=MailServer(server="127.0.0.1", tls="none"))
    assert "tls_mail" not in measures(news, local)
    assert measures(news, local)["local_mail"]
    assert sentence in make_report.render_text(record(news, local, language=language))
    encrypted = make_settings(mail=MailServer(server="127.0.0.1", tls="starttls"))
    assert measures(news, encrypted)["tls_mail"]
    assert "local_mail" not in measures(news, encrypted)


def test_what_the_settings_lack_is_missing_too(database: Database) -> None:
    bare = make_list(database, slug="bare", purpose="", privacy_url="")
    nobody = make_organisation(
        name="", address="", telephone="", officer="", authority="", authority_url=""
    )
    missing = keys(record(bare, make_settings(organisation=nobody)))
    assert missing[:3] == ["organisation.name", "organisation.address", "organisation.authority"]
    assert {"list.purpose", "list.privacy_url"} < set(missing)


def test_who_took_a_paper_along_is_an_entry(database: Database, news: MailingList) -> None:
    when = NOW + timedelta(days=1)
    make_report.record_report(
        database, news, record(news), content="<p>", file_format="html", now=when, actor="user:7"
    )
    entry = Evidence.get(Evidence.event == "paper_made")
    assert (entry.actor, entry.list) == ("user:7", "news")
    assert audit_log.list_acts(what="paper_made").records[0].actor == "user:7"


@pytest.mark.parametrize("language", report_formatting.LANGUAGES)
def test_a_file_loads_nothing_and_holds_its_own_style(news: MailingList, language: str) -> None:
    page = make_report.render_page(record(news, language=language))
    assert f'<html lang="{language}"' in page
    for sign in ("<script", "<link", " src=", "@import", "url("):
        assert sign not in page
    assert "default-src 'none'; style-src 'sha256-" in page


def test_held_since_is_when_the_one_who_has_been_there_longest_came(
    database: Database, news: MailingList
) -> None:
    def since() -> Any:
        return count_held_data(news).since

    assert since() is None
    day, actor = timedelta(days=1), "user:1"
    with database.atomic():
        file = Import.create(list=news, file="a", digest="0" * 64, counts="{}", at=NOW)
    first = make_contact(database, news, imported_by=file, status_at=NOW + 2 * day)
    make_contact(database, news, status=Status.CUSTOMER, status_at=NOW - day)
    assert since() == NOW
    with database.atomic():
        chain.append(
            evidence_entries.Entry(
                event="customer", at=NOW - 3 * day, actor=actor, list="news", subject=first.subject
            )
        )
        Contact.update(imported_by=None).execute()
    assert since() == NOW - 3 * day


@pytest.mark.parametrize("kind", ReportKind)
def test_what_others_typed_is_escaped_once_in_html_and_not_in_text(
    database: Database, kind: ReportKind
) -> None:
    typed = "<b>\"Tom\" & 'Ann'</b>"
    news = make_rich(database, name=typed, purpose=typed).mailing_list
    fill_in(database, news, hosting__name=typed, measures=typed)
    settings = make_settings(organisation=make_organisation(name=typed, officer=typed))
    made = make_report.make_report(news, kind, settings=settings, now=NOW)
    page = make_report.render_page(made)
    assert "<title>" in page
    assert "&lt;b&gt;&#34;Tom&#34; &amp; &#39;Ann&#39;&lt;/b&gt;" in page
    for sign in ("<b>", "&amp;lt;", "&amp;#34;", "&amp;amp;"):
        assert sign not in page
    assert typed in make_report.render_text(made)
