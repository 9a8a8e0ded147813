"""The declarations of all settings: default, limits, label, help and section of each.

The reader of config.toml, the forms and summaries of the admin's pages, the evidence of a change
and docs/reference/settings.md are made from these declarations. A new setting is a field here and a
line in config.example.toml; then docs/reference is generated again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from repermit.i18n.lazy_text import N_
from repermit.settings.setting_type import (
    Limits,
    Section,
    Setting,
    declare_setting,
    iter_settings,
    make_metadata,
)
from repermit.settings.smtp_presets import PRESET_LABELS

_FROM_0: Limits = (0, None)
_PORT: Limits = (1, 65_535)
# At most a day: without a time limit, sending could hang for ever.
_SECONDS: Limits = (1, 86_400)
_MINUTES: Limits = (1, 1440)
# So many days before any time must be a valid date.
_DAYS: Limits = (0, 3660)

# --- Who asks. ------------------------------------------------------------------------------------

_WHO_ASKS = Section(
    page="organisation",
    title=N_("Who asks"),
    topic="tutorial/first-campaign#before-you-start-settings",
    hint=N_(
        "It stands in every mail and on every page. No campaign starts without name, "
        "postal address and e-mail address (GDPR art. 13)."
    ),
)
_COMPLAINTS = Section(
    page="organisation",
    title=N_("Where people can turn to about their data"),
    topic="tutorial/first-campaign#before-you-start-settings",
    hint=N_(
        "No campaign starts without the authority: people must be told where they can "
        "complain (GDPR art. 13(2)(d))."
    ),
)


@dataclass(frozen=True, kw_only=True)
class Organisation:
    """The organisation that asks; every mail and page shows it (GDPR art. 13(1)(a) and (b))."""

    name: str = declare_setting("", N_("Name"), N_("As people know it."), section=_WHO_ASKS)
    address: str = declare_setting(
        "",
        N_("Postal address"),
        N_("On several lines, as on an envelope."),
        section=_WHO_ASKS,
        kind="lines",
        is_personal=True,
    )
    email: str = declare_setting(
        "",
        N_("E-mail address"),
        N_("Where somebody reads and answers; it also gets the daily news."),
        section=_WHO_ASKS,
        kind="email",
        is_personal=True,
    )
    telephone: str = declare_setting(
        "",
        N_("Telephone"),
        N_("Who doubts whether a mail is yours can ring up."),
        section=_WHO_ASKS,
        is_personal=True,
    )
    website: str = declare_setting("", N_("Website"), section=_WHO_ASKS, kind="url")
    officer: str = declare_setting(
        "",
        N_("Data protection officer"),
        N_("If there is one: name and how to reach them."),
        section=_COMPLAINTS,
        is_personal=True,
    )
    authority: str = declare_setting(
        "",
        N_("Authority for complaints"),
        N_("In the Netherlands: Autoriteit Persoonsgegevens."),
        section=_COMPLAINTS,
    )
    authority_url: str = declare_setting(
        "",
        N_("Its pages"),
        N_("For instance https://autoriteitpersoonsgegevens.nl"),
        section=_COMPLAINTS,
        kind="url",
    )

    @property
    def missing_keys(self) -> tuple[str, ...]:
        """Return the keys that are required before asking and empty; "email" or a telephone."""
        required = {
            "name": self.name,
            "address": self.postal_lines,
            "email": self.email or self.telephone,
            "authority": self.authority,
        }
        return tuple(key for key, value in required.items() if not value)

    @property
    def postal_lines(self) -> tuple[str, ...]:
        """Return the postal address, a line each."""
        return tuple(line.strip() for line in self.address.splitlines() if line.strip())


# --- The mail server, and its rate limits. --------------------------------------------------------


_AUTH = {
    "password": N_("With user name and password"),
    "xoauth2": N_("Without a password: Microsoft 365 or Google (xoauth2)"),
}

_ACCOUNT = Section(page="mail", title=N_("Whose account is it?"), topic="how-to/other-mail-hosts")
_SERVER = Section(page="mail", title=N_("The server"), topic="how-to/other-mail-hosts")
_LOGIN = Section(page="mail", title=N_("Logging in"), topic="how-to/settings#secrets")
_OAUTH = Section(
    page="mail",
    title=N_("Without a password: Microsoft 365 and Google"),
    topic="how-to/ask-your-it#what-you-need-from-them",
    hint=N_("An administrator registers an application for it; the help has the steps."),
    is_folded=True,
)
_RATES = Section(
    page="mail",
    title=N_("How fast mails leave"),
    topic="how-to/other-mail-hosts",
    hint=N_(
        "Who sends faster than the provider allows is cut off, often for a day. They "
        "leave evenly, so the slowest of these holds; 0 is no limit."
    ),
    is_folded=True,
)
_RARELY_NEEDED = Section(
    page="mail",
    title=N_("Rarely needed"),
    topic="how-to/other-mail-hosts#how-mails-leave",
    is_folded=True,
)


@dataclass(frozen=True, kw_only=True)
class MailServer:
    """The mail server, and its rate limits (0: no limit). Times are in seconds."""

    preset: str = declare_setting(
        "",
        N_("Kind of account"),
        section=_ACCOUNT,
        choices=PRESET_LABELS,
        is_destination=True,
    )
    server: str = declare_setting(
        "localhost",
        N_("Server"),
        N_("Your mail provider calls it the SMTP server, or outgoing server."),
        section=_SERVER,
        is_destination=True,
    )
    port: int = declare_setting(587, N_("Port"), section=_SERVER, limits=_PORT, is_destination=True)
    tls: str = declare_setting(
        "starttls",
        N_("Encryption"),
        section=_SERVER,
        choices={
            "starttls": N_("STARTTLS, mostly with port 587"),
            "tls": N_("TLS from the start, mostly with port 465"),
            "none": N_("None: only for a server on this machine or in the same room"),
        },
        is_destination=True,
    )
    # Not on the pages: a form that took any path would reveal which files exist.
    ca_file: str = declare_setting("", N_("Authority of its certificate"), is_destination=True)
    auth: str = declare_setting("password", N_("How to log in"), section=_LOGIN, choices=_AUTH)
    username: str = declare_setting(
        "",
        N_("User name"),
        N_("Mostly the whole address of the mailbox. Empty if none is asked for."),
        section=_LOGIN,
        is_personal=True,
    )
    password: str = declare_setting("", N_("Password"), section=_LOGIN, is_secret=True)
    oauth_tenant: str = declare_setting(
        "",
        N_("Directory (tenant) ID"),
        N_("Of Microsoft 365; for all others leave it empty."),
        section=_OAUTH,
        is_personal=True,
        is_destination=True,
    )
    oauth_client_id: str = declare_setting(
        "", N_("Application (client) ID"), section=_OAUTH, is_personal=True
    )
    oauth_client_secret: str = declare_setting(
        "", N_("Secret of the application"), section=_OAUTH, is_secret=True
    )
    oauth_refresh_token: str = declare_setting(
        "", N_("Refresh token"), section=_OAUTH, is_secret=True
    )
    oauth_authority: str = declare_setting(
        "",
        N_("Where tokens come from"),
        N_("Leave it empty, unless it is a national cloud."),
        section=_OAUTH,
        is_destination=True,
    )
    connections: int = declare_setting(
        4,
        N_("Connections at the same time"),
        N_("A server may take fewer."),
        section=_RATES,
        limits=(1, 64),
        position=1,
    )
    return_path: str = declare_setting(
        "fixed",
        N_("Where mails come back to"),
        section=_RARELY_NEEDED,
        own_topic="how-to/bounces#your-own-mail-server",
        choices={
            "fixed": N_("To the sender’s own address"),
            "verp": N_(
                "To an address for each mail (bounce+…), by which it is recognised for certain"
            ),
        },
        error_order=("verp", "fixed"),
    )
    return_domain: str = declare_setting(
        "",
        N_("Domain that they come back to"),
        N_("Empty is the sender’s."),
        section=_RARELY_NEEDED,
        own_topic="how-to/bounces#your-own-mail-server",
    )
    dkim_selector: str = declare_setting(
        "",
        N_("DKIM selector"),
        N_(
            "The s= in the DKIM-Signature of a mail of yours, so that the check can look its key "
            "up."
        ),
        section=_RARELY_NEEDED,
        own_topic="how-to/dkim#sign-here",
    )
    # Not on the pages: a signing key does not belong in the database, and its record is fixed.
    dkim_domain: str = declare_setting("", N_("DKIM domain"))
    dkim_key: str = declare_setting(
        "", N_("What mails are signed with (DKIM)"), kind="lines", is_secret=True
    )
    rate_per_minute: int = declare_setting(
        0, N_("Mails in a minute at most"), section=_RATES, limits=_FROM_0
    )
    rate_per_hour: int = declare_setting(
        0, N_("Mails in an hour at most"), section=_RATES, limits=_FROM_0
    )
    rate_per_day: int = declare_setting(
        0, N_("Mails in a day at most"), section=_RATES, limits=_FROM_0
    )
    domain_rate_per_minute: int = declare_setting(
        0, N_("Mails in a minute to one domain at most"), section=_RATES, limits=_FROM_0
    )
    connect_timeout: int = declare_setting(
        30, N_("Seconds to wait for a connection"), section=_RARELY_NEEDED, limits=_SECONDS
    )
    reply_timeout: int = declare_setting(
        600,
        N_("Seconds to wait for a reply"),
        N_("With less than 600 more mails end in doubt (RFC 5321)."),
        section=_RARELY_NEEDED,
        limits=_SECONDS,
    )

    @property
    def refuses_other_senders(self) -> bool:
        """Return whether only the mailbox that logs in may be the sender, as at Exchange Online."""
        return self.server.lower().endswith(".office365.com")

    @property
    def interval(self) -> timedelta:
        """Return the minimum time between two mails; zero: no limit.

        It is the longest interval of all rates, rounded up to the microsecond. So there are no
        bursts, and no minute, hour or day has more mails than its rate.
        """
        return max(
            _interval(timedelta(minutes=1), self.rate_per_minute),
            _interval(timedelta(hours=1), self.rate_per_hour),
            _interval(timedelta(days=1), self.rate_per_day),
        )

    def with_timeout(self, seconds: int) -> MailServer:
        """Return the same server with shorter timeouts, for use while a page waits.

        - `seconds`: the maximum of each timeout.
        """
        return replace(
            self,
            connect_timeout=min(self.connect_timeout, seconds),
            reply_timeout=min(self.reply_timeout, seconds),
        )

    @property
    def domain_interval(self) -> timedelta:
        """Return the minimum time between two mails to the same domain; zero: no limit."""
        return _interval(timedelta(minutes=1), self.domain_rate_per_minute)


def _interval(period: timedelta, rate: int) -> timedelta:
    # Floor division rounds down, so negating both sides rounds up.
    return -(-period // rate) if rate else timedelta(0)


# --- Where bounces and replies are read. ----------------------------------------------------------

_MAILBOX = Section(
    page="bounces",
    title=N_("The mailbox"),
    topic="how-to/bounces#a-mailbox",
    hint=N_(
        "The one of the sender. It is searched for bounces, so that nobody who never got the "
        "question is taken off for silence; what people wrote stays unread. Replies go to your "
        "organisation’s address, and are seen if they come into this mailbox too."
    ),
)
_MAILBOX_LOGIN = replace(_LOGIN, page="bounces")
_MAILBOX_OAUTH = replace(_OAUTH, page="bounces")


@dataclass(frozen=True, kw_only=True)
class Bounces:
    """The mailbox for bounces and replies; the port defaults to the protocol's."""

    protocol: str = declare_setting(
        "none",
        N_("How it is read"),
        section=_MAILBOX,
        choices={"none": N_("It is not read here"), "imap": "IMAP", "pop3": "POP3"},
        is_destination=True,
    )
    server: str = declare_setting(
        "",
        N_("Server"),
        N_("Your mail provider calls it the IMAP or POP3 server."),
        section=_MAILBOX,
        is_destination=True,
    )
    port: int = declare_setting(
        993, N_("Port"), section=_MAILBOX, limits=_PORT, is_destination=True
    )
    tls: str = declare_setting(
        "tls",
        N_("Encryption"),
        section=_MAILBOX,
        choices={
            "tls": N_("TLS from the start"),
            "starttls": N_("STARTTLS"),
            "none": N_("None: only for a server on this machine or in the same room"),
        },
        is_destination=True,
    )
    ca_file: str = declare_setting("", N_("Authority of its certificate"), is_destination=True)
    auth: str = declare_setting(
        "password", N_("How to log in"), section=_MAILBOX_LOGIN, choices=_AUTH
    )
    username: str = declare_setting("", N_("User name"), section=_MAILBOX_LOGIN, is_personal=True)
    password: str = declare_setting("", N_("Password"), section=_MAILBOX_LOGIN, is_secret=True)
    oauth_tenant: str = declare_setting(
        "",
        N_("Directory (tenant) ID"),
        N_("Of Microsoft 365; for all others leave it empty."),
        section=_MAILBOX_OAUTH,
        is_personal=True,
        is_destination=True,
    )
    oauth_client_id: str = declare_setting(
        "", N_("Application (client) ID"), section=_MAILBOX_OAUTH, is_personal=True
    )
    oauth_client_secret: str = declare_setting(
        "", N_("Secret of the application"), section=_MAILBOX_OAUTH, is_secret=True
    )
    oauth_refresh_token: str = declare_setting(
        "", N_("Refresh token"), section=_MAILBOX_OAUTH, is_secret=True
    )
    oauth_authority: str = declare_setting(
        "",
        N_("Where tokens come from"),
        N_("Leave it empty, unless it is a national cloud."),
        section=_MAILBOX_OAUTH,
        is_destination=True,
    )
    mailbox: str = declare_setting(
        "INBOX", N_("Folder"), N_("POP3 has one alone."), section=_MAILBOX
    )
    every_minutes: int = declare_setting(
        5, N_("Minutes between two looks"), section=_MAILBOX, limits=_MINUTES
    )


# --- What holds for every campaign. ---------------------------------------------------------------

_EVERY_CAMPAIGN = Section(
    page="campaign",
    title=N_("What holds for every campaign"),
    topic="tutorial/first-campaign#step-4-the-conditions",
    hint=N_("A campaign that has begun keeps the days that it was launched with."),
)


@dataclass(frozen=True, kw_only=True)
class CampaignRules:
    """The rules for every campaign. Times are in days."""

    minimum_days: int = declare_setting(
        14,
        N_("Days that people have at least"),
        N_("Whoever got the question later is not removed for not answering. 0 is for trials."),
        section=_EVERY_CAMPAIGN,
        # A deadline is a year away at most.
        limits=(0, 365),
    )
    pause_at_bounce_percent: int = declare_setting(
        2,
        N_("Percent of bounces at which it pauses"),
        N_("Looked at from the first hundred on; 0 is never."),
        section=_EVERY_CAMPAIGN,
        own_topic="how-to/while-it-runs#when-the-campaign-pauses-by-itself",
        limits=(0, 100),
    )


# --- How long data is kept. -----------------------------------------------------------------------

_HOW_LONG = Section(
    page="retention", title=N_("For how long"), topic="how-to/faq#how-long-is-everything-kept"
)


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How long removed contacts, parts of the evidence and the logs of admins are kept."""

    removed_days: int = declare_setting(
        30, N_("Days until who was taken off is erased"), section=_HOW_LONG, limits=_DAYS
    )
    evidence_years: int = declare_setting(
        5,
        N_("Years that a proof is kept after its consent has ended"),
        N_("For claims, GDPR art. 17(3)(e)."),
        section=_HOW_LONG,
        limits=(0, 100),
    )
    trace_days: int = declare_setting(
        90,
        N_("Days that network and browser of an answer are kept"),
        section=_HOW_LONG,
        limits=_DAYS,
    )
    access_days: int = declare_setting(
        365,
        N_("Days that it is kept who looked at what, and who was refused"),
        section=_HOW_LONG,
        limits=(1, 36_500),
    )


# --- How the pages are served. --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Web:
    """How the pages are served, and the minutes until an admin's idle screen locks."""

    host: str = declare_setting("127.0.0.1", N_("Where the server listens"))
    port: int = declare_setting(8000, N_("Port"), limits=(0, 65_535))
    threads: int = declare_setting(8, N_("Requests at the same time"), limits=(1, 1000))
    trusted_proxies: int = declare_setting(0, N_("Web servers that stand in front"), limits=_FROM_0)
    idle_minutes: int = declare_setting(
        15, N_("Idle minutes until the screen locks"), limits=_MINUTES
    )
    webhooks_to_private: bool = declare_setting(
        default=False,
        label=N_("Webhooks may go to private networks"),
        help=N_("There plain http will do too."),
    )
    checks_to_private: bool = declare_setting(
        default=False, label=N_("Checks may look into private networks")
    )


# --- Witnesses of checkpoints, and timestamps. ----------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EvidenceRules:
    """Who gets checkpoints: by mail, to cosign them (C2SP), or to timestamp them (RFC 3161)."""

    witnesses: tuple[str, ...] = declare_setting(
        (), N_("Who gets checkpoints by mail"), kind="list", is_personal=True
    )

    witness_url: str = declare_setting("", N_("Where checkpoints are cosigned"), kind="url")
    witness_key: str = declare_setting("", N_("Key of the witness who cosigns them"))
    timestamp_url: str = declare_setting("", N_("Where timestamps come from"), kind="url")
    # Not on the pages: a form that took any path would reveal which files exist.
    timestamp_ca_file: str = declare_setting("", N_("Authority of the timestamps"))


# --- All settings. --------------------------------------------------------------------------------

_TIME = Section(page="organisation", title=N_("Time"), topic="how-to/settings#in-the-browser")


class Origin(StrEnum):
    """Where a setting's value comes from.

    - `CHOSEN`: the admin's pages, stored in the database.
    - `PRESET`: the chosen preset or protocol.
    - `DEFAULT`: also for a setting without a known origin.
    """

    CONFIG = "config"
    FILE = "file"
    CHOSEN = "chosen"
    PRESET = "usual"
    DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings. Keys are bytes.

    - `secret_keys`: the newest last.
    - `evidence_key`: the seed of an Ed25519 key (RFC 8032 §5.1.5); None if nothing is signed.
    - `journal`: the file of the suppression journal; None for settings that come from no file.
    - `path`: the file that the settings were read from.
    - `origins`: the origin of each setting that has not its default, by dotted key.
    - `given`: the values in the file itself, by dotted key; None for settings that come from no
      file, whose values other than the defaults count instead.
    - `path`, `origins` and `given` do not count when settings are compared.
    """

    public_url: str = field(metadata=make_metadata(N_("Address of the pages")))
    database: str = declare_setting("sqlite:///repermit.db", N_("Database"))
    timezone: str = declare_setting(
        "Europe/Amsterdam",
        N_("Time zone"),
        N_("In it deadlines are given, and mails and pages show times."),
        section=_TIME,
        kind="timezone",
    )
    secret_keys: tuple[bytes, ...] = field(
        repr=False, metadata=make_metadata(N_("What links are signed with"), is_secret=True)
    )
    fingerprint_key: bytes = field(
        repr=False, metadata=make_metadata(N_("What fingerprints are made with"), is_secret=True)
    )
    evidence_key: bytes | None = field(
        default=None,
        repr=False,
        metadata=make_metadata(
            N_("What checkpoints of the record are signed with"), is_secret=True
        ),
    )
    journal: Path | None = field(
        default=None, metadata=make_metadata(N_("Where suppressions are journalled"))
    )
    organisation: Organisation = Organisation()
    mail: MailServer = MailServer()
    bounces: Bounces = Bounces()
    campaign: CampaignRules = CampaignRules()
    retention: Retention = Retention()
    evidence: EvidenceRules = EvidenceRules()
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
        """Return the path of the SQLite file; None for another database."""
        prefix = "sqlite:///"
        if not self.database.startswith(prefix):
            return None
        return Path(self.database.removeprefix(prefix))


# --- Look-ups that are made from the declarations. ------------------------------------------------

TABLES: Mapping[str, type] = {
    "organisation": Organisation,
    "mail": MailServer,
    "bounces": Bounces,
    "campaign": CampaignRules,
    "retention": Retention,
    "evidence": EvidenceRules,
    "web": Web,
}
"""The tables of config.toml, in the order of config.example.toml."""

PAGES: Mapping[str, str] = {
    "organisation": N_("Organisation"),
    "mail": N_("Mail server"),
    "bounces": N_("Mails that come back"),
    "campaign": N_("Campaigns"),
    "retention": N_("What is kept"),
}
"""The pages on which settings are chosen, in their order, with their titles."""

SETTINGS: Mapping[str, Setting] = {
    setting.key: setting
    for table, holder in {"": Settings, **TABLES}.items()
    for setting in iter_settings(table, holder)
}
"""Every setting by its dotted key, in the order of config.example.toml."""

SECRETS = tuple(key for key, setting in SETTINGS.items() if setting.is_secret)
"""The dotted keys of the settings that are never shown."""


def list_sections(page: str) -> dict[Section, list[Setting]]:
    """Return the sections of a page of settings, with the settings of each in their order."""
    settings_by_section: dict[Section, list[Setting]] = {}
    # The time zone, which is in no table, comes after the organisation.
    for setting in sorted(SETTINGS.values(), key=lambda setting: not setting.table):
        if setting.section and setting.section.page == page:
            settings_by_section.setdefault(setting.section, []).append(setting)
    return {
        section: sorted(settings, key=lambda setting: setting.position)
        for section, settings in settings_by_section.items()
    }
