"""Timestamps over checkpoints, from a real authority on loopback (RFC 3161, `openssl ts`)."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repermit.campaigns import lifecycle
from repermit.checks.database import check_database
from repermit.clock import ManualClock, SystemClock
from repermit.contacts import status_changes
from repermit.db.background_tasks import TaskKind, start_task
from repermit.db.connection import Database
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import EvidenceTimestamp
from repermit.db.models.lists import MailingList
from repermit.evidence import (
    chain,
    signed_checkpoint,
    stored_tree,
    timestamp_authority,
    timestamp_request,
    timestamp_token,
    timestamps,
)
from repermit.evidence.entries import Checkpoint, Entry
from repermit.evidence.verify import chain as verify_chain
from repermit.evidence.verify import proof
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.timestamps import NamedBy, StoredTimestamps, read_stamps
from repermit.jobs.periodic_jobs import Jobs
from repermit.privacy import make_proof
from repermit.rules.consent import CampaignState, Reason
from repermit.settings.definitions import EvidenceRules, Settings
from tests.support import independent_verifier
from tests.support.builders import DEADLINE, NOW, make_campaign, make_contact, make_list
from tests.support.builders import make_settings as plain_settings
from tests.support.timestamp_authority import Authority, serving

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with serving(Authority(tmp_path_factory.mktemp("authority"))) as found:
        yield found


@pytest.fixture
def authority(made: Authority) -> Authority:
    made.answers = "well"
    made.asked.clear()
    return made


def settings_of(authority: Authority, **overrides: Any) -> Settings:
    rules = EvidenceRules(timestamp_url=authority.url, timestamp_ca_file=str(authority.ca_file))
    return plain_settings(**{"evidence_key": bytes(range(32)), "evidence": rules, **overrides})


class Stamping:
    """A campaign whose checkpoints get timestamps: `pass_time` lets the job do what it would."""

    def __init__(self, database: Database, authority: Authority) -> None:
        self.database, self.authority = database, authority
        self.settings = settings_of(authority)
        self.clock = ManualClock(NOW)
        self.list: MailingList = make_list(database)
        self.campaign: Campaign = make_campaign(database, self.list, state=CampaignState.OPEN)

    def run(self) -> timestamp_request.RequestCounts:
        timestamps.enqueue_timestamps(self.database, settings=self.settings, now=self.clock.now())
        return timestamp_request.request_timestamps(
            self.database, settings=self.settings, clock=self.clock
        )

    def pass_time(self, until: datetime, step: timedelta = timedelta(hours=6)) -> None:
        while self.clock.now() < until:
            self.clock.advance(step)
            self.run()

    def take_off(self, address: str) -> Contact:
        contact = make_contact(self.database, self.list, address)
        with self.database.atomic():
            act = status_changes.Act(at=self.clock.now(), actor="person")
            status_changes.remove_contacts(
                [contact],
                reason=Reason.NO,
                act=act,
                fingerprint_key=self.settings.fingerprint_key,
            )
        return contact

    def prove(self, address: str) -> dict[str, Any]:
        found = make_proof.prove_address(
            self.database,
            self.list,
            address,
            settings=self.settings,
            now=self.clock.now(),
            actor="cli:1000",
        )
        return dict(json.loads(found.text))

    def fault(self) -> Fault | None:
        return verify_chain.verify_chain(
            self.database, authorities=timestamp_token.read_configured_authorities(self.settings)
        ).fault


@pytest.fixture
def stamping(database: Database, authority: Authority) -> Stamping:
    return Stamping(database, authority)


def occasions() -> list[str]:
    return [row.occasion for row in EvidenceTimestamp.select().order_by(EvidenceTimestamp.id)]


def check(document: dict[str, Any]) -> proof.Checked:
    return proof.check_proof(json.dumps(document).encode())


# --- When. ----------------------------------------------------------------------------------------


def test_launch_each_day_deadline_and_closing_get_one(stamping: Stamping) -> None:
    stamping.pass_time(NOW + 2 * DAY)
    assert occasions() == ["daily 2026-03-02", "daily 2026-03-03", "daily 2026-03-04"]
    stamping.clock.advance(DEADLINE - stamping.clock.now() - MINUTE)
    stamping.run()
    stamping.clock.advance(MINUTE)
    stamping.run()
    assert occasions()[-1].startswith("deadline 1 ")
    with stamping.database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=DEADLINE + MINUTE).execute()
    stamping.pass_time(DEADLINE + 3 * DAY)
    assert occasions()[-1] == "closing 1"
    assert len(occasions()) == len(set(occasions())) == len(timestamps.list_received())
    assert timestamps.list_pending() == []


def test_what_the_record_gains_after_the_closing_gets_one_on_the_next_day(
    stamping: Stamping,
) -> None:
    stamping.clock.advance(DEADLINE - NOW)
    with stamping.database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=DEADLINE).execute()
    stamping.run()
    known = occasions()
    stamping.clock.advance(timedelta(hours=1))
    with stamping.database.atomic():
        chain.append(
            Entry(event="exported", at=stamping.clock.now(), actor="job", consent={"n": 1})
        )
    stamping.run()
    assert occasions() == known
    stamping.pass_time(DEADLINE + 3 * DAY)
    assert occasions() == [*known, f"after {DEADLINE.date()}"]
    assert timestamps.list_received()[-1].seq == stored_tree.checkpoint().seq


def test_cancelling_gets_one_and_the_deadline_after_it_none(stamping: Stamping) -> None:
    stamping.run()
    stamping.clock.advance(timedelta(hours=1))
    lifecycle.cancel_campaign(
        stamping.database, stamping.list, now=stamping.clock.now(), actor="cli:0"
    )
    stamping.pass_time(DEADLINE + DAY)
    assert occasions() == ["daily 2026-03-02", "closing 1"]
    assert timestamps.list_received()[-1].seq == stored_tree.checkpoint().seq > 0


def test_occasions_that_have_come_at_once_are_served_by_one(stamping: Stamping) -> None:
    stamping.clock.advance(DEADLINE - NOW)
    with stamping.database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=DEADLINE).execute()
        for number in range(40):
            make_campaign(
                stamping.database,
                make_list(stamping.database, slug=f"list-{number}"),
                state=CampaignState.OPEN,
            )
    stamping.run()
    stamping.run()
    assert len(timestamps.list_received()) == len(stamping.authority.asked) == 1


def test_what_was_owed_before_one_served_several_is_owed_no_second_time(
    stamping: Stamping,
) -> None:
    for occasion in ("daily 2026-03-02", "launch 1"):
        keep(stamping, "a\n", b"x", occasion=occasion)
    assert stamping.run() == timestamp_request.RequestCounts()
    stamping.clock.advance(DAY)
    assert stamping.run().received == 1


def test_a_launch_has_one_once_its_entry_is_there(stamping: Stamping) -> None:
    with stamping.database.atomic():
        Campaign.update(state=CampaignState.SCHEDULED).execute()
        task = start_task(
            TaskKind.LAUNCH, 1, mailing_list=stamping.list, actor="job", at=NOW, state={}
        )
    stamping.run()
    assert occasions() == []
    with stamping.database.atomic():
        task.delete_instance()
    stamping.run()
    assert occasions() == ["launch 1"]


def test_a_job_owes_and_asks(stamping: Stamping) -> None:
    jobs = Jobs(
        stamping.settings, stamping.database, clock=stamping.clock, stopping=threading.Event()
    )
    for _ in range(2):
        jobs.request_timestamps()
    assert len(timestamps.list_received()) == len(stamping.authority.asked) == 1


def test_without_an_authority_nothing_is_owed(stamping: Stamping) -> None:
    stamping.settings = replace(stamping.settings, evidence=EvidenceRules())
    assert stamping.run() == timestamp_request.RequestCounts()
    assert occasions() == []


def test_what_was_over_before_is_left_alone(stamping: Stamping) -> None:
    with stamping.database.atomic():
        Campaign.update(state=CampaignState.CLOSED, closed_at=DEADLINE).execute()
    stamping.clock.advance(DEADLINE + 30 * DAY - NOW)
    stamping.run()
    assert occasions() == []


def test_only_a_digest_leaves(stamping: Stamping) -> None:
    stamping.run()
    for query in stamping.authority.asked:
        assert len(query) < 100
        assert b"ask.example.org" not in query


def test_nothing_is_owed_or_asked_twice_however_many_processes_do_it(stamping: Stamping) -> None:
    def do(_: int) -> None:
        with stamping.database.connection_context():
            stamping.run()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(do, range(4)))
    assert occasions() == ["daily 2026-03-02"]
    assert len(stamping.authority.asked) == 1


# --- What fails. ----------------------------------------------------------------------------------


def test_an_authority_that_is_down_for_two_days_is_asked_again(stamping: Stamping) -> None:
    stamping.authority.answers = "down"
    stamping.pass_time(NOW + 2 * DAY)
    assert timestamps.list_received() == []
    waiting = timestamps.list_pending()
    assert [row.occasion for row in waiting][:2] == ["daily 2026-03-02", "daily 2026-03-03"]
    assert waiting[0].problem == "the authority answers 503"
    assert waiting[0].attempts == 8
    first = stored_tree.checkpoint()
    stamping.authority.answers = "well"
    stamping.clock.advance(timedelta(hours=1))
    assert stamping.run().received == len(waiting)
    assert timestamps.list_pending() == []
    assert {row.seq for row in timestamps.list_received()} == {first.seq}


def test_a_check_tells_of_what_does_not_come(stamping: Stamping) -> None:
    stamping.authority.answers = "down"
    stamping.run()
    found = check_database(stamping.database, None, now=stamping.clock.now()).findings
    (told,) = [one for one in found if one.code == "database_timestamps"]
    assert dict(told.values) == {
        "count": "1",
        "since": "2026-03-02 09:00Z",
        "reason": "the authority answers 503",
    }


def test_it_is_tried_after_a_minute_and_then_ever_more_rarely(stamping: Stamping) -> None:
    stamping.authority.answers = "down"
    stamping.run()
    for rest in (1, 2, 4, 8, 16, 32, 60, 60):
        stamping.authority.asked.clear()
        stamping.clock.advance(rest * MINUTE - timedelta(seconds=1))
        stamping.run()
        assert len(stamping.authority.asked) == 0
        stamping.clock.advance(timedelta(seconds=1))
        stamping.run()
        assert len(stamping.authority.asked) == 1


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ("nonce", "Nonce mismatch"),
        ("other", "it is of another checkpoint"),
        ("rubbish", "it is no timestamp"),
        ("refused", ""),
    ],
)
def test_a_reply_that_does_not_hold_is_not_kept(
    stamping: Stamping, answers: str, problem: str
) -> None:
    stamping.authority.answers = answers
    assert stamping.run().failed == 1
    assert timestamps.list_received() == []
    assert all(problem in row.problem for row in timestamps.list_pending())
    assert all(row.problem for row in timestamps.list_pending())


@pytest.mark.parametrize(
    ("expired", "problem"), [(True, "certificate has expired"), (False, "unable to get local")]
)
def test_an_expired_or_another_certificate_is_refused(
    stamping: Stamping, tmp_path: Path, expired: bool, problem: str
) -> None:
    with serving(Authority(tmp_path / "other", expired=expired)) as other:
        rules = EvidenceRules(
            timestamp_url=other.url,
            timestamp_ca_file=str((other if expired else stamping.authority).ca_file),
        )
        stamping.settings = replace(stamping.settings, evidence=rules)
        assert stamping.run().failed == 1
    assert all(problem in row.problem for row in timestamps.list_pending())


def test_an_authority_that_cannot_be_reached_stops_nothing(stamping: Stamping) -> None:
    rules = replace(stamping.settings.evidence, timestamp_url="http://127.0.0.1:9/")
    stamping.settings = replace(stamping.settings, evidence=rules)
    assert stamping.run().failed == 1
    assert timestamps.list_pending()[0].problem == "ConnectionError"


# --- What a proof shows. --------------------------------------------------------------------------


@pytest.fixture
def proved(stamping: Stamping) -> dict[str, Any]:
    """Return a proof of somebody of whose entries timestamps are kept."""
    stamping.run()
    stamping.take_off("anna@example.org")
    for _ in range(3):
        stamping.pass_time(stamping.clock.now() + DAY)
        stamping.take_off(f"{stamping.clock.now():%d}@example.org")
    return stamping.prove("anna@example.org")


def test_a_proof_has_the_first_timestamp_over_each_of_its_entries(
    stamping: Stamping, proved: dict[str, Any]
) -> None:
    (shown,) = proved["timestamps"]
    own = proved["statement"]["entries"][-1]["entry"]["seq"]
    point = signed_checkpoint.read_stamped(shown["note"])
    assert own <= point.seq < proved["checkpoint"]["seq"]
    assert check(proved).faults == ()
    authorities = timestamp_token.read_configured_authorities(stamping.settings)
    (stamp,) = read_stamps(proved, authorities)
    assert (stamp.seq, stamp.by, stamp.named_by) == (point.seq, "CN=Test Authority", "given")
    assert abs(stamp.at - SystemClock().now()) < 10 * MINUTE
    assert [one.named_by for one in read_stamps(proved)] == [NamedBy.NOBODY]


def test_a_proof_from_before_the_first_timestamp_has_none(stamping: Stamping) -> None:
    stamping.take_off("anna@example.org")
    assert "timestamps" not in stamping.prove("anna@example.org")


def test_an_unsigned_proof_may_have_timestamps(stamping: Stamping) -> None:
    stamping.settings = replace(stamping.settings, evidence_key=None)
    stamping.take_off("anna@example.org")
    stamping.run()
    document = stamping.prove("anna@example.org")
    assert (document["format"], "key" in document) == ("repermit-proof/2", False)
    assert document["timestamps"][0]["note"].startswith("ask.example.org\n1\n")
    assert check(document).faults == ()


def test_a_timestamp_of_another_authority_is_refused(
    stamping: Stamping, proved: dict[str, Any], tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    proved["timestamps"][0]["reply"] = timestamps.encode(
        other.reply_over(proved["timestamps"][0]["note"])
    )
    assert check(proved).faults == ()
    with pytest.raises(ValueError, match="unable to get local issuer certificate"):
        read_stamps(proved, timestamp_token.read_configured_authorities(stamping.settings))


def test_a_timestamp_below_the_first_entry_of_a_proof_proves_nothing(
    stamping: Stamping, proved: dict[str, Any]
) -> None:
    (early,) = proved["timestamps"]
    point = signed_checkpoint.read_stamped(early["note"])
    stamping.take_off("late@example.org")
    late = stamping.prove("late@example.org")
    assert point.seq < late["statement"]["entries"][0]["entry"]["seq"]
    path = stored_tree.MerkleProofs(Checkpoint.from_json(late["checkpoint"])).prove_consistency(
        point
    )
    late["timestamps"] = [early | {"path": list(path)}]
    told = f"the timestamp at {point.seq} has none of its entries"
    assert [str(one) for one in check(late).faults] == [told]
    with pytest.raises(ValueError, match="covers no entry"):
        independent_verifier.check(json.dumps(late).encode())


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no list": lambda one: one.update(timestamps={}),
    "an empty list": lambda one: one.update(timestamps=[]),
    "no path": lambda one: one["timestamps"][0].update(path=[]),
    "another path": lambda one: one["timestamps"][0]["path"].reverse(),
    "another name": lambda one: one["timestamps"][0].update(more=1),
    "another note": lambda one: one["timestamps"][0].update(note=one["checkpoint"]["note"]),
    "a changed note": lambda one: one["timestamps"][0].update(
        note=one["timestamps"][0]["note"].replace("ask.", "tsk.")
    ),
    "a note cut off": lambda one: one["timestamps"][0].update(
        note=one["timestamps"][0]["note"].partition("\n\n")[0] + "\n"
    ),
    "rubbish": lambda one: one["timestamps"][0].update(reply="AAAA"),
    "no base64": lambda one: one["timestamps"][0].update(reply="é"),
    "a number": lambda one: one["timestamps"][0].update(reply=7),
    "the older form": lambda one: one.update(format="repermit-proof/1"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_proof_whose_timestamp_was_touched_is_refused(
    proved: dict[str, Any], change: Callable[[dict[str, Any]], Any]
) -> None:
    assert len(proved["timestamps"][0]["path"]) > 1
    change(proved)
    assert check(proved).faults != ()


# --- What verify finds. ---------------------------------------------------------------------------


def test_timestamps_that_are_of_the_record_hold(stamping: Stamping, proved: dict[str, Any]) -> None:
    assert proved
    authorities = timestamp_token.read_configured_authorities(stamping.settings)
    assert list(StoredTimestamps(authorities).find_faults()) == []


def test_a_record_that_was_made_anew_is_found_by_its_timestamps(stamping: Stamping) -> None:
    with stamping.database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 1}))
    point = stored_tree.checkpoint()
    other = replace(point, hash="0" * 64)
    text = signed_checkpoint.note_text(other, stamping.settings)
    keep(stamping, text, stamping.authority.reply_over(text))
    fault = stamping.fault()
    assert fault
    assert (fault.seq, fault.how) == (1, How.REWRITTEN)


def test_a_kept_timestamp_that_was_altered_is_found(stamping: Stamping, tmp_path: Path) -> None:
    with stamping.database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 1}))
    text = signed_checkpoint.note_text(stored_tree.checkpoint(), stamping.settings)
    keep(stamping, text, Authority(tmp_path / "other").reply_over(text))
    fault = stamping.fault()
    assert fault
    assert fault.how is How.CONTRADICTED
    assert "its timestamp: unable to get local issuer certificate" in str(fault)


# --- An authority that is replaced. ---------------------------------------------------------------


def set_authority(stamping: Stamping, **rules: Any) -> None:
    """Name another authority in the settings, and nothing of the one before."""
    stamping.settings = replace(stamping.settings, evidence=EvidenceRules(**rules))


def kept_faults(stamping: Stamping, **options: bool) -> list[How]:
    authorities = timestamp_token.read_configured_authorities(stamping.settings)
    return [one.how for one in StoredTimestamps(authorities, **options).find_faults()]


def test_timestamps_hold_after_their_authority_was_replaced(
    stamping: Stamping, proved: dict[str, Any], tmp_path: Path
) -> None:
    count = len(timestamps.list_received())
    other = Authority(tmp_path / "other")
    with serving(other):
        set_authority(stamping, timestamp_url=other.url, timestamp_ca_file=str(other.ca_file))
        stamping.pass_time(stamping.clock.now() + 2 * DAY)
    assert proved
    assert len(timestamps.list_received()) == count + 2
    assert kept_faults(stamping) == []
    set_authority(stamping)
    assert kept_faults(stamping) == []


def vouched(stamping: Stamping) -> list[tuple[NamedBy, int]]:
    kept = StoredTimestamps(timestamp_token.read_configured_authorities(stamping.settings))
    assert list(kept.find_faults()) == []
    return [(one.named_by, one.count) for one in kept.list_vouched()]


def test_timestamps_of_an_authority_that_the_record_alone_names_are_counted_apart(
    stamping: Stamping, tmp_path: Path
) -> None:
    stamping.run()
    assert vouched(stamping) == [(NamedBy.GIVEN, 1)]
    forger = Authority(tmp_path / "forger")
    with stamping.database.atomic():
        timestamp_authority.note_authority(
            timestamp_token.read_authorities(str(forger.ca_file)), now=NOW
        )
    text = signed_checkpoint.note_text(stored_tree.checkpoint(), stamping.settings)
    keep(stamping, text, forger.reply_over(text), occasion="launch 1")
    assert vouched(stamping) == [(NamedBy.GIVEN, 1), (NamedBy.RECORD, 1)]
    set_authority(stamping)
    assert vouched(stamping) == [(NamedBy.RECORD, 2)]


def test_timestamps_of_an_authority_that_nobody_names_are_counted_apart(
    stamping: Stamping,
) -> None:
    with stamping.database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 1}))
    text = signed_checkpoint.note_text(stored_tree.checkpoint(), stamping.settings)
    keep(stamping, text, stamping.authority.reply_over(text))
    set_authority(stamping)
    assert vouched(stamping) == [(NamedBy.NOBODY, 1)]


def test_of_several_certificates_the_one_that_vouches_is_an_entry_once(
    stamping: Stamping, tmp_path: Path
) -> None:
    many = tmp_path / "many.pem"
    strangers = [Authority(tmp_path / name) for name in ("one", "two")]
    files = [one.ca_file for one in (strangers[0], stamping.authority, strangers[1])]
    many.write_text("".join(one.read_text("utf-8") for one in files), "utf-8")
    set_authority(stamping, timestamp_url=stamping.authority.url, timestamp_ca_file=str(many))
    stamping.pass_time(NOW + 3 * DAY)
    assert len(timestamps.list_received()) > 2
    (noted,) = timestamp_authority.read_recorded_authorities()
    (root,) = timestamp_token.read_authorities(str(stamping.authority.ca_file))
    assert noted.certificates == [root]


def test_the_authority_alone_that_is_given_vouches_where_the_record_is_not_trusted(
    stamping: Stamping, proved: dict[str, Any], tmp_path: Path
) -> None:
    assert proved
    set_authority(stamping, timestamp_ca_file=str(Authority(tmp_path / "other").ca_file))
    found = kept_faults(stamping, trusts_record=False)
    assert found == [How.CONTRADICTED] * len(timestamps.list_received())


@pytest.mark.parametrize("is_dated_back", [False, True])
def test_an_authority_that_is_put_into_the_record_vouches_for_nothing_earlier(
    stamping: Stamping, tmp_path: Path, is_dated_back: bool
) -> None:
    forger = Authority(tmp_path / "forger")
    certificates = timestamp_token.read_authorities(str(forger.ca_file))
    later = SystemClock().now() + 2 * DAY
    with stamping.database.atomic():
        chain.append(Entry(event="exported", at=NOW, actor="job", consent={"n": 1}))
        text = signed_checkpoint.note_text(stored_tree.checkpoint(), stamping.settings)
        if is_dated_back:
            chain.append(Entry(event="exported", at=later, actor="job", consent={"n": 2}))
        timestamp_authority.note_authority(certificates, now=NOW if is_dated_back else later)
    keep(stamping, text, forger.reply_over(text))
    assert kept_faults(stamping) == [How.CONTRADICTED]
    set_authority(stamping)
    assert kept_faults(stamping) == [How.CONTRADICTED]


@pytest.mark.parametrize(
    "told", [{}, {"certificates": 7}, {"certificates": [7]}, {"certificates": ["", "AAAA", "é"]}]
)
def test_what_is_no_authority_vouches_for_nothing(
    stamping: Stamping, proved: dict[str, Any], told: dict[str, Any]
) -> None:
    assert proved
    with stamping.database.atomic():
        entry = Entry(event=timestamp_authority.EVENT, at=NOW, actor="job", consent=told)
        chain.append(entry)
    assert len(timestamp_authority.read_recorded_authorities()) == 1
    assert kept_faults(stamping) == []


def keep(
    stamping: Stamping, text: str, reply: bytes, *, occasion: str = "daily 2026-03-02"
) -> None:
    with stamping.database.atomic():
        EvidenceTimestamp.create(
            occasion=occasion,
            due_at=NOW,
            next_at=NOW,
            seq=1,
            note=text,
            reply=timestamps.encode(reply),
            stamped_at=NOW,
        )


def test_no_reply_whatever_it_is_ends_in_anything_but_a_refusal(authority: Authority) -> None:
    reply = authority.reply_over("text\n")
    authorities = timestamp_token.read_authorities(str(authority.ca_file))
    true = timestamp_token.read_token(reply, "text\n", authorities=authorities)
    for place in range(0, len(reply), 3):
        altered = bytearray(reply)
        altered[place] ^= 1 << place % 8
        for given in ((), authorities):
            try:
                found = timestamp_token.read_token(bytes(altered), "text\n", authorities=given)
            except ValueError:
                continue
            # What an authority does not sign says nothing: who may have changed it changes nothing.
            assert (found.at, found.serial) == (true.at, true.serial) or not given
