"""What the settings are called, and how their values are shown.

May import config and this room's forms and showing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from repermit.config import Origin, known_keys, secret_names
from repermit.web.admin.forms import N_
from repermit.web.admin.showing import gettext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.config import Settings

TABLES = ("", "organisation", "mail", "bounces", "campaign", "retention", "web")
"""The tables of config.toml in their order; "" is its top."""

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
    },
}
# Shown with all that they hold: these are what people come to look at.
_WHOLE = ("", "organisation", "campaign", "retention")


@dataclass(frozen=True, kw_only=True)
class Value:
    """A setting as the page shows it; `key` is how it stands in config.toml, "" for no `text`."""

    key: str
    title: str
    text: str
    origin: Origin
    is_in_front: bool


def values_of(settings: Settings, table: str) -> Iterator[Value]:
    """Yield the settings of a table, in the order of the example; no secret stands in them."""
    holder = getattr(settings, table) if table else settings
    for key in known_keys():
        its_table, _, name = key.rpartition(".")
        if its_table != table or not hasattr(holder, name):
            continue
        origin = settings.origins.get(key, Origin.DEFAULT)
        yield Value(
            key=key,
            title=gettext(_NAMES[table][name]),
            text=_in_words(key, getattr(holder, name)),
            origin=origin,
            is_in_front=table in _WHOLE or origin is not Origin.DEFAULT,
        )


def _in_words(key: str, value: Any) -> str:
    if key in secret_names():
        return gettext("set; not shown") if value else ""
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return _without_password(value) if key == "database" else str(value)


def _without_password(url: str) -> str:
    """Return where the database is, without what stands before or behind its name."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
