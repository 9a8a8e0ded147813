"""The steps after a breach, and a draft of the notification to the authority.

Square brackets stand for what only the organisation can say.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from repermit.reports.papers.breach import Breach
from repermit.reports.papers.held_data import Held
from repermit.reports.papers.register_lines import categories_of_data, measure_lines, statuses
from repermit.reports.papers.report_wording import Words

_CONTAINED_BY, _ASSESSED_BY = timedelta(hours=4), timedelta(hours=24)


def checklist(breach: Breach, words: Words) -> Iterator[str]:
    """Yield the steps in their order, each with the moment by which it should be done."""
    _ = words.gettext
    yield _("Write down when you became aware of it, who told you, and what is known.")
    yield _by(breach, words, _CONTAINED_BY) + _(
        "Stop it: log users out and remove those who should not be there (People), revoke tokens "
        "and webhooks (Connections), change passwords of the mail account and of the server, pause "
        "the campaign."
    )
    yield _("Keep what shows what happened: copies of logs, and of the database; delete nothing.")
    yield _("Tell the data protection officer, and whoever decides.")
    yield _by(breach, words, _ASSESSED_BY) + _(
        "Find out what has really leaked, of whom, since when and to whom: see “Where to look”."
    )
    yield _("Ask the processors what they know; the record of processing names them.")
    yield _("Judge the risk, and write down why.")
    yield _by(breach, words, None) + _(
        "Notify the authority, unless a risk is unlikely; what is missing follows in phases."
    )
    yield _("If the risk is high: tell people, each by a message of its own, about nothing else.")
    yield _("Enter the breach in your own record of breaches, also one that is not notified.")
    yield _("Afterwards: what would have prevented it, and who does that by when.")


def _by(breach: Breach, words: Words, span: timedelta | None) -> str:
    """Return until when a step should be done, "" if nobody has said when it was discovered."""
    if breach.discovered_at is None or breach.notify_by is None:
        return ""
    until = breach.discovered_at + span if span else breach.notify_by
    return words.gettext("By %(moment)s: ", moment=words.moment(until))


def notification(breach: Breach, words: Words) -> str:
    """Return what the authority has to know (art. 33(3)(a) to (d)), as far as it is known here."""
    return "\n\n".join(
        (
            _nature(breach, words),
            _contact(breach, words),
            _consequences(breach, words),
            _measures(breach, words),
        )
    )


def _nature(breach: Breach, words: Words) -> str:
    _, kept = words.gettext, breach.held
    people = ", ".join(f"{title}: {count}" for title, count in _people(kept, words))
    data = ", ".join(f"{title}: {count}" for title, count in categories_of_data(kept, words))
    lines = [
        _("(a) What happened: [what, when it began and ended, how it was discovered]."),
        _("People concerned, at most: %(people)s.", people=people or _("none")),
        _("Data concerned, at most: %(data)s.", data=data or _("none")),
    ]
    if breach.sensitive:
        lines.append(
            _("Special categories (art. 9): being on the list shows something of that kind.")
        )
    if breach.discovered_at:
        lines.append(_("Became aware on: %(moment)s.", moment=words.moment(breach.discovered_at)))
    return "\n".join(lines)


def _people(kept: Held, words: Words) -> Iterator[tuple[str, str]]:
    """Yield whom it is about and how many they are, each of them once."""
    _ = words.gettext
    counts = {title: kept.statuses[status] for status, title in statuses(words).items()}
    counts[_("who signed up and has not confirmed it")] = kept.only_signed_up
    counts[_("who stands only in a file that was handed in and waits")] = kept.only_in_files
    counts[_("files that were handed in, whose people are not counted")] = kept.uncounted
    for title, count in counts.items():
        if count:
            yield title, words.number(count)


def _contact(breach: Breach, words: Words) -> str:
    _, known = words.gettext, breach.controller
    contact = known["officer"] or known["email"] or "[…]"
    return _(
        "(b) Controller: %(name)s, %(address)s. More from: %(contact)s.",
        name=known["name"],
        address=", ".join(known["address"].splitlines()) or "[…]",
        contact=contact,
    )


def _consequences(breach: Breach, words: Words) -> str:
    _ = words.gettext
    lines = [
        _(
            "(c) Likely consequences: unwanted mail; mail that pretends to come from us; [anything "
            "else]."
        )
    ]
    if breach.sensitive:
        lines.append(
            _("Others may learn something about health, belief or the like of these people.")
        )
    return "\n".join(lines)


def _measures(breach: Breach, words: Words) -> str:
    _ = words.gettext
    begun = _("(d) Measures: [what was done to stop it and to mend it]. In force already:")
    lines = (line for holds, line in measure_lines(breach.measures, words) if holds)
    return "\n".join([begun, *(f"- {line}" for line in lines)])
