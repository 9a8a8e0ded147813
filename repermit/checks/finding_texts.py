"""What every code means, in English; the ids of these messages are their English text.

A code keeps its meaning; its words may get better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from repermit.checks.domain_texts import DOMAINS
from repermit.checks.findings import N_, Area, Finding, OnPage, Verdict, Words
from repermit.checks.page_texts import ON_PAGES
from repermit.checks.server_texts import SERVERS
from repermit.checks.settings_texts import SETTINGS

_ASKING = (Area.SMTP, Area.PAGES, Area.LISTS, Area.SPF, Area.DKIM, Area.DMARC, Area.MX)

_UNANSWERED = {
    f"{area}_unanswered": Words(
        area=area,
        verdict=Verdict.UNKNOWN,
        found=N_("The DNS does not answer for %(name)s, so this could not be checked."),
        remedy=N_(
            "Check again when this machine reaches the internet. If it does, ask whoever keeps the "
            "server about its DNS resolver, and whoever keeps the domain whether its name servers "
            "answer."
        ),
    )
    for area in (*_ASKING, Area.BOUNCES)
}

_TOO_SLOW = {
    f"{area}_too_slow": Words(
        area=area,
        verdict=Verdict.UNKNOWN,
        found=N_("No answer came in time, so this could not be checked."),
        remedy=N_("Check again later; if it stays so, ask whoever keeps the server."),
    )
    for area in (*_ASKING, Area.BOUNCES, Area.DATABASE)
}

_ALL = {**SETTINGS, **SERVERS, **DOMAINS, **_UNANSWERED, **_TOO_SLOW}

WORDS: Mapping[str, Words] = {
    code: replace(words, on_page=ON_PAGES.get(code, OnPage())) for code, words in _ALL.items()
}


def finding(code: str, **values: str) -> Finding:
    """Return the finding that a code stands for."""
    return Finding(code=code, words=WORDS[code], values=values)
