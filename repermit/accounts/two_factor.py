"""The second step of a login: codes of an app (RFC 6238), and recovery codes instead."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from repermit.accounts.api_tokens import hash_secret
from repermit.db.connection import Database
from repermit.db.models.accounts import RecoveryCode, User
from repermit.settings.sealed_secrets import SecretCipher, make_totp_name

CODES = 10
"""The number of recovery codes of a user."""

_SECONDS, _DIGITS = 30, 6
_MAX_CLOCK_STEPS = 1
"""The time steps by which a clock may be wrong, either way (RFC 6238 §5.2: at most one)."""

# Without characters that look alike; 12 of 31 are some 59 bits.
_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH, _GROUP = 12, 4

# A code is random, so the minimum of OWASP's Password Storage Cheat Sheet is enough: ten are hashed
# at once.
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
_DUMMY_HASH = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def make_secret() -> str:
    """Return a new secret, 160 bits in base32 (RFC 4226 §4)."""
    return pyotp.random_base32()


def make_setup_uri(secret: str, *, email: str, organisation: str) -> str:
    """Return the `otpauth` URI of the QR code."""
    issuer = organisation.replace(":", " ") or "repermit"
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def find_matching_step(secret: str, code: str, *, now: datetime, after: int = 0) -> int | None:
    """Return the time step of a code, None if it is wrong or was used.

    - `after`: the last step used; only later ones are valid.
    """
    digits = "".join(code.split())
    if not digits.isascii():
        return None
    current = int(now.timestamp()) // _SECONDS
    steps = range(max(current - _MAX_CLOCK_STEPS, after + 1), current + _MAX_CLOCK_STEPS + 1)
    codes = ((step, pyotp.TOTP(secret).generate_otp(step)) for step in steps)
    return next((step for step, expected in codes if hmac.compare_digest(expected, digits)), None)


def use_code(user_id: int, code: str, *, cipher: SecretCipher, now: datetime) -> bool:
    """Use a code of the app up, in the caller's transaction; return whether it was right.

    A conditional UPDATE moves the last step, so of two requests at once only one succeeds.
    """
    user: User = User.get_by_id(user_id)
    secret = cipher.decrypt_stored(make_totp_name(user_id), user.totp_secret)
    if not secret:
        return False
    step = find_matching_step(secret, code, now=now, after=user.totp_step)
    if step is None:
        return False
    update = User.update(totp_step=step).where(User.id == user_id, User.totp_step < step)
    return bool(update.execute())


def is_app_code(code: str) -> bool:
    """Say whether a code looks like one of an app, and not like a recovery code."""
    return len(_normalize_code(code)) <= _DIGITS


def find_recovery_code(user_id: int, code: str) -> int | None:
    """Return the id of a user's unused recovery code, None if it is wrong.

    The beginning of its SHA-256 finds the row, so that one hash is computed and not ten. Without a
    matching row a dummy hash is verified, so that timing reveals nothing. Takes long: must be
    called outside a transaction.
    """
    digest = _hash_code(code)
    unused = (RecoveryCode.user == user_id, RecoveryCode.used_at.is_null())
    legacy_row: RecoveryCode | None = RecoveryCode.get_or_none(
        *unused, RecoveryCode.digest == digest
    )
    candidates: list[RecoveryCode] = list(
        RecoveryCode.select().where(
            *unused, RecoveryCode.digest == "", RecoveryCode.selector == _make_selector(digest)
        )
    )
    matches = [row for row in candidates if _is_code_right(digest, row.hash)]
    if not candidates:
        _is_code_right(digest, _DUMMY_HASH)
    return legacy_row.id if legacy_row else next((row.id for row in matches), None)


def use_recovery_code(code_id: int, *, now: datetime) -> bool:
    """Use a recovery code up, in the caller's transaction; return False if it was used before."""
    update = RecoveryCode.update(used_at=now).where(
        RecoveryCode.id == code_id, RecoveryCode.used_at.is_null()
    )
    return bool(update.execute())


def make_recovery_codes() -> tuple[tuple[str, str, str], ...]:
    """Return new codes, each with its selector and its hash; takes long.

    No two have the same selector.
    """
    code_by_selector: dict[str, str] = {}
    while len(code_by_selector) < CODES:
        code = _make_code()
        code_by_selector.setdefault(_make_selector(_hash_code(code)), code)
    return tuple(
        (code, selector, _HASHER.hash(_hash_code(code)))
        for selector, code in code_by_selector.items()
    )


def save_recovery_codes(user_id: int, codes: Sequence[tuple[str, str, str]]) -> tuple[str, ...]:
    """Replace a user's recovery codes, in the caller's transaction.

    Returns the codes themselves, which are shown only now.
    """
    RecoveryCode.delete().where(RecoveryCode.user == user_id).execute()
    rows = [
        {"user": user_id, "selector": selector, "hash": code_hash}
        for _code, selector, code_hash in codes
    ]
    RecoveryCode.insert_many(rows).execute()
    return tuple(code for code, _selector, _hash in codes)


def hash_old_codes(database: Database) -> None:
    """Hash the recovery codes that are still stored as a SHA-256."""
    unused = RecoveryCode.digest != "", RecoveryCode.used_at.is_null()
    for row in list(RecoveryCode.select().where(*unused)):
        code_hash = _HASHER.hash(row.digest)
        with database.atomic():
            RecoveryCode.update(
                digest="", selector=_make_selector(row.digest), hash=code_hash
            ).where(RecoveryCode.id == row.id).execute()
    with database.atomic():
        RecoveryCode.update(digest="").where(RecoveryCode.used_at.is_null(is_null=False)).execute()


def count_codes_left(user_id: int) -> int:
    """Return the number of a user's unused recovery codes."""
    unused = RecoveryCode.user == user_id, RecoveryCode.used_at.is_null()
    return int(RecoveryCode.select().where(*unused).count())


def _is_code_right(digest: str, code_hash: str) -> bool:
    try:
        return _HASHER.verify(code_hash, digest)
    except (VerificationError, InvalidHashError):
        return False


def _make_code() -> str:
    characters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(characters[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def _hash_code(code: str) -> str:
    return hash_secret(_normalize_code(code))


def _normalize_code(code: str) -> str:
    return "".join(character for character in code.upper() if character.isalnum())


def _make_selector(digest: str) -> str:
    """Return the selector that finds a code's row: 12 of its 59 bits, which leaves 47 to guess."""
    return digest[:3]
