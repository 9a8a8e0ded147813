"""Starting something from the command line: init, serve, demo."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from repermit.cli import main
from repermit.settings import config_file
from tests.support.command_tree import REPERMIT
from tests.support.desk import Desk
from tests.support.serve_process import Serving


def status_of(url: str) -> int:
    """Get a page of this machine; return its status."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", parts.path)
        return connection.getresponse().status


# --- init.


def test_init_makes_settings_and_database_for_its_user_alone(desk: Desk) -> None:
    (desk.folder / "repermit.db").unlink()
    desk.config.unlink()
    shown = desk.do("init")
    assert f"Made {desk.config} with fresh keys" in shown
    database = desk.settings.sqlite_path
    assert database == desk.folder / "repermit.db"
    assert [one.stat().st_mode & 0o777 for one in (desk.config, database)] == [0o600, 0o600]
    assert desk.do("list", "add", "news", "--name", "News").startswith("Added news.\n")


def test_every_init_makes_other_keys(desk: Desk) -> None:
    keys = set()
    for _ in range(2):
        desk.config.unlink()
        desk.do("init")
        keys |= {*desk.settings.secret_keys, desk.settings.fingerprint_key}
    assert len(keys) == 4


def test_init_never_changes_what_is_there(desk: Desk) -> None:
    before = desk.config.read_bytes()
    assert "exists already; nothing was changed" in desk.refused("init")
    assert desk.config.read_bytes() == before


def test_init_beside_the_journal_of_an_earlier_installation_makes_nothing(desk: Desk) -> None:
    """Its keys are not those of the journal, so nobody who left would be recognised."""
    desk.config.unlink()
    journal = desk.folder / "suppressions.journal"
    journal.write_text('{"do":"key","check":""}\n{"do":"launch"}\n', "utf-8")
    before = sorted(desk.folder.iterdir())
    assert f"{journal} tells of people" in desk.refused("init")
    assert sorted(desk.folder.iterdir()) == before


def test_init_where_nothing_can_be_written_is_refused(desk: Desk) -> None:
    desk.config = desk.folder / "nowhere" / "config.toml"
    assert "cannot be written: No such file or directory" in desk.refused("init")


def test_what_init_makes_explains_every_setting(desk: Desk) -> None:
    desk.config.unlink()
    desk.do("init")
    text = desk.config.read_text("utf-8")
    assert all(f"{key.rpartition('.')[2]} = " in text for key in config_file.list_known_keys())


# --- serve.


@pytest.fixture
def serving(desk: Desk) -> Iterator[Serving]:
    desk.add_news()
    with Serving(desk) as running:
        yield running


@pytest.mark.everyday("[15]")
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_until_it_is_told_to_stop(serving: Serving, sign: signal.Signals) -> None:
    assert status_of(f"{serving.url}healthz") == 200
    assert "https://ask.example.org" in serving.says
    code, log = serving.end(sign)
    assert code == 0
    assert "Traceback" not in log
    assert "apscheduler" not in log


def test_serve_does_not_start_twice_at_one_place(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        reason = desk.refused("serve", "--port", str(port))
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in reason


@pytest.mark.exhaustive
def test_serve_at_a_place_that_is_not_here_is_refused(desk: Desk) -> None:
    command = [str(REPERMIT), "--config", str(desk.config), "serve", "--host", "no such host"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "port 8000: there is no such address on this machine" in done.stderr


# --- demo.


def test_the_demo_plays_a_whole_campaign(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["demo", "--once"])
    assert "every number adds up: yes" in capfd.readouterr().out


@pytest.mark.exhaustive
def test_the_demo_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(
        [str(REPERMIT), "demo"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as running:
        assert running.stdout
        says = [running.stdout.readline() for _ in range(4)]
        assert "running on this machine" in says[0]
        assert status_of(says[3].split()[-1]) == 200
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
    assert list(tmp_path.iterdir()) == []
