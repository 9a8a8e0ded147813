"""Every kind of large work as a command of its own, on an installation where people answer.

A harm is done to each at an instant that chance picks; then the work has to come to its end, and
nothing may be lost. Imports repermit, and runs it as processes.
"""

from __future__ import annotations

import http.client
import json
import logging
import random
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
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from repermit.clock import ManualClock, SystemClock
from repermit.db.background_tasks import BackgroundTask
from repermit.db.models.base import Meta
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence, EvidencePart
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.row_counts import find_drift
from repermit.rules.consent import CampaignState, MailState, Reason, Status
from repermit.signed_links import Kind, Links
from tests.support.command_tree import REPERMIT
from tests.support.desk import ACCEPTED, ATTEST, Desk
from tests.support.serve_process import Serving

PEOPLE = 1000
"""On the list that is worked on."""

_PART = 4  # one in so many is suppressed
_PER_SECOND = 10  # answers
_PATIENCE = 180.0  # seconds; a loaded machine may need some
_SOON = timedelta(seconds=8)
_UNSENT = (MailState.QUEUED, MailState.CLAIMED, MailState.STARTED)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

# What the job `erase` of a worker does each minute.
_ERASE = """\
import sys, threading
from pathlib import Path
from peewee import PeeweeException
from repermit.settings import config_file
from repermit.clock import SystemClock
from repermit.errors import RepermitError
from repermit.jobs.periodic_jobs import Jobs
from repermit.db.connection import connect
from repermit.db.suppression_journal import make_journal
settings = config_file.load_config(Path(sys.argv[1]))
database = connect(settings.database, journal=make_journal(settings))
try:
    Jobs(settings, database, clock=SystemClock(), stopping=threading.Event()).erase()
except (PeeweeException, RepermitError, OSError) as error:
    sys.exit(f"repermit: {' '.join(str(error).split())}")
"""

_log = logging.getLogger(__name__)


# --- Answers. -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Press:
    """A person's answer: their `version`-th, from 0."""

    uid: str
    kind: Kind
    version: int = 0


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
        self._threads = [threading.Thread(target=self._answer) for _ in range(3)]

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
                self._presses.append(Press(press.uid, "no", 1))

    def _post(self, press: Press) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            number = self._links.form_number(press.uid, press.version)
            path = self._links.url(press.kind, press.uid)
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


@dataclass(frozen=True)
class Work:
    """A large work on a list.

    - `command`: how it is given. `prepare`: what is done before.
    - `is_begun`: whether it must now come to its end by itself.
    - `is_done`: whether it has come to its end.
    """

    name: str
    command: Callable[[Site], list[str]]
    is_done: Callable[[Site], bool] = lambda _: True
    is_begun: Callable[[Site], bool] = lambda _: False
    prepare: Callable[[Site], None] = lambda _: None
    is_for_sqlite: bool = False


def _repermit(*words: str) -> Callable[[Site], list[str]]:
    def command(site: Site) -> list[str]:
        texts = (word.format(list=site.slug, folder=site.desk.folder) for word in words)
        return [str(REPERMIT), "--config", str(site.desk.config), *texts]

    return command


def _erase(site: Site) -> list[str]:
    return [sys.executable, "-P", "-c", _ERASE, str(site.desk.folder / "purge.toml")]


def _is_under_way(site: Site) -> bool:
    return bool(BackgroundTask.select().where(BackgroundTask.list == site.mailing_list).exists())


def _count(site: Site, *conditions: Any) -> int:
    return int(Contact.select().where(Contact.list == site.mailing_list, *conditions).count())


def _is_imported(site: Site) -> bool:
    stands = (
        Import.select().where(Import.list == site.mailing_list, Import.undone_at.is_null()).exists()
    )
    return bool(stands) and _count(site) == PEOPLE


def _is_undone(site: Site) -> bool:
    imports = Import.select().where(Import.list == site.mailing_list)
    return _count(site) == 0 and not imports.where(Import.undone_at.is_null()).exists()


def _is_suppressed(site: Site) -> bool:
    gone = _count(site, Contact.status == Status.REMOVED, Contact.reason == Reason.REQUEST)
    on_list = Suppression.select().where(Suppression.list == site.mailing_list)
    is_whole = gone == int(on_list.count()) == PEOPLE // _PART
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


def _has_launched(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    return campaign is not None and campaign.state != CampaignState.CANCELLED


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
    own = Mail.select().where(Mail.list == site.mailing_list)
    failed = int(own.where(Mail.state == MailState.FAILED).count())
    decided = sum(part["mails"] for part in _parts(site, "resolved"))
    in_doubt = own.where(Mail.state == MailState.IN_DOUBT).exists()
    return not in_doubt and 0 < failed == decided


def _has_cancelled(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    return campaign is not None and campaign.state == CampaignState.CANCELLED


def _is_cancelled(site: Site) -> bool:
    unsent = Mail.select().where(Mail.list == site.mailing_list, Mail.state.in_(_UNSENT))
    return _has_cancelled(site) and not unsent.exists()


def _is_expired(site: Site) -> bool:
    campaign = latest_campaign(site.mailing_list)
    return campaign is not None and campaign.state == CampaignState.CLOSED


def _is_forgotten(site: Site) -> bool:
    return _count(site, Contact.address == "person.7@example7.org") == 0


def _is_purged(site: Site) -> bool:
    # Whoever takes a Yes back may have done so since.
    is_due = (Contact.status == Status.REMOVED) & (Contact.reason != Reason.WITHDRAWN)
    waiting = _count(site, is_due, Contact.erased_at.is_null())
    return waiting == 0 and Meta.get_or_none(Meta.key == "wipe_owed") is None


def _exports_suppressions(site: Site) -> bool:
    path = site.desk.folder / f"{site.slug}-suppressed.json"
    return path.exists() and len(json.loads(path.read_text())) == PEOPLE // _PART


def _is_archived(site: Site) -> bool:
    """Say whether the archive is there; one that is half there would not be readable."""
    path = site.desk.folder / f"{site.slug}.zip"
    if not path.exists():
        return False
    with zipfile.ZipFile(path) as archive:
        return archive.testzip() is None and "suppressions.csv" in archive.namelist()


def _exports_all(site: Site) -> bool:
    path = site.desk.folder / f"{site.slug}.json"
    has_address = Contact.erased_at.is_null()
    removed = _count(site, Contact.status == Status.REMOVED, has_address)
    return path.exists() and 0 < len(json.loads(path.read_text())) <= removed


def _is_copied(site: Site) -> bool:
    return (site.desk.folder / f"{site.slug}.db").exists()


def _let_answer(site: Site) -> None:
    """Let some of those answer whose asks are being dropped."""
    with site.desk.database():
        unconfirmed = Contact.status == Status.UNCONFIRMED
        site.answering.add(site.uids(site.mailing_list, unconfirmed)[-50:])


def _let_be_asked(site: Site) -> None:
    """Ask everybody, and wait for the deadline."""
    deadline = (SystemClock().now() + _SOON).replace(microsecond=0)
    site.do("launch", site.slug, f"--deadline={deadline.isoformat()}", f"--attest={ATTEST}")
    while SystemClock().now() < deadline:
        time.sleep(0.1)


_LATER = (SystemClock().now() + timedelta(days=20)).date()
_DEADLINE = (SystemClock().now() + timedelta(days=60)).date()

WORKS = (
    Work("import", _repermit("import", "{list}", "{folder}/news.csv"), _is_imported),
    Work("undo", _repermit("import", "{list}", "--undo"), _is_undone),
    Work(
        "suppression import",
        _repermit("suppression", "import", "{list}", "{folder}/suppressed.csv"),
        _is_suppressed,
        prepare=lambda site: site.do("import", site.slug, str(site.desk.folder / "news.csv")),
    ),
    Work(
        "suppression export",
        _repermit(
            *("suppression", "export", "{list}", "--format", "json"),
            *("-o", "{folder}/{list}-suppressed.json"),
        ),
        _exports_suppressions,
    ),
    Work(
        "launch",
        _repermit(
            *("launch", "{list}", f"--at={_LATER}", f"--deadline={_DEADLINE}"),
            *(f"--attest={ATTEST}", *ACCEPTED, "--accept", "database_no_room=a small disk"),
        ),
        _is_launched,
        _has_launched,
    ),
    Work(
        "resolve",
        _repermit("resolve", "{list}", "--leave"),
        _is_resolved,
        prepare=_let_be_in_doubt,
    ),
    Work(
        "cancel",
        _repermit("cancel", "{list}"),
        _is_cancelled,
        _has_cancelled,
        prepare=_let_answer,
    ),
    Work(
        "expire",
        _repermit("expire", "{list}"),
        _is_expired,
        lambda _: True,
        prepare=_let_be_asked,
    ),
    Work("verify", _repermit("verify")),
    Work("backup", _repermit("backup", "{folder}/{list}.db"), _is_copied, is_for_sqlite=True),
    Work(
        "export",
        _repermit("export", "{list}", "removed", "-o", "{folder}/{list}.json"),
        _exports_all,
    ),
    Work("archive", _repermit("archive", "{list}", "-o", "{folder}/{list}.zip"), _is_archived),
    Work("forget", _repermit("forget", "{list}", "person.7@example7.org"), _is_forgotten),
    Work("purge", _erase, _is_purged),
)
"""In the order in which they are done to a list."""


# --- The installation. --------------------------------------------------------------------------


@dataclass
class Site:
    """An installation that serves pages, on which people answer, from `with` to its end.

    `reasons` are what the commands said that stopped.
    """

    desk: Desk
    chance: random.Random
    asked: int
    server: Serving = field(init=False)
    answering: Answering = field(init=False)
    slug: str = ""
    reasons: list[str] = field(default_factory=list)
    _log: Any = field(init=False)
    _port: int = field(init=False)
    _subjects: dict[str, str] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        folder = self.desk.folder
        # A process goes by the machine's clock.
        self.desk.clock = ManualClock(SystemClock().now(), ticking=True)
        text = self.desk.config.read_text("utf-8") + "[campaign]\nminimum_days = 0\n"
        self.desk.config.write_text(text, "utf-8")
        (folder / "purge.toml").write_text(f"{text}[retention]\nremoved_days = 0\n", "utf-8")
        rows = [f"person.{n}@example{n % 100}.org" for n in range(PEOPLE)]
        self.desk.file("email", *rows, name="news.csv")
        self.desk.file("email", *rows[::_PART], name="suppressed.csv")
        rows = [f"asked.{n}@example{n % 100}.org" for n in range(self.asked)]
        self.desk.add_news(slug="asked")
        self.do("import", "asked", self.desk.file("email", *rows, name="asked.csv"))
        self.do("launch", "asked", f"--deadline={_DEADLINE}", f"--attest={ATTEST}")
        self.do("send", "asked")
        self._log = tempfile.NamedTemporaryFile("w+", encoding="utf-8", suffix=".log")
        self.start()
        self.answering = Answering(self._port, Links("", self.desk.settings.secret_keys))
        with self.desk.database():
            self.answering.add(self.uids(MailingList.get(MailingList.slug == "asked")))
        self.answering.__enter__()
        return self

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
        self.server = Serving(self.desk, "--port", str(self._port), log=self._log)

    def do(self, *words: str) -> None:
        """Give a command in this process."""
        self.desk.do(*words)

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
        """Add a list, and yield the works to be done to it."""
        self.slug = f"news{self.chance.getrandbits(40)}"
        self.desk.add_news(slug=self.slug)
        is_sqlite = self.desk.settings.sqlite_path is not None
        for work in WORKS:
            if is_sqlite or not work.is_for_sqlite:
                work.prepare(self)
                yield work

    def harm(self, work: Work, harm: Callable[[Site, subprocess.Popen[str]], None]) -> bool:
        """Do harm at a random instant of a work; see that all is well in the end.

        Returns whether the harm came before the work had ended.
        """
        longest = self._seconds.setdefault(work.name, 1.0)
        seconds = self.chance.uniform(0, longest)
        with subprocess.Popen(
            work.command(self), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as command:
            _wait_until_it_reads(command)
            with suppress(subprocess.TimeoutExpired):
                command.wait(seconds)
            was_under_way = command.poll() is None
            when = "after" if was_under_way else "too late after"
            _log.warning(
                "%s: %s of %s %s %.3f s", self.slug, harm.__name__, work.name, when, seconds
            )
            harm(self, command)
            said = command.communicate(timeout=_PATIENCE)
        # So that most of them come in time, on whatever machine.
        self._seconds[work.name] = longest * (1.1 if was_under_way else 0.7)
        self.reasons += _reason(command.returncode, *said)
        self._see_to_the_end(work, is_done=command.returncode == 0)
        self._require_all_well()
        return was_under_way

    def _see_to_the_end(self, work: Work, *, is_done: bool) -> None:
        with self.desk.database():
            by_itself = is_done or work.is_begun(self) or _is_under_way(self)
            if not by_itself and not work.is_done(self):
                self._give_again(work)
            self._wait(lambda: work.is_done(self) and not _is_under_way(self))

    def _give_again(self, work: Work) -> None:
        again = subprocess.run(work.command(self), capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE
        while not is_so():
            assert time.monotonic() < until, "it is not taken up"
            time.sleep(0.2)

    def _require_all_well(self) -> None:
        told = list(self.answering.recorded)
        self.do("verify")
        with self.desk.database() as database:
            assert find_drift(database) == 0
            query: Any = Evidence.select(Evidence.subject, Evidence.event)
            entries = Counter(query.where(Evidence.actor == "person").tuples())
            gone = self._read_removals()
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
        status = json.loads(self.desk.do("status", self.slug, "--json"))
        assert sum(status["contacts"].values()) in {0, PEOPLE}
        assert sum(status["removed"].values()) == status["contacts"]["removed"]
        half = [path.name for path in self.desk.folder.rglob("*") if ".unfinished-" in path.name]
        assert half == []

    def _read_removals(self) -> dict[str, datetime]:
        """Return when each was taken off by anything but an own answer."""
        query: Any = Evidence.select(Evidence.subject, Evidence.at)
        return dict(query.where(Evidence.event == "removed", Evidence.actor != "person").tuples())


def _reason(code: int, out: str, err: str) -> list[str]:
    """Return why a command stopped, if it did: with 1 and a last line that says so."""
    if code in {0, -signal.SIGKILL}:
        return []
    assert (code, out) == (1, ""), (out, err)
    assert "Traceback" not in err, err
    last = err.splitlines()[-1]
    assert last.startswith("repermit: "), err
    _log.warning("it said: %s", last)
    return [last]


def _wait_until_it_reads(command: subprocess.Popen[str]) -> None:
    """Wait until a command has the database open, or has ended."""
    files = Path(f"/proc/{command.pid}/fd")
    while command.poll() is None:
        with suppress(OSError):
            names = [str(one.readlink()) for one in files.iterdir()]
            if any(name.endswith("repermit.db") or name.startswith("socket:") for name in names):
                return
        time.sleep(0.01)
