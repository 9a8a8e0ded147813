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
    """Where a contact stands."""

    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    REMOVED = "removed"


class Reason(StrEnum):
    """Why a contact was taken off."""

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
"""What a file says of who had left elsewhere, and for what that takes them off here.

The suppression of somebody who was never on the list keeps the file's word as its reason.
"""


ANSWERED_NO = frozenset({Reason.NO, Reason.WITHDRAWN})
"""The removals by a No that the person answered."""

REFUSALS = ANSWERED_NO | {Reason.COMPLAINT, Reason.REQUEST}
"""The removals that are a person's No, in whatever way it came; after one a Yes is asked twice."""


class Basis(StrEnum):
    """On what ground a confirmed or customer contact may be mailed.

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
    """What becomes of a row of an imported file, the order of strength first to last."""

    INVALID = "invalid"
    SUPPRESSED = "suppressed"
    OPTED_OUT = "opted_out"
    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    ROLE = "role"
    ASK = "ask"
    DUPLICATE = "duplicate"


class CampaignState(StrEnum):
    """Where a campaign stands."""

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
    """What a mail is for."""

    ASK = "ask"
    REMINDER = "reminder"
    RECEIPT = "receipt"
    CONFIRM = "confirm"
    NOTICE = "notice"


ASKING_KINDS = (MailKind.ASK, MailKind.REMINDER)
"""Kinds that nobody has asked for, to whom invariant 3 applies."""


class MailState(StrEnum):
    """How far a mail has come."""

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
"""The states of a mail that has yet to leave or is on its way."""


class PauseReason(StrEnum):
    """Why a campaign paused by itself; what the admin paused has none.

    `restored`: the database was put back to what it was before, and does not know what was sent
    and answered since. A mail that is in doubt for this has the same word as its reason.
    """

    PILOT = "pilot"
    BOUNCES = "bounces"
    COMPLAINT = "complaint"
    RESTORED = "restored"


class BounceKind(StrEnum):
    """What came back for a mail that a server had accepted."""

    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"


class Answer(StrEnum):
    """What a person says."""

    YES = "yes"
    NO = "no"


class Exclusion(StrEnum):
    """Why a contact is left out of a campaign's audience."""

    CONFIRMED = "confirmed"
    CUSTOMER = "customer"
    REMOVED = "removed"
    SUPPRESSED = "suppressed"
    ASKED_BEFORE = "asked_before"


def exclusion(
    status: Status, basis: str, *, suppressed: bool, asked_before: bool, include_thin: bool
) -> Exclusion | None:
    """Say why a contact may not be asked, or None if it may.

    Who objected or withdrew is not asked again (GDPR art. 21(3), art. 7(3)); who has been asked
    is not asked twice (ICO on Honda, 2017: an asking is itself a mail that needs a ground). The
    admin may choose to ask those whose proof is thin too.
    """
    if status is Status.REMOVED:
        return Exclusion.REMOVED
    if suppressed:
        return Exclusion.SUPPRESSED
    if status is Status.CUSTOMER:
        return Exclusion.CUSTOMER
    if status is Status.CONFIRMED and not (include_thin and basis == Basis.THIN):
        return Exclusion.CONFIRMED
    # Last, so that whoever said Yes to an earlier asking counts as confirmed.
    if asked_before:
        return Exclusion.ASKED_BEFORE
    return None


class Outcome(StrEnum):
    """What an answer does.

    `hold` is a Yes that may be a program's, and is asked for once more. `ask` is a press of which
    nothing is recorded, since its page was used or is out of date: the question is shown again.
    """

    CONFIRM = "confirm"
    REMOVE = "remove"
    NOTHING = "nothing"
    LATE = "late"
    HOLD = "hold"
    ASK = "ask"


CHANGING_OUTCOMES = (Outcome.CONFIRM, Outcome.REMOVE)
"""What an answer does that changes where its person stands."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What an answer does; `reason` is set for a removal."""

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

    `arrived` and `deadline` are aware; the deadline is None if the contact was never in a
    campaign. `by_file` says that a file alone has taken the contact off. A No counts for ever,
    since withdrawing must be as easy as consenting (GDPR art. 7(3)). A Yes counts if it arrived
    before the deadline, whatever was answered earlier; after it, a Yes needs a fresh sign-up, since
    the question that it answers is no longer open.
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
    """Say whether a Yes that arrives then would answer a question that is open no longer."""
    is_open = deadline is not None and arrived_at < deadline
    return not is_open and not _is_confirmed_for_good(status, basis)


def _is_confirmed_for_good(status: Status, basis: str) -> bool:
    """Say whether an opt-in is registered that can be shown, to which a Yes adds nothing."""
    return status is Status.CONFIRMED and basis != Basis.THIN


def _decide_no(status: Status, reason: str, *, in_time: bool, by_file: bool) -> Decision:
    if status is Status.UNCONFIRMED:
        return Decision(Outcome.REMOVE, Reason.NO)
    if status is not Status.REMOVED:
        return Decision(Outcome.REMOVE, Reason.WITHDRAWN)
    # The sweep was first, but the answer had arrived in time: the person did answer. And what a
    # file has said may be taken back, the person's own objection may not (GDPR art. 21(3)).
    if by_file or (reason == Reason.NO_RESPONSE and in_time):
        return Decision(Outcome.REMOVE, Reason.NO)
    return _NOTHING


def may_leave(status: Status, *, by_file: bool) -> bool:
    """Say whether a complaint, or that somebody asked for it, takes a contact off.

    It does whoever is on the list, and also whom a file alone has taken off (`by_file`): the file
    may be taken back, and must not put back who has objected since (GDPR art. 21(3)).
    """
    return by_file or status is not Status.REMOVED


def is_undecided(status: Status, basis: str, *, include_thin: bool) -> bool:
    """Say whether what a campaign has asked a contact is still open.

    With `include_thin` it asks those too whose proof is thin, in the same words as everybody: an
    opt-in that cannot be shown is none (EDPB 05/2020 §108). SQL has the same of many contacts:
    contacts/lookup.py: make_undecided_condition, and the start of a mail in sending/send_step.py.
    """
    is_thin = status is Status.CONFIRMED and basis == Basis.THIN
    return status is Status.UNCONFIRMED or (include_thin and is_thin)


_OWN = frozenset({Reason.COMPLAINT, Reason.REQUEST})
"""What takes off also whom a file alone has taken off; a No does too, from whatever is removed."""


def require_removal(
    status: Status, reason: Reason, *, basis: str = "", by_file: bool = False
) -> None:
    """Refuse a removal that the words do not allow; `basis` is the contact's.

    Raises TransitionRefused: silence ends only what was never confirmed, or not so that it could
    be shown; a No before a Yes is `no` and after it `withdrawn`. What was taken for silence may
    prove to be an answer or a bounce, and whom a file alone has taken off (`by_file`) may leave by
    themselves; see may_leave.
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
            "a contact that is %(status)s cannot be removed for %(reason)s",
            code="removal",
            status=str(status),
            reason=str(reason),
        )


def is_unreached(status: Status, *, reason: str, basis: str, include_thin: bool) -> bool:
    """Say whether "no such mailbox" takes a contact off.

    It does where an answer was still owed, and also where the lack of one was taken for silence:
    the question never arrived. Whoever has answered is left as they are, since a mailbox that is
    gone takes no consent back; `include_thin` is as it was when they were asked.
    """
    if status is Status.REMOVED:
        return reason == Reason.NO_RESPONSE
    is_thin = status is Status.CONFIRMED and basis == Basis.THIN
    return status is Status.UNCONFIRMED or (is_thin and include_thin)


def fate(*, opted_out: bool, proven: bool, customer: bool, role: bool) -> Fate:
    """Decide the fate of a valid row by itself: the strongest of what it says wins."""
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


def improves(old: str, new: str) -> bool:
    """Say whether basis `new` is better than `old`; "" is none. An import never lowers one."""
    return _WORTH[new] > _WORTH[old]


UNATTESTED = LazyText(
    "the customer basis needs --attest TEXT, which says that each of them bought from this "
    "organisation, was told and offered a way out when the address was collected, and "
    "will be mailed about similar products only; if a column was taken for that of customers, "
    "--map customer= says it is not",
    code="unattested",
)
"""What is said where customers come without the attestation that their basis needs."""


def require_customer_basis(*, sensitive: bool, attested: bool) -> None:
    """Refuse the customer basis where its conditions do not hold.

    Directive 2002/58/EC art. 13(2) and Telecommunicatiewet 11.7(4): sold to, by this
    organisation, told and offered a way out at collection, similar products. GDPR art. 6 is not
    asked for beside them (CJEU C-654/23, Inteligo Media). Raises Refused.
    """
    if sensitive:
        raise Refused(
            "a sensitive list cannot use the customer basis: being on it needs explicit consent "
            "(GDPR art. 9(2)(a)); if a column was taken for that of customers, --map customer= "
            "says it is not",
            code="sensitive_customers",
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


def require_campaign(state: CampaignState, act: str) -> None:
    """Refuse an act that a campaign's state does not allow.

    `act` is "pause", "resume", "cancel", "extend", "remind" or "close". Raises TransitionRefused.
    """
    if state not in _ALLOWED[act]:
        raise TransitionRefused(
            "a campaign that is %(state)s cannot %(act)s",
            code="campaign_state",
            state=state,
            act=act,
        )


class Dropped(StrEnum):
    """Why a mail that was owed is not sent."""

    ANSWERED = "answered"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
