"""Background tasks: long work whose progress is one row of the database.

A process locks that row for each step (see work_steps), so any number of processes may run a task
at once. A kill rolls back one step at most, and the next run of the job goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, TypeVar

from peewee import BigIntegerField, CharField, ForeignKeyField, PeeweeException, TextField

from repermit.db.connection import Database, FairSqliteDatabase, lock_rows, run_sql
from repermit.db.models.base import PreparedQuery, Table, timestamp_field
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import MAX_ROWS_PER_STEP, MIN_ROWS_PER_STEP, StepSize, run_steps
from repermit.errors import Refused
from repermit.i18n.lazy_text import LazyText
from repermit.temporary_files import open_private

_T = TypeVar("_T")
_R = TypeVar("_R")


class TaskKind(StrEnum):
    """The kind of a task; the comments say what its target is."""

    LAUNCH = "launch"  # a campaign
    IMPORT = "import"  # an import
    UNDO_IMPORT = "undo_import"  # an import
    IMPORT_SUPPRESSIONS = "import_suppressions"  # a number of its own: a list may have several
    DELETE_LIST = "delete_list"  # a list
    RESOLVE = "resolve"  # the first mail in doubt: a list may have several


class BackgroundTask(Table):
    """A task under way; the row is deleted when the task is done.

    - `target`: the id of the object that it works on, see `TaskKind`.
    - `at`: the time at which `actor` decided it.
    - `progress`: its state as JSON, in the form of its kind.
    """

    if TYPE_CHECKING:
        id: int
        list_id: int

    kind = CharField()
    list = ForeignKeyField(MailingList)
    target = BigIntegerField()
    actor = CharField()
    at = timestamp_field()
    progress = TextField()

    class Meta:
        """One task of a kind on a target."""

        indexes = ((("kind", "target"), True),)

    @property
    def state(self) -> dict[str, Any]:
        """Return the progress, decoded; assign to change it."""
        state: dict[str, Any] = json.loads(self.progress)
        return state

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.progress = json.dumps(state, ensure_ascii=False)


def make_task(
    kind: TaskKind,
    target: int,
    *,
    mailing_list: MailingList,
    actor: str,
    at: datetime,
    state: dict[str, Any],
) -> BackgroundTask:
    """Return a new task, not saved."""
    return BackgroundTask(
        kind=kind,
        list=mailing_list,
        target=target,
        actor=actor,
        at=at,
        progress=json.dumps(state, ensure_ascii=False),
    )


def start_task(
    kind: TaskKind,
    target: int,
    *,
    mailing_list: MailingList,
    actor: str,
    at: datetime,
    state: dict[str, Any],
) -> BackgroundTask:
    """Save a new task, in the caller's transaction."""
    task = make_task(kind, target, mailing_list=mailing_list, actor=actor, at=at, state=state)
    task.save(force_insert=True)
    return task


def find_task(kind: TaskKind, target: int) -> BackgroundTask | None:
    """Return the running task of a kind on a target; None without one."""
    return _find_first(BackgroundTask.kind == kind, BackgroundTask.target == target)


def lock_task(kind: TaskKind, target: int) -> BackgroundTask | None:
    """Return the same as `find_task`, locked until the caller's transaction ends."""
    task: BackgroundTask | None = _LOCK.first(kind, target)
    return task


# Prepared, as each step of a task runs it.
_LOCK = PreparedQuery(
    lambda kind, target: lock_rows(
        BackgroundTask.select().where(BackgroundTask.kind == kind, BackgroundTask.target == target)
    ),
    2,
)


def find_task_of_list(kind: TaskKind, mailing_list: MailingList) -> BackgroundTask | None:
    """Return a running task of a kind on a list; None without one."""
    return _find_first(BackgroundTask.kind == kind, BackgroundTask.list == mailing_list)


def lock_import_task(list_id: int) -> BackgroundTask | None:
    """Return a list's running import, locked until the caller's transaction ends; else None."""
    is_import = BackgroundTask.kind == TaskKind.IMPORT
    return _find_first(is_import, BackgroundTask.list == list_id, locks=True)


def _find_first(*conditions: Any, locks: bool = False) -> BackgroundTask | None:
    query = BackgroundTask.select().where(*conditions)
    task: BackgroundTask | None = (lock_rows(query) if locks else query).first()
    return task


def select_targets(kind: TaskKind) -> Any:
    """Return the query for the targets of the tasks of a kind."""
    return BackgroundTask.select(BackgroundTask.target).where(BackgroundTask.kind == kind)


def list_targets(kind: TaskKind) -> list[int]:
    """Return the targets of the tasks of a kind."""
    return [target for (target,) in select_targets(kind).tuples()]


def run_task(
    database: Database,
    kind: TaskKind,
    target: int,
    *steps: Callable[[BackgroundTask, int], bool],
    should_stop: Callable[[], bool] = bool,
    between: Callable[[], None] = lambda: None,
    max_rows: int | None = None,
    max_rows_per_step: int = MAX_ROWS_PER_STEP,
    min_rows_per_step: int = MIN_ROWS_PER_STEP,
) -> bool:
    """Run the steps of a task until it is done; return False if it was stopped before.

    - `steps`: the phases of the task, in order. Each is called with the locked task and a number of
      rows, in a transaction of its own, until it returns False: the phase is done. Its changes of
      `state` are stored. Each phase begins with small steps, as its rows may take longer.
    - `between`: called after each step, outside a transaction.
    - `max_rows`: rows after which no further step is begun.
    """
    size = StepSize(min_rows=min_rows_per_step, max_rows=max_rows_per_step)
    phases = list(steps)

    def take_step(limit: int) -> bool:
        task = lock_task(kind, target)
        if task is None:
            return False
        is_more = phases[0](task, limit)
        while not is_more and len(phases) > 1:
            phases.pop(0)
            is_more = phases[0](task, size.restart())
        if is_more:
            task.write_changes()
        else:
            task.delete_instance()
        return is_more

    return run_steps(
        database, take_step, should_stop=should_stop, between=between, max_rows=max_rows, size=size
    )


def run_each(run: Callable[[_T], _R], tasks: Iterable[_T]) -> list[_R]:
    """Call `run` for each task, and return the results; raises the first error after the last task.

    Otherwise a task that fails at each run would keep the later ones waiting for ever.
    """
    results: list[_R] = []
    errors: list[Exception] = []
    for task in tasks:
        try:
            results.append(run(task))
        except Exception as error:  # noqa: BLE001  raised again below
            errors.append(error)
    if errors:
        raise errors[0]
    return results


# --- Locks that keep workers off a job while a command runs it. -----------------------------------

# They only avoid waiting: several processes may run steps of the same job at once. A lock ends with
# its process, so after a kill the worker goes on at its next run.


class JobKind(StrEnum):
    """A job, besides the kinds of tasks, that both commands and workers run in steps."""

    EXPIRE = "expire"
    ERASE = "erase"
    DROP_MAILS = "drop_mails"  # of a campaign that is over
    END_PILOT = "end_pilot"


@contextmanager
def foreground_lock(database: Database, job: JobKind | TaskKind) -> Iterator[None]:
    """Keep workers off a job for the block; a worker that runs it stops after its step.

    Several processes may hold this lock at once. Must be entered and left outside a transaction.
    """
    # This blocks only while a worker tests the lock.
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, f"{job}-by-hand") as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_SH)
            yield
    else:
        number = _make_lock_number(f"{job}-by-hand")
        run_sql(database, "SELECT pg_advisory_lock_shared(%s)", number)
        with _unlock_at_end(database, "pg_advisory_unlock_shared", number):
            yield


@contextmanager
def background_lock(
    database: Database, job: JobKind | TaskKind, should_stop: Callable[[], bool] = bool
) -> Iterator[Callable[[], bool]]:
    """Take a worker's lock on a job; yield the function that says whether to stop.

    It is to be asked before each step. It returns True once `should_stop` does, or once a process
    takes the foreground lock, and from the beginning if another worker has the lock. Must be
    entered and left outside a transaction.
    """
    has_to_stop = False

    def must_stop() -> bool:
        nonlocal has_to_stop
        # It stays True: the other process may have done a part of the job by then.
        has_to_stop = has_to_stop or should_stop() or _is_foreground_locked(database, job)
        return has_to_stop

    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, job) as file:
            yield must_stop if _try_lock(file) else lambda: True
        return
    number = _make_lock_number(job)
    (is_mine,) = run_sql(database, "SELECT pg_try_advisory_lock(%s)", number).fetchone()
    if not is_mine:
        yield lambda: True
        return
    with _unlock_at_end(database, "pg_advisory_unlock", number):
        yield must_stop


def _is_foreground_locked(database: Database, job: JobKind | TaskKind) -> bool:
    name = f"{job}-by-hand"
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, name) as file:
            return not _try_lock(file)
    # Released with the statement, which is a transaction of its own.
    query = "SELECT pg_try_advisory_xact_lock(%s)"
    (is_free,) = run_sql(database, query, _make_lock_number(name)).fetchone()
    return not is_free


@contextmanager
def _open_lock_file(database: FairSqliteDatabase, name: str) -> Iterator[IO[bytes] | None]:
    """Open the file of a lock; yield None if it cannot be opened, as a file of another user."""
    with ExitStack() as stack:
        file = None
        with suppress(OSError):
            path = f"{database.path}.lock-{name}"
            file = stack.enter_context(open(path, "ab", opener=open_private))
        yield file


def _try_lock(file: IO[bytes] | None) -> bool:
    """Lock a file until it is closed; return False if another process has the lock."""
    if file is None:
        return True
    with suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _make_lock_number(name: str) -> int:
    digest = hashlib.sha256(f"repermit work {name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


@contextmanager
def _unlock_at_end(database: Database, function: str, number: int) -> Iterator[None]:
    """Release an advisory lock at the end; a broken connection has released it already."""
    try:
        yield
    finally:
        with suppress(PeeweeException):
            run_sql(database, f"SELECT {function}(%s)", number)


# --- Whether an import into a list, or its undo, is running. --------------------------------------


_IMPORTS = (TaskKind.IMPORT, TaskKind.IMPORT_SUPPRESSIONS)
_TAKEN_IN = LazyText("a file is being taken into this list; wait until that is done")
_TAKEN_BACK = LazyText(
    "a file is being taken back from this list; wait until that is done", code="taken_back"
)


def describe_running_import(mailing_list: MailingList) -> LazyText | None:
    """Return a text about the import, or undo, that runs on a list; None if none does."""
    if any(find_task_of_list(kind, mailing_list) for kind in _IMPORTS):
        return _TAKEN_IN
    return _TAKEN_BACK if find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list) else None


def require_no_running_import(mailing_list: MailingList) -> None:
    """Raise Refused while an import into a list, or its undo, is running."""
    if any(find_task_of_list(kind, mailing_list) for kind in _IMPORTS):
        raise Refused(_TAKEN_IN)
    if find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list):
        raise Refused(_TAKEN_BACK)


# --- The stored counts of pending uploads. --------------------------------------------------------


def invalidate_upload_counts(list_id: int) -> None:
    """Clear the stored contact counts of a list's pending uploads.

    The list has changed since they were counted, so adding them to it would count people twice or
    not at all. On PostgreSQL the rows are locked: after the contacts that are there, before the
    list, before new rows that refer to it, and before anything is appended to the evidence.
    """
    has_count = Upload.people.is_null(is_null=False)
    Upload.update(people=None).where(Upload.list == list_id, has_count).execute()
