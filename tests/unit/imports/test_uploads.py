"""Files that wait to be taken in: kept privately, one a list, for a day at most."""

from __future__ import annotations

import fcntl
import io
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.db.connection import Database
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.errors import ListFileError, Refused
from repermit.imports.read_upload import start_reading
from repermit.imports.uploads import (
    MAX_SIZE,
    Choices,
    StoredUpload,
    UploadErasure,
    discard_upload,
    drop_broken_uploads,
    find_upload,
    forget_in_upload,
    get_folder,
    keep_upload,
    sweep_uploads,
)
from repermit.settings.definitions import Settings
from tests.support.admin_pages import make_admin
from tests.support.builders import NOW, make_list, make_settings


@pytest.fixture
def news(database: Database) -> MailingList:
    return make_list(database)


@pytest.fixture(autouse=True)
def _no_files_left(settings: Settings) -> Iterator[None]:
    yield
    shutil.rmtree(get_folder(settings))


def keep(
    database: Database,
    mailing_list: MailingList,
    settings: Settings,
    content: bytes = b"email\na@example.org\n",
    **overrides: Any,
) -> StoredUpload:
    user = make_admin(database)
    values = {"name": "list.csv", "user_id": user.id, "settings": settings, "now": NOW}
    return keep_upload(database, mailing_list, io.BytesIO(content), **{**values, **overrides})


def everything_below(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def test_a_file_is_kept_as_it_is_under_its_own_name_where_only_we_can_read_it(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    kept.task.save_result({"rows": 1})
    assert kept.path.read_bytes() == b"email\na@example.org\n"
    assert kept.path.name == "list.csv"
    with closing(kept.task.lock()):  # type: ignore[type-var]
        for path in everything_below(kept.folder.parent):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.counted_on_both
def test_beside_sqlite_it_stands_in_a_folder_named_for_the_database(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    sqlite = settings.sqlite_path
    if sqlite is None:
        assert kept.folder.parent.parent == Path(tempfile.gettempdir())
        assert kept.folder.parent.name.endswith(".uploads")
    else:
        assert kept.folder.parent == sqlite.with_name(f"{sqlite.name}.uploads")


def test_the_file_is_found_again_until_a_later_one_takes_its_place(
    database: Database, news: MailingList, settings: Settings
) -> None:
    assert find_upload(news, settings=settings) is None
    first = keep(database, news, settings)
    second = keep(database, news, settings, b"email\nb@example.org\n")
    found = find_upload(news, settings=settings)
    assert found is not None
    assert found.upload == second.upload
    assert not first.folder.exists()
    assert Upload.select().count() == 1


@pytest.mark.parametrize(
    ("name", "kept_as"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\Anna\\leden.xlsx", "leden.xlsx"),
        ("..", "list"),
        ("", "list"),
        ("a\nb\x00.csv", "ab.csv"),
        ("é" * 300 + ".csv", "é" * 100 + ".csv"),
        ("x" * 300 + "." + "y" * 300, "x" * 200),
    ],
)
def test_a_name_cannot_lead_elsewhere(
    database: Database, news: MailingList, settings: Settings, name: str, kept_as: str
) -> None:
    kept = keep(database, news, settings, name=name)
    assert kept.path == kept.folder / "file" / kept_as
    assert kept.path.exists()


@pytest.mark.parametrize(
    ("size", "reason"), [(0, "the file is empty"), (MAX_SIZE + 1, "the file is too large")]
)
def test_a_file_that_is_empty_or_too_large_is_not_kept(
    database: Database, news: MailingList, settings: Settings, size: int, reason: str
) -> None:
    with pytest.raises(ListFileError, match=reason):
        keep(database, news, settings, bytes(size))
    assert not Upload.select().exists()
    assert find_upload(news, settings=settings) is None


def test_a_file_of_the_largest_size_is_kept(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings, bytes(MAX_SIZE))
    assert kept.path.stat().st_size == MAX_SIZE


def test_a_folder_that_others_may_open_is_refused(
    database: Database, news: MailingList, settings: Settings
) -> None:
    folder = keep(database, news, settings).folder.parent
    folder.chmod(0o755)
    with pytest.raises(Refused, match="only this server's user"):
        find_upload(news, settings=settings)
    folder.chmod(0o700)


def test_a_link_in_place_of_the_folder_is_refused(
    database: Database, news: MailingList, settings: Settings, tmp_path: Path
) -> None:
    folder = keep(database, news, settings).folder.parent
    elsewhere = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(elsewhere)
    with pytest.raises(Refused, match="only this server's user"):
        find_upload(news, settings=settings)
    folder.unlink()
    elsewhere.rename(folder)


def test_what_is_chosen_is_kept(database: Database, news: MailingList, settings: Settings) -> None:
    kept = keep(database, news, settings)
    assert kept.choices == Choices()
    chosen = Choices(mapping={"name": "B\n"}, source="beurs", customers=True, attest="x")
    kept.save_choices(chosen)
    found = find_upload(news, settings=settings)
    assert found is not None
    assert found.choices == chosen


def test_while_it_is_worked_with_a_file_can_be_neither_given_up_nor_replaced(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    with closing(kept.task.lock()):  # type: ignore[type-var]
        assert kept.task.is_busy
        assert kept.task.lock() is None
        with pytest.raises(Refused):
            discard_upload(database, kept)
        with pytest.raises(Refused):
            keep(database, news, settings)
        assert sweep_uploads(database, settings=settings, now=NOW + timedelta(days=2)) == 0
    discard_upload(database, kept)
    assert not kept.folder.exists()
    assert find_upload(news, settings=settings) is None
    # As for a page that had found it just before.
    assert not kept.task.is_busy


def test_whoever_has_noted_what_came_of_it_is_waited_for(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    held = kept.task.lock()
    assert held is not None
    kept.task.save_result({"rows": 1})
    threading.Timer(0.2, held.close).start()
    discard_upload(database, kept)
    assert held.closed
    assert not kept.folder.exists()


# --- What others do at the worst moment. ---------------------------------------------------------


def before_next_lock(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Have something happen once, right before the next lock of a file in `uploads` is taken."""
    waiting = [happens]
    flock = fcntl.flock

    def flock_after(file: Any, operation: int) -> None:
        # Notes of files that are being made have locks of their own.
        if "uploads" in str(getattr(file, "name", "")) and waiting:
            waiting.pop()()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", flock_after)


def test_a_file_whose_writer_has_only_begun_is_not_broken(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[UploadErasure] = []
    before_next_lock(
        monkeypatch,
        lambda: became.append(forget_in_upload(news, "jan@example.org", settings=settings)),
    )
    kept = keep(database, news, settings)
    assert became == [UploadErasure.LEFT]
    found = find_upload(news, settings=settings)
    assert found is not None
    assert found.upload == kept.upload


def test_of_two_files_handed_in_at_once_the_first_is_refused(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second: list[StoredUpload] = []
    before_next_lock(monkeypatch, lambda: second.append(keep(database, news, settings)))
    with pytest.raises(Refused, match="at the same time"):
        keep(database, news, settings)
    found = find_upload(news, settings=settings)
    assert found is not None
    assert [found.upload] == [stored.upload for stored in second]
    assert [path.name for path in get_folder(settings).iterdir()] == [found.upload.token]


def test_a_file_that_comes_whole_while_it_is_looked_at_is_not_broken(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = keep(database, news, settings)
    half = kept.path.rename(kept.path.with_name(".half"))
    before_next_lock(monkeypatch, lambda: half.rename(kept.path))
    drop_broken_uploads(database, news, settings=settings)
    assert kept.path.exists()
    assert Upload.select().count() == 1


def test_a_file_that_never_came_whole_is_dropped(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    kept.path.unlink()
    with closing(kept.task.lock()):  # type: ignore[type-var]
        drop_broken_uploads(database, news, settings=settings)
        assert Upload.select().exists()
    drop_broken_uploads(database, news, settings=settings)
    assert not kept.folder.exists()
    assert not Upload.select().exists()


def test_nobody_can_begin_to_work_with_a_file_that_is_being_given_up(
    database: Database,
    news: MailingList,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = keep(database, news, settings)
    rmtree = shutil.rmtree
    was_free: list[bool] = []

    def rmtree_after(path: Path, **options: Any) -> None:
        lock = kept.task.lock()
        was_free.append(lock is not None)
        if lock is not None:
            lock.close()
        rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", rmtree_after)
    discard_upload(database, kept)
    monkeypatch.undo()
    assert was_free == [False]
    assert not kept.folder.exists()


@pytest.mark.parametrize(("early", "gone"), [(1, 0), (0, 1), (-1, 1)])
def test_a_day_later_the_file_is_gone(
    database: Database, news: MailingList, settings: Settings, early: int, gone: int
) -> None:
    kept = keep(database, news, settings)
    now = NOW + timedelta(days=1) - timedelta(microseconds=early)
    assert sweep_uploads(database, settings=settings, now=now) == gone
    assert kept.folder.exists() == (not gone)


def test_a_row_whose_file_is_not_here_is_no_file_and_is_swept(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    shutil.rmtree(kept.folder)
    assert find_upload(news, settings=settings) is None
    assert sweep_uploads(database, settings=settings, now=NOW + timedelta(days=1)) == 1


def test_a_folder_that_belongs_to_no_row_is_swept(
    database: Database, news: MailingList, settings: Settings
) -> None:
    kept = keep(database, news, settings)
    with database.atomic():
        Upload.delete().execute()
    sweep_uploads(database, settings=settings, now=NOW)
    assert not kept.folder.exists()


def test_each_machine_deletes_its_own_whoever_finds_first_that_a_day_is_over(
    database: Database, news: MailingList, settings: Settings
) -> None:
    """Several machines share the database on PostgreSQL, and none sees the files of another."""
    kept = keep(database, news, settings)
    elsewhere = replace(settings, database="postgresql://a:secret@elsewhere/one")
    later = NOW + timedelta(days=1)
    try:
        assert find_upload(news, settings=elsewhere) is None
        assert sweep_uploads(database, settings=elsewhere, now=NOW) == 0
        assert Upload.select().count() == 1
        # The machine that has the file is gone: another one forgets what it was called.
        assert sweep_uploads(database, settings=elsewhere, now=later) == 1
        assert kept.path.exists()
        # It comes back, and finds a file of nobody.
        assert sweep_uploads(database, settings=settings, now=later) == 0
        assert not kept.folder.exists()
    finally:
        shutil.rmtree(get_folder(elsewhere))


def test_two_installations_do_not_share_a_folder() -> None:
    here = make_settings(database="postgresql://a:secret@here/one")
    there = make_settings(database="postgresql://a:secret@there/one")
    folders = {get_folder(here), get_folder(there)}
    for folder in folders:
        folder.rmdir()
    assert len(folders) == 2


# --- Who is erased. ------------------------------------------------------------------------------

THREE = "email\nAnna@Example.org\nÉva@bücher.org\njan,jansen@example.org\n".encode()


@pytest.mark.parametrize(
    ("address_key", "became"),
    [
        ("anna@example.org", UploadErasure.DELETED),
        ("éva@xn--bcher-kva.org", UploadErasure.DELETED),
        # Whose the third is cannot be known.
        ("jan@example.org", UploadErasure.DELETED),
        ("hannah@example.org", UploadErasure.NOTHING),
    ],
)
def test_a_file_goes_with_an_address_in_it_that_is_erased(
    database: Database,
    news: MailingList,
    settings: Settings,
    address_key: str,
    became: UploadErasure,
) -> None:
    kept = keep(database, news, settings, THREE)
    start_reading(database, news, choices=Choices(), settings=settings, now=NOW, actor="user:1")
    assert forget_in_upload(news, address_key, settings=settings) is became
    is_there = became is UploadErasure.NOTHING
    assert kept.path.read_bytes() == (THREE if is_there else b"")
    assert kept.rows.exists() is is_there
    assert kept.task.result
    assert ("refused" in kept.task.result) is not is_there
    assert Upload.get_by_id(kept.upload.id).rows == (3 if is_there else 0)


def test_a_file_that_nobody_has_looked_at_may_hold_whoever_is_erased(
    database: Database, news: MailingList, settings: Settings
) -> None:
    assert forget_in_upload(news, "jan@example.org", settings=settings) is UploadErasure.NOTHING
    kept = keep(database, news, settings)
    with closing(kept.task.lock()):  # type: ignore[type-var]
        assert forget_in_upload(news, "jan@example.org", settings=settings) is UploadErasure.LEFT
    assert forget_in_upload(news, "jan@example.org", settings=settings) is UploadErasure.DELETED
    assert kept.path.read_bytes() == b""
    # On another machine.
    shutil.rmtree(kept.folder)
    assert forget_in_upload(news, "jan@example.org", settings=settings) is UploadErasure.LEFT
