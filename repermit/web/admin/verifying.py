"""Whether the record holds: all of it, or a proof that somebody hands in.

May import evidence, rights and what the admin's pages share. Nothing is changed or disclosed, so
that nothing is recorded, as with the command.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, abort, jsonify, request

from repermit import evidence, rights
from repermit.evidence import Agreement
from repermit.web.admin.checkpoints import checkpoint_in
from repermit.web.admin.fault_words import fault_in_words
from repermit.web.admin.forms import N_
from repermit.web.admin.log_words import actor_in_words, emails
from repermit.web.admin.marks import in_the_background, takes_up_to
from repermit.web.admin.showing import gettext, go, page_language, say
from repermit.web.admin.showing import show as show_page
from repermit.web.admin.telling import in_words
from repermit.web.admin.visiting import actor
from repermit.web.site import arrival, current_site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response as AnyResponse

    from repermit.evidence import Checkpoint, Walk

pages = Blueprint("verifying", __name__, url_prefix="/admin/log/verify")

LARGEST = 5_000_000
"""Bytes of a proof; one of a person who answered ten times has some 200,000."""

_AROUND_A_FILE = 300 * 1024
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

_NOTHING = {
    "faults": (),
    "agreement": None,
    "told": (),
    "gone": (),
    "statement": None,
    "seal": None,
}


@pages.get("", endpoint="show")
def show_last() -> Response:
    """Show what came of the last walk, and the forms."""
    return _show()


@pages.get("/state.json")
@in_the_background
def state() -> Response:
    """Say whether the record is being walked, for the page that waits for it."""
    walk = evidence.last_walk(current_site().settings)
    return jsonify(is_busy=walk is not None and walk.is_busy)


@pages.get("/result.json")
def result() -> Response:
    """Send what the last walk found, as `verify --json` prints it."""
    walk = evidence.last_walk(current_site().settings)
    if walk is None or walk.found is None:
        abort(404)
    response = Response(json.dumps(walk.found), content_type="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="verified.json"'
    return response


@pages.post("/chain")
def walk_chain() -> AnyResponse:
    """Walk the record, against a checkpoint if one is given; a long one beside the pages."""
    site = current_site()
    try:
        known = _checkpoint_given()
    except ValueError:
        return _show(wrong_at="chain")
    begun = evidence.walk_apart(
        site.database, known=known, settings=site.settings, now=arrival(), actor=actor()
    )
    if not begun:
        say(gettext("The record is being checked already."), kind="warning")
    return go("verifying.show")


@pages.post("/proof")
@takes_up_to(LARGEST + _AROUND_A_FILE)
def check_proof() -> Response:
    """Check a proof by itself, and against a checkpoint if one is given."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return _show(wrong=gettext("Choose a file first."))
    try:
        known = _checkpoint_given()
    except ValueError:
        return _show(wrong_at="proof")
    shown = {**_NOTHING, **_checked(file.read(), known)}
    return show_page("verifying/proof.html", name=file.filename, **shown)


def _checkpoint_given() -> Checkpoint | None:
    return checkpoint_in(request.form.get("checkpoint", ""))


def _checked(octets: bytes, known: Checkpoint | None) -> dict[str, Any]:
    """Return what the page shows of a file: what is wrong with it, or what it proves."""
    if shown := evidence.shown_to_go_on(octets):
        return _consistency(shown, known)
    checked = evidence.check_proof(octets, most=LARGEST)
    if checked.faults:
        return {"faults": list(map(in_words, checked.faults))}
    document = checked.document
    zone = current_site().settings.zone
    return {
        "agreement": _agreement(document, known),
        "told": rights.telling(document, language=page_language(), zone=zone),
        "gone": checked.gone,
        "statement": document["statement"],
        "seal": document["seal"]["entry"],
    }


def _consistency(shown: Mapping[str, Any], known: Checkpoint | None) -> dict[str, Any]:
    try:
        faults = tuple(map(in_words, evidence.faults_of_consistency(shown)))
    except (ValueError, LookupError, TypeError, AttributeError):
        faults = (gettext("it does not show that a record goes on from an earlier checkpoint"),)
    return {"faults": faults} if faults else {"agreement": _agreement(shown, known)}


def _agreement(document: Mapping[str, Any], known: Checkpoint | None) -> tuple[str, str]:
    """Return how a file stands to a checkpoint: the kind of note, and its words."""
    kind, words = _AGREEMENTS[evidence.agreement(document, known) if known else None]
    return kind, gettext(words)


def _show(*, wrong: str = "", wrong_at: str = "") -> Response:
    walk = evidence.last_walk(current_site().settings)
    return show_page(
        "verifying/show.html",
        status=422 if wrong or wrong_at else 200,
        walk=walk,
        who=actor_in_words(walk.actor, emails()) if walk else "",
        fault=_fault(walk),
        wrong=wrong,
        wrong_at=wrong_at,
        typed=request.form.get("checkpoint", ""),
    )


def _fault(walk: Walk | None) -> str:
    found = walk.found["fault"] if walk and walk.found else None
    return fault_in_words(found) if found else ""
