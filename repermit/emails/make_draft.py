"""Making drafts: everything that all contacts share is rendered once.

Marks stand for what differs from contact to contact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from functools import reduce
from html import escape
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from markupsafe import Markup

from repermit.emails.conditional_sentences import (
    word_ask,
    word_confirmation,
    word_explicit_consent,
    word_phrases,
    word_preview,
)
from repermit.emails.frozen_draft import Draft, Kind, mark_field, to_one_line
from repermit.emails.mail_types import ListWords, MailingListFacts, OwnWording
from repermit.emails.replace_deadline import change_text, find_places, mark_places, word_deadline
from repermit.emails.sender_identity import choose_reply_address
from repermit.emails.template_engine import cut_name, inline_styles, render, render_own
from repermit.emails.wording_to_html import (
    drop_heading_marks,
    text_to_html,
)
from repermit.emails.wording_validation import (
    check_wording,
)
from repermit.i18n.catalogues import load_translations
from repermit.i18n.dates import find_longest_compact_datetime
from repermit.i18n.lazy_text import N_
from repermit.settings.definitions import Organisation

_Facts = TypeVar("_Facts", Organisation, MailingListFacts, ListWords)

_CONTACT_FIELDS = ("greeting", "reason", "address", "yes_url", "no_url", "me_url")
_PER_CONTACT = {
    "ask": _CONTACT_FIELDS,
    "reminder": _CONTACT_FIELDS,
    "join_confirmation": ("address", "confirm_url"),
    "yes_receipt": ("address", "no_url", "me_url", "receipt_url"),
    "no_receipt": ("address", "yes_url", "me_url"),
    "data_link": ("address", "confirm_url"),
    "address_change": ("address", "confirm_url"),
    "address_changed": ("address",),
}


def draft_ask(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
    language: str,
    has_reminder: bool,
    own: OwnWording | None = None,
) -> Draft:
    """Return the wording of an ask in one of `languages`.

    `deadline` is aware UTC. With `has_reminder` it does not say that it is asked once. Raises
    WordingError if `own` may not be used, AddressError if the sender or the organisation's address
    cannot be.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    own = own or OwnWording()
    check_wording(own, organisation=organisation, mailing_list=mailing_list)
    return _draft_asking(
        "ask",
        own,
        organisation=organisation,
        mailing_list=mailing_list,
        deadline=deadline,
        zone=zone,
        language=language,
        has_reminder=has_reminder,
    )


def draft_reminder(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
    language: str,
) -> Draft:
    """Return the wording of the one reminder of an ask, in one of `languages`.

    `deadline` is aware UTC. Raises AddressError if the sender or the organisation's address cannot
    be used.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    return _draft_asking(
        "reminder",
        OwnWording(),
        organisation=organisation,
        mailing_list=mailing_list,
        deadline=deadline,
        zone=zone,
        language=language,
        has_reminder=True,
    )


def draft_join_confirmation(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    language: str,
    ends_at: datetime,
) -> Draft:
    """Return the wording of the mail that confirms a sign-up, in one of `languages`.

    The sign-up can be confirmed until `ends_at`, aware UTC. Raises AddressError if the sender or
    the organisation's address cannot be used.
    """
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    known = make_common_fields(organisation, mailing_list, language)
    known |= word_confirmation(mailing_list, language) | word_deadline(ends_at, language, zone)
    known["preview"] = word_preview("join_confirmation", known, language)
    return draft_from_templates(
        "join_confirmation",
        known,
        kind="confirm",
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
    )


def draft_from_templates(
    folder: str,
    known: dict[str, Any],
    *,
    kind: Kind,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    zone: ZoneInfo,
    language: str,
    deadline: datetime | None = None,
    own: OwnWording | None = None,
    phrases: Mapping[str, str] = MappingProxyType({}),
) -> Draft:
    """Return the wording of a mail that the templates of a folder give with these values.

    - `organisation`, `mailing_list`: printable.
    - `deadline`: aware UTC.
    - `own`: templates that replace those of the folder.
    - `phrases`: what differs from contact to contact, in this language.
    """
    own = own or OwnWording()
    own_html = own.html or text_to_html(own.text)
    parts, places = find_places(
        {
            "subject": _render_subject(folder, known, language, own.subject),
            "text": _render_text(folder, known, language, own.text),
            "html": _render_html(folder, known, language, own_html, own.subject),
        }
    )
    return Draft(
        kind=kind,
        language=language,
        zone=zone.key,
        deadline=deadline,
        organisation=organisation,
        mailing_list=mailing_list,
        **parts,
        phrases=dict(phrases),
        deadline_places=places,
    )


_ONCE = N_("%(organisation)s asks you once.")
_NOT_ONCE = N_("%(organisation)s is asking you.")


def says_once(draft: Draft) -> bool:
    """Say whether an ask says that people are asked once, in the words of the usual ask."""
    return any(words in draft.text for words in _word_asking(draft, _ONCE))


def drop_once(draft: Draft) -> Draft:
    """Replace what a frozen ask says of asking once by what it says before a reminder."""
    pairs = list(zip(_word_asking(draft, _ONCE), _word_asking(draft, _NOT_ONCE), strict=True))
    pairs += [(_escape(was), _escape(is_now)) for was, is_now in pairs]
    return change_text(
        draft, lambda text: reduce(lambda done, pair: done.replace(*pair), pairs, text)
    )


def _escape(words: str) -> str:
    """Return words as the HTML of a draft has them."""
    return escape(words, quote=False).replace("\N{NO-BREAK SPACE}", "&nbsp;")


def _word_asking(draft: Draft, text: str) -> list[str]:
    """Return a sentence with the organisation's name, and with a long name cut as mails have it."""
    name = draft.organisation.name
    return [
        load_translations(draft.language).gettext(text) % {"organisation": one}
        for one in (name, cut_name(name))
    ]


def _draft_asking(
    kind: Kind,
    own: OwnWording,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
    language: str,
    has_reminder: bool,
) -> Draft:
    known = make_common_fields(organisation, mailing_list, language)
    deadline_words = word_deadline(deadline, language, zone)
    longest = find_longest_compact_datetime(deadline, language=language, zone=zone)
    known |= mark_places(deadline_words) | {"longest_day": longest}
    known |= word_ask(mailing_list, language, known["deadline"])
    known["asks_once"] = "" if has_reminder else "yes"
    known["preview"] = word_preview(kind, known, language)
    return draft_from_templates(
        kind,
        known,
        kind=kind,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
        deadline=deadline,
        own=own,
        phrases=word_phrases(language) | deadline_words,
    )


def _render_subject(kind: str, known: dict[str, str], language: str, own: str) -> str:
    """Return the subject from the folder `kind` of the templates, or from one of their own."""
    rendered = (
        render_own(own, known, html=False)
        if own
        else render(f"{kind}/subject.txt", known, language=language)
    )
    return to_one_line(rendered)


def _render_text(kind: str, known: dict[str, str], language: str, own: str) -> str:
    """Return the text body from the folder `kind` of the templates, or from one of their own."""
    values = known | _make_marks(kind)
    return (
        render_own(drop_heading_marks(own), values, html=False)
        if own
        else render(f"{kind}/body.txt", values, language=language)
    )


def _render_html(
    kind: str, known: dict[str, str], language: str, own: str, own_subject: str
) -> str:
    """Return the HTML body from the folder `kind` of the templates, or from one of their own."""
    values = known | _make_marks(kind)
    values["subject"] = _render_subject(kind, known, language, own_subject)
    values["organisation"] = Markup("<br>\n").join(known["organisation"].splitlines())
    if "objection" in known:
        lines = known["objection"].splitlines()
        values["objection"] = Markup("<h2>{}</h2>\n<p>{}</p>").format(*lines)
    if not own:
        return inline_styles(render(f"{kind}/body.html", values, language=language))
    # Rendered with escaping, from a template that may hold a short list of elements only.
    content = Markup(render_own(own, values, html=True))  # noqa: S704
    return inline_styles(render("layout.html", values | {"content": content}, language=language))


def make_printable(facts: _Facts) -> _Facts:
    """Return facts with each text on one line, the postal address on its lines."""
    texts = {item.name: getattr(facts, item.name) for item in fields(facts)}
    cleaned: dict[str, Any] = {
        name: "\n".join(to_one_line(line) for line in value.splitlines())
        if name == "address"
        else to_one_line(value)
        for name, value in texts.items()
        if isinstance(value, str)
    }
    if isinstance(facts, MailingListFacts):
        cleaned["texts"] = tuple(make_printable(text) for text in facts.texts)
    return replace(facts, **cleaned)


def _make_marks(kind: str) -> dict[str, str]:
    return {field: mark_field(field) for field in _PER_CONTACT.get(kind, ())}


def make_common_fields(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> dict[str, str]:
    """Return the fields that all contacts share."""
    reply_to = choose_reply_address(mailing_list, organisation)
    return {
        "language": language,
        "organisation": _format_identity(organisation, reply_to, language),
        "organisation_name": organisation.name,
        "telephone": organisation.telephone,
        "reply_to": reply_to,
        "list_name": mailing_list.name,
        "purpose": mailing_list.purpose,
        "frequency": mailing_list.frequency,
        "privacy_url": mailing_list.privacy_url,
        "sensitive": "yes" if mailing_list.sensitive else "",
        "explicit_consent": word_explicit_consent(organisation, mailing_list, language),
    }


def _format_identity(organisation: Organisation, reply_to: str, language: str) -> str:
    """Return who asks and how to reach them, a line each (GDPR art. 13(1)(a))."""
    gettext = load_translations(language).gettext
    telephone = gettext("Telephone: %(telephone)s") % {"telephone": organisation.telephone}
    return "\n".join(
        [
            organisation.name,
            *organisation.postal_lines,
            *([telephone] if organisation.telephone else []),
            gettext("Email: %(email)s") % {"email": reply_to},
        ]
    )
