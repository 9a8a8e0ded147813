"""What the deadlines that have not passed yet would do, as it stands now.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from repermit.contacts import counts, last_ask, lookup
from repermit.contacts.last_ask import count_verdicts, decide_verdicts, index_asks
from repermit.db.models.campaigns import Campaign
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList
from repermit.rules.consent import (
    LIVE_STATES,
    CampaignState,
    MailState,
)
from repermit.rules.deadlines_and_reminders import (
    Verdict,
)

# So many people are gone through at a time, and so many in all while somebody waits.
_PAGE_SIZE = 500
_MAX_EXAMINED = 3_000


@dataclass(frozen=True, kw_only=True)
class UpcomingExpiry:
    """A campaign whose sweep has to come, and what it would do if nobody answered any more.

    `unasked` are those whose ask no server has accepted yet, or accepted too late.
    """

    list: str
    state: CampaignState
    deadline: datetime
    removed: int
    unasked: int


def list_upcoming(
    *, now: datetime, mailing_list: MailingList | None = None
) -> tuple[UpcomingExpiry, ...]:
    """Return the live campaigns, on one list or on all, that a sweep leaves alone at `now`.

    They are those whose deadline is later, and those that are paused.
    """
    query = Campaign.select().where(
        Campaign.state.in_(LIVE_STATES),
        (Campaign.deadline > now) | (Campaign.state == CampaignState.PAUSED),
    )
    if mailing_list is not None:
        query = query.where(Campaign.list == mailing_list)
    return tuple(_forecast_campaign(campaign) for campaign in query.order_by(Campaign.id))


@dataclass(frozen=True)
class SilentPage:
    """People who would be removed, each with when they were `asked_at`.

    `after` is the number to go on after, 0 if nobody is left to look at.
    """

    contacts: tuple[Contact, ...]
    after: int


def list_silent(
    campaign: Campaign, *, after: int = 0, limit: int = 50, max_examined: int = _MAX_EXAMINED
) -> SilentPage:
    """Return who would be removed if nobody answered any more, in the order of their numbers.

    `after` is the number of the last one that was looked at. No more than about
    `max_examined` are, so that a page comes at once also where few of very many have been asked:
    then it holds fewer.

    People are gone through by an index, and the asks of some are read at a time. In one query
    PostgreSQL would sort a million of them as long as its statistics are older than the sending,
    and each database would begin with everybody that the sweep has removed already.
    """
    silent: list[Contact] = []
    examined = 0
    while _is_any_sent(campaign) and examined < max_examined:
        page = list(_select_undecided(campaign, after))
        silent += _keep_silent(campaign, page)
        if len(silent) > limit:
            return SilentPage(tuple(silent[:limit]), silent[limit - 1].id)
        if len(page) < _PAGE_SIZE:
            return SilentPage(tuple(silent), 0)
        examined += len(page)
        after = page[-1].id
    return SilentPage(tuple(silent), after if examined else 0)


def _is_any_sent(campaign: Campaign) -> bool:
    mails = counts.count_mails(campaign=campaign)
    return counts.sum_mails(mails, lambda mail_count: mail_count.state is MailState.SENT) > 0


def _select_undecided(campaign: Campaign, after: int) -> Any:
    """Return the query for the next people who have not decided, asked or not."""
    query = Contact.select().where(
        Contact.list == campaign.list_id,
        lookup.make_undecided_condition(campaign),
        # As it is of everybody who has not decided: the index has it before the number.
        Contact.reason == "",
        Contact.id > after,
    )
    return query.order_by(Contact.id).limit(_PAGE_SIZE)


def _keep_silent(campaign: Campaign, contacts: Sequence[Contact]) -> Iterator[Contact]:
    """Yield who would be removed, each with when they were asked."""
    asks = index_asks(campaign, last_ask.list_campaign_mails([contact.id for contact in contacts]))
    verdicts = decide_verdicts(campaign, contacts, asks, campaign.deadline)
    for contact in contacts:
        if verdicts.get(contact.id) is Verdict.EXPIRE:
            # As a query that joined both tables would give it.
            contact.asked_at = asks[contact.id].sent_at  # type: ignore[attr-defined]
            yield contact


def _forecast_campaign(campaign: Campaign) -> UpcomingExpiry:
    verdicts = count_verdicts(campaign, campaign.deadline)
    return UpcomingExpiry(
        list=campaign.list.slug,
        state=CampaignState(campaign.state),
        deadline=campaign.deadline,
        removed=verdicts[Verdict.EXPIRE],
        unasked=verdicts[Verdict.UNASKED],
    )
