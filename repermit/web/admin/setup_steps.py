"""The setup before the first list: the organisation and the mail server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repermit.checks.settings import check_organisation
from repermit.db.models.campaigns import Campaign
from repermit.db.models.lists import MailingList
from repermit.settings.definitions import PAGES, Origin
from repermit.web.admin.check_findings import FindingText, describe_findings
from repermit.web.admin.rendering import gettext, make_url
from repermit.web.request_context import get_services


@dataclass(frozen=True, kw_only=True)
class SetupStep:
    """One page of settings: its name in URLs, its title, its summary or what it still lacks."""

    page: str
    title: str
    text: str
    is_done: bool

    @property
    def url(self) -> str:
        """Return the URL of its page."""
        return make_url("settings.show_group", group=self.page)


def list_setup_steps() -> list[SetupStep]:
    """Return all steps, done or not; none once a campaign was launched."""
    if Campaign.select().exists():
        return []
    settings = get_services().settings
    (organisation,) = describe_findings(check_organisation(settings))
    mail = settings.mail
    is_chosen = settings.origins.get("mail.server", Origin.DEFAULT) is not Origin.DEFAULT
    server = gettext("%(server)s, port %(port)s", server=mail.server, port=mail.port)
    return [
        SetupStep(
            page="organisation",
            title=gettext(PAGES["organisation"]),
            text=_describe_organisation(organisation),
            is_done=not organisation.place,
        ),
        SetupStep(
            page="mail",
            title=gettext(PAGES["mail"]),
            text=server
            if is_chosen
            else gettext(
                "None is chosen yet: mails would leave through this machine itself (%(server)s).",
                server=server,
            ),
            is_done=is_chosen,
        ),
    ]


def _describe_organisation(finding: FindingText) -> str:
    return finding.found if finding.place else get_services().settings.organisation.name


def find_next_step(steps: Sequence[SetupStep], page: str) -> tuple[str, str] | None:
    """Return title and URL of the step after a page of settings.

    None if the page is no step or is not done, or if all steps are done and there is a list.
    """
    missing = [step for step in steps if not step.is_done]
    if page not in {step.page for step in steps} or page in {step.page for step in missing}:
        return None
    if missing:
        return missing[0].title, missing[0].url
    if MailingList.select().exists():
        return None
    return gettext("The first list"), make_url("list_form.show_new")
