"""One page behind the links of a mail is made at a time, and one answer recorded.

May import this room's site. The threads of a process share one interpreter, so that two pages made
at once take as long as one after the other, and an answer that holds the database's lock meanwhile
holds everybody up for longer.
"""

from __future__ import annotations

import threading

from flask import current_app, g, request

from repermit.errors import DatabaseBusy
from repermit.web.site import seconds_left

_OF_ANSWERS = "answering"


class Turns:
    """The turns of one application: one for POSTs, which may wait for the database, one for GETs.

    Other pages, such as the admin's, may take longer, and take none.
    """

    def __init__(self) -> None:
        self._recording, self._reading = threading.Lock(), threading.Lock()

    def of(self, method: str) -> threading.Lock:
        """Return the one of a request's method."""
        return self._recording if method == "POST" else self._reading


def take_turn() -> None:
    """Wait until no other request like this one is under way; raises DatabaseBusy."""
    if request.blueprint != _OF_ANSWERS:
        return
    turns: Turns = current_app.extensions["repermit.turns"]
    turn = turns.of(request.method)
    if not turn.acquire(timeout=seconds_left()):
        raise DatabaseBusy("more pages are asked for than can be made")
    g.turn = turn


def give_turn(_error: BaseException | None = None) -> None:
    """Let the next one begin."""
    turn: threading.Lock | None = g.pop("turn", None)
    if turn:
        turn.release()
