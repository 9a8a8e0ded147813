"""Sentences of the mails that depend on what is known of list, organisation or contact.

The rest of what a mail says stands in its templates.
"""

from __future__ import annotations

from collections.abc import Mapping

from repermit.emails.frozen_draft import mark_field
from repermit.emails.mail_types import ClosingSummary, DailySummary, MailingListFacts
from repermit.i18n.catalogues import load_translations
from repermit.settings.definitions import Organisation


def word_explicit_consent(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> str:
    """Return what a Yes means on a sensitive list (GDPR art. 9(2)(a)); "" on another."""
    if not mailing_list.sensitive:
        return ""
    return load_translations(language).gettext(
        "Being on this list can say something about your health, your beliefs or another "
        "private matter, and the law protects such data more strictly. With Yes you explicitly "
        "consent to %(organisation)s using your name and email address to send you these mails "
        "(GDPR, article 9(2)(a))."
    ) % {"organisation": organisation.name}


def word_ask(mailing_list: MailingListFacts, language: str, deadline: str) -> dict[str, str]:
    """Return the labels of an ask's links, and what an own wording must say as it does."""
    gettext = load_translations(language).gettext
    return {
        "yes_label": gettext("Yes, I explicitly consent to these mails")
        if mailing_list.sensitive
        else gettext("Yes, keep sending me these mails"),
        "no_label": gettext("No, stop sending me these mails"),
        "stop": gettext(
            "You can stop at any time, also after a Yes: the link for No in this mail keeps "
            "working, and one press on the page that opens is enough."
        ),
        "silence": gettext(
            "If we have no answer from you by %(deadline)s, we take you off this list too."
        )
        % {"deadline": deadline},
        "objection": "\n".join(
            (
                gettext("Your right to object"),
                gettext(
                    "You can object at any time, without a reason, to our using your data for "
                    "these mails (GDPR, article 21). The link for No in our mails is enough, or a "
                    "message to us: then we stop."
                ),
            )
        ),
    }


def word_confirmation(mailing_list: MailingListFacts, language: str) -> dict[str, str]:
    """Return the sentences of a sign-up's confirmation mail."""
    gettext = load_translations(language).gettext
    return {
        "yes_label": gettext("Yes, I explicitly consent to these mails")
        if mailing_list.sensitive
        else gettext("Yes, send me these mails"),
        "stop": gettext("You can withdraw your Yes at any time, as easily as you give it."),
    }


def word_receipt(language: str) -> dict[str, str]:
    """Return the sentences of a Yes's receipt; nobody is named in it."""
    gettext = load_translations(language).gettext
    return {
        "greeting": gettext("Dear reader,"),
        "no_label": gettext("No, stop sending me these mails"),
        "stop": gettext(
            "You can stop at any time, also after a Yes: the link for No in this mail keeps "
            "working, and one press on the page that opens is enough."
        ),
    }


def word_no_receipt(mailing_list: MailingListFacts, language: str) -> dict[str, str]:
    """Return the sentences of a No's receipt; nobody is named in it."""
    gettext = load_translations(language).gettext
    return {
        "greeting": gettext("Dear reader,"),
        "yes_label": word_confirmation(mailing_list, language)["yes_label"],
    }


def word_preview(folder: str, known: Mapping[str, str], language: str) -> str:
    """Return the line that mail programs show beside the subject; says nothing of the list.

    - `folder`: of the mail's templates, below `templates/mail/`.
    """
    gettext = load_translations(language).gettext
    if folder == "join_confirmation":
        return gettext("If it was you, confirm it in this mail; if it was not, do nothing.")
    if folder in {"yes_receipt", "no_receipt"}:
        return gettext("You need do nothing, and may keep this mail.")
    if folder == "daily_summary":
        return gettext("Who said No may not be mailed any more, also not before the deadline.")
    if folder in {"campaign_closed", "witness_checkpoint"}:
        return gettext("Keep this mail: it holds the checkpoint of the evidence.")
    if folder == "not_the_person":
        return gettext("An address was taken off; please look at where it came from.")
    if folder == "campaign_paused":
        return gettext("It waits for you.")
    return gettext("Please answer Yes or No by %(deadline)s.") % known


def word_phrases(language: str) -> dict[str, str]:
    """Return the sentences that depend on what is known of a contact, with marks."""
    gettext = load_translations(language).gettext
    marks = {field: mark_field(field) for field in ("name", "source", "since")}
    why = gettext("That is why we ask you.")
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
            "Your address has been on this list since %(since)s. We do not know how it got there."
        )
        + f" {why}",
        "reason_unknown": gettext(
            "Your address is on this list. We do not know since when, or how it got there."
        )
        + f" {why}",
    }
    return {name: sentence % marks for name, sentence in sentences.items()}


def word_notice(topic: str, slug: str, language: str) -> dict[str, str]:
    """Return a notice's sentences for the admin; raises KeyError for another topic."""
    gettext = load_translations(language).gettext
    happened = {
        "paused_pilot": gettext(
            "The mails of the pilot have been sent. The others wait until you let them go."
        ),
        "paused_bounces": gettext(
            "Too many mails were refused or came back. Who goes on nevertheless is soon taken for "
            "a sender of unwanted mail. Look first at where these addresses came from."
        ),
        "paused_complaint": gettext(
            "Somebody has reported a mail of this campaign as unwanted, and has been taken off the "
            "list. Look first at whether these people can know who you are."
        ),
    }
    return {
        "what_happened": happened[topic],
        "see": f"repermit status {slug}",
        "go_on": f"repermit resume {slug}",
        "end": f"repermit cancel {slug}",
    }


def word_daily_mail(news: DailySummary, language: str) -> dict[str, list[str]]:
    """Return the daily mail's figures, a line each; a zero has no line."""
    gettext = load_translations(language).gettext
    today = (
        (news.yes, gettext("Yes: %(count)s")),
        (news.no, gettext("No: %(count)s")),
        (news.withdrawn, gettext("No after an earlier Yes, or as a customer: %(count)s")),
        (
            news.others,
            gettext(
                "taken off for another reason (bounce, complaint, request, no answer): %(count)s"
            ),
        ),
    )
    in_all = (
        (news.asked, gettext("in this campaign: %(count)s")),
        (news.all_yes, gettext("said Yes: %(count)s")),
        (news.all_no, gettext("said No, or are gone: %(count)s")),
        (news.silent, gettext("have not answered: %(count)s")),
    )
    return {
        "today": [text % {"count": count} for count, text in today if count],
        "in_all": [text % {"count": count} for count, text in in_all],
    }


def word_closing_mail(news: ClosingSummary, language: str) -> dict[str, list[str]]:
    """Return the closing mail's figures, a line each, zeros included."""
    gettext = load_translations(language).gettext
    lines = (
        (news.asked, gettext("in this campaign: %(count)s")),
        (news.yes, gettext("said Yes: %(count)s")),
        (news.no, gettext("said No: %(count)s")),
        (news.no_response, gettext("taken off, since no answer came: %(count)s")),
        (
            news.others,
            gettext("for another reason (bounce, complaint, request, other proof): %(count)s"),
        ),
        (news.unasked, gettext("could not be asked, and may not be mailed: %(count)s")),
    )
    return {"in_all": [text % {"count": count} for count, text in lines]}
