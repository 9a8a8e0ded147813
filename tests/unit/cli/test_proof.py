"""`proof` and `verify`: as somebody at a shell gives them, and as a third party reads them."""

from __future__ import annotations

import json
import stat
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.campaigns.launch import launch
from repermit.contacts import erasure, lookup, status_changes
from repermit.db.models.accounts import Access
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.mails import Mail
from repermit.rules.consent import MailState
from tests.support import independent_verifier
from tests.support.builders import DEADLINE, NOW, make_contact, make_settings
from tests.support.desk import ATTEST, Desk

ANNA = "anna@example.org"


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """Return a desk of which Anna said Yes by phone."""
    desk.add_news()
    with desk.news() as (database, mailing_list):
        for address in (ANNA, "bram@example.org"):
            make_contact(database, mailing_list, address)
        launch(
            database,
            mailing_list,
            settings=make_settings(),
            now=NOW,
            deadline=DEADLINE,
            attest=ATTEST,
            actor="cli:els",
        )
        with database.atomic():
            sent_at = NOW + timedelta(seconds=1)
            Mail.update(state=MailState.SENT, sent_at=sent_at).execute()
    desk.clock.advance(timedelta(days=1))
    desk.do("answer", "news", ANNA, "yes", "--note", "by phone, to Els")
    return desk


def proved(desk: Desk, name: str = "anna.json") -> Path:
    path = desk.folder / name
    desk.do("proof", "news", ANNA, "-o", str(path))
    return path


def test_a_proof_is_one_private_file_and_a_page_beside_it(asked: Desk) -> None:
    told = asked.do("proof", "news", ANNA, "-o", str(asked.folder / "anna.json"))
    path, page = asked.folder / "anna.json", asked.folder / "anna.html"
    assert f"The proof is in {path}; {page} is for reading and printing." in told
    assert all(stat.S_IMODE(one.stat().st_mode) == 0o600 for one in (path, page))
    record = independent_verifier.check(path.read_bytes()).record
    assert record["event"][-1]["event_state"] == "dpv:ConsentGiven"
    text = page.read_text("utf-8")
    for word in (ANNA, "by phone, to Els", record["header"]["pii_principal_id"], "Nieuws van"):
        assert word in text
    assert "bram" not in text
    assert "<script" not in text
    assert '<html lang="nl"' in text


def test_the_words_of_a_proof_cannot_pass_for_what_is_said_of_it(asked: Desk) -> None:
    said = "It is signed with a key that you know: theirs"
    asked.do("answer", "news", "bram@example.org", "yes", "--note", f"\x1b[2J\n{said}")
    path = asked.folder / "bram.json"
    asked.do("proof", "news", "bram@example.org", "-o", str(path))
    shown = asked.do("verify", str(path))
    document = json.loads(path.read_text("utf-8"))
    document["statement"]["wordings"] = {f"\x9b2J\n{said}": "x"}
    path.write_text(json.dumps(document), "utf-8")
    for told in (shown, asked.refused("verify", str(path))):
        assert said in told
        assert said not in told.splitlines()
        assert not {"\x1b", "\x9b"} & set(told)


def test_a_proof_goes_to_stdout_and_says_the_same(asked: Desk) -> None:
    for arguments in ((), ("-o", "-")):
        ran = asked.run("proof", "news", ANNA, *arguments)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.endswith("}\n")
        independent_verifier.check(ran.out.encode())


def test_that_a_proof_was_made_is_recorded_and_noted_as_a_look(asked: Desk) -> None:
    proved(asked)
    with asked.news():
        subject = Contact.get(Contact.address == ANNA).subject
        last = Evidence.select().order_by(Evidence.seq.desc()).get()
        assert (last.event, last.subject) == ("proved", subject)
        looked = Access.get()
        assert (looked.act, looked.list, looked.subject, looked.actor) == (
            "proved",
            "news",
            subject,
            last.actor,
        )


def test_verify_says_who_said_what_when_and_to_which_wording(asked: Desk) -> None:
    path = proved(asked)
    # A third party has neither settings nor database.
    (asked.folder / "config.toml").unlink()
    told = asked.do("verify", str(path))
    digest = json.loads(path.read_text("utf-8"))["statement"]["entries"][0]["parts"]["consent"][
        "content"
    ]["mail_wording"]
    for words in (
        f"{path} holds. It shows of one person on the list news:",
        "Tuesday 3 March 2026, 09:00 (09:00:00 UTC): The person said Yes, as the list’s keeper",
        f"Who: <{ANNA}>",
        "How it was noted: by phone, to Els",
        "Asked by mail: Monday 2 March 2026, 09:00 (09:00:01 UTC)",
        f"Wording of the mail: {digest}",
        "What held when this proof was made: This person may be mailed: an opt-in stands on",
        "record since Tuesday 3 March 2026, 09:00 (09:00:00 UTC).",
        "Who keeps the list: Praktijk De Linde",
        "--checkpoint FILE",
    ):
        assert words in told, words


def test_a_proof_of_silence_has_the_page_that_was_behind_the_link(desk: Desk) -> None:
    desk.add_news()
    with desk.news() as (database, mailing_list):
        make_contact(database, mailing_list, ANNA)
    desk.do("launch", "news", "--deadline", "2026-04-01", "--attest", ATTEST)
    with desk.news() as (database, _), database.atomic():
        Mail.update(state=MailState.SENT, sent_at=NOW + timedelta(seconds=1)).execute()
    desk.clock.move_to(DEADLINE + timedelta(days=3))
    desk.do("expire", "news", "--despite-downtime")
    path = proved(desk)
    assert f"{path} holds." in desk.do("verify", str(path))
    statement = json.loads(path.read_text("utf-8"))["statement"]
    (removed,) = independent_verifier.check(path.read_bytes()).record["event"][-1:]
    assert removed["event_state"] == "dpv:ConsentUnknown"
    told = statement["entries"][-1]["parts"]["consent"]["content"]
    assert "Ja, blijf mij deze mails sturen" in statement["wordings"][told["link_page_wording"]]


def test_verify_names_what_does_not_hold(asked: Desk) -> None:
    path = proved(asked)
    document = json.loads(path.read_text("utf-8"))
    document["statement"]["entries"][0]["parts"]["person"]["content"]["address"] = "b@example.org"
    path.write_text(json.dumps(document), "utf-8")
    reason = asked.refused("verify", str(path))
    assert f"{path} proves nothing:" in reason
    assert "entry 2: the part person does not have the digest that it holds" in reason
    assert "entry 3 was made for another statement than this one" in reason


def test_verify_takes_the_zip_of_a_page_and_says_of_others_why_not(asked: Desk) -> None:
    path, packed = proved(asked), asked.folder / "proof.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("proof-news-1.json", path.read_text("utf-8"))
        archive.writestr("proof-news-1.html", "<p>")
    assert f"{packed} holds. It shows of one person" in asked.do("verify", str(packed))
    packed.write_bytes(packed.read_bytes()[:-30])
    assert "the ZIP is broken" in asked.refused("verify", str(packed))
    packed.write_bytes(b"\xff")
    reason = asked.refused("verify", str(packed))
    assert "it is not of the form repermit-proof/1: it is no JSON" in reason
    assert "codec" not in reason


def test_a_checkpoint_kept_elsewhere_agrees_contradicts_or_cannot_tell(asked: Desk) -> None:
    path = proved(asked)
    kept = asked.folder / "kept.json"

    def keep(**changes: Any) -> None:
        found = json.loads(path.read_text("utf-8"))["checkpoint"]
        kept.write_text(json.dumps({**found, **changes}), "utf-8")

    keep()
    assert "It agrees with your checkpoint" in asked.do(
        "verify", str(path), "--checkpoint", str(kept)
    )
    assert "It agrees with your checkpoint" in asked.do(
        "verify", str(path), "--checkpoint", str(path)
    )
    keep(root="0" * 64)
    assert "does not agree with" in asked.refused("verify", str(path), "--checkpoint", str(kept))
    keep(seq=17)
    reason = asked.refused("verify", str(path), "--checkpoint", str(kept))
    assert "cannot be told from the file: that was made at entry 17, this one at 3;" in reason
    assert "whoever holds the database can tell, by `repermit verify --checkpoint FILE`" in reason
    kept.write_text("[]", "utf-8")
    assert "holds no checkpoint" in asked.refused("verify", str(path), "--checkpoint", str(kept))
    missing = str(asked.folder / "missing.json")
    assert "cannot be read" in asked.refused("verify", missing)
    assert "a proof is JSON itself" in asked.misused("verify", str(path), "--json")


def test_a_proof_shows_whoever_holds_a_checkpoint_that_the_record_goes_on_from_it(
    asked: Desk,
) -> None:
    """A third party has the files alone, and asks neither database nor settings."""
    *_, line = asked.do("verify").splitlines()
    kept, seq = asked.file(line, name="kept.json"), json.loads(line)["seq"]
    path, later = asked.folder / "anna.json", asked.folder / "later.json"
    asked.do("proof", "news", ANNA, "-o", str(path), "--checkpoint", kept)
    independent_verifier.check(path.read_bytes())
    later.write_text(asked.do("verify", "--checkpoint", kept, "--json"))
    for file in (path, later):
        told = asked.do("verify", str(file), "--checkpoint", kept)
        assert f"It goes on from your checkpoint at entry {seq}: up to there nothing was" in told
        # Each knows its own checkpoint too.
        told = asked.do("verify", str(file), "--checkpoint", str(file))
        assert "It agrees with your checkpoint" in told
    assert "say which checkpoint you know" in asked.refused("verify", str(later))
    other = asked.file(json.dumps({"seq": seq, "hash": "0" * 64, "root": "0" * 64}), name="other")
    for file in (path, later):
        reason = asked.refused("verify", str(file), "--checkpoint", other)
        assert f"at the same entry {seq} that knows another record" in reason
    reason = asked.refused("proof", "news", ANNA, "--checkpoint", other)
    assert "does not go on from that checkpoint" in reason


def test_what_shows_no_going_on_is_refused(asked: Desk) -> None:
    *_, line = asked.do("verify").splitlines()
    kept, later = asked.file(line, name="kept.json"), asked.folder / "later.json"
    asked.do("proof", "news", ANNA)
    document = asked.run("verify", "--checkpoint", kept, "--json").document
    document["consistency"]["path"] = ["0" * 64]
    later.write_text(json.dumps(document))
    reason = asked.refused("verify", str(later), "--checkpoint", kept)
    assert "proves nothing:\n  - the checkpoint does not go on from the earlier one" in reason
    later.write_text(asked.do("verify", "--json"))
    assert "does not show that a record goes on" in asked.refused("verify", str(later))
    later.write_text("no JSON")
    assert "it is not of the form repermit-proof/1" in asked.refused("verify", str(later))


def test_after_erasure_the_address_is_proved_by_being_named(asked: Desk) -> None:
    with asked.news() as (database, _), database.atomic():
        erasure.erase_contact(
            lookup.lock_contact(Contact.get(Contact.address == ANNA).id),
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=make_settings().fingerprint_key,
        )
    path = proved(asked)
    told = asked.do("verify", str(path))
    assert "Held no longer, 2 parts: person of entry 2, person of entry 3" in told
    assert "The person was taken off at their own request." in told
    assert "What was held about the person was erased." in told
    assert ANNA not in path.read_text("utf-8") + told


def test_of_whom_nothing_is_recorded_a_proof_is_refused(asked: Desk) -> None:
    path = asked.folder / "never.json"
    reason = asked.refused("proof", "news", "never@example.org", "-o", str(path))
    assert "nothing is recorded of this address on the list news" in reason
    assert not path.exists()
    assert "FILE is for the JSON" in asked.misused(
        "proof", "news", ANNA, "-o", str(asked.folder / "anna.html")
    )
