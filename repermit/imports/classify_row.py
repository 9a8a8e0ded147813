"""Classifying a row of a file by itself: its address, fate and proof; and correcting domains."""

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
from repermit.rules.consent import STRENGTH, Fate, choose_fate, require_customer_basis

# A table, as calling the rule a million times would take as long as reading the file.
_FATES = {
    facts: choose_fate(opted_out=facts[0], proven=facts[1], customer=facts[2], role=facts[3])
    for facts in product((False, True), repeat=4)
}
_IDS_BYTES = 32


class StagedRow(NamedTuple):
    """A row as it is staged; its fields are the columns of the table, times as stored.

    - `ids`: the `uid` and the `subject` that the address gets, 32 hex digits each. The same address
      has the same ids; an invalid one has none.
    - `sending`: None if it equals `key`; the text in the file for an invalid row.
    - `strength`: orders the rows of one address, the strongest lowest.
    - `said`: the fate that the row claims.
    - `mark_at`: set for a fate of `opted_out`.
    - `basis_at`, `proof` (JSON): set for a fate that gives a basis.
    - `reason`: why a row is invalid; for others, the words in the file that opt it out, or may do.
    - `hint`: the address that is probably meant, if this one looks mistyped.
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
"""The number of fields of a plain row; the others are None."""


class RowClaim(NamedTuple):
    """The claims of a row about its address, see `StagedRow`."""

    strength: int
    fate: str
    mark: str | None = None
    mark_at: str | None = None
    basis_at: str | None = None
    proof: str | None = None


def _compute_strength(claimed: Fate, mark: str = "") -> int:
    return STRENGTH[claimed] * len(MARKS) + (MARKS.index(mark) if mark else 0)


_ASK = (_compute_strength(Fate.ASK), Fate.ASK.value)
_ROLE = (_compute_strength(Fate.ROLE), Fate.ROLE.value)


ASK, LEAVE_OUT = "ask", "no"
WHOLE_PART = ":*"
"""Ends the name of a part, in place of a line, in a decision about all of its rows."""

"""The admin's possible decisions about all rows with the same remark."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """The admin's decisions about rows, which are named by (index of the part, line).

    - `opted_out`: rows not to ask.
    - `opted_out_parts`: parts, by index, of which nobody is asked.
    - `asked`: rows to ask although a remark opts them out.
    - `corrected`: rows whose mistyped domain is corrected.
    - `remarks`: ASK or LEAVE_OUT for all rows with the same remark, without a decision by line.
    """

    opted_out: frozenset[tuple[int, int]] = frozenset()
    opted_out_parts: frozenset[int] = frozenset()
    asked: frozenset[tuple[int, int]] = frozenset()
    corrected: frozenset[tuple[int, int]] = frozenset()
    remarks: Mapping[str, str] = field(default_factory=dict)

    def apply(self, part: int, row: Row) -> Row:
        """Return a row with the decision applied; only an opt-out by a remark can be overruled."""
        place = (part, row.line)
        decision = ASK if place in self.asked else self.remarks.get(row.said, "")
        is_left_out = place in self.opted_out or part in self.opted_out_parts
        if is_left_out or decision == LEAVE_OUT:
            return row._replace(opted_out=row.opted_out or "unsubscribed", proof=None)
        if decision == ASK and row.opted_out == REMARK:
            return row._replace(opted_out="", customer=False)
        return row


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """Reads rows by the rules of one import.

    - `secret`: 32 bytes that make the ids; not stored.
    - `known_at`: the time of opt-out marks without a date of their own; none can be later.
    - `fingerprint_all`: whether every address gets its fingerprint, or only those that opted out.
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
        """Yield the rows of a file as they are staged: `StagedRow` as plain tuples.

        Most have the first PLAIN fields only. Database drivers take plain tuples and texts twice as
        fast as their subclasses. Raises ListFileError for a broken file, and Refused for a customer
        if the customer basis is not allowed.
        """
        number = 0
        for place, part in enumerate(file.parts):
            for row in file.iter_part_rows(part):
                number += 1
                yield self._make_row(number, place, row)

    def _make_row(self, number: int, part: int, row: Row) -> tuple[Any, ...]:
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
            return _make_invalid_row(number, part, row, problem)
        try:
            sending, key = email_address.parse(address)
        except AddressError as error:
            return _make_invalid_row(number, part, row, error.reason)
        if self.decided is not None and (part, line) in self.decided.corrected:
            sending, key = email_address.parse(suggest_address(sending) or sending)
        ids = self._keyed.copy()
        ids.update(key.encode())
        written = None if sending == key else sending
        source = source or self.source
        head = (number, part, line, ids.hexdigest(), key, written, name, language, source)
        plain = _ROLE if email_address.is_role_address(key) else _ASK
        is_mistyped = _suggest_domain(key.rpartition("@")[2])
        if mark or proof or is_customer or since or said or is_mistyped or self._all_need_more:
            return head + self._make_remaining_fields(row, sending, key, plain)
        return head + plain

    @cached_property
    def _all_need_more(self) -> bool:
        return self.all_customers or self.fingerprint_all

    @cached_property
    def _keyed(self) -> hashlib.blake2b:
        """The keyed hash that makes the ids of an address.

        Without the secret its 256 bits are random. Contacts are stored in the order of their ids,
        so that a position in the database reveals nothing about an erased address. Rows of one
        address sort together.
        """
        return hashlib.blake2b(key=self.secret, digest_size=_IDS_BYTES)

    def _make_remaining_fields(
        self, row: Row, sending: str, key: str, plain: tuple[int, str]
    ) -> tuple[Any, ...]:
        """Return the fields that follow `source`."""
        claim = RowClaim(*plain)
        if row.opted_out or row.proof or row.customer or self.all_customers:
            claim = self._make_claim(row, is_role=plain is _ROLE)
        fingerprint = None
        if claim.mark or self.fingerprint_all:
            fingerprint = email_address.fingerprint(self.fingerprint_key, key)
        strength, claimed, *more = claim
        since = format_timestamp(row.since) if row.since else None
        hint = suggest_address(sending) or None
        return (strength, claimed, since, fingerprint, *more, row.said or None, hint)

    def _make_claim(self, row: Row, *, is_role: bool) -> RowClaim:
        is_customer = row.customer or self.all_customers
        # A date in the future is a mistake, and proves no consent.
        proof = row.proof
        if proof and proof.at and proof.at > self.now:
            proof = None
        claimed = _FATES[bool(row.opted_out), proof is not None, is_customer, is_role]
        strength = _compute_strength(claimed, row.opted_out)
        if claimed is Fate.OPTED_OUT:
            marked_at = min(row.opted_out_at or self.known_at, self.known_at)
            return RowClaim(strength, claimed.value, row.opted_out, format_timestamp(marked_at))
        if proof is not None:
            fields = _make_proof_fields(proof)
            text = json.dumps(fields, ensure_ascii=False)
            return RowClaim(strength, claimed.value, basis_at=fields["at"], proof=text)
        if not is_customer:
            return RowClaim(strength, claimed.value)
        require_customer_basis(sensitive=self.sensitive, attested=self.attested)
        # The mail does not say since when they buy, but it supports the customer basis.
        customer_since = row.customer_since
        is_past = customer_since is not None and customer_since <= self.now
        return RowClaim(
            strength,
            claimed.value,
            basis_at=format_timestamp(customer_since if customer_since and is_past else self.now),
        )


def _make_invalid_row(number: int, part: int, row: Row, reason: str) -> tuple[Any, ...]:
    return tuple(
        StagedRow(
            number,
            part,
            row.line,
            sending=normalize_cell(row.address),
            name=row.name,
            strength=_compute_strength(Fate.INVALID),
            said=Fate.INVALID.value,
            reason=serialize(reason),
        )
    )


def _make_proof_fields(proof: SignUpProof) -> dict[str, str | None]:
    return {**proof._asdict(), "at": format_timestamp(proof.at) if proof.at else None}


# --- Typos in the domain of an address: gmial.com for gmail.com, and any .con. --------------------


_DOMAINS_REMEMBERED = 10_000
_COUNTRY_LETTERS = 2
# An ending twice, as in ziggo.nl.nl and ziggo.nlnl.
_IS_DOUBLED = re.compile(r"(.+\.([a-z]{2,}))\.?\2").fullmatch


class _KnownDomains(NamedTuple):
    """The data by which a typo is recognised.

    - `names`: the names of well-known domains, by their endings.
    - `never_a_slip`: domains and endings that are right.
    - `domains`, `endings`: the right ones, by their typos.
    """

    names: dict[str, list[str]]
    never_a_slip: frozenset[str]
    domains: dict[str, str]
    endings: dict[str, str]


def suggest_address(address: str) -> str:
    """Return the address that is probably meant by a valid one; "" if its domain has no typo."""
    local, _, domain = address.rpartition("@")
    suggested = _suggest_domain(domain.lower())
    return f"{local}@{suggested}" if suggested else ""


@lru_cache(_DOMAINS_REMEMBERED)
def _suggest_domain(domain: str) -> str:
    """Return the domain that is probably meant; "" for one that may be right.

    A domain may have one typo, in its name or in its ending. A country's ending is never taken for
    a typo of another country's.
    """
    known = _read_domains()
    if domain in known.domains:
        return known.domains[domain]
    if doubled := _IS_DOUBLED(domain):
        return _suggest_domain(doubled[1]) or doubled[1]
    start, _, typed = domain.rpartition(".")
    suggested = f"{start}.{known.endings.get(typed, typed)}"
    name, _, ending = suggested.partition(".")
    names = known.names.get(ending, [])
    if name not in names and known.never_a_slip.isdisjoint((suggested, ending)):
        if near_names := [known_name for known_name in names if _is_one_typo(name, known_name)]:
            suggested = f"{near_names[0]}.{ending}"
        elif near_endings := [
            known_ending
            for known_ending, known_names in known.names.items()
            if name in known_names
            and (known_ending == "com" or len(ending) != _COUNTRY_LETTERS)
            and _is_one_typo(ending, known_ending)
        ]:
            suggested = f"{name}.{near_endings[0]}"
    return suggested if suggested != domain else ""


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


def _is_one_typo(typed: str, meant: str) -> bool:
    """Say whether one letter is missing, too many or wrong, or two neighbours are swapped."""
    if abs(len(typed) - len(meant)) > 1:
        return False
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(typed, meant, strict=False))
    start = len(list(pairs))
    typed_rest, meant_rest = typed[start:], meant[start:]
    is_swapped = typed_rest[:2] == meant_rest[1::-1] and typed_rest[2:] == meant_rest[2:]
    is_replaced = typed_rest[1:] == meant_rest[1:]
    is_added, is_missing = typed_rest[1:] == meant_rest, typed_rest == meant_rest[1:]
    return is_swapped or is_replaced or is_added or is_missing
