"""Classifying a row of a file by itself: its address, its fate, its proof."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property, lru_cache
from itertools import product, takewhile
from typing import Any, NamedTuple

from repermit import email_address, package_files
from repermit.clock import format_timestamp
from repermit.errors import AddressError
from repermit.i18n.lazy_text import serialize
from repermit.imports.readers.cells import normalize_cell
from repermit.imports.readers.open_file import ListFile
from repermit.imports.readers.rows import Row, SignUpProof
from repermit.imports.row_opt_outs import MARKS, REMARK
from repermit.rules.consent import STRENGTH, Fate, fate, require_customer_basis

# Deciding a million times by the rule itself would take as long as reading the file.
_FATES = {
    facts: fate(opted_out=facts[0], proven=facts[1], customer=facts[2], role=facts[3])
    for facts in product((False, True), repeat=4)
}
_IDS_BYTES = 32


class StagedRow(NamedTuple):
    """A row as it is staged; its fields are columns of the table, moments as the database has them.

    `ids` is the `uid` and the `subject` that the address gets, 32 hex digits each; the same
    address has the same ids, and an invalid one has none. `sending` is None where it is no other
    than `key`, and of an invalid row what stands in the file. `strength` orders the rows of one
    address, the strongest lowest; `said` is the fate that the row claims. `mark_at` is set for a
    fate of `opted_out`, `basis_at` and `proof` (as JSON) for what gives a basis. `reason` is why a
    row is invalid; of others, the words in the file that opt it out or leave that in doubt. `hint`
    is the address that is probably meant, where this one looks mistyped.
    """

    number: int
    part: int
    line: int
    ids: str | None = None
    key: str | None = None
    sending: str | None = None
    name: str = ""
    language: str = ""
    source: str = ""
    strength: int = 0
    said: str = ""
    since: str | None = None
    fingerprint: str | None = None
    mark: str | None = None
    mark_at: str | None = None
    basis_at: str | None = None
    proof: str | None = None
    reason: str | None = None
    hint: str | None = None


PLAIN = StagedRow._fields.index("since")
"""How many of the fields a plain row has; the others are None."""


class RowClaim(NamedTuple):
    """The claims of a row about its address; see StagedRow."""

    strength: int
    fate: str
    mark: str | None = None
    mark_at: str | None = None
    basis_at: str | None = None
    proof: str | None = None


def _strength(claimed: Fate, mark: str = "") -> int:
    return STRENGTH[claimed] * len(MARKS) + (MARKS.index(mark) if mark else 0)


_ASK = (_strength(Fate.ASK), Fate.ASK.value)
_ROLE = (_strength(Fate.ROLE), Fate.ROLE.value)


ASK, LEAVE_OUT = "ask", "no"
"""What the admin may decide of all rows with the same remark."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What the admin has decided of rows: by the place of their part and their line, or by words.

    `opted_out` are not to be asked, `asked` are although a remark opts them out, and of `corrected`
    the domain is mended. `remarks` says ASK or LEAVE_OUT of all rows with the same words, unless
    their line is decided on.
    """

    opted_out: frozenset[tuple[int, int]] = frozenset()
    asked: frozenset[tuple[int, int]] = frozenset()
    corrected: frozenset[tuple[int, int]] = frozenset()
    remarks: Mapping[str, str] = field(default_factory=dict)

    def apply(self, part: int, row: Row) -> Row:
        """Return a row as it is decided on; nobody who says more than a remark is asked."""
        place = (part, row.line)
        decision = ASK if place in self.asked else self.remarks.get(row.said, "")
        if place in self.opted_out or decision == LEAVE_OUT:
            return row._replace(opted_out=row.opted_out or "unsubscribed", proof=None)
        if decision == ASK and row.opted_out == REMARK:
            return row._replace(opted_out="", customer=False)
        return row


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """Reads rows by the rules of one import.

    `secret` (32 bytes) makes the ids and is thrown away afterwards. `known_at` is since when a
    mark without a date of its own is known. With `fingerprint_all` every address gets its
    fingerprint, otherwise only those that opted out.
    """

    secret: bytes = field(repr=False)
    source: str
    all_customers: bool
    sensitive: bool
    attested: bool
    now: datetime
    known_at: datetime
    fingerprint_key: bytes = field(repr=False)
    fingerprint_all: bool
    decided: Decisions | None = None

    def read(self, file: ListFile) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a file as they are staged: the plain tuples of StagedRows.

        Most have the first PLAIN fields only. The database driver takes plain tuples and plain
        text twice as fast as what builds on them.
        Raises ListFileError where the file is broken, Refused for a customer where the customer
        basis does not hold.
        """
        number = 0
        for place, part in enumerate(file.parts):
            for row in file.rows_of(part):
                number += 1
                yield self._row(number, place, row)

    def _row(self, number: int, part: int, row: Row) -> tuple[Any, ...]:
        if self.decided is not None:
            row = self.decided.apply(part, row)
        (
            line,
            address,
            name,
            language,
            source,
            mark,
            proof,
            is_customer,
            since,
            problem,
            _,
            said,
            _,
        ) = row
        if problem:
            return _invalid(number, part, row, problem)
        try:
            sending, key = email_address.parse(address)
        except AddressError as error:
            return _invalid(number, part, row, error.reason)
        if self.decided is not None and (part, line) in self.decided.corrected:
            sending, key = email_address.parse(suggest_address(sending) or sending)
        ids = self._keyed.copy()
        ids.update(key.encode())
        written = None if sending == key else sending
        source = source or self.source
        head = (number, part, line, ids.hexdigest(), key, written, name, language, source)
        plain = _ROLE if email_address.is_role_address(key) else _ASK
        is_mistyped = _find_meant(key.rpartition("@")[2])
        if mark or proof or is_customer or since or said or is_mistyped or self._all_need_more:
            return head + self._rest(row, sending, key, plain)
        return head + plain

    @cached_property
    def _all_need_more(self) -> bool:
        return self.all_customers or self.fingerprint_all

    @cached_property
    def _keyed(self) -> hashlib.blake2b:
        """Return the hash that makes the ids of an address from its key.

        Its 256 bits are random to whoever lacks the secret. Contacts are stored in their order, so
        that a place in the database tells nothing of the address once that is erased; and the
        rows of one address sort together.
        """
        return hashlib.blake2b(key=self.secret, digest_size=_IDS_BYTES)

    def _rest(self, row: Row, sending: str, key: str, plain: tuple[int, str]) -> tuple[Any, ...]:
        """Return the fields that follow `source`."""
        claim = RowClaim(*plain)
        if row.opted_out or row.proof or row.customer or self.all_customers:
            claim = self._claim(row, is_role=plain is _ROLE)
        fingerprint = None
        if claim.mark or self.fingerprint_all:
            fingerprint = email_address.fingerprint(self.fingerprint_key, key)
        strength, claimed, *more = claim
        since = format_timestamp(row.since) if row.since else None
        hint = suggest_address(sending) or None
        return (strength, claimed, since, fingerprint, *more, row.said or None, hint)

    def _claim(self, row: Row, *, is_role: bool) -> RowClaim:
        is_customer = row.customer or self.all_customers
        # A date that is still to come shows a mistake, and no consent.
        proof = row.proof
        if proof and proof.at and proof.at > self.now:
            proof = None
        claimed = _FATES[bool(row.opted_out), proof is not None, is_customer, is_role]
        strength = _strength(claimed, row.opted_out)
        if claimed is Fate.OPTED_OUT:
            marked_at = row.opted_out_at or self.known_at
            return RowClaim(strength, claimed.value, row.opted_out, format_timestamp(marked_at))
        if proof is not None:
            facts = _facts_of(proof)
            text = json.dumps(facts, ensure_ascii=False)
            return RowClaim(strength, claimed.value, basis_at=facts["at"], proof=text)
        if not is_customer:
            return RowClaim(strength, claimed.value)
        require_customer_basis(sensitive=self.sensitive, attested=self.attested)
        # Since when they buy is no word of the mail, but shows on what the customer basis rests.
        customer_since = row.customer_since
        is_past = customer_since is not None and customer_since <= self.now
        return RowClaim(
            strength,
            claimed.value,
            basis_at=format_timestamp(customer_since if customer_since and is_past else self.now),
        )


def _invalid(number: int, part: int, row: Row, reason: str) -> tuple[Any, ...]:
    return tuple(
        StagedRow(
            number,
            part,
            row.line,
            sending=normalize_cell(row.address),
            name=row.name,
            strength=_strength(Fate.INVALID),
            said=Fate.INVALID.value,
            reason=serialize(reason),
        )
    )


def _facts_of(proof: SignUpProof) -> dict[str, str | None]:
    return {**proof._asdict(), "at": format_timestamp(proof.at) if proof.at else None}


# --- Slips in the domain of an address: gmial.com, where gmail.com is meant, and any .con. --------


_DOMAINS_REMEMBERED = 10_000
_COUNTRY_LETTERS = 2
# An ending twice, as in ziggo.nl.nl and ziggo.nlnl.
_IS_DOUBLED = re.compile(r"(.+\.([a-z]{2,}))\.?\2").fullmatch


class _KnownDomains(NamedTuple):
    """By what a slip is known: names by their endings; domains and endings by what is typed."""

    names: dict[str, list[str]]
    never_a_slip: frozenset[str]
    domains: dict[str, str]
    endings: dict[str, str]


def suggest_address(address: str) -> str:
    """Return the address that is probably meant by a usable one, "" where no slip is seen."""
    local, _, domain = address.rpartition("@")
    meant = _find_meant(domain.lower())
    return f"{local}@{meant}" if meant else ""


@lru_cache(_DOMAINS_REMEMBERED)
def _find_meant(domain: str) -> str:
    """Return the domain that is probably meant, "" for one that may be right.

    One slip is in the name, or in the ending; a country is no slip of another.
    """
    known = _read_domains()
    if domain in known.domains:
        return known.domains[domain]
    if doubled := _IS_DOUBLED(domain):
        return _find_meant(doubled[1]) or doubled[1]
    start, _, typed = domain.rpartition(".")
    meant = f"{start}.{known.endings.get(typed, typed)}"
    name, _, ending = meant.partition(".")
    names = known.names.get(ending, [])
    if name not in names and known.never_a_slip.isdisjoint((meant, ending)):
        if slips := [own for own in names if _is_one_slip(name, own)]:
            meant = f"{slips[0]}.{ending}"
        elif slips := [
            own
            for own, owners in known.names.items()
            if name in owners
            and (own == "com" or len(ending) != _COUNTRY_LETTERS)
            and _is_one_slip(ending, own)
        ]:
            meant = f"{name}.{slips[0]}"
    return meant if meant != domain else ""


@cache
def _read_domains() -> _KnownDomains:
    data = package_files.load_data("mail_domains.toml")
    names: dict[str, list[str]] = {}
    for domain in data["often_meant"].split():
        name, _, ending = domain.partition(".")
        names.setdefault(ending, []).append(name)
    domains, endings = (
        {slip: meant for meant, typed in data[table].items() for slip in typed.split()}
        for table in ("slips", "ending_slips")
    )
    return _KnownDomains(names, frozenset(data["never_a_slip"].split()), domains, endings)


def _is_one_slip(typed: str, meant: str) -> bool:
    """Say whether one letter is missing, too many or another, or two have changed places."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(typed, meant, strict=False))
    start = len(list(pairs))
    rest, own = typed[start:], meant[start:]
    is_swapped = rest[:2] == own[1::-1] and rest[2:] == own[2:]
    return is_swapped or rest[1:] == own[1:] or rest[1:] == own or rest == own[1:]
