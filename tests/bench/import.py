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
   were due; so whoever waits for the merge counts with all of the wait, as people do. Left out
   with `--per-second 0`.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import answering

from repermit import package_files
from repermit.clock import SystemClock
from repermit.db import migrations
from repermit.db.connection import open_database
from repermit.db.models.lists import MailingList, find_list
from repermit.imports import import_file
from repermit.settings import config_file

_SECONDS_BEFORE = 10
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
        if options.per_second:
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
            # A name has no digits, which might be of a remark: such a one is looked at longer.
            name = f"Jan de {chr(65 + number % 26)}{'aeiou'[number % 5]}{number % 7 * 'r'}s"
            file.write(f"person.{number}@example{number % 1000}.org,{name},nl\n")
    return path


def _init(folder: Path) -> Path:
    """Make an installation with one list, and return its config.toml."""
    folder.mkdir()
    path = folder / "config.toml"
    example = package_files.find_asset("config.example.toml").read_text("utf-8")
    path.write_text(package_files.make_fresh_config(example), "utf-8")
    settings = config_file.load_config(path)
    with open_database(settings.database) as database:
        migrations.upgrade_database(database)
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
    settings = config_file.load_config(configuration)
    with open_database(settings.database) as database:
        began = time.perf_counter()
        import_file.import_file(
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
    paths = answering.make_campaign(config_file.load_config(configuration))
    with answering.serving(configuration) as port:
        before = answering.answer_while(
            lambda: time.sleep(_SECONDS_BEFORE), port, paths, per_second=per_second
        )
        during = answering.answer_while(
            lambda: _measure_import(configuration, file), port, paths, per_second=per_second
        )
    answering.print_title(per_second)
    answering.print_times("before the import", before)
    answering.print_times(f"during it ({during.seconds:.1f} s)", during)


if __name__ == "__main__":
    main()
