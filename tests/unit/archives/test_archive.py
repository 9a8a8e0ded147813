"""The archive of a list: what is in it, that its proofs hold, and what old links then show."""

from __future__ import annotations

import csv
import gc
import hashlib
import io
import json
import re
import shutil
import stat
import sys
import tracemalloc
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit import email_address
from repermit.archives import make_archive
from repermit.db.connection import Database, chunks, open_database
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.lists import MailingList
from repermit.evidence.verify import evidence_export
from repermit.evidence.verify import proof as verify_proof
from repermit.rules.consent import Reason, Status
from repermit.signed_links import KINDS, Links
from tests.support import independent_verifier
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.public_pages import freeze_wording

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = [f"person{number}@bücher.example" for number in range(70)]


@pytest.fixture(scope="module")
def closed_folder(tmp_path_factory: pytest.TempPathFactory, ready_sqlite: Path) -> Path:
    """Return the folder of a desk whose campaign has closed: 70 said Yes, the others did not."""
    folder = tmp_path_factory.mktemp("closed")
    with Inbox() as inbox:
        url = f"sqlite:///{shutil.copy(ready_sqlite, folder)}"
        desk = Desk(folder, database_url=url, inbox=inbox)
        desk.add_news(language="nl")
        with desk.news() as (database, mailing_list):
            campaign = make_campaign(database, mailing_list)
            freeze_wording(database, campaign, mailing_list, "nl")
            for address in (*NAMES, "gone@example.org", "silent@example.org"):
                make_asked(database, mailing_list, campaign, address)
            make_removed(database, mailing_list, Reason.NO, "left@example.org")
            make_contact(database, mailing_list, "odd@example.org", status=Status.CONFIRMED)
        for address in NAMES:
            desk.do("answer", "news", address, "yes", "--note", "by phone, to Els")
        desk.do("forget", "news", "gone@example.org")
        with desk.news() as (database, _), database.atomic():
            Campaign.update(state="closed", closed_at=NOW).execute()
    return folder


@pytest.fixture
def closed(desk: Desk, closed_folder: Path) -> Desk:
    """Return such a desk an hour later."""
    desk.take_over(closed_folder)
    desk.clock.advance(timedelta(hours=1))
    return desk


def unpacked(path: Path) -> dict[str, str]:
    """Return the files of an archive by name; each is sound, and for its owner alone."""
    with zipfile.ZipFile(path) as opened:
        assert opened.testzip() is None
        assert {one.external_attr >> 16 for one in opened.infolist()} == {0o100600}
        return {name: opened.read(name).decode() for name in opened.namelist()}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_archive_holds_all_that_is_to_outlast_the_server(closed: Desk) -> None:
    path = closed.folder / "news.zip"
    said = closed.do("archive", "news", "-o", str(path))
    found = unpacked(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said
    for line in (
        "71 who may be mailed, 1 who were removed, 1 who could not be asked",
        "2 suppressions, as fingerprints",
        "72 proofs, up to entry",
        "No proof, since the record says nothing of them: 1",
        "so that the address is held no longer: 1 more",
        "Once the server is switched off, these no longer work:",
        "1. No by one press",
        "Read the mail to praktijk@example.org",
        "Have site/ shown where https://ask.example.org was",
    ):
        assert line in said, line
    assert {one["address"] for one in rows(found["keep.csv"])} >= set(NAMES)
    assert [one["address"] for one in rows(found["removed.csv"])] == ["left@example.org"]
    assert [one["address"] for one in rows(found["unasked.csv"])] == ["silent@example.org"]
    assert {one["reason"] for one in rows(found["suppressions.csv"])} == {"no", "request"}
    assert json.loads(found["report.json"])["people"]["asked"] == 72
    assert json.loads(found["register.json"])["list"] == "news"
    assert all("<!doctype html>" in found[f"{one}.html"] for one in ("report", "register"))
    # Whoever was erased stands in none of it, and no name of a file is an address.
    assert not any("gone@" in text for text in found.values())
    assert not any("@" in name for name in found)
    evidence = json.loads(found["evidence.json"])
    checkpoint = json.loads(found["checkpoint.json"])
    last = evidence["entries"][-1]["entry"]
    assert (last["event"], last["seq"]) == ("archived", checkpoint["seq"])
    assert evidence["checkpoint"] == checkpoint
    assert not evidence_export.check_export(io.BytesIO(found["evidence.json"].encode())).faults
    with closed.database():
        entry = Evidence.get(Evidence.event == "archived")
        assert entry.actor.startswith("cli:")
        told = EvidencePart.get(EvidencePart.seq == entry.seq)
        assert json.loads(told.json)["rows"] == 72
        assert [(one.act, one.list) for one in Access.select()] == [("archived", "news")]
        assert list(iter_chain_faults()) == []
    # Somebody who is forgotten later is told of it.
    forgotten = closed.do("forget", "news", NAMES[0])
    assert "the export `archive` of Monday 2 March 2026, 11:00, zip, 72 rows" in forgotten


def test_each_proof_holds_offline_under_the_one_checkpoint(closed: Desk) -> None:
    path = closed.folder / "news.zip"
    closed.do("archive", "news", "-o", str(path))
    found = unpacked(path)
    whose = rows(found["proofs/index.csv"])
    assert [one["address"] for one in whose] == [*NAMES, "left@example.org"]
    checkpoint = json.loads(found["checkpoint.json"])
    for one in whose:
        text = found[f"proofs/{one['folder']}/proof.json"]
        document = json.loads(text)
        independent_verifier.check(text.encode())
        assert not verify_proof.check_proof(text.encode()).faults
        assert document["checkpoint"] == checkpoint
        people = [*NAMES, "left@example.org"]
        named = [name for name in people if f'"{name.partition("@")[0]}@' in text]
        assert named == [one["address"]]
        assert one["folder"] == document["statement"]["subject"]
        assert one["folder"] in found[f"proofs/{one['folder']}/proof.html"]
    # As a third party has it: neither settings nor database.
    closed.config.unlink()
    proof = closed.file(found[f"proofs/{whose[0]['folder']}/proof.json"], name="proof.json")
    kept = closed.file(found["checkpoint.json"], name="checkpoint.json")
    said = closed.do("verify", proof, "--checkpoint", kept)
    assert "It agrees with your checkpoint" in said
    assert "by phone, to Els" in said
    # Neither the last entry nor anything else of it can be changed.
    changes: list[Any] = [
        lambda it: it["last"]["entry"].update(actor="cli:mallory"),
        lambda it: it["last"]["parts"].update(consent={"salt": "0" * 32, "content": {}}),
        lambda it: it.pop("last"),
        lambda it: it.update(last=it["seal"]),
        lambda it: it.update(previous="0" * 64),
    ]
    for change in changes:
        document = json.loads(found[f"proofs/{whose[0]['folder']}/proof.json"])
        change(document)
        octets = json.dumps(document).encode()
        assert verify_proof.check_proof(octets).faults
        with pytest.raises((ValueError, KeyError)):
            independent_verifier.check(octets)


def test_who_was_erased_has_a_proof_that_only_their_fingerprint_finds(closed: Desk) -> None:
    path = closed.folder / "news.zip"
    closed.do("archive", "news", "-o", str(path))
    found = unpacked(path)
    print_ = email_address.fingerprint(make_settings().fingerprint_key, "gone@example.org")
    (folder,) = (
        one["subject"] for one in rows(found["suppressions.csv"]) if one["fingerprint"] == print_
    )
    text = found[f"proofs/{folder}/proof.json"]
    independent_verifier.check(text.encode())
    events = [one["entry"]["event"] for one in json.loads(text)["statement"]["entries"]]
    assert events == ["removed", "erased"]
    assert folder not in {one["folder"] for one in rows(found["proofs/index.csv"])}


def test_who_was_erased_and_came_back_has_one_proof(closed: Desk) -> None:
    with closed.news() as (database, mailing_list):
        gone = Contact.get(Contact.erased_at.is_null(is_null=False))
        back = make_contact(database, mailing_list, "gone@example.org", status=Status.CONFIRMED)
        with database.atomic():
            Contact.update(subject=gone.subject, has_predecessor=True).where(
                Contact.id == back.id
            ).execute()
    path = closed.folder / "news.zip"
    closed.do("archive", "news", "-o", str(path))
    with zipfile.ZipFile(path) as opened:
        names = [one for one in opened.namelist() if gone.subject in one]
    assert sorted(names) == [f"proofs/{gone.subject}/proof.{end}" for end in ("html", "json")]


@pytest.mark.exhaustive
def test_after_a_cancel_the_duty_is_true_of_who_had_not_answered(closed: Desk) -> None:
    with closed.news() as (database, _), database.atomic():
        Campaign.update(state="cancelled").execute()
    path = closed.folder / "news.zip"
    closed.do("archive", "news", "-o", str(path))
    found = unpacked(path)
    assert not rows(found["unasked.csv"])
    assert "iedereen die niet in keep.csv staat" in " ".join(found["README.txt"].split())


def test_nothing_is_written_over_and_nothing_while_people_may_answer(closed: Desk) -> None:
    path = closed.folder / "news.zip"
    path.write_text("another")
    assert "exists already" in closed.refused("archive", "news", "-o", str(path))
    assert path.read_text() == "another"
    assert "-o " in closed.misused("archive", "news", "-o", str(closed.folder / "news.tar"))
    with closed.news() as (database, _), database.atomic():
        Campaign.update(state="paused").execute()
    other = closed.folder / "other.zip"
    reason = closed.refused("archive", "news", "-o", str(other))
    assert "the campaign on news is paused" in reason
    assert not other.exists()
    with closed.database():
        assert not Evidence.select().where(Evidence.event == "archived").exists()


def test_a_list_without_a_campaign_has_no_report_and_the_others_are_named(desk: Desk) -> None:
    desk.add_news(language="de")
    with desk.database() as database:
        make_list(database, slug="club")
    path = desk.folder / "news.zip"
    said = desk.do("archive", "news", "-o", str(path))
    assert "No report, since there was no campaign" in said
    assert "It serves other lists too, which end with it: club." in said
    found = unpacked(path)
    assert "report.html" not in found
    assert rows(found["proofs/index.csv"]) == []
    text = found["README.txt"]
    assert "Archiv der Liste" in text
    assert "report" not in text
    # Every other file that is there is told.
    told = {name.partition("/")[0].partition(".")[0] for name in found} - {"README"}
    assert all(re.search(rf"^  {one}\b", text, re.MULTILINE) for one in told), told


@pytest.mark.parametrize("base", ["", "/vraag"])
def test_servers_give_the_page_to_every_old_link_and_to_nothing_else(desk: Desk, base: str) -> None:
    desk.add_news()
    text = desk.config.read_text("utf-8")
    desk.config.write_text(text.replace("//ask.example.org", f"//ask.example.org{base}"), "utf-8")
    path = desk.folder / "news.zip"
    desk.do("archive", "news", "-o", str(path))
    found = unpacked(path)
    (place,) = re.findall(r"location ~ (\S+)", found["site/nginx.conf"])
    _, rule = re.findall(r"RewriteRule (\S+)", found["site/apache.conf"])
    redirects = [line.split() for line in found["site/_redirects"].splitlines()]
    links = Links("", make_settings().secret_keys)
    for kind in KINDS:
        link = f"{base}/{kind}/{links.token(kind, 'a' * 32)}"
        assert re.search(place, link), link
        assert re.search(rule, link), link
        assert [f"{base}/{kind}/*", f"{base}/index.html", "200"] in redirects
    assert re.search(place, f"{base}/join/news")
    assert not any(re.search(one, f"{base}/nothing") for one in (place, rule))
    assert found["site/404.html"] == found["site/index.html"]


@pytest.mark.exhaustive
def test_the_page_of_old_links_is_read_on_a_phone_and_loads_nothing(desk: Desk, page: Page) -> None:
    desk.add_news(language="nl", sensitive=True)
    path = desk.folder / "news.zip"
    desk.do("archive", "news", "-o", str(path))
    html = unpacked(path)["site/index.html"]
    # It says of nobody which list it was.
    assert "Nieuws" not in html
    assert "<script" not in html
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.set_viewport_size({"width": 320, "height": 640})
    file = desk.folder / "index.html"
    file.write_text(html, "utf-8")
    page.goto(file.as_uri())
    assert said == []
    assert {one.partition(":")[0] for one in asked} <= {"file", "data"}
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # The style is in force: the policy names its digest.
    assert page.locator("header").evaluate("it => getComputedStyle(it).display") == "flex"
    headings = page.locator("h1").all_inner_texts()
    assert headings == [
        "Deze vraag is gesloten",
        "Diese Frage ist abgeschlossen",
        "This question is closed",
        "Cette question est close",
    ]
    mailto = page.locator("section#nl a[href^=mailto]").get_attribute("href")
    assert mailto == "mailto:praktijk@example.org?subject=Stuur%20mij%20geen%20mails%20meer"
    text = page.locator("section#nl").inner_text()
    for words in ("+31 30 123 45 67", "Lindelaan 1", "privacy@example.org"):
        assert words in text


class Full(io.BytesIO):
    """A disk that is full after some ten thousand bytes, and has room again later."""

    def __init__(self) -> None:
        super().__init__()
        self.was_full = False

    def write(self, data: Any) -> int:
        if not self.was_full and self.tell() > 10_000:
            self.was_full = True
            raise OSError("full")
        return super().write(data)


@pytest.mark.exhaustive
@pytest.mark.parametrize("is_closed", [True, False])
def test_of_one_that_fails_nothing_more_is_written_or_said(
    closed: Desk, monkeypatch: pytest.MonkeyPatch, *, is_closed: bool
) -> None:
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    out = Full()
    asked: dict[str, Any] = {"settings": closed.settings, "now": closed.clock.now()}
    with closed.news() as (database, news), pytest.raises(OSError, match="full"):
        make_archive.archive(news, database=database, out=out, actor="cli:els", **asked)
    written = out.getvalue()
    if is_closed:
        out.close()
    gc.collect()
    assert ignored == []
    assert is_closed or out.getvalue() == written
    # Without this nobody takes a ZIP for whole.
    has_end = b"PK\x05\x06" in written
    assert not has_end


class Nowhere(io.RawIOBase):
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


def peak_of_archiving(database: Database, mailing_list: MailingList) -> int:
    """Return how many bytes of memory making an archive took at most."""
    asked: dict[str, Any] = {"settings": make_settings(), "now": NOW, "actor": "cli:els"}
    tracemalloc.start()
    try:
        make_archive.archive(mailing_list, database=database, out=Nowhere(), **asked)  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.exhaustive
def test_memory_stays_flat_however_many_are_suppressed(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        mailing_list = make_list(database)
        # What is kept for the next one, such as templates, comes with the first.
        peak_of_archiving(database, mailing_list)
        before = peak_of_archiving(database, mailing_list)
        many = [
            {
                "list": mailing_list.id,
                "fingerprint": f"{number:064x}",
                "subject": f"{number:032x}",
                "reason": "no",
                "at": NOW,
            }
            for number in range(20_000)
        ]
        with database.atomic():
            for some in chunks(many, 1_000):
                Suppression.insert_many(some).execute()
        del many
        # A page of rows takes two megabytes; held all at once, these would take fourteen.
        assert peak_of_archiving(database, mailing_list) < before + 4_000_000
