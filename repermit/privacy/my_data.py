"""All data stored about one contact, for the person, also as one JSON document.

No other contact is read. A contact with the same address on another list has a link of its own.
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
from repermit.contacts.history import find_mail_time
from repermit.contacts.last_ask import decide_verdicts, index_asks, list_campaign_mails
from repermit.db.connection import chunks, make_id_list
from repermit.db.models.accounts import Access
from repermit.db.models.campaigns import find_live_campaign
from repermit.db.models.contacts import Contact, Suppression
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
from repermit.rules.consent import MailKind, MailState, Status
from repermit.rules.deadlines_and_reminders import Verdict
from repermit.rules.sign_up_deadline import SIGN_UPS_KEPT
from repermit.settings.definitions import Organisation, Settings

# --- The stored data, as values. ------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class SentMail:
    """A mail to the person.

    - `purpose`: distinguishes requested mails of one kind; "" for others.
    - `to`: the recipient, if not the stored address; "" otherwise.
    - `at`: the time at which it got its state.
    - `reply`: the server's codes; "" without a reply.
    - `bounce`, `bounce_status`: the kind of bounce and its status code; "" without one.
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
    """A sign-up with the address, which was confirmed, declined or neither.

    - `asked_again_at`: the time at which a second Yes was asked for.
    """

    at: datetime
    confirmed_at: datetime | None
    declined_at: datetime | None
    asked_again_at: datetime | None
    name: str
    language: str


@dataclass(frozen=True, kw_only=True)
class EvidenceEntry:
    """An entry of the evidence about the person, with the parts that are still stored.

    - `by`: `person`, `reader` (of the mail, but not the person meant), `system` or `organisation`.
      The name of the organisation's user is not the person's data (CJEU C-579/21, §83).
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
    """The number of GET and HEAD requests for one of the two links, and the first and last time."""

    link: Literal["yes", "no"]
    gets: int
    heads: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, kw_only=True)
class OpeningReport:
    """The click log of the person's links, see `bot_detection.LinkHistory`.

    - `signs`: the signals by which the last press looked like a program's.
    - `held_at`: since when a Yes waits for another press.
    - `began_at`: the earliest time in the log.
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
    """A suppression of the address, for this list or for all."""

    at: datetime
    reason: str
    is_for_all: bool


@dataclass(frozen=True, kw_only=True)
class DisclosedRecipient:
    """A recipient of the data, as the record of processing names it.

    - `role`: one word for what it does.
    - `country`: two letters (ISO 3166).
    - `safeguard`: the protection of data outside the European Economic Area (GDPR art. 15(2)).

    Fields are "" if unknown, and if the organisation does it itself.
    """

    role: str
    name: str
    country: str
    safeguard: str


@dataclass(frozen=True, kw_only=True)
class Disclosure:
    """An export that contained the address, or a webhook's program that was told of it.

    - `what`: the kind of export; `told` for a program.
    - `to`: the tool that the export was made for, "" for none; or the program's host.
    """

    at: datetime
    what: str
    to: str


TermStart = Literal["removal", "answer", "opening", "look", "link", "sign_up"]
"""The event from which a duration counts."""


@dataclass(frozen=True, kw_only=True)
class RetentionTerm:
    """The retention of one kind of data.

    - `until`: when it is deleted; None if that is not known yet.
    - `duration`: in ISO 8601, counted from the last event that it `begins` with; "" if none is set.
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
    """All data stored about one contact of one list (GDPR art. 15(1)).

    - `imports`: (time, name of the file).
    - `replies`: (time, `yes`, `no` or "").
    - `looks`: accesses to the contact's data, as (time, one word for the page or file).
    - `looks_at_many`: the same for pages and files about many contacts of the list.
    - `openings`: None if none are stored.

    All sequences are in the order of time.
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


# --- The click log of the person's links. ---------------------------------------------------------


def read_openings(contact: Contact) -> OpeningReport | None:
    """Return how a contact's links were opened and pressed; None if nothing is stored."""
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
    contact: Contact, entries: Sequence[EvidenceEntry], mails: Sequence[SentMail]
) -> tuple[Disclosure, ...]:
    """Return the exports that contained a contact's address, and the programs told of it.

    See `iter_files_with` on exports.
    """
    disclosures = (*_iter_files(contact, entries, mails), *_iter_programs(entries))
    return tuple(sorted(disclosures, key=lambda disclosure: disclosure.at))


def _iter_files(
    contact: Contact, entries: Sequence[EvidenceEntry], mails: Sequence[SentMail]
) -> Iterator[Disclosure]:
    events = [(entry.at, entry.seq, entry.event) for entry in entries]
    asked_at = [mail.at for mail in mails if _is_accepted_ask(mail)]
    for taken in iter_files_with(list_records(contact), events, asked_at):
        yield Disclosure(at=taken.at, what=taken.what, to=taken.tool)


def _is_accepted_ask(mail: SentMail) -> bool:
    return mail.kind == MailKind.ASK and mail.state == MailState.SENT and not mail.bounce


def _iter_programs(entries: Sequence[EvidenceEntry]) -> Iterator[Disclosure]:
    """Yield the programs that webhooks told of answers and removals, also by former webhooks."""
    for batch in chunks([entry.seq for entry in entries], _CHUNK):
        rows: Any = (
            Delivery.select(Delivery.at, Webhook.url)
            .join(Webhook)
            .where(Delivery.seq.in_(make_id_list(batch)), Delivery.state == "delivered")
            .tuples()
        )
        for at, url in rows:
            yield Disclosure(at=at, what="told", to=urlsplit(url).hostname or "")


# --- Gathering all data stored about one contact. -------------------------------------------------


_ACTOR_WORDS = {"person": "person", "reader": "reader", "job": "system"}


def gather_held_data(*, authority: str, settings: Settings, now: datetime) -> HeldData | None:
    """Return all data stored about the contact of an access; None once that has expired."""
    opened = find_access(authority, now=now)
    if opened is None:
        return None
    contact: Contact = Contact.get_by_id(opened.contact)
    entries, mails = tuple(_iter_entries(contact)), _list_mails(contact)
    sign_ups, looks = tuple(_iter_sign_ups(contact)), tuple(_iter_accesses(contact))
    openings = read_openings(contact)
    return HeldData(
        mailing_list=opened.mailing_list.in_language(opened.language),
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
        letters=mails,
        sign_ups=sign_ups,
        imports=tuple(_iter_imports(contact)),
        replies=tuple(
            (reply.at, reply.proposed)
            for reply in Reply.select().where(Reply.contact == contact).order_by(Reply.at)
        ),
        entries=entries,
        openings=openings,
        suppressions=tuple(_iter_suppressions(contact, settings.fingerprint_key)),
        looks=looks,
        looks_at_many=tuple(_iter_accesses_to_many(contact)),
        handed_on=list_disclosures(contact, entries, mails),
        terms=tuple(
            _iter_terms(
                contact,
                settings,
                now,
                traced=[entry.at for entry in entries if entry.trace],
                unconfirmed=[sign_up.at for sign_up in sign_ups if sign_up.confirmed_at is None],
                opened=[openings.began_at] if openings else [],
                looks=[at for at, _ in looks],
                links=_list_link_times(contact),
            )
        ),
    )


def _list_mails(contact: Contact) -> tuple[SentMail, ...]:
    links = {link.mail_id: link for link in FreshLink.select().where(FreshLink.contact == contact)}
    mails = Mail.select().where((Mail.contact == contact) | Mail.id.in_(list(links)))
    sent_mails = (_make_mail(mail, links.get(mail.id), contact) for mail in mails)
    return tuple(sorted(sent_mails, key=lambda mail: mail.at))


def _make_mail(mail: Mail, link: FreshLink | None, contact: Contact) -> SentMail:
    return SentMail(
        kind=mail.kind,
        purpose=link.purpose if link else _find_purpose(mail),
        to=link.address if link and link.address != contact.address else "",
        state=mail.state,
        at=find_mail_time(mail, contact),
        reply=f"{mail.reply_code} {mail.reply_status}".strip() if mail.reply_code else "",
        bounce=mail.bounce,
        bounce_status=mail.bounce_status,
        bounced_at=mail.bounced_at,
    )


def _find_purpose(mail: Mail) -> str:
    """Return the purpose of a mail whose one-time link is deleted, or that never had one."""
    if mail.kind == MailKind.CONFIRM:
        # A mail that belongs to a contact can only be this one, see `data_links.create_link`.
        return "see"
    return "no_receipt" if enqueue_receipt.is_receipt_of_no(mail) else ""


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
    """Yield the accesses to data of many contacts of the list since the contact is stored.

    The breach report counts these too, as they may have shown the contact.
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
    """Yield how long each kind of data is stored, with the day if known (GDPR art. 15(1)(d))."""
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
            what="trace", days=retention.trace_days, begins="answer", times=traced
        )
    if opened:
        yield _make_term_in_days(
            what="openings", days=retention.trace_days, begins="opening", times=opened
        )
    if unconfirmed:
        days = SIGN_UPS_KEPT.days
        yield _make_term_in_days(what="sign_ups", days=days, begins="sign_up", times=unconfirmed)
    yield RetentionTerm(what="mails", until=None)
    if has_left:
        yield RetentionTerm(what="suppression", until=None)
    yield _make_term_in_days(what="looks", days=retention.access_days, begins="look", times=looks)
    yield _make_term_in_days(what="links", days=LINKS_KEPT.days, begins="link", times=links)


def _find_end_of_silence(contact: Contact) -> datetime | None:
    """Return the deadline after which silence removes a contact; None if it does not."""
    campaign = find_live_campaign(contact.list)
    if campaign is None:
        return None
    asks = index_asks(campaign, list_campaign_mails([contact.id]))
    verdict = decide_verdicts(campaign, [contact], asks, campaign.deadline).get(contact.id)
    return campaign.deadline if verdict is Verdict.EXPIRE else None


def _make_term_in_days(
    *, what: Any, days: int, begins: TermStart, times: Sequence[datetime]
) -> RetentionTerm:
    last = max(times, default=None)
    until = last + timedelta(days=days) if last else None
    return RetentionTerm(what=what, until=until, duration=f"P{days}D", begins=begins)


# --- All stored data as a document for programs (GDPR art. 20). -----------------------------------


FORMAT = "repermit-held-1"
"""The format that the document names; it changes when a key changes its meaning."""


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
    """Return all stored data as a JSON document; times are RFC 3339 in UTC."""
    return {
        "format": FORMAT,
        "made_at": format_timestamp(now),
        "controller": _select_fields(organisation, _CONTROLLER_FIELDS),
        "list": _select_fields(held.mailing_list, _LIST_FIELDS),
        "contact": _select_fields(held, _CONTACT_FIELDS),
        "mails": [{**_to_json(mail), "to": mail.to or None} for mail in held.letters],
        "sign_ups": _to_json(held.sign_ups),
        "imports": [{"at": format_timestamp(at), "file": file} for at, file in held.imports],
        "replies": [{"at": format_timestamp(at), "answer": answer} for at, answer in held.replies],
        "evidence": _to_json(held.entries),
        "openings": _describe_openings(held.openings) if held.openings else None,
        "suppressions": [
            {
                "at": format_timestamp(suppression.at),
                "reason": suppression.reason,
                "all_lists": suppression.is_for_all,
            }
            for suppression in held.suppressions
        ],
        "looks": [{"at": format_timestamp(at), "what": what} for at, what in held.looks],
        "looks_at_many": [
            {"at": format_timestamp(at), "what": what} for at, what in held.looks_at_many
        ],
        "recipients": [dict(vars(recipient)) for recipient in recipients],
        "handed_on": _to_json(held.handed_on),
        "kept": [
            {
                "what": term.what,
                "duration": term.duration or None,
                "counts_from": term.begins or None,
                "until": _to_json(term.until),
            }
            for term in held.terms
        ],
    }


def _describe_openings(openings: OpeningReport) -> dict[str, Any]:
    links = [
        {
            "link": opened.link,
            "get": opened.gets,
            "head": opened.heads,
            "first_at": format_timestamp(opened.first_at),
            "last_at": format_timestamp(opened.last_at),
        }
        for opened in openings.links
    ]
    return {"links": links, **_select_fields(openings, _OPENINGS_FIELDS)}


def _select_fields(value: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: _to_json(getattr(value, name)) for name in names}


def _to_json(value: Any) -> Any:
    """Return a value in JSON's own types; the keys of a dataclass are its fields."""
    if is_dataclass(value):
        return _select_fields(value, [field.name for field in fields(value)])
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if isinstance(value, datetime):
        return format_timestamp(value)
    return str(value) if isinstance(value, StrEnum) else value
