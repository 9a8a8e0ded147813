"""Assessing a press: whether a program may have made it, and whether its Yes is held.

Call it inside the caller's transaction, with the contact locked.
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

    - `confirmation_token`: of the confirmation request, if the Yes is held; otherwise "".
    - `revokes_yes`: the press is a No that revokes the Yes of its own page, which a program gave.
    - `is_form_stale`: the form was served before the contact's last press; nothing is recorded.
    - `opening`: the row with the history of the contact's links, after this press.
    """

    trace: Mapping[str, Any]
    confirmation_token: str = ""
    revokes_yes: bool = False
    is_form_stale: bool = False
    opening: Opening | None = None


def assess_press(
    contact: Contact,
    opening: Opening | None,
    contact_state: ContactState,
    answer: Answer,
    arrived_at: datetime,
    *,
    outcome: Outcome,
    unsaved_requests: Iterable[LinkRequest],
    is_confirmation_page: bool,
    confirmation_token: str,
    form: Form | None,
) -> PressAssessment:
    """Assess a press, and save what the next assessment needs.

    - `outcome`: what the answer does if a person gave it.
    - `unsaved_requests`: requests of the contact's links that are not stored yet.
    - `is_confirmation_page`: the press came from the page that asks for a Yes again.
    - `confirmation_token`: what the button of that page sent, "" from any other page.
    - `form`: the submitted form; None where none is needed, as for one-click (RFC 8058).
    """
    history = click_log.read_link_history(contact, opening, unsaved_requests)
    signals = bot_detection.detect_signals(
        answer.value, history, arrived_at=arrived_at, mailed_at=contact_state.mailed_at
    )
    is_no_of_same_page = answer is Answer.NO and _is_no_of_same_page(contact, history, form)
    revokes_yes = answer is Answer.NO and (
        is_yes_revoked(contact, history, confirmation_token)
        or (is_no_of_same_page and _is_confirmed_by_press(contact, history))
    )
    is_current = form is None or form.version == contact.form_version
    is_form_stale = not (is_current or is_no_of_same_page or revokes_yes)
    is_asked_again = outcome is Outcome.CONFIRM and _is_asked_again(history, signals, form)
    if is_form_stale and (bot_detection.is_confirmation_open(history) or not is_asked_again):
        opening = click_log.save_link_history(contact, opening, history)
        confirmation_token = (
            bot_detection.make_confirmation_token(history.doubted_at) if is_asked_again else ""
        )
        return PressAssessment(
            trace={}, confirmation_token=confirmation_token, is_form_stale=True, opening=opening
        )
    if answer is Answer.NO:
        is_suspect = bot_detection.is_suspect(signals)
        new_history = bot_detection.record_no(history, at=arrived_at)
        opening = _save_opening(contact, opening, new_history, signals if is_suspect else ())
        is_new = bot_detection.is_confirmation_open(history) or not contact.has_refused
        if outcome is not Outcome.REMOVE and is_new:
            status_changes.invalidate_open_forms(contact, has_refused=True)
        return PressAssessment(
            trace=_make_trace(history, signals), revokes_yes=revokes_yes, opening=opening
        )
    if outcome is not Outcome.CONFIRM:
        opening = click_log.save_link_history(contact, opening, history)
        return PressAssessment(trace=_make_trace(history, signals), opening=opening)
    if is_form_stale or not bot_detection.is_valid_yes(
        history,
        signals,
        is_confirmation_page=is_confirmation_page,
        confirmation_token=confirmation_token,
    ):
        # After a No, the No counts until the Yes is confirmed.
        is_open = is_undecided(contact_state.status, contact_state.basis, include_thin=True)
        held_at = arrived_at if is_open else None
        new_history = bot_detection.record_doubtful_yes(history, at=arrived_at)
        opening = _save_opening(contact, opening, new_history, signals, held_at=held_at)
        status_changes.invalidate_open_forms(contact)
        return PressAssessment(
            trace={},
            confirmation_token=bot_detection.make_confirmation_token(new_history.doubted_at),
            opening=opening,
        )
    record_valid_yes = (
        bot_detection.record_confirmed_yes if is_confirmation_page else bot_detection.record_yes
    )
    opening = _save_opening(contact, opening, record_valid_yes(history, at=arrived_at), ())
    trace = _make_trace(
        history, signals, asked_again_at=history.doubted_at if is_confirmation_page else None
    )
    return PressAssessment(trace=trace, opening=opening)


def is_yes_revoked(contact: Contact, history: LinkHistory, confirmation_token: str) -> bool:
    """Say whether a press revokes the Yes that confirmed the contact, by its token."""
    return _is_confirmed_by_press(contact, history) and bot_detection.revokes_yes(
        history, confirmation_token
    )


def _is_confirmed_by_press(contact: Contact, history: LinkHistory) -> bool:
    """Say whether a contact is confirmed by the Yes that was pressed last."""
    return contact.basis == Basis.ANSWER and contact.basis_at == history.yes_at


def _is_no_of_same_page(contact: Contact, history: LinkHistory, form: Form | None) -> bool:
    """Say whether a No comes from the page of the last Yes, or one open beside it.

    Nothing was pressed in between, and that Yes is recorded or asked for again.
    """
    is_next = form is not None and form.version == contact.form_version - 1
    return is_next and (
        _is_confirmed_by_press(contact, history) or bot_detection.is_confirmation_open(history)
    )


def _is_asked_again(
    history: LinkHistory, signals: tuple[BotSignal, ...], form: Form | None
) -> bool:
    """Say whether a Yes with a stale form leads to the page that asks again.

    From the current page it would. So a person who presses twice, or returns to an open page after
    a No, needs no additional press. A form without a valid number leads to the question instead.
    """
    is_ours = form is not None and form.version is not None
    return is_ours and (
        bot_detection.is_confirmation_open(history) or bot_detection.is_suspect(signals)
    )


def _save_opening(
    contact: Contact,
    opening: Opening | None,
    history: LinkHistory,
    signals: Iterable[BotSignal],
    *,
    held_at: datetime | None = None,
) -> Opening | None:
    return click_log.save_link_history(
        contact, opening, history, signs=",".join(signals), held_at=held_at
    )


def _make_trace(
    history: LinkHistory, signals: Iterable[BotSignal], *, asked_again_at: datetime | None = None
) -> dict[str, Any]:
    """Return the trace of an answer: the link openings and the signals of a program."""
    trace = {
        "openings": click_log.describe_openings(history.openings),
        "signs": [str(signal) for signal in signals],
        "asked_again_at": asked_again_at.isoformat() if asked_again_at else "",
    }
    return {name: value for name, value in trace.items() if value}
