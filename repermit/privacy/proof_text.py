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


_PUTTING = ("added", "customer", "confirmed", "removed", "suppressed")
_TAKING_BACK = ("import_undone", "sign_up_undone", "erased")


def describe_status(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return what held of the person when a proof was made, by its entries.

    By the last of them rather than by the latest moment: what is put on record late, such as a Yes
    that had come in time, holds from then on.
    """
    gettext = catalogues.translations(language).gettext
    last = _last(document["statement"]["entries"])
    if last is None:
        return gettext("By these entries nothing holds of this person: neither a Yes nor a No.")
    gone = gettext("This person is not asked and gets no mail of this list, since %(moment)s.")
    words = {
        "added": gettext("This person is on the list since %(moment)s, and may be asked."),
        "customer": gettext("This person may be mailed as a customer, since %(moment)s."),
        "confirmed": gettext(
            "This person may be mailed: an opt-in stands on record since %(moment)s."
        ),
    }
    sentence = words.get(last["entry"]["event"], gone)
    return sentence % {"moment": moment(when(last), language=language, zone=zone)}


def _last(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the last entry that put the person somewhere and was not taken back since.

    With its file, or as the Yes of a sign-up that was no person's.
    """
    found: list[Mapping[str, Any]] = []
    for one in entries:
        event = one["entry"]["event"]
        told = content_of(one, "consent") if event in _TAKING_BACK else {}
        if at := told.get("imported_at") or told.get("confirmed_at"):
            found = [other for other in found if other["entry"]["at"] != at]
        elif event in _PUTTING:
            found.append(one)
    return found[-1] if found else None


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
    said, moments = told_by(entries), _moments(entries)
    order = sorted(range(len(entries)), key=moments.__getitem__)
    return tuple(
        EntryText(
            seq=one["entry"]["seq"],
            at=moment(when(one), language=language, zone=zone),
            text=_text(
                one, gettext, is_taken_back=consent_receipt.is_taken_back(said[n], said[n + 1 :])
            ),
            more=(
                *_more(one, gettext, language, zone),
                *_late(one, gettext, language, zone, is_late=max(moments[: n + 1]) > moments[n]),
            ),
        )
        for n, one in ((n, entries[n]) for n in order)
    )


def _moments(entries: Sequence[Mapping[str, Any]]) -> list[datetime]:
    """Return by which moment each entry has its place; without one, it stays behind the last."""
    found: list[datetime] = []
    for one in entries:
        before = found[-1] if found else datetime.min.replace(tzinfo=UTC)
        try:
            at = datetime.fromisoformat(when(one))
        except (TypeError, ValueError):
            at = before
        found.append(at if at.tzinfo else before)
    return found


def moment(text: str, *, language: str, zone: ZoneInfo) -> str:
    """Return a moment of RFC 3339 in words, with the seconds and the zone that they hide.

    Somebody else's proof may have anything there, which is told as it is.
    """
    try:
        at = datetime.fromisoformat(text).astimezone(zone)
    except (ValueError, OverflowError):
        return text
    words = dates.moment_in_words(at, language=language, zone=zone)
    return f"{words} ({at.strftime('%H:%M:%S %Z')})"


def content_of(one: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    """Return what a part of an entry says, nothing if it is held no longer."""
    found: Mapping[str, Any] = one["parts"].get(part, {}).get("content", {})
    return found


def when(one: Mapping[str, Any]) -> str:
    """Return when it happened that an entry is about: an answer as it came, say."""
    told = content_of(one, "consent")
    at: str = told.get("arrived_at") or told.get("left_at") or one["entry"]["at"]
    return at


def _text(one: Mapping[str, Any], gettext: Callable[[str], str], *, is_taken_back: bool) -> str:
    event: str = one["entry"]["event"]
    told = content_of(one, "consent")
    if is_taken_back:
        return gettext("Yes was pressed on a page. It was taken back since, as stands below.")
    if event == "confirmed":
        return _confirmed(told, gettext)
    if event == "removed":
        return _removed(told, gettext)
    if event == "erased" and told.get("why") == "retention":
        return _find_ended(told, gettext)
    known = {
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
    return known.get(event, event)


def _confirmed(told: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    if told.get("answer") == "yes":
        if told.get("method") == "page":
            return gettext("The person said Yes, by pressing a button on a page.")
        return gettext("The person said Yes, as the list’s keeper noted.")
    if told.get("method") == "by_hand":
        return gettext("An opt-in of the person was entered by hand.")
    if told:
        return gettext("A sign-up of the person was taken over from another tool.")
    return gettext("An opt-in of the person was recorded; how is held no longer.")


def _find_ended(told: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    """Return what ended by itself, which is no erasure of all that was held."""
    if told.get("parts") == ["consent"]:
        return gettext("The proof was erased: its time was over.")
    return gettext("Network and browser were erased: their time was over.")


def _removed(told: Mapping[str, Any], gettext: Callable[[str], str]) -> str:
    if told.get("method") == consent_receipt.NOT_THE_PERSON:
        return gettext(
            "The person was taken off, since somebody who reads their mail said not to be the "
            "person meant. That is neither a No nor a withdrawal of theirs."
        )
    if told.get("file"):
        return gettext(
            "The person was taken off, since a file that was taken in says that this address is "
            "not to be mailed."
        )
    if told.get("moved"):
        return gettext(
            "The person had moved to another address, which the backup that was put back does not "
            "know; their former one was taken off."
        )
    is_unknown = told.get("by") or told.get("method") in consent_receipt.TAKEN_BACK
    if told.get("reason") == Reason.REQUEST and is_unknown:
        return gettext("The person was taken off at a request; whose is not known.")
    return {
        Reason.NO: gettext("The person said No, and was taken off."),
        Reason.WITHDRAWN: gettext("The person withdrew: a No after having been on the list."),
        Reason.NO_RESPONSE: gettext("The person was taken off, since no answer had come in time."),
        Reason.BOUNCE: gettext("The person was taken off, since mail to the address came back."),
        Reason.COMPLAINT: gettext("The person was taken off, since they reported a mail."),
        Reason.REQUEST: gettext("The person was taken off at their own request."),
    }.get(told.get("reason", ""), gettext("The person was taken off; why is held no longer."))


def _more(
    one: Mapping[str, Any], gettext: Callable[[str], str], language: str, zone: ZoneInfo
) -> Iterator[str]:
    """Yield who it was, what was asked when, and with which words."""
    told, person = content_of(one, "consent"), content_of(one, "person")
    yield from _who(told, person, gettext)
    if told.get("purpose"):
        yield gettext("For what: %(purpose)s") % {"purpose": told["purpose"]}
    if told.get("unseen"):
        yield gettext(
            "What the list was for then, which nothing shows that the person was told: %(purpose)s"
        ) % {"purpose": told["unseen"]["purpose"]}
    event = one["entry"]["event"]
    times = {**told, "asked_again_at": content_of(one, "trace").get("asked_again_at")}
    asked = gettext("Asked by mail: %(moment)s") if event in consent_receipt.ABOUT_AN_ASK else ""
    for text, name in (
        (gettext("Signed up: %(moment)s"), "at"),
        (gettext("Signed up: %(moment)s"), "basis_at"),
        (asked, "asked_at"),
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
            yield text % {"moment": moment(times[name], language=language, zone=zone)}
    if told.get("left_at"):
        at = moment(one["entry"]["at"], language=language, zone=zone)
        yield gettext("Recorded anew from a backup: %(moment)s") % {"moment": at}
    for text, name in (
        (gettext("How it was noted: %(said)s"), "note"),
        (gettext("What shows it: %(said)s"), "proof"),
    ):
        if person.get(name):
            yield text % {"said": person[name]}
    for text, name in (
        (gettext("Wording of the mail: %(said)s"), "mail_wording"),
        (gettext("Wording of the page: %(said)s"), "page_wording"),
        (gettext("Wording of the form: %(said)s"), "wording"),
    ):
        if told.get(name):
            yield text % {"said": told[name]}


def _late(
    one: Mapping[str, Any],
    gettext: Callable[[str], str],
    language: str,
    zone: ZoneInfo,
    *,
    is_late: bool,
) -> Iterator[str]:
    """Yield when an entry was made, if something that happened later was put on record before."""
    if is_late and not content_of(one, "consent").get("left_at"):
        at = moment(one["entry"]["at"], language=language, zone=zone)
        yield gettext("Put on record after what follows: %(moment)s") % {"moment": at}


def _who(
    told: Mapping[str, Any], person: Mapping[str, Any], gettext: Callable[[str], str]
) -> Iterator[str]:
    if person.get("address"):
        name = f"{person['name']} " if person.get("name") else ""
        yield gettext("Who: %(who)s") % {"who": f"{name}<{person['address']}>"}
    if told.get("given_by") == consent_receipt.REPRESENTATIVE:
        yield gettext("Given by the person’s legal representative, as whoever answered said.")
