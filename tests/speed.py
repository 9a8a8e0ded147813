"""Write how fast repermit is, and beside what, into docs/develop/speed.md.

`python -m tests.speed` runs the benchmarks of `tests/bench/` one after the other, on a machine that
does nothing else. `--people` and `--mails` make a smaller run. The rows of a benchmark that cannot
run say why. Databases and files are made in the folder for temporary files ($TMPDIR).
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from repermit.clock import SystemClock
from tests.support.postgresql_cluster import find_binaries

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/develop/speed.md"

_TABLE = "<!-- python -m tests.speed writes what follows. -->\n"
_PEOPLE = 1_000_000
_AIMS = (30, 15, 60, 200)  # of so many people: launch, suppression file and expiry in s; page in ms
_FAR = 4_000
_SUPPRESSED = 10  # one in so many, as waits.py has it
_FIGURE = re.compile(r"([\d,.]+)(?: s| ms)?")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    `line` is what the benchmark's line with the figure begins with; `beside` is that of the line to
    compare with, or an aim in the same `unit`.
    """

    what: str
    size: str
    line: str
    unit: str
    beside: str | float | None = None


def list_benches(people: int, mails: int) -> dict[str, list[Row]]:
    """Return the rows that each benchmark gives, by its arguments, in the order of the table."""
    far = min(mails, _FAR)
    sizes = f"--mails={mails} --far={far}"
    sent, rate = f"{mails:,} mails", "mails/s"
    ours, source, path = "repermit, books kept", "smtp-source -d", "path of 20 ms"
    everybody, answers = f"{people:,} people", f"{people:,} answers"
    suppressed = f"{people // _SUPPRESSED:,} addresses"
    launch, suppression, expiry, page = _AIMS if people == _PEOPLE else (None,) * len(_AIMS)
    return {
        f"send.py {sizes}": [
            Row("sending", sent, ours, rate, source),
            Row("sending", sent, ours, rate, "the most that smtp-sink takes"),
            Row(
                f"sending, {path}", f"{far:,} mails", f"repermit, {path}", rate, f"{source}, {path}"
            ),
        ],
        f"send.py --signed {sizes}": [Row("sending, signed (DKIM)", sent, ours, rate, source)],
        f"send.py --workers=2 {sizes}": [
            Row("sending, PostgreSQL, 1 worker", sent, "1 worker", rate, source),
            Row("sending, PostgreSQL, 2 workers", sent, "2 workers", rate, source),
            Row("sending, PostgreSQL, 2 workers", sent, "2 workers", rate, "1 worker"),
        ],
        f"import.py --rows={people} --per-second=0": [
            Row("import", f"{people:,} rows", "repermit import", "rows/s", "sqlite3 .import")
        ],
        f"waits.py --people={people} --alone --per-second=0 "
        "--only=launch --only=suppression --only=expire": [
            Row("launch", everybody, "launch", "s", launch),
            Row("suppression file", suppressed, "suppression", "s", suppression),
            Row("expiry", everybody, "expire", "s", expiry),
        ],
        f"verify.py --entries={people}": [
            Row("verify the record", answers, "verify", "s"),
            Row("find the path of one entry", answers, "path of one entry", "ms"),
        ],
        f"pages.py --people={people}": [
            Row(f"the admin's {line}", everybody, line, "ms", page)
            for line in (
                "slowest page before the launch",
                "slowest page while sending",
                "slowest page while expiring",
                "slowest page after the end",
            )
        ],
        "help.py": [
            Row("repermit --help", "median of 20", "repermit --help", "s", "python -c pass")
        ],
    }


def run_bench(arguments: str) -> tuple[dict[str, float], str]:
    """Run a benchmark, and show what it prints; return its figures, and why it has none."""
    sys.stdout.write(f"\n{arguments}\n")
    command = [sys.executable, "-u", *f"tests/bench/{arguments}".split()]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as bench:
        for line in bench.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line)
    if bench.returncode:
        return {}, lines[-1].strip() if lines else f"exit code {bench.returncode}"
    return read_figures("".join(lines)), ""


def read_figures(printed: str) -> dict[str, float]:
    """Return the first figure of each line, by what the line begins with.

    Two spaces or more stand between the cells of a line.
    """
    figures = {}
    for line in printed.splitlines():
        first, *cells = re.split(r" {2,}", line.strip())
        found = next(filter(None, map(_FIGURE.fullmatch, cells)), None)
        # So ends a line of waits.py whose command failed.
        if found and "exit code" not in line:
            figures[first] = float(found[1].replace(",", ""))
    return figures


def write_rows(rows: Sequence[Row], figures: dict[str, float], reason: str = "") -> Iterator[str]:
    """Yield the rows; `reason` says why there are no figures."""
    for row in rows:
        ours = figures.get(row.line)
        if isinstance(row.beside, str):
            beside, other = row.beside, figures.get(row.beside)
        else:
            beside, other = "the aim", row.beside
        cells = [row.what, row.size]
        if ours is None:
            cells += [f"not measured: {reason or 'no figure'}", *"–––"]
        elif other is None:
            cells += [_format(ours, row.unit), *"–––"]
        else:
            ratio = ours / other if row.unit.endswith("/s") else other / ours
            cells += [_format(ours, row.unit), beside, _format(other, row.unit), f"{ratio:.2f}"]
        yield f"| {' | '.join(cells)} |"


def _format(figure: float, unit: str) -> str:
    return f"{figure:,.0f} {unit}" if figure >= 100 else f"{figure:.3g} {unit}"


def describe_machine() -> str:
    """Return the machine, the software, the day, the commit, and how busy others keep it."""
    info = Path("/proc/cpuinfo").read_text("utf-8")
    model = re.search(r"^model name\s*: (.+)", info, re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    files = _output("df", "--output=fstype", tempfile.gettempdir()).split()[-1]
    binaries = find_binaries()
    found = _output(str(binaries / "postgres"), "--version").split() if binaries else []
    today = SystemClock().now()
    commit = _output("git", "describe", "--always", "--dirty", "--exclude=*").strip()
    return (
        f"- The machine: {model[1] if model else platform.machine()}, {os.cpu_count()} cores, "
        f"{memory:.0f} GiB of memory; files on {files}.\n"
        f"- Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        f"{f'PostgreSQL {found[2]}' if found else 'no PostgreSQL'}.\n"
        f"- {today.day} {today:%B %Y}, commit `{commit}`; "
        f"load average before it {os.getloadavg()[0]:.1f}.\n"
    )


def _output(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main() -> int:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.speed")
    parser.add_argument("--people", type=int, default=_PEOPLE)
    parser.add_argument("--mails", type=int, default=60_000)
    options = parser.parse_args()
    machine = describe_machine()
    lines = ["| what | size | figure | beside | its figure | ratio |", "|---|---|--:|---|--:|--:|"]
    for arguments, rows in list_benches(options.people, options.mails).items():
        lines += write_rows(rows, *run_bench(arguments))
    head, _, _ = PAGE.read_text("utf-8").partition(_TABLE)
    PAGE.write_text(f"{head}{_TABLE}\n{machine}\n" + "\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
