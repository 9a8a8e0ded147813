"""The rules: who may be asked, what an answer does, and which status follows which.

Pure functions on plain values: no database, no clock, no Flask.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from repermit.errors import Refused, TransitionRefused
from repermit.i18n.lazy_text import LazyText


class Status(StrEnum):
    """The status of a contact."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    REMOVED = "removed"


class Reason(StrEnum):
    """The reason why a contact was removed."""

    NO = "no"
    NO_RESPONSE = "no_response"
    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    WITHDRAWN = "withdrawn"
    REQUEST = "request"


LEFT_ELSEWHERE = {
    "unsubscribed": Reason.REQUEST,
    "cleaned": Reason.BOUNCE,
    "complained": Reason.COMPLAINT,
}
"""Removal reasons by the statuses that other tools' files give to former contacts.

The suppression of an address that was never on the list has the file's status as its reason.
"""


ANSWERED_NO = frozenset({Reason.NO, Reason.WITHDRAWN})
"""The reasons of a removal by the contact's own No."""

REFUSALS = ANSWERED_NO | {Reason.COMPLAINT, Reason.REQUEST}
"""The reasons that are a refusal in some form; a later Yes is asked for twice."""


class Basis(StrEnum):
    """The ground on which a confirmed or customer contact may be mailed.

    `imported` is a sign-up by the person that another tool recorded, with the wording of its
    form; `thin` is the same without the wording (EDPB 05/2020 §108: the controller must be able
    to show the information that was given).
    """

    ANSWER = "answer"
    SIGN_UP = "sign_up"
    IMPORTED = "imported"
    THIN = "thin"
    CUSTOMER = "customer"


OWN_YES = (Basis.ANSWER, Basis.SIGN_UP)
"""The bases that are the person's own Yes, given on our pages or to the admin."""


class Fate(StrEnum):
    """The fate of a row of an imported file, the strongest first."""

    INVALID = "invalid"
    SUPPRESSED = "suppressed"
    OPTED_OUT = "opted_out"
    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    ROLE = "role"
    ASK = "ask"
    DUPLICATE = "duplicate"


class CampaignState(StrEnum):
    """The state of a campaign."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        """Say whether the campaign is under way; a list has one such at most."""
        return self in LIVE_STATES


LIVE_STATES = frozenset(
    {CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.PAUSED, CampaignState.OPEN}
)


class MailKind(StrEnum):
    """The kind of a mail."""

    ASK = "ask"
    REMINDER = "reminder"
    RECEIPT = "receipt"
    CONFIRM = "confirm"
    NOTICE = "notice"


ASKING_KINDS = (MailKind.ASK, MailKind.REMINDER)
"""The kinds of unrequested mail, to which invariant 3 applies."""


class MailState(StrEnum):
    """The state of a mail."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    STARTED = "started"
    SENT = "sent"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"
    DROPPED = "dropped"


NOT_STARTED = (MailState.QUEUED, MailState.CLAIMED)
"""The states of a mail that may still be dropped."""

UNSETTLED = (*NOT_STARTED, MailState.STARTED)
"""The states of a mail that is queued or being sent."""

POSSIBLY_SENT = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)
"""The states of a mail that was sent, or may have been."""


class PauseReason(StrEnum):
    """The reason of an automatic pause; a pause by the admin has none.

    - `restored`: a backup was restored, which lacks what was sent and answered after it. Mails that
      are in doubt because of it have the same word as their reason.
    """

    PILOT = "pilot"
    BOUNCES = "bounces"
    COMPLAINT = "complaint"
    RESTORED = "restored"


class BounceKind(StrEnum):
    """The kind of message that came back for an accepted mail."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"


class Answer(StrEnum):
    """The answer of a person."""

    YES = "yes"
    NO = "no"


class Exclusion(StrEnum):
    """The reason why a contact is not in a campaign's audience."""

    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    REMOVED = "removed"
    SUPPRESSED = "suppressed"
    ASKED_BEFORE = "asked_before"


def exclusion(
    status: Status, basis: str, *, suppressed: bool, asked_before: bool, include_thin: bool
) -> Exclusion | None:
    """Return why a contact may not be asked, or None if it may.

    A person who objected or withdrew is not asked again (GDPR art. 21(3), art. 7(3)). Nobody is
    asked twice (ICO on Honda, 2017: an ask is itself a mail that needs a ground). The admin may
    choose to ask contacts with a thin proof too.
    """
    if status is Status.REMOVED:
        return Exclusion.REMOVED
    if suppressed:
        return Exclusion.SUPPRESSED
    if status is Status.CUSTOMER:
        return Exclusion.CUSTOMER
    if status is Status.CONFIRMED and not (include_thin and basis == Basis.THIN):
        return Exclusion.CONFIRMED
    # Last, so that a contact that said Yes to an earlier ask counts as confirmed.
    if asked_before:
        return Exclusion.ASKED_BEFORE
    return None


class Outcome(StrEnum):
    """The outcome of an answer.

    - `hold`: a Yes that may be a program's, which is asked for once more.
    - `ask`: a press that is not recorded since its form is stale; the question is shown again.
    """

    CONFIRM = "confirm"
    REMOVE = "remove"
    NOTHING = "nothing"
    LATE = "late"
    HOLD = "hold"
    ASK = "ask"


CHANGING_OUTCOMES = (Outcome.CONFIRM, Outcome.REMOVE)
"""The outcomes that change the contact's status."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The effect of an answer; `reason` is set for a removal."""

    outcome: Outcome
    reason: Reason | None = None


_NOTHING = Decision(Outcome.NOTHING)
_LATE = Decision(Outcome.LATE)
_CONFIRM = Decision(Outcome.CONFIRM)


def decide(
    answer: Answer,
    status: Status,
    *,
    reason: str,
    basis: str,
    arrived_at: datetime,
    deadline: datetime | None,
    by_file: bool = False,
) -> Decision:
    """Decide what an answer does to a contact.

    - `arrived_at`, `deadline`: aware; no deadline if the contact was never in a campaign.
    - `by_file`: an import alone removed the contact.

    A No always counts, since withdrawing must be as easy as consenting (GDPR art. 7(3)). A Yes
    counts if it arrived before the deadline, whatever was answered earlier. After it, the question
    is no longer open, and a Yes needs a new sign-up.
    """
    if answer is Answer.NO:
        in_time = deadline is not None and arrived_at < deadline
        return _decide_no(status, reason, in_time=in_time, by_file=by_file)
    if _is_confirmed_for_good(status, basis):
        return _NOTHING
    return (
        _LATE if is_too_late(status, basis, arrived_at=arrived_at, deadline=deadline) else _CONFIRM
    )


def is_too_late(
    status: Status, basis: str, *, arrived_at: datetime, deadline: datetime | None
) -> bool:
    """Say whether a Yes that arrives at `arrived_at` answers a question that is closed."""
    is_open = deadline is not None and arrived_at < deadline
    return not is_open and not _is_confirmed_for_good(status, basis)


def _is_confirmed_for_good(status: Status, basis: str) -> bool:
    """Say whether a provable opt-in is registered, to which a Yes adds nothing."""
    return status is Status.CONFIRMED and basis != Basis.THIN


def _decide_no(status: Status, reason: str, *, in_time: bool, by_file: bool) -> Decision:
    if status is Status.UNCONFIRMED:
        return Decision(Outcome.REMOVE, Reason.NO)
    if status is not Status.REMOVED:
        return Decision(Outcome.REMOVE, Reason.WITHDRAWN)
    # The sweep came first, but the answer had arrived in time. And a file's removal can be undone,
    # which the person's own objection must survive (GDPR art. 21(3)).
    if by_file or (reason == Reason.NO_RESPONSE and in_time):
        return Decision(Outcome.REMOVE, Reason.NO)
    return _NOTHING


def may_leave(status: Status, *, by_file: bool) -> bool:
    """Say whether a complaint or a request removes a contact.

    - `by_file`: an import alone removed it. It is removed again, as undoing the import must not
      restore a contact that has objected since (GDPR art. 21(3)).
    """
    return by_file or status is not Status.REMOVED


def is_undecided(status: Status, basis: str, *, include_thin: bool) -> bool:
    """Say whether a campaign's question to a contact is still open.

    - `include_thin`: the campaign asks contacts with a thin proof too, as an opt-in that cannot be
      shown is none (EDPB 05/2020 §108).

    The same rule in SQL: `make_undecided_condition` in contacts/lookup.py, and the start of a mail
    in sending/send_step.py.
    """
    is_thin = status is Status.CONFIRMED and basis == Basis.THIN
    return status is Status.UNCONFIRMED or (include_thin and is_thin)


_OWN = frozenset({Reason.COMPLAINT, Reason.REQUEST})
"""The reasons that also remove a contact that only an import had removed; a No does so, too."""


def require_removal(
    status: Status, reason: Reason, *, basis: str = "", by_file: bool = False
) -> None:
    """Raise TransitionRefused if a contact cannot be removed for this reason.

    Silence removes only contacts without a provable opt-in. A No before a Yes is `no`, and after it
    `withdrawn`. A contact removed for silence may prove to have answered or bounced. A contact that
    an import alone removed (`by_file`) may still leave by itself; see `may_leave`.
    """
    if reason in _OWN and may_leave(status, by_file=by_file):
        return
    if reason is Reason.NO_RESPONSE and is_undecided(status, basis, include_thin=True):
        return
    allowed = {
        Reason.NO: (Status.UNCONFIRMED, Status.REMOVED),
        Reason.NO_RESPONSE: (),
        Reason.WITHDRAWN: (Status.CONFIRMED, Status.CUSTOMER),
        Reason.BOUNCE: tuple(Status),
    }.get(reason, ())
    if status not in allowed:
        raise TransitionRefused(
            "this cannot be done any more: look at how this person stands now",
            cli=" (%(status)s, not to be removed for %(reason)s)",
            status=str(status),
            reason=str(reason),
        )


def is_unreached(status: Status, *, reason: str, basis: str, include_thin: bool) -> bool:
    """Say whether "no such mailbox" removes a contact.

    It does while the question is open, and after a removal for silence, as the question never
    arrived. A contact that has answered stays, since a missing mailbox withdraws no consent.

    - `include_thin`: that of the campaign that asked the contact.
    """
    if status is Status.REMOVED:
        return reason == Reason.NO_RESPONSE
    is_thin = status is Status.CONFIRMED and basis == Basis.THIN
    return status is Status.UNCONFIRMED or (is_thin and include_thin)


def choose_fate(*, opted_out: bool, proven: bool, customer: bool, role: bool) -> Fate:
    """Return the fate of a valid row by itself: the strongest of its statements wins."""
    if opted_out:
        return Fate.OPTED_OUT
    if proven:
        return Fate.CONFIRMED
    if customer:
        return Fate.CUSTOMER
    return Fate.ROLE if role else Fate.ASK


STRENGTH = {found: rank for rank, found in enumerate(Fate)}
"""Rank of each fate; of an address's rows the one with the lowest rank decides."""

_WORTH = {
    "": 0,
    Basis.CUSTOMER: 1,
    Basis.THIN: 2,
    Basis.IMPORTED: 3,
    Basis.SIGN_UP: 4,
    Basis.ANSWER: 4,
}


def is_better_basis(old: str, new: str) -> bool:
    """Say whether basis `new` is better than `old`; "" is none. An import never lowers one."""
    return _WORTH[new] > _WORTH[old]


UNATTESTED = LazyText(
    "there are customers in this file: say on what ground they may be mailed",
    cli=(
        " (--attest TEXT: each of them bought from this organisation, was told and offered a way "
        "out when the address was collected, and will be mailed about similar products only); if "
        "a column was taken for that of customers, --map customer= says it is not"
    ),
)
"""The refusal of customers without the attestation that their basis needs."""


def require_customer_basis(*, sensitive: bool, attested: bool) -> None:
    """Raise Refused where the conditions of the customer basis do not hold.

    Directive 2002/58/EC art. 13(2) and Telecommunicatiewet 11.7(4): a sale by this organisation,
    information and a way to object at collection, and similar products. GDPR art. 6 is not required
    in addition (CJEU C-654/23, Inteligo Media).
    """
    if sensitive:
        raise Refused(
            "a sensitive list cannot have customers: being on it needs explicit consent (GDPR "
            "art. 9(2)(a)); if a column was taken for that of customers, choose “not read” for it",
            cli=" (--map customer=)",
        )
    if not attested:
        raise Refused(UNATTESTED)


_ALLOWED = {
    "pause": {CampaignState.SCHEDULED, CampaignState.SENDING, CampaignState.OPEN},
    "resume": {CampaignState.PAUSED},
    "cancel": set(LIVE_STATES),
    "extend": set(LIVE_STATES),
    "remind": set(LIVE_STATES),
    "close": {CampaignState.OPEN},
}
STATE_TEXTS = {
    CampaignState.DRAFT: LazyText("is being prepared"),
    CampaignState.SCHEDULED: LazyText("begins later"),
    CampaignState.SENDING: LazyText("is being sent"),
    CampaignState.PAUSED: LazyText("is paused"),
    CampaignState.OPEN: LazyText("is open for answers"),
    CampaignState.CLOSED: LazyText("is closed"),
    CampaignState.CANCELLED: LazyText("was cancelled"),
}
"""What a campaign does in a state, as the end of a sentence."""


def require_campaign(state: CampaignState, act: str) -> None:
    """Raise TransitionRefused if a campaign's state does not allow an act.

    - `act`: "pause", "resume", "cancel", "extend", "remind" or "close".
    """
    if state not in _ALLOWED[act]:
        raise TransitionRefused(
            "this cannot be done now: the campaign %(state)s", state=STATE_TEXTS[state]
        )


class Dropped(StrEnum):
    """The reason why a mail was dropped."""

    ANSWERED = "answered"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
