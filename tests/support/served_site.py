"""A site that is served by a process of its own, to people who were asked; and what holds it up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg

from repermit.db.models.contacts import Contact
from repermit.db.write_lock import WriteLock
from repermit.rules.consent import Status
from repermit.signed_links import Links
from tests.support.builders import make_asked, make_campaign, make_list
from tests.support.desk import Desk
from tests.support.public_pages import freeze_wording
from tests.support.serve_process import Serving

ONE_CLICK = "List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"


def ask(
    port: int, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], str]:
    with closing(HTTPConnection("127.0.0.1", port, timeout=120)) as line:
        line.request(method, path, body, {"Content-Type": FORM, **headers})
        answer = line.getresponse()
        return answer.status, dict(answer.headers), answer.read().decode()


@dataclass(frozen=True)
class Site:
    """A site that is served by a process of its own, and the people who were asked."""

    desk: Desk
    port: int
    uids: tuple[str, ...]
    lock: Callable[[], AbstractContextManager[object]]
    server: Serving

    def path(self, kind: Any, uid: str) -> str:
        """Return a page's path."""
        settings = self.desk.settings
        return f"/{kind}/{Links(settings.public_url, settings.secret_keys).token(kind, uid)}"

    def say_no(self, uid: str) -> tuple[int, dict[str, str], str]:
        """Send the No of a mail program."""
        return ask(self.port, "POST", self.path("no", uid), ONE_CLICK)

    def removed(self) -> set[str]:
        """Return who was taken off."""
        with self.desk.database():
            return {one.uid for one in Contact.select().where(Contact.status == Status.REMOVED)}


PEOPLE = 24


@contextmanager
def make_site(desk: Desk) -> Iterator[Site]:
    """Ask some people, and serve the desk."""
    with desk.database() as database:
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        freeze_wording(database, campaign, mailing_list, "nl")
        uids = tuple(make_asked(database, mailing_list, campaign).uid for _ in range(PEOPLE))
    with Serving(desk) as server:
        port = int(server.url.rstrip("/").rpartition(":")[2])
        yield Site(desk, port, uids, lambda: write_lock(desk.settings.database), server)


@contextmanager
def write_lock(url: str) -> Iterator[None]:
    """Hold what every answer needs to be recorded, as another process."""
    if url.startswith("sqlite:///"):
        write_lock = WriteLock(Path(url.removeprefix("sqlite:///")))
        write_lock.acquire()
        try:
            yield
        finally:
            write_lock.close()
    else:
        with closing(psycopg.connect(url)) as other:
            other.execute("LOCK TABLE contact, access, session, evidence IN EXCLUSIVE MODE")
            yield
