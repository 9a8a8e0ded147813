"""Mail addresses: which can be used, how they are written, how they are compared.

Rules: RFC 5321, RFC 6531, IDNA 2008 (through email-validator).
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

from repermit.errors import AddressError
from repermit.i18n.lazy_text import LazyText
from repermit.keyed_hash import KeyedHash
from repermit.unicode_limits import normalize

_LONGEST = 254
_TOO_LONG = LazyText("the address is too long")

# What email-validator accepts and leaves as it is, apart from folding the domain's case: the
# great majority of addresses. A property test holds this path to the same verdicts.
_PLAIN_LOCAL = re.compile(
    r"[A-Za-z0-9_+&'/=?^{|}~!#$%*`-]+(?:\.[A-Za-z0-9_+&'/=?^{|}~!#$%*`-]+)*",
).fullmatch
_PLAIN_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,63})",
).fullmatch
_DOMAINS_REMEMBERED = 10_000
_LONGEST_LOCAL = 64
_LONGEST_DOMAIN = 253
_NOT_ENCODED = re.compile("(?!.*xn--)[a-z0-9.-]*").fullmatch
_SPECIAL = frozenset(name.rpartition(".")[2] for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)
_SPECIAL_DOMAINS = tuple(name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if "." in name)


class Address(NamedTuple):
    """One usable address.

    `sending` has the local part as it was written and the domain as an A-label; `key` is
    the same folded, for comparing.
    """

    sending: str
    key: str


def parse(text: str) -> Address:
    """Read one bare address (no display name).

    Raises AddressError, whose reason does not quote the address.
    """
    text = text.strip()
    plain = _parse_plain(text)
    return plain if plain is not None else _parse_any(text)


def _parse_plain(text: str) -> Address | None:
    if len(text) > _LONGEST:
        return None
    local, _, given = text.rpartition("@")
    domain = _plain_domain(given)
    if domain is None or len(local) > _LONGEST_LOCAL or not _PLAIN_LOCAL(local):
        return None
    sending = text if domain == given else f"{local}@{domain}"
    # What Address(…) does, without its detour: this runs a million times.
    return tuple.__new__(Address, (sending, sending.lower()))


# A list of a million has few domains beside its addresses.
@lru_cache(maxsize=_DOMAINS_REMEMBERED)
def _plain_domain(given: str) -> str | None:
    """Return a domain that needs no more than folding, folded; otherwise None."""
    match = _PLAIN_DOMAIN(given)
    domain = given.lower()
    if (
        match is None
        or len(domain) > _LONGEST_DOMAIN
        or match[1].lower() in _SPECIAL
        or "--" in domain
        or domain.endswith(_SPECIAL_DOMAINS)
    ):
        return None
    return domain


def _parse_any(text: str) -> Address:
    if not text:
        raise AddressError("no address")
    if len(text) > _LONGEST:
        # Before anything is folded, which takes long for what is long.
        raise AddressError(_TOO_LONG)
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in text):
        raise AddressError("a control character in the address")
    try:
        found = email_validator.validate_email(
            text,
            check_deliverability=False,
            allow_quoted_local=False,
            allow_domain_literal=False,
            # Without it a local part of more than 64 octets passes (RFC 5321 §4.5.3.1.1).
            strict=True,
        )
    except email_validator.EmailNotValidError as error:
        reason = _reason(text, said=str(error))
        raise AddressError(reason) from None
    domain = found.ascii_domain.lower()
    sending = f"{found.local_part}@{domain}"
    return Address(sending, f"{fold_case(found.local_part)}@{domain}")


def fold_case(text: str) -> str:
    """Return a local part, or an address whose domain is an A-label, as it is compared."""
    # Not casefold(), which would take straße@ and strasse@, two people, for one.
    return normalize("NFC", text.lower())


def _reason(text: str, *, said: str) -> LazyText:
    """Say why in short, without quoting the address, as the library's own text may."""
    local, _, domain = text.rpartition("@")
    found = (
        ("@" not in text, LazyText("no @ in the address")),
        ("@" in local, LazyText("more than one @ in the address")),
        (
            "," in local or ";" in local,
            LazyText("a comma or semicolon before the @: whose address is meant cannot be known"),
        ),
        (any(map(str.isspace, text)), LazyText("a space in the address")),
        ("long before" in said, LazyText("too long before the @")),
        ("long after" in said, _TOO_LONG),
        (not local, LazyText("nothing before the @")),
        ("," in domain, LazyText("a comma where a dot should be")),
        ("." not in domain, LazyText("the domain is not complete")),
        ("special-use" in said, LazyText("a domain that no mail can reach")),
        (_is_usable(f"a@{domain}"), LazyText("a wrong character before the @")),
    )
    return next(
        (reason for holds, reason in found if holds), LazyText(LazyText("the domain is not valid"))
    )


def _is_usable(text: str) -> bool:
    try:
        email_validator.validate_email(text, check_deliverability=False)
    except email_validator.EmailNotValidError:
        return False
    return True


def fingerprint(key: bytes, address_key: str) -> str:
    """Return HMAC-SHA256 of a normalised address under `key`, 64 hex digits."""
    return hmac.digest(key, address_key.encode(), hashlib.sha256).hex()


def fingerprints(key: bytes, address_keys: Iterable[str]) -> list[str]:
    """Return the fingerprints of many addresses, in their order."""
    mac = KeyedHash(key)
    return [mac.digest(address_key.encode()).hex() for address_key in address_keys]


def compute_key_check(key: bytes) -> str:
    """Return by what a fingerprint key is recognised, 64 hex digits.

    It is the code of a constant that no address can be, so that it may be kept in the open: it
    tells no more of the key than the fingerprint of a known address does, which is nothing to whom
    HMAC-SHA256 is a pseudorandom function (Bellare 2006), as long as the key cannot be guessed.
    """
    return hmac.digest(key, _CHECKED, hashlib.sha256).hex()


_CHECKED = b"the fingerprint key of this repermit"


def mask_address(address: str) -> str:
    """Return the address so that its owner knows it and nobody else learns it: j…n@example.org."""
    local, _, domain = address.rpartition("@")
    shown = local[0] + "…" + local[-1] if len(local) > 2 else "…"  # noqa: PLR2004
    return f"{shown}@{to_unicode_domain(domain)}"


# From the beginning of a word on only: from each letter, it would take their number squared.
_WRITTEN = re.compile(r"(?<![^\s@/\\])[^\s@/\\]+@(?=[^\s@]+\.)")


def mask_addresses_in_file_name(name: str) -> str:
    """Return the name of a file without the addresses in it: of each its domain is left."""
    return _WRITTEN.sub("…@", name)


# Every mail shows its address, and decoding takes longer than all the rest of it.
@lru_cache(maxsize=_DOMAINS_REMEMBERED)
def to_unicode_domain(domain: str) -> str:
    """Return an A-label domain as people read it (U-label), or as it is if it is not one."""
    if _NOT_ENCODED(domain):
        return domain
    try:
        return idna.decode(domain)
    except idna.IDNAError:
        return domain


def to_unicode_address(address: str) -> str:
    """Return an address with its domain as a U-label: bücher.example, not xn--bcher-kva.example.

    The A-label alone is kept. What would not be read as the same address stays as it is.
    """
    local, _, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    written = f"{local}@{to_unicode_domain(domain)}"
    try:
        is_same = parse(written).sending == address
    except AddressError:
        is_same = False
    return written if is_same else address


_ROLES = frozenset(
    # RFC 2142, and the usual shared mailboxes in Dutch, English, German and French.
    "abuse accueil accounting accounts admin administratie administration administrator afspraken "
    "balie bestuur billing buchhaltung buero bureau compta comptabilite contact direction "
    "directie empfang facturatie ftp helpdesk hostmaster hr info information inkoop it kantoor "
    "klantenservice kontakt mail mailer-daemon mairie marketing news noc noreply no-reply office "
    "orders personeel post postmaster praktijk praxis presse privacy receptie redactie root sales "
    "secretariaat secretariat security sekretariat service servicedesk stadhuis support team "
    "tech usenet uucp verkauf verkoop verwaltung webmaster welkom".split()
)


def is_role_address(address_key: str) -> bool:
    """Say whether a folded address is a function's rather than a person's (info@, RFC 2142)."""
    return address_key.partition("@")[0].partition("+")[0] in _ROLES
