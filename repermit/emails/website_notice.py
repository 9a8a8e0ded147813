"""A notice for the sender's own website, by which recipients can see that a mail is genuine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from repermit.emails.mail_types import MailingListFacts
from repermit.i18n.catalogues import load_translations
from repermit.i18n.dates import format_local_datetime
from repermit.settings.definitions import Organisation


def make_website_notice(
    *,
    organisation: Organisation,
    mailing_list: MailingListFacts,
    public_url: str,
    deadline: datetime | None,
    zone: ZoneInfo,
    language: str,
) -> str:
    """Return the notice as plain text, with a line for each paragraph or item.

    - `deadline`: aware; None if it is not known.
    - It does not name a sensitive list, whose name is only in the mails.
    """
    gettext = load_translations(language).gettext
    mailing_list = mailing_list.in_language(language)
    names = {"organisation": organisation.name, "list": mailing_list.name}
    if mailing_list.sensitive:
        title = gettext("Did you get a mail from us with a question?")
        asks = gettext(
            "%(organisation)s is asking people on one of its mailing lists whether they want to "
            "stay on it. This mail is really from us. You can know it by this:"
        )
    else:
        title = gettext("Did you get a mail from us about “%(list)s”?")
        asks = gettext(
            "%(organisation)s is asking people on the mailing list “%(list)s” whether they want to "
            "stay on it. This mail is really from us. You can know it by this:"
        )
    items = "\n".join(f"- {item}" for item in _make_items(mailing_list, public_url, language))
    closing_lines = _make_closing_lines(organisation, deadline, zone, language)
    return "\n\n".join([title % names, asks % names, items, *closing_lines])


def _make_items(mailing_list: MailingListFacts, public_url: str, language: str) -> Iterator[str]:
    gettext = load_translations(language).gettext
    if mailing_list.sender:
        yield gettext("It comes from %(sender)s.") % {"sender": mailing_list.sender}
    yield gettext("Its links begin with %(url)s") % {"url": f"{public_url.rstrip('/')}/"}
    yield gettext(
        "It asks for a Yes or a No and for nothing else: no password, no payment, no number of "
        "an account or a document."
    )


def _make_closing_lines(
    organisation: Organisation, deadline: datetime | None, zone: ZoneInfo, language: str
) -> Iterator[str]:
    gettext = load_translations(language).gettext
    if deadline:
        until = format_local_datetime(deadline, language=language, zone=zone)
        yield gettext("Answers count until %(deadline)s.") % {"deadline": until}
    if contact := ", ".join(filter(None, (organisation.email, organisation.telephone))):
        yield gettext("If in doubt, press nothing and ask us: %(contact)s") % {"contact": contact}
