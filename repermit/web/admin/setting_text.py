"""What the settings are called, and how their values are shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from repermit.settings.config_file import known_keys, secret_names
from repermit.settings.definitions import Origin, Settings
from repermit.settings.editable_settings import choosable_keys, value_of
from repermit.web.admin.forms import N_
from repermit.web.admin.rendering import gettext

_ACCOUNT = {
    "server": N_("Server"),
    "port": N_("Port"),
    "tls": N_("Encryption"),
    "ca_file": N_("Authority of its certificate"),
    "auth": N_("How to log in"),
    "username": N_("User name"),
    "password": N_("Password"),
    "oauth_tenant": N_("Directory (tenant) ID"),
    "oauth_client_id": N_("Application (client) ID"),
    "oauth_client_secret": N_("Secret of the application"),
    "oauth_refresh_token": N_("Refresh token"),
    "oauth_authority": N_("Where tokens come from"),
}
_NAMES = {
    "": {
        "public_url": N_("Address of the pages"),
        "database": N_("Database"),
        "timezone": N_("Time zone"),
        "secret_keys": N_("What links are signed with"),
        "fingerprint_key": N_("What fingerprints are made with"),
        "journal": N_("Where suppressions are journalled"),
    },
    "organisation": {
        "name": N_("Name"),
        "address": N_("Postal address"),
        "email": N_("E-mail address"),
        "telephone": N_("Telephone"),
        "website": N_("Website"),
        "officer": N_("Data protection officer"),
        "authority": N_("Authority for complaints"),
        "authority_url": N_("Its pages"),
    },
    "mail": {
        **_ACCOUNT,
        "preset": N_("Kind of account"),
        "connections": N_("Connections at the same time"),
        "return_path": N_("Where mails come back to"),
        "return_domain": N_("Domain that they come back to"),
        "dkim_selector": N_("DKIM selector"),
        "dkim_domain": N_("DKIM domain"),
        "dkim_key": N_("What mails are signed with (DKIM)"),
        "rate_per_minute": N_("Mails in a minute at most"),
        "rate_per_hour": N_("Mails in an hour at most"),
        "rate_per_day": N_("Mails in a day at most"),
        "domain_rate_per_minute": N_("Mails in a minute to one domain at most"),
        "connect_timeout": N_("Seconds to wait for a connection"),
        "reply_timeout": N_("Seconds to wait for a reply"),
    },
    "bounces": {
        **_ACCOUNT,
        "protocol": N_("How it is read"),
        "mailbox": N_("Folder"),
        "every_minutes": N_("Minutes between two looks"),
    },
    "campaign": {
        "minimum_days": N_("Days that people have at least"),
        "pause_at_bounce_percent": N_("Percent of bounces at which it pauses"),
    },
    "retention": {
        "removed_days": N_("Days until who was taken off is erased"),
        "evidence_years": N_("Years that a proof is kept after its consent has ended"),
        "trace_days": N_("Days that network and browser of an answer are kept"),
        "access_days": N_("Days that it is kept who looked at what"),
    },
    "web": {
        "host": N_("Where the server listens"),
        "port": N_("Port"),
        "threads": N_("Requests at the same time"),
        "trusted_proxies": N_("Web servers that stand in front"),
        "idle_minutes": N_("Idle minutes until the screen locks"),
        "webhooks_to_private": N_("Webhooks may go to private networks"),
        "checks_to_private": N_("Checks may look into private networks"),
    },
}
_TLS = {
    "starttls": N_("STARTTLS, mostly with port 587"),
    "tls": N_("TLS from the start, mostly with port 465"),
    "none": N_("None: only for a server on this machine or in the same room"),
}
_MAILBOX_TLS = {
    "tls": N_("TLS from the start"),
    "starttls": N_("STARTTLS"),
    "none": N_("None: only for a server on this machine or in the same room"),
}
_AUTH = {
    "password": N_("With user name and password"),
    "xoauth2": N_("Without a password: Microsoft 365 or Google (xoauth2)"),
}
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "mail.preset": {
        "": N_("Another one"),
        "office365": N_("Microsoft 365"),
        "gmail": N_("Gmail"),
        "google-workspace": N_("Google Workspace"),
        "google-relay": N_("Google Workspace, through its relay"),
        "transip": "TransIP",
        "hostnet": "Hostnet",
        "strato": "Strato",
        "ionos": "IONOS",
        "one.com": "one.com",
        "ovh": "OVH",
        "hetzner": "Hetzner",
        "domainfactory": "DomainFactory",
        "gandi": "Gandi",
        "infomaniak": "Infomaniak",
        "hostinger": "Hostinger",
        "cpanel": N_("A host with cPanel"),
        "plesk": N_("A host with Plesk"),
        "directadmin": N_("A host with DirectAdmin"),
    },
    "mail.tls": _TLS,
    "mail.auth": _AUTH,
    "mail.return_path": {
        "fixed": N_("To the sender’s own address"),
        "verp": N_("To an address for each mail (bounce+…), by which it is recognised for certain"),
    },
    "bounces.protocol": {
        "none": N_("It is not read here"),
        "imap": "IMAP",
        "pop3": "POP3",
    },
    "bounces.tls": _MAILBOX_TLS,
    "bounces.auth": _AUTH,
}
"""What may be chosen, in the order in which it is shown; a provider's name is the same anywhere."""


@dataclass(frozen=True, kw_only=True)
class Value:
    """A setting as a page shows it; `key` is how it stands in config.toml, "" for no `text`."""

    key: str
    title: str
    text: str
    origin: Origin


def title_of(key: str) -> str:
    """Return what a setting is called."""
    table, _, name = key.rpartition(".")
    return gettext(_NAMES[table][name])


def values_of_the_file(settings: Settings) -> Iterator[Value]:
    """Yield the settings that the file alone may say; no secret stands in them."""
    secrets = {f"{key}_file" for key in secret_names()}
    for key in known_keys():
        if key not in secrets and key not in choosable_keys():
            yield Value(
                key=key,
                title=_title_of_the_file(key),
                text=in_words(key, value_of(settings, key)),
                origin=settings.origins.get(key, Origin.DEFAULT),
            )


def _title_of_the_file(key: str) -> str:
    """Return the name of a setting; what two accounts have, with that of the account."""
    if not key.endswith(".ca_file"):
        return title_of(key)
    return f"{title_of(key)} ({group_in_words(key.partition('.')[0])})"


def in_words(key: str, value: Any) -> str:
    """Return a value as it is shown; of a secret, whether there is one."""
    if key in secret_names():
        return gettext("set; not shown") if value else ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if key in choosable_keys() and key in OPTIONS and value in OPTIONS[key]:
        return gettext(OPTIONS[key][value])
    # Settings that came from no file may name no journal.
    return _without_password(value) if key == "database" else str("" if value is None else value)


def group_in_words(group: str) -> str:
    """Return what the page of a group of settings is called."""
    return {
        "organisation": gettext("Organisation"),
        "mail": gettext("Mail server"),
        "bounces": gettext("Mails that come back"),
        "campaign": gettext("Campaigns"),
        "retention": gettext("What is kept"),
    }[group]


def _without_password(url: str) -> str:
    """Return where the database is, without what stands before or behind its name."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
