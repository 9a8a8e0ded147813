"""The second step: six digits that an app shows (RFC 6238), and codes on paper in its place."""

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
"""How many recovery codes somebody gets."""

_SECONDS, _DIGITS = 30, 6
_NEAR = 1
"""How many steps a clock may be off, either way (RFC 6238 §5.2 wants one at most)."""

# Without signs that are taken for one another; 12 of 31 are some 59 bits.
_SIGNS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH, _GROUP = 12, 4

# A code is random, so that the least will do that OWASP takes for enough (Password Storage Cheat
# Sheet): ten are hashed at once.
_HASHER = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)
_NO_CODES_HASH = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"


def make_secret() -> str:
    """Return a fresh secret, 160 bits in base32 (RFC 4226 §4)."""
    return pyotp.random_base32()


def make_setup_uri(secret: str, *, email: str, organisation: str) -> str:
    """Return what the QR code says to the app."""
    issuer = organisation.replace(":", " ") or "repermit"
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def find_matching_step(secret: str, code: str, *, now: datetime, after: int = 0) -> int | None:
    """Return the time step whose code this is, None if it is none that may still be used.

    `after` is the last step used: neither it nor one before works again.
    """
    digits = "".join(code.split())
    if not digits.isascii():
        return None
    current = int(now.timestamp()) // _SECONDS
    steps = range(max(current - _NEAR, after + 1), current + _NEAR + 1)
    codes = ((step, pyotp.TOTP(secret).generate_otp(step)) for step in steps)
    return next((step for step, right in codes if hmac.compare_digest(right, digits)), None)


def use_code(user_id: int, code: str, *, cipher: SecretCipher, now: datetime) -> bool:
    """Use a code of the app up, in the caller's transaction; say whether it was right.

    The last step is moved by one conditional UPDATE, so that of two at once one alone gets in.
    """
    user: User = User.get_by_id(user_id)
    secret = cipher.decrypt_stored(make_totp_name(user_id), user.totp_secret)
    if not secret:
        return False
    step = find_matching_step(secret, code, now=now, after=user.totp_step)
    if step is None:
        return False
    moved = User.update(totp_step=step).where(User.id == user_id, User.totp_step < step)
    return bool(moved.execute())


def is_app_code(code: str) -> bool:
    """Say whether a code looks like one of an app, and not like a recovery code."""
    return len(_normalize_code(code)) <= _DIGITS


def find_recovery_code(user_id: int, code: str) -> int | None:
    """Return which of a user's codes this is, None for none; takes long, outside any transaction.

    The beginning of its SHA-256 finds the row, so that one hash is computed and not ten. For a code
    of which there is no row one is computed too, so that nobody learns that there is none.
    """
    digest = _hash_code(code)
    own = (RecoveryCode.user == user_id, RecoveryCode.used_at.is_null())
    old: RecoveryCode | None = RecoveryCode.get_or_none(*own, RecoveryCode.digest == digest)
    near: list[RecoveryCode] = list(
        RecoveryCode.select().where(
            *own, RecoveryCode.digest == "", RecoveryCode.selector == _make_selector(digest)
        )
    )
    found = [one for one in near if _is_code_right(digest, one.hash)]
    if not near:
        _is_code_right(digest, _NO_CODES_HASH)
    return old.id if old else next((one.id for one in found), None)


def use_recovery_code(code_id: int, *, now: datetime) -> bool:
    """Use a recovery code up, in the caller's transaction; False if somebody has just done so."""
    update = RecoveryCode.update(used_at=now).where(
        RecoveryCode.id == code_id, RecoveryCode.used_at.is_null()
    )
    return bool(update.execute())


def make_recovery_codes() -> tuple[tuple[str, str, str], ...]:
    """Return fresh codes, each with its selector and its hash; takes long.

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
    """Put fresh codes in the place of a user's old ones, in the caller's transaction.

    Returns the codes themselves, which are shown this once.
    """
    RecoveryCode.delete().where(RecoveryCode.user == user_id).execute()
    rows = [
        {"user": user_id, "selector": selector, "hash": kept} for _code, selector, kept in codes
    ]
    RecoveryCode.insert_many(rows).execute()
    return tuple(code for code, _selector, _kept in codes)


def hash_old_codes(database: Database) -> None:
    """Hash the recovery codes of which the SHA-256 alone was kept until now."""
    unused = RecoveryCode.digest != "", RecoveryCode.used_at.is_null()
    for row in list(RecoveryCode.select().where(*unused)):
        kept = _HASHER.hash(row.digest)
        with database.atomic():
            RecoveryCode.update(digest="", selector=_make_selector(row.digest), hash=kept).where(
                RecoveryCode.id == row.id
            ).execute()
    with database.atomic():
        RecoveryCode.update(digest="").where(RecoveryCode.used_at.is_null(is_null=False)).execute()


def count_codes_left(user_id: int) -> int:
    """Return how many recovery codes a user has left."""
    unused = RecoveryCode.user == user_id, RecoveryCode.used_at.is_null()
    return int(RecoveryCode.select().where(*unused).count())


def _is_code_right(digest: str, kept: str) -> bool:
    try:
        return _HASHER.verify(kept, digest)
    except (VerificationError, InvalidHashError):
        return False


def _make_code() -> str:
    signs = "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH))
    return "-".join(signs[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def _hash_code(code: str) -> str:
    return hash_secret(_normalize_code(code))


def _normalize_code(code: str) -> str:
    return "".join(sign for sign in code.upper() if sign.isalnum())


def _make_selector(digest: str) -> str:
    """Return by what a code's row is found: 12 bits of 59, which leaves enough to be guessed."""
    return digest[:3]
