"""The public pages as tests ask for them: in this process, or over HTTP on a port of loopback."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from html import unescape
from typing import TYPE_CHECKING, Any

from waitress import wasyncore

from repermit.answers import join, record_answer
from repermit.answers.link_target import PageShown
from repermit.clock import ManualClock
from repermit.contacts import erasure, lookup, status_changes
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import Database
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.base import Table
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.emails import compose_mail, make_draft
from repermit.emails.mail_types import AskValues, Mail
from repermit.evidence import chain
from repermit.rules.consent import Answer
from repermit.settings.definitions import Settings
from repermit.signed_links import Kind, Links
from repermit.web import application
from repermit.web import server as web_server
from tests.support.builders import DEADLINE, NOW, make_organisation, make_settings
from tests.support.program_zoo import buttons_in

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

QUESTION = PageShown(wording="<p>Zouden wij u mogen blijven mailen?</p>")

_SPAN = re.compile(r"</?span[^>]*>|<wbr>")
_TAG = re.compile(r"<style>.*?</style>|<[^>]+>", re.DOTALL)


class Pages:
    """The application over a database, with a clock set by hand and a client."""

    def __init__(
        self, database: Database, settings: Settings, *, clock: ManualClock | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or ManualClock(NOW)
        self.links = Links(settings.public_url, settings.secret_keys)
        self.app = application.create_app(settings, clock=self.clock, database=database)
        self.client = self.app.test_client()
        self.openings: PendingOpenings = self.app.extensions["repermit"].openings

    def path(self, kind: Kind, uid: str) -> str:
        """Return the path of a contact's page, without that of `public_url`."""
        return f"/{kind}/{self.links.token(kind, uid)}"

    def get(self, kind: Kind, uid: str, **more: Any) -> TestResponse:
        """Look at a contact's page."""
        return self.client.get(self.path(kind, uid), **more)

    def post(
        self, kind: Kind, uid: str, *, data: dict[str, Any] | None = None, **more: Any
    ) -> TestResponse:
        """Press the button of a contact's page as it is now, or with the fields in `data`."""
        sent = {"number": self.number(uid), **(data or {})}
        if kind in {"yes", "confirm"} and "-" not in sent["number"]:
            query = {**more.get("query_string", {}), "round": sent.get("round", "")}
            query.pop("languages", "")
            sent["number"] += self.wording_shown(
                kind, uid, query_string=query, environ_overrides=more.get("environ_overrides")
            )
        return self.client.post(self.path(kind, uid), data=sent, **more)

    def wording_shown(self, kind: Kind, uid: str, **more: Any) -> str:
        """Return what a page's Yes sends after its number; the look leaves no trace."""
        looked = self._onlooker.test_client().get(self.path(kind, uid), **more)
        found = re.search(r'name="number" value="\w+(-\w+)"', looked.text)
        return found[1] if found else ""

    @cached_property
    def _onlooker(self) -> Flask:
        return application.create_app(self.settings, clock=self.clock, database=self.database)

    def say_yes(self, uid: str, **more: Any) -> TestResponse:
        """Press Yes, and once more where the page asks again."""
        response = self.post("yes", uid, **more)
        asked_again = re.search(r'name="round" value="(\w+)"', response.text)
        if asked_again is None:
            return response
        data = {"choice": "again", "round": asked_again[1]}
        return self.post("yes", uid, data=data, **more)

    def number(self, uid: str) -> str:
        """Return what the forms of a contact's pages, or of a sign-up's, send along now."""
        with self.database.connection_context():
            found = Contact.get_or_none(uid=uid)
            version = found.form_version if found else 0
            sign_up = None if found else join.find_sign_up(uid, now=self.clock.now())
        return self.links.form_number(uid, sign_up.form_version if sign_up else version)


def answer_by(client: FlaskClient, path: str) -> TestResponse:
    """Open a link and press its page's first button, and Yes once more where it is asked again."""
    opened = client.get(path)
    assert opened.status_code == 200
    response = client.post(path, data=buttons_in(opened.text)[0].sends)
    again = [one for one in buttons_in(response.text) if one.sends.get("choice") == "again"]
    return client.post(path, data=again[0].sends) if again else response


def answer_on_page(
    database: Database,
    uid: str,
    answer: Answer,
    *,
    at: datetime = NOW + timedelta(days=1),
    settings: Settings | None = None,
    page: PageShown = QUESTION,
) -> None:
    """Record an answer as the page records it that is shown in this process."""
    record_answer.record_answer(
        database,
        uid=uid,
        answer=answer,
        arrived_at=at,
        settings=settings or make_settings(),
        method="page",
        trace={"network": "198.51.100.0/24", "browser": "Firefox"},
        page=lambda _: page,
    )


def erase(pages: Pages, contact: Contact) -> None:
    """Erase a contact at the admin's hand."""
    with pages.database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin"),
            fingerprint_key=pages.settings.fingerprint_key,
        )


def status_of(contact: Contact) -> str:
    """Return what a contact's status is by now."""
    status: str = Contact.get_by_id(contact.id).status
    return status


def words_of(response: TestResponse) -> str:
    """Return what a page says: its text without tags and style, on one line."""
    return " ".join(unescape(_TAG.sub(" ", without_spans(response.text))).split())


def without_spans(html: str) -> str:
    """Return HTML without what only says how a few of its words break."""
    return _SPAN.sub("", html)


def heading_of(response: TestResponse) -> str:
    """Return a page's first heading."""
    found = re.search(r"<h1>(.*?)</h1>", response.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def everything_in(database: Database, *, but: Container[type[Table]] = ()) -> str:
    """Return a digest of all rows of all tables, or of all but some."""
    rows = [
        (table.__name__, sorted(map(repr, table.select().tuples().iterator())))
        for table in ALL_TABLES
        if table not in but
    ]
    assert not database.in_transaction()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def freeze_wording(
    database: Database,
    campaign: Campaign,
    mailing_list: MailingList,
    language: str,
    revision: int = 1,
) -> str:
    """Keep the wording of a campaign's ask in one language; return its digest."""
    draft = make_draft.draft_ask(
        organisation=make_organisation(),
        mailing_list=lookup.read_list_facts(mailing_list),
        deadline=campaign.deadline + timedelta(days=revision),
        zone=make_settings().zone,
        language=language,
        has_reminder=False,
    )
    with database.atomic():
        digest = chain.store_wording(draft.content)
        CampaignWording.create(
            campaign=campaign, kind="ask", language=language, revision=revision, wording=digest
        )
    return digest


def ask_to(pages: Pages, contact: Contact) -> Mail:
    """Return the ask as it leaves to somebody who reads Dutch."""
    draft = make_draft.draft_ask(
        organisation=make_organisation(),
        mailing_list=lookup.read_list_facts(contact.list),
        deadline=DEADLINE,
        zone=pages.settings.zone,
        language="nl",
        has_reminder=False,
    )
    values = AskValues(
        address=contact.address or "",
        yes_url=pages.links.url("yes", contact.uid),
        no_url=pages.links.url("no", contact.uid),
        me_url=pages.links.url("me", contact.uid),
        list_label="news",
        message_id=f"<{contact.uid}@example.org>",
        return_path="praktijk@example.org",
        date=NOW,
    )
    return compose_mail.compose_mail(draft, values)


@contextmanager
def served(make_pages: Callable[[str], Pages]) -> Iterator[Pages]:
    """Serve pages on a free port of loopback; `make_pages` is told their `public_url`."""
    inner: list[Any] = []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answered: Iterable[bytes] = inner[0](environ, start_response)
        return answered

    sockets: dict[int, Any] = {}
    plain = make_settings(public_url="http://127.0.0.1")
    server = web_server.make_server(app, settings=plain, port=0, sockets=sockets)
    pages = make_pages(f"http://127.0.0.1:{server.effective_port}")
    inner.append(pages.app)
    closing = threading.Event()

    def serve() -> None:
        while not closing.is_set():
            wasyncore.loop(timeout=0.05, use_poll=True, map=sockets, count=1)
        wasyncore.close_all(sockets)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield pages
    finally:
        server.task_dispatcher.shutdown()
        closing.set()
        thread.join()
