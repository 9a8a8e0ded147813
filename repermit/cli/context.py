"""The context of a command: settings, database, clock, and the user who runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from pwd import getpwuid
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

import click

from repermit.errors import Refused
from repermit.garbage_collection import heap_frozen

if TYPE_CHECKING:
    from repermit.clock import Clock
    from repermit.db.connection import Database
    from repermit.db.models.lists import MailingList
    from repermit.settings.definitions import Settings

_NICENESS = 5


@dataclass
class CommandContext:
    """The context of one command; files and the database are opened on first use."""

    config: str
    clock: Clock
    _opened: Database | None = None

    @cached_property
    def file(self) -> Settings:
        """Return the settings of config.toml alone; raises ConfigError."""
        from repermit.settings import config_file

        return config_file.load_config(Path(self.config))

    @cached_property
    def settings(self) -> Settings:
        """Return the settings of config.toml, completed by those chosen on the admin pages.

        They are read once, on first use. Raises ConfigError, and Refused if the database cannot be
        used.
        """
        from repermit.db.connection import open_database
        from repermit.db.suppression_journal import make_journal
        from repermit.setting_overrides import current_settings

        if self._opened is not None:
            return current_settings.read_current_settings(self.file, self._opened)
        path = self.file.sqlite_path
        if path is not None and not path.exists():
            return self.file
        journal = make_journal(self.file)
        with translate_os_error(path), open_database(self.file.database, journal=journal) as opened:
            return current_settings.read_current_settings(self.file, opened)

    @property
    def now(self) -> datetime:
        """Return the present moment, aware UTC."""
        return self.clock.now()

    @property
    def actor(self) -> str:
        """Return the user who runs the command, as an actor of the evidence."""
        from repermit.evidence.entries import make_login_actor

        return make_login_actor(os.getuid())

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Open the database and migrate it to this version; raises Refused if it cannot be used."""
        from repermit.db import migrations
        from repermit.db.connection import open_database
        from repermit.db.journal_seal import require_nothing_noted
        from repermit.db.suppression_journal import make_journal
        from repermit.db.write_lock import stop_between_turns
        from repermit.evidence import evidence_key
        from repermit.suppression import suppressions
        from repermit.temporary_files import make_temporary_files

        stop_between_turns()
        path = self.file.sqlite_path
        with self.hold_presence():
            # A file that a killed command or server left half written may hold a whole list.
            make_temporary_files(self.file).sweep()
            journal = make_journal(self.file)
            if path is not None and not path.exists():
                require_nothing_noted(journal)
                _make_private(path)
            with (
                translate_os_error(path),
                open_database(self.file.database, journal=journal) as opened,
            ):
                migrations.upgrade_database(opened)
                suppressions.require_known_key(opened, self.file)
                evidence_key.note_key(opened, self.file, now=self.now, actor=self.actor)
                self._opened = opened
                try:
                    with heap_frozen():
                        yield opened
                finally:
                    self._opened = None

    def lower_priority(self) -> None:
        """Lower this process's priority, so that answers go first on a busy machine.

        Only for commands that write little: a slow writer would hold the database's write lock for
        longer.
        """
        lower = max(_NICENESS, os.getpriority(os.PRIO_PROCESS, 0))
        os.setpriority(os.PRIO_PROCESS, 0, lower)

    @contextmanager
    def hold_presence(self) -> Iterator[None]:
        """Keep the database from being restored during the block.

        Raises Refused while a restore is running, and as `require_owner` does.
        """
        from repermit.db.write_lock import share_database

        self.require_owner()
        with share_database(self.file.sqlite_path):
            yield

    def require_owner(self) -> None:
        """Refuse root where the files are another user's, whose server could not open root's."""
        if os.geteuid() != 0:
            return
        for path in filter(None, (self.file.sqlite_path, self.file.journal)):
            owner = path.stat().st_uid if path.exists() else 0
            if owner and owner != _find_owner_of_new_files(path.parent, owner):
                user = _name_user(owner)
                raise Refused(
                    f"{path} belongs to {user}, and what root makes beside it, {user} could not "
                    f"open: give the command as {user} (`sudo -u {user} …`)"
                )

    def check_journal(self) -> None:
        """Check, before anybody answers, that the journal can be written; raises JournalRefused."""
        from repermit.db.suppression_journal import make_journal

        journal = make_journal(self.file)
        assert journal is not None  # noqa: S101  settings that come from a file have one
        journal.ensure_exists()

    @contextmanager
    def mailing_list(self, slug: str) -> Iterator[tuple[Database, MailingList]]:
        """Open the database and find a list in it; raises NotFound."""
        from repermit.db.models.lists import find_list

        with self.database() as opened:
            yield opened, find_list(slug)

    def parse_time(self, text: str) -> datetime:
        """Parse a time in the organisation's time zone; raises Refused."""
        from repermit.clock import parse_when

        return parse_when(text, self.settings.zone)

    def parse_future_time(self, text: str) -> datetime:
        """Parse a time that must be in the future; raises Refused."""
        time = self.parse_time(text)
        if time <= self.now:
            raise Refused(f"{text} has passed: it was {self.format_time(time)}")
        return time

    def format_time(self, moment: datetime) -> str:
        """Format a timestamp for the admin, in the organisation's time zone."""
        return moment.astimezone(self.settings.zone).strftime("%A %-d %B %Y, %H:%M")


pass_command_context = click.make_pass_decorator(CommandContext)


def _find_owner_of_new_files(folder: Path, default: int) -> int:
    """Return the owner of a file that this process makes; some file systems map users."""
    try:
        with TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_uid
    except OSError:
        return default


def _name_user(number: int) -> str:
    try:
        return getpwuid(number).pw_name
    except KeyError:
        return f"'#{number}'"


def _make_private(database: Path) -> None:
    """Create the file of a new SQLite database so that only its owner can read it.

    SQLite gives its WAL and shared-memory files the same permissions.
    """
    try:
        database.touch(mode=0o600)
    except OSError as error:
        raise Refused(f"the database {database} cannot be made: {error.strerror}") from None


@contextmanager
def translate_os_error(path: Path | None) -> Iterator[None]:
    """Raise Refused for a database error: locked, not writable, missing, no database."""
    import peewee

    try:
        yield
    except peewee.PeeweeException as error:
        # Only the first line: PostgreSQL quotes values in the others.
        message = str(error).strip().partition("\n")[0]
        database = f"the database {path}" if path else "the database"
        raise Refused(f"{database} cannot be used: {message}") from error
