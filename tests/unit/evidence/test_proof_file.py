"""That nothing in a proof can be changed: our own check and an independent one, side by side."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repermit.answers import link_target
from repermit.contacts import admin_requests, erasure, status_changes
from repermit.contacts import lookup as contacts_lookup
from repermit.contacts.admin_requests import NewContact
from repermit.db.connection import open_database
from repermit.evidence import proof_file, signed_checkpoint, signed_note, stored_tree
from repermit.evidence.entries import (
    Checkpoint,
    compute_chain_hash,
    compute_part_digest,
    encode_canonical_json,
)
from repermit.evidence.verify import proof
from repermit.privacy import make_proof
from repermit.rules.consent import Answer, Basis
from tests.support import independent_record, independent_signatures, independent_verifier
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.javascript_verifier import SCRIPT
from tests.support.json_documents import places, says_the_same
from tests.support.public_pages import answer_on_page, freeze_wording
from tests.support.published_schemas import problems_of

ANNA = "anna@example.org"
LATER = NOW + timedelta(days=800)
KEY = make_settings().fingerprint_key
PAGE = link_target.PageShown(wording="<p>Zouden wij u mogen blijven mailen, ⟦address⟧?</p>")


@pytest.fixture(scope="module")
def made(ready_sqlite: Path) -> list[bytes]:
    """Return three true proofs: of a Yes, of a Yes that was withdrawn and erased, by hand.

    The last shows besides that the record goes on from a checkpoint of before the erasure.
    """
    path = ready_sqlite.with_name("proofs.db")
    path.write_bytes(ready_sqlite.read_bytes())
    with open_database(f"sqlite:///{path}") as database:
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        freeze_wording(database, campaign, mailing_list, "nl")
        anna, bram, *others = (
            make_asked(database, mailing_list, campaign, f"{name}@example.org")
            for name in ("anna", "bram", "carla", "dirk", "els", "frits", "gerda")
        )
        for contact in (anna, *others, bram):
            answer_on_page(database, contact.uid, Answer.YES, page=PAGE)
        answer_on_page(database, bram.uid, Answer.NO, page=PAGE)
        known = stored_tree.checkpoint()
        with database.atomic():
            act = status_changes.Act(at=LATER, actor="person")
            erasure.erase_contact(
                contacts_lookup.lock_contact(bram.id), act=act, fingerprint_key=KEY
            )
        hetty = NewContact(
            address="hetty@example.org",
            source="the desk",
            basis=Basis.IMPORTED,
            proof="a card of 2019",
            wording="Ja, ik wil nieuws.",
        )
        admin_requests.add_contact(
            database, mailing_list, hetty, settings=make_settings(), now=NOW, actor="cli:anna"
        )
        return [
            make_proof.prove_address(
                database,
                mailing_list,
                one,
                settings=make_settings(),
                now=LATER,
                actor="cli:anna",
                known=known if one.startswith("hetty") else None,
            ).text.encode()
            for one in (ANNA, "bram@example.org", "hetty@example.org")
        ]


def own_check(octets: bytes) -> bool:
    return not proof.check_proof(octets).faults


def independent_check(octets: bytes) -> bool:
    """Return whether the independent verifier takes it; it says No by an error of any kind."""
    try:
        independent_verifier.check(octets)
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
    return True


CHECKS = [own_check, independent_check]


@pytest.mark.parametrize("check", CHECKS)
def test_true_proofs_hold(made: list[bytes], check: Callable[[bytes], bool]) -> None:
    assert all(map(check, made))


def test_their_records_are_of_the_published_form(made: list[bytes]) -> None:
    for octets in made:
        assert not problems_of(independent_verifier.check(octets).record, "consent-record")


def test_the_independent_verifier_is_short_and_knows_nothing_of_us() -> None:
    modules = (independent_verifier, independent_signatures, independent_record)
    source = "".join(Path(str(one.__file__)).read_text("utf-8") for one in modules)
    assert len(source.splitlines()) < 750
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - {"tests"} <= sys.stdlib_module_names


def test_the_verifier_in_javascript_imports_nothing_but_node() -> None:
    scripts = [SCRIPT, SCRIPT.with_name("independent_record.mjs")]
    imported = {
        name
        for script in scripts
        for name in re.findall(r'^import .* from "(.*)";$', script.read_text("utf-8"), re.MULTILINE)
    }
    own = {name for name in imported if not name.startswith("node:")}
    assert (own, len(imported) > 3) == ({"./independent_record.mjs"}, True)


@pytest.mark.exhaustive
@pytest.mark.parametrize("check", CHECKS)
@settings(max_examples=600)
@given(data=st.data())
def test_no_single_byte_of_consequence_can_be_changed(
    made: list[bytes], check: Callable[[bytes], bool], data: st.DataObject
) -> None:
    octets = data.draw(st.sampled_from(made))
    place = data.draw(st.integers(0, len(octets) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != octets[place]))
    changed = octets[:place] + bytes([byte]) + octets[place + 1 :]
    assert check(changed) == says_the_same(octets, changed)


def another(value: Any) -> Any:
    """Return a value of the same kind that says something else."""
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    if isinstance(value, bool | int):
        return not value if isinstance(value, bool) else value + 1
    if isinstance(value, dict):
        return {**value, "more": "than was said"}
    return [*value, "more"]


@pytest.mark.parametrize("check", CHECKS)
def test_no_value_can_be_changed_added_or_left_out(
    made: list[bytes], check: Callable[[bytes], bool]
) -> None:
    for octets in made:
        count = len(list(places(json.loads(octets))))
        assert count > 100
        for number in range(count):
            for change in (another, None):
                document = json.loads(octets)
                holder, key = list(places(document))[number]
                if change is None and key == "consistency":
                    continue  # It then claims less, and holds.
                if change is None:
                    del holder[key]
                else:
                    holder[key] = change(holder[key])
                assert not check(json.dumps(document).encode()), (number, key)


def tree(leaves: list[bytes]) -> bytes:
    """Return the root over some leaves (RFC 9162, 2.1.1)."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def path(place: int, leaves: list[bytes]) -> list[str]:
    """Return the path from a leaf to the root (RFC 9162, 2.1.3.1)."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if place < half:
        return [*path(place, leaves[:half]), tree(leaves[half:]).hex()]
    return [*path(place - half, leaves[half:]), tree(leaves[:half]).hex()]


def forged(octets: bytes, change: Callable[[dict[str, Any]], None]) -> list[str]:
    """Change a proof as whoever writes a chain of their own could: nothing but the words is wrong.

    Returns what our check finds, and the independent verifier has to find too.
    """
    document = json.loads(octets)
    statement, seal = document["statement"], document["seal"]
    change(document)
    entries = [*statement["entries"], seal]
    for number, one in enumerate(entries, start=1):
        one["entry"]["seq"] += 0 if "keep" in document else number - one["entry"]["seq"]
    document.pop("keep", None)
    part = seal["parts"]["consent"]
    if "statement" in part["content"]:
        part["content"] = {"statement": proof_file.hash_statement(statement)}
    seal["entry"]["consent"] = compute_part_digest(
        part["salt"], encode_canonical_json(part["content"])
    )
    leaves = [
        hashlib.sha256(encode_canonical_json(one["entry"]).encode()).digest() for one in entries
    ]
    document["paths"] = {
        str(one["entry"]["seq"]): path(place, leaves) for place, one in enumerate(entries)
    }
    document["checkpoint"] = {
        "seq": len(entries),
        "hash": compute_chain_hash(document["previous"], leaves[-1].hex()),
        "root": tree(leaves).hex(),
    }
    made = json.dumps(document).encode()
    faults: list[str] = list(proof.check_proof(made).faults)
    assert independent_check(made) is (faults == [])
    return faults


def test_a_chain_of_ones_own_is_not_told_from_another_without_a_checkpoint(
    made: list[bytes],
) -> None:
    assert forged(made[0], lambda _: None) == []


def test_a_proof_that_claims_what_its_entries_do_not_say_is_found(made: list[bytes]) -> None:
    def claim(document: dict[str, Any]) -> None:
        document["statement"]["record"]["event"][-1]["event_state"] = "dpv:ConsentWithdrawn"

    # The record says the same as the entries, from which anybody can make it anew.
    assert forged(made[0], claim) == ["the consent record does not say what the entries say"]


def test_entries_of_somebody_else_and_in_another_order_are_found(made: list[bytes]) -> None:
    def adopt(document: dict[str, Any]) -> None:
        document["statement"]["entries"][0]["entry"]["subject"] = "0" * 32

    def move(document: dict[str, Any]) -> None:
        document["statement"]["entries"][0]["entry"]["list"] = "other"

    def turn(document: dict[str, Any]) -> None:
        first, second, *_ = document["statement"]["entries"]
        first["entry"]["seq"], second["entry"]["seq"] = 2, 1
        document["keep"] = True

    assert forged(made[0], adopt) == ["entry 1 is not about this person and list"]
    assert forged(made[0], move) == ["entry 1 is not about this person and list"]
    assert "entry 1 is out of order" in forged(made[1], turn)


def test_wordings_that_are_not_there_or_not_named_are_found(made: list[bytes]) -> None:
    def forget(document: dict[str, Any]) -> None:
        document["statement"]["wordings"].popitem()

    def invent(document: dict[str, Any]) -> None:
        text = "Yes to everything"
        document["statement"]["wordings"][hashlib.sha256(text.encode()).hexdigest()] = text

    def forget_all(document: dict[str, Any]) -> None:
        document["statement"]["wordings"].clear()

    for change in (forget, invent, forget_all):
        for fault in forged(made[0], change) or [""]:
            assert "is named and not there, or there and not named" in fault


@pytest.mark.parametrize("check", CHECKS)
def test_a_name_that_stands_twice_is_found(
    made: list[bytes], check: Callable[[bytes], bool]
) -> None:
    assert not check(made[0].replace(b"{", b'{"format": "repermit-proof/1", ', 1))


def test_an_own_entry_that_says_something_else_is_found(made: list[bytes]) -> None:
    def another_act(document: dict[str, Any]) -> None:
        document["seal"]["entry"]["event"] = "exported"

    def another_statement(document: dict[str, Any]) -> None:
        document["seal"]["parts"]["consent"]["content"] = {"digest": "0" * 64}

    def another_list(document: dict[str, Any]) -> None:
        document["seal"]["entry"]["list"] = "other"

    def no_hash(document: dict[str, Any]) -> None:
        document["previous"] = document["previous"].upper()

    def too_early(document: dict[str, Any]) -> None:
        document["statement"]["entries"][0]["entry"]["seq"] = 3
        document["seal"]["entry"]["seq"] = 2
        document["keep"] = True

    early = "the proof's own entry does not stand behind those that it proves"
    assert early in forged(made[0], too_early)
    for change in (another_act, another_list):
        assert forged(made[0], change) == ["entry 2 does not say that this proof was made"]
    assert forged(made[0], another_statement) == [
        "entry 2 was made for another statement than this one"
    ]
    assert forged(made[0], no_hash) == ["the checkpoint's hash does not follow from entry 2"]


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("person", "anna@example.org"),
        ("consent", {"arrived_at": 5}),
        ("consent", {"unseen": "Nieuws"}),
        ("person", {"address": ["anna@example.org"]}),
    ],
)
def test_a_part_that_could_not_be_told_is_no_proof(
    made: list[bytes], part: str, content: Any
) -> None:
    document = json.loads(made[0])
    one = document["statement"]["entries"][0]
    one["parts"][part]["content"] = content
    salt = one["parts"][part]["salt"]
    one["entry"][part] = compute_part_digest(salt, encode_canonical_json(content))
    (fault,) = proof.check_proof(json.dumps(document).encode()).faults
    assert "it is not of the form repermit-proof/1" in fault


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"", "not of the form repermit-proof/1: it is no JSON"),
        (b"\xff", "it is no JSON"),
        (b"[]", "something in it is of another kind"),
        (b'{"a": 1}', "it has a where checkpoint, format,"),
        (b"NaN", "NaN is no JSON"),
        (b'{"a": 1, "a": 2}', "a name stands twice"),
        (b"[" * 100_000, "nested too deeply"),
        (b" " * (proof_file.MAX_SIZE + 1), "more than 50,000,000 octets"),
    ],
)
def test_what_is_no_proof_is_told_as_such(octets: bytes, fault: str) -> None:
    (found,) = proof.check_proof(octets).faults
    assert fault in found


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression, compresslevel=1) as archive:
        for name, octets in files.items():
            archive.writestr(name, octets)
    return made.getvalue()


def test_the_one_proof_in_a_zip_is_checked(made: list[bytes]) -> None:
    files = {"proof.html": b"<p>", "__MACOSX/._proof.json": b"x", "proof.json": made[0]}
    checked = proof.check_proof(zipped(files))
    assert checked.faults == ()
    assert checked.document == json.loads(made[0])
    assert not proof.check_proof(zipped(files), max_bytes=len(made[0])).faults
    (fault,) = proof.check_proof(zipped(files), max_bytes=len(made[0]) - 1).faults
    assert fault == f"unpacked, it has more than {len(made[0]) - 1:,} octets"


def altered(octets: bytes, before: bytes, after: bytes) -> bytes:
    assert before in octets
    return octets.replace(before, after)


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (zipped({"a.html": b"<p>"}), "there is no proof in the ZIP"),
        (zipped({}), "there is no proof in the ZIP"),
        (zipped({"a.json": b"{}", "b.json": b"{}"}), "more than one proof in the ZIP"),
        (zipped({"a.json": b"{}"}, zipfile.ZIP_BZIP2), "packed in an unusual way"),
        (
            zipped({"a.json": b" " * (proof_file.MAX_SIZE + 1)}),
            "unpacked, it has more than 50,000,000",
        ),
        (zipped({"a.json": b"no"}), "it is no JSON"),
        (b"PK\x03\x04 and no more", "the ZIP is broken"),
        # Its directory begins far beyond its end.
        (zipped({"a.json": b"{}"})[:-6] + b"\xff\xff\xff\x7f\0\0", "the ZIP is broken"),
        (altered(zipped({"a.json": b"{}"}), b"\0\0\x08\0", b"\x01\0\x08\0"), "a password"),
        (
            altered(zipped({"a.json": b'{"a": 1}'}, zipfile.ZIP_STORED), b'{"a": 1}', b'{"a": 2}'),
            "the ZIP is broken",
        ),
    ],
)
def test_a_zip_without_just_one_proof_is_told_as_such(octets: bytes, fault: str) -> None:
    (found,) = proof.check_proof(octets).faults
    assert fault in found


def test_a_proof_of_another_format_is_not_judged(made: list[bytes]) -> None:
    document = {**json.loads(made[0]), "format": "repermit-proof/3"}
    (fault,) = proof.check_proof(json.dumps(document).encode()).faults
    assert fault == "its format is 'repermit-proof/3', not repermit-proof/1"


def test_signed_proofs_hold_by_both_checks_and_no_altered_one_does(made: list[bytes]) -> None:
    octets = signed_one(made[0])
    assert own_check(octets)
    assert independent_check(octets)
    document = json.loads(octets)
    changes: tuple[Callable[[dict[str, Any]], Any], ...] = (
        lambda one: one.pop("key"),
        lambda one: one["checkpoint"].pop("note"),
        lambda one: one.update(format="repermit-proof/1"),
        lambda one: one.update(key=str(signed_note.public_key("ask.example.org", bytes(32)))),
        lambda one: one.update(key=one["key"].replace("ask.", "tsk.")),
        lambda one: one["checkpoint"].update(note=one["checkpoint"]["note"] + "\n"),
        lambda one: one["checkpoint"].update(note=one["checkpoint"]["note"].replace("=", "", 1)),
        lambda one: one["checkpoint"].update(note=one["checkpoint"]["note"].partition("—")[0]),
        lambda one: one["checkpoint"].update(
            note=one["checkpoint"]["note"].replace("ask.example.org\n", "tsk.example.org\n", 1)
        ),
    )
    for change in changes:
        altered = json.loads(octets)
        change(altered)
        assert altered != document
        text = json.dumps(altered).encode()
        assert not own_check(text)
        assert not independent_check(text)


def signed_one(octets: bytes) -> bytes:
    """Return a proof as an installation with a key would have made it."""
    document = json.loads(octets)
    signing = make_settings(evidence_key=bytes(range(32)))
    point = Checkpoint.from_json(document)
    document["checkpoint"] = signed_checkpoint.sign(point, signing).to_json()
    document |= {
        "format": "repermit-proof/2",
        "key": str(signed_checkpoint.get_public_key(signing)),
    }
    return json.dumps(document).encode()


def test_an_entry_later_than_its_seal_and_an_event_that_contradicts_itself_are_found(
    made: list[bytes],
) -> None:
    def too_late(document: dict[str, Any]) -> None:
        document["statement"]["entries"][0]["entry"]["at"] = "2031-01-01T00:00:00.000000+00:00"

    def say(name: str, value: str) -> Callable[[dict[str, Any]], None]:
        def change(document: dict[str, Any]) -> None:
            (one,) = (
                e for e in document["statement"]["entries"] if e["entry"]["event"] == "confirmed"
            )
            one["parts"]["consent"]["content"][name] = value
            part = one["parts"]["consent"]
            one["entry"]["consent"] = compute_part_digest(
                part["salt"], encode_canonical_json(part["content"])
            )

        return change

    assert "entry 1 has a later time than the proof's own" in forged(made[0], too_late)
    for name, value in (("basis", "customer"), ("basis", "nobody"), ("answer", "no")):
        assert "entry 1 says what its event cannot" in forged(made[0], say(name, value))


@pytest.mark.parametrize(
    "number", ["1.0", "1e0", "-0", "01", "9007199254740992", "NaN", "9" * 5000]
)
@pytest.mark.parametrize("check", CHECKS)
def test_a_number_in_another_form_is_refused(
    made: list[bytes], check: Callable[[bytes], bool], number: str
) -> None:
    text = json.dumps(json.loads(made[0]))
    changed = text.replace('"campaign": 1,', f'"campaign": {number},')
    assert changed != text
    assert not check(changed.encode())
