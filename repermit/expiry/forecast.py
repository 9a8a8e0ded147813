"""What a deadline does to each contact of a campaign, and what those still to come would do.

Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from peewee import fn

from repermit.clock import format_timestamp
from repermit.contacts import counts, last_ask, lookup
from repermit.contacts.last_ask import CampaignMail, decide_verdict, index_asks
from repermit.db.connection import chunks, make_id_list
from repermit.db.models.campaigns import Campaign, CampaignWording
from repermit.db.models.contacts import Contact
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.evidence.chain_reader import read_consents
from repermit.rules.consent import (
    UNSETTLED,
    CampaignState,
    MailKind,
    MailState,
    Verdict,
)

# --- What the sweep gives back, as a plain value. -------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ExpiryResult:
    """What a sweep did, or would do.

    `removed` were asked in time and did not answer; `unasked` could not be asked in time and
    stay unconfirmed; `waiting` has a sentence for each campaign that waits for the admin.
    """

    removed: int = 0
    unasked: int = 0
    waiting: tuple[str, ...] = ()

    def to_json(self) -> dict[str, int]:
        """Return what `expire --json` prints."""
        return {"removed": self.removed, "unasked": self.unasked}


# --- What the deadline does to each contact of a campaign. ----------------------------------------


def predict_verdicts(campaign: Campaign, chunk: int, now: datetime) -> Iterator[Verdict]:
    """Yield what the deadline does to each contact that is undecided, and lock none."""
    for ids in chunks(list_undecided(campaign), chunk):
        asks = index_asks(campaign, last_ask.list_campaign_mails(ids))
        for contact in list(Contact.select().where(Contact.id.in_(make_id_list(ids)))):
            yield decide_verdict(contact, asks[contact.id], campaign, now)


def list_undecided(campaign: Campaign) -> list[int]:
    """Return the ids of the asked contacts whose question is still open, in order.

    All at once: page by page, SQLite would sort the whole audience anew for every page.
    """
    rows: Any = (
        Mail.select(Mail.contact)
        .join(Contact)
        .where(
            Mail.campaign == campaign,
            Mail.kind == MailKind.ASK,
            lookup.make_undecided_condition(campaign),
        )
        .order_by(Mail.contact)
        .tuples()
    )
    return [contact_id for (contact_id,) in rows.iterator()]


def collect_proofs(
    campaign: Campaign,
    silent: Iterable[Contact],
    asks: Mapping[int, CampaignMail],
    pages: Mapping[int | None, str],
) -> dict[int, dict[str, Any]]:
    """Return, by contact id, the proof that each could have answered (GDPR art. 5(2)).

    What the ask said stands in what each was told. `pages` are those of `read_link_pages`.
    """
    deadline = format_timestamp(campaign.deadline)
    proofs: dict[int, dict[str, Any]] = {}
    for contact in silent:
        proofs[contact.id] = {
            # Nobody expires who was not sent an ask, so the moment is there.
            "asked_at": format_timestamp(cast("datetime", asks[contact.id].sent_at)),
            "deadline": deadline,
            "minimum_days": campaign.minimum_days,
        }
        # A campaign of an earlier version has kept no page.
        if page := pages.get(asks[contact.id].wording_id):
            proofs[contact.id]["link_page_wording"] = page
    return proofs


def read_link_pages(campaign: Campaign) -> dict[int | None, str]:
    """Return the digests of the pages behind the links, by the number of the ask's wording.

    Under None is the one for an ask that names no wording.
    """
    pages = _read_page_wordings(campaign)
    rows: Any = CampaignWording.select(CampaignWording.id, CampaignWording.language).where(
        CampaignWording.campaign == campaign
    )
    languages = dict([*rows.tuples(), (None, campaign.list.language)])
    return {number: pages[language] for number, language in languages.items() if language in pages}


def _read_page_wordings(campaign: Campaign) -> dict[str, str]:
    """Return the same by language, as they were last told."""
    # About nobody, so that the index of subjects finds them among a million answers.
    entries: Any = Evidence.select(Evidence.seq).where(
        Evidence.subject == "",
        Evidence.campaign == campaign.id,
        Evidence.event.in_(("launched", "extended")),
    )
    consents = read_consents(seq for (seq,) in entries.tuples())
    digests: dict[str, str] = {}
    for seq in sorted(consents):
        digests |= consents[seq].get("page_wordings", {})
    return digests


def has_unsent_asks(campaign: Campaign) -> bool:
    """Say whether an ask has yet to leave or is on its way."""
    query = Mail.select().where(
        Mail.campaign == campaign, Mail.kind == MailKind.ASK, Mail.state.in_(UNSETTLED)
    )
    return bool(query.exists())


def count_outcomes(campaign: Campaign) -> dict[str, int]:
    """Count the asked by what became of them: the status, and for the removed the reason."""
    rows: Any = (
        Contact.select(Contact.status, Contact.reason, fn.COUNT(Contact.id))
        .join(Mail)
        .where(Mail.campaign == campaign, Mail.kind == MailKind.ASK)
        .group_by(Contact.status, Contact.reason)
        .tuples()
    )
    return {reason or status: count for status, reason, count in rows}


# --- What the deadlines that have not passed yet would do, as it stands now. ----------------------


_CHUNK_SIZE = 200
# So many people are gone through at a time, and so many in all while somebody waits.
_PAGE_SIZE = 500
_MAX_EXAMINED = 3_000
_LIVE_STATES = [state for state in CampaignState if state.is_live]


@dataclass(frozen=True, kw_only=True)
class UpcomingExpiry:
    """A campaign whose sweep has to come, and what it would do if nobody answered any more.

    `unasked` are those whom no server has a mail for yet, or got one too late.
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
        Campaign.state.in_(_LIVE_STATES),
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
    campaign: Campaign, *, after: int = 0, most: int = 50, max_examined: int = _MAX_EXAMINED
) -> SilentPage:
    """Return who would be removed if nobody answered any more, in the order of their numbers.

    `after` is the number of the last one that was looked at. No more than about
    `max_examined` are, so that a page comes at once also where few of very many have been asked:
    then it holds fewer.

    People are gone through by an index, and the asks of some are read at a time. In one query
    PostgreSQL would sort a million of them as long as its statistics are older than the sending,
    and each database would begin with all whom the sweep has removed already.
    """
    silent: list[Contact] = []
    examined = 0
    while _is_any_sent(campaign) and examined < max_examined:
        page = list(_select_undecided(campaign, after))
        silent += _keep_silent(campaign, page)
        if len(silent) > most:
            return SilentPage(tuple(silent[:most]), silent[most - 1].id)
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
    for contact in contacts:
        ask = asks.get(contact.id)
        if ask and decide_verdict(contact, ask, campaign, campaign.deadline) is Verdict.EXPIRE:
            # As a query that joined both tables would give it.
            contact.asked_at = ask.sent_at  # type: ignore[attr-defined]
            yield contact


def _forecast_campaign(campaign: Campaign) -> UpcomingExpiry:
    verdicts = list(predict_verdicts(campaign, _CHUNK_SIZE, campaign.deadline))
    return UpcomingExpiry(
        list=campaign.list.slug,
        state=CampaignState(campaign.state),
        deadline=campaign.deadline,
        removed=verdicts.count(Verdict.EXPIRE),
        unasked=verdicts.count(Verdict.UNASKED),
    )
