"""Erasing a contact, or everything stored about an address, after confirmation.

Looking at a person is recorded as an access.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, request

from repermit import email_address
from repermit.contacts import admin_requests
from repermit.db.models.contacts import Contact
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import AddressError, Refused
from repermit.i18n.lazy_text import N_
from repermit.imports import uploads
from repermit.privacy import external_copies, make_proof
from repermit.privacy import forget as privacy_forget
from repermit.privacy.forget import AddressErasure, ErasureOutcome, ErasureResult
from repermit.reports.data_recipients import describe_for_proofs
from repermit.temporary_files import make_temporary_files
from repermit.web.admin.audit_log import make_actor_formatter
from repermit.web.admin.contact_pages import make_proof_response
from repermit.web.admin.current_user import get_actor, record_access
from repermit.web.admin.rendering import flash_message, gettext, redirect_to, render_page
from repermit.web.admin.result_text import make_sentence
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("erase_contact", __name__, url_prefix="/admin/lists/<slug>/contacts")


@pages.get("/<int:number>/forget")
def show_forget(slug: str, number: int) -> Response:
    """Ask for confirmation before an erasure, and show what it does and cannot do."""
    mailing_list = find_list(slug)
    return _show_page(mailing_list, _find_contact(mailing_list, number))


@pages.post("/<int:number>/forget")
def erase_contact(slug: str, number: int) -> AnyResponse:
    """Erase a contact, if the typed address is theirs."""
    mailing_list, services = find_list(slug), get_services()
    contact = _find_contact(mailing_list, number)
    if not _matches_address(contact, request.form.get("confirm", "")):
        wrong = gettext("This is not the address above.")
        return _show_page(mailing_list, contact, status=422, wrong=wrong)
    if request.form.get("everywhere"):
        return _erase_everywhere(mailing_list, contact)
    privacy_forget.erase_contact_by_id(
        services.database,
        mailing_list,
        number,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
    )
    uploads.forget_in_upload(mailing_list, contact.address_key, settings=services.settings)
    flash_message(
        gettext("Erased. Within a minute the files of the database hold nothing of it either.")
    )
    flash_unfinished_files()
    _flash_user(contact.address_key)
    return redirect_to("contact_pages.show_contact", slug=slug, number=number)


def _erase_everywhere(mailing_list: MailingList, contact: Contact) -> AnyResponse:
    services, key = get_services(), contact.address_key
    try:
        erasure = privacy_forget.erase_address(
            services.database,
            request.form["confirm"],
            mailing_list=None,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused as error:
        return _show_page(mailing_list, contact, status=422, wrong=make_sentence(error.said))
    for result in erasure.lists:
        uploads.forget_in_upload(find_list(result.list), key, settings=services.settings)
    names = ", ".join(
        result.list
        for result in erasure.lists
        if result.found is privacy_forget.ErasureOutcome.CONTACT
    )
    flash_message(gettext("Erased on every list. It was held on: %(lists)s.", lists=names))
    flash_unfinished_files()
    _flash_user(key)
    return redirect_to("contact_pages.show_contact", slug=mailing_list.slug, number=contact.id)


def flash_unfinished_files() -> None:
    """Flash the names of unfinished files that remain, since the address may be in them."""
    for file in make_temporary_files(get_services().settings).sweep():
        sentence = gettext(
            "This file is being written now, or was left half written and cannot be deleted, and "
            "the address may be in it: %(file)s",
            file=str(file.path),
        )
        flash_message(sentence, kind="warning")


def _flash_user(key: str) -> None:
    """Flash a note if a user logs in with this address."""
    if privacy_forget.is_address_of_user(key):
        sentence = gettext(
            "Somebody also logs in here with this address. Under Users you can remove them, which "
            "erases it there."
        )
        flash_message(sentence, kind="warning")


def _find_contact(mailing_list: MailingList, number: int) -> Contact:
    contact = admin_requests.find_contact(mailing_list, number)
    if contact.address is None:
        # The contact is erased already.
        abort(409)
    return contact


def _matches_address(contact: Contact, typed: str) -> bool:
    try:
        return email_address.parse(typed).key == contact.address_key
    except AddressError:
        return False


def _show_page(
    mailing_list: MailingList, contact: Contact, *, status: int = 200, wrong: str = ""
) -> Response:
    record_access("contact", mailing_list=mailing_list, subject=contact.subject)
    return render_page(
        "contact_pages/forget.html",
        status=status,
        mailing_list=mailing_list,
        contact=contact,
        beyond=external_copies.find_external_copies(mailing_list, contact),
        who=make_actor_formatter(),
        is_user=privacy_forget.is_address_of_user(contact.address_key),
        wrong=wrong,
        has_others=MailingList.select().where(MailingList.id != mailing_list.id).exists(),
        everywhere=bool(request.form.get("everywhere")),
    )


# --- Proof and erasure by address. ----------------------------------------------------------------


address_pages = Blueprint("erase_address", __name__, url_prefix="/admin/lists/<slug>/address")

_FOUND: Mapping[ErasureOutcome, str] = {
    ErasureOutcome.CONTACT: N_("was held, and is erased"),
    ErasureOutcome.SIGN_UP: N_("only a sign-up that nobody confirmed was held; it is deleted"),
    ErasureOutcome.FINGERPRINT: N_(
        "nothing is held but a fingerprint, by which no file brings it back"
    ),
    ErasureOutcome.NOTHING: N_("nothing is held of this address"),
}


@address_pages.get("", endpoint="show")
def show_address_form(slug: str) -> Response:
    """Show the forms for an address."""
    return _show_address_page(find_list(slug))


@address_pages.post("/proof")
def download_proof(slug: str) -> Response:
    """Send the proof of an address, also after its erasure, and record that."""
    mailing_list, services = find_list(slug), get_services()
    try:
        proof = make_proof.prove_address(
            services.database,
            mailing_list,
            request.form.get("address", ""),
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
            register=describe_for_proofs(mailing_list.slug, settings=services.settings),
        )
    except (AddressError, Refused) as error:
        return _show_address_page(mailing_list, wrong=make_sentence(error.said))
    record_access("proved", mailing_list=mailing_list, subject=proof.subject)
    return make_proof_response(f"proof-{slug}", proof, mailing_list)


@address_pages.post("/forget", endpoint="forget")
def erase_address(slug: str) -> Response:
    """Erase everything stored about an address, on this list or on all."""
    mailing_list, services, typed = find_list(slug), get_services(), request.form
    if not typed.get("sure"):
        return _show_address_page(mailing_list, wrong=gettext("Say that you are sure."))
    try:
        key = email_address.parse(typed.get("address", "")).key
        erasure = privacy_forget.erase_address(
            services.database,
            typed["address"],
            mailing_list=None if typed.get("everywhere") else mailing_list,
            suppress=bool(typed.get("suppress")),
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
        )
    except (AddressError, Refused) as error:
        return _show_address_page(mailing_list, wrong=make_sentence(error.said))
    for result in erasure.lists:
        uploads.forget_in_upload(find_list(result.list), key, settings=services.settings)
    flash_unfinished_files()
    return _show_address_page(mailing_list, erasure=erasure)


def _show_address_page(
    mailing_list: MailingList, *, wrong: str = "", erasure: AddressErasure | None = None
) -> Response:
    return render_page(
        "contact_pages/by_address.html",
        status=422 if wrong else 200,
        mailing_list=mailing_list,
        wrong=wrong,
        typed=request.form if wrong else {},
        done=erasure,
        lists=[_make_result_fields(result) for result in erasure.lists] if erasure else [],
        who=make_actor_formatter(),
        has_others=MailingList.select().where(MailingList.id != mailing_list.id).exists(),
    )


def _make_result_fields(result: ErasureResult) -> dict[str, Any]:
    """Return the template's fields for the result on one list."""
    was_contact = result.found is ErasureOutcome.CONTACT
    is_kept = result.found in {ErasureOutcome.NOTHING, ErasureOutcome.SIGN_UP} and result.suppressed
    return {
        "slug": result.list,
        "text": gettext(_FOUND[result.found]),
        "is_kept": is_kept,
        "beyond": result.beyond if was_contact else None,
    }
