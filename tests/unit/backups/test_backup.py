"""A backup: consistent while others write, private, checked, and never written over anything."""

from __future__ import annotations

import errno
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from repermit.backups.backup import check_copy
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.errors import Refused
from repermit.evidence.entries import Checkpoint
from repermit.rules.consent import Reason
from tests.support.builders import make_list, make_removed
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk
from tests.unit.db.test_suppression_journal import lines_of


def test_a_backup_is_one_private_file_that_is_sound_and_says_what_it_lacks(desk: Desk) -> None:
    desk.add_news()
    path = desk.folder / "backup.db"
    said = desk.do("backup", str(path))
    assert "does not hold the journal: copy that along" in said
    assert "It holds people who may be erased later" in said
    assert path.stat().st_mode & 0o777 == 0o600
    assert not list(desk.folder.glob("backup.db?*"))
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert opened.execute("SELECT slug FROM mailing_list").fetchall() == [("news",)]
        (mark,) = opened.execute("SELECT value FROM meta WHERE key = 'backup_mark'").fetchone()
        seq, head = opened.execute("SELECT seq, hash FROM evidence_head").fetchone()
    assert f"It ends with entry {seq:,} of the evidence, {head}." in said
    assert lines_of(desk.folder / "suppressions.journal") == [{"do": "backup", "mark": mark}]
    with desk.database():
        (entry,) = Evidence.select().where(Evidence.event == "backed_up")
        assert entry.actor.startswith("cli:")
        part = EvidencePart.get(EvidencePart.seq == entry.seq)
        assert part.json == f'{{"file":"backup.db","mark":"{mark}"}}'


def test_a_backup_is_of_one_moment_however_much_is_written_meanwhile(desk: Desk) -> None:
    with desk.database() as database:
        news = make_list(database)
        for number in range(300):
            make_removed(database, news, Reason.NO, f"person{number}@example.org")
    path = desk.folder / "backup.db"
    command = [str(REPERMIT), "--config", str(desk.config), "backup", str(path)]
    with desk.database() as database:
        copying = subprocess.Popen(command)
        number = 300
        while copying.poll() is None:
            make_removed(database, news, Reason.NO, f"person{number}@example.org")
            number += 1
    assert copying.returncode == 0
    with closing(sqlite3.connect(path)) as opened:
        counts = (
            "SELECT COUNT(*) FROM contact WHERE status = 'removed'",
            "SELECT COUNT(*) FROM suppression",
            "SELECT COUNT(*) FROM evidence WHERE event = 'removed'",
        )
        (removed,), (suppressed,), (told,) = (opened.execute(one).fetchone() for one in counts)
    assert removed == suppressed == told >= 300


def test_nothing_is_written_over_and_nothing_half_done_is_left(desk: Desk) -> None:
    path = desk.folder / "backup.db"
    path.write_text("another one")
    assert "exists already" in desk.refused("backup", str(path))
    assert path.read_text() == "another one"
    path.unlink()
    # What is beside it is nobody's hindrance.
    (desk.folder / "backup.db.part").touch()
    desk.do("backup", str(path))
    path.unlink()
    nowhere = desk.folder / "nowhere" / "backup.db"
    assert f"{nowhere} cannot be made: No such file" in desk.refused("backup", str(nowhere))


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Refuse what is written beyond, as a disk that is full does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_backup_for_which_there_is_no_room_is_refused(desk: Desk) -> None:
    desk.add_news()
    assert (desk.folder / "repermit.db").stat().st_size > 150_000
    with no_file_larger_than(150_000):
        said = desk.refused("backup", str(desk.folder / "backup.db"))
    assert "backup.db cannot be made: " in said
    assert not list(desk.folder.glob("backup.db*"))


def test_a_backup_names_what_cannot_be_made_beside_the_database(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, **_: object) -> None:
        # Root, whom no permission stops, is stopped by a disk that is read-only.
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    notes, other_disk = desk.folder / "repermit.db.unfinished", tmp_path / "other"
    other_disk.mkdir()
    monkeypatch.setattr(Path, "mkdir", refuse)
    said = desk.refused("backup", str(other_disk / "backup.db"))
    assert f"{notes} cannot be made: Read-only file system" in said


def test_a_copy_that_is_damaged_or_lacks_its_entry_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.add_news()
    path = desk.folder / "backup.db"
    desk.do("backup", str(path))
    check_copy(path)
    missing = Checkpoint(seq=1, hash="0" * 64, root="0" * 64)
    with pytest.raises(Refused, match="lacks the newest entry"):
        check_copy(path, missing)
    whole = path.read_bytes()
    (tmp_path / "cut.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises((Refused, sqlite3.Error)):
        check_copy(tmp_path / "cut.db")
    damaged = tmp_path / "damaged.db"
    with closing(sqlite3.connect(damaged)) as opened:
        opened.executescript("CREATE TABLE t (x TEXT); INSERT INTO t VALUES (NULL);")
        opened.execute("PRAGMA writable_schema = ON")
        opened.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE t (x TEXT NOT NULL)'")
        opened.commit()
    with pytest.raises(Refused, match=r"is damaged: NULL value in t\.x"):
        check_copy(damaged)
