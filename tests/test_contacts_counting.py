"""The kept counts: the same as what is there, after everything that may happen to a list."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run
from hypothesis import strategies as st

from repermit import answers, campaigns, contacts, delivery, expiry, importing
from repermit.clock import ManualClock
from repermit.consent import Answer, CampaignState, MailKind, MailState, Reason, Status
from repermit.delivery import booking, claiming, outcomes, pacing
from repermit.errors import RepermitError, TransportError
from repermit.mailer import Reply as Told
from repermit.models import (
    Contact,
    ContactCount,
    Mail,
    MailCount,
    MailingList,
    StepSize,
    Suppression,
    correct_counts,
    counts,
    find_drift,
    fold_counts,
    is_postgresql,
    recount,
)
from tests.building import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
    make_settings,
)
from tests.desk import ATTEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from repermit.models import Database

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
        importing.import_file(self.database, self.mailing_list, self.file, **self.now)

    def take_back(self) -> None:
        importing.undo_import(self.database, self.mailing_list, **self.now)

    def add(self) -> None:
        person = contacts.ByHand(address=f"p{next(_numbers)}@example.org", source="a letter")
        contacts.add_by_hand(self.database, self.mailing_list, person, **self.now)

    def launch(self) -> None:
        campaigns.launch(
            self.database,
            self.mailing_list,
            deadline=self.clock.now() + timedelta(days=28),
            attest=ATTEST,
            reminder=3,
            **self.now,
        )

    def claim(self) -> list[claiming.Claim]:
        claimed = claiming.claim(
            self.database,
            worker="me",
            fingerprint_key=SETTINGS.fingerprint_key,
            rates=pacing.Rates(),
            now=self.clock.now(),
            size=StepSize(first=1),
            mailing_list=self.mailing_list,
        )
        return claimed.claims

    def start(self) -> list[int]:
        now = self.clock.now()
        starts = [booking.Start(one, "<1@example.org>", now) for one in self.claim()]
        _, started = booking.step(self.database, worker="me", accepted=[], starts=starts, now=now)
        return sorted(started)

    def send(self) -> None:
        accepted = [(number, Told(250, "2.0.0")) for number in self.start()]
        booking.step(self.database, worker="me", accepted=accepted, starts=[], now=self.clock.now())

    def refuse(self) -> None:
        error = TransportError(550, "5.1.1", permanent=True, scope="recipient")
        for number in self.start():
            outcomes.refused(
                self.database,
                number,
                error,
                worker="me",
                was_started=True,
                last_moment=self.clock.now(),
                fingerprint_key=SETTINGS.fingerprint_key,
                now=self.clock.now(),
            )

    def lose(self) -> None:
        for number in self.start():
            outcomes.left_in_doubt(self.database, number, worker="me")
        delivery.look_after(self.database, now=self.clock.now())

    def resolve(self) -> None:
        delivery.resolve(
            self.database, self.mailing_list, resend=True, now=self.clock.now(), actor=ADMIN
        )

    def answer(self) -> None:
        person = self.some()
        address = person.address if person else None
        for one in filter(None, [address]):
            said = (Answer.YES, Answer.NO)[next(_numbers) % 2]
            answers.answer_for(
                self.database, self.mailing_list, one, said, note="by phone", **self.now
            )

    def forget(self) -> None:
        person = self.some()
        held = [person] if person and person.erased_at is None else []
        for one in held:
            act = contacts.Act(at=self.clock.now(), actor=ADMIN)
            with self.database.atomic():
                contacts.erase(one, act=act, fingerprint_key=SETTINGS.fingerprint_key)

    def remind(self) -> None:
        self.clock.advance(timedelta(days=13))
        campaigns.owe_reminders(self.database, settings=SETTINGS, now=self.clock.now())

    def pause(self) -> None:
        campaigns.pause(self.database, self.mailing_list, now=self.clock.now(), actor=ADMIN)

    def resume(self) -> None:
        campaigns.resume(self.database, self.mailing_list, **self.now)

    def cancel(self) -> None:
        campaigns.cancel(self.database, self.mailing_list, now=self.clock.now(), actor=ADMIN)

    def expire(self) -> None:
        self.clock.advance(timedelta(days=28))
        expiry.skip(self.database, to=self.clock.now())
        expiry.expire_due(
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
            seen.update(mails.state for mails in contacts.count_mails(life.mailing_list))

    seen: set[MailState] = set()
    live()
    assert contacts.count_people().total() == Contact.select().count()
    assert contacts.count_mails().total() == Mail.select().count() > 0
    assert seen == set(MailState)


def test_counts_come_by_list_and_by_campaign(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    campaign = make_campaign(database, news)
    for _ in range(2):
        make_asked(database, news, campaign)
    make_contact(database, news, language="fr")
    make_removed(database, news, Reason.NO)
    make_contact(database, other)
    assert contacts.count_contacts(news) == {
        (Status.UNCONFIRMED, ""): 3,
        (Status.REMOVED, Reason.NO): 1,
    }
    assert contacts.count_people(news)[contacts.People(Status.UNCONFIRMED, "", "", "fr")] == 1
    sent = contacts.Mails(campaign.id, MailKind.ASK, MailState.SENT, "", "")
    assert contacts.count_mails(campaign=campaign) == {sent: 2}
    assert contacts.count_mails(news) == contacts.count_mails() == {sent: 2}
    assert contacts.count_mails(other) == {}


def test_what_a_cascade_deletes_is_counted_out(database: Database) -> None:
    news = make_list(database)
    person = make_asked(database, news, make_campaign(database, news))
    with database.atomic():
        person.delete_instance()
    assert contacts.count_mails() == {}
    assert find_drift(database) == 0


def test_what_is_held_and_who_is_suppressed_is_counted_as_it_changes(database: Database) -> None:
    news, other = make_list(database), make_list(database, slug="other")
    person = make_contact(database, news, name="Anna", source="a letter")
    make_contact(database, news)
    make_contact(database, other, name="Bob")
    assert contacts.count_held(news) == contacts.Held(addresses=2, names=1, sources=1)
    with database.atomic():
        Contact.update(name="").where(Contact.id == person.id).execute()
    assert contacts.count_held(news) == contacts.Held(addresses=2, names=0, sources=1)
    make_removed(database, news, Reason.NO)
    assert contacts.count_suppressions(news) == {(Reason.NO, False): 1}
    with database.atomic():
        contacts.lift(Suppression.list == news)
    assert contacts.count_suppressions(news) == {}
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
    correction = counts._correction

    def write_before(*known: Any) -> str:
        monkeypatch.undo()
        make_asked(database, news, campaign)
        return correction(*known)

    monkeypatch.setattr(counts, "_correction", write_before)
    correct_counts(database)
    assert find_drift(database) == 0
    assert contacts.count_mails(campaign=campaign).total() == 2


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
    assert contacts.count_mails(campaign=campaign).total() == 1
    rows = MailCount.select().where(MailCount.count != 0).count()
    assert rows == 1 if is_postgresql(database) else rows >= 1
