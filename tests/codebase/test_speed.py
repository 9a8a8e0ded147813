"""What `python -m tests.speed` makes of what the benchmarks print."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import pytest

from tests import speed

Cells = tuple[str, ...]

BENCHES: Final = speed.list_benches(1_000_000, 60_000)

SENT: Final = """\
60,000 mails of about 3,000 octets, 16 connections

                                     mails/s   ratio
repermit, books kept                   6,000
smtp-source -d                        12,000    0.50
plain Flask-Mail loop                    600    10.0
the same with templates and books        100    60.0
the most that smtp-sink takes         24,000    0.25

the most is 40 times the plain loop

memory at most 78 MB; repermit kept 34% of a core busy, 202 µs for a mail

over a path of 20 ms                 mails/s   ratio   each connection
repermit, path of 20 ms                  320                      20.0
smtp-source -d, path of 20 ms            160    2.00              10.0
plain loop, path of 20 ms                  8    40.0               8.0
"""
SENT_BY_WORKERS: Final = """\
60,000 mails on PostgreSQL, 16 connections each

                                     mails/s   ratio
1 worker                               3,000
2 workers                              4,500    1.50
smtp-source -d                        12,000    0.38
"""
IMPORTED: Final = """\
1,000,000 rows, 48 MB

                              rows/s   seconds
repermit import               10,000     100.0
sqlite3 .import               80,000      12.5
repermit / sqlite3              0.13

memory at most, MB         importing   reading  together
                                  65         0        65

"""
WORKED: Final = """\
1,000,000 people, SQLite

work          tree          alone s
launch        repermit         40.0
suppression   repermit         12.5
expire        repermit          0.4  exit code 1 there is no campaign
"""
VERIFIED: Final = """\
1,100,001 entries with 2,900,001 parts; appended 2,858/s
verify                35.0 s   30.2 s of the processor, 74 MB
path of one entry      1.1 ms  5.8 ms at most
until it is found      0.1 s   entry 1650 was edited
"""
ASKED_FOR: Final = """\
ms: median, 95%, worst                               before the launch         while sending
  account.show                                        18    566    795      12     14     14

                                                 median ms  pages asked for
slowest page before the launch                         100  385; it is help.show_index
slowest page while sending                           1,000  228; it is campaign_page.show
slowest page while expiring                            200  570; it is mail_wording.show
slowest page after the end                              92  285; it is dashboard.show
"""
STARTED: Final = """\
python -c pass     0.015 s
repermit --help    0.150 s   10.0 times that
"""
NOTHING: Final = ("–", "–", "–")
SAMPLES: Final[list[tuple[str, list[Cells]]]] = [
    (
        SENT,
        [
            ("6,000 mails/s", "smtp-source -d", "12,000 mails/s", "0.50"),
            ("6,000 mails/s", "the most that smtp-sink takes", "24,000 mails/s", "0.25"),
            ("320 mails/s", "smtp-source -d, path of 20 ms", "160 mails/s", "2.00"),
        ],
    ),
    (SENT, [("6,000 mails/s", "smtp-source -d", "12,000 mails/s", "0.50")]),
    (
        SENT_BY_WORKERS,
        [
            ("3,000 mails/s", "smtp-source -d", "12,000 mails/s", "0.25"),
            ("4,500 mails/s", "smtp-source -d", "12,000 mails/s", "0.38"),
            ("4,500 mails/s", "1 worker", "3,000 mails/s", "1.50"),
        ],
    ),
    (IMPORTED, [("10,000 rows/s", "sqlite3 .import", "80,000 rows/s", "0.12")]),
    (
        WORKED,
        [
            ("40 s", "the aim", "30 s", "0.75"),
            ("12.5 s", "the aim", "15 s", "1.20"),
            ("not measured: no figure", *NOTHING),
        ],
    ),
    (VERIFIED, [("35 s", *NOTHING), ("1.1 ms", *NOTHING)]),
    (
        ASKED_FOR,
        [
            ("100 ms", "the aim", "200 ms", "2.00"),
            ("1,000 ms", "the aim", "200 ms", "0.20"),
            ("200 ms", "the aim", "200 ms", "1.00"),
            ("92 ms", "the aim", "200 ms", "2.17"),
        ],
    ),
    (STARTED, [("0.15 s", "python -c pass", "0.015 s", "0.10")]),
]
"""What each benchmark prints, in their order, and its rows from the figure on."""


def cells_of(rows: Sequence[speed.Row], figures: dict[str, float], reason: str = "") -> list[Cells]:
    """Return the cells of each row as they are written."""
    return [
        tuple(row.removeprefix("| ").removesuffix(" |").split(" | "))
        for row in speed.write_rows(rows, figures, reason)
    ]


def test_rows_are_made_of_what_a_benchmark_prints() -> None:
    for rows, (printed, expected) in zip(BENCHES.values(), SAMPLES, strict=True):
        cells = cells_of(rows, speed.read_figures(printed))
        assert [row[2:] for row in cells] == expected


@pytest.mark.parametrize(
    ("people", "size", "beside"),
    [
        (1_000_000, "100,000 addresses", ("the aim", "15 s", "1.50")),
        (500_000, "50,000 addresses", NOTHING),
    ],
)
def test_an_aim_stands_beside_its_own_size_alone(people: int, size: str, beside: Cells) -> None:
    rows = next(
        rows for name, rows in speed.list_benches(people, 100).items() if name.startswith("waits")
    )
    cells = cells_of(rows, {"suppression": 10})
    assert cells[1] == ("suppression file", size, "10 s", *beside)


def test_a_benchmark_that_cannot_run_says_why_in_its_rows(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    arguments, rows = list(BENCHES.items())[1]
    reason = "there is no smtp-sink; on Debian it comes with postfix"
    assert cells_of(rows, *speed.run_bench(arguments)) == [
        ("sending, signed (DKIM)", "60,000 mails", f"not measured: {reason}", *NOTHING)
    ]
    assert reason in capfd.readouterr().out


def test_the_page_says_on_what_machine_and_of_which_commit() -> None:
    assert re.search(
        r"^- The machine: .+, \d+ cores, \d+ GiB of memory; files on \w+\.\n"
        r"- Python 3\.[\d.]+, SQLite 3\.[\d.]+, (no PostgreSQL|PostgreSQL [\d.]+)\.\n"
        r"- \d+ [A-Z][a-z]+ 2\d\d\d, commit `[0-9a-f]{7,}`; load average before it \d+\.\d\.\n",
        speed.PAGE.read_text("utf-8"),
        re.MULTILINE,
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize(("arguments", "rows"), speed.list_benches(1_000, 200).items())
def test_every_benchmark_prints_the_figures_of_its_rows(
    arguments: str, rows: list[speed.Row]
) -> None:
    figures, reason = speed.run_bench(arguments)
    if reason.startswith("there is no "):
        pytest.skip(reason)
    lines = {line for row in rows for line in (row.line, row.beside) if line}
    assert lines - figures.keys() == set()
