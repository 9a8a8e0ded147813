"""A proof in plain words: who said what, when, and to which wording; in English and Dutch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from repermit.evidence import consent_receipt
from repermit.evidence.proof_file import told_by
from repermit.i18n import catalogues, dates
from repermit.rules.consent import Reason

# --- The person's status by a proof, in a sentence. -----------------------------------------------


_STATUS_EVENTS = ("added", "customer", "confirmed", "removed", "suppressed")
_UNDOING_EVENTS = ("import_undone", "sign_up_undone", "erased")


def describe_status(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return what held of the person when a proof was made, by its entries.

    By the last of them rather than by the latest moment: what is put on record late, such as a Yes
    that had come in time, holds from then on.
    """
    gettext = catalogues.translations(language).gettext
    last_entry = _find_last_entry(document["statement"]["entries"])
    if last_entry is None:
        return gettext("By these entries nothing holds of this person: neither a Yes nor a No.")
    removed_sentence = gettext(
        "This person is not asked and gets no mail of this list, since %(moment)s."
    )
    sentences = {
        "added": gettext("This person is on the list since %(moment)s, and may be asked."),
        "customer": gettext("This person may be mailed as a customer, since %(moment)s."),
        "confirmed": gettext(
            "This person may be mailed: an opt-in stands on record since %(moment)s."
        ),
    }
    sentence = sentences.get(last_entry["entry"]["event"], removed_sentence)
    return sentence % {"moment": format_time(read_time(last_entry), language=language, zone=zone)}


def _find_last_entry(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last entry that put the person somewhere and was not taken back since.

    With its file, or as the Yes of a sign-up that was no person's.
    """
    status_entries: list[Mapping[str, Any]] = []
    for entry in entries:
        event = entry["entry"]["event"]
        consent_part = read_part(entry, "consent") if event in _UNDOING_EVENTS else {}
        if at := consent_part.get("imported_at") or consent_part.get("confirmed_at"):
            status_entries = [earlier for earlier in status_entries if earlier["entry"]["at"] != at]
        elif event in _STATUS_EVENTS:
            status_entries.append(entry)
    return status_entries[-1] if status_entries else None


# --- The entries of a proof, in sentences. --------------------------------------------------------


LANGUAGES = ("en", "nl")


@dataclass(frozen=True, kw_only=True)
class EntryText:
    """One entry in words: its number and time, a sentence, and further lines about it."""

    seq: int
    at: str
    text: str
    more: tuple[str, ...]


def describe_entries(
    document: Mapping[str, Any], *, language: str, zone: ZoneInfo
) -> tuple[EntryText, ...]:
    """Return what a proof that holds shows, in the order of time, in one of `LANGUAGES`."""
    gettext = catalogues.translations(language).gettext
    entries = document["statement"]["entries"]
    statements, times = told_by(entries), _list_times(entries)
    order = sorted(range(len(entries)), key=times.__getitem__)
    return tuple(
        EntryText(
            seq=entry["entry"]["seq"],
            at=format_time(read_time(entry), language=language, zone=zone),
            text=_word_entry(
                entry,
                gettext,
                is_taken_back=consent_receipt.is_taken_back(
                    statements[index], statements[index + 1 :]
                ),
            ),
            more=(
                *_iter_details(entry, gettext, language, zone),
                *_iter_late_note(
                    entry, gettext, language, zone, is_late=max(times[: index + 1]) > times[index]
                ),
            ),
        )
        for index, entry in ((index, entries[index]) for index in order)
    )


def _list_times(entries: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """Return by which moment each entry has its place; without one, it stays behind the last."""
    times: list[datetime] = []
    for entry in entries:
        previous = times[-1] if times else datetime.min.replace(tzinfo=UTC)
        try:
            at = datetime.fromisoformat(read_time(entry))
        except (TypeError, ValueError):
            at = previous
        times.append(at if at.tzinfo else previous)
    return times


def format_time(text: str, *, language: str, zone: ZoneInfo) -> str:
    """Return a moment of RFC 3339 in words, with the seconds and the zone that they hide.

    Somebody else's proof may have anything there, which is told as it is.
    """
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, OverflowError):
        return text
    words = dates.moment_in_words(at, language=language, zone=zone)
    return f"{words} ({at.strftime('%H:%M:%S %Z')})"


def read_part(entry: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return what a part of an entry says, nothing if it is held no longer."""
    content: Mapping[str, Any] = entry["parts"].get(part, {}).get("content", {})
    return content


def read_time(entry: Mapping[str, Any]) -> str:
    """Return when it happened that an entry is about: an answer as it came, say."""
    consent_part = read_part(entry, "consent")
    at: str = consent_part.get("arrived_at") or consent_part.get("left_at") or entry["entry"]["at"]
    return at


def _word_entry(
    entry: Mapping[str, Any], gettext: Callable[[str], str], *, is_taken_back: bool
) -> str:
    event: str = entry["entry"]["event"]
    consent_part = read_part(entry, "consent")
    if is_taken_back:
        return gettext("Yes was pressed on a page. It was taken back since, as stands below.")
    if event == "confirmed":
        return _word_confirmed(consent_part, gettext)
    if event == "removed":
        return _word_removed(consent_part, gettext)
    if event == "erased" and consent_part.get("why") == "retention":
        return _word_ended_part(consent_part, gettext)
    sentences = {
        "corrected": gettext("The person corrected what is held about them."),
        "not_the_person": gettext(
            "Somebody who reads the mail to this address said not to be the person meant."
        ),
        "reply_set_aside": gettext("A mail of the person was found to be no Yes and no No."),
        "reply_reopened": gettext("That mail of the person was looked at again."),
        "still_mailed": gettext("The person unsubscribed from a mail that came from elsewhere."),
        "suppressed": gettext("The address was put down as one that is not to be asked."),
        "customer": gettext("The person was put down as a customer."),
        "added": gettext("The person was put on the list by hand, to be asked."),
        "opted_out": gettext("The file that was taken over says that the person wants no mail."),
        "import_undone": gettext("The file that had said so was taken back."),
        "sign_up_undone": gettext(
            "Yes and No were pressed within a minute of each other, as programs do."
        ),
        "erased": gettext("What was held about the person was erased."),
        "proved": gettext("A proof like this one was made."),
    }
    return sentences.get(event, event)


def _word_confirmed(consent_part: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    if consent_part.get("answer") == "yes":
        if consent_part.get("method") == "page":
            return gettext("The person said Yes, by pressing a button on a page.")
        return gettext("The person said Yes, as the list’s keeper noted.")
    if consent_part.get("method") == "by_hand":
        return gettext("An opt-in of the person was entered by hand.")
    if consent_part:
        return gettext("A sign-up of the person was taken over from another tool.")
    return gettext("An opt-in of the person was recorded; how is held no longer.")


def _word_ended_part(consent_part: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    """Return what ended by itself, which is no erasure of all that was held."""
    if consent_part.get("parts") == ["consent"]:
        return gettext("The proof was erased: its time was over.")
    return gettext("Network and browser were erased: their time was over.")


def _word_removed(consent_part: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    if consent_part.get("method") == consent_receipt.NOT_THE_PERSON:
        return gettext(
            "The person was taken off, since somebody who reads their mail said not to be the "
            "person meant. That is neither a No nor a withdrawal of theirs."
        )
    if consent_part.get("file"):
        return gettext(
            "The person was taken off, since a file that was taken in says that this address is "
            "not to be mailed."
        )
    if consent_part.get("moved"):
        return gettext(
            "The person had moved to another address, which the backup that was put back does not "
            "know; their former one was taken off."
        )
    is_unknown = consent_part.get("by") or consent_part.get("method") in consent_receipt.TAKEN_BACK
    if consent_part.get("reason") == Reason.REQUEST and is_unknown:
        return gettext("The person was taken off at a request; whose is not known.")
    return {
        Reason.NO: gettext("The person said No, and was taken off."),
        Reason.WITHDRAWN: gettext("The person withdrew: a No after having been on the list."),
        Reason.NO_RESPONSE: gettext("The person was taken off, since no answer had come in time."),
        Reason.BOUNCE: gettext("The person was taken off, since mail to the address came back."),
        Reason.COMPLAINT: gettext("The person was taken off, since they reported a mail."),
        Reason.REQUEST: gettext("The person was taken off at their own request."),
    }.get(
        consent_part.get("reason", ""), gettext("The person was taken off; why is held no longer.")
    )


def _iter_details(
    entry: Mapping[str, Any], gettext: Callable[[str], str], language: str, zone: ZoneInfo
) -> Iterator[str]:
    """Yield who it was, what was asked when, and with which words."""
    consent_part, person_part = read_part(entry, "consent"), read_part(entry, "person")
    yield from _iter_persons(consent_part, person_part, gettext)
    if consent_part.get("purpose"):
        yield gettext("For what: %(purpose)s") % {"purpose": consent_part["purpose"]}
    if consent_part.get("unseen"):
        yield gettext(
            "What the list was for then, which nothing shows that the person was told: %(purpose)s"
        ) % {"purpose": consent_part["unseen"]["purpose"]}
    event = entry["entry"]["event"]
    times = {**consent_part, "asked_again_at": read_part(entry, "trace").get("asked_again_at")}
    asked_text = (
        gettext("Asked by mail: %(moment)s") if event in consent_receipt.ABOUT_AN_ASK else ""
    )
    for text, name in (
        (gettext("Signed up: %(moment)s"), "at"),
        (gettext("Signed up: %(moment)s"), "basis_at"),
        (asked_text, "asked_at"),
        (gettext("The new address was given: %(moment)s"), "requested_at"),
        (gettext("The new address was confirmed from there: %(moment)s"), "confirmed_at"),
        (gettext("Reminded: %(moment)s"), "reminded_at"),
        (gettext("Could be answered until: %(moment)s"), "deadline"),
        (
            gettext("Asked for once more, since it looked like a program’s: %(moment)s"),
            "asked_again_at",
        ),
    ):
        if text and times.get(name):
            yield text % {"moment": format_time(times[name], language=language, zone=zone)}
    if consent_part.get("left_at"):
        at = format_time(entry["entry"]["at"], language=language, zone=zone)
        yield gettext("Recorded anew from a backup: %(moment)s") % {"moment": at}
    for text, name in (
        (gettext("How it was noted: %(said)s"), "note"),
        (gettext("What shows it: %(said)s"), "proof"),
    ):
        if person_part.get(name):
            yield text % {"said": person_part[name]}
    for text, name in (
        (gettext("Wording of the mail: %(said)s"), "mail_wording"),
        (gettext("Wording of the page: %(said)s"), "page_wording"),
        (gettext("Wording of the form: %(said)s"), "wording"),
    ):
        if consent_part.get(name):
            yield text % {"said": consent_part[name]}


def _iter_late_note(
    entry: Mapping[str, Any],
    gettext: Callable[[str], str],
    language: str,
    zone: ZoneInfo,
    *,
    is_late: bool,
) -> Iterator[str]:
    """Yield when an entry was made, if something that happened later was put on record before."""
    if is_late and not read_part(entry, "consent").get("left_at"):
        at = format_time(entry["entry"]["at"], language=language, zone=zone)
        yield gettext("Put on record after what follows: %(moment)s") % {"moment": at}


def _iter_persons(
    consent_part: Mapping[str, Any], person_part: Mapping[str, Any], gettext: Callable[[str], str]
) -> Iterator[str]:
    if person_part.get("address"):
        name = f"{person_part['name']} " if person_part.get("name") else ""
        yield gettext("Who: %(who)s") % {"who": f"{name}<{person_part['address']}>"}
    if consent_part.get("given_by") == consent_receipt.REPRESENTATIVE:
        yield gettext("Given by the person’s legal representative, as whoever answered said.")
