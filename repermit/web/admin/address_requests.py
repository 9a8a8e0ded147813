"""What somebody asks for by naming their address: a proof, or erasure, also of who is no contact.

Nothing is shown of whoever it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from repermit import email_address
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import AddressError, Refused
from repermit.i18n.lazy_text import N_
from repermit.imports import uploads
from repermit.privacy import forget as privacy_forget
from repermit.privacy import make_proof, printable_proof
from repermit.privacy.forget import Forgetting, Forgotten, Found
from repermit.web.admin.audit_log import who_acted
from repermit.web.admin.contact_pages import zipped
from repermit.web.admin.current_user import actor, note_look
from repermit.web.admin.erase_contact import say_of_unfinished
from repermit.web.admin.rendering import gettext, render_page
from repermit.web.admin.result_text import sentence
from repermit.web.request_context import arrival, current_site

pages = Blueprint("naming", __name__, url_prefix="/admin/lists/<slug>/address")

_FOUND: Mapping[Found, str] = {
    Found.CONTACT: N_("was held, and is erased"),
    Found.SIGN_UP: N_("only a sign-up that nobody confirmed was held; it is deleted"),
    Found.FINGERPRINT: N_("nothing is held but a fingerprint, by which no file brings it back"),
    Found.NOTHING: N_("nothing is held of this address"),
}


@pages.get("", endpoint="show")
def show_form(slug: str) -> Response:
    """Show the form."""
    return _show(find_list(slug))


@pages.post("/proof")
def prove(slug: str) -> Response:
    """Hand out the proof of an address, also after its erasure; that it was made is recorded."""
    mailing_list, site = find_list(slug), current_site()
    try:
        made = make_proof.prove(
            site.database,
            mailing_list,
            request.form.get("address", ""),
            settings=site.settings,
            now=arrival(),
            actor=actor(),
        )
    except (AddressError, Refused) as error:
        return _show(mailing_list, wrong=sentence(error.said))
    note_look("proved", mailing_list=mailing_list, subject=made.subject)
    page = printable_proof.proof_page(
        made.document, language=mailing_list.language, zone=site.settings.zone
    )
    name = f"proof-{slug}"
    return zipped(name, {f"{name}.json": made.text, f"{name}.html": page})


@pages.post("/forget")
def forget(slug: str) -> Response:
    """Erase whatever is held of an address, on this list or on all; see `rights.forget`."""
    mailing_list, site, given = find_list(slug), current_site(), request.form
    if not given.get("sure"):
        return _show(mailing_list, wrong=gettext("Say that you are sure."))
    try:
        key = email_address.parse(given.get("address", "")).key
        done = privacy_forget.forget(
            site.database,
            given["address"],
            mailing_list=None if given.get("everywhere") else mailing_list,
            suppress=bool(given.get("suppress")),
            settings=site.settings,
            now=arrival(),
            actor=actor(),
        )
    except (AddressError, Refused) as error:
        return _show(mailing_list, wrong=sentence(error.said))
    for one in done.lists:
        uploads.forget_in_upload(find_list(one.list), key, settings=site.settings)
    say_of_unfinished()
    return _show(mailing_list, done=done)


def _show(
    mailing_list: MailingList, *, wrong: str = "", done: Forgetting | None = None
) -> Response:
    return render_page(
        "contact_pages/by_address.html",
        status=422 if wrong else 200,
        mailing_list=mailing_list,
        wrong=wrong,
        typed=request.form if wrong else {},
        done=done,
        lists=[_told(one) for one in done.lists] if done else [],
        who=who_acted(),
        has_others=MailingList.select().where(MailingList.id != mailing_list.id).exists(),
    )


def _told(one: Forgotten) -> dict[str, Any]:
    """Return what the page shows of one list."""
    held = one.found is Found.CONTACT
    is_kept = one.found in {Found.NOTHING, Found.SIGN_UP} and one.suppressed
    return {
        "slug": one.list,
        "text": gettext(_FOUND[one.found]),
        "is_kept": is_kept,
        "beyond": one.beyond if held else None,
    }
