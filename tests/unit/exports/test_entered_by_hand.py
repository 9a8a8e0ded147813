"""Addresses that must be entered by hand, since no tool's CSV can have them."""

from __future__ import annotations

import io

import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.exports.export import export
from repermit.exports.export_rows import Format, Tool, What, by_hand, formats_for
from repermit.rules.consent import Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings

ODD = ("+jan@example.org", "-jan@example.org", "=jan@example.org")


def test_they_are_those_that_the_export_leaves_out(database: Database) -> None:
    mailing_list = make_list(database)
    for address in (*ODD, "jan@example.org", "'jan@example.org", "a+b@example.org"):
        make_contact(database, mailing_list, address, status=Status.CONFIRMED, basis="answer")
    exported = export(
        mailing_list,
        What.KEEP,
        database=database,
        settings=make_settings(),
        now=NOW,
        actor="user:1",
        out=io.BytesIO(),
        tool=Tool.MAILCHIMP,
    )
    # In the order of a language, signs come in an order of their own.
    assert set(by_hand(mailing_list, What.KEEP)) == set(exported.by_hand) == set(ODD)
    assert by_hand(mailing_list, What.REMOVED) == ()


def test_who_is_erased_or_of_another_list_is_not_among_them(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    make_removed(database, other, Reason.NO, ODD[0])
    gone = make_removed(database, mailing_list, Reason.NO, ODD[1])
    assert by_hand(mailing_list, What.REMOVED) == (ODD[1],)
    with database.atomic():
        Contact.update(address=None).where(Contact.id == gone.id).execute()
    assert by_hand(mailing_list, What.REMOVED) == ()


@pytest.mark.parametrize(
    ("what", "tool", "formats"),
    [
        (What.EVIDENCE, None, tuple(Format)),
        (What.KEEP, Tool.BREVO, (Format.CSV,)),
        (What.REMOVED, Tool.LAPOSTA, (Format.CSV, Format.XLSX)),
        (What.UNASKED, Tool.LAPOSTA, ()),
    ],
)
def test_an_export_can_be_had_in_some_formats(
    what: What, tool: Tool | None, formats: tuple[Format, ...]
) -> None:
    assert formats_for(what, tool) == formats
