"""Running all checks that a campaign needs, in parallel and within seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repermit.checks.answer_pages import check_pages
from repermit.checks.database import DatabaseFindings, check_database
from repermit.checks.dkim import (
    ReceivedMail,
    check_dkim,
    find_failing_domains,
    list_signing_domains,
    read_in_subprocess,
)
from repermit.checks.dmarc import DmarcIdentifiers, check_dmarc
from repermit.checks.dns_lookup import DnsNoAnswer, DnsResolver, run_in_parallel
from repermit.checks.findings import Area, Finding, Report, Verdict, make_finding
from repermit.checks.privacy_statements import check_privacy_statement, read_privacy_statement
from repermit.checks.settings import (
    check_evidence_key,
    check_first_screen,
    check_keys,
    check_list,
    check_organisation,
    check_rate_limit,
    check_sender,
    list_sender_domains,
)
from repermit.checks.smtp import (
    check_bounce_reader,
    check_mail_login,
    check_mailbox_login,
    check_mx,
    check_reply_mailbox,
    check_return_domain,
)
from repermit.checks.spf import FAILING, check_spf
from repermit.db.connection import Database
from repermit.db.models.lists import MailingList
from repermit.emails.dkim_signature import make_signer
from repermit.emails.mail_types import Mail
from repermit.errors import ConfigError
from repermit.settings.definitions import MailServer, Settings

if TYPE_CHECKING:
    Check = tuple[Area, Callable[[], Iterable[Finding]]]

# --- Findings about launching one list. -----------------------------------------------------------


def list_launch_findings(settings: Settings, slug: str, **options: Any) -> tuple[Finding, ...]:
    """Return the findings that concern launching a list, without the good ones.

    - `options`: those of `run_checks`.
    """
    return tuple(
        finding
        for finding in run_checks(settings, **options).findings
        if finding.verdict is not Verdict.OK and finding.values.get("list", slug) == slug
    )


def split_problems(
    concerns: Iterable[Finding],
) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
    """Split findings into the problems that may be accepted with a reason, and what is no problem.

    Left out is what a launch refuses in its own words, whatever the reason.
    """
    findings = [finding for finding in concerns if finding.code not in _REFUSED_AT_LAUNCH]
    problems = tuple(finding for finding in findings if finding.verdict is Verdict.PROBLEM)
    others = tuple(finding for finding in findings if finding.verdict is not Verdict.PROBLEM)
    return problems, others


_REFUSED_AT_LAUNCH = frozenset(
    {
        "config_organisation",
        *("list_no_purpose", "list_no_frequency", "list_no_privacy", "list_no_sender"),
    }
)


def read_privacy_statements(settings: Settings, urls: Iterable[str]) -> dict[str, str]:
    """Return the texts of privacy statements by URL, without those that cannot be read."""
    resolver, sorted_urls = DnsResolver(""), sorted(set(filter(None, urls)))
    calls = [
        partial(read_privacy_statement, resolver, url, allow_private=settings.web.checks_to_private)
        for url in sorted_urls
    ]
    texts = zip(sorted_urls, run_in_parallel(calls, seconds=SECONDS), strict=True)
    return {url: text for url, text in texts if text}


# --- All checks, in parallel. ---------------------------------------------------------------------


SECONDS = 15.0
"""How long the network checks may take in all; the database may take as long before."""


def run_checks(
    settings: Settings,
    *,
    database: Database,
    now: datetime,
    mentions_frequency: Callable[[str], bool],
    preview_mail: Callable[..., Mail],
    log_in: Callable[..., None],
    config_path: Path | None = None,
    nameserver: str = "",
    mail: bytes | None = None,
    seconds: float = SECONDS,
) -> Report:
    """Check whether a campaign would work; sends nothing and writes nothing.

    1. The database and its lists.
    2. Everything else in parallel; a check without an answer within `seconds` is reported as
       unknown.

    - `database`: checked over a connection of its own.
    - `mentions_frequency`: whether a list's purpose names how often it is sent.
    - `preview_mail`: makes the ask of a list, as `campaigns/preview.py` does.
    - `log_in`: logs in to a mailbox; takes the account, `now` and `seconds`.
    - `config_path`: the file of the settings, whose permissions are checked.
    - `nameserver`: an IP address with a port, instead of this machine's resolver. Raises Refused
      for an invalid one.
    - `mail`: a test mail as it was received.
    """
    resolver = DnsResolver(nameserver)
    check_database_call = partial(
        check_database,
        database,
        settings.sqlite_path,
        now=now,
        key=settings.fingerprint_key,
        witnesses=settings.evidence.witnesses,
        check_list=partial(
            check_first_screen,
            organisation=settings.organisation,
            preview=partial(preview_mail, settings=settings, now=now),
        ),
    )
    (database_findings,) = run_in_parallel([check_database_call], seconds=seconds)
    database_findings = database_findings or DatabaseFindings(
        findings=(make_finding("database_too_slow"),)
    )
    findings = [
        *check_organisation(settings),
        *check_keys(settings, config_path),
        *check_evidence_key(settings),
        *database_findings.findings,
        *_check_lists(database_findings, settings, mentions_frequency),
        *check_rate_limit(settings.mail),
        *check_bounce_reader(settings, has_returned=database_findings.has_returned),
        *check_reply_mailbox(settings),
    ]
    test_mail = read_in_subprocess(mail, now=now) if mail is not None else None
    checks: list[Check] = [
        (Area.SMTP, partial(check_mail_login, resolver, settings.mail)),
        (Area.PAGES, partial(check_pages, resolver, settings, now=now)),
        *_list_mailbox_checks(resolver, settings, log_in, now),
        *_list_statement_checks(resolver, settings, database_findings.lists or ()),
        *_list_domain_checks(
            resolver,
            settings,
            list_sender_domains(database_findings.lists or (), settings),
            test_mail,
        ),
    ]
    findings += _run_checks(checks, seconds=seconds)
    order = list(Area)
    return Report(findings=tuple(sorted(findings, key=lambda finding: order.index(finding.area))))


def check_mail_server(mail: MailServer) -> Report:
    """Check whether the mail server accepts the login; sends nothing."""
    check_one: Check = Area.SMTP, partial(check_mail_login, DnsResolver(""), mail)
    return Report(findings=tuple(_run_checks([check_one], seconds=SECONDS)))


def check_mailbox(
    settings: Settings, *, has_returned: bool, log_in: Callable[..., None], now: datetime
) -> Report:
    """Check whether the mailbox for bounces accepts the login; reads nothing.

    - `has_returned`: whether a bounce or a reply was ever recorded, see `has_bounces`.
    """
    checks = list(_list_mailbox_checks(DnsResolver(""), settings, log_in, now))
    findings = [
        *check_bounce_reader(settings, has_returned=has_returned),
        *check_reply_mailbox(settings),
        *_run_checks(checks, seconds=SECONDS),
    ]
    return Report(findings=tuple(findings))


def report_refused_settings(error: ConfigError) -> Report:
    """Return the report for settings that cannot be used."""
    return Report(findings=(make_finding("config_refused", reason=str(error).rstrip(".")),))


def _check_lists(
    database_findings: DatabaseFindings,
    settings: Settings,
    mentions_frequency: Callable[[str], bool],
) -> Iterator[Finding]:
    if database_findings.lists is None:
        # Those of an older database are read once it is upgraded.
        if all(finding.code != "database_old" for finding in database_findings.findings):
            yield make_finding("lists_unknown")
    elif not database_findings.lists:
        yield make_finding("lists_none")
    for mailing_list in database_findings.lists or ():
        yield from check_list(mailing_list, mentions_frequency=mentions_frequency)
        yield from check_sender(mailing_list, settings)


def _list_mailbox_checks(
    resolver: DnsResolver, settings: Settings, log_in: Callable[..., None], now: datetime
) -> Iterator[Check]:
    if settings.bounces.protocol != "none":
        attempt = partial(log_in, now=now)
        yield Area.BOUNCES, partial(check_mailbox_login, resolver, settings.bounces, attempt)


def _list_statement_checks(
    resolver: DnsResolver, settings: Settings, lists: Sequence[MailingList]
) -> Iterator[Check]:
    check_one = partial(
        check_privacy_statement, resolver, allow_private=settings.web.checks_to_private
    )
    for mailing_list in lists:
        if mailing_list.privacy_url:
            yield Area.LISTS, partial(check_one, mailing_list.slug, mailing_list.privacy_url)


def _list_domain_checks(
    resolver: DnsResolver, settings: Settings, domains: Sequence[str], mail: ReceivedMail | None
) -> Iterator[Check]:
    server = settings.mail
    is_verp = server.return_path == "verp"
    return_domain_by_sender = {
        sender_domain: (server.return_domain if is_verp else "") or sender_domain
        for sender_domain in domains
    }
    for domain in sorted(set(return_domain_by_sender.values())):
        yield Area.SPF, partial(check_spf, resolver, domain, server)
        if is_verp:
            yield Area.BOUNCES, partial(check_return_domain, resolver, domain)
    signing: dict[str, Any] = {
        "preset": server.preset,
        "selector": server.dkim_selector,
        "signer": make_signer(server),
    }
    for domain in domains:
        yield Area.DKIM, partial(check_dkim, resolver, domain, mail=mail, **signing)
        find_identifiers = partial(
            _find_identifiers,
            resolver,
            domain,
            return_domain_by_sender[domain],
            server,
            mail=mail,
            **signing,
        )
        yield Area.DMARC, partial(check_dmarc, resolver, domain, find_identifiers)
        yield Area.MX, partial(check_mx, resolver, domain)
    if mail is not None and mail.domain not in domains:
        yield Area.DKIM, partial(_report_other_sender, mail)


def _find_identifiers(
    resolver: DnsResolver,
    domain: str,
    return_domain: str,
    server: MailServer,
    **signing: Any,
) -> DmarcIdentifiers:
    return DmarcIdentifiers(
        return_domain=return_domain,
        signers=list_signing_domains(resolver, domain, **signing),
        return_passes=all(
            finding.code not in FAILING for finding in check_spf(resolver, return_domain, server)
        ),
        failing_domains=find_failing_domains(check_dkim(resolver, domain, **signing)),
    )


def _report_other_sender(mail: ReceivedMail) -> Iterator[Finding]:
    if mail.domain:
        yield make_finding("dkim_other_sender", domain=mail.domain)
    else:
        yield make_finding("dkim_no_mail")


def _run_checks(checks: Sequence[Check], *, seconds: float) -> Iterator[Finding]:
    calls = [partial(_run_check, area, check_one) for area, check_one in checks]
    for (area, _), findings in zip(checks, run_in_parallel(calls, seconds=seconds), strict=True):
        yield from [make_finding(f"{area}_too_slow")] if findings is None else findings


def _run_check(area: Area, check_one: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Run one check; after a DNS failure its findings so far are kept."""
    findings: list[Finding] = []
    try:
        findings.extend(check_one())
    except DnsNoAnswer as error:
        findings.append(make_finding(f"{area}_unanswered", name=error.name))
    return findings
