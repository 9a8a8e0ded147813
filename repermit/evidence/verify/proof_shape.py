"""The shapes and order of a proof, as docs/reference/proof-format.md has them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from repermit.errors import Refused
from repermit.evidence.entries import PARTS
from repermit.evidence.proof_file import WORDINGS
from repermit.i18n.lazy_text import Said

_SUBJECT = re.compile(r"[0-9a-f]{32}")
_HASH = re.compile(r"[0-9a-f]{64}")
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", re.ASCII)
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,15}")
_LARGEST = 2**53 - 1
_SHOWN = 40
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


def shape_faults(document: Mapping[str, Any]) -> Iterator[Said]:
    """Yield what of a proof has another shape or contradicts itself.

    Raises ValueError, LookupError, TypeError or AttributeError for what has another form.
    """
    statement, seal = document["statement"], document["seal"]
    _require_statement(statement)
    entries = [*statement["entries"], seal]
    for one in entries:
        _require_entry(one["entry"], with_subject=True)
    if "last" in document:
        _require_entry(document["last"]["entry"], with_subject=False)
        _require(document["last"]["parts"] == {})
    _require(seal["parts"].keys() == {"consent"})
    _require(seal["entry"]["person"] == seal["entry"]["trace"] == "")
    for path in document["paths"].values():
        _require(isinstance(path, list))
    sealed = _moment(seal["entry"])
    for one in statement["entries"]:
        seq = str(one["entry"]["seq"])
        if _moment(one["entry"]) - sealed > _AFTER_SEAL:
            yield Said("entry %(seq)s has a later time than the proof's own", seq=seq)
        if not _fits(one):
            yield Said("entry %(seq)s says what its event cannot", seq=seq)


def read_number(text: str) -> int:
    """Return a number as a proof may have it: an integer up to 2^53 - 1, in its one form.

    Raises Refused.
    """
    if not _NUMBER.fullmatch(text) or abs(int(text)) > _LARGEST:
        raise Refused("%(number)s is no number that a proof may have", number=text[:_SHOWN])
    return int(text)


def require_content(content: Any) -> None:
    """Raise TypeError or AttributeError unless a part is an object with texts where there must be.

    `null` says what absence says.
    """
    _require(all(isinstance(content.get(name), str | None) for name in _TEXTS))
    _require(isinstance(content.get("sensitive"), bool | None))
    if "unseen" in content:
        _require(isinstance(content["unseen"]["purpose"], str))
        _require(all(isinstance(content["unseen"].get(name), str | None) for name in _OF_UNSEEN))


def _require(holds: object) -> None:
    if not holds:
        raise TypeError


def _require_statement(statement: Mapping[str, Any]) -> None:
    named = statement["named"]
    _require(isinstance(statement["list"], str))
    _require(_SUBJECT.fullmatch(statement["subject"]))
    _require(named.keys() == {"salt", "digest"})
    is_named = _SUBJECT.fullmatch(named["salt"]) and _HASH.fullmatch(named["digest"])
    _require(is_named or named["salt"] == named["digest"] == "")
    _require(statement["retention"].keys() == {"pii", "proof", "trace"})
    _require(isinstance(statement["entries"], list) and statement["entries"])
    for name in ("controller", "retention", "wordings"):
        _require(all(isinstance(text, str) for text in statement[name].values()))


def _require_entry(entry: Mapping[str, Any], *, with_subject: bool) -> None:
    _require(type(entry["seq"]) is type(entry["campaign"]) is int)
    _require(entry["seq"] > 0 and entry["campaign"] >= 0)
    _require(_AT.fullmatch(entry["at"]))
    _require(_SUBJECT.fullmatch(entry["subject"]) or not (entry["subject"] or with_subject))
    _require(all(entry[name] == "" or _HASH.fullmatch(entry[name]) for name in PARTS))
    _require(all(isinstance(entry[name], str) for name in ("event", "list", "actor")))


def _moment(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _fits(one: Mapping[str, Any]) -> bool:
    """Say whether an entry's part `consent` says what its event may."""
    told = one["parts"].get("consent", {}).get("content", {})
    may = _SAID.get(one["entry"]["event"], {})
    return all(told.get(name) in {None, "", *values} for name, values in may.items())
