"""The audience of a campaign: who may be asked, their counts, and competing campaigns.

What can be told from kept counts is; only what is suppressed is looked up address by address, where
the list is not too large.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import itemgetter, or_
from typing import Any

from peewee import SQL, fn

from repermit import email_address
from repermit.contacts import counts as contacts_counts
from repermit.contacts import lookup
from repermit.contacts.counts import ContactGroup
from repermit.db.connection import chunks, find_position, iter_pages
from repermit.db.models.campaigns import Campaign, CampaignWording, latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.i18n import catalogues
from repermit.rules.consent import (
    ASKING_KINDS,
    LIVE_STATES,
    NOT_STARTED,
    Basis,
    CampaignState,
    Exclusion,
    MailKind,
    MailState,
    Status,
    exclusion,
)

MAX_SUPPRESSION_LOOKUPS = 5_000
"""How many may be looked up among the suppressed while somebody waits, some 50 milliseconds."""

_PAGE_SIZE = 1000
_ASKED_STATES = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Whom a campaign would ask, by the language of their mail, and why others are not.

    `otherwise` counts those among them whose mail is not in their own language, though there are
    mails in it, by that language.
    """

    languages: Mapping[str, int]
    otherwise: Mapping[str, int]
    excluded: Mapping[Exclusion, int]

    @property
    def asked(self) -> int:
        """Return how many would be asked."""
        return sum(self.languages.values())


def count_audience(
    mailing_list: MailingList, *, include_thin: bool, fingerprint_key: bytes
) -> Audience:
    """Count who would be asked now, by the language of their mail, and why others are not.

    An address that is left out for another reason is not looked up among the suppressed, and none
    is on a list of more than MAX_SUPPRESSION_LOOKUPS: whoever is suppressed is taken off in the
    same transaction, and whoever comes is looked up as they come. Who is suppressed all the
    same, as by a line that somebody else wrote into the database, is found when the asks are made,
    and gets none.
    """
    list_facts = lookup.read_list_facts(mailing_list)
    languages: Counter[str] = Counter()
    excluded = Counter(dict.fromkeys(Exclusion, 0))
    for group, count in _count_groups(mailing_list, include_thin=include_thin):
        reason = exclusion(
            group.status,
            group.basis,
            suppressed=False,
            asked_before=group.asked_before,
            include_thin=include_thin,
        )
        if reason is None:
            languages[group.language] += count
        else:
            excluded[reason] += count
    if languages.total() <= MAX_SUPPRESSION_LOOKUPS and contacts_counts.has_suppressions(
        mailing_list.id
    ):
        for language in _iter_suppressed_languages(mailing_list, include_thin, fingerprint_key):
            languages[language] -= 1
            excluded[Exclusion.SUPPRESSED] += 1
    return Audience(
        languages=_sum_by_language(
            (list_facts.pick_language(language), n) for language, n in languages.items()
        ),
        otherwise=_sum_by_language(
            (picked, n)
            for language, n in languages.items()
            if (picked := catalogues.choose_language(language, otherwise=""))
            not in {"", *list_facts.languages}
        ),
        excluded=dict(excluded),
    )


def _sum_by_language(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up counts by language, without zeros and in the order of the languages."""
    sums: Counter[str] = Counter()
    for language, n in counts:
        sums[language] += n
    return {language: n for language, n in sorted(sums.items()) if n}


def make_empty_audience(mailing_list: MailingList) -> Audience | None:
    """Return an empty audience in a live campaign's languages; None if none is live."""
    campaign = latest_campaign(mailing_list)
    if campaign is None or not CampaignState(campaign.state).is_live:
        return None
    wordings = CampaignWording.select().where(CampaignWording.campaign == campaign)
    return Audience(
        languages={row.language: 0 for row in wordings},
        otherwise={},
        excluded=dict.fromkeys(Exclusion, 0),
    )


def count_askable_by_domain(mailing_list: MailingList, *, include_thin: bool) -> Mapping[str, int]:
    """Return how many of those who may be asked have their mailbox at each domain."""
    return _count_by_domain(
        Contact.select().where(make_askable_condition(mailing_list, include_thin))
    )


def count_asks(campaign: Campaign) -> int:
    """Return how many have an ask of a campaign, whatever has become of it."""
    return contacts_counts.sum_mails(
        contacts_counts.count_mails(campaign=campaign), lambda mails: mails.kind is MailKind.ASK
    )


def count_unsent(campaign: Campaign) -> int:
    """Return how many asks are still to leave."""
    return contacts_counts.sum_mails(
        contacts_counts.count_mails(campaign=campaign),
        lambda mails: mails.kind is MailKind.ASK and mails.state in NOT_STARTED,
    )


def count_unsent_by_domain(campaign: Campaign) -> Mapping[str, int]:
    """Return how many of them go to each domain."""
    return _count_by_domain(Contact.select().join(Mail).where(*_make_unsent_conditions(campaign)))


def count_asks_by_domain(campaign: Campaign) -> Mapping[str, int]:
    """Return how many asks of a campaign there are to each domain, sent or not."""
    asks = (Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    return _count_by_domain(Contact.select().join(Mail).where(*asks))


def _make_unsent_conditions(campaign: Campaign) -> tuple[Any, ...]:
    return (Mail.campaign == campaign, Mail.kind == MailKind.ASK, Mail.state.in_(NOT_STARTED))


def _count_by_domain(contacts: Any) -> dict[str, int]:
    counts = contacts.select(select_domain(), fn.COUNT(Contact.id)).group_by(SQL("place"))
    return dict(counts.tuples())


@dataclass(frozen=True)
class _ContactGroup:
    """Contacts that the rules do not tell apart."""

    status: Status
    basis: str
    language: str
    asked_before: bool


def _count_groups(
    mailing_list: MailingList, *, include_thin: bool
) -> Iterator[tuple[_ContactGroup, int]]:
    people_counts = contacts_counts.count_contact_groups(mailing_list)
    asked = _count_asked_before(mailing_list, people_counts, include_thin=include_thin)
    for (status, reason, basis, language), count in people_counts.items():
        before = 0 if reason else asked[status, basis, language]
        yield _ContactGroup(status, basis, language, asked_before=True), before
        yield _ContactGroup(status, basis, language, asked_before=False), count - before


def _count_asked_before(
    mailing_list: MailingList, people: Iterable[ContactGroup], *, include_thin: bool
) -> Counter[tuple[Status, str, str]]:
    """Count who would be asked had they not been asked before, by status, basis and language.

    Only those are looked at who were on the list when its last campaign began: after a deadline
    they are few, since whoever is silent is taken off.

    - `people`: who is on the list.
    """
    newest = _find_last_asked(mailing_list)
    if newest is None:
        return Counter()
    statuses = {
        group.status for group in people if _may_ask_group(group.status, group.basis, include_thin)
    }
    alike = (Contact.status, Contact.basis, Contact.language)
    rows: Any = (
        Contact.select(*alike, fn.COUNT(Contact.id))
        .where(
            Contact.list == mailing_list,
            # Said once more, so that the index by status passes over the others.
            Contact.status.in_(statuses),
            _make_allowed_condition(include_thin),
            Contact.reason == "",
            Contact.id <= newest,
            _make_asked_before_condition(),
        )
        .group_by(*alike)
        .tuples()
    )
    return Counter({(Status(status), basis, language): n for status, basis, language, n in rows})


def _find_last_asked(mailing_list: MailingList) -> int | None:
    """Return the highest number of a contact that may have got an ask, None if there is none."""
    mails = contacts_counts.count_mails(mailing_list)
    campaigns = {
        mail_counts.campaign
        for mail_counts in mails
        if mail_counts.kind is MailKind.ASK and mail_counts.state in _ASKED_STATES
    }
    return max(map(lookup.find_last_asked, sorted(campaigns)), default=None)


def _make_asked_before_condition() -> Any:
    return fn.EXISTS(
        Mail.select(SQL("1")).where(
            Mail.contact == Contact.id, Mail.kind == MailKind.ASK, Mail.state.in_(_ASKED_STATES)
        )
    )


def make_askable_condition(mailing_list: MailingList, include_thin: bool) -> Any:  # noqa: FBT001
    """Return the condition under which the rules let a contact be asked, suppression aside."""
    return (Contact.list == mailing_list) & _make_askable_condition_of_any_list(include_thin)


def make_askable_condition_between(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
    numbers: tuple[int, int],
) -> Any:
    """Return `make_askable_condition` for contacts between two numbers, both included.

    The list is worked out, so that SQLite finds them by number: without statistics it would look
    through the whole list for each few.
    """
    of_list = Contact.list + 0 == mailing_list.id
    return (
        Contact.id.between(*numbers) & of_list & _make_askable_condition_of_any_list(include_thin)
    )


def _make_askable_condition_of_any_list(include_thin: bool) -> Any:  # noqa: FBT001
    """Return `make_askable_condition` for any list."""
    return _make_allowed_condition(include_thin) & ~_make_asked_before_condition()


def _make_allowed_condition(include_thin: bool) -> Any:  # noqa: FBT001
    """Return the condition on status and basis under which a contact may be asked."""
    allowed = [
        (Contact.status == status) & (Contact.basis == basis)
        for status in Status
        for basis in ("", *Basis)
        if _may_ask_group(status, basis, include_thin)
    ]
    return reduce(or_, allowed)


def _may_ask_group(status: Status, basis: str, include_thin: bool) -> bool:  # noqa: FBT001
    return (
        exclusion(status, basis, suppressed=False, asked_before=False, include_thin=include_thin)
        is None
    )


def find_suppressed(
    mailing_list: MailingList, address_keys: Sequence[str], *, fingerprint_key: bytes
) -> set[str]:
    """Return which of some folded addresses are suppressed for a list."""
    prints = email_address.fingerprints(fingerprint_key, address_keys)
    address_keys_by_print = dict(zip(prints, address_keys, strict=True))
    suppressed: set[str] = set()
    for chunk in chunks(prints, _PAGE_SIZE):
        rows: Any = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(chunk),
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
        suppressed.update(address_keys_by_print[fingerprint] for (fingerprint,) in rows.tuples())
    return suppressed


def _iter_suppressed_languages(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
    key: bytes,
) -> Iterator[str]:
    """Yield the language of each contact that only its suppression keeps from being asked."""
    for page in _iter_pages(mailing_list, include_thin):
        languages = {address_key: language for _, address_key, language in page}
        for address_key in find_suppressed(mailing_list, list(languages), fingerprint_key=key):
            yield languages[address_key]


def _iter_pages(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
) -> Iterator[list[tuple[int, str, str]]]:
    """Yield id, folded address and language of those who may be asked, a page at a time.

    In the order of the address, for which each list has an index.
    """
    rows: Any = (
        Contact.select(Contact.id, Contact.address_key, Contact.language)
        .where(make_askable_condition(mailing_list, include_thin))
        .tuples()
    )
    return iter_pages(rows, Contact.address_key, size=_PAGE_SIZE, read_key=itemgetter(1), after="")


# --- What other campaigns still owe. --------------------------------------------------------------


def count_mails_until_last_ask(mailing_list: MailingList, asks: int) -> int:
    """Return how many mails leave until the last of a campaign's `asks` has, the others' too."""
    competing = (
        contacts_counts.sum_mails(
            contacts_counts.count_mails(campaign=campaign),
            lambda mails: mails.kind in ASKING_KINDS and mails.state in NOT_STARTED,
        )
        for campaign in _select_competing(mailing_list)
    )
    return asks + sum(min(asks, count) for count in competing)


def count_mails_at_busiest_domain(mailing_list: MailingList, asks: Mapping[str, int]) -> int:
    """Return that number for the domain with the most mails; `asks` are by domain."""
    competing: Any = (
        _select_competing_mails(mailing_list)
        .select(select_domain(), fn.COUNT(Mail.id))
        .join_from(Mail, Contact)
        .group_by(Mail.campaign, SQL("place"))
        .tuples()
    )
    others: dict[str, int] = defaultdict(int)
    for domain, count in competing.iterator():
        if domain in asks:
            others[domain] += min(asks[domain], count)
    return max((count + others[domain] for domain, count in asks.items()), default=0)


def select_domain() -> Any:
    """Return the SQL for a contact's domain, to be selected and grouped by as `place`."""
    # By that name, since PostgreSQL takes two placeholders for two values.
    domain = fn.SUBSTR(Contact.address_key, find_position(Contact.address_key, "@") + 1)
    return domain.alias("place")


def _select_competing(mailing_list: MailingList) -> Any:
    return Campaign.select().where(Campaign.list != mailing_list, Campaign.state.in_(LIVE_STATES))


def _select_competing_mails(mailing_list: MailingList) -> Any:
    others = _select_competing(mailing_list).select(Campaign.id)
    return Mail.select().where(
        Mail.campaign.in_(others), Mail.kind.in_(ASKING_KINDS), Mail.state.in_(NOT_STARTED)
    )
