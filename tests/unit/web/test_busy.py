"""Pages while somebody else keeps the server or the database busy for too long."""

from __future__ import annotations

import http.client
import re
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from threading import Event
from urllib.parse import urlencode

import pytest

from repermit.db.connection import FairSqliteDatabase, open_database, proxy
from repermit.db.models.contacts import Contact
from repermit.db.write_lock import WriteLock
from repermit.rules.consent import Status
from repermit.signed_links import Kind
from tests.support.builders import make_asked, make_campaign, make_list, make_settings
from tests.support.public_pages import Pages, freeze_wording, served


@pytest.mark.everyday("[yes]")
@pytest.mark.parametrize("kind", ["yes", "no"])
def test_an_answer_that_cannot_be_written_is_told_when_to_come_again(
    sqlite_url: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    database = FairSqliteDatabase(path, timeout=0.2)
    proxy.initialize(database)
    with database.connection_context():
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        asked = make_asked(database, mailing_list, campaign)
        freeze_wording(database, campaign, mailing_list, "nl")
        pages = Pages(database, make_settings(database=sqlite_url))
        assert pages.get(kind, asked.uid).status_code == 200
        other = WriteLock(path)
        other.acquire()
        refused = pages.post(kind, asked.uid)
        other.close()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert "Nothing was recorded. Please press the button again" in refused.text
        assert Contact.get().status == Status.UNCONFIRMED
        assert pages.post(kind, asked.uid).status_code == 200
        assert Contact.get().status != Status.UNCONFIRMED
    assert "the database is held by another program" in caplog.text
    assert asked.uid not in caplog.text


def ask(
    port: int, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, str, dict[str, str]]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    line.request(method, path, body, headers)
    answer = line.getresponse()
    found = answer.status, answer.read().decode(), dict(answer.headers)
    line.close()
    return found


def test_pages_are_served_while_strangers_try_passwords(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Event()
    monkeypatch.setattr(
        "repermit.accounts.passwords.verify_password", lambda *_: over.wait(120) is None
    )

    def make(url: str) -> Pages:
        return Pages(database, make_settings(public_url=url, database=sqlite_url))

    with open_database(sqlite_url) as database, served(make) as pages:
        make_list(database)
        port = int(pages.settings.public_url.rpartition(":")[2])
        _, page, headers = ask(port, "GET", "/admin/login")
        (token,) = re.findall(r'csrf_token" value="([^"]+)"', page)
        form = {
            "Cookie": headers["Set-Cookie"].partition(";")[0],
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": pages.settings.public_url + "/admin/login",
        }

        def log_in(number: int) -> int:
            fields = {"csrf_token": token, "email": f"u{number}@b.nl", "password": "wrong"}
            return ask(port, "POST", "/admin/login", urlencode(fields), **form)[0]

        # More than there are threads, and no more than a network has for nothing.
        tries = pages.settings.web.threads + 2
        with ThreadPoolExecutor(tries) as strangers:
            running = [strangers.submit(log_in, number) for number in range(tries)]
            try:
                refused = [one.result() for one in islice(as_completed(running, 60), tries - 3)]
                assert refused == [429] * (tries - 3)
                assert ask(port, "GET", "/join/news")[0] == 200
            finally:
                over.set()
            assert sorted(one.result() for one in running) == [422] * 3 + [429] * (tries - 3)
        assert log_in(tries) == 422
