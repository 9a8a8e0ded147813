"""How fast a large file goes in, in how much memory, and how long answers take meanwhile.

    .venv/bin/python tests/bench/import.py [--rows 1000000] [--per-second 20] [--folder DIR]

Three things are measured, each in a process of its own, on SQLite:

1. `import_file` of a CSV with three columns (email, name, language), from opening it to the commit:
   rows a second; the most memory that the importing process took (`ru_maxrss`), that its reading
   process took, and that both took together (sampled every 20 ms).
2. The sqlite3 shell's own `.import` of the same file into a table of those three columns with the
   same unique index of addresses, journal and syncing. It judges no address, and knows of no
   lists, no fates and no evidence. Left out where there is no sqlite3.
3. Answers, posted over HTTP to `repermit serve`, before and during another such import. They come
   at a steady rate whether or not earlier ones are done, and are timed from the moment when they
   were due; so whoever waits for the merge counts with all of the wait, as people do.
"""

from __future__ import annotations

import argparse
import http
import http.client
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from repermit import addresses, config, contacts, importing, schema
from repermit.clock import SystemClock
from repermit.consent import CampaignState, MailKind, MailState, Status
from repermit.links import Links
from repermit.models import Campaign, Mail, MailingList, find_list, open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from repermit.config import Settings

_PEOPLE = 500
_SECONDS_BEFORE = 10
_WAITERS = 64
_KIB = 1024


def main() -> None:
    """Measure and print."""
    options = _options()
    if options.take_in:
        _take_in(options.take_in, options.file)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        file = _write_list(folder, options.rows)
        print(f"{options.rows:,} rows, {file.stat().st_size / 1e6:.0f} MB\n")
        ours = _measure_import(_init(folder / "alone"), file)
        print(f"{'':26}{'rows/s':>10}{'seconds':>10}")
        print(f"{'repermit import':26}{options.rows / ours.seconds:10,.0f}{ours.seconds:10.1f}")
        _print_shell(folder, file, options.rows, ours.seconds)
        print(f"\n{'memory at most, MB':26}{'importing':>10}{'reading':>10}{'together':>10}")
        print(f"{'':26}{ours.importing:10,.0f}{ours.reading:10,.0f}{ours.together:10,.0f}\n")
        _print_answers(folder, file, options.per_second)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--per-second", type=int, default=20, help="answers that come in")
    parser.add_argument("--folder", help="where the files are made, on the disk to be measured")
    parser.add_argument("--take-in", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _write_list(folder: Path, rows: int) -> Path:
    """Write a list in no order, so that no index is filled from one end."""
    numbers = list(range(rows))
    random.Random(1).shuffle(numbers)  # noqa: S311  the same list every time
    path = folder / "list.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name,language\n")
        for number in numbers:
            file.write(f"person.{number}@example{number % 1000}.org,Jan de Vries {number},nl\n")
    return path


def _init(folder: Path) -> Path:
    """Make an installation with one list, and return its config.toml."""
    folder.mkdir()
    path = folder / "config.toml"
    example = config.asset("config.example.toml").read_text("utf-8")
    path.write_text(config.fresh_config(example), "utf-8")
    settings = config.load(path)
    with open_database(settings.database) as database:
        schema.upgrade(database)
        with database.atomic():
            MailingList.create(
                slug="news",
                name="News",
                purpose="News, four times a year",
                privacy_url="https://www.example.org/privacy",
                sender="News <news@example.org>",
                created_at=SystemClock().now(),
            )
    return path


# --- The import. --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """Seconds of an import, and its memory in MB."""

    seconds: float
    importing: float
    reading: float
    together: float


def _take_in(configuration: Path, file: Path) -> None:
    """Import the file, and print what it took; this is the process that is measured."""
    settings = config.load(configuration)
    with open_database(settings.database) as database:
        began = time.perf_counter()
        importing.import_file(
            database,
            find_list("news"),
            file,
            settings=settings,
            now=SystemClock().now(),
            actor="bench",
        )
        seconds = time.perf_counter() - began
    own, reader = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    print(seconds, *(resource.getrusage(whose).ru_maxrss / _KIB for whose in (own, reader)))


def _measure_import(configuration: Path, file: Path) -> Measured:
    command = [sys.executable, __file__, "--take-in", str(configuration), "--file", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        together = 0.0
        while process.poll() is None:
            together = max(together, sum(map(_resident, _family(process.pid))))
            time.sleep(0.02)
        printed = process.stdout.read() if process.stdout else ""
    seconds, importing_, reading = map(float, printed.split())
    return Measured(seconds, importing_, reading, together)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split())
    except OSError:
        return


def _resident(pid: int) -> float:
    """Return what a process has in memory, in MB; 0 if it is gone."""
    try:
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text("ascii"))
    except OSError:
        return 0
    return int(found[1]) / _KIB if found else 0


_SHELL = """\
PRAGMA journal_mode = wal;
PRAGMA synchronous = full;
CREATE TABLE contact (address TEXT NOT NULL, name TEXT, language TEXT);
CREATE UNIQUE INDEX contact_address ON contact (address);
.import --csv --skip 1 {file} contact
"""


def _print_shell(folder: Path, file: Path, rows: int, ours: float) -> None:
    shell = shutil.which("sqlite3")
    if shell is None:
        print("There is no sqlite3 shell here to compare with.")
        return
    began = time.perf_counter()
    subprocess.run(
        [shell, str(folder / "shell.db")],
        input=_SHELL.format(file=file),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    seconds = time.perf_counter() - began
    print(f"{'sqlite3 .import':26}{rows / seconds:10,.0f}{seconds:10.1f}")
    print(f"{'repermit / sqlite3':26}{seconds / ours:10.2f}")


# --- Answers. -----------------------------------------------------------------------------------


def _print_answers(folder: Path, file: Path, per_second: int) -> None:
    configuration = _init(folder / "served")
    paths = _make_campaign(config.load(configuration))
    command = [sys.executable, "-m", "repermit", "--config", str(configuration)]
    with subprocess.Popen(
        [*command, "serve", "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            port = _port(server)
            before, _ = _answer_while(
                lambda: time.sleep(_SECONDS_BEFORE), port, paths, per_second=per_second
            )
            during, seconds = _answer_while(
                lambda: _measure_import(configuration, file), port, paths, per_second=per_second
            )
        finally:
            server.terminate()
    print(f"{f'answers, {per_second} a second':26}{'median ms':>10}{'99% ms':>10}{'longest':>10}")
    _print_times("before the import", before)
    _print_times(f"during it ({seconds:.1f} s)", during)


def _make_campaign(settings: Settings) -> list[str]:
    """Put people on a list of their own who have been asked; return the paths of their links."""
    now = SystemClock().now()
    links = Links("", settings.secret_keys)
    with open_database(settings.database) as database, database.atomic():
        asked = MailingList.create(slug="asked", name="Asked", created_at=now)
        campaign = Campaign.create(
            list=asked,
            state=CampaignState.OPEN,
            deadline=now + timedelta(days=28),
            minimum_days=14,
            launched_at=now,
            starts_at=now,
        )
        uids = []
        for number in range(_PEOPLE):
            address = addresses.parse(f"asked{number}@example.org")
            person = contacts.new_contact(asked, address, status=Status.UNCONFIRMED, status_at=now)
            person.save(force_insert=True)
            Mail.create(
                list=asked,
                campaign=campaign,
                contact=person,
                kind=MailKind.ASK,
                state=MailState.SENT,
                due_at=now,
                sent_at=now,
                message_id=f"<{number}@example.org>",
            )
            uids.append(person.uid)
    # Everybody keeps changing their mind, so that each answer is written.
    return [links.url(kind, uid) for kind in ("yes", "no") for uid in uids]


def _port(server: subprocess.Popen[str]) -> int:
    for line in server.stdout or ():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    sys.exit("repermit serve did not start")


def _answer_while(
    act: Callable[[], object], port: int, paths: list[str], *, per_second: int
) -> tuple[list[float], float]:
    """Post answers while `act` runs; return the seconds that each took, and those of the act."""
    over = threading.Event()
    began = time.perf_counter()
    with ThreadPoolExecutor(_WAITERS) as pool:
        acting = pool.submit(act)
        acting.add_done_callback(lambda _: over.set())
        posted = []
        for number, path in enumerate(cycle(paths)):
            due = began + number / per_second
            if over.wait(max(0, due - time.perf_counter())):
                break
            posted.append(pool.submit(_post, port, path, due))
        acting.result()
        seconds = time.perf_counter() - began
        return [post.result() for post in posted], seconds


def _post(port: int, path: str, due: float) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path)
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"an answer failed: {answer.status}")
    return time.perf_counter() - due


def _print_times(what: str, times: list[float]) -> None:
    hundredths = statistics.quantiles(times, n=100)
    median, last = statistics.median(times), max(times)
    print(f"{what:26}{median * 1e3:10,.1f}{hundredths[-1] * 1e3:10,.1f}{last * 1e3:10,.0f}")


if __name__ == "__main__":
    main()
