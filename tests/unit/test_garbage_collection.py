"""The garbage collector looks at what a program makes, not at the program."""

from __future__ import annotations

import gc
import weakref

from repermit.cli.context import CommandContext
from repermit.garbage_collection import heap_frozen
from tests.support.desk import Desk


class _Knot:
    def __init__(self) -> None:
        self.itself = self


def test_what_was_there_before_is_not_looked_at() -> None:
    before = _Knot()
    with heap_frozen():
        assert gc.get_freeze_count()
        assert not any(one is before for one in gc.get_objects())
    assert gc.get_freeze_count() == 0
    assert any(one is before for one in gc.get_objects())


def test_what_is_made_after_it_is_collected() -> None:
    with heap_frozen():
        gone = weakref.ref(_Knot())
        gc.collect()
        assert gone() is None


def test_a_command_that_has_the_database_is_not_looked_at(desk: Desk) -> None:
    desk.add_news()
    with CommandContext(config=str(desk.config), clock=desk.clock).database():
        assert gc.get_freeze_count()
    assert gc.get_freeze_count() == 0
