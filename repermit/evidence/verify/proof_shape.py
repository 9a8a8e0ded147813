"""Checking the shape and the order of a proof, see docs/reference/proof-format.md. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from repermit.evidence.consent_receipt import NO_REGISTER
from repermit.evidence.proof_file import DEADLINE_NAMES, WORDINGS
from repermit.evidence.verify.held_entry import (
    HASH,
    SUBJECT,
    check_held_entry,
    require,
    require_entry,
    require_entry_time,
)
from repermit.i18n.lazy_text import LazyText

# The seals of an archive have the time at which the archive was begun.
_AFTER_SEAL = timedelta(days=1)
_ALLOWED_VALUES = {
    "confirmed": {"answer": {"yes"}, "basis": {"answer", "sign_up", "imported", "thin"}},
    "customer": {"basis": {"customer"}},
    "removed": {"answer": {"no"}},
}
"""The values that the part `consent` may have by event, for names that it has."""

_TEXTS = (
    *("answer", "method", "reason", "basis", "by", "file", "purpose", "note", "proof", "given_by"),
    *("arrived_at", "left_at", "at", "basis_at", "asked_at", "asked_again_at", "reminded_at"),
    *("deadline", "requested_at", "confirmed_at", "imported_at", "address", "name", "source"),
    *("since", "list_name", "frequency", "privacy_url", "language", "status"),
    *WORDINGS,
)
"""The names in a part that must be texts, if they are there.

The consent record or the sentences of the proof show them.
"""

_OF_UNSEEN = ("frequency", "privacy_url", "language")


def check_shape(document: Mapping[str, Any]) -> Iterator[LazyText]:
    """Yield the faults of a proof that contradicts itself.

    Raises ValueError, LookupError, TypeError or AttributeError for a proof of another form.
    """
    statement, seal = document["statement"], document["seal"]
    _require_statement(statement)
    entries = [*statement["entries"], seal]
    for record in entries:
        require_entry(record["entry"], is_subject=SUBJECT.fullmatch)
    if "last" in document:
        require_entry(document["last"]["entry"], is_subject=_is_subject_or_none)
        require(document["last"]["parts"] == {})
    require(seal["parts"].keys() == {"consent"})
    require(seal["entry"]["person"] == seal["entry"]["trace"] == "")
    for path in document["paths"].values():
        require(isinstance(path, list))
    yield from check_campaign_entries(statement, seal)
    sealed = _parse_time(seal["entry"])
    for record in (*statement["entries"], *statement.get("campaign_entries", ())):
        seq = str(record["entry"]["seq"])
        if _parse_time(record["entry"]) - sealed > _AFTER_SEAL:
            yield LazyText("entry %(seq)s has a later time than the proof's own", seq=seq)
        if not _has_allowed_values(record):
            yield LazyText("entry %(seq)s says what its event cannot", seq=seq)


def check_campaign_entries(
    statement: Mapping[str, Any], seal: Mapping[str, Any]
) -> Iterator[LazyText]:
    """Yield the faults of a proof's entries of launches and extensions.

    Raises ValueError, LookupError, TypeError or AttributeError for entries of another form.
    """
    entries, own = statement.get("campaign_entries", ()), statement["entries"]
    campaigns = {record["entry"]["campaign"] for record in own} - {0}
    before = 0
    for record in entries:
        yield from check_held_entry(record)
        entry, seq = record["entry"], str(record["entry"]["seq"])
        require_entry(entry, is_subject=_is_nobody)
        require(record["parts"].keys() == {"consent"})
        require(entry["person"] == entry["trace"] == "")
        is_own = entry["list"] == statement["list"] and entry["campaign"] in campaigns
        if entry["event"] not in DEADLINE_NAMES or not is_own:
            yield LazyText("entry %(seq)s is not about a campaign of this person and list", seq=seq)
        if not before < entry["seq"] < seal["entry"]["seq"]:
            yield LazyText("entry %(seq)s is out of order", seq=seq)
        before = entry["seq"]
    for record in own:
        if not _was_silent_until_deadline(record, entries):
            yield LazyText(
                "entry %(seq)s tells a silence that was not until the deadline that was set last",
                seq=str(record["entry"]["seq"]),
            )


def _was_silent_until_deadline(
    record: Mapping[str, Any], campaign_entries: Iterable[Mapping[str, Any]]
) -> bool:
    """Say whether a removal for silence came after the deadline that was set last before it.

    True for any other entry, for one without a deadline, and if the proof has no earlier entry of
    the campaign.
    """
    entry, consent = record["entry"], _read_consent(record)
    before = [
        other
        for other in campaign_entries
        if other["entry"]["campaign"] == entry["campaign"] and other["entry"]["seq"] < entry["seq"]
    ]
    if consent.get("reason") != "no_response" or not consent.get("deadline") or not before:
        return True
    require_entry_time(consent["deadline"])
    name = DEADLINE_NAMES.get(before[-1]["entry"]["event"], "deadline")
    return bool(_read_consent(before[-1]).get(name) == consent["deadline"] <= entry["at"])


def require_content(content: Any) -> None:
    """Raise TypeError or AttributeError unless a part is an object with texts where required.

    A name with `null` counts as absent.
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


def _read_consent(record: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = record["parts"].get("consent", {}).get("content", {})
    return content


def _is_subject_or_none(subject: str) -> bool:
    return subject == "" or SUBJECT.fullmatch(subject) is not None


def _parse_time(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _has_allowed_values(record: Mapping[str, Any]) -> bool:
    """Say whether an entry's part `consent` has values that its event allows."""
    consent = _read_consent(record)
    allowed = _ALLOWED_VALUES.get(record["entry"]["event"], {})
    return all(consent.get(name) in {None, "", *values} for name, values in allowed.items())
