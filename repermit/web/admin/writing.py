"""Step 3 of a campaign: the mail's own wording, how it looks, and one to oneself.

May import campaigns, mailer, messages, models and what the admin's pages share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, request
from flask_login import current_user

from repermit import campaigns, contacts, mailer, messages
from repermit.consent import MailKind
from repermit.errors import (
    AddressError,
    OutcomeUnknown,
    RepermitError,
    TransportError,
    WordingError,
)
from repermit.models import find_list
from repermit.saying import Said
from repermit.web.admin.framing import framed, framed_flaws, preheader_of, signs_in_words
from repermit.web.admin.showing import address_of, gettext, go, say, show
from repermit.web.admin.stepping import steps_reached
from repermit.web.admin.telling import in_words, sentence
from repermit.web.admin.timing import deadline_of, suggested
from repermit.web.admin.visiting import actor
from repermit.web.admin.wordings import (
    LOOKED,
    PARTS,
    WordingForm,
    field_titles,
    put_into,
    typed_in,
)
from repermit.web.site import arrival, current_site

if TYPE_CHECKING:
    from flask import Response
    from werkzeug.wrappers import Response as AnyResponse

    from repermit.messages import Mail
    from repermit.models import MailingList

pages = Blueprint("writing", __name__, url_prefix="/admin/lists/<slug>/mail")

_PATIENCE = 10  # seconds, as long as somebody waits for a page


@pages.get("", endpoint="show")
def show_step(slug: str) -> Response:
    """Show the wording as it is saved."""
    mailing_list = find_list(slug)
    return _show(mailing_list, _form_of(mailing_list))


@pages.post("", endpoint="save")
def save(slug: str) -> AnyResponse:
    """Save the own wording; left empty, repermit's own is used."""
    mailing_list, site = find_list(slug), current_site()
    form = WordingForm(request.form, mailing_list=mailing_list)
    try:
        changed = campaigns.change_list(
            site.database,
            mailing_list,
            settings=site.settings,
            now=arrival(),
            actor=actor(),
            own_subject=typed_in(form, "own_subject"),
            own_text=typed_in(form, "own_text"),
            own_html=typed_in(form, "own_html"),
        )
    except RepermitError as refusal:
        typed = put_into(find_list(slug), form)
        for name, reason in _flaws(typed) or [("own_text", sentence(refusal.said))]:
            form.refuse(name, reason)
        return _show(find_list(slug), form, status=422)
    say(gettext("Saved."))
    if campaigns.frozen_note(changed):
        say(
            gettext("The campaign that is under way keeps the words with which it was launched."),
            kind="warning",
        )
    return go("writing.show" if "look" in request.form else "conditions.show", slug=slug)


@pages.post("/begin")
def begin(slug: str) -> Response:
    """Put repermit's own wording into what is empty, to be changed; nothing is saved by that."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    usual = messages.usual_wording(
        contacts.list_facts(mailing_list), language=mailing_list.language
    )
    form.own_subject.data = typed_in(form, "own_subject") or usual.subject
    form.own_text.data = typed_in(form, "own_text") or usual.text
    return _show(mailing_list, form)


@pages.get("/look")
def frame(slug: str) -> Response:
    """Return the mail as it is saved, to be looked at within a frame."""
    mailing_list = find_list(slug)
    return _framed(mailing_list, _form_of(mailing_list))


@pages.post("/look")
def look(slug: str) -> Response:
    """Return the mail as it is typed; nothing is saved by that."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    put_into(mailing_list, form)
    return _framed(mailing_list, form)


@pages.post("/test")
def send_test(slug: str) -> Response:
    """Send the mail as it is typed to whoever asks for it, and to nobody else."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    if not _is_good(find_list(slug), form):
        return _show(mailing_list, form, status=422)
    typed, site = find_list(slug), current_site()
    put_into(typed, form)
    try:
        mail = _mail(typed, form, to=current_user.email)
        mailer.send_one(site.settings.mail.hurried(_PATIENCE), mail)
    except RepermitError as error:
        note = ("problem", _failure_in_words(error))
        return _show(mailing_list, form, status=422, notes=[note])
    campaigns.note_test_mail(site.database, mailing_list, now=arrival(), actor=actor())
    sent = gettext(
        "Sent to %(address)s, as it stands here. Its links belong to nobody: pressing them changes "
        "nothing.",
        address=current_user.email,
    )
    return _show(mailing_list, form, notes=[("done", sent)])


def _form_of(mailing_list: MailingList) -> WordingForm:
    chosen = {name: request.args.get(name) for name in LOOKED}
    own = {name: getattr(mailing_list, name) for name in PARTS}
    return WordingForm(data={**chosen, **own}, mailing_list=mailing_list)


def _is_good(mailing_list: MailingList, form: WordingForm) -> bool:
    """Say whether the wording may be used; what stands against it is put beside its field."""
    put_into(mailing_list, form)
    if not any(getattr(mailing_list, name) for name in PARTS):
        return True
    for name, reason in _flaws(mailing_list):
        form.refuse(name, reason)
    return not form.errors


def _flaws(mailing_list: MailingList) -> list[tuple[str, str]]:
    try:
        reasons = campaigns.wording_flaws(mailing_list, current_site().settings)
    except AddressError as error:
        return [("own_text", _no_sender(error))]
    return [_placed(reason) for reason in reasons]


def _placed(reason: Said) -> tuple[str, str]:
    """Return the field that a reason is about, that of the text if it names none, and the rest."""
    field, rest = f"own_{reason.values.get('part', '')}".lower(), reason.values.get("reason")
    told = rest if field in PARTS and isinstance(rest, Said) else None
    return ("own_text", sentence(reason)) if told is None else (field, sentence(told))


def _no_sender(error: AddressError) -> str:
    return gettext("First say in step 1 who sends it: %(reason)s.", reason=in_words(error.reason))


def _mail(mailing_list: MailingList, form: WordingForm, *, to: str | None = None) -> Mail:
    return campaigns.preview(
        mailing_list,
        settings=current_site().settings,
        now=arrival(),
        kind=MailKind(form.kind.data),
        language=form.language.data,
        deadline=deadline_of(campaigns.conditions_of(mailing_list) or suggested()),
        to=to,
    )


def _framed(mailing_list: MailingList, form: WordingForm) -> Response:
    shade = form.shade.data
    try:
        mail = _mail(mailing_list, form)
    except WordingError as error:
        return framed_flaws(map(sentence, error.reasons), shade=shade)
    except AddressError as error:
        return framed_flaws([_no_sender(error)], shade=shade)
    return framed(mail, shade=shade, as_text=form.shape.data == "text")


def _failure_in_words(error: RepermitError) -> str:
    if isinstance(error, OutcomeUnknown):
        return gettext("The mail server took the mail and said no more: look whether it came.")
    if isinstance(error, TransportError):
        return gettext(
            "Nothing was sent: the mail server did not take it (%(reason)s). The check in step 4 "
            "tells more.",
            reason=in_words(error.said),
        )
    return gettext("Nothing was sent: %(reason)s", reason=in_words(error.said))


def _show(
    mailing_list: MailingList,
    form: WordingForm,
    *,
    status: int = 200,
    notes: list[tuple[str, str]] | None = None,
) -> Response:
    """Return the page; the lengths are those of the mail as it is saved."""
    slug = mailing_list.slug
    try:
        mail = _mail(mailing_list, _form_of(mailing_list))
    except RepermitError:
        mail = None
    return show(
        "writing/show.html",
        status=status,
        notes=notes,
        mailing_list=mailing_list,
        reached=steps_reached(mailing_list),
        form=form,
        fields=field_titles(),
        is_own=any(typed_in(form, name) for name in PARTS),
        mail=mail,
        preheader=preheader_of(mail) if mail else "",
        signs_in_words=signs_in_words,
        frame_url=address_of("writing.frame", slug=slug, **{one: form[one].data for one in LOOKED}),
    )
