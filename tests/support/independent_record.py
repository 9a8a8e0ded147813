"""Makes the consent record of a proof anew, by docs/reference/proof-format.md alone."""

import uuid
from hashlib import sha256
from typing import Any

HOLDS = {"dpv:ConsentGiven", "dpv:RenewedConsentGiven"}
Told = dict[str, Any]


def record_of(said: Told) -> Told:
    """Return the record that follows from a statement."""
    entries = [
        (one["entry"]["event"], one["entry"]["at"], told(one, "consent")) for one in said["entries"]
    ]
    terms = terms_of(entries)
    parts = [terms, *(part for _, _, part in reversed(entries))]
    basis = next((part["basis"] for part in parts if "basis" in part), "")
    octets = sha256("\0".join(["record", said["list"], said["subject"]]).encode()).digest()
    controller = said["controller"]
    has_other = any(one.get("given_by") == "representative" for _, _, one in entries)
    return {
        "header": {
            "schema_version": "https://w3id.org/dpv/schema/dpv-27560#record",
            "record_id": str(uuid.UUID(bytes=octets[:16], version=4)),
            "pii_principal_id": said["subject"],
        },
        "processing": processing_of(said, terms, basis),
        "party": [
            *parties_of(controller, "register" in said),
            *([REPRESENTATIVE] if has_other else []),
        ],
        "event": events_of(entries, said["subject"]),
    }


def told(one: Told, part: str) -> Told:
    return without_nulls(one["parts"].get(part, {}).get("content", {}))


def without_nulls(content: Told) -> Told:
    return {name: value for name, value in content.items() if value is not None}


def terms_of(entries: list[tuple[str, str, Told]]) -> Told:
    consents = [part for event, _, part in entries if event == "confirmed" and part]
    seen = [part for _, _, part in entries if "purpose" in part]
    unseen = [part for _, _, part in entries if "unseen" in part]
    return (consents or seen or unseen or [{}])[-1]


def processing_of(said: Told, terms: Told, basis: str) -> Told:
    about, sensitive = without_nulls(terms.get("unseen", terms)), bool(terms.get("sensitive"))
    notice: Told = {"uri": about.get("privacy_url", "")}
    notice |= {"shown": False} if "unseen" in terms else {}
    for name, key in (("mail", "mail_wording"), ("page", "page_wording"), ("form", "wording")):
        notice |= {name: terms[key]} if terms.get(key) else {}
    purpose = str(terms.get("purpose", ""))
    if terms.get("unseen"):
        purpose = str(about["purpose"])
        if terms.get("basis") != "customer":
            known = FORM if terms.get("wording") else UNKNOWN
            purpose = f"{known}; the list was for this when it was recorded: {purpose}"
    ground = ["eu-gdpr:A6-1-a-non-explicit-consent"]
    if sensitive:
        ground = ["eu-gdpr:A6-1-a-explicit-consent", "eu-gdpr:A9-2-a"]
    if (basis if "register" in said else terms.get("basis")) == "customer":
        ground = ["Directive 2002/58/EC art. 13(2)" if "register" in said else "eu-gdpr:A6-1-f"]
    special = {"sensitive_pii_category": sensitive, "special_pii_category": sensitive}
    service = [terms.get("list_name", said["list"]), terms.get("frequency")]
    method = terms.get("method", "")
    has_authority = said["controller"].get("authority") or "register" in said
    register = said.get("register", {"storage_locations": [], "recipients": []})
    return {
        "privacy_notice": notice,
        "language": about.get("language", ""),
        "purposes": [
            {
                "purpose": purpose,
                "purpose_type": "dpv:DirectMarketing",
                "service": " — ".join(filter(None, service)),
                "lawful_basis": ground,
                "pii_information": [
                    {"pii_type": "pd:EmailAddress", "pii_optional": False, **special},
                    {"pii_type": "pd:Name", "pii_optional": True, **special},
                ],
                "pii_controllers": ["controller"],
                "collection_method": METHODS.get(method, f"taken over from another tool: {method}"),
                "processing_method": "dpv:Use: mailing what the purpose says to the address",
                "storage_locations": register["storage_locations"] or [ELSEWHERE],
                "retention_period": said["retention"],
                "jurisdiction": "loc:EU",
                "recipient_third_parties": register["recipients"] or [ELSEWHERE],
                "withdrawal_method": WITHDRAWAL,
                "privacy_rights": RIGHTS,
                **({"authority_party": "authority"} if has_authority else {}),
            }
        ],
    }


def parties_of(controller: Told, has_register: bool) -> list[Told]:
    found: Told = {
        "party_id": "controller",
        "party_name": controller.get("name", ""),
        "party_role": "dpv:DataController",
        "party_type": "dpv:Organisation",
        "party_address": controller.get("address", ""),
        "party_contact": controller.get("email") or controller.get("telephone", ""),
    }
    for name, key in (("email", "email"), ("phone", "telephone"), ("url", "website")):
        found |= {f"party_{name}": controller[key]} if controller.get(key) else {}
    parties = [found]
    if officer := controller.get("officer"):
        parties.append(other("officer", officer, "dpv:DataProtectionOfficer", officer))
    if authority := controller.get("authority"):
        url = controller.get("authority_url", "")
        made = other("authority", authority, "dpv:DataProtectionAuthority", url or authority)
        parties.append({**made, **({"party_url": url} if url else {})})
    elif has_register:
        parties.append(
            {
                **other("authority", ANY_AUTHORITY, "dpv:DataProtectionAuthority", MEMBERS),
                "party_url": MEMBERS,
            }
        )
    return parties


def other(number: str, name: str, role: str, contact: str) -> Told:
    return {
        "party_id": number,
        "party_name": name,
        "party_role": role,
        "party_type": role,
        "party_address": contact,
        "party_contact": contact,
    }


def events_of(entries: list[tuple[str, str, Told]], subject: str) -> list[Told]:
    made: list[Told] = []
    for number, (event, at, part) in enumerate(entries):
        kind = f"dpv:{'Explicitly' if part.get('sensitive') else ''}ExpressedConsent"
        states = [one["event_state"] for one in made if one["event_state"] != REQUESTED]
        before = states[-1] if states else ""
        asked = part.get("asked_at") if event in {"confirmed", "removed"} else ""
        if asked and not any(
            (one["event_state"], one["event_time"]) == (REQUESTED, asked) for one in made
        ):
            until = part.get("deadline") or "none"
            made.append(as_event(asked, REQUESTED, "controller", until, kind))
        own = is_own(event, part)
        state = state_of(
            event, part, before, own, [one[2] for one in entries[:number] if one[0] == "confirmed"]
        )
        if state and not is_taken_back(event, entries[number + 1 :]):
            when = [part.get(one) for one in ("arrived_at", "left_at", "basis_at", "at")]
            by = "representative" if part.get("given_by") == "representative" else subject
            holds = "until withdrawn" if state in HOLDS else "none"
            time = next(filter(None, when), at)
            made.append(as_event(time, state, by if own else "controller", holds, kind))
    return made


def as_event(time: str, state: str, entity: str, until: str, kind: str) -> Told:
    return {
        "event_time": time,
        "validity_duration": until,
        "entity_id": entity,
        "event_type": kind,
        "event_state": state,
    }


def is_own(event: str, part: Told) -> bool:
    if event != "removed":
        return event not in {"import_undone", "erased"}
    reason = part.get("reason")
    if part.get("method") in {"not_the_person", "not_pressed", "both_pressed"}:
        return False
    by_person = reason in {"no", "withdrawn", "request", "complaint"}
    return by_person and not (reason == "request" and "by" in part)


def state_of(event: str, part: Told, before: str, own: bool, claims: list[Told]) -> str:
    if event == "confirmed":
        return "dpv:RenewedConsentGiven" if before in HOLDS else "dpv:ConsentGiven"
    if event == "opted_out":
        return "dpv:ConsentRefused"
    if event == "removed":
        reason = part.get("reason", "")
        if not own:
            return "dpv:ConsentRevoked" if before in HOLDS and reason else "dpv:ConsentUnknown"
        is_withdrawn = before in HOLDS or reason == "withdrawn"
        return "dpv:ConsentWithdrawn" if is_withdrawn else "dpv:ConsentRefused"
    if before not in HOLDS or event not in {"import_undone", "erased"}:
        return ""
    if (event == "erased" and "imported_at" not in part) or part.get("status") == "confirmed":
        return ""
    return "" if not part and claims[-1] else "dpv:ConsentRevoked"


def is_taken_back(event: str, later: list[tuple[str, str, Told]]) -> bool:
    deciding = [one for one in later if one[0] in {"removed", "confirmed", "sign_up_undone"}]
    if event != "confirmed" or not deciding:
        return False
    next_event, _, part = deciding[0]
    return next_event == "sign_up_undone" or part.get("method") in {"not_pressed", "both_pressed"}


REQUESTED = "dpv:ConsentRequested"
ELSEWHERE = "as the privacy notice says"
ANY_AUTHORITY = "the supervisory authority of the country where the person lives"
MEMBERS = "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"
FORM = "as the text of the form says, whose digest is privacy_notice.form"
UNKNOWN = "not known: nothing shows what the person was told"
RIGHTS = "dpv:DataSubjectRight: GDPR art. 7(3), 15, 16, 17, 18, 20, 21, 77"
WITHDRAWAL = (
    "one press on the page behind the link for No, which stands in every mail and works for ever; "
    "RFC 8058 one-click; or a reply"
)
METHODS = {
    "page": "the person pressed a button on a page",
    "one_click": "the person pressed a button of their mail program (RFC 8058)",
    "note": "the person told the controller, by phone, letter or reply",
    "by_hand": "the controller entered it by hand, with what shows it",
    "": "not known",
}
REPRESENTATIVE = other(
    "representative",
    "whoever said to be the legal representative of the person",
    "dpv:GuardianOfDataSubject",
    "through the person",
)
