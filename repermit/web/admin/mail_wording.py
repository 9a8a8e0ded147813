"""Step 3 of a campaign: the mail's own wording, its preview, and a test mail."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from flask_login import current_user
from markupsafe import Markup

from repermit.campaigns import campaign_draft, mailing_lists, preview
from repermit.contacts import lookup
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList, find_list
from repermit.emails import wording_validation
from repermit.emails.allowed_html import find_fields, mark_fields
from repermit.emails.greeting_name import WIDEST_NAME
from repermit.emails.mail_types import Mail, OwnWording
from repermit.emails.template_engine import MAX_SUBJECT_LENGTH, choose_topic
from repermit.emails.wording_form_blocks import FIXED_FIELDS
from repermit.errors import (
    AddressError,
    ChangedMeanwhile,
    OutcomeUnknown,
    RepermitError,
    TransportError,
    WordingError,
)
from repermit.i18n.dates import find_longest_compact_datetime
from repermit.i18n.lazy_text import LazyText
from repermit.rules.consent import MailKind
from repermit.smtp import mail_server
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.mail_frame import (
    describe_length,
    frame_flaws,
    frame_mail,
    make_first_screen_text,
    make_warning,
    read_preheader,
)
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    make_step_fields,
    make_url,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.admin.wording_form import (
    PARTS,
    PREVIEW_FIELDS,
    TEMPLATE,
    OwnWordingForm,
    WordingForm,
    fill_list,
    make_wording_version,
    read_text,
)
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("mail_wording", __name__, url_prefix="/admin/lists/<slug>/mail")

_MAX_READERS = 25
_TIMEOUT = 10  # seconds, while a page waits


@pages.get("", endpoint="show")
def show_wording(slug: str) -> Response:
    """Show the saved wording."""
    mailing_list = find_list(slug)
    return _show_page(mailing_list, _make_form(mailing_list))


@pages.post("", endpoint="save")
def save_wording(slug: str) -> AnyResponse:
    """Save the list's own wording; if it is empty, the default wording is used."""
    mailing_list, services = find_list(slug), get_services()
    form = _read_form(mailing_list)
    if form.refuse_unknown_brackets():
        return _show_page(mailing_list, form, status=422)
    try:
        changed = mailing_lists.change_list(
            services.database,
            mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            since=form.version.data or "",
            own_subject=read_text(form, "own_subject"),
            own_text=read_text(form, "own_text"),
            own_html=read_text(form, "own_html"),
        )
    except ChangedMeanwhile as refusal:
        form.version.data = make_wording_version(find_list(slug))
        note = ("problem", make_sentence(refusal.said))
        return _show_page(find_list(slug), form, status=422, notes=[note])
    except RepermitError as refusal:
        typed = fill_list(find_list(slug), form)
        for name, reason in _list_flaws(typed) or [("own_text", make_sentence(refusal.said))]:
            form.refuse(name, reason)
        return _show_page(find_list(slug), form, status=422)
    flash_saved_list(changed)
    if "look" in request.form:
        return redirect_to("mail_wording.show", slug=slug, view=_name_view(form))
    return redirect_to("campaign_dates.show", slug=slug)


def flash_saved_list(mailing_list: MailingList) -> None:
    """Flash that a list is saved, and whether a running campaign keeps its wording."""
    flash_message(gettext("Saved."))
    flash_first_screen(mailing_list)
    if mailing_lists.explain_frozen_wording(mailing_list):
        flash_message(
            gettext("The campaign that is under way keeps the words with which it was launched."),
            kind="warning",
        )


def flash_first_screen(mailing_list: MailingList, language: str = "") -> None:
    """Flash a warning if the first screen of the mail hides an answer, or cuts the purpose.

    - `language`: the mail's language, by default the list's.
    """
    language = language or mailing_list.language
    is_own = bool(lookup.read_own_wording(mailing_list, language).text)
    name = WIDEST_NAME if is_own else ""
    try:
        mail = _preview_as_listed(mailing_list, language=language, reader_name=name)
    except RepermitError:
        return
    for warning in _list_first_screen_warnings(mailing_list, mail, language, is_own=is_own):
        flash_message(warning, kind="warning")


@pages.post("/view")
def change_view(slug: str) -> Response:
    """Show the typed wording as a template or as blocks; nothing is saved."""
    mailing_list = find_list(slug)
    form = _read_form(mailing_list, view=request.form.get("show", ""))
    return _show_page(mailing_list, form, notes=list_kept_notes())


def list_kept_notes() -> list[tuple[str, str]] | None:
    """Return the note that the script has filled in what was typed before; otherwise None."""
    filled_in = gettext("What you typed here before is filled in again; it is not saved yet.")
    return [("done", filled_in)] if "kept" in request.form else None


@pages.post("/begin")
def insert_default(slug: str) -> Response:
    """Fill empty fields with the default wording, for editing; nothing is saved."""
    mailing_list = find_list(slug)
    form = _read_form(mailing_list)
    insert_default_wording(mailing_list, form, mailing_list.language)
    return _show_page(mailing_list, form)


def insert_default_wording(mailing_list: MailingList, form: OwnWordingForm, language: str) -> None:
    """Fill the empty fields of a form with the default wording in a language."""
    default = _make_default_wording(mailing_list, language)
    form.own_subject.data = read_text(form, "own_subject") or default.subject
    form.own_text.data = read_text(form, "own_text") or default.text


def _make_default_wording(mailing_list: MailingList, language: str) -> OwnWording:
    return wording_validation.make_default_wording(
        lookup.read_list_facts(mailing_list),
        language=language,
        longest_day=_find_longest_day(mailing_list, language),
        has_telephone=bool(get_services().settings.organisation.telephone),
    )


def _find_longest_day(mailing_list: MailingList, language: str) -> str:
    """Return the longest compact date and time, at the hour of the deadline of previews."""
    settings = get_services().settings
    deadline, _ = campaign_draft.find_mail_conditions(
        mailing_list, settings=settings, now=get_arrival()
    )
    return find_longest_compact_datetime(deadline, language=language, zone=settings.zone)


@pages.post("/complete")
def insert_missing(slug: str) -> Response:
    """Append the required fields that the text lacks, in the default wording; nothing is saved."""
    mailing_list = find_list(slug)
    form = _read_form(mailing_list)
    note = complete_wording(mailing_list, form, mailing_list.language)
    return _show_page(mailing_list, form, notes=[note])


def complete_wording(
    mailing_list: MailingList, form: OwnWordingForm, language: str
) -> tuple[str, str]:
    """Append the required fields that a text lacks, in a language; return a note about it."""
    form.own_text.data = wording_validation.complete_text(
        read_text(form, "own_text"),
        _make_default_wording(mailing_list, language).text,
        lookup.read_list_facts(mailing_list),
    )
    return "done", gettext("Put in at the end, in the usual words: look where it should stand.")


def lacks_fields(mailing_list: MailingList, form: OwnWordingForm) -> bool:
    """Return whether an own text lacks a required field."""
    text = read_text(form, "own_text")
    return bool(text) and bool(
        wording_validation.find_missing_fields(text, lookup.read_list_facts(mailing_list))
    )


@pages.get("/look")
def show_saved_mail(slug: str) -> Response:
    """Return the mail with the saved wording, for a frame."""
    mailing_list = find_list(slug)
    return _render_framed(mailing_list, _make_form(mailing_list))


@pages.post("/look")
def preview_typed_mail(slug: str) -> Response:
    """Return the mail with the typed wording, for a frame; nothing is saved."""
    mailing_list = find_list(slug)
    form = _read_form(mailing_list)
    fill_list(mailing_list, form)
    return _render_framed(mailing_list, form)


@pages.post("/test")
def send_test_mail(slug: str) -> Response:
    """Send the mail with the typed wording to the logged-in user only."""
    mailing_list = find_list(slug)
    form = _read_form(mailing_list)
    if not _validate(find_list(slug), form):
        return _show_page(mailing_list, form, status=422)
    typed, services = find_list(slug), get_services()
    fill_list(typed, form)
    try:
        mail = _make_mail(typed, form, to=current_user.email)
        mail_server.send_one(services.settings.mail.with_timeout(_TIMEOUT), mail)
    except RepermitError as error:
        note = ("problem", _describe_failure(error))
        return _show_page(mailing_list, form, status=422, notes=[note])
    preview.record_test_mail(services.database, mailing_list, now=get_arrival(), actor=get_actor())
    sent = gettext(
        "Sent to %(address)s, as it stands here. Its links belong to nobody: pressing them changes "
        "nothing.",
        address=current_user.email,
    )
    return _show_page(mailing_list, form, notes=[("done", sent)])


def _make_form(mailing_list: MailingList) -> WordingForm:
    preview_choices = {name: request.args.get(name) for name in PREVIEW_FIELDS}
    wording = {name: getattr(mailing_list, name) for name in PARTS}
    version = make_wording_version(mailing_list)
    return WordingForm(
        data={**preview_choices, **wording, "version": version},
        mailing_list=mailing_list,
        readers=_list_readers(mailing_list),
        view=request.args.get("view", ""),
    )


def _read_form(mailing_list: MailingList, *, view: str = "") -> WordingForm:
    return WordingForm(
        request.form, mailing_list=mailing_list, readers=_list_readers(mailing_list), view=view
    )


def _list_readers(mailing_list: MailingList) -> list[Contact]:
    return preview.list_readers(mailing_list, limit=_MAX_READERS)


def _name_view(form: WordingForm) -> str | None:
    """Return the view for a URL, None for the default view."""
    return TEMPLATE if form.view == TEMPLATE else None


def _validate(mailing_list: MailingList, form: WordingForm) -> bool:
    """Return whether the wording may be used; errors are added to their fields."""
    fill_list(mailing_list, form)
    if form.refuse_unknown_brackets():
        return False
    if not any(getattr(mailing_list, name) for name in PARTS):
        return True
    for name, reason in _list_flaws(mailing_list):
        form.refuse(name, reason)
    return not form.errors


def _list_flaws(mailing_list: MailingList) -> list[tuple[str, str]]:
    try:
        preview.check_asks(mailing_list, get_services().settings)
    except WordingError as error:
        return [_find_field(reason) for reason in error.reasons]
    except AddressError as error:
        return [("own_text", _make_no_sender_text(error))]
    return []


def _find_field(reason: LazyText) -> tuple[str, str]:
    """Return the field that a reason is about, and the error for it; by default the text field."""
    field, part_reason = f"own_{reason.values.get('part', '')}".lower(), reason.values.get("reason")
    message = part_reason if field in PARTS and isinstance(part_reason, LazyText) else None
    return (
        ("own_text", make_sentence(reason)) if message is None else (field, make_sentence(message))
    )


def _make_no_sender_text(error: AddressError) -> str:
    return gettext(
        "First say in step 1 who sends it: %(reason)s.", reason=translate_said(error.reason)
    )


def _preview_as_listed(mailing_list: MailingList, **choices: Any) -> Mail:
    """Return the mail in the list's present wording, even if another one is frozen."""
    return preview.preview_mail(
        mailing_list, settings=get_services().settings, now=get_arrival(), is_typed=True, **choices
    )


def _make_mail(mailing_list: MailingList, form: WordingForm, **choices: Any) -> Mail:
    """Return the mail as people get it, or with the typed wording if that was changed."""
    return preview.preview_mail(
        mailing_list,
        settings=get_services().settings,
        now=get_arrival(),
        kind=MailKind(form.kind.data),
        language=form.language.data,
        reader=form.chosen_reader,
        is_typed=make_wording_version(mailing_list)
        != make_wording_version(find_list(mailing_list.slug)),
        **choices,
    )


def render_samples(mailing_list: MailingList, *, reader: Contact | None = None) -> dict[str, str]:
    """Return what the mail says for each field of a fixed block; "" without a mail.

    Renders a mail that consists of these fields, each after its name. It changes `mailing_list` in
    memory.
    """
    mailing_list.own_subject = mailing_list.own_html = ""
    mailing_list.own_text = "\n\n".join(
        f"{name}:\n{{{{ {name} }}}}" for name in sorted(FIXED_FIELDS)
    )
    try:
        mail = _preview_as_listed(mailing_list, reader=reader)
    except RepermitError:
        return defaultdict(str)
    pieces = re.split(rf"(?m)^({'|'.join(FIXED_FIELDS)}):$", mail.text)
    samples = zip(pieces[1::2], pieces[2::2], strict=True)
    return defaultdict(str, {name: text.strip() for name, text in samples})


def _render_framed(mailing_list: MailingList, form: WordingForm) -> Response:
    shade = form.shade.data
    try:
        mail = _make_mail(mailing_list, form)
    except WordingError as error:
        return frame_flaws(
            (form.say(make_sentence(reason)) for reason in error.reasons), shade=shade
        )
    except AddressError as error:
        return frame_flaws([_make_no_sender_text(error)], shade=shade)
    own_wording, widest = OwnWording(), mail
    if form.kind.data == MailKind.ASK:
        own_wording = lookup.read_own_wording(mailing_list, form.language.data)
    is_own = bool(own_wording.text)
    if is_own:
        widest = _make_mail(mailing_list, form, reader_name=WIDEST_NAME)
    language = form.language.data
    warnings = _list_first_screen_warnings(mailing_list, widest, language, is_own=is_own)
    if text := _make_subject_text(mailing_list, mail, form, own_wording.subject):
        warnings.append(text)
    banner = Markup("").join(make_warning(text, shade) for text in warnings)
    return frame_mail(mail, shade=shade, as_text=form.shape.data == "text", warnings=banner)


def _list_first_screen_warnings(
    mailing_list: MailingList, mail: Mail, language: str, *, is_own: bool
) -> list[str]:
    """Return warnings if a mail's first screen hides an answer, or cuts the list's purpose.

    - `is_own`: whether the mail has the admin's own wording, which may leave the purpose out.
    """
    purpose_text = "" if is_own else _make_purpose_text(mailing_list, language)
    return list(filter(None, (make_first_screen_text(mail, is_own=is_own), purpose_text)))


def _make_purpose_text(mailing_list: MailingList, language: str) -> str:
    """Return a warning if the purpose is cut above the answers; "" if all of it stands there."""
    facts = lookup.read_list_facts(mailing_list).in_language(language)
    shown = choose_topic(
        facts.purpose,
        facts.frequency,
        facts.name,
        organisation=get_services().settings.organisation.name,
        is_named=not mailing_list.sensitive,
    )
    if shown.startswith(facts.purpose):
        return ""
    start = shown.partition("…")[0]
    if start and facts.purpose.startswith(start):
        return gettext(
            "Above the answers stands the beginning of the purpose: “%(start)s…”. All of it stands "
            "below them; fewer words would stand above.",
            start=start,
        )
    return gettext("The purpose is too long to stand above the answers; it stands below them.")


def _make_subject_text(
    mailing_list: MailingList, mail: Mail, form: WordingForm, own_subject: str
) -> str:
    """Return a warning about an own subject: too long for a phone, or without the last day.

    "" if there is nothing to warn of, or the subject is the default.
    """
    if not own_subject:
        return ""
    if len(mail.subject) >= MAX_SUBJECT_LENGTH:
        return gettext(
            "A phone shows the first %(most)s characters of a subject or so; this one has "
            "%(count)s.",
            most=MAX_SUBJECT_LENGTH,
            count=len(mail.subject),
        )
    with_day = f"{mail.subject} {_find_longest_day(mailing_list, form.language.data)}"
    has_day = {"day", "deadline"} & find_fields(mark_fields(own_subject))
    if has_day or len(with_day) >= MAX_SUBJECT_LENGTH:
        return ""
    return gettext(
        "The subject does not say until when one may answer, though there is room: "
        "%(field)s is the last day.",
        field=form.say("{{ day }}"),
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
    """Return the page; its lengths are those of the mail with the saved wording."""
    slug = mailing_list.slug
    try:
        mail = _make_mail(mailing_list, _make_form(mailing_list))
    except RepermitError:
        mail = None
    if form.reader.choices:
        record_access("previewed", mailing_list=mailing_list)
    return render_page(
        "mail_wording/show.html",
        status=status,
        notes=notes,
        **make_step_fields(mailing_list),
        **form.make_editor_values(),
        version=make_wording_version(find_list(slug)),
        samples=render_samples(find_list(slug), reader=form.chosen_reader)
        if form.is_in_blocks
        else {},
        lacks_fields=lacks_fields(mailing_list, form),
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
