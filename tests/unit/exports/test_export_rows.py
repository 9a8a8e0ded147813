"""What an export reads from the database."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from repermit import email_address
from repermit.contacts import counts, erasure, status_changes
from repermit.db.connection import Database
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence import chain, entries
from repermit.exports import evidence_export, export_rows
from repermit.rules.consent import Basis, CampaignState, MailState, Reason, Status
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_removed,
    make_settings,
    put_in,
)


def addresses_of(found: Iterable[export_rows.Record]) -> list[str]:
    return [row["address"] for row in found]


def columns_of(row: export_rows.Record, columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in columns}


def erase(database: Database, contact: Contact) -> None:
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="admin@example.org"),
            fingerprint_key=make_settings().fingerprint_key,
        )


def append(database: Database, mailing_list: MailingList, **parts: Any) -> None:
    entry = entries.Entry(event="noted", at=NOW, actor="job", list=mailing_list.slug, **parts)
    with database.atomic():
        chain.append(entry)


# --- keep. --------------------------------------------------------------------------------------


def test_keep_has_the_confirmed_and_the_customers_and_nobody_else(database: Database) -> None:
    mailing_list = make_list(database)
    other = make_list(database, slug="other")
    make_contact(database, mailing_list, "c@example.org", status=Status.CUSTOMER)
    make_contact(database, mailing_list, "b@example.org", status=Status.CONFIRMED)
    make_contact(database, mailing_list, "unconfirmed@example.org")
    make_contact(database, other, "other@example.org", status=Status.CONFIRMED)
    make_removed(database, mailing_list, Reason.NO, "no@example.org")

    assert addresses_of(export_rows.iter_keep_rows(mailing_list)) == [
        "b@example.org",
        "c@example.org",
    ]


def test_keep_says_on_what_ground_and_since_when(database: Database) -> None:
    mailing_list = make_list(database)
    at = NOW - timedelta(days=400)
    make_contact(
        database,
        mailing_list,
        "Zoë@example.org",
        name="Zoë",
        language="nl",
        status=Status.CONFIRMED,
        basis=Basis.THIN,
        basis_at=at,
    )

    (row,) = export_rows.iter_keep_rows(mailing_list)

    assert columns_of(row, export_rows.KEEP_COLUMNS) == {
        "address": "Zoë@example.org",
        "name": "Zoë",
        "language": "nl",
        "basis": "thin",
        "since": at,
    }


def test_without_a_date_of_its_basis_a_contact_counts_from_its_status(database: Database) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list, status=Status.CUSTOMER)

    assert [row["since"] for row in export_rows.iter_keep_rows(mailing_list)] == [NOW]


def test_a_contact_without_a_language_has_the_lists(database: Database) -> None:
    mailing_list = make_list(database, language="de")
    make_contact(database, mailing_list, "a@example.org", status=Status.CONFIRMED)
    make_contact(database, mailing_list, "b@example.org", status=Status.CONFIRMED, language="fr")

    assert [row["language"] for row in export_rows.iter_keep_rows(mailing_list)] == ["de", "fr"]


def test_every_row_comes_once_and_in_order_over_several_pages(database: Database) -> None:
    mailing_list = make_list(database)
    wanted = [f"p{n:04}@example.org" for n in range(2000)]
    people = [
        {
            "list": mailing_list.id,
            "uid": f"{n:032x}",
            "subject": f"{n:032x}",
            "address": address,
            "address_key": address,
            "status": Status.CONFIRMED,
            "status_at": NOW,
        }
        for n, address in enumerate(reversed(wanted))
    ]
    put_in(database, Contact, people)

    assert addresses_of(export_rows.iter_keep_rows(mailing_list)) == wanted


# --- removed. -----------------------------------------------------------------------------------


def test_removed_says_why_and_when(database: Database) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.WITHDRAWN, "w@example.org")
    make_contact(database, mailing_list, "stays@example.org", status=Status.CONFIRMED)

    (row,) = export_rows.iter_removed_rows(mailing_list)
    assert columns_of(row, export_rows.REMOVED_COLUMNS) == {
        "address": "w@example.org",
        "name": "",
        "reason": "withdrawn",
        "removed_at": NOW,
    }


def test_the_erased_are_counted_and_left_out(database: Database) -> None:
    mailing_list = make_list(database)
    erase(database, make_removed(database, mailing_list, Reason.NO))
    make_removed(database, mailing_list, Reason.NO, "no@example.org")

    assert addresses_of(export_rows.iter_removed_rows(mailing_list)) == ["no@example.org"]
    assert counts.count_erased(mailing_list) == 1


# --- unasked. -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "bounce", "says"),
    [
        (MailState.FAILED, "", "", "failed"),
        (MailState.IN_DOUBT, "", "", "in_doubt"),
        (MailState.DROPPED, "too_late", "", "too_late"),
        (MailState.DROPPED, "cancelled", "", "cancelled"),
        (MailState.SENT, "", "", "short_notice"),
        (MailState.SENT, "", "soft", "came_back"),
        (MailState.IN_DOUBT, "", "soft", "came_back"),
    ],
)
def test_unasked_says_why(
    database: Database, state: MailState, reason: str, bounce: str, says: str
) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list, state=CampaignState.CLOSED)
    contact = make_contact(database, mailing_list, "u@example.org", name="U")
    make_mail(database, campaign, contact, state=state, reason=reason, bounce=bounce)

    assert list(export_rows.iter_unasked_rows(mailing_list)) == [
        {"address": "u@example.org", "name": "U", "reason": says}
    ]


def test_who_still_may_answer_is_not_unasked(database: Database) -> None:
    mailing_list = make_list(database)
    make_asked(database, mailing_list, make_campaign(database, mailing_list))

    assert not list(export_rows.iter_unasked_rows(mailing_list))


def test_unasked_comes_in_the_order_of_addresses(database: Database) -> None:
    mailing_list = make_list(database)
    campaign = make_campaign(database, mailing_list)
    for address in ("b@example.org", "a@example.org"):
        make_asked(database, mailing_list, campaign, address)
    with database.atomic():
        Mail.update(state=MailState.FAILED).execute()

    assert addresses_of(export_rows.iter_unasked_rows(mailing_list)) == [
        "a@example.org",
        "b@example.org",
    ]


# --- evidence. ----------------------------------------------------------------------------------


def test_the_evidence_comes_with_its_parts_as_they_are_stored(database: Database) -> None:
    mailing_list = make_list(database)
    append(database, mailing_list, consent={"note": "by telephone"})
    append(database, make_list(database, slug="other"))

    (row,) = evidence_export.iter_rows(mailing_list)

    assert set(row) >= set(evidence_export.COLUMNS)
    at = NOW.isoformat(timespec="microseconds")
    assert (row["seq"], row["at"], row["event"], row["list"]) == (1, at, "noted", "news")
    assert json.loads(row["consent"]) == {"note": "by telephone"}
    digest = entries.compute_part_digest(row["consent_salt"], row["consent"])
    assert digest == row["consent_digest"]
    assert (row["person_digest"], row["person_salt"], row["person"]) == ("", None, None)


def test_an_erased_part_is_gone_and_its_digest_stays(database: Database) -> None:
    mailing_list = make_list(database)
    erase(database, make_removed(database, mailing_list, Reason.NO, "no@example.org"))

    found = list(evidence_export.iter_rows(mailing_list))

    assert [row["event"] for row in found] == ["removed", "erased"]
    assert found[0]["person_digest"]
    assert found[0]["person"] is None
    assert "no@example.org" not in repr(found)


# --- Domains. -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "written"),
    [
        ("a@example.org", "a@example.org"),
        ("a@xn--bcher-kva.example", "a@bücher.example"),
        ("xn--a@example.org", "xn--a@example.org"),
        # No A-label of IDNA 2008, and one whose U-label is no usable domain.
        ("a@xn--a.example", "a@xn--a.example"),
        ("a@xn--ls8h.example", "a@xn--ls8h.example"),
    ],
)
def test_a_domain_is_written_so_that_it_is_read_as_the_same(kept: str, written: str) -> None:
    assert email_address.to_unicode_address(kept) == written


def test_who_could_not_be_asked_has_a_readable_domain_too(database: Database) -> None:
    mailing_list = make_list(database)
    contact = make_contact(database, mailing_list, "a@bücher.example.org")
    campaign = make_campaign(database, mailing_list)
    make_mail(database, campaign, contact, state=MailState.FAILED, sent_at=None)
    assert addresses_of(export_rows.iter_unasked_rows(mailing_list)) == ["a@bücher.example.org"]
