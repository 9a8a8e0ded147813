"""The findings of a check, in the page's language: problems first, good findings last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from repermit.bounces import poll
from repermit.campaigns.mailing_lists import mentions_frequency
from repermit.campaigns.preview import preview_mail
from repermit.checks import run
from repermit.checks.findings import Area, Finding, Report, Verdict
from repermit.i18n.lazy_text import LazyText
from repermit.package_files import load_data
from repermit.settings.definitions import SETTINGS
from repermit.web.admin.rendering import gettext, make_help_url, make_url
from repermit.web.admin.result_text import translate_said
from repermit.web.request_context import get_arrival, get_services

# The page of settings where a finding is resolved, by its code or its area.
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

_AREAS = load_data("check_areas.toml")

_VERDICT_ORDER = (Verdict.PROBLEM, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK)


@dataclass(frozen=True, kw_only=True)
class FindingText:
    """One finding as text.

    - `verdict`: whether a campaign would work with it.
    - `place`: the URL of the page where it is resolved, "" if there is none.
    - `help`: the URL of the help page about it.
    """

    verdict: Verdict
    title: str
    area: str
    found: str
    remedy: str
    place: str
    help: str


def check_everything(mail: bytes | None = None) -> Report:
    """Run all checks; `mail` is a test mail as it was received."""
    services = get_services()
    return run.run_checks(
        services.settings,
        database=services.database,
        now=get_arrival(),
        mentions_frequency=mentions_frequency,
        preview_mail=preview_mail,
        log_in=poll.log_in,
        config_path=services.settings.path,
        mail=mail,
    )


def list_findings(report: Report, slug: str) -> list[FindingText]:
    """Return all findings but those of other lists, the worst first."""
    ordered = _sort_findings(report)
    return [
        _describe_finding(finding)
        for finding in ordered
        if finding.values.get("list", slug) == slug
    ]


def describe_findings(findings: Iterable[Finding]) -> list[FindingText]:
    """Return findings as text, in the same order."""
    return list(map(_describe_finding, findings))


def group_findings(report: Report) -> Iterator[tuple[str, list[FindingText]]]:
    """Yield each area's title with its findings, the worst first."""
    texts = [_describe_finding(finding) for finding in _sort_findings(report)]
    for title in map(describe_area, Area):
        if area_findings := [finding for finding in texts if finding.area == title]:
            yield title, area_findings


def _sort_findings(report: Report) -> list[Finding]:
    return sorted(report.findings, key=lambda finding: _VERDICT_ORDER.index(finding.verdict))


def _describe_finding(finding: Finding) -> FindingText:
    found_text, remedy = make_finding_texts(finding)
    return FindingText(
        verdict=finding.verdict,
        title=describe_verdict(finding.verdict),
        area=describe_area(finding.area),
        found=found_text,
        remedy=remedy,
        place=_find_remedy_page(finding),
        help=make_help_url(_AREAS[finding.area]["help"]),
    )


def make_finding_texts(finding: Finding) -> tuple[str, str]:
    """Return a finding and its remedy, each as a sentence."""
    if finding.code == "config_organisation":
        keys = (f"organisation.{key}" for key in finding.values["keys"].split(", "))
        labels = ", ".join(gettext(SETTINGS[key].label) for key in keys)
        finding = replace(finding, values={"keys": labels})
    return finding.on_page(gettext, _describe_value)


def _describe_value(value: str) -> str:
    # Any other value is a name or a literal, such as the policy "none".
    return translate_said(value) if isinstance(value, LazyText) else value


def _find_remedy_page(finding: Finding) -> str:
    if finding.verdict == Verdict.OK:
        return ""
    if finding.code == "lists_none":
        return make_url("list_form.show_new")
    # The sender belongs to the list, also if the mail server refuses it.
    if finding.area in {Area.LISTS, Area.SMTP} and "list" in finding.values:
        return make_url("list_form.show", slug=finding.values["list"])
    group = _GROUPS.get(finding.code) or _GROUPS.get(finding.area)
    return make_url("settings.show_group", group=group) if group else ""


def describe_verdict(verdict: Verdict) -> str:
    """Return the title of a verdict."""
    return {
        Verdict.OK: gettext("Good"),
        Verdict.WARNING: gettext("Mind"),
        Verdict.PROBLEM: gettext("Wrong"),
        Verdict.UNKNOWN: gettext("Not known"),
    }[verdict]


def describe_area(area: Area) -> str:
    """Return the title of an area of findings."""
    return gettext(_AREAS[area]["title"])
