"""Passwords: which may be chosen, and how they are kept.

Kept as argon2id hashes with the parameters of RFC 9106 §4, the second recommended choice: 64 MiB,
three passes, four lanes.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from repermit.unicode_limits import is_within, normalize

MIN_LENGTH = 12
"""Signs, counted after NFC."""

MAX_BYTES = 1024
"""Bytes in UTF-8. NIST SP 800-63B §3.1.1.2 wants 64 signs at least to be allowed; without any end
a guest could make the server chew on megabytes."""

_MAX_TYPED_BYTES = 4 * MAX_BYTES
"""Bytes before NFC, which makes no more than a third of them: of three Hangul letters a syllable.
What is longer is no password, and is looked at no further."""

_MIN_TELLING_LENGTH = 4
"""So many signs of an address or a name make a password easier to guess; fewer stand anywhere."""

_HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def _make_dummy_hash() -> str:
    """Return what looks like a hash and takes as long to compare with, and is of no password.

    It is put together, not made by hashing, so that the first stranger takes no longer than others.
    """
    kept = RFC_9106_LOW_MEMORY
    sizes = (kept.salt_len, kept.hash_len)
    salt, hash_ = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in sizes)
    costs = f"m={kept.memory_cost},t={kept.time_cost},p={kept.parallelism}"
    return f"$argon2id$v={kept.version}${costs}${salt}${hash_}"


_DUMMY_HASH = _make_dummy_hash()

_ENDS = re.compile(r"^[\d\W_]{1,3}|[\d\W_]{1,8}$")

_LOOK_ALIKES = str.maketrans("0134578@$!", "oleastbasi")


# Hashing takes all processors for a moment, and a thread that then serves no page.
_TRIES = threading.BoundedSemaphore(3)
_HASHING = threading.Lock()


@contextmanager
def limit_attempts() -> Iterator[bool]:
    """Hold one of the few places for comparing a password that anybody may have sent.

    Yields False, at once, if there is none: three tries are under way, and hash one by one.
    """
    has_place = _TRIES.acquire(blocking=False)
    try:
        with _HASHING if has_place else nullcontext():
            yield has_place
    finally:
        if has_place:
            _TRIES.release()


class Weakness(StrEnum):
    """Why a password may not be chosen."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    ADDRESS = "address"
    ORGANISATION = "organisation"


def find_weaknesses(password: str, *, email: str, organisation: str) -> tuple[Weakness, ...]:
    """Return all that speaks against a password; nothing if it may be chosen.

    No kinds of signs are asked for, since that makes passwords worse (NIST SP 800-63B §3.1.1.2).
    """
    if not is_within(password, _MAX_TYPED_BYTES):
        return (Weakness.LONG,)
    return tuple(_find_weaknesses(_normalize(password), email=email, organisation=organisation))


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return _HASHER.hash(_normalize(password))


def verify_password(password: str, kept: str) -> bool:
    """Say whether a password is the one of which this is kept; takes as long for "", for nobody.

    One that is too long to be anybody's is wrong at once, whoever's it is tried as.
    """
    if not is_within(password, _MAX_TYPED_BYTES):
        return False
    try:
        _HASHER.verify(kept or _DUMMY_HASH, _normalize(password))
    except (VerificationError, InvalidHashError):
        return False
    return bool(kept)


def needs_rehash(kept: str) -> bool:
    """Say whether the parameters have changed since."""
    return _HASHER.check_needs_rehash(kept)


def _find_weaknesses(password: str, *, email: str, organisation: str) -> Iterator[Weakness]:
    folded = _fold(password)
    if len(password) < MIN_LENGTH:
        yield Weakness.SHORT
    if len(password.encode()) > MAX_BYTES:
        yield Weakness.LONG
        return  # what is so long is not looked at any further
    if is_common(password):
        yield Weakness.COMMON
    if _contains(folded, re.split(r"[@.+_-]", email)[:-1], whole=email):
        yield Weakness.ADDRESS
    together = organisation.replace(" ", "")
    if _contains(folded, [*organisation.split(), together], whole=organisation):
        yield Weakness.ORGANISATION


def is_common(password: str) -> bool:
    """Say whether a password is a common one, with a trivial beginning or end or without.

    Case, look-alikes (p4ssw0rd), a few digits and signs at either end, and repeating count for
    nothing; neither do digits alone, which are dates and telephone numbers.
    """
    folded = password.casefold()
    bare = {_strip_ends(folded), folded}
    return folded.isdigit() or any(
        _is_easy(form) for one in bare for form in (one, one.translate(_LOOK_ALIKES))
    )


def _is_easy(folded: str) -> bool:
    once = _collapse_repeats(folded)
    return (
        len(set(folded)) < _MIN_TELLING_LENGTH
        or len(once) < _MIN_TELLING_LENGTH
        or once in _read_common_passwords()
    )


def _strip_ends(folded: str) -> str:
    return _ENDS.sub("", folded)


def _collapse_repeats(text: str) -> str:
    """Return what a text repeats: "abc" of "abcabcabc"; the text itself if it repeats nothing."""
    return text[: (text + text).find(text, 1)]


@cache
def _read_common_passwords() -> frozenset[str]:
    # The lists of zxcvbn: passwords that leaked most often, and words, names, titles (MIT licence).
    # They are large, and nobody needs them before a password is chosen.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words)


def _contains(folded: str, words: list[str], *, whole: str) -> bool:
    """Say whether a password has the whole of an address or a name in it, or a telling part."""
    telling = [word for word in words if len(word) >= _MIN_TELLING_LENGTH]
    return any(_fold(word) in folded for word in (*telling, whole) if word)


def _fold(text: str) -> str:
    return _normalize(text).casefold()


def _normalize(password: str) -> str:
    # The same password typed on another keyboard may come as other code points (RFC 8265 §4.2.2).
    return normalize("NFC", password)
