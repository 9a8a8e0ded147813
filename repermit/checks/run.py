"""Looking at everything that a campaign takes, all at once, and within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit.checks.database import Stored, look_at_database
from repermit.checks.dkim import ReceivedMail, in_vain, look_at_dkim, read_apart, signers_of
from repermit.checks.dmarc import Aligned, look_at_dmarc
from repermit.checks.dns_lookup import Names, Unanswered, together
from repermit.checks.findings import Area, Finding, Report, Verdict, finding
from repermit.checks.settings import (
    domains_of,
    look_at_config,
    look_at_keys,
    look_at_list,
    look_at_pace,
    look_at_sender,
    look_at_signing,
)
from repermit.checks.smtp import (
    look_at_bounces,
    look_at_mailbox,
    look_at_mx,
    look_at_return_domain,
    look_at_smtp,
)
from repermit.checks.spf import FAILING, look_at_spf
from repermit.checks.website import look_at_pages, look_at_statement
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.emails.dkim_signature import make_signer
from repermit.errors import ConfigError
from repermit.settings.definitions import MailServer, Settings

if TYPE_CHECKING:
    Look = tuple[Area, Callable[[], Iterable[Finding]]]

# --- What of a check stands in the way of launching one list. -------------------------------------


def find_problems(settings: Settings, slug: str, **options: Any) -> tuple[Finding, ...]:
    """Run a check, and return what is wrong with it for a launch of the list `slug`.

    `options` are those of `check`. What is wrong with another list stands in nobody's way.
    """
    found = check(settings, **options).findings
    return tuple(
        one
        for one in found
        if one.verdict is Verdict.PROBLEM and one.values.get("list", slug) == slug
    )


# --- Looking at everything that a campaign takes, all at once, and within seconds. ----------------


SECONDS = 15.0
"""How long the network is waited for in all; the database may take as long before."""


def check(
    settings: Settings,
    *,
    database: Database,
    now: datetime,
    says_how_often: Callable[[str], bool],
    log_in: Callable[..., None],
    config_path: Path | None = None,
    nameserver: str = "",
    mail: bytes | None = None,
    seconds: float = SECONDS,
) -> Report:
    """Say whether a campaign would work. Sends nothing, writes nothing.

    1. The database and its lists. 2. Everything else at once: what does not answer within
    `seconds` is reported as unknown.

    `database` is looked into over a connection of its own. `says_how_often` tells a purpose that
    names a frequency, as campaigns know it, and `log_in` logs in to a mailbox, as bounces know it:
    it takes the account, `now` and `seconds`. `config_path` is the file of the settings, whose
    permissions are looked at; `nameserver` an IP address, with a port, to ask rather than this
    machine's own; `mail` a test mail as it was received. Raises Refused for a bad `nameserver`.
    """
    names = Names(nameserver)
    look = partial(look_at_database, database, settings.sqlite_path, key=settings.fingerprint_key)
    (stored,) = together([look], seconds=seconds)
    stored = stored or Stored(findings=(finding("database_too_slow"),))
    found = [
        *look_at_config(settings),
        *look_at_keys(settings, config_path),
        *look_at_signing(settings),
        *stored.findings,
        *_about_the_lists(stored, settings, says_how_often),
        *look_at_pace(settings.mail),
        *look_at_bounces(settings, has_returned=stored.has_returned),
    ]
    test_mail = read_apart(mail, now=now) if mail is not None else None
    looks = [
        *_at_servers(names, settings, now),
        *_at_the_mailbox(names, settings, log_in, now),
        *_at_statements(names, settings, stored.lists or ()),
        *_at_domains(names, settings, domains_of(stored.lists or (), settings), test_mail),
    ]
    found += _done(looks, seconds=seconds)
    order = list(Area)
    return Report(findings=tuple(sorted(found, key=lambda one: order.index(one.area))))


def check_mail_server(mail: MailServer) -> Report:
    """Say whether the mail server takes the login, and nothing else. Sends nothing."""
    look: Look = Area.SMTP, partial(look_at_smtp, Names(""), mail)
    return Report(findings=tuple(_done([look], seconds=SECONDS)))


def check_mailbox(settings: Settings, *, log_in: Callable[..., None], now: datetime) -> Report:
    """Say whether the mailbox of bounces takes the login. Reads nothing.

    Of an installation without one it says that.
    """
    looks = list(_at_the_mailbox(Names(""), settings, log_in, now))
    found = [*look_at_bounces(settings, has_returned=False), *_done(looks, seconds=SECONDS)]
    return Report(findings=tuple(found))


def refused_settings(error: ConfigError) -> Report:
    """Return what is to be said where the settings themselves cannot be used."""
    return Report(findings=(finding("config_refused", reason=str(error).rstrip(".")),))


def _about_the_lists(
    stored: Stored, settings: Settings, says_how_often: Callable[[str], bool]
) -> Iterator[Finding]:
    if stored.lists is None:
        yield finding("lists_unknown")
    elif not stored.lists:
        yield finding("lists_none")
    for one in stored.lists or ():
        yield from look_at_list(one, says_how_often=says_how_often)
        yield from look_at_sender(one, settings)


def _at_servers(names: Names, settings: Settings, now: datetime) -> Iterator[Look]:
    yield Area.SMTP, partial(look_at_smtp, names, settings.mail)
    yield Area.PAGES, partial(look_at_pages, names, settings, now=now)


def _at_the_mailbox(
    names: Names, settings: Settings, log_in: Callable[..., None], now: datetime
) -> Iterator[Look]:
    if settings.bounces.protocol != "none":
        attempt = partial(log_in, now=now)
        yield Area.BOUNCES, partial(look_at_mailbox, names, settings.bounces, attempt)


def _at_statements(
    names: Names, settings: Settings, lists: Sequence[MailingList]
) -> Iterator[Look]:
    look = partial(look_at_statement, names, to_private=settings.web.checks_to_private)
    for one in lists:
        if one.privacy_url:
            yield Area.LISTS, partial(look, one.slug, one.privacy_url)


def _at_domains(
    names: Names, settings: Settings, domains: Sequence[str], mail: ReceivedMail | None
) -> Iterator[Look]:
    server = settings.mail
    is_verp = server.return_path == "verp"
    returns = {one: (server.return_domain if is_verp else "") or one for one in domains}
    for domain in sorted(set(returns.values())):
        yield Area.SPF, partial(look_at_spf, names, domain, server)
        if is_verp:
            yield Area.BOUNCES, partial(look_at_return_domain, names, domain)
    signing: dict[str, Any] = {
        "preset": server.preset,
        "selector": server.dkim_selector,
        "signer": make_signer(server),
    }
    for domain in domains:
        yield Area.DKIM, partial(look_at_dkim, names, domain, mail=mail, **signing)
        seen = partial(_aligned, names, domain, returns[domain], server, mail=mail, **signing)
        yield Area.DMARC, partial(look_at_dmarc, names, domain, seen)
        yield Area.MX, partial(look_at_mx, names, domain)
    if mail is not None and mail.domain not in domains:
        yield Area.DKIM, partial(_about_another, mail)


def _aligned(
    names: Names,
    domain: str,
    returns: str,
    server: MailServer,
    **signing: Any,
) -> Aligned:
    return Aligned(
        return_domain=returns,
        signers=signers_of(names, domain, **signing),
        return_passes=all(one.code not in FAILING for one in look_at_spf(names, returns, server)),
        in_vain=in_vain(look_at_dkim(names, domain, **signing)),
    )


def _about_another(mail: ReceivedMail) -> Iterator[Finding]:
    if mail.domain:
        yield finding("dkim_other_sender", domain=mail.domain)
    else:
        yield finding("dkim_no_mail")


def _done(looks: Sequence[Look], *, seconds: float) -> Iterator[Finding]:
    calls = [partial(_answered, area, look) for area, look in looks]
    for (area, _), found in zip(looks, together(calls, seconds=seconds), strict=True):
        yield from [finding(f"{area}_too_slow")] if found is None else found


def _answered(area: Area, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Do one look; what it found before the DNS fell silent is kept."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except Unanswered as silent:
        found.append(finding(f"{area}_unanswered", name=silent.name))
    return found
