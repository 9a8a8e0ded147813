"""The sentences of mails that depend on the list, the organisation or the contact.

All other text of a mail is in its templates.
"""

from __future__ import annotations

from repermit.emails.frozen_draft import mark_field
from repermit.emails.mail_types import ClosingSummary, DailySummary, MailingListFacts
from repermit.i18n.catalogues import load_translations
from repermit.settings.definitions import Organisation


def make_explicit_consent_text(
    organisation: Organisation, mailing_list: MailingListFacts, language: str
) -> str:
    """Return the sentence that explains a Yes on a sensitive list; "" for any other list.

    GDPR art. 9(2)(a) requires explicit consent.
    """
    if not mailing_list.sensitive:
        return ""
    return load_translations(language).gettext(
        "Being on this list can say something about your health, your beliefs or another "
        "private matter, and the law protects such data more strictly. With Yes you explicitly "
        "consent to %(organisation)s using your name and email address to send you these mails "
        "(GDPR, article 9(2)(a))."
    ) % {"organisation": organisation.name}


def make_asking_sentence(organisation_name: str, language: str, *, is_only_mail: bool) -> str:
    """Return the sentence that somebody is asked, and once if no reminder follows."""
    gettext = load_translations(language).gettext
    sentence = (
        gettext("%(organisation)s asks you once.")
        if is_only_mail
        else gettext("%(organisation)s is asking you.")
    )
    return sentence % {"organisation": organisation_name}


def make_ask_texts(mailing_list: MailingListFacts, language: str, deadline: str) -> dict[str, str]:
    """Return the labels of an ask's links, and the sentences that an own wording must contain."""
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


def make_confirmation_texts(mailing_list: MailingListFacts, language: str) -> dict[str, str]:
    """Return the sentences of a sign-up's confirmation mail."""
    gettext = load_translations(language).gettext
    return {
        "yes_label": gettext("Yes, I explicitly consent to these mails")
        if mailing_list.sensitive
        else gettext("Yes, send me these mails"),
        "stop": gettext("You can withdraw your Yes at any time, as easily as you give it."),
    }


def make_contact_phrases(language: str) -> dict[str, str]:
    """Return the sentences that depend on the contact, with marks for its values, by name."""
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


def make_notice_texts(topic: str, slug: str, language: str) -> dict[str, str]:
    """Return the sentences of a notice about a pause; raises KeyError for another topic."""
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
        "go_on": f"repermit resume {slug}",
        "end": f"repermit cancel {slug}",
    }


def make_daily_mail_texts(summary: DailySummary, language: str) -> dict[str, list[str]]:
    """Return the counts of the daily mail, a line each; most zeros have no line.

    `in_all` is empty for a list without a campaign.
    """
    gettext = load_translations(language).gettext
    today = (
        (summary.yes, gettext("Yes, new sign-ups among them: %(count)s")),
        (summary.no, gettext("No: %(count)s")),
        (summary.withdrawn, gettext("No after an earlier Yes, or as a customer: %(count)s")),
        (
            summary.others,
            gettext(
                "taken off for another reason (bounce, complaint, request, no answer): %(count)s"
            ),
        ),
        (
            summary.erased,
            gettext(
                "deleted their own data, so that no file names them; comparing your tool's list "
                "with this one finds them: %(count)s"
            ),
        ),
    )
    in_all = (
        (summary.asked, gettext("in this campaign: %(count)s")),
        (summary.all_yes, gettext("said Yes: %(count)s")),
        (summary.all_no, gettext("said No, or are gone: %(count)s")),
        (summary.silent, gettext("have not answered: %(count)s")),
    )
    others = (
        (summary.waiting, gettext("still to be asked: %(count)s")),
        (summary.unasked, gettext("could not be asked, and may not be mailed: %(count)s")),
        (summary.otherwise, gettext("stay by another proof: %(count)s")),
    )
    today_lines = [text % {"count": count} for count, text in today if count]
    if not summary.asked:
        return {"today": today_lines, "in_all": []}
    return {
        "today": today_lines,
        "in_all": [
            *(text % {"count": count} for count, text in in_all),
            *(text % {"count": count} for count, text in others if count),
        ],
    }


def make_closing_mail_texts(summary: ClosingSummary, language: str) -> dict[str, list[str]]:
    """Return the counts of the closing mail, a line each, including zeros."""
    gettext = load_translations(language).gettext
    lines = (
        (summary.asked, gettext("in this campaign: %(count)s")),
        (summary.yes, gettext("said Yes: %(count)s")),
        (summary.no, gettext("said No: %(count)s")),
        (summary.no_response, gettext("taken off, since no answer came: %(count)s")),
        (
            summary.others,
            gettext("for another reason (bounce, complaint, request, other proof): %(count)s"),
        ),
        (summary.unasked, gettext("could not be asked, and may not be mailed: %(count)s")),
    )
    return {"in_all": [text % {"count": count} for count, text in lines]}
