"""How long answers and pages wait while each big piece of work runs, and how long that takes.

    .venv/bin/python tests/bench/waits.py [--people 50000] [--postgresql | --database URL]
        [--tree PATH]... [--only WORK]... [--alone] [--per-second 20] [--folder DIR]
        [--most SECONDS]

For each work, or those that `--only` names, `repermit serve` runs on a database of its own. Another
process sends 20 answers a second, each of somebody on another list who has been asked, and as many
GETs of such pages, at an even pace whether or not earlier ones are done. Each is timed from when it
was due, so that whoever stands in a queue counts with all of the wait. Meanwhile the work runs as
its command on a list of `--people`; the suppression import and the purge are of a tenth of them.

A line tells the seconds of the work; and of answers and of GETs, those that were due while it ran:
median, 99th percentile and longest in milliseconds, how many were asked to come again (503 with
Retry-After), as on a machine that is too slow for so many, and how many failed. An answer failed if
it came to anything else, or if the record does not hold it. A command that fails tells why at the
end of its line, as `check` does, which finds fault with any such machine; one that takes longer
than `--most` seconds is killed. `--alone` runs each work once more while nobody asks anything, and
tells its seconds; with `--per-second 0` nothing else is run.

`--tree` names a checkout to measure; several, to compare before and after, take turns with each
work. Its own .venv/bin/python is used, if it has one. What is measured goes through the command
line, HTTP and plain SQL, and each tree prepares its databases itself.

It runs on SQLite; with `--postgresql` on a cluster made for it, as PostgreSQL is when nobody has
set anything; with `--database` on databases made where that address leads. There is no command for
the purge: a worker does it within a minute, with settings by which it is due, timed from the first
who is erased to the end of wiping. Nothing here fails on time, which is for people to judge; it
ends with 1 if a request failed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from collections.abc import Callable, Iterator

import answer_load
import answering
from installation import Installation

from repermit.clock import SystemClock
from repermit.settings import config_file
from repermit.signed_links import KINDS, Kind, Links
from tests.support.postgresql_cluster import find_binaries, running_cluster

_ASKED = 20_000  # whose answers come in: of a longer work, those of its first 24 minutes
_READERS = 500  # of them, who only look
_PART = 10  # one in so many is suppressed, or purged
_WARMING = 3  # seconds before each work begins
_NOTHING = 15  # seconds
_SETTLING = 600  # seconds at most

_NOW = SystemClock().now()
_BEFORE = timedelta(days=60)  # that people were asked
_LONG_AGO = (_NOW - timedelta(days=90)).isoformat()
_DEADLINE = (_NOW + timedelta(days=60)).date()
_ATTEST = "Decided by nobody, for a benchmark; addresses made up; none of them opted out"
_ACCEPTED = tuple(
    f"--accept={code}=a benchmark on this machine alone"
    for code in (
        *("database_readable", "keys_readable", "mx_none", "spf_none"),
        *("pages_no_name", "pages_here_alone", "pages_unreachable"),
    )
)


def main() -> None:
    """Measure and print."""
    options = _options()
    failed = 0
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="waits-") as name,
        answering.smtp_sink() as port,
        _server(options) as server,
    ):
        prepared = []
        for number, tree in enumerate(options.tree):
            folder = Path(name) / f"waits{number}" / "empty"
            empty = Installation(tree.resolve(), folder, server)
            empty.make(port, ago=_BEFORE)
            prepared.append(Prepared(options.people, {"empty": empty}))
        print(f"{options.people:,} people, {'PostgreSQL' if server else 'SQLite'}\n")
        title = f"{'work':14}{'tree':12}{'alone s':>9}"
        if options.per_second:
            answer_load.print_title(f"{title}{'s':>9}", options.per_second)
        else:
            print(title)
        for work in WORKS:
            if (options.only and work.name not in options.only) or (work.is_for_sqlite and server):
                continue
            failed += sum(_measure(work, one, options) for one in prepared)
    if failed:
        sys.exit(f"{failed} requests failed")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--per-second", type=int, default=20, help="answers, and as many GETs")
    parser.add_argument("--tree", type=Path, action="append", help="a checkout to measure")
    parser.add_argument("--only", action="append", choices=[work.name for work in WORKS])
    parser.add_argument("--alone", action="store_true", help="also while nobody answers")
    parser.add_argument("--most", type=float, help="seconds after which a command is killed")
    parser.add_argument("--folder", help="where the files are made, on the disk to be measured")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    kinds.add_argument("--database", default="", help="a PostgreSQL database, to make others from")
    options = parser.parse_args()
    options.tree = options.tree or [Path(__file__).parents[2]]
    return options


@contextlib.contextmanager
def _server(options: argparse.Namespace) -> Iterator[str]:
    """Yield the address of a database on a PostgreSQL server, empty for SQLite."""
    if not options.postgresql:
        yield options.database
        return
    binaries = find_binaries() or sys.exit("there is no PostgreSQL")
    with running_cluster(binaries, ("listen_addresses=",)) as cluster:
        yield cluster.url("postgres")


# --- The databases to begin with. ---------------------------------------------------------------


@dataclass(frozen=True)
class Prepared:
    """The installations of one tree, by stage; each is made when it is asked for first."""

    people: int
    stages: dict[str, Installation]

    def get(self, stage: str) -> Installation:
        """Return the installation of this stage."""
        if stage not in self.stages:
            before, act = _STAGES[stage]
            made = self.get(before).copy(stage)
            act(made, self.people)
            self.stages[stage] = made
        return self.stages[stage]


def _describe(one: Installation, people: int) -> None:
    """Add two lists, one of which has been asked, and write the files of the other."""
    for slug in ("asked", "news"):
        how = ("--purpose=News, four times a year", "--privacy-url=https://www.example.org/privacy")
        named = ("--name", slug, "--sender", "News <news@example.org>")
        one.run("list", "add", slug, *named, *how, ago=_BEFORE)
    _write(one.folder / "asked.csv", "asked", _ASKED)
    _write(one.folder / "news.csv", "person", people)
    _write(one.folder / "suppressed.csv", "person", people // _PART)
    one.run("import", "asked", "asked.csv", ago=_BEFORE)
    one.run(*_launch("asked", _DEADLINE), ago=_BEFORE)
    _let_be_sent(one, "asked")


def _write(path: Path, name: str, people: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        # A name with a digit in it is read as one that may hold a remark, which takes longer.
        rows = ((f"{name}.{n}@example{n % 1000}.org", f"Jan {_spell(n)}") for n in range(people))
        csv.writer(file).writerows(chain([("email", "name")], rows))


def _spell(number: int) -> str:
    """Return a surname of its own for each number."""
    return "".join("abdegiklnr"[int(digit)] for digit in str(number)).capitalize()


def _let_be_sent(one: Installation, slug: str) -> None:
    """Let everybody on a list have been asked when its campaign was launched."""
    found = (
        "SELECT campaign.id, launched_at FROM campaign "
        "JOIN mailing_list ON mailing_list.id = campaign.list_id WHERE slug = ?"
    )
    ((number, at),) = one.sql(found, slug)
    one.sql(
        "UPDATE mail SET state = 'sent', due_at = ?, sent_at = ?, attempts = 1, wording_id = ("
        "SELECT max(id) FROM campaign_wording WHERE campaign_wording.campaign_id = "
        "mail.campaign_id AND campaign_wording.kind = 'ask') "
        "WHERE kind = 'ask' AND campaign_id = ?",
        *(at, at, number),
    )
    one.sql("UPDATE campaign SET state = 'open', opened_at = ? WHERE id = ?", at, number)


def _import(one: Installation, _: int) -> None:
    one.run("import", "news", "news.csv", ago=_BEFORE)


def _let_be_over(one: Installation, _: int) -> None:
    """Let the deadline have passed, and the pages not have been up: no job removes by itself."""
    one.run(*_launch("news", (_NOW - timedelta(days=1)).date()), ago=_BEFORE)
    _let_be_sent(one, "news")


def _expire(one: Installation, _: int) -> None:
    """Let nobody have answered."""
    one.run(*_EXPIRE)
    # What the jobs make of so many entries is no part of what is measured on them.
    with _working(one, "config.toml"):
        _wait(
            one,
            "SELECT (SELECT max(seq) FROM evidence) > COALESCE((SELECT CAST(value AS BIGINT) "
            "FROM meta WHERE key = 'tallied_upto'), 0)",
            most=_SETTLING,
        )


def _let_be_due(one: Installation, people: int) -> None:
    """Let a part of those who were removed be due for erasure, as `_purge` has it alone."""
    one.sql("UPDATE campaign SET closed_at = ? WHERE closed_at IS NOT NULL", _LONG_AGO)
    one.sql(
        "UPDATE contact SET status_at = ? WHERE id IN "
        "(SELECT id FROM contact WHERE status = 'removed' ORDER BY id LIMIT ?)",
        *(_LONG_AGO, people // _PART),
    )
    one.set("removed_days", 3660)


def _launch(slug: str, deadline: date, *more: str) -> tuple[str, ...]:
    return ("launch", slug, f"--deadline={deadline}", f"--attest={_ATTEST}", *_ACCEPTED, *more)


# Later, so that nothing is sent meanwhile.
_LAUNCH = _launch("news", _DEADLINE, f"--at={(_NOW + timedelta(days=20)).date()}")
_EXPIRE = ("expire", "news", "--despite-downtime")
_STAGES: dict[str, tuple[str, Callable[[Installation, int], None]]] = {
    "described": ("empty", _describe),
    "imported": ("described", _import),
    "launched": ("imported", lambda one, _: one.run(*_LAUNCH)),
    "over": ("imported", _let_be_over),
    "expired": ("over", _expire),
    "due": ("expired", _let_be_due),
}
"""Each stage: the one that it is made from, and how."""


# --- The works. ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A work, the stage that it begins at, and its command or how else it is done.

    `act` returns when it began, by time.monotonic.
    """

    name: str
    stage: str
    command: tuple[str, ...] = ()
    act: Callable[[Installation], float] | None = None
    is_for_sqlite: bool = False

    def run(self, one: Installation, most: float | None) -> tuple[float, str]:
        """Do it; return when it began, and what its command complained of."""
        if self.act:
            return self.act(one), ""
        began = time.monotonic()
        return began, one.attempt(*self.command, most=most)


def _rest(_: Installation) -> float:
    began = time.monotonic()
    time.sleep(_NOTHING)
    return began


def _purge(one: Installation) -> float:
    """Let a worker erase who is due, and wipe what is left of them."""
    # Now, since it names the database, of which each copy of an installation has its own.
    one.set("removed_days", 30, file="worker.toml")
    with _working(one, "worker.toml"):
        _wait(one, "SELECT NOT EXISTS (SELECT 1 FROM contact WHERE erased_at IS NOT NULL)")
        began = time.monotonic()
        _wait(
            one,
            "SELECT EXISTS (SELECT 1 FROM contact WHERE status = 'removed' "
            "AND erased_at IS NULL AND status_at <= ?)",
            _LONG_AGO,
        )
        _wait(one, "SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'wipe_owed')")
    return began


@contextlib.contextmanager
def _working(one: Installation, file: str) -> Iterator[None]:
    """Run `repermit worker` with the settings in this file."""
    with subprocess.Popen(
        one.command("worker", file=file),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **one.surroundings,
    ) as worker:
        try:
            yield
        finally:
            worker.terminate()


def _wait(one: Installation, is_waiting: str, *values: object, most: float = math.inf) -> None:
    until = time.monotonic() + most
    while one.sql(is_waiting, *values)[0][0] and time.monotonic() < until:
        time.sleep(0.1)


WORKS = (
    Work("nothing", "described", act=_rest),
    Work("import", "described", ("import", "news", "news.csv")),
    Work("launch", "imported", _LAUNCH),
    Work("cancel", "launched", ("cancel", "news")),
    Work("suppression", "imported", ("suppression", "import", "news", "suppressed.csv")),
    Work("undo", "imported", ("import", "news", "--undo")),
    Work("verify", "expired", ("verify",)),
    Work("purge", "due", act=_purge),
    Work("expire", "over", _EXPIRE),
    Work("backup", "expired", ("backup", "copy.db"), is_for_sqlite=True),
    Work("archive", "expired", ("archive", "news", "-o", "news.zip")),
    Work("export", "expired", ("export", "news", "removed", "-o", "removed.csv")),
    Work("check", "expired", ("check", "--recount")),
    Work("forget", "expired", ("forget", "news", "person.77@example77.org")),
)


# --- Measuring. ---------------------------------------------------------------------------------


def _measure(work: Work, prepared: Prepared, options: argparse.Namespace) -> int:
    """Print the line of a work; return how many requests failed meanwhile."""
    line = f"{work.name:14}{prepared.get(work.stage).tree.name:12}"
    alone, complaint = _measure_alone(work, prepared, options) if options.alone else ("", "")
    line += f"{alone:>9}"
    if not options.per_second:
        print(f"{line}  {complaint}".rstrip(), flush=True)
        return 0
    one = prepared.get(work.stage).copy("served")
    (last,) = one.sql("SELECT max(seq) FROM evidence")[0]
    with _serving(one) as port:
        load = {"port": port, "pace": options.per_second, **_requests(one)}
        with answer_load.sending(load) as process:
            time.sleep(_WARMING)
            began, complaint = work.run(one, options.most)
            ended = time.monotonic()
            requests = json.loads(process.communicate()[0])
    recorded = one.sql(
        "SELECT count(*) FROM evidence WHERE seq > ? AND list = 'asked' AND actor = 'person'", last
    )[0][0]
    one.drop()
    answered = sum(method == "POST" and seconds is not None for method, _, seconds, _ in requests)
    unrecorded: int = max(0, answered - recorded)
    during = [request for request in requests if began <= request[1] <= ended]
    print(
        f"{line}{ended - began:9.1f}"
        f"{answer_load.in_words(during, 'POST', unrecorded=unrecorded)}"
        f"{answer_load.in_words(during, 'GET')}  {complaint}",
        flush=True,
    )
    failed: int = sum(map(answer_load.has_failed, during))
    return unrecorded + failed


def _measure_alone(work: Work, prepared: Prepared, options: argparse.Namespace) -> tuple[str, str]:
    """Return the seconds of a work while nobody asks anything, and its command's complaint."""
    one = prepared.get(work.stage).copy("alone")
    with _serving(one):
        began, complaint = work.run(one, options.most)
        seconds = time.monotonic() - began
    one.drop()
    return f"{seconds:.1f}", complaint


@contextlib.contextmanager
def _serving(one: Installation) -> Iterator[int]:
    path = one.folder / "config.toml"
    with answering.serving(path, one.python, **one.surroundings) as port:
        yield port


def _requests(one: Installation) -> dict[str, Any]:
    """Return the answers to be given, and the pages to be looked at."""
    links = Links("", config_file.load_config(one.folder / "config.toml").secret_keys)
    rows = one.sql("SELECT uid FROM contact WHERE address LIKE 'asked.%' ORDER BY id")
    uids = [uid for (uid,) in rows]
    readers, people = uids[:_READERS], uids[_READERS:]
    first: list[tuple[Kind, str]] = [
        ("no" if number % 2 else "yes", uid) for number, uid in enumerate(people)
    ]
    # Who said Yes says No later. A Yes after a No would be asked for again.
    later: list[tuple[Kind, str]] = [("no", uid) for uid in people[::2]]
    return {
        "answers": [links.url(kind, uid) for kind, uid in (*first, *later)],
        "pages": [links.url(kind, uid) for uid in readers for kind in KINDS[:2]],
    }


if __name__ == "__main__":
    main()
