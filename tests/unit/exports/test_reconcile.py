"""A fresh export from elsewhere beside what may be mailed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from repermit import email_address
from repermit.contacts import erasure, status_changes
from repermit.db.connection import Database, open_database
from repermit.db.migrations import upgrade_database
from repermit.db.models.base import new_id
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.errors import ListFileError
from repermit.exports.export import write_export
from repermit.exports.reconcile import Finding, count_findings, reconcile
from repermit.rules.consent import Basis, Reason, Status
from repermit.settings.definitions import Settings
from tests.support.builders import NOW, make_contact, make_list, make_removed
from tests.support.one_time_links import correct_address


def write(folder: Path, *lines: str, name: str = "export.csv") -> Path:
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def make_kept(database: Database, mailing_list: MailingList, address: str) -> Contact:
    return make_contact(
        database, mailing_list, address, status=Status.CONFIRMED, basis=Basis.ANSWER, basis_at=NOW
    )


def suppress(
    database: Database, settings: Settings, mailing_list: MailingList | None, address: str
) -> None:
    with database.atomic():
        Suppression.create(
            list=mailing_list,
            fingerprint=email_address.fingerprint(settings.fingerprint_key, address),
            subject=new_id(),
            reason=Reason.COMPLAINT,
            at=NOW,
        )


def test_whoever_may_be_mailed_agrees_in_any_spelling(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "jan@example.org")
    make_contact(database, mailing_list, "klant@example.org", status=Status.CUSTOMER)
    path = write(tmp_path, "email", "JAN@Example.org", "jan@example.org", "klant@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    nobody = dict.fromkeys(count_findings(result), 0)
    assert count_findings(result) == {**nobody, "rows": 3, "agree": 2, "duplicates": 1}
    assert (result.list, result.file) == ("news", "export.csv")


def test_the_removed_should_not_be_there(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.NO_RESPONSE, "silent@example.org")
    path = write(tmp_path, "email,name", "silent@example.org,Silent")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.should_not_be_there == (Finding(2, "silent@example.org", "no_response"),)


def test_the_erased_are_known_by_their_fingerprint(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    contact = make_kept(database, mailing_list, "gone@example.org")
    with database.atomic():
        erasure.erase_contact(
            contact,
            act=status_changes.Act(at=NOW, actor="person"),
            fingerprint_key=settings.fingerprint_key,
        )
    path = write(tmp_path, "email", "Gone@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.should_not_be_there == (Finding(2, "Gone@example.org", "request"),)


@pytest.mark.parametrize(
    ("reason_of_leaving", "reason"),
    [("", "former_address"), (Reason.WITHDRAWN, "former_address"), (Reason.REQUEST, "request")],
)
def test_the_former_address_of_somebody_who_corrected_it_is_no_departure(
    database: Database, settings: Settings, tmp_path: Path, reason_of_leaving: str, reason: str
) -> None:
    mailing_list = make_list(database)
    contact = make_kept(database, mailing_list, "old@example.org")
    correct_address(database, settings, contact, "new@example.org")
    if reason_of_leaving:
        with database.atomic():
            status_changes.remove_contacts(
                [Contact.get_by_id(contact.id)],
                reason=Reason(reason_of_leaving),
                act=status_changes.Act(at=NOW, actor="person"),
                fingerprint_key=settings.fingerprint_key,
            )
    path = write(tmp_path, "email", "Old@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.should_not_be_there == (Finding(2, "Old@example.org", reason),)


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_suppressed_should_not_be_there_though_they_wait_to_be_asked(
    database: Database, settings: Settings, tmp_path: Path, everywhere: bool
) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list, "wait@example.org")
    suppress(database, settings, None if everywhere else mailing_list, "wait@example.org")
    path = write(tmp_path, "email", "wait@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.should_not_be_there == (Finding(2, "wait@example.org", "complaint"),)


def test_another_lists_suppression_does_not_count(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    suppress(database, settings, make_list(database, slug="other"), "a@example.org")
    path = write(tmp_path, "email", "a@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.unknown == (Finding(2, "a@example.org", "unknown"),)


def test_who_has_not_answered_yet_stands_apart(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_contact(database, mailing_list, "wait@example.org")
    path = write(tmp_path, "email", "wait@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.not_yet == (Finding(2, "wait@example.org", "unconfirmed"),)
    assert not result.should_not_be_there


def test_who_may_be_mailed_and_is_not_there_is_missing(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "here@example.org")
    make_kept(database, mailing_list, "missing@example.org")
    path = write(tmp_path, "email", "here@example.org")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.missing == (Finding(0, "missing@example.org", "answer"),)


@pytest.mark.parametrize(
    ("column", "said"), [("status", "unsubscribed"), ("opmerking", "geen mail meer")]
)
def test_who_opted_out_there_is_not_missing_but_has_said_no(
    database: Database, settings: Settings, tmp_path: Path, column: str, said: str
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "left@example.org")
    path = write(tmp_path, f"email,{column}", f"left@example.org,{said}")

    result = reconcile(mailing_list, path, settings=settings)

    assert result.opted_out_there == (Finding(2, "left@example.org", "unsubscribed"),)
    assert (result.agree, result.missing) == (0, ())


def test_who_is_opted_out_there_is_not_there(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.NO, "no@example.org")
    path = write(
        tmp_path, "email,status", "no@example.org,unsubscribed", "x@example.org,unsubscribed"
    )

    result = reconcile(mailing_list, path, settings=settings)

    nobody = dict.fromkeys(count_findings(result), 0)
    assert count_findings(result) == {**nobody, "rows": 2, "already_off": 2}


def test_one_subscribed_row_is_enough_to_be_there(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "both@example.org")
    path = write(
        tmp_path, "email,status", "both@example.org,unsubscribed", "both@example.org,subscribed"
    )

    result = reconcile(mailing_list, path, settings=settings)

    assert (result.agree, result.opted_out_there) == (1, ())
    assert (result.already_off, result.duplicates) == (0, 1)


_WHO = ("kept", "wait", "no", "stranger", "no at sign")


@profile(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(_WHO), st.sampled_from(["subscribed", "unsubscribed"]))))
def test_every_row_is_counted_once(
    sqlite_url: str, settings: Settings, tmp_path: Path, people: list[tuple[str, str]]
) -> None:
    with open_database(sqlite_url) as database:
        upgrade_database(database)
        mailing_list = make_list(database, slug=new_id())
        make_kept(database, mailing_list, "kept@example.org")
        make_contact(database, mailing_list, "wait@example.org")
        make_removed(database, mailing_list, Reason.NO, "no@example.org")
        text = [f"{who}{'' if ' ' in who else '@example.org'},{mark}" for who, mark in people]
        result = reconcile(mailing_list, write(tmp_path, "email,status", *text), settings=settings)

    found = count_findings(result)
    assert found.pop("rows") == len(people)
    found.pop("missing")
    assert sum(found.values()) == len(people)
    addresses_there = {who for who, _ in people if " " not in who}
    invalid = sum(" " in who for who, _ in people)
    assert result.duplicates == len(people) - invalid - len(addresses_there)


def test_rows_that_cannot_be_read_say_why(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    path = write(tmp_path, "email,name", "jan@example.org,Jan", "jan,Jan", "a@x.org,b,c,d")

    result = reconcile(make_list(database), path, settings=settings)

    assert [finding.line for finding in result.invalid] == [3, 4]
    assert result.invalid[0] == Finding(3, "jan", "no @ in the address")


def test_of_several_tables_each_finding_names_its_own(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    path = tmp_path / "audience.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.csv", "email\na@example.org\n")
        archive.writestr("two.csv", "email\nb@example.org\n")

    result = reconcile(mailing_list, path, settings=settings)

    assert {(found.part, found.line, found.address) for found in result.unknown} == {
        ("one.csv", 2, "a@example.org"),
        ("two.csv", 2, "b@example.org"),
    }


def test_a_file_longer_than_one_batch_is_compared_whole(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_removed(database, mailing_list, Reason.NO, "p1199@example.org")
    path = write(tmp_path, "email", *(f"p{n}@example.org" for n in range(1200)))

    result = reconcile(mailing_list, path, settings=settings)

    assert [found.line for found in result.should_not_be_there] == [1201]
    assert len(result.unknown) == 1199


def test_a_column_can_be_named(database: Database, settings: Settings, tmp_path: Path) -> None:
    path = write(tmp_path, "adres1,adres2", "a@example.org,b@example.org")

    result = reconcile(make_list(database), path, settings=settings, mapping={"address": "adres2"})

    assert [found.address for found in result.unknown] == ["b@example.org"]


def test_a_file_that_cannot_be_read_is_refused(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ListFileError):
        reconcile(make_list(database), write(tmp_path), settings=settings)


def test_comparing_writes_nothing(database: Database, settings: Settings, tmp_path: Path) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@example.org")

    reconcile(mailing_list, write(tmp_path, "email", "b@example.org"), settings=settings)

    assert not Evidence.select().exists()
    assert Contact.select().count() == 1


@pytest.mark.parametrize("tool", [None, "mailchimp", "laposta", "brevo", "mailerlite", "outlook"])
def test_what_was_exported_agrees_with_itself(
    database: Database, settings: Settings, tmp_path: Path, tool: str | None
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@example.org")
    out = io.BytesIO()
    write_export(
        mailing_list,
        "keep",
        database=database,
        settings=settings,
        now=NOW,
        actor="admin@example.org",
        out=out,
        tool=tool,
        with_links=True,
    )
    path = tmp_path / "keep.csv"
    path.write_bytes(out.getvalue())

    result = reconcile(mailing_list, path, settings=settings)

    assert (result.rows, result.agree, result.missing) == (1, 1, ())


def test_the_apostrophe_before_an_address_is_read_over(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "+a@example.org")
    path = write(tmp_path, "address,name", "'+a@example.org,A")

    assert reconcile(mailing_list, path, settings=settings).agree == 1


@pytest.mark.parametrize("what", ["keep", "removed"])
@pytest.mark.parametrize("tool", [None, "mailchimp", "brevo"])
def test_our_own_file_comes_back_as_the_same_people_whatever_the_form_of_a_domain(
    database: Database, settings: Settings, tmp_path: Path, what: str, tool: str | None
) -> None:
    mailing_list = make_list(database)
    make_kept(database, mailing_list, "a@bücher.example.org")
    make_removed(database, mailing_list, Reason.NO, "b@bücher.example.org")
    path = tmp_path / "own.csv"
    with path.open("wb") as out:
        write_export(
            mailing_list,
            what,
            database=database,
            settings=settings,
            now=NOW,
            actor="admin",
            out=out,
            tool=tool,
        )

    result = reconcile(mailing_list, path, settings=settings)

    assert result.agree == (what == "keep")
    assert len(result.should_not_be_there) == (what == "removed")
    assert result.unknown == ()
    other = write(tmp_path, "email", "a@xn--bcher-kva.example.org", "b@xn--bcher-kva.example.org")
    result = reconcile(mailing_list, other, settings=settings)
    assert (result.agree, len(result.should_not_be_there)) == (1, 1)
