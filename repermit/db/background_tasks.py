"""Large work under way: what it is, how far, and by whom; its steps are those of work_steps.

One row says what is under way, how far it is, and by whom. Whoever takes the next step locks that
row, so that any number of processes may try at once; a kill loses one step at most, which has
changed nothing then, and the next sweep goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any

from peewee import BigIntegerField, CharField, ForeignKeyField, PeeweeException, TextField

from repermit.db.connection import Database, FairSqliteDatabase, lock_rows, run_sql
from repermit.db.models.base import PreparedQuery, Table, timestamp_field
from repermit.db.models.imports import Upload
from repermit.db.models.lists import MailingList
from repermit.db.work_steps import LARGEST_STEP, SMALLEST_STEP, StepSize, run_steps
from repermit.errors import Refused
from repermit.i18n.lazy_text import LazyText
from repermit.temporary_files import open_private


class TaskKind(StrEnum):
    """What is done in steps, and to what: the target."""

    LAUNCH = "launch"  # of a campaign
    IMPORT = "import"  # of an import
    UNDO_IMPORT = "undo_import"  # of an import
    IMPORT_SUPPRESSIONS = "import_suppressions"  # by a number of its own: several at once
    DELETE_LIST = "delete_list"  # of a list
    RESOLVE = "resolve"  # by its first mail: several at once of a list


class BackgroundTask(Table):
    """A large work under way.

    `target` is the number of what it is done to. `at` is when that was decided, by `actor`;
    `progress` is how far it is, as JSON of its kind.
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
        """One work of a kind on a target."""

        indexes = ((("kind", "target"), True),)

    @property
    def state(self) -> dict[str, Any]:
        """Return how far it is."""
        found: dict[str, Any] = json.loads(self.progress)
        return found

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
    """Return a work that is to be noted as under way."""
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
    """Note, in the caller's transaction, that a work is under way."""
    task = make_task(kind, target, mailing_list=mailing_list, actor=actor, at=at, state=state)
    task.save(force_insert=True)
    return task


def find_task(kind: TaskKind, target: int) -> BackgroundTask | None:
    """Return a work that is under way."""
    return _find_first(BackgroundTask.kind == kind, BackgroundTask.target == target)


def lock_task(kind: TaskKind, target: int) -> BackgroundTask | None:
    """Return a work that is under way, locked until the caller's transaction ends."""
    task: BackgroundTask | None = _LOCK.first(kind, target)
    return task


# Each step of a large work does so.
_LOCK = PreparedQuery(
    lambda kind, target: lock_rows(
        BackgroundTask.select().where(BackgroundTask.kind == kind, BackgroundTask.target == target)
    ),
    2,
)


def find_task_of_list(kind: TaskKind, mailing_list: MailingList) -> BackgroundTask | None:
    """Return a work of a kind that is under way on a list."""
    return _find_first(BackgroundTask.kind == kind, BackgroundTask.list == mailing_list)


def lock_task_of_list(kind: TaskKind, list_id: int) -> BackgroundTask | None:
    """Return the same, locked until the caller's transaction ends."""
    return _find_first(BackgroundTask.kind == kind, BackgroundTask.list == list_id, locks=True)


def _find_first(*conditions: Any, locks: bool = False) -> BackgroundTask | None:
    query = BackgroundTask.select().where(*conditions)
    task: BackgroundTask | None = (lock_rows(query) if locks else query).first()
    return task


def select_targets(kind: TaskKind) -> Any:
    """Return the query for what works of a kind are under way on."""
    return BackgroundTask.select(BackgroundTask.target).where(BackgroundTask.kind == kind)


def list_targets(kind: TaskKind) -> list[int]:
    """Return what works of a kind are under way on."""
    return [target for (target,) in select_targets(kind).tuples()]


def run_task(
    database: Database,
    kind: TaskKind,
    target: int,
    *steps: Callable[[BackgroundTask, int], bool],
    should_stop: Callable[[], bool] = bool,
    between: Callable[[], None] = lambda: None,
    most: int | None = None,
    most_a_step: int = LARGEST_STEP,
    least_a_step: int = SMALLEST_STEP,
) -> bool:
    """Take the steps of a work until it is done; False if it was stopped before.

    - `steps`: one for each kind, in the order of the kinds. It takes the next step of its kind, of
      about so many rows, in a transaction of its own in which the task is locked. It returns False
      where it has found nothing to do; the last one, where it has ended the work. What it puts
      into `state` is stored. Each kind begins with small steps, as its rows may take longer.
    - `between` is called after each step, in no transaction.
    - `most`: rows after which no further step is begun.
    """
    size = StepSize(least=least_a_step, most=most_a_step)
    kinds = list(steps)

    def take_step(limit: int) -> bool:
        task = lock_task(kind, target)
        if task is None:
            return False
        is_more = kinds[0](task, limit)
        while not is_more and len(kinds) > 1:
            kinds.pop(0)
            is_more = kinds[0](task, size.restart())
        if is_more:
            task.write_changes()
        else:
            task.delete_instance()
        return is_more

    return run_steps(
        database, take_step, should_stop=should_stop, between=between, most=most, size=size
    )


# --- Locks by which a worker leaves alone a large work that somebody does by hand. ---------------

# They only spare everybody waiting: all may take steps of the same work at once. A lock goes with
# its process, so that after a kill the worker goes on at its next sweep.


class Work(StrEnum):
    """What is done in steps, both by hand and by a worker, beside the kinds of tasks."""

    EXPIRE = "expire"
    ERASE = "erase"
    DROP_MAILS = "drop_mails"  # of a campaign that is over
    END_PILOT = "end_pilot"


@contextmanager
def foreground_lock(database: Database, work: Work | TaskKind) -> Iterator[None]:
    """Do a work by hand: for the block no worker begins it, and one that has begun stops.

    Several may do so at once. Must be entered and left outside a transaction.
    """
    # Only a worker that looks whether anybody is at it is ever waited for.
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, f"{work}-by-hand") as file:
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_SH)
            yield
    else:
        number = _make_lock_number(f"{work}-by-hand")
        run_sql(database, "SELECT pg_advisory_lock_shared(%s)", number)
        with _unlock_at_end(database, "pg_advisory_unlock_shared", number):
            yield


@contextmanager
def background_lock(
    database: Database, work: Work | TaskKind, should_stop: Callable[[], bool] = bool
) -> Iterator[Callable[[], bool]]:
    """Do a work as a worker does; yield what says, before each step, whether to stop.

    That is when `should_stop` says so, when somebody does the work by hand, and from the beginning
    where another worker is at it. Must be entered and left outside a transaction.
    """
    is_over = False

    def must_stop() -> bool:
        nonlocal is_over
        # Once and for all: what was to be done may be done in part then.
        is_over = is_over or should_stop() or _is_done_by_hand(database, work)
        return is_over

    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, work) as file:
            yield must_stop if _try_lock(file) else lambda: True
        return
    number = _make_lock_number(work)
    (is_mine,) = run_sql(database, "SELECT pg_try_advisory_lock(%s)", number).fetchone()
    if not is_mine:
        yield lambda: True
        return
    with _unlock_at_end(database, "pg_advisory_unlock", number):
        yield must_stop


def _is_done_by_hand(database: Database, work: Work | TaskKind) -> bool:
    name = f"{work}-by-hand"
    if isinstance(database, FairSqliteDatabase):
        with _open_lock_file(database, name) as file:
            return not _try_lock(file)
    # Released with the statement, which is a transaction of its own.
    query = "SELECT pg_try_advisory_xact_lock(%s)"
    (is_free,) = run_sql(database, query, _make_lock_number(name)).fetchone()
    return not is_free


@contextmanager
def _open_lock_file(database: FairSqliteDatabase, name: str) -> Iterator[IO[bytes] | None]:
    """Open the file of a lock; None if it cannot be, as one that another user has made."""
    with ExitStack() as stack:
        file = None
        with suppress(OSError):
            path = f"{database.path}.lock-{name}"
            file = stack.enter_context(open(path, "ab", opener=open_private))
        yield file


def _try_lock(file: IO[bytes] | None) -> bool:
    """Take the lock on a file, which is held until it is closed; False if another has it."""
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
    """Give a lock of PostgreSQL's back at the end; it is gone already with a broken connection."""
    try:
        yield
    finally:
        with suppress(PeeweeException):
            run_sql(database, f"SELECT {function}(%s)", number)


# --- Whether a file of a list is half taken in, or half taken back. -------------------------------


_IMPORTS = (TaskKind.IMPORT, TaskKind.IMPORT_SUPPRESSIONS)
_TAKEN_IN = LazyText(
    "a file is being taken into this list; wait until that is done", code="taken_in"
)
_TAKEN_BACK = LazyText(
    "a file is being taken back from this list; wait until that is done", code="taken_back"
)


def describe_running_import(mailing_list: MailingList) -> LazyText | None:
    """Return that a file of a list is under way, None if all are done with."""
    if any(find_task_of_list(kind, mailing_list) for kind in _IMPORTS):
        return _TAKEN_IN
    return _TAKEN_BACK if find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list) else None


def require_no_running_import(mailing_list: MailingList) -> None:
    """Raise Refused while a file of a list is under way."""
    if any(find_task_of_list(kind, mailing_list) for kind in _IMPORTS):
        raise Refused(_TAKEN_IN)
    if find_task_of_list(TaskKind.UNDO_IMPORT, mailing_list):
        raise Refused(_TAKEN_BACK)


# --- What waiting uploads were counted to hold. ---------------------------------------------------


def invalidate_upload_counts(list_id: int) -> None:
    """Have it not known who stands in the files that wait for a list and nowhere else on it.

    Somebody has come onto the list, or gone, since they were looked at: whoever counted them beside
    the list would count people twice, or not at all. On PostgreSQL the rows are locked: after the
    contacts that are there, before new ones and before anything is appended.
    """
    has_count = Upload.people.is_null(is_null=False)
    Upload.update(people=None).where(Upload.list == list_id, has_count).execute()
