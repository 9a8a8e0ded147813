"""Walking the chain for a page, here or in a process of its own."""

from __future__ import annotations

import fcntl
import io
import pickle
import shutil
import time
from collections.abc import Iterator

import pytest

from repermit.db.connection import Database
from repermit.db.models.evidence import Evidence
from repermit.db.temporary_files import place_of, private_folder
from repermit.evidence import chain, stored_tree
from repermit.evidence.entries import Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.chain import Walk, last_walk, verify_in_process
from repermit.settings.definitions import Settings
from tests.support.builders import NOW, make_settings

PATIENCE = 60  # seconds


@pytest.fixture(autouse=True)
def _nothing_left(settings: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(place_of(settings, "verified"), ignore_errors=True)


def append(database: Database, count: int) -> None:
    with database.atomic():
        chain.append(*[Entry(event="exported", at=NOW, actor="job", consent={"n": 1})] * count)


def walk(database: Database, settings: Settings) -> bool:
    return verify_in_process(database, settings=settings, now=NOW, actor="user:1")


def seen(settings: Settings) -> Walk:
    found = last_walk(settings)
    assert found
    return found


def test_before_the_first_walk_there_is_none_and_nothing_is_made(settings: Settings) -> None:
    assert last_walk(settings) is None
    assert not place_of(settings, "verified").exists()


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
    end = time.monotonic() + PATIENCE
    while seen(settings).is_busy:
        assert time.monotonic() < end
        time.sleep(0.05)
    found = seen(settings).found
    assert found
    assert (found["holds"], found["entries"]) == (True, verify_chain.LARGE)


def test_only_one_walks_at_a_time(database: Database, settings: Settings) -> None:
    assert walk(database, settings)
    folder = private_folder(settings, "verified")
    (folder / "walk.json").write_text(
        '{"at": "2026-03-01", "actor": "", "known": 1, "found": null}'
    )
    with (folder / "lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not walk(database, settings)
        assert seen(settings).is_busy
    found = seen(settings)
    assert (found.is_busy, found.found) == (False, None), "whoever walked is gone"
    assert walk(database, settings)


def job(settings: Settings) -> io.BytesIO:
    begun = {"at": NOW.isoformat(), "actor": "user:1", "known": None}
    return io.BytesIO(
        pickle.dumps(verify_chain._Job(settings=settings, known=None, now=NOW, begun=begun))
    )


def test_the_process_does_its_one_job(database: Database, settings: Settings) -> None:
    append(database, 2)
    verify_chain.serve(job(settings))
    found = seen(settings).found
    assert found
    assert found["entries"] == 2


def test_what_goes_wrong_in_it_is_told_without_its_text(
    settings: Settings, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    append(database, 1)
    folder = place_of(settings, "verified")
    folder.write_text("no folder")
    try:
        verify_chain.serve(job(settings))
    finally:
        folder.unlink()
    told = capsys.readouterr().err
    assert told.endswith("Refused\n")
    assert str(folder) not in told


def test_two_installations_on_postgresql_have_two_folders() -> None:
    one, other = (make_settings(database=f"postgresql://db/{name}") for name in "ab")
    assert place_of(one, "verified") != place_of(other, "verified")
    assert place_of(one, "verified") != place_of(one, "uploads")
