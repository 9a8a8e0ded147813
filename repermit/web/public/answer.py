"""The pages behind the links of a mail: Yes and No.

GET shows, POST acts; the link is the authority.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit.answers import click_buffer, link_target, record_answer
from repermit.answers.link_target import PageShown, Standing
from repermit.contacts import lookup as contacts_lookup
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity
from repermit.emails.mail_values import MailingListFacts
from repermit.rules.consent import Answer, Basis, Outcome, Status
from repermit.signed_links import NOBODY, PROXIES, Form
from repermit.web import rendering
from repermit.web.public import page_text
from repermit.web.public.my_data_text import kept_after_erasure
from repermit.web.public.page_text import Statement, Voice
from repermit.web.rendering import (
    NUMBER,
    ROUND,
    Reader,
    language_names,
    make_reader,
    page,
    public_url,
    render,
    wanted_languages,
)
from repermit.web.request_context import PATIENCE, arrival, current_site, forwarded, request_trace

pages = Blueprint("answer", __name__)

_ROUTE = "/<any(yes, no):word>/<token>"
_ANSWERED = {Answer.YES: Answer.NO, Answer.NO: Answer.YES}


@pages.get(_ROUTE)
def show_question(word: str, token: str) -> Response:
    """Show the question; nothing is recorded by a GET (invariant 1)."""
    answer = Answer(word)
    standing = link_target.find_standing(current_site().links.read(answer.value, token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    seen = click_buffer.LinkRequest(answer.value, is_head=request.method == "HEAD", at=arrival())
    current_site().openings.note(standing.uid, seen)
    return _question(standing, answer, mark=request.args.get(ROUND, ""))


def _question(standing: Standing, answer: Answer, *, mark: str) -> Response:
    """Ask, or ask again where a round is under way; tell whoever has answered that they have."""
    reader = reader_of(standing)
    outcome = link_target.predict_decision(standing, answer, arrived=arrival()).outcome
    if outcome in {Outcome.NOTHING, Outcome.LATE}:
        return show_result(reader, standing, outcome)
    if answer is Answer.YES and standing.awaits(mark):
        return _ask_again(standing, mark)
    order = (answer, _ANSWERED[answer])
    return page(
        "question.html",
        reader,
        order=order,
        not_recorded_yet=page_text.not_recorded_yet(answer, voice_of(reader)),
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
    choice = request.form.get("choice", "") if answer is Answer.YES else ""
    mark = request.form.get(ROUND, "")
    if choice == page_text.NOT_ME:
        return _disown(uid, mark)
    is_again = choice == page_text.AGAIN
    page_of = partial(_page_shown, answer=answer, is_again=is_again)
    try:
        with site.openings.take_openings(uid, patience=PATIENCE) as seen:
            recorded = record_answer.record_answer(
                site.database,
                uid=uid,
                answer=answer,
                arrived=arrival(),
                settings=site.settings,
                method="one_click" if is_one_click else "page",
                trace=request_trace(),
                page=None if is_one_click else page_of,
                seen=seen,
                is_again=is_again,
                mark=mark,
                form=None if is_one_click else pressed_form(uid),
            )
    except _WordsChanged as changed:
        return _question(changed.standing, answer, mark=mark)
    if is_one_click:
        return _unsubscribed(uid)
    if recorded is None:
        return show_gone(link_target.find_standing(uid))
    if recorded.outcome is Outcome.HOLD:
        return _ask_again(recorded.standing, recorded.mark)
    if recorded.outcome is Outcome.ASK:
        return _question(recorded.standing, answer, mark="")
    return show_result(reader_of(recorded.standing), recorded.standing, recorded.outcome)


class _WordsChanged(Exception):
    """A Yes comes from a page in other words than it is in now."""

    def __init__(self, standing: Standing) -> None:
        super().__init__()
        self.standing = standing


def _page_shown(standing: Standing, *, answer: Answer, is_again: bool) -> PageShown:
    """Return what somebody who stands so was shown; raises _WordsChanged."""
    reader = reader_of(standing)
    wording = _wording(standing, is_again=is_again)
    if answer is Answer.YES and not rendering.is_as_now():
        raise _WordsChanged(standing)
    return PageShown(wording=wording, language=reader.language, given_by=reader.given_by)


def pressed_form(uid: str) -> Form:
    """Return the form that was pressed on a page of the person with this uid."""
    return current_site().links.read_form(uid, request.form.get(NUMBER, ""))


def _unsubscribed(uid: str) -> Response:
    """Answer a mail program; `check`, which has the link of nobody, is told how it came here too.

    It named no address of another, so that each that is named was put there on the way.
    """
    response = Response("Unsubscribed.\n", content_type="text/plain; charset=utf-8")
    if uid == NOBODY:
        trusted = current_site().settings.web.trusted_proxies
        response.headers[PROXIES] = f"{forwarded()} {trusted}"
    return response


def _ask_again(standing: Standing, mark: str) -> Response:
    """Ask for a Yes once more that may be a program's, and say why."""
    reader = replace(reader_of(standing), mark=mark)
    fields = contact_fields(standing, reader) | _again_fields(standing, reader)
    return page("was_it_you.html", reader, mark=mark, **fields)


def _again_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return what the page that asks again says instead of the question's own words."""
    voice, sensitive = voice_of(reader), standing.mailing_list.sensitive
    return {
        "labels": page_text.labels(
            voice, sensitive=sensitive, is_representative=reader.is_representative
        ),
        "why": page_text.why_again(standing.signs, voice),
    }


def _disown(uid: str, mark: str) -> Response:
    """Take the word of whoever was asked again for it that a program pressed Yes."""
    site = current_site()
    with site.openings.take_openings(uid, patience=PATIENCE) as seen:
        noted = record_answer.disown_yes(
            site.database,
            uid=uid,
            arrived=arrival(),
            settings=site.settings,
            trace=request_trace(),
            seen=seen,
            mark=mark,
        )
    if noted is None:
        return show_gone(link_target.find_standing(uid))
    standing, reader = noted.standing, reader_of(noted.standing)
    may_answer = noted.outcome in _CHANGES and standing.is_in_time(arrival())
    if not may_answer:
        return show_result(reader, standing, noted.outcome)
    return page(
        "yes_disowned.html",
        reader,
        statement=page_text.disowned(standing, voice_of(reader)),
        **contact_fields(standing, reader),
    )


def receipt_path(standing: Standing) -> str:
    """Return where a contact's receipt is, below `public_url`."""
    return f"/receipt/{current_site().links.token('receipt', standing.uid)}"


def voice_of(reader: Reader) -> Voice:
    """Return the reader's language, and the zone that times are told in."""
    return Voice(language=reader.language, zone=current_site().settings.zone)


def list_fields(about: MailingListFacts, reader: Reader) -> dict[str, Any]:
    """Return what the templates say about a list and about what is kept."""
    site, about = current_site(), about.in_language(reader.language)
    organisation = site.settings.organisation
    other = replace(reader, is_representative=not reader.is_representative)
    return {
        "list_name": about.name,
        "purpose": about.purpose,
        "frequency": about.frequency,
        "sensitive": about.sensitive,
        "sender": sender_identity.choose_sender_name(about, organisation) or organisation.name,
        "is_representative": reader.is_representative,
        # On a page that has no query else, "?" alone leads to it without one.
        "other_giver_url": other.here() or "?",
        "retention": site.settings.retention,
        "join_url": public_url(
            f"/join/{link_target.make_join_id(about, settings=site.settings)}", reader
        ),
    }


def contact_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return what the templates say about a contact and its list."""
    links = current_site().links
    return {
        **_common_fields(standing, reader),
        "address": standing.address,
        "reason": page_text.why_listed(standing, voice_of(reader)),
        "urls": {
            answer: public_url(f"/{answer}/{links.token(answer.value, standing.uid)}", reader)
            for answer in Answer
        },
        "me_url": public_url(f"/me/{links.token('me', standing.uid)}", reader),
        "form_number": links.form_number(standing.uid, standing.form_version),
    }


def _common_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return of that what is the same for many."""
    voice, sensitive = voice_of(reader), standing.mailing_list.sensitive
    is_open = standing.is_in_time(arrival())
    return {
        **list_fields(standing.mailing_list, reader),
        "deadline": voice.moment(standing.deadline) if is_open else "",
        "earlier": page_text.recorded_earlier(standing, voice),
        "is_removed": standing.status is Status.REMOVED,
        "labels": {
            Answer.YES: page_text.yes_label(
                voice, sensitive=sensitive, is_representative=reader.is_representative
            ),
            Answer.NO: page_text.no_label(voice, is_representative=reader.is_representative),
        },
    }


def _result_fields(standing: Standing, reader: Reader) -> dict[str, Any]:
    """Return how a contact can change its mind: by the question, or by signing up.

    No button gives the opposite answer at once: a program presses whatever stands on a page.
    """
    fields = contact_fields(standing, reader)
    may_return = fields["is_removed"] and bool(fields["deadline"])
    may_leave = not fields["is_removed"]
    other = Answer.YES if may_return else Answer.NO if may_leave else None
    has_receipt = standing.basis in _WITH_RECEIPT
    receipt_url = public_url(receipt_path(standing), reader) if has_receipt else ""
    return {**fields, "other": other, "receipt_url": receipt_url}


_CHANGES = frozenset({Outcome.CONFIRM, Outcome.REMOVE})
_WITH_RECEIPT = frozenset({Basis.ANSWER, Basis.SIGN_UP})


def show_result(reader: Reader, standing: Standing, outcome: Outcome) -> Response:
    """Show what became of an answer, and how to change it."""
    return page(
        "answer_recorded.html",
        reader,
        statement=_statement(standing, outcome, voice_of(reader)),
        is_late=outcome is Outcome.LATE,
        is_doubted=bool(standing.signs),
        is_represented=reader.is_representative and outcome in _CHANGES,
        **_result_fields(standing, reader),
    )


def _statement(standing: Standing, outcome: Outcome, voice: Voice) -> Statement:
    if outcome is Outcome.LATE:
        return page_text.too_late(standing, voice)
    if outcome is Outcome.NOTHING:
        return page_text.recorded_before(standing, voice)
    return page_text.recorded_now(standing, voice)


def _wording(standing: Standing, *, is_again: bool) -> str:
    """Return the text around the button as it was shown, with marks for what is personal.

    It is kept as proof of what was asked (GDPR art. 7(1)), and must hold nobody's data, since a
    wording is kept once for all and is not erased with a person.
    """
    # The same text, whether or not its language had to be chosen.
    reader = replace(reader_of(standing), is_switched=False)
    fields = {"why": "", **_common_fields(standing, reader)}
    if is_again:
        fields |= _again_fields(standing, reader)
    return _filled_in(
        rendering.version(),
        tuple(fields.pop("labels").items()),
        language=reader.language,
        organisation=current_site().settings.organisation,
        privacy_url=standing.mailing_list.in_language(reader.language).privacy_url,
        **fields,
    )


@lru_cache(maxsize=256)
def _filled_in(_version: str, labels: tuple[tuple[Answer, str], ...], **fields: Any) -> str:
    """Return such a text, which most people were shown alike; `_version` is that of our texts."""
    personal = {"address": "⟦address⟧", "reason": "⟦reason⟧"}
    return render("question_wording.html", labels=dict(labels), **personal, **fields)


def reader_of(standing: Standing) -> Reader:
    """Return the reader of a contact's page."""
    about = standing.mailing_list
    return make_reader(request.path, language=standing.language, mailing_list=about)


def show_gone(standing: Standing | None) -> Response:
    """Say that a person is erased, and what stays of them; offer to sign up."""
    about = standing.mailing_list if standing else _only_list()
    reader = make_reader(request.path, language=language_of_nobody(about), mailing_list=about)
    fields = list_fields(about, reader) if about else {"join_url": ""}
    kept: tuple[str, ...] = ()
    if standing and standing.is_gone:
        retention = current_site().settings.retention
        kept = kept_after_erasure(standing.status_at, voice_of(reader), retention)
    response = page("erased_contact.html", reader, kept=kept, **fields)
    response.vary.add("Accept-Language")
    return response


def language_of_nobody(about: MailingListFacts | None = None) -> str:
    """Return the language of a page of whose reader nothing is known, or nothing any more.

    It is the one that the browser would rather read, of those of the list `about` or of the only
    list there is; else that list's own.
    """
    about = about or _only_list()
    offered = language_names(about)
    otherwise = about.language if about else "en"
    return next((one for one in wanted_languages() if one in offered), otherwise)


def _only_list() -> MailingListFacts | None:
    """Return the list, if there is but one: which one a vanished contact was on, nobody knows."""
    found = list(MailingList.select().limit(2))
    return contacts_lookup.list_facts(found[0]) if len(found) == 1 else None
