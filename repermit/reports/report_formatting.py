"""The wording of reports: texts, dates, numbers, countries and actors in one language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from babel import Locale

from repermit.evidence.entries import login_name
from repermit.i18n import catalogues, dates

LANGUAGES = ("en", "nl")
"""The languages in which reports are written."""

_DAY, _HOUR, _MINUTE = 86400, 3600, 60


def choose_language(requested: str) -> str:
    """Return the requested language if reports are written in it, otherwise English."""
    return requested if requested in LANGUAGES else LANGUAGES[0]


@dataclass(frozen=True)
class ReportWording:
    """Formats texts in one language and timestamps in one time zone."""

    language: str
    zone: ZoneInfo

    def gettext(self, text: str, **values: object) -> str:
        """Translate a text and fill in its %(names)s."""
        translation = catalogues.load_translations(self.language).gettext(text)
        return translation % values if values else translation

    def translate_paragraphs(self, text: str) -> str:
        """Translate each English paragraph of a text that has a translation."""
        return "\n\n".join(
            paragraph and self.gettext(paragraph) for paragraph in text.split("\n\n")
        )

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        """Translate a text that depends on a count; %(count)s is filled in."""
        translation = catalogues.load_translations(self.language).ngettext(singular, plural, count)
        return translation % {"count": self.number(count)}

    def moment(self, at: datetime | None) -> str:
        """Format a timestamp in words; "" for None."""
        if at is None:
            return ""
        return dates.format_local_datetime(at, language=self.language, zone=self.zone)

    def short_moment(self, at: datetime | None) -> str:
        """Format a timestamp for a table, such as 2026-12-22 09:00; "" for None."""
        return f"{at.astimezone(self.zone):%Y-%m-%d %H:%M}" if at else ""

    def number(self, value: int) -> str:
        """Format a number with the language's separators, such as 1,234 or 1.234."""
        text = f"{value:,}"
        return text.replace(",", ".") if self.language == "nl" else text

    def country(self, code: str) -> str:
        """Return the name of a country by its ISO 3166 code; raises KeyError."""
        name: str = Locale(self.language).territories[code]
        return name

    def language_name(self, code: str) -> str:
        """Return the name of a language by its two-letter code; raises KeyError."""
        name: str = Locale(self.language).languages[code]
        return name

    def span(self, seconds: int) -> str:
        """Format a duration in its two largest units; "none" for 0."""
        if not seconds:
            return self.gettext("none")
        days, remainder = divmod(seconds, _DAY)
        hours, remainder = divmod(remainder, _HOUR)
        minutes = remainder // _MINUTE
        parts = [
            self.ngettext("one day", "%(count)s days", days) if days else "",
            self.ngettext("one hour", "%(count)s hours", hours) if hours else "",
            self.ngettext("one minute", "%(count)s minutes", minutes) if minutes else "",
        ]
        largest = [part for part in parts if part][:2]
        return ", ".join(largest) or self.gettext("less than a minute")

    def actor(self, actor: str) -> str:
        """Describe an actor of the evidence, without an address."""
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
        """Describe what a recipient of this role does; raises KeyError."""
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
        """Return the question for a key of ProcessingRecord.missing; raises KeyError."""
        texts = {
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
        return texts.get(key) or about_recipient[key.rpartition(".")[2]]
