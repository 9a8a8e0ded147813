"""The journal: before the commit and after, whole lines, from many processes at once."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from repermit import email_address
from repermit.db.suppression_journal import Journal, make_journal
from repermit.errors import JournalRefused
from tests.support.builders import make_settings

CHECK = email_address.compute_key_check(b"a-fingerprint-key-for-tests")


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "suppressions.journal", key_check=CHECK, timeout=0.05)


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return the lines behind the first one, which names the key, and but for which of them count.

    Those say from which octet to which, and these are whole lines before them.
    """
    octets = path.read_bytes()
    first, *others = map(json.loads, octets.splitlines())
    assert first == {"do": "key", "check": CHECK}
    for line in others:
        if line["do"] == "kept":
            counting = octets[line["from"] : line["to"]]
            assert counting.endswith(b"\n")
            assert all(json.loads(one) for one in counting.splitlines())
    return [line for line in others if line["do"] != "kept"]


def test_once_a_transaction_is_committed_its_lines_count(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    for number in (1, 2):
        journal.add_lines({"do": "suppress", "number": number})
        journal.before_commit()
        if number == 2:
            journal.after_commit()
        journal.discard_lines()
    octets = journal.path.read_bytes()
    kept = json.loads(octets.splitlines()[-1])
    assert kept["do"] == "kept"
    counting = octets[kept["from"] : kept["to"]]
    assert [json.loads(line) for line in counting.splitlines()] == [{"do": "suppress", "number": 2}]


def test_what_is_noted_stands_there_before_the_commit_and_the_rest_after(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.add_lines({"do": "suppress"})
    journal.add_lines_after_commit({"do": "lift"})
    assert not journal.path.exists()
    journal.before_commit()
    assert lines_of(journal.path) == [{"do": "suppress"}]
    journal.after_commit()
    assert lines_of(journal.path) == [{"do": "suppress"}, {"do": "lift"}]
    journal.before_commit()
    journal.after_commit()
    assert len(lines_of(journal.path)) == 2
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_what_was_rolled_back_is_forgotten(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.add_lines({"do": "suppress"})
    journal.add_lines_after_commit({"do": "lift"})
    journal.discard_lines()
    journal.before_commit()
    journal.after_commit()
    assert not journal.path.exists()


def test_a_transaction_of_very_many_holds_few_of_them_in_memory(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    line = {"do": "suppress", "fingerprint": "f" * 64}
    for _ in range(30_000):
        journal.add_lines(line)
    written = len(lines_of(journal.path))
    assert 10_000 < written < 30_000
    journal.before_commit()
    assert lines_of(journal.path) == [line] * 30_000


def test_a_line_that_a_killed_process_left_open_spoils_no_other(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.ensure_exists()
    with journal.path.open("a", encoding="utf-8") as file:
        file.write('{"do":"supp')
    journal.add_lines({"do": "lift"})
    journal.before_commit()
    assert journal.path.read_text("utf-8").splitlines()[1:] == ['{"do":"supp', '{"do":"lift"}']


def test_a_journal_that_cannot_be_written_stops_the_commit_but_not_what_is_after(
    tmp_path: Path,
) -> None:
    (tmp_path / "suppressions.journal").mkdir()
    journal = journal_in(tmp_path)
    journal.add_lines({"do": "suppress"})
    with pytest.raises(JournalRefused, match=r"suppressions.journal cannot be written \(Is a dir"):
        journal.before_commit()
    journal.discard_lines()
    journal.add_lines_after_commit({"do": "lift"})
    journal.after_commit()


def test_a_process_that_is_stopped_over_the_journal_is_not_waited_for_without_end(
    tmp_path: Path,
) -> None:
    journal = journal_in(tmp_path)
    journal.ensure_exists()
    with journal.path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(JournalRefused, match="cannot be written"):
            journal.ensure_exists()
    journal.ensure_exists()
    assert lines_of(journal.path) == []


_WRITES = """\
import sys
from pathlib import Path
from repermit.db.suppression_journal import Journal
journal = Journal(Path(sys.argv[1]), key_check=sys.argv[2])
for number in range(100):
    journal.add_lines(*({"do": "suppress", "by": sys.argv[3], "at": number} for _ in range(3)))
    journal.before_commit()
"""


def test_many_processes_write_whole_lines_and_each_its_transactions_together(
    tmp_path: Path,
) -> None:
    path = tmp_path / "suppressions.journal"
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITES, str(path), CHECK, str(number)])
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    lines = lines_of(path)
    assert len(lines) == 1200
    assert all(lines[at] == lines[at + 1] == lines[at + 2] for at in range(0, 1200, 3))
    for number in range(4):
        assert [line["at"] for line in lines[::3] if line["by"] == str(number)] == [*range(100)]


def test_the_settings_name_the_journal(tmp_path: Path) -> None:
    assert make_journal(make_settings()) is None
    journal = make_journal(make_settings(journal=tmp_path / "suppressions.journal"))
    assert journal is not None
    journal.ensure_exists()
    assert lines_of(journal.path) == []
