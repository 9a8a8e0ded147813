"""Pages are read while answers wait; who waits for too long is told that nothing was recorded."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import peewee
import psycopg
import pytest
from waitress import wasyncore

from repermit.clock import Clock, ManualClock
from repermit.contacts.click_log import PendingOpenings
from repermit.db.connection import (
    Database,
    is_busy,
    is_database_unavailable,
    is_postgresql,
    limit_lock_wait,
    open_database,
    run_sql,
)
from repermit.db.models.accounts import Access, Session
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.errors import DatabaseBusy
from repermit.rules.consent import Status
from repermit.settings.definitions import Web
from repermit.web import server as web_server
from repermit.web.request_context import ARRIVED, KEEPS_CONNECTION, SECONDS_LEFT
from tests.support.admin_pages import client_of, csrf_token, make_admin
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.public_pages import Pages, freeze_wording, heading_of
from tests.support.served_site import PEOPLE, Site, ask, make_site, write_lock
from tests.unit.web.api.test_routes import Tool, is_problem

# --- The threads of the server.


@contextmanager
def serving(app: Any, *, threads: int, clock: Clock | None = None) -> Iterator[int]:
    """Serve an application with so many threads of each kind; yield the port."""
    sockets: dict[int, Any] = {}
    settings = make_settings(web=Web(threads=threads))
    server = web_server.make_server(
        app, settings=settings, host="127.0.0.1", port=0, sockets=sockets, clock=clock
    )
    closing_time = threading.Event()

    def run() -> None:
        while not closing_time.is_set():
            wasyncore.loop(timeout=0.05, use_poll=True, map=sockets, count=1)
        wasyncore.close_all(sockets)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        server.task_dispatcher.shutdown()
        closing_time.set()
        thread.join()


class Held:
    """An application whose POSTs wait until they are let go, unless they may wait no more."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.inside = threading.Semaphore(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        status = "200 OK"
        if environ["REQUEST_METHOD"] == "POST":
            if environ[SECONDS_LEFT] <= 0:
                status = "503 Service Unavailable"
            else:
                self.inside.release()
                self.let_go.wait(120)
        start_response(status, [("Content-Length", "0")])
        return [b""]


@contextmanager
def many_posts(
    port: int, count: int, held: Held, *, path: str = "/"
) -> Iterator[list[Future[int]]]:
    with ThreadPoolExecutor(count) as people:
        running = [people.submit(lambda: ask(port, "POST", path)[0]) for _ in range(count)]
        try:
            yield running
        finally:
            held.let_go.set()


@pytest.mark.parametrize("path", ["/", "/admin/lists"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_whoever_reads_needs_no_thread_of_those_that_wait(method: str, path: str) -> None:
    held = Held()
    with serving(held, threads=2) as port, many_posts(port, 6, held, path=path) as waiting:
        for _ in range(2):
            assert held.inside.acquire(timeout=60)
        assert ask(port, method, path)[0] == 200
        assert not any(one.done() for one in waiting)
    assert [one.result() for one in waiting] == [200] * 6


@pytest.mark.parametrize("path", ["/admin/lists/news/handover/export", "/ask/admin/settings/"])
def test_nobody_who_answers_waits_for_what_an_admin_has_done(path: str) -> None:
    """Such as files that are sent slowly, and mail servers that are tried and say nothing."""
    held = Held()
    with serving(held, threads=2) as port, many_posts(port, 6, held, path=path) as waiting:
        for _ in range(2):
            assert held.inside.acquire(timeout=60)
        assert ask(port, "GET", "/no/token")[0] == 200
        with ThreadPoolExecutor(1) as people:
            answer = people.submit(lambda: ask(port, "POST", "/no/token")[0])
            is_served = held.inside.acquire(timeout=60)
            is_any_done = any(one.done() for one in waiting)
            held.let_go.set()
        assert is_served
        assert not is_any_done
        assert answer.result() == 200
    assert sorted({one.result() for one in waiting} - {503}) == [200]


def test_who_comes_when_more_wait_than_can_be_served_is_told_so_at_once() -> None:
    held = Held()
    # One is served and sixteen wait for its thread.
    with serving(held, threads=1) as port, many_posts(port, 40, held) as running:
        refused = [one.result() for one in islice(as_completed(running, 60), 23)]
        assert refused == [503] * 23
        assert sum(one.done() for one in running) == 23
    assert sorted(one.result() for one in running) == [200] * 17 + [503] * 23


class CountingClock(ManualClock):
    """Tells how often it was read."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self.read = threading.Semaphore(0)

    def now(self) -> datetime:
        moment = super().now()
        self.read.release()
        return moment


def test_a_request_is_stamped_before_it_waits_for_a_thread() -> None:
    """Invariant 10: an answer counts that came in time, however long it waited."""
    held, clock, stamps = Held(), CountingClock(), []

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        stamps.append(environ[ARRIVED])
        return held(environ, start_response)

    with serving(app, threads=1, clock=clock) as port, many_posts(port, 2, held):
        for _ in range(2):
            assert clock.read.acquire(timeout=60)
        clock.advance(timedelta(seconds=1))
    assert stamps == [NOW, NOW]


@pytest.mark.exhaustive
def test_nobody_more_waits_where_nothing_was_served_for_two_seconds() -> None:
    held = Held()
    later: list[Future[int]] = []
    with (
        serving(held, threads=1) as port,
        ThreadPoolExecutor(12) as people,
        many_posts(port, 3, held) as waiting,
    ):
        # One more each half second; all of them are fewer than could wait at first.
        while len(later) < 12 and not any(one.done() for one in later):
            later.append(people.submit(lambda: ask(port, "POST", "/")[0]))
            time.sleep(0.5)
        refused = [one.result() for one in later if one.done()]
        assert set(refused) == {503}
        assert not any(one.done() for one in waiting)


# --- A whole site.


@pytest.fixture
def site(tmp_path: Path, database_url: str, inbox: Inbox) -> Iterator[Site]:
    with make_site(Desk(tmp_path, database_url=database_url, inbox=inbox)) as made:
        yield made


def test_pages_are_read_while_answers_wait_and_those_are_told_to_press_again(site: Site) -> None:
    with site.lock(), ThreadPoolExecutor(PEOPLE) as people:
        waiting = [people.submit(site.say_no, uid) for uid in site.uids]
        uid = site.uids[0]
        reading = [site.path(kind, uid) for kind in ("yes", "no", "me")]
        for path in (*reading, "/join/news", "/admin/login", "/robots.txt", "/healthz", "/metrics"):
            for method in ("GET", "HEAD"):
                assert ask(site.port, method, path)[0] == 200, path
        told = [one.result() for one in waiting]
    assert {status for status, _, _ in told} == {503}, site.server.end(signal.SIGTERM)
    assert {headers["Retry-After"] for _, headers, _ in told} == {"30"}
    # The list's and the contact's language, which stands first.
    assert all("<h1>Probeer het over enkele minuten opnieuw</h1>" in text for _, _, text in told)
    assert all("Er is niets vastgelegd. Druk opnieuw op de knop" in text for _, _, text in told)
    assert all("Rien n’a été enregistré." in text for _, _, text in told)
    assert site.removed() == set()
    assert {site.say_no(uid)[0] for uid in site.uids} == {200}
    assert site.removed() == {*site.uids}


@pytest.mark.exhaustive
def test_who_was_told_200_is_recorded_and_who_was_told_503_is_not(site: Site) -> None:
    told: dict[str, int] = {}
    with ThreadPoolExecutor(PEOPLE) as people:
        running = {}
        for number, uid in enumerate(site.uids):
            with site.lock():
                running[uid] = people.submit(site.say_no, uid)
                # Some wait for longer than two seconds, some for less.
                time.sleep(2.5 if number == PEOPLE // 2 else 0.02)
        told = {uid: one.result()[0] for uid, one in running.items()}
    assert {*told.values()} <= {200, 503}
    assert site.removed() == {uid for uid, status in told.items() if status == 200}


# --- What a GET notes.


@contextmanager
def held_by_another(database: Database, url: str) -> Iterator[None]:
    """Hold the write lock by another thread, since a thread's own turn would let it pass."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with write_lock(url):
            begun.set()
            over.wait(120)

    thread = threading.Thread(target=hold)
    thread.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not database.in_transaction()


def test_an_admin_reads_while_nothing_can_be_written_and_it_is_noted_afterwards(
    pages: Pages, database_url: str, mailing_list: MailingList, campaign: Campaign
) -> None:
    contact = make_asked(pages.database, mailing_list, campaign)
    admin = client_of(pages, make_admin(pages.database))
    pages.clock.move_to(NOW + timedelta(minutes=5))
    with held_by_another(pages.database, database_url):
        for _ in range(2):
            page = admin.get(f"/admin/lists/news/contacts/{contact.id}")
            assert page.status_code == 200
            assert str(contact.address) in page.text
    assert Access.select().count() == 0
    pages.openings.write(pages.database)
    looks = [(one.at, one.act) for one in Access.select()]
    assert looks == [(pages.clock.now(), "contact")] * 2
    assert Session.get().seen_at == pages.clock.now()


def test_a_note_about_what_is_over_keeps_no_other_from_being_written(
    pages: Pages, mailing_list: MailingList, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        run_sql(pages.database, "INSERT INTO access (id) VALUES (1)")

    noted = []
    pages.openings.postpone(fail)
    pages.openings.postpone(lambda: noted.append(mailing_list.slug))
    pages.openings.write(pages.database)
    assert noted == ["news"]
    assert "a note was not written: IntegrityError" in caplog.text


def test_whoever_looks_is_refused_once_too_much_is_to_be_noted() -> None:
    pending = PendingOpenings(max_pending=2)
    for _ in range(2):
        pending.postpone(int)
    with pytest.raises(DatabaseBusy):
        pending.postpone(int)


# --- Who is told that nothing was recorded, and who is not.


@pytest.mark.parametrize("left", [0.2, 0, -1])
def test_admins_are_told_so_too(pages: Pages, database_url: str, left: float) -> None:
    admin = client_of(pages, make_admin(pages.database))
    form = {"csrf_token": csrf_token(admin)}
    environ = {SECONDS_LEFT: left}
    with held_by_another(pages.database, database_url):
        refused = admin.post("/admin/lock/now", data=form, environ_overrides=environ)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert "<h1>Please try again in a few minutes</h1>" in refused.text
    assert "Nothing was changed: the database is busy" in refused.text
    assert not Session.get().is_locked
    assert admin.post("/admin/lock/now", data=form).status_code == 303
    assert Session.get().is_locked


@pytest.mark.parametrize("left", [0.2, 0])
def test_programs_are_told_so_too(
    database: Database, database_url: str, mailing_list: MailingList, left: float
) -> None:
    tool = Tool(database)
    environ = {SECONDS_LEFT: left}
    path = f"/api/v1/lists/{mailing_list.slug}/contact"
    with held_by_another(database, database_url):
        refused = tool.pages.client.post(
            path, headers=tool.headers, json={"address": "a@b.nl"}, environ_overrides=environ
        )
        assert tool.get("/api/v1/lists").status_code == 200
    assert is_problem(refused, 503)
    assert refused.headers["Retry-After"] == "30"


def test_an_answer_waits_for_openings_no_longer_than_for_anything_else(
    pages: Pages, mailing_list: MailingList, campaign: Campaign
) -> None:
    uid = make_asked(pages.database, mailing_list, campaign).uid
    with (
        pages.openings._writing,
        pytest.raises(DatabaseBusy),
        pages.openings.take_openings(uid, timeout=0.1),
    ):
        pass
    with pages.openings.take_openings(uid, timeout=0.1) as seen:
        assert seen == ()


def test_who_may_be_recorded_is_not_told_otherwise(
    pages: Pages,
    mailing_list: MailingList,
    campaign: Campaign,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database is lost between the commit and the page that says so."""
    freeze_wording(pages.database, campaign, mailing_list, "nl")
    uid = make_asked(pages.database, mailing_list, campaign).uid

    def lose(*_: object) -> None:
        raise DatabaseBusy("lost")

    monkeypatch.setattr("repermit.web.public.answer.show_result", lose)
    answer = pages.post("no", uid, headers={"Accept-Language": "en"})
    assert Contact.get().status == Status.REMOVED
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "Your answer may not have been recorded. Please try again later" in answer.text
    assert "Nothing was recorded" not in answer.text


def test_after_a_first_commit_the_rest_waits_as_long_as_any_program(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, mailing_list: MailingList
) -> None:
    limits: list[str] = []

    def write_twice(**_: str) -> str:
        show = "SHOW lock_timeout" if is_postgresql(pages.database) else _BUSY
        for statement in (show, show):
            with pages.database.atomic():
                limits.append(str(run_sql(pages.database, statement).fetchone()[0]))
        return ""

    monkeypatch.setitem(pages.app.view_functions, "join.take_form", write_twice)
    assert pages.client.post(f"/join/{mailing_list.slug}").status_code == 200
    first, later = limits
    assert 0 < in_milliseconds(first) <= 2000
    assert later in {"0", "30000"}


def test_invariant_1_a_kept_connection_writes_for_a_post_and_never_for_a_get(
    pages: Pages, mailing_list: MailingList, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = make_asked(pages.database, mailing_list, campaign)
    kept = {"environ_overrides": {KEEPS_CONNECTION: True}}
    path = f"/join/{mailing_list.slug}"

    def write(**_: str) -> str:
        with pages.database.atomic():
            Contact.update(name="Written").where(Contact.id == contact.id).execute()
        return ""

    for endpoint in ("join.show_form", "join.take_form"):
        monkeypatch.setitem(pages.app.view_functions, endpoint, write)
    for _ in range(2):
        assert pages.client.get(path, **kept).status_code == 500
        assert Contact.get_by_id(contact.id).name == contact.name
        assert pages.client.post(path, **kept).status_code == 200
        assert Contact.get_by_id(contact.id).name == "Written"
        Contact.update(name=contact.name).execute()


_BUSY = "PRAGMA busy_timeout"


def in_milliseconds(limit: str) -> float:
    """Read a limit as SQLite ("2000") or PostgreSQL ("2s", "1996ms") shows it."""
    if limit.endswith("ms"):
        return float(limit.removesuffix("ms"))
    return float(limit.removesuffix("s")) * (1000 if limit.endswith("s") else 1)


def test_few_questions_are_shown_at_a_time_and_others_are_told_to_come_again(
    pages: Pages, mailing_list: MailingList, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pages.path("yes", make_asked(pages.database, mailing_list, campaign).uid)
    begun, may_end = threading.Semaphore(0), threading.Event()

    def show(**_: str) -> str:
        begun.release()
        may_end.wait(60)
        return ""

    def get() -> int:
        return pages.app.test_client().get(path).status_code

    at_once = 2 if is_postgresql(pages.database) else 1
    monkeypatch.setitem(pages.app.view_functions, "answer.show_question", show)
    with ThreadPoolExecutor(at_once + 1) as people:
        first = [people.submit(get) for _ in range(at_once)]
        for _ in first:
            assert begun.acquire(timeout=60)
        refused = pages.client.get(path, environ_overrides={SECONDS_LEFT: 0.05})
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        # Whoever answers, or looks at another page, waits for none of these.
        assert pages.client.post(path).status_code == 200
        assert pages.client.get(f"/join/{mailing_list.slug}").status_code == 200
        later = people.submit(get)
        may_end.set()
        assert {one.result() for one in (*first, later)} == {200}


def test_a_wait_that_has_a_limit_ends_with_it(database: Database, database_url: str) -> None:
    with held_by_another(database, database_url):
        with (
            pytest.raises((DatabaseBusy, peewee.OperationalError)) as busy,
            limit_lock_wait(database, 0.1),
            database.atomic(),
        ):
            Access.insert(at=NOW, actor="me", act="looked", list="", subject="").execute()
        assert is_busy(busy.value)
        assert not is_database_unavailable(busy.value)
    with database.atomic():
        Access.insert(at=NOW, actor="me", act="looked", list="", subject="").execute()


def test_a_page_that_asks_to_press_again_does_so_first_in_the_language_of_the_link(
    pages: Pages, mailing_list: MailingList, campaign: Campaign
) -> None:
    uid = make_asked(pages.database, mailing_list, campaign).uid
    with pages.database.atomic():
        Contact.update(language="de").execute()
    over = {"environ_overrides": {SECONDS_LEFT: 0}}
    told = pages.post("no", uid, **over)
    assert (told.status_code, heading_of(told)) == (503, GERMAN)
    assert heading_of(pages.post("no", uid, headers={"Accept-Language": "fr"}, **over)) == FRENCH
    chosen = pages.client.post(f"{pages.path('no', uid)}?lang=fr", **over)
    assert heading_of(chosen) == FRENCH
    for unknown in ("/no/forged", pages.path("no", "f" * 32), "/elsewhere"):
        told = pages.client.post(unknown, **over)
        assert told.status_code == 503
        # The list's own.
        assert heading_of(told) == "Probeer het over enkele minuten opnieuw"


GERMAN = "Bitte versuchen Sie es in einigen Minuten noch einmal"
FRENCH = "Veuillez réessayer dans quelques minutes"


@pytest.mark.parametrize("path", ["/join/news", "/admin/login", "/healthz"])
def test_who_reads_is_told_to_come_again_after_as_long(
    pages: Pages, mailing_list: MailingList, path: str
) -> None:
    assert mailing_list.slug == "news"
    told = pages.client.get(path, environ_overrides={SECONDS_LEFT: 0})
    assert (told.status_code, told.headers["Retry-After"]) == (503, "30")
    assert pages.client.get(path).status_code == 200


def test_what_cannot_even_be_read_is_told_so(postgresql_url: str) -> None:
    with open_database(postgresql_url) as database:
        make_list(database)
        pages = Pages(database, make_settings(database=postgresql_url))
        with closing(psycopg.connect(postgresql_url)) as other:
            other.execute("LOCK TABLE mailing_list IN ACCESS EXCLUSIVE MODE")
            told = pages.client.get("/join/news", environ_overrides={SECONDS_LEFT: 0.2})
        assert (told.status_code, told.headers["Retry-After"]) == (503, "30")
        assert pages.client.get("/join/news").status_code == 200


def test_a_program_that_passes_no_write_lock_holds_nobody_up_for_longer(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        uid = make_asked(database, mailing_list, campaign).uid
        pages = Pages(database, make_settings(database=sqlite_url))
        path = sqlite_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert pages.get("no", uid).status_code == 200
            refused = pages.post("no", uid, environ_overrides={SECONDS_LEFT: 0.2})
            other.execute("ROLLBACK")
        assert refused.status_code == 503
        assert pages.post("no", uid).status_code == 200


def test_a_look_that_is_noted_wrongly_is_a_failure_of_ours(
    pages: Pages, mailing_list: MailingList, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise peewee.IntegrityError

    monkeypatch.setattr("repermit.accounts.audit_log.record_access", fail)
    admin = client_of(pages, make_admin(pages.database))
    assert admin.get(f"/admin/lists/{mailing_list.slug}/contacts/").status_code == 500
    assert Access.select().count() == 0
