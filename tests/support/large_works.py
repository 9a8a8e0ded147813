"""Every kind of large work, on an installation where people answer.

Whoever does the work, a command or the worker of the server, is stopped once the work is seen to be
under way; then a harm is done. In the end the work has to be done, and nothing may be lost. Imports
repermit, and runs it as processes.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from peewee import OperationalError

from repermit.clock import ManualClock, SystemClock
from repermit.db.background_tasks import BackgroundTask
from repermit.db.connection import proxy
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart
from repermit.db.models.imports import Import, ImportChange
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.row_counts import ContactCount, HeldCount, MailCount, Tally, find_drift
from repermit.db.secure_delete import request_wiping
from repermit.evidence.verify.counts import TALLIED_UPTO
from repermit.rules.consent import (
    CampaignState,
    Dropped,
    MailKind,
    MailState,
    Reason,
    Status,
)
from repermit.setting_overrides.change_settings import SettingsInput, save_settings
from repermit.setting_overrides.current_settings import SETTINGS_VERSION_KEY, read_versions
from repermit.signed_links import Kind, Links
from tests.support.desk import ACCEPTED, ATTEST, Desk
from tests.support.serve_process import Serving
from tests.support.slow_repermit import FEW_ENTRIES

MANY = 1500
"""People on a list for works that are quick with each."""

ENTRIES = 1200
"""Entries of the record at least, once people were taken off."""

PEOPLE = 1200
"""People on a list for works that append an entry for each, or more."""

Harm = Callable[["Site", int], None]
"""A harm to an installation; the number is that of the process that works, which is stopped."""

_PART = 2  # one in so many is suppressed
_ASKED = PEOPLE - PEOPLE // _PART
_CHANGES = 2 * PEOPLE
_FEW = 100  # of whom each has a proof of their own, which takes long
_PER_SECOND = 10  # answers
_ANSWERING = 2500
_PATIENCE = 180.0  # seconds; a loaded machine may need some
_HOUR = timedelta(hours=1)
_TRIES = 20
_SHARE = (0.02, 0.2)  # of a work, to be done before it is harmed; three harms leave some of it
_SLICE = 0.005  # seconds at most that a process goes on between two looks
_PROGRAM = (sys.executable, "-P", str(Path(__file__).with_name("slow_repermit.py")))
_UNSENT = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

_log = logging.getLogger(__name__)


# --- Answers. -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Press:
    """A person's answer."""

    uid: str
    kind: Kind


class Answering:
    """People who answer, a few a second, from `with` to its end.

    `recorded` are those who were told 200, and when.

    Whose press failed is not asked again, since nobody knows whether it was recorded; but for a
    server that is not there.
    """

    def __init__(self, port: int, links: Links) -> None:
        self.recorded: list[tuple[Press, datetime]] = []
        self.failures: Counter[str] = Counter()
        self._port = port
        self._links = links
        self._presses: deque[Press] = deque()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._answer) for _ in range(8)]

    def add(self, uids: list[str]) -> None:
        """Let these people answer next: every other one says Yes, and No at the end."""
        presses = [Press(uid, "no" if n % 2 else "yes") for n, uid in enumerate(uids)]
        self._presses.extendleft(presses)

    def _answer(self) -> None:
        while not self._over.wait(len(self._threads) / _PER_SECOND):
            with suppress(IndexError):
                self._press(self._presses.popleft())

    def _press(self, press: Press) -> None:
        try:
            status = self._post(press)
        except ConnectionRefusedError:
            self._presses.appendleft(press)
        except (OSError, http.client.HTTPException) as error:
            self.failures[type(error).__name__] += 1
        else:
            if status != http.HTTPStatus.OK:
                self.failures[str(status)] += 1
                return
            self.recorded.append((press, SystemClock().now()))
            if press.kind == "yes":
                self._presses.append(Press(press.uid, "no"))

    def _post(self, press: Press) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            path = self._links.url(press.kind, press.uid)
            connection.request("GET", path)
            page = connection.getresponse()
            # That of a Yes is the longest.
            numbers = re.findall(rb'name="number" value="([^"]*)"', page.read())
            if page.status != http.HTTPStatus.OK:
                return page.status
            number = max(numbers, key=len, default=b"").decode()
            connection.request("POST", path, f"number={number}", _FORM)
            answer = connection.getresponse()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


# --- The works. ---------------------------------------------------------------------------------


class Ends(Enum):
    """What brings a work to its end once its process is killed."""

    BY_TASK = "the worker, which finds the work's row in `background_task`"
    BY_STATE = "the worker, which sees in the tables what is left"
    GIVEN_AGAIN = "the admin, who gives the command again"


@dataclass(frozen=True)
class Work:
    """A large work on a list.

    - `ends`: what brings it to its end after a kill.
    - `command`: how it is given; None for what the worker begins by itself.
    - `count`: what moves while it is under way; `size`: by how much in all, or at least.
    - `is_done`: whether it has come to its end. `prepare`: what is done before.
    """

    name: str
    ends: Ends
    command: Callable[[Site], list[str]] | None
    is_done: Callable[[Site], bool]
    count: Callable[[Site], int]
    size: int
    prepare: Callable[[Site], None] = lambda _: None
    is_for_sqlite: bool = False


def _repermit(*words: str) -> Callable[[Site], list[str]]:
    """Return how to give a command; `{file}` and `{person}` are other ones each time."""

    def command(site: Site) -> list[str]:
        number = site.chance.randrange(PEOPLE // _PART) * _PART + 1
        site.person = f"person.{number}@example{number % 100}.org"
        site.file = site.desk.folder / f"{site.slug}-{next(site.numbers)}"
        names = {"list": site.slug, "folder": site.desk.folder}
        texts = (word.format(**names, file=site.file, person=site.person) for word in words)
        return [*_PROGRAM, "--config", str(site.desk.config), *texts]

    return command


def _has_task(site: Site) -> bool:
    tasks = BackgroundTask.select().join(MailingList).where(MailingList.slug == site.slug)
    return bool(tasks.exists())


def _count(site: Site, *conditions: Any) -> int:
    of_list = Contact.select().join(MailingList).where(MailingList.slug == site.slug)
    return int(of_list.where(*conditions).count())


def _count_mails(site: Site, *conditions: Any) -> int:
    of_list = Mail.select().join(MailingList).where(MailingList.slug == site.slug)
    return int(of_list.where(*conditions).count())


def _count_unfinished(site: Site) -> int:
    """Count the files that hold something and are not at their place yet."""
    files = site.desk.folder.glob(f".{site.slug}*.unfinished-*")
    sizes = []
    for file in files:
        with suppress(FileNotFoundError):
            sizes.append(file.stat().st_size)
    return sum(size > 0 for size in sizes)


def _count_calls(command: str) -> Callable[[Site], int]:
    """Return what counts the calls that slow commands of this name have told of."""

    def count(site: Site) -> int:
        calls = site.desk.folder / f"{command}.calls"
        return calls.stat().st_size if calls.exists() else 0

    return count


def _is_imported(site: Site) -> bool:
    stands = (
        Import.select().where(Import.list == site.mailing_list, Import.undone_at.is_null()).exists()
    )
    return bool(stands) and _count(site) == MANY


def _is_undone(site: Site) -> bool:
    imports = Import.select().where(Import.list == site.mailing_list)
    return _count(site) == 0 and not imports.where(Import.undone_at.is_null()).exists()


def _count_changes(site: Site) -> int:
    of_list = ImportChange.select().join(Import).join(MailingList)
    return int(of_list.where(MailingList.slug == site.slug).count())


def _is_deleted(site: Site) -> bool:
    return not MailingList.select().where(MailingList.slug == site.slug).exists()


def _count_suppressions(site: Site) -> int:
    return int(Suppression.select().where(Suppression.list == site.mailing_list).count())


def _is_suppressed(site: Site) -> bool:
    gone = _count(site, Contact.status == Status.REMOVED, Contact.reason == Reason.REQUEST)
    is_whole = gone == _count_suppressions(site) == PEOPLE // _PART
    # Whatever was killed: all of it by one act, as if nothing had been.
    imports = _parts(site, "suppressions_imported")
    told = [(one["added"], one["known"], one["removed"]) for one in imports]
    return is_whole and told == [(gone, 0, gone)]


def _parts(site: Site, event: str) -> list[dict[str, Any]]:
    """Return what the record says of events of this kind on the list."""
    parts = (
        EvidencePart.select(EvidencePart.json)
        .join(Evidence, on=EvidencePart.seq == Evidence.seq)
        .where(Evidence.event == event, Evidence.list == site.slug)
    )
    return [json.loads(one.json) for one in parts]


def _is_launched(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    if campaign is None:
        return False
    asks = int(Mail.select().where(Mail.campaign == campaign).count())
    entries = Evidence.select().where(
        Evidence.campaign == campaign.id, Evidence.event == "launched"
    )
    return asks == _count(site, Contact.status == Status.UNCONFIRMED) and int(entries.count()) == 1


def _let_be_in_doubt(site: Site) -> None:
    """Let every other ask be one of which nobody knows whether it was sent."""
    with site.desk.database() as database, database.atomic():
        Mail.update(state=MailState.IN_DOUBT).where(
            Mail.list == site.mailing_list, Mail.state == MailState.QUEUED, Mail.id.bin_and(1) == 0
        ).execute()


def _is_resolved(site: Site) -> bool:
    """Say whether all were decided on, and each of them by one entry."""
    failed = _count_mails(site, Mail.state == MailState.FAILED)
    decided = sum(part["mails"] for part in _parts(site, "resolved"))
    return not _count_mails(site, Mail.state == MailState.IN_DOUBT) and 0 < failed == decided


def _is_cancelled(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    has_ended = campaign is not None and campaign.state == CampaignState.CANCELLED
    is_unsent = Mail.state.in_(_UNSENT), Mail.kind == MailKind.ASK
    return has_ended and not _count_mails(site, *is_unsent)


def _is_expired(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    return campaign is not None and campaign.state == CampaignState.CLOSED


def _is_forgotten(site: Site) -> bool:
    return _count(site, Contact.address == site.person) == 0


def _is_purged(site: Site) -> bool:
    # Whoever takes a Yes back may have done so since.
    is_due = (Contact.status == Status.REMOVED) & (Contact.reason != Reason.WITHDRAWN)
    return _count(site, is_due, Contact.erased_at.is_null()) == 0 and _is_wiped(site)


def _request_wiping(site: Site) -> None:
    with site.desk.database() as database, database.atomic():
        request_wiping()


def _is_wiped(_: Site) -> bool:
    return Meta.get_or_none(Meta.key == "wipe_owed") is None


def _let_nothing_be_tallied(site: Site) -> None:
    """Let the worker begin with the first entry again."""
    with site.desk.database() as database, database.atomic():
        Meta.write(TALLIED_UPTO, "0")
        Tally.delete().execute()
        site.entries = EvidenceHead.get().seq


def _read_tallied(_: Site) -> int:
    return Meta.read_number(TALLIED_UPTO) or 0


def _is_tallied(site: Site) -> bool:
    return _read_tallied(site) >= site.entries


def _let_be_miscounted(site: Site) -> None:
    with site.desk.database() as database, database.atomic():
        for counts in (ContactCount, MailCount, HeldCount):
            counts.update(count=counts.count + 1).execute()


def _is_counted(_: Site) -> bool:
    return find_drift(proxy.obj) == 0


def _count_reminders(site: Site) -> int:
    return _count_mails(site, Mail.kind == MailKind.REMINDER)


def _is_reminded(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    return campaign is not None and bool(campaign.reminded_at) and _count_reminders(site) == MANY


def _exports_suppressions(site: Site) -> bool:
    return site.file.exists() and len(json.loads(site.file.read_text())) == PEOPLE // _PART


def _is_archived(site: Site) -> bool:
    """Say whether the archive is there; one that is half there would not be readable."""
    path = site.file.with_suffix(".zip")
    if not path.exists():
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None and "suppressions.csv" in archive.namelist()


def _exports_all(site: Site) -> bool:
    removed = _count(site, Contact.status == Status.REMOVED, Contact.erased_at.is_null())
    return site.file.exists() and 0 < len(json.loads(site.file.read_text())) <= removed


def _is_copied(site: Site) -> bool:
    return site.file.exists()


def _let_have_changed_many(site: Site) -> None:
    """Let an import that was taken back have changed people who have left the list since."""
    with site.desk.database() as database, database.atomic():
        record = Import.get(Import.list == site.mailing_list)
        change = {"record": record, "status": Status.UNCONFIRMED, "status_at": record.at}
        for first in range(0, _CHANGES, PEOPLE):
            numbers = range(first, first + PEOPLE)
            ImportChange.insert_many([{**change, "contact": n} for n in numbers]).execute()


def _import(site: Site) -> None:
    site.add_list()
    site.do("import", site.slug, str(site.desk.folder / "many.csv"))


def _let_answer(site: Site) -> None:
    """Let some of those answer whose asks are being dropped."""
    with site.desk.database():
        unconfirmed = Contact.status == Status.UNCONFIRMED
        site.answering.add(site.uids(site.mailing_list, unconfirmed)[-50:])


def _choose_silent(site: Site) -> None:
    site.slug = "silent"


def _let_few_be_customers(site: Site) -> None:
    site.add_list()
    site.do("import", site.slug, str(site.desk.folder / "few.csv"), *_CUSTOMERS)


def _let_be_due_for_erasure(site: Site) -> None:
    """Choose that whoever was taken off is erased at once, as on the admin's page."""
    with site.desk.database() as database:
        save_settings(
            database,
            site.desk.settings,
            SettingsInput(values={"retention.removed_days": 0}),
            since=read_versions()[SETTINGS_VERSION_KEY],
            now=site.desk.clock.now(),
            actor="test",
        )


def _let_be_due_for_reminders(site: Site) -> None:
    """Go on with a campaign whose reminders should have left while it was paused."""
    site.slug = "reminded"
    site.do("resume", site.slug)


_LATER = (SystemClock().now() + timedelta(days=20)).date()
_DEADLINE = (SystemClock().now() + timedelta(days=60)).date()
_CUSTOMERS = ("--customers", f"--attest={ATTEST}")

WORKS = (
    Work(
        "archive",
        Ends.GIVEN_AGAIN,
        _repermit("archive", "{list}", "-o", "{file}.zip"),
        _is_archived,
        _count_unfinished,
        1,
        prepare=_let_few_be_customers,
    ),
    Work(
        "import",
        Ends.BY_TASK,
        _repermit("import", "{list}", "{folder}/many.csv"),
        _is_imported,
        _count,
        MANY,
        prepare=lambda site: site.add_list(),
    ),
    Work("undo", Ends.BY_TASK, _repermit("import", "{list}", "--undo"), _is_undone, _count, MANY),
    Work(
        "list delete",
        Ends.BY_TASK,
        _repermit("list", "delete", "{list}"),
        _is_deleted,
        _count_changes,
        _CHANGES,
        prepare=_let_have_changed_many,
    ),
    Work(
        "launch",
        Ends.BY_TASK,
        _repermit(
            *("launch", "{list}", f"--at={_LATER}", f"--deadline={_DEADLINE}"),
            *(f"--attest={ATTEST}", *ACCEPTED, "--accept", "database_no_room=a small disk"),
        ),
        _is_launched,
        _count_mails,
        MANY,
        prepare=_import,
    ),
    Work(
        "resolve",
        Ends.BY_TASK,
        _repermit("resolve", "{list}", "--leave"),
        _is_resolved,
        lambda site: _count_mails(site, Mail.state == MailState.IN_DOUBT),
        MANY // 2,
        prepare=_let_be_in_doubt,
    ),
    Work(
        "cancel",
        Ends.BY_STATE,
        _repermit("cancel", "{list}"),
        _is_cancelled,
        lambda site: _count_mails(site, Mail.reason == Dropped.CANCELLED),
        # Each is quick: of all that are left, more than half may be done between two looks.
        MANY // 4,
        prepare=_let_answer,
    ),
    Work(
        "suppression import",
        Ends.BY_TASK,
        _repermit("suppression", "import", "{list}", "{folder}/suppressed.csv"),
        _is_suppressed,
        _count_suppressions,
        PEOPLE // _PART,
        prepare=_choose_silent,
    ),
    Work(
        "suppression export",
        Ends.GIVEN_AGAIN,
        _repermit("suppression", "export", "{list}", "--format", "json", "-o", "{file}"),
        _exports_suppressions,
        _count_unfinished,
        1,
    ),
    Work(
        "expire",
        Ends.BY_STATE,
        _repermit("expire", "{list}", "--despite-downtime"),
        _is_expired,
        lambda site: _count(site, Contact.reason == Reason.NO_RESPONSE),
        _ASKED,
    ),
    Work(
        "verify",
        Ends.GIVEN_AGAIN,
        _repermit("verify"),
        lambda site: site.has_succeeded,
        _count_calls("verify"),
        ENTRIES // FEW_ENTRIES,
    ),
    Work(
        "check --recount",
        Ends.GIVEN_AGAIN,
        _repermit("check", "--recount"),
        _is_counted,
        _count_calls("check"),
        10,
        prepare=_let_be_miscounted,
    ),
    Work(
        "backup",
        Ends.GIVEN_AGAIN,
        _repermit("backup", "{file}"),
        _is_copied,
        _count_unfinished,
        1,
        is_for_sqlite=True,
    ),
    Work(
        "export",
        Ends.GIVEN_AGAIN,
        _repermit("export", "{list}", "removed", "--format", "json", "-o", "{file}"),
        _exports_all,
        _count_unfinished,
        1,
    ),
    Work(
        "forget",
        Ends.GIVEN_AGAIN,
        _repermit("forget", "{list}", "{person}"),
        _is_forgotten,
        _count_calls("forget"),
        1,
    ),
    Work(
        "purge",
        Ends.BY_STATE,
        None,
        _is_purged,
        lambda site: _count(site, Contact.erased_at.is_null(is_null=False)),
        _ASKED,
        prepare=_let_be_due_for_erasure,
    ),
    Work(
        "wiping",
        Ends.BY_STATE,
        None,
        _is_wiped,
        _count_calls("worker"),
        100,
        prepare=_request_wiping,
        is_for_sqlite=True,
    ),
    Work(
        "tallies",
        Ends.BY_STATE,
        None,
        _is_tallied,
        _read_tallied,
        ENTRIES,
        prepare=_let_nothing_be_tallied,
    ),
    Work(
        "reminders",
        Ends.BY_STATE,
        None,
        _is_reminded,
        _count_reminders,
        MANY,
        prepare=_let_be_due_for_reminders,
    ),
)
"""In the order in which they are done."""


# --- The installation. --------------------------------------------------------------------------


class _SlowServing(Serving):
    """Serves the desk as on a slow machine."""

    program = _PROGRAM


@dataclass
class Site:
    """An installation that serves pages, on which people answer, from `with` to its end.

    - `command`: the process of the work, None while the worker does it.
    - `file`, `person`: what the latest command was about.
    - `entries`: the entries of the record when the work began.
    - `has_succeeded`: whether the last command came to its end.
    - `reasons`: what the commands said that stopped.
    """

    desk: Desk
    chance: random.Random
    server: Serving = field(init=False)
    answering: Answering = field(init=False)
    slug: str = ""
    command: subprocess.Popen[str] | None = None
    file: Path = Path()
    person: str = ""
    numbers: Iterator[int] = field(default_factory=count)
    entries: int = 0
    has_succeeded: bool = False
    reasons: list[str] = field(default_factory=list)
    _log: Any = field(init=False)
    _port: int = field(init=False)
    _subjects: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        text = self.desk.config.read_text("utf-8") + "[campaign]\nminimum_days = 0\n"
        self.desk.config.write_text(text, "utf-8")
        rows = [f"person.{n}@example{n % 100}.org" for n in range(MANY)]
        self.desk.file("email", *rows, name="many.csv")
        self.desk.file("email", *rows[:PEOPLE], name="people.csv")
        self.desk.file("email", *rows[:PEOPLE:_PART], name="suppressed.csv")
        self.desk.file("email", *rows[:_FEW], name="few.csv")
        # A process goes by the machine's clock.
        self.desk.clock = ManualClock(SystemClock().now(), ticking=True)
        self._begin_campaigns()
        rows = [f"asked.{n}@example{n % 100}.org" for n in range(_ANSWERING)]
        self.desk.file("email", *rows, name="asked.csv")
        self._launch("asked", "asked.csv", f"--deadline={_DEADLINE}")
        self._log = tempfile.NamedTemporaryFile("w+", encoding="utf-8", suffix=".log")
        self.start()
        self.answering = Answering(self._port, Links("", self.desk.settings.secret_keys))
        with self.desk.database():
            self.answering.add(self.uids(MailingList.get(MailingList.slug == "asked")))
        self.answering.__enter__()
        return self

    def _begin_campaigns(self) -> None:
        """Let two campaigns have begun four days ago.

        `reminded` is paused since, and its reminders were due a day ago. The deadline of `silent`
        was an hour ago; as nobody could answer in these days, it waits for the admin.
        """
        now = SystemClock().now().replace(microsecond=0)
        self.desk.clock.advance(-timedelta(days=4))
        later = (now + timedelta(days=3)).date()
        self._launch("reminded", "many.csv", f"--deadline={later}", "--reminder=4")
        self.do("pause", "reminded")
        self._launch("silent", "people.csv", f"--deadline={(now - _HOUR).isoformat()}")
        self.desk.clock.advance(timedelta(days=4))

    def _launch(self, slug: str, name: str, *options: str) -> None:
        """Ask the people of a file."""
        self.desk.add_news(slug=slug)
        self.do("import", slug, str(self.desk.folder / name))
        self.do("launch", slug, *options, f"--attest={ATTEST}", "--wait")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.answering.__exit__(kind, error, trace)
        self.server.kill()
        self._log.close()

    def start(self) -> None:
        """Start the server, at the place where it was."""
        self.server = _SlowServing(self.desk, "--port", str(self._port), log=self._log)

    def do(self, *words: str) -> None:
        """Give a command in this process."""
        self.desk.do(*words)

    def add_list(self) -> None:
        """Add the list that is worked on next."""
        self.slug = f"news{self.chance.getrandbits(40)}"
        self.desk.add_news(slug=self.slug)

    @property
    def mailing_list(self) -> MailingList:
        """Return the list that is worked on."""
        found: MailingList = MailingList.get(MailingList.slug == self.slug)
        return found

    def uids(self, mailing_list: MailingList, *conditions: Any) -> list[str]:
        """Return who is on a list, as their links name them."""
        query: Any = Contact.select(Contact.uid, Contact.subject).order_by(Contact.id)
        subjects = dict(query.where(Contact.list == mailing_list, *conditions).tuples())
        self._subjects |= subjects
        return list(subjects)

    def works(self) -> Iterator[Work]:
        """Yield the works to be done, each prepared."""
        is_sqlite = self.desk.settings.sqlite_path is not None
        for work in WORKS:
            if is_sqlite or not work.is_for_sqlite:
                work.prepare(self)
                yield work

    def harm(self, work: Work, *harms: Harm) -> int:
        """Do these harms while a work is under way; see that all is well in the end.

        A command that has to be given again is, for each harm. Returns how many harms were done;
        those are not for which the work was too quick.
        """
        done = 0
        with self.desk.database():
            for harm in harms:
                process = self._catch(work, is_first=not done)
                who = "the command" if self.command else "the worker"
                when = "in the midst" if process else "too late"
                _log.warning("%s: %s of %s, %s", work.name, harm.__name__, who, when)
                if not process:
                    break
                harm(self, process)
                self._wait_for_command()
                done += 1
        self._see_to_the_end(work)
        # What only reads, or takes off one person, is seen to with the work after it.
        if work.ends is not Ends.GIVEN_AGAIN:
            self._require_all_well()
        return done

    def _catch(self, work: Work, *, is_first: bool) -> int:
        """Stop whoever does a work, as `_stop_midway` does; a command is given first."""
        is_given_again = work.ends is Ends.GIVEN_AGAIN
        for _ in range(_TRIES if is_given_again else 1):
            before = work.count(self)
            if is_first or is_given_again:
                self._give(work)
            if process := self._stop_midway(work, before):
                return process
            self._wait_for_command()
        return 0

    def _give(self, work: Work) -> None:
        if work.command:
            self.has_succeeded = False
            self.command = subprocess.Popen(
                work.command(self), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )

    def _wait_for_command(self) -> None:
        """Wait for the end of the command, and hear why it stopped."""
        if self.command:
            said = self.command.communicate(timeout=_PATIENCE)
            self.has_succeeded = self.command.returncode == 0
            self.reasons += _reason(self.command.returncode, *said)
            self.command = None

    def _stop_midway(self, work: Work, before: int) -> int:
        """Stop whoever does a work (SIGSTOP) once some more of it is done than `before`.

        Until then it goes on for moments only, between which it is looked at. Returns the number of
        that process, which has not come to the end; 0 if it was too quick.
        """
        share = min(round(self.chance.uniform(*_SHARE) * work.size) or 1, work.size)
        until = time.monotonic() + _PATIENCE
        while not self._has_ended(work):
            assert time.monotonic() < until, "it does not go on"
            process = self.command.pid if self.command else self.server.worker
            if not _reads(process):
                time.sleep(0.01)
                continue
            time.sleep(self.chance.uniform(0, _SLICE))
            os.kill(process, signal.SIGSTOP)
            is_midway = False
            try:
                is_midway = abs(work.count(self) - before) >= share and self._is_under_way(work)
            except OperationalError as error:
                # It was stopped while it opened the database (SQLITE_PROTOCOL): nobody can read.
                if "locking protocol" not in str(error):
                    raise
            finally:
                if not is_midway:
                    os.kill(process, signal.SIGCONT)
            if is_midway:
                return process
        return 0

    def _has_ended(self, work: Work) -> bool:
        if self.command:
            return self.command.poll() is not None
        return work.is_done(self) and not _has_task(self)

    def _is_under_way(self, work: Work) -> bool:
        """Say whether a work whose process is stopped, and which has begun, is not done yet."""
        if work.ends is Ends.BY_TASK:
            return _has_task(self)
        return not self._has_ended(work) and not work.is_done(self)

    def _see_to_the_end(self, work: Work) -> None:
        with self.desk.database():
            if work.ends is Ends.GIVEN_AGAIN and not work.is_done(self):
                self._give(work)
                self._wait_for_command()
            until = time.monotonic() + _PATIENCE
            while not work.is_done(self) or _has_task(self):
                assert time.monotonic() < until, f"{work.name} does not come to its end"
                time.sleep(0.2)

    def _require_all_well(self) -> None:
        told = list(self.answering.recorded)
        # Whoever was refused was told to come again, and no page failed otherwise.
        assert {code for code in self.answering.failures if code.isdigit()} <= {"503"}
        self.do("verify")
        with self.desk.database() as database:
            assert find_drift(database) == 0
            query: Any = Evidence.select(Evidence.subject, Evidence.event)
            entries = Counter(query.where(Evidence.actor == "person").tuples())
            gone = self._read_removals()
            stands = MailingList.select().where(MailingList.slug == self.slug).exists()
        events = {"yes": "confirmed", "no": "removed"}
        people = ((self._subjects[press.uid], press.kind, at) for press, at in told)
        # Whoever was taken off by others before has nothing more to say.
        expected = Counter(
            (subject, events[kind])
            for subject, kind, at in people
            if subject not in gone or at < gone[subject]
        )
        lost = expected - entries
        assert not lost, f"told that it was recorded, and it was not: {lost}"
        if stands:
            status = json.loads(self.desk.do("status", self.slug, "--json"))
            assert sum(status["contacts"].values()) in {0, _FEW, PEOPLE, MANY}
            assert sum(status["removed"].values()) == status["contacts"]["removed"]
        half = [path.name for path in self.desk.folder.rglob("*") if ".unfinished-" in path.name]
        assert half == []

    def _read_removals(self) -> dict[str, datetime]:
        """Return when each was taken off by anything but an own answer."""
        query: Any = Evidence.select(Evidence.subject, Evidence.at)
        return dict(query.where(Evidence.event == "removed", Evidence.actor != "person").tuples())


def _reason(code: int, out: str, err: str) -> list[str]:
    """Return why a command stopped, if it did: with 1 and a last line that says so."""
    assert "Traceback" not in err, err
    # `check` comes to its end too if it finds fault, as it does with any such machine.
    if code in {0, -signal.SIGKILL} or "a campaign would not work" in err:
        return []
    assert (code, out) == (1, ""), (out, err)
    last = err.splitlines()[-1]
    assert last.startswith("repermit: "), err
    _log.warning("it said: %s", last)
    return [last]


def _reads(process: int) -> bool:
    """Say whether a process has a database open; 0 is none."""
    names = []
    with suppress(OSError):
        names = [str(one.readlink()) for one in Path(f"/proc/{process}/fd").iterdir()]
    return any(name.endswith("repermit.db") or name.startswith("socket:") for name in names)
