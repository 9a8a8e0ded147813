"""What a check found, in the page's language: what is wrong first, what is well last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from repermit.checks.findings import Area, Finding, Report, Verdict
from repermit.i18n.lazy_text import Said
from repermit.settings.definitions import SETTINGS
from repermit.web.admin.rendering import address_of, gettext
from repermit.web.admin.result_text import in_words

# The settings in which something is mended, by what is wrong or by what it is about.
_GROUPS = {
    "bounces_nowhere": "mail",
    "config_organisation": "organisation",
    "dkim_unknown": "mail",
    "dmarc_unaligned": "mail",
    "dmarc_unaligned_yet": "mail",
    Area.SMTP: "mail",
    Area.PACE: "mail",
    Area.BOUNCES: "bounces",
}
_ORDER = (Verdict.PROBLEM, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finding in words; `verdict` is what a campaign makes of it.

    `place` is the address of the page on which it is mended, "" if there is none.
    """

    verdict: Verdict
    title: str
    area: str
    found: str
    remedy: str
    place: str


def findings_of(report: Report, slug: str) -> list[Found]:
    """Return all findings but those of other lists, the worst first, by area within them."""
    ordered = _worst_first(report)
    return [_in_words(one) for one in ordered if one.values.get("list", slug) == slug]


def findings_in_words(findings: Iterable[Finding]) -> list[Found]:
    """Return findings as the pages say them, in their order."""
    return list(map(_in_words, findings))


def findings_by_area(report: Report) -> Iterator[tuple[str, list[Found]]]:
    """Yield all findings by the title of their area, the worst first within one."""
    found = [_in_words(one) for one in _worst_first(report)]
    for title in map(area_in_words, Area):
        if own := [one for one in found if one.area == title]:
            yield title, own


def _worst_first(report: Report) -> list[Finding]:
    return sorted(report.findings, key=lambda one: _ORDER.index(one.verdict))


def _in_words(finding: Finding) -> Found:
    found, remedy = said_of(finding)
    return Found(
        verdict=finding.verdict,
        title=verdict_in_words(finding.verdict),
        area=area_in_words(finding.area),
        found=found,
        remedy=remedy,
        place=_place(finding),
    )


def said_of(finding: Finding) -> tuple[str, str]:
    """Return what was seen and what to do, as the pages say it."""
    if finding.code == "config_organisation":
        keys = (f"organisation.{key}" for key in finding.values["keys"].split(", "))
        labels = ", ".join(gettext(SETTINGS[key].label) for key in keys)
        finding = replace(finding, values={"keys": labels})
    return finding.on_page(gettext, _value_in_words)


def _value_in_words(value: str) -> str:
    # All but what was said is a name or a value of its own, such as the policy "none".
    return in_words(value) if isinstance(value, Said) else value


def _place(finding: Finding) -> str:
    if finding.verdict == Verdict.OK:
        return ""
    if finding.code == "lists_none":
        return address_of("list_form.show_new")
    # The sender is the list's, also where the mail server takes no other than its own.
    if finding.area in {Area.LISTS, Area.SMTP} and "list" in finding.values:
        return address_of("list_form.show", slug=finding.values["list"])
    group = _GROUPS.get(finding.code) or _GROUPS.get(finding.area)
    return address_of("settings.show_group", group=group) if group else ""


def verdict_in_words(verdict: Verdict) -> str:
    """Return the few words for a verdict."""
    return {
        Verdict.OK: gettext("Good"),
        Verdict.WARNING: gettext("Mind"),
        Verdict.PROBLEM: gettext("Wrong"),
        Verdict.UNKNOWN: gettext("Not known"),
    }[verdict]


def area_in_words(area: Area) -> str:
    """Return what a finding is about."""
    return {
        Area.CONFIG: gettext("Settings"),
        Area.KEYS: gettext("Keys"),
        Area.DATABASE: gettext("Database"),
        Area.LISTS: gettext("Lists"),
        Area.SMTP: gettext("Mail server"),
        Area.PACE: gettext("Pace"),
        Area.PAGES: gettext("Answer pages"),
        Area.SPF: gettext("Who may send for the domain (SPF)"),
        Area.DKIM: gettext("Signature of the mails (DKIM)"),
        Area.DMARC: gettext("What receivers are told to do (DMARC)"),
        Area.MX: gettext("Where replies go (MX)"),
        Area.BOUNCES: gettext("Mails that come back"),
    }[area]
