"""The rules that tell a person's press from that of a program that tries out a mail's links.

Pure functions on plain values: no database, no clock, no Flask.

Mail filters and link previews open links too: all of them within seconds
(support.arternal.com/en/articles/15216436), by HEAD and by GET. Some press the buttons that they
find, with real browsers from ordinary networks
(thenewsletterplugin.com/documentation/about-automatic-and-unwanted-unsubscribe,
stackoverflow.com/questions/59281750). Consent is a clear act of the person, and must be shown
to be one (GDPR art. 4(11), 7(1); EDPB 05/2020 §75). So a Yes that looks like a program's is asked
for once more; a No counts either way, since leaving must be easy (art. 7(3)), and can be undone.

Asking for a Yes again is a confirmation request; the buttons of its page send its token. A person
presses one button of that page; a program presses all, in some order. So the Yes of a request is
valid only if nothing else was pressed before it, and it is revoked if another button of the same
page is pressed after it. A Yes of an earlier request does not count: it starts a new request.

Between Yes and No their order decides, not the time between them: after a No, however long ago and
in whatever way it was given, the next Yes is asked for once more.

Only the history of one contact's links counts: no browser name, which a program can choose, no
network, no script, no cookie.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

Link = Literal["yes", "no"]
LINKS: tuple[Link, ...] = ("yes", "no")

TOGETHER = timedelta(minutes=1)
"""Events that are at most this far apart may be one visit of one program.

People take longer to read a page and open another. A program that waits ten seconds on each page,
or lets a browser load and scroll it, finishes two pages in less.
"""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BotSignal(StrEnum):
    """A signal that a press is a program's. The last two alone may be haste, or a filter.

    - `both_opened`: the links for Yes and No were opened together, and no link was opened since.
    - `both_answered`: the other answer was given together with this one.
    - `said_no`: a No was given at some time before this Yes.
    - `disowned`: the contact was asked again and denied the press, within the last minute or
      without opening a link since.
    - `unsettled`: the Yes was asked for again, and no link was opened since.
    - `looked_up`: the link was requested by HEAD, which browsers do not use to show a page.
    - `soon`: the press came right after delivery.
    """

    BOTH_OPENED = "both_opened"
    BOTH_ANSWERED = "both_answered"
    SAID_NO = "said_no"
    DISOWNED = "disowned"
    UNSETTLED = "unsettled"
    LOOKED_UP = "looked_up"
    SOON = "soon"


_WEAK = frozenset({BotSignal.LOOKED_UP, BotSignal.SOON})

PROGRAM_SIGNALS = frozenset({BotSignal.BOTH_OPENED, BotSignal.BOTH_ANSWERED, BotSignal.LOOKED_UP})
"""The signals of a program's behaviour; the others concern earlier answers, or are haste."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """How often a link was opened, and when first and last; nothing more is stored."""

    gets: int = 0
    heads: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Openings:
    """The openings of a contact's links.

    - `together_at`: when both links were last opened within `TOGETHER`.
    """

    yes: Opened = field(default_factory=Opened)
    no: Opened = field(default_factory=Opened)
    together_at: datetime | None = None

    @property
    def last_at(self) -> datetime | None:
        """Return when either link was last opened, None if neither was."""
        return max(filter(None, (self.yes.last_at, self.no.last_at)), default=None)

    def get(self, link: Link) -> Opened:
        """Return the openings of one of the two links."""
        return self.yes if link == "yes" else self.no


@dataclass(frozen=True, kw_only=True)
class LinkHistory:
    """The history of a contact's links: openings, presses and confirmation requests.

    - `yes_at`, `no_at`: when each was pressed last.
    - `disowned_at`: when the contact last denied a press.
    - `doubted_at`: when the last Yes was asked for again, if it is not confirmed yet.
    - `is_contradicted`: another button was pressed since, so that the request is closed.
    - `settled_at`: when the last Yes had been asked for again, if it was then confirmed.
    - `has_refused`: a No was recorded, in whatever way and however long ago.

    No two confirmation requests have the same time, which identifies them.
    """

    openings: Openings = field(default_factory=Openings)
    yes_at: datetime | None = None
    no_at: datetime | None = None
    disowned_at: datetime | None = None
    doubted_at: datetime | None = None
    is_contradicted: bool = False
    settled_at: datetime | None = None
    has_refused: bool = False


def add_opening(before: Openings, link: Link, *, is_head: bool, at: datetime) -> Openings:
    """Return the openings with one more request; requests may be added in any order."""
    own, other = (before.yes, before.no) if link == "yes" else (before.no, before.yes)
    changed = Opened(
        gets=own.gets + (not is_head),
        heads=own.heads + is_head,
        first_at=min(own.first_at or at, at),
        last_at=max(own.last_at or at, at),
    )
    together_at = before.together_at
    if _is_within(other.last_at, at):
        together_at = max(filter(None, (together_at, other.last_at, at)))
    if link == "yes":
        return Openings(yes=changed, no=other, together_at=together_at)
    return Openings(yes=other, no=changed, together_at=together_at)


def detect_signals(
    link: Link, history: LinkHistory, *, arrived_at: datetime, mailed_at: datetime | None
) -> tuple[BotSignal, ...]:
    """Return the signals that a press is a program's, in the order of `BotSignal`.

    - `mailed_at`: when a server accepted the last mail with these links, None if none did.
    """
    latest = history.openings.last_at
    other_at = history.no_at if link == "yes" else history.yes_at
    signals = {
        BotSignal.BOTH_OPENED: _is_not_after(latest, history.openings.together_at),
        BotSignal.BOTH_ANSWERED: _is_within(other_at, arrived_at),
        BotSignal.SAID_NO: link == "yes" and (history.has_refused or history.no_at is not None),
        BotSignal.DISOWNED: link == "yes"
        and (
            _is_within(history.disowned_at, arrived_at)
            or _is_not_after(latest, history.disowned_at)
        ),
        BotSignal.UNSETTLED: link == "yes" and _is_not_after(latest, history.doubted_at),
        BotSignal.LOOKED_UP: history.openings.get(link).heads > 0,
        BotSignal.SOON: _is_within(mailed_at, arrived_at),
    }
    return tuple(signal for signal, is_there in signals.items() if is_there)


def is_suspect(signals: tuple[BotSignal, ...]) -> bool:
    """Say whether these signals make a press count as a program's until it is confirmed.

    Haste alone does not: some people read quickly, and some wait for a mail. Nor does a HEAD
    request alone, since the person may follow the filter that made it.
    """
    return any(signal not in _WEAK for signal in signals) or set(signals) >= _WEAK


def is_valid_yes(
    history: LinkHistory,
    signals: tuple[BotSignal, ...],
    *,
    is_confirmation_page: bool,
    confirmation_token: str,
) -> bool:
    """Say whether a press on Yes is valid: by its token on a confirmation page, else by signals.

    - `is_confirmation_page`: it was pressed on the page that asks again.
    - `confirmation_token`: what the button of that page sent.
    """
    return (
        is_confirming_press(history, confirmation_token)
        if is_confirmation_page
        else not is_suspect(signals)
    )


def make_confirmation_token(requested_at: datetime | None) -> str:
    """Return the token that the buttons of a confirmation request send, "" for None.

    It is the time of the request in microseconds, in hexadecimal: it reveals nothing of the person.
    """
    return f"{(requested_at - _EPOCH) // _MICROSECOND:x}" if requested_at else ""


def is_confirmation_open(history: LinkHistory) -> bool:
    """Say whether a Yes was asked for again, and no other button was pressed since."""
    return history.doubted_at is not None and not history.is_contradicted


def find_open_confirmation_token(history: LinkHistory) -> str:
    """Return the token of the open confirmation request, "" without one."""
    return make_confirmation_token(history.doubted_at) if is_confirmation_open(history) else ""


def is_confirming_press(history: LinkHistory, confirmation_token: str) -> bool:
    """Say whether a press confirms the Yes that was asked for again.

    The first press on the newest request does, whatever signals there were before, so that a person
    needs only one more press.
    """
    return bool(confirmation_token) and confirmation_token == find_open_confirmation_token(history)


def revokes_yes(history: LinkHistory, confirmation_token: str) -> bool:
    """Say whether another button of a confirmed request is pressed, which revokes its Yes.

    A press loads a new page. So the second button is pressed by a program, or by a person who went
    back to deny the first press.
    """
    return history.settled_at is not None and confirmation_token == make_confirmation_token(
        history.settled_at
    )


def record_doubtful_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the history with a Yes that is asked for again, by a new confirmation request."""
    before = max(filter(None, (history.doubted_at, history.settled_at)), default=None)
    requested_at = at if before is None else max(at, before + _MICROSECOND)
    return replace(
        history, yes_at=at, doubted_at=requested_at, is_contradicted=False, settled_at=None
    )


def record_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the history with a Yes that is valid at once; any open request is closed."""
    return replace(history, yes_at=at, doubted_at=None, is_contradicted=False, settled_at=None)


def record_confirmed_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the history with a Yes that was asked for again and is now confirmed."""
    return replace(record_yes(history, at=at), settled_at=history.doubted_at)


def record_no(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the history with a No; any open request is closed."""
    return replace(history, no_at=at, is_contradicted=True)


def record_disowned(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the history with the statement that the contact did not press Yes."""
    return replace(history, disowned_at=at, is_contradicted=True)


def _is_within(at: datetime | None, other: datetime) -> bool:
    """Say whether `at` is given and within `TOGETHER` of the other time."""
    return at is not None and abs(other - at) <= TOGETHER


def _is_not_after(at: datetime | None, other: datetime | None) -> bool:
    """Say whether `other` is given and `at` is not later."""
    return other is not None and (at is None or at <= other)
