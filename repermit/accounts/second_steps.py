"""The second step: six digits that an app shows (RFC 6238), and codes on paper in its place.

May import models and what lies below.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING

import pyotp

from repermit.accounts.digests import digest_of
from repermit.models import RecoveryCode, User

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

CODES = 10
"""How many recovery codes somebody gets."""

_SECONDS = 30
_NEAR = 1
"""How many steps a clock may be off, either way (RFC 6238 §5.2 wants one at most)."""

# Without signs that are taken for one another; 12 of 31 are some 59 bits.
_SIGNS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH, _GROUP = 12, 4


def new_secret() -> str:
    """Return a fresh secret, 160 bits in base32 (RFC 4226 §4)."""
    return pyotp.random_base32()


def setup_uri(secret: str, *, email: str, organisation: str) -> str:
    """Return what the QR code says to the app."""
    issuer = organisation.replace(":", " ") or "repermit"
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def matching_step(secret: str, code: str, *, now: datetime, after: int = 0) -> int | None:
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


def use_code(user_id: int, code: str, *, now: datetime) -> bool:
    """Use a code of the app up, in the caller's transaction; say whether it was right.

    The last step is moved by one conditional UPDATE, so that of two at once one alone gets in.
    """
    user: User = User.get_by_id(user_id)
    if not user.totp_secret:
        return False
    step = matching_step(user.totp_secret, code, now=now, after=user.totp_step)
    if step is None:
        return False
    moved = User.update(totp_step=step).where(User.id == user_id, User.totp_step < step)
    return bool(moved.execute())


def use_recovery_code(user_id: int, code: str, *, now: datetime) -> bool:
    """Use a recovery code up, in the caller's transaction; say whether it was one."""
    used = RecoveryCode.update(used_at=now).where(
        RecoveryCode.user == user_id,
        RecoveryCode.digest == _digest(code),
        RecoveryCode.used_at.is_null(),
    )
    return bool(used.execute())


def renew_recovery_codes(user_id: int) -> tuple[str, ...]:
    """Make a user's recovery codes anew, in the caller's transaction; they are shown this once."""
    RecoveryCode.delete().where(RecoveryCode.user == user_id).execute()
    codes = tuple(_new_code() for _ in range(CODES))
    _keep(user_id, codes)
    return codes


def codes_left(user_id: int) -> int:
    """Return how many recovery codes a user has left."""
    unused = RecoveryCode.user == user_id, RecoveryCode.used_at.is_null()
    return int(RecoveryCode.select().where(*unused).count())


def _keep(user_id: int, codes: Sequence[str]) -> None:
    rows = [{"user": user_id, "digest": _digest(code)} for code in codes]
    RecoveryCode.insert_many(rows).execute()


def _new_code() -> str:
    signs = "".join(secrets.choice(_SIGNS) for _ in range(_LENGTH))
    return "-".join(signs[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def _digest(code: str) -> str:
    signs = "".join(sign for sign in code.upper() if sign.isalnum())
    return digest_of(signs)
