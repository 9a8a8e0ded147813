"""Answers that come in at an even pace while something else goes on, and how long each takes.

For the benchmarks beside it; imports repermit.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from repermit import email_address
from repermit.clock import SystemClock
from repermit.contacts import lookup
from repermit.db.connection import open_database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import CampaignState, MailKind, MailState, Status
from repermit.settings.definitions import Settings
from repermit.signed_links import KINDS, Links

_PEOPLE = 500
_WAITERS = 64


@dataclass(frozen=True)
class Answers:
    """Seconds that each answer took from when it was due, how many failed, and of the whole."""

    times: list[float]
    failed: int
    seconds: float


def make_campaign(settings: Settings) -> list[str]:
    """Put people on a list of their own who have been asked; return a Yes and then a No of each."""
    now = SystemClock().now()
    links = Links("", settings.secret_keys)
    with open_database(settings.database) as database, database.atomic():
        asked = MailingList.create(slug="asked", name="Asked", created_at=now)
        campaign = Campaign.create(
            list=asked,
            state=CampaignState.OPEN,
            deadline=now + timedelta(days=28),
            minimum_days=14,
            launched_at=now,
            starts_at=now,
        )
        uids = []
        for number in range(_PEOPLE):
            address = email_address.parse(f"asked{number}@example.org")
            person = lookup.make_contact(asked, address, status=Status.UNCONFIRMED, status_at=now)
            person.save(force_insert=True)
            Mail.create(
                list=asked,
                campaign=campaign,
                contact=person,
                kind=MailKind.ASK,
                state=MailState.SENT,
                due_at=now,
                sent_at=now,
                message_id=f"<{number}@example.org>",
            )
            uids.append(person.uid)
    # Everybody keeps changing their mind, so that each answer is written.
    return [links.url(kind, uid) for kind in KINDS[:2] for uid in uids]


@contextmanager
def serving(configuration: Path, python: str = sys.executable, **how: Any) -> Iterator[int]:
    """Run `repermit serve` in a process of its own; yield the port of its pages."""
    command = [python, "-m", "repermit", "--config", str(configuration)]
    with subprocess.Popen(
        [*command, "serve", "--host", "127.0.0.1", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        **how,
    ) as server:
        try:
            yield _port(server)
        finally:
            server.terminate()


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Run Postfix's smtp-sink, which takes every mail; yield its port."""
    if shutil.which("smtp-sink") is None:
        sys.exit("there is no smtp-sink; on Debian it comes with postfix")
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


def _port(server: subprocess.Popen[str]) -> int:
    for line in server.stdout or ():
        if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
            return int(found[1])
    sys.exit("repermit serve did not start")


def answer_while(
    act: Callable[[], object], port: int, presses: list[str], *, per_second: int
) -> Answers:
    """Post answers while `act` runs."""
    over = threading.Event()
    began = time.perf_counter()
    with ThreadPoolExecutor(_WAITERS) as pool:
        acting = pool.submit(act)
        acting.add_done_callback(lambda _: over.set())
        posted = []
        for number, press in enumerate(cycle(presses)):
            due = began + number / per_second
            if over.wait(max(0, due - time.perf_counter())):
                break
            posted.append(pool.submit(_post, port, press, due))
        acting.result()
        seconds = time.perf_counter() - began
        took = [post.result() for post in posted]
    times = [one for one in took if one is not None]
    return Answers(times, len(took) - len(times), seconds)


def _post(port: int, press: str, due: float) -> float | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        opened = time.perf_counter()
        connection.request("GET", press)
        numbers = re.findall(rb'name="number" value="([^"]*)"', connection.getresponse().read())
        due += time.perf_counter() - opened
        # That of a Yes is the longest.
        number = max(numbers, key=len, default=b"").decode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", press, f"number={number}", kind)
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return time.perf_counter() - due if answer.status == http.HTTPStatus.OK else None


def print_title(per_second: int) -> None:
    """Print what stands above the times."""
    title = f"answers, {per_second} a second"
    print(f"{title:26}{'median ms':>10}{'99% ms':>10}{'longest':>10}{'count':>10}{'failed':>10}")


def print_times(what: str, answers: Answers) -> None:
    """Print the times in milliseconds."""
    times = answers.times
    hundredths = statistics.quantiles(times, n=100, method="inclusive")
    median, last = statistics.median(times), max(times)
    print(
        f"{what:26}{median * 1e3:10,.1f}{hundredths[-1] * 1e3:10,.1f}{last * 1e3:10,.0f}"
        f"{len(times):10,}{answers.failed:10,}"
    )
