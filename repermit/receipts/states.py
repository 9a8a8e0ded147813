"""What became of a consent and when, in the states of the Data Privacy Vocabulary.

What each dpv:ConsentStatus means is said at https://w3id.org/dpv: Withdrawn is by the person,
Revoked "by an entity other than the data subject", and Unknown where information "is not available,
or cannot be trusted, or is known to be inaccurate".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

REQUESTED = "dpv:ConsentRequested"
REFUSED = "dpv:ConsentRefused"
GIVEN = "dpv:ConsentGiven"
RENEWED = "dpv:RenewedConsentGiven"
WITHDRAWN = "dpv:ConsentWithdrawn"
REVOKED = "dpv:ConsentRevoked"
UNKNOWN = "dpv:ConsentUnknown"

_HOLDS = frozenset({GIVEN, RENEWED})
_TAKING_BACK = frozenset({"import_undone", "erased"})
_BY_THE_PERSON = frozenset({"no", "withdrawn", "request", "complaint"})

NOT_THE_PERSON = "not_the_person"
"""The method of a removal since a reader of the mail said not to be the person meant."""

NOT_PRESSED, BOTH_PRESSED = "not_pressed", "both_pressed"
"""The methods of a removal since a Yes was no person's: whoever was asked again said not to have
pressed it, or pressed Yes and No of the page that asked."""

TAKEN_BACK = frozenset({NOT_PRESSED, BOTH_PRESSED})

SIGN_UP_UNDONE: Final = "sign_up_undone"
"""The event by which somebody stands again as before the Yes of a sign-up that was no person's."""

REPRESENTATIVE: Final = "representative"
"""Who gave an answer for somebody under 16 or under guardianship (GDPR art. 8(1); the Dutch UAVG,
art. 5): what an entry says of it under `given_by`, and what a record calls that party."""

ABOUT_AN_ASK = frozenset({"confirmed", "removed"})
"""Events that say with `asked_at` which ask was answered, or met with silence."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """One entry of the evidence, as far as a record tells it.

    `at` is RFC 3339. `told` is the entry's part `consent`, empty where that is held no longer.
    """

    at: str
    event: str
    told: Mapping[str, Any]

    @property
    def is_by_representative(self) -> bool:
        """Whether somebody said of themselves that they answer as the legal representative."""
        return bool(self.told.get("given_by") == REPRESENTATIVE)

    @property
    def happened_at(self) -> str:
        """When it happened: an answer when it arrived, an earlier sign-up when it was made.

        A removal that was lost with a database, and noted again when its backup was put back, when
        the person left.
        """
        # What another tool's file says of a sign-up has its time under "at".
        known = (self.told.get(name) for name in ("arrived_at", "left_at", "basis_at", "at"))
        return next(filter(None, known), self.at)


def events_of(entries: Iterable[Said], *, principal: str, controller: str) -> list[dict[str, str]]:
    """Return the events of a record (TS 27560 §6.3.7), the oldest first.

    `event_state` is a dpv:ConsentStatus, `event_type` the kind of consent in question: explicit
    where the list is sensitive (GDPR art. 9(2)(a)), expressed otherwise. `entity_id` is whose act
    it was: the person's, their representative's, or the controller's.
    """
    events: list[dict[str, str]] = []
    all_said = tuple(entries)
    for number, said in enumerate(all_said):
        events.extend(_asked(said, events, controller))
        state = _state_after(said, _decided(events)) or _undone(
            said, all_said[:number], _decided(events)
        )
        # A Yes that was no person's is no consent, and was none before that was known.
        if state and not is_taken_back(said, all_said[number + 1 :]):
            own = REPRESENTATIVE if said.is_by_representative else principal
            entity = own if _is_by_the_person(said) else controller
            validity = "until withdrawn" if state in _HOLDS else "none"
            events.append(
                _event(said, at=said.happened_at, state=state, entity=entity, validity=validity)
            )
    return events


def is_taken_back(said: Said, later: Iterable[Said]) -> bool:
    """Say whether an entry is of a Yes of which the next decision says that it was none."""
    decisions = {"removed", "confirmed", SIGN_UP_UNDONE}
    after = next((one for one in later if one.event in decisions), None)
    if said.event != "confirmed" or after is None:
        return False
    return after.event == SIGN_UP_UNDONE or after.told.get("method") in TAKEN_BACK


def state_of(events: Sequence[Mapping[str, str]]) -> str:
    """Return the state in which the last of some events left a consent; "" without any."""
    return events[-1]["event_state"] if events else ""


def _decided(events: Sequence[Mapping[str, str]]) -> str:
    """Return the state that the last decision left: being asked (again) changes nothing of it."""
    return state_of([one for one in events if one["event_state"] != REQUESTED])


def _asked(
    said: Said, before: Sequence[Mapping[str, str]], controller: str
) -> Iterator[dict[str, str]]:
    """Yield that the person was asked, if this entry is the first to say so."""
    at = said.told.get("asked_at", "") if said.event in ABOUT_AN_ASK else ""
    known = any(one["event_state"] == REQUESTED and one["event_time"] == at for one in before)
    if at and not known:
        until = said.told.get("deadline") or "none"
        yield _event(said, at=at, state=REQUESTED, entity=controller, validity=until)


def _state_after(said: Said, before: str) -> str:
    """Return the state after an entry, "" for one that says nothing about consent."""
    if said.event == "confirmed":
        return RENEWED if before in _HOLDS else GIVEN
    if said.event == "opted_out":
        return REFUSED
    if said.event != "removed":
        return ""
    reason, holds = said.told.get("reason", ""), before in _HOLDS
    if not _is_by_the_person(said):
        return REVOKED if holds and reason else UNKNOWN
    # One withdraws as a customer too, say, who never had to consent.
    return WITHDRAWN if holds or reason == "withdrawn" else REFUSED


def _undone(said: Said, earlier: Sequence[Said], before: str) -> str:
    """Return the state after a file was taken back, "" unless a consent stood on what it said.

    Who still stands as confirmed does so on what was said before the file. Where the entry's part
    is held no longer, neither is that of what the file claimed.
    """
    if before not in _HOLDS or said.event not in _TAKING_BACK:
        return ""
    if said.event == "erased" and "imported_at" not in said.told:
        return ""
    if said.told.get("status") == "confirmed":
        return ""
    claims = [one for one in earlier if one.event == "confirmed"]
    return "" if not said.told and claims[-1].told else REVOKED


def _is_by_the_person(said: Said) -> bool:
    """Say whether an entry is of the person's own act.

    Who is not the person meant can neither refuse nor withdraw for whoever is, and what pressed a
    button neither: it is the controller who no longer relies on what was said before.
    """
    if said.event != "removed":
        return said.event not in _TAKING_BACK
    reason = said.told.get("reason")
    if said.told.get("method") in {NOT_THE_PERSON, *TAKEN_BACK}:
        return False
    # A journal, or another system's suppressions, say that it was asked for, and not by whom.
    return reason in _BY_THE_PERSON and not (reason == "request" and "by" in said.told)


def _event(said: Said, *, at: str, state: str, entity: str, validity: str) -> dict[str, str]:
    explicit = "dpv:ExplicitlyExpressedConsent"
    return {
        "event_time": at,
        "validity_duration": validity,
        "entity_id": entity,
        "event_type": explicit if said.told.get("sensitive") else "dpv:ExpressedConsent",
        "event_state": state,
    }
