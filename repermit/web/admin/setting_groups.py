"""How the settings that may be chosen are laid out: a page a group, a section a question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from repermit.settings.definitions import Settings
from repermit.web.admin.forms import N_
from repermit.web.admin.rendering import gettext, ngettext
from repermit.web.admin.setting_text import in_words


@dataclass(frozen=True, kw_only=True)
class Section:
    """Settings below one heading, dotted; a folded one is opened by who needs it."""

    title: str
    keys: tuple[str, ...]
    hint: str = ""
    is_folded: bool = False


def _keys(table: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{table}.{name}" for name in names)


def _without_a_password(table: str) -> Section:
    return Section(
        title=N_("Without a password: Microsoft 365 and Google"),
        keys=_keys(
            table,
            "oauth_tenant",
            "oauth_client_id",
            "oauth_client_secret",
            "oauth_refresh_token",
            "oauth_authority",
        ),
        hint=N_("An administrator registers an application for it; the README has the steps."),
        is_folded=True,
    )


GROUPS: Mapping[str, tuple[Section, ...]] = {
    "organisation": (
        Section(
            title=N_("Who asks"),
            keys=_keys("organisation", "name", "address", "email", "telephone", "website"),
            hint=N_(
                "It stands in every mail and on every page. No campaign starts without name, "
                "postal address and e-mail address (GDPR art. 13)."
            ),
        ),
        Section(
            title=N_("Where people can turn to about their data"),
            keys=_keys("organisation", "officer", "authority", "authority_url"),
            hint=N_(
                "No campaign starts without the authority: people must be told where they can "
                "complain (GDPR art. 13(2)(d))."
            ),
        ),
        Section(title=N_("Time"), keys=("timezone",)),
    ),
    "mail": (
        Section(title=N_("The server"), keys=_keys("mail", "server", "port", "tls")),
        Section(title=N_("Logging in"), keys=_keys("mail", "auth", "username", "password")),
        _without_a_password("mail"),
        Section(
            title=N_("How fast mails leave"),
            keys=_keys(
                "mail",
                "rate_per_minute",
                "rate_per_hour",
                "rate_per_day",
                "domain_rate_per_minute",
                "connections",
            ),
            hint=N_(
                "Who sends faster than the provider allows is cut off, often for a day. They "
                "leave evenly, so the slowest of these holds; 0 is no limit."
            ),
            is_folded=True,
        ),
        Section(
            title=N_("Rarely needed"),
            keys=_keys(
                "mail",
                "return_path",
                "return_domain",
                "dkim_selector",
                "connect_timeout",
                "reply_timeout",
            ),
            is_folded=True,
        ),
    ),
    "bounces": (
        Section(
            title=N_("The mailbox"),
            keys=_keys("bounces", "protocol", "server", "port", "tls", "mailbox", "every_minutes"),
            hint=N_(
                "The one of the sender. It is looked into so that nobody is taken off for "
                "silence whom the question never reached; what people wrote stays unread."
            ),
        ),
        Section(title=N_("Logging in"), keys=_keys("bounces", "auth", "username", "password")),
        _without_a_password("bounces"),
    ),
    "campaign": (
        Section(
            title=N_("What holds for every campaign"),
            keys=_keys("campaign", "minimum_days", "pause_at_bounce_percent"),
            hint=N_("A campaign that has begun keeps the days that it was launched with."),
        ),
    ),
    "retention": (
        Section(
            title=N_("For how long"),
            keys=_keys("retention", "removed_days", "evidence_years", "trace_days", "access_days"),
        ),
    ),
}
"""The pages on which settings are chosen, in their order."""

HINTS: Mapping[str, str] = {
    "organisation.name": N_("As people know it."),
    "organisation.address": N_("On several lines, as on an envelope."),
    "organisation.email": N_("Where somebody reads and answers; it also gets the daily news."),
    "organisation.telephone": N_("Who doubts whether a mail is yours can ring up."),
    "organisation.officer": N_("If there is one: name and how to reach them."),
    "organisation.authority": N_("In the Netherlands: Autoriteit Persoonsgegevens."),
    "organisation.authority_url": N_("For instance https://autoriteitpersoonsgegevens.nl"),
    "timezone": N_("In it deadlines are given, and mails and pages show times."),
    "mail.server": N_("Your mail provider calls it the SMTP server, or outgoing server."),
    "mail.username": N_("Mostly the whole address of the mailbox. Empty if none is asked for."),
    "mail.oauth_tenant": N_("Of Microsoft 365; for all others leave it empty."),
    "mail.oauth_authority": N_("Leave it empty, unless it is a national cloud."),
    "mail.return_domain": N_("Empty is the sender’s."),
    "mail.dkim_selector": N_(
        "The s= in the DKIM-Signature of a mail of yours, so that the check can look its key up."
    ),
    "mail.connections": N_("A server may take fewer."),
    "mail.reply_timeout": N_("With less than 600 more mails end in doubt (RFC 5321)."),
    "bounces.server": N_("Your mail provider calls it the IMAP or POP3 server."),
    "bounces.mailbox": N_("POP3 has one alone."),
    "bounces.oauth_tenant": N_("Of Microsoft 365; for all others leave it empty."),
    "bounces.oauth_authority": N_("Leave it empty, unless it is a national cloud."),
    "campaign.minimum_days": N_(
        "Whoever got the question later is not removed for not answering. 0 is for trials."
    ),
    "campaign.pause_at_bounce_percent": N_("Looked at from the first hundred on; 0 is never."),
    "retention.evidence_years": N_("For claims, GDPR art. 17(3)(e)."),
}
"""What is said below the name of a setting."""


# --- What a group of settings says, in a line or two. ---------------------------------------------


def summary_of(settings: Settings, group: str) -> Iterator[str]:
    """Yield the lines; who looks at the page of a group sees it all."""
    return {
        "organisation": _organisation,
        "mail": _mail,
        "bounces": _bounces,
        "campaign": _campaign,
        "retention": _retention,
    }[group](settings)


def _organisation(settings: Settings) -> Iterator[str]:
    ours = settings.organisation
    if not (ours.name and ours.postal_lines and ours.email):
        yield gettext("Name, postal address and e-mail address are needed before a campaign.")
    if ours.name or ours.postal_lines:
        yield ", ".join((ours.name, *ours.postal_lines)).strip(", ")
    if ours.email or ours.telephone:
        yield ", ".join(filter(None, (ours.email, ours.telephone)))


def _mail(settings: Settings) -> Iterator[str]:
    mail = settings.mail
    if mail.preset:
        yield in_words("mail.preset", mail.preset)
    yield gettext("%(server)s, port %(port)s", server=mail.server, port=mail.port)
    yield mail.username or gettext("without a login")


def _bounces(settings: Settings) -> Iterator[str]:
    account = settings.bounces
    if account.protocol == "none":
        yield gettext("Nobody is known to read what comes back.")
        return
    yield f"{in_words('bounces.protocol', account.protocol)}: {account.server}"
    yield account.username


def _campaign(settings: Settings) -> Iterator[str]:
    rules = settings.campaign
    yield ngettext(
        "One day to answer at least.", "%(count)s days to answer at least.", rules.minimum_days
    )
    if rules.pause_at_bounce_percent:
        yield gettext(
            "Pauses when %(percent)s%% of the mails come back.",
            percent=rules.pause_at_bounce_percent,
        )


def _retention(settings: Settings) -> Iterator[str]:
    kept = settings.retention
    yield ngettext(
        "A proof for a year after its consent has ended.",
        "A proof for %(count)s years after its consent has ended.",
        kept.evidence_years,
    )
    yield ngettext(
        "Network and browser of an answer for a day.",
        "Network and browser of an answer for %(count)s days.",
        kept.trace_days,
    )
