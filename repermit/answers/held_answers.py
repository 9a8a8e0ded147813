"""Assessing a press: whether a program may have made it, and whether its Yes is held.

Must be called inside the caller's transaction, with the contact locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.answers.link_target import ContactState
from repermit.contacts import click_log, status_changes
from repermit.contacts.click_log import LinkRequest
from repermit.db.models.contacts import Contact, Opening
from repermit.rules import bot_detection
from repermit.rules.bot_detection import BotSignal, LinkHistory
from repermit.rules.consent import Answer, Basis, Outcome, is_undecided
from repermit.signed_links import Form


@dataclass(frozen=True, kw_only=True)
class PressAssessment:
    """The assessment of a press, with its trace.

    `mark` is that of the round in which a Yes is held, "" if it is not. `takes_back` says that a No
    undoes the Yes of its own page, which was no person's. `is_spent` says that its form does not
    count, since something was pressed after the page was served, and that nothing is recorded.
    `opening` is the row of the contact's links then.
    """

    trace: Mapping[str, Any]
    mark: str = ""
    takes_back: bool = False
    is_spent: bool = False
    opening: Opening | None = None


def assess_press(
    contact: Contact,
    opening: Opening | None,
    standing: ContactState,
    answer: Answer,
    arrived: datetime,
    *,
    outcome: Outcome,
    seen: Iterable[LinkRequest],
    is_again: bool,
    mark: str,
    form: Form | None,
) -> PressAssessment:
    """Assess a press, and save what the next assessment needs.

    `outcome` is what the answer comes to if it is a person's. `mark` is what the button of a page
    that asked again sent along, "" from any other; `form` is None where no page is needed, as for a
    mail program's No (RFC 8058).
    """
    past = click_log.read_link_history(contact, opening, seen)
    signs = bot_detection.detect_signals(
        answer.value, past, arrived=arrived, mailed_at=standing.mailed_at
    )
    is_beside_yes = answer is Answer.NO and _is_no_beside_yes(contact, past, form)
    takes_back = answer is Answer.NO and (
        is_taken_back(contact, past, mark)
        or (is_beside_yes and _is_confirmed_by_press(contact, past))
    )
    is_current = form is None or form.version == contact.form_version
    is_spent = not (is_current or is_beside_yes or takes_back)
    is_asked_again = outcome is Outcome.CONFIRM and _is_asked_again(past, signs, form)
    if is_spent and (bot_detection.is_confirmation_open(past) or not is_asked_again):
        opening = click_log.save_link_history(contact, opening, past)
        mark = bot_detection.make_confirmation_token(past.doubted_at) if is_asked_again else ""
        return PressAssessment(trace={}, mark=mark, is_spent=True, opening=opening)
    if answer is Answer.NO:
        is_suspect = bot_detection.is_suspect(signs)
        after = bot_detection.record_no(past, at=arrived)
        opening = _save_opening(contact, opening, after, signs if is_suspect else ())
        is_new = bot_detection.is_confirmation_open(past) or not contact.has_refused
        if outcome is not Outcome.REMOVE and is_new:
            status_changes.invalidate_open_forms(contact, is_no=True)
        return PressAssessment(
            trace=_make_trace(past, signs), takes_back=takes_back, opening=opening
        )
    if outcome is not Outcome.CONFIRM:
        opening = click_log.save_link_history(contact, opening, past)
        return PressAssessment(trace=_make_trace(past, signs), opening=opening)
    if is_spent or not bot_detection.is_valid_yes(past, signs, is_again=is_again, mark=mark):
        # Of who has said No, the No counts.
        is_open = is_undecided(standing.status, standing.basis, include_thin=True)
        held_at = arrived if is_open else None
        after = bot_detection.record_doubtful_yes(past, at=arrived)
        opening = _save_opening(contact, opening, after, signs, held_at=held_at)
        status_changes.invalidate_open_forms(contact)
        return PressAssessment(
            trace={}, mark=bot_detection.make_confirmation_token(after.doubted_at), opening=opening
        )
    settle = bot_detection.record_confirmed_yes if is_again else bot_detection.record_yes
    opening = _save_opening(contact, opening, settle(past, at=arrived), ())
    trace = _make_trace(past, signs, asked_again_at=past.doubted_at if is_again else None)
    return PressAssessment(trace=trace, opening=opening)


def is_taken_back(contact: Contact, past: LinkHistory, mark: str) -> bool:
    """Say whether another press of a round undoes the Yes by which a contact is confirmed."""
    return _is_confirmed_by_press(contact, past) and bot_detection.revokes_yes(past, mark)


def _is_confirmed_by_press(contact: Contact, past: LinkHistory) -> bool:
    """Say whether a contact is confirmed by the Yes that was pressed last."""
    return contact.basis == Basis.ANSWER and contact.basis_at == past.yes_at


def _is_no_beside_yes(contact: Contact, past: LinkHistory, form: Form | None) -> bool:
    """Say whether a No was pressed beside the last Yes, which stands or is asked for again.

    It is of the same page, or of one that was open with it: nothing was pressed in between.
    """
    is_next = form is not None and form.version == contact.form_version - 1
    return is_next and (
        _is_confirmed_by_press(contact, past) or bot_detection.is_confirmation_open(past)
    )


def _is_asked_again(past: LinkHistory, signs: tuple[BotSignal, ...], form: Form | None) -> bool:
    """Say whether a Yes of a page that is out of date leads to the page that asks again.

    It would from the page as it is now: so whoever presses twice, or goes back to an open page
    after a No, needs no press more than from there. What sends no number of ours sees the question.
    """
    is_ours = form is not None and form.version is not None
    return is_ours and (bot_detection.is_confirmation_open(past) or bot_detection.is_suspect(signs))


def _save_opening(
    contact: Contact,
    opening: Opening | None,
    past: LinkHistory,
    signs: Iterable[BotSignal],
    *,
    held_at: datetime | None = None,
) -> Opening | None:
    return click_log.save_link_history(
        contact, opening, past, signs=",".join(signs), held_at=held_at
    )


def _make_trace(
    past: LinkHistory, signs: Iterable[BotSignal], *, asked_again_at: datetime | None = None
) -> dict[str, Any]:
    """Return the trace of an answer: its openings and the signs of a program."""
    trace = {
        "openings": click_log.describe_openings(past.openings),
        "signs": [str(sign) for sign in signs],
        "asked_again_at": asked_again_at.isoformat() if asked_again_at else "",
    }
    return {name: value for name, value in trace.items() if value}
