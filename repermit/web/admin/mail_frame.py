"""A mail as a page for a frame: its line in a mailbox, warnings, and the mail itself."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from flask import Response
from markupsafe import Markup, escape

from repermit.emails import first_screen
from repermit.emails.mail_types import Mail
from repermit.web.admin.rendering import gettext, ngettext

# The sandbox allows no scripts, forms or windows; inline styles are needed for a mail.
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'self'; "
    "frame-ancestors 'self'"
)
_IN_THE_DARK = "@media (prefers-color-scheme: dark)"
_BODY = re.compile(r"<body[^>]*>")
_HEAD = re.compile(r"<head>")
# The preheader ends before invisible characters, which keep the mail's text out of the overview.
_PREHEADER = re.compile(r'<div class="preview"[^>]*>([^\u034f<]*)')

_PLAIN_TEXT = Markup(
    '<pre style="white-space:pre-wrap;overflow-wrap:anywhere;font:inherit">{}</pre>'
)
# The line takes no space, and is not drawn on screens wider than a phone.
_FOLD = Markup(
    "<style>@media (min-width:600px) {{ .fold {{ display:none }} }}</style>"
    '<div class="fold" style="position:relative;height:0"><div style="position:absolute;top:{}px;'
    "left:0;right:0;border-top:2px dashed #c2410c;font:13px/1.4 system-ui,sans-serif;"
    'text-align:right;pointer-events:none"><span style="background:#c2410c;color:#fff;'
    'padding:1px 6px">{}</span></div></div>'
)
_COLOURS = {"light": ("#ffffff", "#1d2329", "#c9ced6"), "dark": ("#15181c", "#e6e9ed", "#444c57")}


def frame_mail(mail: Mail, *, shade: str, as_text: bool, warnings: Markup) -> Response:
    """Return the page of a mail, below its line in a mailbox and below warnings."""
    header = _make_overview(mail, shade) + warnings
    if as_text:
        return _make_frame_response(_make_frame_page(header + _PLAIN_TEXT.format(mail.text), shade))
    page = mail.html.replace(_IN_THE_DARK, "@media all" if shade == "dark" else "@media not all")
    page = page.replace("color-scheme: light dark", f"color-scheme: {shade}")
    # The sandbox does not let a link open a new window, so links do nothing.
    page = _HEAD.sub('<head><base target="_blank">', page, count=1)
    fold = _FOLD.format(first_screen.MAX_PIXELS, gettext("A phone’s first screen ends here"))
    return _make_frame_response(_BODY.sub(lambda body: f"{body[0]}{header}{fold}", page, count=1))


def frame_flaws(reasons: Iterable[str], *, shade: str) -> Response:
    """Return a page with the reasons why there is no mail to preview yet."""
    items = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in reasons)
    title = gettext("There is no mail to look at yet:")
    return _make_frame_response(
        _make_frame_page(Markup("<p><b>{}</b></p><ul>{}</ul>").format(title, items), shade)
    )


def read_preheader(mail: Mail) -> str:
    """Return the line that mail programs show beside the subject."""
    match = _PREHEADER.search(mail.html)
    return html.unescape(match[1]).strip() if match else ""


def describe_length(text: str) -> str:
    """Return the length of a line as text."""
    return ngettext("one character", "%(count)s characters", len(text))


def make_first_screen_text(mail: Mail, *, is_own: bool) -> str:
    """Return a warning if a phone's first screen hides an answer; "" if it shows both.

    - `is_own`: whether the mail has the admin's own wording.
    """
    screen = first_screen.estimate_first_screen(mail.html)
    if screen is None or screen.shows_both_answers:
        return ""
    warning = gettext(
        "On a phone an answer is not seen at first: it ends some %(pixels)s pixels down, after "
        "%(words)s words, where %(most_pixels)s pixels and %(most_words)s words are seen.",
        pixels=screen.pixels,
        words=screen.words,
        most_pixels=first_screen.MAX_PIXELS,
        most_words=first_screen.MAX_WORDS,
    )
    remedy = (
        gettext("Put below the answers what need not stand above them.")
        if is_own
        else gettext("A shorter name of the list, or of the organisation, brings it up.")
    )
    return f"{warning} {remedy}"


def make_warning(text: str, shade: str) -> Markup:
    """Return a warning for the page, above the mail."""
    paper, ink, _ = _COLOURS[shade]
    style = (
        f"background:{paper};color:{ink};border-left:4px solid #c2410c;margin:10px 20px;"
        "padding:0 10px;font:15px/1.45 system-ui,sans-serif"
    )
    return Markup('<p role="status" style="{}">{}</p>').format(style, text)


def _make_overview(mail: Mail, shade: str) -> Markup:
    paper, ink, line = _COLOURS[shade]
    style = (
        f"background:{paper};color:{ink};border-bottom:1px solid {line};padding:10px 20px;"
        "font:15px/1.45 system-ui,sans-serif;overflow-wrap:anywhere"
    )
    preheader = read_preheader(mail)
    return Markup('<div style="{}"><b>{}</b> ({})<br>{} ({})</div>').format(
        style, mail.subject, describe_length(mail.subject), preheader, describe_length(preheader)
    )


def _make_frame_page(body: Markup, shade: str) -> str:
    paper, ink, _ = _COLOURS[shade]
    style = f"margin:0;padding:0 20px 20px;background:{paper};color:{ink}"
    return (
        f'<!doctype html><html style="color-scheme:{shade}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(gettext('The mail'))}</title></head>"
        f'<body style="{style};font:16px/1.5 system-ui,sans-serif">{body}</body></html>'
    )


def _make_frame_response(page: str) -> Response:
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
