"""The closing report in words."""

from __future__ import annotations

from collections.abc import Iterator

from repermit.consent import CampaignState, MailKind
from repermit.db.tables import read_moment
from repermit.reports.papers.blocks import Block, Fields, Grid, Kind, Letter, Paper, Section, Text
from repermit.reports.papers.closing_counts import (
    answer_days,
    asked_table,
    excluded_table,
    fates_table,
    mails_blocks,
    unasked_blocks,
)
from repermit.reports.papers.closing_report import Interruption, Report
from repermit.reports.papers.json_document import as_document
from repermit.reports.papers.report_wording import Words


def closing_paper(report: Report, words: Words) -> Paper:
    """Return the report as a paper."""
    _ = words.gettext
    made = words.moment(report.made_at)
    return Paper(
        kind=Kind.REPORT,
        language=words.language,
        title=_("Report of the campaign"),
        subtitle=report.name,
        sections=tuple(_sections(report, words)),
        made_at=report.made_at,
        made_line=_("As it stood on %(moment)s.", moment=made),
        foot=_("Made by repermit. It counts people and names nobody on the list."),
        document=as_document(report),
    )


def _sections(report: Report, words: Words) -> Iterator[Section]:
    _ = words.gettext
    yield Section(_("The result"), tuple(_result(report, words)))
    yield Section(_("Who could not be asked"), tuple(unasked_blocks(report, words)))
    yield Section(_("Answers and removals by day"), tuple(_days(report, words)))
    yield Section(_("Who decided, and on what ground"), tuple(_decision(report, words)))
    yield Section(_("The conditions"), (Fields(tuple(_conditions(report, words))),))
    yield Section(_("Who was not asked"), (excluded_table(report, words),))
    yield Section(_("The files"), tuple(_files(report, words)))
    yield Section(_("The mails"), tuple(mails_blocks(report, words)))
    yield Section(_("What happened on the way"), tuple(_on_the_way(report, words)))
    yield Section(_("Carried out in other tools"), tuple(_carried_out(report, words)))
    yield Section(_("Files that were handed out"), tuple(_exports(report, words)))
    yield Section(_("The wording"), tuple(_wordings(report, words)))
    yield Section(_("Checkpoint of the evidence"), tuple(_checkpoint(report, words)))


def _standing(report: Report, words: Words) -> str:
    _, campaign = words.gettext, report.campaign
    if campaign.state == CampaignState.CANCELLED:
        return _(
            "The campaign was cancelled on %(moment)s.", moment=words.moment(campaign.closed_at)
        )
    if campaign.is_over:
        return _("The campaign closed on %(moment)s.", moment=words.moment(campaign.closed_at))
    return _(
        "The campaign is still under way, until %(moment)s: these are the numbers so far.",
        moment=words.moment(campaign.deadline),
    )


def _result(report: Report, words: Words) -> Iterator[Block]:
    yield Text(_standing(report, words), "lede")
    yield asked_table(report, words)
    if report.counted_at < report.made_at:
        moment = words.moment(report.counted_at)
        yield Text(
            words.gettext(
                "Counted at %(moment)s; who came to stand elsewhere since is not told here.",
                moment=moment,
            )
        )


def _days(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if not report.is_whole:
        yield Text(_("Many answers have just come in; they are still being counted."), "warning")
    if report.days:
        yield answer_days(report, words)
        yield Text(_("Whoever changed their mind counts here each time, and above once."))
    else:
        yield Text(_("Nothing has been recorded yet."))


def _decision(report: Report, words: Words) -> Iterator[Block]:
    _, campaign = words.gettext, report.campaign
    yield Fields(
        (
            (_("Launched on"), words.moment(campaign.launched_at)),
            (_("Launched by"), words.actor(campaign.launched_by) or _("not known")),
            (_("Attested then"), campaign.attest or _("nothing is kept of it")),
        )
    )
    if campaign.told:
        yield Text(_("Before that, this was said to whoever launched it:"))
        yield Letter(campaign.told, campaign.told_in)
    if campaign.accepted:
        yield Text(_("A check had found this wrong, and it was accepted with a reason:"))
        yield Fields(tuple((one["found"].rstrip("."), one["reason"]) for one in campaign.accepted))


def _conditions(report: Report, words: Words) -> Iterator[tuple[str, str]]:
    _, campaign = words.gettext, report.campaign
    yield _("Purpose"), report.purpose
    yield _("Began"), words.moment(campaign.starts_at)
    if campaign.opened_at:
        yield _("Last mail had left"), words.moment(campaign.opened_at)
    yield _("Deadline"), words.moment(campaign.deadline)
    yield (
        _("Time to answer at least"),
        words.ngettext("one day", "%(count)s days", campaign.minimum_days),
    )
    yield _("Reminder"), words.moment(campaign.reminder_at) or _("none")
    yield _("Pilot"), words.number(campaign.pilot) if campaign.pilot else _("none")
    yield _("Thin proofs asked too"), words.yes_or_no(holds=campaign.include_thin)
    yield _("Answer pages down"), words.span(campaign.downtime)


def _files(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if not report.imports:
        yield Text(_("No file was taken in."))
        return
    yield Grid(
        titles=(_("File"), _("Taken in"), _("Rows"), _("Taken back")),
        rows=tuple(
            (
                one.file,
                words.short(one.at),
                words.number(one.rows),
                words.short(one.undone_at) if one.undone_at else "",
            )
            for one in report.imports
        ),
        numbers=frozenset({2}),
    )
    yield fates_table(report, words)


def _on_the_way(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if report.interruptions:
        yield Grid(
            titles=(_("When"), _("What"), _("By")),
            rows=tuple(
                (words.short(one.at), _happened(one, words), words.actor(one.actor))
                for one in report.interruptions
            ),
        )
    else:
        yield Text(_("It was neither paused nor extended."))
    if report.still_mailed:
        yield Text(
            words.ngettext(
                "Once, somebody of whom nothing is held here unsubscribed from a mail: some tool "
                "still mails them.",
                "%(count)s times, somebody of whom nothing is held here unsubscribed from a mail: "
                "some tool still mails them.",
                report.still_mailed,
            ),
            "warning",
        )


def _happened(one: Interruption, words: Words) -> str:
    _ = words.gettext
    if one.event == "extended":
        return _("the deadline moved to %(moment)s", moment=words.moment(read_moment(one.detail)))
    paused = {
        "": _("paused"),
        "pilot": _("paused by itself: the pilot was through"),
        "bounces": _("paused by itself: too many mails were refused or came back"),
        "complaint": _("paused by itself: somebody reported a mail as unwanted"),
        "restored": _("paused when the database was restored"),
    }
    others = {
        "resumed": _("went on"),
        "cancelled": _("was cancelled"),
        "closed": _("closed"),
    }
    return paused[one.detail] if one.event == "paused" else others[one.event]


def _carried_out(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if not report.handed_over:
        yield Text(_("No step of handing over has been ticked."))
        return
    files = {"keep": _("who stays"), "removed": _("whom to take off")}
    rows = []
    for one in report.handed_over:
        what, _sign, number = one.step.partition("-")
        step = _("step %(number)s, %(file)s", number=number, file=files.get(what, what))
        rows.append((one.tool, step, words.short(one.at), words.actor(one.actor)))
    yield Grid(titles=(_("Tool"), _("Step"), _("Ticked"), _("By")), rows=tuple(rows))


def _exports(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if not report.exports:
        yield Text(_("No file has been made since the launch."))
        return
    what = {
        "keep": _("who stays"),
        "removed": _("whom to take off"),
        "unasked": _("who could not be asked"),
        "evidence": _("the evidence"),
        "refused": _("rows that were refused"),
    }
    yield Grid(
        titles=(_("When"), _("What"), _("Form"), _("Rows"), _("By")),
        rows=tuple(
            (
                words.short(one.at),
                what.get(one.what, one.what),
                " ".join(filter(None, (one.format, one.tool))),
                words.number(one.rows),
                words.actor(one.actor),
            )
            for one in report.exports
        ),
        numbers=frozenset({3}),
    )


def _wordings(report: Report, words: Words) -> Iterator[Block]:
    _ = words.gettext
    kinds = {MailKind.ASK: _("Ask"), MailKind.REMINDER: _("Reminder")}
    yield Text(_("⟦…⟧ stands for what differs from reader to reader."))
    for one in report.wordings:
        yield Fields(
            (
                (
                    kinds.get(one.kind, str(one.kind)),
                    _(
                        "%(language)s, version %(revision)s",
                        language=one.language,
                        revision=one.revision,
                    ),
                ),
                (_("Subject"), one.subject),
                (_("SHA-256"), one.digest),
            )
        )
        yield Letter(one.text, one.language)


def _checkpoint(report: Report, words: Words) -> Iterator[Block]:
    _, point = words.gettext, report.checkpoint
    yield Text(
        _(
            "Kept apart from the database, these numbers show later whether anything before them "
            "was changed or cut off: repermit verify --checkpoint."
        )
    )
    yield Fields(
        (
            (_("Entries"), words.number(point.seq)),
            (_("Hash of the last"), point.hash),
            (_("Root of the tree"), point.root),
        )
    )
