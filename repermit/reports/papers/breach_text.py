"""What to do about a breach, in words: the clock, the steps, what leaked, the drafts.

After EDPB Guidelines 9/2022; the authority's own form comes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from repermit.reports.papers.blocks import (
    Block,
    Fields,
    Grid,
    Kind,
    Letter,
    Paper,
    Points,
    Section,
    Text,
)
from repermit.reports.papers.breach import Breach
from repermit.reports.papers.breach_drafts import checklist, notification
from repermit.reports.papers.breach_traces import trace_blocks
from repermit.reports.papers.json_document import as_document
from repermit.reports.papers.register_lines import categories_of_data, categories_of_people
from repermit.reports.papers.report_wording import Words


def breach_paper(breach: Breach, words: Words, *, emails: Mapping[str, str]) -> Paper:
    """Return what to do as a paper; `emails` are those of users, by their name in the evidence."""
    _ = words.gettext
    return Paper(
        kind=Kind.BREACH,
        language=words.language,
        title=_("If data have leaked"),
        subtitle=breach.name,
        sections=tuple(_sections(breach, words, emails)),
        made_at=breach.made_at,
        made_line=_("As it stood on %(moment)s.", moment=words.moment(breach.made_at)),
        foot=_(
            "Made by repermit after GDPR art. 33 and 34 and EDPB Guidelines 9/2022. It shows what "
            "could have leaked at most; what did, you have to find out. This is not legal advice."
        ),
        document=as_document(breach),
    )


def _sections(breach: Breach, words: Words, emails: Mapping[str, str]) -> Iterator[Section]:
    _ = words.gettext
    yield Section(_("The clock"), tuple(_clock(breach, words)), "art. 33(1)")
    yield Section(_("What to do"), (Points(tuple(checklist(breach, words)), ticks=True),))
    yield Section(_("Whom to tell"), tuple(_whom(breach, words)))
    yield Section(_("How great the risk is"), tuple(_risk(breach, words)), "art. 33(1), 34(1)")
    yield Section(_("What could have leaked"), tuple(_leaked(breach, words)))
    yield Section(_("What could not"), (Points(tuple(_safe(breach, words))),))
    yield Section(_("Where to look"), tuple(trace_blocks(breach.traces, words, emails)))
    yield Section(
        _("Draft of the notification"),
        (Letter(notification(breach, words), words.language),),
        "art. 33(3)",
    )
    yield Section(
        _("Draft of the message to people"),
        (
            Text(_("In the list’s language. It is needed where the risk is high.")),
            Letter(breach.message, breach.language),
        ),
        "art. 34",
    )


def _clock(breach: Breach, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if breach.discovered_at is None or breach.notify_by is None:
        yield Text(
            _(
                "The authority has to know within 72 hours after you became aware of it. Say when "
                "that was, and it stands here until when."
            ),
            "warning",
        )
        return
    left = int((breach.notify_by - breach.made_at).total_seconds())
    yield Fields(
        (
            (_("You became aware of it"), words.moment(breach.discovered_at)),
            (_("The authority has to know by"), words.moment(breach.notify_by)),
            (_("Time left"), words.span(left) if left > 0 else _("none")),
        )
    )
    if left > 0:
        yield Text(_("What you do not know by then, you tell later: in phases (art. 33(4))."))
    else:
        yield Text(
            _("The 72 hours are over. Notify now, and say why it is late (art. 33(1))."), "warning"
        )


def _whom(breach: Breach, words: Words) -> Iterator[Block]:
    _, known = words.gettext, breach.controller
    controller = filter(None, (known["name"], known["email"], known["telephone"]))
    yield Fields(
        (
            (_("Authority"), known["authority"] or _("none named in the settings")),
            (_("Its page"), breach.authority_page or _("none named in the settings")),
            (_("Data protection officer"), known["officer"] or _("none named in the settings")),
            (_("Controller"), "\n".join(controller)),
        )
    )
    if breach.is_dutch:
        yield Text(
            _(
                "The Dutch authority takes notifications by its form alone, not by telephone, post "
                "or mail. The form can be completed, changed and withdrawn later."
            )
        )


def _risk(breach: Breach, words: Words) -> Iterator[Block]:
    _ = words.gettext
    if breach.sensitive:
        yield Text(
            _(
                "Take it as high. Being on this list says something about health, belief or the "
                "like, so that people have to be told without undue delay, unless nobody could "
                "read what leaked (art. 34(3))."
            ),
            "warning",
        )
    else:
        yield Text(
            _(
                "Mail addresses and names alone often mean a risk (unwanted mail, phishing), so "
                "that the authority has to know; whether it is high depends on what happened, on "
                "who has the data now, and on who these people are."
            )
        )
    yield Text(
        _(
            "Only where a risk is unlikely is nothing notified. Whatever you decide: write down "
            "what happened, what followed and what you did (art. 33(5)); this paper is a beginning."
        )
    )


def _leaked(breach: Breach, words: Words) -> Iterator[Block]:
    _, parts = words.gettext, breach.parts
    yield Text(
        words.ngettext(
            "Of one person at most, with an address.",
            "Of %(count)s people at most, with an address.",
            breach.people,
        ),
        "lede",
    )
    if breach.held.files:
        yield Grid(
            titles=(
                _("File that was handed in and waits"),
                _("Rows"),
                _("People who stand nowhere else on the list"),
            ),
            rows=tuple(_files(breach, words)),
            numbers=frozenset({1, 2}),
        )
    if breach.held.uncounted:
        yield Text(
            words.ngettext(
                "One file that was handed in waits beside the database, and whoever is in it is "
                "not counted here: look at it in step 2 of the list.",
                "%(count)s files that were handed in wait beside the database, and whoever is in "
                "them is not counted here: look at them in step 2 of the list.",
                breach.held.uncounted,
            ),
            "warning",
        )
    yield Grid(
        titles=(_("People"), _("Number")),
        rows=tuple(categories_of_people(breach.held, words)),
        numbers=frozenset({1}),
    )
    yield Grid(
        titles=(_("Data"), _("Held of")),
        rows=tuple(categories_of_data(breach.held, words)),
        numbers=frozenset({1}),
    )
    yield Grid(
        titles=(_("Parts of the evidence that are still held"), _("Number")),
        rows=(
            (_("what was agreed to, and when"), words.number(parts["consent"])),
            (
                _("whose it was: address, name, IP address of a sign-up elsewhere"),
                words.number(parts["person"]),
            ),
            (_("network in part, browser, openings of links"), words.number(parts["trace"])),
        ),
        numbers=frozenset({1}),
    )
    yield Fields(
        (
            (_("Held since"), words.moment(breach.held.since) or _("nothing is held")),
            (_("Users of these pages, with their addresses"), words.number(breach.users)),
        )
    )


def _files(breach: Breach, words: Words) -> Iterator[tuple[str, str, str]]:
    """Yield the files that wait; what nobody has looked at is not counted."""
    unknown = words.gettext("not counted")
    for one in breach.held.waiting:
        counts = (one.rows, one.people)
        rows, people = (unknown if count is None else words.number(count) for count in counts)
        yield one.name, rows, people


def _safe(breach: Breach, words: Words) -> Iterator[str]:
    _, kept = words.gettext, breach.held
    yield words.ngettext(
        "One person has been erased: neither address nor name of theirs is held.",
        "%(count)s people have been erased: neither address nor name of theirs is held.",
        kept.erased,
    )
    yield (
        words.ngettext(
            "One address that is not to be mailed is known by its keyed fingerprint.",
            "%(count)s addresses that are not to be mailed are known by their keyed fingerprints.",
            kept.fingerprints,
        )
        + " "
        + _("Without the key in config.toml nobody can tell whose they are.")
    )
    yield _("Passwords (argon2id) and tokens (SHA-256) are kept as hashes alone.")
    yield _("What people wrote back, and what mail servers said, is not kept.")
    yield _(
        "If config.toml has leaked too, none of this holds for fingerprints and links: an address "
        "can then be tried, and links forged. Take a new secret_keys at once; old links keep "
        "working only as long as the old key stands beside it."
    )
