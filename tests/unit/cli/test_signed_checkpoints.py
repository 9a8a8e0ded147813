"""Signed checkpoints and proofs at the command line: `verify --checkpoint`, `verify --key`."""

from __future__ import annotations

import base64
import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repermit.db.models.evidence import Evidence, EvidenceHead, EvidencePart, EvidenceTimestamp
from repermit.evidence import (
    chain,
    evidence_key,
    signed_checkpoint,
    signed_note,
    timestamp_authority,
    timestamp_token,
    timestamps,
)
from repermit.evidence.chain_reader import try_compute_leaf
from repermit.evidence.entries import Entry
from repermit.evidence.merkle import Frontier
from repermit.settings import config_file
from tests.support.builders import NOW, make_contact
from tests.support.desk import Desk
from tests.support.timestamp_authority import Authority
from tests.unit.cli.test_proof import proved

ANNA = "anna@example.org"
SEED = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
OTHER = base64.b64encode(bytes(32)).decode()


def set_key(desk: Desk, seed: str = SEED) -> None:
    """Put the key into config.toml, in place of the one that was there."""
    lines = desk.config.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("evidence_key")]
    desk.config.write_text("\n".join([f'evidence_key = "{seed}"', *kept]), "utf-8")


@pytest.fixture
def signing(desk: Desk) -> Desk:
    """Return a desk whose checkpoints are signed, and of whose list Anna said No by phone."""
    set_key(desk)
    desk.add_news()
    with desk.news() as (database, mailing_list):
        make_contact(database, mailing_list, ANNA)
    desk.do("answer", "news", ANNA, "no", "--note", "by phone, to Els")
    return desk


def key_of(desk: Desk) -> str:
    return str(signed_checkpoint.get_public_key(desk.settings))


def append(desk: Desk) -> None:
    with desk.database() as database, database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 1}))


def keep(desk: Desk, name: str) -> Path:
    """Keep the present checkpoint as its signed note."""
    point = json.loads(desk.do("verify", "--json"))["checkpoint"]
    path = desk.folder / name
    path.write_text(point["note"], "utf-8")
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "--json"),
        ("status", "news", "--json"),
    ],
)
def test_a_checkpoint_is_printed_with_its_note(signing: Desk, command: tuple[str, ...]) -> None:
    point = json.loads(signing.do(*command))["checkpoint"]
    key = signed_checkpoint.get_public_key(signing.settings)
    assert key
    found = signed_checkpoint.read_checkpoint_copy(json.dumps(point))
    assert signed_checkpoint.list_signers(found, [key]) == [key]


def test_the_line_that_verify_prints_is_signed_and_read_again(signing: Desk) -> None:
    *_, last = signing.do("verify").splitlines()
    kept = signing.file(last, name="kept.json")
    told = signing.do("verify", "--checkpoint", kept, "--key", key_of(signing))
    assert f"checkpoint at entry 2, signed with {key_of(signing)}.\n" in told


def test_a_checkpoint_alone_tells_who_signed_it_and_that_no_record_was_compared(
    signing: Desk,
) -> None:
    note = keep(signing, "kept.note")
    *_, last = signing.do("verify").splitlines()
    line = signing.file(last, name="kept.json")
    for path in (str(note), line):
        told = signing.do("verify", path, "--key", key_of(signing))
        assert f"{path} is a checkpoint alone, at entry 2.\n" in told
        assert f"It is signed with a key that you know: {key_of(signing)}\n" in told
        assert "No record was compared with it" in told
        reason = signing.refused("verify", path)
        assert "Nothing was checked: say --key KEY or --checkpoint FILE." in reason
        reason = signing.refused("verify", path, "--key", str(forged_key()))
        assert "has no valid signature of a key that you know" in reason
    assert "It agrees with your checkpoint" in signing.do("verify", line, "--checkpoint", str(note))
    append(signing)
    later = keep(signing, "later.note")
    reason = signing.refused("verify", str(later), "--checkpoint", str(note))
    assert "cannot be told from the file" in reason
    document = json.loads(last) | {"root": "0" * 64}
    reason = signing.refused("verify", signing.file(json.dumps(document), name="altered.json"))
    assert "proves nothing" in reason


def test_an_export_of_the_evidence_tells_the_checkpoint(signing: Desk) -> None:
    told = signing.do("export", "news", "evidence", "-o", str(signing.folder / "evidence.json"))
    kept = signing.file(told.splitlines()[-1], name="kept.json")
    assert "checkpoint at entry 2, signed" in signing.do("verify", "--checkpoint", kept)


def test_an_export_is_checked_offline_under_known_keys_and_checkpoints(signing: Desk) -> None:
    first = keep(signing, "first.note")
    append(signing)
    second = keep(signing, "second.note")
    path = signing.folder / "evidence.json"
    signing.do("export", "news", "evidence", "-o", str(path))
    kept = ("--checkpoint", str(second), "--checkpoint", str(first))
    told = signing.do("verify", str(path), *kept, "--key", key_of(signing))
    assert "holds. It has 2 of the 3 entries of the record: about the list news" in told
    assert f"It is signed with a key that you know: {key_of(signing)}\n" in told
    assert f"{first}: it agrees, at entry 2\n{second}: it agrees, at entry 3\n" in told
    reason = signing.refused("verify", str(path), "--key", str(forged_key()))
    assert "it has no valid signature of a key that you know" in reason
    later = keep(signing, "later.note")
    reason = signing.refused("verify", str(path), "--checkpoint", str(later))
    assert f"{later}: it was made later than the export, at entry 4" in reason


def test_an_export_is_checked_through_a_pipe_as_well(signing: Desk) -> None:
    path, pipe = signing.folder / "evidence.json", signing.folder / "pipe"
    signing.do("export", "news", "evidence", "-o", str(path))
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(path.read_bytes(),))
    writer.start()
    assert f"{pipe} holds." in signing.do("verify", str(pipe))
    writer.join()


def forged_key() -> signed_note.PublicKey:
    return signed_note.public_key("ask.example.org", bytes(32))


def test_an_export_names_the_first_checkpoint_that_does_not_agree(signing: Desk) -> None:
    kept = []
    for number in range(2):
        append(signing)
        kept.append(keep(signing, f"{number}.note"))
    rewrite_last(signing)
    path = signing.folder / "evidence.json"
    signing.do("export", "news", "evidence", "-o", str(path))
    options = [text for one in reversed(kept) for text in ("--checkpoint", str(one))]
    reason = signing.refused("verify", str(path), *options)
    assert f"{kept[1]}: this does not agree with your checkpoint" in reason


def test_an_export_that_was_altered_or_that_nobody_signed_says_so(
    signing: Desk, desk: Desk
) -> None:
    path = signing.folder / "evidence.json"
    signing.do("export", "news", "evidence", "-o", str(path))
    text = path.read_text("utf-8")
    path.write_text(text.replace('"removed"', '"confirmed"'), "utf-8")
    reason = signing.refused("verify", str(path))
    assert "evidence.json does not hold:" in reason
    assert "entry 2 does not have the leaf that the export says" in reason
    lines = desk.config.read_text("utf-8").splitlines()
    unsigned = [line for line in lines if not line.startswith("evidence_key")]
    desk.config.write_text("\n".join(unsigned), "utf-8")
    desk.do("export", "news", "evidence", "-o", str(path))
    assert "It is not signed: whoever wrote it may have made all of it." in desk.do(
        "verify", str(path)
    )


def test_an_installation_without_a_key_is_told_how_to_add_one(desk: Desk) -> None:
    append(desk)
    assert "Checkpoints are not signed: put evidence_key into config.toml" in desk.do("verify")
    set_key(desk)
    assert "not signed" not in desk.do("verify")


def test_several_checkpoints_are_taken_in_both_forms(signing: Desk) -> None:
    first = keep(signing, "first.note")
    append(signing)
    second = signing.file(signing.do("status", "news", "--json"), name="second.json")
    append(signing)
    told = signing.do("verify", "--checkpoint", second, "--checkpoint", str(first))
    assert "your checkpoint at entry 2, signed" in told
    assert "your checkpoint at entry 3, signed" in told


def test_the_first_checkpoint_that_does_not_agree_is_named(signing: Desk) -> None:
    kept = []
    for number in range(3):
        append(signing)
        kept.append(keep(signing, f"{number}.note"))
    rewrite_last(signing)
    options = [text for path in reversed(kept) for text in ("--checkpoint", str(path))]
    assert f"the checkpoint says otherwise): {kept[2]}\n" in signing.refused("verify", *options)
    cut_last(signing)
    assert "The chain holds" in signing.do("verify", *options[2:])
    assert f"are gone (the checkpoint knows 5): {kept[2]}\n" in signing.refused("verify", *options)


def test_of_two_checkpoints_at_one_entry_that_which_does_not_agree_is_named(signing: Desk) -> None:
    agrees = keep(signing, "agrees.note")
    point = json.loads(signing.do("verify", "--json"))["checkpoint"]
    differs = signing.file(
        json.dumps({"seq": point["seq"], "hash": "0" * 64, "root": point["root"]}), name="differs"
    )
    reason = signing.refused("verify", "--checkpoint", str(agrees), "--checkpoint", differs)
    assert f"the checkpoint says otherwise): {differs}\n" in reason


def rewrite_last(desk: Desk) -> None:
    """Make the last entry anew with all hashes, as whoever holds the database can."""
    cut_last(desk)
    with desk.database() as database, database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 2}))


def cut_last(desk: Desk) -> None:
    """Take the last entry away with all that shows it."""
    with desk.database() as database, database.atomic():
        last = EvidenceHead.get().seq
        Evidence.delete().where(Evidence.seq == last).execute()
        EvidencePart.delete().where(EvidencePart.seq == last).execute()
        frontier = Frontier()
        for row in Evidence.select().order_by(Evidence.seq).dicts():
            frontier.add(bytes.fromhex(str(try_compute_leaf(row))))
        EvidenceHead.update(
            seq=last - 1,
            hash=Evidence.get_by_id(last - 1).hash,
            root=frontier.root().hex(),
            frontier=b"".join(frontier.hashes).hex(),
        ).execute()


def test_a_checkpoint_by_another_key_is_told_and_with_key_refused(signing: Desk) -> None:
    path = signing.folder / "forged.note"
    settings = config_file.load_config(signing.config)
    point = signed_checkpoint.read_note(keep(signing, "true.note").read_text("utf-8"))
    forger = replace(settings, evidence_key=bytes(32))
    path.write_text(signed_checkpoint.sign(point, forger).note, "utf-8")
    told = signing.do("verify", "--checkpoint", str(path))
    assert "signed with a key that is not known here" in told
    reason = signing.refused("verify", "--checkpoint", str(path), "--key", key_of(signing))
    assert f"{path} has no valid signature of a key that you know" in reason


def test_a_note_that_was_altered_is_refused(signing: Desk) -> None:
    path = keep(signing, "kept.note")
    path.write_text(path.read_text("utf-8").replace("\n2\n", "\n3\n"), "utf-8")
    reason = signing.refused("verify", "--checkpoint", str(path))
    assert "a signature is not by the key that it names" in reason


def test_a_proof_is_signed_and_names_its_key(signing: Desk) -> None:
    path = proved(signing)
    document = json.loads(path.read_text("utf-8"))
    assert (document["format"], document["key"]) == ("repermit-proof/2", key_of(signing))
    told = signing.do("verify", str(path))
    assert f"It is signed with the key {key_of(signing)}\n" in told
    keys = signing.file(f"{key_of(signing)}\n", name="keys.txt")
    for key in (key_of(signing), keys):
        assert "signed with a key that you know" in signing.do("verify", str(path), "--key", key)


def test_a_proof_by_another_key_is_refused_where_one_is_known(signing: Desk) -> None:
    known = key_of(signing)
    set_key(signing, OTHER)
    path = proved(signing)
    reason = signing.refused("verify", str(path), "--key", known)
    assert "it has no valid signature of a key that you know" in reason


def test_an_unsigned_proof_says_so(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, mailing_list):
        make_contact(database, mailing_list, ANNA)
    desk.do("answer", "news", ANNA, "no", "--note", "by phone, to Els")
    path = proved(desk)
    assert json.loads(path.read_text("utf-8"))["format"] == "repermit-proof/1"
    assert "It is not signed: whoever wrote it may have made all of it." in desk.do(
        "verify", str(path)
    )
    set_key(desk)
    assert "no valid signature" in desk.refused("verify", str(path), "--key", key_of(desk))


def _without_key(proof: dict[str, Any]) -> None:
    del proof["key"]


def _without_note(proof: dict[str, Any]) -> None:
    del proof["checkpoint"]["note"]


def _as_old(proof: dict[str, Any]) -> None:
    proof["format"] = "repermit-proof/1"


def _by_another(proof: dict[str, Any]) -> None:
    proof["key"] = str(signed_note.public_key("ask.example.org", bytes(32)))


def _number(proof: dict[str, Any]) -> None:
    proof["checkpoint"]["note"] = 7


@pytest.mark.parametrize("alter", [_without_key, _without_note, _as_old, _by_another, _number])
def test_a_proof_whose_signature_was_touched_is_refused(signing: Desk, alter: Any) -> None:
    path = proved(signing)
    document = json.loads(path.read_text("utf-8"))
    alter(document)
    path.write_text(json.dumps(document), "utf-8")
    assert "proves nothing" in signing.refused("verify", str(path))


def test_a_proof_goes_on_from_a_note_and_is_held_against_several(signing: Desk) -> None:
    kept = keep(signing, "kept.note")
    append(signing)
    later = keep(signing, "later.note")
    path = signing.folder / "anna.json"
    signing.do("proof", "news", ANNA, "--checkpoint", str(kept), "-o", str(path))
    told = signing.do("verify", str(path), "--checkpoint", str(later), "--checkpoint", str(kept))
    assert f"{kept}: It goes on from your checkpoint at entry 2" in told
    assert f"{later}: whether it agrees cannot be told from this file" in told


def test_beside_a_file_too_a_checkpoint_must_be_by_a_known_key(signing: Desk) -> None:
    note = keep(signing, "true.note")
    path, export = signing.folder / "anna.json", signing.folder / "evidence.json"
    signing.do("proof", "news", ANNA, "--checkpoint", str(note), "-o", str(path))
    signing.do("export", "news", "evidence", "-o", str(export))
    shown = signing.file(signing.do("verify", "--checkpoint", str(note), "--json"), name="shown")
    settings = config_file.load_config(signing.config)
    forger = replace(settings, evidence_key=bytes(32))
    point = signed_checkpoint.read_note(note.read_text("utf-8"))
    forged = signing.file(signed_checkpoint.sign(point, forger).note, name="forged.note")
    for file in (str(path), str(export), shown):
        kept = ("verify", file, "--key", key_of(signing), "--checkpoint")
        signing.do(*kept, str(note))
        assert f"{forged} has no valid signature of a key that you know" in signing.refused(
            *kept, forged
        )


def test_what_is_no_key_is_refused(signing: Desk) -> None:
    for text in ("nothing", signing.file("a\n", name="keys.txt")):
        assert "is no key, nor a file of keys" in signing.refused("verify", "--key", text)


def test_a_key_that_is_none_is_refused(desk: Desk) -> None:
    for seed in ("short", "é" * 43, "A" * 42, "A" * 45):
        set_key(desk, seed)
        assert "evidence_key must be 32 random octets" in desk.refused("verify")


def test_init_makes_a_key_of_which_the_record_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    monkeypatch.chdir(tmp_path)
    desk.config = tmp_path / "new.toml"
    desk.do("init", "--public-url", "https://ask.example.org")
    assert len(desk.settings.evidence_key or b"") == 32
    with desk.database():
        (noted,) = evidence_key.read_recorded_keys()
    assert noted == signed_checkpoint.get_public_key(desk.settings)


# --- Timestamps. ----------------------------------------------------------------------------------


@pytest.fixture
def stamped(signing: Desk, tmp_path: Path) -> Desk:
    """Return a desk of whose record a timestamp is kept, and another is waited for."""
    authority = Authority(tmp_path / "authority")
    rules = f'timestamp_url = "http://127.0.0.1:9/"\ntimestamp_ca_file = "{authority.ca_file}"\n'
    signing.config.write_text(signing.config.read_text("utf-8") + f"\n[evidence]\n{rules}", "utf-8")
    with signing.database() as database:
        point = signed_checkpoint.make_signed_checkpoint(signing.settings)
        reply = timestamps.encode(authority.reply_over(point.note))
        with database.atomic():
            for occasion, came, problem in (("launch 1", reply, ""), ("closing 1", "", "503")):
                EvidenceTimestamp.create(
                    occasion=occasion,
                    due_at=NOW,
                    next_at=NOW,
                    seq=point.seq,
                    note=point.note,
                    reply=came,
                    stamped_at=NOW if came else None,
                    problem=problem,
                )
    append(signing)
    return signing


@pytest.mark.parametrize("is_named", [True, False])
def test_timestamps_by_an_authority_that_the_settings_do_not_name_are_told_apart(
    stamped: Desk, tmp_path: Path, is_named: bool
) -> None:
    ca = tmp_path / "authority" / "ca.pem"
    if is_named:
        with stamped.database() as database, database.atomic():
            timestamp_authority.note_authority(timestamp_token.read_authorities(str(ca)), now=NOW)
    (shown,) = json.loads(stamped.do("verify", "--json"))["timestamps"]
    assert shown["named_by"] == "given"
    text, _, _ = stamped.config.read_text("utf-8").partition("[evidence]")
    stamped.config.write_text(text, "utf-8")
    told = stamped.do("verify")
    assert "Timestamps that hold" not in told
    assert "1 timestamp by CN=Test Authority, the last of 20" in told
    why = "only the record names that authority" if is_named else "who signed was not checked"
    assert f"Z: {why}. Give its certificate to rely on it: --timestamp-ca or" in told
    (shown,) = json.loads(stamped.do("verify", "--json"))["timestamps"]
    assert shown["named_by"] == ("record" if is_named else "nobody")
    assert (shown["authority"], shown["count"]) == ("CN=Test Authority", 1)
    assert "Timestamps that hold: 1" in stamped.do("verify", "--timestamp-ca", str(ca))


def test_timestamps_are_told_of_the_record_and_of_a_proof(stamped: Desk, tmp_path: Path) -> None:
    told = stamped.do("verify")
    assert "Timestamps that hold: 1, the last of 20" in told
    assert "1 timestamp waited for, since 2026-03-02 09:00Z: 503.\n" in told
    assert "These times are upper bounds: none shows that an entry is not older." in told
    path = proved(stamped)
    told = stamped.do("verify", str(path))
    assert "Entries up to 2 lay in the record before 20" in told
    assert "says CN=Test Authority\n" in told
    assert "was not checked: --timestamp-ca FILE" in told
    ca = str(tmp_path / "authority" / "ca.pem")
    checked = stamped.do("verify", str(path), "--timestamp-ca", ca)
    assert "not checked" not in checked
    assert "Nothing in it was changed since it was made.\n" in checked
    assert "can only be told by" in told
    export = stamped.folder / "evidence.json"
    stamped.do("export", "news", "evidence", "-o", str(export))
    told = stamped.do("verify", str(export))
    assert "can only be told by" in told
    assert "the word of whoever keeps the record. None of them covers the last entries: 3" in told
    assert "written afterwards" not in stamped.do("verify", str(export), "--timestamp-ca", ca)
    other = Authority(tmp_path / "other")
    reason = stamped.refused("verify", str(path), "--timestamp-ca", str(other.ca_file))
    assert "a timestamp of it does not hold: unable to get local issuer certificate" in reason
    assert "that each of these leads to: CN=Test Authority" in " ".join(reason.split())
    assert "RFC 3161" in path.with_suffix(".html").read_text("utf-8")
    assert "holds no certificate" in stamped.refused("verify", str(path), "--timestamp-ca", "none")


def test_what_was_to_have_a_timestamp_and_has_none_is_refused(
    signing: Desk, tmp_path: Path
) -> None:
    ca = str(Authority(tmp_path / "authority").ca_file)
    assert "it has no timestamp" in signing.refused(
        "verify", str(proved(signing)), "--timestamp-ca", ca
    )


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ('timestamp_url = "http://127.0.0.1:9/"', "timestamp_ca_file is missing"),
        ('timestamp_url = "ftp://example.org/"', "must be a web address"),
        ('timestamp_ca_file = "config.toml"', "holds no certificate"),
        ('timestamp_ca_file = "nowhere.pem"', "there is no "),
    ],
)
def test_an_authority_that_cannot_be_used_is_refused(desk: Desk, rules: str, reason: str) -> None:
    desk.config.write_text(desk.config.read_text("utf-8") + f"\n[evidence]\n{rules}\n", "utf-8")
    assert reason in desk.refused("verify")
