"""An admin's desk: a folder with config.toml, a clock, and the command line in this process."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from repermit.cli import main
from repermit.clock import ManualClock
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.lists import MailingList, find_list
from repermit.db.suppression_journal import make_journal
from repermit.settings import config_file
from repermit.settings.definitions import Settings
from repermit.web.application import create_app
from tests.support.builders import NOW, make_list, make_settings
from tests.support.inbox import Inbox, Received
from tests.support.scripted_smtp_server import ScriptedServer
from tests.support.smtp_sink import Sink

if TYPE_CHECKING:
    from flask.testing import FlaskClient

ATTEST = "Decided by the board on 1 March; addresses from our own forms; none of them opted out."
ACCEPTED = tuple(
    text
    for code in (
        *("database_readable", "keys_readable", "mx_none", "spf_none"),
        *("pages_no_name", "pages_here_alone", "pages_unreachable"),
    )
    for text in ("--accept", f"{code}=a test on this machine alone")
)
"""What a launch by a process of its own finds wrong here: there is no DNS and nobody's website."""

LINK = re.compile(r"https://ask\.example\.org(/(?:yes|no|me)/\S+)")


@dataclass(frozen=True)
class Ran:
    """What a command did: its exit code, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Return the one JSON document that stands on stdout."""
        return json.loads(self.out)


class Desk:
    """`run` gives a command, `clock` tells its time, `settings` are what config.toml says."""

    def __init__(
        self, folder: Path, *, database_url: str, inbox: Inbox | ScriptedServer | Sink
    ) -> None:
        self.folder = folder
        self.clock = ManualClock(NOW)
        self.config = folder / "config.toml"
        self.config.write_text(_config(database_url, inbox), "utf-8")

    @property
    def settings(self) -> Settings:
        return config_file.load_config(self.config)

    def run(self, *arguments: str) -> Ran:
        """Give a command as somebody at a shell would; its exit code is as it may be."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main(["--config", str(self.config), *arguments], clock=self.clock)
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, _written(out), _written(err))

    def do(self, *arguments: str) -> str:
        """Give a command that is expected to be done; return its output."""
        ran = self.run(*arguments)
        assert ran.code == 0, ran.err
        return ran.out

    def refused(self, *arguments: str) -> str:
        """Give a command that is expected to be refused; return the reason."""
        ran = self.run(*arguments)
        assert (ran.code, ran.out) == (1, ""), ran
        return ran.err

    def misused(self, *arguments: str) -> str:
        """Give a command that is wrong usage; return what is said about it."""
        ran = self.run(*arguments)
        assert (ran.code, ran.out) == (2, ""), ran
        return ran.err

    @contextlib.contextmanager
    def database(self) -> Iterator[Database]:
        """Open the desk's database."""
        settings = self.settings
        with open_database(settings.database, journal=make_journal(settings)) as opened:
            migrations.upgrade_database(opened)
            yield opened

    @contextlib.contextmanager
    def news(self) -> Iterator[tuple[Database, MailingList]]:
        """Open the database and its list `news`."""
        with self.database() as opened:
            yield opened, find_list("news")

    def take_over(self, folder: Path) -> None:
        """Begin with the files of another desk: its database, and the journal of it."""
        ours = shutil.ignore_patterns(self.config.name)
        shutil.copytree(folder, self.folder, ignore=ours, dirs_exist_ok=True)

    def add_news(self, **overrides: Any) -> None:
        """Add the list `news`, ready for a launch."""
        with self.database() as opened:
            make_list(opened, **overrides)

    def file(self, *rows: str, name: str = "list.csv") -> str:
        """Write a file of these lines into the folder; return its path."""
        path = self.folder / name
        path.write_text("\n".join(rows) + "\n", "utf-8")
        return str(path)

    @contextlib.contextmanager
    def pages(self) -> Iterator[FlaskClient]:
        """Serve the public pages to a client in this process, until the next command."""
        app = create_app(self.settings, clock=self.clock)
        with app.test_client() as client:
            yield client


def links_of(mail: Received) -> dict[str, str]:
    """Return the paths of a mail's links by their kind: yes, no, me."""
    body = mail.message.get_body(("plain",))
    assert body is not None
    return {path.split("/")[1]: path for path in LINK.findall(body.get_content())}


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def _config(database_url: str, inbox: Inbox | ScriptedServer | Sink) -> str:
    usual = make_settings()
    organisation = "\n".join(
        f"{name} = {json.dumps(value)}" for name, value in vars(usual.organisation).items()
    )
    return f"""
public_url = "{usual.public_url}"
database = "{database_url}"
secret_keys = ["{usual.secret_keys[0].decode()}"]
fingerprint_key = "{usual.fingerprint_key.decode()}"
[organisation]
{organisation}
[mail]
server = "{inbox.host}"
port = {inbox.port}
tls = "none"
"""
