"""A campaign that is being sent, for the tests of delivery: builders and short ways to ask.

Imports delivery and what lies below.
"""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

from repermit.clock import ManualClock
from repermit.contacts import lookup
from repermit.db.connection import Database
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact, SignUp
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import make_draft
from repermit.emails.frozen_draft import Draft
from repermit.evidence import chain
from repermit.rules.consent import CampaignState, MailKind, MailState
from repermit.sending import send_due
from repermit.sending.send_due import SendResult
from repermit.settings.definitions import MailServer, Settings
from tests.support.builders import (
    NOW,
    make_campaign,
    make_contact,
    make_list,
    make_mail,
    make_settings,
)


def mail_settings(database_url: str, port: int, **overrides: Any) -> Settings:
    """Return settings that send to a server on this machine."""
    server: dict[str, Any] = {"server": "localhost", "port": port, "tls": "none"}
    # One, so that mails leave in the order in which they are owed.
    server |= {"connections": 1, "reply_timeout": 60}
    return make_settings(database=database_url, mail=MailServer(**{**server, **overrides}))


@dataclass
class Story:
    """A list, a campaign that is sending, and a clock that stands at its launch."""

    database: Database
    settings: Settings
    clock: ManualClock
    mailing_list: MailingList
    campaign: Campaign

    def owe(self, address: str = "", **overrides: Any) -> Mail:
        """Save and return a queued ask, to a new contact if none is given."""
        contact = overrides.pop("contact", None) or make_contact(
            self.database, self.mailing_list, address
        )
        queued = {"state": MailState.QUEUED, "sent_at": None, "message_id": ""}
        campaign = overrides.pop("campaign", self.campaign)
        return make_mail(self.database, campaign, contact, **{**queued, **overrides})

    def owe_confirm(self, address: str, *, language: str = "", **overrides: Any) -> Mail:
        """Save and return a queued confirmation of a sign-up."""
        with self.database.atomic():
            sign_up = SignUp.create(
                list=self.mailing_list,
                uid=new_id(),
                address=address,
                address_key=address,
                language=language,
                at=self.clock.now(),
                **overrides,
            )
            return Mail.create(
                list=self.mailing_list,
                sign_up=sign_up,
                kind=MailKind.CONFIRM,
                due_at=self.clock.now(),
                message_id="",
            )

    def owe_notice(self, topic: str = "paused_complaint", **overrides: Any) -> Mail:
        """Save and return a queued notice to the admin about the campaign."""
        with self.database.atomic():
            return Mail.create(
                **{
                    "list": self.mailing_list,
                    "campaign": self.campaign,
                    "kind": MailKind.NOTICE,
                    "topic": topic,
                    "due_at": self.clock.now(),
                    "message_id": "",
                    **overrides,
                }
            )

    def send(self, **options: Any) -> SendResult:
        """Send what is due."""
        values = {"settings": self.settings, "clock": self.clock, **options}
        return send_due.send_due(self.database, **values)

    def change(self, row: Mail | Contact | Campaign | SignUp, **values: Any) -> None:
        """Change a row; in whatever thread, also in that of a server."""
        table = type(row)
        with self.database.connection_context(), self.database.atomic():
            table.update(**values).where(table.id == row.id).execute()


@contextmanager
def expect_few_waits() -> Iterator[None]:
    """Fail where this thread asks its lines again and again instead of waiting for them."""
    waits = 0
    select = selectors.DefaultSelector.select

    def count(*arguments: Any, **options: Any) -> list[tuple[selectors.SelectorKey, int]]:
        nonlocal waits
        waits += threading.get_ident() == here
        return select(*arguments, **options)

    here = threading.get_ident()
    with mock.patch.object(selectors.DefaultSelector, "select", count):
        yield
    # A few for each reply and tenth of a second; one that never waits asks some 100,000 times.
    assert 0 < waits < 2_000


def make_story(database: Database, settings: Settings, **overrides: Any) -> Story:
    """Save and return a campaign with its wording in Dutch."""
    mailing_list = make_list(database, frequency="vier keer per jaar")
    values = {"state": CampaignState.SENDING, **overrides}
    campaign = make_campaign(database, mailing_list, **values)
    story = Story(database, settings, ManualClock(NOW), mailing_list, campaign)
    make_wording(story, "nl")
    return story


def make_wording(
    story: Story, language: str, *, kind: MailKind = MailKind.ASK, revision: int = 1
) -> None:
    """Freeze the campaign's wording of its asks, or reminders, in a language."""
    drafting: dict[MailKind, Callable[..., Draft]] = {
        MailKind.ASK: partial(make_draft.draft_ask, has_reminder=False),
        MailKind.REMINDER: make_draft.draft_reminder,
    }
    draft = drafting[kind](
        organisation=story.settings.organisation,
        mailing_list=lookup.read_list_facts(story.mailing_list),
        deadline=story.campaign.deadline,
        zone=story.settings.zone,
        language=language,
    )
    with story.database.atomic():
        CampaignWording.create(
            campaign=story.campaign,
            kind=kind,
            language=language,
            revision=revision,
            wording=chain.store_wording(draft.content),
        )


def again(mail: Mail) -> Mail:
    """Return a mail as it stands in the database now."""
    found: Mail = Mail.get_by_id(mail.id)
    return found


def state_of(mail: Mail) -> tuple[str, str]:
    """Return a mail's state and reason as they are now."""
    row = again(mail)
    return row.state, row.reason
