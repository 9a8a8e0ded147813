"""What a command finds when it starts: settings, database, clock, and who gives it.

May import everything below the command line.
"""

from __future__ import annotations

import os
import pwd
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from repermit.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from repermit.clock import Clock
    from repermit.config import Settings
    from repermit.models import Database, MailingList


@dataclass
class House:
    """One command's surroundings; nothing is read or opened before it is asked for."""

    config: str
    clock: Clock

    @cached_property
    def settings(self) -> Settings:
        """Return the settings; raises ConfigError."""
        from repermit import config

        return config.load(Path(self.config))

    @property
    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return self.clock.now()

    @property
    def actor(self) -> str:
        """Return who gives the command, as the evidence names it."""
        return f"cli:{login_name(os.getuid())}"

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open the database, brought to this version; raises Refused if it cannot be used."""
        from repermit import schema
        from repermit.models import open_database, stop_between_turns

        stop_between_turns()
        _make_private(self.settings.sqlite_path)
        with (
            _in_our_words(self.settings.sqlite_path),
            open_database(self.settings.database) as opened,
        ):
            schema.upgrade(opened)
            yield opened

    @contextmanager
    def mailing_list(self, slug: str) -> Iterator[tuple[Database, MailingList]]:
        """Open the database and find a list in it; raises NotFound."""
        from repermit.models import find_list

        with self.database() as opened:
            yield opened, find_list(slug)

    def when(self, text: str) -> datetime:
        """Read WHEN in the organisation's time zone; raises Refused."""
        from repermit.clock import parse_when

        return parse_when(text, self.settings.zone)

    def in_words(self, moment: datetime) -> str:
        """Return a moment as the admin reads it, in the organisation's time zone."""
        return moment.astimezone(self.settings.zone).strftime("%A %-d %B %Y, %H:%M")


pass_house = click.make_pass_decorator(House)


def login_name(uid: int) -> str:
    """Return a user's name, or the number where none is known, as in some containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _make_private(database: Path | None) -> None:
    """Make the file of a new SQLite database readable by its user alone.

    SQLite gives the files beside it (WAL and shared memory) the same permissions.
    """
    if database is not None and not database.exists():
        try:
            database.touch(mode=0o600)
        except OSError as error:
            raise Refused(f"the database {database} cannot be made: {error.strerror}") from None


@contextmanager
def _in_our_words(path: Path | None) -> Iterator[None]:
    """Translate what the database refuses: locked, not writable, not there, no database."""
    import peewee

    try:
        yield
    except peewee.PeeweeException as error:
        # The first line alone: PostgreSQL quotes values below it.
        words = str(error).strip().partition("\n")[0]
        which = f"the database {path}" if path else "the database"
        raise Refused(f"{which} cannot be used: {words}") from error
