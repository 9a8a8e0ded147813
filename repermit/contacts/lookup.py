"""Looking up contacts and list descriptions, and making new contacts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from peewee import SQL, fn

from repermit import email_address
from repermit.contacts import counts
from repermit.db.connection import is_postgresql, lock_rows, proxy
from repermit.db.models.base import ID_LIST, PreparedQuery, new_id
from repermit.db.models.campaigns import Campaign, latest_campaign
from repermit.db.models.contacts import Contact, Suppression
from repermit.db.models.imports import Import
from repermit.db.models.lists import ListText, MailingList
from repermit.db.models.mails import Mail
from repermit.emails.mail_types import ListWords, MailingListFacts, OwnWording
from repermit.errors import AddressError
from repermit.package_files import LANGUAGES
from repermit.rules.consent import Basis, CampaignState, Dropped, MailKind, MailState, Status


def make_undecided_condition(campaign: Campaign, table: Any = Contact) -> Any:
    """Return the rule `consent.is_undecided` as an SQL condition on a campaign's contacts.

    - `table`: the table with their status and basis.
    """
    unconfirmed = table.status == Status.UNCONFIRMED
    if not campaign.include_thin:
        return unconfirmed
    return unconfirmed | ((table.status == Status.CONFIRMED) & (table.basis == Basis.THIN))


def lock_contact(contact_id: int) -> Contact:
    """Return the contact as it is now, locked until the transaction ends."""
    contact: Contact = lock_rows(Contact.select().where(Contact.id == contact_id)).get()
    return contact


def lock_contacts(ids: Iterable[int]) -> list[Contact]:
    """Return these contacts as they are now, in order, locked until the transaction ends."""
    return _CONTACTS.rows(ids=ids)


_CONTACTS = PreparedQuery(
    lambda: lock_rows(Contact.select().where(Contact.id.in_(ID_LIST)).order_by(Contact.id))
)


def is_off_by_file(contact: Contact) -> bool:
    """Return whether only an import removed a contact; such a removal can be undone."""
    if contact.status != Status.REMOVED:
        return False
    # The imports are named, so that the index on `imported_by` is used.
    files = Import.select(Import.id).where(Import.list == contact.list_id)
    suppressions = Suppression.select().where(
        Suppression.imported_by.in_(files), Suppression.subject == contact.subject
    )
    return bool(suppressions.exists())


def make_fingerprint(contact: Contact, key: bytes) -> str:
    """Return the fingerprint of a contact's address."""
    return email_address.fingerprint(key, contact.address_key)


def is_suppressed(list_id: int, fingerprint: str) -> bool:
    """Return whether an address is suppressed for this list or for all."""
    return bool(
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == list_id) | Suppression.list.is_null(),
        )
        .exists()
    )


def read_list_facts(mailing_list: MailingList) -> MailingListFacts:
    """Return the present description of a list, in each language in which it is complete."""
    return MailingListFacts(
        slug=mailing_list.slug,
        name=mailing_list.name,
        purpose=mailing_list.purpose,
        frequency=mailing_list.frequency,
        privacy_url=mailing_list.privacy_url,
        language=mailing_list.language,
        sender=mailing_list.sender,
        sensitive=mailing_list.sensitive,
        texts=_list_words(mailing_list),
    )


def find_missing_texts(text: ListText, mailing_list: MailingList) -> tuple[str, ...]:
    """Return the fields that a list's texts in a further language lack to be complete.

    A name is optional there; the frequency is required if the list has one.
    """
    required = ("purpose", "privacy_url", *(("frequency",) if mailing_list.frequency else ()))
    return tuple(name for name in required if not getattr(text, name))


def list_translations(mailing_list: MailingList) -> list[ListText]:
    """Return a list's texts in all languages but its own, complete or not, the pending one too."""
    texts = {text.language: text for text in _TEXTS.rows(mailing_list.id, mailing_list.language)}
    if mailing_list.pending_text:
        texts[mailing_list.pending_text.language] = mailing_list.pending_text
    return [texts[language] for language in sorted(texts)]


def read_own_wording(mailing_list: MailingList, language: str = "") -> OwnWording:
    """Return the admin's templates for the list's asks, in the list's language or another one.

    They are empty in a language without templates, where repermit's wording is used.
    """
    source: MailingList | ListText = mailing_list
    if language not in {"", mailing_list.language}:
        texts = {text.language: text for text in list_translations(mailing_list)}
        source = texts.get(language) or ListText()
    return OwnWording(subject=source.own_subject, text=source.own_text, html=source.own_html)


def _list_words(mailing_list: MailingList) -> tuple[ListWords, ...]:
    """Return a list's texts in each complete language; empty if there is only its own."""
    translations = [
        _make_words(text, name=text.name or mailing_list.name)
        for text in list_translations(mailing_list)
        if text.language in LANGUAGES and not find_missing_texts(text, mailing_list)
    ]
    return (
        (_make_words(mailing_list, name=mailing_list.name), *translations) if translations else ()
    )


_TEXTS = PreparedQuery(
    lambda list_id, language: (
        ListText.select()
        .where(ListText.list == list_id, ListText.language != language)
        .order_by(ListText.language)
    ),
    2,
)


def _make_words(text: ListText | MailingList, *, name: str) -> ListWords:
    return ListWords(
        language=text.language,
        name=name,
        purpose=text.purpose,
        frequency=text.frequency,
        privacy_url=text.privacy_url,
    )


def describe_list(list_facts: MailingListFacts) -> dict[str, str | bool]:
    """Return the evidence fields of a list's description, as it was shown to the contact."""
    return {
        "list_name": list_facts.name,
        "purpose": list_facts.purpose,
        "frequency": list_facts.frequency,
        "privacy_url": list_facts.privacy_url,
        **({"privacy_wording": list_facts.privacy_wording} if list_facts.privacy_wording else {}),
        "sensitive": list_facts.sensitive,
    }


def describe_unseen_list(list_facts: MailingListFacts) -> dict[str, Any]:
    """Return the evidence fields of a list's description for a contact that was never shown it.

    For example for an imported opt-in: it was given for what its file or form said, not for what
    the list says today.
    """
    description = describe_list(list_facts)
    shown_names = ("list_name", "sensitive")
    unseen = {name: value for name, value in description.items() if name not in shown_names}
    return {
        **{name: description[name] for name in shown_names},
        "unseen": {"language": list_facts.language, **unseen},
    }


def make_contact(
    mailing_list: MailingList, address: email_address.Address, **columns: Any
) -> Contact:
    """Return a contact that is not saved yet, with fresh random `uid` and `subject`."""
    return Contact(
        list=mailing_list,
        uid=new_id(),
        subject=new_id(),
        address=address.sending,
        address_key=address.key,
        **columns,
    )


def insert_contact(contact: Contact) -> bool:
    """Insert a new contact; return False if its list has had the address since the caller looked.

    On PostgreSQL an import may add it meanwhile.
    """
    insert = Contact.insert(**contact.__data__)
    # Not on SQLite: it would ignore other errors too, and has a single writer anyway.
    contact.id = (insert.on_conflict_ignore() if is_postgresql(proxy.obj) else insert).execute()
    return contact.id is not None


def select_unasked(mailing_list: MailingList) -> Any:
    """Return the query for contacts that could not be asked in the list's latest campaign.

    Rows are contacts with `mail_state`, `mail_reason`, `mail_bounce` and `reply_code` of their
    ask; an ask that came back asked nobody. After a campaign has closed, every contact that is
    still unconfirmed counts, since silence removed all that were asked in time (invariant 4).
    Every page, report, mail and export counts by this query.
    """
    campaign = latest_campaign(mailing_list)
    if campaign is not None and campaign.state == CampaignState.CLOSED:
        conditions = _make_still_unconfirmed_conditions(campaign)
    else:
        conditions = (Mail.id.in_(_select_failed_asks(campaign)),)
    return (
        Contact.select(
            Contact,
            Mail.state.alias("mail_state"),
            Mail.reason.alias("mail_reason"),
            Mail.bounce.alias("mail_bounce"),
            Mail.reply_code.alias("reply_code"),
        )
        .join(Mail, on=(Mail.contact == Contact.id))
        .where(Mail.kind == MailKind.ASK, Contact.status == Status.UNCONFIRMED, *conditions)
        .order_by(Contact.id)
    )


_MAX_COUNTED_UNASKED = 10_000


def count_unasked(mailing_list: MailingList) -> int | None:
    """Count the rows of `select_unasked`; None if there may be too many to count now."""
    campaign = latest_campaign(mailing_list)
    if campaign is not None and campaign.state != CampaignState.CLOSED:
        given_up = counts.sum_mails(
            counts.count_mails(campaign=campaign),
            lambda mails: mails.kind is MailKind.ASK and mails.state in _GIVEN_UP,
        )
        if given_up > _MAX_COUNTED_UNASKED:
            return None
    return int(select_unasked(mailing_list).count())


def _make_still_unconfirmed_conditions(campaign: Campaign) -> tuple[Any, ...]:
    """Return conditions by which indexes find the few unconfirmed contacts after a deadline.

    The reason of every unconfirmed contact is ""; the index has that column before the id.
    Contacts with a higher id than the last asked one came later and were not asked.
    """
    return (
        Mail.campaign == campaign,
        _IS_ASKING,
        Contact.list == campaign.list_id,
        Contact.reason == "",
        Contact.id <= find_last_asked(campaign.id),
    )


# Literal SQL, so that the partial index for these mails is used.
_IS_ASKING = SQL("kind IN ('ask', 'reminder')")


def find_last_asked(campaign_id: int) -> int:
    """Return the highest id of a contact that a campaign mails, 0 for none."""
    asked = Mail.select(fn.MAX(Mail.contact)).where(Mail.campaign == campaign_id, _IS_ASKING)
    return int(asked.scalar() or 0)


def _select_failed_asks(campaign: Campaign | None) -> Any:
    """Return the query for a campaign's asks that were given up, and its mails that came back.

    A union, so that each part uses its index: with one condition SQLite would scan the campaign.
    """
    mails = Mail.select(Mail.id).where(Mail.campaign == campaign)
    given_up = mails.where(Mail.kind == MailKind.ASK, Mail.state.in_(_GIVEN_UP))
    return given_up | mails.where(Mail.bounce != SQL("''"))


_GIVEN_UP = (MailState.FAILED, MailState.IN_DOUBT, MailState.DROPPED)


def explain_unasked(state: str, reason: str, bounce: str) -> str:
    """Return why a contact could not be asked, from its ask's state, its reason and its bounce.

    An accepted ask may have come back later. One that was accepted less than `minimum_days` before
    the deadline asked nobody.
    """
    if state == MailState.DROPPED:
        return reason
    if bounce:
        return "came_back"
    return state if state in {MailState.FAILED, MailState.IN_DOUBT} else "short_notice"


UNASKED_REASONS = ("short_notice", "came_back", MailState.FAILED, MailState.IN_DOUBT, *Dropped)
"""Everything that `explain_unasked` can return."""


# --- The status of an address, and former contacts. -----------------------------------------------


_MAILABLE = frozenset({Status.CONFIRMED, Status.CUSTOMER})


@dataclass(frozen=True, kw_only=True)
class AddressStatus:
    """The status of an address on a list.

    - `status`: None if the list does not have the address.
    - `since`: when it got this status.
    - `is_suppressed`: all that is known of an erased address.
    - `subject`: "" without a contact.
    """

    status: Status | None
    reason: str
    basis: str
    since: datetime | None
    is_suppressed: bool
    subject: str

    @property
    def may_be_mailed(self) -> bool:
        """Whether newsletters may be sent there: by an opt-in or on the customer basis."""
        return self.status in _MAILABLE


def find_address_status(
    mailing_list: MailingList, text: str, *, fingerprint_key: bytes
) -> AddressStatus:
    """Return the status of an address on a list; an invalid address is on no list."""
    try:
        key = email_address.parse(text).key
    except AddressError:
        return _make_address_status(None, suppressed=False)
    contact: Contact | None = Contact.get_or_none(
        Contact.list == mailing_list, Contact.address_key == key
    )
    fingerprint = email_address.fingerprint(fingerprint_key, key)
    return _make_address_status(contact, suppressed=is_suppressed(mailing_list.id, fingerprint))


def find_current_contact(list_id: int, subject: str) -> Contact | None:
    """Return the contact of a subject that left an earlier address or returned after an erasure."""
    contact: Contact | None = (
        Contact.select()
        .where(
            # `+ 0` keeps indexes on the list from being used instead of the one on subjects.
            Contact.list + 0 == list_id,
            Contact.subject == subject,
            Contact.has_predecessor,
            Contact.erased_at.is_null(),
        )
        .first()
    )
    return contact


def list_erased_contacts(list_id: int, subject: str) -> list[Contact]:
    """Return the erased rows of one subject on a list, newest first."""
    rows = Contact.select().where(
        Contact.list + 0 == list_id,
        Contact.subject == subject,
        Contact.erased_at.is_null(is_null=False),
    )
    return sorted(rows, key=attrgetter("id"), reverse=True)


def _make_address_status(contact: Contact | None, *, suppressed: bool) -> AddressStatus:
    return AddressStatus(
        status=Status(contact.status) if contact else None,
        reason=contact.reason if contact else "",
        basis=contact.basis if contact else "",
        since=contact.status_at if contact else None,
        is_suppressed=suppressed,
        subject=contact.subject if contact else "",
    )
