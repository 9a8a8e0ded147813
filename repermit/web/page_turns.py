"""One page behind the links of a mail is made at a time, and one answer recorded.

The threads of a process share one interpreter, so that two pages made at once take as long as one
after the other, and an answer that holds SQLite's lock meanwhile holds everybody up for longer. An
answer on PostgreSQL waits half of its time for another process, in which the next one is worked at.
"""

from __future__ import annotations

import threading

from flask import current_app, g, request

from repermit.db.connection import Database, is_postgresql
from repermit.errors import DatabaseBusy
from repermit.web.request_context import seconds_left

_OF_ANSWERS = "answering"
_AT_ONCE_ON_POSTGRESQL = 2


class Turns:
    """The turns of one application: for POSTs, which may wait for the database, and for GETs.

    Other pages, such as the admin's, may take longer, and take none.
    """

    def __init__(self, database: Database) -> None:
        at_once = _AT_ONCE_ON_POSTGRESQL if is_postgresql(database) else 1
        self._recording, self._reading = threading.Semaphore(at_once), threading.Semaphore()

    def of(self, method: str) -> threading.Semaphore:
        """Return those of a request's method."""
        return self._recording if method == "POST" else self._reading


def take_turn() -> None:
    """Wait until this request's turn has come; raises DatabaseBusy."""
    if request.blueprint != _OF_ANSWERS:
        return
    turns: Turns = current_app.extensions["repermit.turns"]
    turn = turns.of(request.method)
    if not turn.acquire(timeout=seconds_left()):
        raise DatabaseBusy("more pages are asked for than can be made")
    g.turn = turn


def give_turn(_error: BaseException | None = None) -> None:
    """Let the next one begin."""
    turn: threading.Semaphore | None = g.pop("turn", None)
    if turn:
        turn.release()
