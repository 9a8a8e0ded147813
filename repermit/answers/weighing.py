"""Weighing a press: what speaks for a program in it, and whether a Yes is held for that.

May import contacts, consent, suspicion and what lies below. Must be called inside the caller's
transaction, with the contact locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repermit import contacts, suspicion
from repermit.answers.looking import foresee
from repermit.answers.pending import with_seen
from repermit.consent import Answer, Outcome, Status, is_undecided

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from repermit.answers.facts import Standing
    from repermit.answers.pending import Seen
    from repermit.models import Contact
    from repermit.suspicion import Past, Sign


@dataclass(frozen=True, kw_only=True)
class Press:
    """What a press is worth: whether it is held, and what its trace tells."""

    is_held: bool
    trace: Mapping[str, Any]


def weigh(
    contact: Contact,
    standing: Standing,
    answer: Answer,
    arrived: datetime,
    *,
    seen: Iterable[Seen],
    is_again: bool,
) -> Press:
    """Say what a press is worth, and keep what the next one is weighed by."""
    past = with_seen(contacts.recall(contact), seen)
    found = suspicion.signs(answer.value, past, arrived=arrived, mailed_at=standing.mailed_at)
    is_suspect = suspicion.is_suspect(found)
    is_settled = is_again and suspicion.settles(past)
    if answer is Answer.NO:
        _keep(contact, suspicion.said_no(past, at=arrived), found if is_suspect else ())
    elif foresee(standing, answer, arrived=arrived).outcome is not Outcome.CONFIRM:
        contacts.remember(contact, past)
    elif is_suspect and not is_settled:
        held_at = arrived if _is_open(contact) else None
        _keep(contact, suspicion.doubted(past, at=arrived), found, held_at=held_at)
        return Press(is_held=True, trace={})
    else:
        _keep(contact, suspicion.said_yes(past, at=arrived), ())
    return Press(is_held=False, trace=_trace(past, found, is_settled=is_settled))


def _keep(
    contact: Contact, past: Past, signs: Iterable[Sign], *, held_at: datetime | None = None
) -> None:
    contacts.remember(contact, past, signs=",".join(signs), held_at=held_at)


def _is_open(contact: Contact) -> bool:
    """Say whether the question is open to a contact; of who has said No, the No counts."""
    return is_undecided(Status(contact.status), contact.basis, include_thin=True)


def _trace(past: Past, signs: Iterable[Sign], *, is_settled: bool) -> dict[str, Any]:
    """Return what speaks for and against a person, for the trace of the answer."""
    again_at = past.doubted_at if is_settled else None
    told = {
        "openings": contacts.openings_told(past.openings),
        "signs": [str(sign) for sign in signs],
        "asked_again_at": again_at.isoformat() if again_at else "",
    }
    return {name: value for name, value in told.items() if value}
