"""The pages on which settings are chosen: one form each, saved as a whole or not at all.

A mail server and a mailbox are tried before they are saved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from repermit.bounces import poll
from repermit.checks import run
from repermit.checks.findings import Report
from repermit.db.tables import MailingList
from repermit.errors import ChangedMeanwhile, ChoiceRefused
from repermit.setting_overrides import change_settings, current_settings
from repermit.settings.definitions import Settings
from repermit.settings.mail_account import PRESETS
from repermit.web.admin.check_findings import findings_by_area, said_of
from repermit.web.admin.current_user import actor
from repermit.web.admin.rendering import flash_message, gettext, redirect_to, render_page
from repermit.web.admin.setting_fields import (
    Filled,
    as_it_is,
    as_typed,
    errors_elsewhere,
    field_of,
    parts_of,
    read_typed,
)
from repermit.web.admin.setting_groups import GROUPS
from repermit.web.admin.setting_text import group_in_words
from repermit.web.request_context import arrival, current_site, file_settings

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("changing", __name__, url_prefix="/admin/settings")

PATIENCE = 20
"""Seconds. Somebody waits for it before a page, not a campaign."""

_ADDRESS = f"/<any({', '.join(GROUPS)}):group>"


@pages.get(_ADDRESS)
def show(group: str) -> Response:
    """Show a group of settings, of the mail server also with what a preset would fill in."""
    preset = request.args.get("preset") if group == "mail" else None
    is_known = preset == "" or preset in PRESETS
    return _show(group, _as_it_is(group, preset if is_known else None), is_filled_in=is_known)


@pages.post(_ADDRESS)
def save(group: str) -> AnyResponse:
    """Save a group of settings if all of it holds, and the server takes the login."""
    file, form = file_settings(), request.form
    typed = read_typed(group, form, file)
    try:
        report = None
        if form.get("act") == "test":
            report = _tried(group, change_settings.propose(file, typed).settings)
        if report and not report.works:
            return _show(group, _as_typed(group), status=422, report=report)
        kept = change_settings.keep(
            current_site().database,
            file,
            typed,
            since=form.get("version", ""),
            now=arrival(),
            actor=actor(),
        )
    except ChoiceRefused as refused:
        filled = replace(_as_typed(group), errors=refused.errors)
        return _show(group, filled, status=422)
    except ChangedMeanwhile:
        flash_message(
            gettext(
                "Somebody else has changed the settings meanwhile, so nothing was saved: these "
                "are theirs."
            ),
            kind="problem",
        )
        return redirect_to("changing.show", group=group)
    _say_what_is(kept.changed, report)
    return redirect_to("changing.show", group=group)


def _say_what_is(changed: tuple[str, ...], report: Report | None) -> None:
    if changed:
        flash_message(gettext("Saved. It holds from now on, without a restart."))
    elif report is None:
        flash_message(gettext("Nothing was to be changed."))
    for one in report.findings if report else ():
        found, remedy = said_of(one)
        said = f"{found} {remedy}".strip().replace("`", "")
        flash_message(said, kind="done" if one.verdict == "ok" else "warning")


def _tried(group: str, settings: Settings) -> Report:
    if group == "mail":
        return run.check_mail_server(settings.mail.hurried(PATIENCE))
    return run.check_mailbox(settings, log_in=poll.log_in, now=arrival())


def _as_it_is(group: str, preset: str | None = None) -> Filled:
    return as_it_is(group, current_site().settings, file_settings(), preset)


def _as_typed(group: str) -> Filled:
    filled = _as_it_is(group)
    return replace(filled, texts=as_typed(group, request.form, filled))


def _show(
    group: str,
    filled: Filled,
    *,
    status: int = 200,
    report: Report | None = None,
    is_filled_in: bool = False,
) -> Response:
    parts = parts_of(group, filled)
    return render_page(
        "settings/group.html",
        status=status,
        group=group,
        title=group_in_words(group),
        parts=parts,
        can_change=any(not one.source for part in parts for one in part.fields),
        preset=field_of("mail.preset", filled) if group == "mail" else None,
        is_filled_in=is_filled_in,
        version=request.form.get("version", current_settings.version()),
        others=errors_elsewhere(group, filled.errors),
        areas=list(findings_by_area(report)) if report else [],
        has_test=group in {"mail", "bounces"},
        **_more(group),
    )


def _more(group: str) -> dict[str, Any]:
    lists = MailingList.select().order_by(MailingList.name) if group == "mail" else ()
    return {"lists": list(lists), "groups": [(one, group_in_words(one)) for one in GROUPS]}
