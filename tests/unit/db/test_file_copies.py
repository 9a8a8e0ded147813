"""Sealed copies of files: whole, for their key alone, and gone with whoever is erased.

Invariant 6 holds with them: no copy can be read that may have the address of somebody erased.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from repermit.campaigns import delete_list
from repermit.contacts import status_changes
from repermit.db.connection import Database, FairSqliteDatabase, lock_rows
from repermit.db.file_copies import seal_file, sweep_file_copies
from repermit.db.models.evidence import Evidence
from repermit.db.models.imports import FileCopy, Import
from repermit.db.models.lists import MailingList
from repermit.db.secure_delete import wipe_deleted_rows
from repermit.db.temporary_files import find_folder, make_temporary_files
from repermit.errors import NotFound, Refused
from repermit.evidence.verify import chain
from repermit.exports.export import write_imported_file
from repermit.imports import import_task
from repermit.privacy import forget, scheduled_erasure
from repermit.rules.consent import Reason
from repermit.setting_overrides import change_settings
from repermit.settings.definitions import EvidenceRules, Settings
from tests.support.builders import NOW, make_list
from tests.support.import_helpers import contact_at, mailchimp, parts_of, plain, take_back, take_in
from tests.unit.imports.test_import_task import begin

LATER = NOW + timedelta(hours=1)
OUT = {"UNSUB_TIME": "2020-01-01 00:00:00"}


@pytest.fixture
def keeping(settings: Settings, tmp_path: Path) -> Settings:
    """Return settings by which copies are kept; with PostgreSQL they stand beside a journal."""
    rules = EvidenceRules(keep_files=True)
    return replace(settings, evidence=rules, journal=tmp_path / "suppressions.journal")


@pytest.fixture
def folder(keeping: Settings) -> Path:
    return find_folder(keeping, "files")


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file of three who are to be asked, and one who opted out."""
    people = [{"email": f"{name}@example.org"} for name in ("jan", "zoe", "ann")]
    away = tmp_path / "elsewhere"
    away.mkdir()
    return mailchimp(away, *people, {"email": "out@example.org", **OUT}, more=("UNSUB_TIME",))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def give_back(database: Database, news: MailingList, digest: str, settings: Settings) -> bytes:
    out = io.BytesIO()
    write_imported_file(
        news, digest, database=database, settings=settings, now=LATER, actor="cli:0", out=out
    )
    return out.getvalue()


def make_large(folder: Path) -> Path:
    """Write a file of more than 3 MB, which is sealed in several pieces."""
    path = folder / "large.csv"
    lines = (f"p{number}@example.org,{'x' * 10_000}" for number in range(320))
    path.write_text("\n".join(["email,number", *lines, ""]), "utf-8")
    assert path.stat().st_size > 3_000_000
    return path


# --- A copy, and getting it back.


def test_a_file_comes_back_as_it_was_which_is_recorded(
    database: Database, news: MailingList, keeping: Settings, folder: Path, tmp_path: Path
) -> None:
    large = make_large(tmp_path)
    take_in(database, news, large, settings=keeping)
    (copy,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, copy.stat().st_mode & 0o777) == (0o700, 0o600)
    assert len(copy.read_bytes().splitlines()) == 4
    assert give_back(database, news, sha256(large), keeping) == large.read_bytes()
    (said,) = parts_of("exported")
    assert said["consent"] == {
        "what": "file",
        "format": "csv",
        "tool": "",
        "rows": 320,
        "with_links": False,
    }
    assert list(chain.verify()) == []


def test_by_default_no_copy_is_made(
    database: Database, news: MailingList, file: Path, settings: Settings, folder: Path
) -> None:
    take_in(database, news, file, settings=settings)
    sweep_file_copies(database, settings=settings, now=LATER)
    assert FileCopy.select().count() == 0
    assert not folder.exists()
    with pytest.raises(Refused, match="no sealed copy of this file is kept"):
        give_back(database, news, sha256(file), settings)


def test_a_dry_run_makes_none(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    take_in(database, news, file, settings=keeping, dry_run=True)
    assert FileCopy.select().count() == 0
    assert not folder.exists()


def test_a_file_that_was_never_taken_in_is_not_found(
    database: Database, news: MailingList, file: Path, keeping: Settings
) -> None:
    take_in(database, news, file, settings=keeping)
    club = make_list(database, slug="club")
    for whose, digest in ((news, "0" * 64), (club, sha256(file))):
        with pytest.raises(NotFound, match="no file of this SHA-256"):
            give_back(database, whose, digest, keeping)


def cut(data: bytes) -> bytes:
    return data[: data.index(b"\n") + 1]


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("alter", [cut, flip, lambda _: b"", lambda data: data * 2])
def test_a_copy_that_was_altered_is_refused(
    *,
    database: Database,
    news: MailingList,
    keeping: Settings,
    folder: Path,
    tmp_path: Path,
    alter: Callable[[bytes], bytes],
) -> None:
    large = make_large(tmp_path)
    take_in(database, news, large, settings=keeping)
    (copy,) = folder.iterdir()
    copy.write_bytes(alter(copy.read_bytes()))
    with pytest.raises(Refused, match="was altered"):
        give_back(database, news, sha256(large), keeping)
    assert not Evidence.select().where(Evidence.event == "exported").exists()


def test_a_copy_on_another_machine_or_lost_is_said_to_be_so(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    take_in(database, news, file, settings=keeping)
    (copy,) = folder.iterdir()
    copy.unlink()
    with pytest.raises(Refused, match="on the machine that took the file in"):
        give_back(database, news, sha256(file), keeping)


def test_another_key_of_the_settings_opens_it_once_it_is_sealed_anew(
    database: Database, news: MailingList, file: Path, keeping: Settings
) -> None:
    take_in(database, news, file, settings=keeping)
    new = replace(keeping, secret_keys=(b"another-secret-key-for-tests",))
    with pytest.raises(Refused, match="secret_keys"):
        give_back(database, news, sha256(file), new)
    both = (*keeping.secret_keys, *new.secret_keys)
    assert change_settings.reseal_secrets(database, both) == 1
    assert change_settings.reseal_secrets(database, both) == 0
    assert give_back(database, news, sha256(file), new) == file.read_bytes()


def test_nothing_is_given_back_while_a_file_is_under_way(
    database: Database, news: MailingList, file: Path, keeping: Settings
) -> None:
    begin(database, news, file, settings=keeping)
    with pytest.raises(Refused, match="is being taken into this list"):
        give_back(database, news, sha256(file), keeping)


# --- When it goes.


def ask_to_be_erased(
    address: str, database: Database, news: MailingList, settings: Settings, *, everywhere: bool
) -> None:
    forget.erase_address(
        database,
        address,
        mailing_list=None if everywhere else news,
        settings=settings,
        now=LATER,
        actor="cli:0",
    )


def erase_after_a_time(database: Database, news: MailingList, settings: Settings) -> None:
    act = status_changes.Act(at=LATER, actor="person")
    with database.atomic():
        status_changes.remove_contacts(
            [contact_at(news, "jan@example.org")],
            reason=Reason.NO,
            act=act,
            fingerprint_key=settings.fingerprint_key,
        )
    assert FileCopy.select().count() == 1
    after = LATER + timedelta(days=60)
    assert scheduled_erasure.erase_due(database, settings=settings, now=after) == 1


ERASURES: dict[str, Callable[[Database, MailingList, Settings], None]] = {
    "a contact": partial(ask_to_be_erased, "jan@example.org", everywhere=False),
    "a contact on all lists": partial(ask_to_be_erased, "jan@example.org", everywhere=True),
    # There is no contact of whom a file had opted out, only a fingerprint.
    "who had opted out": partial(ask_to_be_erased, "out@example.org", everywhere=False),
    # And nothing of whose cell no address could be read from.
    "nobody known": partial(ask_to_be_erased, "who@example.org", everywhere=True),
    "after removed_days": erase_after_a_time,
}


@pytest.mark.parametrize("way", ERASURES)
def test_erasing_one_person_leaves_nothing_of_the_file_that_can_be_read(
    *,
    database: Database,
    news: MailingList,
    file: Path,
    keeping: Settings,
    folder: Path,
    tmp_path: Path,
    way: str,
) -> None:
    take_in(database, news, file, settings=keeping)
    row = FileCopy.get()
    ERASURES[way](database, news, keeping)
    assert FileCopy.select().count() == 0
    with pytest.raises(Refused, match="once anybody is erased on news"):
        give_back(database, news, sha256(file), keeping)
    # The file itself may be left for a while: nothing here opens it.
    assert [path.name for path in folder.iterdir()] == [row.token]
    wipe_deleted_rows(database)
    found = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert row.key.encode() not in found.replace(file.read_bytes(), b"")
    if isinstance(database, FairSqliteDatabase) and way != "nobody known":
        erased = b"out@example.org" if way == "who had opted out" else b"jan@example.org"
        assert erased not in found.replace(file.read_bytes(), b"")
    sweep_file_copies(database, settings=keeping, now=LATER)
    assert list(folder.iterdir()) == []
    assert list(chain.verify()) == []


def test_the_copies_of_other_lists_stay(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    club = make_list(database, slug="club")
    for whose in (news, club):
        take_in(database, whose, file, settings=keeping)
    ask_to_be_erased("jan@example.org", database, news, keeping, everywhere=False)
    sweep_file_copies(database, settings=keeping, now=LATER)
    assert len(list(folder.iterdir())) == 1
    assert give_back(database, club, sha256(file), keeping) == file.read_bytes()


def test_none_is_made_of_a_file_that_has_somebody_who_was_erased_before(
    database: Database, news: MailingList, file: Path, keeping: Settings, tmp_path: Path
) -> None:
    take_in(database, news, file, settings=keeping)
    ask_to_be_erased("jan@example.org", database, news, keeping, everywhere=False)
    take_in(database, news, plain(tmp_path, ("jan@example.org", "")), settings=keeping, now=LATER)
    assert FileCopy.select().count() == 0
    take_in(database, news, plain(tmp_path, ("eve@example.org", "")), settings=keeping, now=LATER)
    assert FileCopy.select().count() == 1


def test_a_copy_goes_if_somebody_is_suppressed_before_the_last_step(
    database: Database, news: MailingList, keeping: Settings, tmp_path: Path
) -> None:
    """One who was erased as the file was read: the erasure saw no copy yet."""
    first = plain(tmp_path, ("jan@example.org", ""), name="first.csv")
    second = plain(tmp_path, ("jan@example.org", ""), ("eve@example.org", ""))
    take_in(database, news, first, settings=keeping)
    begin(database, news, second, settings=keeping, now=LATER)
    assert FileCopy.select().count() == 2
    with database.atomic():
        status_changes.remove_contacts(
            [contact_at(news, "jan@example.org")],
            reason=Reason.REQUEST,
            act=status_changes.Act(at=LATER, actor="person"),
            fingerprint_key=keeping.fingerprint_key,
        )
    assert import_task.finish_imports(database, settings=keeping, now=LATER) == 1
    (left,) = FileCopy.select()
    assert left.record.digest == sha256(first)


def test_a_copy_goes_with_its_import_and_its_list(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    take_in(database, news, file, settings=keeping)
    take_back(database, news, now=LATER)
    assert FileCopy.select().count() == 0
    take_in(database, news, file, settings=keeping, now=LATER)
    assert FileCopy.select().count() == 1
    delete_list.delete_list(database, news, settings=keeping, now=LATER, actor="cli:0")
    assert FileCopy.select().count() == 0
    sweep_file_copies(database, settings=keeping, now=LATER)
    assert list(folder.iterdir()) == []
    assert list(chain.verify()) == []


def test_a_file_that_is_half_taken_in_leaves_none_when_it_is_taken_back(
    database: Database, news: MailingList, file: Path, keeping: Settings
) -> None:
    begin(database, news, file, settings=keeping)
    assert FileCopy.select().count() == 1
    take_back(database, news, now=LATER)
    assert FileCopy.select().count() == 0


@pytest.mark.parametrize(
    ("rules", "after", "stays"),
    [
        (EvidenceRules(keep_files=True), timedelta(days=5 * 365), True),
        (EvidenceRules(keep_files=True), timedelta(days=5 * 366), False),
        (EvidenceRules(keep_files=False), timedelta(hours=1), False),
    ],
)
def test_the_sweep_ends_what_is_old_or_wanted_no_more(
    *,
    database: Database,
    news: MailingList,
    file: Path,
    keeping: Settings,
    folder: Path,
    rules: EvidenceRules,
    after: timedelta,
    stays: bool,
) -> None:
    take_in(database, news, file, settings=keeping)
    now = NOW + after
    sweep_file_copies(database, settings=replace(keeping, evidence=rules), now=now)
    assert (FileCopy.select().count(), len(list(folder.iterdir()))) == (stays, stays)


# --- A copy exists if its import does.


_KILLED = """\
import os, signal, sys
from pathlib import Path
from repermit.db.file_copies import seal_file
from repermit.settings.definitions import Settings
path, digest, when, database, journal = sys.argv[1:]
settings = Settings(public_url="https://x", database=database, secret_keys=(b"x",),
                    fingerprint_key=b"a-fingerprint-key-for-tests", journal=Path(journal))
with seal_file(Path(path), digest, settings=settings):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_before_the_row_is_there_leaves_nothing_that_can_be_read(
    database: Database, file: Path, keeping: Settings, folder: Path, when: str
) -> None:
    """Before the copy has its name, and after it."""
    command = [sys.executable, "-c", _KILLED, str(file), sha256(file), when]
    done = subprocess.run([*command, keeping.database, str(keeping.journal)], check=False)
    assert done.returncode == -9
    (left,) = folder.iterdir()
    assert b"jan@example.org" not in left.read_bytes()
    make_temporary_files(keeping).sweep()
    sweep_file_copies(database, settings=keeping, now=LATER)
    assert list(folder.iterdir()) == []


def test_a_file_that_changes_as_it_is_read_is_refused(
    file: Path, keeping: Settings, folder: Path
) -> None:
    with pytest.raises(Refused, match="was changed"), seal_file(file, "0" * 64, settings=keeping):
        pass
    assert list(folder.iterdir()) == []


def test_an_import_that_fails_leaves_no_copy(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    """Another file has come in between: the second is refused in the step that begins it."""
    begin(database, news, file, settings=keeping)
    with pytest.raises(Refused):
        take_in(database, news, plain(file.parent, ("x@example.org", "")), settings=keeping)
    assert len(list(folder.iterdir())) == FileCopy.select().count() == 1


def test_the_sweep_waits_for_an_import_that_is_just_being_begun(
    database: Database, news: MailingList, file: Path, keeping: Settings, folder: Path
) -> None:
    with database.atomic():
        record = Import.create(list=news, file="x", digest=sha256(file), counts="{}", at=NOW)
    is_named = threading.Event()

    def start_import() -> None:
        with database.connection_context(), database.atomic():
            lock_rows(MailingList.select().where(MailingList.id == news.id)).get()
            with seal_file(file, sha256(file), settings=keeping) as copy:
                FileCopy.create(record=record, **copy)
            is_named.set()
            time.sleep(0.3)

    def sweep() -> None:
        assert is_named.wait(10)
        with database.connection_context():
            sweep_file_copies(database, settings=keeping, now=NOW - timedelta(days=1))

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(start_import), pool.submit(sweep)]:
            done.result()
    assert [path.name for path in folder.iterdir()] == [FileCopy.get().token]
