"""The tables of the closing report, each with the sum that it adds up to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from repermit.consent import BounceKind, Dropped, Exclusion, Fate, MailKind, MailState, Reason
from repermit.reports.outcome_counts import Turn
from repermit.reports.papers.blocks import Block, Grid, Points, Text
from repermit.reports.papers.closing_report import Report
from repermit.reports.papers.report_wording import Words


def counted(words: Words, title: str, rows: Iterable[tuple[str, int]], *, total: str = "") -> Grid:
    """Return a table of two columns, what and how many, with its sum."""
    known = tuple(rows)
    return Grid(
        titles=(title, words.gettext("Number")),
        rows=tuple((name, words.number(count)) for name, count in known),
        numbers=frozenset({1}),
        total=(
            total or words.gettext("together"),
            words.number(sum(count for _, count in known)),
        ),
    )


def asked_table(report: Report, words: Words) -> Grid:
    """Return what became of everybody who was asked."""
    people, _ = report.people, words.gettext
    reasons = reasons_in_words(words)
    rows = [
        (_("said Yes"), people.yes),
        (_("confirmed or customer by a proof that came meanwhile"), people.otherwise),
        *((reasons[reason], count) for reason, count in people.removed.items()),
        (
            _("no answer") if report.campaign.is_over else _("no answer yet"),
            people.silent,
        ),
        (_("mail still to be sent"), people.waiting),
        (_("could not be asked"), sum(people.unasked.values())),
    ]
    shown = [row for number, row in enumerate(rows) if row[1] or number == 0]
    return counted(words, _("What became of them"), shown, total=_("people in this campaign"))


def reasons_in_words(words: Words) -> dict[Reason, str]:
    """Return what each removal is called."""
    _ = words.gettext
    return {
        Reason.NO: _("taken off: said No"),
        Reason.WITHDRAWN: _("taken off: said No after an earlier Yes, or as a customer"),
        Reason.NO_RESPONSE: _("taken off: no answer before the deadline"),
        Reason.BOUNCE: _("taken off: there is no such address"),
        Reason.COMPLAINT: _("taken off: reported the mail as unwanted"),
        Reason.REQUEST: _("taken off: at a request"),
    }


def unasked_blocks(report: Report, words: Words) -> Iterator[Block]:
    """Yield who could not be asked, by why."""
    _ = words.gettext
    why = {
        "short_notice": _("a server took the mail too late before the deadline"),
        "came_back": _("the mail came back"),
        MailState.FAILED: _("the server refused the mail"),
        MailState.IN_DOUBT: _("nobody knows whether the server took the mail"),
        Dropped.TOO_LATE: _("the mail could not leave in time"),
        Dropped.CANCELLED: _("the campaign was cancelled first"),
        Dropped.SUPPRESSED: _("suppressed before the mail left"),
        Dropped.ANSWERED: _("answered before the mail left"),
    }
    rows = [(why[one], count) for one, count in report.people.unasked.items() if count]
    if rows:
        yield counted(words, _("Why"), rows)
        yield Text(_("They may not be mailed, and were not removed for silence."))
    else:
        yield Text(_("Nobody so far.") if report.people.waiting else _("Everybody could be asked."))


def excluded_table(report: Report, words: Words) -> Grid:
    """Return who was on the list at launch, or in its files, and was not asked."""
    _ = words.gettext
    why = {
        Exclusion.CONFIRMED: _("confirmed already"),
        Exclusion.CUSTOMER: _("customer"),
        Exclusion.REMOVED: _("taken off before"),
        Exclusion.SUPPRESSED: _("suppressed here before"),
        Exclusion.ASKED_BEFORE: _("asked by an earlier campaign"),
    }
    rows = [(why[one], count) for one, count in report.campaign.excluded.items()]
    fates = fates_in_words(words)
    rows += [
        (_("in a file: %(fate)s", fate=fates[Fate(fate)]), count)
        for fate, count in report.campaign.left_out.items()
    ]
    return counted(words, _("Not asked, and why"), rows)


def fates_in_words(words: Words) -> dict[Fate, str]:
    """Return what each fate of a row means."""
    _ = words.gettext
    return {
        Fate.ASK: _("to be asked"),
        Fate.ROLE: _("to be asked, a shared mailbox"),
        Fate.CONFIRMED: _("confirmed by the file"),
        Fate.CUSTOMER: _("customer"),
        Fate.OPTED_OUT: _("opted out"),
        Fate.SUPPRESSED: _("suppressed here before"),
        Fate.DUPLICATE: _("a duplicate"),
        Fate.INVALID: _("no usable address"),
    }


def fates_table(report: Report, words: Words) -> Grid:
    """Return the rows of all files that stand, by fate."""
    names = fates_in_words(words)
    rows = ((names[fate], report.fates[fate]) for fate in names)
    return counted(words, words.gettext("Fate"), rows, total=words.gettext("rows"))


_COLUMNS = (
    (Turn.YES,),
    (Turn.NO, Turn.WITHDRAWN),
    (Turn.NO_RESPONSE,),
    (Turn.BOUNCE, Turn.COMPLAINT, Turn.REQUEST),
)


def answer_days(report: Report, words: Words) -> Grid:
    """Return what was recorded on each day on which there was something."""
    _ = words.gettext
    rows = [
        (one.day, *(words.number(sum(one.counts[what] for what in some)) for some in _COLUMNS))
        for one in report.days
    ]
    sums = (words.number(sum(report.turns[what] for what in some)) for some in _COLUMNS)
    return Grid(
        titles=(_("Day"), _("Yes"), _("No"), _("No answer"), _("Bounce, complaint, request")),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4}),
        total=(_("together"), *sums),
    )


def mails_blocks(report: Report, words: Words) -> Iterator[Block]:
    """Yield how many mails there were by kind and state, and what came back."""
    _ = words.gettext
    states = {
        MailState.SENT: _("sent"),
        MailState.FAILED: _("refused"),
        MailState.IN_DOUBT: _("in doubt"),
        MailState.DROPPED: _("dropped"),
        MailState.QUEUED: _("to be sent"),
        MailState.CLAIMED: _("being prepared"),
        MailState.STARTED: _("on their way"),
    }
    kinds = {MailKind.ASK: _("Asks"), MailKind.REMINDER: _("Reminders")}
    yield Grid(
        titles=(_("State"), *kinds.values()),
        rows=tuple(
            (name, *(words.number(report.mails[kind][state]) for kind in kinds))
            for state, name in states.items()
        ),
        numbers=frozenset({1, 2}),
        total=(
            _("together"),
            *(words.number(sum(report.mails[kind].values())) for kind in kinds),
        ),
    )
    back = {
        BounceKind.HARD: _("Came back because there is no such address: %(count)s"),
        BounceKind.SOFT: _("Came back for another reason: %(count)s"),
        BounceKind.COMPLAINT: _("Reported as unwanted: %(count)s"),
    }
    yield Points(
        tuple(text % {"count": words.number(report.bounces[kind])} for kind, text in back.items())
    )
