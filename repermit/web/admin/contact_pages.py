"""The contacts of a list: search, one contact's history, and acts by hand.

Looking at a person is recorded as an access.
"""

from __future__ import annotations

import io
import zipfile
from datetime import datetime
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request
from wtforms import BooleanField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired

from repermit.answers import record_answer
from repermit.clock import parse_when
from repermit.contacts import admin_requests, history
from repermit.contacts import counts as contacts_counts
from repermit.contacts import search as contacts_search
from repermit.contacts.admin_requests import NewContact
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import AddressError, NotFound, Refused
from repermit.i18n import catalogues
from repermit.i18n.lazy_text import N_
from repermit.privacy import external_copies, make_proof, printable_proof
from repermit.privacy.make_proof import Proof
from repermit.reports.data_recipients import describe_for_proofs
from repermit.rules.consent import Answer, Basis, Outcome, Reason, Status
from repermit.web.admin.audit_log import make_actor_formatter
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.evidence_check import read_checkpoint
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import (
    flash_message,
    gettext,
    name_language,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

# --- The forms for one person on a list. ----------------------------------------------------------


_require_text = DataRequired(N_("Please fill this in."))


class _Form(Form):
    """A form whose choices are also in the page's language."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self:
            if isinstance(field, SelectField):  # also a RadioField, which is a subclass
                field.choices = [
                    SelectChoice(choice.value, gettext(choice.label)) for choice in field.choices
                ]


class AnswerForm(_Form):
    """The form for an answer given by phone, letter or reply."""

    answer = RadioField(
        N_("What did they say?"),
        [InputRequired(N_("Please choose."))],
        choices=[
            SelectChoice("yes", N_("Yes, I want this mail")),
            SelectChoice("no", N_("No, no more mail")),
        ],
    )
    note = StringField(N_("How, when and to whom?"), [_require_text])
    given_on = StringField(N_("On which day, if not now?"))
    taken_by = StringField(N_("Who took it, if not you?"))
    representative = BooleanField(N_("The legal representative answered, such as a parent"))


class RequestForm(_Form):
    """The form for a request to be removed."""

    reason = StringField(N_("How did they ask for it?"), [_require_text])


class AddForm(_Form):
    """The form for a contact to be added by hand."""

    address = StringField(N_("E-mail address"), [_require_text])
    name = StringField(N_("Name"))
    language = SelectField(
        N_("Language"),
        choices=[
            SelectChoice("", N_("that of the list")),
            *(
                SelectChoice(code, catalogues.language_name(code))
                for code in catalogues.languages()
            ),
        ],
        default="",
    )
    source = StringField(N_("Where is the address from? The person reads this."), [_require_text])
    basis = RadioField(
        N_("On what ground may this person be mailed?"),
        choices=[
            SelectChoice("", N_("None yet: the next campaign asks them")),
            SelectChoice(
                str(Basis.IMPORTED), N_("They signed up, and I have the text of the form")
            ),
            SelectChoice(
                str(Basis.THIN), N_("They signed up, but I do not have the text of the form")
            ),
            SelectChoice(str(Basis.CUSTOMER), N_("They are a customer")),
        ],
        default="",
    )
    basis_at = StringField(N_("On which day did they sign up, or buy?"))
    proof = TextAreaField(N_("What shows it?"))
    wording = TextAreaField(N_("The text of the form"))


# --- The pages. -----------------------------------------------------------------------------------


pages = Blueprint("contact_pages", __name__, url_prefix="/admin/lists/<slug>/contacts")


@pages.get("/")
def show(slug: str) -> Response:
    """Show the contacts of a list, a page at a time; a search needs a POST."""
    return _show_results(find_list(slug), {**request.args.to_dict(), "search": ""})


@pages.post("/search")
def search_contacts(slug: str) -> Response:
    """Find contacts by address or name.

    A POST, although it changes nothing: an address in a URL would get into logs and into the
    browser's history.
    """
    return _show_results(find_list(slug), request.form.to_dict())


def _show_results(mailing_list: MailingList, fields: dict[str, str]) -> Response:
    search, status, reason, after = (
        fields.get(name, "") for name in ("search", "status", "reason", "after")
    )
    results = contacts_search.find_contacts(
        mailing_list, search=search, status=status, reason=reason, after=after
    )
    record_access("searched" if search else "contacts", mailing_list=mailing_list)
    return render_page(
        "contact_pages/list.html",
        mailing_list=mailing_list,
        found=results,
        counts=_list_filters(mailing_list),
        search=search,
        only=(status, reason),
        after=after,
    )


def _list_filters(mailing_list: MailingList) -> list[tuple[str, str, int]]:
    """Return the filters: status, reason ("" for all reasons) and the number of contacts."""
    counts = contacts_counts.count_contacts(mailing_list)
    filters = []
    for status in Status:
        count_by_reason = {
            reason: count
            for (contact_status, reason), count in counts.items()
            if contact_status == status
        }
        filters.append((str(status), "", sum(count_by_reason.values())))
        filters += [
            (str(status), str(reason), count_by_reason[reason])
            for reason in Reason
            if count_by_reason.get(reason)
        ]
    return filters


@pages.get("/<int:number>")
def show_contact(slug: str, number: int) -> Response:
    """Show one contact's whole history."""
    return _render_contact(find_list(slug), number)


def _render_contact(
    mailing_list: MailingList,
    number: int,
    *,
    answering: AnswerForm | None = None,
    requesting: RequestForm | None = None,
    status: int = 200,
) -> Response:
    contact = admin_requests.find_contact(mailing_list, number)
    record_access("contact", mailing_list=mailing_list, subject=contact.subject)
    return render_page(
        "contact_pages/contact.html",
        status=status,
        mailing_list=mailing_list,
        contact=contact,
        moments=history.read_history(contact),
        beyond=external_copies.find_external_copies(mailing_list, contact)
        if contact.address is None
        else None,
        who=make_actor_formatter(),
        language_name=name_language,
        answering=answering or AnswerForm(),
        requesting=requesting or RequestForm(),
    )


@pages.post("/<int:number>/answer")
def record_spoken_answer(slug: str, number: int) -> AnyResponse:
    """Record an answer given by phone, letter or reply."""
    mailing_list, form = find_list(slug), AnswerForm(request.form)
    contact = admin_requests.find_contact(mailing_list, number)
    if contact.address is None:
        # The contact is erased, so no answer can be recorded.
        abort(409)
    if not form.validate():
        return _render_contact(mailing_list, number, answering=form, status=422)
    services = get_services()
    try:
        given_at = _parse_end_of_day(form.given_on.data or "")
    except _InvalidDayError as error:
        form.refuse("given_on", str(error))
        return _render_contact(mailing_list, number, answering=form, status=422)
    try:
        recorded = record_answer.record_reported_answer(
            services.database,
            mailing_list,
            contact.address,
            Answer(form.answer.data),
            note=form.note.data,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            given_by="representative" if form.representative.data else "",
            given_at=given_at,
            is_day_alone=given_at is not None,
            taken_by=(form.taken_by.data or "").strip(),
        )
    except Refused as refusal:
        if refusal.said.code == "given_before":
            form.refuse("given_on", make_sentence(refusal.said))
            return _render_contact(mailing_list, number, answering=form, status=422)
        # The form has checked everything else.
        form.refuse(
            "answer",
            gettext(
                "A Yes counts only while a campaign asks for it, until its deadline. This person "
                "can sign up anew on the list’s sign-up page."
            ),
        )
        return _render_contact(mailing_list, number, answering=form, status=422)
    unchanged_text, recorded_text = (
        gettext("Nothing changed: that is how it stood."),
        gettext("Recorded."),
    )
    flash_message(unchanged_text if recorded.outcome is Outcome.NOTHING else recorded_text)
    return redirect_to("contact_pages.show_contact", slug=slug, number=number)


@pages.post("/<int:number>/remove")
def remove_contact(slug: str, number: int) -> AnyResponse:
    """Remove a contact at the person's request."""
    mailing_list, form = find_list(slug), RequestForm(request.form)
    if not form.validate():
        return _render_contact(mailing_list, number, requesting=form, status=422)
    services = get_services()
    try:
        admin_requests.remove_at_request(
            services.database,
            mailing_list,
            number,
            note=form.reason.data,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused as error:
        flash_message(make_sentence(error.said), kind="problem")
    else:
        flash_message(
            gettext("Taken off. Take them off too in every tool that sends this newsletter.")
        )
    return redirect_to("contact_pages.show_contact", slug=slug, number=number)


@pages.post("/<int:number>/proof")
def download_proof(slug: str, number: int) -> AnyResponse:
    """Send the proof about one person: the file to check, and the page to print.

    With a checkpoint, it shows its holder that the record extends that checkpoint. A POST, since it
    appends an entry to the evidence.
    """
    mailing_list, services = find_list(slug), get_services()
    contact = admin_requests.find_contact(mailing_list, number)
    try:
        checkpoint = read_checkpoint(request.form.get("checkpoint", ""))
    except ValueError:
        flash_message(gettext("There is no checkpoint in this."), kind="problem")
        return redirect_to("contact_pages.show_contact", slug=slug, number=number)
    try:
        proof = make_proof.prove_contact(
            services.database,
            mailing_list,
            number,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            known=checkpoint,
            register=describe_for_proofs(mailing_list.slug, settings=services.settings),
        )
    except NotFound:
        abort(409)
    record_access("proved", mailing_list=mailing_list, subject=contact.subject)
    return make_proof_response(f"proof-{slug}-{number}", proof, mailing_list)


def make_proof_response(name: str, proof: Proof, mailing_list: MailingList) -> Response:
    """Return a proof as a ZIP download: the file to check, and the page to print."""
    page = printable_proof.make_proof_page(
        proof.document, language=mailing_list.language, zone=get_services().settings.zone
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.json", proof.text)
        archive.writestr(f"{name}.html", page)
    response = Response(buffer.getvalue(), content_type="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.zip")
    return response


@pages.get("/add")
def show_add(slug: str) -> Response:
    """Show the form for adding a contact."""
    return _show_add(find_list(slug), AddForm())


@pages.post("/add")
def add_contact(slug: str) -> AnyResponse:
    """Add a contact to the list."""
    mailing_list, form = find_list(slug), AddForm(request.form)
    contact = _add_contact(mailing_list, form) if form.validate() else None
    if contact is None:
        return _show_add(mailing_list, form, status=422)
    flash_message(gettext("Added."))
    return redirect_to("contact_pages.show_contact", slug=slug, number=contact.id)


def _add_contact(mailing_list: MailingList, form: AddForm) -> Contact | None:
    """Add the contact of a form; None after an error, which is added to the form."""
    services = get_services()
    try:
        return admin_requests.add_contact(
            services.database,
            mailing_list,
            _read_person(form),
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
        )
    except AddressError as error:
        form.refuse("address", make_sentence(error.reason))
    except _InvalidDayError as error:
        form.refuse("basis_at", str(error))
    except Refused as error:
        name = error.said.code if error.said.code in form else "basis"
        form.refuse(name, make_sentence(error.said))
    return None


class _InvalidDayError(Exception):
    """The typed text is not a day in the past."""


def _read_person(form: AddForm) -> NewContact:
    texts: dict[str, Any] = {
        name: form[name].data or "" for name in ("address", "name", "source", "proof", "wording")
    }
    basis = Basis(form.basis.data) if form.basis.data else None
    return NewContact(
        **texts,
        language=form.language.data,
        basis=basis,
        basis_at=_parse_day(form.basis_at.data or ""),
    )


def _parse_day(typed: str) -> datetime | None:
    if not typed.strip():
        return None
    now, zone = get_arrival(), get_services().settings.zone
    try:
        # At noon, which is on the same day in every inhabited time zone.
        noon = parse_when(f"{typed.strip()}T12:00", zone)
    except Refused:
        raise _InvalidDayError(gettext("Choose a day.")) from None
    if noon.astimezone(zone).date() > now.astimezone(zone).date():
        raise _InvalidDayError(gettext("That day is still to come."))
    return min(noon, now)


def _parse_end_of_day(typed: str) -> datetime | None:
    if _parse_day(typed) is None:
        return None
    return min(get_arrival(), parse_when(typed.strip(), get_services().settings.zone))


def _show_add(mailing_list: MailingList, form: AddForm, *, status: int = 200) -> Response:
    if mailing_list.sensitive:
        # Being on it needs explicit consent, so there are no customers.
        form.basis.choices = [
            choice for choice in form.basis.choices if choice.value != Basis.CUSTOMER
        ]
    return render_page(
        "contact_pages/add.html", status=status, mailing_list=mailing_list, form=form
    )
