"""The audience of a campaign: which contacts may be asked, their counts, and competing campaigns.

Stored counts are used where possible. Only suppressions are looked up address by address, on lists
that are not too large.
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
    POSSIBLY_SENT,
    Basis,
    CampaignState,
    Exclusion,
    MailKind,
    MailState,
    PauseReason,
    Status,
    exclusion,
)

MAX_SUPPRESSION_LOOKUPS = 5_000
"""How many addresses may be looked up for suppressions while a page waits, in some 50 ms."""

_PAGE_SIZE = 1000


@dataclass(frozen=True, kw_only=True)
class Audience:
    """The contacts that a campaign would ask, and why it does not ask the others.

    - `languages`: the contacts to ask, by the language of their mail.
    - `untranslated`: those of them who get the list's language because the list has no texts in
      their own, by their own language.
    - `excluded`: the contacts not asked, by reason.
    """

    languages: Mapping[str, int]
    untranslated: Mapping[str, int]
    excluded: Mapping[Exclusion, int]

    @property
    def asked(self) -> int:
        """Return how many contacts would be asked."""
        return sum(self.languages.values())


def count_audience(
    mailing_list: MailingList, *, include_thin: bool, fingerprint_key: bytes
) -> Audience:
    """Count the contacts that would be asked now, and the others by the reason against it.

    Suppressions are looked up only for contacts that could be asked otherwise, and not at all on a
    list with more than MAX_SUPPRESSION_LOOKUPS of them. That suffices: a suppressed contact is
    removed in the same transaction, and new contacts are looked up when they are added. Any other
    suppression, such as one written into the database by hand, is found when asks are enqueued.
    """
    list_facts = lookup.read_list_facts(mailing_list)
    languages: Counter[str] = Counter()
    excluded = Counter(dict.fromkeys(Exclusion, 0))
    groups = contacts_counts.count_contact_groups(mailing_list)
    asked_before_by_group = _count_asked_before(mailing_list, groups, include_thin=include_thin)
    for (status, removal, basis, language), count in groups.items():
        asked_count = 0 if removal else asked_before_by_group[status, basis, language]
        for asked_before, group_count in ((True, asked_count), (False, count - asked_count)):
            reason = exclusion(
                status,
                basis,
                suppressed=False,
                asked_before=asked_before,
                include_thin=include_thin,
            )
            if reason is None:
                languages[language] += group_count
            else:
                excluded[reason] += group_count
    if languages.total() <= MAX_SUPPRESSION_LOOKUPS and contacts_counts.has_suppressions(
        mailing_list.id
    ):
        for language in _iter_suppressed_languages(mailing_list, include_thin, fingerprint_key):
            languages[language] -= 1
            excluded[Exclusion.SUPPRESSED] += 1
    return Audience(
        languages=_sum_by_language(
            (list_facts.pick_language(language), count) for language, count in languages.items()
        ),
        untranslated=_sum_by_language(
            (picked, count)
            for language, count in languages.items()
            if (picked := catalogues.choose_language(language, default=""))
            not in {"", *list_facts.languages}
        ),
        excluded=dict(excluded),
    )


def _sum_by_language(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Add up counts by language, without zeros and in the order of the languages."""
    sums: Counter[str] = Counter()
    for language, count in counts:
        sums[language] += count
    return {language: count for language, count in sorted(sums.items()) if count}


def make_empty_audience(mailing_list: MailingList) -> Audience | None:
    """Return an empty audience in a live campaign's languages; None if none is live."""
    campaign = latest_campaign(mailing_list)
    if campaign is None or not CampaignState(campaign.state).is_live:
        return None
    wordings = CampaignWording.select().where(CampaignWording.campaign == campaign)
    return Audience(
        languages={row.language: 0 for row in wordings},
        untranslated={},
        excluded=dict.fromkeys(Exclusion, 0),
    )


def count_askable_by_domain(mailing_list: MailingList, *, include_thin: bool) -> Mapping[str, int]:
    """Count the contacts that may be asked, by the domain of their address."""
    return _count_by_domain(
        Contact.select().where(make_askable_condition(mailing_list, include_thin))
    )


def count_asks(campaign: Campaign) -> int:
    """Count the asks of a campaign, in any state."""
    return contacts_counts.sum_mails(
        contacts_counts.count_mails(campaign=campaign), lambda mails: mails.kind is MailKind.ASK
    )


def count_unsent(campaign: Campaign) -> int:
    """Count the asks of a campaign that have not been started."""
    return contacts_counts.sum_mails(
        contacts_counts.count_mails(campaign=campaign),
        lambda mails: mails.kind is MailKind.ASK and mails.state in NOT_STARTED,
    )


def count_unsent_by_domain(campaign: Campaign) -> Mapping[str, int]:
    """Count the asks of a campaign that have not been started, by recipient domain."""
    return _count_by_domain(_select_asked(campaign).where(Mail.state.in_(NOT_STARTED)))


def count_asks_by_domain(campaign: Campaign) -> Mapping[str, int]:
    """Count all asks of a campaign, by recipient domain."""
    return _count_by_domain(_select_asked(campaign))


def _select_asked(campaign: Campaign) -> Any:
    asks = (Mail.campaign == campaign, Mail.kind == MailKind.ASK)
    return Contact.select().join(Mail).where(*asks)


def _count_by_domain(contacts: Any) -> dict[str, int]:
    counts = contacts.select(select_domain(), fn.COUNT(Contact.id)).group_by(SQL("place"))
    return dict(counts.tuples())


def _count_asked_before(
    mailing_list: MailingList, groups: Iterable[ContactGroup], *, include_thin: bool
) -> Counter[tuple[Status, str, str]]:
    """Count the contacts excluded only because they were asked before, by status, basis, language.

    Only contacts up to the last one asked are read: after a deadline they are few, since silent
    contacts are removed.

    - `groups`: the groups of contacts on the list.
    """
    last_asked_id = _find_last_asked(mailing_list)
    if last_asked_id is None:
        return Counter()
    statuses = {
        group.status for group in groups if _may_ask_group(group.status, group.basis, include_thin)
    }
    group_columns = (Contact.status, Contact.basis, Contact.language)
    rows: Any = (
        Contact.select(*group_columns, fn.COUNT(Contact.id))
        .where(
            Contact.list == mailing_list,
            # Redundant, so that the index by status is used.
            Contact.status.in_(statuses),
            _make_allowed_condition(include_thin),
            Contact.reason == "",
            Contact.id <= last_asked_id,
            _make_asked_before_condition(),
        )
        .group_by(*group_columns)
        .tuples()
    )
    return Counter(
        {(Status(status), basis, language): count for status, basis, language, count in rows}
    )


def _find_last_asked(mailing_list: MailingList) -> int | None:
    """Return the highest id of a contact that may have been sent an ask; None if there is none."""
    mails = contacts_counts.count_mails(mailing_list)
    campaigns = {
        mail_counts.campaign
        for mail_counts in mails
        if mail_counts.kind is MailKind.ASK
        and (
            mail_counts.state in POSSIBLY_SENT
            or (mail_counts.state, mail_counts.reason) == _ASKED_BEFORE_A_RESTORE
        )
    }
    return max(map(lookup.find_last_asked, sorted(campaigns)), default=None)


def _make_asked_before_condition() -> Any:
    failed, restored = _ASKED_BEFORE_A_RESTORE
    was_asked = Mail.state.in_(POSSIBLY_SENT) | ((Mail.state == failed) & (Mail.reason == restored))
    return fn.EXISTS(
        Mail.select(SQL("1")).where(
            Mail.contact == Contact.id, Mail.kind == MailKind.ASK, was_asked
        )
    )


_ASKED_BEFORE_A_RESTORE = (MailState.FAILED, PauseReason.RESTORED)
"""The state and reason of an ask that is missing in a backup, as an admin has decided."""


def make_askable_condition(mailing_list: MailingList, include_thin: bool) -> Any:  # noqa: FBT001
    """Return the SQL condition for contacts of a list that may be asked, suppressions aside."""
    return (Contact.list == mailing_list) & _make_askable_condition_of_any_list(include_thin)


def make_askable_condition_between(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
    id_range: tuple[int, int],
) -> Any:
    """Return `make_askable_condition` for contacts between two ids, both included.

    The list is compared as an expression, so that SQLite uses the index by id: without statistics
    it would scan the whole list for each few contacts.
    """
    of_list = Contact.list + 0 == mailing_list.id
    return (
        Contact.id.between(*id_range) & of_list & _make_askable_condition_of_any_list(include_thin)
    )


def _make_askable_condition_of_any_list(include_thin: bool) -> Any:  # noqa: FBT001
    """Return `make_askable_condition` without the condition on the list."""
    return _make_allowed_condition(include_thin) & ~_make_asked_before_condition()


def _make_allowed_condition(include_thin: bool) -> Any:  # noqa: FBT001
    """Return the SQL condition on status and basis for contacts that may be asked."""
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
    """Return the suppressed ones among folded addresses of a list."""
    fingerprints = email_address.fingerprints(fingerprint_key, address_keys)
    keys_by_fingerprint = dict(zip(fingerprints, address_keys, strict=True))
    suppressed: set[str] = set()
    for batch in chunks(fingerprints, _PAGE_SIZE):
        rows: Any = Suppression.select(Suppression.fingerprint).where(
            Suppression.fingerprint.in_(batch),
            (Suppression.list == mailing_list) | Suppression.list.is_null(),
        )
        suppressed.update(keys_by_fingerprint[fingerprint] for (fingerprint,) in rows.tuples())
    return suppressed


def _iter_suppressed_languages(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
    key: bytes,
) -> Iterator[str]:
    """Yield the language of each contact that is not asked only because it is suppressed."""
    for page in _iter_pages(mailing_list, include_thin):
        languages = {address_key: language for _, address_key, language in page}
        for address_key in find_suppressed(mailing_list, list(languages), fingerprint_key=key):
            yield languages[address_key]


def _iter_pages(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
) -> Iterator[list[tuple[int, str, str]]]:
    """Yield id, folded address and language of the contacts that may be asked, in pages.

    Sorted by address, for which there is an index.
    """
    rows: Any = (
        Contact.select(Contact.id, Contact.address_key, Contact.language)
        .where(make_askable_condition(mailing_list, include_thin))
        .tuples()
    )
    return iter_pages(rows, Contact.address_key, size=_PAGE_SIZE, read_key=itemgetter(1), after="")


# --- Mails of competing campaigns. ----------------------------------------------------------------


def count_mails_until_last_ask(mailing_list: MailingList, asks: int) -> int:
    """Count the mails sent until a campaign's last ask, including those of other campaigns."""
    competing = (
        contacts_counts.sum_mails(
            contacts_counts.count_mails(campaign=campaign),
            lambda mails: mails.kind in ASKING_KINDS and mails.state in NOT_STARTED,
        )
        for campaign in _select_competing(mailing_list)
    )
    return asks + sum(min(asks, count) for count in competing)


def count_mails_at_busiest_domain(mailing_list: MailingList, asks: Mapping[str, int]) -> int:
    """Return the count of `count_mails_until_last_ask` for the domain with the most mails.

    `asks`: the campaign's asks by domain.
    """
    competing: Any = (
        Mail.select(select_domain(), fn.COUNT(Mail.id))
        .join(Contact)
        .where(
            Mail.campaign.in_(_select_competing(mailing_list).select(Campaign.id)),
            Mail.kind.in_(ASKING_KINDS),
            Mail.state.in_(NOT_STARTED),
        )
        .group_by(Mail.campaign, SQL("place"))
        .tuples()
    )
    competing_counts: dict[str, int] = defaultdict(int)
    for domain, count in competing.iterator():
        if domain in asks:
            competing_counts[domain] += min(asks[domain], count)
    return max((count + competing_counts[domain] for domain, count in asks.items()), default=0)


def select_domain() -> Any:
    """Return the SQL for a contact's domain, to select and to group by as `place`."""
    # Grouped by that alias, since PostgreSQL takes two placeholders for different values.
    domain = fn.SUBSTR(Contact.address_key, find_position(Contact.address_key, "@") + 1)
    return domain.alias("place")


def _select_competing(mailing_list: MailingList) -> Any:
    return Campaign.select().where(Campaign.list != mailing_list, Campaign.state.in_(LIVE_STATES))
