"""The kept counts: the same as what is there, after everything that may happen to a list."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run
from hypothesis import strategies as st

from repermit.answers import record_answer
from repermit.campaigns import enqueue_reminders, lifecycle
from repermit.campaigns import launch as campaigns_launch
from repermit.clock import ManualClock
from repermit.contacts import admin_requests, counts, erasure, status_changes
from repermit.db import row_counts
from repermit.db.connection import Database, is_postgresql
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.db.row_counts import (
    ContactCount,
    MailCount,
    correct_counts,
    find_drift,
    fold_counts,
    recount,
)
from repermit.db.work_steps import StepSize
from repermit.errors import RepermitError, TransportError
from repermit.expiry import downtime, sweep
from repermit.imports import import_file, undo
from repermit.rules.consent import Answer, CampaignState, MailKind, MailState, Reason, Status
from repermit.sending import (
    in_doubt,
    queue,
    refusals_and_retries,
    send_due,
    send_rate,
    send_step,
)
from repermit.smtp.reply_codes import Reply as Told
from repermit.suppression import suppressions
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.support.desk import ATTEST

SETTINGS = make_settings()
ADMIN = "anna@example.org"
_numbers = count()


class Life:
    """What may happen to one list, a step at a time; what is refused changes nothing."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.file = folder / "list.csv"
        self.clock = ManualClock(NOW)
        self.slug = f"list{next(_numbers)}"
        self.mailing_list: MailingList = make_list(database, slug=self.slug)
        self.common: dict[str, Any] = {"settings": SETTINGS, "actor": ADMIN}

    @property
    def now(self) -> dict[str, Any]:
        return {**self.common, "now": self.clock.now()}

    def some(self) -> Contact | None:
        """Return somebody of the list, another one each time."""
        found = list(Contact.select().where(Contact.list == self.mailing_list).order_by(Contact.id))
        return found[next(_numbers) % len(found)] if found else None

    def take_in(self) -> None:
        number = next(_numbers)
        self.file.write_text(
            "email,language,status\n"
            f"a{number}@example.org,nl,subscribed\nb{number}@example.org,fr,unsubscribed\n"
            f"a{number // 3}@example.org,,bounced\nc{number}@example.org,,subscribed\n"
            + "".join(f"{n}-{number}@example.org,,\n" for n in range(9))
        )
        import_file.import_file(self.database, self.mailing_list, self.file, **self.now)

    def take_back(self) -> None:
        undo.undo_import(self.database, self.mailing_list, **self.now)

    def add(self) -> None:
        person = admin_requests.NewContact(
            address=f"p{next(_numbers)}@example.org", source="a letter"
        )
        admin_requests.add_contact(self.database, self.mailing_list, person, **self.now)

    def launch(self) -> None:
        campaigns_launch.launch(
            self.database,
            self.mailing_list,
            deadline=self.clock.now() + timedelta(days=28),
            attest=ATTEST,
            reminder=3,
            **self.now,
        )

    def claim(self) -> list[queue.Claim]:
        claimed = queue.claim_mails(
            self.database,
            worker="me",
            fingerprint_key=SETTINGS.fingerprint_key,
            rates=send_rate.SendRates(),
            now=self.clock.now(),
            size=StepSize(first_rows=1),
            mailing_list=self.mailing_list,
        )
        return claimed.claims

    def start(self) -> list[int]:
        now = self.clock.now()
        starts = [send_step.Start(one, "<1@example.org>", now) for one in self.claim()]
        _, started = send_step.record_step(
            self.database, worker="me", accepted=[], starts=starts, now=now
        )
        return sorted(started)

    def send(self) -> None:
        accepted = [(number, Told(250, "2.0.0")) for number in self.start()]
        send_step.record_step(
            self.database, worker="me", accepted=accepted, starts=[], now=self.clock.now()
        )

    def refuse(self) -> None:
        error = TransportError(550, "5.1.1", permanent=True, scope="recipient")
        for number in self.start():
            refusals_and_retries.record_refusal(
                self.database,
                number,
                error,
                worker="me",
                was_started=True,
                latest_start=self.clock.now(),
                fingerprint_key=SETTINGS.fingerprint_key,
                now=self.clock.now(),
            )

    def lose(self) -> None:
        for number in self.start():
            refusals_and_retries.mark_in_doubt(self.database, number, worker="me")
        send_due.run_maintenance(self.database, now=self.clock.now())

    def resolve(self) -> None:
        in_doubt.resolve_in_doubt(
            self.database, self.mailing_list, resend=True, now=self.clock.now(), actor=ADMIN
        )

    def answer(self) -> None:
        person = self.some()
        address = person.address if person else None
        for one in filter(None, [address]):
            said = (Answer.YES, Answer.NO)[next(_numbers) % 2]
            record_answer.record_reported_answer(
                self.database, self.mailing_list, one, said, note="by phone", **self.now
            )

    def forget(self) -> None:
        person = self.some()
        held = [person] if person and person.erased_at is None else []
        for one in held:
            act = status_changes.Act(at=self.clock.now(), actor=ADMIN)
            with self.database.atomic():
                erasure.erase_contact(one, act=act, fingerprint_key=SETTINGS.fingerprint_key)

    def remind(self) -> None:
        self.clock.advance(timedelta(days=13))
        enqueue_reminders.enqueue_reminders(self.database, settings=SETTINGS, now=self.clock.now())

    def pause(self) -> None:
        lifecycle.pause_campaign(
            self.database, self.mailing_list, now=self.clock.now(), actor=ADMIN
        )

    def resume(self) -> None:
        lifecycle.resume_campaign(self.database, self.mailing_list, **self.now)

    def cancel(self) -> None:
        lifecycle.cancel_campaign(
            self.database, self.mailing_list, now=self.clock.now(), actor=ADMIN
        )

    def expire(self) -> None:
        self.clock.advance(timedelta(days=28))
        downtime.assume_up_until(self.database, moment=self.clock.now())
        sweep.expire_due(
            self.database,
            settings=SETTINGS,
            clock=self.clock,
            mailing_list=self.mailing_list,
        )

    def fold(self) -> None:
        fold_counts(self.database)

    def fail(self) -> None:
        """Change everything, and think better of it."""
        with self.database.atomic() as transaction:
            Contact.update(status=Status.CUSTOMER).execute()
            Mail.delete().execute()
            transaction.rollback()


ACTS: tuple[Callable[[Life], object], ...] = tuple(
    getattr(Life, name)
    for name in (
        "take_in take_in take_back add launch launch claim start send send refuse lose resolve "
        "answer answer forget remind pause resume cancel expire fold fail"
    ).split()
)


@pytest.mark.exhaustive
def test_counts_are_what_is_there_after_whatever_may_happen(
    database: Database, tmp_path: Path
) -> None:
    @run(max_examples=25, suppress_health_check=[*HealthCheck])
    @given(st.lists(st.sampled_from(ACTS), max_size=14))
    def live(acts: list[Callable[[Life], object]]) -> None:
        life = Life(database, tmp_path)
        # So that there is always something for the others to happen to.
        for act in (Life.take_in, Life.launch, Life.claim, Life.start, Life.send, *acts):
            with suppress(RepermitError):
                act(life)
            assert find_drift(database) == 0, act.__name__
            seen.update(mails.state for mails in counts.count_mails(life.mailing_list))

    seen: set[MailState] = set()
    live()
    assert counts.count_contact_groups().total() == Contact.select().count()
    assert counts.count_mails().total() == Mail.select().count() > 0
    assert seen == set(MailState)


def test_counts_come_by_list_and_by_campaign(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    campaign = make_campaign(database, news)
    for _ in range(2):
        make_asked(database, news, campaign)
    make_contact(database, news, language="fr")
    make_removed(database, news, Reason.NO)
    make_contact(database, other)
    assert counts.count_contacts(news) == {
        (Status.UNCONFIRMED, ""): 3,
        (Status.REMOVED, Reason.NO): 1,
    }
    assert (
        counts.count_contact_groups(news)[counts.ContactGroup(Status.UNCONFIRMED, "", "", "fr")]
        == 1
    )
    sent = counts.MailGroup(campaign.id, MailKind.ASK, MailState.SENT, "", "")
    assert counts.count_mails(campaign=campaign) == {sent: 2}
    assert counts.count_mails(news) == counts.count_mails() == {sent: 2}
    assert counts.count_mails(other) == {}


def test_what_a_cascade_deletes_is_counted_out(database: Database) -> None:
    news = make_list(database)
    person = make_asked(database, news, make_campaign(database, news))
    with database.atomic():
        person.delete_instance()
    assert counts.count_mails() == {}
    assert find_drift(database) == 0


def test_what_is_held_and_who_is_suppressed_is_counted_as_it_changes(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    person = make_contact(database, news, name="Anna", source="a letter")
    make_contact(database, news)
    make_contact(database, other, name="Bob")
    assert counts.count_stored_fields(news) == counts.StoredFieldCounts(
        addresses=2, names=1, sources=1
    )
    with database.atomic():
        Contact.update(name="").where(Contact.id == person.id).execute()
    assert counts.count_stored_fields(news) == counts.StoredFieldCounts(
        addresses=2, names=0, sources=1
    )
    make_removed(database, news, Reason.NO)
    assert counts.count_suppressions(news) == {(Reason.NO, False): 1}
    with database.atomic():
        suppressions.delete_suppressions(Suppression.list == news)
    assert counts.count_suppressions(news) == {}
    assert find_drift(database) == 0


def test_a_count_that_somebody_has_changed_is_found_and_mended(database: Database) -> None:
    make_contact(database, make_list(database))
    with database.atomic():
        ContactCount.update(count=7).execute()
    assert find_drift(database) == 1
    with database.atomic():
        recount(database)
    assert find_drift(database) == 0


def test_counts_are_mended_while_others_write(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    make_asked(database, news, campaign)
    make_removed(database, news, Reason.NO)
    with database.atomic():
        ContactCount.update(count=ContactCount.count + 7).execute()
        MailCount.delete().execute()
    correction = row_counts._add_to_count

    def write_before(*known: Any) -> str:
        monkeypatch.undo()
        make_asked(database, news, campaign)
        return correction(*known)

    monkeypatch.setattr(row_counts, "_add_to_count", write_before)
    correct_counts(database)
    assert find_drift(database) == 0
    assert counts.count_mails(campaign=campaign).total() == 2


@pytest.mark.counted_on_both
def test_many_rows_of_one_count_become_one(database: Database) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news, state=CampaignState.SENDING)
    make_asked(database, news, campaign)
    with database.atomic():
        for number in range(300):
            Mail.update(reason=str(number % 2)).execute()
    fold_counts(database)
    assert find_drift(database) == 0
    assert counts.count_mails(campaign=campaign).total() == 1
    rows = MailCount.select().where(MailCount.count != 0).count()
    assert rows == 1 if is_postgresql(database) else rows >= 1
