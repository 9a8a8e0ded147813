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
"""The profile whose fields it has all of.

That for the GDPR (record-eu-gdpr) also wants the processing locations and geographic restrictions
of each purpose (guide §7.2): these the record of processing activities has (art. 30(1)(e)), as the
organisation fills it in and changes it, and no evidence of what a person was told.
"""

NO_REGISTER: Mapping[str, Sequence[str]] = {"storage_locations": (), "recipients": ()}
"""Of which nothing has been said: the privacy notice says it, or nobody does."""

_CONTROLLER = "controller"
_AUTHORITY = "authority"
# GDPR art. 77(1), for whom the controller has named none.
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
    """What a consent record is made from: one person's entries on a list, and the controller.

    - `entries`: the oldest first.
    - `controller`: the fields of the organisation.
    - `retention`: how long each part is stored, see `describe_retention`.
    - `register`: the places and recipients that the record of processing names, see `NO_REGISTER`;
      None for a proof from before it was part of one.
    """

    list: str
    subject: str
    entries: tuple[RecordedEntry, ...]
    controller: Mapping[str, str]
    retention: Mapping[str, str]
    register: Mapping[str, Sequence[str]] | None = field(default_factory=lambda: NO_REGISTER)

    @property
    def terms(self) -> Mapping[str, Any]:
        """Return what the person was told when they last answered, or before that.

        Of whom nothing shows that anybody told them of the list, that is what the list was then,
        under `unseen`.
        """
        told = [one.told for one in self.entries if "purpose" in one.told]
        unseen = [one.told for one in self.entries if "unseen" in one.told]
        consents = [one.told for one in self.entries if one.event == "confirmed" and one.told]
        return (consents or told or unseen or [{}])[-1]

    @property
    def basis(self) -> str:
        """Return the basis of the terms; where they tell none, as a No, the last that was told."""
        told = (self.terms, *(one.told for one in reversed(self.entries)))
        return str(next((one["basis"] for one in told if "basis" in one), ""))


def consent_record(account: ConsentRecordInput) -> dict[str, Any]:
    """Return one person's consent record; the same account always gives the same record."""
    return {
        "header": {
            "schema_version": RECORD_SCHEMA,
            "record_id": stable_id("record", account.list, account.subject),
            "pii_principal_id": account.subject,
        },
        "processing": _processing(account),
        "party": [*_parties(account), *_representatives(account)],
        "event": make_events(account.entries, principal=account.subject, controller=_CONTROLLER),
    }


def describe_retention(retention: Retention) -> dict[str, str]:
    """Return how long what is kept, as durations of ISO 8601 where they are known."""
    return {
        "pii": "until consent is withdrawn",
        "proof": f"P{retention.evidence_years}Y",
        "trace": f"P{retention.trace_days}D",
    }


def describe_controller(organisation: Organisation) -> dict[str, str]:
    """Return what a record says of the organisation."""
    return {name: value for name, value in vars(organisation).items() if value}


def stable_id(*words: str) -> str:
    """Return an identifier of the form that TS 27560 §6.3.3.3 recommends (UUID, version 4).

    It is drawn from the words, so that the same record is called the same each time.
    """
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _processing(account: ConsentRecordInput) -> dict[str, Any]:
    terms = account.terms
    is_sensitive = bool(terms.get("sensitive"))
    return {
        "privacy_notice": _notice(terms),
        "language": terms.get("unseen", terms).get("language", ""),
        "purposes": [
            {
                "purpose": _purpose(terms),
                "purpose_type": "dpv:DirectMarketing",
                "service": " — ".join(
                    filter(None, (terms.get("list_name", account.list), terms.get("frequency")))
                ),
                "lawful_basis": _lawful_basis(account, is_sensitive=is_sensitive),
                "pii_information": _personal_data(is_sensitive=is_sensitive),
                "pii_controllers": [_CONTROLLER],
                "collection_method": _collected(terms),
                "processing_method": "dpv:Use: mailing what the purpose says to the address",
                "storage_locations": _registered(account, "storage_locations"),
                "retention_period": dict(account.retention),
                "jurisdiction": "loc:EU",
                "recipient_third_parties": _registered(account, "recipients"),
                "withdrawal_method": _ALWAYS,
                "privacy_rights": _RIGHTS,
                **({"authority_party": _AUTHORITY} if _has_authority(account) else {}),
            }
        ],
    }


def _registered(account: ConsentRecordInput, name: str) -> list[str]:
    """Return what the record of processing says, or else where it stands."""
    return list((account.register or NO_REGISTER)[name]) or [_ELSEWHERE]


def _has_authority(account: ConsentRecordInput) -> bool:
    return account.register is not None or bool(account.controller.get("authority"))


def _purpose(terms: Mapping[str, Any]) -> str:
    """Return what the person was told that it is for, or that nothing shows what that was.

    What the list says at the time of an import is no purpose that anybody has agreed to elsewhere
    before (GDPR art. 6(1)(a): "for one or more specific purposes"). Who is on the list as a
    customer has not agreed to any: the purpose is the controller's own.
    """
    unseen = terms.get("unseen")
    if not unseen:
        return str(terms.get("purpose", ""))
    if terms.get("basis") == "customer":
        return str(unseen["purpose"])
    known = _AS_THE_FORM_SAYS if terms.get("wording") else _NOT_KNOWN
    return f"{known}; the list was for this when it was recorded: {unseen['purpose']}"


def _notice(terms: Mapping[str, Any]) -> dict[str, str | bool]:
    """Return where the notice stands: its address, and the digests of mail and page as shown.

    `shown` is false where nothing says that the person was shown it.
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


def _lawful_basis(account: ConsentRecordInput, *, is_sensitive: bool) -> list[str]:
    """Return the ground on which the mails are sent, in the vocabulary's terms for the GDPR.

    That for customers is no ground of the GDPR, and none is needed beside it (CJEU C-654/23);
    proofs from before said art. 6(1)(f).
    """
    if account.register is None and account.terms.get("basis") == "customer":
        return ["eu-gdpr:A6-1-f"]
    if account.register is not None and account.basis == "customer":
        return [_FOR_CUSTOMERS]
    if is_sensitive:
        return ["eu-gdpr:A6-1-a-explicit-consent", "eu-gdpr:A9-2-a"]
    return ["eu-gdpr:A6-1-a-non-explicit-consent"]


def _personal_data(*, is_sensitive: bool) -> list[dict[str, Any]]:
    return [
        {
            "pii_type": kind,
            "pii_optional": optional,
            # What tells is the list that somebody is on, and with it each of these.
            "sensitive_pii_category": is_sensitive,
            "special_pii_category": is_sensitive,
        }
        for kind, optional in (("pd:EmailAddress", False), ("pd:Name", True))
    ]


def _collected(terms: Mapping[str, Any]) -> str:
    return {
        "page": "the person pressed a button on a page",
        "one_click": "the person pressed a button of their mail program (RFC 8058)",
        "note": "the person told the controller, by phone, letter or reply",
        "by_hand": "the controller entered it by hand, with what shows it",
        "": "not known",
    }.get(terms.get("method", ""), f"taken over from another tool: {terms.get('method')}")


def _parties(account: ConsentRecordInput) -> list[dict[str, str]]:
    """Return the parties (TS 27560 §6.3.6): the controller, its officer, the authority."""
    controller = account.controller
    parties = [
        {
            "party_id": _CONTROLLER,
            "party_name": controller.get("name", ""),
            "party_role": "dpv:DataController",
            "party_type": "dpv:Organisation",
            "party_address": controller.get("address", ""),
            "party_contact": controller.get("email") or controller.get("telephone", ""),
            **_known(
                party_email=controller.get("email"),
                party_phone=controller.get("telephone"),
                party_url=controller.get("website"),
            ),
        }
    ]
    if officer := controller.get("officer"):
        parties.append(_other(_OFFICER, officer, "dpv:DataProtectionOfficer", officer))
    if authority := controller.get("authority"):
        url = controller.get("authority_url", "")
        parties.append(
            _other(_AUTHORITY, authority, "dpv:DataProtectionAuthority", url or authority)
            | _known(party_url=url)
        )
    elif _has_authority(account):
        made = _other(_AUTHORITY, _ANY_AUTHORITY, "dpv:DataProtectionAuthority", _ITS_ADDRESS)
        parties.append(made | _known(party_url=_ITS_ADDRESS))
    return parties


def _representatives(account: ConsentRecordInput) -> list[dict[str, str]]:
    """Return the party that answered for the person; who it was nobody asked and nobody knows."""
    if not any(one.is_by_representative for one in account.entries):
        return []
    name = "whoever said to be the legal representative of the person"
    return [_other(REPRESENTATIVE, name, "dpv:GuardianOfDataSubject", "through the person")]


def _other(number: str, name: str, role: str, contact: str) -> dict[str, str]:
    return {
        "party_id": number,
        "party_name": name,
        "party_role": role,
        "party_type": role,
        "party_address": contact,
        "party_contact": contact,
    }


def _known(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


# --- The receipt: the record as it is handed to the person (ISO/IEC TS 27560:2023 §6.4). ----------


RECEIPT_SCHEMA = "https://w3id.org/dpv/schema/dpv-27560#receipt"


def receipt(
    account: ConsentRecordInput, *, withdrawal_url: str, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the receipt of the person's newest entry.

    `withdrawal_url` is the person's own link for No, one press; `checkpoint` says where the record
    stood, so that whoever keeps the receipt can tell later whether it was rewritten.
    """
    record = consent_record(account)
    newest = record["event"][-1]
    return {
        "header": {
            "schema_version": RECEIPT_SCHEMA,
            "receipt_id": stable_id("receipt", account.list, account.subject, newest["event_time"]),
        },
        "consent_record": record,
        "withdrawal": {
            "url": withdrawal_url,
            "how": "open it and press once; a mail program may post to it instead (RFC 8058)",
        },
        "checkpoint": dict(checkpoint),
    }


# --- What became of a consent and when, in the states of the Data Privacy Vocabulary. -------------


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
"""Who gave an answer for somebody too young or under guardianship (GDPR art. 8(1); the Dutch UAVG,
art. 5): what an entry says of it under `given_by`, and what a record calls that party."""

_DECISIONS = frozenset({"removed", "confirmed", SIGN_UP_UNDONE})

ABOUT_AN_ASK = frozenset({"confirmed", "removed"})
"""Events that say with `asked_at` which ask was answered, or met with silence."""


@dataclass(frozen=True, kw_only=True)
class RecordedEntry:
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


def make_events(
    entries: Iterable[RecordedEntry], *, principal: str, controller: str
) -> list[dict[str, str]]:
    """Return the events of a record (TS 27560 §6.3.7), the oldest first.

    `event_state` is a dpv:ConsentStatus, `event_type` the kind of consent in question: explicit
    where the list is sensitive (GDPR art. 9(2)(a)), expressed otherwise. `entity_id` is whose act
    it was: the person's, their representative's, or the controller's.
    """
    events: list[dict[str, str]] = []
    all_said = tuple(entries)
    asked: set[str] = set()
    # The state that the last decision left: being asked (again) changes nothing of it.
    decided = ""
    last_claim: Mapping[str, Any] = {}
    for said, is_none in zip(all_said, find_revoked_yes(all_said), strict=True):
        asked_at = said.told.get("asked_at", "") if said.event in ABOUT_AN_ASK else ""
        if asked_at and asked_at not in asked:
            asked.add(asked_at)
            until = said.told.get("deadline") or "none"
            events.append(
                _event(said, at=asked_at, state=REQUESTED, entity=controller, validity=until)
            )
        state = _state_after(said, decided) or _undone(said, last_claim, decided)
        # A Yes that was no person's is no consent, and was none before that was known.
        if state and not is_none:
            own = REPRESENTATIVE if said.is_by_representative else principal
            entity = own if _is_by_the_person(said) else controller
            validity = "until withdrawn" if state in _HOLDS else "none"
            events.append(
                _event(said, at=said.happened_at, state=state, entity=entity, validity=validity)
            )
            decided = state
        if said.event == "confirmed":
            last_claim = said.told
    return events


def find_revoked_yes(entries: Sequence[RecordedEntry]) -> list[bool]:
    """Say of each entry whether it is of a Yes of which the next decision says that it was none."""
    found = []
    is_none_before = False
    for said in reversed(entries):
        found.append(is_none_before and said.event == "confirmed")
        if said.event in _DECISIONS:
            is_none_before = said.event == SIGN_UP_UNDONE or said.told.get("method") in TAKEN_BACK
    return found[::-1]


def get_latest_state(events: Sequence[Mapping[str, str]]) -> str:
    """Return the state in which the last of some events left a consent; "" without any."""
    return events[-1]["event_state"] if events else ""


def _state_after(said: RecordedEntry, before: str) -> str:
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


def _undone(said: RecordedEntry, last_claim: Mapping[str, Any], before: str) -> str:
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
    return "" if not said.told and last_claim else REVOKED


def _is_by_the_person(said: RecordedEntry) -> bool:
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


def _event(
    said: RecordedEntry, *, at: str, state: str, entity: str, validity: str
) -> dict[str, str]:
    explicit = "dpv:ExplicitlyExpressedConsent"
    return {
        "event_time": at,
        "validity_duration": validity,
        "entity_id": entity,
        "event_type": explicit if said.told.get("sensitive") else "dpv:ExpressedConsent",
        "event_state": state,
    }
