"""Making drafts: the text that all contacts share, with marks for each contact's values."""

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
    make_ask_texts,
    make_asking_sentence,
    make_confirmation_texts,
    make_contact_phrases,
    make_explicit_consent_text,
)
from repermit.emails.frozen_draft import Draft, Kind, mark_field, to_one_line
from repermit.emails.mail_types import ListWords, MailingListFacts, OwnWording
from repermit.emails.replace_deadline import (
    change_text,
    find_places,
    make_deadline_texts,
    mark_places,
)
from repermit.emails.sender_identity import choose_reply_address
from repermit.emails.template_engine import (
    cut_name,
    inline_styles,
    render,
    render_own,
    render_preview,
)
from repermit.emails.wording_to_html import (
    drop_heading_marks,
    text_to_html,
)
from repermit.emails.wording_validation import (
    check_wording,
)
from repermit.i18n.catalogues import load_translations
from repermit.i18n.dates import find_longest_compact_datetime
from repermit.settings.definitions import Organisation

_Facts = TypeVar("_Facts", Organisation, MailingListFacts, ListWords)

_CONTACT_FIELDS = ("greeting", "reason", "address", "yes_url", "no_url", "me_url")
_FIELDS_BY_FOLDER = {
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
    """Return the draft of an ask in a language.

    - `deadline`: aware UTC.
    - `has_reminder`: the ask then does not say that people are asked once.
    - `own`: the admin's templates; raises WordingError if they may not be used.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    return _draft_asking(
        "ask",
        own or OwnWording(),
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
    """Return the draft of an ask's only reminder in a language.

    - `deadline`: aware UTC.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
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
    """Return the draft of the mail that confirms a sign-up, in a language.

    - `ends_at`: until when the sign-up can be confirmed, aware UTC.
    - Raises AddressError if the address of the sender or the organisation cannot be used.
    """
    return draft_from_templates(
        "join_confirmation",
        make_confirmation_texts(mailing_list, language)
        | make_deadline_texts(ends_at, language, zone),
        kind="confirm",
        organisation=organisation,
        mailing_list=mailing_list.in_language(language),
        zone=zone,
        language=language,
    )


def draft_from_templates(
    folder: str,
    context: dict[str, Any],
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
    """Render the templates of a folder as a draft.

    - `context`: the values for the templates, without those that all drafts share.
    - `deadline`: aware UTC.
    - `own`: templates that replace those of the folder.
    - `phrases`: the sentences that depend on the contact, in this language.
    """
    organisation, mailing_list = make_printable(organisation), make_printable(mailing_list)
    context = _make_common_fields(organisation, mailing_list, language) | context
    if "preview" not in context:
        context["preview"] = render_preview(folder, context, language=language)
    own = own or OwnWording()
    own_html = own.html or text_to_html(own.text)
    parts, places = find_places(
        {
            "subject": _render_subject(folder, context, language, own.subject),
            "text": _render_text(folder, context, language, own.text),
            "html": _render_html(folder, context, language, own_html, own.subject),
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


def says_once(draft: Draft) -> bool:
    """Return whether an ask says that people are asked once, in the words of the default ask."""
    return any(sentence in draft.text for sentence in _make_asking_sentences(draft))


def drop_once(draft: Draft) -> Draft:
    """Replace the sentence that people are asked once in a frozen ask, for a later reminder."""
    pairs = list(
        zip(
            _make_asking_sentences(draft),
            _make_asking_sentences(draft, is_only_mail=False),
            strict=True,
        )
    )
    pairs += [(_escape(before), _escape(after)) for before, after in pairs]
    return change_text(
        draft, lambda text: reduce(lambda done, pair: done.replace(*pair), pairs, text)
    )


def _escape(sentence: str) -> str:
    """Escape a sentence in the way of a draft's HTML."""
    return escape(sentence, quote=False).replace("\N{NO-BREAK SPACE}", "&nbsp;")


def _make_asking_sentences(draft: Draft, *, is_only_mail: bool = True) -> list[str]:
    """Return the sentence with the organisation's full name, and with its name cut as in mails."""
    name = draft.organisation.name
    return [
        make_asking_sentence(shown_name, draft.language, is_only_mail=is_only_mail)
        for shown_name in (name, cut_name(name))
    ]


def _draft_asking(
    kind: Kind,
    own_wording: OwnWording,
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
    language: str,
    has_reminder: bool,
) -> Draft:
    organisation, mailing_list = (
        make_printable(organisation),
        make_printable(mailing_list.in_language(language)),
    )
    check_wording(own_wording, organisation=organisation, mailing_list=mailing_list)
    deadline_words = make_deadline_texts(deadline, language, zone)
    longest_day = find_longest_compact_datetime(deadline, language=language, zone=zone)
    context = mark_places(deadline_words) | {"longest_day": longest_day}
    context |= make_ask_texts(mailing_list, language, context["deadline"])
    context["asking"] = make_asking_sentence(
        cut_name(organisation.name), language, is_only_mail=not has_reminder
    )
    return draft_from_templates(
        kind,
        context,
        kind=kind,
        organisation=organisation,
        mailing_list=mailing_list,
        zone=zone,
        language=language,
        deadline=deadline,
        own=own_wording,
        phrases=make_contact_phrases(language) | deadline_words,
    )


def _render_subject(kind: str, context: dict[str, str], language: str, own_template: str) -> str:
    """Return the subject from the templates in the folder `kind`, or from the admin's own."""
    rendered = (
        render_own(own_template, context, html=False)
        if own_template
        else render(f"{kind}/subject.txt", context, language=language)
    )
    return to_one_line(rendered)


def _render_text(kind: str, context: dict[str, str], language: str, own_template: str) -> str:
    """Return the text body from the templates in the folder `kind`, or from the admin's own."""
    values = context | _make_marks(kind)
    return (
        render_own(drop_heading_marks(own_template), values, html=False)
        if own_template
        else render(f"{kind}/body.txt", values, language=language)
    )


def _render_html(
    kind: str, context: dict[str, str], language: str, own_template: str, own_subject_template: str
) -> str:
    """Return the HTML body from the templates in the folder `kind`, or from the admin's own."""
    values = context | _make_marks(kind)
    values["subject"] = _render_subject(kind, context, language, own_subject_template)
    values["organisation"] = Markup("<br>\n").join(context["organisation"].splitlines())
    if "objection" in context:
        lines = context["objection"].splitlines()
        values["objection"] = Markup("<h2>{}</h2>\n<p>{}</p>").format(*lines)
    if not own_template:
        return inline_styles(render(f"{kind}/body.html", values, language=language))
    # Rendered with escaping, from a template that has allowed elements only.
    content = Markup(render_own(own_template, values, html=True))  # noqa: S704
    return inline_styles(render("layout.html", values | {"content": content}, language=language))


def make_printable(facts: _Facts) -> _Facts:
    """Return facts with each text on one line; the postal address keeps its lines."""
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
    return {field: mark_field(field) for field in _FIELDS_BY_FOLDER.get(kind, ())}


def _make_common_fields(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> dict[str, str]:
    """Return the template values that all contacts share."""
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
        "explicit_consent": make_explicit_consent_text(organisation, mailing_list, language),
    }


def _format_identity(organisation: Organisation, reply_to: str, language: str) -> str:
    """Return the organisation's name and contact details, a line each (GDPR art. 13(1)(a))."""
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
