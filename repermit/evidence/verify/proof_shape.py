"""The shapes and order of a proof, as docs/reference/proof-format.md has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from repermit.evidence.consent_receipt import NO_REGISTER
from repermit.evidence.proof_file import DEADLINE_NAMES, WORDINGS
from repermit.evidence.verify.held_entry import (
    HASH,
    SUBJECT,
    held_faults,
    require,
    require_entry,
    require_moment,
)
from repermit.i18n.lazy_text import LazyText

# The seals of an archive have the time at which that began.
_AFTER_SEAL = timedelta(days=1)
_SAID = {
    "confirmed": {"answer": {"yes"}, "basis": {"answer", "sign_up", "imported", "thin"}},
    "customer": {"basis": {"customer"}},
    "removed": {"answer": {"no"}},
}
"""What the part `consent` may say of an event, where it says it."""

_TEXTS = (
    *("answer", "method", "reason", "basis", "by", "file", "purpose", "note", "proof", "given_by"),
    *("arrived_at", "left_at", "at", "basis_at", "asked_at", "asked_again_at", "reminded_at"),
    *("deadline", "requested_at", "confirmed_at", "imported_at", "address", "name", "source"),
    *("since", "list_name", "frequency", "privacy_url", "language", "status"),
    *WORDINGS,
)
"""The names in a part that the record is made from or that are shown in words: texts, if there."""

_OF_UNSEEN = ("frequency", "privacy_url", "language")


def shape_faults(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield what of a proof has another shape or contradicts itself.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    statement, seal = document["statement"], document["seal"]
    _require_statement(statement)
    entries = [*statement["entries"], seal]
    for one in entries:
        require_entry(one["entry"], is_subject=SUBJECT.fullmatch)
    if "last" in document:
        require_entry(document["last"]["entry"], is_subject=_is_subject_or_none)
        require(document["last"]["parts"] == {})
    require(seal["parts"].keys() == {"consent"})
    require(seal["entry"]["person"] == seal["entry"]["trace"] == "")
    for path in document["paths"].values():
        require(isinstance(path, list))
    yield from campaign_faults(statement, seal)
    sealed = _moment(seal["entry"])
    for one in (*statement["entries"], *statement.get("campaign_entries", ())):
        seq = str(one["entry"]["seq"])
        if _moment(one["entry"]) - sealed > _AFTER_SEAL:
            yield LazyText("entry %(seq)s has a later time than the proof's own", seq=seq)
        if not _fits(one):
            yield LazyText("entry %(seq)s says what its event cannot", seq=seq)


def campaign_faults(statement: Mapping[str, Any], seal: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield what is wrong with how a proof's campaigns were launched and extended.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    entries, own = statement.get("campaign_entries", ()), statement["entries"]
    campaigns = {one["entry"]["campaign"] for one in own} - {0}
    before = 0
    for one in entries:
        yield from held_faults(one)
        entry, seq = one["entry"], str(one["entry"]["seq"])
        require_entry(entry, is_subject=_is_nobody)
        require(one["parts"].keys() == {"consent"})
        require(entry["person"] == entry["trace"] == "")
        is_own = entry["list"] == statement["list"] and entry["campaign"] in campaigns
        if entry["event"] not in DEADLINE_NAMES or not is_own:
            yield LazyText("entry %(seq)s is not about a campaign of this person and list", seq=seq)
        if not before < entry["seq"] < seal["entry"]["seq"]:
            yield LazyText("entry %(seq)s is out of order", seq=seq)
        before = entry["seq"]
    for one in own:
        if not _was_silent_until_deadline(one, entries):
            yield LazyText(
                "entry %(seq)s tells a silence that was not until the deadline that was set last",
                seq=str(one["entry"]["seq"]),
            )


def _was_silent_until_deadline(
    one: Mapping[str, Any], campaign_entries: Iterable[Mapping[str, Any]]
) -> bool:
    """Say whether a removal for silence came after the deadline that was set last before it.

    Any other entry, and a silence of whose campaign nothing is told, says nothing else.
    """
    entry, told = one["entry"], _consent_of(one)
    before = [
        other
        for other in campaign_entries
        if other["entry"]["campaign"] == entry["campaign"] and other["entry"]["seq"] < entry["seq"]
    ]
    if told.get("reason") != "no_response" or not told.get("deadline") or not before:
        return True
    require_moment(told["deadline"])
    name = DEADLINE_NAMES.get(before[-1]["entry"]["event"], "deadline")
    return bool(_consent_of(before[-1]).get(name) == told["deadline"] <= entry["at"])


def require_content(content: Any) -> None:
    """Raise TypeError or AttributeError unless a part is an object with texts where there must be.

    `null` says what absence says.
    """
    require(all(isinstance(content.get(name), str | None) for name in _TEXTS))
    require(isinstance(content.get("sensitive"), bool | None))
    if "unseen" in content:
        require(isinstance(content["unseen"]["purpose"], str))
        require(all(isinstance(content["unseen"].get(name), str | None) for name in _OF_UNSEEN))


def _require_statement(statement: Mapping[str, Any]) -> None:
    named = statement["named"]
    require(isinstance(statement["list"], str))
    require(SUBJECT.fullmatch(statement["subject"]))
    require(named.keys() == {"salt", "digest"})
    is_named = SUBJECT.fullmatch(named["salt"]) and HASH.fullmatch(named["digest"])
    require(is_named or named["salt"] == named["digest"] == "")
    require(statement["retention"].keys() == {"pii", "proof", "trace"})
    require(isinstance(statement["entries"], list) and statement["entries"])
    if "register" in statement:
        require(statement["register"].keys() == NO_REGISTER.keys())
        require(all(map(_is_list_of_texts, statement["register"].values())))
    for name in ("controller", "retention", "wordings"):
        require(all(isinstance(text, str) for text in statement[name].values()))


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text for text in value)


def _is_nobody(subject: str) -> bool:
    return subject == ""


def _consent_of(one: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = one["parts"].get("consent", {}).get("content", {})
    return content


def _is_subject_or_none(subject: str) -> bool:
    return subject == "" or SUBJECT.fullmatch(subject) is not None


def _moment(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _fits(one: Mapping[str, Any]) -> bool:
    """Say whether an entry's part `consent` says what its event may."""
    told = _consent_of(one)
    may = _SAID.get(one["entry"]["event"], {})
    return all(told.get(name) in {None, "", *values} for name, values in may.items())
