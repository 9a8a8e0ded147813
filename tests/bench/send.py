"""How fast mails leave, beside Postfix's own smtp-source and two plain Flask-Mail loops.

The last row is the most that smtp-sink takes: from a sender that makes one mail, keeps no books
and says everything at once. No sender is faster here.

Run it by hand, on a machine that does nothing else: `python tests/bench/send.py`. It needs
Postfix's smtp-sink and smtp-source. `--mails` and `--connections` set the size, `--signed` signs
each mail of ours (DKIM), and `--memory` sends 10,000, 100,000 and 1,000,000 queued mails instead.
`--answers` measures how long an answer takes at `repermit serve` while it sends 20,000 mails, or as
many as you say. `--workers` sends with one process and with so many at once, on PostgreSQL or with
`--sqlite`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import multiprocessing
import os
import queue
import re
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import answering
import flask
import flask_mail
import itsdangerous
import jinja2
import peewee

from repermit import package_files
from repermit.campaigns import launch, lifecycle, progress
from repermit.clock import SystemClock
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import CampaignWording
from repermit.db.models.lists import MailingList, find_list
from repermit.emails import frozen_draft
from repermit.evidence import chain
from repermit.imports import import_file
from repermit.rules.consent import MailState
from repermit.sending import send_due
from repermit.settings import config_file, definitions
from repermit.settings.definitions import Settings
from tests.support.postgresql_cluster import find_binaries, running_cluster

_LENGTH = 3_000
_SECONDS_ONE_WAY = 0.010
_KIB = 1024
_SECONDS_BEFORE = 10
_KEY_FILE = "dkim.pem"
_MEMORY = (10_000, 100_000, 1_000_000)
_TEXT = """\
{{ greeting }}

{{ organisation }} asks whether you want to go on getting {{ list_name }}: {{ purpose }}.
{{ reason }}

Yes: {{ yes_url }}
No: {{ no_url }}
{{ stop }}

{{ silence }} Privacy: {{ privacy_url }}
{{ objection }}
"""
_FILLING = ("x" * 70 + "\n") * 11
_HTML = """\
<p>⟦greeting⟧</p>
<p>⟦reason⟧</p>
<p><a href="⟦yes_url⟧">Yes</a></p>
<p><a href="⟦no_url⟧">No</a></p>
"""


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.send:
        _send(options.send)
        return
    for program in ("smtp-sink", "smtp-source"):
        if shutil.which(program) is None:
            sys.exit(f"there is no {program}; on Debian it comes with postfix")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        if options.memory:
            _print_memory(Path(name), options.connections)
        elif options.answers:
            _print_answers(Path(name), options)
        elif options.workers:
            _print_workers(Path(name), options)
        else:
            _print_rates(Path(name), options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mails", type=int, default=60_000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--far", type=int, default=4_000, help="mails over the slow path")
    parser.add_argument("--plain", type=int, default=1_000, help="mails of the plain loop")
    parser.add_argument("--folder", help="where the files are made, on the disk to be measured")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--signed", action="store_true", help="with a signature on each mail")
    parser.add_argument("--answers", type=int, nargs="?", const=20_000, metavar="MAILS")
    parser.add_argument("--workers", type=int, help="processes that send at once")
    parser.add_argument("--sqlite", action="store_true", help="such processes on SQLite")
    parser.add_argument("--per-second", type=int, default=20, help="answers that come in")
    parser.add_argument("--send", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


@dataclass(frozen=True)
class _Sent:
    """What one run of repermit took: mails, seconds, processor seconds, memory in MB."""

    mails: int
    seconds: float
    busy: float
    memory: float


def _print_rates(folder: Path, options: argparse.Namespace) -> None:
    connections = options.connections
    with _sink() as port:
        ours, source, most = [], [], []
        for number in range(options.rounds):
            installation = _launch(folder / f"near{number}", options.mails, port, connections)
            if options.signed:
                _make_key(installation.parent)
            ours.append(_send_apart(installation))
            source.append(options.mails / _smtp_source(port, options.mails, connections))
            most.append(options.mails / _seconds(lambda: _pour(port, options.mails, connections)))
        plain = options.plain / _plain_loop(port, options.plain)
        full = options.plain / _full_loop(port, options.plain, folder / "books.db")
        rate = statistics.median(one.mails / one.seconds for one in ours)
        peer = statistics.median(source)
        print(f"{options.mails:,} mails of about {_LENGTH:,} octets, {connections} connections\n")
        print(f"{'':34}{'mails/s':>10}{'ratio':>8}")
        print(f"{'repermit, books kept':34}{rate:10,.0f}")
        print(f"{'smtp-source -d':34}{peer:10,.0f}{rate / peer:8.2f}")
        print(f"{'plain Flask-Mail loop':34}{plain:10,.0f}{rate / plain:8.1f}")
        print(f"{'the same with templates and books':34}{full:10,.0f}{rate / full:8.1f}")
        limit = statistics.median(most)
        print(f"{'the most that smtp-sink takes':34}{limit:10,.0f}{rate / limit:8.2f}")
        print(f"\nthe most is {limit / plain:.0f} times the plain loop")
        memory = max(one.memory for one in ours)
        busy = statistics.median(one.busy / one.seconds for one in ours)
        each = statistics.median(one.busy / one.mails for one in ours) * 1e6
        print(
            f"\nmemory at most {memory:.0f} MB; repermit kept {busy:.0%} of a core busy, "
            f"{each:.0f} µs for a mail\n"
        )
        with _far_away(port) as distant:
            _print_far(folder, distant, options)


def _print_far(folder: Path, port: int, options: argparse.Namespace) -> None:
    connections = options.connections
    far = _send_apart(_launch(folder / "far", options.far, port, connections))
    source = options.far / _smtp_source(port, options.far, connections)
    few = max(1, options.plain // 50)
    plain = few / _plain_loop(port, few)
    rate = far.mails / far.seconds
    trip = f"a round trip of {_round_trip(port) * 1000:.1f} ms"
    print(f"{trip:34}{'mails/s':>10}{'ratio':>8}{'each connection':>18}")
    print(f"{'repermit, path of 20 ms':34}{rate:10,.0f}{'':8}{rate / connections:18.1f}")
    ratio = f"{rate / source:8.2f}"
    print(f"{'smtp-source -d, path of 20 ms':34}{source:10,.0f}{ratio}{source / connections:18.1f}")
    print(f"{'plain loop, path of 20 ms':34}{plain:10,.0f}{rate / plain:8.1f}{plain:18.1f}")


def _print_memory(folder: Path, connections: int) -> None:
    print(f"{'queued':>12}{'mails/s':>10}{'memory MB':>12}")
    with _sink() as port:
        for mails in _MEMORY:
            sent = _send_apart(_launch(folder / str(mails), mails, port, connections))
            print(f"{mails:12,}{mails / sent.seconds:10,.0f}{sent.memory:12.0f}", flush=True)


def _print_workers(folder: Path, options: argparse.Namespace) -> None:
    """Measure one process and several in turn, each with its own connections."""
    counts = (1, options.workers)
    rates: dict[int, list[float]] = {count: [] for count in counts}
    source = []
    with _sink() as port, _databases(options) as fresh_database:
        for number in range(options.rounds):
            for count in counts:
                with fresh_database() as url:
                    path = folder / f"{number}-{count}"
                    path = _launch(path, options.mails, port, options.connections, database=url)
                    rates[count].append(_send_by_workers(path, count))
            source.append(options.mails / _smtp_source(port, options.mails, options.connections))
    one, several = (statistics.median(rates[count]) for count in counts)
    peer = statistics.median(source)
    system = "SQLite" if options.sqlite else "PostgreSQL"
    print(f"{options.mails:,} mails on {system}, {options.connections} connections each\n")
    print(f"{'':34}{'mails/s':>10}{'ratio':>8}")
    print(f"{'1 worker':34}{one:10,.0f}")
    print(f"{f'{options.workers} workers':34}{several:10,.0f}{several / one:8.2f}")
    print(f"{'smtp-source -d':34}{peer:10,.0f}{several / peer:8.2f}")


@contextlib.contextmanager
def _databases(
    options: argparse.Namespace,
) -> Iterator[Callable[[], contextlib.AbstractContextManager[str]]]:
    """Yield what makes a new database each time; its URL is "" for an SQLite file of its own."""
    if options.sqlite:
        yield lambda: contextlib.nullcontext("")
        return
    binaries = find_binaries() or sys.exit("there is no PostgreSQL")
    with running_cluster(binaries, ("listen_addresses=",)) as cluster:
        yield cluster.fresh_database


def _send_by_workers(path: Path, count: int) -> float:
    """Return how many mails so many processes send a second."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        sent = list(pool.map(_send_apart, [path] * count))
    return sum(worker.mails for worker in sent) / max(worker.seconds for worker in sent)


def _print_answers(folder: Path, options: argparse.Namespace) -> None:
    with _sink() as port:
        path = _launch(folder / "served", options.answers, port, options.connections)
        settings = _write_mail(path, port, options.connections)
        paths = answering.make_campaign(settings)
        with open_database(settings.database) as database:
            news = find_list("news")
            lifecycle.pause_campaign(database, news, now=SystemClock().now(), actor="bench")
            with answering.serving(path) as pages:
                before = answering.answer_while(
                    lambda: time.sleep(_SECONDS_BEFORE), pages, paths, per_second=options.per_second
                )
                lifecycle.resume_campaign(
                    database, news, settings=settings, now=SystemClock().now(), actor="bench"
                )
                _wait_for_start(news, options.answers)
                during = answering.answer_while(
                    lambda: _wait_for_end(settings), pages, paths, per_second=options.per_second
                )
    answering.print_title(options.per_second)
    answering.print_times("before the sending", before)
    answering.print_times(f"during it ({during.seconds:.1f} s)", during)
    print(f"{options.answers / during.seconds:,.0f} mails/s meanwhile")


def _write_mail(path: Path, port: int, connections: int) -> Settings:
    """Write into config.toml what `_settings` only holds, for a process that reads it."""
    text = path.read_text("utf-8")
    for key, value in (
        ("server", '"127.0.0.1"'),
        ("port", port),
        ("tls", '"none"'),
        ("connections", connections),
        ("return_path", '"verp"'),
    ):
        text = re.sub(rf"^# {key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
    path.write_text(text, "utf-8")
    return config_file.load_config(path)


def _wait_for_start(news: MailingList, mails: int) -> None:
    while _left(news) == mails:
        time.sleep(0.01)


def _wait_for_end(settings: Settings) -> None:
    # In a thread of its own, which needs a connection of its own.
    with open_database(settings.database):
        news = find_list("news")
        while _left(news):
            time.sleep(0.1)


_TO_COME = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)


def _left(news: MailingList) -> int:
    found = progress.read_progress(news)
    return sum(found.mails[state] for state in _TO_COME) if found else 0


# --- A campaign that waits to be sent. ----------------------------------------------------------


def _launch(folder: Path, mails: int, port: int, connections: int, *, database: str = "") -> Path:
    """Make an installation whose one campaign owes so many asks; return its config.toml.

    `database` is the address of an empty one on PostgreSQL, "" for a file.
    """
    folder.mkdir()
    path = folder / "config.toml"
    text = package_files.make_fresh_config(
        package_files.find_asset("config.example.toml").read_text("utf-8")
    )
    if database:
        text = text.replace('# database = "sqlite:///repermit.db"', f'database = "{database}"')
    path.write_text(text, "utf-8")
    settings = _settings(path, port, connections)
    people = folder / "list.csv"
    with people.open("w", encoding="utf-8") as file:
        file.write("email,name\n")
        file.writelines(f"person.{n}@example{n % 1000}.org,Jan {n}\n" for n in range(mails))
    now = SystemClock().now()
    with open_database(settings.database) as opened:
        migrations.upgrade_database(opened)
        with opened.atomic():
            MailingList.create(
                slug="news",
                name="News",
                purpose="News, four times a year",
                frequency="four times a year",
                privacy_url="https://www.example.org/privacy",
                sender="News <news@example.org>",
                language="en",
                own_subject="May we go on sending you our news?",
                own_text=_TEXT,
                created_at=now,
            )
        news = find_list("news")
        import_file.import_file(opened, news, people, settings=settings, now=now, actor="bench")
        launch.launch(
            opened,
            news,
            settings=settings,
            now=now,
            deadline=now + timedelta(days=60),
            attest="Decided by nobody, for a benchmark; addresses made up; none of them opted out",
            actor="bench",
        )
        _shorten(opened)
    (folder / "mail").write_text(f"{port} {connections}", "ascii")
    return path


def _make_key(folder: Path) -> None:
    command = ["openssl", "genrsa", "-out", str(folder / _KEY_FILE), "2048"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _shorten(database: Database) -> None:
    """Give the mails a short HTML part in place of the real one, so that they are as the peers'."""
    frozen = CampaignWording.get()
    draft = frozen_draft.read_draft(frozen.wording.content)
    with database.atomic():
        digest = chain.store_wording(replace(draft, html=_HTML + _FILLING).content)
        CampaignWording.update(wording=digest).execute()


def _settings(path: Path, port: int, connections: int) -> Settings:
    settings = config_file.load_config(path)
    server = definitions.MailServer(
        server="127.0.0.1", port=port, tls="none", connections=connections, return_path="verp"
    )
    key = path.parent / _KEY_FILE
    if key.exists():
        server = replace(server, dkim_selector="bench", dkim_key=key.read_text("ascii"))
    organisation = definitions.Organisation(
        name="De Linde",
        address="Lindelaan 1\n1234 AB Utrecht",
        email="info@example.org",
        authority="Autoriteit Persoonsgegevens",
        authority_url="https://autoriteitpersoonsgegevens.nl",
    )
    return replace(settings, mail=server, organisation=organisation)


def _send_apart(path: Path) -> _Sent:
    command = [sys.executable, __file__, "--send", str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    mails, *figures = done.stdout.split()
    return _Sent(int(mails), *map(float, figures))


def _send(path: Path) -> None:
    """Send what is owed, and print what it took; this is the process that is measured."""
    port, connections = map(int, (path.parent / "mail").read_text("ascii").split())
    settings = _settings(path, port, connections)
    with open_database(settings.database) as database:
        began, busy = time.perf_counter(), time.process_time()
        result = send_due.send_due(database, settings=settings, clock=SystemClock())
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
    if result.server_fault or result.waiting:
        sys.exit(f"not everything was sent: {result}")
    memory = _peak_memory()
    print(result.sent, seconds, busy, memory)


def _peak_memory() -> float:
    """Return the most that this process has used, in MB.

    Not by getrusage, which counts what its parent used before it became this program.
    """
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / _KIB


# --- The peers, and the server. -----------------------------------------------------------------


@contextlib.contextmanager
def _sink() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = ["smtp-sink", "-c", f"127.0.0.1:{port}", "1024"]
    if os.getuid() == 0:
        command[1:1] = ["-u", "nobody"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sink:
        try:
            _wait_for(port)
            yield port
        finally:
            sink.kill()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    sys.exit("smtp-sink did not start")


def _smtp_source(port: int, mails: int, connections: int) -> float:
    """Return how many seconds it takes; `-d` keeps its connections, and it keeps no books."""
    options = ["-d", "-s", str(connections), "-l", str(_LENGTH), "-m", str(mails)]
    return _seconds(
        lambda: subprocess.run(["smtp-source", *options, f"127.0.0.1:{port}"], check=True)
    )


def _pour(port: int, mails: int, connections: int) -> None:
    """Send one mail over and over, each time with the next envelope behind it (RFC 2920)."""
    envelope = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"
    body = b"Subject: hello\r\n\r\n" + (b"x" * 70 + b"\r\n") * ((_LENGTH - 100) // 72) + b".\r\n"
    with contextlib.ExitStack() as ends, selectors.DefaultSelector() as selector:
        for _ in range(connections):
            line = ends.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.recv(1024)
            line.sendall(b"EHLO a.example.org\r\n")
            line.recv(1024)
            line.sendall(envelope)
            selector.register(line, selectors.EVENT_READ, line)
        left = mails
        while selector.get_map():
            for key, _ in selector.select():
                line = key.data
                said = line.recv(1024)
                if b"354" in said and left > 0:
                    left -= 1
                    line.sendall(body + envelope)
                elif b"354" in said or not said:
                    selector.unregister(line)


def _flask_mail(port: int) -> tuple[flask.Flask, flask_mail.Mail]:
    app = flask.Flask(__name__)
    app.config.update(MAIL_SERVER="127.0.0.1", MAIL_PORT=port, MAIL_DEFAULT_SENDER="a@example.org")
    return app, flask_mail.Mail(app)


def _plain_loop(port: int, mails: int) -> float:
    """Send one constant text, and note nothing."""
    app, mail = _flask_mail(port)
    body = ("x" * 70 + "\n") * ((_LENGTH - 700) // 71)

    def loop() -> None:
        with app.app_context(), mail.connect() as connection:
            for number in range(mails):
                connection.send(
                    flask_mail.Message("hello", recipients=[f"{number}@example.org"], body=body)
                )

    return _seconds(loop)


class _Row(peewee.Model):
    """A mail of the full loop."""

    address = peewee.TextField()
    name = peewee.TextField()
    uid = peewee.TextField()
    is_sent = peewee.BooleanField(default=False)


def _full_loop(port: int, mails: int, path: Path) -> float:
    """Send the mail that repermit sends, as one would: templates, signed links, a row each."""
    app, mail = _flask_mail(port)
    pages = {
        "subject.txt": "May we go on sending you our news?",
        "body.txt": _TEXT,
        "body.html": _HTML.translate(_TO_JINJA) + _FILLING,
    }
    templates = jinja2.Environment(
        loader=jinja2.DictLoader(pages), autoescape=jinja2.select_autoescape()
    )
    subject, text, html = map(templates.get_template, pages)
    signer = itsdangerous.URLSafeSerializer("secret")
    database = peewee.SqliteDatabase(
        str(path), pragmas={"journal_mode": "wal", "synchronous": "full"}
    )

    def loop() -> None:
        with app.app_context(), mail.connect() as connection:
            for row in list(_Row.select()):
                values = {f"{kind}_url": _url(kind, row, signer) for kind in ("yes", "no")}
                values |= _CONSTANT | {"greeting": f"Dear {row.name},"}
                connection.send(
                    flask_mail.Message(
                        subject.render(values),
                        recipients=[row.address],
                        body=text.render(values),
                        html=html.render(values),
                        extra_headers={"List-Unsubscribe": f"<{values['no_url']}>"},
                    )
                )
                row.is_sent = True
                row.save()

    with database.bind_ctx([_Row]), database.connection_context():
        database.create_tables([_Row])
        with database.atomic():
            for number in range(mails):
                _Row.create(address=f"{number}@example.org", name=f"Jan {number}", uid=new_id())
        return _seconds(loop)


def _url(kind: str, row: _Row, signer: itsdangerous.URLSafeSerializer) -> str:
    return f"https://www.example.org/{kind}/{signer.dumps([kind, row.uid])}"


_TO_JINJA = str.maketrans({"⟦": "{{ ", "⟧": " }}"})
_CONSTANT = {
    "organisation": "De Linde",
    "list_name": "News",
    "purpose": "News, four times a year",
    "reason": "You are on the list, and nobody knows since when.",
    "stop": "You can stop at any time.",
    "deadline": "22 January",
    "privacy_url": "https://www.example.org/privacy",
}


def _seconds(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# --- A path that takes its time. ----------------------------------------------------------------


@contextlib.contextmanager
def _far_away(port: int) -> Iterator[int]:
    """Run a proxy that hands on whatever it gets 10 ms later, in both directions."""
    reading, writing = multiprocessing.Pipe(duplex=False)
    proxy = multiprocessing.Process(target=_proxy, args=(port, writing), daemon=True)
    proxy.start()
    try:
        yield reading.recv()
    finally:
        proxy.kill()
        proxy.join()


def _proxy(port: int, tell: multiprocessing.connection.Connection) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        tell.send(server.getsockname()[1])
        while True:
            near, _ = server.accept()
            far = socket.create_connection(("127.0.0.1", port))
            # A process each: threads of one would wait for each other, and make the path longer.
            if os.fork() == 0:
                server.close()
                _hand_on_both(near, far)
                os._exit(0)
            near.close()
            far.close()


def _hand_on_both(near: socket.socket, far: socket.socket) -> None:
    ways = []
    for source, target in ((near, far), (far, near)):
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways.append(threading.Thread(target=_hand_on, args=(source, target)))
    for way in ways:
        way.start()
    for way in ways:
        way.join()


def _round_trip(port: int) -> float:
    """Return the median seconds from a short command to its reply."""
    with socket.create_connection(("127.0.0.1", port)) as line:

        def ask() -> None:
            line.sendall(b"NOOP\r\n")
            line.recv(_KIB)

        line.recv(_KIB)
        return statistics.median(_seconds(ask) for _ in range(50))


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    # A thread's sleep is exact to a tenth of a millisecond; an event loop's timers are late by one.
    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    writing = threading.Thread(target=_write_late, args=(waiting, target))
    writing.start()
    data = b"x"
    while data:
        try:
            data = source.recv(65_536)
        except OSError:
            data = b""
        waiting.put((time.monotonic() + _SECONDS_ONE_WAY, data))
    writing.join()


def _write_late(waiting: queue.SimpleQueue[tuple[float, bytes]], target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            due_at, data = waiting.get()
            time.sleep(max(0.0, due_at - time.monotonic()))
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)


if __name__ == "__main__":
    main()
