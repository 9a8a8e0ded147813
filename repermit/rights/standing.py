"""What a proof shows to hold of a person, and since when, in a sentence.

May import messages and telling. English and Dutch, as the rest of what a proof is told in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repermit import messages
from repermit.rights.telling import content_of, moment, when

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from zoneinfo import ZoneInfo

_PUTTING = ("added", "customer", "confirmed", "removed", "suppressed")
_TAKING_BACK = ("import_undone", "sign_up_undone", "erased")


def standing(document: Mapping[str, Any], *, language: str, zone: ZoneInfo) -> str:
    """Return what held of the person when a proof was made, by its entries.

    By the last of them rather than by the latest moment: what is put on record late, such as a Yes
    that had come in time, holds from then on.
    """
    gettext = messages.translations(language).gettext
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
