"""Consent records and receipts: what they say, and that they are of the published form."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.evidence import consent_receipt
from repermit.evidence.consent_receipt import ConsentRecordInput, RecordedEntry
from repermit.settings.definitions import Retention
from tests.support.builders import make_organisation
from tests.support.operation_count import grows_linearly
from tests.support.published_schemas import problems_of

SUBJECT = "0123456789abcdef" * 2
ASKED = "2026-03-02T09:00:01+00:00"
ANSWERED = "2026-03-03T09:00:00+00:00"
TOLD: dict[str, Any] = {
    "answer": "yes",
    "basis": "answer",
    "method": "page",
    "arrived_at": ANSWERED,
    "asked_at": ASKED,
    "deadline": "2026-03-30T09:00:00+00:00",
    "mail_wording": "a" * 64,
    "page_wording": "b" * 64,
    "language": "nl",
    "list_name": "Nieuws",
    "purpose": "Nieuws over onze praktijk",
    "frequency": "vier keer per jaar",
    "privacy_url": "https://www.example.org/privacy",
    "sensitive": False,
}
CHECKPOINT = {"seq": 7, "hash": "c" * 64, "root": "d" * 64}


def said(event: str, at: str = ANSWERED, **told: Any) -> RecordedEntry:
    return RecordedEntry(at=at, event=event, consent=told)


def account(*entries: RecordedEntry, **organisation: Any) -> ConsentRecordInput:
    return ConsentRecordInput(
        list="news",
        subject=SUBJECT,
        entries=entries or (said("confirmed", **TOLD),),
        controller=consent_receipt.describe_controller(make_organisation(**organisation)),
        retention=consent_receipt.describe_retention(Retention()),
    )


def events(*entries: RecordedEntry) -> list[tuple[str, str]]:
    """Return when a consent came into which state, and by whom."""
    found = consent_receipt.make_events(entries, principal="person", controller="us")
    return [(one["event_state"].removeprefix("dpv:"), one["entity_id"]) for one in found]


def test_a_record_has_the_published_form_and_says_what_was_agreed() -> None:
    record = consent_receipt.compose_consent_record(account())
    assert not problems_of(record, "consent-record")
    assert record["header"]["pii_principal_id"] == SUBJECT
    assert record["processing"]["privacy_notice"] == {
        "uri": "https://www.example.org/privacy",
        "mail": "a" * 64,
        "page": "b" * 64,
    }
    (purpose,) = record["processing"]["purposes"]
    assert (purpose["purpose"], purpose["service"], purpose["lawful_basis"]) == (
        "Nieuws over onze praktijk",
        "Nieuws — vier keer per jaar",
        ["eu-gdpr:A6-1-a-non-explicit-consent"],
    )
    assert purpose["retention_period"]["proof"] == "P5Y"
    assert [(one["party_id"], one["party_name"]) for one in record["party"]] == [
        ("controller", "Praktijk De Linde"),
        ("officer", "privacy@example.org"),
        ("authority", "Autoriteit Persoonsgegevens"),
    ]
    assert record["event"] == [
        {
            "event_time": ASKED,
            "validity_duration": "2026-03-30T09:00:00+00:00",
            "entity_id": "controller",
            "event_type": "dpv:ExpressedConsent",
            "event_state": "dpv:ConsentRequested",
        },
        {
            "event_time": ANSWERED,
            "validity_duration": "until withdrawn",
            "entity_id": SUBJECT,
            "event_type": "dpv:ExpressedConsent",
            "event_state": "dpv:ConsentGiven",
        },
    ]


OF_THE_GDPR = {
    "lawful_basis", "collection_method", "processing_method", "processing_locations",
    "geographic_restrictions", "privacy_rights", "authority_party",
}  # fmt: skip
"""What the guide's table (§7.2) calls mandatory for the GDPR of a purpose, and optional for ISO."""


def test_a_record_claims_only_the_profile_whose_fields_it_has() -> None:
    record = consent_receipt.compose_consent_record(account())
    (purpose,) = record["processing"]["purposes"]
    is_whole = set(purpose) >= OF_THE_GDPR
    claim = record["header"]["schema_version"].rpartition("#")[2]
    assert claim == ("record-eu-gdpr" if is_whole else "record")


def test_a_yes_on_a_sensitive_list_is_explicit_consent() -> None:
    record = consent_receipt.compose_consent_record(
        account(said("confirmed", **{**TOLD, "sensitive": True}))
    )
    assert not problems_of(record, "consent-record")
    (purpose,) = record["processing"]["purposes"]
    assert purpose["lawful_basis"] == ["eu-gdpr:A6-1-a-explicit-consent", "eu-gdpr:A9-2-a"]
    assert all(one["special_pii_category"] for one in purpose["pii_information"])
    assert record["event"][-1]["event_type"] == "dpv:ExplicitlyExpressedConsent"


def test_an_authority_is_always_named() -> None:
    record = consent_receipt.compose_consent_record(account(authority="", authority_url=""))
    assert not problems_of(record, "consent-record")
    (purpose,) = record["processing"]["purposes"]
    assert purpose["authority_party"] in {one["party_id"] for one in record["party"]}


def test_who_answers_for_somebody_else_is_a_party_of_its_own() -> None:
    by_them = {"given_by": consent_receipt.REPRESENTATIVE}
    entries = (
        said("confirmed", **{**TOLD, **by_them}),
        said("removed", reason="withdrawn", arrived_at="2026-03-04T09:00:00+00:00"),
        said("removed", reason="no_response", **by_them),
    )
    record = consent_receipt.compose_consent_record(account(*entries))
    assert not problems_of(record, "consent-record")
    assert record["party"][-1]["party_role"] == "dpv:GuardianOfDataSubject"
    assert [one["entity_id"] for one in record["event"]] == [
        "controller",
        "representative",
        SUBJECT,
        "controller",
    ]


def test_an_organisation_of_few_words_still_makes_a_record_of_the_form() -> None:
    bare = account(officer="", authority="", authority_url="", website="", email="")
    record = consent_receipt.compose_consent_record(bare)
    assert not problems_of(record, "consent-record")
    assert record["party"][0]["party_contact"] == "+31 30 123 45 67"


def test_an_authority_without_an_address_is_named() -> None:
    record = consent_receipt.compose_consent_record(account(authority_url=""))
    assert not problems_of(record, "consent-record")
    assert record["party"][-1]["party_contact"] == "Autoriteit Persoonsgegevens"


@pytest.mark.parametrize(
    ("reason", "after_a_yes", "without_one"),
    [
        ("no", "ConsentWithdrawn", "ConsentRefused"),
        ("withdrawn", "ConsentWithdrawn", "ConsentWithdrawn"),
        ("request", "ConsentWithdrawn", "ConsentRefused"),
        ("complaint", "ConsentWithdrawn", "ConsentRefused"),
        ("no_response", "ConsentRevoked", "ConsentUnknown"),
        ("bounce", "ConsentRevoked", "ConsentUnknown"),
        ("", "ConsentUnknown", "ConsentUnknown"),
    ],
)
def test_a_removal_ends_or_refuses_a_consent_by_its_reason(
    reason: str, after_a_yes: str, without_one: str
) -> None:
    removed = said("removed", reason=reason)
    by = "person" if reason in {"no", "withdrawn", "request", "complaint"} else "us"
    assert events(said("confirmed"), removed)[-1] == (after_a_yes, by)
    assert events(removed) == [(without_one, by)]


def test_a_consent_that_is_given_again_is_renewed_and_one_after_a_no_is_new() -> None:
    yes, no = said("confirmed"), said("removed", reason="withdrawn")
    assert [state for state, _ in events(yes, yes, no, yes)] == [
        "ConsentGiven",
        "RenewedConsentGiven",
        "ConsentWithdrawn",
        "ConsentGiven",
    ]


def test_who_is_not_the_person_meant_neither_refuses_nor_withdraws() -> None:
    """DPV: Revoked is by another than the data subject; Unknown is what cannot be trusted."""
    mistaken = said("removed", reason="request", method="not_the_person")
    assert events(mistaken) == [("ConsentUnknown", "us")]
    assert events(said("confirmed"), mistaken)[-1] == ("ConsentRevoked", "us")
    assert events(said("confirmed"), said("not_the_person")) == [("ConsentGiven", "person")]


@pytest.mark.parametrize("method", ["not_pressed", "both_pressed"])
def test_a_yes_that_was_no_persons_is_told_as_no_consent(method: str) -> None:
    """GDPR art. 4(11): consent is the person's own clear act."""
    yes, back = said("confirmed"), said("removed", reason="request", method=method)
    assert events(yes, said("not_the_person"), back) == [("ConsentUnknown", "us")]
    # What had been said before, and is said later, is the person's.
    assert [state for state, _ in events(yes, yes, back, yes)] == [
        "ConsentGiven",
        "ConsentRevoked",
        "ConsentGiven",
    ]


@pytest.mark.parametrize("by", ["restored", "suppressions"])
def test_a_request_of_which_a_journal_tells_may_have_been_somebody_elses(by: str) -> None:
    """A journal notes `request` also of who is not the person meant."""
    again = said("removed", reason="request", by=by)
    assert events(said("confirmed"), again)[-1] == ("ConsentRevoked", "us")
    assert events(again) == [("ConsentUnknown", "us")]
    assert events(said("removed", reason="no", by=by)) == [("ConsentRefused", "person")]


@pytest.mark.parametrize(
    ("answers", "states"),
    [
        ("yes yes", ["ConsentGiven", "RenewedConsentGiven"]),
        ("yes no", ["ConsentGiven", "ConsentWithdrawn"]),
        ("no no", ["ConsentRefused", "ConsentRefused"]),
        ("no yes", ["ConsentRefused", "ConsentGiven"]),
    ],
)
def test_being_asked_again_does_not_undo_what_was_said_before(
    answers: str, states: list[str]
) -> None:
    entries = [
        said("confirmed", asked_at=f"2026-03-0{day}")
        if answer == "yes"
        else said("removed", reason="no", asked_at=f"2026-03-0{day}")
        for day, answer in enumerate(answers.split(), start=1)
    ]
    first, second = states
    found = [state for state, _ in events(*entries)]
    assert found == ["ConsentRequested", first, "ConsentRequested", second]


STEPS = {
    # What happens, as an entry of the record; the state after a consent, and without one.
    "yes": (said("confirmed"), "RenewedConsentGiven", "ConsentGiven"),
    "no": (said("removed", reason="no"), "ConsentWithdrawn", "ConsentRefused"),
    "silence": (said("removed", reason="no_response"), "ConsentRevoked", "ConsentUnknown"),
    "mistaken": (
        said("removed", reason="request", method="not_the_person"),
        "ConsentRevoked",
        "ConsentUnknown",
    ),
    # As it was written before 0.1.0, when a correction had a moment by this name.
    "corrected": (said("corrected", asked_at="2026-02-01", fields=["address"]), "", ""),
    "proved": (said("proved"), "", ""),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans()), max_size=12))
def test_whatever_was_asked_and_said_the_states_follow_from_the_last_decision(
    steps: list[tuple[str, bool]],
) -> None:
    entries, expected, holds, asks = [], [], False, 0
    for name, is_asked_anew in steps:
        entry, after_consent, without = STEPS[name]
        told = dict(entry.consent)
        if after_consent:
            asks += is_asked_anew
            told["asked_at"] = f"2026-03-{asks:02}" if asks else ""
            if asks and f"ask {asks}" not in expected:
                expected.append(f"ask {asks}")
            expected.append(after_consent if holds else without)
            holds = name == "yes"
        entries.append(RecordedEntry(at=entry.at, event=entry.event, consent=told))
    found = consent_receipt.make_events(entries, principal="person", controller="us")
    asked = "dpv:ConsentRequested"
    assert expected == [
        f"ask {int(one['event_time'][-2:])}"
        if one["event_state"] == asked
        else one["event_state"].removeprefix("dpv:")
        for one in found
    ]
    assert {one["entity_id"] for one in found if one["event_state"] == asked} <= {"us"}


@pytest.mark.parametrize(
    "one",
    [
        said("confirmed"),
        said("removed", reason="no"),
        said("proved"),
        said("removed", reason="request", method="not_pressed"),
        said("import_undone"),
    ],
)
def test_a_record_takes_time_by_the_number_of_entries_alone(one: RecordedEntry) -> None:
    """Whoever presses Yes and No in turn has thousands."""

    def make(count: int) -> None:
        asked = (said("confirmed", asked_at=f"2026-03-02T09:00:{n}") for n in range(count))
        events(*(entry for pair in zip(asked, [one] * count, strict=True) for entry in pair))
        events(*[one] * count)

    assert grows_linearly(make)


GIVEN = ("ConsentGiven", "person")
CLAIM = said("confirmed", basis="file", imported_at="2026-03-01")
UNDONE = {"imported_at": "2026-03-01", "file": "f" * 64}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # Whom the file brought, and of whom nothing stands but that it was taken back.
        ((CLAIM, said("erased", **UNDONE)), [GIVEN, ("ConsentRevoked", "us")]),
        # Who is a customer again, or has not been asked.
        (
            (CLAIM, said("import_undone", status="unconfirmed", **UNDONE)),
            [GIVEN, ("ConsentRevoked", "us")],
        ),
        # Who had said Yes before the file claimed it.
        (
            (said("confirmed", **TOLD), CLAIM, said("import_undone", status="confirmed", **UNDONE)),
            [("ConsentRequested", "us"), GIVEN, ("RenewedConsentGiven", "person")],
        ),
        # The same, years later, when what the file had said is held no longer.
        (
            (said("confirmed", **TOLD), said("import_undone")),
            [("ConsentRequested", "us"), GIVEN],
        ),
        ((said("confirmed"), said("import_undone")), [GIVEN, ("ConsentRevoked", "us")]),
        # An erasure that takes no file back says nothing of a consent; nor does a file without one.
        ((CLAIM, said("erased", seqs=[1])), [GIVEN]),
        ((said("import_undone", status="unconfirmed", **UNDONE),), []),
    ],
)
def test_a_claim_whose_file_was_taken_back_is_no_consent_that_holds(
    entries: tuple[RecordedEntry, ...], expected: list[tuple[str, str]]
) -> None:
    assert events(*entries) == expected


def test_a_withdrawn_record_keeps_the_times_of_the_consent() -> None:
    later = "2029-03-03T09:00:00+00:00"
    gone = said("removed", **{**TOLD, "reason": "withdrawn", "arrived_at": later})
    record = consent_receipt.compose_consent_record(account(said("confirmed", **TOLD), gone))
    assert not problems_of(record, "consent-record")
    assert [(one["event_state"], one["event_time"]) for one in record["event"]] == [
        ("dpv:ConsentRequested", ASKED),
        ("dpv:ConsentGiven", ANSWERED),
        ("dpv:ConsentWithdrawn", later),
    ]


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ({"arrived_at": ASKED}, ASKED),
        ({"left_at": ASKED}, ASKED),
        ({"basis_at": ASKED}, ASKED),
        ({"at": ASKED}, ASKED),
        ({}, ANSWERED),
    ],
)
def test_what_is_recorded_later_counts_from_when_it_happened(told: dict[str, str], at: str) -> None:
    assert said("confirmed", **told).happened_at == at


def test_acts_that_are_not_about_consent_are_no_events() -> None:
    assert events(said("erased"), said("proved"), said("customer", basis="customer")) == []
    assert events(said("opted_out")) == [("ConsentRefused", "person")]


@pytest.mark.parametrize(
    ("told", "collected"),
    [
        ({"method": "one_click"}, "the person pressed a button of their mail program (RFC 8058)"),
        ({"method": "note"}, "the person told the controller, by phone, letter or reply"),
        ({"method": "by_hand"}, "the controller entered it by hand, with what shows it"),
        ({"method": "web form (X)"}, "taken over from another tool: web form (X)"),
        ({}, "not known"),
    ],
)
def test_a_record_says_how_the_consent_was_collected(told: dict[str, str], collected: str) -> None:
    record = consent_receipt.compose_consent_record(
        account(said("confirmed", purpose="News", **told))
    )
    assert record["processing"]["purposes"][0]["collection_method"] == collected


def test_a_customer_is_mailed_on_the_rule_for_customers_alone() -> None:
    customer = said("customer", purpose="News", basis="customer")
    assert ground_of(customer) == ["Directive 2002/58/EC art. 13(2)"]


UNSEEN = {
    "language": "nl",
    "purpose": "News",
    "frequency": "",
    "privacy_url": "https://www.example.org/privacy",
}


@pytest.mark.parametrize(
    ("told", "purpose"),
    [
        ({"basis": "thin", "wording": ""}, "not known: nothing shows what the person was told"),
        ({"basis": "imported", "wording": "c" * 64}, "as the text of the form says, whose digest"),
    ],
)
def test_an_opt_in_that_was_taken_over_is_not_told_with_todays_purpose(
    told: dict[str, Any], purpose: str
) -> None:
    record = consent_receipt.compose_consent_record(
        account(said("confirmed", list_name="Nieuws", unseen=UNSEEN, **told))
    )
    assert not problems_of(record, "consent-record")
    assert record["processing"]["purposes"][0]["purpose"].startswith(purpose)
    assert record["processing"]["privacy_notice"]["shown"] is False


def test_a_customer_who_said_no_stays_on_the_ground_that_their_entry_had() -> None:
    customer = said("customer", basis="customer", unseen=UNSEEN)
    no = said("removed", purpose="News", reason="withdrawn", answer="no")
    assert ground_of(customer, no) == ["Directive 2002/58/EC art. 13(2)"]
    no_longer = said("import_undone", status="unconfirmed", basis="")
    assert ground_of(customer, no_longer, no) == ["eu-gdpr:A6-1-a-non-explicit-consent"]
    assert ground_of(no) == ["eu-gdpr:A6-1-a-non-explicit-consent"]


def ground_of(*entries: RecordedEntry) -> list[str]:
    record = consent_receipt.compose_consent_record(account(*entries))
    (purpose,) = record["processing"]["purposes"]
    return list(purpose["lawful_basis"])


def test_a_customers_purpose_is_the_controllers_own() -> None:
    record = consent_receipt.compose_consent_record(
        account(said("customer", basis="customer", unseen=UNSEEN))
    )
    assert record["processing"]["purposes"][0]["purpose"] == "News"


def test_what_was_told_counts_before_what_was_not_seen() -> None:
    told = {**TOLD, "reason": "bounce"}
    record = consent_receipt.compose_consent_record(
        account(said("removed", **told), said("removed", reason="request", unseen=UNSEEN))
    )
    assert record["processing"]["purposes"][0]["purpose"] == TOLD["purpose"]
    assert "shown" not in record["processing"]["privacy_notice"]


def test_a_record_of_which_the_terms_are_held_no_longer_says_so_by_silence() -> None:
    record = consent_receipt.compose_consent_record(account(said("confirmed")))
    assert record["processing"]["purposes"][0]["purpose"] == ""
    assert record["event"][0]["event_state"] == "dpv:ConsentGiven"


def make_receipt() -> dict[str, Any]:
    url = "https://ask.example.org/no/token"
    return consent_receipt.compose_receipt(account(), withdrawal_url=url, checkpoint=CHECKPOINT)


def test_a_receipt_has_the_published_form_the_way_to_withdraw_and_the_checkpoint() -> None:
    made = make_receipt()
    assert not problems_of(made, "consent-receipt")
    assert made == make_receipt()
    assert made["withdrawal"]["url"] == "https://ask.example.org/no/token"
    assert made["checkpoint"] == CHECKPOINT
    assert made["consent_record"] == consent_receipt.compose_consent_record(account())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where each field of a document stands."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(key, str):
            yield (*path, key)
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))


OPTIONAL = {
    "lawful_basis", "purpose_type", "service", "collection_method", "processing_method",
    "privacy_rights", "authority_party", "pii_optional", "sensitive_pii_category",
    "special_pii_category", "party_email", "party_url", "party_phone", "party_role", "mail", "page",
}  # fmt: skip


@pytest.mark.parametrize(
    "path", [*places(make_receipt())], ids=lambda path: ".".join(map(str, path))
)
def test_the_schemas_want_each_mandatory_field(path: tuple[Any, ...]) -> None:
    lacking = copy.deepcopy(make_receipt())
    inner: Any = lacking
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    assert bool(problems_of(lacking, "consent-receipt")) == (path[-1] not in OPTIONAL)
    inner["more"] = "than is published"
    assert problems_of(lacking, "consent-receipt")
