"""Each claim of the answer pages stands only before a reader of whom it is true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, product
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from repermit.answers import link_target
from repermit.answers.link_target import ContactState
from repermit.db.models.base import new_id
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.rules.consent import Basis, CampaignState, Reason, Status
from repermit.signed_links import Kind
from tests.support.builders import (
    DEADLINE,
    NOW,
    make_asked,
    make_campaign,
    make_contact,
    make_list,
)
from tests.support.program_zoo import buttons_in
from tests.support.public_pages import Pages, words_of

if TYPE_CHECKING:
    from werkzeug.test import TestResponse

_OWN_YES = frozenset({Basis.ANSWER, Basis.SIGN_UP})
_STANDINGS: tuple[dict[str, Any], ...] = (
    {"status": Status.UNCONFIRMED},
    {"status": Status.CUSTOMER, "basis": Basis.CUSTOMER},
    *({"status": Status.CONFIRMED, "basis": basis} for basis in Basis if basis != Basis.CUSTOMER),
    *({"status": Status.REMOVED, "reason": reason} for reason in Reason),
)
_CAMPAIGNS: dict[str, dict[str, Any] | None] = {
    "open": {},
    "open, with thin proofs": {"include_thin": True},
    "paused": {"state": CampaignState.PAUSED, "paused_from": "open"},
    "cancelled": {"state": CampaignState.CANCELLED},
    "never asked": None,
}
_MOMENTS = {"in time": NOW + timedelta(hours=1), "late": DEADLINE + timedelta(hours=1)}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A page as somebody reads it, who stands so then."""

    name: str
    by: str
    words: str
    standing: ContactState
    at: datetime

    @property
    def is_removed(self) -> bool:
        return self.standing.status is Status.REMOVED

    @property
    def is_on_list(self) -> bool:
        """Say whether mails come, and silence ends nothing."""
        may_be_mailed = self.standing.status in {Status.CONFIRMED, Status.CUSTOMER}
        return may_be_mailed and not self.standing.awaits_removal

    @property
    def is_question(self) -> bool:
        return "What happens next" in self.words

    @property
    def has_answered(self) -> bool:
        return self.standing.said_no or self.standing.basis in _OWN_YES


_CLAIMS: dict[str, Callable[[Reading], bool]] = {
    "Your address has been on this list": lambda it: not it.is_removed,
    "That is why we ask you": lambda it: not it.is_removed and it.standing.is_asked,
    "Why we ask you": lambda it: not it.is_removed and it.standing.is_asked,
    "keep sending": lambda it: not it.is_removed,
    "keep receiving": lambda it: not it.is_removed,
    "May we keep": lambda it: not it.is_removed,
    "No, stop sending": lambda it: not it.is_removed,
    "No, I do not want these mails": lambda it: it.is_removed and not it.by,
    "No, do not send these mails": lambda it: it.is_removed and bool(it.by),
    "You can stop these mails here": lambda it: not it.is_removed,
    "we take you off this list": lambda it: not it.is_removed,
    "you stay off this list": lambda it: it.is_removed,
    "The time for this answer is over": lambda it: not it.is_on_list and it.at > DEADLINE,
    "This link does not put you on the list any more": lambda it: not it.is_on_list,
    "Nothing was recorded": lambda it: not it.is_on_list and not it.has_answered,
    "We had no answer from you by then": lambda it: it.standing.awaits_removal,
    "You get a mail with a link": lambda it: not it.is_on_list,
    "You are on this list already": lambda it: not it.is_removed,
    "You are not on this list any more": lambda it: it.is_removed,
    "Your Yes had been recorded already": lambda it: it.standing.basis in _OWN_YES,
    "Your Yes was recorded on": lambda it: it.standing.basis in _OWN_YES,
    "Your No is recorded": lambda it: it.standing.said_no,
    "Your No had been recorded already": lambda it: it.standing.said_no,
    "your No stays": lambda it: it.standing.said_no,
    "We send you these mails until": lambda it: it.is_on_list,
    "because you are a customer of ours": lambda it: it.standing.is_customer,
    "otherwise we stop mailing you": lambda it: it.standing.awaits_removal,
    "What of your answer is recorded": lambda it: it.has_answered or it.is_question,
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def read_every_page(pages: Pages, *, sensitive: bool, by: str) -> Iterator[Reading]:
    """Yield the pages of both links as everybody reads them: looked at, and after each press."""
    query = {"as": by} if by else {}
    for name, overrides in _CAMPAIGNS.items():
        about = make_list(
            pages.database, slug=new_id()[:9], language="en", languages=(), sensitive=sensitive
        )
        campaign = None if overrides is None else make_campaign(pages.database, about, **overrides)
        every = product(_STANDINGS, _MOMENTS.items(), _WALKS)
        for stands, (moment, at), (link, choice) in every:
            pages.clock.move_to(at)
            uid = _make_reader(pages, about, campaign, stands).uid
            shown: TestResponse | None = pages.get(link, uid, query_string=query)
            for presses in count():
                if shown is None:
                    break
                contact_state = link_target.find_contact_state(uid)
                assert contact_state is not None
                yield Reading(
                    name=f"{name}, {moment}, {stands}: {link}, {choice}, {presses} presses",
                    by=by,
                    words=words_of(shown),
                    standing=contact_state,
                    at=at,
                )
                shown = _press(pages, shown, choice, query)


_WALKS: tuple[tuple[Kind, str], ...] = (("yes", "again"), ("yes", "not_me"), ("no", "again"))


def _press(
    pages: Pages, shown: TestResponse, choice: str, query: dict[str, str]
) -> TestResponse | None:
    """Press the first button of a page, or the one that is chosen where it asks again."""
    buttons = [one for one in buttons_in(shown.text) if "link" not in one.sends]
    chosen = [one for one in buttons if one.sends.get("choice") == choice] or buttons
    if not chosen or "address" in chosen[0].sends:
        return None
    path = urlsplit(chosen[0].action).path
    return pages.client.post(path, data=chosen[0].sends, query_string=query)


def _make_reader(
    pages: Pages, about: MailingList, campaign: Campaign | None, stands: dict[str, Any]
) -> Contact:
    if campaign is None:
        return make_contact(pages.database, about, since=NOW, **stands)
    contact = make_asked(pages.database, about, campaign)
    Contact.update(since=NOW, **stands).where(Contact.id == contact.id).execute()
    return contact


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("sensitive", "by"),
    [
        (False, ""),
        (True, ""),
        (False, "representative"),
    ],
)
def test_every_page_says_only_what_is_true_of_its_reader(
    pages: Pages, *, sensitive: bool, by: str
) -> None:
    readings = list(read_every_page(pages, sensitive=sensitive, by=by))
    untrue = [
        (reading.name, claim)
        for reading in readings
        for claim, is_true in _CLAIMS.items()
        if claim in reading.words and not is_true(reading)
    ]
    assert not untrue, "\n".join(map(repr, untrue))
    unsaid = [claim for claim in _CLAIMS if not any(claim in one.words for one in readings)]
    # What representatives read alone.
    assert sensitive or by or unsaid == ["No, do not send these mails"]
