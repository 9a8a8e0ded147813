"""One process that serves the pages and runs the jobs, and how it stops."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from repermit.clock import SystemClock
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailState
from repermit.web.server import Server
from tests.support.builders import make_contact
from tests.support.desk import ATTEST, Desk
from tests.support.inbox import Inbox, Received
from tests.support.serve_process import Serving
from tests.support.smtp_sink import wait_until

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def launch(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, news):
        for _ in range(3):
            make_contact(database, news)
    # Some of these tests serve in a process of its own, which has the machine's clock.
    later = max(desk.clock.now(), SystemClock().now()) + timedelta(days=60)
    desk.do("launch", "news", "--deadline", later.date().isoformat(), "--attest", ATTEST)


@contextmanager
def served(desk: Desk, database: Database, **options: Any) -> Iterator[Server]:
    """Serve in a thread of this process; at the end no thread and no socket is left."""
    server = Server(desk.settings, database=database, clock=desk.clock, port=0, **options)
    thread = threading.Thread(target=server.run_here)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=5).close()


def get(server: Server, path: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


def test_it_serves_the_pages_and_runs_the_jobs(desk: Desk, inbox: Inbox) -> None:
    launch(desk)
    with desk.database() as database, served(desk, database) as server:
        assert get(server, "/healthz")[0] == 200
        assert get(server, "/yes/forged")[0] == 404
        inbox.wait_for(3)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_name_may_stand_for_several_addresses(desk: Desk, host: str) -> None:
    with desk.database() as database, served(desk, database, host=host) as server:
        assert server.port > 0
        assert get(server, "/healthz")[0] == 200


def test_it_may_have_pages_of_its_own_beside_the_public_ones(desk: Desk) -> None:
    def beside(public: WSGIApplication) -> WSGIApplication:
        def pages(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            if environ["PATH_INFO"] == "/inbox":
                start("200 OK", [])
                return [b"the inbox"]
            return public(environ, start)

        return pages

    with desk.database() as database:
        server = Server(desk.settings, database=database, clock=desk.clock, port=0, around=beside)
        thread = threading.Thread(target=server.run_here)
        thread.start()
        seen = get(server, "/inbox"), get(server, "/healthz")[0]
        server.stop()
        thread.join(20)
    assert seen == ((200, b"the inbox"), 200)


def test_a_place_that_is_taken_leaves_nothing_open(desk: Desk) -> None:
    with (
        desk.database() as database,
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="in use"),
    ):
        Server(desk.settings, database=database, clock=desk.clock, port=taken.getsockname()[1])


def test_an_answer_under_way_is_given_before_the_end(desk: Desk) -> None:
    arrived, may_answer = threading.Event(), threading.Event()

    def slow(_public: WSGIApplication) -> WSGIApplication:
        def pages(_environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            arrived.set()
            may_answer.wait(10)
            start("200 OK", [])
            return [b"x" * 100_000]

        return pages

    answers: list[tuple[int, bytes]] = []
    with desk.database() as database:
        server = Server(desk.settings, database=database, clock=desk.clock, port=0, around=slow)
        thread = threading.Thread(target=server.run_here)
        reader = threading.Thread(target=lambda: answers.append(get(server, "/")))
        thread.start()
        reader.start()
        assert arrived.wait(60)
        server.stop()
        may_answer.set()
        thread.join(20)
        reader.join(20)
    assert [(status, len(body)) for status, body in answers] == [(200, 100_000)]


# --- A process of its own, told to stop in the middle of a mail.


@contextmanager
def in_the_middle_of_a_mail(
    desk: Desk, inbox: Inbox
) -> Iterator[tuple[Serving, Callable[[], None]]]:
    """Serve a campaign whose first mail waits for the server's reply, until told to go on."""
    launch(desk)
    arrived, may_reply = threading.Event(), threading.Event()

    def wait(_mail: Received) -> None:
        arrived.set()
        may_reply.wait(30)

    inbox.reply_to_data = wait
    try:
        with Serving(desk) as serving:
            assert arrived.wait(60)
            yield serving, may_reply.set
    finally:
        may_reply.set()


@pytest.mark.exhaustive
def test_a_worker_that_dies_is_followed_by_another_one(desk: Desk, inbox: Inbox) -> None:
    with Serving(desk) as serving:
        first = worker_of(serving)
        os.kill(first, signal.SIGKILL)
        launch(desk)
        inbox.wait_for(3, timeout=20)
        assert worker_of(serving) != first
        code, log = serving.end(signal.SIGTERM)
    assert code == 0
    assert "the worker has ended (SIGKILL); another one in 1 s" in log


def worker_of(serving: Serving) -> int:
    wait_until(lambda: bool(serving.worker))
    return serving.worker


def states(desk: Desk) -> list[str]:
    with desk.database():
        return sorted(mail.state for mail in Mail.select())


def test_a_mail_on_the_wire_is_marked_before_the_end(desk: Desk, inbox: Inbox) -> None:
    with in_the_middle_of_a_mail(desk, inbox) as (serving, go_on):
        serving.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert serving.process.poll() is None
        go_on()
        assert serving.process.wait(60) == 0
    assert states(desk) == [MailState.QUEUED, MailState.QUEUED, MailState.SENT]
    assert len(inbox.mails) == 1


@pytest.mark.exhaustive
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_who_does_not_wait_leaves_a_doubt_and_nothing_twice(
    desk: Desk, inbox: Inbox, sign: signal.Signals
) -> None:
    with in_the_middle_of_a_mail(desk, inbox) as (serving, _):
        for _ in range(2):
            serving.process.send_signal(sign)
            time.sleep(0.5)
        assert serving.process.wait(60) == -sign
    inbox.reply_to_data = lambda _mail: None
    inbox.clear()
    assert "2 sent" in desk.do("send", "news")
    assert states(desk) == [MailState.IN_DOUBT, MailState.SENT, MailState.SENT]
    assert "In doubt" in desk.do("status", "news")
    with desk.database():
        assert Campaign.get().state == CampaignState.OPEN
