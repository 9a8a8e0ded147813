"""The environment of the demonstration: sample list, folder, settings, clock and inbox."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from repermit.campaigns import launch, list_translations, mailing_lists, progress
from repermit.campaigns.result_types import CampaignStatus, LaunchProblem
from repermit.checks.answer_pages import check_public_url
from repermit.clock import ManualClock, SystemClock
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.lists import MailingList
from repermit.db.suppression_journal import make_journal
from repermit.demo.inbox import Inbox
from repermit.emails.sender_identity import join_sender
from repermit.expiry import downtime
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import LazyText, in_english
from repermit.imports import import_file
from repermit.imports.import_report import ImportResult
from repermit.package_files import find_asset, load_data
from repermit.settings.definitions import MailServer, Organisation, Settings, Web
from repermit.temporary_files import TemporaryFiles
from repermit.web.public.answer import make_unanswered_wording

SLUG = "linde"
DAYS = 28
# Long, as visitors of the demonstration have no password to unlock a session.
_IDLE_MINUTES = 12 * 60
ACTOR = "demo"

SAMPLE = load_data("demo/sample.toml")
"""The sample list, its translations, and the acts of its readers."""


@dataclass(frozen=True)
class StoryEvent:
    """An event of the story.

    - `at`: aware UTC.
    - `counts`: the numbers in its sentence, by their names in the template.
    """

    at: datetime
    what: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Demo:
    """A running demonstration.

    - `noted`: events that leave nothing in the database.
    """

    settings: Settings
    clock: ManualClock
    inbox: Inbox
    database: Database
    mailing_list: MailingList
    imported: ImportResult
    noted: list[StoryEvent] = field(default_factory=list)

    def note(self, what: str, **counts: int) -> None:
        """Add an event of now to the story."""
        self.noted.append(StoryEvent(self.clock.now(), what, counts))

    def read_status(self) -> CampaignStatus:
        """Return the status of the list and its campaign; the database must be open."""
        return progress.read_status(self.mailing_list, settings=self.settings, now=self.clock.now())

    def move_to_deadline(self) -> None:
        """Move the clock to a minute past the deadline, as if the pages had been up meanwhile."""
        campaign = self.read_status().campaign
        if campaign is None or campaign.deadline < self.clock.now():
            return
        past_deadline = campaign.deadline + timedelta(minutes=1)
        downtime.record_heartbeat(self.database, now=self.clock.now())
        downtime.assume_up_until(self.database, moment=past_deadline)
        self.note("clock_moved", days=DAYS)
        self.clock.move_to(past_deadline)


@contextmanager
def start_demo(language: str = "en") -> Iterator[Demo]:
    """Set up everything in a temporary folder, launch a campaign, and delete all at the end.

    - `language`: the language of the list and its sender, "en" or "nl".
    """
    words = {**SAMPLE, **SAMPLE.get(language, {})}
    with ExitStack() as stack:
        files = TemporaryFiles(Path(tempfile.gettempdir()) / f"repermit-demo-{os.geteuid()}")
        # Deletes what a killed demonstration left behind.
        files.sweep()
        folder = stack.enter_context(files.folder_for("demo"))
        clock = ManualClock(SystemClock().now(), ticking=True)
        inbox = Inbox()
        inbox.start()
        stack.callback(inbox.stop)
        settings = _make_settings(
            folder, words["organisation"], smtp_port=inbox.port, http_port=_find_free_port()
        )
        journal = make_journal(settings)
        database = stack.enter_context(open_database(settings.database, journal=journal))
        migrations.upgrade_database(database)
        mailing_list = _add_list(database, language, settings, clock)
        imported = _import(database, mailing_list, settings, clock, words)
        _launch_campaign(database, mailing_list, settings, clock, words)
        yield Demo(settings, clock, inbox, database, mailing_list, imported)


def _add_list(
    database: Database, language: str, settings: Settings, clock: ManualClock
) -> MailingList:
    """Add the sample list in a language, with its translations into all others."""
    sample = SAMPLE["list"]
    texts = {
        sample["language"]: {name: sample[name] for name in ("name", "purpose", "privacy_url")},
        **SAMPLE["translations"],
    }
    shared: dict[str, Any] = {"settings": settings, "now": clock.now(), "actor": ACTOR}
    sender = join_sender(settings.organisation.name, settings.organisation.email)
    own = {**texts.pop(language), "language": language, "sender": sender}
    mailing_list = mailing_lists.add_list(database, SLUG, **shared, **own)
    for other_language, text in texts.items():
        list_translations.change_translation(
            database, mailing_list, other_language, **shared, **text
        )
    return mailing_list


def _make_settings(folder: Path, organisation: str, *, smtp_port: int, http_port: int) -> Settings:
    return Settings(
        public_url=f"http://127.0.0.1:{http_port}",
        database=f"sqlite:///{folder / 'repermit.db'}",
        secret_keys=(secrets.token_bytes(32),),
        fingerprint_key=secrets.token_bytes(32),
        journal=folder / "suppressions.journal",
        organisation=Organisation(
            name=organisation,
            address="1 Lime Street\nLinden 1234",
            email="news@example.org",
            telephone="+31 30 123 45 67",
            website="https://www.example.org",
            officer="privacy@example.org",
            authority="Autoriteit Persoonsgegevens",
            authority_url="https://www.autoriteitpersoonsgegevens.nl",
        ),
        mail=MailServer(server="127.0.0.1", port=smtp_port, tls="none"),
        web=Web(port=http_port, checks_to_private=True, idle_minutes=_IDLE_MINUTES),
    )


def _find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _import(
    database: Database,
    mailing_list: MailingList,
    settings: Settings,
    clock: ManualClock,
    words: Mapping[str, Any],
) -> ImportResult:
    read_file = partial(
        import_file.import_file,
        database,
        mailing_list,
        settings=settings,
        now=clock.now(),
        actor=ACTOR,
    )
    read_file(find_asset("data/demo/unsubscribed-before.csv"))
    return read_file(
        find_asset("data/demo/list.csv"), source=words["source"], attest=words["customers"]
    )


def _launch_campaign(
    database: Database,
    mailing_list: MailingList,
    settings: Settings,
    clock: ManualClock,
    words: Mapping[str, Any],
) -> None:
    translate = catalogues.load_translations(mailing_list.language).gettext

    def render(text: LazyText) -> str:
        return text.render(translate, in_english)

    launch.launch(
        database,
        mailing_list,
        settings=settings,
        now=clock.now(),
        deadline=clock.now() + timedelta(days=DAYS),
        attest=words["attest"],
        actor=ACTOR,
        problems=[
            LaunchProblem(code=finding.code, found=finding.on_page(translate, str)[0])
            for finding in check_public_url(settings)
        ],
        accepted={"pages_here_alone": words["accepted"]},
        format_note=render,
        note_language=mailing_list.language,
        make_page_wording=partial(make_unanswered_wording, settings=settings, now=clock.now()),
    )
