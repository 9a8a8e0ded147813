"""Progress on stderr while mails are sent: a live bar on a terminal, elsewhere regular lines."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from repermit.cli.output import warn

if TYPE_CHECKING:
    from repermit.rules.consent import MailState

_MINUTE = 60.0
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# How often a second the bar is drawn.
_PER_SECOND = 4
_WIDTH = 30
_FEW = 10


@dataclass(frozen=True)
class ProgressState:
    """How many of `total` mails are sent, failed, or dropped or in doubt.

    `word` adds a state, such as "paused".
    """

    total: int
    sent: int = 0
    failed: int = 0
    dropped_or_in_doubt: int = 0
    word: str = ""

    @property
    def done(self) -> int:
        """Return how many mails are settled."""
        return self.sent + self.failed + self.dropped_or_in_doubt

    @property
    def remaining(self) -> int:
        """Return how many mails are still to come."""
        return max(0, self.total - self.done)


class Tally:
    """Counts the results of sending `total` mails."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts: Counter[MailState] = Counter()

    def count(self, state: MailState) -> None:
        """Count a mail's new state; a postponed mail stays among those to come."""
        self._counts[state] += 1

    @property
    def state(self) -> ProgressState:
        """Return the progress so far."""
        from repermit.rules.consent import MailState

        counts = self._counts
        dropped_or_in_doubt = counts[MailState.DROPPED] + counts[MailState.IN_DOUBT]
        sent, failed = counts[MailState.SENT], counts[MailState.FAILED]
        # Mails that came due since the start are sent too.
        total = max(self._total, sent + failed + dropped_or_in_doubt)
        return ProgressState(
            total, sent=sent, failed=failed, dropped_or_in_doubt=dropped_or_in_doubt
        )


class RateEstimate:
    """Estimates the sending rate from the last minute, or from the last mails if they are rare.

    `interval` is the time between two mails at the configured rates, zero without rates.
    """

    def __init__(self, interval: timedelta) -> None:
        self._min_interval = interval.total_seconds()
        self._window = max(_MINUTE, _FEW * self._min_interval)
        self._samples: deque[tuple[float, int]] = deque()

    def add_sample(self, done: int, at: float) -> None:
        """Add how many mails were settled at time `at`, in seconds of any clock."""
        if len(self._samples) > 1 and self._samples[-2][1] == done:
            # While nothing moves, the first and the last sample are enough.
            self._samples.pop()
        self._samples.append((at, done))
        while at - self._samples[0][0] > self._window:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """Return how many mails are settled in a second; 0 if nothing moves."""
        (first_at, first), (last_at, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0

    def estimate_seconds(self, count: int) -> float | None:
        """Return how long `count` mails will take, None if that cannot be estimated."""
        rate = self.per_second
        if not rate and not self._min_interval:
            return None
        return count * max(self._min_interval, 1 / rate if rate else 0.0)


@contextmanager
def show_progress(
    read_state: Callable[[], ProgressState], *, interval: timedelta, every: float = 10.0
) -> Iterator[None]:
    """Show on stderr the state that `read_state` returns, while the block runs.

    - `read_state`: called from another thread.
    - `every`: seconds between two lines if stderr is no terminal; an unchanged line is left out.
    """
    view = _ProgressView(read_state, RateEstimate(interval))
    with _draw_bar(view) if sys.stderr.isatty() else _print_lines(view, every):
        yield


class _ProgressView:
    def __init__(self, read_state: Callable[[], ProgressState], rate: RateEstimate) -> None:
        self._read_state = read_state
        self._rate = rate

    def update(self) -> tuple[ProgressState, str]:
        """Return the present progress, and the line that describes it."""
        state = self._read_state()
        self._rate.add_sample(state.done, time.monotonic())
        return state, describe_progress(state, self._rate)


def describe_progress(state: ProgressState, rate: RateEstimate) -> str:
    """Return one line: mails sent, rate, time left, failures."""
    parts = [f"{state.sent:,} of {state.total:,} sent"]
    if state.remaining and rate.per_second:
        parts.append(_format_rate(rate.per_second))
    seconds = rate.estimate_seconds(state.remaining)
    if state.remaining and seconds is not None:
        parts.append(f"{_format_span(seconds)} left")
    parts.append(f"{state.failed:,} failed")
    if state.dropped_or_in_doubt:
        parts.append(f"{state.dropped_or_in_doubt:,} dropped or in doubt")
    return ", ".join((*parts, state.word) if state.word else parts)


def _format_rate(per_second: float) -> str:
    for unit, seconds in (("second", 1.0), ("minute", _MINUTE)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.0f} a {unit}"
    return f"{per_second * _HOUR:,.0f} an hour"


def _format_span(seconds: float) -> str:
    """Return a length of time in its two largest units, such as 3 min 20 s."""
    for large, small, length, part in (
        ("d", "h", _DAY, _HOUR),
        ("h", "min", _HOUR, _MINUTE),
        ("min", "s", _MINUTE, 1.0),
    ):
        if seconds >= length:
            count, remainder = divmod(seconds, length)
            return f"{count:,.0f} {large} {remainder // part:.0f} {small}"
    return f"{seconds:.0f} s"


@contextmanager
def _print_lines(view: _ProgressView, every: float) -> Iterator[None]:
    ended = threading.Event()

    def print_lines() -> None:
        last_line = ""
        while not ended.wait(every):
            _, line = view.update()
            if line != last_line:
                warn(line)
            last_line = line

    thread = threading.Thread(target=print_lines, name="progress", daemon=True)
    view.update()
    thread.start()
    try:
        yield
    finally:
        ended.set()
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
            # The cursor stays visible: a process that is killed could not show it again.
            return False

    def render() -> Any:
        state, line = view.update()
        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(1, state.total), completed=state.done, width=_WIDTH)
        row.add_row(bar, Text(line))
        return row

    terminal = Terminal(stderr=True)
    with Live(
        console=terminal,
        get_renderable=render,
        refresh_per_second=_PER_SECOND,
        redirect_stdout=False,
    ):
        yield
