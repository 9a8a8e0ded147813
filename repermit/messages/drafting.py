"""Making drafts: everything that is the same for all contacts is rendered here, once.

May import config. Marks stand for what differs from contact to contact.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from markupsafe import Markup

from repermit.config import Organisation
from repermit.messages.catalogue import translations
from repermit.messages.dates import moment_in_words
from repermit.messages.draft import Draft, Kind
from repermit.messages.fields import mark, one_line
from repermit.messages.identity import reply_address
from repermit.messages.templating import inlined, render, render_own
from repermit.messages.values import MailingListFacts, OwnWording
from repermit.messages.wording import check_wording, html_of_text

if TYPE_CHECKING:
    from datetime import datetime
    from zoneinfo import ZoneInfo

_Facts = TypeVar("_Facts", Organisation, MailingListFacts)

_PER_CONTACT = {
    "ask": ("greeting", "reason", "address", "yes_url", "no_url", "me_url"),
    "confirm": ("address", "confirm_url"),
}


def draft_ask(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    deadline: datetime,
    zone: ZoneInfo,
    language: str,
    own: OwnWording | None = None,
) -> Draft:
    """Return the wording of an ask in one of `languages`.

    `deadline` is aware UTC. Raises WordingError if `own` may not be used, AddressError if the
    sender or the organisation's address cannot be.
    """
    organisation, mailing_list = _printable(organisation), _printable(mailing_list)
    own = own or OwnWording()
    check_wording(own, organisation=organisation, mailing_list=mailing_list)
    known = _known(organisation, mailing_list, language) | _ask_sentences(mailing_list, language)
    known |= {"deadline": moment_in_words(deadline, language=language, zone=zone)}
    known["preview"] = _preview("ask", known, language)
    own_html = own.html or html_of_text(own.text)
    return Draft(
        kind="ask",
        language=language,
        zone=zone.key,
        deadline=deadline,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=_subject("ask", known, language, own.subject),
        text=_text("ask", known, language, own.text),
        html=_html("ask", known, language, own_html, own.subject),
        phrases=_ask_phrases(language),
    )


def draft_confirm(
    *, organisation: Organisation, mailing_list: MailingListFacts, zone: ZoneInfo, language: str
) -> Draft:
    """Return the wording of the mail that confirms a sign-up, in one of `languages`.

    Raises AddressError if the sender or the organisation's address cannot be used.
    """
    organisation, mailing_list = _printable(organisation), _printable(mailing_list)
    known = _known(organisation, mailing_list, language)
    known |= _confirm_sentences(mailing_list, language)
    known["preview"] = _preview("confirm", known, language)
    return Draft(
        kind="confirm",
        language=language,
        zone=zone.key,
        deadline=None,
        organisation=organisation,
        mailing_list=mailing_list,
        subject=_subject("confirm", known, language),
        text=_text("confirm", known, language),
        html=_html("confirm", known, language),
        phrases={},
    )


def _subject(kind: Kind, known: dict[str, str], language: str, own: str = "") -> str:
    rendered = (
        render_own(own, known, html=False)
        if own
        else render(f"{kind}/subject.txt", known, language=language)
    )
    return one_line(rendered)


def _text(kind: Kind, known: dict[str, str], language: str, own: str = "") -> str:
    values = known | _marks(kind)
    return (
        render_own(own, values, html=False)
        if own
        else render(f"{kind}/body.txt", values, language=language)
    )


def _html(
    kind: Kind, known: dict[str, str], language: str, own: str = "", own_subject: str = ""
) -> str:
    values = known | _marks(kind)
    values["subject"] = _subject(kind, known, language, own_subject)
    values["organisation"] = Markup("<br>\n").join(known["organisation"].splitlines())
    if not own:
        return inlined(render(f"{kind}/body.html", values, language=language))
    # Rendered with escaping, from a template that may hold a short list of elements only.
    content = Markup(render_own(own, values, html=True))  # noqa: S704
    return inlined(render("layout.html", values | {"content": content}, language=language))


def _printable(facts: _Facts) -> _Facts:
    """Return facts with each text on one line, the postal address on its lines."""
    texts = {item.name: getattr(facts, item.name) for item in fields(facts)}
    cleaned: dict[str, Any] = {
        name: "\n".join(one_line(line) for line in value.splitlines())
        if name == "address"
        else one_line(value)
        for name, value in texts.items()
        if isinstance(value, str)
    }
    return replace(facts, **cleaned)


def _marks(kind: Kind) -> dict[str, str]:
    return {field: mark(field) for field in _PER_CONTACT[kind]}


def _known(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> dict[str, str]:
    """Return the fields that hold the same for every contact."""
    reply_to = reply_address(mailing_list, organisation)
    return {
        "language": language,
        "organisation": _identity(organisation, reply_to, language),
        "organisation_name": organisation.name,
        "reply_to": reply_to,
        "list_name": mailing_list.name,
        "purpose": mailing_list.purpose,
        "frequency": mailing_list.frequency,
        "privacy_url": mailing_list.privacy_url,
        "sensitive": "yes" if mailing_list.sensitive else "",
        "explicit_consent": _explicit_consent(organisation, mailing_list, language),
    }


def _identity(organisation: Organisation, reply_to: str, language: str) -> str:
    """Return who asks and how to reach them, a line each (GDPR art. 13(1)(a))."""
    gettext = translations(language).gettext
    telephone = gettext("Telephone: %(telephone)s") % {"telephone": organisation.telephone}
    return "\n".join(
        [
            organisation.name,
            *organisation.postal_lines,
            *([telephone] if organisation.telephone else []),
            gettext("Email: %(email)s") % {"email": reply_to},
        ]
    )


def _explicit_consent(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> str:
    """Return what a Yes means on a sensitive list (GDPR art. 9(2)(a)); "" on another."""
    if not mailing_list.sensitive:
        return ""
    return translations(language).gettext(
        "Being on this list can say something about your health, your beliefs or another "
        "private matter, and the law protects such data more strictly. With Yes you explicitly "
        "consent to %(organisation)s using your name and email address to send you these mails "
        "(GDPR, article 9(2)(a))."
    ) % {"organisation": organisation.name}


def _ask_sentences(mailing_list: MailingListFacts, language: str) -> dict[str, str]:
    gettext = translations(language).gettext
    return {
        "yes_label": gettext("Yes, I explicitly consent to these mails")
        if mailing_list.sensitive
        else gettext("Yes, keep sending me these mails"),
        "no_label": gettext("No, stop sending me these mails"),
        "stop": gettext(
            "You can stop at any time, also after a Yes: the link for No in this mail keeps "
            "working, and one press on the page that opens is enough."
        ),
    }


def _confirm_sentences(mailing_list: MailingListFacts, language: str) -> dict[str, str]:
    gettext = translations(language).gettext
    return {
        "greeting": gettext("Dear reader,"),
        "yes_label": gettext("Yes, I explicitly consent to these mails")
        if mailing_list.sensitive
        else gettext("Yes, send me these mails"),
        "stop": gettext("You can withdraw your Yes at any time, as easily as you give it."),
    }


def _preview(kind: Kind, known: dict[str, str], language: str) -> str:
    """Return the line that mail programs show beside the subject; says nothing of the list."""
    gettext = translations(language).gettext
    if kind == "ask":
        return gettext("Please answer Yes or No by %(deadline)s.") % known
    return gettext("If it was you, confirm it in this mail; if it was not, do nothing.")


def _ask_phrases(language: str) -> dict[str, str]:
    """Return the sentences that depend on what is known of a contact, with marks."""
    gettext = translations(language).gettext
    marks = {field: mark(field) for field in ("name", "source", "since")}
    sentences = {
        "greeting_named": gettext("Dear %(name)s,"),
        "greeting_nameless": gettext("Dear reader,"),
        "reason_source_since": gettext(
            "Your address has been on this list since %(since)s. Where we have it from: %(source)s."
        ),
        "reason_source": gettext(
            "Your address is on this list; we do not know since when. "
            "Where we have it from: %(source)s."
        ),
        "reason_since": gettext(
            "Your address has been on this list since %(since)s. We do not know how it got there. "
            "That is why we ask you."
        ),
        "reason_unknown": gettext(
            "Your address is on this list. We do not know since when, or how it got there. "
            "That is why we ask you."
        ),
    }
    return {name: sentence % marks for name, sentence in sentences.items()}
