"""The security measures that are really in force, each read from settings or database.

Nothing is claimed that was not looked at (GDPR art. 32 and 30(1)(g)).
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
    """A measure: whether it is in force, and the numbers that its sentence tells."""

    key: str
    in_force: bool
    numbers: Mapping[str, int]


def list_measures(mailing_list: MailingList, settings: Settings) -> tuple[Measure, ...]:
    """Return every measure that repermit knows of, those that are not in force too."""
    return tuple(
        Measure(key=key, in_force=holds, numbers=numbers)
        for key, holds, numbers in (
            *_of_people(settings),
            *_of_ways(settings),
            *_of_data(mailing_list),
            *_of_files(settings),
        )
    )


_Known = tuple[str, bool, dict[str, int]]


def _of_people(settings: Settings) -> Iterator[_Known]:
    users = list(User.select())
    hashes = [one.password for one in users if one.password]
    if hashes:
        all_argon = all(one.startswith("$argon2id$") for one in hashes)
        second = sum(bool(one.totp_secret) for one in users if one.password)
        yield "passwords", all_argon, {"users": len(hashes)}
        yield "second_step", second == len(hashes), {"with": second, "users": len(hashes)}
    admins = sum(one.role == "admin" for one in users)
    yield "roles", True, {"admins": admins, "viewers": len(users) - admins}
    yield "lock", True, {"minutes": settings.web.idle_minutes}
    yield "access_log", True, {"days": settings.retention.access_days}


def _of_ways(settings: Settings) -> Iterator[_Known]:
    yield "tls_pages", settings.public_url.startswith("https:"), {}
    if settings.mail.tls == "none" and settings.mail.server in _THIS_MACHINE:
        yield "local_mail", True, {}  # over no network, whatever that server does next
    else:
        yield "tls_mail", settings.mail.tls != "none", {}
    if settings.bounces.protocol != "none":
        yield "tls_mailbox", settings.bounces.tls != "none", {}


def _of_data(mailing_list: MailingList) -> Iterator[_Known]:
    fingerprints = counts.count_suppressions(mailing_list)
    yield "fingerprints", True, {"count": fingerprints.total()}
    yield "chain", True, {"entries": EvidenceHead.get().seq}
    people, found = (
        counts.count_contact_groups(mailing_list),
        counts.count_stored_fields(mailing_list),
    )
    yield "erasure", True, {"erased": people.total() - found.addresses}


def _of_files(settings: Settings) -> Iterator[_Known]:
    if settings.path is not None and settings.path.exists():
        yield "private_settings", not any(map(_is_open, list_secret_files(settings.path))), {}
    if settings.sqlite_path is not None and settings.sqlite_path.exists():
        yield "private_database", not _is_open(settings.sqlite_path), {}


def _is_open(path: Path) -> bool:
    return path.exists() and is_open_to_others(path)
