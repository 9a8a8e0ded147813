"""The pages behind the links of a mail: Yes and No.

GET shows, POST acts; the link is the authority.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, g, has_request_context, request
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
from repermit.reports.data_recipients import Recipient, list_recipients
from repermit.rules.consent import CHANGING_OUTCOMES, OWN_YES, Answer, Outcome, Reason, Status
from repermit.settings.definitions import Settings
from repermit.signed_links import NOBODY, PROXIES, Form
from repermit.web import rendering
from repermit.web.public import page_text
from repermit.web.public.my_data_text import describe_recipient, format_last_day_of_proof
from repermit.web.public.page_text import PageLocale
from repermit.web.rendering import (
    CONFIRMATION_FIELD,
    NUMBER,
    PageContext,
    list_browser_languages,
    list_language_names,
    make_context,
    make_public_url,
    render,
    render_page,
)
from repermit.web.request_context import (
    MAX_WAIT,
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
    uid = get_services().links.read(answer.value, token)
    contact_state = link_target.find_answering_state(uid, answer)
    if contact_state is None or contact_state.is_gone:
        return show_gone(contact_state)
    link_request = LinkRequest(answer.value, is_head=request.method == "HEAD", at=get_arrival())
    get_services().openings.add(contact_state.uid, link_request)
    return _show_question_page(
        contact_state, answer, confirmation_token=request.args.get(CONFIRMATION_FIELD, "")
    )


def _show_question_page(
    contact_state: ContactState, answer: Answer, *, confirmation_token: str
) -> Response:
    """Show the question, or the page that asks again, or the recorded answer."""
    context = make_contact_context(contact_state)
    outcome = link_target.predict_decision(contact_state, answer, arrived_at=get_arrival()).outcome
    if outcome in {Outcome.NOTHING, Outcome.LATE}:
        return show_result(context, contact_state, outcome)
    if (
        answer is Answer.YES
        and confirmation_token
        and confirmation_token == contact_state.confirmation_token
    ):
        return _show_ask_again(contact_state, confirmation_token)
    fields = make_contact_fields(contact_state, context)
    # After a No, a Yes must be pressed twice.
    fields["takes_two_presses"] = answer is Answer.YES and contact_state.has_refused
    return render_page(
        "question.html",
        context,
        # No button for a Yes that would be too late.
        order=[button for button in (answer, _OPPOSITE[answer]) if button in fields["labels"]],
        not_recorded_yet=page_text.make_not_recorded_text(
            answer, make_locale(context), takes_two_presses=fields["takes_two_presses"]
        ),
        shown_digest=_digest_shown_page(contact_state, is_confirmation_page=False),
        **fields,
    )


@pages.post(_ROUTE)
def take_answer(word: str, token: str) -> Response:
    """Record an answer: pressed on a page, or sent by a mail program (RFC 8058 §3.2)."""
    services, answer = get_services(), Answer(word)
    uid = services.links.read(answer.value, token)
    is_one_click = _is_one_click()
    if is_one_click and answer is Answer.YES:
        # A program posts the opposite to the wrong URL: no act of a person.
        raise BadRequest
    choice = request.form.get("choice", "") if answer is Answer.YES else ""
    confirmation_token = request.form.get(CONFIRMATION_FIELD, "")
    if choice == page_text.NOT_ME:
        return _take_disowned(uid, confirmation_token)
    is_confirmation_page = choice == page_text.AGAIN
    describe_page = partial(
        _describe_page,
        answer=answer,
        is_confirmation_page=is_confirmation_page,
        was_shown=not is_one_click,
    )
    try:
        with services.openings.take_openings(uid, timeout=MAX_WAIT) as unsaved_requests:
            recorded = record_answer.record_answer(
                services.database,
                uid=uid,
                answer=answer,
                arrived_at=get_arrival(),
                settings=services.settings,
                method="one_click" if is_one_click else "page",
                trace=make_trace(),
                page=describe_page,
                unsaved_requests=unsaved_requests,
                is_confirmation_page=is_confirmation_page,
                confirmation_token=confirmation_token,
                form=None if is_one_click else read_pressed_form(uid),
            )
    except _WordsChanged as changed:
        return _show_question_page(
            changed.contact_state, answer, confirmation_token=confirmation_token
        )
    if is_one_click:
        return _answer_one_click(uid)
    if recorded is None:
        returned = link_target.find_answering_state(uid, answer)
        if returned is None or returned.is_gone:
            return show_gone(returned)
        return _show_question_page(returned, answer, confirmation_token="")
    if recorded.outcome is Outcome.HOLD:
        return _show_ask_again(recorded.contact_state, recorded.confirmation_token)
    if recorded.outcome is Outcome.ASK:
        return _show_question_page(recorded.contact_state, answer, confirmation_token="")
    return show_result(
        make_contact_context(recorded.contact_state), recorded.contact_state, recorded.outcome
    )


def _is_one_click() -> bool:
    """Return whether a mail program sent the request (RFC 8058 §3.2).

    Some programs do not say what kind of body they send, end it with a new line, or write it in
    small letters.
    """
    fields = list(request.form.items()) or parse_qsl(request.get_data(as_text=True))
    return any(
        (name.strip().lower(), value.strip().lower()) == ("list-unsubscribe", "one-click")
        for name, value in fields
    )


class _WordsChanged(Exception):
    """A Yes comes from a page whose words have changed since."""

    def __init__(self, contact_state: ContactState) -> None:
        super().__init__()
        self.contact_state = contact_state


def _describe_page(
    contact_state: ContactState, *, answer: Answer, is_confirmation_page: bool, was_shown: bool
) -> PageShown:
    """Return the page that a contact in this state was shown, or would have been.

    Raises _WordsChanged.
    """
    wording = _make_shown_wording(contact_state, is_confirmation_page=is_confirmation_page)
    if answer is Answer.YES and not rendering.is_wording_shown(wording):
        # The page may be older than a removal without an answer, after which its form still counts.
        former_state = replace(
            contact_state, status=Status.UNCONFIRMED, reason="", has_bounced=False
        )
        wording = _make_shown_wording(former_state, is_confirmation_page=is_confirmation_page)
        if contact_state.reason not in _UNANSWERED or not rendering.is_wording_shown(wording):
            raise _WordsChanged(contact_state)
    context = make_contact_context(contact_state)
    return PageShown(
        wording=wording,
        # A mail program answers for the contact alone, whatever its URL says.
        language=context.language if was_shown else "",
        given_by=context.given_by if was_shown else "",
        was_shown=was_shown,
    )


_UNANSWERED = frozenset({Reason.NO_RESPONSE, Reason.BOUNCE})


def _digest_shown_page(contact_state: ContactState, *, is_confirmation_page: bool) -> str:
    """Return the digest of the wording of a contact's page, for its forms."""
    return rendering.digest_shown_wording(
        _make_shown_wording(contact_state, is_confirmation_page=is_confirmation_page)
    )


def _make_shown_wording(contact_state: ContactState, *, is_confirmation_page: bool) -> str:
    # The same text, whether or not its language had to be chosen.
    context = replace(make_contact_context(contact_state), is_switched=False)
    return _make_wording(
        contact_state, context, moment=get_arrival(), is_confirmation_page=is_confirmation_page
    )


def read_pressed_form(uid: str) -> Form:
    """Return the form that was pressed on a page of the person with this uid."""
    return get_services().links.read_form(uid, request.form.get(NUMBER, "").partition("-")[0])


def _answer_one_click(uid: str) -> Response:
    """Return the response to a mail program; for `check`, with the number of proxies on the way.

    `check` uses the link `NOBODY` and sends no X-Forwarded-For, so proxies added every address.
    """
    response = Response("Unsubscribed.\n", content_type="text/plain; charset=utf-8")
    if uid == NOBODY:
        trusted = get_services().settings.web.trusted_proxies
        response.headers[PROXIES] = f"{count_forwarded()} {trusted}"
    return response


def _show_ask_again(contact_state: ContactState, confirmation_token: str) -> Response:
    """Show the page that asks again for a Yes that may be a program's, and says why."""
    context = replace(make_contact_context(contact_state), confirmation_token=confirmation_token)
    fields = make_contact_fields(contact_state, context) | _make_ask_again_fields(
        contact_state, context
    )
    digest = _digest_shown_page(contact_state, is_confirmation_page=True)
    return render_page(
        "was_it_you.html", context, mark=confirmation_token, shown_digest=digest, **fields
    )


def _make_ask_again_fields(contact_state: ContactState, context: PageContext) -> dict[str, Any]:
    """Return the fields of the page that asks again, in place of the question's."""
    locale, sensitive = make_locale(context), contact_state.mailing_list.sensitive
    return {
        "labels": page_text.make_labels(
            locale, sensitive=sensitive, is_new=contact_state.status is Status.REMOVED
        ),
        "why": page_text.explain_asking_again(contact_state.signals, locale),
    }


def _take_disowned(uid: str, confirmation_token: str) -> Response:
    """Record the answer "I did not press Yes" of a contact who was asked again."""
    services = get_services()
    with services.openings.take_openings(uid, timeout=MAX_WAIT) as unsaved_requests:
        recorded = record_answer.disown_yes(
            services.database,
            uid=uid,
            arrived_at=get_arrival(),
            settings=services.settings,
            trace=make_trace(),
            unsaved_requests=unsaved_requests,
            confirmation_token=confirmation_token,
        )
    if recorded is None:
        return show_gone(link_target.find_contact_state(uid))
    contact_state, context = recorded.contact_state, make_contact_context(recorded.contact_state)
    may_answer = recorded.outcome in CHANGING_OUTCOMES and contact_state.is_in_time(get_arrival())
    if not may_answer:
        # A revoked Yes is no No of the contact.
        is_off = recorded.outcome is Outcome.REMOVE
        return show_result(context, contact_state, Outcome.NOTHING if is_off else recorded.outcome)
    return render_page(
        "yes_disowned.html",
        context,
        answer_ends=make_locale(context).format_time(contact_state.deadline),
        **make_contact_fields(contact_state, context),
    )


def make_receipt_path(contact_state: ContactState) -> str:
    """Return the path of a contact's receipt, below `public_url`."""
    return f"/receipt/{get_services().links.token('receipt', contact_state.uid)}"


def make_locale(context: PageContext) -> PageLocale:
    """Return the locale of a page."""
    return PageLocale(
        language=context.language,
        zone=context.settings.zone,
        is_representative=context.is_representative,
    )


def make_list_fields(list_facts: MailingListFacts, context: PageContext) -> dict[str, Any]:
    """Return the template's fields about a list and the retention of data."""
    settings, list_facts = context.settings, list_facts.in_language(context.language)
    locale = make_locale(context)
    other_context = replace(context, is_representative=not context.is_representative)
    # The sign-up form itself knows no reader, and would be in the list's own language.
    join_context = replace(
        context, is_switched=context.is_switched or context.language != list_facts.language
    )
    return {
        "list_name": list_facts.name,
        "purpose": list_facts.purpose,
        "frequency": list_facts.frequency,
        "sensitive": list_facts.sensitive,
        # For a reader who is not asked: at a sign-up, or by the link of an erased contact.
        "is_asked": False,
        "is_customer": False,
        "asking_ground": list_facts.asking_ground,
        "special_ground": list_facts.special_ground,
        "data_recipients": tuple(
            describe_recipient(recipient, locale)
            for recipient in _find_recipients(list_facts.slug, settings)
        ),
        "sender": sender_identity.choose_sender_name(list_facts, settings.organisation)
        or settings.organisation.name,
        "is_representative": context.is_representative,
        # "?" alone leads to the page without a query.
        "other_giver_url": other_context.make_relative_url() or "?",
        "retention": settings.retention,
        "join_url": make_public_url(
            f"/join/{link_target.make_join_id(list_facts, settings=settings)}", join_context
        ),
    }


def _find_recipients(slug: str, settings: Settings) -> tuple[Recipient, ...]:
    """Return the recipients of a list's data, read once a request; none for a deleted list.

    They are those of the record of processing (GDPR art. 13(1)(e) and (f), 15(1)(c)).
    """
    if not has_request_context():
        return list_recipients(slug, settings)
    # An answer needs them twice: for the page that was shown, and for the one that comes next.
    if "recipients" not in g:
        g.recipients = {}
    if slug not in g.recipients:
        g.recipients[slug] = list_recipients(slug, settings)
    recipients: tuple[Recipient, ...] = g.recipients[slug]
    return recipients


def make_contact_fields(contact_state: ContactState, context: PageContext) -> dict[str, Any]:
    """Return the template's fields about a contact and its list."""
    links = get_services().links
    return {
        **_make_common_fields(contact_state, context, moment=get_arrival()),
        "address": contact_state.address,
        "link": links.token("yes", contact_state.uid) if contact_state.address else "",
        "reason": page_text.explain_listing(contact_state, make_locale(context)),
        "urls": {
            answer: make_public_url(
                f"/{answer}/{links.token(answer.value, contact_state.uid)}", context
            )
            for answer in Answer
        },
        "me_url": make_public_url(f"/me/{links.token('me', contact_state.uid)}", context),
        "form_number": links.form_number(contact_state.uid, contact_state.form_version),
    }


def _make_common_fields(
    contact_state: ContactState, context: PageContext, *, moment: datetime
) -> dict[str, Any]:
    """Return the template's fields that many contacts share, as they are at a moment."""
    locale, sensitive = make_locale(context), contact_state.mailing_list.sensitive
    is_open = contact_state.is_in_time(moment)
    is_over, is_removed = contact_state.is_too_late(moment), contact_state.status is Status.REMOVED
    yes_label = page_text.make_yes_label(locale, sensitive=sensitive, is_new=is_removed)
    no_label = page_text.make_no_label(locale, is_new=is_removed)
    awaits_removal = contact_state.awaits_removal
    is_unanswered = awaits_removal or contact_state.status is Status.UNCONFIRMED
    has_missed = is_over and is_unanswered and contact_state.deadline is not None
    return {
        **make_list_fields(contact_state.mailing_list, context),
        "is_asked": contact_state.is_asked,
        "is_customer": contact_state.is_customer,
        "takes_two_presses": False,
        "deadline": locale.format_time(contact_state.deadline) if is_open else "",
        "short_deadline": locale.format_short_time(contact_state.deadline) if is_open else "",
        "present": page_text.make_current_answer_text(contact_state, locale),
        "earlier": page_text.make_earlier_answer_text(contact_state, locale),
        "awaits_removal": awaits_removal,
        "is_on_list": contact_state.is_on_list,
        "is_removed": is_removed,
        "said_no": contact_state.said_no,
        "is_over": is_over,
        "has_missed": has_missed,
        "ended": locale.format_time(contact_state.deadline),
        "is_paused": contact_state.is_paused,
        "labels": {**({} if is_over else {Answer.YES: yes_label}), Answer.NO: no_label},
    }


def show_result(context: PageContext, contact_state: ContactState, outcome: Outcome) -> Response:
    """Show the result of an answer, and how to change it: by the question, or by signing up.

    No button gives the opposite answer at once, as a program presses every button of a page.
    """
    fields = make_contact_fields(contact_state, context)
    is_late, is_removed = outcome is Outcome.LATE, fields["is_removed"]
    other_answer = (Answer.YES if fields["deadline"] else None) if is_removed else Answer.NO
    has_receipt = contact_state.basis in OWN_YES
    locale = make_locale(context)
    return render_page(
        "answer_recorded.html",
        context,
        moment=locale.format_time(contact_state.status_at),
        is_changed=outcome in CHANGING_OUTCOMES,
        said_yes=has_receipt,
        other=other_answer,
        receipt_url=make_public_url(make_receipt_path(contact_state), context)
        if has_receipt
        else "",
        is_late=is_late,
        # Only a Yes is late: after a No, one more press must not bring mail (invariant 15).
        has_form=is_late and not contact_state.is_on_list,
        is_doubted=bool(contact_state.signals),
        is_recorded=contact_state.said_no or has_receipt or outcome in CHANGING_OUTCOMES,
        is_represented=context.is_representative and outcome in CHANGING_OUTCOMES,
        **fields,
    )


def make_unanswered_wording(draft: Draft, *, settings: Settings, now: datetime) -> str:
    """Return the text of the page behind an ask's links before any answer.

    It is stored at launch, as proof of what contacts who do not answer could read.
    """
    contact_state = ContactState(
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
        # As if asked by a campaign and sent in time.
        campaign=1,
        asked_at=now,
        reminded_at=None,
        mail_wording="",
        deadline=draft.deadline,
        signals=(),
    )
    context = PageContext(
        settings=settings, language=draft.language, path="", mailing_list=draft.mailing_list
    )
    return _make_wording(contact_state, context, moment=now, is_confirmation_page=False)


def _make_wording(
    contact_state: ContactState,
    context: PageContext,
    *,
    moment: datetime,
    is_confirmation_page: bool,
) -> str:
    """Return the text around the button as it was shown, with placeholders for personal data.

    It is stored as proof of the question (GDPR art. 7(1)). It must hold no personal data, since one
    wording is stored for all and not erased with a contact.
    """
    fields = {"why": "", **_make_common_fields(contact_state, context, moment=moment)}
    if is_confirmation_page:
        fields |= _make_ask_again_fields(contact_state, context)
    return _render_wording(
        catalogues.get_corrections_version(),
        tuple(fields.pop("labels").items()),
        language=context.language,
        organisation=context.settings.organisation,
        privacy_url=contact_state.mailing_list.in_language(context.language).privacy_url,
        **fields,
    )


@lru_cache(maxsize=256)
def _render_wording(_version: str, labels: tuple[tuple[Answer, str], ...], **fields: Any) -> str:
    """Return such a text, cached, as most are alike; `_version` is that of the texts."""
    personal = {"address": "⟦address⟧", "reason": "⟦reason⟧"}
    return render("question_wording.html", labels=dict(labels), **personal, **fields)


def make_contact_context(contact_state: ContactState) -> PageContext:
    """Return the context of a contact's page."""
    list_facts = contact_state.mailing_list
    return make_context(request.path, language=contact_state.language, mailing_list=list_facts)


def show_gone(contact_state: ContactState | None) -> Response:
    """Show that a contact is erased or unknown, and which data remain; offer to sign up."""
    list_facts = contact_state.mailing_list if contact_state else _find_only_list()
    context = make_context(
        request.path, language=choose_unknown_language(list_facts), mailing_list=list_facts
    )
    fields: dict[str, Any] = (
        make_list_fields(list_facts, context) if list_facts else {"join_url": ""}
    )
    fields["proof_until"] = ""
    if contact_state and contact_state.is_gone:
        fields["is_suppressed"] = link_target.is_suppressed(contact_state.uid)
        fields["proof_until"] = format_last_day_of_proof(
            contact_state.status_at, make_locale(context), get_services().settings.retention
        )
    response = render_page("link_of_erased_contact.html", context, **fields)
    response.vary.add("Accept-Language")
    return response


def choose_unknown_language(list_facts: MailingListFacts | None = None) -> str:
    """Return the language of a page for an unknown or erased contact.

    It is the browser's preferred one among those of the given list, or of the only list there is;
    otherwise that list's own.
    """
    list_facts = list_facts or _find_only_list()
    available = list_language_names(list_facts)
    default = list_facts.language if list_facts else "en"
    return next(
        (language for language in list_browser_languages() if language in available), default
    )


def _find_only_list() -> MailingListFacts | None:
    """Return the list if there is only one; the list of an unknown contact is not known."""
    lists = list(MailingList.select().limit(2))
    return contacts_lookup.read_list_facts(lists[0]) if len(lists) == 1 else None
