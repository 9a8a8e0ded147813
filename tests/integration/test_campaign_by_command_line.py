"""A whole campaign by the command line, from a file to the files that are handed over."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import ATTEST, Desk, links_of
from tests.support.inbox import Inbox
from tests.support.public_pages import answer_by

FILE = (
    "E-mail;Naam;Taal;Status;Klant",
    "yes@example.org;Yara Yes;nl;;",
    "no@example.org;Noor No;en;;",
    "phone@example.org;Fons Phone;de;;",
    "mind@example.org;Mina Mind;fr;;",
    "silent@example.org;Silas Silent;nl;;",
    "gone@example.org;Guus Gone;nl;;",
    "full@example.org;Fay Full;nl;;",
    "info@example.org;;nl;;",
    "left@example.org;Leo Left;nl;unsubscribed;",
    "customer@example.org;Cas Klant;nl;;ja",
    "YES@example.org;Yara Yes;nl;;",
    "nobody;;;;",
)
# What servers say of two of them: there is no such mailbox, and this one is full.
REPLIES = {
    "gone@example.org": "550 5.1.1 no such user",
    "full@example.org": "552 5.2.2 mailbox full",
}
CUSTOMERS = "Each bought a course from us, was told of the news then and could say no."


def test_a_whole_campaign(tmp_path: Path, database_url: str, inbox: Inbox) -> None:
    desk = Desk(tmp_path, database_url=database_url, inbox=inbox)
    imported = _prepare(desk)
    assert imported["rows"] == sum(imported["fates"].values()) == 12

    inbox.reply_to_rcpt = REPLIES.get
    launched = desk.run(
        "launch", "news", "--deadline", "2026-03-30", "--attest", ATTEST, "--wait", "--json"
    ).document
    assert launched["asked"] == imported["fates"]["ask"] + imported["fates"]["role"] == 8
    assert launched["mails"]["ask"]["sent"] == len(inbox.wait_for(6)) == 6

    _answer(desk, inbox)
    _close(desk)
    _hand_over(desk, launched["asked"])
    with desk.database():
        assert list(iter_chain_faults()) == []


def _prepare(desk: Desk) -> dict[str, Any]:
    """Describe the list, look at the file, take it in, look at the mail."""
    desk.do(
        *("list", "add", "news", "--name", "Nieuws", "--language", "nl"),
        *("--purpose", "Nieuws over onze praktijk, vier keer per jaar"),
        *("--privacy-url", "https://www.example.org/privacy"),
        *("--sender", "Praktijk De Linde <nieuws@example.org>"),
    )
    file = ("import", "news", desk.file(*FILE), "--attest", CUSTOMERS, "--json")
    dry = desk.run(*file, "--dry-run").document
    imported: dict[str, Any] = desk.run(*file).document
    assert imported == dry
    assert "Nieuws" in desk.do("preview", "news")
    return imported


def _answer(desk: Desk, inbox: Inbox) -> None:
    """Let people answer by page, by one click, by phone, and change their mind."""
    links = {mail.rcpt_tos[0].partition("@")[0]: links_of(mail) for mail in inbox.mails}
    desk.clock.advance(timedelta(days=3))
    with desk.pages() as client:
        for path in (link for of_one in links.values() for link in of_one.values()):
            assert client.get(path).status_code == 200
            assert client.head(path).status_code == 200
    unchanged = desk.run("status", "news", "--json").document
    assert unchanged["contacts"]["unconfirmed"] == 7
    with desk.pages() as client:
        presses = (links["yes"]["yes"], links["info"]["yes"], links["mind"]["no"])
        for path in (*presses, links["mind"]["yes"]):
            # People open one link, when the filter before their mailbox is through with all.
            desk.clock.advance(timedelta(minutes=2))
            assert answer_by(client, path).status_code == 200
        one_click = {"List-Unsubscribe": "One-Click"}
        assert client.post(links["no"]["no"], data=one_click).status_code == 200
    desk.do("answer", "news", "phone@example.org", "yes", "--note", "by phone, to Anna")


def _close(desk: Desk) -> None:
    """Move to the deadline, and expire what the pages' downtime lets expire."""
    assert desk.run("expire", "news", "--json").document == {"removed": 0, "unasked": 0}
    desk.clock.move_to(datetime(2026, 3, 30, 22, 0, tzinfo=UTC))
    assert "were down" in desk.run("expire", "news").err
    decided = ("expire", "news", "--despite-downtime", "--json")
    assert desk.run(*decided, "--dry-run").document == {"removed": 1, "unasked": 1}
    assert desk.run(*decided).document == {"removed": 1, "unasked": 1}
    assert desk.run("expire", "--json").document == {"removed": 0, "unasked": 0}


def _hand_over(desk: Desk, asked: int) -> None:
    """See who stays and who goes; every number adds up."""
    status = desk.run("status", "news", "--json").document
    assert status["campaign"]["state"] == "closed"
    rows = {what: _rows(desk, what) for what in ("keep", "removed", "unasked")}
    assert rows["keep"] == {
        "yes@example.org": "answer",
        "phone@example.org": "answer",
        "mind@example.org": "answer",
        "info@example.org": "answer",
        "customer@example.org": "customer",
    }
    assert rows["removed"] == {
        "no@example.org": "no",
        "silent@example.org": "no_response",
        "gone@example.org": "bounce",
    }
    assert list(rows["unasked"]) == ["full@example.org"]
    contacts = status["contacts"]
    assert contacts["confirmed"] + contacts["customer"] == len(rows["keep"])
    assert contacts["removed"] == sum(status["removed"].values()) == len(rows["removed"])
    assert contacts["unconfirmed"] == status["unasked"] == len(rows["unasked"])
    assert sum(status["mails"]["ask"].values()) == asked == sum(contacts.values()) - 1
    _reconcile(desk)


def _rows(desk: Desk, what: str) -> dict[str, str]:
    """Return each address of an export, with its basis or reason."""
    table = csv.DictReader(io.StringIO(desk.do("export", "news", what)))
    return {row["address"]: row.get("basis") or row["reason"] for row in table}


def _reconcile(desk: Desk) -> None:
    """Do what the steps say, and find that nothing is amiss any more."""
    there = [row.split(";")[0] for row in FILE[1:-2]]
    first = desk.run("reconcile", "news", desk.file("E-mail", *there), "--json").document
    wrong = {one["address"] for one in first["should_not_be_there"]}
    assert wrong == {
        "no@example.org",
        "silent@example.org",
        "gone@example.org",
        "left@example.org",
    }
    kept = desk.folder / "keep.csv"
    for tool in ("mailchimp", "laposta", "brevo", "mailerlite", "outlook"):
        desk.do("export", "news", "keep", "--for", tool, "-o", str(kept))
        document = desk.run("reconcile", "news", str(kept), "--json").document
        assert (document["rows"], document["agree"]) == (5, 5), tool
        assert document["should_not_be_there"] == document["missing"] == []
