"""Who gets a list's data, and where it is, as proofs and receipts say it."""

from __future__ import annotations

from dataclasses import replace

from repermit.db.connection import Database
from repermit.reports.data_recipients import describe_for_proofs
from repermit.reports.register_notes import set_notes
from repermit.settings.definitions import MailServer
from tests.support.builders import NOW, make_list, make_settings

SETTINGS = make_settings(
    database="sqlite:///x.db", mail=MailServer(server="smtp.mailer.example", preset="")
)


def test_where_nothing_was_said_the_servers_are_told_and_no_place(database: Database) -> None:
    assert describe_for_proofs(make_list(database).slug, settings=SETTINGS) == {
        "storage_locations": [],
        "recipients": ["ask.example.org (hosting)", "mailer.example (mail)"],
    }


def test_places_and_recipients_are_as_the_record_of_processing_has_them(
    database: Database,
) -> None:
    news = make_list(database)
    given = {
        "hosting.name": "Stallen BV",
        "hosting.country": "NL",
        "mail.country": "US",
        "mail.safeguard": "standard contractual clauses",
        "printer.name": "De Drukker",
        "printer.country": "BE",
        "printer.safeguard": "none is needed",
    }
    set_notes(database, news, given, now=NOW, actor="cli:0")
    assert describe_for_proofs(news.slug, settings=SETTINGS) == {
        "storage_locations": ["NL"],
        "recipients": [
            "Stallen BV (hosting), NL",
            "mailer.example (mail), US, standard contractual clauses",
            "De Drukker (other), BE",
        ],
    }


def test_the_organisation_itself_is_no_recipient(database: Database) -> None:
    news = make_list(database)
    given = {"hosting.agreement": "own", "hosting.country": "NL", "mail.agreement": "own"}
    set_notes(database, news, given, now=NOW, actor="cli:0")
    assert describe_for_proofs(news.slug, settings=SETTINGS) == {
        "storage_locations": ["NL"],
        "recipients": [],
    }


def test_a_server_without_a_name_is_told_by_its_address(database: Database) -> None:
    for server in ("192.0.2.25", "2001:db8::25"):
        settings = replace(SETTINGS, mail=MailServer(server=server, preset=""))
        news = make_list(database, slug=f"at-{len(server)}")
        told = describe_for_proofs(news.slug, settings=settings)
        assert told["recipients"][1] == f"{server} (mail)"
