"""How long the admin's pages take with a great many contacts, sending and expiring meanwhile.

    .venv/bin/python tests/bench/pages.py [--people 1000000] [--folder DIR] [--longest 300]

`repermit serve` runs in a process of its own, with its worker, on SQLite; Postfix's smtp-sink takes
the mails. Each page is asked for over HTTP by an admin who has logged in, one after the other, over
and over: before anything is sent, while the campaign is sent, and while whoever has not answered
is removed. A phase ends when its work does, or after `--longest` seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import http.client
import os
import re
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import answering
from flask.sessions import SecureCookieSessionInterface

from repermit import campaigns, config, expiry, importing, schema, web
from repermit.clock import SystemClock
from repermit.consent import CampaignState
from repermit.models import (
    Campaign,
    Contact,
    Mail,
    MailingList,
    Session,
    User,
    find_list,
    open_database,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from repermit.config import Settings

_LIST = "/admin/lists/news"
_PAGES = {
    "all lists": "/admin/",
    "the campaign": f"{_LIST}/",
    "its numbers alone": f"{_LIST}/figures",
    "who has not answered": f"{_LIST}/silent",
    "contacts": f"{_LIST}/contacts/",
    "contacts, further on": f"{_LIST}/contacts/?after={{middle}}",
    "those not confirmed": f"{_LIST}/contacts/?status=unconfirmed",
    "those removed": f"{_LIST}/contacts/?status=removed",
    "one contact": f"{_LIST}/contacts/{{middle}}",
    "step 1, the list": f"{_LIST}/describe",
    "step 2, the file": f"{_LIST}/file",
    "step 3, the mail": f"{_LIST}/mail",
    "step 4, the conditions": f"{_LIST}/conditions",
    "step 5, launch": f"{_LIST}/launch",
    "hand over": f"{_LIST}/handover/?tool=mailchimp",
    "the log": "/admin/log/",
    "the log of one list": "/admin/log/?list=news",
    "who looked": "/admin/log/looks",
    "settings": "/admin/settings/",
    "connections": "/admin/connecting/",
    "people": "/admin/people/",
}
_BEFORE = 10  # seconds
_FEW = 2


def main() -> None:
    """Measure and print."""
    options = _options()
    if shutil.which("smtp-sink") is None:
        sys.exit("there is no smtp-sink; on Debian it comes with postfix")
    with tempfile.TemporaryDirectory(dir=options.folder) as name, _sink() as port:
        path = _prepare(Path(name) / "installation", options.people, port)
        settings = config.load(path)
        with open_database(settings.database):
            _measure(path, settings, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--longest", type=int, default=300, help="seconds of each phase at most")
    parser.add_argument("--folder", help="where the files are made, on the disk to be measured")
    return parser.parse_args()


def _measure(path: Path, settings: Settings, options: argparse.Namespace) -> None:
    print(f"{options.people:,} contacts\n")
    with answering.serving(path) as pages:
        cookie, over = _log_in(settings), time.monotonic() + _BEFORE
        _print("before", _ask(pages, cookie, until=lambda: time.monotonic() > over))
        _launch(settings)
        times = _ask(pages, cookie, until=_until(CampaignState.OPEN, options.longest))
        _print(f"while sending, {_sent():,} sent", times)
    _let_the_deadline_pass()
    removed = _removed()
    with answering.serving(path) as pages:
        cookie = _log_in(settings)
        times = _ask(pages, cookie, until=_until(CampaignState.CLOSED, options.longest))
        _print(f"while expiring, {_removed() - removed:,} removed", times)


# --- Asking. ------------------------------------------------------------------------------------


def _ask(port: int, cookie: str, *, until: Callable[[], bool]) -> dict[str, list[float]]:
    """Return the seconds that each page took, one list a page."""
    middle = Contact.select(Contact.id).order_by(Contact.id.desc()).get().id // 2
    asked = dict(_PAGES)
    if not Campaign.select().exists():
        del asked["its numbers alone"]
    times: defaultdict[str, list[float]] = defaultdict(list)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    while not until() or min(map(len, times.values()), default=0) < _FEW:
        for name, path in asked.items():
            began = time.perf_counter()
            connection.request("GET", path.format(middle=middle), headers={"Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
            times[name].append(time.perf_counter() - began)
            if answer.status != http.HTTPStatus.OK:
                sys.exit(f"{path} answered {answer.status}")
    connection.close()
    return times


def _until(state: CampaignState, longest: int) -> Callable[[], bool]:
    """Return what says whether the campaign has come so far, or the time is up."""
    over = time.monotonic() + longest
    return lambda: Campaign.get().state == state or time.monotonic() > over


def _print(phase: str, times: dict[str, list[float]]) -> None:
    print(f"{phase:40}{'median ms':>10}{'99% ms':>10}{'longest':>10}{'count':>8}")
    for name, taken in times.items():
        last = statistics.quantiles(taken, n=100, method="inclusive")[-1]
        middle, longest = statistics.median(taken), max(taken)
        print(
            f"  {name:38}{middle * 1e3:10,.0f}{last * 1e3:10,.0f}{longest * 1e3:10,.0f}"
            f"{len(taken):8,}"
        )
    print(flush=True)


def _log_in(settings: Settings) -> str:
    """Let an admin in without the steps that lead in; return the header of their cookie."""
    token, now = secrets.token_urlsafe(32), SystemClock().now()
    app = web.create_app(settings, clock=SystemClock())
    with open_database(settings.database) as database, database.atomic():
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


def _prepare(folder: Path, people: int, port: int) -> Path:
    """Make an installation with a list of so many people, and return its config.toml."""
    folder.mkdir()
    path, file = folder / "config.toml", folder / "list.csv"
    path.write_text(_configuration(port), "utf-8")
    settings, now = config.load(path), SystemClock().now()
    with file.open("w", encoding="utf-8") as out:
        out.write("email,name\n")
        out.writelines(f"person.{n}@example{n % 1000}.org,Jan {n}\n" for n in range(people))
    with open_database(settings.database) as database:
        schema.upgrade(database)
        with database.atomic():
            MailingList.create(
                slug="news",
                name="News",
                purpose="News, four times a year",
                frequency="four times a year",
                privacy_url="https://www.example.org/privacy",
                sender="News <news@example.org>",
                language="en",
                created_at=now,
            )
        importing.import_file(
            database, find_list("news"), file, settings=settings, now=now, actor="bench"
        )
    return path


def _configuration(port: int) -> str:
    text = config.fresh_config(config.asset("config.example.toml").read_text("utf-8"))
    for key, value in (("server", '"127.0.0.1"'), ("port", port), ("tls", '"none"')):
        text = re.sub(rf"^# {key} = .*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
    return text


def _launch(settings: Settings) -> None:
    now = SystemClock().now()
    organisation = config.Organisation(
        name="De Linde", address="Lindelaan 1\n1234 AB Utrecht", email="info@example.org"
    )
    with open_database(settings.database) as database:
        campaigns.launch(
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
        Mail.update(sent_at=long_ago, due_at=long_ago).where(Mail.sent_at.is_null(False)).execute()
        Campaign.update(
            launched_at=long_ago, starts_at=long_ago, deadline=now, state=CampaignState.OPEN
        ).execute()
    expiry.skip(database, to=now)


def _sent() -> int:
    return int(Mail.select().where(Mail.sent_at.is_null(False)).count())


def _removed() -> int:
    return int(Contact.select().where(Contact.status == "removed").count())


@contextlib.contextmanager
def _sink() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = ["smtp-sink", f"127.0.0.1:{port}", "1024"]
    if os.geteuid() == 0:
        command[1:1] = ["-u", "nobody"]
    with subprocess.Popen(command) as sink:
        try:
            yield port
        finally:
            sink.terminate()


if __name__ == "__main__":
    main()
