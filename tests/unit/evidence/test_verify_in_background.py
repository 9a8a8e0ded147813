"""Walking the chain for a page, here or in a process of its own."""

from __future__ import annotations

import fcntl
import json
import shutil
import signal
import time
from collections.abc import Iterator

import pytest

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence
from repermit.evidence import chain, stored_tree
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.chain import Walk, find_last_walk, verify_in_process
from repermit.settings.definitions import Settings
from repermit.temporary_files import find_folder, open_private_folder
from tests.support.builders import NOW, make_settings
from tests.unit.db.test_detached_process import started_processes

PATIENCE = 60  # seconds


@pytest.fixture(autouse=True)
def _nothing_left(settings: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(find_folder(settings, "verified"), ignore_errors=True)


def append(database: Database, count: int) -> None:
    with database.atomic():
        chain.append(*[Entry(event="exported", at=NOW, actor="job", consent={"n": 1})] * count)


def walk(database: Database, settings: Settings) -> bool:
    return verify_in_process(database, settings=settings, now=NOW, actor="user:1")


def seen(settings: Settings) -> Walk:
    found = find_last_walk(settings)
    assert found
    return found


def wait_for(settings: Settings) -> None:
    end = time.monotonic() + PATIENCE
    while seen(settings).is_busy:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_before_the_first_walk_there_is_none_and_nothing_is_made(settings: Settings) -> None:
    assert find_last_walk(settings) is None
    assert not find_folder(settings, "verified").exists()


def test_a_short_chain_is_walked_at_once(database: Database, settings: Settings) -> None:
    append(database, 3)
    assert walk(database, settings)
    found = seen(settings)
    assert (found.at, found.actor, found.known, found.is_busy) == (NOW, "user:1", None, False)
    assert found.found == verify_chain.verify_chain(database).to_json()
    assert found.found["holds"]
    known = stored_tree.checkpoint()
    append(database, 1)
    assert verify_in_process(database, known=known, settings=settings, now=NOW, actor="user:1")
    found = seen(settings)
    assert found.known == 3
    assert found.found
    assert found.found["consistency"]["earlier"]["seq"] == 3


def test_an_empty_chain_holds(database: Database, settings: Settings) -> None:
    assert walk(database, settings)
    found = seen(settings).found
    assert found
    assert (found["holds"], found["entries"]) == (True, 0)


def test_what_does_not_hold_is_kept(database: Database, settings: Settings) -> None:
    append(database, 3)
    with database.atomic():
        Evidence.update(actor="person").where(Evidence.seq == 2).execute()
    walk(database, settings)
    found = seen(settings).found
    assert found
    assert found["fault"] == {"seq": 2, "how": "edited", "what": ""}


@pytest.mark.counted_on_both
def test_a_long_chain_is_walked_by_a_process_of_its_own(
    database: Database, settings: Settings
) -> None:
    append(database, verify_chain.LARGE)
    assert walk(database, settings)
    wait_for(settings)
    found = seen(settings).found
    assert found
    assert (found["holds"], found["entries"]) == (True, verify_chain.LARGE)


def test_only_one_walks_at_a_time(database: Database, settings: Settings) -> None:
    assert walk(database, settings)
    folder = open_private_folder(settings, "verified")
    (folder / "walk.json").unlink()
    with (folder / "lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not walk(database, settings)
        assert seen(settings).is_busy
    found = seen(settings)
    assert (found.is_busy, found.found) == (False, None), "whoever walked is gone"
    assert walk(database, settings)


def test_two_installations_on_postgresql_have_two_folders() -> None:
    one, other = (make_settings(database=f"postgresql://db/{name}") for name in "ab")
    assert find_folder(one, "verified") != find_folder(other, "verified")
    assert find_folder(one, "verified") != find_folder(one, "uploads")


@pytest.mark.counted_on_both
def test_a_walk_that_is_killed_was_cut_off_and_can_be_begun_again(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = started_processes(monkeypatch, are_stopped=True)
    append(database, verify_chain.LARGE)
    assert walk(database, settings)
    assert seen(settings).is_busy
    assert not walk(database, settings)
    processes[0].kill()
    processes[0].wait()
    found = seen(settings)
    assert (found.at, found.actor, found.found, found.is_busy) == (NOW, "user:1", None, False)
    assert walk(database, settings)
    processes[1].send_signal(signal.SIGCONT)
    wait_for(settings)
    assert seen(settings).found


def test_a_walk_that_an_earlier_version_kept_is_shown(settings: Settings) -> None:
    """It kept one document of both: how it began, and null for what is not found yet."""
    kept = open_private_folder(settings, "verified") / "walk.json"
    begun = {"at": NOW.isoformat(), "actor": "user:1", "known": 7}
    for found in (None, {"holds": True}):
        kept.write_text(json.dumps({**begun, "found": found}))
        assert seen(settings) == Walk(at=NOW, actor="user:1", known=7, found=found, is_busy=False)
