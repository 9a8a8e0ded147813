"""Passwords: which may be chosen, and how they are stored.

Stored as argon2id hashes with the parameters of RFC 9106 §4, the second recommended choice: 64 MiB,
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
"""The minimum characters, counted after NFC."""

MAX_BYTES = 1024
"""The maximum bytes in UTF-8.

NIST SP 800-63B §3.1.1.2 requires 64 characters to be allowed. Without a limit a guest could make
the server hash megabytes.
"""

_MAX_TYPED_BYTES = 4 * MAX_BYTES
"""The maximum bytes before NFC; a longer text is not examined.

NFC shortens a text to a third at most: three Hangul letters to a syllable.
"""

_MIN_TELLING_LENGTH = 4
"""The minimum characters of an address or name that make a password easier to guess."""

HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)
"""Its `check_needs_rehash` says whether a hash was made with other parameters than today's."""


def _make_dummy_hash() -> str:
    """Return a hash that takes as long to verify as others and matches no password.

    It is assembled, not hashed, so that the first attempt takes no longer than others.
    """
    parameters = RFC_9106_LOW_MEMORY
    sizes = (parameters.salt_len, parameters.hash_len)
    salt, hash_ = (base64.b64encode(bytes(size)).decode().rstrip("=") for size in sizes)
    costs = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    return f"$argon2id$v={parameters.version}${costs}${salt}${hash_}"


_DUMMY_HASH = _make_dummy_hash()

_ENDS = re.compile(r"^[\d\W_]{1,3}|[\d\W_]{1,8}$")

_LOOK_ALIKES = str.maketrans("0134578@$!", "oleastbasi")


# Hashing takes all processors for a moment, and a thread that serves no page meanwhile.
_TRIES = threading.BoundedSemaphore(3)
_HASHING = threading.Lock()


@contextmanager
def limit_attempts() -> Iterator[bool]:
    """Admit at most three password checks at a time, which hash one by one.

    Yields False at once if three are running already.
    """
    is_admitted = _TRIES.acquire(blocking=False)
    try:
        with _HASHING if is_admitted else nullcontext():
            yield is_admitted
    finally:
        if is_admitted:
            _TRIES.release()


class Weakness(StrEnum):
    """Why a password may not be chosen."""

    SHORT = "short"
    LONG = "long"
    COMMON = "common"
    ADDRESS = "address"
    ORGANISATION = "organisation"


def find_weaknesses(password: str, *, email: str, organisation: str) -> tuple[Weakness, ...]:
    """Return all weaknesses of a password; none if it may be chosen.

    No kinds of characters are required: that makes passwords worse (NIST SP 800-63B §3.1.1.2).
    """
    if not is_within(password, _MAX_TYPED_BYTES):
        return (Weakness.LONG,)
    return tuple(_find_weaknesses(_normalize(password), email=email, organisation=organisation))


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return HASHER.hash(_normalize(password))


def verify_password(password: str, password_hash: str) -> bool:
    """Say whether a password matches a hash; takes as long for "", the hash of an unknown user.

    A password that is longer than any may be is wrong at once, for every user.
    """
    if not is_within(password, _MAX_TYPED_BYTES):
        return False
    try:
        HASHER.verify(password_hash or _DUMMY_HASH, _normalize(password))
    except (VerificationError, InvalidHashError):
        return False
    return bool(password_hash)


def _find_weaknesses(password: str, *, email: str, organisation: str) -> Iterator[Weakness]:
    folded = _fold(password)
    if len(password) < MIN_LENGTH:
        yield Weakness.SHORT
    if len(password.encode()) > MAX_BYTES:
        yield Weakness.LONG
        return  # A text that is too long is not examined further.
    if is_common(password):
        yield Weakness.COMMON
    if _contains(folded, re.split(r"[@.+_-]", email)[:-1], whole=email):
        yield Weakness.ADDRESS
    together = organisation.replace(" ", "")
    if _contains(folded, [*organisation.split(), together], whole=organisation):
        yield Weakness.ORGANISATION


def is_common(password: str) -> bool:
    """Say whether a password is a common one, also with a trivial beginning or end.

    Case, look-alikes (p4ssw0rd), repetition, and a few digits or other characters at either end are
    ignored. Digits alone are common too: dates and telephone numbers.
    """
    folded = password.casefold()
    bare = {_strip_ends(folded), folded}
    return folded.isdigit() or any(
        _is_easy(form) for text in bare for form in (text, text.translate(_LOOK_ALIKES))
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
    """Return the part that a text repeats: "abc" of "abcabcabc"; otherwise the text itself."""
    return text[: (text + text).find(text, 1)]


@cache
def _read_common_passwords() -> frozenset[str]:
    # The lists of zxcvbn: passwords that leaked most often, and words, names, titles (MIT licence).
    # They are large, and needed only when a password is chosen.
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415

    return frozenset(word for words in FREQUENCY_LISTS.values() for word in words)


def _contains(folded: str, words: list[str], *, whole: str) -> bool:
    """Say whether a password contains a whole address or name, or a long enough part of it."""
    telling = [word for word in words if len(word) >= _MIN_TELLING_LENGTH]
    return any(_fold(word) in folded for word in (*telling, whole) if word)


def _fold(text: str) -> str:
    return _normalize(text).casefold()


def _normalize(password: str) -> str:
    # The same password typed on another keyboard may come as other code points (RFC 8265 §4.2.2).
    return normalize("NFC", password)
