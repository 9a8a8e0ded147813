"""Pages while somebody else holds the database for too long."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from repermit.consent import Status
from repermit.models import Contact
from repermit.models.database import TurnstileDatabase, proxy
from repermit.models.turnstile import Turnstile
from tests.building import make_asked, make_campaign, make_list, make_settings
from tests.pages import Pages, freeze_wording

if TYPE_CHECKING:
    from repermit.links import Kind


@pytest.mark.parametrize("kind", ["yes", "no"])
def test_an_answer_that_cannot_be_written_is_told_when_to_come_again(
    sqlite_url: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    database = TurnstileDatabase(path, patience=0.2)
    proxy.initialize(database)
    with database.connection_context():
        mailing_list = make_list(database)
        campaign = make_campaign(database, mailing_list)
        asked = make_asked(database, mailing_list, campaign)
        freeze_wording(database, campaign, mailing_list, "nl")
        pages = Pages(database, make_settings(database=sqlite_url))
        assert pages.get(kind, asked.uid).status_code == 200
        other = Turnstile(path)
        other.enter()
        refused = pages.post(kind, asked.uid)
        other.close()
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert "try again later" in refused.text
        assert Contact.get().status == Status.UNCONFIRMED
        assert pages.post(kind, asked.uid).status_code == 200
        assert Contact.get().status != Status.UNCONFIRMED
    assert "the database is held by another program" in caplog.text
    assert asked.uid not in caplog.text
