"""Checkpoints as signed notes: what is signed, what is read, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import jsonschema_rs
import pytest

from repermit.evidence import signed_checkpoint, signed_note
from repermit.evidence.entries import Checkpoint
from repermit.evidence.signed_note import Note, PublicKey
from tests.support.builders import make_settings

# The example of https://pkg.go.dev/golang.org/x/mod/sumdb/note.
NEUMANN = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
NOTE = (
    f"{TEXT}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
)

SIGNING = make_settings(evidence_key=bytes(range(32)))
KEY = signed_checkpoint.get_public_key(SIGNING)
CHECKPOINT = Checkpoint(
    seq=12, hash=hashlib.sha256(b"hash").hexdigest(), root=hashlib.sha256(b"root").hexdigest()
)
SIGNED = signed_checkpoint.sign(CHECKPOINT, SIGNING)
SCHEMA = Path(__file__).parents[3] / "docs/reference/checkpoint.schema.json"


def test_it_signs_as_the_reference_of_signed_notes_does() -> None:
    assert signed_note.sign_note(TEXT, name="PeterNeumann", seed=SEED) == NOTE
    assert str(signed_note.public_key("PeterNeumann", SEED)) == NEUMANN
    key = PublicKey.read(NEUMANN)
    assert Note.read(NOTE).list_signers([key]) == [key]


def test_a_checkpoint_is_origin_size_root_and_hash_under_a_signature() -> None:
    text, _, line = SIGNED.note.partition("\n\n")
    assert text.split("\n") == [
        "ask.example.org",
        "12",
        base64.b64encode(bytes.fromhex(CHECKPOINT.root)).decode(),
        f"repermit-chain-hash {CHECKPOINT.hash}",
    ]
    mark, name, told = line.split(" ")
    assert KEY
    public_id = hashlib.sha256(b"ask.example.org\n\x01" + KEY.public).digest()[:4]
    assert (mark, name, base64.b64decode(told)[:4]) == ("—", "ask.example.org", public_id)
    assert signed_checkpoint.list_signers(SIGNED, [KEY]) == [KEY]


def test_without_a_key_nothing_is_signed_and_json_is_as_before() -> None:
    assert signed_checkpoint.sign(CHECKPOINT, make_settings()).to_json() == {
        "seq": 12,
        "hash": CHECKPOINT.hash,
        "root": CHECKPOINT.root,
    }


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://www.example.org/ask", "www.example.org/ask"),
        ("http://127.0.0.1:8000", "127.0.0.1:8000"),
        ("https://example.org/a+b", "example.org/a%2Bb"),
    ],
)
def test_the_origin_is_the_address_of_the_pages(url: str, origin: str) -> None:
    settings = replace(SIGNING, public_url=url)
    key = signed_checkpoint.get_public_key(settings)
    assert key
    assert key.name == origin
    assert PublicKey.read(str(key)) == key
    signed = signed_checkpoint.sign(CHECKPOINT, settings)
    assert signed_checkpoint.read_note(signed.note) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        SIGNED.note,
        f"\n\n{SIGNED.note}\n",
        SIGNED.note.replace("\n", "\r\n"),
        f"\ufeff{SIGNED.note}",
        json.dumps(SIGNED.to_json()),
        json.dumps({"list": "news", "checkpoint": SIGNED.to_json()}),
        json.dumps(CHECKPOINT.to_json()),
        json.dumps(CHECKPOINT.to_json()).upper().replace("SEQ", "seq"),
        json.dumps(CHECKPOINT.to_json()).replace(CHECKPOINT.hash[:16], f"{CHECKPOINT.hash[:16]} "),
        json.dumps({**CHECKPOINT.to_json(), "note": ""}),
    ],
)
def test_both_forms_are_read(text: str) -> None:
    found = signed_checkpoint.read_checkpoint_copy(text)
    assert found == CHECKPOINT
    assert found.note in {"", SIGNED.note}


ANOTHER = replace(CHECKPOINT, seq=13)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "checkpoint",
        "{}",
        "[" * 100_000,
        NOTE,
        SIGNED.note.replace("\n12\n", "\n012\n"),
        SIGNED.note.replace("\n12\n", "\n12\n\n"),
        SIGNED.note.replace("repermit-chain-hash", "chain-hash"),
        SIGNED.note.partition("—")[0],
        json.dumps({**ANOTHER.to_json(), "note": SIGNED.note}),
        json.dumps({**CHECKPOINT.to_json(), "note": 7}),
        json.dumps({**CHECKPOINT.to_json(), "note": "x"}),
    ],
)
def test_what_holds_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        signed_checkpoint.read_checkpoint_copy(text)


def test_no_other_key_signed_and_an_altered_note_is_refused() -> None:
    assert KEY
    other = signed_note.public_key("ask.example.org", bytes(32))
    assert signed_checkpoint.list_signers(SIGNED, [other]) == []
    altered = SIGNED.note.replace("\n12\n", "\n13\n")
    with pytest.raises(ValueError, match="is not by the key that it names"):
        signed_checkpoint.list_signers(replace(ANOTHER, note=altered), [KEY])
    with pytest.raises(ValueError, match="another checkpoint"):
        signed_checkpoint.list_signers(replace(ANOTHER, note=SIGNED.note), [KEY])


def test_a_witness_may_have_signed_below() -> None:
    assert KEY
    line = "— witness.example " + base64.b64encode(b"\x00\x01\x02\x03" + bytes(72)).decode() + "\n"
    found = signed_checkpoint.read_checkpoint_copy(SIGNED.note + line)
    assert found == CHECKPOINT
    assert signed_checkpoint.list_signers(found, [KEY]) == [KEY]


@pytest.mark.parametrize(
    "text",
    [
        "",
        NEUMANN.replace("c74f20a3", "c74f20a4"),
        NEUMANN[:-4],
        NEUMANN + "=",
        NEUMANN.replace("+ARpc", "+Ahpc"),
        NEUMANN.replace("PeterNeumann", "Peter Neumann"),
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PublicKey.read(text)


def test_a_checkpoint_is_of_the_published_schema() -> None:
    schema = jsonschema_rs.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    for point in (CHECKPOINT.to_json(), SIGNED.to_json()):
        assert schema.is_valid(point)
        assert schema.is_valid({"checkpoint": point, "list": "news"})
        assert not schema.is_valid({**point, "hash": "x"})
    assert not schema.is_valid({**SIGNED.to_json(), "note": SIGNED.note.replace("\n\n", "\n")})
