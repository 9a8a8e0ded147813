"""Parsing, comparing, fingerprinting and masking mail addresses.

The rules are those of RFC 5321, RFC 6531 and IDNA 2008 (with email-validator).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import email_validator
import idna

from repermit import package_files
from repermit.errors import AddressError
from repermit.i18n.lazy_text import LazyText
from repermit.keyed_hash import KeyedHash
from repermit.unicode_limits import normalize

_MAX_LENGTH = 254
_TOO_LONG = LazyText("the address is too long")

# Matches nearly all addresses, which email-validator accepts and only changes to a lower-case
# domain. A property test checks that both give the same results.
_PLAIN_LOCAL = re.compile(
    r"[A-Za-z0-9_+&'/=?^{|}~!#$%*`-]+(?:\.[A-Za-z0-9_+&'/=?^{|}~!#$%*`-]+)*",
).fullmatch
_PLAIN_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,63})",
).fullmatch
_DOMAINS_REMEMBERED = 10_000
_MAX_LOCAL_LENGTH = 64
_MAX_DOMAIN_LENGTH = 253
_NOT_ENCODED = re.compile("(?!.*xn--)[a-z0-9.-]*").fullmatch
_SPECIAL = frozenset(name.rpartition(".")[2] for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)
_SPECIAL_DOMAINS = tuple(name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if "." in name)


class Address(NamedTuple):
    """A valid address.

    - `sending`: the local part as written, and the domain as an A-label.
    - `key`: the same in folded case, for comparing.
    """

    sending: str
    key: str


def parse(text: str) -> Address:
    """Parse an address without a display name.

    Raises AddressError, whose reason does not quote the address.
    """
    text = text.strip()
    plain = _parse_plain(text)
    return plain if plain is not None else _parse_any(text)


def _parse_plain(text: str) -> Address | None:
    if len(text) > _MAX_LENGTH:
        return None
    local, _, given = text.rpartition("@")
    domain = _parse_plain_domain(given)
    if domain is None or len(local) > _MAX_LOCAL_LENGTH or not _PLAIN_LOCAL(local):
        return None
    sending = text if domain == given else f"{local}@{domain}"
    # Faster than Address(…), as this runs a million times.
    return tuple.__new__(Address, (sending, sending.lower()))


# A million addresses have few domains.
@lru_cache(maxsize=_DOMAINS_REMEMBERED)
def _parse_plain_domain(given: str) -> str | None:
    """Return an ASCII domain in lower case; None for one that needs email-validator."""
    match = _PLAIN_DOMAIN(given)
    domain = given.lower()
    if (
        match is None
        or len(domain) > _MAX_DOMAIN_LENGTH
        or match[1].lower() in _SPECIAL
        or "--" in domain
        or domain.endswith(_SPECIAL_DOMAINS)
    ):
        return None
    return domain


def _parse_any(text: str) -> Address:
    if not text:
        raise AddressError("no address")
    if len(text) > _MAX_LENGTH:
        # Before normalising, which takes long for a long text.
        raise AddressError(_TOO_LONG)
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
        raise AddressError("a control character in the address")
    try:
        validated = email_validator.validate_email(
            text,
            check_deliverability=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            # Without it a local part of more than 64 octets passes (RFC 5321 §4.5.3.1.1).
            strict=True,
        )
    except email_validator.EmailNotValidError as error:
        reason = _find_reason(text, library_message=str(error))
        raise AddressError(reason) from None
    domain = validated.ascii_domain.lower()
    sending = f"{validated.local_part}@{domain}"
    return Address(sending, f"{fold_case(validated.local_part)}@{domain}")


def fold_case(text: str) -> str:
    """Return a local part, or an address with an A-label, in the form for comparing."""
    # Not casefold(), for which straße@ and strasse@, two people, are equal.
    return normalize("NFC", text.lower())


def _find_reason(text: str, *, library_message: str) -> LazyText:
    """Return a short reason that, unlike the library's message, never quotes the address."""
    local, _, domain = text.rpartition("@")
    reasons = (
        ("@" not in text, LazyText("no @ in the address")),
        ("@" in local, LazyText("more than one @ in the address")),
        (
            "," in local or ";" in local,
            LazyText("a comma or semicolon before the @: whose address is meant cannot be known"),
        ),
        (any(map(str.isspace, text)), LazyText("a space in the address")),
        ("long before" in library_message, LazyText("too long before the @")),
        ("long after" in library_message, _TOO_LONG),
        (not local, LazyText("nothing before the @")),
        ("," in domain, LazyText("a comma where a dot should be")),
        ("." not in domain, LazyText("the domain is not complete")),
        ("special-use" in library_message, LazyText("a domain that no mail can reach")),
        (_is_usable(f"a@{domain}"), LazyText("a wrong character before the @")),
    )
    return next(
        (reason for applies, reason in reasons if applies),
        LazyText(LazyText("the domain is not valid")),
    )


def _is_usable(text: str) -> bool:
    try:
        email_validator.validate_email(text, check_deliverability=False)
    except email_validator.EmailNotValidError:
        return False
    return True


def fingerprint(key: bytes, address_key: str) -> str:
    """Return the HMAC-SHA256 of a normalised address under `key`, 64 hex digits."""
    return hmac.digest(key, address_key.encode(), hashlib.sha256).hex()


def fingerprints(key: bytes, address_keys: Iterable[str]) -> list[str]:
    """Return the fingerprints of many addresses, in their order."""
    mac = KeyedHash(key)
    return [mac.digest(address_key.encode()).hex() for address_key in address_keys]


def compute_key_check(key: bytes) -> str:
    """Return the check value that identifies a fingerprint key, 64 hex digits.

    It is the HMAC of a constant that is not an address, and may be stored openly. Like the
    fingerprint of a known address, it reveals nothing about a key that cannot be guessed, if
    HMAC-SHA256 is a pseudorandom function (Bellare 2006).
    """
    return hmac.digest(key, _CHECKED, hashlib.sha256).hex()


_CHECKED = b"the fingerprint key of this repermit"


def mask_address(address: str) -> str:
    """Return an address that its owner recognises and others do not learn: j…n@example.org."""
    local, _, domain = address.rpartition("@")
    shown = local[0] + "…" + local[-1] if len(local) > 2 else "…"  # noqa: PLR2004
    return f"{shown}@{to_unicode_domain(domain)}"


# Only from the beginning of a word, as a match from each letter would take quadratic time.
_WRITTEN = re.compile(r"(?<![^\s@/\\])[^\s@/\\]+@(?=[^\s@]+\.)")


def mask_addresses_in_name(name: str) -> str:
    """Return the name of a file, column or source with only the domains of the addresses in it."""
    return _WRITTEN.sub("…@", name)


# Cached, as every mail shows its address, and decoding is slow.
@lru_cache(maxsize=_DOMAINS_REMEMBERED)
def to_unicode_domain(domain: str) -> str:
    """Return an A-label domain as a U-label, which people read; another domain unchanged."""
    if _NOT_ENCODED(domain):
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def to_unicode_address(address: str) -> str:
    """Return an address with its domain as a U-label: bücher.example, not xn--bcher-kva.example.

    Only the A-label is stored. The address is unchanged if its U-label would not parse to it again.
    """
    local, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    unicode_address = f"{local}@{to_unicode_domain(domain)}"
    try:
        is_same = parse(unicode_address).sending == address
    except AddressError:
        is_same = False
    return unicode_address if is_same else address


_ROLES = frozenset(package_files.load_data("role_addresses.toml")["names"].split())


def is_role_address(address_key: str) -> bool:
    """Say whether an address in folded case is of a function, not a person (info@, RFC 2142)."""
    return address_key.partition("@")[0].partition("+")[0] in _ROLES
