"""The security measures in force, each read from settings or database (GDPR art. 32, 30(1)(g)).

No measure is listed as in force without a check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repermit.contacts import counts
from repermit.db.models.accounts import User
from repermit.db.models.evidence import EvidenceHead
from repermit.db.models.lists import MailingList
from repermit.settings.definitions import Settings
from repermit.settings.secret_files import is_open_to_others, list_secret_files

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A measure: whether it is in force, and the numbers in its sentence."""

    key: str
    in_force: bool
    numbers: Mapping[str, int]


def list_measures(mailing_list: MailingList, settings: Settings) -> tuple[Measure, ...]:
    """Return every measure that repermit knows, including those that are not in force."""
    return tuple(
        Measure(key=key, in_force=in_force, numbers=numbers)
        for key, in_force, numbers in (
            *_list_user_measures(settings),
            *_list_transport_measures(settings),
            *_list_data_measures(mailing_list),
            *_list_file_measures(settings),
        )
    )


_MeasureRow = tuple[str, bool, dict[str, int]]


def _list_user_measures(settings: Settings) -> Iterator[_MeasureRow]:
    users = list(User.select())
    hashes = [user.password for user in users if user.password]
    if hashes:
        all_argon = all(password_hash.startswith("$argon2id$") for password_hash in hashes)
        with_second_step = sum(bool(user.totp_secret) for user in users if user.password)
        yield "passwords", all_argon, {"users": len(hashes)}
        yield (
            "second_step",
            with_second_step == len(hashes),
            {"with": with_second_step, "users": len(hashes)},
        )
    admins = sum(user.role == "admin" for user in users)
    yield "roles", True, {"admins": admins, "viewers": len(users) - admins}
    yield "lock", True, {"minutes": settings.web.idle_minutes}
    yield "access_log", True, {"days": settings.retention.access_days}


def _list_transport_measures(settings: Settings) -> Iterator[_MeasureRow]:
    yield "tls_pages", settings.public_url.startswith("https:"), {}
    if settings.mail.tls == "none" and settings.mail.server in _THIS_MACHINE:
        yield "local_mail", True, {}  # over no network, whatever that server does next
    else:
        yield "tls_mail", settings.mail.tls != "none", {}
    if settings.bounces.protocol != "none":
        yield "tls_mailbox", settings.bounces.tls != "none", {}


def _list_data_measures(mailing_list: MailingList) -> Iterator[_MeasureRow]:
    fingerprints = counts.count_suppressions(mailing_list)
    yield "fingerprints", True, {"count": fingerprints.total()}
    yield "chain", True, {"entries": EvidenceHead.get().seq}
    contact_groups, stored_fields = (
        counts.count_contact_groups(mailing_list),
        counts.count_stored_fields(mailing_list),
    )
    yield "erasure", True, {"erased": contact_groups.total() - stored_fields.addresses}


def _list_file_measures(settings: Settings) -> Iterator[_MeasureRow]:
    if settings.path is not None and settings.path.exists():
        yield "private_settings", not any(map(_is_open, list_secret_files(settings.path))), {}
    if settings.sqlite_path is not None and settings.sqlite_path.exists():
        yield "private_database", not _is_open(settings.sqlite_path), {}


def _is_open(path: Path) -> bool:
    return path.exists() and is_open_to_others(path)
