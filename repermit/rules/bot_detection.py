"""The rules on who has pressed: a person, or a program that tries out the links of a mail.

Pure functions on plain values: no database, no clock, no Flask.

What filters each mail for an organisation, or shows a link before it is opened, opens links too:
all of them within seconds (support.arternal.com/en/articles/15216436), by HEAD and by GET, and
some press what they find, as real browsers from the networks of real browsers do
(thenewsletterplugin.com/documentation/about-automatic-and-unwanted-unsubscribe,
stackoverflow.com/questions/59281750). Consent is a clear act of the person, and must be shown
to be one (GDPR art. 4(11), 7(1); EDPB 05/2020 §75). So a Yes that looks like a program's is asked
for once more; a No counts either way, since leaving must be easy (art. 7(3)), and can be undone.

Each time that a Yes is asked for again is a round, and what its page sends bears the mark of it. A
person presses one button of that page; a program presses all, in some order. So the Yes of a round
is one only if nothing else was pressed before it, and none any more once something else of the same
round is pressed after it. Of an earlier round no Yes counts: it is asked for in a new one.

Between Yes and No their order decides, and no clock: once a No was given, however long ago and in
whatever way, the next Yes is asked for once more.

Only what the links of one mail went through counts: no name of a browser, which says what its
program wants it to say, no network, no script, no cookie.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

Link = Literal["yes", "no"]
LINKS: tuple[Link, ...] = ("yes", "no")

TOGETHER = timedelta(minutes=1)
"""What happens within so long of another thing may be one visit of one program.

People take longer to read a page and go to another; a program that waits ten seconds on each page,
or lets a browser load and scroll it, is through with two of them in less.
"""

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BotSignal(StrEnum):
    """Something that speaks for a program; the last two are no more than haste and caution.

    `both_opened`: the links for Yes and for No were opened together, and neither has been by itself
    since. `both_answered`: the other answer was given together with
    this one. `said_no`: a No was given at any time before this Yes. `disowned`: whoever was asked
    again said not to have pressed, and has not opened a link since, or only just. `unsettled`: the
    same visit was asked again, and pressed the first button once more. `looked_up`: the link was
    asked for by HEAD, as no browser does for its reader. `soon`: pressed right after delivery.
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
"""The signs that look like a program's; the others make a Yes be asked for again, or are haste."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """How often a link was opened, and when first and last; no more is kept, however often."""

    gets: int = 0
    heads: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Openings:
    """How the links of a contact were opened.

    `together_at` is when both had been opened within `TOGETHER`, the last time that this was so.
    """

    yes: Opened = field(default_factory=Opened)
    no: Opened = field(default_factory=Opened)
    together_at: datetime | None = None

    @property
    def last_at(self) -> datetime | None:
        """Return when either was opened last, None if neither was."""
        return max(filter(None, (self.yes.last_at, self.no.last_at)), default=None)

    def get(self, link: Link) -> Opened:
        """Return how one of the two was opened."""
        return self.yes if link == "yes" else self.no


@dataclass(frozen=True, kw_only=True)
class LinkHistory:
    """What the links of a contact have been through.

    `yes_at` and `no_at` are when each was pressed last, `disowned_at` when somebody said not to
    have pressed. `doubted_at` is when a Yes was last asked for again that is none yet, and
    `is_contradicted` says whether something else was pressed since. `settled_at` is when the last
    Yes had been asked for again that a further press then made one. No two rounds have one moment.
    `has_refused` says that a No was recorded, by whatever way it came and however long ago.
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
    """Return the openings with one more, by HEAD or by GET; in whatever order they come."""
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
    """Return what speaks for a program in a press on a link that arrived then, in their order.

    `mailed_at` is when a server took the last mail with these links, None if none did.
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
    """Say whether these signs together make a press a program's until a person says otherwise.

    Haste alone never does: some people read quickly, and some wait for a mail. Nor does a look by
    HEAD alone, since a filter that looks may let the person on.
    """
    return any(signal not in _WEAK for signal in signals) or set(signals) >= _WEAK


def is_valid_yes(
    history: LinkHistory,
    signals: tuple[BotSignal, ...],
    *,
    is_confirmation_page: bool,
    confirmation_token: str,
) -> bool:
    """Say whether a press for Yes is one: by its round where a page asks again, else by its signs.

    `is_again` says that it was pressed there, and `mark` is what that button sent along.
    """
    return (
        is_confirming_press(history, confirmation_token)
        if is_confirmation_page
        else not is_suspect(signals)
    )


def make_confirmation_token(requested_at: datetime | None) -> str:
    """Return what the buttons of a round send along, by the moment at which it began; "" of none.

    In whole microseconds, written in hexadecimal: it says when a page was made, and nothing of
    whom it was made for.
    """
    return f"{(requested_at - _EPOCH) // _MICROSECOND:x}" if requested_at else ""


def is_confirmation_open(history: LinkHistory) -> bool:
    """Say whether a Yes was asked for again, and nothing else was pressed since."""
    return history.doubted_at is not None and not history.is_contradicted


def find_open_confirmation_token(history: LinkHistory) -> str:
    """Return the mark of the round in which a Yes is asked for again, "" if none is."""
    return make_confirmation_token(history.doubted_at) if is_confirmation_open(history) else ""


def is_confirming_press(history: LinkHistory, confirmation_token: str) -> bool:
    """Say whether the button that a page shows to whoever is asked again makes the Yes one.

    It does as the first that is pressed in the newest round, whatever spoke against it before, so
    that a person needs one more press.
    """
    return bool(confirmation_token) and confirmation_token == find_open_confirmation_token(history)


def revokes_yes(history: LinkHistory, confirmation_token: str) -> bool:
    """Say whether another button of a round means that the Yes which the round made was none.

    A person who has pressed one button of a page has left that page; what presses a second one of
    it is a program, or somebody who has gone back in order to say so.
    """
    return history.settled_at is not None and confirmation_token == make_confirmation_token(
        history.settled_at
    )


def record_doubtful_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the past with a Yes that has to be asked for again, in a round of its own."""
    before = max(filter(None, (history.doubted_at, history.settled_at)), default=None)
    requested_at = at if before is None else max(at, before + _MICROSECOND)
    return replace(
        history, yes_at=at, doubted_at=requested_at, is_contradicted=False, settled_at=None
    )


def record_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the past with a Yes that counts at once; nothing is in doubt any more."""
    return replace(history, yes_at=at, doubted_at=None, is_contradicted=False, settled_at=None)


def record_confirmed_yes(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the past with a Yes that counts since it was asked for again."""
    return replace(record_yes(history, at=at), settled_at=history.doubted_at)


def record_no(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the past with a No."""
    return replace(history, no_at=at, is_contradicted=True)


def record_disowned(history: LinkHistory, *, at: datetime) -> LinkHistory:
    """Return the past with somebody who says not to have pressed Yes."""
    return replace(history, disowned_at=at, is_contradicted=True)


def _is_within(at: datetime | None, other: datetime) -> bool:
    """Say whether there is a moment, and it lies within `TOGETHER` of another one."""
    return at is not None and abs(other - at) <= TOGETHER


def _is_not_after(at: datetime | None, other: datetime | None) -> bool:
    """Say whether there is the other moment, and none after it."""
    return other is not None and (at is None or at <= other)
