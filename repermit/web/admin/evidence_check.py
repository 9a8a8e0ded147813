"""The pages that verify the whole record, or a proof that is handed in.

Nothing is changed or disclosed, so nothing is recorded, as with the command.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, request

from repermit.evidence import evidence_key, signed_checkpoint
from repermit.evidence.entries import Checkpoint
from repermit.evidence.timestamp_authority import read_recorded_authorities
from repermit.evidence.timestamp_token import read_configured_authorities
from repermit.evidence.verify import chain, proof, signatures
from repermit.evidence.verify.chain import Walk
from repermit.evidence.verify.diagnosis import Fault, How
from repermit.evidence.verify.proof import Agreement
from repermit.evidence.verify.timestamps import NamedBy, Stamp, read_stamps
from repermit.i18n.lazy_text import N_
from repermit.privacy import proof_text
from repermit.web.admin.audit_log import describe_actor, list_emails
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.page_permissions import in_the_background, takes_up_to
from repermit.web.admin.rendering import (
    flash_message,
    get_page_language,
    gettext,
    redirect_to,
    render_page,
)
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.request_context import get_arrival, get_services

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from werkzeug.wrappers import Response as AnyResponse

# --- A checkpoint that was pasted into a form. ----------------------------------------------------


def read_checkpoint(text: str) -> Checkpoint | None:
    """Return the checkpoint in a pasted text, None for no text; raises ValueError."""
    return signed_checkpoint.read_checkpoint_copy(text) if text.strip() else None


# --- The pages. -----------------------------------------------------------------------------------


pages = Blueprint("evidence_check", __name__, url_prefix="/admin/log/verify")

MAX_FILE_SIZE = 5_000_000
"""The largest proof in bytes; that of a person who answered ten times has about 200,000."""

_FORM_OVERHEAD = 300 * 1024
_AGREEMENTS: Mapping[Agreement | None, tuple[str, str]] = {
    None: (
        "warning",
        N_(
            "Nothing in it was changed since it was made. Whether its entries were written "
            "afterwards can only be told by a checkpoint that somebody else kept."
        ),
    ),
    Agreement.SAME: (
        "done",
        N_("It agrees with your checkpoint: its entries stood in the record when that was kept."),
    ),
    Agreement.GOES_ON: (
        "done",
        N_(
            "It goes on from your checkpoint: up to there nothing was changed, left out or put in "
            "since; what has a higher number came later."
        ),
    ),
    Agreement.UNTOLD: (
        "warning",
        N_(
            "Whether it agrees with your checkpoint cannot be told from this file, which was made "
            "at another entry. A proof that is made anew for whoever holds that checkpoint can "
            "show it."
        ),
    ),
    Agreement.DIFFERS: (
        "problem",
        N_("It does not agree with your checkpoint: at the same entry that knows another record."),
    ),
}

_NO_RESULT = {
    "faults": (),
    "signature": None,
    "stamps": (),
    "agreement": None,
    "told": (),
    "gone": (),
    "statement": None,
    "seal": None,
}


@pages.get("", endpoint="show")
def show_last_check() -> Response:
    """Show the result of the last check of the record, and the forms."""
    return _show_page()


@pages.get("/state.json")
@in_the_background
def show_state() -> Response:
    """Return whether the record is being checked, for the page that waits for it."""
    walk = chain.find_last_walk(get_services().settings)
    return jsonify(is_busy=walk is not None and walk.is_busy)


@pages.get("/result.json")
def download_result() -> Response:
    """Send the result of the last check, as `verify --json` prints it."""
    walk = chain.find_last_walk(get_services().settings)
    if walk is None or walk.found is None:
        abort(404)
    response = Response(json.dumps(walk.found), content_type="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="verified.json"'
    return response


@pages.post("/chain")
def verify_chain() -> AnyResponse:
    """Check the record, against a checkpoint if given; a long one in a separate process."""
    services = get_services()
    try:
        checkpoint = _read_given_checkpoint()
    except ValueError:
        return _show_page(wrong_at="chain")
    is_started = chain.verify_in_process(
        services.database,
        known=checkpoint,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
    )
    if not is_started:
        flash_message(gettext("The record is being checked already."), kind="warning")
    return redirect_to("evidence_check.show")


@pages.post("/proof")
@takes_up_to(MAX_FILE_SIZE + _FORM_OVERHEAD)
def check_proof() -> Response:
    """Check a proof by itself, and against a checkpoint if one is given."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _show_page(wrong=gettext("Choose a file first."))
    try:
        checkpoint = _read_given_checkpoint()
    except ValueError:
        return _show_page(wrong_at="proof")
    fields = {**_NO_RESULT, **_check_file(file.read(), checkpoint)}
    return render_page("evidence_check/proof.html", name=file.filename, **fields)


def _read_given_checkpoint() -> Checkpoint | None:
    return read_checkpoint(request.form.get("checkpoint", ""))


def _check_file(octets: bytes, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Return the template's fields for a proof file: its faults, or what it proves."""
    if consistency := proof.read_consistency_output(octets):
        return _check_consistency(consistency, checkpoint)
    checked = proof.check_proof(octets, max_bytes=MAX_FILE_SIZE)
    if checked.faults:
        return {"faults": list(map(translate_said, checked.faults))}
    document = checked.document
    zone = get_services().settings.zone
    return {
        "signature": _describe_signature(document),
        "stamps": _describe_timestamps(document),
        "agreement": _describe_agreement(document, checkpoint),
        "told": proof_text.describe_entries(document, language=get_page_language(), zone=zone),
        "gone": checked.gone,
        "statement": document["statement"],
        "seal": document["seal"]["entry"],
    }


def _check_consistency(
    document: Mapping[str, Any], checkpoint: Checkpoint | None
) -> dict[str, Any]:
    try:
        faults = tuple(map(translate_said, proof.check_consistency(document)))
    except (ValueError, LookupError, TypeError, AttributeError):
        faults = (gettext("it does not show that a record goes on from an earlier checkpoint"),)
    return (
        {"faults": faults} if faults else {"agreement": _describe_agreement(document, checkpoint)}
    )


def _describe_timestamps(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Describe each timestamp of a proof: the kind of note, and its text."""
    settings = get_services().settings
    try:
        stamps = read_stamps(
            document, read_configured_authorities(settings), read_recorded_authorities()
        )
    except ValueError:
        text = gettext(
            "One of its timestamps is of an authority that neither settings nor record name."
        )
        return [("warning", text)]
    return [_describe_stamp(stamp, settings.zone) for stamp in stamps]


def _describe_stamp(stamp: Stamp, zone: ZoneInfo) -> tuple[str, str]:
    moment = proof_text.format_time(stamp.at.isoformat(), language=get_page_language(), zone=zone)
    sentence = gettext(
        "Entries up to %(seq)s lay in the record before %(moment)s, says %(who)s.",
        seq=stamp.seq,
        moment=moment,
        who=stamp.by,
    )
    if stamp.named_by is NamedBy.GIVEN:
        return "done", sentence
    return "warning", f"{sentence} {gettext(_DOUBTS[stamp.named_by])}"


_DOUBTS: Mapping[NamedBy, str] = {
    NamedBy.RECORD: N_(
        "Its signature holds. But only the record names this authority, not your settings, and "
        "whoever has the database can write into the record. To rely on it, get its certificate "
        "from the authority itself and add it to timestamp_ca_file."
    ),
    NamedBy.NOBODY: N_(
        "Who signed was not checked: neither the settings nor the record name an authority."
    ),
}


def _describe_signature(document: Mapping[str, Any]) -> tuple[str, str]:
    """Describe whether a proof is signed with a key of this record: kind of note, and text."""
    if signatures.list_signers(document, evidence_key.list_known_keys(get_services().settings)):
        return "done", gettext("It is signed with a key of this record.")
    if "key" in document:
        return "warning", gettext("It is signed, with a key that this record does not know.")
    return "warning", gettext("It is not signed: whoever wrote it may have made all of it.")


def _describe_agreement(
    document: Mapping[str, Any], checkpoint: Checkpoint | None
) -> tuple[str, str]:
    """Describe how a file agrees with a checkpoint: the kind of note, and its text."""
    kind, text = _AGREEMENTS[proof.agreement(document, checkpoint) if checkpoint else None]
    return kind, gettext(text)


def _show_page(*, wrong: str = "", wrong_at: str = "") -> Response:
    walk = chain.find_last_walk(get_services().settings)
    return render_page(
        "evidence_check/show.html",
        status=422 if wrong or wrong_at else 200,
        walk=walk,
        who=describe_actor(walk.actor, list_emails()) if walk else "",
        fault=_describe_last_fault(walk),
        wrong=wrong,
        wrong_at=wrong_at,
        typed=request.form.get("checkpoint", ""),
    )


def _describe_last_fault(walk: Walk | None) -> str:
    fault = walk.found["fault"] if walk and walk.found else None
    if fault is None:
        return ""
    return make_sentence(Fault(fault["seq"], How(fault["how"])).sentence)
