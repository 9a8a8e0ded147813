"""The demonstration: played through by itself, and clicked through in a browser."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from markupsafe import escape
from werkzeug.serving import make_server

from repermit import delivery, expiry
from repermit.cli import main
from repermit.consent import Fate
from repermit.demo import pages, sample, telling
from repermit.demo.playing import play
from repermit.demo.stage import set_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from repermit.demo.stage import Stage


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


def _sum_below(title: str, said: str) -> int:
    """Return the sum of the numbers of a table."""
    block = said.partition(title)[2].partition("\n\n")[0]
    return sum(int(line.split()[0]) for line in block.splitlines())


def test_the_demo_says_so_if_a_number_does_not_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    with set_stage() as stage:
        # Nothing has been sent or answered here, so that what was asked is not accounted for.
        assert not telling.tell(stage)
        assert "every number adds up: no" in capsys.readouterr().out


def test_the_sample_has_about_sixty_people_in_four_languages_and_every_fate() -> None:
    people = sample.people()
    assert 55 <= len(people) <= 65
    assert {person.language for person in people} == {"nl", "en", "de", "fr"}
    with set_stage() as stage:
        assert stage.imported.rows == len(people)
        assert all(stage.imported.fates[fate] for fate in Fate)


def test_moving_the_clock_twice_moves_it_once_and_counts_as_no_downtime() -> None:
    with set_stage() as stage:
        stage.move_to_deadline()
        there = stage.clock.now()
        stage.move_to_deadline()
        assert (stage.clock.now() - there).total_seconds() < 60
        would = expiry.would_expire(
            stage.database, settings=stage.settings, clock=stage.clock, chunk=10
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
    page.get_by_role("button", name="Move the clock").click()
    while "closed" not in page.locator(".lead").inner_text():
        page.wait_for_timeout(500)
        page.reload()
    removed = page.get_by_role("row", name="no response").inner_text()
    assert int(removed.split()[-1]) > 40


@pytest.mark.parametrize("width", [320, 400, 430, 540, 700, 1280])
def test_a_mail_is_shown_from_top_to_bottom_without_scrolling_inside_it(
    all_mails: dict[str, str], browser: Browser, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800})
    for url in all_mails.values():
        page.goto(url)
        frame = page.frames[1]
        tall = frame.evaluate("document.documentElement.scrollHeight")
        assert tall <= frame.evaluate("innerHeight") <= tall + 250
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.fixture(scope="module")
def all_mails() -> Iterator[dict[str, str]]:
    """Serve the demo's pages; return where one mail of each language is."""
    with set_stage() as stage:
        delivery.send_due(stage.database, settings=stage.settings, clock=stage.clock)
        first: dict[str, str] = {}
        with _serving(stage) as url:
            for mail in stage.inbox.mails:
                language = _found('<html lang="(..)"', mail.part("html"))
                first.setdefault(language, f"{url}/inbox/{mail.number}")
            assert set(first) == {"nl", "en", "de", "fr"}
            yield first


@contextmanager
def _serving(stage: Stage) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, pages.make_pages(stage), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_the_text_of_a_mail_has_its_links_and_does_not_write_to_part_of_an_address() -> None:
    with set_stage() as stage:
        delivery.send_due(stage.database, settings=stage.settings, clock=stage.clock)
        text = pages.make_pages(stage).test_client().get("/inbox/1").text
        mail = stage.inbox.mails[0]
    assert "…" in mail.part("plain")
    shown = _found("(?s)<pre>(.*)</pre>", text)
    assert "mailto:" not in shown
    for url in mail.links.values():
        assert f'<a href="{url}" target="_blank" rel="noopener">{url}</a>' in shown
    assert re.sub("<[^>]+>", "", shown).strip() == str(escape(mail.part("plain"))).strip()


def test_the_pages_before_anything_has_come_in_and_for_what_is_not_there() -> None:
    with set_stage() as stage:
        client = pages.make_pages(stage).test_client()
        assert "Nothing yet" in client.get("/inbox").text
        assert "still on their way" in client.get("/").text
        assert client.get("/inbox/1").status_code == 404
        assert client.get("/inbox/0/html").status_code == 404


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, text
    return match[1]
