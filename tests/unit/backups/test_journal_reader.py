"""What journals say of who has left: what counts, in whatever order it was written."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.backups.journal_reader import JournalContents, ListAddress, read_journals
from repermit.clock import format_timestamp
from repermit.errors import Refused
from tests.support.builders import NOW
from tests.unit.db.test_suppression_journal import CHECK

JAN = ListAddress("news", "f" * 64)
KEY_LINE = {"do": "key", "check": CHECK}


def at(minutes: int) -> str:
    return format_timestamp(NOW + timedelta(minutes=minutes))


def left(minutes: int, **more: str) -> dict[str, str]:
    about = {"list": JAN.list, "fingerprint": JAN.fingerprint, "subject": "s" * 32}
    return {"do": "suppress", "at": at(minutes), **about, "reason": "no", **more}


def lifted(minutes: int) -> dict[str, str]:
    return {"do": "lift", "list": JAN.list, "fingerprint": JAN.fingerprint, "until": at(minutes)}


def erased() -> dict[str, str]:
    return {**left(0), "do": "erase"}


def backup(mark: str = "mark") -> dict[str, str]:
    return {"do": "backup", "mark": mark}


def journal(folder: Path, *files: list[dict[str, Any]], mark: str = "mark") -> JournalContents:
    paths = []
    for number, lines in enumerate(files):
        path = folder / f"{number}.journal"
        path.write_text("".join(json.dumps(line) + "\n" for line in (KEY_LINE, *lines)))
        paths.append(path)
    return read_journals(paths, mark=mark, key_check=CHECK)


@pytest.mark.parametrize(
    ("lines", "has_left"),
    [
        ([], False),
        ([left(1)], True),
        ([left(1), lifted(1)], False),
        ([left(1), lifted(1), left(2)], True),
        # The later No was quicker to be written than the lifting of the earlier one.
        ([left(1), left(2), lifted(1)], True),
        ([lifted(1), left(2)], True),
        # Once more while suppressed: the lifting is that of the later one, and ends both.
        ([left(1), left(2), lifted(2)], False),
        ([left(2), left(1), lifted(2)], False),
        ([left(1), lifted(1), left(3), lifted(3)], False),
        ([left(3), lifted(3), lifted(1)], False),
    ],
)
def test_who_has_left_is_told_by_moments_and_not_by_lines(
    tmp_path: Path, lines: list[dict[str, Any]], *, has_left: bool
) -> None:
    assert (JAN in journal(tmp_path, lines).departures) is has_left
    # As well when the lines are spread over two machines.
    assert (JAN in journal(tmp_path, lines[::2], lines[1::2]).departures) is has_left


def test_only_what_stands_behind_the_mark_of_the_backup_counts(tmp_path: Path) -> None:
    # The first line comes again where somebody has put two files together.
    before = [left(1), erased(), {"do": "forget", "sign_up": "u" * 32}, KEY_LINE, backup()]
    assert journal(tmp_path, before) == JournalContents(is_of_backup=True)
    assert JAN in journal(tmp_path, [*before, left(2)]).departures
    assert journal(tmp_path, [*before, left(2)]).departures[JAN].is_later
    # Of a copy that has no mark, and of another machine's journal, everything.
    for mark in ("", "another"):
        whole = journal(tmp_path, before, mark=mark)
        assert not whole.departures[JAN].is_later
        assert whole.erased == {JAN: "s" * 32}
        assert whole.sign_ups == {"u" * 32}
        # Whether it was there when the backup was made shows by its mark, where there is one.
        assert whole.is_of_backup is not bool(mark)


def test_the_same_backup_knows_what_another_one_behind_it_does_not_change(tmp_path: Path) -> None:
    assert JAN in journal(tmp_path, [backup(), left(1), backup("later")]).departures
    assert (
        JAN not in journal(tmp_path, [backup(), left(1), backup("later")], mark="later").departures
    )


def test_lines_that_were_cut_off_are_counted_and_left_out(tmp_path: Path) -> None:
    whole = json.dumps(left(1))
    path = tmp_path / "cut.journal"
    broken = [
        "{",
        '"suppress"',
        "[]",
        '{"do":"leave"}',
        '{"do":"lift"}',
        whole[:-20],
        "\xff",
        "[" * 100_000,
    ]
    path.write_text("\n".join([json.dumps(KEY_LINE), *broken, whole, ""]), "utf-8")
    found = read_journals([path], mark="", key_check=CHECK)
    assert found.unreadable == len(broken)
    assert JAN in found.departures


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no journal"),
        (json.dumps(left(1)), "is no journal"),
        (json.dumps({**KEY_LINE, "check": "0" * 64}), "under another fingerprint_key"),
    ],
)
def test_what_is_no_journal_of_this_key_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "other.journal"
    path.write_text(text, "utf-8")
    with pytest.raises(Refused, match=words):
        read_journals([path], mark="", key_check=CHECK)
