"""The consent record: header, processing, parties, events (ISO/IEC TS 27560:2023 §6.3).

It holds no address and no name: the person is a random subject in it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from repermit.settings.definitions import Organisation, Retention

RECORD_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#record"
"""The profile of a record, all of whose fields it has.

The profile for the GDPR (record-eu-gdpr) also needs the processing locations and geographic
restrictions of each purpose (guide §7.2). They are in the record of processing activities (art.
30(1)(e)), which the organisation fills in and changes; they are no evidence of what a person was
told.
"""

NO_REGISTER: Mapping[str, Sequence[str]] = {"storage_locations": (), "recipients": ()}
"""Without entries in the record of processing; the privacy notice may name them."""

_CONTROLLER = "controller"
_AUTHORITY = "authority"
# GDPR art. 77(1), for a controller that has named no authority.
_ANY_AUTHORITY = "the supervisory authority of the country where the person lives"
_ITS_ADDRESS = "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
_FOR_CUSTOMERS = "Directive 2002/58/EC art. 13(2)"
_OFFICER = "officer"
_ELSEWHERE = "as the privacy notice says"
_RIGHTS = "dpv:DataSubjectRight: GDPR art. 7(3), 15, 16, 17, 18, 20, 21, 77"
_AS_THE_FORM_SAYS = "as the text of the form says, whose digest is privacy_notice.form"
_NOT_KNOWN = "not known: nothing shows what the person was told"
_ALWAYS = (
    "one press on the page behind the link for No, which stands in every mail and works for ever; "
    "RFC 8058 one-click; or a reply"
)


@dataclass(frozen=True, kw_only=True)
class ConsentRecordInput:
    """The input of a consent record: one person's entries on a list, and the controller.

    - `entries`: the oldest first.
    - `controller`: the fields of the organisation.
    - `retention`: how long each kind of data is stored, see `describe_retention`.
    - `register`: the places and recipients in the record of processing, see `NO_REGISTER`; None for
      a proof from before proofs had them.
    """

    list: str
    subject: str
    entries: tuple[RecordedEntry, ...]
    controller: Mapping[str, str]
    retention: Mapping[str, str]
    register: Mapping[str, Sequence[str]] | None = field(default_factory=lambda: NO_REGISTER)

    @property
    def terms(self) -> Mapping[str, Any]:
        """Return what the person was told when they last said Yes, otherwise in their last entry.

        If nothing shows that the person was told about the list, return the list's data at that
        time under `unseen`.
        """
        shown = [entry.consent for entry in self.entries if "purpose" in entry.consent]
        unseen = [entry.consent for entry in self.entries if "unseen" in entry.consent]
        own_yes = [
            entry.consent for entry in self.entries if entry.event == "confirmed" and entry.consent
        ]
        return (own_yes or shown or unseen or [{}])[-1]

    @property
    def basis(self) -> str:
        """Return the basis in the terms; without one, as after a No, the last one recorded."""
        contents = (self.terms, *(content.consent for content in reversed(self.entries)))
        return str(next((content["basis"] for content in contents if "basis" in content), ""))


def compose_consent_record(record_input: ConsentRecordInput) -> dict[str, Any]:
    """Return one person's consent record; the same input always gives the same record."""
    return {
        "header": {
            "schema_version": RECORD_SCHEMA,
            "record_id": make_stable_id("record", record_input.list, record_input.subject),
            "pii_principal_id": record_input.subject,
        },
        "processing": _make_processing(record_input),
        "party": [*_list_parties(record_input), *_list_representatives(record_input)],
        "event": make_events(
            record_input.entries, principal=record_input.subject, controller=_CONTROLLER
        ),
    }


def describe_retention(retention: Retention) -> dict[str, str]:
    """Return how long each kind of data is stored, as ISO 8601 durations where they are known."""
    return {
        "pii": "until consent is withdrawn",
        "proof": f"P{retention.evidence_years}Y",
        "trace": f"P{retention.trace_days}D",
    }


def describe_controller(organisation: Organisation) -> dict[str, str]:
    """Return the fields of the organisation that a record shows, without empty ones."""
    return {name: value for name, value in vars(organisation).items() if value}


def make_stable_id(*words: str) -> str:
    """Return an identifier in the form that TS 27560 §6.3.3.3 recommends (UUID, version 4).

    It is derived from the words, so that the same record always has the same identifier.
    """
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _make_processing(record_input: ConsentRecordInput) -> dict[str, Any]:
    terms = record_input.terms
    is_sensitive = bool(terms.get("sensitive"))
    return {
        "privacy_notice": _make_notice(terms),
        "language": terms.get("unseen", terms).get("language", ""),
        "purposes": [
            {
                "purpose": _describe_purpose(terms),
                "purpose_type": "dpv:DirectMarketing",
                "service": " — ".join(
                    filter(
                        None, (terms.get("list_name", record_input.list), terms.get("frequency"))
                    )
                ),
                "lawful_basis": _list_lawful_bases(record_input, is_sensitive=is_sensitive),
                "pii_information": _list_personal_data(is_sensitive=is_sensitive),
                "pii_controllers": [_CONTROLLER],
                "collection_method": _describe_collection(terms),
                "processing_method": "dpv:Use: mailing what the purpose says to the address",
                "storage_locations": _read_register(record_input, "storage_locations"),
                "retention_period": dict(record_input.retention),
                "jurisdiction": "loc:EU",
                "recipient_third_parties": _read_register(record_input, "recipients"),
                "withdrawal_method": _ALWAYS,
                "privacy_rights": _RIGHTS,
                **({"authority_party": _AUTHORITY} if _has_authority(record_input) else {}),
            }
        ],
    }


def _read_register(record_input: ConsentRecordInput, name: str) -> list[str]:
    """Return what the record of processing says, or a reference to the privacy notice."""
    return list((record_input.register or NO_REGISTER)[name]) or [_ELSEWHERE]


def _has_authority(record_input: ConsentRecordInput) -> bool:
    return record_input.register is not None or bool(record_input.controller.get("authority"))


def _describe_purpose(terms: Mapping[str, Any]) -> str:
    """Return the purpose that the person was told, or that nothing shows which it was.

    The list's purpose at an import is not one that the person agreed to elsewhere before (GDPR art.
    6(1)(a): "for one or more specific purposes"). A customer has agreed to no purpose: it is the
    controller's own.
    """
    unseen = terms.get("unseen")
    if not unseen:
        return str(terms.get("purpose", ""))
    if terms.get("basis") == "customer":
        return str(unseen["purpose"])
    known = _AS_THE_FORM_SAYS if terms.get("wording") else _NOT_KNOWN
    return f"{known}; the list was for this when it was recorded: {unseen['purpose']}"


def _make_notice(terms: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return the notice's address, and the digests of the mail and pages as shown.

    `shown` is false if nothing says that the person saw the notice.
    """
    shown = {
        "mail": terms.get("mail_wording", ""),
        "page": terms.get("page_wording", ""),
        "form": terms.get("wording", ""),
    }
    return {
        "uri": terms.get("unseen", terms).get("privacy_url", ""),
        **({"shown": False} if "unseen" in terms else {}),
        **{name: digest for name, digest in shown.items() if digest},
    }


def _list_lawful_bases(record_input: ConsentRecordInput, *, is_sensitive: bool) -> list[str]:
    """Return the legal basis of the mails, in the vocabulary's terms for the GDPR.

    The basis for customers is not in the GDPR, and none is needed beside it (CJEU C-654/23);
    earlier proofs said art. 6(1)(f).
    """
    if record_input.register is None and record_input.terms.get("basis") == "customer":
        return ["eu-gdpr:A6-1-f"]
    if record_input.register is not None and record_input.basis == "customer":
        return [_FOR_CUSTOMERS]
    if is_sensitive:
        return ["eu-gdpr:A6-1-a-explicit-consent", "eu-gdpr:A9-2-a"]
    return ["eu-gdpr:A6-1-a-non-explicit-consent"]


def _list_personal_data(*, is_sensitive: bool) -> list[dict[str, Any]]:
    return [
        {
            "pii_type": kind,
            "pii_optional": optional,
            # Being on the list is what is sensitive, and each of these shows it.
            "sensitive_pii_category": is_sensitive,
            "special_pii_category": is_sensitive,
        }
        for kind, optional in (("pd:EmailAddress", False), ("pd:Name", True))
    ]


def _describe_collection(terms: Mapping[str, Any]) -> str:
    return {
        "page": "the person pressed a button on a page",
        "one_click": "the person pressed a button of their mail program (RFC 8058)",
        "note": "the person told the controller, by phone, letter or reply",
        "by_hand": "the controller entered it by hand, with what shows it",
        "": "not known",
    }.get(terms.get("method", ""), f"taken over from another tool: {terms.get('method')}")


def _list_parties(record_input: ConsentRecordInput) -> list[dict[str, str]]:
    """Return the parties (TS 27560 §6.3.6): the controller, its officer, the authority."""
    controller = record_input.controller
    parties = [
        {
            "party_id": _CONTROLLER,
            "party_name": controller.get("name", ""),
            "party_role": "dpv:DataController",
            "party_type": "dpv:Organisation",
            "party_address": controller.get("address", ""),
            "party_contact": controller.get("email") or controller.get("telephone", ""),
            **_keep_known(
                party_email=controller.get("email"),
                party_phone=controller.get("telephone"),
                party_url=controller.get("website"),
            ),
        }
    ]
    if officer := controller.get("officer"):
        parties.append(_make_party(_OFFICER, officer, "dpv:DataProtectionOfficer", officer))
    if authority := controller.get("authority"):
        url = controller.get("authority_url", "")
        parties.append(
            _make_party(_AUTHORITY, authority, "dpv:DataProtectionAuthority", url or authority)
            | _keep_known(party_url=url)
        )
    elif _has_authority(record_input):
        party = _make_party(_AUTHORITY, _ANY_AUTHORITY, "dpv:DataProtectionAuthority", _ITS_ADDRESS)
        parties.append(party | _keep_known(party_url=_ITS_ADDRESS))
    return parties


def _list_representatives(record_input: ConsentRecordInput) -> list[dict[str, str]]:
    """Return the party that answered for the person, without a name, which is not recorded."""
    if not any(entry.is_by_representative for entry in record_input.entries):
        return []
    name = "whoever said to be the legal representative of the person"
    return [_make_party(REPRESENTATIVE, name, "dpv:GuardianOfDataSubject", "through the person")]


def _make_party(number: str, name: str, role: str, contact: str) -> dict[str, str]:
    return {
        "party_id": number,
        "party_name": name,
        "party_role": role,
        "party_type": role,
        "party_address": contact,
        "party_contact": contact,
    }


def _keep_known(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


# --- The receipt: the record in the form for the person (ISO/IEC TS 27560:2023 §6.4). -------------


RECEIPT_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt"


def compose_receipt(
    record_input: ConsentRecordInput, *, withdrawal_url: str, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the receipt of the person's newest entry.

    - `withdrawal_url`: the person's own link for No, which takes one press.
    - `checkpoint`: the checkpoint at that time, which later shows whether the record was rewritten.
    """
    record = compose_consent_record(record_input)
    newest = record["event"][-1]
    return {
        "header": {
            "schema_version": RECEIPT_SCHEMA,
            "receipt_id": make_stable_id(
                "receipt", record_input.list, record_input.subject, newest["event_time"]
            ),
        },
        "consent_record": record,
        "withdrawal": {
            "url": withdrawal_url,
            "how": "open it and press once; a mail program may post to it instead (RFC 8058)",
        },
        "checkpoint": dict(checkpoint),
    }


# --- The events of a consent, in the states of the Data Privacy Vocabulary. -----------------------


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
"""The method of a removal after a reader of the mail said not to be the person meant."""

NOT_PRESSED, BOTH_PRESSED = "not_pressed", "both_pressed"
"""The methods of a removal after a Yes that came from a program.

When asked again, the reader said not to have pressed it, or both Yes and No were pressed.
"""

TAKEN_BACK = frozenset({NOT_PRESSED, BOTH_PRESSED})

SIGN_UP_UNDONE: Final = "sign_up_undone"
"""The event that restores the status from before the Yes of a sign-up that came from a program."""

REPRESENTATIVE: Final = "representative"
"""The value of `given_by` and the party id of a legal representative.

For somebody too young or under guardianship (GDPR art. 8(1); the Dutch UAVG, art. 5).
"""

_DECISIONS = frozenset({"removed", "confirmed", SIGN_UP_UNDONE})

ABOUT_AN_ASK = frozenset({"confirmed", "removed"})
"""Events whose `asked_at` says which ask was answered or not answered."""


@dataclass(frozen=True, kw_only=True)
class RecordedEntry:
    """The fields of an evidence entry that a consent record needs.

    - `at`: RFC 3339.
    - `consent`: the entry's part `consent`, empty if it was erased.
    """

    at: str
    event: str
    consent: Mapping[str, Any]

    @property
    def is_by_representative(self) -> bool:
        """Whether the answer was given by somebody who claims to be the legal representative."""
        return bool(self.consent.get("given_by") == REPRESENTATIVE)

    @property
    def happened_at(self) -> str:
        """When it happened: the arrival of an answer, or the time of an earlier sign-up.

        For a removal that was lost with a database and repeated after a restore: when the person
        left.
        """
        # A sign-up in another tool's file has its time under "at".
        known = (self.consent.get(name) for name in ("arrived_at", "left_at", "basis_at", "at"))
        return next(filter(None, known), self.at)


def make_events(
    entries: Iterable[RecordedEntry], *, principal: str, controller: str
) -> list[dict[str, str]]:
    """Return the events of a record (TS 27560 §6.3.7), the oldest first.

    - `event_state`: a dpv:ConsentStatus.
    - `event_type`: the kind of consent, explicit if the list is sensitive (GDPR art. 9(2)(a)),
      otherwise expressed.
    - `entity_id`: the party that acted: the person, their representative or the controller.
    """
    events: list[dict[str, str]] = []
    all_entries = tuple(entries)
    asked: set[str] = set()
    # The state after the last decision; another ask does not change it.
    decided = ""
    last_claim: Mapping[str, Any] = {}
    for entry, is_revoked in zip(all_entries, find_revoked_yes(all_entries), strict=True):
        asked_at = entry.consent.get("asked_at", "") if entry.event in ABOUT_AN_ASK else ""
        if asked_at and asked_at not in asked:
            asked.add(asked_at)
            until = entry.consent.get("deadline") or "none"
            events.append(
                _make_event(entry, at=asked_at, state=REQUESTED, entity=controller, validity=until)
            )
        state = _find_state_after(entry, decided) or _find_state_after_undo(
            entry, last_claim, decided
        )
        # A Yes from a program is no consent, and was none before that was known.
        if state and not is_revoked:
            person = REPRESENTATIVE if entry.is_by_representative else principal
            entity = person if _is_by_the_person(entry) else controller
            validity = "until withdrawn" if state in _HOLDS else "none"
            events.append(
                _make_event(
                    entry, at=entry.happened_at, state=state, entity=entity, validity=validity
                )
            )
            decided = state
        if entry.event == "confirmed":
            last_claim = entry.consent
    return events


def find_revoked_yes(entries: Sequence[RecordedEntry]) -> list[bool]:
    """Return, for each entry, whether a later decision says that this Yes was not the person's."""
    is_revoked = []
    is_next_revoking = False
    for entry in reversed(entries):
        is_revoked.append(is_next_revoking and entry.event == "confirmed")
        if entry.event in _DECISIONS:
            is_next_revoking = (
                entry.event == SIGN_UP_UNDONE or entry.consent.get("method") in TAKEN_BACK
            )
    return is_revoked[::-1]


def get_latest_state(events: Sequence[Mapping[str, str]]) -> str:
    """Return the consent's state after the last event; "" without events."""
    return events[-1]["event_state"] if events else ""


def _find_state_after(entry: RecordedEntry, before: str) -> str:
    """Return the state after an entry; "" if the entry does not change it."""
    if entry.event == "confirmed":
        return RENEWED if before in _HOLDS else GIVEN
    if entry.event == "opted_out":
        return REFUSED
    if entry.event != "removed":
        return ""
    reason, holds = entry.consent.get("reason", ""), before in _HOLDS
    if not _is_by_the_person(entry):
        return REVOKED if holds and reason else UNKNOWN
    # A customer withdraws, too, without ever having consented.
    return WITHDRAWN if holds or reason == "withdrawn" else REFUSED


def _find_state_after_undo(entry: RecordedEntry, last_claim: Mapping[str, Any], before: str) -> str:
    """Return the state after an import was undone; "" unless the consent came from that import.

    A contact that is still confirmed was so before the import. If the entry's part was erased, so
    was the part with what the import claimed.
    """
    if before not in _HOLDS or entry.event not in _TAKING_BACK:
        return ""
    if entry.event == "erased" and "imported_at" not in entry.consent:
        return ""
    if entry.consent.get("status") == "confirmed":
        return ""
    return "" if not entry.consent and last_claim else REVOKED


def _is_by_the_person(entry: RecordedEntry) -> bool:
    """Say whether an entry records an act of the person.

    A reader who is not the person meant, or a program, can neither refuse nor withdraw for the
    person: there, the controller no longer relies on the earlier answer.
    """
    if entry.event != "removed":
        return entry.event not in _TAKING_BACK
    reason = entry.consent.get("reason")
    if entry.consent.get("method") in {NOT_THE_PERSON, *TAKEN_BACK}:
        return False
    # A journal, or another system's suppressions, do not say whether the person asked for it.
    return reason in _BY_THE_PERSON and not (reason == "request" and "by" in entry.consent)


def _make_event(
    entry: RecordedEntry, *, at: str, state: str, entity: str, validity: str
) -> dict[str, str]:
    explicit = "dpv:ExplicitlyExpressedConsent"
    return {
        "event_time": at,
        "validity_duration": validity,
        "entity_id": entity,
        "event_type": explicit if entry.consent.get("sensitive") else "dpv:ExpressedConsent",
        "event_state": state,
    }
