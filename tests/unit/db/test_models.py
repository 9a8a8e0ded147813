"""The tables: moments, identities, and what may be there only once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repermit.clock import format_timestamp
from repermit.db.connection import Database, make_value_list
from repermit.db.migrations import ALL_TABLES
from repermit.db.models.base import Table, UTCDateTimeField, new_id
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.contacts import Contact, SignUp, Suppression
from repermit.db.models.lists import MailingList, find_list
from repermit.db.models.mails import Mail
from repermit.errors import NotFound
from repermit.rules.consent import CampaignState, MailKind
from tests.support.builders import NOW, make_campaign, make_contact, make_list, make_mail

ELSEWHERE = timezone(timedelta(hours=5, minutes=30))
moments = st.datetimes(timezones=st.sampled_from([UTC, ELSEWHERE])).filter(
    lambda moment: datetime(2, 1, 1, tzinfo=UTC) < moment < datetime(9999, 1, 1, tzinfo=UTC)
)


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        NOW + timedelta(microseconds=1),
        datetime(2026, 10, 25, 2, 30, tzinfo=ELSEWHERE),
    ],
)
def test_a_moment_comes_back_as_it_was(database: Database, moment: datetime) -> None:
    make_list(database, created_at=moment)
    found = MailingList.get().created_at
    assert found == moment
    assert found.tzinfo is UTC


def test_no_moment_comes_back_as_none(database: Database) -> None:
    make_campaign(database, make_list(database))
    assert Campaign.get().closed_at is None
    assert Campaign.select().where(Campaign.closed_at == None).count() == 1  # noqa: E711  SQL


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        format_timestamp(datetime(2026, 3, 2))  # noqa: DTZ001  that is the point
    with pytest.raises(ValueError, match="without a time zone"):
        UTCDateTimeField().db_value(datetime(2026, 3, 2))  # noqa: DTZ001
    assert UTCDateTimeField().db_value(None) is None


@given(moments, moments)
def test_the_order_of_the_text_is_that_of_time(first: datetime, second: datetime) -> None:
    assert (format_timestamp(first) < format_timestamp(second)) == (first < second)
    assert len(format_timestamp(first)) == len(format_timestamp(second))


def test_moments_are_compared_in_the_database(database: Database) -> None:
    make_list(database, created_at=NOW)
    for beyond, expected in ((-1, 0), (0, 1), (1, 1)):
        limit = (NOW + timedelta(microseconds=beyond)).astimezone(ELSEWHERE)
        assert MailingList.select().where(MailingList.created_at <= limit).count() == expected


@pytest.mark.parametrize("table", [Contact, Mail, Campaign, MailingList, SignUp, Suppression])
def test_whole_rows_are_what_their_fields_are_one_by_one(
    database: Database, table: type[Table]
) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list, name="Jan", since=NOW, has_refused=True)
    make_mail(database, make_campaign(database, mailing_list), contact)
    SignUp.create(list=mailing_list, uid="a" * 32, address="a@b.nl", address_key="a@b.nl", at=NOW)
    values = ("b" * 64, "c" * 32, "request", format_timestamp(NOW))
    with database.atomic():
        Suppression.insert_rows(_SUPPRESSION, [(None, *values)])
    (whole,) = table.select()
    (composed,) = table.select(*table._meta.sorted_fields)
    assert whole.__data__ == composed.__data__
    assert [*map(type, whole.__data__.values())] == [*map(type, composed.__data__.values())]
    assert (whole, whole.dirty_fields) == (composed, [])


def test_a_whole_row_knows_its_list_and_is_saved_by_what_has_changed(database: Database) -> None:
    make_contact(database, make_list(database), name="Jan")
    found = Contact.get()
    assert (found.list_id, found.list.slug) == (MailingList.get().id, "news")
    found.name = "Anna"
    assert [field.name for field in found.dirty_fields] == ["name"]
    with database.atomic():
        found.save()
    assert Contact.get().name == "Anna"


_SUPPRESSION = (
    *(Suppression.list, Suppression.fingerprint, Suppression.subject),
    *(Suppression.reason, Suppression.at),
)


def test_rows_are_inserted_and_take_over_what_is_new_of_those_that_are_there(
    database: Database,
) -> None:
    number = make_list(database).id
    before = [(number, f"{n:064}", "c" * 32, "no", format_timestamp(NOW)) for n in range(700)]
    later = format_timestamp(NOW + timedelta(days=1))
    after = [(number, f"{n:064}", "d" * 32, "request", later) for n in range(699, 701)]
    unique = (Suppression.fingerprint, Suppression.list)
    with database.atomic():
        Suppression.insert_rows(_SUPPRESSION, [])
        Suppression.insert_rows(_SUPPRESSION, before)
        Suppression.insert_rows(
            _SUPPRESSION, after, unique=unique, replace=(Suppression.reason, Suppression.at)
        )
    query = Suppression.select(*_SUPPRESSION).order_by(Suppression.fingerprint)
    rows = [(*values, format_timestamp(at)) for *values, at in query.tuples()]
    taken_over = (number, f"{699:064}", "c" * 32, "request", later)
    assert rows == [*before[:699], taken_over, after[1]]


@pytest.mark.parametrize("wanted", [[], ["Jan"], ["Jan", "Anna", "o'Brien; --"]])
def test_rows_are_found_by_values_that_are_bound_at_once(
    database: Database, wanted: list[str]
) -> None:
    mailing_list = make_list(database)
    for name in ("Jan", "o'Brien; --", ""):
        make_contact(database, mailing_list, name=name)
    found = {one.name for one in Contact.select().where(Contact.name.in_(make_value_list(wanted)))}
    assert found == {"Jan", "o'Brien; --"} & set(wanted)


def test_ids_are_128_random_bits() -> None:
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) == 32 and int(one, 16) >= 0 for one in made)


def test_a_list_is_found_by_its_slug(database: Database) -> None:
    assert find_list(make_list(database).slug).name == "Nieuws van de praktijk"
    with pytest.raises(NotFound, match="there is no list other; `repermit list add other"):
        find_list("other")


def test_the_latest_campaign_is_that_of_the_list(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    assert latest_campaign(mailing_list) is None
    make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    latest = make_campaign(database, mailing_list)
    make_campaign(database, other)
    assert latest_campaign(mailing_list) == latest


@pytest.mark.parametrize("second", CampaignState)
@pytest.mark.parametrize("first", [CampaignState.SCHEDULED, CampaignState.OPEN])
def test_a_list_has_one_live_campaign(
    database: Database, first: CampaignState, second: CampaignState
) -> None:
    mailing_list = make_list(database)
    make_campaign(database, mailing_list, state=first)
    if second.is_live:
        with pytest.raises(peewee.IntegrityError):
            make_campaign(database, mailing_list, state=second)
    else:
        make_campaign(database, mailing_list, state=second)


@pytest.mark.parametrize("kind", MailKind)
def test_nobody_is_owed_two_asks_or_reminders_of_one_campaign(
    database: Database, kind: MailKind
) -> None:
    campaign = make_campaign(database, make_list(database))
    contact = make_contact(database, campaign.list)
    make_mail(database, campaign, contact, kind=kind)
    if kind in {MailKind.ASK, MailKind.REMINDER}:
        with pytest.raises(peewee.IntegrityError):
            make_mail(database, campaign, contact, kind=kind)
    else:
        make_mail(database, campaign, contact, kind=kind)


def test_an_address_is_on_a_list_once(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    make_contact(database, mailing_list, "jan@example.org")
    make_contact(database, other, "jan@example.org")
    with pytest.raises(peewee.IntegrityError):
        make_contact(database, mailing_list, "Jan@Example.org")


def test_every_table_is_known_to_the_schema(database: Database) -> None:
    expected = {table._meta.table_name for table in ALL_TABLES}
    assert set(database.get_tables()) == expected
