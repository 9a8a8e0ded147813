"""`verify` and two independent verifiers, written from the document alone, agree on any proof."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import random
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from repermit.campaigns.lifecycle import extend_campaign
from repermit.clock import ManualClock, format_timestamp
from repermit.contacts import admin_requests
from repermit.contacts.admin_requests import NewContact
from repermit.db.connection import Database, open_database
from repermit.db.models.base import Meta
from repermit.db.models.evidence import EvidenceTimestamp
from repermit.evidence import consent_receipt, proof_file, signed_checkpoint, timestamps
from repermit.evidence.entries import (
    Checkpoint,
    compute_chain_hash,
    compute_part_digest,
    encode_canonical_json,
)
from repermit.evidence.merkle import compute_root, list_inclusion_path
from repermit.evidence.signed_note import (
    Note,
    PublicKey,
    WitnessKey,
    compute_key_id,
    public_key,
    sign_note,
)
from repermit.evidence.timestamp_token import read_authorities
from repermit.evidence.verify import proof, signatures
from repermit.evidence.verify.cosignatures import find_cosigned
from repermit.evidence.verify.timestamps import read_stamps
from repermit.expiry import sweep
from repermit.privacy import make_proof
from repermit.rules.consent import Answer, Basis
from tests.support import independent_verifier
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_list,
    make_settings,
    record_launch,
)
from tests.support.javascript_verifier import JavaScriptVerifier
from tests.support.json_documents import places, says_the_same
from tests.support.public_pages import answer_on_page, freeze_wording
from tests.support.timestamp_authority import Authority
from tests.support.witness import Witness

SIGNING = make_settings(evidence_key=bytes(range(32)))
KEY = signed_checkpoint.get_public_key(SIGNING)
assert KEY
WITNESS = Witness(KEY.name, KEY.public)
COSIGNED: dict[str, Any] = {"witnesses": [WITNESS.vkey]}
LATER = NOW + timedelta(days=30)
SCHEMA = Path(__file__).parents[3] / "docs/reference/proof.schema.json"
Document = dict[str, Any]
REGISTER = {"storage_locations": ["DE", "NL"], "recipients": ["Example BV (mail), NL"]}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def made(ready_sqlite: Path, authority: Authority) -> list[Document]:
    """Return true proofs with timestamps: of a Yes withdrawn, of one by hand, of a silence."""
    path = ready_sqlite.with_name("agreeing.db")
    path.write_bytes(ready_sqlite.read_bytes())
    with open_database(f"sqlite:///{path}") as database:
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        record_launch(database, campaign, attest="Decided by the board.")
        freeze_wording(database, campaign, mailing_list, "nl")
        anna = make_asked(database, mailing_list, campaign, "anna@example.org")
        answer_on_page(database, anna.uid, Answer.YES, settings=SIGNING)
        keep(database, authority, "daily 1")
        answer_on_page(database, anna.uid, Answer.NO, settings=SIGNING)
        hetty = NewContact(
            address="hetty@example.org",
            source="the desk",
            basis=Basis.IMPORTED,
            proof="a card of 2019",
            wording="Ja, ik wil nieuws.",
        )
        admin_requests.add_contact(
            database, mailing_list, hetty, settings=SIGNING, now=NOW, actor="cli:1000"
        )
        keep(database, authority, "daily 2")
        later = campaign.deadline + timedelta(days=1)
        make_asked(database, mailing_list, campaign, "silent@example.org")
        extend_campaign(
            database, mailing_list, deadline=later, settings=SIGNING, now=NOW, actor="user:1"
        )
        clock = ManualClock(later)
        sweep.expire_due(database, settings=SIGNING, clock=clock, despite_downtime=True)
        keep(database, authority, "deadline")
        return [
            json.loads(
                make_proof.prove_address(
                    database,
                    mailing_list,
                    one,
                    settings=SIGNING,
                    now=LATER,
                    actor="cli:1000",
                    register=register,
                ).text
            )
            for one, register in (
                ("anna@example.org", REGISTER),
                ("hetty@example.org", consent_receipt.NO_REGISTER),
                ("silent@example.org", REGISTER),
            )
        ]


def keep(database: Database, authority: Authority, occasion: str) -> None:
    """Keep a timestamp over the record as it is, and have it cosigned."""
    point = signed_checkpoint.make_signed_checkpoint(SIGNING)
    line = WITNESS.cosign(Note.read(point.note).text, at=WITNESS.now)
    with database.atomic():
        Meta.insert(key=f"cosigned {occasion}", value=point.note + line).execute()
        EvidenceTimestamp.create(
            occasion=occasion,
            due_at=NOW,
            next_at=NOW,
            seq=point.seq,
            note=point.note,
            reply=timestamps.encode(authority.reply_over(point.note)),
            stamped_at=NOW,
        )


def own_check(document: Document, witnesses: Collection[str] = ()) -> bool:
    if proof.check_proof(json.dumps(document).encode()).faults:
        return False
    keys = [WitnessKey.read(one) for one in witnesses]
    try:
        return {one.by for one in find_cosigned(document, keys)} == set(keys)
    except ValueError:
        return False


def python_check(document: Document, **known: Any) -> bool:
    try:
        independent_verifier.check(json.dumps(document).encode(), **known)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    return True


def verdicts(document: Document, javascript: JavaScriptVerifier, **known: Any) -> tuple[bool, bool]:
    """Return what the verifiers in Python and in JavaScript say."""
    other = javascript.check(json.dumps(document).encode(), **known)
    return python_check(document, **known), other["holds"]


def test_true_proofs_hold_with_their_key_and_authority(
    made: list[Document], authority: Authority, javascript: JavaScriptVerifier
) -> None:
    for document in made:
        assert own_check(document)
        octets, ca_file = json.dumps(document).encode(), str(authority.ca_file)
        found = independent_verifier.check(octets, keys=[str(KEY)], ca_file=ca_file)
        assert found.signers == [str(KEY)]
        own = read_stamps(document, read_authorities(ca_file))
        assert found.stamps == [(one.seq, one.at) for one in own]
        assert javascript.check(octets, keys=[str(KEY)], ca_file=ca_file) == {
            "holds": True,
            "signers": [str(KEY)],
            "stamps": [[one.seq, one.at.isoformat(timespec="microseconds")] for one in own],
            "cosigned": [],
        }
        told = [(seq, WITNESS.now, WITNESS.vkey, WITNESS.origin) for seq, _ in found.stamps]
        assert independent_verifier.check(octets, **COSIGNED).cosigned == told
        assert javascript.check(octets, **COSIGNED)["cosigned"] == list(map(list, told))
        assert own_check(document, **COSIGNED)
    assert [len(one["timestamps"]) for one in made] == [2, 1, 1]


def test_another_key_and_another_authority_are_refused(
    made: list[Document], tmp_path: Path, javascript: JavaScriptVerifier
) -> None:
    other = Authority(tmp_path / "other")
    stranger = signed_checkpoint.get_public_key(replace(SIGNING, evidence_key=bytes(32)))
    assert stranger
    for document in made:
        assert verdicts(document, javascript, keys=[str(stranger)]) == (False, False)
        assert not signatures.list_signers(document, [stranger])
        assert verdicts(document, javascript, ca_file=str(other.ca_file)) == (False, False)
        with pytest.raises(ValueError, match="unable to get local issuer"):
            read_stamps(document, read_authorities(str(other.ca_file)))


def test_a_witness_who_has_cosigned_nothing_of_it_is_not_taken_for_one_who_has(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    stranger = Witness("x", bytes(32))
    stranger.own = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    for witnesses in ([stranger.vkey], [WITNESS.vkey, stranger.vkey], [str(KEY)]):
        assert verdicts(made[0], javascript, witnesses=witnesses) == (False, False)
    assert not own_check(made[0], [stranger.vkey])


def test_a_token_over_another_checkpoint_is_refused(
    made: list[Document], authority: Authority, javascript: JavaScriptVerifier
) -> None:
    first, second = made[0]["timestamps"]
    for reply in (second["reply"], timestamps.encode(authority.reply_over(second["note"]))):
        document = json.loads(json.dumps(made[0]))
        document["timestamps"][0] = {**first, "reply": reply}
        assert not own_check(document)
        assert verdicts(document, javascript) == (False, False)


def test_a_reply_that_says_that_it_was_refused_is_no_timestamp(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    stamp = document["timestamps"][0]
    granted, refused = (bytes.fromhex(f"30030201{status}") for status in ("00", "02"))
    reply = timestamps.decode(stamp["reply"])
    assert reply[4:9] == granted
    stamp["reply"] = timestamps.encode(reply.replace(granted, refused, 1))
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


def test_a_fabricated_proof_holds_by_itself_and_under_no_known_key(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    forger = replace(SIGNING, evidence_key=bytes(32))
    document = sealed_anew(json.loads(json.dumps(made[0])), forger)
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)
    assert KEY
    assert verdicts(document, javascript, keys=[str(KEY)]) == (False, False)
    assert not signatures.list_signers(document, [KEY])


def test_a_proof_without_its_no_holds_as_the_documentation_says(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    said_no = document["statement"]["entries"].pop()
    assert said_no["entry"]["event"] == "removed"
    sealed_anew(document, SIGNING)
    assert own_check(document)
    assert verdicts(document, javascript, keys=[str(KEY)]) == (True, True)
    page = SCHEMA.with_name("proof-format.md").read_text("utf-8")
    assert "may leave out a later No" in page


def purpose_in(document: Document) -> Document:
    (purpose,) = document["statement"]["record"]["processing"]["purposes"]
    return dict(purpose)


def test_a_proof_says_where_the_data_is_and_who_gets_it(made: list[Document]) -> None:
    of_anna, of_hetty, _ = map(purpose_in, made)
    assert of_anna["storage_locations"] == ["DE", "NL"]
    assert of_anna["recipient_third_parties"] == ["Example BV (mail), NL"]
    for name in ("storage_locations", "recipient_third_parties"):
        assert of_hetty[name] == ["as the privacy notice says"]


def test_a_proof_from_before_the_register_holds_as_it_was(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    for document in json.loads(json.dumps(made)):
        del document["statement"]["register"]
        document["statement"]["controller"].pop("authority", None)
        sealed_anew(document, SIGNING)
        assert own_check(document)
        assert verdicts(document, javascript) == (True, True)
        assert "authority_party" not in purpose_in(document)
        assert purpose_in(document)["storage_locations"] == ["as the privacy notice says"]


@pytest.mark.parametrize(
    ("has_register", "says_no", "ground"),
    [
        (True, False, "Directive 2002/58/EC art. 13(2)"),
        (True, True, "Directive 2002/58/EC art. 13(2)"),
        (False, False, "eu-gdpr:A6-1-f"),
        (False, True, "eu-gdpr:A6-1-a-non-explicit-consent"),
    ],
)
def test_a_customer_is_mailed_on_the_rule_for_customers_alone(
    made: list[Document],
    javascript: JavaScriptVerifier,
    has_register: bool,
    says_no: bool,
    ground: str,
) -> None:
    document = json.loads(json.dumps(made[0]))
    statement = document["statement"]
    if not has_register:
        del statement["register"]
    for one in statement["entries"]:
        one["entry"]["event"] = "customer"
        one["parts"] = {"consent": {"salt": "0" * 32, "content": {"basis": "customer"}}}
        one["entry"] |= {"person": "", "trace": ""}
        one["parts"]["consent"]["content"]["unseen"] = {"purpose": "offers"}
    if says_no:
        no = json.loads(json.dumps(statement["entries"][-1]))
        no["entry"]["event"] = "removed"
        no["parts"]["consent"]["content"] = {"answer": "no", "purpose": "offers"}
        statement["entries"].append(no)
    statement["wordings"] = {}
    sealed_anew(document, SIGNING)
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)
    assert purpose_in(document)["lawful_basis"] == [ground]


def test_an_authority_is_named_also_where_the_controller_names_none(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    for name in ("authority", "authority_url"):
        document["statement"]["controller"].pop(name, None)
    sealed_anew(document, SIGNING)
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)
    assert purpose_in(document)["authority_party"] == "authority"
    parties = document["statement"]["record"]["party"]
    assert "the country where the person lives" in parties[-1]["party_name"]


@pytest.mark.parametrize(
    "register",
    [
        {"storage_locations": []},
        {"storage_locations": [""], "recipients": []},
        {"storage_locations": "NL", "recipients": []},
        {"storage_locations": [], "recipients": [1]},
        {"storage_locations": [], "recipients": [], "more": []},
        {},
        None,
    ],
)
def test_a_register_of_another_shape_is_refused(
    made: list[Document], javascript: JavaScriptVerifier, register: Any
) -> None:
    document = json.loads(json.dumps(made[0]))
    document["statement"]["register"] = register
    sealed_anew(document, SIGNING, remake=False)
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


# --- Campaigns. -----------------------------------------------------------------------------------


def test_a_proof_from_before_campaigns_holds_as_it_was(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    for document in json.loads(json.dumps(made)):
        document["statement"].pop("campaign_entries", None)
        sealed_anew(document, SIGNING)
        assert own_check(document)
        assert verdicts(document, javascript) == (True, True)


def _content_of(one: Document) -> Document:
    content: Document = one["parts"]["consent"]["content"]
    return content


def _forget_extension(statement: Document) -> None:
    del statement["campaign_entries"][1]


def _forget_launch(statement: Document) -> None:
    del statement["campaign_entries"][0]


def _set_sooner(statement: Document) -> None:
    _content_of(statement["campaign_entries"][1])["to"] = format_timestamp(NOW)


def _remove_sooner(statement: Document) -> None:
    statement["entries"][0]["entry"]["at"] = format_timestamp(NOW)


def _say_other_form(statement: Document) -> None:
    for one, name in (
        (statement["campaign_entries"][1], "to"),
        (statement["entries"][0], "deadline"),
    ):
        _content_of(one)[name] = "2026-03-31"


def _tell_of_other_campaign(statement: Document) -> None:
    statement["campaign_entries"][0]["entry"]["campaign"] = 7


def _tell_of_no_campaign(statement: Document) -> None:
    for one in (*statement["entries"], *statement["campaign_entries"]):
        one["entry"]["campaign"] = 0


def _tell_of_other_list(statement: Document) -> None:
    statement["campaign_entries"][0]["entry"]["list"] = "other"


def _tell_of_other_event(statement: Document) -> None:
    statement["campaign_entries"][0]["entry"]["event"] = "paused"


def _name_somebody(statement: Document) -> None:
    statement["campaign_entries"][0]["entry"]["subject"] = statement["subject"]


def _tell_who(statement: Document) -> None:
    statement["campaign_entries"][0]["parts"]["person"] = {"salt": "0" * 32, "content": {}}


def _launch_late(statement: Document) -> None:
    statement["campaign_entries"][0]["entry"]["at"] = "2031-01-01T00:00:00.000000+00:00"


def _tell_nothing(statement: Document) -> None:
    statement["campaign_entries"] = []


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        # Without its launch the deadline is still the one that was set last.
        (_forget_launch, True),
        (_forget_extension, False),
        (_set_sooner, False),
        (_remove_sooner, False),
        (_say_other_form, False),
        (_tell_of_other_campaign, False),
        (_tell_of_no_campaign, False),
        (_tell_of_other_list, False),
        (_tell_of_other_event, False),
        (_name_somebody, False),
        (_tell_who, False),
        (_launch_late, False),
        (_tell_nothing, False),
    ],
)
def test_a_silence_was_until_the_deadline_that_was_set_last(
    made: list[Document], javascript: JavaScriptVerifier, change: Any, holds: bool
) -> None:
    document = json.loads(json.dumps(made[2]))
    change(document["statement"])
    sealed_anew(document, SIGNING)
    assert own_check(document) == holds
    assert verdicts(document, javascript) == (holds, holds)


# --- What only whoever seals anew can write, and no verifier may take. ----------------------------


def _contradict(statement: Document) -> None:
    first_consent(statement)["basis"] = "customer"


def _say_no(statement: Document) -> None:
    first_consent(statement)["answer"] = "no"


def _come_later(statement: Document) -> None:
    statement["entries"][0]["entry"]["at"] = "2031-01-01T00:00:00.000000+00:00"


def _come_never(statement: Document) -> None:
    statement["entries"][0]["entry"]["at"] = "2026-02-30T00:00:00.000000+00:00"


def _say_twice(statement: Document) -> None:
    first_consent(statement)["sensitive"] = "yes"


def _speak_no_language(statement: Document) -> None:
    first_consent(statement)["language"] = 7


def _tell_no_purpose(statement: Document) -> None:
    first_consent(statement)["unseen"] = {}


def first_consent(statement: Document) -> Document:
    confirmed = next(one for one in statement["entries"] if one["entry"]["event"] == "confirmed")
    content: Document = confirmed["parts"]["consent"]["content"]
    return content


@pytest.mark.parametrize(
    "change",
    [
        _contradict,
        _say_no,
        _come_later,
        _come_never,
        _say_twice,
        _speak_no_language,
        _tell_no_purpose,
    ],
)
def test_what_contradicts_itself_is_refused_though_it_is_sealed(
    made: list[Document], javascript: JavaScriptVerifier, change: Any
) -> None:
    document = json.loads(json.dumps(made[0]))
    change(document["statement"])
    sealed_anew(document, SIGNING)
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


def test_a_number_in_the_place_of_a_truth_value_is_refused(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    purposes = document["statement"]["record"]["processing"]["purposes"]
    purposes[0]["pii_information"][0]["pii_optional"] = 0
    sealed_anew(document, SIGNING, remake=False)
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


def test_a_seal_at_the_end_of_all_times_is_no_error(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    document["seal"]["entry"]["at"] = "9999-12-31T23:59:59.999999+00:00"
    sealed_anew(document, SIGNING)
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)


def test_null_says_what_absence_says(made: list[Document], javascript: JavaScriptVerifier) -> None:
    document = json.loads(json.dumps(made[0]))
    before = document["statement"]["record"]
    first_consent(document["statement"]).update(
        dict.fromkeys(("by", "imported_at", "status", "note"))
    )
    sealed_anew(document, SIGNING)
    assert document["statement"]["record"] == before
    first_consent(document["statement"]).update(dict.fromkeys(("list_name", "method")))
    sealed_anew(document, SIGNING)
    assert document["statement"]["record"] != before
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)


# --- Mutants. -------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *("2026-02-30T00:00:00.000000+00:00", "9999-12-31T23:59:59.999999+00:00", {"purpose": "x"}),
    *("", "x", "no", "yes", "customer", "imported", "confirmed", "removed", "page", "not_pressed"),
    *(None, True, False, 0, 1, -1, 2**53, 1.5, [], {}, "2031-01-01T00:00:00.000000+00:00"),
    *("2019-01-01T00:00:00.000000+00:00", "2026-03-02T09:00:00+00:00", "0" * 64, "0" * 32),
)


HELD = {"entries", "campaign_entries"}

NAMES = (
    *("to",),
    *(
        "more",
        "note",
        "unseen",
        "purpose",
        "basis",
        "by",
        "sensitive",
        "status",
        "method",
        "reason",
    ),
    *("list_name", "frequency", "imported_at", "given_by", "asked_at", "deadline", "language"),
)


def mutate(document: Document, rng: random.Random) -> None:
    """Change one value of a proof: into another, away, or one more beside it.

    But for timestamps' replies, of which each reads what it needs (see proof-format.md).
    """
    holder, key = rng.choice([one for one in places(document) if one[1] != "reply"])
    what = rng.randrange(5)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(NAMES)] = rng.choice(VALUES)
    elif what == 2 and isinstance(holder[key], str) and holder[key]:
        place = rng.randrange(len(holder[key]))
        text = holder[key]
        holder[key] = text[:place] + chr(ord(text[place]) ^ 1) + text[place + 1 :]
    elif what == 3 and isinstance(holder, list):
        holder.append(json.loads(json.dumps(holder[key])))
    else:
        holder[key] = rng.choice(VALUES)


def sealed_anew(document: Document, settings: Any, *, remake: bool = True) -> Document:
    """Make all digests, the tree, the record and the signature anew, as whoever has the key can."""
    document.pop("timestamps", None)
    document.pop("cosigned", None)
    document.pop("consistency", None)
    document.pop("last", None)
    statement, seal = document["statement"], document["seal"]
    given = [*statement.get("campaign_entries", ()), *statement["entries"]]
    entries = [*given, seal]
    for number, one in enumerate(entries, start=1):
        one["entry"]["seq"] = number
    for one in given:
        digest_parts(one)
    if remake:
        claimed = {name: statement[name] for name in statement.keys() - {"list", "record"}}
        statement["record"] = proof_file.compose_statement(slug=statement["list"], **claimed)[
            "record"
        ]
    if "statement" in seal["parts"]["consent"]["content"]:
        seal["parts"]["consent"]["content"] = {"statement": proof_file.hash_statement(statement)}
    digest_parts(seal)
    leaves = [
        hashlib.sha256(encode_canonical_json(one["entry"]).encode()).digest() for one in entries
    ]
    document["paths"] = {
        str(number): path(number - 1, leaves) for number in range(1, len(leaves) + 1)
    }
    its_hash = compute_chain_hash(document["previous"], leaves[-1].hex())
    point = Checkpoint(seq=len(leaves), hash=its_hash, root=compute_root(leaves).hex())
    document["checkpoint"] = signed_checkpoint.sign(point, settings).to_json()
    document["key"] = str(signed_checkpoint.get_public_key(settings))
    return document


def digest_parts(one: Document) -> None:
    for name, part in one["parts"].items():
        one["entry"][name] = compute_part_digest(
            part["salt"], encode_canonical_json(part["content"])
        )


def path(place: int, leaves: list[bytes]) -> list[str]:
    return [
        compute_root(leaves[one.start : one.end]).hex()
        for one in list_inclusion_path(place, len(leaves))
    ]


def disagreements(
    made: list[Document], javascript: JavaScriptVerifier, count: int, seed: int
) -> list[str]:
    """Return on which of so many mutants the three differ, half of them sealed anew."""
    rng, found, held = random.Random(seed), [], 0  # noqa: S311  the same mutants each time
    for number in range(count):
        document = json.loads(json.dumps(rng.choice(made)))
        known: dict[str, Any] = {}
        if number % 2:
            statement = document["statement"]
            mutate(statement[rng.choice(sorted(HELD & statement.keys()))], rng)
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
                document = sealed_anew(document, SIGNING, remake=bool(rng.randrange(4)))
        else:
            mutate(document, rng)
            known = rng.choice([{}, COSIGNED])
        own, others = own_check(document, **known), verdicts(document, javascript, **known)
        held += own
        if others != (own, own):
            faults = proof.check_proof(json.dumps(document).encode()).faults
            found.append(f"{number}: {own} {faults}, the others {others}")
    # Some must hold: a mutant that claims less, or one whose words nobody can tell from true ones.
    assert 0 < held < count
    return found


def test_all_three_agree_on_mutants(made: list[Document], javascript: JavaScriptVerifier) -> None:
    assert disagreements(made, javascript, 150, seed=19) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(4))
def test_all_three_agree_on_a_thousand_mutants_and_more(
    made: list[Document], javascript: JavaScriptVerifier, seed: int
) -> None:
    assert disagreements(made, javascript, 1000, seed=seed) == []


def alter_cosignature(document: Document, rng: random.Random) -> None:
    """Alter the line of a witness: a bit, its length, or its name; instead of it or besides."""
    shown = rng.choice(document["cosigned"])
    *head, line = shown["note"].splitlines(keepends=True)
    mark, name, encoded = line.rstrip("\n").split(" ")
    octets = bytearray(base64.b64decode(encoded))
    what = rng.randrange(4)
    if what == 0:
        del octets[rng.randrange(len(octets)) :]
    elif what == 1:
        octets += octets[: rng.choice([1, 8, 2420])]
    elif what == 2:
        name = rng.choice(["x", name.upper(), f"{name}+", ""])
    else:
        octets[rng.choice([0, 3, 4, 11, rng.randrange(len(octets))])] ^= 1 << rng.randrange(8)
    altered = f"{mark} {name} {base64.b64encode(octets).decode()}\n"
    lines = rng.choice([[altered], [altered, line], [line, altered]])
    shown["note"] = "".join([*head, *lines])


@pytest.mark.parametrize("count", [30, pytest.param(600, marks=pytest.mark.exhaustive)])
def test_all_three_agree_on_altered_lines_of_a_witness(
    made: list[Document], javascript: JavaScriptVerifier, count: int
) -> None:
    rng, held = random.Random(19), 0  # noqa: S311  the same mutants each time
    for _ in range(count):
        document = json.loads(json.dumps(rng.choice(made)))
        alter_cosignature(document, rng)
        alone, own = own_check(document), own_check(document, **COSIGNED)
        assert verdicts(document, javascript) == (alone, alone)
        assert verdicts(document, javascript, **COSIGNED) == (own, own)
        held += own
    # Some must hold: a line under another name or id is another's.
    assert 0 < held < count


def test_no_byte_of_consequence_can_be_changed_for_javascript(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    octets, rng = proof_file.as_text(made[1]).encode(), random.Random(19)  # noqa: S311  as above
    stamps = octets.index(b'"timestamps"')
    for _ in range(300):
        # The octets of a reply that its signature does not cover say nothing.
        place, bit = rng.randrange(stamps), 1 << rng.randrange(8)
        changed = octets[:place] + bytes([octets[place] ^ bit]) + octets[place + 1 :]
        held = javascript.check(changed, **COSIGNED)["holds"]
        assert held == says_the_same(octets, changed)


@pytest.mark.parametrize("name", ["a\u00a0b", "a\x85b", "a\ufeffb", "a\u2028b", "a\x1cb", "a\x7fb"])
def test_no_key_has_white_space_or_control_characters_in_its_name(
    made: list[Document], javascript: JavaScriptVerifier, name: str
) -> None:
    for given, holds in ((name, False), ("a\u180e\U0001f600é", True)):
        document = json.loads(json.dumps(made[0]))
        point = document["checkpoint"]
        text, seed = Note.read(point["note"]).text, bytes(range(32))
        point["note"] = sign_note(text, name=given, seed=seed)
        document["key"] = str(public_key(given, seed))
        assert own_check(document) == holds
        assert verdicts(document, javascript) == (holds, holds)


PRIME = 2**255 - 19


@pytest.mark.parametrize("y", [0, 1, PRIME - 1, PRIME, PRIME + 1, 1 + 2**255])
def test_no_key_is_of_small_order_or_in_another_form(
    made: list[Document], javascript: JavaScriptVerifier, y: int
) -> None:
    document = json.loads(json.dumps(made[0]))
    text = Note.read(document["checkpoint"]["note"]).text
    public = y.to_bytes(32, "little")
    document["key"] = str(PublicKey("weak", public))
    line = base64.b64encode(compute_key_id("weak", public) + (1).to_bytes(32, "little") + bytes(32))
    document["checkpoint"]["note"] = f"{text}\n— weak {line.decode()}\n"
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


def test_half_of_a_character_stands_nowhere(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    document = json.loads(json.dumps(made[0]))
    document["cosigned"][0]["note"] += "— \ud800 MTIzNDU=\n"
    (fault,) = proof.check_proof(json.dumps(document).encode()).faults
    assert "half of a character" in str(fault)
    assert verdicts(document, javascript) == (False, False)


def _stamp_with(document: Document, reply: bytes) -> Document:
    altered: Document = json.loads(json.dumps(document))
    altered["timestamps"][0]["reply"] = timestamps.encode(reply)
    return altered


TST_INFO = bytes.fromhex("2a864886f70d0109100104")


def test_no_reply_has_anything_behind_it_or_an_impossible_time(
    made: list[Document], javascript: JavaScriptVerifier
) -> None:
    reply = timestamps.decode(made[0]["timestamps"][0]["reply"])
    time = reply.index(b"\x18\x0f20") + 2
    ends = [reply + b"\x05\x00", reply + b"\x00", reply * 2, reply[:-1], b""]
    months = [reply[: time + 4] + month + reply[time + 6 :] for month in (b"13", b"00", b"31")]
    seconds = reply[: time + 12] + b"60" + reply[time + 14 :]
    for altered in (*ends, *months, seconds):
        document = _stamp_with(made[0], altered)
        assert not own_check(document)
        assert verdicts(document, javascript) == (False, False)


@pytest.mark.parametrize("count", [60, pytest.param(1200, marks=pytest.mark.exhaustive)])
def test_all_three_agree_on_any_bit_of_what_a_reply_says(
    made: list[Document], javascript: JavaScriptVerifier, count: int
) -> None:
    reply, rng = timestamps.decode(made[0]["timestamps"][0]["reply"]), random.Random(19)  # noqa: S311  as above
    start = reply.index(TST_INFO) - 4
    # Behind what is said of the time lie certificates and signatures.
    places = range(start, start + 2 + reply[start + 1])
    for place, bit in rng.sample(
        [(one, bit) for one in places for bit in range(8)], min(count, 8 * len(places))
    ):
        altered = bytearray(reply)
        altered[place] ^= 1 << bit
        document = _stamp_with(made[0], bytes(altered))
        own = own_check(document)
        assert verdicts(document, javascript) == (own, own), (place - start, bit)


# --- The schema that is published with the document. ----------------------------------------------


def test_true_proofs_are_of_the_schema(made: list[Document]) -> None:
    schema = jsonschema_rs.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for document in made:
        assert [error.message for error in schema.iter_errors(document)] == []
    for alter in ("key", "seal", "paths"):
        document = {name: value for name, value in made[0].items() if name != alter}
        assert not schema.is_valid(document)
    assert not schema.is_valid({**made[0], "more": 1})
