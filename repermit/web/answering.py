"""The pages behind the links of a mail: Yes, No, and what is held.

May import answers and what lies below. GET shows, POST acts; the link is the authority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit import answers, contacts
from repermit.consent import Answer, Outcome, Status
from repermit.models import MailingList
from repermit.web import words
from repermit.web.rendering import Reader, make_reader, page, public_url, render
from repermit.web.site import arrival, current_site, request_trace
from repermit.web.words import Voice

if TYPE_CHECKING:
    from repermit.answers import Standing
    from repermit.messages import MailingListFacts
    from repermit.web.words import Statement

pages = Blueprint("answering", __name__)

_ROUTE = "/<any(yes, no):word>/<token>"
_ANSWERED = {Answer.YES: Answer.NO, Answer.NO: Answer.YES}


@pages.get(_ROUTE)
def show_question(word: str, token: str) -> Response:
    """Show the question; nothing is recorded by a GET (DESIGN invariant 1)."""
    answer = Answer(word)
    standing = answers.look_up(current_site().links.read(answer.value, token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    reader = _reader(standing)
    outcome = answers.foresee(standing, answer, arrived=arrival()).outcome
    if outcome in {Outcome.NOTHING, Outcome.LATE}:
        return show_result(reader, standing, outcome)
    order = (answer, _ANSWERED[answer])
    return page(
        "question.html",
        reader,
        order=order,
        not_recorded_yet=words.not_recorded_yet(answer, voice_of(reader)),
        **contact_fields(standing, reader),
    )


@pages.post(_ROUTE)
def take_answer(word: str, token: str) -> Response:
    """Record an answer: pressed on a page, or sent by a mail program (RFC 8058 §3.2)."""
    site, answer = current_site(), Answer(word)
    uid = site.links.read(answer.value, token)
    is_one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if is_one_click and answer is Answer.YES:
        # A program that asks for the opposite, at the wrong address: no act of a person.
        raise BadRequest
    standing = answers.look_up(uid)
    recorded = answers.record_answer(
        site.database,
        uid=uid,
        answer=answer,
        arrived=arrival(),
        settings=site.settings,
        method="one_click" if is_one_click else "page",
        trace=request_trace(),
        page_wording="" if is_one_click or standing is None else _wording(standing),
    )
    if is_one_click:
        return Response("Unsubscribed.\n", content_type="text/plain; charset=utf-8")
    if recorded is None:
        return show_gone(standing)
    return show_result(_reader(recorded.standing), recorded.standing, recorded.outcome)


@pages.get("/me/<token>")
def show_held(token: str) -> Response:
    """Show what is held about the holder of a link (GDPR art. 15)."""
    uid = current_site().links.read("me", token)
    standing = answers.look_up(uid)
    if standing is None or standing.is_gone:
        return show_gone(standing)
    reader = _reader(standing)
    voice = voice_of(reader)
    return page(
        "me.html",
        reader,
        status_words=words.status_in_words(standing, voice),
        status_at=voice.moment(standing.status_at),
        basis_words=words.basis_in_words(standing, voice),
        since=voice.day(standing.since),
        history=[
            (voice.moment(one.at), words.happening_in_words(one.what, voice))
            for one in answers.history(uid)
        ],
        **contact_fields(standing, reader),
    )


def voice_of(reader: Reader) -> Voice:
    """Return the reader's language, and the zone that times are told in."""
    return Voice(language=reader.language, zone=current_site().settings.zone)


def list_fields(about: MailingListFacts, reader: Reader) -> dict[str, Any]:
    """Return what the templates say about a list and about what is kept."""
    site = current_site()
    return {
        "list_name": about.name,
        "purpose": about.purpose,
        "frequency": about.frequency,
        "sensitive": about.sensitive,
        "retention": site.settings.retention,
        "join_url": public_url(f"/join/{answers.join_id(about, settings=site.settings)}", reader),
    }


def contact_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return what the templates say about a contact and its list."""
    voice, links = voice_of(reader), current_site().links
    sensitive = standing.mailing_list.sensitive
    is_open = standing.is_in_time(arrival())
    return {
        **list_fields(standing.mailing_list, reader),
        "address": standing.address,
        "reason": words.why_listed(standing, voice),
        "deadline": voice.moment(standing.deadline) if is_open else "",
        "earlier": words.recorded_earlier(standing, voice),
        "is_removed": standing.status is Status.REMOVED,
        "labels": {
            Answer.YES: words.yes_label(voice, sensitive=sensitive),
            Answer.NO: words.no_label(voice),
        },
        "urls": {
            answer: public_url(f"/{answer}/{links.token(answer.value, standing.uid)}", reader)
            for answer in Answer
        },
        "me_url": public_url(f"/me/{links.token('me', standing.uid)}", reader),
    }


def _result_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return how a contact can change its mind: with one press, or by signing up."""
    fields = contact_fields(standing, reader)
    may_return = fields["is_removed"] and bool(fields["deadline"])
    may_leave = not fields["is_removed"]
    other = Answer.YES if may_return else Answer.NO if may_leave else None
    return {**fields, "other": other}


def show_result(reader: Reader, standing: Standing, outcome: Outcome) -> Response:
    """Show what became of an answer, and how to change it."""
    return page(
        "result.html",
        reader,
        statement=_statement(standing, outcome, voice_of(reader)),
        is_late=outcome is Outcome.LATE,
        **_result_fields(standing, reader),
    )


def _statement(standing: Standing, outcome: Outcome, voice: Voice) -> Statement:
    if outcome is Outcome.LATE:
        return words.too_late(standing, voice)
    if outcome is Outcome.NOTHING:
        return words.recorded_before(standing, voice)
    return words.recorded_now(standing, voice)


def _wording(standing: Standing) -> str:
    """Return the text around the button as it was shown, with marks for what is personal.

    It is kept as proof of what was asked (GDPR art. 7(1)), and must hold nobody's data, since a
    wording is kept once for all and is not erased with a person.
    """
    reader = _reader(standing)
    fields = {**contact_fields(standing, reader), "address": "⟦address⟧", "reason": "⟦reason⟧"}
    organisation = current_site().settings.organisation
    return render(
        "wording.html",
        language=reader.language,
        organisation=organisation,
        privacy_url=standing.mailing_list.privacy_url,
        **fields,
    )


def _reader(standing: Standing) -> Reader:
    about = standing.mailing_list
    return make_reader(request.path, language=standing.language, mailing_list=about)


def show_gone(standing: Standing | None) -> Response:
    """Say that nothing is held of a person any more, and offer to sign up."""
    about = standing.mailing_list if standing else _only_list()
    language = standing.language if standing else about.language if about else "en"
    reader = make_reader(request.path, language=language, mailing_list=about)
    fields = list_fields(about, reader) if about else {"join_url": ""}
    return page("gone.html", reader, **fields)


def _only_list() -> MailingListFacts | None:
    """Return the list, if there is but one: which one a vanished contact was on, nobody knows."""
    found = list(MailingList.select().limit(2))
    return contacts.list_facts(found[0]) if len(found) == 1 else None
