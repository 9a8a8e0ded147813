"""What a group of settings says, in a line or two.

May import config and this room's showing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from repermit.web.admin.setting_words import in_words
from repermit.web.admin.showing import gettext, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.config import Settings


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
