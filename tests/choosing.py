"""Choosing settings as the admin's pages do, for tests of what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit import choices
from repermit.choices import Typed
from tests.building import NOW

if TYPE_CHECKING:
    from repermit.choices import Kept
    from repermit.config import Settings
    from repermit.models import Database


def choose(
    database: Database,
    settings: Settings,
    secrets: dict[str, str] | None = None,
    removed: tuple[str, ...] = (),
    **values: Any,
) -> Kept:
    """Keep what was typed; two underscores in a name stand for the dot after the table."""
    typed = Typed(
        values={name.replace("__", "."): value for name, value in values.items()},
        secrets=secrets or {},
        removed=frozenset(removed),
    )
    since = choices.version()
    return choices.keep(database, settings, typed, since=since, now=NOW, actor="user:1")
