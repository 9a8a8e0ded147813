"""The demonstration: played through by itself, and clicked through in a browser."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import requests
from markupsafe import escape
from werkzeug.serving import make_server

from repermit.campaigns import progress
from repermit.cli import main
from repermit.db.connection import proxy
from repermit.db.models.evidence import EvidencePart
from repermit.demo import pages, play_once, run, simulated_people
from repermit.demo.environment import SAMPLE, Demo, start_demo
from repermit.demo.inbox import ReceivedMail
from repermit.demo.play_once import expire_all, send_all_asks
from repermit.demo.run import served
from repermit.demo.simulated_people import Button, ScanResult, play, read_page, scan
from repermit.evidence import chain
from repermit.evidence.entries import Entry
from repermit.expiry import sweep
from repermit.package_files import find_asset
from repermit.rules.consent import Fate, Reason, Status
from repermit.sending import send_due
from tests.support.english_left import english_on
from tests.support.kept_processes import KeptProcesses

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def started(kept_processes: KeptProcesses) -> Iterator[Demo]:
    with ExitStack() as stack:
        with kept_processes.used():
            demo = stack.enter_context(start_demo())
        yield demo


@pytest.fixture(scope="module")
def begun_once(kept_processes: KeptProcesses) -> Iterator[Demo]:
    with started(kept_processes) as demo:
        yield demo


@pytest.fixture
def begun(begun_once: Demo) -> Demo:
    """Return a demo of which no mail has left, for tests that add to its story at most."""
    proxy.initialize(begun_once.database)
    return begun_once


@pytest.fixture(scope="module")
def sent_once(kept_processes: KeptProcesses) -> Iterator[Demo]:
    with started(kept_processes) as demo:
        send_due.send_due(demo.database, settings=demo.settings, clock=demo.clock)
        yield demo


@pytest.fixture
def sent(sent_once: Demo) -> Demo:
    """Return a demo whose mails lie in its inbox, for tests that look at them."""
    proxy.initialize(sent_once.database)
    return sent_once


def test_the_demo_played_once_ends_well_and_its_table_adds_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--once"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "every number adds up: yes" in said
    asked, audience = map(int, _found(r"The campaign: (\d+ of \d+) asked", said).split(" of "))
    assert _sum_below("asked, each once\n", said) == asked
    # One mailbox was gone and one was closed: nobody was asked there.
    assert _sum_below("Could not be asked: 2\n", said) == audience - asked == 2
    lines = Counter(line[40:49].strip() for line in said.partition("\n\n")[0].splitlines())
    assert lines["asked"] == asked
    assert lines["not asked"] == 4 + 2


def test_the_demo_played_once_speaks_the_language_of_its_list(
    begun: Demo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(begun.mailing_list, "language", "nl")
    play_once.print_result(begun)
    said = capsys.readouterr().out
    assert "niet gevraagd" in said
    assert "De campagne: 0 van " in said
    assert "Krijgt de vraag\n" in said
    assert not re.search(r"asked|stays|taken off|Who", said)


def _sum_below(title: str, said: str) -> int:
    """Return the sum of the numbers of a table."""
    block = said.partition(title)[2].partition("\n\n")[0]
    return sum(int(line.split()[0]) for line in block.splitlines())


def test_the_demo_says_so_if_a_number_does_not_add_up(
    begun: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    # Nothing has been sent or answered here, so that what was asked is not accounted for.
    assert not play_once.print_result(begun)
    assert "every number adds up: no" in capsys.readouterr().out


def test_the_sample_has_about_sixty_people_in_ten_languages_and_every_fate(begun: Demo) -> None:
    with find_asset("data/demo/list.csv").open(encoding="utf-8") as file:
        people = list(csv.DictReader(file, delimiter=";"))
    assert 55 <= len(people) <= 65
    assert {person["Language"] for person in people} == {"en", *SAMPLE["translations"]}
    assert len(SAMPLE["translations"]) == 9
    assert begun.imported.rows == len(people)
    assert all(begun.imported.fates[fate] for fate in Fate)


def test_moving_the_clock_twice_moves_it_once_and_counts_as_no_downtime() -> None:
    with start_demo() as demo:
        demo.move_to_deadline()
        there = demo.clock.now()
        demo.move_to_deadline()
        assert (demo.clock.now() - there).total_seconds() < 60
        would = sweep.preview_expiry(
            demo.database, settings=demo.settings, clock=demo.clock, chunk=10
        )
        assert would.waiting == ()


def test_readers_of_whom_the_sample_says_nothing_do_nothing() -> None:
    assert play([], late=False) == 0


@pytest.fixture
def demo_url() -> Iterator[str]:
    """Run `repermit demo` as a process of its own, and end it with Ctrl-C."""
    running = subprocess.Popen(
        [sys.executable, "-m", "repermit", "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with running:
        assert running.stdout
        said = ""
        while "Ctrl-C" not in said:
            line = running.stdout.readline()
            assert line, "the demo ended early"
            said += line
        yield _found(r"(http://127\.0\.0\.1:\d+)/\n", said)
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0


@pytest.mark.exhaustive
def test_a_stranger_answers_a_mail_and_moves_the_clock(demo_url: str, page: Page) -> None:
    page.goto(f"{demo_url}/inbox")
    while page.get_by_role("listitem").count() < 48:
        page.wait_for_timeout(200)
        page.reload()
    page.get_by_role("link", name="john.smith@example.com").click()
    frame = page.frame_locator("iframe")
    with page.expect_popup() as opened:
        frame.get_by_role("link", name=re.compile("^Yes")).click()
    answer = opened.value
    answer.get_by_role("button", name=re.compile("^Yes")).click()
    assert "recorded" in answer.get_by_role("heading", level=1).inner_text().lower()
    page.goto(f"{demo_url}/")
    lead = page.locator(".lead").inner_text()
    assert lead.startswith("48 of 50 people were asked, once; 2 could not be reached.")
    # The story goes on by itself while it is read.
    page.get_by_text("1 said Yes.").wait_for()
    page.get_by_role("button", name="Let a link scanner loose").click()
    page.get_by_text("Nothing came of it: no Yes, no No, nobody taken off.").wait_for()
    page.get_by_role("button", name="Move the clock").click()
    while "closed" not in page.locator(".lead").inner_text():
        page.wait_for_timeout(500)
        page.reload()
    removed = page.get_by_role("row", name="did not answer").inner_text()
    assert int(removed.split()[-1]) > 40


@pytest.mark.exhaustive
@pytest.mark.parametrize("width", [320, 400, 430, 540, 700, 1280])
def test_a_mail_is_shown_from_top_to_bottom_without_scrolling_inside_it(
    all_mails: dict[str, str], browser: Browser, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    for url in all_mails.values():
        page.goto(url)
        frame = page.frames[1]
        tall = frame.evaluate("document.documentElement.scrollHeight")
        assert tall <= frame.evaluate("innerHeight") <= tall + 350
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.fixture(scope="module")
def all_mails() -> Iterator[dict[str, str]]:
    """Serve the demo's pages; return where one mail of each language is."""
    with start_demo() as demo:
        send_due.send_due(demo.database, settings=demo.settings, clock=demo.clock)
        first: dict[str, str] = {}
        with _serving(demo) as url:
            for mail in demo.inbox.mails:
                language = _found('<html lang="(..)"', mail.part("html"))
                first.setdefault(language, f"{url}/inbox/{mail.number}")
            assert set(first) == {"en", *SAMPLE["translations"]}
            yield first


@contextmanager
def _serving(demo: Demo) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, pages.make_pages(demo), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def tell_story(demo: Demo) -> list[str]:
    """Return what the page of the story tells, a text for each event."""
    client = pages.make_pages(demo).test_client()
    html = client.get("/story").text
    return [" ".join(text.split()) for text in re.findall(r"<span>(.*?)</span>", html, re.DOTALL)]


@pytest.mark.exhaustive
def test_the_story_tells_a_campaign_in_the_order_of_time() -> None:
    with start_demo() as demo, served(demo):
        send_all_asks(demo)
        play(demo.inbox.mails, late=False)
        demo.move_to_deadline()
        expire_all(demo)
        told = tell_story(demo)
    assert [text.partition(" ")[0] for text in told] == ("The The 48 One 18 The 21 The".split()), (
        told
    )
    assert told[0].startswith("The list was described, and a file of 61 rows read. 50 people")
    assert told[4] == "18 said Yes and 9 said No."
    assert told[-1] == "The campaign closed. The chain of evidence holds: yes."


def test_that_the_admins_pages_are_opened_is_no_event_of_the_story(begun: Demo) -> None:
    told = tell_story(begun)
    pages.begin_admin_session(begun)
    assert tell_story(begun) == told


def test_what_people_do_with_their_data_is_in_the_story_too(begun: Demo) -> None:
    with begun.database.atomic():
        for event in ("corrected", "corrected", "still_mailed"):
            chain.append(Entry(event=event, at=begun.clock.now(), actor="person", list="linde"))
    told = tell_story(begun)
    assert told[-2:] == [
        "Somebody corrected what is held about them.",
        "Unsubscribed, though nothing was held here any more.",
    ]


@pytest.mark.exhaustive
def test_a_scanner_that_presses_everything_gives_nobody_a_yes() -> None:
    with start_demo() as demo, served(demo):
        send_all_asks(demo)
        few = demo.inbox.mails[:3]
        looked, pressed = scan(few, presses=False), scan(few, presses=True)
        status = progress.read_status(
            demo.mailing_list, settings=demo.settings, now=demo.clock.now()
        )
    assert looked.mails == pressed.mails == 3
    assert looked.pages >= 6
    assert looked.presses == 0
    assert pressed.presses >= 6
    # Two had opted in before.
    assert status.contacts[Status.CONFIRMED] == 2
    assert status.removed[Reason.NO] == 3


def test_a_scanner_follows_what_a_page_links_to_on_its_own_host_alone() -> None:
    with start_demo() as demo, served(demo):
        send_all_asks(demo)
        link = demo.inbox.mails[0].links["yes"]
        mail = ReceivedMail(1, "", "jan@example.org", f"Subject: x\r\n\r\n{link}\r\n".encode())
        did = scan([mail], presses=False)
        missing = simulated_people.get(f"{demo.settings.public_url}/nothing-is-here")
    assert 1 < did.pages <= 4
    assert "<h1" in missing


def test_a_mail_without_links_leads_a_scanner_nowhere() -> None:
    mail = ReceivedMail(1, "", "jan@example.org", b"Subject: Your receipt\r\n\r\nThank you.\r\n")
    assert scan([mail], presses=True) == ScanResult(1, 0, 0)


def test_what_came_of_a_scanner_is_told(begun: Demo) -> None:
    own = pages.make_pages(begun).test_client()
    assert own.post("/scan", data={"presses": "yes"}).status_code == 303
    assert "A scanner read 0 mails" in own.get("/story").text
    begun.note("scanned", mails=3, pages=9, presses=0, yes=0, no=0)
    assert tell_story(begun)[-1] == (
        "A scanner read 3 mails, opened 9 pages. "
        "Nothing came of it: no Yes, no No, nobody taken off."
    )
    begun.note("scanned", mails=3, pages=9, presses=6, yes=0, no=3)
    assert tell_story(begun)[-1] == (
        "A scanner read 3 mails, opened 9 pages, pressed 6 buttons. "
        "0 Yes and 3 No came of it; each No can be taken back by its reader."
    )


def test_a_program_finds_the_links_and_the_buttons_of_a_page() -> None:
    found = read_page(
        """<a href="/no/x">No</a><a name="here"></a><form method="get"><button>Look</button></form>
        <form method="post" action="/yes/x"><input type="hidden" name="a" value="1"><input name="b">
        <button>Yes</button><button name="c" value="2">Yes, again</button></form>""",
        "https://ask.example.org/yes/x?lang=nl",
    )
    assert found.links == ("https://ask.example.org/no/x",)
    assert found.buttons == (
        Button("https://ask.example.org/yes/x", {"a": "1"}),
        Button("https://ask.example.org/yes/x", {"a": "1", "c": "2"}),
    )


# --- How mail programs show a mail. --------------------------------------------------------------

MAIL = """<html style="color-scheme: light dark"><head>
<meta name="color-scheme" content="light dark">
<style>p { max-width: 600px; color: red; border-radius: 6px }
@media (prefers-color-scheme: dark) { p { color: blue } }</style></head><body>
<!--[if mso]><table width="600"><![endif]--><!--[if !mso]><!--><div class="soft"><!--<![endif]-->
<img src="x" alt="De Linde"><img src="y"></body></html>"""


def shown(key: str, *, dark: bool = False, images: bool = True) -> str:
    return pages.show_in_client(MAIL, pages.find_client(key), dark=dark, images=images)


def test_a_mail_has_its_own_dark_colours_only_where_a_program_knows_of_them() -> None:
    assert "@media all" in shown("apple", dark=True)
    assert 'content="dark"' in shown("apple", dark=True)
    assert "@media not all" in shown("apple")
    for key in ("gmail-phone", "outlook"):
        assert "@media all" not in shown(key, dark=True)
        assert "invert(1)" in shown(key, dark=True)
        assert "invert(1)" not in shown(key)
    assert shown("gmail", dark=True) == shown("gmail")
    assert 'content="light"' in shown("gmail", dark=True)


def test_word_reads_its_own_part_and_knows_few_properties() -> None:
    word, other = shown("outlook"), shown("gmail")
    assert '<table width="600">' in word.replace("<!--[if mso]>", "MISSED")
    assert "[if" not in word
    assert "soft" not in word
    assert "max-width" not in word
    assert "border-radius" not in word
    assert "color: red" in word
    assert "@media" not in word
    assert "[if mso]" in other
    assert "max-width" in other


def test_without_images_their_words_stand_in_their_place() -> None:
    assert pages.count_images(MAIL) == 2
    assert pages.count_images(shown("gmail", images=False)) == 0
    assert "<span>De Linde</span></body>" in shown("gmail", images=False)


@pytest.mark.exhaustive
def test_the_page_of_a_mail_offers_each_program_and_shows_the_mail_as_it_does(sent: Demo) -> None:
    own = pages.make_pages(sent).test_client()
    text = own.get("/inbox/1?client=outlook&dark=yes&images=no").text
    framed = _found('<iframe[^>]* src="([^"]+)"', text).replace("&amp;", "&")
    assert framed == "/inbox/1/html?client=outlook&dark=yes&images=no"
    assert "invert(1)" in own.get(framed).text
    assert "invert(1)" not in own.get("/inbox/1/html").text
    for client in pages.CLIENTS:
        assert client.name in text
    assert "?client=outlook&amp;images=no" in text
    assert "The mail has no images" in text
    assert own.get("/inbox/1?client=unheard").status_code == 200


def test_the_text_of_a_mail_has_its_links_and_does_not_write_to_part_of_an_address(
    sent: Demo,
) -> None:
    text = pages.make_pages(sent).test_client().get("/inbox/1").text
    mail = sent.inbox.mails[0]
    assert "…" in mail.part("plain")
    shown = _found("(?s)<pre>(.*)</pre>", text)
    assert "mailto:" not in shown
    for url in mail.links.values():
        assert f'<a href="{url}" target="_blank" rel="noopener">{url}</a>' in shown
    assert re.sub("<[^>]+>", "", shown).strip() == str(escape(mail.part("plain"))).strip()


def test_its_pages_are_dutch_for_whoever_reads_dutch(sent: Demo) -> None:
    client = pages.make_pages(sent).test_client()
    number = next(one.number for one in sent.inbox.mails if 'lang="nl"' in one.part("html"))

    def look(path: str) -> str:
        html = client.get(path, headers={"Accept-Language": "nl-NL,en;q=0.5"}).text
        assert '<html lang="nl">' in html
        # What a mail holds and its headers are as they are.
        return re.sub(r'(?s)<ul class="mails">.*</ul>|<dl.*</dl>', "", html)

    for presses in (0, 6):
        sent.note("scanned", mails=3, pages=9, presses=presses, yes=0, no=presses)
    shown = [look(path) for path in ("/", "/inbox", f"/inbox/{number}")]
    sent.move_to_deadline()
    shown.append(look("/"))
    for html in shown:
        assert english_on(html, "nl") == []
    assert "Nieuws van De Linde: een campagne" in shown[0]
    assert "De demonstratieklok staat op" in shown[0]


def test_the_pages_before_anything_has_come_in_and_for_what_is_not_there(begun: Demo) -> None:
    client = pages.make_pages(begun).test_client()
    assert "Nothing yet" in client.get("/inbox").text
    assert "still on their way" in client.get("/").text
    assert client.get("/inbox/1").status_code == 404
    assert client.get("/inbox/0/html").status_code == 404


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]


def test_a_button_opens_the_admins_pages_already_logged_in() -> None:
    with start_demo() as demo, served(demo):
        base = demo.settings.public_url
        with requests.Session() as visitor:
            assert "Open the admin’s pages" in visitor.get(f"{base}/", timeout=10).text
            assert visitor.get(f"{base}/admin/", timeout=10).url == f"{base}/admin/login"
            page = visitor.post(f"{base}/enter", timeout=10)
            assert page.url == f"{base}/admin/"
            assert "De Linde health centre" in page.text
            assert 'href="/admin/new-list"' in page.text
            # A second press finds the same admin.
            visitor.post(f"{base}/enter", timeout=10).raise_for_status()
            people = visitor.get(f"{base}/admin/people", timeout=10)
            assert people.text.count("admin@example.org") >= 1
            assert visitor.get(f"{base}/enter", timeout=10).status_code == 405


def test_who_has_opened_the_admins_pages_is_still_in_them_at_the_deadline() -> None:
    with start_demo() as demo, served(demo):
        base = demo.settings.public_url
        with requests.Session() as visitor:
            visitor.post(f"{base}/enter", timeout=10).raise_for_status()
            visitor.post(f"{base}/clock", timeout=10).raise_for_status()
            assert visitor.get(f"{base}/admin/", timeout=10).url == f"{base}/admin/"


def test_a_demo_in_dutch_has_dutch_names() -> None:
    with start_demo("nl") as demo:
        assert demo.mailing_list.language == "nl"
        assert demo.mailing_list.name == "Nieuws van De Linde"
        assert demo.mailing_list.sender == "Huisartsenpraktijk De Linde <news@example.org>"
        assert demo.settings.organisation.name == "Huisartsenpraktijk De Linde"
        assert demo.imported.rows
        kept = [json.loads(one.json) for one in EvidencePart.select()]
        (facts,) = [one for one in kept if "told_in" in one]
        assert facts["attest"].startswith("Besloten door het bestuur van De Linde")
        assert facts["told_in"] == "nl"
        assert facts["accepted"][0]["found"].startswith("127.0.0.1 is deze machine")
        # Whoever reads English is still asked in English.
        send_all_asks(demo)
        english = [one for one in demo.inbox.mails if 'lang="en"' in one.part("html")]
        assert all("News from De Linde" in one.part("html") for one in english)
        assert english


def test_the_command_says_where_to_look_in_its_language(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "_make_server", lambda _: SimpleNamespace(run=lambda: None))
    monkeypatch.setenv("LC_ALL", "nl_NL.UTF-8")
    with pytest.raises(SystemExit):
        main(["demo"])
    said = capsys.readouterr().out
    assert "Op deze machine loopt een campagne" in said
    assert "A campaign is running" not in said
