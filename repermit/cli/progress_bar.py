"""What is seen on stderr while mails leave: a live bar on a terminal, elsewhere a line at times."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from repermit.cli.output import warn
from repermit.rules.consent import MailState

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# Looks a second at what is shown.
_PER_SECOND = 4
_WIDTH = 30
_FEW = 10


@dataclass(frozen=True)
class ProgressState:
    """How far it is: so many of `total` are sent, have failed, or are done with otherwise.

    `word` says what else there is to know, such as "paused".
    """

    total: int
    sent: int = 0
    failed: int = 0
    otherwise: int = 0
    word: str = ""

    @property
    def done(self) -> int:
        """Return how many are settled."""
        return self.sent + self.failed + self.otherwise

    @property
    def remaining(self) -> int:
        """Return how many there are still to come."""
        return max(0, self.total - self.done)


class Tally:
    """Counts what becomes of `total` mails that are being sent."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts: Counter[MailState] = Counter()

    def count(self, state: MailState) -> None:
        """Count a mail; one that is put off is still to come."""
        self._counts[state] += 1

    @property
    def state(self) -> ProgressState:
        """Return how far it is by now."""
        counts = self._counts
        otherwise = counts[MailState.DROPPED] + counts[MailState.IN_DOUBT]
        sent, failed = counts[MailState.SENT], counts[MailState.FAILED]
        # What came due meanwhile is sent too.
        total = max(self._total, sent + failed + otherwise)
        return ProgressState(total, sent=sent, failed=failed, otherwise=otherwise)


class RateEstimate:
    """How fast it goes, as the last minute has it, or the last mails where they are rare.

    `interval` is the time between two mails that the rates allow, zero if there are none.
    """

    def __init__(self, interval: timedelta) -> None:
        self._allowed = interval.total_seconds()
        self._window = max(_MINUTE, _FEW * self._allowed)
        self._seen: deque[tuple[float, int]] = deque()

    def add_sample(self, done: int, at: float) -> None:
        """Take note of how many were settled at a moment, in seconds of any clock."""
        if len(self._seen) > 1 and self._seen[-2][1] == done:
            # However long nothing moves, little has to be remembered.
            self._seen.pop()
        self._seen.append((at, done))
        while at - self._seen[0][0] > self._window:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """Return how many are settled in a second; 0 if nothing moves."""
        (began, before), (at, now) = self._seen[0], self._seen[-1]
        return (now - before) / (at - began) if at > began else 0.0

    def estimate_seconds(self, count: int) -> float | None:
        """Return how long so many will take, None if nobody can tell."""
        rate = self.per_second
        if not rate and not self._allowed:
            return None
        return count * max(self._allowed, 1 / rate if rate else 0.0)


@contextmanager
def show_progress(
    look: Callable[[], ProgressState], *, interval: timedelta, every: float = 10.0
) -> Iterator[None]:
    """Show on stderr what `look` returns, for as long as the block lasts.

    It is called from another thread. `every` is how many seconds lie between two lines where there
    is no terminal; one that would say what the last one did is left out.
    """
    view = _ProgressView(look, RateEstimate(interval))
    with _draw_bar(view) if sys.stderr.isatty() else _print_lines(view, every):
        yield


class _ProgressView:
    def __init__(self, look: Callable[[], ProgressState], pace: RateEstimate) -> None:
        self._look = look
        self._pace = pace

    def update(self) -> tuple[ProgressState, str]:
        """Return how far it is, also in words."""
        standing = self._look()
        self._pace.add_sample(standing.done, time.monotonic())
        return standing, describe_progress(standing, self._pace)


def describe_progress(standing: ProgressState, pace: RateEstimate) -> str:
    """Return one line: sent, how fast, time left, failures."""
    parts = [f"{standing.sent:,} of {standing.total:,} sent"]
    if standing.remaining and pace.per_second:
        parts.append(_format_rate(pace.per_second))
    seconds = pace.estimate_seconds(standing.remaining)
    if standing.remaining and seconds is not None:
        parts.append(f"{_format_span(seconds)} left")
    parts.append(f"{standing.failed:,} failed")
    if standing.otherwise:
        parts.append(f"{standing.otherwise:,} dropped or in doubt")
    return ", ".join((*parts, standing.word) if standing.word else parts)


def _format_rate(per_second: float) -> str:
    for unit, seconds in (("second", 1.0), ("minute", _MINUTE)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.0f} a {unit}"
    return f"{per_second * _HOUR:,.0f} an hour"


def _format_span(seconds: float) -> str:
    """Return a length of time in its two largest units: 12 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    for large, small, length, part in (
        ("d", "h", _DAY, _HOUR),
        ("h", "min", _HOUR, _MINUTE),
        ("min", "s", _MINUTE, 1.0),
    ):
        if seconds >= length:
            whole, rest = divmod(seconds, length)
            return f"{whole:,.0f} {large} {rest // part:.0f} {small}"
    return f"{seconds:.0f} s"


@contextmanager
def _print_lines(view: _ProgressView, every: float) -> Iterator[None]:
    over = threading.Event()

    def tell() -> None:
        said = ""
        while not over.wait(every):
            _, words = view.update()
            if words != said:
                warn(words)
            said = words

    thread = threading.Thread(target=tell, name="progress", daemon=True)
    view.update()
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _draw_bar(view: _ProgressView) -> Iterator[None]:
    from rich.console import Console
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    class Terminal(Console):
        def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
            # It stays: who is ended at once could not bring it back.
            return False

    def render() -> Any:
        standing, words = view.update()
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, standing.total), completed=standing.done, width=_WIDTH)
        row.add_row(bar, Text(words))
        return row

    terminal = Terminal(stderr=True)
    with Live(
        console=terminal,
        get_renderable=render,
        refresh_per_second=_PER_SECOND,
        redirect_stdout=False,
    ):
        yield
