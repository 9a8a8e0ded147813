"""What stands against a launch, and what is to be read before one, in the page's language.

May import campaigns and this room's forms and showing. What campaigns says is English and names
commands; the sentences are listed here, each with the page where it is mended.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from repermit import campaigns
from repermit.web.admin import flaws
from repermit.web.admin.forms import N_
from repermit.web.admin.reasons import in_words
from repermit.web.admin.showing import gettext, moment_in_words
from repermit.web.site import current_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from repermit.campaigns import Plan

_SETTINGS, _LIST, _FILE = "settings.show", "describing.show", "handing_in.show"
_MAIL, _CONDITIONS, _LIVE = "writing.show", "conditions.show", "live.show"


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """One thing that stands against a launch, and the endpoint of the page where it is mended."""

    text: str
    endpoint: str


_WHEN = r"\d{4}-\d\d-\d\d \d\d:\d\d"
_REFUSALS = (
    (
        r"the organisation has no name.*",
        N_("The settings do not say what your organisation is called."),
        _SETTINGS,
    ),
    (
        r"the organisation has no postal address.*",
        N_("The settings do not give your organisation’s postal address."),
        _SETTINGS,
    ),
    (
        r"the organisation cannot be reached.*",
        N_("The settings give neither an e-mail address nor a telephone number to reach you by."),
        _SETTINGS,
    ),
    (
        r"the organisation's email cannot be used: (?P<reason>.*)",
        N_("Your organisation’s e-mail address in the settings cannot be used: %(reason)s."),
        _SETTINGS,
    ),
    (
        r"answers would travel unprotected: .*",
        N_(
            "Answers would travel unprotected: the address of the pages (public_url in the "
            "settings) must begin with https://"
        ),
        _SETTINGS,
    ),
    (
        r"the sender cannot be used: (?P<reason>.*)",
        N_("The sender of the list cannot be used: %(reason)s."),
        _LIST,
    ),
    (
        r"the list has no privacy statement.*",
        N_("The list does not say where your privacy statement is."),
        _LIST,
    ),
    (
        r"the list has no purpose.*",
        N_("The list does not say what people will get, so nobody could know what to say Yes to."),
        _LIST,
    ),
    (
        r"neither purpose nor frequency .*",
        N_("The list does not say how often mail will come."),
        _LIST,
    ),
    (r"the list has no sender.*", N_("The list does not say who sends it."), _LIST),
    (
        rf"the deadline, (?P<deadline>{_WHEN}), has passed",
        N_("The deadline, %(deadline)s, has passed."),
        _CONDITIONS,
    ),
    (
        rf"the deadline is too near: people need (?P<days>\d+) days .* than (?P<earliest>{_WHEN})",
        N_(
            "The deadline is too near: people need %(days)s days to answer, so it must be later "
            "than %(earliest)s."
        ),
        _CONDITIONS,
    ),
    (
        (
            rf"the mails leave too slowly: .* leaves on (?P<last>{_WHEN}), and people need "
            rf"(?P<days>\d+) days .* than (?P<earliest>{_WHEN})"
        ),
        N_(
            "The mails leave too slowly for this deadline: the last one leaves on %(last)s, and "
            "people need %(days)s days to answer. So it must be later than %(earliest)s."
        ),
        _CONDITIONS,
    ),
    (
        (
            rf"the reminder would leave on (?P<reminder>{_WHEN}), and the last ask on "
            rf"(?P<last>{_WHEN}).*"
        ),
        N_(
            "The reminder would leave on %(reminder)s, and the last mail on %(last)s. People need "
            "a day between the two, so remind them fewer days before the deadline."
        ),
        _CONDITIONS,
    ),
    (
        (
            rf"the reminders leave too slowly: .* leave on (?P<last>{_WHEN}), and the deadline "
            rf"is (?P<deadline>{_WHEN}): .*"
        ),
        N_(
            "The reminders leave too slowly: the last one would leave on %(last)s, and the "
            "deadline is %(deadline)s. Remind people more days before it, or nobody."
        ),
        _CONDITIONS,
    ),
    (r"a campaign is under way .*", N_("A campaign is under way on this list already."), _LIVE),
    (r"there is nobody to ask", N_("There is nobody to ask."), _FILE),
)
_OWN = "your own wording cannot be used: "

_NOTES = (
    (
        r"The list is sensitive, and others may see what it is about by (?P<where>.*)\. Choose .*",
        N_(
            "The list is sensitive, and others may see what it is about by: %(where)s. Choose "
            "what tells nothing, if you can."
        ),
    ),
    (
        r"Your own wording goes to everybody .* language \((?P<languages>.*)\); only .*",
        N_(
            "Your own wording goes to everybody as you wrote it, also to those who read another "
            "language (%(languages)s); only the fields in it are translated."
        ),
    ),
)
# What campaigns says before every launch, as the catalogue must know it.
SAID = (
    N_(
        "Some regulators hold that asking for consent by mail is itself advertising, which needs "
        "the very consent that it asks for: the ICO on Honda (2017), the Dutch DMCC (2021). "
        "Whether to ask is for your organisation to decide; who decided, and on what ground, is "
        "kept as evidence."
    ),
    N_(
        "Until their Yes nobody who is unconfirmed may get the newsletter, or any other "
        "advertising: stop sending it to them now, also from other tools."
    ),
    N_(
        "A reminder is one more mail to people who have not agreed to any. There is one at most, "
        "and whoever answers or cannot be reached is not reminded."
    ),
    N_(
        "The list's sender is not the mailbox that logs in (username under [mail]). Exchange "
        "Online refuses every mail then (5.7.60), unless its administrator has given that mailbox "
        "the right “Send As” for the sender."
    ),
)


def obstacles(plan: Plan, attest: str) -> list[Obstacle]:
    """Return everything that stands against a launch, in the order of the checks."""
    found = [_obstacle(reason) for reason in plan.refusals]
    if lacks := lacks_in_words(attest):
        found.append(Obstacle(text=lacks, endpoint=_CONDITIONS))
    return found


def lacks_in_words(attest: str) -> str:
    """Return what an attestation has still to say, "" if nothing that a program can tell."""
    if not campaigns.attestation_lacks(attest):
        return ""
    if not attest.strip():
        return gettext(
            "Say who decided to ask, on what ground, where the addresses came from, and that none "
            "of them opted out."
        )
    return gettext(
        "This says too little: who decided to ask, on what ground, where did the addresses come "
        "from, and did none of them opt out?"
    )


def notes_in_words(plan: Plan) -> list[str]:
    """Return what must be read before deciding."""
    return [_note_in_words(note) for note in plan.notes]


def _obstacle(reason: str) -> Obstacle:
    for pattern, text, endpoint in _REFUSALS:
        if found := re.fullmatch(pattern, reason, re.DOTALL):
            return Obstacle(text=_filled(text, found), endpoint=endpoint)
    # What is left is about the mail: the admin's own wording, or its size.
    return Obstacle(text=flaws.in_words(reason.removeprefix(_OWN)), endpoint=_MAIL)


def _note_in_words(note: str) -> str:
    for pattern, text in _NOTES:
        if found := re.fullmatch(pattern, note, re.DOTALL):
            return _filled(text, found)
    return gettext(note)


def _filled(text: str, found: re.Match[str]) -> str:
    values = dict(_values(found))
    return gettext(text, **values) if values else gettext(text)


def _values(found: re.Match[str]) -> Iterator[tuple[str, str]]:
    for name, value in found.groupdict().items():
        if re.fullmatch(_WHEN, value):
            local = datetime.fromisoformat(value).replace(tzinfo=current_site().settings.zone)
            yield name, moment_in_words(local)
        else:
            yield name, in_words(value) if name == "reason" else value
