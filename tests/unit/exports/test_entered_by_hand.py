"""Addresses that must be entered by hand, since no tool's CSV can have them."""

from __future__ import annotations

import io

import pytest

from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.exports.export import write_export
from repermit.exports.export_rows import (
    ExportKind,
    FileFormat,
    Tool,
    list_formats,
    list_formula_addresses,
)
from repermit.rules.consent import Reason, Status
from tests.support.builders import NOW, make_contact, make_list, make_removed, make_settings

ODD = ("+jan@example.org", "-jan@example.org", "=jan@example.org")


def test_they_are_those_that_the_export_leaves_out(database: Database) -> None:
    mailing_list = make_list(database)
    for address in (*ODD, "jan@example.org", "'jan@example.org", "a+b@example.org"):
        make_contact(database, mailing_list, address, status=Status.CONFIRMED, basis="answer")
    exported = write_export(
        mailing_list,
        ExportKind.KEEP,
        database=database,
        settings=make_settings(),
        now=NOW,
        actor="user:1",
        out=io.BytesIO(),
        tool=Tool.MAILCHIMP,
    )
    # In the order of a language, signs come in an order of their own.
    assert (
        set(list_formula_addresses(mailing_list, ExportKind.KEEP))
        == set(exported.by_hand)
        == set(ODD)
    )
    assert list_formula_addresses(mailing_list, ExportKind.REMOVED) == ()


def test_who_is_erased_or_of_another_list_is_not_among_them(database: Database) -> None:
    mailing_list, other = make_list(database), make_list(database, slug="other")
    make_removed(database, other, Reason.NO, ODD[0])
    gone = make_removed(database, mailing_list, Reason.NO, ODD[1])
    assert list_formula_addresses(mailing_list, ExportKind.REMOVED) == (ODD[1],)
    with database.atomic():
        Contact.update(address=None).where(Contact.id == gone.id).execute()
    assert list_formula_addresses(mailing_list, ExportKind.REMOVED) == ()


@pytest.mark.parametrize(
    ("what", "tool", "formats"),
    [
        (ExportKind.EVIDENCE, None, tuple(FileFormat)),
        (ExportKind.KEEP, Tool.BREVO, (FileFormat.CSV,)),
        (ExportKind.REMOVED, Tool.LAPOSTA, (FileFormat.CSV, FileFormat.XLSX)),
        (ExportKind.UNASKED, Tool.LAPOSTA, ()),
    ],
)
def test_an_export_can_be_had_in_some_formats(
    what: ExportKind, tool: Tool | None, formats: tuple[FileFormat, ...]
) -> None:
    assert list_formats(what, tool) == formats
