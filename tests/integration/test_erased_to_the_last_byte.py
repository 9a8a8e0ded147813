"""Invariant 6 to the last byte: after an erasure nothing in the folder tells who it was.

A campaign of thousands under a real `serve`, killed twice, in which people leave traces of every
kind; then they are erased in every way there is, while it goes on serving; and then every byte of
the folder is searched.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import io
import json
import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlencode, urlsplit

import pytest

from repermit import email_address
from repermit.accounts import api_tokens
from repermit.clock import ManualClock, SystemClock
from repermit.contacts import erasure, status_changes
from repermit.contacts.status_changes import Act
from repermit.db.models.accounts import User
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.imports import read_upload, uploads
from repermit.imports.uploads import Choices
from repermit.jobs.periodic_jobs import Jobs
from repermit.rules.consent import Reason
from repermit.signed_links import Kind, Links
from repermit.webhooks import endpoints
from tests.support.admin_pages import make_admin
from tests.support.chain_faults import iter_chain_faults
from tests.support.command_tree import REPERMIT
from tests.support.desk import ACCEPTED, ATTEST, Desk
from tests.support.returned_mails import reply_to, returned_for
from tests.support.send_processes import make_desk
from tests.support.smtp_sink import Sink, wait_until
from tests.support.webhook_receiver import Answer, Receiver

STRANGER = 20_000

# --- A search that fails to find what was never written proves nothing: see the end of the test.

# Long enough that random letters do not spell one: a folder holds some million of those.
_TOKEN = rb"qjvk([xy])([0-9]{5})"
_WIDE = rb"q\0j\0v\0k\0([xy])\0((?:[0-9]\0){4}[0-9])"
_HEX = rb"[57]1[46]a[57]6[46]b[57]([89])((?:3[0-9]){5})"
_RUN = re.compile(rb"[A-Za-z0-9+/_-]{8,}")


def address_of(number: int) -> str:
    return f"Qjvkx{number:05}@bücher.org"


def name_of(number: int) -> str:
    return f"Zoë Qjvky{number:05}"


def seen_in(data: bytes) -> Iterator[tuple[str, int]]:
    """Yield "x" for an address and "y" for a name, and whose it is, in any spelling.

    As it is, in lower case, with its domain in either form and in quoted-printable it has the same
    letters; beside those UTF-16, hex, and base64 wherever it begins.
    """
    for whose, number in re.findall(_TOKEN, data, re.IGNORECASE):
        yield whose.decode().lower(), int(number)
    for whose, number in re.findall(_WIDE, data, re.IGNORECASE):
        yield whose.decode().lower(), int(number.replace(b"\0", b""))
    for whose, number in re.findall(_HEX, data):
        yield {b"8": "x", b"9": "y"}[whose], int(number[1::2])


def decoded(data: bytes) -> Iterator[bytes]:
    for run in _RUN.findall(data):
        for start in range(4):
            text = run[start:].translate(bytes.maketrans(b"-_", b"+/"))
            with suppress(binascii.Error):
                yield base64.b64decode(text + b"=" * (-len(text) % 4))


def search(folder: Path) -> dict[tuple[str, int], set[str]]:
    """Return in which files each address and name stands."""
    found: dict[tuple[str, int], set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for seen in (*seen_in(data), *seen_in(b"\n".join(decoded(data)))):
                found.setdefault(seen, set()).add(path.name)
    return found


@pytest.mark.parametrize(
    "spelling",
    [
        b"=?utf-8?q?Zo=C3=AB_Qjvky00007?=",
        email_address.parse(address_of(7)).key.encode(),
        *(("x" * shift + address_of(7)).encode("utf-16") for shift in range(2)),
        *(base64.b64encode(("é" * shift + name_of(7)).encode()) for shift in range(4)),
        address_of(7).encode().hex().encode(),
    ],
)
def test_the_search_knows_a_spelling(tmp_path: Path, spelling: bytes) -> None:
    (tmp_path / "file").write_bytes(b"\xff;" + spelling + b";\xff")
    assert {number for _, number in search(tmp_path)} == {7}


# --- The story.


class Office:
    """A desk whose programs write what they say, and their temporary files, into its folder."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.temporary = desk.folder / "tmp"
        self.temporary.mkdir()
        self._logs = 0

    def begin(self, *command: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        self._logs += 1
        with (self.desk.folder / f"{self._logs}.log").open("wb") as log:
            return subprocess.Popen(
                [REPERMIT, "--config", self.desk.config, *command],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(self.temporary)},
            )

    def do(self, *command: str) -> None:
        """Give a command and wait for its end."""
        log = self.desk.folder / f"{self._logs + 1}.log"
        assert self.begin(*command).wait(120) == 0, log.read_text()

    def do_here(self, *command: str) -> None:
        """Give a command in this process, where it takes a tenth of the time."""
        self._logs += 1
        with mock.patch.object(tempfile, "tempdir", str(self.temporary)):
            ran = self.desk.run(*command)
        (self.desk.folder / f"{self._logs}.log").write_text(ran.out + ran.err, "utf-8")
        assert ran.code == 0, ran.err

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve until the end of the block, and then be killed; give where the pages are."""
        running = self.begin("serve", "--port", "0")
        log = self.desk.folder / f"{self._logs}.log"
        try:
            wait_until(lambda: b"http://127" in log.read_bytes())
            yield re.findall(r"http://(127\.0\.0\.1:\d+)/", log.read_text())[0]
        finally:
            running.kill()
            running.wait(20)


_FORM = "application/x-www-form-urlencoded"


def ask(place: str, path: str, body: str, **headers: str) -> str:
    """Send something to the pages, and return what they say."""
    asked = http.client.HTTPConnection(place, timeout=30)
    asked.request("POST", path, body, headers)
    answer = asked.getresponse()
    assert answer.status == 200
    said = answer.read().decode()
    asked.close()
    return said


def post(place: str, path: str, **fields: str) -> str:
    """Press a button of a page, as a browser does."""
    return ask(place, path, urlencode(fields), **{"Content-Type": _FORM})


def contact_of(number: int) -> Contact:
    found: Contact = Contact.get(Contact.address_key == email_address.parse(address_of(number)).key)
    return found


def path_of(desk: Desk, number: int, kind: Kind = "no") -> str:
    """Return where somebody says No, or another of their pages."""
    with desk.database():
        contact = contact_of(number)
    links = Links(desk.settings.public_url, desk.settings.secret_keys)
    return urlsplit(links.url(kind, contact.uid)).path


def open_everything(desk: Desk, place: str, number: int) -> str:
    """Let somebody have a fresh link sent, and press it; return the authority of its page."""
    post(place, path_of(desk, number, "me"), do="link")
    with desk.database():
        link = FreshLink.get(FreshLink.contact == contact_of(number))
    token = Links(desk.settings.public_url, desk.settings.secret_keys).token("fresh", link.uid)
    page = post(place, f"/fresh/{token}")
    assert name_of(number) in page
    (authority,) = set(re.findall(r'name="authority" value="([^"]+)"', page))
    return str(authority)


def hand_in(desk: Desk, numbers: Sequence[int]) -> None:
    """Hand a file of these people in at the admin's pages, and leave it there."""
    rows = "\n".join(f"{address_of(number)};{name_of(number)}" for number in numbers)
    file = io.BytesIO(f"email;naam\n{rows}\n".encode())
    with desk.news() as (database, news):
        admin = User.get_or_none() or make_admin(database)
        settings, now = desk.settings, SystemClock().now()
        uploads.keep_upload(
            database, news, file, name="list.csv", user_id=admin.id, settings=settings, now=now
        )
        read_upload.start_reading(
            database, news, choices=Choices(), settings=settings, now=now, actor="user 1"
        )
        kept = uploads.find_upload(news, settings=settings)
        assert kept
        assert address_of(numbers[0]) in kept.path.read_text("utf-8")


def give_back(desk: Desk, theirs: Path) -> None:
    """Let a mail come back, and somebody reply to one."""
    with desk.database():
        full, answered = (Mail.get(Mail.contact == contact_of(number)) for number in (7, 8))
        messages = {
            "bounce.eml": returned_for("gmail_over_quota", full),
            "reply.eml": reply_to(answered, f"Ja\n\n{name_of(8)}", sender=address_of(8)),
        }
    for name, raw in messages.items():
        (theirs / name).write_bytes(raw)
        desk.do("bounce", str(theirs / name))
    with desk.database():
        assert Mail.get_by_id(full.id).bounce
        assert Reply.select().exists()


def connect(desk: Desk, receiver: Receiver) -> str:
    """Add a webhook, and a token that is returned."""
    with desk.database() as database:
        act: Any = {"now": SystemClock().now(), "actor": "user 1"}
        endpoints.add(database, receiver.url(), settings=desk.settings, **act)
        return api_tokens.make_token(database, "tool", scopes=api_tokens.SCOPES, **act).bearer


def remove(desk: Desk, numbers: Sequence[int]) -> None:
    """Take people off."""
    with desk.database() as database, database.atomic():
        keys = [email_address.parse(address_of(number)).key for number in numbers]
        status_changes.remove_contacts(
            list(Contact.select().where(Contact.address_key.in_(keys))),
            reason=Reason.NO,
            act=Act(at=SystemClock().now(), actor="person", trace={"network": "192.0.2.0/24"}),
            fingerprint_key=desk.settings.fingerprint_key,
        )


def erase(desk: Desk, numbers: Sequence[int]) -> None:
    """Let people delete what is held of them, as by their own page."""
    with desk.database() as database:
        for number in numbers:
            with database.atomic():
                key = email_address.parse(address_of(number)).key
                erasure.erase_contact(
                    Contact.get(Contact.address_key == key),
                    act=Act(at=SystemClock().now(), actor="person"),
                    fingerprint_key=desk.settings.fingerprint_key,
                )


def purge(desk: Desk) -> None:
    """Let the job do its work a month later."""
    clock = ManualClock(SystemClock().now() + timedelta(days=31))
    with desk.database() as database:
        Jobs(desk.settings, database, clock=clock, stopping=threading.Event()).erase()
        assert list(iter_chain_faults()) == []


@pytest.mark.everyday("1500")
@pytest.mark.parametrize("people", [1_500, 10_000])
def test_invariant_6_after_an_erasure_no_byte_tells_who_it_was(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, sqlite_url: str, people: int
) -> None:
    everybody = frozenset(range(people))
    theirs = tmp_path_factory.mktemp("theirs")
    rows = [f"{address_of(number)};{name_of(number)};" for number in sorted(everybody)]
    # One who wants no mail, and two of whom it cannot be known who they are.
    rows.append(f"{address_of(STRANGER)};{name_of(STRANGER)};wil geen mail meer")
    rows += [f"{address_of(9)},{address_of(10)};{name_of(9)};", f"{name_of(10)};{name_of(10)};"]
    (theirs / "list.csv").write_text("email;naam;opmerking\n" + "\n".join(rows) + "\n", "utf-8")
    # A program that quotes what it is told, and fails.
    quoting = [Answer(500, body=address_of(1).encode())] * 3
    with Sink() as sink, Receiver(*quoting) as receiver:
        desk = make_desk(tmp_path, sqlite_url, sink)
        with desk.config.open("a", encoding="utf-8") as file:
            file.write("[web]\nwebhooks_to_private = true\n")
        desk.add_news()
        office = Office(desk)
        office.do("import", "news", str(theirs / "list.csv"), "--source", "our forms", "--json")
        bearer = connect(desk, receiver)
        later = (SystemClock().now() + timedelta(days=60)).date().isoformat()
        office.do("launch", "news", "--deadline", later, "--attest", ATTEST, *ACCEPTED)
        for mails in (people // 4, people // 2):
            with office.serving():
                sink.wait_for(mails)
        with office.serving() as place:
            # Everybody leaves traces of every kind first.
            post(place, path_of(desk, 1))
            sink.wait_for(people - 100)
            wait_until(lambda: not desk_owes(desk))
            authority = open_everything(desk, place, 5)
            desk.do("preview", "news", "--to", address_of(6))
            told = ask(
                place,
                "/api/v1/lists/news/contact",
                json.dumps({"address": address_of(6)}),
                **{"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"},
            )
            assert json.loads(told)["address"] == address_of(6)
            give_back(desk, theirs)
            post(place, "/join/news", address=address_of(2), name=name_of(2))
            note = f"by phone, {name_of(3)}"
            office.do_here("answer", "news", address_of(3), "no", "--note", note)
            office.do_here("export", "news", "removed", "-o", str(tmp_path / "taken.xlsx"))
            (tmp_path / "taken.xlsx").unlink()
            remove(desk, range(30, 1100))
            office.do("cancel", "news")
            wait_until(lambda: bool(receiver.told))
            hand_in(desk, range(1, 30))
            # And goes: at their request, by themselves, and by the job.
            office.do("forget", "news", address_of(1))
            for number in (2, 3, 4):
                office.do_here("forget", "news", address_of(number))
            hand_in(desk, range(5, 30))
            for act in ("show", "download", "delete"):
                post(place, f"/held/{act}", authority=authority)
            erase(desk, range(6, 30))
            purge(desk)
            gone = frozenset({*range(1, 1100), STRANGER})
            found = search(tmp_path)
    left = {whom: where for whom, where in found.items() if whom[1] in gone}
    assert left == {}
    # So that a search which finds nothing at all does not pass.
    assert {whose for whose in found if whose[1] not in gone} == {
        (which, number) for which in "xy" for number in everybody - gone
    }


def desk_owes(desk: Desk) -> bool:
    """Say whether a mail is still to be sent, or on its way."""
    with desk.database():
        unsettled = Mail.state.in_(("queued", "claimed", "started"))
        return bool(Mail.select().where(unsettled).exists())
