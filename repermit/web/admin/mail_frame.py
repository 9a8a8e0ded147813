"""A mail as a page to be looked at within a frame: nothing in it runs, loads or leads anywhere."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from flask import Response
from markupsafe import Markup, escape

from repermit.emails.mail_values import Mail
from repermit.web.admin.rendering import gettext, ngettext

# Sandboxed it has no scripts, sends no forms and opens no windows; its styles are a mail's own.
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'self'; "
    "frame-ancestors 'self'"
)
_IN_THE_DARK = "@media (prefers-color-scheme: dark)"
_BODY = re.compile(r"<body[^>]*>")
_HEAD = re.compile(r"<head>")
# Behind it stand signs that nobody sees, which keep what follows out of the overview.
_PREHEADER = re.compile(r'<div class="preview"[^>]*>([^\u034f<]*)')

_AS_IT_IS = Markup('<pre style="white-space:pre-wrap;overflow-wrap:anywhere;font:inherit">{}</pre>')
_COLOURS = {"light": ("#ffffff", "#1d2329", "#c9ced6"), "dark": ("#15181c", "#e6e9ed", "#444c57")}


def framed(mail: Mail, *, shade: str, as_text: bool) -> Response:
    """Return the mail below what an overview of mails shows of it."""
    above = _overview(mail, shade)
    if as_text:
        return _response(_page(above + _AS_IT_IS.format(mail.text), shade))
    shown = mail.html.replace(_IN_THE_DARK, "@media all" if shade == "dark" else "@media not all")
    shown = shown.replace("color-scheme: light dark", f"color-scheme: {shade}")
    # A link that wants a window of its own opens none in a sandbox.
    shown = _HEAD.sub('<head><base target="_blank">', shown, count=1)
    return _response(_BODY.sub(lambda body: f"{body[0]}{above}", shown, count=1))


def framed_flaws(reasons: Iterable[str], *, shade: str) -> Response:
    """Return why there is nothing to look at yet."""
    items = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in reasons)
    title = gettext("There is no mail to look at yet:")
    return _response(_page(Markup("<p><b>{}</b></p><ul>{}</ul>").format(title, items), shade))


def preheader_of(mail: Mail) -> str:
    """Return the line that mail programs show beside the subject."""
    found = _PREHEADER.search(mail.html)
    return html.unescape(found[1]).strip() if found else ""


def signs_in_words(text: str) -> str:
    """Return how long a line is."""
    return ngettext("one character", "%(count)s characters", len(text))


def _overview(mail: Mail, shade: str) -> Markup:
    paper, ink, line = _COLOURS[shade]
    style = (
        f"background:{paper};color:{ink};border-bottom:1px solid {line};padding:10px 20px;"
        "font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere"
    )
    preheader = preheader_of(mail)
    return Markup('<div style="{}"><b>{}</b> ({})<br>{} ({})</div>').format(
        style, mail.subject, signs_in_words(mail.subject), preheader, signs_in_words(preheader)
    )


def _page(body: Markup, shade: str) -> str:
    paper, ink, _ = _COLOURS[shade]
    style = f"margin:0;padding:0 20px 20px;background:{paper};color:{ink}"
    return (
        f'<!doctype html><html style="color-scheme:{shade}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gettext('The mail'))}</title></head>"
        f'<body style="{style};font:16px/1.5 system-ui,sans-serif">{body}</body></html>'
    )


def _response(page: str) -> Response:
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
