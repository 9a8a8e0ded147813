"""The rules: each boundary by itself, and what must hold whatever comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.errors import Refused, TransitionRefused
from repermit.rules import consent
from repermit.rules.consent import (
    Answer,
    Basis,
    CampaignState,
    Decision,
    Exclusion,
    Fate,
    Outcome,
    Reason,
    Status,
)

DEADLINE = datetime(2026, 3, 30, 21, 59, 59, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
AROUND = [DEADLINE - INSTANT, DEADLINE, DEADLINE + INSTANT]

moments = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001  hypothesis adds the zone
    max_value=datetime(2026, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)
statuses = st.sampled_from(Status)
bases = st.sampled_from(["", *Basis])


# --- Who may be asked. --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "basis", "suppressed", "asked_before", "include_thin", "expected"),
    [
        (Status.UNCONFIRMED, "", False, False, False, None),
        (Status.UNCONFIRMED, "", True, False, False, Exclusion.SUPPRESSED),
        (Status.UNCONFIRMED, "", False, True, False, Exclusion.ASKED_BEFORE),
        (Status.UNCONFIRMED, "", True, True, False, Exclusion.SUPPRESSED),
        (Status.REMOVED, "", True, True, True, Exclusion.REMOVED),
        (Status.REMOVED, "", False, False, False, Exclusion.REMOVED),
        (Status.CUSTOMER, Basis.CUSTOMER, False, False, True, Exclusion.CUSTOMER),
        (Status.CUSTOMER, Basis.CUSTOMER, False, True, False, Exclusion.CUSTOMER),
        (Status.CONFIRMED, Basis.ANSWER, False, False, True, Exclusion.CONFIRMED),
        (Status.CONFIRMED, Basis.ANSWER, False, True, True, Exclusion.CONFIRMED),
        (Status.CONFIRMED, Basis.IMPORTED, False, False, True, Exclusion.CONFIRMED),
        (Status.CONFIRMED, Basis.THIN, False, True, False, Exclusion.CONFIRMED),
        (Status.CONFIRMED, Basis.THIN, False, False, False, Exclusion.CONFIRMED),
        (Status.CONFIRMED, Basis.THIN, False, False, True, None),
        (Status.CONFIRMED, Basis.THIN, True, False, True, Exclusion.SUPPRESSED),
        (Status.CONFIRMED, Basis.THIN, False, True, True, Exclusion.ASKED_BEFORE),
    ],
)
def test_who_may_be_asked_and_why_others_may_not(
    *,
    status: Status,
    basis: str,
    suppressed: bool,
    asked_before: bool,
    include_thin: bool,
    expected: Exclusion | None,
) -> None:
    found = consent.exclusion(
        status,
        basis,
        suppressed=suppressed,
        asked_before=asked_before,
        include_thin=include_thin,
    )
    assert found is expected


@given(statuses, bases, st.booleans(), st.booleans(), st.booleans())
def test_nobody_removed_or_suppressed_or_asked_before_is_ever_asked(
    status: Status, basis: str, suppressed: bool, asked_before: bool, include_thin: bool
) -> None:
    found = consent.exclusion(
        status, basis, suppressed=suppressed, asked_before=asked_before, include_thin=include_thin
    )
    must_not = status is Status.REMOVED or suppressed or asked_before
    assert (found is not None) >= must_not


# --- What an answer does. -----------------------------------------------------------------------


def decide(
    answer: Answer,
    status: Status,
    *,
    reason: str = "",
    basis: str = "",
    arrived_at: datetime = DEADLINE - INSTANT,
    deadline: datetime | None = DEADLINE,
    by_file: bool = False,
) -> Decision:
    return consent.decide(
        answer,
        status,
        reason=reason,
        basis=basis,
        arrived_at=arrived_at,
        deadline=deadline,
        by_file=by_file,
    )


@pytest.mark.parametrize(
    ("arrived", "expected"),
    list(zip(AROUND, [Outcome.CONFIRM, Outcome.LATE, Outcome.LATE], strict=True)),
)
def test_a_yes_counts_until_the_deadline(arrived: datetime, expected: Outcome) -> None:
    assert decide(Answer.YES, Status.UNCONFIRMED, arrived_at=arrived) == Decision(expected)


@pytest.mark.parametrize("status", [Status.CUSTOMER, Status.REMOVED])
def test_a_yes_in_time_counts_whatever_was_before(status: Status) -> None:
    assert decide(Answer.YES, status, reason=Reason.NO).outcome is Outcome.CONFIRM


def test_a_yes_without_a_campaign_needs_a_sign_up() -> None:
    assert decide(Answer.YES, Status.UNCONFIRMED, deadline=None).outcome is Outcome.LATE


def test_a_second_yes_changes_nothing() -> None:
    assert decide(Answer.YES, Status.CONFIRMED, basis=Basis.ANSWER).outcome is Outcome.NOTHING


def test_a_yes_makes_a_thin_basis_a_good_one() -> None:
    assert decide(Answer.YES, Status.CONFIRMED, basis=Basis.THIN).outcome is Outcome.CONFIRM


@pytest.mark.parametrize("arrived", AROUND)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.UNCONFIRMED, Reason.NO),
        (Status.CONFIRMED, Reason.WITHDRAWN),
        (Status.CUSTOMER, Reason.WITHDRAWN),
    ],
)
def test_a_no_removes_at_any_time(status: Status, reason: Reason, arrived: datetime) -> None:
    expected = Decision(Outcome.REMOVE, reason)
    assert decide(Answer.NO, status, arrived_at=arrived) == expected


@pytest.mark.parametrize(
    ("arrived", "expected"),
    [
        (DEADLINE - INSTANT, Decision(Outcome.REMOVE, Reason.NO)),
        (DEADLINE, Decision(Outcome.NOTHING)),
        (DEADLINE + INSTANT, Decision(Outcome.NOTHING)),
    ],
)
def test_a_no_in_time_takes_the_place_of_no_response(arrived: datetime, expected: Decision) -> None:
    found = decide(Answer.NO, Status.REMOVED, reason=Reason.NO_RESPONSE, arrived_at=arrived)
    assert found == expected


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.NO_RESPONSE])
def test_a_no_from_somebody_removed_changes_nothing(reason: Reason) -> None:
    assert decide(Answer.NO, Status.REMOVED, reason=reason).outcome is Outcome.NOTHING


@pytest.mark.parametrize("arrived", AROUND)
@pytest.mark.parametrize("reason", Reason)
def test_a_no_counts_also_from_who_was_taken_off_by_a_file_alone(
    reason: Reason, arrived: datetime
) -> None:
    found = decide(Answer.NO, Status.REMOVED, reason=reason, arrived_at=arrived, by_file=True)
    assert found == Decision(Outcome.REMOVE, Reason.NO)


def test_a_yes_is_the_same_to_who_was_taken_off_by_a_file() -> None:
    found = decide(Answer.YES, Status.REMOVED, reason=Reason.REQUEST, by_file=True)
    assert found == Decision(Outcome.CONFIRM)


def test_without_a_word_of_it_no_file_took_anybody_off() -> None:
    found = consent.decide(
        Answer.NO, Status.REMOVED, reason="request", basis="", arrived_at=DEADLINE, deadline=None
    )
    assert found.outcome is Outcome.NOTHING


@given(
    answer=st.sampled_from(Answer),
    status=statuses,
    reason=st.sampled_from(["", *Reason]),
    basis=bases,
    arrived=moments,
    deadline=st.none() | moments,
    is_by_file=st.booleans(),
)
def test_every_answer_has_an_outcome_that_its_words_allow(
    *,
    answer: Answer,
    status: Status,
    reason: str,
    basis: str,
    arrived: datetime,
    deadline: datetime | None,
    is_by_file: bool,
) -> None:
    by_file = is_by_file and status is Status.REMOVED
    found = consent.decide(
        answer,
        status,
        reason=reason,
        basis=basis,
        arrived_at=arrived,
        deadline=deadline,
        by_file=by_file,
    )
    removes = found.outcome is Outcome.REMOVE
    assert removes == (found.reason is not None)
    if found.reason is not None:
        assert answer is Answer.NO
        consent.require_removal(status, found.reason, by_file=by_file)
    if found.outcome is Outcome.CONFIRM:
        assert (answer, deadline and arrived < deadline) == (Answer.YES, True)
    if answer is Answer.NO:
        assert removes or (status is Status.REMOVED and not by_file)


@pytest.mark.parametrize(
    ("status", "basis", "is_late"),
    [
        (Status.UNCONFIRMED, "", True),
        (Status.REMOVED, "", True),
        (Status.CONFIRMED, Basis.THIN, True),
        (Status.CONFIRMED, Basis.ANSWER, False),
    ],
)
def test_the_question_is_open_until_the_deadline_but_for_whoever_has_a_proof(
    status: Status, basis: str, is_late: bool
) -> None:
    found = [
        consent.is_too_late(status, basis, arrived_at=arrived, deadline=DEADLINE)
        for arrived in AROUND
    ]
    assert found == [False, is_late, is_late]
    assert consent.is_too_late(status, basis, arrived_at=DEADLINE, deadline=None) is is_late


# --- Removals. ----------------------------------------------------------------------------------

_ALLOWED = {
    (Status.UNCONFIRMED, Reason.NO),
    (Status.REMOVED, Reason.NO),
    (Status.UNCONFIRMED, Reason.NO_RESPONSE),
    (Status.CONFIRMED, Reason.WITHDRAWN),
    (Status.CUSTOMER, Reason.WITHDRAWN),
    (Status.REMOVED, Reason.BOUNCE),
    *product(
        (Status.UNCONFIRMED, Status.CONFIRMED, Status.CUSTOMER),
        (Reason.BOUNCE, Reason.COMPLAINT, Reason.REQUEST),
    ),
}


@pytest.mark.parametrize(("status", "reason"), sorted(_ALLOWED))
def test_a_removal_that_the_words_allow_is_let_through(status: Status, reason: Reason) -> None:
    consent.require_removal(status, reason)


@pytest.mark.parametrize(("status", "reason"), sorted({*product(Status, Reason)} - _ALLOWED))
def test_any_other_removal_is_refused(status: Status, reason: Reason) -> None:
    with pytest.raises(TransitionRefused) as refused:
        consent.require_removal(status, reason)
    assert str(refused.value) == (
        "this cannot be done any more: look at how this person stands now "
        f"({status}, not to be removed for {reason})"
    )


_OWN = {Reason.NO, Reason.COMPLAINT, Reason.REQUEST, Reason.BOUNCE}


@pytest.mark.parametrize("reason", sorted(_OWN))
def test_who_was_taken_off_by_a_file_alone_may_still_leave_by_themselves(reason: Reason) -> None:
    consent.require_removal(Status.REMOVED, reason, by_file=True)


@pytest.mark.parametrize("reason", sorted({*Reason} - _OWN))
def test_who_was_taken_off_by_a_file_neither_withdraws_nor_is_silent(reason: Reason) -> None:
    with pytest.raises(TransitionRefused):
        consent.require_removal(Status.REMOVED, reason, by_file=True)


@pytest.mark.parametrize(("status", "by_file"), list(product(Status, (False, True))))
def test_all_but_who_has_left_may_leave(status: Status, *, by_file: bool) -> None:
    assert consent.may_leave(status, by_file=by_file) is (by_file or status is not Status.REMOVED)


@pytest.mark.parametrize("include_thin", [False, True])
@pytest.mark.parametrize(
    ("status", "reason", "basis"), list(product(Status, ("", *Reason), ("", *Basis)))
)
def test_a_bounce_takes_off_who_owed_an_answer_and_nobody_who_gave_one(
    status: Status, reason: str, basis: str, include_thin: bool
) -> None:
    unreached = consent.is_unreached(status, reason=reason, basis=basis, include_thin=include_thin)
    assert unreached is (
        status is Status.UNCONFIRMED
        or (status, basis, include_thin) == (Status.CONFIRMED, Basis.THIN, True)
        or (status, reason) == (Status.REMOVED, Reason.NO_RESPONSE)
    )
    if unreached:
        consent.require_removal(status, Reason.BOUNCE)


def test_silence_removes_a_proof_that_is_thin_and_no_other() -> None:
    consent.require_removal(Status.CONFIRMED, Reason.NO_RESPONSE, basis=Basis.THIN)
    for basis in ("", Basis.ANSWER, Basis.SIGN_UP, Basis.IMPORTED):
        with pytest.raises(TransitionRefused):
            consent.require_removal(Status.CONFIRMED, Reason.NO_RESPONSE, basis=basis)


# --- Rows of a file. ----------------------------------------------------------------------------


@pytest.mark.parametrize("facts", list(product((False, True), repeat=4)))
def test_the_fate_is_the_strongest_of_what_a_row_says(facts: tuple[bool, ...]) -> None:
    fates = (Fate.OPTED_OUT, Fate.CONFIRMED, Fate.CUSTOMER, Fate.ROLE)
    known = [one for one, holds in zip(fates, facts, strict=True) if holds]
    strongest = min([*known, Fate.ASK], key=consent.STRENGTH.__getitem__)
    names = ("opted_out", "proven", "customer", "role")
    assert consent.choose_fate(**dict(zip(names, facts, strict=True))) is strongest


def test_fates_are_ranked_from_invalid_to_duplicate() -> None:
    order = "invalid suppressed opted_out confirmed customer role ask duplicate".split()
    assert sorted(Fate, key=consent.STRENGTH.__getitem__) == order
    assert consent.STRENGTH[Fate.INVALID] == 0


def test_bases_are_ranked_from_none_to_an_answer() -> None:
    order = ["", Basis.CUSTOMER, Basis.THIN, Basis.IMPORTED, Basis.SIGN_UP]
    for worse, better in pairwise(order):
        assert consent.is_better_basis(worse, better)
        assert not consent.is_better_basis(better, worse)
    assert not consent.is_better_basis(Basis.SIGN_UP, Basis.ANSWER)
    assert not consent.is_better_basis(Basis.ANSWER, Basis.SIGN_UP)


@given(bases, bases, bases)
def test_what_improves_is_an_order(first: str, second: str, third: str) -> None:
    assert not consent.is_better_basis(first, first)
    if consent.is_better_basis(first, second) and consent.is_better_basis(second, third):
        assert consent.is_better_basis(first, third)


def test_the_customer_basis_holds_where_its_conditions_are_attested() -> None:
    consent.require_customer_basis(sensitive=False, attested=True)


@pytest.mark.parametrize("attested", [True, False])
def test_a_sensitive_list_cannot_use_the_customer_basis(attested: bool) -> None:
    with pytest.raises(Refused) as refused:
        consent.require_customer_basis(sensitive=True, attested=attested)
    assert str(refused.value) == (
        "a sensitive list cannot have customers: being on it needs explicit consent (GDPR art. "
        "9(2)(a)); if a column was taken for that of customers, choose “not read” for it "
        "(--map customer=)"
    )


def test_the_customer_basis_must_be_attested() -> None:
    with pytest.raises(Refused) as refused:
        consent.require_customer_basis(sensitive=False, attested=False)
    assert str(refused.value) == (
        "there are customers in this file: say on what ground they may be mailed (--attest TEXT: "
        "each of them bought from this organisation, was told and offered a way out when the "
        "address was collected, and will be mailed about similar products only); if a column was "
        "taken for that of customers, --map customer= says it is not"
    )


# --- Campaigns. ---------------------------------------------------------------------------------

_LIVE = {
    CampaignState.SCHEDULED,
    CampaignState.SENDING,
    CampaignState.PAUSED,
    CampaignState.OPEN,
}
_ACTS = {
    "pause": _LIVE - {CampaignState.PAUSED},
    "resume": {CampaignState.PAUSED},
    "cancel": _LIVE,
    "extend": _LIVE,
    "close": {CampaignState.OPEN},
}


@pytest.mark.parametrize("state", CampaignState)
def test_a_campaign_is_live_from_its_launch_to_its_end(state: CampaignState) -> None:
    assert state.is_live == (state in _LIVE)


@pytest.mark.parametrize(
    ("act", "state"), [(act, state) for act, states in _ACTS.items() for state in sorted(states)]
)
def test_an_act_that_the_state_allows_is_let_through(act: str, state: CampaignState) -> None:
    consent.require_campaign(state, act)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (act, state)
        for act, states in _ACTS.items()
        for state in CampaignState
        if state not in states
    ],
)
def test_any_other_act_is_refused(act: str, state: CampaignState) -> None:
    with pytest.raises(TransitionRefused, match="this cannot be done now: the campaign "):
        consent.require_campaign(state, act)
