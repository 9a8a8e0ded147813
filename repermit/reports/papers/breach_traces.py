"""Where to look after a breach, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from repermit.reports.papers.blocks import Block, Grid, Points, Text
from repermit.reports.papers.breach import Trace, Traces
from repermit.reports.papers.report_wording import Words


def trace_blocks(found: Traces, words: Words, emails: Mapping[str, str]) -> Iterator[Block]:
    """Yield what was done, looked at and opened lately, and by whom."""
    _ = words.gettext
    yield Text(
        _(
            "Since %(moment)s, in the evidence and in the log of looks. Look for what nobody of "
            "yours did. The log of the web server in front, and of the machine, tell the rest.",
            moment=words.moment(found.since),
        )
    )
    yield from _counted(
        _("Acts that open or hand out something"), found.acts, _acts(words), words, emails
    )
    yield from _counted(
        _("Looks at people’s data"), found.looks, looks_in_words(words), words, emails
    )
    if found.sessions:
        yield _sessions(found, words, emails)
    doors = tuple(_doors(found, words))
    if doors:
        yield Points(doors)


def _counted(
    title: str,
    rows: Iterable[Trace],
    names: Mapping[str, str],
    words: Words,
    emails: Mapping[str, str],
) -> Iterator[Block]:
    _ = words.gettext
    lines = tuple(
        (
            names.get(one.what, one.what.replace("_", " ")),
            emails.get(one.actor) or words.actor(one.actor),
            words.number(one.times),
            words.short(one.last_at),
        )
        for one in rows
    )
    if lines:
        yield Grid(
            titles=(title, _("By"), _("Times"), _("Last")), rows=lines, numbers=frozenset({2})
        )


def _sessions(found: Traces, words: Words, emails: Mapping[str, str]) -> Grid:
    _ = words.gettext
    return Grid(
        titles=(_("Open sessions"), _("Since"), _("Last used"), _("From")),
        rows=tuple(
            (
                emails.get(f"user:{one.user}", str(one.user)),
                words.short(one.began_at),
                words.short(one.seen_at),
                one.network,
            )
            for one in found.sessions
        ),
    )


def _doors(found: Traces, words: Words) -> Iterator[str]:
    _ = words.gettext
    for one in found.doors:
        if one.kind == "webhook":
            yield _("Webhook: %(name)s", name=one.name)
        elif one.used_at:
            yield _(
                "Token: %(name)s, used on %(moment)s",
                name=one.name,
                moment=words.moment(one.used_at),
            )
        else:
            yield _("Token: %(name)s, never used", name=one.name)
    for network, failures in found.wrong_logins:
        yield (
            words.ngettext(
                "Wrong login lately: one, from", "Wrong logins lately: %(count)s, from", failures
            )
            + f" {network}"
        )


def _acts(words: Words) -> dict[str, str]:
    _ = words.gettext
    return {
        "exported": _("made a file"),
        "archived": _("made an archive"),
        "backed_up": _("backed the database up"),
        "restored": _("restored the database"),
        "paper_made": _("made a paper"),
        "logged_in": _("logged in"),
        "password_changed": _("changed the password"),
        "second_step_set_up": _("set up the second step"),
        "recovery_codes_renewed": _("made new recovery codes"),
        "user_added": _("added a user"),
        "user_invited": _("made a one-time link"),
        "user_role_changed": _("changed what a user may do"),
        "token_made": _("made a token"),
        "webhook_added": _("added a webhook"),
        "webhook_tested": _("tested a webhook"),
        "settings_changed": _("changed the settings"),
    }


def looks_in_words(words: Words) -> dict[str, str]:
    """Return what each look is called, as the log on the pages calls it."""
    _ = words.gettext
    return {
        "contacts": _("looked at the contacts"),
        "searched": _("searched the contacts"),
        "contact": _("looked at one contact"),
        "replies": _("looked at the replies"),
        "doubts": _("looked at the mails in doubt"),
        "silent": _("looked at who has not answered"),
        "looked": _("looked at the rows of a file"),
        "exported": _("downloaded the rows of a file"),
        "exported_keep": _("downloaded who may be mailed"),
        "exported_removed": _("downloaded who was removed"),
        "exported_unasked": _("downloaded who could not be asked"),
        "exported_evidence": _("downloaded the evidence"),
        "archived": _("took an archive along, with a proof of everybody in it"),
        "by_hand": _("looked at who is to be entered by hand in another tool"),
        "compared": _("compared with another tool"),
        "proved": _("had a proof about somebody made"),
        "answers": _("fetched answers and removals"),
    }
