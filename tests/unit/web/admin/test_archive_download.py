"""The archive of a list from the admin's pages, on both databases."""

from __future__ import annotations

import csv
import io
import json
import zipfile

from repermit.db.connection import Database
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import Campaign
from repermit.db.models.evidence import Evidence
from repermit.db.row_counts import ContactCount
from repermit.evidence.verify import proof
from repermit.rules.consent import Answer, Reason, Status
from repermit.settings.definitions import Settings
from tests.support.admin_pages import ENGLISH, admin_client, post, words_at
from tests.support.builders import (
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
    make_removed,
)
from tests.support.chain_faults import iter_chain_faults
from tests.support.public_pages import Pages, answer_on_page, freeze_wording

AT = "/admin/lists/news/papers"


def test_a_list_is_archived_by_a_press_once_its_campaign_is_over(
    database: Database, settings: Settings
) -> None:
    news = make_list(database, language="nl")
    campaign = make_campaign(database, news)
    freeze_wording(database, campaign, news, "nl")
    client = admin_client(Pages(database, settings))
    for address in ("anna@example.org", "bram@example.org"):
        answer_on_page(
            database,
            make_asked(database, news, campaign, address).uid,
            Answer.YES,
            at=NOW,
            settings=settings,
        )
    make_removed(database, news, Reason.NO, "left@example.org")
    assert "there is an archive once it is over" in words_at(client, f"{AT}/")
    refused = post(client, f"{AT}/archive")
    assert (refused.status_code, refused.location) == (303, f"{AT}/")
    assert not Evidence.select().where(Evidence.event == "archived").exists()
    with database.atomic():
        Campaign.update(state="closed", closed_at=NOW).execute()
    said = words_at(client, f"{AT}/")
    assert "No by one press: the link in old mails" in said
    assert "It takes" not in said
    taken = post(client, f"{AT}/archive")
    assert taken.headers["Content-Disposition"] == 'attachment; filename="news.zip"'
    with zipfile.ZipFile(io.BytesIO(taken.data)) as opened:
        assert opened.testzip() is None
        found = {name: opened.read(name).decode() for name in opened.namelist()}
    keep = [
        row["address"] for row in csv.DictReader(io.StringIO(found["keep.csv"].lstrip("\ufeff")))
    ]
    assert keep == ["anna@example.org", "bram@example.org"]
    proofs = [text for name, text in found.items() if name.endswith("proof.json")]
    assert [proof.check_proof(text.encode()).faults for text in proofs] == [(), (), ()]
    checkpoint = json.loads(found["checkpoint.json"])
    assert all(json.loads(text)["checkpoint"] == checkpoint for text in proofs)
    entry = Evidence.get(Evidence.event == "archived")
    assert entry.actor.startswith("user:")
    assert Access.select().where(Access.act == "archived").count() == 1
    assert list(iter_chain_faults()) == []


def test_how_long_an_archive_of_many_takes_is_told(database: Database, settings: Settings) -> None:
    news = make_list(database)
    make_contact(database, news, status=Status.CONFIRMED)
    client = admin_client(Pages(database, settings))
    with database.atomic():
        # As many as take two minutes; the page counts nobody anew.
        ContactCount.update(count=40_000).execute()
    assert "It takes about 2 minutes" in client.get(f"{AT}/", headers=ENGLISH).text
