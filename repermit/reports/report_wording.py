"""How reports say things: texts, moments, numbers, countries and actors in one language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import Locale

from repermit.evidence.entries import login_name
from repermit.i18n import catalogues, dates

LANGUAGES = ("en", "nl")
"""The languages that reports are written in."""

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def choose_language(wanted: str) -> str:
    """Return the language of a report for a list in this language."""
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


@dataclass(frozen=True)
class ReportWording:
    """Words of one language, with moments in one zone."""

    language: str
    zone: ZoneInfo

    def gettext(self, text: str, **values: object) -> str:
        """Return a text, its %(names)s filled in."""
        found = catalogues.load_translations(self.language).gettext(text)
        return found % values if values else found

    def translate_paragraphs(self, text: str) -> str:
        """Return a text with those of its English paragraphs translated that are texts of ours."""
        return "\n\n".join(one and self.gettext(one) for one in text.split("\n\n"))

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """Return a text for a count, which may stand in it."""
        found = catalogues.load_translations(self.language).ngettext(singular, plural, count)
        return found % {"count": self.number(count)}

    def moment(self, at: datetime | None) -> str:
        """Return a day and time in words; "" for None."""
        if at is None:
            return ""
        return dates.format_local_datetime(at, language=self.language, zone=self.zone)

    def short_moment(self, at: datetime | None) -> str:
        """Return a day and time as they stand in a table: 2026-12-22 09:00; "" for None."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M}" if at else ""

    def number(self, value: int) -> str:
        """Return a number with the language's separators, as in 1,234 or 1.234."""
        text = f"{value:,}"
        return text.replace(",", ".") if self.language == "nl" else text

    def country(self, code: str) -> str:
        """Return a country's name for its two letters (ISO 3166); raises KeyError."""
        name: str = Locale(self.language).territories[code]
        return name

    def language_name(self, code: str) -> str:
        """Return what one of our languages is called, by its two letters; raises KeyError."""
        name: str = Locale(self.language).languages[code]
        return name

    def span(self, seconds: int) -> str:
        """Return a length of time in its two largest units; none for 0."""
        if not seconds:
            return self.gettext("none")
        days, rest = divmod(seconds, _DAY)
        hours, rest = divmod(rest, _HOUR)
        minutes = rest // _MINUTE
        parts = [
            self.ngettext("one day", "%(count)s days", days) if days else "",
            self.ngettext("one hour", "%(count)s hours", hours) if hours else "",
            self.ngettext("one minute", "%(count)s minutes", minutes) if minutes else "",
        ]
        said = [part for part in parts if part][:2]
        return ", ".join(said) or self.gettext("less than a minute")

    def actor(self, actor: str) -> str:
        """Return who acted, as far as the name in the evidence tells."""
        kind, _, name = actor.partition(":")
        return {
            "job": self.gettext("by itself"),
            "person": self.gettext("the person"),
            "reader": self.gettext("who reads the mail to the address"),
            "user": self.gettext("user %(number)s", number=name),
            "cli": self.gettext("%(name)s, on the command line", name=login_name(actor)),
            "api": self.gettext("the program %(name)s", name=name),
        }.get(kind, actor)

    def role_name(self, role: str) -> str:
        """Return what a recipient of this role does; raises KeyError."""
        return {
            "hosting": self.gettext("keeps the server"),
            "mail": self.gettext("sends the mails"),
            "mailbox": self.gettext("receives bounces and replies"),
            "database": self.gettext("keeps the database"),
            "tool": self.gettext("sends the newsletter"),
            "webhook": self.gettext("is told of answers"),
            "api": self.gettext("fetches what is held"),
            "other": self.gettext("another recipient"),
        }[role]

    def question(self, key: str) -> str:
        """Return what is asked for by a key of ProcessingRecord.missing; raises KeyError."""
        known = {
            "organisation.name": self.gettext("name, in the settings"),
            "organisation.address": self.gettext("address, in the settings"),
            "organisation.authority": self.gettext("authority, in the settings"),
            "list.purpose": self.gettext("purpose, of the list"),
            "list.privacy_url": self.gettext("address, of the list"),
            "joint-controllers": self.gettext("who else decides on this list, or “none”"),
            "dpia": self.gettext(
                "when the impact was assessed and who keeps that, or why it need not be (art. 35)"
            ),
            "measures": self.gettext("what you do besides, or “none”"),
        }
        about_recipient = {
            "name": self.gettext("who it is"),
            "agreement": self.gettext("day of the agreement"),
            "country": self.gettext("country"),
            "safeguard": self.gettext("standard clauses, certification or another safeguard"),
        }
        return known.get(key) or about_recipient[key.rpartition(".")[2]]
