"""Texts for the results of use cases, in the page's language.

A sentence with a code tells on the command line which command helps; OWN_TEXTS has what pages say
instead. All other sentences are translated as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from flask import Response, request

from repermit.errors import Refused
from repermit.i18n.lazy_text import N_, LazyJoin, LazyText, Value
from repermit.rules.consent import CampaignState
from repermit.web.admin.launch_refusal_text import LAUNCH_REFUSALS
from repermit.web.admin.rendering import (
    format_number,
    format_time,
    gettext,
    render_bare_page,
    render_page,
)
from repermit.web.admin.setting_refusal_text import SETTING_REFUSALS

OWN_TEXTS: Mapping[str, str] = {
    **LAUNCH_REFUSALS,
    # Obstacles to an act on a campaign.
    "campaign_state": N_("This cannot be done now: the campaign %(state)s."),
    "over": N_(
        "The campaign is over, so nobody may be asked any more: let the mails in doubt count as "
        "failed."
    ),
    "resume_passed": N_(
        "The deadline has passed meanwhile: give people time to answer first, by a later deadline."
    ),
    "pilot_too_near": N_(
        "Those who wait for the end of the pilot would have less than %(days)s days to answer, and "
        "would not be asked any more: give them time first, by a later deadline."
    ),
    "pilot_too_slow": N_(
        "The mails leave too slowly: the last of those who wait for the end of the pilot would be "
        "asked on %(last)s, and have less than %(days)s days to answer. The deadline must be later "
        "than %(earliest)s."
    ),
    # Problems with a file and its content, and with removing somebody.
    "column": N_("A column that was chosen is not in this file: choose again below."),
    "no_address": N_("It is not known which column holds the e-mail addresses."),
    "address_column": N_("a title such as E-mail above that column"),
    "no_import": N_("There is no file that could be taken back."),
    "sensitive_customers": N_(
        "A sensitive list cannot have customers: being on it needs explicit consent (GDPR art. 9). "
        "If a column was taken for that of customers, choose “not read” for it."
    ),
    "unattested": N_("There are customers in this file: say on what ground they may be mailed."),
    "removal": N_("This cannot be done any more: look at how this person stands now."),
    "when": N_("Choose a day, and a time that there is on that day."),
    "year": N_("That day is too far away. Is its year right?"),
    # Problems with what was filled in on a page.
    "answer_note": N_("Say how the answer was given: by phone, by letter, as a reply."),
    "given_later": N_("An answer cannot have been given later than now."),
    "given_before": N_("This person was asked only after that day."),
    "basis": N_("Nobody can be added by hand in this way."),
    "no_list": N_("There is no such list."),
    "gaps": N_("The record has gaps, so nothing can be proved by it."),
    "not_gone_on": N_("The record does not go on from that checkpoint, at entry %(seq)s."),
    "links": N_("Links to unsubscribe are for those who may be mailed."),
    "no_tool": N_("This file is not for a tool: take it without one."),
    "tool_form": N_("%(tool)s does not take %(form)s; it takes %(forms)s."),
    "restore_broken": N_(
        "Putting a backup back was broken off: whoever looks after the server has to do it again."
    ),
    "knows_nobody": N_(
        "the mail server says of %(count)s people in a row that they do not exist, and has taken "
        "no mail; look at it before the campaign goes on"
    ),
    # Problems with the texts of a list and of its mail.
    "list_there": N_("There is a list of this short name already."),
    "list_name": N_("The list needs a name, as its readers know it."),
    "nowhere_to_reply": N_("First say in step 1 who sends it: %(reason)s."),
    "line": N_(
        "Line %(line)s cannot be read: look at the braces in it, and write a field like "
        "{{ deadline }}."
    ),
    **SETTING_REFUSALS,
}
"""Texts that pages use instead of those of the use cases, by code."""

_STATES = {
    CampaignState.DRAFT: N_("is being prepared"),
    CampaignState.SCHEDULED: N_("begins later"),
    CampaignState.SENDING: N_("is being sent"),
    CampaignState.PAUSED: N_("is paused"),
    CampaignState.OPEN: N_("is open for answers"),
    CampaignState.CLOSED: N_("is closed"),
    CampaignState.CANCELLED: N_("was cancelled"),
}


def translate_said(text: str) -> str:
    """Translate a text into the page's language, for use within a sentence."""
    # The catalogue's translation of "" is its header.
    if not text:
        return ""
    if not isinstance(text, LazyText):
        return gettext(text)
    code = text.code
    return text.render(lambda template: gettext(OWN_TEXTS.get(code, template)), _format_value)


def make_sentence(text: str) -> str:
    """Translate a text into the page's language, as a sentence of its own."""
    sentence = translate_said(text)
    is_ended = sentence.endswith((".", "!", "?", ":", "…", "/"))
    return f"{sentence[:1].upper()}{sentence[1:]}" + ("" if is_ended or not sentence else ".")


def _format_value(value: Value) -> str:
    """Return a value as text for a sentence of the page."""
    if isinstance(value, LazyJoin):
        return value.by.join(map(_format_value, value.parts))
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, int):
        return format_number(value)
    if isinstance(value, CampaignState):
        return gettext(_STATES[value])
    return translate_said(value) if isinstance(value, LazyText) else value


# --- Error pages of the admin. --------------------------------------------------------------------


_CONFLICT = 409
_FAILED = 500
_UNAVAILABLE = 503


def is_admin_request() -> bool:
    """Return whether the request is for an admin page, existing or not."""
    return request.path.startswith("/admin/")


def show_error_page(code: int) -> Response:
    """Return the page for an HTTP error code."""
    texts = {
        400: (
            gettext("This form is too old"),
            gettext(
                "It was opened before you logged in, or in another browser. Nothing was changed: "
                "go back, load the page again, and send it once more."
            ),
        ),
        403: (
            gettext("This page is for admins"),
            gettext("You see the counts of every list. An admin can make you an admin too."),
        ),
        404: (
            gettext("This page does not exist"),
            gettext("It may have been removed meanwhile, or its address is not complete."),
        ),
        413: (
            gettext("That was too much"),
            gettext(
                "Nothing was changed. A file with a list may have 100 MB, one with a proof or with "
                "who is not to be asked 5 MB, and a form much less."
            ),
        ),
    }
    default = gettext("This cannot be done here"), gettext("Nothing was changed.")
    heading, text = texts.get(code, default)
    return render_page("refused.html", heading=heading, text=text, status=code)


def show_unavailable(*, is_recorded: bool) -> Response:
    """Return the page for a database that is busy or unavailable.

    - `is_recorded`: whether something may have been recorded.
    """
    return render_bare_page(
        "server_error.html", status=_UNAVAILABLE, is_unavailable=not is_recorded
    )


def show_failure() -> Response:
    """Return the page for an internal error; made without the database, which may have failed."""
    return render_bare_page("server_error.html", status=_FAILED, is_unavailable=False)


def show_refused_page(error: Refused) -> Response:
    """Return the page for a refusal that the view did not handle itself."""
    if not is_admin_request():
        raise error
    heading = gettext("This cannot be done now")
    return render_page(
        "refused.html", heading=heading, text=make_sentence(error.said), status=_CONFLICT
    )


ASKING_GROUNDS: Mapping[str, str] = {
    "legitimate_interest": N_("Our legitimate interest (GDPR art. 6(1)(f))"),
    "public_task": N_("A task in the public interest (GDPR art. 6(1)(e))"),
    "earlier_consent": N_("The consent that they gave before (GDPR art. 6(1)(a))"),
}
"""The names of the asking grounds, for the choice in a form."""

SPECIAL_GROUNDS: Mapping[str, str] = {
    "explicit_consent": N_("The explicit consent that they gave before (GDPR art. 9(2)(a))"),
    "members": N_(
        "They are or were members of our association, or regularly in touch with it "
        "(GDPR art. 9(2)(d))"
    ),
}
"""The names of the special grounds."""
