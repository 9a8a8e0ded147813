"""Step 3 of a campaign: the mail's own wording, how it looks, and one to oneself."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from flask_login import current_user
from markupsafe import Markup, escape
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields import SelectChoice

from repermit.campaigns import draft_conditions, mailing_lists, preview
from repermit.contacts import lookup
from repermit.db.models.lists import MailingList, find_list
from repermit.emails import first_screen, wording_validation
from repermit.emails.html_markup import find_fields, mark_fields
from repermit.emails.mail_values import Mail, OwnWording
from repermit.errors import (
    AddressError,
    OutcomeUnknown,
    RepermitError,
    TransportError,
    WordingError,
)
from repermit.i18n.dates import longest_short_day
from repermit.i18n.lazy_text import N_, Said
from repermit.rules.consent import MailKind
from repermit.smtp import mail_server
from repermit.web.admin.campaign_dates import read_deadline, suggest_conditions
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import (
    count_open_steps,
    flash_message,
    gettext,
    make_url,
    name_language,
    ngettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.request_context import get_arrival, get_site

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

# --- The form of a mail's own wording, and the fields that may stand in it. -----------------------


PARTS = ("own_subject", "own_text", "own_html")
"""The fields of the form that are the wording, as a list has them."""

PREVIEW_FIELDS = ("language", "kind", "shape", "shade")
"""Those that say what of it is to be looked at."""


class WordingForm(Form):
    """The own wording, and what of it is to be looked at."""

    own_subject = StringField(N_("Subject"))
    own_text = TextAreaField(N_("Text"))
    own_html = TextAreaField(N_("HTML"))
    language = SelectField(N_("Language"), validate_choice=False)
    kind = SelectField(
        N_("Which mail"),
        choices=[
            SelectChoice("ask", N_("The question")),
            SelectChoice("reminder", N_("The reminder")),
        ],
        validate_choice=False,
    )
    shape = SelectField(
        N_("Form"),
        choices=[
            SelectChoice("html", N_("Laid out")),
            SelectChoice("text", N_("Plain text")),
        ],
        validate_choice=False,
    )
    shade = SelectField(
        N_("Colours"),
        choices=[SelectChoice("light", N_("Light")), SelectChoice("dark", N_("Dark"))],
        validate_choice=False,
    )

    def __init__(self, *args: Any, mailing_list: MailingList, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        spoken = lookup.read_list_facts(mailing_list).languages
        self.language.choices = [SelectChoice(choice, name_language(choice)) for choice in spoken]
        if self.language.data not in spoken:
            self.language.data = mailing_list.language
        for field in (self.kind, self.shape, self.shade):
            field.choices = [
                SelectChoice(choice.value, gettext(choice.label)) for choice in field.choices
            ]
            known = [choice.value for choice in field.choices]
            field.data = field.data if field.data in known else known[0]


def read_text(form: Form, name: str) -> str:
    """Return a text with plain line ends, "" for one of blanks alone."""
    typed = (form[name].data or "").replace("\r\n", "\n")
    return typed if typed.strip() else ""


def fill_list(mailing_list: MailingList, form: WordingForm) -> MailingList:
    """Put what is typed into a list in memory, which nobody saves; return it."""
    for name in PARTS:
        setattr(mailing_list, name, read_text(form, name))
    return mailing_list


def list_field_titles() -> dict[str, tuple[str, ...]]:
    """Return the title of each placeholder; required ones come first."""
    needed, more = gettext("Needed"), gettext("As you like")
    titles = {
        "yes_url": (needed, gettext("Link for Yes")),
        "no_url": (needed, gettext("Link for No")),
        "deadline": (needed, gettext("Until when answers count")),
        "organisation": (needed, gettext("Your name, address and how to reach you: several lines")),
        "stop": (needed, gettext("How to stop at any time")),
        "privacy_url": (needed, gettext("Link to your privacy statement")),
        "explicit_consent": (more, gettext("What a Yes means; needed on a sensitive list")),
        "greeting": (more, gettext("Dear …, with the name if it is known")),
        "reason": (more, gettext("Why they get this mail, and since when they are on the list")),
        "list_name": (more, gettext("Name of the list")),
        "purpose": (more, gettext("What people get")),
        "frequency": (more, gettext("How often")),
        "organisation_name": (more, gettext("Your name alone, for within a sentence")),
        "yes_label": (more, gettext("Words of the button for Yes")),
        "no_label": (more, gettext("Words of the button for No")),
        "me_url": (more, gettext("Link to what is held about the reader")),
        "address": (more, gettext("The reader’s own address")),
        "reply_to": (more, gettext("Address for replies")),
        "short_deadline": (more, gettext("The same without the year")),
        "day": (more, gettext("The same as short as can be, for the subject")),
        "telephone": (more, gettext("Your telephone number")),
    }
    return {f"{{{{ {name} }}}}": title for name, title in titles.items()}


# --- Step 3 of a campaign. ------------------------------------------------------------------------


pages = Blueprint("mail_wording", __name__, url_prefix="/admin/lists/<slug>/mail")

_PATIENCE = 10  # seconds, as long as somebody waits for a page


@pages.get("", endpoint="show")
def show_wording(slug: str) -> Response:
    """Show the wording as it is saved."""
    mailing_list = find_list(slug)
    return _show_page(mailing_list, _make_form(mailing_list))


@pages.post("", endpoint="save")
def save_wording(slug: str) -> AnyResponse:
    """Save the own wording; left empty, repermit's own is used."""
    mailing_list, site = find_list(slug), get_site()
    form = WordingForm(request.form, mailing_list=mailing_list)
    try:
        changed = mailing_lists.change_list(
            site.database,
            mailing_list,
            settings=site.settings,
            now=get_arrival(),
            actor=get_actor(),
            own_subject=read_text(form, "own_subject"),
            own_text=read_text(form, "own_text"),
            own_html=read_text(form, "own_html"),
        )
    except RepermitError as refusal:
        typed = fill_list(find_list(slug), form)
        for name, reason in _list_flaws(typed) or [("own_text", make_sentence(refusal.said))]:
            form.refuse(name, reason)
        return _show_page(find_list(slug), form, status=422)
    flash_saved_list(changed)
    return redirect_to(
        "mail_wording.show" if "look" in request.form else "campaign_dates.show", slug=slug
    )


def flash_saved_list(mailing_list: MailingList) -> None:
    """Say that a list is saved, and whether a campaign keeps its own words."""
    flash_message(gettext("Saved."))
    if mailing_lists.explain_frozen_wording(mailing_list):
        flash_message(
            gettext("The campaign that is under way keeps the words with which it was launched."),
            kind="warning",
        )


@pages.post("/begin")
def insert_default(slug: str) -> Response:
    """Put repermit's own wording into what is empty, to be changed; nothing is saved by that."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    usual = _make_usual_wording(mailing_list)
    form.own_subject.data = read_text(form, "own_subject") or usual.subject
    form.own_text.data = read_text(form, "own_text") or usual.text
    return _show_page(mailing_list, form)


def _make_usual_wording(mailing_list: MailingList) -> OwnWording:
    return wording_validation.make_usual_wording(
        lookup.read_list_facts(mailing_list),
        language=mailing_list.language,
        has_telephone=bool(get_site().settings.organisation.telephone),
    )


@pages.post("/complete")
def insert_missing(slug: str) -> Response:
    """Put what a text must have and lacks behind it, in the usual words; nothing is saved."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    form.own_text.data = wording_validation.complete_text(
        read_text(form, "own_text"),
        _make_usual_wording(mailing_list).text,
        lookup.read_list_facts(mailing_list),
    )
    put_in = gettext("Put in at the end, in the usual words: look where it should stand.")
    return _show_page(mailing_list, form, notes=[("done", put_in)])


def _lacks_fields(mailing_list: MailingList, form: WordingForm) -> bool:
    """Say whether a text of one's own lacks what it must have."""
    text = read_text(form, "own_text")
    return bool(text) and bool(
        wording_validation.find_missing_fields(text, lookup.read_list_facts(mailing_list))
    )


@pages.get("/look")
def show_saved_mail(slug: str) -> Response:
    """Return the mail as it is saved, to be looked at within a frame."""
    mailing_list = find_list(slug)
    return _render_framed(mailing_list, _make_form(mailing_list))


@pages.post("/look")
def preview_typed_mail(slug: str) -> Response:
    """Return the mail as it is typed; nothing is saved by that."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    fill_list(mailing_list, form)
    return _render_framed(mailing_list, form)


@pages.post("/test")
def send_test_mail(slug: str) -> Response:
    """Send the mail as it is typed to the logged-in user alone."""
    mailing_list = find_list(slug)
    form = WordingForm(request.form, mailing_list=mailing_list)
    if not _validate(find_list(slug), form):
        return _show_page(mailing_list, form, status=422)
    typed, site = find_list(slug), get_site()
    fill_list(typed, form)
    try:
        mail = _make_mail(typed, form, to=current_user.email)
        mail_server.send_one(site.settings.mail.hurried(_PATIENCE), mail)
    except RepermitError as error:
        note = ("problem", _describe_failure(error))
        return _show_page(mailing_list, form, status=422, notes=[note])
    preview.note_test_mail(site.database, mailing_list, now=get_arrival(), actor=get_actor())
    sent = gettext(
        "Sent to %(address)s, as it stands here. Its links belong to nobody: pressing them changes "
        "nothing.",
        address=current_user.email,
    )
    return _show_page(mailing_list, form, notes=[("done", sent)])


def _make_form(mailing_list: MailingList) -> WordingForm:
    chosen = {name: request.args.get(name) for name in PREVIEW_FIELDS}
    own = {name: getattr(mailing_list, name) for name in PARTS}
    return WordingForm(data={**chosen, **own}, mailing_list=mailing_list)


def _validate(mailing_list: MailingList, form: WordingForm) -> bool:
    """Say whether the wording may be used; what stands against it is put beside its field."""
    fill_list(mailing_list, form)
    if not any(getattr(mailing_list, name) for name in PARTS):
        return True
    for name, reason in _list_flaws(mailing_list):
        form.refuse(name, reason)
    return not form.errors


def _list_flaws(mailing_list: MailingList) -> list[tuple[str, str]]:
    try:
        reasons = preview.list_wording_flaws(mailing_list, get_site().settings)
    except AddressError as error:
        return [("own_text", _word_no_sender(error))]
    return [_find_field(reason) for reason in reasons]


def _find_field(reason: Said) -> tuple[str, str]:
    """Return the field that a reason is about, that of the text if it names none, and the rest."""
    field, rest = f"own_{reason.values.get('part', '')}".lower(), reason.values.get("reason")
    message = rest if field in PARTS and isinstance(rest, Said) else None
    return (
        ("own_text", make_sentence(reason)) if message is None else (field, make_sentence(message))
    )


def _word_no_sender(error: AddressError) -> str:
    return gettext(
        "First say in step 1 who sends it: %(reason)s.", reason=translate_said(error.reason)
    )


def _make_mail(mailing_list: MailingList, form: WordingForm, *, to: str | None = None) -> Mail:
    return preview.preview_mail(
        mailing_list,
        settings=get_site().settings,
        now=get_arrival(),
        kind=MailKind(form.kind.data),
        language=form.language.data,
        deadline=read_deadline(
            draft_conditions.read_conditions(mailing_list) or suggest_conditions()
        ),
        to=to,
    )


def _render_framed(mailing_list: MailingList, form: WordingForm) -> Response:
    shade = form.shade.data
    try:
        mail = _make_mail(mailing_list, form)
    except WordingError as error:
        return frame_flaws(map(make_sentence, error.reasons), shade=shade)
    except AddressError as error:
        return frame_flaws([_word_no_sender(error)], shade=shade)
    warnings = [_word_first_screen(mail), _word_subject(mailing_list, mail, form)]
    above = Markup("").join(_make_warning(text, shade) for text in warnings if text)
    return frame_mail(mail, shade=shade, as_text=form.shape.data == "text", warnings=above)


def _word_subject(mailing_list: MailingList, mail: Mail, form: WordingForm) -> str:
    """Return what a phone does not show of a subject of one's own, or what it might; else ""."""
    own = preview.read_own_wording(mailing_list, form.language.data).subject
    if not own or form.kind.data != MailKind.ASK:
        return ""
    if len(mail.subject) >= first_screen.MOST_SIGNS:
        return gettext(
            "A phone shows the first %(most)s characters of a subject or so; this one has "
            "%(count)s.",
            most=first_screen.MOST_SIGNS,
            count=len(mail.subject),
        )
    with_day = f"{mail.subject} {longest_short_day(form.language.data)}"
    has_day = {"day", "deadline"} & find_fields(mark_fields(own))
    if has_day or len(with_day) >= first_screen.MOST_SIGNS:
        return ""
    return gettext(
        "The subject does not say until when one may answer, though there is room: "
        "%(field)s is the last day.",
        field="{{ day }}",
    )


def _describe_failure(error: RepermitError) -> str:
    if isinstance(error, OutcomeUnknown):
        return gettext("The mail server took the mail and said no more: look whether it came.")
    if isinstance(error, TransportError):
        return gettext(
            "Nothing was sent: the mail server did not take it (%(reason)s). The check in step 4 "
            "tells more.",
            reason=translate_said(error.said),
        )
    return gettext("Nothing was sent: %(reason)s", reason=translate_said(error.said))


def _show_page(
    mailing_list: MailingList,
    form: WordingForm,
    *,
    status: int = 200,
    notes: list[tuple[str, str]] | None = None,
) -> Response:
    """Return the page; the lengths are those of the mail as it is saved."""
    slug = mailing_list.slug
    try:
        mail = _make_mail(mailing_list, _make_form(mailing_list))
    except RepermitError:
        mail = None
    return render_page(
        "mail_wording/show.html",
        status=status,
        notes=notes,
        mailing_list=mailing_list,
        reached=count_open_steps(mailing_list),
        form=form,
        fields=list_field_titles(),
        lacks_fields=_lacks_fields(mailing_list, form),
        is_own=any(read_text(form, name) for name in PARTS),
        mail=mail,
        preheader=read_preheader(mail) if mail else "",
        signs_in_words=describe_length,
        frame_url=make_url(
            "mail_wording.show_saved_mail",
            slug=slug,
            **{name: form[name].data for name in PREVIEW_FIELDS},
        ),
    )


# --- A mail as a page to be looked at within a frame. ---------------------------------------------


# Sandboxed it has no scripts, sends no forms and opens no windows; its styles are a mail's own.
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'self'; "
    "frame-ancestors 'self'"
)
_IN_THE_DARK = "@media (prefers-color-scheme: dark)"
_BODY = re.compile(r"<body[^>]*>")
_HEAD = re.compile(r"<head>")
# Behind it stand signs that nobody sees, which keep what follows out of the overview.
_PREHEADER = re.compile(r'<div class="preview"[^>]*>([^\u034f<]*)')

_PLAIN_TEXT = Markup(
    '<pre style="white-space:pre-wrap;overflow-wrap:anywhere;font:inherit">{}</pre>'
)
# It takes no room; on what is wider than a phone it is not drawn.
_FOLD = Markup(
    "<style>@media (min-width:600px) {{ .fold {{ display:none }} }}</style>"
    '<div class="fold" style="position:relative;height:0"><div style="position:absolute;top:{}px;'
    "left:0;right:0;border-top:2px dashed #c2410c;font:13px/1.4 system-ui,sans-serif;"
    'text-align:right;pointer-events:none"><span style="background:#c2410c;color:#fff;'
    'padding:1px 6px">{}</span></div></div>'
)
_COLOURS = {"light": ("#ffffff", "#1d2329", "#c9ced6"), "dark": ("#15181c", "#e6e9ed", "#444c57")}


def frame_mail(mail: Mail, *, shade: str, as_text: bool, warnings: Markup) -> Response:
    """Return the mail below what an overview of mails shows of it, and below warnings."""
    above = _make_overview(mail, shade) + warnings
    if as_text:
        return _make_frame_response(_make_frame_page(above + _PLAIN_TEXT.format(mail.text), shade))
    shown = mail.html.replace(_IN_THE_DARK, "@media all" if shade == "dark" else "@media not all")
    shown = shown.replace("color-scheme: light dark", f"color-scheme: {shade}")
    # A link that wants a window of its own opens none in a sandbox.
    shown = _HEAD.sub('<head><base target="_blank">', shown, count=1)
    fold = _FOLD.format(first_screen.MOST_PIXELS, gettext("A phone’s first screen ends here"))
    return _make_frame_response(_BODY.sub(lambda body: f"{body[0]}{above}{fold}", shown, count=1))


def frame_flaws(reasons: Iterable[str], *, shade: str) -> Response:
    """Return why there is nothing to look at yet."""
    items = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in reasons)
    title = gettext("There is no mail to look at yet:")
    return _make_frame_response(
        _make_frame_page(Markup("<p><b>{}</b></p><ul>{}</ul>").format(title, items), shade)
    )


def read_preheader(mail: Mail) -> str:
    """Return the line that mail programs show beside the subject."""
    match = _PREHEADER.search(mail.html)
    return html.unescape(match[1]).strip() if match else ""


def describe_length(text: str) -> str:
    """Return how long a line is."""
    return ngettext("one character", "%(count)s characters", len(text))


def _word_first_screen(mail: Mail) -> str:
    """Return what is said if an answer is not seen at first on a phone; "" if both are."""
    seen = first_screen.estimate_mail(mail.text, mail.html)
    if seen is None or seen.is_enough:
        return ""
    return gettext(
        "On a phone an answer is not seen at first: it ends some %(pixels)s pixels down, after "
        "%(words)s words, where %(most_pixels)s pixels and %(most_words)s words are seen. Put "
        "below the answers what need not stand above them.",
        pixels=seen.pixels,
        words=seen.words,
        most_pixels=first_screen.MOST_PIXELS,
        most_words=first_screen.MOST_WORDS,
    )


def _make_warning(text: str, shade: str) -> Markup:
    paper, ink, _ = _COLOURS[shade]
    style = (
        f"background:{paper};color:{ink};border-left:4px solid #c2410c;margin:10px 20px;"
        "padding:0 10px;font:15px/1.45 system-ui,sans-serif"
    )
    return Markup('<p role="status" style="{}">{}</p>').format(style, text)


def _make_overview(mail: Mail, shade: str) -> Markup:
    paper, ink, line = _COLOURS[shade]
    style = (
        f"background:{paper};color:{ink};border-bottom:1px solid {line};padding:10px 20px;"
        "font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere"
    )
    preheader = read_preheader(mail)
    return Markup('<div style="{}"><b>{}</b> ({})<br>{} ({})</div>').format(
        style, mail.subject, describe_length(mail.subject), preheader, describe_length(preheader)
    )


def _make_frame_page(body: Markup, shade: str) -> str:
    paper, ink, _ = _COLOURS[shade]
    style = f"margin:0;padding:0 20px 20px;background:{paper};color:{ink}"
    return (
        f'<!doctype html><html style="color-scheme:{shade}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gettext('The mail'))}</title></head>"
        f'<body style="{style};font:16px/1.5 system-ui,sans-serif">{body}</body></html>'
    )


def _make_frame_response(page: str) -> Response:
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
