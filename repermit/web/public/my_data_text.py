"""The texts of public pages about a contact's stored data, in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from repermit.email_address import to_unicode_address
from repermit.privacy.evidence_retention import add_years
from repermit.privacy.my_data import (
    Disclosure,
    EvidenceEntry,
    HeldData,
    OpeningReport,
    RetentionTerm,
    SentMail,
    SuppressionInfo,
)
from repermit.reports.data_recipients import Recipient
from repermit.rules.bot_detection import PROGRAM_SIGNALS
from repermit.rules.consent import Basis
from repermit.settings.definitions import Retention
from repermit.web.public.page_text import PageLocale, describe_removal


@dataclass(frozen=True, kw_only=True)
class HistoryEvent:
    """An event with its time, its text and further lines."""

    moment: str
    what: str
    lines: tuple[str, ...] = ()


def list_history(held_data: HeldData, locale: PageLocale) -> list[HistoryEvent]:
    """Return a contact's history, the oldest event first."""
    events = sorted(_iter_history(held_data, locale), key=lambda event: event[0])
    return [
        HistoryEvent(
            moment=locale.format_time(timestamp), what=text, lines=tuple(filter(None, lines))
        )
        for timestamp, text, lines in events
    ]


def _iter_history(
    held_data: HeldData, locale: PageLocale
) -> Iterator[tuple[datetime, str, tuple[str, ...]]]:
    gettext = locale.gettext
    for timestamp, file in held_data.imports:
        yield timestamp, gettext("Your address came with the file “%(file)s”") % {"file": file}, ()
    for sign_up in held_data.sign_ups:
        yield sign_up.at, gettext("These mails were asked for with your address"), ()
    for mail in held_data.letters:
        yield mail.at, _describe_mail(mail, locale), _describe_delivery(mail, locale)
    for timestamp, _answer in held_data.replies:
        yield (
            timestamp,
            gettext("You wrote back to us by mail; of your words nothing is kept here"),
            (),
        )
    for entry in held_data.entries:
        # A removal that a restore replayed is shown at its own time, not at that of the restore.
        left_at = entry.consent.get("left_at")
        timestamp = datetime.fromisoformat(left_at) if left_at else entry.at
        yield timestamp, _describe_entry(entry, locale), _describe_details(entry, locale)


def _describe_mail(mail: SentMail, locale: PageLocale) -> str:
    gettext = locale.gettext
    name = {
        "ask": gettext("the question whether we may mail you"),
        "reminder": gettext("the reminder of that question"),
        "receipt": gettext("the receipt of your Yes"),
        "no_receipt": gettext("the receipt of your No"),
        "see": gettext("the link to what we hold about you"),
        "address": gettext("the question to your new address"),
        "changed": gettext("word to your address from before that it has been changed"),
    }[mail.purpose or mail.kind]
    text = {
        "sent": gettext("Sent, and accepted by a mail server: %(mail)s"),
        "failed": gettext("Could not be sent: %(mail)s"),
        "dropped": gettext("Not sent after all: %(mail)s"),
        "in_doubt": gettext("Perhaps sent: %(mail)s"),
    }.get(mail.state, gettext("To be sent: %(mail)s"))
    return text % {"mail": name}


def _describe_delivery(mail: SentMail, locale: PageLocale) -> tuple[str, ...]:
    """Return lines on the mail's address, if it was another one, and on its bounce."""
    recipient = (to_unicode_address(mail.to),) if mail.to else ()
    return (*recipient, *_describe_bounce(mail, locale))


def _describe_bounce(mail: SentMail, locale: PageLocale) -> tuple[str, ...]:
    gettext = locale.gettext
    template = {
        "": "",
        "hard": gettext("It came back on %(moment)s: there is no such mailbox"),
        "soft": gettext("It came back on %(moment)s"),
        "complaint": gettext("It was reported as unwanted on %(moment)s"),
    }[mail.bounce]
    return (template % {"moment": locale.format_time(mail.bounced_at)},)


def _describe_entry(entry: EvidenceEntry, locale: PageLocale) -> str:
    gettext = locale.gettext
    if entry.event == "removed" and entry.consent.get("method") == "not_the_person":
        return gettext("Taken off the list: somebody at this address was not the person meant")
    if entry.event == "removed" and "reason" in entry.consent:
        return describe_removal(entry.consent["reason"], locale)
    if entry.event == "confirmed" and entry.consent.get("basis") in {Basis.IMPORTED, Basis.THIN}:
        return gettext("Your earlier sign-up was taken over")
    if entry.event == "erased" and entry.consent.get("why") == "retention":
        return _describe_end(entry, locale)
    if _is_new_address(entry):
        return gettext("Your address has been changed")
    return {
        "confirmed": gettext("Your Yes was recorded"),
        "removed": gettext("You were taken off the list"),
        "sign_up_undone": gettext(
            "Yes and No were pressed within a minute of each other, as programs do."
        ),
        "customer": gettext("You were put down as a customer"),
        "added": gettext("Your address was added by hand"),
        "reply_set_aside": gettext("Your mail to us was found to be no Yes and no No"),
        "reply_reopened": gettext("Your mail to us is being looked at again"),
        "not_the_person": gettext("Somebody at this address said not to be the person meant"),
        "corrected": gettext("What is held about you was corrected"),
        "proved": gettext("A proof of what was asked and answered was made"),
        "erased": gettext("What was held about you was deleted"),
        "still_mailed": gettext("You unsubscribed from a mail that came from elsewhere"),
    }.get(entry.event, entry.event.replace("_", " "))


def _is_new_address(entry: EvidenceEntry) -> bool:
    return entry.event == "corrected" and entry.consent.get("fields") == ["address"]


def _describe_end(entry: EvidenceEntry, locale: PageLocale) -> str:
    """Describe the end of the retention of some data, which is not an erasure of everything."""
    if entry.consent.get("parts") == ["consent"]:
        return locale.gettext(
            "The proof of what was asked and answered was deleted: its time was over"
        )
    return locale.gettext(
        "The part of your network address and the name of your browser were deleted: their time "
        "was over"
    )


def _describe_details(entry: EvidenceEntry, locale: PageLocale) -> tuple[str, ...]:
    gettext = locale.gettext
    actor_text = {
        "person": gettext("By you, or with a link of yours"),
        "reader": gettext("By somebody who reads the mail to this address"),
        "system": gettext("By itself"),
        "organisation": gettext("By us"),
    }[entry.by]
    if entry.consent.get("given_by"):
        actor_text = gettext("By your legal representative")
    person, trace = entry.person, entry.trace
    typed = [person.get(name) for name in ("note", "proof", "ip")]
    address = to_unicode_address(person.get("address") or "–")
    return (
        actor_text,
        *(gettext("“%(text)s”") % {"text": text} for text in typed if text),
        gettext("Kept with it: the address %(address)s, the name “%(name)s”")
        % {"address": address, "name": person.get("name") or "–"}
        if person
        else "",
        gettext("Kept with it for a while: the network %(network)s, the browser “%(browser)s”")
        % {"network": trace.get("network") or "–", "browser": trace.get("browser") or "–"}
        if trace
        else "",
        gettext("Entry %(number)s of the record") % {"number": entry.seq},
    )


def describe_openings(openings: OpeningReport, locale: PageLocale) -> list[str]:
    """Return a line for each stored opening and press of the links."""
    gettext = locale.gettext
    names = {"yes": gettext("The link for Yes"), "no": gettext("The link for No")}
    link_template = gettext(
        "%(link)s – opened: %(gets)s; looked up without being opened: %(heads)s; first on "
        "%(first)s, last on %(last)s."
    )
    links = [
        link_template
        % {
            "link": names[opening.link],
            "gets": opening.gets,
            "heads": opening.heads,
            "first": locale.format_time(opening.first_at),
            "last": locale.format_time(opening.last_at),
        }
        for opening in openings.links
    ]
    sentences_by_time = (
        (
            openings.together_at,
            gettext("Both were opened within a minute of each other, last on %(moment)s."),
        ),
        (openings.yes_at, gettext("Yes was pressed last on %(moment)s.")),
        (openings.no_at, gettext("No was pressed last on %(moment)s.")),
        (openings.asked_again_at, gettext("We asked for the Yes once more on %(moment)s.")),
        (
            openings.disowned_at,
            gettext("Somebody said on %(moment)s that they had not pressed Yes."),
        ),
        (openings.held_at, gettext("The Yes of %(moment)s waits for one press more.")),
    )
    sentences = [
        text % {"moment": locale.format_time(timestamp)}
        for timestamp, text in sentences_by_time
        if timestamp
    ]
    is_suspect = PROGRAM_SIGNALS.intersection(openings.signs)
    suspicion = [gettext("The last press looked like a program’s.")] if is_suspect else []
    return [*links, *sentences, *suspicion]


def describe_suppression(suppression: SuppressionInfo, locale: PageLocale) -> str:
    """Describe a suppression, and since when it holds."""
    gettext = locale.gettext
    text = (
        gettext("This address gets no mail from any of our lists, since %(moment)s.")
        if suppression.is_for_all
        else gettext("This address gets no mail from this list, since %(moment)s.")
    )
    return text % {"moment": locale.format_time(suppression.at)}


def describe_recipient(recipient: Recipient, locale: PageLocale) -> str:
    """Describe a recipient of the data, with the purpose, and the country if known."""
    gettext = locale.gettext
    purpose = {
        "hosting": gettext("Who keeps the server on which this stands"),
        "mail": gettext("Who carries our mails to you"),
        "mailbox": gettext("Who keeps the mailbox that mails come back to"),
        "database": gettext("Who keeps the database"),
        "tool": gettext("The program that sends these mails"),
        "webhook": gettext("A program that is told of answers and of who leaves"),
        "api": gettext("A program that may ask for addresses and answers"),
        "other": gettext("Another recipient"),
    }[recipient.role]
    name = ", ".join(
        filter(
            None,
            (
                recipient.public_name or gettext("we ourselves"),
                locale.name_country(recipient.country),
            ),
        )
    )
    text = gettext("%(what)s: %(who)s.") % {"what": purpose, "who": name}
    if recipient.safeguard_abroad:
        safeguard_template = gettext(
            "What protects the data outside the European Economic Area: %(how)s."
        )
        text += " " + safeguard_template % {"how": recipient.safeguard_abroad.rstrip(".")}
    return text


def describe_disclosure(
    disclosure: Disclosure, locale: PageLocale, names: Mapping[str, str]
) -> str:
    """Describe the file that contained the address, or the program that got it, and when."""
    gettext = locale.gettext
    content = {
        "keep": gettext("a file of those who may be mailed"),
        "removed": gettext("a file of those who were taken off"),
        "suppressions": gettext("a file of codes, in which no address can be read"),
        "unasked": gettext("a file of those who could not be asked, in which you may be"),
        "evidence": gettext("a file of the record"),
        "archive": gettext("an archive of the list"),
        "told": gettext("word of your answer, or that you left"),
    }[disclosure.what]
    values = {
        "moment": locale.format_time(disclosure.at),
        "what": content,
        "to": names.get(disclosure.to, disclosure.to),
    }
    if disclosure.to:
        return gettext("%(moment)s: %(what)s, for %(to)s.") % values
    return gettext("%(moment)s: %(what)s.") % values


def describe_source(held_data: HeldData, locale: PageLocale) -> str:
    """Describe the source of the address: the stored one, the imported files, and new addresses."""
    gettext = locale.gettext
    files = (
        gettext("With the file “%(file)s”, which we took in on %(day)s.")
        % {"file": file, "day": locale.format_day(imported_at)}
        for imported_at, file in held_data.imports
    )
    new_addresses = (
        gettext("%(moment)s: %(what)s.")
        % {"moment": locale.format_time(entry.at), "what": _describe_entry(entry, locale)}
        for entry in held_data.entries
        if _is_new_address(entry)
    )
    sentences = " ".join(
        (f"{held_data.source.rstrip('.')}." if held_data.source else "", *files, *new_addresses)
    ).strip()
    return sentences or gettext("We do not know.")


def describe_retention(term: RetentionTerm, locale: PageLocale, retention: Retention) -> str:
    """Describe the retention of a kind of data."""
    gettext = locale.gettext
    values = {
        "moment": locale.format_time(term.until),
        "day": locale.format_day(term.until),
        "years": retention.evidence_years,
        "days": retention.access_days,
    }
    proof = (
        gettext("The proof of what was asked and answered: until %(day)s.")
        if term.until
        else locale.ngettext(
            "The proof of what was asked and answered: for one year after you have left the list.",
            "The proof of what was asked and answered: for %(years)s years after you have left the "
            "list.",
            retention.evidence_years,
        )
    )
    address = (
        gettext(
            "Your address, name and language: until %(day)s, when they are deleted by themselves, "
            "or until you have them deleted here."
        )
        if term.until
        else gettext(
            "Your address, name and language: as long as you want these mails, or until you have "
            "them deleted here."
        )
    )
    return {
        "address": address,
        "answer": gettext("Without an answer you are taken off the list after %(moment)s."),
        "proof": proof,
        "trace": gettext(
            "The part of your network address and the name of your browser: until %(day)s."
        ),
        "openings": gettext("How the links in our mails were opened: until %(day)s."),
        "suppression": gettext(
            "A code from which your address cannot be read, so that nobody asks you again: as long "
            "as there is this list."
        ),
        "looks": locale.ngettext(
            "When one of us looked at your data: for one day.",
            "When one of us looked at your data: for %(days)s days.",
            retention.access_days,
        ),
        "sign_ups": gettext("The sign-up that you have not confirmed: until %(day)s."),
        "mails": gettext(
            "When which mail was sent to you: as long as there is this list, but without your "
            "address once that is deleted."
        ),
        "links": gettext("The links that were asked for here: for one day."),
    }[term.what] % values


def format_last_day_of_proof(removed_at: datetime, locale: PageLocale, retention: Retention) -> str:
    """Return the last day of the proof of an erased contact (GDPR art. 17(3))."""
    return locale.format_day(add_years(removed_at, retention.evidence_years))
