"""The check before a launch, run beside the pages: mail server and DNS take seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app

from repermit.bounces import poll
from repermit.campaigns import mailing_lists
from repermit.campaigns.mailing_lists import says_how_often
from repermit.checks import run as checks_run
from repermit.checks.findings import Finding
from repermit.db.models.lists import MailingList
from repermit.web.request_context import arrival, current_site

_FRESH = timedelta(minutes=15)
_PATIENCE = 1.0
"""How many seconds a page waits for a check that is nearly done."""

_turn = threading.Lock()


class _Check(threading.Thread):
    """One check of a list; `about` is what it looked at, and `at` when it began."""

    def __init__(self, look: Callable[[], tuple[Finding, ...]], about: Any, at: datetime) -> None:
        super().__init__(daemon=True, name="check before a launch")
        self._look, self.about, self.at = look, about, at
        self.problems: tuple[Finding, ...] | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.problems = self._look()
        except BaseException as error:  # noqa: BLE001  raised again by who asks
            self.error = error


def problems_before_launch(mailing_list: MailingList) -> tuple[Finding, ...] | None:
    """Return what a check has found wrong; None while it runs, which this begins if need be."""
    site = current_site()
    about = (site.settings, mailing_lists.list_facts(mailing_list))
    with _turn:
        check = _checks().get(mailing_list.slug)
        if check is None or check.about != about or arrival() - check.at > _FRESH:
            check = _begin(mailing_list.slug, about)
    check.join(_PATIENCE)
    if check.error is not None:
        forget_check(mailing_list)
        raise check.error
    return check.problems


def is_checking(mailing_list: MailingList) -> bool:
    """Say whether a check of a list is under way."""
    check = _checks().get(mailing_list.slug)
    return check is not None and check.is_alive()


def forget_check(mailing_list: MailingList) -> None:
    """Have the next page check anew."""
    _checks().pop(mailing_list.slug, None)


def keep_reasons(mailing_list: MailingList, actor: str, reasons: Mapping[str, str]) -> None:
    """Keep why somebody would launch all the same, by code, for the page after a check."""
    _reasons()[mailing_list.slug, actor] = dict(reasons)


def reasons_of(mailing_list: MailingList, actor: str) -> Mapping[str, str]:
    """Return why somebody would launch all the same, by code, as they typed it last."""
    return _reasons().get((mailing_list.slug, actor), {})


def by_code(problems: Sequence[Finding]) -> list[tuple[str, list[Finding]]]:
    """Return what is wrong by its code, under which one reason is given for all of it."""
    codes = dict.fromkeys(one.code for one in problems)
    return [(code, [one for one in problems if one.code == code]) for code in codes]


def _begin(slug: str, about: Any) -> _Check:
    site = current_site()
    settings, database, now = site.settings, site.database, arrival()

    def look() -> tuple[Finding, ...]:
        return checks_run.find_problems(
            settings,
            slug,
            database=database,
            now=now,
            says_how_often=says_how_often,
            log_in=poll.log_in,
            config_path=settings.path,
        )

    check = _checks()[slug] = _Check(look, about, now)
    check.start()
    return check


def _reasons() -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]]
    found = current_app.extensions.setdefault("repermit.launch_reasons", {})
    return found


def _checks() -> dict[str, _Check]:
    found: dict[str, _Check] = current_app.extensions.setdefault("repermit.launch_checks", {})
    return found
