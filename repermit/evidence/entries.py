"""Entries and checkpoints: what the chain takes in, what is told of it, who acts."""

from __future__ import annotations

import hashlib
import json
import pwd
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry to append.

    `list` is the slug; `actor` is "person", "reader" (of the mail to an address, who is not the
    person meant), "job", or who acted. The parts are what JSON can hold; an empty part is not
    written. `texts` are canonical texts that stand for parts, by name, as a PartForm makes them.
    """

    event: str
    at: datetime
    actor: str
    list: str = ""
    campaign: int = 0
    subject: str = ""
    consent: Mapping[str, Any] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    trace: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """What fixes the whole chain up to an entry; kept elsewhere, it shows a cut or rewritten tail.

    `seq` is the entry's number, which is how many there are; `hash` is its hash, and `root` that of
    the RFC 9162 Merkle tree over all leaves up to it, both in hex. `note` is the same as a signed
    note, "" for one that is not signed; two are equal whoever signed them.
    """

    seq: int
    hash: str
    root: str
    note: str = field(default="", compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it; there is a `note` only if it is signed."""
        return {name: value for name, value in asdict(self).items() if name != "note" or value}

    @classmethod
    def from_json(cls, document: Any) -> Checkpoint:
        """Read it from such a document, or from one that holds it under the key `checkpoint`.

        Raises ValueError.
        """
        found = document.get("checkpoint", document) if isinstance(document, dict) else None
        if not isinstance(found, dict) or not _is_checkpoint(found):
            raise ValueError("there is no checkpoint in it: seq, hash and root")
        return cls(seq=found["seq"], hash=found["hash"], root=found["root"])


def _is_checkpoint(found: Mapping[str, Any]) -> bool:
    seq = found.get("seq")
    hashes = (found.get("hash"), found.get("root"))
    return type(seq) is int and seq >= 0 and all(map(is_hash, hashes))


# --- The one text of an entry and the digests over it. --------------------------------------------


PARTS = ("consent", "person", "trace")
"""The parts of an entry: what was agreed, who it was, and how the answer reached us."""

NOTHING_BEFORE = "0" * 64
"""What stands for the previous hash in front of the first entry."""


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, no escapes beyond need."""
    return _encode(value)


# Made once: json.dumps makes an encoder for each call, which takes longer than the encoding.
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode
_HASH = re.compile(r"[0-9a-f]{64}")


class PartForm:
    """Makes the texts of parts that have all in common but some texts, each as `canonical` has it.

    - `common`: what all of them say, by name; `names`: what the texts are called.
    """

    def __init__(self, common: Mapping[str, Any], names: Iterable[str]) -> None:
        self._names = sorted(names)
        text = canonical({**common, **dict.fromkeys(self._names, _MARK)})
        self._text = text.replace("%", "%%").replace(_quoted(_MARK), "%s")

    def fill(self, texts: Mapping[str, str]) -> str:
        """Return the text of a part."""
        return self._text % tuple([_quoted(texts[name]) for name in self._names])


_MARK = secrets.token_hex(16)
"""What no part says, since nobody knows it."""


def is_hash(value: object) -> bool:
    """Say whether this is a SHA-256 in hex."""
    return isinstance(value, str) and _HASH.fullmatch(value) is not None


def compute_leaf(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry's canonical JSON, in hex.

    Its moment may be text already, as SQLite keeps it. Raises TypeError, ValueError or
    AttributeError for what is no entry's.
    """
    at = row["at"]
    if not isinstance(at, str):
        at = at.astimezone(UTC).isoformat(timespec="microseconds")
    # What `canonical` makes of it, which takes three times as long: a million are verified.
    text = (
        f'{{"actor":{_quoted(row["actor"])},"at":{_quoted(at)},"campaign":{row["campaign"]:d},'
        f'"consent":{_quoted(row["consent"])},"event":{_quoted(row["event"])},'
        f'"list":{_quoted(row["list"])},"person":{_quoted(row["person"])},"seq":{row["seq"]:d},'
        f'"subject":{_quoted(row["subject"])},"trace":{_quoted(row["trace"])}}}'
    )
    return hashlib.sha256(text.encode()).hexdigest()


def compute_part_digest(salt: str, text: str) -> str:
    """Return the SHA-256 of a part's salt (16 bytes, given in hex) and JSON, in hex."""
    return hashlib.sha256(bytes.fromhex(salt) + text.encode()).hexdigest()


def compute_chain_hash(previous: str, its_leaf: str) -> str:
    """Return an entry's hash: SHA-256 of the previous entry's hash and its own leaf, in hex."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(its_leaf)).hexdigest()


# --- The names of all events that entries of the record may have. ---------------------------------


EVENTS = frozenset(
    {
        # Lists and files.
        "list_added",
        "list_changed",
        "list_deleted",
        "handed_in",
        "given_up",
        "imported",
        "import_undone",
        # Campaigns.
        "conditions_changed",
        "launched",
        "paused",
        "resumed",
        "extended",
        "reminder_added",
        "cancelled",
        "expired_despite_downtime",
        "test_mail_sent",
        "closed",
        "resolved",
        # People.
        "confirmed",
        "customer",
        "added",
        "removed",
        "suppressed",
        "sign_up_undone",
        "not_the_person",
        "corrected",
        "suppressions_imported",
        "suppressions_put_back",
        "erased",
        "proved",
        "reply_set_aside",
        "reply_reopened",
        "still_mailed",
        # Files and papers.
        "exported",
        "archived",
        "handed_over",
        "not_handed_over",
        "paper_made",
        "register_changed",
        # Who may log in.
        "logged_in",
        "logged_out",
        "password_chosen",
        "password_changed",
        "second_step_set_up",
        "recovery_codes_renewed",
        "session_ended",
        "sessions_ended",
        "user_added",
        "user_invited",
        "user_role_changed",
        "user_removed",
        "token_made",
        "token_revoked",
        # The installation.
        "backed_up",
        "restored",
        "evidence_key",
        "timestamp_authority",
        "settings_changed",
        "text_corrected",
        "webhook_added",
        "webhook_removed",
        "webhook_tested",
        "webhook_redelivered",
    }
)
"""Every event; ACTS in the log's words has the same names."""


# --- Who gives commands, as records name them. ----------------------------------------------------


_KIND = "cli:"


def actor_of_login(uid: int) -> str:
    """Return how records name whoever has this login."""
    return f"{_KIND}{uid}"


def login_name(actor: str) -> str:
    """Return what this machine calls whoever acted: the number where it knows no name for it.

    In some containers it knows none; records of another machine, or older ones, may have a name.
    """
    number = actor.removeprefix(_KIND)
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (ValueError, KeyError, OverflowError):
        return number
