"""The shapes and order of a proof, as docs/reference/proof-format.md has them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from repermit.evidence.consent_receipt import NO_REGISTER
from repermit.evidence.proof_file import WORDINGS
from repermit.evidence.verify.held_entry import HASH, SUBJECT, require, require_entry
from repermit.i18n.lazy_text import Said

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
        require_entry(one["entry"], is_subject=SUBJECT.fullmatch)
    if "last" in document:
        require_entry(document["last"]["entry"], is_subject=_is_subject_or_none)
        require(document["last"]["parts"] == {})
    require(seal["parts"].keys() == {"consent"})
    require(seal["entry"]["person"] == seal["entry"]["trace"] == "")
    for path in document["paths"].values():
        require(isinstance(path, list))
    sealed = _moment(seal["entry"])
    for one in statement["entries"]:
        seq = str(one["entry"]["seq"])
        if _moment(one["entry"]) - sealed > _AFTER_SEAL:
            yield Said("entry %(seq)s has a later time than the proof's own", seq=seq)
        if not _fits(one):
            yield Said("entry %(seq)s says what its event cannot", seq=seq)


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


def _is_subject_or_none(subject: str) -> bool:
    return subject == "" or SUBJECT.fullmatch(subject) is not None


def _moment(entry: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _fits(one: Mapping[str, Any]) -> bool:
    """Say whether an entry's part `consent` says what its event may."""
    told = one["parts"].get("consent", {}).get("content", {})
    may = _SAID.get(one["entry"]["event"], {})
    return all(told.get(name) in {None, "", *values} for name, values in may.items())
