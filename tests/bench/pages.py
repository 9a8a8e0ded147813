"""How long the admin's pages take with a great many contacts, sending and expiring meanwhile.

    .venv/bin/python tests/bench/pages.py [--people 1000000] [--postgresql] [--longest 300]

`repermit serve` runs in a process of its own, with its worker, on SQLite or on a PostgreSQL cluster
that is made for it; Postfix's smtp-sink takes the mails. Every page of the URL map is asked for
over HTTP by an admin who has logged in, one after the other, again and again: before anything is
sent, while the campaign is sent, while whoever has not answered is removed, after the end. A phase
ends when its work does, or after `--longest` seconds; who has no mail by then counts as asked.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import re
import secrets
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[2]))

from collections.abc import Callable, Iterator

import answering
from flask import Flask, url_for
from flask.sessions import SecureCookieSessionInterface

from repermit import package_files
from repermit.campaigns import launch
from repermit.clock import SystemClock, format_timestamp
from repermit.contacts import counts as contacts_counts
from repermit.db import migrations, row_counts
from repermit.db.connection import is_postgresql, open_database, run_sql
from repermit.db.models.accounts import Session, User
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList, find_list
from repermit.db.models.mails import Mail
from repermit.db.models.webhooks import Webhook
from repermit.expiry import downtime
from repermit.i18n import correctable_texts
from repermit.rules.consent import CampaignState, MailKind, MailState, Status
from repermit.settings import config_file, definitions
from repermit.settings.definitions import Settings
from repermit.web import application
from tests.support.postgresql_cluster import find_binaries, running_cluster

_MORE = (
    "contact_pages.show?after={middle}",
    "contact_pages.show?status=unconfirmed",
    "contact_pages.show?status=removed",
    "contact_pages.show?status=removed&reason=no_response",
    "exports.show?tool=mailchimp",
    "audit_log.show?list=news",
    "audit_log.show?before={middle}",
)
"""Other sides of some pages."""

_SEARCHES = ("person.77", "person.777@example777.org", "nobody")

_SKIPPED = {
    "login.show_login": "for who is not logged in",
    "login.show_second_step": "for who is half logged in",
    "login.show_welcome": "for who has never logged in",
    "lock_screen.show_lock": "for who was away",
    "static_files.serve_static_file": "a file",
    "evidence_check.download_result": "what a walk found, for who has asked for one",
}
_OF_A_CAMPAIGN = ("campaign_page.show_figures", "reports.show_report")
_SECONDS = 10  # of the phases in which nothing happens
_FEW = 2


def main() -> None:
    """Measure and print."""
    options = _options()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as name,
        answering.smtp_sink() as port,
        _database(Path(name), postgresql=options.postgresql) as url,
    ):
        path = _prepare(Path(name) / "installation", options.people, port, url)
        settings = config_file.load_config(path)
        with open_database(settings.database):
            _measure(path, settings, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--postgresql", action="store_true", help="instead of SQLite")
    parser.add_argument("--longest", type=int, default=300, help="seconds of each phase at most")
    parser.add_argument("--folder", help="where the files are made, on the disk to be measured")
    return parser.parse_args()


@contextlib.contextmanager
def _database(folder: Path, *, postgresql: bool) -> Iterator[str]:
    """Yield the address of an empty database."""
    if not postgresql:
        yield f"sqlite:///{folder / 'repermit.db'}"
        return
    binaries = find_binaries() or sys.exit("there is no PostgreSQL")
    # As PostgreSQL is when nobody has set anything.
    with running_cluster(binaries, ("listen_addresses=",)) as cluster:
        yield cluster.add_database("bench")


def _measure(path: Path, settings: Settings, options: argparse.Namespace) -> None:
    print(f"{options.people:,} contacts\n")
    phases = {}
    with answering.serving(path) as pages:
        asking = _Asking(pages, settings)
        phases["before the launch"] = asking.ask(until=_seconds(_SECONDS))
        print(f"launched in {_timed(lambda: _launch(settings)):.1f} s", flush=True)
        phases["while sending"] = asking.ask(until=_until(CampaignState.OPEN, options.longest))
        print(f"{_sent():,} sent meanwhile", flush=True)
    _let_the_deadline_pass()
    removed = _removed()
    with answering.serving(path) as pages:
        asking = _Asking(pages, settings)
        phases["while expiring"] = asking.ask(until=_until(CampaignState.CLOSED, options.longest))
        print(f"{_removed() - removed:,} removed meanwhile\n", flush=True)
        phases["after the end"] = asking.ask(until=_seconds(_SECONDS))
    _print(phases)


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


# --- Asking. ------------------------------------------------------------------------------------


class _Asking:
    """An admin who has logged in and asks for pages."""

    def __init__(self, port: int, settings: Settings) -> None:
        app = application.create_app(settings, clock=SystemClock())
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Cookie": _log_in(app)}
        self._paths = dict(_paths(app))

    def ask(self, *, until: Callable[[], bool]) -> dict[str, list[float]]:
        """Return the seconds that each page took, one list a page."""
        # The server has closed it if nothing was asked for long enough, and it opens by itself.
        self._connection.close()
        times: defaultdict[str, list[float]] = defaultdict(list)
        had_campaign = Campaign.select().exists()
        while not until() or min(map(len, times.values()), default=0) < _FEW:
            for name, path in self._paths.items():
                if had_campaign or name not in _OF_A_CAMPAIGN:
                    times[name].append(self._get(path))
            for text in _SEARCHES:
                times[f"search for {text}"].append(self._search(text))
        return times

    def _get(self, path: str) -> float:
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        self._page = self._take(path)
        return time.perf_counter() - began

    def _search(self, text: str) -> float:
        self._get("/admin/lists/news/contacts/")
        found = re.search(rb'name="csrf_token"[^>]*value="([^"]+)"', self._page)
        assert found
        fields = urlencode({"csrf_token": found[1].decode(), "search": text})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        path = "/admin/lists/news/contacts/search"
        began = time.perf_counter()
        self._connection.request("POST", path, fields, {**self._headers, **form})
        self._take(path)
        return time.perf_counter() - began

    def _take(self, path: str) -> bytes:
        answer = self._connection.getresponse()
        page = answer.read()
        if answer.status != http.HTTPStatus.OK:
            sys.exit(f"{path} answered {answer.status}")
        if cookie := answer.getheader("Set-Cookie"):
            # What a form proves itself by belongs to it.
            self._headers = {"Cookie": cookie.partition(";")[0]}
        return page


def _paths(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield the path of every page, and of other sides of some, by what it is called."""
    newest = Contact.select(Contact.id).order_by(Contact.id.desc()).get().id
    middle = newest // 2
    values: dict[str, Any] = {
        "slug": "news",
        "number": middle,
        "webhook_id": 1,
        "user_id": 1,
        "group": "mail",
        "page_name": "tutorial/first-campaign",
        "language": "en",
        "key": next(iter(correctable_texts.texts_in("en"))),
    }
    with app.test_request_context():
        pages = {
            rule.endpoint: url_for(rule.endpoint, **{one: values[one] for one in rule.arguments})
            for rule in app.url_map.iter_rules()
            if rule.rule.startswith("/admin/")
            and "GET" in (rule.methods or ())
            and rule.endpoint not in _SKIPPED
        }
    yield from sorted(pages.items())
    for more in _MORE:
        endpoint, _, query = more.partition("?")
        yield more, f"{pages[endpoint]}?{query.format(middle=middle)}"


def _until(state: CampaignState, longest: int) -> Callable[[], bool]:
    """Return what says whether the campaign has come so far, or the time is up."""
    over = time.monotonic() + longest
    return lambda: Campaign.get().state == state or time.monotonic() > over


def _seconds(seconds: float) -> Callable[[], bool]:
    over = time.monotonic() + seconds
    return lambda: time.monotonic() > over


def _print(phases: dict[str, dict[str, list[float]]]) -> None:
    """Print what each page took in each phase: in the middle, for 95 of 100, and at worst."""
    print("ms: median, 95%, worst".ljust(48) + "".join(f"{phase:>22}" for phase in phases))
    for name in phases["while sending"]:
        cells = (_cell(times.get(name, [])) for times in phases.values())
        print(f"  {name:46}" + "".join(f"{cell:>22}" for cell in cells))
    print(f"\n{'':48}{'median ms':>10}  pages asked for")
    for phase, times in phases.items():
        took, name = max((statistics.median(taken), name) for name, taken in times.items())
        count = sum(map(len, times.values()))
        print(f"{f'slowest page {phase}':48}{took * 1e3:10,.0f}  {count:,}; it is {name}")


def _cell(taken: list[float]) -> str:
    if not taken:
        return "–"
    most = statistics.quantiles(taken, n=20, method="inclusive")[-1]
    return " ".join(f"{one * 1e3:6,.0f}" for one in (statistics.median(taken), most, max(taken)))


def _log_in(app: Flask) -> str:
    """Let an admin in without the steps that lead in; return the header of their cookie."""
    token, now = secrets.token_urlsafe(32), SystemClock().now()
    with User._meta.database.atomic():
        number = User.select().count()
        user = User.create(email=f"admin{number}@example.org", role="admin", created_at=now)
        Session.create(
            user=user,
            digest=hashlib.sha256(token.encode()).hexdigest(),
            is_full=True,
            created_at=now,
            seen_at=now,
            network="127.0.0.0/24",
            browser="",
        )
    signer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert signer
    return f"{app.config['SESSION_COOKIE_NAME']}={signer.dumps({'token': token})}"


# --- The campaign. ------------------------------------------------------------------------------


def _prepare(folder: Path, people: int, port: int, url: str) -> Path:
    """Make an installation with a list of so many people, and return its config.toml."""
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text(_configuration(port, url), "utf-8")
    now = SystemClock().now()
    with open_database(url) as database:
        migrations.upgrade_database(database)
        with database.atomic():
            news = MailingList.create(
                slug="news",
                name="News",
                purpose="News, four times a year",
                frequency="four times a year",
                privacy_url="https://www.example.org/privacy",
                sender="News <news@example.org>",
                language="en",
                created_at=now,
            )
            User.create(email="first@example.org", role="admin", created_at=now)
            Webhook.create(
                url="https://127.0.0.1:1/",
                secret="whsec_",
                created_by="bench",
                created_at=now,
            )
            record = Import.create(
                list=news, file="list.csv", digest="0" * 64, counts=_COUNTS, at=now
            )
            sql = _PEOPLE_POSTGRESQL if is_postgresql(database) else _PEOPLE
            began = SystemClock().now()
            run_sql(
                database,
                sql.format(people=people, list=news.id, file=record.id),
                format_timestamp(now),
            )
            row_counts.count_imported_contacts(database, after=0)
        if is_postgresql(database):
            run_sql(database, "ANALYZE")
    print(f"made in {(SystemClock().now() - began).total_seconds():.0f} s")
    return path


_COUNTS = '{"fates": {"ask": 0, "invalid": 0}, "rows": 0}'
_ROWS = """\
INSERT INTO contact (list_id, uid, subject, address, address_key, name, language, source,
    status, status_at, reason, basis, imported_by_id)
SELECT {{list}}, {random}, {random}, 'person.' || n || '@example' || (n % 1000) || '.org',
    'person.' || n || '@example' || (n % 1000) || '.org', 'Jan ' || n, '', '',
    'unconfirmed', {moment}, '', '', {{file}}
FROM {numbers}"""
_PEOPLE = _ROWS.format(
    random="lower(hex(randomblob(16)))",
    moment="?",
    numbers="(WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers "
    "WHERE n < {people} - 1) SELECT n FROM numbers)",
)
_PEOPLE_POSTGRESQL = _ROWS.format(
    random="md5(random()::text)",
    moment="%s::timestamptz",
    numbers="generate_series(0, {people} - 1) AS numbers (n)",
).replace("n % 1000", "n %% 1000")


def _configuration(port: int, url: str) -> str:
    text = package_files.make_fresh_config(
        package_files.find_asset("config.example.toml").read_text("utf-8")
    )
    for key, value in (("server", '"127.0.0.1"'), ("port", port), ("tls", '"none"')):
        text = re.sub(rf"^# {key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
    return re.sub(r"^(# )?database = .*$", f'database = "{url}"', text, count=1, flags=re.MULTILINE)


def _launch(settings: Settings) -> None:
    now = SystemClock().now()
    organisation = definitions.Organisation(
        name="De Linde",
        address="Lindelaan 1\n1234 AB Utrecht",
        email="info@example.org",
        authority="Autoriteit Persoonsgegevens",
        authority_url="https://autoriteitpersoonsgegevens.nl",
    )
    with open_database(settings.database) as database:
        launch.launch(
            database,
            find_list("news"),
            settings=replace(settings, organisation=organisation),
            now=now,
            deadline=now + timedelta(days=60),
            attest="Decided by nobody, for a benchmark; addresses made up; none of them opted out",
            actor="bench",
        )


def _let_the_deadline_pass() -> None:
    """Move the campaign into the past, as if all had been asked two months ago."""
    now, database = SystemClock().now(), Mail._meta.database
    long_ago = now - timedelta(days=60)
    with database.atomic():
        Mail.update(
            state=MailState.SENT, sent_at=long_ago, due_at=long_ago, worker="", lease_until=None
        ).where(Mail.kind == MailKind.ASK).execute()
        Campaign.update(
            launched_at=long_ago, starts_at=long_ago, deadline=now, state=CampaignState.OPEN
        ).execute()
    downtime.assume_up_until(database, moment=now)


def _sent() -> int:
    return contacts_counts.sum_mails(
        contacts_counts.count_mails(), lambda one: one.state is MailState.SENT
    )


def _removed() -> int:
    counts = contacts_counts.count_contacts(find_list("news"))
    return sum(count for (status, _), count in counts.items() if status is Status.REMOVED)


if __name__ == "__main__":
    main()
