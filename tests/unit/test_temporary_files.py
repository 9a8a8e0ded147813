"""Half-written files: private, found by whoever comes next, and never deleted while in use."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from repermit.errors import Refused
from repermit.temporary_files import (
    TemporaryFiles,
    UnfinishedFile,
    find_folder,
    make_temporary_files,
)
from tests.support.builders import make_settings

_HOLDING = """\
import sys
from pathlib import Path
from repermit.temporary_files import TemporaryFiles
with TemporaryFiles(Path(sys.argv[1])).file_for(Path(sys.argv[2])) as part:
    part.write_text("jan@example.org")
    print(part, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def files(notes: Path) -> TemporaryFiles:
    return TemporaryFiles(notes)


@pytest.fixture
def holder(notes: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield another process that has half written `target`, and finishes once it hears a line."""
    command = [sys.executable, "-c", _HOLDING, str(notes), str(tmp_path / "target")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield running


def part_of(holder: subprocess.Popen[str]) -> Path:
    assert holder.stdout is not None
    return Path(holder.stdout.readline().strip())


def test_a_file_gets_its_name_once_it_is_whole(files: TemporaryFiles, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("before")
    with files.file_for(target) as part:
        assert part.parent == tmp_path
        assert part.name.startswith(".target.unfinished-")
        assert part.stat().st_mode & 0o777 == 0o600
        part.write_text("after")
        assert target.read_text() == "before"
    assert target.read_text() == "after"
    assert [one.name for one in tmp_path.rglob("*")] == ["target", "notes"]


def test_of_what_fails_nothing_is_left(files: TemporaryFiles, tmp_path: Path) -> None:
    target = tmp_path / "target"
    with suppress(RuntimeError), files.file_for(target) as part:
        part.with_name(f"{part.name}-journal").write_text("SQLite's")
        raise RuntimeError
    with suppress(RuntimeError), files.folder_for("upload") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "list.csv").write_text("jan@example.org")
        raise RuntimeError
    with suppress(FileNotFoundError), files.file_for(tmp_path / "nowhere" / "target"):
        raise AssertionError
    assert [one.name for one in tmp_path.rglob("*")] == ["notes"]


def test_what_a_living_process_writes_is_named_and_left_alone(
    files: TemporaryFiles, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    part = part_of(holder)
    assert files.sweep() == (UnfinishedFile(part, is_in_use=True),)
    assert part.read_text() == "jan@example.org"
    holder.communicate("go on\n")
    assert (tmp_path / "target").read_text() == "jan@example.org"
    assert files.sweep() == ()


def test_what_a_dead_process_wrote_is_deleted(
    files: TemporaryFiles, holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    part = part_of(holder)
    for ending in ("-journal", "-wal", "-shm"):
        Path(f"{part}{ending}").write_text("jan@example.org")
    holder.kill()
    holder.wait()
    assert part.exists()
    assert files.sweep() == ()
    assert [one.name for one in tmp_path.rglob("*")] == ["notes"]


def test_no_file_is_lost_to_somebody_who_sweeps_meanwhile(
    files: TemporaryFiles, tmp_path: Path
) -> None:
    is_over = threading.Event()

    def sweep() -> None:
        while not is_over.is_set():
            files.sweep()

    sweeping = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in sweeping:
        thread.start()
    try:
        for number in range(100):
            with files.file_for(tmp_path / str(number)) as part:
                part.write_text(str(number))
    finally:
        is_over.set()
        for thread in sweeping:
            thread.join()
    assert [(tmp_path / str(number)).read_text() for number in range(100)] == [
        str(number) for number in range(100)
    ]


@pytest.mark.parametrize("name", ["precious", ".precious.unfinished-", ".x.unfinished-012345678"])
def test_a_note_that_names_anything_else_deletes_nothing(
    files: TemporaryFiles, notes: Path, tmp_path: Path, name: str
) -> None:
    precious = tmp_path / name
    precious.write_text("precious")
    notes.mkdir(mode=0o700)
    (notes / "0").write_bytes(os.fsencode(precious))
    (notes / "1").write_bytes(b".relative.unfinished-0123456789abcdef")
    (notes / "2").write_bytes(b"")
    assert files.sweep() == ()
    assert precious.read_text() == "precious"
    assert list(notes.iterdir()) == []


def test_a_link_in_place_of_a_file_leads_to_no_deletion(
    files: TemporaryFiles, notes: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("precious")
    link = tmp_path / ".x.unfinished-0123456789abcdef"
    link.symlink_to(precious)
    notes.mkdir(mode=0o700)
    (notes / "0").write_bytes(os.fsencode(link))
    assert files.sweep() == ()
    assert not link.is_symlink()
    assert (precious / "file").read_text() == "precious"


def test_what_cannot_be_deleted_is_named(
    files: TemporaryFiles, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = tmp_path / ".x.unfinished-0123456789abcdef"
    part.write_text("jan@example.org")
    notes.mkdir(mode=0o700)
    (notes / "0").write_bytes(os.fsencode(part))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        assert files.sweep() == (UnfinishedFile(part, is_in_use=False),)
    # It is tried again.
    assert files.sweep() == ()
    assert not part.exists()


def test_a_folder_of_notes_that_others_may_open_is_refused(
    files: TemporaryFiles, notes: Path, tmp_path: Path
) -> None:
    notes.mkdir()
    notes.chmod(0o770)
    with pytest.raises(Refused, match="only this server's user may open"):
        files.sweep()
    with (
        pytest.raises(Refused, match="only this server's user may open"),
        files.file_for(tmp_path / "x"),
    ):
        raise AssertionError


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"database": "sqlite:////srv/repermit.db"}, "/srv/repermit.db.unfinished"),
        (
            {"database": "postgresql://", "journal": Path("/srv/suppressions.journal")},
            "/srv/suppressions.journal.unfinished",
        ),
    ],
)
def test_notes_and_uploads_stand_where_a_restart_leaves_them_and_every_service_sees_them(
    changes: dict[str, object], expected: str
) -> None:
    """A service of systemd with PrivateTmp sees another /tmp than the next, or than a command."""
    settings = make_settings(**changes)
    assert make_temporary_files(settings).folder == Path(expected)
    assert find_folder(settings, "uploads") == Path(expected).with_suffix(".uploads")


def test_a_long_name_is_cut(files: TemporaryFiles, tmp_path: Path) -> None:
    target = tmp_path / ("ü" * 120)
    with files.file_for(target) as part:
        part.write_text("whole")
    assert target.read_text() == "whole"


def test_a_note_that_cannot_be_read_is_named(
    files: TemporaryFiles, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.mkdir(mode=0o700)
    (notes / "0").touch()

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert files.sweep() == (UnfinishedFile(notes / "0", is_in_use=False),)


def test_a_note_that_has_just_gone_is_of_nothing(
    files: TemporaryFiles, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes.mkdir(mode=0o700)
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "0"]))
    assert files.sweep() == ()


def test_without_a_journal_notes_stand_with_the_machines_temporary_files() -> None:
    folder = make_temporary_files(make_settings(database="postgresql://")).folder
    assert folder.name.startswith("repermit-")
    assert folder.name.endswith(".unfinished")
