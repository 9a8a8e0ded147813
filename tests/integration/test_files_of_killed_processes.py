"""What a killed process has half written goes at the next start or command, or by an erasure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest

from repermit.db.models.accounts import User
from repermit.db.models.imports import Upload
from repermit.imports import row_preview, uploads
from repermit.rules.consent import Reason
from repermit.temporary_files import make_temporary_files
from tests.support.admin_pages import make_admin
from tests.support.builders import NOW, make_asked, make_campaign, make_removed
from tests.support.desk import Desk
from tests.support.public_pages import freeze_wording

pytestmark = pytest.mark.processes_uncounted

JAN = "jan@example.org"

# Kills itself at the n-th act upon files after the first half-written one came to be.
_KILLED = """\
import os, signal, sys
at, seen, has_begun = int(sys.argv.pop(1)), 0, False
def look(event, arguments):
    global seen, has_begun
    if event in ("open", "os.rename", "os.remove", "os.mkdir", "tempfile.mkstemp", "import"):
        has_begun = has_begun or ".unfinished-" in str(arguments[0])
        seen += has_begun
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(look)
"""
_COMMAND = f"{_KILLED}from repermit.__main__ import main\nmain()\n"
_UPLOAD = """\
import os, signal, sys
from pathlib import Path
from repermit.settings import config_file
from repermit.imports import uploads
from repermit.clock import SystemClock
from repermit.db.connection import open_database
from repermit.db.models.accounts import User
from repermit.db.models.lists import find_list
class Broken:
    pieces = [b"E-mail\\n", b"jan@example.org\\n" * 5000]
    def read(self, size):
        if self.pieces:
            return self.pieces.pop(0)
        if sys.argv[2] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        print("half", flush=True)
        sys.stdin.readline()
        return b""
settings = config_file.load_config(Path(sys.argv[1]))
with open_database(settings.database) as database:
    uploads.keep_upload(database, find_list("news"), Broken(), name="list.csv",
        user_id=User.get().id, settings=settings, now=SystemClock().now())
"""
_LOOK = f"""\
{_KILLED}
from pathlib import Path
from repermit.settings import config_file
from repermit.imports import read_upload
from repermit.clock import SystemClock
from repermit.imports.uploads import Choices
from repermit.db.connection import open_database
from repermit.db.models.lists import find_list
settings = config_file.load_config(Path(sys.argv[1]))
with open_database(settings.database) as database:
    read_upload.start_reading(database, find_list("news"), choices=Choices(), settings=settings,
        now=SystemClock().now(), actor="user:1")
"""


@pytest.fixture
def closed(desk: Desk) -> Desk:
    """Return a desk whose list has somebody to be written into every kind of file."""
    desk.add_news(language="nl")
    with desk.news() as (database, news):
        make_admin(database)
        campaign = make_campaign(database, news)
        freeze_wording(database, campaign, news, "nl")
        make_asked(database, news, campaign, "zoe@example.org")
        make_removed(database, news, Reason.NO, JAN)
        campaign.state, campaign.closed_at = "closed", NOW
        campaign.save()
    return desk


def run(desk: Desk, code: str, *arguments: str) -> int:
    """Run Python with a folder of its own for temporary files; return how it ended."""
    scratch = desk.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        check=False,
    ).returncode


def half_written(desk: Desk) -> list[Path]:
    return [one for one in desk.folder.rglob("*") if "unfinished-" in one.name]


def holding(desk: Desk, text: str) -> list[str]:
    """Return the files in a desk's folder that hold a text, apart from the database's."""
    return sorted(
        str(one.relative_to(desk.folder))
        for one in desk.folder.rglob("*")
        if one.is_file() and text.encode() in one.read_bytes()
        if not one.name.startswith("repermit.db")
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "command",
    [
        ("archive", "news", "-o", "news.zip"),
        ("export", "news", "removed", "-o", "removed.csv"),
        ("export", "news", "removed", "-o", "removed.xlsx"),
        ("export", "news", "removed", "--format", "xlsx"),
        ("proof", "news", JAN, "-o", "jan.json"),
        ("report", "news", "-o", "report.html"),
        ("suppression", "export", "news", "-o", "suppressed.csv"),
        ("backup", "backup.db"),
    ],
    ids=" ".join,
)
def test_what_a_killed_command_half_wrote_goes_at_the_next_command(
    closed: Desk, command: tuple[str, ...]
) -> None:
    *words, last = command
    target = closed.folder / last
    words = [*words, str(target) if "." in last else last]
    found: list[Path] = []
    for at in (2, 4, 7):
        ended = run(closed, _COMMAND, str(at), "--config", str(closed.config), *words)
        found += half_written(closed)
        if ended == 0:
            target.unlink(missing_ok=True)
            target.with_suffix(".html").unlink(missing_ok=True)
            break
        assert ended == -signal.SIGKILL
        closed.do("status", "news")
        assert half_written(closed) == []
        # Killed after its last step, a file has its name, and is whole.
        target.unlink(missing_ok=True)
        assert holding(closed, JAN) == []
    assert found
    assert list((closed.folder / "scratch").iterdir()) == []


def test_an_erasure_takes_half_written_files_along(closed: Desk) -> None:
    target = closed.folder / "news.zip"
    command = ("--config", str(closed.config), "archive", "news", "-o", str(target))
    assert run(closed, _COMMAND, "9", *command) == -signal.SIGKILL
    assert half_written(closed)
    said = closed.do("forget", "news", JAN)
    assert half_written(closed) == []
    assert "half a file" not in said


def test_an_erasure_names_a_file_that_is_being_written(closed: Desk) -> None:
    target = closed.folder / "news.zip"
    with make_temporary_files(closed.settings).file_for(target) as part:
        part.write_text(JAN)
        said = closed.do("forget", "news", JAN)
        assert f"{part}: a program is writing this file now" in said
        assert part.read_text() == JAN
    assert target.read_text() == JAN


def test_an_erasure_names_what_cannot_be_deleted(
    closed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = make_temporary_files(closed.settings).folder
    notes.mkdir(mode=0o700)
    part = closed.folder / ".news.zip.unfinished-0123456789abcdef"
    part.mkdir()
    (notes / "0").write_bytes(os.fsencode(part))

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("shutil.rmtree", refuse)
    assert f"{part}: half a file that a program left" in closed.do("forget", "news", JAN)


def test_half_an_upload_is_no_file_and_goes_at_the_next_command(closed: Desk) -> None:
    assert run(closed, _UPLOAD, str(closed.config), "kill") == -signal.SIGKILL
    assert half_written(closed)
    with closed.news() as (_, news):
        assert Upload.select().exists()
        assert uploads.find_upload(news, settings=closed.settings) is None
    closed.do("status", "news")
    assert half_written(closed) == []
    assert holding(closed, JAN) == []
    said = closed.do("forget", "news", JAN)
    assert "waits to be taken in" not in said
    with closed.database():
        assert not Upload.select().exists()


def test_an_erasure_leaves_an_upload_under_way_to_its_process(closed: Desk) -> None:
    command = [sys.executable, "-c", _UPLOAD, str(closed.config), "wait"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "half\n"
        (part,) = half_written(closed)
        said = closed.do("forget", "news", JAN)
        assert "waits to be taken in; it goes within a day" in said
        assert f"{part}: a program is writing this file now" in said
        running.communicate("go on\n")
    with closed.news() as (_, news):
        kept = uploads.find_upload(news, settings=closed.settings)
        assert kept
        assert kept.path.read_bytes().count(JAN.encode()) == 5000


@pytest.mark.exhaustive
def test_what_a_killed_look_at_an_upload_left_hides_nobody_from_an_erasure(closed: Desk) -> None:
    with closed.news() as (database, news):
        uploads.keep_upload(
            database,
            news,
            BytesIO(f"E-mail\n{JAN}\n".encode()),
            name="list.csv",
            user_id=User.get().id,
            settings=closed.settings,
            now=NOW,
        )
    killed = 0
    for at in (2, 4, 6, 8, 10, 12, 1000):
        ended = run(closed, _LOOK, str(at), str(closed.config))
        assert ended in {0, -signal.SIGKILL}
        killed += ended == -signal.SIGKILL and bool(half_written(closed))
        if ended == 0:
            break
        with closed.news() as (database, news):
            # What is there is whole.
            kept = uploads.find_upload(news, settings=closed.settings)
            assert kept
            assert not kept.rows.exists() or row_preview.read(kept.rows)
    assert killed
    assert "may have held it, and is deleted" in closed.do("forget", "news", JAN)
    assert half_written(closed) == []
    assert holding(closed, JAN) == []
