"""What the settings hold, as frozen values with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    pass

# --- Where the value of each setting comes from. --------------------------------------------------


class Origin(StrEnum):
    """Where a value comes from; `USUAL` is what goes with the preset or protocol that was chosen.

    `CHOSEN` is from the admin's pages, kept in the database.

    A setting that is not known to come from elsewhere has its default.
    """

    CONFIG = "config"
    FILE = "file"
    CHOSEN = "chosen"
    USUAL = "usual"
    DEFAULT = "default"


def origins(document: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Origin]:
    """Return the origin of every key that has not its default, dotted.

    `document` is config.toml as it stands, `values` what it came to with files and presets.
    """
    written = dict(flat(document))
    return {key: _origin(key, written) for key, _ in flat(values)}


def _origin(key: str, written: Mapping[str, Any]) -> Origin:
    if key in written:
        return Origin.CONFIG
    return Origin.FILE if f"{key}_file" in written else Origin.USUAL


def flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the settings of a document with dotted names."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{name}.{key}", one) for key, one in value.items()]
        else:
            found.append((name, value))
    return found


# --- What the settings hold, as frozen values with their defaults. --------------------------------


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """Who asks; stands in every mail and on every page (GDPR art. 13(1)(a) and (b))."""

    name: str = ""
    address: str = ""
    email: str = ""
    telephone: str = ""
    website: str = ""
    officer: str = ""
    authority: str = ""
    authority_url: str = ""

    @property
    def postal_lines(self) -> tuple[str, ...]:
        """Return the postal address, a line each."""
        return tuple(line.strip() for line in self.address.splitlines() if line.strip())


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """How mail gets out, and how fast at most (0: as fast as it goes). Times in seconds."""

    preset: str = ""
    server: str = "localhost"
    port: int = 587
    tls: str = "starttls"
    ca_file: str = ""
    auth: str = "password"
    username: str = ""
    password: str = field(default="", repr=False)
    oauth_tenant: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    oauth_refresh_token: str = field(default="", repr=False)
    oauth_authority: str = ""
    connections: int = 4
    return_path: str = "fixed"
    return_domain: str = ""
    dkim_selector: str = ""
    dkim_domain: str = ""
    dkim_key: str = field(default="", repr=False)
    rate_per_minute: int = 0
    rate_per_hour: int = 0
    rate_per_day: int = 0
    domain_rate_per_minute: int = 0
    connect_timeout: int = 30
    reply_timeout: int = 600

    @property
    def refuses_other_senders(self) -> bool:
        """Say whether it takes mails of the mailbox that logs in alone: Exchange Online does."""
        return self.server.lower().endswith(".office365.com")

    @property
    def interval(self) -> timedelta:
        """Return how long after one mail the next may leave; zero: at once.

        There is no burst: it is the longest that any of the rates asks for, rounded up to the
        microsecond, so that never more than so many leave in any minute, hour or day.
        """
        return max(
            _interval(timedelta(minutes=1), self.rate_per_minute),
            _interval(timedelta(hours=1), self.rate_per_hour),
            _interval(timedelta(days=1), self.rate_per_day),
        )

    def hurried(self, seconds: int) -> MailServer:
        """Return the same server with no more patience than so many seconds: somebody waits."""
        return replace(
            self,
            connect_timeout=min(self.connect_timeout, seconds),
            reply_timeout=min(self.reply_timeout, seconds),
        )

    @property
    def domain_interval(self) -> timedelta:
        """Return the same for mails to one and the same domain."""
        return _interval(timedelta(minutes=1), self.domain_rate_per_minute)


def _interval(period: timedelta, rate: int) -> timedelta:
    # Python's division rounds down, and minus of it up.
    return -(-period // rate) if rate else timedelta(0)


@dataclass(frozen=True, kw_only=True)
class Bounces:
    """Where bounces and replies are read; the port is the usual one of the protocol."""

    protocol: str = "none"
    server: str = ""
    port: int = 993
    tls: str = "tls"
    ca_file: str = ""
    auth: str = "password"
    username: str = ""
    password: str = field(default="", repr=False)
    oauth_tenant: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = field(default="", repr=False)
    oauth_refresh_token: str = field(default="", repr=False)
    oauth_authority: str = ""
    mailbox: str = "INBOX"
    every_minutes: int = 5


@dataclass(frozen=True, kw_only=True)
class CampaignRules:
    """What holds for every campaign. Times in days."""

    minimum_days: int = 14
    pause_at_bounce_percent: int = 2


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long who was taken off is kept, the parts of the evidence, and who looked at what."""

    removed_days: int = 30
    evidence_years: int = 5
    trace_days: int = 90
    access_days: int = 365


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the pages are served, and after how many idle minutes an admin's screen locks."""

    host: str = "127.0.0.1"
    port: int = 8000
    threads: int = 8
    trusted_proxies: int = 0
    idle_minutes: int = 15
    webhooks_to_private: bool = False
    checks_to_private: bool = False


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Keys are bytes; `secret_keys` has the newest last.

    `journal` is where suppressions are journalled, None for settings that came from no file.
    `path` is the file that they were read from, and `origins` says where those that have not their
    default come from. `given` is what the file itself says of what may be chosen on the pages too,
    dotted; None is for settings that come from no file, and stands for what is not at its default.
    None of the three makes two settings differ.
    """

    public_url: str
    database: str
    timezone: str = "Europe/Amsterdam"
    secret_keys: tuple[bytes, ...] = field(repr=False)
    fingerprint_key: bytes = field(repr=False)
    journal: Path | None = None
    organisation: Organisation = Organisation()
    mail: MailServer = MailServer()
    bounces: Bounces = Bounces()
    campaign: CampaignRules = CampaignRules()
    retention: Retention = Retention()
    web: Web = Web()
    path: Path | None = field(default=None, repr=False, compare=False)
    origins: Mapping[str, Origin] = field(default_factory=dict, repr=False, compare=False)
    given: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    @property
    def zone(self) -> ZoneInfo:
        """Return the organisation's time zone."""
        return ZoneInfo(self.timezone)

    @property
    def sqlite_path(self) -> Path | None:
        """Return where the SQLite file is, or None for another database."""
        prefix = "sqlite:///"
        return Path(self.database.removeprefix(prefix)) if self._is_sqlite(prefix) else None

    def _is_sqlite(self, prefix: str) -> bool:
        return self.database.startswith(prefix)
