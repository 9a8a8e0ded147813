"""The rules on who has pressed: examples around each boundary, and what holds for all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.rules import bot_detection
from repermit.rules.bot_detection import TOGETHER, BotSignal, Link, LinkHistory, Openings
from tests.support.builders import NOW

if TYPE_CHECKING:
    Look = tuple[Link, bool, datetime]

A_TICK = timedelta(microseconds=1)
AROUND = [(TOGETHER - A_TICK, True), (TOGETHER, True), (TOGETHER + A_TICK, False)]
LONG_AGO = NOW - timedelta(days=3)

moments = st.integers(-1000, 1000).map(lambda seconds: NOW + timedelta(seconds=seconds))
links = st.sampled_from(bot_detection.LINKS)
looks = st.lists(st.tuples(links, st.booleans(), moments), max_size=12)


def after(*opened: tuple[Link, datetime], **more: object) -> LinkHistory:
    """Return a past in which links were opened by GET, and more."""
    return replace(LinkHistory(openings=all_of([(link, False, at) for link, at in opened])), **more)  # type: ignore[arg-type]


def all_of(opened: Iterable[Look]) -> Openings:
    return reduce(
        lambda before, one: bot_detection.add_opening(before, one[0], is_head=one[1], at=one[2]),
        opened,
        Openings(),
    )


def yes_in(history: LinkHistory, *, mailed_at: datetime | None = LONG_AGO) -> tuple[BotSignal, ...]:
    return bot_detection.detect_signals("yes", history, arrived_at=NOW, mailed_at=mailed_at)


def no_in(history: LinkHistory, *, mailed_at: datetime | None = LONG_AGO) -> tuple[BotSignal, ...]:
    return bot_detection.detect_signals("no", history, arrived_at=NOW, mailed_at=mailed_at)


# --- What is kept of openings.


def test_openings_are_counted_by_how_they_came_with_the_first_and_the_last() -> None:
    found = all_of(
        [
            ("yes", True, NOW),
            ("yes", False, NOW + timedelta(hours=2)),
            ("yes", False, NOW + timedelta(hours=1)),
            ("no", False, NOW + timedelta(hours=9)),
        ]
    )
    assert (found.yes.gets, found.yes.heads) == (2, 1)
    assert (found.yes.first_at, found.yes.last_at) == (NOW, NOW + timedelta(hours=2))
    assert (found.no.gets, found.no.heads) == (1, 0)
    assert found.no.first_at == found.no.last_at == NOW + timedelta(hours=9)
    assert found.together_at is None
    assert found.get("yes") is found.yes
    assert found.get("no") is found.no


@pytest.mark.parametrize(("apart", "is_together"), AROUND)
@pytest.mark.parametrize("second", ["yes", "no"])
def test_both_links_within_a_minute_are_opened_together(
    second: Link, apart: timedelta, is_together: bool
) -> None:
    first: Link = "no" if second == "yes" else "yes"
    found = all_of([(first, False, NOW), (second, True, NOW + apart)])
    assert found.together_at == (NOW + apart if is_together else None)


def test_the_last_time_together_is_kept() -> None:
    later = NOW + timedelta(hours=1)
    once: list[Look] = [("yes", False, NOW), ("no", False, NOW + timedelta(seconds=1))]
    again: list[Look] = [("no", False, later), ("yes", False, later + timedelta(seconds=1))]
    assert all_of([*once, *again]).together_at == later + timedelta(seconds=1)
    assert all_of([*once, ("no", False, later)]).together_at == NOW + timedelta(seconds=1)


@given(looks)
def test_however_often_links_are_opened_the_same_few_values_are_kept(
    opened: list[Look],
) -> None:
    found = all_of(opened)
    for link in bot_detection.LINKS:
        own = [(head, at) for its, head, at in opened if its == link]
        kept = found.get(link)
        assert kept.gets + kept.heads == len(own)
        assert kept.heads == sum(head for head, _ in own)
        assert kept.first_at == min((at for _, at in own), default=None)
        assert kept.last_at == max((at for _, at in own), default=None)
    if found.together_at is not None:
        assert found.yes.last_at is not None
        assert found.no.last_at is not None
        assert found.together_at in {at for _, _, at in opened}


# --- Signs.


def pasts_with_a_no() -> st.SearchStrategy[LinkHistory]:
    """Return pasts with a No on a page, or by any other way, of which no moment is kept."""
    return st.one_of(
        moments.map(lambda at: LinkHistory(no_at=at)), st.just(LinkHistory(has_refused=True))
    )


def test_both_opened_holds_until_a_link_is_opened_by_itself() -> None:
    yes, no = NOW - timedelta(hours=5), NOW - timedelta(hours=5, seconds=-3)
    both = after(("yes", yes), ("no", no))
    assert yes_in(both) == no_in(both) == (BotSignal.BOTH_OPENED,)
    assert yes_in(after(("no", no), ("yes", yes))) == (BotSignal.BOTH_OPENED,)
    by_itself = after(("yes", yes), ("no", no), ("yes", NOW - timedelta(hours=1)))
    assert yes_in(by_itself) == no_in(by_itself) == ()
    # A page for No may have the button for Yes.
    other = after(("yes", yes), ("no", no), ("no", NOW - timedelta(hours=1)))
    assert yes_in(other) == no_in(other) == ()


@pytest.mark.parametrize(("ago", "is_sign"), AROUND)
def test_the_other_answer_within_a_minute_is_a_sign(ago: timedelta, is_sign: bool) -> None:
    expected = (BotSignal.BOTH_ANSWERED,) if is_sign else ()
    assert yes_in(LinkHistory(no_at=NOW - ago)) == (*expected, BotSignal.SAID_NO)
    assert no_in(LinkHistory(yes_at=NOW - ago)) == expected
    assert yes_in(LinkHistory(yes_at=NOW - ago)) == no_in(LinkHistory(no_at=NOW - ago)) == ()
    # Two at once may arrive in one order and be recorded in the other.
    assert yes_in(LinkHistory(no_at=NOW + ago)) == (*expected, BotSignal.SAID_NO)


@given(pasts_with_a_no(), st.integers(0, 10**9))
def test_after_a_no_a_yes_is_suspect_however_late(history: LinkHistory, seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    found = bot_detection.detect_signals("yes", history, arrived_at=at, mailed_at=None)
    assert BotSignal.SAID_NO in found
    assert bot_detection.is_suspect(found)
    assert BotSignal.SAID_NO not in bot_detection.detect_signals(
        "no", history, arrived_at=at, mailed_at=None
    )


@pytest.mark.parametrize(("ago", "is_sign"), AROUND)
def test_who_said_not_to_have_pressed_does_not_press_within_a_minute(
    ago: timedelta, is_sign: bool
) -> None:
    history = after(("yes", NOW), disowned_at=NOW - ago)
    assert yes_in(history) == ((BotSignal.DISOWNED,) if is_sign else ())
    assert no_in(history) == ()


def test_who_said_not_to_have_pressed_does_not_press_before_a_link_is_opened_again() -> None:
    history = LinkHistory(disowned_at=NOW - timedelta(days=1))
    assert yes_in(history) == (BotSignal.DISOWNED,)
    assert yes_in(after(("yes", NOW - timedelta(days=1)), disowned_at=history.disowned_at)) == (
        BotSignal.DISOWNED,
    )


def test_the_same_visit_is_asked_again_however_long_it_waits() -> None:
    asked_at = NOW - timedelta(hours=2)
    assert yes_in(LinkHistory(doubted_at=asked_at)) == (BotSignal.UNSETTLED,)
    before = after(("yes", asked_at - A_TICK), doubted_at=asked_at)
    assert yes_in(before) == (BotSignal.UNSETTLED,)
    assert no_in(before) == ()
    assert yes_in(after(("yes", asked_at), doubted_at=asked_at)) == (BotSignal.UNSETTLED,)
    assert yes_in(after(("yes", asked_at + A_TICK), doubted_at=asked_at)) == ()
    assert yes_in(after(("no", asked_at + A_TICK), doubted_at=asked_at)) == ()


@pytest.mark.parametrize(("ago", "is_sign"), AROUND)
def test_a_press_right_after_delivery_is_a_weak_sign(ago: timedelta, is_sign: bool) -> None:
    found = yes_in(LinkHistory(), mailed_at=NOW - ago)
    assert found == ((BotSignal.SOON,) if is_sign else ())
    assert not bot_detection.is_suspect(found)


def test_a_look_by_head_is_weak_and_together_with_haste_is_not() -> None:
    looked_up = LinkHistory(openings=all_of([("yes", True, NOW)]))
    assert yes_in(looked_up) == (BotSignal.LOOKED_UP,)
    assert no_in(looked_up) == ()
    assert not bot_detection.is_suspect(yes_in(looked_up))
    soon = yes_in(looked_up, mailed_at=NOW)
    assert soon == (BotSignal.LOOKED_UP, BotSignal.SOON)
    assert bot_detection.is_suspect(soon)


def test_nothing_speaks_against_whoever_was_never_mailed() -> None:
    assert yes_in(LinkHistory(), mailed_at=None) == ()


@given(moments, moments, st.integers(0, 3))
def test_speed_alone_is_never_suspect(opened_at: datetime, mailed_at: datetime, times: int) -> None:
    history = LinkHistory(openings=all_of([("yes", False, opened_at)] * times))
    found = bot_detection.detect_signals("yes", history, arrived_at=opened_at, mailed_at=mailed_at)
    assert set(found) <= {BotSignal.SOON}
    assert not bot_detection.is_suspect(found)


@given(st.sets(st.sampled_from(BotSignal)))
def test_more_signs_never_make_a_press_less_suspect(found: set[BotSignal]) -> None:
    every = tuple(sign for sign in BotSignal if sign in found)
    strong = found - {BotSignal.SOON, BotSignal.LOOKED_UP}
    assert bot_detection.is_suspect(every) == bool(
        strong or {BotSignal.SOON, BotSignal.LOOKED_UP} <= found
    )


# --- Once more.


def yes(history: LinkHistory, at: datetime, *, is_again: bool = False) -> tuple[LinkHistory, bool]:
    """Press Yes, on the newest page that asks again or on the first; return whether it counts."""
    return pressed_yes(history, at, mark=mark_in(history) if is_again else None)


def pressed_yes(
    history: LinkHistory, at: datetime, *, mark: str | None = None
) -> tuple[LinkHistory, bool]:
    """Press Yes, on the page that asks again whose mark is given, or on the first."""
    found = bot_detection.detect_signals("yes", history, arrived_at=at, mailed_at=LONG_AGO)
    is_again = mark is not None
    if not bot_detection.is_valid_yes(
        history, found, is_confirmation_page=is_again, confirmation_token=mark or ""
    ):
        return bot_detection.record_doubtful_yes(history, at=at), False
    says = bot_detection.record_confirmed_yes if is_again else bot_detection.record_yes
    return says(history, at=at), True


def mark_in(history: LinkHistory) -> str:
    return bot_detection.make_confirmation_token(history.doubted_at)


pasts = st.builds(
    LinkHistory,
    openings=looks.map(all_of),
    yes_at=st.none() | moments,
    no_at=st.none() | moments,
    disowned_at=st.none() | moments,
    doubted_at=st.none() | moments,
    is_contradicted=st.booleans(),
    settled_at=st.none() | moments,
    has_refused=st.booleans(),
)


@given(pasts, moments, st.integers(0, 100))
def test_a_person_needs_one_further_press_at_most(
    history: LinkHistory, at: datetime, seconds: int
) -> None:
    """Whatever programs did before, and however quickly or slowly the person presses."""
    first, is_enough = yes(history, at)
    if not is_enough:
        _, is_enough = yes(first, at + timedelta(seconds=seconds), is_again=True)
    assert is_enough


def test_the_button_that_asks_again_does_nothing_before_that() -> None:
    both = after(("yes", NOW), ("no", NOW))
    assert yes(both, NOW, is_again=True)[1] is False
    assert not bot_detection.is_confirming_press(both, mark_in(both))
    assert not bot_detection.is_confirmation_open(both)


def test_what_counts_is_in_doubt_no_more() -> None:
    held, _ = yes(after(("yes", NOW), ("no", NOW)), NOW)
    assert bot_detection.is_confirming_press(held, mark_in(held))
    done, is_enough = yes(held, NOW, is_again=True)
    assert is_enough
    assert done.doubted_at is None
    assert done.yes_at == NOW
    assert not bot_detection.is_confirming_press(done, mark_in(held))
    assert bot_detection.revokes_yes(done, mark_in(held))


@given(pasts, moments)
def test_each_press_leaves_its_moment_and_ends_what_was_in_doubt_or_contradicts_it(
    history: LinkHistory, at: datetime
) -> None:
    counted, held = (
        bot_detection.record_yes(history, at=at),
        bot_detection.record_doubtful_yes(history, at=at),
    )
    assert (counted.yes_at, counted.doubted_at, counted.settled_at) == (at, None, None)
    assert (held.yes_at, held.settled_at) == (at, None)
    assert counted.is_contradicted is held.is_contradicted is False
    refused, disowned = (
        bot_detection.record_no(history, at=at),
        bot_detection.record_disowned(history, at=at),
    )
    assert (refused.no_at, disowned.disowned_at) == (at, at)
    assert refused.is_contradicted is disowned.is_contradicted is True


def test_a_first_yes_with_no_sign_counts_and_awaits_nothing() -> None:
    said, is_enough = yes(LinkHistory(), NOW)
    assert is_enough
    assert bot_detection.find_open_confirmation_token(said) == ""


@dataclass
class Crawled:
    """What a program meets that submits each form that it finds, as the pages would let it.

    Those of the first page it meets in three languages, at addresses of their own.
    """

    past: LinkHistory = field(default_factory=lambda: after(("yes", NOW), ("no", NOW)))
    at: datetime = NOW
    is_confirmed: bool = False
    found: list[tuple[str, str]] = field(default_factory=lambda: [("yes", ""), ("no", "")] * 3)
    rounds: set[str] = field(default_factory=set)

    def press(self, what: str, mark: str) -> None:
        """Submit a form; a page that asks again has three more, as often as it is met."""
        if what in {"yes", "again"}:
            self._say_yes(mark if what == "again" else None)
            return
        is_taken_back = self.is_confirmed and bot_detection.revokes_yes(self.past, mark)
        says = bot_detection.record_no if what == "no" else bot_detection.record_disowned
        self.past = says(self.past, at=self.at)
        if what == "no" or is_taken_back:
            self.is_confirmed = False

    def _say_yes(self, mark: str | None) -> None:
        if self.is_confirmed:
            return
        self.past, self.is_confirmed = pressed_yes(self.past, self.at, mark=mark)
        if not self.is_confirmed:
            new = mark_in(self.past)
            assert new not in self.rounds
            self.rounds.add(new)
            self.found += [(what, new) for what in ("disown", "again", "no")]


@given(st.integers(0, 12), st.data())
def test_a_program_that_submits_each_form_once_never_gives_a_yes(
    depth: int, data: st.DataObject
) -> None:
    """In any order, to any depth, however long it waits: what it opened it does not open again.

    A page beyond the depth is not pressed at all; every other one wholly.
    """
    program = Crawled()
    waits = st.sampled_from([0, 0, 0, 5, 50, 61, 4000])
    while program.found:
        number = data.draw(st.integers(0, len(program.found) - 1))
        what, mark = program.found.pop(number)
        program.at += timedelta(seconds=data.draw(waits))
        before = list(program.found)
        program.press(what, mark)
        if len(program.rounds) > depth:
            program.found = before
    assert not program.is_confirmed


@given(pasts, moments, st.permutations(("disown", "again", "no")))
def test_whatever_is_pressed_beside_the_yes_of_a_page_it_is_none_in_the_end(
    history: LinkHistory, at: datetime, order: list[str]
) -> None:
    program = Crawled(past=bot_detection.record_doubtful_yes(history, at=at), at=at)
    mark = mark_in(program.past)
    for what in order:
        program.press(what, mark)
    assert not program.is_confirmed


@given(pasts, moments, st.text(max_size=20))
def test_no_mark_but_that_of_the_newest_page_settles_or_takes_back(
    history: LinkHistory, at: datetime, other: str
) -> None:
    held = bot_detection.record_doubtful_yes(history, at=at)
    earlier = {
        bot_detection.make_confirmation_token(one)
        for one in (history.doubted_at, history.settled_at)
    }
    for mark in earlier | {""} | {other} - {mark_in(held)}:
        assert not bot_detection.is_confirming_press(held, mark)
        assert not bot_detection.revokes_yes(bot_detection.record_confirmed_yes(held, at=at), mark)
    assert bot_detection.is_confirming_press(held, mark_in(held))
    assert not bot_detection.revokes_yes(held, mark_in(held))
    at_once = bot_detection.record_yes(held, at=at)
    assert not bot_detection.revokes_yes(at_once, mark_in(held))


def test_a_mark_says_when_its_page_was_made_and_nothing_else() -> None:
    assert bot_detection.make_confirmation_token(None) == ""
    assert (
        bot_detection.make_confirmation_token(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
        == f"{1_000_005:x}"
    )


@given(
    st.sampled_from(
        [
            ("disown", "again", "no"),
            ("no", "again", "disown"),
            ("disown", "no", "again"),
            ("no", "disown", "again"),
        ]
    ),
    st.lists(st.integers(0, 90), min_size=12, max_size=12),
)
def test_a_program_that_presses_all_that_the_page_shows_is_asked_again_for_ever(
    order: tuple[str, ...], waits: list[int]
) -> None:
    """In whatever order, if not from the Yes on: four rounds, however long it waits in between."""
    at = NOW
    history, is_enough = yes(after(("yes", NOW), ("no", NOW)), at)
    assert not is_enough
    for step, wait in enumerate(waits):
        at += timedelta(seconds=wait)
        what = order[step % 3]
        if what == "disown":
            history = bot_detection.record_disowned(history, at=at)
        elif what == "no":
            history = bot_detection.record_no(history, at=at)
        else:
            history, is_enough = yes(history, at, is_again=True)
            assert not is_enough
