"""Making the HTML template of an own wording from its text: headings, lists, rules and links.

emails/wording_validation.py has checked the text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import groupby

from repermit.emails.allowed_html import FIELD


def text_to_html(text: str) -> str:
    """Return the HTML template for a checked text template; "" for "".

    A line that begins with "# " or "## " is a heading, lines that begin with "- " are a list, and
    a line of hyphens is a rule.
    """
    paragraphs = re.split(r"\n\s*\n", text.replace("\r\n", "\n").strip())
    blocks = (block for paragraph in paragraphs for block in _split_paragraph(paragraph))
    return "\n".join(_make_block(tag, lines) for tag, lines in blocks)


def drop_heading_marks(text: str) -> str:
    """Return a text template without the marks of headings, for the text part of a mail."""
    return _HEADING.sub("", text)


def _split_paragraph(paragraph: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the elements of a paragraph, as tag and lines."""
    # In HTML the button has the label; in text it is the line above the URL.
    lines = _LABEL_ABOVE.sub("", paragraph).splitlines()
    for tag, group in groupby(lines, _find_tag):
        if tag in {"h1", "h2"}:
            yield from ((tag, [line]) for line in group)
        else:
            yield tag, list(group)


def _find_tag(line: str) -> str:
    return next((tag for tag, pattern in _MARKS.items() if pattern.match(line)), "p")


def _make_block(tag: str, lines: list[str]) -> str:
    if tag == "hr":
        return "<hr>"
    texts = [_link_fields(_MARKS[tag].sub("", line) if tag in _MARKS else line) for line in lines]
    if tag == "ul":
        return "".join(("<ul>\n", *(f"<li>{text}</li>\n" for text in texts), "</ul>"))
    content = "<br>\n".join(texts)
    return f"<{tag}>{content}</{tag}>"


def _link_fields(line: str) -> str:
    escaped = html.escape(line, quote=False)
    return FIELD.sub(lambda match: _LINK_HTML.get(match[1], match[0]), escaped)


_HEADING = re.compile(r"^##? (?=\S)", re.MULTILINE)
_MARKS = {
    "h1": re.compile(r"# (?=\S)"),
    "h2": re.compile(r"## (?=\S)"),
    "ul": re.compile(r"- (?=\S)"),
    "hr": re.compile(r"-{3,}$"),
    # Its HTML is a heading and a paragraph, which a paragraph may not contain.
    "div": re.compile(r"(?=\{\{ *objection *\}\}$)"),
}
_LABEL_ABOVE = re.compile(r"\{\{ *(yes|no)_label *\}\} *\n(?=\{\{ *\1_url *\}\})")
_LINK_HTML = {
    "yes_url": '<a class="button" href="{{ yes_url }}">{{ yes_label }}</a>',
    "no_url": '<a class="button" href="{{ no_url }}">{{ no_label }}</a>',
    "privacy_url": '<a href="{{ privacy_url }}">{{ privacy_url }}</a>',
    "me_url": '<a href="{{ me_url }}">{{ me_url }}</a>',
}
