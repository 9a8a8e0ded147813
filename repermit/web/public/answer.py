"""The pages behind the links of a mail: Yes and No.

GET shows, POST acts; the link is the authority.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import BadRequest

from repermit.answers import link_target, record_answer
from repermit.answers.link_target import ContactState, PageShown
from repermit.contacts import lookup as contacts_lookup
from repermit.contacts.click_log import LinkRequest
from repermit.db.models.lists import MailingList
from repermit.emails import sender_identity
from repermit.emails.frozen_draft import Draft
from repermit.emails.mail_types import MailingListFacts
from repermit.i18n import catalogues
from repermit.rules.consent import CHANGING_OUTCOMES, OWN_YES, Answer, Outcome, Status
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, PROXIES, Form
from repermit.web import rendering
from repermit.web.public import page_text
from repermit.web.public.my_data_text import describe_recipients, format_last_day_of_proof
from repermit.web.public.page_text import PageLocale
from repermit.web.rendering import (
    NUMBER,
    ROUND,
    PageContext,
    list_browser_languages,
    list_language_names,
    make_context,
    make_public_url,
    render,
    render_page,
)
from repermit.web.request_context import (
    LONGEST_WAIT,
    count_forwarded,
    get_arrival,
    get_services,
    make_trace,
)

pages = Blueprint("answer", __name__)

_ROUTE = "/<any(yes, no):word>/<token:token>"
_OPPOSITE = {Answer.YES: Answer.NO, Answer.NO: Answer.YES}


@pages.get(_ROUTE)
def show_question(word: str, token: str) -> Response:
    """Show the question; nothing is recorded by a GET (invariant 1)."""
    answer = Answer(word)
    standing = link_target.find_contact_state(get_services().links.read(answer.value, token))
    if standing is None or standing.is_gone:
        return show_gone(standing)
    seen = LinkRequest(answer.value, is_head=request.method == "HEAD", at=get_arrival())
    get_services().openings.add(standing.uid, seen)
    return _show_question_page(standing, answer, mark=request.args.get(ROUND, ""))


def _show_question_page(standing: ContactState, answer: Answer, *, mark: str) -> Response:
    """Show the question, or the page that asks again, or the recorded answer."""
    reader = make_contact_reader(standing)
    outcome = link_target.predict_decision(standing, answer, arrived=get_arrival()).outcome
    if outcome in {Outcome.NOTHING, Outcome.LATE}:
        return show_result(reader, standing, outcome)
    if answer is Answer.YES and mark and mark == standing.awaited:
        return _show_ask_again(standing, mark)
    fields = make_contact_fields(standing, reader)
    # Asked for once more, since a No came before it.
    fields["takes_two_presses"] = answer is Answer.YES and standing.has_refused
    return render_page(
        "question.html",
        reader,
        # No button for a Yes that would be too late.
        order=[one for one in (answer, _OPPOSITE[answer]) if one in fields["labels"]],
        not_recorded_yet=page_text.word_not_recorded(
            answer, make_voice(reader), takes_two_presses=fields["takes_two_presses"]
        ),
        **fields,
    )


@pages.post(_ROUTE)
def take_answer(word: str, token: str) -> Response:
    """Record an answer: pressed on a page, or sent by a mail program (RFC 8058 §3.2)."""
    site, answer = get_services(), Answer(word)
    uid = site.links.read(answer.value, token)
    is_one_click = request.form.get("List-Unsubscribe") == "One-Click"
    if is_one_click and answer is Answer.YES:
        # A program that asks for the opposite, at the wrong address: no act of a person.
        raise BadRequest
    choice = request.form.get("choice", "") if answer is Answer.YES else ""
    mark = request.form.get(ROUND, "")
    if choice == page_text.NOT_ME:
        return _take_disowned(uid, mark)
    is_again = choice == page_text.AGAIN
    page_of = partial(_describe_page, answer=answer, is_again=is_again, was_shown=not is_one_click)
    try:
        with site.openings.take_openings(uid, patience=LONGEST_WAIT) as seen:
            recorded = record_answer.record_answer(
                site.database,
                uid=uid,
                answer=answer,
                arrived=get_arrival(),
                settings=site.settings,
                method="one_click" if is_one_click else "page",
                trace=make_trace(),
                page=page_of,
                seen=seen,
                is_again=is_again,
                mark=mark,
                form=None if is_one_click else read_pressed_form(uid),
            )
    except _WordsChanged as changed:
        return _show_question_page(changed.standing, answer, mark=mark)
    if is_one_click:
        return _answer_one_click(uid)
    if recorded is None:
        return show_gone(link_target.find_contact_state(uid))
    if recorded.outcome is Outcome.HOLD:
        return _show_ask_again(recorded.standing, recorded.mark)
    if recorded.outcome is Outcome.ASK:
        return _show_question_page(recorded.standing, answer, mark="")
    return show_result(make_contact_reader(recorded.standing), recorded.standing, recorded.outcome)


class _WordsChanged(Exception):
    """A Yes comes from a page in other words than it is in now."""

    def __init__(self, standing: ContactState) -> None:
        super().__init__()
        self.standing = standing


def _describe_page(
    standing: ContactState, *, answer: Answer, is_again: bool, was_shown: bool
) -> PageShown:
    """Return the page that a contact of this standing was shown, or would have been.

    Raises _WordsChanged.
    """
    reader = make_contact_reader(standing)
    # The same text, whether or not its language had to be chosen.
    usual = replace(reader, is_switched=False)
    wording = _make_wording(standing, usual, moment=get_arrival(), is_again=is_again)
    if answer is Answer.YES and not rendering.is_current_version():
        raise _WordsChanged(standing)
    return PageShown(
        wording=wording,
        # A mail program speaks for the person alone, whatever its address says.
        language=reader.language if was_shown else "",
        given_by=reader.given_by if was_shown else "",
        was_shown=was_shown,
    )


def read_pressed_form(uid: str) -> Form:
    """Return the form that was pressed on a page of the person with this uid."""
    return get_services().links.read_form(uid, request.form.get(NUMBER, ""))


def _answer_one_click(uid: str) -> Response:
    """Answer a mail program; `check`, which has the link of nobody, is told how it came here too.

    It named no address of another, so that each that is named was put there on the way.
    """
    response = Response("Unsubscribed.\n", content_type="text/plain; charset=utf-8")
    if uid == NOBODY:
        trusted = get_services().settings.web.trusted_proxies
        response.headers[PROXIES] = f"{count_forwarded()} {trusted}"
    return response


def _show_ask_again(standing: ContactState, mark: str) -> Response:
    """Ask for a Yes once more that may be a program's, and say why."""
    reader = replace(make_contact_reader(standing), mark=mark)
    fields = make_contact_fields(standing, reader) | _make_ask_again_fields(standing, reader)
    return render_page("was_it_you.html", reader, mark=mark, **fields)


def _make_ask_again_fields(standing: ContactState, reader: PageContext) -> dict[str, Any]:
    """Return the fields of the page that asks again, in place of the question's."""
    voice, sensitive = make_voice(reader), standing.mailing_list.sensitive
    return {
        "labels": page_text.make_labels(
            voice, sensitive=sensitive, is_new=standing.status is Status.REMOVED
        ),
        "why": page_text.explain_asking_again(standing.signs, voice),
    }


def _take_disowned(uid: str, mark: str) -> Response:
    """Record the answer "I did not press Yes" of a contact who was asked again."""
    site = get_services()
    with site.openings.take_openings(uid, patience=LONGEST_WAIT) as seen:
        noted = record_answer.disown_yes(
            site.database,
            uid=uid,
            arrived=get_arrival(),
            settings=site.settings,
            trace=make_trace(),
            seen=seen,
            mark=mark,
        )
    if noted is None:
        return show_gone(link_target.find_contact_state(uid))
    standing, reader = noted.standing, make_contact_reader(noted.standing)
    may_answer = noted.outcome in CHANGING_OUTCOMES and standing.is_in_time(get_arrival())
    if not may_answer:
        # What is taken back is no No of theirs.
        is_off = noted.outcome is Outcome.REMOVE
        return show_result(reader, standing, Outcome.NOTHING if is_off else noted.outcome)
    return render_page(
        "yes_disowned.html",
        reader,
        statement=page_text.word_disowned(standing, make_voice(reader)),
        **make_contact_fields(standing, reader),
    )


def make_receipt_path(standing: ContactState) -> str:
    """Return where a contact's receipt is, below `public_url`."""
    return f"/receipt/{get_services().links.token('receipt', standing.uid)}"


def make_voice(reader: PageContext) -> PageLocale:
    """Return in which words a reader is spoken to."""
    return PageLocale(
        language=reader.language,
        zone=reader.settings.zone,
        is_representative=reader.is_representative,
    )


def make_list_fields(about: MailingListFacts, reader: PageContext) -> dict[str, Any]:
    """Return the template's fields about a list and about what is kept."""
    settings, about = reader.settings, about.in_language(reader.language)
    other = replace(reader, is_representative=not reader.is_representative)
    return {
        "list_name": about.name,
        "purpose": about.purpose,
        "frequency": about.frequency,
        "sensitive": about.sensitive,
        # Of somebody who is not asked: who signs up, or a link that leads to nobody any more.
        "is_asked": False,
        "is_customer": False,
        "asking_ground": about.asking_ground,
        "special_ground": about.special_ground,
        "data_recipients": describe_recipients(about.slug, make_voice(reader), settings),
        "sender": sender_identity.choose_sender_name(about, settings.organisation)
        or settings.organisation.name,
        "is_representative": reader.is_representative,
        # On a page that has no query else, "?" alone leads to it without one.
        "other_giver_url": other.make_relative_url() or "?",
        "retention": settings.retention,
        "join_url": make_public_url(
            f"/join/{link_target.make_join_id(about, settings=settings)}", reader
        ),
    }


def make_contact_fields(standing: ContactState, reader: PageContext) -> dict[str, Any]:
    """Return the template's fields about a contact and its list."""
    links = get_services().links
    return {
        **_make_common_fields(standing, reader, moment=get_arrival()),
        "address": standing.address,
        "link": links.token("yes", standing.uid) if standing.address else "",
        "reason": page_text.explain_listing(standing, make_voice(reader)),
        "urls": {
            answer: make_public_url(f"/{answer}/{links.token(answer.value, standing.uid)}", reader)
            for answer in Answer
        },
        "me_url": make_public_url(f"/me/{links.token('me', standing.uid)}", reader),
        "form_number": links.form_number(standing.uid, standing.form_version),
    }


def _make_common_fields(
    standing: ContactState, reader: PageContext, *, moment: datetime
) -> dict[str, Any]:
    """Return the template's fields that many contacts share, as they are at a moment."""
    voice, sensitive = make_voice(reader), standing.mailing_list.sensitive
    is_open = standing.is_in_time(moment)
    is_over, is_removed = standing.is_over(moment), standing.status is Status.REMOVED
    yes_label = page_text.make_yes_label(voice, sensitive=sensitive, is_new=is_removed)
    no_label = page_text.make_no_label(voice, is_new=is_removed)
    awaits_removal = standing.awaits_removal
    is_unanswered = awaits_removal or standing.status is Status.UNCONFIRMED
    has_missed = is_over and is_unanswered and standing.deadline is not None
    return {
        **make_list_fields(standing.mailing_list, reader),
        "is_asked": standing.is_asked,
        "is_customer": standing.is_customer,
        "takes_two_presses": False,
        "deadline": voice.format_time(standing.deadline) if is_open else "",
        "short_deadline": voice.format_short_time(standing.deadline) if is_open else "",
        "present": page_text.word_present_answer(standing, voice),
        "earlier": page_text.word_recorded_earlier(standing, voice),
        "awaits_removal": awaits_removal,
        "is_on_list": standing.is_on_list,
        "is_removed": is_removed,
        "said_no": standing.said_no,
        "is_over": is_over,
        "missed": page_text.word_time_over(standing, voice) if has_missed else "",
        "labels": {**({} if is_over else {Answer.YES: yes_label}), Answer.NO: no_label},
    }


def show_result(reader: PageContext, standing: ContactState, outcome: Outcome) -> Response:
    """Show what became of an answer, and how to change it: by the question, or by signing up.

    No button gives the opposite answer at once: a program presses whatever stands on a page.
    """
    fields = make_contact_fields(standing, reader)
    is_late, is_removed = outcome is Outcome.LATE, fields["is_removed"]
    other = (Answer.YES if fields["deadline"] else None) if is_removed else Answer.NO
    has_receipt = standing.basis in OWN_YES
    word_statement = {
        Outcome.LATE: page_text.word_too_late,
        Outcome.NOTHING: page_text.word_recorded_before,
    }.get(outcome, page_text.word_recorded_now)
    return render_page(
        "answer_recorded.html",
        reader,
        statement=word_statement(standing, make_voice(reader)),
        other=other,
        receipt_url=make_public_url(make_receipt_path(standing), reader) if has_receipt else "",
        is_late=is_late,
        # Only a Yes is late: after a No one press more must not bring mail (invariant 15).
        has_form=is_late and not standing.is_on_list,
        is_doubted=bool(standing.signs),
        is_recorded=standing.said_no or has_receipt or outcome in CHANGING_OUTCOMES,
        is_represented=reader.is_representative and outcome in CHANGING_OUTCOMES,
        **fields,
    )


def make_unanswered_wording(draft: Draft, *, settings: Settings, now: datetime) -> str:
    """Return the text of the page behind an ask's links, as it is until something is pressed.

    It is kept at launch, as proof of what whoever answers nothing could have read.
    """
    standing = ContactState(
        uid="",
        address="",
        language=draft.language,
        status=Status.UNCONFIRMED,
        status_at=now,
        reason="",
        basis="",
        basis_at=None,
        source="",
        since=None,
        is_gone=False,
        mailing_list=draft.mailing_list,
        # What is asked by a campaign, and was sent in time.
        campaign=1,
        asked_at=now,
        reminded_at=None,
        mail_wording="",
        deadline=draft.deadline,
        signs=(),
    )
    reader = PageContext(
        settings=settings, language=draft.language, path="", mailing_list=draft.mailing_list
    )
    return _make_wording(standing, reader, moment=now, is_again=False)


def _make_wording(
    standing: ContactState, reader: PageContext, *, moment: datetime, is_again: bool
) -> str:
    """Return the text around the button as it was shown, with marks for what is personal.

    It is kept as proof of what was asked (GDPR art. 7(1)), and must hold nobody's data, since a
    wording is kept once for all and is not erased with a person.
    """
    fields = {"why": "", **_make_common_fields(standing, reader, moment=moment)}
    if is_again:
        fields |= _make_ask_again_fields(standing, reader)
    return _render_wording(
        catalogues.get_corrections_version(),
        tuple(fields.pop("labels").items()),
        language=reader.language,
        organisation=reader.settings.organisation,
        privacy_url=standing.mailing_list.in_language(reader.language).privacy_url,
        **fields,
    )


@lru_cache(maxsize=256)
def _render_wording(_version: str, labels: tuple[tuple[Answer, str], ...], **fields: Any) -> str:
    """Return such a text, which most people were shown alike; `_version` is that of our texts."""
    personal = {"address": "⟦address⟧", "reason": "⟦reason⟧"}
    return render("recorded_question.html", labels=dict(labels), **personal, **fields)


def make_contact_reader(standing: ContactState) -> PageContext:
    """Return the reader of a contact's page."""
    about = standing.mailing_list
    return make_context(request.path, language=standing.language, mailing_list=about)


def show_gone(standing: ContactState | None) -> Response:
    """Say that a person is erased, and what stays of them; offer to sign up."""
    about = standing.mailing_list if standing else _find_only_list()
    reader = make_context(request.path, language=choose_unknown_language(about), mailing_list=about)
    fields: dict[str, Any] = make_list_fields(about, reader) if about else {"join_url": ""}
    fields["proof_until"] = ""
    if standing and standing.is_gone:
        fields["is_suppressed"] = link_target.is_suppressed(standing.uid)
        fields["proof_until"] = format_last_day_of_proof(
            standing.status_at, make_voice(reader), get_services().settings.retention
        )
    response = render_page("link_of_erased_contact.html", reader, **fields)
    response.vary.add("Accept-Language")
    return response


def choose_unknown_language(about: MailingListFacts | None = None) -> str:
    """Return the language of a page of whose reader nothing is known, or nothing any more.

    It is the one that the browser would rather read, of those of the list `about` or of the only
    list there is; else that list's own.
    """
    about = about or _find_only_list()
    offered = list_language_names(about)
    otherwise = about.language if about else "en"
    return next(
        (language for language in list_browser_languages() if language in offered), otherwise
    )


def _find_only_list() -> MailingListFacts | None:
    """Return the list, if there is but one: which one a vanished contact was on, nobody knows."""
    lists = list(MailingList.select().limit(2))
    return contacts_lookup.read_list_facts(lists[0]) if len(lists) == 1 else None
