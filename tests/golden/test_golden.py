"""What can be seen from outside is as the golden master has it; see the package's docstring."""

from __future__ import annotations

import difflib
import itertools

import pytest

from repermit.web import dispatcher, request_context
from tests.golden.record import read_master, record
from tests.support.kept_processes import KeptProcesses

_MOST_LINES, _MOST_FILES = 60, 10


@pytest.fixture(scope="module")
def recorded(kept_processes: KeptProcesses) -> dict[str, str]:
    """Return what comes out now, without what the fixtures of single tests change.

    But a press waits for as long as a loaded machine needs.
    """
    with pytest.MonkeyPatch.context() as patches, kept_processes.used():
        for module in (request_context, dispatcher):
            patches.setattr(module, "MAX_WAIT", 60.0)
        return record()


def test_every_file_is_as_in_the_master(recorded: dict[str, str]) -> None:
    master = read_master()
    names = sorted(recorded.keys() | master.keys())
    changed = [name for name in names if recorded.get(name) != master.get(name)]
    shown = [
        _diff(name, master.get(name, ""), recorded.get(name, "")) for name in changed[:_MOST_FILES]
    ]
    head = f"{len(changed)} files differ; if meant, `python -m tests.golden.record --write`:"
    told = itertools.chain([head], changed, *shown)
    assert not changed, "\n".join(told)


def _diff(name: str, before: str, after: str) -> list[str]:
    """Return the beginning of the difference of two texts."""
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), f"master/{name}", "now", lineterm=""
    )
    return list(itertools.islice(lines, _MOST_LINES))
