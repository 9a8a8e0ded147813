"""All data stored about one contact, for the person, also as one JSON document.

No other contact is read, not even one of the same address on another list, which has a link of its
own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from urllib.parse import urlsplit

from repermit.clock import format_timestamp
from repermit.contacts import click_log, enqueue_receipt, lookup
from repermit.contacts.last_ask import decide_verdict, index_asks, list_campaign_mails
from repermit.db.connection import chunks, make_id_list
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.contacts import SIGN_UPS_KEPT, Contact, Suppression
from repermit.db.models.contacts import SignUp as SignUpRow
from repermit.db.models.imports import Import
from repermit.db.models.mails import FreshLink, Mail, Reply
from repermit.db.models.webhooks import Delivery, Webhook
from repermit.emails.mail_types import MailingListFacts
from repermit.evidence import chain_reader
from repermit.privacy.data_links import LINKS_KEPT, find_access
from repermit.privacy.erase_removed_contacts import find_due_time
from repermit.privacy.evidence_retention import add_years
from repermit.privacy.external_copies import find_held_since, iter_files_with, list_records
from repermit.rules.bot_detection import LINKS, LinkHistory
from repermit.rules.consent import (
    MailKind,
    MailState,
    Status,
)
from repermit.rules.deadlines_and_reminders import (
    Verdict,
)
from repermit.settings.definitions import Organisation, Settings

# --- What is held, as values. ---------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SentMail:
    """A mail to the person: its kind and state, and when it was in that state.

    `purpose` tells mails of one kind apart that the person asked for, and `to` is where such a one
    went if not to the address that is held. `reply` are the server's codes, and `bounce` is what
    came back, with its status code; each "" for nothing.
    """

    kind: str
    purpose: str
    to: str
    state: str
    at: datetime
    reply: str
    bounce: str
    bounce_status: str
    bounced_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class SignUpInfo:
    """That the address was typed into the sign-up form, and confirmed, declined or neither.

    `asked_again_at` is when a Yes was asked for once more.
    """

    at: datetime
    confirmed_at: datetime | None
    declined_at: datetime | None
    asked_again_at: datetime | None
    name: str
    language: str


@dataclass(frozen=True, kw_only=True)
class EvidenceEntry:
    """An entry of the evidence about the person, with the parts of it that are still kept.

    `by` is `person`, `reader` (of the mail, and not the person meant), `system` or `organisation`:
    who of its people it was is theirs, not the person's (CJEU C-579/21, §83).
    """

    seq: int
    at: datetime
    event: str
    by: str
    hash: str
    consent: Mapping[str, Any]
    person: Mapping[str, Any]
    trace: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class LinkOpened:
    """How often one of the two links was opened, by HEAD and by GET, and when first and last."""

    link: Literal["yes", "no"]
    gets: int
    heads: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpeningReport:
    """How the links were opened, as far as it is kept to know a person by; see bot_detection.Past.

    `signs` are why the last press looked like a program's, `held_at` since when a Yes waits for one
    press more, and `began_at` is the oldest moment of all.
    """

    links: tuple[LinkOpened, ...]
    together_at: datetime | None
    yes_at: datetime | None
    no_at: datetime | None
    disowned_at: datetime | None
    asked_again_at: datetime | None
    held_at: datetime | None
    signs: tuple[str, ...]
    began_at: datetime


@dataclass(frozen=True, kw_only=True)
class SuppressionInfo:
    """That the address is not asked again, on this list or on all, with the reason."""

    at: datetime
    reason: str
    is_for_all: bool


@dataclass(frozen=True, kw_only=True)
class DisclosedRecipient:
    """Who gets the data besides the organisation, as its record of processing names them.

    `role` is one word for what they do. `country` is two letters (ISO 3166), `safeguard` what
    protects the data outside the European Economic Area (GDPR art. 15(2)); "" where nothing is
    known, and where the organisation does it itself.
    """

    role: str
    name: str
    country: str
    safeguard: str


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """A file with the address in it (`what` it was), or (`told`) a program that was told of it.

    `to` is the tool that the file was made for, "" for none, or the program's host.
    """

    at: datetime
    what: str
    to: str


TermStart = Literal["removal", "answer", "opening", "look", "link", "sign_up"]
"""What a duration counts from."""


@dataclass(frozen=True, kw_only=True)
class RetentionTerm:
    """How long a part is kept: until a moment, or (None) until what ends it has happened.

    `duration` is as ISO 8601 writes it, counted from the last of what it `begins` with; "" where
    no such time is set.
    """

    what: Literal[
        "address",
        "answer",
        "proof",
        "trace",
        "openings",
        "sign_ups",
        "mails",
        "suppression",
        "looks",
        "links",
    ]
    until: datetime | None
    duration: str = ""
    begins: TermStart | Literal[""] = ""


@dataclass(frozen=True, kw_only=True)
class HeldData:
    """Everything that is held about one contact, on its list alone (GDPR art. 15(1)).

    `imports` are (moment, name of the file), `replies` (moment, `yes`, `no` or ""), `looks`
    (moment, one word for what was looked at), `looks_at_many` the same of pages and files about
    many people of the list, which may have had the contact among them; all are in the order of
    time. `openings` is None if none is kept.
    """

    mailing_list: MailingListFacts
    address: str
    name: str
    language: str
    status: Status
    status_at: datetime
    reason: str
    basis: str
    basis_at: datetime | None
    source: str
    since: datetime | None
    letters: tuple[SentMail, ...]
    sign_ups: tuple[SignUpInfo, ...]
    imports: tuple[tuple[datetime, str], ...]
    replies: tuple[tuple[datetime, str], ...]
    entries: tuple[EvidenceEntry, ...]
    openings: OpeningReport | None
    suppressions: tuple[SuppressionInfo, ...]
    looks: tuple[tuple[datetime, str], ...]
    looks_at_many: tuple[tuple[datetime, str], ...]
    handed_on: tuple[Disclosure, ...]
    terms: tuple[RetentionTerm, ...]


# --- What is kept of how a person's links were opened, for the person themselves. -----------------


def read_openings(contact: Contact) -> OpeningReport | None:
    """Return how a contact's links were opened and pressed, None if nothing of it is kept."""
    row = click_log.find_opening(contact)
    if row is None:
        return None
    history = click_log.make_link_history(row)
    return OpeningReport(
        links=tuple(_iter_opened_links(history)),
        together_at=history.openings.together_at,
        yes_at=history.yes_at,
        no_at=history.no_at,
        disowned_at=history.disowned_at,
        asked_again_at=history.doubted_at,
        held_at=row.held_at,
        signs=click_log.read_signals(row),
        began_at=row.began_at,
    )


def _iter_opened_links(history: LinkHistory) -> Iterator[LinkOpened]:
    for link in LINKS:
        opened = history.openings.get(link)
        if opened.first_at and opened.last_at:
            yield LinkOpened(
                link=link,
                gets=opened.gets,
                heads=opened.heads,
                first_at=opened.first_at,
                last_at=opened.last_at,
            )


# --- The files and programs that had a person's address. ------------------------------------------


_CHUNK = 500


def list_disclosures(
    contact: Contact, entries: Sequence[EvidenceEntry], letters: Sequence[SentMail]
) -> tuple[Disclosure, ...]:
    """Return the files that had a contact's address in them, and the programs that were told of it.

    By how the contact stood at that moment, as its entries tell. A file of who could not be asked
    is left out only of who surely was asked by then.
    """
    found = (*_iter_files(contact, entries, letters), *_iter_programs(entries))
    return tuple(sorted(found, key=lambda one: one.at))


def _iter_files(
    contact: Contact, entries: Sequence[EvidenceEntry], letters: Sequence[SentMail]
) -> Iterator[Disclosure]:
    turns = [(entry.at, entry.seq, entry.event) for entry in entries]
    asked = [one.at for one in letters if _was_asked(one)]
    for taken in iter_files_with(list_records(contact), turns, asked):
        yield Disclosure(at=taken.at, what=taken.what, to=taken.tool)


def _was_asked(one: SentMail) -> bool:
    return one.kind == MailKind.ASK and one.state == MailState.SENT and not one.bounce


def _iter_programs(entries: Sequence[EvidenceEntry]) -> Iterator[Disclosure]:
    """Yield which programs were told of answers and removals, also those that are told no more."""
    for some in chunks([entry.seq for entry in entries], _CHUNK):
        rows: Any = (
            Delivery.select(Delivery.at, Webhook.url)
            .join(Webhook)
            .where(Delivery.seq.in_(make_id_list(some)), Delivery.state == "delivered")
            .tuples()
        )
        for at, url in rows:
            yield Disclosure(at=at, what="told", to=urlsplit(url).hostname or "")


# --- Everything that is held about one contact, gathered for the person themselves. ---------------


_ACTOR_WORDS = {"person": "person", "reader": "reader", "job": "system"}


def gather_held_data(*, authority: str, settings: Settings, now: datetime) -> HeldData | None:
    """Return everything held about whom an authority is about, None once its hour is over."""
    opened = find_access(authority, now=now)
    if opened is None:
        return None
    contact: Contact = Contact.get_by_id(opened.contact)
    entries, letters = tuple(_iter_entries(contact)), _list_mails(contact)
    sign_ups, looks = tuple(_iter_sign_ups(contact)), tuple(_iter_accesses(contact))
    openings = read_openings(contact)
    return HeldData(
        mailing_list=opened.mailing_list,
        address=contact.address or "",
        name=contact.name,
        language=contact.language,
        status=Status(contact.status),
        status_at=contact.status_at,
        reason=contact.reason,
        basis=contact.basis,
        basis_at=contact.basis_at,
        source=contact.source,
        since=contact.since,
        letters=letters,
        sign_ups=sign_ups,
        imports=tuple(_iter_imports(contact)),
        replies=tuple(
            (one.at, one.proposed)
            for one in Reply.select().where(Reply.contact == contact).order_by(Reply.at)
        ),
        entries=entries,
        openings=openings,
        suppressions=tuple(_iter_suppressions(contact, settings.fingerprint_key)),
        looks=looks,
        looks_at_many=tuple(_iter_accesses_to_many(contact)),
        handed_on=list_disclosures(contact, entries, letters),
        terms=tuple(
            _iter_terms(
                contact,
                settings,
                now,
                traced=[entry.at for entry in entries if entry.trace],
                unconfirmed=[one.at for one in sign_ups if one.confirmed_at is None],
                opened=[openings.began_at] if openings else [],
                looks=[at for at, _ in looks],
                links=_list_link_times(contact),
            )
        ),
    )


def _list_mails(contact: Contact) -> tuple[SentMail, ...]:
    links = {link.mail_id: link for link in FreshLink.select().where(FreshLink.contact == contact)}
    mails = Mail.select().where((Mail.contact == contact) | Mail.id.in_(list(links)))
    letters = (_make_mail(mail, links.get(mail.id), contact) for mail in mails)
    return tuple(sorted(letters, key=lambda one: one.at))


def _make_mail(mail: Mail, link: FreshLink | None, contact: Contact) -> SentMail:
    at = mail.sent_at if mail.state == MailState.SENT else mail.started_at
    return SentMail(
        kind=mail.kind,
        purpose=link.purpose
        if link
        else "no_receipt"
        if enqueue_receipt.is_receipt_of_no(mail)
        else "",
        to=link.address if link and link.address != contact.address else "",
        state=mail.state,
        at=at or mail.due_at,
        reply=f"{mail.reply_code} {mail.reply_status}".strip() if mail.reply_code else "",
        bounce=mail.bounce,
        bounce_status=mail.bounce_status,
        bounced_at=mail.bounced_at,
    )


def _iter_sign_ups(contact: Contact) -> Iterator[SignUpInfo]:
    rows = SignUpRow.select().where(
        SignUpRow.list == contact.list_id, SignUpRow.address_key == contact.address_key
    )
    for row in rows.order_by(SignUpRow.at):
        yield SignUpInfo(
            at=row.at,
            confirmed_at=row.confirmed_at,
            declined_at=row.declined_at,
            asked_again_at=row.doubted_at,
            name=row.name,
            language=row.language,
        )


def _iter_imports(contact: Contact) -> Iterator[tuple[datetime, str]]:
    if contact.imported_by_id is not None:
        row = Import.get_by_id(contact.imported_by_id)
        yield row.at, row.file


def _iter_entries(contact: Contact) -> Iterator[EvidenceEntry]:
    for row, parts in chain_reader.read_entries_with_parts(contact.subject, contact.list.slug):
        yield EvidenceEntry(
            seq=row.seq,
            at=row.at,
            event=row.event,
            by=_ACTOR_WORDS.get(row.actor, "organisation"),
            hash=row.hash,
            consent=parts.get("consent", {}),
            person=parts.get("person", {}),
            trace=parts.get("trace", {}),
        )


def _iter_suppressions(contact: Contact, fingerprint_key: bytes) -> Iterator[SuppressionInfo]:
    rows = Suppression.select().where(
        Suppression.fingerprint == lookup.make_fingerprint(contact, fingerprint_key),
        (Suppression.list == contact.list_id) | Suppression.list.is_null(),
    )
    for row in rows.order_by(Suppression.at):
        yield SuppressionInfo(at=row.at, reason=row.reason, is_for_all=row.list_id is None)


def _list_link_times(contact: Contact) -> list[datetime]:
    return [link.at for link in FreshLink.select().where(FreshLink.contact == contact)]


def _iter_accesses(contact: Contact) -> Iterator[tuple[datetime, str]]:
    rows = Access.select().where(
        Access.subject == contact.subject, Access.list == contact.list.slug
    )
    for row in rows.order_by(Access.at):
        yield row.at, row.act


def _iter_accesses_to_many(contact: Contact) -> Iterator[tuple[datetime, str]]:
    """Yield when somebody looked at many people of a list since the contact is known to be held.

    The breach report counts these too: whoever saw them may have seen the contact.
    """
    rows = Access.select().where(
        Access.subject == "",
        Access.list == contact.list.slug,
        Access.at >= find_held_since(list_records(contact)),
    )
    for row in rows.order_by(Access.at):
        yield row.at, row.act


def _iter_terms(
    contact: Contact,
    settings: Settings,
    now: datetime,
    *,
    traced: Sequence[datetime],
    unconfirmed: Sequence[datetime],
    opened: Sequence[datetime],
    looks: Sequence[datetime],
    links: Sequence[datetime],
) -> Iterator[RetentionTerm]:
    """Yield how long each part is kept, with the day where it is known (GDPR art. 15(1)(d))."""
    retention, has_left = settings.retention, contact.status == Status.REMOVED
    left_at = contact.status_at if has_left else None
    goes_at = find_due_time(contact.list, left_at, settings, now) if left_at else None
    removed_for = f"P{retention.removed_days}D"
    yield RetentionTerm(what="address", until=goes_at, duration=removed_for, begins="removal")
    if deadline := _find_end_of_silence(contact):
        yield RetentionTerm(what="answer", until=deadline)
    years = retention.evidence_years
    proof_ends = add_years(left_at, years) if left_at else None
    yield RetentionTerm(what="proof", until=proof_ends, duration=f"P{years}Y", begins="removal")
    if traced:
        yield _make_term_in_days(
            what="trace", days=retention.trace_days, begins="answer", moments=traced
        )
    if opened:
        yield _make_term_in_days(
            what="openings", days=retention.trace_days, begins="opening", moments=opened
        )
    if unconfirmed:
        days = SIGN_UPS_KEPT.days
        yield _make_term_in_days(what="sign_ups", days=days, begins="sign_up", moments=unconfirmed)
    yield RetentionTerm(what="mails", until=None)
    if has_left:
        yield RetentionTerm(what="suppression", until=None)
    yield _make_term_in_days(what="looks", days=retention.access_days, begins="look", moments=looks)
    yield _make_term_in_days(what="links", days=LINKS_KEPT.days, begins="link", moments=links)


def _find_end_of_silence(contact: Contact) -> datetime | None:
    """Return when silence takes a contact off, None if it does not."""
    campaign = find_live_campaign(contact.list)
    if campaign is None:
        return None
    ask = index_asks(campaign, list_campaign_mails([contact.id])).get(contact.id)
    if ask is None:
        return None
    verdict = decide_verdict(contact, ask, campaign, campaign.deadline)
    return campaign.deadline if verdict is Verdict.EXPIRE else None


def _make_term_in_days(
    *, what: Any, days: int, begins: TermStart, moments: Sequence[datetime]
) -> RetentionTerm:
    last = max(moments, default=None)
    until = last + timedelta(days=days) if last else None
    return RetentionTerm(what=what, until=until, duration=f"P{days}D", begins=begins)


# --- Everything held, as a document that programs read (GDPR art. 20). ----------------------------


FORMAT = "repermit-held-1"
"""What the document says it is; it becomes another one when a key changes its meaning."""


_CONTROLLER_FIELDS = ("name", "address", "email", "telephone", "officer", "authority")
_LIST_FIELDS = ("slug", "name", "purpose", "frequency", "privacy_url", "sensitive")
_CONTACT_FIELDS = (
    "address",
    "name",
    "language",
    "status",
    "status_at",
    "reason",
    "basis",
    "basis_at",
    "source",
    "since",
)
_OPENINGS_FIELDS = (
    "together_at",
    "yes_at",
    "no_at",
    "disowned_at",
    "asked_again_at",
    "held_at",
    "signs",
)


def make_document(
    held: HeldData,
    *,
    organisation: Organisation,
    recipients: Sequence[DisclosedRecipient],
    now: datetime,
) -> dict[str, Any]:
    """Return everything held as what JSON can hold; times are RFC 3339 in UTC."""
    return {
        "format": FORMAT,
        "made_at": format_timestamp(now),
        "controller": _select_fields(organisation, _CONTROLLER_FIELDS),
        "list": _select_fields(held.mailing_list, _LIST_FIELDS),
        "contact": _select_fields(held, _CONTACT_FIELDS),
        "mails": [{**_to_json(one), "to": one.to or None} for one in held.letters],
        "sign_ups": _to_json(held.sign_ups),
        "imports": [{"at": format_timestamp(at), "file": file} for at, file in held.imports],
        "replies": [{"at": format_timestamp(at), "answer": answer} for at, answer in held.replies],
        "evidence": _to_json(held.entries),
        "openings": _describe_openings(held.openings) if held.openings else None,
        "suppressions": [
            {"at": format_timestamp(one.at), "reason": one.reason, "all_lists": one.is_for_all}
            for one in held.suppressions
        ],
        "looks": [{"at": format_timestamp(at), "what": what} for at, what in held.looks],
        "looks_at_many": [
            {"at": format_timestamp(at), "what": what} for at, what in held.looks_at_many
        ],
        "recipients": [dict(vars(one)) for one in recipients],
        "handed_on": _to_json(held.handed_on),
        "kept": [
            {
                "what": one.what,
                "duration": one.duration or None,
                "counts_from": one.begins or None,
                "until": _to_json(one.until),
            }
            for one in held.terms
        ],
    }


def _describe_openings(openings: OpeningReport) -> dict[str, Any]:
    links = [
        {
            "link": one.link,
            "get": one.gets,
            "head": one.heads,
            "first_at": format_timestamp(one.first_at),
            "last_at": format_timestamp(one.last_at),
        }
        for one in openings.links
    ]
    return {"links": links, **_select_fields(openings, _OPENINGS_FIELDS)}


def _select_fields(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _to_json(getattr(value, name)) for name in names}


def _to_json(value: Any) -> Any:
    """Return a value in JSON's own types; the keys of a dataclass are its fields."""
    if is_dataclass(value):
        return _select_fields(value, [one.name for one in fields(value)])
    if isinstance(value, tuple):
        return [_to_json(one) for one in value]
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, StrEnum) else value
