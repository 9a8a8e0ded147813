"""Integrations: the tokens of API clients, and the webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from wtforms import SelectField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length

from repermit.accounts import api_tokens
from repermit.db.models.lists import MailingList, find_list
from repermit.errors import NotFound, Refused
from repermit.i18n.lazy_text import N_
from repermit.web.admin.audit_log import describe_actor, describe_scope, list_emails, parse_number
from repermit.web.admin.current_user import get_actor
from repermit.web.admin.forms import Form
from repermit.web.admin.rendering import flash_message, gettext, redirect_to, render_page
from repermit.web.admin.result_text import make_sentence, translate_said
from repermit.web.request_context import get_arrival, get_services
from repermit.webhooks import deliver, endpoints
from repermit.webhooks.events import WebhookFacts
from repermit.webhooks.http_client import Reply

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as AnyResponse

pages = Blueprint("integrations", __name__, url_prefix="/admin/connecting")

_WRONG = 422
_MAX_NAME_LENGTH = 60
_PAGE_SIZE = 50


class TokenForm(Form):
    """The form for a new token: its program and scopes."""

    name = StringField(
        N_("Which program is it for?"),
        [
            InputRequired(N_("Please fill this in.")),
            Length(max=_MAX_NAME_LENGTH, message=N_("Take at most 60 signs.")),
        ],
        render_kw={"autocomplete": "off"},
    )
    scopes = SelectMultipleField(
        N_("What may it ask?"),
        [InputRequired(N_("Choose one or more."))],
        choices=list(api_tokens.SCOPES),
        validate_choice=False,
    )


class WebhookForm(Form):
    """The form for a new webhook."""

    url = StringField(
        N_("Address of the program"),
        [InputRequired(N_("Please fill this in."))],
        render_kw={"autocomplete": "off", "inputmode": "url", "spellcheck": "false"},
    )
    list = SelectField(N_("Which list is it told about?"), validate_choice=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lists = MailingList.select().order_by(MailingList.name)
        self.list.choices = [
            ("", gettext("all lists")),
            *((mailing_list.slug, mailing_list.name) for mailing_list in lists),
        ]


@pages.get("/")
def show() -> Response:
    """Show the active tokens, and the webhooks."""
    return _show_page()


def _show_page(
    *, tokening: TokenForm | None = None, hooking: WebhookForm | None = None, status: int = 200
) -> Response:
    emails = list_emails()
    return render_page(
        "integrations/show.html",
        status=status,
        tokens=[
            (token, describe_actor(token.created_by, emails))
            for token in api_tokens.list_tokens()
            if token.revoked_at is None
        ],
        scopes=[(scope, describe_scope(scope)) for scope in api_tokens.SCOPES],
        hooks=[
            (webhook, describe_actor(webhook.created_by, emails))
            for webhook in endpoints.list_webhooks()
        ],
        tokening=tokening or TokenForm(),
        hooking=hooking or WebhookForm(),
        api_url=f"{get_services().settings.public_url}/api/v1",
        in_words=translate_said,
    )


# --- Tokens.


@pages.post("/tokens")
def make_token() -> Response:
    """Make a token, and show it once."""
    form = TokenForm(request.form)
    if not form.validate():
        return _show_page(tokening=form, status=_WRONG)
    try:
        token = api_tokens.make_token(
            get_services().database,
            form.name.data,
            scopes=form.scopes.data,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused:
        # The form has checked everything else.
        form.refuse("name", gettext("This name cannot be used, or there is a token of it already."))
        return _show_page(tokening=form, status=_WRONG)
    return render_page("integrations/secret.html", kind="token", secret=token.bearer)


@pages.post("/tokens/<int:token_id>/revoke")
def revoke_token(token_id: int) -> AnyResponse:
    """Revoke a token."""
    api_tokens.revoke_token(get_services().database, token_id, now=get_arrival(), actor=get_actor())
    flash_message(gettext("Revoked. The program is refused from now on."))
    return redirect_to("integrations.show")


# --- Webhooks.


@pages.post("/webhooks")
def add_webhook() -> Response:
    """Add a webhook, and show its secret once."""
    form, services = WebhookForm(request.form), get_services()
    if not form.validate():
        return _show_page(hooking=form, status=_WRONG)
    mailing_list = find_list(form.list.data) if form.list.data else None
    try:
        webhook = endpoints.add(
            services.database,
            form.url.data,
            mailing_list=mailing_list,
            settings=services.settings,
            now=get_arrival(),
            actor=get_actor(),
        )
    except Refused as error:
        form.refuse("url", make_sentence(error.said))
        return _show_page(hooking=form, status=_WRONG)
    return render_page("integrations/secret.html", kind="webhook", secret=webhook.secret)


@pages.post("/webhooks/<int:webhook_id>/remove")
def remove_webhook(webhook_id: int) -> AnyResponse:
    """Remove a webhook."""
    endpoints.remove(get_services().database, webhook_id, now=get_arrival(), actor=get_actor())
    flash_message(gettext("Removed. It is told nothing more."))
    return redirect_to("integrations.show")


@pages.post("/webhooks/<int:webhook_id>/test")
def test_webhook(webhook_id: int) -> AnyResponse:
    """Send a test message to a webhook, and flash the result."""
    services = get_services()
    reply = deliver.send_test_message(
        services.database,
        webhook_id,
        settings=services.settings,
        now=get_arrival(),
        actor=get_actor(),
    )
    _flash_reply(reply)
    return redirect_to("integrations.show_deliveries", webhook_id=webhook_id)


def _flash_reply(reply: Reply) -> None:
    if reply.is_accepted:
        text = gettext(
            "The test message has arrived: it was answered with %(code)s.", code=reply.code
        )
        flash_message(text)
        return
    text = translate_said(reply.problem)
    flash_message(
        gettext("The test message has not arrived: %(problem)s.", problem=text), kind="problem"
    )


@pages.get("/webhooks/<int:webhook_id>/")
def show_deliveries(webhook_id: int) -> Response:
    """Show the deliveries of a webhook, newest first."""
    hook, before = _find_webhook(webhook_id), parse_number(request.args.get("before", ""))
    deliveries = endpoints.list_deliveries(webhook_id, before=before or None, limit=_PAGE_SIZE + 1)
    return render_page(
        "integrations/deliveries.html",
        hook=hook,
        deliveries=deliveries[:_PAGE_SIZE],
        is_further_back=bool(before),
        before=deliveries[_PAGE_SIZE - 1].seq if len(deliveries) > _PAGE_SIZE else 0,
        in_words=translate_said,
    )


@pages.post("/webhooks/<int:webhook_id>/deliveries/<int:delivery_id>/again")
def redeliver_event(webhook_id: int, delivery_id: int) -> AnyResponse:
    """Queue a delivery of a webhook again."""
    try:
        endpoints.redeliver(
            get_services().database, delivery_id, now=get_arrival(), actor=get_actor()
        )
    except NotFound:
        raise
    except Refused as error:
        flash_message(make_sentence(error.said), kind="warning")
    else:
        flash_message(gettext("It is told again in a moment."))
    return redirect_to("integrations.show_deliveries", webhook_id=webhook_id)


def _find_webhook(webhook_id: int) -> WebhookFacts:
    webhooks = [webhook for webhook in endpoints.list_webhooks() if webhook.id == webhook_id]
    if not webhooks:
        raise NotFound("there is no such webhook")
    return webhooks[0]
