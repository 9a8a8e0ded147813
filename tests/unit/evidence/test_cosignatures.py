"""Checkpoints that a witness on loopback has cosigned (https://c2sp.org/tlog-witness)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema_rs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from repermit.campaigns.launch import launch
from repermit.checks.database import check_database
from repermit.clock import ManualClock
from repermit.db.connection import Database
from repermit.db.models.base import Meta
from repermit.db.models.contacts import Contact
from repermit.db.models.mails import Mail
from repermit.evidence import (
    chain,
    cosignature_request,
    cosigned_checkpoints,
    signed_checkpoint,
    stored_tree,
)
from repermit.evidence.entries import Checkpoint, Entry
from repermit.evidence.signed_note import Note, PublicKey, WitnessKey
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.jobs.periodic_jobs import Jobs
from repermit.rules.consent import MailState
from repermit.settings.definitions import EvidenceRules, Settings
from tests.support import independent_export, independent_verifier
from tests.support.builders import DEADLINE, NOW, make_contact, make_list, make_settings
from tests.support.desk import ATTEST, Desk
from tests.support.javascript_verifier import running_verifier
from tests.support.witness import Witness, serving

REFERENCE = Path(__file__).parents[3] / "docs/reference"
DAY = timedelta(days=1)
PLAIN = make_settings(evidence_key=bytes(range(32)))
OWN = signed_checkpoint.get_public_key(PLAIN)


@pytest.fixture
def witness() -> Iterator[Witness]:
    assert OWN
    with serving(Witness(OWN.name, OWN.public)) as found:
        yield found


class Cosigning:
    """A campaign whose checkpoints are cosigned; `run` does what the job does."""

    def __init__(self, database: Database, witness: Witness) -> None:
        self.database, self.witness = database, witness
        rules = EvidenceRules(witness_url=witness.url, witness_key=witness.vkey)
        self.settings: Settings = replace(PLAIN, evidence=rules)
        self.clock = ManualClock(NOW)
        mailing_list = make_list(database)
        make_contact(database, mailing_list)
        launch(
            database,
            mailing_list,
            settings=self.settings,
            now=NOW,
            deadline=DEADLINE,
            attest=ATTEST,
            actor="cli:0",
        )

    def record(self, count: int) -> None:
        with self.database.atomic():
            entry = Entry(event="exported", at=self.clock.now(), actor="job", list="news")
            chain.append(*[entry] * count)

    def run(self) -> int:
        return cosignature_request.request_cosignatures(
            self.database, settings=self.settings, clock=self.clock
        )

    def key(self) -> WitnessKey:
        found = cosigned_checkpoints.read_witness_key(self.settings)
        assert found
        return found

    def problem(self) -> str:
        found = cosigned_checkpoints.read_problem()
        return found.reason if found else ""


@pytest.fixture
def cosigning(database: Database, witness: Witness) -> Cosigning:
    return Cosigning(database, witness)


def test_a_checkpoint_is_cosigned_and_verified_offline(cosigning: Cosigning) -> None:
    assert cosigning.run() == 2  # launch, and that day
    assert cosigning.run() == 0
    (point,) = cosigned_checkpoints.read_stored_checkpoints()
    now = stored_tree.checkpoint()
    assert (point.seq, point.hash, point.root) == (now.seq, now.hash, now.root)
    assert OWN
    assert Note.read(point.note).list_signers([OWN, cosigning.key()]) == [OWN, cosigning.key()]
    told = cosigned_checkpoints.read_cosigned_times(point.note, cosigning.key())
    assert told == [datetime.fromtimestamp(cosigning.witness.now, UTC)]


@pytest.mark.parametrize("more", [1, 2, 5, 61, 64, 200])
def test_the_next_checkpoint_goes_on_from_the_one_before(cosigning: Cosigning, more: int) -> None:
    for _ in range(3):
        cosigning.run()
        cosigning.record(more)
        cosigning.clock.advance(DAY)
    assert cosigning.run() == 1
    assert cosigning.witness.size == stored_tree.checkpoint().seq
    assert len(cosigned_checkpoints.read_stored_checkpoints()) == 4
    assert len(cosigning.witness.asked) == 4, "none was asked for twice"


def test_a_record_that_did_not_grow_is_cosigned_again(cosigning: Cosigning) -> None:
    cosigning.run()
    cosigning.clock.advance(DAY)
    assert cosigning.run() == 1


def test_a_witness_that_knows_an_earlier_checkpoint_says_which(cosigning: Cosigning) -> None:
    cosigning.run()
    with cosigning.database.atomic():
        Meta.delete().where(Meta.key.startswith("cosigned")).execute()
    cosigning.record(4)
    assert cosigning.run() == 2
    olds = [body.split("\n")[0] for body in cosigning.witness.asked[1:]]
    assert olds == ["old 0", f"old {stored_tree.checkpoint().seq - 4}"]


def test_a_rewritten_record_is_not_cosigned(cosigning: Cosigning) -> None:
    cosigning.run()
    cosigning.witness.root = bytes(32)
    cosigning.record(2)
    cosigning.clock.advance(DAY)
    assert cosigning.run() == 0
    assert cosigning.problem() == "the witness answers 422"


def test_a_witness_that_knows_more_than_there_is_is_told(cosigning: Cosigning) -> None:
    cosigning.witness.size = 1000
    assert cosigning.run() == 0
    assert cosigning.problem() == "the witness knows more entries than there are"


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ("down", "the witness answers 503"),
        ("forged", "a signature is not by the key that it names"),
        ("other", "the witness has not signed with the key in the settings"),
        ("rubbish", "no signature line"),
        ("endless", "the witness answers without end"),
    ],
)
def test_what_fails_is_told_and_tried_again(
    cosigning: Cosigning, answers: str, reason: str
) -> None:
    cosigning.witness.answers = answers
    assert cosigning.run() == 0
    assert cosigning.problem() == reason
    found = check_database(cosigning.database, None, now=cosigning.clock.now()).findings
    assert [one.code for one in found if one.code == "database_cosignatures"]
    assert cosigning.run() == 0
    assert len(cosigning.witness.asked) == 1, "it rests"
    cosigning.witness.answers = "well"
    cosigning.clock.advance(timedelta(minutes=10))
    assert cosigning.run() == 2
    assert cosigning.problem() == ""


def test_where_nobody_listens_it_is_told(cosigning: Cosigning) -> None:
    rules = replace(cosigning.settings.evidence, witness_url="http://127.0.0.1:1")
    cosigning.settings = replace(cosigning.settings, evidence=rules)
    assert cosigning.run() == 0
    assert cosigning.problem() == "ConnectionError"


def test_without_a_witness_or_a_key_nobody_is_asked(cosigning: Cosigning) -> None:
    for settings in (PLAIN, replace(cosigning.settings, evidence_key=None)):
        cosigning.settings = settings
        assert cosigning.run() == 0
    assert cosigning.witness.asked == []


def test_the_job_has_them_cosigned(cosigning: Cosigning) -> None:
    jobs = Jobs(
        cosigning.settings, cosigning.database, clock=cosigning.clock, stopping=threading.Event()
    )
    jobs.send_checkpoints_to_witnesses()
    assert len(cosigned_checkpoints.read_stored_checkpoints()) == 1


def test_nothing_of_anybody_leaves(cosigning: Cosigning) -> None:
    cosigning.run()
    (body,) = cosigning.witness.asked
    assert body.startswith("old 0\n\nask.example.org\n")
    assert len(body) < 500


# --- What verify finds. ---------------------------------------------------------------------------


def fault_in(cosigning: Cosigning) -> Fault | None:
    return verify_chain.verify_chain(cosigning.database, witness=cosigning.key()).fault


def change_note(cosigning: Cosigning, old: str, new: str) -> None:
    with cosigning.database.atomic():
        for row in Meta.select().where(Meta.key.startswith("cosigned ")):
            Meta.update(value=row.value.replace(old, new)).where(Meta.key == row.key).execute()


def test_a_record_that_a_witness_cosigned_otherwise_is_found(cosigning: Cosigning) -> None:
    cosigning.run()
    assert fault_in(cosigning) is None
    note = cosigned_checkpoints.read_stored_checkpoints()[0].note
    other = replace(stored_tree.checkpoint(), root="ab" * 32)
    forged = signed_checkpoint.sign(other, cosigning.settings)
    change_note(cosigning, note, forged.note)
    found = fault_in(cosigning)
    assert found
    assert found.how is How.REWRITTEN


def test_a_forged_cosignature_is_found(cosigning: Cosigning) -> None:
    cosigning.run()
    note = cosigned_checkpoints.read_stored_checkpoints()[0].note
    last = note.splitlines()[-1]
    change_note(cosigning, last[-20:], f"{'A' * 18}==")
    found = fault_in(cosigning)
    assert found
    assert found.how is How.CONTRADICTED


def set_witness(desk: Desk, witness: Witness) -> None:
    """Have a desk sign its checkpoints, and name the witness in its settings."""
    text = desk.config.read_text("utf-8").partition("[evidence]")[0]
    text = f'evidence_key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="\n{text}'
    text += f'\n[evidence]\nwitness_url = "{witness.url}"\nwitness_key = "{witness.vkey}"\n'
    desk.config.write_text(text, "utf-8")


def test_a_cosigned_note_is_checked_under_the_key_of_its_witness(
    desk: Desk, witness: Witness, tmp_path: Path
) -> None:
    set_witness(desk, witness)
    with desk.database() as database:
        cosigning = Cosigning(database, witness)
        assert cosigning.run() == 2
    told = desk.do("verify")
    assert "1 cosigned checkpoint, the last at entry " in told
    note = cosignatures_note(told)
    kept = tmp_path / "cosigned.note"
    kept.write_text(note, "utf-8")
    assert "signed with" in desk.do("verify", "--checkpoint", str(kept), "--key", witness.vkey)
    alone = desk.do("verify", str(kept), "--key", witness.vkey)
    assert "witness.example/w1 cosigned it at 2026-03-02T09:00:00+00:00" in alone
    stranger = Witness("x", bytes(32))
    stranger.own = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    refused = desk.refused("verify", "--checkpoint", str(kept), "--key", stranger.vkey)
    assert "no valid signature of a key that you know" in refused


@pytest.fixture
def witnessed(desk: Desk, witness: Witness) -> Desk:
    """Return a desk whose one contact said Yes, before a checkpoint that was cosigned."""
    set_witness(desk, witness)
    with desk.database() as database:
        cosigning = Cosigning(database, witness)
        with database.atomic():
            Mail.update(state=MailState.SENT, sent_at=NOW).execute()
        address = str(Contact.get().address)
    desk.do("answer", "news", address, "yes", "--note", "by phone")
    with desk.database() as cosigning.database:
        assert cosigning.run() == 2
    desk.do("proof", "news", address, "-o", str(desk.folder / "proof.json"))
    desk.do("export", "news", "evidence", "-o", str(desk.folder / "evidence.json"))
    return desk


@pytest.mark.parametrize("name", ["proof.json", "evidence.json"])
def test_what_a_witness_cosigned_is_in_proofs_and_exports(
    witnessed: Desk, witness: Witness, name: str
) -> None:
    path = witnessed.folder / name
    told = witnessed.do("verify", str(path), "--key", witness.vkey)
    assert re.search(
        r"Entries up to \d+ lay in the record at .*, as witness.example/w1 cosigned for ask\.ex",
        told,
    )
    unchecked = witnessed.do("verify", str(path))
    assert "not checked: --key KEY-OF-THE-WITNESS" in unchecked
    assert "a timestamp (--timestamp-ca FILE) or a witness (--key KEY)" in " ".join(
        unchecked.split()
    )
    stranger = Witness("x", bytes(32))
    stranger.own = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    refused = witnessed.refused("verify", str(path), "--key", stranger.vkey)
    assert "witness.example/w1 has cosigned nothing of it" in refused
    octets = path.read_bytes()
    schema = json.loads((REFERENCE / f"{path.stem}.schema.json").read_text("utf-8"))
    assert jsonschema_rs.is_valid(schema, json.loads(octets))
    if name == "proof.json":
        (found,) = independent_verifier.check(octets, witnesses=[witness.vkey]).cosigned
    else:
        (found,) = independent_export.check(octets, witnesses=[witness.vkey]).cosigned
    assert found == (witness.size, witness.now, witness.vkey, witness.origin)
    with running_verifier() as verifier:
        assert verifier.check(octets, witnesses=[witness.vkey])["cosigned"] == [list(found)]
        assert not verifier.check(octets, witnesses=[stranger.vkey])["holds"]


def test_the_page_of_a_proof_names_the_witness_and_when_it_cosigned(
    witnessed: Desk, witness: Witness
) -> None:
    page = (witnessed.folder / "proof.html").read_text("utf-8")
    (line,) = [one for one in page.splitlines() if "witness.example/w1" in one]
    assert f" {witness.size} " in line
    assert "2 maart 2026, 10:00" in line


@pytest.mark.parametrize("name", ["proof.json", "evidence.json"])
def test_a_cosigned_checkpoint_of_another_record_or_with_a_forged_line_does_not_hold(
    witnessed: Desk, witness: Witness, name: str
) -> None:
    path = witnessed.folder / name
    whole = json.loads(path.read_text("utf-8"))
    note: str = whole["cosigned"][0]["note"]
    lines = note.splitlines(keepends=True)
    own, cosigned = lines[-2:]
    changed = {
        "another size": note.replace(f"\n{witness.size}\n", f"\n{witness.size - 1}\n"),
        "own line": note.replace(own, f"{own[:-7]}AAAA==\n"),
        "no note": note.partition("\n\n")[0],
    }
    check = independent_verifier if name == "proof.json" else independent_export
    for what, other in changed.items():
        assert other != note, what
        octets = json.dumps(whole | {"cosigned": [whole["cosigned"][0] | {"note": other}]}).encode()
        path.write_bytes(octets)
        witnessed.refused("verify", str(path))
        with pytest.raises(ValueError, match=r"\w"):
            check.check(octets)
    forged = note.replace(cosigned, f"{cosigned[:-23]}{'A' * 20}==\n")
    octets = json.dumps(whole | {"cosigned": [whole["cosigned"][0] | {"note": forged}]}).encode()
    path.write_bytes(octets)
    refused = witnessed.refused("verify", str(path), "--key", witness.vkey)
    assert "a cosignature of it does not hold" in refused
    with pytest.raises(ValueError, match="a signature"):
        check.check(octets, witnesses=[witness.vkey])
    with running_verifier() as verifier:
        assert verifier.check(octets)["holds"]
        assert verifier.check(octets, witnesses=[witness.vkey])["why"] == "a cosignature"


def test_a_cosignature_below_the_first_entry_of_a_proof_proves_nothing(
    desk: Desk, witness: Witness
) -> None:
    set_witness(desk, witness)
    with desk.database() as database:
        cosigning = Cosigning(database, witness)
        cosigning.run()
        early = cosigned_checkpoints.read_stored_checkpoints()[0]
        with database.atomic():
            Mail.update(state=MailState.SENT, sent_at=NOW).execute()
            Meta.delete().where(Meta.key.startswith("cosigned")).execute()
        address = str(Contact.get().address)
    desk.do("answer", "news", address, "yes", "--note", "by phone")
    path = desk.folder / "proof.json"
    desk.do("proof", "news", address, "-o", str(path))
    whole = json.loads(path.read_text("utf-8"))
    first = whole["statement"]["entries"][0]["entry"]["seq"]
    assert early.seq < first
    with desk.database():
        now = Checkpoint.from_json(whole["checkpoint"])
        steps = list(stored_tree.MerkleProofs(now).prove_consistency(early))
    whole["cosigned"] = [{"note": early.note, "path": steps}]
    path.write_text(json.dumps(whole), "utf-8")
    refused = desk.refused("verify", str(path), "--key", witness.vkey)
    assert f"what is cosigned, at {early.seq}, has none of its entries" in refused
    with pytest.raises(ValueError, match="covers no entry"):
        independent_verifier.check(path.read_bytes(), witnesses=[witness.vkey])
    with running_verifier() as verifier:
        assert not verifier.check(path.read_bytes())["holds"]


def test_a_witness_that_cosigned_before_the_first_entry_of_an_export_has_cosigned_nothing_of_it(
    desk: Desk, witness: Witness
) -> None:
    set_witness(desk, witness)
    with desk.database() as database:
        cosigning = Cosigning(database, witness)
        cosigning.run()
        make_list(database, slug="later")
        with database.atomic():
            chain.append(Entry(event="exported", at=NOW, actor="job", list="later"))
    path = desk.folder / "evidence.json"
    desk.do("export", "later", "evidence", "-o", str(path))
    desk.do("verify", str(path))
    refused = desk.refused("verify", str(path), "--key", witness.vkey)
    assert "witness.example/w1 has cosigned nothing of it" in refused
    octets = path.read_bytes()
    with pytest.raises(ValueError, match="has cosigned nothing of it"):
        independent_export.check(octets, witnesses=[witness.vkey])
    with running_verifier() as verifier:
        assert verifier.check(octets)["holds"]
        assert not verifier.check(octets, witnesses=[witness.vkey])["holds"]


@pytest.mark.parametrize("name", ["proof.json", "evidence.json"])
def test_a_cosigned_note_without_a_line_of_a_witness_does_not_hold(
    witnessed: Desk, name: str
) -> None:
    path = witnessed.folder / name
    whole = json.loads(path.read_text("utf-8"))
    shown = whole["cosigned"][0]
    alone = "".join(shown["note"].splitlines(keepends=True)[:-1])
    octets = json.dumps(whole | {"cosigned": [shown | {"note": alone}]}).encode()
    path.write_bytes(octets)
    assert "has no line of a witness" in witnessed.refused("verify", str(path))
    check = independent_verifier if name == "proof.json" else independent_export
    with pytest.raises(ValueError, match="no line of a witness"):
        check.check(octets)
    with running_verifier() as verifier:
        assert not verifier.check(octets)["holds"]


@pytest.mark.parametrize(
    ("seconds", "holds"),
    [(0, False), (1, True), (253_402_300_799, True), (253_402_300_800, False)],
)
def test_a_cosignature_tells_a_time_after_1970_and_before_the_year_10000(
    witnessed: Desk, witness: Witness, seconds: int, holds: bool
) -> None:
    path = witnessed.folder / "proof.json"
    whole = json.loads(path.read_text("utf-8"))
    shown = whole["cosigned"][0]
    head, line = (
        shown["note"].splitlines(keepends=True)[:-1],
        witness.cosign(f"{shown['note'].partition(chr(10) * 2)[0]}\n", at=seconds),
    )
    octets = json.dumps(whole | {"cosigned": [shown | {"note": "".join([*head, line])}]}).encode()
    path.write_bytes(octets)
    if holds:
        assert "as witness.example/w1 cosigned" in witnessed.do(
            "verify", str(path), "--key", witness.vkey
        )
        assert (
            independent_verifier.check(octets, witnesses=[witness.vkey]).cosigned[0][1] == seconds
        )
        return
    refused = witnessed.refused("verify", str(path), "--key", witness.vkey)
    assert "a cosignature of it does not hold" in refused
    with pytest.raises(ValueError, match="a cosignature of another time"):
        independent_verifier.check(octets, witnesses=[witness.vkey])


def test_of_several_over_one_checkpoint_a_proof_has_the_first_and_verify_tells_the_last(
    desk: Desk, witness: Witness
) -> None:
    set_witness(desk, witness)
    # The first octets of a cosignature are its time: as base64, "z" comes after "0".
    times = [witness.now + days * 86_400 for days in range(40)]
    with desk.database() as database:
        cosigning = Cosigning(database, witness)
        point = signed_checkpoint.make_signed_checkpoint(cosigning.settings)
        text = f"{point.note.partition(chr(10) * 2)[0]}\n"
        with database.atomic():
            for at in times:
                note = point.note + witness.cosign(text, at=at)
                Meta.insert(key=f"cosigned {at}", value=note).execute()
        kept = [
            cosigned_checkpoints.read_cosigned_times(one.note, cosigning.key())
            for one in cosigned_checkpoints.read_stored_checkpoints()
        ]
        assert kept == [[datetime.fromtimestamp(at, UTC)] for at in times]
        shown = cosigned_checkpoints.CosignedCheckpoints(point, stored_tree.MerkleProofs(point))
        (first,) = shown.list_covering([{"entry": {"seq": point.seq}}])
        assert first["note"] == point.note + witness.cosign(text, at=times[0])
        # Whoever writes to the database can put a line of anybody there.
        witness.answers = "other"
        with database.atomic():
            note = point.note + witness.cosign(text, at=times[-1])
            Meta.insert(key="cosigned by another", value=note).execute()
    last = datetime.fromtimestamp(times[-1], UTC)
    told = desk.do("verify")
    assert "40 cosigned checkpoints, the last at entry" in told
    assert "1 checkpoint that another than this witness cosigned." in told
    assert f"the last at entry {point.seq} on {last:%Y-%m-%d %H:%M}Z:" in desk.do("verify")


def cosignatures_note(told: str) -> str:
    start = told.index("ask.example.org\n")
    return told[start : told.index("\n", told.index("— witness.example")) + 1]


# --- Its key. -------------------------------------------------------------------------------------


def test_the_key_of_a_witness_is_none_of_a_log() -> None:
    vkey = Witness("x", bytes(32)).vkey
    assert str(WitnessKey.read(vkey)) == vkey
    with pytest.raises(ValueError, match="do not belong together"):
        PublicKey.read(vkey)
    assert OWN
    with pytest.raises(ValueError, match="do not belong together"):
        WitnessKey.read(str(OWN))
