"""README.txt of an archive: what each file is, who may see it, and what is now left to people."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from repermit.contacts import lookup
from repermit.db.models.campaigns import latest_campaign
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity
from repermit.i18n import catalogues, dates
from repermit.settings.definitions import Settings

_WIDTH = 76


def text(mailing_list: MailingList, *, settings: Settings, now: datetime) -> str:
    """Return the text in the list's language, for Windows' editor too."""
    language = mailing_list.language
    _ = catalogues.translations(language).gettext
    moment = dates.moment_in_words(now, language=language, zone=settings.zone)
    title = _("Archive of the list “%(list)s”, made on %(moment)s") % {
        "list": mailing_list.name,
        "moment": moment,
    }
    files = list(_files(_, has_report=latest_campaign(mailing_list) is not None))
    lines = (
        *_wrapped(title),
        "",
        *_wrapped(
            _(
                "It holds what is to outlast the server. Whoever has this file has names and "
                "addresses: keep it encrypted, give it to as few people as need it, and delete it "
                "when its time is over."
            )
        ),
        *_headed(_("What is in it, and for whom")),
        *(line for name, about in files for line in (f"  {name}", *_wrapped(about, "      "))),
        *_headed(_("How a proof is checked")),
        "  repermit verify proof.json --checkpoint checkpoint.json",
        "",
        *_wrapped(
            _(
                "This needs neither server nor network. The manual of repermit tells how to write "
                "a check of one’s own."
            )
        ),
        *_headed(_("What no longer works once the server is switched off")),
        *_listed(lost(language)),
        *_headed(_("What then has to be done by hand")),
        *_listed(duties(mailing_list, settings=settings, language=language)),
    )
    return "\r\n".join((*lines, ""))


def _files(_: Callable[[str], str], *, has_report: bool) -> Iterator[tuple[str, str]]:
    """Yield each file and what is said of it."""
    yield (
        "keep.csv",
        _("Who may be mailed, on what ground and since when. For whoever sends the newsletter."),
    )
    yield (
        "removed.csv",
        _(
            "Who was taken off, and why. For whoever takes them off elsewhere; delete it once that "
            "is done."
        ),
    )
    yield (
        "unasked.csv",
        _(
            "Who could not be asked, and may not be mailed. For whoever takes them off elsewhere; "
            "delete it once that is done."
        ),
    )
    yield (
        "suppressions.csv",
        _(
            "Fingerprints of who is not to be asked again. No address can be read from them; with "
            "the fingerprint key it can be told whether an address is among them. For a later "
            "system with the same key."
        ),
    )
    yield (
        "proofs/",
        _(
            "A folder for each person who may be mailed or was taken off, with the proof of what "
            "they said, to be checked (proof.json) and to be read (proof.html). Whose each is "
            "stands in index.csv; of who was erased, the folder’s name stands beside the "
            "fingerprint in suppressions.csv. For the person, an authority or a court, one folder "
            "at a time."
        ),
    )
    if has_report:
        yield (
            "report.html, report.json",
            _(
                "What came of the asking, in numbers; nobody on the list is named. For whoever "
                "answers for the list."
            ),
        )
    yield (
        "register.html, register.json",
        _("The record of processing activities (GDPR, article 30). For an authority that asks."),
    )
    yield (
        "evidence.json",
        _(
            "All that the record says of this list, with names and addresses where they are held. "
            "For an authority or whoever examines it."
        ),
    )
    yield (
        "checkpoint.json",
        _(
            "By this it can be told later whether anything was changed. It discloses nothing: give "
            "a copy to somebody else to keep."
        ),
    )
    yield (
        "site/",
        _("A page for whoever presses an old link, and how a web server shows it. For everybody."),
    )


def lost(language: str) -> tuple[str, ...]:
    """Return what no longer works once the server is switched off."""
    _ = catalogues.translations(language).gettext
    return (
        _(
            "No by one press: the link in old mails, the button that mail programs show, and the "
            "links to unsubscribe that were handed to the newsletter tool."
        ),
        _(
            "The pages on which people see, correct, download or delete what is held about them, "
            "receipts, sign-up, and a late answer to an old mail."
        ),
        _("Reading what comes back: bounces, complaints and replies stay in the mailbox."),
        _(
            "Erasing by itself when the time is over, reminders and reports by mail, and telling "
            "newsletter tools who has left."
        ),
    )


def duties(mailing_list: MailingList, *, settings: Settings, language: str) -> tuple[str, ...]:
    """Return what the organisation then has to do by hand."""
    _ = catalogues.translations(language).gettext
    found = (
        _(
            "Have site/ shown where %(url)s was, and keep that name and its certificate for as "
            "long as the mails may still be read: for years."
        ),
        _(
            "Read the mail to %(email)s, and the letters, and take off at once whoever does not "
            "want the mails any more: this must stay as easy as saying Yes (GDPR, article 7(3))."
        ),
        _(
            "See that every newsletter has a link to unsubscribe which the tool that sends it "
            "answers itself."
        ),
        _(
            "Take off, wherever else they stand, all who are not in keep.csv; then delete "
            "removed.csv and unasked.csv."
        ),
        _(
            "Answer from this archive whoever asks what is held about them, and erase in it whom "
            "that is asked for: folder, rows in the files, entries in evidence.json."
        ),
        catalogues.translations(language).ngettext(
            "Delete a proof one year after the person has left, and the whole archive when it "
            "holds no other.",
            "Delete a proof %(years)s years after the person has left, and the whole archive when "
            "it holds no other.",
            settings.retention.evidence_years,
        ),
        _(
            "Keep config.toml and the journal of suppressions, apart from this archive: without "
            "that key nobody who said No is recognised."
        ),
    )
    values = {
        "url": settings.public_url,
        "email": reply_address(mailing_list, settings=settings),
        "years": settings.retention.evidence_years,
    }
    return tuple(one % values for one in found)


def reply_address(mailing_list: MailingList, *, settings: Settings) -> str:
    """Return where people can write to: the organisation, or else the list's sender."""
    return sender_identity.choose_reply_address(
        lookup.list_facts(mailing_list), settings.organisation
    )


def _headed(title: str) -> tuple[str, ...]:
    return ("", "", title, "-" * len(title), "")


def _listed(texts: Iterable[str]) -> Iterator[str]:
    for number, one in enumerate(texts, start=1):
        yield from textwrap.wrap(
            one,
            _WIDTH,
            initial_indent=f"  {number}. ",
            subsequent_indent="     ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _wrapped(words: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        words,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
