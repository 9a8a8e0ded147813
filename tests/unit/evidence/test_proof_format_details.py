"""Each detail of the proof format: `verify` and both independent verifiers say the same of it."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import json
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from repermit.evidence import timestamps
from repermit.evidence.entries import (
    PARTS,
    compute_chain_hash,
    compute_part_digest,
    encode_canonical_json,
)
from repermit.evidence.merkle import compute_root
from repermit.evidence.signed_note import Note, PublicKey, compute_key_id
from repermit.evidence.verify import evidence_export, proof
from tests.support import independent_export, independent_signatures, independent_verifier
from tests.support.javascript_verifier import JavaScriptVerifier
from tests.support.timestamp_authority import Authority
from tests.unit.evidence.test_proof_verifiers_agree import SIGNING, sealed_anew

REFERENCE = Path(__file__).parents[3] / "docs/reference"
SAMPLE = (REFERENCE.parents[1] / "tests/data/cosigned-proof.json").read_text("utf-8")
REFUSALS = (ValueError, LookupError, TypeError, AttributeError)
Document = dict[str, Any]


def all_say(octets: bytes, javascript: JavaScriptVerifier, *, is_export: bool = False) -> set[bool]:
    """Return what the three say of a file: whether it holds."""
    if is_export:
        faults = evidence_export.check_export(io.BytesIO(octets)).faults
    else:
        faults = proof.check_proof(octets).faults
    module = independent_export if is_export else independent_verifier
    try:
        module.check(octets)
        is_held = True
    except REFUSALS:
        is_held = False
    return {not faults, is_held, javascript.check(octets)["holds"]}


def put(document: Document, path: tuple[str | int, ...], value: Any) -> None:
    holder: Any = document
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value


def seal(document: Document, *, remake: bool = True) -> Document:
    """Seal a proof anew, without a signature, which takes long to check."""
    sealed_anew(document, SIGNING, remake=remake)
    del document["key"], document["checkpoint"]["note"]
    return document


# --- JSON. ----------------------------------------------------------------------------------------


def make_proof() -> Document:
    document: Document = json.loads(SAMPLE)
    content = document["statement"]["entries"][0]["parts"]["consent"]["content"]
    content["more"] = "a line\nand \U0001f600 at https://x.example"
    return seal(document)


def make_entry(seq: int, event: str = "launched", **told: Any) -> Document:
    """Return a held entry of an export; what is said of its fields is put there."""
    names = ("list", "subject", "actor")
    fields = {name: told.pop(name) for name in names if name in told}
    content = told.pop("content", {})
    part = {"salt": "0" * 32, "content": content}
    entry = {
        "seq": seq,
        "at": "2026-03-02T09:00:00.000000+00:00",
        "event": event,
        "list": "news",
        "campaign": 1,
        "subject": "",
        "actor": "cli:1000",
        "person": "",
        "trace": "",
        **fields,
        "consent": compute_part_digest("0" * 32, encode_canonical_json(content)) if content else "",
        **told,
    }
    return {"entry": entry, "parts": {"consent": part} if content else {}}


def make_export(*entries: Document, wordings: Mapping[str, str] | None = None) -> Document:
    """Return an export without a key, of a record that has just these entries."""
    leaves = [
        hashlib.sha256(encode_canonical_json(one["entry"]).encode()).digest() for one in entries
    ]
    its_hash = reduce(compute_chain_hash, (leaf.hex() for leaf in leaves), "0" * 64)
    return {
        "format": "repermit-evidence/1",
        "list": "news",
        "checkpoint": {"seq": len(leaves), "hash": its_hash, "root": compute_root(leaves).hex()},
        "entries": list(entries),
        "wordings": dict(wordings or {}),
        "leaves": [leaf.hex() for leaf in leaves],
    }


def make_plain_export() -> Document:
    return make_export(
        make_entry(1, content={"more": "a line\nand \U0001f600 at https://x.example"})
    )


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


TEXTS: list[tuple[Callable[[str], str | bytes], bool]] = [
    (lambda text: text, True),
    (lambda text: json.dumps(json.loads(text), ensure_ascii=False), True),
    (lambda text: json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")), True),
    (replaced("{", "\t\r\n {\t\r\n "), True),
    (lambda text: text + " \n", True),
    (replaced("{", "{\u00a0"), False),
    (replaced("{", "{\f"), False),
    (replaced("{", "{/* */"), False),
    (lambda text: "\ufeff" + text, False),
    (lambda text: text.encode("utf-16"), False),
    (lambda text: text.encode() + b"\xff", False),
    (lambda text: text.encode().replace(b'"news"', b'"n\xffews"', 1), False),
    (lambda text: text + "{}", False),
    (lambda text: text + "\0", False),
    (lambda text: f"[{text}]", False),
    (lambda text: text[:-1] + ",}", False),
    (lambda text: text[:-1], False),
    # Names.
    (replaced('"format"', '"form\\u0061t"'), True),
    (lambda text: text[:-1] + ', "format": "x"}', False),
    (lambda text: text[:-1] + ', "form\\u0061t": "x"}', False),
    (replaced('"list": "news"', '"list": "news", "list": "news"'), False),
    (replaced('"list": "news"', '"list": "news", "l\\u0069st": "news"'), False),
    (replaced('"list": "news"', '"list": "news", "__proto__": {}'), False),
    (replaced('"list": "news"', "'list': \"news\""), False),
    # Texts.
    (replaced('"news"', '"\\u006Eews"'), True),
    (replaced("https://", "https:\\/\\/"), True),
    (replaced("line\\n", "line\n"), False),
    (replaced("line\\n", "line\\u000A"), True),
    (replaced('"news"', '"\\x6eews"'), False),
    (replaced('"news"', '"\\U006eews"'), False),
    (replaced('"news"', '"\\u6eews"'), False),
    (replaced('"news"', '"news"" "'), False),
    (replaced("\\ud83d\\ude00", "\\uD83D\\uDE00"), True),
    (replaced("\\ud83d\\ude00", "\\ude00\\ud83d"), False),
    (replaced("\\ud83d\\ude00", "\\ud83d"), False),
    # Numbers.
    *(
        (replaced('"campaign": 1', f'"campaign": {number}'), False)
        for number in ("1.0", "1e0", "10E-1", "01", "+1", "0x1", "1.", "1_", "\uff11", "NaN", '"1"')
    ),
    (replaced('"campaign": 1', '"campaign":1'), True),
]


@pytest.mark.parametrize("make", [make_proof, make_plain_export])
@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_all_three_read_the_same_json(
    javascript: JavaScriptVerifier, make: Callable[[], Document], number: int
) -> None:
    change, holds = TEXTS[number]
    text = json.dumps(make())
    changed = change(text)
    octets = changed if isinstance(changed, bytes) else changed.encode()
    assert number == 0 or changed != text
    is_export = make is make_plain_export
    assert all_say(octets, javascript, is_export=is_export) == {holds}


@pytest.mark.parametrize("make", [make_proof, make_plain_export])
def test_half_of_a_character_is_not_read_as_the_sign_for_what_is_none(
    javascript: JavaScriptVerifier, make: Callable[[], Document]
) -> None:
    is_export = make is make_plain_export
    content = {"more": "\ufffd"}
    document = make_export(make_entry(1, content=content)) if is_export else make_proof()
    if not is_export:
        document["statement"]["entries"][0]["parts"]["consent"]["content"]["more"] = "\ufffd"
        seal(document)
    text = json.dumps(document)
    for sign, holds in (("\\ufffd", True), ("\\ud800", False), ("\\udfff", False)):
        octets = text.replace("\\ufffd", sign).encode()
        assert all_say(octets, javascript, is_export=is_export) == {holds}


# --- Types and shapes, all sealed anew. -----------------------------------------------------------

ENTRY = ("statement", "entries", 0, "entry")
CONTENT = ("statement", "entries", 0, "parts", "consent", "content")
SHAPES: list[tuple[tuple[str | int, ...], Any, bool]] = [
    # Null and absent.
    ((*CONTENT, "note"), None, True),
    ((*CONTENT, "more"), {"deeper": [None, {"x": None}]}, True),
    ((*CONTENT, "unseen"), None, False),
    ((*CONTENT, "unseen"), {"purpose": "x", "language": None, "more": 1}, True),
    ((*CONTENT, "unseen"), {"purpose": None}, False),
    ((*CONTENT, "unseen"), {"purpose": "x", "language": False}, False),
    ((*CONTENT, "unseen"), [], False),
    ((*CONTENT, "sensitive"), 0, False),
    ((*CONTENT, "sensitive"), "", False),
    ((*CONTENT, "answer"), "", True),
    ((*CONTENT, "answer"), ["yes"], False),
    ((*CONTENT, "answer"), "Yes", False),
    ((*CONTENT, "mail_wording"), None, False),
    ((*CONTENT, "arrived_at"), "any text", True),
    ((*CONTENT, "more"), 2**53 - 1, True),
    ((*CONTENT, "more"), 1 - 2**53, True),
    ((*CONTENT, "more"), 2**53, False),
    ((*CONTENT, "more"), 'e\u0301 \u2028 \u007f \u001f / \\ "', True),
    (CONTENT, [], False),
    # An entry.
    ((*ENTRY, "campaign"), 0, True),
    ((*ENTRY, "campaign"), -1, False),
    ((*ENTRY, "campaign"), True, False),
    ((*ENTRY, "campaign"), None, False),
    ((*ENTRY, "event"), "", True),
    ((*ENTRY, "event"), "constructor", True),
    ((*ENTRY, "event"), 1, False),
    ((*ENTRY, "actor"), "", True),
    ((*ENTRY, "actor"), None, False),
    ((*ENTRY, "list"), "", False),
    ((*ENTRY, "subject"), "", False),
    ((*ENTRY, "more"), "", False),
    # The statement.
    (("statement", "retention", "pii"), "", True),
    (("statement", "retention", "pii"), 7, False),
    (("statement", "retention", "more"), "", False),
    (("statement", "controller", "__proto__"), "x", True),
    (("statement", "controller", "name"), None, False),
    (("statement", "named"), {"salt": "", "digest": ""}, True),
    (("statement", "named", "salt"), "", False),
    (("statement", "named", "salt"), "A" * 32, False),
    (("statement", "named"), None, False),
    (("statement", "register"), None, False),
    (("statement", "subject"), "user:1", False),
    (("statement", "wordings", "x"), "x", False),
    # The seal.
    (("seal", "entry", "actor"), "", True),
    (("seal", "entry", "event"), "confirmed", False),
    (("seal", "entry", "person"), "0" * 64, False),
    (("seal", "parts", "trace"), {"salt": "0" * 32, "content": {}}, False),
    (("seal", "parts", "consent", "salt"), "0" * 31 + "A", False),
]


@pytest.mark.parametrize(("path", "value", "holds"), SHAPES)
def test_all_three_take_the_same_shapes(
    javascript: JavaScriptVerifier, path: tuple[str | int, ...], value: Any, holds: bool
) -> None:
    document: Document = json.loads(SAMPLE)
    put(document, path, value)
    try:
        seal(document)
    except REFUSALS:
        # No record follows from what has another shape.
        assert not holds
        document = json.loads(SAMPLE)
        put(document, path, value)
        seal(document, remake=False)
    assert all_say(json.dumps(document).encode(), javascript) == {holds}


TIMES = {
    # The seal is of 1 April 2026, 9:00.
    "2026-04-02T09:00:00.000000+00:00": True,
    "2026-04-02T09:00:00.000001+00:00": False,
    "0001-01-01T00:00:00.000000+00:00": True,
    "2024-02-29T23:59:59.999999+00:00": True,
    "0000-01-01T00:00:00.000000+00:00": False,
    "2023-02-29T00:00:00.000000+00:00": False,
    "2026-03-00T00:00:00.000000+00:00": False,
    "2026-13-01T00:00:00.000000+00:00": False,
    "2026-03-03T24:00:00.000000+00:00": False,
    "2026-03-03T23:60:00.000000+00:00": False,
    "2026-03-03T23:59:60.000000+00:00": False,
    "2026-03-03T09:00:00.00000+00:00": False,
    "2026-03-03T09:00:00.0000000+00:00": False,
    "2026-03-03T09:00:00+00:00": False,
    "2026-03-03T09:00:00,000000+00:00": False,
    "2026-03-03T09:00:00.000000Z": False,
    "2026-03-03T09:00:00.000000-00:00": False,
    "2026-03-03T10:00:00.000000+01:00": False,
    "2026-03-03t09:00:00.000000+00:00": False,
    "2026-03-03 09:00:00.000000+00:00": False,
    "2026-03-03T09:00:00.000000+00:00\n": False,
    "\u0662026-03-03T09:00:00.000000+00:00": False,
    "20260303T090000.000000+00:00": False,
}


@pytest.mark.parametrize("at", TIMES)
def test_all_three_and_the_schemas_take_the_same_times(
    javascript: JavaScriptVerifier, at: str
) -> None:
    document: Document = json.loads(SAMPLE)
    put(document, (*ENTRY, "at"), at)
    seal(document)
    assert all_say(json.dumps(document).encode(), javascript) == {TIMES[at]}
    entry = make_entry(1)
    entry["entry"]["at"] = at
    export = make_export(entry)
    # In an export no entry has a later time than it should.
    is_time = TIMES[at] or at.endswith("1+00:00")
    assert all_say(json.dumps(export).encode(), javascript, is_export=True) == {is_time}
    # Which days a month has no pattern says.
    if at != "2023-02-29T00:00:00.000000+00:00":
        assert make_schema("proof").is_valid(document) == is_time
        assert make_schema("evidence").is_valid(export) == is_time


def make_schema(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        json.loads((REFERENCE / f"{name}.schema.json").read_text("utf-8"))
    )


# --- Trees. ---------------------------------------------------------------------------------------


def test_a_path_is_an_array_and_nothing_else(javascript: JavaScriptVerifier) -> None:
    document: Document = json.loads(SAMPLE)
    point, (cosigned,) = document["checkpoint"], document["cosigned"]
    root = base64.b64decode(cosigned["note"].split("\n")[2]).hex()
    own, earlier = {"seq": point["seq"], "root": point["root"]}, {"seq": 1, "root": root}
    (step,) = path = cosigned["path"]
    unfit: tuple[Any, ...] = ({}, "", None, path)
    too_long: tuple[Any, ...] = ([], {step: 1}, [*path, step])
    cases: tuple[tuple[Any, bool], ...] = (
        ({"earlier": own, "path": []}, True),
        *(({"earlier": own, "path": other}, False) for other in unfit),
        ({"earlier": {**own, "root": root}, "path": []}, False),
        ({"earlier": earlier, "path": path}, True),
        *(({"earlier": earlier, "path": other}, False) for other in too_long),
        ({"earlier": {**earlier, "seq": 0}, "path": path}, False),
        ({"earlier": {**earlier, "seq": 3}, "path": path}, False),
        ({"earlier": {**earlier, "seq": True}, "path": path}, False),
    )
    for shown, holds in cases:
        octets = json.dumps({**document, "consistency": shown}).encode()
        assert all_say(octets, javascript) == {holds}, shown
    others: tuple[Any, ...] = ({step: 1}, step, None, [])
    for given in others:
        octets = json.dumps({**document, "cosigned": [{**cosigned, "path": given}]}).encode()
        assert all_say(octets, javascript) == {False}, given
        changed = {**document["paths"], "1": given}
        assert all_say(json.dumps({**document, "paths": changed}).encode(), javascript) == {False}
    for name in ("01", "1 ", "one"):
        renamed = {name: document["paths"]["1"], "2": document["paths"]["2"]}
        assert all_say(json.dumps({**document, "paths": renamed}).encode(), javascript) == {False}


def test_a_last_entry_that_is_the_seal_says_nothing_more(javascript: JavaScriptVerifier) -> None:
    document: Document = json.loads(SAMPLE)
    seal = document["seal"]
    for last, holds in (({**seal, "parts": {}}, True), (seal, False), (None, False)):
        assert all_say(json.dumps({**document, "last": last}).encode(), javascript) == {holds}


# --- Keys, notes, timestamps. ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["timestamps", "cosigned", "key", "consistency", "last"])
@pytest.mark.parametrize("value", [None, [], {}, "", [None], [{}]])
def test_what_is_absent_has_no_name(javascript: JavaScriptVerifier, name: str, value: Any) -> None:
    octets = json.dumps({**json.loads(SAMPLE), name: value}).encode()
    assert all_say(octets, javascript) == {False}


def test_the_schemas_take_just_the_keys_that_all_three_take(
    javascript: JavaScriptVerifier,
) -> None:
    octets = bytes(PublicKey.read(json.loads(SAMPLE)["key"]).public)
    names = ("ask.example.org", "a\u00a0b", "a\u3000b", "a\ufeffb", "a\x7fb", "a\x1fb", "a+b", "")
    kinds = (b"\1", b"\4")
    keys = [
        "+".join(
            (
                name,
                compute_key_id(name, octets, kind).hex(),
                base64.b64encode(kind + octets).decode(),
            )
        )
        for name, kind in itertools.product(names, kinds)
    ]
    right = keys[0]
    keys += [right[:-1], right + "A", right.replace("+48", "+4G"), right + "=", f" {right}", ""]
    for key in keys:
        document = {**json.loads(SAMPLE), "key": key}
        assert all_say(json.dumps(document).encode(), javascript) == {key == right}
        assert make_schema("proof").is_valid(document) == (key == right), key
        export = {**make_plain_export(), "key": key}
        export["checkpoint"]["note"] = document["checkpoint"]["note"]
        assert make_schema("evidence").is_valid(export) == (key == right), key


def test_a_signature_that_holds_only_eightfold_is_refused(javascript: JavaScriptVerifier) -> None:
    document: Document = json.loads(SAMPLE)
    text = Note.read(document["checkpoint"]["note"]).text
    order, base = independent_signatures.ORDER, independent_signatures.BASE
    # A point of order 2 beside one of large order: of some numbers it shows, of others it does not.
    own = independent_signatures.add(independent_signatures.times(5, base), (0, -1, 1, 0))
    public = encode_point(own)
    found = set()
    for secret in range(1, 40):
        start = encode_point(independent_signatures.times(secret, base))
        digest = hashlib.sha512(start + public + text.encode()).digest()
        number = int.from_bytes(digest, "little") % order
        made = start + ((secret + number * 5) % order).to_bytes(32, "little")
        line = base64.b64encode(compute_key_id("mixed", public) + made).decode()
        document["checkpoint"]["note"] = f"{text}\n— mixed {line}\n"
        document["key"] = str(PublicKey("mixed", public))
        holds = number % 2 == 0
        assert all_say(json.dumps(document).encode(), javascript) == {holds}
        found.add(holds)
        if found == {True, False}:
            return
    pytest.fail("no such number")


def encode_point(point: independent_signatures.Point) -> bytes:
    by, p = pow(point[2], -1, independent_signatures.P), independent_signatures.P
    x, y = (one * by % p for one in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")


def test_all_three_read_the_same_notes(javascript: JavaScriptVerifier, tmp_path: Path) -> None:
    document, authority = json.loads(SAMPLE), Authority(tmp_path)
    origin, seq, root, chain = Note.read(document["checkpoint"]["note"]).text.splitlines()
    for lines, holds in (
        ((origin, seq, root, chain, ""), True),
        (("+ any \u00a0 \x7f origin", seq, root, chain, ""), True),
        (("", seq, root, chain, ""), False),
        (("a\tb", seq, root, chain, ""), False),
        (("a\rb", seq, root, chain, ""), False),
        ((origin, f"0{seq}", root, chain, ""), False),
        ((origin, f"+{seq}", root, chain, ""), False),
        ((origin, f"{seq} ", root, chain, ""), False),
        ((origin, seq, root.rstrip("="), chain, ""), False),
        ((origin, seq, f"{root[:-2]}{chr(ord(root[-2]) + 1)}=", chain, ""), False),
        ((origin, seq, root, chain.upper(), ""), False),
        ((origin, seq, root, chain.replace(" ", "  "), ""), False),
        ((origin, seq, root, chain), False),
        ((origin, seq, root, chain, "more", ""), False),
        ((origin, seq, root, f"{chain}\r", ""), False),
    ):
        note = "\n".join(lines)
        reply = timestamps.encode(authority.reply_over(note))
        stamps = [{"note": note, "path": [], "reply": reply}]
        signed = {**document, "timestamps": stamps}
        unsigned = {name: one for name, one in signed.items() if name != "key"}
        point = dict(document["checkpoint"])
        del point["note"]
        for given in (signed, {**unsigned, "checkpoint": point}):
            assert all_say(json.dumps(given).encode(), javascript) == {holds}, lines


def test_all_three_read_the_same_signature_lines(javascript: JavaScriptVerifier) -> None:
    document: Document = json.loads(SAMPLE)
    (cosigned,) = document["cosigned"]
    note = cosigned["note"]
    for line, holds in (
        ("— x\u00a0y MTIzNDU=\n", True),
        ("— x MTIzNA==\n", False),
        ("— x MTIzNDU\n", False),
        ("— x MTIzNDV=\n", False),
        ("— x  MTIzNDU=\n", False),
        ("— x MTIzNDU= \n", False),
        ("—  MTIzNDU=\n", False),
        ("— x+y MTIzNDU=\n", False),
        ("- x MTIzNDU=\n", False),
        ("— x MTIzNDU=", False),
        ("— x MTIzNDU=\r\n", False),
        ("— x MTIzNDU=\n\n", False),
        ("\n", False),
    ):
        octets = json.dumps({**document, "cosigned": [{**cosigned, "note": note + line}]}).encode()
        assert all_say(octets, javascript) == {holds}, line


# --- An export of the evidence. -------------------------------------------------------------------

SUBJECTS = ("", "job", "nobody", "x y", "y", "ab" * 16)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_gone_by_an_erasure_of_its_person_or_by_the_job(
    javascript: JavaScriptVerifier, name: str
) -> None:
    parts = (name, f"{name} x", f'{name}","x', [name], "person")
    for subject, by, actor, part in itertools.product(SUBJECTS, SUBJECTS, ("job", "x"), parts):
        gone = make_entry(1, subject=subject, **{name: "0" * 64})
        content = {"seqs": [1], "parts": [part]}
        erased = make_entry(2, "erased", subject=by, actor=actor, list="other", content=content)
        is_own = subject == by != ""
        is_due = by == "" and actor == "job" and name != "person"
        document = make_export(gone, erased)
        holds = part == name and (is_own or is_due)
        said = all_say(json.dumps(document).encode(), javascript, is_export=True)
        assert said == {holds}, (subject, by, actor, part)


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        ({"seqs": [1, 1, 9, "x", None], "parts": ["trace", "x", None, {}]}, True),
        ({"seqs": ["1"], "parts": ["trace"]}, False),
        ({"seqs": [True], "parts": ["trace"]}, False),
        ({"seqs": [[1]], "parts": ["trace"]}, False),
        ({"seqs": [2], "parts": ["trace"]}, False),
        ({"seqs": 1, "parts": ["trace"]}, False),
        ({"seqs": {"1": 1}, "parts": ["trace"]}, False),
        ({"seqs": [1], "parts": "trace"}, False),
        ({"seqs": [1], "parts": {"trace": 1}}, False),
        ({"seqs": [1], "parts": [["trace"]]}, False),
        ({"parts": ["trace"]}, False),
    ],
)
def test_an_erasure_names_entries_by_number_and_parts_by_name(
    javascript: JavaScriptVerifier, content: Document, holds: bool
) -> None:
    erased = make_entry(2, "erased", actor="job", content=content)
    document = make_export(make_entry(1, trace="0" * 64), erased)
    assert all_say(json.dumps(document).encode(), javascript, is_export=True) == {holds}


def test_an_erasure_names_no_later_entry(javascript: JavaScriptVerifier) -> None:
    content = {"seqs": [2], "parts": ["trace"]}
    erased = make_entry(1, "erased", actor="job", content=content)
    document = make_export(erased, make_entry(2, trace="0" * 64))
    assert all_say(json.dumps(document).encode(), javascript, is_export=True) == {False}


@pytest.mark.parametrize(
    ("event", "slug", "holds"),
    [
        *((event, "", True) for event in sorted(evidence_export.EVENTS_BESIDE)),
        *((event, "other", False) for event in sorted(evidence_export.EVENTS_BESIDE)),
        *(("erased", slug, True) for slug in ("", "other")),
        *(("launched", slug, False) for slug in ("", "other", "News")),
    ],
)
def test_an_entry_is_about_the_list_or_one_of_those_beside(
    javascript: JavaScriptVerifier, event: str, slug: str, holds: bool
) -> None:
    document = make_export(make_entry(1, event, list=slug))
    assert all_say(json.dumps(document).encode(), javascript, is_export=True) == {holds}


WORDING = "Ja, ik wil nieuws."
DIGEST = hashlib.sha256(WORDING.encode()).hexdigest()


@pytest.mark.parametrize(
    ("content", "is_named"),
    [
        ({"x_wording": DIGEST}, True),
        ({"wordings": DIGEST}, True),
        ({"line\nwording": DIGEST}, True),
        ({"a": {"b": {"told": DIGEST}}}, True),
        ({"told": {"a": {"b": DIGEST}}}, True),
        ({"told": [DIGEST]}, False),
        ({"told": {"a": [{"b": DIGEST}]}}, False),
        ({"a": [{"told": DIGEST}]}, False),
        ({'a"wording': DIGEST}, False),
        ({"Wording": DIGEST}, False),
        ({"wording ": DIGEST}, False),
        ({"wording": DIGEST.upper()}, False),
        ({"wording": f" {DIGEST}"}, False),
        ({"a": DIGEST, DIGEST: "wording"}, False),
    ],
)
def test_a_wording_is_there_if_a_part_names_it(
    javascript: JavaScriptVerifier, content: Document, is_named: bool
) -> None:
    for wordings in ({}, {DIGEST: WORDING}):
        document = make_export(make_entry(1, content=content), wordings=wordings)
        said = all_say(json.dumps(document).encode(), javascript, is_export=True)
        assert said == {bool(wordings) == is_named}


def test_all_three_take_the_same_exports_of_another_shape(javascript: JavaScriptVerifier) -> None:
    document = make_plain_export()
    for change, holds in (
        ({"entries": []}, True),
        ({"entries": {}}, False),
        ({"entries": None}, False),
        ({"list": None}, False),
        ({"leaves": {}}, False),
        ({"leaves": document["leaves"] * 2}, False),
        ({"leaves": [document["leaves"][0].upper()]}, False),
        ({"wordings": []}, False),
        ({"more": 1}, False),
        ({"format": "repermit-evidence/2"}, False),
        ({"checkpoint": {**document["checkpoint"], "seq": True}}, False),
        ({"checkpoint": {**document["checkpoint"], "note": ""}}, False),
        ({"timestamps": []}, False),
        ({"cosigned": None}, False),
        ({"key": None}, False),
    ):
        said = all_say(json.dumps({**document, **change}).encode(), javascript, is_export=True)
        assert said == {holds}, change
    empty = make_export()
    assert all_say(json.dumps(empty).encode(), javascript, is_export=True) == {False}
