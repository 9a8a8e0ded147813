"""Reading an admin's HTML template: its visible text, its link targets, and what is not allowed.

Elements are checked against a list of allowed ones, since a list of forbidden ones has holes.
"""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from html.parser import HTMLParser

from repermit.emails.frozen_draft import mark_field
from repermit.i18n.lazy_text import LazyText
from repermit.unicode_limits import normalize

_ELEMENTS = frozenset("a b blockquote br div em h1 h2 h3 hr i li ol p span strong u ul".split())
_INLINE = frozenset("a b em i span strong u".split())
_LINK_FIELDS = ("yes_url", "no_url", "me_url", "privacy_url")

# Tags that every parser reads in the same way: each value is in quotes or one plain word. Mail
# programs may find more in anything else, such as half-closed comments or values without quotes.
_TAG = re.compile(
    r"</?[a-z][a-z0-9]*(?:[ \t\r\n]+[a-z][a-z0-9:_-]*(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[a-z0-9_-]+))?)*"
    r"[ \t\r\n]*/?>",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
_MAX_QUOTE_LENGTH = 40
# No mail needs more. Each end tag is searched among all open elements.
_MAX_DEPTH = 100


@dataclass(frozen=True, kw_only=True)
class MarkupContent:
    """The visible text, the targets of visible links, and the reasons against the markup.

    Fields in the text and the targets are marks (⟦yes_url⟧).
    """

    text: str
    targets: tuple[str, ...]
    reasons: tuple[LazyText, ...]


def read_markup(markup: str, *, reply_to: str) -> MarkupContent:
    """Read an HTML template; a link may lead to a field or write to `reply_to`."""
    parser = _MarkupParser(reply_to)
    parser.feed(_strip_markup(mark_fields(markup), parser.reasons))
    parser.close()
    styles = {field: parser.styles.get(f"⟦{field}⟧") for field in ("yes_url", "no_url")}
    if None not in styles.values() and styles["yes_url"] != styles["no_url"]:
        parser.reasons.append(_UNEQUAL_BUTTONS)
    return MarkupContent(
        # One line end between two blocks: the end of the first and the start of the second have
        # added one each.
        text=re.sub(r"\n+", "\n", "".join(parser.text)),
        targets=tuple(parser.targets),
        reasons=tuple(dict.fromkeys(parser.reasons)),
    )


def _strip_markup(markup: str, reasons: list[LazyText]) -> str:
    """Remove comments, and escape each `<` that opens no plain tag; add a reason for each."""
    reasons += (
        LazyText(
            "a comment, which mail programs may read as markup: %(quoted)s",
            quoted=_quote(comment),
        )
        for comment in _COMMENT.findall(markup)
    )
    pieces = _COMMENT.sub("", markup).split("<")
    for number, piece in enumerate(pieces[1:], start=1):
        if _TAG.match(f"<{piece}"):
            pieces[number] = f"<{piece}"
        else:
            reasons.append(
                LazyText(
                    "a < that opens no plain tag, with its values in quotes (for the sign itself "
                    "write &lt;): %(quoted)s",
                    quoted=_quote(f"<{piece}"),
                )
            )
            pieces[number] = f"&lt;{piece}"
    return "".join(pieces)


def _quote(markup: str) -> str:
    line = " ".join(unmark_fields(markup).split())
    return line if len(line) <= _MAX_QUOTE_LENGTH else f"{line[:_MAX_QUOTE_LENGTH]}…"


class _MarkupParser(HTMLParser):
    def __init__(self, reply_to: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.targets: list[str] = []
        self.styles: dict[str, tuple[str, ...]] = {}
        self._open_elements: list[str] = []
        self.reasons: list[LazyText] = []
        self._open_link = ""
        self._link_text = ""
        self._allowed = {f"⟦{field}⟧" for field in _LINK_FIELDS}
        self._allowed |= {f"mailto:{reply_to}", "mailto:⟦reply_to⟧"}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._refuse_unlisted(tag)
        self._break_line(tag)
        attributes: dict[str, str] = {}
        for name, value in attrs:
            # Parsers differ in which of two equal attributes they use.
            if name in attributes:
                self._refuse(
                    LazyText(
                        "the attribute %(name)s stands twice in %(quoted)s",
                        name=name,
                        quoted=_quote(f"<{tag}>"),
                    )
                )
            attributes[name] = value or ""
        if tag == "a":
            self._start_link(attributes.pop("href", ""), attributes.pop("class", ""))
        elif tag not in _VOID_ELEMENTS and len(self._open_elements) == _MAX_DEPTH:
            self._refuse(
                LazyText("more than %(most)s elements within one another", most=_MAX_DEPTH)
            )
        elif tag not in _VOID_ELEMENTS:
            self._open_elements.append(tag)
        language = attributes.pop("lang", "nl")
        if not _LANGUAGE.fullmatch(language):
            self._refuse(
                LazyText(
                    "lang names a language, such as nl, not %(quoted)s",
                    quoted=unmark_fields(language),
                )
            )
        for name in attributes:
            self._refuse(
                LazyText(
                    "the attribute %(name)s of %(quoted)s is not allowed",
                    name=name,
                    quoted=_quote(f"<{tag}>"),
                )
            )

    # HTML does not close <b/>, unlike XML (HTML Living Standard §13.2.5.40).
    handle_startendtag = handle_starttag

    def _start_link(self, target: str, style: str) -> None:
        bare = target.strip()
        if bare not in self._allowed:
            written = unmark_fields(target) or LazyText("an empty one")
            self._refuse(
                LazyText("a link that is not one of the fields: %(quoted)s", quoted=written)
            )
        if style not in {"", "button"}:
            self._refuse(LazyText("a link's class may be button, not %(quoted)s", quoted=style))
        self._open_link, self._link_text = bare, ""
        self.styles[bare] = (style, *self._open_elements)

    def handle_endtag(self, tag: str) -> None:
        self._refuse_unlisted(tag)
        self._break_line(tag)
        if tag in self._open_elements:
            index = self._open_elements.index(tag)
            self._leave(self._open_elements[index + 1 :])
            del self._open_elements[index:]
        if tag != "a":
            return
        if _OTHER_LABEL.get(self._open_link, "-") in self._link_text:
            self._refuse(LazyText("a link for one answer that bears the label of the other"))
        if self._link_text.strip():
            self.targets.append(self._open_link)
        else:
            self._refuse(LazyText("a link without text, which nobody can see"))

    def close(self) -> None:
        super().close()
        self._leave(self._open_elements)

    def _leave(self, elements: list[str]) -> None:
        # Browsers reopen such an element in what follows (HTML Living Standard §13.2.4.3).
        for tag in elements:
            if tag in _INLINE:
                self._refuse(
                    LazyText("%(quoted)s is not closed where it should be", quoted=f"<{tag}>")
                )

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        self._link_text += data

    def _break_line(self, tag: str) -> None:
        if tag not in _INLINE:
            self.text.append("\n")

    def _refuse_unlisted(self, tag: str) -> None:
        if tag not in _ELEMENTS:
            kind = _ATTRIBUTE_NAMES.get(tag, _UNLISTED)
            self._refuse(LazyText("%(what)s: %(quoted)s", what=kind, quoted=_quote(f"<{tag}>")))

    def _refuse(self, reason: LazyText) -> None:
        self.reasons.append(reason)


# Elements without an end (HTML Living Standard §13.1.2).
_VOID_ELEMENTS = frozenset(("br", "hr"))

_OTHER_LABEL = {"⟦yes_url⟧": "⟦no_label⟧", "⟦no_url⟧": "⟦yes_label⟧"}

_UNEQUAL_BUTTONS = LazyText("Yes and No must look alike: make both a button, or neither")
_UNLISTED = LazyText("an element that is not allowed")
_ATTRIBUTE_NAMES = {
    **dict.fromkeys(("img", "image", "picture", "svg"), LazyText("an image")),
    **dict.fromkeys(("form", "input", "button"), LazyText("a form")),
    **dict.fromkeys(("style", "link"), LazyText("a style sheet")),
    "script": LazyText("a script"),
}


# --- Reading an admin's template as its reader will see it. ---------------------------------------


# A field, with the blanks that the template engine removes for a hyphen inside the braces. Blanks
# match from the first one only, since the search would take quadratic time otherwise.
FIELD = re.compile(r"(?:(?<!\s)\s+\{\{-|\{\{[-+]?)\s*(\w+)\s*(?:-\}\}\s*|\}\})")
_MARK = re.compile(r"⟦(\w+)⟧")

# Characters without a shape: controls, soft hyphens, zero-width characters, direction marks, and
# accents that cannot be combined with a letter.
_INVISIBLE_CATEGORIES = frozenset(("Cc", "Cf", "Mn", "Mc", "Me"))
# Hangul fillers are letters by their category, but are invisible.
_FILLERS = "\u115f\u1160\u3164\uffa0"
# IDNA takes the ideographic full stop for the dot of a domain (UTS 46).
_DOTS = {ord("。"): ".", **dict.fromkeys(map(ord, _FILLERS))}


def mark_fields(template: str) -> str:
    """Return a template with every field replaced by its mark, such as ⟦stop⟧."""
    return FIELD.sub(lambda match: mark_field(match[1]), template)


def unmark_fields(text: str) -> str:
    """Return a text with every mark replaced by its field, such as {{ stop }}."""
    return _MARK.sub(r"{{ \1 }}", text)


def find_fields(text: str) -> set[str]:
    """Return the names of the fields that have a mark in a text."""
    return set(_MARK.findall(text))


def normalize_text(text: str) -> str:
    """Return a text in NFKC, without invisible characters; blanks stay."""
    # Twice: some characters combine only after the invisible ones between them are removed.
    for _ in range(2):
        text = normalize("NFKC", html.unescape(text)).translate(_DOTS)
        text = "".join(
            character for character in text if character.isspace() or _is_visible(character)
        )
    return text


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE_CATEGORIES
