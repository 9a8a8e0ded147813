"""Looking up contacts, and making new ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from peewee import SQL, fn

from repermit import email_address
from repermit.db.connection import lock_rows
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


def make_undecided_condition(campaign: Campaign) -> Any:
    """Return the rule consent.is_undecided as a condition, for contacts the campaign has asked."""
    unconfirmed = Contact.status == Status.UNCONFIRMED
    if not campaign.include_thin:
        return unconfirmed
    return unconfirmed | ((Contact.status == Status.CONFIRMED) & (Contact.basis == Basis.THIN))


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
    """Say whether a file alone has taken a contact off, which may be taken back."""
    if contact.status != Status.REMOVED:
        return False
    # Named, so that the index is used that has what each file brought.
    files = Import.select(Import.id).where(Import.list == contact.list_id)
    suppressions = Suppression.select().where(
        Suppression.imported_by.in_(files), Suppression.subject == contact.subject
    )
    return bool(suppressions.exists())


def make_fingerprint(contact: Contact, key: bytes) -> str:
    """Return the fingerprint of a contact's address."""
    return email_address.fingerprint(key, contact.address_key)


def is_suppressed(list_id: int, fingerprint: str) -> bool:
    """Say whether an address is suppressed for this list or for all."""
    return bool(
        Suppression.select()
        .where(
            Suppression.fingerprint == fingerprint,
            (Suppression.list == list_id) | Suppression.list.is_null(),
        )
        .exists()
    )


def read_list_facts(mailing_list: MailingList) -> MailingListFacts:
    """Return what a reader is told about a list, as it is now, in each language it is whole in."""
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
    """Return the fields without which a list is not told in a further language.

    It may go by its own name there; how often mail comes has to be said again if it is said apart.
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
    """Return the admin's own templates for the list's asks, in its own language or another.

    Whoever reads another language gets repermit's wording, unless there are templates in it too.
    """
    source: MailingList | ListText = mailing_list
    if language not in {"", mailing_list.language}:
        texts = {text.language: text for text in list_translations(mailing_list)}
        source = texts.get(language) or ListText()
    return OwnWording(subject=source.own_subject, text=source.own_text, html=source.own_html)


def _list_words(mailing_list: MailingList) -> tuple[ListWords, ...]:
    """Return a list's words in each language it is whole in; none if it has only its own."""
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
    """Return what of a list goes into the proof of an answer: what the person was told of it."""
    return {
        "list_name": list_facts.name,
        "purpose": list_facts.purpose,
        "frequency": list_facts.frequency,
        "privacy_url": list_facts.privacy_url,
        **({"privacy_wording": list_facts.privacy_wording} if list_facts.privacy_wording else {}),
        "sensitive": list_facts.sensitive,
    }


def describe_unseen_list(list_facts: MailingListFacts) -> dict[str, Any]:
    """Return what of a list goes into the evidence about somebody whom nobody has told of it.

    Such as an opt-in that was taken over: what it was given for, the file or its form says, if
    anything does, and not what the list says today.
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


def select_unasked(mailing_list: MailingList) -> Any:
    """Return a query for who could not be asked in the list's latest campaign.

    Rows are contacts with `mail_state`, `mail_reason`, `mail_bounce` and `reply_code` of their
    ask; one that came back asked nobody. Whoever is still unconfirmed when a campaign has closed
    belongs here, since silence would have removed everybody who was asked in time
    (invariant 4). Every page, report, mail and export counts them by this.
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


def _make_still_unconfirmed_conditions(campaign: Campaign) -> tuple[Any, ...]:
    """Return the conditions by which indexes find the few who are unconfirmed after a deadline.

    As it is of everybody who is unconfirmed, their reason is "": the index has it before the
    number. Whoever came after the campaign's people was not asked.
    """
    return (
        Mail.campaign == campaign,
        _IS_ASKING,
        Contact.list == campaign.list_id,
        Contact.reason == "",
        Contact.id <= find_last_asked(campaign.id),
    )


# Written out, so that the index for just these mails is used.
_IS_ASKING = SQL("kind IN ('ask', 'reminder')")


def find_last_asked(campaign_id: int) -> int:
    """Return the highest number of a contact that a campaign has an ask for, 0 for none."""
    asked = Mail.select(fn.MAX(Mail.contact)).where(Mail.campaign == campaign_id, _IS_ASKING)
    return int(asked.scalar() or 0)


def _select_failed_asks(campaign: Campaign | None) -> Any:
    """Return the query for the mails of a campaign that were given up, or came back.

    Each by its index: by one condition SQLite would go through all mails of the campaign.
    """
    mails = Mail.select(Mail.id).where(Mail.campaign == campaign)
    given_up = mails.where(Mail.kind == MailKind.ASK, Mail.state.in_(_GIVEN_UP))
    return given_up | mails.where(Mail.bounce != SQL("''"))


_GIVEN_UP = (MailState.FAILED, MailState.IN_DOUBT, MailState.DROPPED)


def explain_unasked(state: str, reason: str, bounce: str) -> str:
    """Say why a contact could not be asked, by its ask's state, the reason of that, and its bounce.

    What a server took may have come back later. What was sent counts as not asked if a server took
    it less than `minimum_days` before the deadline.
    """
    if state == MailState.DROPPED:
        return reason
    if bounce:
        return "came_back"
    return state if state in {MailState.FAILED, MailState.IN_DOUBT} else "short_notice"


UNASKED_REASONS = ("short_notice", "came_back", MailState.FAILED, MailState.IN_DOUBT, *Dropped)
"""Everything that `explain_unasked` can say."""


# --- How an address stands on a list, for whoever asks by the address. ----------------------------


_MAILABLE = frozenset({Status.CONFIRMED, Status.CUSTOMER})


@dataclass(frozen=True, kw_only=True)
class AddressStatus:
    """How an address stands: `status` is None where the list does not have it.

    `since` is when it became so. An address that was erased is suppressed and nothing else is known
    of it. `subject` is "" without a contact.
    """

    status: Status | None
    reason: str
    basis: str
    since: datetime | None
    is_suppressed: bool
    subject: str

    @property
    def may_be_mailed(self) -> bool:
        """Whether the newsletter may go there: there is an opt-in, or the customer basis."""
        return self.status in _MAILABLE


def find_address_status(
    mailing_list: MailingList, text: str, *, fingerprint_key: bytes
) -> AddressStatus:
    """Return how an address stands on a list; what is no address is on no list."""
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
    """Return who is held under the subject of an earlier address, or of somebody erased."""
    contact: Contact | None = (
        Contact.select()
        .where(
            # By the index of subjects: `+ 0` keeps those that begin with the list from being used.
            Contact.list + 0 == list_id,
            Contact.subject == subject,
            Contact.has_predecessor,
            Contact.erased_at.is_null(),
        )
        .first()
    )
    return contact


def list_erased_contacts(list_id: int, subject: str) -> list[Contact]:
    """Return what somebody was each time that they were erased, the newest first."""
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
