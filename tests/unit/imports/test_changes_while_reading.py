"""What happens to people while a file is being read is seen before anything is written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from repermit import email_address
from repermit.db import migrations
from repermit.db.connection import Database, open_database
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import MailingList
from repermit.imports import address_fate, staging
from repermit.imports.row_batches import batches
from repermit.rules.consent import Fate
from tests.support.builders import NOW, make_contact, make_list, make_settings
from tests.support.import_helpers import fates_of, plain, take_in
from tests.unit.imports.test_reader_process import make_request

KEY = make_settings().fingerprint_key


def suppress(database: Database, mailing_list: MailingList, address: str) -> None:
    with database.atomic():
        Suppression.create(
            list=mailing_list,
            fingerprint=email_address.fingerprint(KEY, address),
            subject="0" * 32,
            reason="request",
            at=NOW,
        )


@pytest.mark.parametrize(
    "during",
    [
        # The first rows come; each address's strongest is picked; the fates are counted.
        "INSERT INTO staged",
        "INSERT OR IGNORE INTO",
        "GROUP BY",
    ],
)
def test_who_is_erased_or_signs_up_while_the_file_is_read_is_not_asked(
    sqlite_url: str, tmp_path: Path, during: str
) -> None:
    path = plain(tmp_path, *((f"{letter}@example.org", "") for letter in "abc"))

    def happen() -> None:
        with database.connection_context():
            suppress(database, news, "a@example.org")
            make_contact(database, news, "b@example.org")

    somebody = threading.Thread(target=happen)

    def watch(statement: str) -> None:
        # Nothing is locked yet.
        if during in statement and somebody.ident is None:
            somebody.start()
            somebody.join()

    with open_database(sqlite_url) as database:
        migrations.upgrade_database(database)
        news = make_list(database)
        database.connection().set_trace_callback(watch)  # type: ignore[no-untyped-call]
        result = take_in(database, news, path)
        assert fates_of(result) == {Fate.SUPPRESSED: 1, Fate.DUPLICATE: 1, Fate.ASK: 1}
        added = Contact.select().where(Contact.imported_by == Import.get())
        assert [contact.address for contact in added] == ["c@example.org"]


def test_the_first_suppression_of_all_is_found_though_rows_have_no_fingerprint_yet(
    database: Database, tmp_path: Path
) -> None:
    news = make_list(database)
    request = make_request(
        plain(tmp_path, ("a@example.org", ""), ("b@example.org", "")),
        fingerprint_key=KEY,
        fingerprint_all=False,
    )
    with staging.staging_area(database):
        staging.stage(database, batches(request, request.open()))
        staging.pick(database)
        assert address_fate.resolve_fates(news.id) == 0
        suppress(database, news, "a@example.org")
        with database.atomic():
            assert address_fate.resolve_fates(news.id, key=KEY) == 1
        fates = {picked.key: picked.fate for picked in staging.Picked.select()}
        assert fates == {"a@example.org": Fate.SUPPRESSED, "b@example.org": Fate.ASK}
