"""The stage of the demonstration: a folder, settings, a clock, an inbox, the pages."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from repermit.campaigns import launch, list_translations, mailing_lists, progress
from repermit.campaigns.campaign_results import LaunchProblem
from repermit.checks.website import look_at_reach
from repermit.clock import ManualClock, SystemClock
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.lists import MailingList
from repermit.db.suppression_journal import journal_of
from repermit.db.temporary_files import TemporaryFiles
from repermit.demo import sample_list
from repermit.demo.inbox import Inbox
from repermit.expiry import downtime
from repermit.imports import import_file
from repermit.imports.import_report import ImportResult
from repermit.settings.definitions import MailServer, Organisation, Settings, Web

SLUG = "linde"
DAYS = 28
_ACTOR = "demo"


@dataclass(frozen=True)
class Chapter:
    """One thing that happened, at a moment (aware UTC)."""

    at: datetime
    text: str


@dataclass(frozen=True)
class Stage:
    """Everything that plays a part; times on it are told by `clock`.

    `noted` is what happened and left nothing in the database.
    """

    settings: Settings
    clock: ManualClock
    inbox: Inbox
    database: Database
    mailing_list: MailingList
    imported: ImportResult
    noted: list[Chapter] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Note what has just happened."""
        self.noted.append(Chapter(self.clock.now(), text))

    def move_to_deadline(self) -> None:
        """Move the clock to a minute past the deadline, as if the pages had been up all along."""
        found = progress.read_status(
            self.mailing_list, settings=self.settings, now=self.clock.now()
        ).campaign
        if found is None or found.deadline < self.clock.now():
            return
        after = found.deadline + timedelta(minutes=1)
        downtime.record_heartbeat(self.database, now=self.clock.now())
        downtime.assume_up_until(self.database, moment=after)
        self.note(f"The clock of the demo was moved {DAYS} days on, past the deadline.")
        self.clock.move_to(after)


@contextmanager
def set_stage() -> Iterator[Stage]:
    """Build the stage in a temporary folder, launch a campaign on it, take it down at the end."""
    with ExitStack() as stack:
        files = _temporary_files()
        # What an earlier demo left that was killed.
        files.sweep()
        folder = stack.enter_context(files.folder_for("demo"))
        clock = ManualClock(SystemClock().now(), ticking=True)
        inbox = Inbox()
        inbox.start()
        stack.callback(inbox.stop)
        settings = _settings(folder, smtp_port=inbox.port, http_port=_free_port())
        journal = journal_of(settings)
        database = stack.enter_context(open_database(settings.database, journal=journal))
        migrations.upgrade_database(database)
        mailing_list = mailing_lists.add_list(
            database, SLUG, settings=settings, now=clock.now(), actor=_ACTOR, **sample_list.LIST
        )
        _describe(database, mailing_list, settings, clock)
        imported = _import(database, mailing_list, settings, clock, folder)
        _launch(database, mailing_list, settings, clock)
        yield Stage(settings, clock, inbox, database, mailing_list, imported)


def _temporary_files() -> TemporaryFiles:
    """Return where the folders of this user's demos are."""
    return TemporaryFiles(Path(tempfile.gettempdir()) / f"repermit-demo-{os.geteuid()}")


def _describe(
    database: Database, mailing_list: MailingList, settings: Settings, clock: ManualClock
) -> None:
    """Say in the other languages of the sample what people get."""
    for language, text in sample_list.TEXTS.items():
        list_translations.change_translation(
            database,
            mailing_list,
            language,
            settings=settings,
            now=clock.now(),
            actor=_ACTOR,
            **text,
        )


def _settings(folder: Path, *, smtp_port: int, http_port: int) -> Settings:
    return Settings(
        public_url=f"http://127.0.0.1:{http_port}",
        database=f"sqlite:///{folder / 'repermit.db'}",
        secret_keys=(secrets.token_bytes(32),),
        fingerprint_key=secrets.token_bytes(32),
        journal=folder / "suppressions.journal",
        organisation=Organisation(
            name="De Linde health centre",
            address="1 Lime Street\nLinden 1234",
            email="news@example.org",
            telephone="+31 30 123 45 67",
            website="https://www.example.org",
            officer="privacy@example.org",
            authority="Autoriteit Persoonsgegevens",
            authority_url="https://www.autoriteitpersoonsgegevens.nl",
        ),
        mail=MailServer(server="127.0.0.1", port=smtp_port, tls="none"),
        web=Web(port=http_port, checks_to_private=True),
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _import(
    database: Database,
    mailing_list: MailingList,
    settings: Settings,
    clock: ManualClock,
    folder: Path,
) -> ImportResult:
    older, newer = folder / "unsubscribed-before.csv", folder / "list.csv"
    older.write_text(sample_list.older_csv(), "utf-8")
    newer.write_text(sample_list.as_csv(), "utf-8")
    import_file.import_file(
        database, mailing_list, older, settings=settings, now=clock.now(), actor=_ACTOR
    )
    return import_file.import_file(
        database,
        mailing_list,
        newer,
        settings=settings,
        now=clock.now(),
        actor=_ACTOR,
        source="our own forms",
        attest=sample_list.CUSTOMERS,
    )


def _launch(
    database: Database, mailing_list: MailingList, settings: Settings, clock: ManualClock
) -> None:
    launch.launch(
        database,
        mailing_list,
        settings=settings,
        now=clock.now(),
        deadline=clock.now() + timedelta(days=DAYS),
        attest=sample_list.ATTEST,
        actor=_ACTOR,
        problems=[LaunchProblem(code=one.code, found=one.found) for one in look_at_reach(settings)],
        accepted={"pages_here_alone": sample_list.ACCEPTED},
    )
