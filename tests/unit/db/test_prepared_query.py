"""Prepared queries: the same rows and counts as a query that is composed each time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from repermit.clock import format_timestamp
from repermit.db.connection import Database
from repermit.db.models.base import ID_LIST, Meta, PreparedQuery
from repermit.db.models.contacts import Contact, Opening
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.rules.consent import MailKind
from tests.support.builders import NOW, make_campaign, make_contact, make_list, make_mail

_LATER = NOW + timedelta(hours=1)


def test_each_run_finds_the_rows_of_its_values(database: Database) -> None:
    news = make_list(database)
    contacts = [make_contact(database, news) for _ in range(3)]
    find = PreparedQuery(
        lambda uid, at: Contact.select().where(Contact.uid == uid, Contact.status_at <= at), 2
    )
    for contact in contacts:
        (found,) = find.rows(contact.uid, _LATER)
        assert (found.id, found.address, found.status_at) == (
            contact.id,
            contact.address,
            contact.status_at,
        )
        assert found.list == news
    assert find.rows("nobody", NOW) == []
    assert find.first("nobody", NOW) is None


def test_a_list_of_numbers_is_of_any_length(database: Database) -> None:
    news = make_list(database)
    contacts = [make_contact(database, news) for _ in range(3)]
    ids = [contact.id for contact in contacts]
    find = PreparedQuery(
        lambda at: Contact.select().where(Contact.id.in_(ID_LIST), Contact.status_at <= at), 1
    )
    for some in ([], ids[:1], ids[1:], ids):
        assert sorted(row.id for row in find.rows(_LATER, ids=some)) == some
        assert len(find.raw_rows(_LATER, ids=some)) == len(some)
    change = PreparedQuery(lambda name: Contact.update(name=name).where(Contact.id.in_(ID_LIST)), 1)
    with database.atomic():
        assert change.execute("Jan", ids=ids[:2]) == 2
    assert [row.name for row in Contact.select().order_by(Contact.id)] == ["Jan", "Jan", ""]


def test_values_are_converted_as_the_field_has_it(database: Database) -> None:
    news = make_list(database)
    contact = make_contact(database, news, status_at=NOW)
    since = PreparedQuery(
        lambda at, one: Contact.select(Contact.uid).where(
            Contact.status_at >= at, Contact.list == one
        ),
        2,
    )
    assert [row.uid for row in since.rows(NOW, news)] == [contact.uid]
    assert since.rows(_LATER, news) == []


def test_joined_rows_are_as_peewee_makes_them(database: Database) -> None:
    news = make_list(database)
    campaign = make_campaign(database, news)
    mail = make_mail(database, campaign, make_contact(database, news))

    def compose(contact: Any) -> Any:
        return Mail.select(Mail, Contact).join(Contact).where(Mail.contact == contact)

    (found,) = PreparedQuery(compose, 1).rows(mail.contact_id)
    (usual,) = compose(mail.contact_id)
    assert found.__data__ == usual.__data__
    assert found.contact.__data__ == usual.contact.__data__


@pytest.mark.usefixtures("database")
def test_what_is_written_is_counted() -> None:
    Meta.insert_many([{"key": key, "value": "old"} for key in "ab"]).execute()
    change = PreparedQuery(lambda value, key: Meta.update(value=value).where(Meta.key == key), 2)
    assert [change.execute("new", key) for key in ("a", "none")] == [1, 0]
    assert {row.key: row.value for row in Meta.select().where(Meta.key.in_(["a", "b"]))} == {
        "a": "new",
        "b": "old",
    }


def test_an_insert_has_the_defaults_of_its_table(database: Database) -> None:
    news = make_list(database)
    contact = make_contact(database, news)
    add = PreparedQuery(
        lambda list_id, contact_id, at: Mail.insert(
            list=list_id, contact=contact_id, kind=MailKind.RECEIPT, due_at=at, message_id=""
        ),
        3,
    )
    assert add.execute(news.id, contact.id, format_timestamp(NOW)) == 1
    mail = Mail.get()
    assert (mail.due_at, mail.state, mail.attempts) == (NOW, "queued", 0)


def test_a_query_is_composed_once(database: Database) -> None:
    composed = []

    def compose() -> Any:
        composed.append(database)
        return Meta.select()

    query = PreparedQuery(compose)
    query.rows()
    query.rows()
    assert composed == [database]


# --- Looking up a row by what its fields are equal to. -------------------------------------------


@pytest.mark.parametrize(
    "conditions",
    [
        lambda contact: [Contact.uid == contact.uid],
        lambda contact: [Contact.list == contact.list, Contact.uid == contact.uid],
        lambda contact: [Contact.list == contact.list_id, Contact.id == contact.id],
        lambda contact: [Contact.status_at == contact.status_at, Contact.basis_at.is_null()],
        lambda contact: [Contact.status_at == contact.status_at, Contact.id == contact],
        lambda contact: [(Contact.uid == contact.uid) & (Contact.id > 0)],
        lambda contact: [Contact.uid == contact.uid, Contact.basis_at == None],  # noqa: E711  SQL
        lambda contact: [Contact.id == Contact.select(Contact.id).where(Contact.id == contact.id)],
    ],
)
def test_a_row_is_found_by_equalities_and_by_others(
    database: Database, conditions: Callable[[Contact], list[Any]]
) -> None:
    news = make_list(database)
    make_contact(database, news, status_at=_LATER)
    contact = make_contact(database, news)
    where = conditions(contact)
    assert Contact.get(*where).__data__ == Contact.select().where(*where).get().__data__
    assert Contact.get_or_none(Contact.uid == "nobody", Contact.list == news) is None
    with pytest.raises(Contact.DoesNotExist):
        Contact.get(Contact.uid == "nobody")


def test_a_row_is_found_by_its_number(database: Database) -> None:
    news = make_list(database)
    assert MailingList.get(news.id) == MailingList.get_by_id(news.id) == news


# --- Writing what has changed. -------------------------------------------------------------------


def test_only_what_has_changed_is_written(database: Database) -> None:
    contact = make_contact(database, make_list(database), name="Jan")
    mine, other = Contact.get_by_id(contact.id), Contact.get_by_id(contact.id)
    other.name = "Piet"
    other.write_changes()
    mine.basis_at, mine.form_version = _LATER, 7
    mine.write_changes()
    found = Contact.get_by_id(contact.id)
    assert (found.name, found.basis_at, found.form_version) == ("Piet", _LATER, 7)


def test_what_is_written_once_is_not_written_again(database: Database) -> None:
    contact = make_contact(database, make_list(database))
    mine, other = Contact.get_by_id(contact.id), Contact.get_by_id(contact.id)
    mine.name = "Jan"
    mine.write_changes()
    other.name = "Piet"
    other.write_changes()
    mine.write_changes()
    assert Contact.get_by_id(contact.id).name == "Piet"


def test_the_row_of_a_contacts_links_is_found_by_the_contact(database: Database) -> None:
    news = make_list(database)
    contact = make_contact(database, news)
    assert Opening.get_or_none(Opening.contact == contact) is None
    Opening.create(contact=contact, list=news, began_at=NOW)
    assert Opening.get(Opening.contact == contact).began_at == NOW
