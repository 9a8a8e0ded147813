"""Whom a campaign asks: counting the audience, and freezing it into mails that are owed.

May import consent, contacts, models and what lies below. Sets are left to the database, so that
memory stays flat; only what is suppressed is looked up address by address.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from peewee import SQL, Value, fn

from repermit import addresses, messages
from repermit.campaigns.sharing import place
from repermit.consent import Basis, Exclusion, MailKind, MailState, Status, exclusion
from repermit.contacts.braking import AFTER_PILOT
from repermit.models import Campaign, Contact, Mail, Suppression, chunks, stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from repermit.models import MailingList

_CHUNK = 1000
_UNSENT = (MailState.QUEUED, MailState.CLAIMED)
_ASKED = (MailState.STARTED, MailState.SENT, MailState.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Whom a campaign would ask; `suppressed` are ids of contacts that only that keeps out."""

    languages: Mapping[str, int]
    excluded: Mapping[Exclusion, int]
    suppressed: Sequence[int]

    @property
    def asked(self) -> int:
        """Return how many would be asked."""
        return sum(self.languages.values())


def count_audience(
    mailing_list: MailingList, *, include_thin: bool, fingerprint_key: bytes
) -> Audience:
    """Count who would be asked now, by the language of their mail, and why others are not.

    An address that is left out for another reason is not looked up among the suppressed.
    """
    languages: Counter[str] = Counter()
    excluded = Counter(dict.fromkeys(Exclusion, 0))
    for group, count in _groups(mailing_list):
        why = exclusion(
            group.status,
            group.basis,
            suppressed=False,
            asked_before=group.asked_before,
            include_thin=include_thin,
        )
        if why is None:
            languages[_language(group.language, mailing_list)] += count
        else:
            excluded[why] += count
    suppressed = []
    for contact_id, language in _suppressed(mailing_list, include_thin, fingerprint_key):
        languages[_language(language, mailing_list)] -= 1
        excluded[Exclusion.SUPPRESSED] += 1
        suppressed.append(contact_id)
    return Audience(
        languages={language: n for language, n in sorted(languages.items()) if n},
        excluded=dict(excluded),
        suppressed=suppressed,
    )


def count_by_domain(mailing_list: MailingList, *, include_thin: bool) -> Mapping[str, int]:
    """Return how many of those who may be asked have their mailbox at each domain."""
    return _by_domain(Contact.select().where(_may_be_asked(mailing_list, include_thin)))


def count_unsent(campaign: Campaign) -> int:
    """Return how many asks are still to leave."""
    return int(Mail.select().where(*_unsent(campaign)).count())


def count_unsent_by_domain(campaign: Campaign) -> Mapping[str, int]:
    """Return how many of them go to each domain."""
    return _by_domain(Contact.select().join(Mail).where(*_unsent(campaign)))


def _unsent(campaign: Campaign) -> tuple[Any, ...]:
    return (Mail.campaign == campaign, Mail.kind == MailKind.ASK, Mail.state.in_(_UNSENT))


def _by_domain(counted: Any) -> dict[str, int]:
    counts = counted.select(place(), fn.COUNT(Contact.id)).group_by(SQL("place"))
    return dict(counts.tuples())


def owe_asks(campaign: Campaign, audience: Audience) -> int:
    """Freeze the audience: an ask is owed to each from the campaign's start; return how many.

    Where there is a pilot the others' asks are owed too, but not due.
    """
    mailing_list: MailingList = campaign.list
    values: dict[Any, Any] = {
        Mail.list: Contact.list,
        Mail.campaign: Campaign.id,
        Mail.contact: Contact.id,
        Mail.kind: Value(MailKind.ASK),
        Mail.state: Value(MailState.QUEUED),
        Mail.reason: Value(""),
        Mail.due_at: Value(stored(AFTER_PILOT)) if campaign.pilot else Campaign.starts_at,
        Mail.attempts: Value(0),
        Mail.worker: Value(""),
        Mail.reply_code: Value(0),
        Mail.reply_status: Value(""),
        Mail.message_id: Value(""),
        Mail.bounce: Value(""),
        Mail.bounce_status: Value(""),
        Mail.topic: Value(""),
    }
    asked = (
        Contact.select(*values.values())
        .join(Campaign, on=(Campaign.list == Contact.list))
        .where(Campaign.id == campaign.id, _may_be_asked(mailing_list, campaign.include_thin))
        .order_by(Contact.id)
    )
    owed: int = Mail.insert_from(asked, fields=list(values)).as_rowcount().execute()
    for ids in chunks(audience.suppressed, _CHUNK):
        owed -= Mail.delete().where(Mail.campaign == campaign, Mail.contact.in_(ids)).execute()
    if campaign.pilot:
        _let_the_pilot_go(campaign)
    return owed


def _let_the_pilot_go(campaign: Campaign) -> None:
    """Make the first asks due; an import has put the contacts in a random order already."""
    first = (
        Mail.select(Mail.id)
        .where(Mail.campaign == campaign)
        .order_by(Mail.id)
        .limit(campaign.pilot)
    )
    Mail.update(due_at=campaign.starts_at).where(Mail.id.in_(first)).execute()


@dataclass(frozen=True)
class _Group:
    """Contacts that the rules do not tell apart."""

    status: Status
    basis: str
    language: str
    asked_before: bool


def _groups(mailing_list: MailingList) -> Iterator[tuple[_Group, int]]:
    before = _asked_before()
    rows: Any = (
        Contact.select(
            Contact.status,
            Contact.basis,
            Contact.language,
            before.alias("before"),
            fn.COUNT(Contact.id),
        )
        .where(Contact.list == mailing_list)
        .group_by(Contact.status, Contact.basis, Contact.language, SQL("before"))
        .tuples()
    )
    for status, basis, language, asked_before, count in rows:
        yield _Group(Status(status), basis, language, bool(asked_before)), count


def _asked_before() -> Any:
    return fn.EXISTS(
        Mail.select(SQL("1")).where(
            Mail.contact == Contact.id, Mail.kind == MailKind.ASK, Mail.state.in_(_ASKED)
        )
    )


def _may_be_asked(mailing_list: MailingList, include_thin: bool) -> Any:  # noqa: FBT001
    """Return the condition under which the rules let a contact be asked, suppression aside."""
    allowed = [
        (Contact.status == status) & (Contact.basis == basis)
        for status in Status
        for basis in ("", *Basis)
        if exclusion(status, basis, suppressed=False, asked_before=False, include_thin=include_thin)
        is None
    ]
    return (Contact.list == mailing_list) & ~_asked_before() & reduce(or_, allowed)


def _suppressed(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
    key: bytes,
) -> Iterator[tuple[int, str]]:
    """Yield id and language of each contact that may be asked but for its suppression."""
    holds = (Suppression.list == mailing_list) | Suppression.list.is_null()
    if not Suppression.select().where(holds).exists():
        return
    for some in _pages(mailing_list, include_thin):
        prints = {addresses.fingerprint(key, row[1]): (row[0], row[2]) for row in some}
        rows: Any = (
            Suppression.select(Suppression.fingerprint)
            .where(Suppression.fingerprint.in_(list(prints)), holds)
            .distinct()
            .tuples()
        )
        for (fingerprint,) in rows:
            yield prints[fingerprint]


def _pages(
    mailing_list: MailingList,
    include_thin: bool,  # noqa: FBT001
) -> Iterator[list[tuple[int, str, str]]]:
    """Yield id, folded address and language of those who may be asked, a page at a time.

    In the order of the address, for which each list has an index.
    """
    after = ""
    while True:
        rows: Any = (
            Contact.select(Contact.id, Contact.address_key, Contact.language)
            .where(_may_be_asked(mailing_list, include_thin), Contact.address_key > after)
            .order_by(Contact.address_key)
            .limit(_CHUNK)
            .tuples()
        )
        page = list(rows)
        if not page:
            return
        yield page
        after = page[-1][1]


def _language(language: str, mailing_list: MailingList) -> str:
    return messages.pick_language(language, otherwise=mailing_list.language)
