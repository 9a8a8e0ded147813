"""The way of a new user: an empty folder, two commands, and everything else in the browser."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from repermit.clock import SystemClock
from tests.browser.test_admin_campaign import Mouse, arrive, become_admin, numbers_on, prepare
from tests.browser.test_settings import choose_server, say_who_asks
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk
from tests.support.inbox import Inbox, Received
from tests.support.mail_servers import free_port
from tests.support.serve_process import Serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

SUBJECT = "Do you still want our news?"


def test_from_an_empty_folder_to_the_first_answer(
    page: Page, desk: Desk, inbox: Inbox, tmp_path: Path
) -> None:
    port, link = install(desk)
    url = f"http://127.0.0.1:{port}"
    file = tmp_path / "members.csv"
    file.write_text("email\nanna@example.org\nbert@example.org\ncees@example.org\n", "utf-8")
    hand = Mouse()
    with Serving(desk, "--port", str(port)):
        become_admin(page, link, hand, now=SystemClock().now())
        hand.follow(page, "Settings")
        say_who_asks(page)
        hand.follow(page, "Mail server")
        choose_server(page, port=inbox.port)
        page.get_by_text("The mail server 127.0.0.1 answers").wait_for()
        hand.follow(page, "Lists")
        prepare(page, hand, file, people=3, subject=SUBJECT)
        # The check runs beside the page; here nobody but this machine reaches the pages.
        why = page.get_by_label("Launch all the same, because")
        why.first.wait_for(timeout=60_000)
        for field in why.all():
            field.fill("a trial on this machine alone")
        hand.write(page, "How many people will be asked? Type the number above.", "3")
        hand.press(page, "Ask 3 people")
        arrive(page, "News")
        assert "3 in this campaign" in numbers_on(page)
        mails = inbox.wait_for(3, timeout=60)
        assert {mail.message["Subject"] for mail in mails} == {SUBJECT}
        say_yes(page.context.new_page(), mails[0], url)
        page.get_by_text("1 said Yes").wait_for()


def install(desk: Desk) -> tuple[int, str]:
    """Begin anew with `init`; return a port for `serve`, and the first admin's link."""
    desk.config.unlink()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    init = (str(REPERMIT), "--config", str(desk.config), "init", "--public-url", url)
    printed = subprocess.run(init, capture_output=True, text=True, check=True).stdout
    link = re.search(rf"{url}/admin/welcome/\S+", printed)
    assert link
    return port, link[0]


def say_yes(page: Page, mail: Received, url: str) -> None:
    """Open the mail's link for Yes, and press the button."""
    text = mail.message.get_body(("plain",))
    assert text
    found = re.search(rf"{url}/yes/\S+", text.get_content())
    assert found
    page.goto(found[0])
    with page.expect_navigation():
        page.locator(".answers button").first.click()
