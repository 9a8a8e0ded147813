"""Until when a sign-up can be confirmed, and for how long one that was not is kept."""

from __future__ import annotations

from datetime import timedelta

SIGN_UP_LIFETIME = timedelta(days=7)
"""The time in which a sign-up can be confirmed; `join_mail_sent.html` says it in words."""

SIGN_UPS_KEPT = timedelta(days=30)
"""The time after which an unconfirmed sign-up is deleted."""
