"""The texts of public pages about a contact, in the reader's language.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from babel import Locale

from repermit.answers.link_target import ContactState
from repermit.i18n import catalogues, dates
from repermit.privacy.my_data import HeldData
from repermit.rules.bot_detection import BotSignal
from repermit.rules.consent import OWN_YES, Answer, Basis, Reason, Status

if TYPE_CHECKING:
    HasStatus = ContactState | HeldData


@dataclass(frozen=True, kw_only=True)
class PageLocale:
    """The locale of a page: language, time zone, and whether it addresses a representative."""

    language: str
    zone: ZoneInfo
    is_representative: bool = False

    def gettext(self, text: str) -> str:
        """Return the translation."""
        return catalogues.load_translations(self.language).gettext(text)

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """Return the translation in the plural form for a count."""
        return catalogues.load_translations(self.language).ngettext(singular, plural, count)

    def format_time(self, timestamp: datetime | None) -> str:
        """Format a timestamp in words, "" for None."""
        return self._format(dates.format_local_datetime, timestamp)

    def format_past_time(self, timestamp: datetime | None) -> str:
        """Format the time of an event, or its day if only that is known; "" for None."""
        return self._format(dates.format_past_datetime, timestamp)

    def format_short_time(self, timestamp: datetime | None) -> str:
        """Format a timestamp without its year; the time is left out at the end of a day."""
        return self._format(dates.format_short_datetime, timestamp)

    def format_day(self, timestamp: datetime | None) -> str:
        """Format a day in words, "" for None."""
        return self._format(dates.format_local_date, timestamp)

    def _format(self, write: Callable[..., str], timestamp: datetime | None) -> str:
        return write(timestamp, language=self.language, zone=self.zone) if timestamp else ""

    def name_country(self, code: str) -> str:
        """Return the name of a country by its ISO 3166 code; "" for ""."""
        return str(Locale(self.language).territories[code]) if code else ""


def explain_listing(contact_state: ContactState, locale: PageLocale) -> str:
    """Return the text on why and since when an address is on the list (GDPR art. 14(2)(f)).

    For an address that is off the list it is only the source of the address.
    """
    gettext = locale.gettext
    values = {
        "source": contact_state.source.strip().rstrip("."),
        "since": locale.format_day(contact_state.since),
    }
    if contact_state.status is Status.REMOVED:
        return f"{values['source']}." if values["source"] else gettext("We do not know.")
    if values["source"] and values["since"]:
        sentence = gettext(
            "Your address has been on this list since %(since)s. Where we have it from: %(source)s."
        )
    elif values["source"]:
        sentence = gettext(
            "Your address is on this list; we do not know since when. "
            "Where we have it from: %(source)s."
        )
    elif values["since"]:
        sentence = gettext(
            "Your address has been on this list since %(since)s. We do not know how it got there."
        )
    else:
        sentence = gettext(
            "Your address is on this list. We do not know since when, or how it got there."
        )
    if contact_state.is_asked and not values["source"]:
        sentence = f"{sentence} {gettext('That is why we ask you.')}"
    return sentence % values


def make_yes_label(locale: PageLocale, *, sensitive: bool, is_new: bool = False) -> str:
    """Return the label of the Yes button; `is_new` for somebody who is not on the list."""
    gettext = locale.gettext
    if locale.is_representative and sensitive:
        return gettext("Yes, as representative I explicitly consent")
    if locale.is_representative:
        return gettext("Yes, as representative I consent")
    if sensitive:
        return gettext("Yes, I explicitly consent to these mails")
    if is_new:
        return gettext("Yes, send me these mails")
    return gettext("Yes, keep sending me these mails")


def make_no_label(locale: PageLocale, *, is_new: bool = False) -> str:
    """Return the label of the No button; `is_new` for somebody who is not on the list."""
    if is_new and locale.is_representative:
        return locale.gettext("No, do not send these mails")
    if is_new:
        return locale.gettext("No, I do not want these mails")
    if locale.is_representative:
        return locale.gettext("No, stop sending these mails")
    return locale.gettext("No, stop sending me these mails")


def make_earlier_answer_text(contact_state: ContactState, locale: PageLocale) -> str:
    """Return the sentence on an earlier answer, "" if there was none."""
    gettext, fields = locale.gettext, {"moment": locale.format_time(contact_state.status_at)}
    if contact_state.status is Status.REMOVED:
        if contact_state.said_no:
            return gettext("Your No was recorded on %(moment)s") % fields
        return gettext("You were taken off this list on %(moment)s") % fields
    if contact_state.basis in OWN_YES:
        return gettext("Your Yes was recorded on %(moment)s") % fields
    return ""


def make_current_answer_text(contact_state: ContactState, locale: PageLocale) -> str:
    """Return a short text on the current answer, without its day; "" without an answer."""
    gettext = locale.gettext
    if contact_state.status is Status.REMOVED:
        if contact_state.said_no:
            return gettext("Your No is recorded")
        return gettext("You are not on this list any more")
    if contact_state.basis in OWN_YES:
        return gettext("Your Yes is recorded")
    return ""


def make_not_recorded_text(answer: Answer, locale: PageLocale, *, takes_two_presses: bool) -> str:
    """Return the sentence on an answer that is not recorded until it is pressed."""
    gettext = locale.gettext
    if takes_two_presses:
        return gettext("Your Yes is not recorded yet: press twice, here and on the next page.")
    return {
        Answer.YES: gettext("Your Yes is not recorded yet: press once more."),
        Answer.NO: gettext("Your No is not recorded yet: press once more."),
    }[answer]


def describe_status(state: HasStatus, locale: PageLocale) -> str:
    """Return the status of a contact in a few words."""
    gettext = locale.gettext
    if state.status is Status.REMOVED:
        return describe_removal(state.reason, locale)
    return {
        Status.UNCONFIRMED: gettext("On the list, not answered yet"),
        Status.CONFIRMED: gettext("On the list"),
        Status.CUSTOMER: gettext("On the list as a customer"),
    }[state.status]


def describe_removal(reason: str, locale: PageLocale) -> str:
    """Return the reason of a removal in a few words."""
    gettext = locale.gettext
    return {
        Reason.NO: gettext("Taken off the list: you answered No"),
        Reason.NO_RESPONSE: gettext("Taken off the list: we had no answer from you in time"),
        Reason.BOUNCE: gettext("Taken off the list: mail to this address came back"),
        Reason.COMPLAINT: gettext("Taken off the list: our mail was reported as unwanted"),
        Reason.WITHDRAWN: gettext("Taken off the list: you did not want the mails any more"),
        Reason.REQUEST: gettext("Taken off the list, as was asked for"),
    }[Reason(reason)]


def describe_basis(state: HasStatus, locale: PageLocale) -> str:
    """Return the ground on which a contact may be mailed, in a few words."""
    gettext = locale.gettext
    return {
        "": gettext("None: we do not send you these mails without your Yes"),
        Basis.ANSWER: gettext("Your Yes to our question"),
        Basis.SIGN_UP: gettext("Your own sign-up on our page"),
        Basis.IMPORTED: gettext("Your earlier sign-up, of which we hold the proof"),
        Basis.THIN: gettext("Your earlier sign-up, of which we hold the date and place alone"),
        Basis.CUSTOMER: gettext(
            "You are a customer of ours, and the mails are about similar things"
        ),
    }[state.basis]


def describe_consent(state: str, locale: PageLocale, *, is_represented: bool) -> str:
    """Return a state of a consent (dpv:ConsentStatus) in a few words."""
    gettext = locale.gettext
    text = {
        "dpv:ConsentRequested": gettext("We asked you by mail"),
        "dpv:ConsentGiven": gettext("You said Yes"),
        "dpv:RenewedConsentGiven": gettext("You said Yes again"),
        "dpv:ConsentWithdrawn": gettext("You withdrew your Yes"),
        "dpv:ConsentRefused": gettext("You said No"),
        "dpv:ConsentRevoked": gettext("We ended it"),
        "dpv:ConsentUnknown": gettext("You were taken off the list"),
    }[state]
    if not is_represented:
        return text
    return gettext("%(what)s (by your legal representative)") % {"what": text}


# --- The page that asks for a Yes again, and the sign-up page. ------------------------------------


NOT_ME, AGAIN, YES, NO = "not_me", "again", "yes", "no"
"""The values of the field `choice` on the page that asks again and on the sign-up page."""


def explain_asking_again(signals: Collection[BotSignal], locale: PageLocale) -> str:
    """Return why a Yes is asked for again, by the most telling signal."""
    gettext = locale.gettext
    reasons = {
        BotSignal.BOTH_OPENED: gettext(
            "The links for Yes and for No were opened within a minute of each other, as programs "
            "do."
        ),
        BotSignal.BOTH_ANSWERED: gettext(
            "Yes and No were pressed within a minute of each other, as programs do."
        ),
        BotSignal.SAID_NO: gettext("A No came before this Yes."),
        BotSignal.LOOKED_UP: gettext(
            "A program looked at the link, and Yes was pressed within a minute after our mail had "
            "been delivered."
        ),
    }
    default = gettext("The Yes before this one was not confirmed.")
    return next((text for signal, text in reasons.items() if signal in signals), default)


def make_labels(locale: PageLocale, *, sensitive: bool, is_new: bool) -> dict[str, str]:
    """Return the labels of the three buttons, in their order; `is_new` as in `make_yes_label`.

    None is emphasised, and the Yes is neither the first nor the last: a program that presses the
    first, the last, the coloured one or all of them does not give a Yes.
    """
    return {
        NOT_ME: locale.gettext("I did not press Yes: do not count it"),
        AGAIN: _make_again_label(locale, sensitive=sensitive, is_new=is_new),
        NO: make_no_label(locale, is_new=is_new),
    }


def _make_again_label(locale: PageLocale, *, sensitive: bool, is_new: bool) -> str:
    """Return the label of the Yes button on the page that asks again."""
    gettext = locale.gettext
    if locale.is_representative and sensitive:
        return gettext("Yes, it was me: as representative I explicitly consent")
    if locale.is_representative:
        return gettext("Yes, it was me: as representative I consent")
    if sensitive:
        return gettext("Yes, it was me, and I explicitly consent to these mails")
    if is_new:
        return gettext("Yes, it was me: send me these mails")
    return gettext("Yes, it was me: keep sending me these mails")


def make_sign_up_labels(locale: PageLocale, *, sensitive: bool) -> dict[str, str]:
    """Return the labels of a sign-up's three buttons, in their order.

    The mail that leads to the page has no other such link, so only the pressed button can show a
    program. Here too the Yes is neither the first nor the last, and is not emphasised.
    """
    return {
        NOT_ME: locale.gettext("I did not sign up for this"),
        YES: make_yes_label(locale, sensitive=sensitive, is_new=True),
        NO: make_no_label(locale, is_new=True),
    }
