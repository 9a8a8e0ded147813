"""What input that is made to freeze or to fill the house does to the pages meanwhile.

    .venv/bin/python tests/bench/hostile_input.py [only WORDS OF A NAME]

`repermit serve` runs in a process of its own, with its worker. Fields of forms, headers, files and
mails come one after the other, while a public page is asked for every few milliseconds. Printed
are how long each took, what the server and the largest other process grew to (VmHWM and the
largest RSS seen; Linux only), and the slowest answer of the page meanwhile. The first line is of a
quiet time, since other work on the machine slows the pages too.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[2]))

from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection

import answering
import pages

from repermit.clock import SystemClock
from repermit.db.connection import open_database
from repermit.settings import config_file
from repermit.web import application
from tests.support import hostile_files as hostile

MARKS = "\u0300\u0316"
_WATCHED = "/join/news"
_REST = 0.005  # seconds between two requests for the page that is watched
_SAMPLE = 0.02  # seconds between two looks at the processes
_QUIET = 5.0
_WIDE = "a@example.org" + "," * 1_000_000


def main() -> None:
    """Send everything and print."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("only", nargs="*", help="words that the name has")
    only = " ".join(options.parse_args().only)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = pages._prepare(folder / "installation", 100, 1, _database(folder))
        with answering.serving(path) as port:
            server = _server_process(path)
            house = CommandContext(path, port)
            print(f"{'':44}{'took':>9}{'answered':>14}{'server':>9}{'other':>9}{'page':>10}")
            for title, send in [("nothing", _rest), *inputs(house)]:
                if only in title or title == "nothing":
                    _print(title, measured(send, port, server))


def _rest() -> str:
    time.sleep(_QUIET)
    return "–"


def _database(folder: Path) -> str:
    return f"sqlite:///{folder / 'installation' / 'repermit.db'}"


# --- What is sent. ------------------------------------------------------------------------------


def inputs(house: CommandContext) -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield everything that is sent, by its name."""
    fields: Mapping[str, str] = {
        "marks": MARKS * 17_000,
        "letters": "é" * 34_000,
        "signs": "<@," * 11_000,
    }
    for name, text in fields.items():
        # Of a form, in which each byte is three, a login takes 64 kB and a public page 16.
        yield f"password: 60 kB of {name}", partial(house.log_in, text[:10_000])
        yield f"sign-up: 16 kB of {name}", partial(house.sign_up, text[:1_200])
        yield f"search: 200 kB of {name}", partial(house.search, text)
        yield f"privacy statement: 200 kB of {name}", partial(house.describe, f"https://{text}/")
    for header in ("Accept-Language", "Cookie", "User-Agent", "X-Forwarded-For"):
        yield f"header: {header} of 200 kB", partial(house.header, header)
    yield "API: 60,000 brackets", house.ask_api
    for name, make in files().items():
        yield f"file: {name}", partial(house.hand_in, make)
    for name, raw in {**hostile.MAILS, **hostile.SLOW_MAILS}.items():
        yield f"mail: {name}", partial(house.bounce, raw)
    yield (
        "mail: 50 MB of header",
        partial(house.bounce, hostile.mail(b"Ja", head=b"X-Long: " + b"a" * 50_000_000 + b"\r\n")),
    )


def files() -> dict[str, Callable[[Path], Path]]:
    """Return what writes each file."""

    def text(content: str) -> Callable[[Path], Path]:
        def write(path: Path) -> Path:
            path.write_text(content, "utf-8")
            return path

        return write

    return {
        "an address of 14,000 marks": text(f"email\na{MARKS * 7_000}@example.org\n"),
        "an address of 28,000 letters": text(f"email\n{'a' * 28_000}@example.org\n"),
        "60 addresses of 30,000 letters": text("email\n" + f"{'a' * 30_000}@example.org\n" * 60),
        "60 cells of 30,000 marks": text(f"email,naam\na@b.nl,{MARKS * 15_000}\n" * 30),
        "60 remarks of 30,000 letters": text(
            f"email,opmerking\na@b.nl,{'niet wil ' * 3_300}\n" * 60
        ),
        "a million columns": text(f"{_WIDE}\n"),
        "99 MB on one line": text("a@example.org;" * 7_000_000),
        "99 MB in one record": text('"a\nb",' * 16_000_000),
        "99 MB of quotation": text('"' + "a@example.org\n" * 7_000_000),
        "XLSX: names in another case": hostile.names_in_other_case,
        "XLSX: another root": hostile.another_root,
        "XLSX: 40 sheets to row 1,000,000": hostile.full_sheets,
        "XLSX: entities": hostile.entities,
        "XLSX: a cell of a million letters": lambda path: hostile.long_cell(path, 1_000_000),
        "ODS: cells repeated 1e9 times": hostile.repeated_cells,
        "ZIP in ten ZIPs": hostile.nested_zip,
        "ZIP bomb": hostile.zip_bomb,
        "ZIP of 60,000 members": hostile.many_members,
    }


class CommandContext:
    """Where it is sent, and by whom: anybody, an admin who has logged in, a mail server's pipe."""

    def __init__(self, path: Path, port: int) -> None:
        settings = config_file.load_config(path)
        self._path = path
        self._port = port
        with open_database(settings.database):
            cookie = pages._log_in(application.create_app(settings, clock=SystemClock()))
        self._admin = {"Cookie": cookie}

    def log_in(self, password: str) -> str:
        """Try to log in, as anybody can."""
        fields = {"email": "first@example.org", "password": password}
        return self._post_form("/admin/login", "/admin/login", fields, {})

    def sign_up(self, text: str) -> str:
        """Sign up, as anybody can."""
        return self._post("/join/news", urlencode({"address": f"{text}@b.nl", "name": text}), {})

    def search(self, text: str) -> str:
        """Look for a contact."""
        there = "/admin/lists/news/contacts/"
        return self._post_form(there, f"{there}search", {"search": text}, self._admin)

    def describe(self, url: str) -> str:
        """Say where the privacy statement is."""
        there = "/admin/lists/news/describe"
        fields = {"name": "News", "purpose": "News", "privacy_url": url, "sender": "News <n@b.nl>"}
        return self._post_form(there, there, fields, self._admin)

    def header(self, name: str) -> str:
        """Ask for a page with a long header."""
        value = "en-x;q=0.1, " * 17_000
        return self._ask("GET", _WATCHED, b"", {name: value})[0]

    def ask_api(self) -> str:
        """Send what is nested too deep."""
        header = {"Content-Type": "application/json", "Authorization": "Bearer rp_x"}
        return self._post("/api/v1/lists/news/contact", "[" * 60_000, header)

    def hand_in(self, make: Callable[[Path], Path]) -> str:
        """Hand a file in, and wait until it was looked at."""
        there = "/admin/lists/news/file"
        with tempfile.TemporaryDirectory() as name:
            file = make(Path(name) / "list.bin").read_bytes()
        boundary = "b" * 30
        token = self._token(there, self._admin)
        part = f"--{boundary}\r\nContent-Disposition: form-data; name="
        head = f"{part}csrf_token\r\n\r\n{token}\r\n{part}file; filename=list.bin\r\n\r\n"
        body = head.encode() + file + f"\r\n--{boundary}--\r\n".encode()
        kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        status, _ = self._ask("POST", f"{there}/upload", body, {**self._admin, **kind})
        while b'"is_busy":true' in self._ask("GET", f"{there}/state.json", b"", self._admin)[1]:
            time.sleep(0.1)
        return status

    def bounce(self, raw: bytes) -> str:
        """Give a mail to the command, as a mail server does."""
        command = [sys.executable, "-m", "repermit", "--config", str(self._path), "bounce"]
        ran = subprocess.run(command, input=raw, capture_output=True, check=False)
        return f"exit {ran.returncode}"

    def _post_form(
        self, page: str, there: str, fields: dict[str, str], headers: dict[str, str]
    ) -> str:
        headers = dict(headers)
        token = self._token(page, headers)
        return self._post(there, urlencode({**fields, "csrf_token": token}), headers)

    def _token(self, page: str, headers: dict[str, str]) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection.request("GET", page, headers=headers)
        answer = connection.getresponse()
        found = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', answer.read())
        if cookie := answer.getheader("Set-Cookie"):
            headers["Cookie"] = cookie.partition(";")[0]
        connection.close()
        return found[1].decode() if found else ""

    def _post(self, there: str, fields: str, headers: dict[str, str]) -> str:
        form = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", there, fields.encode(), form)[0]

    def _ask(
        self, method: str, there: str, body: bytes, headers: dict[str, str]
    ) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        try:
            connection.request(method, there, body, headers)
            answer = connection.getresponse()
            return str(answer.status), answer.read()
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__, b""
        finally:
            connection.close()


# --- What is measured. --------------------------------------------------------------------------


@dataclass
class Measured:
    """Seconds that an input took, what was answered, bytes, and seconds of each page meanwhile."""

    seconds: float = 0.0
    answered: str = ""
    server: int = 0
    other: int = 0
    pages: list[float] = field(default_factory=list)


def measured(send: Callable[[], str], port: int, server: int) -> Measured:
    """Send something and watch the page and the processes meanwhile."""
    found, over = Measured(), threading.Event()
    _forget_peak(server)
    processes = threading.Thread(target=_watch_processes, args=(server, over, found))
    # Beside making and sending what is large, the page is asked for by a process of its own.
    ours, theirs = multiprocessing.Pipe()
    page = multiprocessing.Process(target=_watch_page, args=(port, theirs))
    for watcher in (page, processes):
        watcher.start()
    ours.recv()
    began = time.perf_counter()
    try:
        found.answered = send()
        found.seconds = time.perf_counter() - began
    finally:
        over.set()
        ours.send(None)
        found.pages = ours.recv()
        page.join()
        processes.join()
    found.server = _memory(server, "VmHWM")
    return found


def _watch_page(port: int, bench: Connection) -> None:
    times: list[float] = []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    bench.send(None)
    while not bench.poll() or not times:
        began = time.perf_counter()
        connection.request("GET", _WATCHED)
        connection.getresponse().read()
        times.append(time.perf_counter() - began)
        time.sleep(_REST)
    connection.close()
    bench.send(times)


def _watch_processes(server: int, over: threading.Event, found: Measured) -> None:
    while not over.wait(_SAMPLE):
        others = (_memory(process, "VmRSS") for process in _descendants(server))
        found.other = max(found.other, *others, 0)


def _descendants(process: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _memory(process: int, name: str) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def _forget_peak(process: int) -> None:
    # proc_pid_clear_refs(5): 5 resets the peak.
    with suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _server_process(path: Path) -> int:
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words: Any = status.read_bytes().split(b"\0")
            if str(path).encode() in words and b"serve" in words:
                return int(status.parent.name)
    sys.exit("repermit serve is not there")


def _print(title: str, found: Measured) -> None:
    megabytes = [f"{size / 1e6:,.0f} MB" for size in (found.server, found.other)]
    worst = f"{max(found.pages) * 1e3:,.0f} ms"
    middle = f"({statistics.median(found.pages) * 1e3:,.0f})"
    print(
        f"{title:44}{found.seconds:7.1f} s{found.answered:>14}{megabytes[0]:>9}{megabytes[1]:>9}"
        f"{worst:>10} {middle}",
        flush=True,
    )


if __name__ == "__main__":
    main()
