"""Slips in the domain of an address: gmial.com, where gmail.com is meant."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import takewhile

from repermit import package_files

_DOMAINS_REMEMBERED = 10_000


def suggest_address(address: str) -> str:
    """Return the address that is probably meant by a usable one, "" where no slip is seen."""
    local, _, domain = address.rpartition("@")
    meant = _find_meant(domain.lower())
    return f"{local}@{meant}" if meant else ""


@lru_cache(_DOMAINS_REMEMBERED)
def _find_meant(domain: str) -> str:
    often_meant, never_a_slip = _read_domains()
    if domain in never_a_slip or domain in often_meant:
        return ""
    return next((meant for meant in often_meant if _is_slip(domain, meant)), "")


@cache
def _read_domains() -> tuple[tuple[str, ...], frozenset[str]]:
    known = package_files.data("mail_domains.toml")
    return tuple(known["often_meant"].split()), frozenset(known["never_a_slip"].split())


def _is_slip(domain: str, meant: str) -> bool:
    """Say whether one slip is in the name, or in a `com`: other countries are no slips."""
    (name, _, ending), (own_name, _, own_ending) = domain.partition("."), meant.partition(".")
    if ending == own_ending:
        return _is_one_slip(name, own_name)
    return name == own_name and own_ending == "com" and _is_one_slip(ending, own_ending)


def _is_one_slip(typed: str, meant: str) -> bool:
    """Say whether one letter is missing, too many or another, or two have changed places."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(typed, meant, strict=False))
    start = len(list(pairs))
    rest, own = typed[start:], meant[start:]
    is_swapped = rest[:2] == own[1::-1] and rest[2:] == own[2:]
    return is_swapped or rest[1:] == own[1:] or rest[1:] == own or rest == own[1:]
