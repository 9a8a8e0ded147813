"""Looking up the contact that a link names, and the list that a sign-up page names.

Nothing here writes.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from peewee import JOIN

from repermit import email_address
from repermit.contacts import click_log, lookup
from repermit.contacts.last_ask import describe_delivery
from repermit.db.models.base import PreparedQuery
from repermit.db.models.campaigns import Campaign, CampaignWording, Wording
from repermit.db.models.contacts import Contact, Opening, Suppression
from repermit.db.models.evidence import Evidence
from repermit.db.models.lists import MailingList
from repermit.db.models.mails import Mail
from repermit.emails import frozen_draft
from repermit.emails.mail_types import MailingListFacts
from repermit.rules import bot_detection, consent, deadlines_and_reminders
from repermit.rules.bot_detection import BotSignal
from repermit.rules.consent import (
    Answer,
    Basis,
    CampaignState,
    Decision,
    MailKind,
    MailState,
    Outcome,
    Reason,
    Status,
)
from repermit.rules.deadlines_and_reminders import Verdict
from repermit.settings.definitions import Settings

# --- The contact that a link names, and the result of an answer. ----------------------------------


Method = Literal["page", "one_click", "note"]
"""How an answer arrived: by a button, by one-click (RFC 8058), or noted by an admin."""

Giver = Literal["", "representative"]
"""Who gave an answer, as the page was told: "" for the contact, or a legal representative."""


@dataclass(frozen=True, kw_only=True)
class PageShown:
    """The page that an answer comes from: the text around its button, and its language.

    - `language`: "" for the language of the question.
    - `given_by`: who gives the answer, according to the address that the page was opened with.
    - `was_shown`: False for a mail program's answer, which opened no page; `wording` is then that
      of the page behind its link.
    """

    wording: str = ""
    language: str = ""
    given_by: Giver = ""
    was_shown: bool = True


@dataclass(frozen=True, kw_only=True)
class ContactState:
    """A contact as it is now, with the ask and the reminder of its latest campaign.

    - `address`: masked, "" after erasure. Of a corrected address nothing is shown, since the same
      links were mailed to the former one.
    - `is_gone`: the contact is erased.
    - `mailing_list`: as the latest campaign's mail described it, or as it is now without one.
    - `deadline`, `include_thin`, `minimum_days`: of that campaign, which may be cancelled.
    - `asked_at`, `reminded_at`: when a server accepted the ask and the reminder.
    - `has_bounced`: the ask came back.
    - `mail_wording`: the digest of the ask's wording.
    - `delivery`: the evidence fields about the delivery of the ask.
    - `signals`: why the last press was suspect, empty if it was not.
    - `confirmation_token`: of the open confirmation request, "" without one.
    - `is_off_by_file`: an import alone removed the contact, which can be undone.
    - `has_refused`: a No was given at some time, so that a Yes takes two presses.
    - `form_version`: the version of the forms that count now.
    """

    uid: str
    address: str
    language: str
    status: Status
    status_at: datetime
    reason: str
    basis: str
    basis_at: datetime | None
    source: str
    since: datetime | None
    is_gone: bool
    mailing_list: MailingListFacts
    campaign: int
    deadline: datetime | None
    is_cancelled: bool = False
    is_paused: bool = False
    include_thin: bool = False
    minimum_days: int = 0
    asked_at: datetime | None
    has_bounced: bool = False
    reminded_at: datetime | None
    mail_wording: str
    signals: tuple[BotSignal, ...]
    confirmation_token: str = ""
    is_off_by_file: bool = False
    has_refused: bool = False
    form_version: int = 0
    delivery: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_customer(self) -> bool:
        """Whether the contact may be mailed as a customer."""
        return self.basis == Basis.CUSTOMER

    @property
    def is_asked(self) -> bool:
        """Whether the pages ask for consent, rather than about mails sent without asking."""
        is_open = self.basis in {"", Basis.ANSWER} or (
            self.basis == Basis.THIN and self.include_thin
        )
        return bool(self.campaign) and is_open and self.reason != Reason.WITHDRAWN

    @property
    def is_on_list(self) -> bool:
        """Whether the contact gets the mails, and silence does not end that."""
        return self.status in {Status.CONFIRMED, Status.CUSTOMER} and not self.awaits_removal

    @property
    def said_no(self) -> bool:
        """Whether the contact was removed by its own No."""
        return self.status is Status.REMOVED and self.reason in consent.ANSWERED_NO

    @property
    def mailed_at(self) -> datetime | None:
        """The time at which a server accepted the last mail with the contact's links, or None."""
        return self.reminded_at or self.asked_at

    @property
    def awaits_removal(self) -> bool:
        """Whether silence removes the contact once the deadline has passed."""
        if self.deadline is None or self.is_cancelled:
            return False
        verdict = deadlines_and_reminders.decide_expiry(
            self.status,
            basis=self.basis,
            include_thin=self.include_thin,
            # As in the sweep: an ask that came back has reached nobody.
            accepted_at=None if self.has_bounced else self.asked_at,
            deadline=self.deadline,
            now=self.deadline,
            minimum_days=self.minimum_days,
        )
        return verdict is Verdict.EXPIRE

    def is_too_late(self, arrived_at: datetime) -> bool:
        """Say whether a Yes that arrives at this time comes too late."""
        return consent.is_too_late(
            self.status, self.basis, arrived_at=arrived_at, deadline=self.deadline
        )

    def is_in_time(self, arrived_at: datetime) -> bool:
        """Say whether a Yes that arrives at this time answers an open question."""
        return self.deadline is not None and arrived_at < self.deadline


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer:
    """What an answer did, and the state of the contact after it.

    - `confirmation_token`: what the buttons of the page that asks again send, if the Yes is held.
    """

    outcome: Outcome
    contact_state: ContactState
    confirmation_token: str = ""

    @property
    def status(self) -> Status:
        """The contact's status after the answer."""
        return self.contact_state.status

    @property
    def reason(self) -> str:
        """The reason of the contact's removal; "" if it is not removed."""
        return self.contact_state.reason


@dataclass(frozen=True, kw_only=True)
class SignUpResult:
    """What a press on a sign-up's link did or would do.

    - `outcome`: `confirm`, `hold` (the Yes may be a program's), `nothing` (the link was used
      before), `ask` (the form is stale), `late` (the link has expired) or `remove`.
    - `address`: masked.
    - `contact_state`: that of the contact with this address; None without one.
    - `ends_at`: until when the link can be used.
    - `confirmation_token`: of the open confirmation request, "" without one; `signals` say why the
      Yes is asked for again.
    - `form_version`: the version of the forms that count now.
    """

    outcome: Outcome
    address: str
    language: str
    mailing_list: MailingListFacts
    contact_state: ContactState | None
    ends_at: datetime
    confirmation_token: str
    form_version: int
    signals: tuple[BotSignal, ...] = ()


# --- Looking up contacts and lists. ---------------------------------------------------------------


def find_contact_state(uid: str) -> ContactState | None:
    """Return the state of the contact that a link names, None if there is no such contact."""
    contact: Contact | None = Contact.get_or_none(Contact.uid == uid)
    return None if contact is None else read_contact_state(contact, click_log.find_opening(contact))


def find_answering_state(uid: str, answer: Answer) -> ContactState | None:
    """Return the state of the contact that an answer by a link is about, or None.

    The link for No of an erased contact is about the contact that it became by a new sign-up.
    """
    contact_state = find_contact_state(uid)
    if contact_state is None or not contact_state.is_gone or answer is Answer.YES:
        return contact_state
    erased = Contact.get(Contact.uid == uid)
    current = lookup.find_current_contact(erased.list_id, erased.subject)
    return contact_state if current is None else find_contact_state(current.uid)


def read_contact_state(contact: Contact, opening: Opening | None) -> ContactState:
    """Return the state of a contact; `opening` is the row with the history of its links."""
    ask, reminded_at = _find_latest_ask(contact)
    digest = (ask.wording or _find_newest_wording(ask, contact)) if ask else ""
    list_facts = _read_list_facts(digest) if digest else lookup.read_list_facts(contact.list)
    return ContactState(
        **_read_contact_fields(contact, opening),
        language=list_facts.pick_language(contact.language),
        mailing_list=list_facts,
        campaign=ask.campaign if ask else 0,
        deadline=ask.deadline if ask else None,
        is_cancelled=ask is not None and ask.campaign_state == CampaignState.CANCELLED,
        is_paused=ask is not None and ask.campaign_state == CampaignState.PAUSED,
        include_thin=ask is not None and ask.include_thin,
        minimum_days=ask.minimum_days if ask else 0,
        asked_at=ask.sent_at if ask and ask.state == MailState.SENT else None,
        has_bounced=ask is not None and bool(ask.bounce),
        reminded_at=reminded_at,
        mail_wording=digest,
        delivery=describe_delivery(ask.message_id, ask.reply_code, ask.reply_status)
        if ask and ask.state == MailState.SENT
        else {},
    )


def is_suppressed(uid: str) -> bool:
    """Say whether an erased contact is still suppressed.

    A later Yes of the same person lifts the suppression.
    """
    subjects = Contact.select(Contact.subject).where(Contact.uid == uid)
    return bool(Suppression.select().where(Suppression.subject.in_(subjects)).exists())


def refresh_contact_state(
    contact_state: ContactState, contact: Contact, opening: Opening | None
) -> ContactState:
    """Return the state after a change of this contact alone, in the transaction of that change."""
    return replace(contact_state, **_read_contact_fields(contact, opening))


def _read_contact_fields(contact: Contact, opening: Opening | None) -> dict[str, Any]:
    history = click_log.read_link_history(contact, opening)
    return {
        "uid": contact.uid,
        "address": _mask_address(contact),
        "status": Status(contact.status),
        "status_at": contact.status_at,
        "reason": contact.reason,
        "basis": contact.basis,
        "basis_at": contact.basis_at,
        "source": contact.source,
        "since": contact.since,
        "is_gone": contact.erased_at is not None,
        "signals": click_log.read_signals(opening),
        "confirmation_token": bot_detection.find_open_confirmation_token(history),
        "has_refused": history.has_refused or history.no_at is not None,
        "is_off_by_file": lookup.is_off_by_file(contact),
        "form_version": contact.form_version,
    }


def _mask_address(contact: Contact) -> str:
    if not contact.address:
        return ""
    return _NO_ADDRESS if _has_moved(contact) else email_address.mask_address(contact.address)


_NO_ADDRESS = "…@…"


def _has_moved(contact: Contact) -> bool:
    """Say whether a contact's links may have been mailed to another address than the present."""
    if not contact.has_predecessor:
        return False
    own = Evidence.subject == contact.subject, Evidence.event == "corrected"
    return bool(Evidence.select().where(*own).exists())


def predict_decision(
    contact_state: ContactState, answer: Answer, *, arrived_at: datetime
) -> Decision:
    """Return what an answer would do that arrives at `arrived_at`."""
    return consent.decide(
        answer,
        contact_state.status,
        reason=contact_state.reason,
        basis=contact_state.basis,
        arrived_at=arrived_at,
        deadline=contact_state.deadline,
        by_file=contact_state.is_off_by_file,
    )


def make_join_id(mailing_list: MailingListFacts | MailingList, *, settings: Settings) -> str:
    """Return the identifier of a list in the URL of its sign-up page.

    It is the slug. A sensitive list has 16 hexadecimal digits instead, which reveal nothing and
    stay the same when the link keys change.
    """
    if not mailing_list.sensitive:
        return mailing_list.slug
    code = hmac.digest(settings.fingerprint_key, b"join\0" + mailing_list.slug.encode(), "sha256")
    return code.hex()[:16]


def find_joinable_list(name: str, *, settings: Settings) -> MailingList | None:
    """Return the list whose `make_join_id` is `name`, or None.

    Characters that a mail program appended to the link are ignored.
    """
    # Neither a slug nor a code ends in a hyphen.
    join_id = _GLUED.split(name, maxsplit=1)[0].rstrip("-")
    lists = MailingList.select()
    return next(
        (
            mailing_list
            for mailing_list in lists
            if make_join_id(mailing_list, settings=settings) == join_id
        ),
        None,
    )


_GLUED = re.compile(r"[^\w-]|_")


class _CampaignAsk(NamedTuple):
    """A campaign's mail to a contact; `wording` is a digest, None until the mail is made."""

    campaign: int
    deadline: datetime
    campaign_state: str
    include_thin: bool
    minimum_days: int
    kind: str
    state: str
    bounce: str
    sent_at: datetime | None
    wording: str | None
    message_id: str
    reply_code: int
    reply_status: str


def _find_latest_ask(contact: Contact) -> tuple[_CampaignAsk | None, datetime | None]:
    """Return the latest campaign's ask, and when a server accepted its reminder, if one did."""
    mails = [_CampaignAsk(*row) for row in _MAILS_QUERY.rows(contact)]
    asks = [mail for mail in mails if mail.kind == MailKind.ASK]
    ask = max(asks, key=lambda mail: mail.campaign, default=None)
    reminders = (
        mail.sent_at
        for mail in mails
        if ask
        and (mail.kind, mail.campaign, mail.state)
        == (MailKind.REMINDER, ask.campaign, MailState.SENT)
    )
    return ask, next(reminders, None)


_MAILS_QUERY = PreparedQuery(
    # By the contact only, as SQLite would otherwise read all mails of the campaign.
    lambda contact: (
        Mail.select(
            *(
                Mail.campaign,
                Campaign.deadline,
                Campaign.state,
                Campaign.include_thin,
                Campaign.minimum_days,
                Mail.kind,
                Mail.state,
                Mail.bounce,
                Mail.sent_at,
            ),
            CampaignWording.wording,
            *(Mail.message_id, Mail.reply_code, Mail.reply_status),
        )
        .join(Campaign)
        .join_from(Mail, CampaignWording, JOIN.LEFT_OUTER)
        .where(Mail.contact == contact)
        .tuples()
    ),
    1,
)


def _find_newest_wording(ask: _CampaignAsk, contact: Contact) -> str:
    """Return the digest of the wording from which an unmade ask is going to be made.

    It is the newest one in the contact's language, or else in the list's.
    """
    digests: dict[str, str] = dict(_WORDINGS_QUERY.rows(ask.campaign))
    return digests.get(contact.language) or digests.get(contact.list.language, "")


_WORDINGS_QUERY = PreparedQuery(
    lambda campaign: (
        CampaignWording.select(CampaignWording.language, CampaignWording.wording)
        .where(CampaignWording.campaign == campaign, CampaignWording.kind == MailKind.ASK)
        .order_by(CampaignWording.revision)
        .tuples()
    ),
    1,
)


@lru_cache(maxsize=64)
def _read_list_facts(digest: str) -> MailingListFacts:
    """Return the list's description from a frozen wording, by its digest."""
    content = Wording.select(Wording.content).where(Wording.digest == digest).get().content
    return frozen_draft.read_draft(content).mailing_list
