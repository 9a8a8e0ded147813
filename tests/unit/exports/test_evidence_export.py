"""An export of the evidence is checked offline: by `verify` and by two independent verifiers."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from repermit.accounts import api_tokens, login, users
from repermit.accounts.login import LoginAttempt
from repermit.accounts.user_info import Role
from repermit.cli.verify_file import verify_file
from repermit.clock import format_timestamp
from repermit.contacts import erasure, lookup, status_changes
from repermit.db.connection import Database, open_database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import EvidenceTimestamp
from repermit.evidence import chain, evidence_key, signed_checkpoint, timestamps
from repermit.evidence.asked_subjects import digest_subjects, read_asked_subjects
from repermit.evidence.entries import (
    Checkpoint,
    Entry,
    compute_chain_hash,
    compute_part_digest,
    encode_canonical_json,
)
from repermit.evidence.merkle import compute_root
from repermit.evidence.verify import evidence_export, signatures
from repermit.evidence.wordings_shown import iter_wordings_in
from repermit.exports.export import write_export
from repermit.privacy import evidence_retention
from repermit.rules.consent import Answer, Reason
from tests.support import independent_export
from tests.support.admin_pages import PASSWORD
from tests.support.builders import NOW, make_asked, make_campaign, make_list, make_settings
from tests.support.javascript_verifier import JavaScriptVerifier
from tests.support.json_documents import places, says_the_same
from tests.support.public_pages import answer_on_page, freeze_wording
from tests.support.timestamp_authority import Authority

SIGNING = make_settings(evidence_key=bytes(range(32)))
KEY = signed_checkpoint.get_public_key(SIGNING)
SCHEMA = Path(__file__).parents[3] / "docs/reference/evidence.schema.json"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def octets(ready_sqlite: Path, authority: Authority) -> bytes:
    """Return an export of a list with a key, two users, timestamps, and erasures of each kind."""
    path = ready_sqlite.with_name("exported.db")
    path.write_bytes(ready_sqlite.read_bytes())
    with open_database(f"sqlite:///{path}") as database:
        evidence_key.note_key(database, SIGNING, now=NOW, actor="cli:1000")
        vouching = {"name": "CN=Test Root", "certificates": []}
        append(database, Entry(event="timestamp_authority", at=NOW, actor="job", consent=vouching))
        for name in ("els", "otto"):
            address = f"{name}@example.org"
            users.add_user(database, address, role=Role.ADMIN, now=NOW, actor="cli:1000")
        mailing_list, _ = make_list(database), make_list(database, slug="other")
        campaign = make_campaign(database, mailing_list)
        freeze_wording(database, campaign, mailing_list, "nl")
        anna, ben, _ = (make_asked(database, mailing_list, campaign) for _ in range(3))
        tell_of(database, "launched", campaign, asked=3, audience=digest_of(database, campaign))
        append(database, Entry(event="exported", at=NOW, actor="user:2", list="other"))
        answer_on_page(database, anna.uid, Answer.YES, settings=SIGNING)
        keep(database, authority)
        answer_on_page(database, anna.uid, Answer.NO, settings=SIGNING)
        answer_on_page(database, ben.uid, Answer.NO, settings=SIGNING)
        tell_of(database, "closed", campaign, counts={"withdrawn": 1, "no": 1, "unconfirmed": 1})
        with database.atomic():
            act = status_changes.Act(at=NOW + timedelta(days=40), actor="person")
            erasure.erase_contact(
                lookup.lock_contact(anna.id), act=act, fingerprint_key=SIGNING.fingerprint_key
            )
        return exported(database, mailing_list)


def append(database: Database, entry: Entry) -> None:
    with database.atomic():
        chain.append(entry)


def tell_of(database: Database, event: str, campaign: Campaign, **facts: Any) -> None:
    values: dict[str, Any] = {"at": NOW, "actor": "user:1", "list": "news"}
    append(database, Entry(event=event, consent=facts, campaign=campaign.id, **values))


def digest_of(database: Database, campaign: Campaign) -> str:
    with database.atomic():
        return digest_subjects(read_asked_subjects(campaign.id))


def keep(database: Database, authority: Authority) -> None:
    """Keep a timestamp over the record as it is."""
    point = signed_checkpoint.make_signed_checkpoint(SIGNING)
    with database.atomic():
        EvidenceTimestamp.create(
            occasion="daily 1",
            due_at=NOW,
            next_at=NOW,
            seq=point.seq,
            note=point.note,
            reply=timestamps.encode(authority.reply_over(point.note)),
            stamped_at=NOW,
        )


def exported(database: Database, mailing_list: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    given = {"settings": SIGNING, "format": "json", **options}
    write_export(
        mailing_list, "evidence", database=database, now=NOW, actor="cli:1000", out=out, **given
    )
    return out.getvalue()


@pytest.fixture
def document(octets: bytes) -> Document:
    found: Document = json.loads(octets)
    return found


def own_check(document: Document) -> bool:
    return not evidence_export.check_export(io.BytesIO(json.dumps(document).encode())).faults


def verdicts(document: Document, javascript: JavaScriptVerifier, **known: Any) -> tuple[bool, bool]:
    """Return what the verifiers in Python and in JavaScript say."""
    octets = json.dumps(document).encode()
    try:
        independent_export.check(octets, **known)
        is_held = True
    except (ValueError, LookupError, TypeError, AttributeError):
        is_held = False
    return is_held, javascript.check(octets, **known)["holds"]


# --- What it has. ---------------------------------------------------------------------------------


def test_it_has_all_leaves_and_the_entries_about_the_list_alone(document: Document) -> None:
    entries = [one["entry"] for one in document["entries"]]
    assert len(document["leaves"]) == document["checkpoint"]["seq"] > len(entries)
    assert {one["list"] for one in entries} == {"news", ""}
    assert {one["event"] for one in entries if not one["list"]} == {
        *("evidence_key", "timestamp_authority", "user_added")
    }


def test_it_says_who_could_log_in_at_what_time(database: Database) -> None:
    mailing_list, els, otto = make_list(database), "els@example.org", "otto@example.org"
    one, two = (
        users.add_user(database, name, role=Role.ADMIN, now=NOW, actor="cli:1000")
        for name in (els, otto)
    )
    for invited, days in ((one, 1), (two, 2)):
        attempt = LoginAttempt(now=NOW + timedelta(days=days), network="192.0.2.0/24")
        login.accept_invitation(database, invited.token, PASSWORD, attempt=attempt)
    api_tokens.make_token(database, "till", scopes=["read:status"], now=NOW, actor="user:1")
    no_webhooks: Any = {"end_webhooks": lambda *_, **__: (), "now": NOW + timedelta(days=3)}
    users.remove_user(database, 2, **no_webhooks, actor="user:1")
    evidence_retention.delete_expired_parts(
        database, settings=SIGNING, now=NOW + timedelta(days=100)
    )
    octets = exported(database, mailing_list)
    assert evidence_export.check_export(io.BytesIO(octets)).faults == ()
    heads = [one["entry"] for one in json.loads(octets)["entries"]]
    assert [(head["event"], head["subject"]) for head in heads] == [
        *(("user_added", "user:1"), ("user_added", "user:2")),
        *(("password_chosen", "user:1"), ("password_chosen", "user:2")),
        *(("token_made", ""), ("user_removed", "user:2")),
        *(("erased", "user:2"), ("erased", "user:1")),
    ]
    assert [head["at"][:10] for head in heads[2:4]] == ["2026-03-03", "2026-03-04"]
    assert els.encode() in octets
    assert otto.encode() not in octets


def test_it_says_what_was_set_and_that_a_backup_was_put_back(database: Database) -> None:
    mailing_list = make_list(database)
    for event, told in (("settings_changed", {"keys": ["timezone"]}), ("restored", {"erased": 1})):
        append(database, Entry(event=event, at=NOW, actor="cli:1000", consent=told))
    append(database, Entry(event="logged_in", at=NOW, actor="user:1", subject="user:1"))
    octets = exported(database, mailing_list)
    entries = json.loads(octets)["entries"]
    assert [one["entry"]["event"] for one in entries] == ["settings_changed", "restored"]
    assert [one["parts"]["consent"]["content"] for one in entries] == [
        *({"keys": ["timezone"]}, {"erased": 1}),
    ]
    assert evidence_export.check_export(io.BytesIO(octets)).faults == ()


def test_its_times_are_printed_as_they_are_hashed(document: Document) -> None:
    for one in document["entries"]:
        leaf = hashlib.sha256(encode_canonical_json(one["entry"]).encode()).hexdigest()
        assert leaf == document["leaves"][one["entry"]["seq"] - 1]


def test_it_has_the_words_that_its_entries_name(document: Document) -> None:
    assert "Zouden wij u mogen" in "".join(document["wordings"].values())


def test_a_table_has_the_same_entries_and_times(database: Database) -> None:
    mailing_list = make_list(database)
    append(database, Entry(event="launched", at=NOW, actor="cli:1000", list="news"))
    rows = exported(database, mailing_list, format="csv").decode().splitlines()
    assert rows[1].startswith("1,2026-03-02T09:00:00.000000+00:00,launched,news,")


# --- Whether it holds. ----------------------------------------------------------------------------


def test_a_true_export_holds_with_its_key_and_authority(
    octets: bytes, authority: Authority, javascript: JavaScriptVerifier
) -> None:
    known: dict[str, Any] = {"keys": [str(KEY)], "ca_file": str(authority.ca_file)}
    checked = evidence_export.check_export(io.BytesIO(octets))
    assert (checked.faults, checked.erased, checked.compared) == ((), 4, 1)
    found = independent_export.check(octets, **known)
    (stamp,) = found.stamps
    assert found.signers == [str(KEY)]
    assert javascript.check(octets, **known) == {
        "holds": True,
        "signers": [str(KEY)],
        "stamps": [[stamp[0], stamp[1].isoformat(timespec="microseconds")]],
        "cosigned": [],
    }


def test_another_key_another_authority_and_another_token_are_refused(
    document: Document, authority: Authority, tmp_path: Path, javascript: JavaScriptVerifier
) -> None:
    stranger = signed_checkpoint.get_public_key(replace(SIGNING, evidence_key=bytes(32)))
    assert stranger
    assert not signatures.list_signers(document, [stranger])
    assert verdicts(document, javascript, keys=[str(stranger)]) == (False, False)
    other = Authority(tmp_path / "other")
    assert verdicts(document, javascript, ca_file=str(other.ca_file)) == (False, False)
    reply = authority.reply_over(document["checkpoint"]["note"])
    document["timestamps"][0]["reply"] = timestamps.encode(reply)
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


def _leave_one_out(document: Document) -> None:
    document["leaves"].pop()


def _swap_leaves(document: Document) -> None:
    document["leaves"][:2] = reversed(document["leaves"][:2])


def _say_another_name(document: Document) -> None:
    document["list"] = "other"


def _take_a_part_away(document: Document) -> None:
    del document["entries"][0]["parts"]["consent"]


def _hide_the_erasure(document: Document) -> None:
    document["entries"] = [one for one in document["entries"] if one["entry"]["event"] != "erased"]


def _change_a_word(document: Document) -> None:
    digest = next(iter(document["wordings"]))
    document["wordings"][digest] += "!"


def _forget_a_word(document: Document) -> None:
    document["wordings"].popitem()


def _drop_the_key(document: Document) -> None:
    del document["key"]


def _name_the_part_in_an_array(document: Document) -> None:
    (erased,) = [one for one in document["entries"] if one["entry"]["event"] == "erased"]
    part = erased["parts"]["consent"]
    part["content"]["parts"] = [[one] for one in part["content"]["parts"]]
    digest_anew(document, erased)


def digest_anew(document: Document, record: Document) -> None:
    part, entry = record["parts"]["consent"], record["entry"]
    entry["consent"] = compute_part_digest(part["salt"], encode_canonical_json(part["content"]))
    leaves = document["leaves"]
    leaves[entry["seq"] - 1] = hashlib.sha256(encode_canonical_json(entry).encode()).hexdigest()
    for name in {"key", "timestamps", "cosigned"} & document.keys():
        del document[name]
    its_hash = "0" * 64
    for leaf in leaves:
        its_hash = compute_chain_hash(its_hash, leaf)
    root = compute_root([bytes.fromhex(leaf) for leaf in leaves]).hex()
    document["checkpoint"] = {"seq": len(leaves), "hash": its_hash, "root": root}


def _hide_a_no(document: Document) -> None:
    entries = document["entries"]
    (place,) = (
        place
        for place, one in enumerate(entries)
        if one["parts"].get("consent", {}).get("content", {}).get("reason") == "no"
    )
    del entries[place]


def _hide_whom_it_was(document: Document) -> None:
    subject = document["entries"][-3]["entry"]["subject"]
    _hide_a_no(document)
    document["audiences"]["1"].remove(subject)


def _exchange_who_was_asked(document: Document) -> None:
    asked = document["audiences"]["1"]
    asked[:] = sorted([*asked[1:], "7" * 32])


def _say_nothing_of_who_was_asked(document: Document) -> None:
    del document["audiences"]


def _count_on(document: Document) -> None:
    document["entries"][0]["entry"]["campaign"] += 1


@pytest.mark.parametrize(
    "change",
    [
        *(_leave_one_out, _swap_leaves, _say_another_name, _take_a_part_away, _hide_the_erasure),
        *(_change_a_word, _forget_a_word, _drop_the_key, _count_on),
        *(_hide_a_no, _hide_whom_it_was, _exchange_who_was_asked, _say_nothing_of_who_was_asked),
        _name_the_part_in_an_array,
    ],
)
def test_whatever_is_changed_is_found_by_all_three(
    document: Document, javascript: JavaScriptVerifier, change: Any
) -> None:
    change(document)
    assert not own_check(document)
    assert verdicts(document, javascript) == (False, False)


@pytest.mark.parametrize(("event", "compared"), [("confirmed", 1), ("closed", 0)])
def test_what_changes_no_count_can_be_left_out(
    *,
    document: Document,
    javascript: JavaScriptVerifier,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    event: str,
    compared: int,
) -> None:
    """The Yes was replaced by a No before the closing; without that there is nothing to compare."""
    entries = document["entries"]
    (gone,) = (one for one in entries if one["entry"]["event"] == event)
    entries.remove(gone)
    still_named = {name for one in entries for name in _wordings_named(one)}
    for digest in _wordings_named(gone) - still_named:
        del document["wordings"][digest]
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(document), "utf-8")
    verify_file(path, checkpoints=(), keys=(), ca=None)
    told = capsys.readouterr().out
    agreed = "What became of everybody asked agrees with the counts of 1 closed campaign."
    assert (agreed in told) == bool(compared)
    assert ("No counts of a closed campaign could be compared." in told) == (not compared)


def _wordings_named(one: Document) -> set[str]:
    return set(iter_wordings_in(one["parts"].get("consent", {}).get("content", {})))


def test_no_byte_of_consequence_can_be_changed(
    octets: bytes, javascript: JavaScriptVerifier
) -> None:
    rng = random.Random(19)  # noqa: S311  the same places each time
    start = octets.index(b'"entries"')
    for _ in range(150):
        # The octets of a reply, before that, which its signature does not cover say nothing.
        place, bit = rng.randrange(start, len(octets)), 1 << rng.randrange(8)
        changed = octets[:place] + bytes([octets[place] ^ bit]) + octets[place + 1 :]
        holds = says_the_same(octets, changed)
        assert (not evidence_export.check_export(io.BytesIO(changed)).faults) == holds
        assert javascript.check(changed)["holds"] == holds


# --- Mutants. -------------------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(
        "",
        "x",
        "news",
        "job",
        "nobody",
        "erased",
        "user_added",
        None,
        True,
        0,
        1,
        -1,
        2**53,
        1.5,
        [],
        {},
    ),
    *("2026-03-02T09:00:00+00:00", "2026-02-30T00:00:00.000000+00:00", "0" * 64, "0" * 32),
)


def mutate(value: Any, rng: random.Random) -> None:
    holder, key = rng.choice([one for one in places(value) if one[1] != "reply"])
    what = rng.randrange(4)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(["more", "told", "wording", "parts", "seqs"])] = rng.choice(VALUES)
    elif what == 2 and isinstance(holder, list):
        holder.append(json.loads(json.dumps(holder[key])))
    else:
        holder[key] = rng.choice(VALUES)


def sealed_anew(document: Document) -> None:
    """Make all digests, leaves and the signature anew, as whoever has the key can."""
    document.pop("timestamps", None)
    for one in document["entries"]:
        for name, part in one["parts"].items():
            one["entry"][name] = compute_part_digest(
                part["salt"], encode_canonical_json(part["content"])
            )
        leaf = hashlib.sha256(encode_canonical_json(one["entry"]).encode()).hexdigest()
        document["leaves"][one["entry"]["seq"] - 1] = leaf
    seq = len(document["leaves"])
    point: Checkpoint = evidence_export.compute_checkpoints(document, {seq})[seq]
    document["checkpoint"] = signed_checkpoint.sign(point, SIGNING).to_json()


def disagreements(
    octets: bytes, javascript: JavaScriptVerifier, count: int, seed: int
) -> list[str]:
    rng, found, held = random.Random(seed), [], 0  # noqa: S311  the same mutants each time
    for number in range(count):
        document = json.loads(octets)
        mutate(document["entries"] if number % 2 else document, rng)
        if number % 2:
            with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
                sealed_anew(document)
        own, others = own_check(document), verdicts(document, javascript)
        held += own
        if others != (own, own):
            faults = evidence_export.check_export(io.BytesIO(json.dumps(document).encode())).faults
            found.append(f"{number}: {own} {faults}, the others {others}")
    assert 0 < held < count
    return found


def test_all_three_agree_on_mutants(octets: bytes, javascript: JavaScriptVerifier) -> None:
    assert disagreements(octets, javascript, 200, seed=19) == []


@pytest.mark.exhaustive
def test_all_three_agree_on_a_thousand_mutants(
    octets: bytes, javascript: JavaScriptVerifier
) -> None:
    assert disagreements(octets, javascript, 1000, seed=20) == []


# --- The schema that is published with the document. ----------------------------------------------


def test_a_true_export_is_of_the_schema(document: Document) -> None:
    schema = jsonschema_rs.Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    assert [error.message for error in schema.iter_errors(document)] == []
    for name in ("key", "leaves", "entries"):
        assert not schema.is_valid({key: one for key, one in document.items() if key != name})
    assert not schema.is_valid({**document, "more": 1})


# --- Entries of no list that it has. --------------------------------------------------------------


def test_it_has_what_was_erased_on_all_lists_if_that_names_an_entry_of_it(
    database: Database,
) -> None:
    mailing_list, subject = make_list(database), "ab" * 16
    told = {"seqs": [1], "parts": ["person"]}
    append(database, Entry(event="added", at=NOW, actor="job", list="news", subject=subject))
    for seqs in ([1], [99]):
        erased = {**told, "seqs": seqs}
        append(
            database, Entry(event="erased", at=NOW, actor="job", subject=subject, consent=erased)
        )
    entries = json.loads(exported(database, mailing_list))["entries"]
    assert [one["entry"]["seq"] for one in entries] == [1, 2]


def test_of_a_removed_user_it_has_that_and_what_was_erased(database: Database) -> None:
    mailing_list = make_list(database)
    for name in ("els", "otto"):
        users.add_user(database, f"{name}@example.org", role=Role.ADMIN, now=NOW, actor="cli:1000")
    append(database, Entry(event="launched", at=NOW, actor="user:2", list="news"))
    users.remove_user(database, 2, end_webhooks=lambda *_, **__: (), now=NOW, actor="user:1")
    octets = exported(database, mailing_list)
    events = [one["entry"]["event"] for one in json.loads(octets)["entries"]]
    assert events == ["user_added", "user_added", "launched", "user_removed", "erased"]
    assert evidence_export.check_export(io.BytesIO(octets)).faults == ()
    assert b"otto@example.org" not in octets


def test_without_a_key_it_holds_and_has_no_signature(
    database: Database, javascript: JavaScriptVerifier
) -> None:
    mailing_list = make_list(database)
    append(database, Entry(event="launched", at=NOW, actor="cli:1000", list="news"))
    document = json.loads(exported(database, mailing_list, settings=make_settings()))
    assert "key" not in document
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)


def test_who_was_erased_and_came_back_does_not_change_what_the_asked_came_to(
    database: Database, javascript: JavaScriptVerifier
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    anna = make_asked(database, mailing_list, campaign)
    tell_of(database, "launched", campaign, asked=1, audience=digest_of(database, campaign))
    with database.atomic():
        act = status_changes.Act(at=NOW + timedelta(days=2), actor="person")
        erasure.erase_contact(
            lookup.lock_contact(anna.id), act=act, fingerprint_key=SIGNING.fingerprint_key
        )
    back: dict[str, Any] = {"event": "added", "list": "news", "subject": anna.subject}
    append(database, Entry(at=NOW + timedelta(days=3), actor="person", **back))
    tell_of(database, "closed", campaign, counts={"request": 1})
    document = json.loads(exported(database, mailing_list))
    assert own_check(document)
    assert verdicts(document, javascript) == (True, True)


@pytest.mark.parametrize(("counted", "holds"), [(2, True), (3, False)])
def test_of_an_earlier_launch_only_all_together_are_checked(
    database: Database, javascript: JavaScriptVerifier, counted: int, *, holds: bool
) -> None:
    """It does not fix whom it asks, and an answer could come in while they were counted."""
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    anna, _ = (make_asked(database, mailing_list, campaign) for _ in range(2))
    tell_of(database, "launched", campaign, asked=2)
    answer_on_page(database, anna.uid, Answer.NO, settings=SIGNING)
    tell_of(database, "closed", campaign, counts={"unconfirmed": counted})
    document = json.loads(exported(database, mailing_list))
    assert own_check(document) == holds
    assert verdicts(document, javascript) == (holds, holds)


FIRST, LATER = NOW + timedelta(days=14), NOW + timedelta(days=16)


@pytest.mark.parametrize(
    ("extended", "told", "at", "holds"),
    [
        ([LATER], LATER, LATER, True),
        ([LATER], FIRST, LATER, False),  # not the one that was set last
        ([LATER], LATER, FIRST, False),  # before it had passed
        ([], LATER, LATER, False),  # the extension was left out
        ([], FIRST, FIRST, True),
        ([None], LATER, LATER, True),  # what the extension said was erased
    ],
)
def test_a_silence_was_until_the_deadline_that_the_export_says_was_set_last(
    database: Database,
    javascript: JavaScriptVerifier,
    extended: list[datetime | None],
    told: datetime,
    at: datetime,
    *,
    holds: bool,
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    freeze_wording(database, campaign, mailing_list, "nl")
    anna = make_asked(database, mailing_list, campaign)
    facts: dict[str, Any] = {"asked": 1, "audience": digest_of(database, campaign)}
    tell_of(database, "launched", campaign, deadline=format_timestamp(FIRST), **facts)
    for to in extended:
        tell_of(database, "extended", campaign, **({"to": format_timestamp(to)} if to else {}))
    append(
        database,
        Entry(
            event="removed",
            at=at,
            actor="job",
            list="news",
            campaign=campaign.id,
            subject=anna.subject,
            consent={"reason": Reason.NO_RESPONSE, "deadline": format_timestamp(told)},
        ),
    )
    document = json.loads(exported(database, mailing_list))
    assert own_check(document) == holds
    assert verdicts(document, javascript) == (holds, holds)
