"""Pages while the database is away: PostgreSQL stopped, the disk full; and what the log says."""

from __future__ import annotations

import errno
import logging
import re
import resource
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from shutil import copy
from threading import Event

import peewee
import psycopg
import pytest

from repermit.cli.serve import RedactingFormatter
from repermit.db import migrations
from repermit.db.connection import (
    Database,
    connect,
    is_busy,
    is_database_unavailable,
    open_database,
    run_sql,
)
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact
from repermit.signed_links import KINDS, Links, redact
from repermit.web.request_context import KEEPS_CONNECTION, SECONDS_LEFT
from tests.support.builders import make_asked, make_campaign, make_list, make_settings
from tests.support.desk import Desk
from tests.support.inbox import Inbox
from tests.support.postgresql_cluster import SETTINGS, Cluster, find_binaries, running_cluster
from tests.support.public_pages import Pages, freeze_wording
from tests.support.served_site import ONE_CLICK, Site, ask, make_site, write_lock
from tests.support.smtp_sink import wait_until

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}")
FRENCH = {"Accept-Language": "fr"}


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """Run a cluster that may be stopped, and that keeps what it has committed."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("there is no PostgreSQL here (Debian: apt-get install postgresql)")
    settings = (*SETTINGS, "synchronous_commit=on", "wal_level=replica")
    with running_cluster(binaries, settings) as running:
        yield running


def is_told(site: Site, method: str, path: str, body: str = "") -> bool:
    """Say whether a request is answered by 503, in French, and told when to come again."""
    status, headers, text = ask(site.port, method, path, body, **FRENCH)
    return (
        (status, headers.get("Retry-After")) == (503, "30")
        and "<h1>Veuillez réessayer dans quelques minutes</h1>" in text
        and "Rien n’a été enregistré." in text
    )


def test_pages_say_that_postgresql_is_away_and_go_on_once_it_is_back(
    tmp_path: Path, own_cluster: Cluster, inbox: Inbox
) -> None:
    url = own_cluster.add_database("served")
    with make_site(Desk(tmp_path, database_url=url, inbox=inbox)) as site:
        first, second, third, *_ = site.uids
        assert site.say_no(first)[0] == 200
        for _ in range(2):
            own_cluster.stop()
            for kind in ("yes", "no", "me"):
                assert is_told(site, "GET", site.path(kind, second))
                assert is_told(site, "POST", site.path(kind, second))
            assert is_told(site, "POST", site.path("no", second), ONE_CLICK)
            assert is_told(site, "GET", "/join/news")
            status, headers, text = ask(site.port, "GET", "/admin/login")
            assert (status, headers["Retry-After"]) == (503, "30")
            assert "<h1>Please try again in a few minutes</h1>" in text
            status, headers, text = ask(site.port, "GET", "/api/v1/lists")
            assert (status, headers["Retry-After"]) == (503, "30")
            assert headers["Content-Type"] == "application/problem+json"
            assert ask(site.port, "GET", "/healthz")[0] == 503
            assert ask(site.port, "GET", "/robots.txt")[0] == 200
            own_cluster.start()
            for kind in ("yes", "no", "me"):
                assert ask(site.port, "GET", site.path(kind, second))[0] == 200
            assert ask(site.port, "GET", "/healthz")[0] == 200
        assert site.removed() == {first}
        assert site.say_no(second)[0] == 200
        assert site.removed() == {first, second}
        # So is who has answered already, and waits for it to be recorded.
        with ThreadPoolExecutor(1) as people, write_lock(url):
            told = people.submit(is_told, site, "POST", site.path("no", third), ONE_CLICK)
            with psycopg.connect(url, autocommit=True) as other:
                waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
                wait_until(lambda: other.execute(waits).fetchone() != (0,) or told.done())
            own_cluster.stop()
            assert told.result()
            own_cluster.start()
        assert site.removed() == {first, second}
        assert site.say_no(third)[0] == 200
        _, log = site.server.end(signal.SIGTERM)
    assert "a page failed: answer.show_question: OperationalError" in log
    assert not TOKEN.search(log)


@pytest.mark.exhaustive
def test_a_standby_shows_pages_and_whoever_answers_is_told_to_come_again(
    tmp_path: Path, own_cluster: Cluster, inbox: Inbox
) -> None:
    """As after a failover, until the standby is promoted or the address leads elsewhere."""
    url = own_cluster.add_database("served")
    with make_site(Desk(tmp_path, database_url=url, inbox=inbox)) as site:
        uid = site.uids[0]
        own_cluster.demote()
        for kind in ("yes", "no"):
            assert ask(site.port, "GET", site.path(kind, uid))[0] == 200
            assert is_told(site, "POST", site.path(kind, uid))
        assert ask(site.port, "GET", site.path("me", uid))[0] == 200
        assert is_told(site, "POST", site.path("no", uid), ONE_CLICK)
        assert ask(site.port, "GET", "/join/news")[0] == 200
        assert is_told(site, "POST", "/join/news", "address=jan%40example.org")
        own_cluster.promote()
        assert site.removed() == set()
        assert site.say_no(uid)[0] == 200
        assert site.removed() == {uid}
        _, log = site.server.end(signal.SIGTERM)
    assert not TOKEN.search(log)


def test_a_connection_that_is_broken_is_not_used_again(own_cluster: Cluster) -> None:
    database = connect(own_cluster.add_database("served"))
    database.connect()
    migrations.upgrade_database(database)
    pages = Pages(database, make_settings(database="postgresql:///served"))
    assert pages.client.get("/join/none").status_code == 404
    own_cluster.stop()
    assert pages.client.get("/join/none").status_code == 503
    own_cluster.start()
    assert pages.client.get("/join/none").status_code == 404
    database.close()


@pytest.mark.exhaustive
def test_nobody_waits_for_a_server_that_accepts_and_says_nothing() -> None:
    pytest.importorskip("psycopg")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/served"
        pages = Pages(connect(address), make_settings(database=address))
        assert pages.client.get("/join/none").status_code == 503


def test_whoever_asks_a_server_that_says_nothing_is_told_so_soon(
    tmp_path: Path, own_cluster: Cluster, inbox: Inbox
) -> None:
    """As where its machine is stopped: the connections are there, and nothing comes."""
    url = own_cluster.add_database("served")
    with make_site(Desk(tmp_path, database_url=url, inbox=inbox)) as site:
        uids = site.uids
        assert site.say_no(uids[0])[0] == 200
        with own_cluster.frozen(), ThreadPoolExecutor(60) as people:
            paths = [site.path(kind, uid) for kind in ("yes", "no", "me") for uid in uids[:5]]
            asked = [
                people.submit(ask, site.port, method, path)
                for path in (*paths, "/admin/login", "/api/v1/lists")
                for method in ("GET", "POST")
            ]
            answers = [one.result() for one in asked]
            assert ask(site.port, "GET", "/healthz")[0] == 503
            assert {status for status, *_ in answers} == {503}
            assert all("Retry-After" in headers for _, headers, _ in answers)
        wait_until(lambda: ask(site.port, "GET", site.path("no", uids[1]))[0] == 200)
        assert site.removed() == {uids[0]}
        assert site.say_no(uids[1])[0] == 200


def test_whoever_is_late_is_told_so_without_a_word_from_the_server(own_cluster: Cluster) -> None:
    """By the page, which says more where the database can be read."""
    database = connect(own_cluster.add_database("served"))
    database.connect()
    migrations.upgrade_database(database)
    pages = Pages(database, make_settings(database="postgresql:///served"))
    assert pages.client.get("/join/none").status_code == 404
    with own_cluster.frozen():
        late = pages.client.get("/join/none", environ_overrides={SECONDS_LEFT: 0})
    assert late.status_code == 503
    database.close()


def ask_somebody(database: Database) -> Contact:
    """Return somebody whom a campaign of a new list has asked, with the words of its mail kept."""
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    asked = make_asked(database, mailing_list, campaign)
    freeze_wording(database, campaign, mailing_list, "nl")
    return asked


def test_who_answers_while_the_operator_has_made_the_database_read_only_is_told_to_come_again(
    postgresql_url: str,
) -> None:
    """As a provider of databases does where the disk is nearly full."""
    with open_database(postgresql_url) as database:
        asked = ask_somebody(database)
        name = psycopg.conninfo.conninfo_to_dict(postgresql_url)["dbname"]
        run_sql(database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    pages = Pages(database, make_settings(database=postgresql_url))
    for _ in range(2):
        kept = {"environ_overrides": {KEEPS_CONNECTION: True}}
        assert pages.client.get(pages.path("no", asked.uid), **kept).status_code == 200
        refused = pages.post("no", asked.uid, **kept)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    database.close()


def test_an_address_may_say_how_long_to_wait_for_its_server() -> None:
    pytest.importorskip("psycopg")
    said = connect("postgresql://127.0.0.1/served?connect_timeout=60").connect_params
    assert (said["connect_timeout"], said["tcp_user_timeout"]) == ("60", 10_000)


# --- A disk that is full.


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill a disk to its last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    yield
    filler.unlink()


@contextmanager
def short_files(site: Site) -> Iterator[None]:
    """Let the server write no file beyond what the shared memory of SQLite takes."""
    process, unlimited = site.server.process.pid, resource.RLIM_INFINITY
    resource.prlimit(process, resource.RLIMIT_FSIZE, (40_000, unlimited))
    yield
    resource.prlimit(process, resource.RLIMIT_FSIZE, (unlimited, unlimited))


@pytest.mark.everyday("[full]")
@pytest.mark.parametrize("how", ["full", "file too large"])
def test_pages_say_that_the_disk_is_full_and_go_on_once_there_is_room(
    tmp_path: Path, ready_sqlite: Path, inbox: Inbox, small_disk: Path, how: str
) -> None:
    url = f"sqlite:///{copy(ready_sqlite, small_disk)}"
    with make_site(Desk(tmp_path, database_url=url, inbox=inbox)) as site:
        assert ask(site.port, "GET", "/healthz")[0] == 200
        with filled(small_disk) if how == "full" else short_files(site):
            told = {uid: site.say_no(uid) for uid in site.uids}
            statuses = {uid: status for uid, (status, *_) in told.items()}
            # Some room may be left in the files that there are.
            assert 503 in statuses.values()
            assert {*statuses.values()} <= {200, 503}
            refusals = [text for status, _, text in told.values() if status == 503]
            assert all("Nothing was recorded." in text for text in refusals)
            assert {
                headers["Retry-After"] for status, headers, _ in told.values() if status == 503
            } == {"30"}
            assert ask(site.port, "GET", "/healthz")[0] == (503 if how == "full" else 200)
        assert site.removed() == {uid for uid, status in statuses.items() if status == 200}
        assert {site.say_no(uid)[0] for uid in site.uids} == {200}
        assert site.removed() == {*site.uids}
        _, log = site.server.end(signal.SIGTERM)
    assert not TOKEN.search(log)


# --- A commit that fails.


_FAILS = """\
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN {}; RETURN NULL; END $$"""
_FAILS_AT_COMMIT = """\
CREATE CONSTRAINT TRIGGER fail AFTER UPDATE ON contact DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION fail()"""


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        ("RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'", "Nothing was recorded."),
        (
            "PERFORM pg_terminate_backend(pg_backend_pid())",
            "Your answer may not have been recorded.",
        ),
    ],
    ids=["disk full", "cut off"],
)
def test_a_page_says_that_nothing_was_recorded_where_a_failed_commit_tells(
    postgresql_url: str, failure: str, words: str
) -> None:
    with open_database(postgresql_url) as database:
        asked = ask_somebody(database)
        run_sql(database, _FAILS.format(failure))
        run_sql(database, _FAILS_AT_COMMIT)
        pages = Pages(database, make_settings(database=postgresql_url))
        refused = pages.post("no", asked.uid)
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
    assert words in refused.text


# --- A database that a newer version upgrades while an older one serves it.


@pytest.mark.everyday("[sqlite]")
def test_whoever_answers_while_the_database_is_upgraded_is_told_to_come_again(
    site: Site, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, over = Event(), Event()

    def migrate(database: Database) -> None:
        run_sql(database, "ALTER TABLE contact ADD COLUMN later INTEGER")
        begun.set()
        assert over.wait(60)

    def upgrade() -> None:
        with open_database(database_url) as database:
            migrations.upgrade_database(database)

    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, migrate))
    monkeypatch.setattr(migrations, "NEWEST_VERSION", migrations.NEWEST_VERSION + 1)
    uid = site.uids[0]
    with ThreadPoolExecutor(1) as admins:
        upgrading = admins.submit(upgrade)
        try:
            assert begun.wait(60)
            assert is_told(site, "POST", site.path("no", uid), ONE_CLICK)
            # PostgreSQL lets nobody read a table that is being changed.
            is_readable = database_url.startswith("sqlite")
            path = site.path("yes", uid)
            assert ask(site.port, "GET", path)[0] == (200 if is_readable else 503)
        finally:
            over.set()
        upgrading.result(60)
    assert site.say_no(uid)[0] == 200


# --- What is neither.


@pytest.fixture
def site(tmp_path: Path, database_url: str, inbox: Inbox) -> Iterator[Site]:
    with make_site(Desk(tmp_path, database_url=database_url, inbox=inbox)) as made:
        yield made


@pytest.mark.exhaustive
def test_a_failure_of_ours_stays_one_and_leaves_no_token_in_the_log(site: Site) -> None:
    uid = site.uids[0]
    with site.desk.database() as database:
        run_sql(database, "ALTER TABLE mail RENAME TO elsewhere")
    for method, path in (("GET", "yes"), ("GET", "no"), ("POST", "no"), ("GET", "me")):
        status, headers, _ = ask(site.port, method, site.path(path, uid))
        assert (status, headers.get("Retry-After")) == (500, None)
    _, log = site.server.end(signal.SIGTERM)
    assert "a page failed: answer.show_question" in log
    assert not TOKEN.search(log)


@pytest.mark.exhaustive
def test_who_hangs_up_while_they_wait_leaves_no_token_in_the_log(site: Site) -> None:
    with site.lock():
        for uid in site.uids:
            with closing(socket.create_connection(("127.0.0.1", site.port), timeout=60)) as line:
                path = site.path("no", uid)
                head = (
                    f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(ONE_CLICK)}\r\n\r\n"
                )
                line.sendall((head + ONE_CLICK).encode())
        assert ask(site.port, "POST", site.path("no", site.uids[0]), ONE_CLICK)[0] == 503
    _, log = site.server.end(signal.SIGTERM)
    assert "a page failed" in log
    assert not TOKEN.search(log)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
        psycopg.OperationalError("the connection is closed"),
        psycopg.errors.AdminShutdown("terminating connection"),
        psycopg.errors.CannotConnectNow("the database system is starting up"),
        psycopg.errors.DiskFull("could not extend file"),
        psycopg.errors.IdleInTransactionSessionTimeout("terminating connection"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute UPDATE in a read-only transaction"),
        peewee.OperationalError(psycopg.OperationalError("connection refused"), "refused"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_what_means_that_the_database_is_away(error: Exception) -> None:
    assert is_database_unavailable(error)
    assert not is_busy(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError(),
        OSError(errno.ENOENT, "No such file or directory"),
        ConnectionResetError(),
        psycopg.errors.UndefinedTable("no such table"),
        psycopg.InterfaceError("the cursor is closed"),
        peewee.InterfaceError("Error, database connection not opened."),
        peewee.OperationalError(sqlite3.OperationalError("no such table"), "no such table"),
        peewee.IntegrityError(psycopg.errors.UniqueViolation("twice"), "twice"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_what_does_not(error: Exception) -> None:
    assert not is_database_unavailable(error)
    assert not is_busy(error)


def test_a_get_that_writes_is_a_failure_of_ours(pages: Pages) -> None:
    """The database refuses it as a standby does."""
    pages.app.view_functions["join.show_form"] = lambda **_: str(Meta.delete().execute())
    response = pages.client.get("/join/news")
    assert (response.status_code, response.headers.get("Retry-After")) == (500, None)


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"),
        psycopg.errors.DeadlockDetected("deadlock detected"),
        psycopg.errors.SerializationFailure("could not serialize"),
    ],
    ids=lambda error: str(error)[:40],
)
def test_what_means_that_it_is_busy(error: Exception) -> None:
    assert is_busy(error)
    assert not is_database_unavailable(error)


# --- The log.


def test_no_logger_writes_a_token() -> None:
    settings = make_settings(public_url="https://ask.example.org/path")
    links = Links(settings.public_url, settings.secret_keys)
    for kind in KINDS:
        token = links.token(kind, "0" * 32)
        for text in (links.url(kind, "0" * 32), f"/{kind}/{token[:30]}?lang=nl", f"({token})"):
            record = logging.LogRecord(
                "any", logging.ERROR, "", 1, "before %s after", (text,), None
            )
            line = RedactingFormatter("%(name)s %(message)s").format(record)
            assert line.startswith("any before ")
            assert line.endswith(" after")
            assert token[:20] not in line
    assert redact("/admin/welcome/secret?x=1 /usr/lib/x.py") == "/admin/welcome/…?x=1 /usr/lib/x.py"


def test_pages_say_that_the_file_is_gone_and_make_no_empty_one(
    tmp_path: Path, inbox: Inbox
) -> None:
    path = tmp_path / "r.db"
    desk = Desk(tmp_path, database_url=f"sqlite:///{path}", inbox=inbox)
    with make_site(desk) as site:
        first, second, *_ = site.uids
        assert site.say_no(first)[0] == 200
        for end in ("-wal", "-shm", ""):
            Path(f"{path}{end}").rename(f"{path}{end}.aside")
        # By more threads than there are, so that each has missed the file.
        for _ in range(12):
            assert is_told(site, "GET", site.path("no", second))
            assert is_told(site, "POST", site.path("no", second), ONE_CLICK)
        assert ask(site.port, "GET", "/healthz")[0] == 503
        assert not path.exists()
        for end in ("-wal", "-shm", ""):
            Path(f"{path}{end}.aside").rename(f"{path}{end}")
        assert site.say_no(second)[0] == 200
        assert site.removed() == {first, second}


@pytest.mark.exhaustive
def test_answers_go_to_the_database_that_was_put_in_place_of_another(
    tmp_path: Path, inbox: Inbox
) -> None:
    path = tmp_path / "r.db"
    desk = Desk(tmp_path, database_url=f"sqlite:///{path}", inbox=inbox)
    with make_site(desk) as site:
        first, second, *_ = site.uids
        # By more threads than there are, so that each has opened the file.
        for _ in range(12):
            assert site.say_no(first)[0] == 200
        with closing(sqlite3.connect(path)) as old, closing(sqlite3.connect(f"{path}.new")) as new:
            old.backup(new)
        for end in ("-wal", "-shm", ""):
            Path(f"{path}{end}").rename(f"{path}{end}.aside")
        Path(f"{path}.new").rename(path)
        for _ in range(12):
            assert site.say_no(second)[0] == 200
        assert site.removed() == {first, second}
